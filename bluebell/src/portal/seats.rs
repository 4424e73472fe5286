//! Who gives way when every seat is taken.
//!
//! A seat holds one connection. Guarantees: while one can give way, one seat listens; a connection
//! that is being answered and takes its answer never gives way.

use embassy_time::{Duration, Instant};

/// How long a connection that has just come may take to bring its request, and one that has been
/// answered to take the answer: as long as a packet and its acknowledgement are on the air.
const GRACE: Duration = Duration::from_millis(25);
/// The same for a connection that waits alone among others that are answered, which ends soon.
const ALONE: Duration = Duration::from_millis(250);
/// How long a client may take nothing of its answer before it may have to give way.
const STALLED: Duration = Duration::from_secs(1);

/// What a seat is doing, and since when.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Phase {
    // First, so that a seat that is made is all zeros, and the memory of a portal no constant in the image.
    /// It is free in a moment.
    Leaving,
    /// It waits for a connection.
    Listening,
    /// It reads what the client still sends, so that the answer is not lost.
    Lingering(Instant),
    /// It has answered and waits for the next request.
    Idle(Instant),
    /// It waits for a complete request.
    Waiting(Instant),
    /// It answers; the client last took something at this time.
    Answering(Instant),
}

/// What has to happen so that a seat listens.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Verdict {
    /// Nothing.
    Rest,
    /// The connection in this seat gives way.
    GiveWay(usize),
    /// Nobody can give way before this time.
    LookAgain(Instant),
}

/// Decides who gives way: who lingers, else who idles, else who has waited longest for a complete
/// request, else who takes nothing of its answer.
pub(super) fn verdict(phases: impl Iterator<Item = Phase> + Clone, now: Instant) -> Verdict {
    let is_waiting = |phase: &Phase| matches!(phase, Phase::Waiting(_));
    let alone = phases.clone().filter(is_waiting).count() == 1;
    let mut first: Option<(u8, Instant, usize)> = None;
    let mut look_again = Instant::MAX;
    for (seat, phase) in phases.enumerate() {
        let (rank, since, patience) = match phase {
            Phase::Listening | Phase::Leaving => return Verdict::Rest,
            Phase::Lingering(since) => (0, since, GRACE),
            Phase::Idle(since) => (1, since, Duration::MIN),
            Phase::Waiting(since) => (2, since, if alone { ALONE } else { GRACE }),
            Phase::Answering(since) => (3, since, STALLED),
        };
        let due = since.saturating_add(patience);
        if due > now {
            look_again = look_again.min(due);
        } else if first.is_none_or(|(best, oldest, _)| (rank, since) < (best, oldest)) {
            first = Some((rank, since, seat));
        }
    }
    match first {
        Some((_, _, seat)) => Verdict::GiveWay(seat),
        None => Verdict::LookAgain(look_again),
    }
}

#[cfg(test)]
mod tests {
    use super::Phase::*;
    use super::Verdict::*;
    use super::*;

    fn at(milliseconds: u64) -> Instant {
        Instant::from_millis(milliseconds)
    }

    #[test]
    fn the_least_needed_connection_gives_way() {
        let now = at(10_000);
        let table: &[(&[Phase], Verdict)] = &[
            (&[Listening, Waiting(at(0)), Idle(at(0))], Rest),
            (&[Leaving, Waiting(at(0)), Idle(at(0))], Rest),
            (
                &[Waiting(at(2)), Waiting(at(1)), Waiting(at(3))],
                GiveWay(1),
            ),
            (
                &[Waiting(at(1)), Idle(at(10_000)), Idle(at(9_000))],
                GiveWay(2),
            ),
            (
                &[Waiting(at(1)), Idle(at(1)), Lingering(at(9_970))],
                GiveWay(2),
            ),
            (
                &[Waiting(at(1)), Waiting(at(1)), Lingering(at(9_990))],
                GiveWay(0),
            ),
            (
                &[Waiting(at(9_990)), Waiting(at(9_995))],
                LookAgain(at(10_015)),
            ),
            (
                &[Answering(at(9_900)), Waiting(at(9_990)), Waiting(at(9_950))],
                GiveWay(2),
            ),
            (
                &[Answering(at(9_900)), Waiting(at(9_900))],
                LookAgain(at(10_150)),
            ),
            (&[Answering(at(9_000)), Waiting(at(9_900))], GiveWay(0)),
            (&[Answering(at(9_900)), Waiting(at(9_000))], GiveWay(1)),
            (
                &[Answering(at(9_900)), Answering(at(9_800))],
                LookAgain(at(10_800)),
            ),
            (&[Answering(at(9_900)), Answering(at(9_000))], GiveWay(1)),
        ];
        for (phases, expected) in table {
            assert_eq!(
                verdict(phases.iter().copied(), now),
                *expected,
                "{phases:?}"
            );
        }
    }
}
