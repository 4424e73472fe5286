//! Connections: order, back-pressure, farewells, resets, cables.

use edge_nal::{AddrType, Close, Dns, Readable, TcpShutdown, TcpSplit};
use embassy_time::Timer;

use super::*;
use crate::random::Random;

#[test]
fn connecting_takes_a_round_trip_and_bytes_take_the_latency() {
    let pair = Pair::new();
    pair.network.set_latency(Duration::from_millis(20));
    run_virtual(async {
        let (mut device, mut server) = pair.connected().await;
        assert_eq!(Instant::now().as_millis(), 40);
        let (local, remote) = device.addresses().expect("is open");
        assert_eq!(remote, pair.remote());
        assert_eq!(server.addresses(), Some((remote, local)));
        device.write_all(b"hello").await.expect("writes");
        assert_eq!(read_text(&mut server, 5).await, "hello");
        assert_eq!(Instant::now().as_millis(), 60);
        device.write_all(b"more").await.expect("writes");
        device.flush().await.expect("flushes");
        assert_eq!(Instant::now().as_millis(), 100, "there and back");
    });
}

#[test]
fn a_stream_arrives_whole_and_in_order_whatever_the_way_does_to_it() {
    let faults = [
        Faults::default(),
        Faults {
            piece: 1,
            ..Faults::default()
        },
        Faults {
            jitter: Duration::from_millis(50),
            loss: 0.2,
            piece: 100,
            pace: Duration::from_millis(3),
            ..Faults::default()
        },
    ];
    for (seed, faults) in (1..).zip(faults) {
        let pair = Pair::new();
        pair.server.set_faults(faults);
        run_virtual(async {
            let (mut device, mut server) = pair.connected().await;
            let mut sent = vec![0; 20_000];
            Random::new(seed).fill(&mut sent);
            let mut received = Vec::new();
            let writing = async {
                for chunk in sent.chunks(777) {
                    device.write_all(chunk).await.expect("writes");
                }
                device.close(Close::Write).await.expect("closes");
            };
            let reading = async {
                let mut buffer = [0; 300];
                while let Ok(count @ 1..) = server.read(&mut buffer).await {
                    received.extend_from_slice(&buffer[..count]);
                }
            };
            join(writing, reading).await;
            assert!(received == sent, "seed {seed}");
        });
    }
}

#[test]
fn a_writer_waits_while_the_reader_does_not_read() {
    let pair = Pair::new();
    pair.device.set_buffer(1000);
    pair.server.set_buffer(1000);
    run_virtual(async {
        let (mut device, mut server) = pair.connected().await;
        let bytes = [7; 1500];
        assert_eq!(device.write(&bytes).await, Ok(1000));
        assert_eq!(within(3600, device.write(&bytes)).await, None);
        let mut buffer = [0; 400];
        assert_eq!(server.read(&mut buffer).await, Ok(400));
        assert_eq!(device.write(&bytes).await, Ok(400));
        assert_eq!(within(1, device.write(&bytes)).await, None);
    });
}

#[test]
fn a_dropped_read_has_taken_nothing() {
    let pair = Pair::new();
    run_virtual(async {
        let (mut device, mut server) = pair.connected().await;
        for _ in 0..3 {
            assert_eq!(within(1, server.read(&mut [0; 8])).await, None);
        }
        device.write_all(b"all").await.expect("writes");
        server.readable().await.expect("readable");
        assert_eq!(read_text(&mut server, 3).await, "all");
    });
}

#[test]
fn a_half_closed_connection_still_carries_the_other_direction() {
    let pair = Pair::new();
    run_virtual(async {
        let (mut device, mut server) = pair.connected().await;
        device.write_all(b"question").await.expect("writes");
        device.close(Close::Write).await.expect("closes");
        assert_eq!(device.write(b"!").await, Err(NetworkError::Closed));
        assert_eq!(read_text(&mut server, 8).await, "question");
        assert_eq!(server.read(&mut [0; 8]).await, Ok(0));
        server.write_all(b"answer").await.expect("writes");
        drop(server);
        assert_eq!(read_text(&mut device, 6).await, "answer");
        assert_eq!(device.read(&mut [0; 8]).await, Ok(0));
    });
}

