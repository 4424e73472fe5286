//! Sealed secrets: what was sealed is opened under its own name alone, and anything else is refused and wiped.

use std::cell::Cell;

use bluebell::board::System;
use bluebell::credentials::{OVERHEAD, Vault};
use bluebell::storage::Key;

const KEY: Key = Key::literal("wifi/0");
const OTHER: Key = Key::literal("wifi/1");

/// Entropy that is another each time.
#[derive(Default)]
struct Machine(Cell<u8>);

impl System for Machine {
    fn entropy(&self, bytes: &mut [u8]) {
        self.0.set(self.0.get().wrapping_add(1));
        bytes.fill(self.0.get());
    }

    fn hardware_address(&self) -> [u8; 6] {
        [2, 0, 0, 0, 0, 1]
    }
}

/// Two bytes that say which bit is changed, then bytes that are opened as they are, and sealed.
pub(crate) fn run(input: &[u8]) {
    let Some((place, bytes)) = input.split_first_chunk() else {
        return;
    };
    let machine = Machine::default();
    let vault = Vault::for_this_boot(&machine);
    let refused = |key: &Key, associated: &[u8], mut sealed: Vec<u8>| {
        assert!(vault.open_in_place(key, associated, &mut sealed).is_err());
        assert!(
            sealed.iter().all(|byte| *byte == 0),
            "what is refused is wiped"
        );
    };
    refused(&KEY, b"", bytes.to_vec());
    let seal = || {
        let mut sealed = vec![0; bytes.len() + OVERHEAD];
        let length = vault
            .seal(&KEY, b"place", bytes, &mut sealed)
            .map(<[u8]>::len);
        assert_eq!(length.ok(), Some(sealed.len()));
        sealed
    };
    let sealed = seal();
    assert_ne!(sealed, seal(), "the same again is told from it");
    refused(&OTHER, b"place", sealed.clone());
    refused(&KEY, b"elsewhere", sealed.clone());
    let place = usize::from(u16::from_le_bytes(*place)) % (8 * sealed.len());
    let mut changed = sealed.clone();
    changed[place / 8] ^= 1 << (place % 8);
    refused(&KEY, b"place", changed);
    refused(&KEY, b"place", sealed[..place / 8].to_vec());
    let another = Vault::for_this_boot(&machine);
    assert!(
        another
            .open_in_place(&KEY, b"place", &mut sealed.clone())
            .is_err()
    );
    let mut opened = sealed;
    let text = vault.open_in_place(&KEY, b"place", &mut opened);
    assert_eq!(text.ok(), Some(bytes));
}
