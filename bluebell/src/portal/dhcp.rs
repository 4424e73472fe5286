//! The address server of the access point (DHCP, RFC 2131).
//!
//! Guarantees: a client gets an address of the access point's network, with the portal as router,
//! name server and captive portal; it keeps the same one while it comes back; at most eight clients
//! have one at a time, and those that stay away make room within minutes.
//!
//! Option 114 (RFC 8910) names the captive portal's API, which is `/captive.json` here. RFC 8908 asks for
//! HTTPS, for which a device without a name of its own gets no certificate: a client that insists (as
//! Android does) passes over it and asks its own questions, which are answered as well.
//!
//! This is ours although `edge-dhcp` exists: that one takes the broadcast bit from the wrong byte,
//! refuses every packet with an option that it cannot read (a host name that is not UTF-8, padding),
//! offers a declined address again, and costs 7 KB of flash more.

use core::fmt::Write;
use core::net::{IpAddr, Ipv4Addr, SocketAddr};

use heapless::String;

use super::datagram::{DATAGRAM, Datagram};
use super::router::API;
use crate::pieces::put;

/// The longest packet that is read: what a client must be able to take (RFC 2131, 2), and some more.
const PACKET: usize = DATAGRAM;
/// How many clients have an address at a time.
const LEASES: usize = 8;
/// How long an address is lent.
const LEASE_SECONDS: u32 = 600;

/// The fields of a packet that matter here (RFC 2131, figure 1).
mod at {
    use core::ops::Range;

    pub(super) const OPERATION: usize = 0;
    pub(super) const HARDWARE: Range<usize> = 1..3;
    pub(super) const HOPS: usize = 3;
    pub(super) const SECONDS: Range<usize> = 8..10;
    pub(super) const CLIENT_ADDRESS: Range<usize> = 12..16;
    pub(super) const YOUR_ADDRESS: Range<usize> = 16..20;
    pub(super) const SERVER_ADDRESS: Range<usize> = 20..24;
    pub(super) const RELAY_ADDRESS: Range<usize> = 24..28;
    pub(super) const CLIENT: Range<usize> = 28..34;
    pub(super) const NAMES: Range<usize> = 44..236;
    pub(super) const COOKIE: Range<usize> = 236..240;
    pub(super) const OPTIONS: usize = 240;
}

const COOKIE: [u8; 4] = [99, 130, 83, 99];
/// Ethernet, with addresses of 6 bytes.
const ETHERNET: [u8; 2] = [1, 6];

/// Options by their codes (RFC 2132, RFC 8910).
mod option {
    pub(super) const PAD: u8 = 0;
    pub(super) const SUBNET_MASK: u8 = 1;
    pub(super) const ROUTER: u8 = 3;
    pub(super) const NAME_SERVER: u8 = 6;
    pub(super) const REQUESTED_ADDRESS: u8 = 50;
    pub(super) const LEASE_TIME: u8 = 51;
    pub(super) const MESSAGE_TYPE: u8 = 53;
    pub(super) const SERVER_IDENTIFIER: u8 = 54;
    pub(super) const CAPTIVE_PORTAL: u8 = 114;
    pub(super) const END: u8 = 255;
}

/// Kinds of messages (RFC 2132, 9.6).
mod kind {
    pub(super) const DISCOVER: u8 = 1;
    pub(super) const OFFER: u8 = 2;
    pub(super) const REQUEST: u8 = 3;
    pub(super) const DECLINE: u8 = 4;
    pub(super) const ACKNOWLEDGE: u8 = 5;
    pub(super) const REFUSE: u8 = 6;
    pub(super) const RELEASE: u8 = 7;
    pub(super) const INFORM: u8 = 8;
}

/// An address that is lent.
#[derive(Debug, Clone, Copy)]
struct Lease {
    /// To whom; `None` when a client found it in use by another machine.
    client: Option<[u8; 6]>,
    /// Until when, in seconds.
    until: u64,
}

/// Lends addresses of the network of 256 addresses that the portal is in.
pub(super) struct Lender {
    own: Ipv4Addr,
    url: String<48>,
    /// The lease of the first address, of the second, and so on.
    leases: [Option<Lease>; LEASES],
}

/// What a client is told.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Verdict {
    Offer(Ipv4Addr),
    Lend(Ipv4Addr),
    /// Everything but an address, which it has.
    Inform,
    Refuse,
}

