//! One question to a time server and its answer (RFC 5905).
//!
//! Guarantees: an answer is taken from the server that was asked, to the question that was asked, in a form that makes
//! sense, and from a clock that is said to be right. Datagrams from elsewhere, and answers to another question, are
//! passed over rather than taken for the server's failure.

use core::cell::Cell;
use core::fmt;
use core::net::SocketAddr;
use core::ops::RangeInclusive;

use edge_nal::{UdpReceive, UdpSend};
use embassy_time::{Duration, Instant, with_timeout};

use crate::clock::UnixTime;

/// How long an answer may take.
const PATIENCE: Duration = Duration::from_secs(4);
/// How many datagrams that are no answer are passed over.
const STRAYS: usize = 32;
/// How long the way there and back may seem to take, or less than nothing, in microseconds.
const COHERENT: RangeInclusive<i32> = -5_000_000..=5_000_000;
/// The length of a packet without extensions, RFC 5905 section 7.3.
const PACKET: usize = 48;
/// The version that is spoken, and the modes of those who ask and who answer.
const VERSION: u8 = 4;
const CLIENT: u8 = 3;
const SERVER: u8 = 4;
/// The leap indicator and the first stratum of a clock that is not right.
const UNSYNCHRONISED: u8 = 3;
const NO_STRATUM: u8 = 16;
/// Half the delay and the dispersion that together make a server's time worthless, in units of 1/65,536 s: 16 s.
const WORTHLESS: u32 = 16 << 16;
/// Seconds from NTP's beginning to 1970.
const NTP: u32 = 2_208_988_800;

/// What time it was at an instant, by the server.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Answer {
    pub(super) time: UnixTime,
    pub(super) at: Instant,
    /// How long the way there and back took, in microseconds; below zero by what the clocks differ in speed.
    pub(super) roundtrip: i32,
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
    Denied(&'static str),
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
                    code
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

/// Asks `server` what time it is; `about` is within 68 years of it. Takes at most 4 s.
///
/// `nonce` is random: the server sends it back, and nothing else tells a true answer from a forged one.
pub(super) async fn exchange<S: UdpSend + UdpReceive>(
    mut socket: S,
    server: &SocketAddr,
    about: UnixTime,
    nonce: [u8; 8],
) -> Result<Answer, Refusal> {
    let refusal = Cell::new(Refusal::NotSent);
    let asking = async {
        let mut question = [0; PACKET];
        question[0] = VERSION << 3 | CLIENT;
        question[40..].copy_from_slice(&nonce);
        let asked = Instant::now();
        let sent = socket.send(*server, &question).await;
        sent.map_err(|_| Refusal::NotSent)?;
        refusal.set(Refusal::Silent);
        // Longer than the bare packet: servers may append what is not read.
        let mut datagram = [0; 128];
        // Bounded, so that a flood which never lets the socket run dry does not hold up the device.
        for _ in 0..STRAYS {
            let received = socket.receive(&mut datagram).await;
            let at = Instant::now();
            // Anybody can send others, so they must not end the wait for the true one; nor must one that is too long,
            // of which some sockets say that it could not be received.
            if let Ok((length, from)) = received
                && let Some(packet) = datagram.get(..length).unwrap_or(&datagram).first_chunk()
                && from == *server
                && packet[24..32] == nonce
            {
                return read(packet, about, asked, at);
            }
            refusal.set(Refusal::Mismatched);
        }
        Err(refusal.get())
    };
    let answer = with_timeout(PATIENCE, asking).await;
    answer.unwrap_or(Err(refusal.get()))
}

/// Reads the answer to what was asked at the instant `asked`, which came at `at`.
fn read(
    packet: &[u8; PACKET],
    about: UnixTime,
    asked: Instant,
    at: Instant,
) -> Result<Answer, Refusal> {
    let mut words = [0; PACKET / 4];
    for (word, bytes) in words.iter_mut().zip(packet.as_chunks().0) {
        *word = u32::from_be_bytes(*bytes);
    }
    let [
        head,
        delay,
        dispersion,
        name,
        set,
        set_part,
        ..,
        came,
        came_part,
        sent,
        sent_part,
    ] = words;
    let [form, stratum, ..] = head.to_be_bytes();
    let (leap, version, mode) = (form >> 6, form >> 3 & 7, form & 7);
    if mode != SERVER {
        return Err(Refusal::Malformed);
    }
    // Before the leap indicator, which says in these too that the clock is not right. Other codes have no meaning
    // between client and server, but stratum 0 is no stratum.
    if stratum == 0 {
        return Err(match &name.to_be_bytes() {
            b"RATE" => Refusal::TooOften,
            b"DENY" => Refusal::Denied("DENY"),
            b"RSTR" => Refusal::Denied("RSTR"),
            _ => Refusal::Unsynchronised,
        });
    }
    let distance = (delay / 2).saturating_add(dispersion);
    if leap == UNSYNCHRONISED || stratum >= NO_STRATUM || distance >= WORTHLESS {
        return Err(Refusal::Unsynchronised);
    }
    if !(1..=VERSION).contains(&version) || (sent, sent_part) == (0, 0) {
        return Err(Refusal::Malformed);
    }
    // Zero: it is not said when the clock was set.
    let since = timestamp(sent, sent_part).wrapping_sub(timestamp(set, set_part)) as i64;
    let sound = since >= 0 || (set, set_part) == (0, 0);
    let sent = moment(sent, sent_part, about);
    // What is left of the time that passed when the server's own is taken off.
    let passed = i64::try_from(at.saturating_duration_since(asked).as_micros()).unwrap_or(i64::MAX);
    let came = moment(came, came_part, about);
    let roundtrip = came.plus_micros(passed).micros_since(sent);
    match i32::try_from(roundtrip) {
        Ok(roundtrip) if sound && COHERENT.contains(&roundtrip) => Ok(Answer {
            time: sent.plus_micros((roundtrip / 2).into()),
            at,
            roundtrip,
        }),
        _ => Err(Refusal::Incoherent),
    }
}

fn timestamp(seconds: u32, part: u32) -> u64 {
    u64::from(seconds) << 32 | u64::from(part)
}

/// The moment of a timestamp: of all that it may be, which are 136 years apart, the one nearest to `about`.
fn moment(seconds: u32, part: u32, about: UnixTime) -> UnixTime {
    let about = about.seconds();
    let ahead = seconds.wrapping_sub((about as u32).wrapping_add(NTP)) as i32;
    let micros = (u64::from(part) * 1_000_000) >> 32;
    UnixTime::from_seconds(about).plus_micros(i64::from(ahead) * 1_000_000 + micros as i64)
}

#[cfg(test)]
mod tests;
