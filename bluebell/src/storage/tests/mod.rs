//! The store on simulated flash.

mod clients;
mod cuts;
mod erasures;
mod flips;
mod history;
mod images;
mod log_ring;
mod peer;
mod queue;
mod queue_history;
mod turns;
mod wear;

use std::collections::BTreeMap;
use std::string::String;
use std::vec::Vec;

use embassy_futures::block_on;
use embassy_futures::select::{Either, select};
use sim::flash::{Flash, SECTOR};

use super::{Filled, Key, Place, Store, StoreMemory, Waiting, WriteError};
use crate::board::FlashLayout;
use crate::log::Log;
use crate::log::tests::Console;

/// What a store holds, by key; and the messages that wait, by their place in the order.
type Values = BTreeMap<Key, Vec<u8>>;

/// A store of so many sectors, with a log of two and an outbox of so many behind it.
fn layout(store: usize, outbox: usize) -> FlashLayout {
    let at = |sector: usize| (sector * SECTOR) as u32;
    FlashLayout {
        store: 0..at(store),
        log: at(store)..at(store + 2),
        outbox: at(store + 2)..at(store + 2 + outbox),
    }
}

/// Sectors of the store in most tests.
const SECTORS: usize = 3;
/// Sectors of the outbox in most tests.
const OUTBOX: usize = 3;
/// Sectors of the whole chip in most tests.
const CHIP: usize = SECTORS + 2 + OUTBOX;

fn chip() -> Flash {
    Flash::new(CHIP)
}

/// Boots a device on `flash`, lets it do `what` and cuts its power.
fn boot<T>(flash: &Flash, what: impl AsyncFnOnce(&Store<'_>) -> T) -> T {
    boot_and_log(flash, what).0
}

/// The same, with what was logged.
fn boot_and_log<T>(flash: &Flash, what: impl AsyncFnOnce(&Store<'_>) -> T) -> (T, Vec<String>) {
    let sectors = flash.image().len() / SECTOR;
    boot_with(flash, &layout(sectors - 2 - OUTBOX, OUTBOX), what)
}

/// The same with any layout.
fn boot_with<T>(
    flash: &Flash,
    layout: &FlashLayout,
    what: impl AsyncFnOnce(&Store<'_>) -> T,
) -> (T, Vec<String>) {
    let mut memory = StoreMemory::<3584>::new();
    let store = Store::new(&mut memory);
    let mut buffer = [0; 2048];
    let log = Log::new(&mut buffer);
    block_on(async {
        let done = match select(store.serve(flash.clone(), layout, &log), what(&store)).await {
            Either::First(never) => match never {},
            Either::Second(done) => done,
        };
        let mut console = Console::default();
        select(log.print(&mut console), std::future::ready(())).await;
        (done, console.lines())
    })
}

async fn read(store: &Store<'_>, key: &Key) -> Option<Vec<u8>> {
    let mut buffer = [0; 4096];
    let value = store.get(key, &mut buffer).await.unwrap();
    value.map(<[u8]>::to_vec)
}

async fn everything(store: &Store<'_>) -> Values {
    let mut keys = Vec::new();
    store.keys("", &mut |key| keys.push(*key)).await.unwrap();
    let mut values = Values::new();
    for key in keys {
        values.insert(key, read(store, &key).await.unwrap());
    }
    let mut waiting = waiting(store).await;
    for (number, (_, message)) in waiting.drain(..).enumerate() {
        values.insert(message_key(number), message);
    }
    values
}

fn message_key(number: usize) -> Key {
    Key::numbered("~waiting", 1000 + number).unwrap()
}

/// The messages that wait, name and body in one, in their order.
async fn waiting(store: &Store<'_>) -> Vec<(Place, Vec<u8>)> {
    let mut found: Vec<(Place, Vec<u8>)> = Vec::new();
    loop {
        let after = found.last().map_or(0, |(place, _)| place.sequence);
        let mut take = |waiting: Waiting<'_>| {
            found.push((waiting.place, [waiting.name, waiting.body].concat()));
        };
        if !store.next_waiting(after, &mut take).await.unwrap() {
            return found;
        }
    }
}

/// Has a message wait; its name is its first two bytes.
async fn push(store: &Store<'_>, message: &[u8], latest: bool) -> Result<Place, WriteError> {
    let mut fill = |buffer: &mut [u8]| {
        if let Some(place) = buffer.get_mut(..message.len()) {
            place.copy_from_slice(message);
        }
        Some(Filled {
            name: 2,
            length: message.len(),
            latest,
        })
    };
    store.push(&mut fill).await.map(Option::unwrap)
}

/// How many random histories a test lives through: a share in `share` of `BLUEBELL_HISTORIES`, which is
/// 2,000 where it is not set.
fn histories(share: u32) -> u32 {
    let set = std::env::var("BLUEBELL_HISTORIES").ok();
    let all = set.map_or(2_000, |count| {
        count.parse().expect("BLUEBELL_HISTORIES is a number")
    });
    all / share
}

/// Bytes that occur nowhere else.
fn noise(seed: u32, length: usize) -> Vec<u8> {
    let mut state = seed.wrapping_mul(0x9E37_79B9) | 1;
    let next = || {
        state ^= state << 13;
        state ^= state >> 17;
        state ^= state << 5;
        (state >> 24) as u8
    };
    std::iter::repeat_with(next).take(length).collect()
}
