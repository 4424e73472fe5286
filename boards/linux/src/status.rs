//! What only the device knows and the panel shows.

use std::net::Ipv4Addr;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Instant;

use serde::Serialize;

/// How far the device is with Wi-Fi.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum WifiState {
    /// It has not tried anything yet.
    #[default]
    Starting,
    /// It looks for a network or joins one, and its access point is closed.
    Joining,
    /// Its access point is open and it has no address.
    Portal,
    /// It has an address.
    Online,
}

/// How far the device is with its broker.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum MqttState {
    /// No connection, and none is tried now.
    #[default]
    Offline,
    /// A connection is being made.
    Connecting,
    /// The broker has accepted it.
    Online,
}

/// The device's own access point, as a person needs it to get on.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize)]
pub struct AccessPointStatus {
    /// Its name, from when it is known.
    pub ssid: Option<String>,
    /// Its password, in clear: the panel and the console are the two places that show it.
    pub password: Option<String>,
}

/// The station's side of Wi-Fi.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize)]
pub struct WifiStatus {
    /// How far it is.
    pub state: WifiState,
    /// The network it is on, or joins.
    pub ssid: Option<String>,
    /// Its address.
    pub ip: Option<Ipv4Addr>,
}

/// What the device says of itself.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Status {
    /// The station.
    pub wifi: WifiStatus,
    /// The connection to the broker.
    pub mqtt: MqttState,
    /// Whether the access point is open.
    pub portal: bool,
    /// The access point's name and password.
    pub access_point: AccessPointStatus,
}

#[derive(Debug)]
struct Observed {
    status: Status,
    booted: Instant,
}

/// Where the device writes its status and the panel reads it.
#[derive(Debug, Clone)]
pub struct Observer(Arc<Mutex<Observed>>);

impl Default for Observer {
    fn default() -> Self {
        Self(Arc::new(Mutex::new(Observed {
            status: Status::default(),
            booted: Instant::now(),
        })))
    }
}

impl Observer {
    fn lock(&self) -> MutexGuard<'_, Observed> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Changes what is known of the device.
    pub fn update(&self, change: impl FnOnce(&mut Status)) {
        change(&mut self.lock().status);
    }

    /// What is known of the device.
    #[must_use]
    pub fn status(&self) -> Status {
        self.lock().status.clone()
    }

    /// When the power was switched on.
    pub(crate) fn booted(&self) -> Instant {
        self.lock().booted
    }

    /// Milliseconds since power on.
    #[must_use]
    pub fn uptime_ms(&self) -> u64 {
        u64::try_from(self.lock().booted.elapsed().as_millis()).unwrap_or(u64::MAX)
    }

    /// Forgets everything: the device starts anew.
    pub(crate) fn restart(&self) {
        let mut observed = self.lock();
        observed.status = Status::default();
        observed.booted = Instant::now();
    }
}
