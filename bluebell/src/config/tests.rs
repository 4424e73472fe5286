//! Texts, good and bad, and what comes of them.

use std::borrow::ToOwned;
use std::format;
use std::string::{String as Text, ToString};
use std::vec::Vec;

use super::settings::SETTINGS;
use super::*;

pub(super) const SHIPPED: &str = include_str!("../../../examples/relay/config.toml");
const ADDRESS: [u8; 6] = [0x02, 0x00, 0x5e, 0xa1, 0xb2, 0x0c];

pub(super) fn parse(text: &str) -> Result<Config, ConfigError> {
    Config::parse(text, ADDRESS)
}

pub(super) fn good(text: &str) -> Config {
    parse(text).unwrap_or_else(|error| panic!("{text}\n{error}"))
}

fn bounded<const N: usize>(text: &str) -> String<N> {
    String::try_from(text).unwrap()
}

pub(super) fn redacted(text: &str) -> Text {
    let mut out = Text::new();
    redact(text, &mut out).unwrap();
    out
}

#[test]
fn the_shipped_file_is_small_and_says_exactly_the_documented_defaults() {
    let documented = Config {
        device: DeviceConfig {
            name: bounded("bluebell-a1b20c"),
            timezone: bounded("UTC0"),
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
            host: bounded(""),
            port: 1883,
            user: bounded(""),
            password: Secret::default(),
            client_id: bounded("bluebell-a1b20c"),
            keep_alive: 30,
            base_topic: bounded("bluebell/bluebell-a1b20c"),
            heartbeat: Some(Duration::from_secs(5)),
            heartbeat_message: bounded("alive"),
            keep_session: 0,
        },
        clock: ClockConfig {
            server: bounded(""),
        },
        app: AppValues::default(),
        kept: KeptSecrets::default(),
    };
    assert_eq!(good(SHIPPED), documented);
    assert_eq!(good(""), documented);
    assert!(SHIPPED.len() < 3_000);
    assert_eq!(redacted(SHIPPED), SHIPPED);
}

#[test]
fn the_shipped_file_shows_every_key_below_a_comment() {
    let mut shown = Vec::new();
    statements::read(SHIPPED, &mut |statement| {
        if statement.value.is_some() {
            shown.push(statement.path.to_owned());
            let above = SHIPPED.lines().nth(usize::from(statement.line) - 2);
            assert!(above.unwrap().starts_with("# "), "{}", statement.path);
        }
        Ok(())
    })
    .unwrap();
    let known: Vec<_> = SETTINGS.iter().map(|setting| setting.path).collect();
    assert_eq!(shown, known);
}

#[test]
fn every_key_reaches_its_place() {
    let config = good(
        r#"
        [device]
        name = "Garage-1"
        timezone = "<+0330>-3:30"
        [log]
        level = "debug"
        print = false
        size = 8_192
        [access_point]
        ssid = "Garasje på loftet"
        password = "correct horse"
        [wifi]
        portal_after = 86400
        country = "NO"
        [mqtt]
        host = "fe80::1"
        port = 65535
        user = "me"
        password = "s3 \"cret\" 100%"
        client_id = "client"
        keep_alive = 5
        base_topic = "home/garage"
        heartbeat = 0
        heartbeat_message = ""
        keep_session = 86400
        [clock]
        server = "pool.ntp.org"
        [app]
        greeting = "hei"
        limit = -9_000_000_000
        mask = 0xFF
        enabled = true
        "#,
    );
    assert_eq!(config.device.name, "Garage-1");
    assert_eq!(config.device.timezone, "<+0330>-3:30");
    assert_eq!(config.log.level, Level::Debug);
    assert!(!config.log.print);
    assert_eq!(config.log.size, 8_192);
    let access_point = &config.access_point;
    assert_eq!(
        access_point.ssid.as_ref().unwrap().as_str(),
        "Garasje på loftet"
    );
    assert_eq!(
        access_point.password.as_ref().unwrap().reveal(),
        "correct horse"
    );
    assert_eq!(config.wifi.portal_after.as_secs(), 86_400);
    assert_eq!(config.wifi.country, Some(*b"NO"));
    assert_eq!(config.mqtt.host, "fe80::1");
    assert_eq!(config.mqtt.port, 65_535);
    assert_eq!(config.mqtt.user, "me");
    assert_eq!(config.mqtt.password.reveal(), "s3 \"cret\" 100%");
    assert_eq!(config.mqtt.client_id, "client");
    assert_eq!(config.mqtt.keep_alive, 5);
    assert_eq!(config.mqtt.base_topic, "home/garage");
    assert_eq!(config.mqtt.heartbeat, None);
    assert_eq!(config.mqtt.heartbeat_message, "");
    assert_eq!(config.mqtt.keep_session, 86_400);
    assert_eq!(config.clock.server, "pool.ntp.org");
    assert_eq!(config.app("greeting"), Some(Value::Text("hei")));
    assert_eq!(
        config.app("limit").and_then(Value::integer),
        Some(-9_000_000_000)
    );
    assert_eq!(config.app("mask"), Some(Value::Integer(255)));
    assert_eq!(config.app("enabled").and_then(Value::bool), Some(true));
    assert_eq!(config.app("missing"), None);
    assert_eq!(config.app.len(), 4);
}

