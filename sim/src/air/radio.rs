//! A device's radio in the simulated world.

use std::collections::VecDeque;
use std::future::{pending, poll_fn};
use std::net::Ipv4Addr;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use bluebell::board::{Radio, RadioError};
use bluebell::wifi::{AccessPoint, Auth, JoinFailure, JoinTarget, Scan, Sighting, Ssid};
use embassy_time::{Duration, Instant, Timer};

use super::{Air, Station, World};

const CHANNELS: std::ops::RangeInclusive<u8> = 1..=13;
/// How many operations are remembered.
const HISTORY: usize = 1000;

/// What a radio was asked to do.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Operation {
    /// To scan one channel, or all.
    Scan {
        /// The channel; `None` for all.
        channel: Option<u8>,
        /// The network that was asked for by its name.
        probe: Option<String>,
    },
    /// To join a network.
    Join(String),
    /// To open the access point.
    Open,
    /// To close it.
    Close,
}

/// A device's radio in the simulated world.
pub struct AirRadio {
    air: Air,
    antenna: Antenna,
    address: Ipv4Addr,
    restarts: bool,
    /// Whether a join is going on, also one that was dropped: it goes on until the radio is told to leave.
    joining: bool,
    joined: Option<Joined>,
}

struct Joined {
    bssid: [u8; 6],
    /// `None`: the radio itself has dropped it.
    epoch: Option<u32>,
}

/// What others see of a device's radio, from any thread; clones are the same.
#[derive(Clone)]
pub struct Antenna {
    air: Air,
    view: Arc<Mutex<View>>,
}

#[derive(Default)]
struct View {
    /// The access point, with its epoch, on which the device has an address.
    online: Option<([u8; 6], u32)>,
    access_point: Option<(String, String)>,
    history: VecDeque<(Instant, Operation)>,
}

impl Antenna {
    /// Whether the device has an address on an access point that is still there, whether or not it has
    /// noticed otherwise.
    #[must_use]
    pub fn is_online(&self) -> bool {
        let online = self.lock().online;
        online.is_some_and(|(bssid, epoch)| self.air.lock().get(bssid, epoch).is_some())
    }

    /// The access point on which the device has an address.
    #[must_use]
    pub fn bssid(&self) -> Option<[u8; 6]> {
        self.lock().online.map(|(bssid, _)| bssid)
    }

    /// The device's own access point while it is open: name and password.
    #[must_use]
    pub fn access_point(&self) -> Option<(String, String)> {
        self.lock().access_point.clone()
    }

    /// What the radio was asked to do and when, the oldest first; of the last 1000 operations.
    #[must_use]
    pub fn history(&self) -> Vec<(Instant, Operation)> {
        self.lock().history.iter().cloned().collect()
    }

    fn lock(&self) -> MutexGuard<'_, View> {
        self.view.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn note(&self, operation: Operation) {
        let mut view = self.lock();
        if view.history.len() == HISTORY {
            view.history.pop_front();
        }
        view.history.push_back((Instant::now(), operation));
    }
}

impl AirRadio {
    /// A radio that is on no network; networks give it `address`.
    #[must_use]
    pub fn new(air: &Air, address: Ipv4Addr) -> Self {
        Self {
            air: air.clone(),
            antenna: Antenna {
                air: air.clone(),
                view: Arc::default(),
            },
            address,
            restarts: false,
            joining: false,
            joined: None,
        }
    }

    /// One that restarts whenever its access point opens or closes, as on an ESP chip.
    #[must_use]
    pub fn restarting(self) -> Self {
        Self {
            restarts: true,
            ..self
        }
    }

    /// The view of this radio for others; it may outlive the radio.
    #[must_use]
    pub fn antenna(&self) -> Antenna {
        self.antenna.clone()
    }

