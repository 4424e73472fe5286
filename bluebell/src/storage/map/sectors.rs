//! The sectors that the map's items lie in: where an item is found, where the next one goes, and how room is made.
//!
//! Guarantees: whatever a power cut interrupts, no item that is current is lost: one that is moved lies in its new
//! place before its old one is erased, and a move that was interrupted is done again from its beginning.
//!
//! The first word of a sector that is in use is marked, and the last one too once it is full. Sectors are used one
//! after the other, around: behind the one in use lies an open one, and behind that the oldest. A new item goes
//! behind the last one in the sector in use. When that is full, the open one comes into use and takes what is still
//! current in the oldest, which is erased. So where the sector behind the one in use is not open, such a move was
//! interrupted, or that erasure: a chip erases all of a sector at once, so its marks may outlive its items.
//!
//! Format and order of writes are those of the map of `sequential-storage` 8, which a test holds this against; only that
//! begins a move again even when the oldest sector's items are gone already.

use core::ops::Range;

use embedded_storage_async::nor_flash::MultiwriteNorFlash;

use super::{Map, MapError};
use crate::pieces::put;
use crate::storage::Key;
use crate::storage::items::{Item, Items, KEY_MOST, decode_key, encode_key};
use crate::storage::medium::{SECTOR, WORD, behind, sectors_of};

/// How many bits of a word are zero at least in a mark: a few may have flipped, or not have been written.
const MARKED: u32 = 4;

/// What the marks at either end of a sector say.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Sector {
    /// Nothing is in it.
    Open,
    /// New items go here.
    InUse,
    /// There is no room for more.
    Full,
}

