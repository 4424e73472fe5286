//! SNTP: sets the clock from a time server (RFC 4330, RFC 5905), and keeps it right.
//!
//! Guarantees: the clock is set from nothing but an answer to the very question that was asked, by
//! a server that says its own clock is right, and never to a time before the firmware was built or
//! half a century after. A server that wishes to be left alone is. What is refused is logged, once
//! for each reason.
//!
//! The first question is asked at once, then one each hour; after a failure again in 2 s, doubling
//! to 10 minutes, all ± 10 %. A correction steps the clock, however small: what must not be moved
//! by it goes by the monotonic clock.
//!
//! Times are reckoned from the clock or, before that is set, from when the firmware was built, so
//! the end of NTP's era in 2036 makes no difference.

mod exchange;

use core::cell::Cell;
use core::convert::Infallible;
use core::fmt;
use core::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};

use edge_nal::{AddrType, Dns, UdpBind};
use embassy_time::{Duration, Instant, Timer, with_timeout};

use self::exchange::{Answer, Refusal, exchange};
use crate::address::Shown;
use crate::board::System;
use crate::clock::{Clock, UnixTime};
use crate::log::{Level, Log};

/// NTP's port.
const PORT: u16 = 123;
/// How often a clock that is right is compared.
const RESYNC: Duration = Duration::from_secs(3_600);
/// The first delay after a failure, and the longest.
const FIRST_RETRY: Duration = Duration::from_secs(2);
const LONGEST_RETRY: Duration = Duration::from_secs(600);
/// How long a server is left alone that answered: however often the link comes and goes.
const COURTESY: Duration = Duration::from_secs(64);
/// How long one that said `RATE` is left alone, and one that refused service.
const SLOWER: Duration = Duration::from_secs(1_800);
const DENIED: Duration = Duration::from_secs(86_400);
/// How long a name may take to be resolved, and a socket to be had.
const PREPARATION: Duration = Duration::from_secs(12);
/// Firmware older than this is taken for impossible: microseconds of 50 years.
const CREDIBLE: i64 = 50 * 365 * 86_400 * 1_000_000;
/// Corrections above this are worth a line in the log.
const NOTABLE: i64 = 1_000_000;

/// Where the time comes from.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum TimeServer<'s> {
    /// A name or an IP address, on the standard port 123.
    Host(&'s str),
    /// An address and port.
    Address(SocketAddr),
}

impl fmt::Display for TimeServer<'_> {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Host(host) => formatter.write_str(host),
            Self::Address(address) => Shown(*address).fmt(formatter),
        }
    }
}

/// A time server and how it has behaved; lives as long as the device, so that losing the link is no
/// way round a server's wish to be left alone.
#[derive(Debug)]
pub struct Sntp<'s> {
    server: TimeServer<'s>,
    earliest: UnixTime,
    /// The server is not asked before.
    rest_until: Cell<Instant>,
    /// Failures in a row.
    failures: Cell<u32>,
    /// The last refusal that was logged.
    told: Cell<Option<Refusal>>,
}

impl<'s> Sntp<'s> {
    /// Will ask `server`, and believe no time before `earliest`: when the firmware was built.
    pub const fn new(server: TimeServer<'s>, earliest: UnixTime) -> Self {
        Self {
            server,
            earliest,
            rest_until: Cell::new(Instant::from_ticks(0)),
            failures: Cell::new(0),
            told: Cell::new(None),
        }
    }

    /// Sets the clock at once and then each hour, for ever. To be run while the link is up.
    ///
    /// Holds one UDP socket while it waits for an answer, at most 4 s at a time.
    ///
    /// Cancellation safe: call it again when the link is back. It then asks at once, unless the
    /// server has answered in the last minute or wishes to be left alone.
    pub async fn run<N: UdpBind + Dns>(
        &self,
        network: &N,
        clock: &Clock,
        system: &dyn System,
        log: &Log<'_>,
    ) -> Infallible {
        self.failures.set(0);
        let mut next = self.rest_until.get();
        loop {
            Timer::at(next).await;
            let wait = match self.ask(network, clock, system).await {
                Ok(answer) => self.accept(answer, clock, log),
                Err(refusal) => self.refuse(refusal, log),
            };
            let random = u16::from_le_bytes(entropy(system));
            let spread = Instant::now().saturating_add(spread(wait, random));
            next = spread.max(self.rest_until.get());
        }
    }

