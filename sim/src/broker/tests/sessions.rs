//! What waits for a client that is away, and what is sent again.

use mqtt_protocol_core::mqtt::packet::{MaximumPacketSize, Property, ReceiveMaximum};

use super::*;

const KEPT: u32 = 1000;

#[test]
fn a_kept_session_has_its_subscriptions_and_what_came_meanwhile() {
    with_broker(async |world| {
        let mut client = world.client("client");
        client.connect(true, KEPT).await;
        client.subscribe("a", at(Qos::ExactlyOnce)).await;
        client.vanish();
        Timer::after_secs(1).await;
        world.broker.publish("a", b"zero", Qos::AtMostOnce, false);
        world.broker.publish("a", b"one", Qos::AtLeastOnce, false);
        world.broker.publish("a", b"two", Qos::ExactlyOnce, false);
        assert_eq!(world.broker.waiting("client"), 2);
        Timer::after_secs(900).await;
        assert!(client.connect(false, KEPT).await.session_present());
        assert_eq!(text(&client.next_publish().await), "one");
        assert_eq!(text(&client.next_publish().await), "two");
        client.hears_nothing().await;
        assert_eq!(world.broker.waiting("client"), 0);
        assert!(world.broker.visits()[1].resumed);
        assert!(world.broker.protocol_errors().is_empty());
    });
}

#[test]
fn a_session_ends_with_its_time_or_a_clean_start() {
    with_broker(async |world| {
        let mut client = world.client("client");
        client.connect(true, 10).await;
        client.vanish();
        Timer::after_secs(9).await;
        assert_eq!(world.broker.sessions(), ["client"]);
        Timer::after_secs(2).await;
        assert!(world.broker.sessions().is_empty());
        assert!(!client.connect(false, u32::MAX).await.session_present());
        client.vanish();
        Timer::after_secs(1_000_000).await;
        assert!(
            client.connect(false, 10).await.session_present(),
            "kept for ever"
        );
        assert!(!client.connect(true, 10).await.session_present());
        client.disconnect().await;
        assert!(client.connect(false, 0).await.session_present());
        client.vanish();
        Timer::after_secs(1).await;
        assert!(world.broker.sessions().is_empty());
    });
}

#[test]
fn unacknowledged_messages_are_sent_again_with_the_same_number() {
    for qos in [Qos::AtLeastOnce, Qos::ExactlyOnce] {
        with_broker(async |world| {
            let mut client = world.client("client");
            client.connection.set_auto_pub_response(false);
            // With a receive maximum, which the library miscounts for resumed sessions.
            let packet = |client: &Client, clean: bool| {
                connecting!(client, clean, KEPT)
                    .props(vec![
                        SessionExpiryInterval::new(KEPT).expect("any number").into(),
                        ReceiveMaximum::new(2).expect("not 0").into(),
                    ])
                    .build()
            };
            client.connect_as(packet(&client, true)).await;
            client.subscribe("a", at(qos)).await;
            for payload in ["first", "second", "third"] {
                world.broker.publish("a", payload.as_bytes(), qos, false);
            }
            let sent = [client.next_publish().await, client.next_publish().await];
            client.hears_nothing().await;
            assert_eq!(world.broker.waiting("client"), 3);
            client.vanish();
            Timer::after_secs(1).await;

            // One without memory, which would not show what it knows already.
            let mut client = world.client("client");
            client.connect_as(packet(&client, false)).await;
            for known in &sent {
                let again = client.next_publish().await;
                assert!(again.dup());
                assert_eq!(again.packet_id(), known.packet_id());
                assert_eq!(text(&again), text(known));
            }
            assert_eq!(text(&client.next_publish().await), "third");
            client.hears_nothing().await;
            assert_eq!(world.broker.waiting("client"), 0);
            assert!(world.broker.protocol_errors().is_empty());
        });
    }
}

