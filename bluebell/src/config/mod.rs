//! What an application's `config.toml` says.
//!
//! Guarantees: a [`Config`] that was read is complete and valid as a whole, its names filled in; a text
//! that is not wholly right gives none at all, but an error that names the key, the line and what is
//! allowed. No text is read that is longer than [`MAX_TEXT`]. A secret leaves a text only through
//! [`Config`]: [`redact`] puts [`KEPT`] in its place, and reading that means "the one that is kept".
//!
//! A section or key that is not there has its default. The file is TOML without arrays, inline tables,
//! floats and dates; a key stands once.

mod app;
mod error;
mod parse;
mod scalar;
mod settings;
mod statements;
mod text;

use embassy_time::Duration;
use heapless::String;

pub use app::{AppValues, Value};
pub use error::{ConfigError, ConfigProblem};
pub use text::{RedactError, redact};

use crate::credentials::Secret;
use crate::log::Level;
use crate::wifi::{Password, Ssid};

/// The longest text that is read, in bytes.
pub const MAX_TEXT: usize = 3_500;

/// What stands in a text in the place of a secret: the one that is kept on the device stays.
pub const KEPT: &str = "***";

/// The whole configuration, in force for one boot.
#[derive(Debug, Clone, PartialEq)]
pub struct Config {
    /// `[device]`
    pub device: DeviceConfig,
    /// `[log]`
    pub log: LogConfig,
    /// `[access_point]`
    pub access_point: AccessPointConfig,
    /// `[wifi]`
    pub wifi: WifiConfig,
    /// `[mqtt]`
    pub mqtt: MqttConfig,
    /// `[clock]`
    pub clock: ClockConfig,
    /// `[app]`: the application's own values, also by [`Config::app`].
    pub app: AppValues,
    /// The secrets for which the text said `***`; until they are filled in, the fields above have their
    /// defaults.
    pub kept: KeptSecrets,
}

/// The secrets of a configuration, by their keys.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum SecretKey {
    /// `mqtt.password`
    MqttPassword,
    /// `access_point.password`
    AccessPointPassword,
}

impl SecretKey {
    /// All of them.
    pub const ALL: [Self; 2] = [Self::MqttPassword, Self::AccessPointPassword];

    /// The key as it stands in a text.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::MqttPassword => "mqtt.password",
            Self::AccessPointPassword => "access_point.password",
        }
    }
}

/// Which secrets a text left to the device.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct KeptSecrets {
    /// `mqtt.password = "***"`
    pub mqtt_password: bool,
    /// `access_point.password = "***"`
    pub access_point_password: bool,
}

/// A kept secret that the key does not take.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct SecretRefused(
    /// The key.
    pub SecretKey,
);

impl core::fmt::Display for SecretRefused {
    fn fmt(&self, formatter: &mut core::fmt::Formatter<'_>) -> core::fmt::Result {
        write!(
            formatter,
            "the secret kept for {} does not fit: set it again",
            self.0.name()
        )
    }
}

impl core::error::Error for SecretRefused {}

impl Config {
    /// Reads a text; what it does not say has its default, names being made from the station's hardware
    /// address.
    ///
    /// # Errors
    ///
    /// At the first thing that is not right. Nothing is kept of the text then.
    pub fn parse(text: &str, hardware_address: [u8; 6]) -> Result<Self, ConfigError> {
        parse::parse(text, hardware_address)
    }

    /// What an empty text says: every key at its default.
    #[must_use]
    pub fn defaults(hardware_address: [u8; 6]) -> Self {
        parse::defaults(hardware_address)
    }

