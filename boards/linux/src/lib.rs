//! The virtual board: a Bluebell device on Linux, with real sockets and everything else simulated.
//!
//! [`main!`] makes an application's `main`, which boots the framework's device. Below it, [`run`] is a whole `main`: it reads the command line, starts what surrounds the device (broker, time
//! server, panel) and then boots the device on this thread, as often as its power is switched on.
//! An application on this board gets [`Board`] for its pins; the framework gets [`Boot`].
//!
//! The device lives on one thread and owns it; everything else runs on others and reaches it through
//! [`pins::PinBank`], [`sim::air::Air`], [`Observer`] and the console, none of which ever waits for it.

#![forbid(unsafe_code)]
#![allow(
    async_fn_in_trait,
    reason = "a device is one future on one thread: Send is never asked"
)]

pub mod arguments;
mod board;
pub mod broker;
pub mod console;
mod device;
pub mod flash;
pub mod link;
pub mod networks;
mod panel;
pub mod pins;
pub mod portal;
mod power;
pub mod radio;
pub mod scenario;
pub mod socket;
mod start;
pub mod state;
pub mod station;
pub mod status;
pub mod time_server;

pub use self::board::{App, Board, Boot, LinuxBoard, run};
#[doc(hidden)]
pub use self::device::call;
pub use self::device::{Application, run_application};
pub use self::status::{AccessPointStatus, MqttState, Observer, Status, WifiState, WifiStatus};

#[doc(hidden)]
pub use bluebell;
#[doc(hidden)]
pub use bluebell_pack::www;

/// The `main` of an application: `board::main!(async |board, device| …)`.
///
/// The application's `config.toml` and `src/main.rs` are compiled in, and the files of its `www/`.
#[macro_export]
macro_rules! main {
    ($application:expr) => {
        /// The application.
        pub(crate) struct Application;

        impl $crate::Application for Application {
            const APP: $crate::bluebell::device::App = $crate::bluebell::device::App {
                name: env!("CARGO_PKG_NAME"),
                config: include_str!(concat!(env!("CARGO_MANIFEST_DIR"), "/config.toml")),
                source: include_str!(concat!(env!("CARGO_MANIFEST_DIR"), "/src/main.rs")),
                files: $crate::www!($crate::bluebell),
            };

            async fn run<B: $crate::bluebell::board::Board>(
                board: $crate::Board,
                device: $crate::bluebell::device::Device<'_, B>,
            ) -> ::core::convert::Infallible {
                $crate::call(board, device, $application).await
            }
        }

        pub(crate) fn main() -> ::std::process::ExitCode {
            $crate::run_application::<Application>(env!("CARGO_PKG_VERSION"))
        }
    };
}

/// The `main` of a test that tells an application's scenarios, those in `scenarios/` beside its
/// `Cargo.toml`. `$application` is the module that its `main.rs` is included as; see
/// `docs/scenarios.md`.
#[macro_export]
macro_rules! scenarios {
    ($application:ident) => {
        fn main() -> ::std::process::ExitCode {
            // The application's own `main` is for its program.
            let _: fn() -> ::std::process::ExitCode = $application::main;
            $crate::scenario::main::<$application::Application>(
                concat!(env!("CARGO_MANIFEST_DIR"), "/scenarios"),
                env!("CARGO_PKG_NAME"),
                env!("CARGO_CRATE_NAME"),
            )
        }
    };
}
