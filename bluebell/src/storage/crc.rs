//! Checksums.

/// CRC-16 with polynomial 0x1A2E, reflected, never 0xFFFF.
pub(super) fn crc16(parts: &[&[u8]]) -> u16 {
    let mut crc = 0xFFFF_u16;
    for byte in parts.iter().copied().flatten() {
        crc ^= u16::from(*byte);
        for _ in 0..8 {
            let carry = crc & 1 == 1;
            crc >>= 1;
            if carry {
                crc ^= 0x1A2E;
            }
        }
    }
    match !crc {
        0xFFFF => 0xFFFE,
        crc => crc,
    }
}

/// CRC-32 as in Ethernet and zip files.
pub(super) fn crc32(bytes: &[u8]) -> u32 {
    !crc32_on(u32::MAX, 0xEDB8_8320, bytes)
}

/// Goes on with a CRC-32 of some reflected polynomial.
pub(super) fn crc32_on(mut crc: u32, polynomial: u32, bytes: &[u8]) -> u32 {
    for byte in bytes {
        crc ^= u32::from(*byte);
        for _ in 0..8 {
            let carry = crc & 1 == 1;
            crc >>= 1;
            if carry {
                crc ^= polynomial;
            }
        }
    }
    crc
}

#[cfg(test)]
mod tests {
    use super::crc32;

    #[test]
    fn the_checksum_is_the_one_that_everybody_has() {
        assert_eq!(crc32(b"123456789"), 0xCBF4_3926);
        assert_eq!(crc32(b""), 0);
    }
}
