//! The machine's TCP and UDP sockets, as the framework's networks are made of.
//!
//! Guarantees: what is written leaves when the device's turn is over, and small pieces of one turn together, as
//! on the chip's network stack; a connection that is dropped is closed, and what was written is on its way as far
//! as the machine has room for it; every wait may be dropped and has then done nothing.

use std::cell::{Cell, RefCell};
use std::io::{self, IoSlice, Read as _, Write as _};
use std::net::{Ipv4Addr, Shutdown, SocketAddr, TcpStream, UdpSocket as StdUdpSocket};
use std::rc::Rc;

use edge_nal::{
    Close, MulticastV4, MulticastV6, Readable, TcpShutdown, TcpSplit, UdpReceive, UdpSend,
    UdpSplit, UdpSplitMulticast,
};
use embedded_io_async::{ErrorType, Read, Write};
use rustix::io::Errno;
use rustix::net::{self, AddressFamily, SendFlags, SocketFlags, SocketType, ipproto, sockopt};
use sim::reactor::{Direction, Remainder, Source, leave};

/// How many bytes are held back until the end of the turn.
const HELD: usize = 16 * 1024;

/// A TCP connection; clones are handles to the same one.
#[derive(Debug, Clone)]
pub struct TcpSocket(Rc<Connection>);

#[derive(Debug)]
struct Connection {
    stream: Source<TcpStream>,
    /// Written, and not with the kernel yet.
    held: RefCell<Vec<u8>>,
    /// Why it could not be handed over, for the next one who writes.
    failed: Cell<Option<Errno>>,
}

impl Connection {
    fn holds_nothing(&self) -> bool {
        self.held.borrow().is_empty()
    }

    /// Whether all that was written could be handed over so far.
    fn check(&self) -> io::Result<()> {
        self.failed
            .get()
            .map_or(Ok(()), |failed| Err(failed.into()))
    }

    /// Hands over all that is held.
    fn send_held(&self, flags: SendFlags) -> Result<(), Errno> {
        let held = &mut *self.held.borrow_mut();
        while !held.is_empty() {
            let count = net::send(self.stream.get_ref(), held, flags | SendFlags::NOSIGNAL)?;
            held.drain(..count);
        }
        Ok(())
    }

    /// Holds `bytes` where there is room for them, or hands them over after what is held; says how many.
    fn take(self: &Rc<Self>, bytes: &[u8]) -> io::Result<usize> {
        self.check()?;
        let held = &mut *self.held.borrow_mut();
        if held.len() + bytes.len() <= HELD {
            if held.is_empty() {
                let connection = Rc::downgrade(self);
                leave(connection)?;
            }
            held.extend_from_slice(bytes);
            return Ok(bytes.len());
        }
        loop {
            let both = [IoSlice::new(held), IoSlice::new(bytes)];
            let count = self.stream.get_ref().write_vectored(&both)?;
            let of_held = count.min(held.len());
            held.drain(..of_held);
            if count > of_held {
                return Ok(count - of_held);
            }
        }
    }
}

impl Remainder for Connection {
    fn finish(&self) -> bool {
        loop {
            match self.send_held(SendFlags::empty()) {
                Ok(()) => return true,
                Err(Errno::INTR) => {}
                Err(Errno::AGAIN) => return false,
                Err(failed) => {
                    self.held.borrow_mut().clear();
                    self.failed.set(Some(failed));
                    return true;
                }
            }
        }
    }
}

impl Drop for Connection {
    fn drop(&mut self) {
        self.finish();
    }
}

impl TcpSocket {
    /// Takes a connection over.
    ///
    /// # Errors
    ///
    /// When the machine has no room for it.
    pub fn new(stream: TcpStream) -> io::Result<Self> {
        stream.set_nonblocking(true)?;
        stream.set_nodelay(true)?;
        Self::of(stream)
    }

