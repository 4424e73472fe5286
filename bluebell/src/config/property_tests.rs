//! What holds for every text, checked against another reader of TOML.

use std::format;
use std::string::String as Text;
use std::vec::Vec;

use proptest::prelude::*;

use super::tests::{SHIPPED, good, parse, redacted};
use super::*;

/// The shipped file with some of its lines changed and some of its bytes overwritten.
fn damaged() -> impl Strategy<Value = Text> {
    let piece = prop::sample::select(
        &[
            "[",
            "]",
            "\"",
            "'",
            "\n",
            "\r",
            "=",
            ".",
            "\"\"\"",
            "'''",
            "{",
            "}",
            "\\",
            "#",
            "0x",
            "_",
            "mqtt",
            "password",
            "true",
            "-",
            " ",
            "\u{feff}",
            "ø",
            "\0",
            ",",
            "[mqtt]\n",
            "port = 1\n",
            "[[app]]",
            "\"***\"",
        ][..],
    );
    (
        prop::collection::vec((any::<prop::sample::Index>(), piece, 0_usize..3), 0..6),
        any::<prop::sample::Index>(),
    )
        .prop_map(|(edits, end)| {
            let mut characters: Vec<char> = SHIPPED.chars().filter(|c| *c != '#').collect();
            characters.truncate(end.index(characters.len()).saturating_add(200));
            for (at, piece, removed) in edits {
                let at = at.index(characters.len());
                let end = (at + removed).min(characters.len());
                characters.splice(at..end, piece.chars());
            }
            characters.into_iter().collect()
        })
}

/// A text in quotes of all four kinds, from pieces that matter in one of them.
fn written() -> impl Strategy<Value = Text> {
    let piece = prop::sample::select(
        &[
            "\"",
            "'",
            "\"\"",
            "''",
            "\n",
            "\r\n",
            "\r",
            "\t",
            " ",
            "a",
            "ø",
            "\\",
            "\\\\",
            "\\\"",
            "\\n",
            "\\e",
            "\\x41",
            "\\x4",
            "\\u00e6",
            "\\ud800",
            "\\U0001F600",
            "\\U00110000",
            "\\q",
            "\\ \t\n \r\n ",
            "\0",
            "\u{7f}",
            "#",
            "=",
        ][..],
    );
    let quotes = prop::sample::select(&["\"", "'", "\"\"\"", "'''"][..]);
    (quotes, prop::collection::vec(piece, 0..8))
        .prop_map(|(quotes, pieces)| format!("{quotes}{}{quotes}", pieces.concat()))
}

proptest! {
    #[test]
    fn no_text_does_harm(text in any::<Text>()) {
        let _ = parse(&text);
        let _ = redact(&text, &mut Text::new());
    }

    #[test]
    fn what_is_no_toml_for_another_reader_is_none_here(text in damaged()) {
        let shown = redact(&text, &mut Text::new());
        if parse(&text).is_ok() {
            prop_assert!(text.parse::<toml::Table>().is_ok(), "{text}");
            prop_assert!(shown.is_ok(), "{text}");
        }
    }

    #[test]
    fn what_is_said_to_be_no_toml_is_none_for_another_reader(text in damaged()) {
        if let Err(ConfigError { problem: ConfigProblem::Syntax(what, _), .. }) = parse(&text) {
            prop_assert!(text.parse::<toml::Table>().is_err(), "{what}\n{text}");
        }
    }

    #[test]
    fn any_way_to_write_a_text_reads_as_another_reader_has_it(text in written()) {
        let text = format!("app.text = {text}");
        let other = text.parse::<toml::Table>().ok();
        let other = other.as_ref().and_then(|table| table["app"]["text"].as_str());
        match (parse(&text), other) {
            (Ok(config), Some(other)) => prop_assert_eq!(config.app("text"), Some(Value::Text(other))),
            (Ok(_), None) => prop_assert!(false, "read here alone"),
            (Err(ConfigError { problem: ConfigProblem::TooLong(_), .. }), Some(other)) => {
                prop_assert!(other.len() > 64);
            }
            (Err(error), other) => prop_assert_eq!(other, None, "{}", error),
        }
    }

    #[test]
    fn any_way_to_write_a_number_reads_as_another_reader_has_it(
        number in "[+-]?(0[xob])?[0-9a-fA-F_]{1,8}|[+-]?[1-9](_?[0-9]){0,22}|0x[0-9a-f]{15,17}",
    ) {
        let text = format!("app.number = {number} # {number}");
        let other = text.parse::<toml::Table>().ok();
        let other = other.as_ref().and_then(|table| table["app"]["number"].as_integer());
        let config = parse(&text).ok();
        let number = config.as_ref().and_then(|config| config.app("number")).and_then(Value::integer);
        prop_assert_eq!(number, other);
    }

    #[test]
    fn any_value_of_the_application_reads_as_another_reader_has_it(
        key in "[A-Za-z0-9_-]{1,31}",
        text in ".{0,16}",
        number in any::<i64>(),
    ) {
        let (text_key, number_key) = (format!("t{key}"), format!("n{key}"));
        let mut table = toml::Table::new();
        table.insert(text_key.clone(), toml::Value::String(text.clone()));
        table.insert(number_key.clone(), toml::Value::Integer(number));
        let config = good(&format!("[app]\n{table}"));
        prop_assert_eq!(config.app(&text_key), Some(Value::Text(&text)));
        prop_assert_eq!(config.app(&number_key), Some(Value::Integer(number)));
    }

    #[test]
    fn a_redacted_text_has_no_secret_and_keeps_everything_else(
        secret in "[ -~æøå]{8,30}",
        comment in "[ -~]{0,20}",
    ) {
        prop_assume!(!comment.contains(&secret) && secret != "***");
        let quoted = toml::Value::String(secret.clone());
        let text = format!(
            "[mqtt]\npassword = {quoted} #{comment}\nport = 8883\n[access_point]\npassword={quoted}"
        );
        let shown = redacted(&text);
        let hidden = format!(
            "[mqtt]\npassword = \"***\" #{comment}\nport = 8883\n[access_point]\npassword=\"***\""
        );
        prop_assert_eq!(&shown, &hidden);
        let mut kept = good(&shown);
        for key in SecretKey::ALL {
            kept.fill(key, &secret).unwrap();
        }
        prop_assert_eq!(kept, good(&text));
    }
}
