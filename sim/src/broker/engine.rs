//! The broker without its sockets: bytes and the time in, bytes and a deadline out.

use std::collections::{BTreeMap, VecDeque};
use std::net::SocketAddr;

use embassy_time::{Duration, Instant};
use mqtt_protocol_core::mqtt::common::Cursor;
use mqtt_protocol_core::mqtt::connection::{Event, TimerKind};
use mqtt_protocol_core::mqtt::packet::{Packet, Property, v5_0};
use mqtt_protocol_core::mqtt::result_code::{ConnectReasonCode, DisconnectReasonCode};

use super::link::Link;
use super::message::Message;
use super::session::Session;
use super::{Settings, Visit};

/// Which connection.
pub(super) type LinkId = u64;

/// How many messages and visits are remembered for inspection.
const MEMORY: usize = 100_000;

/// The broker's whole state.
pub(super) struct Engine {
    pub(super) settings: Settings,
    pub(super) links: BTreeMap<LinkId, Link>,
    pub(super) sessions: BTreeMap<String, Session>,
    pub(super) retained: BTreeMap<String, Message>,
    pub(super) messages: VecDeque<Message>,
    /// How many messages there have been.
    pub(super) routed: usize,
    pub(super) visits: VecDeque<Visit>,
    pub(super) faults: Vec<String>,
    next_link: LinkId,
}

impl Engine {
    pub(super) fn new(settings: Settings) -> Self {
        Self {
            settings,
            links: BTreeMap::new(),
            sessions: BTreeMap::new(),
            retained: BTreeMap::new(),
            messages: VecDeque::new(),
            routed: 0,
            visits: VecDeque::new(),
            faults: Vec::new(),
            next_link: 0,
        }
    }

    /// A connection was accepted.
    pub(super) fn open(&mut self, now: Instant, client: SocketAddr) -> LinkId {
        self.next_link += 1;
        let link = Link::new(now, client, &self.settings);
        self.links.insert(self.next_link, link);
        self.next_link
    }

    /// Bytes came in.
    pub(super) fn received(&mut self, now: Instant, id: LinkId, bytes: &[u8]) {
        let Some(link) = self.links.get_mut(&id) else {
            return;
        };
        let Some(mut bytes) = link.opened(bytes) else {
            return;
        };
        while !bytes.is_empty() {
            let mut cursor = Cursor::new(&bytes[..]);
            let Some(link) = self.links.get_mut(&id).filter(|link| !link.closing) else {
                return;
            };
            let events = link.connection.recv(&mut cursor);
            let taken = usize::try_from(cursor.position()).unwrap_or(usize::MAX);
            bytes.drain(..taken.min(bytes.len()));
            self.apply(now, id, events);
        }
    }

    /// Does what the protocol library asks for.
    pub(super) fn apply(&mut self, now: Instant, id: LinkId, events: Vec<Event>) {
        for event in events {
            let Some(link) = self.links.get_mut(&id) else {
                return;
            };
            match event {
                Event::RequestSendPacket { packet, .. } => link.send(&packet),
                Event::NotifyPacketIdReleased(packet_id) => {
                    link.in_flight.remove(&packet_id);
                }
                Event::RequestTimerReset {
                    kind: TimerKind::PingreqRecv,
                    duration_ms,
                } => link.silent_until = Some(now + Duration::from_millis(duration_ms)),
                Event::RequestTimerCancel(TimerKind::PingreqRecv) => link.silent_until = None,
                Event::RequestTimerReset { .. } | Event::RequestTimerCancel(_) => {}
                Event::RequestClose => link.closing = true,
                Event::NotifyError(error) => {
                    let who = link.client_id.as_deref().unwrap_or("a stranger").to_owned();
                    self.faults.push(format!("{who}: {error:?}"));
                }
                Event::NotifyPacketReceived(packet) => self.handle(now, id, packet),
            }
        }
        self.pump(now, id);
    }

    fn handle(&mut self, now: Instant, id: LinkId, packet: Packet) {
        match packet {
            Packet::V5_0Connect(packet) => self.connect(now, id, &packet),
            Packet::V5_0Publish(packet) => self.published(now, id, &packet),
            Packet::V5_0Subscribe(packet) => self.subscribe(now, id, &packet),
            Packet::V5_0Unsubscribe(packet) => self.unsubscribe(now, id, &packet),
            Packet::V5_0Disconnect(packet) => self.goodbye(id, &packet),
            _ => {}
        }
    }

