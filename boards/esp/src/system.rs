//! What the machine can do: entropy, address, watchdog, reset reason, the last crash.

use core::cell::RefCell;

use bluebell::board::System;
use esp_hal::efuse::{InterfaceMacAddress, interface_mac_address};
use esp_hal::peripherals::TIMG0;
use esp_hal::rng::Rng;
use esp_hal::time::Duration;
use esp_hal::timer::timg::{MwdtStage, Wdt};

use heapless::String;

use crate::crash::TEXT;
use crate::reason::reset_words;

/// How long the device's future may hang before the chip resets. Erasing a sector blocks it for 0.4 s
/// at the worst.
const WATCHDOG: Duration = Duration::from_secs(10);

/// The machine.
pub(crate) struct Machine {
    rng: Rng,
    watchdog: RefCell<Wdt<TIMG0<'static>>>,
    crash: Option<String<TEXT>>,
}

impl Machine {
    /// Starts the watchdog. The radio is to be on: the generator takes its noise from there.
    pub(crate) fn new(mut watchdog: Wdt<TIMG0<'static>>, crash: Option<String<TEXT>>) -> Self {
        watchdog.set_timeout(MwdtStage::Stage0, WATCHDOG);
        watchdog.enable();
        watchdog.feed();
        Self {
            rng: Rng::new(),
            watchdog: RefCell::new(watchdog),
            crash,
        }
    }
}

impl System for Machine {
    fn entropy(&self, bytes: &mut [u8]) {
        self.rng.read(bytes);
    }

    fn hardware_address(&self) -> [u8; 6] {
        let mut address = [0; 6];
        let mac = interface_mac_address(InterfaceMacAddress::Station);
        address.copy_from_slice(mac.as_bytes());
        address
    }

    fn feed_watchdog(&self) {
        self.watchdog.borrow_mut().feed();
    }

    fn reset_reason(&self) -> &str {
        reset_words(esp_hal::system::reset_reason().map(|reason| reason as u32))
    }

    fn crash(&self) -> Option<&str> {
        self.crash.as_deref()
    }
}
