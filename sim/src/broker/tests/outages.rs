//! A broker that dies, hangs, comes back, is slow or cannot be reached.

use super::*;
use crate::net::Faults;

const KEPT: u32 = 100_000;

#[test]
fn a_stopped_broker_closes_its_connections_refuses_and_keeps_its_state() {
    with_broker(async |world| {
        let mut client = world.client("client");
        let packet = connecting!(client, true, KEPT)
            .will_message("status", b"offline", Qos::AtMostOnce, false)
            .expect("short enough");
        client.connect_as(packet.build()).await;
        client.subscribe("a", at(Qos::AtLeastOnce)).await;
        world.broker.publish("kept", b"x", Qos::AtMostOnce, true);
        world.broker.stop();
        assert_eq!(client.next().await.err(), Some(None));
        let refused = client.host.connect(client.broker).await;
        assert_eq!(refused.err(), Some(NetworkError::Refused));
        assert!(world.broker.clients().is_empty());
        Timer::after_secs(1000).await;
        world.broker.resume();
        Timer::after_millis(1).await;
        assert!(client.connect(false, KEPT).await.session_present());
        assert!(world.broker.retained("kept").is_some());
        assert!(
            world.broker.messages_on("status").is_empty(),
            "a dead broker has no say"
        );
    });
}

#[test]
fn a_restarted_broker_remembers_what_it_is_told_to() {
    for keep_sessions in [true, false] {
        with_broker(async |world| {
            let mut client = world.client("client");
            client.connect(true, KEPT).await;
            world.broker.publish("kept", b"x", Qos::AtMostOnce, true);
            world.broker.restart(keep_sessions);
            assert_eq!(client.next().await.err(), Some(None));
            let answer = client.connect(false, KEPT).await;
            assert_eq!(answer.session_present(), keep_sessions);
            assert_eq!(world.broker.retained("kept").is_some(), keep_sessions);
        });
    }
}

#[test]
fn a_hung_broker_accepts_and_says_nothing_until_it_goes_on() {
    with_broker(async |world| {
        let mut old = world.client("old");
        old.connect_as(connecting!(old, true, KEPT).keep_alive(10).build())
            .await;
        world.broker.hang();
        old.send(v5_0::Pingreq::new()).await;
        assert!(within(3600, old.next()).await.is_none());
        let mut new = world.client("new");
        assert!(within(60, new.connect(true, 0)).await.is_none());
        assert_eq!(world.broker.visits().len(), 1);
        world.broker.resume();
        let answer = old.next().await;
        assert!(matches!(answer, Ok(Packet::V5_0Pingresp(_))), "{answer:?}");
        assert!(!new.connect(true, 0).await.session_present());
    });
}

#[test]
fn a_slow_broker_is_behind_until_it_has_looked_at_what_its_clients_have_given_up() {
    with_broker(async |world| {
        world.broker.set_slow(Duration::from_secs(15));
        let mut client = world.client("client");
        assert!(within(3, client.connect(true, KEPT)).await.is_none());
        assert!(!world.broker.is_behind(), "the client still waits");
        client.vanish();
        assert!(world.broker.is_behind());
        world.broker.set_slow(Duration::from_ticks(0));
        client.connect(true, KEPT).await;
        assert!(world.broker.is_behind() && !world.broker.is_well());
        let end = client.next().await;
        assert!(matches!(end, Ok(Packet::V5_0Disconnect(_))), "{end:?}");
        assert!(!world.broker.is_behind() && world.broker.is_well());
    });
}

#[test]
fn a_slow_broker_answers_late() {
    with_broker(async |world| {
        let mut client = world.connected("client").await;
        world.broker.set_slow(Duration::from_secs(3));
        let before = Instant::now();
        client.publish("a", "x", Qos::ExactlyOnce, false).await;
        assert_eq!((Instant::now() - before).as_secs(), 6);
    });
}

#[test]
fn a_client_behind_a_pulled_cable_is_lost_and_its_will_published() {
    with_broker(async |world| {
        let mut client = world.client("client");
        let packet = connecting!(client, true, KEPT)
            .keep_alive(10)
            .will_message("status", b"offline", Qos::AtMostOnce, false)
            .expect("short enough");
        client.connect_as(packet.build()).await;
        client.host.set_link(false);
        world.broker.next_message("status").await;
        assert_eq!(Instant::now().as_secs(), 15);
        client.host.set_link(true);
        assert!(client.connect(false, KEPT).await.session_present());
    });
}

#[test]
fn quality_2_is_exactly_once_over_a_network_that_resets_every_connection() {
    with_broker(async |world| {
        // Long enough for a handshake and a few packets.
        world.broker.host().set_faults(Faults {
            reset_after: Some(120),
            piece: 3,
            ..Faults::default()
        });
        let mut client = world.client("client");
        let mut expected = Vec::new();
        let mut connected = false;
        for number in 0..50 {
            let payload = number.to_string();
            if !connected {
                client.reconnect(number == 0).await;
            }
            let packet_id = client.connection.acquire_packet_id().expect("a free one");
            let packet = v5_0::Publish::builder()
                .topic_name("a")
                .expect("short enough")
                .payload(payload.as_str())
                .qos(Qos::ExactlyOnce)
                .packet_id(packet_id)
                .build()
                .expect("a packet");
            let mut events = client.connection.send(packet.into());
            // Until the number is free again, over as many connections as it takes.
            'sent: loop {
                for event in std::mem::take(&mut events) {
                    match event {
                        Event::RequestSendPacket { packet, .. } => {
                            let bytes = packet.to_continuous_buffer();
                            let socket = client.socket.as_mut().expect("is connected");
                            connected = socket.write_all(&bytes).await.is_ok();
                        }
                        Event::NotifyPacketIdReleased(_) => break 'sent,
                        Event::NotifyError(error) => panic!("{error:?}"),
                        _ => {}
                    }
                }
                let mut byte = [0];
                let socket = client.socket.as_mut().expect("is connected");
                connected = connected && matches!(socket.read(&mut byte).await, Ok(1));
                events = if connected {
                    client.connection.recv(&mut Cursor::new(&byte[..]))
                } else {
                    client.reconnect(false).await
                };
                connected = true;
            }
            expected.push(payload);
        }
        let seen: Vec<_> = world
            .broker
            .messages()
            .iter()
            .map(|message| message.text())
            .collect();
        assert_eq!(seen, expected);
        assert!(world.broker.visits().len() > 10, "the faults were felt");
        assert!(world.broker.protocol_errors().is_empty());
    });
}

impl Client {
    /// Connects with the session it has; returns what the library wants to be sent again.
    async fn reconnect(&mut self, clean_start: bool) -> Vec<Event> {
        self.connection.notify_closed();
        self.socket = Some(self.host.connect(self.broker).await.expect("connects"));
        let packet = connecting!(self, clean_start, KEPT)
            .build()
            .expect("a packet");
        let mut events = self.connection.send(packet.into());
        loop {
            self.obey(&events).await;
            let mut byte = [0];
            let socket = self.socket.as_mut().expect("is connected");
            assert_eq!(socket.read(&mut byte).await, Ok(1));
            events = self.connection.recv(&mut Cursor::new(&byte[..]));
            if !events.is_empty() {
                return events;
            }
        }
    }
}
