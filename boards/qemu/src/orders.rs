//! Orders to the board, typed at the console between the lines that are for the device.
//!
//! | order | what it does |
//! |---|---|
//! | `air SSID up` or `down` | switches an access point on or off |
//! | `air SSID key=value` | changes it, or adds an open one: `password="..."`, `channel`, `rssi`, `hidden` |
//! | `pin N LEVEL` | puts a level, 0 or 1, on an input |
//! | `press N` | presses a button: 0 for 150 ms |
//! | `memory` | shows how much of it is taken, and how deep the stack was |
//! | `power off` | ends QEMU with status 0 |
//! | `power crash` | panics |
//!
//! An SSID that holds blanks stands in double quotes.

/// What the board is told.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Order<'a> {
    /// To change a property of an access point.
    Air {
        /// Its name.
        ssid: &'a str,
        /// The property.
        key: &'a str,
        /// Its new value.
        value: &'a str,
    },
    /// To put a level on an input.
    Pin {
        /// The pin.
        number: u8,
        /// Whether the level is 1.
        high: bool,
    },
    /// To press the button on a pin.
    Press(u8),
    /// To show how much memory is taken.
    Memory,
    /// To end.
    PowerOff,
    /// To crash.
    Crash,
    /// One that was begun as an order and is none.
    Wrong,
}

impl<'a> Order<'a> {
    /// Reads a line; `None` when it is not for the board.
    #[must_use]
    pub fn parse(line: &'a str) -> Option<Self> {
        let line = line.trim();
        if line == "memory" {
            return Some(Self::Memory);
        }
        let (word, rest) = line.split_once(' ')?;
        let rest = rest.trim();
        let order = match word {
            "air" => air(rest),
            "pin" => rest.split_once(' ').and_then(|(number, level)| {
                let high = match level.trim() {
                    "0" => false,
                    "1" => true,
                    _ => return None,
                };
                Some(Self::Pin {
                    number: number.parse().ok()?,
                    high,
                })
            }),
            "press" => rest.parse().ok().map(Self::Press),
            "power" => match rest {
                "off" => Some(Self::PowerOff),
                "crash" => Some(Self::Crash),
                _ => None,
            },
            _ => return None,
        };
        Some(order.unwrap_or(Self::Wrong))
    }
}

fn air(rest: &str) -> Option<Order<'_>> {
    let (ssid, change) = match rest.strip_prefix('"') {
        Some(quoted) => quoted.split_once('"')?,
        None => rest.split_once(' ')?,
    };
    let (key, value) = match change.trim() {
        "up" => ("up", "true"),
        "down" => ("up", "false"),
        change => change.split_once('=')?,
    };
    Some(Order::Air {
        ssid,
        key: key.trim(),
        value: value.trim(),
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn orders_are_told_from_what_is_typed_to_the_device() {
        let air = |ssid, key, value| Some(Order::Air { ssid, key, value });
        for (line, order) in [
            ("air Cafe down\r", air("Cafe", "up", "false")),
            ("air \"Two words\" up\n", air("Two words", "up", "true")),
            (
                "air Cafe password=\"a b c d e\"",
                air("Cafe", "password", "\"a b c d e\""),
            ),
            (
                "pin 0 1",
                Some(Order::Pin {
                    number: 0,
                    high: true,
                }),
            ),
            ("pin 0 2", Some(Order::Wrong)),
            ("press 0", Some(Order::Press(0))),
            ("power off", Some(Order::PowerOff)),
            ("power up", Some(Order::Wrong)),
            ("memory\r", Some(Order::Memory)),
            ("status", None),
            ("join \"Cafe\" \"\"", None),
            ("airy thoughts", None),
            ("", None),
        ] {
            assert_eq!(Order::parse(line), order, "{line}");
        }
    }
}
