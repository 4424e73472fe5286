//! The schedule shared between those who run jobs and those who change them.

use core::cell::{Cell, RefCell};
use core::convert::Infallible;
use core::future::{pending, poll_fn};
use core::ops::Deref;
use core::task::Poll;

use embassy_futures::select::select3;
use embassy_sync::waitqueue::WakerRegistration;
use embassy_time::{Instant, Timer};

use super::{
    AddError, Due, Job, JobId, JobState, Missed, NoSuchJob, Schedule, ScheduleError, Slot,
};
use crate::clock::Clock;
use crate::log;
use crate::log::Log;

/// Memory for `N` jobs.
#[derive(Debug)]
pub struct JobsMemory<const N: usize = 16>(Room<N>);

/// All zeros until it is in use: as a constant, memory of a device then takes no room in an image, and
/// need not be made on a stack.
#[derive(Debug)]
#[repr(u8)]
enum Room<const N: usize> {
    Empty = 0,
    InUse([Slot; N], [Waiter; N]),
}

/// Where a job's callback waits and a run that is due is left for it.
#[derive(Debug)]
struct Waiter {
    due: Option<Due>,
    waker: WakerRegistration,
}

impl<const N: usize> JobsMemory<N> {
    /// Empty.
    pub const fn new() -> Self {
        const {
            assert!(N <= u16::MAX as usize, "at most 65,535 jobs");
        }
        Self(Room::Empty)
    }

    /// Free slots, whatever was there before.
    fn vacate(&mut self) -> (&mut [Slot], &mut [Waiter]) {
        let waiter = || Waiter {
            due: None,
            waker: WakerRegistration::new(),
        };
        self.0 = Room::InUse([Slot::VACANT; N], core::array::from_fn(|_| waiter()));
        match &mut self.0 {
            Room::InUse(slots, waiters) => (slots, waiters),
            // Not after the line above.
            Room::Empty => (&mut [], &mut []),
        }
    }
}

impl<const N: usize> Default for JobsMemory<N> {
    fn default() -> Self {
        Self::new()
    }
}

/// The device's jobs, shared by reference. All methods may be called from within a job.
#[derive(Debug)]
pub struct Jobs<'m> {
    schedule: RefCell<Schedule<'m>>,
    waiters: RefCell<&'m mut [Waiter]>,
    /// Whether the schedule has changed since the runner looked at it.
    changed: Cell<bool>,
    runner: RefCell<WakerRegistration>,
}

impl<'m> Jobs<'m> {
    /// No jobs yet.
    pub fn new<const N: usize>(memory: &'m mut JobsMemory<N>) -> Self {
        let (slots, waiters) = memory.vacate();
        Self {
            schedule: RefCell::new(Schedule::new(slots)),
            waiters: RefCell::new(waiters),
            changed: Cell::new(false),
            runner: RefCell::new(WakerRegistration::new()),
        }
    }

    /// Adds a job whose callback waits in [`Jobs::due`] as long as the device runs: it stays known
    /// by its name after its last run or its removal, and can be scheduled anew.
    ///
    /// # Errors
    ///
    /// Why it could not be added.
    pub fn register(&self, job: Job) -> Result<JobId, AddError> {
        let added = self.schedule.borrow_mut().register(job, Instant::now());
        self.change();
        added
    }

    /// Adds a job that leaves for good after its last run.
    ///
    /// # Errors
    ///
    /// Why it could not be added.
    pub fn add(&self, job: Job) -> Result<JobId, AddError> {
        let added = self.schedule.borrow_mut().add(job, Instant::now());
        self.change();
        added
    }

    /// Schedules the job of this name anew, from now, even if it is paused, idle or running. A run
    /// that is due but has not begun is dropped for the new time.
    ///
    /// # Errors
    ///
    /// Why it could not be; the job is as before.
    pub fn schedule(&self, name: &str, job: Job) -> Result<(), ScheduleError> {
        let id = self.find(name)?;
        let now = Instant::now();
        self.schedule.borrow_mut().reschedule(id, job, now)?;
        self.take_back(id, now);
        self.change();
        Ok(())
    }

    /// Takes the job of this name off the schedule. A run of it that is going on goes on.
    ///
    /// # Errors
    ///
    /// When there is no such job.
    pub fn remove(&self, name: &str) -> Result<(), NoSuchJob> {
        let id = self.find(name)?;
        self.schedule.borrow_mut().remove(id)?;
        self.take_back(id, Instant::now());
        self.change();
        Ok(())
    }

    /// Holds the job of this name. A run that is going on or already due goes on.
    ///
    /// # Errors
    ///
    /// When there is no such job.
    pub fn pause(&self, name: &str) -> Result<(), NoSuchJob> {
        let id = self.find(name)?;
        self.schedule.borrow_mut().pause(id)
    }

