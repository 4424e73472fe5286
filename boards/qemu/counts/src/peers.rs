//! Who is on the other ends of the wires: a phone with a browser, and a network with a broker. What they
//! take is not counted.

use core::fmt::Write as _;
use core::net::Ipv4Addr;

use bluebell::log::Log;
use bluebell::portal::serve_dhcp_and_dns;
use edge_nal_embassy::{Udp, UdpBuffers};
use embassy_futures::select::{Either, select};
use embassy_net::tcp::{Error, TcpSocket};
use embassy_net::{IpEndpoint, Stack};
use embassy_sync::blocking_mutex::raw::CriticalSectionRawMutex;
use embassy_sync::signal::Signal;
use heapless::{String, Vec};

/// The device, as the phone finds it.
const PORTAL: Ipv4Addr = Ipv4Addr::new(192, 0, 2, 1);
/// The broker, and the address and name server beside it.
pub(crate) const BROKER: Ipv4Addr = Ipv4Addr::new(10, 0, 0, 1);
const BROKER_PORT: u16 = 1883;

/// Sends a request as a phone does, and returns how long the answer was.
pub(crate) async fn request(stack: Stack<'static>, head: &str, body: &str) -> Result<usize, Error> {
    let (mut receive, mut send) = ([0; 4096], [0; 1024]);
    let mut socket = TcpSocket::new(stack, &mut receive, &mut send);
    let connected = socket.connect(IpEndpoint::new(PORTAL.into(), 80)).await;
    assert!(
        connected.is_ok(),
        "the portal takes no connection: {connected:?}"
    );
    let mut text = String::<512>::new();
    // It fits.
    let _ = write!(
        text,
        "{head} HTTP/1.1\r\nHost: {PORTAL}\r\nConnection: close\r\nAccept-Encoding: gzip\r\n\
         Content-Type: application/x-www-form-urlencoded\r\nContent-Length: {}\r\n\r\n{body}",
        body.len()
    );
    write_all(&mut socket, text.as_bytes()).await?;
    let mut length = 0;
    let mut buffer = [0; 512];
    loop {
        match socket.read(&mut buffer).await? {
            0 => break,
            count => length += count,
        }
    }
    socket.close();
    socket.flush().await?;
    Ok(length)
}

async fn write_all(socket: &mut TcpSocket<'_>, mut bytes: &[u8]) -> Result<(), Error> {
    while !bytes.is_empty() {
        let count = socket.write(bytes).await?;
        bytes = &bytes[count..];
    }
    Ok(())
}

/// Gives the device its address.
pub(crate) async fn serve_addresses(stack: Stack<'static>) {
    let buffers = UdpBuffers::<2, 1024, 1536, 3>::new();
    let mut lines = [0; 256];
    let log = Log::new(&mut lines);
    serve_dhcp_and_dns(&Udp::new(stack, &buffers), BROKER, [67, 53], &log).await;
}

/// What the broker is told, and tells.
pub(crate) struct Post {
    /// A message is to be sent to the device.
    pub(crate) send: Signal<CriticalSectionRawMutex, ()>,
    /// A message of the application has come.
    pub(crate) received: Signal<CriticalSectionRawMutex, ()>,
}

/// The topic of what the application publishes, and of what it is sent.
pub(crate) const PUBLISHED: &str = "garage/temperature";
pub(crate) const SUBSCRIBED: &str = "switches/relay-1/state";

/// A broker for one device: it accepts everything.
pub(crate) async fn broker(stack: Stack<'static>, post: &Post) -> ! {
    let (mut receive, mut send) = ([0; 2048], [0; 2048]);
    loop {
        let mut socket = TcpSocket::new(stack, &mut receive, &mut send);
        if socket.accept(BROKER_PORT).await.is_ok() {
            // The device connects again.
            let _ = converse(&mut socket, post).await;
        }
    }
}

async fn converse(socket: &mut TcpSocket<'_>, post: &Post) -> Result<(), Error> {
    let mut bytes = Vec::<u8, 2048>::new();
    let mut buffer = [0; 512];
    loop {
        while let Some((packet, length)) = Packet::first(&bytes) {
            let answer = packet.answer(post);
            bytes.copy_within(length.., 0);
            bytes.truncate(bytes.len() - length);
            write_all(socket, &answer).await?;
        }
        match select(socket.read(&mut buffer), post.send.wait()).await {
            Either::First(Ok(0)) => return Ok(()),
            Either::First(count) => {
                let fits = bytes.extend_from_slice(&buffer[..count?]);
                assert!(fits.is_ok(), "a packet is longer than the broker takes");
            }
            Either::Second(()) => write_all(socket, &message()).await?,
        }
    }
}

/// `ON` for the application, with QoS 1 (MQTT 5, 3.3).
fn message() -> Vec<u8, 64> {
    let mut packet = Vec::new();
    let length = 2 + SUBSCRIBED.len() + 2 + 1 + 2;
    // They fit.
    let _ = packet.extend_from_slice(&[0x32, length as u8, 0, SUBSCRIBED.len() as u8]);
    let _ = packet.extend_from_slice(SUBSCRIBED.as_bytes());
    let _ = packet.extend_from_slice(&[0, 7, 0]);
    let _ = packet.extend_from_slice(b"ON");
    packet
}

/// A packet from the device.
struct Packet<'a> {
    first: u8,
    body: &'a [u8],
}

impl<'a> Packet<'a> {
    /// The first packet, if it is whole, and its length.
    fn first(bytes: &'a [u8]) -> Option<(Self, usize)> {
        let (&first, rest) = bytes.split_first()?;
        // The remaining length, seven bits a byte, the lowest first (MQTT 5, 1.5.5).
        let (mut length, mut begin) = (0, 0);
        loop {
            let byte = *rest.get(begin)?;
            length |= usize::from(byte & 0x7f) << (7 * begin);
            begin += 1;
            if byte & 0x80 == 0 {
                break;
            }
        }
        let body = rest.get(begin..)?.get(..length)?;
        Some((Self { first, body }, 1 + begin + length))
    }

    fn answer(&self, post: &Post) -> Vec<u8, 32> {
        let mut answer = Vec::new();
        let bytes: &[u8] = match (self.first >> 4, self.body) {
            // CONNECT: accepted, without a session.
            (1, _) => &[0x20, 3, 0, 0, 0],
            // SUBSCRIBE with one filter: granted with QoS 1.
            (8, [high, low, ..]) => &[0x90, 4, *high, *low, 0, 1],
            // PINGREQ
            (12, _) => &[0xd0, 0],
            (3, [high, low, rest @ ..]) => {
                let length = usize::from(u16::from_be_bytes([*high, *low]));
                let (topic, rest) = rest.split_at_checked(length).unwrap_or_default();
                if topic == PUBLISHED.as_bytes() {
                    post.received.signal(());
                }
                match (self.first >> 1 & 3, rest) {
                    (1, [high, low, ..]) => &[0x40, 2, *high, *low],
                    (2, [high, low, ..]) => &[0x50, 2, *high, *low],
                    _ => &[],
                }
            }
            // PUBREL
            (6, [high, low, ..]) => &[0x70, 2, *high, *low],
            _ => &[],
        };
        // It fits.
        let _ = answer.extend_from_slice(bytes);
        answer
    }
}
