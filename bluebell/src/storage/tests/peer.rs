//! The store's map beside the one of `sequential-storage`, by which stores were written once.

use embassy_futures::block_on;
use proptest::prelude::*;
use sequential_storage::Error;
use sequential_storage::cache::{Cache, Uncached};
use sequential_storage::map::{Key as PeerKey, MapConfig, MapStorage, SerializationError};
use sim::flash::{Flash, PowerIsOff, SECTOR};
use std::vec::Vec;

use super::{histories, noise};
use crate::storage::Key;
use crate::storage::items::{decode_key, encode_key};
use crate::storage::map::{Map, MapError};
use crate::storage::medium::Medium;

/// A key as `sequential-storage` sees it.
#[derive(Debug, Clone, PartialEq, Eq)]
struct Stored(Key);

impl PeerKey for Stored {
    fn serialize_into(&self, buffer: &mut [u8]) -> Result<usize, SerializationError> {
        let key = encode_key(&self.0, buffer).ok_or(SerializationError::BufferTooSmall)?;
        Ok(key.len())
    }

    fn deserialize_from(buffer: &[u8]) -> Result<(Self, usize), SerializationError> {
        let (key, length) = decode_key(buffer).ok_or(SerializationError::InvalidData)?;
        Ok((Self(key), length))
    }
}

type Peer = MapStorage<Stored, Flash, Cache<Uncached, Uncached, Uncached, Stored>>;

/// The map of `sequential-storage` on all of a chip.
fn peer(flash: &Flash) -> Peer {
    let range = 0..flash.image().len() as u32;
    let config = MapConfig::try_new(range).expect("the chip has two sectors or more");
    MapStorage::new(flash.clone(), config, Cache::new_uncached())
}

fn peer_error(error: Error<PowerIsOff>) -> MapError {
    match error {
        Error::Storage { .. } => MapError::Flash,
        Error::FullStorage => MapError::Full,
        _ => MapError::Damaged,
    }
}

fn store_with_peer(flash: &Flash, key: Key, value: &[u8]) -> Result<(), MapError> {
    let mut work = [0; SECTOR];
    let stored = block_on(peer(flash).store_item(&mut work, &Stored(key), &value));
    stored.map_err(peer_error)
}

fn fetch_with_peer(flash: &Flash, key: Key) -> Result<Option<Vec<u8>>, MapError> {
    let mut work = [0; SECTOR];
    let mut peer = peer(flash);
    let found = block_on(peer.fetch_item::<&[u8]>(&mut work, &Stored(key)));
    found
        .map(|value| value.map(<[u8]>::to_vec))
        .map_err(peer_error)
}

/// Does something with our map on all of a chip.
fn with_ours<T>(flash: &Flash, what: impl AsyncFnOnce(&mut Map<'_, Flash>) -> T) -> T {
    block_on(what(&mut Map {
        medium: &mut Medium::new(flash.clone()),
        range: 0..flash.image().len() as u32,
        work: &mut [0; SECTOR - 8],
    }))
}

fn store_with_ours(flash: &Flash, key: Key, value: &[u8]) -> Result<(), MapError> {
    with_ours(flash, async |map| map.add(&key, value).await)
}

fn fetch_with_ours(flash: &Flash, key: Key) -> Result<Option<Vec<u8>>, MapError> {
    with_ours(flash, async |map| {
        let found = map.fetch(&key).await?;
        Ok(found.map(<[u8]>::to_vec))
    })
}

/// One of the two that stores a value.
type Put = fn(&Flash, Key, &[u8]) -> Result<(), MapError>;

#[derive(Debug, Clone)]
struct Step {
    key: usize,
    length: usize,
    /// Where the power is cut, and who it is cut for.
    cut: Option<(u64, usize, Put)>,
}

fn step() -> impl Strategy<Value = Step> {
    let length = prop_oneof![0_usize..40, 0_usize..400, 400_usize..1100, 3900_usize..4033];
    let put = prop_oneof![Just(store_with_ours as Put), Just(store_with_peer as Put)];
    let cut = (0_u64..8, 0_usize..1100, put);
    (0_usize..6, length, proptest::option::weighted(0.3, cut)).prop_map(|(key, length, cut)| Step {
        key,
        length,
        cut,
    })
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(histories(4)))]

    #[test]
    fn values_lie_byte_for_byte_where_sequential_storage_puts_them_and_finds_them(
        steps in proptest::collection::vec(step(), 1..50), sectors in 2_usize..6,
    ) {
        let mut image = Flash::new(sectors).image();
        for (seed, step) in (0..).zip(&steps) {
            let key = Key::numbered("key", step.key).unwrap();
            let value = noise(seed, step.length);
            if let Some((operations, words, put)) = step.cut {
                let torn = Flash::from_image(image);
                torn.cut_power(operations, words);
                let _ = put(&torn, key, &value);
                image = torn.image();
                continue;
            }
            let [ours, theirs] = [(); 2].map(|()| Flash::from_image(image.clone()));
            let put = store_with_ours(&ours, key, &value);
            prop_assert_eq!(put, store_with_peer(&theirs, key, &value), "step {}", seed);
            for number in 0..6 {
                let key = Key::numbered("key", number).unwrap();
                let found = fetch_with_ours(&ours, key);
                prop_assert_eq!(found, fetch_with_peer(&theirs, key), "{} in step {}", key, seed);
            }
            image = ours.image();
            prop_assert!(image == theirs.image(), "step {}", seed);
        }
    }
}
