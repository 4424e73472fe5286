//! Four digits on a TM1637.
//!
//! Guarantees: the bus is used only when what is to be seen changes, and then only for the digits that
//! do; of two who show something, the later one is seen. A future that is dropped in the middle of the
//! bus leaves a display that the next call writes afresh.

use core::cell::Cell;

use embassy_sync::blocking_mutex::raw::NoopRawMutex;
use embassy_sync::mutex::Mutex;
use embassy_time::{Duration, Timer};
use embedded_hal::digital::OutputPin;

use crate::font::segments;

/// How many digits there are.
const DIGITS: usize = 4;
/// The bit of the point; at the second digit it is the colon.
const POINT: u8 = 0x80;
/// Half a clock period. The chip takes 1 µs (datasheet, "Timing characteristics"); modules with capacitors on their
/// lines need more.
const HALF_PERIOD: Duration = Duration::from_micros(10);
/// The chip's commands: bytes for digits follow, from which digit on they come, and how bright it is.
const WRITE: u8 = 0x40;
const FROM: u8 = 0xc0;
const DARK: u8 = 0x80;
const LIT: u8 = 0x88;
/// Half periods of a byte: two for each of its bits, and three in which the chip acknowledges.
const BYTE: usize = 2 * 8 + 3;

/// What the display shows.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct Picture {
    digits: [u8; DIGITS],
    /// 0 to 7; dark when `None`.
    brightness: Option<u8>,
}

/// A display of four digits with a colon, or with points.
pub struct Tm1637<C, D> {
    bus: Mutex<NoopRawMutex, Bus<C, D>>,
    wanted: Cell<Picture>,
    lit: Cell<u8>,
    /// What the chip is known to hold.
    shown: Cell<Option<Picture>>,
    /// Counts what was shown, so that scrolling notices.
    turn: Cell<u32>,
}

impl<C, D> Tm1637<C, D>
where
    C: OutputPin,
    D: OutputPin<Error = C::Error>,
{
    /// A display on a clock and a data pin, both open-drain where the board can; middle brightness.
    ///
    /// Nothing is written until something is shown.
    #[must_use]
    pub const fn new(clk: C, dio: D) -> Self {
        let lit = 3;
        Self {
            bus: Mutex::new(Bus { clk, dio }),
            wanted: Cell::new(Picture {
                digits: [0; DIGITS],
                brightness: Some(lit),
            }),
            lit: Cell::new(lit),
            shown: Cell::new(None),
            turn: Cell::new(0),
        }
    }

    /// Shows segments as they are, from the left; see [`segments`] for the bits.
    ///
    /// Cancellation safe: dropped in the middle, the next call of any method writes everything. So for
    /// every method below.
    ///
    /// # Errors
    ///
    /// The pin's; the next call of any method writes everything. So for every method below.
    pub async fn show(&self, digits: [u8; DIGITS]) -> Result<(), C::Error> {
        self.turn.set(self.turn.get().wrapping_add(1));
        self.put(digits).await
    }

    /// Shows nothing.
    ///
    /// # Errors
    ///
    /// See [`Tm1637::show`].
    pub async fn clear(&self) -> Result<(), C::Error> {
        self.show([0; DIGITS]).await
    }

    /// Shows a number from -999 to 9999 at the right; `Lo` or `Hi` when it is beyond.
    ///
    /// # Errors
    ///
    /// See [`Tm1637::show`].
    pub async fn number(&self, number: i32) -> Result<(), C::Error> {
        self.show(decimal(number, 0)).await
    }

    /// Shows a number of tenths, hundredths or thousandths (1 to 3 places) with its point: 215 with
    /// one place is `21.5`.
    ///
    /// # Errors
    ///
    /// See [`Tm1637::show`].
    pub async fn decimal(&self, number: i32, places: u8) -> Result<(), C::Error> {
        self.show(decimal(number, places)).await
    }

    /// Shows two numbers of two digits, `07:05`; `--` for one above 99.
    ///
    /// # Errors
    ///
    /// See [`Tm1637::show`].
    pub async fn pair(&self, left: u8, right: u8, colon: bool) -> Result<(), C::Error> {
        self.show(pair(left, right, colon)).await
    }

    /// Shows a time of day, `07:05`.
    ///
    /// # Errors
    ///
    /// See [`Tm1637::show`].
    pub async fn time(&self, hour: u8, minute: u8) -> Result<(), C::Error> {
        self.pair(hour, minute, true).await
    }

    /// Shows a number with four hexadecimal digits.
    ///
    /// # Errors
    ///
    /// See [`Tm1637::show`].
    pub async fn hex(&self, number: u16) -> Result<(), C::Error> {
        self.show(hex(number)).await
    }

    /// Shows a temperature from -9 to 99 degrees Celsius, `21*C`; `Lo*C` or `Hi*C` when it is beyond.
    ///
    /// # Errors
    ///
    /// See [`Tm1637::show`].
    pub async fn temperature(&self, degrees: i32) -> Result<(), C::Error> {
        self.show(temperature(degrees)).await
    }

    /// Shows the first four characters of a text from the left; a point or colon belongs to the
    /// character before it, and what can't be shown is blank.
    ///
    /// # Errors
    ///
    /// See [`Tm1637::show`].
    pub async fn text(&self, text: &str) -> Result<(), C::Error> {
        self.show(window(text, DIGITS)).await
    }

    /// Lets a text of any length pass from right to left, one digit in each `step` (at least 10 ms), and
    /// returns when it has gone, or at the first step after something else was shown.
    ///
    /// Dropped before that, the display stays as it is.
    ///
    /// # Errors
    ///
    /// See [`Tm1637::show`].
    pub async fn scroll(&self, text: &str, step: Duration) -> Result<(), C::Error> {
        let turn = self.turn.get().wrapping_add(1);
        self.turn.set(turn);
        let last = Cells::of(text).count().saturating_add(DIGITS);
        for position in 1..=last {
            self.put(window(text, position)).await?;
            Timer::after(step.max(Duration::from_millis(10))).await;
            if self.turn.get() != turn {
                break;
            }
        }
        Ok(())
    }

    /// Sets the brightness, 0 to 7; more counts as 7.
    ///
    /// # Errors
    ///
    /// See [`Tm1637::show`].
    pub async fn brightness(&self, level: u8) -> Result<(), C::Error> {
        self.lit.set(level.min(7));
        self.on().await
    }

    /// Lights the display.
    ///
    /// # Errors
    ///
    /// See [`Tm1637::show`].
    pub async fn on(&self) -> Result<(), C::Error> {
        self.wanted.set(Picture {
            brightness: Some(self.lit.get()),
            ..self.wanted.get()
        });
        self.flush().await
    }

    /// Makes the display dark; it keeps what it shows.
    ///
    /// # Errors
    ///
    /// See [`Tm1637::show`].
    pub async fn off(&self) -> Result<(), C::Error> {
        self.wanted.set(Picture {
            brightness: None,
            ..self.wanted.get()
        });
        self.flush().await
    }

    async fn put(&self, digits: [u8; DIGITS]) -> Result<(), C::Error> {
        self.wanted.set(Picture {
            digits,
            ..self.wanted.get()
        });
        self.flush().await
    }

    /// Brings the chip to what is wanted, once the bus is free.
    async fn flush(&self) -> Result<(), C::Error> {
        if self.shown.get() == Some(self.wanted.get()) {
            return Ok(());
        }
        let mut bus = self.bus.lock().await;
        loop {
            let (wanted, shown) = (self.wanted.get(), self.shown.get());
            if shown == Some(wanted) {
                return Ok(());
            }
            self.shown.set(None);
            bus.write(wanted, shown).await?;
            self.shown.set(Some(wanted));
        }
    }
}

