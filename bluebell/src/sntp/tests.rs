use std::cell::RefCell;
use std::net::Ipv4Addr;
use std::vec;
use std::vec::Vec;

use edge_nal::{UdpReceive, UdpSend};
use embassy_futures::select::{Either3, select3};
use proptest::prelude::*;
use sim::net::{Host, NameServer, Network};

use super::*;
use crate::clock::Timezone;

const SERVER: Ipv4Addr = Ipv4Addr::new(10, 0, 0, 1);
const DEVICE: Ipv4Addr = Ipv4Addr::new(10, 0, 0, 2);
const ADDRESS: TimeServer<'_> = TimeServer::Address(SocketAddr::new(IpAddr::V4(SERVER), PORT));
const BUILT: UnixTime = UnixTime::from_seconds(1_790_000_000);
/// When the tests' worlds begin: some months after the firmware was built.
const BEGIN: UnixTime = UnixTime::from_seconds(1_795_348_800);

struct Chance(RefCell<u64>);

impl System for Chance {
    fn entropy(&self, bytes: &mut [u8]) {
        for byte in bytes {
            let state = &mut *self.0.borrow_mut();
            *state = state
                .wrapping_mul(6_364_136_223_846_793_005)
                .wrapping_add(1);
            *byte = (*state >> 56) as u8;
        }
    }

    fn hardware_address(&self) -> [u8; 6] {
        [0; 6]
    }
}

struct World {
    network: Network,
    server: Host,
    device: Host,
    clock: Clock,
    chance: Chance,
    /// When questions came, in milliseconds.
    asked: RefCell<Vec<u64>>,
}

impl World {
    fn new() -> Self {
        let network = Network::new(1);
        Self {
            server: network.host(SERVER),
            device: network.host(DEVICE),
            network,
            clock: Clock::new(Timezone::UTC),
            chance: Chance(RefCell::new(1)),
            asked: RefCell::default(),
        }
    }

    /// Has the device ask for so long, and the server answer each question with what `answer` makes
    /// of it.
    async fn go_on(
        &self,
        sntp: &Sntp<'_>,
        time: Duration,
        answer: impl Fn([u8; 48]) -> Vec<Vec<u8>>,
    ) {
        let serve = async {
            let mut socket = self.server.bind(([0; 4], PORT).into()).await.unwrap();
            loop {
                let mut question = [0; 48];
                let (length, from) = socket.receive(&mut question).await.unwrap();
                assert_eq!(length, 48);
                self.asked.borrow_mut().push(Instant::now().as_millis());
                for datagram in answer(question) {
                    socket.send(from, &datagram).await.unwrap();
                }
            }
        };
        let mut buffer = [0; 2_048];
        let log = Log::new(&mut buffer);
        let ask = sntp.run(&self.device, &self.clock, &self.chance, &log);
        let never: Either3<(), _, _> = select3(Timer::after(time), ask, serve).await;
        assert!(matches!(never, Either3::First(())));
    }

    /// How far the clock is off, in microseconds.
    fn off(&self, begin: UnixTime) -> Option<i64> {
        let now = Instant::now();
        let truth = begin.plus_micros(now.as_micros() as i64);
        Some(self.clock.unix(now)?.micros_since(truth))
    }
}

fn world(test: impl AsyncFnOnce(World)) {
    sim::time::run_virtual(test(World::new()));
}

fn secs(seconds: u64) -> Duration {
    Duration::from_secs(seconds)
}

/// NTP's form of a moment, RFC 5905 section 6.
fn timestamp(time: UnixTime) -> [u8; 8] {
    let seconds = time.seconds() + 2_208_988_800;
    let fraction = ((time.micros().rem_euclid(1_000_000) as u64) << 32) / 1_000_000;
    (((seconds as u64) << 32) | fraction).to_be_bytes()
}

