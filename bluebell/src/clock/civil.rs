//! Instants and civil time: what stands on a clock and a calendar.
//!
//! The calendar is the proleptic Gregorian one; a day has 86,400 seconds (no leap seconds), as Unix
//! time has it. Nothing here panics, whatever the numbers are.

use core::fmt;

pub(crate) const DAY: i64 = 86_400;
const MICROS: i64 = 1_000_000;

/// A moment: microseconds since 1970-01-01 00:00:00 UTC, negative before.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct UnixTime(i64);

// Arithmetic of 64 bits that saturates is long on a chip of 32: called, not copied to where it is used.
impl UnixTime {
    /// The moment that is `seconds` after 1970; saturates at ± 292,000 years.
    #[inline(never)]
    pub const fn from_seconds(seconds: i64) -> Self {
        Self(seconds.saturating_mul(MICROS))
    }

    /// The moment that is `micros` microseconds after 1970.
    pub const fn from_micros(micros: i64) -> Self {
        Self(micros)
    }

    /// Whole seconds since 1970, rounded down.
    #[inline(never)]
    pub const fn seconds(self) -> i64 {
        self.0.div_euclid(MICROS)
    }

    /// Microseconds since 1970.
    pub const fn micros(self) -> i64 {
        self.0
    }

    /// Microseconds since `earlier`, negative when that is later; saturates.
    #[inline(never)]
    pub const fn micros_since(self, earlier: Self) -> i64 {
        self.0.saturating_sub(earlier.0)
    }

    /// The moment `micros` later, or earlier where negative; saturates.
    #[inline(never)]
    pub const fn plus_micros(self, micros: i64) -> Self {
        Self(self.0.saturating_add(micros))
    }
}

/// `2026-11-22T13:35:00Z`
impl fmt::Display for UnixTime {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        let time = LocalTime::at(self.seconds(), 0);
        write!(formatter, "{}T{}Z", Date(&time), Hands(&time))
    }
}

/// A day of the week.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Weekday {
    /// The first day of the week (ISO 8601).
    Monday,
    /// The second.
    Tuesday,
    /// The third.
    Wednesday,
    /// The fourth.
    Thursday,
    /// The fifth.
    Friday,
    /// The sixth.
    Saturday,
    /// The last.
    Sunday,
}

impl Weekday {
    /// The day of the week of a day since 1970.
    pub(crate) const fn of_day(day: i32) -> Self {
        // 1970-01-01 was a Thursday.
        match day.rem_euclid(7) {
            0 => Self::Thursday,
            1 => Self::Friday,
            2 => Self::Saturday,
            3 => Self::Sunday,
            4 => Self::Monday,
            5 => Self::Tuesday,
            _ => Self::Wednesday,
        }
    }
}

/// A set of days of the week.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Weekdays(u8);

impl Weekdays {
    /// No day at all: a job on these never runs.
    pub const NONE: Self = Self(0);
    /// Every day.
    pub const ALL: Self = Self(0b111_1111);
    /// Monday to Friday.
    pub const WORKDAYS: Self = Self(0b001_1111);
    /// Saturday and Sunday.
    pub const WEEKEND: Self = Self(0b110_0000);

    /// These days and `day`.
    #[must_use]
    pub const fn and(self, day: Weekday) -> Self {
        Self(self.0 | 1 << day as u8)
    }

    /// Only `day`.
    pub const fn only(day: Weekday) -> Self {
        Self::NONE.and(day)
    }

    /// Whether `day` is one of them.
    pub const fn contains(self, day: Weekday) -> bool {
        self.0 & (1 << day as u8) != 0
    }

    /// How many of the days from `first` to `last`, counted from 1970 and both included, are among
    /// these.
    pub(crate) fn count_between(self, first: i32, last: i32) -> u32 {
        if first > last {
            return 0;
        }
        let days = last.abs_diff(first).saturating_add(1);
        let rest = first..first.saturating_add((days % 7) as i32);
        let rest = rest.filter(|day| self.contains(Weekday::of_day(*day)));
        days / 7 * self.0.count_ones() + rest.count() as u32
    }
}

/// A time on the clock, to the second: 00:00:00 to 23:59:59.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub struct TimeOfDay(u32);

impl TimeOfDay {
    /// Midnight, at which the day begins.
    pub const MIDNIGHT: Self = Self(0);

    /// A time that stands in the source: `const MORNING: TimeOfDay = TimeOfDay::new(7, 30, 0);`
    ///
    /// # Panics
    ///
    /// When there is no such time; in a `const` the compiler says so. For what comes from outside
    /// take [`TimeOfDay::try_new`].
    pub const fn new(hour: u8, minute: u8, second: u8) -> Self {
        match Self::try_new(hour, minute, second) {
            Ok(time) => time,
            // What a source says wrongly, found by the compiler or at the first start; nothing from outside comes here.
            Err(_) => panic!("a time of day is 00:00:00 to 23:59:59"),
        }
    }

