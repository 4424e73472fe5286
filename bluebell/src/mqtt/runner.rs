//! Pumps the session: connects, reads, writes, watches the clock, and begins again.

use core::cell::Cell;
use core::convert::Infallible;
use core::future::{Future, pending, poll_fn};
use core::mem;
use core::net::{Ipv4Addr, SocketAddr};
use core::pin::Pin;
use core::task::Poll;

use edge_nal::{AddrType, Dns, TcpConnect, TcpShutdown, TcpSplit};
use embassy_futures::select::{Either3, select3};
use embassy_time::{Duration, Instant, Timer, with_timeout};
use embedded_io_async::{Error as _, Read, Write};

use super::Mqtt;
use super::codec::frame::{self, Frame, Skip};
use super::codec::{Malformed, Outgoing};
use super::inbox::Inbox;
use super::mark::Moment;
use super::reason::{Failure, Reason};
use super::session::{Outlet, Report, Session, Verdict};
use super::shared::Shared;
use super::types::{BrokerName, Settings, State};
use crate::backoff::Backoff;
use crate::board::System;
use crate::log::Level;

/// How long a step of connecting may take in the first minute of an outage, and later.
const CONNECTING: [Duration; 2] = [Duration::from_secs(2), Duration::from_secs(10)];
/// The same for each answer until the device is online. Later there is no hurry: the next attempt may be a minute
/// away, and a slow broker that finds a CONNECT given up hands the session over to it all the same.
const ANSWERING: [Duration; 2] = [Duration::from_secs(3), Duration::from_secs(30)];

/// How long the last words to a broker may take.
const FAREWELL: Duration = Duration::from_millis(500);

/// A connection that did not last this long has not ended an outage.
const LASTING: Duration = Duration::from_secs(1);

/// How rarely an outage that goes on is logged.
const REMINDER: Duration = Duration::from_secs(60);

pub(super) async fn run<N: TcpConnect + Dns>(
    mqtt: &Mqtt<'_>,
    network: &N,
    settings: &Settings<'_>,
    report: Report<'_>,
    system: &dyn System,
) -> Infallible {
    let mut connection = Connection::begin(mqtt, settings, report).await;
    if settings.host.is_empty() && settings.own_broker.is_none() {
        report(
            Level::Info,
            format_args!("no broker is configured: set mqtt.host to use one"),
        );
        return pending().await;
    }
    let random = || {
        let mut bytes = [0; 4];
        system.entropy(&mut bytes);
        u32::from_le_bytes(bytes)
    };
    let mut backoff = Backoff::new();
    let mut reminded = None;
    loop {
        let started = Instant::now();
        let brisk = backoff.is_brisk(started);
        let failure = connection.attempt(network, brisk, random()).await;
        connection.end();
        let now = Instant::now();
        let lasted = connection
            .online_since
            .get()
            .is_some_and(|since| now.saturating_duration_since(since) >= LASTING);
        connection.online_since.set(None);
        if lasted {
            reminded = None;
            if failure != Failure::Disconnected(Reason::TAKEN_OVER) {
                backoff.reset();
            }
        }
        if reminded.is_none_or(|last| now.saturating_duration_since(last) >= REMINDER) {
            reminded = Some(now);
            connection.outage_told.set(true);
            report(
                Level::Warn,
                format_args!(
                    "no connection to the broker {}: {failure}",
                    BrokerName(settings)
                ),
            );
        }
        // From start to start: an attempt that hung until its bound has waited already.
        let since = if lasted { now } else { started };
        Timer::at(since + backoff.next(now, random())).await;
    }
}

/// What the runner holds while it runs; when it goes, the connection has gone.
struct Connection<'c, 'm> {
    mqtt: &'c Mqtt<'m>,
    settings: &'c Settings<'c>,
    report: Report<'c>,
    /// Bytes from the broker.
    buffer: &'m mut [u8],
    online_since: Cell<Option<Instant>>,
    /// Whether the log's last word was that there is no connection, or it has said nothing yet.
    outage_told: Cell<bool>,
}

