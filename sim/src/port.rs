//! Ports for those who must be told theirs before they listen: real programs, and listeners that come and go.
//!
//! A port comes from below those that systems give to whoever asks for any (Linux: 32,768 and up, macOS and RFC
//! 6335: 49,152 and up), so that no connection and no listener on port 0 takes it between the question and the
//! use, nor while its listener is away. Nobody else in the process gets the same one, and processes start at
//! different places.

use std::io;
use std::net::{IpAddr, Ipv4Addr, TcpListener, UdpSocket};
use std::sync::atomic::{AtomicU32, Ordering};

const FIRST: u32 = 20_000;
const COUNT: u32 = 12_000;

/// A port of 127.0.0.1 that is free for TCP and for UDP.
///
/// # Panics
///
/// When none of the 12,000 is free.
pub fn free() -> u16 {
    free_on(Ipv4Addr::LOCALHOST.into()).expect("one of 12,000 ports is free")
}

/// The same on any address of this machine.
///
/// # Errors
///
/// When the address is not this machine's, or none of the 12,000 is free.
pub fn free_on(address: IpAddr) -> io::Result<u16> {
    static GIVEN: AtomicU32 = AtomicU32::new(0);
    // A prime, so that processes with neighbouring numbers start far apart.
    let start = std::process::id().wrapping_mul(397);
    for _ in 0..COUNT {
        let step = start.wrapping_add(GIVEN.fetch_add(1, Ordering::Relaxed));
        let port = (FIRST + step % COUNT) as u16;
        let free =
            TcpListener::bind((address, port)).and_then(|_| UdpSocket::bind((address, port)));
        match free {
            Ok(_) => return Ok(port),
            Err(error) if error.kind() == io::ErrorKind::AddrInUse => {}
            Err(error) => return Err(error),
        }
    }
    Err(io::ErrorKind::AddrInUse.into())
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::collections::HashSet;

    #[test]
    fn nobody_gets_a_port_twice_nor_one_that_is_in_use() {
        let taken = TcpListener::bind((Ipv4Addr::LOCALHOST, free())).unwrap();
        let taken = taken.local_addr().unwrap().port();
        let given: Vec<u16> = (0..100).map(|_| free()).collect();
        assert!(!given.contains(&taken));
        assert_eq!(given.iter().collect::<HashSet<_>>().len(), 100);
        assert!(given.iter().all(|port| (20_000..32_000).contains(port)));
    }

    #[test]
    fn an_address_of_another_machine_is_an_error() {
        let error = free_on("192.0.2.1".parse().unwrap()).unwrap_err();
        assert_eq!(error.kind(), io::ErrorKind::AddrNotAvailable);
    }
}
