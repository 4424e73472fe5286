//! What the framework's steps cost inside a process: the scheduler, the log, sealing.

use std::hint::black_box;

use bluebell::board::System;
use bluebell::clock::{Clock, Timezone};
use bluebell::credentials::{OVERHEAD, Vault};
use bluebell::jobs::{Job, Schedule, Slot};
use bluebell::log::{Level, Log};
use bluebell::storage::Key;
use chacha20poly1305::{AeadInPlace, ChaCha20Poly1305, KeyInit, Nonce};
use criterion::{BatchSize, Criterion, criterion_group, criterion_main};
use embassy_time::{Duration, Instant};
// It brings the time that the log asks for.
use sim as _;

/// As long as many a password.
const PASSWORD: &[u8; 16] = b"battery staple 1";
const KEY: Key = Key::literal("wifi.password");
const TAG: usize = 16;

/// The machine as far as sealing needs it. Its bytes cost nothing: a random source is the board's.
struct Machine;

impl System for Machine {
    fn entropy(&self, bytes: &mut [u8]) {
        bytes.fill(0x5a);
    }

    fn hardware_address(&self) -> [u8; 6] {
        [2, 0, 0, 0, 0, 1]
    }
}

/// A schedule of which every job has an interval of its own, from a minute up.
fn filled(slots: &mut [Slot]) -> Schedule<'_> {
    let jobs = slots.len() as u64;
    let mut schedule = Schedule::new(slots);
    for number in 0..jobs {
        let job = Job::every(Duration::from_secs(60 + number));
        schedule.add(job, Instant::MIN).expect("a slot for each");
    }
    schedule
}

fn scheduler(criterion: &mut Criterion) {
    let clock = Clock::new(Timezone::UTC);
    for jobs in [1, 10, 100, 1_000] {
        let mut slots = vec![Slot::VACANT; jobs];
        let mut schedule = filled(&mut slots);
        criterion.bench_function(&format!("scheduler_none_due_{jobs}"), |bencher| {
            bencher.iter(|| {
                assert!(schedule.due(black_box(Instant::MIN), &clock).is_none());
                black_box(schedule.deadline())
            });
        });
        let mut slots = vec![Slot::VACANT; jobs];
        let mut schedule = filled(&mut slots);
        let mut now = Instant::MIN;
        criterion.bench_function(&format!("scheduler_all_due_{jobs}"), |bencher| {
            bencher.iter(|| {
                // Past the longest interval, so that every job is due again.
                now += Duration::from_secs(60 + jobs as u64);
                let mut run = 0;
                while let Some(due) = schedule.due(now, &clock) {
                    schedule.finished(due.id, now);
                    run += 1;
                }
                assert_eq!(run, jobs);
            });
        });
    }
}

fn log_line(criterion: &mut Criterion) {
    let mut buffer = [0; 2048];
    let log = Log::new(&mut buffer);
    criterion.bench_function("log_line", |bencher| {
        bencher.iter(|| {
            let line = format_args!("the garage has {} degrees", black_box(21));
            log.write(Level::Info, "app", line);
        });
    });
}

fn sealing(criterion: &mut Criterion) {
    let vault = Vault::for_this_boot(&Machine);
    let cipher = ChaCha20Poly1305::new(&[7; 32].into());
    let nonce = Nonce::from([1; 12]);
    let plain_sealed = |text: &mut [u8; 16]| {
        cipher
            .encrypt_in_place_detached(&nonce, b"wifi.password", text)
            .expect("it is short")
    };

    criterion.bench_function("seal", |bencher| {
        let mut sealed = [0; 16 + OVERHEAD];
        bencher.iter(|| {
            vault
                .seal(&KEY, &[], black_box(PASSWORD), &mut sealed)
                .expect("it fits");
        });
    });
    criterion.bench_function("seal_plain", |bencher| {
        bencher.iter(|| plain_sealed(black_box(&mut PASSWORD.clone())));
    });

    let mut sealed = [0; 16 + OVERHEAD];
    vault
        .seal(&KEY, &[], PASSWORD, &mut sealed)
        .expect("it fits");
    criterion.bench_function("open", |bencher| {
        bencher.iter_batched_ref(
            || sealed,
            |sealed| {
                let opened = vault.open_in_place(&KEY, &[], black_box(sealed));
                opened.expect("it was sealed here").len()
            },
            BatchSize::SmallInput,
        );
    });
    let mut text = *PASSWORD;
    let tag: [u8; TAG] = plain_sealed(&mut text).into();
    criterion.bench_function("open_plain", |bencher| {
        bencher.iter_batched_ref(
            || text,
            |text| {
                let text = black_box(text);
                cipher
                    .decrypt_in_place_detached(&nonce, b"wifi.password", text, (&tag).into())
                    .expect("it was sealed here");
            },
            BatchSize::SmallInput,
        );
    });
}

criterion_group!(inside, scheduler, log_line, sealing);
criterion_main!(inside);
