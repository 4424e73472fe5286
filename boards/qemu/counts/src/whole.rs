//! A whole device, from power on to messages, with the two stacks and the framework of a chip; both ends of
//! its wires are in this machine, so that nothing depends on the host. Its tasks are counted, the others'
//! not.

use core::fmt::Write;

use bluebell::board::{Hardware, OwnServers};
use bluebell::device::{self, App, Device};
use bluebell::mqtt::Delivery;
use bluebell_network::{Guarded, Network};
use bluebell_qemu::measure::{end, report};
use embassy_executor::{SpawnError, SpawnToken, Spawner};
use embassy_futures::join::join;
use embassy_net::driver::{HardwareAddress, LinkState};
use embassy_net::{Config, Ipv4Address, Ipv4Cidr, Runner, Stack, StackResources, StaticConfigV4};
use embassy_net_driver_channel as channel;
use embassy_sync::blocking_mutex::raw::CriticalSectionRawMutex;
use embassy_sync::signal::Signal;
use embassy_time::{Duration, Instant, Timer, with_timeout};
use static_cell::StaticCell;

use crate::counting::{Count, counted, counted_until_now};
use crate::parts::{Air, Counted, Machine, Memory, Nobody, SSID};
use crate::peers::{self, BROKER, PUBLISHED, Post, SUBSCRIBED};

/// How long anything takes at the most, its last acknowledgement included. So long is counted.
const WINDOW: Duration = Duration::from_secs(2);
/// How often the device does a little more than in every second. Windows begin at the same time of it.
const ROUND: u64 = 5;
/// How long until all is quiet: the log is on flash, and the access point closed.
const QUIET: Duration = Duration::from_secs(30);

const FRAME: usize = 1514;
type Nic = channel::Device<'static, FRAME>;
type End = channel::Runner<'static, FRAME>;
type Memories = channel::State<FRAME, 4, 4>;

static MACHINE: Machine = Machine::new();
static POST: Post = Post {
    send: Signal::new(),
    received: Signal::new(),
};
/// The application is to publish.
static PUBLISH: Signal<CriticalSectionRawMutex, ()> = Signal::new();
/// The application has got a message.
static GOT: Signal<CriticalSectionRawMutex, ()> = Signal::new();

/// Starts everything.
pub(crate) fn start(spawner: Spawner) {
    static WIRES: StaticCell<[Memories; 4]> = StaticCell::new();

    let [first, second, third, fourth] = WIRES.init([const { Memories::new() }; 4]);
    let end = |memories: &'static mut Memories, number| {
        channel::new(memories, HardwareAddress::Ethernet([2, 0, 0, 0, 0, number]))
    };
    let (station_end, station) = end(first, 1);
    let (network_end, network) = end(second, 2);
    let (portal_end, portal) = end(third, 3);
    let (phone_end, phone) = end(fourth, 4);
    spawn(spawner, cable(station_end, network_end));
    spawn(spawner, cable(portal_end, phone_end));

    let device = Network::start(station, portal, 1);
    for runner in device.runners {
        spawn(spawner, pump_counted(runner));
    }
    let hardware = Hardware {
        radio: Air(device.address),
        flash: Memory::erased(),
        flash_layout: Memory::layout(),
        station: device.station,
        portal: device.portal,
        portal_services: device.services,
        own_servers: OwnServers::default(),
        console: Nobody,
        commands: Nobody,
        system: &MACHINE,
    };
    spawn(spawner, run_device(hardware));

    static NETWORK: StaticCell<StackResources<6>> = StaticCell::new();
    static PHONE: StaticCell<StackResources<3>> = StaticCell::new();
    let (network, runner) = peer(network, BROKER, NETWORK.init_with(StackResources::new));
    spawn(spawner, pump(runner));
    spawn(spawner, addresses(network));
    spawn(spawner, broker(network));
    let address = Ipv4Address::new(192, 0, 2, 2);
    let (phone, runner) = peer(phone, address, PHONE.init_with(StackResources::new));
    spawn(spawner, pump(runner));
    spawn(spawner, conduct(phone));
}

fn spawn<S>(spawner: Spawner, task: Result<SpawnToken<S>, SpawnError>) {
    // There are as many places as are asked for.
    if let Ok(task) = task {
        spawner.spawn(task);
    }
}

/// A stack of somebody else on a wire.
fn peer<const SOCKETS: usize>(
    nic: Nic,
    address: Ipv4Address,
    resources: &'static mut StackResources<SOCKETS>,
) -> (Stack<'static>, Runner<'static, Nic>) {
    let config = Config::ipv4_static(StaticConfigV4 {
        address: Ipv4Cidr::new(address, 24),
        gateway: None,
        dns_servers: Default::default(),
    });
    embassy_net::new(nic, config, resources, 2)
}

