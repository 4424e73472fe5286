//! What is programmed and erased for one line, one credential, one message. The figures are in `wear.txt`,
//! and what they mean for a chip's life in `docs/flash.md`.
//!
//! `BLUEBELL_WEAR=write cargo test --package bluebell --lib wear` writes them anew.

use std::format;
use std::string::String;

use embassy_futures::join::join;
use embassy_futures::select::{Either, select};
use embassy_time::{Duration, Timer};
use sim::flash::{Counts, Flash};

use super::{Store, StoreMemory, noise, push, waiting};
use crate::board::FlashLayout;
use crate::log;
use crate::log::{Level, Log};
use crate::storage::Key;

const LINES: u32 = 20_000;
/// A line of the default level, as it is written: its text.
const LINE: &str = "joined Home with the address 192.168.1.123 on channel 11";

/// Runs a device with the default sizes of log and outbox, and counts what `work` does to its flash.
fn count(work: impl AsyncFnOnce(&Log<'_>, &Store<'_>)) -> Counts {
    let flash = Flash::new(8 + 16 + 16);
    let layout = FlashLayout {
        store: 0..8 * 4096,
        log: 8 * 4096..24 * 4096,
        outbox: 24 * 4096..40 * 4096,
    };
    let mut memory = StoreMemory::<3584>::new();
    let store = Store::new(&mut memory);
    let mut buffer = [0; 2048];
    let log = Log::new(&mut buffer);
    sim::time::run_virtual(async {
        let device = join(store.serve(flash.clone(), &layout, &log), log.keep(&store));
        match select(device, work(&log, &store)).await {
            Either::First((never, _)) => match never {},
            Either::Second(()) => flash.counts(),
        }
    })
}

/// What a thousand times cost, of `times`.
fn per_thousand(counts: Counts, times: u32) -> (u64, u64) {
    let share = |count: u64| count * 1000 / u64::from(times);
    (share(counts.bytes_programmed), share(counts.sectors_erased))
}

#[test]
fn a_line_a_credential_and_a_message_cost_no_more_than_is_written_down() {
    let lines = count(async |log, _| {
        log.set_clock(1_900_000_000_000_000);
        for _ in 0..LINES {
            log!(log, Info, "wifi", "{LINE}");
            Timer::after(Duration::from_secs(1)).await;
        }
    });
    let key = |number: u32| Key::numbered("wifi", number as usize % 4).unwrap();
    let credentials = count(async |log, store| {
        log.set_level(Level::Error);
        for number in 0..1000 {
            let value = noise(number, 96);
            store.put_secret(&key(number), &value).await.unwrap();
        }
    });
    let messages = count(async |log, store| {
        log.set_level(Level::Error);
        for number in 0..1000 {
            push(store, &noise(number, 80), false).await.unwrap();
            let (place, _) = waiting(store).await[0];
            store.settle(place).await.unwrap();
        }
    });
    let states = count(async |log, store| {
        log.set_level(Level::Error);
        for number in 0..1000 {
            let mut state = noise(number, 80);
            state[..2].copy_from_slice(b"st");
            push(store, &state, true).await.unwrap();
        }
    });
    let mut text = String::from(
        "# Per thousand: bytes programmed, sectors erased. Written by the test beside it; see docs/flash.md.\n",
    );
    for (what, (programmed, erased)) in [
        (
            "log_line_of_56_bytes_each_second",
            per_thousand(lines, LINES),
        ),
        (
            "credential_of_96_bytes_replaced",
            per_thousand(credentials, 1000),
        ),
        (
            "message_of_80_bytes_kept_and_settled",
            per_thousand(messages, 1000),
        ),
        ("state_of_80_bytes_replaced", per_thousand(states, 1000)),
    ] {
        text += &format!("{what} {programmed} {erased}\n");
    }
    let path = concat!(env!("CARGO_MANIFEST_DIR"), "/src/storage/tests/wear.txt");
    if std::env::var("BLUEBELL_WEAR").as_deref() == Ok("write") {
        std::fs::write(path, &text).expect("written");
    }
    let known = std::fs::read_to_string(path).expect("the figures");
    assert_eq!(
        text, known,
        "the flash is written to more, or less: see this file's head"
    );

    let shown = "2030-01-01T00:00:00Z INFO  wifi: \n".len() + LINE.len();
    let logged = shown as u64 * u64::from(LINES);
    assert!(
        lines.bytes_programmed * 10 <= logged * 13,
        "{lines:?} for {logged}"
    );
    assert!(
        lines.sectors_erased <= logged / 4096 + 1,
        "{lines:?} for {logged}"
    );
}
