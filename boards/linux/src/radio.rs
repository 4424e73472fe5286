//! The board's radio: the simulated one, with the machine's network plugged in while it is joined.

use std::net::Ipv4Addr;

use bluebell::board::{Radio, RadioError};
use bluebell::wifi::{AccessPoint, JoinFailure, JoinTarget, Scan, Sighting};
use sim::air::{Air, AirRadio};

use crate::link::Link;

/// The address that every simulated network gives to the device.
const ADDRESS: Ipv4Addr = Ipv4Addr::new(192, 168, 71, 20);

/// A simulated radio that tells the [`Link`] when the station leaves a network by itself.
pub struct LinuxRadio {
    radio: AirRadio,
    link: Link,
}

impl LinuxRadio {
    /// A radio of this world, and the link that is up while it has an address there.
    #[must_use]
    pub fn new(air: &Air) -> Self {
        let radio = AirRadio::new(air, ADDRESS);
        let antenna = radio.antenna();
        let link = Link::new(move || antenna.is_online());
        Self { radio, link }
    }

    /// The link behind which the station's network lies.
    #[must_use]
    pub fn link(&self) -> Link {
        self.link.clone()
    }
}

impl Radio for LinuxRadio {
    async fn scan(
        &mut self,
        scan: &Scan<'_>,
        found: &mut dyn FnMut(Sighting),
    ) -> Result<(), RadioError> {
        self.radio.scan(scan, found).await
    }

    async fn join(&mut self, target: &JoinTarget<'_>) -> Result<(), JoinFailure> {
        self.link.rejoin();
        self.radio.join(target).await
    }

    async fn address(&mut self) -> Ipv4Addr {
        self.radio.address().await
    }

    async fn lost(&mut self) {
        self.radio.lost().await;
    }

    async fn leave(&mut self) {
        self.link.rejoin();
        self.radio.leave().await;
    }

    fn rssi(&self) -> Option<i8> {
        self.radio.rssi()
    }

    async fn open_access_point(&mut self, settings: &AccessPoint<'_>) -> Result<(), RadioError> {
        self.radio.open_access_point(settings).await
    }

    async fn close_access_point(&mut self) {
        self.radio.close_access_point().await;
    }

    fn closing_restarts(&self) -> bool {
        self.radio.closing_restarts()
    }
}

#[cfg(test)]
mod tests {
    use bluebell::wifi::{Password, Ssid};
    use sim::air::Station;
    use sim::time::run_virtual;

    use super::*;

    #[test]
    fn the_link_is_up_from_the_address_until_the_access_point_goes() {
        run_virtual(async {
            let air = Air::new();
            air.add(Station::new("Cafe"));
            let mut radio = LinuxRadio::new(&air);
            let link = radio.link();
            let (ssid, password) = (Ssid::new("Cafe").unwrap(), Password::default());
            let target = JoinTarget {
                ssid: &ssid,
                password: &password,
                heard: None,
            };
            radio.join(&target).await.unwrap();
            assert!(link.ticket().is_err(), "no address yet");
            radio.address().await;
            link.ticket().unwrap();
            air.switch("Cafe", false);
            assert!(link.ticket().is_err(), "though nobody has asked the radio");
            air.switch("Cafe", true);
            assert!(link.ticket().is_err(), "it was lost all the same");
            radio.lost().await;
            radio.join(&target).await.unwrap();
            radio.address().await;
            link.ticket().unwrap();
            radio.leave().await;
            assert!(link.ticket().is_err());
        });
    }
}
