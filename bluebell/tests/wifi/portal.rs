//! The access point, and the person on it.

use bluebell::wifi::{JoinFailure, JoinStep, State, SubmissionState};
use embassy_time::{Instant, Timer};
use sim::air::{Change, Operation, Station};

use crate::world::{ADDRESS, GOOD, World, seconds};

fn is_scan(operation: &Operation) -> bool {
    matches!(operation, Operation::Scan { .. })
}

#[test]
fn without_a_stored_network_the_portal_opens_at_once_with_the_scan_beside_it() {
    let world = World::with(&[("home", 6, -50)]);
    world.run(async |device| {
        let took = device.portal(true, 1).await;
        assert!(took <= 100, "{took}");
        assert_eq!(device.state(), State::Portal);
        assert_eq!(
            device.antenna.access_point(),
            Some(("bluebell".into(), "access point".into()))
        );
        Timer::after_millis(2100).await;
        assert_eq!(device.networks(), [("home".into(), -50)]);
        // Whoever comes much later finds a list that is not old.
        device.air.add(Station::new("new"));
        seconds(300).await;
        assert_eq!(device.networks().len(), 2);
        assert!(device.wifi.is_access_point_open());
    });
}

#[test]
fn when_no_known_network_is_heard_in_one_round_the_portal_opens() {
    let world = World::with(&[("foreign", 6, -50)]).knows(&["home", "office"]);
    world.run(async |device| {
        let took = device.portal(true, 3).await;
        assert!((2000..2200).contains(&took), "{took}");
    });
}

#[test]
fn after_a_loss_the_portal_opens_when_portal_after_has_passed() {
    let world = World::with(&[("home", 6, -50)]).knows(&["home"]);
    world.run(async |device| {
        device.online(3).await;
        seconds(100).await;
        device.air.switch("home", false);
        device.offline(1).await;
        assert_eq!(device.state(), State::Joining);
        let took = device.portal(true, 61).await;
        assert!((59_900..60_300).contains(&took), "{took}");
        assert_eq!(device.state(), State::Portal);
    });
}

#[test]
fn a_person_gets_a_device_online_and_the_portal_closes_ten_seconds_after_the_page_knows() {
    let world = World::with(&[("home", 6, -50)]);
    world.run(async |device| {
        seconds(5).await;
        device.wifi.request_seen();
        device.submit("home", GOOD);
        assert_eq!(device.result(1).await, Ok(ADDRESS));
        assert_eq!(device.state(), State::Online);
        assert_eq!(world.keep.networks(), [("home".into(), GOOD.into(), true)]);
        seconds(4).await;
        device.wifi.online_served();
        seconds(4).await;
        device.wifi.online_served();
        let took = device.portal(false, 20).await;
        assert!((5900..6300).contains(&took), "{took}");
        assert_eq!(device.state(), State::Online);
    });
}

#[test]
fn a_portal_that_nobody_looks_at_closes_twenty_seconds_after_joining() {
    let world = World::with(&[("home", 6, -50)]);
    world.run(async |device| {
        seconds(5).await;
        device.submit("home", GOOD);
        assert_eq!(device.result(1).await, Ok(ADDRESS));
        let took = device.portal(false, 30).await;
        assert!((19_900..20_300).contains(&took), "{took}");
    });
}

#[test]
fn a_wrong_password_is_told_and_the_right_one_then_works() {
    let world = World::with(&[("home", 6, -50)]);
    world.run(async |device| {
        seconds(3).await;
        device.submit("home", "wrong password");
        assert_eq!(device.result(1).await, Err(JoinFailure::WrongPassword));
        assert_eq!(device.wifi.submission().ssid.unwrap().as_str(), "home");
        assert!(device.wifi.is_access_point_open());
        assert_eq!(world.keep.networks(), []);
        seconds(30).await;
        assert_eq!(
            device.wifi.submission().state,
            SubmissionState::Failed(JoinFailure::WrongPassword),
            "the result stays to be read"
        );
        device.submit("home", GOOD);
        assert_eq!(device.result(1).await, Ok(ADDRESS));
    });
}

#[test]
fn the_newest_submission_replaces_a_running_one() {
    let world = World::with(&[("mute", 1, -30), ("home", 6, -50)]);
    world
        .air
        .edit_all(|station| station.mute = station.ssid == b"mute");
    world.run(async |device| {
        seconds(3).await;
        device.submit("mute", GOOD);
        seconds(1).await;
        device.submit("home", GOOD);
        assert_eq!(device.wifi.submission().ssid.unwrap().as_str(), "home");
        assert_eq!(device.result(1).await, Ok(ADDRESS));
        assert_eq!(device.ssid().as_deref(), Some("home"));
    });
    assert_eq!(world.keep.networks(), [("home".into(), GOOD.into(), true)]);
}