#[test]
fn a_release_that_was_not_answered_is_sent_again() {
    with_broker(async |world| {
        let mut client = world.client("client");
        client.connection.set_auto_pub_response(false);
        client.connect(true, KEPT).await;
        client.subscribe("a", at(Qos::ExactlyOnce)).await;
        world.broker.publish("a", b"x", Qos::ExactlyOnce, false);
        let publish = client.next_publish().await;
        let packet_id = publish.packet_id().expect("has one");
        let received = v5_0::Pubrec::builder().packet_id(packet_id).build();
        client.send(received.expect("a packet")).await;
        assert!(matches!(client.next().await, Ok(Packet::V5_0Pubrel(_))));
        client.vanish();

        client.connect(false, KEPT).await;
        let Ok(Packet::V5_0Pubrel(release)) = client.next().await else {
            panic!("not released");
        };
        assert_eq!(release.packet_id(), packet_id);
        let complete = v5_0::Pubcomp::builder().packet_id(packet_id).build();
        client.send(complete.expect("a packet")).await;
        client.hears_nothing().await;
        assert_eq!(world.broker.waiting("client"), 0);
    });
}

/// Sends a message, loses the connection before the answer is read, and sends it again.
async fn publish_twice(world: &World, qos: Qos) -> usize {
    let mut client = world.client("client");
    client.connect(true, KEPT).await;
    let packet_id = client.connection.acquire_packet_id().expect("a free one");
    let packet = v5_0::Publish::builder()
        .topic_name("a")
        .expect("short enough")
        .payload("x")
        .qos(qos)
        .packet_id(packet_id);
    client.send(packet.build().expect("a packet")).await;
    Timer::after_secs(1).await;
    client.vanish();
    // The library sends what is in its store again.
    client.connect(false, KEPT).await;
    client.hears_nothing_but_acknowledgements().await;
    world.broker.messages().len()
}

impl Client {
    async fn hears_nothing_but_acknowledgements(&mut self) {
        while let Some(packet) = within(5, self.next()).await {
            assert!(!matches!(packet, Ok(Packet::V5_0Publish(_)) | Err(_)));
        }
    }
}

#[test]
fn a_repeated_message_is_seen_twice_with_quality_1_and_once_with_quality_2() {
    with_broker(async |world| {
        assert_eq!(publish_twice(world, Qos::AtLeastOnce).await, 2);
        assert!(world.broker.messages()[1].duplicate);
    });
    with_broker(async |world| {
        assert_eq!(publish_twice(world, Qos::ExactlyOnce).await, 1);
    });
}

#[test]
fn what_is_longer_than_a_client_takes_is_withheld() {
    with_broker(async |world| {
        let mut client = world.client("client");
        let packet = connecting!(client, true, KEPT).props(vec![
            Property::from(MaximumPacketSize::new(50).expect("not 0")),
            Property::from(SessionExpiryInterval::new(KEPT).expect("any number")),
        ]);
        client.connect_as(packet.build()).await;
        client.subscribe("a", at(Qos::AtLeastOnce)).await;
        for qos in [Qos::AtMostOnce, Qos::AtLeastOnce] {
            world.broker.publish("a", &[b'x'; 100], qos, false);
            world.broker.publish("a", b"short", qos, false);
            assert_eq!(text(&client.next_publish().await), "short");
        }
        client.hears_nothing().await;
        assert_eq!(world.broker.waiting("client"), 0);
    });
}

#[test]
fn a_thousand_messages_come_in_order_through_a_small_window() {
    with_broker(async |world| {
        let mut client = world.client("client");
        client.connect(true, KEPT).await;
        client.subscribe("a", at(Qos::AtLeastOnce)).await;
        client.vanish();
        Timer::after_secs(1).await;
        for number in 0..1100 {
            let payload = format!("{number:0>200}");
            world
                .broker
                .publish("a", payload.as_bytes(), Qos::AtLeastOnce, false);
        }
        assert_eq!(
            world.broker.waiting("client"),
            1000,
            "the queue has a bound"
        );
        let window = vec![
            SessionExpiryInterval::new(KEPT).expect("any number").into(),
            ReceiveMaximum::new(5).expect("not 0").into(),
        ];
        client
            .connect_as(connecting!(client, false, KEPT).props(window).build())
            .await;
        for number in 0..1000 {
            assert_eq!(
                text(&client.next_publish().await),
                format!("{number:0>200}")
            );
        }
        client.hears_nothing().await;
        assert!(world.broker.protocol_errors().is_empty());
    });
}
