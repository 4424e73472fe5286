//! The broker as its clients see it, over the simulated network.

use std::future::Future;
use std::net::{Ipv4Addr, SocketAddr};

use edge_nal::TcpConnect;
use embassy_futures::select::{Either, select};
use embassy_time::{Duration, Instant, Timer, with_timeout};
use embedded_io_async::{Read, Write};
use mqtt_protocol_core::mqtt::common::Cursor;
use mqtt_protocol_core::mqtt::connection::Event;
use mqtt_protocol_core::mqtt::packet::{Packet, SessionExpiryInterval, SubEntry, SubOpts, v5_0};
use mqtt_protocol_core::mqtt::prelude::GenericPacketTrait;
use mqtt_protocol_core::mqtt::result_code::MqttError;
use mqtt_protocol_core::mqtt::{Connection, Version, role};

use super::{Broker, Qos};
use crate::net::{Host, Network, NetworkError, TcpSocket};
use crate::time::run_virtual;

/// The beginnings of a CONNECT packet: a macro, as the library does not name the type of its builder.
macro_rules! connecting {
    ($client:expr, $clean_start:expr, $expiry:expr) => {
        v5_0::Connect::builder()
            .client_id($client.client_id.as_str())
            .expect("short enough")
            .clean_start($clean_start)
            .props(vec![
                SessionExpiryInterval::new($expiry)
                    .expect("any number")
                    .into(),
            ])
    };
}

mod outages;
mod protocol;
mod sessions;

const PORT: u16 = 1883;

struct World {
    network: Network,
    broker: Broker,
    next: std::cell::Cell<u8>,
}

/// Runs a test beside a broker.
fn with_broker<T>(test: impl AsyncFnOnce(&World) -> T) -> T {
    let network = Network::default();
    let host = network.host(Ipv4Addr::new(10, 0, 0, 1));
    let world = World {
        broker: Broker::new(&host, PORT),
        network,
        next: std::cell::Cell::new(10),
    };
    match run_virtual(select(world.broker.run(), test(&world))) {
        Either::First(never) => match never {},
        Either::Second(result) => result,
    }
}

impl World {
    fn client(&self, client_id: &str) -> Client {
        let number = self.next.get();
        self.next.set(number + 1);
        Client::new(
            self.network.host(Ipv4Addr::new(10, 0, 0, number)),
            SocketAddr::from((self.broker.host().address(), PORT)),
            client_id,
        )
    }

    /// A client that is connected and keeps no session.
    async fn connected(&self, client_id: &str) -> Client {
        let mut client = self.client(client_id);
        let answer = client.connect(true, 0).await;
        assert!(!answer.session_present());
        client
    }
}

/// A client made of the protocol library in its other role.
struct Client {
    host: Host,
    broker: SocketAddr,
    client_id: String,
    connection: Connection<role::Client>,
    socket: Option<TcpSocket>,
}

impl Client {
    fn new(host: Host, broker: SocketAddr, client_id: &str) -> Self {
        let mut connection = Connection::new(Version::V5_0);
        connection.set_auto_pub_response(true);
        Self {
            host,
            broker,
            client_id: client_id.to_owned(),
            connection,
            socket: None,
        }
    }

    async fn connect(&mut self, clean_start: bool, expiry: u32) -> v5_0::Connack {
        let packet = connecting!(self, clean_start, expiry);
        self.connect_as(packet.build()).await
    }

    async fn connect_as(&mut self, packet: Result<v5_0::Connect, MqttError>) -> v5_0::Connack {
        self.connection.notify_closed();
        self.socket = Some(self.host.connect(self.broker).await.expect("connects"));
        self.send(packet.expect("a packet")).await;
        match self.next().await.expect("an answer") {
            Packet::V5_0Connack(answer) => answer,
            other => panic!("{other}"),
        }
    }

    async fn send(&mut self, packet: impl Into<Packet>) {
        let events = self.connection.send(packet.into());
        self.obey(&events).await;
    }

