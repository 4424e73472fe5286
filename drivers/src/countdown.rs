//! A countdown that tells once that it has run out.

use core::cell::Cell;

use embassy_futures::select::select;
use embassy_time::{Duration, Instant, Timer};

use crate::changes::Changes;

/// A countdown of a fixed length, stopped until it is first restarted.
#[derive(Debug)]
pub struct Countdown {
    length: Duration,
    deadline: Cell<Option<Instant>>,
    changes: Changes,
}

impl Countdown {
    /// A countdown of this length.
    #[must_use]
    pub const fn new(length: Duration) -> Self {
        Self {
            length,
            deadline: Cell::new(None),
            changes: Changes::new(),
        }
    }

    /// Begins anew, from now.
    pub fn restart(&self) {
        self.restart_at(Instant::now());
    }

    /// Begins anew, from `now`.
    pub fn restart_at(&self, now: Instant) {
        let deadline = now.checked_add(self.length).unwrap_or(Instant::MAX);
        self.deadline.set(Some(deadline));
        self.changes.announce();
    }

    /// Stops; it does not run out until it is restarted.
    pub fn stop(&self) {
        self.deadline.set(None);
        self.changes.announce();
    }

    /// Whether it was restarted and has neither been stopped nor told that it has run out.
    #[must_use]
    pub fn is_running(&self) -> bool {
        self.deadline.get().is_some()
    }

    /// How long it still runs; `None` when it does not run, zero when it has run out and has not told.
    #[must_use]
    pub fn remaining(&self, now: Instant) -> Option<Duration> {
        Some(self.deadline.get()?.saturating_duration_since(now))
    }

    /// Whether it has run out: true once for each restart.
    #[must_use]
    pub fn expire(&self, now: Instant) -> bool {
        let expired = self.deadline.get().is_some_and(|deadline| deadline <= now);
        if expired {
            self.deadline.set(None);
        }
        expired
    }

    /// Waits until it has run out, once for each restart.
    ///
    /// Cancellation safe: what was not told is told the next time.
    pub async fn expired(&self) {
        loop {
            if self.expire(Instant::now()) {
                return;
            }
            let count = self.changes.count();
            match self.deadline.get() {
                Some(deadline) => {
                    select(Timer::at(deadline), self.changes.since(count)).await;
                }
                None => self.changes.since(count).await,
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use embassy_futures::join::join;
    use embassy_futures::select::{Either, select};
    use sim::time::run_virtual;

    use super::*;

    fn at(seconds: u64) -> Instant {
        Instant::from_secs(seconds)
    }

    #[test]
    fn it_runs_out_once_for_each_restart() {
        let countdown = Countdown::new(Duration::from_secs(5));
        assert!(!countdown.expire(at(100)));
        assert_eq!(countdown.remaining(at(100)), None);
        countdown.restart_at(at(100));
        assert_eq!(countdown.remaining(at(103)), Some(Duration::from_secs(2)));
        assert!(!countdown.expire(at(104)));
        assert_eq!(countdown.remaining(at(200)), Some(Duration::from_secs(0)));
        assert!(countdown.expire(at(105)));
        assert!(!countdown.expire(at(106)));
        assert!(!countdown.is_running());
        countdown.restart_at(at(110));
        countdown.restart_at(at(113));
        assert!(!countdown.expire(at(117)));
        countdown.stop();
        assert!(!countdown.expire(at(1_000)));
    }

    #[test]
    fn a_length_beyond_all_time_never_runs_out() {
        let countdown = Countdown::new(Duration::MAX);
        countdown.restart_at(at(1));
        assert!(!countdown.expire(at(u64::MAX / 1_000_000)));
    }

    #[test]
    fn waiting_sees_restarts_and_stops_while_it_waits() {
        let countdown = Countdown::new(Duration::from_secs(5));
        run_virtual(join(
            async {
                for told in [13, 20] {
                    countdown.expired().await;
                    assert_eq!(Instant::now().as_secs(), told);
                }
            },
            async {
                Timer::at(at(4)).await;
                countdown.restart();
                Timer::at(at(8)).await;
                countdown.restart();
                Timer::at(at(14)).await;
                countdown.restart();
                Timer::at(at(14)).await;
                countdown.stop();
                Timer::at(at(15)).await;
                countdown.restart();
            },
        ));
    }

    #[test]
    fn what_ran_out_while_nobody_waited_is_told_to_the_next() {
        let countdown = Countdown::new(Duration::from_secs(5));
        run_virtual(async {
            countdown.restart();
            let early = select(countdown.expired(), Timer::after_secs(1)).await;
            assert!(matches!(early, Either::Second(())));
            Timer::after_secs(60).await;
            countdown.expired().await;
            assert_eq!(Instant::now().as_secs(), 61);
        });
    }
}
