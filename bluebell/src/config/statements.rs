//! Reads a text statement by statement: headers, and keys with their values.
//!
//! Guarantees: whatever the text, memory stays within one path, and the first thing that is wrong ends the
//! reading. Quoted keys are decoded, so that a key has one spelling only. The grammar is that of TOML 1.1,
//! but for arrays, tables within a line, floats and dates, which no key takes.

use core::ops::Range;

use heapless::String;

use super::MAX_TEXT;
use super::error::{ConfigError, ConfigProblem};
use super::scalar::{Scalar, unquote};

/// The longest path, `section.key`, in bytes.
const MAX_PATH: usize = 64;
/// The most keys of a path; those that there are have two.
const MAX_KEYS: u8 = 8;

const ARRAYS: &str = "arrays are not read here: give each value a key of its own";
const INLINE_TABLES: &str = "inline tables are not read here: write a [section]";
const ARRAY_TABLES: &str = "arrays of tables are not read here: write [section], once";
const KEYS: &str = "keys are made of letters, digits, `_` and `-`";
const TOO_MUCH: &str = "there is too much on one line: write one key = value to a line";

/// One statement of a text.
pub(super) struct Statement<'t, 's> {
    /// The line on which it begins.
    pub(super) line: u16,
    /// Its section and key, as in `mqtt.port`; the section alone for a header.
    pub(super) path: &'s str,
    /// The value, or `None` for a header.
    pub(super) value: Option<RawValue<'t>>,
    /// Whether the key itself names its section, as in `mqtt.port = 1` above all headers.
    pub(super) dotted: bool,
}

impl Statement<'_, '_> {
    /// This statement is wrong.
    pub(super) fn wrong(&self, problem: ConfigProblem) -> ConfigError {
        ConfigError::new(self.line, self.path, problem)
    }
}

/// A value as it stands in the text.
#[derive(Clone, Copy)]
pub(super) struct RawValue<'t> {
    text: &'t str,
    start: usize,
}

impl RawValue<'_> {
    /// Where it stands.
    pub(super) fn range(&self) -> Range<usize> {
        self.start..self.start.saturating_add(self.text.len())
    }
}

/// Decodes a statement's value.
pub(super) fn decode(
    statement: &Statement<'_, '_>,
    value: RawValue<'_>,
) -> Result<Scalar, ConfigError> {
    Scalar::decode(value.text).map_err(|problem| statement.wrong(problem))
}

/// Gives every statement of `text` to `visit`.
pub(super) fn read<'t>(
    text: &'t str,
    visit: &mut dyn FnMut(&Statement<'t, '_>) -> Result<(), ConfigError>,
) -> Result<(), ConfigError> {
    if text.len() > MAX_TEXT {
        return Err(ConfigError::new(0, "", ConfigProblem::TextTooLong));
    }
    let mut reader = Reader { text, at: 0 };
    if text.starts_with('\u{feff}') {
        reader.skip('\u{feff}'.len_utf8());
    }
    let mut section = String::<MAX_PATH>::new();
    while reader.peek().is_some() {
        let line = reader.line();
        let mut path = String::new();
        match reader.statement(&section, &mut path) {
            Err(problem) => return Err(ConfigError::new(line, &path, problem)),
            Ok(None) => {}
            Ok(Some(Found { keys, value })) => {
                visit(&Statement {
                    line,
                    path: &path,
                    value,
                    dotted: section.is_empty() && keys > 1,
                })?;
                if value.is_none() {
                    section = path;
                }
            }
        }
    }
    Ok(())
}

/// What a statement is, beside its path.
struct Found<'t> {
    keys: u8,
    value: Option<RawValue<'t>>,
}

/// A text and how far it is read: to the end of a character, unless something is wrong.
struct Reader<'t> {
    text: &'t str,
    at: usize,
}

