//! POSIX time zones, such as `CET-1CEST,M3.5.0,M10.5.0/3`.
//!
//! Reads all of POSIX.1-2024 section 8.3 but the implementation-defined `:` form, with the
//! extension of RFC 9636 section 3.3.2 (transition times from -167 to 167 hours). Where daylight
//! saving is named without its rule, the rule is that of the United States, as in glibc. No input
//! panics.

use core::fmt;

use super::civil::{self, DAY, LocalDateTime, LocalTime, UnixTime};

/// A zone's offset from UTC and its daylight saving rule.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Timezone {
    /// Seconds east of UTC.
    standard: i32,
    saving: Option<Saving>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct Saving {
    /// Seconds east of UTC.
    offset: i32,
    start: Rule,
    end: Rule,
}

/// When, in each year, the clock is changed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct Rule {
    day: RuleDay,
    /// Seconds after that day's midnight, by the clock before the change.
    time: i32,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum RuleDay {
    /// `Jn`: 1 to 365, February 29 never counted.
    WithoutLeapDay(u16),
    /// `n`: 0 to 365, February 29 counted.
    WithLeapDay(u16),
    /// `Mm.w.d`: weekday 0 to 6 from Sunday, week 1 to 5 where 5 is the month's last.
    Weekday { month: u8, week: u8, weekday: u8 },
}

/// Which moment a local date and time is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Resolution {
    /// The one moment at which the clock shows it.
    Unique(UnixTime),
    /// The clock is put forward over it and never shows it.
    Gap {
        /// The first moment after the gap.
        first_after: UnixTime,
    },
    /// The clock is put back and shows it twice.
    Fold {
        /// When it shows it first.
        first: UnixTime,
        /// When it shows it again.
        second: UnixTime,
    },
}

impl Resolution {
    /// The house's rule: a time that is skipped is the first moment after the gap, one that is
    /// repeated is its first occurrence.
    pub const fn moment(self) -> UnixTime {
        match self {
            Self::Unique(moment)
            | Self::Gap {
                first_after: moment,
            }
            | Self::Fold { first: moment, .. } => moment,
        }
    }
}

/// Why a string is no time zone.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum TimezoneError {
    /// A name is missing, or has less than three letters.
    Name,
    /// The offset is missing or out of range.
    Offset,
    /// A rule's day is missing or out of range.
    Day,
    /// A rule's time is out of range.
    Time,
    /// Something follows the zone.
    Trailing,
}

impl fmt::Display for TimezoneError {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str(match self {
            Self::Name => "the zone's name must be three letters or more, or stand in <...>",
            Self::Offset => "after the zone's name comes its offset west of UTC, at most 24 hours",
            Self::Day => "a rule's day must be Mm.w.d, Jn (1 to 365) or n (0 to 365)",
            Self::Time => "a rule's time must be /h, /h:mm or /h:mm:ss with at most 167 hours",
            Self::Trailing => "something follows the time zone that does not belong to it",
        })?;
        formatter.write_str("; a time zone looks like UTC0 or CET-1CEST,M3.5.0,M10.5.0/3")
    }
}

impl core::error::Error for TimezoneError {}

impl Timezone {
    /// Coordinated universal time, `UTC0`.
    pub const UTC: Self = Self {
        standard: 0,
        saving: None,
    };

    /// Reads a POSIX TZ string. Names are checked and forgotten.
    ///
    /// # Errors
    ///
    /// Which part of the string is wrong.
    pub fn parse(text: &str) -> Result<Self, TimezoneError> {
        let mut reader = Reader(text.as_bytes());
        reader.name()?;
        let standard = -reader.offset()?;
        if reader.0.is_empty() {
            return Ok(Self {
                standard,
                saving: None,
            });
        }
        reader.name()?;
        let offset = match reader.0.first() {
            None | Some(b',') => standard + 3_600,
            Some(_) => -reader.offset()?,
        };
        let (start, end) = if reader.0.is_empty() {
            (
                Rule::second_sunday_of_march(),
                Rule::first_sunday_of_november(),
            )
        } else {
            (reader.rule()?, reader.rule()?)
        };
        if !reader.0.is_empty() {
            return Err(TimezoneError::Trailing);
        }
        Ok(Self {
            standard,
            saving: Some(Saving { offset, start, end }),
        })
    }

