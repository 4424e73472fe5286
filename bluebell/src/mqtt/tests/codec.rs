//! Packets written by one implementation and read by the other.

use std::format;
use std::string::String;
use std::vec;
use std::vec::Vec;

use mqtt_protocol_core::mqtt::packet::{self as theirs, v5_0};
use mqtt_protocol_core::mqtt::result_code::{
    ConnectReasonCode, DisconnectReasonCode, PubackReasonCode, PubcompReasonCode, PubrecReasonCode,
    SubackReasonCode,
};
use proptest::prelude::*;

use super::peer::{self, GenericPacketTrait, Packet, Peer};
use crate::mqtt::codec::frame::{self, Frame};
use crate::mqtt::codec::v5::V5;
use crate::mqtt::codec::{
    Arrival, Codec, Connect, Connected, Incoming, Limits, Outgoing, Publication, Step,
};
use crate::mqtt::mark::Properties;
use crate::mqtt::reason::Reason;
use crate::mqtt::types::{Delivery, QoS};

fn written(packet: &Outgoing<'_>) -> Vec<u8> {
    let mut buffer = vec![0; 4096];
    let length = V5.encode(packet, &mut buffer);
    let mut short = vec![0; length - 1];
    assert_eq!(
        V5.encode(packet, &mut short),
        length,
        "the length is known without room"
    );
    buffer.truncate(length);
    buffer
}

fn connect<'a>() -> Connect<'a> {
    Connect {
        client_id: "garage",
        user: "bruker",
        password: "påssord",
        clean_start: true,
        keep_alive: 30,
        session_expiry: 3600,
        receive_maximum: 8,
        maximum_packet: 1152,
        will_topic: [b"bluebell/gar", b"age/status"],
        will_payload: b"offline",
        will_delivery: Delivery::AT_LEAST_ONCE.retained(),
    }
}

/// A peer that has heard a CONNECT.
fn greeted() -> Peer {
    let mut peer = Peer::silent();
    peer.hear(&written(&Outgoing::Connect(connect())));
    peer.welcome(false, vec![]);
    peer
}

#[test]
fn the_first_packet_says_all_that_it_should() {
    let [Packet::V5_0Connect(packet)] =
        &Peer::silent().hear(&written(&Outgoing::Connect(connect())))[..]
    else {
        panic!("no CONNECT");
    };
    assert_eq!(packet.client_id(), "garage");
    assert_eq!(packet.user_name(), Some("bruker"));
    assert_eq!(packet.password(), Some("påssord".as_bytes()));
    assert!(packet.clean_start());
    assert_eq!(packet.keep_alive(), 30);
    assert_eq!(packet.will_topic(), Some("bluebell/garage/status"));
    assert_eq!(packet.will_payload(), Some(&b"offline"[..]));
    assert!(packet.will_retain());
    assert_eq!(packet.will_qos(), theirs::Qos::AtLeastOnce);
    let expected: Vec<theirs::Property> = vec![
        theirs::SessionExpiryInterval::new(3600).unwrap().into(),
        theirs::ReceiveMaximum::new(8).unwrap().into(),
        theirs::MaximumPacketSize::new(1152).unwrap().into(),
    ];
    assert_eq!(packet.props(), &expected);

    let plain = Connect {
        user: "",
        password: "",
        clean_start: false,
        ..connect()
    };
    let [Packet::V5_0Connect(packet)] =
        &Peer::silent().hear(&written(&Outgoing::Connect(plain)))[..]
    else {
        panic!("no CONNECT");
    };
    assert_eq!((packet.user_name(), packet.password()), (None, None));
    assert!(!packet.clean_start());
}

