//! Reading the log back, line by line.

use core::fmt::Write as _;

use heapless::String;

use super::Log;
use super::entry::{ENTRY, LINE, show};
use super::ring::Place;
use crate::storage::{LogCursor, Store};

/// A place in the log, from where it is read on; begins at the oldest line.
///
/// It may be kept for as long as wanted. What leaves the log meanwhile is passed over.
pub struct LogReader<'m> {
    cursor: LogCursor,
    chunk: &'m mut [u8],
    /// What of the chunk is not shown yet.
    rest: core::ops::Range<usize>,
    /// Where to go on in RAM, once the lines on flash are through.
    memory: Option<Place>,
    line: String<LINE>,
}

impl<'m> LogReader<'m> {
    /// The least bytes of memory for a reader: an entry fits.
    pub const CHUNK: usize = ENTRY;

    /// A reader at the oldest line. `chunk`, of [`LogReader::CHUNK`] bytes or more, takes what is read
    /// from flash at a time.
    #[must_use]
    pub const fn new(chunk: &'m mut [u8]) -> Self {
        Self {
            cursor: LogCursor::START,
            chunk,
            rest: 0..0,
            memory: None,
            line: String::new(),
        }
    }

    /// The next line, without a line end; `None` when there is none now.
    ///
    /// Lines on flash come first, then those that are in RAM only. Cancellation safe.
    pub async fn next(&mut self, log: &Log<'_>, store: &Store<'_>) -> Option<&str> {
        if self.memory.is_none() && self.rest.is_empty() {
            match store.log_read(self.cursor, self.chunk).await {
                Ok((0, _)) => self.memory = Some(log.kept_until()),
                Ok((length, next)) => {
                    self.rest = 0..length;
                    self.cursor = next;
                }
                Err(error) => {
                    self.memory = Some(log.kept_until());
                    self.line.clear();
                    // The bound is far beyond the text.
                    let _ = write!(self.line, "(the lines on flash are missing: {error})");
                    return Some(&self.line);
                }
            }
        }
        match self.memory {
            None => {
                let entry = self.chunk.get(self.rest.clone()).unwrap_or_default();
                let length = usize::from(*entry.first()?);
                show(entry.get(1..=length).unwrap_or_default(), &mut self.line);
                self.rest.start += 1 + length;
            }
            Some(place) => {
                let mut entry = [0; ENTRY];
                let (length, next) = log.copy_lines(place, &mut entry, 1)?;
                self.memory = Some(next);
                show(entry.get(1..length).unwrap_or_default(), &mut self.line);
            }
        }
        Some(&self.line)
    }
}
