//! What an application's `config.toml` says.

use embassy_time::Duration;
use heapless::String;

use crate::credentials::Secret;
use crate::log::Level;
use crate::wifi::{Password, Ssid};

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
}

/// Where the time comes from.
#[derive(Debug, Clone, PartialEq)]
pub struct ClockConfig {
    /// The SNTP server's name or address; empty: the board's own answer, where it has one, else none.
    pub server: String<64>,
}
