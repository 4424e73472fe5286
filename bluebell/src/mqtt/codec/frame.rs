//! Where packets begin and end in a stream of bytes (section 2.1), and how to pass one by that is too
//! long to be taken in.

use super::Malformed;
use super::wire::read_variable;
use crate::mqtt::types::QoS;

/// What stands at the start of the bytes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(in crate::mqtt) enum Frame {
    /// More bytes are needed to say.
    Partial,
    /// A whole packet: its body begins after `header` bytes and ends with byte `end`.
    Whole {
        first: u8,
        header: usize,
        end: usize,
    },
    /// A packet that never fits: after `header` bytes `body` bytes follow.
    TooLong { first: u8, header: usize, body: u32 },
}

/// From so many bytes of a packet that is too long its topic can be named in the log.
pub(in crate::mqtt) const NAMEABLE: usize = 64;

/// Looks at the start of `bytes`, which never grow beyond `capacity`.
pub(in crate::mqtt) fn find(bytes: &[u8], capacity: usize) -> Result<Frame, Malformed> {
    let Some((&first, rest)) = bytes.split_first() else {
        return Ok(Frame::Partial);
    };
    let Some((body, length)) = read_variable(rest)? else {
        return Ok(Frame::Partial);
    };
    let header = 1 + length;
    let end = header.saturating_add(body as usize);
    Ok(if end > capacity {
        Frame::TooLong {
            first,
            header,
            body,
        }
    } else if bytes.len() >= end {
        Frame::Whole { first, header, end }
    } else {
        Frame::Partial
    })
}

/// Whether the packet is a message from the broker.
pub(in crate::mqtt) const fn is_publish(first: u8) -> bool {
    first >> 4 == 3
}

/// The QoS in the first byte of a message.
pub(in crate::mqtt) const fn publish_qos(first: u8) -> Option<QoS> {
    QoS::from_bits((first >> 1) & 0x03)
}

/// A message that is passed by: its bytes are counted, and only its identifier is kept.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(in crate::mqtt) struct Skip {
    qos: QoS,
    position: u32,
    body: u32,
    topic: u16,
    identifier: u16,
}

impl Skip {
    /// Begins to pass by a message whose body is `body` bytes long.
    pub(in crate::mqtt) const fn new(qos: QoS, body: u32) -> Self {
        Self {
            qos,
            position: 0,
            body,
            topic: 0,
            identifier: 0,
        }
    }

    /// Passes by as many of these bytes as belong to the message and says how many they are.
    pub(in crate::mqtt) fn pass(&mut self, bytes: &[u8]) -> usize {
        let left = self.body - self.position;
        let taken = bytes.len().min(left as usize);
        self.topic = self.pick(0, self.topic, &bytes[..taken]);
        // The topic's length is known by the time that the identifier's place is reached.
        let place = 2 + u32::from(self.topic);
        self.identifier = self.pick(place, self.identifier, &bytes[..taken]);
        // `taken` is at most `left`, which is a u32.
        self.position += taken as u32;
        taken
    }

    /// The two bytes at `place` of the body, as far as they are among `bytes`; else as they were.
    fn pick(&self, place: u32, value: u16, bytes: &[u8]) -> u16 {
        let mut value = value.to_be_bytes();
        for (index, byte) in value.iter_mut().enumerate() {
            let offset = (place + index as u32).checked_sub(self.position);
            if let Some(found) = offset.and_then(|offset| bytes.get(offset as usize)) {
                *byte = *found;
            }
        }
        u16::from_be_bytes(value)
    }

    /// Once the whole message has passed: its QoS and its identifier.
    pub(in crate::mqtt) fn passed(&self) -> Option<Result<(QoS, u16), Malformed>> {
        if self.position < self.body {
            return None;
        }
        let head = 2 + u32::from(self.topic) + if self.qos == QoS::AtMostOnce { 0 } else { 2 };
        if self.body < head || (self.qos != QoS::AtMostOnce && self.identifier == 0) {
            return Some(Err(Malformed("a message without identifier")));
        }
        Some(Ok((self.qos, self.identifier)))
    }
}

#[cfg(test)]
mod tests {
    use std::vec;
    use std::vec::Vec;

    use proptest::prelude::*;

    use super::*;

    #[test]
    fn packets_are_found_as_their_bytes_come_in() {
        assert_eq!(find(&[], 16), Ok(Frame::Partial));
        assert_eq!(find(&[0xD0], 16), Ok(Frame::Partial));
        let pong = Frame::Whole {
            first: 0xD0,
            header: 2,
            end: 2,
        };
        assert_eq!(find(&[0xD0, 0, 0xD0], 16), Ok(pong));
        assert_eq!(find(&[0x30, 14, 0], 16), Ok(Frame::Partial));
        let long = Frame::TooLong {
            first: 0x30,
            header: 2,
            body: 15,
        };
        assert_eq!(find(&[0x30, 15], 16), Ok(long));
        assert!(find(&[0x30, 0xFF, 0xFF, 0xFF, 0xFF], 16).is_err());
    }

    proptest! {
        #[test]
        fn a_message_is_passed_by_in_pieces_of_any_size(
            topic in 0usize..400,
            payload in 0usize..2000,
            identifier in 1u16..,
            pieces in prop::collection::vec(1usize..300, 0..40),
        ) {
            let mut body = (topic as u16).to_be_bytes().to_vec();
            body.extend(vec![0xAA; topic]);
            body.extend(identifier.to_be_bytes());
            body.extend(vec![0xBB; payload]);
            let length = body.len();
            body.extend([1, 2, 3]);
            let mut skip = Skip::new(QoS::AtLeastOnce, length as u32);
            let mut rest = body.as_slice();
            let mut sizes: Vec<usize> = pieces;
            while skip.passed().is_none() {
                let size = sizes.pop().unwrap_or(rest.len()).min(rest.len());
                let taken = skip.pass(&rest[..size]);
                rest = &rest[taken..];
            }
            prop_assert_eq!(skip.passed(), Some(Ok((QoS::AtLeastOnce, identifier))));
            prop_assert_eq!(rest, &[1, 2, 3]);
        }
    }
}
