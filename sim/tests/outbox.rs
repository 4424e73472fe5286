//! What a device has published arrives, whatever outages and power cuts come: whole devices, through the
//! public API, in virtual time.

use std::cell::{Cell, RefCell};
use std::collections::BTreeMap;
use std::convert::Infallible;

use bluebell::device::{Device, Handle};
use bluebell::mqtt::{Delivery, PublishError};
use embassy_futures::select::select;
use embassy_sync::blocking_mutex::raw::NoopRawMutex;
use embassy_sync::channel::Channel;
use embassy_time::{Duration, Instant, Timer};
use sim::air::Station;
use sim::board::{SimBoard, SimDevice, World};
use sim::broker::{Message, Qos};
use sim::net::Faults;
use sim::random::Random;
use sim::time::run_virtual;

const HOUR: Duration = Duration::from_secs(3_600);
const CONFIG: &str = "[device]\nname = \"lamp\"\n[mqtt]\nheartbeat = 0\nkeep_alive = 5\n";
const KEEPS_SESSION: &str =
    "[device]\nname = \"lamp\"\n[mqtt]\nheartbeat = 0\nkeep_alive = 5\nkeep_session = 3600\n";
const KEEP: Delivery = Delivery::AT_LEAST_ONCE;

fn secs(seconds: u64) -> Duration {
    Duration::from_secs(seconds)
}

struct Order {
    topic: &'static str,
    payload: String,
    delivery: Delivery,
}

/// A device that publishes what it is told to, in turn, and says what became of it.
struct Desk {
    orders: Channel<NoopRawMutex, Order, 8>,
    /// Payloads of what was taken, and the errors.
    taken: RefCell<Vec<String>>,
    refused: RefCell<Vec<PublishError>>,
    busy: Cell<bool>,
    commands: RefCell<Vec<String>>,
}

impl Desk {
    async fn app(&self, device: Device<'_, SimBoard>) -> Infallible {
        let publish = async |device: Handle<'_>| {
            loop {
                let order = self.orders.receive().await;
                self.busy.set(true);
                let published = device
                    .publish_as(order.topic, &order.payload, order.delivery)
                    .await;
                self.busy.set(false);
                match published {
                    Ok(()) => self.taken.borrow_mut().push(order.payload),
                    Err(error) => self.refused.borrow_mut().push(error),
                }
            }
        };
        device
            .subscribe("lamp/set", async |message, _| {
                let text = message.text().unwrap_or_default().to_owned();
                self.commands.borrow_mut().push(text);
            })
            .task(publish)
            .run()
            .await
    }

    async fn order(&self, topic: &'static str, payload: String, delivery: Delivery) {
        let order = Order {
            topic,
            payload,
            delivery,
        };
        self.orders.send(order).await;
    }

    /// Publishes, and waits until the device has said what became of it.
    async fn publish(&self, topic: &'static str, payload: &str, delivery: Delivery) {
        let before = self.taken.borrow().len() + self.refused.borrow().len();
        self.order(topic, payload.to_owned(), delivery).await;
        while self.taken.borrow().len() + self.refused.borrow().len() == before {
            Timer::after(Duration::from_millis(1)).await;
        }
    }
}

/// Runs a story about a device at home, which is switched on again whenever its power is cut.
fn story(seed: u64, config: &'static str, told: impl AsyncFn(&World, &SimDevice<'_>, &Desk)) {
    run_virtual(async {
        let world = World::new(seed);
        world
            .air
            .add(Station::new("Home").with_password("correct horse"));
        let device = world.device();
        let desk = Desk {
            orders: Channel::new(),
            taken: RefCell::default(),
            refused: RefCell::default(),
            busy: Cell::new(false),
            commands: RefCell::default(),
        };
        let life = async {
            loop {
                device
                    .run(config, async |device| desk.app(device).await)
                    .await;
                desk.busy.set(false);
                device.flash.revive();
            }
        };
        let told = async {
            Timer::after(secs(1)).await;
            let answer = device.ask("join Home \"correct horse\"").await;
            assert!(answer.ends_with("\nok\n"), "{answer}");
            device.online(secs(60)).await;
            Timer::after(secs(20)).await;
            told(&world, &device, &desk).await;
        };
        world.run(HOUR * 24, select(life, told)).await;
    });
}

