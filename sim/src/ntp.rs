//! An SNTP server in virtual time (RFC 5905, server mode), with a clock that a test sets.
//!
//! Guarantees: it answers every well-formed request with the time of its own clock, which goes on
//! with the virtual time from what it was last set to, and may jump either way.

use std::cell::Cell;
use std::convert::Infallible;
use std::future::pending;
use std::net::{Ipv4Addr, SocketAddr};
use std::rc::Rc;

use edge_nal::{UdpBind, UdpReceive, UdpSend};
use embassy_time::Instant;

use crate::net::Host;

/// The port of the protocol.
pub const PORT: u16 = 123;

/// Seconds from 1900, where NTP begins, to 1970.
const UNIX_IN_NTP: i64 = 2_208_988_800;
const LENGTH: usize = 48;

struct Shared {
    host: Host,
    /// Unix time in microseconds at the start of the virtual time.
    start: Cell<i64>,
    away: Cell<bool>,
    unsynchronized: Cell<bool>,
    answered: Cell<usize>,
}

/// A time server on a simulated host; clones are the same one. [`TimeServer::run`] has to be polled.
#[derive(Clone)]
pub struct TimeServer {
    shared: Rc<Shared>,
}

impl TimeServer {
    /// A server for [`PORT`] of `host`, whose clock shows `unix_seconds` when the virtual time begins.
    pub fn new(host: &Host, unix_seconds: i64) -> Self {
        Self {
            shared: Rc::new(Shared {
                host: host.clone(),
                start: Cell::new(unix_seconds.saturating_mul(1_000_000)),
                away: Cell::new(false),
                unsynchronized: Cell::new(false),
                answered: Cell::new(0),
            }),
        }
    }

    /// Sets the clock, in seconds since 1970, as of now.
    pub fn set_time(&self, unix_seconds: i64) {
        let now = unix_seconds.saturating_mul(1_000_000);
        self.shared.start.set(now.saturating_sub(elapsed()));
    }

    /// What the clock shows, in microseconds since 1970.
    pub fn time(&self) -> i64 {
        self.shared.start.get().saturating_add(elapsed())
    }

    /// Whether the server keeps silent.
    pub fn set_away(&self, away: bool) {
        self.shared.away.set(away);
    }

    /// Whether the server says that it does not know the time itself; its answers are then not to be
    /// used.
    pub fn set_unsynchronized(&self, unsynchronized: bool) {
        self.shared.unsynchronized.set(unsynchronized);
    }

    /// How many requests it has answered.
    pub fn answered(&self) -> usize {
        self.shared.answered.get()
    }

    /// Serves for ever.
    pub async fn run(&self) -> Infallible {
        let local = SocketAddr::from((Ipv4Addr::UNSPECIFIED, PORT));
        let Ok(mut socket) = self.shared.host.bind(local).await else {
            // Another program has the port.
            return pending().await;
        };
        let mut request = [0; LENGTH];
        loop {
            let Ok((length, from)) = socket.receive(&mut request).await else {
                continue;
            };
            let is_client = request[0] & 0b111 == 3;
            if length < LENGTH || !is_client || self.shared.away.get() {
                continue;
            }
            // Without a link the answer is lost, as it would be.
            if socket.send(from, &self.answer(&request)).await.is_ok() {
                self.shared.answered.set(self.shared.answered.get() + 1);
            }
        }
    }

    fn answer(&self, request: &[u8; LENGTH]) -> [u8; LENGTH] {
        let (leap, stratum) = if self.shared.unsynchronized.get() {
            (3, 16)
        } else {
            (0, 1)
        };
        let now = ntp(self.time()).to_be_bytes();
        let mut answer = [0; LENGTH];
        // Leap indicator, the client's version, server mode.
        answer[0] = (leap << 6) | (request[0] & 0b0011_1000) | 4;
        answer[1] = stratum;
        answer[2] = request[2];
        // Precision 2^-20 s.
        answer[3] = 0xec;
        answer[12..16].copy_from_slice(b"GPS\0");
        answer[16..24].copy_from_slice(&now);
        answer[24..32].copy_from_slice(&request[40..48]);
        answer[32..40].copy_from_slice(&now);
        answer[40..48].copy_from_slice(&now);
        answer
    }
}

fn elapsed() -> i64 {
    i64::try_from(Instant::now().as_micros()).unwrap_or(i64::MAX)
}

