//! Sealing under a key of this one device.
//!
//! Guarantees: equal texts become different sealed ones; a sealed text that was altered, moved to another
//! key, given other associated bytes or brought to another device is refused; keys and texts are wiped
//! from the memory that this module holds.
//!
//! ChaCha20-Poly1305 (RFC 8439) with a random nonce, under a key by HKDF-SHA-256 (RFC 5869) from 32 random
//! bytes that are made at first boot. These lie in the store: who can read out the whole flash can open
//! everything. Sealing keeps secrets out of copies of single records; the chip's flash encryption, where
//! it has one, keeps them from someone who holds the chip.

use core::fmt;

use chacha20poly1305::{AeadInPlace, ChaCha20Poly1305, KeyInit};
use hkdf::SimpleHkdf;
use sha2::{Digest, Sha256};
use zeroize::{Zeroize, Zeroizing};

use crate::board::System;
use crate::pieces::put;
use crate::storage::{Key, ReadError, Store, WriteError};

/// Where the device's own secret is stored.
const DEVICE_SECRET: Key = Key::literal("device/secret");

/// The bytes of the device's secret, and of every key.
const KEY: usize = 32;

const NONCE: usize = 12;
const TAG: usize = 16;

/// The first byte of a sealed text: how it was sealed.
const VERSION: u8 = 1;

/// What keys are derived for, ahead of the purpose; nobody else's purpose begins so.
const DOMAIN: &[u8] = b"bluebell 1 ";

/// How many bytes a sealed text is longer than the text: version, nonce and tag.
pub const OVERHEAD: usize = 1 + NONCE + TAG;

/// The most bytes that [`Vault::put_secret`] takes.
pub const SECRET_MOST: usize = 128;

/// Seals texts under a key that only this device has, and opens them again.
pub struct Vault<'b> {
    system: &'b dyn System,
    secret: Zeroizing<[u8; KEY]>,
    /// Derived from the secret once: that takes longer than sealing a password.
    sealing: Zeroizing<[u8; KEY]>,
}

impl fmt::Debug for Vault<'_> {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str("Vault(***)")
    }
}

/// Why there is no vault: the device's own secret could neither be read nor made.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum VaultError {
    /// It could not be read.
    Read(ReadError),
    /// It could not be stored.
    Write(WriteError),
}

/// Why a text could not be sealed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum SealError {
    /// The text or the place for it has the wrong size.
    TooLong,
    /// It was sealed and could not be stored.
    Write(WriteError),
}

/// Why a sealed text could not be opened.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum OpenError {
    /// It was altered, moved from another key, or sealed by another device or for something else.
    Refused,
    /// It could not be read.
    Read(ReadError),
}

impl fmt::Display for VaultError {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str("no secrets can be kept: ")?;
        match self {
            Self::Read(error) => error.fmt(formatter),
            Self::Write(error) => error.fmt(formatter),
        }
    }
}

impl core::error::Error for VaultError {}

impl fmt::Display for SealError {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::TooLong => write!(
                formatter,
                "the secret does not fit: it may have {SECRET_MOST} bytes"
            ),
            Self::Write(error) => error.fmt(formatter),
        }
    }
}

impl core::error::Error for SealError {}

impl fmt::Display for OpenError {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Refused => {
                formatter.write_str("the secret is damaged or not this device's: enter it again")
            }
            Self::Read(error) => error.fmt(formatter),
        }
    }
}

impl core::error::Error for OpenError {}

impl<'b> Vault<'b> {
    /// Reads the device's secret from the store; on first boot makes one.
    ///
    /// # Errors
    ///
    /// When the store fails.
    pub async fn open(store: &Store<'_>, system: &'b dyn System) -> Result<Self, VaultError> {
        let mut secret = Zeroizing::new([0; KEY]);
        let found = store.get(&DEVICE_SECRET, &mut *secret).await;
        let whole = match found {
            Ok(found) => found.is_some_and(|found| found.len() == KEY),
            // It is not one of ours, and what was sealed under ours is lost.
            Err(ReadError::BufferTooSmall { .. }) => false,
            Err(error) => return Err(VaultError::Read(error)),
        };
        if !whole {
            system.entropy(&mut *secret);
            store
                .put_secret(&DEVICE_SECRET, &*secret)
                .await
                .map_err(VaultError::Write)?;
        }
        Ok(Self::of(system, secret))
    }

    /// A vault that lasts for this boot, for a device whose flash has failed: it works, and keeps
    /// nothing.
    #[must_use]
    pub fn for_this_boot(system: &'b dyn System) -> Self {
        let mut secret = Zeroizing::new([0; KEY]);
        system.entropy(&mut *secret);
        Self::of(system, secret)
    }

    fn of(system: &'b dyn System, secret: Zeroizing<[u8; KEY]>) -> Self {
        Self {
            system,
            sealing: Zeroizing::new(expand(&secret, b"seal", "")),
            secret,
        }
    }

