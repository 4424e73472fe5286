//! The station's address.

use std::cell::Cell;
use std::net::Ipv4Addr;

use bluebell_network::Address;
use embassy_futures::select::select;
use embassy_net::ConfigV4;
use embassy_time::{Duration, Timer, with_timeout};

use crate::wire::{
    LONG, ROUTER, fixed, lend_addresses, run, station_and_router, station_and_strange_router,
};

/// How long the framework waits for an address.
const PATIENCE: Duration = Duration::from_secs(8);

thread_local! {
    /// How many of the router's IPv4 frames are lost from now on, of those after the next `.1`.
    static LOST: Cell<(u32, u32)> = const { Cell::new((0, 0)) };
}

/// A lost frame is of no known kind any more.
fn lossy(frame: &mut [u8]) {
    if frame[12..14] != [8, 0] {
        return;
    }
    match LOST.get() {
        (0, _) => {}
        (count, 0) => {
            frame[12..14].fill(0xff);
            LOST.set((count - 1, 0));
        }
        (count, after) => LOST.set((count, after - 1)),
    }
}

#[test]
fn what_a_dhcp_server_has_said_in_vain_is_asked_for_again_in_time() {
    // What it offers, twice because the stack asks twice when the link comes up; what it acknowledges.
    for lost in [(2, 0), (1, 1)] {
        run(async |tasks| {
            LOST.set(lost);
            let (station, router) = station_and_strange_router(tasks, lossy);
            lend_addresses(tasks, router);
            let mut address = Address::new(station);
            let given = with_timeout(PATIENCE, address.given()).await;
            assert!(given.is_ok(), "no address when {lost:?} are lost");
            assert_eq!(LOST.get().0, 0, "nothing was lost");
        });
    }
}

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
