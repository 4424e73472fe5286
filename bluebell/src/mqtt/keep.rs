//! Where a QoS 1 or 2 message is until the broker has acknowledged it.
//!
//! Guarantees, whatever outages and power cuts come:
//!
//! - A publish returns without an error when the broker has acknowledged the message, or when it is on
//!   flash; so what was taken over is delivered at least once, in order.
//! - While the device is online and nothing waits on flash, a message goes to the broker straight from
//!   memory. Only when that has not acknowledged it after [`SAFE_WITHIN`], or the connection is lost, is it
//!   written to flash; those before it first. In all other cases it is written to flash at once.
//! - What waits on flash is sent in order once the device is online, through the same memory, and settled
//!   there when the broker has acknowledged it.
//! - A full outbox refuses the newest. Before that, messages leave that have expired.
//!
//! A publish whose future is dropped may be sent or not, and in rare cases twice, under one `id`.

mod drain;

use embassy_time::{Duration, Instant, with_timeout};

use super::mark::{Mark, Moment};
use super::outbox::Sequence;
use super::shared::Shared;
use super::types::{Delivery, PublishError, State};
use super::{Mqtt, topic};
use crate::clock::Clock;
use crate::storage::{Filled, Place, Store, Waiting, WriteError};

/// How long the broker may take to acknowledge a message until it is written to flash.
pub(super) const SAFE_WITHIN: Duration = Duration::from_secs(1);

/// Where messages are kept over a power cut, and what tells when they were made.
#[derive(Clone, Copy)]
pub(super) struct Keep<'m> {
    pub(super) store: &'m Store<'m>,
    pub(super) clock: &'m Clock,
}

/// What memory and flash have to do with each other.
pub(super) struct Progress {
    /// The number of this boot, and of the next message in it.
    boot: u32,
    number: u32,
    /// Up to which sequence number the messages on flash are in memory, or were.
    loaded: u32,
    /// Whether no more than that waits on flash.
    pub(super) drained: bool,
    /// Somebody has the turn to move messages between memory and flash.
    pub(super) moving: bool,
    /// The bytes of the next message on flash that found no room in memory.
    needed: usize,
    /// The outbox on flash has refused a message and nothing has left since.
    pub(super) full: bool,
    refused: u32,
    /// When a message on flash may have expired next, and by which time of day that was reckoned; none: nobody
    /// has looked since the last one was written.
    fresh: Option<(Instant, Option<i64>)>,
    /// Messages on flash that this device can never send, since somebody asked.
    unfit: u32,
}

/// Writes a message into a buffer of the store's, or says that there is none any more.
type Fill<'a> = dyn FnMut(&mut [u8]) -> Option<Filled> + 'a;

/// How a publish goes on.
enum Begun<'m> {
    /// It is done: the message stays in memory.
    Kept,
    /// The message is on its way to the broker.
    Sent(&'m Store<'m>, Sequence),
    /// The message is to be written to flash.
    Waits(&'m Store<'m>, Mark),
}

impl Progress {
    pub(super) const fn new(boot: u32, number: u32, on_flash: bool) -> Self {
        Self {
            boot,
            number,
            loaded: 0,
            drained: !on_flash,
            moving: false,
            needed: 0,
            full: false,
            refused: 0,
            fresh: None,
            unfit: 0,
        }
    }
}

/// Puts a message together as it lies on flash: the topic is its name, then come mark and payload. Where it
/// does not fit, the length tells.
pub(super) fn write(
    into: &mut [u8],
    topic: [&[u8]; 2],
    payload: [&[u8]; 2],
    mark: &Mark,
) -> Filled {
    let mark_bytes = mark.having_waited().to_bytes();
    let mut length = 0;
    for part in topic.into_iter().chain([&mark_bytes[..]]).chain(payload) {
        if let Some(place) = into.get_mut(length..length + part.len()) {
            place.copy_from_slice(part);
        }
        length += part.len();
    }
    let name = topic.iter().map(|piece| piece.len()).sum::<usize>();
    Filled {
        // A topic is shorter: it was checked.
        name: u16::try_from(name).unwrap_or(u16::MAX),
        length,
        latest: mark.delivery.latest,
    }
}

