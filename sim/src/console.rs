//! The simulated device's console: what it prints is kept, and what a test types is read.

use std::cell::RefCell;
use std::collections::VecDeque;
use std::convert::Infallible;
use std::rc::Rc;

use edge_nal::io::{ErrorType, Read, Write};
use embassy_sync::blocking_mutex::raw::NoopRawMutex;
use embassy_sync::signal::Signal;

/// A console that keeps what is printed.
pub struct SimConsole(pub(crate) Rc<RefCell<Vec<u8>>>);

impl ErrorType for SimConsole {
    type Error = Infallible;
}

impl Write for SimConsole {
    async fn write(&mut self, bytes: &[u8]) -> Result<usize, Infallible> {
        self.0.borrow_mut().extend_from_slice(bytes);
        Ok(bytes.len())
    }

    async fn flush(&mut self) -> Result<(), Infallible> {
        Ok(())
    }
}

/// What was typed and not read yet.
#[derive(Default)]
pub(crate) struct Keyboard {
    pub(crate) typed: RefCell<VecDeque<u8>>,
    pub(crate) pressed: Signal<NoopRawMutex, ()>,
}

/// A console on which [`SimDevice::type_in`](crate::board::SimDevice::type_in) types.
pub struct SimKeyboard(pub(crate) Rc<Keyboard>);

impl ErrorType for SimKeyboard {
    type Error = Infallible;
}

impl Read for SimKeyboard {
    async fn read(&mut self, buffer: &mut [u8]) -> Result<usize, Infallible> {
        while self.0.typed.borrow().is_empty() {
            self.0.pressed.wait().await;
        }
        let mut typed = self.0.typed.borrow_mut();
        let count = buffer.len().min(typed.len());
        for (place, byte) in buffer.iter_mut().zip(typed.drain(..count)) {
            *place = byte;
        }
        Ok(count)
    }
}
