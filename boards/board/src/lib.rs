//! The board that the target selects, under the one name that applications use.
#![cfg_attr(target_os = "none", no_std)]

#[cfg(all(target_os = "none", not(bluebell_board = "qemu")))]
pub use bluebell_esp::*;
#[cfg(target_os = "linux")]
pub use bluebell_linux::*;
#[cfg(all(target_os = "none", bluebell_board = "qemu"))]
pub use bluebell_qemu::*;
