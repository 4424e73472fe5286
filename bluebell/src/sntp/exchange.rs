//! One question to a time server and its answer.
//!
//! The packets and their checks are sntpc's. What it leaves to its caller is here: datagrams from
//! elsewhere, and answers to another question, are passed over rather than taken for the server's
//! failure; and the question carries 32 random bits, because its time is the only thing that tells
//! a true answer from a forged one.

use core::fmt;
use core::net::SocketAddr;

use edge_nal::{UdpReceive, UdpSend};
use embassy_sync::blocking_mutex::raw::NoopRawMutex;
use embassy_sync::mutex::Mutex;
use embassy_time::{Duration, Instant, with_deadline};
use sntpc::{
    Error, KissOfDeathCode, NtpContext, NtpResult, NtpTimestampGenerator, NtpUdpSocket,
    sntp_process_response, sntp_send_request,
};

use crate::clock::UnixTime;

/// How long an answer may take.
const PATIENCE: Duration = Duration::from_secs(4);
/// How many datagrams that are no answer are passed over.
const STRAYS: usize = 32;
/// How far the server's two times may be apart in one answer, in microseconds.
const COHERENT: i64 = 5_000_000;

/// What time it was at an instant, by the server.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Answer {
    pub(super) time: UnixTime,
    pub(super) at: Instant,
    pub(super) roundtrip: Duration,
}

/// Why there is no time.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Refusal {
    NotResolved,
    NoSocket,
    NotSent,
    Silent,
    /// Datagrams came, but none that answers the question.
    Mismatched,
    TooOften,
    Denied(KissOfDeathCode),
    Unsynchronised,
    Malformed,
    /// Its times contradict each other.
    Incoherent,
    Absurd(UnixTime),
}

impl Refusal {
    /// Whether it is the same kind, so that one line in the log will do.
    pub(super) fn is_like(&self, other: &Self) -> bool {
        core::mem::discriminant(self) == core::mem::discriminant(other)
    }
}

impl fmt::Display for Refusal {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        let words = match self {
            Self::Denied(code) => {
                return write!(
                    formatter,
                    "it refuses service ({}) and is left alone for a day: take another \
                     clock.server",
                    code.as_str()
                );
            }
            Self::Absurd(time) => {
                return write!(
                    formatter,
                    "it says it is {time}, before this firmware was built or 50 years after: take \
                     another clock.server"
                );
            }
            Self::NotResolved => {
                "its name is not resolved: check clock.server and the network's name server"
            }
            Self::NoSocket => "no socket is free; it is tried again",
            Self::NotSent => "the network did not take the question; it is tried again",
            Self::Silent => {
                "no answer: check clock.server and whether the network lets UDP port 123 through"
            }
            Self::Mismatched => "what came answers another question; it is tried again",
            Self::TooOften => "it is asked too often; it is left alone for half an hour",
            Self::Unsynchronised => "its own clock is not right; it is tried again",
            Self::Malformed => "the answer is not one of a time server: check clock.server",
            Self::Incoherent => "its times contradict each other: take another clock.server",
        };
        formatter.write_str(words)
    }
}

impl From<Error> for Refusal {
    fn from(error: Error) -> Self {
        match error {
            Error::KissOfDeath(KissOfDeathCode::Rate) => Self::TooOften,
            Error::KissOfDeath(code @ (KissOfDeathCode::Deny | KissOfDeathCode::Rstr)) => {
                Self::Denied(code)
            }
            // Other codes have no meaning between client and server, but stratum 0 is no stratum.
            Error::KissOfDeath(_)
            | Error::UnsynchronizedClock
            | Error::IncorrectStratumHeaders
            | Error::ExcessiveRootDistance => Self::Unsynchronised,
            Error::BackwardReferenceTimestamp => Self::Incoherent,
            Error::Network => Self::NotSent,
            _ => Self::Malformed,
        }
    }
}

