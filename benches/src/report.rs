//! The whole of `RESULTS.md`.

use std::fmt::Write as _;
use std::process::Command;
use std::time::Duration;

use crate::Plan;
use crate::table::{Section, markdown};

/// The text of the file.
pub(crate) fn write(plan: &Plan, sections: &[Section], took: Duration) -> String {
    let judged = || sections.iter().flat_map(|section| &section.rows);
    let met = judged().filter(|row| row.met == Some(true)).count();
    let missed = judged().filter(|row| row.met == Some(false)).count();
    let mut text = String::from("# What Bluebell costs, measured\n\n");
    // Writing to a String cannot fail.
    let _ = writeln!(
        text,
        "Written by `make bench`. Each figure is the median of {} rounds with the least and the most beside \
         it; what is compared was measured in turns, and ratios were taken within a round. Absolute \
         speeds are this machine's and say nothing about a chip.\n",
        plan.rounds
    );
    let _ = writeln!(text, "| | |\n|---|---|");
    for (what, value) in facts(took) {
        let _ = writeln!(text, "| {what} | {value} |");
    }
    let _ = writeln!(text, "| targets | {met} met, {missed} not met |\n");
    for section in sections {
        let _ = writeln!(text, "{}", markdown(section));
    }
    text.truncate(text.trim_end().len());
    text.push('\n');
    text
}

fn facts(took: Duration) -> [(&'static str, String); 5] {
    let cpu = std::fs::read_to_string("/proc/cpuinfo").unwrap_or_default();
    let model = cpu
        .lines()
        .find_map(|line| line.strip_prefix("model name"))
        .and_then(|rest| rest.split_once(':'))
        .map_or("unknown", |(_, model)| model.trim());
    let cores = std::thread::available_parallelism().map_or(0, usize::from);
    let load = std::fs::read_to_string("/proc/loadavg").unwrap_or_default();
    let load = load.split(' ').next().unwrap_or_default();
    [
        ("machine", format!("{model}, {cores} cores")),
        ("system", output("uname", &["-sr"])),
        ("date", output("date", &["-u", "+%Y-%m-%d %H:%M UTC"])),
        (
            "commit",
            output("git", &["describe", "--always", "--dirty", "--abbrev=12"]),
        ),
        (
            "run",
            format!(
                "{} s; load average at its end {load} (1 or 2 are its own)",
                took.as_secs()
            ),
        ),
    ]
}

fn output(program: &str, arguments: &[&str]) -> String {
    let output = Command::new(program).args(arguments).output();
    let text = output.map(|output| String::from_utf8_lossy(&output.stdout).trim().to_owned());
    text.unwrap_or_else(|_| "unknown".into())
}
