//! A device that is measured: it publishes as much as it is told to, and switches a pin on command.
//!
//! `bench/go` with `0 COUNT` makes it publish with QoS 0, with `1 COUNT` with QoS 1 from eight futures at once,
//! with `one COUNT` from one; `bench/pin` sets pin 14, and the moment at which it was set goes to the UDP
//! address in `BENCH_STAMPS`, in nanoseconds of the machine's monotonic clock.

use std::cell::Cell;
use std::convert::Infallible;
use std::net::UdpSocket;
use std::process::ExitCode;

use bluebell::board::Board as BoardTypes;
use bluebell::device::{App, Device};
use bluebell::mqtt::{Delivery, QoS};
use bluebell::prelude::*;
use bluebell_linux::{Application, Board, run_application};
use embassy_futures::join::join_array;
use embassy_time::Timer;
use embedded_hal::digital::{ErrorType, OutputPin};
use rustix::time::{ClockId, clock_gettime};

const TOPIC: &str = "bench/data";
const PAYLOAD: [u8; 32] = [b'x'; 32];

/// How many messages are on their way at once, as many as the framework has in flight.
const PUBLISHERS: usize = 8;

/// What it was told to publish.
#[derive(Clone, Copy)]
struct Order {
    delivery: Delivery,
    count: u32,
    publishers: usize,
}

struct Measured;

impl Application for Measured {
    const APP: App = App {
        name: "device",
        config: include_str!("../../device.toml"),
        source: include_str!("device.rs"),
        files: &[],
    };

    async fn run<B: BoardTypes>(board: Board, device: Device<'_, B>) -> Infallible {
        let pin = Stamped {
            pin: board.pins.gpio14.output(),
            stamps: stamps(),
        };
        let lamp = Led::new(pin);
        let order = Cell::new(None);
        device
            .subscribe_with("bench/go", QoS::AtMostOnce, async |message, _| {
                order.set(message.text().and_then(parse));
            })
            .subscribe_with("bench/pin", QoS::AtMostOnce, async |message, _| {
                let Ok(()) = match message.payload() {
                    b"ON" => lamp.on(),
                    _ => lamp.off(),
                };
            })
            .task(async |device| {
                loop {
                    if let Some(order) = order.take() {
                        publish(device, order).await;
                    }
                    Timer::after_millis(1).await;
                }
            })
            .run()
            .await
    }
}

fn main() -> ExitCode {
    run_application::<Measured>(env!("CARGO_PKG_VERSION"))
}

fn parse(text: &str) -> Option<Order> {
    let (qos, count) = text.split_once(' ')?;
    let (delivery, publishers) = match qos {
        "0" => (Delivery::AT_MOST_ONCE, 1),
        "1" => (Delivery::AT_LEAST_ONCE, PUBLISHERS),
        _ => (Delivery::AT_LEAST_ONCE, 1),
    };
    Some(Order {
        delivery,
        count: count.parse().ok()?,
        publishers,
    })
}

/// Publishes from several futures at once, each of which waits until its message is safe.
async fn publish(device: Handle<'_>, order: Order) {
    let left = Cell::new(order.count);
    let publishers: [_; PUBLISHERS] = std::array::from_fn(|number| {
        let left = &left;
        async move {
            while number < order.publishers && left.get() > 0 {
                left.set(left.get() - 1);
                let published = device.publish_as(TOPIC, PAYLOAD, order.delivery).await;
                if let Err(error) = published {
                    left.set(0);
                    return warn!(device, "the run has ended early: {error}");
                }
            }
        }
    });
    join_array(publishers).await;
}

fn stamps() -> Option<UdpSocket> {
    let address = std::env::var("BENCH_STAMPS").ok()?;
    let socket = UdpSocket::bind("127.0.0.1:0").ok()?;
    socket.connect(address).ok()?;
    Some(socket)
}

/// A pin that tells when it was set.
struct Stamped<P> {
    pin: P,
    stamps: Option<UdpSocket>,
}

impl<P> Stamped<P> {
    fn stamp(&self) {
        let now = clock_gettime(ClockId::Monotonic);
        if let Some(stamps) = &self.stamps {
            let nanoseconds = now.tv_sec * 1_000_000_000 + now.tv_nsec;
            // Who measures sees that one is missing.
            let _ = stamps.send(&nanoseconds.to_le_bytes());
        }
    }
}

impl<P> ErrorType for Stamped<P> {
    type Error = Infallible;
}

impl<P: OutputPin<Error = Infallible>> OutputPin for Stamped<P> {
    fn set_low(&mut self) -> Result<(), Infallible> {
        self.pin.set_low()?;
        self.stamp();
        Ok(())
    }

    fn set_high(&mut self) -> Result<(), Infallible> {
        self.pin.set_high()?;
        self.stamp();
        Ok(())
    }
}
