//! `snprintf` for the radio driver, which puts two texts together with it: a password (`%s`) and a default name
//! (`ESP_%02X%02X%02X`). Its own knows floating point and takes 4,800 bytes.
//!
//! Guarantees: never more is written than there is room for, with the end; a conversion that is not known here is
//! written as it stands. Known are `%s`, `%c`, `%d`, `%i`, `%u`, `%x`, `%X` and `%%`, with a width, zeros before a number,
//! and `l`, `h` and `z`, which change nothing where all of them have 32 bits.

/// What a piece of a format stands for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Piece {
    /// A byte.
    Byte(u8),
    /// The text at the address that the argument is.
    Text(u32),
}

/// Tells `put` the pieces that `format` and its arguments make, in their order.
pub fn print(format: &[u8], argument: &mut dyn FnMut() -> u32, put: &mut dyn FnMut(Piece)) {
    let mut rest = format.iter();
    while let Some(byte) = rest.next() {
        let known = *byte == b'%' && convert(&mut rest, argument, put).is_some();
        if !known {
            put(Piece::Byte(*byte));
        }
    }
}

/// Writes an argument as what comes after a `%` says, and goes on behind that; `None`: it is not known.
fn convert(
    rest: &mut core::slice::Iter<'_, u8>,
    argument: &mut dyn FnMut() -> u32,
    put: &mut dyn FnMut(Piece),
) -> Option<()> {
    let mut after = rest.clone();
    let mut conversion = *after.next()?;
    let fill = if conversion == b'0' { b'0' } else { b' ' };
    let mut width = 0_usize;
    while let b'0'..=b'9' | b'l' | b'h' | b'z' = conversion {
        if conversion.is_ascii_digit() {
            width = (width * 10 + usize::from(conversion - b'0')) % 100;
        }
        conversion = *after.next()?;
    }
    let ten = match conversion {
        b'X' => b'A',
        b's' | b'c' | b'd' | b'i' | b'u' | b'x' | b'%' => b'a',
        _ => return None,
    };
    *rest = after;
    let mut byte = |byte| put(Piece::Byte(byte));
    match conversion {
        b's' => put(Piece::Text(argument())),
        b'c' => byte(argument() as u8),
        b'%' => byte(b'%'),
        _ => {
            let value = argument();
            let negative = matches!(conversion, b'd' | b'i') && value.cast_signed() < 0;
            let mut left = if negative {
                value.wrapping_neg()
            } else {
                value
            };
            let base = if matches!(conversion, b'x' | b'X') {
                16
            } else {
                10
            };
            // 2^32 has ten digits.
            let mut digits = [0; 10];
            let mut length = 0;
            for place in &mut digits {
                let digit = (left % base) as u8;
                *place = if digit < 10 {
                    b'0' + digit
                } else {
                    ten + digit - 10
                };
                length += 1;
                left /= base;
                if left == 0 {
                    break;
                }
            }
            let blanks = fill == b' ';
            let padding = width.saturating_sub(length + usize::from(negative));
            if negative && !blanks {
                byte(b'-');
            }
            (0..padding).for_each(|_| byte(fill));
            if negative && blanks {
                byte(b'-');
            }
            digits
                .iter()
                .take(length)
                .rev()
                .for_each(|digit| byte(*digit));
        }
    }
    Some(())
}

#[cfg(test)]
mod tests {
    use super::{Piece, print};

    /// The texts to which arguments are addresses.
    const TEXTS: [&str; 2] = ["correct horse", ""];

    fn printed(format: &str, arguments: &[u32]) -> String {
        let mut arguments = arguments.iter();
        let mut text = String::new();
        print(
            format.as_bytes(),
            &mut || *arguments.next().expect("an argument"),
            &mut |piece| match piece {
                Piece::Byte(byte) => text.push(char::from(byte)),
                Piece::Text(address) => text.push_str(TEXTS[address as usize]),
            },
        );
        assert_eq!(arguments.next(), None, "{format} takes all of them");
        text
    }

    #[test]
    fn the_two_formats_of_the_driver_are_printed() {
        assert_eq!(printed("%s", &[0]), "correct horse");
        assert_eq!(printed("%s", &[1]), "");
        assert_eq!(printed("ESP_%02X%02X%02X", &[0x0A, 0xFF, 0]), "ESP_0AFF00");
    }

    #[test]
    fn numbers_are_printed_as_c_does() {
        for (format, argument, expected) in [
            ("%d", 0, "0"),
            ("%d", u32::MAX, "-1"),
            ("%i", i32::MIN.cast_unsigned(), "-2147483648"),
            ("%u", u32::MAX, "4294967295"),
            ("%lu", 7, "7"),
            ("%x", 0xDEAD_BEEF, "deadbeef"),
            ("%08X", 0xBEEF, "0000BEEF"),
            ("%5d|", 42, "   42|"),
            ("%5d|", (-42_i32).cast_unsigned(), "  -42|"),
            ("%05d|", (-42_i32).cast_unsigned(), "-0042|"),
            ("%1u", 1_000, "1000"),
            ("%c", u32::from(b'A'), "A"),
        ] {
            assert_eq!(printed(format, &[argument]), expected, "{format}");
        }
    }

    #[test]
    fn what_is_not_known_is_printed_as_it_stands() {
        assert_eq!(printed("100%%, 5%", &[]), "100%, 5%");
        assert_eq!(printed("%.3f %02", &[]), "%.3f %02");
        assert_eq!(printed("%q%u", &[9]), "%q9");
    }
}
