//! Intervals, counts, holding and changing.

use std::string::ToString;
use std::vec;
use std::vec::Vec;

use super::super::{AddError, JobState, NoSuchJob, ScheduleError};
use super::*;

const FOUR: [Slot; 4] = [Slot::VACANT; 4];

#[test]
fn run_n_starts_at_n_intervals_for_any_interval() {
    for interval in [1, 500, 1_000, 1_900, 86_400_000] {
        let mut slots = FOUR;
        let mut world = World::new(&mut slots);
        world.now = ms(12_345);
        world.add(Job::every(millis(interval)));
        let runs = world.runs_until(ms(12_345 + 1_000 * interval));
        let slots: Vec<Instant> = runs.iter().map(|due| due.slot).collect();
        let grid: Vec<Instant> = (1..=1_000).map(|n| ms(12_345 + n * interval)).collect();
        assert_eq!(slots, grid, "every {interval} ms");
        assert_eq!(world.missed(), [], "every {interval} ms");
    }
}

#[test]
fn the_first_run_is_when_it_is_told_to_be_and_the_grid_goes_on_from_there() {
    let mut slots = FOUR;
    let mut world = World::new(&mut slots);
    world.add(Job::every(secs(10)).starting_in(secs(3)).times(3));
    world.add(Job::every(secs(60)).starting_in(secs(0)).times(1));
    let runs = world.runs_until(ms(100_000));
    let slots: Vec<u64> = runs.iter().map(|due| due.slot.as_secs()).collect();
    assert_eq!(slots, [0, 3, 13, 23]);
}

#[test]
fn slots_that_come_due_while_the_job_runs_are_skipped_and_counted() {
    // A job of every second begins its run at 1 s and ends it at:
    for (ends, next, skipped) in [
        (1_000, 2_000, 0),
        (1_999, 2_000, 0),
        (2_000, 2_000, 0),
        (2_001, 3_000, 1),
        (3_000, 3_000, 1),
        (61_500, 62_000, 60),
    ] {
        let mut slots = FOUR;
        let mut world = World::new(&mut slots);
        let id = world.add(Job::every(secs(1)).named("slow"));
        assert_eq!(world.due_at(ms(1_000)).unwrap().skipped, 0);
        assert_eq!(world.due_at(ms(1_500)), None, "it runs already");
        world.finish(id, ms(ends));
        assert_eq!(world.schedule.deadline(), Some(ms(next)), "ends at {ends}");
        let due = world.due_at(ms(next)).unwrap();
        assert_eq!(
            (due.slot, due.skipped),
            (ms(next), skipped),
            "ends at {ends}"
        );
        let expected = if skipped > 0 {
            vec![Missed {
                name: "slow",
                count: skipped,
            }]
        } else {
            vec![]
        };
        assert_eq!(world.missed(), expected, "ends at {ends}");
        assert_eq!(world.missed(), [], "reported once");
    }
}

#[test]
fn a_busy_device_runs_the_latest_slot_late_and_is_on_the_grid_again() {
    for (asked, slot, skipped) in [
        (1_000, 1_000, 0),
        (1_999, 1_000, 0),
        (2_000, 2_000, 1),
        (3_500, 3_000, 2),
        (1_000_000_250, 1_000_000_000, 999_999),
    ] {
        let mut slots = FOUR;
        let mut world = World::new(&mut slots);
        let id = world.add(Job::every(secs(1)));
        let due = world.due_at(ms(asked)).unwrap();
        assert_eq!(
            (due.slot, due.skipped),
            (ms(slot), skipped),
            "asked at {asked}"
        );
        world.finish(id, ms(asked));
        assert_eq!(world.schedule.deadline(), Some(ms(slot + 1_000)));
        assert_eq!(world.due(), None, "never twice for one slot");
        assert_eq!(world.missed_count(), skipped);
    }
}

#[test]
fn a_job_ends_after_its_runs_and_its_slot_is_free_again() {
    let mut slots = [Slot::VACANT; 1];
    let mut world = World::new(&mut slots);
    let id = world.add(Job::every(secs(1)).times(2).named("twice"));
    world.due_at(ms(1_000)).unwrap();
    // Skips a slot: that uses up no run.
    world.finish(id, ms(2_500));
    world.due_at(ms(3_000)).unwrap();
    assert_eq!(world.schedule.state(id), Some(JobState::Running));
    assert_eq!(world.missed_count(), 1);
    world.finish(id, ms(3_100));
    assert_eq!(world.schedule.state(id), None);
    assert_eq!(world.schedule.find("twice"), None);
    assert_eq!(world.schedule.deadline(), None);
    assert_eq!(world.schedule.jobs().count(), 0);
    let other = world.add(Job::once_in(secs(1)).named("twice"));
    assert_ne!(id, other);
    assert_eq!(
        world.schedule.remove(id),
        Err(NoSuchJob),
        "the id is of no use now"
    );
    assert_eq!(world.runs_until(ms(10_000)).len(), 1);
}

