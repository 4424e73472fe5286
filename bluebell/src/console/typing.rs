//! What is typed becomes lines, byte by byte.
//!
//! Guarantees: no bytes do harm; a line ends with CR, LF or both, and is counted once; what does not fit
//! is skipped to the end of its line and reported there; what is no longer needed is overwritten.

use zeroize::Zeroize;

/// The longest line that is a command, in bytes.
pub const MOST_LINE: usize = 512;

/// The bytes that a terminal sends for its keys.
const CONTROL_C: u8 = 0x03;
const BACKSPACE: u8 = 0x08;
const CONTROL_U: u8 = 0x15;
const ESCAPE: u8 = 0x1b;
const DELETE: u8 = 0x7f;

/// What a byte has led to.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Event {
    /// The line goes on.
    More,
    /// The line has ended: see [`Typing::line`].
    Line,
    /// The person gives up what was typed (Ctrl-C).
    GivenUp,
}

/// Why what was typed is no line.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum LineError {
    /// It had more bytes than there is room for.
    TooLong,
    /// It is not UTF-8.
    NotText,
}

/// A key that sends several bytes, such as an arrow (ECMA-48, 5.4): it is passed over.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Key {
    Plain,
    Escaped,
    Sequence,
}

/// The line that is being typed, after the lines that were kept.
pub(super) struct Typing<'m> {
    buffer: &'m mut [u8],
    /// Where the line begins; before it is what was kept.
    start: usize,
    end: usize,
    too_long: bool,
    after_return: bool,
    key: Key,
}

impl<'m> Typing<'m> {
    pub(super) fn new(buffer: &'m mut [u8]) -> Self {
        Self {
            buffer,
            start: 0,
            end: 0,
            too_long: false,
            after_return: false,
            key: Key::Plain,
        }
    }

    /// Takes one byte of a line that may have `most` bytes.
    pub(super) fn take(&mut self, byte: u8, most: usize) -> Event {
        let after_return = core::mem::replace(&mut self.after_return, byte == b'\r');
        match (self.key, byte) {
            (Key::Escaped, b'[' | b'O') => {
                self.key = Key::Sequence;
                return Event::More;
            }
            (Key::Sequence, b' '..=b'?') => return Event::More,
            (Key::Sequence, b'@'..=b'~') | (Key::Escaped, b' '..=b'~') => {
                self.key = Key::Plain;
                return Event::More;
            }
            _ => self.key = Key::Plain,
        }
        match byte {
            b'\n' if after_return => {}
            b'\r' | b'\n' => return Event::Line,
            CONTROL_C => return Event::GivenUp,
            CONTROL_U => self.drop_line(),
            ESCAPE => self.key = Key::Escaped,
            BACKSPACE | DELETE => self.drop_character(),
            b'\t' | b' '.. => self.push(byte, most),
            _ => {}
        }
        Event::More
    }

    fn push(&mut self, byte: u8, most: usize) {
        let fits = self.end - self.start < most;
        match self.buffer.get_mut(self.end).filter(|_| fits) {
            Some(place) => {
                *place = byte;
                self.end += 1;
            }
            None => self.too_long = true,
        }
    }

    /// Takes back the last character with all its bytes.
    fn drop_character(&mut self) {
        while self.end > self.start {
            self.end -= 1;
            let Some(place) = self.buffer.get_mut(self.end) else {
                return;
            };
            let byte = core::mem::take(place);
            // 0b10… goes on a character (RFC 3629, 3).
            if byte & 0xc0 != 0x80 {
                return;
            }
        }
    }

    /// The line, once it has ended.
    pub(super) fn line(&self) -> Result<&str, LineError> {
        if self.too_long {
            return Err(LineError::TooLong);
        }
        let line = self.buffer.get(self.start..self.end).unwrap_or_default();
        core::str::from_utf8(line).map_err(|_| LineError::NotText)
    }

    /// Forgets the line; the next one begins.
    pub(super) fn drop_line(&mut self) {
        if let Some(line) = self.buffer.get_mut(self.start..self.end) {
            line.zeroize();
        }
        self.end = self.start;
        self.too_long = false;
    }

    /// Keeps the line as a part of a text; the next one begins. Returns whether there was room.
    pub(super) fn keep_line(&mut self) -> bool {
        let fits = !self.too_long;
        match self.buffer.get_mut(self.end).filter(|_| fits) {
            Some(place) => {
                *place = b'\n';
                self.end += 1;
                self.start = self.end;
                true
            }
            None => {
                self.drop_line();
                false
            }
        }
    }

    /// Keeps as a part of a text what `decode` makes of the line in its place, and returns its length; the
    /// next one begins. The line is dropped when that is nothing.
    pub(super) fn keep_decoded(
        &mut self,
        decode: impl FnOnce(&mut [u8]) -> Option<usize>,
    ) -> Option<usize> {
        let line = self.buffer.get_mut(self.start..self.end)?;
        let Some(length) = decode(line).filter(|length| *length <= line.len()) else {
            self.drop_line();
            return None;
        };
        line[length..].zeroize();
        self.start += length;
        self.end = self.start;
        Some(length)
    }

