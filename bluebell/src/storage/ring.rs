//! The log's ring on flash.
//!
//! Guarantees: what was appended is found again unless it was the batch that a power cut tore; the oldest
//! sector is erased when its place is needed and at no other time; an append programs its bytes, one word,
//! and two words for each new sector. Any content of the region can be opened.
//!
//! A sector begins with its sequence number and that number's check word. Batches follow, each with a word
//! of length and CRC-16 and padded to a whole word. A batch holds entries: a byte of length (never zero),
//! then as many bytes. Nothing here knows what is in them.
//!
//! Not on `sequential-storage`'s queue, because a reader of that cannot go on where it was: each chunk of
//! a log that is read back would begin with a walk over all before it. It also spends twice the bytes on a
//! batch and leaves the end of a sector empty when the next batch does not fit.

use core::ops::Range;

use embedded_storage_async::nor_flash::NorFlash;

use super::crc::crc16;
use super::mailbox::Failure;
use super::medium::{Failed, Medium, SECTOR, WORD, behind, sectors_of};
use crate::pieces::{copy, put};

/// Distinguishes a sector's check word from everything else; the last byte is the format's version.
const MARK: u32 = u32::from_le_bytes(*b"log\x01");

/// Where a sector's batches begin.
const FIRST: u32 = 8;

/// The bytes of a batch's header.
const HEADER: u32 = WORD as u32;

/// A place in the log on flash, from where reading goes on.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct LogCursor {
    sequence: u32,
    batch: u32,
    entry: usize,
}

impl LogCursor {
    /// The oldest line.
    pub const START: Self = Self {
        sequence: 0,
        batch: 0,
        entry: 0,
    };
}

/// Where the ring is and where it goes on.
pub(super) struct Ring {
    range: Range<u32>,
    /// The sector that is being filled, and its sequence number; none in an empty ring.
    newest: Option<(u32, u32)>,
    /// What is left of that sector: the next batch goes to its start.
    free: Range<u32>,
}

/// What stands at one place in a sector.
enum Batch {
    /// Nothing was ever written here.
    Free,
    /// Nothing that can be made sense of; the rest of the sector is not used.
    Lost,
    /// A batch of so many bytes, with the CRC that they should have.
    Header { length: u32, crc: u16 },
}

impl Batch {
    fn after(offset: u32, length: u32) -> u32 {
        offset + HEADER + length.next_multiple_of(WORD as u32)
    }

    fn read<F: NorFlash>(medium: &mut Medium<F>, sector: u32, offset: u32) -> Result<Self, Failed> {
        if offset + HEADER >= SECTOR {
            return Ok(Self::Lost);
        }
        let word = medium.word(sector + offset)?;
        let length = u32::from(word as u16);
        Ok(if word == u32::MAX {
            Self::Free
        } else if length == 0 || Self::after(offset, length) > SECTOR {
            Self::Lost
        } else {
            Self::Header {
                length,
                crc: (word >> 16) as u16,
            }
        })
    }
}

/// How many of `entries`' first bytes are whole entries and at most `most` bytes.
fn whole_entries(entries: &[u8], most: usize) -> usize {
    let mut end = 0;
    while let Some(&length) = entries.get(end) {
        let next = end + 1 + usize::from(length);
        if length == 0 || next > entries.len() || next > most {
            break;
        }
        end = next;
    }
    end
}

impl Ring {
    /// Opens the ring in the first `size` bytes of `range`, and erases what a larger one left behind.
    pub(super) async fn open<F: NorFlash>(
        medium: &mut Medium<F>,
        range: &Range<u32>,
        size: u32,
    ) -> Result<Self, Failed> {
        let given = range.len() as u32;
        let size = size.clamp(2 * SECTOR, given.max(2 * SECTOR));
        let end = range.start + (size - size % SECTOR);
        let mut ring = Self {
            range: range.start..end,
            newest: None,
            free: 0..0,
        };
        for sector in sectors_of(&(end..range.end)) {
            if sequence_of(medium, sector)?.is_some() {
                medium.erase(sector).await?;
            }
        }
        for sector in sectors_of(&ring.range) {
            if let Some(sequence) = sequence_of(medium, sector)?
                && ring.newest.is_none_or(|(_, newest)| sequence > newest)
            {
                ring.newest = Some((sector, sequence));
            }
        }
        if let Some((sector, _)) = ring.newest {
            ring.free = free_of(medium, sector)?;
        }
        Ok(ring)
    }

    /// Appends whole entries in as few batches as possible. `work` is as long as a sector.
    ///
    /// After a failure a part of them may be there.
    pub(super) async fn append<F: NorFlash>(
        &mut self,
        medium: &mut Medium<F>,
        mut entries: &[u8],
        work: &mut [u8],
    ) -> Result<(), Failed> {
        loop {
            let room = self.free.len().min(work.len());
            let fitting = whole_entries(entries, room.saturating_sub(WORD));
            if fitting > 0 {
                let (batch, rest) = entries.split_at(fitting);
                self.write_batch(medium, batch, work).await?;
                entries = rest;
            } else if whole_entries(entries, usize::MAX) == 0 {
                // Nothing is left, or nothing that could be found again.
                return Ok(());
            } else {
                self.next_sector(medium).await?;
            }
        }
    }

