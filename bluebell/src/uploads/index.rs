//! The record of the files that were put on the device.

use heapless::Vec;

use super::{MOST_FILES, PIECE, SETS};
use crate::fingerprint::Fingerprint;
use crate::pieces::put;

/// The version of the record.
const VERSION: u8 = 1;
/// In the place of a set: none.
const NO_SET: u8 = 0xff;
const HEAD: usize = 2;
const ENTRY: usize = 8 + 8 + 2 + 1;
/// The most bytes of the record.
pub(super) const ENCODED: usize = HEAD + MOST_FILES * ENTRY;

/// A file that was put on the device.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Upload {
    pub(super) name: Fingerprint,
    pub(super) contents: Fingerprint,
    pub(super) length: u16,
    pub(super) set: u8,
}

impl Upload {
    /// How many bytes it has.
    #[must_use]
    pub fn length(&self) -> usize {
        self.length.into()
    }

    /// In how many pieces it is read.
    #[must_use]
    pub fn pieces(&self) -> usize {
        self.length().div_ceil(PIECE)
    }

    /// A text that changes with the contents.
    #[must_use]
    pub const fn etag(&self) -> [u8; 16] {
        self.contents.text()
    }

    pub(super) fn piece_length(&self, piece: usize) -> usize {
        self.length().saturating_sub(piece * PIECE).min(PIECE)
    }
}

/// Which files there are.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Index {
    files: Vec<Upload, MOST_FILES>,
    /// The set that is being filled or emptied: no file's.
    pub(super) unsettled: Option<u8>,
}

/// What becomes of the record.
#[derive(Debug, Clone, Copy)]
pub(super) enum Change {
    /// This set, or none, is being filled or emptied.
    Unsettled(Option<u8>),
    /// A file was written.
    Written(Upload),
    /// A file goes.
    Removed(Upload),
}

impl Index {
    pub(super) const fn new() -> Self {
        Self {
            files: Vec::new(),
            unsettled: None,
        }
    }

    /// The file of this name.
    pub(super) fn find(&self, name: Fingerprint) -> Option<Upload> {
        self.files.iter().find(|file| file.name == name).copied()
    }

    pub(super) fn nth(&self, number: usize) -> Option<Upload> {
        self.files.get(number).copied()
    }

    pub(super) fn has(&self, upload: &Upload) -> bool {
        self.files.contains(upload)
    }

    /// A set of pieces that no file uses, for a new file or another version of this name; `None` when
    /// there are too many files.
    pub(super) fn room_for(&self, name: Fingerprint) -> Option<u8> {
        if self.files.is_full() && self.find(name).is_none() {
            return None;
        }
        (0..SETS).find(|set| self.files.iter().all(|file| file.set != *set))
    }

    /// The record after a change.
    pub(super) fn after(&self, change: Change) -> Self {
        let mut index = self.clone();
        match change {
            Change::Unsettled(set) => index.unsettled = set,
            Change::Written(upload) => index.settle(upload),
            Change::Removed(upload) => index.remove(upload),
        }
        index
    }

    /// Puts a file in the place of that of the same name, whose pieces are then to be forgotten.
    pub(super) fn settle(&mut self, upload: Upload) {
        let old = self.files.iter_mut().find(|file| file.name == upload.name);
        self.unsettled = match old {
            Some(old) => Some(core::mem::replace(old, upload).set),
            // There was room when it was begun, and only one is written at a time.
            None => self.files.push(upload).err().map(|refused| refused.set),
        };
    }

    /// Takes a file out, whose pieces are then to be forgotten.
    pub(super) fn remove(&mut self, upload: Upload) {
        if let Some(place) = self.files.iter().position(|file| *file == upload) {
            self.files.swap_remove(place);
        }
        self.unsettled = Some(upload.set);
    }

