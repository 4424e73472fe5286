//! Publishing, subscribing, retaining, wills, and who is let in.

use mqtt_protocol_core::mqtt::packet::{
    MessageExpiryInterval, ReceiveMaximum, RetainHandling, ServerKeepAlive, UserProperty,
    WillDelayInterval,
};
use mqtt_protocol_core::mqtt::result_code::{ConnectReasonCode, DisconnectReasonCode};

use super::*;

#[test]
fn messages_of_every_quality_go_from_publisher_to_subscriber() {
    with_broker(async |world| {
        let mut device = world.connected("device").await;
        let mut person = world.connected("person").await;
        assert_eq!(person.subscribe("a/+", at(Qos::ExactlyOnce)).await, [2]);
        for qos in [Qos::AtMostOnce, Qos::AtLeastOnce, Qos::ExactlyOnce] {
            device.publish("a/b", &format!("{qos:?}"), qos, false).await;
            let publish = person.next_publish().await;
            assert_eq!((publish.qos(), text(&publish)), (qos, format!("{qos:?}")));
            assert!(!publish.retain() && !publish.dup());
        }
        device
            .publish("b/b", "not asked for", Qos::AtMostOnce, false)
            .await;
        person.hears_nothing().await;
        let seen = world.broker.messages();
        assert_eq!(seen.len(), 4);
        assert_eq!(seen[1].client.as_deref(), Some("device"));
        assert_eq!(seen[1].qos, Qos::AtLeastOnce);
        assert!(seen[1].at > seen[0].at);
        assert_eq!(world.broker.messages_on("b/#")[0].text(), "not asked for");
        assert_eq!(
            world.broker.subscriptions("person"),
            [("a/+".to_owned(), Qos::ExactlyOnce)]
        );
        assert_eq!(world.broker.clients(), ["device", "person"]);
        assert_eq!(world.broker.waiting("person"), 0);
        assert!(world.broker.protocol_errors().is_empty());
    });
}

#[test]
fn a_subscriber_gets_the_lesser_quality_and_one_copy() {
    with_broker(async |world| {
        let mut person = world.connected("person").await;
        person.subscribe("#", at(Qos::AtMostOnce)).await;
        person.subscribe("a/b", at(Qos::AtLeastOnce)).await;
        world.broker.publish("a/b", b"x", Qos::ExactlyOnce, false);
        assert_eq!(person.next_publish().await.qos(), Qos::AtLeastOnce);
        person.hears_nothing().await;
    });
}

#[test]
fn subscription_options_are_kept() {
    with_broker(async |world| {
        let mut client = world.connected("client").await;
        client
            .subscribe("own", at(Qos::AtMostOnce).set_nl(true))
            .await;
        client.publish("own", "mine", Qos::AtLeastOnce, false).await;
        client.hears_nothing().await;
        client
            .subscribe("kept", at(Qos::AtMostOnce).set_rap(true))
            .await;
        world.broker.publish("kept", b"x", Qos::AtMostOnce, true);
        assert!(client.next_publish().await.retain());

        let quiet = at(Qos::AtMostOnce).set_rh(RetainHandling::DoNotSendRetained);
        client.subscribe("kep+", quiet).await;
        let first = at(Qos::AtMostOnce).set_rh(RetainHandling::SendRetainedIfNotExists);
        client.subscribe("kep+", first).await;
        client.hears_nothing().await;

        assert_eq!(
            client.subscribe("$share/g/t", at(Qos::AtMostOnce)).await,
            [0x9e]
        );
        assert_eq!(client.subscribe("a/#/b", at(Qos::AtMostOnce)).await, [0x8f]);
    });
}

#[test]
fn a_subscription_that_is_taken_back_ends() {
    with_broker(async |world| {
        let mut client = world.connected("client").await;
        client.subscribe("a", at(Qos::AtMostOnce)).await;
        let packet = v5_0::Unsubscribe::builder()
            .packet_id(client.connection.acquire_packet_id().expect("a free one"))
            .entries(["a", "b"])
            .expect("short enough")
            .build();
        client.send(packet.expect("a packet")).await;
        let Ok(Packet::V5_0Unsuback(answer)) = client.next().await else {
            panic!("no answer");
        };
        let codes: Vec<_> = answer
            .reason_codes()
            .iter()
            .map(|code| *code as u8)
            .collect();
        assert_eq!(codes, [0, 0x11]);
        world.broker.publish("a", b"x", Qos::AtMostOnce, false);
        client.hears_nothing().await;
    });
}

