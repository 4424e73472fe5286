//! Bluebell on the ESP32 family: one crate for all chips, chosen by a feature of the chip's name.
//!
//! Applications call this crate `board`. [`main!`] makes a firmware of an application: it starts the
//! scheduler that the radio needs, the radio, two network stacks and the watchdog, and runs the
//! device as a task whose memory is static.
//!
//! What needs no chip ([`layout`], [`print`], [`sha1`], [`reason`], [`crash`]) is built and tested on any host; the rest
//! only for bare metal.
#![cfg_attr(target_os = "none", no_std)]

pub mod crash;
pub mod layout;
pub mod print;
pub mod reason;
pub mod sha1;

#[cfg(target_os = "none")]
mod console;
#[cfg(target_os = "none")]
mod flash;
#[cfg(all(target_os = "none", target_arch = "riscv32"))]
mod instead;
#[cfg(all(target_os = "none", target_arch = "riscv32"))]
mod near;
#[cfg(target_os = "none")]
mod panic;
#[cfg(target_os = "none")]
pub mod pins;
#[cfg(target_os = "none")]
mod radio;
#[cfg(all(target_os = "none", target_arch = "riscv32"))]
mod saves;
#[cfg(target_os = "none")]
mod start;
#[cfg(target_os = "none")]
mod system;

#[cfg(target_os = "none")]
pub use self::{
    console::{Commands, Console},
    flash::ChipFlash,
    radio::EspRadio,
    start::{Board, CONFIG, EspBoard, Start, run},
};

// For what `main!` makes.
#[cfg(target_os = "none")]
#[doc(hidden)]
pub use {bluebell, bluebell_pack::www, embassy_executor, esp_bootloader_esp_idf};
