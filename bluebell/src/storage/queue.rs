//! Messages that wait for somebody else, on flash.
//!
//! Guarantees: what was pushed is found again, in the order of the pushes, until it is settled; a push or
//! a settling that a power cut interrupts has happened or not, and touches no other message; a message
//! whose checksum is wrong is refused. A full queue refuses the newest. Any content of the region can be
//! opened.
//!
//! A sector begins with its generation, that number's check word, the generation of the sector with whose
//! messages it begins (all ones: none) and a word that is zero once these are complete. Records follow:
//! a word that is all ones until the message is settled, the length with a CRC-16 of the header, a CRC-32
//! of the rest, the sequence number, the length of the name and flags, then name and body, padded to a
//! whole word. Within a sector the sequence numbers grow.
//!
//! One sector is always free: when it is the last, the messages that still wait in the sector with the
//! fewest of them move there, so that a message that is never settled holds up no sector of settled ones.

mod records;

use core::ops::Range;

use embedded_storage_async::nor_flash::{MultiwriteNorFlash, NorFlash};

pub(super) use self::records::Draft;
use self::records::{HEADER, Header, Record, Records, is_cleared};
use super::mailbox::Failure;
use super::medium::{Failed, Medium, SECTOR, WORD, behind, sectors_of};

/// Distinguishes a sector's check word from everything else; the last byte is the format's version.
const MARK: u32 = u32::from_le_bytes(*b"out\x01");
/// Where a sector's records begin.
const FIRST: u32 = 4 * WORD as u32;
/// A word that nobody has written.
const UNWRITTEN: u32 = u32::MAX;
/// Where in a sector stands that the messages of another one are all copied.
const DONE: u32 = 3 * WORD as u32;
/// What moving a sector's messages must at least win: else it is worth no erasure.
const WORTHWHILE: u32 = SECTOR / 4;

/// The most bytes that name and body of a message can have.
pub(super) const MESSAGE_MOST: usize = (SECTOR - FIRST - HEADER) as usize;

/// Where a message waits.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Place {
    /// Grows from message to message for as long as the device is on; never zero.
    pub sequence: u32,
    /// Where its record was when this was written down; it may have moved.
    address: u32,
}

impl Place {
    /// For memory in which bytes are kept.
    pub(crate) fn to_bytes(self) -> [u8; 8] {
        let word = (u64::from(self.address) << 32) | u64::from(self.sequence);
        word.to_le_bytes()
    }

    pub(crate) fn from_bytes(bytes: [u8; 8]) -> Self {
        let word = u64::from_le_bytes(bytes);
        Self {
            sequence: word as u32,
            address: (word >> 32) as u32,
        }
    }
}

/// Where the queue is and where it goes on.
pub(super) struct Queue {
    range: Range<u32>,
    /// The sector that is being filled, and its generation; none in an empty queue.
    head: Option<(u32, u32)>,
    /// What is left of that sector: the next record goes to its start.
    free: Range<u32>,
    /// The sequence number that the next message gets.
    next: u32,
    /// The message that was handed out last.
    last: Option<Place>,
    /// A record of this many bytes or more was refused, and no message has left since: it need not be looked
    /// again. All ones: none was.
    refused: u32,
    /// Messages that could not be read back, since somebody asked.
    damaged: u32,
}

/// The beginning of a sector that is in use.
struct Start {
    generation: u32,
    /// The generation of the sector that was copied; [`UNWRITTEN`]: none.
    copied: u32,
    /// Whether all of it was.
    complete: bool,
}

