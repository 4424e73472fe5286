use std::format;
use std::string::{String, ToString};
use std::vec::Vec;

use proptest::prelude::*;

use super::super::{TimeOfDay, Weekday};
use super::*;

/// Every zone that the time zone database of 2026 ends in, and after them what no country uses but
/// POSIX and RFC 9636 allow.
const ZONES: [&str; 105] = [
    "<+00>0<+02>-2,M3.5.0/1,M10.5.0/3",
    "<+01>-1",
    "<+02>-2",
    "<+0330>-3:30",
    "<+03>-3",
    "<+0430>-4:30",
    "<+04>-4",
    "<+0530>-5:30",
    "<+0545>-5:45",
    "<+05>-5",
    "<+0630>-6:30",
    "<+06>-6",
    "<+07>-7",
    "<+0845>-8:45",
    "<+08>-8",
    "<+09>-9",
    "<+1030>-10:30<+11>-11,M10.1.0,M4.1.0",
    "<+10>-10",
    "<+11>-11",
    "<+11>-11<+12>,M10.1.0,M4.1.0/3",
    "<+1245>-12:45<+1345>,M9.5.0/2:45,M4.1.0/3:45",
    "<+12>-12",
    "<+13>-13",
    "<+14>-14",
    "<-00>0",
    "<-01>1",
    "<-01>1<+00>,M3.5.0/0,M10.5.0/1",
    "<-02>2",
    "<-02>2<-01>,M3.5.0/-1,M10.5.0/0",
    "<-03>3",
    "<-03>3<-02>,M3.2.0,M11.1.0",
    "<-04>4",
    "<-04>4<-03>,M9.1.6/24,M4.1.6/24",
    "<-05>5",
    "<-06>6",
    "<-06>6<-05>,M9.1.6/22,M4.1.6/22",
    "<-07>7",
    "<-08>8",
    "<-0930>9:30",
    "<-09>9",
    "<-10>10",
    "<-11>11",
    "<-12>12",
    "ACST-9:30",
    "ACST-9:30ACDT,M10.1.0,M4.1.0/3",
    "AEST-10",
    "AEST-10AEDT,M10.1.0,M4.1.0/3",
    "AKST9AKDT,M3.2.0,M11.1.0",
    "AST4",
    "AST4ADT,M3.2.0,M11.1.0",
    "AWST-8",
    "CAT-2",
    "CET-1",
    "CET-1CEST,M3.5.0,M10.5.0/3",
    "CST-8",
    "CST5CDT,M3.2.0/0,M11.1.0/1",
    "CST6",
    "CST6CDT,M3.2.0,M11.1.0",
    "ChST-10",
    "EAT-3",
    "EET-2",
    "EET-2EEST,M3.4.4/50,M10.4.4/50",
    "EET-2EEST,M3.5.0,M10.5.0/3",
    "EET-2EEST,M3.5.0/0,M10.5.0/0",
    "EET-2EEST,M3.5.0/3,M10.5.0/4",
    "EET-2EEST,M4.5.5/0,M10.5.4/24",
    "EST5",
    "EST5EDT,M3.2.0,M11.1.0",
    "GMT0",
    "GMT0BST,M3.5.0/1,M10.5.0",
    "HKT-8",
    "HST10",
    "HST10HDT,M3.2.0,M11.1.0",
    "IST-1GMT0,M10.5.0,M3.5.0/1",
    "IST-2IDT,M3.4.4/26,M10.5.0",
    "IST-5:30",
    "JST-9",
    "KST-9",
    "MET-1MEST,M3.5.0,M10.5.0/3",
    "MSK-3",
    "MST7",
    "MST7MDT,M3.2.0,M11.1.0",
    "NST3:30NDT,M3.2.0,M11.1.0",
    "NZST-12NZDT,M9.5.0,M4.1.0/3",
    "PKT-5",
    "PST-8",
    "PST8PDT,M3.2.0,M11.1.0",
    "SAST-2",
    "SST11",
    "UTC0",
    "WAT-1",
    "WET0WEST,M3.5.0/1,M10.5.0",
    "WIB-7",
    "WIT-9",
    "WITA-8",
    // Days counted with and without the leap day.
    "AAA3BBB,J60,J300",
    "AAA3BBB,59,299",
    "AAA-3BBB,J59/1,J61/5:30",
    "AAA-3BBB,300/4,58/1:15:30",
    // The clock is put forward by half an hour, by two hours, by odd seconds, or the other way.
    "AAA-10:30BBB-11,M10.1.0/2,M4.1.0/2",
    "AAA0BBB-2,M3.5.0/2,M10.5.0/3",
    "AAA1:02:03BBB0:01:02,M3.1.1/4:05:06,M11.5.6/7:08:09",
    "AAA-1BBB0,M10.5.0/2,M3.5.0/1",
    // Changes far from midnight of their day.
    "AAA5BBB,M3.2.0/-167,M11.1.0/167",
    "AAA-5BBB,M11.1.3/100:30,M3.4.2/-100:30",
];

