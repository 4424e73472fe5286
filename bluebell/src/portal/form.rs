//! Percent decoding and the set-up form, strictly.
//!
//! Guarantees: every text that comes out is UTF-8; a broken escape, an overlong or other invalid
//! UTF-8 sequence and a repeated field are errors and never guessed at.

use core::fmt;

use zeroize::Zeroize;

use crate::wifi::{Password, PasswordError, Ssid, SsidError};

/// Why a text could not be decoded.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum DecodeError {
    /// A `%` without two hexadecimal digits after it.
    BadEscape,
    /// The bytes are no UTF-8.
    NotUtf8,
    /// The text does not fit into the room for it.
    TooLong,
}

/// What `+` stands for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Plus {
    /// A space, as in a form.
    Space,
    /// Itself, as in a path.
    Plus,
}

/// Undoes percent encoding (RFC 3986, 2.1) into `room`.
pub(super) fn decode<'r>(
    encoded: &[u8],
    plus: Plus,
    room: &'r mut [u8],
) -> Result<&'r str, DecodeError> {
    let mut length = 0_usize;
    let mut rest = encoded;
    while let Some((&first, after)) = rest.split_first() {
        let byte = match (first, after) {
            (b'%', [high, low, after @ ..]) => {
                rest = after;
                let digits = hexadecimal(*high).zip(hexadecimal(*low));
                digits.map(|(high, low)| high << 4 | low)
            }
            (b'%', _) => None,
            (b'+', _) if plus == Plus::Space => {
                rest = after;
                Some(b' ')
            }
            _ => {
                rest = after;
                Some(first)
            }
        }
        .ok_or(DecodeError::BadEscape)?;
        *room.get_mut(length).ok_or(DecodeError::TooLong)? = byte;
        length += 1;
    }
    core::str::from_utf8(&room[..length]).map_err(|_| DecodeError::NotUtf8)
}

fn hexadecimal(digit: u8) -> Option<u8> {
    match digit {
        b'0'..=b'9' => Some(digit - b'0'),
        b'a'..=b'f' => Some(digit - b'a' + 10),
        b'A'..=b'F' => Some(digit - b'A' + 10),
        _ => None,
    }
}

/// What a person fills in at the portal.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct ConnectForm {
    pub(super) ssid: Ssid,
    pub(super) password: Password,
    /// Whether it comes from the page for browsers without scripts, which it should go back to.
    pub(super) from_plain: bool,
}

/// Why a form was not taken.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum FormError {
    BadEscape,
    NotUtf8,
    Twice,
    NoSsid,
    Ssid(SsidError),
    Password,
}

impl fmt::Display for FormError {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str(match self {
            Self::BadEscape => {
                "the form has a % without two hexadecimal digits after it: write %25"
            }
            Self::NotUtf8 => "the form is not UTF-8: send the network and the password as UTF-8",
            Self::Twice => "the form has a field twice: give ssid and password once each",
            Self::NoSsid => "the form has no ssid: give the network's name",
            Self::Ssid(error) => return error.fmt(formatter),
            Self::Password => return PasswordError.fmt(formatter),
        })
    }
}

/// Reads an `application/x-www-form-urlencoded` body; fields that are not known are passed over, and
/// an absent password is an empty one.
pub(super) fn connect_form(body: &[u8]) -> Result<ConnectForm, FormError> {
    let mut ssid = None;
    let mut password = None;
    let mut from_plain = false;
    for pair in body.split(|byte| *byte == b'&') {
        let (name, value) = match pair.iter().position(|byte| *byte == b'=') {
            Some(middle) => (&pair[..middle], &pair[middle + 1..]),
            None => (pair, &pair[..0]),
        };
        let mut name_room = [0; 8];
        match decode(name, Plus::Space, &mut name_room) {
            Ok("ssid") => {
                let mut room = [0; 48];
                let text = field(value, &mut room).map_err(|error| match error {
                    DecodeError::TooLong => FormError::Ssid(SsidError::TooLong),
                    other => other.into(),
                })?;
                let given = Ssid::new(text).map_err(FormError::Ssid)?;
                if ssid.replace(given).is_some() {
                    return Err(FormError::Twice);
                }
            }
            Ok("password") => {
                let mut room = [0; 80];
                let given = field(value, &mut room)
                    .map_err(FormError::from)
                    .and_then(|text| Password::new(text).map_err(|_| FormError::Password));
                room.zeroize();
                if password.replace(given?).is_some() {
                    return Err(FormError::Twice);
                }
            }
            Ok("page") => from_plain = value == b"plain",
            Ok(_) | Err(DecodeError::TooLong) => {}
            Err(error) => return Err(error.into()),
        }
    }
    Ok(ConnectForm {
        ssid: ssid.ok_or(FormError::NoSsid)?,
        password: password.unwrap_or_default(),
        from_plain,
    })
}

fn field<'r>(value: &[u8], room: &'r mut [u8]) -> Result<&'r str, DecodeError> {
    decode(value, Plus::Space, room)
}