impl<C, D> core::fmt::Debug for Tm1637<C, D> {
    fn fmt(&self, formatter: &mut core::fmt::Formatter<'_>) -> core::fmt::Result {
        formatter
            .debug_struct("Tm1637")
            .field("wanted", &self.wanted)
            .field("shown", &self.shown)
            .finish_non_exhaustive()
    }
}

/// The two lines to the chip.
struct Bus<C, D> {
    clk: C,
    dio: D,
}

impl<C, D> Bus<C, D>
where
    C: OutputPin,
    D: OutputPin<Error = C::Error>,
{
    /// Writes what differs from what is shown.
    async fn write(&mut self, wanted: Picture, shown: Option<Picture>) -> Result<(), C::Error> {
        let differs = |index: &usize| {
            shown.is_none_or(|shown| shown.digits.get(*index) != wanted.digits.get(*index))
        };
        let first = (0..DIGITS).find(differs);
        let last = (0..DIGITS).rfind(differs);
        let mut transfers: [Option<(u8, &[u8])>; 3] = [None; 3];
        if let (Some(first), Some(last)) = (first, last)
            && let Some(digits) = wanted.digits.get(first..=last)
        {
            transfers[0] = Some((WRITE, &[]));
            transfers[1] = Some((FROM | first as u8, digits));
        }
        if shown.is_none_or(|shown| shown.brightness != wanted.brightness) {
            let light = wanted.brightness.map_or(DARK, |level| LIT | level.min(7));
            transfers[2] = Some((light, &[]));
        }
        for transfer in transfers {
            let Some((command, bytes)) = transfer else {
                continue;
            };
            for step in 0.. {
                let Some((clk, dio)) = lines(command, bytes, step) else {
                    break;
                };
                self.set(clk, dio)?;
                Timer::after(HALF_PERIOD).await;
            }
        }
        Ok(())
    }

    /// Sets what changes of the lines; data does so while the clock is low, but for start and end.
    fn set(&mut self, clk: Option<bool>, dio: Option<bool>) -> Result<(), C::Error> {
        if clk == Some(false) {
            self.clk.set_low()?;
        }
        if let Some(dio) = dio {
            self.dio.set_state(dio.into())?;
        }
        if clk == Some(true) {
            self.clk.set_high()?;
        }
        Ok(())
    }
}

