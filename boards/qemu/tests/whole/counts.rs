//! What the framework costs, held against `counts.txt`.

use std::collections::BTreeMap;
use std::fmt::Write;
use std::fs;

use crate::machine::{Folder, Machine, is_installed, script};

const FILE: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/counts.txt");
/// By how many hundredths a count may grow unnoticed.
const TOLERANCE: u64 = 10;

type Counts = BTreeMap<String, u64>;

#[test]
fn counts_have_not_grown_unnoticed() {
    if !is_installed("qemu-system-riscv32", "qemu-system-misc") {
        return;
    }
    let output = script().arg("counts").output().expect("bash starts");
    let printed = String::from_utf8_lossy(&output.stdout).into_owned();
    assert!(
        output.status.success(),
        "{printed}{}",
        String::from_utf8_lossy(&output.stderr)
    );
    let mut counts = read(&printed, "board: count ");
    counts.extend(memory());
    assert_eq!(counts.len(), 11, "{counts:?}");

    if std::env::var("BLUEBELL_COUNTS").as_deref() == Ok("write") {
        let mut text =
            "# What the framework costs; see docs/qemu.md. Written by `make counts`.\n".to_owned();
        for (name, count) in &counts {
            writeln!(text, "{name} {count}").expect("a text takes everything");
        }
        return fs::write(FILE, text).expect("the file can be written");
    }
    let text = fs::read_to_string(FILE).expect("make counts writes it");
    let known = read(&text, "");
    for (name, count) in &counts {
        let before = known
            .get(name)
            .unwrap_or_else(|| panic!("{name} is new: make counts"));
        assert!(
            count * 100 <= before * (100 + TOLERANCE),
            "{name} was {before} and is {count}: shrink it, or say with `make counts` that it is meant"
        );
    }
}

/// What the relay takes, after it was set up.
fn memory() -> Counts {
    let folder = Folder::new();
    let mut machine = Machine::start(&folder, None);
    machine.wait_for_answer("GET /setup", "HTTP/1.1 200");
    machine.wait_for_answer("GET /networks.json", "Cafe");
    machine.request("POST /connect", "ssid=Cafe&password=");
    machine.wait_for_answer("GET /status.json", "\"online\"");
    machine.order("memory");
    machine.console.wait_for(0, &["count stack_peak_bytes"]);
    read(&machine.console.text(), "board: count ")
}

/// The lines `<prefix><name> <count>` of a text.
fn read(text: &str, prefix: &str) -> Counts {
    let counts = text.lines().filter_map(|line| {
        let (name, count) = line.strip_prefix(prefix)?.split_once(' ')?;
        Some((name.to_owned(), count.parse().ok()?))
    });
    counts.collect()
}
