//! The log's ring on flash.

use std::vec::Vec;

use proptest::prelude::*;
use sim::flash::{Flash, SECTOR};

use super::{boot, chip, noise};
use crate::storage::{LogCursor, ReadError, Store};

/// An entry that holds its number and as much filling.
fn entry(number: u32, filling: usize) -> Vec<u8> {
    let mut entry = std::vec![4 + filling as u8];
    entry.extend(number.to_le_bytes());
    entry.resize(5 + filling, number as u8);
    entry
}

async fn append(store: &Store<'_>, entries: &[u8]) -> bool {
    let mut fill = |buffer: &mut [u8]| {
        buffer[..entries.len()].copy_from_slice(entries);
        entries.len()
    };
    store.log_append(&mut fill).await.is_ok()
}

/// The numbers of all entries, oldest first.
async fn numbers(store: &Store<'_>) -> Vec<u32> {
    let mut numbers = Vec::new();
    let mut cursor = LogCursor::START;
    let mut buffer = [0; 300];
    loop {
        let (length, next) = store.log_read(cursor, &mut buffer).await.unwrap();
        if length == 0 {
            return numbers;
        }
        let mut rest = &buffer[..length];
        while let Some((&length, after)) = rest.split_first() {
            let (body, after) = after.split_at(usize::from(length));
            numbers.push(u32::from_le_bytes(body[..4].try_into().unwrap()));
            assert!(body[4..].iter().all(|&byte| byte == body[0]));
            rest = after;
        }
        cursor = next;
    }
}

/// Appends entries `from` to `to`, a few at a time.
async fn append_numbers(store: &Store<'_>, from: u32, to: u32, at_once: u32) {
    let mut next = from;
    while next < to {
        let end = to.min(next + at_once);
        let entries: Vec<_> = (next..end)
            .flat_map(|number| entry(number, 20 + number as usize % 60))
            .collect();
        assert!(append(store, &entries).await);
        next = end;
    }
}

#[test]
fn the_oldest_sector_leaves_first_and_the_rest_is_found_in_order_after_a_reboot() {
    let flash = chip();
    for round in 0..20 {
        boot(&flash, async |store| {
            append_numbers(store, round * 31, (round + 1) * 31, 1 + round).await;
        });
        let found = boot(&flash, numbers);
        let expected: Vec<_> = (found[0]..(round + 1) * 31).collect();
        assert_eq!(found, expected);
        assert!(found[0] == 0 || found.len() * 55 > SECTOR - 200);
    }
    assert_eq!(flash.counts().bits_lost, 0);
}

#[test]
fn reading_goes_on_where_it_was_while_lines_come_and_go() {
    boot(&chip(), async |store| {
        append_numbers(store, 0, 10, 3).await;
        let mut buffer = [0; 100];
        let (length, cursor) = store.log_read(LogCursor::START, &mut buffer).await.unwrap();
        assert!(length > 0);
        append_numbers(store, 10, 400, 7).await;
        // What came next has left the ring; the oldest line left is read.
        let (_, next) = store.log_read(cursor, &mut buffer).await.unwrap();
        let oldest = numbers(store).await[0];
        assert_eq!(buffer[1..5], oldest.to_le_bytes());
        assert_ne!(next, cursor);
        let mut end = next;
        while let (1.., next) = store.log_read(end, &mut buffer).await.unwrap() {
            end = next;
        }
        append_numbers(store, 400, 401, 1).await;
        store.log_read(end, &mut buffer).await.unwrap();
        assert_eq!(buffer[1..5], 400_u32.to_le_bytes());
        let small = store.log_read(end, &mut [0; 4]).await;
        assert!(matches!(small, Err(ReadError::BufferTooSmall { .. })));
    });
}

