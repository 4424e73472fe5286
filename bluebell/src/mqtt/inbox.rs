//! Messages that have arrived and wait for the application.
//!
//! Guarantees: nothing is discarded; a message that finds no room stays with the caller, who reads no
//! further until there is some.

use super::ring::Ring;
use super::types::QoS;

/// Flags, generation, identifier, length of the topic, length of the payload.
const HEADER: usize = 1 + 2 + 2 + 2 + 4;
const RETAIN: u8 = 0x04;

/// What is kept of a message besides its bytes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Label {
    pub(super) qos: QoS,
    pub(super) retain: bool,
    /// The packet identifier; 0 with QoS 0.
    pub(super) identifier: u16,
    /// Which session the identifier belongs to.
    pub(super) generation: u16,
}

/// A message that was taken out: its bytes lie in the buffer, topic first.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Taken {
    pub(super) label: Label,
    pub(super) topic: usize,
    pub(super) payload: usize,
}

/// The messages, oldest first.
pub(super) struct Inbox<'m> {
    ring: Ring<'m>,
}

impl<'m> Inbox<'m> {
    /// How many bytes of the inbox a message takes besides its topic and payload.
    pub(super) const OVERHEAD: usize = HEADER;

    pub(super) const fn new(bytes: &'m mut [u8]) -> Self {
        Self {
            ring: Ring::new(bytes),
        }
    }

    /// Adds a message; false when there is no room now. The topic has at most 65,535 bytes.
    #[must_use]
    pub(super) fn push(&mut self, label: Label, topic: &str, payload: &[u8]) -> bool {
        let (Ok(topic_length), Ok(payload_length)) =
            (u16::try_from(topic.len()), u32::try_from(payload.len()))
        else {
            return false;
        };
        let retain = if label.retain { RETAIN } else { 0 };
        self.ring.append(&[
            &[label.qos.bits() | retain],
            &label.generation.to_le_bytes(),
            &label.identifier.to_le_bytes(),
            &topic_length.to_le_bytes(),
            &payload_length.to_le_bytes(),
            topic.as_bytes(),
            payload,
        ])
    }

    /// Moves the oldest message into `into`, which holds any that was pushed.
    pub(super) fn take(&mut self, into: &mut [u8]) -> Option<Taken> {
        if self.ring.used() < HEADER {
            return None;
        }
        let mut header = [0; HEADER];
        self.ring.copy(0, &mut header);
        let [flags, g0, g1, i0, i1, t0, t1, p0, p1, p2, p3] = header;
        let topic = usize::from(u16::from_le_bytes([t0, t1]));
        let payload = u32::from_le_bytes([p0, p1, p2, p3]) as usize;
        let length = topic.checked_add(payload)?;
        self.ring.copy(HEADER, into.get_mut(..length)?);
        self.ring.discard(HEADER + length);
        Some(Taken {
            label: Label {
                qos: QoS::from_bits(flags & 0x03)?,
                retain: flags & RETAIN != 0,
                identifier: u16::from_le_bytes([i0, i1]),
                generation: u16::from_le_bytes([g0, g1]),
            },
            topic,
            payload,
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn messages_leave_whole_and_in_order_and_a_full_inbox_takes_no_part_of_one() {
        let mut memory = [0; 64];
        let mut inbox = Inbox::new(&mut memory);
        let mut buffer = [0; 40];
        let label = |identifier| Label {
            qos: QoS::ExactlyOnce,
            retain: identifier % 2 == 0,
            identifier,
            generation: 0xABCD,
        };
        for round in 0..50u16 {
            assert!(inbox.push(label(round), "a/ø", &[round as u8; 10]));
            assert!(inbox.push(label(round + 1), "b", &[]));
            assert!(!inbox.push(label(round + 2), "too/long", &[0; 20]));
            let taken = inbox.take(&mut buffer).unwrap();
            assert_eq!(taken.label, label(round));
            assert_eq!(&buffer[..taken.topic], "a/ø".as_bytes());
            assert_eq!(
                &buffer[taken.topic..taken.topic + taken.payload],
                &[round as u8; 10]
            );
            let taken = inbox.take(&mut buffer).unwrap();
            assert_eq!((taken.label, taken.payload), (label(round + 1), 0));
            assert_eq!(inbox.take(&mut buffer), None);
        }
    }
}
