//! Packets built by hand and answers read by a decoder of the tests' own.

use std::collections::BTreeMap;
use std::vec::Vec;

use proptest::prelude::*;

use super::*;

const OWN: Ipv4Addr = Ipv4Addr::new(192, 168, 4, 1);

const DISCOVER: u8 = 1;
const OFFER: u8 = 2;
const REQUEST: u8 = 3;
const DECLINE: u8 = 4;
const ACK: u8 = 5;
const NAK: u8 = 6;
const RELEASE: u8 = 7;
const INFORM: u8 = 8;

/// A client's packet, as RFC 2131, figure 1 and RFC 2132 lay it out.
fn packet(client: u8, kind: u8, more: &[u8]) -> Vec<u8> {
    let mut bytes = std::vec![1, 1, 6, 0, 0xde, 0xad, 0xbe, client, 0, 3, 0, 0];
    bytes.extend_from_slice(&[0; 16]);
    bytes.extend_from_slice(&[2, 0, 0, 0, 0, client]);
    bytes.resize(236, 0);
    bytes.extend_from_slice(&[99, 130, 83, 99, 53, 1, kind]);
    bytes.extend_from_slice(more);
    bytes.push(255);
    bytes
}

/// What an answer says.
#[derive(Debug, PartialEq)]
struct Told {
    kind: u8,
    address: Ipv4Addr,
    options: BTreeMap<u8, Vec<u8>>,
    to: Ipv4Addr,
    bytes: Vec<u8>,
}

fn ask(lender: &mut Lender, bytes: &[u8], now: u64) -> Option<Told> {
    let mut buffer = [0; PACKET];
    buffer[..bytes.len()].copy_from_slice(bytes);
    let (length, to) = lender.reply(&mut buffer, bytes.len(), now)?;
    let bytes = buffer[..length].to_vec();
    assert_eq!(bytes[0], 2, "a reply");
    assert_eq!(bytes[236..240], [99, 130, 83, 99]);
    let mut options = BTreeMap::new();
    let mut at = 240;
    while bytes[at] != 255 {
        let end = at + 2 + usize::from(bytes[at + 1]);
        assert!(
            options
                .insert(bytes[at], bytes[at + 2..end].to_vec())
                .is_none()
        );
        at = end;
    }
    Some(Told {
        kind: options[&53][0],
        address: Ipv4Addr::new(bytes[16], bytes[17], bytes[18], bytes[19]),
        options,
        to,
        bytes,
    })
}

fn requested(address: Ipv4Addr) -> Vec<u8> {
    [&[50, 4][..], &address.octets(), &[54, 4, 192, 168, 4, 1]].concat()
}

fn join(lender: &mut Lender, client: u8, now: u64) -> Option<Ipv4Addr> {
    let offer = ask(lender, &packet(client, DISCOVER, &[]), now)?;
    assert_eq!(offer.kind, OFFER);
    let told = ask(
        lender,
        &packet(client, REQUEST, &requested(offer.address)),
        now,
    )?;
    assert_eq!((told.kind, told.address), (ACK, offer.address));
    Some(told.address)
}

#[test]
fn a_client_gets_an_address_and_everything_it_needs() {
    let mut lender = Lender::new(OWN);
    let offer = ask(&mut lender, &packet(7, DISCOVER, &[55, 2, 1, 3]), 0).unwrap();
    assert_eq!(
        (offer.kind, offer.address),
        (OFFER, Ipv4Addr::new(192, 168, 4, 100))
    );
    let told = ask(
        &mut lender,
        &packet(7, REQUEST, &requested(offer.address)),
        0,
    )
    .unwrap();
    assert_eq!((told.kind, told.address), (ACK, offer.address));
    for told in [&offer, &told] {
        assert_eq!(
            told.bytes[4..8],
            [0xde, 0xad, 0xbe, 7],
            "the same transaction"
        );
        assert_eq!(told.bytes[28..34], [2, 0, 0, 0, 0, 7], "the same client");
        assert_eq!(told.bytes.len(), 307);
        assert_eq!(told.to, Ipv4Addr::BROADCAST);
        let expected = BTreeMap::from([
            (1, std::vec![255, 255, 255, 0]),
            (3, std::vec![192, 168, 4, 1]),
            (6, std::vec![192, 168, 4, 1]),
            (51, 600_u32.to_be_bytes().to_vec()),
            (53, std::vec![told.kind]),
            (54, std::vec![192, 168, 4, 1]),
            (114, b"http://192.168.4.1/captive.json".to_vec()),
        ]);
        assert_eq!(told.options, expected);
    }
}

#[test]
fn a_client_keeps_its_address() {
    let mut lender = Lender::new(OWN);
    let first = join(&mut lender, 1, 0);
    assert_ne!(first, join(&mut lender, 2, 0));
    assert_eq!(first, join(&mut lender, 1, 300));
    let mut renewal = packet(1, REQUEST, &[]);
    renewal[12..16].copy_from_slice(&first.unwrap().octets());
    let told = ask(&mut lender, &renewal, 500).unwrap();
    assert_eq!(
        (told.kind, Some(told.address), Some(told.to)),
        (ACK, first, first)
    );
    renewal[10] = 0x80;
    let told = ask(&mut lender, &renewal, 500).unwrap();
    assert_eq!(
        told.bytes[10..16],
        [&[0x80, 0][..], &first.unwrap().octets()].concat()
    );
}

