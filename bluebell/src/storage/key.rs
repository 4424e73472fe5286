//! The names of stored values.

use core::fmt;

/// The name of a stored value: 1 to 32 printable ASCII characters, not beginning with `!`.
///
/// By custom `area/name`, such as `wifi/0` or `app/setpoint`, so that an area can be listed.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Key {
    // Ordered like the text: unused bytes are zero and so sort first.
    bytes: [u8; Key::MOST],
    length: u8,
}

impl Key {
    /// The most bytes that a key can have.
    pub const MOST: usize = 32;

    /// Takes a name over; `None` when it is empty, too long or has other characters.
    #[must_use]
    pub const fn new(name: &str) -> Option<Self> {
        if !name.is_empty() && name.as_bytes()[0] == b'!' {
            return None;
        }
        Self::any(name)
    }

    /// Takes over a name that stands in the source: `const CONFIG: Key = Key::literal("config.toml");`
    ///
    /// # Panics
    ///
    /// When it is no name for a key; in a `const` that is an error of the build.
    #[must_use]
    pub const fn literal(name: &'static str) -> Self {
        match Self::new(name) {
            Some(key) => key,
            None => panic!("a key is 1 to 32 printable ASCII characters, not beginning with `!`"),
        }
    }

    /// The key `<area>/<number>`; `None` when that is no name for a key.
    #[must_use]
    pub fn numbered(area: &str, number: usize) -> Option<Self> {
        let mut name = heapless::String::<{ Self::MOST }>::new();
        fmt::write(&mut name, format_args!("{area}/{number}")).ok()?;
        Self::new(&name)
    }

    /// The name.
    #[must_use]
    pub fn as_str(&self) -> &str {
        core::str::from_utf8(self.as_bytes()).unwrap_or_default()
    }

    /// A key that may also be one of the store's own.
    pub(super) const fn any(name: &str) -> Option<Self> {
        let from = name.as_bytes();
        if from.is_empty() || from.len() > Self::MOST {
            return None;
        }
        let mut bytes = [0; Self::MOST];
        let mut index = 0;
        while index < from.len() {
            if !from[index].is_ascii_graphic() {
                return None;
            }
            bytes[index] = from[index];
            index += 1;
        }
        Some(Self {
            bytes,
            length: from.len() as u8,
        })
    }

    /// A key from flash, which may be one of the store's own.
    pub(super) fn from_bytes(bytes: &[u8]) -> Option<Self> {
        Self::any(core::str::from_utf8(bytes).ok()?)
    }

    /// Whether the store keeps it for itself.
    pub(super) fn is_own(&self) -> bool {
        self.bytes[0] == b'!'
    }

    pub(super) fn as_bytes(&self) -> &[u8] {
        self.bytes
            .get(..usize::from(self.length))
            .unwrap_or_default()
    }
}

impl fmt::Debug for Key {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str(self.as_str())
    }
}

impl fmt::Display for Key {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str(self.as_str())
    }
}

#[cfg(test)]
mod tests {
    use super::Key;

    #[test]
    fn a_key_is_a_short_printable_name_and_nothing_else() {
        for name in ["wifi/0", "config.toml", "x", &"k".repeat(32)] {
            assert_eq!(Key::new(name).unwrap().as_str(), name);
        }
        for name in ["", "!format", "two words", "zürich", "a\n", &"k".repeat(33)] {
            assert_eq!(Key::new(name), None, "{name:?}");
        }
        assert_eq!(Key::numbered("wifi", 12), Key::new("wifi/12"));
        assert_eq!(Key::numbered(&"w".repeat(31), 1), None);
    }

    #[test]
    fn keys_sort_like_their_names() {
        let mut keys = ["b", "a/10", "a", "a/1"].map(Key::literal);
        keys.sort();
        assert_eq!(
            keys.map(|key| std::string::String::from(key.as_str())),
            ["a", "a/1", "a/10", "b"]
        );
    }
}
