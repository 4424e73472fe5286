//! Every key of the framework: what it takes, in words, and how it is put into the configuration.

use embassy_time::Duration;
use heapless::String;

use super::{Config, KEPT, Value};
use crate::clock::Timezone;
use crate::credentials::Secret;
use crate::log::Level;
use crate::wifi::{Password, Ssid};

/// What a key takes.
#[derive(Clone, Copy)]
pub(super) enum Take {
    /// A string; false when it is not allowed.
    Text(fn(&mut Config, &str) -> bool),
    /// A whole number within these bounds.
    Integer(i64, i64, fn(&mut Config, u32)),
    /// `true` or `false`.
    Bool(fn(&mut Config, bool)),
}

/// One key.
pub(super) struct Setting {
    /// Section and key.
    pub(super) path: &'static str,
    /// What is allowed, after "give".
    pub(super) allowed: &'static str,
    pub(super) take: Take,
}

impl Setting {
    /// Puts a value of the right type into the configuration; `None` when the type is another, false
    /// when the value is not allowed.
    pub(super) fn put(&self, config: &mut Config, value: Value<'_>) -> Option<bool> {
        match (self.take, value) {
            (Take::Text(put), Value::Text(text)) => Some(put(config, text)),
            (Take::Integer(least, most, put), Value::Integer(number)) => {
                let number = u32::try_from(number)
                    .ok()
                    .filter(|number| (least..=most).contains(&i64::from(*number)));
                if let Some(number) = number {
                    put(config, number);
                }
                Some(number.is_some())
            }
            (Take::Bool(put), Value::Bool(value)) => {
                put(config, value);
                Some(true)
            }
            _ => None,
        }
    }
}

/// The sections, each with its keys in words.
pub(super) const SECTIONS: [(&str, &str); 7] = [
    ("device", "[device] has name and timezone"),
    ("log", "[log] has level, print and size"),
    ("access_point", "[access_point] has ssid and password"),
    ("wifi", "[wifi] has portal_after and country"),
    (
        "mqtt",
        "[mqtt] has host, port, user, password, client_id, keep_alive, base_topic, heartbeat, \
         heartbeat_message and keep_session",
    ),
    ("clock", "[clock] has server"),
    ("app", "[app] has single keys, without dots"),
];

