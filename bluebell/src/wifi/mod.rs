//! Getting on Wi-Fi and staying there.
//!
//! Guarantees: a network that is away is an ordinary state and is retried for ever, portal or no
//! portal; whenever the device has been without a network for `portal_after`, its access point is
//! open; a network is stored as good only after it has given the device an address, and what was good
//! stays until then; no password is kept in memory longer than joining takes, nor shown.
//!
//! The policy decides, and is pure; the runner acts on the radio. Neither knows the portal.

mod heard;
mod import;
mod keep;
mod known;
mod policy;
mod runner;
mod sealed;
mod shared;
mod types;

pub use import::{Imported, import};
pub use keep::{Keep, KeepError, Place, StoredNetwork};
pub use runner::Settings;
pub use sealed::SealedNetworks;
pub use shared::{State, Wifi};
pub use types::*;

/// How many networks a device remembers.
pub const MAX_NETWORKS: usize = 16;

/// How many networks of a scan are listed; the weakest above that are left out.
pub const MAX_SIGHTINGS: usize = 24;
