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
    /// Whether, with QoS 1 and 2, it takes the place of a message on the same topic that waits and says so
    /// too; else all are kept.
    pub latest: bool,
    /// Whether, with QoS 1 and 2, it is kept in memory alone: it spares the flash and returns at once, but
    /// does not survive a power cut.
    pub in_memory: bool,
    /// After how many seconds it is of no use to anybody and is dropped, here and at the broker; 0: never.
    pub expiry: u32,
}

impl Delivery {
    /// Sent if the device is online, and forgotten.
    pub const AT_MOST_ONCE: Self = Self::with_qos(QoS::AtMostOnce);
    /// Kept until the broker has it, also over a power cut; may arrive twice.
    pub const AT_LEAST_ONCE: Self = Self::with_qos(QoS::AtLeastOnce);
    /// Kept until the broker has it, also over a power cut; arrives once, or after a power cut twice under
    /// the same `id`.
    pub const EXACTLY_ONCE: Self = Self::with_qos(QoS::ExactlyOnce);

    const fn with_qos(qos: QoS) -> Self {
        Self {
            qos,
            retain: false,
            latest: false,
            in_memory: false,
            expiry: 0,
        }
    }

    /// The same, and the broker keeps the message for those who subscribe later.
    #[must_use]
    pub const fn retained(self) -> Self {
        Self {
            retain: true,
            ..self
        }
    }

    /// The same, but while the broker is away a message that waits on the same topic goes when this one comes,
    /// if it was published like this too: of a state, the newest is enough then. Online, every one is
    /// sent, unless it is kept [in memory](Self::in_memory) alone.
    #[must_use]
    pub const fn latest(self) -> Self {
        Self {
            latest: true,
            ..self
        }
    }

    /// The same, but after so many seconds the message is dropped if it still waits, here or at the broker.
    /// 0: never.
    #[must_use]
    pub const fn expiring_in(self, seconds: u32) -> Self {
        Self {
            expiry: seconds,
            ..self
        }
    }

    /// The same, but kept in memory alone, where there is room for a few messages: it is lost in a power cut.
    /// For what comes often and may be missing: it wears the flash out by nothing, and publishing it waits
    /// for nobody. It may overtake what waits on flash.
    #[must_use]
    pub const fn in_memory(self) -> Self {
        Self {
            in_memory: true,
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
    /// The outbox has no room for the message, and the broker does not take it now.
    Full,
    /// The flash failed, and the broker does not take the message now.
    Flash,
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
            Self::Flash => "not kept, the flash failed: publish again, then check the board",
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
    /// The settings that the configuration says. Unless it says that the session is to be kept, each boot
    /// begins a new one, which is kept for an hour while the device is on.
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
            clean_start: config.keep_session == 0,
            session_expiry: match config.keep_session {
                // Over an outage without a power cut it is of use in any case.
                0 => 3600,
                seconds => seconds,
            },
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
