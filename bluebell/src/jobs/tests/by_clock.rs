//! Times of day and dates: the clock set late, stepped, and daylight saving.

use std::collections::BTreeMap;
use std::string::{String, ToString};
use std::vec;
use std::vec::Vec;

use proptest::prelude::*;

use super::super::JobState;
use super::*;
use crate::clock::{LocalDateTime, TimeOfDay, Weekday, Weekdays};

const SEVEN: TimeOfDay = TimeOfDay::new(7, 0, 0);
const TWO: [Slot; 2] = [Slot::VACANT; 2];

/// The moments of runs, as `11-22T07:00:00`.
fn moments(runs: &[Due]) -> Vec<String> {
    let moment = |due: &Due| due.moment.unwrap().to_string()[5..19].to_string();
    runs.iter().map(moment).collect()
}

#[test]
fn a_daily_job_runs_when_the_clock_shows_its_time() {
    let mut slots = TWO;
    let mut world = World::new(&mut slots);
    world.set_clock("2026-11-22T06:00:00Z");
    world.add(Job::daily(SEVEN));
    let runs = world.runs_until(world.after(72, 0));
    let expected = ["11-22T07:00:00", "11-23T07:00:00", "11-24T07:00:00"];
    assert_eq!(moments(&runs), expected);
    let instants: Vec<u64> = runs.iter().map(|due| due.slot.as_secs()).collect();
    assert_eq!(instants, [3_600, 90_000, 176_400]);
    assert_eq!(world.missed(), []);
}

#[test]
fn a_job_by_the_clock_waits_until_the_clock_is_set() {
    let mut slots = TWO;
    let mut world = World::new(&mut slots);
    let daily = world.add(Job::daily(SEVEN));
    let once = world.add(Job::once_at(unix("2026-11-22T06:30:00Z")));
    assert_eq!(world.due(), None);
    for id in [daily, once] {
        assert_eq!(world.schedule.state(id), Some(JobState::WaitingForClock));
    }
    assert_eq!(world.schedule.deadline(), None);
    world.now = world.after(5, 0);
    world.set_clock("2026-11-22T06:00:00Z");
    let runs = world.runs_until(world.after(2, 0));
    assert_eq!(moments(&runs), ["11-22T06:30:00", "11-22T07:00:00"]);
}

#[test]
fn what_passed_before_the_clock_was_set_runs_late_within_the_grace_or_is_missed() {
    // Scheduled at boot; so much later the clock is set to 07:05.
    for (grace, uptime, runs, missed) in [
        (600, 10 * 60, 1, 0),
        (300, 10 * 60, 1, 0),
        (299, 10 * 60, 0, 1),
        (600, 4 * 60, 0, 0), // Before boot: not this device's affair.
        (0, 10 * 60, 0, 1),
        (600, 50 * 3_600, 1, 2), // Two days passed, and today's is late.
        (10, 50 * 3_600, 0, 3),
    ] {
        let mut slots = TWO;
        let mut world = World::new(&mut slots);
        world.now = ms(60_000);
        world.add(Job::daily(SEVEN).grace(secs(grace)));
        world.due();
        world.now += secs(uptime);
        world.set_clock("2026-11-22T07:05:00Z");
        let due: Vec<Due> = world.runs_until(world.now);
        assert_eq!(
            (due.len(), world.missed_count()),
            (runs, missed),
            "{uptime} s, {grace} s"
        );
        for due in due {
            assert_eq!(due.slot, Instant::from_secs(60 + uptime - 300));
            assert_eq!(due.skipped, missed);
        }
        let rest = world.runs_until(world.after(24, 0));
        assert_eq!(moments(&rest), ["11-23T07:00:00"]);
        assert_eq!(world.missed(), []);
    }
}

