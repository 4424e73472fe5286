//! The station's network: the machine's own sockets and resolver, behind the [`Link`].

use std::io;
use std::net::{IpAddr, SocketAddr, ToSocketAddrs, UdpSocket as StdUdpSocket};
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use edge_nal::{AddrType, Dns, TcpConnect, UdpBind};

use crate::link::{Gated, Link};
use crate::socket::{TcpSocket, UdpSocket};

/// How many look-ups may be under way at once: a resolver that hangs keeps its thread.
const LOOKUPS: usize = 8;

/// The station's network stack.
#[derive(Clone)]
pub struct Station {
    link: Link,
    lookups: Arc<AtomicUsize>,
}

impl Station {
    /// The network at the end of `link`.
    #[must_use]
    pub fn new(link: Link) -> Self {
        Self {
            link,
            lookups: Arc::default(),
        }
    }
}

impl TcpConnect for Station {
    type Error = io::Error;
    type Socket<'a> = Gated<TcpSocket>;

    async fn connect(&self, remote: SocketAddr) -> io::Result<Gated<TcpSocket>> {
        let ticket = self.link.ticket()?;
        let socket = ticket.hold(TcpSocket::connect(remote)).await?;
        Ok(Gated::new(socket, ticket))
    }
}

impl UdpBind for Station {
    type Error = io::Error;
    type Socket<'a> = Gated<UdpSocket>;

    async fn bind(&self, local: SocketAddr) -> io::Result<Gated<UdpSocket>> {
        let ticket = self.link.ticket()?;
        let socket = UdpSocket::new(StdUdpSocket::bind(local)?)?;
        Ok(Gated::new(socket, ticket))
    }
}

/// A look-up under way, counted for as long as its thread lives.
struct Lookup(Arc<AtomicUsize>);

impl Lookup {
    fn begin(count: &Arc<AtomicUsize>) -> io::Result<Self> {
        let lookup = Self(count.clone());
        if count.fetch_add(1, Ordering::AcqRel) >= LOOKUPS {
            return Err(io::ErrorKind::ResourceBusy.into());
        }
        Ok(lookup)
    }
}

impl Drop for Lookup {
    fn drop(&mut self) {
        self.0.fetch_sub(1, Ordering::AcqRel);
    }
}

impl Dns for Station {
    type Error = io::Error;

    async fn get_host_by_name(&self, host: &str, wanted: AddrType) -> io::Result<IpAddr> {
        let ticket = self.link.ticket()?;
        let fits = move |address: &IpAddr| match wanted {
            AddrType::IPv4 => address.is_ipv4(),
            AddrType::IPv6 => address.is_ipv6(),
            AddrType::Either => true,
        };
        if let Ok(address) = host.parse::<IpAddr>() {
            return Some(address)
                .filter(fits)
                .ok_or_else(|| io::ErrorKind::AddrNotAvailable.into());
        }
        let lookup = Lookup::begin(&self.lookups)?;
        let (answer, answered) = flume::bounded(1);
        let host = host.to_owned();
        std::thread::Builder::new()
            .name("look-up".into())
            .spawn(move || {
                let _lookup = lookup;
                let found = (host.as_str(), 0).to_socket_addrs().and_then(|addresses| {
                    addresses
                        .map(|address| address.ip())
                        .find(fits)
                        .ok_or_else(|| io::ErrorKind::AddrNotAvailable.into())
                });
                // The device may have stopped waiting.
                let _ = answer.send(found);
            })?;
        ticket
            .hold(answered.recv_async())
            .await
            .unwrap_or_else(|_| Err(io::ErrorKind::BrokenPipe.into()))
    }

    async fn get_host_by_address(&self, _: IpAddr, _: &mut [u8]) -> io::Result<usize> {
        Err(io::ErrorKind::Unsupported.into())
    }
}

#[cfg(test)]
mod tests {
    use std::cell::Cell;
    use std::io::{Read as _, Write as _};
    use std::net::TcpListener;
    use std::rc::Rc;

    use edge_nal::{UdpReceive, UdpSend};
    use embassy_time::{Duration, with_timeout};
    use embedded_io_async::{Read, Write};
    use sim::time::run_real;

    use super::*;

    /// A station whose link the test switches.
    fn station() -> (Rc<Cell<bool>>, Link, Station) {
        let online = Rc::new(Cell::new(true));
        let seen = online.clone();
        let link = Link::new(move || seen.get());
        (online, link.clone(), Station::new(link))
    }

