//! What criterion measures inside of a process: run in rounds, and read from what it leaves.

use std::collections::BTreeMap;
use std::path::Path;
use std::process::{Command, Stdio};

use serde_json::Value;

use crate::Plan;
use crate::process::{Failure, Scratch};
use crate::samples::Samples;
use crate::table::{Row, Section};

const JOBS: [u32; 4] = [1, 10, 100, 1_000];

/// Runs criterion once and reads its medians.
fn round(plan: &Plan, home: &Path) -> Result<Round, Failure> {
    let times = if plan.quick {
        [
            "--warm-up-time=0.02",
            "--measurement-time=0.05",
            "--sample-size=10",
        ]
    } else {
        [
            "--warm-up-time=0.1",
            "--measurement-time=0.25",
            "--sample-size=20",
        ]
    };
    let status = Command::new(&plan.inside)
        .args(["--bench", "--noplot", "--quiet"])
        .args(times)
        .env("CRITERION_HOME", home)
        .stdout(Stdio::null())
        .stderr(Stdio::null())
        .status()
        .map_err(|error| format!("{}: {error}; start with make bench", plan.inside.display()))?;
    if !status.success() {
        return Err(format!(
            "criterion has failed: {status}; cargo bench tells why"
        ));
    }
    let medians = names().map(|name| {
        let path = home.join(&name).join("new/estimates.json");
        let text = std::fs::read_to_string(&path);
        let text = text.map_err(|error| format!("{}: {error}", path.display()))?;
        let json: Value = serde_json::from_str(&text).map_err(|error| error.to_string())?;
        let median = json["median"]["point_estimate"].as_f64();
        let median = median.ok_or_else(|| format!("{} has no median", path.display()))?;
        Ok((name, median))
    });
    medians.collect()
}

/// The medians of one round, in nanoseconds, by name.
type Round = BTreeMap<String, f64>;

/// The figures of one name over all rounds.
fn over(rounds: &[Round], name: &str) -> Samples {
    let values = rounds.iter().map(|round| round.get(name).copied());
    values.map(|value| value.unwrap_or(f64::NAN)).collect()
}

pub(crate) fn measure(plan: &Plan) -> Result<Section, Failure> {
    let scratch = Scratch::new("criterion")?;
    let mut rounds = Vec::new();
    for number in 0..plan.rounds {
        let home = scratch.path().join(number.to_string());
        rounds.push(round(plan, &home)?);
    }
    Ok(Section {
        title: "Inside a process",
        note: format!(
            "By criterion, {} rounds; each round gives a median, ratios are within a round.",
            plan.rounds
        ),
        rows: rows(&rounds),
    })
}

fn names() -> impl Iterator<Item = String> {
    let jobs = JOBS
        .iter()
        .flat_map(|jobs| ["none", "all"].map(|due| format!("scheduler_{due}_due_{jobs}")));
    let others = ["log_line", "seal", "seal_plain", "open", "open_plain"];
    jobs.chain(others.map(str::to_owned))
}

fn rows(rounds: &[Round]) -> Vec<Row> {
    let mut rows = Vec::new();
    for jobs in JOBS {
        let none = over(rounds, &format!("scheduler_none_due_{jobs}"));
        let original = match jobs {
            1 => "the original: 5.1 µs",
            10 => "the original: 6.4 µs",
            100 => "the original: 25.7 µs",
            _ => "",
        };
        rows.push(
            Row::new(
                format!("scheduler pass, none due of {jobs}"),
                none.show(" ns"),
            )
            .against(original)
            .at_most(&none, 50.0, "50 ns"),
        );
    }
    let [one, most] = [1, 1_000].map(|jobs| over(rounds, &format!("scheduler_none_due_{jobs}")));
    let flat = most.ratio(&one);
    rows.push(
        Row::new("scheduler pass, none due: 1,000 by 1 job", flat.show(" ×")).at_most(
            &flat,
            1.25,
            "1.25 × (flat)",
        ),
    );
    for jobs in JOBS {
        let each = over(rounds, &format!("scheduler_all_due_{jobs}")).scaled(1.0 / f64::from(jobs));
        let original = match jobs {
            1 => "the original: 9,600 ns",
            10 => "the original: 3,260 ns",
            100 => "the original: 2,620 ns",
            _ => "",
        };
        rows.push(
            Row::new(
                format!("scheduler pass, all due of {jobs}, a job"),
                each.show(" ns"),
            )
            .against(original)
            .at_most(&each, 300.0, "300 ns"),
        );
    }
    let line = over(rounds, "log_line").scaled(1e-3);
    rows.push(
        Row::new("log line into memory", line.show(" µs"))
            .against("the original: 5 µs, 544 µs once its file is full")
            .at_most(&line, 5.0, "5 µs"),
    );
    for what in ["seal", "open"] {
        let (ours, plain) = (over(rounds, what), over(rounds, &format!("{what}_plain")));
        let ratio = ours.ratio(&plain);
        rows.push(
            Row::new(
                format!("{what} a credential of 16 bytes"),
                format!("{}; {}", ours.scaled(1e-3).show(" µs"), ratio.show(" ×")),
            )
            .against(format!(
                "plain chacha20poly1305: {}",
                plain.scaled(1e-3).show(" µs")
            ))
            .at_most(&ratio, 1.5, "1.5 ×"),
        );
    }
    rows
}
