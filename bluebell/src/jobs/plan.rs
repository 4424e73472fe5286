//! When one job's slots are: on a grid of the monotonic clock, or by the clock on the wall.

use embassy_time::Instant;

use super::job::{Date, Job, When};
use crate::clock::{Clock, LocalDateTime, TimeOfDay, Timezone, UnixTime, Weekday, Weekdays};

/// When a scheduled job is to run.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Plan {
    /// Not until somebody says so.
    Idle,
    /// At `next`, in ticks, and then each `interval` ticks.
    Grid { next: u64, interval: u64 },
    /// Once, in ticks.
    Once { at: u64 },
    /// Each of these days.
    Daily(Daily),
    /// Once, by the clock.
    Date { date: Date, grace: u32 },
}

impl Plan {
    pub(super) fn of(job: &Job, now: Instant) -> Self {
        let after = |delay: embassy_time::Duration| now.as_ticks().saturating_add(delay.as_ticks());
        let grace = u32::try_from(job.grace.as_secs()).unwrap_or(u32::MAX);
        match job.when {
            _ if job.runs == 0 => Self::Idle,
            When::Never => Self::Idle,
            When::Every(interval) => Self::Grid {
                next: after(job.start.unwrap_or(interval)),
                interval: interval.as_ticks(),
            },
            When::In(delay) => Self::Once { at: after(delay) },
            When::Daily(time, days) => Self::Daily(Daily {
                time,
                days,
                grace,
                from: From::Ticks(after(job.start.unwrap_or_default())),
                ran: [Days::NONE; 2],
            }),
            When::At(date) => Self::Date { date, grace },
        }
    }

    /// Whether the plan goes by the clock on the wall.
    pub(super) fn is_by_clock(&self) -> bool {
        matches!(self, Self::Daily(_) | Self::Date { .. })
    }
}

/// What is to be done with a job by the clock.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Reckoning {
    /// How many slots have passed and will not be run.
    pub(super) missed: u32,
    pub(super) step: Step,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Step {
    /// Look again at this moment, or when the clock changes.
    Wait(UnixTime),
    /// Run for the slot of this moment.
    Run(UnixTime),
    /// There will be no slot any more.
    Leave,
}

/// Reckons a job for a date; `moment` is what the clock shows.
pub(super) fn reckon_date(date: Date, grace: u32, moment: UnixTime, zone: &Timezone) -> Reckoning {
    let slot = match date {
        Date::Unix(slot) => slot,
        Date::Local(local) => zone.to_unix(local).moment(),
    };
    let (missed, step) = if slot > moment {
        (0, Step::Wait(slot))
    } else if is_within(slot, moment, grace) {
        (0, Step::Run(slot))
    } else {
        (1, Step::Leave)
    };
    Reckoning { missed, step }
}

fn is_within(slot: UnixTime, moment: UnixTime, grace: u32) -> bool {
    moment.micros_since(slot) <= i64::from(grace) * 1_000_000
}

/// A job at a time of day. Its slots are days, so that no step of the clock and no change of the
/// zone makes two of one.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Daily {
    time: TimeOfDay,
    days: Weekdays,
    grace: u32,
    from: From,
    /// The days for which it has run: those around the newest run, and those around where the clock
    /// was put away from. Two, so that an excursion of the clock to another year and back forgets
    /// nothing.
    ran: [Days; 2],
}

/// From when on slots are this job's: those before are not, or have been dealt with.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum From {
    /// An instant whose time on the clock was not known when it was noted, or that is still to
    /// come.
    Ticks(u64),
    /// What the clock showed.
    Moment(UnixTime),
}

impl Daily {
    /// Slots before `now` shall no longer count, whether run or not.
    pub(super) fn restart(&mut self, now: Instant) {
        self.from = match self.from {
            From::Ticks(ticks) => From::Ticks(ticks.max(now.as_ticks())),
            From::Moment(_) => From::Ticks(now.as_ticks()),
        };
    }

