//! A network in memory and in virtual time, with everything that goes wrong in a real one.
//!
//! A [`Network`] is one broadcast domain: the home that a device joins, or the device's own access
//! point with a phone on it. Its [`Host`]s implement edge-nal's traits, so a host is what a board
//! hands to the framework as its station or its portal, and equally what a test's server runs on.
//!
//! Guarantees: TCP delivers in order, without loss or duplication, and with back-pressure (a writer
//! waits once the buffer of the direction is full); everything takes its latency; the same seed and
//! the same calls give the same run. Nothing here needs to be driven: sockets wake whoever waits.
//!
//! What is like Linux and what is like a chip is chosen to be the harder of both: `flush` waits for
//! the other side's acknowledgement, unread bytes turn a close into a reset, and while a host has no
//! link its attempts to connect fail at once.

mod connection;
mod error;
mod faults;
mod names;
mod state;
mod stream;
mod tcp;
mod udp;

#[cfg(test)]
mod tests;

use std::cell::RefCell;
use std::net::{Ipv4Addr, SocketAddr};
use std::rc::Rc;

use embassy_time::{Duration, Instant};

pub use error::NetworkError;
pub use faults::Faults;
pub use names::NameServer;
pub use tcp::{TcpAcceptor, TcpHalf, TcpSocket};
pub use udp::{UdpPart, UdpSocket};

use state::{HostId, State, pair};

/// A network; clones are the same one.
#[derive(Clone)]
pub struct Network {
    state: Rc<RefCell<State>>,
}

impl Default for Network {
    fn default() -> Self {
        Self::new(0)
    }
}

impl Network {
    /// An empty network. `seed` decides what its random faults hit.
    pub fn new(seed: u64) -> Self {
        Self {
            state: Rc::new(RefCell::new(State::new(seed))),
        }
    }

    /// Adds a machine with a link. [`Ipv4Addr::UNSPECIFIED`] is one that has no address yet.
    pub fn host(&self, address: Ipv4Addr) -> Host {
        let id = self.state.borrow_mut().add_host(address);
        Host {
            network: self.clone(),
            id,
        }
    }

    /// Sets the time that anything takes from one host to another: 1 ms unless set.
    pub fn set_latency(&self, latency: Duration) {
        self.state.borrow_mut().latency = latency;
    }

    /// Sets what is wrong between two hosts, in addition to what is wrong at each.
    pub fn set_faults(&self, one: &Host, other: &Host, faults: Faults) {
        let mut state = self.state.borrow_mut();
        state.between.insert(pair(one.id, other.id), faults);
        state.routes_changed(Instant::now());
    }

    /// Resets every connection between two hosts.
    pub fn reset(&self, one: &Host, other: &Host) {
        let now = Instant::now();
        let mut state = self.state.borrow_mut();
        state.each_connection_of(one.id, |connection, _, _, _| {
            if connection.side_of(other.id).is_some() {
                connection.reset(now);
            }
        });
    }

    /// Has `from` finish its half of every connection with `to`, as if its program had: `to` reads
    /// the end of the stream and can still write.
    pub fn half_close(&self, from: &Host, to: &Host) {
        let now = Instant::now();
        let mut state = self.state.borrow_mut();
        state.each_connection_of(from.id, |connection, side, route, random| {
            if connection.side_of(to.id).is_some() {
                connection.finish(side, now, route, random);
            }
        });
    }

    /// Calls `tap` with source, destination and bytes of everything that is sent from now on, also
    /// when it is lost on the way: what an eavesdropper sees.
    pub fn set_tap(&self, tap: impl Fn(SocketAddr, SocketAddr, &[u8]) + 'static) {
        self.state.borrow_mut().tap = Some(Rc::new(tap));
    }
}

/// A machine on a [`Network`]; clones are the same one.
///
/// It is what a board gives as `Station` (`TcpConnect + UdpBind + Dns`) and as `Portal`
/// (`TcpBind + UdpBind`).
#[derive(Clone)]
pub struct Host {
    network: Network,
    id: HostId,
}

/// The station's side of a device: what it connects, asks and looks up with.
pub type Station = Host;
/// The access point's side of a device: what it listens on.
pub type Portal = Host;

impl Host {
    /// The network it is on.
    pub fn network(&self) -> &Network {
        &self.network
    }

    /// Its address.
    pub fn address(&self) -> Ipv4Addr {
        self.network.state.borrow().hosts[self.id].address
    }

    /// Gives it another address. Connections made with the old one hang from now on, and recover if
    /// it comes back.
    pub fn set_address(&self, address: Ipv4Addr) {
        self.change_route(|host| host.address = address);
    }

    /// Whether the link is up.
    pub fn link(&self) -> bool {
        self.network.state.borrow().hosts[self.id].link
    }

    /// Ties the host to its radio: while the link is down, connecting, look-ups and datagrams fail at
    /// once, and what is established hangs; bytes that TCP has not delivered arrive when it is back.
    pub fn set_link(&self, up: bool) {
        self.change_route(|host| host.link = up);
    }

    /// What is wrong with it now.
    pub fn faults(&self) -> Faults {
        self.network.state.borrow().hosts[self.id].faults.clone()
    }

    /// Sets what is wrong with it. `Faults::default()` mends everything.
    pub fn set_faults(&self, faults: Faults) {
        self.change_route(|host| host.faults = faults);
    }

    /// How many bytes of one direction can be under way or unread: the greater of both hosts' counts.
    /// 4096 unless set; holds for connections made afterwards.
    pub fn set_buffer(&self, bytes: usize) {
        self.network.state.borrow_mut().hosts[self.id].buffer = bytes;
    }

    /// How many connections wait for being accepted: 16 unless set, further attempts get no answer
    /// and try again. 0 is a chip's stack: refused unless a task waits in `accept` at that moment.
    pub fn set_backlog(&self, connections: usize) {
        self.network.state.borrow_mut().hosts[self.id].backlog = connections;
    }

    /// Resets every connection of this host, both ends at once.
    pub fn reset_connections(&self) {
        let now = Instant::now();
        let mut state = self.network.state.borrow_mut();
        state.each_connection_of(self.id, |connection, _, _, _| connection.reset(now));
    }

    /// The host forgets its connections, as by a loss of power: its own sockets fail, the others'
    /// hear nothing until they send something, which is answered by a reset.
    pub fn forget_connections(&self) {
        let now = Instant::now();
        let mut state = self.network.state.borrow_mut();
        state.each_connection_of(self.id, |connection, side, _, _| {
            connection.fall_silent(side, now);
        });
    }

    /// How many connections it has whose two sockets are there.
    pub fn connections(&self) -> usize {
        let now = Instant::now();
        let state = self.network.state.borrow();
        let own = state.connections.values();
        own.filter(|connection| connection.side_of(self.id).is_some())
            .filter(|connection| connection.established(now))
            .count()
    }

    /// Whether it has a connection with this address and port of which both sockets are there.
    pub fn is_connected_with(&self, peer: SocketAddr) -> bool {
        let now = Instant::now();
        let state = self.network.state.borrow();
        state.connections.values().any(|connection| {
            let side = connection.side_of(self.id);
            side.is_some_and(|side| connection.addresses()[1 - side] == peer)
                && connection.established(now)
        })
    }

    fn change_route(&self, change: impl FnOnce(&mut state::HostState)) {
        let mut state = self.network.state.borrow_mut();
        change(&mut state.hosts[self.id]);
        state.routes_changed(Instant::now());
    }
}
