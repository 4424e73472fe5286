//! A network of one broker in memory: it takes, refuses or swallows connections, and its pipes are as
//! wide as a test says.

use std::boxed::Box;
use std::cell::{Cell, RefCell};
use std::collections::VecDeque;
use std::future::{pending, poll_fn};
use std::net::{IpAddr, Ipv4Addr, SocketAddr};
use std::rc::Rc;
use std::string::String;
use std::task::{Poll, Waker};
use std::vec::Vec;

use edge_nal::io::{ErrorKind, ErrorType, Read, Write};
use edge_nal::{AddrType, Close, Dns, Readable, TcpConnect, TcpShutdown, TcpSplit};

/// What becomes of a connection that the device wants to make.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) enum Reach {
    Accepted,
    Refused,
    /// Nothing ever comes back.
    Swallowed,
}

pub(super) struct Network {
    pub(super) reach: Cell<Reach>,
    /// The connections that were made and not accepted yet.
    waiting: RefCell<VecDeque<End>>,
    acceptor: RefCell<Option<Waker>>,
    /// How many bytes a pipe holds.
    pub(super) width: Cell<usize>,
    /// The most bytes that pass in one call.
    pub(super) piece: Cell<usize>,
    /// How many connections were tried, and where to.
    pub(super) attempts: RefCell<Vec<(u64, SocketAddr)>>,
    pub(super) names: RefCell<Vec<String>>,
    /// How many writes the device has made.
    pub(super) writes: Rc<Cell<usize>>,
}

#[derive(Default)]
struct Pipe {
    bytes: VecDeque<u8>,
    width: usize,
    piece: usize,
    closed: bool,
    wakers: Vec<Waker>,
}

impl Pipe {
    fn wake(&mut self) {
        self.wakers.drain(..).for_each(Waker::wake);
    }
}

type SharedPipe = Rc<RefCell<Pipe>>;

/// The broker's end of a connection.
pub(super) struct End {
    up: SharedPipe,
    down: SharedPipe,
}

pub(super) struct Socket {
    up: SharedPipe,
    down: SharedPipe,
    writes: Rc<Cell<usize>>,
}

pub(super) struct Reading<'a>(&'a SharedPipe);

pub(super) struct Writing<'a>(&'a SharedPipe, &'a Cell<usize>);

impl Network {
    pub(super) fn new() -> Self {
        Self {
            reach: Cell::new(Reach::Accepted),
            waiting: RefCell::default(),
            acceptor: RefCell::default(),
            width: Cell::new(4096),
            piece: Cell::new(usize::MAX),
            attempts: RefCell::default(),
            names: RefCell::default(),
            writes: Rc::default(),
        }
    }

    pub(super) async fn accept(&self) -> End {
        poll_fn(|context| match self.waiting.borrow_mut().pop_front() {
            Some(end) => Poll::Ready(end),
            None => {
                *self.acceptor.borrow_mut() = Some(context.waker().clone());
                Poll::Pending
            }
        })
        .await
    }

    fn pipe(&self) -> SharedPipe {
        Rc::new(RefCell::new(Pipe {
            width: self.width.get(),
            piece: self.piece.get(),
            ..Pipe::default()
        }))
    }
}

async fn read(pipe: &SharedPipe, into: &mut [u8]) -> usize {
    poll_fn(|context| {
        let mut pipe = pipe.borrow_mut();
        if pipe.bytes.is_empty() && !pipe.closed {
            pipe.wakers.push(context.waker().clone());
            return Poll::Pending;
        }
        let length = into.len().min(pipe.bytes.len()).min(pipe.piece);
        for (place, byte) in into.iter_mut().zip(pipe.bytes.drain(..length)) {
            *place = byte;
        }
        pipe.wake();
        Poll::Ready(length)
    })
    .await
}

async fn write(pipe: &SharedPipe, bytes: &[u8]) -> Result<usize, ErrorKind> {
    poll_fn(|context| {
        let mut pipe = pipe.borrow_mut();
        if pipe.closed {
            return Poll::Ready(Err(ErrorKind::ConnectionReset));
        }
        let length = bytes
            .len()
            .min(pipe.width - pipe.bytes.len())
            .min(pipe.piece);
        if length == 0 {
            pipe.wakers.push(context.waker().clone());
            return Poll::Pending;
        }
        pipe.bytes.extend(&bytes[..length]);
        pipe.wake();
        Poll::Ready(Ok(length))
    })
    .await
}

