//! Messages on their way to the broker, packet by packet.

use std::string::ToString;
use std::vec;
use std::vec::Vec;

use mqtt_protocol_core::mqtt::packet::{self as theirs, Packet, v5_0};
use mqtt_protocol_core::mqtt::result_code::PubackReasonCode;

use super::device::{Device, all_words};
use super::peer::Peer;
use crate::mqtt::reason::Failure;
use crate::mqtt::types::Delivery;

#[test]
fn no_more_messages_are_in_flight_than_the_broker_takes() {
    for (maximum, expected) in [(3, 3), (100, 8)] {
        let (mut device, mut peer) = (Device::new(), Peer::silent());
        let maximum = theirs::ReceiveMaximum::new(maximum).unwrap().into();
        device.connect();
        device.talk(&mut peer);
        peer.welcome(false, vec![maximum]);
        for number in 0..20 {
            device.keep(&number.to_string(), Delivery::AT_LEAST_ONCE);
        }
        let mut identifiers: Vec<u16> = Vec::new();
        let mut payloads = Vec::new();
        let mut waiting = Vec::new();
        loop {
            let before = identifiers.len();
            let heard = device.talk(&mut peer);
            for packet in heard {
                match packet {
                    Packet::V5_0Publish(packet) => {
                        let identifier = packet.packet_id().unwrap();
                        assert!(!waiting.contains(&identifier) && identifier != 0);
                        waiting.push(identifier);
                        identifiers.push(identifier);
                        payloads.push(packet.payload().as_slice().to_vec());
                    }
                    Packet::V5_0Subscribe(packet) => peer.grant(&packet),
                    _ => {}
                }
            }
            assert!(waiting.len() <= expected);
            if waiting.is_empty() {
                break;
            }
            if identifiers.len() < 21 {
                assert!(waiting.len() > expected / 2, "half of them always are");
                let sent = identifiers.len() - before;
                assert!(sent == 0 || sent >= expected / 2, "and leave together");
            }
            let puback = v5_0::Puback::builder().packet_id(waiting.remove(0)).build();
            peer.say(puback.unwrap());
        }
        assert_eq!(payloads.len(), 21);
        assert_eq!(payloads[0], b"online");
        let numbers: Vec<_> = (0..20)
            .map(|number: u32| number.to_string().into_bytes())
            .collect();
        assert_eq!(payloads[1..], numbers);
        // The identifiers began near the end and have passed it.
        assert!(identifiers.contains(&1));
    }
}

#[test]
fn an_answer_for_another_quality_of_service_ends_the_connection_and_loses_no_message() {
    let [puback, pubrec, pubcomp] = [0x40, 0x50, 0x70];
    for (delivery, answer) in [
        (Delivery::AT_LEAST_ONCE, pubrec),
        (Delivery::AT_LEAST_ONCE, pubcomp),
        (Delivery::EXACTLY_ONCE, puback),
    ] {
        let (mut device, mut peer) = (Device::new(), Peer::new());
        device.come_online(&mut peer, false, vec![]);
        device.keep("one", delivery);
        let sent = device.out();
        let topic = sent.windows(3).position(|bytes| bytes == b"out").unwrap();
        let heard = device.hear(&[answer, 2, sent[topic + 3], sent[topic + 4]]);
        assert!(matches!(heard, Err(Failure::Protocol(_))), "{heard:?}");
        assert_ne!(device.outbox.first(), device.outbox.end(), "it waits");
    }
}

#[test]
fn what_the_broker_has_not_acknowledged_is_repeated_in_a_kept_session_and_sent_anew_in_another() {
    for (present, expected) in [
        (true, ["publish out one again", "publish out two again"]),
        (false, ["publish out one", "publish out two"]),
    ] {
        let (mut device, mut peer) = (Device::new(), Peer::new());
        device.come_online(&mut peer, false, vec![]);
        device.keep("one", Delivery::AT_LEAST_ONCE);
        device.keep("two", Delivery::EXACTLY_ONCE);
        // These bytes are lost.
        assert!(!device.out().is_empty());
        device.lose();
        peer.close();
        let mut peer = if present { peer } else { Peer::new() };
        let heard = all_words(&device.come_online(&mut peer, present, vec![]));
        assert_eq!(heard[0], "connect");
        let publishes: Vec<_> = heard
            .iter()
            .filter(|words| words.starts_with("publish out"))
            .collect();
        assert_eq!(publishes, expected);
        assert_eq!(device.outbox.first(), device.outbox.end());
    }
}

