//! The embedded broker: a child of the board that comes, goes and dies with it.

use std::io::{Read, Write};
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::process::{Child, Command, Stdio};

use crate::support::{LIMIT, Running, eventually, free_address, refused};
use bluebell_linux::arguments::Listen;
use bluebell_linux::broker::{Broker, BrokerError};
use tempfile::tempdir;

/// MQTT 5.0, CONNECT with clean start and keep alive 60 s.
fn connect(client: &str, will: Option<(&str, &str)>) -> Vec<u8> {
    let mut rest = vec![0, 4, b'M', b'Q', b'T', b'T', 5, 0x02, 0, 60, 0];
    text(&mut rest, client);
    if let Some((topic, payload)) = will {
        // Flags: will, retained, QoS 1.
        rest[7] |= 0x2c;
        rest.push(0);
        text(&mut rest, topic);
        text(&mut rest, payload);
    }
    packet(0x10, &rest)
}

fn text(to: &mut Vec<u8>, text: &str) {
    to.extend(u16::try_from(text.len()).unwrap().to_be_bytes());
    to.extend(text.as_bytes());
}

fn packet(kind: u8, rest: &[u8]) -> Vec<u8> {
    let mut packet = vec![kind];
    let mut length = rest.len();
    loop {
        let more = if length > 127 { 0x80 } else { 0 };
        packet.push(u8::try_from(length % 128).unwrap() | more);
        length /= 128;
        if length == 0 {
            break;
        }
    }
    packet.extend(rest);
    packet
}

struct Client(TcpStream);

impl Client {
    fn new(broker: SocketAddr, name: &str, will: Option<(&str, &str)>) -> Self {
        let mut stream = TcpStream::connect(broker).unwrap();
        stream.set_read_timeout(Some(LIMIT)).unwrap();
        stream.write_all(&connect(name, will)).unwrap();
        let mut client = Self(stream);
        let (kind, rest) = client.receive();
        assert_eq!((kind, rest[1]), (0x20, 0), "accepted");
        client
    }

    fn receive(&mut self) -> (u8, Vec<u8>) {
        let mut byte = [0];
        self.0.read_exact(&mut byte).unwrap();
        let kind = byte[0];
        let (mut length, mut shift) = (0, 0);
        loop {
            self.0.read_exact(&mut byte).unwrap();
            length |= usize::from(byte[0] & 0x7f) << shift;
            shift += 7;
            if byte[0] < 0x80 {
                break;
            }
        }
        let mut rest = vec![0; length];
        self.0.read_exact(&mut rest).unwrap();
        (kind, rest)
    }

    fn subscribe(&mut self, filter: &str) {
        let mut rest = vec![0, 1, 0];
        text(&mut rest, filter);
        rest.push(2);
        self.0.write_all(&packet(0x82, &rest)).unwrap();
        assert_eq!(self.receive().0, 0x90);
    }

    /// Publishes, retained, with QoS 2, and sees it through.
    fn publish(&mut self, topic: &str, payload: &[u8]) {
        let mut rest = Vec::new();
        text(&mut rest, topic);
        rest.extend([0, 7, 0]);
        rest.extend(payload);
        self.0.write_all(&packet(0x35, &rest)).unwrap();
        assert_eq!(self.receive().0, 0x50);
        self.0.write_all(&[0x62, 2, 0, 7]).unwrap();
        assert_eq!(self.receive().0, 0x70);
    }

    /// The next message's payload; one of QoS 2 is acknowledged to its end.
    fn message(&mut self, topic: &str) -> Vec<u8> {
        let (kind, rest) = self.receive();
        assert_eq!(kind & 0xf0, 0x30);
        assert_eq!(&rest[2..2 + topic.len()], topic.as_bytes());
        let mut at = 2 + topic.len();
        if kind & 0x06 == 0x04 {
            let id = [rest[at], rest[at + 1]];
            self.0.write_all(&[0x50, 2, id[0], id[1]]).unwrap();
            assert_eq!(self.receive().0, 0x62);
            self.0.write_all(&[0x70, 2, id[0], id[1]]).unwrap();
        }
        if kind & 0x06 != 0 {
            at += 2;
        }
        let properties = usize::from(rest[at]);
        rest[at + 1 + properties..].to_vec()
    }
}

fn own_broker() -> (Broker, SocketAddr) {
    let listen = Listen::At("127.0.0.1:0".parse().unwrap());
    let broker = Broker::new(listen, env!("CARGO_BIN_EXE_bare").into()).unwrap();
    let address = broker.address().unwrap();
    (broker, address)
}

#[test]
fn it_carries_retained_messages_wills_and_qos_2_of_any_size() {
    let (broker, address) = own_broker();
    broker.start().unwrap();
    let payload: Vec<u8> = (0..200_000_u32).map(|byte| byte.to_le_bytes()[0]).collect();
    Client::new(address, "publisher", None).publish("a/big", &payload);
    let mut subscriber = Client::new(address, "subscriber", None);
    subscriber.subscribe("a/#");
    assert_eq!(subscriber.message("a/big"), payload, "retained");
    let mut device = Client::new(address, "device", Some(("a/status", "offline")));
    device.publish("a/status", b"online");
    assert_eq!(subscriber.message("a/status"), b"online");
    drop(device);
    assert_eq!(subscriber.message("a/status"), b"offline", "the will");
    let mut late = Client::new(address, "late", None);
    late.subscribe("a/status");
    assert_eq!(
        late.message("a/status"),
        b"offline",
        "the will was retained"
    );
    broker.stop().unwrap();
}

