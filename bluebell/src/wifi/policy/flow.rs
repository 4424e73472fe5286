//! How one thing leads to another.

use super::*;

impl Policy {
    /// Begins a round through the known networks.
    pub(super) fn begin_round(&mut self, now: Instant, random: u32) {
        self.plan_round(now);
        self.proceed(now, random);
    }

    fn plan_round(&mut self, now: Instant) {
        let phone = self.portal.is_phone_there(now);
        if self.known.is_empty() {
            // Only the list is kept fresh, while nobody is looking.
            if !phone {
                self.listing = Listing::Wanted { from: now };
            }
            self.round = Round::over(now);
            return;
        }
        let circumstances = Circumstances {
            first: !self.been_online && self.rounds == 0,
            number: self.rounds,
            outage: now.saturating_duration_since(self.outage_since),
            portal: self.portal.is_wanted(),
            phone,
            owing: self.owing,
            weak: self.weak,
        };
        self.rounds = self.rounds.saturating_add(1);
        self.owing = phone;
        self.round = Round::new(now, circumstances, &self.known);
        if phone && self.portal.is_patience_over(now) {
            self.listing = Listing::Wanted { from: now };
        }
    }

    /// Takes the round's next step.
    pub(super) fn proceed(&mut self, now: Instant, random: u32) {
        match self.round.next(&self.known, &mut self.asked) {
            Step::Join(slot, place) => self.join(now, Who::Known(slot), place),
            Step::Scan => {
                // It serves the list as well.
                self.listing = Listing::Idle { since: now };
                self.known.forget_heard();
                self.scan(now, None);
            }
            Step::Probe(slot) => self.scan(now, Some(Who::Known(slot))),
            Step::Over => self.rest(now, random),
        }
    }

    fn join(&mut self, now: Instant, who: Who, place: Place) {
        self.enter(Phase::Join {
            who,
            place,
            until: now + JOIN,
        });
    }

    fn scan(&mut self, now: Instant, probe: Option<Who>) {
        self.found = None;
        self.enter(Phase::Scan {
            probe,
            until: now + SCAN,
        });
    }

    /// No network was joined in this round: the next one follows.
    fn rest(&mut self, now: Instant, random: u32) {
        self.starting = false;
        if !self.been_online {
            self.open_portal();
        }
        if self.known.is_empty() {
            self.enter(Phase::Rest {
                until: now + CEILING,
            });
            return;
        }
        // Delays count from one beginning to the next, so that a slow round does not add to them.
        let delay = self.backoff.next(now, random).min(CEILING);
        let breath = if self.portal.is_wanted() {
            LONG_BREATH
        } else {
            BREATH
        };
        let mut until = (self.round.began + delay).max(now + breath);
        if self.portal.is_phone_there(now)
            && let Some(quiet) = self.portal.quiet_from()
        {
            until = until.min(quiet);
        }
        self.enter(Phase::Rest { until });
    }

    pub(super) fn heard(&mut self, now: Instant, sighting: &Sighting) {
        let Phase::Scan { probe, .. } = self.phase else {
            self.known.hear(sighting, false);
            return;
        };
        self.known.hear(sighting, probe.is_some());
        if let Some(who) = probe {
            let asked = match who {
                Who::Known(slot) => self.known.get(slot).is_some_and(|e| e.may_be(sighting)),
                Who::Submitted => self.submitted.as_ref() == Some(&sighting.ssid),
            };
            let better = self.found.is_none_or(|(_, rssi)| rssi < sighting.rssi);
            if asked && better {
                self.found = Some((Place::of(sighting), sighting.rssi));
            }
            return;
        }
        let enough = |(slot, _): &(u8, _)| self.round.is_enough(&self.known, *slot, sighting);
        let enough = self.known.iter().find(enough);
        if let Some((slot, _)) = enough {
            self.round.cut_short(slot);
            self.join(now, Who::Known(slot), Place::of(sighting));
        }
    }

    pub(super) fn scanned(&mut self, now: Instant, random: u32, probe: Option<Who>) {
        self.starting = false;
        match (probe, self.found) {
            (Some(who), Some((place, _))) => self.join(now, who, place),
            (Some(who), None) => self.failed(now, random, who, JoinFailure::NotFound),
            (None, _) => {
                self.round.scanned();
                self.proceed(now, random);
            }
        }
    }

