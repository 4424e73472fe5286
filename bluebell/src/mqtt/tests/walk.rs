//! Random histories: messages both ways over a connection that breaks at any byte.

use std::collections::VecDeque;
use std::string::{String, ToString};
use std::vec;
use std::vec::Vec;

use mqtt_protocol_core::mqtt::packet::Packet;
use proptest::prelude::*;

use super::device::Device;
use super::peer::Peer;
use crate::mqtt::inbox::Label;
use crate::mqtt::types::{Delivery, QoS};

#[derive(Debug, Clone)]
enum Move {
    /// The device publishes with QoS 1 or 2.
    Out(QoS),
    /// The broker publishes with QoS 1 or 2.
    In(QoS),
    /// So many bytes pass from the device to the broker.
    Up(usize),
    /// So many bytes pass from the broker to the device.
    Down(usize),
    /// The application takes a message.
    Take,
    /// The application has handled the oldest message that it took.
    Handle,
    /// So many seconds pass.
    Wait(u64),
    /// The connection breaks; bytes under way are lost, the broker keeps the session.
    Break,
    /// The connection breaks and the broker forgets the session.
    Forget,
}

fn moves(forgets: u32) -> impl Strategy<Value = Vec<Move>> {
    let qos = prop_oneof![Just(QoS::AtLeastOnce), Just(QoS::ExactlyOnce)];
    let step = prop_oneof![
        3 => qos.clone().prop_map(Move::Out),
        3 => qos.prop_map(Move::In),
        8 => (1usize..80).prop_map(Move::Up),
        8 => (1usize..80).prop_map(Move::Down),
        3 => Just(Move::Take),
        3 => Just(Move::Handle),
        2 => (1u64..40).prop_map(Move::Wait),
        1 => Just(Move::Break),
        forgets => Just(Move::Forget),
    ];
    prop::collection::vec(step, 0..250)
}

struct World {
    device: Device,
    peer: Peer,
    up: VecDeque<u8>,
    down: VecDeque<u8>,
    established: bool,
    /// What the device published and the broker received.
    published: Vec<(QoS, String)>,
    received: Vec<(QoS, String)>,
    /// What the broker published and the application was given.
    sent: Vec<(QoS, String)>,
    delivered: Vec<(QoS, String)>,
    in_hand: VecDeque<Label>,
}

impl World {
    fn new() -> Self {
        let mut device = Device::with(&[("in", QoS::ExactlyOnce)], 4096);
        device.connect();
        Self {
            device,
            peer: Peer::new(),
            up: VecDeque::new(),
            down: VecDeque::new(),
            established: false,
            published: vec![],
            received: vec![],
            sent: vec![],
            delivered: vec![],
            in_hand: VecDeque::new(),
        }
    }

    fn make(&mut self, step: Move) {
        match step {
            Move::Out(qos) => {
                let payload = self.published.len().to_string();
                let delivery = Delivery {
                    qos,
                    ..Delivery::AT_LEAST_ONCE
                };
                if self.device.keep(&payload, delivery).is_some() {
                    self.published.push((qos, payload));
                }
            }
            Move::In(qos) => {
                if self.device.session.is_online() && self.peer.vacancy() > 0 {
                    let payload = self.sent.len().to_string();
                    self.peer.publish("in", payload.as_bytes(), qos);
                    self.sent.push((qos, payload));
                }
            }
            Move::Up(length) => self.up(length),
            Move::Down(length) => {
                self.down.extend(core::mem::take(&mut self.peer.out));
                let length = length.min(self.down.len());
                let bytes: Vec<u8> = self.down.drain(..length).collect();
                self.device.hear(&bytes).unwrap();
            }
            Move::Take => {
                if let Some((label, _, payload)) = self.device.take() {
                    self.delivered
                        .push((label.qos, String::from_utf8(payload).unwrap()));
                    self.in_hand.push_back(label);
                }
                // What had found no room is offered again.
                self.device.hear(&[]).unwrap();
            }
            Move::Handle => {
                if let Some(label) = self.in_hand.pop_front() {
                    self.device.handled(&label);
                }
            }
            Move::Wait(seconds) => {
                if self.device.pass(seconds).is_err() {
                    self.make(Move::Break);
                }
            }
            Move::Forget => {
                self.make(Move::Break);
                self.peer = Peer::new();
                self.established = false;
            }
            Move::Break => {
                self.device.lose();
                self.peer.close();
                self.up.clear();
                self.down.clear();
                self.device.connect();
            }
        }
    }

