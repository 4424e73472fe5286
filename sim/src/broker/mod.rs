//! An MQTT 5 broker in virtual time, for the tests of whatever connects to it.
//!
//! Its packets, their checks and the acknowledgements of QoS 1 and 2 are those of
//! `mqtt-protocol-core`, which shares nothing with the framework's own session: what both agree on
//! is the standard. Its sockets are those of [`crate::net`].
//!
//! Guarantees: a message is in [`Broker::messages`] once for each time that the standard lets a
//! subscriber see it; each client gets messages in their order; sessions survive what
//! [`Broker::restart`] says. Left out: shared subscriptions, enhanced authentication, topic aliases.

mod engine;
mod link;
mod message;
mod routing;
mod server;
mod session;
mod topics;

#[cfg(test)]
mod tests;

use std::cell::{Cell, RefCell};
use std::convert::Infallible;
use std::rc::Rc;

use embassy_time::{Duration, Instant};
pub use mqtt_protocol_core::mqtt::packet::Qos;

pub use message::Message;

use crate::net::Host;
use crate::tasks::Tasks;
use crate::waiting::Changes;
use engine::Engine;

/// What the broker asks of its clients and tells them.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Settings {
    /// The user name and password without which nobody is let in. None: everybody is.
    pub login: Option<(String, String)>,
    /// Everybody is refused with "server unavailable" (reason 0x88).
    pub refuse: bool,
    /// The keepalive, in seconds, that clients are told to use instead of their own.
    pub server_keep_alive: Option<u16>,
    /// How many unacknowledged QoS 1 and 2 messages a client may send; 65535 unless set.
    pub receive_maximum: Option<u16>,
    /// The longest packet in bytes that the broker takes; no limit unless set.
    pub maximum_packet_size: Option<u32>,
}

/// One CONNECT that reached the broker.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Visit {
    /// When it came.
    pub at: Instant,
    /// The client's identifier, perhaps assigned.
    pub client_id: String,
    /// Whether it was let in.
    pub accepted: bool,
    /// Whether it found its session.
    pub resumed: bool,
    /// Whether it asked for a session without a past.
    pub clean_start: bool,
    /// Its keepalive in seconds.
    pub keep_alive: u16,
    /// The user name it gave.
    pub user: Option<String>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Mode {
    Running,
    Hung,
    Stopped,
}

struct Shared {
    host: Host,
    port: u16,
    engine: RefCell<Engine>,
    mode: Cell<Mode>,
    /// Counts the program's lives: what an earlier life began, this one does not go on with.
    life: Cell<u64>,
    delay: Cell<Duration>,
    changes: Changes,
    connections: Tasks,
}

/// A broker on a simulated host; clones are the same one.
///
/// [`Broker::run`] has to be polled beside whatever uses it. Everything else may be called at any
/// time, and acts at once.
#[derive(Clone)]
pub struct Broker {
    shared: Rc<Shared>,
}

impl Broker {
    /// A broker that will listen on `port` of `host`.
    pub fn new(host: &Host, port: u16) -> Self {
        Self {
            shared: Rc::new(Shared {
                host: host.clone(),
                port,
                engine: RefCell::new(Engine::new(Settings::default())),
                mode: Cell::new(Mode::Running),
                life: Cell::new(0),
                delay: Cell::new(Duration::from_ticks(0)),
                changes: Changes::default(),
                connections: Tasks::new(),
            }),
        }
    }

    /// Serves for ever. Dropping it kills the broker as [`Broker::stop`] does.
    pub async fn run(&self) -> Infallible {
        server::run(&self.shared).await
    }

    /// The machine it runs on: its faults are the network's.
    pub fn host(&self) -> &Host {
        &self.shared.host
    }

    /// Changes the settings. Limits hold for connections made afterwards.
    pub fn configure(&self, change: impl FnOnce(&mut Settings)) {
        change(&mut self.shared.engine.borrow_mut().settings);
    }

    /// Lets in only who knows this user name and password.
    pub fn require_login(&self, user: &str, password: &str) {
        self.configure(|settings| settings.login = Some((user.to_owned(), password.to_owned())));
    }

    /// Refuses every CONNECT with "server unavailable" from now on, or no more. Who is connected stays.
    pub fn refuse(&self, refuse: bool) {
        self.configure(|settings| settings.refuse = refuse);
    }

    /// The program dies: its connections are closed by its system, no will is published, further
    /// attempts are refused. Sessions and retained messages are on its disk.
    pub fn stop(&self) {
        self.set_mode(Mode::Stopped);
    }

    /// The program hangs: its system still accepts some connections, and nobody says anything.
    pub fn hang(&self) {
        self.set_mode(Mode::Hung);
    }

    /// The program runs, after having hung or been stopped.
    pub fn resume(&self) {
        self.set_mode(Mode::Running);
    }

    /// Dies and is started again at once. Without `keep_sessions` it has no disk, and has forgotten
    /// sessions and retained messages.
    pub fn restart(&self, keep_sessions: bool) {
        self.stop();
        if !keep_sessions {
            let mut engine = self.shared.engine.borrow_mut();
            engine.sessions.clear();
            engine.retained.clear();
        }
        self.resume();
    }

    /// Has every connection wait this long before it looks at what has come in.
    pub fn set_slow(&self, delay: Duration) {
        self.shared.delay.set(delay);
    }

    /// Whether it has yet to look at the CONNECT of a client that has given that connection up: when it does,
    /// the session goes over to it, and whoever has it by then is thrown off.
    pub fn is_behind(&self) -> bool {
        let shared = &self.shared;
        let engine = shared.engine.borrow();
        let mut unheard = engine.links.values().filter(|link| link.is_unheard());
        unheard.any(|link| !shared.host.is_connected_with(link.client))
    }

