//! The values, in the store's region of the flash.
//!
//! Guarantees: a stored value has been read back; a value is removed by overwriting its copies, older
//! ones first, so that no power cut brings an older one back; the record `!scrub` names a key whose
//! older copies are still to be overwritten.
//!
//! Without caches: a value is looked up by walking over at most the whole region, which is rare and
//! lets the rest of the device go on.

mod sectors;

use core::ops::Range;

use embedded_storage_async::nor_flash::{MultiwriteNorFlash, NorFlash};

use super::items::{Items, KEY_MOST, decode_key, scrub, scrub_astray};
use super::medium::{Failed, Medium, SECTOR, WORD, sectors_of};
use super::{Condition, Key, Unreadable};

/// The version of the format that this framework writes. Version 1 had no region for an outbox.
const VERSION: u32 = 2;

/// The record of that version.
const PRESENT: [[u8; WORD]; 2] = format_record(VERSION);

/// Says that the region is a store, and of which version.
const FORMAT: Key = own("!format");

/// Holds the name of a key whose older copies are to be overwritten.
const SCRUB: Key = own("!scrub");

/// Where the first record ends at most; a first boot that was cut has written nothing beyond.
const FIRST_RECORD: u32 = 64;

/// The longest value that fits a sector beside any key.
pub(super) const VALUE_MOST: usize = SECTOR as usize - 64;

/// How often a value that cannot be read back is stored anew.
const ATTEMPTS: usize = 3;

const fn own(name: &str) -> Key {
    match Key::any(name) {
        Some(key) => key,
        None => panic!("the store's own keys are short"),
    }
}

/// Why the map did not do what it was asked.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum MapError {
    Flash,
    Full,
    Damaged,
}

impl From<Failed> for MapError {
    fn from(_: Failed) -> Self {
        Self::Flash
    }
}

/// The map for the time of one request.
pub(super) struct Map<'a, F> {
    pub(super) medium: &'a mut Medium<F>,
    pub(super) range: Range<u32>,
    /// As long as a sector, so that every item fits.
    pub(super) work: &'a mut [u8],
}

impl<F: MultiwriteNorFlash> Map<'_, F> {
    /// The value of `key`.
    pub(super) async fn fetch(&mut self, key: &Key) -> Result<Option<&[u8]>, MapError> {
        let place = self.locate(key).await?;
        Ok(place.and_then(|place| self.work.get(place)))
    }

    /// Stores `value` under `key` unless it is there already.
    pub(super) async fn store(&mut self, key: &Key, value: &[u8]) -> Result<(), MapError> {
        if self.fetch(key).await? == Some(value) {
            return Ok(());
        }
        for _ in 0..ATTEMPTS {
            self.add(key, value).await?;
            // An earlier torn header may, once in some ten thousand, have swallowed the new item.
            if self.fetch(key).await? == Some(value) {
                return Ok(());
            }
            scrub_astray(self.medium, self.range.clone(), value).await?;
        }
        Err(MapError::Damaged)
    }

    /// Stores `value` and overwrites the copies of what was there.
    pub(super) async fn replace(&mut self, key: &Key, value: &[u8]) -> Result<(), MapError> {
        match self.fetch(key).await? {
            Some(old) if old != value => self.store(&SCRUB, key.as_bytes()).await?,
            _ => {}
        }
        self.store(key, value).await?;
        scrub(self.medium, self.range.clone(), key, Some(value)).await?;
        Ok(self.end_scrub().await?)
    }

    /// [`replace`](Self::replace), and should a repair of damaged sectors cost the format's record, it is put
    /// back, of whichever version it was.
    pub(super) async fn replace_keeping_format(
        &mut self,
        key: &Key,
        value: &[u8],
    ) -> Result<(), MapError> {
        let record = self.fetch(&FORMAT).await?;
        let record: Option<[u8; 2 * WORD]> = record.and_then(|record| record.try_into().ok());
        self.replace(key, value).await?;
        if let Some(record) = record.filter(|_| self.medium.take_erased()) {
            self.store(&FORMAT, &record).await?;
        }
        Ok(())
    }

    /// Removes every copy of the value of `key`.
    pub(super) async fn forget(&mut self, key: &Key) -> Result<(), MapError> {
        if self.fetch(key).await?.is_none() {
            return Ok(());
        }
        // In a full store the note finds no room, and forgetting is the remedy.
        match self.store(&SCRUB, key.as_bytes()).await {
            Ok(()) | Err(MapError::Full) => {}
            Err(error) => return Err(error),
        }
        self.scrub_older(key).await?;
        scrub(self.medium, self.range.clone(), key, None).await?;
        Ok(self.end_scrub().await?)
    }

    /// Overwrites the note of a scrub that is done.
    fn end_scrub(&mut self) -> impl Future<Output = Result<(), Failed>> {
        scrub(self.medium, self.range.clone(), &SCRUB, None)
    }

    /// Overwrites every copy of `key` that is not its value, and all of them when it has none.
    async fn scrub_older(&mut self, key: &Key) -> Result<(), MapError> {
        let current = self.locate(key).await?;
        let current = current.and_then(|place| self.work.get(place));
        Ok(scrub(self.medium, self.range.clone(), key, current).await?)
    }

    /// The first key after `after` that begins with `prefix` and has a value.
    pub(super) async fn next_key(
        &mut self,
        prefix: &str,
        after: Option<&Key>,
    ) -> Result<Option<Key>, MapError> {
        let mut next = self.next_item(prefix, after).await?;
        // An item may be damaged, or lie where no value is looked for.
        while let Some(key) = &next
            && self.fetch(key).await?.is_none()
        {
            next = self.next_item(prefix, next.as_ref()).await?;
        }
        Ok(next)
    }

    async fn next_item(
        &mut self,
        prefix: &str,
        after: Option<&Key>,
    ) -> Result<Option<Key>, MapError> {
        let mut first: Option<Key> = None;
        for sector in sectors_of(&self.range) {
            self.medium.rest().await;
            let mut items = Items::of_sector(sector);
            while let Some(item) = items.next(self.medium)? {
                let mut data = [0; KEY_MOST];
                let data = item.read(self.medium, &mut data)?;
                let Some((key, _)) = decode_key(data).filter(|_| item.is_live()) else {
                    continue;
                };
                if !key.is_own()
                    && key.as_str().starts_with(prefix)
                    && after.is_none_or(|after| key > *after)
                    && first.is_none_or(|first| key < first)
                {
                    first = Some(key);
                }
            }
        }
        Ok(first)
    }

    /// Makes an image ready that [`condition`] found `Blank`.
    pub(super) async fn format(&mut self) -> Result<(), MapError> {
        let start = self.range.start;
        self.medium.free(start).await?;
        self.store(&FORMAT, PRESENT.as_flattened()).await
    }

    /// Puts the format's record back that damage, or the repair of damaged sectors, has cost. In a full
    /// store it stays away, and another boot tries again.
    pub(super) async fn mend_format(&mut self) -> Result<(), MapError> {
        let stored = self.store(&FORMAT, PRESENT.as_flattened()).await;
        self.medium.take_erased();
        match stored {
            Err(MapError::Full) => Ok(()),
            stored => stored,
        }
    }

    /// Makes an image of an older version one of this: all that this one adds is in place. Nothing is left
    /// of the older record, which would count again should this one be damaged.
    pub(super) fn raise_format(&mut self) -> impl Future<Output = Result<(), MapError>> {
        self.replace(&FORMAT, PRESENT.as_flattened())
    }

    /// Erases the region, sector by sector, and makes it ready.
    pub(super) async fn start_afresh(&mut self) -> Result<(), MapError> {
        for sector in sectors_of(&self.range) {
            self.medium.erase(sector).await?;
        }
        self.format().await
    }

    /// Opens an image that [`condition`] found `Ready`, and finishes what a power cut interrupted. Says
    /// of which format it is, and leaves it so.
    pub(super) async fn open(&mut self) -> Result<Format, MapError> {
        let version = self.fetch(&FORMAT).await?.and_then(version_of);
        if let Some(name) = self.fetch(&SCRUB).await? {
            if let Some(key) = Key::from_bytes(name) {
                self.scrub_older(&key).await?;
            }
            self.end_scrub().await?;
        }
        Ok(match version {
            Some(VERSION) => Format::Present,
            Some(_) => Format::Older,
            None => Format::Lost,
        })
    }
}

