//! Messages whose acknowledgement was lost: those of QoS 1 that come again, and those of an earlier boot.

use std::string::ToString;
use std::vec;
use std::vec::Vec;

use embassy_time::Duration;

use super::device::{Device, all_words};
use super::peer::Peer;
use crate::mqtt::types::{Delivery, QoS};

/// A QoS 1 message on `switch/a`, perhaps marked as a repetition.
fn message(identifier: u8, payload: &str, again: bool) -> Vec<u8> {
    let mut packet = vec![if again { 0x3A } else { 0x32 }, 13 + payload.len() as u8];
    packet.extend_from_slice(b"\0\x08switch/a\0");
    packet.extend_from_slice(&[identifier, 0]);
    packet.extend_from_slice(payload.as_bytes());
    packet
}

fn acknowledgement(identifier: u8) -> [u8; 4] {
    [0x40, 2, 0, identifier]
}

/// The device is handed a message and handles it; says what it answers.
fn handle(device: &mut Device, packet: &[u8]) -> Vec<u8> {
    device.hear(packet).unwrap();
    let (label, ..) = device.take().expect("the message is handed on");
    device.handled(&label);
    device.out()
}

/// The device hears a message that it knows; says what it answers.
fn know(device: &mut Device, packet: &[u8]) -> Vec<u8> {
    device.hear(packet).unwrap();
    assert_eq!(device.take(), None, "the message is not handed on");
    device.out()
}

/// A device that is connected anew to a broker that has kept its session.
fn reconnect(device: &mut Device) {
    device.lose();
    device.come_online(&mut Peer::new(), true, vec![]);
}

fn online() -> Device {
    let mut device = Device::new();
    device.come_online(&mut Peer::new(), false, vec![]);
    device
}

#[test]
fn a_message_whose_acknowledgement_was_lost_is_acknowledged_again_each_time_and_not_handed_on() {
    let (mut device, mut peer) = (Device::new(), Peer::new());
    device.come_online(&mut peer, false, vec![]);
    peer.publish("switch/a", b"ON", QoS::AtLeastOnce);
    device.talk(&mut peer);
    let (label, ..) = device.take().unwrap();
    device.handled(&label);
    for _ in 0..3 {
        // These bytes are lost.
        assert!(!device.out().is_empty());
        device.lose();
        peer.close();
        device.connect();
        device.talk(&mut peer);
        peer.welcome(true, vec![]);
        device.hear(&core::mem::take(&mut peer.out)).unwrap();
        assert_eq!(device.take(), None);
    }
    device.talk(&mut peer);
    assert_eq!(peer.vacancy(), 8, "the broker has its answer");
}

#[test]
fn messages_that_were_handled_and_not_acknowledged_before_the_connection_broke_are_known_too() {
    let mut device = online();
    for number in 1..=8 {
        device.hear(&message(number, "x", false)).unwrap();
    }
    // The first four while there is a connection, the others when it is gone.
    for number in 1..=8 {
        let (label, ..) = device.take().unwrap();
        if number == 5 {
            device.lose();
        }
        device.handled(&label);
    }
    reconnect(&mut device);
    for number in 1..=8 {
        let answer = know(&mut device, &message(number, "x", true));
        assert_eq!(answer, acknowledgement(number));
    }
}

#[test]
fn another_message_under_the_identifier_is_handed_on() {
    for other in [message(1, "ON", false), message(1, "OFF", true)] {
        let mut device = online();
        handle(&mut device, &message(1, "ON", false));
        reconnect(&mut device);
        assert_eq!(handle(&mut device, &other), acknowledgement(1));
        // From then on that is what the identifier stands for.
        reconnect(&mut device);
        let mut again = other;
        again[0] |= 8;
        assert_eq!(know(&mut device, &again), acknowledgement(1));
    }
}

#[test]
fn a_message_too_long_to_be_taken_puts_an_end_to_what_the_identifier_stood_for() {
    let mut device = online();
    handle(&mut device, &message(1, "ON", false));
    device.session.skipped(QoS::AtLeastOnce, 1).unwrap();
    assert_eq!(device.out(), acknowledgement(1));
    reconnect(&mut device);
    handle(&mut device, &message(1, "ON", true));
}

#[test]
fn a_message_of_a_session_that_the_broker_has_forgotten_is_not_known_any_more() {
    let mut device = online();
    handle(&mut device, &message(1, "ON", false));
    device.lose();
    device.come_online(&mut Peer::new(), false, vec![]);
    handle(&mut device, &message(1, "ON", true));
}

/// Lets the keep-alive period pass, so that the device asks.
fn ping(device: &mut Device) {
    device.pass(30).unwrap();
    assert!(device.out().ends_with(&[0xC0, 0]), "a ping goes last");
}

