//! The whole client in virtual time, against a broker that behaves as it likes.

use std::cell::Cell;
use std::future::{Future, poll_fn};
use std::net::SocketAddr;
use std::pin::pin;
use std::string::ToString;
use std::task::Poll;
use std::vec;
use std::vec::Vec;

use embassy_futures::select::{Either, select};
use embassy_time::{Duration, Instant, Timer, with_timeout};

use super::broker::{Broker, Lines, Machine, play, report};
use super::device::settings;
use super::network::Reach;
use crate::mqtt::types::{Delivery, PublishError, QoS, State};
use crate::mqtt::{Mqtt, MqttMemory};

const FILTERS: &[(&str, QoS); 1] = &[("switch/#", QoS::ExactlyOnce)];

fn secs(seconds: u64) -> Duration {
    Duration::from_secs(seconds)
}

fn now() -> u64 {
    Instant::now().as_millis()
}

#[test]
fn messages_go_both_ways_with_every_qos() {
    let broker = Broker::new();
    let lines = play(&broker, settings(FILTERS), async |mqtt, _| {
        assert_eq!(
            mqtt.publish("a", b"early", Delivery::AT_MOST_ONCE).await,
            Err(PublishError::Offline)
        );
        mqtt.publish("a", b"kept", Delivery::AT_LEAST_ONCE)
            .await
            .unwrap();
        mqtt.online().await;
        for delivery in [
            Delivery::AT_MOST_ONCE,
            Delivery::AT_LEAST_ONCE,
            Delivery::EXACTLY_ONCE,
        ] {
            mqtt.publish("a", b"now", delivery).await.unwrap();
            mqtt.flush().await;
        }
        Timer::after(secs(1)).await;
        assert_eq!(
            broker.heard("publish a"),
            [
                "publish a kept",
                "publish a now",
                "publish a now",
                "publish a now"
            ]
        );
        for qos in [QoS::AtMostOnce, QoS::AtLeastOnce, QoS::ExactlyOnce] {
            broker.publish("switch/a", &[0xFF, qos.bits()], qos);
            let message = mqtt.receive().await;
            assert_eq!(
                (message.topic(), message.payload()),
                ("switch/a", &[0xFF, qos.bits()][..])
            );
            assert_eq!((message.qos(), message.retain()), (qos, false));
            // Another message waits until this one was handled.
            broker.publish("switch/b", b"", QoS::AtMostOnce);
            assert!(with_timeout(secs(3), mqtt.receive()).await.is_err());
            assert_eq!(broker.peer.borrow().vacancy() == 8, qos == QoS::AtMostOnce);
            message.done();
            assert_eq!(mqtt.receive().await.topic(), "switch/b");
            Timer::after(secs(1)).await;
            assert_eq!(broker.peer.borrow().vacancy(), 8);
        }
    });
    let lines = lines.borrow();
    assert_eq!(lines.len(), 1, "{lines:?}");
    assert_eq!(lines[0].2, "online at the broker broker:1883");
}

#[test]
fn small_messages_leave_together_and_an_acknowledgement_is_not_waited_for_one_by_one() {
    let broker = Broker::new();
    play(&broker, settings(FILTERS), async |mqtt, _| {
        mqtt.online().await;
        Timer::after(secs(1)).await;
        let writes = broker.network.writes.get();
        for _ in 0..20 {
            mqtt.publish("a", b"0123", Delivery::AT_MOST_ONCE)
                .await
                .unwrap();
        }
        for _ in 0..8 {
            mqtt.publish("a", b"0123", Delivery::AT_LEAST_ONCE)
                .await
                .unwrap();
        }
        mqtt.flush().await;
        assert_eq!(broker.network.writes.get() - writes, 1);
        assert_eq!(broker.heard("publish a").len(), 28);
    });
}

#[test]
fn more_messages_than_the_buffers_hold_arrive_in_order() {
    let broker = Broker::new();
    broker.network.width.set(300);
    play(&broker, settings(FILTERS), async |mqtt, _| {
        mqtt.online().await;
        for number in 0..500 {
            let payload = number.to_string();
            mqtt.publish("none", payload.as_bytes(), Delivery::AT_MOST_ONCE)
                .await
                .unwrap();
            mqtt.room(20).await.unwrap();
            mqtt.publish("one", payload.as_bytes(), Delivery::AT_LEAST_ONCE)
                .await
                .unwrap();
        }
        mqtt.flush().await;
        for topic in ["none", "one"] {
            let expected: Vec<_> = (0..500)
                .map(|number| std::format!("publish {topic} {number}"))
                .collect();
            assert_eq!(broker.heard(&std::format!("publish {topic}")), expected);
        }
    });
}