/// Cuts the power, and waits until the device has been on for a while again.
async fn cut(device: &SimDevice<'_>) {
    device.cut_power();
    Timer::after(secs(5)).await;
}

fn texts(messages: &[Message]) -> Vec<String> {
    messages.iter().map(Message::text).collect()
}

fn numbers(range: std::ops::Range<u32>) -> Vec<String> {
    range.map(|number| number.to_string()).collect()
}

#[test]
fn what_was_published_while_the_broker_was_away_survives_power_cuts_and_arrives_in_order() {
    story(1, CONFIG, async |world, device, desk| {
        world.broker.stop();
        Timer::after(secs(1)).await;
        let stopped = Instant::now().as_secs();
        for boot in 0..3 {
            for number in 0..20 {
                let number = boot * 20 + number;
                let delivery = if number % 2 == 0 {
                    KEEP
                } else {
                    Delivery::EXACTLY_ONCE
                };
                desk.publish("count", &number.to_string(), delivery).await;
            }
            cut(device).await;
        }
        assert_eq!(*desk.taken.borrow(), numbers(0..60));
        world.broker.restart(true);
        device.online(secs(70)).await;
        Timer::after(secs(5)).await;
        let messages = world.broker.messages_on("count");
        assert_eq!(texts(&messages), numbers(0..60));
        let mut ids: Vec<_> = messages
            .iter()
            .filter_map(|m| m.user_property("id"))
            .collect();
        ids.sort_unstable();
        ids.dedup();
        assert_eq!(ids.len(), 60);
        for (index, message) in messages.iter().enumerate() {
            let time = message
                .user_property("time")
                .or(message.user_property("uptime"));
            let time: f64 = time.expect("a time of origin").parse().expect("seconds");
            if index < 20 {
                // The clock was set: UTC, and the world began with the year 2030.
                assert!(
                    (time - 1_893_456_000.0 - stopped as f64).abs() < 5.0,
                    "{time}"
                );
            }
        }
        // Nothing is left that a later boot would send again.
        cut(device).await;
        device.online(secs(70)).await;
        Timer::after(secs(10)).await;
        assert_eq!(world.broker.messages_on("count").len(), 60);
    });
}

#[test]
fn a_message_that_is_under_way_when_the_power_goes_was_not_taken_or_arrives() {
    for wait in (0..1_400).step_by(50) {
        story(wait, CONFIG, async |world, device, desk| {
            // The broker reads, and answers nothing.
            world.broker.hang();
            desk.order("count", "1".into(), Delivery::EXACTLY_ONCE)
                .await;
            Timer::after(Duration::from_millis(wait)).await;
            let taken = desk.taken.borrow().len();
            if wait != 1_000 {
                assert_eq!(taken, usize::from(wait > 1_000), "{wait}");
            }
            device.cut_power();
            world.broker.stop();
            Timer::after(secs(1)).await;
            world.broker.restart(true);
            device.online(secs(60)).await;
            Timer::after(secs(10)).await;
            let messages = world.broker.messages_on("count");
            assert!(messages.len() >= taken, "{wait}");
            let id = messages.first().and_then(|first| first.user_property("id"));
            assert!(messages.iter().all(|again| again.user_property("id") == id));
        });
    }
}

#[test]
fn while_the_broker_answers_nothing_is_written_to_flash() {
    story(2, CONFIG, async |world, device, desk| {
        let outbox = SimDevice::layout().outbox;
        let content = |device: &SimDevice<'_>| {
            device.flash.image()[outbox.start as usize..outbox.end as usize].to_vec()
        };
        let before = content(device);
        for number in 0..50 {
            desk.publish("count", &number.to_string(), Delivery::EXACTLY_ONCE)
                .await;
        }
        assert_eq!(texts(&world.broker.messages_on("count")), numbers(0..50));
        assert!(before == content(device));
        let messages = world.broker.messages_on("count");
        assert!(
            messages
                .iter()
                .all(|message| message.user_property("id").is_some())
        );
        assert!(
            messages
                .iter()
                .all(|message| message.user_property("time").is_none())
        );
    });
}

