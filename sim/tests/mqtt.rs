//! The framework's MQTT against the simulated broker: real packets over a network that fails, in
//! virtual time.

use std::cell::{Cell, RefCell};
use std::net::Ipv4Addr;

use bluebell::board::System;
use bluebell::log::Log;
use bluebell::mqtt::{Delivery, Mqtt, MqttMemory, PublishError, QoS, Settings, State};
use embassy_futures::select::{Either, select, select3};
use embassy_time::{Duration, Instant, Timer, with_timeout};
use sim::broker::{Broker, Qos};
use sim::net::{Faults, Host, Network};
use sim::random::Random;
use sim::time::run_virtual;

const SUBSCRIPTIONS: [(&str, QoS); 2] = [
    ("switches/+/state", QoS::ExactlyOnce),
    ("all/#", QoS::AtLeastOnce),
];
const STATUS: &str = "bluebell/garage/status";
const KEEP_ALIVE: u64 = 10;
/// The promise for the return of network or broker after an outage of less than a minute.
const LONGEST_RETURN: Duration = Duration::from_secs(3);

struct Entropy(RefCell<Random>);

impl System for Entropy {
    fn entropy(&self, bytes: &mut [u8]) {
        self.0.borrow_mut().fill(bytes);
    }

    fn hardware_address(&self) -> [u8; 6] {
        [2, 0, 0, 0, 0, 1]
    }
}

/// A broker, and a device that is connected to it whenever it has a link.
struct World<'m> {
    network: Network,
    broker: Broker,
    station: Host,
    mqtt: &'m Mqtt<'m>,
    /// Topic and payload of each message that the application got.
    received: RefCell<Vec<(String, String)>>,
    /// The application handles no messages.
    busy: Cell<bool>,
    seed: u64,
}

/// Runs `test` beside a device and a broker.
fn with_device(seed: u64, test: impl AsyncFnOnce(&World<'_>)) {
    let network = Network::new(seed);
    let host = network.host(Ipv4Addr::new(10, 0, 0, 1));
    network.name("broker.home", host.address());
    let mut memory = Box::new(<MqttMemory>::new());
    let mqtt = Mqtt::new(&mut memory);
    let mut lines = [0; 4096];
    let log = Log::new(&mut lines);
    let system = Entropy(RefCell::new(Random::new(seed)));
    let settings = Settings {
        host: "broker.home",
        port: 1883,
        own_broker: None,
        user: "garage",
        password: "söcret",
        client_id: "garage",
        keep_alive: u16::try_from(KEEP_ALIVE).expect("small"),
        base_topic: "bluebell/garage",
        subscriptions: &SUBSCRIPTIONS,
        clean_start: true,
        session_expiry: 3600,
    };
    let world = World {
        broker: Broker::new(&host, 1883),
        station: network.host(Ipv4Addr::new(10, 0, 0, 2)),
        network,
        mqtt: &mqtt,
        received: RefCell::default(),
        busy: Cell::new(false),
        seed,
    };
    world.broker.require_login("garage", "söcret");
    let device = async {
        let application = async {
            loop {
                while world.busy.get() {
                    Timer::after_millis(100).await;
                }
                let message = mqtt.receive().await;
                let payload = String::from_utf8_lossy(message.payload()).into_owned();
                let topic = message.topic().to_owned();
                world.received.borrow_mut().push((topic, payload));
            }
        };
        select(
            mqtt.run(&world.station, &settings, &log, &system),
            application,
        )
        .await;
    };
    let ran = run_virtual(select3(world.broker.run(), device, async {
        test(&world).await;
        assert_eq!(world.broker.protocol_errors(), [""; 0], "seed {seed}");
    }));
    assert!(matches!(ran, embassy_futures::select::Either3::Third(())));
}

impl World<'_> {
    async fn online_within(&self, limit: Duration, what: &str) {
        let since = Instant::now();
        let online = with_timeout(limit, self.mqtt.online()).await;
        assert!(
            online.is_ok(),
            "{what}: not online after {} ms, seed {}",
            (Instant::now() - since).as_millis(),
            self.seed
        );
    }

    async fn publish(&self, number: u32, delivery: Delivery) {
        let payload = number.to_string();
        while let Err(error) = self
            .mqtt
            .publish("count", payload.as_bytes(), delivery)
            .await
        {
            assert_eq!(error, PublishError::Full);
            let room = with_timeout(Duration::from_secs(900), self.mqtt.room(20)).await;
            room.expect("room").expect("short enough");
        }
    }

    fn counted(&self) -> Vec<u32> {
        let messages = self.broker.messages_on("count");
        let numbers = messages.iter().map(|message| message.text());
        numbers
            .map(|text| text.parse().expect("a number"))
            .collect()
    }

    /// The numbers that the application got.
    fn obeyed(&self) -> Vec<u32> {
        let received = self.received.borrow();
        let numbers = received.iter().map(|(_, payload)| payload.parse());
        numbers.map(|number| number.expect("a number")).collect()
    }

    fn status(&self) -> Option<String> {
        self.broker.retained(STATUS).map(|message| message.text())
    }
}

