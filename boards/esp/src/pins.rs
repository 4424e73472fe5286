//! The pins of the board, under the names that they have on every board.
//!
//! Four pins have a job that all boards share; the chips of the family are built differently, so the
//! table says where the job is done. Other pins are where their names say, as far as the chip has them
//! and neither the flash, the console nor USB needs them.
//!
//! | board pin | job | ESP32, S2, S3 | C2, C3, C5 | C6 | C61 |
//! |---|---|---|---|---|---|
//! | `gpio0` | button to ground | GPIO0 (BOOT) | GPIO9 (BOOT); C5: GPIO28 (BOOT) | GPIO9 (BOOT) | GPIO9 (BOOT) |
//! | `gpio4`, `gpio5` | display: clock, data | GPIO4, GPIO5 | GPIO4, GPIO5 | GPIO4, GPIO5 | GPIO4, GPIO5 |
//! | `gpio14` | relay, on when high | GPIO14 | GPIO10 | GPIO18 | GPIO2 |

use esp_hal::gpio::{
    AnyPin, DriveMode, Flex, Input, InputConfig, Level, Output, OutputConfig, Pull,
};

/// One pin that is not in use yet.
#[derive(Debug)]
pub struct Pin(AnyPin<'static>);

impl Pin {
    /// Uses the pin as an output, low at first.
    #[must_use]
    pub fn output(self) -> Output<'static> {
        Output::new(self.0, Level::Low, OutputConfig::default())
    }

    /// Uses the pin as an input with a pull-up: it is high until something pulls it low.
    #[must_use]
    pub fn input(self) -> Input<'static> {
        Input::new(self.0, InputConfig::default().with_pull(Pull::Up))
    }

    /// Uses the pin as an open drain with a pull-up: high lets go of it, and others may pull it low.
    #[must_use]
    pub fn open_drain(self) -> Flex<'static> {
        let mut pin = Flex::new(self.0);
        pin.set_high();
        pin.apply_output_config(
            &OutputConfig::default()
                .with_drive_mode(DriveMode::OpenDrain)
                .with_pull(Pull::Up),
        );
        pin.apply_input_config(&InputConfig::default().with_pull(Pull::Up));
        pin.set_output_enable(true);
        pin.set_input_enable(true);
        pin
    }
}

macro_rules! pins {
    ($($chip:literal: $($name:ident $gpio:ident)*;)*) => {
        $(
            /// The pins of the board, each to be used once.
            #[cfg(feature = $chip)]
            #[derive(Debug)]
            pub struct Pins {
                $(
                    #[doc = stringify!($gpio)]
                    pub $name: Pin,
                )*
            }

            /// Takes the pins from among the chip's parts.
            #[cfg(feature = $chip)]
            macro_rules! take_pins {
                ($parts:ident) => {
                    $crate::pins::Pins {
                        $($name: $crate::pins::Pin::new($parts.$gpio.into()),)*
                    }
                };
            }
        )*
    };
}

impl Pin {
    pub(crate) fn new(pin: AnyPin<'static>) -> Self {
        Self(pin)
    }
}

pins! {
    "esp32":
        gpio0 GPIO0 gpio2 GPIO2 gpio4 GPIO4 gpio5 GPIO5 gpio12 GPIO12 gpio13 GPIO13 gpio14 GPIO14
        gpio15 GPIO15 gpio18 GPIO18 gpio19 GPIO19 gpio21 GPIO21 gpio22 GPIO22 gpio23 GPIO23
        gpio25 GPIO25 gpio26 GPIO26 gpio27 GPIO27 gpio32 GPIO32 gpio33 GPIO33;
    "esp32c2":
        gpio0 GPIO9 gpio1 GPIO1 gpio2 GPIO2 gpio3 GPIO3 gpio4 GPIO4 gpio5 GPIO5 gpio6 GPIO6
        gpio7 GPIO7 gpio8 GPIO8 gpio14 GPIO10 gpio18 GPIO18;
    "esp32c3":
        gpio0 GPIO9 gpio1 GPIO1 gpio2 GPIO2 gpio3 GPIO3 gpio4 GPIO4 gpio5 GPIO5 gpio6 GPIO6
        gpio7 GPIO7 gpio8 GPIO8 gpio14 GPIO10;
    "esp32c5":
        gpio0 GPIO28 gpio1 GPIO1 gpio2 GPIO2 gpio3 GPIO3 gpio4 GPIO4 gpio5 GPIO5 gpio6 GPIO6
        gpio7 GPIO7 gpio8 GPIO8 gpio9 GPIO9 gpio14 GPIO10 gpio23 GPIO23 gpio24 GPIO24;
    "esp32c6":
        gpio0 GPIO9 gpio1 GPIO1 gpio2 GPIO2 gpio3 GPIO3 gpio4 GPIO4 gpio5 GPIO5 gpio6 GPIO6
        gpio7 GPIO7 gpio8 GPIO8 gpio14 GPIO18 gpio15 GPIO15 gpio19 GPIO19 gpio20 GPIO20
        gpio21 GPIO21 gpio22 GPIO22 gpio23 GPIO23;
    "esp32c61":
        gpio0 GPIO9 gpio1 GPIO1 gpio3 GPIO3 gpio4 GPIO4 gpio5 GPIO5 gpio6 GPIO6 gpio7 GPIO7
        gpio8 GPIO8 gpio14 GPIO2;
    "esp32s2":
        gpio0 GPIO0 gpio1 GPIO1 gpio2 GPIO2 gpio3 GPIO3 gpio4 GPIO4 gpio5 GPIO5 gpio6 GPIO6
        gpio7 GPIO7 gpio8 GPIO8 gpio9 GPIO9 gpio10 GPIO10 gpio11 GPIO11 gpio12 GPIO12
        gpio13 GPIO13 gpio14 GPIO14 gpio15 GPIO15 gpio16 GPIO16 gpio17 GPIO17 gpio18 GPIO18;
    "esp32s3":
        gpio0 GPIO0 gpio1 GPIO1 gpio2 GPIO2 gpio3 GPIO3 gpio4 GPIO4 gpio5 GPIO5 gpio6 GPIO6
        gpio7 GPIO7 gpio8 GPIO8 gpio9 GPIO9 gpio10 GPIO10 gpio11 GPIO11 gpio12 GPIO12
        gpio13 GPIO13 gpio14 GPIO14 gpio15 GPIO15 gpio16 GPIO16 gpio17 GPIO17 gpio18 GPIO18
        gpio21 GPIO21;
}

pub(crate) use take_pins;
