//! The emulated radio: the same world as that of the virtual board, with the machine's own network
//! device plugged in while a network is joined.

use core::net::Ipv4Addr;

use bluebell::board::{Radio, RadioError};
use bluebell::wifi::{AccessPoint, JoinFailure, JoinTarget, Scan, Sighting};
use bluebell_network::Address;
use embassy_futures::select::select;
use embassy_time::{Duration, Timer};

use crate::nic;
use crate::world::{air, bssid, lost};

const CHANNELS: u8 = 13;
/// All channels take 2 s.
const CHANNEL: Duration = Duration::from_millis(2000 / CHANNELS as u64);
/// How long associating takes, and opening or closing the access point.
const JOIN: Duration = Duration::from_millis(300);
const ACCESS_POINT: Duration = Duration::from_millis(100);

/// The machine's radio.
pub struct EmulatedRadio {
    address: Address,
    /// Whether a network was joined whose loss has not been reported.
    joined: bool,
}

impl EmulatedRadio {
    pub(crate) fn new(address: Address) -> Self {
        Self {
            address,
            joined: false,
        }
    }

    /// Ends a network, and waits until the stack has seen it end.
    async fn disconnect(&mut self) {
        self.joined = false;
        air(|air| air.join(None));
        self.address.left().await;
    }
}

/// Listens on one channel; what is there at the end is heard.
async fn listen(channel: u8, scan: &Scan<'_>, found: &mut dyn FnMut(Sighting)) {
    Timer::after(CHANNEL).await;
    let networks = air(|air| air.networks.clone());
    for (index, network) in networks.into_iter().enumerate() {
        // Who asks for a name is answered by that one alone.
        let answers = scan
            .probe
            .map_or(!network.hidden, |name| *name == network.ssid);
        if network.up && network.channel == channel && answers {
            let auth = network.auth();
            found(Sighting {
                ssid: network.ssid,
                bssid: bssid(index),
                channel,
                rssi: network.rssi,
                auth,
            });
        }
    }
}

impl Radio for EmulatedRadio {
    async fn scan(
        &mut self,
        scan: &Scan<'_>,
        found: &mut dyn FnMut(Sighting),
    ) -> Result<(), RadioError> {
        match scan.channel {
            Some(channel @ 1..=CHANNELS) => listen(channel, scan, found).await,
            Some(_) => return Err(RadioError),
            None => {
                for channel in 1..=CHANNELS {
                    listen(channel, scan, found).await;
                }
            }
        }
        Ok(())
    }

    async fn join(&mut self, target: &JoinTarget<'_>) -> Result<(), JoinFailure> {
        self.disconnect().await;
        let find = || {
            air(|air| {
                let mut networks = air.networks.iter().enumerate();
                networks
                    .find(|(index, network)| {
                        let heard = target.heard.is_none_or(|(heard, channel)| {
                            heard == bssid(*index) && channel == network.channel
                        });
                        network.up && network.ssid == *target.ssid && heard
                    })
                    .map(|(index, _)| index)
            })
        };
        if target.heard.is_none() {
            // It is looked for on all channels first.
            Timer::after(CHANNEL * u32::from(CHANNELS)).await;
        }
        Timer::after(JOIN).await;
        let index = find().ok_or(JoinFailure::NotFound)?;
        air(|air| {
            if air.networks[index].password != *target.password {
                return Err(JoinFailure::WrongPassword);
            }
            air.join(Some(index));
            Ok(())
        })?;
        self.joined = true;
        Ok(())
    }

    async fn address(&mut self) -> Ipv4Addr {
        self.address.given().await
    }

    async fn lost(&mut self) {
        if !self.joined {
            return core::future::pending().await;
        }
        select(lost(), self.address.lost()).await;
        self.joined = false;
    }

    async fn leave(&mut self) {
        self.disconnect().await;
    }

    fn rssi(&self) -> Option<i8> {
        air(|air| air.joined.map(|index| air.networks[index].rssi))
    }

    async fn open_access_point(&mut self, _settings: &AccessPoint<'_>) -> Result<(), RadioError> {
        Timer::after(ACCESS_POINT).await;
        nic::ACCESS_POINT.set(true);
        Ok(())
    }

    async fn close_access_point(&mut self) {
        Timer::after(ACCESS_POINT).await;
        nic::ACCESS_POINT.set(false);
    }
}
