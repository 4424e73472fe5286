//! An application's own scenarios: the application as it is, with this board's pins, in the simulated
//! world and in virtual time.

use std::convert::Infallible;
use std::marker::PhantomData;
use std::process::ExitCode;

use bluebell::device::{App, Device};
use embassy_time::{Duration, Timer};
use sim::board::SimBoard;

use crate::pins::{PinBank, Pins};
use crate::{Application, Board};

/// For how long a person holds a button.
const PRESS: Duration = Duration::from_millis(200);

/// Tells the scenarios of a directory as tests; see [`sim::scenario::main`].
pub fn main<A: Application>(directory: &str, package: &str, test: &str) -> ExitCode {
    sim::scenario::main::<Wired<A>>(directory, package, test)
}

/// An application with the parts on its pins.
#[derive(Debug)]
pub struct Wired<A> {
    pins: PinBank,
    application: PhantomData<A>,
}

impl<A> Default for Wired<A> {
    fn default() -> Self {
        Self {
            pins: PinBank::default(),
            application: PhantomData,
        }
    }
}

impl<A: Application> sim::scenario::Application for Wired<A> {
    fn app(&self) -> App {
        A::APP
    }

    async fn run(&self, device: Device<'_, SimBoard>) -> Infallible {
        let pins = Pins::new(&self.pins);
        A::run(Board { pins }, device).await
    }

    fn off(&self) {
        self.pins.reset();
    }

    async fn press(&self, pin: u8) -> Result<(), String> {
        for level in [false, true] {
            self.put(pin, level)?;
            Timer::after(PRESS).await;
        }
        Ok(())
    }

    fn put(&self, pin: u8, level: bool) -> Result<(), String> {
        let put = self.pins.put(pin.into(), level);
        put.map_err(|error| error.to_string())
    }

    fn pin(&self, number: u8) -> Option<u8> {
        self.pins.states().get(&number).map(|state| state.level)
    }

    fn display(&self) -> Option<String> {
        Some(self.pins.display_text())
    }
}
