//! The table of stored networks, without their passwords.
//!
//! Guarantees: a network that was not proven displaces none that was; of one name there is at most one
//! proven entry; a proven network always finds room.

use super::{Auth, JoinFailure, MAX_NETWORKS, Place, Sighting, Ssid, StoredNetwork};

/// A set of slots.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub(super) struct Slots(u16);

const _: () = assert!(MAX_NETWORKS <= u16::BITS as usize);

impl Slots {
    pub(super) const NONE: Self = Self(0);

    pub(super) fn contains(self, slot: u8) -> bool {
        self.0 & (1 << slot) != 0
    }

    pub(super) fn insert(&mut self, slot: u8) {
        self.0 |= 1 << slot;
    }

    pub(super) fn remove(&mut self, slot: u8) {
        self.0 &= !(1 << slot);
    }

    pub(super) fn insert_all(&mut self, other: Self) {
        self.0 |= other.0;
    }

    pub(super) fn iter(self) -> impl Iterator<Item = u8> {
        Known::slots().filter(move |slot| self.contains(*slot))
    }
}

/// How one network stands to others: the first of these counts most.
type Rank = (i8, bool, u32);

/// What is known of one stored network.
#[derive(Debug, Clone)]
pub(super) struct Entry {
    pub(super) ssid: Ssid,
    /// Its password is stored.
    pub(super) secured: bool,
    pub(super) proven: bool,
    pub(super) hidden: bool,
    pub(super) used: u32,
    pub(super) place: Option<Place>,
    /// The strongest access point that the present round has heard.
    pub(super) heard: Option<(Place, i8)>,
    /// Heard by its name since the device was started.
    pub(super) visible: bool,
    /// Why it was not joined last time, since the device was started.
    pub(super) failure: Option<JoinFailure>,
}

impl Entry {
    /// Whether an access point is one of this network: an open one under the name of a network that has a
    /// password is somebody else's.
    pub(super) fn may_be(&self, sighting: &Sighting) -> bool {
        self.ssid == sighting.ssid && !(self.secured && sighting.auth == Auth::Open)
    }

    /// Whether all that is known to be wrong with it is that it is away.
    pub(super) fn is_promising(&self) -> bool {
        matches!(self.failure, None | Some(JoinFailure::NotFound))
    }
}

/// What is to be written after a network has proven itself.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Proof {
    /// Where it is stored.
    pub(super) slot: u8,
    /// Whether what is stored there has to change.
    pub(super) save: bool,
    /// What it displaces elsewhere, to be forgotten after it was saved.
    pub(super) forget: Slots,
}

pub(super) struct Known([Option<Entry>; MAX_NETWORKS]);

impl Known {
    pub(super) const fn new() -> Self {
        Self([const { None }; MAX_NETWORKS])
    }

    pub(super) fn slots() -> core::ops::Range<u8> {
        0..MAX_NETWORKS as u8
    }

    /// Puts what is stored into the table. Returns a slot that is to be forgotten: when the power was
    /// cut between saving a network and forgetting its older entry, both are found.
    pub(super) fn set(&mut self, slot: u8, network: &StoredNetwork) -> Option<u8> {
        let entry = Entry {
            ssid: network.ssid.clone(),
            secured: !network.password.is_empty(),
            proven: network.proven,
            hidden: network.hidden,
            used: network.used,
            place: network.place,
            heard: None,
            visible: false,
            failure: None,
        };
        let twin = self.iter().find(|(other, twin)| {
            *other != slot && twin.proven && network.proven && twin.ssid == network.ssid
        });
        let loser = twin.map(|(other, twin)| {
            if twin.used > network.used {
                slot
            } else {
                other
            }
        });
        if loser == Some(slot) {
            return loser;
        }
        if let Some(other) = loser {
            self.remove(other);
        }
        if let Some(place) = self.0.get_mut(usize::from(slot)) {
            *place = Some(entry);
        }
        loser
    }

    pub(super) fn remove(&mut self, slot: u8) {
        if let Some(place) = self.0.get_mut(usize::from(slot)) {
            *place = None;
        }
    }

    pub(super) fn get(&self, slot: u8) -> Option<&Entry> {
        self.0.get(usize::from(slot))?.as_ref()
    }

