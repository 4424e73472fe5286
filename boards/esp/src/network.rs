//! Two network stacks: one where the broker is, one where the person with the phone is.

use core::net::{IpAddr, Ipv4Addr, SocketAddr};

use edge_nal::{AddrType, TcpBind, TcpConnect, UdpBind};
use edge_nal_embassy::{Dns, DnsError, Tcp, TcpAccept, TcpBuffers, TcpError, TcpSocket};
use edge_nal_embassy::{Udp, UdpBuffers, UdpError, UdpSocket};
use embassy_executor::Spawner;
use embassy_net::{Config, Ipv4Cidr, Runner, Stack, StackResources, StaticConfigV4};
use esp_radio::wifi::Interface;
use static_cell::StaticCell;

/// The device's address on its own access point.
pub(crate) const PORTAL: Ipv4Addr = Ipv4Addr::new(192, 168, 4, 1);
const PORTAL_PREFIX: u8 = 24;

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

static STATION_TCP_BUFFERS: Pool<TcpBuffers<STATION_TCP, 1460, 1460>> = Pool(TcpBuffers::new());
static STATION_UDP_BUFFERS: Pool<UdpBuffers<STATION_UDP, 256, 256, 2>> = Pool(UdpBuffers::new());
static PORTAL_TCP_BUFFERS: Pool<TcpBuffers<PORTAL_TCP, 2048, 1024>> = Pool(TcpBuffers::new());
static PORTAL_UDP_BUFFERS: Pool<UdpBuffers<PORTAL_UDP, 1024, 1536, 3>> = Pool(UdpBuffers::new());

/// Where the broker, the time server and name servers are.
pub struct Station {
    tcp: Tcp<'static>,
    udp: Udp<'static>,
    dns: Dns<'static>,
}

/// Where the person with the phone is.
pub struct Portal {
    tcp: Tcp<'static>,
    udp: Udp<'static>,
}

/// Starts both stacks. The first result is the station's.
pub(crate) fn start(spawner: Spawner, seed: u64) -> (Stack<'static>, Station, Portal) {
    static STATION: StaticCell<StackResources<STATION_SOCKETS>> = StaticCell::new();
    static ACCESS_POINT: StaticCell<StackResources<PORTAL_SOCKETS>> = StaticCell::new();

    let (station, runner) = embassy_net::new(
        Interface::station(),
        Config::dhcpv4(embassy_net::DhcpConfig::default()),
        STATION.init_with(StackResources::new),
        seed,
    );
    spawn(spawner, runner);
    let (portal, runner) = embassy_net::new(
        Interface::access_point(),
        Config::ipv4_static(StaticConfigV4 {
            address: Ipv4Cidr::new(PORTAL, PORTAL_PREFIX),
            gateway: None,
            dns_servers: Default::default(),
        }),
        ACCESS_POINT.init_with(StackResources::new),
        seed.rotate_left(32),
    );
    spawn(spawner, runner);
    (
        station,
        Station {
            tcp: Tcp::new(station, &STATION_TCP_BUFFERS.0),
            udp: Udp::new(station, &STATION_UDP_BUFFERS.0),
            dns: Dns::new(station),
        },
        Portal {
            tcp: Tcp::new(portal, &PORTAL_TCP_BUFFERS.0),
            udp: Udp::new(portal, &PORTAL_UDP_BUFFERS.0),
        },
    )
}

fn spawn(spawner: Spawner, runner: Runner<'static, Interface>) {
    // The pool has room for exactly the two that `start` asks for.
    if let Ok(task) = pump(runner) {
        spawner.spawn(task);
    }
}

/// Moves packets between the radio and a stack.
#[embassy_executor::task(pool_size = 2)]
async fn pump(mut runner: Runner<'static, Interface>) -> ! {
    runner.run().await
}

impl TcpConnect for Station {
    type Error = TcpError;
    type Socket<'a> = TcpSocket<'a>;

    async fn connect(&self, remote: SocketAddr) -> Result<Self::Socket<'_>, Self::Error> {
        self.tcp.connect(remote).await
    }
}

impl UdpBind for Station {
    type Error = UdpError;
    type Socket<'a> = UdpSocket<'a>;

    async fn bind(&self, local: SocketAddr) -> Result<Self::Socket<'_>, Self::Error> {
        self.udp.bind(local).await
    }
}

impl edge_nal::Dns for Station {
    type Error = DnsError;

    async fn get_host_by_name(&self, host: &str, kind: AddrType) -> Result<IpAddr, Self::Error> {
        self.dns.get_host_by_name(host, kind).await
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
    type Accept<'a> = TcpAccept<'a>;

    async fn bind(&self, local: SocketAddr) -> Result<Self::Accept<'_>, Self::Error> {
        self.tcp.bind(local).await
    }
}

impl UdpBind for Portal {
    type Error = UdpError;
    type Socket<'a> = UdpSocket<'a>;

    async fn bind(&self, local: SocketAddr) -> Result<Self::Socket<'_>, Self::Error> {
        self.udp.bind(local).await
    }
}
