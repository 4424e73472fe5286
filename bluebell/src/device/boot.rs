//! From power on to a configuration in force: what is read and taken in before anything runs.
//!
//! Guarantees: a configuration that was put on the device is taken in wholly or not at all, also when
//! the power goes in between or the store is full, because its text stays until everything of it is
//! stored; no text with a secret in clear outlives the boot that takes it in or finds it wrong.

use heapless::String;
use zeroize::Zeroize;

use super::App;
use crate::board::System;
use crate::clock::Timezone;
use crate::config::{self, Config, ConfigError, RedactError, SecretKey};
use crate::credentials::{OVERHEAD, Vault};
use crate::log;
use crate::log::Log;
use crate::sink::Room;
use crate::storage::{Key, Store, WriteError};
use crate::wifi::{self, Password, SealedNetworks, Ssid};

/// Where a board or the console puts a configuration that is to be in force from the next boot on.
pub const NEW_CONFIG: Key = Key::literal("config.new");
/// Where a board or the console puts a `wifi.json` for the next boot.
pub const WIFI_JSON: Key = Key::literal("wifi.json");
/// The device's own copy of its configuration, without secrets.
pub const CONFIG: Key = Key::literal("config.toml");

const SOURCE: &str = "config";
/// Where it is tried out whether there is room for a configuration's secrets.
const ROOM: Key = Key::literal("config.room");
/// The longest secret of a configuration, sealed.
const SEALED: usize = 64 + OVERHEAD;
/// The room for all secrets: beside each, the store keeps its key and a note of it.
const SECRETS: usize = SecretKey::ALL.len() * (SEALED + 48);

/// The boot's view of the device. Texts are read into buffers that nobody else needs yet.
pub(super) struct Boot<'d> {
    pub(super) app: &'d App,
    pub(super) store: &'d Store<'d>,
    pub(super) vault: &'d Vault<'d>,
    pub(super) system: &'d dyn System,
    pub(super) log: &'d Log<'d>,
}

/// Why a new configuration was not taken in.
enum Refused {
    Text(ConfigError),
    Redaction(RedactError),
    Secret(SecretKey),
    Store(WriteError),
}

impl Refused {
    /// Whether the same text may be taken in another time.
    fn may_pass(&self) -> bool {
        matches!(
            self,
            Self::Secret(_) | Self::Store(WriteError::Full | WriteError::Flash)
        )
    }
}

impl core::fmt::Display for Refused {
    fn fmt(&self, formatter: &mut core::fmt::Formatter<'_>) -> core::fmt::Result {
        match self {
            Self::Text(error) => error.fmt(formatter),
            Self::Redaction(error) => error.fmt(formatter),
            Self::Secret(key) => write!(formatter, "{} could not be sealed", key.name()),
            Self::Store(error) => error.fmt(formatter),
        }
    }
}

const fn secret_place(key: SecretKey) -> Key {
    match key {
        SecretKey::MqttPassword => Key::literal("secret/mqtt.password"),
        SecretKey::AccessPointPassword => Key::literal("secret/access_point"),
    }
}