#[test]
fn messages_and_subscriptions_are_read_as_they_were_meant() {
    let mut peer = greeted();
    for (qos, again) in [
        (QoS::AtMostOnce, false),
        (QoS::AtLeastOnce, true),
        (QoS::ExactlyOnce, false),
    ] {
        let payload = [&[0xFF; 200][..], &[0; 9]];
        let properties = Properties {
            expiry: again.then_some(77),
            id: "0123456789abcdef".try_into().unwrap(),
            origin: again.then(|| ("time", "1893456003.250".try_into().unwrap())),
        };
        let bytes = written(&Outgoing::Publish(Publication {
            topic: ["blå".as_bytes(), b"/klokke"],
            payload,
            delivery: Delivery {
                qos,
                retain: again,
                ..Delivery::AT_LEAST_ONCE
            },
            identifier: 0xABCD,
            again,
            properties: Some(&properties),
        }));
        let [Packet::V5_0Publish(packet)] = &peer.hear(&bytes)[..] else {
            panic!("no PUBLISH");
        };
        assert_eq!(packet.topic_name(), "blå/klokke");
        assert_eq!(packet.payload().as_slice(), payload.concat());
        assert_eq!(packet.qos(), peer::theirs(qos));
        assert_eq!((packet.retain(), packet.dup()), (again, again));
        let told = packet.props().iter().map(|property| match property {
            theirs::Property::MessageExpiryInterval(interval) => format!("{}", interval.val()),
            theirs::Property::UserProperty(pair) => format!("{}={}", pair.key(), pair.val()),
            other => format!("{other:?}"),
        });
        let mut expected = vec!["id=0123456789abcdef"];
        if again {
            expected = vec!["77", expected[0], "time=1893456003.250"];
        }
        assert_eq!(told.collect::<Vec<_>>(), expected);
        let identifier = (qos != QoS::AtMostOnce).then_some(0xABCD);
        assert_eq!(packet.packet_id(), identifier);
    }

    let subscriptions = [
        ("left/out", QoS::AtMostOnce),
        ("a/+", QoS::AtMostOnce),
        ("not#a filter", QoS::AtMostOnce),
        ("b/#", QoS::ExactlyOnce),
    ];
    let bytes = written(&Outgoing::Subscribe {
        identifier: 7,
        subscriptions: &subscriptions,
        range: (1, 4),
    });
    let [Packet::V5_0Subscribe(packet)] = &peer.hear(&bytes)[..] else {
        panic!("no SUBSCRIBE");
    };
    let entries: Vec<_> = packet
        .entries()
        .iter()
        .map(|entry| (String::from(entry.topic_filter()), entry.sub_opts().qos()))
        .collect();
    let expected = [
        ("a/+".into(), theirs::Qos::AtMostOnce),
        ("b/#".into(), theirs::Qos::ExactlyOnce),
    ];
    assert_eq!((packet.packet_id(), entries), (7, expected.to_vec()));

    let bytes = [
        written(&Outgoing::Ping),
        written(&Outgoing::Disconnect(Reason::PROTOCOL_ERROR)),
    ];
    let [Packet::V5_0Pingreq(_), Packet::V5_0Disconnect(packet)] = &peer.hear(&bytes.concat())[..]
    else {
        panic!("no PINGREQ and DISCONNECT");
    };
    assert_eq!(
        packet.reason_code(),
        Some(DisconnectReasonCode::ProtocolError)
    );
}

#[test]
fn answers_are_written_as_the_standard_shows() {
    let cases = [
        (Step::Acknowledged, Reason::SUCCESS, vec![0x40, 2, 1, 2]),
        (Step::Received, Reason::SUCCESS, vec![0x50, 2, 1, 2]),
        (Step::Released, Reason::SUCCESS, vec![0x62, 2, 1, 2]),
        (
            Step::Completed,
            Reason::UNKNOWN_IDENTIFIER,
            vec![0x70, 3, 1, 2, 0x92],
        ),
    ];
    for (step, reason, bytes) in cases {
        let packet = Outgoing::Step {
            step,
            identifier: 0x0102,
            reason,
        };
        assert_eq!(written(&packet), bytes);
    }
}

fn read(bytes: &[u8]) -> Incoming<'_> {
    let Ok(Frame::Whole { first, header, end }) = frame::find(bytes, bytes.len()) else {
        panic!("no whole packet");
    };
    assert_eq!(end, bytes.len());
    V5.decode(first, &bytes[header..end]).unwrap()
}

