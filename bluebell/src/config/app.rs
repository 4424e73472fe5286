//! The application's own values, from the section `[app]`.
//!
//! Bounded: at most 8 values, keys of at most 32 letters, digits, `_` and `-`, texts of at most 64 bytes.

use heapless::{String, Vec};

/// One value of the application, as it was written.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Value<'c> {
    /// A string.
    Text(&'c str),
    /// A whole number.
    Integer(i64),
    /// `true` or `false`.
    Bool(bool),
}

impl<'c> Value<'c> {
    /// The string, if it is one.
    #[must_use]
    pub const fn text(self) -> Option<&'c str> {
        match self {
            Self::Text(text) => Some(text),
            Self::Integer(_) | Self::Bool(_) => None,
        }
    }

    /// The number, if it is one.
    #[must_use]
    pub const fn integer(self) -> Option<i64> {
        match self {
            Self::Integer(number) => Some(number),
            Self::Text(_) | Self::Bool(_) => None,
        }
    }

    /// The truth value, if it is one.
    #[must_use]
    pub const fn bool(self) -> Option<bool> {
        match self {
            Self::Bool(value) => Some(value),
            Self::Text(_) | Self::Integer(_) => None,
        }
    }
}

#[derive(Debug, Clone, PartialEq)]
enum Kept {
    Text(String<64>),
    Integer(i64),
    Bool(bool),
}

/// All values of the application.
#[derive(Debug, Clone, PartialEq, Default)]
pub struct AppValues(Vec<(String<32>, Kept), 8>);

impl AppValues {
    /// How many values there may be.
    pub const MAX: usize = 8;

    /// The value of a key.
    #[must_use]
    pub fn get(&self, key: &str) -> Option<Value<'_>> {
        let (_, kept) = self.0.iter().find(|(name, _)| name == key)?;
        Some(match kept {
            Kept::Text(text) => Value::Text(text),
            Kept::Integer(number) => Value::Integer(*number),
            Kept::Bool(value) => Value::Bool(*value),
        })
    }

    /// How many values there are.
    #[must_use]
    pub fn len(&self) -> usize {
        self.0.len()
    }

    /// Whether there are none.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// Adds a value whose key is new; false when key or text is too long, or there is no room.
    pub(super) fn add(&mut self, key: &str, value: Value<'_>) -> bool {
        let Ok(key) = String::try_from(key) else {
            return false;
        };
        let kept = match value {
            Value::Text(text) => match String::try_from(text) {
                Ok(text) => Kept::Text(text),
                Err(_) => return false,
            },
            Value::Integer(number) => Kept::Integer(number),
            Value::Bool(value) => Kept::Bool(value),
        };
        self.0.push((key, kept)).is_ok()
    }
}
