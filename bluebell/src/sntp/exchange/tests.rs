use std::cell::Cell;

use embassy_futures::block_on;
use proptest::prelude::*;
use sim::time::run_virtual;
use sntpc::{Error, KissOfDeathCode, NtpContext, NtpTimestampGenerator, NtpUdpSocket};

use super::*;

const SERVER: SocketAddr =
    SocketAddr::new(std::net::IpAddr::V4(std::net::Ipv4Addr::LOCALHOST), 123);

/// A clock that another client has: what it shows when it is looked at first, and later.
#[derive(Clone, Copy)]
struct Scripted<'s> {
    now: UnixTime,
    next: &'s Cell<UnixTime>,
    then: UnixTime,
}

impl NtpTimestampGenerator for Scripted<'_> {
    fn init(&mut self) {
        self.now = self.next.replace(self.then);
    }

    fn timestamp_sec(&self) -> u64 {
        self.now.seconds() as u64
    }

    fn timestamp_subsec_micros(&self) -> u32 {
        self.now.micros().rem_euclid(1_000_000) as u32
    }
}

/// Answers with a packet, into which the question's time is put where it is to be sent back.
struct Answering {
    packet: Cell<[u8; PACKET]>,
}

impl NtpUdpSocket for Answering {
    async fn send_to(&self, bytes: &[u8], _: SocketAddr) -> sntpc::Result<usize> {
        let mut packet = self.packet.get();
        packet[24..32].copy_from_slice(&bytes[40..48]);
        self.packet.set(packet);
        Ok(bytes.len())
    }

    async fn recv_from(&self, bytes: &mut [u8]) -> sntpc::Result<(usize, SocketAddr)> {
        bytes.copy_from_slice(&self.packet.get());
        Ok((bytes.len(), SERVER))
    }
}

/// What `sntpc` takes a packet for: the time and how long the way took, in microseconds.
fn other(
    packet: [u8; PACKET],
    asked: UnixTime,
    passed: i64,
) -> Result<(UnixTime, u64), Option<Refusal>> {
    let then = asked.plus_micros(passed);
    let socket = Answering {
        packet: Cell::new(packet),
    };
    let clock = Scripted {
        now: asked,
        next: &Cell::new(asked),
        then,
    };
    let answer = sntpc::get_time(SERVER, &socket, NtpContext::new(clock));
    let result = block_on(answer).map_err(|error| match error {
        Error::KissOfDeath(KissOfDeathCode::Rate) => Some(Refusal::TooOften),
        Error::KissOfDeath(KissOfDeathCode::Deny) => Some(Refusal::Denied("DENY")),
        Error::KissOfDeath(KissOfDeathCode::Rstr) => Some(Refusal::Denied("RSTR")),
        Error::KissOfDeath(_) => Some(Refusal::Unsynchronised),
        // Of several faults either may be named.
        _ => None,
    })?;
    Ok((then.plus_micros(result.offset()), result.roundtrip()))
}

