//! The log on simulated flash, in virtual time.

use core::convert::Infallible;
use std::string::String;
use std::vec::Vec;

use embassy_futures::join::join;
use embassy_futures::select::{Either, select};
use embassy_time::{Duration, Timer};
use embedded_io_async::{ErrorType, Write};
use sim::flash::{Flash, SECTOR};

use super::{KEEP_WITHIN, Level, Log};
use crate::board::FlashLayout;
use crate::log;
use crate::storage::{Key, Store, StoreMemory};

/// A console that remembers.
#[derive(Default)]
pub(crate) struct Console(Vec<u8>);

impl Console {
    pub(crate) fn lines(&self) -> Vec<String> {
        String::from_utf8_lossy(&self.0)
            .lines()
            .map(String::from)
            .collect()
    }
}

impl ErrorType for Console {
    type Error = Infallible;
}

impl Write for Console {
    async fn write(&mut self, bytes: &[u8]) -> Result<usize, Infallible> {
        self.0.extend_from_slice(bytes);
        Ok(bytes.len())
    }

    async fn flush(&mut self) -> Result<(), Infallible> {
        Ok(())
    }
}

/// Runs a device that only logs, in virtual time, until `work` is done.
fn run<T>(flash: &Flash, buffer: usize, work: impl AsyncFnOnce(&Log<'_>, &Store<'_>) -> T) -> T {
    let outbox = (flash.image().len() - 2 * SECTOR) as u32;
    let layout = FlashLayout {
        store: 0..2 * SECTOR as u32,
        log: 2 * SECTOR as u32..outbox,
        outbox: outbox..outbox + 2 * SECTOR as u32,
    };
    let mut memory = StoreMemory::<1024>::new();
    let store = Store::new(&mut memory);
    let mut buffer = std::vec![0; buffer];
    let log = Log::new(&mut buffer);
    sim::time::run_virtual(async {
        let device = join(store.serve(flash.clone(), &layout, &log), log.keep(&store));
        match select(device, work(&log, &store)).await {
            Either::First((never, _)) => match never {},
            Either::Second(done) => done,
        }
    })
}

async fn lines(log: &Log<'_>, store: &Store<'_>) -> Vec<String> {
    let mut lines = Vec::new();
    log.read(store, &mut |line| lines.push(line.into())).await;
    lines
}

#[test]
fn lines_are_printed_as_they_are_written_and_the_level_is_kept_to() {
    let mut console = Console::default();
    let mut buffer = [0; 1024];
    let log = Log::new(&mut buffer);
    sim::time::run_virtual(async {
        select(log.print(&mut console), async {
            log!(log, Info, "app", "one");
            log!(log, Debug, "app", "not asked for");
            Timer::after_millis(1500).await;
            log.set_level(Level::Debug);
            log!(log, Debug, "app", "two {}", 2);
            log.set_clock(1_795_352_400_000_000);
            log.set_level(Level::Warn);
            log!(log, Info, "app", "not asked for");
            log!(log, Warn, "wifi", "three");
            Timer::after_millis(1).await;
        })
        .await;
    });
    assert_eq!(
        console.lines(),
        [
            "[    0.000] INFO  app: one",
            "[    1.500] DEBUG app: two 2",
            "2026-11-22T13:00:01Z WARN  wifi: three",
        ]
    );
}

#[test]
fn a_slow_console_loses_lines_and_says_how_many() {
    let mut console = Console::default();
    let mut buffer = [0; 512];
    let log = Log::new(&mut buffer);
    sim::time::run_virtual(async {
        for number in 0..100 {
            log!(log, Info, "app", "line {number} with some text to it");
        }
        select(log.print(&mut console), Timer::after_millis(1)).await;
    });
    let lines = console.lines();
    let rest = lines.len() - 1;
    assert!(rest > 5);
    assert_eq!(
        lines[0],
        std::format!("[    0.000] WARN  log: {} lines lost", 100 - rest)
    );
    assert!(lines[1].ends_with(&std::format!("line {} with some text to it", 100 - rest)));
}

#[test]
fn an_error_is_on_flash_at_once_and_other_lines_soon() {
    let flash = Flash::new(6);
    run(&flash, 1024, async |log, _| {
        Timer::after_millis(10).await;
        log!(log, Info, "app", "an ordinary line");
        Timer::after(KEEP_WITHIN / 2).await;
        assert!(!flash.contains(b"an ordinary line"));
        log!(log, Error, "app", "an error");
        Timer::after_millis(1).await;
        assert!(flash.contains(b"an ordinary line") && flash.contains(b"an error"));
        log!(log, Info, "app", "another line");
        Timer::after(KEEP_WITHIN + Duration::from_millis(1)).await;
        assert!(flash.contains(b"another line"));
        // Many lines do not wait for each other.
        for _ in 0..20 {
            log!(log, Info, "app", "one of many lines that are written");
        }
        log!(log, Info, "app", "the last of many");
        Timer::after_millis(1).await;
        assert!(flash.contains(b"the last of many"));
    });
}

#[test]
fn lines_that_flash_could_not_follow_are_counted() {
    run(&Flash::new(6), 512, async |log, store| {
        Timer::after_millis(1).await;
        for number in 0..100 {
            log!(log, Info, "app", "line {number} with some text to it");
        }
        Timer::after_secs(5).await;
        let lines = lines(log, store).await;
        assert!(lines[0].contains(" lines lost"), "{lines:?}");
        assert!(lines.last().unwrap().contains("line 99 with"));
    });
}