impl<'c, 'm> Connection<'c, 'm> {
    /// Waits until no other runner is there.
    async fn begin(
        mqtt: &'c Mqtt<'m>,
        settings: &'c Settings<'c>,
        report: Report<'c>,
    ) -> Connection<'c, 'm> {
        let buffer = mqtt
            .until(|shared| {
                let free = !shared.receive.is_empty();
                free.then(|| mem::take(&mut shared.receive))
            })
            .await;
        Connection {
            mqtt,
            settings,
            report,
            buffer,
            online_since: Cell::new(None),
            outage_told: Cell::new(true),
        }
    }

    /// Connects and stays connected, until there is no connection.
    async fn attempt<N: TcpConnect + Dns>(
        &mut self,
        network: &N,
        brisk: bool,
        random: u32,
    ) -> Failure {
        let bound = |[first, later]: [Duration; 2]| if brisk { first } else { later };
        self.mqtt.shared().set_state(State::Connecting);
        let connecting = async {
            let address = self.address(network).await?;
            let socket = network.connect(address).await;
            socket.map_err(|error| Failure::Connect(error.kind()))
        };
        let mut socket = match with_timeout(bound(CONNECTING), connecting).await {
            Ok(Ok(socket)) => socket,
            Ok(Err(failure)) => return failure,
            Err(_) => return Failure::ConnectTimeout,
        };
        self.mqtt
            .shared()
            .session
            .connected(Instant::now(), bound(ANSWERING), random as u16);
        let writing = Cell::new(false);
        let failure = {
            let (reader, writer) = socket.split();
            let link = Link {
                mqtt: self.mqtt,
                settings: self.settings,
                report: self.report,
                online_since: &self.online_since,
                outage_told: &self.outage_told,
                capacity: self.buffer.len(),
            };
            let ended = select3(
                link.read(reader, self.buffer),
                link.write(writer, &writing),
                link.watch(),
            );
            match ended.await {
                Either3::First(failure) | Either3::Second(failure) | Either3::Third(failure) => {
                    failure
                }
            }
        };
        let farewell = async {
            if let Some(reason) = failure.farewell().filter(|_| !writing.get()) {
                let mut packet = [0; 8];
                let codec = self.mqtt.shared().session.codec();
                let length = codec.encode(&Outgoing::Disconnect(reason), &mut packet);
                if socket.write_all(&packet[..length]).await.is_ok() {
                    let _ = socket.flush().await;
                }
            }
            let _ = socket.abort().await;
        };
        // Whether the broker got the last words makes no difference to the device.
        let _ = with_timeout(FAREWELL, farewell).await;
        failure
    }

    async fn address<D: Dns>(&self, network: &D) -> Result<SocketAddr, Failure> {
        let Settings {
            host,
            port,
            own_broker,
            ..
        } = *self.settings;
        if let (true, Some(own)) = (host.is_empty(), own_broker) {
            return Ok(own);
        }
        let address = match host.parse::<Ipv4Addr>() {
            Ok(address) => address.into(),
            Err(_) => {
                // A colon is only in an IPv6 address, which a resolver reads where there is IPv6.
                let wanted = match host.contains(':') {
                    true => AddrType::IPv6,
                    false => AddrType::IPv4,
                };
                let resolved = network.get_host_by_name(host, wanted).await;
                resolved.map_err(|_| Failure::Name)?
            }
        };
        Ok(SocketAddr::new(address, port))
    }

    fn end(&self) {
        let mut shared = self.mqtt.shared();
        shared.session.lost();
        shared.transmit.clear();
        shared.set_state(State::Offline);
        // A message that waits for room, or for having been sent, is told that it waits in vain.
        shared.application.wake();
    }
}

impl Drop for Connection<'_, '_> {
    fn drop(&mut self) {
        self.mqtt.shared().receive = mem::take(&mut self.buffer);
        self.end();
    }
}

