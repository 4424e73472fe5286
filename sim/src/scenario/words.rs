//! The words of a scenario that are smaller than a step: times, dates, errors.

use std::fmt;

use embassy_time::Duration;
use serde::{Deserialize, Deserializer, de};

/// What is wrong with a scenario: the file, the line, what and the remedy, on one line.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ScriptError {
    pub(super) file: String,
    pub(super) line: usize,
    pub(super) what: String,
}

impl fmt::Display for ScriptError {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { file, line, what } = self;
        write!(formatter, "{file}, line {line}: {what}")
    }
}

impl std::error::Error for ScriptError {}

/// A span of time as it is written: `250ms`, `12s`, `1h30m`, `3d`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Default)]
pub struct Span(pub Duration);

const UNITS: [(&str, u64); 5] = [
    ("ms", 1),
    ("s", 1_000),
    ("m", 60_000),
    ("h", 3_600_000),
    ("d", 86_400_000),
];
const SPAN: &str = "is no span of time: give a whole number with ms, s, m, h or d, as 12s or 1h30m";

impl std::str::FromStr for Span {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let wrong = || format!("{text:?} {SPAN}");
        let mut rest = text;
        let mut milliseconds = 0_u64;
        while !rest.is_empty() {
            let digits = rest.bytes().take_while(u8::is_ascii_digit).count();
            let (number, tail) = rest.split_at(digits);
            let letters = tail.bytes().take_while(u8::is_ascii_alphabetic).count();
            let (unit, tail) = tail.split_at(letters);
            let known = UNITS.iter().find(|(name, _)| *name == unit);
            let (_, factor) = known.ok_or_else(wrong)?;
            let part = number
                .parse::<u64>()
                .ok()
                .and_then(|n| n.checked_mul(*factor));
            milliseconds = part
                .and_then(|part| milliseconds.checked_add(part))
                // Microseconds have to fit, too.
                .filter(|total| *total <= u64::MAX / 1_000_000)
                .ok_or_else(wrong)?;
            rest = tail;
        }
        if text.is_empty() {
            return Err(wrong());
        }
        Ok(Self(Duration::from_millis(milliseconds)))
    }
}

impl fmt::Display for Span {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut left = self.0.as_millis();
        if left == 0 {
            return formatter.write_str("0s");
        }
        for (unit, factor) in [UNITS[4], UNITS[3], UNITS[2], UNITS[1], UNITS[0]] {
            if left >= factor {
                write!(formatter, "{}{unit}", left / factor)?;
                left %= factor;
            }
        }
        Ok(())
    }
}

impl<'de> Deserialize<'de> for Span {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let text = String::deserialize(deserializer)?;
        text.parse().map_err(de::Error::custom)
    }
}

/// A moment on the world's clock, as TOML writes it: `2030-03-31T00:59:50Z`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Date {
    /// Seconds since 1970.
    pub seconds: i64,
}

impl<'de> Deserialize<'de> for Date {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let written = toml::value::Datetime::deserialize(deserializer)?.to_string();
        let moment: jiff::Timestamp = written.parse().map_err(|_| {
            de::Error::custom(format!(
                "{written} is no moment: give date, time and offset, as 2030-03-31T00:59:50Z"
            ))
        })?;
        Ok(Self {
            seconds: moment.as_second(),
        })
    }
}

#[cfg(test)]
mod tests {
    use super::Span;

    #[test]
    fn spans_are_read_and_written() {
        for (text, milliseconds) in [
            ("250ms", 250),
            ("12s", 12_000),
            ("1h30m", 5_400_000),
            ("3d", 259_200_000),
            ("0s", 0),
        ] {
            let span: Span = text.parse().expect(text);
            assert_eq!(span.0.as_millis(), milliseconds);
            assert_eq!(span.to_string(), text);
        }
        for text in [
            "",
            "12",
            "s",
            "12 s",
            "-1s",
            "1.5s",
            "1w",
            "99999999999999999999s",
        ] {
            let error = text.parse::<Span>().expect_err(text);
            assert!(error.contains("1h30m"), "{error}");
        }
    }
}