    /// What a clock in this zone shows at a moment.
    pub fn to_local(&self, moment: UnixTime) -> LocalTime {
        let seconds = moment.seconds();
        LocalTime::at(seconds, self.in_force(seconds).offset)
    }

    /// The day since 1970 that a calendar in this zone shows at a moment.
    pub(crate) fn day_of(&self, moment: UnixTime) -> i32 {
        let seconds = moment.seconds();
        civil::day_of(seconds.saturating_add(self.in_force(seconds).offset.into()))
    }

    /// At which moment a clock in this zone shows a date and time.
    pub fn to_unix(&self, local: LocalDateTime) -> Resolution {
        let shown = local.clock_seconds();
        let other = self.saving.map_or(self.standard, |saving| saving.offset);
        let early = shown - i64::from(self.standard.max(other));
        let late = shown - i64::from(self.standard.min(other));
        let shows = |moment| moment + i64::from(self.in_force(moment).offset) == shown;
        match (shows(early), shows(late)) {
            (true, true) if early != late => Resolution::Fold {
                first: UnixTime::from_seconds(early),
                second: UnixTime::from_seconds(late),
            },
            (true, _) => Resolution::Unique(UnixTime::from_seconds(early)),
            (false, true) => Resolution::Unique(UnixTime::from_seconds(late)),
            // What is in force at the later candidate came into force by jumping over the time.
            (false, false) => Resolution::Gap {
                first_after: UnixTime::from_seconds(self.in_force(late).since),
            },
        }
    }

    /// The offset at a moment and the transition that brought it.
    fn in_force(&self, seconds: i64) -> InForce {
        let mut found = InForce {
            offset: self.standard,
            since: i64::MIN,
        };
        let Some(saving) = self.saving else {
            return found;
        };
        let day = civil::day_of(seconds.saturating_add(self.standard.into()));
        // A change can lie outside the year of its rule: that of the next year may have been, and
        // one of a year before may be the newest, or of two years before where both lie late.
        let newest = civil::date_of(day + REACH).0;
        for year in (newest - 3..=newest).rev() {
            // At one and the same instant the start wins: that is how "all year" is written.
            let end = saving.end.in_year(year, saving.offset);
            let start = saving.start.in_year(year, self.standard);
            for (since, offset) in [(start, saving.offset), (end, self.standard)] {
                let newer = since > found.since || since == found.since && offset == saving.offset;
                if since <= seconds && newer {
                    found = InForce { offset, since };
                }
            }
            if found.since > i64::from(civil::day_number(year, 1, 1) + REACH) * DAY {
                break;
            }
        }
        found
    }
}

/// How many days a change can lie outside the year that its rule names, rounded up: 167 hours, an
/// offset of 25 and the day that only a leap year has.
const REACH: i32 = 9;

struct InForce {
    offset: i32,
    since: i64,
}

impl Rule {
    const fn second_sunday_of_march() -> Self {
        Self {
            day: RuleDay::Weekday {
                month: 3,
                week: 2,
                weekday: 0,
            },
            time: 7_200,
        }
    }

    const fn first_sunday_of_november() -> Self {
        Self {
            day: RuleDay::Weekday {
                month: 11,
                week: 1,
                weekday: 0,
            },
            time: 7_200,
        }
    }

