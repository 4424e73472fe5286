//! Jobs that run, each in a future of its own, in virtual time.

use std::cell::{Cell, RefCell};
use std::string::{String, ToString};
use std::vec::Vec;

use embassy_futures::join::{join, join4};
use embassy_futures::select::{Either, select};
use embassy_time::{Timer, with_timeout};

use super::super::{JobState, Jobs, JobsMemory, NoSuchJob, ScheduleError};
use super::*;
use crate::clock::TimeOfDay;
use crate::log::Log;

/// Runs `device` beside the jobs' runner, in virtual time, until `end`.
fn run_for(end: Duration, device: impl AsyncFnOnce(&Jobs<'_>, &Clock)) {
    sim::time::run_virtual(async {
        let mut memory = JobsMemory::<8>::new();
        let jobs = Jobs::new(&mut memory);
        let clock = Clock::new(Timezone::UTC);
        let mut buffer = [0; 2_048];
        let log = Log::new(&mut buffer);
        let all = join(jobs.run(&clock, &log), device(&jobs, &clock));
        assert!(matches!(
            select(all, Timer::after(end)).await,
            Either::Second(())
        ));
    });
}

#[test]
fn a_slow_job_keeps_its_grid_and_learns_what_it_skipped() {
    let runs = RefCell::new(Vec::new());
    run_for(secs(11), async |jobs, _| {
        let id = jobs.register(Job::every(secs(1)).named("slow")).unwrap();
        loop {
            let run = jobs.due(id).await;
            runs.borrow_mut()
                .push((Instant::now().as_millis(), run.skipped));
            Timer::after(millis(2_500)).await;
            drop(run);
        }
    });
    let expected = [(1_000, 0), (4_000, 2), (7_000, 2), (10_000, 2)];
    assert_eq!(runs.into_inner(), expected);
}

#[test]
fn a_job_that_hangs_does_not_hold_up_another() {
    let runs = Cell::new(0);
    run_for(millis(100_100), async |jobs, _| {
        let hung = jobs.register(Job::every(secs(1)).named("hung")).unwrap();
        let good = jobs.register(Job::every(secs(1)).named("good")).unwrap();
        let hang = async {
            let _run = jobs.due(hung).await;
            core::future::pending::<()>().await;
        };
        let work = async {
            loop {
                let _run = jobs.due(good).await;
                runs.set(runs.get() + 1);
            }
        };
        join(hang, work).await;
    });
    assert_eq!(runs.get(), 100);
}

#[test]
fn a_run_that_is_given_up_has_ended() {
    let runs = RefCell::new(Vec::new());
    run_for(secs(10), async |jobs, _| {
        let id = jobs.register(Job::every(secs(1))).unwrap();
        loop {
            let run = jobs.due(id).await;
            runs.borrow_mut().push(Instant::now().as_secs());
            let hang = async {
                let _run = run;
                core::future::pending::<()>().await;
            };
            with_timeout(millis(2_000), hang).await.unwrap_err();
        }
    });
    assert_eq!(runs.into_inner(), [1, 3, 5, 7, 9]);
}

#[test]
fn jobs_schedule_hold_and_remove_themselves_and_each_other_by_name() {
    let runs = RefCell::new(Vec::new());
    run_for(secs(20), async |jobs, _| {
        let every = |name| jobs.register(Job::every(secs(1)).named(name)).unwrap();
        let (first, second) = (every("first"), every("second"));
        let later = jobs.register(Job::idle().named("later")).unwrap();
        let work = async |id, name: &'static str, work: &dyn Fn(usize)| {
            let mut count = 0;
            loop {
                let _run = jobs.due(id).await;
                count += 1;
                runs.borrow_mut().push((Instant::now().as_secs(), name));
                work(count);
            }
        };
        let by_first = |run| match run {
            2 => jobs.pause("second").unwrap(),
            4 => {
                jobs.resume("second").unwrap();
                jobs.schedule("later", Job::once_in(secs(10))).unwrap();
            }
            5 => jobs.remove("first").unwrap(),
            _ => {}
        };
        let by_second = |run| {
            if run == 3 {
                jobs.schedule("second", Job::every(secs(5)).times(1))
                    .unwrap();
            }
        };
        let watch = async {
            Timer::after(secs(19)).await;
            for name in ["first", "second", "later"] {
                assert_eq!(jobs.state(name), Ok(JobState::Idle), "{name}");
            }
        };
        join4(
            work(first, "first", &by_first),
            work(second, "second", &by_second),
            work(later, "later", &|_| ()),
            watch,
        )
        .await;
    });
    let of = |name| {
        let runs = runs.borrow();
        let own = runs.iter().filter(|(_, other)| *other == name);
        own.map(|(second, _)| *second).collect::<Vec<_>>()
    };
    assert_eq!(of("first"), [1, 2, 3, 4, 5]);
    // At 2 s both are due at once, and a run that is due goes on.
    assert_eq!(of("second"), [1, 2, 4, 9]);
    assert_eq!(of("later"), [14]);
}

