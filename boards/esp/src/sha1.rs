//! The step of SHA-1, for the radio driver's supplicant: WPA2 derives its keys with it.
//!
//! Guarantees: the same as the crate `sha1`, which the tests hold it against. That one is written out for speed and
//! takes 2,900 bytes, the driver's own 5,100, and this 400.

/// From one block to the next (FIPS 180-4, 6.1.3: with sixteen words of the schedule).
pub fn compress(state: &mut [u32; 5], block: &[u8; 64]) {
    let mut schedule = [0; 16];
    for (word, bytes) in schedule.iter_mut().zip(block.as_chunks().0) {
        *word = u32::from_be_bytes(*bytes);
    }
    let [mut a, mut b, mut c, mut d, mut e] = *state;
    for round in 0..80_usize {
        let word = |back: usize| schedule[(round + 16 - back) % 16];
        let new = match round {
            0..16 => word(16),
            _ => (word(3) ^ word(8) ^ word(14) ^ word(16)).rotate_left(1),
        };
        schedule[round % 16] = new;
        let (mixed, constant) = match round {
            0..20 => ((b & c) | (!b & d), 0x5A82_7999),
            20..40 => (b ^ c ^ d, 0x6ED9_EBA1),
            40..60 => ((b & c) | (b & d) | (c & d), 0x8F1B_BCDC),
            _ => (b ^ c ^ d, 0xCA62_C1D6_u32),
        };
        let next = [mixed, e, constant, new];
        let next = next.into_iter().fold(a.rotate_left(5), u32::wrapping_add);
        (e, d, c, b, a) = (d, c, b.rotate_left(30), a, next);
    }
    for (sum, word) in state.iter_mut().zip([a, b, c, d, e]) {
        *sum = sum.wrapping_add(word);
    }
}

#[cfg(test)]
mod tests {
    use super::compress;

    #[test]
    fn every_block_is_taken_as_the_crate_takes_it() {
        let (mut ours, mut theirs) = ([0x6745_2301; 5], [0x6745_2301; 5]);
        let mut block = [0; 64];
        for seed in 0..10_000_u32 {
            for (place, byte) in block.iter_mut().enumerate() {
                *byte ^= (seed.wrapping_mul(0x9E37_79B9) >> (place % 24)) as u8;
            }
            compress(&mut ours, &block);
            sha1::compress(&mut theirs, &[block.into()]);
            assert_eq!(ours, theirs, "{block:?}");
        }
    }

    #[test]
    fn the_standards_own_example_comes_out() {
        // FIPS 180-1, appendix A: "abc", padded.
        let mut block = [0; 64];
        block[..4].copy_from_slice(b"abc\x80");
        block[63] = 24;
        let mut state = [
            0x6745_2301,
            0xEFCD_AB89,
            0x98BA_DCFE,
            0x1032_5476,
            0xC3D2_E1F0,
        ];
        compress(&mut state, &block);
        let expected = [
            0xA999_3E36,
            0x4706_816A,
            0xBA3E_2571,
            0x7850_C26C,
            0x9CD0_D89D,
        ];
        assert_eq!(state, expected);
    }
}
