//! A whole flash image at boot, whatever is on it: the store opens, repairs or begins afresh, says which of them in
//! advance, and then keeps what it is given. What the damage did not touch is what it was.

use std::collections::BTreeMap;

use bluebell::board::FlashLayout;
use bluebell::log::Log;
use bluebell::storage::{
    Condition, Filled, Key, LogCursor, Place, Store, StoreMemory, Unreadable, Waiting, WriteError,
    inspect, write,
};
use embassy_futures::block_on;
use embassy_futures::select::{Either, select};
use sim::flash::{Flash, SECTOR};

const STORE: usize = 2;
const LOG: usize = 2;
const OUTBOX: usize = 2;
const IMAGE: usize = (STORE + LOG + OUTBOX) * SECTOR;

const LAYOUT: FlashLayout = FlashLayout {
    store: 0..(STORE * SECTOR) as u32,
    log: (STORE * SECTOR) as u32..((STORE + LOG) * SECTOR) as u32,
    outbox: ((STORE + LOG) * SECTOR) as u32..IMAGE as u32,
};

const MESSAGE: &[u8] = b"a message";

const SECRET: &[u8] = b"nowhere else";

const NEW: Key = Key::literal("new");

/// What is on an image: values by key, and the messages that wait.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
struct Content {
    values: BTreeMap<String, Vec<u8>>,
    waiting: Vec<Vec<u8>>,
}

/// A byte for the image to begin with, of which bit 7 has a value put in before boot and bit 6 has everything looked
/// at; then damages of four bytes and what each of them takes.
pub(crate) fn run(input: &[u8]) {
    let Some((base, mut damages)) = input.split_first() else {
        return;
    };
    let (mut image, mut expected) = BASES.with(|bases| {
        let (image, content) = &bases[usize::from(base & 0x3F) % bases.len()];
        (image.clone(), Some(content.clone()))
    });
    let before = image.clone();
    while let Some(([kind, low, high, length], rest)) = damages.split_first_chunk() {
        let at = usize::from(u16::from_le_bytes([*low, *high])) % IMAGE;
        let taken = damage(&mut image, *kind, at, usize::from(*length), rest);
        damages = &rest[taken..];
    }
    for part in [&LAYOUT.store, &LAYOUT.outbox] {
        let part = part.start as usize..part.end as usize;
        expected = expected.filter(|_| image[part.clone()] == before[part]);
    }
    let flash = Flash::from_image(image);
    let found = block_on(inspect(&mut flash.clone(), &LAYOUT));
    assert_eq!(flash.counts().operations, 0, "looking changes nothing");
    if base & 0x80 != 0 {
        put_in_before_boot(&flash, found);
    } else {
        // An input may have put it there, also together with what lay beside it.
        let given = contains(input, SECRET) || contains(&flash.image(), SECRET);
        boots(&flash, found, base & 0x40 != 0, expected);
        assert!(
            given || !contains(&flash.image(), SECRET),
            "what was forgotten is overwritten"
        );
    }
}

fn put_in_before_boot(flash: &Flash, found: Result<Condition, Unreadable>) {
    match block_on(write(&mut flash.clone(), &LAYOUT, &NEW, b"offline")) {
        Ok(()) => {
            assert!(found.is_ok());
            let there = boot(flash, async |store| value(store).await);
            assert_eq!(there.as_deref(), Some(&b"offline"[..]));
        }
        Err(_) => assert_ne!(found, Ok(Condition::Blank), "a blank image takes a value"),
    }
}

