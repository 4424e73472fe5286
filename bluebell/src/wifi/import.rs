//! Takes in `wifi.json`.

use super::known::Known;
use super::{Keep, StoredNetwork};
use crate::log;
use crate::log::Log;
use crate::provision::{self, Provision};

/// What an import has done.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Imported {
    /// Networks that are now stored, unproven.
    pub stored: usize,
    /// Networks that were stored before, with the same password.
    pub known: usize,
    /// Networks that found no room, for good.
    pub refused: usize,
    /// Networks that the store could not read or write: importing again may help.
    pub failed: usize,
}

/// Stores the networks of a `wifi.json` as unproven ones; to be called before [`super::Wifi::run`].
/// When it has returned `Ok` with none `failed`, the caller may erase the file.
///
/// # Errors
///
/// When the file is not what it should be; then nothing of it is stored.
///
/// Cancellation and power cuts: some of the networks are stored; importing again is harmless.
pub async fn import<K: Keep>(
    file: &[u8],
    keep: &K,
    log: &Log<'_>,
) -> Result<Imported, provision::Error> {
    let networks = Provision::new(file)?.networks();
    let mut known = Known::new();
    for slot in Known::slots() {
        if let Ok(Some(network)) = keep.load(slot).await {
            known.set(slot, &network);
        }
    }
    let mut imported = Imported::default();
    'networks: for (ssid, password) in networks {
        for slot in Known::slots() {
            if known.get(slot).is_some_and(|entry| entry.ssid == ssid)
                && let Ok(Some(stored)) = keep.load(slot).await
                && stored.password == password
            {
                imported.known += 1;
                continue 'networks;
            }
        }
        let Some(slot) = known.room_for_unproven(&ssid) else {
            log!(
                log,
                Error,
                "wifi",
                "no room for {ssid} of wifi.json: it is left out"
            );
            imported.refused += 1;
            continue;
        };
        let network = StoredNetwork {
            ssid,
            password,
            proven: false,
            hidden: false,
            used: 0,
            place: None,
        };
        match keep.save(slot, &network).await {
            Ok(()) => {
                known.set(slot, &network);
                imported.stored += 1;
            }
            Err(error) => {
                log!(
                    log,
                    Error,
                    "wifi",
                    "{} of wifi.json is not stored: {error}",
                    network.ssid
                );
                imported.failed += 1;
            }
        }
    }
    Ok(imported)
}
