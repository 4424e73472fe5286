//! Short texts that are put together, without a heap.

use core::fmt;

/// A short text, of at most 64 bytes.
pub type Text = heapless::String<64>;

/// Puts a text together: `text!("{celsius} °C")`, for a message, a state or a display. What does not fit into
/// the 64 bytes of a [`Text`](crate::text::Text) is left out, and its end is then `…`.
#[macro_export]
macro_rules! text {
    ($($text:tt)+) => {
        $crate::text::put_together(::core::format_args!($($text)+))
    };
}

/// Puts a text together; the macro [`text!`](crate::text!) calls this.
#[must_use]
pub fn put_together(pieces: fmt::Arguments<'_>) -> Text {
    let mut cut = Cut(Text::new());
    // A `Display` of the application that fails has written what it had to say.
    let _ = fmt::write(&mut cut, pieces);
    cut.0
}

struct Cut(Text);

impl fmt::Write for Cut {
    fn write_str(&mut self, piece: &str) -> fmt::Result {
        const MARK: char = '…';
        if self.0.push_str(piece).is_ok() {
            return Ok(());
        }
        for character in piece.chars() {
            if self.0.push(character).is_err() {
                break;
            }
        }
        while self.0.push(MARK).is_err() {
            self.0.pop();
        }
        Err(fmt::Error)
    }
}

#[cfg(test)]
mod tests {
    use std::string::String;

    #[test]
    fn a_text_is_put_together() {
        let celsius = 21;
        assert_eq!(text!("{celsius} °C, {}", "heating"), "21 °C, heating");
        let fits = "x".repeat(64);
        assert_eq!(text!("{fits}"), fits.as_str());
    }

    #[test]
    fn one_that_is_too_long_is_cut_between_characters_and_says_so() {
        for (character, room) in [("x", 61), ("°", 30)] {
            let long: String = character.repeat(65);
            let cut = text!("{long}, and more");
            assert_eq!(cut, std::format!("{}…", character.repeat(room)).as_str());
        }
        let cut = text!("{}{}{}", "x".repeat(63), "°", "after it");
        assert!(cut.ends_with("x…") && cut.len() == 64, "{cut}");
    }
}
