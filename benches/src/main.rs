//! `make bench`: what Bluebell costs, beside what one would take instead, measured in one run.
//!
//! Rows that are compared are measured in turns, round by round, and ratios are taken within a round: what
//! else the machine does meets both. A row that cannot be produced ends the run with status 1; no
//! figure ever does.

mod board;
mod load;
mod original;
mod peers;
mod process;
mod report;
mod rows;
mod samples;
mod sink;
mod table;

use std::path::PathBuf;
use std::process::ExitCode;

use process::Failure;
use table::Section;

/// How much is measured, and where the things are that are not built with it.
#[derive(Debug)]
pub(crate) struct Plan {
    /// To see whether every row can be produced, not for its figures.
    pub(crate) quick: bool,
    pub(crate) rounds: usize,
    /// The criterion program.
    pub(crate) inside: PathBuf,
    /// A checkout of the original.
    pub(crate) original: Option<PathBuf>,
}

impl Plan {
    /// So many in a full run, a tenth in a quick one.
    pub(crate) fn of(&self, count: usize) -> usize {
        if self.quick { count / 10 } else { count }
    }
}

/// A part of the table, by the name under which it can be asked for alone.
type Part = (&'static str, fn(&Plan) -> Result<Section, Failure>);

const PARTS: [Part; 8] = [
    ("inside", rows::inside::measure),
    ("log", rows::log::measure),
    ("portal", rows::portal::measure),
    ("publish", rows::publish::measure),
    ("pins", rows::pins::measure),
    ("boot", rows::boot::measure),
    ("fleet", rows::fleet::measure),
    ("firmware", rows::firmware::measure),
];

fn main() -> ExitCode {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    if let Some(failure) = peers::be_peer(&arguments) {
        eprintln!("bench: {failure}");
        return ExitCode::FAILURE;
    }
    match run(&arguments) {
        Ok(()) => ExitCode::SUCCESS,
        Err(failure) => {
            eprintln!("bench: {failure}");
            ExitCode::FAILURE
        }
    }
}

fn run(arguments: &[String]) -> Result<(), Failure> {
    let mut plan = Plan {
        quick: false,
        rounds: 7,
        inside: PathBuf::new(),
        original: std::env::var_os("ORIGINAL")
            .filter(|path| !path.is_empty())
            .map(PathBuf::from),
    };
    let (mut only, mut file) = (Vec::new(), None);
    let mut rest = arguments.iter();
    while let Some(argument) = rest.next() {
        match argument.as_str() {
            "--quick" => (plan.quick, plan.rounds) = (true, 3),
            "--rounds" => {
                let number = rest.next().and_then(|text| text.parse().ok());
                plan.rounds = number.filter(|rounds| *rounds > 0).ok_or("--rounds N")?;
            }
            "--inside" => plan.inside = rest.next().ok_or("--inside FILE")?.into(),
            "--write" => file = Some(PathBuf::from(rest.next().ok_or("--write FILE")?)),
            name => only.push(name.to_owned()),
        }
    }
    let known = |name: &String| PARTS.iter().any(|(part, _)| part == name);
    if let Some(unknown) = only.iter().find(|name| !known(name)) {
        let parts = PARTS.map(|(part, _)| part).join(", ");
        return Err(format!("there is no part {unknown}; there are {parts}"));
    }
    let begin = std::time::Instant::now();
    let mut sections = Vec::new();
    for (name, measure) in PARTS {
        if only.is_empty() || only.iter().any(|wanted| wanted == name) {
            eprintln!("bench: {name} ({} s)", begin.elapsed().as_secs());
            let section = measure(&plan).map_err(|failure| format!("{name}: {failure}"))?;
            println!("{}", table::markdown(&section));
            sections.push(section);
        }
    }
    if let Some(file) = file {
        let text = report::write(&plan, &sections, begin.elapsed());
        std::fs::write(&file, text).map_err(|error| format!("{}: {error}", file.display()))?;
    }
    Ok(())
}
