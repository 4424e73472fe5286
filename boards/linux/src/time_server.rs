//! A time server on the loopback address, which tells the machine's own clock by SNTP (RFC 4330).
//!
//! Guarantees: a device finds the time without any network beyond this machine; anything that is no
//! request is ignored.

use std::io;
use std::net::{Ipv4Addr, SocketAddr, UdpSocket};
use std::time::{Duration, SystemTime, UNIX_EPOCH};

/// Seconds from the NTP era 0 of 1900 to 1970.
const NTP_UNIX_OFFSET: u64 = 2_208_988_800;
const PACKET: usize = 48;

/// Starts the server on a free port, from a thread of its own, until the process ends.
///
/// # Errors
///
/// When no port of the loopback address is free.
pub fn start() -> io::Result<SocketAddr> {
    let socket = UdpSocket::bind((Ipv4Addr::LOCALHOST, 0))?;
    let address = socket.local_addr()?;
    std::thread::Builder::new()
        .name("time server".into())
        .spawn(move || serve(&socket))?;
    Ok(address)
}

fn serve(socket: &UdpSocket) {
    let mut packet = [0; 512];
    loop {
        match socket.recv_from(&mut packet) {
            Ok((length, client)) => {
                if let Some(answer) = reply(&packet[..length], SystemTime::now()) {
                    // A client that is gone asks no more.
                    let _ = socket.send_to(&answer, client);
                }
            }
            // Such as a port that a client closed before its answer came.
            Err(_) => std::thread::sleep(Duration::from_millis(10)),
        }
    }
}

/// The answer to a client's request; `None` when it is none. RFC 4330, section 6.
fn reply(request: &[u8], now: SystemTime) -> Option<[u8; PACKET]> {
    let first = *request.first()?;
    let (version, mode) = ((first >> 3) & 7, first & 7);
    if request.len() < PACKET || mode != 3 || version == 0 {
        return None;
    }
    let time = timestamp(now);
    let mut answer = [0; PACKET];
    // No leap second, the client's version, mode server.
    answer[0] = (version << 3) | 4;
    // Stratum 1, poll interval as asked, precision of about a microsecond.
    answer[1] = 1;
    answer[2] = request[2];
    answer[3] = 0xec;
    answer[12..16].copy_from_slice(b"LOCL");
    answer[16..24].copy_from_slice(&time);
    answer[24..32].copy_from_slice(&request[40..48]);
    answer[32..40].copy_from_slice(&time);
    answer[40..48].copy_from_slice(&time);
    Some(answer)
}

/// Seconds from 1900, modulo 2^32 as the eras go, and a binary fraction.
fn timestamp(now: SystemTime) -> [u8; 8] {
    let since = now.duration_since(UNIX_EPOCH).unwrap_or_default();
    let seconds = (since.as_secs() + NTP_UNIX_OFFSET) & 0xffff_ffff;
    let fraction = (u64::from(since.subsec_nanos()) << 32) / 1_000_000_000;
    ((seconds << 32) | fraction).to_be_bytes()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_answer_carries_the_request_back_and_the_time() {
        let mut request = [0; PACKET];
        request[0] = 0x23;
        request[40..48].copy_from_slice(b"transmit");
        let now = UNIX_EPOCH + Duration::new(1_000_000_000, 500_000_000);
        let answer = reply(&request, now).unwrap();
        assert_eq!((answer[0], answer[1]), (0x24, 1));
        assert_eq!(&answer[24..32], b"transmit");
        assert_eq!(answer[40..44], 3_208_988_800_u32.to_be_bytes());
        assert_eq!(answer[44..48], [0x80, 0, 0, 0]);
    }

    #[test]
    fn what_is_no_request_is_ignored() {
        let now = SystemTime::now();
        assert!(reply(&[], now).is_none());
        assert!(reply(&[0x23; 47], now).is_none());
        assert!(reply(&[0x24; PACKET], now).is_none());
        assert!(reply(&[0x03; PACKET], now).is_none());
    }

    #[test]
    fn the_server_answers_on_loopback() {
        let server = start().unwrap();
        let client = UdpSocket::bind("127.0.0.1:0").unwrap();
        client
            .set_read_timeout(Some(Duration::from_secs(5)))
            .unwrap();
        client.send_to(b"noise", server).unwrap();
        let mut request = [0; PACKET];
        request[0] = 0x1b;
        client.send_to(&request, server).unwrap();
        let mut answer = [0; 64];
        assert_eq!(client.recv(&mut answer).unwrap(), PACKET);
        assert_eq!(answer[0], 0x1c);
    }
}
