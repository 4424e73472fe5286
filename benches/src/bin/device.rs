//! A device that is measured: it publishes as much as it is told to, and switches a pin on command.
//!
//! `bench/go` with `QOS COUNT` makes it publish; `bench/pin` sets pin 14, and the moment at which it was set
//! goes to the UDP address in `BENCH_STAMPS`, in nanoseconds of the machine's monotonic clock.

use std::convert::Infallible;
use std::net::UdpSocket;
use std::process::ExitCode;

use bluebell::device::App;
use bluebell::mqtt::{Delivery, QoS};
use bluebell::prelude::*;
use bluebell_linux::run_application;
use embassy_time::Timer;
use embedded_hal::digital::{ErrorType, OutputPin};
use rustix::time::{ClockId, clock_gettime};

const TOPIC: &str = "bench/data";
const PAYLOAD: [u8; 32] = [b'x'; 32];

fn main() -> ExitCode {
    let app = App {
        name: "device",
        config: include_str!("../../device.toml"),
        source: include_str!("device.rs"),
        files: &[],
    };
    run_application(app, env!("CARGO_PKG_VERSION"), async |board, device| {
        let pin = Stamped {
            pin: board.pins.gpio14.output(),
            stamps: stamps(),
        };
        let lamp = Led::new(pin);
        let order = std::cell::Cell::new(None);
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
                    if let Some((delivery, count)) = order.take() {
                        publish(device, delivery, count).await;
                    }
                    Timer::after_millis(1).await;
                }
            })
            .run()
            .await
    })
}

fn parse(text: &str) -> Option<(Delivery, u32)> {
    let (qos, count) = text.split_once(' ')?;
    let delivery = match qos {
        "0" => Delivery::AT_MOST_ONCE,
        _ => Delivery::AT_LEAST_ONCE,
    };
    Some((delivery, count.parse().ok()?))
}

async fn publish(device: Handle<'_>, delivery: Delivery, count: u32) {
    let length = TOPIC.len() + PAYLOAD.len();
    for _ in 0..count {
        if delivery.qos != QoS::AtMostOnce && device.outbox_room(length).await.is_err() {
            return;
        }
        if let Err(error) = device.publish_as(TOPIC, PAYLOAD, delivery).await {
            return warn!(device, "the run has ended early: {error}");
        }
    }
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
