//! QoS 1 messages that were handled, as long as the broker may send them again because an outage has swallowed
//! their PUBACK.
//!
//! Guarantees: such a message is known when it comes again, under the same identifier, with the same topic and
//! payload and marked as a repetition; anything else is another message. One whose PUBACK the broker is known to have
//! received is forgotten, because its identifier may then stand for another message: that is so once the broker
//! answers a ping that was sent later, or uses the identifier anew.
//!
//! A broker that keeps to the receive maximum has no more of them unacknowledged than are kept here, and these
//! are the last ones: it gets the answers in the order in which they were given. Where it does not keep to it, the
//! oldest leaves, and comes to the application a second time if it comes again.

use embassy_time::Instant;
use heapless::Vec;

use super::IN_FLIGHT;
use crate::fingerprint::Fingerprint;

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct Message {
    identifier: u16,
    content: [u8; 4],
}

/// The messages, in the order in which they were answered.
#[derive(Debug)]
pub(super) struct Acknowledged {
    messages: Vec<Message, IN_FLIGHT, u8>,
    /// How many of them, from the first on, the broker has if it answers the ping.
    asked: u8,
    /// How many pings were not answered on this connection.
    pings: u8,
    /// Since when there has been one for which no ping has asked; `MAX`: there is none.
    since: Instant,
}

impl Acknowledged {
    pub(super) const fn new() -> Self {
        Self {
            messages: Vec::new(),
            asked: 0,
            pings: 0,
            since: Instant::MAX,
        }
    }

    /// The broker has begun a new session.
    pub(super) fn clear(&mut self) {
        *self = Self::new();
    }

    /// The connection is gone, and with it the answers to pings.
    pub(super) fn lost(&mut self) {
        self.asked = 0;
        self.pings = 0;
    }

    /// The session goes on. What the broker does not send again before it answers a ping, it knows to be acknowledged.
    pub(super) fn resumed(&mut self, now: Instant) {
        if !self.messages.is_empty() {
            self.since = now;
        }
    }

    /// A message was handled, or has come again: its PUBACK goes out next.
    pub(super) fn add(&mut self, identifier: u16, content: [u8; 4]) {
        self.forget(identifier);
        if self.messages.is_full() {
            self.remove(0);
        }
        // There is room now.
        let _ = self.messages.push(Message {
            identifier,
            content,
        });
    }

    /// A PUBACK was written.
    pub(super) fn answered(&mut self, now: Instant) {
        if !self.messages.is_empty() {
            self.since = self.since.min(now);
        }
    }

    /// Whether a message is known.
    pub(super) fn contains(&self, identifier: u16, content: [u8; 4]) -> bool {
        self.messages.contains(&Message {
            identifier,
            content,
        })
    }

    /// The identifier stands for another message.
    pub(super) fn forget(&mut self, identifier: u16) {
        let known = |message: &Message| message.identifier == identifier;
        if let Some(index) = self.messages.iter().position(known) {
            self.remove(index);
        }
    }

    fn remove(&mut self, index: usize) {
        self.messages.remove(index);
        if index < usize::from(self.asked) {
            self.asked -= 1;
        }
        if self.messages.is_empty() {
            self.since = Instant::MAX;
        }
    }

    /// From when on the broker is to be asked.
    pub(super) const fn since(&self) -> Instant {
        self.since
    }

    /// A ping was written, behind every answer that is owed.
    pub(super) fn pinged(&mut self, now: Instant) {
        self.since = Instant::MAX;
        if self.pings == 0 {
            self.asked = self.messages.len() as u8;
        } else {
            // The answer to an earlier ping would be taken for that to this one: the next one asks.
            self.resumed(now);
        }
        self.pings = self.pings.saturating_add(1);
    }

    /// The broker has answered a ping.
    pub(super) fn ponged(&mut self) {
        self.messages.drain(..usize::from(self.asked));
        self.asked = 0;
        if self.messages.is_empty() {
            self.since = Instant::MAX;
        }
        // So many that they are not counted any more: nothing is asked for on this connection.
        if self.pings != u8::MAX {
            self.pings = self.pings.saturating_sub(1);
        }
    }
}

/// What tells topic and payload, one behind the other, from others.
pub(super) fn content(parts: &[&[u8]]) -> [u8; 4] {
    let all = Fingerprint::EMPTY;
    let [a, b, c, d, e, f, g, h] = parts.iter().fold(all, |all, part| all.and(part)).to_bytes();
    [a ^ e, b ^ f, c ^ g, d ^ h]
}
