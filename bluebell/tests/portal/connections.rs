//! How connections begin, go on and end.

use bluebell::wifi::Auth;
use edge_nal::{Close, TcpShutdown};
use embassy_time::{Duration, Timer};
use embedded_io_async::{Read, Write};
use sim::net::Faults;

use crate::world::*;

const GET: &[u8] = b"GET /empty.txt HTTP/1.1\r\nHost: 192.168.4.1\r\n\r\n";
const LAST: &[u8] = b"GET /empty.txt HTTP/1.1\r\nHost: 192.168.4.1\r\nConnection: close\r\n\r\n";

fn count(bytes: &[u8], wanted: &str) -> usize {
    String::from_utf8_lossy(bytes).matches(wanted).count()
}

#[test]
fn one_connection_carries_many_requests_and_idles_for_a_while() {
    with_portal(async |world| {
        let mut socket = world.connect().await;
        for _ in 0..20 {
            socket.write_all(GET).await.unwrap();
            let mut buffer = [0; 1024];
            let count = socket.read(&mut buffer).await.unwrap();
            let text = String::from_utf8_lossy(&buffer[..count]).into_owned();
            assert!(text.starts_with("HTTP/1.1 200 OK\r\n") && !text.contains("Connection"));
            Timer::after(Duration::from_secs(2)).await;
        }
        let (idle, rest) = timed(read_all(&mut socket)).await;
        assert!(rest.is_empty());
        assert!(
            (2_000..4_000).contains(&idle),
            "closed after {idle} ms more"
        );
    });
}

#[test]
fn requests_that_come_at_once_are_answered_in_order() {
    with_portal(async |world| {
        let mut bytes = Vec::new();
        for place in 0..60 {
            bytes.extend_from_slice(b"\r\n\n");
            bytes.extend_from_slice(match place % 3 {
                0 => GET,
                1 => b"GET /nowhere HTTP/1.1\r\nHost: localhost\r\n\r\n",
                _ => b"POST /rescan HTTP/1.1\r\nHost: a.b\r\nContent-Length: 4\r\n\r\nGET ",
            });
        }
        bytes.extend_from_slice(LAST);
        let answers = exchange(world, &bytes).await;
        let text = String::from_utf8(answers).unwrap();
        let codes: Vec<_> = text
            .match_indices("HTTP/1.1 ")
            .map(|(at, _)| &text[at + 9..at + 12])
            .collect();
        let expected = ["200", "404", "403"]
            .iter()
            .cycle()
            .take(60)
            .copied()
            .chain(["200"]);
        assert_eq!(codes, expected.collect::<Vec<_>>());
    });
}

#[test]
fn an_answer_leaves_what_has_come_in_of_later_requests_as_it_is() {
    with_portal(async |world| {
        // Heads and bodies that end before, at and behind the part of the room that answers use.
        for length in (0..1_400).step_by(350).chain(690..780) {
            let filler = "a".repeat(length);
            let body = &filler[..length.min(1_024)];
            let requests = format!(
                "GET /setup HTTP/1.1\r\nHost: localhost\r\nX: {filler}\r\n\r\n\
                 POST /rescan HTTP/1.1\r\nHost: a.b\r\nContent-Length: {}\r\n\r\n{body}\
                 GET /nowhere HTTP/1.1\r\nHost: localhost\r\nX: {filler}\r\n\r\n",
                body.len()
            );
            let answers = exchange(world, &[requests.as_bytes(), LAST].concat()).await;
            let text = String::from_utf8(answers).unwrap();
            let codes = text
                .match_indices("HTTP/1.1 ")
                .map(|(at, _)| &text[at + 9..at + 12]);
            let codes = codes.collect::<Vec<_>>();
            assert_eq!(codes, ["200", "403", "404", "200"], "{length}");
        }
    });
}

#[test]
fn a_close_is_asked_for_and_done() {
    with_portal(async |world| {
        let (took, answer) = timed(exchange(world, LAST)).await;
        assert_eq!(count(&answer, "Connection: close\r\n"), 1);
        assert!(took < 100, "{took} ms");
        let old = exchange(world, b"GET /empty.txt HTTP/1.0\r\n\r\n").await;
        assert_eq!(count(&old, "Connection: close\r\n"), 1);
        let mut kept = world.connect().await;
        kept.write_all(b"GET /empty.txt HTTP/1.0\r\nConnection: keep-alive\r\n\r\n")
            .await
            .unwrap();
        let (took, answer) = timed(read_all(&mut kept)).await;
        assert_eq!(count(&answer, "Connection: keep-alive\r\n"), 1);
        assert!((4_900..5_200).contains(&took), "{took} ms");
    });
}

