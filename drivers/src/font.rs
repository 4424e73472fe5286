//! Letters, digits and signs on seven segments.
//!
//! Bit 0 is the segment at the top, bits 1 to 5 go on clockwise, bit 6 is the one in the middle and bit 7
//! the point, or the colon.

/// The segments of a character; none for one that seven segments can't show.
#[must_use]
pub const fn segments(character: char) -> u8 {
    match character {
        '0' | 'O' => 0x3f,
        '1' => 0x06,
        '2' | 'Z' | 'z' => 0x5b,
        '3' => 0x4f,
        '4' => 0x66,
        '5' | 'S' | 's' => 0x6d,
        '6' => 0x7d,
        '7' => 0x07,
        '8' => 0x7f,
        '9' | 'g' => 0x6f,
        'A' => 0x77,
        'a' => 0x5f,
        'B' | 'b' => 0x7c,
        'C' | '[' | '(' => 0x39,
        'c' => 0x58,
        'D' | 'd' => 0x5e,
        'E' => 0x79,
        'e' => 0x7b,
        'F' | 'f' => 0x71,
        'G' => 0x3d,
        'H' | 'X' | 'x' => 0x76,
        'h' => 0x74,
        'I' | 'l' | '|' => 0x30,
        'i' => 0x10,
        'J' | 'j' => 0x1e,
        'K' | 'k' => 0x75,
        'L' => 0x38,
        'M' | 'm' => 0x55,
        'N' => 0x37,
        'n' => 0x54,
        'o' => 0x5c,
        'P' | 'p' => 0x73,
        'Q' | 'q' => 0x67,
        'R' | 'r' => 0x50,
        'T' | 't' => 0x78,
        'U' | 'V' => 0x3e,
        'u' | 'v' => 0x1c,
        'W' | 'w' => 0x6a,
        'Y' | 'y' => 0x6e,
        ')' | ']' => 0x0f,
        '-' => 0x40,
        '_' => 0x08,
        '=' => 0x48,
        '*' | '°' => 0x63,
        '\'' => 0x20,
        '"' => 0x22,
        '?' => 0x53,
        '/' => 0x52,
        '\\' => 0x64,
        _ => 0,
    }
}

#[cfg(test)]
mod tests {
    use super::segments;

    #[test]
    fn all_digits_and_letters_are_shown_and_what_is_unknown_is_blank() {
        for character in ('0'..='9').chain('a'..='z').chain('A'..='Z') {
            assert_ne!(segments(character), 0, "{character}");
            assert_eq!(segments(character) & 0x80, 0, "{character}");
        }
        for character in [' ', '\n', '\0', '#', 'å', '中', '\u{130}'] {
            assert_eq!(segments(character), 0, "{character:?}");
        }
    }

    #[test]
    fn hexadecimal_digits_are_told_apart() {
        let digits = "0123456789abcdef".chars().map(segments);
        let mut seen = std::collections::BTreeSet::new();
        assert!(digits.into_iter().all(|digit| seen.insert(digit)));
    }
}
