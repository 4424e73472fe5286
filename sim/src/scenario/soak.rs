//! A random walk: months of a device's life with everything that can happen to it, one after the other.

use std::cell::RefCell;
use std::collections::VecDeque;
use std::ops::Range;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::process::ExitCode;

use embassy_futures::select::{Either, Either3, select, select3};
use embassy_time::{Duration, Instant, Timer, with_timeout};
use libtest_mimic::{Arguments, Failed, Trial};

use super::run::{finish, said};
use super::script::Act;
use super::stage::Stage;
use super::watch::Watch;
use super::words::Span;
use super::{Lamp, run};
use crate::air::Station;
use crate::board::World;
use crate::random::Random;
use crate::time::run_virtual;

/// How often the device is looked at.
const LOOK: Duration = Duration::from_millis(500);
/// So many of the last things that happened are told with a failure.
const HISTORY: usize = 40;
/// A person gives up after this.
const PATIENCE: Duration = Duration::from_secs(300);
/// What can happen, as a scenario says it, with how often.
const ACTS: &[(u64, &[&str])] = &[
    (
        6,
        &[
            "network = { ssid = 'one', up = false }",
            "network = { ssid = 'two', up = false }",
            "network = { ssid = 'one', up = true }",
            "network = { ssid = 'two', up = true }",
            "network = { ssid = 'one', channel = 6 }",
            "network = { ssid = 'two', channel = 11 }",
            "network = { ssid = 'one', rssi = -85 }",
            "network = { ssid = 'one', rssi = -40 }",
            "throw off",
        ],
    ),
    (
        2,
        &[
            "network = { ssid = 'one', dhcp = false }",
            "network = { ssid = 'two', refuses = true }",
            "network = { ssid = 'one', mute = true }",
            "network = { ssid = 'one', password = 'another battery' }",
            "network = { ssid = 'two', hidden = true }",
        ],
    ),
    (
        4,
        &[
            "broker = 'stop'",
            "broker = 'start'",
            "broker = 'hang'",
            "broker = 'refuse'",
            "broker = 'admit'",
            "broker = 'restart'",
            "broker = 'restart forgetting'",
            "'broker takes' = '700ms'",
            "'broker takes' = '15s'",
        ],
    ),
    (
        4,
        &[
            "line = { pulled = true }",
            "line = { black_hole = true }",
            "line = { refuses = true }",
            "line = { loss = 0.3, jitter = '80ms', reorder = 0.1 }",
            "line = { piece = 3, pace = '2ms' }",
            "line = { reset_after = 700 }",
            "line = { delay = '900ms', duplicate = 0.2 }",
            "line = {}",
            "reset connections",
            "half-close connections",
        ],
    ),
    (
        2,
        &[
            "'time server' = 'away'",
            "'time server' = 'back'",
            "'time server' = 'unsynchronized'",
            "date = 2030-03-31T00:59:50Z",
            "date = 2031-10-26T00:59:50Z",
            "date = 2033-01-01T12:00:00Z",
        ],
    ),
    (4, &["power cycle", "power off", "power on"]),
    (
        3,
        &[
            "'cut flash' = { after = 0, words = 0 }",
            "'cut flash' = { after = 0, words = 3 }",
            "'cut flash' = { after = 1 }",
            "'cut flash' = { after = 4, words = 9 }",
            "'cut flash' = { after = 17, words = 2 }",
        ],
    ),
    (
        4,
        &[
            "publish = { topic = 'lamp/set', payload = 'ON' }",
            "publish = { topic = 'lamp/set', payload = 'OFF', qos = 2 }",
            "publish = { topic = 'lamp/keep', payload = 'colour=red' }",
            "publish = { topic = 'lamp/keep', payload = 'colour=green' }",
            "publish = { topic = 'lamp/keep', payload = 'level=17', qos = 2 }",
            "publish = { topic = 'lamp/keep', payload = 'scene=a long evening by the fire' }",
            "publish = { topic = 'lamp/hang' }",
        ],
    ),
    (
        2,
        &[
            "'set up' = { ssid = 'one', password = 'correct horse' }",
            "'set up' = { ssid = 'three', password = 'battery staple' }",
            "submit = { ssid = 'one', password = 'wrong password' }",
            "submit = { ssid = 'nowhere', password = 'wrong password' }",
            "begin a request",
            "walk away",
            "come back",
            "'phone line' = { loss = 0.2, piece = 5 }",
            "'phone line' = {}",
        ],
    ),
    (
        2,
        &[
            "type = 'portal'",
            "type = 'status'",
            "type = 'log'",
            "type = 'restart'",
            "type = 'nonsense \"unfinished'",
        ],
    ),
];
/// Mends everything.
const CALM: &[&str] = &[
    "network = { ssid = 'one', up = true, dhcp = true, refuses = false, mute = false, \
     password = 'correct horse', hidden = false }",
    "network = { ssid = 'two', up = true, dhcp = true, refuses = false, mute = false, \
     password = 'correct horse', hidden = false }",
    "network = { ssid = 'three', up = true, password = 'battery staple' }",
    "broker = 'start'",
    "broker = 'admit'",
    "'broker takes' = '0s'",
    "line = {}",
    "'phone line' = {}",
    "come back",
    "'time server' = 'back'",
    "power on",
];

