//! NOR flash in a file.
//!
//! Guarantees: bits are only cleared by writing and only set by erasing, as on the chip; whatever
//! `write` or `erase` returned for is in the file, so that the process may be killed at any moment
//! like a device whose power is cut. (The machine's own power is not covered: nothing is synced.)

use std::fs::{File, OpenOptions};
use std::io;
use std::ops::Range;
use std::os::unix::fs::FileExt;
use std::path::{Path, PathBuf};

use bluebell::board::FlashLayout;
use embedded_storage_async::nor_flash::{
    ErrorType, MultiwriteNorFlash, NorFlash, NorFlashError, NorFlashErrorKind, ReadNorFlash,
};

/// What is erased at once, in bytes.
pub const SECTOR: u32 = 4096;
const STORE: Range<u32> = 0..256 * 1024;
const LOG: Range<u32> = STORE.end..STORE.end + 256 * 1024;
const OUTBOX: Range<u32> = LOG.end..LOG.end + 64 * 1024;
/// The size of the whole flash in bytes.
pub const CAPACITY: u32 = OUTBOX.end;

/// Where store, log and outbox lie in the flash.
#[must_use]
pub fn layout() -> FlashLayout {
    FlashLayout {
        store: STORE,
        log: LOG,
        outbox: OUTBOX,
    }
}

/// A flash image in a file, with a copy in memory to read from.
#[derive(Debug)]
pub struct FileFlash {
    file: File,
    image: Vec<u8>,
}

/// Why the flash did not do as asked.
#[derive(Debug)]
pub enum FlashError {
    /// The range does not begin and end on a word, or on a sector for erasing.
    NotAligned,
    /// The range lies outside of the flash.
    OutOfBounds,
    /// The file could not be written: is the disk full?
    File(io::Error),
}

impl std::fmt::Display for FlashError {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::NotAligned => formatter.write_str("the flash range is not aligned: a bug"),
            Self::OutOfBounds => formatter.write_str("the flash range is out of bounds: a bug"),
            Self::File(error) => write!(
                formatter,
                "the flash file cannot be written ({error}): free some space"
            ),
        }
    }
}

impl std::error::Error for FlashError {}

impl NorFlashError for FlashError {
    fn kind(&self) -> NorFlashErrorKind {
        match self {
            Self::NotAligned => NorFlashErrorKind::NotAligned,
            Self::OutOfBounds => NorFlashErrorKind::OutOfBounds,
            Self::File(_) => NorFlashErrorKind::Other,
        }
    }
}

/// Looks whether the framework can boot from an image; the reason if not.
///
/// # Errors
///
/// Why the image cannot be used.
pub fn readable(flash: &mut FileFlash) -> Result<(), String> {
    embassy_futures::block_on(bluebell::storage::inspect(flash, &layout()))
        .map(|_| ())
        .map_err(|error| error.to_string())
}

/// What is in the place of the flash file.
enum Found {
    Nothing,
    WrongSize(u64),
    Image(FileFlash),
}

/// What came of opening the flash file.
#[derive(Debug)]
pub struct Opened {
    /// The flash.
    pub flash: FileFlash,
    /// A line for the person, when the file that was there could not be used.
    pub notice: Option<String>,
}

/// Why the flash file could not be opened.
#[derive(Debug)]
pub struct OpenError {
    path: PathBuf,
    source: io::Error,
}

impl std::fmt::Display for OpenError {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let Self { path, source } = self;
        let path = path.display();
        write!(
            formatter,
            "cannot use {path}: {source}; make it readable and writable, or give another --state"
        )
    }
}

impl std::error::Error for OpenError {}

impl FileFlash {
    /// Opens the image `flash.bin` in `directory`; an erased one is made where there is none.
    ///
    /// An image of the wrong size, or one that `readable` refuses with a reason, is kept beside as
    /// `flash.bin.bad-<n>` and an erased one takes its place.
    ///
    /// # Errors
    ///
    /// When the file cannot be read, made or moved.
    pub fn open(
        directory: &Path,
        readable: impl FnOnce(&mut Self) -> Result<(), String>,
    ) -> Result<Opened, OpenError> {
        let path = directory.join("flash.bin");
        let failed = |source| OpenError {
            path: path.clone(),
            source,
        };
        let reason = match Self::load(&path).map_err(failed)? {
            Found::Nothing => None,
            Found::WrongSize(bytes) => Some(format!("it has {bytes} bytes instead of {CAPACITY}")),
            Found::Image(mut flash) => match readable(&mut flash) {
                Ok(()) => {
                    return Ok(Opened {
                        flash,
                        notice: None,
                    });
                }
                Err(reason) => Some(reason),
            },
        };
        let notice = match reason {
            Some(reason) => {
                let kept = keep_beside(&path).map_err(failed)?;
                let (path, kept) = (path.display(), kept.display());
                Some(format!(
                    "the flash file {path} cannot be used ({reason}): it is kept as {kept} and the \
                     board starts with an erased flash"
                ))
            }
            None => None,
        };
        let flash = Self::create(&path).map_err(failed)?;
        Ok(Opened { flash, notice })
    }

