//! What waits on flash, brought to the broker.
//!
//! Guarantees: it is taken into memory in its order, while the device is online and there is room; what is
//! acknowledged is settled on flash; what can never be sent is dropped and told.

use core::convert::Infallible;

use embassy_time::{Duration, Timer};

use crate::log::Level;
use crate::mqtt::Mqtt;
use crate::mqtt::mark::{MARK, Mark, Moment};
use crate::mqtt::outbox::Sequence;
use crate::mqtt::session::Report;
use crate::mqtt::shared::Shared;
use crate::mqtt::types::State;
use crate::storage::{Place, ReadError, Store, Waiting};

/// How long a failed flash is left alone.
const PAUSE: Duration = Duration::from_secs(5);

/// What is to be done between memory and flash.
enum Chore {
    Settle(Sequence, Place),
    Load,
    Tell {
        expired: u32,
        refused: u32,
        unfit: u32,
    },
}

impl Shared<'_> {
    /// Takes a message from flash into memory, if there is room; or says that it is to be settled.
    fn take_over(&mut self, waiting: &Waiting<'_>, moment: &Moment) -> Option<Place> {
        let place = waiting.place;
        let known = Mark::from_bytes(waiting.body).zip(waiting.body.get(MARK..));
        let fits = self.outbox.fits(waiting.name.len() + waiting.body.len());
        let useless = match (known, fits) {
            // From a device with more memory, or not to be understood.
            (None, _) | (_, None) => {
                self.progress.unfit += 1;
                Some(place)
            }
            (Some((mark, _)), _) if mark.has_expired(moment) => {
                self.outbox.note_expired();
                Some(place)
            }
            (Some((mark, payload)), Some(fits)) => {
                if let Some(twin) = self.outbox.twin(&mark) {
                    // Its publish was dropped before it heard of the place.
                    let _ = self.outbox.saved(twin, place);
                } else if !fits {
                    self.progress.needed = waiting.name.len() + waiting.body.len();
                    return None;
                } else {
                    // There is room: it was asked for.
                    let _ = self.outbox.push(waiting.name, payload, &mark, Some(place));
                    self.wake_runner();
                }
                None
            }
        };
        self.progress.loaded = place.sequence;
        self.progress.needed = 0;
        useless
    }

    fn chore(&mut self) -> Option<Chore> {
        if let Some((sequence, place)) = self.outbox.to_settle() {
            return Some(Chore::Settle(sequence, place));
        }
        let progress = &mut self.progress;
        if !progress.drained {
            let room = self.outbox.fits(progress.needed) == Some(true);
            let load = self.state == State::Online && !progress.moving && room;
            return load.then_some(Chore::Load);
        }
        let refused = match progress.full {
            true => 0,
            false => core::mem::take(&mut progress.refused),
        };
        let unfit = core::mem::take(&mut progress.unfit);
        let expired = self.outbox.take_expired();
        (refused > 0 || expired > 0 || unfit > 0).then_some(Chore::Tell {
            expired,
            refused,
            unfit,
        })
    }
}

impl Mqtt<'_> {
    /// Brings what waits on flash into memory while the device is online, and settles it there when it is
    /// acknowledged.
    pub(in crate::mqtt) async fn drain(&self, report: Report<'_>) -> Infallible {
        loop {
            let chore = self.until(Shared::chore).await;
            let done = match (chore, self.keep) {
                (Chore::Settle(sequence, place), Some(keep)) => {
                    let settled = keep.store.settle(place).await.is_ok();
                    if settled {
                        let shared = &mut *self.shared();
                        shared.outbox.settled(sequence);
                        shared.progress.full = false;
                        shared.application.wake();
                    }
                    settled
                }
                (Chore::Load, Some(keep)) => self.load(keep.store).await.is_ok(),
                (
                    Chore::Tell {
                        expired,
                        refused,
                        unfit,
                    },
                    _,
                ) => {
                    tell(report, expired, refused, unfit);
                    true
                }
                (Chore::Settle(..) | Chore::Load, None) => false,
            };
            if !done {
                Timer::after(PAUSE).await;
            }
        }
    }

    async fn load(&self, store: &Store<'_>) -> Result<(), ReadError> {
        let _turn = self.turn().await;
        let after = self.shared().progress.loaded;
        let mut useless = None;
        let mut take = |waiting: Waiting<'_>| {
            let moment = self.moment();
            useless = self.shared().take_over(&waiting, &moment);
        };
        if !store.next_waiting(after, &mut take).await? {
            self.shared().progress.drained = true;
        }
        if let Some(place) = useless {
            // One that stays is met again at the next boot.
            let _ = store.settle(place).await;
            self.shared().progress.full = false;
        }
        Ok(())
    }
}

fn tell(report: Report<'_>, expired: u32, refused: u32, unfit: u32) {
    if expired > 0 {
        report(
            Level::Info,
            format_args!("{expired} messages had expired before they could be sent: dropped"),
        );
    }
    if unfit > 0 {
        report(
            Level::Error,
            format_args!("{unfit} kept messages do not fit MqttMemory any more: dropped"),
        );
    }
    if refused > 0 {
        report(
            Level::Warn,
            format_args!(
                "the outbox was full and has refused {refused} messages; it has room again"
            ),
        );
    }
}
