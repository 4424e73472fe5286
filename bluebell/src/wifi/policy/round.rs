//! One round through the known networks: which is tried next.
//!
//! A round goes through at most four stages. *Direct*: the networks joined last are joined where they
//! were, which takes a moment when they are there and hardly longer when they are not. *Scan*: all
//! channels. *Candidates*: what was heard, the strongest first; if one of them has gone from where it was heard,
//! it may have moved to a channel that was scanned by then, and all are scanned once more. *Probes*: what may
//! be hidden is asked for by its name.

use embassy_time::{Duration, Instant};

use super::super::known::{Known, Slots};
use super::super::{Place, Sighting};

/// A signal in dBm that is good enough not to look for a better one.
pub(super) const STRONG: i8 = -70;
/// For how long an outage counts as short, so that every round is.
const BRISK: Duration = Duration::from_secs(60);

/// How many networks are joined where they were, at most.
const DIRECT: u8 = 3;
/// How many are asked for by name in the first round, before the portal opens.
const FIRST_PROBES: u8 = 3;
/// In the first minute every fourth round is another kind of round, so that all are short.
const CYCLE: u32 = 4;

#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
enum Stage {
    Direct,
    Scan,
    Candidates,
    Probes,
    Over,
}

/// What a round does next.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Step {
    Join(u8, Place),
    Scan,
    Probe(u8),
    Over,
}

/// In which circumstances a round begins.
#[derive(Debug, Clone, Copy)]
pub(super) struct Circumstances {
    /// No round was finished since the device was started.
    pub(super) first: bool,
    /// How many rounds there were in this outage.
    pub(super) number: u32,
    /// How long the outage lasts.
    pub(super) outage: Duration,
    /// The access point is open.
    pub(super) portal: bool,
    /// Somebody is on it.
    pub(super) phone: bool,
    /// A scan was left out because somebody was on it.
    pub(super) owing: bool,
    /// The signal was weak when the network was lost.
    pub(super) weak: bool,
}

pub(super) struct Round {
    pub(super) began: Instant,
    stage: Stage,
    /// Networks that are done with in this round.
    tried: Slots,
    /// Networks that were not where they used to be.
    moved: Slots,
    /// Networks that were not where they were heard in this round.
    vanished: Slots,
    /// They were looked for once more.
    again: bool,
    direct: u8,
    promising: bool,
    scans: bool,
    probes: u8,
    all: bool,
    /// What is enough is joined as soon as it is heard.
    hasty: bool,
}

impl Round {
    pub(super) const fn over(began: Instant) -> Self {
        Self {
            began,
            stage: Stage::Over,
            tried: Slots::NONE,
            moved: Slots::NONE,
            vanished: Slots::NONE,
            again: false,
            direct: 0,
            promising: false,
            scans: false,
            probes: 0,
            all: false,
            hasty: false,
        }
    }

    /// A round of what a scan has just heard.
    pub(super) const fn of_heard(began: Instant) -> Self {
        let mut round = Self::over(began);
        round.stage = Stage::Candidates;
        round
    }

    pub(super) fn new(began: Instant, now: Circumstances, known: &Known) -> Self {
        let brisk = now.outage < BRISK;
        let may_hide = known.unheard(Slots::NONE, !brisk).is_some();
        let asks = may_hide && now.number % CYCLE == CYCLE - 1;
        let direct = match (now.first, now.number) {
            (true, _) => 0,
            (false, 0) if now.weak => 0,
            (false, 0) => 1,
            (false, _) => DIRECT,
        };
        let scans = if now.first || now.owing {
            true
        } else if brisk && now.portal {
            // A phone that wants to get on the access point must find it on its channel.
            now.number.is_multiple_of(CYCLE)
        } else {
            !brisk || !asks
        };
        let probes = match (now.first, brisk) {
            (true, _) => FIRST_PROBES,
            (false, true) => u8::from(asks),
            (false, false) => 1,
        };
        Self {
            began,
            stage: Stage::Direct,
            tried: Slots::NONE,
            moved: Slots::NONE,
            vanished: Slots::NONE,
            again: false,
            direct,
            promising: now.phone,
            scans: scans && !now.phone,
            probes: if now.phone { 0 } else { probes },
            all: !brisk,
            hasty: !now.first && now.number > 0,
        }
    }

    pub(super) fn tried(&mut self, slot: u8) {
        self.tried.insert(slot);
    }

    /// The network was not where it was, and may be elsewhere.
    pub(super) fn missed(&mut self, slot: u8) {
        match self.stage {
            Stage::Direct => self.moved.insert(slot),
            // The scan was cut short and is made good in any case.
            Stage::Scan if !self.again => {
                self.again = true;
                self.tried.remove(slot);
            }
            Stage::Candidates if !self.again => self.vanished.insert(slot),
            _ => self.tried.insert(slot),
        }
    }

    /// Whether a network is to be joined that was just heard, without hearing the others: a strong one, or
    /// the very access point that was joined last, on whatever channel it is now.
    pub(super) fn is_enough(&self, known: &Known, slot: u8, heard: &Sighting) -> bool {
        let entry = known.get(slot);
        let Some(entry) = entry.filter(|entry| entry.is_promising() && entry.may_be(heard)) else {
            return false;
        };
        let same = entry.place.is_some_and(|place| place.bssid == heard.bssid);
        self.hasty && (heard.rssi >= STRONG || same) && !self.tried.contains(slot)
    }

    /// The scan is over.
    pub(super) fn scanned(&mut self) {
        self.stage = self.stage.max(Stage::Candidates);
    }

    /// Enough was heard. If it comes to nothing, the scan is made good: the others were not heard.
    pub(super) fn cut_short(&mut self, slot: u8) {
        self.tried.insert(slot);
        self.hasty = false;
    }

    /// `asked`: the networks asked for by name in earlier rounds.
    pub(super) fn next(&mut self, known: &Known, asked: &mut Slots) -> Step {
        if self.stage == Stage::Direct {
            let mut except = self.tried;
            except.insert_all(self.moved);
            if let Some((slot, place)) = known.latest(except, self.promising)
                && self.direct > 0
            {
                self.direct -= 1;
                return Step::Join(slot, place);
            }
            self.stage = Stage::Scan;
        }
        if self.stage == Stage::Scan {
            if self.scans {
                return Step::Scan;
            }
            self.stage = if self.probes > 0 {
                Stage::Probes
            } else {
                Stage::Over
            };
        }
        if self.stage == Stage::Candidates {
            if let Some((slot, place)) = known.best_heard(self.tried) {
                self.tried.insert(slot);
                return Step::Join(slot, place);
            }
            if self.scans && !self.again && self.vanished != Slots::NONE {
                self.again = true;
                self.hasty = true;
                self.vanished
                    .iter()
                    .for_each(|slot| self.tried.remove(slot));
                self.stage = Stage::Scan;
                return Step::Scan;
            }
            self.stage = Stage::Probes;
        }
        if self.stage == Stage::Probes && self.probes > 0 {
            let mut except = self.tried;
            except.insert_all(*asked);
            if known.unheard(except, self.all).is_none() {
                // All were asked for: begin with the first again.
                *asked = Slots::NONE;
                except = self.tried;
            }
            if let Some(slot) = known.unheard(except, self.all) {
                self.probes -= 1;
                self.tried.insert(slot);
                asked.insert(slot);
                return Step::Probe(slot);
            }
        }
        self.stage = Stage::Over;
        Step::Over
    }
}
