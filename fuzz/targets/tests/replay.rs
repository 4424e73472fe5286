//! Every target over its corpus, and over a few thousand changes of it that are the same each time.

use std::panic::{AssertUnwindSafe, catch_unwind, resume_unwind};
use std::path::{Path, PathBuf};

use sim::random::Random;

/// How many changed inputs each target gets: `BLUEBELL_FUZZ_CASES`, or this many.
const CASES: u64 = 3_000;

/// The longest input that is made.
const LONGEST: usize = 4_096;

/// Bytes that mean something to many readers.
const TELLING: &[u8] = b"\0\x01\x7f\x80\xff\r\n \t\"'\\/%+&=#:;,.-_<>[]{}()$*?@!09azAZ";

fn corpus(name: &str) -> Vec<(PathBuf, Vec<u8>)> {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR"))
        .join("../corpus")
        .join(name);
    let files = std::fs::read_dir(&folder);
    let files = files.unwrap_or_else(|error| panic!("no corpus {}: {error}", folder.display()));
    let mut inputs: Vec<_> = files
        .map(|file| file.expect("a folder can be read").path())
        .map(|path| {
            let bytes = std::fs::read(&path).expect("an input can be read");
            (path, bytes)
        })
        .collect();
    inputs.sort();
    assert!(!inputs.is_empty(), "{} is empty", folder.display());
    inputs
}

/// Changes an input in a few places.
fn change(random: &mut Random, corpus: &[(PathBuf, Vec<u8>)]) -> Vec<u8> {
    let some = |random: &mut Random| {
        random
            .pick(corpus)
            .expect("a corpus is not empty")
            .1
            .clone()
    };
    let mut input = some(random);
    for _ in 0..=random.below(6) {
        let at = random.below(input.len() as u64 + 1) as usize;
        let end = (at + 1 + random.below(8) as usize).min(input.len());
        match random.below(8) {
            0 => drop(input.drain(at..end)),
            1 => input.insert(at, *random.pick(TELLING).expect("there are some")),
            2 if at < input.len() => input[at] ^= 1 << random.below(8),
            3 if at < input.len() => input[at] = *random.pick(TELLING).expect("there are some"),
            4 => random.fill(&mut input[at..end]),
            5 => {
                let again = input[at..end].repeat(1 + random.below(40) as usize);
                input.splice(at..at, again);
            }
            6 => {
                let other = some(random);
                let from = random.below(other.len() as u64 + 1) as usize;
                input.splice(at.., other[from..].iter().copied());
            }
            _ => input.truncate(at),
        }
    }
    input.truncate(LONGEST);
    input
}

fn replay(name: &str) {
    let cases = std::env::var("BLUEBELL_FUZZ_CASES").ok();
    let cases = cases.map_or(CASES, |cases| cases.parse().expect("a number of cases"));
    let attempt = |what: &dyn std::fmt::Display, input: &[u8]| {
        if let Err(panic) = catch_unwind(AssertUnwindSafe(|| targets::run(name, input))) {
            println!("target {name}, {what}: \"{}\"", input.escape_ascii());
            resume_unwind(panic);
        }
    };
    let corpus = corpus(name);
    for (path, input) in &corpus {
        attempt(&path.display(), input);
    }
    for seed in 0..cases {
        let input = change(&mut Random::new(seed), &corpus);
        attempt(&format_args!("seed {seed}"), &input);
    }
}

/// One test for each target, so that they run side by side and a failure names its target.
macro_rules! replays {
    ($($name:ident),* $(,)?) => {
        $(#[test]
        fn $name() {
            replay(stringify!($name));
        })*

        #[test]
        fn every_target_is_replayed_and_has_a_program_for_cargo_fuzz() {
            let replayed = [$(stringify!($name)),*];
            let all: Vec<&str> = targets::TARGETS.iter().map(|target| target.name).collect();
            assert_eq!(all, replayed);
            let programs = Path::new(env!("CARGO_MANIFEST_DIR")).join("../fuzz_targets");
            let mut programs: Vec<String> = std::fs::read_dir(programs)
                .expect("a folder can be read")
                .map(|file| file.expect("a folder can be read").path())
                .map(|path| path.file_stem().expect("a name").display().to_string())
                .collect();
            programs.sort();
            assert_eq!(programs, replayed);
        }
    };
}

replays!(
    config, console, dhcp, display, dns, flash, form, http, mqtt, networks, path, sealed, sntp,
    timezone, topic, wifi_json,
);
