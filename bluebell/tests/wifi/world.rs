//! A device's Wi-Fi in a simulated world and in virtual time.

use std::cell::{Cell, RefCell};
use std::net::Ipv4Addr;

use bluebell::board::System;
use bluebell::log::Log;
use bluebell::wifi::{
    JoinFailure, Keep, KeepError, MAX_NETWORKS, Password, Place, Settings, Ssid, State,
    StoredNetwork, SubmissionState, Wifi,
};
use embassy_futures::select::{Either, select};
use embassy_time::{Duration, Instant, Timer};
use sim::air::{Air, AirRadio, Antenna, Change, Operation, Station};

pub(crate) const ADDRESS: Ipv4Addr = Ipv4Addr::new(192, 168, 7, 42);
pub(crate) const PORTAL_AFTER: u64 = 60;
pub(crate) const GOOD: &str = "correct horse";

/// What a device keeps across power cuts, and what is around it.
pub(crate) struct World {
    pub(crate) air: Air,
    pub(crate) keep: Memory,
    pub(crate) restarts: bool,
    seed: Cell<u64>,
}

/// Stored networks, in memory.
#[derive(Default)]
pub(crate) struct Memory {
    pub(crate) slots: RefCell<[Option<StoredNetwork>; MAX_NETWORKS]>,
    pub(crate) writes: Cell<u32>,
    pub(crate) broken: Cell<bool>,
}

impl Keep for Memory {
    async fn load(&self, slot: u8) -> Result<Option<StoredNetwork>, KeepError> {
        Ok(self.slots.borrow()[usize::from(slot)].clone())
    }

    async fn save(&self, slot: u8, network: &StoredNetwork) -> Result<(), KeepError> {
        Timer::after_millis(5).await;
        if self.broken.get() {
            return Err(KeepError::Flash);
        }
        self.writes.set(self.writes.get() + 1);
        self.slots.borrow_mut()[usize::from(slot)] = Some(network.clone());
        Ok(())
    }

    async fn forget(&self, slot: u8) -> Result<(), KeepError> {
        self.slots.borrow_mut()[usize::from(slot)] = None;
        Ok(())
    }
}

impl Memory {
    /// Name, password and whether it is proven, of all that is stored, in no order.
    pub(crate) fn networks(&self) -> Vec<(String, String, bool)> {
        let mut networks: Vec<_> = self
            .slots
            .borrow()
            .iter()
            .flatten()
            .map(|n| (n.ssid.to_string(), n.password.reveal().to_owned(), n.proven))
            .collect();
        networks.sort();
        networks
    }
}

pub(crate) struct Machine<'a>(&'a Cell<u64>);

impl System for Machine<'_> {
    fn entropy(&self, bytes: &mut [u8]) {
        for byte in bytes {
            // A linear congruential generator: repeatable, and even enough for jitter.
            let next = self.0.get().wrapping_mul(6_364_136_223_846_793_005);
            self.0.set(next.wrapping_add(1_442_695_040_888_963_407));
            *byte = (self.0.get() >> 56) as u8;
        }
    }

    fn hardware_address(&self) -> [u8; 6] {
        [2, 0, 0, 0, 0, 1]
    }
}

impl World {
    pub(crate) fn new() -> Self {
        Self::seeded(1)
    }

    pub(crate) fn seeded(seed: u64) -> Self {
        Self {
            air: Air::new(),
            keep: Memory::default(),
            restarts: false,
            seed: Cell::new(seed),
        }
    }

    /// A world with these access points, protected by [`GOOD`]: name, channel, signal.
    pub(crate) fn with(stations: &[(&str, u8, i8)]) -> Self {
        let world = Self::new();
        for (ssid, channel, rssi) in stations {
            world.air.add(Station {
                channel: *channel,
                rssi: *rssi,
                ..Station::new(ssid).with_password(GOOD)
            });
        }
        world
    }

    /// Stores networks as proven ones with [`GOOD`]; the later ones were used later.
    pub(crate) fn knows(self, networks: &[&str]) -> Self {
        for ssid in networks {
            self.remember(ssid, GOOD, true);
        }
        self
    }

    pub(crate) fn remember(&self, ssid: &str, password: &str, proven: bool) {
        let mut slots = self.keep.slots.borrow_mut();
        let slot = slots.iter().position(Option::is_none).unwrap();
        let place = self
            .air
            .stations()
            .iter()
            .find(|station| station.ssid == ssid.as_bytes())
            .map(|station| Place {
                bssid: station.bssid,
                channel: station.channel,
            });
        slots[slot] = Some(StoredNetwork {
            ssid: name(ssid),
            password: secret(password),
            proven,
            hidden: false,
            used: if proven { slot as u32 + 1 } else { 0 },
            place: place.filter(|_| proven),
        });
    }

