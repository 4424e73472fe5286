//! What the session does, packet by packet.

use std::string::ToString;
use std::vec;
use std::vec::Vec;

use mqtt_protocol_core::mqtt::packet::{self as theirs, Packet};
use mqtt_protocol_core::mqtt::result_code::{ConnectReasonCode, SubackReasonCode};

use super::device::{Device, all_words};
use super::peer::Peer;
use crate::mqtt::reason::{Failure, Reason};
use crate::mqtt::types::{Delivery, QoS};

#[test]
fn after_the_greeting_come_subscriptions_then_the_birth_and_then_what_was_kept() {
    let (mut device, mut peer) = (Device::new(), Peer::new());
    device.keep("kept", Delivery::AT_LEAST_ONCE);
    let heard = device.come_online(&mut peer, false, vec![]);
    assert_eq!(
        all_words(&heard),
        [
            "connect clean",
            "subscribe switch/#",
            "publish bluebell/garage/status online",
            "publish out kept",
        ]
    );
    let Packet::V5_0Publish(birth) = &heard[2] else {
        panic!("no birth");
    };
    assert!(birth.retain());
    assert!(device.lines.borrow().is_empty());
    assert_eq!(device.outbox.first(), device.outbox.end());
}

#[test]
fn the_device_is_not_online_before_the_subscriptions_are_answered() {
    let (mut device, mut peer) = (Device::new(), Peer::new());
    device.connect();
    device.talk(&mut peer);
    peer.welcome(false, vec![]);
    device.talk(&mut peer);
    assert!(!device.session.is_online());
    assert_eq!(device.pass(9), Ok(()));
    assert_eq!(device.pass(1), Err(Failure::Silent));
}

#[test]
fn subscriptions_that_fill_more_than_one_packet_are_asked_for_one_packet_at_a_time() {
    static LONG: [&str; 3] = [
        "aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa",
        "bbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbb",
        "cccccccccccccccccccccccccccccccccccccccccccccccccccccccccccccccccccccccccccccccccccccccccccc",
    ];
    static FILTERS: [(&str, QoS); 7] = [
        (LONG[0], QoS::AtLeastOnce),
        ("no#filter", QoS::AtLeastOnce),
        (LONG[1], QoS::AtLeastOnce),
        (LONG[2], QoS::AtLeastOnce),
        (LONG[0], QoS::AtLeastOnce),
        (LONG[1], QoS::AtLeastOnce),
        ("last", QoS::AtMostOnce),
    ];
    let (mut device, mut peer) = (Device::with(&FILTERS, 100), Peer::new());
    device.connect();
    device.talk(&mut peer);
    peer.welcome(
        false,
        vec![theirs::MaximumPacketSize::new(250).unwrap().into()],
    );
    let mut counts = Vec::new();
    while !device.session.is_online() {
        let heard = device.talk(&mut peer);
        for packet in &heard {
            if let Packet::V5_0Subscribe(packet) = packet {
                counts.push(packet.entries().len());
                // The second filter of the first packet is refused.
                let mut reasons = vec![SubackReasonCode::GrantedQos1; packet.entries().len()];
                if counts.len() == 1 {
                    reasons[1] = SubackReasonCode::NotAuthorized;
                }
                peer.answer(packet, reasons);
            }
        }
        assert!(counts.len() < 9);
    }
    assert_eq!(counts, [2, 2, 2]);
    let lines = device.lines.borrow();
    assert_eq!(lines.len(), 2, "{lines:?}");
    assert!(lines[0].contains("no#filter") && lines[0].contains("write it last"));
    assert!(lines[1].contains("bbbb") && lines[1].contains("not authorised"));
}

