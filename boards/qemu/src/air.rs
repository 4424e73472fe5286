//! The networks in the air, as the host tells them: the text of `boards/linux/src/networks.toml`.
//!
//! Read are the lines of `[[network]]` tables with `ssid`, `password`, `channel`, `rssi`, `up` and
//! `hidden`; texts in double quotes without escapes. What is left out has the same default as on the
//! virtual board: open, channel 1, -50 dBm, up.

use bluebell::wifi::{Auth, Password, Ssid};
use heapless::Vec;

/// How many networks there can be.
pub const NETWORKS: usize = 16;

/// One access point.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Network {
    /// Its name.
    pub ssid: Ssid,
    /// Its password; empty for an open one.
    pub password: Password,
    /// Its channel, 1 to 13.
    pub channel: u8,
    /// Its signal, in dBm.
    pub rssi: i8,
    /// Whether it is there.
    pub up: bool,
    /// Whether it answers only who asks for it by name.
    pub hidden: bool,
}

impl Network {
    /// An open network with nothing special.
    #[must_use]
    pub fn new(ssid: Ssid) -> Self {
        Self {
            ssid,
            password: Password::default(),
            channel: 1,
            rssi: -50,
            up: true,
            hidden: false,
        }
    }

    /// How it is protected.
    #[must_use]
    pub fn auth(&self) -> Auth {
        if self.password.is_empty() {
            Auth::Open
        } else {
            Auth::Wpa2
        }
    }

    /// Changes one property, given as `key = value`.
    ///
    /// # Errors
    ///
    /// What is wrong with it, and what is allowed.
    pub fn set(&mut self, key: &str, value: &str) -> Result<(), &'static str> {
        let text = || {
            let inner = value
                .strip_prefix('"')
                .and_then(|rest| rest.strip_suffix('"'));
            inner.ok_or("a text stands in double quotes")
        };
        let flag = || value.parse().map_err(|_| "give true or false");
        match key {
            "ssid" => self.ssid = Ssid::new(text()?).map_err(|_| "ssid: give 1 to 32 bytes")?,
            "password" => {
                self.password =
                    Password::new(text()?).map_err(|_| "password: give 8 to 63 bytes")?;
            }
            "channel" => {
                let number = value
                    .parse()
                    .ok()
                    .filter(|number| (1..=13).contains(number));
                self.channel = number.ok_or("channel: give 1 to 13")?;
            }
            "rssi" => {
                let number = value
                    .parse()
                    .ok()
                    .filter(|number| (-100..=0).contains(number));
                self.rssi = number.ok_or("rssi: give -100 to 0")?;
            }
            "up" => self.up = flag()?,
            "hidden" => self.hidden = flag()?,
            _ => return Err("a [[network]] has ssid, password, channel, rssi, up and hidden"),
        }
        Ok(())
    }
}

/// Reads a text.
///
/// # Errors
///
/// The line's number, and what is wrong with it.
pub fn parse(text: &str) -> Result<Vec<Network, NETWORKS>, (usize, &'static str)> {
    let mut networks = Vec::<Network, NETWORKS>::new();
    for (number, line) in (1..).zip(text.lines()) {
        let line = line.trim();
        if line.is_empty() || line.starts_with('#') {
            continue;
        }
        if line == "[[network]]" {
            check_named(&networks).map_err(|what| (number, what))?;
            let network = Network::new(Ssid::default());
            networks
                .push(network)
                .map_err(|_| (number, "no more than 16 networks are held"))?;
            continue;
        }
        let (key, value) = line
            .split_once('=')
            .ok_or((number, "a line is key = value"))?;
        let network = networks
            .last_mut()
            .ok_or((number, "[[network]] comes first"))?;
        network
            .set(key.trim(), value.trim())
            .map_err(|what| (number, what))?;
    }
    check_named(&networks).map_err(|what| (text.lines().count(), what))?;
    Ok(networks)
}

fn check_named(networks: &[Network]) -> Result<(), &'static str> {
    match networks.last() {
        Some(network) if network.ssid.as_str().is_empty() => Err("the network has no ssid"),
        _ => Ok(()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_networks_of_the_virtual_board_are_read() {
        let networks = parse(include_str!("../../linux/src/networks.toml")).unwrap();
        assert_eq!(networks.len(), 3);
        assert_eq!(networks[0].ssid.as_str(), "Bluebell-Lab");
        assert_eq!(networks[0].password.reveal(), "correct horse");
        assert_eq!((networks[0].channel, networks[0].rssi), (6, -48));
        assert_eq!(networks[1].auth(), Auth::Open);
        assert!(networks[2].hidden && networks[2].up);
    }

    #[test]
    fn errors_name_the_line_and_what_is_allowed() {
        for (text, line, named) in [
            ("[[network]]\nssid = \"A\"\nspeed = 3\n", 3, "rssi"),
            ("[[network]]\nchannel = 3\n", 2, "no ssid"),
            ("[[network]]\nssid = \"\"\n", 2, "32 bytes"),
            ("[[network]]\nssid = A\n", 2, "quotes"),
            (
                "[[network]]\nssid = \"A\"\npassword = \"short\"\n",
                3,
                "8 to 63",
            ),
            ("[[network]]\nssid = \"A\"\nchannel = 77\n", 3, "1 to 13"),
            (
                "[[network]]\nssid = \"A\"\nup = \"yes\"\n",
                3,
                "true or false",
            ),
            ("ssid = \"A\"\n", 1, "comes first"),
        ] {
            let (found, what) = parse(text).unwrap_err();
            assert_eq!(found, line, "{text}");
            assert!(what.contains(named), "{text}: {what}");
        }
    }
}
