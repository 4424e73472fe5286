//! The items of the map as they lie on flash.
//!
//! An item has a header, the checksum of the data (4 bytes, zero: erased), the length of the data (2) and the
//! checksum of the length (2); then the data, padded to a word. Each sector begins and ends with a word that
//! marks its state.

use core::ops::Range;

use embedded_storage_async::nor_flash::{MultiwriteNorFlash, NorFlash};

use super::Key;
use super::crc::{crc16, crc32_on};
use super::medium::{Failed, Medium, SECTOR, WORD, sectors_of};
use crate::pieces::put;

/// The bytes of an item's header.
const HEADER: u32 = 8;

/// The most bytes that a key takes in an item.
pub(super) const KEY_MOST: usize = (1 + Key::MOST).next_multiple_of(WORD);

/// A key as it begins an item: its length, its bytes, zeros up to a whole word.
pub(super) fn encode_key<'b>(key: &Key, buffer: &'b mut [u8]) -> Option<&'b [u8]> {
    let name = key.as_bytes();
    let place = buffer.get_mut(..(1 + name.len()).next_multiple_of(WORD))?;
    place.fill(0);
    put(place, &[&[name.len() as u8], name])?;
    Some(place)
}

/// The key that an item begins with, and how many bytes it takes.
pub(super) fn decode_key(data: &[u8]) -> Option<(Key, usize)> {
    let length = usize::from(*data.first()?);
    let key = Key::from_bytes(data.get(1..=length)?)?;
    Some((key, (1 + length).next_multiple_of(WORD)))
}

/// Where the data of one item lies; it may be live, torn or erased.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Item {
    address: u32,
    length: u32,
    /// The checksum that the data have, or should have.
    sum: u32,
}

impl Item {
    fn data(self) -> u32 {
        self.address + HEADER
    }

    /// Where the item ends, with its padding.
    fn end(self) -> u32 {
        self.data() + self.length.next_multiple_of(WORD as u32)
    }

    /// Reads up to `buffer`'s length from the start of the data; the part that is the item's.
    pub(super) fn read<'b, F: NorFlash>(
        self,
        medium: &mut Medium<F>,
        buffer: &'b mut [u8],
    ) -> Result<&'b [u8], Failed> {
        let length = buffer.len().min(self.length as usize);
        // What is read is whole words; the last item of a sector ends before the sector's last word.
        let whole = length.next_multiple_of(WORD).min(buffer.len());
        medium.read(self.data(), &mut buffer[..whole])?;
        Ok(&buffer[..length])
    }

    /// Whether the item was not erased.
    pub(super) fn is_live(self) -> bool {
        self.sum != 0
    }

    /// Whether both have the same data, by their checksums.
    pub(super) fn is_copy_of(self, other: Self) -> bool {
        (self.length, self.sum) == (other.length, other.sum)
    }

    /// Whether these are the item's data, by its checksum.
    pub(super) fn is_of(self, data: &[u8]) -> bool {
        finish(crc32_on(BEGIN, POLYNOMIAL, data)) == self.sum
    }

    /// Whether the item is live and its data are what its checksum says; what is not may have been misread once.
    pub(super) fn is_sound<F: NorFlash>(self, medium: &mut Medium<F>) -> Result<bool, Failed> {
        Ok(self.is_live() && (self.adds_up(medium)? || self.adds_up(medium)?))
    }

    fn adds_up<F: NorFlash>(self, medium: &mut Medium<F>) -> Result<bool, Failed> {
        let mut crc = BEGIN;
        let mut chunk = [0; 64];
        let mut rest = self;
        while rest.length > 0 {
            let part = rest.read(medium, &mut chunk)?;
            crc = crc32_on(crc, POLYNOMIAL, part);
            rest.address += part.len() as u32;
            rest.length -= part.len() as u32;
        }
        Ok(finish(crc) == self.sum)
    }

    /// Writes a new item, whose data are at the start of `work`.
    pub(super) async fn write<F: NorFlash>(
        self,
        medium: &mut Medium<F>,
        work: &mut [u8],
    ) -> Result<(), Failed> {
        let whole = self.length.next_multiple_of(WORD as u32) as usize;
        let whole = work.get_mut(..whole).ok_or(Failed)?;
        let (data, padding) = whole.split_at_mut(self.length as usize);
        padding.fill(0);
        let sum = finish(crc32_on(BEGIN, POLYNOMIAL, data)).to_le_bytes();
        let length = (self.length as u16).to_le_bytes();
        let check = crc16(&[&length]).to_le_bytes();
        let header = [sum, [length[0], length[1], check[0], check[1]]];
        medium.write(self.address, header.as_flattened()).await?;
        medium.write(self.data(), whole).await
    }

    /// Whether the item is the one of `key`, where `key` is encoded.
    pub(super) fn has_key<F: NorFlash>(
        self,
        medium: &mut Medium<F>,
        key: &[u8],
    ) -> Result<bool, Failed> {
        let mut buffer = [0; KEY_MOST];
        let Some(place) = buffer.get_mut(..key.len()) else {
            return Ok(false);
        };
        Ok(self.read(medium, place)? == key)
    }

    /// Whether the bytes after `skip` are exactly `value`.
    fn has_value<F: NorFlash>(
        self,
        medium: &mut Medium<F>,
        skip: u32,
        value: &[u8],
    ) -> Result<bool, Failed> {
        if self.length != skip.saturating_add(value.len() as u32) {
            return Ok(false);
        }
        medium.holds(self.data() + skip, value)
    }

    /// Marks the item as erased and overwrites its bytes after `skip` with zeros.
    async fn wipe<F: MultiwriteNorFlash>(
        self,
        medium: &mut Medium<F>,
        skip: u32,
    ) -> Result<(), Failed> {
        // First of all the item's checksum: what is half overwritten must not count as a value.
        if medium.word(self.address)? != 0 {
            medium.clear(self.address)?;
        }
        overwrite(medium, self.data() + skip..self.end()).await
    }
}

