//! A TCP connection: two pipes and what each end knows of the other.

use std::net::{IpAddr, SocketAddr};
use std::task::{Context, Poll};

use embassy_time::{Duration, Instant};

use super::error::NetworkError;
use super::faults::Route;
use super::state::HostId;
use super::stream::{Pipe, Reading};
use crate::random::Random;
use crate::waiting::wake_at;

struct End {
    host: HostId,
    address: SocketAddr,
    /// The socket is there.
    open: bool,
    /// The host lost its memory of the connection: whatever it does now is not heard.
    silent: bool,
    /// When the reset by the other side arrives.
    reset: Option<Instant>,
}

impl End {
    fn is_reset(&self, now: Instant) -> bool {
        self.reset.is_some_and(|at| at <= now)
    }
}

/// A connection. Side 0 opened it; the pipe of a side carries what that side sends.
pub(super) struct Connection {
    ends: [End; 2],
    pipes: [Pipe; 2],
    capacity: usize,
    carried: usize,
    up: bool,
}

impl Connection {
    pub(super) fn new(ends: [(HostId, SocketAddr); 2], capacity: usize, up: bool) -> Self {
        Self {
            ends: ends.map(|(host, address)| End {
                host,
                address,
                open: true,
                silent: false,
                reset: None,
            }),
            pipes: [Pipe::default(), Pipe::default()],
            capacity: capacity.max(1),
            carried: 0,
            up,
        }
    }

    pub(super) fn hosts(&self) -> [HostId; 2] {
        [self.ends[0].host, self.ends[1].host]
    }

    pub(super) fn addresses(&self) -> [SocketAddr; 2] {
        [self.ends[0].address, self.ends[1].address]
    }

    pub(super) fn up(&self) -> bool {
        self.up
    }

    /// Which side of it a host is.
    pub(super) fn side_of(&self, host: HostId) -> Option<usize> {
        self.ends.iter().position(|end| end.host == host)
    }

    /// Whether a person would call it a connection: both sockets are there and none is reset.
    pub(super) fn established(&self, now: Instant) -> bool {
        self.ends.iter().all(|end| end.open && !end.is_reset(now))
    }

    /// Whether neither side has a socket any more.
    pub(super) fn forgotten(&self) -> bool {
        self.ends.iter().all(|end| !end.open)
    }

    /// Whether both hosts still have the addresses that the connection was made with.
    pub(super) fn addresses_hold(&self, addresses: [IpAddr; 2]) -> bool {
        self.ends
            .iter()
            .zip(addresses)
            .all(|(end, address)| end.address.ip().is_loopback() || end.address.ip() == address)
    }

    /// Side 1 is a black hole.
    pub(super) fn accepted_by_nobody(&mut self, now: Instant) {
        self.fall_silent(1, now);
        self.ends[1].open = false;
    }

    pub(super) fn route_changed(&mut self, now: Instant, route: &Route) {
        if self.up == route.up {
            return;
        }
        self.up = route.up;
        for pipe in &mut self.pipes {
            if route.up {
                pipe.mend(now, route.latency);
            } else {
                pipe.cut(now);
            }
            pipe.wake();
        }
        for side in [0, 1] {
            if route.up && self.pipes[side].receiver_gone && self.pipes[side].unread() > 0 {
                self.reset_end(side, now + route.latency * 2, route);
            }
        }
    }

    /// The reset arrives at this end, if the way is open.
    fn reset_end(&mut self, side: usize, at: Instant, route: &Route) {
        if !route.up {
            return;
        }
        let end = &mut self.ends[side];
        end.reset = Some(end.reset.map_or(at, |earlier| earlier.min(at)));
        self.pipes.iter_mut().for_each(Pipe::wake);
    }

    /// Both ends are reset by something between them, at once.
    pub(super) fn reset(&mut self, now: Instant) {
        for end in &mut self.ends {
            end.reset = Some(now);
        }
        self.pipes.iter_mut().for_each(Pipe::wake);
    }

    /// This side resets the connection.
    pub(super) fn abort(&mut self, side: usize, now: Instant, route: &Route) {
        self.ends[side].reset = Some(now);
        if !self.ends[side].silent {
            self.reset_end(1 - side, now + route.latency, route);
        }
        self.pipes[1 - side].receiver_gone = true;
        self.pipes.iter_mut().for_each(Pipe::wake);
    }

