//! Simulated pins: the device drives and reads them from one side, the panel from the other.
//!
//! Guarantees: a level that the panel puts on an input stays until the device has seen it and at
//! least [`SHORTEST_LEVEL`] longer, so that a press and a release that arrive in one instant are two
//! edges for the device, and no debouncing takes them for noise. Levels that wait are bounded.
//! What holds an input low from outside, a switch for one, goes on doing so through a power cut.
//! Pins 4 and 5 are wired to the clock and data lines of a TM1637 display.

mod device;
#[cfg(test)]
mod tests;

use std::collections::{BTreeMap, VecDeque};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::task::Waker;

use embassy_time::{Duration, Instant};
use serde::Serialize;

use sim::tm1637::Tm1637;

pub use device::{Input, OpenDrain, Output, Pin, Pins};

/// How many pins the board has, numbered from 0.
pub const PIN_COUNT: usize = 40;
/// How long a level lasts at the least for the device: longer than a button's debouncing, shorter
/// than a person's press.
pub const SHORTEST_LEVEL: Duration = Duration::from_millis(80);
/// The pin that is wired to the display's clock line.
pub const DISPLAY_CLOCK: u8 = 4;
/// The pin that is wired to the display's data line.
pub const DISPLAY_DATA: u8 = 5;
/// How many levels may wait on one input until the device has seen them.
const WAITING_LEVELS: usize = 64;

#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
enum Mode {
    #[default]
    Unused,
    Output,
    OpenDrain,
    Input,
}

#[derive(Debug, Default)]
struct Line {
    mode: Mode,
    /// What the device drives; high when it lets go.
    driven: bool,
    /// Whether the panel pulls the pin low, as it put it last; also while the device has no power.
    pulled: bool,
    /// Whether the device has used it as an input since this process began.
    was_input: bool,
    /// What the device can see now, and since when it has seen it.
    shown: bool,
    seen_at: Option<Instant>,
    /// Levels from the panel that the device has not come to yet.
    waiting: VecDeque<bool>,
    /// What the device saw when it looked last.
    last_look: bool,
    waker: Option<Waker>,
}

/// What the device sees when it looks at an input.
struct Look {
    before: bool,
    now: bool,
    /// When the next level may show, if one waits.
    next: Option<Instant>,
}

impl Line {
    fn configure(&mut self, mode: Mode) {
        *self = Self {
            mode,
            driven: mode == Mode::OpenDrain,
            was_input: mode == Mode::Input,
            shown: !self.pulled,
            last_look: !self.pulled,
            ..self.without_power()
        };
    }

    /// The same on a board that has just lost its power.
    fn without_power(&self) -> Self {
        Self {
            pulled: self.pulled,
            was_input: self.was_input,
            ..Self::default()
        }
    }

    fn look(&mut self, now: Instant) -> Look {
        if let Some(level) = self.waiting.front().copied()
            && self.next_at().is_none_or(|at| at <= now)
        {
            self.waiting.pop_front();
            self.shown = level;
            self.seen_at = Some(now);
        }
        let before = std::mem::replace(&mut self.last_look, self.shown);
        Look {
            before,
            now: self.shown,
            next: (!self.waiting.is_empty()).then(|| self.next_at().unwrap_or(now)),
        }
    }

    fn next_at(&self) -> Option<Instant> {
        self.seen_at.and_then(|at| at.checked_add(SHORTEST_LEVEL))
    }
}

/// One pin's state as the panel shows it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
pub struct PinState {
    /// Which way it is used.
    pub direction: Direction,
    /// 0 or 1.
    pub level: u8,
}

/// Which way a pin is used.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum Direction {
    /// The device reads it.
    In,
    /// The device drives it.
    Out,
}

/// What lights up on the display.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
pub struct DisplayLight {
    /// Each digit from the left: bit 0 at the top, 1 to 5 clockwise, 6 in the middle, 7 the point, or
    /// the colon at the second digit.
    pub segments: [u8; 4],
    /// 1 to 8; 0 while it is dark.
    pub brightness: u8,
}

/// Why the panel could not drive a pin.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum DriveError {
    /// The application has not configured this pin, or there is none of this number.
    NotInUse(u32),
    /// The device itself drives this pin.
    IsOutput(u8),
    /// More levels wait than the device has come to see.
    TooFast(u8),
}

