//! One job's place in the caller's memory, and the order in which jobs come due.
//!
//! The order is a binary heap whose array is spread over the slots themselves, so that the caller
//! hands over one piece of memory and any job can be taken out or moved in logarithmic time.

use super::plan::Plan;

/// Memory for one job: 88 bytes on a chip of 32 bits.
#[derive(Debug, Clone)]
pub struct Slot {
    pub(super) name: &'static str,
    pub(super) plan: Plan,
    /// Runs left; `u32::MAX`: for ever.
    pub(super) runs: u32,
    /// Slots not run since the last run, to be told to the next.
    pub(super) skipped: u32,
    /// Slots not run and not yet reported.
    pub(super) unreported: u32,
    pub(super) generation: u16,
    pub(super) taken: bool,
    /// Stays known when it has left the schedule.
    pub(super) kept: bool,
    pub(super) running: bool,
    pub(super) paused: bool,
    /// When to look at the job, in ticks.
    pub(super) due: u64,
    /// Where in the heap this job stands.
    place: u16,
    /// Which job stands in the heap at the place of this slot's own number.
    job_at: u16,
}

const NOWHERE: u16 = u16::MAX;

impl Slot {
    /// A free one.
    pub const VACANT: Self = Self {
        name: "",
        plan: Plan::Idle,
        runs: 0,
        skipped: 0,
        unreported: 0,
        generation: 0,
        taken: false,
        kept: false,
        running: false,
        paused: false,
        due: 0,
        place: NOWHERE,
        job_at: NOWHERE,
    };

    /// Whether the job waits for its time.
    pub(super) fn is_queued(&self) -> bool {
        self.place != NOWHERE
    }

    /// Makes the slot free; whoever still has its job's id finds nothing.
    pub(super) fn leave(&mut self) {
        *self = Self {
            generation: self.generation.wrapping_add(1),
            // That of the heap's place, which may be another job's.
            job_at: self.job_at,
            ..Self::VACANT
        };
    }

    pub(super) fn skip(&mut self, count: u32) {
        self.skipped = self.skipped.saturating_add(count);
        self.unreported = self.unreported.saturating_add(count);
    }
}

/// The heap: the job that is due first is at place 0; of two due at once, the one added to the
/// lower slot.
#[derive(Debug)]
pub(super) struct Queue {
    length: usize,
}

impl Queue {
    pub(super) const EMPTY: Self = Self { length: 0 };

    /// The job that is due first.
    pub(super) fn first(&self, slots: &[Slot]) -> Option<usize> {
        (self.length > 0).then(|| job_at(slots, 0))
    }

    /// Puts a job in, or moves it, to be due at `due`.
    pub(super) fn put(&mut self, slots: &mut [Slot], job: usize, due: u64) {
        slots[job].due = due;
        let mut place = usize::from(slots[job].place);
        if !slots[job].is_queued() {
            place = self.length;
            self.length += 1;
        }
        self.sift(slots, job, place);
    }

    /// Takes a job out, if it is in.
    pub(super) fn take(&mut self, slots: &mut [Slot], job: usize) {
        if !slots[job].is_queued() {
            return;
        }
        let place = usize::from(slots[job].place);
        slots[job].place = NOWHERE;
        self.length -= 1;
        if place < self.length {
            let last = job_at(slots, self.length);
            self.sift(slots, last, place);
        }
    }

    /// Finds the place of `job`, for which `place` has been made free.
    fn sift(&self, slots: &mut [Slot], job: usize, mut place: usize) {
        while place > 0 {
            let parent = (place - 1) / 2;
            let above = job_at(slots, parent);
            if !before(slots, job, above) {
                break;
            }
            set(slots, place, above);
            place = parent;
        }
        loop {
            let left = 2 * place + 1;
            if left >= self.length {
                break;
            }
            let mut child = left;
            let mut below = job_at(slots, left);
            if left + 1 < self.length {
                let right = job_at(slots, left + 1);
                if before(slots, right, below) {
                    child = left + 1;
                    below = right;
                }
            }
            if !before(slots, below, job) {
                break;
            }
            set(slots, place, below);
            place = child;
        }
        set(slots, place, job);
    }
}

fn before(slots: &[Slot], one: usize, other: usize) -> bool {
    (slots[one].due, one) < (slots[other].due, other)
}

fn job_at(slots: &[Slot], place: usize) -> usize {
    usize::from(slots[place].job_at)
}

fn set(slots: &mut [Slot], place: usize, job: usize) {
    // The schedule uses at most 65,535 slots, so both fit, and neither is NOWHERE.
    slots[place].job_at = job as u16;
    slots[job].place = place as u16;
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;
    use std::vec;

    use proptest::prelude::*;

    use super::*;

    proptest! {
        #[test]
        fn the_queue_is_a_sorted_map_that_keeps_one_entry_for_each_job(
            moves in prop::collection::vec(
                (0..24usize, prop::option::weighted(0.7, 0..50u64)),
                0..200,
            ),
        ) {
            let mut slots = vec![Slot::VACANT; 24];
            let mut queue = Queue::EMPTY;
            let mut model = BTreeMap::new();
            for (job, due) in moves {
                match due {
                    Some(due) => {
                        queue.put(&mut slots, job, due);
                        model.insert(job, due);
                    }
                    None => {
                        queue.take(&mut slots, job);
                        model.remove(&job);
                    }
                }
                let first = model.iter().map(|(job, due)| (due, job)).min();
                prop_assert_eq!(queue.first(&slots), first.map(|(_, job)| *job));
                prop_assert_eq!(queue.length, model.len());
            }
        }
    }
}
