//! A QR code that puts a phone on the device's access point, for a console and for a picture.
//!
//! Guarantees: whatever the network and its password are called, a phone reads the same; a code that would
//! not fit is left out and nothing else changes.

mod symbol;

use core::fmt::{self, Write};

use heapless::String;

use self::symbol::{BUFFER, LARGEST, Symbol};

/// 32 bytes of name and 63 of password, each with its escape, and the words around them.
const TEXT: usize = 2 * (32 + 64) + 24;
/// How many empty modules there have to be around a code (ISO/IEC 18004).
const QUIET: i32 = 4;
/// How many there are on a console, whose dark edge stands out: enough for phones.
const MARGIN: i32 = 2;

/// The room that a [`Code`] needs.
pub type Buffer = [u8; BUFFER];

/// Room for a [`Code`], still empty.
#[must_use]
pub const fn buffer() -> Buffer {
    [0; BUFFER]
}

/// The code of one network.
pub struct Code<'b>(Symbol<'b>);

impl fmt::Debug for Code<'_> {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        // It holds the password.
        write!(formatter, "Code({} modules)", self.0.size())
    }
}

impl<'b> Code<'b> {
    /// The longest row of [`Code::write_row`], in bytes.
    pub const ROW: usize = (LARGEST as usize + 2 * MARGIN as usize) * '█'.len_utf8() + 2;

    /// The code that puts a phone on this network; `None` when it does not fit.
    pub fn new(ssid: &str, password: &str, buffer: &'b mut Buffer) -> Option<Self> {
        let text = text(ssid, password).ok()?;
        Symbol::new(text.as_bytes(), buffer).map(Self)
    }

    /// How many rows of text the code takes on a console.
    #[must_use]
    pub fn rows(&self) -> i32 {
        (self.0.size() + 2 * MARGIN).div_euclid(2) + 1
    }

    /// Writes one row, with its line end, as blocks for a console with light text on dark ground: each
    /// character is two modules, one above the other.
    ///
    /// # Errors
    ///
    /// When `out` fails.
    pub fn write_row(&self, row: i32, out: &mut dyn Write) -> fmt::Result {
        let y = 2 * row - MARGIN;
        for x in -MARGIN..self.0.size() + MARGIN {
            // What is outside of the code is ground.
            out.write_char(match (self.0.is_dark(x, y), self.0.is_dark(x, y + 1)) {
                (false, false) => '█',
                (false, true) => '▀',
                (true, false) => '▄',
                (true, true) => ' ',
            })?;
        }
        out.write_str("\r\n")
    }

    /// Writes the code as a picture (SVG), black on white with its quiet ground.
    ///
    /// # Errors
    ///
    /// When `out` fails.
    pub fn write_svg(&self, out: &mut dyn Write) -> fmt::Result {
        let size = self.0.size();
        let side = size + 2 * QUIET;
        write!(
            out,
            "<svg xmlns=\"http://www.w3.org/2000/svg\" viewBox=\"{0} {0} {side} {side}\" \
             shape-rendering=\"crispEdges\"><path fill=\"#fff\" d=\"M{0} {0}h{side}v{side}H{0}z\"/>\
             <path d=\"",
            -QUIET
        )?;
        for y in 0..size {
            for x in (0..size).filter(|x| self.0.is_dark(*x, y)) {
                write!(out, "M{x} {y}h1v1h-1z")?;
            }
        }
        out.write_str("\"/></svg>")
    }
}

/// The text that phones understand as a network to join (the "MECARD-like" form of ZXing, which Android
/// and iOS read).
fn text(ssid: &str, password: &str) -> Result<String<TEXT>, fmt::Error> {
    let mut text = String::new();
    let kind = if password.is_empty() { "nopass" } else { "WPA" };
    write!(text, "WIFI:T:{kind};S:")?;
    escaped(ssid, &mut text)?;
    if !password.is_empty() {
        text.write_str(";P:")?;
        escaped(password, &mut text)?;
    }
    text.write_str(";;")?;
    Ok(text)
}

fn escaped(value: &str, out: &mut dyn Write) -> fmt::Result {
    value.chars().try_for_each(|character| {
        if matches!(character, '\\' | ';' | ',' | ':' | '"') {
            out.write_char('\\')?;
        }
        out.write_char(character)
    })
}

#[cfg(test)]
mod tests {
    use std::string::String;
    use std::vec::Vec;

    use super::*;

    #[test]
    fn the_text_says_what_phones_understand() {
        for (ssid, password, expected) in [
            (
                "bluebell-1",
                "abcd2345",
                "WIFI:T:WPA;S:bluebell-1;P:abcd2345;;",
            ),
            ("a;b", "\\\":,x", "WIFI:T:WPA;S:a\\;b;P:\\\\\\\"\\:\\,x;;"),
            ("open", "", "WIFI:T:nopass;S:open;;"),
        ] {
            assert_eq!(text(ssid, password).unwrap(), expected);
        }
    }

    #[test]
    fn the_longest_names_have_a_code_too() {
        let (ssid, password) = (";".repeat(32), "\\".repeat(63));
        let mut room = buffer();
        let code = Code::new(&ssid, &password, &mut room).unwrap();
        for row in 0..code.rows() {
            let mut line = String::new();
            code.write_row(row, &mut line).unwrap();
            assert!(line.len() <= Code::ROW);
        }
    }

    #[test]
    fn blocks_and_picture_show_the_same_code() {
        let (mut shown, mut picture) = (String::new(), String::new());
        let mut room = buffer();
        let code = Code::new("bluebell-1", "abcd2345efgh", &mut room).unwrap();
        for row in 0..code.rows() {
            code.write_row(row, &mut shown).unwrap();
        }
        code.write_svg(&mut picture).unwrap();
        let mut dark = Vec::new();
        for (row, line) in shown.lines().enumerate() {
            for (column, character) in line.chars().enumerate() {
                let (x, y) = (column as i32 - 2, 2 * row as i32 - 2);
                if matches!(character, '▄' | ' ') {
                    dark.push((y, x));
                }
                if matches!(character, '▀' | ' ') {
                    dark.push((y + 1, x));
                }
            }
        }
        dark.sort_unstable();
        let expected: String = dark
            .iter()
            .map(|(y, x)| std::format!("M{x} {y}h1v1h-1z"))
            .collect();
        assert!(picture.contains(&std::format!("d=\"{expected}\"")));
        // A finder pattern stands in the corner.
        assert!(dark.contains(&(0, 0)) && dark.contains(&(6, 6)) && !dark.contains(&(1, 1)));
    }
}
