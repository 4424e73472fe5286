//! MQTT 5: messages to and from a broker that may be away.
//!
//! Guarantees:
//!
//! - A broker that is away, hung, full or hostile is an ordinary state: it is tried again, and the device
//!   goes on.
//! - A QoS 1 or 2 message that was taken over is kept, in order, until the broker has acknowledged it: over
//!   any number of connections, and with a store over any number of power cuts. A publish returns when the
//!   broker has acknowledged the message or when it is on flash; see [`Mqtt::publish`].
//! - A QoS 1 or 2 message that arrives is acknowledged after the application has handled it, so that
//!   a power cut in between makes the broker send it again. Within a boot, one that comes again because an outage
//!   has swallowed its acknowledgement is not handed out again. Nothing that has arrived is discarded: a
//!   full inbox pauses reading.
//! - `<base>/status` is `online` while the device is, and `offline` when it is not, both retained.
//! - All memory is the caller's and bounded: [`MqttMemory`].
//!
//! One [`Mqtt`] is shared by everybody: the application publishes, the dispatcher
//! [receives](Mqtt::receive), and one [`run`](Mqtt::run) works while the link is up. The session is pure
//! (packets and `now` in, packets and a deadline out); the runner pumps it.

mod codec;
mod inbox;
mod keep;
mod mark;
mod memory;
mod outbox;
mod reason;
mod received;
mod ring;
mod runner;
mod session;
mod shared;
pub mod topic;
mod transmit;
mod types;

#[cfg(test)]
mod tests;

use core::cell::{RefCell, RefMut};
use core::convert::Infallible;
use core::fmt;
use core::future::poll_fn;
use core::task::Poll;

use edge_nal::{Dns, TcpConnect};
use embassy_futures::select::{Either, select};

pub use memory::{MqttMemory, packet_for};
pub use received::Received;
pub use types::{Delivery, PublishError, QoS, Settings, State, Subscriptions};

use crate::board::System;
use crate::clock::Clock;
use crate::log::{Level, Log};
use crate::storage::Store;
use keep::{Keep, Progress};
use shared::Shared;
use transmit::Put;

/// One device's connection to its broker, shared by everybody.
///
/// At most four tasks should wait on it at once (any number of futures of one task count as one): more
/// of them work, but keep waking each other.
pub struct Mqtt<'m> {
    shared: RefCell<Shared<'m>>,
    keep: Option<Keep<'m>>,
}

impl<'m> Mqtt<'m> {
    /// Works in `memory`; offline until [`run`](Self::run) is called. Messages are kept in memory alone, as if
    /// all were published [in memory](Delivery::in_memory).
    #[must_use]
    pub fn new<
        const PACKET: usize,
        const INBOX: usize,
        const OUTBOX: usize,
        const TRANSMIT: usize,
    >(
        memory: &'m mut MqttMemory<PACKET, INBOX, OUTBOX, TRANSMIT>,
    ) -> Self {
        Self {
            shared: RefCell::new(Shared::new(memory, Progress::new(0, 0, false))),
            keep: None,
        }
    }

    /// Works in `memory`, and keeps messages in `store` when they have to wait, with their time of origin
    /// by `clock`. `entropy` is for their names: no two boots may have the same.
    #[must_use]
    pub fn with_store<
        const PACKET: usize,
        const INBOX: usize,
        const OUTBOX: usize,
        const TRANSMIT: usize,
    >(
        memory: &'m mut MqttMemory<PACKET, INBOX, OUTBOX, TRANSMIT>,
        store: &'m Store<'m>,
        clock: &'m Clock,
        entropy: [u8; 8],
    ) -> Self {
        let [b0, b1, b2, b3, n0, n1, n2, n3] = entropy;
        let boot = u32::from_le_bytes([b0, b1, b2, b3]);
        let number = u32::from_le_bytes([n0, n1, n2, n3]);
        Self {
            shared: RefCell::new(Shared::new(memory, Progress::new(boot, number, true))),
            keep: Some(Keep { store, clock }),
        }
    }

    /// Keeps the device connected, for as long as it is polled. Call it while the link is up and drop
    /// it when the link goes; a fresh call tries at once. Without a broker to connect to it idles.
    ///
    /// `system` gives the numbers that move the retries apart. What happens is logged once: an outage
    /// with its first failure and then at most once a minute, and the recovery.
    ///
    /// # Cancellation safety
    ///
    /// Dropping it ends the connection without a word, so that the broker publishes the last will. The
    /// session, the inbox and the outbox stay; the next run goes on with them. Only one run at a time: a
    /// second one waits until the first is dropped.
    pub async fn run<N: TcpConnect + Dns>(
        &self,
        network: &N,
        settings: &Settings<'_>,
        log: &Log<'_>,
        system: &dyn System,
    ) -> Infallible {
        let report = |level: Level, line: fmt::Arguments<'_>| log.write(level, "mqtt", line);
        self.run_telling(network, settings, &report, system).await
    }