    fn load(path: &Path) -> io::Result<Found> {
        let file = match OpenOptions::new().read(true).write(true).open(path) {
            Ok(file) => file,
            Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(Found::Nothing),
            Err(error) => return Err(error),
        };
        let length = file.metadata()?.len();
        // A file from before there was an outbox is made longer; a kill leaves it a part of that.
        let known = u64::from(OUTBOX.start)..=u64::from(OUTBOX.end);
        if !known.contains(&length) {
            return Ok(Found::WrongSize(length));
        }
        let mut image = vec![0xff; CAPACITY as usize];
        file.read_exact_at(&mut image[..length as usize], 0)?;
        file.write_all_at(&image[length as usize..], length)?;
        Ok(Found::Image(Self { file, image }))
    }

    /// Makes an erased image. It gets its name when it is complete.
    fn create(path: &Path) -> io::Result<Self> {
        let image = vec![0xff; CAPACITY as usize];
        let unfinished = path.with_extension("bin.new");
        let file = OpenOptions::new()
            .read(true)
            .write(true)
            .create(true)
            .truncate(true)
            .open(&unfinished)?;
        file.write_all_at(&image, 0)?;
        std::fs::rename(&unfinished, path)?;
        Ok(Self { file, image })
    }

    fn range(offset: u32, length: usize, unit: u32) -> Result<Range<usize>, FlashError> {
        let end = u32::try_from(length)
            .ok()
            .and_then(|length| offset.checked_add(length))
            .filter(|end| *end <= CAPACITY)
            .ok_or(FlashError::OutOfBounds)?;
        if !offset.is_multiple_of(unit) || !end.is_multiple_of(unit) {
            return Err(FlashError::NotAligned);
        }
        Ok(offset as usize..end as usize)
    }

    fn store(&mut self, range: Range<usize>) -> Result<(), FlashError> {
        let bytes = &self.image[range.clone()];
        self.file
            .write_all_at(bytes, range.start as u64)
            .map_err(FlashError::File)
    }
}

/// Moves a file to the first free name `<name>.bad-<n>`.
fn keep_beside(path: &Path) -> io::Result<PathBuf> {
    let mut number = 1_u32;
    loop {
        let kept = path.with_extension(format!("bin.bad-{number}"));
        if !kept.try_exists()? {
            std::fs::rename(path, &kept)?;
            return Ok(kept);
        }
        number += 1;
    }
}

impl ErrorType for FileFlash {
    type Error = FlashError;
}

impl ReadNorFlash for FileFlash {
    const READ_SIZE: usize = 4;

    async fn read(&mut self, offset: u32, bytes: &mut [u8]) -> Result<(), FlashError> {
        let range = Self::range(offset, bytes.len(), Self::READ_SIZE as u32)?;
        bytes.copy_from_slice(&self.image[range]);
        Ok(())
    }

    fn capacity(&self) -> usize {
        CAPACITY as usize
    }
}

impl NorFlash for FileFlash {
    const WRITE_SIZE: usize = 4;
    const ERASE_SIZE: usize = SECTOR as usize;

    async fn erase(&mut self, from: u32, to: u32) -> Result<(), FlashError> {
        let length = to.checked_sub(from).ok_or(FlashError::OutOfBounds)?;
        let range = Self::range(from, length as usize, SECTOR)?;
        self.image[range.clone()].fill(0xff);
        self.store(range)
    }

    async fn write(&mut self, offset: u32, bytes: &[u8]) -> Result<(), FlashError> {
        let range = Self::range(offset, bytes.len(), Self::WRITE_SIZE as u32)?;
        for (cell, byte) in self.image[range.clone()].iter_mut().zip(bytes) {
            *cell &= byte;
        }
        self.store(range)
    }
}

impl MultiwriteNorFlash for FileFlash {}

#[cfg(test)]
mod tests {
    use embassy_futures::block_on;

    use super::*;

