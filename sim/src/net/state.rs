//! What a network is made of: hosts, the ways between them, and the connections there are.

use std::collections::{BTreeMap, VecDeque};
use std::net::{IpAddr, Ipv4Addr, SocketAddr};
use std::rc::Rc;

use embassy_time::{Duration, Instant};

use super::connection::Connection;
use super::error::NetworkError;
use super::faults::{Faults, Route};
use super::names::Names;
use super::udp::Mailbox;
use crate::random::Random;
use crate::waiting::Waiting;

/// Called with source, destination and bytes of everything that is sent.
pub(super) type Tap = Rc<dyn Fn(SocketAddr, SocketAddr, &[u8])>;

/// Which host of a network.
pub(super) type HostId = usize;
/// Which connection of a network.
pub(super) type ConnectionId = u64;
/// Which UDP socket of a host.
pub(super) type MailboxId = u64;

/// The first of the ports that are given out where none is asked for (RFC 6335).
const FIRST_EPHEMERAL: u16 = 49_152;

/// A socket that waits for connections.
#[derive(Default)]
pub(super) struct Listener {
    /// Established, and not yet accepted.
    pub(super) queue: VecDeque<(SocketAddr, ConnectionId)>,
    /// How many tasks wait for one.
    pub(super) accepting: usize,
    /// Those tasks.
    pub(super) waiting: Waiting,
}

/// One machine.
pub(super) struct HostState {
    pub(super) address: Ipv4Addr,
    pub(super) link: bool,
    pub(super) faults: Faults,
    pub(super) buffer: usize,
    pub(super) backlog: usize,
    pub(super) listeners: BTreeMap<u16, Listener>,
    pub(super) mailboxes: BTreeMap<MailboxId, Mailbox>,
    next_port: u16,
}

impl HostState {
    /// Whether the host can send at all.
    pub(super) fn online(&self) -> bool {
        self.link && !self.address.is_unspecified()
    }

    /// Whether datagrams or connections to `address` are for this host.
    pub(super) fn is(&self, address: Ipv4Addr) -> bool {
        address == self.address || address.is_loopback()
    }

    /// Which port a socket gets that asks for this one (0: any free one).
    pub(super) fn port(
        &mut self,
        local: SocketAddr,
        taken: impl Fn(&Self, u16) -> bool,
    ) -> Result<u16, NetworkError> {
        match local.ip() {
            IpAddr::V4(address) if address.is_unspecified() || self.is(address) => {}
            IpAddr::V6(address) if address.is_unspecified() => {}
            _ => return Err(NetworkError::AddressNotAvailable),
        }
        if local.port() != 0 {
            return if taken(self, local.port()) {
                Err(NetworkError::AddressInUse)
            } else {
                Ok(local.port())
            };
        }
        for _ in FIRST_EPHEMERAL..=u16::MAX {
            let port = self.ephemeral_port();
            if !taken(self, port) {
                return Ok(port);
            }
        }
        Err(NetworkError::AddressInUse)
    }

    /// The next port for an outgoing connection.
    pub(super) fn ephemeral_port(&mut self) -> u16 {
        let port = self.next_port;
        self.next_port = port.checked_add(1).unwrap_or(FIRST_EPHEMERAL);
        port
    }
}

/// What becomes of an attempt to connect, as it arrives at the other side.
pub(super) enum Attempt {
    /// Turned away.
    Refused,
    /// No answer: it is tried again.
    Vanished,
    /// There it is.
    Established(ConnectionId),
}

/// Everything on one network.
pub(super) struct State {
    pub(super) latency: Duration,
    pub(super) hosts: Vec<HostState>,
    pub(super) between: BTreeMap<(HostId, HostId), Faults>,
    pub(super) names: Names,
    pub(super) connections: BTreeMap<ConnectionId, Connection>,
    pub(super) random: Random,
    pub(super) tap: Option<Tap>,
    next_id: u64,
}

impl State {
    pub(super) fn new(seed: u64) -> Self {
        Self {
            latency: Duration::from_millis(1),
            hosts: Vec::new(),
            between: BTreeMap::new(),
            names: Names::default(),
            connections: BTreeMap::new(),
            random: Random::new(seed),
            tap: None,
            next_id: 0,
        }
    }

    pub(super) fn add_host(&mut self, address: Ipv4Addr) -> HostId {
        self.hosts.push(HostState {
            address,
            link: true,
            faults: Faults::default(),
            buffer: 4096,
            backlog: 16,
            listeners: BTreeMap::new(),
            mailboxes: BTreeMap::new(),
            next_port: FIRST_EPHEMERAL,
        });
        self.hosts.len() - 1
    }

    /// A number nothing else on this network has.
    pub(super) fn new_id(&mut self) -> u64 {
        self.next_id += 1;
        self.next_id
    }

