//! Addresses in words.

use core::fmt::{self, Display};
use core::net::SocketAddr;

/// An address with its port, as a link or a log line has it. An IPv6 address has all its eight groups:
/// the standard library's shorter form costs a chip 2 KB of flash, and chips have IPv4.
pub(crate) struct Shown(pub(crate) SocketAddr);

impl Display for Shown {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.0 {
            SocketAddr::V4(address) => write!(formatter, "{}:", address.ip())?,
            SocketAddr::V6(address) => {
                let mut before = '[';
                for group in address.ip().segments() {
                    write!(formatter, "{before}{group:x}")?;
                    before = ':';
                }
                formatter.write_str("]:")?;
            }
        }
        self.0.port().fmt(formatter)
    }
}

#[cfg(test)]
mod tests {
    use std::string::ToString;

    use super::*;

    #[test]
    fn an_address_reads_back_as_itself() {
        for text in ["192.168.4.1:80", "[fe80::1:ff]:1883", "[::]:0"] {
            let address: SocketAddr = text.parse().unwrap();
            assert_eq!(Shown(address).to_string().parse(), Ok(address));
        }
        let address = "192.168.4.1:80".parse().unwrap();
        assert_eq!(Shown(address).to_string(), "192.168.4.1:80");
    }
}
