//! An LED or a relay: one output that is on or off, or blinks.
//!
//! Guarantees: blinking blocks nothing; whoever sets the output last decides, and a pattern that was
//! replaced never touches the pin again.

use core::cell::{Cell, RefCell};
use core::convert::Infallible;

use embassy_futures::select::select;
use embassy_time::{Instant, Timer};
use embedded_hal::digital::OutputPin;

use crate::changes::Changes;
use crate::pattern::{Pattern, Phase};

/// An output that lights.
pub type Led<P> = Output<P>;

/// An output that switches.
pub type Relay<P> = Output<P>;

/// An output that is on or off.
///
/// The pin stays as the board has set it until the output is first set.
#[derive(Debug)]
pub struct Output<P> {
    pin: RefCell<P>,
    inverted: bool,
    on: Cell<Option<bool>>,
    blinking: Cell<Option<(Pattern, Instant)>>,
    changes: Changes,
}

impl<P: OutputPin> Output<P> {
    /// An output that is on when its pin is high.
    #[must_use]
    pub const fn new(pin: P) -> Self {
        Self {
            pin: RefCell::new(pin),
            inverted: false,
            on: Cell::new(None),
            blinking: Cell::new(None),
            changes: Changes::new(),
        }
    }

    /// The same, on when its pin is low.
    #[must_use]
    pub fn inverted(mut self) -> Self {
        self.inverted = !self.inverted;
        self
    }

    /// Switches on, and stops a pattern.
    ///
    /// # Errors
    ///
    /// The pin's.
    pub fn on(&self) -> Result<(), P::Error> {
        self.set(true)
    }

    /// Switches off, and stops a pattern.
    ///
    /// # Errors
    ///
    /// The pin's.
    pub fn off(&self) -> Result<(), P::Error> {
        self.set(false)
    }

    /// Switches to what it is not, and stops a pattern.
    ///
    /// # Errors
    ///
    /// The pin's.
    pub fn toggle(&self) -> Result<(), P::Error> {
        self.set(!self.is_on())
    }

    /// Switches on or off, and stops a pattern.
    ///
    /// # Errors
    ///
    /// The pin's; the output then counts as what it was.
    pub fn set(&self, on: bool) -> Result<(), P::Error> {
        self.blinking.set(None);
        self.changes.announce();
        self.write(on)
    }

    /// Whether it is on; false before it was first set.
    #[must_use]
    pub fn is_on(&self) -> bool {
        self.on.get() == Some(true)
    }

    /// Begins a pattern, which [`Output::run`] carries out, and stops the one before.
    pub fn start(&self, pattern: Pattern) {
        self.blinking.set(Some((pattern, Instant::now())));
        self.changes.announce();
    }

    /// Begins a pattern and carries it out; returns when it is over, or when the output is set or gets
    /// another pattern.
    ///
    /// Dropped before that, the output stays as it is at that moment.
    ///
    /// # Errors
    ///
    /// The pin's; the pattern is stopped.
    pub async fn blink(&self, pattern: Pattern) -> Result<(), P::Error> {
        self.start(pattern);
        let count = self.changes.count();
        let _stop = StopBlinking {
            output: self,
            count,
        };
        while self.changes.count() == count
            && let Some(next) = self.step(Instant::now())?
        {
            select(Timer::at(next), self.changes.since(count)).await;
        }
        Ok(())
    }

    /// Carries out the patterns that [`Output::start`] begins, for ever.
    ///
    /// Dropped and called again, it goes on where the pattern is by then.
    ///
    /// # Errors
    ///
    /// The pin's; the pattern is stopped, and this may be called again.
    pub async fn run(&self) -> Result<Infallible, P::Error> {
        loop {
            let count = self.changes.count();
            match self.step(Instant::now())? {
                Some(next) => {
                    select(Timer::at(next), self.changes.since(count)).await;
                }
                None => self.changes.since(count).await,
            }
        }
    }

    /// Brings the pin to where the pattern is, if there is one; when to come back.
    fn step(&self, now: Instant) -> Result<Option<Instant>, P::Error> {
        let Some((pattern, start)) = self.blinking.get() else {
            return Ok(None);
        };
        let (on, next) = match pattern.at(now.saturating_duration_since(start)) {
            Phase::Step { on, until } => {
                (on, Some(start.checked_add(until).unwrap_or(Instant::MAX)))
            }
            Phase::Over => (false, None),
        };
        if next.is_none() {
            self.blinking.set(None);
        }
        if self.on.get() != Some(on)
            && let Err(error) = self.write(on)
        {
            self.blinking.set(None);
            return Err(error);
        }
        Ok(next)
    }

    fn write(&self, on: bool) -> Result<(), P::Error> {
        let mut pin = self.pin.borrow_mut();
        if on == self.inverted {
            pin.set_low()?;
        } else {
            pin.set_high()?;
        }
        self.on.set(Some(on));
        Ok(())
    }
}

/// Ends a pattern together with the future that carries it out.
struct StopBlinking<'o, P> {
    output: &'o Output<P>,
    count: u32,
}

