//! The step of SHA-1, for the radio driver's supplicant: WPA2 derives its keys with it.
//!
//! Guarantees: the same as the crate `sha1`, which the tests hold it against. That one takes 2,900 bytes, the driver's
//! own, written out, 5,100, and this 400.
//!
//! In the driver's own `pbkdf2_sha1`, on an emulated processor, it gave the key of IEEE 802.11's example (`password`, `IEEE`). That
//! took 182 million instructions in place of 122: a join by password takes some 0.3 s longer on a chip of 160 MHz.

/// From one block to the next (FIPS 180-4, 6.1.2).
pub fn compress(state: &mut [u32; 5], block: &[u8; 64]) {
    let mut schedule = [0_u32; 80];
    for (word, bytes) in schedule.iter_mut().zip(block.as_chunks().0) {
        *word = u32::from_be_bytes(*bytes);
    }
    for place in 16..80 {
        let mixed = schedule[place - 3] ^ schedule[place - 8];
        let mixed = mixed ^ schedule[place - 14] ^ schedule[place - 16];
        schedule[place] = mixed.rotate_left(1);
    }
    let [mut a, mut b, mut c, mut d, mut e] = *state;
    for (round, word) in schedule.iter().enumerate() {
        let (mixed, constant) = match round {
            0..20 => (d ^ (b & (c ^ d)), 0x5A82_7999),
            20..40 => (b ^ c ^ d, 0x6ED9_EBA1),
            40..60 => ((b & c) | (d & (b | c)), 0x8F1B_BCDC_u32),
            _ => (b ^ c ^ d, 0xCA62_C1D6),
        };
        let sum = a.rotate_left(5).wrapping_add(mixed).wrapping_add(e);
        e = d;
        d = c;
        c = b.rotate_left(30);
        b = a;
        a = sum.wrapping_add(constant).wrapping_add(*word);
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
