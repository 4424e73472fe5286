//! Files that are put on the running device, kept in the store in pieces.
//!
//! Guarantees, whenever the power goes: a file is the old one or the new one, or not there before it was
//! first put; never a mixture. What a cut leaves over of either is overwritten by the next
//! [`Uploads::open`]. A file that is being read while it is replaced ends there. No name leads to
//! anything else in the store.
//!
//! Names are told apart by their fingerprints of 64 bits; a stranger's path with the same one leads to the
//! file as well, which gives nothing away: it is public.
//!
//! One record, [`INDEX`], says which files there are and in which set of pieces each lies. A new file's
//! pieces go to a set that none uses, and the record that names it takes the place of the old one at
//! once. The record also names the set that is being filled or emptied.

mod error;
mod index;
mod name;
#[cfg(test)]
mod tests;

pub use error::{OpenError, PutError};
pub use index::Upload;
pub use name::{Name, NameError};

use core::cell::{Cell, RefCell};

use self::index::{Change, ENCODED, Index};
use crate::fingerprint::Fingerprint;
use crate::storage::{Key, ReadError, Store, WriteError};

/// The most bytes of a file.
pub const MOST_BYTES: usize = 16 * 1024;
/// The most files at a time.
pub const MOST_FILES: usize = 16;
/// The bytes of each piece but the last.
pub const PIECE: usize = 768;

const PIECES: usize = MOST_BYTES.div_ceil(PIECE);
/// A new file has a set of its own while the old one is still there.
const SETS: u8 = MOST_FILES as u8 + 1;
/// Where the record of all files is.
const INDEX: Key = Key::literal("www");

/// The key of a set's name; those of its pieces are below it.
fn set_key(set: u8) -> Option<Key> {
    Key::numbered(INDEX.as_str(), usize::from(set))
}

fn piece_key(set: u8, piece: usize) -> Option<Key> {
    Key::numbered(set_key(set)?.as_str(), piece)
}

/// The files that were put on the device.
///
/// One may be written at a time; any number may be read beside it.
pub struct Uploads<'m> {
    store: &'m Store<'m>,
    index: RefCell<Index>,
    /// The file in the making.
    writing: Cell<Option<Upload>>,
}

impl<'m> Uploads<'m> {
    /// No files, until they are [opened](Self::open).
    #[must_use]
    pub const fn new(store: &'m Store<'m>) -> Self {
        Self {
            store,
            index: RefCell::new(Index::new()),
            writing: Cell::new(None),
        }
    }

    /// Finds the files that are in the store, and finishes what a power cut interrupted. To be called
    /// once, before anything else.
    ///
    /// # Errors
    ///
    /// When the flash fails, or the files were put there by a newer framework.
    pub async fn open(&self) -> Result<(), OpenError> {
        {
            let mut bytes = [0; ENCODED];
            let Some(bytes) = self.store.get(&INDEX, &mut bytes).await? else {
                return Ok(());
            };
            *self.index.borrow_mut() = Index::decode(bytes).ok_or(OpenError::Foreign)?;
        }
        Ok(self.clean().await?)
    }

    /// The file at this path, or the `index.html` of the folder when it ends with a slash or is empty.
    #[must_use]
    pub fn find(&self, path: &str) -> Option<Upload> {
        let mut name = Fingerprint::EMPTY.and(path.as_bytes());
        if path.is_empty() || path.ends_with('/') {
            name = name.and(b"index.html");
        }
        self.index.borrow().find(name)
    }

    /// The file with this number, from 0 on.
    #[must_use]
    pub fn nth(&self, number: usize) -> Option<Upload> {
        self.index.borrow().nth(number)
    }

    /// The name of a file; `None` when it is gone.
    ///
    /// Cancellation safe.
    ///
    /// # Errors
    ///
    /// When the flash fails.
    pub async fn name(&self, upload: &Upload) -> Result<Option<Name>, ReadError> {
        let mut bytes = [0; Name::MOST];
        let Some(key) = set_key(upload.set) else {
            return Ok(None);
        };
        let name = self.store.get(&key, &mut bytes).await?;
        let name = name.and_then(|name| core::str::from_utf8(name).ok());
        Ok(name.and_then(|name| Name::new(name).ok()))
    }