fn timestamps(packet: &mut [u8; PACKET], at: usize, time: UnixTime) {
    let seconds = (time.seconds() + i64::from(NTP)) as u32;
    let part = ((time.micros().rem_euclid(1_000_000) as u64) << 32) / 1_000_000;
    packet[at..at + 4].copy_from_slice(&seconds.to_be_bytes());
    packet[at + 4..at + 8].copy_from_slice(&(part as u32).to_be_bytes());
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(20_000))]

    #[test]
    fn an_answer_is_taken_refused_and_read_as_another_client_does(
        form in prop_oneof![4 => Just(0x24u8), 1 => any::<u8>()],
        stratum in prop_oneof![4 => Just(2u8), 1 => 0u8..=17, 1 => any::<u8>()],
        distance in prop_oneof![4 => Just([100u32, 100]), 1 => any::<[u32; 2]>(), 1 => [0u32..40 << 16, 0u32..32 << 16]],
        name in prop_oneof![Just(*b"RATE"), Just(*b"DENY"), Just(*b"RSTR"), Just(*b"INIT"), any::<[u8; 4]>()],
        set in prop_oneof![4 => (-1_000_000i64..10_000_000).prop_map(Some), 1 => Just(None)],
        // Round the end of the era too; what the asker takes for the time is off by up to 60 years.
        time in prop_oneof![1_600_000_000i64..1_900_000_000, 2_085_978_490i64..2_085_978_502],
        off in -30i64 * 31_557_600..60 * 31_557_600,
        part in 0i64..1_000_000,
        passed in 0i64..4_000_000,
        way in -1_000_000i64..4_000_000,
        held in prop_oneof![4 => 0i64..1_000_000, 1 => -7_000_000i64..7_000_000],
        silent in prop::bool::weighted(0.05),
    ) {
        let came = UnixTime::from_seconds(time).plus_micros(part);
        let sent = came.plus_micros(held);
        let asked = came.plus_micros(-way).plus_micros(off * 1_000_000);
        let mut packet = [0; PACKET];
        (packet[0], packet[1]) = (form, stratum);
        packet[4..8].copy_from_slice(&distance[0].to_be_bytes());
        packet[8..12].copy_from_slice(&distance[1].to_be_bytes());
        packet[12..16].copy_from_slice(&name);
        if let Some(set) = set {
            timestamps(&mut packet, 16, sent.plus_micros(-set));
        }
        timestamps(&mut packet, 32, came);
        if !silent {
            timestamps(&mut packet, 40, sent);
        }
        let start = Instant::from_ticks(1_000);
        let at = start.saturating_add(Duration::from_micros(passed as u64));
        let ours = read(&packet, asked, start, at);
        match other(packet, asked, passed) {
            Ok((time, roundtrip)) => match ours {
                Ok(answer) => {
                    prop_assert!(answer.time.micros_since(time).abs() <= 3, "{answer:?} {time:?}");
                    let way = u64::try_from(answer.roundtrip).unwrap_or(0);
                    prop_assert!(way.abs_diff(roundtrip) <= 3, "{answer:?} {roundtrip}");
                    prop_assert_eq!(answer.at, at);
                }
                // That one trusts a server which has held the answer for longer than was waited for it.
                Err(refusal) => {
                    prop_assert_eq!(refusal, Refusal::Incoherent);
                    prop_assert!((passed - held).abs() > 5_000_000 - 5);
                }
            },
            Err(kiss) => {
                prop_assert!(ours.is_err(), "{ours:?}");
                prop_assert!(kiss.is_none_or(|kiss| ours == Err(kiss)), "{ours:?} {kiss:?}");
            }
        }
    }
}

#[test]
fn a_time_is_the_one_nearest_to_what_is_known_in_whichever_era() {
    let turn = (1i64 << 32) - i64::from(NTP);
    for about in [0, 1_790_000_000, turn - 1, turn, turn + 40 * 31_557_600] {
        for ahead in [-60 * 31_557_600, -1, 0, 1, 60 * 31_557_600] {
            let seconds = about + ahead;
            let read = moment(
                (seconds + i64::from(NTP)) as u32,
                1 << 31,
                UnixTime::from_seconds(about),
            );
            assert_eq!(read, UnixTime::from_seconds(seconds).plus_micros(500_000));
        }
    }
}

/// A socket whose first datagrams are longer than the room they are read into, which embassy-net's refuses.
struct Flooded {
    question: [u8; PACKET],
    floods: usize,
}

impl edge_nal::io::ErrorType for Flooded {
    type Error = edge_nal::io::ErrorKind;
}

impl UdpSend for Flooded {
    async fn send(&mut self, _: SocketAddr, question: &[u8]) -> Result<(), Self::Error> {
        self.question.copy_from_slice(question);
        Ok(())
    }
}

impl UdpReceive for Flooded {
    async fn receive(&mut self, buffer: &mut [u8]) -> Result<(usize, SocketAddr), Self::Error> {
        if self.floods > 0 {
            self.floods -= 1;
            return Err(edge_nal::io::ErrorKind::Other);
        }
        let mut packet = [0; PACKET];
        (packet[0], packet[1]) = (0x24, 2);
        packet[24..32].copy_from_slice(&self.question[40..]);
        timestamps(&mut packet, 32, NOW);
        timestamps(&mut packet, 40, NOW);
        buffer[..PACKET].copy_from_slice(&packet);
        Ok((PACKET, SERVER))
    }
}

const NOW: UnixTime = UnixTime::from_seconds(1_790_000_000);

#[test]
fn datagrams_that_are_too_long_do_not_end_the_wait_for_the_answer() {
    for floods in [0, 1, STRAYS - 1, STRAYS] {
        let socket = Flooded {
            question: [0; PACKET],
            floods,
        };
        let answer = run_virtual(exchange(socket, &SERVER, NOW, [7; 8]));
        match answer {
            Ok(answer) => assert!(floods < STRAYS && answer.time == NOW, "{answer:?}"),
            Err(refusal) => assert_eq!((floods, refusal), (STRAYS, Refusal::Mismatched)),
        }
    }
}
