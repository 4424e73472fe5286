//! What is kept of a crash over the reset that follows it: a text with a mark and a check sum.
//!
//! Guarantees: memory that holds no record, or a damaged one, reads as none; a record that is taken is
//! gone; one that does not fit is cut at a character.

use core::fmt;

/// The longest text in bytes.
pub const TEXT: usize = 480;
/// How many addresses of the stack a record shows.
pub const ADDRESSES: usize = 12;

/// Any number that uninitialised memory is unlikely to hold.
const MARK: u32 = 0xb1be_11c5;

/// A place for one record, in memory that a reset leaves alone.
#[derive(Debug, Clone, PartialEq, Eq)]
#[repr(C)]
pub struct Record {
    mark: u32,
    length: u32,
    check: u32,
    text: [u8; TEXT],
}

impl Record {
    /// A place without a record.
    #[must_use]
    pub const fn new() -> Self {
        Self {
            mark: 0,
            length: 0,
            check: 0,
            text: [0; TEXT],
        }
    }

    /// Keeps what happened: the panic's message and place, then the addresses, a line each. Addresses are written as
    /// espflash's monitor knows them.
    pub fn keep(&mut self, message: fmt::Arguments<'_>, place: Option<(&str, u32)>, stack: &[u32]) {
        self.mark = 0;
        let mut writer = Writer {
            text: &mut self.text,
            length: 0,
            most: TEXT - 16 - 11 * stack.len().min(ADDRESSES) - 64,
        };
        // A writer that is full drops the rest, and says no error.
        let _ = fmt::write(&mut writer, message);
        writer.most = TEXT;
        if let Some((file, line)) = place {
            let _ = fmt::write(&mut writer, format_args!("\nat {}:{line}", tail(file)));
        }
        if !stack.is_empty() {
            let _ = fmt::write(&mut writer, format_args!("\nstack"));
            for address in stack.iter().take(ADDRESSES) {
                let _ = fmt::write(&mut writer, format_args!(" {address:#010x}"));
            }
        }
        let length = writer.length;
        self.length = length as u32;
        self.check = check(&self.text[..length]);
        self.mark = MARK;
    }

    /// Takes the record out, as UTF-8 text of one to three lines; `None` when there is none.
    pub fn take(&mut self) -> Option<&str> {
        let marked = core::mem::replace(&mut self.mark, 0) == MARK;
        let text = self.text.get(..usize::try_from(self.length).ok()?)?;
        let whole = marked && check(text) == self.check;
        core::str::from_utf8(text).ok().filter(|_| whole)
    }
}

impl Default for Record {
    fn default() -> Self {
        Self::new()
    }
}

/// The end of a path, which tells most.
fn tail(file: &str) -> &str {
    const MOST: usize = 48;
    let from = file.len().saturating_sub(MOST);
    (from..=file.len())
        .find_map(|index| file.get(index..))
        .unwrap_or(file)
}

/// 32 bits of FNV-1a.
fn check(bytes: &[u8]) -> u32 {
    bytes.iter().fold(0x811c_9dc5, |hash, byte| {
        (hash ^ u32::from(*byte)).wrapping_mul(0x0100_0193)
    })
}

struct Writer<'t> {
    text: &'t mut [u8; TEXT],
    length: usize,
    most: usize,
}

impl fmt::Write for Writer<'_> {
    fn write_str(&mut self, text: &str) -> fmt::Result {
        for character in text.chars() {
            let mut bytes = [0; 4];
            // A message of several lines is one line of the record.
            let character = if character == '\n' && self.most < TEXT {
                ' '
            } else {
                character
            };
            let bytes = character.encode_utf8(&mut bytes).as_bytes();
            let end = self.length + bytes.len();
            if end > self.most {
                break;
            }
            self.text[self.length..end].copy_from_slice(bytes);
            self.length = end;
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_crash_is_told_once_with_its_place_and_its_stack() {
        let mut record = Record::new();
        record.keep(
            format_args!("index out of bounds: {}", 7),
            Some(("src/main.rs", 12)),
            &[0x4200_1234, 0x4200_5678],
        );
        assert_eq!(
            record.take(),
            Some("index out of bounds: 7\nat src/main.rs:12\nstack 0x42001234 0x42005678")
        );
        assert_eq!(record.take(), None);
    }

    #[test]
    fn memory_after_power_on_is_no_record() {
        for byte in [0x00, 0xff, 0xa5] {
            let word = u32::from_le_bytes([byte; 4]);
            let mut record = Record {
                mark: word,
                length: word,
                check: word,
                text: [byte; TEXT],
            };
            assert_eq!(record.take(), None);
        }
    }

    #[test]
    fn a_damaged_record_is_none() {
        let mut record = Record::new();
        record.keep(format_args!("stopped"), None, &[]);
        for damage in [
            |record: &mut Record| record.text[3] ^= 1,
            |record: &mut Record| record.length -= 1,
            |record: &mut Record| record.length = u32::MAX,
            |record: &mut Record| record.check ^= 0x8000,
        ] {
            let mut damaged = record.clone();
            damage(&mut damaged);
            assert_eq!(damaged.take(), None);
        }
        assert_eq!(record.take(), Some("stopped"));
    }

    #[test]
    fn a_long_message_leaves_room_for_place_and_stack_and_is_cut_at_a_character() {
        let mut record = Record::new();
        let message = "ä\n".repeat(TEXT);
        let file = "long/".repeat(60) + "file.rs";
        record.keep(
            format_args!("{message}"),
            Some((&file, u32::MAX)),
            &[u32::MAX; 40],
        );
        let text = record.take().unwrap();
        assert_eq!(text.lines().count(), 3);
        assert!(text.contains("file.rs:4294967295\nstack"));
        assert_eq!(text.matches("0xffffffff").count(), ADDRESSES);
    }
}
