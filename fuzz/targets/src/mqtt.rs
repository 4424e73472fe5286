//! Packets from a broker that sends anything whatever, over reads of any size: the device neither falls nor hangs,
//! hears the same whatever the pieces, sends nothing that is no packet, and is online at the next broker that behaves.
//! What it has acknowledged, and that broker sends again because it has no acknowledgement, it hands on no second time,
//! unless the session was lost.

use std::cell::{Cell, RefCell};

use bluebell::board::System;
use bluebell::mqtt::{Delivery, Mqtt, MqttMemory, QoS, Settings, State};
use embassy_futures::select::{Either, Either3, select, select3};
use embassy_time::{Duration, Timer, with_timeout};
use sim::time::run_virtual;

use crate::packets::{Broker, acknowledged, publish, repeated};
use crate::wire::{Link, Pieces, Tcp};

/// How long a broker may keep a device waiting: the longest keep-alive that it can ask for, and a half.
const LONGEST: Duration = Duration::from_secs(65_535 * 3 / 2 + 60);

const FILTERS: &[(&str, QoS); 2] = &[("in", QoS::ExactlyOnce), ("a/+/#", QoS::AtLeastOnce)];

struct Machine;

impl System for Machine {
    fn entropy(&self, bytes: &mut [u8]) {
        bytes.fill(0x5A);
    }

    fn hardware_address(&self) -> [u8; 6] {
        [2, 0, 0, 0, 0, 1]
    }
}

/// What the first byte of the input says.
#[derive(Clone, Copy)]
struct Manner(u8);

impl Manner {
    /// How many of the device's packets are answered as they should be before the bytes come: the greeting, the
    /// subscriptions; or all of them, also later.
    fn answered(self) -> usize {
        [0, 1, 3, usize::MAX][usize::from(self.0 & 3)]
    }

    /// Whether the device has messages to send.
    fn publishes(self) -> bool {
        self.0 & 4 != 0
    }

    /// Whether the connection stays open, silent, after the bytes.
    fn stays(self) -> bool {
        self.0 & 8 != 0
    }

    /// Whether the next broker still has the session, if there was one.
    fn resumes(self) -> bool {
        self.0 & 16 != 0
    }

    /// Whether the last broker still has the session.
    fn resumes_again(self) -> bool {
        self.0 & 32 == 0
    }
}

/// A byte for the broker's manner, one that chooses the pieces, then what it sends.
pub(crate) fn run(input: &[u8]) {
    let Some(([manner, choice], sent)) = input.split_first_chunk() else {
        return;
    };
    let manner = Manner(*manner);
    let split = heard(manner, sent, Pieces::new(*choice, sent.len()));
    if manner.0 & 0x80 != 0 {
        let whole = heard(manner, sent, Pieces::whole());
        assert_eq!(whole, split, "the pieces make a difference");
    }
}

/// A message as the application gets it.
type Message = (String, Vec<u8>);

/// A message as a broker sends it, with its identifier.
type Sent = (u16, Vec<u8>);

/// A broker that behaves: once the device is online it sends again what it has no acknowledgement of, and then something
/// new, and gets the acknowledgements of all. Says which messages the application got.
async fn good(
    mqtt: &Mqtt<'_>,
    link: &Link,
    session_present: bool,
    again: &[Sent],
    new: &Sent,
    messages: &RefCell<Vec<Message>>,
) -> Vec<Message> {
    let mut broker = Broker::new(session_present);
    let answered = async {
        mqtt.online().await;
        for (_, message) in again {
            link.say(&repeated(message));
        }
        link.say(&new.1);
        let came = |(_, payload): &Message| new.1.ends_with(payload);
        while !messages.borrow().last().is_some_and(came) {
            Timer::after(Duration::from_millis(10)).await;
        }
        // What was published is acknowledged, and the messages that came are, too.
        mqtt.flush().await;
        Timer::after(Duration::from_millis(10)).await;
    };
    let serving = select(broker.serve(link), answered);
    match with_timeout(Duration::from_secs(300), serving).await {
        Ok(Either::Second(())) => {}
        Ok(Either::First(never)) => match never {},
        Err(_) => panic!("not online at a broker that behaves, or deaf to it"),
    }
    assert_eq!(mqtt.state(), State::Online);
    for (identifier, _) in again.iter().chain([new]) {
        assert!(
            broker.acknowledged(*identifier),
            "{identifier} was not acknowledged"
        );
    }
    broker.has_sent_packets(link);
    messages.take()
}

