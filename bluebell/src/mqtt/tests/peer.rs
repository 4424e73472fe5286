//! The broker's side, spoken by mqtt-protocol-core. It complains of everything that a client must not do.

use std::vec;
use std::vec::Vec;

use mqtt_protocol_core::mqtt;
use mqtt_protocol_core::mqtt::common::Cursor;
use mqtt_protocol_core::mqtt::connection::Event;
use mqtt_protocol_core::mqtt::packet::v5_0;
pub(super) use mqtt_protocol_core::mqtt::packet::{GenericPacketTrait, Packet, Property, Qos};
use mqtt_protocol_core::mqtt::result_code::{ConnectReasonCode, SubackReasonCode};

use crate::mqtt::codec::frame::{self, Frame};
use crate::mqtt::types::QoS;

/// A broker's side of one session, over any number of connections.
pub(super) struct Peer {
    connection: mqtt::Connection<mqtt::role::Server>,
    /// What it wants to send.
    pub(super) out: Vec<u8>,
    /// The start of a packet.
    partial: Vec<u8>,
    /// The identifiers of what it has published and the device has not acknowledged.
    unanswered: Vec<u16>,
    /// Whether its library counts them too: over a second connection it loses count and falls.
    library_counts: bool,
    /// Whether it sends what is longer than the device takes.
    pub(super) ignores_size: bool,
    /// Whether it bears what a client must not do: where bytes went to the device that it knows not of.
    pub(super) bears_all: bool,
}

impl Peer {
    /// Acknowledges messages by itself.
    pub(super) fn new() -> Self {
        let mut peer = Self::silent();
        peer.connection.set_auto_pub_response(true);
        peer.connection.set_auto_ping_response(true);
        peer.library_counts = false;
        peer
    }

    /// Answers nothing by itself.
    pub(super) fn silent() -> Self {
        Self {
            connection: mqtt::Connection::new(mqtt::Version::V5_0),
            out: Vec::new(),
            partial: Vec::new(),
            unanswered: Vec::new(),
            library_counts: true,
            ignores_size: false,
            bears_all: false,
        }
    }

    /// Takes in bytes from the device and says which packets they were.
    pub(super) fn hear(&mut self, bytes: &[u8]) -> Vec<Packet> {
        let mut packets = Vec::new();
        self.partial.extend_from_slice(bytes);
        // Whole packets only: it does not forget half of one when the connection goes.
        while let Ok(Frame::Whole { end, .. }) = frame::find(&self.partial, usize::MAX) {
            let mut packet: Vec<u8> = self.partial.drain(..end).collect();
            if packet[0] == 0x10 && !self.library_counts {
                // "Receive maximum 8" becomes "topic alias maximum 1".
                let at = packet
                    .windows(3)
                    .position(|bytes| bytes == [33, 0, 8])
                    .unwrap();
                packet[at..at + 3].copy_from_slice(&[34, 0, 1]);
            }
            if packet[0] == 0x10 && self.ignores_size {
                let at = packet.windows(3).position(|bytes| bytes == [39, 0, 0]);
                packet[at.unwrap() + 1] = 1;
            }
            let events = self.connection.recv(&mut Cursor::new(&packet[..]));
            self.settle(events, &mut packets);
        }
        packets
    }

    /// Sends a packet.
    pub(super) fn say(&mut self, packet: impl Into<Packet>) {
        let events = self.connection.send(packet.into());
        self.settle(events, &mut Vec::new());
    }

    /// Takes the device in.
    pub(super) fn welcome(&mut self, session_present: bool, properties: Vec<Property>) {
        let connack = v5_0::Connack::builder()
            .session_present(session_present)
            .reason_code(ConnectReasonCode::Success)
            .props(properties)
            .build();
        self.say(connack.unwrap());
    }

    /// Refuses the device.
    pub(super) fn refuse(&mut self, reason: ConnectReasonCode) {
        let connack = v5_0::Connack::builder()
            .session_present(false)
            .reason_code(reason)
            .build();
        self.say(connack.unwrap());
    }

    /// Grants every subscription of a packet what it asks for.
    pub(super) fn grant(&mut self, subscribe: &v5_0::Subscribe) {
        let granted = subscribe
            .entries()
            .iter()
            .map(|entry| match entry.sub_opts().qos() {
                Qos::AtMostOnce => SubackReasonCode::GrantedQos0,
                Qos::AtLeastOnce => SubackReasonCode::GrantedQos1,
                Qos::ExactlyOnce => SubackReasonCode::GrantedQos2,
            });
        self.answer(subscribe, granted.collect());
    }

    /// Answers the subscriptions of a packet.
    pub(super) fn answer(&mut self, subscribe: &v5_0::Subscribe, reasons: Vec<SubackReasonCode>) {
        let suback = v5_0::Suback::builder()
            .packet_id(subscribe.packet_id())
            .reason_codes(reasons)
            .build();
        self.say(suback.unwrap());
    }

    /// Publishes to the device and says under which identifier.
    pub(super) fn publish(&mut self, topic: &str, payload: &[u8], qos: QoS) -> u16 {
        let mut builder = v5_0::Publish::builder()
            .topic_name(topic)
            .unwrap()
            .payload(payload.to_vec())
            .qos(theirs(qos));
        let mut identifier = 0;
        if qos != QoS::AtMostOnce {
            identifier = self.connection.acquire_packet_id().unwrap();
            self.unanswered.push(identifier);
            builder = builder.packet_id(identifier);
        }
        self.say(builder.build().unwrap());
        identifier
    }

    /// How many more messages the device allows to be unacknowledged.
    pub(super) fn vacancy(&self) -> usize {
        8 - self.unanswered.len()
    }

    /// The connection is gone; the session stays.
    pub(super) fn close(&mut self) {
        let events = self.connection.notify_closed();
        self.settle(events, &mut Vec::new());
        self.out.clear();
        self.partial.clear();
    }

    fn settle(&mut self, events: Vec<Event>, packets: &mut Vec<Packet>) {
        for event in events {
            match event {
                Event::NotifyPacketReceived(packet) => {
                    let answered = match &packet {
                        Packet::V5_0Puback(packet) => Some(packet.packet_id()),
                        Packet::V5_0Pubcomp(packet) => Some(packet.packet_id()),
                        _ => None,
                    };
                    self.unanswered
                        .retain(|identifier| answered != Some(*identifier));
                    packets.push(packet);
                }
                Event::RequestSendPacket { packet, .. } => {
                    self.out.extend(packet.to_continuous_buffer());
                }
                Event::NotifyError(error) => {
                    assert!(self.bears_all, "the peer complains: {error:?}");
                }
                _ => {}
            }
        }
    }
}

pub(super) const fn theirs(qos: QoS) -> Qos {
    match qos {
        QoS::AtMostOnce => Qos::AtMostOnce,
        QoS::AtLeastOnce => Qos::AtLeastOnce,
        QoS::ExactlyOnce => Qos::ExactlyOnce,
    }
}

/// Properties that have no meaning for the device and must not disturb it.
pub(super) fn clutter() -> Vec<Property> {
    use mqtt_protocol_core::mqtt::packet::UserProperty;
    vec![
        UserProperty::new("key", "value").unwrap().into(),
        UserProperty::new("key", "once more").unwrap().into(),
    ]
}
