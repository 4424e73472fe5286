//! What the broker passes on and remembers.

use embassy_time::{Duration, Instant};
use mqtt_protocol_core::mqtt::packet::{MessageExpiryInterval, Properties, Property, Qos};

/// A message as the broker saw it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Message {
    /// When it came in.
    pub at: Instant,
    /// The identifier of the client that published it, or whose will it is; none for the test's own.
    pub client: Option<String>,
    /// Its topic.
    pub topic: String,
    /// Its payload, of any bytes.
    pub payload: Vec<u8>,
    /// The quality of service that it came with.
    pub qos: Qos,
    /// Whether it was to be retained.
    pub retain: bool,
    /// Whether it was marked as sent before.
    pub duplicate: bool,
    /// Whether it is the will of a client that was lost.
    pub will: bool,
    pub(super) properties: Properties,
}

impl Message {
    /// The payload as text; what is not UTF-8 is replaced.
    pub fn text(&self) -> String {
        String::from_utf8_lossy(&self.payload).into_owned()
    }

    /// The value of a user property.
    pub fn user_property(&self, key: &str) -> Option<&str> {
        self.properties.iter().find_map(|property| match property {
            Property::UserProperty(pair) if pair.key() == key => Some(pair.val()),
            _ => None,
        })
    }

    /// When it stops being worth delivering, if ever.
    pub(super) fn expires(&self) -> Option<Instant> {
        self.properties.iter().find_map(|property| match property {
            Property::MessageExpiryInterval(interval) => {
                Some(self.at + Duration::from_secs(u64::from(interval.val())))
            }
            _ => None,
        })
    }

    /// What goes to a subscriber: all that the publisher said, with the time that is left to live.
    pub(super) fn properties_at(&self, now: Instant) -> Properties {
        let left = self
            .expires()
            .map(|at| at.saturating_duration_since(now).as_secs())
            .and_then(|seconds| u32::try_from(seconds).ok())
            .and_then(|seconds| MessageExpiryInterval::new(seconds).ok());
        let kept = self.properties.iter().filter(|property| {
            !matches!(
                property,
                Property::MessageExpiryInterval(_)
                    | Property::TopicAlias(_)
                    | Property::SubscriptionIdentifier(_)
                    | Property::WillDelayInterval(_)
            )
        });
        kept.cloned().chain(left.map(Property::from)).collect()
    }
}
