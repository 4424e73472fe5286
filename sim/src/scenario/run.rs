//! Tells the stories of a directory, each as a test.

use std::panic::{AssertUnwindSafe, catch_unwind};
use std::path::{Path, PathBuf};
use std::process::ExitCode;

use embassy_futures::join::join;
use embassy_futures::select::{Either, Either3, select, select3};
use embassy_time::{Duration, Instant, Timer};
use libtest_mimic::{Arguments, Failed, Trial};
use toml::Spanned;

use super::Application;
use super::script::{Script, Step, Sweep, When};
use super::stage::Stage;
use super::watch::Watch;
use super::words::Span;
use crate::air::Station;
use crate::board::World;
use crate::time::run_virtual;

/// How often a device is looked at.
const LOOK: Duration = Duration::from_millis(50);
/// No story is longer than this, and none is cut short before.
pub(super) const AGES: Duration = Duration::from_secs(100 * 366 * 86_400);
/// 2030-01-01 at midnight UTC: later than any commit that a device could be built from by then.
const DATE: i64 = 1_893_456_000;
/// After so long a device listens to its console.
const BOOT: Duration = Duration::from_secs(3);
/// So many of the last bytes of the console are shown with a failure.
const TAIL: usize = 3_000;

/// Runs every scenario of a directory as a test named like its file, as the whole of a test's `main`;
/// `package` and `test` are what a failure names in the command that tells its story again.
pub fn main<A: Application + Default>(directory: &str, package: &str, test: &str) -> ExitCode {
    let arguments = Arguments::from_args();
    let files = match files(Path::new(directory)) {
        Ok(files) => files,
        Err(error) => {
            eprintln!("{error}");
            return ExitCode::FAILURE;
        }
    };
    let again = format!("cargo test -p {package} --test {test}");
    let trials = files.into_iter().map(|(name, path)| {
        let again = again.clone();
        Trial::test(name.clone(), move || {
            tell_file::<A>(&path, &format!("{again} {name}")).map_err(Failed::from)
        })
    });
    libtest_mimic::run(&arguments, trials.collect()).exit_code()
}

/// The scenarios of a directory, by name.
fn files(directory: &Path) -> Result<Vec<(String, PathBuf)>, String> {
    let shown = directory.display();
    let entries = std::fs::read_dir(directory)
        .map_err(|error| format!("{shown}: {error}; put scenarios there, as name.toml"))?;
    let mut files: Vec<_> = entries
        .filter_map(|entry| {
            let path = entry.ok()?.path();
            let name = path.file_stem()?.to_str()?.to_owned();
            (path.extension()? == "toml").then_some((name, path))
        })
        .collect();
    files.sort();
    if files.is_empty() {
        return Err(format!(
            "{shown} has no scenarios: put some there, as name.toml"
        ));
    }
    Ok(files)
}

/// A number of the environment, to tell one story again.
fn asked<T: std::str::FromStr>(variable: &str) -> Option<T> {
    std::env::var(variable).ok()?.parse().ok()
}

fn tell_file<A: Application + Default>(path: &Path, again: &str) -> Result<(), String> {
    let script = Script::read(path).map_err(|error| error.to_string())?;
    let (seed, sweep) = (asked("SCENARIO_SEED"), asked("SCENARIO_SWEEP"));
    let seeds = seed.map_or(0..script.seeds, |seed| seed..seed + 1);
    for seed in seeds {
        for time in times(script.sweep, sweep) {
            let mut again = format!("SCENARIO_SEED={seed} {again}");
            if let Some(time) = time {
                again = format!("SCENARIO_SWEEP={time} {again}");
            }
            let told = catch_unwind(AssertUnwindSafe(|| tell::<A>(&script, seed, time)));
            let told = told.unwrap_or_else(|panic| Err(said(panic.as_ref())));
            told.map_err(|why| format!("{}: {why}\n\nagain with: {again}", path.display()))?;
        }
    }
    Ok(())
}

/// What a panic said.
pub(super) fn said(panic: &(dyn std::any::Any + Send)) -> String {
    let text = panic.downcast_ref::<String>().map(String::as_str);
    let text = text.or_else(|| panic.downcast_ref::<&str>().copied());
    format!("panicked: {}", text.unwrap_or("without a word"))
}

fn times(sweep: Option<Sweep>, asked: Option<Span>) -> Vec<Option<Span>> {
    let Some(sweep) = sweep else {
        return vec![None];
    };
    if asked.is_some() {
        return vec![asked];
    }
    let mut times = Vec::new();
    let mut time = sweep.from.0;
    while time <= sweep.to.0 {
        times.push(Some(Span(time)));
        time += sweep.every.0;
    }
    times
}

