//! The policy by itself: what an event leads to, and that nothing leads nowhere.

use std::vec::Vec;

use proptest::prelude::*;

use super::*;
use crate::wifi::{Auth, Password, StoredNetwork};

mod person;

const ADDRESS: Ipv4Addr = Ipv4Addr::new(10, 0, 0, 2);
const AFTER: Duration = Duration::from_secs(60);

fn name(ssid: &str) -> Ssid {
    Ssid::new(ssid).unwrap()
}

fn at(millis: u64) -> Instant {
    Instant::from_millis(millis)
}

fn place(channel: u8) -> Place {
    Place {
        bssid: [channel; 6],
        channel,
    }
}

fn sighting(ssid: &str, channel: u8, rssi: i8) -> Sighting {
    Sighting {
        ssid: name(ssid),
        bssid: [channel; 6],
        channel,
        rssi,
        auth: Auth::Wpa2,
    }
}

/// A policy that knows these networks, each proven and last seen on the channel of its number.
fn policy(known: &[&str]) -> Policy {
    let mut policy = Policy::new(at(0), AFTER, false);
    for (slot, ssid) in (0..).zip(known) {
        policy.known.set(
            slot,
            &StoredNetwork {
                ssid: name(ssid),
                password: Password::default(),
                proven: true,
                hidden: false,
                used: u32::from(slot) + 1,
                place: Some(place(slot + 1)),
            },
        );
    }
    policy
}

/// One step of a scenario: when, what happens, what the radio should be doing then.
type Row<'a> = (u64, Event<'a>, Task);

