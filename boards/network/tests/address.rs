//! The station's address, over two real stacks and a wire between them, in virtual time.

use std::net::Ipv4Addr;
use std::rc::Rc;

use bluebell::log::Log;
use bluebell::portal::serve_dhcp_and_dns;
use bluebell_network::Address;
use edge_nal_embassy::{Udp, UdpBuffers};
use embassy_futures::select::select;
use embassy_net::driver::{HardwareAddress, LinkState};
use embassy_net::{Config, ConfigV4, DhcpConfig, Ipv4Cidr, Stack, StackResources, StaticConfigV4};
use embassy_net_driver_channel as channel;
use embassy_sync::blocking_mutex::raw::NoopRawMutex;
use embassy_sync::signal::Signal;
use embassy_time::{Duration, Timer, with_timeout};
use sim::tasks::Tasks;
use sim::time::run_virtual;

const FRAME: usize = 1514;
type End = channel::Runner<'static, FRAME>;

const ROUTER: Ipv4Addr = Ipv4Addr::new(10, 0, 0, 1);
/// Longer than the router lends an address.
const LONG: Duration = Duration::from_secs(1200);

/// A stack, and the end of its wire.
fn stack(tasks: &Tasks, number: u8, config: Config) -> (Stack<'static>, End) {
    let memory = Box::leak(Box::new(channel::State::<FRAME, 4, 4>::new()));
    let hardware = HardwareAddress::Ethernet([2, 0, 0, 0, 0, number]);
    let (end, device) = channel::new(memory, hardware);
    let resources = Box::leak(Box::new(StackResources::<6>::new()));
    let (stack, mut runner) = embassy_net::new(device, config, resources, number.into());
    tasks.spawn(async move { runner.run().await });
    (stack, end)
}

async fn carry(
    mut from: channel::TxRunner<'static, FRAME>,
    mut to: channel::RxRunner<'static, FRAME>,
) {
    loop {
        let frame = from.tx_buf().await;
        let length = frame.len();
        to.rx_buf().await[..length].copy_from_slice(frame);
        to.rx_done(length);
        from.tx_done();
    }
}

/// The station that asks for an address, and the router that has one of its own.
fn station_and_router(tasks: &Tasks) -> (Stack<'static>, Stack<'static>) {
    let (station, first) = stack(tasks, 1, Config::dhcpv4(DhcpConfig::default()));
    let (router, second) = stack(tasks, 2, fixed(ROUTER));
    let (first_state, first_receive, first_send) = first.split();
    let (second_state, second_receive, second_send) = second.split();
    first_state.set_link_state(LinkState::Up);
    second_state.set_link_state(LinkState::Up);
    tasks.spawn(carry(first_send, second_receive));
    tasks.spawn(carry(second_send, first_receive));
    (station, router)
}

fn fixed(address: Ipv4Addr) -> Config {
    Config::ipv4_static(StaticConfigV4 {
        address: Ipv4Cidr::new(address, 24),
        gateway: None,
        dns_servers: Default::default(),
    })
}

/// Lets the router lend addresses until it is told to stop.
fn lend_addresses(tasks: &Tasks, router: Stack<'static>) -> Rc<Signal<NoopRawMutex, ()>> {
    let stop = Rc::new(Signal::new());
    let stopped = stop.clone();
    tasks.spawn(async move {
        let buffers = UdpBuffers::<2, 1024, 1536, 3>::new();
        let mut lines = [0; 256];
        let log = Log::new(&mut lines);
        let udp = Udp::new(router, &buffers);
        let lending = serve_dhcp_and_dns(&udp, ROUTER, [67, 53], &log);
        select(lending, stopped.wait()).await;
    });
    stop
}

fn run(story: impl AsyncFnOnce(&Tasks)) {
    let tasks = Tasks::new();
    run_virtual(async { select(tasks.run(), story(&tasks)).await });
}

#[test]
fn an_address_is_lost_when_its_lease_is_not_renewed_any_more() {
    run(async |tasks| {
        let (station, router) = station_and_router(tasks);
        let mut address = Address::new(station);
        let stop = lend_addresses(tasks, router);
        assert_eq!(address.given().await.octets()[..3], ROUTER.octets()[..3]);
        let lost = with_timeout(LONG, address.lost()).await;
        assert!(lost.is_err(), "it was lost though the router renews it");
        stop.signal(());
        let lost = with_timeout(LONG, address.lost()).await;
        assert!(lost.is_ok(), "it is not lost though nobody renews it");
        let lost = with_timeout(LONG, address.lost()).await;
        assert!(lost.is_ok(), "the loss is not told again");
    });
}

#[test]
fn an_address_in_the_place_of_another_is_a_loss_too() {
    run(async |tasks| {
        let (station, _router) = station_and_router(tasks);
        let mut address = Address::new(station);
        let put = |last| {
            let config = fixed(Ipv4Addr::new(10, 0, 0, last));
            station.set_config_v4(config.ipv4);
        };
        put(7);
        assert_eq!(address.given().await, Ipv4Addr::new(10, 0, 0, 7));
        put(8);
        assert!(with_timeout(LONG, address.lost()).await.is_ok());
    });
}

#[test]
fn nothing_is_lost_before_an_address_was_given_nor_after_the_network_was_left() {
    run(async |tasks| {
        let (station, router) = station_and_router(tasks);
        let mut address = Address::new(station);
        assert!(with_timeout(LONG, address.lost()).await.is_err());
        lend_addresses(tasks, router);
        address.given().await;
        select(address.left(), async {
            Timer::after(Duration::from_millis(10)).await;
            station.set_config_v4(ConfigV4::None);
        })
        .await;
        assert!(with_timeout(LONG, address.lost()).await.is_err());
    });
}