/// How the checksum of an item's data begins, a CRC-32C otherwise.
const BEGIN: u32 = 0xEEEE_EEEE;
const POLYNOMIAL: u32 = 0x82F6_3B78;

/// The checksum itself, of which the first byte is neither 0 nor 255: so one that is written half is wrong.
fn finish(crc: u32) -> u32 {
    match !crc {
        sum if matches!(sum as u8, 0 | 0xFF) => sum ^ 1,
        sum => sum,
    }
}

/// Overwrites whole words with zeros.
async fn overwrite<F: MultiwriteNorFlash>(
    medium: &mut Medium<F>,
    words: Range<u32>,
) -> Result<(), Failed> {
    const ZEROS: [u8; 64] = [0; 64];
    let mut address = words.start;
    while address < words.end {
        medium.rest().await;
        let left = (words.end - address) as usize;
        let zeros = ZEROS.get(..left).unwrap_or(&ZEROS);
        if !medium.holds(address, zeros)? {
            medium.write(address, zeros).await?;
        }
        address += zeros.len() as u32;
    }
    Ok(())
}

/// Walks over the items of one sector, between its marks.
pub(super) struct Items {
    next: u32,
    end: u32,
}

impl Items {
    pub(super) fn of_sector(start: u32) -> Self {
        let word = WORD as u32;
        Self {
            next: start + word,
            end: start + SECTOR - word,
        }
    }

    /// The place of a new item whose data have so many bytes, behind what the walk has passed; `None` when
    /// there is no room. The walk passes it too.
    pub(super) fn place(&mut self, length: usize) -> Option<Item> {
        let item = Item {
            address: self.next,
            length: u16::try_from(length).ok()?.into(),
            sum: 0,
        };
        (item.end() <= self.end).then(|| {
            self.next = item.end();
            item
        })
    }

    pub(super) fn next<F: NorFlash>(
        &mut self,
        medium: &mut Medium<F>,
    ) -> Result<Option<Item>, Failed> {
        while self.next + HEADER <= self.end {
            // What makes no sense may have been misread once.
            for _ in 0..2 {
                let mut header = [0; HEADER as usize / WORD];
                medium.read_words(self.next, &mut header)?;
                if header == [u32::MAX; 2] {
                    return Ok(None);
                }
                let [sum, about] = header;
                let (length, check) = (about as u16, (about >> 16) as u16);
                let whole = crc16(&[&length.to_le_bytes()]) == check;
                if whole && let Some(item) = self.place(length.into()) {
                    return Ok(Some(Item { sum, ..item }));
                }
            }
            // A torn header: what follows begins at one of the next words.
            self.next += WORD as u32;
        }
        Ok(None)
    }
}

/// Overwrites every item of `key` in `range`, live, torn or erased, except those whose value is `keep`; and what
/// lies in no item, which a torn header or damage hides, and which may be of any key.
///
/// After a power cut, calling it again finishes it.
pub(super) async fn scrub<F: MultiwriteNorFlash>(
    medium: &mut Medium<F>,
    range: Range<u32>,
    key: &Key,
    keep: Option<&[u8]>,
) -> Result<(), Failed> {
    let mut buffer = [0; KEY_MOST];
    let Some(encoded) = encode_key(key, &mut buffer) else {
        return Ok(());
    };
    let skip = encoded.len() as u32;
    for sector in sectors_of(&range) {
        medium.rest().await;
        let mut items = Items::of_sector(sector);
        let mut from = items.next;
        while let Some(item) = items.next(medium)? {
            overwrite(medium, from..item.address).await?;
            from = item.end();
            if !item.has_key(medium, encoded)? {
                continue;
            }
            let kept = match keep {
                Some(value) => item.has_value(medium, skip, value)?,
                None => false,
            };
            if !kept {
                item.wipe(medium, skip).await?;
            }
        }
        overwrite(medium, from..items.next).await?;
    }
    Ok(())
}

/// Overwrites `value` wherever it lies in `range` outside of sound items: what an attempt to store it has left that
/// met words which were not blank, as damage leaves them. No walk over the items finds that again.
pub(super) async fn scrub_astray<F: MultiwriteNorFlash>(
    medium: &mut Medium<F>,
    range: Range<u32>,
    value: &[u8],
) -> Result<(), Failed> {
    // Blank words look like a value of ones, which tells nothing.
    if value.iter().all(|byte| *byte == 0xFF) {
        return Ok(());
    }
    for sector in sectors_of(&range) {
        medium.rest().await;
        let mut items = Items::of_sector(sector);
        let mut from = items.next;
        while let Some(item) = items.next(medium)? {
            overwrite_copies(medium, from..item.address, value).await?;
            if !item.is_sound(medium)? {
                overwrite_copies(medium, item.data()..item.end(), value).await?;
            }
            from = item.end();
        }
        overwrite_copies(medium, from..items.end, value).await?;
    }
    Ok(())
}

/// Overwrites each copy of `value` that lies in these words whole.
async fn overwrite_copies<F: MultiwriteNorFlash>(
    medium: &mut Medium<F>,
    words: Range<u32>,
    value: &[u8],
) -> Result<(), Failed> {
    let length = (value.len() as u32).next_multiple_of(WORD as u32);
    for address in words.clone().step_by(WORD) {
        medium.rest().await;
        if address + length <= words.end && medium.holds(address, value)? {
            overwrite(medium, address..address + length).await?;
        }
    }
    Ok(())
}
