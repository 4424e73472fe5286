//! The chip's own flash, a piece at a time.
//!
//! Guarantees: while the flash is erased or written nothing else runs, not even the radio, because all
//! code lies in that flash; so one call of the driver erases one sector of 4 KiB (45 ms as a rule) or
//! writes one page of 256 bytes, and everybody else has a turn before the next. What has returned is on
//! the flash.

use embassy_futures::yield_now;
use embedded_storage_async::nor_flash::{
    ErrorType, MultiwriteNorFlash, NorFlash, NorFlashError, NorFlashErrorKind, ReadNorFlash,
};
use esp_storage::{FlashStorage, ll};

/// What is written at once at the most: a page of the flash chip.
const PAGE: usize = 256;
const WORD: usize = FlashStorage::WORD_SIZE as usize;
const SECTOR: u32 = FlashStorage::SECTOR_SIZE;

/// The flash chip that the firmware itself lies in.
///
/// It calls the driver's lower half. The upper one is 1.4 KB of every image more, and has a sector of the stack for
/// bytes that are not aligned, here for none, which the optimiser alone takes away.
pub struct ChipFlash {
    capacity: usize,
    /// Whether the chip's own protection against writing is off.
    unlocked: bool,
}

/// Bytes on a word boundary, as the chip's ROM wants them.
#[repr(align(4))]
struct Aligned([u8; PAGE]);

/// The flash did not do as asked.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct FlashError(NorFlashErrorKind);

impl NorFlashError for FlashError {
    fn kind(&self) -> NorFlashErrorKind {
        self.0
    }
}

/// A number is what the chip's ROM says.
fn failed(_: i32) -> FlashError {
    FlashError(NorFlashErrorKind::Other)
}

/// The address of each piece of `length` bytes at the most, from `offset` on.
fn addresses(offset: u32, length: usize) -> impl Iterator<Item = u32> {
    (offset..).step_by(length)
}

impl ChipFlash {
    /// The second core of a chip that has one is never started, so nobody else reads from the flash.
    pub(crate) fn new(flash: esp_hal::peripherals::FLASH<'static>) -> Self {
        Self {
            capacity: FlashStorage::new(flash).capacity(),
            unlocked: false,
        }
    }

    /// That `length` bytes at `offset` are whole units of the chip.
    fn check(&self, offset: u32, length: usize, unit: usize) -> Result<(), FlashError> {
        let start = offset as usize;
        if !start.is_multiple_of(unit) || !length.is_multiple_of(unit) {
            return Err(FlashError(NorFlashErrorKind::NotAligned));
        }
        if start
            .checked_add(length)
            .is_none_or(|end| end > self.capacity)
        {
            return Err(FlashError(NorFlashErrorKind::OutOfBounds));
        }
        Ok(())
    }

    fn unlock(&mut self) -> Result<(), FlashError> {
        if !self.unlocked {
            // SAFETY: it has no precondition; it changes the chip's status register alone.
            unsafe { ll::spiflash_unlock() }.map_err(failed)?;
            self.unlocked = true;
        }
        Ok(())
    }
}

impl ErrorType for ChipFlash {
    type Error = FlashError;
}

impl ReadNorFlash for ChipFlash {
    const READ_SIZE: usize = WORD;

    async fn read(&mut self, offset: u32, bytes: &mut [u8]) -> Result<(), FlashError> {
        self.check(offset, bytes.len(), WORD)?;
        if bytes.as_ptr().cast::<u32>().is_aligned() {
            return read_words(offset, bytes);
        }
        for (address, piece) in addresses(offset, PAGE).zip(bytes.chunks_mut(PAGE)) {
            let mut aligned = Aligned([0; PAGE]);
            let aligned = &mut aligned.0[..piece.len()];
            read_words(address, aligned)?;
            piece.copy_from_slice(aligned);
        }
        Ok(())
    }

    fn capacity(&self) -> usize {
        self.capacity
    }
}

impl NorFlash for ChipFlash {
    const WRITE_SIZE: usize = WORD;
    const ERASE_SIZE: usize = SECTOR as usize;

    async fn write(&mut self, offset: u32, bytes: &[u8]) -> Result<(), FlashError> {
        self.check(offset, bytes.len(), WORD)?;
        self.unlock()?;
        for (address, piece) in addresses(offset, PAGE).zip(bytes.chunks(PAGE)) {
            write_piece(address, piece)?;
            if bytes.len() > PAGE {
                yield_now().await;
            }
        }
        Ok(())
    }

    async fn erase(&mut self, from: u32, to: u32) -> Result<(), FlashError> {
        let length = to.checked_sub(from);
        let length = length.ok_or(FlashError(NorFlashErrorKind::OutOfBounds))?;
        self.check(from, length as usize, SECTOR as usize)?;
        self.unlock()?;
        for sector in from / SECTOR..to / SECTOR {
            // SAFETY: the sector is one of the chip's.
            unsafe { ll::spiflash_erase_sector(sector) }.map_err(failed)?;
            yield_now().await;
        }
        Ok(())
    }
}

impl MultiwriteNorFlash for ChipFlash {}

/// Reads what has been checked, into a buffer that is aligned.
fn read_words(address: u32, words: &mut [u8]) -> Result<(), FlashError> {
    // SAFETY: the chip has these bytes, and the buffer is aligned and as long.
    unsafe { ll::spiflash_read(address, words.as_mut_ptr().cast(), words.len() as u32) }
        .map_err(failed)
}

/// Writes what an aligned buffer holds; its own frame, so that no future carries that buffer.
fn write_piece(address: u32, piece: &[u8]) -> Result<(), FlashError> {
    let mut aligned = Aligned([0xff; PAGE]);
    let aligned = &mut aligned.0[..piece.len()];
    aligned.copy_from_slice(piece);
    // SAFETY: the chip has these bytes, and the buffer is aligned and as long.
    unsafe { ll::spiflash_write(address, aligned.as_ptr().cast(), piece.len() as u32) }
        .map_err(failed)
}
