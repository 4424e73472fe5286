//! Jobs: what runs when, by interval or by the clock on the wall.
//!
//! Guarantees, each held by a test:
//!
//! - **No drift.** Run *n* of an interval job belongs to the slot *start + n × interval*, however
//!   long runs take and however late the device gets round to them. The clock on the wall does not
//!   matter.
//! - **No slot twice, none lost in silence.** A job never runs twice for one slot, and slots that
//!   are not run are counted, handed to the next run ([`Due::skipped`]) and logged by
//!   [`Jobs::run`].
//! - **One job cannot hold up another**, nor itself run twice at once.
//! - **Flat cost.** Asking what is due costs the same for one job as for a thousand.
//!
//! # Slots that are missed
//!
//! - *The job was still running*: slots of an interval job that come due before its run has ended
//!   are skipped; the next run is the first slot on the grid at or after the end.
//! - *The device was busy*: the latest slot that has passed is run at once, late; those before it
//!   are skipped; the next run is on the grid again.
//! - *A job by the clock*: a slot that has passed, because the device was busy, the job still
//!   running, or the clock set or put forward, is run once, late, if that is within the job's grace
//!   ([`Job::grace`], 10 minutes); otherwise it is missed.
//! - *A one-shot* ([`Job::once_in`]) always runs, late if need be.
//! - *Paused*: slots that pass while a repeating job is paused are neither run nor counted. A
//!   one-shot whose time has passed is late when it is resumed.
//! - Skipped slots do not use up [`Job::times`].
//!
//! # The clock on the wall
//!
//! Daily jobs and dates wait until the clock is set; a slot since the job was scheduled then counts
//! as passed. When the clock or the zone is set anew they are reckoned anew: a step back, of up to
//! a month, never runs a day again that has been run; a step forward is treated as above. A local
//! time that daylight saving skips runs at the first moment after the gap; one that it repeats runs
//! the first time only.

mod job;
mod plan;
mod runner;
mod schedule;
mod slot;

pub use job::{Date, Job};
pub use runner::{Jobs, JobsMemory, Run};
pub use schedule::{Due, JobState, Missed, Schedule};
pub use slot::Slot;

/// The default of [`Job::grace`].
pub const DEFAULT_GRACE: embassy_time::Duration = embassy_time::Duration::from_secs(600);

/// The shortest interval.
pub const SHORTEST_INTERVAL: embassy_time::Duration = embassy_time::Duration::from_millis(1);

/// Names one job of one schedule; of no use once the job has left.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct JobId {
    index: u16,
    generation: u16,
}

/// Why a job was not added.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum AddError {
    /// Every slot of the memory is taken.
    Full,
    /// A job of this name is there.
    NameTaken,
    /// The interval is below a millisecond.
    IntervalTooShort,
}

impl core::fmt::Display for AddError {
    fn fmt(&self, formatter: &mut core::fmt::Formatter<'_>) -> core::fmt::Result {
        formatter.write_str(match self {
            Self::Full => "there is no room for another job: enlarge JobsMemory",
            Self::NameTaken => "there is a job of this name already: give it another",
            Self::IntervalTooShort => "the job's interval must be at least 1 ms",
        })
    }
}

impl core::error::Error for AddError {}

/// Why a job was not scheduled anew.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ScheduleError {
    /// There is no such job, or it has left.
    NoSuchJob,
    /// The interval is below a millisecond.
    IntervalTooShort,
}

impl core::fmt::Display for ScheduleError {
    fn fmt(&self, formatter: &mut core::fmt::Formatter<'_>) -> core::fmt::Result {
        match self {
            Self::NoSuchJob => NoSuchJob.fmt(formatter),
            Self::IntervalTooShort => AddError::IntervalTooShort.fmt(formatter),
        }
    }
}

impl core::error::Error for ScheduleError {}

impl From<NoSuchJob> for ScheduleError {
    fn from(_: NoSuchJob) -> Self {
        Self::NoSuchJob
    }
}

/// There is no such job, or it has left.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct NoSuchJob;

impl core::fmt::Display for NoSuchJob {
    fn fmt(&self, formatter: &mut core::fmt::Formatter<'_>) -> core::fmt::Result {
        formatter.write_str("there is no such job, or it has left: add it first, and mind its name")
    }
}

impl core::error::Error for NoSuchJob {}

#[cfg(test)]
mod tests;