    /// Whether it serves everybody at once: it runs, lets everybody in, takes no time for it and has nothing
    /// old to look at.
    pub fn is_well(&self) -> bool {
        let shared = &self.shared;
        let settings = &shared.engine.borrow().settings;
        shared.mode.get() == Mode::Running
            && shared.delay.get().as_ticks() == 0
            && !settings.refuse
            && settings.login.is_none()
            && !self.is_behind()
    }

    /// Publishes a message of the test's own.
    pub fn publish(&self, topic: &str, payload: &[u8], qos: Qos, retain: bool) {
        let now = Instant::now();
        let message = Message {
            at: now,
            client: None,
            topic: topic.to_owned(),
            payload: payload.to_vec(),
            qos,
            retain,
            duplicate: false,
            will: false,
            properties: Vec::new(),
        };
        self.shared.engine.borrow_mut().route(now, message);
        self.shared.changes.happen();
    }

    /// Every message it saw, wills and the test's own included, in their order: the newest 100,000.
    pub fn messages(&self) -> Vec<Message> {
        self.shared
            .engine
            .borrow()
            .messages
            .iter()
            .cloned()
            .collect()
    }

    /// How many messages it has seen so far.
    pub fn count(&self) -> usize {
        self.shared.engine.borrow().routed
    }

    /// Shows the messages after the first so many, as far as they are remembered. `visit` must not ask
    /// the broker for anything.
    pub fn visit_after(&self, count: usize, visit: impl FnMut(&Message)) {
        let engine = self.shared.engine.borrow();
        let forgotten = engine.routed - engine.messages.len();
        let from = count.saturating_sub(forgotten);
        engine.messages.iter().skip(from).for_each(visit);
    }

    /// Whether a topic belongs to a filter.
    pub fn matches(filter: &str, topic: &str) -> bool {
        topics::matches(filter, topic)
    }

    /// The messages on the topics of a filter.
    pub fn messages_on(&self, filter: &str) -> Vec<Message> {
        let engine = self.shared.engine.borrow();
        let wanted = |message: &&Message| topics::matches(filter, &message.topic);
        engine.messages.iter().filter(wanted).cloned().collect()
    }

    /// Forgets the messages seen so far.
    pub fn clear_messages(&self) {
        self.shared.engine.borrow_mut().messages.clear();
    }

    /// What is retained on a topic.
    pub fn retained(&self, topic: &str) -> Option<Message> {
        self.shared.engine.borrow().retained.get(topic).cloned()
    }

    /// The identifiers of the clients that are connected.
    pub fn clients(&self) -> Vec<String> {
        let engine = self.shared.engine.borrow();
        let links = engine.links.values().filter(|link| !link.closing);
        links.filter_map(|link| link.client_id.clone()).collect()
    }

    /// The identifiers of the clients that have a session, connected or not.
    pub fn sessions(&self) -> Vec<String> {
        self.shared
            .engine
            .borrow()
            .sessions
            .keys()
            .cloned()
            .collect()
    }

    /// A client's subscriptions with the quality granted to each.
    pub fn subscriptions(&self, client_id: &str) -> Vec<(String, Qos)> {
        let engine = self.shared.engine.borrow();
        let session = engine.sessions.get(client_id);
        session
            .into_iter()
            .flat_map(|session| &session.subscriptions)
            .map(|(filter, subscription)| (filter.clone(), subscription.options.qos()))
            .collect()
    }

    /// How many messages wait for a client, those sent and not acknowledged included.
    pub fn waiting(&self, client_id: &str) -> usize {
        let engine = self.shared.engine.borrow();
        let Some(session) = engine.sessions.get(client_id) else {
            return 0;
        };
        let link = session.link.and_then(|id| engine.links.get(&id));
        session.queue.len()
            + session.unacknowledged.len()
            + link.map_or(0, |link| link.in_flight.len())
    }

    /// Every CONNECT that reached it: the newest 100,000.
    pub fn visits(&self) -> Vec<Visit> {
        self.shared.engine.borrow().visits.iter().cloned().collect()
    }

    /// What clients did against the standard, with who did it: empty for well-behaved ones.
    pub fn protocol_errors(&self) -> Vec<String> {
        self.shared.engine.borrow().faults.clone()
    }

    /// Waits until a question about the broker has an answer; it is asked again after each change.
    pub async fn until<T>(&self, mut answer: impl FnMut(&Self) -> Option<T>) -> T {
        self.shared.changes.until(|| answer(self)).await
    }

    /// Waits for a message that came after this call on a topic of the filter.
    pub async fn next_message(&self, filter: &str) -> Message {
        let seen = self.messages_on(filter).len();
        self.until(|broker| broker.messages_on(filter).into_iter().nth(seen))
            .await
    }

    fn set_mode(&self, mode: Mode) {
        let shared = &self.shared;
        let now = Instant::now();
        let before = shared.mode.replace(mode);
        if mode == Mode::Stopped && before != Mode::Stopped {
            shared.life.set(shared.life.get() + 1);
            shared.connections.clear();
            let mut engine = shared.engine.borrow_mut();
            let ids: Vec<_> = engine.links.keys().copied().collect();
            for id in ids {
                engine.closed(now, id, false);
                engine.forget(id);
            }
        }
        if mode == Mode::Running && before != Mode::Running {
            // What came in meanwhile is read first.
            let grace = now + Duration::from_secs(1);
            shared.engine.borrow_mut().forgive(grace);
        }
        shared.changes.happen();
    }
}