fn oracle(zone: &str) -> jiff::tz::TimeZone {
    jiff::tz::TimeZone::posix(zone).expect(zone)
}

fn at(seconds: i64) -> jiff::Timestamp {
    jiff::Timestamp::from_second(seconds).unwrap()
}

/// What the oracle's calendar shows, in the form of ours.
fn shown_by(oracle: &jiff::tz::TimeZone, seconds: i64) -> LocalTime {
    let zoned = at(seconds).to_zoned(oracle.clone());
    LocalTime {
        year: zoned.year().into(),
        month: zoned.month() as u8,
        day: zoned.day() as u8,
        hour: zoned.hour() as u8,
        minute: zoned.minute() as u8,
        second: zoned.second() as u8,
        weekday: match zoned.weekday() {
            jiff::civil::Weekday::Monday => Weekday::Monday,
            jiff::civil::Weekday::Tuesday => Weekday::Tuesday,
            jiff::civil::Weekday::Wednesday => Weekday::Wednesday,
            jiff::civil::Weekday::Thursday => Weekday::Thursday,
            jiff::civil::Weekday::Friday => Weekday::Friday,
            jiff::civil::Weekday::Saturday => Weekday::Saturday,
            jiff::civil::Weekday::Sunday => Weekday::Sunday,
        },
        offset: zoned.offset().seconds(),
    }
}

/// Where the oracle puts a local time that its calendar shows as `local`.
fn resolved_by(oracle: &jiff::tz::TimeZone, local: jiff::civil::DateTime) -> Resolution {
    let ambiguous = oracle.to_ambiguous_timestamp(local);
    let seconds = |offset: jiff::tz::Offset| {
        UnixTime::from_seconds(offset.to_timestamp(local).unwrap().as_second())
    };
    match ambiguous.offset() {
        jiff::tz::AmbiguousOffset::Unambiguous { offset } => Resolution::Unique(seconds(offset)),
        jiff::tz::AmbiguousOffset::Fold { before, after } => Resolution::Fold {
            first: seconds(before),
            second: seconds(after),
        },
        jiff::tz::AmbiguousOffset::Gap { after, .. } => {
            let inside = at(seconds(after).seconds());
            let end = oracle.following(inside).next().unwrap().timestamp();
            Resolution::Gap {
                first_after: UnixTime::from_seconds(end.as_second()),
            }
        }
    }
}

fn local_of(local: jiff::civil::DateTime) -> LocalDateTime {
    let time = TimeOfDay::new(
        local.hour() as u8,
        local.minute() as u8,
        local.second() as u8,
    );
    LocalDateTime::new(
        local.year() as u16,
        local.month() as u8,
        local.day() as u8,
        time,
    )
}

fn compare(zone: &str, ours: Timezone, oracle: &jiff::tz::TimeZone, seconds: i64) {
    let moment = UnixTime::from_seconds(seconds);
    assert_eq!(
        ours.to_local(moment),
        shown_by(oracle, seconds),
        "{zone} at {moment}"
    );
}