#[test]
fn of_a_state_the_newest_arrives_and_what_has_expired_does_not() {
    story(3, CONFIG, async |world, device, desk| {
        world.broker.stop();
        Timer::after(secs(1)).await;
        for number in 0..200 {
            desk.publish("state", &number.to_string(), KEEP.latest())
                .await;
            if number % 50 == 0 {
                desk.publish("count", &number.to_string(), KEEP).await;
            }
        }
        desk.publish("news", "old", KEEP.expiring_in(60)).await;
        desk.publish("news", "fresh", KEEP.expiring_in(600)).await;
        cut(device).await;
        Timer::after(secs(120)).await;
        world.broker.restart(true);
        device.online(secs(70)).await;
        Timer::after(secs(5)).await;
        assert_eq!(texts(&world.broker.messages_on("state")), ["199"]);
        let counts = ["0", "50", "100", "150"];
        assert_eq!(texts(&world.broker.messages_on("count")), counts);
        assert_eq!(texts(&world.broker.messages_on("news")), ["fresh"]);
        Timer::after(secs(5)).await;
        assert!(device.console().contains("1 messages had expired"));
    });
}

#[test]
fn a_full_outbox_refuses_the_newest_says_so_once_and_has_room_again() {
    story(4, CONFIG, async |world, device, desk| {
        world.broker.stop();
        Timer::after(secs(1)).await;
        let filling = "x".repeat(400);
        for number in 0..80 {
            let payload = format!("{number} {filling}");
            desk.publish("big", &payload, KEEP).await;
        }
        let taken = desk.taken.borrow().clone();
        assert!((40..80).contains(&taken.len()), "{}", taken.len());
        assert!(
            desk.refused
                .borrow()
                .iter()
                .all(|error| *error == PublishError::Full)
        );
        assert_eq!(device.console().matches("the outbox is full").count(), 1);
        world.broker.restart(true);
        device.online(secs(60)).await;
        Timer::after(secs(10)).await;
        assert_eq!(texts(&world.broker.messages_on("big")), taken);
        let refused = desk.refused.borrow().len();
        let line = format!("has refused {refused} messages");
        assert!(device.console().contains(&line), "{}", device.console());
        desk.publish("big", "more", KEEP).await;
        assert_eq!(world.broker.messages_on("big").len(), taken.len() + 1);
    });
}

#[test]
fn a_full_outbox_is_not_read_again_for_each_message_that_it_refuses() {
    story(7, CONFIG, async |world, device, desk| {
        world.broker.stop();
        Timer::after(secs(1)).await;
        let filling = "x".repeat(400);
        for number in 0..150 {
            let delivery = match number {
                10..20 => KEEP.expiring_in(600),
                _ => KEEP,
            };
            desk.publish("big", &format!("{number} {filling}"), delivery)
                .await;
        }
        let read = device.flash.counts().bytes_read;
        let refused = desk.refused.borrow().len();
        for _ in 0..100 {
            desk.publish("big", &filling, KEEP).await;
        }
        assert_eq!(desk.refused.borrow().len(), refused + 100);
        let read = device.flash.counts().bytes_read - read;
        assert!(read < 32 * 1024, "{read} bytes were read");
        // The first of them that has expired makes room all the same.
        Timer::after(secs(610)).await;
        let taken = desk.taken.borrow().len();
        desk.publish("big", "at last", KEEP).await;
        assert_eq!(desk.taken.borrow().len(), taken + 1);
    });
}

#[test]
fn a_message_in_memory_alone_survives_an_outage_and_no_power_cut() {
    story(5, CONFIG, async |world, device, desk| {
        world.broker.stop();
        Timer::after(secs(1)).await;
        desk.publish("count", "1", KEEP.in_memory()).await;
        world.broker.restart(true);
        device.online(secs(60)).await;
        Timer::after(secs(2)).await;
        world.broker.stop();
        Timer::after(secs(1)).await;
        desk.publish("count", "2", KEEP.in_memory()).await;
        desk.publish("count", "3", KEEP).await;
        cut(device).await;
        world.broker.restart(true);
        device.online(secs(60)).await;
        Timer::after(secs(2)).await;
        assert_eq!(texts(&world.broker.messages_on("count")), ["1", "3"]);
    });
}

#[test]
fn a_factory_reset_leaves_no_message_of_the_one_who_had_the_device() {
    story(6, CONFIG, async |world, device, desk| {
        world.broker.stop();
        Timer::after(secs(1)).await;
        desk.publish("count", "mine alone", KEEP).await;
        assert!(device.flash.contains(b"mine alone"));
        let answer = device.ask("factory reset yes").await;
        assert!(answer.ends_with("\nok\n"), "{answer}");
        Timer::after(secs(5)).await;
        assert!(!device.flash.contains(b"mine alone"));
    });
}

