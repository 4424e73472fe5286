//! Bluebell's own scenarios, told about a lamp.

use std::process::ExitCode;

fn main() -> ExitCode {
    sim::scenario::main::<sim::scenario::Lamp>(
        concat!(env!("CARGO_MANIFEST_DIR"), "/scenarios"),
        env!("CARGO_PKG_NAME"),
        env!("CARGO_CRATE_NAME"),
    )
}
