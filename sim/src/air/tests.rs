//! What a radio meets in the air.

use std::future::Future;
use std::net::Ipv4Addr;

use bluebell::board::{Radio, RadioError};
use bluebell::wifi::{AccessPoint, JoinFailure, JoinTarget, Password, Scan, Ssid};
use embassy_futures::join::join;
use embassy_futures::select::{Either, select};
use embassy_time::{Duration, Instant, Timer};

use super::*;
use crate::time::{run_real, run_virtual};

const ADDRESS: Ipv4Addr = Ipv4Addr::new(10, 0, 0, 2);

fn name(ssid: &str) -> Ssid {
    Ssid::new(ssid).unwrap()
}

fn radio(air: &Air) -> AirRadio {
    AirRadio::new(air, ADDRESS)
}

async fn join_with(radio: &mut AirRadio, ssid: &str, password: &str) -> Result<(), JoinFailure> {
    radio
        .join(&JoinTarget {
            ssid: &name(ssid),
            password: &Password::new(password).unwrap(),
            heard: None,
        })
        .await
}

async fn heard(radio: &mut AirRadio, scan: Scan<'_>) -> Vec<(String, u8, i8, Auth)> {
    let mut found = Vec::new();
    radio
        .scan(&scan, &mut |s| {
            found.push((s.ssid.to_string(), s.channel, s.rssi, s.auth));
        })
        .await
        .unwrap();
    found
}

async fn millis<T>(future: impl Future<Output = T>) -> (T, u64) {
    let begun = Instant::now();
    let output = future.await;
    // Thirteenths of the scan's time are rounded down.
    (output, begun.elapsed().as_millis().next_multiple_of(10))
}

async fn is_ready(future: impl Future) -> bool {
    matches!(select(future, async {}).await, Either::First(_))
}

#[test]
fn a_scan_takes_two_seconds_and_hears_what_shows_its_name() {
    let air = Air::new();
    air.add(Station::new("open"));
    air.add(Station {
        channel: 13,
        rssi: -80,
        ..Station::new("safe").with_password("12345678")
    });
    air.change(
        "hidden",
        &Change {
            hidden: Some(true),
            channel: Some(6),
            ..Change::default()
        },
    );
    air.change(
        "off",
        &Change {
            up: Some(false),
            ..Change::default()
        },
    );
    air.add(Station {
        ssid: vec![0xff],
        ..Station::new("")
    });
    run_virtual(async {
        let mut radio = radio(&air);
        let everything = millis(heard(&mut radio, Scan::default())).await;
        let expected = vec![
            ("open".into(), 1, -50, Auth::Open),
            ("safe".into(), 13, -80, Auth::Wpa2),
        ];
        assert_eq!(everything, (expected, 2000));
        let one = Scan {
            channel: Some(13),
            probe: None,
        };
        let (found, took) = millis(heard(&mut radio, one)).await;
        assert_eq!((found.len(), took), (1, 160));
        let ssid = name("hidden");
        let probe = Scan {
            channel: None,
            probe: Some(&ssid),
        };
        assert_eq!(
            heard(&mut radio, probe).await,
            [("hidden".into(), 6, -50, Auth::Open)]
        );
        let nowhere = Scan {
            channel: Some(14),
            probe: None,
        };
        assert!(radio.scan(&nowhere, &mut |_| ()).await.is_err());
    });
}

#[test]
fn joining_takes_a_moment_and_the_network_gives_an_address() {
    let air = Air::new();
    air.add(Station::new("home").with_password("12345678"));
    run_virtual(async {
        let mut radio = radio(&air);
        assert_eq!(radio.rssi(), None);
        let joined = millis(join_with(&mut radio, "home", "12345678")).await;
        assert_eq!(joined, (Ok(()), 300));
        assert_eq!(millis(radio.address()).await, (ADDRESS, 100));
        assert_eq!(radio.rssi(), Some(-50));
        radio.leave().await;
        assert_eq!(radio.rssi(), None);
    });
}

#[test]
fn who_does_not_get_in_is_told_why() {
    let air = Air::new();
    air.add(Station::new("home").with_password("12345678"));
    air.add(Station {
        refuses: true,
        ..Station::new("refuses")
    });
    air.add(Station {
        auth: Some(Auth::Enterprise),
        ..Station::new("office")
    });
    run_virtual(async {
        let mut radio = radio(&air);
        for (ssid, password, reason, took) in [
            ("nowhere", "12345678", JoinFailure::NotFound, 2000),
            ("home", "87654321", JoinFailure::WrongPassword, 300),
            ("home", "", JoinFailure::WrongPassword, 300),
            ("refuses", "", JoinFailure::Refused, 300),
            ("office", "12345678", JoinFailure::Refused, 300),
        ] {
            let result = millis(join_with(&mut radio, ssid, password)).await;
            assert_eq!(result, (Err(reason), took), "{ssid}");
        }
        let (ssid, password) = (name("home"), Password::new("12345678").unwrap());
        let elsewhere = JoinTarget {
            ssid: &ssid,
            password: &password,
            heard: Some(([1; 6], 7)),
        };
        let result = millis(radio.join(&elsewhere)).await;
        assert_eq!(result, (Err(JoinFailure::NotFound), 160));
    });
}

#[test]
fn a_network_without_dhcp_or_without_an_answer_keeps_one_waiting() {
    let air = Air::new();
    air.add(Station {
        dhcp: false,
        ..Station::new("no dhcp")
    });
    air.add(Station {
        mute: true,
        ..Station::new("mute")
    });
    run_virtual(async {
        let mut radio = radio(&air);
        join_with(&mut radio, "no dhcp", "").await.unwrap();
        let hour = || Timer::after_secs(3600);
        assert!(matches!(
            select(radio.address(), hour()).await,
            Either::Second(())
        ));
        air.edit_all(|station| station.dhcp = true);
        assert_eq!(radio.address().await, ADDRESS);
        let mute = join_with(&mut radio, "mute", "");
        assert!(matches!(select(mute, hour()).await, Either::Second(())));
    });
}

