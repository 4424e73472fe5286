//! Topics and filters: what is one, and which filter names which topic.

use bluebell::mqtt::topic::{check, check_filter, matches};

/// Up to the first line feed the input is a filter, then a topic.
pub(crate) fn run(input: &[u8]) {
    let Ok(text) = std::str::from_utf8(input) else {
        return;
    };
    let (filter, topic) = text.split_once('\n').unwrap_or((text, ""));
    let is_topic = is_text(topic) && !topic.contains(['+', '#']);
    let levels: Vec<&str> = filter.split('/').collect();
    let is_filter = is_text(filter)
        && levels.iter().enumerate().all(|(at, level)| match *level {
            "+" => true,
            "#" => at + 1 == levels.len(),
            level => !level.contains(['+', '#']),
        });
    assert_eq!(check(topic).is_ok(), is_topic, "{topic:?}");
    assert_eq!(check_filter(filter).is_ok(), is_filter, "{filter:?}");
    let named = matches(filter, topic);
    if is_topic && is_filter {
        let hidden = topic.starts_with('$') && matches!(levels[0], "+" | "#");
        let topic: Vec<&str> = topic.split('/').collect();
        assert_eq!(named, !hidden && names(&levels, &topic));
    }
}

/// 1 to 65,535 bytes without U+0000 (MQTT 5.0, 1.5.4).
fn is_text(text: &str) -> bool {
    (1..=65_535).contains(&text.len()) && !text.contains('\0')
}

/// The rule of MQTT 5.0, 4.7.1, told from the front.
fn names(filter: &[&str], topic: &[&str]) -> bool {
    match (filter, topic) {
        (["#"], _) | ([], []) => true,
        ([wanted, filter @ ..], [level, topic @ ..]) => {
            (wanted == &"+" || wanted == level) && names(filter, topic)
        }
        _ => false,
    }
}