    fn open(directory: &Path) -> Opened {
        FileFlash::open(directory, |_| Ok(())).unwrap()
    }

    #[test]
    fn writing_only_clears_bits_and_erasing_sets_a_whole_sector() {
        let directory = tempfile::tempdir().unwrap();
        let mut flash = open(directory.path()).flash;
        block_on(async {
            let mut read = [0; 4];
            flash.read(8, &mut read).await.unwrap();
            assert_eq!(read, [0xff; 4]);
            flash.write(8, &[0xf0, 0x0f, 0xaa, 0xff]).await.unwrap();
            flash.write(8, &[0x3c, 0xff, 0x55, 0xff]).await.unwrap();
            flash.read(8, &mut read).await.unwrap();
            assert_eq!(read, [0x30, 0x0f, 0x00, 0xff]);
            flash.write(SECTOR, &[1, 2, 3, 4]).await.unwrap();
            flash.erase(0, SECTOR).await.unwrap();
            flash.read(8, &mut read).await.unwrap();
            assert_eq!(read, [0xff; 4]);
            flash.read(SECTOR, &mut read).await.unwrap();
            assert_eq!(read, [1, 2, 3, 4]);
        });
    }

    #[test]
    fn what_was_acknowledged_is_there_after_the_process_is_gone() {
        let directory = tempfile::tempdir().unwrap();
        let mut flash = open(directory.path()).flash;
        block_on(flash.write(CAPACITY - 4, b"kept")).unwrap();
        // A killed process runs no destructor.
        std::mem::forget(flash);
        let mut read = [0; 4];
        block_on(open(directory.path()).flash.read(CAPACITY - 4, &mut read)).unwrap();
        assert_eq!(&read, b"kept");
    }

    #[test]
    fn ranges_that_are_crooked_or_outside_are_refused() {
        let directory = tempfile::tempdir().unwrap();
        let mut flash = open(directory.path()).flash;
        block_on(async {
            let outside = flash.write(CAPACITY - 4, &[0; 8]).await.unwrap_err();
            assert_eq!(outside.kind(), NorFlashErrorKind::OutOfBounds);
            let crooked = flash.write(2, &[0; 4]).await.unwrap_err();
            assert_eq!(crooked.kind(), NorFlashErrorKind::NotAligned);
            let half = flash.erase(0, SECTOR / 2).await.unwrap_err();
            assert_eq!(half.kind(), NorFlashErrorKind::NotAligned);
            let backwards = flash.erase(SECTOR, 0).await.unwrap_err();
            assert_eq!(backwards.kind(), NorFlashErrorKind::OutOfBounds);
        });
    }

    #[test]
    fn an_unusable_file_is_kept_beside_and_named() {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("flash.bin");
        for number in 1..3 {
            std::fs::write(&path, b"short").unwrap();
            let opened = open(directory.path());
            let kept = format!("{}.bad-{number}", path.display());
            assert!(opened.notice.unwrap().contains(&kept));
            assert_eq!(std::fs::read(kept).unwrap(), b"short");
            assert_eq!(std::fs::metadata(&path).unwrap().len(), u64::from(CAPACITY));
        }
        let refused = FileFlash::open(directory.path(), |_| Err("foreign format".into())).unwrap();
        assert!(refused.notice.unwrap().contains("foreign format"));
        assert!(open(directory.path()).notice.is_none());
    }

    #[test]
    fn a_file_from_before_there_was_an_outbox_is_made_longer_and_loses_nothing() {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("flash.bin");
        let old = vec![0x5a; OUTBOX.start as usize];
        // Once as it was left by an older board, once by a kill while it was made longer.
        for extra in [0, 1000] {
            let extended = [&old[..], &vec![0xff; extra]].concat();
            std::fs::write(&path, extended).unwrap();
            let opened = open(directory.path());
            assert_eq!(opened.notice, None);
            let image = std::fs::read(&path).unwrap();
            assert_eq!(image, opened.flash.image);
            assert_eq!(image.len(), CAPACITY as usize);
            let (kept, new) = image.split_at(old.len());
            assert!(kept == old && new.iter().all(|byte| *byte == 0xff));
        }
    }

    #[test]
    fn a_file_that_cannot_be_opened_is_an_error_with_a_remedy() {
        let directory = tempfile::tempdir().unwrap();
        std::fs::create_dir(directory.path().join("flash.bin")).unwrap();
        let error = FileFlash::open(directory.path(), |_| Ok(())).unwrap_err();
        assert!(error.to_string().contains("--state"));
    }
}
