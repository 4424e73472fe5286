//! The framework's device on this board.

use std::convert::Infallible;
use std::process::ExitCode;

use bluebell::board::{Board as BoardTypes, Status, System};
use bluebell::device::{self, Device, Memory, NEW_CONFIG, WIFI_JSON};
use bluebell::storage::{self, Key};
use bluebell::{mqtt, wifi};

use crate::board::{App, Board, Boot, LinuxBoard, run};
use crate::console::Console;
use crate::flash::FileFlash;
use crate::status::{AccessPointStatus, MqttState, Observer, WifiState, WifiStatus};

/// An application, as [`main!`](crate::main) makes it of a closure: for whatever a device is made of, as
/// long as it has this board's pins.
pub trait Application {
    /// What its build knows of it.
    const APP: device::App;

    /// Puts a device together and runs it.
    fn run<B: BoardTypes>(board: Board, device: Device<'_, B>) -> impl Future<Output = Infallible>;
}

/// Calls an application's closure.
#[doc(hidden)]
pub async fn call<'b, B, F>(board: Board, device: Device<'b, B>, application: F) -> Infallible
where
    B: BoardTypes,
    F: AsyncFn(Board, Device<'b, B>) -> Infallible,
{
    application(board, device).await
}

/// Runs an application as the whole of its `main`; it is called anew at each boot.
pub fn run_application<A: Application>(version: &'static str) -> ExitCode {
    let app = A::APP;
    let name = app.name;
    run(
        App { name, version },
        async |board: Board, boot: Boot<'_>| {
            let Boot {
                mut hardware,
                config,
                wifi_json,
                observer,
            } = boot;
            let (flash, console) = (&mut hardware.flash, &mut hardware.console);
            if let Some(text) = config {
                put(flash, console, &NEW_CONFIG, text.as_bytes()).await;
            }
            if let Some(file) = wifi_json.read()
                && put(flash, console, &WIFI_JSON, &file).await
                && let Err(error) = wifi_json.erase()
            {
                say(
                    console,
                    &format!("wifi.json stays beside the flash: {error}"),
                )
                .await;
            }
            let observed = Observed {
                machine: hardware.system,
                observer,
            };
            hardware.system = &observed;
            let mut memory = Box::new(Memory::new());
            match A::run(board, Device::<LinuxBoard>::new(hardware, app, &mut memory)).await {}
        },
    )
}

/// Puts a text onto the device that is about to boot; says whether it is there.
async fn put(flash: &mut FileFlash, console: &mut Console, key: &Key, text: &[u8]) -> bool {
    match storage::write(flash, &crate::flash::layout(), key, text).await {
        Ok(()) => true,
        Err(error) => {
            say(
                console,
                &format!("{key} could not be put onto the device: {error}"),
            )
            .await;
            false
        }
    }
}

async fn say(console: &mut Console, line: &str) {
    let Ok(()) =
        embedded_io_async::Write::write_all(console, format!("board: {line}\n").as_bytes()).await;
}

/// The machine, and the panel that watches the device.
struct Observed<'b> {
    machine: &'b dyn System,
    observer: Observer,
}

impl System for Observed<'_> {
    fn entropy(&self, bytes: &mut [u8]) {
        self.machine.entropy(bytes);
    }

    fn hardware_address(&self) -> [u8; 6] {
        self.machine.hardware_address()
    }

    fn reset_reason(&self) -> &str {
        self.machine.reset_reason()
    }

    fn restart(&self) {
        self.machine.restart();
    }

    fn crash(&self) -> Option<&str> {
        self.machine.crash()
    }

    fn status(&self, status: &Status<'_>) {
        self.observer.update(|shown| {
            shown.wifi = WifiStatus {
                state: match status.wifi {
                    wifi::State::Starting => WifiState::Starting,
                    wifi::State::Joining => WifiState::Joining,
                    wifi::State::Portal => WifiState::Portal,
                    wifi::State::Online => WifiState::Online,
                },
                ssid: status.ssid.map(ToString::to_string),
                ip: status.address,
            };
            shown.mqtt = match status.mqtt {
                mqtt::State::Offline => MqttState::Offline,
                mqtt::State::Connecting => MqttState::Connecting,
                mqtt::State::Online => MqttState::Online,
            };
            shown.portal = status.portal;
            shown.access_point = AccessPointStatus {
                ssid: Some(status.access_point.0.to_string()),
                password: Some(status.access_point.1.reveal().to_owned()),
            };
        });
    }
}
