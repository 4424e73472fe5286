//! Pumps the policy: does on the radio what it says and tells it what came of it.

use core::cell::{RefCell, RefMut};
use core::convert::Infallible;
use core::future::{pending, poll_fn, ready};
use core::net::Ipv4Addr;
use core::pin::pin;
use core::task::Poll;

use embassy_futures::select::{Either, Either4, select, select4};
use embassy_time::{Duration, Instant, Timer};

use super::known::{Known, Proof};
use super::policy::{CHANNELS, Due, Event, Failure, Policy, Task, Who};
use super::{
    AccessPoint, JoinFailure, JoinTarget, Keep, Password, Place, Scan, Ssid, StoredNetwork, Wifi,
};
use crate::board::{Radio, RadioError, System};
use crate::log;
use crate::log::{Level, Log};

/// How often the joined network's signal is read.
const SIGNAL: Duration = Duration::from_secs(5);
/// How often it is looked, while the network owes an address, whether it is still there.
const LOOK: Duration = Duration::from_millis(250);

/// What the configuration says about Wi-Fi.
#[derive(Debug, Clone, Copy)]
pub struct Settings<'a> {
    /// How long the device may be without a network until its access point opens again.
    pub portal_after: Duration,
    /// The access point's name.
    pub access_point_ssid: &'a Ssid,
    /// The access point's password; empty for an open one.
    pub access_point_password: &'a Password,
}

/// What a task has come to.
enum Outcome {
    Scanned(Result<(), RadioError>),
    Joined(Result<(), JoinFailure>),
    Address(Ipv4Addr),
    Lost,
    Left,
    AccessPoint(bool),
}

/// Everything but the radio and the store, so that little code depends on their types.
struct Device<'a, 'm> {
    wifi: &'a Wifi,
    policy: RefCell<Policy>,
    submitted: RefCell<Option<Password>>,
    /// A network that is to be forgotten, once the radio's task lies down.
    forget: RefCell<Option<Ssid>>,
    log: &'a Log<'m>,
    system: &'a dyn System,
}

impl Wifi {
    /// Gets the device on Wi-Fi and keeps it there, for as long as the future lives. To be run once at
    /// a time.
    ///
    /// Cancellation: dropping it loses a running attempt and leaves the radio as it is; a network that
    /// was being stored is stored or not, and what was stored before stays.
    pub async fn run<R: Radio, K: Keep>(
        &self,
        radio: &mut R,
        settings: &Settings<'_>,
        keep: &K,
        log: &Log<'_>,
        system: &dyn System,
    ) -> Infallible {
        let policy = Policy::new(
            Instant::now(),
            settings.portal_after,
            radio.closing_restarts(),
        );
        let device = Device {
            wifi: self,
            policy: RefCell::new(policy),
            submitted: RefCell::new(None),
            forget: RefCell::new(None),
            log,
            system,
        };
        load(&device, keep).await;
        device.handle(Event::Started);
        loop {
            forget_asked(&device, keep).await;
            let (turn, task) = {
                let policy = device.policy();
                (policy.turn(), policy.task())
            };
            let outcome = {
                let mut work = pin!(perform(task, radio, settings, keep, &device));
                loop {
                    let changed = poll_fn(|_| device.changed(turn));
                    let event =
                        select4(&mut work, changed, self.wait_asked(), device.deadline()).await;
                    match event {
                        Either4::First(outcome) => break Some(outcome),
                        Either4::Second(()) => break None,
                        Either4::Third(()) => device.take_asked(),
                        Either4::Fourth(()) => device.handle(Event::Tick),
                    }
                }
            };
            if let Some(outcome) = outcome {
                device.conclude(task, &outcome, settings);
                let due = device.policy().take_due();
                if let Some(due) = due {
                    if due.by_person {
                        self.show_saving();
                    }
                    prove(&device, keep, due).await;
                }
            }
            self.show(&device.policy());
        }
    }
}

