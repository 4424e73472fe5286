//! The command line.

use std::ffi::OsString;
use std::net::{IpAddr, Ipv4Addr, SocketAddr};
use std::path::PathBuf;
use std::str::FromStr;

use clap::{CommandFactory, FromArgMatches, Parser};

/// Where the embedded broker listens unless told otherwise.
pub const BROKER_ADDRESS: SocketAddr = SocketAddr::new(IpAddr::V4(Ipv4Addr::LOCALHOST), 1883);

/// What the command line asks for.
#[derive(Debug, Clone, Parser)]
#[command(about = "A virtual board: the device runs on this machine, with a panel in the browser")]
pub struct Arguments {
    /// The flash image and what else survives a power cycle [default: target/board/<app>]
    #[arg(long, value_name = "DIR")]
    pub state: Option<PathBuf>,

    /// Where the device's portal listens while it is open; port 0 takes any free one
    #[arg(long, value_name = "ADDR:PORT", default_value = "127.0.0.1:8080", value_parser = address)]
    pub portal: SocketAddr,

    /// The board's panel, or "off"
    #[arg(long, value_name = "ADDR:PORT", default_value = "127.0.0.1:8000")]
    pub panel: Listen,

    /// The access points around, a TOML file of [[network]] tables [default: built in]
    #[arg(long, value_name = "FILE")]
    pub air: Option<PathBuf>,

    /// Another config.toml [default: the application's]
    #[arg(long, value_name = "FILE")]
    pub config: Option<PathBuf>,

    /// The embedded MQTT 5 broker, or "off" to use the configured host
    #[arg(long, value_name = "ADDR:PORT", default_value_t = Listen::At(BROKER_ADDRESS))]
    pub broker: Listen,

    /// A wifi.json copied onto the device before boot
    #[arg(long, value_name = "FILE")]
    pub provision: Option<PathBuf>,
}

/// An address to listen on, or nothing.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Listen {
    /// Nobody listens.
    Off,
    /// The address and port.
    At(SocketAddr),
}

impl FromStr for Listen {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        if text == "off" {
            return Ok(Self::Off);
        }
        address(text)
            .map(Self::At)
            .map_err(|error| error + ", or off")
    }
}

impl std::fmt::Display for Listen {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::Off => formatter.write_str("off"),
            Self::At(address) => address.fmt(formatter),
        }
    }
}

fn address(text: &str) -> Result<SocketAddr, String> {
    let number = text
        .strip_prefix("localhost:")
        .map(|port| format!("127.0.0.1:{port}"));
    number
        .as_deref()
        .unwrap_or(text)
        .parse()
        .map_err(|_| "give an IP address and a port, such as 127.0.0.1:8080".into())
}

/// What came of reading the command line.
#[derive(Debug)]
pub enum Parsed {
    /// The board is to run.
    Run(Box<Arguments>),
    /// A text that was asked for: help or version.
    Show(String),
    /// One line about what is wrong and the remedy.
    Wrong(String),
}

/// Reads the command line of the application `name`.
#[must_use]
pub fn parse(
    name: &'static str,
    version: &'static str,
    arguments: impl IntoIterator<Item = OsString>,
) -> Parsed {
    let command = Arguments::command().name(name).version(version);
    let parsed = command
        .try_get_matches_from(arguments)
        .and_then(|matches| Arguments::from_arg_matches(&matches));
    match parsed {
        Ok(arguments) => Parsed::Run(Box::new(arguments)),
        Err(error) if error.use_stderr() => {
            let text = error.render().to_string();
            let line = text.lines().next().unwrap_or_default();
            let line = line.strip_prefix("error: ").unwrap_or(line);
            Parsed::Wrong(format!("{line}; --help lists what can be given"))
        }
        Err(error) => Parsed::Show(error.render().to_string()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn given(arguments: &[&str]) -> Parsed {
        let arguments = std::iter::once(&"relay").chain(arguments);
        parse("relay", "1.2.3", arguments.map(OsString::from))
    }

    #[test]
    fn the_defaults_are_those_of_the_contract() {
        let Parsed::Run(arguments) = given(&[]) else {
            panic!("nothing is wrong with no arguments");
        };
        assert_eq!(arguments.portal, "127.0.0.1:8080".parse().unwrap());
        assert_eq!(arguments.panel.to_string(), "127.0.0.1:8000");
        assert_eq!(arguments.broker.to_string(), "127.0.0.1:1883");
        assert!(arguments.state.is_none() && arguments.air.is_none());
        assert!(arguments.config.is_none() && arguments.provision.is_none());
    }

    #[test]
    fn every_flag_is_taken() {
        let Parsed::Run(arguments) = given(&[
            "--state",
            "s",
            "--portal",
            "[::1]:1",
            "--panel",
            "off",
            "--air",
            "a",
            "--config",
            "c",
            "--broker",
            "localhost:7",
            "--provision",
            "p",
        ]) else {
            panic!("all of these exist");
        };
        assert_eq!(arguments.portal, "[::1]:1".parse().unwrap());
        assert_eq!(arguments.panel, Listen::Off);
        assert_eq!(arguments.broker.to_string(), "127.0.0.1:7");
        assert_eq!(arguments.provision, Some("p".into()));
    }

    #[test]
    fn what_is_wrong_is_one_line_that_names_it_and_the_remedy() {
        for (arguments, named) in [
            (&["--speed", "9"][..], "--speed"),
            (&["--portal", "here"], "such as 127.0.0.1:8080"),
            (&["--panel", "8000"], "or off"),
            (&["--state"], "--state <DIR>"),
            (&["stray"], "stray"),
        ] {
            let Parsed::Wrong(line) = given(arguments) else {
                panic!("{arguments:?} is wrong");
            };
            assert!(line.contains(named) && line.contains("--help"), "{line}");
            assert_eq!(line.lines().count(), 1, "{line}");
        }
    }

    #[test]
    fn help_and_version_are_no_errors() {
        let Parsed::Show(help) = given(&["--help"]) else {
            panic!("help was asked for");
        };
        for flag in [
            "state",
            "portal",
            "panel",
            "air",
            "config",
            "broker",
            "provision",
        ] {
            assert!(help.contains(&format!("--{flag} ")), "{help}");
        }
        let Parsed::Show(version) = given(&["--version"]) else {
            panic!("the version was asked for");
        };
        assert_eq!(version.trim(), "relay 1.2.3");
    }
}
