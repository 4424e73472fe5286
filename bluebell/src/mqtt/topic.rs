//! Topics and topic filters (MQTT 5.0, section 4.7).
//!
//! A topic names where a message goes; a filter names topics, with `+` for one level and `#` for all
//! that follow. Both are 1 to 65,535 bytes of UTF-8 without U+0000.

use core::fmt;

/// The longest topic or filter in bytes: its length is written in two.
pub const LONGEST: usize = 65_535;

/// Why a text is no topic or no filter.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum TopicError {
    /// It has no bytes.
    Empty,
    /// It has more than 65,535 bytes.
    TooLong,
    /// It contains U+0000.
    Zero,
    /// A topic to publish on contains `+` or `#`.
    Wildcard,
    /// A filter has a `+` that does not fill its level.
    Plus,
    /// A filter has a `#` that does not fill the last level.
    Hash,
}

impl fmt::Display for TopicError {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str(match self {
            Self::Empty => "the topic is empty: give at least one character",
            Self::TooLong => "the topic is too long: give at most 65,535 bytes",
            Self::Zero => "the topic contains a zero character: leave it out",
            Self::Wildcard => {
                "a message cannot be published on a topic with + or #: name one topic"
            }
            Self::Plus => "+ stands for one whole level: write it between slashes, as in a/+/b",
            Self::Hash => "# stands for all following levels: write it last, as in a/#",
        })
    }
}

impl core::error::Error for TopicError {}

/// Checks a topic to publish on.
///
/// # Errors
///
/// What is wrong with it.
pub fn check(topic: &str) -> Result<(), TopicError> {
    check_length(topic)?;
    for byte in topic.bytes() {
        match byte {
            0 => return Err(TopicError::Zero),
            b'+' | b'#' => return Err(TopicError::Wildcard),
            _ => {}
        }
    }
    Ok(())
}

/// Checks a filter to subscribe to.
///
/// # Errors
///
/// What is wrong with it.
pub fn check_filter(filter: &str) -> Result<(), TopicError> {
    check_length(filter)?;
    if filter.bytes().any(|byte| byte == 0) {
        return Err(TopicError::Zero);
    }
    let mut levels = filter.split('/').peekable();
    while let Some(level) = levels.next() {
        if level.contains('#') && (level != "#" || levels.peek().is_some()) {
            return Err(TopicError::Hash);
        }
        if level.contains('+') && level != "+" {
            return Err(TopicError::Plus);
        }
    }
    Ok(())
}

fn check_length(text: &str) -> Result<(), TopicError> {
    match text.len() {
        0 => Err(TopicError::Empty),
        1..=LONGEST => Ok(()),
        _ => Err(TopicError::TooLong),
    }
}

/// Whether `filter` names `topic`.
///
/// A wildcard in the first level names no topic that begins with `$` (section 4.7.2); `a/#` names `a`
/// too.
#[must_use]
pub fn matches(filter: &str, topic: &str) -> bool {
    if topic.starts_with('$') && filter.starts_with(['+', '#']) {
        return false;
    }
    let mut topic_levels = topic.split('/');
    for wanted in filter.split('/') {
        match (wanted, topic_levels.next()) {
            ("#", _) => return true,
            (_, None) => return false,
            ("+", Some(_)) => {}
            (wanted, Some(level)) if wanted == level => {}
            _ => return false,
        }
    }
    topic_levels.next().is_none()
}

#[cfg(test)]
mod tests {
    use std::string::String;
    use std::vec::Vec;

    use proptest::prelude::*;

    use super::*;

    #[test]
    fn filters_name_the_topics_that_the_standard_says() {
        let named = [
            ("sport/tennis/player1/#", "sport/tennis/player1"),
            ("sport/tennis/player1/#", "sport/tennis/player1/ranking"),
            (
                "sport/tennis/player1/#",
                "sport/tennis/player1/score/wimbledon",
            ),
            ("sport/#", "sport"),
            ("#", "anything/at/all"),
            ("sport/tennis/+", "sport/tennis/player1"),
            ("sport/+", "sport/"),
            ("+/+", "/finance"),
            ("/+", "/finance"),
            ("+/tennis/#", "sport/tennis"),
            ("$SYS/#", "$SYS/broker"),
            ("$SYS/monitor/+", "$SYS/monitor/Clients"),
            ("a/$b/+", "a/$b/c"),
            ("blåklokke/+", "blåklokke/ø"),
        ];
        for (filter, topic) in named {
            assert!(matches(filter, topic), "{filter} {topic}");
        }
        let not_named = [
            ("sport/tennis/+", "sport/tennis/player1/ranking"),
            ("sport/+", "sport"),
            ("+", "/finance"),
            ("#", "$SYS/broker"),
            ("+/monitor/Clients", "$SYS/monitor/Clients"),
            ("a/b", "a/b/c"),
            ("a/b/c", "a/b"),
            ("a", "A"),
            ("a/+/c", "a/b/d"),
        ];
        for (filter, topic) in not_named {
            assert!(!matches(filter, topic), "{filter} {topic}");
        }
    }

    #[test]
    fn topics_and_filters_that_the_standard_forbids_are_refused_with_the_reason() {
        use TopicError::*;
        let long = "x".repeat(65_536);
        let cases: [(&str, Option<TopicError>, Option<TopicError>); 11] = [
            ("a/b", None, None),
            ("/", None, None),
            ("", Some(Empty), Some(Empty)),
            (&long, Some(TooLong), Some(TooLong)),
            (&long[1..], None, None),
            ("a\0b", Some(Zero), Some(Zero)),
            ("a/+/b", Some(Wildcard), None),
            ("#", Some(Wildcard), None),
            ("a/b#", Some(Wildcard), Some(Hash)),
            ("a/#/b", Some(Wildcard), Some(Hash)),
            ("a+/b", Some(Wildcard), Some(Plus)),
        ];
        for (text, topic, filter) in cases {
            let shown: String = text.chars().take(20).collect();
            assert_eq!(check(text).err(), topic, "{shown}");
            assert_eq!(check_filter(text).err(), filter, "{shown}");
        }
    }

    /// The same rule, said another way: levels against levels, from the end of the filter.
    fn matches_slowly(filter: &[&str], topic: &[&str]) -> bool {
        match (filter.split_first(), topic.split_first()) {
            (Some((&"#", _)), _) => true,
            (Some((wanted, filter)), Some((level, topic))) => {
                (*wanted == "+" || wanted == level) && matches_slowly(filter, topic)
            }
            (None, None) => true,
            _ => false,
        }
    }

    proptest! {
        #[test]
        fn matching_agrees_with_a_slower_telling_of_the_rule(
            filter in "([ab$]{0,2}|\\+)(/([ab]{0,2}|\\+)){0,3}(/#)?",
            topic in "[ab$]{0,2}(/[ab]{0,2}){0,4}",
        ) {
            let hidden = topic.starts_with('$') && filter.starts_with('+');
            let levels = |text| str::split(text, '/').collect::<Vec<_>>();
            let expected = !hidden && matches_slowly(&levels(&filter), &levels(&topic));
            prop_assert_eq!(matches(&filter, &topic), expected);
        }
    }
}
