//! `wifi.json`: networks that a person gives to a device before it is started.
//!
//! Guarantees: a file is taken as a whole or not at all; any bytes may be in it; an error says where
//! and what, and shows nothing of the file; no clear copy of a password stays behind in memory.

use core::fmt;

use heapless::String;
use hifijson::SliceLexer;
use hifijson::escape::Lex as _;
use hifijson::str::LexWrite as _;
use hifijson::token::Lex as _;
use hifijson::{Read as _, escape, str};
use zeroize::Zeroize;

use crate::wifi::{Password, PasswordError, Ssid, SsidError};

/// The longest text that is looked at: a password of 64 digits.
const MOST: usize = 64;

/// A `wifi.json` that has been checked: `{"SSID":"PASSWORD", ...}`, JSON as in RFC 8259.
#[derive(Clone, Copy)]
pub struct Provision<'f> {
    object: &'f [u8],
}

impl<'f> Provision<'f> {
    /// Checks a file from beginning to end. A byte order mark, which some editors write, is passed
    /// over.
    ///
    /// # Errors
    ///
    /// What is wrong with it, and where.
    pub fn new(file: &'f [u8]) -> Result<Self, Error> {
        let object = file.strip_prefix(b"\xEF\xBB\xBF").unwrap_or(file);
        let mut reader = Reader::new(object);
        loop {
            match reader.entry() {
                Ok(Some(_)) => {}
                Ok(None) => return Ok(Self { object }),
                Err(kind) => {
                    let read = object.len().saturating_sub(reader.lexer.as_slice().len());
                    return Err(Error::at(object.get(..read).unwrap_or(object), kind));
                }
            }
        }
    }

    /// The networks, in the file's order. Of several with one name only the last is there.
    pub fn networks(&self) -> impl Iterator<Item = (Ssid, Password)> + 'f {
        let mut reader = Reader::new(self.object);
        core::iter::from_fn(move || {
            loop {
                let (ssid, password) = reader.entry().ok()??;
                let mut rest = reader.fork();
                let again =
                    core::iter::from_fn(|| rest.entry().ok()?).any(|(name, _)| name == ssid);
                if !again {
                    return Some((ssid, password));
                }
            }
        })
    }
}

/// Goes through the object, one entry at a time.
struct Reader<'f> {
    lexer: SliceLexer<'f>,
    begun: bool,
}

impl<'f> Reader<'f> {
    fn new(object: &'f [u8]) -> Self {
        Self {
            lexer: SliceLexer::new(object),
            begun: false,
        }
    }

    /// A second reader at the same place.
    fn fork(&self) -> Self {
        Self {
            lexer: SliceLexer::new(self.lexer.as_slice()),
            begun: self.begun,
        }
    }

    fn entry(&mut self) -> Result<Option<(Ssid, Password)>, ErrorKind> {
        let mut next = self.lexer.ws_peek();
        if self.begun {
            match next {
                Some(b'}') => return self.end(),
                Some(b',') => {
                    self.lexer.take_next();
                    next = self.lexer.ws_peek();
                }
                _ => return Err(ErrorKind::NoComma),
            }
        } else {
            if next != Some(b'{') {
                return Err(ErrorKind::NoObject);
            }
            self.lexer.take_next();
            self.begun = true;
            next = self.lexer.ws_peek();
            if next == Some(b'}') {
                return self.end();
            }
        }
        if next != Some(b'"') {
            return Err(ErrorKind::NoName);
        }
        let ssid = match self.text()? {
            Some(text) => Ssid::new(&text).map_err(ErrorKind::Ssid)?,
            None => return Err(ErrorKind::Ssid(SsidError::TooLong)),
        };
        if self.lexer.ws_peek() != Some(b':') {
            return Err(ErrorKind::NoColon);
        }
        self.lexer.take_next();
        if self.lexer.ws_peek() != Some(b'"') {
            return Err(ErrorKind::NoPassword);
        }
        let mut text = self.text()?.ok_or(ErrorKind::Password(PasswordError))?;
        let password = Password::new(&text).map_err(ErrorKind::Password);
        text.as_mut_str().zeroize();
        Ok(Some((ssid, password?)))
    }

    fn end(&mut self) -> Result<Option<(Ssid, Password)>, ErrorKind> {
        let mut rest = SliceLexer::new(self.lexer.as_slice().get(1..).unwrap_or_default());
        match rest.ws_peek() {
            None => Ok(None),
            Some(_) => Err(ErrorKind::TextAfter),
        }
    }

