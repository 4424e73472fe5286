//! What a value says: strings in TOML's four ways to quote them, whole numbers, `true` and `false`.
//!
//! Guarantees: nothing of a value is repeated in what is said to be wrong with it, because it may be a secret.

use core::str::Chars;

use heapless::String;
use zeroize::Zeroize;

use super::Value;
use super::error::ConfigProblem;

/// The longest value that any key takes, in bytes.
const MAX_VALUE: usize = 64;

const NUMBERS: &str = "floats and dates are not read here: write a whole number or a \"text\"";
const TOO_LARGE: &str = "a whole number of at most 64 bits";

/// A value, wiped when it is dropped.
pub(super) struct Scalar {
    text: String<MAX_VALUE>,
    kind: Kind,
    /// The text was longer than any key takes, and is cut.
    pub(super) too_long: bool,
}

enum Kind {
    Text,
    Integer(i64),
    Bool(bool),
}

impl Scalar {
    /// Decodes a value as it stands in a text.
    pub(super) fn decode(raw: &str) -> Result<Self, ConfigProblem> {
        let mut scalar = Self {
            text: String::new(),
            kind: Kind::Text,
            too_long: false,
        };
        match raw {
            "true" => scalar.kind = Kind::Bool(true),
            "false" => scalar.kind = Kind::Bool(false),
            _ if raw.starts_with(['"', '\'']) => {
                scalar.too_long = !unquote(raw, &mut scalar.text)?;
            }
            _ => scalar.kind = Kind::Integer(integer(raw, &mut scalar.text)?),
        }
        Ok(scalar)
    }

    pub(super) fn value(&self) -> Value<'_> {
        match self.kind {
            Kind::Text => Value::Text(&self.text),
            Kind::Integer(number) => Value::Integer(number),
            Kind::Bool(value) => Value::Bool(value),
        }
    }
}

impl Drop for Scalar {
    fn drop(&mut self) {
        self.text.as_mut_str().zeroize();
    }
}

/// Reads a whole number; `room` is for its digits.
fn integer(raw: &str, room: &mut String<MAX_VALUE>) -> Result<i64, ConfigProblem> {
    let unsigned = raw.strip_prefix(['+', '-']).unwrap_or(raw);
    let (digits, radix) = match raw.as_bytes() {
        [b'0', b'x', ..] => (raw.get(2..), 16),
        [b'0', b'o', ..] => (raw.get(2..), 8),
        [b'0', b'b', ..] => (raw.get(2..), 2),
        _ => (Some(unsigned), 10),
    };
    let digits = digits.unwrap_or_default();
    if !digits.chars().all(|c| c == '_' || c.is_digit(radix)) {
        let like_number = unsigned.starts_with(|c: char| c.is_ascii_digit());
        return Err(match unsigned {
            "inf" | "nan" => ConfigProblem::Unsupported(NUMBERS),
            _ if like_number && radix == 10 => ConfigProblem::Unsupported(NUMBERS),
            _ => ConfigProblem::Syntax("invalid value", None),
        });
    }
    if digits.split('_').any(str::is_empty) {
        return Err(ConfigProblem::Syntax("a digit is missing", None));
    }
    if radix == 10 && digits.len() > 1 && digits.starts_with('0') {
        return Err(ConfigProblem::Syntax("unexpected leading zero", None));
    }
    let sign = if raw.starts_with('-') { "-" } else { "" };
    let fits = core::iter::once(sign)
        .chain(digits.split('_'))
        .all(|part| room.push_str(part).is_ok());
    match i64::from_str_radix(room, radix) {
        Ok(number) if fits => Ok(number),
        _ => Err(ConfigProblem::NotAllowed(TOO_LARGE)),
    }
}

/// Takes the quotes off a string and resolves what is escaped in it; false when it is cut because it does not
/// fit.
pub(super) fn unquote<const N: usize>(
    raw: &str,
    into: &mut String<N>,
) -> Result<bool, ConfigProblem> {
    let is_basic = raw.starts_with('"');
    let is_long = raw.len() >= 6 && (raw.starts_with("\"\"\"") || raw.starts_with("'''"));
    let quotes = if is_long { 3 } else { 1 };
    let mut inner = raw
        .get(quotes..raw.len().saturating_sub(quotes))
        .unwrap_or_default();
    if is_long {
        inner = inner
            .strip_prefix("\r\n")
            .or(inner.strip_prefix('\n'))
            .unwrap_or(inner);
    }
    let mut fits = true;
    let mut rest = inner.chars();
    while let Some(character) = rest.next() {
        let plain = match character {
            '\\' if is_basic && is_long && skip_break(&mut rest) => continue,
            '\\' if is_basic => escaped(&mut rest)?,
            '\n' if is_long => '\n',
            '\r' if is_long && rest.as_str().starts_with('\n') => '\r',
            '\t' => '\t',
            _ if character.is_ascii_control() => {
                return Err(ConfigProblem::Syntax("invalid character in a string", None));
            }
            _ => character,
        };
        fits &= into.push(plain).is_ok();
    }
    Ok(fits)
}

/// Skips the end of a line, with the blanks before it and all that is blank after it; false when there is none.
fn skip_break(rest: &mut Chars<'_>) -> bool {
    let mut after = rest.as_str().trim_start_matches([' ', '\t']);
    let mut found = false;
    while let Some(next) = after
        .strip_prefix("\r\n")
        .or_else(|| after.strip_prefix('\n'))
    {
        found = true;
        after = next.trim_start_matches([' ', '\t']);
    }
    if found {
        *rest = after.chars();
    }
    found
}

/// The character that is meant by what follows a backslash.
fn escaped(rest: &mut Chars<'_>) -> Result<char, ConfigProblem> {
    match rest.next() {
        Some('b') => Ok('\u{8}'),
        Some('e') => Ok('\u{1b}'),
        Some('f') => Ok('\u{c}'),
        Some('n') => Ok('\n'),
        Some('r') => Ok('\r'),
        Some('t') => Ok('\t'),
        Some(character @ ('"' | '\\')) => Ok(character),
        Some('x') => hexadecimal(rest, 2),
        Some('u') => hexadecimal(rest, 4),
        Some('U') => hexadecimal(rest, 8),
        _ => Err(ConfigProblem::Syntax("missing escaped value", None)),
    }
}

fn hexadecimal(rest: &mut Chars<'_>, digits: u8) -> Result<char, ConfigProblem> {
    let mut number = Some(0);
    for _ in 0..digits {
        let digit = rest.next().and_then(|character| character.to_digit(16));
        number = number.zip(digit).map(|(number, digit)| number << 4 | digit);
    }
    number
        .and_then(char::from_u32)
        .ok_or(ConfigProblem::Syntax("invalid escaped value", None))
}
