//! `make fleet DEVICES=n BROKER=host:port`: many devices in one process, each online at one broker.
//!
//! Every device is the framework's own, with its configuration, storage, Wi-Fi policy and session, and sends
//! its heartbeat every 5 s; time and sockets are the machine's. On one thread: no device knows of another.
//! Progress goes to standard error each second, and a line of JSON to standard output at the end,
//! which is after `--seconds` of all being online, or Ctrl-C.

mod device;
mod flash;
mod limits;

use std::convert::Infallible;
use std::net::{SocketAddr, TcpStream, ToSocketAddrs};
use std::process::ExitCode;
use std::rc::Rc;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

use embassy_futures::select::{Either3, select3};
use embassy_time::Timer;
use sim::tasks::Tasks;
use sim::time::run_real;

use device::Tally;

/// How many devices are switched on in a second.
const A_SECOND: u32 = 500;
/// How long the broker may take to answer before that is told.
const PATIENCE: Duration = Duration::from_secs(3);
/// The status for a wrong argument or a limit of the machine.
const WRONG_USE: u8 = 2;

struct Order {
    devices: u32,
    broker: SocketAddr,
    /// How long all are to be online; for ever where it is not said.
    length: Option<Duration>,
}

fn main() -> ExitCode {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let order = parse(&arguments).and_then(|order| {
        limits::check(order.devices)?;
        Ok(order)
    });
    match order {
        Ok(order) => {
            let stop = Arc::new(AtomicBool::new(false));
            mind_signals(stop.clone());
            if let Err(error) = TcpStream::connect_timeout(&order.broker, PATIENCE) {
                let broker = order.broker;
                eprintln!(
                    "fleet: {broker}: {error}; the devices wait until a broker answers there"
                );
            }
            let summary = run_real(fleet(&order, &stop));
            summary.print(&order);
            ExitCode::SUCCESS
        }
        Err(what) => {
            eprintln!("fleet: {what}");
            ExitCode::from(WRONG_USE)
        }
    }
}

fn parse(arguments: &[String]) -> Result<Order, String> {
    let usage = "fleet DEVICES HOST:PORT [--seconds N]: DEVICES from 1 to 10000";
    let (devices, broker, seconds) = match arguments {
        [devices, broker] => (devices, broker, None),
        [devices, broker, flag, seconds] if flag == "--seconds" => (devices, broker, Some(seconds)),
        _ => return Err(usage.into()),
    };
    let devices = devices.parse().ok().filter(|n| (1..=10_000).contains(n));
    let mut addresses = broker
        .to_socket_addrs()
        .map_err(|error| format!("{broker}: {error}; give HOST:PORT of a broker"))?;
    let seconds = match seconds.map(|text| text.parse()) {
        None => None,
        Some(Ok(seconds)) => Some(Duration::from_secs(seconds)),
        Some(Err(_)) => return Err(usage.into()),
    };
    Ok(Order {
        devices: devices.ok_or(usage)?,
        broker: addresses
            .find(SocketAddr::is_ipv4)
            .ok_or("the broker has no IPv4 address: give one")?,
        length: seconds,
    })
}

/// A second Ctrl-C ends the program at once.
fn mind_signals(stop: Arc<AtomicBool>) {
    std::thread::spawn(move || {
        let runtime = tokio::runtime::Builder::new_current_thread()
            .enable_all()
            .build()
            .expect("a runtime");
        runtime.block_on(async {
            while tokio::signal::ctrl_c().await.is_ok() {
                if stop.swap(true, Ordering::Relaxed) {
                    std::process::exit(130);
                }
            }
        });
    });
}

/// What the fleet took while all of it was online.
struct Summary {
    online: usize,
    dropped: usize,
    /// From the moment at which all were online; nothing where they never were.
    steady: Option<Steady>,
    memory: u64,
}

struct Steady {
    since: Instant,
    cpu_before: f64,
    cpu: f64,
    seconds: f64,
}