/// Runs the soak, one test for each seed, as the whole of a test's `main`.
///
/// `SOAK_SEEDS` (such as `0..100`) and `SOAK_HOURS`, the device time for each, change what is run.
pub fn soak(package: &str, test: &str) -> ExitCode {
    let arguments = Arguments::from_args();
    let seeds = std::env::var("SOAK_SEEDS").unwrap_or_else(|_| "0..4".into());
    let hours = std::env::var("SOAK_HOURS").unwrap_or_else(|_| "48".into());
    let (Some(seeds), Ok(hours)) = (range(&seeds), hours.parse::<u32>()) else {
        eprintln!("SOAK_SEEDS is a range of numbers, as 0..100, and SOAK_HOURS a whole number");
        return ExitCode::FAILURE;
    };
    let again = format!("SOAK_HOURS={hours} cargo test -p {package} --test {test}");
    let trials = seeds.map(|seed| {
        let again = format!("SOAK_SEEDS={seed}..{} {again}", seed + 1);
        Trial::test(format!("soak_of_seed_{seed}"), move || {
            let walked = catch_unwind(AssertUnwindSafe(|| walk(seed, hours)));
            let walked = walked.unwrap_or_else(|panic| Err(said(panic.as_ref())));
            let summary =
                walked.map_err(|why| Failed::from(format!("{why}\n\nagain with: {again}")))?;
            eprintln!("seed {seed}: {summary}");
            Ok(())
        })
    });
    libtest_mimic::run(&arguments, trials.collect()).exit_code()
}

fn range(text: &str) -> Option<Range<u64>> {
    let (from, to) = text.split_once("..")?;
    Some(from.parse().ok()?..to.parse().ok()?)
}

/// What happened, and when.
type History = RefCell<VecDeque<(Instant, &'static str)>>;

struct Walk<'s, 'w> {
    stage: &'s Stage<'w, Lamp>,
    random: Random,
    history: &'s History,
    acts: u64,
}

fn walk(seed: u64, hours: u32) -> Result<String, String> {
    let history = History::default();
    let end = Duration::from_secs(3_600 * u64::from(hours));
    let result = run_virtual(async {
        let world = World::new(seed);
        let stage = Stage::new(&world, Lamp::default(), None, seed);
        let mut watch = Watch::new(LOOK, true);
        let story = async {
            let known = ["one", "two"].map(|ssid| (ssid.into(), "correct horse".into()));
            stage.knows(known.into_iter()).await;
            for (ssid, password) in [("one", "correct horse"), ("two", "correct horse")] {
                world.air.add(Station::new(ssid).with_password(password));
            }
            stage.switch(true);
            let mut walk = Walk {
                stage: &stage,
                random: Random::new(seed ^ 0x50a4),
                history: &history,
                acts: 0,
            };
            match select(watch.run(&stage), walk.run(end)).await {
                Either::First(wrong) => Err(wrong),
                Either::Second(ended) => ended,
            }?;
            finish(&stage).await?;
            Ok(walk.acts)
        };
        let told = world.run(
            run::AGES,
            select3(stage.live(), stage.power_by_flash(), story),
        );
        let acts = match told.await {
            Either3::First(()) | Either3::Second(()) => Err("the device has ended".into()),
            Either3::Third(told) => told.map_err(|why: String| stage.report(&why)),
        }?;
        let [short, long] = watch.longest.map(|time| time.as_millis());
        Ok(format!(
            "{hours} h, {acts} events, {} boots; back in at most {short} ms after short outages, {long} \
             ms after long ones",
            stage.boots.get()
        ))
    });
    result.map_err(|why: String| {
        let told = history.borrow();
        let lines = told.iter().map(|(at, act)| {
            let at = Span(Duration::from_millis(at.as_millis()));
            format!("  {at}: {act}\n")
        });
        format!(
            "{why}\n\nwhat happened last:\n{}",
            lines.collect::<String>()
        )
    })
}

impl Walk<'_, '_> {
    async fn run(&mut self, end: Duration) -> Result<(), String> {
        let start = Instant::now();
        while start.elapsed() < end {
            for _ in 0..1 + self.random.below(12) {
                let pause = match self.random.below(8) {
                    0..3 => self.random.below(2_000),
                    3..6 => self.random.below(60_000),
                    6 => self.random.below(600_000),
                    _ => self.random.below(7_200_000),
                };
                Timer::after_millis(pause).await;
                let total = ACTS.iter().map(|(weight, _)| weight).sum();
                let mut drawn = self.random.below(total);
                let of_kind = ACTS.iter().find(|(weight, _)| {
                    let here = drawn < *weight;
                    drawn = drawn.saturating_sub(*weight);
                    here
                });
                let act = of_kind.and_then(|(_, acts)| self.random.pick(acts).copied());
                self.perform(act.unwrap_or("power cycle")).await?;
            }
            for act in CALM {
                self.perform(act).await?;
            }
            let calm = 200_000 + self.random.below(1_800_000);
            Timer::after_millis(calm).await;
        }
        Ok(())
    }

    async fn perform(&mut self, text: &'static str) -> Result<(), String> {
        self.acts += 1;
        {
            let mut history = self.history.borrow_mut();
            if history.len() == HISTORY {
                history.pop_front();
            }
            history.push_back((Instant::now(), text));
        }
        let act = Act::parse(text)?;
        let person = matches!(act, Act::Submit(_) | Act::SetUp(_) | Act::BeginRequest);
        match with_timeout(PATIENCE, self.stage.perform(&act)).await {
            // A person who finds no portal, or nobody at home, goes away again.
            Ok(Err(_)) | Err(_) if person => Ok(()),
            Ok(done) => done,
            Err(_) => Err(format!("{text} took more than {PATIENCE:?}")),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::{ACTS, Act, CALM};

    #[test]
    fn everything_that_can_happen_is_written_as_in_a_scenario() {
        let walked = ACTS.iter().flat_map(|(_, acts)| acts.iter());
        for text in walked.chain(CALM) {
            if let Err(error) = Act::parse(text) {
                panic!("{text}: {error}");
            }
        }
    }
}