    /// Takes over a connection that does not block and sends without delay.
    pub(crate) fn of(stream: TcpStream) -> io::Result<Self> {
        Ok(Self(Rc::new(Connection {
            stream: Source::new(stream)?,
            held: RefCell::default(),
            failed: Cell::default(),
        })))
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
        let socket = net::socket_with(family, SocketType::STREAM, flags, Some(ipproto::TCP))?;
        match net::connect(&socket, &remote) {
            Ok(()) | Err(Errno::INPROGRESS) => {}
            Err(error) => return Err(error.into()),
        }
        let stream = TcpStream::from(socket);
        stream.set_nodelay(true)?;
        let socket = Self::of(stream)?;
        let made = &socket.0.stream;
        made.when(Direction::Out, |stream| {
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
        Ok(socket)
    }

    async fn read_some(&self, bytes: &mut [u8]) -> io::Result<usize> {
        let wanted = bytes.len();
        let read = |mut stream: &TcpStream| stream.read(bytes);
        let count = self.0.stream.when(Direction::In, read).await?;
        if count < wanted {
            self.0.stream.drained(Direction::In);
        }
        Ok(count)
    }

    async fn write_some(&self, bytes: &[u8]) -> io::Result<usize> {
        let take = |_: &TcpStream| self.0.take(bytes);
        let count = self.0.stream.when(Direction::Out, take).await?;
        if count < bytes.len() {
            self.0.stream.drained(Direction::Out);
        }
        Ok(count)
    }

    /// Waits until the kernel has all that was written.
    async fn until_sent(&self, flags: SendFlags) -> io::Result<()> {
        if self.0.holds_nothing() {
            return self.0.check();
        }
        let send = |_: &TcpStream| Ok(self.0.send_held(flags)?);
        self.0.stream.when(Direction::Out, send).await
    }

    async fn until_readable(&self) -> io::Result<()> {
        let look = |stream: &TcpStream| stream.peek(&mut [0]).map(drop);
        self.0.stream.when(Direction::In, look).await
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
        self.until_sent(SendFlags::empty()).await
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
        // The end goes along with the last piece.
        self.until_sent(SendFlags::MORE).await?;
        self.0.stream.get_ref().shutdown(what)
    }

    async fn abort(&mut self) -> io::Result<()> {
        self.0.held.borrow_mut().clear();
        self.0.stream.get_ref().shutdown(Shutdown::Both)
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

#[cfg(test)]
mod tests {
    use std::net::TcpListener;
    use std::thread;

    use embassy_futures::yield_now;
    use embassy_time::Timer;
    use sim::time::run_real;

    use super::*;

    fn pair() -> (TcpSocket, TcpStream) {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let peer = TcpStream::connect(listener.local_addr().unwrap()).unwrap();
        let (stream, _) = listener.accept().unwrap();
        (TcpSocket::new(stream).unwrap(), peer)
    }

    /// Reads whatever there is by now; `None` when nothing is.
    fn there(peer: &mut TcpStream) -> Option<Vec<u8>> {
        let mut bytes = vec![0; 64];
        peer.set_nonblocking(true).unwrap();
        let count = peer.read(&mut bytes);
        bytes.truncate(count.ok()?);
        Some(bytes)
    }

    async fn write_all(socket: &mut TcpSocket, mut bytes: &[u8]) {
        while !bytes.is_empty() {
            let count = socket.write(bytes).await.unwrap();
            bytes = &bytes[count..];
        }
    }

    impl TcpSocket {
        pub(crate) fn sends_without_delay(&self) -> bool {
            self.0.stream.get_ref().nodelay().unwrap()
        }
    }

    #[test]
    fn the_pieces_of_a_turn_leave_together_at_its_end() {
        let (mut socket, mut peer) = pair();
        run_real(async {
            write_all(&mut socket, b"one ").await;
            yield_now().await;
            write_all(&mut socket, b"two").await;
            assert_eq!(there(&mut peer), None);
            Timer::after_millis(1).await;
            assert_eq!(there(&mut peer).unwrap(), b"one two");
        });
    }

    #[test]
    fn a_flush_hands_everything_over() {
        let (mut socket, mut peer) = pair();
        run_real(async {
            write_all(&mut socket, b"now").await;
            socket.flush().await.unwrap();
            assert_eq!(there(&mut peer).unwrap(), b"now");
        });
    }

    #[test]
    fn the_end_comes_after_all_that_was_written_however_the_connection_ends() {
        for closes in [true, false] {
            let (mut socket, mut peer) = pair();
            run_real(async {
                write_all(&mut socket, b"last words").await;
                if closes {
                    socket.close(Close::Write).await.unwrap();
                }
                drop(socket);
            });
            let mut bytes = Vec::new();
            peer.read_to_end(&mut bytes).unwrap();
            assert_eq!(bytes, b"last words");
        }
    }

    #[test]
    fn a_slow_reader_gets_everything_in_order() {
        let (mut socket, mut peer) = pair();
        let sent: Vec<u8> = (0..4_000_000_u32).map(|n| (n % 251) as u8).collect();
        let reader = thread::spawn(move || {
            thread::sleep(std::time::Duration::from_millis(50));
            let mut bytes = Vec::new();
            peer.read_to_end(&mut bytes).map(|_| bytes)
        });
        run_real(async {
            // Shorter and longer than what is held back.
            let mut rest = &sent[..];
            for length in [7, 20_000, 1_000, 16_384].into_iter().cycle() {
                let (piece, later) = rest.split_at(length.min(rest.len()));
                write_all(&mut socket, piece).await;
                rest = later;
                if rest.is_empty() {
                    break;
                }
            }
            socket.flush().await.unwrap();
        });
        drop(socket);
        assert!(reader.join().unwrap().unwrap() == sent);
    }

    #[test]
    fn what_waits_when_the_kernel_has_no_room_leaves_when_it_has() {
        let (mut socket, mut peer) = pair();
        run_real(async {
            // As much as the kernel takes, and then something that is held.
            let mut sent = 0;
            let piece = [0; 32 * 1024];
            let patience = embassy_time::Duration::from_millis(20);
            while let Ok(count) = embassy_time::with_timeout(patience, socket.write(&piece)).await {
                sent += count.unwrap();
            }
            socket.0.held.borrow_mut().extend_from_slice(b"end");
            let connection = Rc::downgrade(&socket.0);
            leave(connection).unwrap();
            Timer::after_millis(1).await;
            assert!(!socket.0.holds_nothing());
            let reader = thread::spawn(move || {
                let mut bytes = vec![0; sent + 3];
                peer.read_exact(&mut bytes).map(|()| bytes)
            });
            while !socket.0.holds_nothing() {
                Timer::after_millis(5).await;
            }
            assert!(reader.join().unwrap().unwrap().ends_with(b"end"));
        });
    }

    #[test]
    fn writing_to_who_is_gone_is_an_error_soon() {
        let (mut socket, peer) = pair();
        drop(peer);
        run_real(async {
            let mut attempts = 0;
            while socket.write(b"anybody there?").await.is_ok() {
                attempts += 1;
                assert!(attempts < 10, "nobody noticed");
                Timer::after_millis(5).await;
            }
            socket.flush().await.unwrap_err();
        });
    }
}
