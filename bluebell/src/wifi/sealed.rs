//! Networks in the device's store: the name in clear, everything else sealed under it.
//!
//! The value of `wifi/<slot>`: a version byte, the name's length in one byte, the name, and sealed with
//! the name as associated data: flags (1 proven, 2 hidden), the count of uses (4 bytes, little endian),
//! the channel (0: no place is known), the hardware address (6 bytes), and the password to the end.

use zeroize::Zeroizing;

use super::{Keep, KeepError, Password, Place, Ssid, StoredNetwork};
use crate::credentials::{OVERHEAD, Vault};
use crate::pieces::put;
use crate::storage::{Key, ReadError, Store, WriteError};

const VERSION: u8 = 1;
const PROVEN: u8 = 1;
const HIDDEN: u8 = 2;

/// Flags, count, channel and hardware address.
const FIXED: usize = 12;
const MOST_PLAIN: usize = FIXED + 64;
const MOST_HEAD: usize = 2 + 32;
const MOST: usize = MOST_HEAD + MOST_PLAIN + OVERHEAD;

/// Keeps networks in `store`, sealed by `vault`.
#[derive(Clone, Copy)]
pub struct SealedNetworks<'a, 'm, 'b> {
    store: &'a Store<'m>,
    vault: &'a Vault<'b>,
}

impl<'a, 'm, 'b> SealedNetworks<'a, 'm, 'b> {
    /// Networks in this store.
    #[must_use]
    pub const fn new(store: &'a Store<'m>, vault: &'a Vault<'b>) -> Self {
        Self { store, vault }
    }

    fn open(&self, key: &Key, value: &mut [u8]) -> Option<StoredNetwork> {
        let [VERSION, length, rest @ ..] = value else {
            return None;
        };
        let (name, sealed) = rest.split_at_mut_checked(usize::from(*length))?;
        let ssid = Ssid::new(core::str::from_utf8(name).ok()?).ok()?;
        let plain = self.vault.open_in_place(key, name, sealed).ok()?;
        let (fixed, password) = plain.split_first_chunk::<FIXED>()?;
        let [flags, u0, u1, u2, u3, channel, bssid @ ..] = *fixed;
        Some(StoredNetwork {
            ssid,
            password: Password::new(core::str::from_utf8(password).ok()?).ok()?,
            proven: flags & PROVEN != 0,
            hidden: flags & HIDDEN != 0,
            used: u32::from_le_bytes([u0, u1, u2, u3]),
            place: (channel != 0).then_some(Place { bssid, channel }),
        })
    }

    fn seal<'v>(
        &self,
        key: &Key,
        network: &StoredNetwork,
        value: &'v mut [u8; MOST],
    ) -> Option<&'v [u8]> {
        let mut plain = Zeroizing::new([0; MOST_PLAIN]);
        let password = network.password.reveal().as_bytes();
        let flags = u8::from(network.proven) * PROVEN + u8::from(network.hidden) * HIDDEN;
        let (channel, bssid) = network
            .place
            .map_or((0, [0; 6]), |place| (place.channel, place.bssid));
        let used = network.used.to_le_bytes();
        let length = put(
            &mut plain[..],
            &[&[flags], &used, &[channel], &bssid, password],
        )?;
        let name = network.ssid.as_str().as_bytes();
        let head = put(value, &[&[VERSION, u8::try_from(name.len()).ok()?], name])?;
        let plain = plain.get(..length)?;
        let sealed = value.get_mut(head..)?;
        let sealed = self.vault.seal(key, name, plain, sealed).ok()?.len();
        value.get(..head + sealed)
    }
}

fn key(slot: u8) -> Result<Key, KeepError> {
    Key::numbered("wifi", usize::from(slot)).ok_or(KeepError::Full)
}

impl Keep for SealedNetworks<'_, '_, '_> {
    async fn load(&self, slot: u8) -> Result<Option<StoredNetwork>, KeepError> {
        let key = key(slot)?;
        let mut value = Zeroizing::new([0; MOST]);
        let length = match self.store.get(&key, &mut *value).await {
            Ok(Some(stored)) => stored.len(),
            Ok(None) => return Ok(None),
            Err(ReadError::BufferTooSmall { .. }) => return Err(KeepError::Damaged),
            Err(ReadError::Flash) => return Err(KeepError::Flash),
        };
        self.open(&key, &mut value[..length])
            .map(Some)
            .ok_or(KeepError::Damaged)
    }

    async fn save(&self, slot: u8, network: &StoredNetwork) -> Result<(), KeepError> {
        let key = key(slot)?;
        let mut value = [0; MOST];
        let value = self
            .seal(&key, network, &mut value)
            .ok_or(KeepError::Full)?;
        self.store.put_secret(&key, value).await.map_err(refused)
    }

    async fn forget(&self, slot: u8) -> Result<(), KeepError> {
        self.store.forget(&key(slot)?).await.map_err(refused)
    }
}

fn refused(error: WriteError) -> KeepError {
    match error {
        WriteError::Flash => KeepError::Flash,
        WriteError::Full | WriteError::TooLong { .. } => KeepError::Full,
    }
}