/// One connection, shared by what reads, what writes and what watches the clock.
struct Link<'c, 'm> {
    mqtt: &'c Mqtt<'m>,
    settings: &'c Settings<'c>,
    report: Report<'c>,
    online_since: &'c Cell<Option<Instant>>,
    outage_told: &'c Cell<bool>,
    /// The longest packet that is taken in.
    capacity: usize,
}

/// How much of the bytes was taken in, and why not more.
struct Digested {
    bytes: usize,
    inbox_full: bool,
}

impl<'m> Link<'_, 'm> {
    async fn read(&self, mut reader: impl Read, buffer: &mut [u8]) -> Failure {
        let mut filled = 0;
        let mut skip = None;
        loop {
            let digested = match self.digest(&buffer[..filled], &mut skip) {
                Ok(digested) => digested,
                Err(failure) => return failure,
            };
            buffer.copy_within(digested.bytes..filled, 0);
            filled -= digested.bytes;
            if digested.inbox_full {
                self.inbox_moved().await;
                continue;
            }
            match reader.read(&mut buffer[filled..]).await {
                Ok(0) => return Failure::Closed,
                Ok(length) => filled = filled.saturating_add(length).min(buffer.len()),
                Err(error) => return Failure::Broken(error.kind()),
            }
            self.mqtt.shared().session.heard(Instant::now());
        }
    }

    /// Waits until the application has taken a message out of the inbox, or an answer has been written, so
    /// that it can be tried again.
    fn inbox_moved(&self) -> impl Future<Output = ()> {
        let mut seen = None;
        poll_fn(move |context| {
            let shared = &mut *self.mqtt.shared();
            let now = (shared.delivered, shared.session.answers());
            if *seen.get_or_insert(now) == now {
                shared.session.pause();
                shared.runner.register(context.waker());
                return Poll::Pending;
            }
            shared.session.resume(Instant::now());
            Poll::Ready(())
        })
    }

    /// Takes in the whole packets among `bytes`, which stand at the start of a buffer of the capacity.
    fn digest(&self, bytes: &[u8], skip: &mut Option<Skip>) -> Result<Digested, Failure> {
        let moment = self.mqtt.moment();
        let shared = &mut *self.mqtt.shared();
        let mut at = 0;
        let mut inbox_full = false;
        while let Some(rest) = bytes.get(at..)
            && !rest.is_empty()
        {
            if let Some(passing) = skip {
                at += passing.pass(rest);
                if let Some(passed) = passing.passed() {
                    let (qos, identifier) = passed.map_err(malformed)?;
                    shared.session.skipped(qos, identifier)?;
                    *skip = None;
                }
                continue;
            }
            match frame::find(rest, self.capacity).map_err(malformed)? {
                Frame::Partial => break,
                Frame::Whole { first, header, end } => {
                    let packet = shared
                        .session
                        .codec()
                        .decode(first, &rest[header..end])
                        .map_err(malformed)?;
                    let (session, inbox, mut outlet) = self.parts(shared, moment);
                    if session.packet(&packet, moment.now, inbox, &mut outlet)? == Verdict::NoRoom {
                        inbox_full = true;
                        break;
                    }
                    at += end;
                }
                Frame::TooLong { first, .. } if !frame::is_publish(first) => {
                    return Err(Failure::TooLarge);
                }
                // So much of it is awaited that its topic can be named.
                Frame::TooLong { .. } if rest.len() < frame::NAMEABLE => break,
                Frame::TooLong {
                    first,
                    header,
                    body,
                } => {
                    let qos = frame::publish_qos(first).ok_or(Failure::Malformed("a QoS of 3"))?;
                    *skip = Some(Skip::new(qos, body));
                    at += header;
                    self.name_skipped(&rest[header..], body);
                }
            }
        }
        if at > 0 {
            shared.application.wake();
        }
        Ok(Digested {
            bytes: at,
            inbox_full,
        })
    }

    fn name_skipped(&self, body: &[u8], length: u32) {
        let topic = match body {
            [high, low, topic @ ..] => {
                let length = usize::from(u16::from_be_bytes([*high, *low]));
                &topic[..length.min(topic.len())]
            }
            _ => &[],
        };
        let topic = topic.utf8_chunks().next().map_or("", |chunk| chunk.valid());
        (self.report)(
            Level::Warn,
            format_args!(
                "a message of {length} bytes on {topic} was skipped: packets of at most {} bytes are \
                 taken, MqttMemory can be made larger",
                self.capacity
            ),
        );
    }

    async fn write(&self, mut writer: impl Write, writing: &Cell<bool>) -> Failure {
        loop {
            let lease = poll_fn(|context| match self.fill() {
                Some(lease) => Poll::Ready(lease),
                None => {
                    let shared = &mut *self.mqtt.shared();
                    shared.runner.register(context.waker());
                    Poll::Pending
                }
            })
            .await;
            writing.set(true);
            if let Err(error) = writer.write_all(&lease.buffer[..lease.length]).await {
                return Failure::Broken(error.kind());
            }
            writing.set(false);
            self.mqtt.shared().session.sent(Instant::now());
        }
    }

    /// Lets the session write what it owes and takes it over. What it still owes goes before what the
    /// application adds once the buffer is back: the writer comes here first.
    fn fill(&self) -> Option<Lease<'_, 'm>> {
        let moment = self.mqtt.moment();
        let shared = &mut *self.mqtt.shared();
        let now = moment.now;
        let answers = shared.session.answers();
        let (session, _, mut outlet) = self.parts(shared, moment);
        session.fill(now, &mut outlet);
        let taken = shared.transmit.take();
        if shared.session.answers() != answers {
            // The reader, which was asked before the writer, may wait for just that.
            shared.wake_runner();
        }
        if shared.session.is_online() && shared.state == State::Connecting {
            shared.set_state(State::Online);
            self.online_since.set(Some(now));
            if self.outage_told.take() {
                (self.report)(
                    Level::Info,
                    format_args!("online at the broker {}", BrokerName(self.settings)),
                );
            }
        }
        let (buffer, length) = taken?;
        Some(Lease {
            mqtt: self.mqtt,
            buffer,
            length,
        })
    }

    /// Tells the session when time has passed.
    fn watch(&self) -> impl Future<Output = Failure> {
        let mut armed: Option<(Instant, Timer)> = None;
        poll_fn(move |context| {
            loop {
                let shared = &mut *self.mqtt.shared();
                let deadline = shared.session.deadline();
                if deadline == Instant::MAX {
                    return Poll::Pending;
                }
                // A deadline that has moved away is found out when the timer fires.
                let armed_at = armed.as_ref().map_or(Instant::MAX, |(at, _)| *at);
                if deadline < armed_at {
                    armed = Some((deadline, Timer::at(deadline)));
                }
                if let Some((_, timer)) = &mut armed
                    && Pin::new(timer).poll(context).is_pending()
                {
                    return Poll::Pending;
                }
                armed = None;
                if let Err(failure) = shared.session.due(Instant::now()) {
                    return Poll::Ready(failure);
                }
                // What is owed now is written in the next round.
                context.waker().wake_by_ref();
            }
        })
    }

    fn parts<'p>(
        &'p self,
        shared: &'p mut Shared<'m>,
        moment: Moment,
    ) -> (&'p mut Session, &'p mut Inbox<'m>, Outlet<'p, 'm>) {
        let outlet = Outlet {
            settings: self.settings,
            outbox: &mut shared.outbox,
            transmit: &mut shared.transmit,
            report: self.report,
            moment,
            receive_capacity: self.capacity,
        };
        (&mut shared.session, &mut shared.inbox, outlet)
    }
}

/// Packets that are being written; their buffer goes back when they are, or when the writer is dropped.
struct Lease<'l, 'm> {
    mqtt: &'l Mqtt<'m>,
    buffer: &'m mut [u8],
    length: usize,
}

impl Drop for Lease<'_, '_> {
    fn drop(&mut self) {
        let mut shared = self.mqtt.shared();
        shared.transmit.give_back(mem::take(&mut self.buffer));
        shared.application.wake();
    }
}

fn malformed(Malformed(what): Malformed) -> Failure {
    Failure::Malformed(what)
}
