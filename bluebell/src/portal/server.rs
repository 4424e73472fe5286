//! The portal's HTTP server: seats that take connections, and the one who frees seats.

use core::array::from_fn;
use core::cell::Cell;
use core::convert::Infallible;
use core::fmt;
use core::net::SocketAddr;

use edge_nal::{TcpAccept, TcpBind, TcpShutdown};
use embassy_futures::join::{join, join_array};
use embassy_futures::select::select;
use embassy_sync::blocking_mutex::raw::NoopRawMutex;
use embassy_sync::signal::Signal;
use embassy_time::{Duration, Instant, Timer, with_timeout};
use embedded_io_async::{Read, Write};
use zeroize::Zeroize;

use super::Backend;
use super::answer::{self, Answer, Rest};
use super::connection::{Connection, Ended, Input, Seat};
use super::limit::SubmissionLimit;
use super::output::{OUTPUT, Output};
use super::pages::PAGE;
use super::request::{self, Refusal, Scanned};
use super::router::{self, Plan, Site};
use super::seats::{Phase, Verdict, verdict};
use crate::config::MAX_TEXT;
use crate::log;
use crate::log::Log;
use crate::uploads::{PIECE, Uploads};

/// How long a complete head may take from the connection, or from its first byte.
const HEAD_DUE: Duration = Duration::from_secs(5);
/// How long a complete body may take from the head.
const BODY_DUE: Duration = Duration::from_secs(5);
/// How long a connection may wait for its next request.
const IDLE: Duration = Duration::from_secs(5);
/// How long a whole answer may take.
const ANSWER_DUE: Duration = Duration::from_secs(20);
/// How long one socket listens before it is taken anew: a client that vanished in the middle of its
/// handshake holds the socket on a stack without a queue of its own.
const LISTEN: Duration = Duration::from_secs(20);
/// How long to wait after the network stack has failed.
const PAUSE: Duration = Duration::from_millis(100);
/// How long to wait before a port is tried again.
const REBIND: Duration = Duration::from_secs(1);
/// How far apart the log's lines about refused requests are: a flood must not wear the flash.
const REFUSED_EVERY: Duration = Duration::from_secs(10);

/// What the portal needs while it is open: one seat for each connection at a time.
///
/// `WORKERS` seats (at least 2; the board's network stack needs as many TCP sockets), `HEAD` bytes
/// a seat for the longest request head (at least 1536; 431 above; two thirds of it for the first line, 414
/// above), in which the answer is put together as well.
pub struct PortalMemory<const WORKERS: usize = 4, const HEAD: usize = 1536> {
    rooms: [[u8; HEAD]; WORKERS],
    seats: [Seat; WORKERS],
    limit: Cell<SubmissionLimit>,
}

impl<const WORKERS: usize, const HEAD: usize> PortalMemory<WORKERS, HEAD> {
    /// Memory for a portal that has not served anybody yet.
    #[must_use]
    pub const fn new() -> Self {
        const {
            assert!(
                WORKERS >= 2,
                "a portal needs one seat that serves and one that listens"
            );
            assert!(
                HEAD >= router::BODY,
                "a body is read into the room of the head"
            );
            assert!(
                HEAD >= 2 * OUTPUT,
                "an answer finds room behind what has come in meanwhile"
            );
            assert!(
                OUTPUT >= PIECE,
                "a file's piece is read into the room of the answer"
            );
            assert!(
                WORKERS * HEAD >= MAX_TEXT,
                "the boot reads a configuration into the rooms of the heads"
            );
        }
        Self {
            rooms: [[0; HEAD]; WORKERS],
            seats: [const { Seat::new() }; WORKERS],
            limit: Cell::new(SubmissionLimit::new()),
        }
    }

    /// Memory for whoever needs some while the portal is not served: `WORKERS` times `HEAD` bytes.
    pub(super) const fn scratch(&mut self) -> &mut [u8] {
        self.rooms.as_flattened_mut()
    }
}

impl<const WORKERS: usize, const HEAD: usize> Default for PortalMemory<WORKERS, HEAD> {
    fn default() -> Self {
        Self::new()
    }
}