/// Packets as the other implementation writes them, with what they mean.
fn packets() -> Vec<(Packet, Incoming<'static>)> {
    let step = |step, reason| Incoming::Step {
        step,
        identifier: 513,
        reason: Reason(reason),
    };
    let connack = v5_0::Connack::builder()
        .session_present(true)
        .reason_code(ConnectReasonCode::Success)
        .props(
            [
                theirs::SessionExpiryInterval::new(9).unwrap().into(),
                theirs::ReceiveMaximum::new(20).unwrap().into(),
                theirs::MaximumQos::new(1).unwrap().into(),
                theirs::RetainAvailable::new(0).unwrap().into(),
                theirs::MaximumPacketSize::new(100_000).unwrap().into(),
                theirs::AssignedClientIdentifier::new("auto-1")
                    .unwrap()
                    .into(),
                theirs::TopicAliasMaximum::new(10).unwrap().into(),
                theirs::ReasonString::new("welcome").unwrap().into(),
                theirs::WildcardSubscriptionAvailable::new(1)
                    .unwrap()
                    .into(),
                theirs::SubscriptionIdentifierAvailable::new(1)
                    .unwrap()
                    .into(),
                theirs::SharedSubscriptionAvailable::new(0).unwrap().into(),
                theirs::ServerKeepAlive::new(15).unwrap().into(),
                theirs::ResponseInformation::new("r").unwrap().into(),
                theirs::ServerReference::new("other").unwrap().into(),
            ]
            .into_iter()
            .chain(peer::clutter())
            .collect::<Vec<theirs::Property>>(),
        );
    let connected = Connected {
        reason: Reason::SUCCESS,
        session_present: true,
        limits: Limits {
            receive_maximum: 20,
            maximum_packet: 100_000,
            maximum_qos: QoS::AtLeastOnce,
            retain: false,
            keep_alive: Some(15),
        },
        assigned_client_id: "auto-1",
    };
    let refused = v5_0::Connack::builder()
        .session_present(false)
        .reason_code(ConnectReasonCode::BadUserNameOrPassword);
    let publish = v5_0::Publish::builder()
        .topic_name("a/ø")
        .unwrap()
        .qos(theirs::Qos::ExactlyOnce)
        .packet_id(513u16)
        .dup(true)
        .retain(true)
        .payload(vec![0xFF, 0, 7])
        .props(
            [
                theirs::PayloadFormatIndicator::new(theirs::PayloadFormat::Binary)
                    .unwrap()
                    .into(),
                theirs::MessageExpiryInterval::new(7).unwrap().into(),
                theirs::ContentType::new("application/cbor").unwrap().into(),
                theirs::ResponseTopic::new("r/1").unwrap().into(),
                theirs::CorrelationData::new(vec![1, 2, 3]).unwrap().into(),
                theirs::SubscriptionIdentifier::new(268_435_455)
                    .unwrap()
                    .into(),
            ]
            .into_iter()
            .chain(peer::clutter())
            .collect::<Vec<theirs::Property>>(),
        );
    let arrival = Arrival {
        topic: "a/ø",
        payload: &[0xFF, 0, 7],
        qos: QoS::ExactlyOnce,
        retain: true,
        again: true,
        identifier: 513,
    };
    let suback = v5_0::Suback::builder()
        .packet_id(513u16)
        .reason_codes(vec![
            SubackReasonCode::GrantedQos2,
            SubackReasonCode::NotAuthorized,
        ])
        .props(peer::clutter());
    let puback = v5_0::Puback::builder()
        .packet_id(513u16)
        .reason_code(PubackReasonCode::QuotaExceeded)
        .props(peer::clutter());
    let pubrec = v5_0::Pubrec::builder()
        .packet_id(513u16)
        .reason_code(PubrecReasonCode::NoMatchingSubscribers);
    let pubcomp = v5_0::Pubcomp::builder()
        .packet_id(513u16)
        .reason_code(PubcompReasonCode::PacketIdentifierNotFound);
    let disconnect = v5_0::Disconnect::builder()
        .reason_code(DisconnectReasonCode::SessionTakenOver)
        .props(vec![theirs::ServerReference::new("other").unwrap().into()]);
    vec![
        (
            connack.build().unwrap().into(),
            Incoming::Connected(connected),
        ),
        (
            refused.build().unwrap().into(),
            Incoming::Connected(Connected {
                reason: Reason(0x86),
                session_present: false,
                limits: Limits::NONE,
                assigned_client_id: "",
            }),
        ),
        (publish.build().unwrap().into(), Incoming::Publish(arrival)),
        (
            suback.build().unwrap().into(),
            Incoming::Subscribed {
                identifier: 513,
                reasons: &[2, 0x87],
            },
        ),
        (
            puback.build().unwrap().into(),
            step(Step::Acknowledged, 0x97),
        ),
        (
            v5_0::Puback::builder()
                .packet_id(513u16)
                .build()
                .unwrap()
                .into(),
            step(Step::Acknowledged, 0),
        ),
        (pubrec.build().unwrap().into(), step(Step::Received, 0x10)),
        (
            v5_0::Pubrel::builder()
                .packet_id(513u16)
                .build()
                .unwrap()
                .into(),
            step(Step::Released, 0),
        ),
        (pubcomp.build().unwrap().into(), step(Step::Completed, 0x92)),
        (
            v5_0::Pingresp::builder().build().unwrap().into(),
            Incoming::Pong,
        ),
        (
            disconnect.build().unwrap().into(),
            Incoming::Disconnect(Reason::TAKEN_OVER),
        ),
        (
            v5_0::Disconnect::builder().build().unwrap().into(),
            Incoming::Disconnect(Reason::SUCCESS),
        ),
    ]
}

