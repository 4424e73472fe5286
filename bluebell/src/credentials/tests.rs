//! The vault over a store on simulated flash.

use std::cell::Cell;
use std::vec::Vec;

use embassy_futures::block_on;
use embassy_futures::select::{Either, select};
use proptest::prelude::*;
use sim::flash::{Flash, SECTOR};

use super::{OVERHEAD, OpenError, SECRET_MOST, SealError, Vault};
use crate::board::{FlashLayout, System};
use crate::log::Log;
use crate::storage::{Key, Store, StoreMemory};

const A: Key = Key::literal("wifi/0");
const B: Key = Key::literal("wifi/1");

/// Entropy that never repeats in one test.
struct Machine(Cell<u64>);

impl System for Machine {
    fn entropy(&self, bytes: &mut [u8]) {
        for byte in bytes {
            let state = self
                .0
                .get()
                .wrapping_mul(6_364_136_223_846_793_005)
                .wrapping_add(1);
            self.0.set(state);
            *byte = (state >> 56) as u8;
        }
    }

    fn hardware_address(&self) -> [u8; 6] {
        [2, 0, 0, 0, 0, 1]
    }
}

fn boot<T>(flash: &Flash, seed: u64, what: impl AsyncFnOnce(&Store<'_>, &Vault<'_>) -> T) -> T {
    let layout = FlashLayout {
        store: 0..3 * SECTOR as u32,
        log: 3 * SECTOR as u32..5 * SECTOR as u32,
        outbox: 5 * SECTOR as u32..7 * SECTOR as u32,
    };
    let mut memory = StoreMemory::<1024>::new();
    let store = Store::new(&mut memory);
    let mut buffer = [0; 512];
    let log = Log::new(&mut buffer);
    let machine = Machine(Cell::new(seed));
    let work = async {
        let vault = Vault::open(&store, &machine).await.unwrap();
        what(&store, &vault).await
    };
    match block_on(select(store.serve(flash.clone(), &layout, &log), work)) {
        Either::First(never) => match never {},
        Either::Second(done) => done,
    }
}

async fn secret(
    vault: &Vault<'_>,
    store: &Store<'_>,
    key: &Key,
    associated: &[u8],
) -> Result<Option<Vec<u8>>, OpenError> {
    let mut buffer = [0; SECRET_MOST + OVERHEAD];
    let found = vault.get_secret(store, key, associated, &mut buffer).await;
    found.map(|found| found.map(<[u8]>::to_vec))
}

async fn raw(store: &Store<'_>, key: &Key) -> Vec<u8> {
    let mut buffer = [0; 256];
    store.get(key, &mut buffer).await.unwrap().unwrap().to_vec()
}

#[test]
fn a_secret_is_found_after_a_reboot_and_stands_nowhere_in_clear() {
    let flash = Flash::new(7);
    let password = b"correct horse battery";
    boot(&flash, 1, async |store, vault| {
        vault
            .put_secret(store, &A, b"home", password)
            .await
            .unwrap();
        vault.put_secret(store, &B, b"home", b"").await.unwrap();
    });
    for part in password.windows(6) {
        assert!(!flash.contains(part));
    }
    boot(&flash, 2, async |store, vault| {
        let found = secret(vault, store, &A, b"home").await;
        assert_eq!(found.unwrap().unwrap(), password);
        assert_eq!(
            secret(vault, store, &B, b"home").await,
            Ok(Some(Vec::new()))
        );
        assert_eq!(
            secret(vault, store, &Key::literal("c"), b"").await,
            Ok(None)
        );
        let found = raw(store, &A).await;
        store.forget(&A).await.unwrap();
        assert_eq!(secret(vault, store, &A, b"home").await, Ok(None));
        for part in found.chunks(8).filter(|part| part.len() == 8) {
            assert!(!flash.contains(part), "the sealed text is overwritten too");
        }
    });
}

#[test]
fn equal_secrets_are_sealed_differently_each_time() {
    boot(&Flash::new(7), 1, async |store, vault| {
        let mut sealed = Vec::new();
        for key in [A, B, A, B] {
            vault
                .put_secret(store, &key, b"home", b"password")
                .await
                .unwrap();
            sealed.push(raw(store, &key).await);
        }
        for (index, one) in sealed.iter().enumerate() {
            for other in &sealed[index + 1..] {
                assert!(one.iter().zip(other).filter(|(a, b)| a == b).count() < 12);
            }
        }
    });
}

