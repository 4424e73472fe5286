//! A relay that is switched by MQTT and by a button, with a clock on its display.
#![cfg_attr(target_os = "none", no_std, no_main)]

use bluebell::prelude::*;

board::main!(async |board, device| {
    let relay = Led::new(board.pins.gpio14.output());
    let button = Button::new(board.pins.gpio0.input());
    let display = Tm1637::new(board.pins.gpio4.open_drain(), board.pins.gpio5.open_drain());
    let silence = Countdown::new(secs(5));
    display.text("----").await;

    let report = async |device: Handle<'_>| {
        let state = if relay.is_on() { "ON" } else { "OFF" };
        device.publish_state("relay", state).await;
    };

    device
        .subscribe("switches/relay-1/state", async |message, device| {
            silence.restart();
            match message.text() {
                Some("ON") => relay.on(),
                Some("OFF") => relay.off(),
                _ => return warn!(device, "neither ON nor OFF: {message}"),
            };
            report(device).await;
        })
        .on_press(&button, async |device| {
            relay.toggle();
            report(device).await;
        })
        .on_online(&report)
        .job(Job::every(secs(1)).named("clock"), async |device| {
            match device.local_time() {
                Some(time) => display.time(time.hour, time.minute).await,
                None => display.text("----").await,
            };
        })
        .countdown(&silence, async |device| {
            info!(device, "no message for 5 s");
        })
        .run()
        .await
});
