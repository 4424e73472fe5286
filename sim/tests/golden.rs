//! Flash images of every format version that was released: a device of today boots from each and has all
//! that was on it.
//!
//! `BLUEBELL_GOLDEN=write cargo test --package bluebell-sim --test golden` makes the image of the present
//! version anew; to be done once, when that version is released, and never again.

use std::cell::RefCell;
use std::convert::Infallible;
use std::path::PathBuf;

use bluebell::device::Device;
use embassy_futures::select::select;
use embassy_time::{Duration, Timer};
use sim::air::Station;
use sim::board::{SimBoard, SimDevice, World};
use sim::flash::Flash;
use sim::time::run_virtual;

const HOUR: Duration = Duration::from_secs(3_600);
const CONFIG: &str = "[device]\nname = \"lamp\"\n";
const OWN_CONFIG: &str = "[device]\rname = \"desk\"\r[mqtt]\ruser = \"me\"\rpassword = \"hunter22\"";

fn secs(seconds: u64) -> Duration {
    Duration::from_secs(seconds)
}

/// Runs a story about a device that keeps a value and says what it found.
fn story(flash: Option<&[u8]>, told: impl AsyncFn(&World, &SimDevice<'_>, &RefCell<Vec<u8>>)) {
    run_virtual(async {
        let world = World::new(6);
        world.broker.require_login("me", "hunter22");
        world.air.add(Station::new("Home").with_password("correct horse"));
        let mut device = world.device();
        if let Some(packed) = flash {
            device.flash = Flash::from_packed(packed, device.flash.image().len() / sim::flash::SECTOR);
        }
        let kept = RefCell::new(Vec::new());
        let app = async |device: Device<'_, SimBoard>| -> Infallible {
            let task = async |device: bluebell::device::Handle<'_>| {
                let mut buffer = [0; 16];
                match device.kept("setpoint", &mut buffer).await {
                    Ok(Some(value)) => kept.borrow_mut().extend(value),
                    _ => device.keep("setpoint", b"21").await.expect("kept"),
                }
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

/// Lives through what is on the image of a version.
async fn live(device: &SimDevice<'_>) -> Vec<u8> {
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
    device.cut_power();
    device.flash.packed()
}

#[test]
fn make() {
    let path = PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("tests/images/version-1.flash");
    story(None, async |_, device, _| {
        let image = live(device).await;
        std::fs::write(&path, image).unwrap();
    });
}

#[test]
fn open() {
    let path = PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("tests/images/version-1.flash");
    let image = std::fs::read(&path).unwrap();
    story(Some(&image), async |_, device, kept| {
        device.online(secs(30)).await;
        Timer::after(secs(10)).await;
        assert_eq!(*kept.borrow(), b"21");
        println!("{} {}", device.ask("networks").await, device.ask("config").await);
        println!("{}", device.ask("log").await);
    });
}
