//! The session with the broker, without socket and clock: packets and `now` in, packets and the next
//! deadline out.
//!
//! Guarantees: a peer that says nothing is found out within one and a half keep-alive periods, whatever
//! the device sends meanwhile; after each connect the filters are subscribed to and the birth is
//! published before anything new is; the session outlives its connections, so that what was not
//! acknowledged on one is settled on the next. It knows packets, not how a version of MQTT writes them.

mod acknowledged;
mod handshake;
mod inbound;
mod outbound;

use core::fmt;

use embassy_time::{Duration, Instant};
use heapless::String;

use super::codec::{Codec, Incoming, Limits, Outgoing, PUBLISH_OVERHEAD, Publication, Step};
use super::inbox::{Inbox, Label};
use super::mark::Moment;
use super::outbox::{Outbox, Sequence};
use super::reason::Failure;
use super::transmit::{Put, Transmit};
use super::types::{Delivery, QoS, Settings};
use crate::log::Level;
use inbound::Inbound;
use outbound::{Outbound, lowered};

/// How many messages each side may leave unacknowledged.
pub(super) const IN_FLIGHT: usize = 8;

/// Takes lines for the log.
pub(super) type Report<'r> = &'r dyn Fn(Level, fmt::Arguments<'_>);

/// Where packets to the broker come from and go to.
pub(super) struct Outlet<'c, 'm> {
    pub(super) settings: &'c Settings<'c>,
    pub(super) outbox: &'c mut Outbox<'m>,
    pub(super) transmit: &'c mut Transmit<'m>,
    pub(super) report: Report<'c>,
    pub(super) moment: Moment,
    /// The longest packet that the device takes in.
    pub(super) receive_capacity: usize,
}

/// What became of a packet from the broker.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Verdict {
    /// It was taken in.
    Taken,
    /// The inbox is full, or too many messages are unacknowledged: the same packet is to be offered again
    /// once there may be room.
    NoRoom,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Phase {
    Offline,
    /// CONNECT is to be sent.
    Greeting,
    /// CONNACK is awaited.
    Greeted,
    /// The answers to the subscriptions are awaited, or the birth is to be sent.
    Subscribing,
    Online,
}

/// The message that says that the device is online.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Birth {
    /// It is to be sent; with the identifier under which it was sent before.
    Owed(Option<u16>),
    Sent(u16),
    Done,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Ping {
    Idle,
    Owed,
    Awaited,
}

/// The subscriptions that one packet asks for.
#[derive(Debug, Clone, Copy)]
struct Batch {
    identifier: u16,
    from: usize,
    to: usize,
}

/// The state of the session.
pub(super) struct Session {
    codec: &'static dyn Codec,
    phase: Phase,
    /// How long the answer to CONNECT may take.
    bound: Duration,
    /// When the next step of the handshake must be over.
    deadline: Instant,
    limits: Limits,
    keep_alive: Duration,
    last_received: Instant,
    last_sent: Instant,
    ping: Ping,
    /// Whether the device does not read because its inbox is full.
    paused: bool,
    /// Whether the broker has taken the device in since boot, so that there is a session to resume.
    established: bool,
    assigned_client_id: String<64>,
    /// How birth and will are published: lowered where the broker refuses.
    status: Delivery,
    /// The next subscription to ask for.
    subscribe: usize,
    batch: Option<Batch>,
    birth: Birth,
    inbound: Inbound,
    outbound: Outbound,
}

impl Session {
    pub(super) fn new(codec: &'static dyn Codec) -> Self {
        Self {
            codec,
            phase: Phase::Offline,
            bound: Duration::MIN,
            deadline: Instant::MIN,
            limits: Limits::NONE,
            keep_alive: Duration::MIN,
            last_received: Instant::MIN,
            last_sent: Instant::MIN,
            ping: Ping::Idle,
            paused: false,
            established: false,
            assigned_client_id: String::new(),
            status: Delivery::AT_LEAST_ONCE.retained(),
            subscribe: 0,
            batch: None,
            birth: Birth::Done,
            inbound: Inbound::new(),
            outbound: Outbound::default(),
        }
    }

    /// The version of the protocol that is spoken.
    pub(super) fn codec(&self) -> &'static dyn Codec {
        self.codec
    }

    /// Whether the broker has taken the device in and has answered its subscriptions.
    pub(super) fn is_online(&self) -> bool {
        self.phase == Phase::Online
    }

    /// A connection was made at `now`; the broker must take the device in within `bound`. `random`
    /// is where identifiers begin, so that they are not those of an earlier boot.
    pub(super) fn connected(&mut self, now: Instant, bound: Duration, random: u16) {
        self.phase = Phase::Greeting;
        self.bound = bound;
        self.deadline = now.saturating_add(bound);
        self.last_received = now;
        self.last_sent = now;
        self.ping = Ping::Idle;
        self.paused = false;
        self.subscribe = 0;
        self.batch = None;
        if !self.established {
            self.outbound.seed(random);
        }
    }

    /// The connection is gone.
    pub(super) fn lost(&mut self) {
        self.phase = Phase::Offline;
        self.inbound.lost();
    }

    /// Bytes have arrived.
    pub(super) fn heard(&mut self, now: Instant) {
        self.last_received = now;
    }

    /// Bytes were given to the socket.
    pub(super) fn sent(&mut self, now: Instant) {
        self.last_sent = now;
    }

    /// The device does not read for a while, so that it cannot hear whether the broker is alive.
    pub(super) fn pause(&mut self) {
        self.paused = true;
    }

    /// The device reads again.
    pub(super) fn resume(&mut self, now: Instant) {
        if self.paused {
            self.paused = false;
            self.last_received = now;
        }
    }

    /// The first message of the outbox that was not sent in this session.
    pub(super) fn unsent(&self) -> Sequence {
        self.outbound.unsent()
    }

    /// Whether the device does not read, so that it hears of no acknowledgement.
    pub(super) fn is_paused(&self) -> bool {
        self.paused
    }

    /// The application has handled a message; `bytes` are its topic and its payload.
    pub(super) fn handled(&mut self, label: &Label, bytes: &[u8]) {
        self.inbound.handled(label, bytes);
    }

    /// Changes whenever there may be room for a packet that found none because of unacknowledged ones.
    pub(super) fn answers(&self) -> u32 {
        self.inbound.answers()
    }

    /// A message that is too long has been passed by.
    pub(super) fn skipped(&mut self, qos: QoS, identifier: u16) -> Result<(), Failure> {
        match self.phase {
            Phase::Subscribing | Phase::Online => self.inbound.skipped(qos, identifier),
            _ => Err(Failure::Protocol("a message before the answer to CONNECT")),
        }
    }

    /// When [`due`](Self::due) is to be called, at the latest.
    pub(super) fn deadline(&self) -> Instant {
        let handshake = match self.phase {
            Phase::Offline => return Instant::MAX,
            Phase::Greeting | Phase::Greeted => return self.deadline,
            Phase::Subscribing => self.deadline,
            Phase::Online => Instant::MAX,
        };
        handshake.min(self.ping_at()).min(self.dead_at())
    }

    fn ping_at(&self) -> Instant {
        let quiet_since = match self.ping {
            Ping::Idle => {
                let quiet_since = self.last_sent.min(self.last_received);
                quiet_since.min(self.inbound.doubtful_since())
            }
            Ping::Owed => return Instant::MAX,
            Ping::Awaited => self.last_sent,
        };
        quiet_since.saturating_add(self.keep_alive)
    }

    fn dead_at(&self) -> Instant {
        if self.paused {
            return Instant::MAX;
        }
        self.last_received
            .saturating_add(self.keep_alive)
            .saturating_add(self.keep_alive / 2)
    }

    /// Time has passed.
    pub(super) fn due(&mut self, now: Instant) -> Result<(), Failure> {
        match self.phase {
            Phase::Offline => return Ok(()),
            Phase::Greeting | Phase::Greeted | Phase::Subscribing if now >= self.deadline => {
                return Err(Failure::Silent);
            }
            Phase::Greeting | Phase::Greeted => return Ok(()),
            Phase::Subscribing | Phase::Online => {}
        }
        if now >= self.dead_at() {
            return Err(Failure::Dead);
        }
        if now >= self.ping_at() {
            self.ping = Ping::Owed;
        }
        Ok(())
    }

    /// A packet has arrived. With [`Verdict::NoRoom`] nothing has changed.
    pub(super) fn packet(
        &mut self,
        packet: &Incoming<'_>,
        now: Instant,
        inbox: &mut Inbox<'_>,
        outlet: &mut Outlet<'_, '_>,
    ) -> Result<Verdict, Failure> {
        match (self.phase, packet) {
            (_, Incoming::Disconnect(reason)) => return Err(Failure::Disconnected(*reason)),
            (Phase::Greeted, Incoming::Connected(answer)) => self.taken_in(answer, now, outlet)?,
            (Phase::Offline | Phase::Greeting | Phase::Greeted, _) => {
                return Err(Failure::Protocol("a packet before the answer to CONNECT"));
            }
            (_, Incoming::Connected(_)) => {
                return Err(Failure::Protocol("a second answer to CONNECT"));
            }
            (_, Incoming::Publish(arrival)) => return self.inbound.arrived(arrival, inbox),
            (
                _,
                Incoming::Step {
                    step: Step::Released,
                    identifier,
                    ..
                },
            ) => return self.inbound.released(*identifier),
            (
                _,
                Incoming::Step {
                    step,
                    identifier,
                    reason,
                },
            ) => {
                if self.birth == Birth::Sent(*identifier) {
                    self.birth = Birth::Done;
                    if reason.is_refusal() {
                        (outlet.report)(
                            Level::Error,
                            format_args!("the broker did not take the device's status: {reason}"),
                        );
                    }
                } else {
                    let (outbox, report) = (&mut *outlet.outbox, outlet.report);
                    self.outbound
                        .answered(*step, *identifier, *reason, outbox, report)?;
                }
            }
            (
                _,
                Incoming::Subscribed {
                    identifier,
                    reasons,
                },
            ) => self.subscribed(*identifier, reasons, outlet)?,
            (_, Incoming::Pong) => {
                self.ping = Ping::Idle;
                self.inbound.ponged();
            }
        }
        Ok(Verdict::Taken)
    }

    /// Publishes a message at once. Nothing happens unless the device is online; then it says what
    /// became of the message.
    pub(super) fn publish(
        &mut self,
        topic: &str,
        payload: &[u8],
        delivery: Delivery,
        transmit: &mut Transmit<'_>,
    ) -> Option<Put> {
        if !self.is_online() {
            return None;
        }
        let packet = Outgoing::Publish(Publication {
            topic: [topic.as_bytes(), &[]],
            payload: [payload, &[]],
            delivery: lowered(delivery, &self.limits),
            identifier: 0,
            again: false,
            properties: None,
        });
        Some(transmit.put(self.codec, &packet, self.limits.maximum_packet))
    }

    /// Whether the broker would take a message, as far as it has said; it is `length` bytes long
    /// with its topic.
    pub(super) fn may_send(&self, length: usize) -> bool {
        let longest = u32::try_from(length.saturating_add(PUBLISH_OVERHEAD));
        self.phase != Phase::Online
            || longest.is_ok_and(|longest| longest <= self.limits.maximum_packet)
    }

    /// Writes what is to be sent, as far as it fits.
    pub(super) fn fill(&mut self, now: Instant, outlet: &mut Outlet<'_, '_>) {
        if self.phase == Phase::Greeting && self.greet(outlet) == Put::Done {
            self.phase = Phase::Greeted;
        }
        if !matches!(self.phase, Phase::Subscribing | Phase::Online) {
            return;
        }
        if self.fill_connected(now, outlet) == Put::Done
            && self.phase == Phase::Subscribing
            && self.batch.is_none()
        {
            self.phase = Phase::Online;
        }
    }

    /// `Later` as long as a subscription or the birth is still to be sent.
    fn fill_connected(&mut self, now: Instant, outlet: &mut Outlet<'_, '_>) -> Put {
        // In this order the answer to the ping says that the broker has the others.
        let answers = self.inbound.fill(self.codec, now, outlet.transmit);
        if answers != Put::Done {
            return Put::Later;
        }
        if self.ping == Ping::Owed {
            if outlet.put(self.codec, &Outgoing::Ping, &self.limits) != Put::Done {
                return Put::Later;
            }
            self.ping = Ping::Awaited;
            self.last_sent = now;
            self.inbound.pinged(now);
        }
        let birth_in_flight = usize::from(matches!(self.birth, Birth::Sent(_)));
        let window = usize::from(self.limits.receive_maximum).min(IN_FLIGHT);
        let used = self.outbound.unacknowledged() + birth_in_flight;
        let mut room = window.saturating_sub(used);
        let again = self
            .outbound
            .fill_again(self.codec, &self.limits, &mut room, outlet);
        if again != Put::Done || self.fill_subscribe(outlet) != Put::Done {
            return Put::Later;
        }
        if let Birth::Owed(identifier) = self.birth {
            if room == 0 || self.fill_birth(identifier, outlet) != Put::Done {
                return Put::Later;
            }
            room = room.saturating_sub(usize::from(matches!(self.birth, Birth::Sent(_))));
        }
        let others = self.other_identifiers();
        self.outbound
            .fill(self.codec, &self.limits, [room, window], others, outlet);
        Put::Done
    }

    /// The identifiers that are in use besides those of messages in flight.
    fn other_identifiers(&self) -> [Option<u16>; 2] {
        let birth = match self.birth {
            Birth::Sent(identifier) | Birth::Owed(Some(identifier)) => Some(identifier),
            Birth::Owed(None) | Birth::Done => None,
        };
        [birth, self.batch.map(|batch| batch.identifier)]
    }
}

impl Outlet<'_, '_> {
    fn put(&mut self, codec: &dyn Codec, packet: &Outgoing<'_>, limits: &Limits) -> Put {
        self.transmit.put(codec, packet, limits.maximum_packet)
    }
}
