//! What can be wrong with a network, as settings.

use embassy_time::{Duration, Instant};

use crate::random::Random;

/// What is wrong on the way to and from a host, or between two hosts. The default: nothing.
///
/// Several that apply at once add up: delays are summed, otherwise the worse counts.
#[derive(Debug, Clone, PartialEq)]
pub struct Faults {
    /// The cable is pulled: bytes vanish, connections hang, attempts to connect hang. When it is
    /// back, TCP sends again what was lost, at the times of its doubling retransmission timer.
    pub cable_pulled: bool,
    /// Connections are accepted by nobody, and whatever is sent vanishes; established ones fall
    /// silent.
    pub black_hole: bool,
    /// Attempts to connect are refused. What is established stays.
    pub refuse: bool,
    /// Added to the latency of each direction.
    pub delay: Duration,
    /// A random part of up to this is added to the latency of every segment and datagram.
    pub jitter: Duration,
    /// Probability, 0 to 1, that a datagram is lost; a lost TCP segment comes later instead.
    pub loss: f64,
    /// Probability, 0 to 1, that a datagram arrives twice.
    pub duplicate: f64,
    /// Probability, 0 to 1, that a datagram is overtaken by those of the next 20 ms.
    pub reorder: f64,
    /// TCP delivers at most so many bytes to one read; at least 1.
    pub piece: usize,
    /// The time between two pieces.
    pub pace: Duration,
    /// A connection is reset once it has carried this many bytes, both directions counted.
    pub reset_after: Option<usize>,
}

impl Default for Faults {
    fn default() -> Self {
        Self {
            cable_pulled: false,
            black_hole: false,
            refuse: false,
            delay: Duration::from_ticks(0),
            jitter: Duration::from_ticks(0),
            loss: 0.0,
            duplicate: 0.0,
            reorder: 0.0,
            piece: usize::MAX,
            pace: Duration::from_ticks(0),
            reset_after: None,
        }
    }
}

impl Faults {
    /// Both at once.
    pub(super) fn and(&self, other: &Self) -> Self {
        Self {
            cable_pulled: self.cable_pulled || other.cable_pulled,
            black_hole: self.black_hole || other.black_hole,
            refuse: self.refuse || other.refuse,
            delay: self.delay + other.delay,
            jitter: self.jitter + other.jitter,
            loss: self.loss.max(other.loss),
            duplicate: self.duplicate.max(other.duplicate),
            reorder: self.reorder.max(other.reorder),
            piece: self.piece.min(other.piece).max(1),
            pace: self.pace.max(other.pace),
            reset_after: [self.reset_after, other.reset_after]
                .into_iter()
                .flatten()
                .min(),
        }
    }
}

/// Where TCP's retransmission timer begins, and what its doubling ends at (RFC 6298 and Linux).
const FIRST_RETRANSMISSION: Duration = Duration::from_millis(200);
const LONGEST_RETRANSMISSION: Duration = Duration::from_secs(60);

/// When TCP tries again, for the first time at or after `now`, what was lost at `since`.
pub(super) fn retransmission(since: Instant, now: Instant) -> Instant {
    retry(since, now, FIRST_RETRANSMISSION)
}

/// The first moment at or after `now` of a timer that began at `since` with `first` and doubles.
pub(super) fn retry(since: Instant, now: Instant, first: Duration) -> Instant {
    let mut step = first;
    let mut at = since + step;
    while at < now {
        step = (step * 2).min(LONGEST_RETRANSMISSION);
        at += step;
    }
    at
}

/// The way between two hosts at one moment.
#[derive(Debug, Clone)]
pub(super) struct Route {
    /// Whether anything gets through.
    pub(super) up: bool,
    /// Time from one end to the other, without what is random.
    pub(super) latency: Duration,
    /// What is wrong on it.
    pub(super) faults: Faults,
}

impl Route {
    /// How long one TCP segment takes, its retransmissions included.
    pub(super) fn segment(&self, random: &mut Random) -> Duration {
        let mut time = self.datagram(random);
        let mut wait = FIRST_RETRANSMISSION;
        // A certain loss would have no end: after ten losses the segment has waited for minutes.
        for _ in 0..10 {
            if !random.happens(self.faults.loss) {
                break;
            }
            time += wait;
            wait = (wait * 2).min(LONGEST_RETRANSMISSION);
        }
        time
    }

    /// How long one datagram takes, where it is neither lost nor held back.
    pub(super) fn datagram(&self, random: &mut Random) -> Duration {
        let jitter = random.below(self.faults.jitter.as_ticks().saturating_add(1));
        self.latency + Duration::from_ticks(jitter)
    }
}

#[cfg(test)]
mod tests {
    use embassy_time::{Duration, Instant};

    use super::{Faults, retransmission};

    #[test]
    fn lost_bytes_are_tried_again_at_doubling_distances() {
        let at = |since: u64, now: u64| {
            retransmission(Instant::from_millis(since), Instant::from_millis(now)).as_millis()
        };
        assert_eq!(at(0, 0), 200);
        assert_eq!(at(0, 200), 200);
        assert_eq!(at(0, 201), 600);
        assert_eq!(at(1000, 6000), 1000 + 200 + 400 + 800 + 1600 + 3200);
        let day = 86_400_000;
        assert!(at(0, day) < day + 60_000);
    }

    #[test]
    fn faults_of_both_ends_add_up() {
        let slow = Faults {
            delay: Duration::from_millis(5),
            piece: 7,
            ..Faults::default()
        };
        let broken = Faults {
            delay: Duration::from_millis(2),
            piece: 0,
            reset_after: Some(10),
            ..Faults::default()
        };
        let both = slow.and(&broken);
        assert_eq!(both.delay, Duration::from_millis(7));
        assert_eq!((both.piece, both.reset_after), (1, Some(10)));
        assert_eq!(Faults::default().and(&Faults::default()), Faults::default());
    }
}
