//! The firmware, from what other commands have left: nothing is built here.

use crate::Plan;
use crate::process::Failure;
use crate::table::{Row, Section};

/// What `make counts` writes.
const COUNTS: &str = "boards/qemu/counts.txt";
/// What `make build` writes.
const SIZES: &str = "build/sizes.txt";

pub(crate) fn measure(_: &Plan) -> Result<Section, Failure> {
    let text = std::fs::read_to_string(COUNTS)
        .map_err(|error| format!("{COUNTS}: {error}; start in the repository"))?;
    let counts = text.lines().filter(|line| !line.starts_with('#'));
    let mut rows: Vec<_> = counts
        .filter_map(|line| line.split_once(' '))
        .map(|(name, count)| Row::new(format!("emulated: {}", name.replace('_', " ")), count))
        .collect();
    match std::fs::read_to_string(SIZES) {
        Ok(sizes) => rows.extend(
            sizes
                .lines()
                .filter(|line| !line.trim().is_empty())
                .map(|line| Row::new("ESP", line.trim().replace('|', "/"))),
        ),
        Err(_) => rows.push(Row::new("ESP", "not built here: make build")),
    }
    Ok(Section {
        title: "Firmware",
        note: format!(
            "`{COUNTS}`: bytes, and instructions per operation on the emulated riscv32 machine; \
             `{SIZES}`: the report of the last `make build`. A bare station image of an ESP32-C3 \
             (radio, stack, DHCP) is 511,104 bytes."
        ),
        rows,
    })
}