fn play(policy: &mut Policy, rows: &[Row<'_>]) {
    for (index, (millis, event, task)) in rows.iter().enumerate() {
        policy.handle(at(*millis), 200, *event);
        assert_eq!(policy.task(), *task, "row {index}: {event:?}");
    }
}

const FULL: Task = Task::Scan {
    channel: None,
    probe: None,
};

fn join(slot: u8, channel: u8) -> Task {
    Task::Join {
        who: Who::Known(slot),
        place: place(channel),
    }
}

#[test]
fn from_power_on_to_a_loss_and_back() {
    let mut policy = policy(&["a", "b"]);
    let (a, b) = (sighting("a", 1, -60), sighting("b", 2, -50));
    play(
        &mut policy,
        &[
            (0, Event::Started, FULL),
            (100, Event::Heard(&a), FULL),
            (200, Event::Heard(&b), FULL),
            (2000, Event::Scanned, join(1, 2)),
            (
                2100,
                Event::Joined(Err(JoinFailure::WrongPassword)),
                join(0, 1),
            ),
            (2400, Event::Joined(Ok(())), Task::Address),
            (2500, Event::Address(ADDRESS), Task::Watch),
            (99_000, Event::Lost, join(0, 1)),
            (99_150, Event::Joined(Err(JoinFailure::NotFound)), FULL),
            (101_150, Event::Scanned, Task::Rest),
            // The delay of half a second is over since the round took longer.
            (101_250, Event::Tick, join(0, 1)),
            (101_550, Event::Joined(Ok(())), Task::Address),
            (101_650, Event::Address(ADDRESS), Task::Watch),
        ],
    );
    assert_eq!(policy.state(), State::Online);
    assert_eq!(policy.ssid(), Some(&name("a")));
}

#[test]
fn an_access_point_that_was_joined_before_is_joined_as_soon_as_it_is_heard_elsewhere_however_weak()
{
    let mut policy = policy(&["a"]);
    let a = sighting("a", 1, -60);
    let other = sighting("a", 9, -85);
    let moved = Sighting {
        bssid: [1; 6],
        ..sighting("a", 11, -85)
    };
    let there = Task::Join {
        who: Who::Known(0),
        place: Place {
            bssid: [1; 6],
            channel: 11,
        },
    };
    play(
        &mut policy,
        &[
            (0, Event::Started, FULL),
            (100, Event::Heard(&a), FULL),
            (2000, Event::Scanned, join(0, 1)),
            (2300, Event::Joined(Ok(())), Task::Address),
            (2400, Event::Address(ADDRESS), Task::Watch),
            (99_000, Event::Lost, join(0, 1)),
            (99_150, Event::Joined(Err(JoinFailure::NotFound)), FULL),
            // In the first round the others are heard as well: one of them may be stronger.
            (99_200, Event::Heard(&other), FULL),
            (101_150, Event::Scanned, join(0, 9)),
            (
                101_300,
                Event::Joined(Err(JoinFailure::Refused)),
                Task::Rest,
            ),
            (101_400, Event::Tick, join(0, 1)),
        ],
    );
    policy.known.get_mut(0).unwrap().failure = None;
    play(
        &mut policy,
        &[
            (101_550, Event::Joined(Err(JoinFailure::NotFound)), FULL),
            (101_600, Event::Heard(&other), FULL),
            (102_000, Event::Heard(&moved), there),
        ],
    );
}

#[test]
fn a_network_that_has_gone_from_where_it_was_heard_is_looked_for_once_more_in_the_same_round() {
    let mut policy = policy(&["a", "b"]);
    let (a, b) = (sighting("a", 1, -50), sighting("b", 2, -60));
    let elsewhere = sighting("a", 6, -50);
    play(
        &mut policy,
        &[
            (0, Event::Started, FULL),
            (100, Event::Heard(&a), FULL),
            (200, Event::Heard(&b), FULL),
            (2000, Event::Scanned, join(0, 1)),
            // First those that were heard as well.
            (2150, Event::Joined(Err(JoinFailure::NotFound)), join(1, 2)),
            (2450, Event::Joined(Err(JoinFailure::Refused)), FULL),
            (3400, Event::Heard(&elsewhere), join(0, 6)),
            // Once: then the round is over.
            (3550, Event::Joined(Err(JoinFailure::NotFound)), FULL),
            (5550, Event::Scanned, Task::OpenAccessPoint { channel: 2 }),
        ],
    );
}

#[test]
fn an_open_access_point_under_the_name_of_a_network_with_a_password_is_not_joined() {
    let mut policy = policy(&["a", "b"]);
    policy.known.get_mut(0).unwrap().secured = true;
    let open = |ssid| Sighting {
        auth: Auth::Open,
        ..sighting(ssid, 3, -20)
    };
    let a = sighting("a", 9, -80);
    play(
        &mut policy,
        &[
            (0, Event::Started, FULL),
            (100, Event::Heard(&open("a")), FULL),
            (200, Event::Heard(&a), FULL),
            (2000, Event::Scanned, join(0, 9)),
            (
                2300,
                Event::Joined(Err(JoinFailure::Refused)),
                Task::OpenAccessPoint { channel: 2 },
            ),
        ],
    );
    // One that never had a password is.
    play(
        &mut self::policy(&["b"]),
        &[
            (0, Event::Started, FULL),
            (100, Event::Heard(&open("b")), FULL),
            (2000, Event::Scanned, join(0, 3)),
        ],
    );
}

#[test]
fn a_network_that_moves_within_a_scan_is_joined_where_it_was_heard_last() {
    let mut policy = policy(&["a"]);
    let before = sighting("a", 1, -50);
    let after = Sighting {
        channel: 11,
        rssi: -55,
        ..before.clone()
    };
    let there = Task::Join {
        who: Who::Known(0),
        place: Place::of(&after),
    };
    play(
        &mut policy,
        &[
            (0, Event::Started, FULL),
            (100, Event::Heard(&before), FULL),
            (1700, Event::Heard(&after), FULL),
            (2000, Event::Scanned, there),
        ],
    );
}

#[test]
fn what_does_not_answer_is_given_up_in_time() {
    let mut policy = policy(&["a"]);
    let a = sighting("a", 1, -60);
    play(
        &mut policy,
        &[
            (0, Event::Started, FULL),
            (100, Event::Heard(&a), FULL),
            (2000, Event::Scanned, join(0, 1)),
            (11_999, Event::Tick, join(0, 1)),
            (12_000, Event::Tick, Task::Leave),
        ],
    );
    let failure = policy.take_failure().unwrap();
    assert_eq!(
        (failure.reason, failure.again),
        (JoinFailure::TimedOut, false)
    );
    play(
        &mut policy,
        &[
            (14_000, Event::Tick, Task::OpenAccessPoint { channel: 1 }),
            (14_100, Event::AccessPoint(true), Task::Rest),
            (15_000, Event::Tick, join(0, 1)),
            (15_300, Event::Joined(Ok(())), Task::Address),
            (23_299, Event::Tick, Task::Address),
            (23_300, Event::Tick, Task::Leave),
        ],
    );
    assert_eq!(policy.take_failure().unwrap().reason, JoinFailure::NoDhcp);
}

#[test]
fn a_submission_goes_before_whatever_is_going_on() {
    let home = name("home");
    let submitted = Event::Submitted {
        ssid: &home,
        place: Some(place(7)),
    };
    let task = Task::Join {
        who: Who::Submitted,
        place: place(7),
    };
    let a = sighting("a", 1, -60);
    let lead: [Row<'_>; 5] = [
        (0, Event::Started, FULL),
        (100, Event::Heard(&a), FULL),
        (2000, Event::Scanned, join(0, 1)),
        (2300, Event::Joined(Ok(())), Task::Address),
        (2400, Event::Address(ADDRESS), Task::Watch),
    ];
    for length in 1..=lead.len() {
        let mut policy = policy(&["a"]);
        play(&mut policy, &lead[..length]);
        let turn = policy.turn();
        play(&mut policy, &[(2500, submitted, task)]);
        assert_ne!(policy.turn(), turn);
        assert_eq!(
            policy.submission(),
            (Some(&home), SubmissionState::Joining(JoinStep::Joining))
        );
        assert_eq!(policy.address(), None);
        play(&mut policy, &[(2800, Event::Joined(Ok(())), Task::Address)]);
        let waits_for_an_address = SubmissionState::Joining(JoinStep::Address);
        assert_eq!(policy.submission().1, waits_for_an_address);
        play(&mut policy, &[(2900, Event::Address(ADDRESS), Task::Watch)]);
        let due = policy.take_due().unwrap();
        assert!(due.by_person && due.proof.save && due.proof.slot == 1);
    }
}

#[test]
fn a_strong_network_that_fails_does_not_hide_a_weaker_one_that_works() {
    let mut policy = policy(&["weak", "strong"]);
    let (weak, strong) = (sighting("weak", 9, -75), sighting("strong", 4, -40));
    play(
        &mut policy,
        &[
            (0, Event::Started, FULL),
            (2000, Event::Scanned, Task::OpenAccessPoint { channel: 2 }),
            (2050, Event::AccessPoint(true), Task::Rest),
            // Rounds 1 to 3 only look where the networks were; round 4 scans.
            (3000, Event::Tick, join(1, 2)),
            (3100, Event::Joined(Err(JoinFailure::NotFound)), join(0, 1)),
            (3200, Event::Joined(Err(JoinFailure::NotFound)), Task::Rest),
        ],
    );
    let mut millis = 3200;
    while policy.task() != FULL {
        millis += 100;
        let event = match policy.task() {
            Task::Join { .. } => Event::Joined(Err(JoinFailure::NotFound)),
            _ => Event::Tick,
        };
        policy.handle(at(millis), 200, event);
        assert!(millis < 20_000);
    }
    play(
        &mut policy,
        &[
            (millis + 100, Event::Heard(&strong), join(1, 4)),
            (millis + 400, Event::Joined(Err(JoinFailure::Refused)), FULL),
            (millis + 500, Event::Heard(&strong), FULL),
            (millis + 900, Event::Heard(&weak), FULL),
            (millis + 2400, Event::Scanned, join(0, 9)),
        ],
    );
}

/// What a radio could answer, and what people could ask for, at any time.
#[derive(Debug, Clone)]
enum Anything {
    Answer(u8),
    Wrong(u8),
    Heard(u8, i8),
    Asked(u8),
    Wait(u32),
}

fn anything() -> impl Strategy<Value = Anything> {
    prop_oneof![
        6 => any::<u8>().prop_map(Anything::Answer),
        1 => any::<u8>().prop_map(Anything::Wrong),
        3 => (0..4_u8, -99..-20_i8).prop_map(|(which, rssi)| Anything::Heard(which, rssi)),
        2 => (0..6_u8).prop_map(Anything::Asked),
        4 => (0..100_000_u32).prop_map(Anything::Wait),
    ]
}

const NAMES: [&str; 4] = ["a", "b", "c", "unknown"];

/// A radio's answer to `task`.
fn answer(task: Task, value: u8) -> Event<'static> {
    match task {
        Task::Rest => Event::Tick,
        Task::OpenAccessPoint { .. } | Task::CloseAccessPoint => {
            Event::AccessPoint(!value.is_multiple_of(4))
        }
        Task::Scan { .. } if value.is_multiple_of(4) => Event::ScanFailed,
        Task::Scan { .. } => Event::Scanned,
        Task::Join { .. } => Event::Joined(match value % 6 {
            0 => Err(JoinFailure::WrongPassword),
            1 => Err(JoinFailure::NotFound),
            2 => Err(JoinFailure::Refused),
            _ => Ok(()),
        }),
        Task::Address => Event::Address(ADDRESS),
        Task::Leave => Event::Left,
        Task::Watch => Event::Lost,
    }
}