    /// This side's host lost its power: the other side hears nothing until it sends something.
    pub(super) fn fall_silent(&mut self, side: usize, now: Instant) {
        self.ends[side].silent = true;
        self.ends[side].reset = Some(now);
        self.pipes[side].die(now);
        self.pipes[1 - side].receiver_gone = true;
        self.pipes.iter_mut().for_each(Pipe::wake);
    }

    /// This side sends nothing more.
    pub(super) fn finish(&mut self, side: usize, now: Instant, route: &Route, random: &mut Random) {
        if !self.ends[side].silent && !self.ends[side].is_reset(now) {
            self.pipes[side].finish(now, route, random);
            self.pipes[side].writers.wake();
        }
    }

    /// The socket of this side is dropped. As on Linux: what was sent still arrives, and unread
    /// bytes turn the farewell into a reset.
    pub(super) fn drop_end(
        &mut self,
        side: usize,
        now: Instant,
        route: &Route,
        random: &mut Random,
    ) {
        if self.pipes[1 - side].unread() > 0 && !self.ends[side].is_reset(now) {
            self.abort(side, now, route);
        } else {
            self.finish(side, now, route, random);
        }
        self.ends[side].open = false;
        self.pipes[1 - side].receiver_gone = true;
        self.pipes[1 - side].writers.wake();
    }

    pub(super) fn poll_read(
        &mut self,
        context: &Context<'_>,
        side: usize,
        now: Instant,
        buffer: Option<&mut [u8]>,
    ) -> Poll<Result<usize, NetworkError>> {
        let end = &self.ends[side];
        let pipe = &mut self.pipes[1 - side];
        let reading = match buffer {
            Some([]) => Reading::Bytes(0),
            Some(buffer) => pipe.read(now, buffer),
            None => pipe.look(now),
        };
        match reading {
            Reading::Bytes(count) => Poll::Ready(Ok(count)),
            Reading::End => Poll::Ready(Ok(0)),
            Reading::Nothing(_) if end.is_reset(now) => Poll::Ready(Err(NetworkError::Reset)),
            Reading::Nothing(next) => {
                wake_at(context, next);
                wake_at(context, end.reset);
                pipe.readers.register(context);
                Poll::Pending
            }
        }
    }

    pub(super) fn poll_write(
        &mut self,
        context: &Context<'_>,
        side: usize,
        now: Instant,
        bytes: &[u8],
        route: &Route,
        random: &mut Random,
    ) -> Poll<Result<usize, NetworkError>> {
        if self.ends[side].is_reset(now) {
            return Poll::Ready(Err(NetworkError::Reset));
        }
        if self.pipes[side].finished() {
            return Poll::Ready(Err(NetworkError::Closed));
        }
        if self.pipes[side].receiver_gone && route.faults.black_hole {
            return Poll::Ready(Ok(bytes.len()));
        }
        let room = self.capacity.saturating_sub(self.pipes[side].unread());
        if room == 0 && !bytes.is_empty() {
            wake_at(context, self.ends[side].reset);
            self.pipes[side].writers.register(context);
            return Poll::Pending;
        }
        let count = room.min(bytes.len());
        self.pipes[side].send(now, &bytes[..count], route, random);
        if self.pipes[side].receiver_gone && count > 0 {
            self.reset_end(side, now + route.latency * 2, route);
        }
        self.carried = self.carried.saturating_add(count);
        if route
            .faults
            .reset_after
            .is_some_and(|limit| self.carried >= limit)
        {
            self.reset(now);
        }
        Poll::Ready(Ok(count))
    }

    /// Ready once all that was sent has arrived, and the word of it is back.
    pub(super) fn poll_delivered(
        &mut self,
        context: &Context<'_>,
        side: usize,
        now: Instant,
        acknowledgement: Duration,
    ) -> Poll<Result<(), NetworkError>> {
        let end = &self.ends[side];
        if end.is_reset(now) {
            return Poll::Ready(Err(NetworkError::Reset));
        }
        let pipe = &mut self.pipes[side];
        // The word of what has arrived by then is back now.
        let sent_back =
            Instant::from_ticks(now.as_ticks().saturating_sub(acknowledgement.as_ticks()));
        match pipe.delivered(sent_back) {
            Ok(()) => Poll::Ready(Ok(())),
            Err(next) => {
                wake_at(context, next.map(|at| at + acknowledgement));
                wake_at(context, end.reset);
                pipe.writers.register(context);
                Poll::Pending
            }
        }
    }
}