    /// Reckons the job anew; `moment` is what the clock shows at `now`.
    pub(super) fn reckon(&mut self, now: Instant, clock: &Clock, moment: UnixTime) -> Reckoning {
        let zone = clock.timezone();
        let from = match self.from {
            From::Ticks(ticks) if ticks > now.as_ticks() => {
                let ahead = Instant::from_ticks(ticks) - now;
                moment.plus_micros(i64::try_from(ahead.as_micros()).unwrap_or(i64::MAX))
            }
            From::Ticks(ticks) => {
                let ago = now - Instant::from_ticks(ticks);
                let from = moment.plus_micros(-i64::try_from(ago.as_micros()).unwrap_or(i64::MAX));
                self.from = From::Moment(from);
                from
            }
            // The clock was put back: from now on again, and what has been run is in `ran`.
            From::Moment(from) => {
                self.from = From::Moment(from.min(moment));
                from.min(moment)
            }
        };
        let mut missed = 0;
        let mut next = self.next(&zone, from);
        if let Some((first, slot)) = next
            && slot <= moment
        {
            let (day, slot) = self.latest(&zone, moment, first).unwrap_or((first, slot));
            missed = self.count(first, day);
            self.from = From::Moment(moment);
            if is_within(slot, moment, self.grace) {
                self.note_run(day);
                return Reckoning {
                    missed: missed.saturating_sub(1),
                    step: Step::Run(slot),
                };
            }
            next = self.next(&zone, moment);
        }
        let step = next.map_or(Step::Leave, |(_, slot)| Step::Wait(slot));
        Reckoning { missed, step }
    }

    fn slot(&self, zone: &Timezone, day: i32) -> UnixTime {
        zone.to_unix(LocalDateTime::on_day(day, self.time)).moment()
    }

    /// The first day, at or after `from`, that has a slot and has not been run.
    fn next(&self, zone: &Timezone, from: UnixTime) -> Option<(i32, UnixTime)> {
        // A slot that falls into a gap over midnight shows on the next day's date.
        let day = zone.day_of(from) - 1;
        (day..day + SEARCH)
            .filter(|day| self.is_open(*day))
            .map(|day| (day, self.slot(zone, day)))
            .find(|(_, slot)| *slot >= from)
    }

    /// The last day, from `first` on, that has a slot at or before `until` and has not been run.
    fn latest(&self, zone: &Timezone, until: UnixTime, first: i32) -> Option<(i32, UnixTime)> {
        let day = zone.day_of(until) + 1;
        (first.max(day - SEARCH)..=day)
            .rev()
            .filter(|day| self.is_open(*day))
            .map(|day| (day, self.slot(zone, day)))
            .find(|(_, slot)| *slot <= until)
    }

    /// How many days from `first` to `last` have a slot that has not been run.
    fn count(&self, first: i32, last: i32) -> u32 {
        let ran = self.ran.iter().flat_map(|days| days.iter());
        let ran = ran.filter(|day| (first..=last).contains(day)).count() as u32;
        self.days.count_between(first, last).saturating_sub(ran)
    }

    /// Whether `day` has a slot that has not been run.
    fn is_open(&self, day: i32) -> bool {
        self.days.contains(Weekday::of_day(day)) && !self.ran.iter().any(|days| days.has(day))
    }

    fn note_run(&mut self, day: i32) {
        if self.ran[0].note(day) {
            return;
        }
        self.ran.swap(0, 1);
        if !self.ran[0].note(day) {
            self.ran[0] = Days { base: day, bits: 1 };
        }
    }
}

/// How many days are looked at for one with an open slot: all that can have been run, a week to its
/// day of the week, and what one begins too early.
const SEARCH: i32 = 2 * u32::BITS as i32 + 9;

/// Which of 32 successive days a job has run for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct Days {
    /// The day of the lowest bit, counted from 1970.
    base: i32,
    bits: u32,
}

impl Days {
    const NONE: Self = Self { base: 0, bits: 0 };

    fn has(self, day: i32) -> bool {
        let bit = day
            .checked_sub(self.base)
            .and_then(|bit| u32::try_from(bit).ok());
        bit.is_some_and(|bit| bit < u32::BITS && self.bits & (1 << bit) != 0)
    }

    /// The days that it has.
    fn iter(self) -> impl Iterator<Item = i32> {
        (0..u32::BITS as i32)
            .filter(move |bit| self.bits & (1 << bit) != 0)
            .map(move |bit| self.base + bit)
    }

    /// Takes in `day`. For a later one the oldest are forgotten; false, and nothing is done, when
    /// it lies far after these or too far before for all to be kept.
    fn note(&mut self, day: i32) -> bool {
        if self.bits == 0 {
            return false;
        }
        let last = self.base + self.bits.ilog2() as i32;
        if day < self.base {
            let Some(shift) = self.base.checked_sub(day) else {
                return false;
            };
            if last.abs_diff(day) >= u32::BITS {
                return false;
            }
            self.bits <<= shift;
            self.base = day;
        } else if self.base.abs_diff(day) >= u32::BITS {
            if last.abs_diff(day) >= u32::BITS {
                return false;
            }
            let shift = self.base.abs_diff(day) - (u32::BITS - 1);
            self.bits = self.bits.checked_shr(shift).unwrap_or(0);
            self.base += shift as i32;
        }
        self.bits |= 1 << self.base.abs_diff(day);
        true
    }
}
