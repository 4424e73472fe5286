//! The rules of the module's documentation, one by one.

mod by_clock;
mod grid;
mod model;
mod shared;

use std::vec::Vec;

use embassy_time::{Duration, Instant};

use super::{Due, Job, JobId, Missed, Schedule, Slot};
use crate::clock::{Clock, Timezone, UnixTime};

fn ms(milliseconds: u64) -> Instant {
    Instant::from_millis(milliseconds)
}

fn millis(milliseconds: u64) -> Duration {
    Duration::from_millis(milliseconds)
}

fn secs(seconds: u64) -> Duration {
    Duration::from_secs(seconds)
}

/// A schedule, its clock and the time, which moves as told.
struct World<'m> {
    schedule: Schedule<'m>,
    clock: Clock,
    now: Instant,
}

impl<'m> World<'m> {
    fn new(slots: &'m mut [Slot]) -> Self {
        Self {
            schedule: Schedule::new(slots),
            clock: Clock::new(Timezone::UTC),
            now: Instant::from_ticks(0),
        }
    }

    fn add(&mut self, job: Job) -> JobId {
        self.schedule.add(job, self.now).unwrap()
    }

    fn due(&mut self) -> Option<Due> {
        self.schedule.due(self.now, &self.clock)
    }

    /// Asks at `at`.
    fn due_at(&mut self, at: Instant) -> Option<Due> {
        self.now = at;
        self.due()
    }

    fn finish(&mut self, id: JobId, at: Instant) {
        self.now = at;
        self.schedule.finished(id, at);
    }

    fn missed(&mut self) -> Vec<Missed> {
        core::iter::from_fn(|| self.schedule.missed()).collect()
    }

    fn missed_count(&mut self) -> u32 {
        self.missed().iter().map(|missed| missed.count).sum()
    }

    /// Goes from deadline to deadline until `until`, with runs that take no time.
    fn runs_until(&mut self, until: Instant) -> Vec<Due> {
        let mut runs = Vec::new();
        loop {
            while let Some(due) = self.due() {
                runs.push(due);
                self.schedule.finished(due.id, self.now);
            }
            match self.schedule.deadline() {
                Some(deadline) if deadline <= until => self.now = deadline.max(self.now),
                _ => break,
            }
        }
        self.now = until;
        runs
    }

    /// Says what time it is now, as `2026-11-22T07:00:00Z`.
    fn set_clock(&mut self, time: &str) {
        self.clock.set(unix(time), self.now);
    }

    fn after(&self, hours: u64, minutes: u64) -> Instant {
        self.now + secs(hours * 3_600 + minutes * 60)
    }
}

fn unix(time: &str) -> UnixTime {
    let timestamp: jiff::Timestamp = time.parse().unwrap();
    UnixTime::from_micros(timestamp.as_microsecond())
}