    /// [`run`](Self::run) that tells what happens to `report` instead of a log.
    ///
    /// `report` must not call back into this value.
    pub async fn run_telling<N: TcpConnect + Dns>(
        &self,
        network: &N,
        settings: &Settings<'_>,
        report: &dyn Fn(Level, fmt::Arguments<'_>),
        system: &dyn System,
    ) -> Infallible {
        let run = runner::run(self, network, settings, report, system);
        match select(run, self.drain(report)).await {
            Either::First(never) | Either::Second(never) => never,
        }
    }

    /// Where the connection stands.
    #[must_use]
    pub fn state(&self) -> State {
        self.shared().state
    }

    /// Waits until the state is another than `state`, and says which. Cancellation safe.
    pub fn changed(&self, state: State) -> impl Future<Output = State> {
        self.until(move |shared| Some(shared.state).filter(|now| *now != state))
    }

    /// Waits until the device is online. Cancellation safe.
    pub fn online(&self) -> impl Future<Output = ()> {
        self.until(|shared| (shared.state == State::Online).then_some(()))
    }

    /// Waits until the device is online with another connection than `last`, and says which: they are
    /// numbered from 1, and 0 stands for none. Cancellation safe.
    pub fn connection_after(&self, last: u32) -> impl Future<Output = u32> {
        self.until(move |shared| {
            let is_another = shared.state == State::Online && shared.connections != last;
            is_another.then_some(shared.connections)
        })
    }

    /// Publishes a message.
    ///
    /// With QoS 0 it returns when the message is on its way to the socket; it waits while earlier
    /// ones fill the buffer, and small ones leave together once the application yields.
    ///
    /// With QoS 1 or 2 it returns when the message is safe: acknowledged by the broker, or on flash. While
    /// the device is offline, or others wait on flash, it is written there at once; while the device is
    /// online it is sent first, and written only if the broker has not acknowledged it within a second or
    /// the connection is lost. [In memory](Delivery::in_memory), or without a store, it returns when there is
    /// room in memory. [`flush`](Self::flush) waits for the acknowledgement. A broker that offers less than the
    /// QoS, or keeps no retained messages, gets the message as it takes it.
    ///
    /// Each QoS 1 and 2 message has a user property `id` (16 hexadecimal digits) that stays the same however
    /// often it is sent; one that has waited also has `time`, when it was published in seconds from 1970,
    /// or `uptime`, seconds from its boot, where nobody can know more.
    ///
    /// # Errors
    ///
    /// When the message was not taken. After [`PublishError::Full`] or [`PublishError::Flash`] one that was on
    /// its way when the connection was lost may arrive all the same.
    ///
    /// # Cancellation safety
    ///
    /// A dropped future has published nothing with QoS 0. With QoS 1 and 2 the message is sent or not.
    pub async fn publish(
        &self,
        topic: &str,
        payload: &[u8],
        delivery: Delivery,
    ) -> Result<(), PublishError> {
        if delivery.qos == QoS::AtMostOnce {
            return self.publish_once(topic, payload, delivery).await;
        }
        self.publish_kept(topic, payload, delivery).await
    }

    /// Publishes with QoS 0: by itself, so that whoever needs no more has a small future.
    // Not `async fn`: that keeps a place for its arguments, and another for what looks at them.
    pub(crate) fn publish_once(
        &self,
        topic: &str,
        payload: &[u8],
        delivery: Delivery,
    ) -> impl Future<Output = Result<(), PublishError>> {
        self.until(move |shared| {
            if let Err(error) = topic::check(topic) {
                return Some(Err(PublishError::Topic(error)));
            }
            let Shared {
                session, transmit, ..
            } = shared;
            match session.publish(topic, payload, delivery, transmit) {
                None => Some(Err(PublishError::Offline)),
                Some(Put::Never) => Some(Err(PublishError::TooLong)),
                Some(Put::Later) => None,
                Some(Put::Done) => {
                    shared.wake_runner();
                    Some(Ok(()))
                }
            }
        })
    }

    /// Waits until the outbox may have room for a message whose topic and payload together have `length`
    /// bytes: in memory without a store; with one, on flash, after that has refused one. Cancellation safe.
    ///
    /// # Errors
    ///
    /// [`PublishError::TooLong`] when it never will.
    pub async fn room(&self, length: usize) -> Result<(), PublishError> {
        self.until(|shared| match shared.outbox.fits(length) {
            None => Some(Err(PublishError::TooLong)),
            _ if self.keep.is_some() => (!shared.progress.full).then_some(Ok(())),
            Some(true) => Some(Ok(())),
            Some(false) => None,
        })
        .await
    }

    /// Waits until the broker has acknowledged every QoS 1 and 2 message that was published before, and
    /// every QoS 0 message was given to the socket. While the broker is away this takes until it is
    /// back. Cancellation safe.
    ///
    /// Do not wait for it while handling a message: with a full inbox no acknowledgement is read.
    pub async fn flush(&self) {
        let mut end = None;
        self.until(|shared| {
            let sent = shared.state != State::Online || shared.transmit.is_empty();
            if !sent || !shared.progress.drained || shared.progress.moving {
                return None;
            }
            let end = *end.get_or_insert(shared.outbox.end());
            (shared.outbox.first() >= end).then_some(())
        })
        .await;
    }

    /// Waits for the next message and hands it out. Another one is handed out when this one was
    /// handled: let the guard go, or call [`Received::done`].
    ///
    /// # Cancellation safety
    ///
    /// A dropped future has taken no message.
    pub async fn receive(&self) -> Received<'_, 'm> {
        self.until(|shared| shared.deliver())
            .await
            .with(&self.shared)
    }

    /// What all work on: borrowed in one place, which is called from dozens. Not to be held over an await.
    #[inline(never)]
    fn shared(&self) -> RefMut<'_, Shared<'m>> {
        self.shared.borrow_mut()
    }

    /// Waits until `ready` finds what it looks for.
    fn until<T>(
        &self,
        mut ready: impl FnMut(&mut Shared<'m>) -> Option<T>,
    ) -> impl Future<Output = T> {
        poll_fn(move |context| {
            let shared = &mut *self.shared();
            match ready(shared) {
                Some(found) => Poll::Ready(found),
                None => {
                    shared.application.register(context.waker());
                    Poll::Pending
                }
            }
        })
    }
}