fn close(pipe: &SharedPipe) {
    let mut pipe = pipe.borrow_mut();
    pipe.closed = true;
    pipe.wake();
}

impl End {
    /// The next bytes; none when the device has gone.
    pub(super) async fn read(&self) -> Vec<u8> {
        let mut buffer = Box::new([0; 4096]);
        let length = read(&self.up, &mut *buffer).await;
        buffer[..length].to_vec()
    }

    /// Sends all bytes, as far as the device is there.
    pub(super) async fn write(&self, mut bytes: &[u8]) {
        while !bytes.is_empty() {
            let Ok(length) = write(&self.down, bytes).await else {
                return;
            };
            bytes = &bytes[length..];
        }
    }
}

impl Drop for End {
    fn drop(&mut self) {
        close(&self.up);
        close(&self.down);
    }
}

impl Drop for Socket {
    fn drop(&mut self) {
        close(&self.up);
        close(&self.down);
    }
}

impl TcpConnect for Network {
    type Error = ErrorKind;
    type Socket<'a> = Socket;

    async fn connect(&self, remote: SocketAddr) -> Result<Socket, ErrorKind> {
        let now = embassy_time::Instant::now().as_millis();
        self.attempts.borrow_mut().push((now, remote));
        match self.reach.get() {
            Reach::Accepted => {}
            Reach::Refused => return Err(ErrorKind::ConnectionRefused),
            Reach::Swallowed => return pending().await,
        }
        let (up, down) = (self.pipe(), self.pipe());
        self.waiting.borrow_mut().push_back(End {
            up: up.clone(),
            down: down.clone(),
        });
        if let Some(waker) = self.acceptor.borrow_mut().take() {
            waker.wake();
        }
        Ok(Socket {
            up,
            down,
            writes: self.writes.clone(),
        })
    }
}

impl Dns for Network {
    type Error = ErrorKind;

    async fn get_host_by_name(&self, host: &str, _: AddrType) -> Result<IpAddr, ErrorKind> {
        self.names.borrow_mut().push(host.into());
        match host {
            "broker" => Ok(Ipv4Addr::new(10, 0, 0, 1).into()),
            "::1" => Ok(std::net::Ipv6Addr::LOCALHOST.into()),
            _ => Err(ErrorKind::NotFound),
        }
    }

    async fn get_host_by_address(&self, _: IpAddr, _: &mut [u8]) -> Result<usize, ErrorKind> {
        Err(ErrorKind::Unsupported)
    }
}

impl ErrorType for Socket {
    type Error = ErrorKind;
}
impl ErrorType for Reading<'_> {
    type Error = ErrorKind;
}
impl ErrorType for Writing<'_> {
    type Error = ErrorKind;
}

impl Read for Socket {
    async fn read(&mut self, buffer: &mut [u8]) -> Result<usize, ErrorKind> {
        Ok(read(&self.down, buffer).await)
    }
}

impl Read for Reading<'_> {
    async fn read(&mut self, buffer: &mut [u8]) -> Result<usize, ErrorKind> {
        Ok(read(self.0, buffer).await)
    }
}

impl Write for Socket {
    async fn write(&mut self, bytes: &[u8]) -> Result<usize, ErrorKind> {
        write(&self.up, bytes).await
    }

    async fn flush(&mut self) -> Result<(), ErrorKind> {
        Ok(())
    }
}

impl Write for Writing<'_> {
    async fn write(&mut self, bytes: &[u8]) -> Result<usize, ErrorKind> {
        self.1.set(self.1.get() + 1);
        write(self.0, bytes).await
    }

    async fn flush(&mut self) -> Result<(), ErrorKind> {
        Ok(())
    }
}

impl Readable for Socket {
    async fn readable(&mut self) -> Result<(), ErrorKind> {
        pending().await
    }
}

impl Readable for Reading<'_> {
    async fn readable(&mut self) -> Result<(), ErrorKind> {
        pending().await
    }
}

impl TcpSplit for Socket {
    type Read<'a> = Reading<'a>;
    type Write<'a> = Writing<'a>;

    fn split(&mut self) -> (Reading<'_>, Writing<'_>) {
        (Reading(&self.down), Writing(&self.up, &self.writes))
    }
}

impl TcpShutdown for Socket {
    async fn close(&mut self, _: Close) -> Result<(), ErrorKind> {
        close(&self.up);
        Ok(())
    }

    async fn abort(&mut self) -> Result<(), ErrorKind> {
        Ok(())
    }
}