#[test]
fn a_run_that_is_due_is_taken_back_when_its_job_is_removed_or_scheduled_anew() {
    let runs = RefCell::new(Vec::new());
    run_for(secs(20), async |jobs, _| {
        let every = |name| jobs.register(Job::every(secs(1)).named(name)).unwrap();
        let (first, removed, moved) = (every("first"), every("removed"), every("moved"));
        let by_first = async {
            let _run = jobs.due(first).await;
            jobs.remove("removed").unwrap();
            jobs.schedule("moved", Job::once_in(secs(3))).unwrap();
            core::future::pending::<()>().await;
        };
        let work = async |id, name: &'static str| {
            let _run = jobs.due(id).await;
            runs.borrow_mut().push((Instant::now().as_secs(), name));
        };
        // Polled in this order, so the first acts before the others see that they are due.
        join(
            by_first,
            join(work(removed, "removed"), work(moved, "moved")),
        )
        .await;
    });
    assert_eq!(runs.into_inner(), [(4, "moved")]);
}

#[test]
fn setting_the_clock_wakes_the_jobs_that_go_by_it() {
    let runs = RefCell::new(Vec::new());
    run_for(secs(60 * 86_400), async |jobs, clock| {
        let daily = Job::daily(TimeOfDay::new(7, 0, 0)).times(2);
        let id = jobs.register(daily.named("daily")).unwrap();
        let work = async {
            loop {
                let run = jobs.due(id).await;
                let moment = run.moment.unwrap().to_string();
                runs.borrow_mut().push((Instant::now().as_secs(), moment));
            }
        };
        let set = async {
            Timer::after(secs(1_000)).await;
            assert_eq!(jobs.state("daily"), Ok(JobState::WaitingForClock));
            clock.set(unix("2026-11-22T06:00:00Z"), Instant::now());
            Timer::after(secs(600)).await;
            clock.set(unix("2026-11-22T06:50:00Z"), Instant::now());
        };
        join(work, set).await;
    });
    let run = |second, moment: &str| (second, String::from(moment));
    assert_eq!(
        runs.into_inner(),
        [
            run(2_200, "2026-11-22T07:00:00Z"),
            run(88_600, "2026-11-23T07:00:00Z")
        ]
    );
}

#[test]
fn a_waiter_that_is_dropped_leaves_the_run_for_the_next() {
    run_for(secs(10), async |jobs, _| {
        let id = jobs.register(Job::once_in(secs(1))).unwrap();
        with_timeout(millis(500), jobs.due(id))
            .await
            .map(drop)
            .unwrap_err();
        Timer::after(secs(4)).await;
        assert_eq!(jobs.due(id).await.slot, ms(1_000));
        with_timeout(secs(4), jobs.due(id))
            .await
            .map(drop)
            .unwrap_err();
    });
}

#[test]
fn a_job_added_at_run_time_leaves_for_good_and_makes_room() {
    run_for(secs(1_000), async |jobs, _| {
        for _ in 0..100 {
            let id = jobs.add(Job::once_in(secs(1)).named("shot")).unwrap();
            drop(jobs.due(id).await);
            assert_eq!(jobs.state("shot"), Err(NoSuchJob));
            assert_eq!(jobs.pause("shot"), Err(NoSuchJob));
            let anew = jobs.schedule("shot", Job::idle());
            assert_eq!(anew, Err(ScheduleError::NoSuchJob));
        }
    });
}

#[test]
fn a_runner_that_was_dropped_is_followed_by_another() {
    sim::time::run_virtual(async {
        let mut memory = JobsMemory::<8>::new();
        let jobs = Jobs::new(&mut memory);
        let clock = Clock::new(Timezone::UTC);
        let mut buffer = [0; 2_048];
        let log = Log::new(&mut buffer);
        let id = jobs.register(Job::every(secs(1))).unwrap();
        for round in 0..5 {
            let work = async {
                let run = jobs.due(id).await;
                assert_eq!(run.skipped, if round == 0 { 0 } else { 3 });
            };
            let either = select(jobs.run(&clock, &log), work).await;
            assert!(matches!(either, Either::Second(())));
            Timer::after(millis(3_500)).await;
            // Back on the grid, half a second before a slot.
            Timer::after(millis(500)).await;
        }
    });
}