#[test]
fn a_step_forward_past_a_slot_runs_it_once_within_the_grace_or_counts_it() {
    for (to, runs, missed) in [
        ("2026-11-22T06:59:59Z", 0, 0),
        ("2026-11-22T07:00:00Z", 1, 0),
        ("2026-11-22T07:10:00Z", 1, 0),
        ("2026-11-22T07:10:01Z", 0, 1),
        ("2026-11-25T07:00:01Z", 1, 3),
        ("2126-11-22T06:00:00Z", 0, 36_524),
    ] {
        let mut slots = TWO;
        let mut world = World::new(&mut slots);
        world.set_clock("2026-11-22T06:00:00Z");
        world.add(Job::daily(SEVEN));
        world.runs_until(world.after(0, 30));
        world.set_clock(to);
        assert_eq!(world.runs_until(world.now).len(), runs, "to {to}");
        assert_eq!(world.missed_count(), missed, "to {to}");
        world.set_clock(to);
        assert_eq!(world.runs_until(world.now), [], "once");
        assert_eq!(world.missed(), []);
        assert_eq!(world.runs_until(world.after(24, 0)).len(), 1, "after {to}");
    }
}

#[test]
fn a_step_back_never_runs_a_slot_again() {
    for to in [
        "2026-11-24T06:59:59Z",
        "2026-11-24T06:00:00Z",
        "2026-11-23T06:00:00Z",
        "2026-11-22T06:00:00Z",
    ] {
        let mut slots = TWO;
        let mut world = World::new(&mut slots);
        world.set_clock("2026-11-22T06:00:00Z");
        world.add(Job::daily(SEVEN));
        assert_eq!(world.runs_until(world.after(50, 0)).len(), 3);
        world.set_clock(to);
        let runs = world.runs_until(world.after(4 * 24, 0));
        assert_eq!(moments(&runs)[0], "11-25T07:00:00", "back to {to}");
        assert_eq!(world.missed(), []);
    }
}

#[test]
fn a_step_back_over_a_slot_that_was_missed_runs_it_when_its_time_comes() {
    let mut slots = TWO;
    let mut world = World::new(&mut slots);
    world.set_clock("2026-11-22T06:00:00Z");
    world.add(Job::daily(SEVEN));
    world.due();
    world.set_clock("2026-11-22T12:00:00Z");
    assert_eq!((world.due(), world.missed_count()), (None, 1));
    world.set_clock("2026-11-22T06:00:00Z");
    let runs = world.runs_until(world.after(2, 0));
    assert_eq!(moments(&runs), ["11-22T07:00:00"]);
}

#[test]
fn days_that_a_step_back_makes_new_are_run() {
    let mut slots = TWO;
    let mut world = World::new(&mut slots);
    world.set_clock("2026-11-28T06:00:00Z");
    world.add(Job::daily(SEVEN));
    assert_eq!(world.runs_until(world.after(26, 0)).len(), 2);
    world.set_clock("2026-11-25T06:00:00Z");
    let runs = world.runs_until(world.after(6 * 24, 0));
    let expected = [
        "11-25T07:00:00",
        "11-26T07:00:00",
        "11-27T07:00:00",
        "11-30T07:00:00",
    ];
    assert_eq!(moments(&runs), expected, "the 28th and 29th had their runs");
    assert_eq!(world.missed(), []);
}

#[test]
fn a_month_back_no_day_is_run_again() {
    let mut slots = TWO;
    let mut world = World::new(&mut slots);
    world.set_clock("2026-01-01T06:00:00Z");
    world.add(Job::daily(SEVEN));
    assert_eq!(world.runs_until(world.after(200 * 24, 0)).len(), 200);
    let then = world.clock.unix(world.now).unwrap();
    world
        .clock
        .set(then.plus_micros(-31 * 86_400_000_000), world.now);
    let runs = world.runs_until(world.after(40 * 24, 0));
    assert_eq!(runs.len(), 9);
    assert_eq!(moments(&runs)[0], "07-20T07:00:00");
}

#[test]
fn an_excursion_of_the_clock_to_another_year_and_back_forgets_nothing() {
    let mut slots = TWO;
    let mut world = World::new(&mut slots);
    world.set_clock("2026-11-20T06:00:00Z");
    world.add(Job::daily(SEVEN));
    assert_eq!(world.runs_until(world.after(50, 0)).len(), 3);
    world.set_clock("2040-01-01T06:00:00Z");
    world.runs_until(world.after(50, 0));
    assert!(world.missed_count() > 4_000);
    world.set_clock("2026-11-22T06:00:00Z");
    let runs = world.runs_until(world.after(3 * 24, 0));
    assert_eq!(moments(&runs), ["11-23T07:00:00", "11-24T07:00:00"]);
    assert_eq!(world.missed(), []);
}

