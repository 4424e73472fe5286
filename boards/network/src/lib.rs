//! The two network stacks of a board without an operating system: one where the broker is, one where the
//! person with the phone is. Boards bring the two network devices and run what moves packets between
//! these and the stacks.
#![no_std]

mod address;
mod guard;
mod tcp;

use core::future::{Future, ready};
use core::net::{IpAddr, Ipv4Addr, SocketAddr};

use bluebell::board::PortalServices;
use edge_nal::{AddrType, TcpBind, TcpConnect, UdpBind};
use edge_nal_embassy::{Dns, DnsError, Udp, UdpBuffers, UdpError, UdpSocket};
use embassy_net::driver::Driver;
use embassy_net::{Config, Ipv4Cidr, Runner, StackResources, StaticConfigV4};
use static_cell::{ConstStaticCell, StaticCell};

pub use address::{Address, dhcp};
pub use guard::{Guarded, Looked};
pub use tcp::{Acceptor, Receiving, Sending, Socket, TcpError};
use tcp::{Buffers, Tcp};

/// The device's address on its own access point. Phones that take an answer with a private address for
/// "no internet" open no sign-in window (`bluebell/tests/portal/captive.toml`), so this one is of the
/// network for documentation (RFC 5737): no private one, and nobody's, so that a phone that leaves the
/// access point meanwhile tells a password to nobody.
const PORTAL: Ipv4Addr = Ipv4Addr::new(192, 0, 2, 1);
const PORTAL_PREFIX: u8 = 24;
/// The port of the portal.
const HTTP: u16 = 80;

/// TCP and UDP sockets towards the network, and what the stack takes for DHCP and DNS.
const STATION_TCP: usize = 2;
const STATION_UDP: usize = 2;
const STATION_SOCKETS: usize = STATION_TCP + STATION_UDP + 2;
/// One TCP socket for each seat of the portal; UDP for DHCP and DNS.
const PORTAL_TCP: usize = 4;
const PORTAL_UDP: usize = 2;
const PORTAL_SOCKETS: usize = PORTAL_TCP + PORTAL_UDP + 1;

/// A buffer pool in a static: it counts in cells, and only the device's task uses it.
struct Pool<T>(T);

// SAFETY: the pools are reached through `Station` and `Portal` alone, which are neither `Send` nor
// `Sync` and live in the device's one task.
unsafe impl<T> Sync for Pool<T> {}

static STATION_UDP_BUFFERS: Pool<UdpBuffers<STATION_UDP, 256, 256, 2>> = Pool(UdpBuffers::new());
static PORTAL_UDP_BUFFERS: Pool<UdpBuffers<PORTAL_UDP, 1024, 1536, 3>> = Pool(UdpBuffers::new());

/// Where the broker, the time server and name servers are.
pub struct Station {
    tcp: Tcp<STATION_TCP>,
    udp: Udp<'static>,
    dns: Dns<'static>,
}

/// Where the person with the phone is.
pub struct Portal {
    tcp: Tcp<PORTAL_TCP>,
    udp: Udp<'static>,
}

/// The stacks of a board, and what is to be run for them.
pub struct Network<D: Driver + 'static> {
    /// The station's address, of which the radio tells.
    pub address: Address,
    /// Moves packets between each device and its stack: each to be run in a task of its own, for ever.
    pub runners: [Runner<'static, Guarded<D>>; 2],
    /// What the framework asks of the station's side.
    pub station: Station,
    /// What it asks of the access point's.
    pub portal: Portal,
    /// Where the portal is, and what clients of the access point need.
    pub services: PortalServices,
}

impl<D: Driver + 'static> Network<D> {
    /// Starts both stacks over these devices. `seed` is random; it moves ports and identifiers apart.
    ///
    /// # Panics
    ///
    /// When it is called a second time: the memory is static.
    pub fn start(station: D, access_point: D, seed: u64) -> Self {
        static STATION: StaticCell<StackResources<STATION_SOCKETS>> = StaticCell::new();
        static ACCESS_POINT: StaticCell<StackResources<PORTAL_SOCKETS>> = StaticCell::new();
        static STATION_BUFFERS: ConstStaticCell<[Buffers<1460, 1460>; STATION_TCP]> =
            ConstStaticCell::new([([0; 1460], [0; 1460]); STATION_TCP]);
        static PORTAL_BUFFERS: ConstStaticCell<[Buffers<1024, 2048>; PORTAL_TCP]> =
            ConstStaticCell::new([([0; 1024], [0; 2048]); PORTAL_TCP]);

        let (stack, first) = embassy_net::new(
            Guarded(station),
            Config::dhcpv4(dhcp()),
            STATION.init_with(StackResources::new),
            seed,
        );
        let (portal, second) = embassy_net::new(
            Guarded(access_point),
            Config::ipv4_static(StaticConfigV4 {
                address: Ipv4Cidr::new(PORTAL, PORTAL_PREFIX),
                gateway: None,
                dns_servers: Default::default(),
            }),
            ACCESS_POINT.init_with(StackResources::new),
            seed.rotate_left(32),
        );
        Self {
            address: Address::new(stack),
            runners: [first, second],
            station: Station {
                tcp: Tcp::new(stack, STATION_BUFFERS.take()),
                udp: Udp::new(stack, &STATION_UDP_BUFFERS.0),
                dns: Dns::new(stack),
            },
            portal: Portal {
                tcp: Tcp::new(portal, PORTAL_BUFFERS.take()),
                udp: Udp::new(portal, &PORTAL_UDP_BUFFERS.0),
            },
            services: PortalServices {
                address: SocketAddr::new(IpAddr::V4(PORTAL), HTTP),
                dhcp_and_dns: true,
            },
        }
    }
}

impl TcpConnect for Station {
    type Error = TcpError;
    type Socket<'a> = Socket<'a>;

    fn connect(
        &self,
        remote: SocketAddr,
    ) -> impl Future<Output = Result<Self::Socket<'_>, Self::Error>> {
        self.tcp.connect(remote)
    }
}

impl UdpBind for Station {
    type Error = UdpError;
    type Socket<'a> = UdpSocket<'a>;

    fn bind(
        &self,
        local: SocketAddr,
    ) -> impl Future<Output = Result<Self::Socket<'_>, Self::Error>> {
        self.udp.bind(local)
    }
}

impl edge_nal::Dns for Station {
    type Error = DnsError;

    fn get_host_by_name(
        &self,
        host: &str,
        kind: AddrType,
    ) -> impl Future<Output = Result<IpAddr, Self::Error>> {
        self.dns.get_host_by_name(host, kind)
    }

    async fn get_host_by_address(
        &self,
        _address: IpAddr,
        _result: &mut [u8],
    ) -> Result<usize, Self::Error> {
        // The stack's resolver knows no reverse lookups.
        Err(embassy_net::dns::Error::Failed.into())
    }
}

impl TcpBind for Portal {
    type Error = TcpError;
    type Accept<'a> = Acceptor<'a, PORTAL_TCP>;

    fn bind(
        &self,
        local: SocketAddr,
    ) -> impl Future<Output = Result<Self::Accept<'_>, Self::Error>> {
        ready(Ok(Acceptor {
            tcp: &self.tcp,
            local,
        }))
    }
}

impl UdpBind for Portal {
    type Error = UdpError;
    type Socket<'a> = UdpSocket<'a>;

    fn bind(
        &self,
        local: SocketAddr,
    ) -> impl Future<Output = Result<Self::Socket<'_>, Self::Error>> {
        self.udp.bind(local)
    }
}
