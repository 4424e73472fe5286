//! The flash as the store sees it: words of 4 bytes, sectors of 4 KiB, one kind of failure.
//!
//! Guarantees: long runs of reads let the rest of the device go on in between, at least once in a sector that is
//! walked over; words are never smaller than 4 bytes whatever the chip allows, because torn headers are only told
//! apart from whole ones in words of that size.
//!
//! To read, and to overwrite one word, waits for nothing, as [`Board::Flash`](crate::board::Board::Flash) demands: so
//! what does nothing else is plain code, without a state machine around each of them.

use core::ops::Range;
use core::task::Poll;

use embassy_futures::{poll_once, yield_now};
use embedded_storage_async::nor_flash::NorFlash;

use super::Unreadable;
use crate::board::FlashLayout;

/// The bytes of a sector.
pub(super) const SECTOR: u32 = 4096;
/// The bytes of a word.
pub(super) const WORD: usize = 4;

/// How many bytes may be read, and looked at, until the rest of the device goes on in between.
const BYTES_AT_ONCE: usize = SECTOR as usize;

/// What a read costs beside its bytes, in bytes.
const READ_COST: usize = 32;

/// What the overwriting of a word costs, in bytes that are read.
const CLEAR_COST: usize = 512;

/// The sectors of a region, each by its address.
// Called, as the next is, not copied to each of the many places that walk over them.
#[inline(never)]
pub(super) fn sectors_of(region: &Range<u32>) -> impl Iterator<Item = u32> + use<> {
    region.clone().step_by(SECTOR as usize)
}

/// The sector behind this one in its region, around.
#[inline(never)]
pub(super) fn behind(sector: u32, region: &Range<u32>) -> u32 {
    let behind = sector + SECTOR;
    if behind < region.end {
        behind
    } else {
        region.start
    }
}

/// A flash chip, or a reference to one.
pub(super) struct Medium<F> {
    flash: F,
    since_rest: usize,
    erased: bool,
}

/// The flash did not do what it was asked.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Failed;

/// What came of something that the flash does at once; one that would have this wait has failed.
fn at_once<E>(done: impl Future<Output = Result<(), E>>) -> Result<(), Failed> {
    match poll_once(done) {
        Poll::Ready(Ok(())) => Ok(()),
        Poll::Ready(Err(_)) | Poll::Pending => Err(Failed),
    }
}

impl<F: NorFlash> Medium<F> {
    pub(super) fn new(flash: F) -> Self {
        Self {
            flash,
            since_rest: 0,
            erased: false,
        }
    }

    /// Whether store, log and outbox fit this chip, each apart from the others.
    pub(super) fn check(&self, layout: &FlashLayout) -> Result<(), Unreadable> {
        let chip = F::ERASE_SIZE == SECTOR as usize
            && WORD.is_multiple_of(F::WRITE_SIZE)
            && WORD.is_multiple_of(F::READ_SIZE);
        let fits = |range: &Range<u32>| {
            range.start.is_multiple_of(SECTOR)
                && range.end.is_multiple_of(SECTOR)
                && range.end.saturating_sub(range.start) >= 2 * SECTOR
                && range.end as usize <= self.flash.capacity()
        };
        let regions = [&layout.store, &layout.log, &layout.outbox];
        let apart = |one: &Range<u32>, other: &Range<u32>| {
            core::ptr::eq(one, other) || one.end <= other.start || other.end <= one.start
        };
        let sound = regions
            .iter()
            .all(|one| fits(one) && regions.iter().all(|other| apart(one, other)));
        if chip && sound {
            Ok(())
        } else {
            Err(Unreadable::Layout)
        }
    }

    /// Whether something was erased since this was last asked.
    pub(super) fn take_erased(&mut self) -> bool {
        core::mem::take(&mut self.erased)
    }

    /// Reads whole words.
    pub(super) fn read(&mut self, offset: u32, bytes: &mut [u8]) -> Result<(), Failed> {
        self.since_rest += READ_COST + bytes.len();
        at_once(self.flash.read(offset, bytes))
    }

    /// Overwrites one word with zeros.
    pub(super) fn clear(&mut self, address: u32) -> Result<(), Failed> {
        self.since_rest += CLEAR_COST;
        at_once(self.flash.write(address, &[0; WORD]))
    }

    /// Erases the sector in case something is written in it.
    pub(super) async fn free(&mut self, sector: u32) -> Result<(), Failed> {
        if !self.is_blank(sector..sector + SECTOR)? {
            self.erase(sector).await?;
        }
        Ok(())
    }

    /// Erases the sector that begins here.
    pub(super) async fn erase(&mut self, sector: u32) -> Result<(), Failed> {
        self.erased = true;
        let erased = self.flash.erase(sector, sector + SECTOR).await;
        // That took long enough.
        self.since_rest = 0;
        yield_now().await;
        erased.map_err(|_| Failed)
    }

    /// Writes whole words.
    pub(super) async fn write(&mut self, offset: u32, bytes: &[u8]) -> Result<(), Failed> {
        self.flash.write(offset, bytes).await.map_err(|_| Failed)
    }

    /// Lets the rest of the device go on, if much has been read since it last could.
    pub(super) async fn rest(&mut self) {
        if self.since_rest > BYTES_AT_ONCE {
            self.since_rest = 0;
            yield_now().await;
        }
    }

    /// Reads a few words, at most eight, as the numbers that they are, little end first.
    pub(super) fn read_words(&mut self, address: u32, words: &mut [u32]) -> Result<(), Failed> {
        let mut bytes = [0; 8 * WORD];
        let bytes = bytes.get_mut(..size_of_val(words)).ok_or(Failed)?;
        self.read(address, bytes)?;
        for (word, bytes) in words.iter_mut().zip(bytes.as_chunks().0) {
            *word = u32::from_le_bytes(*bytes);
        }
        Ok(())
    }

    /// Reads one word.
    pub(super) fn word(&mut self, address: u32) -> Result<u32, Failed> {
        let mut words = [0];
        self.read_words(address, &mut words)?;
        let [word] = words;
        Ok(word)
    }

    /// Whether these bytes lie at `address`, the start of a word.
    pub(super) fn holds(&mut self, address: u32, bytes: &[u8]) -> Result<bool, Failed> {
        let mut chunk = [0; 64];
        let places = (address..).step_by(chunk.len());
        for (place, part) in places.zip(bytes.chunks(chunk.len())) {
            let whole = part.len().next_multiple_of(WORD);
            self.read(place, &mut chunk[..whole])?;
            if !chunk.starts_with(part) {
                return Ok(false);
            }
        }
        Ok(true)
    }

    /// Whether nothing is written in `range`.
    pub(super) fn is_blank(&mut self, range: Range<u32>) -> Result<bool, Failed> {
        let mut chunk = [0; 64];
        let mut address = range.start;
        while address < range.end {
            let length = chunk.len().min((range.end - address) as usize);
            self.read(address, &mut chunk[..length])?;
            if chunk[..length].iter().any(|&byte| byte != 0xFF) {
                return Ok(false);
            }
            address += length as u32;
        }
        Ok(true)
    }
}
