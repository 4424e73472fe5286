//! What can go wrong for the user of a socket.

use embedded_io_async::ErrorKind;

/// Why an operation on the network failed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum NetworkError {
    /// Nobody listens there, or the listener turned the connection away; try again later.
    Refused,
    /// The other side, or something between, reset the connection; open a new one.
    Reset,
    /// This half of the connection was closed here; open a new one.
    Closed,
    /// This host has no link or no address; wait for the link.
    Unreachable,
    /// Another socket of this host has the port; use another.
    AddressInUse,
    /// The address is not this host's, or not an IPv4 address; use the host's own.
    AddressNotAvailable,
    /// There is no such name; check it.
    NoSuchName,
    /// The name server did not answer in time; try again later.
    NameServerAway,
    /// The datagram is longer than one can be; send a shorter one.
    TooLong,
}

impl core::fmt::Display for NetworkError {
    fn fmt(&self, formatter: &mut core::fmt::Formatter<'_>) -> core::fmt::Result {
        formatter.write_str(match self {
            Self::Refused => "connection refused: nobody accepts it there; try again later",
            Self::Reset => "connection reset by the other side; open a new one",
            Self::Closed => "this half of the connection was closed here; open a new one",
            Self::Unreachable => "this host has no link or no address; wait for the link",
            Self::AddressInUse => "another socket has this port; use another",
            Self::AddressNotAvailable => "not an IPv4 address of this host; use its own",
            Self::NoSuchName => "there is no such name; check it",
            Self::NameServerAway => "the name server did not answer; try again later",
            Self::TooLong => "the datagram is too long; send a shorter one",
        })
    }
}

impl core::error::Error for NetworkError {}

impl embedded_io_async::Error for NetworkError {
    fn kind(&self) -> ErrorKind {
        match self {
            Self::Refused => ErrorKind::ConnectionRefused,
            Self::Reset => ErrorKind::ConnectionReset,
            Self::Closed => ErrorKind::BrokenPipe,
            Self::Unreachable => ErrorKind::NotConnected,
            Self::AddressInUse => ErrorKind::AddrInUse,
            Self::AddressNotAvailable => ErrorKind::AddrNotAvailable,
            Self::NoSuchName => ErrorKind::NotFound,
            Self::NameServerAway => ErrorKind::TimedOut,
            Self::TooLong => ErrorKind::InvalidInput,
        }
    }
}
