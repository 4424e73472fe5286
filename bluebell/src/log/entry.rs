//! One line of the log, as it is kept and as it is shown.
//!
//! Guarantees: an entry is one line whatever was written, with control characters escaped; it has at most
//! 256 bytes, and what does not fit ends in an ellipsis; any bytes can be shown.
//!
//! An entry is a byte of length, then the body: a byte of level, clock and length of the source; 5 bytes of
//! time (little endian; milliseconds of uptime, or seconds of UTC from 1970); the source; the message.

use core::fmt::{self, Write as _};

use heapless::String;

use super::Level;
use crate::clock::UnixTime;

/// The most bytes of a line when it is shown.
pub(super) const LINE: usize = 320;

/// The most bytes of an entry.
pub(super) const ENTRY: usize = 256;

/// The most bytes of a source.
const SOURCE: usize = 31;

const ELLIPSIS: &str = "…";

/// When a line was written.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Stamp {
    /// Milliseconds since the device started; its clock was not set.
    Uptime(u64),
    /// Seconds from 1970 in UTC.
    Utc(u64),
}

/// Where an entry is written to, byte by byte.
pub(super) trait Sink {
    /// How many bytes of an entry are there.
    fn length(&self) -> usize;
    /// Adds one byte.
    fn push(&mut self, byte: u8);
    /// Takes bytes back, so that `length` are left.
    fn shorten(&mut self, length: usize);
}

impl<const N: usize> Sink for heapless::Vec<u8, N> {
    fn length(&self) -> usize {
        self.len()
    }

    fn push(&mut self, byte: u8) {
        // The entry's own bound is kept by whoever chooses N.
        let _ = self.push(byte);
    }

    fn shorten(&mut self, length: usize) {
        self.truncate(length);
    }
}

/// Writes the entry but for its first byte, which is its length less one and is known at the end only.
pub(super) fn write_entry(
    sink: &mut dyn Sink,
    most: usize,
    level: Level,
    stamp: Stamp,
    source: &str,
    message: fmt::Arguments<'_>,
) {
    let source = &source[..source.floor_char_boundary(SOURCE)];
    let (clock, time) = match stamp {
        Stamp::Uptime(milliseconds) => (0, milliseconds),
        Stamp::Utc(seconds) => (1, seconds),
    };
    sink.push(0);
    sink.push(level as u8 | clock << 2 | (source.len() as u8) << 3);
    for &byte in time.min((1 << 40) - 1).to_le_bytes().iter().take(5) {
        sink.push(byte);
    }
    for &byte in source.as_bytes() {
        sink.push(byte);
    }
    let mut message_writer = Message {
        whole: sink.length(),
        sink,
        most: most.min(ENTRY),
        full: false,
    };
    // The error only says that the rest was cut off.
    let _ = message_writer.write_fmt(message);
}

/// Writes text as the message of an entry.
struct Message<'a> {
    sink: &'a mut dyn Sink,
    most: usize,
    /// How much would be left in front of an ellipsis.
    whole: usize,
    full: bool,
}

impl Message<'_> {
    fn push(&mut self, character: char) -> fmt::Result {
        let mut bytes = [0; 4];
        let bytes = character.encode_utf8(&mut bytes).as_bytes();
        let length = self.sink.length();
        if length + ELLIPSIS.len() <= self.most {
            self.whole = length;
        }
        if length + bytes.len() > self.most {
            self.full = true;
            self.sink.shorten(self.whole);
            for &byte in ELLIPSIS.as_bytes() {
                self.sink.push(byte);
            }
            return Err(fmt::Error);
        }
        for &byte in bytes {
            self.sink.push(byte);
        }
        Ok(())
    }
}

impl fmt::Write for Message<'_> {
    fn write_str(&mut self, text: &str) -> fmt::Result {
        if self.full {
            return Err(fmt::Error);
        }
        for character in text.chars() {
            let escaped = match character {
                '\t' => 't',
                '\r' => 'r',
                '\n' => 'n',
                _ if character.is_control() => {
                    write!(self, "\\u{{{:x}}}", u32::from(character))?;
                    continue;
                }
                _ => {
                    self.push(character)?;
                    continue;
                }
            };
            self.push('\\')?;
            self.push(escaped)?;
        }
        Ok(())
    }
}

/// Shows an entry's body as a line without an end.
pub(super) fn show(body: &[u8], line: &mut String<LINE>) {
    line.clear();
    // What is cut off is only what does not fit, which the bounds exclude for entries that were written.
    let _ = try_show(body, line);
}