impl Boot<'_> {
    /// The configuration in force: a new one if it is good, else the device's own copy, else the
    /// application's, else the defaults.
    pub(super) async fn config(&self, buffer: &mut [u8], other: &mut [u8]) -> Config {
        self.take_in(buffer, other).await;
        let address = self.system.hardware_address();
        let own = match self.text(&CONFIG, buffer).await {
            Some(text) => match Config::parse(text, address) {
                Ok(config) => Some(config),
                Err(error) => {
                    log!(
                        self.log,
                        Error,
                        SOURCE,
                        "the device's own copy is not used: {error}"
                    );
                    None
                }
            },
            None => None,
        };
        let mut config = match own {
            Some(config) => config,
            None => self.compiled_in(address),
        };
        self.fill_in(&mut config).await;
        config
    }

    fn compiled_in(&self, address: [u8; 6]) -> Config {
        match Config::parse(self.app.config, address) {
            Ok(config) => config,
            Err(error) => {
                log!(
                    self.log,
                    Error,
                    SOURCE,
                    "config.toml of the application is not used: {error}"
                );
                Config::defaults(address)
            }
        }
    }

    /// Takes in a configuration that was put on the device since the last boot.
    async fn take_in(&self, buffer: &mut [u8], other: &mut [u8]) {
        let Some(text) = self.text(&NEW_CONFIG, buffer).await else {
            return;
        };
        let mut waits = false;
        match self.adopt(text, other).await {
            Ok(()) => log!(self.log, Info, SOURCE, "the new configuration is in force"),
            Err(refused) => {
                waits = refused.may_pass();
                let word = if waits {
                    "waits for the next start"
                } else {
                    "is refused"
                };
                log!(
                    self.log,
                    Error,
                    SOURCE,
                    "the new configuration {word}: {refused}; the last good one stays"
                );
            }
        }
        buffer.zeroize();
        if !waits {
            self.erase(&NEW_CONFIG, SOURCE).await;
        }
    }

    /// Keeps a text and seals its secrets. Until the text itself is erased by the caller, the next boot does
    /// all of this again: so a power cut leaves no mixture of old and new. Nor does a full store, because
    /// nothing is changed before there is room for everything.
    async fn adopt(&self, text: &str, other: &mut [u8]) -> Result<(), Refused> {
        let config = Config::parse(text, self.system.hardware_address()).map_err(Refused::Text)?;
        let mut redacted = Room::new(other);
        config::redact(text, &mut redacted).map_err(Refused::Redaction)?;
        let length = redacted.length();
        if let Some(rest) = other.get_mut(length..SECRETS) {
            rest.fill(0);
        }
        let room = other.get(..SECRETS).unwrap_or_default();
        self.store.put(&ROOM, room).await.map_err(Refused::Store)?;
        let kept = self.store.put(&CONFIG, &other[..length]).await;
        self.store.forget(&ROOM).await.map_err(Refused::Store)?;
        kept.map_err(Refused::Store)?;
        for key in SecretKey::ALL {
            let place = secret_place(key);
            if let Some(secret) = config.given(key) {
                self.vault
                    .put_secret(self.store, &place, &[], secret.as_bytes())
                    .await
                    .map_err(|_| Refused::Secret(key))?;
            } else if !config.keeps(key) {
                self.store.forget(&place).await.map_err(Refused::Store)?;
            }
        }
        Ok(())
    }

    /// Fills in the secrets that are kept sealed.
    async fn fill_in(&self, config: &mut Config) {
        for key in SecretKey::ALL {
            if !config.keeps(key) {
                continue;
            }
            let mut buffer = [0; SEALED];
            match self
                .vault
                .get_secret(self.store, &secret_place(key), &[], &mut buffer)
                .await
            {
                Ok(Some(secret)) => {
                    let filled = core::str::from_utf8(secret)
                        .is_ok_and(|secret| config.fill(key, secret).is_ok());
                    if !filled {
                        log!(
                            self.log,
                            Error,
                            SOURCE,
                            "the kept {} does not fit: set it again",
                            key.name()
                        );
                    }
                }
                Ok(None) => log!(self.log, Warn, SOURCE, "no {} is kept: set it", key.name()),
                Err(_) => log!(
                    self.log,
                    Error,
                    SOURCE,
                    "the kept {} cannot be opened: set it again",
                    key.name()
                ),
            }
            buffer.zeroize();
        }
    }

    /// Takes in a `wifi.json` that was put on the device since the last boot.
    pub(super) async fn networks(&self, networks: &SealedNetworks<'_, '_, '_>, buffer: &mut [u8]) {
        let Some(text) = self.text(&WIFI_JSON, buffer).await else {
            return;
        };
        let erase = match wifi::import(text.as_bytes(), networks, self.log).await {
            Ok(imported) => imported.failed == 0,
            Err(error) => {
                log!(
                    self.log,
                    Error,
                    "wifi",
                    "wifi.json is refused and erased: {error}"
                );
                true
            }
        };
        buffer.zeroize();
        if erase {
            self.erase(&WIFI_JSON, "wifi").await;
        }
    }

    /// The access point's name and password: as configured, else the device's own.
    pub(super) fn access_point(&self, config: &Config) -> (Ssid, Password) {
        let ssid = match &config.access_point.ssid {
            Some(ssid) => ssid.clone(),
            // A device name has 1 to 32 bytes, as an SSID.
            None => Ssid::new(&config.device.name).unwrap_or_default(),
        };
        let password = match &config.access_point.password {
            Some(password) => password.clone(),
            None => self.own_password(),
        };
        (ssid, password)
    }

    /// A password of this device alone: 12 characters that cannot be mistaken for one another, 60 bits.
    fn own_password(&self) -> Password {
        const LETTERS: &[u8; 32] = b"abcdefghijkmnpqrstuvwxyz23456789";
        let bytes = self.vault.derive("access point password");
        let text: String<12> = bytes
            .iter()
            .take(12)
            .map(|byte| char::from(LETTERS[usize::from(byte % 32)]))
            .collect();
        Password::new(&text).unwrap_or_default()
    }

    /// The configured time zone; one that cannot be read counts as UTC.
    pub(super) fn timezone(&self, config: &Config) -> Timezone {
        Timezone::parse(&config.device.timezone).unwrap_or_else(|error| {
            log!(
                self.log,
                Error,
                SOURCE,
                "device.timezone is not used: {error}"
            );
            Timezone::UTC
        })
    }

    /// Reads a stored text; what cannot be read is logged and counts as not there.
    async fn text<'b>(&self, key: &Key, buffer: &'b mut [u8]) -> Option<&'b str> {
        match self.store.get(key, buffer).await {
            Ok(bytes) => bytes.and_then(|bytes| core::str::from_utf8(bytes).ok()),
            Err(error) => {
                log!(self.log, Error, SOURCE, "{key} cannot be read: {error}");
                None
            }
        }
    }

    async fn erase(&self, key: &Key, source: &'static str) {
        if let Err(error) = self.store.forget(key).await {
            log!(
                self.log,
                Error,
                source,
                "{key} could not be erased: {error}"
            );
        }
    }
}
