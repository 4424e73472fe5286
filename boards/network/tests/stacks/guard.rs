//! Answers of DHCP servers that the stack would not survive.

use std::net::Ipv4Addr;

use bluebell_network::Address;
use embassy_net::udp::{PacketMetadata, UdpSocket};
use embassy_time::{Duration, with_timeout};

use crate::wire::{LONG, ROUTER, lend_addresses, run, station_and_strange_router};

/// An address that only a router leads to.
const FAR: Ipv4Addr = Ipv4Addr::new(9, 9, 9, 9);
/// Where a frame's parts are that has no IP options.
const SENDER: usize = 14 + 12;
const IP_CHECKSUM: usize = 14 + 10;
const UDP_CHECKSUM: usize = 14 + 20 + 6;

fn is_dhcp_answer(frame: &[u8]) -> bool {
    frame.get(14 + 20..14 + 24) == Some(&[0, 67, 0, 68])
}

/// The router of each answer is `router`.
fn with_router<const TOLD: u32>(frame: &mut [u8]) {
    let option = [&[3, 4][..], &ROUTER.octets()].concat();
    let found = frame.windows(6).position(|bytes| bytes == option);
    if let Some(at) = found.filter(|_| is_dhcp_answer(frame)) {
        frame[at + 2..at + 6].copy_from_slice(&TOLD.to_be_bytes());
        frame[UDP_CHECKSUM..UDP_CHECKSUM + 2].fill(0);
    }
}

/// Each answer comes from 0.0.0.0.
fn from_nobody(frame: &mut [u8]) {
    if is_dhcp_answer(frame) {
        let words = frame[SENDER..SENDER + 4].chunks(2);
        let sender: u32 = words
            .map(|word| u32::from(word[0]) << 8 | u32::from(word[1]))
            .sum();
        let checksum = u16::from_be_bytes([frame[IP_CHECKSUM], frame[IP_CHECKSUM + 1]]);
        let mut sum = u32::from(checksum) + sender;
        while sum > 0xFFFF {
            sum = (sum & 0xFFFF) + (sum >> 16);
        }
        frame[IP_CHECKSUM..IP_CHECKSUM + 2].copy_from_slice(&(sum as u16).to_be_bytes());
        frame[SENDER..SENDER + 4].fill(0);
        frame[UDP_CHECKSUM..UDP_CHECKSUM + 2].fill(0);
    }
}

#[test]
fn a_router_that_is_no_host_is_left_out_and_packets_for_elsewhere_harm_nobody() {
    const MULTICAST: u32 = 0xE000_0001;
    for change in [
        with_router::<0>,
        with_router::<MULTICAST>,
        with_router::<{ u32::MAX }>,
    ] {
        run(async |tasks| {
            let (station, router) = station_and_strange_router(tasks, change);
            lend_addresses(tasks, router);
            let mut address = Address::new(station);
            assert_eq!(address.given().await.octets()[..3], ROUTER.octets()[..3]);
            let config = station.config_v4().expect("there is an address");
            assert_eq!(config.gateway, None);
            let (mut receive, mut send) = ([0; 64], [0; 64]);
            let (mut received, mut sent) = ([PacketMetadata::EMPTY], [PacketMetadata::EMPTY]);
            let mut socket =
                UdpSocket::new(station, &mut received, &mut receive, &mut sent, &mut send);
            socket.bind(5000).expect("the port is free");
            // Nobody can say that it does not arrive; the stack has tried meanwhile.
            let _ = socket.send_to(b"far", (FAR, 53)).await;
            assert!(with_timeout(LONG, address.lost()).await.is_err());
        });
    }
}

#[test]
fn a_router_that_is_a_host_stays() {
    run(async |tasks| {
        let (station, router) = station_and_strange_router(tasks, |_| ());
        lend_addresses(tasks, router);
        Address::new(station).given().await;
        let config = station.config_v4().expect("there is an address");
        assert_eq!(config.gateway, Some(ROUTER));
    });
}

#[test]
fn an_answer_from_nobody_gives_no_address() {
    run(async |tasks| {
        let (station, router) = station_and_strange_router(tasks, from_nobody);
        lend_addresses(tasks, router);
        let mut address = Address::new(station);
        let given = with_timeout(Duration::from_secs(60), address.given()).await;
        assert!(given.is_err(), "{given:?}");
    });
}
