//! A device on the virtual board, as somebody starts it.

use std::net::SocketAddr;
use std::process::Command;

use crate::process::{Failure, Program, Scratch, free_address, sibling};

/// What the device is given.
#[derive(Debug, Default)]
pub(crate) struct Given {
    /// Its `config.toml`; the application's own where there is none.
    pub(crate) config: Option<String>,
    /// Whether it knows the network that is in the air.
    pub(crate) knows_network: bool,
    /// The environment of the process.
    pub(crate) environment: Vec<(&'static str, String)>,
}

/// A command that starts `app` on an empty flash in `scratch`, with its portal at the address.
pub(crate) fn command(
    app: &str,
    given: &Given,
    scratch: &Scratch,
) -> Result<(Command, SocketAddr), Failure> {
    let portal = free_address();
    let mut command = Command::new(sibling(app)?);
    command
        .arg("--state")
        .arg(scratch.path().join("state"))
        .args(["--portal", &portal.to_string()])
        .args(["--panel", "off", "--broker", "off"])
        .envs(given.environment.iter().cloned());
    if let Some(config) = &given.config {
        command
            .arg("--config")
            .arg(scratch.file("config.toml", config.as_bytes())?);
    }
    if given.knows_network {
        let air = b"[[network]]\nssid = \"Bench\"\npassword = \"correct horse\"\n";
        command.arg("--air").arg(scratch.file("air.toml", air)?);
        let known = br#"{"Bench":"correct horse"}"#;
        command
            .arg("--provision")
            .arg(scratch.file("wifi.json", known)?);
    }
    Ok((command, portal))
}

/// Starts it.
pub(crate) fn start(
    app: &'static str,
    given: &Given,
    scratch: &Scratch,
) -> Result<(Program, SocketAddr), Failure> {
    let (mut command, portal) = command(app, given, scratch)?;
    Ok((Program::start(app, &mut command)?, portal))
}
