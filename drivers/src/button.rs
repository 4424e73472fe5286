//! A push button, debounced.
//!
//! Guarantees: a press that lasts for the debounce time is told, and one that lasts for less than seven
//! eighths of it is not; press and release come in turn. A pin that is stuck wakes nobody; one that
//! never rests wakes the processor at most twice in an eighth of the debounce time.

use core::cell::Cell;

use embassy_futures::select::{Either, select};
use embassy_sync::blocking_mutex::raw::NoopRawMutex;
use embassy_sync::mutex::Mutex;
use embassy_time::{Duration, Instant, Timer};
use embedded_hal::digital::InputPin;
use embedded_hal_async::digital::Wait;

/// What was done with a button.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Press {
    /// It was pressed.
    Pressed,
    /// It has been held for the long time; told once, between press and release.
    Long,
    /// It was released.
    Released {
        /// For how long it was held.
        held: Duration,
    },
}

/// A button on a pin that is low while it is pressed.
#[derive(Debug)]
pub struct Button<P> {
    pin: Mutex<NoopRawMutex, P>,
    pressed_high: bool,
    times: Times,
    contact: Cell<Contact>,
}

impl<P: Wait + InputPin> Button<P> {
    /// A button that pulls its pin low; debounced for 20 ms, held long after 1 s.
    #[must_use]
    pub const fn new(pin: P) -> Self {
        Self {
            pin: Mutex::new(pin),
            pressed_high: false,
            times: Times {
                debounce: Duration::from_millis(20),
                long: Duration::from_secs(1),
            },
            contact: Cell::new(Contact::new()),
        }
    }

    /// The same, for one that pulls its pin high.
    #[must_use]
    pub fn active_high(mut self) -> Self {
        self.pressed_high = true;
        self
    }

    /// The same with another debounce time, at least 1 ms.
    #[must_use]
    pub fn debounce(mut self, time: Duration) -> Self {
        self.times.debounce = time.max(Duration::from_millis(1));
        self
    }

    /// The same with another time after which it is held long.
    #[must_use]
    pub fn long_after(mut self, time: Duration) -> Self {
        self.times.long = time;
        self
    }

    /// Whether it is pressed, debounced: as the events that were told say.
    #[must_use]
    pub fn is_on(&self) -> bool {
        self.contact.get().on
    }

    /// Waits for what is done next with the button.
    ///
    /// The button is watched while a call waits, and only then; one that is pressed at the first call
    /// counts as pressed then. Cancellation safe: no event is lost that the next call can still see.
    ///
    /// # Errors
    ///
    /// The pin's, after the debounce time, so that asking again keeps nobody busy.
    pub async fn event(&self) -> Result<Press, P::Error> {
        let mut pin = self.pin.lock().await;
        match self.watch(&mut *pin).await {
            Ok(press) => Ok(press),
            Err(error) => {
                Timer::after(self.times.debounce).await;
                Err(error)
            }
        }
    }

    async fn watch(&self, pin: &mut P) -> Result<Press, P::Error> {
        let mut contact = self.contact.get();
        if let Phase::Changing { .. } = contact.phase
            && pin.is_high()? != (contact.awaited() == self.pressed_high)
        {
            // The call before was dropped at a change that has gone on since.
        } else {
            contact.settle();
        }
        loop {
            self.contact.set(contact);
            let deadline = contact.deadline(&self.times);
            let timer = Timer::at(deadline.unwrap_or(Instant::MAX));
            let seen = match contact.phase {
                Phase::Settling { .. } => {
                    timer.await;
                    Seen::Deadline
                }
                // Of a change and its deadline, both there, the deadline counts: a late look must not
                // lose a press.
                Phase::Changing { .. } => match select(timer, self.level(pin, contact)).await {
                    Either::First(()) => Seen::Deadline,
                    Either::Second(level) => level.map(|()| Seen::Level)?,
                },
                Phase::Resting => match select(self.level(pin, contact), timer).await {
                    Either::First(level) => level.map(|()| Seen::Level)?,
                    Either::Second(()) => Seen::Deadline,
                },
            };
            let press = contact.on(seen, Instant::now(), &self.times);
            self.contact.set(contact);
            if let Some(press) = press {
                return Ok(press);
            }
        }
    }

    /// Waits for the level that the contact asks for.
    async fn level(&self, pin: &mut P, contact: Contact) -> Result<(), P::Error> {
        if contact.awaited() == self.pressed_high {
            pin.wait_for_high().await
        } else {
            pin.wait_for_low().await
        }
    }
}

#[derive(Debug, Clone, Copy)]
struct Times {
    debounce: Duration,
    long: Duration,
}

impl Times {
    /// How long the pin is left alone after a bounce.
    fn pause(&self) -> Duration {
        self.debounce / 8
    }

    /// How long a change must last; with the pause before it, that is the debounce time.
    fn confirm(&self) -> Duration {
        self.debounce - self.pause()
    }
}

/// The contact behind the pin: pure, levels and time in, presses out.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct Contact {
    on: bool,
    pressed_at: Instant,
    long_told: bool,
    phase: Phase,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Phase {
    /// The pin is as it was told.
    Resting,
    /// The pin has been otherwise since.
    Changing { since: Instant },
    /// It was so too shortly and is left alone until.
    Settling { until: Instant },
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Seen {
    /// The level that was awaited.
    Level,
    /// The deadline.
    Deadline,
}

impl Contact {
    const fn new() -> Self {
        Self {
            on: false,
            pressed_at: Instant::MIN,
            long_told: false,
            phase: Phase::Resting,
        }
    }

    /// Which level is awaited: true is pressed.
    fn awaited(&self) -> bool {
        match self.phase {
            Phase::Changing { .. } => self.on,
            Phase::Resting | Phase::Settling { .. } => !self.on,
        }
    }

    fn deadline(&self, times: &Times) -> Option<Instant> {
        match self.phase {
            Phase::Resting if self.on && !self.long_told => self.pressed_at.checked_add(times.long),
            Phase::Resting => None,
            Phase::Changing { since } => since.checked_add(times.confirm()),
            Phase::Settling { until } => Some(until),
        }
    }

    /// Forgets a change that was not confirmed.
    fn settle(&mut self) {
        if let Phase::Changing { .. } = self.phase {
            self.phase = Phase::Resting;
        }
    }

    fn on(&mut self, seen: Seen, now: Instant, times: &Times) -> Option<Press> {
        match (self.phase, seen) {
            (Phase::Resting, Seen::Level) => {
                self.phase = Phase::Changing { since: now };
                None
            }
            (Phase::Resting, Seen::Deadline) => {
                self.long_told = true;
                Some(Press::Long)
            }
            (Phase::Changing { .. }, Seen::Level) => {
                let until = now.checked_add(times.pause()).unwrap_or(now);
                self.phase = Phase::Settling { until };
                None
            }
            (Phase::Changing { since }, Seen::Deadline) => {
                self.phase = Phase::Resting;
                self.on = !self.on;
                if self.on {
                    self.pressed_at = since;
                    self.long_told = false;
                    return Some(Press::Pressed);
                }
                let held = since.saturating_duration_since(self.pressed_at);
                Some(Press::Released { held })
            }
            (Phase::Settling { .. }, _) => {
                self.phase = Phase::Resting;
                None
            }
        }
    }
}

#[cfg(test)]
#[path = "button_tests.rs"]
mod tests;