impl Device<'_, '_> {
    /// Borrowed in one place, which is called from many. Not to be held over an await.
    #[inline(never)]
    fn policy(&self) -> RefMut<'_, Policy> {
        self.policy.borrow_mut()
    }

    /// Ready when the radio should do something else than in `turn`.
    fn changed(&self, turn: u32) -> Poll<()> {
        if self.policy().turn() == turn {
            Poll::Pending
        } else {
            Poll::Ready(())
        }
    }

    async fn deadline(&self) {
        let deadline = self.policy().deadline();
        match deadline {
            Some(deadline) => Timer::at(deadline).await,
            None => pending().await,
        }
    }

    fn inform(&self, event: Event<'_>) {
        let mut random = [0; 4];
        self.system.entropy(&mut random);
        let random = u32::from_le_bytes(random);
        let policy = &mut *self.policy();
        let was_online = policy.address().is_some();
        policy.handle(Instant::now(), random, event);
        if was_online && policy.address().is_none() {
            log!(self.log, Warn, "wifi", "the network is lost");
        }
        let Some(Failure { who, reason, again }) = policy.take_failure() else {
            return;
        };
        if who == Who::Submitted {
            self.submitted.borrow_mut().take();
        }
        if let Some(ssid) = policy.name(who) {
            let level = if again { Level::Debug } else { Level::Info };
            let line = format_args!("{ssid} not joined: {reason}");
            self.log.write(level, "wifi", line);
        }
    }

    fn handle(&self, event: Event<'_>) {
        self.inform(event);
        self.wifi.show(&self.policy());
    }

    fn take_asked(&self) {
        let asked = self.wifi.take_asked();
        for (wanted, event) in [
            (asked.request_seen, Event::RequestSeen),
            (asked.online_served, Event::OnlineServed),
            (asked.portal, Event::OpenPortal),
            (asked.rescan, Event::Rescan),
        ] {
            if wanted {
                self.inform(event);
            }
        }
        if let Some(ssid) = asked.forget {
            *self.forget.borrow_mut() = Some(ssid);
            self.policy().interrupt();
        }
        if let Some((ssid, password)) = asked.submission {
            log!(self.log, Info, "wifi", "asked to join {ssid}");
            *self.submitted.borrow_mut() = Some(password);
            let place = self.wifi.place(&ssid);
            self.inform(Event::Submitted { ssid: &ssid, place });
        }
        self.wifi.show(&self.policy());
    }

    /// A network of the table as it is to be stored with this password.
    fn proven(&self, proof: Proof, password: &Password) -> Option<StoredNetwork> {
        let mut policy = self.policy();
        let entry = policy.known.get_mut(proof.slot)?;
        entry.secured = !password.is_empty();
        Some(StoredNetwork {
            ssid: entry.ssid.clone(),
            password: password.clone(),
            proven: entry.proven,
            hidden: entry.hidden,
            used: entry.used,
            place: entry.place,
        })
    }

    /// The network as it is to be stored, with the password that a person has just given.
    fn given(&self, proof: Proof, by_person: bool) -> Option<StoredNetwork> {
        let password = self.submitted.borrow_mut().take().filter(|_| by_person)?;
        self.proven(proof, &password)
    }

    fn conclude(&self, task: Task, outcome: &Outcome, settings: &Settings<'_>) {
        match (outcome, task) {
            (Outcome::AccessPoint(true), Task::OpenAccessPoint { .. }) => {
                let ssid = settings.access_point_ssid;
                log!(self.log, Info, "wifi", "access point {ssid} is open");
            }
            (Outcome::AccessPoint(true), _) => {
                log!(self.log, Info, "wifi", "the access point is closed");
            }
            (Outcome::AccessPoint(false), _) => {
                log!(
                    self.log,
                    Warn,
                    "wifi",
                    "the radio did not change the access point; again in 1 s"
                );
            }
            _ => {}
        }
        self.inform(match outcome {
            Outcome::Scanned(Ok(())) => Event::Scanned,
            Outcome::Scanned(Err(RadioError)) => Event::ScanFailed,
            Outcome::Joined(result) => Event::Joined(*result),
            Outcome::Address(address) => Event::Address(*address),
            Outcome::Lost => Event::Lost,
            Outcome::Left => Event::Left,
            Outcome::AccessPoint(done) => Event::AccessPoint(*done),
        });
    }
}

async fn perform<R: Radio, K: Keep>(
    task: Task,
    radio: &mut R,
    settings: &Settings<'_>,
    keep: &K,
    device: &Device<'_, '_>,
) -> Outcome {
    match task {
        Task::Rest => pending().await,
        Task::Watch => loop {
            device.wifi.set_rssi(radio.rssi());
            if let Either::First(()) = select(radio.lost(), Timer::after(SIGNAL)).await {
                return Outcome::Lost;
            }
        },
        Task::Address => loop {
            match select(radio.address(), Timer::after(LOOK)).await {
                Either::First(address) => return Outcome::Address(address),
                Either::Second(()) => {
                    if let Either::First(()) = select(radio.lost(), ready(())).await {
                        return Outcome::Lost;
                    }
                }
            }
        },
        Task::Leave => {
            radio.leave().await;
            Outcome::Left
        }
        Task::OpenAccessPoint { channel } => {
            let access_point = AccessPoint {
                ssid: settings.access_point_ssid,
                password: settings.access_point_password,
                channel,
            };
            Outcome::AccessPoint(radio.open_access_point(&access_point).await.is_ok())
        }
        Task::CloseAccessPoint => {
            radio.close_access_point().await;
            Outcome::AccessPoint(true)
        }
        Task::Scan { channel, probe } => {
            Outcome::Scanned(scan(channel, probe, radio, device).await)
        }
        Task::Join { who, place } => Outcome::Joined(join(who, place, radio, keep, device).await),
    }
}

