//! The name server of the access point: whatever name is asked for, the portal is there.
//!
//! Guarantees: a question for an address is answered with the portal's, any other question with an
//! empty answer, so that a client neither waits nor goes elsewhere; what is malformed gets FORMERR,
//! what is no question gets nothing, and no answer is ever longer than the question plus 16 bytes.
//!
//! This is ours because `edge-captive` brings a whole DNS library along that does not build for a
//! chip without compare-and-swap, and one answer to one question is all that is needed.

use core::net::{Ipv4Addr, SocketAddr};

use super::datagram::Datagram;
use crate::pieces::put;

/// The longest message without extensions (RFC 1035, 4.2.1).
const MESSAGE: usize = 512;
const HEADER: usize = 12;
const ANSWER: usize = 16;
/// How long an answer may be remembered: once the device is online, names mean something again.
const SECONDS_TO_LIVE: u32 = 1;

const FORMAT_ERROR: u8 = 1;
const NOT_IMPLEMENTED: u8 = 4;

/// Turns a datagram into its answer of so many bytes, and says to whom that goes; `None` when it gets none.
pub(super) fn answer(datagram: &mut Datagram, address: Ipv4Addr) -> Option<(usize, SocketAddr)> {
    // The rest of a longer message was cut off, which leaves the question.
    let message = datagram.bytes.first_chunk_mut()?;
    let reply = reply(message, datagram.length, address)?;
    Some((reply.len(), datagram.from))
}

/// Turns the message of `length` bytes in `buffer` into its answer; `None` when it gets none.
fn reply(buffer: &mut [u8; MESSAGE], length: usize, address: Ipv4Addr) -> Option<&[u8]> {
    let message = buffer.get(..length.min(MESSAGE))?;
    let &[_, _, flags, _, questions_high, questions_low, ..] = message.get(..HEADER)? else {
        return None;
    };
    if flags & 0x80 != 0 {
        return None;
    }
    let operation = flags >> 3 & 0x0f;
    let one_question = [questions_high, questions_low] == [0, 1];
    let (length, code, answers) = match question(message).filter(|_| one_question) {
        _ if operation != 0 => (HEADER, NOT_IMPLEMENTED, 0),
        None => (HEADER, FORMAT_ERROR, 0),
        Some((end, wants_address)) => (end, 0, u8::from(wants_address)),
    };
    let questions = u8::from(length > HEADER);
    // An authoritative answer to the same operation; recursion is there if it was asked for.
    buffer[2] = 0x80 | flags & 0x79 | 0x04;
    buffer[3] = 0x80 | code;
    buffer[4..HEADER].copy_from_slice(&[0, questions, 0, answers, 0, 0, 0, 0]);
    if answers == 0 {
        return buffer.get(..length);
    }
    let answer = buffer.get_mut(length..length + ANSWER)?;
    // The name is the question's; type A, class IN.
    let question = [0xc0, HEADER as u8, 0, 1, 0, 1];
    let seconds = SECONDS_TO_LIVE.to_be_bytes();
    put(answer, &[&question, &seconds, &[0, 4], &address.octets()])?;
    buffer.get(..length + ANSWER)
}

/// Where the only question ends, and whether it asks for an IPv4 address; `None` when it is
/// malformed.
fn question(message: &[u8]) -> Option<(usize, bool)> {
    const LONGEST_NAME: usize = 255;
    let mut at = HEADER;
    loop {
        let label = usize::from(*message.get(at)?);
        // A pointer would have to lead to a name before this first one.
        if label > 63 {
            return None;
        }
        at += 1 + label;
        if at - HEADER > LONGEST_NAME {
            return None;
        }
        if label == 0 {
            break;
        }
    }
    let &[kind_high, kind_low, class_high, class_low] = message.get(at..at + 4)? else {
        return None;
    };
    let kind = u16::from_be_bytes([kind_high, kind_low]);
    let class = u16::from_be_bytes([class_high, class_low]);
    const A: u16 = 1;
    const INTERNET: u16 = 1;
    const ANY: u16 = 255;
    Some((
        at + 4,
        matches!(kind, A | ANY) && matches!(class, INTERNET | ANY),
    ))
}

#[cfg(test)]
mod tests {
    use std::vec::Vec;

    use proptest::prelude::*;

    use super::*;

    const PORTAL: Ipv4Addr = Ipv4Addr::new(192, 168, 4, 1);

    fn query(name: &[u8], kind: u8, class: u8) -> Vec<u8> {
        let mut bytes = std::vec![0xab, 0xcd, 0x01, 0x20, 0, 1, 0, 0, 0, 0, 0, 0];
        bytes.extend_from_slice(name);
        bytes.extend_from_slice(&[0, kind, 0, class]);
        bytes
    }

