//! What is wrong with a text, and what is said of it.

use std::format;
use std::string::{String as Text, ToString};

use super::tests::{good, parse};

#[test]
fn what_is_wrong_is_named_with_its_line_and_the_remedy() {
    let many: Text = (1..=9).map(|number| format!("key{number} = 1\n")).collect();
    let long = "x".repeat(65);
    for (text, message) in [
        (
            "\n[mqtt]\nport = 0",
            "line 3: mqtt.port has a value that is not allowed: give a whole number from 1 to 65535",
        ),
        (
            "[mqtt]\nport = 65536",
            "line 2: mqtt.port has a value that is not allowed",
        ),
        (
            "[mqtt]\nport = 9223372036854775808",
            "line 2: mqtt.port has a value that is not allowed: give a whole number of at most 64 bits",
        ),
        (
            "[mqtt]\r\n\r\nport = \"1883\"",
            "line 3: mqtt.port has a value of another type: give a whole number",
        ),
        (
            "[log]\nprint = 1",
            "line 2: log.print has a value of another type: give true or false",
        ),
        (
            "[mqtt]\nkeep_alive = 4",
            "line 2: mqtt.keep_alive has a value that is not allowed: give a whole number of seconds from 5",
        ),
        (
            "[mqtt]\nkeep_alive = -1",
            "line 2: mqtt.keep_alive has a value that is not allowed",
        ),
        (
            "[mqtt]\nprot = 1",
            "line 2: there is no key `mqtt.prot`: [mqtt] has host, port,",
        ),
        (
            "[mqqt]\nport = 1",
            "line 1: there is no section `mqqt`: the sections are device, log,",
        ),
        (
            "port = 1",
            "line 1: there is no key `port`: write it below its [section]",
        ),
        (
            "mqtt = 1",
            "line 1: there is no key `mqtt`: write it below its [section]",
        ),
        (
            "[mqtt]\nport.number = 1",
            "line 2: there is no key `mqtt.port.number`",
        ),
        (
            "[mqtt.tls]\non = true",
            "line 1: there is no section `mqtt.tls`",
        ),
        (
            "[mqtt]\nport = 1\nport = 2",
            "line 3: `mqtt.port` stands there twice",
        ),
        (
            "[mqtt]\nport = 1\n\"port\" = 2",
            "line 3: `mqtt.port` stands there twice",
        ),
        ("[mqtt]\n[log]\n[mqtt]", "line 3: `mqtt` stands there twice"),
        ("mqtt.port = 1\n[mqtt]", "line 2: `mqtt` stands there twice"),
        ("[app]\na = 1\na = 2", "line 3: `app.a` stands there twice"),
        (
            "[app]\na.b = 1",
            "line 2: app.a.b has a value that is not allowed: give keys of 1 to 32 letters",
        ),
        (
            "[access_point]\npassword = \"short\"",
            "line 2: access_point.password has a value that is not allowed: give \"auto\"",
        ),
        (
            "[access_point]\nssid = \"123456789012345678901234567890123\"",
            "line 2: access_point.ssid has a value that is not allowed: give 1 to 32 bytes",
        ),
        (
            "[device]\nname = \"my device\"",
            "line 2: device.name has a value that is not allowed: give 1 to 32 letters",
        ),
        ("[device]\nname = \"-a\"", "device.name"),
        (
            "[device]\nname = \"123456789012345678901234567890123\"",
            "device.name",
        ),
        (
            "[device]\ntimezone = \"\"",
            "line 2: device.timezone has a value that is not allowed: give a POSIX TZ",
        ),
        ("[device]\ntimezone = \"Europe Oslo\"", "device.timezone"),
        (
            "[log]\nlevel = \"trace\"",
            "line 2: log.level has a value that is not allowed: give \"error\", \"warn\",",
        ),
        (
            "[wifi]\ncountry = \"no\"",
            "line 2: wifi.country has a value that is not allowed: give two capital",
        ),
        ("[wifi]\ncountry = \"NOR\"", "wifi.country"),
        (
            "[mqtt]\nhost = \"mqtt://broker:1883\"",
            "line 2: mqtt.host has a value that is not allowed: give a name or address",
        ),
        (
            "[mqtt]\nbase_topic = \"home/+\"",
            "line 2: mqtt.base_topic has a value that is not allowed: give at most 64 bytes without +",
        ),
        ("[mqtt]\nbase_topic = \"/home\"", "mqtt.base_topic"),
        ("[mqtt]\nbase_topic = \"home/\"", "mqtt.base_topic"),
        ("[mqtt]\nbase_topic = \"a//b\"", "mqtt.base_topic"),
        ("[mqtt]\nbase_topic = \"$SYS\"", "mqtt.base_topic"),
        ("[mqtt]\nclient_id = \"a\\u0000b\"", "mqtt.client_id"),
        (
            "[wifi]\nportal_after = 1.5",
            "line 2: wifi.portal_after: floats and dates are not read here",
        ),
        (
            "[wifi]\nportal_after = 2026-11-22",
            "line 2: wifi.portal_after: floats and dates",
        ),
        (
            "[mqtt]\nport = [1]",
            "line 2: mqtt.port: arrays are not read here",
        ),
        (
            "[mqtt]\nport = [1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14]",
            "line 2: mqtt.port: arrays are not",
        ),
        (
            "[mqtt]\nport = [\n1\n]",
            "line 2: mqtt.port: arrays are not",
        ),
        (
            "mqtt = { port = 1 }",
            "line 1: mqtt: inline tables are not read here: write a [section]",
        ),
        (
            "[[mqtt]]",
            "line 1: mqtt: arrays of tables are not read here",
        ),
        (
            "[mqtt]\n\"a b\" = 1",
            "line 2: mqtt: keys are made of letters",
        ),
        ("[mqtt]\n\"\" = 1", "line 2: mqtt: keys are made of letters"),
        ("[mqtt]\n\n= 1", "line 3: mqtt: keys are made of letters"),
        (
            "[mqtt\nport = 1",
            "line 1: mqtt: not TOML, unclosed table: expected ]",
        ),
        (
            "[mqtt]\nport 1",
            "line 2: mqtt.port: not TOML, key with no value: expected =",
        ),
        ("[mqtt]\nport =", "line 2: mqtt.port: not TOML, "),
        ("[mqtt]\nhost = broker", "line 2: mqtt.host: not TOML, "),
        (
            "[mqtt]\nhost = \"broker",
            "line 2: mqtt.host: not TOML, invalid basic string: expected \"",
        ),
        (
            "[mqtt]\nhost = \"a\" \"b\"",
            "line 2: mqtt.host: not TOML, unexpected key or value: expected the end of the line",
        ),
        (
            "[mqtt]\nhost = \"\\q\"",
            "line 2: mqtt.host: not TOML, missing escaped value",
        ),
        (
            "[mqtt]\nhost = \"\\uD800\"",
            "line 2: mqtt.host: not TOML, ",
        ),
        (
            "[mqtt]\nport = 01",
            "line 2: mqtt.port: not TOML, unexpected leading zero",
        ),
        ("[mqtt]\nport = 1__0", "line 2: mqtt.port: not TOML, "),
        ("# a\u{7}b", "line 1: not TOML, invalid comment character"),
    ] {
        let error = parse(text).expect_err(text).to_string();
        assert!(
            error.contains(message),
            "{text}\nsays  {error}\nnot   {message}"
        );
    }
    for (text, message) in [
        (
            format!("[app]\n{many}"),
            "line 10: app.key9 is one value too many: an application may have 8",
        ),
        (
            format!("[app]\na = \"{long}\""),
            "line 2: app.a is too long: give a string of at most 64 bytes",
        ),
        (format!("[app]\n{} = 1", "k".repeat(33)), "line 2: app.kkk"),
        (
            format!("[mqtt]\nhost = \"{long}\""),
            "line 2: mqtt.host is too long: give a name or address",
        ),
        (
            format!("[mqtt]\n{} = 1", "k".repeat(200)),
            "line 2: there is no key `mqtt.kkk",
        ),
        (
            format!("[mqtt]\n{}port = 1", "a.".repeat(40)),
            "line 2: mqtt.a.a.a.",
        ),
        (
            format!("{}[mqtt]", " \n".repeat(1_750)),
            "the text is longer than 3500 bytes: shorten",
        ),
    ] {
        let error = parse(&text).expect_err(&text).to_string();
        assert!(
            error.contains(message),
            "{text}\nsays  {error}\nnot   {message}"
        );
    }
}

#[test]
fn an_error_never_repeats_a_secret() {
    for text in [
        "[mqtt]\npassword = \"hunter22 \\q\"",
        "[mqtt]\npassword = hunter22",
        "[mqtt]\npassword = \"hunter22",
        "[mqtt]\npassword = [\"hunter22\"]",
        "[access_point]\npassword = \"hunter22\\n\" x",
    ] {
        let error = parse(text).expect_err(text);
        assert!(
            !format!("{error} {error:?}").contains("hunter22"),
            "{error}"
        );
    }
    let config = good("[mqtt]\npassword = \"hunter22\"\n[access_point]\npassword = \"hunter22\"");
    assert!(!format!("{config:?}").contains("hunter22"));
}
