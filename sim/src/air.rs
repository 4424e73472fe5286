//! The radio world around a device: access points that come and go, and the device's own radio.
//!
//! Guarantees: whoever holds an [`Air`] can change it at any time, from any thread, and every radio in
//! it notices at once; no lock is held while anybody waits; a device that is not listening when its
//! access point goes away for a moment has lost it all the same; the reasons for not joining are those
//! of the real thing.

mod radio;

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::task::{Context, Poll, Waker};

use bluebell::wifi::Auth;
use embassy_time::Duration;

pub use radio::{AirRadio, Antenna, Operation};

/// An access point of the simulated world.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Station {
    /// The network's name, 1 to 32 bytes; need not be UTF-8.
    pub ssid: Vec<u8>,
    /// The access point's hardware address; made up when it is added as all zeros.
    pub bssid: [u8; 6],
    /// The password; empty for an open network.
    pub password: String,
    /// The channel, 1 to 13.
    pub channel: u8,
    /// The signal at the device, in dBm.
    pub rssi: i8,
    /// Whether it is switched on.
    pub up: bool,
    /// Whether it answers only to its name.
    pub hidden: bool,
    /// How it is protected; `None`: open or WPA2, as the password says.
    pub auth: Option<Auth>,
    /// Whether it gives addresses.
    pub dhcp: bool,
    /// Whether it refuses the device.
    pub refuses: bool,
    /// Whether it takes associations and never answers them.
    pub mute: bool,
}

impl Station {
    /// An open access point on channel 1 at -50 dBm.
    #[must_use]
    pub fn new(ssid: &str) -> Self {
        Self {
            ssid: ssid.as_bytes().to_vec(),
            bssid: [0; 6],
            password: String::new(),
            channel: 1,
            rssi: -50,
            up: true,
            hidden: false,
            auth: None,
            dhcp: true,
            refuses: false,
            mute: false,
        }
    }

    /// The same with a password.
    #[must_use]
    pub fn with_password(self, password: &str) -> Self {
        Self {
            password: password.into(),
            ..self
        }
    }

    fn auth(&self) -> Auth {
        self.auth.unwrap_or(if self.password.is_empty() {
            Auth::Open
        } else {
            Auth::Wpa2
        })
    }
}

/// A change of every access point of one SSID; what is `None` stays.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Change {
    /// Switches it on or off.
    pub up: Option<bool>,
    /// Another password: who is on the network stays on it.
    pub password: Option<String>,
    /// Another signal.
    pub rssi: Option<i8>,
    /// Another channel: who is on the network loses it.
    pub channel: Option<u8>,
    /// Hides its name, or shows it.
    pub hidden: Option<bool>,
}

/// How long things take in the simulated world.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Timing {
    /// A scan of all 13 channels; one channel takes a 13th of it.
    pub scan: Duration,
    /// Associating with an access point that was found.
    pub join: Duration,
    /// Getting an address after that.
    pub address: Duration,
    /// Opening or closing the device's own access point.
    pub access_point: Duration,
}

impl Default for Timing {
    fn default() -> Self {
        Self {
            scan: Duration::from_secs(2),
            join: Duration::from_millis(300),
            address: Duration::from_millis(100),
            access_point: Duration::from_millis(50),
        }
    }
}

/// The world; clones are the same world.
#[derive(Clone, Default)]
pub struct Air(Arc<Mutex<World>>);

#[derive(Default)]
struct World {
    stations: Vec<Entry>,
    timing: Timing,
    added: u32,
    wakers: Vec<Waker>,
}

struct Entry {
    station: Station,
    /// Counts up whenever everybody on it loses it.
    epoch: u32,
}

impl Air {
    /// An empty world.
    #[must_use]
    pub fn new() -> Self {
        Self::default()
    }

    /// An empty world in which things take as long as `timing` says.
    #[must_use]
    pub fn with_timing(timing: Timing) -> Self {
        let air = Self::new();
        air.lock().timing = timing;
        air
    }

    /// Adds an access point.
    pub fn add(&self, mut station: Station) {
        self.edit(|world| {
            world.added = world.added.wrapping_add(1);
            if station.bssid == [0; 6] {
                let [a, b, c, d] = world.added.to_be_bytes();
                // Locally administered.
                station.bssid = [0x02, 0xb1, a, b, c, d];
            }
            world.stations.push(Entry { station, epoch: 0 });
        });
    }

