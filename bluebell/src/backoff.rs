//! How long to wait before trying again.
//!
//! Guarantees: in the first minute of an outage the delays are 0.5, 1, 2, 2 s ...; afterwards they
//! double up to 60 s. Each is moved by up to 20 % either way, so that a hundred devices that lost the
//! same router do not come back in step; none is longer than 60 s.

use embassy_time::{Duration, Instant};

const FIRST: Duration = Duration::from_millis(500);
const BRISK: Duration = Duration::from_secs(2);
const CEILING: Duration = Duration::from_secs(60);
const BRISK_PERIOD: Duration = Duration::from_secs(60);

/// The delays of one outage, from its first failure until [`reset`](Self::reset).
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Backoff {
    outage: Option<Outage>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct Outage {
    since: Instant,
    next: Duration,
}

impl Backoff {
    /// No outage yet.
    #[must_use]
    pub const fn new() -> Self {
        Self { outage: None }
    }

    /// An attempt has failed at `now`: how long to wait until the next one. `random` is any number
    /// that other devices do not share.
    pub fn next(&mut self, now: Instant, random: u32) -> Duration {
        let outage = self.outage.get_or_insert(Outage {
            since: now,
            next: FIRST,
        });
        let delay = outage.next;
        let ceiling = if now.saturating_duration_since(outage.since) < BRISK_PERIOD {
            BRISK
        } else {
            CEILING
        };
        outage.next = Duration::from_micros(delay.as_micros().saturating_mul(2)).min(ceiling);
        // 80 % to 120 % in steps of a thousandth.
        let thousandths = 800 + u64::from(random % 401);
        Duration::from_micros(delay.as_micros() * thousandths / 1000).min(CEILING)
    }

    /// Whether `now` lies in the first minute of the outage, or there is none: then an attempt should
    /// be given up soon, because the next one is near.
    #[must_use]
    pub fn is_brisk(&self, now: Instant) -> bool {
        self.outage
            .is_none_or(|outage| now.saturating_duration_since(outage.since) < BRISK_PERIOD)
    }

    /// The outage is over: the next failure begins another.
    pub fn reset(&mut self) {
        self.outage = None;
    }
}

#[cfg(test)]
mod tests {
    use std::vec::Vec;

    use super::*;

    /// In the middle of the jitter's range.
    const MIDDLE: u32 = 200;

    #[test]
    fn an_outage_is_tried_briskly_for_a_minute_and_then_ever_more_rarely() {
        let mut backoff = Backoff::new();
        let mut now = Instant::from_secs(1000);
        let mut delays = Vec::new();
        while now < Instant::from_secs(1000 + 600) {
            let delay = backoff.next(now, MIDDLE);
            delays.push(delay.as_millis());
            now += delay;
        }
        assert_eq!(delays[..4], [500, 1000, 2000, 2000]);
        let brisk = delays.iter().position(|delay| *delay > 2000).unwrap();
        assert!(delays[2..brisk].iter().all(|delay| *delay == 2000));
        assert_eq!(delays[..brisk].iter().sum::<u64>(), 63_500);
        assert_eq!(
            delays[brisk..brisk + 5],
            [4000, 8000, 16_000, 32_000, 60_000]
        );
        assert!(delays[brisk + 4..].iter().all(|delay| *delay == 60_000));
    }

    #[test]
    fn jitter_moves_a_delay_by_at_most_a_fifth_and_never_above_the_ceiling() {
        for (random, expected) in [(0, 400), (200, 500), (400, 600), (401, 400)] {
            let mut backoff = Backoff::new();
            let delay = backoff.next(Instant::from_secs(0), random).as_millis();
            assert_eq!(delay, expected, "{random}");
        }
        let mut backoff = Backoff::new();
        let mut longest = Duration::from_secs(0);
        for minute in 0..100 {
            longest = longest.max(backoff.next(Instant::from_secs(minute * 60), 400));
        }
        assert_eq!(longest, CEILING);
    }

    #[test]
    fn after_a_reset_the_next_outage_begins_anew() {
        let mut backoff = Backoff::new();
        assert!(backoff.is_brisk(Instant::from_secs(500)));
        for second in [0, 30, 61, 90, 120] {
            backoff.next(Instant::from_secs(second), MIDDLE);
        }
        assert!(!backoff.is_brisk(Instant::from_secs(120)));
        backoff.reset();
        assert!(backoff.is_brisk(Instant::from_secs(121)));
        assert_eq!(backoff.next(Instant::from_secs(121), MIDDLE), FIRST);
    }
}
