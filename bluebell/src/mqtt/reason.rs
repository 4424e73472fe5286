//! Why a connection failed or a request was refused, in words with the remedy.

use core::fmt;

use embedded_io_async::ErrorKind;

/// A reason code of the broker (MQTT 5.0, section 2.4); from 0x80 on it is a refusal.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Reason(pub(super) u8);

impl Reason {
    pub(super) const SUCCESS: Self = Self(0x00);
    pub(super) const MALFORMED: Self = Self(0x81);
    pub(super) const PROTOCOL_ERROR: Self = Self(0x82);
    pub(super) const UNSUPPORTED_VERSION: Self = Self(0x84);
    pub(super) const TAKEN_OVER: Self = Self(0x8E);
    pub(super) const UNKNOWN_IDENTIFIER: Self = Self(0x92);
    pub(super) const RECEIVE_MAXIMUM: Self = Self(0x93);
    pub(super) const TOO_LARGE: Self = Self(0x95);
    pub(super) const NO_RETAIN: Self = Self(0x9A);
    pub(super) const NO_QOS: Self = Self(0x9B);

    pub(super) const fn is_refusal(self) -> bool {
        self.0 >= 0x80
    }
}

/// What each code means, and what can be done.
const WORDS: [(u8, &str); 29] = [
    (0x00, "it was done"),
    (0x10, "nobody has subscribed to the topic"),
    (
        0x81,
        "it found a packet malformed: report this with the broker's version",
    ),
    (
        0x82,
        "it found a packet out of order: report this with the broker's version",
    ),
    (0x84, "it does not speak MQTT 5: use a broker that does"),
    (
        0x85,
        "it does not take the client identifier: change mqtt.client_id",
    ),
    (
        0x86,
        "it does not know the user or password: check mqtt.user and mqtt.password",
    ),
    (
        0x87,
        "the device is not authorised: check mqtt.user and the broker's access list",
    ),
    (0x88, "it is not available now"),
    (0x89, "it is busy"),
    (0x8A, "the device is banned: lift the ban at the broker"),
    (0x8B, "it is shutting down"),
    (
        0x8D,
        "it heard nothing from the device for too long: check the signal",
    ),
    (
        0x8E,
        "another client connected with the same identifier: give each device its own \
         mqtt.client_id",
    ),
    (
        0x8F,
        "it does not take the topic filter: change the subscription",
    ),
    (0x90, "it does not take the topic: publish on another"),
    (0x93, "it was sent too many messages at once"),
    (
        0x95,
        "a packet was too large for it: raise its limit or send less",
    ),
    (0x96, "messages come too fast for it: publish more rarely"),
    (0x97, "a quota is used up: raise it at the broker"),
    (0x98, "its administrator closed the connection"),
    (
        0x9A,
        "it keeps no retained messages: allow them at the broker",
    ),
    (
        0x9B,
        "it does not offer the QoS: allow it at the broker or use a lower one",
    ),
    (
        0x9C,
        "it sends the device to another server: change mqtt.host",
    ),
    (
        0x9D,
        "it sends the device to another server: change mqtt.host",
    ),
    (
        0x9E,
        "it offers no shared subscriptions: subscribe without $share",
    ),
    (0x9F, "devices connect too often for it"),
    (0xA0, "the longest time of a connection is over"),
    (0xA2, "it offers no wildcards: subscribe to whole topics"),
];

impl fmt::Display for Reason {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        match WORDS.iter().find(|(code, _)| *code == self.0) {
            Some((_, words)) => formatter.write_str(words),
            None => write!(formatter, "reason {:#04x}: see the broker's log", self.0),
        }
    }
}

/// Why there is no connection to the broker.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Failure {
    /// The host's name was not resolved.
    Name,
    /// No TCP connection was made.
    Connect(ErrorKind),
    /// No TCP connection was made in time.
    ConnectTimeout,
    /// The broker took the connection and then did not answer in time.
    Silent,
    /// The broker refused the device.
    Refused(Reason),
    /// The broker closed the connection without a word.
    Closed,
    /// The connection broke.
    Broken(ErrorKind),
    /// Nothing was heard for one and a half keep-alive periods.
    Dead,
    /// The broker sent what is no packet.
    Malformed(&'static str),
    /// The broker sent a packet that must not come then.
    Protocol(&'static str),
    /// The broker sent more unacknowledged messages than it may.
    TooMany,
    /// A packet other than a message is longer than the receive buffer.
    TooLarge,
    /// The broker said goodbye.
    Disconnected(Reason),
}

impl Failure {
    /// What the broker is told before the connection is closed, where it can still be told.
    pub(super) const fn farewell(self) -> Option<Reason> {
        match self {
            Self::Malformed(_) => Some(Reason::MALFORMED),
            Self::Protocol(_) => Some(Reason::PROTOCOL_ERROR),
            Self::TooMany => Some(Reason::RECEIVE_MAXIMUM),
            Self::TooLarge => Some(Reason::TOO_LARGE),
            _ => None,
        }
    }
}

impl fmt::Display for Failure {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        let words = match self {
            Self::Name => {
                "its name was not resolved: check mqtt.host and the network's name server"
            }
            Self::Connect(ErrorKind::ConnectionRefused) => {
                "nothing listens there: start the broker or check mqtt.host and mqtt.port"
            }
            Self::Connect(ErrorKind::OutOfMemory) => "the device has no free socket",
            Self::Connect(_) => "it was not reached: check mqtt.host and mqtt.port",
            Self::ConnectTimeout => {
                "it did not take the connection in time: check mqtt.host and mqtt.port"
            }
            Self::Silent => "it took the connection and then said nothing: is this an MQTT broker?",
            Self::Refused(reason) => return write!(formatter, "it refused the device: {reason}"),
            Self::Closed => "it closed the connection",
            Self::Broken(_) => "the connection broke",
            Self::Dead => "nothing was heard from it for one and a half keep-alive periods",
            Self::Malformed(what) => {
                return write!(
                    formatter,
                    "it sent a malformed packet ({what}): is this an MQTT broker?"
                );
            }
            Self::Protocol(what) => {
                return write!(
                    formatter,
                    "it broke the protocol ({what}): report this to its makers"
                );
            }
            Self::TooMany => "it sent more messages at once than it may: report this to its makers",
            Self::TooLarge => "it sent a packet that is too large: make MqttMemory larger",
            Self::Disconnected(reason) => {
                return write!(formatter, "it closed the connection: {reason}");
            }
        };
        formatter.write_str(words)
    }
}
