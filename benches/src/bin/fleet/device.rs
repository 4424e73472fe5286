//! One device of the fleet: the framework's own, with a socket of this machine.

use std::cell::{Cell, RefCell};
use std::convert::Infallible;
use std::future::pending;
use std::net::{Ipv4Addr, SocketAddr};
use std::rc::Rc;

use bluebell::board::{Board, Hardware, OwnServers, PortalServices, Status, System};
use bluebell::device::{App, Device, Memory, WIFI_JSON};
use bluebell::mqtt;
use bluebell::portal::PortalMemory;
use bluebell::storage;
use bluebell_linux::portal::Portal;
use bluebell_linux::radio::LinuxRadio;
use bluebell_linux::station::Station;
use embedded_io_async::{ErrorType, Read, Write};
use rand::{Rng, SeedableRng, rngs::SmallRng};
use sim::air::{self, Air};
use sim::board::SimDevice;

use crate::flash::SparseFlash;

/// The network that every device is on.
const NETWORK: &str = "Fleet";
const KNOWN: &[u8] = br#"{"Fleet":"correct horse"}"#;

/// How the whole fleet is.
#[derive(Debug, Default)]
pub(crate) struct Tally {
    /// Devices that are online at the broker.
    pub(crate) online: Cell<usize>,
    /// How often a device that was online was so no more.
    pub(crate) dropped: Cell<usize>,
}

/// The family of types that a device of the fleet is made of.
struct FleetBoard;

impl Board for FleetBoard {
    type Radio = LinuxRadio;
    type Flash = SparseFlash;
    type Station = Station;
    type Portal = Portal;
    type PortalMemory = PortalMemory;
    type Console = Nowhere;
    type Commands = Nowhere;
}

/// Runs the device of this number for ever.
pub(crate) async fn run(number: u32, config: &'static str, tally: Rc<Tally>) {
    // An air of its own: in a shared one every radio would be looked at for each.
    let air = Air::new();
    air.add(air::Station::new(NETWORK).with_password("correct horse"));
    let radio = LinuxRadio::new(&air);
    let station = Station::new(radio.link());
    let nowhere = SocketAddr::from((Ipv4Addr::LOCALHOST, 0));
    let mut flash = SparseFlash::default();
    let layout = SimDevice::layout();
    storage::write(&mut flash, &layout, &WIFI_JSON, KNOWN)
        .await
        .expect("an empty flash has room");
    let machine = Machine {
        number,
        random: RefCell::new(SmallRng::seed_from_u64(number.into())),
        online: Cell::new(false),
        tally,
    };
    let hardware = Hardware {
        radio,
        flash,
        flash_layout: layout,
        station,
        portal: Portal::new(nowhere),
        portal_services: PortalServices {
            address: nowhere,
            dhcp_and_dns: false,
        },
        own_servers: OwnServers::default(),
        console: Nowhere,
        commands: Nowhere,
        system: &machine,
    };
    let app = App {
        name: "fleet",
        config,
        source: include_str!("device.rs"),
        files: &[],
    };
    let mut memory = Box::new(Memory::new());
    let device = Device::<FleetBoard>::new(hardware, app, &mut memory);
    match device.run().await {}
}

/// What the device knows of its machine.
struct Machine {
    number: u32,
    random: RefCell<SmallRng>,
    online: Cell<bool>,
    tally: Rc<Tally>,
}

impl System for Machine {
    fn entropy(&self, bytes: &mut [u8]) {
        self.random.borrow_mut().fill_bytes(bytes);
    }

    fn hardware_address(&self) -> [u8; 6] {
        let [_, high, middle, low] = self.number.to_be_bytes();
        [2, 0, 0, high, middle, low]
    }

    fn status(&self, status: &Status<'_>) {
        let online = status.mqtt == mqtt::State::Online;
        let add = |count: &Cell<usize>, more: usize| count.set(count.get() + more);
        match (self.online.replace(online), online) {
            (false, true) => add(&self.tally.online, 1),
            (true, false) => {
                add(&self.tally.dropped, 1);
                self.tally.online.set(self.tally.online.get() - 1);
            }
            _ => {}
        }
    }
}

/// A console that nobody reads, and on which nobody types.
struct Nowhere;

impl ErrorType for Nowhere {
    type Error = Infallible;
}

impl Write for Nowhere {
    async fn write(&mut self, bytes: &[u8]) -> Result<usize, Infallible> {
        Ok(bytes.len())
    }

    async fn flush(&mut self) -> Result<(), Infallible> {
        Ok(())
    }
}

impl Read for Nowhere {
    async fn read(&mut self, _: &mut [u8]) -> Result<usize, Infallible> {
        pending().await
    }
}
