//! Bluebell: a batteries-included framework for IoT devices on ESP chips.
//!
//! An application is one short file: configuration, pins, subscriptions, jobs, run. Everything around
//! it comes with the framework: getting on Wi-Fi and staying there ([`wifi`]), the set-up portal
//! ([`portal`]), MQTT ([`mqtt`]), jobs ([`jobs`]) on a clock that knows its time zone ([`clock`]), the
//! log ([`mod@log`]), configuration ([`config`]), stored and sealed values ([`storage`], [`credentials`]).
//! A [`board`] brings the hardware; [`device`] puts it all together as one future.
//!
//! Nothing here allocates, keeps state in statics or reads a clock or a socket behind the caller's back:
//! the same code runs on a laptop, in an emulator and on a chip, a hundred devices to a process if
//! wished.
#![no_std]
#![forbid(unsafe_code)]
#![deny(missing_docs)]
#![allow(
    async_fn_in_trait,
    reason = "a device is one future on one thread: Send is never asked"
)]

#[cfg(test)]
extern crate std;

mod address;
pub mod backoff;
pub mod board;
pub mod clock;
pub mod config;
pub mod console;
pub mod credentials;
pub mod decimal;
pub mod device;
mod fingerprint;
pub mod jobs;
pub mod log;
pub mod mqtt;
mod pieces;
pub mod portal;
pub mod prelude;
pub mod provision;
#[cfg(feature = "qr")]
pub mod qr;
mod sink;
pub mod sntp;
pub mod storage;
pub mod text;
pub mod uploads;
pub mod wifi;

/// The commit that the framework was built from.
pub const COMMIT: &str = env!("BLUEBELL_COMMIT");

/// When that commit was made, in seconds since 1970: no clock is right that shows an earlier time.
pub(crate) const COMMIT_TIME: i64 = parse(env!("BLUEBELL_COMMIT_TIME"));

const fn parse(digits: &str) -> i64 {
    match i64::from_str_radix(digits, 10) {
        Ok(number) => number,
        Err(_) => panic!("git gave no time of the commit"),
    }
}
