//! A broker that answers what it must and counts what is published: what a client can do against it is not
//! limited by a broker's own work.

use std::io::{Read, Write};
use std::net::{Ipv4Addr, SocketAddr, TcpListener, TcpStream};
use std::time::{Duration, Instant};

use crate::process::Failure;

/// How long the sink waits for the next bytes.
const PATIENCE: Duration = Duration::from_secs(20);

/// Where a client is awaited.
pub(crate) struct Sink {
    listener: TcpListener,
}

/// A client at the sink.
pub(crate) struct Client {
    stream: TcpStream,
    bytes: Vec<u8>,
    version_5: bool,
    subscriptions: usize,
    published: usize,
    /// When it had connected, or was told to publish.
    begin: Instant,
}

impl Sink {
    pub(crate) fn new() -> Result<Self, Failure> {
        let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0));
        let listener = listener.map_err(|error| error.to_string())?;
        Ok(Self { listener })
    }

    pub(crate) fn address(&self) -> Result<SocketAddr, Failure> {
        self.listener
            .local_addr()
            .map_err(|error| error.to_string())
    }

    /// Takes the next client.
    pub(crate) fn accept(&self) -> Result<Client, Failure> {
        let accept = || {
            let (stream, _) = self.listener.accept()?;
            stream.set_nodelay(true)?;
            stream.set_read_timeout(Some(PATIENCE))?;
            Ok(stream)
        };
        let stream = accept().map_err(|error: std::io::Error| error.to_string())?;
        Ok(Client {
            stream,
            bytes: Vec::new(),
            version_5: false,
            subscriptions: 0,
            published: 0,
            begin: Instant::now(),
        })
    }
}

impl Client {
    /// Serves the client until it has subscribed to so many topics.
    pub(crate) fn subscribed(&mut self, topics: usize) -> Result<(), Failure> {
        while self.subscriptions < topics {
            self.serve()?;
        }
        Ok(())
    }

    /// Sends it a message, from which on it is timed.
    pub(crate) fn tell(&mut self, topic: &str, payload: &[u8]) -> Result<(), Failure> {
        let packet = publication(topic, payload, self.version_5);
        self.begin = Instant::now();
        let sent = self.stream.write_all(&packet);
        sent.map_err(|error| error.to_string())
    }

    /// Serves it until it has published so many, and returns how long that took.
    pub(crate) fn count(&mut self, messages: usize) -> Result<Duration, Failure> {
        self.published = 0;
        while self.published < messages {
            self.serve()?;
        }
        Ok(self.begin.elapsed())
    }

    fn serve(&mut self) -> Result<(), Failure> {
        let mut piece = [0; 64 * 1024];
        let count = self.stream.read(&mut piece);
        let count = count.map_err(|error| format!("a client is silent: {error}"))?;
        if count == 0 {
            return Err("a client has left early".into());
        }
        self.bytes.extend_from_slice(&piece[..count]);
        let mut answers = Vec::new();
        let mut at = 0;
        while let Some((first, body, end)) = packet(&self.bytes[at..]) {
            let packet = &self.bytes[at..at + end];
            match first >> 4 {
                1 => {
                    // The name of the protocol has four letters in both versions.
                    self.version_5 = packet.get(body + 6) == Some(&5);
                    let answer: &[u8] = match self.version_5 {
                        true => &[0x20, 3, 0, 0, 0],
                        false => &[0x20, 2, 0, 0],
                    };
                    answers.extend_from_slice(answer);
                }
                3 => {
                    let topic = usize::from(u16::from_be_bytes([packet[body], packet[body + 1]]));
                    // A device's own status and heartbeat are not counted.
                    if packet[body + 2..].starts_with(b"bench/") {
                        self.published += 1;
                    }
                    if first & 0x06 == 0x02 {
                        let id = body + 2 + topic;
                        answers.extend_from_slice(&[0x40, 2, packet[id], packet[id + 1]]);
                    }
                }
                8 => {
                    let topics = self.topics(&packet[body..]);
                    self.subscriptions += topics;
                    let properties = usize::from(self.version_5);
                    answers.extend_from_slice(&[0x90, (2 + properties + topics) as u8]);
                    answers.extend_from_slice(&packet[body..body + 2]);
                    answers.resize(answers.len() + properties + topics, 0);
                }
                12 => answers.extend_from_slice(&[0xd0, 0]),
                _ => {}
            }
            at += end;
        }
        self.bytes.drain(..at);
        if !answers.is_empty() {
            let sent = self.stream.write_all(&answers);
            sent.map_err(|error| error.to_string())?;
        }
        Ok(())
    }

    /// How many topics a SUBSCRIBE asks for.
    fn topics(&self, body: &[u8]) -> usize {
        let mut at = 2;
        if self.version_5 {
            at += 1 + body.get(2).map_or(0, |length| usize::from(*length));
        }
        let mut topics = 0;
        while let Some(&[high, low]) = body.get(at..at + 2) {
            at += 2 + usize::from(u16::from_be_bytes([high, low])) + 1;
            topics += 1;
        }
        topics
    }
}

/// A QoS 0 PUBLISH.
pub(crate) fn publication(topic: &str, payload: &[u8], version_5: bool) -> Vec<u8> {
    let length = 2 + topic.len() + usize::from(version_5) + payload.len();
    let mut packet = vec![0x30, length as u8, 0, topic.len() as u8];
    packet.extend_from_slice(topic.as_bytes());
    if version_5 {
        packet.push(0);
    }
    packet.extend_from_slice(payload);
    packet
}

/// The first byte of a whole packet, where its body begins and where it ends.
fn packet(bytes: &[u8]) -> Option<(u8, usize, usize)> {
    let first = *bytes.first()?;
    let mut length = 0;
    for (index, byte) in bytes.iter().skip(1).take(4).enumerate() {
        length |= usize::from(byte & 0x7f) << (7 * index);
        if byte & 0x80 == 0 {
            let body = index + 2;
            return (bytes.len() >= body + length).then_some((first, body, body + length));
        }
    }
    None
}
