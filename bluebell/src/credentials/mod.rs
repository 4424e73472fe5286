//! Secrets: redacted wherever they could be seen, sealed wherever they are kept.

#[cfg(test)]
mod tests;
mod vault;

pub use vault::{OVERHEAD, OpenError, SECRET_MOST, SealError, Vault, VaultError};

use core::fmt;

use heapless::String;
use zeroize::Zeroize;

/// A text of at most `N` bytes that is never shown and is wiped when it is dropped.
#[derive(Clone, PartialEq, Eq, Default)]
pub struct Secret<const N: usize>(String<N, u8>);

impl<const N: usize> Secret<N> {
    /// Takes over a text; `None` when it has more than `N` bytes.
    #[must_use]
    pub fn new(text: &str) -> Option<Self> {
        String::try_from(text).ok().map(Self)
    }

    /// The text in clear.
    #[must_use]
    pub fn reveal(&self) -> &str {
        &self.0
    }
}

impl<const N: usize> Drop for Secret<N> {
    // Called, not copied to each of the dozens of places where one ends.
    #[inline(never)]
    fn drop(&mut self) {
        self.0.as_mut_str().zeroize();
    }
}

impl<const N: usize> fmt::Debug for Secret<N> {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str("***")
    }
}
