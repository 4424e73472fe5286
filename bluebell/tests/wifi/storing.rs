//! What is stored, and what survives.

use std::cell::Cell;

use bluebell::log::Log;
use bluebell::wifi::{Imported, Keep, MAX_NETWORKS, import};

use crate::world::{ADDRESS, GOOD, World, name, seconds, secret};

async fn take_in(world: &World, file: &str) -> Imported {
    let mut buffer = [0; 1024];
    import(file.as_bytes(), &world.keep, &Log::new(&mut buffer))
        .await
        .unwrap()
}

fn stored(networks: &[(&str, &str, bool)]) -> Vec<(String, String, bool)> {
    let mut networks: Vec<_> = networks
        .iter()
        .map(|(ssid, password, proven)| ((*ssid).into(), (*password).into(), *proven))
        .collect();
    networks.sort();
    networks
}

#[test]
fn names_and_passwords_come_back_byte_for_byte_after_a_power_cut() {
    for (ssid, password) in [
        ("with space ", " leading and trailing "),
        ("Zürich \"%41\" 😀", "géheim 100 %25 \\ \" 😀"),
        ("a", "%00&ssid=x+y"),
        ("12345678901234567890123456789012", ""),
        (
            "hex",
            "0123456789abcdef0123456789abcdef0123456789abcdef0123456789abcdef",
        ),
    ] {
        let world = World::new();
        world
            .air
            .add(sim::air::Station::new(ssid).with_password(password));
        sim::time::run_virtual(async {
            world
                .boot(async |device| {
                    seconds(3).await;
                    device.submit(ssid, password);
                    assert_eq!(device.result(1).await, Ok(ADDRESS), "{ssid}");
                })
                .await;
            world
                .boot(async |device| {
                    device.online(3).await;
                    assert_eq!(device.ssid().as_deref(), Some(ssid));
                })
                .await;
        });
        assert_eq!(world.keep.networks(), stored(&[(ssid, password, true)]));
    }
}

#[test]
fn a_submission_that_fails_displaces_nothing() {
    let world = World::with(&[("home", 6, -50)]).knows(&["home"]);
    world.air.switch("home", false);
    sim::time::run_virtual(async {
        world
            .boot(async |device| {
                device.portal(true, 3).await;
                device.air.switch("home", true);
                device.submit("home", "wrong password");
                assert!(device.result(3).await.is_err());
                device.online(5).await;
            })
            .await;
        world.boot(async |device| device.online(3).await).await;
    });
    assert_eq!(world.keep.networks(), stored(&[("home", GOOD, true)]));
}

#[test]
fn a_new_password_replaces_the_old_one_once_it_has_joined() {
    let world = World::with(&[("home", 6, -50)]).knows(&["other", "home"]);
    world
        .air
        .edit_all(|station| station.password = "the new one".into());
    world.run(async |device| {
        device.portal(true, 4).await;
        device.submit("home", "the new one");
        assert_eq!(device.result(1).await, Ok(ADDRESS));
    });
    let expected = stored(&[("home", "the new one", true), ("other", GOOD, true)]);
    assert_eq!(world.keep.networks(), expected);
}

#[test]
fn rejoining_the_same_network_writes_nothing() {
    let world = World::with(&[("home", 6, -50), ("other", 1, -60)]).knows(&["home"]);
    world.run(async |device| {
        for _ in 0..20 {
            device.online(9).await;
            seconds(20).await;
            device.air.switch("home", false);
            seconds(20).await;
            device.air.switch("home", true);
        }
    });
    assert_eq!(world.keep.writes.get(), 0);
}

#[test]
fn an_import_is_unproven_until_it_has_joined_and_displaces_no_proven_one_before() {
    let world = World::with(&[("home", 6, -50)]).knows(&["home"]);
    sim::time::run_virtual(async {
        let file = r#"{"home":"the new one","home 2":"12345678"}"#;
        let imported = take_in(&world, file).await;
        assert_eq!((imported.stored, imported.failed), (2, 0));
        // The old password is tried first, and still works.
        world.boot(async |device| device.online(3).await).await;
        let both = [
            ("home", GOOD, true),
            ("home", "the new one", false),
            ("home 2", "12345678", false),
        ];
        assert_eq!(world.keep.networks(), stored(&both));
        world
            .air
            .edit_all(|station| station.password = "the new one".into());
        world
            .boot(async |device| {
                device.online(4).await;
                assert!(!device.wifi.is_access_point_open());
                seconds(1).await;
            })
            .await;
    });
    let new = [("home", "the new one", true), ("home 2", "12345678", false)];
    assert_eq!(world.keep.networks(), stored(&new));
}