/// Plays it, and says which messages came from the first broker.
fn heard(manner: Manner, sent: &[u8], pieces: Pieces) -> Vec<Message> {
    let mut memory = MqttMemory::<256, 320, 128, 512>::new();
    let mqtt = Mqtt::new(&mut memory);
    let settings = Settings {
        host: "192.0.2.7",
        port: 1883,
        own_broker: None,
        user: "",
        password: "",
        client_id: "device",
        keep_alive: 30,
        base_topic: "base",
        subscriptions: FILTERS,
        clean_start: true,
        session_expiry: 3600,
    };
    let links = [pieces, Pieces::whole(), Pieces::whole()].map(Link::open);
    let network = Tcp::new(&links);
    let lines = Cell::new(0);
    let report = |_, _: std::fmt::Arguments<'_>| lines.set(lines.get() + 1);
    let messages: RefCell<Vec<Message>> = RefCell::default();
    let handled = Cell::new(0);
    let application = async {
        if manner.publishes() {
            let _ = mqtt.publish("out", b"one", Delivery::AT_LEAST_ONCE).await;
            let _ = mqtt.publish("out", b"two", Delivery::EXACTLY_ONCE).await;
        }
        loop {
            let message = mqtt.receive().await;
            let copy = (message.topic().to_owned(), message.payload().to_vec());
            messages.borrow_mut().push(copy);
            handled.set(handled.get() + usize::from(message.qos() == QoS::AtLeastOnce));
        }
    };
    let [first, second, third] = &links;
    let brokers = async {
        let mut broker = Broker::new(false);
        broker.hear(first, manner.answered()).await;
        first.say(sent);
        if !manner.stays() {
            first.close();
        }
        let ended = || first.bell.until(|| first.ended.get().then_some(()));
        if manner.answered() == usize::MAX {
            // It may be a good connection after all.
            let serving = with_timeout(Duration::from_secs(100), broker.serve(first));
            let _ = select(serving, ended()).await;
            first.close();
        }
        let ended = with_timeout(LONGEST, ended()).await;
        ended.expect("the device gives up a connection that is of no use");
        // Bytes that came in are not more than bytes that were sent.
        let of_first = messages.take();
        let bytes: usize = of_first
            .iter()
            .map(|(topic, payload)| topic.len() + payload.len())
            .sum();
        assert!(bytes + of_first.len() <= first.said().len());
        broker.has_sent_packets(first);
        let resumed = manner.resumes() && broker.welcomed();
        // With the one that follows they are as many as a broker may leave unacknowledged.
        let mut known = match handled.get() {
            ..=7 if resumed => acknowledged(first),
            _ => Vec::new(),
        };
        known.retain(|(identifier, _)| !matches!(identifier, 77 | 78));
        let good = async |link: &Link, present, again: &[Sent], new: Sent| {
            let came = good(&mqtt, link, present, again, &new, &messages).await;
            link.close();
            link.bell.until(|| link.ended.get().then_some(())).await;
            came
        };
        let ping: Sent = (77, publish("in", 77, b"ping"));
        let pong: Sent = (78, publish("in", 78, b"pong"));
        let said = |payload: &[u8]| ("in".to_owned(), payload.to_vec());
        let came = good(second, resumed, &known, ping.clone()).await;
        assert_eq!(came, [said(b"ping")]);
        if manner.resumes_again() {
            known.push(ping);
            let came = good(third, true, &known, pong).await;
            assert_eq!(came, [said(b"pong")]);
        } else {
            // Under an identifier of a session that is lost it is another message.
            let came = good(third, false, &[ping], pong).await;
            assert_eq!(came, [said(b"ping"), said(b"pong")]);
        }
        of_first
    };
    let device = mqtt.run_telling(&network, &settings, &report, &Machine);
    match run_virtual(select3(device, application, brokers)) {
        Either3::First(never) => match never {},
        Either3::Second(never) => never,
        Either3::Third(messages) => {
            assert!(
                lines.get() < 40 + sent.len(),
                "{} lines in the log",
                lines.get()
            );
            messages
        }
    }
}