#[test]
fn a_submission_goes_before_an_attempt_in_the_background() {
    let world = World::with(&[("mute", 1, -30), ("home", 6, -50)]).knows(&["mute"]);
    world
        .air
        .edit_all(|station| station.mute = station.ssid == b"mute");
    world.run(async |device| {
        device.portal(true, 13).await;
        device
            .until("busy", 10, |device| {
                let last = device.antenna.history().pop();
                last.is_some_and(|(_, o)| o == Operation::Join("mute".into()))
            })
            .await;
        device.submit("home", GOOD);
        assert_eq!(device.result(1).await, Ok(ADDRESS));
    });
}

#[test]
fn a_network_that_is_not_listed_is_asked_for_by_its_name() {
    let world = World::with(&[("hidden", 6, -50)]);
    world.air.change(
        "hidden",
        &Change {
            hidden: Some(true),
            ..Change::default()
        },
    );
    world.run(async |device| {
        seconds(3).await;
        assert_eq!(device.networks(), []);
        device.submit("hidden", GOOD);
        assert_eq!(device.result(3).await, Ok(ADDRESS));
        seconds(60).await;
        device.submit("nowhere", GOOD);
        assert_eq!(device.result(3).await, Err(JoinFailure::NotFound));
    });
}

#[test]
fn a_network_that_has_moved_since_it_was_listed_is_joined() {
    let world = World::with(&[("home", 6, -50)]);
    world.run(async |device| {
        seconds(3).await;
        device.air.change(
            "home",
            &Change {
                channel: Some(13),
                ..Change::default()
            },
        );
        device.submit("home", GOOD);
        assert_eq!(device.result(3).await, Ok(ADDRESS));
    });
    let stored = world.keep.slots.borrow()[0].clone().unwrap();
    assert_eq!(stored.place.unwrap().channel, 13);
}

#[test]
fn a_submission_that_fails_brings_an_online_device_back_to_its_network() {
    let world = World::with(&[("home", 6, -80), ("other", 1, -30)]).knows(&["home"]);
    world.run(async |device| {
        device.online(3).await;
        device.wifi.open_portal();
        device.portal(true, 1).await;
        for _ in 0..3 {
            seconds(2).await;
            device.wifi.request_seen();
            device.submit("other", "wrong password");
            assert_eq!(device.result(1).await, Err(JoinFailure::WrongPassword));
            device.online(1).await;
            assert_eq!(device.ssid().as_deref(), Some("home"));
        }
        seconds(200).await;
        assert!(device.wifi.is_access_point_open(), "it was asked for");
        device.portal(false, 101).await;
    });
    assert_eq!(world.keep.networks(), [("home".into(), GOOD.into(), true)]);
}

#[test]
fn a_known_network_is_retried_while_somebody_is_on_the_access_point() {
    let world = World::with(&[("home", 6, -50)]).knows(&["home"]);
    world.air.switch("home", false);
    world.run(async |device| {
        device.portal(true, 3).await;
        for second in 0..200 {
            if second == 150 {
                device.air.switch("home", true);
            }
            device.wifi.request_seen();
            seconds(1).await;
            if device.state() == State::Online {
                assert!(second >= 150);
                return;
            }
        }
        panic!("the device sat in its portal");
    });
}

#[test]
fn scans_pause_for_a_minute_after_the_last_request_of_a_phone() {
    let world = World::with(&[("foreign", 6, -50)]).knows(&["home"]);
    world.run(async |device| {
        device.portal(true, 3).await;
        seconds(10).await;
        for _ in 0..20 {
            device.wifi.request_seen();
            seconds(5).await;
        }
        let begun = device.antenna.history();
        let quiet = Instant::now();
        let before = begun.iter().rfind(|(_, operation)| is_scan(operation));
        assert!(before.unwrap().0.as_secs() <= 15, "{before:?}");
        seconds(54).await;
        assert!(!device.done_since(quiet).iter().any(is_scan));
        seconds(2).await;
        assert!(device.done_since(quiet).iter().any(is_scan));
    });
}

#[test]
fn with_a_phone_there_for_long_the_channels_are_scanned_one_at_a_time() {
    let world = World::with(&[("foreign", 6, -50)]).knows(&["away"]);
    world.air.switch("moved in", false);
    world.remember("moved in", "", false);
    world.run(async |device| {
        device.portal(true, 13).await;
        seconds(5).await;
        device.wifi.request_seen();
        // What was going on when the phone came is finished.
        seconds(5).await;
        device.air.switch("moved in", true);
        let there = Instant::now();
        for _ in 0..420 {
            if device.state() == State::Online {
                break;
            }
            device.wifi.request_seen();
            seconds(1).await;
        }
        assert_eq!(device.ssid().as_deref(), Some("moved in"));
        let channels: Vec<_> = device
            .done_since(there)
            .into_iter()
            .filter_map(|operation| match operation {
                Operation::Scan { channel, .. } => Some(channel),
                _ => None,
            })
            .collect();
        assert_eq!(channels, (1..=13).map(Some).collect::<Vec<_>>());
    });
}

