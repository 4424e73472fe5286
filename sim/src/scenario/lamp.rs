//! The application that Bluebell's own scenarios are told about: a lamp that keeps account of itself.
//!
//! It watches what the framework promises to an application: that jobs run on their grid, that kept
//! values are there after a power cut, that accepted messages arrive, also over power cuts, and in order.

use std::cell::{Cell, RefCell};
use std::collections::{BTreeMap, BTreeSet};
use std::convert::Infallible;

use bluebell::clock::TimeOfDay;
use bluebell::device::{App, Device, Handle};
use bluebell::jobs::Job;
use bluebell::mqtt::Delivery;
use embassy_time::{Duration, Instant};

use super::Application;
use crate::board::SimBoard;
use crate::broker::Message;

const CONFIG: &str = "[device]\nname = \"lamp\"\n";
/// How late a job may begin.
const LATEST: Duration = Duration::from_millis(50);
/// How often a number is published.
const COUNT_EVERY: Duration = Duration::from_secs(5);
/// The names of values that are kept, for when the device boots and looks at them.
const KEPT: [&str; 3] = ["colour", "level", "scene"];
/// How long an accepted message may take once everything is well.
const DELIVERY: Duration = Duration::from_secs(20);
/// So many that have arrived are remembered, since they may come once more: several times what an outbox holds.
const REMEMBERED: usize = 4_096;

/// A lamp. It obeys `lamp/set` and answers on `<base>/state`; keeps `name=value` of `lamp/keep`; keeps
/// values until the flash is full on `lamp/fill`, and says on `lamp/full` how many fitted; hangs on
/// `lamp/hang`; says on `lamp/ran/morning` (02:30) and `lamp/ran/noon` when these jobs have run, with
/// the time of the wall; and counts on `lamp/count`.
#[derive(Default)]
pub struct Lamp {
    boot: Cell<u32>,
    /// When the first run of the job was due.
    grid: Cell<Option<Instant>>,
    last_slot: Cell<Option<u64>>,
    counted: Cell<u32>,
    /// What was accepted and has not arrived as far as is known, by boot and number in it.
    accepted: RefCell<BTreeMap<(u32, u32), Instant>>,
    /// The newest that have arrived.
    arrived: RefCell<BTreeSet<(u32, u32)>>,
    spoilt: Cell<bool>,
    kept: RefCell<BTreeMap<String, Vec<String>>>,
    wrong: RefCell<Option<String>>,
}

impl Lamp {
    fn complain(&self, what: String) {
        self.wrong.borrow_mut().get_or_insert(what);
    }

    /// A run of the job that comes each second.
    fn tick(&self) {
        let now = Instant::now();
        // The first run is on time as far as anybody knows; one that comes earlier knows better.
        let grid = self.grid.get().unwrap_or(now);
        let slot = ((now - grid).as_millis() + 500) / 1_000;
        let due = grid + Duration::from_secs(slot);
        self.grid
            .set(Some(if now < due { grid - (due - now) } else { grid }));
        let late = now.saturating_duration_since(due);
        let last = self.last_slot.replace(Some(slot));
        if let Some(last) = last
            && slot != last + 1
        {
            self.complain(format!("the job ran in second {slot} after second {last}"));
        }
        if late > LATEST {
            self.complain(format!("a job ran {} ms late", late.as_millis()));
        }
    }

    /// Publishes the next number. In a job of its own: with a slow broker it takes its time.
    async fn count(&self, device: Handle<'_>) {
        let number = self.counted.get();
        let text = format!("{}:{number}", self.boot.get());
        let sent = device
            .publish_as("lamp/count", &text, Delivery::AT_LEAST_ONCE)
            .await;
        // A full outbox refuses, and says so: then nothing was promised.
        if sent.is_ok() {
            self.counted.set(number + 1);
            let message = (self.boot.get(), number);
            if !self.arrived.borrow().contains(&message) {
                let mut accepted = self.accepted.borrow_mut();
                accepted.insert(message, Instant::now());
            }
        }
    }

    /// Compares what is kept with what the application was told is kept.
    async fn look(&self, device: Handle<'_>) {
        for name in KEPT {
            let mut buffer = [0; 64];
            let found = match device.kept(name, &mut buffer).await {
                Ok(found) => found.map(|value| String::from_utf8_lossy(value).into_owned()),
                // A flash that has no power tells nothing.
                Err(_) => continue,
            };
            let kept = self.kept.borrow();
            let allowed = kept.get(name).map(Vec::as_slice).unwrap_or_default();
            let fits = match &found {
                Some(value) => allowed.contains(value),
                None => allowed.first().is_none_or(String::is_empty),
            };
            if !fits {
                self.complain(format!(
                    "{name} is {found:?} after a boot, kept was {allowed:?}"
                ));
            }
        }
    }

