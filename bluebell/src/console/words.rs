//! Words of a line: bare, or in double quotes.

use core::fmt::{self, Write as _};

use heapless::String;
use zeroize::Zeroize;

/// A word of a command, at most as long as a password.
pub(super) type Word = String<64>;

/// Takes a line's words one after the other.
///
/// A bare word ends at a blank and stands for itself. In double quotes `\"`, `\\`, `\n` and `\u{…}` with
/// a character's hexadecimal number stand for what they stand for in Rust.
pub(super) struct Words<'l> {
    rest: &'l str,
}

/// What is wrong with a word.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum WordError {
    /// A double quote is not closed.
    Unclosed,
    /// Something follows a closing quote.
    AfterQuote,
    /// A backslash is followed by something else than it may be.
    Escape,
    /// The word has more than 64 bytes.
    TooLong,
}

impl fmt::Display for WordError {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str(match self {
            Self::Unclosed => "a double quote is not closed: end the word with \"",
            Self::AfterQuote => "a blank is missing after a closing quote: write \\\" for a quote",
            Self::Escape => {
                "an unknown escape: in quotes write \\\" \\\\ \\n or \\u{hexadecimal number}"
            }
            Self::TooLong => "a word is too long: it may have 64 bytes",
        })
    }
}

impl core::error::Error for WordError {}

impl<'l> Words<'l> {
    pub(super) fn new(line: &'l str) -> Self {
        Self { rest: line }
    }

    /// The next word; `None` at the end.
    pub(super) fn next(&mut self) -> Result<Option<Word>, WordError> {
        self.rest = self.rest.trim_start();
        if self.rest.is_empty() {
            return Ok(None);
        }
        let mut word = Word::new();
        let taken = match self.rest.strip_prefix('"') {
            Some(quoted) => self.quoted(quoted, &mut word),
            None => self.bare(&mut word),
        };
        if let Err(error) = taken {
            word.as_mut_str().zeroize();
            return Err(error);
        }
        Ok(Some(word))
    }

    fn bare(&mut self, word: &mut Word) -> Result<(), WordError> {
        let end = self.rest.find(char::is_whitespace);
        let (bare, rest) = self.rest.split_at(end.unwrap_or(self.rest.len()));
        self.rest = rest;
        word.push_str(bare).map_err(|_| WordError::TooLong)
    }

    fn quoted(&mut self, quoted: &'l str, word: &mut Word) -> Result<(), WordError> {
        let mut characters = quoted.chars();
        loop {
            let character = match characters.next().ok_or(WordError::Unclosed)? {
                '"' => break,
                '\\' => escaped(&mut characters)?,
                plain => plain,
            };
            word.push(character).map_err(|_| WordError::TooLong)?;
        }
        self.rest = characters.as_str();
        if self.rest.starts_with(|next: char| !next.is_whitespace()) {
            return Err(WordError::AfterQuote);
        }
        Ok(())
    }
}

fn escaped(characters: &mut core::str::Chars<'_>) -> Result<char, WordError> {
    match characters.next() {
        Some('"') => return Ok('"'),
        Some('\\') => return Ok('\\'),
        Some('n') => return Ok('\n'),
        Some('u') if characters.next() == Some('{') => {}
        _ => return Err(WordError::Escape),
    }
    let mut number = 0_u32;
    for digits in 0..=6 {
        match characters.next() {
            Some('}') if digits > 0 => return char::from_u32(number).ok_or(WordError::Escape),
            Some(digit) if digits < 6 => {
                // Six digits fit 24 bits.
                number = number << 4 | digit.to_digit(16).ok_or(WordError::Escape)?;
            }
            _ => break,
        }
    }
    Err(WordError::Escape)
}

/// A text in double quotes, as a command takes it; nothing in it can steer a terminal.
#[derive(Debug, Clone, Copy)]
pub struct Quoted<'t>(
    /// The text.
    pub &'t str,
);

impl fmt::Display for Quoted<'_> {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_char('"')?;
        for character in self.0.chars() {
            match character {
                '"' | '\\' => {
                    formatter.write_char('\\')?;
                    formatter.write_char(character)?;
                }
                '\n' => formatter.write_str("\\n")?,
                control if control.is_control() => {
                    write!(formatter, "\\u{{{:x}}}", u32::from(control))?;
                }
                plain => formatter.write_char(plain)?,
            }
        }
        formatter.write_char('"')
    }
}

#[cfg(test)]
mod tests {
    use std::string::{String as Text, ToString};
    use std::vec::Vec;

    use proptest::prelude::*;

    use super::*;

    fn words(line: &str) -> Result<Vec<Text>, WordError> {
        let mut words = Words::new(line);
        let mut all = Vec::new();
        while let Some(word) = words.next()? {
            all.push(word.as_str().into());
        }
        Ok(all)
    }

    #[test]
    fn words_are_bare_or_quoted() {
        for (line, expected) in [
            ("", &[][..]),
            (" \t ", &[]),
            ("help", &["help"]),
            ("  join  Home\tsecret ", &["join", "Home", "secret"]),
            (
                r#"join "My Home" "a \"b\" \\ c""#,
                &["join", "My Home", r#"a "b" \ c"#],
            ),
            (
                r#""a\nb" "\u{fc}\u{1F600}\u{0}""#,
                &["a\nb", "\u{fc}\u{1f600}\0"],
            ),
            (r#"join Cafe """#, &["join", "Cafe", ""]),
            (
                r#"join it's pass"word\n"#,
                &["join", "it's", r#"pass"word\n"#],
            ),
            ("Zürich \u{a0}x", &["Zürich", "x"]),
        ] {
            let expected: Vec<Text> = expected.iter().map(ToString::to_string).collect();
            assert_eq!(words(line), Ok(expected), "{line}");
        }
    }

    #[test]
    fn what_is_no_word_is_refused() {
        let long = "x".repeat(65);
        for (line, error) in [
            ("join \"Home", WordError::Unclosed),
            ("join \"Home\\\"", WordError::Unclosed),
            ("join \"Home\"secret", WordError::AfterQuote),
            ("\"\\q\"", WordError::Escape),
            ("\"\\", WordError::Escape),
            ("\"\\u0041\"", WordError::Escape),
            ("\"\\u{}\"", WordError::Escape),
            ("\"\\u{d800}\"", WordError::Escape),
            ("\"\\u{110000}\"", WordError::Escape),
            ("\"\\u{0000041}\"", WordError::Escape),
            ("\"\\u{41", WordError::Escape),
            (&long, WordError::TooLong),
        ] {
            assert_eq!(words(line), Err(error), "{line}");
        }
    }

    proptest! {
        #[test]
        fn what_is_shown_in_quotes_is_taken_back(text in "\\PC{0,16}|[\\x00-\\x1f\"\\\\]{0,20}") {
            let shown = Quoted(&text).to_string();
            prop_assert!(!shown.chars().any(char::is_control));
            prop_assert_eq!(words(&shown), Ok(std::vec![text]));
        }

        #[test]
        fn no_line_does_harm(line in "(?s).{0,200}|[\"\\\\u{}0-9a-f ]{0,40}") {
            let _ = words(&line);
        }
    }
}
