//! From reset to the device's task, and the macro that makes a firmware of an application.

use bluebell::board::{Board as BoardTypes, Hardware, OwnServers};
use bluebell::device::{App, Device, Memory};
use bluebell_network::{Guarded, Network, Portal, Station};
use embassy_executor::{SpawnError, SpawnToken, Spawner};
use embassy_net::Runner;
use esp_hal::clock::CpuClock;
use esp_hal::peripherals::Peripherals;
use esp_hal::rng::Rng;
use esp_hal::timer::timg::TimerGroup;
use esp_hal::uart::{self, Uart};
use esp_radio::wifi::Interface;
use static_cell::{ConstStaticCell, StaticCell};

use crate::console::{Commands, Console, usb};
use crate::flash::ChipFlash;
use crate::layout::flash_layout;
use crate::pins::{Pins, take_pins};
use crate::radio::EspRadio;
use crate::system::Machine;
use crate::{console, panic, radio, system};

/// The configuration that the build was given in the place of the application's own.
pub const CONFIG: Option<&str> = include!(concat!(env!("OUT_DIR"), "/config.rs"));

/// The heap, which only the radio's driver and its scheduler use: in RAM that was the bootloader's, of which each chip
/// has another size, and in what the linker gives out.
const HEAP: (usize, usize) = cfg_select! {
    feature = "esp32" => (96 * 1024, 40 * 1024),
    // All that was the bootloader's.
    feature = "esp32c2" => (0x1_0370, 6 * 1024),
    feature = "esp32c61" => (64 * 1024, 48 * 1024),
    feature = "esp32s2" => (128 * 1024, 8 * 1024),
    _ => (64 * 1024, 72 * 1024),
};
const HEAP_BEYOND: usize = HEAP.0;
const HEAP_WITHIN: usize = HEAP.1;

/// Characters in the UART's memory at which they are fetched: half of what fits.
const FETCH_AT: u16 = 64;

/// Where each chip's ROM has its console, so that the boot messages are seen too.
macro_rules! uart_on_its_pins {
    ($uart:ident, $parts:ident) => {
        cfg_select! {
            feature = "esp32" => $uart.with_rx($parts.GPIO3).with_tx($parts.GPIO1),
            feature = "esp32c2" => $uart.with_rx($parts.GPIO19).with_tx($parts.GPIO20),
            feature = "esp32c3" => $uart.with_rx($parts.GPIO20).with_tx($parts.GPIO21),
            feature = "esp32c5" => $uart.with_rx($parts.GPIO12).with_tx($parts.GPIO11),
            feature = "esp32c6" => $uart.with_rx($parts.GPIO17).with_tx($parts.GPIO16),
            feature = "esp32c61" => $uart.with_rx($parts.GPIO10).with_tx($parts.GPIO11),
            any(feature = "esp32s2", feature = "esp32s3") => {
                $uart.with_rx($parts.GPIO44).with_tx($parts.GPIO43)
            }
        }
    };
}

/// The USB port, where the chip has one.
macro_rules! usb_port {
    ($parts:ident) => {
        cfg_select! {
            any(feature = "esp32", feature = "esp32c2", feature = "esp32s2") => {
                (usb::UsbReader, usb::UsbWriter)
            }
            _ => usb::open($parts.USB_DEVICE),
        }
    };
}

/// The family of types that this board is made of.
#[derive(Debug)]
pub struct EspBoard;

impl BoardTypes for EspBoard {
    type Radio = EspRadio;
    type Flash = ChipFlash;
    type Station = Station;
    type Portal = Portal;
    type PortalMemory = bluebell::portal::PortalMemory;
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
    parts: Peripherals,
    app: App,
}

impl Start {
    /// Starts the radio and all else, and gives the two arguments of an application.
    pub fn split(self) -> (Board, Device<'static, EspBoard>) {
        start(self)
    }
}

