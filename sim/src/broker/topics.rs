//! Topic names and filters: which are allowed, and which belong together (MQTT 5.0, section 4.7).

/// Whether a message may be published on this topic.
pub(super) fn is_topic(topic: &str) -> bool {
    !topic.is_empty() && !topic.contains(['+', '#', '\0'])
}

/// Whether this is a filter: `+` and `#` stand alone in their level, `#` only in the last one.
pub(super) fn is_filter(filter: &str) -> bool {
    let mut levels = filter.split('/').peekable();
    !filter.is_empty()
        && !filter.contains('\0')
        && std::iter::from_fn(|| levels.next().map(|level| (level, levels.peek().is_none()))).all(
            |(level, last)| match level {
                "+" => true,
                "#" => last,
                _ => !level.contains(['+', '#']),
            },
        )
}

/// Whether a message on `topic` is for those who subscribed to `filter`.
///
/// Wildcards in the first level leave out topics that begin with `$`.
pub(super) fn matches(filter: &str, topic: &str) -> bool {
    if topic.starts_with('$') && filter.starts_with(['+', '#']) {
        return false;
    }
    let mut filter = filter.split('/');
    let mut topic = topic.split('/');
    loop {
        match (filter.next(), topic.next()) {
            (Some("#"), _) | (None, None) => return true,
            (Some("+"), Some(_)) => {}
            (Some(wanted), Some(level)) if wanted == level => {}
            _ => return false,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::{is_filter, is_topic, matches};

    #[test]
    fn filters_match_as_the_standard_shows() {
        // The examples of MQTT 5.0, sections 4.7.1.2, 4.7.1.3 and 4.7.2.
        let cases = [
            ("sport/tennis/player1/#", "sport/tennis/player1", true),
            (
                "sport/tennis/player1/#",
                "sport/tennis/player1/ranking",
                true,
            ),
            ("sport/#", "sport", true),
            ("#", "anything/at/all", true),
            ("sport/tennis/+", "sport/tennis/player1", true),
            ("sport/tennis/+", "sport/tennis/player1/ranking", false),
            ("sport/+", "sport", false),
            ("sport/+", "sport/", true),
            ("+/+", "/finance", true),
            ("/+", "/finance", true),
            ("+", "/finance", false),
            ("#", "$SYS/uptime", false),
            ("+/uptime", "$SYS/uptime", false),
            ("$SYS/#", "$SYS/uptime", true),
            ("a/b", "a/b", true),
            ("a/b", "a/b/c", false),
            ("a/b/c", "a/b", false),
            ("A/b", "a/b", false),
        ];
        for (filter, topic, expected) in cases {
            assert_eq!(matches(filter, topic), expected, "{filter} on {topic}");
        }
    }

    #[test]
    fn malformed_filters_and_topics_are_told_apart() {
        for filter in ["#", "+", "a/#", "+/+/a", "/", "a//b", "a/+/#"] {
            assert!(is_filter(filter), "{filter}");
        }
        for filter in ["", "a#", "#/a", "a+/b", "a/#/b", "++", "a\0b"] {
            assert!(!is_filter(filter), "{filter}");
        }
        assert!(is_topic("a/b") && is_topic("/"));
        assert!(!is_topic("") && !is_topic("a/+") && !is_topic("a/#"));
    }
}
