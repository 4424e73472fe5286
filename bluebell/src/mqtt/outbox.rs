//! Messages that are kept until the broker has acknowledged them.
//!
//! Guarantees: messages are numbered in the order in which they were pushed and found again by their
//! number until they are popped; a full outbox refuses the newest and keeps what it has. The session
//! uses `push`, `peek` and `pop` alone, so that another memory can take the place of this one.

use super::ring::{Pieces, Ring};
use super::types::{Delivery, QoS};

/// Flags, length of the topic, length of the payload.
const HEADER: usize = 1 + 2 + 4;
const RETAIN: u8 = 0x04;
const POPPED: u8 = 0x80;

/// A message's place in the order of all messages of this boot.
pub(super) type Sequence = u64;

/// A message in the outbox.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Stored<'a> {
    pub(super) sequence: Sequence,
    pub(super) delivery: Delivery,
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
}

struct Record {
    flags: u8,
    topic: usize,
    payload: usize,
}

impl Record {
    const fn length(&self) -> usize {
        HEADER + self.topic + self.payload
    }
}

impl<'m> Outbox<'m> {
    pub(super) const fn new(bytes: &'m mut [u8]) -> Self {
        Self {
            ring: Ring::new(bytes),
            first: 0,
            end: 0,
        }
    }

    /// The number of the oldest message that is not popped, or the next number when there is none.
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

    /// Adds a message and says its number; `None` when there is no room.
    pub(super) fn push(
        &mut self,
        topic: &str,
        payload: &[u8],
        delivery: Delivery,
    ) -> Option<Sequence> {
        let topic_length = u16::try_from(topic.len()).ok()?;
        let payload_length = u32::try_from(payload.len()).ok()?;
        let mut header = [0; HEADER];
        header[0] = delivery.qos.bits() | if delivery.retain { RETAIN } else { 0 };
        header[1..3].copy_from_slice(&topic_length.to_le_bytes());
        header[3..].copy_from_slice(&payload_length.to_le_bytes());
        if !self.ring.append(&[&header, topic.as_bytes(), payload]) {
            return None;
        }
        let sequence = self.end;
        self.end += 1;
        Some(sequence)
    }

    /// The first message from `sequence` on that is not popped.
    pub(super) fn peek(&self, sequence: Sequence) -> Option<Stored<'_>> {
        let mut number = self.first;
        let mut offset = 0;
        while let Some(record) = self.record(offset) {
            if number >= sequence && record.flags & POPPED == 0 {
                return Some(Stored {
                    sequence: number,
                    delivery: Delivery {
                        qos: QoS::from_bits(record.flags & 0x03)?,
                        retain: record.flags & RETAIN != 0,
                    },
                    topic: self.ring.get(offset + HEADER, record.topic),
                    payload: self
                        .ring
                        .get(offset + HEADER + record.topic, record.payload),
                });
            }
            offset += record.length();
            number += 1;
        }
        None
    }

    /// Forgets a message. Its room is free once all older ones are popped too.
    pub(super) fn pop(&mut self, sequence: Sequence) {
        let mut number = self.first;
        let mut offset = 0;
        while let Some(record) = self.record(offset) {
            if number == sequence {
                self.ring.set(offset, record.flags | POPPED);
                break;
            }
            offset += record.length();
            number += 1;
        }
        while let Some(record) = self.record(0)
            && record.flags & POPPED != 0
        {
            self.ring.discard(record.length());
            self.first += 1;
        }
    }

    fn record(&self, offset: usize) -> Option<Record> {
        if offset + HEADER > self.ring.used() {
            return None;
        }
        let mut header = [0; HEADER];
        self.ring.copy(offset, &mut header);
        let [flags, t0, t1, p0, p1, p2, p3] = header;
        Some(Record {
            flags,
            topic: usize::from(u16::from_le_bytes([t0, t1])),
            payload: u32::from_le_bytes([p0, p1, p2, p3]) as usize,
        })
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;
    use std::string::{String, ToString};
    use std::vec::Vec;

    use proptest::prelude::*;

    use super::*;

    fn text(pieces: Pieces<'_>) -> Vec<u8> {
        pieces.concat()
    }

    #[test]
    fn a_full_outbox_keeps_what_it_has_and_takes_again_once_the_oldest_is_popped() {
        let mut memory = [0; 40];
        let mut outbox = Outbox::new(&mut memory);
        let delivery = Delivery::AT_LEAST_ONCE.retained();
        assert_eq!(outbox.push("a", &[1; 12], delivery), Some(0));
        assert_eq!(outbox.push("b", &[2; 12], Delivery::EXACTLY_ONCE), Some(1));
        assert_eq!(outbox.push("c", &[3; 12], delivery), None);
        outbox.pop(1);
        assert_eq!(outbox.push("c", &[3; 12], delivery), None);
        outbox.pop(0);
        assert_eq!(outbox.push("c", &[3; 12], delivery), Some(2));
        let stored = outbox.peek(0).unwrap();
        assert_eq!((stored.sequence, stored.delivery), (2, delivery));
        assert_eq!(
            (text(stored.topic), text(stored.payload)),
            ("c".into(), [3; 12].to_vec())
        );
        assert_eq!(outbox.fits(33), Some(false));
        assert_eq!(outbox.fits(34), None);
    }

    proptest! {
        #[test]
        fn the_outbox_agrees_with_a_map(steps in prop::collection::vec((0u64..12, 0usize..20), 0..80)) {
            let mut memory = [0; 97];
            let mut outbox = Outbox::new(&mut memory);
            let mut model: BTreeMap<u64, String> = BTreeMap::new();
            for (pick, length) in steps {
                if pick < 6 {
                    let topic = pick.to_string();
                    let payload = "x".repeat(length);
                    if let Some(sequence) = outbox.push(&topic, payload.as_bytes(), Delivery::AT_LEAST_ONCE) {
                        model.insert(sequence, topic + &payload);
                    }
                } else {
                    let sequence = outbox.first() + pick - 6;
                    outbox.pop(sequence);
                    model.remove(&sequence);
                }
                prop_assert_eq!(outbox.first(), model.keys().next().copied().unwrap_or(outbox.end()));
                let mut sequence = 0;
                let mut seen = BTreeMap::new();
                while let Some(stored) = outbox.peek(sequence) {
                    let bytes = [text(stored.topic), text(stored.payload)].concat();
                    seen.insert(stored.sequence, String::from_utf8(bytes).unwrap());
                    sequence = stored.sequence + 1;
                }
                prop_assert_eq!(&seen, &model);
            }
        }
    }
}