    pub(super) fn get_mut(&mut self, slot: u8) -> Option<&mut Entry> {
        self.0.get_mut(usize::from(slot))?.as_mut()
    }

    pub(super) fn iter(&self) -> impl Iterator<Item = (u8, &Entry)> {
        Self::slots()
            .zip(&self.0)
            .filter_map(|(slot, entry)| Some((slot, entry.as_ref()?)))
    }

    fn iter_mut(&mut self) -> impl Iterator<Item = &mut Entry> {
        self.0.iter_mut().flatten()
    }

    pub(super) fn is_empty(&self) -> bool {
        self.0.iter().all(Option::is_none)
    }

    pub(super) fn forget_heard(&mut self) {
        for entry in self.iter_mut() {
            entry.heard = None;
        }
    }

    /// Takes note of an access point; `by_name` when it was asked by its name.
    pub(super) fn hear(&mut self, sighting: &Sighting, by_name: bool) {
        for entry in self.iter_mut().filter(|e| e.may_be(sighting)) {
            entry.visible |= !by_name;
            // One that is heard again has moved meanwhile.
            let better =
                |(place, rssi): (Place, i8)| rssi < sighting.rssi || place.bssid == sighting.bssid;
            if entry.heard.is_none_or(better) {
                entry.heard = Some((Place::of(sighting), sighting.rssi));
            }
        }
    }

    /// The strongest network that was heard; of equals a proven one, then the one joined last.
    pub(super) fn best_heard(&self, except: Slots) -> Option<(u8, Place)> {
        let slot = self.best(except, &|entry| {
            let (_, rssi) = entry.heard?;
            Some((rssi, entry.proven, entry.used))
        })?;
        let (place, _) = self.get(slot)?.heard?;
        Some((slot, place))
    }

    /// The network of the highest rank, the first of equals; those without one do not count.
    fn best(&self, except: Slots, rank: &dyn Fn(&Entry) -> Option<Rank>) -> Option<u8> {
        let mut best = None;
        for (slot, entry) in self.iter().filter(|(slot, _)| !except.contains(*slot)) {
            let rank = rank(entry);
            if rank.is_some() && best.is_none_or(|(highest, _)| rank > highest) {
                best = Some((rank, slot));
            }
        }
        best.map(|(_, slot)| slot)
    }

    /// The network joined last, with the place where it was; one that is only away where `promising`.
    pub(super) fn latest(&self, except: Slots, promising: bool) -> Option<(u8, Place)> {
        let slot = self.best(except, &|entry| {
            let counts = entry.proven && entry.place.is_some();
            (counts && (!promising || entry.is_promising())).then_some((0, true, entry.used))
        })?;
        Some((slot, self.get(slot)?.place?))
    }

    /// A network that was not heard and may be hidden: first those that were hidden before, then those
    /// of which nothing is known, then, where `all`, those that used to be heard.
    pub(super) fn unheard(&self, except: Slots, all: bool) -> Option<u8> {
        self.best(except, &|entry| {
            let silent = entry.heard.is_none() && !entry.visible;
            (silent && (all || entry.hidden || !entry.proven)).then_some((
                entry.hidden.into(),
                !entry.proven,
                entry.used,
            ))
        })
    }

    /// Where a network that was not proven may be stored, without displacing another name.
    pub(super) fn room_for_unproven(&self, ssid: &Ssid) -> Option<u8> {
        self.iter()
            .find(|(_, entry)| entry.ssid == *ssid && !entry.proven)
            .map(|(slot, _)| slot)
            .or_else(|| self.free())
    }

    fn free(&self) -> Option<u8> {
        Self::slots().find(|slot| self.get(*slot).is_none())
    }

    /// Where a network that has just been proven is stored: in the place of its older entry, in a free
    /// one, or in the place of the one not used for longest, the unproven ones first.
    fn room_for_proven(&self, ssid: &Ssid) -> u8 {
        let older = |entry: &Entry| (entry.ssid == *ssid).then_some((0, entry.proven, 0));
        let worst = |entry: &Entry| Some((0, !entry.proven, u32::MAX.saturating_sub(entry.used)));
        self.best(Slots::NONE, &older)
            .or_else(|| self.free())
            .or_else(|| self.best(Slots::NONE, &worst))
            .unwrap_or_default()
    }