#[test]
fn a_cut_while_lines_are_appended_loses_at_most_their_batch() {
    // In the middle of a sector, at the first turn, and when the ring wraps; in the very first sector.
    for before in [0, 30, 70, 74, 148, 223, 224] {
        let flash = chip();
        boot(&flash, async |store| {
            append_numbers(store, 0, before, 5).await
        });
        let image = flash.image();
        let change = async |store: &Store<'_>| {
            let entries: Vec<_> = (before..before + 4)
                .flat_map(|number| entry(number, 40))
                .collect();
            append(store, &entries).await
        };
        let rehearsal = Flash::from_image(image.clone());
        rehearsal.start_trace();
        assert!(boot(&rehearsal, change));
        let old = boot(&flash, numbers);
        // The store's own first boot is none of this test's business.
        for (index, operation) in rehearsal.trace().iter().enumerate() {
            for words in 0..=operation.words() {
                let flash = Flash::from_image(image.clone());
                flash.cut_power(index as u64, words);
                let acknowledged = boot(&flash, change);
                flash.revive();
                let found = boot(&flash, numbers);
                let first = found.first().copied().unwrap_or(before);
                let dropped = first - old.first().copied().unwrap_or(0);
                assert!(dropped < 90, "at most a sector leaves: {dropped}");
                let last = first + found.len() as u32;
                assert_eq!(found, (first..last).collect::<Vec<_>>());
                assert!(last >= before && last <= before + 4);
                assert!(!acknowledged || last == before + 4);
                boot(&flash, async |store| {
                    append_numbers(store, 900, 920, 6).await
                });
                let after = boot(&flash, numbers);
                let kept = after.iter().filter(|number| **number >= 900).count();
                assert_eq!(kept, 20);
                assert!(after.is_sorted());
            }
        }
    }
}

#[test]
fn a_smaller_log_uses_no_more_sectors_than_it_may() {
    let flash = Flash::new(3 + 6 + 2);
    let layout = crate::board::FlashLayout {
        store: 0..3 * 4096,
        log: 3 * 4096..9 * 4096,
        outbox: 9 * 4096..11 * 4096,
    };
    let used = |flash: &Flash| {
        let image = flash.image();
        let log = image[3 * SECTOR..9 * SECTOR].chunks(SECTOR);
        log.map(|sector| sector.iter().any(|&byte| byte != 0xFF))
            .collect::<Vec<_>>()
    };
    let with_size = |size: u32, from: u32, to: u32| {
        let mut memory = crate::storage::StoreMemory::<3584>::new();
        let store = Store::new(&mut memory);
        store.set_log_size(size);
        let mut buffer = [0; 512];
        let log = crate::log::Log::new(&mut buffer);
        let work = async {
            append_numbers(&store, from, to, 9).await;
            numbers(&store).await
        };
        let serve = store.serve(flash.clone(), &layout, &log);
        match embassy_futures::block_on(embassy_futures::select::select(serve, work)) {
            embassy_futures::select::Either::First(never) => match never {},
            embassy_futures::select::Either::Second(found) => found,
        }
    };
    with_size(u32::MAX, 0, 1000);
    assert_eq!(used(&flash), [true; 6]);
    let found = with_size(3 * 4096 + 100, 1000, 1300);
    assert_eq!(used(&flash), [true, true, true, false, false, false]);
    assert!(found.is_sorted() && found.ends_with(&[1298, 1299]));
    let found = with_size(5 * 4096, 1300, 1700);
    assert_eq!(used(&flash), [true, true, true, true, true, false]);
    assert!(found.is_sorted() && found.ends_with(&[1699]));
    with_size(0, 1700, 1701);
    assert_eq!(used(&flash)[2..], [false; 4]);
}

proptest! {
    #[test]
    fn any_content_of_the_ring_can_be_opened_read_and_appended_to(
        seed: u32,
        damage in proptest::collection::vec((3 * SECTOR..5 * SECTOR, 1_usize..300), 0..12),
    ) {
        let flash = chip();
        boot(&flash, async |store| append_numbers(store, 0, 200, 1 + seed % 9).await);
        let mut image = flash.image();
        if seed.is_multiple_of(8) {
            image[3 * SECTOR..5 * SECTOR].copy_from_slice(&noise(seed, 2 * SECTOR));
        }
        for (at, length) in damage {
            let end = (at + length).min(image.len());
            image[at..end].copy_from_slice(&noise(at as u32, end - at));
        }
        let flash = Flash::from_image(image);
        boot(&flash, async |store| {
            assert!(append(store, &entry(7777, 10)).await);
            let mut cursor = LogCursor::START;
            let mut buffer = [0; 256];
            let mut newest = [0; 4];
            while let (length @ 1.., next) = store.log_read(cursor, &mut buffer).await.unwrap() {
                cursor = next;
                newest.copy_from_slice(&buffer[length - 14..length - 10]);
            }
            assert_eq!(newest, 7777_u32.to_le_bytes());
        });
    }
}
