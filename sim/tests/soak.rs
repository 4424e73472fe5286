//! Device-days of everything that can go wrong, at random, with what must hold checked all along.
//! `make soak` runs device-years.

use std::process::ExitCode;

fn main() -> ExitCode {
    sim::scenario::soak(env!("CARGO_PKG_NAME"), env!("CARGO_CRATE_NAME"))
}
