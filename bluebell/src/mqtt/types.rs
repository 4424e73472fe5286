//! The words that an application and the device use for MQTT.

use core::fmt;
use core::net::SocketAddr;

use super::topic::TopicError;
use crate::config::MqttConfig;

/// How surely a message arrives (MQTT 5.0, section 4.3).
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum QoS {
    /// Sent once and forgotten.
    AtMostOnce = 0,
    /// Sent until it is acknowledged; may arrive twice.
    AtLeastOnce = 1,
    /// Arrives once.
    ExactlyOnce = 2,
}

impl QoS {
    pub(super) const fn from_bits(bits: u8) -> Option<Self> {
        match bits {
            0 => Some(Self::AtMostOnce),
            1 => Some(Self::AtLeastOnce),
            2 => Some(Self::ExactlyOnce),
            _ => None,
        }
    }

    pub(super) const fn bits(self) -> u8 {
        self as u8
    }
}

/// How a message is published.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Delivery {
    /// How surely it arrives.
    pub qos: QoS,
    /// Whether the broker keeps it for those who subscribe later.
    pub retain: bool,
}

impl Delivery {
    /// Sent if the device is online, and forgotten.
    pub const AT_MOST_ONCE: Self = Self::with_qos(QoS::AtMostOnce);
    /// Kept until the broker has it; may arrive twice.
    pub const AT_LEAST_ONCE: Self = Self::with_qos(QoS::AtLeastOnce);
    /// Kept until the broker has it once.
    pub const EXACTLY_ONCE: Self = Self::with_qos(QoS::ExactlyOnce);

    const fn with_qos(qos: QoS) -> Self {
        Self { qos, retain: false }
    }

    /// The same, and the broker keeps the message for those who subscribe later.
    #[must_use]
    pub const fn retained(self) -> Self {
        Self {
            retain: true,
            ..self
        }
    }
}

/// Where the connection to the broker stands.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum State {
    /// No connection, and none being made: no link, no broker configured, or waiting to try again.
    Offline,
    /// A connection is being made.
    Connecting,
    /// The broker has taken the device in and has answered its subscriptions.
    Online,
}

impl State {
    /// The word for it in `/api/state`.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Offline => "offline",
            Self::Connecting => "connecting",
            Self::Online => "online",
        }
    }
}

/// Why a message was not taken.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum PublishError {
    /// The device is not online, and a QoS 0 message is not kept.
    Offline,
    /// The outbox has no room for the message.
    Full,
    /// The message is longer than a buffer of the device or than the broker takes.
    TooLong,
    /// The topic is none.
    Topic(TopicError),
}

impl fmt::Display for PublishError {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str(match self {
            Self::Offline => {
                "not sent, the broker is away: publish with QoS 1 or 2 to keep it until the broker is back"
            }
            Self::Full => "not kept, the outbox is full: publish again when the broker has taken some",
            Self::TooLong => {
                "not sent, topic and payload are too long: make them shorter or MqttMemory larger"
            }
            Self::Topic(error) => return error.fmt(formatter),
        })
    }
}

impl core::error::Error for PublishError {}

/// The filters that are subscribed to after each connect, by position.
///
/// A slice of pairs is one; a typed list can be another. The list stays the same while
/// [`Mqtt::run`](super::Mqtt::run) runs. A filter that is none is skipped and logged.
pub trait Subscriptions {
    /// The filter and the best QoS for it at `index`; `None` from the end on.
    fn get(&self, index: usize) -> Option<(&str, QoS)>;
}

impl Subscriptions for [(&str, QoS)] {
    fn get(&self, index: usize) -> Option<(&str, QoS)> {
        <[_]>::get(self, index).copied()
    }
}

impl<const N: usize> Subscriptions for [(&str, QoS); N] {
    fn get(&self, index: usize) -> Option<(&str, QoS)> {
        self.as_slice().get(index).copied()
    }
}

/// How to reach the broker, and as whom.
#[derive(Clone, Copy)]
pub struct Settings<'a> {
    /// The broker's name or address; empty: `own_broker`.
    pub host: &'a str,
    /// The broker's port, where `host` is given.
    pub port: u16,
    /// The board's own broker; without it and without `host` nothing is tried.
    pub own_broker: Option<SocketAddr>,
    /// The user; empty: none.
    pub user: &'a str,
    /// The password; empty: none.
    pub password: &'a str,
    /// The client identifier, at most 64 bytes; empty: the broker chooses.
    pub client_id: &'a str,
    /// The longest time without a packet, in seconds: 5 to 65535. The broker may shorten it.
    pub keep_alive: u16,
    /// Below this topic lies the retained `status`: `online`, and `offline` as last will.
    pub base_topic: &'a str,
    /// What is subscribed to after each connect.
    pub subscriptions: &'a dyn Subscriptions,
    /// Whether the first connection of a boot begins a new session at the broker. Without it, messages
    /// that the broker kept while the device was off arrive.
    pub clean_start: bool,
    /// For how many seconds the broker keeps the session of a device that is away.
    pub session_expiry: u32,
}

impl<'a> Settings<'a> {
    /// The settings that the configuration says: a clean start at boot, a session kept for an hour.
    #[must_use]
    pub fn new(
        config: &'a MqttConfig,
        own_broker: Option<SocketAddr>,
        subscriptions: &'a dyn Subscriptions,
    ) -> Self {
        Self {
            host: &config.host,
            port: config.port,
            own_broker,
            user: &config.user,
            password: config.password.reveal(),
            client_id: &config.client_id,
            keep_alive: config.keep_alive,
            base_topic: &config.base_topic,
            subscriptions,
            clean_start: true,
            session_expiry: 3600,
        }
    }
}

impl fmt::Debug for Settings<'_> {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter
            .debug_struct("Settings")
            .field("host", &self.host)
            .field("port", &self.port)
            .field("user", &self.user)
            .field("password", &"***")
            .field("client_id", &self.client_id)
            .finish_non_exhaustive()
    }
}

/// The broker, as the log names it.
pub(super) struct BrokerName<'s>(pub(super) &'s Settings<'s>);

impl fmt::Display for BrokerName<'_> {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        // The library's own words for addresses take 3 KB of flash, most of it for IPv6.
        match (self.0.host, self.0.own_broker) {
            ("", Some(SocketAddr::V4(own))) => {
                let [a, b, c, d] = own.ip().octets();
                write!(formatter, "{a}.{b}.{c}.{d}:{}", own.port())
            }
            ("", _) => formatter.write_str("of the board"),
            (host, _) => write!(formatter, "{host}:{}", self.0.port),
        }
    }
}
