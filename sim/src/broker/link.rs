//! One client's connection, as far as the protocol goes.

use std::collections::BTreeSet;
use std::net::SocketAddr;

use embassy_time::{Duration, Instant};
use mqtt_protocol_core::mqtt::common::Cursor;
use mqtt_protocol_core::mqtt::connection::{ConnectionOptions, PacketBuildResult, PacketBuilder};
use mqtt_protocol_core::mqtt::packet::{Packet, Property, v5_0};
use mqtt_protocol_core::mqtt::{Connection, Version, role};

use super::Settings;
use super::message::Message;

/// A client's connection.
pub(super) struct Link {
    pub(super) connection: Connection<role::Server>,
    pub(super) client: SocketAddr,
    /// What came before the first packet was complete.
    opening: Option<Vec<u8>>,
    pub(super) output: Vec<u8>,
    pub(super) closing: bool,
    pub(super) client_id: Option<String>,
    pub(super) will: Option<(Duration, Message)>,
    pub(super) in_flight: BTreeSet<u16>,
    pub(super) receive_maximum: usize,
    pub(super) silent_until: Option<Instant>,
}

impl Link {
    /// A connection that was just accepted.
    pub(super) fn new(now: Instant, client: SocketAddr, settings: &Settings) -> Self {
        let mut options = ConnectionOptions::new();
        if let Some(size) = settings.maximum_packet_size {
            options = options.maximum_packet_size_recv(size);
        }
        if let Some(count) = settings.receive_maximum {
            options = options.receive_maximum(count);
        }
        let mut connection = Connection::with_options(Version::V5_0, options);
        connection.set_auto_pub_response(true);
        connection.set_auto_ping_response(true);
        Self {
            connection,
            client,
            opening: Some(Vec::new()),
            output: Vec::new(),
            closing: false,
            client_id: None,
            will: None,
            in_flight: BTreeSet::new(),
            receive_maximum: usize::from(u16::MAX),
            // Who says nothing is not kept for ever.
            silent_until: Some(now + Duration::from_secs(30)),
        }
    }

    /// Whether the CONNECT has not been looked at.
    pub(super) fn is_unheard(&self) -> bool {
        self.opening.is_some() && !self.closing
    }

    pub(super) fn send(&mut self, packet: &Packet) {
        use mqtt_protocol_core::mqtt::prelude::GenericPacketTrait;
        self.output.extend(packet.to_continuous_buffer());
    }

    /// Waits for the whole CONNECT; then gives what the protocol library is to be fed.
    ///
    /// The library counts what it sends against the client's receive maximum, but not what it sends
    /// again for a resumed session, and then counts below zero. So that property is taken out here,
    /// and this broker keeps to it.
    pub(super) fn opened(&mut self, bytes: &[u8]) -> Option<Vec<u8>> {
        let Some(opening) = &mut self.opening else {
            return Some(bytes.to_vec());
        };
        opening.extend_from_slice(bytes);
        // The first packet has to be CONNECT (MQTT-3.1.0-1).
        if opening.first().is_some_and(|first| first >> 4 != 1) {
            self.closing = true;
            return None;
        }
        let mut cursor = Cursor::new(&opening[..]);
        let built = PacketBuilder::new().feed(&mut cursor);
        let end = usize::try_from(cursor.position()).unwrap_or(usize::MAX);
        let packet = match built {
            PacketBuildResult::Incomplete => return None,
            PacketBuildResult::Complete(packet) => packet,
            PacketBuildResult::Error(_) => {
                self.closing = true;
                return None;
            }
        };
        let opening = self.opening.take()?;
        let rest = opening.get(end..).unwrap_or_default();
        let rewritten = v5_0::Connect::parse(packet.data_as_slice())
            .ok()
            .and_then(|(connect, _)| self.without_receive_maximum(&connect));
        Some(match rewritten {
            Some(connect) => [&connect, rest].concat(),
            None => opening,
        })
    }

    fn without_receive_maximum(&mut self, connect: &v5_0::Connect) -> Option<Vec<u8>> {
        let maximum = connect.props().iter().find_map(|property| match property {
            Property::ReceiveMaximum(maximum) => Some(maximum.val()),
            _ => None,
        })?;
        self.receive_maximum = usize::from(maximum);
        let kept = connect.props().iter();
        let kept: Vec<_> = kept
            .filter(|property| !matches!(property, Property::ReceiveMaximum(_)))
            .cloned()
            .collect();
        let mut rewritten = v5_0::Connect::builder()
            .client_id(connect.client_id())
            .ok()?
            .clean_start(connect.clean_start())
            .keep_alive(connect.keep_alive())
            .props(kept);
        if let (Some(topic), Some(payload)) = (connect.will_topic(), connect.will_payload()) {
            rewritten = rewritten
                .will_message(
                    topic,
                    payload.to_vec(),
                    connect.will_qos(),
                    connect.will_retain(),
                )
                .ok()?
                .will_props(connect.will_props().clone());
        }
        if let Some(user) = connect.user_name() {
            rewritten = rewritten.user_name(user).ok()?;
        }
        if let Some(password) = connect.password() {
            rewritten = rewritten.password(password.to_vec()).ok()?;
        }
        Some(rewritten.build().ok()?.to_continuous_buffer())
    }
}
