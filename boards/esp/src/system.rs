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

/// Starts the watchdog: from here on a hang ends in a reset.
pub(crate) fn watch(watchdog: &mut Wdt<TIMG0<'static>>) {
    watchdog.set_timeout(MwdtStage::Stage0, WATCHDOG);
    watchdog.enable();
    #[cfg(any(feature = "esp32c5", feature = "esp32c61"))]
    take_over();
    watchdog.feed();
}

/// Has the watchdog take over how it was set: these chips keep that in a copy until told so, and the HAL
/// (1.2.2, `timer/timg.rs`) tells other chips alone.
#[cfg(any(feature = "esp32c5", feature = "esp32c61"))]
fn take_over() {
    const KEY: u32 = 0x50d8_3aa1;
    let registers = TIMG0::regs();
    // SAFETY: any number may be written to the lock of the watchdog's registers; this one opens it.
    registers
        .wdtwprotect()
        .write(|lock| unsafe { lock.wdt_wkey().bits(KEY) });
    registers
        .wdtconfig0()
        .modify(|_, config| config.wdt_conf_update_en().set_bit());
    // SAFETY: as above; any other number closes it.
    registers
        .wdtwprotect()
        .write(|lock| unsafe { lock.wdt_wkey().bits(0) });
}

/// The machine.
pub(crate) struct Machine {
    rng: Rng,
    watchdog: RefCell<Wdt<TIMG0<'static>>>,
    crash: Option<String<TEXT>>,
}

impl Machine {
    /// The watchdog runs, and the radio is on: the generator takes its noise from there.
    pub(crate) fn new(watchdog: Wdt<TIMG0<'static>>, crash: Option<String<TEXT>>) -> Self {
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

    fn restart(&self) {
        esp_hal::system::software_reset()
    }

    fn crash(&self) -> Option<&str> {
        self.crash.as_deref()
    }
}