impl std::fmt::Display for DriveError {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::NotInUse(pin) => write!(
                formatter,
                "the application does not use pin {pin}: /api/state lists those in use"
            ),
            Self::IsOutput(pin) => write!(
                formatter,
                "the device drives pin {pin}: only inputs can be driven"
            ),
            Self::TooFast(pin) => write!(
                formatter,
                "the device has yet to see {WAITING_LEVELS} changes of pin {pin}: slow down"
            ),
        }
    }
}

impl std::error::Error for DriveError {}

#[derive(Debug)]
struct Bank {
    lines: [Line; PIN_COUNT],
    display: Tm1637,
}

impl Default for Bank {
    fn default() -> Self {
        Self {
            lines: std::array::from_fn(|_| Line::default()),
            display: Tm1637::new(),
        }
    }
}

impl Bank {
    /// The level on a line that the device drives or shares with the display.
    fn level(&self, pin: u8) -> bool {
        let line = &self.lines[usize::from(pin)];
        match line.mode {
            Mode::Input => line.shown,
            Mode::OpenDrain => {
                line.driven && !(pin == DISPLAY_DATA && self.display.is_acknowledging())
            }
            Mode::Output | Mode::Unused => line.driven,
        }
    }

    fn drive(&mut self, pin: u8, level: bool) {
        self.lines[usize::from(pin)].driven = level;
        match pin {
            DISPLAY_CLOCK => self.display.clk(level),
            DISPLAY_DATA => self.display.dio(level),
            _ => {}
        }
    }
}

/// All pins of one board, shared between the device and the panel.
#[derive(Debug, Clone, Default)]
pub struct PinBank(Arc<Mutex<Bank>>);

impl PinBank {
    fn lock(&self) -> MutexGuard<'_, Bank> {
        // A panic elsewhere leaves plain values behind, which are as good as before.
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Everything as after power on: no pin in use, the display dark. What pulls an input low still does.
    pub fn reset(&self) {
        let mut bank = self.lock();
        bank.display = Tm1637::new();
        for line in &mut bank.lines {
            *line = line.without_power();
        }
    }

    /// The pins that the application uses. An input's level is the one put on it last.
    #[must_use]
    pub fn states(&self) -> BTreeMap<u8, PinState> {
        let bank = self.lock();
        (0..)
            .zip(&bank.lines)
            .filter_map(|(pin, line)| {
                let (direction, level) = match line.mode {
                    Mode::Unused => return None,
                    Mode::Input => (Direction::In, !line.pulled),
                    Mode::Output | Mode::OpenDrain => (Direction::Out, bank.level(pin)),
                };
                let level = u8::from(level);
                Some((pin, PinState { direction, level }))
            })
            .collect()
    }

    /// What can be read on the display; empty while it is dark.
    #[must_use]
    pub fn display_text(&self) -> String {
        let display = &self.lock().display;
        if display.is_on() {
            display.text()
        } else {
            String::new()
        }
    }

    /// What lights up on the display.
    #[must_use]
    pub fn display_light(&self) -> DisplayLight {
        let display = &self.lock().display;
        let [a, b, c, d, ..] = display.segments();
        DisplayLight {
            segments: [a, b, c, d],
            brightness: if display.is_on() {
                display.brightness() + 1
            } else {
                0
            },
        }
    }

    /// Puts a level on an input, as a button does.
    ///
    /// # Errors
    ///
    /// When the pin is no input in use, or the device cannot follow.
    pub fn put(&self, pin: u32, level: bool) -> Result<(), DriveError> {
        let mut bank = self.lock();
        let (number, line) = u8::try_from(pin)
            .ok()
            .and_then(|number| Some((number, bank.lines.get_mut(usize::from(number))?)))
            .ok_or(DriveError::NotInUse(pin))?;
        match line.mode {
            Mode::Unused if line.was_input => {
                line.pulled = !level;
                return Ok(());
            }
            Mode::Unused => return Err(DriveError::NotInUse(pin)),
            Mode::Output | Mode::OpenDrain => return Err(DriveError::IsOutput(number)),
            Mode::Input => {}
        }
        if line.pulled != level {
            return Ok(());
        }
        if line.waiting.len() >= WAITING_LEVELS {
            return Err(DriveError::TooFast(number));
        }
        line.pulled = !level;
        line.waiting.push_back(level);
        if let Some(waker) = line.waker.take() {
            waker.wake();
        }
        Ok(())
    }
}