#[test]
fn small_corrections_around_a_slot_run_it_once() {
    let mut slots = TWO;
    let mut world = World::new(&mut slots);
    world.set_clock("2026-11-22T06:59:58Z");
    world.add(Job::daily(SEVEN));
    let mut runs = 0;
    // The clock runs fast and is set back by half a second, again and again.
    for _ in 0..20 {
        runs += world.runs_until(world.now + millis(700)).len();
        let now = world.clock.unix(world.now).unwrap();
        world.clock.set(now.plus_micros(-500_000), world.now);
    }
    assert_eq!((runs, world.missed_count()), (1, 0));
}

#[test]
fn weekdays_are_those_of_the_local_calendar() {
    let mut slots = TWO;
    let mut world = World::new(&mut slots);
    world
        .clock
        .set_timezone(Timezone::parse("<+12>-12").unwrap());
    world.set_clock("2026-11-22T00:00:00Z"); // A Sunday noon.
    world.add(Job::weekly(Weekdays::only(Weekday::Monday), SEVEN));
    world.add(Job::weekly(Weekdays::NONE, SEVEN));
    let runs = world.runs_until(world.after(15 * 24, 0));
    let mondays_at_seven = ["11-22T19:00:00", "11-29T19:00:00", "12-06T19:00:00"];
    assert_eq!(moments(&runs), mondays_at_seven);
    assert_eq!(world.schedule.jobs().count(), 1, "a job on no day leaves");
}

#[test]
fn a_date_runs_once_and_leaves() {
    let local = LocalDateTime::new(2026, 11, 22, SEVEN);
    for (job, moment) in [
        (Job::once_at(unix("2026-11-22T06:30:00Z")), "11-22T06:30:00"),
        (Job::once_at(local), "11-22T06:00:00"),
        // Passed when it was scheduled, but within the grace.
        (Job::once_at(unix("2026-11-22T04:55:00Z")), "11-22T04:55:00"),
    ] {
        let mut slots = TWO;
        let mut world = World::new(&mut slots);
        world.clock.set_timezone(Timezone::parse("CET-1").unwrap());
        world.set_clock("2026-11-22T05:00:00Z");
        let id = world.add(job);
        assert_eq!(moments(&world.runs_until(world.after(48, 0))), [moment]);
        assert_eq!(world.schedule.state(id), None);
        assert_eq!(world.missed(), []);
        world.set_clock("2026-11-22T04:00:00Z");
        assert_eq!(world.runs_until(world.after(48, 0)), []);
    }
}

#[test]
fn a_date_that_is_long_past_is_reported_and_leaves() {
    let mut slots = TWO;
    let mut world = World::new(&mut slots);
    let id = world.add(Job::once_at(unix("2026-11-22T04:00:00Z")).named("past"));
    assert_eq!(world.due(), None);
    world.set_clock("2026-11-22T05:00:00Z");
    assert_eq!(world.due(), None);
    let past = Missed {
        name: "past",
        count: 1,
    };
    assert_eq!(world.missed(), [past]);
    assert_eq!(world.schedule.state(id), None);
}

#[test]
fn a_pause_over_a_daily_slot_is_no_miss() {
    let mut slots = TWO;
    let mut world = World::new(&mut slots);
    world.set_clock("2026-11-22T06:00:00Z");
    let id = world.add(Job::daily(SEVEN));
    world.due();
    world.schedule.pause(id).unwrap();
    assert_eq!(world.runs_until(world.after(1, 5)), []);
    world.schedule.resume(id, world.now).unwrap();
    let runs = world.runs_until(world.after(24, 0));
    assert_eq!(moments(&runs), ["11-23T07:00:00"]);
    assert_eq!(world.missed(), []);
}

#[test]
fn counts_starts_and_changes_hold_for_daily_jobs_too() {
    let mut slots = TWO;
    let mut world = World::new(&mut slots);
    world.set_clock("2026-11-22T06:00:00Z");
    let id = world.add(Job::daily(SEVEN).times(3).starting_in(secs(2 * 86_400)));
    world.due();
    // A delay is counted in true time: what the clock is set to does not matter.
    world.set_clock("2026-11-23T06:00:00Z");
    let runs = world.runs_until(world.after(30 * 24, 0));
    let expected = ["11-25T07:00:00", "11-26T07:00:00", "11-27T07:00:00"];
    assert_eq!(moments(&runs), expected);
    assert_eq!(world.schedule.state(id), None);

    let id = world.add(Job::daily(SEVEN));
    world.runs_until(world.after(1, 30));
    let nine = Job::daily(TimeOfDay::new(9, 0, 0)).times(1);
    world.schedule.reschedule(id, nine, world.now).unwrap();
    let runs = world.runs_until(world.after(30, 0));
    assert_eq!(moments(&runs), ["12-23T09:00:00"]);
}