/// Asks `server` what time it is; `about` is within 68 years of it. Takes at most 4 s.
pub(super) async fn exchange<S: UdpSend + UdpReceive>(
    socket: S,
    server: &SocketAddr,
    about: UnixTime,
    random: u32,
) -> Result<Answer, Refusal> {
    let socket = Socket(Mutex::new(socket));
    // A clock that is wrong by up to 72 minutes: only differences are used, and nobody else knows
    // it.
    let context = NtpContext::new(Stamp::new(about.plus_micros(random.into())));
    let deadline = Instant::now().saturating_add(PATIENCE);
    let asked = with_deadline(deadline, sntp_send_request(*server, &socket, context)).await;
    let asked = asked.map_err(|_| Refusal::NotSent)??;
    let mut refusal = Refusal::Silent;
    // Bounded, so that a flood which never lets the socket run dry does not hold up the device.
    for _ in 0..STRAYS {
        let answer = sntp_process_response(*server, &socket, context, asked);
        let Ok(answer) = with_deadline(deadline, answer).await else {
            return Err(refusal);
        };
        match answer {
            Ok(result) => {
                let at = Instant::now();
                return read(&result, context.timestamp_gen.at(at), at);
            }
            // Anybody can send these, so they must not end the wait for the true one.
            Err(
                Error::IncorrectOriginTimestamp
                | Error::IncorrectPayload
                | Error::ResponseAddressMismatch,
            ) => refusal = Refusal::Mismatched,
            Err(error) => return Err(error.into()),
        }
    }
    Err(refusal)
}

/// Reads an answer that came at the instant `at`, when the asker's own clock showed `shown`.
fn read(result: &NtpResult, shown: UnixTime, at: Instant) -> Result<Answer, Refusal> {
    let time = shown.plus_micros(result.offset());
    let sent = i64::try_from(result.sec()).unwrap_or(i64::MAX);
    if time
        .micros_since(UnixTime::from_seconds(sent))
        .saturating_abs()
        > COHERENT
    {
        return Err(Refusal::Incoherent);
    }
    Ok(Answer {
        time,
        at,
        roundtrip: Duration::from_micros(result.roundtrip()),
    })
}

/// The asker's own clock.
#[derive(Clone, Copy)]
struct Stamp {
    /// What it showed at `start`.
    time: UnixTime,
    start: Instant,
    read: UnixTime,
}

impl Stamp {
    fn new(time: UnixTime) -> Self {
        let start = Instant::now();
        Self {
            time,
            start,
            read: time,
        }
    }

    fn at(&self, now: Instant) -> UnixTime {
        let passed = now.saturating_duration_since(self.start).as_micros();
        self.time
            .plus_micros(i64::try_from(passed).unwrap_or(i64::MAX))
    }
}

impl NtpTimestampGenerator for Stamp {
    fn init(&mut self) {
        self.read = self.at(Instant::now());
    }

    fn timestamp_sec(&self) -> u64 {
        u64::try_from(self.read.seconds()).unwrap_or(0)
    }

    fn timestamp_subsec_micros(&self) -> u32 {
        self.read.micros().rem_euclid(1_000_000) as u32
    }
}

/// edge-nal's socket as sntpc's.
struct Socket<S>(Mutex<NoopRawMutex, S>);

impl<S: UdpSend + UdpReceive> NtpUdpSocket for Socket<S> {
    async fn send_to(&self, bytes: &[u8], server: SocketAddr) -> sntpc::Result<usize> {
        let mut socket = self.0.lock().await;
        let sent = socket.send(server, bytes).await;
        sent.map_err(|_| Error::Network).map(|()| bytes.len())
    }

    async fn recv_from(&self, bytes: &mut [u8]) -> sntpc::Result<(usize, SocketAddr)> {
        let mut socket = self.0.lock().await;
        // Longer than the bare packet: servers may append what we do not read.
        let mut datagram = [0; 128];
        let received = socket.receive(&mut datagram).await;
        let (length, from) = received.map_err(|_| Error::Network)?;
        let read = datagram.get(..length).unwrap_or(&datagram);
        let count = read.len().min(bytes.len());
        bytes[..count].copy_from_slice(&read[..count]);
        Ok((count, from))
    }
}
