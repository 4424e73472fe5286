//! What a device promises at all times, whatever the story is about.

use bluebell::mqtt;
use embassy_time::{Duration, Instant, Timer};

use super::Application;
use super::stage::{Stage, find};
use crate::net::Faults;
use crate::person::Person;
use crate::time::longest_wait;

/// The longest that one part of the device may keep the others waiting.
const LONGEST_WAIT: Duration = Duration::from_millis(50);
/// How soon the device is online again after an outage of less than a minute.
const BACK: Duration = Duration::from_secs(3);
const SHORT_OUTAGE: Duration = Duration::from_secs(60);
/// The ceiling of the delays between two tries after a longer one.
const CEILING: Duration = Duration::from_secs(60);
/// What comes on top while a network that the device knows is there and lets nobody in, or a phone is
/// on its access point: two attempts that take their time, and the pause of the scans.
const MISLED: Duration = Duration::from_secs(2 * 20 + 60 + 30);
/// For so long after it something of that kind counts.
const MISLED_FOR: Duration = Duration::from_secs(150);
/// Between two known networks that take turns an attempt may be under way at the one that is gone.
const TOLERANCE: Duration = Duration::from_millis(1_000);
/// After so long without an event is looked less often, or months would take hours.
const QUIET: Duration = Duration::from_secs(150);
const SELDOM: Duration = Duration::from_secs(1);
/// How long the access point takes to open.
const OPENING: Duration = Duration::from_secs(1);
/// How long everything has to be well until the application's messages are asked for.
const SETTLING: Duration = Duration::from_secs(30);
/// How often somebody tries whether the portal listens.
const KNOCK: Duration = Duration::from_secs(60);
/// Connections to the broker: one, and one that is being given up.
const STATION_CONNECTIONS: usize = 2;
/// The seats of the portal.
const PORTAL_CONNECTIONS: usize = 4;

/// How things are around the device.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Around {
    /// Something is wrong that keeps it from its broker.
    Bad,
    /// Nothing is.
    Well,
}

/// Looks at a device all along.
#[derive(Debug)]
pub(super) struct Watch {
    interval: Duration,
    /// Whether the broker may forget what was looked at.
    forget: bool,
    messages: usize,
    away_since: Option<Instant>,
    well_since: Option<Instant>,
    misled: Option<Instant>,
    online: Option<Instant>,
    online_since: Option<Instant>,
    knocked: Option<Instant>,
    /// The longest that it took to be online again, after a short and after a long outage.
    pub(super) longest: [Duration; 2],
}

impl Watch {
    pub(super) fn new(interval: Duration, forget: bool) -> Self {
        Self {
            interval,
            forget,
            messages: 0,
            away_since: None,
            well_since: None,
            misled: None,
            online: None,
            online_since: None,
            knocked: None,
            longest: [Duration::MIN; 2],
        }
    }

    /// Looks until something is wrong, and says what.
    pub(super) async fn run<A: Application>(&mut self, stage: &Stage<'_, A>) -> String {
        loop {
            if let Err(wrong) = self.look(stage).await {
                return wrong;
            }
            let quiet = stage.acted.get().elapsed() > QUIET;
            Timer::after(if quiet { SELDOM } else { self.interval }).await;
        }
    }

    async fn look<A: Application>(&mut self, stage: &Stage<'_, A>) -> Result<(), String> {
        if longest_wait() > LONGEST_WAIT {
            return Err(format!(
                "something held all others up for {:?}",
                longest_wait()
            ));
        }
        if stage.device.restarts() > stage.restarts_asked.get() {
            return Err("the device has started again by itself".into());
        }
        if let Some(error) = stage.world.broker.protocol_errors().first() {
            return Err(format!("the broker complains: {error}"));
        }
        if let Some(leak) = stage.leaked.borrow().clone() {
            return Err(leak);
        }
        let connections = stage.device.station.connections();
        if connections > STATION_CONNECTIONS {
            return Err(format!("{connections} connections to the broker are open"));
        }
        let connections = stage.device.portal().connections();
        if connections > PORTAL_CONNECTIONS {
            return Err(format!("{connections} connections to the portal are taken"));
        }
        self.messages(stage);
        self.broker(stage)?;
        self.portal(stage).await
    }

    fn messages<A: Application>(&mut self, stage: &Stage<'_, A>) {
        let broker = &stage.world.broker;
        broker.visit_after(self.messages, |message| stage.application.arrived(message));
        self.messages = broker.count();
        if self.forget {
            broker.clear_messages();
        }
    }