    /// The network in `slot` has given an address at `place`; `by_name` when it only answered to its
    /// name.
    pub(super) fn prove(&mut self, slot: u8, place: Place, by_name: bool) -> Option<Proof> {
        let latest = self.iter().map(|(_, entry)| entry.used).max().unwrap_or(0);
        let entry = self.get_mut(slot)?;
        let hidden = !entry.visible && (by_name || entry.hidden);
        let moved = entry.place.is_none_or(|old| old.channel != place.channel);
        let save = !entry.proven || entry.used < latest || moved || entry.hidden != hidden;
        if !entry.proven || entry.used < latest {
            entry.used = latest.saturating_add(1);
        }
        entry.proven = true;
        entry.hidden = hidden;
        entry.place = Some(place);
        entry.failure = None;
        let ssid = entry.ssid.clone();
        let mut forget = Slots::NONE;
        for other in Self::slots() {
            if other != slot && self.get(other).is_some_and(|e| e.proven && e.ssid == ssid) {
                self.remove(other);
                forget.insert(other);
            }
        }
        Some(Proof { slot, save, forget })
    }

    /// A network that a person gave has given an address: it replaces every entry of its name.
    pub(super) fn adopt(&mut self, ssid: &Ssid, place: Place, hidden: bool) -> Proof {
        let slot = self.room_for_proven(ssid);
        let latest = self.iter().map(|(_, entry)| entry.used).max().unwrap_or(0);
        let mut forget = Slots::NONE;
        for other in Self::slots() {
            if other != slot && self.get(other).is_some_and(|entry| entry.ssid == *ssid) {
                self.remove(other);
                forget.insert(other);
            }
        }
        if let Some(entry) = self.0.get_mut(usize::from(slot)) {
            *entry = Some(Entry {
                ssid: ssid.clone(),
                // Its password comes when it is stored.
                secured: false,
                proven: true,
                hidden,
                used: latest.saturating_add(1),
                place: Some(place),
                heard: None,
                visible: !hidden,
                failure: None,
            });
        }
        Proof {
            slot,
            save: true,
            forget,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::wifi::{Auth, Password};

    const PLACE: Place = Place {
        bssid: [1; 6],
        channel: 6,
    };

    fn name(ssid: &str) -> Ssid {
        Ssid::new(ssid).unwrap()
    }

    fn stored(ssid: &str, proven: bool, used: u32) -> StoredNetwork {
        StoredNetwork {
            ssid: name(ssid),
            password: Password::default(),
            proven,
            hidden: false,
            used,
            place: proven.then_some(PLACE),
        }
    }

    fn table(networks: &[(&str, bool, u32)]) -> Known {
        let mut known = Known::new();
        for (slot, (ssid, proven, used)) in (0..).zip(networks) {
            known.set(slot, &stored(ssid, *proven, *used));
        }
        known
    }

    fn hear(known: &mut Known, ssid: &str, rssi: i8) {
        let sighting = Sighting {
            ssid: name(ssid),
            bssid: [rssi.unsigned_abs(); 6],
            channel: 1,
            rssi,
            auth: Auth::Wpa2,
        };
        known.hear(&sighting, false);
    }

    fn order(known: &Known) -> std::vec::Vec<u8> {
        let mut tried = Slots::default();
        std::iter::from_fn(|| {
            let (slot, _) = known.best_heard(tried)?;
            tried.insert(slot);
            Some(slot)
        })
        .collect()
    }

    #[test]
    fn the_strongest_is_tried_first_and_the_last_good_breaks_ties() {
        let mut known = table(&[
            ("a", true, 1),
            ("b", true, 7),
            ("c", true, 3),
            ("d", true, 9),
        ]);
        for (ssid, rssi) in [("a", -40), ("b", -60), ("c", -60), ("a", -90)] {
            hear(&mut known, ssid, rssi);
        }
        assert_eq!(order(&known), [0, 1, 2]);
        assert_eq!(known.best_heard(Slots::default()).unwrap().1.bssid, [40; 6]);
    }

    #[test]
    fn of_one_name_the_proven_password_is_tried_before_the_imported_one() {
        let mut known = table(&[("a", false, 0), ("a", true, 1)]);
        hear(&mut known, "a", -50);
        assert_eq!(order(&known), [1, 0]);
    }

    #[test]
    fn an_imported_network_that_joins_displaces_the_older_entry_of_its_name() {
        let mut known = table(&[("a", true, 5), ("a", false, 0), ("b", true, 9)]);
        let proof = known.prove(1, PLACE, false).unwrap();
        assert!(proof.save && proof.slot == 1);
        assert!(proof.forget.iter().eq([0]));
        assert!(known.get(0).is_none());
        assert_eq!(known.get(1).unwrap().used, 10);
    }

    #[test]
    fn joining_the_same_network_at_the_same_place_again_writes_nothing() {
        let mut known = table(&[("a", true, 5), ("b", true, 9)]);
        assert!(!known.prove(1, PLACE, false).unwrap().save);
        assert!(known.prove(0, PLACE, false).unwrap().save);
        assert_eq!(known.get(0).unwrap().used, 10);
        assert!(!known.prove(0, PLACE, false).unwrap().save);
        let elsewhere = Place {
            channel: 9,
            ..PLACE
        };
        assert!(known.prove(0, elsewhere, false).unwrap().save);
        assert_eq!(known.get(0).unwrap().used, 10);
    }

    #[test]
    fn what_a_person_gave_replaces_every_entry_of_its_name() {
        let mut known = table(&[("b", true, 5), ("a", false, 0), ("a", true, 2)]);
        let proof = known.adopt(&name("a"), PLACE, true);
        assert_eq!((proof.slot, proof.save), (2, true));
        assert!(proof.forget.iter().eq([1]));
        assert_eq!(known.latest(Slots::default(), true), Some((2, PLACE)));
        assert!(known.get(2).unwrap().hidden);
    }

    #[test]
    fn a_full_table_refuses_an_import_and_gives_way_to_a_proven_network() {
        let full: std::vec::Vec<_> = (0..MAX_NETWORKS)
            .map(|n| (std::format!("n{n}"), n > 2, n as u32))
            .collect();
        let rows: std::vec::Vec<_> = full.iter().map(|(s, p, u)| (s.as_str(), *p, *u)).collect();
        let mut known = table(&rows);
        assert_eq!(known.room_for_unproven(&name("new")), None);
        assert_eq!(known.room_for_unproven(&name("n2")), Some(2));
        assert_eq!(known.room_for_unproven(&name("n3")), None);
        let slots: std::vec::Vec<_> = ["p", "q", "r", "s", "t"]
            .map(|ssid| known.adopt(&name(ssid), PLACE, false).slot)
            .into();
        assert_eq!(
            slots,
            [0, 1, 2, 3, 4],
            "unproven ones first, then the oldest"
        );
    }

    #[test]
    fn after_a_cut_between_saving_and_forgetting_the_newer_entry_stays() {
        for (first, second, loser) in [(4, 9, 0), (9, 4, 1)] {
            let mut known = Known::new();
            assert_eq!(known.set(0, &stored("a", true, first)), None);
            assert_eq!(known.set(1, &stored("a", true, second)), Some(loser));
            assert_eq!(known.iter().count(), 1);
            assert!(known.get(loser).is_none());
        }
    }

    #[test]
    fn hidden_networks_are_asked_for_first_and_those_heard_never() {
        let mut known = table(&[("seen", true, 9), ("new", false, 0), ("away", true, 5)]);
        let mut hidden = stored("hidden", true, 1);
        hidden.hidden = true;
        known.set(3, &hidden);
        hear(&mut known, "seen", -50);
        known.forget_heard();
        let mut asked = Slots::default();
        for (all, expected) in [
            (false, Some(3)),
            (false, Some(1)),
            (false, None),
            (true, Some(2)),
            (true, None),
        ] {
            let slot = known.unheard(asked, all);
            assert_eq!(slot, expected);
            slot.into_iter().for_each(|slot| asked.insert(slot));
        }
    }
}