impl From<DecodeError> for FormError {
    fn from(error: DecodeError) -> Self {
        match error {
            DecodeError::BadEscape => Self::BadEscape,
            DecodeError::NotUtf8 => Self::NotUtf8,
            // Of the known fields, only a password gets here with too many bytes.
            DecodeError::TooLong => Self::Password,
        }
    }
}

#[cfg(test)]
mod tests {
    use std::borrow::ToOwned;
    use std::string::String;
    use std::vec::Vec;

    use proptest::prelude::*;

    use super::*;

    fn percent(text: &str) -> String {
        use std::fmt::Write;
        let mut encoded = String::new();
        for byte in text.bytes() {
            match byte {
                b' ' => encoded.push('+'),
                b'a'..=b'z' | b'A'..=b'Z' | b'0'..=b'9' => encoded.push(byte as char),
                _ => write!(encoded, "%{byte:02X}").unwrap(),
            }
        }
        encoded
    }

    fn parsed(body: &str) -> Result<(String, String), FormError> {
        connect_form(body.as_bytes()).map(|form| {
            (
                String::from(form.ssid.as_str()),
                String::from(form.password.reveal()),
            )
        })
    }

    #[test]
    fn names_and_passwords_of_every_kind_arrive_byte_for_byte() {
        let texts = [
            "Home Network",
            "100% fun & games=yes",
            "\"quoted\" 'name'",
            "Blåbærsyltetøy",
            "日本語ネット",
            "🦊🦊🦊🦊",
            "plus+minus-",
            "%41%zz+ +",
            "a/b?c#d;e",
            "tab\tnul\0bell\u{7}",
        ];
        for text in texts {
            let body = std::format!("ssid={}&password={}", percent(text), percent(text));
            let expected = Ok((String::from(text), String::from(text)));
            assert_eq!(parsed(&body), expected, "{body}");
        }
    }

    #[test]
    fn a_form_that_is_not_clear_is_refused_with_its_reason() {
        let long = "a".repeat(33);
        let longer = "a".repeat(500);
        let not_hexadecimal = "g".repeat(64);
        let table = [
            ("", FormError::NoSsid),
            ("password=12345678", FormError::NoSsid),
            ("ssid=&password=", FormError::Ssid(SsidError::Empty)),
            ("ssid", FormError::Ssid(SsidError::Empty)),
            (
                &*std::format!("ssid={long}"),
                FormError::Ssid(SsidError::TooLong),
            ),
            (
                &*std::format!("ssid={longer}"),
                FormError::Ssid(SsidError::TooLong),
            ),
            ("ssid=a&password=1234567", FormError::Password),
            (
                &*std::format!("ssid=a&password={longer}"),
                FormError::Password,
            ),
            (
                &*std::format!("ssid=a&password={not_hexadecimal}"),
                FormError::Password,
            ),
            ("ssid=%", FormError::BadEscape),
            ("ssid=%4", FormError::BadEscape),
            ("ssid=%zz", FormError::BadEscape),
            ("ssid=a&password=%u1234567", FormError::BadEscape),
            ("s%zd=a", FormError::BadEscape),
            ("ssid=%ff", FormError::NotUtf8),
            ("ssid=%C0%AF", FormError::NotUtf8),
            ("ssid=%ED%A0%80", FormError::NotUtf8),
            ("ssid=a&ssid=b", FormError::Twice),
            ("ssid=a&password=&password=12345678", FormError::Twice),
        ];
        for (body, error) in table {
            assert_eq!(parsed(body), Err(error), "{body}");
        }
    }

    #[test]
    fn the_allowed_lengths_are_taken_and_other_fields_passed_over() {
        let longest = "a".repeat(32);
        let key = "0123456789abcdefABCDEF".repeat(3)[..64].to_owned();
        for password in ["", "12345678", &"x".repeat(63), &key] {
            let body = std::format!("&&unknown_field=1&ssid={longest}&password={password}&x");
            assert_eq!(parsed(&body), Ok((longest.clone(), password.to_owned())));
        }
        assert_eq!(parsed("ssid=open"), Ok(("open".into(), "".into())));
        assert!(connect_form(b"ssid=a&page=plain").unwrap().from_plain);
        assert!(!connect_form(b"ssid=a&page=other").unwrap().from_plain);
    }

    #[test]
    fn a_plus_in_a_path_stays_a_plus() {
        let mut room = [0; 8];
        assert_eq!(decode(b"a+b%20c", Plus::Plus, &mut room), Ok("a+b c"));
    }

    proptest! {
        #[test]
        fn no_body_panics(body: Vec<u8>) {
            let _ = connect_form(&body);
        }

        #[test]
        fn what_was_encoded_is_decoded(ssid in "\\PC{1,8}", password in "[ -~]{8,63}") {
            let body = std::format!("password={}&ssid={}", percent(&password), percent(&ssid));
            prop_assert_eq!(parsed(&body), Ok((ssid, password)));
        }
    }
}