    /// A time that comes from outside.
    ///
    /// # Errors
    ///
    /// When there is no such time.
    pub const fn try_new(hour: u8, minute: u8, second: u8) -> Result<Self, NoSuchTime> {
        if hour > 23 || minute > 59 || second > 59 {
            return Err(NoSuchTime);
        }
        Ok(Self(
            hour as u32 * 3_600 + minute as u32 * 60 + second as u32,
        ))
    }

    /// Seconds since midnight, 0 to 86,399.
    pub const fn seconds(self) -> u32 {
        self.0
    }
}

/// A date and a time on the clock, without saying where: 1970-01-01 00:00:00 to 9999-12-31
/// 23:59:59.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub struct LocalDateTime {
    day: i32,
    time: TimeOfDay,
}

impl LocalDateTime {
    /// A date that stands in the source.
    ///
    /// # Panics
    ///
    /// When there is no such date; in a `const` the compiler says so. For what comes from outside
    /// take [`LocalDateTime::try_new`].
    pub const fn new(year: u16, month: u8, day: u8, time: TimeOfDay) -> Self {
        match Self::try_new(year, month, day, time) {
            Ok(date) => date,
            // As with a time of day: it stands in the source.
            Err(_) => panic!("there is no such date from 1970 to 9999"),
        }
    }

    /// A date that comes from outside.
    ///
    /// # Errors
    ///
    /// When there is no such date, or it is not in the years 1970 to 9999.
    pub const fn try_new(
        year: u16,
        month: u8,
        day: u8,
        time: TimeOfDay,
    ) -> Result<Self, NoSuchTime> {
        if year < 1970 || year > 9999 || month < 1 || month > 12 {
            return Err(NoSuchTime);
        }
        if day < 1 || day > days_in_month(year as i32, month) {
            return Err(NoSuchTime);
        }
        Ok(Self {
            day: day_number(year as i32, month, day),
            time,
        })
    }

    /// Seconds from 1970-01-01 00:00:00 on this same clock.
    pub(crate) const fn clock_seconds(self) -> i64 {
        self.day as i64 * DAY + self.time.0 as i64
    }

    /// The date of day `day` since 1970 at `time`; not bounded, unlike what the constructors make.
    pub(crate) const fn on_day(day: i32, time: TimeOfDay) -> Self {
        Self { day, time }
    }
}

/// There is no such date or time.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct NoSuchTime;

impl fmt::Display for NoSuchTime {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str(
            "there is no such date or time: years go from 1970 to 9999, times from 00:00:00 to \
             23:59:59",
        )
    }
}

impl core::error::Error for NoSuchTime {}

/// What a clock and a calendar on the wall show.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct LocalTime {
    /// The year, such as 2026.
    pub year: i32,
    /// The month, 1 to 12.
    pub month: u8,
    /// The day of the month, 1 to 31.
    pub day: u8,
    /// The hour, 0 to 23.
    pub hour: u8,
    /// The minute, 0 to 59.
    pub minute: u8,
    /// The second, 0 to 59.
    pub second: u8,
    /// The day of the week.
    pub weekday: Weekday,
    /// How far this clock is ahead of UTC, in seconds; east is positive.
    pub offset: i32,
}

impl LocalTime {
    pub(crate) const fn at(unix_seconds: i64, offset: i32) -> Self {
        let shown = unix_seconds.saturating_add(offset as i64);
        let number = day_of(shown);
        let (year, month, day) = date_of(number);
        let second = shown.rem_euclid(DAY) as u32;
        Self {
            year,
            month,
            day,
            hour: (second / 3_600) as u8,
            minute: (second / 60 % 60) as u8,
            second: (second % 60) as u8,
            weekday: Weekday::of_day(number),
            offset,
        }
    }
}

/// `2026-11-22 13:35:00`
impl fmt::Display for LocalTime {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(formatter, "{} {}", Date(self), Hands(self))
    }
}

struct Date<'t>(&'t LocalTime);

impl fmt::Display for Date<'_> {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        let LocalTime {
            year, month, day, ..
        } = self.0;
        write!(formatter, "{year:04}-{month:02}-{day:02}")
    }
}

struct Hands<'t>(&'t LocalTime);

impl fmt::Display for Hands<'_> {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        let LocalTime {
            hour,
            minute,
            second,
            ..
        } = self.0;
        write!(formatter, "{hour:02}:{minute:02}:{second:02}")
    }
}

/// The day, counted from 1970-01-01, in which a second lies; saturates.
pub(crate) const fn day_of(seconds: i64) -> i32 {
    // Some 2.7 million years on either side, so that the calendar's own sums cannot overflow.
    const BOUND: i64 = 1_000_000_000;
    let day = seconds.div_euclid(DAY);
    if day > BOUND {
        BOUND as i32
    } else if day < -BOUND {
        -BOUND as i32
    } else {
        day as i32
    }
}

pub(crate) const fn is_leap(year: i32) -> bool {
    year % 4 == 0 && (year % 100 != 0 || year % 400 == 0)
}

pub(crate) const fn days_in_month(year: i32, month: u8) -> u8 {
    match month {
        2 if is_leap(year) => 29,
        2 => 28,
        4 | 6 | 9 | 11 => 30,
        _ => 31,
    }
}