    /// Reads a string, at its opening quote; `None` when it is longer than [`MOST`] bytes.
    fn text(&mut self) -> Result<Option<String<MOST>>, ErrorKind> {
        self.lexer.take_next();
        let (mut text, fits) = self
            .lexer
            .str_fold(
                (String::new(), true),
                |part, (text, fits): &mut (String<MOST>, bool)| {
                    let part = core::str::from_utf8(part).map_err(str::Error::Utf8)?;
                    *fits &= text.push_str(part).is_ok();
                    Ok::<_, str::Error>(())
                },
                |lexer, (text, fits)| {
                    let kind = lexer.take_next().ok_or(str::Error::Eof)?;
                    *fits &= text.push(lexer.escape(kind)?).is_ok();
                    Ok(())
                },
            )
            .map_err(|error| match error {
                str::Error::Control => ErrorKind::Control,
                str::Error::Escape(escape::Error::Eof) | str::Error::Eof => ErrorKind::NoEnd,
                str::Error::Escape(_) => ErrorKind::Escape,
                str::Error::Utf8(_) => ErrorKind::NotUtf8,
            })?;
        if !fits {
            text.as_mut_str().zeroize();
        }
        Ok(fits.then_some(text))
    }
}

/// What is wrong with a `wifi.json`, and where.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Error {
    /// The line, from 1.
    pub line: usize,
    /// The column in bytes, from 1.
    pub column: usize,
    /// What is wrong.
    pub kind: ErrorKind,
}

impl Error {
    /// An error after the bytes that were read.
    fn at(read: &[u8], kind: ErrorKind) -> Self {
        let line_start = read.iter().rposition(|byte| *byte == b'\n');
        Self {
            line: 1 + read.iter().filter(|byte| **byte == b'\n').count(),
            column: read.len() - line_start.map_or(0, |newline| newline + 1) + 1,
            kind,
        }
    }
}

/// What can be wrong with a `wifi.json`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ErrorKind {
    /// It is no JSON object.
    NoObject,
    /// There is no comma and no closing brace after an entry.
    NoComma,
    /// An entry does not begin with a name in quotes.
    NoName,
    /// There is no colon after a name.
    NoColon,
    /// There is no password in quotes after a colon.
    NoPassword,
    /// The file ends within quotes.
    NoEnd,
    /// A control character, such as a line break, is within quotes.
    Control,
    /// A backslash is followed by something that JSON does not know.
    Escape,
    /// The text in quotes is not UTF-8.
    NotUtf8,
    /// The name is no SSID.
    Ssid(SsidError),
    /// The text is no Wi-Fi password.
    Password(PasswordError),
    /// Something follows the closing brace.
    TextAfter,
}

impl fmt::Display for ErrorKind {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str(match self {
            Self::NoObject => "not a JSON object: write {\"SSID\":\"PASSWORD\", ...}",
            Self::NoComma => "expected a comma or the closing brace after an entry",
            Self::NoName => "expected a network's name in double quotes",
            Self::NoColon => "expected a colon after the network's name",
            Self::NoPassword => {
                "expected the password in double quotes; \"\" for an open network"
            }
            Self::NoEnd => "the file ends within double quotes: close them",
            Self::Control => "a control character within double quotes: write it as \\u and 4 digits",
            Self::Escape => {
                "an unknown escape: use \\\" \\\\ \\/ \\b \\f \\n \\r \\t, or \\u and 4 hexadecimal \
                 digits, in pairs above FFFF"
            }
            Self::NotUtf8 => "the text is not UTF-8: save the file as UTF-8",
            Self::Ssid(error) => return error.fmt(formatter),
            Self::Password(error) => return error.fmt(formatter),
            Self::TextAfter => "nothing may follow the closing brace",
        })
    }
}

impl fmt::Display for Error {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(
            formatter,
            "wifi.json, line {}, column {}: {}",
            self.line, self.column, self.kind
        )
    }
}

impl core::error::Error for Error {}

#[cfg(test)]
mod tests {
    use std::format;
    use std::string::{String, ToString};
    use std::vec::Vec;

    use proptest::prelude::*;

    use super::*;

    fn read(file: &[u8]) -> Result<Vec<(String, String)>, Error> {
        Ok(Provision::new(file)?
            .networks()
            .map(|(ssid, password)| (ssid.as_str().into(), password.reveal().into()))
            .collect())
    }

    fn pairs(expected: &[(&str, &str)]) -> Vec<(String, String)> {
        expected
            .iter()
            .map(|(ssid, password)| (ssid.to_string(), password.to_string()))
            .collect()
    }