#[test]
fn a_retained_message_waits_for_subscribers_until_an_empty_one_replaces_it() {
    with_broker(async |world| {
        let mut device = world.connected("device").await;
        device
            .publish("status", "online", Qos::AtLeastOnce, true)
            .await;
        device
            .publish("status", "busy", Qos::AtLeastOnce, true)
            .await;
        let mut person = world.connected("person").await;
        person.subscribe("#", at(Qos::AtLeastOnce)).await;
        let publish = person.next_publish().await;
        assert_eq!((text(&publish).as_str(), publish.retain()), ("busy", true));
        assert_eq!(publish.qos(), Qos::AtLeastOnce);
        assert_eq!(
            world.broker.retained("status").map(|kept| kept.text()),
            Some("busy".into())
        );

        device.publish("status", "", Qos::AtLeastOnce, true).await;
        assert!(!person.next_publish().await.retain());
        assert_eq!(world.broker.retained("status"), None);
        person.subscribe("#", at(Qos::AtLeastOnce)).await;
        person.hears_nothing().await;
    });
}

#[test]
fn properties_arrive_and_time_to_live_runs_down() {
    with_broker(async |world| {
        let mut person = world.client("person");
        person.connect(true, 1000).await;
        person.subscribe("a", at(Qos::AtLeastOnce)).await;
        person.vanish();
        let mut device = world.connected("device").await;
        for (payload, seconds) in [("short", 5), ("long", 60)] {
            let packet = v5_0::Publish::builder()
                .topic_name("a")
                .expect("short enough")
                .payload(payload)
                .qos(Qos::AtLeastOnce)
                .packet_id(device.connection.acquire_packet_id().expect("a free one"))
                .props(vec![
                    MessageExpiryInterval::new(seconds)
                        .expect("any number")
                        .into(),
                    UserProperty::new("id", "17").expect("short enough").into(),
                ]);
            device.send(packet.build().expect("a packet")).await;
            assert!(matches!(device.next().await, Ok(Packet::V5_0Puback(_))));
        }
        assert_eq!(world.broker.messages()[0].user_property("id"), Some("17"));
        assert_eq!(world.broker.messages()[0].user_property("other"), None);
        Timer::after_secs(20).await;
        person.connect(false, 1000).await;
        let publish = person.next_publish().await;
        assert_eq!(text(&publish), "long");
        let left = MessageExpiryInterval::new(39).expect("any number");
        let id = UserProperty::new("id", "17").expect("short enough");
        assert_eq!(*publish.props(), vec![id.into(), left.into()]);
        person.hears_nothing().await;
    });
}

#[test]
fn the_will_of_a_lost_client_is_published_and_that_of_a_polite_one_is_not() {
    with_broker(async |world| {
        let with_will = |client: &Client, delay: u32| {
            let delay = WillDelayInterval::new(delay).expect("any number");
            connecting!(client, true, 100)
                .will_message("status", b"offline", Qos::AtLeastOnce, true)
                .expect("short enough")
                .will_props(vec![delay.into()])
                .build()
        };
        let mut device = world.client("device");
        device.connect_as(with_will(&device, 0)).await;
        device.disconnect().await;
        Timer::after_secs(200).await;
        assert!(world.broker.messages().is_empty());

        device.connect_as(with_will(&device, 0)).await;
        device.vanish();
        let will = world.broker.next_message("status").await;
        assert_eq!(
            (will.text().as_str(), will.will, will.retain),
            ("offline", true, true)
        );
        assert!(world.broker.retained("status").is_some());

        world.broker.clear_messages();
        device.connect_as(with_will(&device, 30)).await;
        device.vanish();
        Timer::after_secs(20).await;
        device.connect(false, 100).await;
        Timer::after_secs(60).await;
        assert!(world.broker.messages().is_empty(), "it came back in time");
        device.connect_as(with_will(&device, 30)).await;
        device.vanish();
        Timer::after_secs(31).await;
        assert_eq!(world.broker.messages().len(), 1);
    });
}

#[test]
fn only_who_knows_the_password_is_let_in() {
    with_broker(async |world| {
        world.broker.require_login("garage", "söcret");
        let mut client = world.client("client");
        let answer = client.connect(true, 0).await;
        assert_eq!(
            answer.reason_code(),
            ConnectReasonCode::BadUserNameOrPassword
        );
        assert_eq!(
            client.next().await.err(),
            Some(None),
            "and the connection ends"
        );
        for (password, expected) in [
            ("wrong", ConnectReasonCode::BadUserNameOrPassword),
            ("söcret", ConnectReasonCode::Success),
        ] {
            let packet = connecting!(client, true, 0)
                .user_name("garage")
                .expect("short enough")
                .password(password)
                .expect("short enough");
            assert_eq!(
                client.connect_as(packet.build()).await.reason_code(),
                expected
            );
        }
        let visits = world.broker.visits();
        let accepted: Vec<_> = visits.iter().map(|visit| visit.accepted).collect();
        assert_eq!(accepted, [false, false, true]);
        assert_eq!(visits[2].user.as_deref(), Some("garage"));

        world.broker.refuse(true);
        let answer = world.client("other").connect(true, 0).await;
        assert_eq!(answer.reason_code(), ConnectReasonCode::ServerUnavailable);
        assert_eq!(world.broker.clients(), ["client"], "who is connected stays");
    });
}