/// Days from 1970-01-01 to a date.
///
/// Years begin in March here, so that the leap day is a year's last and months follow one formula.
pub(crate) const fn day_number(year: i32, month: u8, day: u8) -> i32 {
    let year = if month <= 2 { year - 1 } else { year };
    let month_from_march = (month as i32 + 9) % 12;
    let day_of_year = (153 * month_from_march + 2) / 5 + day as i32 - 1;
    year * 365 + year.div_euclid(4) - year.div_euclid(100) + year.div_euclid(400) + day_of_year
        - DAYS_TO_1970
}

/// Days from 0000-03-01 to 1970-01-01.
const DAYS_TO_1970: i32 = 719_468;
const DAYS_IN_400_YEARS: i32 = 146_097;

/// Year, month and day of a day counted from 1970-01-01.
pub(crate) const fn date_of(number: i32) -> (i32, u8, u8) {
    let number = number + DAYS_TO_1970;
    let era = number.div_euclid(DAYS_IN_400_YEARS);
    let day = number.rem_euclid(DAYS_IN_400_YEARS);
    // The last day of 4, of 100 and of 400 years belongs to the year before it.
    let year = (day - day / 1_460 + day / 36_524 - day / 146_096) / 365;
    let day_of_year = day - (365 * year + year / 4 - year / 100);
    let month_from_march = (5 * day_of_year + 2) / 153;
    let day = day_of_year - (153 * month_from_march + 2) / 5 + 1;
    let month = if month_from_march < 10 {
        month_from_march + 3
    } else {
        month_from_march - 9
    };
    let year = era * 400 + year + if month <= 2 { 1 } else { 0 };
    (year, month as u8, day as u8)
}

#[cfg(test)]
mod tests {
    use std::string::ToString;

    use super::*;

    #[test]
    fn every_day_of_eleven_centuries_is_numbered_in_order_and_read_back() {
        let mut number = day_number(1500, 1, 1);
        for year in 1500..2600 {
            for month in 1..=12 {
                for day in 1..=days_in_month(year, month) {
                    assert_eq!(day_number(year, month, day), number);
                    assert_eq!(date_of(number), (year, month, day));
                    number += 1;
                }
            }
        }
        assert_eq!(day_number(1970, 1, 1), 0);
    }

    #[test]
    fn the_farthest_moments_are_shown_without_a_panic() {
        for micros in [i64::MIN, i64::MAX] {
            let shown = UnixTime::from_micros(micros).to_string();
            assert!(shown.ends_with('Z'), "{shown}");
        }
        for seconds in [i64::MIN, i64::MAX] {
            LocalTime::at(seconds, i32::MAX);
            LocalTime::at(seconds, i32::MIN);
        }
    }

    #[test]
    fn a_moment_is_shown_as_people_write_it() {
        let moment = UnixTime::from_seconds(1_795_354_501);
        assert_eq!(moment.to_string(), "2026-11-22T13:35:01Z");
        let local = LocalTime::at(moment.seconds(), 3_600);
        assert_eq!(local.to_string(), "2026-11-22 14:35:01");
        assert_eq!(local.weekday, Weekday::Sunday);
        assert_eq!(
            UnixTime::from_micros(-1).to_string(),
            "1969-12-31T23:59:59Z"
        );
    }

    #[test]
    fn dates_and_times_that_do_not_exist_are_refused() {
        let noon = TimeOfDay::new(12, 0, 0);
        for (year, month, day) in [
            (1969, 12, 31),
            (10_000, 1, 1),
            (2026, 0, 1),
            (2026, 13, 1),
            (2026, 2, 29),
            (2100, 2, 29),
            (2026, 4, 31),
            (2026, 1, 0),
        ] {
            assert_eq!(
                LocalDateTime::try_new(year, month, day, noon),
                Err(NoSuchTime),
                "{year}-{month}-{day}"
            );
        }
        assert!(LocalDateTime::try_new(2028, 2, 29, noon).is_ok());
        for (hour, minute, second) in [(24, 0, 0), (0, 60, 0), (0, 0, 60)] {
            assert_eq!(
                TimeOfDay::try_new(hour, minute, second),
                Err(NoSuchTime),
                "{hour}:{minute}:{second}"
            );
        }
    }

    #[test]
    fn sets_of_weekdays_hold_what_was_put_into_them() {
        assert!(Weekdays::WORKDAYS.contains(Weekday::Friday));
        assert!(!Weekdays::WORKDAYS.contains(Weekday::Saturday));
        let days = Weekdays::only(Weekday::Sunday).and(Weekday::Saturday);
        assert_eq!(days, Weekdays::WEEKEND);
        for first in 20_000..20_010 {
            for last in first - 2..first + 30 {
                let one_by_one = (first..=last)
                    .filter(|day| days.contains(Weekday::of_day(*day)))
                    .count();
                assert_eq!(days.count_between(first, last) as usize, one_by_one);
            }
        }
    }
}
