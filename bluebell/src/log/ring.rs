//! The newest lines in RAM.
//!
//! Guarantees: writing never waits and never fails, the oldest lines make room; a reader that was overrun
//! knows by how many lines.

use core::fmt;

use super::Level;
use super::entry::{ENTRY, Sink, Stamp, write_entry};

/// Bytes in a ring, with every byte that was ever written counted.
pub(super) struct Ring<'m> {
    buffer: &'m mut [u8],
    /// The oldest entry.
    tail: Place,
    /// Where the next entry goes.
    head: Place,
}

/// A place between two entries.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub(super) struct Place {
    /// How many bytes were written before it.
    bytes: u64,
    /// How many entries were written before it.
    entries: u32,
}

impl<'m> Ring<'m> {
    pub(super) fn new(buffer: &'m mut [u8]) -> Self {
        Self {
            buffer,
            tail: Place::default(),
            head: Place::default(),
        }
    }

    /// Writes one entry; in a ring that is smaller than an entry's head, nothing.
    pub(super) fn write(
        &mut self,
        level: Level,
        stamp: Stamp,
        source: &str,
        message: fmt::Arguments<'_>,
    ) {
        let most = self.buffer.len().min(ENTRY);
        if most < ENTRY / 4 {
            return;
        }
        let mut writing = Writing {
            ring: self,
            length: 0,
        };
        write_entry(&mut writing, most, level, stamp, source, message);
        let length = writing.length;
        let start = self.head.bytes;
        self.set(start, (length - 1) as u8);
        self.head = Place {
            bytes: start + length as u64,
            entries: self.head.entries.wrapping_add(1),
        };
    }

    /// How many bytes were written after `place`.
    pub(super) fn bytes_after(&self, place: Place) -> usize {
        (self.head.bytes.saturating_sub(place.bytes) as usize).min(self.buffer.len())
    }

    /// The place itself, or the oldest one left and how many entries lie between them.
    pub(super) fn still_there(&self, place: Place) -> (Place, u32) {
        if place.bytes >= self.tail.bytes {
            (place, 0)
        } else {
            (self.tail, self.tail.entries.wrapping_sub(place.entries))
        }
    }

    /// Copies the entry at `place`, which must be still there, and returns its length and the next place;
    /// `None` at the end and when it does not fit.
    pub(super) fn copy(&self, place: Place, into: &mut [u8]) -> Option<(usize, Place)> {
        if place.bytes >= self.head.bytes {
            return None;
        }
        let length = 1 + usize::from(self.at(place.bytes));
        for (position, byte) in (place.bytes..).zip(into.get_mut(..length)?) {
            *byte = self.at(position);
        }
        let next = Place {
            bytes: place.bytes + length as u64,
            entries: place.entries.wrapping_add(1),
        };
        Some((length, next))
    }

    fn index(&self, position: u64) -> usize {
        (position % (self.buffer.len() as u64).max(1)) as usize
    }

    fn at(&self, position: u64) -> u8 {
        self.buffer
            .get(self.index(position))
            .copied()
            .unwrap_or_default()
    }

    fn set(&mut self, position: u64, byte: u8) {
        let index = self.index(position);
        if let Some(place) = self.buffer.get_mut(index) {
            *place = byte;
        }
    }
}

/// An entry in the making, behind the head.
struct Writing<'r, 'm> {
    ring: &'r mut Ring<'m>,
    length: usize,
}

impl Sink for Writing<'_, '_> {
    fn length(&self) -> usize {
        self.length
    }

    fn push(&mut self, byte: u8) {
        let ring = &mut *self.ring;
        let position = ring.head.bytes + self.length as u64;
        while position - ring.tail.bytes >= ring.buffer.len() as u64 && ring.tail != ring.head {
            let oldest = 1 + u64::from(ring.at(ring.tail.bytes));
            ring.tail.bytes += oldest;
            ring.tail.entries = ring.tail.entries.wrapping_add(1);
        }
        ring.set(position, byte);
        self.length += 1;
    }

    fn shorten(&mut self, length: usize) {
        self.length = length;
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;
    use std::string::String;
    use std::vec::Vec;

    fn read(ring: &Ring<'_>, from: Place) -> (u32, Vec<String>, Place) {
        let (mut place, lost) = ring.still_there(from);
        let mut lines = Vec::new();
        let mut entry = [0; ENTRY];
        while let Some((length, next)) = ring.copy(place, &mut entry) {
            lines.push(String::from_utf8_lossy(&entry[8..length]).into_owned());
            place = next;
        }
        (lost, lines, place)
    }

    proptest! {
        #[test]
        fn a_reader_gets_every_line_in_order_or_the_number_that_it_lost(
            size in 0_usize..700,
            history in proptest::collection::vec((any::<bool>(), 0_usize..260), 0..60),
        ) {
            let mut buffer = std::vec![0; size];
            let mut ring = Ring::new(&mut buffer);
            let (mut place, mut seen, mut written) = (Place::default(), 0, 0_u32);
            for (is_read, length) in history {
                if is_read {
                    let (lost, lines, next) = read(&ring, place);
                    seen += lost;
                    for line in lines {
                        prop_assert!(line.starts_with(&std::format!("{seen} ")), "{}", line);
                        seen += 1;
                    }
                    place = next;
                    prop_assert_eq!(seen, written);
                } else {
                    let filler = "x".repeat(length);
                    let message = std::format!("{written} {filler}");
                    ring.write(Level::Info, Stamp::Uptime(0), "s", format_args!("{message}"));
                    written += u32::from(size >= 64);
                }
            }
        }
    }
}