impl<'t> Reader<'t> {
    fn rest(&self) -> &'t [u8] {
        self.text.as_bytes().get(self.at..).unwrap_or_default()
    }

    fn peek(&self) -> Option<u8> {
        self.rest().first().copied()
    }

    fn skip(&mut self, bytes: usize) {
        self.at = self.at.saturating_add(bytes);
    }

    /// Reads this byte, if it is the next one.
    fn eat(&mut self, byte: u8) -> bool {
        let is_next = self.peek() == Some(byte);
        self.skip(usize::from(is_next));
        is_next
    }

    /// Reads bytes as long as they are `wanted`.
    fn eat_all(&mut self, wanted: fn(u8) -> bool) {
        let length = self.rest().iter().take_while(|byte| wanted(**byte)).count();
        self.skip(length);
    }

    fn eat_blanks(&mut self) {
        self.eat_all(|byte| matches!(byte, b' ' | b'\t'));
    }

    /// What stands between here and where the reading began.
    fn since(&self, start: usize) -> &'t str {
        self.text.get(start..self.at).unwrap_or_default()
    }

    /// The line, from 1, that is being read.
    fn line(&self) -> u16 {
        let newlines = self.since(0).bytes().filter(|byte| *byte == b'\n').count();
        u16::try_from(newlines)
            .unwrap_or(u16::MAX)
            .saturating_add(1)
    }

    /// Reads one statement, to the end of its line; `None` for an empty line.
    fn statement(
        &mut self,
        section: &str,
        path: &mut String<MAX_PATH>,
    ) -> Result<Option<Found<'t>>, ConfigProblem> {
        self.eat_blanks();
        let found = match self.peek() {
            None | Some(b'\n' | b'\r' | b'#') => None,
            Some(b'[') => Some(self.header(path)?),
            Some(_) => Some(self.pair(section, path)?),
        };
        self.end_of_line()?;
        Ok(found)
    }

    fn header(&mut self, path: &mut String<MAX_PATH>) -> Result<Found<'t>, ConfigProblem> {
        self.eat(b'[');
        let is_array = self.eat(b'[');
        let keys = self.keys(path)?;
        if is_array {
            return Err(ConfigProblem::Unsupported(ARRAY_TABLES));
        }
        if !self.eat(b']') {
            return Err(ConfigProblem::Syntax("unclosed table", Some("]")));
        }
        Ok(Found { keys, value: None })
    }

    fn pair(
        &mut self,
        section: &str,
        path: &mut String<MAX_PATH>,
    ) -> Result<Found<'t>, ConfigProblem> {
        // A section is shorter than a path.
        let _ = path.push_str(section);
        let keys = self.keys(path)?;
        if !self.eat(b'=') {
            return Err(ConfigProblem::Syntax("key with no value", Some("=")));
        }
        self.eat_blanks();
        let start = self.at;
        match self.peek() {
            Some(b'[') => return Err(ConfigProblem::Unsupported(ARRAYS)),
            Some(b'{') => return Err(ConfigProblem::Unsupported(INLINE_TABLES)),
            Some(quote @ (b'"' | b'\'')) => self.string(quote)?,
            _ => self.eat_all(|byte| !matches!(byte, b' ' | b'\t' | b'\r' | b'\n' | b'#')),
        }
        let text = self.since(start);
        if text.is_empty() {
            return Err(ConfigProblem::Syntax("key with no value", None));
        }
        let value = Some(RawValue { text, start });
        Ok(Found { keys, value })
    }

    /// Reads keys with dots between them on to the end of `path`, and says how many there are.
    fn keys(&mut self, path: &mut String<MAX_PATH>) -> Result<u8, ConfigProblem> {
        for number in 1..=MAX_KEYS {
            self.eat_blanks();
            let start = self.at;
            let mut key = String::<MAX_PATH>::new();
            match self.peek() {
                // A key is no text of several lines.
                Some(quote @ (b'"' | b'\'')) if !self.rest().starts_with(&[quote; 3]) => {
                    self.string(quote)?;
                    // What does not fit, here and below, makes a path that no key has.
                    unquote(self.since(start), &mut key)?;
                }
                _ => {
                    self.eat_all(is_plain);
                    push(&mut key, self.since(start));
                }
            }
            if key.is_empty() || !key.bytes().all(is_plain) {
                return Err(ConfigProblem::Unsupported(KEYS));
            }
            if !path.is_empty() {
                push(path, ".");
            }
            push(path, &key);
            self.eat_blanks();
            if !self.eat(b'.') {
                return Ok(number);
            }
        }
        Err(ConfigProblem::Unsupported(TOO_MUCH))
    }

    /// Reads to the end of a string that begins here, whatever is in it.
    fn string(&mut self, quote: u8) -> Result<(), ConfigProblem> {
        let is_long = self.rest().starts_with(&[quote; 3]);
        self.skip(if is_long { 3 } else { 1 });
        while let Some(byte) = self.peek() {
            if byte == b'\n' && !is_long {
                break;
            }
            self.skip(1);
            if byte == b'\\' && quote == b'"' && self.peek() != Some(b'\n') {
                self.skip(1);
            } else if byte == quote && !is_long {
                return Ok(());
            } else if byte == quote && self.rest().starts_with(&[quote; 2]) {
                self.skip(2);
                // Up to two quotes stand before those that end it.
                let _ = self.eat(quote) && self.eat(quote);
                return Ok(());
            }
        }
        Err(match quote {
            b'"' => ConfigProblem::Syntax("invalid basic string", Some("\"")),
            _ => ConfigProblem::Syntax("invalid literal string", Some("'")),
        })
    }

    /// Reads a comment and the end of the line.
    fn end_of_line(&mut self) -> Result<(), ConfigProblem> {
        self.eat_blanks();
        if self.eat(b'#') {
            self.eat_all(|byte| byte == b'\t' || !byte.is_ascii_control());
            if !matches!(self.rest(), [] | [b'\n', ..] | [b'\r', b'\n', ..]) {
                return Err(ConfigProblem::Syntax("invalid comment character", None));
            }
        }
        let _ = self.rest().starts_with(b"\r\n") && self.eat(b'\r');
        if self.eat(b'\n') || self.peek().is_none() {
            return Ok(());
        }
        Err(ConfigProblem::Syntax(
            "unexpected key or value",
            Some("the end of the line"),
        ))
    }
}

fn is_plain(byte: u8) -> bool {
    byte.is_ascii_alphanumeric() || byte == b'_' || byte == b'-'
}

/// Appends what fits.
fn push(path: &mut String<MAX_PATH>, text: &str) {
    for character in text.chars() {
        let _ = path.push(character);
    }
}