impl<F: MultiwriteNorFlash> Map<'_, F> {
    /// Finds the value of `key`, and reads it; where in `work` it then lies.
    pub(super) async fn locate(&mut self, key: &Key) -> Result<Option<Range<usize>>, MapError> {
        let mut buffer = [0; KEY_MOST];
        let key = encode_key(key, &mut buffer).ok_or(MapError::Damaged)?;
        let mut repaired = false;
        loop {
            let found = self.find(key).await;
            let read = found.and_then(|item| item.map(|item| self.load(item)).transpose());
            match read {
                Err(MapError::Damaged) if !repaired => {
                    repaired = true;
                    self.repair().await?;
                }
                read => return Ok(read?.map(|length| key.len()..length)),
            }
        }
    }

    /// Adds an item, which is the newest then.
    pub(in crate::storage) async fn add(
        &mut self,
        key: &Key,
        value: &[u8],
    ) -> Result<(), MapError> {
        let mut repaired = false;
        loop {
            match self.try_add(key, value).await {
                Err(MapError::Damaged) if !repaired => {
                    repaired = true;
                    self.repair().await?;
                }
                added => return added,
            }
        }
    }

    async fn try_add(&mut self, key: &Key, value: &[u8]) -> Result<(), MapError> {
        // When each sector was the one in use once, none has room.
        for _ in sectors_of(&self.range) {
            let Some(in_use) = self.first(Sector::InUse)? else {
                let open = self.first(Sector::Open)?.ok_or(MapError::Damaged)?;
                self.medium.clear(open)?;
                continue;
            };
            let open = behind(in_use, &self.range);
            if self.state(open)? != Sector::Open {
                return Err(MapError::Damaged);
            }
            self.medium.rest().await;
            let mut items = Items::of_sector(in_use);
            while items.next(self.medium)?.is_some() {}
            let length = compose(key, value, self.work).ok_or(MapError::Full)?;
            if let Some(place) = items.place(length) {
                return Ok(place.write(self.medium, self.work).await?);
            }
            self.medium.clear(in_use + SECTOR - WORD as u32)?;
            self.medium.clear(open)?;
            let oldest = behind(open, &self.range);
            if self.state(oldest)? != Sector::Open {
                self.move_items(oldest, open).await?;
            }
        }
        Err(MapError::Full)
    }

    /// Does again what a power cut interrupted: erasures, and the move of a sector's items.
    async fn repair(&mut self) -> Result<(), MapError> {
        for sector in sectors_of(&self.range) {
            if matches!(self.state(sector), Err(MapError::Damaged)) {
                self.medium.erase(sector).await?;
            }
        }
        if let Some(in_use) = self.first(Sector::InUse)? {
            let oldest = behind(in_use, &self.range);
            if self.state(oldest)? != Sector::Open {
                // Else what has been moved stays, and what is left follows it.
                let mut again = self.holds_all(oldest, in_use).await?;
                loop {
                    if again {
                        self.medium.erase(in_use).await?;
                        self.medium.clear(in_use)?;
                    }
                    match self.move_items(oldest, in_use).await {
                        // Damage that no power cut makes: there is no room behind it.
                        Err(MapError::Damaged) if !again => again = true,
                        moved => break moved?,
                    }
                }
            }
        }
        Ok(())
    }

    /// Whether each sound item in the sector `copies` is in `sector` too.
    async fn holds_all(&mut self, sector: u32, copies: u32) -> Result<bool, MapError> {
        let mut items = Items::of_sector(copies);
        while let Some(item) = items.next(self.medium)? {
            if !item.is_sound(self.medium)? {
                continue;
            }
            self.medium.rest().await;
            let mut originals = Items::of_sector(sector);
            loop {
                match originals.next(self.medium)? {
                    None => return Ok(false),
                    Some(one) if one.is_copy_of(item) && one.is_sound(self.medium)? => break,
                    Some(_) => {}
                }
            }
        }
        Ok(true)
    }

    /// Moves what is current in the sector `oldest` to the sector `to`, behind what is there, and erases the oldest.
    async fn move_items(&mut self, oldest: u32, to: u32) -> Result<(), MapError> {
        let mut items = Items::of_sector(oldest);
        let mut places = Items::of_sector(to);
        while places.next(self.medium)?.is_some() {}
        while let Some(item) = items.next(self.medium)? {
            if !item.is_sound(self.medium)? {
                continue;
            }
            let mut buffer = [0; KEY_MOST];
            let key = item.read(self.medium, &mut buffer)?;
            // What has no key that this version knows counts by its first bytes.
            let length = decode_key(key).map_or(key.len(), |(_, length)| length);
            let key = key.get(..length).unwrap_or(key);
            if self.find(key).await?.ok_or(MapError::Damaged)? == item {
                let length = self.load(item)?;
                let place = places.place(length).ok_or(MapError::Damaged)?;
                place.write(self.medium, self.work).await?;
            }
        }
        Ok(self.medium.erase(oldest).await?)
    }

    /// The newest sound item that begins with `key`.
    async fn find(&mut self, key: &[u8]) -> Result<Option<Item>, MapError> {
        let mut sector = match self.first(Sector::InUse)? {
            Some(in_use) => in_use,
            None => {
                let open = self.first(Sector::Open)?.ok_or(MapError::Damaged)?;
                let Some(full) = self.full_before(open)? else {
                    return Ok(None);
                };
                full
            }
        };
        loop {
            self.medium.rest().await;
            let mut newest = None;
            let mut items = Items::of_sector(sector);
            while let Some(item) = items.next(self.medium)? {
                if item.has_key(self.medium, key)? && item.is_sound(self.medium)? {
                    newest = Some(item);
                }
            }
            if newest.is_some() {
                return Ok(newest);
            }
            match self.full_before(sector)? {
                Some(full) => sector = full,
                None => return Ok(None),
            }
        }
    }

    /// Reads the data of a sound item to the start of `work`; how many bytes they are.
    fn load(&mut self, item: Item) -> Result<usize, MapError> {
        let data = item.read(self.medium, self.work)?;
        let sound = item.is_of(data);
        sound.then_some(data.len()).ok_or(MapError::Damaged)
    }

    /// The first sector in this state.
    fn first(&mut self, state: Sector) -> Result<Option<u32>, MapError> {
        for sector in sectors_of(&self.range) {
            if self.state(sector)? == state {
                return Ok(Some(sector));
            }
        }
        Ok(None)
    }

    /// The sector before this one, if it is full.
    fn full_before(&mut self, sector: u32) -> Result<Option<u32>, MapError> {
        let is_first = sector == self.range.start;
        let end = if is_first { self.range.end } else { sector };
        let before = end - SECTOR;
        Ok((self.state(before)? == Sector::Full).then_some(before))
    }

    fn state(&mut self, sector: u32) -> Result<Sector, MapError> {
        let mut is_marked = |address| {
            let word = self.medium.word(address)?;
            Ok::<_, MapError>(word.count_zeros() >= MARKED)
        };
        match (
            is_marked(sector)?,
            is_marked(sector + SECTOR - WORD as u32)?,
        ) {
            (false, false) => Ok(Sector::Open),
            (true, false) => Ok(Sector::InUse),
            (true, true) => Ok(Sector::Full),
            // An erasure was interrupted.
            (false, true) => Err(MapError::Damaged),
        }
    }
}

/// Puts an item's data together at the start of `into`; how many bytes they are.
fn compose(key: &Key, value: &[u8], into: &mut [u8]) -> Option<usize> {
    let mut buffer = [0; KEY_MOST];
    put(into, &[encode_key(key, &mut buffer)?, value])
}