impl Shared<'_> {
    fn mark(&mut self, delivery: Delivery, moment: &Moment) -> Mark {
        let number = self.progress.number;
        self.progress.number = number.wrapping_add(1);
        Mark::new(delivery, number, moment)
    }

    /// Whether a message would be sent, and heard of, now.
    fn is_open(&self) -> bool {
        self.state == State::Online && !self.session.is_paused()
    }

    /// Keeps a message in memory.
    fn keep_in_memory(&mut self, topic: &str, payload: &[u8], mark: &Mark) -> Option<Sequence> {
        let topic = topic.as_bytes();
        let sequence = self.outbox.push(topic, payload, mark, None)?;
        if mark.delivery.latest {
            let unsent = self.session.unsent();
            self.outbox.supersede(topic, unsent, sequence);
        }
        self.wake_runner();
        Some(sequence)
    }

    /// What became of a message in memory: true when it is acknowledged, false when that cannot be
    /// awaited.
    fn fate(&self, sequence: Sequence) -> Option<bool> {
        if self.outbox.is_popped(sequence) {
            return Some(true);
        }
        (!self.is_open()).then_some(false)
    }
}

/// The turn to move messages between memory and flash.
struct Turn<'a, 'm>(&'a Mqtt<'m>);

impl Drop for Turn<'_, '_> {
    fn drop(&mut self) {
        let mut shared = self.0.shared();
        shared.progress.moving = false;
        shared.application.wake();
    }
}

impl<'m> Mqtt<'m> {
    pub(super) fn moment(&self) -> Moment {
        let unix = self.keep.and_then(|keep| keep.clock.at_boot());
        Moment {
            now: Instant::now(),
            unix_at_zero: unix.map(|unix| unix.micros()),
            boot: self.shared().progress.boot,
        }
    }

    /// Publishes with QoS 1 or 2: by itself, so that whoever needs just that has a smaller future.
    pub(crate) async fn publish_kept(
        &self,
        topic: &str,
        payload: &[u8],
        delivery: Delivery,
    ) -> Result<(), PublishError> {
        let (store, sequence) = match self.begin(topic, payload, delivery)? {
            Begun::Kept => return Ok(()),
            Begun::Sent(store, sequence) => (store, sequence),
            Begun::Waits(store, mark) => {
                let topic = [topic.as_bytes(), &[]];
                let mut fill = |into: &mut [u8]| Some(write(into, topic, [payload, &[]], &mark));
                let saved = self.save(store, Sequence::MAX, Some(&mut fill)).await;
                return saved.map_err(|error| self.refused(error));
            }
        };
        let fate = self.until(|shared| shared.fate(sequence));
        if let Ok(true) = with_timeout(SAFE_WITHIN, fate).await {
            return Ok(());
        }
        let Err(error) = self.save(store, sequence, None).await else {
            return Ok(());
        };
        // Only the broker can help.
        match self.until(|shared| shared.fate(sequence)).await {
            true => Ok(()),
            false => Err(self.refused(error)),
        }
    }