/// NTP's 32 bits of seconds, which wrap in 2036, and 32 bits of fraction.
fn ntp(unix_microseconds: i64) -> u64 {
    let seconds = unix_microseconds.div_euclid(1_000_000) + UNIX_IN_NTP;
    let microseconds = unix_microseconds.rem_euclid(1_000_000);
    let era_seconds = seconds.rem_euclid(1 << 32);
    let fraction = (microseconds << 32) / 1_000_000;
    // Both are non-negative and below 2^32.
    (era_seconds.unsigned_abs() << 32) | fraction.unsigned_abs()
}

#[cfg(test)]
mod tests {
    use std::cell::RefCell;

    use edge_nal::UdpConnect;
    use embassy_futures::select::{Either, select};
    use embassy_time::{Duration, Timer, with_timeout};
    use sntpc::{NtpContext, NtpTimestampGenerator, NtpUdpSocket};

    use super::*;
    use crate::net::{Network, UdpSocket};
    use crate::time::run_virtual;

    struct Adapter(RefCell<UdpSocket>);

    #[expect(
        clippy::await_holding_refcell_ref,
        reason = "the client uses the socket from one place at a time"
    )]
    impl NtpUdpSocket for Adapter {
        async fn send_to(&self, bytes: &[u8], to: SocketAddr) -> sntpc::Result<usize> {
            let sent = self.0.borrow_mut().send(to, bytes).await;
            sent.map(|()| bytes.len())
                .map_err(|_| sntpc::Error::Network)
        }

        async fn recv_from(&self, buffer: &mut [u8]) -> sntpc::Result<(usize, SocketAddr)> {
            let received = self.0.borrow_mut().receive(buffer).await;
            received.map_err(|_| sntpc::Error::Network)
        }
    }

    /// A client whose own clock shows 1970.
    #[derive(Clone, Copy, Default)]
    struct DeviceClock(u64);

    impl NtpTimestampGenerator for DeviceClock {
        fn init(&mut self) {
            self.0 = Instant::now().as_micros();
        }

        fn timestamp_sec(&self) -> u64 {
            self.0 / 1_000_000
        }

        fn timestamp_subsec_micros(&self) -> u32 {
            u32::try_from(self.0 % 1_000_000).expect("below a million")
        }
    }

    async fn ask(station: &Host, server: &Host) -> Result<u64, sntpc::Error> {
        let remote = SocketAddr::from((server.address(), PORT));
        let local = SocketAddr::from((Ipv4Addr::UNSPECIFIED, 0));
        let socket = station.connect(local, remote).await.expect("a free port");
        let socket = Adapter(RefCell::new(socket));
        let asked = sntpc::get_time(remote, &socket, NtpContext::new(DeviceClock::default()));
        match with_timeout(Duration::from_secs(2), asked).await {
            Ok(answer) => answer.map(|time| time.sec()),
            Err(_) => Err(sntpc::Error::Network),
        }
    }

    #[test]
    fn an_independent_client_reads_the_clock_and_its_jumps() {
        let network = Network::default();
        let station = network.host(Ipv4Addr::new(10, 0, 0, 2));
        let host = network.host(Ipv4Addr::new(10, 0, 0, 1));
        let server = TimeServer::new(&host, 1_700_000_000);
        let test = async {
            Timer::after_secs(60).await;
            assert_eq!(ask(&station, &host).await, Ok(1_700_000_060));
            server.set_time(1_800_000_000);
            assert_eq!(ask(&station, &host).await, Ok(1_800_000_000));
            server.set_time(1_600_000_000);
            assert_eq!(ask(&station, &host).await, Ok(1_600_000_000));
            assert_eq!(server.answered(), 3);

            server.set_away(true);
            assert_eq!(ask(&station, &host).await, Err(sntpc::Error::Network));
            server.set_away(false);
            server.set_unsynchronized(true);
            assert!(ask(&station, &host).await.is_err());
            server.set_unsynchronized(false);
            assert!(ask(&station, &host).await.is_ok());
        };
        assert!(matches!(
            run_virtual(select(server.run(), test)),
            Either::Second(())
        ));
    }

    #[test]
    fn the_clock_is_right_in_the_next_era_too() {
        // 2036-02-07 06:28:16 UTC is second 0 of era 1.
        let rollover = (1i64 << 32) - UNIX_IN_NTP;
        assert_eq!(ntp((rollover - 1) * 1_000_000) >> 32, u64::from(u32::MAX));
        assert_eq!(ntp(rollover * 1_000_000), 0);
        assert_eq!(ntp(rollover * 1_000_000 + 500_000), 1 << 31);
    }
}