impl Queue {
    /// Opens the queue in `range`, finishes what a power cut interrupted and drops what cannot be read
    /// back. Sequence numbers begin at `next` or later. `work` is nearly as long as a sector, here and below.
    pub(super) async fn open<F: MultiwriteNorFlash>(
        medium: &mut Medium<F>,
        range: &Range<u32>,
        next: u32,
        work: &mut [u8],
    ) -> Result<Self, Failed> {
        let mut queue = Self {
            range: range.clone(),
            head: None,
            free: 0..0,
            next: next.max(1),
            last: None,
            refused: u32::MAX,
            damaged: 0,
        };
        for sector in sectors_of(range) {
            let copying = start_of(medium, sector)?;
            let Some(start) = copying.filter(|start| start.copied != UNWRITTEN) else {
                continue;
            };
            if start.complete {
                // Said once more, should the power have gone while it was said.
                let done = sector + DONE;
                if medium.word(done)? != 0 {
                    medium.clear(done)?;
                }
                queue.retire_generation(medium, start.copied)?;
            } else {
                retire(medium, sector)?;
            }
        }
        for sector in sectors_of(range) {
            medium.rest().await;
            let Some(start) = start_of(medium, sector)? else {
                continue;
            };
            let newest = queue
                .head
                .is_none_or(|(_, newest)| start.generation > newest);
            let mut records = Records::of_sector(sector);
            let mut whole = records.next;
            while let Some(record) = records.next(medium)? {
                whole = record.after();
                if !record.waiting {
                    continue;
                }
                if record.read(medium, work)?.is_none() {
                    record.settle(medium)?;
                    queue.damaged += 1;
                } else {
                    queue.next = queue.next.max(record.sequence.saturating_add(1));
                }
            }
            if newest {
                let end = records.end;
                queue.head = Some((sector, start.generation));
                queue.free = records.next..end;
                // Behind a torn record nothing is written: read together with it, it might pass for another.
                if records.next != whole || !medium.is_blank(queue.free.clone())? {
                    queue.free = end..end;
                }
            }
        }
        Ok(queue)
    }

    /// Frees every sector, whatever is in it.
    pub(super) async fn clear<F: MultiwriteNorFlash>(
        medium: &mut Medium<F>,
        range: &Range<u32>,
    ) -> Result<(), Failed> {
        for sector in sectors_of(range) {
            medium.rest().await;
            medium.free(sector).await?;
        }
        Ok(())
    }

    /// The sequence number that the next message gets.
    pub(super) const fn next_sequence(&self) -> u32 {
        self.next
    }

    /// How many messages could not be read back since this was last asked.
    pub(super) fn take_damaged(&mut self) -> u32 {
        core::mem::take(&mut self.damaged)
    }

    fn retire_generation<F: MultiwriteNorFlash>(
        &self,
        medium: &mut Medium<F>,
        generation: u32,
    ) -> Result<(), Failed> {
        for sector in sectors_of(&self.range) {
            if let Some(start) = start_of(medium, sector)?
                && start.generation == generation
            {
                retire(medium, sector)?;
            }
        }
        Ok(())
    }

    /// Begins the next free sector, with the messages of the generation `copied` if there is one.
    async fn begin<F: MultiwriteNorFlash>(
        &mut self,
        medium: &mut Medium<F>,
        copied: u32,
    ) -> Result<(), Failed> {
        let (mut sector, generation) = match self.head {
            Some((sector, generation)) => (sector, generation + 1),
            None => (self.range.end, 1),
        };
        for _ in sectors_of(&self.range) {
            sector = behind(sector, &self.range);
            if start_of(medium, sector)?.is_some() {
                continue;
            }
            medium.free(sector).await?;
            let header = [generation, generation ^ MARK, copied].map(u32::to_le_bytes);
            medium.write(sector, header.as_flattened()).await?;
            self.head = Some((sector, generation));
            self.free = sector + FIRST..sector + SECTOR;
            self.last = None;
            return Ok(());
        }
        Err(Failed)
    }