#[test]
fn a_secret_that_was_moved_swapped_or_brought_from_elsewhere_is_refused() {
    let flash = Flash::new(7);
    let stolen = boot(&flash, 1, async |store, vault| {
        vault.put_secret(store, &A, b"home", b"one").await.unwrap();
        vault.put_secret(store, &B, b"work", b"two").await.unwrap();
        let (a, b) = (raw(store, &A).await, raw(store, &B).await);
        assert_eq!(
            secret(vault, store, &A, b"work").await,
            Err(OpenError::Refused)
        );
        assert_eq!(secret(vault, store, &A, b"").await, Err(OpenError::Refused));
        store.put(&A, &b).await.unwrap();
        store.put(&B, &a).await.unwrap();
        for (key, associated) in [(A, b"home"), (A, b"work"), (B, b"home"), (B, b"work")] {
            let found = secret(vault, store, &key, associated).await;
            assert_eq!(found, Err(OpenError::Refused));
        }
        // A boundary between key and associated bytes that moves is noticed, too.
        vault.put_secret(store, &A, b"1x", b"one").await.unwrap();
        let moved = raw(store, &A).await;
        let longer = Key::literal("wifi/01");
        store.put(&longer, &moved).await.unwrap();
        assert_eq!(
            secret(vault, store, &longer, b"x").await,
            Err(OpenError::Refused)
        );
        moved
    });
    boot(&Flash::new(7), 3, async |store, vault| {
        store.put(&A, &stolen).await.unwrap();
        assert_eq!(
            secret(vault, store, &A, b"1x").await,
            Err(OpenError::Refused)
        );
    });
}

#[test]
fn a_secret_that_was_altered_at_any_bit_or_cut_short_is_refused_and_wiped() {
    boot(&Flash::new(7), 1, async |_, vault| {
        let mut sealed = [0; 64];
        let sealed = vault.seal(&A, b"home", b"password", &mut sealed).unwrap();
        for bit in 0..sealed.len() * 8 {
            let mut altered = sealed.to_vec();
            altered[bit / 8] ^= 1 << (bit % 8);
            assert_eq!(
                vault.open_in_place(&A, b"home", &mut altered),
                Err(OpenError::Refused)
            );
            assert!(altered.iter().all(|&byte| byte == 0));
        }
        for length in 0..sealed.len() {
            let mut short = sealed[..length].to_vec();
            assert_eq!(
                vault.open_in_place(&A, b"home", &mut short),
                Err(OpenError::Refused)
            );
        }
    });
}

#[test]
fn what_does_not_fit_is_refused() {
    boot(&Flash::new(7), 1, async |store, vault| {
        let most = [7; SECRET_MOST];
        vault.put_secret(store, &A, b"", &most).await.unwrap();
        assert_eq!(secret(vault, store, &A, b"").await, Ok(Some(most.to_vec())));
        let long = vault
            .put_secret(store, &A, b"", &[7; SECRET_MOST + 1])
            .await;
        assert_eq!(long, Err(SealError::TooLong));
        assert_eq!(
            vault.seal(&A, b"", b"1", &mut [0; OVERHEAD]),
            Err(SealError::TooLong)
        );
    });
}

#[test]
fn derived_bytes_stay_the_same_for_a_device_and_differ_for_everything_else() {
    let flash = Flash::new(7);
    let derive =
        |flash: &Flash, seed, purpose| boot(flash, seed, async |_, vault| vault.derive(purpose));
    let one = derive(&flash, 1, "access point");
    assert_eq!(derive(&flash, 2, "access point"), one);
    assert_ne!(derive(&flash, 1, "client id"), one);
    assert_ne!(derive(&Flash::new(7), 2, "access point"), one);
    assert!(!flash.contains(&one));
}

#[test]
fn nothing_secret_is_shown_for_debugging() {
    boot(&Flash::new(7), 1, async |_, vault| {
        assert_eq!(std::format!("{vault:?}"), "Vault(***)");
    });
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(32))]

    #[test]
    fn every_secret_comes_back_under_its_key_and_associated_bytes_only(
        text in proptest::collection::vec(any::<u8>(), 0..SECRET_MOST),
        associated in proptest::collection::vec(any::<u8>(), 0..64),
        other in proptest::collection::vec(any::<u8>(), 0..64),
    ) {
        boot(&Flash::new(7), 1, async |store, vault| {
            vault.put_secret(store, &A, &associated, &text).await.unwrap();
            assert_eq!(secret(vault, store, &A, &associated).await, Ok(Some(text)));
            if other != associated {
                assert_eq!(secret(vault, store, &A, &other).await, Err(OpenError::Refused));
            }
        });
    }
}