#[test]
fn a_refusal_names_its_remedy() {
    let cases = [
        (
            ConnectReasonCode::BadUserNameOrPassword,
            "mqtt.user and mqtt.password",
        ),
        (ConnectReasonCode::NotAuthorized, "not authorised"),
        (
            ConnectReasonCode::ClientIdentifierNotValid,
            "mqtt.client_id",
        ),
        (ConnectReasonCode::UnsupportedProtocolVersion, "MQTT 5"),
        (ConnectReasonCode::ServerMoved, "mqtt.host"),
    ];
    for (code, remedy) in cases {
        let (mut device, mut peer) = (Device::new(), Peer::new());
        device.connect();
        device.talk(&mut peer);
        peer.refuse(code);
        let failure = device.hear(&peer.out).unwrap_err();
        assert_eq!(failure, Failure::Refused(Reason(code as u8)));
        assert!(failure.to_string().contains(remedy), "{failure}");
    }
}

#[test]
fn a_will_that_the_broker_does_not_offer_is_lowered_at_the_next_attempt() {
    let (mut device, mut peer) = (Device::new(), Peer::new());
    for (code, qos, retain) in [
        (ConnectReasonCode::QosNotSupported, 1, true),
        (ConnectReasonCode::RetainNotSupported, 0, true),
        (ConnectReasonCode::Banned, 0, false),
    ] {
        device.connect();
        let [Packet::V5_0Connect(connect)] = &device.talk(&mut peer)[..] else {
            panic!("no CONNECT");
        };
        assert_eq!(
            (connect.will_qos() as u8, connect.will_retain()),
            (qos, retain)
        );
        peer.refuse(code);
        device.hear(&peer.out).unwrap_err();
        device.lose();
        peer.close();
    }
}

#[test]
fn a_message_is_acknowledged_after_it_was_handled() {
    let (mut device, mut peer) = (Device::new(), Peer::new());
    device.come_online(&mut peer, false, vec![]);
    let first = peer.publish("switch/a", b"1", QoS::AtLeastOnce);
    let second = peer.publish("switch/b", b"2", QoS::ExactlyOnce);
    assert!(device.talk(&mut peer).is_empty());
    let (label, topic, payload) = device.take().unwrap();
    assert_eq!(
        (label.qos, topic.as_str(), payload),
        (QoS::AtLeastOnce, "switch/a", b"1".to_vec())
    );
    assert!(device.talk(&mut peer).is_empty());
    device.handled(&label);
    assert_eq!(
        all_words(&device.talk(&mut peer)),
        [std::format!("puback {first}")]
    );
    let (label, ..) = device.take().unwrap();
    device.handled(&label);
    assert_eq!(
        all_words(&device.talk(&mut peer)),
        [
            std::format!("pubrec {second}"),
            std::format!("pubcomp {second}")
        ]
    );
}

#[test]
fn a_message_that_was_not_handled_comes_again_and_is_delivered_once() {
    for handled_while_away in [false, true] {
        for qos in [QoS::AtLeastOnce, QoS::ExactlyOnce] {
            let (mut device, mut peer) = (Device::new(), Peer::new());
            device.come_online(&mut peer, false, vec![]);
            peer.publish("switch/a", b"1", qos);
            device.talk(&mut peer);
            let (label, ..) = device.take().unwrap();
            device.lose();
            peer.close();
            if handled_while_away {
                device.handled(&label);
            }
            device.come_online(&mut peer, true, vec![]);
            if !handled_while_away {
                device.handled(&label);
            }
            let answers = device.talk(&mut peer);
            assert!(handled_while_away || !answers.is_empty());
            assert_eq!(device.take(), None, "{qos:?}");
            assert_eq!(peer.vacancy(), 8, "the broker has its answers");
        }
    }
}

#[test]
fn an_answer_is_not_given_in_another_session_than_the_messages() {
    let (mut device, mut peer) = (Device::new(), Peer::new());
    device.come_online(&mut peer, false, vec![]);
    peer.publish("switch/a", b"old", QoS::AtLeastOnce);
    device.talk(&mut peer);
    let (old, ..) = device.take().unwrap();
    device.lose();
    let mut peer = Peer::new();
    device.come_online(&mut peer, false, vec![]);
    peer.publish("switch/a", b"new", QoS::AtLeastOnce);
    device.talk(&mut peer);
    device.handled(&old);
    assert!(device.talk(&mut peer).is_empty());
    let (new, ..) = device.take().unwrap();
    assert_eq!(old.identifier, new.identifier);
    device.handled(&new);
    assert_eq!(device.talk(&mut peer).len(), 1);
}

