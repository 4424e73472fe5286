//! Power cuts at any moment: QEMU is killed while the device boots, writes and talks.

use std::thread;
use std::time::{Duration, Instant};

use crate::machine::{Folder, Machine, is_installed};

/// How often the power is cut; each costs a second.
const CUTS: u32 = 50;
/// After how many cuts the device is given the time to show that it still knows its network.
const LOOK: u32 = 10;
/// Every other cut comes at the latest so many milliseconds after the power came, while the device joins and
/// talks; the others come while the configuration is taken in, however long this host needs for it.
const LATEST: u64 = 1200;
/// From where the moments come, unless `BLUEBELL_SEED` gives another number.
const SEED: u64 = 0xb1eb_e115;
const TAKEN_IN: &str = "the new configuration is in force";

fn seed() -> u64 {
    match std::env::var("BLUEBELL_SEED") {
        Ok(text) => text.parse().expect("BLUEBELL_SEED is a number"),
        Err(_) => SEED,
    }
}

/// How long the device takes from power on until it has taken in the configuration, in microseconds.
fn taken_in(machine: &Machine) -> u64 {
    let line = machine.console.wait_for(0, &["board: power on"]);
    let begun = Instant::now();
    machine.console.wait_for(line, &[TAKEN_IN]);
    u64::try_from(begun.elapsed().as_micros()).expect("it is less than a minute")
}

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
    let seed = seed();
    let mut random = seed;

    let mut machine = Machine::start(&folder, Some(&config));
    machine.wait_for_answer("GET /networks.json", "Cafe");
    machine.request("POST /connect", "ssid=Cafe&password=");
    machine.wait_for_answer("GET /status.json", "\"online\"");
    drop(machine);
    machine = Machine::start(&folder, Some(&config));
    let early = taken_in(&machine);
    let mut interrupted = 0;
    for cut in 1..=CUTS {
        drop(machine);
        machine = Machine::start(&folder, Some(&config));
        if cut % LOOK == 0 {
            machine.console.wait_for(0, &["wifi=online", "ssid=Cafe"]);
            machine.console.wait_for(0, &[TAKEN_IN]);
        } else {
            // Knuth's generator; its upper bits are good enough for moments.
            random = random
                .wrapping_mul(6_364_136_223_846_793_005)
                .wrapping_add(1);
            let latest = if cut % 2 == 0 { early } else { LATEST * 1000 };
            machine.console.wait_for(0, &["board: power on"]);
            thread::sleep(Duration::from_micros(((random >> 33) * latest) >> 31));
        }
        let printed = machine.console.text();
        interrupted += u32::from(!printed.contains(TAKEN_IN));
        for bad in ["ERROR", "first boot", "panicked", "portal=open"] {
            assert!(
                !printed.contains(bad),
                "seed {seed}, cut {cut}: {bad}\n{printed}"
            );
        }
    }
    eprintln!("{interrupted} of {CUTS} cuts came before the configuration was taken in");
    assert!(
        interrupted > 0,
        "seed {seed}: no cut came early enough to hurt"
    );
}
