//! Datagrams in memory, to the device and from it.

use std::cell::RefCell;
use std::collections::VecDeque;
use std::convert::Infallible;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};

use edge_nal::{
    AddrType, Dns, MulticastV4, MulticastV6, Readable, UdpBind, UdpReceive, UdpSend, UdpSplit,
    UdpSplitMulticast,
};
use embassy_time::{Duration, Timer};
use embedded_io_async::ErrorType;

use crate::wire::{Bell, PEER};

/// Datagrams to the device and from it.
pub(crate) struct Udp {
    port: u16,
    incoming: RefCell<VecDeque<Vec<u8>>>,
    outgoing: RefCell<Vec<(SocketAddr, Vec<u8>)>>,
    bell: Bell,
}

impl Udp {
    /// Datagrams to this port of the device; 0 is any that it chooses.
    pub(crate) fn new(port: u16) -> Self {
        Self {
            port,
            incoming: RefCell::default(),
            outgoing: RefCell::default(),
            bell: Bell::default(),
        }
    }

    /// A datagram comes.
    pub(crate) fn say(&self, datagram: Vec<u8>) {
        self.incoming.borrow_mut().push_back(datagram);
        self.bell.ring();
    }

    /// A datagram comes, and this is what the device answers to it.
    pub(crate) async fn ask(&self, datagram: Vec<u8>) -> Vec<(SocketAddr, Vec<u8>)> {
        self.say(datagram);
        // Time stands still while the device has anything to do.
        Timer::after(Duration::from_millis(1)).await;
        self.heard()
    }

    /// Waits until the device has sent something.
    pub(crate) async fn spoken(&self) {
        let something = || (!self.outgoing.borrow().is_empty()).then_some(());
        self.bell.until(something).await;
    }

    /// What the device has sent since this was last asked.
    pub(crate) fn heard(&self) -> Vec<(SocketAddr, Vec<u8>)> {
        self.outgoing.take()
    }
}

/// The device's socket.
pub(crate) struct UdpSocket<'u> {
    udp: &'u Udp,
    /// Another port than the one that is spoken to.
    deaf: bool,
}

impl UdpSocket<'_> {
    async fn until<T>(&self, ready: impl FnMut() -> Option<T>) -> T {
        if self.deaf {
            std::future::pending::<()>().await;
        }
        self.udp.bell.until(ready).await
    }

    fn part(&self) -> UdpSocket<'_> {
        UdpSocket {
            udp: self.udp,
            deaf: self.deaf,
        }
    }
}

impl ErrorType for UdpSocket<'_> {
    type Error = Infallible;
}

impl UdpReceive for UdpSocket<'_> {
    async fn receive(&mut self, buffer: &mut [u8]) -> Result<(usize, SocketAddr), Infallible> {
        let next = || self.udp.incoming.borrow_mut().pop_front();
        let datagram = self.until(next).await;
        // What does not fit is cut off.
        let length = datagram.len().min(buffer.len());
        buffer[..length].copy_from_slice(&datagram[..length]);
        Ok((length, PEER))
    }
}

impl UdpSend for UdpSocket<'_> {
    async fn send(&mut self, to: SocketAddr, datagram: &[u8]) -> Result<(), Infallible> {
        self.udp.outgoing.borrow_mut().push((to, datagram.to_vec()));
        self.udp.bell.ring();
        Ok(())
    }
}

impl Readable for UdpSocket<'_> {
    async fn readable(&mut self) -> Result<(), Infallible> {
        let something = || (!self.udp.incoming.borrow().is_empty()).then_some(());
        self.until(something).await;
        Ok(())
    }
}

impl UdpSplit for UdpSocket<'_> {
    type Receive<'a>
        = UdpSocket<'a>
    where
        Self: 'a;
    type Send<'a>
        = UdpSocket<'a>
    where
        Self: 'a;

    fn split(&mut self) -> (UdpSocket<'_>, UdpSocket<'_>) {
        (self.part(), self.part())
    }
}

impl UdpSplitMulticast for UdpSocket<'_> {
    type MulticastV4<'a>
        = UdpSocket<'a>
    where
        Self: 'a;
    type MulticastV6<'a>
        = UdpSocket<'a>
    where
        Self: 'a;

    fn split_multicast(&mut self) -> (UdpSocket<'_>, UdpSocket<'_>, UdpSocket<'_>, UdpSocket<'_>) {
        (self.part(), self.part(), self.part(), self.part())
    }
}

impl MulticastV4 for UdpSocket<'_> {
    async fn join_v4(&mut self, _: Ipv4Addr, _: Ipv4Addr) -> Result<(), Infallible> {
        Ok(())
    }

    async fn leave_v4(&mut self, _: Ipv4Addr, _: Ipv4Addr) -> Result<(), Infallible> {
        Ok(())
    }
}

impl MulticastV6 for UdpSocket<'_> {
    async fn join_v6(&mut self, _: Ipv6Addr, _: u32) -> Result<(), Infallible> {
        Ok(())
    }

    async fn leave_v6(&mut self, _: Ipv6Addr, _: u32) -> Result<(), Infallible> {
        Ok(())
    }
}

impl UdpBind for Udp {
    type Error = Infallible;
    type Socket<'a>
        = UdpSocket<'a>
    where
        Self: 'a;

    async fn bind(&self, at: SocketAddr) -> Result<UdpSocket<'_>, Infallible> {
        Ok(UdpSocket {
            udp: self,
            deaf: at.port() != self.port,
        })
    }
}

impl Dns for Udp {
    type Error = Infallible;

    async fn get_host_by_name(&self, _: &str, _: AddrType) -> Result<IpAddr, Infallible> {
        Ok(PEER.ip())
    }

    async fn get_host_by_address(&self, _: IpAddr, _: &mut [u8]) -> Result<usize, Infallible> {
        Ok(0)
    }
}
