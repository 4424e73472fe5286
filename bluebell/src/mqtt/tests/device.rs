//! A session with its memory, pumped by hand.

use std::boxed::Box;
use std::cell::RefCell;
use std::format;
use std::string::String;
use std::vec;
use std::vec::Vec;

use embassy_time::{Duration, Instant};
use mqtt_protocol_core::mqtt::packet::{Packet, Property};

use super::peer::Peer;
use crate::mqtt::codec::Codec;
use crate::mqtt::codec::frame::{self, Frame};
use crate::mqtt::codec::v5::V5;
use crate::mqtt::inbox::{Inbox, Label};
use crate::mqtt::mark::{Mark, Moment};
use crate::mqtt::outbox::Outbox;
use crate::mqtt::reason::Failure;
use crate::mqtt::session::{Outlet, Session, Verdict};
use crate::mqtt::transmit::Transmit;
use crate::mqtt::types::{Delivery, QoS, Settings, Subscriptions};

pub(super) struct Device {
    pub(super) session: Session,
    pub(super) inbox: Inbox<'static>,
    pub(super) outbox: Outbox<'static>,
    transmit: Transmit<'static>,
    pub(super) settings: Settings<'static>,
    pub(super) lines: RefCell<Vec<String>>,
    pub(super) now: Instant,
    /// Bytes that were not taken in.
    rest: Vec<u8>,
    /// The messages that were taken and not handled: label, topic and payload.
    in_hand: Vec<(Label, Vec<u8>)>,
}

fn memory(length: usize) -> &'static mut [u8] {
    Box::leak(vec![0; length].into_boxed_slice())
}

