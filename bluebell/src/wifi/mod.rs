//! Getting on Wi-Fi and staying there.
//!
//! The policy decides, and is pure; the runner acts on the radio. Neither knows the portal.

mod types;

pub use types::*;
