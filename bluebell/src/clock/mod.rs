//! The wall clock: what time it is, once somebody has said so.
//!
//! Guarantees: until it is set it answers nothing rather than something wrong; between two settings
//! it runs exactly as the monotonic clock does; whoever waits for a change hears of every one,
//! however many wait. Civil time follows a POSIX TZ string, held against an independent
//! implementation.

mod civil;
mod timezone;

use core::cell::{Cell, RefCell};
use core::future::{Future, poll_fn};
use core::task::Poll;

use embassy_sync::waitqueue::MultiWakerRegistration;
use embassy_time::Instant;

pub use civil::{LocalDateTime, LocalTime, NoSuchTime, TimeOfDay, UnixTime, Weekday, Weekdays};
pub use timezone::{Resolution, Timezone, TimezoneError};

/// How many tasks are woken without being asked again; any number may wait.
const WAITERS: usize = 8;

/// The device's wall clock and time zone, shared by reference.
pub struct Clock {
    timezone: Cell<Timezone>,
    /// The Unix time at the monotonic clock's zero.
    origin: Cell<Option<UnixTime>>,
    version: Cell<u32>,
    waiters: RefCell<MultiWakerRegistration<WAITERS>>,
}

impl Clock {
    /// A clock that nobody has set.
    pub const fn new(timezone: Timezone) -> Self {
        Self {
            timezone: Cell::new(timezone),
            origin: Cell::new(None),
            version: Cell::new(0),
            waiters: RefCell::new(MultiWakerRegistration::new()),
        }
    }

    /// Says that it is `time` at the instant `now`.
    pub fn set(&self, time: UnixTime, now: Instant) {
        self.origin.set(Some(time.plus_micros(-micros_of(now))));
        self.change();
    }

    /// Takes another time zone; the moment stays, what the clock shows changes.
    pub fn set_timezone(&self, timezone: Timezone) {
        self.timezone.set(timezone);
        self.change();
    }

    /// Whether somebody has set it since boot.
    pub fn is_set(&self) -> bool {
        self.origin.get().is_some()
    }

    /// What time it is; `None` until set.
    pub fn unix(&self, now: Instant) -> Option<UnixTime> {
        Some(self.origin.get()?.plus_micros(micros_of(now)))
    }

    /// What time it was when the monotonic clock began; `None` until set. Changes with each
    /// setting.
    pub fn at_boot(&self) -> Option<UnixTime> {
        self.origin.get()
    }

    /// What a clock on the wall shows; `None` until set.
    pub fn local(&self, now: Instant) -> Option<LocalTime> {
        Some(self.timezone.get().to_local(self.unix(now)?))
    }

    /// The time zone in force.
    pub fn timezone(&self) -> Timezone {
        self.timezone.get()
    }

    /// Waits for the first setting, of time or time zone, after this call (not after the first
    /// poll: nothing is missed between the two). Any number may wait.
    ///
    /// Cancellation safe: call it again.
    pub fn changed(&self) -> impl Future<Output = ()> + '_ {
        let seen = self.version();
        poll_fn(move |context| {
            if self.version() != seen {
                return Poll::Ready(());
            }
            self.waiters.borrow_mut().register(context.waker());
            Poll::Pending
        })
    }

    /// Differs whenever the clock or the zone has been set in between.
    pub fn version(&self) -> u32 {
        self.version.get()
    }

    fn change(&self) {
        self.version.set(self.version.get().wrapping_add(1));
        self.waiters.borrow_mut().wake();
    }
}

fn micros_of(instant: Instant) -> i64 {
    i64::try_from(instant.as_micros()).unwrap_or(i64::MAX)
}

#[cfg(test)]
mod tests {
    use std::cell::Cell;

    use embassy_futures::join::{join, join_array};
    use embassy_time::{Duration, Timer};

    use super::*;

    const NOON: UnixTime = UnixTime::from_seconds(1_795_348_800);

    #[test]
    fn a_clock_that_is_not_set_says_nothing_and_a_set_one_runs() {
        let clock = Clock::new(Timezone::parse("CET-1").unwrap());
        let now = Instant::from_secs(100);
        assert_eq!((clock.unix(now), clock.local(now)), (None, None));
        assert!(!clock.is_set());
        clock.set(NOON, now);
        let later = now + Duration::from_micros(1_500_001);
        assert_eq!(clock.unix(later), Some(NOON.plus_micros(1_500_001)));
        let local = clock.local(later).unwrap();
        assert_eq!((local.hour, local.minute, local.second), (13, 0, 1));
        let boot = Instant::from_ticks(0);
        assert_eq!(clock.unix(boot), Some(NOON.plus_micros(-100_000_000)));
        assert_eq!(clock.at_boot(), clock.unix(boot));
        clock.set_timezone(Timezone::UTC);
        assert_eq!(clock.local(later).unwrap().hour, 12);
        assert_eq!(clock.unix(later), Some(NOON.plus_micros(1_500_001)));
    }

    #[test]
    fn everyone_who_waits_for_a_change_hears_of_it() {
        sim::time::run_virtual(async {
            let clock = Clock::new(Timezone::UTC);
            let heard = Cell::new(0);
            let wait = async || {
                clock.changed().await;
                heard.set(heard.get() + 1);
            };
            let waiters = join_array(core::array::from_fn::<_, 20, _>(|_| wait()));
            let set = async {
                Timer::after(Duration::from_secs(1)).await;
                assert_eq!(heard.get(), 0);
                clock.set(NOON, Instant::now());
            };
            join(waiters, set).await;
            assert_eq!(heard.get(), 20);
        });
    }

    #[test]
    fn a_change_between_asking_and_waiting_is_not_missed() {
        sim::time::run_virtual(async {
            let clock = Clock::new(Timezone::UTC);
            let changed = clock.changed();
            clock.set_timezone(Timezone::UTC);
            changed.await;
        });
    }
}