    fn connect(&mut self, now: Instant, id: LinkId, packet: &v5_0::Connect) {
        let mut client_id = packet.client_id().to_owned();
        let assigned = client_id.is_empty();
        if assigned {
            client_id = format!("assigned-{id}");
        }
        let verdict = self.verdict(packet);
        let existing = self.sessions.contains_key(&client_id);
        let resumed = verdict == ConnectReasonCode::Success && existing && !packet.clean_start();
        remember(
            &mut self.visits,
            Visit {
                at: now,
                client_id: client_id.clone(),
                accepted: verdict == ConnectReasonCode::Success,
                resumed,
                clean_start: packet.clean_start(),
                keep_alive: packet.keep_alive(),
                user: packet.user_name().map(str::to_owned),
            },
        );
        if verdict != ConnectReasonCode::Success {
            return self.answer(now, id, verdict, false, None);
        }
        if let Some(other) = self.sessions.get(&client_id).and_then(|known| known.link) {
            self.dismiss(now, other, DisconnectReasonCode::SessionTakenOver);
        }
        if !resumed {
            self.end_session(now, &client_id);
        }
        let session = self.sessions.entry(client_id.clone()).or_default();
        session.link = Some(id);
        session.ends = None;
        session.will = None;
        session.expiry = session_expiry(packet.props()).unwrap_or(0);
        let Some(link) = self.links.get_mut(&id) else {
            return;
        };
        link.will = will_of(now, &client_id, packet);
        link.in_flight = session.unacknowledged.iter().map(packet_id).collect();
        link.connection
            .restore_packets(std::mem::take(&mut session.unacknowledged));
        link.connection
            .restore_qos2_publish_handled(std::mem::take(&mut session.unreleased));
        link.client_id = Some(client_id.clone());
        let name = assigned.then_some(client_id);
        self.answer(now, id, ConnectReasonCode::Success, resumed, name);
    }

    fn verdict(&self, packet: &v5_0::Connect) -> ConnectReasonCode {
        if self.settings.refuse {
            return ConnectReasonCode::ServerUnavailable;
        }
        let given = (
            packet.user_name().unwrap_or_default(),
            packet.password().unwrap_or_default(),
        );
        match &self.settings.login {
            Some((user, password)) if given != (user.as_str(), password.as_bytes()) => {
                ConnectReasonCode::BadUserNameOrPassword
            }
            _ => ConnectReasonCode::Success,
        }
    }

    fn answer(
        &mut self,
        now: Instant,
        id: LinkId,
        reason: ConnectReasonCode,
        resumed: bool,
        assigned: Option<String>,
    ) {
        use mqtt_protocol_core::mqtt::packet::{
            AssignedClientIdentifier, ServerKeepAlive, SharedSubscriptionAvailable,
        };
        let mut properties: Vec<Property> = Vec::new();
        if reason == ConnectReasonCode::Success {
            properties.extend(SharedSubscriptionAvailable::new(0).ok().map(Property::from));
            properties.extend(
                assigned
                    .and_then(|name| AssignedClientIdentifier::new(name).ok())
                    .map(Property::from),
            );
            properties.extend(
                self.settings
                    .server_keep_alive
                    .and_then(|seconds| ServerKeepAlive::new(seconds).ok())
                    .map(Property::from),
            );
        }
        let answer = v5_0::Connack::builder()
            .session_present(resumed)
            .reason_code(reason)
            .props(properties)
            .build();
        match answer {
            Ok(packet) => self.say(now, id, packet.into()),
            Err(error) => self.faults.push(format!("CONNACK: {error:?}")),
        }
    }

    /// Sends a packet, with whatever follows from that.
    pub(super) fn say(&mut self, now: Instant, id: LinkId, packet: Packet) {
        if let Some(link) = self.links.get_mut(&id) {
            let events = link.connection.send(packet);
            self.apply(now, id, events);
        }
    }

    /// The client takes its leave; whatever it sends now is not looked at.
    fn goodbye(&mut self, id: LinkId, packet: &v5_0::Disconnect) {
        let Some(link) = self.links.get_mut(&id) else {
            return;
        };
        link.closing = true;
        if packet.reason_code() != Some(DisconnectReasonCode::DisconnectWithWillMessage) {
            link.will = None;
        }
        let session = link
            .client_id
            .as_ref()
            .and_then(|client_id| self.sessions.get_mut(client_id));
        let expiry = packet
            .props()
            .as_ref()
            .and_then(|properties| session_expiry(properties));
        if let (Some(session), Some(expiry)) = (session, expiry) {
            session.expiry = expiry;
        }
    }

    /// Ends a connection from this side: the reason is sent, then it is closed.
    fn dismiss(&mut self, now: Instant, id: LinkId, reason: DisconnectReasonCode) {
        if let Ok(packet) = v5_0::Disconnect::builder().reason_code(reason).build() {
            self.say(now, id, packet.into());
        }
        self.closed(now, id, true);
    }

