//! Answers of time servers: the clock is set by nothing but a sound answer to the very question, and a true answer
//! afterwards makes it right again.

use std::cell::Cell;

use bluebell::board::System;
use bluebell::clock::{Clock, Timezone, UnixTime};
use bluebell::log::Log;
use bluebell::sntp::{Sntp, TimeServer};
use embassy_futures::select::{Either, select};
use embassy_time::{Duration, Instant, Timer, with_timeout};
use sim::time::run_virtual;

use crate::datagrams::Udp;
use crate::wire::PEER;

/// When the firmware was built, and when the device was started, in seconds since 1970.
const BUILT: i64 = 1_795_000_000;
const STARTED: i64 = 1_800_000_000;
/// From 1900, where NTP begins, to 1970.
const ERA: i64 = 2_208_988_800;
const FIFTY_YEARS: i64 = 50 * 365 * 86_400;

/// Counts: were all questions the same, each would be answered by what was left of the one before.
struct Machine(Cell<u8>);

impl System for Machine {
    fn entropy(&self, bytes: &mut [u8]) {
        let drawn = self.0.get().wrapping_add(1);
        self.0.set(drawn);
        bytes.fill(drawn);
    }

    fn hardware_address(&self) -> [u8; 6] {
        [2, 0, 0, 0, 0, 1]
    }
}

/// Answers, each of a byte and up to 48 bytes of packet. Bits of the byte: 0 the question's time is put where it
/// belongs, 1 the server's times are true ones, 2 the first byte says that it is an answer, 3 nothing comes, 4 it is
/// followed by the next one at once.
pub(crate) fn run(input: &[u8]) {
    let mut buffer = [0; 512];
    let log = Log::new(&mut buffer);
    let network = Udp::new(0);
    let clock = Clock::new(Timezone::UTC);
    let sntp = Sntp::new(TimeServer::Address(PEER), UnixTime::from_seconds(BUILT));
    let hostile = async {
        let mut answers = input.chunks(49).take(24);
        loop {
            let question = question(&network).await;
            let mut sent = Vec::new();
            let mut more = true;
            while more && let Some((choice, packet)) = answers.next().and_then(<[u8]>::split_first)
            {
                more = choice & 16 != 0;
                let answer = answer(&question, *choice, packet);
                if choice & 8 == 0 {
                    network.say(answer.clone());
                    sent.push(answer);
                }
            }
            if sent.is_empty() && answers.len() == 0 {
                return question;
            }
            let before = clock.version();
            Timer::after(Duration::from_millis(1)).await;
            if clock.version() != before {
                is_believable(&clock, &question, &sent);
            }
        }
    };
    let all = async {
        let mut question = hostile.await;
        // However long the server wished to be left alone: a true answer makes the clock right.
        loop {
            let before = clock.version();
            network.say(answer(&question, 7, &[0, 1]));
            Timer::after(Duration::from_millis(1)).await;
            if clock.version() != before {
                break;
            }
            question = self::question(&network).await;
        }
        let now = Instant::now();
        let shown = clock.unix(now).expect("it was set").micros();
        assert!((shown - true_micros(now)).abs() < 1_000_000, "{shown}");
    };
    let machine = Machine(Cell::new(0x5A));
    match run_virtual(select(sntp.run(&network, &clock, &machine, &log), all)) {
        Either::First(never) => match never {},
        Either::Second(()) => {}
    }
}

/// Waits for the device's question, which comes within a day and a bit whatever the server said.
async fn question(network: &Udp) -> Vec<u8> {
    let asked = with_timeout(Duration::from_secs(2 * 86_400), network.spoken()).await;
    asked.expect("it asks again");
    let questions = network.heard();
    let [(to, question)] = &questions[..] else {
        panic!("one question at a time: {questions:?}");
    };
    assert_eq!((*to, question.len()), (PEER, 48));
    question.clone()
}

fn true_micros(now: Instant) -> i64 {
    STARTED * 1_000_000 + now.as_micros() as i64
}

fn answer(question: &[u8], choice: u8, packet: &[u8]) -> Vec<u8> {
    let mut answer = packet.to_vec();
    answer.resize(48.max(packet.len()), 0);
    if choice & 1 != 0 {
        answer[24..32].copy_from_slice(&question[40..48]);
    }
    if choice & 2 != 0 {
        let micros = true_micros(Instant::now());
        let seconds = (micros.div_euclid(1_000_000) + ERA) as u32;
        let fraction = ((micros.rem_euclid(1_000_000) << 32) / 1_000_000) as u32;
        for at in [16, 32, 40] {
            answer[at..at + 4].copy_from_slice(&seconds.to_be_bytes());
            answer[at + 4..at + 8].copy_from_slice(&fraction.to_be_bytes());
        }
    }
    if choice & 4 != 0 {
        answer[0] = 0x24;
    }
    answer
}

/// One of the answers says about the time that the clock shows, in the words of a server whose clock is right.
fn is_believable(clock: &Clock, question: &[u8], answers: &[Vec<u8>]) {
    let shown = clock.unix(Instant::now()).expect("it was set").seconds();
    assert!(
        (BUILT..=BUILT + FIFTY_YEARS + 1).contains(&shown),
        "set to {shown}"
    );
    let believable = answers.iter().any(|answer| {
        let (leap, mode) = (answer[0] >> 6, answer[0] & 7);
        let sent = u32::from_be_bytes(answer[40..44].try_into().expect("four bytes"));
        let apart = i64::from((sent.wrapping_sub((shown + ERA) as u32)).cast_signed());
        leap != 3
            && mode == 4
            && (1..=15).contains(&answer[1])
            && answer[24..32] == question[40..48]
            && apart.abs() <= 6
    });
    assert!(believable, "set to {shown} by none of {answers:x?}");
}
