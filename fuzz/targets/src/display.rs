//! What is shown on a TM1637, as the chip has it, against another way to say what should be seen.

use std::cell::RefCell;
use std::convert::Infallible;

use drivers::{Tm1637, segments};
use embassy_time::Duration;
use embedded_hal::digital::{ErrorType, OutputPin};
use sim::time::run_virtual;
use sim::tm1637::Tm1637 as Chip;

const POINT: u8 = 0x80;

/// Which line of the chip a pin drives.
#[derive(Clone, Copy)]
enum Line {
    Clock,
    Data,
}

struct Pin<'c>(&'c RefCell<Chip>, Line);

impl Pin<'_> {
    fn set(&mut self, high: bool) {
        match self.1 {
            Line::Clock => self.0.borrow_mut().clk(high),
            Line::Data => self.0.borrow_mut().dio(high),
        }
    }
}

impl ErrorType for Pin<'_> {
    type Error = Infallible;
}

impl OutputPin for Pin<'_> {
    fn set_low(&mut self) -> Result<(), Infallible> {
        self.set(false);
        Ok(())
    }

    fn set_high(&mut self) -> Result<(), Infallible> {
        self.set(true);
        Ok(())
    }
}

/// A byte that says what is shown (bit 6: and something else after it), then a text, or a number of four bytes.
pub(crate) fn run(input: &[u8]) {
    let Some((what, rest)) = input.split_first() else {
        return;
    };
    let number = rest
        .first_chunk()
        .map_or(0, |bytes| i32::from_le_bytes(*bytes));
    // Most numbers are beyond what can be shown.
    let number = if what & 0x80 == 0 {
        number % 12_000
    } else {
        number
    };
    let [low, high, ..] = number.to_le_bytes();
    let text = std::str::from_utf8(rest).unwrap_or_default();
    let chip = RefCell::new(Chip::new());
    let display = Tm1637::new(Pin(&chip, Line::Clock), Pin(&chip, Line::Data));
    let places = what >> 4 & 3;
    let (shown, expected) = run_virtual(async {
        let (result, expected) = match what % 8 {
            0 | 1 => (display.text(text).await, window(&cells(text), 4)),
            2 => {
                let short: String = text.chars().take(4).collect();
                let step = Duration::from_millis(20);
                (display.scroll(&short, step).await, [0; 4])
            }
            3 => (display.number(number).await, decimal(number, 0)),
            4 => (
                display.decimal(number, places).await,
                decimal(number, places),
            ),
            5 => {
                let two = |number: u8| match number {
                    0..=99 => format!("{number:02}"),
                    _ => "--".to_owned(),
                };
                let colon = if places > 1 { ":" } else { "" };
                let text = format!("{}{colon}{}", two(low), two(high));
                (
                    display.pair(low, high, places > 1).await,
                    window(&cells(&text), 4),
                )
            }
            6 => {
                let number = number as u16;
                (
                    display.hex(number).await,
                    window(&cells(&format!("{number:04x}")), 4),
                )
            }
            _ => {
                let text = match number {
                    ..-9 => "Lo*C".to_owned(),
                    -9..=99 => format!("{number:>2}*C"),
                    _ => "Hi*C".to_owned(),
                };
                (display.temperature(number).await, window(&cells(&text), 4))
            }
        };
        let Ok(()) = result;
        let first = chip.borrow().segments();
        // Something else: only what differs goes over the bus, and all of it is right.
        if what & 0x40 != 0 {
            let Ok(()) = display.text("-12.").await;
            assert_eq!(chip.borrow().segments()[..4], [0x40, 0x06, 0x5b | POINT, 0]);
        }
        (first, expected)
    });
    assert_eq!(shown[..4], expected, "{text:?} {number}");
    assert!(chip.borrow().is_on());
    assert_eq!(chip.borrow().brightness(), 3);
}

/// The segments of a text: a point belongs to the character before it, which has room for one.
fn cells(text: &str) -> Vec<u8> {
    let mut cells: Vec<u8> = Vec::new();
    let mut room = false;
    for character in text.chars() {
        let is_point = matches!(character, '.' | ',' | ':');
        match cells.last_mut().filter(|_| is_point && room) {
            Some(last) => {
                *last |= POINT;
                room = false;
            }
            None => {
                cells.push(if is_point { POINT } else { segments(character) });
                room = !is_point;
            }
        }
    }
    cells
}

fn window(cells: &[u8], digits: usize) -> [u8; 4] {
    let mut window = [0; 4];
    for (digit, cell) in window.iter_mut().take(digits).zip(cells) {
        *digit = *cell;
    }
    window
}

/// A number at the right, with so many places behind the point.
fn decimal(number: i32, places: u8) -> [u8; 4] {
    let text = match number {
        10_000.. => "  Hi".to_owned(),
        ..-999 => "  Lo".to_owned(),
        _ => {
            let places = usize::from(places);
            let digits = format!("{:0>1$}", number.unsigned_abs(), places + 1);
            let (whole, part) = digits.split_at(digits.len() - places);
            let sign = if number < 0 { "-" } else { "" };
            let point = if places > 0 { "." } else { "" };
            let shown = format!("{sign}{whole}{point}{part}");
            // A sign and three places leave no room for the zero before the point.
            let shown = if shown.starts_with("-0.") && places == 3 {
                shown.replacen("-0.", "-.", 1)
            } else {
                shown
            };
            let width = 4 + point.len();
            format!("{shown:>width$}")
        }
    };
    window(&cells(&text), 4)
}
