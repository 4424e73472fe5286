//! The client against a real mosquitto, over real sockets, in real time.
//!
//! Each test starts its own broker on a free port and ends it. Where mosquitto is not installed the
//! tests say so and pass, except with `CI=true`.

mod again;
mod broker;
mod proxy;

use std::cell::{Cell, RefCell};
use std::fmt::Arguments;
use std::future::Future;
use std::process::Command;

use bluebell::board::System;
use bluebell::log::Level;
use bluebell::mqtt::{Delivery, Mqtt, MqttMemory, QoS, Settings, State};
use embassy_futures::select::select;
use embassy_time::{Duration, Timer, with_timeout};

use broker::Mosquitto;

struct Machine(Cell<u8>);

impl System for Machine {
    fn entropy(&self, bytes: &mut [u8]) {
        for byte in bytes {
            self.0.set(self.0.get().wrapping_mul(29).wrapping_add(17));
            *byte = self.0.get();
        }
    }

    fn hardware_address(&self) -> [u8; 6] {
        [2, 0, 0, 0, 0, 1]
    }
}

/// Runs a device until the scenario is over; gives back what it told.
fn play<F: Future<Output = ()>>(
    settings: Settings<'_>,
    scenario: impl FnOnce(&'static Mqtt<'static>) -> F,
) -> Vec<(Level, String)> {
    let memory: &'static mut MqttMemory = Box::leak(Box::new(MqttMemory::new()));
    let mqtt: &'static Mqtt<'static> = Box::leak(Box::new(Mqtt::new(memory)));
    let lines = RefCell::new(Vec::new());
    let report =
        |level: Level, line: Arguments<'_>| lines.borrow_mut().push((level, line.to_string()));
    let network = edge_nal_std::Stack::new();
    let machine = Machine(Cell::new(3));
    sim::time::run_real(async {
        let run = mqtt.run_telling(&network, &settings, &report, &machine);
        let scenario = with_timeout(Duration::from_secs(60), scenario(mqtt));
        select(run, async {
            scenario.await.expect("the scenario takes too long")
        })
        .await;
    });
    lines.into_inner()
}

/// The topics of what comes until all of these have, and nothing more.
async fn topics(mqtt: &Mqtt<'_>, expected: &[&str]) -> Vec<String> {
    let mut topics: Vec<String> = Vec::new();
    loop {
        let is_there = |topic: &&str| topics.iter().any(|other| other == topic);
        let limit = match expected.iter().all(is_there) {
            true => Duration::from_secs(1),
            false => Duration::from_secs(20),
        };
        match with_timeout(limit, mqtt.receive()).await {
            Ok(message) => topics.push(message.topic().to_string()),
            Err(_) => return topics,
        }
    }
}

fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}

const FILTERS: [(&str, QoS); 2] = [
    ("switch/+/state", QoS::ExactlyOnce),
    ("all/#", QoS::ExactlyOnce),
];

