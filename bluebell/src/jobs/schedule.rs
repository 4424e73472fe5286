//! The schedule: a pure machine over memory of the caller's.

use embassy_time::{Duration, Instant};

use super::plan::{Plan, Reckoning, Step, reckon_date};
use super::slot::{Queue, Slot};
use super::{AddError, Job, JobId, NoSuchJob, ScheduleError};
use crate::clock::{Clock, UnixTime};

/// Runs of a job that has no end.
const FOR_EVER: u32 = u32::MAX;

/// A job's run that is to begin now.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Due {
    /// The job.
    pub id: JobId,
    /// The instant at which it should have begun: on the grid for an interval job.
    pub slot: Instant,
    /// The moment on the clock, for a job that goes by it.
    pub moment: Option<UnixTime>,
    /// How many slots were not run since the job's run before this one, or since it was added.
    pub skipped: u32,
}

/// Slots of a job that were not run, to be logged.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Missed {
    /// The job's name.
    pub name: &'static str,
    /// How many slots.
    pub count: u32,
}

/// How a job stands.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum JobState {
    /// Known, but not on the schedule.
    Idle,
    /// To be looked at, and run if nothing has changed, at this instant.
    Waiting(Instant),
    /// Goes by the clock, which is not set.
    WaitingForClock,
    /// Between [`Schedule::due`] and [`Schedule::finished`].
    Running,
    /// Held.
    Paused,
}

/// Knows which job is due. Nothing here reads a clock or waits.
#[derive(Debug)]
pub struct Schedule<'m> {
    slots: &'m mut [Slot],
    queue: Queue,
    /// The clock's version by which jobs were last reckoned.
    clock_version: u32,
    /// Whether any slot has something to report.
    unreported: bool,
}

impl<'m> Schedule<'m> {
    /// An empty schedule; at most 65,535 slots are used.
    pub fn new(slots: &'m mut [Slot]) -> Self {
        let used = slots.len().min(usize::from(u16::MAX));
        let slots = &mut slots[..used];
        slots.fill(Slot::VACANT);
        Self {
            slots,
            queue: Queue::EMPTY,
            clock_version: 0,
            unreported: false,
        }
    }

    /// Adds a job, counting from `now`. It leaves, and its slot is free again, when its last run
    /// has ended.
    ///
    /// # Errors
    ///
    /// Why it could not be added; the schedule is as before.
    pub fn add(&mut self, job: Job, now: Instant) -> Result<JobId, AddError> {
        self.insert(job, false, now)
    }

    /// Adds a job that stays known by its name: when its last run has ended, or it is removed, it
    /// leaves the schedule but can be scheduled anew.
    ///
    /// # Errors
    ///
    /// Why it could not be added; the schedule is as before.
    pub fn register(&mut self, job: Job, now: Instant) -> Result<JobId, AddError> {
        self.insert(job, true, now)
    }

    fn insert(&mut self, job: Job, kept: bool, now: Instant) -> Result<JobId, AddError> {
        if !job.is_sound() {
            return Err(AddError::IntervalTooShort);
        }
        if self.find(job.name).is_some() {
            return Err(AddError::NameTaken);
        }
        let vacant = self.slots.iter().position(|slot| !slot.taken);
        let index = vacant.ok_or(AddError::Full)?;
        let slot = &mut self.slots[index];
        slot.taken = true;
        slot.kept = kept;
        slot.name = job.name;
        self.plan(index, &job, now);
        Ok(self.id(index))
    }

    /// Takes a job off the schedule. A run of it that is going on goes on, and may schedule it
    /// anew.
    ///
    /// # Errors
    ///
    /// When there is no such job.
    pub fn remove(&mut self, id: JobId) -> Result<(), NoSuchJob> {
        let index = self.index(id)?;
        self.slots[index].plan = Plan::Idle;
        self.slots[index].paused = false;
        self.queue.take(self.slots, index);
        self.let_leave(index);
        Ok(())
    }

    /// Holds a job; its grid stays where it is. Nothing happens to one that is paused or not
    /// scheduled.
    ///
    /// # Errors
    ///
    /// When there is no such job.
    pub fn pause(&mut self, id: JobId) -> Result<(), NoSuchJob> {
        let index = self.index(id)?;
        if self.slots[index].plan != Plan::Idle {
            self.slots[index].paused = true;
            self.queue.take(self.slots, index);
        }
        Ok(())
    }

