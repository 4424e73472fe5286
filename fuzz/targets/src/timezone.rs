//! POSIX time zones, held against jiff where both take the text.

use bluebell::clock::{LocalDateTime, Resolution, TimeOfDay, Timezone, UnixTime};
use jiff::Timestamp;
use jiff::tz::TimeZone;

/// Eight bytes that choose moments, then the text.
pub(crate) fn run(input: &[u8]) {
    let Some((choice, text)) = input.split_first_chunk::<8>() else {
        return;
    };
    let Ok(text) = std::str::from_utf8(text) else {
        return;
    };
    let zone = match Timezone::parse(text) {
        Ok(zone) => zone,
        Err(error) => {
            assert!(error.to_string().contains("UTC0"), "it says what is right");
            return;
        }
    };
    let choice = u64::from_le_bytes(*choice);
    // Any moment at all, far beyond the calendar too.
    let _ = zone.to_local(UnixTime::from_micros(choice as i64));
    let other = TimeZone::posix(text).ok().filter(|_| is_plain(text));
    // From 1970 to 2100: one moment that the input chooses, and one in each of twelve months after it.
    const CENTURY: u64 = 130 * 365 * 86_400;
    let first = (choice % CENTURY) as i64;
    for month in 0..12 {
        moment(zone, other.as_ref(), first + month * 30 * 86_400, text);
    }
    if let Some(other) = &other {
        // The changes themselves, where a wrong second shows.
        let start = Timestamp::from_second(first).expect("jiff knows this century");
        for change in other.following(start).take(4) {
            let at = change.timestamp().as_second();
            for seconds in [at - 1, at, at + 1] {
                moment(zone, Some(other), seconds, text);
            }
        }
    }
}

/// Whether the changes lie well inside of the years that their rules name, and well apart. Where one lies in the
/// next year or the one before, or their order is not the same in all years, jiff finds other moments: it looks at
/// one year at a time, which POSIX does not say.
fn is_plain(text: &str) -> bool {
    let days: Vec<Option<u16>> = text
        .split(',')
        .skip(1)
        .map(|rule| about(rule.split('/').next().unwrap_or_default()))
        .collect();
    match days[..] {
        [] => true,
        [Some(start), Some(end)] => {
            let inside = 20..=345;
            inside.contains(&start) && inside.contains(&end) && start.abs_diff(end) > 30
        }
        _ => false,
    }
}

/// About which day of the year a rule names.
fn about(day: &str) -> Option<u16> {
    let parts = day.trim_start_matches(['J', 'M']).split('.');
    let parts: Vec<u16> = parts.map_while(|number| number.parse().ok()).collect();
    match parts[..] {
        [day] => Some(day),
        [month, week, _] => Some(month * 30 + week * 7 - 30),
        _ => None,
    }
}

fn moment(zone: Timezone, other: Option<&TimeZone>, seconds: i64, text: &str) {
    let local = zone.to_local(UnixTime::from_seconds(seconds));
    if let Some(other) = other {
        let expected = other.to_datetime(Timestamp::from_second(seconds).expect("in range"));
        let shown = (local.hour, local.minute, local.second);
        let wanted = (expected.hour(), expected.minute(), expected.second());
        let wanted = (wanted.0 as u8, wanted.1 as u8, wanted.2 as u8);
        let date = (i32::from(expected.year()), expected.month() as u8);
        assert_eq!((local.year, local.month), date, "{text} at {seconds}");
        assert_eq!(
            i32::from(local.day),
            i32::from(expected.day()),
            "{text} at {seconds}"
        );
        assert_eq!(shown, wanted, "{text} at {seconds}");
    }
    // What is shown at a moment is shown at that moment.
    let Ok(year) = u16::try_from(local.year) else {
        return;
    };
    let time = TimeOfDay::try_new(local.hour, local.minute, local.second);
    let time = time.expect("a clock shows a time of day");
    let Ok(date) = LocalDateTime::try_new(year, local.month, local.day, time) else {
        assert!(!(1970..=9999).contains(&year), "a calendar shows a date");
        return;
    };
    let seconds = UnixTime::from_seconds(seconds);
    match zone.to_unix(date) {
        Resolution::Unique(found) => assert_eq!(found, seconds, "{text}"),
        Resolution::Fold { first, second } => {
            assert!(
                first < second && (first == seconds || second == seconds),
                "{text}"
            );
        }
        Resolution::Gap { .. } => panic!("{text} never shows {date:?}, and did at {seconds:?}"),
    }
}
