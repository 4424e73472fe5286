//! The original, from a checkout of it, under MicroPython's unix port.
//!
//! None of its code is here: its files are laid out flat, as they are on its chip, beside the few modules of
//! a chip that it imports.

use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::{Duration, Instant};

use crate::Plan;
use crate::load::answer;
use crate::peers::{BOOT, Server};
use crate::process::{Failure, Program, Scratch, free_address};

/// How its server is called in the table.
pub(crate) const NAME: &str = "the original";

/// What it did where it was measured before; shown where it cannot be had.
pub(crate) const PAGE: &str =
    "committed figures of the original: 13,816/s (13,181 to 14,211), 69 µs";

/// A chip's modules, and the programs that are run.
const FILES: [(&str, &str); 5] = [
    ("machine.py", include_str!("../original/machine.py")),
    ("network.py", include_str!("../original/network.py")),
    ("ntptime.py", include_str!("../original/ntptime.py")),
    ("serve.py", include_str!("../original/serve.py")),
    ("publish.py", include_str!("../original/publish.py")),
];

/// Its web server, if there is a checkout.
pub(crate) fn web_server(plan: &Plan, scratch: &Scratch) -> Result<Option<Server>, Failure> {
    let Some(folder) = lay_out(plan, scratch)? else {
        return Ok(None);
    };
    let address = free_address();
    let mut command = micropython(&folder);
    command.arg("serve.py").arg(address.port().to_string());
    let program = Program::start("micropython", &mut command)?;
    // A whole request: a connection that is only made and closed lets it hang for ever.
    let due = Instant::now() + BOOT;
    while let Err(failure) = answer(address, "/") {
        if Instant::now() > due {
            return Err(failure);
        }
        std::thread::sleep(Duration::from_millis(20));
    }
    Ok(Some(Server {
        name: NAME,
        address,
        path: "/",
        program,
    }))
}

/// MicroPython, in the folder with the files.
pub(crate) fn micropython(folder: &Path) -> Command {
    let program = std::env::var_os("MICROPYTHON").unwrap_or_else(|| "micropython".into());
    let mut command = Command::new(program);
    command.current_dir(folder);
    command
}

/// The folder with its files, if there is a checkout.
pub(crate) fn lay_out(plan: &Plan, scratch: &Scratch) -> Result<Option<PathBuf>, Failure> {
    let Some(checkout) = &plan.original else {
        return Ok(None);
    };
    let folder = scratch.path().join("original");
    std::fs::create_dir_all(&folder).map_err(|error| error.to_string())?;
    let source = checkout.join("src");
    copy(&source, &folder).map_err(|error| {
        let source = source.display();
        format!("ORIGINAL: {source}: {error}; give the path of a checkout")
    })?;
    for (name, text) in FILES {
        std::fs::write(folder.join(name), text).map_err(|error| error.to_string())?;
    }
    Ok(Some(folder))
}

/// Copies the files of a folder and of those in it, without the folders.
fn copy(from: &Path, to: &Path) -> std::io::Result<()> {
    for entry in std::fs::read_dir(from)? {
        let path = entry?.path();
        if path.is_dir() {
            copy(&path, to)?;
        } else if let Some(name) = path.file_name() {
            std::fs::copy(&path, to.join(name))?;
        }
    }
    Ok(())
}