#[test]
fn what_cannot_be_published_is_refused_with_the_reason() {
    let broker = Broker::new();
    broker.network.reach.set(Reach::Refused);
    play(&broker, settings(FILTERS), async |mqtt, _| {
        let too_long = [0; 600];
        let cases = [
            ("a", &too_long[..], Delivery::AT_LEAST_ONCE, "too long"),
            ("a/+", b"", Delivery::AT_MOST_ONCE, "name one topic"),
            ("", b"", Delivery::EXACTLY_ONCE, "empty"),
            ("a", b"", Delivery::AT_MOST_ONCE, "broker is away"),
        ];
        for (topic, payload, delivery, words) in cases {
            let error = mqtt.publish(topic, payload, delivery).await.unwrap_err();
            assert!(error.to_string().contains(words), "{error}");
        }
        let mut kept = 0;
        while mqtt
            .publish("a", &[0; 92], Delivery::AT_LEAST_ONCE)
            .await
            .is_ok()
        {
            kept += 1;
        }
        assert_eq!(kept, 8);
        assert_eq!(
            mqtt.publish("a", &[0; 92], Delivery::EXACTLY_ONCE).await,
            Err(PublishError::Full)
        );
        broker.network.reach.set(Reach::Accepted);
        mqtt.flush().await;
        assert_eq!(broker.heard("publish a").len(), 8);
        assert_eq!(
            mqtt.publish("a", &too_long, Delivery::AT_MOST_ONCE).await,
            Err(PublishError::TooLong)
        );
        assert_eq!(mqtt.room(2000).await, Err(PublishError::TooLong));
    });
}

#[test]
fn a_full_inbox_pauses_reading_and_nothing_is_discarded_nor_the_connection_lost() {
    let broker = Broker::new();
    let lines = play(&broker, settings(FILTERS), async |mqtt, _| {
        mqtt.online().await;
        for number in 0..100u8 {
            let qos = if number % 2 == 0 {
                QoS::AtMostOnce
            } else {
                QoS::AtLeastOnce
            };
            if qos == QoS::AtMostOnce || broker.peer.borrow().vacancy() > 0 {
                broker.publish("switch/a", &[number; 200], qos);
            }
        }
        // Longer than the keep-alive period, more than once.
        Timer::after(secs(200)).await;
        let mut numbers = vec![];
        while let Ok(message) = with_timeout(secs(5), mqtt.receive()).await {
            assert_eq!(message.payload().len(), 200);
            numbers.push(message.payload()[0]);
        }
        assert!(numbers.is_sorted());
        assert_eq!(numbers.iter().filter(|number| *number % 2 == 0).count(), 50);
        assert_eq!(numbers.len(), 58);
        assert_eq!(broker.peer.borrow().vacancy(), 8);
        assert_eq!(mqtt.state(), State::Online);
    });
    assert_eq!(lines.borrow().len(), 1);
}

#[test]
fn a_message_that_is_too_long_is_skipped_acknowledged_and_logged_and_the_session_goes_on() {
    for piece in [1, 7, 1000] {
        let broker = Broker::new();
        broker.network.piece.set(piece);
        broker.peer.borrow_mut().ignores_size = true;
        let lines = play(&broker, settings(FILTERS), async |mqtt, _| {
            mqtt.online().await;
            for qos in [QoS::AtLeastOnce, QoS::ExactlyOnce, QoS::AtMostOnce] {
                broker.publish("switch/søppel", &[0xE2; 3000], qos);
                broker.publish("switch/after", b"", QoS::AtMostOnce);
                assert_eq!(mqtt.receive().await.topic(), "switch/after");
                Timer::after(secs(1)).await;
                assert_eq!(broker.peer.borrow().vacancy(), 8);
            }
            assert_eq!(
                broker.heard("pub").len(),
                4,
                "birth, PUBACK, PUBREC, PUBCOMP"
            );
            assert_eq!(mqtt.state(), State::Online);
        });
        let lines = lines.borrow();
        assert_eq!(lines.len(), 4, "{lines:?}");
        assert!(lines[1].2.contains("3019 bytes") && lines[1].2.contains("switch/søppel"));
    }
}

