//! TCP sockets of the stack as the framework asks for them.
//!
//! Guarantees: whatever a peer does with its connection, and whenever, ends in an error and never in a
//! panic; a socket that is dropped, while it waits too, gives its memory back.

use core::cell::Cell;
use core::fmt::{Display, Formatter};
use core::future::{Future, poll_fn};
use core::net::SocketAddr;
use core::pin::pin;
use core::ptr::NonNull;
use core::task::{Context, Poll};

use edge_nal::{Close, Readable, TcpAccept, TcpShutdown, TcpSplit};
use embassy_net::tcp::{ConnectError, Error, TcpReader, TcpSocket, TcpWriter};
use embassy_net::{IpEndpoint, Stack};
use embedded_io_async::{ErrorKind, ErrorType, Read, Write};

/// Why there is no connection, or no longer.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum TcpError {
    /// All sockets are in use: the board has too few.
    NoSocket,
    /// The stack has no way to this address: only IPv4, and a port.
    NoWay,
    /// The peer has refused or reset the connection, or did not answer.
    Reset,
}

impl Display for TcpError {
    fn fmt(&self, formatter: &mut Formatter<'_>) -> core::fmt::Result {
        formatter.write_str(match self {
            Self::NoSocket => "all TCP sockets are in use",
            Self::NoWay => "the address cannot be reached from here",
            Self::Reset => "the peer has ended the connection",
        })
    }
}

impl core::error::Error for TcpError {}

impl embedded_io_async::Error for TcpError {
    fn kind(&self) -> ErrorKind {
        match self {
            Self::NoSocket => ErrorKind::OutOfMemory,
            Self::NoWay => ErrorKind::InvalidInput,
            Self::Reset => ErrorKind::ConnectionReset,
        }
    }
}

impl From<Error> for TcpError {
    fn from(_: Error) -> Self {
        Self::Reset
    }
}

/// What one socket receives into and sends from.
pub(crate) type Buffers<const RECEIVE: usize, const SEND: usize> = ([u8; RECEIVE], [u8; SEND]);

/// The memory of one socket, and whether it is in use.
struct Room {
    taken: Cell<bool>,
    receive: NonNull<[u8]>,
    send: NonNull<[u8]>,
}

/// The TCP side of a stack with `N` sockets.
pub(crate) struct Tcp<const N: usize> {
    stack: Stack<'static>,
    rooms: [Room; N],
}

impl<const N: usize> Tcp<N> {
    pub(crate) fn new<const RECEIVE: usize, const SEND: usize>(
        stack: Stack<'static>,
        memory: &'static mut [Buffers<RECEIVE, SEND>; N],
    ) -> Self {
        let rooms = memory.each_mut().map(|(receive, send)| Room {
            taken: Cell::new(false),
            receive: NonNull::from(receive.as_mut_slice()),
            send: NonNull::from(send.as_mut_slice()),
        });
        Self { stack, rooms }
    }

    fn socket(&self) -> Result<Socket<'_>, TcpError> {
        let room = self.rooms.iter().find(|room| !room.taken.replace(true));
        let room = room.ok_or(TcpError::NoSocket)?;
        let (mut receive, mut send) = (room.receive, room.send);
        // SAFETY: both are of memory that `new` was given for ever, and are reached here alone. `taken`
        // keeps a second socket away from them until this one is gone.
        let (receive, send) = unsafe { (receive.as_mut(), send.as_mut()) };
        Ok(Socket {
            inner: TcpSocket::new(self.stack, receive, send),
            _lease: Lease(&room.taken),
        })
    }

    pub(crate) async fn connect(&self, remote: SocketAddr) -> Result<Socket<'_>, TcpError> {
        let SocketAddr::V4(remote) = remote else {
            return Err(TcpError::NoWay);
        };
        let mut socket = self.socket()?;
        match socket.inner.connect(remote).await {
            Ok(()) => Ok(socket),
            Err(ConnectError::NoRoute | ConnectError::InvalidState) => Err(TcpError::NoWay),
            Err(_) => Err(TcpError::Reset),
        }
    }
}

/// Takes connections at one address.
pub struct Acceptor<'a, const N: usize> {
    pub(crate) tcp: &'a Tcp<N>,
    pub(crate) local: SocketAddr,
}

impl<const N: usize> TcpAccept for Acceptor<'_, N> {
    type Error = TcpError;
    type Socket<'a>
        = Socket<'a>
    where
        Self: 'a;

    async fn accept(&self) -> Result<(SocketAddr, Self::Socket<'_>), Self::Error> {
        let SocketAddr::V4(local) = self.local else {
            return Err(TcpError::NoWay);
        };
        let mut socket = self.tcp.socket()?;
        loop {
            let accepted = socket.inner.accept(local).await;
            accepted.map_err(|_| TcpError::NoWay)?;
            // One that was reset meanwhile has no peer any more, and the socket listens again.
            if let Some(IpEndpoint { addr, port }) = socket.inner.remote_endpoint() {
                return Ok((SocketAddr::new(addr.into(), port), socket));
            }
        }
    }
}