#[test]
fn finished_jobs_leave_and_take_no_other_with_them() {
    let mut slots = FOUR;
    let mut world = World::new(&mut slots);
    for (name, runs) in [("one", 1), ("two", 2), ("three", 3), ("four", 4)] {
        world.add(Job::every(secs(1)).times(runs).named(name));
    }
    for left in [4, 3, 2, 1, 0] {
        assert_eq!(world.schedule.jobs().count(), left);
        let until = world.now + secs(1);
        assert_eq!(world.runs_until(until).len(), left);
    }
}

#[test]
fn a_registered_job_stays_known_after_its_last_run_and_its_removal() {
    let mut slots = FOUR;
    let mut world = World::new(&mut slots);
    let once = Job::once_in(secs(1)).named("blink");
    let id = world.schedule.register(once, world.now).unwrap();
    assert_eq!(world.runs_until(ms(5_000)).len(), 1);
    assert_eq!(world.schedule.state(id), Some(JobState::Idle));
    world
        .schedule
        .reschedule(id, Job::every(secs(1)), world.now)
        .unwrap();
    assert_eq!(world.runs_until(ms(7_000)).len(), 2);
    world.schedule.remove(id).unwrap();
    assert_eq!(world.schedule.state(id), Some(JobState::Idle));
    assert_eq!(world.runs_until(ms(9_000)), []);
    assert_eq!(world.schedule.find("blink"), Some(id));
}

#[test]
fn an_idle_job_and_one_of_no_runs_wait_until_they_are_scheduled() {
    let mut slots = FOUR;
    let mut world = World::new(&mut slots);
    let ids = [
        world.add(Job::idle().named("idle")),
        world.add(Job::every(secs(1)).times(0)),
        world.add(Job::daily(crate::clock::TimeOfDay::MIDNIGHT).times(0)),
    ];
    assert_eq!(world.schedule.deadline(), None);
    assert_eq!(world.runs_until(ms(5_000)), []);
    for id in ids {
        let job = Job::once_in(secs(1));
        world.schedule.reschedule(id, job, world.now).unwrap();
    }
    assert_eq!(world.runs_until(ms(6_000)).len(), 3);
}

#[test]
fn what_passes_in_a_pause_is_neither_run_nor_counted_and_the_grid_stays() {
    let mut slots = FOUR;
    let mut world = World::new(&mut slots);
    let id = world.add(Job::every(secs(1)).times(4));
    assert_eq!(world.runs_until(ms(2_000)).len(), 2);
    world.schedule.pause(id).unwrap();
    assert_eq!(world.schedule.state(id), Some(JobState::Paused));
    assert_eq!(world.runs_until(ms(10_700)), []);
    world.schedule.pause(id).unwrap();
    world.schedule.resume(id, world.now).unwrap();
    world.schedule.resume(id, world.now).unwrap();
    let runs = world.runs_until(ms(20_000));
    let slots: Vec<u64> = runs.iter().map(|due| due.slot.as_millis()).collect();
    assert_eq!(slots, [11_000, 12_000], "two of four runs were left");
    assert_eq!(world.missed(), []);
}

#[test]
fn a_one_shot_whose_time_passed_in_a_pause_runs_when_resumed() {
    let mut slots = FOUR;
    let mut world = World::new(&mut slots);
    let id = world.add(Job::once_in(secs(1)));
    world.schedule.pause(id).unwrap();
    assert_eq!(world.runs_until(ms(10_000)), []);
    world.schedule.resume(id, world.now).unwrap();
    assert_eq!(world.due().unwrap().slot, ms(1_000));
}

#[test]
fn a_job_may_pause_and_resume_itself() {
    let mut slots = FOUR;
    let mut world = World::new(&mut slots);
    let id = world.add(Job::every(secs(1)));
    world.due_at(ms(1_000)).unwrap();
    world.schedule.pause(id).unwrap();
    world.finish(id, ms(1_100));
    assert_eq!(world.schedule.state(id), Some(JobState::Paused));
    assert_eq!(world.due_at(ms(5_000)), None);
    world.schedule.resume(id, ms(5_500)).unwrap();
    world.due_at(ms(6_000)).unwrap();
    world.schedule.pause(id).unwrap();
    world.schedule.resume(id, ms(8_500)).unwrap();
    world.finish(id, ms(10_500));
    assert_eq!(
        world.missed_count(),
        2,
        "9 s and 10 s, after it was resumed"
    );
    assert_eq!(world.schedule.deadline(), Some(ms(11_000)));
}