#[test]
fn every_packet_of_a_broker_is_read_as_it_was_meant() {
    for (packet, meaning) in packets() {
        assert_eq!(read(&packet.to_continuous_buffer()), meaning);
    }
}

#[test]
fn a_broker_without_mqtt_5_is_recognised_by_its_answer() {
    let Incoming::Connected(connected) = read(&[0x20, 2, 0, 1]) else {
        panic!("no CONNACK");
    };
    assert_eq!(connected.reason, Reason::UNSUPPORTED_VERSION);
}

#[test]
fn malformed_packets_are_told_from_others() {
    let cases: &[(u8, &[u8])] = &[
        (0x00, &[]),
        (0x10, &[0, 4]),
        (0x21, &[0, 0, 0]),
        (0x20, &[]),
        (0x20, &[2, 0, 0]),
        (0x20, &[0]),
        (0x20, &[0, 0, 1]),
        (0x20, &[0, 0, 3, 33, 0, 0]),
        (0x20, &[0, 0, 5, 39, 0, 0, 0, 0]),
        (0x20, &[0, 0, 6, 33, 0, 1, 33, 0, 1]),
        (0x20, &[0, 0, 2, 36, 2]),
        (0x20, &[0, 0, 2, 1, 0]),
        (0x20, &[0, 0, 1, 200]),
        (0x20, &[0, 0, 0, 0]),
        (0x20, &[0, 0, 0x80, 0x80, 0x80, 0x80]),
        (0x30, &[]),
        (0x30, &[0, 0, 0]),
        (0x30, &[0, 1]),
        (0x30, &[0, 1, b'#', 0]),
        (0x30, &[0, 1, 0xFF, 0]),
        (0x30, &[0, 1, 0, 0]),
        (0x30, &[0, 1, b'a']),
        (0x30, &[0, 1, b'a', 3, 35, 0, 1]),
        (0x32, &[0, 1, b'a', 0, 0, 0]),
        (0x32, &[0, 1, b'a', 0]),
        (0x36, &[0, 1, b'a', 0, 1, 0]),
        (0x38, &[0, 1, b'a', 0]),
        (0x40, &[0, 0]),
        (0x40, &[1]),
        (0x42, &[0, 1]),
        (0x60, &[0, 1]),
        (0x62, &[0, 1, 0, 0, 0]),
        (0x62, &[0, 1, 0, 4, 38, 0, 0, 0]),
        (0x82, &[0, 1, 0]),
        (0x90, &[0, 1]),
        (0x90, &[0, 1, 2, 2]),
        (0xD0, &[0]),
        (0xD1, &[]),
        (0xE0, &[0, 9]),
        (0xF0, &[]),
    ];
    for (first, body) in cases {
        let read = V5.decode(*first, body);
        assert!(read.is_err(), "{first:#x} {body:?}: {read:?}");
    }
}

proptest! {
    #[test]
    fn no_bytes_whatever_make_the_codec_fall(first: u8, body in prop::collection::vec(any::<u8>(), 0..200)) {
        let _ = V5.decode(first, &body);
    }

    #[test]
    fn a_packet_that_was_changed_or_cut_never_makes_the_codec_fall(
        which in 0usize..12,
        cut in 0usize..300,
        at in 0usize..300,
        byte: u8,
    ) {
        let mut bytes = packets()[which].0.to_continuous_buffer();
        let at = at % bytes.len();
        bytes[at] = byte;
        let _ = frame::find(&bytes, 4096);
        let body = &bytes[2..];
        let _ = V5.decode(bytes[0], &body[..cut % (body.len() + 1)]);
    }
}