/// A room that is in use until this is dropped.
struct Lease<'a>(&'a Cell<bool>);

impl Drop for Lease<'_> {
    fn drop(&mut self) {
        self.0.set(false);
    }
}

/// A connection.
pub struct Socket<'a> {
    inner: TcpSocket<'static>,
    /// After the socket, as fields are dropped in this order.
    _lease: Lease<'a>,
}

impl Socket<'_> {
    /// Reads what has come in; ready when the peer has ended.
    fn discard(&mut self, context: &mut Context<'_>) -> Poll<Result<(), TcpError>> {
        loop {
            match step(self.inner.read(&mut [0; 32]), context) {
                Poll::Ready(Ok(0)) => return Poll::Ready(Ok(())),
                Poll::Ready(Ok(_)) => {}
                Poll::Ready(Err(error)) => return Poll::Ready(Err(error)),
                Poll::Pending => return Poll::Pending,
            }
        }
    }
}

impl ErrorType for Socket<'_> {
    type Error = TcpError;
}

impl Read for Socket<'_> {
    fn read(&mut self, room: &mut [u8]) -> impl Future<Output = Result<usize, TcpError>> {
        poll_fn(move |context| step(self.inner.read(room), context))
    }
}

impl Write for Socket<'_> {
    fn write(&mut self, bytes: &[u8]) -> impl Future<Output = Result<usize, TcpError>> {
        poll_fn(move |context| step(self.inner.write(bytes), context))
    }

    fn flush(&mut self) -> impl Future<Output = Result<(), TcpError>> {
        poll_fn(move |context| step(self.inner.flush(), context))
    }
}

impl Readable for Socket<'_> {
    async fn readable(&mut self) -> Result<(), TcpError> {
        let inner = &self.inner;
        poll_fn(|context| {
            // The stack calls one that has ended unreadable, but wakes whoever waits for it.
            if inner.may_recv() {
                pin!(inner.wait_read_ready()).poll(context)
            } else {
                Poll::Ready(())
            }
        })
        .await;
        Ok(())
    }
}

impl TcpShutdown for Socket<'_> {
    fn close(&mut self, what: Close) -> impl Future<Output = Result<(), TcpError>> {
        if what != Close::Read {
            self.inner.close();
        }
        poll_fn(move |context| {
            let sent = match what {
                Close::Read => Poll::Ready(Ok(())),
                Close::Write | Close::Both => step(self.inner.flush(), context),
            };
            let received = match what {
                Close::Write => Poll::Ready(Ok(())),
                Close::Read | Close::Both => self.discard(context),
            };
            match (sent, received) {
                (Poll::Ready(sent), Poll::Ready(received)) => Poll::Ready(sent.and(received)),
                _ => Poll::Pending,
            }
        })
    }

    fn abort(&mut self) -> impl Future<Output = Result<(), TcpError>> {
        self.inner.abort();
        self.flush()
    }
}

/// Polls what the stack does to read, write or flush. That keeps nothing between two polls, so that each poll
/// can begin it anew.
fn step<T>(
    doing: impl Future<Output = Result<T, Error>>,
    context: &mut Context<'_>,
) -> Poll<Result<T, TcpError>> {
    pin!(doing).poll(context).map_err(TcpError::from)
}

/// The receiving half of a connection.
pub struct Receiving<'a>(TcpReader<'a>);

/// The sending half of a connection.
pub struct Sending<'a>(TcpWriter<'a>);

impl ErrorType for Receiving<'_> {
    type Error = TcpError;
}

impl ErrorType for Sending<'_> {
    type Error = TcpError;
}

impl Read for Receiving<'_> {
    fn read(&mut self, room: &mut [u8]) -> impl Future<Output = Result<usize, TcpError>> {
        poll_fn(move |context| step(self.0.read(room), context))
    }
}

impl Readable for Receiving<'_> {
    /// Not when the peer has ended the connection and nothing is left to read: then `read` alone tells.
    async fn readable(&mut self) -> Result<(), TcpError> {
        self.0.wait_read_ready().await;
        Ok(())
    }
}

impl Write for Sending<'_> {
    fn write(&mut self, bytes: &[u8]) -> impl Future<Output = Result<usize, TcpError>> {
        poll_fn(move |context| step(self.0.write(bytes), context))
    }

    fn flush(&mut self) -> impl Future<Output = Result<(), TcpError>> {
        poll_fn(move |context| step(self.0.flush(), context))
    }
}

impl TcpSplit for Socket<'_> {
    type Read<'a>
        = Receiving<'a>
    where
        Self: 'a;
    type Write<'a>
        = Sending<'a>
    where
        Self: 'a;

    fn split(&mut self) -> (Self::Read<'_>, Self::Write<'_>) {
        let (reader, writer) = self.inner.split();
        (Receiving(reader), Sending(writer))
    }
}
