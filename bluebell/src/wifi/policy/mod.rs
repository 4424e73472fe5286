//! What to do next about Wi-Fi: events and the time go in, a task and the next deadline come out.
//!
//! Guarantees: it reads no clock and does no I/O; in every state there is a task or a deadline that
//! leads out of it; a person's submission goes before everything else; no event out of its time does
//! harm.

mod flow;
mod portal;
mod round;

use core::net::Ipv4Addr;

use embassy_time::{Duration, Instant};

use self::portal::Portal;
use self::round::{Circumstances, Round, STRONG, Step};
use super::known::{Known, Proof, Slots};
use super::{JoinFailure, JoinStep, Place, Sighting, Ssid, State, SubmissionState};
use crate::backoff::Backoff;

/// The longest time for associating with an access point.
pub(super) const JOIN: Duration = Duration::from_secs(10);
/// The longest time for getting an address after that.
pub(super) const ADDRESS: Duration = Duration::from_secs(8);
/// The longest time for a scan.
const SCAN: Duration = Duration::from_secs(15);
/// The longest time for leaving a network.
const LEAVE: Duration = Duration::from_secs(2);
/// The longest delay between two rounds: the backoff's ceiling.
const CEILING: Duration = Duration::from_secs(60);
/// The shortest rest between two rounds, and while the access point is open, when somebody may be
/// trying to get on it.
const BREATH: Duration = Duration::from_millis(100);
const LONG_BREATH: Duration = Duration::from_secs(1);
/// A link that lasted less is not rejoined at once but after [`FLAPPING_REST`].
const FLAPPING: Duration = Duration::from_secs(10);
const FLAPPING_REST: Duration = Duration::from_secs(1);
/// How long after the access point has opened or closed a lost link is the radio's own doing.
const SETTLING: Duration = Duration::from_secs(3);
/// How long after a list has ended, or a scan that serves it has begun, the next one begins at the
/// earliest: who asks again and again does not keep the radio.
const RELIST: Duration = Duration::from_secs(3);
/// The pause between two channels of a scan that leaves room for the access point's clients.
const GAP: Duration = Duration::from_millis(50);
/// The channels of such a scan.
pub(super) const CHANNELS: core::ops::RangeInclusive<u8> = 1..=13;
/// Where an access point may be in every country.
const ANYWHERE: core::ops::RangeInclusive<u8> = 1..=11;

/// Which network.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Who {
    /// The one stored in this slot.
    Known(u8),
    /// The one that a person has given last.
    Submitted,
}

/// What the radio should be doing.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Task {
    Rest,
    OpenAccessPoint {
        channel: u8,
    },
    CloseAccessPoint,
    Scan {
        channel: Option<u8>,
        probe: Option<Who>,
    },
    Join {
        who: Who,
        place: Place,
    },
    Address,
    Leave,
    Watch,
}

/// What has happened.
#[derive(Debug, Clone, Copy)]
pub(super) enum Event<'a> {
    /// The stored networks are known.
    Started,
    Heard(&'a Sighting),
    Scanned,
    /// The radio could not scan, or not to the end.
    ScanFailed,
    Joined(Result<(), JoinFailure>),
    Address(Ipv4Addr),
    Lost,
    Left,
    /// The access point was opened or closed; with or without success.
    AccessPoint(bool),
    /// A person has given a network, which the last scan has heard there.
    Submitted {
        ssid: &'a Ssid,
        place: Option<Place>,
    },
    /// What was stored in this slot is not any more.
    Forgotten(u8),
    Rescan,
    OpenPortal,
    RequestSeen,
    OnlineServed,
    Tick,
}

/// What is to be stored, now that a network is joined.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Due {
    pub(super) proof: Proof,
    /// The password is the one that a person has given; else the one that is stored there.
    pub(super) by_person: bool,
}

/// A network was not joined.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Failure {
    pub(super) who: Who,
    pub(super) reason: JoinFailure,
    /// For the same reason as last time.
    pub(super) again: bool,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Phase {
    Rest {
        until: Instant,
    },
    Scan {
        probe: Option<Who>,
        until: Instant,
    },
    Join {
        who: Who,
        place: Place,
        until: Instant,
    },
    Address {
        who: Who,
        place: Place,
        until: Instant,
    },
    Leave {
        until: Instant,
    },
    Online {
        since: Instant,
    },
}

/// A scan that only refreshes the list, beside everything else.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Listing {
    Idle { since: Instant },
    Wanted { from: Instant },
    Scan { channel: Option<u8>, until: Instant },
    Gap { next: u8, until: Instant },
}

