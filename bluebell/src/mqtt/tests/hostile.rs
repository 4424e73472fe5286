//! Brokers that send anything whatever.

use std::vec;
use std::vec::Vec;

use embassy_time::{Duration, Timer, with_timeout};
use proptest::prelude::*;

use super::broker::{Broker, Manner, play};
use super::device::settings;
use crate::mqtt::types::{QoS, State};

/// Bytes with the look of packets, so that some of them get far.
fn bytes() -> impl Strategy<Value = Vec<u8>> {
    let packet = (
        prop_oneof![
            Just(0x20u8),
            Just(0x30),
            Just(0x32),
            Just(0x34),
            Just(0x40),
            Just(0x50),
            Just(0x62),
            Just(0x70),
            Just(0x90),
            Just(0xD0),
            Just(0xE0),
            any::<u8>(),
        ],
        prop::collection::vec(
            prop_oneof![Just(0u8), Just(1), Just(b'a'), any::<u8>()],
            0..40,
        ),
        prop_oneof![9 => Just(0usize), 1 => 0usize..600],
    )
        .prop_map(|(first, body, more)| {
            let length = body.len() + more;
            let mut packet = vec![first, (length & 0x7F) as u8];
            if length > 127 {
                packet[1] |= 0x80;
                packet.push((length >> 7) as u8);
            }
            packet.extend(body);
            packet
        });
    prop::collection::vec(packet, 1..8).prop_map(|packets| packets.concat())
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(300))]
    #[test]
    fn the_client_survives_any_bytes_in_any_pieces_and_comes_back(
        bytes in bytes(),
        piece in 1usize..50,
        taken_in: bool,
    ) {
        let broker = Broker::new();
        broker.network.piece.set(piece);
        broker.peer.borrow_mut().bears_all = true;
        if !taken_in {
            broker.manner.set(Manner::Silent);
        }
        play(&broker, settings(&[("a", QoS::ExactlyOnce)]), async |mqtt, lines| {
            if taken_in {
                mqtt.online().await;
            } else {
                Timer::after(Duration::from_millis(100)).await;
            }
            broker.send(&bytes);
            // Whatever arrived as a message is handled, so that the inbox does not stay full.
            while with_timeout(Duration::from_secs(60), mqtt.receive()).await.is_ok() {}
            broker.hang_up();
            broker.manner.set(Manner::Good);
            mqtt.online().await;
            Timer::after(Duration::from_secs(60)).await;
            assert_eq!(mqtt.state(), State::Online);
            assert!(lines.borrow().len() < 40);
        });
    }
}
