//! What is around the board: the networks in the air, and what the host orders to happen.

use core::cell::RefCell;
use core::fmt::{Arguments, Write};
use core::future::poll_fn;
use core::task::Poll;

use bluebell::wifi::Ssid;
use critical_section::Mutex;
use embassy_sync::waitqueue::AtomicWaker;
use embassy_time::{Duration, Timer};
use heapless::Vec;

use crate::air::{NETWORKS, Network};
use crate::console::Uart;
use crate::orders::Order;
use crate::{exit, measure, nic, pins};

/// How long a button is held down.
const PRESS: Duration = Duration::from_millis(150);

/// The networks, and which of them is joined.
pub(crate) struct Air {
    pub(crate) networks: Vec<Network, NETWORKS>,
    pub(crate) joined: Option<usize>,
}

static AIR: Mutex<RefCell<Air>> = Mutex::new(RefCell::new(Air {
    networks: Vec::new(),
    joined: None,
}));
static LOST: AtomicWaker = AtomicWaker::new();

/// Works with the networks.
pub(crate) fn air<R>(work: impl FnOnce(&mut Air) -> R) -> R {
    critical_section::with(|section| work(&mut AIR.borrow_ref_mut(section)))
}

/// Waits until no network is joined. For the radio alone.
pub(crate) async fn lost() {
    poll_fn(|context| {
        LOST.register(context.waker());
        match air(|air| air.joined) {
            None => Poll::Ready(()),
            Some(_) => Poll::Pending,
        }
    })
    .await;
}

/// The hardware address of the access point with this index.
pub(crate) fn bssid(index: usize) -> [u8; 6] {
    [0x02, 0xb1, 0, 0, 0, index as u8]
}

impl Air {
    /// Joins a network, or none; the station's line is up exactly while one is joined.
    pub(crate) fn join(&mut self, index: Option<usize>) {
        self.joined = index;
        nic::STATION.set(index.is_some());
        if index.is_none() {
            LOST.wake();
        }
    }

    fn change(&mut self, ssid: &str, key: &str, value: &str) -> Result<(), &'static str> {
        let index = match self
            .networks
            .iter()
            .position(|network| network.ssid.as_str() == ssid)
        {
            Some(index) => index,
            None => {
                let ssid = Ssid::new(ssid).map_err(|_| "a network's name has 1 to 32 bytes")?;
                let added = self.networks.push(Network::new(ssid));
                added.map_err(|_| "no more than 16 networks are held")?;
                self.networks.len() - 1
            }
        };
        let network = &mut self.networks[index];
        network.set(key, value)?;
        // Who is on an access point that goes, or changes its name, password or channel, is off it.
        if self.joined == Some(index)
            && (!network.up || matches!(key, "ssid" | "password" | "channel"))
        {
            self.join(None);
        }
        Ok(())
    }
}

/// Does what the host has ordered.
pub(crate) async fn carry_out(order: Order<'_>) {
    match order {
        Order::Air { ssid, key, value } => match air(|air| air.change(ssid, key, value)) {
            Ok(()) => say(format_args!("air {ssid} {key}={value}")),
            Err(what) => say(format_args!("air {ssid}: {what}")),
        },
        Order::Pin { number, high } => pins::put(number, high),
        Order::Press(number) => {
            pins::put(number, false);
            Timer::after(PRESS).await;
            pins::put(number, true);
        }
        Order::Memory => measure::memory(),
        Order::PowerOff => exit::power_off(),
        Order::Crash => panic!("it was ordered at the console"),
        Order::Wrong => say(format_args!(
            "not understood: give air SSID up|down|key=value, pin N 0|1, press N, memory, power off|crash"
        )),
    }
}

/// A line of the board itself.
pub(crate) fn say(line: Arguments<'_>) {
    // The UART takes everything.
    let _ = writeln!(Uart, "board: {line}");
}