#[test]
fn a_message_is_known_until_the_broker_answers_a_ping_that_was_sent_behind_its_acknowledgement() {
    let mut device = online();
    handle(&mut device, &message(1, "ON", false));
    ping(&mut device);
    handle(&mut device, &message(2, "ON", false));
    device.hear(&[0xD0, 0]).unwrap();
    reconnect(&mut device);
    // The broker has got the first acknowledgement: this is a message that the outage swallowed.
    handle(&mut device, &message(1, "ON", true));
    assert_eq!(
        know(&mut device, &message(2, "ON", true)),
        acknowledgement(2)
    );
}

#[test]
fn a_message_that_came_again_while_a_ping_was_under_way_is_known_beyond_its_answer() {
    let mut device = online();
    handle(&mut device, &message(1, "ON", false));
    reconnect(&mut device);
    ping(&mut device);
    know(&mut device, &message(1, "ON", true));
    device.hear(&[0xD0, 0]).unwrap();
    reconnect(&mut device);
    know(&mut device, &message(1, "ON", true));
}

#[test]
fn the_answer_to_an_earlier_ping_says_nothing_of_what_was_acknowledged_behind_it() {
    let mut device = online();
    device.session.pause();
    ping(&mut device);
    handle(&mut device, &message(1, "ON", false));
    ping(&mut device);
    device.session.resume(device.now);
    device.hear(&[0xD0, 0]).unwrap();
    reconnect(&mut device);
    assert_eq!(
        know(&mut device, &message(1, "ON", true)),
        acknowledgement(1)
    );
}

#[test]
fn nor_does_the_answer_to_a_ping_of_an_earlier_connection() {
    let mut device = online();
    handle(&mut device, &message(1, "ON", false));
    ping(&mut device);
    reconnect(&mut device);
    device.hear(&[0xD0, 0]).unwrap();
    know(&mut device, &message(1, "ON", true));
}

#[test]
fn a_broker_that_owes_the_answer_to_a_ping_is_asked_no_more_often_than_others() {
    let mut device = online();
    handle(&mut device, &message(1, "ON", false));
    ping(&mut device);
    // Its answer never comes, but something else.
    device.hear(&[0x30, 4, 0, 1, b'a', 0]).unwrap();
    for _ in 0..5 {
        ping(&mut device);
        device.hear(&[0xD0, 0]).unwrap();
        let next = device.now + Duration::from_secs(30);
        assert_eq!(device.session.deadline(), next);
    }
}

#[test]
fn a_broker_that_is_never_quiet_is_asked_too_and_no_more_often_than_the_keep_alive_period() {
    let (mut device, mut peer) = (Device::new(), Peer::new());
    device.come_online(&mut peer, false, vec![]);
    let mut pings = Vec::new();
    for second in 1..=120 {
        peer.publish("switch/a", b"", QoS::AtMostOnce);
        device.session.sent(device.now);
        device.pass(1).unwrap();
        if second == 10 || second == 45 {
            peer.publish("switch/a", b"", QoS::AtLeastOnce);
        }
        if all_words(&device.talk(&mut peer)).contains(&"ping".to_string()) {
            pings.push(second);
        }
        while let Some((label, ..)) = device.take() {
            device.handled(&label);
        }
        // What the device sends keeps the broker awake.
        device.talk(&mut peer);
    }
    assert_eq!(pings, [40, 75]);
}

#[test]
fn the_last_messages_are_known_as_many_as_a_broker_may_leave_unacknowledged() {
    let mut device = online();
    for number in 1..=20 {
        handle(&mut device, &message(number, "x", false));
    }
    reconnect(&mut device);
    for number in 13..=20 {
        know(&mut device, &message(number, "x", true));
    }
    handle(&mut device, &message(12, "x", true));
}

#[test]
fn in_a_session_of_an_earlier_boot_an_identifier_is_released_before_a_message_of_qos_2_has_it() {
    for (present, expected) in [
        (true, &["pubrel", "publish out two", "pubrel"][..]),
        (false, &["publish out two", "pubrel"]),
    ] {
        let (mut device, mut peer) = (Device::new(), Peer::new());
        device.settings.clean_start = false;
        // It does not know that a release may come without a message.
        peer.bears_all = true;
        device.come_online(&mut peer, present, vec![]);
        device.keep("one", Delivery::AT_LEAST_ONCE);
        device.keep("two", Delivery::EXACTLY_ONCE);
        let heard = all_words(&device.talk(&mut peer));
        assert_eq!(heard[0], "publish out one");
        assert_eq!(heard[1..], *expected);
        assert_eq!(device.outbox.first(), device.outbox.end());
        // A session of this boot is known.
        device.lose();
        let mut peer = Peer::new();
        device.come_online(&mut peer, false, vec![]);
        device.keep("three", Delivery::EXACTLY_ONCE);
        let heard = all_words(&device.talk(&mut peer));
        assert_eq!(heard, ["publish out three", "pubrel"]);
    }
}
