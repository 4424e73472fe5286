//! Pins for the tests of this crate.

use core::cell::{Cell, RefCell};
use core::convert::Infallible;
use std::rc::Rc;
use std::vec::Vec;

use embassy_time::Instant;
use embedded_hal::digital::{ErrorType, InputPin, OutputPin};
use embedded_hal_async::digital::Wait;

use crate::changes::Changes;

/// A line that a test drives and a part reads; it counts how often it was asked.
#[derive(Clone)]
pub(crate) struct InputLine(Rc<Input>);

struct Input {
    high: Cell<bool>,
    asked: Cell<u32>,
    changes: Changes,
}

impl InputLine {
    pub(crate) fn new(high: bool) -> Self {
        Self(Rc::new(Input {
            high: Cell::new(high),
            asked: Cell::new(0),
            changes: Changes::new(),
        }))
    }

    pub(crate) fn set(&self, high: bool) {
        self.0.high.set(high);
        self.0.changes.announce();
    }

    pub(crate) fn asked(&self) -> u32 {
        self.0.asked.get()
    }

    async fn wait_for(&self, high: bool) {
        self.0.asked.set(self.0.asked.get() + 1);
        while self.0.high.get() != high {
            self.0.changes.since(self.0.changes.count()).await;
        }
    }
}

impl ErrorType for InputLine {
    type Error = Infallible;
}

impl InputPin for InputLine {
    fn is_high(&mut self) -> Result<bool, Infallible> {
        Ok(self.0.high.get())
    }

    fn is_low(&mut self) -> Result<bool, Infallible> {
        Ok(!self.0.high.get())
    }
}

impl Wait for InputLine {
    async fn wait_for_high(&mut self) -> Result<(), Infallible> {
        self.wait_for(true).await;
        Ok(())
    }

    async fn wait_for_low(&mut self) -> Result<(), Infallible> {
        self.wait_for(false).await;
        Ok(())
    }

    async fn wait_for_rising_edge(&mut self) -> Result<(), Infallible> {
        self.wait_for(false).await;
        self.wait_for(true).await;
        Ok(())
    }

    async fn wait_for_falling_edge(&mut self) -> Result<(), Infallible> {
        self.wait_for(true).await;
        self.wait_for(false).await;
        Ok(())
    }

    async fn wait_for_any_edge(&mut self) -> Result<(), Infallible> {
        self.0.changes.since(self.0.changes.count()).await;
        Ok(())
    }
}

/// A line that a part drives; every write is kept, with its time in milliseconds.
#[derive(Clone, Default)]
pub(crate) struct OutputLine(pub(crate) Rc<RefCell<Vec<(u64, bool)>>>);

impl OutputLine {
    pub(crate) fn take(&self) -> Vec<(u64, bool)> {
        self.0.take()
    }
}

impl ErrorType for OutputLine {
    type Error = Infallible;
}

impl OutputPin for OutputLine {
    fn set_low(&mut self) -> Result<(), Infallible> {
        self.0
            .borrow_mut()
            .push((Instant::now().as_millis(), false));
        Ok(())
    }

    fn set_high(&mut self) -> Result<(), Infallible> {
        self.0.borrow_mut().push((Instant::now().as_millis(), true));
        Ok(())
    }
}
