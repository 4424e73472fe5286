//! `config.toml`: what is taken is TOML for another reader too, says the same there, and shows no secret.

use bluebell::config::{Config, SecretKey, Value, redact};
use toml::Value as Toml;

const ADDRESS: [u8; 6] = [2, 0, 0, 0xAB, 0xCD, 0xEF];

/// The input is the text.
pub(crate) fn run(input: &[u8]) {
    let Ok(text) = std::str::from_utf8(input) else {
        return;
    };
    let mut shown = String::new();
    let redacted = redact(text, &mut shown);
    let config = match Config::parse(text, ADDRESS) {
        Ok(config) => config,
        Err(error) => {
            let told = error.to_string();
            let lines = 1 + text.matches('\n').count();
            assert!(usize::from(error.line) <= lines, "{told}");
            assert!(!told.contains(['\n', '\r']), "{told:?}");
            return;
        }
    };
    redacted.expect("what is a configuration can be shown");
    let table: toml::Table = text.parse().expect("what is taken is TOML");
    let other = Other(&table);
    other.agrees(&config);
    // What is shown keeps everything but the secrets, and none of these.
    let mut again = Config::parse(&shown, ADDRESS).expect("what is shown can be put back");
    for key in SecretKey::ALL {
        let given = config.given(key);
        assert!(again.given(key).is_none(), "{shown}");
        assert_eq!(again.keeps(key), given.is_some() || config.keeps(key));
        if let Some(secret) = given {
            again
                .fill(key, secret)
                .expect("a secret that was taken fits");
        }
    }
    assert_eq!(again, config);
}

/// The same text, read by another.
struct Other<'t>(&'t toml::Table);

impl Other<'_> {
    fn get(&self, section: &str, key: &str) -> Option<&Toml> {
        self.0.get(section)?.get(key)
    }

    fn text(&self, section: &str, key: &str, default: &str) -> String {
        let value = self.get(section, key);
        value
            .map_or(default, |value| value.as_str().expect("a text"))
            .to_owned()
    }

    fn number(&self, section: &str, key: &str, default: i64) -> i64 {
        let value = self.get(section, key);
        value.map_or(default, |value| value.as_integer().expect("a number"))
    }

    fn agrees(&self, config: &Config) {
        let or = |text: String, default: &str| {
            if text.is_empty() {
                default.to_owned()
            } else {
                text
            }
        };
        let name = or(self.text("device", "name", ""), "bluebell-abcdef");
        assert_eq!(config.device.name.as_str(), name);
        assert_eq!(
            config.device.timezone.as_str(),
            self.text("device", "timezone", "UTC0")
        );
        assert_eq!(config.log.print, {
            let print = self.get("log", "print");
            print.is_none_or(|value| value.as_bool().expect("a truth value"))
        });
        assert_eq!(
            i64::from(config.log.size),
            self.number("log", "size", 65_536)
        );
        let ssid = config
            .access_point
            .ssid
            .as_ref()
            .map_or("", |ssid| ssid.as_str());
        assert_eq!(ssid, self.text("access_point", "ssid", ""));
        let portal_after = config.wifi.portal_after.as_secs();
        assert_eq!(portal_after as i64, self.number("wifi", "portal_after", 60));
        let mqtt = &config.mqtt;
        assert_eq!(mqtt.host.as_str(), self.text("mqtt", "host", ""));
        assert_eq!(i64::from(mqtt.port), self.number("mqtt", "port", 1_883));
        assert_eq!(mqtt.user.as_str(), self.text("mqtt", "user", ""));
        assert_eq!(
            mqtt.client_id.as_str(),
            or(self.text("mqtt", "client_id", ""), &name)
        );
        let base = or(
            self.text("mqtt", "base_topic", ""),
            &format!("bluebell/{name}"),
        );
        assert_eq!(mqtt.base_topic.as_str(), base);
        assert_eq!(
            i64::from(mqtt.keep_alive),
            self.number("mqtt", "keep_alive", 30)
        );
        let heartbeat = mqtt.heartbeat.map_or(0, |period| period.as_secs());
        assert_eq!(heartbeat as i64, self.number("mqtt", "heartbeat", 5));
        assert_eq!(
            mqtt.heartbeat_message.as_str(),
            self.text("mqtt", "heartbeat_message", "alive")
        );
        assert_eq!(
            config.clock.server.as_str(),
            self.text("clock", "server", "")
        );
        let password = self.text("mqtt", "password", "");
        if !config.keeps(SecretKey::MqttPassword) {
            assert_eq!(mqtt.password.reveal(), password);
        }
        let empty = toml::Table::new();
        let app = self
            .0
            .get("app")
            .map_or(&empty, |app| app.as_table().expect("a section"));
        assert_eq!(config.app.len(), app.len());
        for (key, value) in app {
            let found = config.app(key).expect("every value is there");
            match value {
                Toml::String(text) => assert_eq!(found, Value::Text(text)),
                Toml::Integer(number) => assert_eq!(found, Value::Integer(*number)),
                Toml::Boolean(value) => assert_eq!(found, Value::Bool(*value)),
                other => panic!("{other} was taken"),
            }
        }
    }
}