#[test]
fn messages_of_any_bytes_go_both_ways_with_every_qos() {
    let Some(broker) = Mosquitto::start("qos") else {
        return;
    };
    let lines = play(broker.settings(&FILTERS), async |mqtt| {
        mqtt.online().await;
        let payload: Vec<u8> = (0..=255).cycle().take(1000).collect();
        let listener = broker.listen("out/#", "2", "4");
        for (topic, delivery) in [
            ("out/0", Delivery::AT_MOST_ONCE),
            ("out/1", Delivery::AT_LEAST_ONCE.retained()),
            ("out/2", Delivery::EXACTLY_ONCE),
        ] {
            // Without a store, memory holds one message of this size.
            mqtt.room(topic.len() + payload.len()).await.unwrap();
            mqtt.publish(topic, &payload, delivery).await.unwrap();
        }
        mqtt.publish("out/ø", b"", Delivery::EXACTLY_ONCE)
            .await
            .unwrap();
        mqtt.flush().await;
        let expected = [
            format!("0 0 out/0 {}", hex(&payload)),
            format!("0 1 out/1 {}", hex(&payload)),
            format!("0 2 out/2 {}", hex(&payload)),
            "0 2 out/ø ".into(),
        ];
        assert_eq!(listener.lines().await, expected);
        assert_eq!(
            broker.listen("out/1", "2", "1").lines().await,
            [format!("1 1 out/1 {}", hex(&payload))]
        );

        for (qos, topic) in [("0", "switch/a/state"), ("1", "all/b/c"), ("2", "all")] {
            broker.publish(topic, qos, &payload);
            let message = mqtt.receive().await;
            assert_eq!((message.topic(), message.payload()), (topic, &payload[..]));
            assert_eq!((message.qos() as u8).to_string(), qos);
            message.done();
        }
        // Longer than the device takes: the broker withholds it.
        broker.publish("all/long", "1", &[7; 3000]);
        broker.publish("all/after", "1", b"");
        assert_eq!(mqtt.receive().await.topic(), "all/after");
    });
    assert_eq!(lines.len(), 1, "{lines:?}");
}

#[test]
fn a_thousand_messages_arrive_once_and_in_order() {
    let Some(broker) = Mosquitto::start("many") else {
        return;
    };
    play(broker.settings(&FILTERS), async |mqtt| {
        mqtt.online().await;
        let listener = broker.listen("out", "1", "1000");
        for number in 0..1000u16 {
            let payload = number.to_be_bytes();
            mqtt.room(20).await.unwrap();
            mqtt.publish("out", &payload, Delivery::EXACTLY_ONCE)
                .await
                .unwrap();
        }
        let expected: Vec<_> = (0..1000u16)
            .map(|number| format!("0 1 out {number:04x}"))
            .collect();
        assert_eq!(listener.lines().await, expected);
        mqtt.flush().await;
    });
}

#[test]
fn the_status_is_online_while_the_device_is_and_offline_when_it_has_gone() {
    let Some(broker) = Mosquitto::start("status") else {
        return;
    };
    let status = "bluebell/garage/status";
    play(broker.settings(&FILTERS), async |mqtt| {
        mqtt.online().await;
        let lines = broker.listen(status, "2", "1").lines().await;
        assert_eq!(lines, [format!("1 1 {status} {}", hex(b"online"))]);
        // It stays so beyond the keep-alive period though nothing is said.
        Timer::after(Duration::from_secs(9)).await;
        assert_eq!(mqtt.state(), State::Online);
    });
    // The device was killed: its socket closed without a word.
    sim::time::run_real(async {
        let lines = broker.listen(status, "2", "1").lines().await;
        assert_eq!(lines, [format!("1 1 {status} {}", hex(b"offline"))]);
    });
}

#[test]
fn after_a_restart_of_the_broker_the_device_is_back_subscribed_and_has_lost_nothing() {
    let Some(mut broker) = Mosquitto::start("restart") else {
        return;
    };
    let settings = broker.settings(&FILTERS);
    let lines = play(settings, async |mqtt| {
        mqtt.online().await;
        broker.kill();
        mqtt.changed(State::Online).await;
        for number in 0..20 {
            let payload = [number; 3];
            mqtt.publish("out", &payload, Delivery::AT_LEAST_ONCE.retained())
                .await
                .unwrap();
        }
        Timer::after(Duration::from_secs(4)).await;
        assert_ne!(mqtt.state(), State::Online);
        broker.restart();
        mqtt.online().await;
        mqtt.flush().await;
        assert_eq!(
            broker.listen("out", "2", "1").lines().await,
            ["1 1 out 131313"]
        );
        broker.publish("switch/x/state", "2", b"ON");
        assert_eq!(mqtt.receive().await.payload(), b"ON");
    });
    let lines: Vec<_> = lines.iter().map(|(_, line)| line.as_str()).collect();
    assert_eq!(lines.len(), 3, "{lines:?}");
    assert!(
        lines[0].starts_with("online")
            && lines[1].contains("no connection")
            && lines[2].starts_with("online")
    );
}

