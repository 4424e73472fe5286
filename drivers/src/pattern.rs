//! Blink patterns, as pure functions of the time since they began.

use embassy_time::Duration;

/// No step is shorter, so that no pattern keeps the processor busy.
const SHORTEST: Duration = Duration::from_millis(1);

/// When an output is on and when it is off.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Pattern {
    steps: Steps,
    /// How often; for ever when 0.
    times: u32,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Steps {
    Even([Duration; 2]),
    List(&'static [Duration]),
}

/// Where a pattern is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Phase {
    /// In a step, until so long after the beginning.
    Step { on: bool, until: Duration },
    /// It is over.
    Over,
}

impl Pattern {
    /// On for a time, off for a time, for ever. Steps below 1 ms are taken as 1 ms.
    #[must_use]
    pub const fn new(on: Duration, off: Duration) -> Self {
        Self {
            steps: Steps::Even([on, off]),
            times: 0,
        }
    }

    /// Any steps: on, off, on, off and so on, for ever. Steps below 1 ms are taken as 1 ms.
    #[must_use]
    pub const fn of_steps(steps: &'static [Duration]) -> Self {
        Self {
            steps: Steps::List(steps),
            times: 0,
        }
    }

    /// The same, so many times; the output is off then. 0 is for ever.
    #[must_use]
    pub const fn times(self, times: u32) -> Self {
        Self { times, ..self }
    }

    /// Where the pattern is so long after it began.
    pub(crate) fn at(&self, elapsed: Duration) -> Phase {
        let steps: &[Duration] = match &self.steps {
            Steps::Even(steps) => steps,
            Steps::List(steps) => steps,
        };
        let length = |step: &Duration| (*step).max(SHORTEST).as_ticks();
        let round = steps.iter().map(length).fold(0_u64, u64::saturating_add);
        let Some(rounds) = elapsed.as_ticks().checked_div(round) else {
            return Phase::Over;
        };
        if self.times > 0 && rounds >= u64::from(self.times) {
            return Phase::Over;
        }
        let mut until = rounds.saturating_mul(round);
        let mut on = true;
        for step in steps {
            until = until.saturating_add(length(step));
            if elapsed.as_ticks() < until {
                let until = Duration::from_ticks(until);
                return Phase::Step { on, until };
            }
            on = !on;
        }
        Phase::Over
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const fn milliseconds(number: u64) -> Duration {
        Duration::from_millis(number)
    }

    fn step(on: bool, until: u64) -> Phase {
        Phase::Step {
            on,
            until: milliseconds(until),
        }
    }

    #[test]
    fn a_pattern_knows_its_level_at_any_time_without_drift() {
        let pattern = Pattern::new(milliseconds(100), milliseconds(400));
        for (at, phase) in [
            (0, step(true, 100)),
            (99, step(true, 100)),
            (100, step(false, 500)),
            (500, step(true, 600)),
            (86_400_050, step(true, 86_400_100)),
            (86_400_499, step(false, 86_400_500)),
        ] {
            assert_eq!(pattern.at(milliseconds(at)), phase, "at {at} ms");
        }
    }

    #[test]
    fn a_pattern_of_three_steps_ends_after_its_rounds() {
        const STEPS: [Duration; 3] = [milliseconds(50), milliseconds(50), milliseconds(200)];
        let pattern = Pattern::of_steps(&STEPS).times(2);
        for (at, phase) in [
            (120, step(true, 300)),
            (310, step(true, 350)),
            (599, step(true, 600)),
            (600, Phase::Over),
            (u64::MAX / 1_000, Phase::Over),
        ] {
            assert_eq!(pattern.at(milliseconds(at)), phase, "at {at} ms");
        }
    }

    #[test]
    fn steps_of_no_length_or_of_all_lengths_do_no_harm() {
        let nothing = Pattern::new(Duration::from_ticks(0), Duration::from_ticks(0));
        assert_eq!(nothing.at(milliseconds(0)), step(true, 1));
        assert_eq!(nothing.at(milliseconds(1)), step(false, 2));
        assert_eq!(Pattern::of_steps(&[]).at(milliseconds(0)), Phase::Over);
        let endless = Pattern::new(Duration::MAX, Duration::MAX);
        assert!(matches!(
            endless.at(milliseconds(5)),
            Phase::Step { on: true, .. }
        ));
    }
}