    /// Reads the piece with this number, from 0 on, into `room`, which has [`PIECE`] bytes; `None` when
    /// the file was replaced or removed meanwhile, or the flash fails.
    ///
    /// Cancellation safe.
    pub async fn read<'r>(
        &self,
        upload: &Upload,
        piece: usize,
        room: &'r mut [u8],
    ) -> Option<&'r [u8]> {
        let key = piece_key(upload.set, piece)?;
        let bytes = self.store.get(&key, room).await.ok()??;
        // Its set may belong to another file by now.
        let is_current = self.index.borrow().has(upload);
        (is_current && bytes.len() == upload.piece_length(piece)).then_some(bytes)
    }

    /// Begins to write the file `name`, which takes the place of an older one when it is
    /// [finished](Self::finish). One that was begun before is given up.
    ///
    /// Cancellation: as a power cut; this and the other methods that write may be called again.
    ///
    /// # Errors
    ///
    /// When there is no room for another file or the flash fails.
    pub async fn begin(&self, name: &Name) -> Result<(), PutError> {
        self.give_up().await?;
        let name_print = name.fingerprint();
        let set = self.index.borrow().room_for(name_print);
        let set = set.ok_or(PutError::TooMany)?;
        self.save(Change::Unsettled(Some(set))).await?;
        self.writing.set(Some(Upload {
            name: name_print,
            contents: Fingerprint::EMPTY,
            length: 0,
            set,
        }));
        self.put(set_key(set), name.as_str().as_bytes()).await
    }

    /// Adds a piece: [`PIECE`] bytes, or fewer when it is the last. Returns how many bytes the file has
    /// now.
    ///
    /// # Errors
    ///
    /// When the file is too long, the store is full or the flash fails; it is then to be given up.
    pub async fn add(&self, bytes: &[u8]) -> Result<usize, PutError> {
        let mut upload = self.writing.get().ok_or(PutError::NotBegun)?;
        let (length, piece) = (upload.length() + bytes.len(), upload.length() / PIECE);
        if length > MOST_BYTES || !upload.length().is_multiple_of(PIECE) {
            return Err(PutError::TooLong);
        }
        self.put(piece_key(upload.set, piece), bytes).await?;
        upload.contents = upload.contents.and(bytes);
        // At most `MOST_BYTES`.
        upload.length = length as u16;
        self.writing.set(Some(upload));
        Ok(length)
    }

    /// Puts the file in the place of the older one, if it has `expected` bytes where that is known.
    /// Returns how many it has.
    ///
    /// # Errors
    ///
    /// When bytes are missing or the flash fails; it is then to be given up.
    pub async fn finish(&self, expected: Option<usize>) -> Result<usize, PutError> {
        let upload = self.writing.get().ok_or(PutError::NotBegun)?;
        let found = upload.length();
        if let Some(expected) = expected
            && expected != found
        {
            return Err(PutError::Length { expected, found });
        }
        self.save(Change::Written(upload)).await?;
        // The new file counts already; what is left of the old one is also found by the next boot.
        let _ = self.give_up().await;
        Ok(found)
    }

    /// Gives up the file that is being written, if there is one; an older one of its name stays.
    ///
    /// # Errors
    ///
    /// When the flash fails.
    pub async fn give_up(&self) -> Result<(), WriteError> {
        self.writing.set(None);
        self.clean().await
    }

    /// Removes a file and overwrites its bytes. Returns whether there was one.
    ///
    /// # Errors
    ///
    /// When the flash fails.
    pub async fn remove(&self, name: &Name) -> Result<bool, WriteError> {
        self.give_up().await?;
        let Some(upload) = self.index.borrow().find(name.fingerprint()) else {
            return Ok(false);
        };
        self.save(Change::Removed(upload)).await?;
        self.clean().await?;
        Ok(true)
    }

    async fn put(&self, key: Option<Key>, bytes: &[u8]) -> Result<(), PutError> {
        let key = key.ok_or(PutError::TooLong)?;
        Ok(self.store.put(&key, bytes).await?)
    }

    /// Forgets the pieces of the set that no file uses.
    async fn clean(&self) -> Result<(), WriteError> {
        let unsettled = self.index.borrow().unsettled;
        let Some(set) = unsettled else {
            return Ok(());
        };
        // The name goes last.
        for piece in 0..=PIECES {
            let key = if piece < PIECES {
                piece_key(set, piece)
            } else {
                set_key(set)
            };
            if let Some(key) = key {
                self.store.forget(&key).await?;
            }
        }
        self.save(Change::Unsettled(None)).await
    }

    /// Changes the record on flash, and then what is known of it here.
    async fn save(&self, change: Change) -> Result<(), WriteError> {
        let changed = || self.index.borrow().after(change);
        if changed().is_empty() {
            self.store.forget(&INDEX).await?;
        } else {
            // Written where the flash takes it from: here it would be held while that is waited for.
            let mut fill = |room: &mut [u8]| Some(changed().encode(room.first_chunk_mut()?));
            self.store.put_filled(&INDEX, &mut fill).await?;
        }
        self.index.replace(changed());
        Ok(())
    }
}