/// Tells one story once.
fn tell<A: Application + Default>(
    script: &Script,
    seed: u64,
    sweep: Option<Span>,
) -> Result<(), String> {
    run_virtual(async {
        let world = World::new(seed);
        let config = script
            .config
            .as_ref()
            .map(|config| config.get_ref().as_str());
        let stage = Stage::new(&world, A::default(), config, seed);
        let mut watch = Watch::new(LOOK, false);
        let story = async {
            prepare(&stage, script).await;
            let teller = Teller {
                stage: &stage,
                script,
                start: Instant::now(),
                sweep,
            };
            let tracks = join(teller.track(&script.step), teller.track(&script.meanwhile));
            match select(watch.run(&stage), tracks).await {
                Either::First(wrong) => Err(wrong),
                Either::Second((first, second)) => first.and(second),
            }?;
            finish(&stage).await
        };
        let told = world.run(AGES, select3(stage.live(), stage.power_by_flash(), story));
        match told.await {
            Either3::First(()) | Either3::Second(()) => Err("the device has ended".into()),
            Either3::Third(told) => told.map_err(|why| stage.report(&why)),
        }
    })
}

/// Puts the device where the story begins.
async fn prepare<A: Application>(stage: &Stage<'_, A>, script: &Script) {
    let password = |ssid: &str| {
        let named = script
            .network
            .iter()
            .find(|known| known.ssid.get_ref() == ssid);
        let password = named.and_then(|network| network.password.as_ref());
        password
            .map(|password| password.get_ref().clone())
            .unwrap_or_default()
    };
    let air = &stage.world.air;
    stage
        .knows(script.knows.iter().map(|ssid| {
            let ssid = ssid.get_ref();
            (ssid.clone(), password(ssid))
        }))
        .await;
    for network in &script.network {
        let mut station = network.station();
        network.apply(&mut station);
        stage.keep_secret(&station.password, false);
        air.add(station);
    }
    let date = script.date.map_or(DATE, |date| date.seconds);
    stage.world.time.set_time(date);
    if script.on {
        stage.switch(true);
    }
}

/// What has to be so at the end of every story.
pub(super) async fn finish<A: Application>(stage: &Stage<'_, A>) -> Result<(), String> {
    stage.device.flash.revive();
    if !stage.is_on() {
        stage.switch(true);
    }
    // A device that has just been switched on does not listen yet.
    while stage
        .booted
        .get()
        .is_none_or(|booted| booted.elapsed() < BOOT)
    {
        Timer::after(LOOK).await;
    }
    let stored = stage.stored().await;
    for ssid in stage.known.borrow().keys() {
        if !stored.contains(&format!("{ssid:?}")) {
            return Err(format!(
                "{ssid:?} was stored and is not any more: {stored:?}"
            ));
        }
    }
    stage.secrets_kept()
}

impl<A: Application> Stage<'_, A> {
    /// Has the device join these networks, one after the other, and takes everything away again.
    pub(super) async fn knows(&self, networks: impl Iterator<Item = (String, String)>) {
        let air = &self.world.air;
        let mut some = false;
        for (ssid, password) in networks {
            some = true;
            self.keep_secret(&password, false);
            air.add(Station::new(&ssid).with_password(&password));
            self.switch(true);
            Timer::after(BOOT).await;
            let answer = self.ask(&format!("join {ssid:?} {password:?}")).await;
            assert!(answer.ends_with("ok\n"), "{ssid} was not joined: {answer}");
            self.acknowledge(&ssid, &password);
            air.remove(&ssid);
        }
        if some {
            self.switch(false);
            Timer::after(Duration::from_secs(5)).await;
        }
    }

    /// A failure, with how the device is.
    pub(super) fn report(&self, why: &str) -> String {
        let console = self.device.console();
        let mut from = console.len().saturating_sub(TAIL);
        while !console.is_char_boundary(from) {
            from += 1;
        }
        format!(
            "{why}\n\nthe device: {:?}\nthe end of its console:\n{}",
            self.device.shown(),
            &console[from..]
        )
    }
}

struct Teller<'t, 'w, A> {
    stage: &'t Stage<'w, A>,
    script: &'t Script,
    start: Instant,
    sweep: Option<Span>,
}

impl<A: Application> Teller<'_, '_, A> {
    async fn track(&self, steps: &[Step]) -> Result<(), String> {
        let mut mark = self.stage.mark();
        for step in steps {
            match step.when() {
                When::At(time) => Timer::at(self.start + time.0).await,
                When::Sweep => Timer::at(self.start + self.sweep.unwrap_or_default().0).await,
                When::After(time) => Timer::after(time.0).await,
            }
            if let Some(act) = &step.act {
                mark = self.stage.mark();
                let done = self.stage.perform(act.get_ref()).await;
                done.map_err(|why| self.at(act, &why))?;
            }
            if let Some(expect) = &step.expect {
                let within = step.within.unwrap_or_default().0;
                let holds = step.holds.unwrap_or_default().0;
                let met = self
                    .stage
                    .expect(expect.get_ref(), mark, within, holds)
                    .await;
                met.map_err(|why| self.at(expect, &why))?;
            }
        }
        Ok(())
    }

    fn at<T>(&self, place: &Spanned<T>, why: &str) -> String {
        let line = self.script.line(place.span().start);
        let time = Span(Duration::from_millis(
            (Instant::now() - self.start).as_millis(),
        ));
        format!("line {line}, {time} after the start: {why}")
    }
}

#[cfg(test)]
mod tests;