#[test]
fn a_nameless_client_is_given_a_name() {
    with_broker(async |world| {
        let answer = world.client("").connect(true, 0).await;
        assert!(answer.props().iter().any(|property| matches!(
            property,
            mqtt_protocol_core::mqtt::packet::Property::AssignedClientIdentifier(_)
        )));
    });
}

#[test]
fn a_silent_client_is_dropped_after_one_and_a_half_keepalives() {
    with_broker(async |world| {
        let mut client = world.client("client");
        client
            .connect_as(connecting!(client, true, 0).keep_alive(10).build())
            .await;
        for _ in 0..3 {
            Timer::after_secs(14).await;
            client.send(v5_0::Pingreq::new()).await;
            assert!(matches!(client.next().await, Ok(Packet::V5_0Pingresp(_))));
        }
        let before = Instant::now();
        let Ok(Packet::V5_0Disconnect(farewell)) = client.next().await else {
            panic!("not dismissed");
        };
        let reason = farewell.reason_code();
        assert_eq!(reason, Some(DisconnectReasonCode::KeepAliveTimeout));
        assert_eq!((Instant::now() - before).as_secs(), 15);
        assert_eq!(client.next().await.err(), Some(None));
        assert!(world.broker.clients().is_empty());
    });
}

#[test]
fn the_broker_may_set_the_keepalive_and_its_limits() {
    with_broker(async |world| {
        world.broker.configure(|settings| {
            settings.server_keep_alive = Some(4);
            settings.receive_maximum = Some(3);
            settings.maximum_packet_size = Some(100);
        });
        let mut client = world.client("client");
        let answer = client
            .connect_as(connecting!(client, true, 0).keep_alive(60).build())
            .await;
        let told = ServerKeepAlive::new(4).expect("any number").into();
        let receive_maximum = ReceiveMaximum::new(3).expect("any number").into();
        assert!(answer.props().contains(&told) && answer.props().contains(&receive_maximum));
        assert!(matches!(client.next().await, Ok(Packet::V5_0Disconnect(_))));
        assert_eq!(Instant::now().as_secs(), 6);
    });
}

#[test]
fn a_second_connection_takes_the_session_over() {
    with_broker(async |world| {
        let mut first = world.client("twin");
        first.connect(true, 100).await;
        first.subscribe("a", at(Qos::AtLeastOnce)).await;
        let mut second = world.client("twin");
        assert!(second.connect(false, 100).await.session_present());
        let Ok(Packet::V5_0Disconnect(farewell)) = first.next().await else {
            panic!("not dismissed");
        };
        let reason = farewell.reason_code();
        assert_eq!(reason, Some(DisconnectReasonCode::SessionTakenOver));
        world.broker.publish("a", b"x", Qos::AtLeastOnce, false);
        assert_eq!(text(&second.next_publish().await), "x");
        assert_eq!(world.broker.clients(), ["twin"]);
    });
}

#[test]
fn what_breaks_the_protocol_is_noted_and_ends_the_connection() {
    let broken: [&[u8]; 4] = [
        b"GET / HTTP/1.1\r\n\r\n",
        // PINGREQ before CONNECT.
        &[0xc0, 0],
        // CONNECT of MQTT 3.1.1.
        &[0x10, 12, 0, 4, b'M', b'Q', b'T', b'T', 4, 2, 0, 60, 0, 0],
        // A length that does not end.
        &[0x10, 0xff, 0xff, 0xff, 0xff, 1],
    ];
    with_broker(async |world| {
        for bytes in broken {
            let client = world.client("x");
            let mut socket = client.host.connect(client.broker).await.expect("connects");
            socket.write_all(bytes).await.expect("is sent");
            let mut answer = Vec::new();
            let mut buffer = [0; 64];
            while let Some(Ok(count @ 1..)) = within(5, socket.read(&mut buffer)).await {
                answer.extend_from_slice(&buffer[..count]);
            }
            assert!(answer.is_empty() || answer[0] == 0x20, "{answer:x?}");
            assert_eq!(within(5, socket.read(&mut buffer)).await, Some(Ok(0)));
        }
        // An acknowledgement of nothing.
        let mut client = world.connected("liar").await;
        let socket = client.socket.as_mut().expect("is connected");
        socket.write_all(&[0x40, 2, 0, 9]).await.expect("is sent");
        assert!(matches!(client.next().await, Ok(Packet::V5_0Disconnect(_))));
        let errors = world.broker.protocol_errors();
        assert!(
            errors.iter().any(|error| error.starts_with("liar: ")),
            "{errors:?}"
        );
    });
}
