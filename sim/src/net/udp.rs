//! UDP sockets: edge-nal's traits over datagrams that may be lost, doubled and overtaken.

use std::collections::VecDeque;
use std::future::poll_fn;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};
use std::task::{Context, Poll};

use edge_nal::{
    MulticastV4, MulticastV6, Readable, UdpBind, UdpConnect, UdpReceive, UdpSend, UdpSplit,
    UdpSplitMulticast,
};
use embassy_time::{Duration, Instant};
use embedded_io_async::ErrorType;

use super::error::NetworkError;
use super::state::{HostId, MailboxId, State};
use super::{Host, Network};
use crate::waiting::{Waiting, wake_at};

/// What a socket holds; further datagrams are dropped.
const QUEUE_LENGTH: usize = 64;
/// The longest datagram that IPv4 carries.
const LONGEST: usize = 65_507;
/// How long a datagram is held back that others overtake.
const HELD_BACK: Duration = Duration::from_millis(20);

struct Datagram {
    arrives: Instant,
    from: SocketAddr,
    bytes: Vec<u8>,
}

/// What one UDP socket has been sent.
pub(super) struct Mailbox {
    port: u16,
    only_from: Option<SocketAddr>,
    groups: Vec<Ipv4Addr>,
    queue: VecDeque<Datagram>,
    waiting: Waiting,
}

impl Mailbox {
    fn wants(&self, from: SocketAddr, port: u16) -> bool {
        self.port == port && self.only_from.is_none_or(|only| only == from)
    }

    fn put(&mut self, datagram: Datagram) {
        if self.queue.len() < QUEUE_LENGTH {
            let before = |other: &Datagram| other.arrives <= datagram.arrives;
            let place = self.queue.partition_point(before);
            self.queue.insert(place, datagram);
            self.waiting.wake();
        }
    }

    fn poll_arrived(&mut self, context: &Context<'_>, now: Instant) -> Poll<()> {
        match self.queue.front().map(|first| first.arrives) {
            Some(arrives) if arrives <= now => Poll::Ready(()),
            next => {
                wake_at(context, next);
                self.waiting.register(context);
                Poll::Pending
            }
        }
    }
}

impl State {
    /// Every host that a datagram is for, seen from `from`.
    fn receivers(&self, from: HostId, to: Ipv4Addr) -> Vec<HostId> {
        let whole_net = to.is_broadcast() || to.octets()[3] == 255;
        if whole_net || to.is_multicast() {
            (0..self.hosts.len()).filter(|host| *host != from).collect()
        } else {
            self.find(from, to).into_iter().collect()
        }
    }

    fn send_datagram(
        &mut self,
        now: Instant,
        from: HostId,
        port: u16,
        to: SocketAddr,
        bytes: &[u8],
    ) {
        let IpAddr::V4(address) = to.ip() else {
            return;
        };
        let source = if address.is_loopback() {
            address
        } else {
            self.hosts[from].address
        };
        let source = SocketAddr::new(IpAddr::V4(source), port);
        for receiver in self.receivers(from, address) {
            let route = self.route(from, receiver);
            if !route.up || self.random.happens(route.faults.loss) {
                continue;
            }
            let copies = if self.random.happens(route.faults.duplicate) {
                2
            } else {
                1
            };
            for _ in 0..copies {
                let mut arrives = now + route.datagram(&mut self.random);
                if self.random.happens(route.faults.reorder) {
                    arrives += HELD_BACK;
                }
                for mailbox in self.hosts[receiver].mailboxes.values_mut() {
                    let member = !address.is_multicast() || mailbox.groups.contains(&address);
                    if member && mailbox.wants(source, to.port()) {
                        mailbox.put(Datagram {
                            arrives,
                            from: source,
                            bytes: bytes.to_vec(),
                        });
                    }
                }
            }
        }
    }
}

/// A UDP socket, bound and perhaps connected. Cancellation safe in every operation.
pub struct UdpSocket {
    network: Network,
    host: HostId,
    id: MailboxId,
    port: u16,
    remote: Option<SocketAddr>,
}

