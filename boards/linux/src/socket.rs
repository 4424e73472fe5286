//! The machine's TCP and UDP sockets, as the framework's networks are made of.
//!
//! Guarantees: small pieces leave at once; a connection that is dropped is closed; every wait may be
//! dropped and has then done nothing.

use std::io::{self, Read as _, Write as _};
use std::net::{Ipv4Addr, Shutdown, SocketAddr, TcpStream, UdpSocket as StdUdpSocket};
use std::rc::Rc;

use edge_nal::{
    Close, MulticastV4, MulticastV6, Readable, TcpShutdown, TcpSplit, UdpReceive, UdpSend,
    UdpSplit, UdpSplitMulticast,
};
use embedded_io_async::{ErrorType, Read, Write};
use rustix::net::{AddressFamily, SocketFlags, SocketType, ipproto, sockopt};
use sim::reactor::{Direction, Source};

/// A TCP connection; clones are handles to the same one.
#[derive(Debug, Clone)]
pub struct TcpSocket(Rc<Source<TcpStream>>);

impl TcpSocket {
    /// Takes a connection over.
    ///
    /// # Errors
    ///
    /// When the machine has no room for it.
    pub fn new(stream: TcpStream) -> io::Result<Self> {
        stream.set_nonblocking(true)?;
        stream.set_nodelay(true)?;
        Ok(Self(Rc::new(Source::new(stream)?)))
    }

    /// Connects to `remote`.
    ///
    /// # Errors
    ///
    /// When nobody listens there, or it cannot be reached.
    pub async fn connect(remote: SocketAddr) -> io::Result<Self> {
        let family = match remote {
            SocketAddr::V4(_) => AddressFamily::INET,
            SocketAddr::V6(_) => AddressFamily::INET6,
        };
        let flags = SocketFlags::CLOEXEC | SocketFlags::NONBLOCK;
        let socket =
            rustix::net::socket_with(family, SocketType::STREAM, flags, Some(ipproto::TCP))?;
        match rustix::net::connect(&socket, &remote) {
            Ok(()) | Err(rustix::io::Errno::INPROGRESS) => {}
            Err(error) => return Err(error.into()),
        }
        let stream = TcpStream::from(socket);
        stream.set_nodelay(true)?;
        let source = Source::new(stream)?;
        source
            .when(Direction::Out, |stream| {
                sockopt::socket_error(stream)??;
                match stream.peer_addr() {
                    Ok(_) => Ok(()),
                    Err(error) if error.kind() == io::ErrorKind::NotConnected => {
                        Err(io::ErrorKind::WouldBlock.into())
                    }
                    Err(error) => Err(error),
                }
            })
            .await?;
        Ok(Self(Rc::new(source)))
    }

    async fn read_some(&self, bytes: &mut [u8]) -> io::Result<usize> {
        let wanted = bytes.len();
        let read = |mut stream: &TcpStream| stream.read(bytes);
        let count = self.0.when(Direction::In, read).await?;
        if count < wanted {
            self.0.drained(Direction::In);
        }
        Ok(count)
    }

    async fn write_some(&self, bytes: &[u8]) -> io::Result<usize> {
        let write = |mut stream: &TcpStream| stream.write(bytes);
        let count = self.0.when(Direction::Out, write).await?;
        if count < bytes.len() {
            self.0.drained(Direction::Out);
        }
        Ok(count)
    }

    async fn until_readable(&self) -> io::Result<()> {
        let look = |stream: &TcpStream| stream.peek(&mut [0]).map(drop);
        self.0.when(Direction::In, look).await
    }
}

impl ErrorType for TcpSocket {
    type Error = io::Error;
}

impl Read for TcpSocket {
    async fn read(&mut self, bytes: &mut [u8]) -> io::Result<usize> {
        self.read_some(bytes).await
    }
}

impl Write for TcpSocket {
    async fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.write_some(bytes).await
    }

    async fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