#[test]
fn the_log_is_read_back_across_boots_whatever_is_on_flash_yet() {
    let flash = Flash::new(8);
    let mut written = 0;
    for _ in 0..12 {
        let found = run(&flash, 2048, async |log, store| {
            Timer::after_millis(1).await;
            for number in 0..37 {
                let line = std::format!("line {written} {}", "x".repeat(number));
                written += 1;
                log!(log, Info, "app", "{line}");
                Timer::after_millis(number as u64 * 7).await;
                assert!(lines(log, store).await.last().unwrap().ends_with(&line));
            }
            // So that the next boot finds them all.
            log!(log, Error, "app", "line {written} ends the boot");
            written += 1;
            Timer::after_millis(10).await;
            lines(log, store).await
        });
        let numbers: Vec<u32> = found
            .iter()
            .filter_map(|line| line.split("line ").nth(1)?.split(' ').next()?.parse().ok())
            .collect();
        let expected: Vec<_> = (written - numbers.len() as u32..written).collect();
        assert_eq!(numbers, expected, "no line is missing or there twice");
    }
    assert!(flash.sector_erases()[2..].iter().all(|&erases| erases <= 3));
}

#[test]
fn a_log_whose_flash_fails_shows_what_is_in_memory_and_keeps_it_later() {
    let flash = Flash::new(6);
    run(&flash, 1024, async |log, store| {
        Timer::after_millis(10).await;
        flash.cut_power(0, 0);
        log!(log, Error, "app", "while the flash fails");
        Timer::after_millis(10).await;
        let found = lines(log, store).await;
        assert!(found[0].starts_with("(the lines on flash are missing: "));
        assert!(found.last().unwrap().ends_with("while the flash fails"));
        flash.revive();
        Timer::after_secs(10).await;
        assert!(flash.contains(b"while the flash fails"));
    });
}

/// Logs `lines` lines at an interval, and returns what a byte of line costs in bytes programmed and what
/// 4 KiB of lines cost in erasures, in thousandths.
fn cost(lines: u32, interval: Duration, clock: bool, text: &str) -> (u64, u64) {
    let flash = Flash::new(2 + 8 + 2);
    let mut shown = 0_u64;
    run(&flash, 2048, async |log, store| {
        if clock {
            log.set_clock(1_795_352_400_000_000);
        }
        let steady = 8 * SECTOR as u64;
        let mut at_first = flash.counts();
        for number in 0..lines {
            let message = std::format!("{text} {number}");
            log!(log, Info, "mqtt", "{message}");
            let stamp = if clock { 20 } else { 11 };
            shown += (stamp + " INFO  mqtt: \n".len() + message.len()) as u64;
            Timer::after(interval).await;
            if at_first.sectors_erased == 0 && flash.counts().bytes_programmed > steady {
                at_first = flash.counts();
                shown = 0;
            }
        }
        let _ = store;
        let now = flash.counts();
        let programmed = now.bytes_programmed - at_first.bytes_programmed;
        let erased = now.sectors_erased - at_first.sectors_erased;
        assert!(erased > 10, "the ring went round: {erased}");
        (programmed * 1000 / shown, erased * 4096 * 1000 / shown)
    })
}

#[test]
fn a_line_costs_less_flash_than_its_length_and_4_kib_less_than_an_erasure() {
    for (name, interval, clock, text) in [
        (
            "a line a second",
            Duration::from_secs(1),
            true,
            "published garage/temperature",
        ),
        (
            "a line a second, no clock",
            Duration::from_secs(1),
            false,
            "published garage/temperature",
        ),
        (
            "a line in ten seconds",
            Duration::from_secs(10),
            true,
            "published garage/temperature",
        ),
        (
            "ten lines a second",
            Duration::from_millis(100),
            true,
            "published garage/temperature",
        ),
        ("short lines", Duration::from_secs(1), true, "ping"),
        (
            "long lines",
            Duration::from_secs(1),
            true,
            &"long ".repeat(36),
        ),
    ] {
        let (programmed, erased) = cost(6000, interval, clock, text);
        std::println!("{name}: {programmed} / 1000 bytes a byte, {erased} / 1000 erasures a 4 KiB");
        assert!(programmed <= 1000, "{name}: {programmed}");
        assert!(erased <= 1000, "{name}: {erased}");
    }
}

#[test]
fn the_futures_of_store_and_log_stay_small() {
    let flash = Flash::new(6);
    let layout = FlashLayout {
        store: 0..8192,
        log: 8192..16384,
        outbox: 16384..24576,
    };
    let mut memory = StoreMemory::<1024>::new();
    let store = Store::new(&mut memory);
    let mut buffer = [0; 1024];
    let log = Log::new(&mut buffer);
    let mut console = Console::default();
    let mut ignore = |_: &str| ();
    let key = Key::literal("a");
    for (name, bytes, most) in [
        (
            "serve",
            size_of_val(&store.serve(flash, &layout, &log)),
            2400,
        ),
        ("put", size_of_val(&store.put(&key, &[])), 400),
        ("keep", size_of_val(&log.keep(&store)), 400),
        ("print", size_of_val(&log.print(&mut console)), 900),
        ("read", size_of_val(&log.read(&store, &mut ignore)), 1500),
    ] {
        std::println!("{name}: {bytes} bytes");
        assert!(bytes <= most, "{name} takes {bytes} bytes");
    }
}
