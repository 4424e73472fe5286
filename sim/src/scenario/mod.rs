//! Scenarios as data: stories about a device in TOML, each a test of its own.
//!
//! A story says which networks are around, what happens when, and what is expected; `docs/scenarios.md`
//! has its vocabulary. It is told with a whole device: the framework as on a chip, the application as it
//! is, everything around it simulated, in virtual time. Whatever the story is about, what a device
//! promises at all times is checked all along (see [`Watch`](watch::Watch)): no scenario says so.
//!
//! Guarantees: the same story with the same seed goes the same way on every machine; a story that fails
//! says at which line, how the device is, and the one command that tells it again.

mod expect;
mod lamp;
mod run;
pub mod script;
mod soak;
mod stage;
mod watch;
mod words;

use std::convert::Infallible;
use std::future::Future;

use bluebell::device::{App, Device};

pub use lamp::Lamp;
pub use run::main;
pub use soak::soak;
pub use words::{Date, ScriptError, Span};

use crate::board::SimBoard;
use crate::broker::Message;

/// An application that stories are told about, with the parts on its pins.
///
/// What outlives a power cut has to be on the device's flash: [`Application::off`] is where a part
/// forgets the rest.
pub trait Application {
    /// What its build knows of it.
    fn app(&self) -> App;

    /// Runs it on a device that was just switched on.
    fn run(&self, device: Device<'_, SimBoard>) -> impl Future<Output = Infallible>;

    /// The power is gone.
    fn off(&self) {}

    /// What the device keeps on its flash may be lost from now on: bits of it have turned over, or it is
    /// told to forget everything.
    fn spoilt(&self) {}

    /// Presses the button on a pin, and lets it go.
    ///
    /// # Errors
    ///
    /// When there is none.
    fn press(&self, pin: u8) -> impl Future<Output = Result<(), String>> {
        let wrong = Err(format!("there is no button on pin {pin}"));
        async { wrong }
    }

    /// Puts a level on an input, until another is put; also while it has no power.
    ///
    /// # Errors
    ///
    /// When it is no input.
    fn put(&self, pin: u8, _level: bool) -> Result<(), String> {
        Err(format!("there is no input on pin {pin}"))
    }

    /// The level of a pin; `None` for one that is not in use.
    fn pin(&self, _number: u8) -> Option<u8> {
        None
    }

    /// What its display shows; `None` without one.
    fn display(&self) -> Option<String> {
        None
    }

    /// The broker has got a message.
    fn arrived(&self, _message: &Message) {}

    /// Whether it is as it promises to be. `settled`: the device has been online for a while, with
    /// nothing wrong around it.
    ///
    /// # Errors
    ///
    /// What is wrong.
    fn check(&self, _settled: bool) -> Result<(), String> {
        Ok(())
    }
}
