//! What `make build` does to a firmware image on the host.
//!
//! ```text
//! bluebell-image check CONFIG.toml               is it a configuration? warns of secrets in clear
//! bluebell-image provision WIFI.json FLASH.bin STORE.bin
//!                                                puts networks into the image's store; writes that too
//! bluebell-image split FLASH.bin OFFSET FOLDER   bootloader and partition table out of the whole image
//! bluebell-image report ELF APP.bin CHIP SIZES   sizes beside the budgets and the last release's
//! ```
//!
//! What a person reads goes to stderr, the report to stdout. Exit status: 1 when a budget is exceeded, 2
//! for a wrong argument or file.

mod image;
mod report;
mod symbols;

use std::path::Path;
use std::process::ExitCode;

use bluebell::config::{Config, SecretKey};

/// Why there is no result: a line for the person.
type Refusal = String;

fn main() -> ExitCode {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let arguments: Vec<&str> = arguments.iter().map(String::as_str).collect();
    let done = match arguments[..] {
        ["check", config] => check(config),
        ["provision", networks, image, store] => image::provision(networks, image, store),
        ["split", image, offset, folder] => image::split(image, offset, folder),
        ["report", elf, app, chip, sizes] => match report::report(elf, app, chip, sizes) {
            Ok(true) => Ok(()),
            Ok(false) => return ExitCode::FAILURE,
            Err(refusal) => Err(refusal),
        },
        _ => Err("see the head of boards/esp/tool/src/main.rs for the commands".into()),
    };
    match done {
        Ok(()) => ExitCode::SUCCESS,
        Err(refusal) => {
            eprintln!("bluebell-image: {refusal}");
            ExitCode::from(2)
        }
    }
}

/// Reads a file; a failure names it.
fn read(path: impl AsRef<Path>) -> Result<Vec<u8>, Refusal> {
    let path = path.as_ref();
    std::fs::read(path).map_err(|error| format!("{}: {error}", path.display()))
}

/// Writes a file; a failure names it.
fn write(path: impl AsRef<Path>, bytes: &[u8]) -> Result<(), Refusal> {
    let path = path.as_ref();
    std::fs::write(path, bytes).map_err(|error| format!("{}: {error}", path.display()))
}

/// Checks a configuration before minutes are spent on building it in.
fn check(path: &str) -> Result<(), Refusal> {
    let text = String::from_utf8(read(path)?).map_err(|_| format!("{path}: no UTF-8 text"))?;
    // The address only makes default names.
    let config = Config::parse(&text, [0; 6]).map_err(|error| format!("{path}: {error}"))?;
    for key in SecretKey::ALL
        .into_iter()
        .filter(|key| config.given(*key).is_some())
    {
        eprintln!(
            "warning: {path}: {} can be read in the image by whoever has it; leave it empty and set \
             it from the console, where it is sealed",
            key.name()
        );
    }
    Ok(())
}
