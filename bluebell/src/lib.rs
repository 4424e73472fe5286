//! Bluebell: a batteries-included framework for IoT devices on ESP chips.
#![no_std]
#![forbid(unsafe_code)]
#![deny(missing_docs)]
#![allow(
    async_fn_in_trait,
    reason = "a device is one future on one thread: Send is never asked"
)]

#[cfg(test)]
extern crate std;

pub mod board;
pub mod config;
pub mod credentials;
pub mod log;
pub mod wifi;