#[test]
fn a_job_may_schedule_itself_anew_from_within_its_run() {
    let mut slots = FOUR;
    let mut world = World::new(&mut slots);
    let id = world.add(Job::once_in(secs(1)).named("again"));
    for round in 1..=5u64 {
        world.due_at(ms(round * 1_000)).unwrap();
        world
            .schedule
            .reschedule(id, Job::once_in(secs(1)), world.now)
            .unwrap();
        assert_eq!(world.due(), None, "it runs still");
        world.finish(id, world.now + millis(100));
    }
    assert_eq!(world.schedule.find("again"), Some(id));
    // One that comes due before the run has ended is late, not lost.
    world.due_at(ms(6_000)).unwrap();
    world
        .schedule
        .reschedule(id, Job::once_in(millis(10)), world.now)
        .unwrap();
    world.finish(id, ms(7_000));
    assert_eq!(world.due().unwrap().slot, ms(6_010));
    world.finish(id, ms(7_000));
    assert_eq!(world.schedule.find("again"), None);
}

#[test]
fn a_job_may_change_its_interval_from_within_its_run() {
    let mut slots = FOUR;
    let mut world = World::new(&mut slots);
    let id = world.add(Job::every(secs(1)));
    world.due_at(ms(1_000)).unwrap();
    world.now = ms(1_200);
    world
        .schedule
        .reschedule(id, Job::every(millis(300)), world.now)
        .unwrap();
    world.finish(id, ms(1_600));
    let due = world.due_at(ms(1_800)).unwrap();
    assert_eq!((due.slot, due.skipped), (ms(1_800), 1));
}

#[test]
fn a_job_may_remove_itself_from_within_its_run() {
    let mut slots = FOUR;
    let mut world = World::new(&mut slots);
    let id = world.add(Job::every(secs(1)));
    world.due_at(ms(1_000)).unwrap();
    world.schedule.remove(id).unwrap();
    assert_eq!(world.schedule.state(id), Some(JobState::Running));
    world.finish(id, ms(9_000));
    assert_eq!(world.schedule.state(id), None);
    assert_eq!((world.due(), world.missed()), (None, vec![]));
}

#[test]
fn what_was_skipped_is_reported_even_if_the_job_is_removed_before() {
    let mut slots = FOUR;
    let mut world = World::new(&mut slots);
    let id = world.add(Job::every(secs(1)).named("gone"));
    world.due_at(ms(1_000)).unwrap();
    world.finish(id, ms(4_500));
    world.schedule.remove(id).unwrap();
    assert_eq!(world.missed_count(), 3);
    assert_eq!(world.schedule.find("gone"), None);
}

#[test]
fn jobs_that_cannot_be_are_refused_with_the_reason() {
    let mut slots = [Slot::VACANT; 2];
    let mut world = World::new(&mut slots);
    let too_short = Job::every(Duration::from_micros(999));
    let id = world.add(Job::every(millis(1)).named("a"));
    let add = |world: &mut World<'_>, job| world.schedule.add(job, world.now);
    assert_eq!(add(&mut world, too_short), Err(AddError::IntervalTooShort));
    assert_eq!(
        world.schedule.reschedule(id, too_short, world.now),
        Err(ScheduleError::IntervalTooShort)
    );
    assert_eq!(world.schedule.deadline(), Some(ms(1)), "it is as it was");
    let taken = add(&mut world, Job::idle().named("a"));
    assert_eq!(taken, Err(AddError::NameTaken));
    add(&mut world, Job::idle()).unwrap();
    assert_eq!(add(&mut world, Job::idle()), Err(AddError::Full));
    assert!(AddError::Full.to_string().contains("JobsMemory"));
}

#[test]
fn the_longest_times_do_not_overflow() {
    let mut slots = FOUR;
    let mut world = World::new(&mut slots);
    world.now = Instant::from_ticks(u64::MAX - 10);
    world.add(Job::every(Duration::MAX));
    world.add(Job::once_in(Duration::MAX));
    let id = world.add(Job::every(millis(1)).starting_in(Duration::MAX));
    world.schedule.pause(id).unwrap();
    world.schedule.resume(id, world.now).unwrap();
    world.add(Job::once_at(UnixTime::from_micros(i64::MAX)));
    world.clock.set(UnixTime::from_micros(i64::MIN), world.now);
    assert_eq!(world.due(), None);
    for time in [i64::MAX, i64::MIN, 0] {
        world.clock.set(UnixTime::from_micros(time), world.now);
        world.due();
    }
}

#[test]
fn a_thousand_jobs_each_keep_their_own_grid() {
    let mut slots = vec![Slot::VACANT; 1_000];
    let mut world = World::new(&mut slots);
    let ids: Vec<JobId> = (0..1_000u64)
        .map(|job| world.add(Job::every(millis(500 + job))))
        .collect();
    let runs = world.runs_until(ms(60_000));
    for (job, id) in (0..1_000u64).zip(ids) {
        let own: Vec<u64> = runs
            .iter()
            .filter(|due| due.id == id)
            .map(|due| due.slot.as_millis())
            .collect();
        let interval = 500 + job;
        let grid: Vec<u64> = (1..=60_000 / interval).map(|n| n * interval).collect();
        assert_eq!(own, grid, "every {interval} ms");
    }
    let in_order = runs.is_sorted_by_key(|due| due.slot);
    assert!(in_order, "what is due first runs first");
}
