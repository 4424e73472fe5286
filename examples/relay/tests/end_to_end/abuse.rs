//! Clients of the portal that do not behave, and those that are on no list.

use std::io::{Read, Write};
use std::net::{SocketAddr, TcpStream};
use std::time::{Duration, Instant};

use crate::harness::air::{HOME, HOME_PASSWORD};
use crate::harness::board::{Board, Desk};
use crate::harness::{SLACK, http};

fn open_portal(desk: &Desk) -> Board {
    let board = desk.board().start();
    board.await_portal();
    board
}

/// The status of raw bytes.
fn status_of(address: SocketAddr, bytes: &[u8]) -> u16 {
    let shown = String::from_utf8_lossy(&bytes[..bytes.len().min(120)]).into_owned();
    match http::exchange(address, bytes) {
        Ok(answer) => answer.status,
        Err(error) => panic!("{shown:?}: {error}"),
    }
}

fn is_well(board: &Board) {
    let answer = http::get(board.portal, "/status.json");
    assert_eq!(answer.status, 200, "{answer:?}");
}

pub(crate) fn of_http_is_answered_with_its_status() {
    let desk = Desk::new();
    let board = open_portal(&desk);
    let host = format!("Host: {}\r\n", board.portal);
    let long = "x".repeat(20_000);
    let form = "Content-Type: application/x-www-form-urlencoded\r\n";
    let cases: Vec<(u16, String)> = vec![
        (400, "nonsense\r\n\r\n".into()),
        (400, format!("GET / HTTP/9.9\r\n{host}\r\n")),
        (400, format!("GET  HTTP/1.1\r\n{host}\r\n")),
        (400, format!("GET /\0 HTTP/1.1\r\n{host}\r\n")),
        (400, format!("GET / HTTP/1.1\r\nno colon\r\n{host}\r\n")),
        (
            400,
            format!("POST /connect HTTP/1.1\r\n{host}{form}Content-Length: -1\r\n\r\n"),
        ),
        (
            400,
            format!("POST /connect HTTP/1.1\r\n{host}{form}Content-Length: 1x\r\n\r\n"),
        ),
        (
            400,
            format!(
                "POST /connect HTTP/1.1\r\n{host}{form}Content-Length: 3\r\nContent-Length: 4\r\n\r\na=b"
            ),
        ),
        (
            400,
            format!("POST /connect HTTP/1.1\r\n{host}{form}Content-Length: 8\r\n\r\nssid=%zz"),
        ),
        (404, format!("GET /nothing HTTP/1.1\r\n{host}\r\n")),
        (404, format!("GET /flash.bin HTTP/1.1\r\n{host}\r\n")),
        (404, format!("GET /config.toml HTTP/1.1\r\n{host}\r\n")),
        (404, format!("GET /wifi.json HTTP/1.1\r\n{host}\r\n")),
        (404, format!("GET /../config.toml HTTP/1.1\r\n{host}\r\n")),
        (
            404,
            format!("GET /%2e%2e/config.toml HTTP/1.1\r\n{host}\r\n"),
        ),
        (405, format!("DELETE /setup HTTP/1.1\r\n{host}\r\n")),
        (405, format!("GET /connect HTTP/1.1\r\n{host}\r\n")),
        (
            405,
            format!("POST /status.json HTTP/1.1\r\n{host}Content-Length: 0\r\n\r\n"),
        ),
        (
            413,
            format!("POST /connect HTTP/1.1\r\n{host}{form}Content-Length: 100000\r\n\r\n"),
        ),
        (
            413,
            format!(
                "POST /connect HTTP/1.1\r\n{host}{form}Content-Length: 18446744073709551615\r\n\r\n"
            ),
        ),
        (414, format!("GET /{long} HTTP/1.1\r\n{host}\r\n")),
        (
            431,
            format!("GET / HTTP/1.1\r\n{host}X-Long: {long}\r\n\r\n"),
        ),
        (
            431,
            format!(
                "GET / HTTP/1.1\r\n{host}{}\r\n",
                "X-Many: 1\r\n".repeat(2_000)
            ),
        ),
    ];
    let mut wrong = Vec::new();
    for (expected, request) in &cases {
        let status = status_of(board.portal, request.as_bytes());
        if status != *expected {
            wrong.push((
                *expected,
                status,
                request.chars().take(90).collect::<String>(),
            ));
        }
        is_well(&board);
    }
    assert!(wrong.is_empty(), "expected, got, request: {wrong:#?}");
    let refused = http::get(board.portal, "/%C0%AF");
    assert!((400..500).contains(&refused.status), "{refused:?}");

    // Nothing was lost: the portal still does its work.
    board.submit(HOME, HOME_PASSWORD);
    assert_eq!(board.await_result()["state"], "online");
}

pub(crate) fn of_headers_only_changes_nothing_for_head() {
    let desk = Desk::new();
    let board = open_portal(&desk);
    let head = http::request(board.portal, "HEAD", "/status.json", &[], b"");
    assert_eq!(head.status, 200);
    let allowed = http::request(board.portal, "DELETE", "/status.json", &[], b"");
    assert_eq!(allowed.status, 405);
    assert!(
        allowed
            .header("allow")
            .is_some_and(|methods| methods.contains("GET"))
    );
}