#[test]
fn an_old_client_that_would_keep_the_connection_sees_each_body_end() {
    with_portal(async |world| {
        world.device.hear("home", 6, -50, Auth::Wpa2);
        for path in [
            "/networks.json",
            "/plain",
            "/app/temperature",
            "/status.json",
        ] {
            let request = format!("GET {path} HTTP/1.0\r\nConnection: keep-alive\r\n\r\n");
            let (took, answer) = timed(exchange(world, request.as_bytes())).await;
            assert_eq!(count(&answer, "HTTP/1.1 200 OK"), 1, "{path}");
            let told = count(&answer, "Content-Length: ") == 1;
            let kept = count(&answer, "Connection: keep-alive\r\n") == 1;
            let closed = count(&answer, "Connection: close\r\n") == 1 && took < 100;
            assert!(told && kept || closed, "{path}: {took} ms");
            assert_eq!(count(&answer, "chunked"), 0, "{path}");
        }
    });
}

#[test]
fn a_head_is_due_within_five_seconds_whatever_drips_in() {
    with_portal(async |world| {
        let mut silent = world.connect().await;
        let (took, answer) = timed(read_all(&mut silent)).await;
        assert!(answer.is_empty());
        assert!((4_900..5_200).contains(&took), "{took} ms");

        let dripping = world.connect().await;
        let (took, answer) = timed(drip(dripping, b"GET / HTTP/1.1\r\nHost: a\r\n", 1_000)).await;
        assert!(answer.starts_with(b"HTTP/1.1 408 "), "{answer:?}");
        assert!((4_900..6_500).contains(&took), "{took} ms");

        let slow_body = b"POST /connect HTTP/1.1\r\nHost: localhost\r\nContent-Length: 900\r\n\r\n";
        let mut socket = world.connect().await;
        socket.write_all(slow_body).await.unwrap();
        let (took, answer) = timed(drip(socket, &[b'a'; 60], 500)).await;
        assert!(answer.starts_with(b"HTTP/1.1 408 "), "{answer:?}");
        assert!((4_900..6_500).contains(&took), "{took} ms");
    });
}

/// Sends a byte at a time and returns what comes back.
async fn drip(socket: sim::net::TcpSocket, bytes: &[u8], every: u64) -> Vec<u8> {
    let mut socket = socket;
    let (mut reading, mut writing) = edge_nal::TcpSplit::split(&mut socket);
    let mut answer = Vec::new();
    let read = async {
        let mut buffer = [0; 512];
        while let Ok(count @ 1..) = reading.read(&mut buffer).await {
            answer.extend_from_slice(&buffer[..count]);
        }
    };
    let write = async {
        for byte in bytes {
            if writing.write_all(&[*byte]).await.is_err() {
                break;
            }
            Timer::after(Duration::from_millis(every)).await;
        }
        core::future::pending::<()>().await;
    };
    embassy_futures::select::select(read, write).await;
    answer
}

#[test]
fn a_client_that_has_finished_sending_still_gets_its_answer() {
    with_portal(async |world| {
        let mut socket = world.connect().await;
        socket.write_all(GET).await.unwrap();
        let _ = socket.close(Close::Write).await;
        let answer = read_all(&mut socket).await;
        assert!(answer.starts_with(b"HTTP/1.1 200 OK\r\n"), "{answer:?}");

        let mut half = world.connect().await;
        half.write_all(b"GET / HTTP/1.1\r\nHost:").await.unwrap();
        let _ = half.close(Close::Write).await;
        let answer = read_all(&mut half).await;
        assert!(answer.starts_with(b"HTTP/1.1 400 "), "{answer:?}");
    });
}