#[test]
fn a_half_close_from_outside_ends_one_direction_for_both() {
    let pair = Pair::new();
    run_virtual(async {
        let (mut device, mut server) = pair.connected().await;
        pair.network.half_close(&pair.server, &pair.device);
        assert_eq!(device.read(&mut [0; 8]).await, Ok(0));
        assert_eq!(server.write(b"x").await, Err(NetworkError::Closed));
        device.write_all(b"still").await.expect("writes");
        assert_eq!(read_text(&mut server, 5).await, "still");
    });
}

#[test]
fn a_dropped_socket_delivers_what_was_sent_and_then_the_end() {
    let pair = Pair::new();
    run_virtual(async {
        let (mut device, mut server) = pair.connected().await;
        device.write_all(b"goodbye").await.expect("writes");
        assert_eq!(pair.server.connections(), 1);
        drop(device);
        assert_eq!(pair.server.connections(), 0);
        assert_eq!(read_text(&mut server, 7).await, "goodbye");
        assert_eq!(server.read(&mut [0; 8]).await, Ok(0));
        // The first bytes to a closed socket are answered by a reset.
        assert_eq!(server.write(b"x").await, Ok(1));
        Timer::after_millis(5).await;
        assert_eq!(server.write(b"x").await, Err(NetworkError::Reset));
    });
}

#[test]
fn a_socket_dropped_with_unread_bytes_resets_the_connection() {
    let pair = Pair::new();
    run_virtual(async {
        let (mut device, mut server) = pair.connected().await;
        device.write_all(b"unread").await.expect("writes");
        Timer::after_millis(5).await;
        server.write_all(b"answer").await.expect("writes");
        drop(server);
        assert_eq!(read_text(&mut device, 6).await, "answer");
        assert_eq!(device.read(&mut [0; 8]).await, Err(NetworkError::Reset));
    });
}

#[test]
fn a_reset_reaches_readers_and_writers_that_wait() {
    let pair = Pair::new();
    run_virtual(async {
        let (mut device, mut server) = pair.connected().await;
        let (mut reader, mut writer) = device.split();
        let writing = async { writer.write_all(&[0; 100_000]).await };
        let mut buffer = [0; 8];
        let resetting = async {
            Timer::after_secs(1).await;
            server.abort().await.expect("aborts");
        };
        let (read, (wrote, ())) = join(reader.read(&mut buffer), join(writing, resetting)).await;
        assert_eq!(read, Err(NetworkError::Reset));
        assert_eq!(wrote, Err(NetworkError::Reset));
        assert_eq!(
            server.read(&mut [0; 8]).await,
            Ok(8),
            "what had arrived is there"
        );
    });
    run_virtual(async {
        let (mut device, mut server) = pair.connected().await;
        pair.network.reset(&pair.server, &pair.device);
        assert_eq!(device.read(&mut [0; 8]).await, Err(NetworkError::Reset));
        assert_eq!(server.write(b"x").await, Err(NetworkError::Reset));
    });
    run_virtual(async {
        pair.server.set_faults(Faults {
            reset_after: Some(10),
            ..Faults::default()
        });
        let (mut device, mut server) = pair.connected().await;
        device.write_all(b"123456").await.expect("writes");
        assert_eq!(read_text(&mut server, 6).await, "123456");
        server.write_all(b"7890").await.expect("writes");
        assert_eq!(device.read(&mut [0; 8]).await, Err(NetworkError::Reset));
    });
}

#[test]
fn a_pulled_cable_hangs_the_connection_and_bytes_come_once_it_is_back() {
    let pair = Pair::new();
    run_virtual(async {
        let (mut device, mut server) = pair.connected().await;
        pair.server.set_faults(pulled());
        let before = Instant::now();
        device.write_all(b"while away").await.expect("buffered");
        assert_eq!(within(100, device.flush()).await, None);
        assert_eq!(within(100, server.read(&mut [0; 8])).await, None);
        pair.server.set_faults(Faults::default());
        assert_eq!(read_text(&mut server, 10).await, "while away");
        // Lost at 0, sent again after 0.2, 0.6, 1.4 ... 102.2, 162.2, 222.2 s.
        assert_eq!((Instant::now() - before).as_millis(), 222_201);
        device.flush().await.expect("delivered");
    });
}