/// Carries frames between two network devices.
#[embassy_executor::task(pool_size = 2)]
async fn cable(first: End, second: End) {
    let (first_state, first_receive, first_send) = first.split();
    let (second_state, second_receive, second_send) = second.split();
    first_state.set_link_state(LinkState::Up);
    second_state.set_link_state(LinkState::Up);
    join(
        carry(first_send, second_receive),
        carry(second_send, first_receive),
    )
    .await;
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

#[embassy_executor::task(pool_size = 2)]
async fn pump_counted(mut runner: Runner<'static, Guarded<Nic>>) {
    counted(runner.run()).await;
}

#[embassy_executor::task(pool_size = 2)]
async fn pump(mut runner: Runner<'static, Nic>) {
    runner.run().await;
}

#[embassy_executor::task]
async fn addresses(stack: Stack<'static>) {
    peers::serve_addresses(stack).await;
}

#[embassy_executor::task]
async fn broker(stack: Stack<'static>) {
    peers::broker(stack, &POST).await;
}

#[embassy_executor::task]
async fn run_device(hardware: Hardware<'static, Counted>) {
    static MEMORY: StaticCell<device::Memory> = StaticCell::new();

    let app = App {
        name: "counted",
        config: "[mqtt]\nhost = \"10.0.0.1\"\nkeep_alive = 65535\nheartbeat = 0\n[clock]\nserver = \"\"\n",
        source: "",
        files: &[],
    };
    let device = Device::new(hardware, app, MEMORY.init_with(device::Memory::new))
        .subscribe(SUBSCRIBED, async |_, _| GOT.signal(()))
        .task(async |device| {
            loop {
                PUBLISH.wait().await;
                let published = device.publish_as(PUBLISHED, "21", Delivery::AT_LEAST_ONCE);
                assert!(published.await.is_ok(), "nothing was published");
            }
        });
    counted(device.run()).await;
}

/// Lets happen what is counted, one after the other, as the person with the phone.
#[embassy_executor::task]
async fn conduct(phone: Stack<'static>) {
    Timer::after(QUIET).await;
    let opened = critical_section::with(|section| MACHINE.portal_opened.borrow(section).get());
    let Some(opened) = opened else {
        panic!("the portal did not open");
    };
    report("boot_to_portal", opened);

    let page = async {
        match peers::request(phone, "GET /setup", "").await {
            Ok(length) => assert!(length > 5000, "the page has {length} bytes"),
            Err(error) => panic!("the page was not read: {error:?}"),
        }
    };
    report("page_request", step(page).await);

    let mut form = heapless::String::<64>::new();
    // It fits.
    let _ = write!(form, "ssid={SSID}&password=");
    let connect = peers::request(phone, "POST /connect", &form).await;
    assert!(
        connect.is_ok(),
        "the network was not asked for: {connect:?}"
    );
    Timer::after(QUIET).await;
    let (online, portal) = critical_section::with(|section| {
        let online = MACHINE.online.borrow(section).get();
        (online, MACHINE.portal.borrow(section).get())
    });
    assert!(
        online && !portal,
        "the device is not online, or its portal is open"
    );

    let publish = async {
        PUBLISH.signal(());
        POST.received.wait().await;
    };
    report("mqtt_publish", step(publish).await);
    let receive = async {
        POST.send.signal(());
        GOT.wait().await;
    };
    report("mqtt_receive", step(receive).await);
    end()
}

/// What a step takes, beside what goes on anyway: the seconds and the watchdog.
async fn step(work: impl Future<Output = ()>) -> Count {
    let before = window(async {}).await;
    let busy = window(work).await;
    let after = window(async {}).await;
    let cost = busy.saturating_sub(before.max(after));
    // Else something else has happened beside it.
    assert!(
        before.abs_diff(after) <= cost / 20,
        "the step took {busy}, idling {before} before and {after} after"
    );
    cost
}

/// What is counted within a window of time in which `work` is done.
async fn window(work: impl Future<Output = ()>) -> Count {
    let round = Instant::now().as_secs() / ROUND + 1;
    Timer::at(Instant::from_secs(round * ROUND)).await;
    let (begun, before) = (Instant::now(), counted_until_now());
    let done = with_timeout(WINDOW, work).await;
    let Ok(()) = done else {
        panic!("it took longer than {} s", WINDOW.as_secs());
    };
    Timer::at(begun + WINDOW).await;
    counted_until_now() - before
}