#[test]
fn repeated_messages_too_are_no_more_at_once_than_the_broker_takes() {
    let (mut device, mut peer) = (Device::new(), Peer::new());
    device.come_online(&mut peer, false, vec![]);
    for number in 0..5 {
        device.keep(&number.to_string(), Delivery::AT_LEAST_ONCE);
    }
    assert!(!device.out().is_empty());
    device.lose();
    let mut peer = Peer::silent();
    device.connect();
    device.talk(&mut peer);
    let two = theirs::ReceiveMaximum::new(2).unwrap().into();
    peer.welcome(true, vec![two]);
    let mut payloads = Vec::new();
    loop {
        let heard = device.talk(&mut peer);
        if heard.is_empty() {
            break;
        }
        assert!(heard.len() <= 3, "{:?}", all_words(&heard));
        for packet in heard {
            if let Packet::V5_0Publish(packet) = packet {
                payloads.push(packet.payload().as_slice().to_vec());
                let puback = v5_0::Puback::builder().packet_id(packet.packet_id().unwrap());
                peer.say(puback.build().unwrap());
            }
        }
    }
    assert_eq!(payloads, [&b"0"[..], b"1", b"2", b"3", b"4", b"online"]);
}

#[test]
fn a_release_whose_answer_was_lost_is_repeated_without_the_message() {
    let (mut device, mut peer) = (Device::new(), Peer::new());
    device.come_online(&mut peer, false, vec![]);
    device.keep("two", Delivery::EXACTLY_ONCE);
    peer.hear(&device.out());
    device.hear(&core::mem::take(&mut peer.out)).unwrap();
    assert_eq!(all_words(&peer.hear(&device.out())), ["pubrel"]);
    // PUBCOMP is lost.
    device.lose();
    peer.close();
    let heard = all_words(&device.come_online(&mut peer, true, vec![]));
    assert_eq!(heard[1], "pubrel");
    assert!(!heard.iter().any(|words| words.contains("two")));
    assert_eq!(device.outbox.first(), device.outbox.end());
}

#[test]
fn what_the_broker_does_not_offer_is_lowered_and_what_is_too_long_for_it_is_dropped_and_logged() {
    let (mut device, mut peer) = (Device::new(), Peer::new());
    device.keep(&"x".repeat(100), Delivery::AT_LEAST_ONCE);
    device.keep("short", Delivery::EXACTLY_ONCE.retained());
    let heard = device.come_online(
        &mut peer,
        false,
        vec![
            theirs::MaximumQos::new(0).unwrap().into(),
            theirs::RetainAvailable::new(0).unwrap().into(),
            theirs::MaximumPacketSize::new(60).unwrap().into(),
        ],
    );
    let publishes: Vec<_> = heard
        .iter()
        .filter_map(|packet| match packet {
            Packet::V5_0Publish(packet) => Some((packet.qos() as u8, packet.retain())),
            _ => None,
        })
        .collect();
    assert_eq!(publishes, [(0, false), (0, false)]);
    assert_eq!(device.outbox.first(), device.outbox.end());
    let lines = device.lines.borrow();
    assert!(lines[0].contains("retained"));
    assert!(lines[1].contains("on out is longer"));
}

#[test]
fn a_message_that_the_broker_refuses_is_logged_with_the_reason_and_not_repeated() {
    let (mut device, mut peer) = (Device::new(), Peer::silent());
    device.connect();
    device.talk(&mut peer);
    peer.welcome(false, vec![]);
    device.keep("secret", Delivery::AT_LEAST_ONCE);
    for packet in device.talk(&mut peer) {
        if let Packet::V5_0Publish(packet) = packet {
            let puback = v5_0::Puback::builder()
                .packet_id(packet.packet_id().unwrap())
                .reason_code(PubackReasonCode::NotAuthorized);
            peer.say(puback.build().unwrap());
        }
    }
    device.talk(&mut peer);
    assert_eq!(device.outbox.first(), device.outbox.end());
    let lines = device.lines.borrow();
    assert!(lines[0].contains("status") && lines[0].contains("not authorised"));
    assert!(lines[1].contains("on out") && lines[1].contains("not authorised"));
}