    /// Lets the job of this name go on.
    ///
    /// # Errors
    ///
    /// When there is no such job.
    pub fn resume(&self, name: &str) -> Result<(), NoSuchJob> {
        let id = self.find(name)?;
        self.schedule.borrow_mut().resume(id, Instant::now())?;
        self.change();
        Ok(())
    }

    /// How the job of this name stands.
    ///
    /// # Errors
    ///
    /// When there is no such job.
    pub fn state(&self, name: &str) -> Result<JobState, NoSuchJob> {
        let schedule = self.schedule.borrow();
        let id = schedule.find(name).ok_or(NoSuchJob)?;
        schedule.state(id).ok_or(NoSuchJob)
    }

    /// Shows all jobs, with their names, empty for none. `visit` must not ask this value for anything.
    pub fn visit(&self, visit: &mut dyn FnMut(&'static str, JobState)) {
        for (name, state) in self.schedule.borrow().jobs() {
            visit(name, state);
        }
    }

    /// Waits until the job is due. The run ends when the returned value is dropped; slots of the
    /// job that come due until then are skipped. One waiter for each job.
    ///
    /// Cancellation safe: a run that is due stays so until somebody takes it. Pending for ever when
    /// the job has left for good.
    pub async fn due(&self, id: JobId) -> Run<'_> {
        let due = poll_fn(|context| {
            if self.schedule.borrow().state(id).is_none() {
                return Poll::Pending;
            }
            let mut waiters = self.waiters.borrow_mut();
            let waiter = &mut waiters[usize::from(id.index)];
            if let Some(due) = waiter.due.take() {
                return Poll::Ready(due);
            }
            waiter.waker.register(context.waker());
            Poll::Pending
        });
        Run {
            due: due.await,
            finish: self,
        }
    }

    /// Hands out what is due, for ever, and logs what was missed. Everything else waits for this.
    ///
    /// Cancellation safe: call it again, and what has come due meanwhile is treated as with a busy
    /// device.
    pub async fn run(&self, clock: &Clock, log: &Log<'_>) -> Infallible {
        loop {
            let clock_changed = clock.changed();
            let deadline = self.pass(clock, log);
            let reached = async {
                match deadline {
                    Some(deadline) => Timer::at(deadline).await,
                    None => pending().await,
                }
            };
            select3(reached, clock_changed, self.wait_for_change()).await;
        }
    }

    /// Hands out what is due now; returns when to look again.
    fn pass(&self, clock: &Clock, log: &Log<'_>) -> Option<Instant> {
        let mut schedule = self.schedule.borrow_mut();
        let mut waiters = self.waiters.borrow_mut();
        let now = Instant::now();
        while let Some(due) = schedule.due(now, clock) {
            let waiter = &mut waiters[usize::from(due.id.index)];
            waiter.due = Some(due);
            waiter.waker.wake();
        }
        while let Some(Missed { name, count }) = schedule.missed() {
            let name = if name.is_empty() {
                "without a name"
            } else {
                name
            };
            log!(
                log,
                Warn,
                "jobs",
                "job {name}: {count} run(s) left out, their time had passed"
            );
        }
        schedule.deadline()
    }

    fn find(&self, name: &str) -> Result<JobId, NoSuchJob> {
        self.schedule.borrow().find(name).ok_or(NoSuchJob)
    }

    /// Ends a run that nobody has taken.
    fn take_back(&self, id: JobId, now: Instant) {
        let untaken = self.waiters.borrow_mut()[usize::from(id.index)].due.take();
        if untaken.is_some() {
            self.schedule.borrow_mut().finished(id, now);
        }
    }

    fn change(&self) {
        self.changed.set(true);
        self.runner.borrow_mut().wake();
    }

    fn wait_for_change(&self) -> impl Future<Output = ()> {
        poll_fn(|context| {
            if self.changed.take() {
                return Poll::Ready(());
            }
            self.runner.borrow_mut().register(context.waker());
            Poll::Pending
        })
    }
}

/// A job's run; it lasts until this is dropped.
#[must_use = "the job's run ends when this is dropped"]
pub struct Run<'j> {
    due: Due,
    finish: &'j dyn Finish,
}

/// Spares [`Run`] the lifetime of the schedule's memory.
trait Finish {
    fn finish(&self, id: JobId);
}

impl Finish for Jobs<'_> {
    fn finish(&self, id: JobId) {
        self.schedule.borrow_mut().finished(id, Instant::now());
        self.change();
    }
}

impl Deref for Run<'_> {
    type Target = Due;

    fn deref(&self) -> &Due {
        &self.due
    }
}

impl Drop for Run<'_> {
    fn drop(&mut self) {
        self.finish.finish(self.due.id);
    }
}