    /// The access point that it is on, as long as that is there.
    fn station<'w>(&self, world: &'w World) -> Option<&'w Station> {
        let joined = self.joined.as_ref()?;
        world.get(joined.bssid, joined.epoch?)
    }

    fn channel_time(&self) -> Duration {
        self.air.timing().scan / u32::from(*CHANNELS.end())
    }

    /// Listens on one channel; what is there at the end is heard.
    async fn listen(&self, channel: u8, probe: Option<&Ssid>, found: &mut dyn FnMut(Sighting)) {
        Timer::after(self.channel_time()).await;
        let stations = self.air.stations();
        for station in stations.iter().filter(|s| s.up && s.channel == channel) {
            let Some(ssid) = std::str::from_utf8(&station.ssid)
                .ok()
                .and_then(|name| Ssid::new(name).ok())
            else {
                continue;
            };
            // Who asks for a name is answered by that one alone.
            if probe.map_or(!station.hidden, |name| *name == ssid) {
                found(Sighting {
                    ssid,
                    bssid: station.bssid,
                    channel,
                    rssi: station.rssi,
                    auth: station.auth(),
                });
            }
        }
    }

    /// The access point to associate with on `channel`, with its epoch; listens if it is not there.
    async fn seek(
        &self,
        ssid: &str,
        channel: u8,
        preferred: Option<[u8; 6]>,
    ) -> Option<([u8; 6], u32)> {
        let find = || {
            let world = self.air.lock();
            let (station, epoch) = world.find(ssid, channel, preferred)?;
            Some((station.bssid, epoch))
        };
        if let Some(found) = find() {
            return Some(found);
        }
        Timer::after(self.channel_time()).await;
        find()
    }

    async fn associate(&mut self, target: &JoinTarget<'_>) -> Result<(), JoinFailure> {
        let ssid = target.ssid.as_str();
        let found = match target.heard {
            Some((bssid, channel)) => self.seek(ssid, channel, Some(bssid)).await,
            None => {
                let mut found = None;
                for channel in CHANNELS {
                    found = self.seek(ssid, channel, None).await;
                    if found.is_some() {
                        break;
                    }
                }
                found
            }
        };
        let (bssid, epoch) = found.ok_or(JoinFailure::NotFound)?;
        Timer::after(self.air.timing().join).await;
        let station = self.air.lock().get(bssid, epoch).cloned();
        let station = station.ok_or(JoinFailure::NotFound)?;
        if station.mute {
            return pending().await;
        }
        if station.refuses || matches!(station.auth(), Auth::Enterprise | Auth::Other) {
            return Err(JoinFailure::Refused);
        }
        if station.password != target.password.reveal() {
            return Err(JoinFailure::WrongPassword);
        }
        self.joined = Some(Joined {
            bssid,
            epoch: Some(epoch),
        });
        Ok(())
    }

    async fn change_access_point(&mut self, access_point: Option<(String, String)>) {
        Timer::after(self.air.timing().access_point).await;
        let restarts = self.restarts;
        let mut view = self.antenna.lock();
        if let Some(joined) = self.joined.as_mut().filter(|_| restarts) {
            joined.epoch = None;
            view.online = None;
        }
        view.access_point = access_point;
    }
}

impl Radio for AirRadio {
    async fn scan(
        &mut self,
        scan: &Scan<'_>,
        found: &mut dyn FnMut(Sighting),
    ) -> Result<(), RadioError> {
        self.antenna.note(Operation::Scan {
            channel: scan.channel,
            probe: scan.probe.map(ToString::to_string),
        });
        if self.joining {
            return Err(RadioError);
        }
        match scan.channel {
            Some(channel) if CHANNELS.contains(&channel) => {
                self.listen(channel, scan.probe, found).await;
            }
            Some(_) => return Err(RadioError),
            None => {
                for channel in CHANNELS {
                    self.listen(channel, scan.probe, found).await;
                }
            }
        }
        Ok(())
    }

    async fn join(&mut self, target: &JoinTarget<'_>) -> Result<(), JoinFailure> {
        self.antenna
            .note(Operation::Join(target.ssid.as_str().into()));
        self.leave().await;
        self.joining = true;
        let result = self.associate(target).await;
        self.joining = false;
        result
    }

    async fn address(&mut self) -> Ipv4Addr {
        let gives = |world: &World| self.station(world).filter(|s| s.dhcp).map(|_| ());
        loop {
            poll_fn(|context| self.air.poll(context, gives)).await;
            Timer::after(self.air.timing().address).await;
            if gives(&self.air.lock()).is_some() {
                let joined = self.joined.as_ref();
                self.antenna.lock().online = joined.and_then(|on| Some((on.bssid, on.epoch?)));
                return self.address;
            }
        }
    }

    async fn lost(&mut self) {
        if self.joined.is_none() {
            return pending().await;
        }
        let gone = |world: &World| self.station(world).is_none().then_some(());
        poll_fn(|context| self.air.poll(context, gone)).await;
        self.leave().await;
    }

    async fn leave(&mut self) {
        self.joining = false;
        self.joined = None;
        self.antenna.lock().online = None;
    }

    fn rssi(&self) -> Option<i8> {
        self.station(&self.air.lock()).map(|station| station.rssi)
    }

    async fn open_access_point(&mut self, settings: &AccessPoint<'_>) -> Result<(), RadioError> {
        self.antenna.note(Operation::Open);
        let access_point = (
            settings.ssid.as_str().into(),
            settings.password.reveal().into(),
        );
        self.change_access_point(Some(access_point)).await;
        Ok(())
    }

    async fn close_access_point(&mut self) {
        self.antenna.note(Operation::Close);
        self.change_access_point(None).await;
    }

    fn closing_restarts(&self) -> bool {
        self.restarts
    }
}
