//! Flash images of every format version that there was: a device of today boots from each, and has all that
//! was on it.
//!
//! `BLUEBELL_GOLDEN=write cargo test --package bluebell-sim --test golden` makes the image of the present
//! version; to be done once for each version, and never again.

use std::cell::RefCell;
use std::convert::Infallible;
use std::path::PathBuf;

use bluebell::device::{Device, Handle};
use bluebell::mqtt::Delivery;
use embassy_futures::select::select;
use embassy_time::{Duration, Timer};
use sim::air::Station;
use sim::board::{SimBoard, SimDevice, World};
use sim::flash::{Flash, SECTOR};
use sim::time::run_virtual;

const HOUR: Duration = Duration::from_secs(3_600);
const CONFIG: &str = "[device]\nname = \"lamp\"\n";
/// The password is known to the broker too, so that only a device that can open it gets online.
const OWN_CONFIG: &str =
    "[device]\rname = \"desk\"\r[mqtt]\ruser = \"me\"\rpassword = \"hunter22\"";
/// The version that the present framework writes.
const VERSION: u32 = 2;

fn secs(seconds: u64) -> Duration {
    Duration::from_secs(seconds)
}

fn path(version: u32) -> PathBuf {
    PathBuf::from(env!("CARGO_MANIFEST_DIR")).join(format!("tests/images/version-{version}.flash"))
}

/// Runs a story about a device that keeps a value, and that says what it found of that at boot. It reports
/// each boot, at least once.
fn story(packed: Option<&[u8]>, told: impl AsyncFn(&World, &SimDevice<'_>, &RefCell<Vec<u8>>)) {
    run_virtual(async {
        let world = World::new(6);
        world.broker.require_login("me", "hunter22");
        world
            .air
            .add(Station::new("Home").with_password("correct horse"));
        let mut device = world.device();
        if let Some(packed) = packed {
            device.flash = Flash::from_packed(packed, device.flash.image().len() / SECTOR);
        }
        let kept = RefCell::new(Vec::new());
        let app = async |device: Device<'_, SimBoard>| -> Infallible {
            let task = async |device: Handle<'_>| {
                let mut buffer = [0; 16];
                match device.kept("setpoint", &mut buffer).await {
                    Ok(Some(value)) => *kept.borrow_mut() = value.to_vec(),
                    _ => device.keep("setpoint", b"21").await.expect("kept"),
                }
                let report = if kept.borrow().is_empty() {
                    "first"
                } else {
                    "again"
                };
                device
                    .publish_as("boots", report, Delivery::AT_LEAST_ONCE)
                    .await
                    .expect("kept");
            };
            device.task(task).run().await
        };
        let life = async {
            loop {
                device.run(CONFIG, app).await;
            }
        };
        let told = async { told(&world, &device, &kept).await };
        world.run(HOUR, select(life, told)).await;
    });
}

/// Lives through what is on the image of a version, and is off in the end.
async fn live(world: &World, device: &SimDevice<'_>) {
    Timer::after(secs(1)).await;
    for line in [
        "join Home \"correct horse\"",
        "put wifi.json\r{\"Shed\": \"battery staple\"}\r.",
        &format!("put config\r{OWN_CONFIG}\r."),
        "restart",
    ] {
        let answer = device.ask(line).await;
        assert!(answer.ends_with("\nok\n"), "{answer}");
    }
    device.cut_power();
    Timer::after(secs(1)).await;
    device.online(secs(60)).await;
    Timer::after(secs(10)).await;
    // What the next boot reports waits on flash.
    world.air.remove("Home");
    device.cut_power();
    Timer::after(secs(1)).await;
    device.cut_power();
}

#[test]
fn every_version_opens_with_all_its_values() {
    if std::env::var("BLUEBELL_GOLDEN").as_deref() == Ok("write") {
        story(None, async |world, device, _| {
            live(world, device).await;
            std::fs::write(path(VERSION), device.flash.packed()).expect("written");
        });
    }
    for version in 1..=VERSION {
        let image = std::fs::read(path(version)).expect("every version has its image");
        story(Some(&image), async |world, device, kept| {
            device.online(secs(30)).await;
            Timer::after(secs(10)).await;
            assert_eq!(*kept.borrow(), b"21");
            let networks = device.ask("networks").await;
            for network in ["stored \"Home\" proven", "stored \"Shed\" unproven"] {
                assert!(networks.contains(network), "{networks}");
            }
            let status = device.ask("status").await;
            assert!(status.contains("name: desk"), "{status}");
            let config = device.ask("config").await;
            assert!(config.contains("password = \"***\""), "{config}");
            let log = device.ask("log").await;
            for line in [
                "[    1.440] INFO  config: the new configuration is in force",
                "joined Home with the address 10.0.1.1",
            ] {
                assert!(log.contains(line), "{log}");
            }
            let reports = world.broker.messages_on("boots");
            let reports: Vec<_> = reports.iter().map(|message| message.text()).collect();
            let waited = usize::from(version > 1);
            assert_eq!(reports, vec!["again"; waited + 1], "version {version}");
        });
    }
}
