//! Messages in memory until the broker has acknowledged them: those in flight and the next ones.
//!
//! Guarantees: messages are numbered in the order in which they were pushed and found again by their
//! number until they are popped; a full outbox refuses the newest and keeps what it has. One that is on
//! flash too keeps its room until it is settled there.

use super::mark::{MARK, Mark};
use super::ring::{Pieces, Ring};
use crate::storage::Place;

/// State, length of the topic, length of the payload, place on flash, mark.
const HEADER: usize = 1 + 2 + 4 + PLACE + MARK;
const PLACE: usize = 8;
/// The broker has acknowledged it, or it is not to be sent after all.
const POPPED: u8 = 1;
/// It is on flash too, and has to be settled there once it is popped.
const ON_FLASH: u8 = 2;

/// A message's place in the order of all messages of this boot.
pub(super) type Sequence = u64;

/// A message in the outbox.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Stored<'a> {
    pub(super) sequence: Sequence,
    pub(super) mark: Mark,
    pub(super) topic: Pieces<'a>,
    pub(super) payload: Pieces<'a>,
}

/// The messages, oldest first.
pub(super) struct Outbox<'m> {
    ring: Ring<'m>,
    /// The number of the oldest message in the ring.
    first: Sequence,
    /// The number that the next message gets.
    end: Sequence,
    /// Messages that were too old to be sent, since somebody asked.
    expired: u32,
}

struct Record {
    sequence: Sequence,
    offset: usize,
    state: u8,
    topic: usize,
    payload: usize,
    place: Place,
    mark: Mark,
}

impl Record {
    const fn length(&self) -> usize {
        HEADER + self.topic + self.payload
    }

    const fn is_popped(&self) -> bool {
        self.state & POPPED != 0
    }

    const fn is_on_flash(&self) -> bool {
        self.state & ON_FLASH != 0
    }
}

impl<'m> Outbox<'m> {
    pub(super) const fn new(bytes: &'m mut [u8]) -> Self {
        Self {
            ring: Ring::new(bytes),
            first: 0,
            end: 0,
            expired: 0,
        }
    }

    /// The number of the oldest message that has room here, or the next number when there is none.
    pub(super) const fn first(&self) -> Sequence {
        self.first
    }

    /// The number that the next message gets.
    pub(super) const fn end(&self) -> Sequence {
        self.end
    }

    /// Whether topic and payload of `length` bytes fit now; `None`: they never will.
    pub(super) const fn fits(&self, length: usize) -> Option<bool> {
        let needed = length.saturating_add(HEADER);
        if needed > self.ring.capacity() {
            return None;
        }
        Some(needed <= self.ring.free())
    }

    /// Adds a message, which is on flash too if it has a place there, and says its number; `None` when
    /// there is no room.
    pub(super) fn push(
        &mut self,
        topic: &[u8],
        payload: &[u8],
        mark: &Mark,
        place: Option<Place>,
    ) -> Option<Sequence> {
        let topic_length = u16::try_from(topic.len()).ok()?;
        let payload_length = u32::try_from(payload.len()).ok()?;
        let added = self.ring.append(&[
            &[if place.is_some() { ON_FLASH } else { 0 }],
            &topic_length.to_le_bytes(),
            &payload_length.to_le_bytes(),
            &place.unwrap_or_default().to_bytes(),
            &mark.to_bytes(),
            topic,
            payload,
        ]);
        if !added {
            return None;
        }
        let sequence = self.end;
        self.end += 1;
        Some(sequence)
    }