proptest! {
    #[test]
    fn nothing_that_happens_leads_nowhere(
        known in 0..4_usize,
        restarts: bool,
        happenings in prop::collection::vec((anything(), any::<u32>()), 1..300)
    ) {
        let mut policy = policy(&NAMES[..known.min(3)]);
        policy.restarts = restarts;
        let mut now = at(0);
        let mut random = 0;
        policy.handle(now, random, Event::Started);
        let names: Vec<_> = NAMES.iter().map(|ssid| name(ssid)).collect();
        let mut offline_since = Some(now);
        for (happening, number) in happenings {
            random = number;
            let heard;
            let event = match happening {
                Anything::Answer(value) => answer(policy.task(), value),
                Anything::Wrong(value) => match value % 5 {
                    0 => Event::Scanned,
                    4 => Event::ScanFailed,
                    1 => Event::Lost,
                    2 => Event::AccessPoint(true),
                    _ => Event::Joined(Ok(())),
                },
                Anything::Heard(which, rssi) => {
                    heard = sighting(NAMES[usize::from(which)], which + 5, rssi);
                    Event::Heard(&heard)
                }
                Anything::Asked(which) => match which {
                    0 => Event::Rescan,
                    1 => Event::OpenPortal,
                    2 => Event::RequestSeen,
                    3 => Event::OnlineServed,
                    _ => Event::Submitted {
                        ssid: &names[usize::from(which) % 4],
                        place: (which == 4).then_some(place(3)),
                    },
                },
                Anything::Wait(millis) => {
                    let until = now + Duration::from_millis(millis.into());
                    // The runner would come at every deadline in between.
                    while let Some(deadline) = policy.deadline().filter(|at| *at < until) {
                        now = now.max(deadline);
                        policy.handle(now, random, Event::Tick);
                    }
                    now = until;
                    Event::Tick
                }
            };
            policy.handle(now, random, event);
            policy.take_due();
            policy.take_failure();

            // It does not spin: after a few ticks at one moment, it waits for a later one.
            for _ in 0..8 {
                if policy.deadline().is_none_or(|deadline| deadline > now) {
                    break;
                }
                policy.handle(now, random, Event::Tick);
            }
            let deadline = policy.deadline();
            prop_assert!(deadline.is_none_or(|deadline| deadline > now), "{deadline:?} at {now:?}");
            // There is a way out of everything but a link that holds.
            let waits = matches!(policy.task(), Task::Watch);
            prop_assert!(waits || deadline.is_some(), "{:?}", policy.task());
            // The portal is wanted whenever the device was without a network for long enough.
            match (policy.address(), offline_since) {
                (Some(_), _) => offline_since = None,
                (None, None) => offline_since = Some(now),
                (None, Some(since)) if now >= since + AFTER => {
                    prop_assert!(policy.portal.is_wanted());
                }
                (None, Some(_)) => {}
            }
        }
    }
}
