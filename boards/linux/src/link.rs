//! The cable between the simulated radio and the machine's own network: it is plugged in while the
//! station has an address, and pulled when the network goes.
//!
//! Guarantees: without a network every connect and look-up fails at once; what was open when the network
//! went stays silent for good, like a connection through a router that lost its power. Reads and writes
//! on it are pending for ever, also after the next join: whoever uses it has to notice by the link or by
//! its own timeouts, as on the chip. The far end sees the close when the device lets go of the socket.

use std::cell::Cell;
use std::future::{Future, poll_fn};
use std::io;
use std::net::SocketAddr;
use std::pin::pin;
use std::rc::Rc;
use std::task::Poll;

use edge_nal::{
    Close, MulticastV4, MulticastV6, Readable, TcpShutdown, TcpSplit, UdpReceive, UdpSend,
    UdpSplit, UdpSplitMulticast,
};
use embedded_io_async::{ErrorType, Read, Write};

/// Whether the station is on a network, and which joining that was.
#[derive(Clone)]
pub struct Link {
    joins: Rc<Cell<u64>>,
    online: Rc<dyn Fn() -> bool>,
}

impl Link {
    /// A link that is up while `online` says so.
    #[must_use]
    pub fn new(online: impl Fn() -> bool + 'static) -> Self {
        Self {
            joins: Rc::default(),
            online: Rc::new(online),
        }
    }

    /// Ends everything that was opened before: the station leaves its network, if it is on one.
    pub fn rejoin(&self) {
        self.joins.set(self.joins.get().wrapping_add(1));
    }

    /// A ticket for what is opened now.
    ///
    /// # Errors
    ///
    /// When the station is on no network.
    pub(crate) fn ticket(&self) -> io::Result<Ticket> {
        if !(self.online)() {
            return Err(io::ErrorKind::NetworkUnreachable.into());
        }
        Ok(Ticket {
            link: self.clone(),
            join: self.joins.get(),
            dead: Rc::default(),
        })
    }
}

/// Tells whether what was opened with it still reaches the network.
#[derive(Clone)]
pub(crate) struct Ticket {
    link: Link,
    join: u64,
    /// What once was silent stays so.
    dead: Rc<Cell<bool>>,
}

impl Ticket {
    fn holds(&self) -> bool {
        if self.link.joins.get() != self.join || !(self.link.online)() {
            self.dead.set(true);
        }
        !self.dead.get()
    }

    /// Carries out `work` for as long as the network is there, and is pending for ever afterwards.
    pub(crate) async fn hold<T>(&self, work: impl Future<Output = T>) -> T {
        let mut work = pin!(work);
        poll_fn(|context| {
            if !self.holds() {
                return Poll::Pending;
            }
            work.as_mut().poll(context)
        })
        .await
    }
}

/// A socket, or half of one, that works as long as its ticket.
pub struct Gated<S> {
    socket: S,
    ticket: Ticket,
}

impl<S> Gated<S> {
    pub(crate) const fn new(socket: S, ticket: Ticket) -> Self {
        Self { socket, ticket }
    }
}

impl<S: ErrorType> ErrorType for Gated<S> {
    type Error = S::Error;
}

impl<S: Read> Read for Gated<S> {
    async fn read(&mut self, bytes: &mut [u8]) -> Result<usize, S::Error> {
        self.ticket.hold(self.socket.read(bytes)).await
    }
}

impl<S: Write> Write for Gated<S> {
    async fn write(&mut self, bytes: &[u8]) -> Result<usize, S::Error> {
        self.ticket.hold(self.socket.write(bytes)).await
    }

    async fn flush(&mut self) -> Result<(), S::Error> {
        self.ticket.hold(self.socket.flush()).await
    }
}

impl<S: Readable> Readable for Gated<S> {
    async fn readable(&mut self) -> Result<(), S::Error> {
        self.ticket.hold(self.socket.readable()).await
    }
}

impl<S: TcpSplit> TcpSplit for Gated<S> {
    type Read<'a>
        = Gated<S::Read<'a>>
    where
        Self: 'a;
    type Write<'a>
        = Gated<S::Write<'a>>
    where
        Self: 'a;

    fn split(&mut self) -> (Self::Read<'_>, Self::Write<'_>) {
        let (read, write) = self.socket.split();
        (
            Gated::new(read, self.ticket.clone()),
            Gated::new(write, self.ticket.clone()),
        )
    }
}

/// Closing is the device's own doing and needs no network.
impl<S: TcpShutdown> TcpShutdown for Gated<S> {
    async fn close(&mut self, what: Close) -> Result<(), S::Error> {
        self.socket.close(what).await
    }

    async fn abort(&mut self) -> Result<(), S::Error> {
        self.socket.abort().await
    }
}

impl<S: UdpReceive> UdpReceive for Gated<S> {
    async fn receive(&mut self, bytes: &mut [u8]) -> Result<(usize, SocketAddr), S::Error> {
        self.ticket.hold(self.socket.receive(bytes)).await
    }
}

impl<S: UdpSend> UdpSend for Gated<S> {
    async fn send(&mut self, remote: SocketAddr, bytes: &[u8]) -> Result<(), S::Error> {
        self.ticket.hold(self.socket.send(remote, bytes)).await
    }
}

impl<S: UdpSplit> UdpSplit for Gated<S> {
    type Receive<'a>
        = Gated<S::Receive<'a>>
    where
        Self: 'a;
    type Send<'a>
        = Gated<S::Send<'a>>
    where
        Self: 'a;

    fn split(&mut self) -> (Self::Receive<'_>, Self::Send<'_>) {
        let (receive, send) = self.socket.split();
        (
            Gated::new(receive, self.ticket.clone()),
            Gated::new(send, self.ticket.clone()),
        )
    }
}

impl<S: UdpSplitMulticast> UdpSplitMulticast for Gated<S> {
    type MulticastV4<'a>
        = S::MulticastV4<'a>
    where
        Self: 'a;
    type MulticastV6<'a>
        = S::MulticastV6<'a>
    where
        Self: 'a;

    fn split_multicast(
        &mut self,
    ) -> (
        Self::Receive<'_>,
        Self::Send<'_>,
        Self::MulticastV4<'_>,
        Self::MulticastV6<'_>,
    ) {
        let (receive, send, v4, v6) = self.socket.split_multicast();
        (
            Gated::new(receive, self.ticket.clone()),
            Gated::new(send, self.ticket.clone()),
            v4,
            v6,
        )
    }
}

impl<S: MulticastV4> MulticastV4 for Gated<S> {
    async fn join_v4(
        &mut self,
        group: std::net::Ipv4Addr,
        interface: std::net::Ipv4Addr,
    ) -> Result<(), S::Error> {
        self.socket.join_v4(group, interface).await
    }

    async fn leave_v4(
        &mut self,
        group: std::net::Ipv4Addr,
        interface: std::net::Ipv4Addr,
    ) -> Result<(), S::Error> {
        self.socket.leave_v4(group, interface).await
    }
}

impl<S: MulticastV6> MulticastV6 for Gated<S> {
    async fn join_v6(&mut self, group: std::net::Ipv6Addr, interface: u32) -> Result<(), S::Error> {
        self.socket.join_v6(group, interface).await
    }

    async fn leave_v6(
        &mut self,
        group: std::net::Ipv6Addr,
        interface: u32,
    ) -> Result<(), S::Error> {
        self.socket.leave_v6(group, interface).await
    }
}