#[test]
fn connecting_hangs_while_the_cable_is_pulled_and_succeeds_afterwards() {
    let pair = Pair::new();
    run_virtual(async {
        let acceptor = listen(&pair.server).await.expect("a free port");
        pair.network
            .set_faults(&pair.device, &pair.server, pulled());
        assert!(
            within(60, pair.device.connect(pair.remote()))
                .await
                .is_none()
        );
        let mend = async {
            Timer::after_secs(10).await;
            pair.network
                .set_faults(&pair.device, &pair.server, Faults::default());
        };
        let before = Instant::now();
        let (connected, ()) = join(pair.device.connect(pair.remote()), mend).await;
        connected.expect("connects");
        // Attempts go out after 0, 1, 3, 7 and 15 s.
        assert_eq!((Instant::now() - before).as_secs(), 15);
        acceptor.accept().await.expect("accepts");
    });
}

#[test]
fn without_a_link_nothing_begins_and_what_was_there_hangs() {
    let pair = Pair::new();
    pair.network.name("broker.local", pair.server.address());
    run_virtual(async {
        let (mut device, mut server) = pair.connected().await;
        pair.device.set_link(false);
        assert!(!pair.device.link());
        let refused = pair.device.connect(pair.remote()).await;
        assert_eq!(refused.err(), Some(NetworkError::Unreachable));
        let looked_up = pair
            .device
            .get_host_by_name("broker.local", AddrType::IPv4)
            .await;
        assert_eq!(looked_up, Err(NetworkError::Unreachable));
        server.write_all(b"hello").await.expect("buffered");
        assert_eq!(within(3, device.read(&mut [0; 8])).await, None);
        pair.device.set_link(true);
        assert_eq!(read_text(&mut device, 5).await, "hello");
    });
}

#[test]
fn connections_are_lost_with_the_address_they_were_made_with() {
    let pair = Pair::new();
    run_virtual(async {
        let (mut device, mut server) = pair.connected().await;
        let old = pair.device.address();
        pair.device.set_address(Ipv4Addr::new(10, 0, 0, 77));
        server.write_all(b"hello").await.expect("buffered");
        assert_eq!(within(60, device.read(&mut [0; 8])).await, None);
        pair.device.set_address(old);
        assert_eq!(read_text(&mut device, 5).await, "hello");
    });
}

#[test]
fn refusal_is_told_at_once_and_a_black_hole_says_nothing() {
    let pair = Pair::new();
    run_virtual(async {
        let nobody = pair.device.connect(pair.remote()).await;
        assert_eq!(nobody.err(), Some(NetworkError::Refused));
        let (mut old, _other) = pair.connected().await;
        let acceptor = listen(&pair.server).await.expect("a free port");
        pair.server.set_faults(Faults {
            refuse: true,
            ..Faults::default()
        });
        let refused = pair.device.connect(pair.remote()).await;
        assert_eq!(refused.err(), Some(NetworkError::Refused));

        pair.server.set_faults(Faults {
            black_hole: true,
            ..Faults::default()
        });
        let mut swallowed = pair.device.connect(pair.remote()).await.expect("connects");
        swallowed.write_all(&[0; 100_000]).await.expect("swallowed");
        assert_eq!(within(600, swallowed.read(&mut [0; 8])).await, None);
        assert!(within(60, acceptor.accept()).await.is_none());
        assert_eq!(within(60, old.read(&mut [0; 8])).await, None);

        pair.server.set_faults(Faults::default());
        swallowed.write_all(b"?").await.expect("sent");
        assert_eq!(swallowed.read(&mut [0; 8]).await, Err(NetworkError::Reset));
    });
}

#[test]
fn a_host_that_lost_its_power_answers_old_connections_with_a_reset() {
    let pair = Pair::new();
    run_virtual(async {
        let (mut device, mut server) = pair.connected().await;
        pair.server.forget_connections();
        assert_eq!(server.read(&mut [0; 8]).await, Err(NetworkError::Reset));
        drop(server);
        assert_eq!(within(3600, device.read(&mut [0; 8])).await, None);
        device.write_all(b"are you there").await.expect("sent");
        assert_eq!(device.read(&mut [0; 8]).await, Err(NetworkError::Reset));
    });
}