    /// Takes a message into memory where that is its way.
    fn begin(
        &self,
        topic: &str,
        payload: &[u8],
        delivery: Delivery,
    ) -> Result<Begun<'m>, PublishError> {
        topic::check(topic).map_err(PublishError::Topic)?;
        let moment = self.moment();
        let shared = &mut *self.shared();
        if !shared.takes(topic.len().saturating_add(payload.len())) {
            return Err(PublishError::TooLong);
        }
        let mut mark = match self.keep {
            Some(_) => shared.mark(delivery, &moment),
            None => Mark::of(delivery),
        };
        mark.waited = self.keep.is_some() && shared.state != State::Online;
        // While the broker is there, nobody is spared a message by its passing through the flash.
        mark.delivery.latest &=
            self.keep.is_none() || delivery.in_memory || shared.state != State::Online;
        let Some(Keep { store, .. }) = self.keep.filter(|_| !delivery.in_memory) else {
            let kept = shared.keep_in_memory(topic, payload, &mark);
            return kept.map(|_| Begun::Kept).ok_or(PublishError::Full);
        };
        let open = shared.is_open() && shared.progress.drained && !shared.progress.moving;
        let sent = match open {
            true => shared.keep_in_memory(topic, payload, &mark),
            false => None,
        };
        Ok(match sent {
            Some(sequence) => Begun::Sent(store, sequence),
            None => Begun::Waits(store, mark),
        })
    }

    fn refused(&self, error: WriteError) -> PublishError {
        match error {
            WriteError::TooLong { .. } => PublishError::TooLong,
            WriteError::Flash => PublishError::Flash,
            WriteError::Full => {
                let progress = &mut self.shared().progress;
                progress.full = true;
                progress.refused = progress.refused.saturating_add(1);
                PublishError::Full
            }
        }
    }

    /// How many messages the full outbox has refused, until it is told in the log that it has room again.
    pub(crate) fn refusals(&self) -> u32 {
        self.shared().progress.refused
    }

    async fn turn(&self) -> Turn<'_, 'm> {
        self.until(|shared| {
            let free = !shared.progress.moving;
            shared.progress.moving = true;
            free.then_some(())
        })
        .await;
        Turn(self)
    }

    /// Writes the messages in memory up to `last` to flash, and then a new one.
    async fn save(
        &self,
        store: &Store<'_>,
        last: Sequence,
        new: Option<&mut Fill<'_>>,
    ) -> Result<(), WriteError> {
        let _turn = self.turn().await;
        // Whatever becomes of this: the flash is to be looked at.
        self.shared().progress.drained = false;
        loop {
            let unsaved = self.shared().outbox.unsaved(last);
            let Some(sequence) = unsaved else { break };
            let mut fill = |into: &mut [u8]| {
                let shared = self.shared();
                let stored = shared.outbox.peek(sequence);
                let stored = stored.filter(|stored| stored.sequence == sequence)?;
                Some(write(into, stored.topic, stored.payload, &stored.mark))
            };
            if let Some(place) = self.push(store, &mut fill).await?
                && !self.is_saved(sequence, place)
            {
                // It was acknowledged meanwhile.
                store.settle(place).await?;
            }
        }
        if let Some(fill) = new {
            self.push(store, fill).await?;
        }
        Ok(())
    }

    /// Notes where a message of the memory lies on flash; false when it is not in memory any more.
    fn is_saved(&self, sequence: Sequence, place: Place) -> bool {
        let shared = &mut *self.shared();
        shared.progress.loaded = place.sequence;
        shared.outbox.saved(sequence, place)
    }

    /// Has a message wait on flash; where there is no room, without those that have expired.
    async fn push(
        &self,
        store: &Store<'_>,
        fill: &mut Fill<'_>,
    ) -> Result<Option<Place>, WriteError> {
        let pushed = match store.push(fill).await {
            Err(WriteError::Full) => match self.sweep(store).await {
                true => store.push(fill).await,
                false => Err(WriteError::Full),
            },
            other => other,
        };
        if let Ok(Some(_)) = pushed {
            self.shared().progress.fresh = None;
        }
        pushed
    }

    /// Settles what has expired on flash; says whether there was any.
    async fn sweep(&self, store: &Store<'_>) -> bool {
        let moment = self.moment();
        let fresh = self.shared().progress.fresh;
        if fresh.is_some_and(|(until, by)| moment.now < until && by == moment.unix_at_zero) {
            return false;
        }
        let (mut after, mut any, mut until) = (0, false, Instant::MAX);
        loop {
            let mut found = None;
            let mut take = |waiting: Waiting<'_>| {
                let mark = Mark::from_bytes(waiting.body);
                let left = mark.and_then(|mark| mark.left(&moment));
                found = Some((waiting.place, left));
            };
            if store.next_waiting(after, &mut take).await.is_err() {
                return any;
            }
            let Some((place, left)) = found else {
                self.shared().progress.fresh = Some((until, moment.unix_at_zero));
                return any;
            };
            match left {
                Some(0) if store.settle(place).await.is_ok() => {
                    any = true;
                    self.shared().outbox.note_expired();
                }
                // What is left was rounded up to a second.
                Some(left) => {
                    let left = Duration::from_secs(u64::from(left.saturating_sub(1)));
                    until = until.min(moment.now + left);
                }
                None => {}
            }
            after = place.sequence;
        }
    }
}
