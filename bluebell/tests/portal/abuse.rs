//! Clients that do harm, and a good one beside them that is answered within a second.

use edge_nal::{TcpConnect, TcpShutdown};
use embassy_futures::join::join;
use embassy_futures::select::select;
use embassy_time::{Duration, Instant, Timer};
use embedded_io_async::{Read, Write};
use proptest::prelude::*;
use sim::net::{NetworkError, TcpSocket};
use sim::person::PersonError;

use crate::world::*;

/// Visits the portal once in a while and checks that each visit is short. A chip refuses when more
/// connect in the same moment than it has sockets, so a visit is tried again, as a person does.
async fn good_client(world: &World, visits: usize) {
    for visit in 0..visits {
        let (took, answer) = timed(async {
            loop {
                match world.person().get("/status.json").await {
                    Err(PersonError::Network(NetworkError::Refused)) => {}
                    answer => return answer,
                }
                Timer::after(Duration::from_millis(50)).await;
            }
        })
        .await;
        let answer = answer.unwrap_or_else(|error| panic!("visit {visit}: {error}"));
        assert_eq!(answer.status, 200);
        assert!(took < 1_000, "visit {visit} took {took} ms");
        Timer::after(Duration::from_millis(173)).await;
    }
}

/// Runs the abuse until the good client has made its visits.
async fn beside<T>(world: &World, abuse: impl Future<Output = T>, visits: usize) {
    let for_ever = async {
        let _ = abuse.await;
        core::future::pending::<()>().await;
    };
    select(for_ever, good_client(world, visits)).await;
}

#[test]
fn idle_connections_hold_up_nobody() {
    with_portal(async |world| {
        let hold = async {
            let mut held = Vec::new();
            for _ in 0..64 {
                held.push(world.connect().await);
                Timer::after(Duration::from_millis(20)).await;
            }
            core::future::pending::<()>().await;
        };
        beside(world, hold, 30).await;
    });
}

#[test]
fn idle_connections_that_come_back_hold_up_nobody() {
    with_portal(async |world| {
        let hold = async |_: usize| {
            loop {
                // A chip refuses for the moment that a seat takes to change hands.
                if let Ok(mut socket) = world.phone.connect(PORTAL).await {
                    let mut buffer = [0; 16];
                    let _ = socket.read(&mut buffer).await;
                }
                Timer::after(Duration::from_millis(50)).await;
            }
        };
        world.portal.set_backlog(128);
        let all = embassy_futures::join::join_array(core::array::from_fn::<_, 64, _>(hold));
        beside(world, all, 30).await;
    });
}

#[test]
fn dripping_clients_hold_up_nobody() {
    with_portal(async |world| {
        let drip = async |_: usize| {
            loop {
                let Ok(mut socket) = world.phone.connect(PORTAL).await else {
                    Timer::after(Duration::from_millis(10)).await;
                    continue;
                };
                for byte in b"GET /status.json HTTP/1.1\r\nHost: a\r\n".iter().cycle() {
                    if socket.write_all(&[*byte]).await.is_err() {
                        break;
                    }
                    Timer::after(Duration::from_secs(1)).await;
                }
            }
        };
        let all = embassy_futures::join::join_array(core::array::from_fn::<_, 8, _>(drip));
        beside(world, all, 60).await;
    });
}

#[test]
fn clients_that_read_nothing_give_way_and_are_dropped() {
    with_portal(async |world| {
        let request = b"GET /large.bin HTTP/1.1\r\nHost: 192.168.4.1\r\n\r\n";
        let mut alone = world.connect().await;
        alone.write_all(request).await.unwrap();
        Timer::after(Duration::from_secs(4)).await;
        assert_eq!(world.portal.connections(), 0, "after 3 s without progress");

        let deaf = async |_: usize| {
            loop {
                if let Ok(mut socket) = world.phone.connect(PORTAL).await {
                    let _ = socket.write_all(request).await;
                    Timer::after(Duration::from_secs(6)).await;
                }
                Timer::after(Duration::from_millis(300)).await;
            }
        };
        let all = embassy_futures::join::join_array(core::array::from_fn::<_, 3, _>(deaf));
        beside(world, all, 40).await;
    });
}

#[test]
fn resets_and_half_requests_leave_every_seat_free() {
    with_portal(async |world| {
        for place in 0..200 {
            let mut socket = world.connect().await;
            let bytes =
                b"POST /connect HTTP/1.1\r\nHost: localhost\r\nContent-Length: 50\r\n\r\nssid=";
            let _ = socket.write_all(&bytes[..place % bytes.len()]).await;
            if place % 2 == 0 {
                let _ = socket.abort().await;
            }
            drop(socket);
        }
        good_client(world, 3).await;
        Timer::after(Duration::from_secs(10)).await;
        assert_eq!(world.portal.connections(), 0);
    });
}