#[test]
fn a_full_backlog_makes_callers_wait_and_none_refuses_them() {
    let pair = Pair::new();
    run_virtual(async {
        let acceptor = listen(&pair.server).await.expect("a free port");
        assert_eq!(acceptor.port(), PORT);
        pair.server.set_backlog(1);
        let first = pair.device.connect(pair.remote()).await;
        assert!(first.is_ok());
        assert!(
            within(5, pair.device.connect(pair.remote()))
                .await
                .is_none()
        );
        acceptor.accept().await.expect("accepts");

        pair.server.set_backlog(0);
        let refused = pair.device.connect(pair.remote()).await;
        assert_eq!(refused.err(), Some(NetworkError::Refused));
        let (taken, accepted) = join(pair.device.connect(pair.remote()), acceptor.accept()).await;
        assert!(taken.is_ok() && accepted.is_ok());
    });
}

#[test]
fn a_dropped_acceptor_frees_its_port_and_resets_who_waited() {
    let pair = Pair::new();
    run_virtual(async {
        let acceptor = listen(&pair.server).await.expect("a free port");
        let taken = listen(&pair.server).await;
        assert_eq!(taken.err(), Some(NetworkError::AddressInUse));
        let foreign = SocketAddr::from(([9, 9, 9, 9], PORT));
        let foreign = TcpBind::bind(&pair.server, foreign).await;
        assert_eq!(foreign.err(), Some(NetworkError::AddressNotAvailable));
        let mut waiting = pair.device.connect(pair.remote()).await.expect("connects");
        drop(acceptor);
        assert_eq!(waiting.read(&mut [0; 8]).await, Err(NetworkError::Reset));
        assert!(listen(&pair.server).await.is_ok());
    });
}

#[test]
fn a_host_can_talk_to_itself_without_a_link() {
    let pair = Pair::new();
    pair.server.set_link(false);
    run_virtual(async {
        let acceptor = listen(&pair.server).await.expect("a free port");
        let loopback = SocketAddr::from((Ipv4Addr::LOCALHOST, PORT));
        let (client, accepted) = join(pair.server.connect(loopback), acceptor.accept()).await;
        let (mut client, (_, mut accepted)) = (client.expect("connects"), accepted.expect("ok"));
        client.write_all(b"self").await.expect("writes");
        assert_eq!(read_text(&mut accepted, 4).await, "self");
    });
}

#[test]
fn a_random_walk_through_faults_delivers_every_stream_whole() {
    for seed in 0..100 {
        let pair = Pair::new();
        let mut sent = vec![0; 30_000];
        Random::new(seed).fill(&mut sent);
        run_virtual(async {
            let (mut device, mut server) = pair.connected().await;
            let writing = async {
                let mut random = Random::new(seed + 1);
                let mut rest = sent.as_slice();
                while !rest.is_empty() {
                    let some = usize::try_from(1 + random.below(2000)).expect("small");
                    let chunk = &rest[..some.min(rest.len())];
                    device.write_all(chunk).await.expect("writes");
                    rest = &rest[chunk.len()..];
                }
                device.close(Close::Write).await.expect("closes");
            };
            let reading = async {
                let mut random = Random::new(seed + 2);
                let mut received = Vec::new();
                let mut buffer = [0; 700];
                loop {
                    let room = usize::try_from(1 + random.below(700)).expect("small");
                    match server.read(&mut buffer[..room]).await.expect("reads") {
                        0 => return received,
                        count => received.extend_from_slice(&buffer[..count]),
                    }
                    Timer::after_millis(random.below(50)).await;
                }
            };
            let failing = async {
                let mut random = Random::new(seed + 3);
                for _ in 0..20 {
                    match random.below(4) {
                        0 => pair.device.set_link(false),
                        1 => pair.server.set_faults(pulled()),
                        2 => pair
                            .network
                            .set_faults(&pair.server, &pair.device, pulled()),
                        _ => pair.server.set_faults(Faults {
                            loss: 0.1,
                            jitter: Duration::from_millis(random.below(30)),
                            piece: usize::try_from(1 + random.below(500)).expect("small"),
                            ..Faults::default()
                        }),
                    }
                    Timer::after_millis(random.below(3000)).await;
                    pair.device.set_link(true);
                    pair.server.set_faults(Faults::default());
                    pair.network
                        .set_faults(&pair.server, &pair.device, Faults::default());
                    Timer::after_millis(random.below(1000)).await;
                }
            };
            let (received, _) = join(reading, join(writing, failing)).await;
            assert!(received == sent, "seed {seed}");
        });
    }
}