    /// The value of `key` in the section `[app]`.
    #[must_use]
    pub fn app(&self, key: &str) -> Option<Value<'_>> {
        self.app.get(key)
    }

    /// Whether the text left this secret to the device.
    #[must_use]
    pub const fn keeps(&self, key: SecretKey) -> bool {
        match key {
            SecretKey::MqttPassword => self.kept.mqtt_password,
            SecretKey::AccessPointPassword => self.kept.access_point_password,
        }
    }

    /// The secret that the text gave, in clear and to be sealed; `None` where it keeps the stored one or
    /// there is none (empty, or made by the device).
    #[must_use]
    pub fn given(&self, key: SecretKey) -> Option<&str> {
        if self.keeps(key) {
            return None;
        }
        let secret = match key {
            SecretKey::MqttPassword => self.mqtt.password.reveal(),
            SecretKey::AccessPointPassword => self.access_point.password.as_ref()?.reveal(),
        };
        Some(secret).filter(|secret| !secret.is_empty())
    }

    /// Fills in a secret that was kept, or replaces one that was given; it then counts as given.
    ///
    /// # Errors
    ///
    /// When the key does not take such a text; the configuration stays as it is.
    pub fn fill(&mut self, key: SecretKey, secret: &str) -> Result<(), SecretRefused> {
        match key {
            SecretKey::MqttPassword => {
                self.mqtt.password = Secret::new(secret).ok_or(SecretRefused(key))?;
                self.kept.mqtt_password = false;
            }
            SecretKey::AccessPointPassword => {
                let password = Password::new(secret).map_err(|_| SecretRefused(key))?;
                self.access_point.password = Some(password);
                self.kept.access_point_password = false;
            }
        }
        Ok(())
    }
}

/// Who the device is.
#[derive(Debug, Clone, PartialEq)]
pub struct DeviceConfig {
    /// The device's name, which is also its host name: 1 to 32 letters, digits and hyphens.
    /// `""` in the file: `bluebell-` and the last three bytes of the hardware address.
    pub name: String<32>,
    /// A POSIX TZ string such as `CET-1CEST,M3.5.0,M10.5.0/3`; `UTC0` by default.
    pub timezone: String<64>,
}

/// What is logged, and where.
#[derive(Debug, Clone, PartialEq)]
pub struct LogConfig {
    /// The least important level that is logged.
    pub level: Level,
    /// Whether lines are printed on the console too.
    pub print: bool,
    /// How many bytes of flash the log may take; whole sectors of 4 KiB are used, and at most what the
    /// board's layout gives it.
    pub size: u32,
}

/// The device's own access point.
#[derive(Debug, Clone, PartialEq)]
pub struct AccessPointConfig {
    /// Its name; `None` (`""` in the file): the device's name.
    pub ssid: Option<Ssid>,
    /// Its password; `None` (`"auto"` in the file): random, made at first boot.
    pub password: Option<Password>,
}

/// How the device gets on Wi-Fi.
#[derive(Debug, Clone, PartialEq)]
pub struct WifiConfig {
    /// How long the device may be without a network until its portal opens again.
    pub portal_after: Duration,
    /// The regulatory country, two capital letters; `None` (`""` in the file): the world-safe default.
    pub country: Option<[u8; 2]>,
}

/// How the device talks to its broker.
#[derive(Debug, Clone, PartialEq)]
pub struct MqttConfig {
    /// The broker's name or address; empty: the board's own broker, where it has one.
    pub host: String<64>,
    /// The broker's port.
    pub port: u16,
    /// The user; empty: none.
    pub user: String<64>,
    /// The password; empty: none.
    pub password: Secret<64>,
    /// The client identifier; the device's name when `""` in the file.
    pub client_id: String<64>,
    /// The longest time without a packet, in seconds: 5 to 65535.
    pub keep_alive: u16,
    /// The topic below which the framework publishes; `bluebell/<device name>` when `""` in the file.
    pub base_topic: String<64>,
    /// The heartbeat's interval; `None` (`0` in the file): no heartbeat.
    pub heartbeat: Option<Duration>,
    /// The heartbeat's payload.
    pub heartbeat_message: String<64>,
    /// For how many seconds the broker keeps what is sent to a device that is off; 0: it keeps nothing.
    pub keep_session: u32,
}

/// Where the time comes from.
#[derive(Debug, Clone, PartialEq)]
pub struct ClockConfig {
    /// The SNTP server's name or address; empty: the board's own answer, where it has one, else none.
    pub server: String<64>,
}

#[cfg(test)]
mod error_tests;
#[cfg(test)]
mod property_tests;
#[cfg(test)]
mod tests;
