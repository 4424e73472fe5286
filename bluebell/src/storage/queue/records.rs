//! The records of the queue as they lie in a sector.

use embedded_storage_async::nor_flash::{MultiwriteNorFlash, NorFlash};

use super::{FIRST, Place};
use crate::pieces::put;
use crate::storage::crc::{crc16, crc32};
use crate::storage::medium::{Failed, Medium, SECTOR, WORD};

/// The words of a record's header.
pub(super) type Header = [u32; 5];
/// Its bytes.
pub(super) const HEADER: u32 = size_of::<Header>() as u32;
/// A newer message with the same name takes this one's place.
const LATEST: u16 = 1;

/// Whether a word was overwritten with zeros; a power cut may have left that half done.
pub(super) const fn is_cleared(word: u32) -> bool {
    word.count_ones() <= u32::BITS / 2
}

/// A message for [`Queue::push`](super::Queue::push): name and body in one.
#[derive(Debug, Clone, Copy)]
pub(in crate::storage) struct Draft<'b> {
    pub(in crate::storage) message: &'b [u8],
    pub(in crate::storage) name: u16,
    pub(in crate::storage) latest: bool,
}

impl Draft<'_> {
    /// Writes the record to the start of `into`, filled up with blank bytes; `None` when it does not fit.
    #[must_use]
    pub(super) fn write(&self, sequence: u32, into: &mut [u8]) -> Option<usize> {
        let length = (self.message.len() as u16).to_le_bytes();
        let sequence = sequence.to_le_bytes();
        let name = self.name.to_le_bytes();
        let latest = if self.latest { LATEST } else { 0 }.to_le_bytes();
        let check = crc16(&[&length, &sequence, &name, &latest]).to_le_bytes();
        let crc = crc32(self.message).to_le_bytes();
        into.fill(0xFF);
        let unsettled = [0xFF; WORD];
        put(
            into,
            &[
                &unsettled,
                &length,
                &check,
                &crc,
                &sequence,
                &name,
                &latest,
                self.message,
            ],
        )
    }
}

/// A record as its header tells of it.
#[derive(Clone, Copy)]
pub(super) struct Record {
    pub(super) address: u32,
    pub(super) sequence: u32,
    /// The bytes of name and body.
    pub(super) length: u32,
    pub(super) name: u32,
    pub(super) latest: bool,
    pub(super) waiting: bool,
    crc: u32,
}

impl Record {
    pub(super) const fn place(&self) -> Place {
        Place {
            sequence: self.sequence,
            address: self.address,
        }
    }

    pub(super) const fn size(length: u32) -> u32 {
        HEADER + length.next_multiple_of(WORD as u32)
    }

    /// Where the next record begins.
    pub(super) const fn after(&self) -> u32 {
        self.address + Self::size(self.length)
    }

    pub(super) fn parse(address: u32, header: &Header) -> Option<Self> {
        let &[unsettled, about, crc, sequence, name] = header;
        let length = about & 0xFFFF;
        let check = crc16(&[
            &(about as u16).to_le_bytes(),
            &sequence.to_le_bytes(),
            &name.to_le_bytes(),
        ]);
        let record = Self {
            address,
            sequence,
            length,
            name: name & 0xFFFF,
            latest: (name >> 16) as u16 & LATEST != 0,
            waiting: !is_cleared(unsettled),
            crc,
        };
        let fits = address % SECTOR + Self::size(length) <= SECTOR && record.name <= length;
        ((about >> 16) as u16 == check && fits && record.sequence != 0).then_some(record)
    }

    /// Reads name and body to the start of `into`, if they are what was written.
    pub(super) fn read<'b, F: NorFlash>(
        &self,
        medium: &mut Medium<F>,
        into: &'b mut [u8],
    ) -> Result<Option<&'b [u8]>, Failed> {
        let whole = (self.length as usize).next_multiple_of(WORD);
        let place = into.get_mut(..whole).ok_or(Failed)?;
        medium.read(self.address + HEADER, place)?;
        let message = place.get(..self.length as usize).unwrap_or_default();
        Ok((crc32(message) == self.crc).then_some(message))
    }

    pub(super) fn settle<F: MultiwriteNorFlash>(
        &self,
        medium: &mut Medium<F>,
    ) -> Result<(), Failed> {
        medium.clear(self.address)
    }
}

/// Walks over the records of one sector.
pub(super) struct Records {
    pub(super) next: u32,
    pub(super) end: u32,
}

impl Records {
    pub(super) const fn of_sector(sector: u32) -> Self {
        Self {
            next: sector + FIRST,
            end: sector + SECTOR,
        }
    }

    /// The next record; at the end, `next` is the first byte that was not written.
    pub(super) fn next<F: NorFlash>(
        &mut self,
        medium: &mut Medium<F>,
    ) -> Result<Option<Record>, Failed> {
        while self.next + HEADER <= self.end {
            let mut header = Header::default();
            medium.read_words(self.next, &mut header)?;
            if header == [u32::MAX; 5] {
                break;
            }
            if let Some(record) = Record::parse(self.next, &header) {
                self.next = record.after();
                return Ok(Some(record));
            }
            // Torn or damaged: what follows begins at one of the next words.
            self.next += WORD as u32;
        }
        Ok(None)
    }

    pub(super) fn waiting<F: NorFlash>(
        &mut self,
        medium: &mut Medium<F>,
    ) -> Result<Option<Record>, Failed> {
        while let Some(record) = self.next(medium)? {
            if record.waiting {
                return Ok(Some(record));
            }
        }
        Ok(None)
    }
}
