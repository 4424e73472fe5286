//! A thermometer that publishes what it reads, with a page of its own (in `www/`) that shows it live.
#![cfg_attr(target_os = "none", no_std, no_main)]

use core::cell::Cell;

use bluebell::prelude::*;

board::main!(async |_board, device| {
    let celsius = Cell::new(Decimal::<1>(190));
    let readings = Cell::new(0_u32);

    device
        .job(Job::every(secs(1)).named("read"), async |device| {
            celsius.set(read(device.uptime()));
            readings.set(readings.get().saturating_add(1));
        })
        .job(Job::every(secs(60)).named("report"), async |device| {
            let topic = device.topic("temperature");
            let published = device.publish(&topic, text!("{}", celsius.get())).await;
            if let Err(error) = published {
                warn!(device, "the temperature was not published: {error}");
            }
        })
        .value("temperature", |json| write!(json, "{}", celsius.get()))
        .value("readings", |json| write!(json, "{}", readings.get()))
        .run()
        .await
});

/// In the place of a sensor: it gets warmer for two minutes, and colder for two.
fn read(uptime: Duration) -> Decimal<1> {
    let second = uptime.as_secs() % 240;
    let up = second.min(240 - second);
    Decimal(190 + i32::try_from(up / 2).unwrap_or_default())
}