    /// Lets a paused job go on with its first slot at or after `now`.
    ///
    /// # Errors
    ///
    /// When there is no such job.
    pub fn resume(&mut self, id: JobId, now: Instant) -> Result<(), NoSuchJob> {
        let index = self.index(id)?;
        let slot = &mut self.slots[index];
        if core::mem::replace(&mut slot.paused, false) {
            match &mut slot.plan {
                Plan::Grid { next, interval } => {
                    catch_up(next, *interval, now);
                }
                Plan::Daily(daily) => daily.restart(now),
                Plan::Idle | Plan::Once { .. } | Plan::Date { .. } => {}
            }
            self.enqueue(index, now);
        }
        Ok(())
    }

    /// Gives a job another time, counting from `now`; its name stays. A paused one goes on.
    ///
    /// # Errors
    ///
    /// Why it could not be; the job is as before.
    pub fn reschedule(&mut self, id: JobId, job: Job, now: Instant) -> Result<(), ScheduleError> {
        let index = self.index(id)?;
        if !job.is_sound() {
            return Err(ScheduleError::IntervalTooShort);
        }
        self.plan(index, &job, now);
        Ok(())
    }

    fn plan(&mut self, index: usize, job: &Job, now: Instant) {
        let slot = &mut self.slots[index];
        slot.plan = Plan::of(job, now);
        slot.runs = job.runs;
        slot.paused = false;
        self.enqueue(index, now);
    }

    /// The job of this name; jobs without one are not found.
    pub fn find(&self, name: &str) -> Option<JobId> {
        let named = |slot: &Slot| slot.taken && !name.is_empty() && slot.name == name;
        Some(self.id(self.slots.iter().position(named)?))
    }

    /// How a job stands; `None` when it has left.
    pub fn state(&self, id: JobId) -> Option<JobState> {
        Some(state_of(&self.slots[self.index(id).ok()?]))
    }

    /// All jobs, with their names.
    pub fn jobs(&self) -> impl Iterator<Item = (&'static str, JobState)> {
        let taken = self.slots.iter().filter(|slot| slot.taken);
        taken.map(|slot| (slot.name, state_of(slot)))
    }

    /// Takes one job that is due; ask until `None`. It is running until [`Schedule::finished`].
    pub fn due(&mut self, now: Instant, clock: &Clock) -> Option<Due> {
        if self.clock_version != clock.version() {
            self.clock_version = clock.version();
            for index in 0..self.slots.len() {
                if self.slots[index].plan.is_by_clock() {
                    self.enqueue(index, now);
                }
            }
        }
        loop {
            let index = self.queue.first(self.slots)?;
            if self.slots[index].due > now.as_ticks() {
                return None;
            }
            if let Some((slot, moment)) = self.step(index, now, clock) {
                return Some(self.begin(index, slot, moment));
            }
        }
    }

    /// Looks at a job whose time has come: gives the slot to run, or moves the job.
    fn step(
        &mut self,
        index: usize,
        now: Instant,
        clock: &Clock,
    ) -> Option<(Instant, Option<UnixTime>)> {
        let slot = &mut self.slots[index];
        let reckon = |plan: &mut Plan, moment| match plan {
            Plan::Daily(daily) => daily.reckon(now, clock, moment),
            Plan::Date { date, grace } => reckon_date(*date, *grace, moment, &clock.timezone()),
            // Not by the clock: dealt with before.
            Plan::Idle | Plan::Grid { .. } | Plan::Once { .. } => Reckoning {
                missed: 0,
                step: Step::Leave,
            },
        };
        match &mut slot.plan {
            Plan::Once { at } => return Some((Instant::from_ticks(*at), None)),
            Plan::Grid { next, interval } => {
                let late = now.as_ticks().saturating_sub(*next);
                // A division takes its time on a small chip; on time there is none.
                let passed = if late < *interval {
                    0
                } else {
                    late / *interval
                };
                let run = next.saturating_add(passed.saturating_mul(*interval));
                *next = run.saturating_add(*interval);
                self.skip(index, passed);
                return Some((Instant::from_ticks(run), None));
            }
            Plan::Idle | Plan::Daily(_) | Plan::Date { .. } => {}
        }
        let Some(moment) = clock.unix(now) else {
            // Until the clock is set; its version will tell.
            self.queue.take(self.slots, index);
            return None;
        };
        let Reckoning { missed, step } = reckon(&mut slot.plan, moment);
        self.skip(index, missed.into());
        match step {
            Step::Run(at) => {
                let late = u64::try_from(moment.micros_since(at)).unwrap_or(0);
                let slot = now.saturating_sub(Duration::from_micros(late));
                return Some((slot, Some(at)));
            }
            Step::Wait(at) => {
                let wait = u64::try_from(at.micros_since(moment)).unwrap_or(0);
                let due = now.saturating_add(Duration::from_micros(wait));
                self.queue.put(self.slots, index, due.as_ticks());
            }
            Step::Leave => {
                self.slots[index].plan = Plan::Idle;
                self.queue.take(self.slots, index);
                self.let_leave(index);
            }
        }
        None
    }