    /// The Unix second of the change in `year`, where the clock before it is `offset` east.
    fn in_year(self, year: i32, offset: i32) -> i64 {
        let first = civil::day_number(year, 1, 1);
        let day = match self.day {
            RuleDay::WithLeapDay(day) => first + i32::from(day),
            RuleDay::WithoutLeapDay(day) => {
                let leap_day = i32::from(civil::is_leap(year) && day >= 60);
                first + i32::from(day) - 1 + leap_day
            }
            RuleDay::Weekday {
                month,
                week,
                weekday,
            } => {
                let first = civil::day_number(year, month, 1);
                // 1970-01-01 was a Thursday, the fourth day after Sunday.
                let ahead = (i32::from(weekday) - (first + 4)).rem_euclid(7);
                let mut of_month = ahead + (i32::from(week) - 1) * 7;
                if of_month >= i32::from(civil::days_in_month(year, month)) {
                    of_month -= 7;
                }
                first + of_month
            }
        };
        i64::from(day) * DAY + i64::from(self.time) - i64::from(offset)
    }
}

/// Takes a zone's parts from the front of what is left.
struct Reader<'t>(&'t [u8]);

impl Reader<'_> {
    fn take(&mut self, wanted: u8) -> bool {
        match self.0.split_first() {
            Some((&first, rest)) if first == wanted => {
                self.0 = rest;
                true
            }
            _ => false,
        }
    }

    fn skip_while(&mut self, wanted: impl Fn(&u8) -> bool) -> usize {
        let count = self.0.iter().take_while(|byte| wanted(byte)).count();
        self.0 = self.0.get(count..).unwrap_or_default();
        count
    }

    fn name(&mut self) -> Result<(), TimezoneError> {
        let quoted = self.take(b'<');
        let length = if quoted {
            self.skip_while(|byte| byte.is_ascii_alphanumeric() || matches!(byte, b'+' | b'-'))
        } else {
            self.skip_while(u8::is_ascii_alphabetic)
        };
        if length < 3 || quoted && !self.take(b'>') {
            return Err(TimezoneError::Name);
        }
        Ok(())
    }

    fn number(&mut self, limit: i32) -> Option<i32> {
        let mut value = 0;
        let before = self.0;
        while let Some((digit @ b'0'..=b'9', rest)) = self.0.split_first() {
            value = value * 10 + i32::from(digit - b'0');
            if value > limit {
                return None;
            }
            self.0 = rest;
        }
        (self.0.len() < before.len()).then_some(value)
    }

    /// `[+-]h[:mm[:ss]]` in seconds.
    fn time(&mut self, hours: i32) -> Option<i32> {
        let negative = self.take(b'-');
        if !negative {
            self.take(b'+');
        }
        let mut seconds = self.number(hours)? * 3_600;
        for unit in [60, 1] {
            if !self.take(b':') {
                break;
            }
            seconds += self.number(59)? * unit;
        }
        Some(if negative { -seconds } else { seconds })
    }

    fn offset(&mut self) -> Result<i32, TimezoneError> {
        self.time(24).ok_or(TimezoneError::Offset)
    }

    fn rule(&mut self) -> Result<Rule, TimezoneError> {
        let day = self.rule_day().ok_or(TimezoneError::Day)?;
        let time = if self.take(b'/') {
            self.time(167).ok_or(TimezoneError::Time)?
        } else {
            7_200
        };
        Ok(Rule { day, time })
    }

    fn rule_day(&mut self) -> Option<RuleDay> {
        if !self.take(b',') {
            return None;
        }
        if self.take(b'J') {
            let day = self.number(365).filter(|day| *day >= 1)?;
            return Some(RuleDay::WithoutLeapDay(day as u16));
        }
        if !self.take(b'M') {
            return Some(RuleDay::WithLeapDay(self.number(365)? as u16));
        }
        let month = self.number(12).filter(|month| *month >= 1)?;
        let week = self.take(b'.').then(|| self.number(5))??;
        let weekday = self.take(b'.').then(|| self.number(6))??;
        (week >= 1).then_some(RuleDay::Weekday {
            month: month as u8,
            week: week as u8,
            weekday: weekday as u8,
        })
    }
}

#[cfg(test)]
mod tests;
