//! A broker that behaves (MQTT 5.0), just enough of it: it takes packets apart and answers them.

use std::convert::Infallible;

use crate::wire::Link;

/// A PUBLISH of QoS 1.
pub(crate) fn publish(topic: &str, identifier: u16, payload: &[u8]) -> Vec<u8> {
    let mut body = Vec::new();
    body.extend_from_slice(&(topic.len() as u16).to_be_bytes());
    body.extend_from_slice(topic.as_bytes());
    body.extend_from_slice(&identifier.to_be_bytes());
    body.push(0);
    body.extend_from_slice(payload);
    let mut packet = vec![0x32, body.len() as u8];
    packet.append(&mut body);
    packet
}

/// What a broker sends when it has got no acknowledgement of it.
pub(crate) fn repeated(publish: &[u8]) -> Vec<u8> {
    let mut packet = publish.to_vec();
    packet[0] |= 8;
    packet
}

/// The messages of QoS 1 that a broker has sent and that the device has acknowledged on the same connection, if it was in
/// no doubt what it acknowledged: under their identifiers nothing else was sent, and no ping has told the device that
/// the broker has its acknowledgements. Oldest acknowledgement first, with their identifiers.
pub(crate) fn acknowledged(link: &Link) -> Vec<(u16, Vec<u8>)> {
    let (said, output) = (link.said(), link.output.borrow());
    let (sent, answers) = (packets(&said), packets(&output));
    if answers.iter().any(|(kind, _)| kind[0] == 0xC0) {
        return Vec::new();
    }
    let sent: Vec<_> = sent
        .into_iter()
        .filter(|(whole, _)| whole[0] >> 4 == 3 && whole[0] & 6 != 0)
        .filter_map(|(whole, body)| {
            let topic = usize::from(u16::from_be_bytes(*body.first_chunk()?));
            let identifier = u16::from_be_bytes(*body.get(2 + topic..)?.first_chunk()?);
            Some((identifier, whole))
        })
        .collect();
    let acknowledged = answers.iter().filter(|(whole, _)| whole[0] == 0x40);
    acknowledged
        .filter_map(|(_, body)| {
            let identifier = u16::from_be_bytes([body[0], body[1]]);
            let mut all = sent.iter().filter(|(other, _)| *other == identifier);
            let (_, whole) = all.next()?;
            let alone = all.next().is_none() && whole[0] & 6 == 2;
            alone.then(|| (identifier, whole.to_vec()))
        })
        .collect()
}

/// The whole packets of a stream, up to what is none: each with its head, and its body.
fn packets(mut stream: &[u8]) -> Vec<(&[u8], &[u8])> {
    let mut packets = Vec::new();
    while let Some((body, length)) = body(stream) {
        packets.push((&stream[..length], body));
        stream = &stream[length..];
    }
    packets
}

/// One broker's side of one connection.
pub(crate) struct Broker {
    session_present: bool,
    /// How many bytes of the connection's output have been read.
    read: usize,
    welcomed: bool,
    acknowledged: Vec<u16>,
}

impl Broker {
    pub(crate) fn new(session_present: bool) -> Self {
        Self {
            session_present,
            read: 0,
            welcomed: false,
            acknowledged: Vec::new(),
        }
    }

    /// Whether it has taken the device in.
    pub(crate) fn welcomed(&self) -> bool {
        self.welcomed
    }

    /// Whether the device has acknowledged a message of QoS 1.
    pub(crate) fn acknowledged(&self, identifier: u16) -> bool {
        self.acknowledged.contains(&identifier)
    }

    /// Waits until the device has begun to speak, and answers so many packets, or all that it says at once.
    pub(crate) async fn hear(&mut self, link: &Link, packets: usize) {
        link.bell
            .until(|| (!link.output.borrow().is_empty()).then_some(()))
            .await;
        let mut answered = 0;
        while answered < packets {
            // Time stands still while the device has anything to say.
            embassy_time::Timer::after(embassy_time::Duration::from_millis(1)).await;
            match self.next(link) {
                Some(packet) => link.say(&self.answer(&packet)),
                None => return,
            }
            answered += 1;
        }
    }

