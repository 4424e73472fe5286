//! When the access point is open, and whether somebody is on it.

use embassy_time::{Duration, Instant};

/// How long the access point stays open after a join, when nobody has seen the result.
pub(super) const UNSEEN: Duration = Duration::from_secs(20);
/// How long it stays open after the page was told that the device is online.
pub(super) const SEEN: Duration = Duration::from_secs(10);
/// How long it stays open without a request when it was opened on demand and the device is online.
pub(super) const QUIET: Duration = Duration::from_secs(5 * 60);
/// How long after its last request a phone counts as being there.
pub(super) const PHONE: Duration = Duration::from_secs(60);
/// After how long of a phone being there the networks are looked for all the same, one channel at a
/// time: a page left open must not keep the device from its network for ever.
pub(super) const PATIENCE: Duration = Duration::from_secs(5 * 60);

/// The longest time for the radio to open or close the access point.
const CHANGE: Duration = Duration::from_secs(5);
/// After how long it is asked again when it could not.
const AGAIN: Duration = Duration::from_secs(1);

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Doing {
    Nothing,
    Opening { until: Instant },
    Closing { until: Instant },
    Resting { until: Instant },
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Close {
    Never,
    At(Instant),
    WhenQuiet(Instant),
}

/// What the radio should do about the access point.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Change {
    Open,
    Close,
}

pub(super) struct Portal {
    wanted: bool,
    open: bool,
    doing: Doing,
    close: Close,
    on_demand: bool,
    last_request: Option<Instant>,
    there_since: Instant,
}

impl Portal {
    pub(super) const fn new() -> Self {
        Self {
            wanted: false,
            open: false,
            doing: Doing::Nothing,
            close: Close::Never,
            on_demand: false,
            last_request: None,
            there_since: Instant::from_ticks(0),
        }
    }

    pub(super) fn is_wanted(&self) -> bool {
        self.wanted
    }

    pub(super) fn is_open(&self) -> bool {
        self.open
    }

    /// Whether it is closed and stays so.
    pub(super) fn is_closed(&self) -> bool {
        !self.wanted && !self.open && self.doing == Doing::Nothing
    }

    /// Whether it closes by itself soon.
    pub(super) fn is_ending(&self) -> bool {
        !self.is_closed() && (!self.wanted || matches!(self.close, Close::At(_)))
    }

    pub(super) fn open(&mut self) {
        self.wanted = true;
    }

    /// A person asks for it with a button or a command.
    pub(super) fn open_on_demand(&mut self, now: Instant, online: bool) {
        self.wanted = true;
        self.on_demand = true;
        self.close = if online {
            Close::WhenQuiet(now + QUIET)
        } else {
            Close::Never
        };
    }

    pub(super) fn request_seen(&mut self, now: Instant) {
        if !self.is_phone_there(now) {
            self.there_since = now;
        }
        self.last_request = Some(now);
        if matches!(self.close, Close::WhenQuiet(_)) {
            self.close = Close::WhenQuiet(now + QUIET);
        }
    }

    pub(super) fn online_served(&mut self, now: Instant) {
        if let Close::At(at) = self.close {
            self.close = Close::At(at.min(now + SEEN));
        }
    }

    /// The device is online, because of what a person gave or by itself.
    pub(super) fn joined(&mut self, now: Instant, by_person: bool) {
        if !self.wanted {
            return;
        }
        if by_person || (self.is_phone_there(now) && !self.on_demand) {
            self.close = Close::At(now + UNSEEN);
        } else if self.on_demand {
            self.close = Close::WhenQuiet(now + QUIET);
        } else {
            self.end();
        }
    }

    /// The device is no longer online.
    pub(super) fn unjoined(&mut self) {
        self.close = Close::Never;
    }

    fn end(&mut self) {
        self.wanted = false;
        self.on_demand = false;
        self.close = Close::Never;
        self.last_request = None;
    }

    pub(super) fn is_phone_there(&self, now: Instant) -> bool {
        self.open && self.quiet_from().is_some_and(|at| now < at)
    }

    /// When the phone counts as gone.
    pub(super) fn quiet_from(&self) -> Option<Instant> {
        self.last_request.map(|at| at + PHONE)
    }

    /// Whether a phone has been there for so long that it is time to look for networks. Once it has
    /// said so, patience begins anew.
    pub(super) fn is_patience_over(&mut self, now: Instant) -> bool {
        let over = now.saturating_duration_since(self.there_since) >= PATIENCE;
        if over {
            self.there_since = now;
        }
        over
    }

    pub(super) fn change(&self) -> Option<Change> {
        match self.doing {
            Doing::Opening { .. } => Some(Change::Open),
            Doing::Closing { .. } => Some(Change::Close),
            Doing::Nothing | Doing::Resting { .. } => None,
        }
    }

    /// What the radio has made of [`change`](Self::change).
    pub(super) fn changed(&mut self, now: Instant, done: bool) {
        match self.doing {
            Doing::Opening { .. } if done => self.open = true,
            Doing::Closing { .. } if done => self.open = false,
            Doing::Opening { .. } | Doing::Closing { .. } => {
                self.doing = Doing::Resting { until: now + AGAIN };
                return;
            }
            Doing::Nothing | Doing::Resting { .. } => return,
        }
        self.doing = Doing::Nothing;
    }