    /// The first message from `sequence` on that is not popped.
    pub(super) fn peek(&self, sequence: Sequence) -> Option<Stored<'_>> {
        let record = self.find(&|record| record.sequence >= sequence && !record.is_popped())?;
        let topic = record.offset + HEADER;
        Some(Stored {
            sequence: record.sequence,
            mark: record.mark,
            topic: self.ring.get(topic, record.topic),
            payload: self.ring.get(topic + record.topic, record.payload),
        })
    }

    /// Whether a message is popped.
    pub(super) fn is_popped(&self, sequence: Sequence) -> bool {
        self.find(&|record| record.sequence == sequence && !record.is_popped())
            .is_none()
    }

    /// A message is not to be sent any more. Its room is free once all older ones are gone too.
    pub(super) fn pop(&mut self, sequence: Sequence) {
        if let Some(record) = self.find(&|record| record.sequence == sequence) {
            self.ring.set(record.offset, record.state | POPPED);
        }
        self.make_room();
    }

    /// Pops a message that was not sent because it is too old.
    pub(super) fn expire(&mut self, sequence: Sequence) {
        self.note_expired();
        self.pop(sequence);
    }

    /// A message that was too old is not here at all.
    pub(super) fn note_expired(&mut self) {
        self.expired = self.expired.saturating_add(1);
    }

    /// How many messages were too old since this was last asked.
    pub(super) fn take_expired(&mut self) -> u32 {
        core::mem::take(&mut self.expired)
    }

    /// Pops the messages on a topic from `from` to before `until` whose place a newer one takes.
    pub(super) fn supersede(&mut self, topic: &[u8], from: Sequence, until: Sequence) {
        let mut next = from;
        while let Some(stored) = self.peek(next).filter(|stored| stored.sequence < until) {
            next = stored.sequence + 1;
            if stored.mark.delivery.latest && is_same(stored.topic, topic) {
                let sequence = stored.sequence;
                self.pop(sequence);
            }
        }
    }

    /// The oldest message up to `last` that is neither popped nor on flash, and is to be on flash.
    pub(super) fn unsaved(&self, last: Sequence) -> Option<Sequence> {
        let unsaved = |record: &Record| {
            record.sequence <= last
                && !record.is_popped()
                && !record.is_on_flash()
                && !record.mark.delivery.in_memory
        };
        Some(self.find(&unsaved)?.sequence)
    }

    /// A message is on flash now; false when it is popped and gone.
    #[must_use]
    pub(super) fn saved(&mut self, sequence: Sequence, place: Place) -> bool {
        let Some(record) = self.find(&|record| record.sequence == sequence) else {
            return false;
        };
        for (index, byte) in place.to_bytes().into_iter().enumerate() {
            self.ring.set(record.offset + 7 + index, byte);
        }
        self.ring.set(record.offset, record.state | ON_FLASH);
        true
    }

    /// The message of this number and boot that is not on flash as far as is known.
    pub(super) fn twin(&self, mark: &Mark) -> Option<Sequence> {
        let twin = |record: &Record| {
            !record.is_on_flash()
                && record.mark.boot == mark.boot
                && record.mark.number == mark.number
        };
        Some(self.find(&twin)?.sequence)
    }

    /// A message that is popped and has to be settled on flash.
    pub(super) fn to_settle(&self) -> Option<(Sequence, Place)> {
        let record = self.find(&|record| record.is_popped() && record.is_on_flash())?;
        Some((record.sequence, record.place))
    }

    /// A message is settled on flash.
    pub(super) fn settled(&mut self, sequence: Sequence) {
        if let Some(record) = self.find(&|record| record.sequence == sequence) {
            self.ring.set(record.offset, record.state & !ON_FLASH);
        }
        self.make_room();
    }

    fn make_room(&mut self) {
        while let Some(record) = self.record(self.first, 0)
            && record.is_popped()
            && !record.is_on_flash()
        {
            self.ring.discard(record.length());
            self.first += 1;
        }
    }

    fn find(&self, wanted: &dyn Fn(&Record) -> bool) -> Option<Record> {
        let mut sequence = self.first;
        let mut offset = 0;
        while let Some(record) = self.record(sequence, offset) {
            if wanted(&record) {
                return Some(record);
            }
            offset += record.length();
            sequence += 1;
        }
        None
    }

    fn record(&self, sequence: Sequence, offset: usize) -> Option<Record> {
        if offset + HEADER > self.ring.used() {
            return None;
        }
        let mut header = [0; HEADER];
        self.ring.copy(offset, &mut header);
        let [state, t0, t1, p0, p1, p2, p3, rest @ ..] = header;
        let (place, mark) = rest.split_first_chunk()?;
        Some(Record {
            sequence,
            offset,
            state,
            topic: usize::from(u16::from_le_bytes([t0, t1])),
            payload: u32::from_le_bytes([p0, p1, p2, p3]) as usize,
            place: Place::from_bytes(*place),
            mark: Mark::from_bytes(mark)?,
        })
    }
}

