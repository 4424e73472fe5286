//! How many instructions the framework's common steps take: `make counts` runs this on the emulated
//! machine, whose counter does not depend on the host.
#![cfg_attr(target_os = "none", no_std, no_main)]

#[cfg(target_os = "none")]
mod counting;
#[cfg(target_os = "none")]
mod parts;
#[cfg(target_os = "none")]
mod peers;
#[cfg(target_os = "none")]
mod steps;
#[cfg(target_os = "none")]
mod whole;

#[cfg(not(target_os = "none"))]
fn main() {
    eprintln!("this runs on the emulated machine: make counts");
}
