//! The store on simulated flash.

mod clients;
mod cuts;
mod history;
mod images;
mod log_ring;

use std::collections::BTreeMap;
use std::string::String;
use std::vec::Vec;

use embassy_futures::block_on;
use embassy_futures::select::{Either, select};
use sim::flash::{Flash, SECTOR};

use super::{Key, Store, StoreMemory};
use crate::board::FlashLayout;
use crate::log::Log;
use crate::log::tests::Console;

/// What a store holds, by key.
type Values = BTreeMap<Key, Vec<u8>>;

fn layout(store: usize, log: usize) -> FlashLayout {
    let end = (store * SECTOR) as u32;
    FlashLayout {
        store: 0..end,
        log: end..end + (log * SECTOR) as u32,
    }
}

/// Sectors of the store in most tests; two more are for the log.
const SECTORS: usize = 3;

fn chip() -> Flash {
    Flash::new(SECTORS + 2)
}

/// Boots a device on `flash`, lets it do `what` and cuts its power.
fn boot<T>(flash: &Flash, what: impl AsyncFnOnce(&Store<'_>) -> T) -> T {
    boot_and_log(flash, what).0
}

/// The same, with what was logged.
fn boot_and_log<T>(flash: &Flash, what: impl AsyncFnOnce(&Store<'_>) -> T) -> (T, Vec<String>) {
    let sectors = flash.image().len() / SECTOR;
    let layout = layout(sectors - 2, 2);
    let mut memory = StoreMemory::<3584>::new();
    let store = Store::new(&mut memory);
    let mut buffer = [0; 2048];
    let log = Log::new(&mut buffer);
    block_on(async {
        let done = match select(store.serve(flash.clone(), &layout, &log), what(&store)).await {
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
    values
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