#[test]
fn a_message_that_was_not_handled_before_the_connection_broke_comes_once_in_a_kept_session() {
    let Some(broker) = Mosquitto::start("again") else {
        return;
    };
    let memory: &'static mut MqttMemory = Box::leak(Box::new(MqttMemory::new()));
    let mqtt: &'static Mqtt<'static> = Box::leak(Box::new(Mqtt::new(memory)));
    let settings = broker.settings(&FILTERS);
    let network = edge_nal_std::Stack::new();
    let machine = Machine(Cell::new(5));
    let report = |_: Level, _: Arguments<'_>| {};
    let run = || mqtt.run_telling(&network, &settings, &report, &machine);
    sim::time::run_real(async {
        select(run(), async {
            mqtt.online().await;
            for qos in ["1", "2"] {
                broker.publish(&format!("all/{qos}"), qos, b"once");
            }
            Timer::after(Duration::from_millis(300)).await;
        })
        .await;
        // The link was lost with both in the inbox; one more comes while the device is away.
        broker.publish("all/away", "1", b"later");
        select(run(), async {
            mqtt.online().await;
            Timer::after(Duration::from_millis(300)).await;
            let expected = ["all/1", "all/2", "all/away"];
            assert_eq!(topics(mqtt, &expected).await, expected);
        })
        .await;
    });
}

#[test]
fn a_command_to_a_device_that_is_off_arrives_if_it_is_retained_or_the_session_is_kept() {
    let Some(broker) = Mosquitto::start("off") else {
        return;
    };
    for (clean_start, expected) in [
        (true, &["all/kept"][..]),
        (false, &["all/kept", "all/passing"]),
    ] {
        let settings = Settings {
            clean_start,
            ..broker.settings(&FILTERS)
        };
        play(settings, async |mqtt| mqtt.online().await);
        broker.publish("all/passing", "1", b"ON");
        broker.publish_retained("all/kept", b"ON");
        // Another boot: nothing but the broker remembers.
        play(settings, async |mqtt| {
            mqtt.online().await;
            let mut topics = topics(mqtt, expected).await;
            topics.sort();
            topics.dedup();
            assert_eq!(topics, expected, "clean start: {clean_start}");
        });
    }
}

#[test]
fn a_wrong_password_is_named_as_such_and_tried_no_more_than_the_backoff_allows() {
    let Some(broker) = Mosquitto::start("password") else {
        return;
    };
    let settings = Settings {
        password: "wrong",
        ..broker.settings(&FILTERS)
    };
    let lines = play(settings, async |mqtt| {
        Timer::after(Duration::from_secs(3)).await;
        assert_ne!(mqtt.state(), State::Online);
    });
    assert_eq!(lines.len(), 1, "{lines:?}");
    assert!(
        lines[0].1.contains("mqtt.user") && !lines[0].1.contains("wrong"),
        "{lines:?}"
    );
}

#[test]
fn a_stopped_broker_is_noticed_while_the_device_publishes() {
    let Some(broker) = Mosquitto::start("stopped") else {
        return;
    };
    let signal = |name: &str| {
        let status = Command::new("kill")
            .args([name, &broker.child.id().to_string()])
            .status();
        assert!(status.unwrap().success());
    };
    let lines = play(broker.settings(&FILTERS), async |mqtt| {
        mqtt.online().await;
        signal("-STOP");
        while mqtt.state() == State::Online {
            let _ = mqtt.publish("out", b"busy", Delivery::AT_MOST_ONCE).await;
            Timer::after(Duration::from_millis(200)).await;
        }
        signal("-CONT");
        mqtt.online().await;
    });
    assert!(lines[1].1.contains("keep-alive"), "{lines:?}");
}