#[test]
fn an_address_that_is_in_use_elsewhere_is_left_alone_for_a_while() {
    let mut lender = Lender::new(OWN);
    let first = join(&mut lender, 1, 0).unwrap();
    assert_eq!(
        ask(&mut lender, &packet(1, DECLINE, &requested(first)), 0),
        None
    );
    assert_ne!(join(&mut lender, 1, 1), Some(first));
    assert_eq!(
        join(&mut lender, 2, 599),
        Some(Ipv4Addr::new(192, 168, 4, 102))
    );
    let wish = [&[50, 4][..], &first.octets()].concat();
    let offer = ask(&mut lender, &packet(3, DISCOVER, &wish), 600).unwrap();
    assert_eq!(offer.address, first);
}

#[test]
fn a_client_with_an_address_of_its_own_is_told_the_rest() {
    let mut lender = Lender::new(OWN);
    let mut inform = packet(1, INFORM, &[]);
    inform[12..16].copy_from_slice(&[192, 168, 4, 9]);
    let told = ask(&mut lender, &inform, 0).unwrap();
    assert_eq!((told.kind, told.to), (ACK, Ipv4Addr::new(192, 168, 4, 9)));
    assert_eq!(told.address, Ipv4Addr::UNSPECIFIED);
    assert!(told.options.contains_key(&114) && !told.options.contains_key(&51));
}

#[test]
fn eight_clients_are_served_and_a_ninth_when_one_is_gone() {
    let mut lender = Lender::new(OWN);
    for client in 1..=8 {
        let address = Ipv4Addr::new(192, 168, 4, 99 + client);
        assert_eq!(join(&mut lender, client, u64::from(client)), Some(address));
    }
    assert_eq!(join(&mut lender, 9, 10), None);
    assert_eq!(
        ask(
            &mut lender,
            &packet(3, RELEASE, &[54, 4, 192, 168, 4, 1]),
            10
        ),
        None
    );
    assert_eq!(
        join(&mut lender, 9, 10),
        Some(Ipv4Addr::new(192, 168, 4, 102))
    );
    assert_eq!(join(&mut lender, 10, 599), None);
    assert_eq!(
        join(&mut lender, 10, 602),
        Some(Ipv4Addr::new(192, 168, 4, 100))
    );
}

#[test]
fn an_address_of_elsewhere_or_of_another_client_is_refused() {
    let mut lender = Lender::new(OWN);
    let taken = join(&mut lender, 1, 0).unwrap();
    for address in [
        taken,
        OWN,
        Ipv4Addr::new(10, 0, 0, 5),
        Ipv4Addr::new(192, 168, 4, 108),
    ] {
        let mut asks = packet(2, REQUEST, &requested(address));
        asks[12..16].copy_from_slice(&[10, 0, 0, 5]);
        let told = ask(&mut lender, &asks, 0).unwrap();
        assert_eq!(
            (told.kind, told.to),
            (NAK, Ipv4Addr::BROADCAST),
            "{address}"
        );
    }
    let elsewhere = [&[50, 4, 192, 168, 4, 101][..], &[54, 4, 192, 168, 4, 9]].concat();
    assert_eq!(ask(&mut lender, &packet(2, REQUEST, &elsewhere), 0), None);
}

#[test]
fn options_that_do_not_matter_do_no_harm() {
    let odd: &[&[u8]] = &[
        &[12, 4, b'K', 0xf8, b'r', b'e'],
        &[61, 1, 9],
        &[0, 0, 0],
        &[57, 1, 2, 81, 0, 114, 2, 0xff, 0xfe],
    ];
    for more in odd {
        let told = ask(&mut Lender::new(OWN), &packet(1, DISCOVER, more), 0);
        assert_eq!(told.map(|told| told.kind), Some(OFFER), "{more:?}");
    }
    let mut endless = packet(1, DISCOVER, &[]);
    endless.pop();
    assert!(ask(&mut Lender::new(OWN), &endless, 0).is_some());
}

#[test]
fn what_is_no_clients_packet_gets_no_answer() {
    let good = packet(1, DISCOVER, &[]);
    let changed = |at: usize, byte: u8| {
        let mut bytes = good.clone();
        bytes[at] = byte;
        bytes
    };
    for bytes in [
        changed(0, 2),
        changed(2, 7),
        changed(24, 10),
        changed(236, 0),
        changed(241, 2),
        changed(242, 99),
        good[..239].to_vec(),
        good[..241].to_vec(),
        packet(1, DISCOVER, &[12, 200, 1]),
        packet(1, OFFER, &[]),
        Vec::new(),
    ] {
        assert_eq!(ask(&mut Lender::new(OWN), &bytes, 0), None, "{bytes:?}");
    }
}

#[test]
fn a_portal_inside_of_the_range_lends_another_one() {
    let mut lender = Lender::new(Ipv4Addr::new(10, 1, 2, 103));
    assert_eq!(join_any(&mut lender), Ipv4Addr::new(10, 1, 2, 50));
}

fn join_any(lender: &mut Lender) -> Ipv4Addr {
    ask(lender, &packet(1, DISCOVER, &[]), 0).unwrap().address
}

proptest! {
    #[test]
    fn no_packet_panics(
        packets in proptest::collection::vec(
            (any::<u8>(), 0_u8..10, proptest::collection::vec(any::<u8>(), 0..300)),
            0..40,
        ),
    ) {
        let mut lender = Lender::new(OWN);
        for (now, (client, kind, options)) in packets.iter().enumerate() {
            let mut buffer = [0; PACKET];
            let bytes = packet(*client, *kind, options);
            buffer[..bytes.len()].copy_from_slice(&bytes);
            let _ = lender.reply(&mut buffer, bytes.len(), now as u64 * 100);
        }
    }

    #[test]
    fn no_bytes_panic(bytes in proptest::collection::vec(any::<u8>(), 0..=PACKET)) {
        let mut buffer = [0; PACKET];
        buffer[..bytes.len()].copy_from_slice(&bytes);
        let _ = Lender::new(OWN).reply(&mut buffer, bytes.len(), 0);
    }
}
