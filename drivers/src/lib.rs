//! Parts for an application: button, LED, relay, TM1637 display, countdown.
//!
//! Guarantees, for all of them: methods take `&self`, so that a message and a button can hold the same
//! part; nothing blocks and nothing allocates; every future may be dropped at any await, and each says
//! what then holds. They stand on `embedded-hal` pins, on any board, and on `embassy-time`.
//!
//! A pin's error is handed on as it is. Where pins can't fail, results need not be looked at.
#![no_std]
#![forbid(unsafe_code)]
#![deny(missing_docs)]

#[cfg(test)]
extern crate std;

mod button;
mod changes;
mod countdown;
mod font;
mod led;
mod pattern;
mod tm1637;

#[cfg(test)]
mod pins;

pub use button::{Button, Press};
pub use countdown::Countdown;
pub use font::segments;
pub use led::{Led, Output, Relay};
pub use pattern::Pattern;
pub use tm1637::Tm1637;
