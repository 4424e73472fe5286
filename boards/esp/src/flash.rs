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
use esp_storage::{FlashStorage, FlashStorageError};

/// What is written at once at the most: a page of the flash chip.
const PAGE: usize = 256;
const SECTOR: u32 = FlashStorage::SECTOR_SIZE;

/// The flash chip that the firmware itself lies in.
pub struct ChipFlash(FlashStorage<'static>);

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

fn failed(error: FlashStorageError) -> FlashError {
    FlashError(match error {
        FlashStorageError::NotAligned => NorFlashErrorKind::NotAligned,
        FlashStorageError::OutOfBounds => NorFlashErrorKind::OutOfBounds,
        _ => NorFlashErrorKind::Other,
    })
}

/// The address of each piece of `length` bytes at the most, from `offset` on.
fn addresses(offset: u32, length: usize) -> impl Iterator<Item = u32> {
    (offset..).step_by(length)
}

impl ChipFlash {
    pub(crate) fn new(flash: esp_hal::peripherals::FLASH<'static>) -> Self {
        let storage = FlashStorage::new(flash);
        #[cfg(any(feature = "esp32", feature = "esp32s3"))]
        let storage = storage.multicore_auto_park();
        Self(storage)
    }
}

impl ErrorType for ChipFlash {
    type Error = FlashError;
}

impl ReadNorFlash for ChipFlash {
    const READ_SIZE: usize = FlashStorage::WORD_SIZE as usize;

    async fn read(&mut self, offset: u32, bytes: &mut [u8]) -> Result<(), FlashError> {
        if bytes.as_ptr().cast::<u32>().is_aligned() {
            return self.0.read_nor(offset, bytes).map_err(failed);
        }
        for (address, piece) in addresses(offset, PAGE).zip(bytes.chunks_mut(PAGE)) {
            self.read_piece(address, piece)?;
        }
        Ok(())
    }

    fn capacity(&self) -> usize {
        self.0.capacity()
    }
}

impl NorFlash for ChipFlash {
    const WRITE_SIZE: usize = FlashStorage::WORD_SIZE as usize;
    const ERASE_SIZE: usize = SECTOR as usize;

    async fn write(&mut self, offset: u32, bytes: &[u8]) -> Result<(), FlashError> {
        for (address, piece) in addresses(offset, PAGE).zip(bytes.chunks(PAGE)) {
            self.write_piece(address, piece)?;
            if bytes.len() > PAGE {
                yield_now().await;
            }
        }
        Ok(())
    }

    async fn erase(&mut self, from: u32, to: u32) -> Result<(), FlashError> {
        if !from.is_multiple_of(SECTOR) || !to.is_multiple_of(SECTOR) {
            return Err(FlashError(NorFlashErrorKind::NotAligned));
        }
        for sector in (from..to).step_by(SECTOR as usize) {
            // Within the flash's bounds, so it does not overflow; the driver checks them again.
            self.0
                .erase(sector, sector.saturating_add(SECTOR))
                .map_err(failed)?;
            yield_now().await;
        }
        Ok(())
    }
}

impl MultiwriteNorFlash for ChipFlash {}

impl ChipFlash {
    /// Reads through an aligned buffer.
    fn read_piece(&mut self, address: u32, piece: &mut [u8]) -> Result<(), FlashError> {
        let mut aligned = Aligned([0; PAGE]);
        let aligned = &mut aligned.0[..piece.len()];
        self.0.read_nor(address, aligned).map_err(failed)?;
        piece.copy_from_slice(aligned);
        Ok(())
    }

    /// Writes what an aligned buffer holds; its own frame, so that no future carries that buffer.
    fn write_piece(&mut self, address: u32, piece: &[u8]) -> Result<(), FlashError> {
        let mut aligned = Aligned([0xff; PAGE]);
        let aligned = &mut aligned.0[..piece.len()];
        aligned.copy_from_slice(piece);
        self.0.write_nor(address, aligned).map_err(failed)
    }
}
