//! TCP sockets: edge-nal's traits over the connections of the simulated network.

use std::future::poll_fn;
use std::net::{IpAddr, SocketAddr};
use std::task::{Context, Poll};

use edge_nal::{Close, Readable, TcpAccept, TcpBind, TcpConnect, TcpShutdown, TcpSplit};
use embassy_time::{Duration, Instant, Timer};
use embedded_io_async::{ErrorType, Read, Write};

use super::connection::Connection;
use super::error::NetworkError;
use super::faults::{Route, retry};
use super::state::{Attempt, ConnectionId, HostId, Listener};
use super::{Host, Network};
use crate::random::Random;

/// Between the first two attempts to connect (RFC 6298: 1 s); then doubling.
const FIRST_ATTEMPT: Duration = Duration::from_secs(1);

/// A TCP connection's end. Dropping it closes it: what was sent arrives, then the end of the stream;
/// if received bytes were left unread, the other side sees a reset instead, as with Linux.
///
/// Every operation is cancellation safe: a dropped read has taken nothing, a dropped write has sent
/// nothing.
pub struct TcpSocket {
    network: Network,
    id: ConnectionId,
    side: usize,
}

impl TcpSocket {
    fn act<R>(
        &self,
        act: impl FnOnce(&mut Connection, Instant, &Route, &mut Random) -> R,
    ) -> Option<R> {
        let now = Instant::now();
        let mut state = self.network.state.borrow_mut();
        state.with_connection(self.id, |connection, route, random| {
            act(connection, now, route, random)
        })
    }

    /// The addresses of this end and of the other one.
    pub fn addresses(&self) -> Option<(SocketAddr, SocketAddr)> {
        let both = self.act(|connection, _, _, _| connection.addresses())?;
        Some((both[self.side], both[1 - self.side]))
    }

    fn poll_read(
        &self,
        context: &Context<'_>,
        buffer: Option<&mut [u8]>,
    ) -> Poll<Result<usize, NetworkError>> {
        self.act(|connection, now, _, _| connection.poll_read(context, self.side, now, buffer))
            .unwrap_or(Poll::Ready(Err(NetworkError::Reset)))
    }

    async fn receive(&self, buffer: &mut [u8]) -> Result<usize, NetworkError> {
        poll_fn(|context| self.poll_read(context, Some(&mut *buffer))).await
    }

    async fn until_readable(&self) -> Result<(), NetworkError> {
        match poll_fn(|context| self.poll_read(context, None)).await {
            // A reset is for the next read to tell.
            Ok(_) | Err(_) => Ok(()),
        }
    }

    async fn send(&self, bytes: &[u8]) -> Result<usize, NetworkError> {
        let count = poll_fn(|context| {
            self.act(|connection, now, route, random| {
                connection.poll_write(context, self.side, now, bytes, route, random)
            })
            .unwrap_or(Poll::Ready(Err(NetworkError::Reset)))
        })
        .await?;
        let tap = self.network.state.borrow().tap.clone();
        if let (Some(tap), Some((from, to))) = (tap, self.addresses()) {
            tap(from, to, &bytes[..count]);
        }
        Ok(count)
    }

    /// Waits until the other side's host has everything, as embassy-net's flush does.
    async fn delivered(&self) -> Result<(), NetworkError> {
        poll_fn(|context| {
            self.act(|connection, now, route, _| {
                connection.poll_delivered(context, self.side, now, route.latency)
            })
            .unwrap_or(Poll::Ready(Err(NetworkError::Reset)))
        })
        .await
    }

    async fn discard(&self) -> Result<(), NetworkError> {
        let mut buffer = [0; 64];
        while self.receive(&mut buffer).await? > 0 {}
        Ok(())
    }
}

impl Drop for TcpSocket {
    fn drop(&mut self) {
        self.act(|connection, now, route, random| {
            connection.drop_end(self.side, now, route, random);
        });
    }
}

impl ErrorType for TcpSocket {
    type Error = NetworkError;
}

impl Read for TcpSocket {
    async fn read(&mut self, buffer: &mut [u8]) -> Result<usize, NetworkError> {
        self.receive(buffer).await
    }
}

impl Write for TcpSocket {
    async fn write(&mut self, bytes: &[u8]) -> Result<usize, NetworkError> {
        self.send(bytes).await
    }

    async fn flush(&mut self) -> Result<(), NetworkError> {
        self.delivered().await
    }
}

impl Readable for TcpSocket {
    async fn readable(&mut self) -> Result<(), NetworkError> {
        self.until_readable().await
    }
}

impl TcpShutdown for TcpSocket {
    async fn close(&mut self, what: Close) -> Result<(), NetworkError> {
        if matches!(what, Close::Write | Close::Both) {
            self.act(|connection, now, route, random| {
                connection.finish(self.side, now, route, random);
            });
            self.delivered().await?;
        }
        if matches!(what, Close::Read | Close::Both) {
            self.discard().await?;
        }
        Ok(())
    }

    async fn abort(&mut self) -> Result<(), NetworkError> {
        self.act(|connection, now, route, _| connection.abort(self.side, now, route));
        Ok(())
    }
}

impl TcpSplit for TcpSocket {
    type Read<'a> = TcpHalf<'a>;
    type Write<'a> = TcpHalf<'a>;

    fn split(&mut self) -> (TcpHalf<'_>, TcpHalf<'_>) {
        (TcpHalf(self), TcpHalf(self))
    }
}

/// One half of a [`TcpSocket`].
pub struct TcpHalf<'a>(&'a TcpSocket);