pub(super) struct Policy {
    pub(super) known: Known,
    portal_after: Duration,
    /// Whether the radio restarts when the access point opens or closes.
    restarts: bool,
    turn: u32,
    phase: Phase,
    listing: Listing,
    round: Round,
    rounds: u32,
    backoff: Backoff,
    portal: Portal,
    address: Option<Ipv4Addr>,
    joined: Option<Ssid>,
    submitted: Option<Ssid>,
    submission: SubmissionState,
    /// The submission was asked for by its name.
    asked_by_name: bool,
    /// Its probe could not run, and was made again.
    asked_again: bool,
    /// The submission has cut off a link that was good.
    interrupted: bool,
    outage_since: Instant,
    settling_until: Instant,
    /// The link is not shown yet: the radio will restart for the access point's closing.
    holding: bool,
    starting: bool,
    been_online: bool,
    owing: bool,
    weak: bool,
    asked: Slots,
    found: Option<(Place, i8)>,
    due: Option<Due>,
    failure: Option<Failure>,
}

impl Policy {
    pub(super) const fn new(now: Instant, portal_after: Duration, restarts: bool) -> Self {
        Self {
            known: Known::new(),
            portal_after,
            restarts,
            turn: 0,
            phase: Phase::Rest { until: now },
            listing: Listing::Idle { since: now },
            round: Round::over(now),
            rounds: 0,
            backoff: Backoff::new(),
            portal: Portal::new(),
            address: None,
            joined: None,
            submitted: None,
            submission: SubmissionState::Idle,
            asked_by_name: false,
            asked_again: false,
            interrupted: false,
            outage_since: now,
            settling_until: now,
            holding: false,
            starting: true,
            been_online: false,
            owing: false,
            weak: false,
            asked: Slots::NONE,
            found: None,
            due: None,
            failure: None,
        }
    }

    /// A number that changes whenever the radio should drop what it is doing.
    pub(super) fn turn(&self) -> u32 {
        self.turn
    }

    /// What the radio should be doing.
    pub(super) fn task(&self) -> Task {
        match self.portal.change() {
            Some(portal::Change::Open) => {
                let channel = self.known.latest(Slots::NONE, false);
                return Task::OpenAccessPoint {
                    channel: channel
                        .map(|(_, place)| place.channel)
                        .filter(|channel| ANYWHERE.contains(channel))
                        .unwrap_or(*ANYWHERE.start()),
                };
            }
            Some(portal::Change::Close) => return Task::CloseAccessPoint,
            None => {}
        }
        match (self.phase, self.listing) {
            (Phase::Scan { probe, .. }, _) => Task::Scan {
                channel: None,
                probe,
            },
            (Phase::Join { who, place, .. }, _) => Task::Join { who, place },
            (Phase::Address { .. }, _) => Task::Address,
            (Phase::Leave { .. }, _) => Task::Leave,
            (_, Listing::Scan { channel, .. }) => Task::Scan {
                channel,
                probe: None,
            },
            (Phase::Rest { .. }, _) => Task::Rest,
            (Phase::Online { .. }, _) => Task::Watch,
        }
    }

    /// When to come back with [`Event::Tick`], if nothing happens before.
    pub(super) fn deadline(&self) -> Option<Instant> {
        let phase = match self.phase {
            Phase::Rest { .. } if self.is_listing() => None,
            Phase::Rest { until }
            | Phase::Scan { until, .. }
            | Phase::Join { until, .. }
            | Phase::Address { until, .. }
            | Phase::Leave { until } => Some(until),
            Phase::Online { .. } => None,
        };
        let listing = match self.listing {
            Listing::Idle { .. } => None,
            Listing::Wanted { from: until }
            | Listing::Scan { until, .. }
            | Listing::Gap { until, .. } => Some(until).filter(|_| self.is_at_leisure()),
        };
        let portal = if self.address.is_none() && !self.portal.is_wanted() {
            self.portal_due()
        } else {
            None
        };
        let settled = (self.holding && self.portal.is_closed()).then_some(self.settling_until);
        [phase, listing, portal, settled, self.portal.deadline()]
            .into_iter()
            .flatten()
            .min()
    }

    /// What to store after [`Event::Address`].
    pub(super) fn take_due(&mut self) -> Option<Due> {
        self.due.take()
    }

    /// What to log: at most one network fails at each event.
    pub(super) fn take_failure(&mut self) -> Option<Failure> {
        self.failure.take()
    }

    pub(super) fn address(&self) -> Option<Ipv4Addr> {
        self.address
    }

    pub(super) fn link(&self) -> Option<Ipv4Addr> {
        self.address.filter(|_| !self.holding)
    }

    pub(super) fn is_portal_open(&self) -> bool {
        self.portal.is_open()
    }

    pub(super) fn submission(&self) -> (Option<&Ssid>, SubmissionState) {
        let state = match (self.submission, self.phase) {
            (SubmissionState::Joining(_), Phase::Address { .. }) => {
                SubmissionState::Joining(JoinStep::Address)
            }
            (state, _) => state,
        };
        (self.submitted.as_ref(), state)
    }

    pub(super) fn state(&self) -> State {
        if self.address.is_some() {
            State::Online
        } else if self.portal.is_open() {
            State::Portal
        } else if self.starting {
            State::Starting
        } else {
            State::Joining
        }
    }

    pub(super) fn name(&self, who: Who) -> Option<&Ssid> {
        match who {
            Who::Known(slot) => self.known.get(slot).map(|entry| &entry.ssid),
            Who::Submitted => self.submitted.as_ref(),
        }
    }