    async fn ask<N: UdpBind + Dns>(
        &self,
        network: &N,
        clock: &Clock,
        system: &dyn System,
    ) -> Result<Answer, Refusal> {
        let prepared = with_timeout(PREPARATION, self.prepare(network)).await;
        let (server, socket) = prepared.map_err(|_| Refusal::NotResolved)??;
        let now = Instant::now();
        let about = clock.unix(now).unwrap_or(self.earliest);
        let answer = exchange(socket, &server, about, entropy(system)).await?;
        let age = answer.time.micros_since(self.earliest);
        if (0..=CREDIBLE).contains(&age) {
            Ok(answer)
        } else {
            Err(Refusal::Absurd(answer.time))
        }
    }

    async fn prepare<'n, N: UdpBind + Dns>(
        &self,
        network: &'n N,
    ) -> Result<(SocketAddr, N::Socket<'n>), Refusal> {
        let server = self.resolve(network).await?;
        let local = match server {
            SocketAddr::V4(_) => IpAddr::V4(Ipv4Addr::UNSPECIFIED),
            SocketAddr::V6(_) => IpAddr::V6(Ipv6Addr::UNSPECIFIED),
        };
        let socket = network.bind(SocketAddr::new(local, 0)).await;
        Ok((server, socket.map_err(|_| Refusal::NoSocket)?))
    }

    async fn resolve<N: Dns>(&self, network: &N) -> Result<SocketAddr, Refusal> {
        let host = match self.server {
            TimeServer::Address(address) => return Ok(address),
            TimeServer::Host(host) => host,
        };
        let address = match host.parse() {
            Ok(address) => address,
            // The radio gives IPv4 addresses only.
            Err(_) => network
                .get_host_by_name(host, AddrType::IPv4)
                .await
                .map_err(|_| Refusal::NotResolved)?,
        };
        Ok(SocketAddr::new(address, PORT))
    }

    /// Sets the clock; returns when to compare it again.
    fn accept(&self, answer: Answer, clock: &Clock, log: &Log<'_>) -> Duration {
        let Answer {
            time,
            at,
            roundtrip,
        } = answer;
        let before = clock.unix(at);
        clock.set(time, at);
        let server = &self.server;
        match before.map(|before| time.micros_since(before)) {
            None => log.write(
                Level::Info,
                "clock",
                format_args!("set to {time} by {server}"),
            ),
            Some(off) => log.write(
                if off.saturating_abs() > NOTABLE {
                    Level::Info
                } else {
                    Level::Debug
                },
                "clock",
                format_args!(
                    "corrected by {} ms to {time} by {server}, {} ms away",
                    off / 1_000,
                    roundtrip.max(0) / 1_000
                ),
            ),
        }
        self.failures.set(0);
        self.told.set(None);
        self.rest_until.set(at.saturating_add(COURTESY));
        RESYNC
    }

    /// Says why the clock is not set; returns when to try again.
    fn refuse(&self, refusal: Refusal, log: &Log<'_>) -> Duration {
        let failures = self.failures.get();
        self.failures.set(failures.saturating_add(1));
        let told = self.told.replace(Some(refusal));
        let level = if told.is_some_and(|told| told.is_like(&refusal)) {
            Level::Debug
        } else {
            Level::Warn
        };
        let server = &self.server;
        log.write(
            level,
            "clock",
            format_args!("not set by {server}: {refusal}"),
        );
        let retry = retry(failures);
        let rest = match refusal {
            Refusal::Denied(_) => DENIED,
            Refusal::TooOften => SLOWER,
            _ => return retry,
        };
        self.rest_until.set(Instant::now().saturating_add(rest));
        rest.max(retry)
    }
}

/// The delay after so many failures before this one.
fn retry(failures: u32) -> Duration {
    let doubled = 1u32.checked_shl(failures).unwrap_or(u32::MAX);
    FIRST_RETRY
        .checked_mul(doubled)
        .map_or(LONGEST_RETRY, |delay| delay.min(LONGEST_RETRY))
}

/// From 90 % to 110 % of `delay`, so that devices that started together do not ask together.
fn spread(delay: Duration, random: u16) -> Duration {
    let tenth = delay.as_ticks() / 10;
    let part = (2 * tenth).saturating_mul(random.into()) >> u16::BITS;
    Duration::from_ticks(delay.as_ticks() - tenth + part)
}

fn entropy<const N: usize>(system: &dyn System) -> [u8; N] {
    let mut bytes = [0; N];
    system.entropy(&mut bytes);
    bytes
}

#[cfg(test)]
mod tests;