    /// Seals `plaintext` into `sealed`, which takes [`OVERHEAD`] bytes more, and returns the part used.
    ///
    /// It can only be opened under the same `key` with the same `associated` bytes.
    ///
    /// # Errors
    ///
    /// When `sealed` is too short.
    pub fn seal<'s>(
        &self,
        key: &Key,
        associated: &[u8],
        plaintext: &[u8],
        sealed: &'s mut [u8],
    ) -> Result<&'s [u8], SealError> {
        let sealed = sealed
            .get_mut(..plaintext.len().saturating_add(OVERHEAD))
            .ok_or(SealError::TooLong)?;
        let parts = Parts::of(sealed).ok_or(SealError::TooLong)?;
        *parts.version = VERSION;
        self.system.entropy(parts.nonce);
        put(parts.text, &[plaintext]).ok_or(SealError::TooLong)?;
        let context = context(key, associated);
        let nonce = (&*parts.nonce).into();
        let cipher = self.cipher();
        let made = cipher.encrypt_in_place_detached(nonce, &context, parts.text);
        *parts.tag = made.map_err(|_| SealError::TooLong)?.into();
        Ok(sealed)
    }

    /// Opens a sealed text in its place and returns the plaintext in it; wiping it is the caller's.
    ///
    /// # Errors
    ///
    /// When it is refused; then the place is wiped.
    pub fn open_in_place<'s>(
        &self,
        key: &Key,
        associated: &[u8],
        sealed: &'s mut [u8],
    ) -> Result<&'s [u8], OpenError> {
        let opened = (|| {
            let parts = Parts::of(sealed)?;
            let context = context(key, associated);
            let (nonce, tag) = ((&*parts.nonce).into(), (&*parts.tag).into());
            let cipher = self.cipher();
            let opened = cipher.decrypt_in_place_detached(nonce, &context, parts.text, tag);
            let end = 1 + NONCE + parts.text.len();
            (*parts.version == VERSION && opened.is_ok()).then_some(end)
        })();
        match opened {
            Some(end) => Ok(sealed.get(1 + NONCE..end).unwrap_or_default()),
            None => {
                sealed.zeroize();
                Err(OpenError::Refused)
            }
        }
    }

    /// Seals a text of at most [`SECRET_MOST`] bytes and stores it, overwriting every older copy.
    ///
    /// # Errors
    ///
    /// When it is too long or cannot be stored.
    pub async fn put_secret(
        &self,
        store: &Store<'_>,
        key: &Key,
        associated: &[u8],
        plaintext: &[u8],
    ) -> Result<(), SealError> {
        if plaintext.len() > SECRET_MOST {
            return Err(SealError::TooLong);
        }
        let mut sealed = [0; SECRET_MOST + OVERHEAD];
        let sealed = self.seal(key, associated, plaintext, &mut sealed)?;
        store
            .put_secret(key, sealed)
            .await
            .map_err(SealError::Write)
    }

    /// Reads and opens a stored secret in `buffer`, which takes [`OVERHEAD`] bytes more than the text.
    ///
    /// # Errors
    ///
    /// When it is refused or cannot be read.
    pub async fn get_secret<'s>(
        &self,
        store: &Store<'_>,
        key: &Key,
        associated: &[u8],
        buffer: &'s mut [u8],
    ) -> Result<Option<&'s [u8]>, OpenError> {
        let length = match store.get(key, buffer).await.map_err(OpenError::Read)? {
            Some(sealed) => sealed.len(),
            None => return Ok(None),
        };
        let sealed = buffer.get_mut(..length).unwrap_or_default();
        self.open_in_place(key, associated, sealed).map(Some)
    }

    /// 32 bytes that are always the same for this device and `purpose`, and that tell nothing of any
    /// other: for a default password or an identifier.
    #[must_use]
    pub fn derive(&self, purpose: &str) -> [u8; 32] {
        expand(&self.secret, b"derive ", purpose)
    }

    fn cipher(&self) -> ChaCha20Poly1305 {
        ChaCha20Poly1305::new((&*self.sealing).into())
    }
}

/// What a sealed text is made of.
struct Parts<'s> {
    version: &'s mut u8,
    nonce: &'s mut [u8; NONCE],
    text: &'s mut [u8],
    tag: &'s mut [u8; TAG],
}

impl<'s> Parts<'s> {
    fn of(sealed: &'s mut [u8]) -> Option<Self> {
        let (version, rest) = sealed.split_first_mut()?;
        let (nonce, rest) = rest.split_first_chunk_mut()?;
        let (text, tag) = rest.split_last_chunk_mut()?;
        Some(Self {
            version,
            nonce,
            text,
            tag,
        })
    }
}

fn expand(secret: &[u8; KEY], domain: &[u8], purpose: &str) -> [u8; KEY] {
    let mut key = [0; KEY];
    SimpleHkdf::<Sha256>::new(None, secret)
        .expand_multi_info(&[DOMAIN, domain, purpose.as_bytes()], &mut key)
        .expect("one block of output, and up to 255 are allowed");
    key
}

/// What a sealed text is bound to: the version, the key it is stored under and the associated bytes.
fn context(key: &Key, associated: &[u8]) -> [u8; 32] {
    let name = key.as_str().as_bytes();
    let mut hash = Sha256::new();
    for part in [DOMAIN, &[VERSION, name.len() as u8], name, associated] {
        hash.update(part);
    }
    hash.finalize().into()
}