pub(super) fn settings(subscriptions: &'static dyn Subscriptions) -> Settings<'static> {
    Settings {
        host: "broker",
        port: 1883,
        own_broker: None,
        user: "user",
        password: "secret",
        client_id: "garage",
        keep_alive: 30,
        base_topic: "bluebell/garage",
        subscriptions,
        clean_start: true,
        session_expiry: 3600,
    }
}

impl Device {
    pub(super) fn new() -> Self {
        Self::with(&[("switch/#", QoS::ExactlyOnce)], 1024)
    }

    pub(super) fn with<const N: usize>(
        subscriptions: &'static [(&'static str, QoS); N],
        outbox: usize,
    ) -> Self {
        Self {
            session: Session::new(&V5),
            inbox: Inbox::new(memory(512)),
            outbox: Outbox::new(memory(outbox)),
            transmit: Transmit::new(memory(512)),
            settings: settings(subscriptions),
            lines: RefCell::default(),
            now: Instant::from_secs(100),
            rest: Vec::new(),
            in_hand: Vec::new(),
        }
    }

    fn with_outlet<T>(
        &mut self,
        work: impl FnOnce(&mut Session, &mut Inbox<'static>, &mut Outlet<'_, 'static>) -> T,
    ) -> T {
        let lines = &self.lines;
        let report = |_, line: core::fmt::Arguments<'_>| lines.borrow_mut().push(format!("{line}"));
        let mut outlet = Outlet {
            settings: &self.settings,
            outbox: &mut self.outbox,
            transmit: &mut self.transmit,
            report: &report,
            moment: Moment {
                now: self.now,
                unix_at_zero: None,
                boot: 0,
            },
            receive_capacity: 300,
        };
        work(&mut self.session, &mut self.inbox, &mut outlet)
    }

    pub(super) fn connect(&mut self) {
        self.session
            .connected(self.now, Duration::from_secs(3), 0xFFF0);
    }

    pub(super) fn lose(&mut self) {
        self.session.lost();
        self.transmit.clear();
        self.rest.clear();
    }

    /// All that the device wants to send.
    pub(super) fn out(&mut self) -> Vec<u8> {
        let mut bytes = Vec::new();
        loop {
            let now = self.now;
            self.with_outlet(|session, _, outlet| session.fill(now, outlet));
            let Some((buffer, length)) = self.transmit.take() else {
                return bytes;
            };
            bytes.extend_from_slice(&buffer[..length]);
            self.transmit.give_back(buffer);
            self.session.sent(self.now);
        }
    }

    /// Takes bytes in; what finds no room is tried again next time.
    pub(super) fn hear(&mut self, bytes: &[u8]) -> Result<(), Failure> {
        let mut rest = core::mem::take(&mut self.rest);
        rest.extend_from_slice(bytes);
        self.session.heard(self.now);
        while let Ok(Frame::Whole { first, header, end }) = frame::find(&rest, 4096) {
            let packet = V5.decode(first, &rest[header..end]).unwrap();
            let now = self.now;
            let verdict = self.with_outlet(|session, inbox, outlet| {
                session.packet(&packet, now, inbox, outlet)
            })?;
            if verdict == Verdict::NoRoom {
                break;
            }
            rest.drain(..end);
        }
        self.rest = rest;
        Ok(())
    }

    /// Lets device and peer talk until neither has anything to say; says which packets the peer heard.
    pub(super) fn talk(&mut self, peer: &mut Peer) -> Vec<Packet> {
        let mut heard = Vec::new();
        loop {
            let bytes = self.out();
            heard.extend(peer.hear(&bytes));
            let answer = core::mem::take(&mut peer.out);
            if bytes.is_empty() && answer.is_empty() {
                return heard;
            }
            self.hear(&answer).unwrap();
        }
    }

    /// Connects, and is taken in and subscribed.
    pub(super) fn come_online(
        &mut self,
        peer: &mut Peer,
        session_present: bool,
        properties: Vec<Property>,
    ) -> Vec<Packet> {
        self.connect();
        let mut heard = self.talk(peer);
        peer.welcome(session_present, properties);
        heard.extend(self.talk(peer));
        let subscribe = heard.iter().find_map(|packet| match packet {
            Packet::V5_0Subscribe(packet) => Some(packet.clone()),
            _ => None,
        });
        peer.grant(&subscribe.expect("the device subscribes"));
        heard.extend(self.talk(peer));
        assert!(self.session.is_online());
        heard
    }

    pub(super) fn keep(&mut self, payload: &str, delivery: Delivery) -> Option<u64> {
        let mark = Mark::of(delivery);
        self.outbox.push(b"out", payload.as_bytes(), &mark, None)
    }

    /// Takes the next message, as topic and payload, without handling it.
    pub(super) fn take(&mut self) -> Option<(Label, String, Vec<u8>)> {
        let mut buffer = [0; 512];
        let taken = self.inbox.take(&mut buffer)?;
        let bytes = buffer[..taken.topic + taken.payload].to_vec();
        self.in_hand.push((taken.label, bytes));
        let (topic, rest) = buffer.split_at(taken.topic);
        let topic = String::from_utf8(topic.to_vec()).unwrap();
        Some((taken.label, topic, rest[..taken.payload].to_vec()))
    }

    /// The message that was taken with this label is handled.
    pub(super) fn handled(&mut self, label: &Label) {
        let known = |(other, _): &(Label, _)| other == label;
        let index = self.in_hand.iter().position(known);
        let (label, bytes) = self.in_hand.remove(index.expect("it was taken"));
        self.session.handled(&label, &bytes);
    }

    pub(super) fn pass(&mut self, seconds: u64) -> Result<(), Failure> {
        self.now += Duration::from_secs(seconds);
        self.session.due(self.now)
    }
}

/// What a packet is, in a few words.
pub(super) fn words(packet: &Packet) -> String {
    match packet {
        Packet::V5_0Connect(packet) if packet.clean_start() => "connect clean".into(),
        Packet::V5_0Connect(_) => "connect".into(),
        Packet::V5_0Publish(packet) => format!(
            "publish {} {}{}",
            packet.topic_name(),
            String::from_utf8_lossy(packet.payload().as_slice()),
            if packet.dup() { " again" } else { "" }
        ),
        Packet::V5_0Subscribe(packet) => {
            let filters: Vec<_> = packet
                .entries()
                .iter()
                .map(|entry| entry.topic_filter())
                .collect();
            format!("subscribe {}", filters.join(" "))
        }
        Packet::V5_0Puback(packet) => format!("puback {}", packet.packet_id()),
        Packet::V5_0Pubrec(packet) => format!("pubrec {}", packet.packet_id()),
        Packet::V5_0Pubrel(_) => "pubrel".into(),
        Packet::V5_0Pubcomp(packet) => format!("pubcomp {}", packet.packet_id()),
        Packet::V5_0Pingreq(_) => "ping".into(),
        other => format!("{other:?}"),
    }
}

pub(super) fn all_words(packets: &[Packet]) -> Vec<String> {
    packets.iter().map(words).collect()
}
