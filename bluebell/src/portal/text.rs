//! Texts from outside made safe for where they are written: JSON and HTML.

use core::fmt::{self, Display, Write};

/// A text as a JSON string, with its quotes (RFC 8259, 7).
pub(super) struct Json<'t>(pub(super) &'t dyn Display);

impl Display for Json<'_> {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        struct Escape<'f>(&'f mut dyn Write);
        impl Write for Escape<'_> {
            fn write_str(&mut self, text: &str) -> fmt::Result {
                text.chars().try_for_each(|character| match character {
                    '"' => self.0.write_str("\\\""),
                    '\\' => self.0.write_str("\\\\"),
                    '\0'..='\u{1f}' | '\u{7f}' => write!(self.0, "\\u{:04x}", character as u32),
                    _ => self.0.write_char(character),
                })
            }
        }
        formatter.write_char('"')?;
        write!(Escape(formatter), "{}", self.0)?;
        formatter.write_char('"')
    }
}

/// A text inside of an HTML element or a quoted attribute.
pub(super) struct Html<'t>(pub(super) &'t dyn Display);

impl Display for Html<'_> {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        struct Escape<'f>(&'f mut dyn Write);
        impl Write for Escape<'_> {
            fn write_str(&mut self, text: &str) -> fmt::Result {
                text.chars().try_for_each(|character| match character {
                    '&' => self.0.write_str("&amp;"),
                    '<' => self.0.write_str("&lt;"),
                    '>' => self.0.write_str("&gt;"),
                    '"' => self.0.write_str("&#34;"),
                    '\'' => self.0.write_str("&#39;"),
                    // A line feed in an attribute survives only as a reference.
                    '\n' | '\r' | '\t' => write!(self.0, "&#{};", character as u32),
                    // HTML has no way to write the other control characters.
                    '\0'..='\u{1f}' | '\u{7f}' => self.0.write_char('\u{fffd}'),
                    _ => self.0.write_char(character),
                })
            }
        }
        write!(Escape(formatter), "{}", self.0)
    }
}

#[cfg(test)]
mod tests {
    use std::string::{String, ToString};

    use proptest::prelude::*;

    use super::*;

    #[test]
    fn markup_and_quotes_lose_their_meaning_in_html() {
        assert_eq!(
            Html(&"<b a=\"1\" b='2'>&\n\0").to_string(),
            "&lt;b a=&#34;1&#34; b=&#39;2&#39;&gt;&amp;&#10;\u{fffd}"
        );
    }

    #[test]
    fn quotes_and_control_characters_are_escaped_in_json() {
        assert_eq!(
            Json(&"a\"b\\c\n\u{7f}é🦊").to_string(),
            "\"a\\\"b\\\\c\\u000a\\u007fé🦊\""
        );
    }

    proptest! {
        #[test]
        fn any_text_comes_back_out_of_its_json(text: String) {
            let json = Json(&text).to_string();
            prop_assert!(json.bytes().all(|byte| byte >= b' '));
            // The reader of the standard's escapes, written apart from the writer.
            let mut read = String::new();
            let mut characters = json[1..json.len() - 1].chars();
            while let Some(character) = characters.next() {
                match character {
                    '"' => prop_assert!(false, "an open quote"),
                    '\\' => match characters.next() {
                        Some('u') => {
                            let digits: String = characters.by_ref().take(4).collect();
                            let code = u32::from_str_radix(&digits, 16).unwrap();
                            read.push(char::from_u32(code).unwrap());
                        }
                        Some(other) => read.push(other),
                        None => prop_assert!(false, "an open escape"),
                    },
                    _ => read.push(character),
                }
            }
            prop_assert_eq!(read, text);
        }
    }
}