/// What a good server, whose world began at `begin`, answers.
fn good(question: [u8; 48], begin: UnixTime) -> Vec<u8> {
    let now = begin.plus_micros(Instant::now().as_micros() as i64);
    let mut answer = vec![0x24, 2, 6, 0xec, 0, 0, 0, 100, 0, 0, 0, 100, 10, 0, 0, 9];
    answer.extend(timestamp(now.plus_micros(-20_000_000)));
    answer.extend(&question[40..48]);
    answer.extend(timestamp(now));
    answer.extend(timestamp(now));
    answer
}

#[test]
fn the_clock_is_set_at_once_and_to_the_millisecond() {
    world(async |world| {
        world.network.set_latency(Duration::from_millis(80));
        let sntp = Sntp::new(ADDRESS, BUILT);
        world
            .go_on(&sntp, secs(1), |question| vec![good(question, BEGIN)])
            .await;
        assert!(world.off(BEGIN).unwrap().abs() < 1_000);
        assert_eq!(world.asked.into_inner(), [80]);
    });
}

#[test]
fn a_name_is_resolved_and_an_address_is_taken_as_it_is() {
    for host in ["time.example", "10.0.0.1"] {
        world(async |world| {
            world.network.name("time.example", SERVER);
            let sntp = Sntp::new(TimeServer::Host(host), BUILT);
            world
                .go_on(&sntp, secs(1), |question| vec![good(question, BEGIN)])
                .await;
            assert!(world.clock.is_set(), "{host}");
        });
    }
}

#[test]
fn the_clock_is_compared_each_hour_and_drift_is_corrected() {
    world(async |world| {
        let sntp = Sntp::new(ADDRESS, BUILT);
        world
            .go_on(&sntp, secs(24 * 3_600), |question| {
                vec![good(question, BEGIN)]
            })
            .await;
        let asked = world.asked.borrow().clone();
        assert!((22..=26).contains(&asked.len()), "{asked:?}");
        let gaps: Vec<u64> = asked.windows(2).map(|pair| pair[1] - pair[0]).collect();
        assert!(
            gaps.iter().all(|gap| (3_239_000..3_962_000).contains(gap)),
            "{gaps:?}"
        );
        assert!(
            gaps.windows(2).any(|pair| pair[0] != pair[1]),
            "not in step"
        );
        let drifted = BEGIN.plus_micros(-750_000);
        world
            .go_on(&sntp, secs(4_000), |question| vec![good(question, drifted)])
            .await;
        assert!(world.off(drifted).unwrap().abs() < 1_000);
    });
}

#[test]
fn a_silent_server_is_asked_at_growing_and_bounded_distances_until_it_answers() {
    world(async |world| {
        let sntp = Sntp::new(ADDRESS, BUILT);
        world.go_on(&sntp, secs(7_200), |_| vec![]).await;
        let asked = world.asked.borrow().clone();
        let gaps: Vec<u64> = asked.windows(2).map(|pair| pair[1] - pair[0]).collect();
        // 4 s of patience and 2, 4, 8 ... 600 s, give or take a tenth.
        for (gap, wait) in gaps
            .iter()
            .zip([2, 4, 8, 16, 32, 64, 128, 256, 512, 600, 600])
        {
            let wait = wait * 1_000;
            assert!(
                (4_000 + wait - wait / 10..=4_000 + wait + wait / 10).contains(gap),
                "{gaps:?}"
            );
        }
        assert!(gaps.len() >= 16, "{gaps:?}");
        assert!(!world.clock.is_set());
        world
            .go_on(&sntp, secs(1), |question| vec![good(question, BEGIN)])
            .await;
        assert!(
            world.off(BEGIN).unwrap().abs() < 1_000,
            "a new link: at once"
        );
    });
}

#[test]
fn a_name_server_that_is_away_is_no_end() {
    world(async |world| {
        world.network.name("time.example", SERVER);
        world.network.set_name_server(NameServer::Away);
        let sntp = Sntp::new(TimeServer::Host("time.example"), BUILT);
        let answer = |question| vec![good(question, BEGIN)];
        world.go_on(&sntp, secs(60), answer).await;
        assert_eq!(sntp.told.get(), Some(Refusal::NotResolved));
        world.network.set_name_server(NameServer::Answers);
        world.go_on(&sntp, secs(60), answer).await;
        assert!(world.clock.is_set());
        assert_eq!(sntp.told.get(), None);
    });
}