#[test]
fn ten_thousand_garbage_requests_are_survived_and_a_join_still_works() {
    with_portal(async |world| {
        let garbage = async {
            for number in 0_u32..10_000 {
                let Ok(mut socket) = world.phone.connect(PORTAL).await else {
                    continue;
                };
                let mut bytes = number.wrapping_mul(2_654_435_761).to_le_bytes().repeat(5);
                bytes.extend_from_slice(b"\r\n\r\n");
                let _ = socket.write_all(&bytes).await;
                if number % 8 == 0 {
                    read_all(&mut socket).await;
                }
            }
        };
        join(garbage, good_client(world, 50)).await;
        let form = [("ssid", "Home"), ("password", "long enough")];
        assert_eq!(
            world
                .person()
                .post_form("/connect", &form)
                .await
                .unwrap()
                .status,
            303
        );
        assert_eq!(world.device.submitted.borrow().len(), 1);
    });
}

#[test]
fn a_client_that_always_has_more_to_ask_lets_the_device_breathe() {
    with_portal(async |world| {
        let mut greedy = world.connect().await;
        let (mut reading, mut writing) = edge_nal::TcpSplit::split(&mut greedy);
        let ask = async {
            loop {
                let request = b"GET /empty.txt HTTP/1.1\r\nHost: localhost\r\n\r\n";
                if writing.write_all(request).await.is_err() {
                    break;
                }
            }
        };
        let take = async {
            let mut buffer = [0; 4096];
            while let Ok(1..) = reading.read(&mut buffer).await {}
        };
        beside(world, join(ask, take), 20).await;
    });
}

#[test]
fn the_seat_that_is_needed_is_the_one_that_is_needed_least() {
    with_portal(async |world| {
        let request = b"GET /empty.txt HTTP/1.1\r\nHost: localhost\r\n\r\n";
        let ask = async |socket: &mut TcpSocket| {
            socket.write_all(request).await.unwrap();
            let mut buffer = [0; 1024];
            socket.read(&mut buffer).await.is_ok_and(|count| count > 0)
        };
        let mut oldest = world.connect().await;
        Timer::after(Duration::from_millis(100)).await;
        let mut kept = world.connect().await;
        assert!(ask(&mut kept).await);
        let mut younger = world.connect().await;
        Timer::after(Duration::from_millis(100)).await;
        assert_eq!(world.portal.connections(), 3);

        let start = Instant::now();
        let mut newest = world.connect().await;
        assert!(
            read_all(&mut kept).await.is_empty(),
            "the idle one gives way"
        );
        let mut second = world.connect().await;
        assert!(
            read_all(&mut oldest).await.is_empty(),
            "then the one that waited longest"
        );
        assert!(start.elapsed() < Duration::from_millis(200));
        for socket in [&mut younger, &mut newest, &mut second] {
            assert!(ask(socket).await);
        }
    });
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(200))]

    #[test]
    fn whatever_comes_in_the_portal_serves_on(
        clients in proptest::collection::vec(
            proptest::collection::vec(
                prop_oneof![
                    Just(b"GET / HTTP/1.1\r\nHost: localhost\r\n\r\n".to_vec()),
                    Just(b"POST /connect HTTP/1.1\r\nHost: localhost\r\n".to_vec()),
                    Just(b"Content-Length: 9\r\n\r\n".to_vec()),
                    Just(b"ssid=a%00&".to_vec()),
                    Just(vec![b'A'; 1500]),
                    proptest::collection::vec(any::<u8>(), 0..40),
                ],
                0..6,
            ),
            1..6,
        ),
        piece in 1_usize..50,
    ) {
        with_portal(async |world| {
            world.portal.set_backlog(16);
            world.phone.set_faults(sim::net::Faults { piece, ..Default::default() });
            let mut open = Vec::new();
            for client in &clients {
                let Ok(mut socket) = world.phone.connect(PORTAL).await else { continue };
                for bytes in client {
                    let _ = embassy_time::with_timeout(
                        Duration::from_secs(1),
                        socket.write_all(bytes),
                    )
                    .await;
                }
                open.push(socket);
            }
            assert_eq!(world.person().get("/status.json").await.unwrap().status, 200);
        });
    }
}