fn cable(pulled: bool) -> Faults {
    Faults {
        cable_pulled: pulled,
        ..Faults::default()
    }
}

#[test]
fn a_device_is_born_subscribes_and_exchanges_messages_of_every_quality() {
    with_device(1, async |world| {
        world.online_within(Duration::from_secs(1), "start").await;
        assert_eq!(world.status().as_deref(), Some("online"));
        assert_eq!(world.broker.subscriptions("garage").len(), 2);
        let mut sent = Vec::new();
        for (number, qos) in [Qos::AtMostOnce, Qos::AtLeastOnce, Qos::ExactlyOnce]
            .into_iter()
            .enumerate()
        {
            let payload = format!("{number}");
            world
                .broker
                .publish("switches/relay-1/state", payload.as_bytes(), qos, false);
            sent.push(("switches/relay-1/state".to_owned(), payload));
        }
        world
            .broker
            .publish("not/asked/for", b"x", Qos::AtMostOnce, false);
        for (number, delivery) in [
            Delivery::AT_MOST_ONCE,
            Delivery::AT_LEAST_ONCE,
            Delivery::EXACTLY_ONCE.retained(),
        ]
        .into_iter()
        .enumerate()
        {
            world
                .publish(u32::try_from(number).expect("small"), delivery)
                .await;
        }
        world.mqtt.flush().await;
        assert_eq!(world.counted(), [0, 1, 2]);
        assert_eq!(
            world.broker.retained("count").map(|kept| kept.text()),
            Some("2".into())
        );
        Timer::after_secs(1).await;
        assert_eq!(*world.received.borrow(), sent);
        assert_eq!(world.broker.waiting("garage"), 0);
        // A quiet day: the keepalive holds the connection.
        Timer::after_secs(86_400).await;
        assert_eq!(world.mqtt.state(), State::Online);
        assert_eq!(world.broker.visits().len(), 1);
    });
}

#[test]
fn a_device_is_online_within_3_s_of_the_brokers_return_and_nothing_is_lost() {
    for seed in 0..40 {
        with_device(seed, async |world| {
            world.online_within(Duration::from_secs(1), "start").await;
            let mut random = Random::new(seed);
            let mut number = 0;
            for keep_sessions in [true, false, true] {
                world.broker.stop();
                Timer::after_millis(50).await;
                assert_ne!(world.mqtt.state(), State::Online);
                for _ in 0..5 {
                    world.publish(number, Delivery::EXACTLY_ONCE).await;
                    number += 1;
                }
                Timer::after_millis(random.below(58_000)).await;
                world.broker.restart(keep_sessions);
                world.online_within(Duration::from_secs(3), "stopped").await;
                world.mqtt.flush().await;
                assert_eq!(world.counted(), (0..number).collect::<Vec<_>>());
                Timer::after_secs(70).await;
            }
        });
    }
}

#[test]
fn a_device_is_online_within_3_s_of_the_networks_return() {
    let mut late = Vec::new();
    for seed in 0..200 {
        with_device(seed, async |world| {
            world.online_within(Duration::from_secs(1), "start").await;
            world.broker.host().set_faults(cable(true));
            // Long enough for the keepalive to have noticed, and less than a minute after that.
            Timer::after_millis(15_000 + Random::new(seed).below(44_000)).await;
            assert_ne!(world.mqtt.state(), State::Online, "seed {seed}");
            world.broker.host().set_faults(cable(false));
            let back = Instant::now();
            world.mqtt.online().await;
            let took = (Instant::now() - back).as_millis();
            if took > LONGEST_RETURN.as_millis() {
                late.push((seed, took));
            }
        });
    }
    assert!(late.is_empty(), "{} of 200: {late:?}", late.len());
}

