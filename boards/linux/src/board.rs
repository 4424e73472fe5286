//! The board as the framework sees it, and its life from the command line to the last power cut.

use std::process::ExitCode;
use std::time::Duration;

use bluebell::board::{Board as BoardTypes, Hardware, OwnServers, PortalServices, System};
use embassy_futures::select::{Either, select};
use sim::time::run_real;

use crate::arguments::{Parsed, parse};
use crate::console::{Commands, Console};
use crate::flash::{FileFlash, layout};
use crate::pins::Pins;
use crate::portal::Portal;
use crate::power::Cut;
use crate::radio::LinuxRadio;
use crate::start::Surroundings;
use crate::state::WifiJson;
use crate::station::Station;
use crate::status::Observer;
use crate::{broker, start};

/// The exit status for a wrong flag, file or address.
const WRONG_USE: u8 = 2;
/// How long the last lines may take to be printed.
const LAST_WORDS: Duration = Duration::from_millis(300);

/// The application that is to run on the board.
#[derive(Debug, Clone, Copy)]
pub struct App {
    /// Its name, which is that of its package.
    pub name: &'static str,
    /// Its version, for `--version`.
    pub version: &'static str,
}

/// What the application gets of the board, anew at each boot.
#[derive(Debug)]
pub struct Board {
    /// The pins.
    pub pins: Pins,
}

/// The family of types that this board is made of.
#[derive(Debug)]
pub struct LinuxBoard;

impl BoardTypes for LinuxBoard {
    type Radio = LinuxRadio;
    type Flash = FileFlash;
    type Station = Station;
    type Portal = Portal;
    // Browsers send this host's cookies along, whoever set them; and they like many connections.
    type PortalMemory = bluebell::portal::PortalMemory<16, 8192>;
    type Console = Console;
    type Commands = Commands;
}

/// What the framework gets of the board, anew at each boot.
pub struct Boot<'b> {
    /// Everything that [`bluebell`] asks of a board.
    pub hardware: Hardware<'b, LinuxBoard>,
    /// The text of `--config`, to be checked and kept by the device; `None` without that flag and
    /// after the first boot of this process.
    pub config: Option<&'b str>,
    /// The `wifi.json` that was put onto the device by `--provision`, until it is erased.
    pub wifi_json: WifiJson,
    /// Takes what the panel shows of the device.
    pub observer: Observer,
}

/// What the machine can do for the device.
struct Machine {
    hardware_address: [u8; 6],
    reset_reason: &'static str,
}

impl System for Machine {
    fn entropy(&self, bytes: &mut [u8]) {
        // The kernel's generator fails only before it is seeded, at the machine's own start: then there
        // is nothing to make keys from, and no device must run.
        getrandom::fill(bytes).expect("the kernel gives no entropy: is /dev/urandom there?");
    }

    fn hardware_address(&self) -> [u8; 6] {
        self.hardware_address
    }

    fn reset_reason(&self) -> &str {
        self.reset_reason
    }
}

/// Runs an application on this board, as the whole of its `main`.
///
/// `boot` runs the device; its future is dropped at once when the power is cut, and a new one is made
/// when it returns. One that ends is a device that stands still.
pub fn run<F>(app: App, boot: F) -> ExitCode
where
    F: AsyncFn(Board, Boot<'_>),
{
    if let Some(status) = broker::run_child() {
        return status;
    }
    let arguments = match parse(app.name, app.version, std::env::args_os()) {
        Parsed::Run(arguments) => *arguments,
        Parsed::Show(text) => {
            print!("{text}");
            return ExitCode::SUCCESS;
        }
        Parsed::Wrong(line) => return refuse(app, &line),
    };
    let surroundings = match start::start(app.name, &arguments) {
        Ok(surroundings) => surroundings,
        Err(error) => return refuse(app, &error.to_string()),
    };
    match live(&surroundings, boot) {
        Ok(()) => {
            surroundings.terminal.flush(LAST_WORDS);
            ExitCode::SUCCESS
        }
        Err(error) => refuse(app, &error.to_string()),
    }
}

fn refuse(app: App, line: &str) -> ExitCode {
    eprintln!("{}: {line}", app.name);
    ExitCode::from(WRONG_USE)
}

/// Boots the device again and again until the board is switched off.
fn live<F>(board: &Surroundings, boot: F) -> Result<(), start::StartError>
where
    F: AsyncFn(Board, Boot<'_>),
{
    let mut machine = Machine {
        hardware_address: board.hardware_address,
        reset_reason: "power on",
    };
    let mut config = board.config.as_deref();
    loop {
        board.pins.reset();
        board.observer.restart();
        let radio = LinuxRadio::new(&board.air);
        let hardware = Hardware {
            flash: board.flash()?,
            flash_layout: layout(),
            station: Station::new(radio.link()),
            radio,
            portal: Portal::new(board.portal),
            portal_services: PortalServices {
                address: board.portal_address(),
                dhcp_and_dns: false,
            },
            own_servers: OwnServers {
                broker: board.broker.address(),
                time: Some(board.time_server),
            },
            console: board.terminal.console(),
            commands: board.terminal.commands(),
            system: &machine,
        };
        let parts = Boot {
            hardware,
            config: config.take(),
            wifi_json: board.folder.wifi_json(),
            observer: board.observer.clone(),
        };
        let pins = Pins::new(&board.pins);
        board.power.booted();
        let cut = run_real(async {
            match select(board.power.lost(), boot(Board { pins }, parts)).await {
                Either::First(cut) => cut,
                Either::Second(()) => {
                    board
                        .terminal
                        .say("board: the device has ended; cycle its power to go on");
                    board.power.lost().await
                }
            }
        });
        match cut {
            Cut::Off => return Ok(()),
            Cut::Cycle => board.terminal.say("board: power cycle"),
        }
        machine.reset_reason = "power cycle";
    }
}
