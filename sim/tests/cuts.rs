//! Power cuts at every call that writes flash, of whole devices: while a configuration and a `wifi.json` are
//! taken in, while a network is joined and stored, at first boot. And a store that is full.

use std::convert::Infallible;

use bluebell::device::Device;
use bluebell::log::Log;
use bluebell::storage::{Key, Store, StoreMemory};
use embassy_futures::select::select;
use embassy_time::{Duration, Timer};
use sim::air::Station;
use sim::board::{SimBoard, SimDevice, World};
use sim::flash::{Flash, Operation};
use sim::time::run_virtual;

const HOUR: Duration = Duration::from_secs(3_600);
const CONFIG: &str = "[device]\nname = \"lamp\"\n[mqtt]\nheartbeat = 0\n";
const OLD: &str = "[device]\rname = \"desk\"\r[mqtt]\ruser = \"me\"\rpassword = \"hunter22\"";
const NEW: &str =
    "[device]\rname = \"shelf\"\r[mqtt]\ruser = \"me\"\rpassword = \"swordfish\"\rheartbeat = 0";

fn secs(seconds: u64) -> Duration {
    Duration::from_secs(seconds)
}

/// Runs a story about a device with this flash, which is switched on for as long as the story lasts.
fn story<T>(flash: &Flash, told: impl AsyncFn(&SimDevice<'_>) -> T) -> T {
    story_with(None, flash, told)
}

/// The same, at a broker that asks for this password.
fn story_with<T>(
    password: Option<&str>,
    flash: &Flash,
    told: impl AsyncFn(&SimDevice<'_>) -> T,
) -> T {
    run_virtual(async {
        let world = World::new(3);
        if let Some(password) = password {
            world.broker.require_login("me", password);
        }
        world
            .air
            .add(Station::new("Home").with_password("correct horse"));
        let mut device = world.device();
        device.flash = flash.clone();
        let app = async |device: Device<'_, SimBoard>| -> Infallible { device.run().await };
        let told = async {
            let life = device.run(CONFIG, app);
            match select(life, told(&device)).await {
                embassy_futures::select::Either::First(()) => unreachable!("nobody cuts it"),
                embassy_futures::select::Either::Second(told) => told,
            }
        };
        world.run(HOUR, told).await
    })
}

/// An erased chip.
fn chip() -> Flash {
    let sectors = SimDevice::layout().outbox.end as usize / sim::flash::SECTOR;
    Flash::new(sectors)
}

async fn ask(device: &SimDevice<'_>, line: &str) {
    let answer = device.ask(line).await;
    assert!(answer.ends_with("\nok\n"), "{answer}");
}

/// A device that is set up, at home.
fn at_home() -> Flash {
    let flash = chip();
    story(&flash, async |device| {
        Timer::after(secs(1)).await;
        ask(device, "join Home \"correct horse\"").await;
        ask(device, &format!("put config\r{OLD}\r.")).await;
    });
    story(&flash, async |_| Timer::after(secs(10)).await);
    flash
}

/// Lives through `change` with a cut at each of its calls, and a second one at some calls of the boot after it;
/// then `sound` looks at the device.
fn cut_everywhere(
    flash: &Flash,
    password: Option<&str>,
    change: impl AsyncFn(&SimDevice<'_>),
    sound: impl AsyncFn(&SimDevice<'_>, &str),
) {
    let rehearsal = Flash::from_image(flash.image());
    rehearsal.start_trace();
    story(&rehearsal, async |device| change(device).await);
    let trace = rehearsal.trace();
    assert!(trace.len() > 3, "{trace:?}");
    for (index, operation) in trace.iter().enumerate() {
        for words in tears(*operation) {
            for again in [None, Some(0), Some(1), Some(2), Some(4)] {
                let flash = Flash::from_image(flash.image());
                flash.cut_power(index as u64, words);
                story(&flash, async |device| {
                    select(change(device), until_dead(&flash)).await;
                });
                flash.revive();
                if let Some(operations) = again {
                    flash.cut_power(operations, words);
                    story(&flash, async |_| {
                        select(until_dead(&flash), Timer::after(secs(10))).await;
                    });
                    flash.revive();
                }
                let place = format!("cut {index} at {words}, then at {again:?}");
                story_with(password, &flash, async |device| sound(device, &place).await);
            }
        }
    }
}

fn tears(operation: Operation) -> [usize; 3] {
    [0, operation.words() / 2, operation.words()]
}

async fn until_dead(flash: &Flash) {
    while !flash.is_dead() {
        Timer::after(Duration::from_millis(10)).await;
    }
}

#[test]
fn a_cut_while_a_configuration_is_taken_in_leaves_the_old_or_the_new_one_with_its_secret() {
    let flash = at_home();
    story(&flash, async |device| {
        Timer::after(secs(10)).await;
        ask(device, &format!("put config\r{NEW}\r.")).await;
        Timer::after(secs(5)).await;
    });
    let boots = async |_: &SimDevice<'_>| Timer::after(secs(6)).await;
    cut_everywhere(&flash, Some("swordfish"), boots, async |device, place| {
        device.online(secs(60)).await;
        Timer::after(secs(1)).await;
        let status = device.ask("status").await;
        // It waited on flash: whatever happened, this boot has taken it in.
        assert!(status.contains("name: shelf\n"), "{place}: {status}");
        let config = device.ask("config").await;
        assert!(config.contains("password = \"***\""), "{place}: {config}");
        assert!(!config.contains("waits for a restart"), "{place}: {config}");
        assert!(!device.flash.contains(b"swordfish"), "{place}");
        assert!(
            !device.console().contains("no mqtt.password is kept"),
            "{place}"
        );
    });
}

#[test]
fn a_cut_while_a_configuration_is_put_on_the_device_leaves_the_old_or_the_new_one() {
    let flash = at_home();
    let puts = async |device: &SimDevice<'_>| {
        Timer::after(secs(6)).await;
        device.ask(&format!("put config\r{NEW}\r.")).await;
        Timer::after(secs(5)).await;
    };
    cut_everywhere(&flash, None, puts, async |device, place| {
        device.online(secs(60)).await;
        Timer::after(secs(1)).await;
        let status = device.ask("status").await;
        let old = status.contains("name: desk\n");
        assert!(old || status.contains("name: shelf\n"), "{place}: {status}");
        assert!(
            !device.console().contains("no mqtt.password is kept"),
            "{place}"
        );
        assert!(!device.flash.contains(b"hunter22"), "{place}");
    });
}

#[test]
fn a_cut_while_a_wifi_json_is_taken_in_leaves_all_its_networks_and_not_its_text() {
    let flash = at_home();
    let networks = r#"{"Shed": "battery staple", "Barn": "trombone case", "Attic": ""}"#;
    story(&flash, async |device| {
        Timer::after(secs(10)).await;
        ask(device, &format!("put wifi.json\r{networks}\r.")).await;
        Timer::after(secs(5)).await;
    });
    let boots = async |_: &SimDevice<'_>| Timer::after(secs(6)).await;
    cut_everywhere(&flash, None, boots, async |device, place| {
        device.online(secs(60)).await;
        Timer::after(secs(1)).await;
        let stored = device.ask("networks").await;
        for line in [
            "stored \"Home\" proven",
            "stored \"Shed\" unproven",
            "stored \"Barn\" unproven",
            "stored \"Attic\" unproven",
        ] {
            assert_eq!(stored.matches(line).count(), 1, "{place}: {stored}");
        }
        for secret in ["battery staple", "trombone case"] {
            assert!(!device.flash.contains(secret.as_bytes()), "{place}");
        }
    });
}

#[test]
fn a_cut_from_first_boot_to_the_first_network_leaves_a_device_that_can_be_set_up() {
    let joins = async |device: &SimDevice<'_>| {
        Timer::after(secs(1)).await;
        device.ask("join Home \"correct horse\"").await;
        Timer::after(secs(5)).await;
    };
    cut_everywhere(&chip(), None, joins, async |device, place| {
        Timer::after(secs(6)).await;
        let stored = device.ask("networks").await;
        if !stored.contains("stored \"Home\" proven") {
            ask(device, "join Home \"correct horse\"").await;
            let stored = device.ask("networks").await;
            assert!(
                stored.contains("stored \"Home\" proven"),
                "{place}: {stored}"
            );
        }
        device.online(secs(60)).await;
        assert!(!device.flash.contains(b"correct horse"), "{place}");
    });
}

/// Does something with the store of a device that is off.
fn with_store(flash: &Flash, work: impl AsyncFnOnce(&Store<'_>)) {
    let mut memory = StoreMemory::<3584>::new();
    let store = Store::new(&mut memory);
    let mut lines = [0; 1024];
    let log = Log::new(&mut lines);
    let layout = SimDevice::layout();
    run_virtual(select(
        store.serve(flash.clone(), &layout, &log),
        work(&store),
    ));
}

/// Keys of values that are of no use to anybody.
fn filler(number: usize) -> Key {
    Key::new(&format!("app/filler-{number}")).expect("a short name")
}

/// A device at home with a long configuration that waits, and its store filled with values of these sizes, of
/// which as many as fit; and how many these are.
fn crowded(sizes: &[usize]) -> (Flash, usize) {
    let flash = at_home();
    story(&flash, async |device| {
        Timer::after(secs(10)).await;
        let long = "# A remark that takes much room, as remarks do that say something.\r";
        ask(device, &format!("put config\r{}{NEW}\r.", long.repeat(36))).await;
    });
    let mut fillers = 0;
    with_store(&flash, async |store| {
        for size in sizes {
            let value = vec![0x55; *size];
            while store.put(&filler(fillers), &value).await.is_ok() {
                fillers += 1;
            }
        }
    });
    (flash, fillers)
}

#[test]
fn a_configuration_for_which_there_is_no_room_waits_whole_until_there_is_some() {
    for sizes in [&[3_000, 1_000][..], &[3_000, 1_000, 300, 100, 30, 1]] {
        let (flash, fillers) = crowded(sizes);
        for _ in 0..2 {
            story_with(Some("hunter22"), &flash, async |device| {
                device.online(secs(60)).await;
                let status = device.ask("status").await;
                assert!(status.contains("name: desk\n"), "{sizes:?}: {status}");
                let config = device.ask("config").await;
                assert!(config.contains("name = \"desk\""), "{config}");
                assert!(config.contains("waits for a restart"), "{config}");
                let told = "the new configuration waits for the next start: the store is full";
                assert!(device.console().contains(told), "{}", device.console());
            });
        }
        with_store(&flash, async |store| {
            for number in 0..fillers {
                store.forget(&filler(number)).await.expect("a good flash");
            }
        });
        story_with(Some("swordfish"), &flash, async |device| {
            device.online(secs(60)).await;
            let status = device.ask("status").await;
            assert!(status.contains("name: shelf\n"), "{sizes:?}: {status}");
            let config = device.ask("config").await;
            assert!(!config.contains("waits for a restart"), "{config}");
            assert!(!device.flash.contains(b"swordfish"));
        });
    }
}

#[test]
fn however_much_room_there_is_a_configuration_is_in_force_with_its_own_secret() {
    let (full, _) = crowded(&[3_000, 1_000, 300, 100, 30, 1]);
    let mut outcomes = [0, 0];
    for smaller in (0..600).step_by(20) {
        let image = Flash::from_image(full.image());
        with_store(&image, async |store| {
            store.forget(&filler(0)).await.expect("a good flash");
            let value = vec![0x55; smaller];
            store.put(&filler(0), &value).await.expect("it is smaller");
        });
        let looked = Flash::from_image(image.image());
        let is_new = story(&looked, async |device| {
            Timer::after(secs(1)).await;
            device.ask("status").await.contains("name: shelf\n")
        });
        outcomes[usize::from(is_new)] += 1;
        let password = if is_new { "swordfish" } else { "hunter22" };
        story_with(Some(password), &image, async |device| {
            device.online(secs(60)).await;
        });
    }
    assert!(outcomes.iter().all(|count| *count > 3), "{outcomes:?}");
}