/// What clock and data become in one half period of a transfer: the start, the command and the bytes that follow it,
/// each with its lowest bit first, and the end. `None` behind that.
fn lines(command: u8, bytes: &[u8], step: usize) -> Option<(Option<bool>, Option<bool>)> {
    let Some(step) = step.checked_sub(2) else {
        return Some(((step == 0).then_some(true), Some(step == 0)));
    };
    let (place, step) = (step / BYTE, step % BYTE);
    let byte = match place.checked_sub(1) {
        None => Some(&command),
        Some(place) => bytes.get(place),
    };
    match (byte, step) {
        (Some(_), step) if step % 2 != 0 => Some((Some(true), None)),
        (Some(byte), step) => Some((Some(false), Some(step < 16 && byte >> (step / 2) & 1 != 0))),
        (None, 0) => Some((Some(true), Some(false))),
        (None, 1) => Some((None, Some(true))),
        (None, _) => None,
    }
}

/// The segments of a text, points joined to what stands before them.
struct Cells<'t>(core::iter::Peekable<core::str::Chars<'t>>);

impl<'t> Cells<'t> {
    fn of(text: &'t str) -> Self {
        Self(text.chars().peekable())
    }
}

fn is_point(character: &char) -> bool {
    matches!(character, '.' | ',' | ':')
}

impl Iterator for Cells<'_> {
    type Item = u8;

    fn next(&mut self) -> Option<u8> {
        let character = self.0.next()?;
        if is_point(&character) {
            return Some(POINT);
        }
        let point = self.0.next_if(is_point).map_or(0, |_| POINT);
        Some(segments(character) | point)
    }
}

/// What is seen of a text when so many of its digits have come in from the right.
fn window(text: &str, entered: usize) -> [u8; DIGITS] {
    let mut digits = [0; DIGITS];
    let blank = DIGITS.saturating_sub(entered);
    let gone = entered.saturating_sub(DIGITS);
    for (digit, cell) in digits
        .iter_mut()
        .skip(blank)
        .zip(Cells::of(text).skip(gone))
    {
        *digit = cell;
    }
    digits
}

/// The segments of a digit, also a hexadecimal one.
fn digit(number: u32) -> u8 {
    char::from_digit(number, 16).map_or(0, segments)
}

fn decimal(number: i32, places: u8) -> [u8; DIGITS] {
    if number > 9_999 {
        return window("  Hi", DIGITS);
    }
    if number < -999 {
        return window("  Lo", DIGITS);
    }
    let places = usize::from(places.min(3));
    let mut digits = [0; DIGITS];
    let mut rest = number.unsigned_abs();
    let mut minus = number < 0;
    for (place, cell) in digits.iter_mut().rev().enumerate() {
        if rest > 0 || place <= places {
            *cell = digit(rest % 10);
            rest /= 10;
        } else if minus {
            *cell = segments('-');
            minus = false;
        }
        if place == places && places > 0 {
            *cell |= POINT;
        }
    }
    if minus {
        // Three places and a sign: "-.123" has no digit to spare, so the zero gives way.
        digits[0] = segments('-') | POINT;
    }
    digits
}

fn pair(left: u8, right: u8, colon: bool) -> [u8; DIGITS] {
    let two = |number: u8| match number {
        0..=99 => [digit(u32::from(number / 10)), digit(u32::from(number % 10))],
        _ => [segments('-'); 2],
    };
    let [first, second] = two(left);
    let [third, fourth] = two(right);
    let colon = if colon { POINT } else { 0 };
    [first, second | colon, third, fourth]
}

fn hex(number: u16) -> [u8; DIGITS] {
    let number = u32::from(number);
    [12, 8, 4, 0].map(|shift| digit((number >> shift) & 0xf))
}

fn temperature(degrees: i32) -> [u8; DIGITS] {
    let [first, second] = match u32::try_from(degrees) {
        Ok(number @ 0..=9) => [0, digit(number)],
        Ok(number @ 10..=99) => [digit(number / 10), digit(number % 10)],
        Ok(_) => [segments('H'), segments('i')],
        Err(_) if degrees >= -9 => [segments('-'), digit(degrees.unsigned_abs())],
        Err(_) => [segments('L'), segments('o')],
    };
    [first, second, segments('*'), segments('C')]
}

#[cfg(test)]
#[path = "tm1637_tests.rs"]
mod tests;
