//! What a job is to be: when it runs and how often.

use embassy_time::Duration;

use super::{DEFAULT_GRACE, SHORTEST_INTERVAL};
use crate::clock::{LocalDateTime, TimeOfDay, UnixTime, Weekdays};

/// When a job runs: `Job::every(Duration::from_millis(500)).times(10).named("blink")`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Job {
    pub(super) name: &'static str,
    pub(super) when: When,
    /// Runs left; `u32::MAX`: for ever.
    pub(super) runs: u32,
    pub(super) start: Option<Duration>,
    pub(super) grace: Duration,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum When {
    Never,
    Every(Duration),
    In(Duration),
    Daily(TimeOfDay, Weekdays),
    At(Date),
}

/// A date, by the clock of the zone or by the world's.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Date {
    /// When the clock on the wall shows this.
    Local(LocalDateTime),
    /// At this moment.
    Unix(UnixTime),
}

impl From<LocalDateTime> for Date {
    fn from(date: LocalDateTime) -> Self {
        Self::Local(date)
    }
}

impl From<UnixTime> for Date {
    fn from(moment: UnixTime) -> Self {
        Self::Unix(moment)
    }
}

impl Job {
    const fn new(when: When, runs: u32) -> Self {
        Self {
            name: "",
            when,
            runs,
            start: None,
            grace: DEFAULT_GRACE,
        }
    }

    /// Again and again, `interval` apart: at least 1 ms. The first run is one interval from now.
    pub const fn every(interval: Duration) -> Self {
        Self::new(When::Every(interval), u32::MAX)
    }

    /// Each day when the clock on the wall shows `time`.
    pub const fn daily(time: TimeOfDay) -> Self {
        Self::weekly(Weekdays::ALL, time)
    }

    /// On these days of the week when the clock on the wall shows `time`.
    pub const fn weekly(days: Weekdays, time: TimeOfDay) -> Self {
        Self::new(When::Daily(time, days), u32::MAX)
    }

    /// Once, at a [`LocalDateTime`] or a [`UnixTime`]. A date that has passed when it is scheduled
    /// runs at once if within the grace, else it is missed.
    pub fn once_at(date: impl Into<Date>) -> Self {
        Self::new(When::At(date.into()), 1)
    }

    /// Once, when this much time has passed, whatever the clock on the wall does.
    pub const fn once_in(delay: Duration) -> Self {
        Self::new(When::In(delay), 1)
    }

    /// Not until somebody schedules it by its name.
    pub const fn idle() -> Self {
        Self::new(When::Never, 0)
    }

    /// Ends after so many runs; with 0 it is as [`Job::idle`]. One-shots run once whatever is said
    /// here.
    #[must_use]
    pub const fn times(mut self, runs: u32) -> Self {
        if let When::Every(_) | When::Daily(..) = self.when {
            self.runs = runs;
        }
        self
    }

    /// Whether its interval, if it has one, is long enough.
    pub(super) fn is_sound(&self) -> bool {
        !matches!(self.when, When::Every(interval) if interval < SHORTEST_INTERVAL)
    }

    /// Its name; empty for none.
    #[must_use]
    pub const fn name(&self) -> &'static str {
        self.name
    }

    /// Gives it a name, by which it can be found and which the log shows.
    #[must_use]
    pub const fn named(mut self, name: &'static str) -> Self {
        self.name = name;
        self
    }

    /// When the first run of [`Job::every`] is, from now; zero: at once. A job by weekday and time
    /// runs at its first slot after that. One-shots take no notice.
    #[must_use]
    pub const fn starting_in(mut self, delay: Duration) -> Self {
        self.start = Some(delay);
        self
    }

    /// How late a job by the clock may run, after which its slot is missed; whole seconds, 10
    /// minutes if not said.
    #[must_use]
    pub const fn grace(mut self, grace: Duration) -> Self {
        self.grace = grace;
        self
    }
}
