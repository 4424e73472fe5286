//! The console's other side: what its commands do. The console and the rest meet here.

use core::cell::Cell;
use core::fmt;

use embassy_time::{Duration, Instant, Timer, with_timeout};
use embedded_io_async::Write;

use super::boot::{CONFIG, NEW_CONFIG, WIFI_JSON};
use super::{App, Handle, Shared, reset};
use crate::board::System;
use crate::config::{self, Config};
use crate::console::{Answer, Backend, Command, Problem, Quoted, Text};
use crate::jobs::JobState;
use crate::log;
use crate::log::LogReader;
use crate::provision::Provision;
use crate::sink::{Count, Room};
use crate::wifi::{Keep, MAX_NETWORKS, Password, SealedNetworks, Ssid, SubmissionState};

/// The longest time for a join: a probe, the association and an address, each with a limit of its own,
/// and the access point in between.
const JOIN: Duration = Duration::from_secs(60);
/// How long the console may take to print the last lines before a restart.
const LAST_WORDS: Duration = Duration::from_millis(200);
/// After how long a board has not restarted.
const RESTART: Duration = Duration::from_secs(3);

/// What the console sees of the device.
pub(super) struct ConsoleBackend<'d> {
    pub(super) shared: &'d Shared<'d>,
    pub(super) app: &'d App,
    pub(super) system: &'d dyn System,
    pub(super) networks: &'d SealedNetworks<'d, 'd, 'd>,
    pub(super) access_point: (&'d Ssid, &'d Password),
    pub(super) restart: Cell<bool>,
}

impl Backend for ConsoleBackend<'_> {
    async fn carry_out<W: Write>(
        &self,
        command: &Command,
        memory: &mut [u8],
        answer: &mut Answer<'_, W>,
    ) -> Result<(), Problem> {
        match command {
            Command::Join(ssid, password) => return self.join(ssid, password, answer).await,
            Command::Forget(ssid) => {
                let forgotten = self.shared.wifi.forget(ssid.clone()).await;
                if !forgotten.map_err(|error| answer.refuse(&error))? {
                    return Err(answer.refuse(&"no such network is stored: networks lists them"));
                }
            }
            Command::Portal => self.shared.wifi.open_portal(),
            Command::Config => return self.config(memory, answer).await,
            Command::Remove(name) => {
                let removed = self.shared.uploads.remove(name).await;
                if !removed.map_err(|error| answer.refuse(&error))? {
                    return Err(answer.refuse(&"no such file was put: files lists them"));
                }
            }
            Command::Source => answer.text(self.app.source).await,
            Command::Log => self.log(memory, answer).await,
            Command::Networks => self.stored_networks(answer).await,
            Command::Restart => self.restart.set(true),
            Command::FactoryReset => {
                let marked = reset::at_next_boot(self.shared.store).await;
                marked.map_err(|error| answer.refuse(&error))?;
                log!(self.shared.log, Info, "device", "factory reset asked for");
                self.restart.set(true);
            }
            Command::Status | Command::Files | Command::Jobs => {}
            // These never come here.
            Command::Help | Command::Put(_) | Command::PutFile { .. } => {}
        }
        let mut number = 0;
        // What is shown may change in between: then one is left out or shown twice.
        while answer.put(&|out| self.line(command, number, out)) {
            answer.print().await;
            number += 1;
        }
        match command {
            Command::Files => self.uploaded_files(answer).await,
            _ => Ok(()),
        }
    }

    async fn put<W: Write>(
        &self,
        kind: Text,
        text: &str,
        answer: &mut Answer<'_, W>,
    ) -> Result<(), Problem> {
        let store = self.shared.store;
        match kind {
            Text::Config => {
                let parsed = Config::parse(text, self.system.hardware_address());
                parsed.map_err(|error| answer.refuse(&error))?;
                let mut length = Count::default();
                let redacted = config::redact(text, &mut length);
                redacted.map_err(|error| answer.refuse(&error))?;
                if length.0 > config::MAX_TEXT {
                    return Err(answer.refuse(&config::RedactError::Write));
                }
                let stored = store.put_secret(&NEW_CONFIG, text.as_bytes()).await;
                stored.map_err(|error| answer.refuse(&error))?;
                log!(self.shared.log, Info, "config", "{WAITS}");
                answer.line(format_args!("{WAITS}")).await;
            }
            Text::WifiJson => {
                let provision = Provision::new(text.as_bytes());
                let provision = provision.map_err(|error| answer.refuse(&error))?;
                let count = provision.networks().count();
                let stored = store.put_secret(&WIFI_JSON, text.as_bytes()).await;
                stored.map_err(|error| answer.refuse(&error))?;
                answer
                    .line(format_args!("{count} networks wait for a restart"))
                    .await;
            }
        }
        Ok(())
    }

    async fn answered(&self) {
        if !self.restart.take() {
            return;
        }
        Timer::after(LAST_WORDS).await;
        self.system.restart();
        Timer::after(RESTART).await;
        log!(
            self.shared.log,
            Error,
            "device",
            "this board cannot restart itself: cycle its power"
        );
    }
}