    fn answered(query: &[u8]) -> Option<Vec<u8>> {
        let mut buffer = [0; MESSAGE];
        buffer[..query.len()].copy_from_slice(query);
        reply(&mut buffer, query.len(), PORTAL).map(<[u8]>::to_vec)
    }

    #[test]
    fn a_name_is_answered_with_the_portals_address() {
        let asked = query(b"\x07captive\x05apple\x03com\0", 1, 1);
        let mut expected = asked.clone();
        expected[2..8].copy_from_slice(&[0x85, 0x80, 0, 1, 0, 1]);
        expected.extend_from_slice(&[0xc0, 12, 0, 1, 0, 1, 0, 0, 0, 1, 0, 4, 192, 168, 4, 1]);
        assert_eq!(answered(&asked), Some(expected));
    }

    #[test]
    fn an_extended_query_is_answered_without_its_extension() {
        let plain = query(b"\x01a\0", 1, 1);
        let mut extended = plain.clone();
        extended[11] = 1;
        extended.extend_from_slice(&[0, 0, 41, 4, 0xd0, 0, 0, 0, 0, 0, 0]);
        assert_eq!(answered(&extended), answered(&plain));
    }

    #[test]
    fn questions_for_anything_else_get_an_empty_answer() {
        for (kind, class) in [(28, 1), (15, 1), (65, 1), (16, 1), (1, 3)] {
            let asked = query(b"\x01a\0", kind, class);
            let mut expected = asked.clone();
            expected[2..4].copy_from_slice(&[0x85, 0x80]);
            assert_eq!(
                answered(&asked),
                Some(expected),
                "type {kind}, class {class}"
            );
        }
        let root = answered(&query(b"\0", 255, 1)).map(|bytes| bytes[7]);
        assert_eq!(root, Some(1), "any type includes the address");
    }

    #[test]
    fn what_is_malformed_gets_a_format_error() {
        let long_label = [&[64][..], &[b'a'; 64], &[0]].concat();
        let long_name = [&[63][..], &[b'a'; 63]].concat().repeat(4);
        let two = {
            let mut bytes = query(b"\x01a\0", 1, 1);
            bytes[5] = 2;
            bytes
        };
        let none = {
            let mut bytes = query(b"\x01a\0", 1, 1);
            bytes[5] = 0;
            bytes
        };
        for malformed in [
            two,
            none,
            query(b"\xc0\x0c", 1, 1),
            query(b"\xc0\x00", 1, 1),
            query(b"\x01a\xc0\x0c", 1, 1),
            query(&long_label, 1, 1),
            query(&[&long_name[..], &[0]].concat(), 1, 1),
            query(b"\x3fshort", 1, 1),
            query(b"\x01a\0", 1, 1)[..16].to_vec(),
            query(b"", 1, 1)[..12].to_vec(),
        ] {
            let expected = [0xab, 0xcd, 0x85, 0x81, 0, 0, 0, 0, 0, 0, 0, 0];
            assert_eq!(
                answered(&malformed).as_deref(),
                Some(&expected[..]),
                "{malformed:?}"
            );
        }
    }

    #[test]
    fn other_operations_are_not_implemented_and_answers_are_ignored() {
        let mut update = query(b"\x01a\0", 6, 1);
        update[2] = 5 << 3;
        let expected = [0xab, 0xcd, 0xac, 0x84, 0, 0, 0, 0, 0, 0, 0, 0];
        assert_eq!(answered(&update).as_deref(), Some(&expected[..]));
        let mut response = query(b"\x01a\0", 1, 1);
        response[2] |= 0x80;
        assert_eq!(answered(&response), None);
        assert_eq!(answered(&response[..11]), None);
        assert_eq!(answered(&[]), None);
    }

    #[test]
    fn the_longest_name_is_answered() {
        let mut name = [&[63][..], &[b'a'; 63]].concat().repeat(3);
        name.extend([&[61][..], &[b'b'; 61], &[0]].concat());
        assert_eq!(name.len(), 255);
        assert_eq!(
            answered(&query(&name, 1, 1)).map(|bytes| bytes.len()),
            Some(12 + 255 + 4 + 16)
        );
    }

    proptest! {
        #[test]
        fn no_message_panics_or_is_amplified(bytes in proptest::collection::vec(any::<u8>(), 0..=512)) {
            if let Some(reply) = answered(&bytes) {
                prop_assert!(reply.len() <= bytes.len() + ANSWER);
                prop_assert_eq!(&reply[..2], &bytes[..2]);
                prop_assert!(reply[2] & 0x80 != 0);
            }
        }
    }
}