fn boots(
    flash: &Flash,
    found: Result<Condition, Unreadable>,
    whole: bool,
    expected: Option<Content>,
) {
    boot(flash, async |store| {
        if whole {
            let before = everything(store).await;
            assert!(
                found.is_ok() || before.values.is_empty(),
                "what is not readable is erased"
            );
            if let Some(expected) = &expected {
                assert_eq!(before, *expected, "what was not touched is there");
            }
        }
        store
            .put(&NEW, b"value")
            .await
            .expect("a store can be written to");
        store
            .put_secret(&NEW, SECRET)
            .await
            .expect("a store can be written to");
        let _ = read_log(store).await;
        let mut fill = |buffer: &mut [u8]| {
            buffer[..5].copy_from_slice(b"\x04line");
            5
        };
        store
            .log_append(&mut fill)
            .await
            .expect("a log takes a line");
        assert!(read_log(store).await, "the line is there");
        if push(store, MESSAGE).await.is_err() {
            store.settle_all().await.expect("messages can be settled");
            push(store, MESSAGE)
                .await
                .expect("an empty outbox takes a message");
        }
    });
    // The next boot finds what was put, and the rest as it was.
    boot(flash, async |store| {
        assert_eq!(value(store).await.as_deref(), Some(SECRET));
        let (last, place) = waiting(store).await.pop().expect("a message waits");
        assert_eq!(last, MESSAGE);
        if let Some(mut expected) = expected.filter(|_| whole) {
            expected.values.insert("new".to_owned(), SECRET.to_vec());
            expected.waiting.push(MESSAGE.to_vec());
            assert_eq!(everything(store).await, expected);
        }
        store.settle(place).await.expect("a message can be settled");
        store.forget(&NEW).await.expect("a value can be forgotten");
        assert_eq!(value(store).await, None);
        let left = waiting(store).await;
        assert!(
            left.iter().all(|(_, other)| *other != place),
            "a settled message waits again"
        );
    });
}

async fn push(store: &Store<'_>, message: &[u8]) -> Result<(), WriteError> {
    let mut fill = |buffer: &mut [u8]| {
        buffer[..message.len()].copy_from_slice(message);
        Some(Filled {
            name: 1,
            length: message.len(),
            latest: false,
        })
    };
    store
        .push(&mut fill)
        .await
        .map(|placed| assert!(placed.is_some()))
}

/// The messages that wait, in their order.
async fn waiting(store: &Store<'_>) -> Vec<(Vec<u8>, Place)> {
    let mut found: Vec<(Vec<u8>, Place)> = Vec::new();
    loop {
        let after = found.last().map_or(0, |(_, place)| place.sequence);
        let mut take = |message: Waiting<'_>| {
            assert!(
                message.place.sequence > after,
                "messages come in their order"
            );
            found.push(([message.name, message.body].concat(), message.place));
        };
        let more = store.next_waiting(after, &mut take).await;
        if !more.expect("messages can be read") {
            return found;
        }
    }
}

async fn value(store: &Store<'_>) -> Option<Vec<u8>> {
    let mut buffer = [0; 1024];
    let value = store.get(&NEW, &mut buffer).await;
    value.expect("a value can be read").map(<[u8]>::to_vec)
}

/// Whether the bytes stand somewhere. Byte by byte: libFuzzer looks into every comparison of slices.
fn contains(haystack: &[u8], needle: &[u8]) -> bool {
    let is_there =
        |from: &[u8]| from.len() >= needle.len() && needle.iter().zip(from).all(|(a, b)| a == b);
    (0..haystack.len()).any(|at| is_there(&haystack[at..]))
}

/// Does one damage and says how many bytes of the input it takes.
fn damage(image: &mut [u8], kind: u8, at: usize, length: usize, input: &[u8]) -> usize {
    let end = (at + 16 * length).min(IMAGE);
    let given = &input[..length.min(input.len()).min(IMAGE - at)];
    match kind % 8 {
        0 => image[at..at + given.len()].copy_from_slice(given),
        // Bits are only cleared, as a torn write does.
        1 => {
            let cells = image[at..].iter_mut().zip(given);
            cells.for_each(|(cell, byte)| *cell &= byte);
        }
        2 => image[at..end].fill(0xFF),
        3 => image[at..end].fill(0),
        4 => image[at] ^= 1 << (length % 8),
        5 => {
            let to = at / 2 / 4 * 4;
            image.copy_within(at..end.min(at + 256), to.min(IMAGE - 256));
        }
        6 => {
            let mut state = at as u32 | 1;
            for cell in &mut image[at..end] {
                state = state.wrapping_mul(0x0019_660D).wrapping_add(0x3C6E_F35F);
                *cell = (state >> 24) as u8;
            }
        }
        // The marks of a sector's state, in its first and its last word.
        _ => {
            let sector = at / SECTOR * SECTOR;
            let mark = sector + if length & 1 == 0 { 0 } else { SECTOR - 4 };
            image[mark..mark + 4].fill(if length & 2 == 0 { 0 } else { 0xFF });
        }
    }
    if kind % 8 < 2 { given.len() } else { 0 }
}