    /// The first of the values is what was promised, those behind it are tried and may be there.
    async fn keep(&self, device: Handle<'_>, name: &str, value: &str) {
        let untried = || vec![String::new()];
        {
            let mut kept = self.kept.borrow_mut();
            let values = kept.entry(name.to_owned()).or_insert_with(untried);
            values.push(value.to_owned());
        }
        if device.keep(name, value.as_bytes()).await.is_ok() {
            self.kept
                .borrow_mut()
                .insert(name.to_owned(), vec![value.to_owned()]);
        }
    }

    async fn fill(&self, device: Handle<'_>) {
        let mut fitted = 0;
        let full = loop {
            if let Err(error) = device.keep(&format!("fill-{fitted}"), &[0x55; 1000]).await {
                break error;
            }
            fitted += 1;
        };
        let text = format!("{fitted}: {full}");
        // The outbox has room as long as nobody sends much.
        let _ = device
            .publish_as("lamp/full", &text, Delivery::AT_LEAST_ONCE)
            .await;
    }
}

async fn ran(device: Handle<'_>, name: &str) {
    let time = device.local_time();
    let text = time.map_or_else(String::new, |time| {
        format!("{:02}:{:02}", time.hour, time.minute)
    });
    let topic = format!("lamp/ran/{name}");
    // As above.
    let _ = device
        .publish_as(&topic, &text, Delivery::AT_LEAST_ONCE)
        .await;
}

impl Application for Lamp {
    fn app(&self) -> App {
        App {
            name: "lamp",
            config: CONFIG,
            source: "//! A lamp.\n",
            files: &[],
        }
    }

    async fn run(&self, device: Device<'_, SimBoard>) -> Infallible {
        const MORNING: TimeOfDay = TimeOfDay::new(2, 30, 0);
        const NOON: TimeOfDay = TimeOfDay::new(12, 0, 0);
        self.boot.set(self.boot.get() + 1);
        device
            .subscribe("lamp/set", async |message, device| {
                device.publish_state("state", message.payload()).await;
            })
            .subscribe("lamp/keep", async |message, device| {
                if let Some((name, value)) = message.text().and_then(|text| text.split_once('=')) {
                    self.keep(device, name, value).await;
                }
            })
            .subscribe("lamp/fill", async |_, device| self.fill(device).await)
            .subscribe("lamp/hang", async |_, _| std::future::pending().await)
            .job(
                Job::every(Duration::from_secs(1)).named("tick"),
                async |_| self.tick(),
            )
            .job(Job::every(COUNT_EVERY).named("count"), async |device| {
                self.count(device).await;
            })
            .job(Job::daily(MORNING).named("morning"), async |device| {
                ran(device, "morning").await;
            })
            .job(Job::daily(NOON).named("noon"), async |device| {
                ran(device, "noon").await;
            })
            .task(async |device| self.look(device).await)
            .run()
            .await
    }

    fn off(&self) {
        self.grid.set(None);
        self.last_slot.set(None);
        self.counted.set(0);
        if self.spoilt.get() {
            self.accepted.borrow_mut().clear();
        }
    }

    fn spoilt(&self) {
        self.spoilt.set(true);
    }

    fn arrived(&self, message: &Message) {
        if message.topic != "lamp/count" {
            return;
        }
        let text = message.text();
        let Some((boot, number)) = text.split_once(':') else {
            return;
        };
        let (Ok(boot), Ok(number)) = (boot.parse(), number.parse()) else {
            return;
        };
        self.accepted.borrow_mut().remove(&(boot, number));
        let mut arrived = self.arrived.borrow_mut();
        let newest = arrived.last().copied();
        if arrived.insert((boot, number)) && newest > Some((boot, number)) {
            self.complain(format!("message {boot}:{number} came after {newest:?}"));
        }
        if arrived.len() > REMEMBERED {
            arrived.pop_first();
        }
    }

    fn check(&self, settled: bool) -> Result<(), String> {
        if let Some(wrong) = self.wrong.borrow().clone() {
            return Err(wrong);
        }
        if !settled {
            return Ok(());
        }
        let now = Instant::now();
        let accepted = self.accepted.borrow();
        match accepted.first_key_value() {
            Some(((boot, number), at)) if now.saturating_duration_since(*at) > DELIVERY => {
                Err(format!(
                    "message {boot}:{number}, accepted {} s ago, has not arrived",
                    now.saturating_duration_since(*at).as_secs()
                ))
            }
            _ => Ok(()),
        }
    }
}
