//! What a file that is put on the device may be called.

use core::fmt;

use heapless::String;

use crate::fingerprint::Fingerprint;

/// A file's path below the root: 1 to 60 letters, digits, `.`, `_` and `-`, in folders set apart by `/`,
/// and none of the portal's own addresses.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Name(String<{ Self::MOST }>);

impl Name {
    /// The most bytes of a name.
    pub const MOST: usize = 60;

    /// Takes over a name.
    ///
    /// # Errors
    ///
    /// When it is none.
    pub fn new(name: &str) -> Result<Self, NameError> {
        let is_plain = |byte: u8| byte.is_ascii_alphanumeric() || b"._-".contains(&byte);
        let parts_are_plain = name
            .split('/')
            .all(|part| !matches!(part, "" | "." | "..") && part.bytes().all(is_plain));
        if !parts_are_plain {
            return Err(NameError::Characters);
        }
        if crate::portal::is_own_path(name) {
            return Err(NameError::Taken);
        }
        String::try_from(name)
            .map(Self)
            .map_err(|_| NameError::TooLong)
    }

    /// The name.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }

    pub(super) fn fingerprint(&self) -> Fingerprint {
        Fingerprint::EMPTY.and(self.0.as_str().as_bytes())
    }
}

impl fmt::Display for Name {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str(&self.0)
    }
}

/// Why a text is no name of a file.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum NameError {
    /// It has other characters, or an empty part, or one of dots.
    Characters,
    /// It has more than 60 bytes.
    TooLong,
    /// The portal has a page of its own there.
    Taken,
}

impl fmt::Display for NameError {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str(match self {
            Self::Characters => {
                "a file's name has letters, digits, . _ and - between single slashes: rename it"
            }
            Self::TooLong => "a file's name has at most 60 bytes: shorten it",
            Self::Taken => "the portal has a page of its own at this address: rename the file",
        })
    }
}

impl core::error::Error for NameError {}

#[cfg(test)]
mod tests {
    use super::{Name, NameError};

    #[test]
    fn a_name_is_a_plain_path_that_leads_to_no_page_of_the_portal() {
        let long = "n".repeat(60);
        for name in ["index.html", "a", ".x", "css/a-b_c.min.css", &long] {
            assert_eq!(Name::new(name).unwrap().as_str(), name);
        }
        for (name, error) in [
            ("", NameError::Characters),
            ("/a", NameError::Characters),
            ("a/", NameError::Characters),
            ("a//b", NameError::Characters),
            ("a/../b", NameError::Characters),
            (".", NameError::Characters),
            ("a b", NameError::Characters),
            ("a%20b", NameError::Characters),
            ("ø.html", NameError::Characters),
            ("a\\b", NameError::Characters),
            (&"n".repeat(61), NameError::TooLong),
            ("setup", NameError::Taken),
            ("status.json", NameError::Taken),
            ("app/temperature", NameError::Taken),
        ] {
            assert_eq!(Name::new(name), Err(error), "{name}");
        }
    }
}
