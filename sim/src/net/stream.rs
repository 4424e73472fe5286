//! One direction of a TCP connection: bytes under way, in order, each with its time of arrival.

use std::collections::VecDeque;

use embassy_time::{Duration, Instant};

use super::faults::{Route, retransmission};
use crate::random::Random;
use crate::waiting::Waiting;

/// When a segment arrives.
#[derive(Debug, Clone, Copy)]
enum Arrival {
    At(Instant),
    /// Lost at this time, and sent again once the way is up.
    Lost(Instant),
}

#[derive(Debug)]
struct Segment {
    /// Empty: the sender has finished.
    bytes: Vec<u8>,
    taken: usize,
    arrival: Arrival,
    /// Not to be joined with the next one in one read.
    apart: bool,
}

/// What a reader finds.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Reading {
    /// So many bytes were taken.
    Bytes(usize),
    /// The sender has finished and everything was read.
    End,
    /// Nothing yet; perhaps then.
    Nothing(Option<Instant>),
}

/// One direction of a connection. A pure machine: the time and the way are arguments.
#[derive(Debug, Default)]
pub(super) struct Pipe {
    segments: VecDeque<Segment>,
    unread: usize,
    finished: bool,
    /// The receiving socket is gone: what arrives is answered with a reset.
    pub(super) receiver_gone: bool,
    /// Who waits for bytes.
    pub(super) readers: Waiting,
    /// Who waits for room, or for everything to have arrived.
    pub(super) writers: Waiting,
}

impl Pipe {
    /// Bytes that were written and not read.
    pub(super) fn unread(&self) -> usize {
        self.unread
    }

    /// Whether the sender has finished.
    pub(super) fn finished(&self) -> bool {
        self.finished
    }

    /// Sends bytes on their way.
    pub(super) fn send(&mut self, now: Instant, bytes: &[u8], route: &Route, random: &mut Random) {
        let piece = route.faults.piece.max(1);
        for bytes in bytes.chunks(piece) {
            self.unread += bytes.len();
            self.dispatch(now, bytes.to_vec(), route, random);
        }
    }

    /// Nothing will follow what was sent.
    pub(super) fn finish(&mut self, now: Instant, route: &Route, random: &mut Random) {
        if !self.finished {
            self.finished = true;
            self.dispatch(now, Vec::new(), route, random);
        }
    }

    /// The sender died without a word: what had not arrived never will.
    pub(super) fn die(&mut self, now: Instant) {
        self.finished = true;
        self.segments
            .retain(|segment| matches!(segment.arrival, Arrival::At(at) if at <= now));
        self.unread = self
            .segments
            .iter()
            .map(|segment| segment.bytes.len() - segment.taken)
            .sum();
    }

    fn dispatch(&mut self, now: Instant, bytes: Vec<u8>, route: &Route, random: &mut Random) {
        let arrival = match self.segments.back().map(|last| last.arrival) {
            Some(Arrival::Lost(_)) => Arrival::Lost(now),
            _ if !route.up => Arrival::Lost(now),
            Some(Arrival::At(last)) => {
                Arrival::At((now + route.segment(random)).max(last + route.faults.pace))
            }
            None => Arrival::At(now + route.segment(random)),
        };
        self.segments.push_back(Segment {
            bytes,
            taken: 0,
            arrival,
            apart: route.faults.piece != usize::MAX,
        });
        self.readers.wake();
    }

    /// The way was cut: what had not arrived by now is lost.
    pub(super) fn cut(&mut self, now: Instant) {
        for segment in &mut self.segments {
            if matches!(segment.arrival, Arrival::At(at) if at > now) {
                segment.arrival = Arrival::Lost(now);
            }
        }
    }

    /// The way is open again: what was lost arrives after the sender's next retransmission.
    pub(super) fn mend(&mut self, now: Instant, latency: Duration) {
        let mut arrives = None;
        for segment in &mut self.segments {
            if let Arrival::Lost(since) = segment.arrival {
                let at = *arrives.get_or_insert_with(|| retransmission(since, now) + latency);
                segment.arrival = Arrival::At(at);
            }
        }
    }

    /// Takes what has arrived.
    pub(super) fn read(&mut self, now: Instant, buffer: &mut [u8]) -> Reading {
        let mut count = 0;
        while count < buffer.len() {
            let Some(segment) = self.arrived(now) else {
                break;
            };
            if segment.bytes.is_empty() {
                if count == 0 {
                    return Reading::End;
                }
                break;
            }
            let source = &segment.bytes[segment.taken..];
            let taken = source.len().min(buffer.len() - count);
            buffer[count..count + taken].copy_from_slice(&source[..taken]);
            segment.taken += taken;
            count += taken;
            let (used_up, apart) = (segment.taken == segment.bytes.len(), segment.apart);
            if used_up {
                self.segments.pop_front();
            }
            if apart {
                break;
            }
        }
        self.unread -= count;
        if count > 0 {
            self.writers.wake();
            return Reading::Bytes(count);
        }
        self.look(now)
    }