/// What all seats share.
struct Desk<'d, 'l, 'u> {
    backend: &'d dyn Backend,
    uploads: Option<&'d Uploads<'u>>,
    log: &'d Log<'l>,
    seats: &'d [Seat],
    /// A seat's phase has changed.
    changed: Signal<NoopRawMutex, ()>,
    limit: &'d Cell<SubmissionLimit>,
    /// How many requests were refused since a line in the log said so, and when that was.
    refused: Cell<(u32, Option<Instant>)>,
    accept_failed: Cell<bool>,
}

/// Serves the portal at the backend's address, for as long as the future lives, and with it the files
/// that were put on the device.
///
/// A port that cannot be bound is logged and tried again.
///
/// Cancellation: dropping the future closes every connection at once; the limit on submissions stays
/// in `memory`, which may be used again.
pub async fn serve<S: TcpBind, const WORKERS: usize, const HEAD: usize>(
    stack: &S,
    backend: &dyn Backend,
    uploads: Option<&Uploads<'_>>,
    memory: &mut PortalMemory<WORKERS, HEAD>,
    log: &Log<'_>,
) -> Infallible {
    let acceptor = bind(stack, backend.address(), log).await;
    let PortalMemory {
        rooms,
        seats,
        limit,
    } = memory;
    let desk = Desk {
        backend,
        uploads,
        log,
        seats,
        changed: Signal::new(),
        limit,
        refused: Cell::new((0, None)),
        accept_failed: Cell::new(false),
    };
    let rooms = rooms.iter_mut().map(<[u8; HEAD]>::as_mut_slice);
    let mut places = seats.iter().zip(rooms).enumerate();
    let workers = from_fn::<_, WORKERS, _>(|_| work(&acceptor, &desk, places.next()));
    join(join_array(workers), free_seats(&desk)).await.1
}

async fn bind<'s, S: TcpBind>(stack: &'s S, at: SocketAddr, log: &Log<'_>) -> S::Accept<'s> {
    let mut logged = false;
    loop {
        match stack.bind(at).await {
            Ok(acceptor) => return acceptor,
            Err(error) if !logged => {
                logged = true;
                let kind = embedded_io_async::Error::kind(&error);
                let port = at.port();
                log!(
                    log,
                    Error,
                    "portal",
                    "cannot listen on port {port} ({kind:?}): free that port"
                );
            }
            Err(_) => {}
        }
        Timer::after(REBIND).await;
    }
}

/// Sees to it that a seat listens.
async fn free_seats(desk: &Desk<'_, '_, '_>) -> Infallible {
    loop {
        let phases = desk.seats.iter().map(Seat::phase);
        match verdict(phases, Instant::now()) {
            Verdict::Rest => desk.changed.wait().await,
            Verdict::LookAgain(at) => {
                select(desk.changed.wait(), Timer::at(at)).await;
            }
            Verdict::GiveWay(seat) => {
                if let Some(seat) = desk.seats.get(seat) {
                    seat.free();
                }
            }
        }
    }
}

/// A seat's number, and its room for what comes in and what goes out.
type Place<'d> = (usize, (&'d Seat, &'d mut [u8]));

/// One seat: takes a connection, serves it, and takes the next.
async fn work<A: TcpAccept>(
    acceptor: &A,
    desk: &Desk<'_, '_, '_>,
    place: Option<Place<'_>>,
) -> Infallible {
    let Some((number, (seat, room))) = place else {
        return core::future::pending().await;
    };
    // Not all at the same moment, so that others listen meanwhile.
    let patience = LISTEN
        .checked_add(Duration::from_secs(number as u64))
        .unwrap_or(LISTEN);
    loop {
        seat.enter(Phase::Listening, &desk.changed);
        // By reference: what is taken out of it would take its room a second time.
        if let Some(connection) = &mut listen(acceptor, desk, seat, patience).await {
            converse(connection, desk, room).await;
            room.zeroize();
        }
    }
}

/// Waits for a connection.
async fn listen<'a, A: TcpAccept>(
    acceptor: &'a A,
    desk: &'a Desk<'_, '_, '_>,
    seat: &'a Seat,
    patience: Duration,
) -> Option<Connection<'a, A::Socket<'a>>> {
    match with_timeout(patience, acceptor.accept()).await {
        Err(_) => None,
        Ok(Ok((_, socket))) => Some(Connection {
            socket,
            seat,
            changed: &desk.changed,
        }),
        Ok(Err(error)) => {
            seat.enter(Phase::Leaving, &desk.changed);
            if !desk.accept_failed.replace(true) {
                let kind = embedded_io_async::Error::kind(&error);
                let seats = desk.seats.len();
                log!(
                    desk.log,
                    Warn,
                    "portal",
                    "a connection was not taken ({kind:?}): the network stack needs {seats} sockets"
                );
            }
            Timer::after(PAUSE).await;
            None
        }
    }
}

