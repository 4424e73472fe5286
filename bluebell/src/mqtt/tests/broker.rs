//! A broker on the network in memory, as well or badly behaved as a test says.

use std::cell::{Cell, RefCell};
use std::format;
use std::future::{Future, pending};
use std::string::String;
use std::vec;
use std::vec::Vec;

use embassy_futures::select::{Either, select, select3};
use embassy_sync::blocking_mutex::raw::NoopRawMutex;
use embassy_sync::signal::Signal;
use embassy_time::Instant;
use mqtt_protocol_core::mqtt::packet::{Packet, Property};

use super::device::words;
use super::network::{End, Network};
use super::peer::Peer;
use crate::board::System;
use crate::log::Level;
use crate::mqtt::types::{QoS, Settings};
use crate::mqtt::{Mqtt, MqttMemory};

#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) enum Manner {
    Good,
    /// Takes connections and says nothing.
    Silent,
    /// Does not even read.
    Hung,
}

pub(super) struct Broker {
    pub(super) network: Network,
    pub(super) peer: RefCell<Peer>,
    pub(super) manner: Cell<Manner>,
    /// What it says when it takes a device in.
    pub(super) properties: RefCell<Vec<Property>>,
    /// What it has heard, with the time in milliseconds.
    pub(super) heard: RefCell<Vec<(u64, String)>>,
    /// Bytes that it sends besides what the peer says.
    raw: RefCell<Vec<u8>>,
    kick: Signal<NoopRawMutex, ()>,
    hang_up: Signal<NoopRawMutex, ()>,
    knows_the_device: Cell<bool>,
}

impl Broker {
    pub(super) fn new() -> Self {
        Self {
            network: Network::new(),
            peer: RefCell::new(Peer::new()),
            manner: Cell::new(Manner::Good),
            properties: RefCell::default(),
            heard: RefCell::default(),
            raw: RefCell::default(),
            kick: Signal::new(),
            hang_up: Signal::new(),
            knows_the_device: Cell::new(false),
        }
    }

    pub(super) async fn run(&self) -> ! {
        loop {
            let end = self.network.accept().await;
            select(self.serve(&end), self.hang_up.wait()).await;
            self.peer.borrow_mut().close();
        }
    }

    async fn serve(&self, end: &End) {
        loop {
            if self.manner.get() == Manner::Hung {
                return pending().await;
            }
            let bytes = match select(end.read(), self.kick.wait()).await {
                Either::First(bytes) if bytes.is_empty() => return,
                Either::First(bytes) => bytes,
                Either::Second(()) => vec![],
            };
            self.digest(&bytes);
            let answer = core::mem::take(&mut self.peer.borrow_mut().out);
            if self.manner.get() == Manner::Good {
                end.write(&answer).await;
            }
            let raw = core::mem::take(&mut *self.raw.borrow_mut());
            end.write(&raw).await;
        }
    }

    fn digest(&self, bytes: &[u8]) {
        let mut peer = self.peer.borrow_mut();
        let now = Instant::now().as_millis();
        for packet in peer.hear(bytes) {
            self.heard.borrow_mut().push((now, words(&packet)));
            match packet {
                Packet::V5_0Connect(packet) if self.manner.get() == Manner::Good => {
                    let present = self.knows_the_device.replace(true) && !packet.clean_start();
                    peer.welcome(present, self.properties.borrow().clone());
                }
                Packet::V5_0Subscribe(packet) => peer.grant(&packet),
                _ => {}
            }
        }
    }

    pub(super) fn publish(&self, topic: &str, payload: &[u8], qos: QoS) {
        self.peer.borrow_mut().publish(topic, payload, qos);
        self.kick.signal(());
    }

    /// Sends bytes that may be anything.
    pub(super) fn send(&self, bytes: &[u8]) {
        self.raw.borrow_mut().extend_from_slice(bytes);
        self.kick.signal(());
    }

    pub(super) fn hang_up(&self) {
        self.hang_up.signal(());
    }

    /// The words of all packets that were heard and that contain `part`.
    pub(super) fn heard(&self, part: &str) -> Vec<String> {
        let heard = self.heard.borrow();
        heard
            .iter()
            .map(|(_, words)| words.clone())
            .filter(|words| words.contains(part))
            .collect()
    }
}

/// Entropy that is the same in every run.
pub(super) struct Machine(pub(super) Cell<u32>);

impl System for Machine {
    fn entropy(&self, bytes: &mut [u8]) {
        for byte in bytes {
            let next = self
                .0
                .get()
                .wrapping_mul(1_664_525)
                .wrapping_add(1_013_904_223);
            self.0.set(next);
            *byte = (next >> 24) as u8;
        }
    }

    fn hardware_address(&self) -> [u8; 6] {
        [2, 0, 0, 0, 0, 1]
    }
}

pub(super) type Lines = RefCell<Vec<(u64, Level, String)>>;

/// Runs a device and a broker in virtual time until the scenario is over; gives back the log.
pub(super) fn play<F: Future<Output = ()>>(
    broker: &Broker,
    settings: Settings<'_>,
    scenario: impl FnOnce(&'static Mqtt<'static>, &'static Lines) -> F,
) -> &'static Lines {
    let memory: &'static mut MqttMemory<256, 1024, 1024, 512> =
        std::boxed::Box::leak(std::boxed::Box::new(MqttMemory::new()));
    let mqtt: &'static Mqtt<'static> =
        std::boxed::Box::leak(std::boxed::Box::new(Mqtt::new(memory)));
    let lines: &'static Lines = std::boxed::Box::leak(std::boxed::Box::default());
    let machine = Machine(Cell::new(7));
    sim::time::run_virtual(async {
        let report = report(lines);
        let run = mqtt.run_telling(&broker.network, &settings, &report, &machine);
        select3(run, broker.run(), scenario(mqtt, lines)).await;
    });
    lines
}

/// Keeps lines with the time at which they were told.
pub(super) fn report(lines: &Lines) -> impl Fn(Level, core::fmt::Arguments<'_>) + '_ {
    |level, line| {
        let now = Instant::now().as_millis();
        lines.borrow_mut().push((now, level, format!("{line}")));
    }
}
