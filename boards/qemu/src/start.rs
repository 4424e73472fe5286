//! From reset to the device's task, and the macro that makes a firmware of an application.

use bluebell::board::{Board as BoardTypes, Hardware, OwnServers, System};
use bluebell::device::{App, Device, Memory, NEW_CONFIG, WIFI_JSON};
use bluebell::portal::PortalMemory;
use bluebell::storage;
use bluebell_network::{Guarded, Network, Portal, Station};
use embassy_executor::{Executor, SpawnError, SpawnToken, Spawner};
use embassy_net::Runner;
use static_cell::{ConstStaticCell, StaticCell};

use crate::console::{Commands, Console};
use crate::flash::{BlockFlash, layout};
use crate::machine::Machine;
use crate::nic::{self, Buffers, Nic};
use crate::pins::Pins;
use crate::radio::EmulatedRadio;
use crate::world::{self, say};
use crate::{air, console, devices, given, interrupts, measure, time};

/// The family of types that this board is made of.
#[derive(Debug)]
pub struct QemuBoard;

impl BoardTypes for QemuBoard {
    type Radio = EmulatedRadio;
    type Flash = BlockFlash;
    type Station = Station;
    type Portal = Portal;
    // As on a chip.
    type PortalMemory = PortalMemory;
    type Console = Console;
    type Commands = Commands;
}

/// What an application gets of the board.
#[derive(Debug)]
pub struct Board {
    /// The pins.
    pub pins: Pins,
}

/// Everything that the device's task begins with: little, because a task keeps the place of its arguments.
pub struct Start {
    spawner: Spawner,
    app: App,
}

impl Start {
    /// Opens the devices, and gives the two arguments of an application. What the host gives along is put
    /// onto the device before.
    pub async fn split(self) -> (Board, Device<'static, QemuBoard>) {
        let mut flash = BlockFlash::open();
        let given = [
            (&NEW_CONFIG, given::text(given::CONFIG)),
            (&WIFI_JSON, given::text(given::WIFI)),
        ];
        for (key, text) in given {
            let Some(text) = text else { continue };
            let flash = &mut flash;
            if let Err(error) = storage::write(flash, &layout(), key, text.as_bytes()).await {
                say(format_args!(
                    "{key} could not be put onto the device: {error}"
                ));
            }
        }
        let device = Device::new(start(self.spawner, flash), self.app, MEMORY.take());
        (Board { pins: Pins::new() }, device)
    }
}

/// Starts the machine and runs the task that `device` makes. Firmware calls this through
/// [`main!`](crate::main).
pub fn run<S>(app: App, device: fn(Start) -> Result<SpawnToken<S>, SpawnError>) -> ! {
    static EXECUTOR: StaticCell<Executor> = StaticCell::new();

    measure::paint();
    console::start();
    time::start();
    say(format_args!("power on"));
    EXECUTOR.init_with(Executor::new).run(|spawner| {
        let start = Start { spawner, app };
        // Each task has one place, and nobody else asks for it.
        if let Ok(task) = console::listen() {
            spawner.spawn(task);
        }
        if let Ok(task) = device(start) {
            spawner.spawn(task);
        }
        interrupts::start(&[devices::STATION, devices::ACCESS_POINT]);
    })
}

/// The device's memory: all zeros, and so neither a constant in the image nor made on the stack.
static MEMORY: ConstStaticCell<Memory> = ConstStaticCell::new(Memory::new());

// Not part of its caller, whose frame would be as large.
#[inline(never)]
fn start(spawner: Spawner, flash: BlockFlash) -> Hardware<'static, QemuBoard> {
    static MACHINE: StaticCell<Machine> = StaticCell::new();
    static STATION: ConstStaticCell<Buffers> = ConstStaticCell::new(nic::no_frames());
    static ACCESS_POINT: ConstStaticCell<Buffers> = ConstStaticCell::new(nic::no_frames());

    if let Some(text) = given::text(given::AIR) {
        match air::parse(text) {
            Ok(networks) => world::air(|air| air.networks = networks),
            Err((line, what)) => panic!("the networks in the air, line {line}: {what}"),
        }
    }
    let station = Nic::open(devices::STATION, &nic::STATION, &STATION);
    let access_point = Nic::open(devices::ACCESS_POINT, &nic::ACCESS_POINT, &ACCESS_POINT);
    let machine = MACHINE.init(Machine::open(station.hardware_address()));
    let mut seed = [0; 8];
    machine.entropy(&mut seed);
    let network = Network::start(station, access_point, u64::from_le_bytes(seed));
    for runner in network.runners {
        // The pool has room for both.
        if let Ok(task) = pump(runner) {
            spawner.spawn(task);
        }
    }

    Hardware {
        radio: EmulatedRadio::new(network.address),
        flash,
        flash_layout: layout(),
        station: network.station,
        portal: network.portal,
        portal_services: network.services,
        own_servers: OwnServers::default(),
        console: Console(()),
        commands: Commands(()),
        system: machine,
    }
}

/// Moves packets between a device and a stack.
#[embassy_executor::task(pool_size = 2)]
async fn pump(mut runner: Runner<'static, Guarded<Nic>>) -> ! {
    runner.run().await
}

/// Makes a firmware of an application: `board::main!(async |board, device| { ... });`.
///
/// The block has the type of [`Device::run`], which never returns.
#[macro_export]
macro_rules! main {
    (async |$board:pat_param, $device:pat_param| $body:block $(,)?) => {
        const _: () = {
            #[$crate::embassy_executor::task(embassy_executor = $crate::embassy_executor)]
            async fn device(start: $crate::Start) {
                let ($board, $device) = start.split().await;
                let never: ::core::convert::Infallible = $body;
                match never {}
            }

            // The name by which the start-up code calls it.
            #[unsafe(export_name = "main")]
            extern "C" fn start() -> ! {
                let app = $crate::bluebell::device::App {
                    name: env!("CARGO_PKG_NAME"),
                    config: include_str!(concat!(env!("CARGO_MANIFEST_DIR"), "/config.toml")),
                    source: include_str!(concat!(env!("CARGO_MANIFEST_DIR"), "/src/main.rs")),
                    files: $crate::www!($crate::bluebell),
                };
                $crate::run(app, device)
            }
        };
    };
}