impl<P> Drop for StopBlinking<'_, P> {
    fn drop(&mut self) {
        if self.output.changes.count() == self.count {
            self.output.blinking.set(None);
        }
    }
}

#[cfg(test)]
mod tests {
    use embassy_futures::join::join;
    use embassy_futures::select::select;
    use embassy_time::Duration;
    use embedded_hal_mock::eh1::MockError;
    use embedded_hal_mock::eh1::digital::{Mock, State, Transaction};
    use sim::time::run_virtual;
    use std::io::ErrorKind;

    use super::*;
    use crate::pins::OutputLine;

    const fn milliseconds(number: u64) -> Duration {
        Duration::from_millis(number)
    }

    #[test]
    fn on_off_set_and_toggle_drive_the_pin() {
        let high = || Transaction::set(State::High);
        let low = || Transaction::set(State::Low);
        let mut pin = Mock::new(&[high(), low(), high(), high(), low(), high()]);
        let relay = Relay::new(pin.clone());
        assert!(!relay.is_on());
        let step = |done: Result<(), MockError>, on: bool| {
            done.unwrap();
            assert_eq!(relay.is_on(), on);
        };
        step(relay.on(), true);
        step(relay.off(), false);
        step(relay.set(true), true);
        step(relay.set(true), true);
        step(relay.toggle(), false);
        step(relay.toggle(), true);
        pin.done();
    }

    #[test]
    fn an_inverted_output_is_on_when_its_pin_is_low() {
        let mut pin = Mock::new(&[Transaction::set(State::Low), Transaction::set(State::High)]);
        let led = Led::new(pin.clone()).inverted();
        led.on().unwrap();
        assert!(led.is_on());
        led.off().unwrap();
        assert!(!led.is_on());
        pin.done();
    }

    #[test]
    fn a_pin_that_fails_leaves_the_output_as_it_was() {
        let error = MockError::Io(ErrorKind::NotConnected);
        let mut pin = Mock::new(&[
            Transaction::set(State::High),
            Transaction::set(State::Low).with_error(error.clone()),
        ]);
        let led = Led::new(pin.clone());
        led.on().unwrap();
        assert_eq!(led.off(), Err(error));
        assert!(led.is_on());
        pin.done();
    }

    #[test]
    fn a_pattern_keeps_its_times_and_ends_off() {
        let line = OutputLine::default();
        let led = Led::new(line.clone());
        run_virtual(async {
            let pattern = Pattern::new(milliseconds(100), milliseconds(300)).times(2);
            led.blink(pattern).await.unwrap();
            assert_eq!(Instant::now().as_millis(), 800);
        });
        assert_eq!(
            line.take(),
            [(0, true), (100, false), (400, true), (500, false)]
        );
        assert!(!led.is_on());
    }

    #[test]
    fn setting_the_output_ends_its_pattern_at_once() {
        let line = OutputLine::default();
        let led = Led::new(line.clone());
        run_virtual(join(
            async {
                led.blink(Pattern::new(milliseconds(500), milliseconds(500)))
                    .await
                    .unwrap();
                assert_eq!(Instant::now().as_millis(), 1_200);
            },
            async {
                Timer::after(milliseconds(1_200)).await;
                led.on().unwrap();
                Timer::after(milliseconds(5_000)).await;
            },
        ));
        assert_eq!(
            line.take(),
            [(0, true), (500, false), (1_000, true), (1_200, true)]
        );
        assert!(led.is_on());
    }

    #[test]
    fn a_started_pattern_is_carried_out_beside_everything_and_replaced_by_the_next() {
        let line = OutputLine::default();
        let led = Led::new(line.clone());
        run_virtual(select(led.run(), async {
            Timer::after(milliseconds(1_000)).await;
            led.start(Pattern::new(milliseconds(200), milliseconds(200)));
            Timer::after(milliseconds(300)).await;
            led.start(Pattern::new(milliseconds(50), milliseconds(1_000)).times(1));
            Timer::after(milliseconds(5_000)).await;
            led.toggle().unwrap();
        }));
        assert_eq!(
            line.take(),
            [
                (1_000, true),
                (1_200, false),
                (1_300, true),
                (1_350, false),
                (6_300, true)
            ]
        );
    }

    #[test]
    fn a_dropped_pattern_never_touches_the_pin_again() {
        let line = OutputLine::default();
        let led = Led::new(line.clone());
        run_virtual(async {
            let blink = led.blink(Pattern::new(milliseconds(100), milliseconds(100)));
            select(blink, Timer::after(milliseconds(250))).await;
            select(led.run(), Timer::after(milliseconds(1_000))).await;
        });
        assert_eq!(line.take(), [(0, true), (100, false), (200, true)]);
    }

    #[test]
    fn where_a_pin_cannot_fail_no_result_needs_a_look() {
        let line = OutputLine::default();
        let led = Led::new(line.clone());
        run_virtual(async {
            led.on();
            led.blink(Pattern::new(milliseconds(10), milliseconds(10)).times(1))
                .await;
        });
        assert_eq!(line.take(), [(0, true), (10, false)]);
    }
}