/// How a connection goes on.
enum Next {
    Request,
    /// The client may still have to read its answer.
    Linger,
    /// At once; whether an answer may still be on its way.
    Part {
        answered: bool,
    },
}

/// Answers one request after the other until the connection ends.
async fn converse<T: Read + Write + TcpShutdown>(
    connection: &mut Connection<'_, T>,
    desk: &Desk<'_, '_, '_>,
    room: &mut [u8],
) {
    let mut input = Input::new(room);
    let mut first = true;
    loop {
        match exchange(connection, desk, &mut input, first).await {
            Next::Request => first = false,
            Next::Linger => return connection.linger(input.scratch()).await,
            Next::Part { answered } => return connection.part(answered).await,
        }
    }
}

/// Answers one request. A future of its own, so that its plan is not in memory while the connection
/// ends.
async fn exchange<T: Read + Write + TcpShutdown>(
    connection: &mut Connection<'_, T>,
    desk: &Desk<'_, '_, '_>,
    input: &mut Input<'_>,
    first: bool,
) -> Next {
    // What was planned is not held while its answer is sent.
    let begun = {
        let planned = next_plan(connection, desk, input, first).await;
        match &planned {
            Ok(plan) => begin(desk, plan, input),
            Err(Ended::GaveWay) => {
                let answered = !first && input.is_empty();
                return Next::Part { answered };
            }
            Err(_) => return Next::Linger,
        }
    };
    let Some(mut begun) = begun else {
        return Next::Part { answered: false };
    };
    match respond(connection, desk, &mut begun).await {
        Ok(()) if begun.keep_alive => Next::Request,
        Ok(()) => Next::Linger,
        Err(_) => Next::Part { answered: false },
    }
}

/// An answer whose beginning is in its buffer.
struct Begun<'i> {
    answer: Answer,
    output: Output<'i>,
    version_1_1: bool,
    keep_alive: bool,
}

/// Does what is asked for, and begins the answer; `None` when that is not possible.
fn begin<'i>(desk: &Desk<'_, '_, '_>, plan: &Plan, input: &'i mut Input<'_>) -> Option<Begun<'i>> {
    let body = input.first(plan.body);
    let mut limit = desk.limit.get();
    let outcome = answer::act(plan, body, desk.backend, &mut limit, Instant::now());
    desk.limit.set(limit);
    // It may hold a password.
    body.zeroize();
    input.consume(plan.body);
    let mut output = input.output();
    match answer::begin(plan, &outcome, desk.backend, &mut output) {
        Ok(answer) => Some(Begun {
            answer,
            output,
            version_1_1: plan.version_1_1,
            keep_alive: plan.keep_alive,
        }),
        Err(fmt::Error) => {
            complain(desk, "an answer did not fit: give it less to say");
            None
        }
    }
}