    const MOMENT: Duration = Duration::from_millis(50);

    #[test]
    fn data_flows_both_ways_while_the_link_is_up() {
        let (_online, _link, station) = station();
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let remote = listener.local_addr().unwrap();
        run_real(async {
            let mut socket = station.connect(remote).await.unwrap();
            let (mut peer, _) = listener.accept().unwrap();
            socket.write_all(b"ping").await.unwrap();
            socket.flush().await.unwrap();
            let mut bytes = [0; 4];
            peer.read_exact(&mut bytes).unwrap();
            peer.write_all(&bytes).unwrap();
            socket.read_exact(&mut bytes).await.unwrap();
            assert_eq!(&bytes, b"ping");
        });
    }

    #[test]
    fn without_a_network_everything_fails_at_once() {
        let (online, _link, station) = station();
        online.set(false);
        run_real(async {
            let remote = "127.0.0.1:9".parse().unwrap();
            let unreachable = io::ErrorKind::NetworkUnreachable;
            let error = station.connect(remote).await.err().unwrap();
            assert_eq!(error.kind(), unreachable);
            let error = station.bind("0.0.0.0:0".parse().unwrap()).await.err();
            assert_eq!(error.unwrap().kind(), unreachable);
            let error = station.get_host_by_name("localhost", AddrType::IPv4).await;
            assert_eq!(error.unwrap_err().kind(), unreachable);
        });
    }

    #[test]
    fn what_was_open_when_the_network_went_is_silent_even_when_it_returns() {
        let (online, _link, station) = station();
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let remote = listener.local_addr().unwrap();
        run_real(async {
            let mut socket = station.connect(remote).await.unwrap();
            let (mut peer, _) = listener.accept().unwrap();
            online.set(false);
            peer.write_all(b"late").unwrap();
            let mut bytes = [0; 4];
            assert!(with_timeout(MOMENT, socket.read(&mut bytes)).await.is_err());
            assert!(with_timeout(MOMENT, socket.write(b"x")).await.is_err());
            online.set(true);
            assert!(with_timeout(MOMENT, socket.read(&mut bytes)).await.is_err());
            drop(socket);
            let (mut fresh, _) = (station.connect(remote).await.unwrap(), listener.accept());
            fresh.write_all(b"back").await.unwrap();
        });
    }

    #[test]
    fn joining_anew_silences_what_was_open_before() {
        let (_online, link, station) = station();
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        run_real(async {
            let mut socket = station
                .connect(listener.local_addr().unwrap())
                .await
                .unwrap();
            link.rejoin();
            assert!(with_timeout(MOMENT, socket.write(b"x")).await.is_err());
        });
    }

    #[test]
    fn datagrams_flow_while_the_link_is_up_and_not_after() {
        let (online, _link, station) = station();
        let peer = std::net::UdpSocket::bind("127.0.0.1:0").unwrap();
        let remote = peer.local_addr().unwrap();
        run_real(async {
            let mut socket = station.bind("127.0.0.1:0".parse().unwrap()).await.unwrap();
            socket.send(remote, b"ask").await.unwrap();
            let mut bytes = [0; 8];
            let (count, from) = peer.recv_from(&mut bytes).unwrap();
            assert_eq!(&bytes[..count], b"ask");
            peer.send_to(b"answer", from).unwrap();
            assert_eq!(socket.receive(&mut bytes).await.unwrap(), (6, remote));
            online.set(false);
            peer.send_to(b"late", from).unwrap();
            assert!(
                with_timeout(MOMENT, socket.receive(&mut bytes))
                    .await
                    .is_err()
            );
        });
    }

    #[test]
    fn names_and_addresses_are_resolved_by_kind() {
        let (_online, _link, station) = station();
        run_real(async {
            let local = station.get_host_by_name("localhost", AddrType::IPv4).await;
            assert!(local.unwrap().is_loopback());
            let literal = station.get_host_by_name("10.1.2.3", AddrType::IPv4).await;
            assert_eq!(literal.unwrap(), IpAddr::from([10, 1, 2, 3]));
            station
                .get_host_by_name("10.1.2.3", AddrType::IPv6)
                .await
                .unwrap_err();
            let nowhere = station
                .get_host_by_name("nowhere.invalid", AddrType::IPv4)
                .await;
            nowhere.unwrap_err();
        });
    }
}
