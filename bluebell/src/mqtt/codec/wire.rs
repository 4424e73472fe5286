//! The data types of section 1.5, read from and written to slices.

/// Bytes that are no packet; the words say what is wrong with them.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(in crate::mqtt) struct Malformed(pub(in crate::mqtt) &'static str);

/// The most that a variable byte integer can say.
pub(super) const LARGEST_VARIABLE: u32 = 268_435_455;

/// Takes data types off the front of a slice.
pub(super) struct Reader<'p> {
    bytes: &'p [u8],
}

impl<'p> Reader<'p> {
    pub(super) const fn new(bytes: &'p [u8]) -> Self {
        Self { bytes }
    }

    pub(super) const fn is_empty(&self) -> bool {
        self.bytes.is_empty()
    }

    /// All that has not been taken.
    pub(super) const fn rest(self) -> &'p [u8] {
        self.bytes
    }

    pub(super) fn take(&mut self, length: usize) -> Result<&'p [u8], Malformed> {
        let (taken, rest) = self
            .bytes
            .split_at_checked(length)
            .ok_or(Malformed("it ends too early"))?;
        self.bytes = rest;
        Ok(taken)
    }

    fn array<const N: usize>(&mut self) -> Result<[u8; N], Malformed> {
        let (taken, rest) = self
            .bytes
            .split_first_chunk()
            .ok_or(Malformed("it ends too early"))?;
        self.bytes = rest;
        Ok(*taken)
    }

    pub(super) fn byte(&mut self) -> Result<u8, Malformed> {
        self.array().map(|[byte]| byte)
    }

    pub(super) fn two_bytes(&mut self) -> Result<u16, Malformed> {
        self.array().map(u16::from_be_bytes)
    }

    pub(super) fn four_bytes(&mut self) -> Result<u32, Malformed> {
        self.array().map(u32::from_be_bytes)
    }

    pub(super) fn variable(&mut self) -> Result<u32, Malformed> {
        match read_variable(self.bytes)? {
            Some((value, length)) => self.take(length).map(|_| value),
            None => Err(Malformed("it ends too early")),
        }
    }

    /// Bytes with their length before them.
    pub(super) fn binary(&mut self) -> Result<&'p [u8], Malformed> {
        let length = self.two_bytes()?;
        self.take(usize::from(length))
    }

    pub(super) fn text(&mut self) -> Result<&'p str, Malformed> {
        let text =
            core::str::from_utf8(self.binary()?).map_err(|_| Malformed("a text is not UTF-8"))?;
        if text.bytes().any(|byte| byte == 0) {
            return Err(Malformed("a text contains a zero character"));
        }
        Ok(text)
    }
}

/// A variable byte integer at the start of `bytes` and its length; `None` when more bytes are needed.
pub(super) fn read_variable(bytes: &[u8]) -> Result<Option<(u32, usize)>, Malformed> {
    let mut value = 0;
    for (index, byte) in bytes.iter().take(4).enumerate() {
        value |= u32::from(byte & 0x7F) << (7 * index);
        if byte & 0x80 == 0 {
            return Ok(Some((value, index + 1)));
        }
    }
    if bytes.len() >= 4 {
        return Err(Malformed("a length has more than four bytes"));
    }
    Ok(None)
}

/// Puts data types one after the other. What does not fit is counted and left out.
pub(super) struct Writer<'b> {
    into: &'b mut [u8],
    length: usize,
}

impl<'b> Writer<'b> {
    pub(super) const fn new(into: &'b mut [u8]) -> Self {
        Self { into, length: 0 }
    }

    /// How many bytes were put, whether they fitted or not.
    pub(super) const fn length(&self) -> usize {
        self.length
    }

    pub(super) fn bytes(&mut self, bytes: &[u8]) {
        let end = self.length.saturating_add(bytes.len());
        if let Some(place) = self.into.get_mut(self.length..end) {
            place.copy_from_slice(bytes);
        }
        self.length = end;
    }