    async fn write_batch<F: NorFlash>(
        &mut self,
        medium: &mut Medium<F>,
        batch: &[u8],
        work: &mut [u8],
    ) -> Result<(), Failed> {
        let whole = (WORD + batch.len()).next_multiple_of(WORD);
        let place = work.get_mut(..whole).ok_or(Failed)?;
        let length = (batch.len() as u16).to_le_bytes();
        let crc = crc16(&[&length, batch]).to_le_bytes();
        place.fill(0);
        put(place, &[&length, &crc, batch]).ok_or(Failed)?;
        let address = self.free.start;
        // After a failed write it is not known what is there: then this sector is done with.
        self.free.start = self.free.end;
        medium.write(address, place).await?;
        self.free.start = address + whole as u32;
        Ok(())
    }

    async fn next_sector<F: NorFlash>(&mut self, medium: &mut Medium<F>) -> Result<(), Failed> {
        let (sector, sequence) = match self.newest {
            Some((sector, sequence)) => (behind(sector, &self.range), sequence.wrapping_add(1)),
            None => (self.range.start, 1),
        };
        medium.free(sector).await?;
        let header = [sequence, sequence ^ MARK].map(u32::to_le_bytes);
        medium.write(sector, header.as_flattened()).await?;
        self.newest = Some((sector, sequence));
        self.free = sector + FIRST..sector + SECTOR;
        Ok(())
    }

    /// Copies whole entries from `cursor` on, oldest first, and says how many bytes and where the log
    /// goes on; no bytes at its end. What has left the ring meanwhile is passed over.
    pub(super) async fn read<F: NorFlash>(
        &self,
        medium: &mut Medium<F>,
        mut cursor: LogCursor,
        into: &mut [u8],
        work: &mut [u8],
    ) -> Result<(usize, LogCursor), Failure> {
        while let Some((sector, sequence)) = self.sector_from(medium, cursor.sequence)? {
            if sequence != cursor.sequence || cursor.batch < FIRST {
                cursor = LogCursor {
                    sequence,
                    batch: FIRST,
                    entry: 0,
                };
            }
            medium.rest().await;
            while let Batch::Header { length, crc } = Batch::read(medium, sector, cursor.batch)? {
                let whole = (length as usize).next_multiple_of(WORD);
                let place = work.get_mut(..whole).ok_or(Failure::Flash)?;
                medium.read(sector + cursor.batch + HEADER, place)?;
                let batch = &place[..length as usize];
                let entries = batch.get(cursor.entry..).unwrap_or_default();
                let intact = crc16(&[&(length as u16).to_le_bytes(), batch]) == crc;
                let next = whole_entries(entries, usize::MAX);
                if intact && next > 0 {
                    let taken = whole_entries(entries, into.len());
                    if taken == 0 {
                        let needed = 1 + usize::from(entries[0]);
                        return Err(Failure::BufferTooSmall { needed });
                    }
                    copy(entries, into, taken).ok_or(Failure::Flash)?;
                    cursor.entry += taken;
                    return Ok((taken, cursor));
                }
                cursor.batch = Batch::after(cursor.batch, length);
                cursor.entry = 0;
            }
            if self.newest == Some((sector, sequence)) {
                break;
            }
            cursor = LogCursor {
                sequence: sequence.saturating_add(1),
                ..LogCursor::START
            };
        }
        Ok((0, cursor))
    }

    /// The oldest sector whose sequence number is not below `least`.
    fn sector_from<F: NorFlash>(
        &self,
        medium: &mut Medium<F>,
        least: u32,
    ) -> Result<Option<(u32, u32)>, Failed> {
        let mut oldest: Option<(u32, u32)> = None;
        for sector in sectors_of(&self.range) {
            if let Some(sequence) = sequence_of(medium, sector)?
                && sequence >= least
                && oldest.is_none_or(|(_, known)| sequence < known)
            {
                oldest = Some((sector, sequence));
            }
        }
        Ok(oldest)
    }
}

/// The sequence number of a sector that is in use.
fn sequence_of<F: NorFlash>(medium: &mut Medium<F>, sector: u32) -> Result<Option<u32>, Failed> {
    let mut words = [0; 2];
    medium.read_words(sector, &mut words)?;
    let [sequence, check] = words;
    // No flash lives long enough to reach the bound, and up to it there is always a next number.
    Ok((check == sequence ^ MARK && sequence < u32::MAX / 2).then_some(sequence))
}

/// What is left of a sector behind its batches; nothing, when there is no place that is surely clean.
fn free_of<F: NorFlash>(medium: &mut Medium<F>, sector: u32) -> Result<Range<u32>, Failed> {
    let end = sector + SECTOR;
    let mut offset = FIRST;
    loop {
        match Batch::read(medium, sector, offset)? {
            Batch::Header { length, .. } => offset = Batch::after(offset, length),
            Batch::Free if medium.is_blank(sector + offset..end)? => {
                return Ok(sector + offset..end);
            }
            Batch::Free | Batch::Lost => return Ok(end..end),
        }
    }
}