/// Starts the chip and runs the task that `device` makes. Firmware calls this through [`main!`](crate::main).
pub fn run<S>(app: App, device: fn(Start) -> Result<SpawnToken<S>, SpawnError>) -> ! {
    static EXECUTOR: StaticCell<esp_rtos::embassy::Executor> = StaticCell::new();

    let parts = esp_hal::init(esp_hal::Config::default().with_cpu_clock(CpuClock::max()));
    esp_alloc::heap_allocator!(#[unsafe(link_section = ".dram2_uninit")] size: HEAP_BEYOND);
    esp_alloc::heap_allocator!(size: HEAP_WITHIN);
    EXECUTOR
        .init_with(esp_rtos::embassy::Executor::new)
        .run(|spawner| {
            let start = Start {
                spawner,
                parts,
                app,
            };
            // The task has one place, and nobody else asks for it.
            if let Ok(task) = device(start) {
                spawner.spawn(task);
            }
        })
}

/// The device's memory: all zeros, and so neither a constant in the image nor made on the stack.
static MEMORY: ConstStaticCell<Memory> = ConstStaticCell::new(Memory::new());

// Not part of its caller, which has the frame of the whole device.
#[inline(never)]
fn start(
    Start {
        spawner,
        parts,
        app,
    }: Start,
) -> (Board, Device<'static, EspBoard>) {
    static MACHINE: StaticCell<Machine> = StaticCell::new();

    let mut timers = TimerGroup::new(parts.TIMG0);
    system::watch(&mut timers.wdt);
    esp_rtos::start(timers.timer0, parts.FROM_CPU_INTR0);

    let controller = match radio::controller(parts.WIFI) {
        Ok(controller) => controller,
        // Nothing can be done without it, and starting again is what may help.
        Err(error) => panic!("the radio does not start: {error:?}"),
    };
    // From here on the generator has the radio's noise.
    let machine = MACHINE.init(Machine::new(timers.wdt, panic::take()));
    let rng = Rng::new();
    let seed = u64::from(rng.random()) << 32 | u64::from(rng.random());
    let network = Network::start(Interface::station(), Interface::access_point(), seed);
    for runner in network.runners {
        // The pool has room for both.
        if let Ok(task) = pump(runner) {
            spawner.spawn(task);
        }
    }

    let settings = uart::Config::default()
        .with_rx(uart::RxConfig::default().with_fifo_full_threshold(FETCH_AT));
    let uart = match Uart::new(parts.UART0, settings) {
        Ok(uart) => uart,
        Err(error) => panic!("the console's settings are wrong: {error:?}"),
    };
    let uart = uart_on_its_pins!(uart, parts).into_async().split();
    let (commands, console) = console::split(uart, usb_port!(parts));

    let hardware = Hardware {
        radio: EspRadio::new(controller, network.address),
        flash: ChipFlash::new(parts.FLASH),
        flash_layout: flash_layout(),
        station: network.station,
        portal: network.portal,
        portal_services: network.services,
        own_servers: OwnServers::default(),
        console,
        commands,
        system: machine,
    };
    let board = Board {
        pins: take_pins!(parts),
    };
    (board, Device::new(hardware, app, MEMORY.take()))
}

/// Moves packets between the radio and a stack.
#[embassy_executor::task(pool_size = 2)]
async fn pump(mut runner: Runner<'static, Guarded<Interface>>) -> ! {
    runner.run().await
}

/// Makes a firmware of an application: `board::main!(async |board, device| { ... });`.
///
/// The block has the type of [`Device::run`], which never returns.
#[macro_export]
macro_rules! main {
    (async |$board:pat_param, $device:pat_param| $body:block $(,)?) => {
        const _: () = {
            $crate::esp_bootloader_esp_idf::esp_app_desc!();

            #[$crate::embassy_executor::task(embassy_executor = $crate::embassy_executor)]
            async fn device(start: $crate::Start) {
                let ($board, $device) = start.split();
                let never: ::core::convert::Infallible = $body;
                match never {}
            }

            // The name by which the start-up code calls it.
            #[unsafe(export_name = "main")]
            extern "C" fn start() -> ! {
                const CONFIG: &str = match $crate::CONFIG {
                    Some(config) => config,
                    None => include_str!(concat!(env!("CARGO_MANIFEST_DIR"), "/config.toml")),
                };
                let app = $crate::bluebell::device::App {
                    name: env!("CARGO_PKG_NAME"),
                    config: CONFIG,
                    source: include_str!(concat!(env!("CARGO_MANIFEST_DIR"), "/src/main.rs")),
                    files: $crate::www!($crate::bluebell),
                };
                $crate::run(app, device)
            }
        };
    };
}