#[test]
fn a_network_is_lost_when_it_goes_even_when_nobody_is_listening() {
    type Act = fn(&Air);
    let acts: [(Act, bool); 7] = [
        (|air| air.switch("home", false), true),
        (
            |air| {
                air.switch("home", false);
                air.switch("home", true);
            },
            true,
        ),
        (
            |air| {
                air.change(
                    "home",
                    &Change {
                        channel: Some(9),
                        ..Change::default()
                    },
                )
            },
            true,
        ),
        (|air| air.remove("home"), true),
        (Air::disconnect_all, true),
        (
            |air| {
                air.change(
                    "home",
                    &Change {
                        password: Some("12345678".into()),
                        ..Change::default()
                    },
                )
            },
            false,
        ),
        (
            |air| {
                air.change(
                    "home",
                    &Change {
                        rssi: Some(-90),
                        hidden: Some(true),
                        ..Change::default()
                    },
                )
            },
            false,
        ),
    ];
    for (index, (act, lost)) in acts.into_iter().enumerate() {
        let air = Air::new();
        air.add(Station::new("home"));
        run_virtual(async {
            let mut radio = radio(&air);
            assert!(!is_ready(radio.lost()).await, "none was joined");
            join_with(&mut radio, "home", "").await.unwrap();
            assert!(!is_ready(radio.lost()).await);
            act(&air);
            assert_eq!(is_ready(radio.lost()).await, lost, "{index}");
            assert!(!is_ready(radio.lost()).await, "a loss is told once");
        });
        run_virtual(async {
            let air = Air::new();
            air.add(Station::new("home"));
            let mut radio = radio(&air);
            join_with(&mut radio, "home", "").await.unwrap();
            let later = async {
                Timer::after_secs(1).await;
                act(&air);
            };
            let wait = select(radio.lost(), Timer::after_secs(2));
            let (first, ()) = join(wait, later).await;
            assert_eq!(matches!(first, Either::First(())), lost, "{index}");
        });
    }
}

#[test]
fn the_preferred_access_point_of_a_name_is_taken_else_the_strongest() {
    let air = Air::new();
    for (last, rssi) in [(1, -80), (2, -40)] {
        air.add(Station {
            bssid: [last; 6],
            rssi,
            ..Station::new("mesh")
        });
    }
    run_virtual(async {
        let mut radio = radio(&air);
        let (ssid, password) = (name("mesh"), Password::default());
        for (bssid, rssi) in [([1; 6], -80), ([2; 6], -40), ([3; 6], -40)] {
            let heard = Some((bssid, 1));
            let target = JoinTarget {
                ssid: &ssid,
                password: &password,
                heard,
            };
            radio.join(&target).await.unwrap();
            assert_eq!(radio.rssi(), Some(rssi));
        }
    });
}

#[test]
fn others_see_the_devices_own_access_point_and_a_restart_loses_the_network() {
    let air = Air::new();
    air.add(Station::new("home"));
    for restarts in [false, true] {
        run_virtual(async {
            let radio = radio(&air);
            let mut radio = if restarts { radio.restarting() } else { radio };
            assert_eq!(radio.closing_restarts(), restarts);
            let antenna = radio.antenna();
            join_with(&mut radio, "home", "").await.unwrap();
            let settings = AccessPoint {
                ssid: &name("bluebell"),
                password: &Password::new("12345678").unwrap(),
                channel: 1,
            };
            radio.open_access_point(&settings).await.unwrap();
            assert_eq!(
                antenna.access_point(),
                Some(("bluebell".into(), "12345678".into()))
            );
            assert_eq!(is_ready(radio.lost()).await, restarts);
            radio.close_access_point().await;
            drop(radio);
            assert_eq!(antenna.access_point(), None);
            let operations: Vec<_> = antenna.history().into_iter().map(|(_, o)| o).collect();
            assert_eq!(
                operations,
                [
                    Operation::Join("home".into()),
                    Operation::Open,
                    Operation::Close
                ]
            );
        });
    }
}

#[test]
fn another_thread_can_change_the_air() {
    let air = Air::with_timing(Timing {
        scan: Duration::from_ticks(0),
        join: Duration::from_ticks(0),
        address: Duration::from_ticks(0),
        access_point: Duration::from_ticks(0),
    });
    air.add(Station::new("home"));
    run_real(async {
        let mut radio = radio(&air);
        join_with(&mut radio, "home", "").await.unwrap();
        let elsewhere = air.clone();
        let thread = std::thread::spawn(move || elsewhere.switch("home", false));
        radio.lost().await;
        thread.join().unwrap();
    });
}

#[test]
fn a_join_that_was_dropped_keeps_the_radio_from_scanning_until_it_leaves() {
    let air = Air::new();
    air.add(Station {
        mute: true,
        ..Station::new("mute")
    });
    run_virtual(async {
        let mut radio = radio(&air);
        let joined = join_with(&mut radio, "mute", "");
        let waited = select(joined, Timer::after(Duration::from_secs(5))).await;
        assert!(matches!(waited, Either::Second(())));
        let all = Scan {
            channel: None,
            probe: None,
        };
        assert_eq!(radio.scan(&all, &mut |_| {}).await, Err(RadioError));
        radio.leave().await;
        assert_eq!(heard(&mut radio, all).await.len(), 1);
    });
}