thread_local! {
    /// Made once: images with what is in them.
    static BASES: Vec<(Vec<u8>, Content)> = bases();
}

fn bases() -> Vec<(Vec<u8>, Content)> {
    let blank = || Flash::new(STORE + LOG + OUTBOX);
    let made = |puts: usize, lines: usize, messages: usize| {
        let flash = blank();
        let content = boot(&flash, async |store| {
            for number in 0..puts {
                let key = Key::numbered("k", number % 5).expect("a key");
                let value = vec![number as u8; 20 + number * 37 % 300];
                store.put(&key, &value).await.expect("there is room");
                if number % 4 == 3 {
                    store
                        .put_secret(&key, b"a secret")
                        .await
                        .expect("there is room");
                }
            }
            for number in 0..lines {
                let mut fill = |buffer: &mut [u8]| {
                    buffer[0] = 60;
                    buffer[1..61].fill(b'a' + (number % 26) as u8);
                    61
                };
                store
                    .log_append(&mut fill)
                    .await
                    .expect("a log takes a line");
            }
            for number in 0..messages {
                let message = vec![b'A' + number as u8; 10 + number * 41 % 200];
                push(store, &message).await.expect("there is room");
                if number % 3 != 0 {
                    let (_, place) = waiting(store).await.swap_remove(0);
                    store.settle(place).await.expect("a message can be settled");
                }
            }
            everything(store).await
        });
        (flash.image(), content)
    };
    vec![
        (blank().image(), Content::default()),
        made(0, 0, 0),
        made(6, 3, 2),
        // One sector is full and the next one in use; the log has gone round.
        made(40, 200, 60),
        made(19, 70, 9),
        (vec![0; IMAGE], Content::default()),
    ]
}

/// Boots on `flash`, does `what` and cuts the power.
fn boot<T>(flash: &Flash, what: impl AsyncFnOnce(&Store<'_>) -> T) -> T {
    let mut memory = StoreMemory::<1024>::new();
    let store = Store::new(&mut memory);
    let mut buffer = [0; 256];
    let log = Log::new(&mut buffer);
    match block_on(select(
        store.serve(flash.clone(), &LAYOUT, &log),
        what(&store),
    )) {
        Either::First(never) => match never {},
        Either::Second(done) => done,
    }
}

/// All values that fit the device's memory; with damage there may be longer ones.
async fn everything(store: &Store<'_>) -> Content {
    let mut keys = Vec::new();
    let listed = store.keys("", &mut |key| keys.push(*key)).await;
    listed.expect("keys can be listed");
    assert!(keys.is_sorted(), "keys come in their order");
    let mut values = BTreeMap::new();
    let mut buffer = [0; 1024];
    for key in keys {
        match store.get(&key, &mut buffer).await {
            Ok(Some(value)) => drop(values.insert(key.as_str().to_owned(), value.to_vec())),
            Ok(None) => panic!("{} is listed and not there", key.as_str()),
            Err(_) => {}
        }
    }
    let waiting = waiting(store).await;
    Content {
        values,
        waiting: waiting.into_iter().map(|(message, _)| message).collect(),
    }
}

/// Reads the log to its end, and says whether the last line is the one that was written here.
async fn read_log(store: &Store<'_>) -> bool {
    let mut buffer = [0; 256];
    let mut cursor = LogCursor::START;
    let mut last = Vec::new();
    let mut bytes = 0;
    loop {
        let (length, next) = store
            .log_read(cursor, &mut buffer)
            .await
            .expect("a log can be read");
        if length == 0 {
            return last == b"line";
        }
        cursor = next;
        bytes += length;
        assert!(bytes <= LOG * SECTOR, "the log has more than it can hold");
        let mut entries = &buffer[..length];
        while let Some((length, rest)) = entries.split_first() {
            let (entry, rest) = rest.split_at(usize::from(*length));
            last = entry.to_vec();
            entries = rest;
        }
    }
}