pub(crate) fn of_other_host_names_is_led_to_the_portal() {
    let desk = Desk::new();
    let board = open_portal(&desk);
    let name = board.state()["access_point"]["ssid"]
        .as_str()
        .expect("a name")
        .to_owned();
    let ask = |method: &str, path: &str, host: &str| {
        http::request(board.portal, method, path, &[("Host", host)], b"")
    };
    for own in [
        "192.168.4.1",
        "10.1.2.3:80",
        "127.0.0.1:8080",
        "[fe80::1]:80",
        "localhost",
        "localhost:9999",
        name.as_str(),
        &format!("{name}:80"),
        &name.to_uppercase(),
    ] {
        assert_eq!(ask("GET", "/status.json", own).status, 200, "{own}");
    }
    for (host, path) in [
        ("connectivitycheck.gstatic.com", "/generate_204"),
        ("captive.apple.com", "/hotspot-detect.html"),
        ("www.msftconnecttest.com", "/connecttest.txt"),
        ("example.com:80", "/status.json"),
        ("localhost.example.com", "/"),
    ] {
        for method in ["GET", "HEAD"] {
            let answer = ask(method, path, host);
            assert_eq!(answer.status, 302, "{method} {host}: {answer:?}");
            let location = answer.header("location").expect("where to go");
            assert!(location.starts_with("http://"), "{location}");
        }
        assert_eq!(ask("POST", "/connect", host).status, 403, "{host}");
    }
}

pub(crate) fn from_other_origins_is_refused() {
    let desk = Desk::new();
    let board = open_portal(&desk);
    let own = format!("http://{}", board.portal);
    let post = |path: &str, origin: &str, body: &str| {
        let headers = [
            ("Origin", origin),
            ("Content-Type", "application/x-www-form-urlencoded"),
            ("Accept", "application/json"),
        ];
        http::request(board.portal, "POST", path, &headers, body.as_bytes()).status
    };
    let body = http::form(&[("ssid", "Nowhere"), ("password", "some password")]);
    for origin in [
        "http://evil.example",
        "null",
        "http://127.0.0.1:1",
        "https://localhost",
    ] {
        assert_eq!(post("/connect", origin, &body), 403, "{origin}");
        assert_eq!(post("/rescan", origin, ""), 403, "{origin}");
    }
    assert_eq!(
        http::get(board.portal, "/status.json").json()["state"],
        "idle"
    );
    assert_eq!(post("/connect", &own, &body), 202);
}

pub(crate) fn by_slow_clients_holds_up_nobody() {
    let desk = Desk::new();
    let board = open_portal(&desk);
    let mut held: Vec<TcpStream> = Vec::new();
    let started: [&[u8]; 4] = [
        b"",
        b"GET / HT",
        b"POST /connect HTTP/1.1\r\nHost: localhost\r\nContent-Length: 40\r\n\r\nssid=",
        b"GET /status.json HTTP/1.1\r\nHost: localhost\r\nX-Slow: ",
    ];
    for round in 0..3 {
        for bytes in started {
            let mut stream = http::connect(board.portal).expect("it listens");
            stream.write_all(bytes).expect("it reads");
            held.push(stream);
        }
        for path in ["/status.json", "/plain", "/networks.json"] {
            let start = Instant::now();
            assert_eq!(http::get(board.portal, path).status, 200);
            let took = start.elapsed();
            assert!(
                took < Duration::from_secs(2) + SLACK,
                "with {} held, {path} took {took:?}",
                started.len() * (round + 1)
            );
        }
    }
    // One that drips goes on while others are served, and a person can still do everything.
    for byte in b"drip" {
        for stream in &mut held {
            drop(stream.write_all(&[*byte]));
        }
        is_well(&board);
    }
    board.submit(HOME, HOME_PASSWORD);
    assert_eq!(board.await_result()["state"], "online");
}

pub(crate) fn by_noise_leaves_the_portal_as_it_was() {
    let desk = Desk::new();
    let board = open_portal(&desk);
    // A fixed sequence of bytes that look random (SplitMix64).
    let mut seed = 7_u64;
    let mut next = || {
        seed = seed.wrapping_add(0x9E37_79B9_7F4A_7C15);
        let mixed = (seed ^ (seed >> 30)).wrapping_mul(0xBF58_476D_1CE4_E5B9);
        mixed ^ (mixed >> 27)
    };
    for length in [1_usize, 7, 60, 400, 3_000, 30_000] {
        let mut noise: Vec<u8> = (0..length).map(|_| next().to_le_bytes()[0]).collect();
        noise.extend_from_slice(b"\r\n\r\n");
        let mut stream = http::connect(board.portal).expect("it listens");
        drop(stream.write_all(&noise));
        drop(stream.shutdown(std::net::Shutdown::Write));
        let mut answer = Vec::new();
        drop(stream.read_to_end(&mut answer));
        let text = String::from_utf8_lossy(&answer);
        assert!(
            answer.is_empty() || text.starts_with("HTTP/1.1 4"),
            "{length} bytes: {text}"
        );
        is_well(&board);
    }
    // Many that come and go at once.
    for _ in 0..50 {
        drop(http::connect(board.portal));
    }
    is_well(&board);
}