impl Summary {
    fn print(&self, order: &Order) {
        let devices = f64::from(order.devices);
        let kilobytes = self.memory as f64 / 1024.0 / devices;
        let (seconds, micros) = self.steady.as_ref().map_or((0.0, 0.0), |steady| {
            let each = steady.cpu * 1e6 / devices / steady.seconds.max(1e-9);
            (steady.seconds, each)
        });
        eprintln!(
            "fleet: {} of {} devices online, {} dropped in {seconds:.0} s; each takes {kilobytes:.1} KB and \
             {micros:.1} µs of a processor a second",
            self.online, order.devices, self.dropped
        );
        println!(
            "{{\"devices\":{},\"online\":{},\"dropped\":{},\"seconds\":{seconds:.1},\
             \"kilobytes\":{kilobytes:.2},\"microseconds\":{micros:.2}}}",
            order.devices, self.online, self.dropped
        );
    }
}

async fn fleet(order: &Order, stop: &AtomicBool) -> Summary {
    let (host, port) = (order.broker.ip(), order.broker.port());
    // One text for all, for as long as the process lives.
    let config: &'static str = Box::leak(
        format!("[log]\nprint = false\n[mqtt]\nhost = \"{host}\"\nport = {port}\n")
            .into_boxed_str(),
    );
    let tally = Rc::new(Tally::default());
    let tasks = Tasks::new();
    let memory_before = memory();
    let switch_on = async {
        for number in 0..order.devices {
            tasks.spawn(device::run(number, config, tally.clone()));
            if number % A_SECOND == A_SECOND - 1 {
                Timer::after_secs(1).await;
            } else if number % 10 == 9 {
                Timer::after_micros(1_000_000 * 10 / u64::from(A_SECOND)).await;
            }
        }
        std::future::pending::<Infallible>().await
    };
    let told = watch(order, stop, &tally, memory_before);
    match select3(tasks.run(), switch_on, told).await {
        Either3::First(never) | Either3::Second(never) => match never {},
        Either3::Third(summary) => summary,
    }
}

/// Tells how it goes, each second, until the end.
async fn watch(order: &Order, stop: &AtomicBool, tally: &Tally, memory_before: u64) -> Summary {
    let mut summary = Summary {
        online: 0,
        dropped: 0,
        steady: None,
        memory: 0,
    };
    loop {
        for _ in 0..10 {
            Timer::after_millis(100).await;
            if stop.load(Ordering::Relaxed) {
                break;
            }
        }
        summary.online = tally.online.get();
        summary.dropped = tally.dropped.get();
        summary.memory = memory().saturating_sub(memory_before);
        if summary.steady.is_none() && summary.online == order.devices as usize {
            eprintln!("fleet: all are online");
            summary.steady = Some(Steady {
                since: Instant::now(),
                cpu_before: cpu(),
                cpu: 0.0,
                seconds: 0.0,
            });
        }
        if let Some(steady) = &mut summary.steady {
            steady.seconds = steady.since.elapsed().as_secs_f64();
            steady.cpu = cpu() - steady.cpu_before;
        }
        let seconds = summary.steady.as_ref().map_or(0.0, |steady| steady.seconds);
        eprintln!(
            "fleet: {} of {} online, {} dropped, {} MB, {seconds:.0} s",
            summary.online,
            order.devices,
            summary.dropped,
            summary.memory / (1024 * 1024)
        );
        let over = order
            .length
            .is_some_and(|length| seconds >= length.as_secs_f64());
        if over || stop.load(Ordering::Relaxed) {
            return summary;
        }
    }
}

/// The memory of the process that is in use, in bytes.
fn memory() -> u64 {
    let text = std::fs::read_to_string("/proc/self/statm").unwrap_or_default();
    let pages = text
        .split(' ')
        .nth(1)
        .and_then(|pages| pages.parse::<u64>().ok());
    pages.unwrap_or(0) * rustix::param::page_size() as u64
}

/// The processor time of the process, in seconds.
fn cpu() -> f64 {
    let now = rustix::time::clock_gettime(rustix::time::ClockId::ProcessCPUTime);
    now.tv_sec as f64 + now.tv_nsec as f64 / 1e9
}