    /// Which host answers to an address, seen from `from`.
    pub(super) fn find(&self, from: HostId, address: Ipv4Addr) -> Option<HostId> {
        if self.hosts[from].is(address) {
            return Some(from);
        }
        let known = |host: &HostState| !address.is_unspecified() && host.address == address;
        self.hosts.iter().position(known)
    }

    /// The way between two hosts as it is now.
    pub(super) fn route(&self, one: HostId, other: HostId) -> Route {
        if one == other {
            return Route {
                up: true,
                latency: Duration::from_ticks(0),
                faults: Faults::default(),
            };
        }
        let (first, second) = (&self.hosts[one], &self.hosts[other]);
        let mut faults = first.faults.and(&second.faults);
        if let Some(between) = self.between.get(&pair(one, other)) {
            faults = faults.and(between);
        }
        Route {
            up: first.link && second.link && !faults.cable_pulled && !faults.black_hole,
            latency: self.latency + faults.delay,
            faults,
        }
    }

    /// What is wrong for connections towards `to`: a host that refuses can still connect itself.
    fn refuses(&self, from: HostId, to: HostId) -> bool {
        from != to
            && (self.hosts[to].faults.refuse
                || self
                    .between
                    .get(&pair(from, to))
                    .is_some_and(|between| between.refuse))
    }

    /// An attempt to connect arrives at `to`, where `to` is a host at all.
    pub(super) fn attempt(
        &mut self,
        now: Instant,
        from: HostId,
        local: SocketAddr,
        remote: SocketAddr,
        to: Option<HostId>,
    ) -> Attempt {
        let Some(to) = to else {
            return Attempt::Vanished;
        };
        let route = self.route(from, to);
        let cable = from == to
            || (self.hosts[from].link && self.hosts[to].link && !route.faults.cable_pulled);
        if !cable {
            return Attempt::Vanished;
        }
        if self.refuses(from, to) {
            return Attempt::Refused;
        }
        if !route.faults.black_hole {
            let host = &mut self.hosts[to];
            let backlog = host.backlog;
            match host.listeners.get(&remote.port()) {
                None => return Attempt::Refused,
                Some(listener) if backlog == 0 && listener.queue.len() >= listener.accepting => {
                    return Attempt::Refused;
                }
                Some(listener) if backlog > 0 && listener.queue.len() >= backlog => {
                    return Attempt::Vanished;
                }
                Some(_) => {}
            }
        }
        let capacity = self.hosts[from].buffer.max(self.hosts[to].buffer);
        let id = self.new_id();
        let mut connection = Connection::new([(from, local), (to, remote)], capacity, route.up);
        if route.faults.black_hole {
            connection.accepted_by_nobody(now);
        } else if let Some(listener) = self.hosts[to].listeners.get_mut(&remote.port()) {
            listener.queue.push_back((local, id));
            listener.waiting.wake();
        }
        self.connections.insert(id, connection);
        Attempt::Established(id)
    }

    /// Takes note of changed links, cables and addresses.
    pub(super) fn routes_changed(&mut self, now: Instant) {
        let ids: Vec<_> = self.connections.keys().copied().collect();
        for id in ids {
            let Some(mut connection) = self.connections.remove(&id) else {
                continue;
            };
            let [one, other] = connection.hosts();
            let addressed = connection
                .addresses_hold([one, other].map(|host| IpAddr::V4(self.hosts[host].address)));
            let mut route = self.route(one, other);
            route.up &= addressed;
            connection.route_changed(now, &route);
            self.connections.insert(id, connection);
        }
    }

    /// Does something with a connection and the way it takes, where the connection still is.
    pub(super) fn with_connection<R>(
        &mut self,
        id: ConnectionId,
        act: impl FnOnce(&mut Connection, &Route, &mut Random) -> R,
    ) -> Option<R> {
        let mut connection = self.connections.remove(&id)?;
        let [one, other] = connection.hosts();
        let mut route = self.route(one, other);
        route.up = connection.up();
        let result = act(&mut connection, &route, &mut self.random);
        if !connection.forgotten() {
            self.connections.insert(id, connection);
        }
        Some(result)
    }

    /// Does something with every connection of a host, given which side of it the host is.
    pub(super) fn each_connection_of(
        &mut self,
        host: HostId,
        mut act: impl FnMut(&mut Connection, usize, &Route, &mut Random),
    ) {
        let ids: Vec<_> = self.connections.keys().copied().collect();
        for id in ids {
            self.with_connection(id, |connection, route, random| {
                if let Some(side) = connection.side_of(host) {
                    act(connection, side, route, random);
                }
            });
        }
    }
}

/// The key of what lies between two hosts, whichever is named first.
pub(super) fn pair(one: HostId, other: HostId) -> (HostId, HostId) {
    (one.min(other), one.max(other))
}