#[test]
fn names_that_are_left_open_follow_the_name_that_is_given() {
    let config = good("device.name = \"garage\"");
    assert_eq!(config.mqtt.client_id, "garage");
    assert_eq!(config.mqtt.base_topic, "bluebell/garage");
}

#[test]
fn all_of_tomls_ways_to_write_a_key_and_a_value_are_read() {
    let user = |text: &str| good(text).mqtt.user.to_string();
    for text in [
        "mqtt.user = 'a\\b'",
        "mqtt . user = \"a\\\\b\"",
        "\"mqtt\".'user' = \"a\\u005Cb\"",
        "[mqtt]\r\nuser = \"a\\x5Cb\" # comment\r\n",
        "\u{feff}[ mqtt ]\n\tuser=\"\"\"a\\U0000005C\\\n   b\"\"\"",
        "\n\n[ \"mqtt\" ] # comment\n'user' = '''\na\\b'''",
    ] {
        assert_eq!(user(text), "a\\b", "{text}");
    }
    for (text, size) in [
        ("log.size = +8_192", 8_192),
        ("log.size = 0x2000", 8_192),
        ("log.size = 0o20_000", 8_192),
        ("log.size = 0b10_0000_0000_0000", 8_192),
    ] {
        assert_eq!(good(text).log.size, size, "{text}");
    }
    let message = good("mqtt.heartbeat_message = \"\\t\\\"\\b\\f\\r\\n\\u00e6\"");
    assert_eq!(message.mqtt.heartbeat_message, "\t\"\u{8}\u{c}\r\n\u{e6}");
}

#[test]
fn secrets_are_redacted_and_nothing_else_is() {
    let text = "# Mine.\r\n[mqtt]\r\nuser = \"me\"\r\n  'password'  = 'hunter22' # not hunter2\r\n\
                port\t=1883\r\n[access_point]\r\npassword = \"\"\"\r\nabcd\\\r\n  efgh\"\"\"\r\nssid = \"x\"";
    let shown = "# Mine.\r\n[mqtt]\r\nuser = \"me\"\r\n  'password'  = \"***\" # not hunter2\r\n\
                 port\t=1883\r\n[access_point]\r\npassword = \"***\"\r\nssid = \"x\"";
    assert_eq!(redacted(text), shown);
    assert_eq!(redacted(shown), shown);
    for open in [
        "[access_point]\npassword = \"auto\"",
        "[mqtt]\npassword = ''",
        "[app]\npassword = \"mine\"",
        "\u{feff}access_point.password = \"\"",
    ] {
        assert_eq!(redacted(open), open);
    }
    assert_eq!(
        redacted("mqtt.password = \"auto\""),
        "mqtt.password = \"***\""
    );
    let long = format!("mqtt.password = '{}'", "x".repeat(65));
    assert_eq!(redacted(&long), "mqtt.password = \"***\"");
    assert_eq!(redacted("mqtt.password = 12345"), "mqtt.password = \"***\"");
    assert_eq!(
        redacted("mqtt.password = hunter22"),
        "mqtt.password = \"***\""
    );
}

#[test]
fn a_text_whose_secrets_cannot_be_found_is_not_shown() {
    for text in [
        "a = 1\nmqtt = { password = \"hunter22\" }",
        "a = 1\nmqtt.password = [\"hunter22\"]",
        "a = 1\n[mqtt]\npassword = \"hunter22\" \"hunter22\"",
        "a = 1\n[mqtt\npassword = \"hunter22\"",
    ] {
        let mut out = Text::new();
        let error = redact(text, &mut out).expect_err(text);
        assert!(matches!(error, RedactError::Unreadable(_)), "{error}");
        assert!(!out.contains("hunter22"), "{out}");
    }
    let mut small = String::<8>::new();
    assert_eq!(
        redact("# a long comment", &mut small),
        Err(RedactError::Write)
    );
}

#[test]
fn three_stars_keep_the_stored_secret_until_it_is_filled_in() {
    let mut config = good("mqtt.password = \"***\"\n[access_point]\npassword = '***'");
    for key in SecretKey::ALL {
        assert!(config.keeps(key));
        assert_eq!(config.given(key), None);
        assert_eq!(config.fill(key, &"x".repeat(65)), Err(SecretRefused(key)));
        assert!(config.keeps(key));
        config.fill(key, "12345678").unwrap();
        assert!(!config.keeps(key));
        assert_eq!(config.given(key), Some("12345678"));
    }
    assert_eq!(config.mqtt.password.reveal(), "12345678");
    let none = good("access_point.password = \"auto\"");
    assert!(SecretKey::ALL.iter().all(|key| none.given(*key).is_none()));
}

#[test]
fn a_configuration_and_its_error_stay_small() {
    assert!(size_of::<Config>() <= 2_048, "{}", size_of::<Config>());
    assert!(
        size_of::<ConfigError>() <= 128,
        "{}",
        size_of::<ConfigError>()
    );
}