    /// Whether it comes back in time.
    fn broker<A: Application>(&mut self, stage: &Stage<'_, A>) -> Result<(), String> {
        let now = Instant::now();
        let (around, misleading) = around(stage);
        if misleading {
            self.misled = Some(now);
        }
        self.well_since = match around {
            Around::Bad => None,
            Around::Well => self.well_since.or(Some(now)),
        };
        let shown = stage.device.shown().mqtt;
        if stage.booted.get().is_some() && shown == Some(mqtt::State::Online) {
            // Until a connection that it had given up is looked at and takes the session over, it is online and
            // the outage goes on: its delays do not begin anew.
            if !stage.world.broker.is_behind() {
                self.online = Some(now);
            }
            self.online_since = self.online_since.or(Some(now));
        } else {
            self.online_since = None;
        }
        let settled = [self.well_since, self.online_since]
            .map(|since| since.is_some_and(|since| now - since > SETTLING));
        stage.application.check(settled == [true; 2])?;
        let (Some(well), Some(booted), None) =
            (self.well_since, stage.booted.get(), self.online_since)
        else {
            return Ok(());
        };
        let lost = self.online.map_or(booted, |online| online.max(booted));
        let outage = well.saturating_duration_since(lost);
        // What happens meanwhile may undo what was just done, sooner than anybody looks.
        let waited = now.saturating_duration_since(well.max(lost).max(stage.acted.get()));
        let short = outage < SHORT_OUTAGE;
        let mut bound = if short { BACK } else { BACK + CEILING };
        let misled = |at: Instant| now.saturating_duration_since(at) < MISLED_FOR;
        if self.misled.is_some_and(misled) {
            bound += CEILING + MISLED;
        } else {
            let longest = &mut self.longest[usize::from(!short)];
            *longest = waited.max(*longest);
        }
        if waited > bound + TOLERANCE {
            return Err(format!(
                "not online {} ms after everything was there, after an outage of {} s",
                waited.as_millis(),
                outage.as_secs()
            ));
        }
        Ok(())
    }

    /// Whether the portal is there when it has to be.
    async fn portal<A: Application>(&mut self, stage: &Stage<'_, A>) -> Result<(), String> {
        let now = Instant::now();
        let Some(booted) = stage.booted.get() else {
            self.away_since = None;
            return Ok(());
        };
        if stage.device.shown().address.is_some() {
            self.away_since = None;
            return Ok(());
        }
        let since = self.away_since.unwrap_or(booted).max(booted);
        // What was there at the last look may have gone right after it.
        let since = if self.away_since.is_none() {
            since.max(now)
        } else {
            since
        };
        // It may have had a network for less time than lies between two looks.
        let since = stage.device.addressed().map_or(since, |at| since.max(at));
        self.away_since = Some(since);
        if now - since
            <= stage
                .portal_after
                .checked_add(OPENING)
                .unwrap_or(Duration::MAX)
        {
            return Ok(());
        }
        let away = now - since;
        if stage.device.antenna().access_point().is_none() {
            return Err(format!(
                "no portal after {} s without a network",
                away.as_secs()
            ));
        }
        if self.knocked.is_none_or(|knocked| now - knocked >= KNOCK) {
            self.knocked = Some(now);
            let door = (stage.device.portal().address(), 80).into();
            let passer = Person::new(&stage.passer, door);
            let knocked = passer.waiting(Duration::from_secs(5)).connect().await;
            let still = stage.device.antenna().access_point().is_some();
            if let (Err(error), true, true) = (knocked, still, stage.booted.get() == Some(booted)) {
                return Err(format!("the portal is open and does not listen: {error}"));
            }
        }
        Ok(())
    }
}

/// How things are, and whether something there may lead the device astray.
fn around<A: Application>(stage: &Stage<'_, A>) -> (Around, bool) {
    let (world, device) = (stage.world, &stage.device);
    let known = stage.known.borrow();
    let (mut good, mut hidden, mut bad) = (0, 0, 0);
    for station in world.air.stations().iter().filter(|station| station.up) {
        let name = String::from_utf8_lossy(&station.ssid);
        let Some(password) = known.get(name.as_ref()) else {
            continue;
        };
        let lets_in = station.dhcp && !station.refuses && !station.mute;
        match (lets_in && *password == station.password, station.hidden) {
            (true, false) => good += 1,
            (true, true) => hidden += 1,
            (false, _) => bad += 1,
        }
    }
    let busy = |used: Instant| used.elapsed() < MISLED;
    let misleading = bad + hidden > 0 || stage.phone_used.get().is_some_and(busy);
    let fine = Faults::default();
    let lines = device.station.faults() == fine && world.broker.host().faults() == fine;
    let broker = world.broker.is_well();
    let well = stage.booted.get().is_some() && stage.own_broker && lines && broker;
    let around = if well && good + hidden > 0 {
        Around::Well
    } else {
        Around::Bad
    };
    (around, misleading)
}

impl<A: Application> Stage<'_, A> {
    /// Whether a secret is in clear where it is kept or shown.
    ///
    /// # Errors
    ///
    /// Which, and where.
    pub(super) fn secrets_kept(&self) -> Result<(), String> {
        let (image, console) = (self.device.flash.image(), self.device.console());
        for secret in self.secrets.borrow().iter() {
            let text = &secret.text;
            if find(&image, text.as_bytes()) {
                return Err(format!("{text:?} is in clear in the flash"));
            }
            if console.contains(text.as_str()) {
                return Err(format!("{text:?} is in clear on the console"));
            }
        }
        let own = self.device.shown().password;
        if own.len() >= 8 && find(&image, own.as_bytes()) {
            return Err("the access point's password is in clear in the flash".into());
        }
        Ok(())
    }
}