impl UdpSocket {
    /// The port it is bound to.
    pub fn port(&self) -> u16 {
        self.port
    }

    fn poll_receive<R>(
        &self,
        context: &Context<'_>,
        take: impl FnOnce(&mut Mailbox) -> R,
    ) -> Poll<R> {
        let mut state = self.network.state.borrow_mut();
        // The mailbox is removed by nothing but the drop of this socket.
        let Some(mailbox) = state.hosts[self.host].mailboxes.get_mut(&self.id) else {
            return Poll::Pending;
        };
        match mailbox.poll_arrived(context, Instant::now()) {
            Poll::Ready(()) => Poll::Ready(take(mailbox)),
            Poll::Pending => Poll::Pending,
        }
    }

    async fn take(&self, buffer: &mut [u8]) -> Result<(usize, SocketAddr), NetworkError> {
        let datagram = poll_fn(|context| {
            match self.poll_receive(context, |mailbox| mailbox.queue.pop_front()) {
                Poll::Ready(Some(datagram)) => Poll::Ready(datagram),
                _ => Poll::Pending,
            }
        })
        .await;
        let fits = datagram.bytes.len().min(buffer.len());
        buffer[..fits].copy_from_slice(&datagram.bytes[..fits]);
        Ok((datagram.bytes.len(), datagram.from))
    }

    async fn until_readable(&self) -> Result<(), NetworkError> {
        poll_fn(|context| self.poll_receive(context, |_| ())).await;
        Ok(())
    }

    fn put(&self, remote: SocketAddr, bytes: &[u8]) -> Result<(), NetworkError> {
        if bytes.len() > LONGEST {
            return Err(NetworkError::TooLong);
        }
        let remote = self.remote.unwrap_or(remote);
        let (tap, source) = {
            let mut state = self.network.state.borrow_mut();
            let host = &state.hosts[self.host];
            let IpAddr::V4(address) = remote.ip() else {
                return Err(NetworkError::AddressNotAvailable);
            };
            // A host without an address may ask for one.
            if !host.link || (!host.online() && !address.is_broadcast()) {
                return Err(NetworkError::Unreachable);
            }
            let source = SocketAddr::new(IpAddr::V4(host.address), self.port);
            state.send_datagram(Instant::now(), self.host, self.port, remote, bytes);
            (state.tap.clone(), source)
        };
        if let Some(tap) = tap {
            tap(source, remote, bytes);
        }
        Ok(())
    }

    fn groups(&self, act: impl FnOnce(&mut Vec<Ipv4Addr>)) {
        let mut state = self.network.state.borrow_mut();
        if let Some(mailbox) = state.hosts[self.host].mailboxes.get_mut(&self.id) {
            act(&mut mailbox.groups);
        }
    }

    fn join(&self, group: Ipv4Addr) {
        self.groups(|groups| groups.push(group));
    }

    fn leave(&self, group: Ipv4Addr) {
        self.groups(|groups| groups.retain(|known| *known != group));
    }
}

impl Drop for UdpSocket {
    fn drop(&mut self) {
        let mut state = self.network.state.borrow_mut();
        state.hosts[self.host].mailboxes.remove(&self.id);
    }
}

impl Host {
    fn open(
        &self,
        local: SocketAddr,
        remote: Option<SocketAddr>,
    ) -> Result<UdpSocket, NetworkError> {
        let mut state = self.network.state.borrow_mut();
        let id = state.new_id();
        let host = &mut state.hosts[self.id];
        let port = host.port(local, |host, port| {
            host.mailboxes.values().any(|mailbox| mailbox.port == port)
        })?;
        host.mailboxes.insert(
            id,
            Mailbox {
                port,
                only_from: remote,
                groups: Vec::new(),
                queue: VecDeque::new(),
                waiting: Waiting::default(),
            },
        );
        Ok(UdpSocket {
            network: self.network.clone(),
            host: self.id,
            id,
            port,
            remote,
        })
    }
}

impl UdpBind for Host {
    type Error = NetworkError;
    type Socket<'a> = UdpSocket;

    async fn bind(&self, local: SocketAddr) -> Result<UdpSocket, NetworkError> {
        self.open(local, None)
    }
}