#[test]
fn a_dead_or_hung_peer_is_noticed_within_one_and_a_half_keepalives_while_publishing() {
    for (seed, qos) in (0..).zip([Delivery::AT_MOST_ONCE, Delivery::AT_LEAST_ONCE]) {
        for hang in [true, false] {
            with_device(seed, async |world| {
                world.online_within(Duration::from_secs(1), "start").await;
                Timer::after_millis(12_345).await;
                if hang {
                    world.broker.hang();
                } else {
                    world.broker.host().set_faults(cable(true));
                }
                let chatter = async {
                    loop {
                        let _ = world.mqtt.publish("chatter", b"x", qos).await;
                        Timer::after_secs(1).await;
                    }
                };
                let noticed = world.mqtt.changed(State::Online);
                let limit = Duration::from_millis(KEEP_ALIVE * 1500);
                let noticed = with_timeout(limit, select(noticed, chatter)).await;
                assert!(
                    matches!(noticed, Ok(Either::First(_))),
                    "{qos:?}, hang: {hang}"
                );
                world.broker.resume();
                world.broker.host().set_faults(cable(false));
                world.online_within(Duration::from_secs(10), "hung").await;
            });
        }
    }
}

#[test]
fn after_a_long_outage_the_device_is_back_within_the_ceiling_of_its_delays() {
    for seed in 0..10 {
        with_device(seed, async |world| {
            world.online_within(Duration::from_secs(1), "start").await;
            world.broker.stop();
            Timer::after_millis(7_200_000 + Random::new(seed).below(60_000)).await;
            world.broker.resume();
            world
                .online_within(Duration::from_secs(63), "two hours")
                .await;
            assert_eq!(world.status().as_deref(), Some("online"));
        });
    }
}

#[test]
fn a_broker_that_refuses_or_knows_another_password_is_not_stormed() {
    with_device(3, async |world| {
        world.broker.require_login("garage", "another");
        Timer::after_secs(3600).await;
        assert_ne!(world.mqtt.state(), State::Online);
        let visits = world.broker.visits().len();
        assert!((60..120).contains(&visits), "{visits} visits in an hour");
        world.broker.require_login("garage", "söcret");
        world
            .online_within(Duration::from_secs(63), "password")
            .await;
        // A connection that breaks at once would not end the outage.
        Timer::after_secs(5).await;
        world.broker.refuse(true);
        world.broker.restart(true);
        Timer::after_secs(10).await;
        assert_ne!(world.mqtt.state(), State::Online);
        world.broker.refuse(false);
        world.online_within(Duration::from_secs(3), "refused").await;
    });
}

#[test]
fn messages_arrive_once_and_in_order_over_a_network_that_breaks_every_connection() {
    for seed in 0..20 {
        with_device(seed, async |world| {
            world.online_within(Duration::from_secs(1), "start").await;
            world.broker.host().set_faults(Faults {
                reset_after: Some(400),
                piece: 1,
                ..Faults::default()
            });
            for number in 0..100 {
                world.publish(number, Delivery::EXACTLY_ONCE).await;
                let payload = number.to_string();
                world
                    .broker
                    .publish("all/x", payload.as_bytes(), Qos::ExactlyOnce, false);
                Timer::after_millis(500).await;
            }
            world.broker.host().set_faults(Faults::default());
            world.online_within(Duration::from_secs(63), "mended").await;
            world.mqtt.flush().await;
            Timer::after_secs(5).await;
            assert_eq!(world.counted(), (0..100).collect::<Vec<_>>(), "seed {seed}");
            // Quality 1 is what the device asked for on this topic: the broker sends again what it has no answer to,
            // and the device knows it.
            let numbers: Vec<_> = (0..100).collect();
            assert_eq!(world.obeyed(), numbers, "seed {seed}");
            assert!(world.broker.visits().len() > 5, "the faults were felt");
        });
    }
}

