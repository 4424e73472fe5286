//! A device: an application, a board, and everything between them as one future.
//!
//! Guarantees: the application never blocks the device and the device never blocks the application;
//! whatever is away (network, broker, time) is waited for beside everything else; nothing here keeps
//! state outside of the value, so that a process can hold any number of devices.
//!
//! ```text
//! storage ─ configuration ─ known networks ─┬─ Wi-Fi ── link ─┬─ MQTT ── inbox ── subscriptions
//!                                           │                 └─ SNTP ── clock ─┐
//!                                           ├─ access point ── portal ─ submit ─┘ Wi-Fi
//!                                           └─ jobs, buttons, tasks ── handle ── outbox, log, store
//! ```

mod backend;
mod boot;
mod console;
mod handle;
mod parts;
mod reset;
mod run;

pub use boot::{CONFIG, NEW_CONFIG, WIFI_JSON};
pub use handle::{Handle, ValueError};
pub use parts::{
    CameOnline, End, Expired, Part, Parts, Pressed, Scheduled, Shown, Subscription, Task, WentDown,
    With,
};

use core::fmt;

use drivers::{Button, Countdown, Press};
use embassy_time::{Duration, Instant};
use embedded_hal::digital::InputPin;
use embedded_hal_async::digital::Wait;

use crate::board::{Board, Hardware};
use crate::clock::Clock;
use crate::config::Config;
use crate::console::ConsoleMemory;
use crate::jobs::{Job, Jobs, JobsMemory};
use crate::log::Log;
use crate::mqtt::{Mqtt, MqttMemory, QoS};
use crate::portal::{File, PortalMemory, Seating};
use crate::storage::{Store, StoreMemory};
use crate::uploads::Uploads;
use crate::wifi::Wifi;

/// What a build knows of its application.
#[derive(Debug, Clone, Copy)]
pub struct App {
    /// The application's package name.
    pub name: &'static str,
    /// The text of its `config.toml`.
    pub config: &'static str,
    /// The text of its `main.rs`, so that it can be read back from a device.
    pub source: &'static str,
    /// The files of its `www/`.
    pub files: &'static [File],
}

/// All the memory that a device needs, with the sizes that suit a chip; the portal's is the board's choice.
pub struct Memory<P = PortalMemory> {
    log: [u8; 2048],
    store: StoreMemory,
    mqtt: MqttMemory,
    jobs: JobsMemory,
    portal: P,
    console: ConsoleMemory,
}

// On a chip it is 28,560 bytes; pointers are longer on a host. A change that needs more says so here.
const _: () = assert!(size_of::<Memory>() <= 30 * 1024);

impl<P: Seating> Memory<P> {
    /// Memory of a device that is off.
    #[must_use]
    pub const fn new() -> Self {
        Self {
            log: [0; 2048],
            store: StoreMemory::new(),
            mqtt: MqttMemory::new(),
            jobs: JobsMemory::new(),
            portal: P::EMPTY,
            console: ConsoleMemory::new(),
        }
    }
}

impl<P: Seating> Default for Memory<P> {
    fn default() -> Self {
        Self::new()
    }
}

impl<P> fmt::Debug for Memory<P> {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(formatter, "Memory({} bytes)", size_of::<Self>())
    }
}

/// A message from the broker.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Message<'a> {
    topic: &'a str,
    payload: &'a [u8],
    retained: bool,
}

impl<'a> Message<'a> {
    /// The topic it was published on.
    #[must_use]
    pub const fn topic(&self) -> &'a str {
        self.topic
    }

    /// Its payload.
    #[must_use]
    pub const fn payload(&self) -> &'a [u8] {
        self.payload
    }

    /// Its payload as text; `None` when it is not UTF-8.
    #[must_use]
    pub fn text(&self) -> Option<&'a str> {
        core::str::from_utf8(self.payload).ok()
    }

    /// Its payload as a number or whatever else is read from a text, without the blanks around it; `None`
    /// when it is none: `message.parse::<Decimal<1>>()`.
    #[must_use]
    pub fn parse<T: core::str::FromStr>(&self) -> Option<T> {
        self.text()?.trim().parse().ok()
    }

    /// Whether the broker had kept it from before the subscription.
    #[must_use]
    pub const fn is_retained(&self) -> bool {
        self.retained
    }
}

impl fmt::Display for Message<'_> {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.text() {
            Some(text) => write!(formatter, "{text:?} on {}", self.topic),
            None => write!(formatter, "{} bytes on {}", self.payload.len(), self.topic),
        }
    }
}

/// A device that is being put together; [`Device::run`] boots it.
#[must_use = "a device does nothing until it is run"]
pub struct Device<'b, B: Board, L = End> {
    hardware: Hardware<'b, B>,
    app: App,
    memory: &'b mut Memory<B::PortalMemory>,
    callback_limit: Duration,
    parts: L,
}

