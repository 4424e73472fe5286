//! Who is alive, and who is told so.

use std::string::ToString;
use std::vec;
use std::vec::Vec;

use embassy_time::Duration;
use mqtt_protocol_core::mqtt::packet as theirs;

use super::device::{Device, all_words};
use super::peer::Peer;
use crate::mqtt::reason::Failure;
use crate::mqtt::types::{Delivery, QoS};

#[test]
fn a_silent_broker_is_found_out_while_the_device_keeps_sending() {
    let (mut device, mut peer) = (Device::new(), Peer::new());
    device.come_online(&mut peer, false, vec![]);
    let mut asked = None;
    let mut seconds = 0;
    let failure = loop {
        device.keep("busy", Delivery::AT_LEAST_ONCE);
        let heard = peer.hear(&device.out());
        if asked.is_none() && all_words(&heard).contains(&"ping".to_string()) {
            asked = Some(seconds);
        }
        // The broker's answers never arrive.
        peer.out.clear();
        seconds += 1;
        if let Err(failure) = device.pass(1) {
            break failure;
        }
    };
    assert_eq!((failure, asked, seconds), (Failure::Dead, Some(30), 45));
}

#[test]
fn a_quiet_connection_is_kept_alive_and_any_byte_counts_as_life() {
    let (mut device, mut peer) = (Device::new(), Peer::new());
    device.come_online(&mut peer, false, vec![]);
    for _ in 0..5 {
        assert_eq!(
            device.session.deadline(),
            device.now + Duration::from_secs(30)
        );
        device.pass(29).unwrap();
        assert!(device.out().is_empty());
        device.pass(1).unwrap();
        assert_eq!(
            device.session.deadline(),
            device.now + Duration::from_secs(15)
        );
        assert_eq!(all_words(&device.talk(&mut peer)), ["ping"]);
    }
    // A byte of a packet that is still to come.
    device.pass(40).unwrap();
    device.hear(&[0x30]).unwrap();
    device.pass(40).unwrap();
    assert_eq!(device.pass(5), Err(Failure::Dead));
}

#[test]
fn a_device_that_only_listens_pings_for_the_brokers_sake() {
    let (mut device, mut peer) = (Device::new(), Peer::new());
    device.come_online(&mut peer, false, vec![]);
    let mut pings = Vec::new();
    for second in 1..=90 {
        peer.publish("switch/a", b"", QoS::AtMostOnce);
        device.pass(1).unwrap();
        if all_words(&device.talk(&mut peer)).contains(&"ping".to_string()) {
            pings.push(second);
        }
        device.take().unwrap();
    }
    assert_eq!(pings, [30, 60, 90]);
}

#[test]
fn the_brokers_keep_alive_takes_the_place_of_ours() {
    let (mut device, mut peer) = (Device::new(), Peer::new());
    let keep_alive = theirs::ServerKeepAlive::new(10).unwrap().into();
    device.come_online(&mut peer, false, vec![keep_alive]);
    device.pass(10).unwrap();
    peer.hear(&device.out());
    device.pass(4).unwrap();
    assert_eq!(device.pass(1), Err(Failure::Dead));
}

#[test]
fn while_the_device_does_not_read_the_broker_is_not_taken_for_dead_but_kept_awake() {
    let (mut device, mut peer) = (Device::new(), Peer::new());
    device.come_online(&mut peer, false, vec![]);
    device.session.pause();
    for _ in 0..4 {
        device.pass(30).unwrap();
        assert_eq!(all_words(&peer.hear(&device.out())), ["ping"]);
    }
    device.session.resume(device.now);
    device.pass(44).unwrap();
    assert_eq!(device.pass(1), Err(Failure::Dead));
}