fn compare_local(
    zone: &str,
    ours: Timezone,
    oracle: &jiff::tz::TimeZone,
    local: jiff::civil::DateTime,
) {
    assert_eq!(
        ours.to_unix(local_of(local)),
        resolved_by(oracle, local),
        "{zone} where the clock shows {local}"
    );
}

/// 1970-01-03 and 2100-01-01 in Unix seconds: a little inside so that local dates are in the range
/// too.
const FROM: i64 = 2 * DAY;
const UNTIL: i64 = 4_102_444_800;

#[test]
fn every_transition_of_every_zone_from_1970_to_2100_is_where_the_oracle_has_it() {
    let mut transitions = 0;
    for zone in ZONES {
        let ours = Timezone::parse(zone).expect(zone);
        let oracle = oracle(zone);
        for transition in oracle
            .following(at(FROM))
            .take_while(|transition| transition.timestamp().as_second() < UNTIL)
        {
            transitions += 1;
            let second = transition.timestamp().as_second();
            for away in [-7_200, -3_600, -2, -1, 0, 1, 2, 1_800, 3_600, 7_200] {
                compare(zone, ours, &oracle, second + away);
                for offset in [ours.standard, ours.saving.map_or(0, |saving| saving.offset)] {
                    let shown = jiff::tz::Offset::from_seconds(offset)
                        .unwrap()
                        .to_datetime(at(second + away));
                    compare_local(zone, ours, &oracle, shown);
                }
            }
        }
    }
    assert!(transitions > 10_000, "only {transitions} were walked");
}

#[test]
fn every_week_of_every_zone_is_as_the_oracle_has_it() {
    for zone in ZONES {
        let ours = Timezone::parse(zone).expect(zone);
        let oracle = oracle(zone);
        for seconds in (FROM..UNTIL).step_by(7 * DAY as usize + 12_345) {
            compare(zone, ours, &oracle, seconds);
            compare_local(zone, ours, &oracle, oracle.to_datetime(at(seconds)));
        }
    }
}

#[test]
fn daylight_saving_all_year_round_never_ends() {
    let zone = Timezone::parse("EST5EDT,0/0,J365/25").unwrap();
    for seconds in (FROM..UNTIL).step_by(3_600 * 7) {
        let local = zone.to_local(UnixTime::from_seconds(seconds));
        assert_eq!(local.offset, -4 * 3_600, "{local}");
    }
    for year in 1971..2100 {
        let new_year = i64::from(civil::day_number(year, 1, 1)) * DAY + 5 * 3_600;
        for second in new_year - 3_700..new_year + 10 {
            assert_eq!(
                zone.to_local(UnixTime::from_seconds(second)).offset,
                -4 * 3_600
            );
        }
    }
}

#[test]
fn a_rule_that_is_not_said_is_that_of_the_united_states() {
    assert_eq!(
        Timezone::parse("EST5EDT"),
        Timezone::parse("EST5EDT,M3.2.0/2,M11.1.0/2:00:00")
    );
    assert_eq!(Timezone::parse("EST5EDT4"), Timezone::parse("EST5EDT"));
}

#[test]
fn a_skipped_time_is_the_first_moment_after_and_a_repeated_one_is_the_first() {
    let zone = Timezone::parse("CET-1CEST,M3.5.0,M10.5.0/3").unwrap();
    let moment = |month, day, hour, minute| {
        let time = TimeOfDay::new(hour, minute, 0);
        zone.to_unix(LocalDateTime::new(2026, month, day, time))
            .moment()
            .to_string()
    };
    assert_eq!(moment(3, 29, 1, 59), "2026-03-29T00:59:00Z");
    assert_eq!(moment(3, 29, 2, 0), "2026-03-29T01:00:00Z");
    assert_eq!(moment(3, 29, 2, 59), "2026-03-29T01:00:00Z");
    assert_eq!(moment(3, 29, 3, 0), "2026-03-29T01:00:00Z");
    assert_eq!(moment(10, 25, 2, 0), "2026-10-25T00:00:00Z");
    assert_eq!(moment(10, 25, 2, 59), "2026-10-25T00:59:00Z");
    assert_eq!(moment(10, 25, 3, 0), "2026-10-25T02:00:00Z");
}

