//! Two real stacks and a wire between them, in virtual time.

use std::net::Ipv4Addr;
use std::rc::Rc;

use bluebell::log::Log;
use bluebell::portal::serve_dhcp_and_dns;
use bluebell_network::{Guarded, dhcp};
use edge_nal_embassy::{Udp, UdpBuffers};
use embassy_futures::select::select;
use embassy_net::driver::{HardwareAddress, LinkState};
use embassy_net::{Config, Ipv4Cidr, Stack, StackResources, StaticConfigV4};
use embassy_net_driver_channel as channel;
use embassy_sync::blocking_mutex::raw::NoopRawMutex;
use embassy_sync::signal::Signal;
use embassy_time::Duration;
use sim::tasks::Tasks;
use sim::time::run_virtual;

const FRAME: usize = 1514;
type End = channel::Runner<'static, FRAME>;

pub(crate) const ROUTER: Ipv4Addr = Ipv4Addr::new(10, 0, 0, 1);
/// Longer than the router lends an address.
pub(crate) const LONG: Duration = Duration::from_secs(1200);

/// A stack, and the end of its wire.
fn stack(tasks: &Tasks, number: u8, config: Config) -> (Stack<'static>, End) {
    let memory = Box::leak(Box::new(channel::State::<FRAME, 4, 4>::new()));
    let hardware = HardwareAddress::Ethernet([2, 0, 0, 0, 0, number]);
    let (end, device) = channel::new(memory, hardware);
    let resources = Box::leak(Box::new(StackResources::<6>::new()));
    let (stack, mut runner) = embassy_net::new(Guarded(device), config, resources, number.into());
    tasks.spawn(async move { runner.run().await });
    (stack, end)
}

async fn carry(
    mut from: channel::TxRunner<'static, FRAME>,
    mut to: channel::RxRunner<'static, FRAME>,
    change: fn(&mut [u8]),
) {
    loop {
        let frame = from.tx_buf().await;
        let length = frame.len();
        let copy = &mut to.rx_buf().await[..length];
        copy.copy_from_slice(frame);
        change(copy);
        to.rx_done(length);
        from.tx_done();
    }
}

/// The station that asks for an address, and the router that has one of its own.
pub(crate) fn station_and_router(tasks: &Tasks) -> (Stack<'static>, Stack<'static>) {
    station_and_strange_router(tasks, |_| ())
}

/// The same, and what the router sends is changed on its way.
pub(crate) fn station_and_strange_router(
    tasks: &Tasks,
    change: fn(&mut [u8]),
) -> (Stack<'static>, Stack<'static>) {
    let (station, first) = stack(tasks, 1, Config::dhcpv4(dhcp()));
    let (router, second) = stack(tasks, 2, fixed(ROUTER));
    let (first_state, first_receive, first_send) = first.split();
    let (second_state, second_receive, second_send) = second.split();
    first_state.set_link_state(LinkState::Up);
    second_state.set_link_state(LinkState::Up);
    tasks.spawn(carry(first_send, second_receive, |_| ()));
    tasks.spawn(carry(second_send, first_receive, change));
    (station, router)
}

pub(crate) fn fixed(address: Ipv4Addr) -> Config {
    Config::ipv4_static(StaticConfigV4 {
        address: Ipv4Cidr::new(address, 24),
        gateway: None,
        dns_servers: Default::default(),
    })
}

/// Lets the router lend addresses until it is told to stop.
pub(crate) fn lend_addresses(
    tasks: &Tasks,
    router: Stack<'static>,
) -> Rc<Signal<NoopRawMutex, ()>> {
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

pub(crate) fn run(story: impl AsyncFnOnce(&Tasks)) {
    let tasks = Tasks::new();
    run_virtual(async { select(tasks.run(), story(&tasks)).await });
}
