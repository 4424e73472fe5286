//! Flash of which only what was written takes memory.

use std::collections::BTreeMap;

use embedded_storage_async::nor_flash::{
    ErrorType, MultiwriteNorFlash, NorFlash, NorFlashErrorKind, ReadNorFlash,
};

const SECTOR: usize = 4096;
/// More than any layout of a simulated device takes.
const CAPACITY: usize = 256 * SECTOR;
/// What is kept in one piece.
const PAGE: usize = 256;

/// The pages that are not erased.
#[derive(Debug, Default)]
pub(crate) struct SparseFlash(BTreeMap<usize, Box<[u8; PAGE]>>);

impl SparseFlash {
    fn check(&self, offset: u32, length: usize) -> Result<usize, NorFlashErrorKind> {
        let offset = offset as usize;
        if offset.saturating_add(length) > self.capacity() {
            return Err(NorFlashErrorKind::OutOfBounds);
        }
        Ok(offset)
    }
}

impl ErrorType for SparseFlash {
    type Error = NorFlashErrorKind;
}

impl ReadNorFlash for SparseFlash {
    const READ_SIZE: usize = 1;

    async fn read(&mut self, offset: u32, bytes: &mut [u8]) -> Result<(), NorFlashErrorKind> {
        let offset = self.check(offset, bytes.len())?;
        for (index, byte) in bytes.iter_mut().enumerate() {
            let at = offset + index;
            let page = self.0.get(&(at / PAGE));
            *byte = page.map_or(0xff, |page| page[at % PAGE]);
        }
        Ok(())
    }

    fn capacity(&self) -> usize {
        CAPACITY
    }
}

impl NorFlash for SparseFlash {
    const WRITE_SIZE: usize = 4;
    const ERASE_SIZE: usize = SECTOR;

    async fn erase(&mut self, from: u32, to: u32) -> Result<(), NorFlashErrorKind> {
        let length = to.saturating_sub(from) as usize;
        let first = self.check(from, length)? / PAGE;
        for page in first..first + length / PAGE {
            self.0.remove(&page);
        }
        Ok(())
    }

    async fn write(&mut self, offset: u32, bytes: &[u8]) -> Result<(), NorFlashErrorKind> {
        let offset = self.check(offset, bytes.len())?;
        for (index, byte) in bytes.iter().enumerate() {
            let at = offset + index;
            let page = self.0.entry(at / PAGE);
            // A write only clears bits.
            page.or_insert_with(|| Box::new([0xff; PAGE]))[at % PAGE] &= byte;
        }
        Ok(())
    }
}

impl MultiwriteNorFlash for SparseFlash {}