impl<'b, B: Board> Device<'b, B> {
    /// A device on this hardware, with nothing to do yet. Boards call this.
    pub fn new(
        hardware: Hardware<'b, B>,
        app: App,
        memory: &'b mut Memory<B::PortalMemory>,
    ) -> Self {
        Self {
            hardware,
            app,
            memory,
            callback_limit: Duration::from_secs(2),
            parts: End,
        }
    }
}

impl<'b, B: Board, L: Parts> Device<'b, B, L> {
    /// Calls `callback` for each message whose topic matches `filter`, which may hold `+` and `#`.
    ///
    /// Messages come at least once: a callback that a power cut interrupts is called again.
    pub fn subscribe<F>(
        self,
        filter: &'static str,
        callback: F,
    ) -> Device<'b, B, With<Subscription<F>, L>>
    where
        F: AsyncFn(&Message<'_>, Handle<'_>),
    {
        self.subscribe_with(filter, QoS::AtLeastOnce, callback)
    }

    /// Like [`Device::subscribe`], with a chosen quality of service.
    pub fn subscribe_with<F>(
        self,
        filter: &'static str,
        qos: QoS,
        callback: F,
    ) -> Device<'b, B, With<Subscription<F>, L>>
    where
        F: AsyncFn(&Message<'_>, Handle<'_>),
    {
        self.with(Subscription {
            filter,
            qos,
            callback,
        })
    }

    /// Calls `callback` for each run of `job`.
    pub fn job<F>(self, job: Job, callback: F) -> Device<'b, B, With<Scheduled<F>, L>>
    where
        F: AsyncFn(Handle<'_>),
    {
        self.with(Scheduled { job, callback })
    }

    /// Calls `callback` for each press of `button`.
    pub fn button<'p, P, F>(
        self,
        button: &'p Button<P>,
        callback: F,
    ) -> Device<'b, B, With<Pressed<'p, P, F>, L>>
    where
        P: Wait + InputPin,
        F: AsyncFn(Press, Handle<'_>),
    {
        self.with(Pressed { button, callback })
    }

    /// Serves the value `name` (letters, digits, hyphens; at most 32 bytes) at `/app/<name>`, for pages
    /// of the application's `www/`: `write` writes it as JSON, at most 500 bytes, each time it is asked
    /// for. It may be called twice for one request, once to measure.
    pub fn value<F>(self, name: &'static str, write: F) -> Device<'b, B, With<Shown<F>, L>>
    where
        F: Fn(&mut dyn fmt::Write) -> fmt::Result,
    {
        self.with(Shown { name, write })
    }

    /// Calls `callback` each time that `button` goes down.
    pub fn on_press<'p, P, F>(
        self,
        button: &'p Button<P>,
        callback: F,
    ) -> Device<'b, B, With<WentDown<'p, P, F>, L>>
    where
        P: Wait + InputPin,
        F: AsyncFn(Handle<'_>),
    {
        self.with(WentDown { button, callback })
    }

    /// Calls `callback` each time that `countdown` has run down.
    pub fn countdown<'c, F>(
        self,
        countdown: &'c Countdown,
        callback: F,
    ) -> Device<'b, B, With<Expired<'c, F>, L>>
    where
        F: AsyncFn(Handle<'_>),
    {
        self.with(Expired {
            countdown,
            callback,
        })
    }

    /// Calls `callback` each time that the device is online at its broker: first after power on, then after each
    /// outage. Here it publishes the states that a broker may have forgotten, or that a power cut has made
    /// wrong.
    ///
    /// What is subscribed to is so by then; retained messages may come before, while or after it runs. A
    /// connection that is lost and made anew while it runs has it called once more.
    pub fn on_online<F>(self, callback: F) -> Device<'b, B, With<CameOnline<F>, L>>
    where
        F: AsyncFn(Handle<'_>),
    {
        self.with(CameOnline { callback })
    }

    /// Runs `task` beside everything else, without a limit of time.
    pub fn task<F>(self, task: F) -> Device<'b, B, With<Task<F>, L>>
    where
        F: AsyncFn(Handle<'_>),
    {
        self.with(Task { task })
    }

    /// How long a callback may take before it is dropped and logged; 2 s at first.
    pub fn callback_limit(mut self, limit: Duration) -> Self {
        self.callback_limit = limit;
        self
    }

    fn with<P>(self, part: P) -> Device<'b, B, With<P, L>> {
        Device {
            hardware: self.hardware,
            app: self.app,
            memory: self.memory,
            callback_limit: self.callback_limit,
            parts: With {
                part,
                rest: self.parts,
            },
        }
    }
}

/// What callbacks and services share, for as long as the device is on.
pub(crate) struct Shared<'d> {
    pub(crate) log: &'d Log<'d>,
    pub(crate) store: &'d Store<'d>,
    pub(crate) uploads: &'d Uploads<'d>,
    pub(crate) mqtt: &'d Mqtt<'d>,
    pub(crate) jobs: &'d Jobs<'d>,
    pub(crate) wifi: &'d Wifi,
    pub(crate) clock: &'d Clock,
    pub(crate) config: &'d Config,
    pub(crate) booted: Instant,
    pub(crate) callback_limit: Duration,
}
