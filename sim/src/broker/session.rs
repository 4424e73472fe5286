//! What the broker keeps for a client, also while it is away.

use std::collections::{BTreeMap, VecDeque};

use embassy_time::{Duration, Instant};
use mqtt_protocol_core::mqtt::common::HashSet;
use mqtt_protocol_core::mqtt::packet::{Qos, RetainHandling, StorePacket, SubOpts};

use super::engine::LinkId;
use super::message::Message;
use super::topics::matches;

/// How many messages wait for one client; further ones are dropped, as a broker with a limit does.
const QUEUE_LENGTH: usize = 1000;

/// One subscription.
#[derive(Debug, Clone)]
pub(super) struct Subscription {
    pub(super) options: SubOpts,
    pub(super) identifier: Option<u32>,
}

/// A message on its way to one client.
#[derive(Debug, Clone)]
pub(super) struct Outgoing {
    pub(super) message: Message,
    pub(super) qos: Qos,
    pub(super) retain: bool,
    pub(super) identifiers: Vec<u32>,
}

/// The state of one client, by its identifier.
#[derive(Default)]
pub(super) struct Session {
    pub(super) link: Option<LinkId>,
    pub(super) subscriptions: BTreeMap<String, Subscription>,
    pub(super) queue: VecDeque<Outgoing>,
    /// Sent and not acknowledged, kept from the last connection.
    pub(super) unacknowledged: Vec<StorePacket>,
    /// Received with QoS 2 and not released, kept from the last connection.
    pub(super) unreleased: HashSet<u16>,
    /// For how long it is kept without a connection: 0 not at all, `u32::MAX` for ever.
    pub(super) expiry: u32,
    pub(super) ends: Option<Instant>,
    /// The will that is published unless the client comes back in time.
    pub(super) will: Option<(Instant, Message)>,
}

impl Session {
    /// The connection is lost; the session ends once its time is up.
    pub(super) fn leave(&mut self, now: Instant) {
        self.link = None;
        self.ends =
            (self.expiry != u32::MAX).then(|| now + Duration::from_secs(u64::from(self.expiry)));
    }

    /// Adds or replaces a subscription. Returns whether retained messages are now due.
    pub(super) fn subscribe(&mut self, filter: &str, subscription: Subscription) -> bool {
        let handling = subscription.options.rh();
        let known = self
            .subscriptions
            .insert(filter.to_owned(), subscription)
            .is_some();
        match handling {
            RetainHandling::SendRetained => true,
            RetainHandling::SendRetainedIfNotExists => !known,
            RetainHandling::DoNotSendRetained => false,
        }
    }

    /// Queues a message if one of the subscriptions asks for it: once, with the best of the granted
    /// qualities, however many match. Returns whether it was queued.
    pub(super) fn offer(&mut self, client_id: &str, message: &Message) -> bool {
        let own = message.client.as_deref() == Some(client_id);
        let asking: Vec<_> = self
            .subscriptions
            .iter()
            .filter(|(filter, _)| matches(filter, &message.topic))
            .map(|(_, subscription)| subscription)
            .filter(|subscription| !(own && subscription.options.nl()))
            .collect();
        let Some(granted) = asking.iter().map(|one| one.options.qos() as u8).max() else {
            return false;
        };
        let qos = smaller(message.qos, granted);
        let outgoing = Outgoing {
            message: message.clone(),
            qos,
            retain: message.retain && asking.iter().any(|one| one.options.rap()),
            identifiers: asking.iter().filter_map(|one| one.identifier).collect(),
        };
        self.queue(outgoing)
    }

    /// Queues a message, where there is room and a reason to.
    pub(super) fn queue(&mut self, outgoing: Outgoing) -> bool {
        let away = self.link.is_none();
        if (away && outgoing.qos == Qos::AtMostOnce) || self.queue.len() >= QUEUE_LENGTH {
            return false;
        }
        self.queue.push_back(outgoing);
        true
    }
}

/// The lesser of a message's quality and a granted one.
pub(super) fn smaller(qos: Qos, granted: u8) -> Qos {
    match (qos as u8).min(granted) {
        0 => Qos::AtMostOnce,
        1 => Qos::AtLeastOnce,
        _ => Qos::ExactlyOnce,
    }
}