#[test]
fn what_is_too_long_is_refused_and_the_answer_arrives() {
    let host = "Host: 192.168.4.1\r\n";
    let flood = "x".repeat(40_000);
    let many = "X-Filler: 0123456789\r\n".repeat(2_000);
    let table = [
        (format!("GET /{flood} HTTP/1.1\r\n{host}\r\n"), "414"),
        (flood.clone(), "414"),
        (format!("GET / HTTP/1.1\r\n{host}X: {flood}\r\n\r\n"), "431"),
        (format!("GET / HTTP/1.1\r\n{host}{many}\r\n"), "431"),
        (
            format!("POST /connect HTTP/1.1\r\n{host}Content-Length: 40000\r\n\r\n{flood}"),
            "413",
        ),
        (
            format!(
                "POST /connect HTTP/1.1\r\n{host}Content-Length: 18446744073709551615\r\n\r\nssid=a"
            ),
            "413",
        ),
        (
            format!(
                "POST /connect HTTP/1.1\r\n{host}Transfer-Encoding: chunked\r\n\r\n\
                 6\r\nssid=a\r\n0\r\n\r\n"
            ),
            "411",
        ),
        (
            format!("POST /connect HTTP/1.1\r\n{host}Content-Length: -1\r\n\r\n"),
            "400",
        ),
        (
            format!("POST /connect HTTP/1.1\r\n{host}Connection: close\r\n\r\n"),
            "411",
        ),
        ("GET / HTTP/1.1\r\n\r\n".to_owned(), "400"),
        ("\x16\x03\x01\x02\x00\x01\x00".to_owned(), "400"),
    ];
    with_portal(async |world| {
        for (request, status) in &table {
            let start: String = request.chars().take(60).collect();
            let (took, answer) = timed(exchange(world, request.as_bytes())).await;
            let text = String::from_utf8(answer).unwrap();
            assert!(
                text.starts_with(&format!("HTTP/1.1 {status} ")),
                "{start}: {text}"
            );
            assert!(text.contains("Connection: close\r\n"), "{start}: {text}");
            assert!(took < 2_000, "{start}: {took} ms");
        }
        assert!(world.device.submitted.borrow().is_empty());
    });
}

#[test]
fn a_body_that_is_waited_for_is_asked_for() {
    with_portal(async |world| {
        let mut socket = world.connect().await;
        let head = b"POST /connect HTTP/1.1\r\nHost: localhost\r\nExpect: 100-continue\r\n\
            Connection: close\r\nContent-Type: application/x-www-form-urlencoded\r\n\
            Content-Length: 6\r\n\r\n";
        socket.write_all(head).await.unwrap();
        let mut buffer = [0; 128];
        let count = socket.read(&mut buffer).await.unwrap();
        assert_eq!(&buffer[..count], b"HTTP/1.1 100 Continue\r\n\r\n");
        socket.write_all(b"ssid=a").await.unwrap();
        assert!(read_all(&mut socket).await.starts_with(b"HTTP/1.1 303 "));
    });
}

#[test]
fn answers_do_not_depend_on_how_a_request_is_split() {
    let form = "ssid=Caf%C3%A9+%26+Bar&password=12345678";
    let requests = [
        "GET / HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n".to_owned(),
        "GET /networks.json HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n".to_owned(),
        format!(
            "POST /connect HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\
             Accept: application/json\r\nContent-Length: {}\r\n\r\n{form}",
            form.len()
        ),
        "\r\n\r\nGET /nowhere HTTP/1.1\nHost: localhost\nConnection: close\n\n".to_owned(),
        format!("GET /{} HTTP/1.1\r\n\r\n", "a".repeat(2_000)),
        format!("GET / HTTP/1.1\r\nX: {}\r\n\r\n", "a".repeat(2_000)),
        "BAD\u{1}\r\n\r\n".to_owned(),
    ];
    for request in requests {
        let mut answers = Vec::new();
        for piece in [usize::MAX, 1, 2, 3, 7, 64, 1000] {
            answers.push(with_portal(async |world| {
                world.portal.set_faults(Faults {
                    piece,
                    ..Faults::default()
                });
                world
                    .device
                    .hear("Home", 1, -50, bluebell::wifi::Auth::Open);
                exchange(world, request.as_bytes()).await
            }));
        }
        assert!(answers[0].starts_with(b"HTTP/1.1 "));
        assert!(
            answers.windows(2).all(|pair| pair[0] == pair[1]),
            "{request:?}"
        );
    }
}

#[test]
fn dropping_the_portal_closes_everything_and_it_can_open_again() {
    use bluebell::log::Log;
    use bluebell::portal::{PortalMemory, serve};
    use edge_nal::TcpConnect;
    use embassy_futures::select::{Either, select};

    let network = sim::net::Network::new(1);
    let portal = network.host([192, 168, 4, 1].into());
    let phone = network.host([192, 168, 4, 100].into());
    let device = Device::default();
    let mut buffer = [0; 1024];
    let log = Log::new(&mut buffer);
    let mut memory: PortalMemory = PortalMemory::default();
    sim::time::run_virtual(async {
        for _ in 0..3 {
            let visit = async {
                let mut socket = phone.connect(PORTAL).await.unwrap();
                socket.write_all(LAST).await.unwrap();
                assert!(read_all(&mut socket).await.starts_with(b"HTTP/1.1 200 "));
                phone.connect(PORTAL).await.unwrap()
            };
            let serving = serve(&portal, &device, None, &mut memory, &log);
            let Either::Second(mut open) = select(serving, visit).await;
            assert!(read_all(&mut open).await.is_empty());
            phone.connect(PORTAL).await.map(drop).unwrap_err();
        }
    });
}