#[test]
fn a_person_gets_a_fresh_list_while_the_access_point_stays_on_its_channel_in_between() {
    let world = World::with(&[("old", 6, -50)]);
    world.run(async |device| {
        seconds(5).await;
        device.air.remove("old");
        device.air.add(Station {
            channel: 13,
            ..Station::new("new")
        });
        device.wifi.request_seen();
        device.wifi.rescan();
        let asked = Instant::now();
        device
            .until("fresh", 3, |device| {
                device.networks() == [("new".into(), -50)]
            })
            .await;
        let done = device.done_since(asked);
        assert_eq!(done.len(), 13);
        assert!(done.iter().all(|operation| {
            matches!(
                operation,
                Operation::Scan {
                    channel: Some(_),
                    ..
                }
            )
        }));
    });
}

#[test]
fn an_online_device_scans_for_the_list_and_stays_online() {
    let world = World::with(&[("home", 6, -50)]).knows(&["home"]);
    world.run(async |device| {
        device.online(3).await;
        device.air.add(Station::new("new"));
        device.wifi.rescan();
        seconds(3).await;
        assert_eq!(device.networks().len(), 2);
        assert_eq!(device.state(), State::Online);
        device.wifi.rescan();
        seconds(1).await;
        device.air.switch("home", false);
        let took = device.offline(1).await;
        assert!(took <= 250, "a loss is noticed meanwhile: {took}");
    });
}

#[test]
fn on_demand_the_portal_opens_and_closes_after_five_minutes_without_a_request() {
    let world = World::with(&[("home", 6, -50)]).knows(&["home"]);
    world.run(async |device| {
        device.online(3).await;
        device.wifi.open_portal();
        device.portal(true, 1).await;
        assert_eq!(device.state(), State::Online);
        seconds(200).await;
        device.wifi.request_seen();
        let took = device.portal(false, 400).await;
        assert!((299_000..301_000).contains(&took), "{took}");
        assert_eq!(device.state(), State::Online);
    });
}

#[test]
fn a_radio_that_restarts_with_the_access_point_does_not_lose_the_link() {
    let mut world = World::with(&[("home", 6, -50)]);
    world.restarts = true;
    world.run(async |device| {
        seconds(3).await;
        device.submit("home", GOOD);
        assert_eq!(device.result(1).await, Ok(ADDRESS));
        assert_eq!(device.state(), State::Online);
        assert_eq!(device.wifi.link(), None, "connections would not last");
        device.wifi.online_served();
        let up = device.wifi.link_up().await;
        assert_eq!(up, ADDRESS);
        assert!(!device.wifi.is_access_point_open());
        let link_held = async {
            device.wifi.link_down().await;
            panic!("closing the access point counts as a loss");
        };
        let life = async {
            seconds(5).await;
            let joins = device.antenna.history();
            let joins = joins
                .iter()
                .filter(|(_, o)| *o == Operation::Join("home".into()));
            assert_eq!(joins.count(), 2, "it was joined again");
            device.wifi.open_portal();
            device.portal(true, 1).await;
            seconds(5).await;
            assert_eq!(device.state(), State::Online);
            device.portal(false, 310).await;
            seconds(5).await;
        };
        embassy_futures::select::select(link_held, life).await;
        // The network is away when the radio comes back: that is a loss.
        device.wifi.open_portal();
        device.air.switch("home", false);
        device.wifi.link_down().await;
        device.air.switch("home", true);
        device.online(4).await;
    });
}

#[test]
fn a_join_tells_what_it_waits_for_until_the_network_is_stored() {
    let world = World::with(&[("home", 6, -50)]);
    world.run(async |device| {
        seconds(3).await;
        device.submit("home", GOOD);
        let mut steps = Vec::new();
        loop {
            let changed = device.wifi.changed();
            let state = device.wifi.submission().state;
            if steps.last() != Some(&state) {
                steps.push(state);
            }
            if state == SubmissionState::Online(ADDRESS) {
                break;
            }
            changed.await;
        }
        let expected = [
            SubmissionState::Joining(JoinStep::Joining),
            SubmissionState::Joining(JoinStep::Address),
            SubmissionState::Joining(JoinStep::Saving),
            SubmissionState::Online(ADDRESS),
        ];
        assert_eq!(steps, expected);
    });
}
