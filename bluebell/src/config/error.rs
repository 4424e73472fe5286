//! What can be wrong with a configuration's text.

use core::fmt;

use heapless::{LenType, String};

/// What is wrong, where, and what would be right.
///
/// `Display` is one line without a secret in it: values are never repeated.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ConfigError {
    /// The line, from 1; 0 when the text as a whole is meant.
    pub line: u16,
    /// The key or section in question, cut to 40 bytes; empty when there is none.
    pub key: String<40, u8>,
    /// What is wrong with it.
    pub problem: ConfigProblem,
}

/// What is wrong with a key, a line or the text.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum ConfigProblem {
    /// The text has more bytes than are read.
    TextTooLong,
    /// The line is not TOML: what is wrong, and what was expected where that is one thing.
    Syntax(&'static str, Option<&'static str>),
    /// The line is TOML that is not read here; the remedy.
    Unsupported(&'static str),
    /// There is no such section.
    UnknownSection,
    /// There is no such key; those that there are.
    UnknownKey(&'static str),
    /// The key stands there already, or the section.
    Duplicate,
    /// The value has another type; what is allowed.
    WrongType(&'static str),
    /// The value is too long; what is allowed.
    TooLong(&'static str),
    /// The value is not allowed; what is.
    NotAllowed(&'static str),
    /// The application has too many values.
    TooManyValues,
}

impl ConfigError {
    pub(super) fn new(line: u16, key: &str, problem: ConfigProblem) -> Self {
        Self {
            line,
            key: cut(key),
            problem,
        }
    }
}

/// As much of a text as fits.
pub(super) fn cut<const N: usize, L: LenType>(text: &str) -> String<N, L> {
    let mut cut = String::new();
    for character in text.chars() {
        if cut.push(character).is_err() {
            break;
        }
    }
    cut
}

impl fmt::Display for ConfigError {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        if self.line > 0 {
            write!(formatter, "line {}: ", self.line)?;
        }
        let key = self.key.as_str();
        match &self.problem {
            ConfigProblem::TextTooLong => write!(
                formatter,
                "the text is longer than {} bytes: shorten its comments",
                super::MAX_TEXT
            ),
            ConfigProblem::Syntax(what, expected) => {
                if !key.is_empty() {
                    write!(formatter, "{key}: ")?;
                }
                write!(formatter, "not TOML, {what}")?;
                match expected {
                    Some(expected) => write!(formatter, ": expected {expected}"),
                    None => {
                        formatter.write_str(": write key = \"text\", a whole number, true or false")
                    }
                }
            }
            ConfigProblem::Unsupported(remedy) => {
                if !key.is_empty() {
                    write!(formatter, "{key}: ")?;
                }
                formatter.write_str(remedy)
            }
            ConfigProblem::UnknownSection => write!(
                formatter,
                "there is no section `{key}`: the sections are device, log, access_point, wifi, mqtt, \
                 clock and app"
            ),
            ConfigProblem::UnknownKey(known) => {
                write!(formatter, "there is no key `{key}`: {known}")
            }
            ConfigProblem::Duplicate => {
                write!(formatter, "`{key}` stands there twice: keep one of them")
            }
            ConfigProblem::WrongType(allowed) => {
                write!(
                    formatter,
                    "{key} has a value of another type: give {allowed}"
                )
            }
            ConfigProblem::TooLong(allowed) => {
                write!(formatter, "{key} is too long: give {allowed}")
            }
            ConfigProblem::NotAllowed(allowed) => {
                write!(
                    formatter,
                    "{key} has a value that is not allowed: give {allowed}"
                )
            }
            ConfigProblem::TooManyValues => write!(
                formatter,
                "{key} is one value too many: an application may have {}",
                super::AppValues::MAX
            ),
        }
    }
}

impl core::error::Error for ConfigError {}
