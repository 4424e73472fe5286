//! A broker that goes, hangs and comes back, in virtual time.

use std::vec::Vec;

use embassy_futures::join::join;
use embassy_futures::select::select;
use embassy_time::{Duration, Instant, Timer};

use super::broker::{Broker, Manner, play};
use super::device::settings;
use super::network::Reach;
use crate::log::Level;
use crate::mqtt::types::{Delivery, QoS, State};

const FILTERS: &[(&str, QoS); 1] = &[("switch/#", QoS::ExactlyOnce)];

fn secs(seconds: u64) -> Duration {
    Duration::from_secs(seconds)
}

fn now() -> u64 {
    Instant::now().as_millis()
}

#[test]
fn a_broker_that_is_away_is_tried_briskly_and_then_rarely_and_the_log_stays_short() {
    let broker = Broker::new();
    broker.network.reach.set(Reach::Refused);
    let lines = play(&broker, settings(FILTERS), async |mqtt, _| {
        Timer::after(secs(3600)).await;
        assert_ne!(mqtt.state(), State::Online);
        broker.network.reach.set(Reach::Accepted);
        let began = now();
        mqtt.online().await;
        assert!(now() - began <= 60_000);
    });
    let attempts: Vec<u64> = broker
        .network
        .attempts
        .borrow()
        .iter()
        .map(|(at, _)| *at)
        .collect();
    let gaps: Vec<u64> = attempts.windows(2).map(|pair| pair[1] - pair[0]).collect();
    assert!(
        (400..=600).contains(&gaps[0]) && (800..=1200).contains(&gaps[1]),
        "{gaps:?}"
    );
    let brisk = attempts.iter().filter(|at| **at < 60_000).count();
    assert!((26..=40).contains(&brisk), "{brisk}");
    assert!(gaps.iter().all(|gap| *gap <= 60_000));
    assert!(
        gaps[brisk + 8..].iter().all(|gap| *gap >= 48_000),
        "{gaps:?}"
    );
    let lines = lines.borrow();
    let (last, outage) = lines.split_last().unwrap();
    assert!(outage.len() <= 60 && outage.len() >= 30, "{}", outage.len());
    assert!(outage.iter().all(|(_, level, line)| *level == Level::Warn && line.contains("nothing listens there")));
    assert!(last.2.contains("online"));
}

#[test]
fn after_a_short_outage_the_device_is_back_within_three_seconds() {
    for away in [1, 7, 20, 45, 58] {
        for reach in [Reach::Refused, Reach::Swallowed] {
            let broker = Broker::new();
            let lines = play(&broker, settings(FILTERS), async |mqtt, _| {
                mqtt.online().await;
                Timer::after(secs(100)).await;
                broker.network.reach.set(reach);
                broker.hang_up();
                mqtt.changed(State::Online).await;
                Timer::after(secs(away)).await;
                broker.network.reach.set(Reach::Accepted);
                let began = now();
                mqtt.online().await;
                assert!(now() - began <= 4400, "{}", now() - began);
                assert!(
                    reach == Reach::Swallowed || now() - began <= 2400,
                    "{}",
                    now() - began
                );
                Timer::after(secs(1)).await;
            });
            assert_eq!(broker.heard("online").len(), 2);
            assert_eq!(broker.heard("subscribe").len(), 2);
            assert_eq!(lines.borrow().len(), 3);
        }
    }
}

#[test]
fn a_broker_that_takes_connections_and_says_nothing_counts_as_away() {
    let broker = Broker::new();
    broker.manner.set(Manner::Silent);
    let lines = play(&broker, settings(FILTERS), async |mqtt, _| {
        Timer::after(secs(300)).await;
        broker.manner.set(Manner::Good);
        mqtt.online().await;
    });
    let attempts = broker.network.attempts.borrow();
    assert!(
        attempts
            .windows(2)
            .all(|pair| pair[1].0 - pair[0].0 <= 70_000)
    );
    assert!(attempts.iter().filter(|(at, _)| *at < 60_000).count() >= 10);
    let lines = lines.borrow();
    assert!(
        lines[0].2.contains("said nothing") && lines.len() <= 7,
        "{lines:?}"
    );
}

#[test]
fn a_broker_that_hangs_is_noticed_though_the_device_keeps_publishing() {
    for manner in [Manner::Silent, Manner::Hung] {
        let broker = Broker::new();
        broker.network.width.set(600);
        let lines = play(&broker, settings(FILTERS), async |mqtt, _| {
            mqtt.online().await;
            Timer::after(secs(20)).await;
            broker.manner.set(manner);
            let began = now();
            let publish = async {
                loop {
                    // When the broker reads no more this waits, and fails when the connection is given up.
                    let _ = mqtt.publish("a", &[0; 60], Delivery::AT_MOST_ONCE).await;
                    Timer::after(secs(1)).await;
                }
            };
            select(publish, mqtt.changed(State::Online)).await;
            assert!(now() - began <= 45_000, "{}", now() - began);
            assert!(now() - began >= 25_000);
        });
        assert!(lines.borrow()[1].2.contains("keep-alive"));
    }
}

#[test]
fn a_publish_that_waits_for_room_fails_when_the_connection_goes() {
    let broker = Broker::new();
    broker.network.width.set(300);
    play(&broker, settings(FILTERS), async |mqtt, _| {
        mqtt.online().await;
        broker.manner.set(Manner::Hung);
        let publish = async {
            while mqtt
                .publish("a", &[0; 100], Delivery::AT_MOST_ONCE)
                .await
                .is_ok()
            {}
            now()
        };
        let (failed, ()) = join(publish, async {
            Timer::after(secs(5)).await;
            broker.network.reach.set(Reach::Refused);
            broker.hang_up();
        })
        .await;
        assert_eq!(failed, now());
    });
}

#[test]
fn a_goodbye_of_the_broker_is_logged_with_its_reason() {
    let broker = Broker::new();
    let lines = play(&broker, settings(FILTERS), async |mqtt, _| {
        mqtt.online().await;
        Timer::after(secs(10)).await;
        broker.send(&[0xE0, 1, 0x8B]);
        mqtt.changed(State::Online).await;
        mqtt.online().await;
    });
    assert!(lines.borrow()[1].2.contains("shutting down"));
}

#[test]
fn two_devices_with_one_identifier_do_not_push_each_other_out_without_end() {
    let broker = Broker::new();
    let lines = play(&broker, settings(FILTERS), async |mqtt, _| {
        let meddle = async {
            loop {
                mqtt.online().await;
                Timer::after(secs(2)).await;
                broker.send(&[0xE0, 1, 0x8E]);
                mqtt.changed(State::Online).await;
            }
        };
        select(meddle, Timer::after(secs(3600))).await;
    });
    assert!(broker.network.attempts.borrow().len() < 150);
    assert!(lines.borrow()[1].2.contains("client_id"));
}
