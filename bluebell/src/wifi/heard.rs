//! The list of networks around.

use heapless::Vec;

use super::{MAX_SIGHTINGS, Place, Sighting, Ssid};

struct Entry {
    sighting: Sighting,
    /// Heard in the scan that is running, or in the last one when none is.
    fresh: bool,
}

/// What the scans have heard: the strongest first, one for each SSID.
///
/// While a scan is running, what the one before it has heard stays until it is heard again or the scan
/// has ended; so the list is never empty in between.
pub(super) struct Heard(Vec<Entry, MAX_SIGHTINGS>);

impl Heard {
    pub(super) const fn new() -> Self {
        Self(Vec::new())
    }

    pub(super) fn begin(&mut self) {
        for entry in &mut self.0 {
            entry.fresh = false;
        }
    }

    pub(super) fn add(&mut self, sighting: &Sighting) {
        let listed = self.0.iter().position(|e| e.sighting.ssid == sighting.ssid);
        if let Some(index) = listed {
            let entry = &self.0[index];
            if entry.fresh && entry.sighting.rssi >= sighting.rssi {
                return;
            }
            self.0.remove(index);
        } else if self.0.is_full() {
            // The weakest of the last scan makes room, else the weakest of this one.
            let weakest = self.0.iter().rposition(|entry| !entry.fresh);
            match weakest.or(self.0.len().checked_sub(1)) {
                Some(index)
                    if !self.0[index].fresh || self.0[index].sighting.rssi < sighting.rssi =>
                {
                    self.0.remove(index);
                }
                _ => return,
            }
        }
        let at = self
            .0
            .partition_point(|entry| entry.sighting.rssi >= sighting.rssi);
        // There is room: the list was not full or has just lost an entry.
        let _ = self.0.insert(
            at,
            Entry {
                sighting: sighting.clone(),
                fresh: true,
            },
        );
    }

    /// The scan was complete: what it has not heard is gone.
    pub(super) fn end(&mut self) {
        while let Some(index) = self.0.iter().position(|entry| !entry.fresh) {
            self.0.remove(index);
        }
    }

    pub(super) fn visit(&self, visit: &mut dyn FnMut(&Sighting)) {
        for entry in &self.0 {
            visit(&entry.sighting);
        }
    }

    pub(super) fn place(&self, ssid: &Ssid) -> Option<Place> {
        self.0
            .iter()
            .find(|entry| entry.sighting.ssid == *ssid)
            .map(|entry| Place::of(&entry.sighting))
    }
}

#[cfg(test)]
mod tests {
    use std::format;
    use std::string::String;
    use std::vec::Vec;

    use super::*;
    use crate::wifi::Auth;

    fn sighting(ssid: &str, channel: u8, rssi: i8) -> Sighting {
        Sighting {
            ssid: Ssid::new(ssid).unwrap(),
            bssid: [channel; 6],
            channel,
            rssi,
            auth: Auth::Wpa2,
        }
    }

    fn listed(heard: &Heard) -> Vec<(String, i8)> {
        let mut list = Vec::new();
        heard.visit(&mut |s| list.push((s.ssid.as_str().into(), s.rssi)));
        list
    }

    #[test]
    fn the_strongest_comes_first_and_each_name_once() {
        let mut heard = Heard::new();
        heard.begin();
        for (ssid, channel, rssi) in [("a", 1, -80), ("b", 6, -60), ("a", 11, -40), ("a", 3, -90)] {
            heard.add(&sighting(ssid, channel, rssi));
        }
        heard.end();
        assert_eq!(listed(&heard), [("a".into(), -40), ("b".into(), -60)]);
        assert_eq!(heard.place(&Ssid::new("a").unwrap()).unwrap().channel, 11);
    }

    #[test]
    fn a_full_scan_replaces_the_list_without_emptying_it_meanwhile() {
        let mut heard = Heard::new();
        heard.begin();
        heard.add(&sighting("gone", 1, -40));
        heard.add(&sighting("weaker now", 1, -50));
        heard.end();
        heard.begin();
        heard.add(&sighting("weaker now", 1, -70));
        assert_eq!(
            listed(&heard),
            [("gone".into(), -40), ("weaker now".into(), -70)]
        );
        heard.end();
        assert_eq!(listed(&heard), [("weaker now".into(), -70)]);
    }

    #[test]
    fn of_more_networks_than_fit_the_strongest_stay() {
        let mut heard = Heard::new();
        heard.begin();
        for index in 0..100 {
            let index = i8::try_from(index * 37 % 100).unwrap();
            heard.add(&sighting(&format!("n{index}"), 1, -index));
        }
        heard.end();
        let list = listed(&heard);
        assert_eq!(list.len(), MAX_SIGHTINGS);
        assert!(
            list.iter()
                .map(|(_, rssi)| *rssi)
                .eq((0..24).map(|i: i8| -i))
        );
        heard.begin();
        heard.add(&sighting("new", 1, -99));
        assert_eq!(listed(&heard).len(), MAX_SIGHTINGS);
        heard.end();
        assert_eq!(listed(&heard), [("new".into(), -99)]);
    }
}