/// Sends a command to a device that is off, and tells which of two arrived: one retained, one not.
fn commands_to_a_device_that_is_off(config: &'static str) -> Vec<String> {
    let arrived = RefCell::new(Vec::new());
    story(7, config, async |world, device, desk| {
        device.cut_power();
        world
            .broker
            .publish("lamp/set", b"not retained", Qos::AtLeastOnce, false);
        Timer::after(secs(60)).await;
        let mut commands = desk.commands.borrow().clone();
        world
            .broker
            .publish("lamp/set", b"retained", Qos::AtLeastOnce, true);
        device.cut_power();
        Timer::after(secs(60)).await;
        commands.extend(desk.commands.borrow()[commands.len()..].to_vec());
        commands.dedup();
        *arrived.borrow_mut() = commands;
    });
    arrived.into_inner()
}

#[test]
fn a_command_to_a_device_that_is_off_arrives_if_it_is_retained_or_the_session_is_kept() {
    assert_eq!(commands_to_a_device_that_is_off(CONFIG), ["retained"]);
    let both = ["not retained", "retained"];
    assert_eq!(commands_to_a_device_that_is_off(KEEPS_SESSION), both);
}

/// How many lives the random walk lives: a hundredth of `BLUEBELL_HISTORIES`, which is 2,000 where it is not
/// set.
fn lives() -> u64 {
    let set = std::env::var("BLUEBELL_HISTORIES").ok();
    let all: u64 = set.map_or(2_000, |count| count.parse().expect("a number"));
    all / 100
}

#[test]
fn whatever_happens_what_was_taken_arrives_in_order_and_under_one_name() {
    for seed in 0..lives() {
        let config = if seed % 2 == 0 { CONFIG } else { KEEPS_SESSION };
        story(seed, config, async |world, device, desk| {
            let mut random = Random::new(seed);
            let mut number = 0;
            for _ in 0..120 {
                match random.below(16) {
                    0 => world.broker.stop(),
                    1 => world.broker.restart(random.below(2) == 0),
                    2 => world.broker.hang(),
                    3 => world.broker.resume(),
                    4 => device.station.set_faults(Faults {
                        cable_pulled: random.below(2) == 0,
                        ..Faults::default()
                    }),
                    5 => device.cut_power(),
                    6 => {
                        // In the middle of what is being written next.
                        let (operations, words) = (random.below(6), random.below(40));
                        device.flash.cut_power(operations, words as usize);
                    }
                    7 => Timer::after(Duration::from_millis(random.below(9_000))).await,
                    _ => {
                        let delivery = match random.below(2) {
                            0 => KEEP,
                            _ => Delivery::EXACTLY_ONCE,
                        };
                        if !desk.orders.is_full() {
                            desk.order("count", number.to_string(), delivery).await;
                            number += 1;
                        }
                    }
                }
                Timer::after(Duration::from_millis(random.below(700))).await;
                if device.flash.is_dead() {
                    device.cut_power();
                    Timer::after(Duration::from_millis(1)).await;
                }
            }
            device.station.set_faults(Faults::default());
            world.broker.restart(true);
            device.cut_power();
            device.flash.revive();
            device.online(secs(180)).await;
            while !desk.orders.is_empty() || desk.busy.get() {
                Timer::after(secs(1)).await;
            }
            Timer::after(secs(30)).await;
            let mut ids: BTreeMap<String, String> = BTreeMap::new();
            let mut first = Vec::new();
            for message in world.broker.messages_on("count") {
                let id = message.user_property("id").expect("a name").to_owned();
                let text = message.text();
                match ids.insert(id, text.clone()) {
                    Some(known) => assert_eq!(known, text, "seed {seed}: one name for two"),
                    None => first.push(text),
                }
            }
            for taken in desk.taken.borrow().iter() {
                assert!(
                    first.contains(taken),
                    "seed {seed}: {taken} was taken and is lost"
                );
            }
            let first: Vec<u32> = first
                .iter()
                .map(|text| text.parse().expect("a number"))
                .collect();
            assert!(first.is_sorted(), "seed {seed}: {first:?}");
            assert!(first.is_sorted_by(|a, b| a < b), "seed {seed}: {first:?}");
        });
    }
}