#[test]
fn an_answer_that_cannot_be_trusted_is_refused() {
    type Spoil = fn(&mut Vec<u8>);
    let spoilt: [(&str, Spoil, Refusal); 14] = [
        ("leap 3", |a| a[0] |= 0xc0, Refusal::Unsynchronised),
        ("stratum 16", |a| a[1] = 16, Refusal::Unsynchronised),
        ("root delay", |a| a[5] = 0xff, Refusal::Unsynchronised),
        (
            "a kiss",
            |a| (a[1], a[12..16].copy_from_slice(b"INIT")).1,
            Refusal::Unsynchronised,
        ),
        ("mode 3", |a| a[0] = 0x23, Refusal::Malformed),
        ("mode 5", |a| a[0] = 0x25, Refusal::Malformed),
        ("version 7", |a| a[0] = 0x3c, Refusal::Malformed),
        ("no time", |a| a[40..48].fill(0), Refusal::Malformed),
        ("cut short", |a| a.truncate(47), Refusal::Mismatched),
        ("empty", |a| a.clear(), Refusal::Mismatched),
        ("another question", |a| a[31] ^= 1, Refusal::Mismatched),
        ("no question", |a| a[24..32].fill(0), Refusal::Mismatched),
        ("set in the future", |a| a[16] = 0xff, Refusal::Incoherent),
        (
            "received a minute off",
            |a| a[35] = a[35].wrapping_sub(60),
            Refusal::Incoherent,
        ),
    ];
    for (name, spoil, refusal) in spoilt {
        world(async |world| {
            let sntp = Sntp::new(ADDRESS, BUILT);
            let answer = |question| {
                let mut answer = good(question, BEGIN);
                if name == "a kiss" {
                    answer[1] = 0;
                }
                spoil(&mut answer);
                vec![answer]
            };
            world.go_on(&sntp, secs(5), answer).await;
            assert_eq!(sntp.told.get(), Some(refusal), "{name}");
            assert!(!world.clock.is_set(), "{name}");
        });
    }
}

#[test]
fn a_time_before_the_firmware_was_built_or_half_a_century_after_is_refused() {
    for (seconds, taken) in [
        (0, false),
        (915_148_800, false),
        (BUILT.seconds() - 10, false),
        (BUILT.seconds() + 10, true),
        (BUILT.seconds() + 49 * 31_557_600, true),
        (BUILT.seconds() + 51 * 31_557_600, false),
    ] {
        world(async |world| {
            let begin = UnixTime::from_seconds(seconds);
            let sntp = Sntp::new(ADDRESS, BUILT);
            world
                .go_on(&sntp, secs(1), |question| vec![good(question, begin)])
                .await;
            assert_eq!(world.clock.is_set(), taken, "{begin}");
            let refused = matches!(sntp.told.get(), Some(Refusal::Absurd(_)));
            assert_eq!(refused, !taken, "{begin}");
        });
    }
}

#[test]
fn the_end_of_the_era_in_2036_makes_no_difference() {
    let turn = 2_085_978_496;
    for built in [1_790_000_000, turn - 100, turn + 1_000_000] {
        for ahead in [-20, -1, 0, 1, 1_000, 5_000_000] {
            let begin = UnixTime::from_seconds(turn + ahead);
            if begin.seconds() < built {
                continue;
            }
            world(async |world| {
                let sntp = Sntp::new(ADDRESS, UnixTime::from_seconds(built));
                let answer = |question| vec![good(question, begin)];
                world.go_on(&sntp, secs(10_000), answer).await;
                assert!(world.off(begin).unwrap().abs() < 1_000, "{built} {ahead}");
                assert_eq!(sntp.told.get(), None);
            });
        }
    }
}

