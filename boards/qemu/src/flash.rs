//! NOR flash on a virtio disk, whose file on the host outlives the machine.
//!
//! The machine's own CFI flash erases 256 KiB at once, where the framework's format, like the chips,
//! has sectors of 4 KiB; and it lets any bit be set again by writing. So the disk plays the chip:
//!
//! Guarantees: bits are only cleared by writing and only set by erasing; whatever a call returned for
//! is in the file. Killing QEMU is a power cut, which may leave a write or an erasure half done: writes
//! go to the disk in pieces of four words, erasures in blocks of 512 bytes.

use bluebell::board::FlashLayout;
use embassy_futures::yield_now;
use embedded_storage_async::nor_flash::{
    ErrorType, MultiwriteNorFlash, NorFlash, NorFlashError, NorFlashErrorKind, ReadNorFlash,
};
use static_cell::ConstStaticCell;
use virtio_drivers::device::blk::{SECTOR_SIZE as BLOCK, VirtIOBlk};
use virtio_drivers::transport::DeviceType;

use crate::devices::{self, Shared, Slot};

const SECTOR: usize = 4096;
const WORD: usize = 4;
/// How much of a write a power cut leaves out or not.
const PIECE: usize = 4 * WORD;
/// The size of the flash in bytes, which the disk must have at least.
const CAPACITY: usize = 576 * 1024;

/// Where the framework finds its store, its log and its outbox: as on the virtual board.
pub(crate) const fn layout() -> FlashLayout {
    FlashLayout {
        store: 0..256 * 1024,
        log: 256 * 1024..512 * 1024,
        outbox: 512 * 1024..576 * 1024,
    }
}

/// The flash.
pub struct BlockFlash {
    disk: VirtIOBlk<Shared, Slot>,
    /// The sector that was used last, as it is on the disk.
    sector: &'static mut [u8; SECTOR],
    number: Option<usize>,
}

/// Why the flash did not do as asked.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum FlashError {
    /// The range does not begin and end on a word, or on a sector for erasing.
    NotAligned,
    /// The range lies outside of the flash.
    OutOfBounds,
    /// The host could not read or write the file: is its disk full?
    Disk,
}

impl NorFlashError for FlashError {
    fn kind(&self) -> NorFlashErrorKind {
        match self {
            Self::NotAligned => NorFlashErrorKind::NotAligned,
            Self::OutOfBounds => NorFlashErrorKind::OutOfBounds,
            Self::Disk => NorFlashErrorKind::Other,
        }
    }
}

impl BlockFlash {
    /// Opens the disk; to be called once.
    pub(crate) fn open() -> Self {
        // Not a part of the value, which is moved about while a device is put together.
        static SECTOR_MEMORY: ConstStaticCell<[u8; SECTOR]> = ConstStaticCell::new([0; SECTOR]);

        let disk = match VirtIOBlk::new(devices::open(devices::DISK, DeviceType::Block)) {
            Ok(disk) => disk,
            Err(error) => panic!("the disk does not start: {error:?}"),
        };
        let size = disk.capacity() * BLOCK as u64;
        assert!(
            size >= CAPACITY as u64,
            "the flash's file has {size} bytes: make it {CAPACITY} bytes of 0xff"
        );
        Self {
            disk,
            sector: SECTOR_MEMORY.take(),
            number: None,
        }
    }

    /// Brings a sector into memory.
    fn fetch(&mut self, number: usize) -> Result<(), FlashError> {
        if self.number != Some(number) {
            self.number = None;
            let block = number * (SECTOR / BLOCK);
            self.disk
                .read_blocks(block, self.sector)
                .map_err(|_| FlashError::Disk)?;
            self.number = Some(number);
        }
        Ok(())
    }

    /// Writes the block around `at`, an offset in the sector that is in memory.
    fn store(&mut self, number: usize, at: usize) -> Result<(), FlashError> {
        let start = at / BLOCK * BLOCK;
        let block = number * (SECTOR / BLOCK) + at / BLOCK;
        let bytes = &self.sector[start..start + BLOCK];
        self.disk.write_blocks(block, bytes).map_err(|_| {
            // What is on the disk is not known.
            self.number = None;
            FlashError::Disk
        })
    }
}

/// Checks that a range lies within the flash and on the given boundaries.
fn check(from: u32, length: usize, unit: usize) -> Result<usize, FlashError> {
    let from = from as usize;
    if !from.is_multiple_of(unit) || !length.is_multiple_of(unit) {
        return Err(FlashError::NotAligned);
    }
    match from.checked_add(length) {
        Some(end) if end <= CAPACITY => Ok(from),
        _ => Err(FlashError::OutOfBounds),
    }
}

impl ErrorType for BlockFlash {
    type Error = FlashError;
}

impl ReadNorFlash for BlockFlash {
    const READ_SIZE: usize = WORD;

    async fn read(&mut self, offset: u32, bytes: &mut [u8]) -> Result<(), FlashError> {
        let mut at = check(offset, bytes.len(), Self::READ_SIZE)?;
        let mut rest = bytes;
        while !rest.is_empty() {
            self.fetch(at / SECTOR)?;
            let start = at % SECTOR;
            let count = rest.len().min(SECTOR - start);
            let (now, later) = rest.split_at_mut(count);
            now.copy_from_slice(&self.sector[start..start + count]);
            (at, rest) = (at + count, later);
        }
        Ok(())
    }

    fn capacity(&self) -> usize {
        CAPACITY
    }
}

impl NorFlash for BlockFlash {
    const WRITE_SIZE: usize = WORD;
    const ERASE_SIZE: usize = SECTOR;

    async fn erase(&mut self, from: u32, to: u32) -> Result<(), FlashError> {
        let length = to.checked_sub(from).ok_or(FlashError::OutOfBounds)? as usize;
        let first = check(from, length, SECTOR)? / SECTOR;
        for number in first..first + length / SECTOR {
            self.fetch(number)?;
            for at in (0..SECTOR).step_by(BLOCK) {
                self.sector[at..at + BLOCK].fill(0xff);
                self.store(number, at)?;
            }
            // A chip takes its time for each, and so may others.
            yield_now().await;
        }
        Ok(())
    }

    async fn write(&mut self, offset: u32, bytes: &[u8]) -> Result<(), FlashError> {
        let mut at = check(offset, bytes.len(), WORD)?;
        let mut rest = bytes;
        while !rest.is_empty() {
            self.fetch(at / SECTOR)?;
            // Up to the next boundary of a piece, so that none lies in two blocks.
            let count = rest.len().min(PIECE - at % PIECE);
            let (now, later) = rest.split_at(count);
            let start = at % SECTOR;
            for (cell, byte) in self.sector[start..start + count].iter_mut().zip(now) {
                *cell &= byte;
            }
            self.store(at / SECTOR, start)?;
            (at, rest) = (at + count, later);
        }
        Ok(())
    }
}

/// Cleared bits may be cleared again.
impl MultiwriteNorFlash for BlockFlash {}
