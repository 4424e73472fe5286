//! Who sits on the broker's port?

use std::io::{self, Read, Write};
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr, TcpListener, TcpStream};
use std::time::{Duration, Instant};

/// What was found on a port.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Found {
    /// Nobody.
    Free,
    /// A broker that speaks MQTT 5.
    Broker,
    /// A broker that speaks older versions only.
    OldBroker,
    /// Something that is no broker, or does not answer.
    Stranger,
}

/// MQTT 5.0, section 3.1: CONNECT with clean start, keep alive 10 s and an empty client identifier.
const CONNECT: [u8; 15] = [
    0x10, 13, 0, 4, b'M', b'Q', b'T', b'T', 5, 0x02, 0, 10, 0, 0, 0,
];
/// MQTT 5.0, section 3.14: DISCONNECT, normal.
const DISCONNECT: [u8; 2] = [0xe0, 0];
const CONNACK: u8 = 0x20;
/// MQTT 3.1.1, section 3.2: its CONNACK has two bytes after the header, that of MQTT 5 has three or more.
const OLD_LENGTH: u8 = 2;

/// Looks whether `address` can be listened on; for as long as `patience` lasts, a program that is
/// just ending may keep it.
///
/// # Errors
///
/// When the address is none to listen on.
pub(super) fn look(address: SocketAddr, patience: Duration) -> io::Result<Found> {
    let begun = Instant::now();
    loop {
        match TcpListener::bind(address) {
            Ok(_) => return Ok(Found::Free),
            Err(error) if error.kind() != io::ErrorKind::AddrInUse => return Err(error),
            Err(_) if begun.elapsed() < patience => {
                std::thread::sleep(Duration::from_millis(10));
            }
            Err(_) => return Ok(greet(reachable(address)).unwrap_or(Found::Stranger)),
        }
    }
}

/// Where a server on `address` is reached from this machine.
pub(super) fn reachable(address: SocketAddr) -> SocketAddr {
    let ip = match address.ip() {
        IpAddr::V4(Ipv4Addr::UNSPECIFIED) => Ipv4Addr::LOCALHOST.into(),
        IpAddr::V6(Ipv6Addr::UNSPECIFIED) => Ipv6Addr::LOCALHOST.into(),
        ip => ip,
    };
    SocketAddr::new(ip, address.port())
}

fn greet(address: SocketAddr) -> io::Result<Found> {
    let limit = Duration::from_secs(1);
    let mut stream = TcpStream::connect_timeout(&address, limit)?;
    stream.set_read_timeout(Some(limit))?;
    stream.write_all(&CONNECT)?;
    let mut header = [0; 2];
    stream.read_exact(&mut header)?;
    let found = match header {
        [CONNACK, OLD_LENGTH] => Found::OldBroker,
        [CONNACK, _] => Found::Broker,
        _ => Found::Stranger,
    };
    // A courtesy; the connection is dropped anyway.
    let _ = stream.write_all(&DISCONNECT);
    Ok(found)
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A server that answers its first client with `answer`.
    fn server(answer: &'static [u8]) -> SocketAddr {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let address = listener.local_addr().unwrap();
        std::thread::spawn(move || {
            let (mut stream, _) = listener.accept().unwrap();
            let mut request = [0; CONNECT.len()];
            stream.read_exact(&mut request).unwrap();
            assert_eq!(request, CONNECT);
            stream.write_all(answer).unwrap();
            let _ = stream.read(&mut [0]);
        });
        address
    }

    #[test]
    fn who_sits_on_a_port_is_told_by_its_answer() {
        for (answer, found) in [
            (&[0x20, 3, 0, 0, 0][..], Found::Broker),
            (&[0x20, 3, 0, 0x87, 0], Found::Broker),
            (&[0x20, 2, 0, 1], Found::OldBroker),
            (b"HTTP/1.1 400 Bad Request\r\n", Found::Stranger),
            (&[], Found::Stranger),
        ] {
            assert_eq!(look(server(answer), Duration::ZERO).unwrap(), found);
        }
    }

    #[test]
    fn a_port_that_gets_free_in_time_is_free() {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let address = listener.local_addr().unwrap();
        let ending = std::thread::spawn(move || {
            std::thread::sleep(Duration::from_millis(50));
            drop(listener);
        });
        assert_eq!(look(address, Duration::from_secs(30)).unwrap(), Found::Free);
        ending.join().unwrap();
    }

    #[test]
    fn an_address_of_another_machine_is_an_error() {
        look("192.0.2.1:1883".parse().unwrap(), Duration::ZERO).unwrap_err();
    }
}