/// The framework's keys.
pub(super) const SETTINGS: [Setting; 20] = [
    Setting {
        path: "device.name",
        allowed: "1 to 32 letters, digits and hyphens, no hyphen first or last, or \"\" for a name made \
                  from the hardware address",
        take: Take::Text(|config, text| name(text) && set(&mut config.device.name, text)),
    },
    Setting {
        path: "device.timezone",
        allowed: "a POSIX TZ string of at most 64 bytes such as \"UTC0\" or \
                  \"CET-1CEST,M3.5.0,M10.5.0/3\"",
        take: Take::Text(|config, text| timezone(text) && set(&mut config.device.timezone, text)),
    },
    Setting {
        path: "log.level",
        allowed: "\"error\", \"warn\", \"info\" or \"debug\"",
        take: Take::Text(|config, text| {
            config.log.level = match text {
                "error" => Level::Error,
                "warn" => Level::Warn,
                "info" => Level::Info,
                "debug" => Level::Debug,
                _ => return false,
            };
            true
        }),
    },
    Setting {
        path: "log.print",
        allowed: "true or false",
        take: Take::Bool(|config, value| config.log.print = value),
    },
    Setting {
        path: "log.size",
        allowed: "a whole number of bytes from 8192 to 16777216",
        take: Take::Integer(8_192, 16_777_216, |config, number| config.log.size = number),
    },
    Setting {
        path: "access_point.ssid",
        allowed: "1 to 32 bytes, or \"\" for the device's name",
        take: Take::Text(|config, text| {
            config.access_point.ssid = Ssid::new(text).ok();
            text.is_empty() || config.access_point.ssid.is_some()
        }),
    },
    Setting {
        path: "access_point.password",
        allowed: "\"auto\" for a random one, 8 to 63 bytes, 64 hexadecimal digits, \"\" for an open \
                  access point, or \"***\" for the one that is kept",
        take: Take::Text(|config, text| {
            config.kept.access_point_password = text == KEPT;
            if text == AUTO || text == KEPT {
                return true;
            }
            config.access_point.password = Password::new(text).ok();
            config.access_point.password.is_some()
        }),
    },
    Setting {
        path: "wifi.portal_after",
        allowed: "a whole number of seconds from 1 to 86400",
        take: Take::Integer(1, 86_400, |config, number| {
            config.wifi.portal_after = Duration::from_secs(number.into());
        }),
    },
    Setting {
        path: "wifi.country",
        allowed: "two capital letters such as \"NO\", or \"\" for what is allowed everywhere",
        take: Take::Text(|config, text| {
            config.wifi.country = <[u8; 2]>::try_from(text.as_bytes()).ok();
            let capitals = text.bytes().all(|byte| byte.is_ascii_uppercase());
            text.is_empty() || (capitals && config.wifi.country.is_some())
        }),
    },
    Setting {
        path: "mqtt.host",
        allowed: "a name or address of at most 64 bytes, without port, or \"\" for the board's own broker",
        take: Take::Text(|config, text| host(text) && set(&mut config.mqtt.host, text)),
    },
    Setting {
        path: "mqtt.port",
        allowed: "a whole number from 1 to 65535",
        take: Take::Integer(1, 65_535, |config, number| {
            config.mqtt.port = u16::try_from(number).unwrap_or(u16::MAX);
        }),
    },
    Setting {
        path: "mqtt.user",
        allowed: "at most 64 bytes without control characters, or \"\" for none",
        take: Take::Text(|config, text| visible(text) && set(&mut config.mqtt.user, text)),
    },
    Setting {
        path: "mqtt.password",
        allowed: "at most 64 bytes, \"\" for none, or \"***\" for the one that is kept",
        take: Take::Text(|config, text| {
            config.kept.mqtt_password = text == KEPT;
            if text == KEPT {
                return true;
            }
            Secret::new(text)
                .map(|secret| config.mqtt.password = secret)
                .is_some()
        }),
    },
    Setting {
        path: "mqtt.client_id",
        allowed: "at most 64 bytes without control characters, or \"\" for the device's name",
        take: Take::Text(|config, text| visible(text) && set(&mut config.mqtt.client_id, text)),
    },
    Setting {
        path: "mqtt.keep_alive",
        allowed: "a whole number of seconds from 5 to 65535",
        take: Take::Integer(5, 65_535, |config, number| {
            config.mqtt.keep_alive = u16::try_from(number).unwrap_or(u16::MAX);
        }),
    },
    Setting {
        path: "mqtt.base_topic",
        allowed: "at most 64 bytes without +, # and control characters, without / first, last or doubled \
                  and without $ first, or \"\" for bluebell/ and the device's name",
        take: Take::Text(|config, text| topic(text) && set(&mut config.mqtt.base_topic, text)),
    },
    Setting {
        path: "mqtt.heartbeat",
        allowed: "a whole number of seconds from 1 to 86400, or 0 for none",
        take: Take::Integer(0, 86_400, |config, number| {
            config.mqtt.heartbeat = (number > 0).then(|| Duration::from_secs(number.into()));
        }),
    },
    Setting {
        path: "mqtt.heartbeat_message",
        allowed: "at most 64 bytes",
        take: Take::Text(|config, text| set(&mut config.mqtt.heartbeat_message, text)),
    },
    Setting {
        path: "mqtt.keep_session",
        allowed: "a whole number of seconds from 1 to 2592000, or 0 for a new session at each boot",
        take: Take::Integer(0, 2_592_000, |config, number| {
            config.mqtt.keep_session = number;
        }),
    },
    Setting {
        path: "clock.server",
        allowed: "a name or address of at most 64 bytes, or \"\" for the board's own",
        take: Take::Text(|config, text| host(text) && set(&mut config.clock.server, text)),
    },
];

/// What stands for a random password of the access point.
pub(super) const AUTO: &str = "auto";

fn set<const N: usize>(place: &mut String<N>, text: &str) -> bool {
    place.clear();
    place.push_str(text).is_ok()
}

/// A host name's label (RFC 1123, 2.1), or nothing.
fn name(text: &str) -> bool {
    text.bytes()
        .all(|byte| byte.is_ascii_alphanumeric() || byte == b'-')
        && !text.starts_with('-')
        && !text.ends_with('-')
}

/// Whether this is a POSIX TZ string.
fn timezone(text: &str) -> bool {
    Timezone::parse(text).is_ok()
}

/// A host's name, or an IPv4 or IPv6 address without brackets, or nothing.
fn host(text: &str) -> bool {
    let address = text.parse::<core::net::IpAddr>().is_ok();
    let name = text
        .bytes()
        .all(|byte| byte.is_ascii_alphanumeric() || b"-._".contains(&byte));
    address || name
}

fn visible(text: &str) -> bool {
    !text.chars().any(char::is_control)
}

/// A topic name below which others can stand (MQTT 5, 4.7), or nothing.
fn topic(text: &str) -> bool {
    let levels = text.is_empty() || text.split('/').all(|level| !level.is_empty());
    levels && visible(text) && !text.contains(['+', '#']) && !text.starts_with('$')
}
