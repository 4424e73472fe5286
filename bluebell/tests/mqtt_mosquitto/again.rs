//! Messages whose acknowledgement an outage swallows.

use bluebell::mqtt::{Delivery, Mqtt, Settings, State};
use embassy_time::{Duration, Timer, with_timeout};

use crate::broker::Mosquitto;
use crate::proxy::{Proxy, Publish};
use crate::{FILTERS, play};

/// The bytes of a PUBACK.
const ACKNOWLEDGEMENT: usize = 4;

/// Waits until it is so.
async fn until(mut holds: impl FnMut() -> bool) {
    while !holds() {
        Timer::after(Duration::from_millis(10)).await;
    }
}

/// Waits until the broker has sent so many messages.
async fn sent(proxy: &Proxy, count: usize) -> Vec<Publish> {
    until(|| proxy.published().len() >= count).await;
    proxy.published()
}

/// Handles the next message and waits until the broker has its acknowledgement.
async fn handle(proxy: &Proxy, mqtt: &Mqtt<'_>, topic: &str) {
    let message = mqtt.receive().await;
    let before = proxy.carried();
    assert_eq!((message.topic(), message.payload()), (topic, &b"ON"[..]));
    message.done();
    until(|| proxy.carried() >= before + ACKNOWLEDGEMENT).await;
}

/// The line breaks, and the device is back at the broker, which still has its session.
async fn reconnect(proxy: &Proxy, mqtt: &Mqtt<'_>) {
    proxy.cut();
    mqtt.changed(State::Online).await;
    mqtt.online().await;
}

#[test]
fn a_command_whose_acknowledgement_is_swallowed_is_sent_again_and_not_handed_on_again() {
    let Some(broker) = Mosquitto::start("swallowed") else {
        return;
    };
    let proxy = Proxy::to(broker.port);
    let settings = Settings {
        port: proxy.port,
        ..broker.settings(&FILTERS)
    };
    play(settings, async |mqtt| {
        mqtt.online().await;
        proxy.swallow();
        for number in 1..=8 {
            broker.publish(&format!("all/{number}"), "1", b"ON");
            let message = mqtt.receive().await;
            assert_eq!(message.topic(), format!("all/{number}"));
        }
        until(|| proxy.swallowed() >= 8 * ACKNOWLEDGEMENT).await;
        let before = proxy.published();
        assert!(before.len() == 8 && before.iter().all(|publish| !publish.again));
        reconnect(&proxy, mqtt).await;
        // All of them come again, and only what is new is handed on.
        let again = sent(&proxy, 16).await;
        let marked: Vec<_> = before
            .iter()
            .map(|publish| Publish {
                again: true,
                ..*publish
            })
            .collect();
        assert_eq!(again[8..], marked);
        broker.publish("all/new", "1", b"ON");
        handle(&proxy, mqtt, "all/new").await;
        // Now the broker has all its answers.
        reconnect(&proxy, mqtt).await;
        broker.publish("all/newer", "1", b"ON");
        handle(&proxy, mqtt, "all/newer").await;
        // It counts its identifiers upwards, over its connections too: none is used again soon.
        let identifiers = proxy
            .published()
            .into_iter()
            .map(|publish| publish.identifier);
        assert!(identifiers.eq((1..=8).chain(1..=10)));
    });
}

#[test]
fn a_command_that_the_outage_swallows_itself_is_marked_as_a_repetition_and_handed_on() {
    let Some(broker) = Mosquitto::start("unheard") else {
        return;
    };
    let proxy = Proxy::to(broker.port);
    let settings = Settings {
        port: proxy.port,
        ..broker.settings(&FILTERS)
    };
    play(settings, async |mqtt| {
        mqtt.online().await;
        broker.publish("all/1", "1", b"ON");
        handle(&proxy, mqtt, "all/1").await;
        // The same command again, and the device loses it with the connection, out of its own socket.
        proxy.hold();
        broker.publish("all/1", "1", b"ON");
        sent(&proxy, 2).await;
        reconnect(&proxy, mqtt).await;
        handle(&proxy, mqtt, "all/1").await;
        let again = sent(&proxy, 3).await[2];
        assert!(again.again, "{again:?}");
        let more = with_timeout(Duration::from_millis(500), mqtt.receive()).await;
        assert!(more.is_err(), "it comes once");
    });
}

#[test]
fn a_message_of_qos_2_is_not_taken_for_one_that_a_power_cut_interrupted_under_its_identifier() {
    let Some(broker) = Mosquitto::start("interrupted") else {
        return;
    };
    let proxy = Proxy::to(broker.port);
    let settings = Settings {
        port: proxy.port,
        clean_start: false,
        ..broker.settings(&FILTERS)
    };
    let publish = async |mqtt: &Mqtt<'_>, payload: &[u8]| {
        let published = mqtt.publish("out", payload, Delivery::EXACTLY_ONCE).await;
        published.unwrap();
    };
    // The broker has got the message, and waits for its release when the power goes.
    play(settings, async |mqtt| {
        mqtt.online().await;
        mqtt.flush().await;
        proxy.hold();
        let before = proxy.carried();
        publish(mqtt, b"interrupted").await;
        until(|| proxy.carried() > before).await;
    });
    proxy.cut();
    // This boot happens to begin with the same identifiers.
    play(settings, async |mqtt| {
        mqtt.online().await;
        let listener = broker.listen("out", "2", "2");
        Timer::after(Duration::from_millis(500)).await;
        publish(mqtt, b"new").await;
        let line = |payload| format!("0 2 out {}", crate::hex(payload));
        let expected = [line(b"interrupted"), line(b"new")];
        assert_eq!(listener.lines().await, expected);
        mqtt.flush().await;
    });
}