    /// Changes every access point of an SSID; where there is none, adds an open one, up, on channel 1
    /// at -50 dBm, so changed.
    pub fn change(&self, ssid: &str, change: &Change) {
        let named = |station: &Station| station.ssid == ssid.as_bytes();
        if !self.stations().iter().any(named) {
            self.add(Station::new(ssid));
        }
        self.edit_all(|station| {
            if !named(station) {
                return;
            }
            station.up = change.up.unwrap_or(station.up);
            station.rssi = change.rssi.unwrap_or(station.rssi);
            station.channel = change.channel.unwrap_or(station.channel);
            station.hidden = change.hidden.unwrap_or(station.hidden);
            if let Some(password) = &change.password {
                station.password.clone_from(password);
            }
        });
    }

    /// Switches every access point of an SSID on or off.
    pub fn switch(&self, ssid: &str, up: bool) {
        let change = Change {
            up: Some(up),
            ..Change::default()
        };
        self.change(ssid, &change);
    }

    /// Changes access points at will. Who is on one that is switched off or takes another channel or
    /// name loses it.
    pub fn edit_all(&self, mut edit: impl FnMut(&mut Station)) {
        self.edit(|world| {
            for entry in &mut world.stations {
                let before = entry.station.clone();
                edit(&mut entry.station);
                let after = &entry.station;
                let stays =
                    after.up && after.channel == before.channel && after.ssid == before.ssid;
                entry.epoch = entry.epoch.wrapping_add(u32::from(!stays));
            }
        });
    }

    /// Takes every access point of an SSID away.
    pub fn remove(&self, ssid: &str) {
        self.edit(|world| {
            world
                .stations
                .retain(|entry| entry.station.ssid != ssid.as_bytes());
        });
    }

    /// Throws everybody off every access point; these stay.
    pub fn disconnect_all(&self) {
        self.edit(|world| {
            for entry in &mut world.stations {
                entry.epoch = entry.epoch.wrapping_add(1);
            }
        });
    }

    /// All access points as they are now.
    #[must_use]
    pub fn stations(&self) -> Vec<Station> {
        let world = self.lock();
        world.stations.iter().map(|e| e.station.clone()).collect()
    }

    fn lock(&self) -> MutexGuard<'_, World> {
        // A thread that panicked elsewhere has left the world whole: every edit is complete.
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn edit(&self, edit: impl FnOnce(&mut World)) {
        let wakers = {
            let mut world = self.lock();
            edit(&mut world);
            std::mem::take(&mut world.wakers)
        };
        wakers.into_iter().for_each(Waker::wake);
    }

    /// Ready when `ready` finds something; else looks again after the next change.
    fn poll<T>(
        &self,
        context: &mut Context<'_>,
        ready: impl FnOnce(&World) -> Option<T>,
    ) -> Poll<T> {
        let mut world = self.lock();
        if let Some(value) = ready(&world) {
            return Poll::Ready(value);
        }
        if !world.wakers.iter().any(|w| w.will_wake(context.waker())) {
            world.wakers.push(context.waker().clone());
        }
        Poll::Pending
    }

    fn timing(&self) -> Timing {
        self.lock().timing
    }
}

impl World {
    /// The access point that a device means: the preferred one, else the strongest of the name.
    fn find(&self, ssid: &str, channel: u8, preferred: Option<[u8; 6]>) -> Option<(&Station, u32)> {
        self.stations
            .iter()
            .filter(|entry| {
                let station = &entry.station;
                station.up && station.channel == channel && station.ssid == ssid.as_bytes()
            })
            .max_by_key(|entry| {
                let station = &entry.station;
                (Some(station.bssid) == preferred, station.rssi)
            })
            .map(|entry| (&entry.station, entry.epoch))
    }

    fn get(&self, bssid: [u8; 6], epoch: u32) -> Option<&Station> {
        self.stations
            .iter()
            .find(|entry| entry.station.bssid == bssid && entry.epoch == epoch)
            .map(|entry| &entry.station)
            .filter(|station| station.up)
    }
}

#[cfg(test)]
mod tests;