    fn begin(&mut self, index: usize, at: Instant, moment: Option<UnixTime>) -> Due {
        self.queue.take(self.slots, index);
        let id = self.id(index);
        let slot = &mut self.slots[index];
        slot.running = true;
        if slot.runs != FOR_EVER {
            slot.runs = slot.runs.saturating_sub(1);
        }
        if slot.runs == 0 || matches!(slot.plan, Plan::Once { .. } | Plan::Date { .. }) {
            slot.plan = Plan::Idle;
        }
        Due {
            id,
            slot: at,
            moment,
            skipped: core::mem::take(&mut slot.skipped),
        }
    }

    /// A job's run has ended. Nothing happens when it was not running.
    pub fn finished(&mut self, id: JobId, now: Instant) {
        let Ok(index) = self.index(id) else { return };
        let slot = &mut self.slots[index];
        if !core::mem::replace(&mut slot.running, false) {
            return;
        }
        if !slot.paused
            && let Plan::Grid { next, interval } = &mut slot.plan
        {
            let passed = catch_up(next, *interval, now);
            self.skip(index, passed);
        }
        self.enqueue(index, now);
        self.let_leave(index);
    }

    /// Takes one report of slots that were not run; ask until `None`.
    pub fn missed(&mut self) -> Option<Missed> {
        if !self.unreported {
            return None;
        }
        let index = self.slots.iter().position(|slot| slot.unreported > 0);
        self.unreported = index.is_some();
        let index = index?;
        let slot = &mut self.slots[index];
        let missed = Missed {
            name: slot.name,
            count: core::mem::take(&mut slot.unreported),
        };
        self.let_leave(index);
        Some(missed)
    }

    /// When to ask next. The clock, a change of the schedule or the end of a run may bring it
    /// forward: ask again after each.
    pub fn deadline(&self) -> Option<Instant> {
        let first = self.queue.first(self.slots)?;
        Some(Instant::from_ticks(self.slots[first].due))
    }

    /// Puts a job in the queue, if it is one that waits for its time.
    fn enqueue(&mut self, index: usize, now: Instant) {
        let slot = &self.slots[index];
        let due = match slot.plan {
            Plan::Idle => None,
            _ if slot.running || slot.paused => None,
            Plan::Grid { next, .. } => Some(next),
            Plan::Once { at } => Some(at),
            // To be reckoned when the clock is at hand.
            Plan::Daily(_) | Plan::Date { .. } => Some(now.as_ticks()),
        };
        match due {
            Some(due) => self.queue.put(self.slots, index, due),
            None => self.queue.take(self.slots, index),
        }
    }

    fn skip(&mut self, index: usize, count: u64) {
        if count > 0 {
            self.slots[index].skip(u32::try_from(count).unwrap_or(u32::MAX));
            self.unreported = true;
        }
    }

    /// Frees the slot of a job that has nothing more to do or to say and need not stay.
    fn let_leave(&mut self, index: usize) {
        let slot = &mut self.slots[index];
        if slot.plan == Plan::Idle && !slot.kept && !slot.running && slot.unreported == 0 {
            slot.leave();
        }
    }

    fn id(&self, index: usize) -> JobId {
        JobId {
            // There are at most 65,535 slots.
            index: index as u16,
            generation: self.slots[index].generation,
        }
    }

    fn index(&self, id: JobId) -> Result<usize, NoSuchJob> {
        let index = usize::from(id.index);
        match self.slots.get(index) {
            Some(slot) if slot.taken && slot.generation == id.generation => Ok(index),
            _ => Err(NoSuchJob),
        }
    }
}

/// Moves `next` on its grid to the first slot at or after `now`; returns how many it has passed
/// over.
fn catch_up(next: &mut u64, interval: u64, now: Instant) -> u64 {
    let late = now.as_ticks().saturating_sub(*next);
    if late == 0 {
        return 0;
    }
    let passed = late.div_ceil(interval);
    *next = next.saturating_add(passed.saturating_mul(interval));
    passed
}

fn state_of(slot: &Slot) -> JobState {
    if slot.running {
        JobState::Running
    } else if slot.paused {
        JobState::Paused
    } else if slot.is_queued() {
        JobState::Waiting(Instant::from_ticks(slot.due))
    } else if slot.plan == Plan::Idle {
        JobState::Idle
    } else {
        JobState::WaitingForClock
    }
}
