//! What the access point does with datagrams: DHCP and DNS, one answer at a time in one room.
//!
//! Guarantees: nobody holds the room while waiting for a datagram to come.

use core::convert::Infallible;
use core::net::{IpAddr, Ipv4Addr, SocketAddr};

use edge_nal::{Readable, UdpBind, UdpReceive, UdpSend};
use embassy_futures::join::join;
use embassy_futures::yield_now;
use embassy_sync::blocking_mutex::raw::NoopRawMutex;
use embassy_sync::mutex::{Mutex, MutexGuard};
use embassy_time::{Duration, Instant, Timer, with_timeout};

use super::dhcp::Lender;
use super::dns;
use crate::log;
use crate::log::Log;

/// The longest datagram that is read whole.
pub(super) const DATAGRAM: usize = 768;

/// How long reading may take what was said to be there: a host drops one with a wrong checksum.
const THERE: Duration = Duration::from_millis(100);

/// Gives addresses to clients of the access point, and answers every name with the portal's `address`, so
/// that any page leads to the portal. The ports are 67 and 53 outside of tests.
///
/// Cancellation: dropping the future forgets the leases; clients renew theirs within minutes.
pub async fn serve_dhcp_and_dns<S: UdpBind>(
    stack: &S,
    address: Ipv4Addr,
    [dhcp, dns]: [u16; 2],
    log: &Log<'_>,
) -> Infallible {
    let room = DatagramRoom::new();
    let mut lender = Lender::new(address);
    let mut lend = |datagram: &mut Datagram| lender.answer(datagram, Instant::now().as_secs());
    let mut name = |datagram: &mut Datagram| dns::answer(datagram, address);
    let serve = join(
        answer(stack, ("DHCP", dhcp), &room, log, &mut lend),
        answer(stack, ("DNS", dns), &room, log, &mut name),
    );
    serve.await.0
}

/// Answers the datagrams at a service's port. `reply` turns one into its answer of so many bytes, and says
/// to whom that goes.
async fn answer<S: UdpBind>(
    stack: &S,
    (service, port): (&str, u16),
    room: &DatagramRoom,
    log: &Log<'_>,
    reply: &mut dyn FnMut(&mut Datagram) -> Option<(usize, SocketAddr)>,
) -> Infallible {
    let at = SocketAddr::new(IpAddr::V4(Ipv4Addr::UNSPECIFIED), port);
    let mut logged = false;
    loop {
        match stack.bind(at).await {
            Ok(mut socket) => {
                logged = false;
                while let Ok(mut datagram) = room.receive(&mut socket).await {
                    if let Some((length, to)) = reply(&mut datagram) {
                        // Who is not reached asks again.
                        let _ = socket.send(to, &datagram.bytes[..length]).await;
                    }
                    drop(datagram);
                    yield_now().await;
                }
            }
            Err(error) if !logged => {
                logged = true;
                let kind = embedded_io_async::Error::kind(&error);
                log!(
                    log,
                    Error,
                    "portal",
                    "no {service} on port {port} ({kind:?}): free that port"
                );
            }
            Err(_) => {}
        }
        Timer::after(Duration::from_secs(1)).await;
    }
}

/// Memory for one datagram.
#[derive(Debug)]
pub(super) struct DatagramRoom(Mutex<NoopRawMutex, Datagram>);

/// A datagram that has come in.
#[derive(Debug)]
pub(super) struct Datagram {
    pub(super) bytes: [u8; DATAGRAM],
    /// How many bytes it has; more than there are when it was cut off.
    pub(super) length: usize,
    pub(super) from: SocketAddr,
}

impl DatagramRoom {
    const fn new() -> Self {
        Self(Mutex::new(Datagram {
            bytes: [0; DATAGRAM],
            length: 0,
            from: SocketAddr::new(IpAddr::V4(Ipv4Addr::UNSPECIFIED), 0),
        }))
    }

    /// Waits for a datagram; the room is taken for as long as the result lives.
    pub(super) async fn receive<S: UdpReceive + Readable>(
        &self,
        socket: &mut S,
    ) -> Result<MutexGuard<'_, NoopRawMutex, Datagram>, S::Error> {
        loop {
            socket.readable().await?;
            let mut room = self.0.lock().await;
            let received = with_timeout(THERE, socket.receive(&mut room.bytes)).await;
            if let Ok(received) = received {
                (room.length, room.from) = received?;
                return Ok(room);
            }
        }
    }
}