    fn up(&mut self, length: usize) {
        self.up.extend(self.device.out());
        let length = length.min(self.up.len());
        let bytes: Vec<u8> = self.up.drain(..length).collect();
        for packet in self.peer.hear(&bytes) {
            match packet {
                Packet::V5_0Connect(packet) => {
                    let present = self.established && !packet.clean_start();
                    self.peer.welcome(present, vec![]);
                    self.established = true;
                }
                Packet::V5_0Subscribe(packet) => self.peer.grant(&packet),
                Packet::V5_0Publish(packet) if packet.topic_name() == "out" => {
                    let qos = QoS::from_bits(packet.qos() as u8).unwrap();
                    let payload = String::from_utf8(packet.payload().as_slice().to_vec()).unwrap();
                    self.received.push((qos, payload));
                }
                _ => {}
            }
        }
    }

    /// Lets everything come to rest on a connection that holds.
    fn rest(&mut self) {
        for _ in 0..200 {
            for step in [
                Move::Up(10_000),
                Move::Down(10_000),
                Move::Take,
                Move::Take,
                Move::Handle,
                Move::Handle,
            ] {
                self.make(step);
            }
        }
    }
}

fn only(messages: &[(QoS, String)], wanted: QoS) -> Vec<&String> {
    messages
        .iter()
        .filter(|(qos, _)| *qos == wanted)
        .map(|(_, payload)| payload)
        .collect()
}

/// The messages without what came again.
fn first_of_each<'a>(messages: &[&'a String]) -> Vec<&'a String> {
    let mut seen = Vec::new();
    for message in messages {
        if !seen.contains(message) {
            seen.push(*message);
        }
    }
    seen
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(400))]
    #[test]
    fn nothing_is_lost_nor_handed_on_twice_however_the_connection_breaks(moves in moves(0)) {
        let mut world = World::new();
        for step in moves {
            world.make(step);
        }
        // A connection that hangs in the middle of a handshake would be given up by the runner.
        world.make(Move::Break);
        world.rest();
        prop_assert!(world.device.session.is_online());
        prop_assert_eq!(world.device.outbox.first(), world.device.outbox.end());
        let (sent, came) = (&world.published, &world.received);
        prop_assert_eq!(only(sent, QoS::ExactlyOnce), only(came, QoS::ExactlyOnce));
        // The broker passes on what it is sent twice with QoS 1.
        let came = only(came, QoS::AtLeastOnce);
        prop_assert_eq!(only(sent, QoS::AtLeastOnce), first_of_each(&came));
        for qos in [QoS::AtLeastOnce, QoS::ExactlyOnce] {
            prop_assert_eq!(only(&world.sent, qos), only(&world.delivered, qos));
        }
        prop_assert_eq!(world.peer.vacancy(), 8);
    }

    #[test]
    fn nothing_of_ours_is_lost_though_the_broker_forgets_the_session(moves in moves(1)) {
        let mut world = World::new();
        for step in moves {
            world.make(step);
        }
        world.make(Move::Break);
        world.rest();
        prop_assert!(world.device.session.is_online());
        prop_assert_eq!(world.device.outbox.first(), world.device.outbox.end());
        for qos in [QoS::AtLeastOnce, QoS::ExactlyOnce] {
            let came = only(&world.received, qos);
            prop_assert_eq!(only(&world.published, qos), first_of_each(&came));
        }
    }
}