/// A message on `switch/a` with one byte as its payload and its identifier.
fn numbered(number: u8, qos: QoS) -> Vec<u8> {
    let first = 0x30 | if qos == QoS::ExactlyOnce { 4 } else { 2 };
    let topic = b"switch/a";
    let mut packet = vec![first, 14, 0, 8];
    packet.extend_from_slice(topic);
    packet.extend_from_slice(&[0, number, 0, number]);
    packet
}

#[test]
fn more_messages_than_a_broker_may_send_wait_until_others_are_acknowledged() {
    let (mut device, mut peer) = (Device::new(), Peer::new());
    device.come_online(&mut peer, false, vec![]);
    for number in 1..=30 {
        device.hear(&numbered(number, QoS::AtLeastOnce)).unwrap();
    }
    for number in 1..=30 {
        let (label, _, payload) = device.take().unwrap();
        assert_eq!(payload, [number], "in the order in which they came");
        device.handled(&label);
        assert_eq!(device.out(), [0x40, 2, 0, number], "each is acknowledged");
        device.hear(&[]).unwrap();
    }
    assert!(device.take().is_none());
}

#[test]
fn more_messages_of_qos_2_than_a_broker_may_send_are_taken_too() {
    let (mut device, mut peer) = (Device::new(), Peer::new());
    device.come_online(&mut peer, false, vec![]);
    for number in 1..=12 {
        device.hear(&numbered(number, QoS::ExactlyOnce)).unwrap();
    }
    for number in 1..=12 {
        let (label, _, payload) = device.take().unwrap();
        assert_eq!(payload, [number]);
        device.handled(&label);
        assert_eq!(device.out(), [0x50, 2, 0, number], "each is received");
        device.hear(&[]).unwrap();
    }
    // The releases come behind all of them; of the first four the device no longer knows.
    for number in 1..=12 {
        device.hear(&[0x62, 2, 0, number]).unwrap();
        let answer = device.out();
        assert_eq!((answer[0], answer[3]), (0x70, number), "each is completed");
    }
    assert!(device.take().is_none(), "and none was delivered twice");
}

#[test]
fn an_identifier_that_the_broker_chose_is_used_on_the_next_connection() {
    let (mut device, mut peer) = (Device::new(), Peer::new());
    device.settings.client_id = "";
    let assigned = theirs::AssignedClientIdentifier::new("auto-7")
        .unwrap()
        .into();
    device.come_online(&mut peer, false, vec![assigned]);
    device.lose();
    peer.close();
    device.connect();
    let [Packet::V5_0Connect(connect)] = &device.talk(&mut peer)[..] else {
        panic!("no CONNECT");
    };
    assert_eq!(connect.client_id(), "auto-7");
}

#[test]
fn packets_out_of_order_end_the_connection_with_a_word_to_the_broker() {
    let cases: [&[u8]; 6] = [
        &[0xD0, 0],
        &[0x30, 4, 0, 1, b'a', 0],
        &[0x90, 4, 0, 1, 0, 0],
        &[0x20, 3, 0, 0, 0, 0x20, 3, 0, 0, 0],
        &[0x20, 3, 0, 0, 0, 0x90, 4, 0x12, 0x34, 0, 0],
        &[0x20, 3, 1, 0, 0],
    ];
    for bytes in cases {
        let mut device = Device::new();
        device.connect();
        device.out();
        let failure = device.hear(bytes).unwrap_err();
        assert!(
            matches!(failure, Failure::Protocol(_)),
            "{bytes:?} {failure:?}"
        );
        assert_eq!(failure.farewell(), Some(Reason::PROTOCOL_ERROR));
    }
}
