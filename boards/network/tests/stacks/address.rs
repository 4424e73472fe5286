//! The station's address.

use std::net::Ipv4Addr;

use bluebell_network::Address;
use embassy_futures::select::select;
use embassy_net::ConfigV4;
use embassy_time::{Duration, Timer, with_timeout};

use crate::wire::{LONG, ROUTER, fixed, lend_addresses, run, station_and_router};

#[test]
fn an_address_is_lost_when_its_lease_is_not_renewed_any_more() {
    run(async |tasks| {
        let (station, router) = station_and_router(tasks);
        let mut address = Address::new(station);
        let stop = lend_addresses(tasks, router);
        assert_eq!(address.given().await.octets()[..3], ROUTER.octets()[..3]);
        let lost = with_timeout(LONG, address.lost()).await;
        assert!(lost.is_err(), "it was lost though the router renews it");
        stop.signal(());
        let lost = with_timeout(LONG, address.lost()).await;
        assert!(lost.is_ok(), "it is not lost though nobody renews it");
        let lost = with_timeout(LONG, address.lost()).await;
        assert!(lost.is_ok(), "the loss is not told again");
    });
}

#[test]
fn an_address_in_the_place_of_another_is_a_loss_too() {
    run(async |tasks| {
        let (station, _router) = station_and_router(tasks);
        let mut address = Address::new(station);
        let put = |last| {
            let config = fixed(Ipv4Addr::new(10, 0, 0, last));
            station.set_config_v4(config.ipv4);
        };
        put(7);
        assert_eq!(address.given().await, Ipv4Addr::new(10, 0, 0, 7));
        put(8);
        assert!(with_timeout(LONG, address.lost()).await.is_ok());
    });
}

#[test]
fn nothing_is_lost_before_an_address_was_given_nor_after_the_network_was_left() {
    run(async |tasks| {
        let (station, router) = station_and_router(tasks);
        let mut address = Address::new(station);
        assert!(with_timeout(LONG, address.lost()).await.is_err());
        lend_addresses(tasks, router);
        address.given().await;
        select(address.left(), async {
            Timer::after(Duration::from_millis(10)).await;
            station.set_config_v4(ConfigV4::None);
        })
        .await;
        assert!(with_timeout(LONG, address.lost()).await.is_err());
    });
}
