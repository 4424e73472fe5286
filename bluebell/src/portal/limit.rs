//! How often a network may be submitted: five times in any ten seconds, so that a burst can neither
//! wear the flash nor keep the radio from working.

use embassy_time::{Duration, Instant};

const SUBMISSIONS: usize = 5;
const WINDOW: Duration = Duration::from_secs(10);

/// Remembers the last submissions that were let through.
#[derive(Debug, Clone, Copy, Default)]
pub(super) struct SubmissionLimit {
    passed: [Option<Instant>; SUBMISSIONS],
    oldest: usize,
}

impl SubmissionLimit {
    /// Nobody has submitted anything yet.
    pub(super) const fn new() -> Self {
        Self {
            passed: [None; SUBMISSIONS],
            oldest: 0,
        }
    }

    /// Lets a submission through, or says how many seconds to wait. What is turned away does not
    /// count.
    pub(super) fn pass(&mut self, now: Instant) -> Result<(), u64> {
        if let Some(first) = self.passed[self.oldest] {
            let since = now.saturating_duration_since(first);
            if since < WINDOW {
                let wait = WINDOW.as_micros() - since.as_micros();
                return Err(wait.div_ceil(1_000_000));
            }
        }
        self.passed[self.oldest] = Some(now);
        self.oldest = (self.oldest + 1) % SUBMISSIONS;
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_sixth_in_ten_seconds_waits_until_the_first_is_old() {
        let mut limit = SubmissionLimit::new();
        for (at, expected) in [
            (0, Ok(())),
            (1_000, Ok(())),
            (1_000, Ok(())),
            (2_000, Ok(())),
            (9_000, Ok(())),
            (9_000, Err(1)),
            (9_999, Err(1)),
            (10_000, Ok(())),
            (10_001, Err(1)),
            (11_000, Ok(())),
            (11_000, Ok(())),
            (11_000, Err(1)),
            (12_000, Ok(())),
            (12_500, Err(7)),
            (60_000, Ok(())),
        ] {
            assert_eq!(limit.pass(Instant::from_millis(at)), expected, "at {at} ms");
        }
    }
}