    /// A scan was not made to its end. What it has heard counts all the same; that it has not heard a
    /// network says nothing.
    pub(super) fn scan_failed(&mut self, now: Instant, random: u32, probe: Option<Who>) {
        match probe.filter(|_| self.found.is_none()) {
            Some(Who::Submitted) if self.asked_again => {
                self.failed(now, random, Who::Submitted, JoinFailure::TimedOut);
            }
            // The radio may still be busy with what it was doing before.
            Some(who) => {
                self.asked_again |= who == Who::Submitted;
                self.enter(Phase::Leave { until: now + LEAVE });
            }
            None => self.scanned(now, random, probe),
        }
    }

    /// The radio is on no network, nor about to be.
    pub(super) fn left(&mut self, now: Instant, random: u32) {
        match self.submission {
            SubmissionState::Joining(_) => self.scan(now, Some(Who::Submitted)),
            _ => self.proceed(now, random),
        }
    }

    /// Somebody wants a fresh list.
    pub(super) fn rescan(&mut self) {
        let soon = matches!(self.phase, Phase::Scan { probe: None, .. });
        if let Listing::Idle { since } = self.listing
            && !soon
        {
            self.listing = Listing::Wanted {
                from: since + RELIST,
            };
        }
    }

    /// A list is being made. One that is wanted only later keeps nothing from going on.
    pub(super) fn is_listing(&self) -> bool {
        matches!(self.listing, Listing::Scan { .. } | Listing::Gap { .. })
    }

    /// Begins a scan for the list; one channel at a time while somebody is on the access point, and
    /// while there is a link that could be lost meanwhile.
    pub(super) fn list(&mut self, now: Instant) {
        self.known.forget_heard();
        let gently = self.portal.is_phone_there(now) || self.address.is_some();
        self.list_channel(now, gently.then_some(*CHANNELS.start()));
    }

    pub(super) fn list_channel(&mut self, now: Instant, channel: Option<u8>) {
        self.listing = Listing::Scan {
            channel,
            until: now + SCAN,
        };
        self.turn = self.turn.wrapping_add(1);
    }

    /// A scan for the list, or one channel of it, is over.
    pub(super) fn listed(&mut self, now: Instant, random: u32) {
        let Listing::Scan { channel, .. } = self.listing else {
            return;
        };
        self.turn = self.turn.wrapping_add(1);
        if let Some(next) = channel.map(|channel| channel.saturating_add(1))
            && CHANNELS.contains(&next)
        {
            self.listing = Listing::Gap {
                next,
                until: now + GAP,
            };
            return;
        }
        self.listing = Listing::Idle { since: now };
        // A known network is there that is not known to fail: no need to wait.
        let back = self
            .known
            .iter()
            .any(|(_, entry)| entry.heard.is_some() && entry.is_promising());
        if back && matches!(self.phase, Phase::Rest { .. }) {
            self.round = Round::of_heard(now);
            self.proceed(now, random);
        }
    }

    /// A network was not joined.
    pub(super) fn failed(&mut self, now: Instant, random: u32, who: Who, reason: JoinFailure) {
        if self.address.is_some() {
            // The radio has restarted, and the network is not there any more.
            self.begin_outage(now);
            self.round = Round::over(now);
        }
        let mut again = false;
        if let Who::Known(slot) = who
            && let Some(entry) = self.known.get_mut(slot)
        {
            again = entry.failure.replace(reason) == Some(reason);
        }
        self.failure = Some(Failure { who, reason, again });
        match who {
            Who::Known(slot) => {
                if reason == JoinFailure::NotFound {
                    self.round.missed(slot);
                } else {
                    self.round.tried(slot);
                }
            }
            Who::Submitted if reason == JoinFailure::NotFound && !self.asked_by_name => {
                // Not where the list says: perhaps it has moved, or hides.
                self.failure = None;
                self.asked_by_name = true;
                self.scan(now, Some(Who::Submitted));
                return;
            }
            Who::Submitted => {
                self.submission = SubmissionState::Failed(reason);
                if core::mem::take(&mut self.interrupted) {
                    // Back to the network that was good until a moment ago.
                    self.rounds = 1;
                }
                self.plan_round(now);
            }
        }
        if matches!(reason, JoinFailure::TimedOut | JoinFailure::NoDhcp) {
            self.enter(Phase::Leave { until: now + LEAVE });
        } else {
            self.proceed(now, random);
        }
    }