    /// Adds a message. A waiting one of the same name goes, if both of them say so.
    pub(super) async fn push<F: MultiwriteNorFlash>(
        &mut self,
        medium: &mut Medium<F>,
        draft: Draft<'_>,
        work: &mut [u8],
    ) -> Result<Place, Failure> {
        let length = draft.message.len();
        if length > MESSAGE_MOST || usize::from(draft.name) > length {
            return Err(Failure::TooLong { most: MESSAGE_MOST });
        }
        let size = Record::size(length as u32);
        while self.free.len() < size as usize {
            if size >= self.refused {
                return Err(Failure::Full);
            }
            self.make_room(medium, size, work).await?;
        }
        let sequence = self.next;
        let place = work.get_mut(..size as usize).ok_or(Failed)?;
        draft.write(sequence, place).ok_or(Failed)?;
        let address = self.append(medium, place).await?;
        self.next = sequence.saturating_add(1);
        if draft.latest {
            let name = draft.message.get(..usize::from(draft.name));
            self.supersede(medium, name.unwrap_or_default(), sequence)
                .await?;
        }
        Ok(Place { sequence, address })
    }

    /// Writes a record, but for its first word, where the head goes on.
    async fn append<F: MultiwriteNorFlash>(
        &mut self,
        medium: &mut Medium<F>,
        record: &[u8],
    ) -> Result<u32, Failed> {
        let address = self.free.start;
        // After a failed write it is not known what is there: then this sector is done with.
        self.free.start = self.free.end;
        let written = record.get(WORD..).ok_or(Failed)?;
        medium.write(address + WORD as u32, written).await?;
        self.free.start = address + record.len() as u32;
        Ok(address)
    }

    /// Begins a new sector, for which one must be free; or frees one.
    async fn make_room<F: MultiwriteNorFlash>(
        &mut self,
        medium: &mut Medium<F>,
        size: u32,
        work: &mut [u8],
    ) -> Result<(), Failure> {
        let mut free = 0;
        // The sector in which the fewest bytes wait.
        let mut emptiest: Option<(u32, u32, u32)> = None;
        for sector in sectors_of(&self.range) {
            medium.rest().await;
            let Some(start) = start_of(medium, sector)? else {
                free += 1;
                continue;
            };
            let mut bytes = 0;
            let mut records = Records::of_sector(sector);
            while let Some(record) = records.waiting(medium)? {
                bytes += Record::size(record.length);
            }
            if emptiest.is_none_or(|(_, _, least)| bytes < least) {
                emptiest = Some((sector, start.generation, bytes));
            }
        }
        if free > 1 {
            return Ok(self.begin(medium, UNWRITTEN).await?);
        }
        let (sector, generation, bytes) = emptiest.ok_or(Failed)?;
        if bytes == 0 {
            return Ok(retire(medium, sector)?);
        }
        if free == 0 || SECTOR - FIRST - bytes < size.max(WORTHWHILE) {
            self.refused = size;
            return Err(Failure::Full);
        }
        Ok(self.move_from(medium, sector, generation, work).await?)
    }

    /// Moves the messages that wait in a sector to a new one.
    async fn move_from<F: MultiwriteNorFlash>(
        &mut self,
        medium: &mut Medium<F>,
        sector: u32,
        generation: u32,
        work: &mut [u8],
    ) -> Result<(), Failed> {
        self.begin(medium, generation).await?;
        let mut records = Records::of_sector(sector);
        while let Some(record) = records.waiting(medium)? {
            let size = Record::size(record.length) as usize;
            let place = work.get_mut(..size).ok_or(Failed)?;
            medium.read(record.address, place)?;
            self.append(medium, place).await?;
        }
        let (new, _) = self.head.ok_or(Failed)?;
        medium.clear(new + DONE)?;
        retire(medium, sector)
    }

    /// Settles the messages before `sequence` whose place the one of this name takes.
    async fn supersede<F: MultiwriteNorFlash>(
        &mut self,
        medium: &mut Medium<F>,
        name: &[u8],
        sequence: u32,
    ) -> Result<(), Failed> {
        for sector in sectors_of(&self.range) {
            medium.rest().await;
            if start_of(medium, sector)?.is_none() {
                continue;
            }
            let mut records = Records::of_sector(sector);
            while let Some(record) = records.waiting(medium)? {
                if record.latest
                    && record.sequence < sequence
                    && record.name as usize == name.len()
                    && medium.holds(record.address + HEADER, name)?
                {
                    self.leave(medium, record)?;
                }
            }
        }
        Ok(())
    }

