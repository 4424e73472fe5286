//! Pins: outputs are shown on the console, inputs take what is ordered there.

use core::convert::Infallible;
use core::future::poll_fn;
use core::sync::atomic::{AtomicBool, Ordering};
use core::task::Poll;

use embassy_sync::waitqueue::AtomicWaker;
use embedded_hal::digital::{ErrorType, InputPin, OutputPin, StatefulOutputPin};
use embedded_hal_async::digital::Wait;

use crate::world::say;

/// How many pins there are.
const PINS: usize = 40;

/// The wire at a pin: high until something pulls it low.
struct Wire {
    high: AtomicBool,
    changed: AtomicWaker,
}

static WIRES: [Wire; PINS] = [const {
    Wire {
        high: AtomicBool::new(true),
        changed: AtomicWaker::new(),
    }
}; PINS];

/// Puts a level on an input.
pub(crate) fn put(number: u8, high: bool) {
    let Some(wire) = WIRES.get(usize::from(number)) else {
        return say(format_args!(
            "pin {number}: there are pins 0 to {}",
            PINS - 1
        ));
    };
    wire.high.store(high, Ordering::Relaxed);
    wire.changed.wake();
}

/// One pin that is not in use yet.
#[derive(Debug)]
pub struct Pin(u8);

impl Pin {
    /// Uses the pin as an output, low at first. Its changes are shown on the console.
    #[must_use]
    pub fn output(self) -> Output {
        let mut output = Output {
            pin: self,
            high: true,
        };
        output.drive(false);
        output
    }

    /// Uses the pin as an input with a pull-up: it is high until something pulls it low.
    #[must_use]
    pub fn input(self) -> Input {
        let mut input = Input {
            pin: self,
            seen: true,
        };
        input.look();
        input
    }

    /// Uses the pin as an open drain with a pull-up: high lets go of it. Nothing else is on its wire.
    #[must_use]
    pub fn open_drain(self) -> OpenDrain {
        OpenDrain { high: true }
    }
}

/// A pin that the device drives.
#[derive(Debug)]
pub struct Output {
    pin: Pin,
    high: bool,
}

/// A pin that the device drives low or lets go of, and reads.
#[derive(Debug)]
pub struct OpenDrain {
    high: bool,
}

/// A pin that the device reads.
#[derive(Debug)]
pub struct Input {
    pin: Pin,
    /// The level that was looked at last.
    seen: bool,
}

impl Output {
    fn drive(&mut self, high: bool) {
        if self.high != high {
            self.high = high;
            say(format_args!("pin {} is {}", self.pin.0, u8::from(high)));
        }
    }
}

impl OpenDrain {
    fn drive(&mut self, high: bool) {
        self.high = high;
    }
}

macro_rules! drives {
    ($pin:ident) => {
        impl ErrorType for $pin {
            type Error = Infallible;
        }

        impl OutputPin for $pin {
            fn set_low(&mut self) -> Result<(), Infallible> {
                self.drive(false);
                Ok(())
            }

            fn set_high(&mut self) -> Result<(), Infallible> {
                self.drive(true);
                Ok(())
            }
        }

        impl StatefulOutputPin for $pin {
            fn is_set_high(&mut self) -> Result<bool, Infallible> {
                Ok(self.high)
            }

            fn is_set_low(&mut self) -> Result<bool, Infallible> {
                Ok(!self.high)
            }
        }

        impl InputPin for $pin {
            fn is_high(&mut self) -> Result<bool, Infallible> {
                Ok(self.high)
            }

            fn is_low(&mut self) -> Result<bool, Infallible> {
                Ok(!self.high)
            }
        }
    };
}

drives!(Output);
drives!(OpenDrain);

impl Input {
    /// The level before this look, and that of now.
    fn look(&mut self) -> (bool, bool) {
        let now = WIRES[usize::from(self.pin.0)].high.load(Ordering::Relaxed);
        (core::mem::replace(&mut self.seen, now), now)
    }

    async fn wait(&mut self, reached: impl Fn(bool, bool) -> bool) {
        poll_fn(|context| {
            WIRES[usize::from(self.pin.0)]
                .changed
                .register(context.waker());
            let (before, now) = self.look();
            if reached(before, now) {
                Poll::Ready(())
            } else {
                Poll::Pending
            }
        })
        .await;
    }
}

impl ErrorType for Input {
    type Error = Infallible;
}

impl InputPin for Input {
    fn is_high(&mut self) -> Result<bool, Infallible> {
        Ok(self.look().1)
    }

    fn is_low(&mut self) -> Result<bool, Infallible> {
        Ok(!self.look().1)
    }
}

/// An edge counts from the level that was looked at last.
impl Wait for Input {
    async fn wait_for_high(&mut self) -> Result<(), Infallible> {
        self.wait(|_, now| now).await;
        Ok(())
    }

    async fn wait_for_low(&mut self) -> Result<(), Infallible> {
        self.wait(|_, now| !now).await;
        Ok(())
    }

    async fn wait_for_rising_edge(&mut self) -> Result<(), Infallible> {
        self.wait(|before, now| !before && now).await;
        Ok(())
    }

    async fn wait_for_falling_edge(&mut self) -> Result<(), Infallible> {
        self.wait(|before, now| before && !now).await;
        Ok(())
    }

    async fn wait_for_any_edge(&mut self) -> Result<(), Infallible> {
        self.wait(|before, now| before != now).await;
        Ok(())
    }
}

macro_rules! pins {
    ($($name:ident $number:literal)*) => {
        /// The pins of the board, each to be used once.
        #[derive(Debug)]
        pub struct Pins {
            $(
                #[doc = concat!("Pin ", $number, ".")]
                pub $name: Pin,
            )*
        }

        impl Pins {
            /// All pins, free.
            pub(crate) fn new() -> Self {
                Self { $($name: Pin($number),)* }
            }
        }
    };
}

pins! {
    gpio0 0 gpio1 1 gpio2 2 gpio3 3 gpio4 4 gpio5 5 gpio6 6 gpio7 7 gpio8 8 gpio9 9
    gpio10 10 gpio11 11 gpio12 12 gpio13 13 gpio14 14 gpio15 15 gpio16 16 gpio17 17 gpio18 18
    gpio19 19 gpio20 20 gpio21 21 gpio22 22 gpio23 23 gpio24 24 gpio25 25 gpio26 26 gpio27 27
    gpio28 28 gpio29 29 gpio30 30 gpio31 31 gpio32 32 gpio33 33 gpio34 34 gpio35 35 gpio36 36
    gpio37 37 gpio38 38 gpio39 39
}
