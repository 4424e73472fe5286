//! Percent decoding again, in another way than the framework's: over the percent-encoding crate, which guesses
//! at nothing once it is known that every escape is one.

/// Why a text does not decode.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Wrong {
    Escape,
    NotUtf8,
    TooLong,
}

/// Decodes a text of at most `room` bytes; in a form `+` is a blank.
pub(crate) fn decode(encoded: &[u8], form: bool, room: usize) -> Result<String, Wrong> {
    let is_digit = |at: usize| encoded.get(at).is_some_and(u8::is_ascii_hexdigit);
    let broken = (0..encoded.len())
        .find(|at| encoded[*at] == b'%' && !(is_digit(at + 1) && is_digit(at + 2)));
    let good = &encoded[..broken.unwrap_or(encoded.len())];
    let blanks: Vec<u8> = good
        .iter()
        .map(|byte| if form && *byte == b'+' { b' ' } else { *byte })
        .collect();
    let decoded: Vec<u8> = percent_encoding::percent_decode(&blanks).collect();
    if decoded.len() > room {
        return Err(Wrong::TooLong);
    }
    if broken.is_some() {
        return Err(Wrong::Escape);
    }
    String::from_utf8(decoded).map_err(|_| Wrong::NotUtf8)
}