fn try_show(body: &[u8], line: &mut String<LINE>) -> fmt::Result {
    let Some((&[flags, t0, t1, t2, t3, t4], text)) = body.split_first_chunk() else {
        return line.write_str("(damaged line)");
    };
    let time = u64::from_le_bytes([t0, t1, t2, t3, t4, 0, 0, 0]);
    if flags & 1 << 2 == 0 {
        write!(line, "[{:>5}.{:03}]", time / 1000, time % 1000)?;
    } else {
        // It has 40 bits.
        write!(line, "{}", UnixTime::from_seconds(time as i64))?;
    }
    let level = match flags & 3 {
        0 => " ERROR ",
        1 => " WARN  ",
        2 => " INFO  ",
        _ => " DEBUG ",
    };
    line.write_str(level)?;
    let (source, message) = text
        .split_at_checked(usize::from(flags >> 3))
        .unwrap_or((text, &[]));
    write_lossy(line, source)?;
    line.write_str(": ")?;
    write_lossy(line, message)
}

fn write_lossy(line: &mut String<LINE>, bytes: &[u8]) -> fmt::Result {
    for chunk in bytes.utf8_chunks() {
        for character in chunk.valid().chars() {
            line.write_char(if character.is_control() {
                char::REPLACEMENT_CHARACTER
            } else {
                character
            })?;
        }
        if !chunk.invalid().is_empty() {
            line.write_char(char::REPLACEMENT_CHARACTER)?;
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn line(level: Level, stamp: Stamp, source: &str, message: &str) -> std::string::String {
        let mut entry = heapless::Vec::<u8, ENTRY>::new();
        write_entry(
            &mut entry,
            ENTRY,
            level,
            stamp,
            source,
            format_args!("{message}"),
        );
        let mut line = String::new();
        show(&entry[1..], &mut line);
        line.as_str().into()
    }

    #[test]
    fn a_line_shows_uptime_or_utc_then_level_source_and_message() {
        for (stamp, level, expected) in [
            (
                Stamp::Uptime(12_345),
                Level::Warn,
                "[   12.345] WARN  mqtt: gone",
            ),
            (
                Stamp::Uptime(99_999_000),
                Level::Info,
                "[99999.000] INFO  mqtt: gone",
            ),
            (
                Stamp::Uptime(0),
                Level::Error,
                "[    0.000] ERROR mqtt: gone",
            ),
            (
                Stamp::Utc(1_795_352_400),
                Level::Debug,
                "2026-11-22T13:00:00Z DEBUG mqtt: gone",
            ),
            (
                Stamp::Utc(0),
                Level::Info,
                "1970-01-01T00:00:00Z INFO  mqtt: gone",
            ),
            (
                Stamp::Utc(951_782_400),
                Level::Info,
                "2000-02-29T00:00:00Z INFO  mqtt: gone",
            ),
            (
                Stamp::Utc(4_107_542_399),
                Level::Info,
                "2100-02-28T23:59:59Z INFO  mqtt: gone",
            ),
            (
                Stamp::Utc(4_107_542_400),
                Level::Info,
                "2100-03-01T00:00:00Z INFO  mqtt: gone",
            ),
        ] {
            assert_eq!(line(level, stamp, "mqtt", "gone"), expected);
        }
    }

    #[test]
    fn control_characters_are_escaped_so_that_a_line_stays_a_line() {
        let shown = line(
            Level::Info,
            Stamp::Uptime(0),
            "app",
            "a\nb\r\t\u{1b}[2Jc\u{85}ü",
        );
        assert_eq!(
            shown,
            "[    0.000] INFO  app: a\\nb\\r\\t\\u{1b}[2Jc\\u{85}ü"
        );
    }

    #[test]
    fn a_long_line_ends_in_an_ellipsis() {
        let most = ENTRY - "#ltttttapp".len();
        let exact = "x".repeat(most);
        assert!(line(Level::Info, Stamp::Uptime(0), "app", &exact).ends_with(&exact));
        let shown = line(Level::Info, Stamp::Uptime(0), "app", &"x".repeat(most + 1));
        assert!(shown.ends_with(&("x".repeat(most - 3) + "…")));
        let shown = line(Level::Info, Stamp::Uptime(0), "app", &"ü".repeat(200));
        assert!(shown.ends_with("ü…"));
        let shown = line(
            Level::Info,
            Stamp::Uptime(0),
            &"s".repeat(40),
            &"\0".repeat(200),
        );
        assert!(
            shown.ends_with('…') && shown.contains(&("s".repeat(31) + ": ")),
            "{shown}"
        );
    }

    proptest! {
        #[test]
        fn any_text_becomes_one_line_that_is_shown_whole(
            text in "\\PC{0,80}|(?s).{0,300}", source in ".{0,40}", time: u64, utc: bool,
        ) {
            let stamp = if utc { Stamp::Utc(time) } else { Stamp::Uptime(time) };
            let shown = line(Level::Info, stamp, &source, &text);
            prop_assert!(!shown.chars().any(char::is_control));
            if text.len() <= 80 && !text.chars().any(char::is_control) {
                prop_assert!(shown.ends_with(&text), "{:?} in {:?}", text, shown);
            }
        }

        #[test]
        fn any_bytes_can_be_shown(body in proptest::collection::vec(any::<u8>(), 0..255)) {
            let mut line = String::new();
            show(&body, &mut line);
            prop_assert!(!line.chars().any(char::is_control));
        }
    }
}
