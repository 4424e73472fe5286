//! Ports for real programs that must be told theirs before they start.
//!
//! A port comes from below those that systems give to whoever asks for any (Linux: 32,768 and up, macOS and RFC
//! 6335: 49,152 and up), so that no connection and no listener on port 0 takes it between the question and the
//! program's start. Nobody else in the process gets the same one, and processes start at different places.

use std::net::{Ipv4Addr, TcpListener, UdpSocket};
use std::sync::atomic::{AtomicU32, Ordering};

const FIRST: u32 = 20_000;
const COUNT: u32 = 12_000;

/// A port of 127.0.0.1 that is free for TCP and for UDP.
///
/// # Panics
///
/// When none of the 12,000 is free.
pub fn free() -> u16 {
    static GIVEN: AtomicU32 = AtomicU32::new(0);
    // A prime, so that processes with neighbouring numbers start far apart.
    let start = std::process::id().wrapping_mul(397);
    (0..COUNT)
        .map(|_| {
            let step = start.wrapping_add(GIVEN.fetch_add(1, Ordering::Relaxed));
            (FIRST + step % COUNT) as u16
        })
        .find(|port| {
            let address = (Ipv4Addr::LOCALHOST, *port);
            TcpListener::bind(address).is_ok() && UdpSocket::bind(address).is_ok()
        })
        .expect("one of 12,000 ports is free")
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
}