    async fn obey(&mut self, events: &[Event]) {
        for event in events {
            match event {
                Event::RequestSendPacket { packet, .. } => {
                    let socket = self.socket.as_mut().expect("is connected");
                    let bytes = packet.to_continuous_buffer();
                    socket.write_all(&bytes).await.expect("is sent");
                }
                Event::NotifyError(error) => panic!("{error:?}"),
                _ => {}
            }
        }
    }

    /// The next packet, or how the connection ended.
    async fn next(&mut self) -> Result<Packet, Option<NetworkError>> {
        loop {
            let socket = self.socket.as_mut().expect("is connected");
            // Single bytes, so that a packet is answered before the next one is looked at.
            let mut byte = [0];
            match socket.read(&mut byte).await {
                Ok(0) => return Err(None),
                Ok(_) => {}
                Err(error) => return Err(Some(error)),
            }
            let events = self.connection.recv(&mut Cursor::new(&byte[..]));
            self.obey(&events).await;
            let packet = events.into_iter().find_map(|event| match event {
                Event::NotifyPacketReceived(packet) => Some(packet),
                _ => None,
            });
            if let Some(packet) = packet {
                return Ok(packet);
            }
        }
    }

    async fn next_publish(&mut self) -> v5_0::Publish {
        loop {
            match self.next().await.expect("a message") {
                Packet::V5_0Publish(publish) => return publish,
                Packet::V5_0Pubrel(_) => {}
                other => panic!("{other}"),
            }
        }
    }

    /// Reads on, for the acknowledgements, and finds no further message.
    async fn hears_nothing(&mut self) {
        if let Some(publish) = within(5, self.next_publish()).await {
            panic!("{publish}");
        }
    }

    async fn subscribe(&mut self, filter: &str, options: SubOpts) -> Vec<u8> {
        let entry = SubEntry::new(filter, options).expect("short enough");
        let packet = v5_0::Subscribe::builder()
            .packet_id(self.connection.acquire_packet_id().expect("a free one"))
            .entries(vec![entry])
            .build();
        self.send(packet.expect("a packet")).await;
        match self.next().await.expect("an answer") {
            Packet::V5_0Suback(answer) => answer
                .reason_codes()
                .iter()
                .map(|code| *code as u8)
                .collect(),
            other => panic!("{other}"),
        }
    }

    async fn publish(&mut self, topic: &str, payload: &str, qos: Qos, retain: bool) {
        let mut packet = v5_0::Publish::builder()
            .topic_name(topic)
            .expect("short enough")
            .payload(payload)
            .qos(qos)
            .retain(retain);
        if qos != Qos::AtMostOnce {
            packet = packet.packet_id(self.connection.acquire_packet_id().expect("a free one"));
        }
        self.send(packet.build().expect("a packet")).await;
        match qos {
            Qos::AtMostOnce => {}
            Qos::AtLeastOnce => {
                assert!(matches!(self.next().await, Ok(Packet::V5_0Puback(_))));
            }
            Qos::ExactlyOnce => {
                assert!(matches!(self.next().await, Ok(Packet::V5_0Pubrec(_))));
                assert!(matches!(self.next().await, Ok(Packet::V5_0Pubcomp(_))));
            }
        }
    }

    /// Leaves as told, or vanishes without a word.
    async fn disconnect(&mut self) {
        let packet = v5_0::Disconnect::builder().build().expect("a packet");
        self.send(packet).await;
        self.vanish();
    }

    fn vanish(&mut self) {
        self.socket = None;
        self.connection.notify_closed();
    }
}

fn at(qos: Qos) -> SubOpts {
    SubOpts::new().set_qos(qos)
}

fn text(publish: &v5_0::Publish) -> String {
    String::from_utf8_lossy(publish.payload().as_slice()).into_owned()
}

async fn within<T>(seconds: u64, future: impl Future<Output = T>) -> Option<T> {
    with_timeout(Duration::from_secs(seconds), future)
        .await
        .ok()
}