#[test]
fn a_wrong_zone_is_refused_with_the_part_that_is_wrong() {
    use TimezoneError::{Day, Name, Offset, Time, Trailing};
    for (zone, error) in [
        ("", Name),
        ("UT0", Name),
        ("<UTC0", Name),
        ("<+1>-1", Name),
        (":Europe/Oslo", Name),
        ("Europe/Oslo", Offset),
        ("UTC", Offset),
        ("UTC+", Offset),
        ("UTC25", Offset),
        ("UTC99999999999999999999", Offset),
        ("UTC1:60", Offset),
        ("UTC1:", Offset),
        ("CET-1CE", Name),
        ("CET-1CEST,", Day),
        ("CET-1CEST,M3.5.0", Day),
        ("CET-1CEST,M13.5.0,M10.5.0", Day),
        ("CET-1CEST,M3.6.0,M10.5.0", Day),
        ("CET-1CEST,M3.0.0,M10.5.0", Day),
        ("CET-1CEST,M3.5.7,M10.5.0", Day),
        ("CET-1CEST,M3.5,M10.5.0", Day),
        ("CET-1CEST,J0,J365", Day),
        ("CET-1CEST,J366,J365", Day),
        ("CET-1CEST,366,0", Day),
        ("CET-1CEST,M3.5.0/168,M10.5.0", Time),
        ("CET-1CEST,M3.5.0/-168,M10.5.0", Time),
        ("CET-1CEST,M3.5.0/,M10.5.0", Time),
        ("CET-1CEST,M3.5.0,M10.5.0/3 ", Trailing),
        ("CET-1CEST,M3.5.0,M10.5.0/3,J1", Trailing),
        ("UTC0\n", Name),
    ] {
        assert_eq!(Timezone::parse(zone), Err(error), "{zone:?}");
    }
}

fn rule_day() -> impl Strategy<Value = String> {
    prop_oneof![
        (1..=365u16).prop_map(|day| format!("J{day}")),
        (0..=365u16).prop_map(|day| day.to_string()),
        (1..=12u8, 1..=5u8, 0..=6u8)
            .prop_map(|(month, week, weekday)| format!("M{month}.{week}.{weekday}")),
    ]
}

proptest! {
    #[test]
    fn any_text_is_a_zone_or_refused_and_any_moment_has_a_place(
        text in "([A-Z<+>0-9,.:/JM-]{0,40}|.{0,40})",
        moments in prop::collection::vec(any::<i64>(), 8),
    ) {
        if let Ok(zone) = Timezone::parse(&text) {
            for moment in moments {
                zone.to_local(UnixTime::from_micros(moment));
            }
        }
    }

    /// However wild the rules, what the clock shows leads back to a moment at which it shows it.
    #[test]
    fn any_moment_is_found_again_from_what_the_clock_shows(
        offsets in (-24..=24i32, -24..=24i32),
        days in (rule_day(), rule_day()),
        times in (-167..=167i32, -167..=167i32),
        moments in prop::collection::vec(FROM..UNTIL, 8),
    ) {
        let text = format!(
            "AAA{}BBB{},{}/{},{}/{}",
            offsets.0, offsets.1, days.0, times.0, days.1, times.1
        );
        let zone = Timezone::parse(&text).unwrap();
        for second in moments {
            let moment = UnixTime::from_seconds(second);
            let shown = zone.to_local(moment);
            let time = TimeOfDay::new(shown.hour, shown.minute, shown.second);
            let local = LocalDateTime::new(shown.year as u16, shown.month, shown.day, time);
            let found: Vec<UnixTime> = match zone.to_unix(local) {
                Resolution::Unique(moment) => [moment].into(),
                Resolution::Fold { first, second } => [first, second].into(),
                Resolution::Gap { .. } => [].into(),
            };
            prop_assert!(found.contains(&moment), "{} {} {:?}", text, moment, found);
        }
    }
}
