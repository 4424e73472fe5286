//! The device's side of the pins: each is configured once, and then driven, read or waited for.

use std::convert::Infallible;
use std::future::poll_fn;
use std::task::Poll;

use embassy_time::{Instant, Timer};
use embedded_hal::digital::{ErrorType, InputPin, OutputPin, StatefulOutputPin};
use embedded_hal_async::digital::Wait;

use super::{Look, Mode, PinBank};

/// One pin that is not in use yet.
#[derive(Debug)]
pub struct Pin {
    number: u8,
    bank: PinBank,
}

impl Pin {
    /// Uses the pin as an output, low at first.
    #[must_use]
    pub fn output(self) -> Output {
        let mut bank = self.bank.lock();
        bank.lines[usize::from(self.number)].configure(Mode::Output);
        bank.drive(self.number, false);
        drop(bank);
        Output(self)
    }

    /// Uses the pin as an input with a pull-up: it is high until something pulls it low.
    #[must_use]
    pub fn input(self) -> Input {
        self.bank.lock().lines[usize::from(self.number)].configure(Mode::Input);
        Input(self)
    }

    /// Uses the pin as an open drain with a pull-up: high lets go of it, and others may pull it low.
    #[must_use]
    pub fn open_drain(self) -> OpenDrain {
        let mut bank = self.bank.lock();
        bank.lines[usize::from(self.number)].configure(Mode::OpenDrain);
        bank.drive(self.number, true);
        drop(bank);
        OpenDrain(self)
    }
}

/// A pin that the device drives.
#[derive(Debug)]
pub struct Output(Pin);

/// A pin that the device drives low or lets go of, and reads.
#[derive(Debug)]
pub struct OpenDrain(Pin);

/// A pin that the device reads.
#[derive(Debug)]
pub struct Input(Pin);

macro_rules! drives {
    ($pin:ident) => {
        impl ErrorType for $pin {
            type Error = Infallible;
        }

        impl OutputPin for $pin {
            fn set_low(&mut self) -> Result<(), Infallible> {
                self.0.bank.lock().drive(self.0.number, false);
                Ok(())
            }

            fn set_high(&mut self) -> Result<(), Infallible> {
                self.0.bank.lock().drive(self.0.number, true);
                Ok(())
            }
        }

        impl StatefulOutputPin for $pin {
            fn is_set_high(&mut self) -> Result<bool, Infallible> {
                Ok(self.0.bank.lock().lines[usize::from(self.0.number)].driven)
            }

            fn is_set_low(&mut self) -> Result<bool, Infallible> {
                self.is_set_high().map(|high| !high)
            }
        }

        impl InputPin for $pin {
            fn is_high(&mut self) -> Result<bool, Infallible> {
                Ok(self.0.bank.lock().level(self.0.number))
            }

            fn is_low(&mut self) -> Result<bool, Infallible> {
                self.is_high().map(|high| !high)
            }
        }
    };
}

drives!(Output);
drives!(OpenDrain);

impl Input {
    fn look(&self) -> Look {
        let now = Instant::now();
        self.0.bank.lock().lines[usize::from(self.0.number)].look(now)
    }

    /// Waits until the panel has put a level on the pin.
    async fn put(&self) {
        poll_fn(|context| {
            let mut bank = self.0.bank.lock();
            let line = &mut bank.lines[usize::from(self.0.number)];
            if line.waiting.is_empty() {
                line.waker = Some(context.waker().clone());
                return Poll::Pending;
            }
            Poll::Ready(())
        })
        .await;
    }

    async fn wait(&self, reached: impl Fn(&Look) -> bool) {
        loop {
            let look = self.look();
            if reached(&look) {
                return;
            }
            match look.next {
                Some(at) => Timer::at(at).await,
                None => self.put().await,
            }
        }
    }
}

impl ErrorType for Input {
    type Error = Infallible;
}

impl InputPin for Input {
    fn is_high(&mut self) -> Result<bool, Infallible> {
        Ok(self.look().now)
    }

    fn is_low(&mut self) -> Result<bool, Infallible> {
        Ok(!self.look().now)
    }
}

/// An edge counts from the level that was looked at last, so none is lost between two calls.
impl Wait for Input {
    async fn wait_for_high(&mut self) -> Result<(), Infallible> {
        self.wait(|look| look.now).await;
        Ok(())
    }

    async fn wait_for_low(&mut self) -> Result<(), Infallible> {
        self.wait(|look| !look.now).await;
        Ok(())
    }

    async fn wait_for_rising_edge(&mut self) -> Result<(), Infallible> {
        self.wait(|look| !look.before && look.now).await;
        Ok(())
    }

    async fn wait_for_falling_edge(&mut self) -> Result<(), Infallible> {
        self.wait(|look| look.before && !look.now).await;
        Ok(())
    }

    async fn wait_for_any_edge(&mut self) -> Result<(), Infallible> {
        self.wait(|look| look.before != look.now).await;
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
            /// The pins of a bank, all free.
            #[must_use]
            pub(crate) fn new(bank: &PinBank) -> Self {
                Self { $($name: Pin { number: $number, bank: bank.clone() },)* }
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