#[test]
fn another_time_zone_moves_the_slot_but_makes_no_second_one_of_a_day() {
    let mut slots = TWO;
    let mut world = World::new(&mut slots);
    world.set_clock("2026-11-22T06:00:00Z");
    world.add(Job::daily(SEVEN));
    assert_eq!(world.runs_until(world.after(2, 0)).len(), 1);
    // It is 03:00 here now, and it has been seven today.
    world.clock.set_timezone(Timezone::parse("AAA5").unwrap());
    let runs = world.runs_until(world.after(30, 0));
    assert_eq!(moments(&runs), ["11-23T12:00:00"]);
}

/// Over two years in which the hour is skipped and repeated twice each, every local date gets its
/// one run.
#[test]
fn no_day_is_lost_or_doubled_where_daylight_saving_skips_or_repeats_its_time() {
    for zone in [
        "CET-1CEST,M3.5.0,M10.5.0/3",
        "NZST-12NZDT,M9.5.0,M4.1.0/3",
        "<+1030>-10:30<+11>-11,M10.1.0,M4.1.0",
        "EET-2EEST,M4.5.5/0,M10.5.4/24",
        "<-04>4<-03>,M9.1.6/24,M4.1.6/24",
        "<-02>2<-01>,M3.5.0/-1,M10.5.0/0",
        "IST-1GMT0,M10.5.0,M3.5.0/1",
    ] {
        let zone_of = Timezone::parse(zone).unwrap();
        let oracle = jiff::tz::TimeZone::posix(zone).unwrap();
        for time in [
            "00:00:00", "00:30:00", "01:45:00", "02:00:00", "02:30:00", "03:00:00",
        ] {
            let time: jiff::civil::Time = time.parse().unwrap();
            let mut slots = TWO;
            let mut world = World::new(&mut slots);
            world.clock.set_timezone(zone_of);
            world.set_clock("2026-06-15T11:00:00Z");
            let of_day = TimeOfDay::new(time.hour() as u8, time.minute() as u8, 0);
            world.add(Job::daily(of_day));
            let runs = world.runs_until(world.after(2 * 365 * 24, 0));
            assert_eq!(runs.len(), 2 * 365, "{zone} {time}");
            assert_eq!(world.missed(), [], "{zone} {time}");
            for due in runs {
                let moment = due.moment.unwrap();
                let at = jiff::Timestamp::from_second(moment.seconds()).unwrap();
                let shown = oracle.to_datetime(at);
                // "compatible" is our rule for a repeated time: the first; a skipped one is the
                // gap's end.
                let wanted = shown.date().to_datetime(time);
                let ambiguous = oracle.to_ambiguous_timestamp(wanted);
                if shown.time() == time {
                    assert_eq!(ambiguous.compatible().unwrap(), at, "{zone} {time}");
                } else {
                    let before = at - jiff::SignedDuration::from_secs(1);
                    assert!(
                        shown.time() > time && oracle.to_datetime(before).time() < time
                            || shown.date() != oracle.to_datetime(before).date(),
                        "{zone} {time} runs at {shown}"
                    );
                }
            }
        }
    }
}

#[test]
fn a_time_that_is_skipped_runs_at_once_after_and_one_that_is_repeated_runs_first() {
    let mut slots = TWO;
    let mut world = World::new(&mut slots);
    let zone = Timezone::parse("CET-1CEST,M3.5.0,M10.5.0/3").unwrap();
    world.clock.set_timezone(zone);
    world.add(Job::daily(TimeOfDay::new(2, 30, 0)));
    world.set_clock("2027-03-27T12:00:00Z");
    let runs = world.runs_until(world.after(48, 0));
    assert_eq!(moments(&runs), ["03-28T01:00:00", "03-29T00:30:00"]);
    world.set_clock("2027-10-30T12:00:00Z");
    let runs = world.runs_until(world.after(48, 0));
    assert_eq!(moments(&runs), ["10-31T00:30:00", "11-01T01:30:00"]);
}

