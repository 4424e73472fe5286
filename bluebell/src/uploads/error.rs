//! What can go wrong with files that are put on the device.

use core::fmt;

use super::{MOST_BYTES, MOST_FILES};
use crate::storage::{ReadError, WriteError};

/// Why a file was not put on the device. What was there before still is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum PutError {
    /// The file has more than 16 KB.
    TooLong,
    /// There are as many files as there may be.
    TooMany,
    /// There are more bytes than were announced, or fewer.
    Length {
        /// How many were announced.
        expected: usize,
        /// How many came.
        found: usize,
    },
    /// A line is not base64.
    Base64,
    /// A line is longer than there is room for, or no text.
    Line,
    /// No file was begun.
    NotBegun,
    /// The store did not take it.
    Write(WriteError),
}

impl fmt::Display for PutError {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::TooLong => write!(
                formatter,
                "the file is longer than {MOST_BYTES} bytes: make it smaller, or pack it into the firmware"
            ),
            Self::TooMany => write!(
                formatter,
                "there are {MOST_FILES} files already: remove one first"
            ),
            Self::Length { expected, found } => write!(
                formatter,
                "{found} bytes came, not {expected}: send it again, more slowly"
            ),
            Self::Base64 => formatter.write_str(
                "a line is not base64: send whole lines as the program base64 writes them",
            ),
            Self::Line => {
                formatter.write_str("a line is too long or not UTF-8: put the file as base64")
            }
            Self::NotBegun => formatter.write_str("no file was begun: put it again"),
            Self::Write(WriteError::Full) => {
                formatter.write_str("the store is full: remove a file first")
            }
            Self::Write(error) => error.fmt(formatter),
        }
    }
}

impl core::error::Error for PutError {}

impl From<WriteError> for PutError {
    fn from(error: WriteError) -> Self {
        Self::Write(error)
    }
}

/// Why the files are not served.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum OpenError {
    /// They were put there by a newer framework.
    Foreign,
    /// They cannot be read.
    Read(ReadError),
    /// What a power cut left over cannot be removed; they are served all the same.
    Write(WriteError),
}

impl fmt::Display for OpenError {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Foreign => {
                formatter.write_str("the files on flash are of a newer framework: put them again")
            }
            Self::Read(error) => error.fmt(formatter),
            Self::Write(error) => error.fmt(formatter),
        }
    }
}

impl core::error::Error for OpenError {}

impl From<ReadError> for OpenError {
    fn from(error: ReadError) -> Self {
        Self::Read(error)
    }
}

impl From<WriteError> for OpenError {
    fn from(error: WriteError) -> Self {
        Self::Write(error)
    }
}