    /// Forgets the first `count` bytes of what was kept, between two lines.
    pub(super) fn consume(&mut self, count: usize) {
        let count = count.min(self.start);
        self.buffer.copy_within(count..self.start, 0);
        self.start -= count;
        self.end = self.start;
    }

    /// What was kept.
    pub(super) fn text(&self) -> &[u8] {
        self.buffer.get(..self.start).unwrap_or_default()
    }

    /// Forgets everything and gives the memory for something else, until the next byte.
    pub(super) fn clear(&mut self) -> &mut [u8] {
        self.start = 0;
        self.end = 0;
        self.too_long = false;
        self.buffer.zeroize();
        self.buffer
    }
}

#[cfg(test)]
mod tests {
    use std::string::{String, ToString};
    use std::vec::Vec;

    use proptest::prelude::*;

    use super::*;

    /// Types bytes, and tells the lines as `Ok`, what is no line and what was given up.
    fn lines(bytes: &[u8], most: usize) -> Vec<Result<String, String>> {
        let mut buffer = [0; 64];
        let mut typing = Typing::new(&mut buffer);
        let mut lines = Vec::new();
        for &byte in bytes {
            match typing.take(byte, most) {
                Event::More => continue,
                Event::GivenUp => lines.push(Err("GivenUp".to_string())),
                Event::Line => lines.push(match typing.line() {
                    Ok(line) => Ok(line.to_string()),
                    Err(error) => Err(std::format!("{error:?}")),
                }),
            }
            typing.drop_line();
        }
        lines
    }

    #[test]
    fn every_kind_of_line_end_ends_a_line_once() {
        for typed in ["a\nb\n", "a\rb\r", "a\r\nb\r\n", "a\nb\r\n"] {
            let expected = [Ok("a".to_string()), Ok("b".to_string())];
            assert_eq!(lines(typed.as_bytes(), 10), expected, "{typed:?}");
        }
        let blank = Ok(String::new());
        assert_eq!(lines(b"\r\r", 10), [blank.clone(), blank.clone()]);
        assert_eq!(lines(b"\n\n", 10), [blank.clone(), blank]);
    }

    #[test]
    fn keys_edit_the_line_by_whole_characters() {
        for (typed, line) in [
            ("statis\x08\x08us\n", "status"),
            ("Z\u{fc}\x7f\u{fc}rich\n", "Zürich"),
            ("a😀\x08b\n", "ab"),
            ("\x08\x08a\n", "a"),
            ("join x y\x15help\n", "help"),
            ("a\x1b[Ab\x1b[1;5Cc\x1bOPd\x1bxe\n", "abcde"),
            ("a\0\x07b\tc\n", "ab\tc"),
        ] {
            assert_eq!(
                lines(typed.as_bytes(), 20),
                [Ok(line.to_string())],
                "{typed:?}"
            );
        }
    }

    #[test]
    fn a_line_too_long_is_skipped_and_the_next_one_counts() {
        let expected = [Err("TooLong".to_string()), Ok("help".to_string())];
        assert_eq!(lines(b"12345678901 help\nhelp\n", 10), expected);
        let exact = [Ok("1234567890".to_string())];
        assert_eq!(lines(b"1234567890\n", 10), exact);
    }

    #[test]
    fn what_is_no_text_and_what_is_given_up_is_no_line() {
        let expected = [
            Err("NotText".to_string()),
            Err("GivenUp".to_string()),
            Ok("a".to_string()),
        ];
        assert_eq!(lines(b"\xff\xfehelp\nhelp\x03a\n", 10), expected);
    }

    #[test]
    fn kept_lines_become_a_text_and_nothing_of_it_stays_behind() {
        let mut buffer = [0; 12];
        let mut typing = Typing::new(&mut buffer);
        for &byte in b"one\r\n\r\ntwo\r\n" {
            if typing.take(byte, usize::MAX) == Event::Line {
                assert!(typing.keep_line());
            }
        }
        assert_eq!(typing.text(), b"one\n\ntwo\n");
        for &byte in b"three" {
            typing.take(byte, usize::MAX);
        }
        assert_eq!(typing.line(), Err(LineError::TooLong));
        assert!(!typing.keep_line());
        assert_eq!(typing.text(), b"one\n\ntwo\n");
        assert!(typing.clear().iter().all(|byte| *byte == 0));
    }

    proptest! {
        #[test]
        fn any_bytes_are_taken_and_a_line_stays_in_its_bounds(
            bytes: Vec<u8>, most in 0_usize..100, keeps: bool,
        ) {
            let mut buffer = [0; 64];
            let mut typing = Typing::new(&mut buffer);
            for byte in bytes {
                if typing.take(byte, most) != Event::More {
                    if let Ok(line) = typing.line() {
                        prop_assert!(line.len() <= most);
                        prop_assert!(!line.contains(['\r', '\n']));
                    }
                    if keeps {
                        typing.keep_line();
                    } else {
                        typing.drop_line();
                    }
                }
            }
        }
    }
}