    pub(super) fn byte(&mut self, byte: u8) {
        self.bytes(&[byte]);
    }

    pub(super) fn two_bytes(&mut self, value: u16) {
        self.bytes(&value.to_be_bytes());
    }

    pub(super) fn four_bytes(&mut self, value: u32) {
        self.bytes(&value.to_be_bytes());
    }

    /// Writes at most [`LARGEST_VARIABLE`].
    pub(super) fn variable(&mut self, value: usize) {
        let mut value = u32::try_from(value)
            .unwrap_or(u32::MAX)
            .min(LARGEST_VARIABLE);
        loop {
            let low = (value & 0x7F) as u8;
            value >>= 7;
            if value == 0 {
                return self.byte(low);
            }
            self.byte(low | 0x80);
        }
    }

    /// Writes a text or bytes in pieces, with their length before them. They are at most 65,535 bytes
    /// long; what is longer is cut, and was refused before.
    pub(super) fn binary(&mut self, pieces: &[&[u8]]) {
        let length = pieces.iter().map(|piece| piece.len()).sum::<usize>();
        self.two_bytes(u16::try_from(length).unwrap_or(u16::MAX));
        let mut left = usize::from(u16::MAX);
        for piece in pieces {
            let fitting = piece.len().min(left);
            self.bytes(&piece[..fitting]);
            left -= fitting;
        }
    }

    /// Writes what `content` writes, with its length before it.
    pub(super) fn counted(&mut self, content: &dyn Fn(&mut Writer<'_>)) {
        let mut counter = Writer::new(&mut []);
        content(&mut counter);
        self.variable(counter.length);
        content(self);
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn variable_lengths_are_written_as_the_standard_shows() {
        let cases: [(usize, &[u8]); 8] = [
            (0, &[0]),
            (127, &[0x7F]),
            (128, &[0x80, 0x01]),
            (16_383, &[0xFF, 0x7F]),
            (16_384, &[0x80, 0x80, 0x01]),
            (2_097_151, &[0xFF, 0xFF, 0x7F]),
            (2_097_152, &[0x80, 0x80, 0x80, 0x01]),
            (268_435_455, &[0xFF, 0xFF, 0xFF, 0x7F]),
        ];
        for (value, bytes) in cases {
            let mut buffer = [0; 4];
            let mut writer = Writer::new(&mut buffer);
            writer.variable(value);
            let length = writer.length();
            assert_eq!(&buffer[..length], bytes);
            assert_eq!(read_variable(bytes), Ok(Some((value as u32, bytes.len()))));
        }
        assert_eq!(read_variable(&[0x80, 0x80]), Ok(None));
        assert!(read_variable(&[0x80, 0x80, 0x80, 0x80]).is_err());
    }

    proptest! {
        #[test]
        fn what_is_written_is_read_again(text in "[^\0]{0,40}", two: u16, four: u32, cut in 0usize..60) {
            let mut buffer = [0; 256];
            let mut writer = Writer::new(&mut buffer);
            let (before, after) = text.as_bytes().split_at(text.len() / 2);
            writer.binary(&[before, after]);
            writer.two_bytes(two);
            writer.four_bytes(four);
            writer.counted(&|writer| writer.bytes(&[7; 200]));
            let length = writer.length();
            if length <= 256 {
                let mut reader = Reader::new(&buffer[..length]);
                prop_assert_eq!(reader.text(), Ok(text.as_str()));
                prop_assert_eq!(reader.two_bytes(), Ok(two));
                prop_assert_eq!(reader.four_bytes(), Ok(four));
                prop_assert_eq!(reader.variable(), Ok(200));
                prop_assert_eq!(reader.rest(), [7u8; 200]);
            }
            let mut small = [0; 59];
            let mut writer = Writer::new(&mut small[..cut]);
            writer.binary(&[text.as_bytes()]);
            prop_assert_eq!(writer.length(), 2 + text.len());
        }
    }
}
