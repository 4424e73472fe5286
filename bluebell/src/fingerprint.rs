//! What tells contents apart: 64 bits of FNV-1a, over bytes that come piece by piece.

/// The fingerprint of the bytes that were added so far.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Fingerprint(u64);

impl Fingerprint {
    /// That of no bytes.
    pub(crate) const EMPTY: Self = Self(0xcbf2_9ce4_8422_2325);

    /// That of the bytes so far and these.
    pub(crate) const fn and(self, bytes: &[u8]) -> Self {
        let mut hash = self.0;
        let mut index = 0;
        // Iterators are not const yet.
        while index < bytes.len() {
            hash = (hash ^ bytes[index] as u64).wrapping_mul(0x0000_0100_0000_01b3);
            index += 1;
        }
        Self(hash)
    }

    /// In hexadecimal.
    pub(crate) const fn text(self) -> [u8; 16] {
        let mut text = [0; 16];
        let mut digit = 0;
        while digit < text.len() {
            text[digit] = b"0123456789abcdef"[(self.0 >> (60 - 4 * digit) & 15) as usize];
            digit += 1;
        }
        text
    }

    pub(crate) const fn to_bytes(self) -> [u8; 8] {
        self.0.to_le_bytes()
    }

    pub(crate) const fn from_bytes(bytes: [u8; 8]) -> Self {
        Self(u64::from_le_bytes(bytes))
    }
}

#[cfg(test)]
mod tests {
    use super::Fingerprint;

    #[test]
    fn pieces_have_the_fingerprint_of_the_whole_which_is_fnv_1a() {
        assert_eq!(&Fingerprint::EMPTY.text(), b"cbf29ce484222325");
        let whole = Fingerprint::EMPTY.and(b"foobar");
        assert_eq!(&whole.text(), b"85944171f73967e8");
        assert_eq!(Fingerprint::EMPTY.and(b"foo").and(b"bar"), whole);
        assert_eq!(Fingerprint::from_bytes(whole.to_bytes()), whole);
    }
}