impl Lender {
    /// Nothing is lent yet.
    pub(super) fn new(own: Ipv4Addr) -> Self {
        let mut url = String::new();
        // The longest is `http://255.255.255.255/captive.json`, 35 bytes.
        let _ = write!(url, "http://{own}/{API}");
        Self {
            own,
            url,
            leases: [None; LEASES],
        }
    }

    /// The address in a place of the table; the portal's own is in none.
    fn address(&self, place: usize) -> Ipv4Addr {
        let [first, second, third, last] = self.own.octets();
        let begin = if last < 100 { 100 } else { 50 };
        Ipv4Addr::new(first, second, third, begin + place as u8)
    }

    fn place(&self, address: Ipv4Addr) -> Option<usize> {
        (0..LEASES).find(|place| self.address(*place) == address)
    }

    /// Whether a client may have the address in this place.
    fn is_free(&self, place: usize, client: [u8; 6], now: u64) -> bool {
        self.leases.get(place).is_some_and(|lease| {
            lease.is_none_or(|lease| lease.client == Some(client) || lease.until <= now)
        })
    }

    /// Turns a datagram into its answer of so many bytes, and says to whom that goes; `None` when it gets
    /// none. `now` is in seconds.
    pub(super) fn answer(
        &mut self,
        datagram: &mut Datagram,
        now: u64,
    ) -> Option<(usize, SocketAddr)> {
        let (length, to) = self.reply(&mut datagram.bytes, datagram.length, now)?;
        // A client is told at the port it asks from, which is 68.
        let to = SocketAddr::new(IpAddr::V4(to), datagram.from.port());
        Some((length, to))
    }

    /// Turns the packet of `length` bytes in `buffer` into its answer, and says how long that is and
    /// where it goes; `None` when it gets none. `now` is in seconds.
    fn reply(
        &mut self,
        buffer: &mut [u8; PACKET],
        length: usize,
        now: u64,
    ) -> Option<(usize, Ipv4Addr)> {
        let packet = buffer.get(..length)?;
        let asked = Asked::read(packet)?;
        let verdict = self.decide(&asked, now)?;
        // Only who has an address already can be reached at it.
        let to = match verdict == Verdict::Refuse || asked.address.is_unspecified() {
            true => Ipv4Addr::BROADCAST,
            false => asked.address,
        };
        Some((self.write(buffer, verdict)?, to))
    }

    /// Decides what a client is told (RFC 2131, 4.3).
    fn decide(&mut self, asked: &Asked, now: u64) -> Option<Verdict> {
        let client = asked.client;
        let for_another = asked.server.is_some_and(|server| server != self.own);
        let mine = |lease: &Option<Lease>| lease.is_some_and(|lease| lease.client == Some(client));
        match asked.kind {
            _ if for_another => None,
            kind::DISCOVER => {
                let wanted = asked.requested.and_then(|address| self.place(address));
                let never_lent = || self.leases.iter().position(Option::is_none);
                let ended = || (0..LEASES).find(|place| self.is_free(*place, client, now));
                let place = (self.leases.iter().position(mine))
                    .or(wanted.filter(|place| self.is_free(*place, client, now)))
                    .or_else(never_lent)
                    .or_else(ended)?;
                Some(Verdict::Offer(self.address(place)))
            }
            kind::REQUEST => {
                let known = Some(asked.address).filter(|address| !address.is_unspecified());
                let address = asked.requested.or(known)?;
                let place = self.place(address);
                let Some(place) = place.filter(|place| self.is_free(*place, client, now)) else {
                    return Some(Verdict::Refuse);
                };
                self.forget(client);
                let until = now.saturating_add(u64::from(LEASE_SECONDS));
                *self.leases.get_mut(place)? = Some(Lease {
                    client: Some(client),
                    until,
                });
                Some(Verdict::Lend(address))
            }
            kind::RELEASE => {
                self.forget(client);
                None
            }
            kind::DECLINE => {
                if let Some(lease) = self.leases.iter_mut().find(|lease| mine(lease)) {
                    let until = now.saturating_add(u64::from(LEASE_SECONDS));
                    *lease = Some(Lease {
                        client: None,
                        until,
                    });
                }
                None
            }
            kind::INFORM => Some(Verdict::Inform),
            _ => None,
        }
    }

