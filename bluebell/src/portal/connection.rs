//! One client's connection: every wait on it is bounded, and ends when the seat is needed.

use core::cell::Cell;

use edge_nal::{Close, TcpShutdown};
use embassy_futures::select::{Either3, select3};
use embassy_futures::yield_now;
use embassy_sync::blocking_mutex::raw::NoopRawMutex;
use embassy_sync::signal::Signal;
use embassy_time::{Duration, Instant, Timer, with_timeout};
use embedded_io_async::{Read, Write};

use super::output::{OUTPUT, Output};
use super::seats::Phase;

/// How long a client may take nothing of its answer.
const STALL: Duration = Duration::from_secs(3);
/// How long the seat of a connection is kept so that the client can read its answer.
const LINGER: Duration = Duration::from_secs(1);
/// How much is read, and thrown away, meanwhile.
const LINGER_BYTES: usize = 64 * 1024;
/// How long telling the client may take when the seat is needed.
const PARTING: Duration = Duration::from_millis(50);

/// A seat, as its connection and the one who frees seats see it.
pub(super) struct Seat {
    phase: Cell<Phase>,
    give_way: Signal<NoopRawMutex, ()>,
}

impl Seat {
    pub(super) const fn new() -> Self {
        Self {
            phase: Cell::new(Phase::Leaving),
            give_way: Signal::new(),
        }
    }

    pub(super) fn phase(&self) -> Phase {
        self.phase.get()
    }

    /// Tells the connection to end.
    pub(super) fn free(&self) {
        self.phase.set(Phase::Leaving);
        self.give_way.signal(());
    }

    /// Takes the seat for something else; an older wish that it be freed is over.
    pub(super) fn enter(&self, phase: Phase, changed: &Signal<NoopRawMutex, ()>) {
        self.give_way.reset();
        self.phase.set(phase);
        changed.signal(());
    }
}

/// Why nothing more is read or written.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Ended {
    /// The client has sent all that it will, or the connection is broken.
    Closed,
    /// The seat is needed.
    GaveWay,
    /// It took too long.
    TimedOut,
}

/// A connection in its seat.
pub(super) struct Connection<'s, T> {
    pub(super) socket: T,
    pub(super) seat: &'s Seat,
    pub(super) changed: &'s Signal<NoopRawMutex, ()>,
}

impl<T: Read + Write + TcpShutdown> Connection<'_, T> {
    pub(super) fn enter(&self, phase: Phase) {
        self.seat.enter(phase, self.changed);
    }

    /// Reads at least one byte into `room`, which must not be empty.
    ///
    /// What has come in already is read even when the seat is needed.
    pub(super) async fn read(&mut self, room: &mut [u8], until: Instant) -> Result<usize, Ended> {
        // A client that always has more to send must not keep the device from anything else.
        yield_now().await;
        let give_way = self.seat.give_way.wait();
        match select3(self.socket.read(room), give_way, Timer::at(until)).await {
            Either3::First(Ok(0) | Err(_)) => Err(Ended::Closed),
            Either3::First(Ok(count)) => Ok(count),
            Either3::Second(()) => Err(Ended::GaveWay),
            Either3::Third(()) => Err(Ended::TimedOut),
        }
    }

    /// Writes all of `bytes` before `until`, while the client keeps taking some.
    pub(super) async fn write(&mut self, mut bytes: &[u8], until: Instant) -> Result<(), Ended> {
        while !bytes.is_empty() {
            yield_now().await;
            let now = Instant::now();
            self.enter(Phase::Answering(now));
            let give_way = self.seat.give_way.wait();
            let patience = Timer::at(now.saturating_add(STALL).min(until));
            match select3(self.socket.write(bytes), give_way, patience).await {
                Either3::First(Ok(0) | Err(_)) => return Err(Ended::Closed),
                Either3::First(Ok(count)) => bytes = bytes.get(count..).unwrap_or_default(),
                Either3::Second(()) => return Err(Ended::GaveWay),
                Either3::Third(()) => return Err(Ended::TimedOut),
            }
        }
        Ok(())
    }

    /// Says that nothing more comes, and reads on for a while: closing with unread bytes would reset
    /// the connection and take the answer from a client that has not read it yet.
    pub(super) async fn linger(&mut self, scratch: &mut [u8]) {
        let now = Instant::now();
        let until = now.saturating_add(LINGER);
        self.enter(Phase::Lingering(now));
        let closing = self.socket.close(Close::Write);
        let closed = select3(closing, self.seat.give_way.wait(), Timer::at(until)).await;
        if !matches!(closed, Either3::First(Ok(()))) {
            return;
        }
        let mut left = LINGER_BYTES;
        while let Ok(count) = self.read(scratch, until).await
            && let Some(rest) = left.checked_sub(count)
        {
            left = rest;
        }
    }

    /// Lets the seat go at once. An answer that is still on its way gets a moment to arrive; a
    /// connection without one is broken off, because waiting for the client's acknowledgement would
    /// leave nobody listening meanwhile.
    pub(super) async fn part(&mut self, answered: bool) {
        self.enter(Phase::Leaving);
        let _ = match answered {
            true => with_timeout(PARTING, self.socket.close(Close::Write)).await,
            false => with_timeout(PARTING, self.socket.abort()).await,
        };
    }
}

/// Bytes that have come in and are not used up, and the room in which an answer is put together.
///
/// A request may take all of the room. What has come in of later ones when it is answered leaves the last
/// [`OUTPUT`] bytes free: so much is read at once, and only what is not whole by then is read on.
pub(super) struct Input<'m> {
    room: &'m mut [u8],
    filled: usize,
}

impl<'m> Input<'m> {
    /// An empty one in `room`, which has at least twice [`OUTPUT`] bytes.
    pub(super) const fn new(room: &'m mut [u8]) -> Self {
        Self { room, filled: 0 }
    }

    /// The longest head that there is room for.
    pub(super) const fn most(&self) -> usize {
        self.room.len()
    }

    pub(super) fn bytes(&self) -> &[u8] {
        &self.room[..self.filled]
    }

    pub(super) const fn is_empty(&self) -> bool {
        self.filled == 0
    }

    /// The first `count` bytes, which must have come in.
    pub(super) fn first(&mut self, count: usize) -> &mut [u8] {
        &mut self.room[..count]
    }

    pub(super) fn consume(&mut self, count: usize) {
        self.room.copy_within(count..self.filled, 0);
        self.filled -= count;
    }

    /// Reads on, as far as a request goes that is known to have `wanted` bytes, or that is longer than what
    /// is there.
    pub(super) async fn more<T: Read + Write + TcpShutdown>(
        &mut self,
        connection: &mut Connection<'_, T>,
        wanted: usize,
        until: Instant,
    ) -> Result<(), Ended> {
        let ahead = self.ahead();
        let end = match self.filled < ahead.max(wanted) {
            true => ahead.max(wanted),
            false => self.room.len(),
        };
        self.filled += connection
            .read(&mut self.room[self.filled..end], until)
            .await?;
        Ok(())
    }

    /// The room for an answer, behind what has come in of later requests.
    pub(super) fn output(&mut self) -> Output<'_> {
        let ahead = self.ahead();
        Output::new(&mut self.room[ahead..])
    }

    /// All of the room, when nothing that has come in counts any more.
    pub(super) fn scratch(&mut self) -> &mut [u8] {
        self.room
    }

    /// How much may have come in when a request is answered.
    const fn ahead(&self) -> usize {
        self.room.len().saturating_sub(OUTPUT)
    }
}