/// The format of an image that can be read.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Format {
    Present,
    /// Until [`Map::raise_format`].
    Older,
    /// Its record is lost, so it is presumed to be the present one; until [`Map::mend_format`].
    Lost,
}

/// The version, and its complement so that a torn record is recognised.
const fn format_record(version: u32) -> [[u8; WORD]; 2] {
    [version.to_le_bytes(), (!version).to_le_bytes()]
}

/// The version that a whole record tells.
fn version_of(record: &[u8]) -> Option<u32> {
    let version = u32::from_le_bytes(*record.first_chunk()?);
    (record == format_record(version).as_flattened()).then_some(version)
}

/// What lies in the store's region, without changing it.
pub(super) async fn condition<F: NorFlash>(
    medium: &mut Medium<F>,
    range: &Range<u32>,
) -> Result<Condition, Unreadable> {
    look(medium, range).await.map_err(|_| Unreadable::Flash)?
}

async fn look<F: NorFlash>(
    medium: &mut Medium<F>,
    range: &Range<u32>,
) -> Result<Result<Condition, Unreadable>, Failed> {
    let mut newest = None;
    let mut ours = false;
    for sector in sectors_of(range) {
        medium.rest().await;
        let mut items = Items::of_sector(sector);
        while let Some(item) = items.next(medium)? {
            let mut data = [0; KEY_MOST];
            let data = item.read(medium, &mut data)?;
            let Some((key, length)) = decode_key(data) else {
                continue;
            };
            if key == FORMAT {
                let record = data.get(length..length + 2 * WORD);
                newest = newest.max(record.and_then(version_of));
            } else if !ours && !key.is_own() {
                ours = item.is_sound(medium)?;
            }
        }
    }
    Ok(match newest {
        Some(version) if version > VERSION => Err(Unreadable::Version(version)),
        Some(_) => Ok(Condition::Ready),
        None if ours => Ok(Condition::Ready),
        None if is_blank(medium, range).await? => Ok(Condition::Blank),
        None => Err(Unreadable::Foreign),
    })
}

/// Whether nothing is written but, at most, a first record.
async fn is_blank<F: NorFlash>(medium: &mut Medium<F>, range: &Range<u32>) -> Result<bool, Failed> {
    let begin = range.start + FIRST_RECORD;
    for sector in range.clone().step_by(SECTOR as usize) {
        medium.rest().await;
        if !medium.is_blank(sector.max(begin)..sector + SECTOR)? {
            return Ok(false);
        }
    }
    Ok(true)
}