    #[test]
    fn networks_are_read_in_order_with_every_escape_of_json() {
        let cases: [(&str, &[(&str, &str)]); 7] = [
            ("{}", &[]),
            (" \r\n\t{ } \n", &[]),
            (r#"{"home":"password"}"#, &[("home", "password")]),
            (
                "\u{feff}{\n \"b\" : \"12345678\" ,\n \"a\":\"\"\n}\n",
                &[("b", "12345678"), ("a", "")],
            ),
            (
                r#"{"Z\u00fcrich \"%41\" \ud83d\ude00":"a\\b\/c\b\f\n\r\t"}"#,
                &[("Zürich \"%41\" 😀", "a\\b/c\u{8}\u{c}\n\r\t")],
            ),
            (
                "{\"Zürich 😀\":\"geheim 100 % \u{7f}\"}",
                &[("Zürich 😀", "geheim 100 % \u{7f}")],
            ),
            (
                r#"{"a":"first one","b":"12345678","\u0061":"last one"}"#,
                &[("b", "12345678"), ("a", "last one")],
            ),
        ];
        for (file, expected) in cases {
            assert_eq!(read(file.as_bytes()), Ok(pairs(expected)), "{file}");
        }
    }

    #[test]
    fn an_error_says_what_and_where_and_the_whole_file_is_refused() {
        use ErrorKind::*;
        let long = format!(r#"{{"{}":""}}"#, "x".repeat(33));
        let very_long = format!(r#"{{"{}":""}}"#, "x".repeat(4000));
        let password = format!(r#"{{"a":"{}"}}"#, "g".repeat(64));
        let cases: [(&[u8], ErrorKind, usize, usize); 26] = [
            (b"", NoObject, 1, 1),
            (b"[]", NoObject, 1, 1),
            (b"\n  ssid=home", NoObject, 2, 3),
            (b"{", NoName, 1, 2),
            (b"{a:\"\"}", NoName, 1, 2),
            (b"{\"a\":\"\",}", NoName, 1, 9),
            (b"{\"a\"}", NoColon, 1, 5),
            (b"{\"a\"", NoColon, 1, 5),
            (b"{\"a\":12345678}", NoPassword, 1, 6),
            (b"{\"a\":null}", NoPassword, 1, 6),
            (b"{\"a\":{\"b\":\"\"}}", NoPassword, 1, 6),
            (b"{\"a\":\"12345678\"", NoComma, 1, 16),
            (b"{\"a\":\"\"\n\"b\":\"\"}", NoComma, 2, 1),
            (b"{\"a\":\"1234", NoEnd, 1, 11),
            (b"{\"a\":\"1234\\", NoEnd, 1, 12),
            (b"{\"a\":\"1234\\u12", NoEnd, 1, 15),
            (b"{\"a\nb\":\"\"}", Control, 2, 1),
            (b"{\"a\":\"\\x\"}", Escape, 1, 9),
            (b"{\"a\":\"\\u+123\"}", Escape, 1, 10),
            (b"{\"a\":\"\\ud83d\"}", Escape, 1, 13),
            (b"{\"a\":\"\\ude00\"}", Escape, 1, 13),
            (b"{\"a\":\"\xff\xfe1234567\"}", NotUtf8, 1, 16),
            (b"{\"\":\"\"}", Ssid(SsidError::Empty), 1, 4),
            (long.as_bytes(), Ssid(SsidError::TooLong), 1, 37),
            (very_long.as_bytes(), Ssid(SsidError::TooLong), 1, 4004),
            (b"{} {}", TextAfter, 1, 2),
        ];
        for (file, kind, line, column) in cases {
            let error = Error { line, column, kind };
            assert_eq!(read(file), Err(error), "{}", String::from_utf8_lossy(file));
        }
        let error = read(password.as_bytes()).unwrap_err();
        assert_eq!(error.kind, Password(PasswordError));
        assert!(
            error
                .to_string()
                .starts_with("wifi.json, line 1, column 72: the password")
        );
        assert!(!error.to_string().contains("gggg"));
    }

    #[test]
    fn one_bad_entry_among_good_ones_refuses_the_file() {
        assert!(read(br#"{"a":"12345678","b":"short"}"#).is_err());
    }

    proptest! {
        #[test]
        fn whatever_a_json_writer_writes_comes_back_byte_for_byte(
            ssid in "\\PC{1,8}", password in "\\PC{8,15}", escaped: bool
        ) {
            let quote = |text: &str| -> String {
                text.chars().fold(String::new(), |mut out, letter| {
                    if escaped || letter == '"' || letter == '\\' || letter < ' ' {
                        let mut units = [0; 2];
                        for unit in letter.encode_utf16(&mut units) {
                            out += &format!("\\u{unit:04x}");
                        }
                    } else {
                        out.push(letter);
                    }
                    out
                })
            };
            let file = format!(r#"{{"{}":"{}"}}"#, quote(&ssid), quote(&password));
            prop_assert_eq!(read(file.as_bytes()), Ok(pairs(&[(&ssid, &password)])));
        }

        #[test]
        fn no_bytes_make_it_panic(file: Vec<u8>, cut: usize) {
            let _ = read(&file);
            let good = br#"{"a b":"12345678\ud83d\ude00","c":""}"#;
            prop_assert_eq!(read(&good[..cut % good.len()]).is_ok(), false);
        }
    }
}
