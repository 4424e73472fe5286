//! A thermometer that publishes what it reads, with a page of its own (in `www/`) that shows it live.
#![cfg_attr(target_os = "none", no_std, no_main)]

use core::cell::Cell;

use bluebell::prelude::*;

board::main!(async |_board, device| {
    let celsius = Cell::new(Tenths(190));
    let readings = Cell::new(0_u32);

    device
        .job(
            Job::every(Duration::from_secs(1)).named("read"),
            async |device| {
                celsius.set(read(device.uptime()));
                readings.set(readings.get().saturating_add(1));
            },
        )
        .job(
            Job::every(Duration::from_secs(60)).named("report"),
            async |device| {
                let mut text = heapless::String::<16>::new();
                if core::fmt::write(&mut text, format_args!("{}", celsius.get())).is_ok()
                    && let Err(error) = device.publish(&device.topic("temperature"), &text).await
                {
                    log!(
                        device,
                        Warn,
                        "app",
                        "the temperature was not published: {error}"
                    );
                }
            },
        )
        .value("temperature", |json| write!(json, "{}", celsius.get()))
        .value("readings", |json| write!(json, "{}", readings.get()))
        .run()
        .await
});

/// A temperature in tenths of a degree.
#[derive(Clone, Copy)]
struct Tenths(u16);

impl core::fmt::Display for Tenths {
    fn fmt(&self, formatter: &mut core::fmt::Formatter<'_>) -> core::fmt::Result {
        write!(formatter, "{}.{}", self.0 / 10, self.0 % 10)
    }
}

/// In the place of a sensor: it gets warmer for two minutes, and colder for two.
fn read(uptime: Duration) -> Tenths {
    let second = uptime.as_secs() % 240;
    let up = second.min(240 - second);
    Tenths(190 + u16::try_from(up / 2).unwrap_or_default())
}
