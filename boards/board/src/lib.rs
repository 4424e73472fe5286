//! The board that the target selects, under the one name that applications use.
#![cfg_attr(target_os = "none", no_std)]

#[cfg(target_os = "none")]
pub use bluebell_esp::*;
#[cfg(target_os = "linux")]
pub use bluebell_linux::*;
