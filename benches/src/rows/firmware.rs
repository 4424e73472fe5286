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
        Ok(sizes) => rows.extend(of_report(&sizes)),
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

/// The numbers at the top of the report, whose first line begins with the chip's name: what, bytes, `at most` or
/// `at least` a budget, the change, and perhaps the goal that is not reached yet.
fn of_report(sizes: &str) -> impl Iterator<Item = Row> {
    let (chip, _) = sizes.split_once(':').unwrap_or(("ESP", ""));
    let numbers = sizes
        .lines()
        .skip(1)
        .take_while(|line| !line.contains("by crate"));
    numbers.filter_map(move |line| {
        let (what, rest) = line.trim().split_once("  ")?;
        let mut words = rest.split_whitespace();
        let row = Row::new(format!("{chip}: {what}"), words.next()?);
        let after = |words: &str| {
            let (_, rest) = rest.split_once(words)?;
            rest.split_whitespace().next()
        };
        Some(
            match (after("goal of "), after("at most "), after("at least ")) {
                (Some(goal), ..) => row.judged(false, format!("≤ {goal}")),
                (None, Some(most), _) => {
                    row.judged(!rest.contains("EXCEEDED"), format!("≤ {most}"))
                }
                (None, None, Some(least)) => {
                    row.judged(!rest.contains("EXCEEDED"), format!("≥ {least}"))
                }
                (None, None, None) => row,
            },
        )
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_goal_that_the_report_names_is_one_that_is_not_met() {
        let report = "esp32c3: bytes, budget, difference to the last release\n\n\
                      app image                  856960  at most 870000     new  not yet at the goal of 700000\n\
                      \x20 the future itself         22568                     new\n\
                      main stack: room            95284  at least 65536    -120\n\n\
                      in the image, by crate\n\nbluebell  161830\n";
        let rows: Vec<_> = of_report(report).collect();
        let told = |row: &Row| {
            (
                row.what.clone(),
                row.measured.clone(),
                row.reach.clone(),
                row.met,
            )
        };
        assert_eq!(
            rows.iter().map(told).collect::<Vec<_>>(),
            [
                (
                    "esp32c3: app image".into(),
                    "856960".into(),
                    "≤ 700000".into(),
                    Some(false)
                ),
                (
                    "esp32c3: the future itself".into(),
                    "22568".into(),
                    String::new(),
                    None
                ),
                (
                    "esp32c3: main stack: room".into(),
                    "95284".into(),
                    "≥ 65536".into(),
                    Some(true)
                ),
            ]
        );
    }
}
