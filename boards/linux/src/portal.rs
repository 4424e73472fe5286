//! The access point's network: the portal listens on an address of this machine while it is open.
//!
//! Guarantees: nothing listens while the framework has no acceptor; as many acceptors as it likes share
//! one socket, each connection going to one of them; the address may be taken again at once.

use std::cell::RefCell;
use std::io;
use std::net::{SocketAddr, TcpListener, UdpSocket as StdUdpSocket};
use std::rc::{Rc, Weak};

use edge_nal::{TcpAccept, TcpBind, UdpBind};
use rustix::net::{SocketFlags, sockopt};
use sim::reactor::{Direction, Source};

use crate::socket::{TcpSocket, UdpSocket};

/// The access point's network stack. Whatever address and port the framework asks for, it gets the
/// portal's.
#[derive(Debug, Clone)]
pub struct Portal {
    address: SocketAddr,
    open: Rc<RefCell<Weak<Source<TcpListener>>>>,
}

impl Portal {
    /// A network on which the device is `address`.
    #[must_use]
    pub fn new(address: SocketAddr) -> Self {
        Self {
            address,
            open: Rc::default(),
        }
    }

    /// Looks whether `address` can be listened on, and finds a port where 0 is given: one that stays its own
    /// while nothing listens.
    ///
    /// # Errors
    ///
    /// When it cannot: another program listens there, or the address is not this machine's.
    pub fn probe(mut address: SocketAddr) -> io::Result<SocketAddr> {
        if address.port() == 0 {
            address.set_port(sim::port::free_on(address.ip())?);
        }
        TcpListener::bind(address)?.local_addr()
    }
}

impl TcpBind for Portal {
    type Error = io::Error;
    type Accept<'a> = PortalAcceptor;

    async fn bind(&self, _asked: SocketAddr) -> io::Result<PortalAcceptor> {
        if let Some(listener) = self.open.borrow().upgrade() {
            return Ok(PortalAcceptor(listener));
        }
        let listener = TcpListener::bind(self.address)?;
        listener.set_nonblocking(true)?;
        // The connections have it of their listener (Linux, `tcp(7)`).
        sockopt::set_tcp_nodelay(&listener, true)?;
        let listener = Rc::new(Source::new(listener)?);
        *self.open.borrow_mut() = Rc::downgrade(&listener);
        Ok(PortalAcceptor(listener))
    }
}

/// Takes connections to the portal.
#[derive(Debug)]
pub struct PortalAcceptor(Rc<Source<TcpListener>>);

impl TcpAccept for PortalAcceptor {
    type Error = io::Error;
    type Socket<'a> = TcpSocket;

    async fn accept(&self) -> io::Result<(SocketAddr, TcpSocket)> {
        let flags = SocketFlags::CLOEXEC | SocketFlags::NONBLOCK;
        let accept = |listener: &TcpListener| Ok(rustix::net::acceptfrom_with(listener, flags)?);
        let (stream, remote) = self.0.when(Direction::In, accept).await?;
        let remote = remote.ok_or(io::ErrorKind::NotConnected)?;
        Ok((remote.try_into()?, TcpSocket::of(stream.into())?))
    }
}

impl UdpBind for Portal {
    type Error = io::Error;
    type Socket<'a> = UdpSocket;

    async fn bind(&self, _asked: SocketAddr) -> io::Result<UdpSocket> {
        UdpSocket::new(StdUdpSocket::bind(self.address)?)
    }
}

#[cfg(test)]
mod tests {
    use std::net::TcpStream;

    use embassy_futures::select::{Either, select};
    use sim::time::run_real;

    use super::*;

    fn asked() -> SocketAddr {
        "0.0.0.0:80".parse().unwrap()
    }

    #[test]
    fn the_portal_listens_only_while_an_acceptor_lives_and_can_open_again() {
        let address = Portal::probe("127.0.0.1:0".parse().unwrap()).unwrap();
        let portal = Portal::new(address);
        TcpStream::connect(address).unwrap_err();
        for _ in 0..3 {
            run_real(async {
                let acceptor = TcpBind::bind(&portal, asked()).await.unwrap();
                let peer = TcpStream::connect(address).unwrap();
                let (remote, socket) = acceptor.accept().await.unwrap();
                assert_eq!(remote, peer.local_addr().unwrap());
                assert!(socket.sends_without_delay());
            });
            TcpStream::connect(address).unwrap_err();
        }
    }

    #[test]
    fn several_acceptors_share_the_address() {
        let address = Portal::probe("127.0.0.1:0".parse().unwrap()).unwrap();
        let portal = Portal::new(address);
        run_real(async {
            let one = TcpBind::bind(&portal, asked()).await.unwrap();
            let two = TcpBind::bind(&portal, asked()).await.unwrap();
            let _peers = [0; 2].map(|_| TcpStream::connect(address).unwrap());
            let mut sockets = Vec::new();
            for _ in 0..2 {
                let (Either::First(taken) | Either::Second(taken)) =
                    select(one.accept(), two.accept()).await;
                sockets.push(taken.unwrap());
            }
            drop(one);
            let _third = TcpStream::connect(address).unwrap();
            two.accept().await.unwrap();
        });
    }

    #[test]
    fn an_address_in_use_is_an_error() {
        let taken = TcpListener::bind("127.0.0.1:0").unwrap();
        let address = taken.local_addr().unwrap();
        assert_eq!(
            Portal::probe(address).unwrap_err().kind(),
            io::ErrorKind::AddrInUse
        );
    }
}
