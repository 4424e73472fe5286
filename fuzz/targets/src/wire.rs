//! Connections in memory: what the input says comes in, what the device says is kept.
//!
//! Everything runs as one task in virtual time, so one place for a waker is enough.

use std::cell::{Cell, Ref, RefCell};
use std::convert::Infallible;
use std::future::poll_fn;
use std::net::{IpAddr, Ipv4Addr, SocketAddr};
use std::task::{Poll, Waker};

use edge_nal::{
    AddrType, Close, Dns, Readable, TcpAccept, TcpBind, TcpConnect, TcpShutdown, TcpSplit,
};
use embedded_io_async::{ErrorType, Read, Write};

/// Where whoever speaks to the device is.
pub(crate) const PEER: SocketAddr = SocketAddr::new(IpAddr::V4(Ipv4Addr::new(192, 0, 2, 7)), 4_242);

/// Wakes the one task.
#[derive(Default)]
pub(crate) struct Bell(RefCell<Option<Waker>>);

impl Bell {
    pub(crate) fn ring(&self) {
        if let Some(waker) = self.0.borrow_mut().take() {
            waker.wake();
        }
    }

    /// Waits until `ready` finds what it looks for; it is asked again whenever the bell rings.
    pub(crate) async fn until<T>(&self, mut ready: impl FnMut() -> Option<T>) -> T {
        poll_fn(|context| match ready() {
            Some(found) => Poll::Ready(found),
            None => {
                *self.0.borrow_mut() = Some(context.waker().clone());
                Poll::Pending
            }
        })
        .await
    }
}

/// In which pieces bytes come in: whole, each of the same length, or each of another.
pub(crate) struct Pieces {
    length: usize,
    state: Cell<u32>,
}

impl Pieces {
    /// All at once.
    pub(crate) fn whole() -> Self {
        Self {
            length: usize::MAX,
            state: Cell::new(0),
        }
    }

    /// About 40 pieces of `total` bytes at the most: below 64 of `choice` bytes each, where that is not too many,
    /// and above each piece has another length.
    pub(crate) fn new(choice: u8, total: usize) -> Self {
        let least = total / 40 + 1;
        let state = if choice < 64 { 0 } else { choice };
        Self {
            length: least.max(choice.into()),
            state: Cell::new(u32::from(state) << 16),
        }
    }

    pub(crate) fn next(&self) -> usize {
        let mut state = self.state.get();
        if state == 0 {
            return self.length;
        }
        state ^= state << 13;
        state ^= state >> 17;
        state ^= state << 5;
        self.state.set(state);
        1 + (state >> 8) as usize % (2 * self.length)
    }
}

/// One connection. What comes in is closed at its end.
pub(crate) struct Link {
    input: RefCell<Vec<u8>>,
    at: Cell<usize>,
    closed: Cell<bool>,
    pieces: Pieces,
    pub(crate) output: RefCell<Vec<u8>>,
    /// Whether the device has let the connection go.
    pub(crate) ended: Cell<bool>,
    pub(crate) bell: Bell,
}

impl Link {
    /// A connection over which these bytes come, and then no more.
    pub(crate) fn new(input: &[u8], pieces: Pieces) -> Self {
        let link = Self::open(pieces);
        link.say(input);
        link.close();
        link
    }

    /// A connection over which nothing has come yet.
    pub(crate) fn open(pieces: Pieces) -> Self {
        Self {
            input: RefCell::default(),
            at: Cell::new(0),
            closed: Cell::new(false),
            pieces,
            output: RefCell::default(),
            ended: Cell::new(false),
            bell: Bell::default(),
        }
    }

    /// More bytes come.
    pub(crate) fn say(&self, bytes: &[u8]) {
        self.input.borrow_mut().extend_from_slice(bytes);
        self.bell.ring();
    }

    /// What has been sent to the device.
    pub(crate) fn said(&self) -> Ref<'_, [u8]> {
        Ref::map(self.input.borrow(), Vec::as_slice)
    }

    /// No more bytes come.
    pub(crate) fn close(&self) {
        self.closed.set(true);
        self.bell.ring();
    }

    /// The device's side of it.
    pub(crate) fn socket(&self) -> Socket<'_> {
        Socket {
            link: self,
            whole: true,
        }
    }
}