    /// Writes the record, and returns its length: 0 when there is nothing to be said.
    pub(super) fn encode(&self, bytes: &mut [u8; ENCODED]) -> usize {
        if self.is_empty() {
            return 0;
        }
        let (head, entries) = bytes.split_at_mut(HEAD);
        put(head, &[&[VERSION, self.unsettled.unwrap_or(NO_SET)]]);
        for (entry, file) in entries.chunks_exact_mut(ENTRY).zip(&self.files) {
            let (name, contents) = (file.name.to_bytes(), file.contents.to_bytes());
            let length = file.length.to_le_bytes();
            put(entry, &[&name, &contents, &length, &[file.set]]);
        }
        HEAD + self.files.len() * ENTRY
    }

    /// Whether there is nothing to be kept.
    pub(super) fn is_empty(&self) -> bool {
        self.files.is_empty() && self.unsettled.is_none()
    }

    /// Reads a record; `None` when it is not of this version.
    pub(super) fn decode(bytes: &[u8]) -> Option<Self> {
        let (&[VERSION, unsettled], entries) = bytes.split_first_chunk::<HEAD>()? else {
            return None;
        };
        let mut index = Self::new();
        index.unsettled = (unsettled != NO_SET).then_some(unsettled);
        for entry in entries.chunks(ENTRY) {
            let (name, rest) = entry.split_first_chunk()?;
            let (contents, rest) = rest.split_first_chunk()?;
            let &[low, high, set] = rest else {
                return None;
            };
            let file = Upload {
                name: Fingerprint::from_bytes(*name),
                contents: Fingerprint::from_bytes(*contents),
                length: u16::from_le_bytes([low, high]),
                set,
            };
            index.files.push(file).ok()?;
        }
        Some(index)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn upload(name: &str, set: u8) -> Upload {
        Upload {
            name: Fingerprint::EMPTY.and(name.as_bytes()),
            contents: Fingerprint::EMPTY.and(b"contents"),
            length: 769 + u16::from(set),
            set,
        }
    }

    #[test]
    fn a_record_is_read_back_and_nothing_else_is_one() {
        let mut index = Index::new();
        let mut bytes = [0; ENCODED];
        assert_eq!(index.encode(&mut bytes), 0);
        for set in 0..MOST_FILES as u8 {
            let new = upload(&std::format!("file {set}"), set);
            assert_eq!(index.room_for(new.name), Some(set));
            index.settle(new);
            index.unsettled = (set % 2 == 0).then_some(SETS - 1);
            let length = index.encode(&mut bytes);
            assert_eq!(Index::decode(&bytes[..length]), Some(index.clone()));
            assert_eq!(Index::decode(&bytes[..length - 1]), None);
        }
        assert_eq!(index.room_for(upload("another", 0).name), None);
        assert_eq!(index.room_for(upload("file 3", 0).name), Some(SETS - 1));
        bytes[0] = 2;
        for wrong in [&bytes[..], &[], &[VERSION]] {
            assert_eq!(Index::decode(wrong), None);
        }
    }

    #[test]
    fn a_file_takes_the_place_of_its_older_self_and_leaves_its_set() {
        let mut index = Index::new();
        index.settle(upload("a", 0));
        index.settle(upload("b", 1));
        assert_eq!(index.unsettled, None);
        index.settle(upload("a", 2));
        assert_eq!(index.unsettled, Some(0));
        assert_eq!(index.find(upload("a", 0).name), Some(upload("a", 2)));
        assert!(!index.has(&upload("a", 0)));
        assert_eq!(index.room_for(upload("c", 0).name), Some(0));
        index.remove(upload("b", 1));
        assert_eq!((index.unsettled, index.nth(1)), (Some(1), None));
    }

    #[test]
    fn the_last_piece_is_as_long_as_what_is_left() {
        let upload = upload("a", 3);
        assert_eq!((upload.length(), upload.pieces()), (772, 2));
        assert_eq!(
            [0, 1, 2].map(|piece| upload.piece_length(piece)),
            [768, 4, 0]
        );
    }
}