fn is_same(pieces: Pieces<'_>, bytes: &[u8]) -> bool {
    let [before, after] = pieces;
    bytes.strip_prefix(before) == Some(after)
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;
    use std::string::{String, ToString};
    use std::vec::Vec;

    use proptest::prelude::*;

    use super::*;
    use crate::mqtt::types::Delivery;

    fn text(pieces: Pieces<'_>) -> Vec<u8> {
        pieces.concat()
    }

    fn push(outbox: &mut Outbox<'_>, topic: &str, payload: &[u8]) -> Option<Sequence> {
        outbox.push(topic.as_bytes(), payload, &Mark::of(KEEP), None)
    }

    const KEEP: Delivery = Delivery::AT_LEAST_ONCE.retained();

    #[test]
    fn a_full_outbox_keeps_what_it_has_and_takes_again_once_the_oldest_is_popped() {
        let mut memory = [0; 2 * (HEADER + 13)];
        let mut outbox = Outbox::new(&mut memory);
        assert_eq!(push(&mut outbox, "a", &[1; 12]), Some(0));
        assert_eq!(push(&mut outbox, "b", &[2; 12]), Some(1));
        assert_eq!(push(&mut outbox, "c", &[3; 12]), None);
        outbox.pop(1);
        assert_eq!(push(&mut outbox, "c", &[3; 12]), None);
        outbox.pop(0);
        assert_eq!(push(&mut outbox, "c", &[3; 12]), Some(2));
        let stored = outbox.peek(0).unwrap();
        assert_eq!((stored.sequence, stored.mark.delivery), (2, KEEP));
        assert_eq!(
            (text(stored.topic), text(stored.payload)),
            ("c".into(), [3; 12].to_vec())
        );
        assert_eq!(outbox.fits(HEADER + 26), Some(false));
        assert_eq!(outbox.fits(HEADER + 27), None);
    }

    #[test]
    fn a_message_that_is_on_flash_too_has_its_room_until_it_is_settled_there() {
        let mut memory = [0; 200];
        let mut outbox = Outbox::new(&mut memory);
        let place = Place::from_bytes([7, 0, 0, 0, 8, 0, 0, 0]);
        push(&mut outbox, "a", b"first");
        let mark = Mark::of(KEEP);
        outbox.push(b"b", b"second", &mark, Some(place)).unwrap();
        assert_eq!(outbox.unsaved(1), Some(0));
        assert!(outbox.saved(0, place));
        assert_eq!((outbox.unsaved(1), outbox.to_settle()), (None, None));
        outbox.pop(0);
        outbox.pop(1);
        assert_eq!((outbox.first(), outbox.peek(0)), (0, None));
        assert_eq!(outbox.to_settle(), Some((0, place)));
        outbox.settled(0);
        assert_eq!((outbox.first(), outbox.to_settle()), (1, Some((1, place))));
        outbox.settled(1);
        assert_eq!((outbox.first(), outbox.to_settle()), (2, None));
        assert!(!outbox.saved(0, place));
    }

    #[test]
    fn a_newer_message_takes_the_place_of_what_waits_on_its_topic() {
        let mut memory = [0; 400];
        let mut outbox = Outbox::new(&mut memory);
        let latest = Mark::of(KEEP.latest());
        for (topic, mark) in [
            ("sent", &latest),
            ("a", &latest),
            ("a", &Mark::of(KEEP)),
            ("ab", &latest),
            ("a", &latest),
        ] {
            outbox.push(topic.as_bytes(), b"x", mark, None).unwrap();
        }
        outbox.supersede(b"sent", 1, 4);
        outbox.supersede(b"a", 1, 4);
        let left: Vec<_> = (0..5).filter(|number| !outbox.is_popped(*number)).collect();
        assert_eq!(left, [0, 2, 3, 4]);
    }

    proptest! {
        #[test]
        fn the_outbox_agrees_with_a_map(steps in prop::collection::vec((0u64..12, 0usize..20), 0..80)) {
            let mut memory = [0; 3 * HEADER + 40];
            let mut outbox = Outbox::new(&mut memory);
            let mut model: BTreeMap<u64, String> = BTreeMap::new();
            for (pick, length) in steps {
                if pick < 6 {
                    let topic = pick.to_string();
                    let payload = "x".repeat(length);
                    if let Some(sequence) = push(&mut outbox, &topic, payload.as_bytes()) {
                        model.insert(sequence, topic + &payload);
                    }
                } else {
                    let sequence = outbox.first() + pick - 6;
                    outbox.pop(sequence);
                    model.remove(&sequence);
                }
                let first = model.keys().next().copied().unwrap_or(outbox.end());
                prop_assert_eq!(outbox.first(), first);
                for from in first..outbox.end() + 1 {
                    let found = outbox.peek(from).map(|stored| {
                        let message = [text(stored.topic), text(stored.payload)].concat();
                        (stored.sequence, String::from_utf8(message).unwrap())
                    });
                    let expected = model.range(from..).next().map(|(at, text)| (*at, text.clone()));
                    prop_assert_eq!(found, expected);
                }
            }
        }
    }
}