#[test]
fn stopping_it_cuts_every_connection_and_it_starts_again_with_nothing() {
    let (broker, address) = own_broker();
    broker.start().unwrap();
    broker.start().unwrap();
    assert!(broker.is_up());
    Client::new(address, "publisher", None).publish("kept", b"1");
    let mut client = Client::new(address, "client", None);
    broker.stop().unwrap();
    assert!(!broker.is_up());
    assert!(matches!(client.0.read(&mut [0]), Ok(0) | Err(_)));
    TcpStream::connect(address).unwrap_err();
    broker.start().unwrap();
    let mut client = Client::new(address, "client", None);
    client.subscribe("#");
    client.publish("fresh", b"2");
    assert_eq!(
        client.message("fresh"),
        b"2",
        "nothing was kept from before"
    );
    broker.stop().unwrap();
}

#[test]
fn while_the_port_is_taken_it_does_not_start() {
    let (broker, address) = own_broker();
    let taken = TcpListener::bind(address).unwrap();
    std::thread::spawn(move || {
        for stream in taken.incoming().take(1) {
            stream.unwrap().write_all(b"220 this is mail\r\n").unwrap();
        }
    });
    assert!(matches!(broker.start(), Err(BrokerError::Stranger(_))));
    assert!(!broker.is_up());
}

#[test]
fn the_board_starts_it_again_when_it_ends_by_itself() {
    let state = tempdir().unwrap();
    let mut board = Running::start(&state);
    board.until("/broker", true);
    let children = format!("/proc/{0}/task", board.process.id());
    let child = std::fs::read_dir(children)
        .unwrap()
        .filter_map(|task| std::fs::read_to_string(task.unwrap().path().join("children")).ok())
        .find_map(|children| children.split_whitespace().next().map(str::to_owned))
        .unwrap();
    assert!(
        Command::new("kill")
            .args(["-9", &child])
            .status()
            .unwrap()
            .success()
    );
    board.line("the embedded broker ended");
    board.until("/broker", true);
    board.until("/mqtt/state", "online");
}

#[test]
fn the_panel_stops_and_starts_it() {
    let state = tempdir().unwrap();
    let board = Running::start(&state);
    board.until("/mqtt/state", "online");
    let stopped = board.post("/api/broker", r#"{"up":false}"#);
    assert_eq!(
        (stopped.status, &stopped.json()["broker"]),
        (200, &false.into())
    );
    board.until("/mqtt/state", "connecting");
    let started = board.post("/api/broker", r#"{"up":true}"#);
    assert_eq!(
        (started.status, &started.json()["broker"]),
        (200, &true.into())
    );
    board.until("/mqtt/state", "online");
}

#[test]
fn it_ends_with_a_board_that_is_killed_and_the_next_takes_its_port() {
    let state = tempdir().unwrap();
    let broker = free_address();
    for _ in 0..3 {
        let flags = ["--broker", &broker.to_string()];
        let mut board = Running::start_with(state.path(), &flags);
        board.until("/mqtt/state", "online");
        board.process.kill().unwrap();
        board.ended();
    }
    eventually(|| TcpStream::connect(broker).is_err(), "the broker's end");
}

/// A broker that was there before the board.
struct Elsewhere(Child);

impl Drop for Elsewhere {
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

#[test]
fn a_broker_on_a_port_that_was_asked_for_is_named_and_a_stranger_too() {
    let (broker, address) = own_broker();
    broker.start().unwrap();
    let state = tempdir().unwrap();
    let flags = |address: &str| {
        let state = state.path().to_str().unwrap().to_owned();
        [
            "--state",
            &state,
            "--panel",
            "off",
            "--portal",
            "127.0.0.1:0",
            "--broker",
            address,
        ]
        .map(str::to_owned)
    };
    let flags = flags(&address.to_string());
    let (status, line) = refused(&flags.each_ref().map(String::as_str));
    assert_eq!(status, Some(2));
    assert!(
        line.contains("another broker") && line.contains("--broker off"),
        "{line}"
    );
    broker.stop().unwrap();
}

#[test]
fn a_broker_on_the_default_port_is_used_and_never_stopped() {
    // The port is the default one on a loopback address of the test's own, so that boards and tests
    // beside this one do not meet.
    let address: SocketAddr = "127.83.0.1:1883".parse().unwrap();
    let program = env!("CARGO_BIN_EXE_bare");
    let mut child = Command::new(program);
    child.args(["embedded-broker", &address.to_string()]);
    let _there = Elsewhere(child.stdin(Stdio::piped()).spawn().unwrap());
    eventually(|| TcpStream::connect(address).is_ok(), "the broker before");
    let state = tempdir().unwrap();
    let board = Running::start_with(state.path(), &["--broker", &address.to_string()]);
    assert_eq!(board.broker, Some(address));
    assert_eq!(board.state()["broker"], true);
    board.until("/mqtt/state", "online");
    let refused = board.post("/api/broker", r#"{"up":false}"#);
    assert_eq!(refused.status, 409);
    assert!(
        refused.json()["error"]
            .as_str()
            .unwrap()
            .contains("not the board's own")
    );
}