#[test]
fn strangers_and_strays_do_not_keep_the_true_answer_from_being_heard() {
    world(async |world| {
        let stranger = world.network.host(Ipv4Addr::new(10, 0, 0, 66));
        let flood = async {
            let mut socket = stranger.bind(([0; 4], PORT).into()).await.unwrap();
            // The device's port is the first that its host gives out.
            loop {
                for port in 49_152..49_160 {
                    let target = SocketAddr::new(IpAddr::V4(DEVICE), port);
                    socket.send(target, &[0x24; 48]).await.unwrap();
                }
                Timer::after(Duration::from_millis(30)).await;
            }
        };
        world.network.set_latency(Duration::from_millis(50));
        let sntp = Sntp::new(ADDRESS, BUILT);
        let ask = world.go_on(&sntp, secs(1), |question| {
            let mut wrong = good(question, BEGIN);
            wrong[24..32].fill(7);
            vec![wrong.clone(), vec![0; 3], wrong, good(question, BEGIN)]
        });
        let either = embassy_futures::select::select(ask, flood);
        either.await;
        assert!(world.off(BEGIN).unwrap().abs() < 1_000);
    });
}

#[test]
fn a_server_that_wishes_to_be_left_alone_is_even_when_the_link_comes_and_goes() {
    for (code, rest) in [(b"RATE", 1_800), (b"DENY", 86_400), (b"RSTR", 86_400)] {
        world(async |world| {
            let sntp = Sntp::new(ADDRESS, BUILT);
            let kiss = |question| {
                let mut answer = good(question, BEGIN);
                answer[0] |= 0xc0;
                answer[1] = 0;
                answer[12..16].copy_from_slice(code);
                vec![answer]
            };
            for _ in 0..10 {
                world.go_on(&sntp, secs(rest / 12), kiss).await;
            }
            assert_eq!(world.asked.borrow().len(), 1, "{code:?}");
            world.go_on(&sntp, secs(rest / 2), kiss).await;
            assert_eq!(world.asked.borrow().len(), 2, "{code:?}");
            assert!(!world.clock.is_set());
        });
    }
}

#[test]
fn a_link_that_comes_and_goes_does_not_make_a_nuisance_of_the_device() {
    world(async |world| {
        let sntp = Sntp::new(ADDRESS, BUILT);
        for _ in 0..60 {
            let answer = |question| vec![good(question, BEGIN)];
            world.go_on(&sntp, secs(10), answer).await;
        }
        let asked = world.asked.borrow().len();
        assert!((5..=10).contains(&asked), "{asked} in ten minutes");
    });
}

#[test]
fn delays_grow_to_their_bound_and_spread_by_a_tenth() {
    assert_eq!(retry(0), secs(2));
    assert_eq!(retry(8), secs(512));
    for failures in [9, 31, 32, 1_000, u32::MAX] {
        assert_eq!(retry(failures), LONGEST_RETRY);
    }
    assert_eq!(spread(secs(100), 0), secs(90));
    assert_eq!(spread(secs(100), 1 << 15), secs(100));
    assert!(spread(secs(86_400), u16::MAX) < secs(95_040));
    assert!(spread(secs(100), u16::MAX) < secs(110));
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(2_000))]

    /// With the right question in it, so that it gets as far as can be.
    #[test]
    fn no_answer_makes_the_device_panic_or_leaves_what_it_believes(
        mut answer in prop::collection::vec(any::<u8>(), 48..60),
        frame in any::<bool>(),
        built in prop_oneof![Just(0), Just(1_790_000_000), Just(i64::MAX / 4_000_000)],
    ) {
        world(async |world| {
            let earliest = UnixTime::from_seconds(built);
            let sntp = Sntp::new(ADDRESS, earliest);
            let reply = |question: [u8; 48]| {
                if frame {
                    answer[..16].copy_from_slice(&good(question, BEGIN)[..16]);
                    answer[16..24].fill(0);
                }
                answer[24..32].copy_from_slice(&question[40..48]);
                vec![answer.clone()]
            };
            let reply = RefCell::new(reply);
            world.go_on(&sntp, secs(1), |question| (reply.borrow_mut())(question)).await;
            if let Some(time) = world.clock.unix(Instant::now()) {
                let age = time.micros_since(earliest);
                assert!((0..=CREDIBLE + 1_000_000).contains(&age));
            }
        });
    }
}