#[test]
fn a_malformed_packet_is_answered_logged_and_followed_by_a_new_connection() {
    let cases: [(&[u8], &str, &str); 4] = [
        (&[0x30, 3, 0, 1, b'#'], "wildcards", "MalformedPacket"),
        (&[0x00, 0], "type or flags", "MalformedPacket"),
        (&[0x20, 3, 0, 0, 0], "second answer", "ProtocolError"),
        (&[0x90, 0xFF, 0x7F, 0, 1], "too large", "PacketTooLarge"),
    ];
    for (bytes, words, farewell) in cases {
        let broker = Broker::new();
        let lines = play(&broker, settings(FILTERS), async |mqtt, _| {
            mqtt.online().await;
            broker.send(bytes);
            mqtt.changed(State::Online).await;
            mqtt.online().await;
        });
        let lines = lines.borrow();
        assert!(lines[1].2.contains(words), "{lines:?}");
        assert_eq!(
            broker.heard(farewell).len(),
            1,
            "{:?}",
            broker.heard.borrow()
        );
        assert_eq!(lines.len(), 3);
    }
}

#[test]
fn names_are_resolved_addresses_are_not_and_without_a_broker_nothing_is_tried() {
    let own: SocketAddr = "127.0.0.1:1999".parse().unwrap();
    let cases = [
        ("broker", None, Some("10.0.0.1:1883"), 1),
        ("10.0.0.9", Some(own), Some("10.0.0.9:1883"), 0),
        ("::1", None, Some("[::1]:1883"), 1),
        ("", Some(own), Some("127.0.0.1:1999"), 0),
        ("", None, None, 0),
    ];
    for (host, own_broker, expected, names) in cases {
        let broker = Broker::new();
        let mut settings = settings(FILTERS);
        (settings.host, settings.own_broker) = (host, own_broker);
        let lines = play(&broker, settings, async |mqtt, _| {
            let _ = with_timeout(secs(100), mqtt.online()).await;
            assert_eq!(mqtt.state() == State::Online, expected.is_some());
        });
        let attempts = broker.network.attempts.borrow();
        let address = attempts.first().map(|(_, address)| address.to_string());
        assert_eq!(address.as_deref(), expected);
        assert_eq!(broker.network.names.borrow().len(), names);
        assert_eq!(lines.borrow().len(), 1);
    }
    let broker = Broker::new();
    let mut settings = settings(FILTERS);
    settings.host = "nowhere";
    let lines = play(&broker, settings, async |_, _| Timer::after(secs(50)).await);
    let lines = lines.borrow();
    assert!(
        lines.len() == 1 && lines[0].2.contains("was not resolved: check mqtt.host"),
        "{lines:?}"
    );
}

/// Polls a future a number of times and then drops it.
async fn polls<F: Future>(future: F, count: usize) {
    let mut future = pin!(future);
    let mut left = count;
    poll_fn(|context| {
        if left == 0 {
            return Poll::Ready(());
        }
        left -= 1;
        let _ = future.as_mut().poll(context);
        context.waker().wake_by_ref();
        Poll::Pending
    })
    .await;
}

#[test]
fn a_runner_may_be_dropped_at_any_moment_and_a_fresh_one_tries_at_once() {
    for count in 0..60 {
        let broker = Broker::new();
        broker.network.piece.set(20);
        let mut memory = MqttMemory::<256, 1024, 1024, 512>::new();
        let mqtt = Mqtt::new(&mut memory);
        let lines = Lines::default();
        let machine = Machine(Cell::new(count as u32));
        let settings = settings(FILTERS);
        let report = report(&lines);
        let run = || mqtt.run_telling(&broker.network, &settings, &report, &machine);
        sim::time::run_virtual(async {
            let scenario = async {
                mqtt.publish("a", b"kept", Delivery::EXACTLY_ONCE)
                    .await
                    .unwrap();
                polls(run(), count).await;
                assert_eq!(mqtt.state(), State::Offline);
                let began = now();
                let work = async {
                    mqtt.online().await;
                    assert!(now() - began < 1000, "{count}: {}", now() - began);
                    broker.publish("switch/a", b"on", QoS::AtLeastOnce);
                    mqtt.receive().await.done();
                    mqtt.flush().await;
                };
                let Either::Second(()) = select(run(), work).await;
            };
            select(broker.run(), scenario).await;
        });
        assert!(!broker.heard("publish a kept").is_empty());
    }
}

#[test]
fn a_second_runner_waits_for_the_first_to_go() {
    let broker = Broker::new();
    let other = Lines::default();
    let machine = Machine(Cell::new(1));
    play(&broker, settings(FILTERS), async |mqtt, _| {
        mqtt.online().await;
        let settings = settings(FILTERS);
        let report = report(&other);
        let second = mqtt.run_telling(&broker.network, &settings, &report, &machine);
        assert!(with_timeout(secs(100), second).await.is_err());
        assert_eq!(mqtt.state(), State::Online);
    });
    assert!(other.borrow().is_empty());
    assert_eq!(broker.network.attempts.borrow().len(), 1);
}