async fn scan<R: Radio>(
    channel: Option<u8>,
    probe: Option<Who>,
    radio: &mut R,
    device: &Device<'_, '_>,
) -> Result<(), RadioError> {
    let name = probe.and_then(|who| device.policy().name(who).cloned());
    let listed = probe.is_none();
    if listed && channel.is_none_or(|channel| channel == *CHANNELS.start()) {
        device.wifi.list_begins();
    }
    let scan = Scan {
        channel,
        probe: name.as_ref(),
    };
    let result = radio
        .scan(&scan, &mut |sighting| {
            if listed {
                device.wifi.list(&sighting);
            }
            device.inform(Event::Heard(&sighting));
        })
        .await;
    let last = channel.is_none_or(|channel| channel == *CHANNELS.end());
    if listed && last && result.is_ok() {
        device.wifi.list_ends();
    }
    result
}

async fn join<R: Radio, K: Keep>(
    who: Who,
    place: Place,
    radio: &mut R,
    keep: &K,
    device: &Device<'_, '_>,
) -> Result<(), JoinFailure> {
    let network = match who {
        Who::Known(slot) => match keep.load(slot).await {
            Ok(Some(network)) => Some((network.ssid, network.password)),
            Ok(None) => None,
            Err(error) => {
                log!(device.log, Error, "wifi", "stored network {slot}: {error}");
                None
            }
        },
        Who::Submitted => {
            let ssid = device.policy().name(who).cloned();
            ssid.zip(device.submitted.borrow().clone())
        }
    };
    // Without its password a network is as good as away.
    let (ssid, password) = network.ok_or(JoinFailure::NotFound)?;
    radio
        .join(&JoinTarget {
            ssid: &ssid,
            password: &password,
            heard: Some((place.bssid, place.channel)),
        })
        .await
}

/// Reads the stored networks into the table.
async fn load<K: Keep>(device: &Device<'_, '_>, keep: &K) {
    for slot in Known::slots() {
        match &keep.load(slot).await {
            Ok(Some(network)) => {
                let older = device.policy().known.set(slot, network);
                if let Some(older) = older {
                    forget(device, keep, older).await;
                }
            }
            Ok(None) => {}
            Err(error) => log!(device.log, Error, "wifi", "stored network {slot}: {error}"),
        }
    }
}

/// Stores what has proven itself, then forgets what it displaces.
async fn prove<K: Keep>(device: &Device<'_, '_>, keep: &K, due: Due) {
    let Due { proof, by_person } = due;
    let address = device.policy().address();
    if let (Some(ssid), Some(address)) = (device.policy().ssid(), address) {
        log!(
            device.log,
            Info,
            "wifi",
            "joined {ssid} with the address {address}"
        );
    }
    if !proof.save {
        device.submitted.borrow_mut().take();
    } else if !save(device, keep, proof, by_person).await {
        return;
    }
    for slot in proof.forget.iter() {
        forget(device, keep, slot).await;
    }
}

/// Stores the network as a person gave it, else with the password that is stored already. False when it
/// could not be stored.
async fn save<K: Keep>(device: &Device<'_, '_>, keep: &K, proof: Proof, by_person: bool) -> bool {
    let mut network = device.given(proof, by_person);
    if network.is_none() {
        network = stored(device, keep, proof).await;
    }
    // By reference: what is taken out of it would take its room a second time.
    let Some(network) = &network else {
        return true;
    };
    let Err(error) = keep.save(proof.slot, network).await else {
        return true;
    };
    log!(
        device.log,
        Error,
        "wifi",
        "{} is not stored: {error}",
        network.ssid
    );
    // The table follows the store.
    let stored = keep.load(proof.slot).await;
    let known = &mut device.policy().known;
    known.remove(proof.slot);
    if let Ok(Some(stored)) = stored {
        known.set(proof.slot, &stored);
    }
    false
}

async fn stored<K: Keep>(device: &Device<'_, '_>, keep: &K, proof: Proof) -> Option<StoredNetwork> {
    let stored = keep.load(proof.slot).await.ok()??;
    device.proven(proof, &stored.password)
}

/// Forgets what somebody has asked to be forgotten.
async fn forget_asked<K: Keep>(device: &Device<'_, '_>, keep: &K) {
    let asked = device.forget.borrow_mut().take();
    let Some(ssid) = asked else {
        return;
    };
    let mut forgotten = Ok(false);
    for slot in Known::slots() {
        let is_meant = {
            let policy = device.policy();
            let entry = policy.known.get(slot);
            entry.is_some_and(|entry| entry.ssid == ssid)
        };
        if !is_meant {
            continue;
        }
        match keep.forget(slot).await {
            Ok(()) => {
                device.handle(Event::Forgotten(slot));
                forgotten = forgotten.map(|_| true);
            }
            Err(error) => forgotten = Err(error),
        }
    }
    if forgotten == Ok(true) {
        log!(device.log, Info, "wifi", "{ssid} is forgotten");
    }
    device.wifi.set_forgotten(forgotten);
}

async fn forget<K: Keep>(device: &Device<'_, '_>, keep: &K, slot: u8) {
    if let Err(error) = keep.forget(slot).await {
        log!(
            device.log,
            Warn,
            "wifi",
            "an older entry is not forgotten: {error}"
        );
    }
}