    fn forget(&mut self, client: [u8; 6]) {
        for lease in &mut self.leases {
            if lease.is_some_and(|lease| lease.client == Some(client)) {
                *lease = None;
            }
        }
    }

    /// Writes the answer over the request, whose transaction, client and flags stay; returns its
    /// length.
    fn write(&self, buffer: &mut [u8; PACKET], verdict: Verdict) -> Option<usize> {
        let (message, address) = match verdict {
            Verdict::Offer(address) => (kind::OFFER, Some(address)),
            Verdict::Lend(address) => (kind::ACKNOWLEDGE, Some(address)),
            Verdict::Inform => (kind::ACKNOWLEDGE, None),
            Verdict::Refuse => (kind::REFUSE, None),
        };
        buffer[at::OPERATION] = 2;
        buffer[at::HOPS] = 0;
        buffer[at::SECONDS].fill(0);
        if message != kind::ACKNOWLEDGE {
            buffer[at::CLIENT_ADDRESS].fill(0);
        }
        let yours = address.unwrap_or(Ipv4Addr::UNSPECIFIED);
        buffer[at::YOUR_ADDRESS].copy_from_slice(&yours.octets());
        buffer[at::SERVER_ADDRESS].fill(0);
        buffer[at::NAMES].fill(0);
        buffer[at::OPTIONS..].fill(option::PAD);
        let own = self.own.octets();
        let mut length = at::OPTIONS;
        // At most 3 + 6 x 6 + 2 + 35 bytes.
        let mut add = |code: u8, value: &[u8]| {
            let room = buffer.get_mut(length..)?;
            length += put(room, &[&[code, value.len() as u8], value])?;
            Some(())
        };
        add(option::MESSAGE_TYPE, &[message])?;
        add(option::SERVER_IDENTIFIER, &own)?;
        if address.is_some() {
            add(option::LEASE_TIME, &LEASE_SECONDS.to_be_bytes())?;
        }
        if verdict != Verdict::Refuse {
            add(option::SUBNET_MASK, &[255, 255, 255, 0])?;
            add(option::ROUTER, &own)?;
            add(option::NAME_SERVER, &own)?;
            add(option::CAPTIVE_PORTAL, self.url.as_bytes())?;
        }
        *buffer.get_mut(length)? = option::END;
        // Some old clients want the length that BOOTP had (RFC 1542, 2.1).
        Some((length + 1).max(300))
    }
}

/// What a client has said.
#[derive(Debug, Clone, Copy)]
struct Asked {
    kind: u8,
    client: [u8; 6],
    /// The address that it has.
    address: Ipv4Addr,
    requested: Option<Ipv4Addr>,
    server: Option<Ipv4Addr>,
}

impl Asked {
    /// `None` when it is not a client's packet; there is no relay between the portal and a client.
    fn read(packet: &[u8]) -> Option<Self> {
        let mut rest = packet.get(at::OPTIONS..)?;
        let field = |range: core::ops::Range<usize>| <[u8; 4]>::try_from(&packet[range]).ok();
        if packet[at::OPERATION] != 1
            || packet[at::HARDWARE] != ETHERNET
            || packet[at::COOKIE] != COOKIE
            || field(at::RELAY_ADDRESS)? != [0; 4]
        {
            return None;
        }
        let mut message = None;
        let mut requested = None;
        let mut server = None;
        loop {
            match rest {
                [] | [option::END, ..] => break,
                [option::PAD, after @ ..] => rest = after,
                [code, length, after @ ..] => {
                    let (value, after) = after.split_at_checked(usize::from(*length))?;
                    let address = || <[u8; 4]>::try_from(value).ok().map(Ipv4Addr::from);
                    match *code {
                        option::MESSAGE_TYPE => {
                            message = message.or(<[u8; 1]>::try_from(value).ok());
                        }
                        option::REQUESTED_ADDRESS => requested = requested.or_else(address),
                        option::SERVER_IDENTIFIER => server = server.or_else(address),
                        _ => {}
                    }
                    rest = after;
                }
                [_] => return None,
            }
        }
        Some(Self {
            kind: message?[0],
            client: packet[at::CLIENT].try_into().ok()?,
            address: field(at::CLIENT_ADDRESS)?.into(),
            requested,
            server,
        })
    }
}

#[cfg(test)]
#[path = "dhcp_tests.rs"]
mod tests;