    /// The network joined, or tried while there is nothing else to show.
    pub(super) fn ssid(&self) -> Option<&Ssid> {
        match (self.state(), self.phase) {
            (State::Online, _) => self.joined.as_ref(),
            (State::Joining, Phase::Join { who, .. } | Phase::Address { who, .. }) => {
                self.name(who)
            }
            _ => None,
        }
    }

    /// Takes in what has happened; `random` is any number that other devices do not share.
    pub(super) fn handle(&mut self, now: Instant, random: u32, event: Event<'_>) {
        match event {
            Event::Started => self.started(now, random),
            Event::Heard(sighting) => self.heard(now, sighting),
            Event::Scanned => match self.phase {
                Phase::Scan { probe, .. } => self.scanned(now, random, probe),
                _ => self.listed(now, random),
            },
            Event::ScanFailed => match self.phase {
                Phase::Scan { probe, .. } => self.scan_failed(now, random, probe),
                _ => self.listed(now, random),
            },
            Event::Joined(result) => {
                if let Phase::Join { who, place, .. } = self.phase {
                    match result {
                        Ok(()) => {
                            let until = now + ADDRESS;
                            self.enter(Phase::Address { who, place, until });
                        }
                        Err(reason) => self.failed(now, random, who, reason),
                    }
                }
            }
            Event::Address(address) => {
                if let Phase::Address { who, place, .. } = self.phase {
                    self.online(now, who, place, address);
                }
            }
            Event::Lost => match self.phase {
                Phase::Online { since } => self.lost(now, random, since),
                Phase::Address { who, .. } => {
                    self.failed(now, random, who, JoinFailure::TimedOut);
                }
                _ => {}
            },
            Event::Left => {
                if let Phase::Leave { .. } = self.phase {
                    self.left(now, random);
                }
            }
            Event::AccessPoint(done) => {
                self.portal.changed(now, done);
                self.settling_until = now + SETTLING;
                self.turn = self.turn.wrapping_add(1);
            }
            Event::Submitted { ssid, place } => self.submit(now, ssid, place),
            Event::Forgotten(slot) => self.forgotten(now, slot),
            Event::Rescan => self.rescan(),
            Event::OpenPortal => {
                self.open_portal();
                self.portal.open_on_demand(now, self.address.is_some());
                self.holding = false;
            }
            Event::RequestSeen => self.portal.request_seen(now),
            Event::OnlineServed => self.portal.online_served(now),
            Event::Tick => {}
        }
        self.advance(now, random);
    }

    /// The radio's task is dropped and begins anew.
    pub(super) fn interrupt(&mut self) {
        self.turn = self.turn.wrapping_add(1);
    }

    fn portal_due(&self) -> Option<Instant> {
        self.outage_since.checked_add(self.portal_after)
    }

    fn enter(&mut self, phase: Phase) {
        self.phase = phase;
        self.turn = self.turn.wrapping_add(1);
    }

    /// Nothing goes before a scan for the list.
    fn is_at_leisure(&self) -> bool {
        matches!(self.phase, Phase::Rest { .. } | Phase::Online { .. })
    }

    fn started(&mut self, now: Instant, random: u32) {
        if self.known.is_empty() {
            self.open_portal();
            self.listing = Listing::Wanted { from: now };
            self.enter(Phase::Rest {
                until: now + CEILING,
            });
        } else {
            self.begin_round(now, random);
        }
    }

    fn open_portal(&mut self) {
        if !self.portal.is_wanted() && !matches!(self.submission, SubmissionState::Joining(_)) {
            self.submission = SubmissionState::Idle;
            self.submitted = None;
        }
        self.portal.open();
    }

    fn advance(&mut self, now: Instant, random: u32) {
        if self.address.is_none() && self.portal_due().is_some_and(|due| due <= now) {
            self.open_portal();
        }
        match self.phase {
            Phase::Rest { until } if until <= now && !self.is_listing() => {
                self.begin_round(now, random);
            }
            Phase::Scan { probe, until } if until <= now => self.scan_failed(now, random, probe),
            Phase::Join { who, until, .. } if until <= now => {
                self.failed(now, random, who, JoinFailure::TimedOut);
            }
            Phase::Address { who, until, .. } if until <= now => {
                self.failed(now, random, who, JoinFailure::NoDhcp);
            }
            Phase::Leave { until } if until <= now => self.left(now, random),
            _ => {}
        }
        if self.is_at_leisure() {
            match self.listing {
                Listing::Wanted { from } if from <= now => self.list(now),
                Listing::Scan { until, .. } if until <= now => self.listed(now, random),
                Listing::Gap { next, until } if until <= now => self.list_channel(now, Some(next)),
                _ => {}
            }
        }
        if self.portal.advance(now) {
            self.turn = self.turn.wrapping_add(1);
        }
        if self.portal.is_closed() && self.settling_until <= now {
            self.holding = false;
        }
    }
}

#[cfg(test)]
mod tests;