impl Readable for TcpSocket {
    async fn readable(&mut self) -> io::Result<()> {
        self.until_readable().await
    }
}

impl TcpShutdown for TcpSocket {
    async fn close(&mut self, what: Close) -> io::Result<()> {
        let what = match what {
            Close::Read => Shutdown::Read,
            Close::Write => Shutdown::Write,
            Close::Both => Shutdown::Both,
        };
        self.0.get_ref().shutdown(what)
    }

    async fn abort(&mut self) -> io::Result<()> {
        self.0.get_ref().shutdown(Shutdown::Both)
    }
}

impl TcpSplit for TcpSocket {
    type Read<'a> = Self;
    type Write<'a> = Self;

    fn split(&mut self) -> (Self, Self) {
        (self.clone(), self.clone())
    }
}

/// A UDP socket; clones are handles to the same one.
#[derive(Debug, Clone)]
pub struct UdpSocket(Rc<Source<StdUdpSocket>>);

impl UdpSocket {
    /// Takes a socket over.
    ///
    /// # Errors
    ///
    /// When the machine has no room for it.
    pub fn new(socket: StdUdpSocket) -> io::Result<Self> {
        socket.set_nonblocking(true)?;
        Ok(Self(Rc::new(Source::new(socket)?)))
    }

    async fn receive_one(&self, bytes: &mut [u8]) -> io::Result<(usize, SocketAddr)> {
        let receive = |socket: &StdUdpSocket| socket.recv_from(bytes);
        self.0.when(Direction::In, receive).await
    }

    async fn send_one(&self, remote: SocketAddr, bytes: &[u8]) -> io::Result<()> {
        let send = |socket: &StdUdpSocket| socket.send_to(bytes, remote).map(drop);
        self.0.when(Direction::Out, send).await
    }

    async fn until_readable(&self) -> io::Result<()> {
        let look = |socket: &StdUdpSocket| socket.peek(&mut [0]).map(drop);
        self.0.when(Direction::In, look).await
    }
}

impl ErrorType for UdpSocket {
    type Error = io::Error;
}

impl UdpReceive for UdpSocket {
    async fn receive(&mut self, bytes: &mut [u8]) -> io::Result<(usize, SocketAddr)> {
        self.receive_one(bytes).await
    }
}

impl UdpSend for UdpSocket {
    async fn send(&mut self, remote: SocketAddr, bytes: &[u8]) -> io::Result<()> {
        self.send_one(remote, bytes).await
    }
}

impl Readable for UdpSocket {
    async fn readable(&mut self) -> io::Result<()> {
        self.until_readable().await
    }
}

impl MulticastV4 for UdpSocket {
    async fn join_v4(&mut self, group: Ipv4Addr, interface: Ipv4Addr) -> io::Result<()> {
        self.0.get_ref().join_multicast_v4(&group, &interface)
    }

    async fn leave_v4(&mut self, group: Ipv4Addr, interface: Ipv4Addr) -> io::Result<()> {
        self.0.get_ref().leave_multicast_v4(&group, &interface)
    }
}

impl MulticastV6 for UdpSocket {
    async fn join_v6(&mut self, group: std::net::Ipv6Addr, interface: u32) -> io::Result<()> {
        self.0.get_ref().join_multicast_v6(&group, interface)
    }

    async fn leave_v6(&mut self, group: std::net::Ipv6Addr, interface: u32) -> io::Result<()> {
        self.0.get_ref().leave_multicast_v6(&group, interface)
    }
}

impl UdpSplit for UdpSocket {
    type Receive<'a> = Self;
    type Send<'a> = Self;

    fn split(&mut self) -> (Self, Self) {
        (self.clone(), self.clone())
    }
}

impl UdpSplitMulticast for UdpSocket {
    type MulticastV4<'a> = Self;
    type MulticastV6<'a> = Self;

    fn split_multicast(&mut self) -> (Self, Self, Self, Self) {
        (self.clone(), self.clone(), self.clone(), self.clone())
    }
}
