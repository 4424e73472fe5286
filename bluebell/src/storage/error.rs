//! What can go wrong with the store, one enum per operation.

use core::fmt;

use super::mailbox::Failure;
use super::map::MapError;

/// Why a value could not be read.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ReadError {
    /// The value has more bytes than the buffer that was given.
    BufferTooSmall {
        /// How many bytes the value has.
        needed: usize,
    },
    /// The flash failed or was taken away.
    Flash,
}

impl fmt::Display for ReadError {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::BufferTooSmall { needed } => {
                write!(
                    formatter,
                    "the value has {needed} bytes: read it with a larger buffer"
                )
            }
            Self::Flash => formatter.write_str("the flash failed: try again, then check the board"),
        }
    }
}

impl core::error::Error for ReadError {}

/// Why a value could not be stored or forgotten. What was stored before is still there.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum WriteError {
    /// The value has more bytes than the store takes.
    TooLong {
        /// How many bytes it takes.
        most: usize,
    },
    /// There is no room left.
    Full,
    /// The flash failed or was taken away; whether the new value is there shows at the next reading.
    Flash,
}

impl fmt::Display for WriteError {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::TooLong { most } => {
                write!(
                    formatter,
                    "a value may have at most {most} bytes: shorten it"
                )
            }
            Self::Full => formatter.write_str("the store is full: forget something first"),
            Self::Flash => formatter.write_str("the flash failed: try again, then check the board"),
        }
    }
}

impl core::error::Error for WriteError {}

/// Why a flash image cannot be used as it is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Unreadable {
    /// The layout does not fit the flash: whole sectors of 4 KiB, at least two each, inside of it.
    Layout,
    /// It is not empty, and nothing in it is of this store.
    Foreign,
    /// It was written by a newer version of the framework.
    Version(u32),
    /// It was a store, and so much of it is damaged that it cannot be repaired.
    Damaged,
    /// The flash could not be read.
    Flash,
}

impl fmt::Display for Unreadable {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Layout => formatter.write_str(
                "the flash layout is wrong: give store, log and outbox two sectors of 4 KiB each",
            ),
            Self::Foreign => {
                formatter.write_str("the flash holds something else: erase it, or start afresh")
            }
            Self::Version(version) => write!(
                formatter,
                "the store has format {version}, from a newer framework: update, or start afresh"
            ),
            Self::Damaged => {
                formatter.write_str("the store is damaged beyond repair: start afresh")
            }
            Self::Flash => formatter.write_str("the flash cannot be read: check the board"),
        }
    }
}

impl core::error::Error for Unreadable {}

/// Why a value could not be put into an image.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum OfflineError {
    /// The image cannot be used.
    Image(Unreadable),
    /// The value cannot be stored.
    Write(WriteError),
}

impl fmt::Display for OfflineError {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Image(error) => error.fmt(formatter),
            Self::Write(error) => error.fmt(formatter),
        }
    }
}

impl core::error::Error for OfflineError {}

impl From<Failure> for ReadError {
    fn from(failure: Failure) -> Self {
        match failure {
            Failure::BufferTooSmall { needed } => Self::BufferTooSmall { needed },
            Failure::TooLong { .. } | Failure::Full | Failure::Flash | Failure::Withdrawn => {
                Self::Flash
            }
        }
    }
}

impl From<Failure> for WriteError {
    fn from(failure: Failure) -> Self {
        match failure {
            Failure::TooLong { most } => Self::TooLong { most },
            Failure::Full => Self::Full,
            Failure::BufferTooSmall { .. } | Failure::Flash | Failure::Withdrawn => Self::Flash,
        }
    }
}

impl From<MapError> for OfflineError {
    fn from(error: MapError) -> Self {
        match error {
            MapError::Full => Self::Write(WriteError::Full),
            MapError::Flash => Self::Write(WriteError::Flash),
            MapError::Damaged => Self::Image(Unreadable::Damaged),
        }
    }
}