    /// What a read would find, with nothing taken: `Bytes(0)` stands for some.
    pub(super) fn look(&mut self, now: Instant) -> Reading {
        match self.arrived(now) {
            Some(segment) if segment.bytes.is_empty() => Reading::End,
            Some(_) => Reading::Bytes(0),
            None => Reading::Nothing(self.segments.front().and_then(|first| match first.arrival {
                Arrival::At(at) => Some(at),
                Arrival::Lost(_) => None,
            })),
        }
    }

    fn arrived(&mut self, now: Instant) -> Option<&mut Segment> {
        self.segments
            .front_mut()
            .filter(|segment| matches!(segment.arrival, Arrival::At(at) if at <= now))
    }

    /// Whether everything sent has arrived; else when, where that can be known.
    pub(super) fn delivered(&self, now: Instant) -> Result<(), Option<Instant>> {
        match self.segments.back().map(|last| last.arrival) {
            None => Ok(()),
            Some(Arrival::At(at)) if at <= now => Ok(()),
            Some(Arrival::At(at)) => Err(Some(at)),
            Some(Arrival::Lost(_)) => Err(None),
        }
    }

    /// Wakes everyone who waits here.
    pub(super) fn wake(&mut self) {
        self.readers.wake();
        self.writers.wake();
    }
}

#[cfg(test)]
mod tests {
    use embassy_time::{Duration, Instant};

    use super::super::faults::{Faults, Route};
    use super::{Pipe, Reading};
    use crate::random::Random;

    fn route(faults: Faults) -> Route {
        Route {
            up: !faults.cable_pulled,
            latency: Duration::from_millis(1),
            faults,
        }
    }

    fn at(milliseconds: u64) -> Instant {
        Instant::from_millis(milliseconds)
    }

    #[test]
    fn bytes_arrive_in_order_after_the_latency_and_writes_are_joined() {
        let (mut pipe, mut random) = (Pipe::default(), Random::new(1));
        let route = route(Faults::default());
        pipe.send(at(0), b"one ", &route, &mut random);
        pipe.send(at(0), b"two", &route, &mut random);
        pipe.finish(at(0), &route, &mut random);
        let mut buffer = [0; 5];
        assert_eq!(pipe.read(at(0), &mut buffer), Reading::Nothing(Some(at(1))));
        assert_eq!(pipe.read(at(1), &mut buffer), Reading::Bytes(5));
        assert_eq!(&buffer, b"one t");
        assert_eq!(pipe.unread(), 2);
        assert_eq!(pipe.read(at(1), &mut buffer), Reading::Bytes(2));
        assert_eq!(pipe.read(at(1), &mut buffer), Reading::End);
        assert_eq!(pipe.read(at(1), &mut buffer), Reading::End);
    }

    #[test]
    fn pieces_come_one_to_a_read_and_at_their_pace() {
        let (mut pipe, mut random) = (Pipe::default(), Random::new(1));
        let route = route(Faults {
            piece: 1,
            pace: Duration::from_millis(10),
            ..Faults::default()
        });
        pipe.send(at(0), b"ab", &route, &mut random);
        let mut buffer = [0; 8];
        assert_eq!(pipe.read(at(5), &mut buffer), Reading::Bytes(1));
        assert_eq!(
            pipe.read(at(5), &mut buffer),
            Reading::Nothing(Some(at(11)))
        );
        assert_eq!(pipe.read(at(11), &mut buffer), Reading::Bytes(1));
    }

    #[test]
    fn what_was_under_way_when_the_cable_was_pulled_comes_after_it_is_back() {
        let (mut pipe, mut random) = (Pipe::default(), Random::new(1));
        let up = route(Faults::default());
        pipe.send(at(0), b"arrived", &up, &mut random);
        pipe.send(at(9), b"lost", &up, &mut random);
        pipe.cut(at(9));
        let mut buffer = [0; 16];
        assert_eq!(pipe.read(at(1000), &mut buffer), Reading::Bytes(7));
        assert_eq!(pipe.read(at(1000), &mut buffer), Reading::Nothing(None));
        pipe.send(at(1000), b"too", &up, &mut random);
        pipe.mend(at(1000), Duration::from_millis(1));
        // 9 + 200 + 400 + 800 is the first retransmission after the cable is back.
        let back = at(1410);
        assert_eq!(
            pipe.read(at(1000), &mut buffer),
            Reading::Nothing(Some(back))
        );
        assert_eq!(pipe.read(back, &mut buffer), Reading::Bytes(7));
        assert_eq!(&buffer[..7], b"losttoo");
    }

    #[test]
    fn a_dead_sender_leaves_only_what_had_arrived() {
        let (mut pipe, mut random) = (Pipe::default(), Random::new(1));
        let route = route(Faults::default());
        pipe.send(at(0), b"here", &route, &mut random);
        pipe.send(at(5), b"never", &route, &mut random);
        pipe.die(at(5));
        let mut buffer = [0; 16];
        assert_eq!(pipe.read(at(9), &mut buffer), Reading::Bytes(4));
        assert_eq!(pipe.read(at(9), &mut buffer), Reading::Nothing(None));
    }
}