#[test]
fn importing_again_is_harmless() {
    let world = World::with(&[]).knows(&["home"]);
    sim::time::run_virtual(async {
        let file = format!(r#"{{"a":"12345678","home":"{GOOD}","a":"87654321","b":""}}"#);
        let first = take_in(&world, &file).await;
        assert_eq!((first.stored, first.known), (2, 1));
        let writes = world.keep.writes.get();
        let again = take_in(&world, &file).await;
        assert_eq!((again.stored, again.known), (0, 3));
        assert_eq!(world.keep.writes.get(), writes);
        let expected = [
            ("a", "87654321", false),
            ("b", "", false),
            ("home", GOOD, true),
        ];
        assert_eq!(world.keep.networks(), stored(&expected));
    });
}

#[test]
fn a_broken_file_imports_nothing() {
    let world = World::new();
    sim::time::run_virtual(async {
        let mut buffer = [0; 1024];
        let log = Log::new(&mut buffer);
        let file = br#"{"a":"12345678","b":"short"}"#;
        let error = import(file, &world.keep, &log).await.unwrap_err();
        assert_eq!((error.line, error.column), (1, 28));
    });
    assert_eq!(world.keep.networks(), []);
}

#[test]
fn an_import_that_finds_no_room_is_refused_and_one_that_fails_is_counted() {
    let world = World::new();
    for slot in 0..MAX_NETWORKS - 1 {
        world.remember(&format!("network {slot}"), GOOD, true);
    }
    sim::time::run_virtual(async {
        let imported = take_in(&world, r#"{"a":"","b":"","network 3":"another one"}"#).await;
        assert_eq!((imported.stored, imported.refused), (1, 2));
        world.keep.broken.set(true);
        let imported = take_in(&world, r#"{"a":"12345678"}"#).await;
        assert_eq!((imported.stored, imported.failed), (0, 1));
    });
    let networks = world.keep.networks();
    assert_eq!(networks.iter().filter(|(.., proven)| *proven).count(), 15);
}

#[test]
fn a_proven_network_finds_room_in_a_full_table() {
    let world = World::with(&[("new", 6, -50)]);
    world.remember("imported", GOOD, false);
    for slot in 1..MAX_NETWORKS {
        world.remember(&format!("network {slot}"), GOOD, true);
    }
    world.run(async |device| {
        device.portal(true, 9).await;
        device.submit("new", GOOD);
        assert_eq!(device.result(3).await, Ok(ADDRESS));
    });
    let networks = world.keep.networks();
    assert_eq!(networks.len(), MAX_NETWORKS);
    assert!(networks.iter().all(|(ssid, ..)| ssid != "imported"));
    assert!(networks.contains(&("new".into(), GOOD.into(), true)));
}

#[test]
fn a_store_that_cannot_write_does_not_keep_the_device_offline() {
    let world = World::with(&[("new", 6, -50), ("home", 1, -60)]).knows(&["home"]);
    world.air.switch("home", false);
    world.keep.broken.set(true);
    world.run(async |device| {
        device.portal(true, 3).await;
        device.submit("new", GOOD);
        assert_eq!(device.result(3).await, Ok(ADDRESS));
        device.air.switch("new", false);
        device.air.switch("home", true);
        device.offline(1).await;
        device.online(10).await;
        assert_eq!(device.ssid().as_deref(), Some("home"));
    });
    assert_eq!(world.keep.networks(), stored(&[("home", GOOD, true)]));
}

/// The device's store, with everything below it.
mod sealed {
    use bluebell::board::{FlashLayout, System};
    use bluebell::credentials::Vault;
    use bluebell::storage::{Store, StoreMemory};
    use bluebell::wifi::{Place, SealedNetworks, StoredNetwork};
    use embassy_futures::select::{Either, select};
    use sim::flash::Flash;

    use super::*;

    struct Machine(Cell<u8>);

    impl System for Machine {
        fn entropy(&self, bytes: &mut [u8]) {
            for byte in bytes {
                self.0.set(self.0.get().wrapping_mul(5).wrapping_add(3));
                *byte = self.0.get();
            }
        }

        fn hardware_address(&self) -> [u8; 6] {
            [2, 0, 0, 0, 0, 1]
        }
    }

    #[test]
    fn networks_are_sealed_in_the_store_and_come_back_after_a_power_cut() {
        let flash = Flash::new(10);
        let layout = FlashLayout {
            store: 0..0x4000,
            log: 0x4000..0x8000,
            outbox: 0x8000..0xa000,
        };
        let machine = Machine(Cell::new(1));
        let whole = StoredNetwork {
            ssid: name("Zürich \"%41\" 😀"),
            password: secret(&"p".repeat(63)),
            proven: true,
            hidden: true,
            used: 0x0102_0304,
            place: Some(Place {
                bssid: [1, 2, 3, 4, 5, 6],
                channel: 11,
            }),
        };
        let bare = StoredNetwork {
            ssid: name("12345678901234567890123456789012"),
            password: secret(""),
            proven: false,
            hidden: false,
            used: 0,
            place: None,
        };
        for boot in 0..2 {
            let mut memory = StoreMemory::<3584>::new();
            let store = Store::new(&mut memory);
            let mut buffer = [0; 1024];
            let log = Log::new(&mut buffer);
            let life = async {
                let vault = Vault::open(&store, &machine).await.unwrap();
                let keep = SealedNetworks::new(&store, &vault);
                if boot == 0 {
                    assert_eq!(keep.load(0).await, Ok(None));
                    keep.save(0, &whole).await.unwrap();
                    keep.save(15, &bare).await.unwrap();
                    keep.save(1, &whole).await.unwrap();
                    keep.forget(1).await.unwrap();
                }
                assert_eq!(keep.load(0).await.unwrap().as_ref(), Some(&whole));
                assert_eq!(keep.load(15).await.unwrap().as_ref(), Some(&bare));
                assert_eq!(keep.load(1).await, Ok(None));
            };
            let serve = store.serve(flash.clone(), &layout, &log);
            match sim::time::run_virtual(select(serve, life)) {
                Either::First(never) => match never {},
                Either::Second(()) => {}
            }
        }
        assert!(!flash.contains(&[b'p'; 16]));
    }
}