    /// The connection is gone, or is no longer the session's. `wills`: as a living broker sees it.
    pub(super) fn closed(&mut self, now: Instant, id: LinkId, wills: bool) {
        let Some(link) = self.links.get_mut(&id) else {
            return;
        };
        link.closing = true;
        let will = link.will.take();
        let Some(client_id) = link.client_id.take() else {
            return;
        };
        let unacknowledged = link.connection.get_stored_packets();
        let unreleased = link.connection.get_qos2_publish_handled();
        let Some(session) = self.sessions.get_mut(&client_id) else {
            return;
        };
        session.unacknowledged = unacknowledged;
        session.unreleased = unreleased;
        session.leave(now);
        let expiry = session.expiry;
        if let Some((delay, will)) = will.filter(|_| wills) {
            let delay = delay.min(Duration::from_secs(u64::from(expiry)));
            if delay.as_ticks() == 0 {
                self.route(now, will);
            } else {
                session.will = Some((now + delay, will));
            }
        }
        if expiry == 0 {
            self.end_session(now, &client_id);
        }
    }

    /// Forgets a connection whose socket is gone.
    pub(super) fn forget(&mut self, id: LinkId) {
        self.links.remove(&id);
    }

    fn end_session(&mut self, now: Instant, client_id: &str) {
        if let Some((_, will)) = self.sessions.remove(client_id).and_then(|ended| ended.will) {
            self.route(now, will);
        }
    }

    /// When something is to be done next without anything coming in.
    pub(super) fn deadline(&self) -> Option<Instant> {
        let sessions = self.sessions.values();
        let links = self.links.values().filter_map(|link| link.silent_until);
        sessions
            .flat_map(|session| [session.ends, session.will.as_ref().map(|will| will.0)])
            .flatten()
            .chain(links)
            .min()
    }

    /// Does what is due.
    pub(super) fn fire(&mut self, now: Instant) {
        let silent: Vec<_> = self
            .links
            .iter()
            .filter(|(_, link)| link.silent_until.is_some_and(|at| at <= now))
            .map(|(id, _)| *id)
            .collect();
        for id in silent {
            let Some(link) = self.links.get_mut(&id) else {
                continue;
            };
            link.silent_until = None;
            let events = link.connection.notify_timer_fired(TimerKind::PingreqRecv);
            self.apply(now, id, events);
            self.closed(now, id, true);
        }
        let clients: Vec<_> = self.sessions.keys().cloned().collect();
        for client_id in clients {
            let Some(session) = self.sessions.get_mut(&client_id) else {
                continue;
            };
            if let Some((_, will)) = session.will.take_if(|(at, _)| *at <= now) {
                self.route(now, will);
            }
            let ended = |session: &Session| session.ends.is_some_and(|at| at <= now);
            if self.sessions.get(&client_id).is_some_and(ended) {
                self.end_session(now, &client_id);
            }
        }
    }

    /// The broker itself was frozen: nobody is blamed for the silence of that time.
    pub(super) fn forgive(&mut self, until: Instant) {
        for link in self.links.values_mut() {
            link.silent_until = link.silent_until.map(|at| at.max(until));
        }
    }
}

/// Keeps the newest of what can be inspected.
pub(super) fn remember<T>(memory: &mut VecDeque<T>, item: T) {
    if memory.len() == MEMORY {
        memory.pop_front();
    }
    memory.push_back(item);
}

fn packet_id(packet: &mqtt_protocol_core::mqtt::packet::StorePacket) -> u16 {
    packet.packet_id()
}

fn session_expiry(properties: &[Property]) -> Option<u32> {
    properties.iter().find_map(|property| match property {
        Property::SessionExpiryInterval(interval) => Some(interval.val()),
        _ => None,
    })
}

fn will_of(now: Instant, client_id: &str, packet: &v5_0::Connect) -> Option<(Duration, Message)> {
    let delay = packet
        .will_props()
        .iter()
        .find_map(|property| match property {
            Property::WillDelayInterval(interval) => Some(u64::from(interval.val())),
            _ => None,
        });
    let message = Message {
        at: now,
        client: Some(client_id.to_owned()),
        topic: packet.will_topic()?.to_owned(),
        payload: packet.will_payload().unwrap_or_default().to_vec(),
        qos: packet.will_qos(),
        retain: packet.will_retain(),
        duplicate: false,
        will: true,
        properties: packet.will_props().clone(),
    };
    Some((Duration::from_secs(delay.unwrap_or(0)), message))
}
