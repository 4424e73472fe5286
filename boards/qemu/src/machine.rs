//! What the machine can do: entropy, its address, and to show its state on the console.

use core::cell::RefCell;
use core::fmt::Write;

use bluebell::board::{Status, System};
use bluebell::{mqtt, wifi};
use heapless::String;
use virtio_drivers::device::rng::VirtIORng;
use virtio_drivers::transport::DeviceType;

use crate::console::Uart;
use crate::devices::{self, Shared, Slot};

/// The machine.
pub(crate) struct Machine {
    generator: RefCell<VirtIORng<Shared, Slot>>,
    hardware_address: [u8; 6],
    shown: RefCell<String<128>>,
}

impl Machine {
    pub(crate) fn open(hardware_address: [u8; 6]) -> Self {
        let generator =
            match VirtIORng::new(devices::open(devices::ENTROPY, DeviceType::EntropySource)) {
                Ok(generator) => generator,
                Err(error) => panic!("the entropy device does not start: {error:?}"),
            };
        Self {
            generator: RefCell::new(generator),
            hardware_address,
            shown: RefCell::default(),
        }
    }
}

impl System for Machine {
    fn entropy(&self, bytes: &mut [u8]) {
        let mut rest = bytes;
        while !rest.is_empty() {
            // Without entropy there is nothing to make keys from, and no device must run.
            match self.generator.borrow_mut().request_entropy(rest) {
                Ok(count) => rest = &mut rest[count..],
                Err(error) => panic!("the host gives no entropy: {error:?}"),
            }
        }
    }

    fn hardware_address(&self) -> [u8; 6] {
        self.hardware_address
    }

    fn restart(&self) {
        crate::exit::restart()
    }

    /// A line on the console, for people and for programs.
    fn status(&self, status: &Status<'_>) {
        let wifi = match status.wifi {
            wifi::State::Starting => "starting",
            wifi::State::Joining => "joining",
            wifi::State::Portal => "portal",
            wifi::State::Online => "online",
        };
        let mqtt = match status.mqtt {
            mqtt::State::Offline => "offline",
            mqtt::State::Connecting => "connecting",
            mqtt::State::Online => "online",
        };
        let portal = if status.portal { "open" } else { "closed" };
        let mut line = String::<128>::new();
        // It fits: an SSID has at most 32 bytes. It comes last, because it may hold anything.
        let _ = write!(line, "wifi={wifi} portal={portal} mqtt={mqtt}");
        if let Some(address) = status.address {
            let _ = write!(line, " ip={address}");
        }
        if let Some(ssid) = status.ssid {
            let _ = write!(line, " ssid={ssid}");
        }
        if *self.shown.borrow() != line {
            let _ = writeln!(Uart, "board: {line}");
            *self.shown.borrow_mut() = line;
        }
    }
}
