//! A message in the hands of the application.

use core::cell::RefCell;
use core::fmt;
use core::mem;

use super::inbox::Taken;
use super::shared::Shared;
use super::types::QoS;

/// A message that has arrived. It counts as handled when this value goes.
pub struct Received<'a, 'm> {
    shared: &'a RefCell<Shared<'m>>,
    message: Message<'m>,
}

/// A message in a buffer of its own.
pub(super) struct Message<'m> {
    pub(super) buffer: &'m mut [u8],
    pub(super) taken: Taken,
}

impl<'m> Message<'m> {
    pub(super) const fn with<'a>(self, shared: &'a RefCell<Shared<'m>>) -> Received<'a, 'm> {
        Received {
            shared,
            message: self,
        }
    }
}

impl Received<'_, '_> {
    /// The topic that the message was published on.
    #[must_use]
    pub fn topic(&self) -> &str {
        let bytes = self.message.buffer.get(..self.message.taken.topic);
        // It was checked when it arrived, and copied whole.
        core::str::from_utf8(bytes.unwrap_or_default()).unwrap_or_default()
    }

    /// The payload: any bytes.
    #[must_use]
    pub fn payload(&self) -> &[u8] {
        let Taken { topic, payload, .. } = self.message.taken;
        self.message
            .buffer
            .get(topic..topic + payload)
            .unwrap_or_default()
    }

    /// The QoS with which it came.
    #[must_use]
    pub const fn qos(&self) -> QoS {
        self.message.taken.label.qos
    }

    /// Whether the broker had kept it from before the subscription.
    #[must_use]
    pub const fn retain(&self) -> bool {
        self.message.taken.label.retain
    }

    /// The message was handled: the broker may forget it.
    pub fn done(self) {}
}

impl Drop for Received<'_, '_> {
    fn drop(&mut self) {
        let buffer = mem::take(&mut self.message.buffer);
        self.shared
            .borrow_mut()
            .handled(buffer, &self.message.taken);
    }
}

impl fmt::Debug for Received<'_, '_> {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter
            .debug_struct("Received")
            .field("topic", &self.topic())
            .field("payload", &self.payload())
            .field("qos", &self.qos())
            .field("retain", &self.retain())
            .finish()
    }
}