    pub(super) fn online(&mut self, now: Instant, who: Who, place: Place, address: Ipv4Addr) {
        let kept = self.address.is_some();
        let by_person = who == Who::Submitted;
        self.starting = false;
        self.been_online = true;
        self.interrupted = false;
        self.owing = false;
        self.backoff.reset();
        self.joined = self.name(who).cloned();
        self.address = Some(address);
        let proof = match who {
            Who::Known(slot) => {
                let heard = self.known.get(slot).and_then(|entry| entry.heard);
                if let Some((_, rssi)) = heard.filter(|(at, _)| *at == place) {
                    self.weak = rssi < STRONG;
                }
                let by_name = self.found.is_some_and(|(at, _)| at == place);
                self.known.prove(slot, place, by_name)
            }
            Who::Submitted => {
                self.submission = SubmissionState::Online(address);
                self.weak = self.found.is_some_and(|(_, rssi)| rssi < STRONG);
                let hidden = self.found.is_some_and(|(at, _)| at == place);
                self.submitted
                    .as_ref()
                    .map(|ssid| self.known.adopt(ssid, place, hidden))
            }
        };
        self.due = proof.map(|proof| Due { proof, by_person });
        if !kept {
            self.portal.joined(now, by_person);
            self.holding = self.restarts && self.portal.is_ending();
        } else if self.portal.is_closed() {
            self.holding = false;
        }
        self.enter(Phase::Online { since: now });
    }

    pub(super) fn lost(&mut self, now: Instant, random: u32, since: Instant) {
        let last = self.known.latest(Slots::NONE, false);
        let same = last.filter(|(slot, _)| self.name(Who::Known(*slot)) == self.joined.as_ref());
        if let Some((slot, place)) = same
            && self.restarts
            && now < self.settling_until
        {
            // The radio has restarted: the address stands until the network turns out to be gone.
            self.join(now, Who::Known(slot), place);
            return;
        }
        self.begin_outage(now);
        if let SubmissionState::Online(_) = self.submission {
            self.submission = SubmissionState::Idle;
            self.submitted = None;
        }
        if now.saturating_duration_since(since) < FLAPPING {
            self.enter(Phase::Rest {
                until: now + FLAPPING_REST,
            });
        } else {
            self.begin_round(now, random);
        }
    }

    fn begin_outage(&mut self, now: Instant) {
        self.address = None;
        self.joined = None;
        self.holding = false;
        self.outage_since = now;
        self.rounds = 0;
        self.backoff.reset();
        self.portal.unjoined();
    }

    /// A network is not to be known any more: whoever is on it, or about to be, leaves it.
    pub(super) fn forgotten(&mut self, now: Instant, slot: u8) {
        let Some(name) = self.known.get(slot).map(|entry| entry.ssid.clone()) else {
            return;
        };
        self.known.remove(slot);
        let joined = self.address.is_some() && self.joined.as_ref() == Some(&name);
        let about = match self.phase {
            Phase::Join { who, .. } | Phase::Address { who, .. } => who == Who::Known(slot),
            Phase::Scan { probe, .. } => probe == Some(Who::Known(slot)),
            _ => false,
        };
        if joined {
            self.begin_outage(now);
            self.round = Round::over(now);
            if let SubmissionState::Online(_) = self.submission {
                self.submission = SubmissionState::Idle;
                self.submitted = None;
            }
        }
        if joined || about {
            self.enter(Phase::Leave { until: now + LEAVE });
        }
        if self.known.is_empty() && self.address.is_none() {
            self.open_portal();
        }
    }

    pub(super) fn submit(&mut self, now: Instant, ssid: &Ssid, place: Option<Place>) {
        if self.address.is_some() {
            self.begin_outage(now);
            self.interrupted = true;
        }
        self.submitted = Some(ssid.clone());
        self.submission = SubmissionState::Joining(JoinStep::Joining);
        self.asked_by_name = place.is_none();
        self.asked_again = false;
        self.found = None;
        match place {
            Some(place) => self.join(now, Who::Submitted, place),
            None => self.scan(now, Some(Who::Submitted)),
        }
    }
}
