//! What an application's callbacks hold: everything they may ask of the device.

use core::fmt;
use core::net::Ipv4Addr;

use embassy_time::{Duration, Instant};
use heapless::String;

use super::Shared;
use crate::clock::{LocalTime, UnixTime};
use crate::config::Config;
use crate::jobs::{Job, Jobs};
use crate::log::Level;
use crate::mqtt::{self, Delivery, PublishError};
use crate::storage::{Key, ReadError, WriteError};
use crate::wifi;

/// The device, as its application sees it. Copy it freely; it is one reference.
#[derive(Clone, Copy)]
pub struct Handle<'d> {
    pub(super) shared: &'d Shared<'d>,
}

impl fmt::Debug for Handle<'_> {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter
            .debug_struct("Handle")
            .field("device", &self.config().device.name)
            .finish()
    }
}

impl<'d> Handle<'d> {
    /// Publishes at most once: sent now, or not at all.
    ///
    /// # Errors
    ///
    /// When the broker is away, or topic or payload do not fit.
    pub async fn publish(
        &self,
        topic: &str,
        payload: impl AsRef<[u8]>,
    ) -> Result<(), PublishError> {
        let mqtt = self.shared.mqtt;
        mqtt.publish_once(topic, payload.as_ref(), Delivery::AT_MOST_ONCE)
            .await
    }

    /// Publishes with a chosen quality of service, retained or not.
    ///
    /// What is to arrive at least or exactly once is safe when the call returns: the broker has acknowledged
    /// it, or it waits in the outbox on flash, from where no outage and no power cut removes it. See
    /// [`Mqtt::publish`](mqtt::Mqtt::publish) for when which of the two, and [`Delivery`] for what can be chosen.
    ///
    /// # Errors
    ///
    /// When the outbox is full (logged, for the first of a series), or topic or payload do not fit.
    pub async fn publish_as(
        &self,
        topic: &str,
        payload: impl AsRef<[u8]>,
        delivery: Delivery,
    ) -> Result<(), PublishError> {
        let mqtt = self.shared.mqtt;
        let published = mqtt.publish(topic, payload.as_ref(), delivery).await;
        self.told(topic, published)
    }

    /// Publishes a state of the device below its base topic: at least once, and retained, so that
    /// whoever asks later finds it. While the broker is away the newest one waits; what finds no room is
    /// logged.
    // Not `async fn`: that keeps a place for its arguments, and another for what looks at them.
    pub fn publish_state(&self, name: &str, payload: impl AsRef<[u8]>) -> impl Future<Output = ()> {
        let topic = self.topic(name);
        async move {
            let mqtt = self.shared.mqtt;
            let delivery = Delivery::AT_LEAST_ONCE.retained().latest();
            let published = mqtt.publish_kept(&topic, payload.as_ref(), delivery).await;
            if let Err(error) = self.told(&topic, published) {
                crate::log!(
                    self,
                    Warn,
                    "app",
                    "the state of {name} is not published: {error}"
                );
            }
        }
    }

    /// Logs the first message of a series that finds no room.
    fn told(&self, topic: &str, published: Result<(), PublishError>) -> Result<(), PublishError> {
        if let Err(error @ PublishError::Full) = published
            && self.shared.mqtt.refusals() == 1
        {
            crate::log!(self, Warn, "mqtt", "a message on {topic} is {error}");
        }
        published
    }

    /// A topic of the device's own: its base topic, a slash and `name`. Cut where it would pass 128
    /// bytes, which a valid configuration's base topic (at most 64) and a name of 63 never do.
    #[must_use]
    pub fn topic(&self, name: &str) -> String<128> {
        let mut topic = String::new();
        for part in [self.config().mqtt.base_topic.as_str(), "/", name] {
            if topic.push_str(part).is_err() {
                break;
            }
        }
        topic
    }

    /// Writes a line to the log; the macro [`log!`](crate::log!) calls this.
    pub fn write(&self, level: Level, source: &'static str, line: fmt::Arguments<'_>) {
        self.shared.log.write(level, source, line);
    }

    /// Time since power on.
    #[must_use]
    pub fn uptime(&self) -> Duration {
        Instant::now().saturating_duration_since(self.shared.booted)
    }

    /// The time of day in the configured time zone, once the clock is set.
    #[must_use]
    pub fn local_time(&self) -> Option<LocalTime> {
        self.shared.clock.local(Instant::now())
    }

    /// The time in UTC, once the clock is set.
    #[must_use]
    pub fn unix_time(&self) -> Option<UnixTime> {
        self.shared.clock.unix(Instant::now())
    }

    /// What Wi-Fi is doing.
    #[must_use]
    pub fn wifi(&self) -> wifi::State {
        self.shared.wifi.state()
    }

    /// The device's address, while it is on a network.
    #[must_use]
    pub fn address(&self) -> Option<Ipv4Addr> {
        self.shared.wifi.link()
    }

    /// What the connection to the broker is doing.
    #[must_use]
    pub fn mqtt(&self) -> mqtt::State {
        self.shared.mqtt.state()
    }

    /// Opens the set-up portal, as a press on a button may ask for.
    pub fn open_portal(&self) {
        self.shared.wifi.open_portal();
    }

    /// The jobs: schedule, pause, resume and remove them by name.
    #[must_use]
    pub fn jobs(&self) -> &'d Jobs<'d> {
        self.shared.jobs
    }

    /// Schedules the job of this name anew.
    ///
    /// # Errors
    ///
    /// When no job has this name, or its time cannot be.
    pub fn schedule(&self, name: &str, job: Job) -> Result<(), crate::jobs::ScheduleError> {
        self.shared.jobs.schedule(name, job)
    }

    /// Keeps a small value in flash under `name` (at most 28 printable ASCII characters); on return it is there to stay.
    ///
    /// # Errors
    ///
    /// When the name does not fit, the value is too long, or the flash is full or failed.
    pub async fn keep(&self, name: &str, value: &[u8]) -> Result<(), ValueError> {
        let key = app_key(name)?;
        self.shared
            .store
            .put(&key, value)
            .await
            .map_err(ValueError::Write)
    }

    /// Reads a value that was kept under `name` into `buffer`; `None` when there is none.
    ///
    /// # Errors
    ///
    /// When the name does not fit, the buffer is too short for the value, or the flash failed.
    pub async fn kept<'b>(
        &self,
        name: &str,
        buffer: &'b mut [u8],
    ) -> Result<Option<&'b [u8]>, ValueError> {
        let key = app_key(name)?;
        self.shared
            .store
            .get(&key, buffer)
            .await
            .map_err(ValueError::Read)
    }

    /// The configuration in force.
    #[must_use]
    pub fn config(&self) -> &'d Config {
        self.shared.config
    }

    pub(super) fn callback_limit(&self) -> Duration {
        self.shared.callback_limit
    }
}

fn app_key(name: &str) -> Result<Key, ValueError> {
    let mut text = String::<{ Key::MOST }>::new();
    let fits = fmt::write(&mut text, format_args!("app/{name}")).is_ok();
    Key::new(&text).filter(|_| fits).ok_or(ValueError::Name)
}

/// Why a value of the application could not be kept or read.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ValueError {
    /// The name is none.
    Name,
    /// It could not be read.
    Read(ReadError),
    /// It could not be kept.
    Write(WriteError),
}

impl fmt::Display for ValueError {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Name => formatter
                .write_str("a value's name has 1 to 28 printable ASCII characters: choose another"),
            Self::Read(error) => error.fmt(formatter),
            Self::Write(error) => error.fmt(formatter),
        }
    }
}

impl core::error::Error for ValueError {}
