//! What client and broker say to each other, apart from how a version of MQTT writes it down.
//!
//! The session speaks [`Outgoing`] and hears [`Incoming`]; a [`Codec`] turns them into bytes and back.
//! [`frame`] finds where packets begin and end, which is the same in all versions.
//!
//! The codec is our own because none was found that serves: of the kept no_std ones only mountain-mqtt
//! 0.2 has a public one, and it reads a QoS 2 message as QoS 1 and fails on more properties than were
//! reserved for; those of minimq 0.13 and rust-mqtt 0.6 are private.

pub(super) mod frame;
mod properties;
pub(super) mod v5;
mod wire;

use core::ops::Range;

use super::mark::Properties;
use super::reason::Reason;
use super::ring::Pieces;
use super::types::{Delivery, QoS, Subscriptions};
pub(super) use wire::Malformed;

/// How much longer a PUBLISH is than its topic and payload at the most: type, length, length of the topic,
/// identifier, properties.
pub(super) const PUBLISH_OVERHEAD: usize = 1 + 4 + 2 + 2 + Properties::MOST;

/// One version of the protocol.
pub(super) trait Codec {
    /// Writes a packet to the start of `into` and says how long it is, also when it does not fit:
    /// then what was written is of no use.
    fn encode(&self, packet: &Outgoing<'_>, into: &mut [u8]) -> usize;

    /// Reads a packet from its first byte and all that follows its length.
    fn decode<'p>(&self, first: u8, body: &'p [u8]) -> Result<Incoming<'p>, Malformed>;
}

/// The four answers by which messages are acknowledged.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Step {
    /// QoS 1: the message has arrived.
    Acknowledged,
    /// QoS 2: the message has arrived.
    Received,
    /// QoS 2: the sender will not repeat the message.
    Released,
    /// QoS 2: the receiver has forgotten the identifier.
    Completed,
}

/// A packet to the broker.
#[derive(Clone, Copy)]
pub(super) enum Outgoing<'a> {
    Connect(Connect<'a>),
    Publish(Publication<'a>),
    Step {
        step: Step,
        identifier: u16,
        reason: Reason,
    },
    Subscribe {
        identifier: u16,
        subscriptions: &'a dyn Subscriptions,
        /// Which of the subscriptions; those that are no filters are left out.
        range: (usize, usize),
    },
    Ping,
    Disconnect(Reason),
}

/// The first packet of a connection.
#[derive(Clone, Copy)]
pub(super) struct Connect<'a> {
    pub(super) client_id: &'a str,
    pub(super) user: &'a str,
    pub(super) password: &'a str,
    pub(super) clean_start: bool,
    /// In seconds.
    pub(super) keep_alive: u16,
    /// In seconds.
    pub(super) session_expiry: u32,
    pub(super) receive_maximum: u16,
    pub(super) maximum_packet: u32,
    /// The will's topic in two pieces.
    pub(super) will_topic: Pieces<'a>,
    pub(super) will_payload: &'a [u8],
    pub(super) will_delivery: Delivery,
}

/// A message to the broker.
#[derive(Clone, Copy)]
pub(super) struct Publication<'a> {
    pub(super) topic: Pieces<'a>,
    pub(super) payload: Pieces<'a>,
    pub(super) delivery: Delivery,
    /// Left out with QoS 0.
    pub(super) identifier: u16,
    /// Whether it was sent before.
    pub(super) again: bool,
    pub(super) properties: Option<&'a Properties>,
}

/// A packet from the broker.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Incoming<'p> {
    Connected(Connected<'p>),
    Publish(Arrival<'p>),
    Step {
        step: Step,
        identifier: u16,
        reason: Reason,
    },
    /// One reason for each subscription: the granted QoS, or a refusal.
    Subscribed {
        identifier: u16,
        reasons: &'p [u8],
    },
    Pong,
    Disconnect(Reason),
}

/// The broker's answer to [`Connect`].
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Connected<'p> {
    pub(super) reason: Reason,
    pub(super) session_present: bool,
    pub(super) limits: Limits,
    /// The identifier that the broker chose, or an empty one.
    pub(super) assigned_client_id: &'p str,
}

/// What the broker allows.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Limits {
    /// How many QoS 1 and 2 messages may be unacknowledged.
    pub(super) receive_maximum: u16,
    /// The longest packet in bytes.
    pub(super) maximum_packet: u32,
    pub(super) maximum_qos: QoS,
    pub(super) retain: bool,
    /// The keep-alive period that takes the place of ours, in seconds.
    pub(super) keep_alive: Option<u16>,
}

impl Limits {
    /// What holds where the broker says nothing.
    pub(super) const NONE: Self = Self {
        receive_maximum: u16::MAX,
        maximum_packet: u32::MAX,
        maximum_qos: QoS::ExactlyOnce,
        retain: true,
        keep_alive: None,
    };
}

/// A message from the broker.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Arrival<'p> {
    pub(super) topic: &'p str,
    pub(super) payload: &'p [u8],
    pub(super) qos: QoS,
    pub(super) retain: bool,
    /// Whether it may have been sent before.
    pub(super) again: bool,
    /// 0 with QoS 0.
    pub(super) identifier: u16,
}

/// The subscriptions of a range that are filters, with their positions.
pub(super) fn filters(
    subscriptions: &dyn Subscriptions,
    range: Range<usize>,
) -> impl Iterator<Item = (usize, &str, QoS)> {
    range
        .map_while(|index| {
            subscriptions
                .get(index)
                .map(|(filter, qos)| (index, filter, qos))
        })
        .filter(|(_, filter, _)| super::topic::check_filter(filter).is_ok())
}
