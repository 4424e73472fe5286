//! Numbers with a point, on chips that have none in hardware.
//!
//! A whole number of tenths, hundredths or the like: reading and writing one takes a few hundred bytes of an
//! image, where `f32` takes 20 KB.

use core::fmt;
use core::str::FromStr;

/// A number with so many digits behind its point: `Decimal::<1>(215)` is 21.5.
///
/// It is read from texts such as `21.5`, `-3`, `+0.75` and `.5`, with blanks around; digits beyond its last
/// place are rounded to the nearest, halves away from zero.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Default)]
pub struct Decimal<const PLACES: u32>(
    /// The number in units of its last place.
    pub i32,
);

/// Why a text is no [`Decimal`].
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum DecimalError {
    /// It is none at all.
    NoNumber,
    /// It is too large for the place.
    OutOfRange,
}

impl fmt::Display for DecimalError {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str(match self {
            Self::NoNumber => "not a number: give digits with a point, such as 21.5",
            Self::OutOfRange => "the number is too large: give a smaller one",
        })
    }
}

impl core::error::Error for DecimalError {}

impl<const PLACES: u32> Decimal<PLACES> {
    /// One, in units of the last place; more than nine places do not compile.
    const ONE: u32 = 10_u32.pow(PLACES);
}

impl<const PLACES: u32> fmt::Display for Decimal<PLACES> {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (whole, rest) = (
            self.0.unsigned_abs() / Self::ONE,
            self.0.unsigned_abs() % Self::ONE,
        );
        let sign = if self.0 < 0 { "-" } else { "" };
        match PLACES as usize {
            0 => write!(formatter, "{sign}{whole}"),
            places => write!(formatter, "{sign}{whole}.{rest:0places$}"),
        }
    }
}

impl<const PLACES: u32> FromStr for Decimal<PLACES> {
    type Err = DecimalError;

    fn from_str(text: &str) -> Result<Self, DecimalError> {
        let text = text.trim();
        let (negative, digits) = match text.as_bytes().first() {
            Some(b'-') => (true, &text[1..]),
            Some(b'+') => (false, &text[1..]),
            _ => (false, text),
        };
        let (whole, rest) = digits.split_once('.').unwrap_or((digits, ""));
        if whole.is_empty() && rest.is_empty() {
            return Err(DecimalError::NoNumber);
        }
        let mut value = 0_i64;
        let places = PLACES as usize;
        let padding = places.saturating_sub(rest.len());
        let kept = rest.bytes().take(places);
        for digit in whole.bytes().chain(kept) {
            value = append(value, digit)?;
        }
        for _ in 0..padding {
            value = append(value, b'0')?;
        }
        let mut beyond = rest.bytes().skip(places);
        if let Some(digit) = beyond.next() {
            value += i64::from(append(0, digit)? >= 5);
        }
        for digit in beyond {
            append(0, digit)?;
        }
        let value = if negative { -value } else { value };
        i32::try_from(value)
            .map(Self)
            .map_err(|_| DecimalError::OutOfRange)
    }
}

/// A number with one digit more.
fn append(value: i64, digit: u8) -> Result<i64, DecimalError> {
    if !digit.is_ascii_digit() {
        return Err(DecimalError::NoNumber);
    }
    // Larger ones stay larger than any result.
    Ok((value * 10 + i64::from(digit - b'0')).min(1 << 40))
}

#[cfg(test)]
mod tests {
    use std::format;
    use std::string::ToString;

    use proptest::prelude::*;

    use super::*;

    #[test]
    fn a_decimal_is_written_with_its_point_and_its_sign() {
        for (number, written) in [(215, "21.5"), (-5, "-0.5"), (0, "0.0"), (-210, "-21.0")] {
            assert_eq!(Decimal::<1>(number).to_string(), written);
        }
        assert_eq!(Decimal::<3>(-1_002).to_string(), "-1.002");
        assert_eq!(Decimal::<0>(7).to_string(), "7");
        assert_eq!(Decimal::<9>(i32::MIN).to_string(), "-2.147483648");
    }

    #[test]
    fn what_people_and_programs_write_is_read() {
        for (text, tenths) in [
            ("21.5", 215),
            (" 21\n", 210),
            ("-3", -30),
            ("+.5", 5),
            ("5.", 50),
            ("21.54", 215),
            ("21.55", 216),
            ("-0.05", -1),
            ("-0.04", 0),
            ("214748364.7", i32::MAX),
        ] {
            assert_eq!(text.parse(), Ok(Decimal::<1>(tenths)), "{text:?}");
        }
        assert_eq!("1.5".parse(), Ok(Decimal::<0>(2)));
    }

    #[test]
    fn what_is_no_number_or_too_large_is_refused() {
        for text in [
            "", " ", ".", "-", "hot", "NaN", "inf", "1e3", "1,5", "1.2.3", "--1", "1.23x", "٣",
        ] {
            assert_eq!(
                text.parse::<Decimal<1>>(),
                Err(DecimalError::NoNumber),
                "{text:?}"
            );
        }
        for text in ["214748364.8", "-99999999999999999999999999"] {
            assert_eq!(text.parse::<Decimal<1>>(), Err(DecimalError::OutOfRange));
        }
    }

    proptest! {
        #[test]
        fn what_is_written_is_read_as_the_same(number: i32) {
            prop_assert_eq!(Decimal::<2>(number).to_string().parse(), Ok(Decimal::<2>(number)));
        }

        #[test]
        fn no_text_makes_reading_fail_otherwise(text: std::string::String) {
            let _ = text.parse::<Decimal<4>>();
            let _ = format!("{text}.{text}").parse::<Decimal<1>>();
        }
    }
}