    /// The first message after `after` that waits, read to the start of `into`; how long its name is, and
    /// how long both. One of more than `most` bytes, from a device with more memory, is dropped.
    pub(super) async fn next<F: MultiwriteNorFlash>(
        &mut self,
        medium: &mut Medium<F>,
        after: u32,
        most: usize,
        into: &mut [u8],
    ) -> Result<Option<(Place, usize, usize)>, Failed> {
        loop {
            let Some(record) = self.first_after(medium, after).await? else {
                return Ok(None);
            };
            self.last = Some(record.place());
            let fits = record.length as usize <= most;
            if fits && record.read(medium, into)?.is_some() {
                let (name, length) = (record.name as usize, record.length as usize);
                return Ok(Some((record.place(), name, length)));
            }
            self.leave(medium, record)?;
            self.damaged += 1;
        }
    }

    async fn first_after<F: NorFlash>(
        &self,
        medium: &mut Medium<F>,
        after: u32,
    ) -> Result<Option<Record>, Failed> {
        // As a rule it is the next one in the sector, which then needs no search.
        if let Some(last) = self.last.filter(|last| last.sequence == after) {
            let mut records = Records {
                next: last.address,
                end: last.address.next_multiple_of(SECTOR),
            };
            records.next(medium)?;
            if let Some(record) = records.next(medium)?
                && record.waiting
                && record.sequence == after.saturating_add(1)
            {
                return Ok(Some(record));
            }
        }
        let mut first: Option<Record> = None;
        for sector in sectors_of(&self.range) {
            medium.rest().await;
            if start_of(medium, sector)?.is_none() {
                continue;
            }
            let mut records = Records::of_sector(sector);
            while let Some(record) = records.waiting(medium)? {
                if record.sequence > after {
                    if first.is_none_or(|first| record.sequence < first.sequence) {
                        first = Some(record);
                    }
                    // The others in this sector are newer.
                    break;
                }
            }
        }
        Ok(first)
    }

    /// A message waits no more. One that is settled already stays so.
    pub(super) async fn settle<F: MultiwriteNorFlash>(
        &mut self,
        medium: &mut Medium<F>,
        place: Place,
    ) -> Result<(), Failed> {
        let mut header = Header::default();
        medium.read_words(place.address, &mut header)?;
        let known = Record::parse(place.address, &header)
            .filter(|record| record.sequence == place.sequence);
        let sector = place.address - place.address % SECTOR;
        let there = start_of(medium, sector)?.is_some();
        let found = match known.filter(|_| there) {
            Some(record) => Some(record),
            // It has moved meanwhile.
            None => self
                .first_after(medium, place.sequence.saturating_sub(1))
                .await?
                .filter(|record| record.sequence == place.sequence),
        };
        match found {
            Some(record) if record.waiting => self.leave(medium, record),
            _ => Ok(()),
        }
    }

    fn leave<F: MultiwriteNorFlash>(
        &mut self,
        medium: &mut Medium<F>,
        record: Record,
    ) -> Result<(), Failed> {
        self.refused = u32::MAX;
        record.settle(medium)
    }
}

/// The beginning of a sector that is in use.
fn start_of<F: NorFlash>(medium: &mut Medium<F>, sector: u32) -> Result<Option<Start>, Failed> {
    let mut words = [0; FIRST as usize / WORD];
    medium.read_words(sector, &mut words)?;
    let [generation, check, copied, done] = words;
    // No flash lives long enough to reach the bound, and up to it there is always a next number.
    let valid = check == generation ^ MARK && generation < u32::MAX / 2;
    Ok(valid.then_some(Start {
        generation,
        copied,
        complete: is_cleared(done),
    }))
}

/// Gives a sector up: it is erased when it is needed.
fn retire<F: MultiwriteNorFlash>(medium: &mut Medium<F>, sector: u32) -> Result<(), Failed> {
    medium.clear(sector + WORD as u32)
}