/// The device's side of a connection, or one half of it.
pub(crate) struct Socket<'l> {
    link: &'l Link,
    whole: bool,
}

impl Drop for Socket<'_> {
    fn drop(&mut self) {
        if self.whole {
            self.link.ended.set(true);
            self.link.bell.ring();
        }
    }
}

impl ErrorType for Socket<'_> {
    type Error = Infallible;
}

impl Read for Socket<'_> {
    async fn read(&mut self, buffer: &mut [u8]) -> Result<usize, Infallible> {
        let link = self.link;
        let ready = || {
            let input = link.input.borrow();
            let rest = input.get(link.at.get()..).unwrap_or_default();
            if rest.is_empty() {
                return link.closed.get().then_some(0);
            }
            let length = rest.len().min(buffer.len()).min(link.pieces.next());
            buffer[..length].copy_from_slice(&rest[..length]);
            link.at.set(link.at.get() + length);
            Some(length)
        };
        Ok(link.bell.until(ready).await)
    }
}

impl Write for Socket<'_> {
    async fn write(&mut self, bytes: &[u8]) -> Result<usize, Infallible> {
        let length = bytes.len().min(self.link.pieces.next());
        self.link
            .output
            .borrow_mut()
            .extend_from_slice(&bytes[..length]);
        self.link.bell.ring();
        Ok(length)
    }

    async fn flush(&mut self) -> Result<(), Infallible> {
        Ok(())
    }
}

impl Readable for Socket<'_> {
    async fn readable(&mut self) -> Result<(), Infallible> {
        Ok(())
    }
}

impl TcpShutdown for Socket<'_> {
    async fn close(&mut self, _: Close) -> Result<(), Infallible> {
        Ok(())
    }

    async fn abort(&mut self) -> Result<(), Infallible> {
        Ok(())
    }
}

impl TcpSplit for Socket<'_> {
    type Read<'a>
        = Socket<'a>
    where
        Self: 'a;
    type Write<'a>
        = Socket<'a>
    where
        Self: 'a;

    fn split(&mut self) -> (Socket<'_>, Socket<'_>) {
        let half = || Socket {
            link: self.link,
            whole: false,
        };
        (half(), half())
    }
}

/// A network on which these connections are made, one after the other has ended.
pub(crate) struct Tcp<'l> {
    links: &'l [Link],
    next: Cell<usize>,
}

impl<'l> Tcp<'l> {
    pub(crate) fn new(links: &'l [Link]) -> Self {
        Self {
            links,
            next: Cell::new(0),
        }
    }

    /// The next connection; none before the one before has ended, and none after the last.
    async fn take(&self) -> Socket<'_> {
        let next = self.next.get();
        let before = next
            .checked_sub(1)
            .and_then(|before| self.links.get(before));
        if let Some(before) = before {
            before.bell.until(|| before.ended.get().then_some(())).await;
        }
        match self.links.get(next) {
            Some(link) if self.next.get() == next => {
                self.next.set(next + 1);
                link.socket()
            }
            _ => std::future::pending().await,
        }
    }
}

impl TcpBind for Tcp<'_> {
    type Error = Infallible;
    type Accept<'a>
        = &'a Self
    where
        Self: 'a;

    async fn bind(&self, _: SocketAddr) -> Result<&Self, Infallible> {
        Ok(self)
    }
}

impl TcpAccept for Tcp<'_> {
    type Error = Infallible;
    type Socket<'a>
        = Socket<'a>
    where
        Self: 'a;

    async fn accept(&self) -> Result<(SocketAddr, Socket<'_>), Infallible> {
        Ok((PEER, self.take().await))
    }
}

impl TcpConnect for Tcp<'_> {
    type Error = Infallible;
    type Socket<'a>
        = Socket<'a>
    where
        Self: 'a;

    async fn connect(&self, _: SocketAddr) -> Result<Socket<'_>, Infallible> {
        Ok(self.take().await)
    }
}

impl Dns for Tcp<'_> {
    type Error = Infallible;

    async fn get_host_by_name(&self, _: &str, _: AddrType) -> Result<IpAddr, Infallible> {
        Ok(PEER.ip())
    }

    async fn get_host_by_address(&self, _: IpAddr, _: &mut [u8]) -> Result<usize, Infallible> {
        Ok(0)
    }
}
