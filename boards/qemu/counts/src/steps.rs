//! The steps that are counted, and the program around them.

use bluebell::board::System;
use bluebell::clock::{Clock, Timezone};
use bluebell::credentials::{OVERHEAD, Vault};
use bluebell::jobs::{Job, Schedule, Slot};
use bluebell::log::{Level, Log};
use bluebell::storage::Key;
use bluebell_qemu::measure::{instructions, report, run};
use embassy_time::{Duration, Instant};

use crate::whole;

/// The machine as far as sealing needs it; what it gives is not random, so that counts repeat.
struct Machine;

impl System for Machine {
    fn entropy(&self, bytes: &mut [u8]) {
        bytes.fill(0x5a);
    }

    fn hardware_address(&self) -> [u8; 6] {
        [2, 0, 0, 0, 0, 1]
    }
}

/// The name by which the start-up code calls it.
#[unsafe(export_name = "main")]
extern "C" fn start() -> ! {
    // Reading the counter takes some itself.
    let reading = counted(|| ());
    // SAFETY: it does nothing.
    let thousand = counted(|| unsafe { core::arch::asm!(".rept 1000", "nop", ".endr") }) - reading;
    assert!(
        (1000..1100).contains(&thousand),
        "1000 instructions count as {thousand}: start QEMU with -icount shift=0"
    );
    let print = |name: &str, count: u64| report(name, count.saturating_sub(reading));

    let mut buffer = [0; 2048];
    let log = Log::new(&mut buffer);
    let line = counted(|| {
        log.write(
            Level::Info,
            "app",
            format_args!("the garage has {} degrees", 21),
        );
    });
    print("log_line", line);

    let vault = Vault::for_this_boot(&Machine);
    let key = Key::literal("wifi.password");
    let mut sealed = [0; 16 + OVERHEAD];
    let seal = counted(|| {
        // It fits.
        let _ = vault.seal(&key, &[], b"battery staple 1", &mut sealed);
    });
    print("sealed_credential", seal);

    print("scheduler_pass_10_jobs", scheduler_pass::<10>());
    print("scheduler_pass_100_jobs", scheduler_pass::<100>());
    run(whole::start)
}

/// A pass over a schedule of which one job is due: it is taken, ended, and the next deadline asked for.
fn scheduler_pass<const JOBS: usize>() -> u64 {
    let mut slots = [Slot::VACANT; JOBS];
    let clock = Clock::new(Timezone::UTC);
    let mut schedule = Schedule::new(&mut slots);
    let begin = Instant::from_secs(1);
    for number in 0..JOBS as u64 {
        // There is a slot for each.
        let _ = schedule.add(Job::every(Duration::from_secs(60 + number)), begin);
    }
    let now = begin + Duration::from_secs(60);
    counted(|| {
        while let Some(due) = schedule.due(now, &clock) {
            schedule.finished(due.id, now);
        }
        core::hint::black_box(schedule.deadline());
    })
}

fn counted(work: impl FnOnce()) -> u64 {
    let before = instructions();
    work();
    instructions() - before
}
