//! What is remembered of a network, and where.

use core::fmt;

use super::{Password, Sighting, Ssid};

/// Where stored networks are kept, sealed: [`super::MAX_NETWORKS`] places, numbered from 0.
pub trait Keep {
    /// Reads a place; `None` when it is empty.
    ///
    /// # Errors
    ///
    /// When what is there cannot be read; the place then counts as free.
    async fn load(&self, slot: u8) -> Result<Option<StoredNetwork>, KeepError>;

    /// Writes a place, at once or not at all, whatever the power does.
    ///
    /// # Errors
    ///
    /// When nothing was written; what was there before stays.
    async fn save(&self, slot: u8, network: &StoredNetwork) -> Result<(), KeepError>;

    /// Empties a place, so that its password can no longer be read.
    ///
    /// # Errors
    ///
    /// When the place is as it was.
    async fn forget(&self, slot: u8) -> Result<(), KeepError>;
}

/// A network that the device remembers.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct StoredNetwork {
    /// Its name.
    pub ssid: Ssid,
    /// Its password.
    pub password: Password,
    /// Whether the device has ever had an address on it with this password.
    pub proven: bool,
    /// Whether it was joined without being heard by its name.
    pub hidden: bool,
    /// Counts up with each change of network: the highest is the one joined last; 0 for never.
    pub used: u32,
    /// The access point that was joined last.
    pub place: Option<Place>,
}

/// Where an access point is found.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Place {
    /// Its hardware address.
    pub bssid: [u8; 6],
    /// Its channel.
    pub channel: u8,
}

impl Place {
    /// Where something was heard.
    #[must_use]
    pub const fn of(sighting: &Sighting) -> Self {
        Self {
            bssid: sighting.bssid,
            channel: sighting.channel,
        }
    }
}

/// The store did not do what it was asked.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum KeepError {
    /// What is stored there is damaged or was sealed with another key.
    Damaged,
    /// The flash could not be read or written.
    Flash,
    /// There is no room left.
    Full,
}

impl fmt::Display for KeepError {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str(match self {
            Self::Damaged => "it is damaged or sealed with another key: give the password again",
            Self::Flash => "the flash does not answer: cycle the power, then replace it",
            Self::Full => "the store is full: forget what is no longer needed",
        })
    }
}

impl core::error::Error for KeepError {}
