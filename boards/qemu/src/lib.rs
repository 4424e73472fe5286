//! Bluebell on bare metal in an emulated machine: riscv32 on QEMU's `virt`.
//!
//! Applications call this crate `board`. [`main!`] makes a firmware of an application: no operating
//! system, the same executor, IP stack and flash format as on a chip, and everything outside of the
//! processor played by QEMU. Which networks are in the air is told by the host, at start and at run
//! time; see [`air`] and [`orders`].
//!
//! What needs no machine is built and tested on any host; the rest only for bare metal.
#![cfg_attr(target_os = "none", no_std)]

pub mod air;
pub mod orders;

#[cfg(target_os = "none")]
mod console;
#[cfg(target_os = "none")]
mod devices;
#[cfg(target_os = "none")]
mod exit;
#[cfg(target_os = "none")]
mod flash;
#[cfg(target_os = "none")]
mod given;
#[cfg(target_os = "none")]
mod interrupts;
#[cfg(target_os = "none")]
mod machine;
#[cfg(target_os = "none")]
pub mod measure;
#[cfg(target_os = "none")]
mod nic;
#[cfg(target_os = "none")]
pub mod pins;
#[cfg(target_os = "none")]
mod radio;
#[cfg(target_os = "none")]
mod start;
#[cfg(target_os = "none")]
mod time;
#[cfg(target_os = "none")]
mod world;

// Keeps registers as firmware of a chip does: boards/esp/src/saves.rs says how.
#[cfg(target_os = "none")]
core::arch::global_asm!(include_str!("../../esp/src/saves.s"));

#[cfg(target_os = "none")]
pub use self::{
    console::{Commands, Console},
    flash::BlockFlash,
    radio::EmulatedRadio,
    start::{Board, QemuBoard, Start, run},
};

// For what `main!` makes.
#[cfg(target_os = "none")]
#[doc(hidden)]
pub use {bluebell, bluebell_pack::www, embassy_executor};
