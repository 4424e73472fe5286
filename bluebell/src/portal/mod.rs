//! The set-up portal: what a person with a phone meets on the device's own access point.
//!
//! Guarantees: a fixed number of connections in fixed memory; one seat always listens, so that no
//! slow, silent or hostile client holds up another; every request is bounded in size and time before
//! it reaches a route; nothing is served but the routes below and the application's files; no
//! password ever comes back out. The portal does not know who joins networks: it tells a [`Backend`].
//!
//! HTTP is `httparse` for the head and ours for the rest. The server crates would not have spared it:
//! picoserve needs a door of ours before it (it panics on form values and lengths that overflow, and
//! has no 414 and 431) and edge-http leaves routing, limits and decoding to its user; of neither does
//! a connection know that its seat is needed. All of it takes 40 KB of flash with what it uses of the
//! core library, no more than picoserve alone.

mod answer;
mod captive;
mod connection;
mod datagram;
mod dhcp;
mod dns;
mod file;
mod form;
mod inflate;
mod limit;
mod output;
mod pages;
mod plain;
mod request;
mod router;
mod seating;
mod seats;
mod server;
mod text;

use core::fmt;
use core::net::SocketAddr;

use crate::wifi::{Password, Sighting, Ssid, Submission};

pub use datagram::serve_dhcp_and_dns;
pub use file::{File, content_type, etag};
pub(crate) use router::is_own_path;
pub use seating::Seating;
pub use server::{PortalMemory, serve};

/// The other side of the portal: whoever scans, joins and knows the device.
///
/// All methods return at once. They are called between two awaits of the portal's future, so an
/// implementation may use `Cell` and `RefCell` as long as it holds no borrow across an await.
pub trait Backend {
    /// The device's name, which is one of its host names, as is `<name>.local`.
    fn name(&self) -> &str;

    /// Where a browser on the access point finds the portal: where it listens, and where requests
    /// for other hosts are sent.
    fn address(&self) -> SocketAddr;

    /// Shows each network of the last scan to `visit`: the strongest first, one for each SSID.
    fn networks(&self, visit: &mut dyn FnMut(&Sighting));

    /// A fresh list of networks is asked for.
    fn rescan(&self);

    /// A person asks to join this network; it replaces what was asked before.
    fn submit(&self, ssid: Ssid, password: Password);

    /// What has become of the last submission.
    fn submission(&self) -> Submission;

    /// A request for the device itself has come in: somebody is there.
    fn request_seen(&self) {}

    /// `online` has been served to the page: the access point may close soon.
    fn online_served(&self) {}

    /// The application's own files.
    fn files(&self) -> &[File] {
        &[]
    }

    /// Writes the application's value `name` as JSON, at most 500 bytes; `None` when there is none.
    fn value(&self, name: &str, json: &mut dyn fmt::Write) -> Option<fmt::Result> {
        let _ = (name, json);
        None
    }
}