    /// Lets time pass. Returns whether what the radio should do is another thing now.
    pub(super) fn advance(&mut self, now: Instant) -> bool {
        let before = self.change();
        match self.close {
            Close::At(at) | Close::WhenQuiet(at) if at <= now => self.end(),
            _ => {}
        }
        match self.doing {
            Doing::Opening { until } | Doing::Closing { until } if until <= now => {
                self.changed(now, false);
            }
            Doing::Resting { until } if until <= now => {
                let until = now + CHANGE;
                self.doing = if self.wanted {
                    Doing::Opening { until }
                } else {
                    Doing::Closing { until }
                };
            }
            Doing::Nothing if self.wanted && !self.open => {
                self.doing = Doing::Opening {
                    until: now + CHANGE,
                };
            }
            Doing::Nothing if !self.wanted && self.open => {
                self.doing = Doing::Closing {
                    until: now + CHANGE,
                };
            }
            _ => {}
        }
        self.change() != before
    }

    pub(super) fn deadline(&self) -> Option<Instant> {
        let close = match self.close {
            Close::At(at) | Close::WhenQuiet(at) => Some(at),
            Close::Never => None,
        };
        let doing = match self.doing {
            Doing::Opening { until } | Doing::Closing { until } | Doing::Resting { until } => {
                Some(until)
            }
            Doing::Nothing => None,
        };
        close.into_iter().chain(doing).min()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(seconds: u64) -> Instant {
        Instant::from_secs(seconds)
    }

    fn opened() -> Portal {
        let mut portal = Portal::new();
        portal.open();
        assert!(portal.advance(at(0)));
        assert_eq!(portal.change(), Some(Change::Open));
        portal.changed(at(0), true);
        assert!(portal.is_open());
        portal
    }

    /// Runs until the access point is to be closed, and says when.
    fn closes(portal: &mut Portal) -> Option<u64> {
        while let Some(deadline) = portal.deadline() {
            portal.advance(deadline);
            if portal.change() == Some(Change::Close) {
                return Some(deadline.as_secs());
            }
        }
        None
    }

    #[test]
    fn it_closes_ten_seconds_after_online_was_first_served() {
        let mut portal = opened();
        portal.joined(at(100), true);
        for second in [103, 105, 108] {
            portal.online_served(at(second));
        }
        assert_eq!(closes(&mut portal), Some(113));
    }

    #[test]
    fn it_closes_twenty_seconds_after_joining_at_the_latest() {
        let mut portal = opened();
        portal.joined(at(100), true);
        assert_eq!(closes(&mut portal), Some(120));
        let mut portal = opened();
        portal.joined(at(100), true);
        portal.online_served(at(119));
        assert_eq!(closes(&mut portal), Some(120));
    }

    #[test]
    fn a_known_network_that_is_back_closes_it_at_once_unless_a_phone_is_there() {
        let mut portal = opened();
        portal.joined(at(100), false);
        assert!(portal.advance(at(100)));
        assert_eq!(portal.change(), Some(Change::Close));
        let mut portal = opened();
        portal.request_seen(at(50));
        portal.joined(at(100), false);
        assert_eq!(closes(&mut portal), Some(120));
    }

    #[test]
    fn on_demand_it_stays_until_five_minutes_have_passed_without_a_request() {
        let mut portal = opened();
        portal.open_on_demand(at(10), true);
        portal.request_seen(at(100));
        portal.online_served(at(100));
        assert_eq!(closes(&mut portal), Some(400));
    }

    #[test]
    fn a_link_lost_again_keeps_it_open() {
        let mut portal = opened();
        portal.joined(at(100), true);
        portal.unjoined();
        assert_eq!(closes(&mut portal), None);
        assert!(portal.is_open());
    }

    #[test]
    fn a_radio_that_fails_or_hangs_is_asked_again() {
        let mut portal = Portal::new();
        portal.open();
        portal.advance(at(0));
        portal.changed(at(0), false);
        assert_eq!(portal.deadline(), Some(at(1)));
        assert!(portal.advance(at(1)));
        assert_eq!(portal.deadline(), Some(at(6)));
        assert!(portal.advance(at(6)));
        assert_eq!(portal.change(), None);
        assert!(portal.advance(at(7)));
        portal.changed(at(7), true);
        assert!(portal.is_open());
    }

    #[test]
    fn a_phone_is_there_for_sixty_seconds_after_its_last_request() {
        let mut portal = opened();
        assert!(!portal.is_phone_there(at(1)));
        portal.request_seen(at(10));
        portal.request_seen(at(30));
        assert!(portal.is_phone_there(at(89)));
        assert!(!portal.is_phone_there(at(90)));
        for second in (100..400).step_by(10) {
            portal.request_seen(at(second));
            assert!(!portal.is_patience_over(at(second)));
        }
        portal.request_seen(at(400));
        assert!(portal.is_patience_over(at(400)));
        assert!(!portal.is_patience_over(at(401)));
    }
}