    /// Runs a whole life in virtual time.
    pub(crate) fn run<T>(&self, life: impl AsyncFnOnce(&Device<'_>) -> T) -> T {
        sim::time::run_virtual(self.boot(life))
    }

    /// Switches a device on until `life` is over, then cuts its power.
    pub(crate) async fn boot<T>(&self, life: impl AsyncFnOnce(&Device<'_>) -> T) -> T {
        let wifi = Wifi::new();
        let radio = AirRadio::new(&self.air, ADDRESS);
        let mut radio = if self.restarts {
            radio.restarting()
        } else {
            radio
        };
        let antenna = radio.antenna();
        let (ssid, password) = (name("bluebell"), secret("access point"));
        let settings = Settings {
            portal_after: Duration::from_secs(PORTAL_AFTER),
            access_point_ssid: &ssid,
            access_point_password: &password,
        };
        let mut buffer = [0; 4096];
        let log = Log::new(&mut buffer);
        let machine = Machine(&self.seed);
        let device = Device {
            wifi: &wifi,
            air: &self.air,
            antenna,
        };
        let run = wifi.run(&mut radio, &settings, &self.keep, &log, &machine);
        match select(run, life(&device)).await {
            Either::First(never) => match never {},
            Either::Second(result) => result,
        }
    }
}

/// A running device, as a person and the rest of the framework see it.
pub(crate) struct Device<'a> {
    pub(crate) wifi: &'a Wifi,
    pub(crate) air: &'a Air,
    pub(crate) antenna: Antenna,
}

impl Device<'_> {
    /// Waits until `ready`, looking every 10 ms, and says how many milliseconds that took.
    ///
    /// Panics after `most` seconds.
    pub(crate) async fn until(
        &self,
        what: &str,
        most: u64,
        mut ready: impl FnMut(&Self) -> bool,
    ) -> u64 {
        let begun = Instant::now();
        while !ready(self) {
            assert!(
                begun.elapsed() <= Duration::from_secs(most),
                "not {what} after {most} s, but {:?}",
                self.wifi.state()
            );
            Timer::after_millis(10).await;
        }
        begun.elapsed().as_millis()
    }

    pub(crate) async fn online(&self, most: u64) -> u64 {
        self.until("online", most, |device| device.wifi.address().is_some())
            .await
    }

    pub(crate) async fn offline(&self, most: u64) -> u64 {
        self.until("offline", most, |device| device.wifi.address().is_none())
            .await
    }

    pub(crate) async fn portal(&self, open: bool, most: u64) -> u64 {
        self.until(if open { "open" } else { "closed" }, most, |device| {
            assert_eq!(
                device.wifi.is_access_point_open(),
                device.antenna.access_point().is_some()
            );
            device.wifi.is_access_point_open() == open
        })
        .await
    }

    pub(crate) fn submit(&self, ssid: &str, password: &str) {
        self.wifi.submit(name(ssid), secret(password));
        assert!(matches!(
            self.wifi.submission().state,
            SubmissionState::Joining(_)
        ));
    }

    /// Waits for the end of a submission.
    pub(crate) async fn result(&self, most: u64) -> Result<Ipv4Addr, JoinFailure> {
        self.until("decided", most, |device| {
            !matches!(device.wifi.submission().state, SubmissionState::Joining(_))
        })
        .await;
        match self.wifi.submission().state {
            SubmissionState::Online(address) => Ok(address),
            SubmissionState::Failed(reason) => Err(reason),
            other => panic!("{other:?}"),
        }
    }

    pub(crate) fn ssid(&self) -> Option<String> {
        self.wifi.ssid().map(|ssid| ssid.to_string())
    }

    pub(crate) fn networks(&self) -> Vec<(String, i8)> {
        let mut networks = Vec::new();
        self.wifi
            .visit_networks(&mut |s| networks.push((s.ssid.to_string(), s.rssi)));
        networks
    }

    pub(crate) fn set_password(&self, ssid: &str, password: &str) {
        let change = Change {
            password: Some(password.into()),
            ..Change::default()
        };
        self.air.change(ssid, &change);
    }

    /// What the radio has done since `since`.
    pub(crate) fn done_since(&self, since: Instant) -> Vec<Operation> {
        let history = self.antenna.history().into_iter();
        history
            .filter(|(at, _)| *at >= since)
            .map(|(_, operation)| operation)
            .collect()
    }

    pub(crate) fn state(&self) -> State {
        self.wifi.state()
    }
}

pub(crate) async fn seconds(seconds: u64) {
    Timer::after_secs(seconds).await;
}

pub(crate) fn name(ssid: &str) -> Ssid {
    Ssid::new(ssid).unwrap()
}

pub(crate) fn secret(password: &str) -> Password {
    Password::new(password).unwrap()
}