    /// Answers everything, for ever.
    pub(crate) async fn serve(&mut self, link: &Link) -> Infallible {
        loop {
            let packet = link.bell.until(|| self.next(link)).await;
            link.say(&self.answer(&packet));
        }
    }

    /// The next whole packet of the device: its first byte and its body.
    fn next(&mut self, link: &Link) -> Option<(u8, Vec<u8>)> {
        let output = link.output.borrow();
        let (packet, length) = split(output.get(self.read..)?)?;
        self.read += length;
        Some(packet)
    }

    fn answer(&mut self, (first, body): &(u8, Vec<u8>)) -> Vec<u8> {
        let at = |at: usize| [body[at], body[at + 1]];
        match first >> 4 {
            1 => {
                self.welcomed = true;
                vec![0x20, 3, u8::from(self.session_present), 0, 0]
            }
            3 if first & 6 == 0 => Vec::new(),
            3 => {
                let topic = usize::from(u16::from_be_bytes(at(0)));
                let [high, low] = at(2 + topic);
                vec![if first & 6 == 2 { 0x40 } else { 0x50 }, 2, high, low]
            }
            4 => {
                self.acknowledged.push(u16::from_be_bytes(at(0)));
                Vec::new()
            }
            // A message of QoS 2 that this broker never sent is nothing that it knows of.
            5 => vec![0x62, 3, body[0], body[1], 0x92],
            6 => vec![0x70, 2, body[0], body[1]],
            7 => Vec::new(),
            8 => {
                // Each filter is a text and a byte; every one is granted.
                let mut rest = &body[3..];
                let mut granted = Vec::new();
                while let [high, low, after @ ..] = rest {
                    let length = usize::from(u16::from_be_bytes([*high, *low]));
                    granted.push(after[length] & 3);
                    rest = &after[length + 1..];
                }
                let mut packet = vec![0x90, 3 + granted.len() as u8, body[0], body[1], 0];
                packet.append(&mut granted);
                packet
            }
            12 => vec![0xD0, 0],
            14 => Vec::new(),
            kind => panic!("a packet that no client sends: {kind}"),
        }
    }

    /// All that the device has sent on this connection is packets, each of a kind that a client sends, and nothing
    /// but the last may be cut off.
    pub(crate) fn has_sent_packets(&self, link: &Link) {
        let output = link.output.borrow();
        let mut rest = &output[..];
        let mut first = true;
        while let Some(((kind, body), length)) = split(rest) {
            let flags = kind & 15;
            let fits = match kind >> 4 {
                1 => first && flags == 0 && body.starts_with(b"\0\x04MQTT\x05"),
                3 => flags >> 1 & 3 != 3 && body.len() > 2,
                4 | 5 | 7 => flags == 0 && body.len() >= 2 && body[..2] != [0, 0],
                6 => flags == 2 && body.len() >= 2 && body[..2] != [0, 0],
                8 => flags == 2 && body.len() > 5 && body[..2] != [0, 0],
                12 => flags == 0 && body.is_empty(),
                14 => flags == 0,
                _ => false,
            };
            assert!(
                fits && first == (kind == 0x10),
                "no packet of a client: {kind:#x} {body:x?}"
            );
            first = false;
            rest = &rest[length..];
        }
        assert!(rest.is_empty(), "half a packet was sent: {rest:x?}");
    }
}

/// The device's packet at the start of the bytes, and how long it is with its head.
fn split(bytes: &[u8]) -> Option<((u8, Vec<u8>), usize)> {
    let endless = bytes.len() > 4 && bytes[1..5].iter().all(|byte| byte & 0x80 != 0);
    assert!(!endless, "no length of a packet");
    let (body, length) = body(bytes)?;
    Some(((bytes[0], body.to_vec()), length))
}

/// The body of the packet at the start of the bytes, and how long it is with its head.
fn body(bytes: &[u8]) -> Option<(&[u8], usize)> {
    let mut length = 0;
    for (index, byte) in bytes.get(1..)?.iter().take(4).enumerate() {
        length |= usize::from(byte & 0x7F) << (7 * index);
        if byte & 0x80 == 0 {
            let head = 2 + index;
            return Some((bytes.get(head..head + length)?, head + length));
        }
    }
    None
}
