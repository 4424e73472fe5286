//! The network as its users see it, through edge-nal's traits.

use std::cell::RefCell;
use std::future::Future;
use std::net::{IpAddr, Ipv4Addr, SocketAddr};

use edge_nal::{AddrType, Dns, TcpAccept, TcpBind, TcpConnect};
use embassy_futures::join::join;
use embassy_time::{Duration, Instant, with_timeout};
use embedded_io_async::{Read, Write};

use super::{Faults, Host, NameServer, Network, NetworkError, TcpAcceptor, TcpSocket};
use crate::time::run_virtual;

mod tcp;
mod udp;

const PORT: u16 = 1883;

struct Pair {
    network: Network,
    device: Host,
    server: Host,
}

impl Pair {
    fn new() -> Self {
        let network = Network::default();
        Self {
            device: network.host(Ipv4Addr::new(10, 0, 0, 2)),
            server: network.host(Ipv4Addr::new(10, 0, 0, 1)),
            network,
        }
    }

    fn remote(&self) -> SocketAddr {
        SocketAddr::from((self.server.address(), PORT))
    }

    /// Both ends of a connection.
    async fn connected(&self) -> (TcpSocket, TcpSocket) {
        let acceptor = listen(&self.server).await.expect("a free port");
        let (device, server) = join(self.device.connect(self.remote()), acceptor.accept()).await;
        (device.expect("connects"), server.expect("accepts").1)
    }
}

fn local(port: u16) -> SocketAddr {
    SocketAddr::from((Ipv4Addr::UNSPECIFIED, port))
}

async fn listen(host: &Host) -> Result<TcpAcceptor, NetworkError> {
    TcpBind::bind(host, local(PORT)).await
}

fn pulled() -> Faults {
    Faults {
        cable_pulled: true,
        ..Faults::default()
    }
}

async fn within<T>(seconds: u64, future: impl Future<Output = T>) -> Option<T> {
    with_timeout(Duration::from_secs(seconds), future)
        .await
        .ok()
}

async fn read_text(socket: &mut TcpSocket, length: usize) -> String {
    let mut buffer = vec![0; length];
    socket.read_exact(&mut buffer).await.expect("the bytes");
    String::from_utf8(buffer).expect("text")
}

#[test]
fn names_are_looked_up_and_a_server_that_is_away_takes_its_time() {
    let pair = Pair::new();
    pair.network.name("Broker.local", pair.server.address());
    let ask = async |name| pair.device.get_host_by_name(name, AddrType::IPv4).await;
    let address = IpAddr::V4(pair.server.address());
    run_virtual(async {
        assert_eq!(ask("broker.LOCAL").await, Ok(address));
        assert_eq!(ask("10.9.8.7").await, Ok(IpAddr::from([10, 9, 8, 7])));
        assert_eq!(ask("other.local").await, Err(NetworkError::NoSuchName));
        let mut name = [0; 32];
        let length = pair.device.get_host_by_address(address, &mut name).await;
        assert_eq!(&name[..length.expect("known")], b"broker.local");

        pair.network.set_name_server(NameServer::Away);
        let before = Instant::now();
        assert_eq!(ask("broker.local").await, Err(NetworkError::NameServerAway));
        assert_eq!((Instant::now() - before).as_secs(), 10);
        pair.network.set_name_server(NameServer::Empty);
        assert_eq!(ask("broker.local").await, Err(NetworkError::NoSuchName));
        pair.network.set_name_server(NameServer::Answers);
        pair.network.forget_name("broker.local");
        assert_eq!(ask("broker.local").await, Err(NetworkError::NoSuchName));
    });
}

#[test]
fn a_tap_sees_what_is_sent() {
    let pair = Pair::new();
    let seen = std::rc::Rc::new(RefCell::new(Vec::new()));
    let tapped = seen.clone();
    pair.network.set_tap(move |from, to, bytes| {
        tapped.borrow_mut().push((from.ip(), to, bytes.to_vec()));
    });
    run_virtual(async {
        let (mut device, _server) = pair.connected().await;
        device.write_all(b"secret").await.expect("writes");
    });
    let from = IpAddr::V4(pair.device.address());
    assert_eq!(*seen.borrow(), [(from, pair.remote(), b"secret".to_vec())]);
}

#[test]
fn a_hundred_worlds_live_side_by_side_in_one_process() {
    let worlds: Vec<_> = (0..100).map(|_| Pair::new()).collect();
    run_virtual(async {
        let mut open = Vec::new();
        for pair in &worlds {
            open.push(pair.connected().await);
        }
        for (device, _) in &mut open {
            device.write_all(b"x").await.expect("writes");
        }
        for (_, server) in &mut open {
            assert_eq!(read_text(server, 1).await, "x");
        }
    });
}