impl ErrorType for TcpHalf<'_> {
    type Error = NetworkError;
}

impl Read for TcpHalf<'_> {
    async fn read(&mut self, buffer: &mut [u8]) -> Result<usize, NetworkError> {
        self.0.receive(buffer).await
    }
}

impl Write for TcpHalf<'_> {
    async fn write(&mut self, bytes: &[u8]) -> Result<usize, NetworkError> {
        self.0.send(bytes).await
    }

    async fn flush(&mut self) -> Result<(), NetworkError> {
        self.0.delivered().await
    }
}

impl Readable for TcpHalf<'_> {
    async fn readable(&mut self) -> Result<(), NetworkError> {
        self.0.until_readable().await
    }
}

impl TcpConnect for Host {
    type Error = NetworkError;
    type Socket<'a> = TcpSocket;

    /// Fails at once while this host has no link or no address; hangs, trying again after 1, 2, 4 ...
    /// seconds, while the other side cannot be reached.
    async fn connect(&self, remote: SocketAddr) -> Result<TcpSocket, NetworkError> {
        let IpAddr::V4(address) = remote.ip() else {
            return Err(NetworkError::AddressNotAvailable);
        };
        let begun = Instant::now();
        let (local, mut latency) = {
            let mut state = self.network.state.borrow_mut();
            let host = &mut state.hosts[self.id];
            if !host.online() && !address.is_loopback() {
                return Err(NetworkError::Unreachable);
            }
            let own = if address.is_loopback() {
                address
            } else {
                host.address
            };
            let local = SocketAddr::new(IpAddr::V4(own), host.ephemeral_port());
            (local, Duration::from_ticks(0))
        };
        loop {
            let to = {
                let state = self.network.state.borrow();
                let to = state.find(self.id, address);
                if let Some(to) = to {
                    latency = state.route(self.id, to).latency;
                }
                to
            };
            Timer::after(latency).await;
            let now = Instant::now();
            let attempt = {
                let mut state = self.network.state.borrow_mut();
                state.attempt(now, self.id, local, remote, to)
            };
            match attempt {
                Attempt::Refused => {
                    Timer::after(latency).await;
                    return Err(NetworkError::Refused);
                }
                Attempt::Vanished => {
                    let next = now + Duration::from_ticks(1);
                    Timer::at(retry(begun, next, FIRST_ATTEMPT)).await;
                }
                Attempt::Established(id) => {
                    // Made before the wait, so that a dropped attempt closes what it opened.
                    let socket = self.network.socket(id, 0);
                    Timer::after(latency).await;
                    return Ok(socket);
                }
            }
        }
    }
}

impl TcpBind for Host {
    type Error = NetworkError;
    type Accept<'a> = TcpAcceptor;

    async fn bind(&self, local: SocketAddr) -> Result<TcpAcceptor, NetworkError> {
        let mut state = self.network.state.borrow_mut();
        let host = &mut state.hosts[self.id];
        let port = host.port(local, |host, port| host.listeners.contains_key(&port))?;
        host.listeners.insert(port, Listener::default());
        Ok(TcpAcceptor {
            network: self.network.clone(),
            host: self.id,
            port,
        })
    }
}

/// A listening socket. Several tasks may accept from it; dropping it resets what was not accepted.
pub struct TcpAcceptor {
    network: Network,
    host: HostId,
    port: u16,
}

impl TcpAcceptor {
    /// The port it listens on.
    pub fn port(&self) -> u16 {
        self.port
    }

    fn with_listener<R>(&self, act: impl FnOnce(&mut Listener) -> R) -> Option<R> {
        let mut state = self.network.state.borrow_mut();
        let listener = state.hosts[self.host].listeners.get_mut(&self.port)?;
        Some(act(listener))
    }
}

impl TcpAccept for TcpAcceptor {
    type Error = NetworkError;
    type Socket<'a> = TcpSocket;

    async fn accept(&self) -> Result<(SocketAddr, TcpSocket), NetworkError> {
        let _accepting = Accepting::new(self);
        let (from, id) = poll_fn(|context| {
            let next = self.with_listener(|listener| {
                listener.waiting.register(context);
                listener.queue.pop_front()
            });
            match next.flatten() {
                Some(next) => Poll::Ready(next),
                None => Poll::Pending,
            }
        })
        .await;
        Ok((from, self.network.socket(id, 1)))
    }
}

impl Drop for TcpAcceptor {
    fn drop(&mut self) {
        let waiting = {
            let mut state = self.network.state.borrow_mut();
            state.hosts[self.host].listeners.remove(&self.port)
        };
        for (_, id) in waiting.into_iter().flat_map(|listener| listener.queue) {
            let socket = self.network.socket(id, 1);
            socket.act(|connection, now, route, _| connection.abort(1, now, route));
        }
    }
}

/// Counts the tasks that wait for a connection, for hosts without a backlog.
struct Accepting<'a>(&'a TcpAcceptor);

impl<'a> Accepting<'a> {
    fn new(acceptor: &'a TcpAcceptor) -> Self {
        acceptor.with_listener(|listener| listener.accepting += 1);
        Self(acceptor)
    }
}

impl Drop for Accepting<'_> {
    fn drop(&mut self) {
        self.0.with_listener(|listener| listener.accepting -= 1);
    }
}

impl Network {
    fn socket(&self, id: ConnectionId, side: usize) -> TcpSocket {
        TcpSocket {
            network: self.clone(),
            id,
            side,
        }
    }
}
