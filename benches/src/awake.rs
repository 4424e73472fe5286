//! Keeps the processors awake while programs that answer each other are measured.
//!
//! A processor with nothing to do sleeps, and a virtual one is woken by its host: tens of microseconds, several
//! times what a round trip over loopback takes otherwise. Who waits for answers pays that, and who is too slow to
//! wait does not. So each processor gets something to do, of a priority that gives way to everything else.

use std::process::Command;

use rustix::process::{Pid, getppid};

use crate::process::{Failure, Program, sibling};

/// The argument by which this program becomes what runs on a processor.
const AWAKE: &str = "--awake";
/// How often what runs looks whether it is still wanted.
const SPINS: u32 = 10_000_000;

/// Keeps every processor awake until this goes.
pub(crate) fn processors() -> Result<Vec<Program>, Failure> {
    let own = std::process::id().to_string();
    let count = std::thread::available_parallelism().map_or(1, usize::from);
    let start = |_| {
        let mut command = Command::new("chrt");
        command.args(["--idle", "0"]).arg(sibling("bench")?);
        Program::start("chrt", command.args([AWAKE, &own]))
    };
    (0..count).map(start).collect()
}

/// Runs on a processor if that is what the arguments ask for, for as long as who has started it is there.
pub(crate) fn be_awake(arguments: &[String]) -> bool {
    let [flag, parent] = arguments else {
        return false;
    };
    let parent = parent.parse().ok().and_then(Pid::from_raw);
    if flag != AWAKE || parent.is_none() {
        return false;
    }
    while getppid() == parent {
        for _ in 0..SPINS {
            std::hint::spin_loop();
        }
    }
    true
}
