//! The schedule against a naive one that keeps a list and looks at every job each time.

use std::vec;
use std::vec::Vec;

use proptest::prelude::*;

use super::*;

#[derive(Debug, Clone)]
enum Move {
    Add { interval: u64, runs: u32 },
    Once(u64),
    Remove(usize),
    Pause(usize),
    Resume(usize),
    Reschedule { job: usize, interval: u64 },
    Finish(usize),
    Wait(u64),
}

fn moves() -> impl Strategy<Value = Vec<Move>> {
    let interval = || 1..40u64;
    let job = || 0..6usize;
    let one = prop_oneof![
        2 => (interval(), prop_oneof![Just(u32::MAX), 1..4u32])
            .prop_map(|(interval, runs)| Move::Add { interval, runs }),
        1 => interval().prop_map(Move::Once),
        1 => job().prop_map(Move::Remove),
        1 => job().prop_map(Move::Pause),
        2 => job().prop_map(Move::Resume),
        1 => (job(), interval()).prop_map(|(job, interval)| Move::Reschedule { job, interval }),
        6 => job().prop_map(Move::Finish),
        8 => (0..60u64).prop_map(Move::Wait),
    ];
    prop::collection::vec(one, 0..120)
}

/// A job of the model, in milliseconds: `next` is its next slot.
#[derive(Debug, Clone)]
struct Naive {
    id: JobId,
    next: Option<u64>,
    interval: Option<u64>,
    runs: u32,
    running: bool,
    paused: bool,
    skipped: u32,
}

impl Naive {
    /// One slot after the other.
    fn advance(&mut self, passed: impl Fn(u64) -> bool) -> u32 {
        let mut count = 0;
        while let (Some(next), Some(interval)) = (self.next, self.interval)
            && passed(next)
        {
            self.next = Some(next + interval);
            count += 1;
        }
        count
    }

    fn due(&mut self, now: u64) -> Option<(u64, u32)> {
        let slot = self.next.filter(|next| *next <= now)?;
        if self.running || self.paused {
            return None;
        }
        let interval = self.interval;
        self.skipped += self.advance(|next| interval.is_some_and(|it| next + it <= now));
        let slot = self.next.unwrap_or(slot);
        self.running = true;
        self.runs = self.runs.saturating_sub(u32::from(self.runs != u32::MAX));
        self.next = interval.map(|it| slot + it).filter(|_| self.runs > 0);
        Some((slot, core::mem::take(&mut self.skipped)))
    }

    fn finish(&mut self, now: u64) {
        if core::mem::replace(&mut self.running, false) && !self.paused {
            self.skipped += self.advance(|next| next < now);
        }
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(1_000))]

    #[test]
    fn every_history_of_moves_is_as_in_a_naive_schedule(moves in moves()) {
        let mut slots = vec![Slot::VACANT; 6];
        let mut world = World::new(&mut slots);
        let mut model: Vec<Naive> = Vec::new();
        let mut now = 0;
        let new = |id, next, interval, runs| Naive {
            id, next: Some(next), interval, runs, running: false, paused: false, skipped: 0,
        };
        for step in moves {
            let job = |job: usize| model.get(job).map(|naive| naive.id);
            match step {
                Move::Add { interval, runs } => {
                    let mut wanted = Job::every(millis(interval));
                    if runs != u32::MAX {
                        wanted = wanted.times(runs);
                    }
                    if let Ok(id) = world.schedule.add(wanted, world.now) {
                        model.push(new(id, now + interval, Some(interval), runs));
                    } else {
                        prop_assert_eq!(model.len(), 6);
                    }
                }
                Move::Once(delay) => {
                    if let Ok(id) = world.schedule.add(Job::once_in(millis(delay)), world.now) {
                        model.push(new(id, now + delay, None, 1));
                    } else {
                        prop_assert_eq!(model.len(), 6);
                    }
                }
                Move::Remove(index) => if let Some(id) = job(index) {
                    world.schedule.remove(id).unwrap();
                    model[index].next = None;
                    model[index].paused = false;
                },
                Move::Pause(index) => if let Some(id) = job(index) {
                    world.schedule.pause(id).unwrap();
                    model[index].paused = model[index].next.is_some();
                },
                Move::Resume(index) => if let Some(id) = job(index) {
                    world.schedule.resume(id, world.now).unwrap();
                    if core::mem::replace(&mut model[index].paused, false) {
                        model[index].advance(|next| next < now);
                    }
                },
                Move::Reschedule { job: index, interval } => if let Some(id) = job(index) {
                    let wanted = Job::every(millis(interval));
                    world.schedule.reschedule(id, wanted, world.now).unwrap();
                    let naive = &mut model[index];
                    (naive.next, naive.interval) = (Some(now + interval), Some(interval));
                    (naive.runs, naive.paused) = (u32::MAX, false);
                },
                Move::Finish(index) => if let Some(id) = job(index) {
                    world.schedule.finished(id, world.now);
                    model[index].finish(now);
                },
                Move::Wait(time) => {
                    now += time;
                    world.now = ms(now);
                    let mut expected: Vec<_> = model
                        .iter_mut()
                        .filter_map(|naive| Some((naive.id, naive.due(now)?)))
                        .collect();
                    let mut found = Vec::new();
                    while let Some(due) = world.due() {
                        found.push((due.id, (due.slot.as_millis(), due.skipped)));
                    }
                    let key = |(id, _): &(JobId, _)| id.index;
                    expected.sort_by_key(key);
                    found.sort_by_key(key);
                    prop_assert_eq!(found, expected);
                    let waiting = model.iter().filter(|naive| !naive.running && !naive.paused);
                    let next = waiting.filter_map(|naive| naive.next).min();
                    prop_assert_eq!(world.schedule.deadline(), next.map(ms));
                }
            }
            world.missed();
            model.retain(|naive| naive.running || naive.next.is_some());
            prop_assert_eq!(world.schedule.jobs().count(), model.len());
        }
    }
}