proptest! {
    /// However the clock is stepped about, no day runs twice, and a run is at most the grace late.
    #[test]
    fn no_history_of_steps_runs_a_day_twice_or_later_than_the_grace(
        steps in prop::collection::vec((-4_000..4_000i64, 0..3_000u64), 0..60),
        hour in 0..24u8,
        grace in 0..40u64,
    ) {
        let mut slots = TWO;
        let mut world = World::new(&mut slots);
        let zone = Timezone::parse("CET-1CEST,M3.5.0,M10.5.0/3").unwrap();
        world.clock.set_timezone(zone);
        world.add(Job::daily(TimeOfDay::new(hour, 30, 0)).grace(secs(grace * 60)));
        world.set_clock("2027-03-26T12:00:00Z");
        let mut days = BTreeMap::new();
        let mut latest = i64::MIN;
        for (step, wait) in steps {
            for due in world.runs_until(world.after(0, wait)) {
                let moment = due.moment.unwrap();
                let again = days.insert(zone.day_of(moment), moment);
                prop_assert_eq!(again, None, "twice on one day");
            }
            let now = world.clock.unix(world.now).unwrap();
            latest = latest.max(now.micros());
            // Never more than a month before the latest that it has shown.
            let to = now.plus_micros(step * 60_000_000).micros();
            let to = UnixTime::from_micros(to.max(latest - 30 * 86_400_000_000));
            world.clock.set(to, world.now);
            if let Some(due) = world.due() {
                let moment = due.moment.unwrap();
                let late = world.clock.unix(world.now).unwrap().micros_since(moment);
                prop_assert!((0..=grace as i64 * 60_000_000).contains(&late));
                prop_assert_eq!(days.insert(zone.day_of(moment), moment), None);
                world.schedule.finished(due.id, world.now);
            }
        }
    }

    /// With a clock that is only ever put forward, every day is run or counted.
    #[test]
    fn every_day_is_run_or_counted(
        steps in prop::collection::vec((0..9_000i64, 0..3_000u64), 1..40),
        days in 1..128u8,
    ) {
        let mut slots = TWO;
        let mut world = World::new(&mut slots);
        world.set_clock("2027-03-26T12:00:00Z");
        let all = [
            Weekday::Monday, Weekday::Tuesday, Weekday::Wednesday, Weekday::Thursday,
            Weekday::Friday, Weekday::Saturday, Weekday::Sunday,
        ];
        let wanted = all.iter().enumerate().filter(|(bit, _)| days & (1 << bit) != 0);
        let mask = wanted.fold(Weekdays::NONE, |mask, (_, day)| mask.and(*day));
        world.add(Job::weekly(mask, SEVEN));
        world.due();
        let (mut ran, mut missed) = (0, 0);
        for (step, wait) in steps {
            ran += world.runs_until(world.after(0, wait)).len();
            let now = world.clock.unix(world.now).unwrap();
            world.clock.set(now.plus_micros(step * 60_000_000), world.now);
            ran += world.runs_until(world.now).len();
            missed += world.missed_count() as usize;
        }
        let until = world.clock.unix(world.now).unwrap();
        let mut slot = unix("2027-03-27T07:00:00Z");
        let mut expected = 0;
        while slot <= until {
            let day = (slot.seconds() / 86_400) as i32;
            expected += usize::from(mask.contains(Weekday::of_day(day)));
            slot = slot.plus_micros(86_400_000_000);
        }
        prop_assert_eq!(ran + missed, expected, "{} run, {} missed", ran, missed);
    }
}

#[test]
fn the_clock_of_a_thousand_daily_jobs_may_be_set() {
    let mut slots = vec![Slot::VACANT; 1_000];
    let mut world = World::new(&mut slots);
    for job in 0..1_000u32 {
        let minute = TimeOfDay::new((job / 60) as u8, (job % 60) as u8, 0);
        world.add(Job::daily(minute));
    }
    assert_eq!(world.due(), None);
    world.set_clock("2026-11-22T00:00:00Z");
    let runs = world.runs_until(world.after(23, 59));
    let counts: usize = runs.iter().filter(|due| due.moment.is_some()).count();
    assert_eq!(counts, 1_000);
    assert!(runs.is_sorted_by_key(|due| due.slot));
}
