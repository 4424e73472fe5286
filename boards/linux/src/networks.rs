//! The access points around the board: a file of `[[network]]` tables, or the built-in ones.

use std::path::Path;

use bluebell::wifi::{Password, Ssid};
use serde::Deserialize;
use sim::air::{Air, Station};
use toml::Spanned;

/// The access points of a board that is given no others.
pub const BUILT_IN: &str = include_str!("networks.toml");

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct File {
    #[serde(default)]
    network: Vec<Table>,
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct Table {
    ssid: Spanned<String>,
    password: Option<Spanned<String>>,
    channel: Option<Spanned<i64>>,
    rssi: Option<Spanned<i64>>,
    up: Option<bool>,
    hidden: Option<bool>,
}

/// Checks a channel number.
///
/// # Errors
///
/// What is allowed.
pub fn channel(number: i64) -> Result<u8, &'static str> {
    u8::try_from(number)
        .ok()
        .filter(|channel| (1..=13).contains(channel))
        .ok_or("channel is out of range: give 1 to 13")
}

/// Checks a signal strength.
///
/// # Errors
///
/// What is allowed.
pub fn rssi(number: i64) -> Result<i8, &'static str> {
    i8::try_from(number)
        .ok()
        .filter(|rssi| (-100..=0).contains(rssi))
        .ok_or("rssi is out of range: give -100 to 0, in dBm")
}

/// Reads the access points of `--air`.
///
/// # Errors
///
/// One line that names the file, the line and the key, and what is allowed.
pub fn read(path: &Path) -> Result<Air, String> {
    let name = path.display().to_string();
    let text = std::fs::read_to_string(path)
        .map_err(|error| format!("cannot read {name}: {error}; give another file with --air"))?;
    parse(&name, &text)
}

/// Reads a text; `name` is what errors call it.
///
/// # Errors
///
/// As for [`read`].
pub fn parse(name: &str, text: &str) -> Result<Air, String> {
    let wrong = |at: usize, what: &str| {
        let line = 1 + text.bytes().take(at).filter(|byte| *byte == b'\n').count();
        format!("{name}, line {line}: {what}")
    };
    let file: File = toml::from_str(text).map_err(|error| {
        let what = error.message().trim_end().replace('\n', ", ");
        let what =
            format!("{what}; a [[network]] has ssid, password, channel, rssi, up and hidden");
        wrong(error.span().map_or(0, |span| span.start), &what)
    })?;
    let air = Air::new();
    for table in file.network {
        let ssid = table.ssid.get_ref();
        Ssid::new(ssid)
            .map_err(|error| wrong(table.ssid.span().start, &format!("ssid: {error}")))?;
        let mut station = Station::new(ssid);
        if let Some(password) = &table.password {
            Password::new(password.get_ref())
                .map_err(|error| wrong(password.span().start, &format!("password: {error}")))?;
            station.password.clone_from(password.get_ref());
        }
        if let Some(number) = &table.channel {
            station.channel =
                channel(*number.get_ref()).map_err(|what| wrong(number.span().start, what))?;
        }
        if let Some(number) = &table.rssi {
            station.rssi =
                rssi(*number.get_ref()).map_err(|what| wrong(number.span().start, what))?;
        }
        station.up = table.up.unwrap_or(true);
        station.hidden = table.hidden.unwrap_or(false);
        air.add(station);
    }
    Ok(air)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_built_in_networks_are_one_of_each_kind() {
        let stations = parse("built in", BUILT_IN).unwrap().stations();
        assert!(stations.iter().any(|station| station.password.is_empty()));
        assert!(stations.iter().any(|station| station.hidden));
        assert!(stations.iter().all(|station| station.up));
        let lab = stations
            .iter()
            .find(|station| station.ssid == b"Bluebell-Lab");
        assert_eq!(lab.unwrap().password, "correct horse");
    }

    #[test]
    fn what_is_left_out_has_its_default() {
        let stations = parse("air", "[[network]]\nssid = 'A'\n")
            .unwrap()
            .stations();
        let expected = Station::new("A");
        let [found] = &stations[..] else {
            panic!("one network was given");
        };
        assert_eq!(found.ssid, expected.ssid);
        assert_eq!((found.channel, found.rssi), (1, -50));
        assert!(found.up && !found.hidden && found.password.is_empty());
        assert!(parse("air", "").unwrap().stations().is_empty());
    }

    #[test]
    fn errors_name_file_line_and_key_in_one_line() {
        for (text, line, named) in [
            ("[[network]]\nssid = 'A'\nspeed = 3\n", 3, "speed"),
            ("[[network]]\nchannel = 3\n", 1, "ssid"),
            ("[[network]]\nssid = ''\n", 2, "ssid"),
            (
                "[[network]]\nssid = 'A'\npassword = 'short'\n",
                3,
                "password",
            ),
            ("\n[[network]]\nssid = 'A'\nchannel = 77\n", 4, "channel"),
            ("[[network]]\nssid = 'A'\nrssi = 5\n", 3, "rssi"),
            ("[[network]]\nssid = 'A'\nup = 'yes'\n", 3, "boolean"),
            ("[[network]]\nssid = \n", 2, "[[network]]"),
            ("[[networks]]\nssid = 'A'\n", 1, "networks"),
        ] {
            let error = parse("my.toml", text).map(|_| ()).unwrap_err();
            assert!(
                error.contains(&format!("my.toml, line {line}: ")),
                "{error}"
            );
            assert!(error.contains(named), "{error}");
            assert_eq!(error.lines().count(), 1, "{error}");
        }
    }

    #[test]
    fn a_missing_file_is_named_with_the_remedy() {
        let error = read(Path::new("/nowhere/air.toml"))
            .map(|_| ())
            .unwrap_err();
        assert!(error.contains("/nowhere/air.toml") && error.contains("--air"));
    }
}