/// Waits for the next request and its body, which is then at the beginning of `input`.
///
/// A request that will never be whole has the plan to say so.
async fn next_plan<T: Read + Write + TcpShutdown>(
    connection: &mut Connection<'_, T>,
    desk: &Desk<'_, '_, '_>,
    input: &mut Input<'_>,
    first: bool,
) -> Result<Plan, Ended> {
    let start = Instant::now();
    let mut since = start;
    let mut due = start.saturating_add(if first { HEAD_DUE } else { IDLE });
    let mut idle = !first;
    connection.enter(if idle {
        Phase::Idle(start)
    } else {
        Phase::Waiting(start)
    });
    let plan = loop {
        input.consume(request::empty_lines(input.bytes()));
        if idle && !input.is_empty() {
            idle = false;
            since = Instant::now();
            due = since.saturating_add(HEAD_DUE);
            connection.enter(Phase::Waiting(since));
        }
        match request::scan(input.bytes(), input.most()) {
            Scanned::Complete(head, length) => {
                let site = Site {
                    name: desk.backend.name(),
                    files: desk.backend.files(),
                    upload: &|path| desk.uploads?.find(path),
                };
                let plan = router::route(&head, &site, &PAGE);
                input.consume(length);
                break plan;
            }
            Scanned::Refused(refusal) => return Ok(Plan::refused(refusal)),
            Scanned::Partial => {}
        }
        if let Err(ended) = input.more(connection, 0, due).await {
            return unfinished(ended, !input.is_empty());
        }
    };
    if plan.own_host {
        desk.backend.request_seen();
    }
    if plan.body > input.bytes().len() {
        if plan.expects_continue {
            let go_on = b"HTTP/1.1 100 Continue\r\n\r\n";
            let until = Instant::now().saturating_add(HEAD_DUE);
            connection.write(go_on, until).await?;
        }
        connection.enter(Phase::Waiting(since));
        let due = Instant::now().saturating_add(BODY_DUE);
        while plan.body > input.bytes().len() {
            if let Err(ended) = input.more(connection, plan.body, due).await {
                return unfinished(ended, true);
            }
        }
    }
    Ok(plan)
}

/// What a client gets that has not sent a whole request.
fn unfinished(ended: Ended, begun: bool) -> Result<Plan, Ended> {
    let refusal = match ended {
        Ended::TimedOut if begun => Refusal::new(408, "the request took too long"),
        Ended::Closed if begun => Refusal::new(400, "the request is not complete"),
        _ => return Err(ended),
    };
    Ok(Plan::refused(refusal))
}

/// Sends the answer.
async fn respond<T: Read + Write + TcpShutdown>(
    connection: &mut Connection<'_, T>,
    desk: &Desk<'_, '_, '_>,
    begun: &mut Begun<'_>,
) -> Result<(), Ended> {
    let Begun {
        answer,
        output,
        version_1_1,
        ..
    } = begun;
    let now = Instant::now();
    let until = now.saturating_add(ANSWER_DUE);
    connection.enter(Phase::Answering(now));
    log_refused(desk, answer.status, now);
    match &answer.rest {
        Rest::Done => connection.write(output.bytes(), until).await?,
        Rest::Bytes(bytes) => {
            // What fits goes along with the head, so that a short file is one segment.
            let later = output.top_up(bytes);
            connection.write(output.bytes(), until).await?;
            connection.write(later, until).await?;
        }
        Rest::Packed(gzip) => {
            let mut offset = 0;
            while output.unpack(gzip, &mut offset) {
                connection.write(output.bytes(), until).await?;
                output.clear();
            }
        }
        Rest::Upload(upload) => {
            connection.write(output.bytes(), until).await?;
            for piece in 0..upload.pieces() {
                let uploads = desk.uploads.ok_or(Ended::Closed)?;
                let bytes = uploads.read(upload, piece, output.room()).await;
                // Without the rest the client sees that it has not all.
                connection.write(bytes.ok_or(Ended::Closed)?, until).await?;
            }
        }
        Rest::Pieces(pieces) => {
            let mut next = 0;
            let mut more = true;
            while more {
                let added = output.add_pieces(pieces, &mut next, desk.backend, *version_1_1);
                let Ok(others) = added else {
                    complain(desk, "a value did not fit: make it shorter");
                    return Err(Ended::Closed);
                };
                more = others;
                connection.write(output.bytes(), until).await?;
                output.clear();
            }
        }
    }
    if answer.shows_online {
        desk.backend.online_served();
    }
    Ok(())
}

fn complain(desk: &Desk<'_, '_, '_>, what: &str) {
    log!(desk.log, Error, "portal", "{what}");
}

/// Notes that a request was refused; a line in the log comes now and then.
fn log_refused(desk: &Desk<'_, '_, '_>, status: u16, now: Instant) {
    if !matches!(status, 400 | 403 | 408 | 411 | 413 | 414 | 429 | 431) {
        return;
    }
    let (count, logged) = desk.refused.get();
    let count = count.saturating_add(1);
    if logged.is_some_and(|at| now.saturating_duration_since(at) < REFUSED_EVERY) {
        return desk.refused.set((count, logged));
    }
    desk.refused.set((0, Some(now)));
    log!(
        desk.log,
        Warn,
        "portal",
        "refused {count} request(s), the last with {status}"
    );
}