const WAITS: &str = "a new configuration waits for a restart";

/// Shows what there is, or a hyphen.
struct Or<T>(Option<T>);

impl<T: fmt::Display> fmt::Display for Or<T> {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &self.0 {
            Some(value) => value.fmt(formatter),
            None => formatter.write_str("-"),
        }
    }
}

impl ConsoleBackend<'_> {
    /// Writes the line of this number, from 0 on, of what a command shows that is at hand; `None` behind the
    /// last. It may be cut.
    fn line(
        &self,
        command: &Command,
        number: usize,
        out: &mut dyn fmt::Write,
    ) -> Option<fmt::Result> {
        match command {
            Command::Status => self.status(number, out),
            Command::Portal if number == 0 => Some(self.access_point(out)),
            Command::Networks => self.heard_network(number, out),
            Command::Files => {
                let file = self.app.files.get(number)?;
                let (path, length) = (file.path, file.bytes.len());
                Some(write!(out, "packed {path} {length} bytes"))
            }
            Command::Jobs => self.job(number, out),
            _ => None,
        }
    }

    fn status(&self, number: usize, out: &mut dyn fmt::Write) -> Option<fmt::Result> {
        let device = Handle {
            shared: self.shared,
        };
        let wifi = self.shared.wifi;
        Some(match number {
            0 => write!(out, "name: {}", self.shared.config.device.name),
            1 => write!(out, "app: {}", self.app.name),
            2 => write!(out, "commit: {}", crate::COMMIT),
            3 => write!(out, "uptime: {} s", device.uptime().as_secs()),
            4 => write!(out, "wifi: {}", wifi.state().as_str()),
            5 => {
                let ssid = wifi.ssid();
                let ssid = ssid.as_ref().map(|ssid| Quoted(ssid.as_str()));
                write!(out, "ssid: {}", Or(ssid))
            }
            6 => write!(out, "address: {}", Or(wifi.address())),
            7 => write!(out, "rssi: {}", Or(wifi.rssi())),
            8 => write!(out, "mqtt: {}", device.mqtt().as_str()),
            9 => out.write_str(match wifi.is_access_point_open() {
                true => "portal: open",
                false => "portal: closed",
            }),
            10 => self.access_point(out),
            _ => return None,
        })
    }

    fn access_point(&self, out: &mut dyn fmt::Write) -> fmt::Result {
        let (ssid, password) = self.access_point;
        let (ssid, password) = (Quoted(ssid.as_str()), Quoted(password.reveal()));
        write!(out, "access point: {ssid} {password}")
    }

    async fn stored_networks<W: Write>(&self, answer: &mut Answer<'_, W>) {
        for slot in 0..MAX_NETWORKS as u8 {
            let loaded = self.networks.load(slot).await;
            let is_there = answer.put(&|out| match &loaded {
                Ok(None) => None,
                Ok(Some(network)) => {
                    let proven = if network.proven { "proven" } else { "unproven" };
                    Some(write!(
                        out,
                        "stored {} {proven}",
                        Quoted(network.ssid.as_str())
                    ))
                }
                Err(error) => Some(write!(out, "stored in {slot}: {error}")),
            });
            drop(loaded);
            if is_there {
                answer.print().await;
            }
        }
    }

    fn heard_network(&self, number: usize, out: &mut dyn fmt::Write) -> Option<fmt::Result> {
        let (mut index, mut written) = (0, None);
        self.shared.wifi.visit_networks(&mut |heard| {
            if index == number {
                let (name, auth) = (Quoted(heard.ssid.as_str()), heard.auth.as_str());
                let (channel, rssi) = (heard.channel, heard.rssi);
                written = Some(write!(
                    out,
                    "heard {name} channel {channel} {rssi} dBm {auth}"
                ));
            }
            index += 1;
        });
        written
    }

    async fn log<W: Write>(&self, memory: &mut [u8], answer: &mut Answer<'_, W>) {
        let mut reader = LogReader::new(memory);
        while let Some(line) = reader.next(self.shared.log, self.shared.store).await {
            answer.text(line).await;
        }
    }

    async fn join<W: Write>(
        &self,
        ssid: &Ssid,
        password: &Password,
        answer: &mut Answer<'_, W>,
    ) -> Result<(), Problem> {
        let wifi = self.shared.wifi;
        answer.pause().await;
        wifi.submit(ssid.clone(), password.clone());
        let decided = with_timeout(JOIN, wifi.decided()).await;
        let Ok(decided) = decided else {
            return Err(answer.refuse(&format_args!(
                "not decided after {} s: look at status",
                JOIN.as_secs()
            )));
        };
        if decided.ssid.as_ref() != Some(ssid) {
            return Err(answer.refuse(&"another network was asked for meanwhile: look at status"));
        }
        match decided.state {
            SubmissionState::Failed(reason) => Err(answer.refuse(&reason)),
            SubmissionState::Online(address) => {
                answer.line(format_args!("address: {address}")).await;
                match self.is_stored(ssid).await {
                    true => Ok(()),
                    false => Err(answer.refuse(
                        &"joined but not stored, and forgotten at the next start: the log says why",
                    )),
                }
            }
            SubmissionState::Idle | SubmissionState::Joining(_) => {
                Err(answer.refuse(&"joined and lost again: it is retried, look at status"))
            }
        }
    }

    async fn is_stored(&self, ssid: &Ssid) -> bool {
        for slot in 0..MAX_NETWORKS as u8 {
            if let Ok(Some(network)) = self.networks.load(slot).await
                && network.ssid == *ssid
                && network.proven
            {
                return true;
            }
        }
        false
    }

    async fn config<W: Write>(
        &self,
        memory: &mut [u8],
        answer: &mut Answer<'_, W>,
    ) -> Result<(), Problem> {
        let store = self.shared.store;
        let stored = store.get(&CONFIG, memory).await;
        let length = match stored.map_err(|error| answer.refuse(&error))? {
            // The device's own copy was stored without its secrets.
            Some(text) => text.len(),
            None => {
                let mut room = Room::new(memory);
                let redacted = config::redact(self.app.config, &mut room);
                redacted.map_err(|error| answer.refuse(&error))?;
                room.length()
            }
        };
        let text = memory.get(..length).unwrap_or_default();
        let text = core::str::from_utf8(text).map_err(|error| answer.refuse(&error))?;
        answer.text(text).await;
        let waits = !matches!(store.get(&NEW_CONFIG, &mut []).await, Ok(None));
        if waits {
            answer.line(format_args!("# {WAITS}")).await;
        }
        Ok(())
    }

    async fn uploaded_files<W: Write>(&self, answer: &mut Answer<'_, W>) -> Result<(), Problem> {
        let mut number = 0;
        while let Some(upload) = self.shared.uploads.nth(number) {
            let named = self.shared.uploads.name(&upload).await;
            let named = named.map_err(|error| answer.refuse(&error))?;
            let is_there = answer.put(&|out| {
                let (name, length) = (named.as_ref()?, upload.length());
                Some(write!(out, "put {name} {length} bytes"))
            });
            drop(named);
            if is_there {
                answer.print().await;
            }
            number += 1;
        }
        Ok(())
    }

    fn job(&self, number: usize, out: &mut dyn fmt::Write) -> Option<fmt::Result> {
        let (mut index, mut found) = (0, None);
        self.shared.jobs.visit(&mut |name, state| {
            if index == number {
                found = Some((name, state));
            }
            index += 1;
        });
        let (name, state) = found?;
        let state = match state {
            JobState::Waiting(at) => {
                let wait = at.saturating_duration_since(Instant::now());
                let (seconds, milliseconds) = (wait.as_secs(), wait.as_millis() % 1000);
                let name = Quoted(name);
                return Some(write!(out, "{name} in {seconds}.{milliseconds:03} s"));
            }
            JobState::Idle => "idle",
            JobState::WaitingForClock => "waits for the clock",
            JobState::Running => "running",
            JobState::Paused => "paused",
        };
        Some(write!(out, "{} {state}", Quoted(name)))
    }
}
