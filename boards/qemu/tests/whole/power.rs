//! Power cuts at any moment: QEMU is killed while the device boots, writes and talks.

use std::thread;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use crate::machine::{Folder, Machine, is_installed};

/// How often the power is cut; each costs a second.
const CUTS: u32 = 50;
/// After how many cuts the device is given the time to show that it still knows its network.
const LOOK: u32 = 10;
/// The latest moment of a cut, in milliseconds after the power came: every other one comes while the
/// configuration is taken in, the others while the device joins and talks.
const LATEST: [u64; 2] = [100, 1200];

#[test]
fn whatever_moment_the_power_goes_the_store_is_whole_at_the_next_boot() {
    if !is_installed("qemu-system-riscv32", "qemu-system-misc") {
        return;
    }
    let folder = Folder::new();
    // Each boot takes in a configuration with a secret, which writes, seals and erases.
    let config = folder.file(
        "config.toml",
        "[mqtt]\nuser = \"somebody\"\npassword = \"hidden here\"\n",
    );
    let now = SystemTime::now()
        .duration_since(UNIX_EPOCH)
        .expect("the clock is set");
    let mut random = now.as_nanos() as u64;
    eprintln!("moments from the seed {random}");

    let mut machine = Machine::start(&folder, Some(&config));
    machine.wait_for_answer("GET /networks.json", "Cafe");
    machine.request("POST /connect", "ssid=Cafe&password=");
    machine.wait_for_answer("GET /status.json", "\"online\"");
    let mut interrupted = 0;
    for cut in 1..=CUTS {
        drop(machine);
        machine = Machine::start(&folder, Some(&config));
        if cut % LOOK == 0 {
            machine.console.wait_for(0, &["wifi=online", "ssid=Cafe"]);
            machine
                .console
                .wait_for(0, &["the new configuration is in force"]);
        } else {
            // Knuth's generator; its upper bits are good enough for moments.
            random = random
                .wrapping_mul(6_364_136_223_846_793_005)
                .wrapping_add(1);
            let latest = LATEST[cut as usize % 2];
            machine.console.wait_for(0, &["board: power on"]);
            thread::sleep(Duration::from_millis((random >> 33) % latest));
        }
        let printed = machine.console.text();
        interrupted += u32::from(!printed.contains("the new configuration is in force"));
        for bad in ["ERROR", "first boot", "panicked", "portal=open"] {
            assert!(!printed.contains(bad), "cut {cut}: {bad}\n{printed}");
        }
    }
    eprintln!("{interrupted} of {CUTS} cuts came before the configuration was taken in");
    assert!(interrupted > 0, "no cut came early enough to hurt");
}