impl UdpConnect for Host {
    type Error = NetworkError;
    type Socket<'a> = UdpSocket;

    async fn connect(
        &self,
        local: SocketAddr,
        remote: SocketAddr,
    ) -> Result<UdpSocket, NetworkError> {
        self.open(local, Some(remote))
    }
}

/// One part of a [`UdpSocket`]: its sender, its receiver or its group memberships.
pub struct UdpPart<'a>(&'a UdpSocket);

impl ErrorType for UdpSocket {
    type Error = NetworkError;
}

impl ErrorType for UdpPart<'_> {
    type Error = NetworkError;
}

impl UdpReceive for UdpSocket {
    async fn receive(&mut self, buffer: &mut [u8]) -> Result<(usize, SocketAddr), NetworkError> {
        self.take(buffer).await
    }
}

impl UdpReceive for UdpPart<'_> {
    async fn receive(&mut self, buffer: &mut [u8]) -> Result<(usize, SocketAddr), NetworkError> {
        self.0.take(buffer).await
    }
}

impl UdpSend for UdpSocket {
    async fn send(&mut self, remote: SocketAddr, data: &[u8]) -> Result<(), NetworkError> {
        self.put(remote, data)
    }
}

impl UdpSend for UdpPart<'_> {
    async fn send(&mut self, remote: SocketAddr, data: &[u8]) -> Result<(), NetworkError> {
        self.0.put(remote, data)
    }
}

impl Readable for UdpSocket {
    async fn readable(&mut self) -> Result<(), NetworkError> {
        self.until_readable().await
    }
}

impl Readable for UdpPart<'_> {
    async fn readable(&mut self) -> Result<(), NetworkError> {
        self.0.until_readable().await
    }
}

impl UdpSplit for UdpSocket {
    type Receive<'a> = UdpPart<'a>;
    type Send<'a> = UdpPart<'a>;

    fn split(&mut self) -> (UdpPart<'_>, UdpPart<'_>) {
        (UdpPart(self), UdpPart(self))
    }
}

impl UdpSplitMulticast for UdpSocket {
    type MulticastV4<'a> = UdpPart<'a>;
    type MulticastV6<'a> = UdpPart<'a>;

    fn split_multicast(&mut self) -> (UdpPart<'_>, UdpPart<'_>, UdpPart<'_>, UdpPart<'_>) {
        (UdpPart(self), UdpPart(self), UdpPart(self), UdpPart(self))
    }
}

impl MulticastV4 for UdpSocket {
    async fn join_v4(&mut self, group: Ipv4Addr, _: Ipv4Addr) -> Result<(), NetworkError> {
        self.join(group);
        Ok(())
    }

    async fn leave_v4(&mut self, group: Ipv4Addr, _: Ipv4Addr) -> Result<(), NetworkError> {
        self.leave(group);
        Ok(())
    }
}

impl MulticastV4 for UdpPart<'_> {
    async fn join_v4(&mut self, group: Ipv4Addr, _: Ipv4Addr) -> Result<(), NetworkError> {
        self.0.join(group);
        Ok(())
    }

    async fn leave_v4(&mut self, group: Ipv4Addr, _: Ipv4Addr) -> Result<(), NetworkError> {
        self.0.leave(group);
        Ok(())
    }
}

impl MulticastV6 for UdpSocket {
    async fn join_v6(&mut self, _: Ipv6Addr, _: u32) -> Result<(), NetworkError> {
        Err(NetworkError::AddressNotAvailable)
    }

    async fn leave_v6(&mut self, _: Ipv6Addr, _: u32) -> Result<(), NetworkError> {
        Err(NetworkError::AddressNotAvailable)
    }
}

impl MulticastV6 for UdpPart<'_> {
    async fn join_v6(&mut self, _: Ipv6Addr, _: u32) -> Result<(), NetworkError> {
        Err(NetworkError::AddressNotAvailable)
    }

    async fn leave_v6(&mut self, _: Ipv6Addr, _: u32) -> Result<(), NetworkError> {
        Err(NetworkError::AddressNotAvailable)
    }
}