#[test]
fn what_is_too_long_for_the_device_is_withheld_and_the_session_goes_on() {
    with_device(5, async |world| {
        world.online_within(Duration::from_secs(1), "start").await;
        for length in [1000, 1017, 2000, 100_000] {
            let payload = vec![b'x'; length];
            world
                .broker
                .publish("all/long", &payload, Qos::AtLeastOnce, false);
        }
        world
            .broker
            .publish("all/short", b"short", Qos::AtLeastOnce, false);
        Timer::after_secs(5).await;
        let received = world.received.borrow();
        let lengths: Vec<_> = received.iter().map(|(_, payload)| payload.len()).collect();
        assert_eq!(lengths, [1000, 1017, 5]);
        assert_eq!(world.broker.visits().len(), 1);
    });
}

#[test]
fn a_busy_application_makes_the_broker_wait_and_gets_everything() {
    with_device(6, async |world| {
        world.online_within(Duration::from_secs(1), "start").await;
        world.busy.set(true);
        let payload = "x".repeat(500);
        for _ in 0..200 {
            world
                .broker
                .publish("all/x", payload.as_bytes(), Qos::AtLeastOnce, false);
        }
        // Far longer than the keepalive.
        Timer::after_secs(300).await;
        assert!(world.received.borrow().len() <= 1);
        world.busy.set(false);
        Timer::after_secs(30).await;
        assert_eq!(world.received.borrow().len(), 200);
    });
}

#[test]
fn what_came_while_the_link_was_down_arrives_when_the_session_was_kept() {
    with_device(7, async |world| {
        world.online_within(Duration::from_secs(1), "start").await;
        world.station.set_link(false);
        let offline = world.broker.next_message(STATUS).await;
        assert_eq!((offline.text().as_str(), offline.will), ("offline", true));
        world
            .broker
            .publish("all/missed", b"missed", Qos::AtLeastOnce, false);
        Timer::after_secs(20).await;
        world.station.set_link(true);
        world.online_within(Duration::from_secs(3), "link").await;
        Timer::after_secs(1).await;
        let missed = ("all/missed".to_owned(), "missed".to_owned());
        assert_eq!(*world.received.borrow(), [missed]);
        assert_eq!(world.status().as_deref(), Some("online"));
    });
}

#[test]
fn a_random_walk_through_outages_loses_and_doubles_nothing() {
    for seed in 0..30 {
        with_device(seed, async |world| {
            world.online_within(Duration::from_secs(1), "start").await;
            let mut random = Random::new(seed);
            let mut number = 0;
            for _ in 0..60 {
                match random.below(9) {
                    0 => world.broker.stop(),
                    1 => world.broker.hang(),
                    2 | 3 => world.broker.resume(),
                    4 => world.broker.restart(true),
                    5 => world.broker.host().set_faults(cable(true)),
                    6 => world.broker.host().reset_connections(),
                    7 => world
                        .network
                        .half_close(world.broker.host(), &world.station),
                    _ => world.broker.host().set_faults(Faults {
                        delay: Duration::from_millis(random.below(500)),
                        piece: 1 + usize::try_from(random.below(50)).expect("small"),
                        loss: 0.05,
                        ..Faults::default()
                    }),
                }
                if random.happens(0.3) {
                    world.broker.host().set_faults(Faults::default());
                }
                if number < 100 {
                    // Fewer than the outbox holds: this world may stay broken for long.
                    world.publish(number, Delivery::EXACTLY_ONCE).await;
                    let payload = number.to_string();
                    world
                        .broker
                        .publish("all/x", payload.as_bytes(), Qos::AtLeastOnce, false);
                    number += 1;
                }
                Timer::after_millis(random.below(20_000)).await;
            }
            world.broker.host().set_faults(Faults::default());
            world.broker.set_slow(Duration::from_millis(0));
            world.broker.resume();
            world.online_within(Duration::from_secs(63), "mended").await;
            let flushed = with_timeout(Duration::from_secs(60), world.mqtt.flush()).await;
            assert!(flushed.is_ok(), "seed {seed}");
            Timer::after_secs(5).await;
            let numbers: Vec<_> = (0..number).collect();
            assert_eq!(world.obeyed(), numbers, "seed {seed}");
            assert_eq!(
                world.counted(),
                (0..number).collect::<Vec<_>>(),
                "seed {seed}"
            );
        });
    }
}
