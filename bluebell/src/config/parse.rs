//! Reads a whole text into a [`Config`], and fills in what is made from the hardware address.

use core::fmt::Write as _;

use embassy_time::Duration;
use heapless::String;

use super::error::{ConfigError, ConfigProblem};
use super::settings::{SECTIONS, SETTINGS, Setting};
use super::statements::{Statement, decode, read};
use super::{
    AccessPointConfig, AppValues, ClockConfig, Config, DeviceConfig, KeptSecrets, LogConfig,
    MqttConfig, WifiConfig,
};
use crate::credentials::Secret;
use crate::log::Level;

const ROOT: &str = "write it below its [section], or with the section before it as in mqtt.port";
const APP_KEY: &str = "keys of 1 to 32 letters, digits, `_` and `-`";
const APP_TEXT: &str = "a string of at most 64 bytes";

/// See [`Config::parse`].
pub(super) fn parse(text: &str, hardware_address: [u8; 6]) -> Result<Config, ConfigError> {
    let mut config = unnamed();
    let mut seen = Seen::default();
    read(text, &mut |statement| match statement.value {
        None => seen.header(statement),
        Some(value) => {
            let setting = seen.key(statement)?;
            let decoded = decode(statement, value)?;
            match setting {
                Some(setting) if decoded.too_long => {
                    Err(statement.wrong(ConfigProblem::TooLong(setting.allowed)))
                }
                Some(setting) => match setting.put(&mut config, decoded.value()) {
                    Some(true) => Ok(()),
                    Some(false) => Err(statement.wrong(ConfigProblem::NotAllowed(setting.allowed))),
                    None => Err(statement.wrong(ConfigProblem::WrongType(setting.allowed))),
                },
                None if decoded.too_long => Err(statement.wrong(ConfigProblem::TooLong(APP_TEXT))),
                None => application(&mut config.app, statement, decoded.value()),
            }
        }
    })?;
    fill_names(&mut config, hardware_address);
    Ok(config)
}

/// See [`Config::defaults`].
pub(super) fn defaults(hardware_address: [u8; 6]) -> Config {
    let mut config = unnamed();
    fill_names(&mut config, hardware_address);
    config
}

fn application(
    values: &mut AppValues,
    statement: &Statement<'_, '_>,
    value: super::Value<'_>,
) -> Result<(), ConfigError> {
    let key = statement.path.strip_prefix("app.").unwrap_or_default();
    let problem = if key.contains('.') || key.len() > 32 {
        ConfigProblem::NotAllowed(APP_KEY)
    } else if values.get(key).is_some() {
        ConfigProblem::Duplicate
    } else if values.add(key, value) {
        return Ok(());
    } else {
        ConfigProblem::TooManyValues
    };
    Err(statement.wrong(problem))
}

/// Which keys and sections have been read.
#[derive(Default)]
struct Seen {
    keys: u32,
    sections: u8,
}

impl Seen {
    fn header(&mut self, statement: &Statement<'_, '_>) -> Result<(), ConfigError> {
        let section = SECTIONS
            .iter()
            .position(|(name, _)| *name == statement.path)
            .ok_or_else(|| statement.wrong(ConfigProblem::UnknownSection))?;
        let bit = 1 << section;
        if self.sections & bit != 0 {
            return Err(statement.wrong(ConfigProblem::Duplicate));
        }
        self.sections |= bit;
        Ok(())
    }

    /// The framework's key that is meant, or `None` for one of the application.
    fn key(
        &mut self,
        statement: &Statement<'_, '_>,
    ) -> Result<Option<&'static Setting>, ConfigError> {
        let Some((name, _)) = statement.path.split_once('.') else {
            return Err(statement.wrong(ConfigProblem::UnknownKey(ROOT)));
        };
        let Some(section) = SECTIONS.iter().position(|(known, _)| *known == name) else {
            return Err(statement.wrong(ConfigProblem::UnknownSection));
        };
        if statement.dotted {
            // TOML 1.0, "Table": what dotted keys have made, no header makes again.
            self.sections |= 1 << section;
        }
        let Some(index) = SETTINGS
            .iter()
            .position(|setting| setting.path == statement.path)
        else {
            if statement.path.starts_with("app.") {
                return Ok(None);
            }
            let known = SECTIONS.get(section).map_or("", |(_, keys)| keys);
            return Err(statement.wrong(ConfigProblem::UnknownKey(known)));
        };
        let bit = 1 << index;
        if self.keys & bit != 0 {
            return Err(statement.wrong(ConfigProblem::Duplicate));
        }
        self.keys |= bit;
        Ok(SETTINGS.get(index))
    }
}

fn unnamed() -> Config {
    Config {
        device: DeviceConfig {
            name: String::new(),
            timezone: text("UTC0"),
        },
        log: LogConfig {
            level: Level::Info,
            print: true,
            size: 65_536,
        },
        access_point: AccessPointConfig {
            ssid: None,
            password: None,
        },
        wifi: WifiConfig {
            portal_after: Duration::from_secs(60),
            country: None,
        },
        mqtt: MqttConfig {
            host: String::new(),
            port: 1_883,
            user: String::new(),
            password: Secret::default(),
            client_id: String::new(),
            keep_alive: 30,
            base_topic: String::new(),
            heartbeat: Some(Duration::from_secs(5)),
            heartbeat_message: text("alive"),
            keep_session: 0,
        },
        clock: ClockConfig {
            server: String::new(),
        },
        app: AppValues::default(),
        kept: KeptSecrets::default(),
    }
}

fn text<const N: usize>(text: &str) -> String<N> {
    super::error::cut(text)
}

/// Makes the names that the text left open.
fn fill_names(config: &mut Config, hardware_address: [u8; 6]) {
    let [.., fourth, fifth, sixth] = hardware_address;
    let name = &mut config.device.name;
    if name.is_empty() {
        // 15 bytes; the places below are longer than what is written, too.
        let _ = write!(name, "bluebell-{fourth:02x}{fifth:02x}{sixth:02x}");
    }
    if config.mqtt.client_id.is_empty() {
        let _ = config.mqtt.client_id.push_str(name);
    }
    if config.mqtt.base_topic.is_empty() {
        let _ = write!(config.mqtt.base_topic, "bluebell/{name}");
    }
}
