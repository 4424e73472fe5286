//! The access point's services over the machine's own sockets, used by ordinary blocking clients.

use std::io::{ErrorKind, Read, Write};
use std::net::{Ipv4Addr, Shutdown, SocketAddr, TcpStream, UdpSocket};
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use bluebell::log::Log;
use bluebell::portal::{Backend, File, PortalMemory, serve, serve_dhcp_and_dns};
use bluebell::wifi::{Password, Sighting, Ssid, Submission};
use edge_nal_std::Stack;
use embassy_futures::select::select3;
use embassy_time::Timer;

/// So long that only a hang reaches it.
const HANG: Duration = Duration::from_secs(20);

struct Device(SocketAddr);

const LARGE: &[u8] = &[b'x'; 4_000_000];

impl Backend for Device {
    fn name(&self) -> &str {
        "relay"
    }
    fn address(&self) -> SocketAddr {
        self.0
    }
    fn networks(&self, _: &mut dyn FnMut(&Sighting)) {}
    fn rescan(&self) {}
    fn submit(&self, _: Ssid, _: Password) {}
    fn submission(&self) -> Submission {
        Submission::default()
    }
    fn files(&self) -> &[File] {
        &[File {
            path: "large.bin",
            content_type: "application/octet-stream",
            bytes: LARGE,
            gzip: None,
            etag: "1",
        }]
    }
}

/// Where the services are.
#[derive(Clone, Copy)]
struct Ports {
    http: SocketAddr,
    dhcp: SocketAddr,
    dns: SocketAddr,
}

/// Runs `client` on a thread of its own while the services run on this one.
fn with_services(client: impl FnOnce(Ports) + Send) {
    let free = || SocketAddr::from(([127, 0, 0, 1], sim::port::free()));
    let ports = Ports {
        http: free(),
        dhcp: free(),
        dns: free(),
    };
    let done = AtomicBool::new(false);
    std::thread::scope(|scope| {
        let client = scope.spawn(|| {
            // Also when the client panics.
            struct Done<'d>(&'d AtomicBool);
            impl Drop for Done<'_> {
                fn drop(&mut self) {
                    self.0.store(true, Ordering::Release);
                }
            }
            let _done = Done(&done);
            client(ports);
        });
        let mut buffer = [0; 1024];
        let log = Log::new(&mut buffer);
        let mut memory: PortalMemory = PortalMemory::new();
        let own = Ipv4Addr::new(192, 168, 4, 1);
        let (stack, device) = (Stack::new(), Device(ports.http));
        sim::time::run_real(async {
            let client = async {
                while !done.load(Ordering::Acquire) {
                    Timer::after_millis(10).await;
                }
            };
            select3(
                serve(&stack, &device, None, &mut memory, &log),
                serve_dhcp_and_dns(&stack, own, [ports.dhcp.port(), ports.dns.port()], &log),
                client,
            )
            .await;
        });
        client.join().unwrap();
    });
}

fn connect(to: SocketAddr) -> TcpStream {
    // The portal's thread may not have begun to listen.
    for _ in 0..2_000 {
        match TcpStream::connect(to) {
            Ok(stream) => {
                stream.set_read_timeout(Some(HANG)).unwrap();
                stream.set_write_timeout(Some(HANG)).unwrap();
                return stream;
            }
            Err(error) if error.kind() == ErrorKind::ConnectionRefused => {
                std::thread::sleep(Duration::from_millis(5));
            }
            Err(error) => panic!("{error}"),
        }
    }
    panic!("the portal does not listen");
}

fn rest(mut stream: TcpStream) -> String {
    let mut bytes = Vec::new();
    match stream.read_to_end(&mut bytes) {
        Ok(_) => {}
        Err(error) => assert_eq!(error.kind(), ErrorKind::ConnectionReset, "{error}"),
    }
    String::from_utf8_lossy(&bytes).into_owned()
}

fn ask(to: SocketAddr, request: &str) -> String {
    let mut stream = connect(to);
    // The portal may have refused and closed before it has taken everything.
    let _ = stream.write_all(request.as_bytes());
    rest(stream)
}

fn status(to: SocketAddr) -> String {
    let host = "Host: localhost\r\nConnection: close\r\n";
    ask(to, &format!("GET /status.json HTTP/1.1\r\n{host}\r\n"))
}

#[test]
fn requests_of_every_kind_are_answered_over_real_sockets() {
    with_services(|ports| {
        let answer = status(ports.http);
        assert!(answer.starts_with("HTTP/1.1 200 OK\r\n"), "{answer}");
        assert!(answer.ends_with("{\"state\":\"idle\",\"ssid\":null,\"reason\":null,\"ip\":null}"));
        let filler = "x".repeat(300_000);
        let host = "Host: localhost\r\n";
        for (request, code) in [
            (format!("GET /{filler} HTTP/1.1\r\n{host}\r\n"), 414),
            (format!("GET / HTTP/1.1\r\n{host}X: {filler}\r\n\r\n"), 431),
            (
                format!(
                    "POST /connect HTTP/1.1\r\n{host}Content-Length: 60000\r\n\r\n{}",
                    &filler[..60_000]
                ),
                413,
            ),
            (
                format!("PUT / HTTP/1.1\r\n{host}Connection: close\r\n\r\n"),
                405,
            ),
            ("nonsense\r\n\r\n".to_owned(), 400),
            (
                "GET / HTTP/1.1\r\nHost: example.com\r\nConnection: close\r\n\r\n".to_owned(),
                302,
            ),
        ] {
            let answer = ask(ports.http, &request);
            let start: String = request.chars().take(40).collect();
            assert!(
                answer.starts_with(&format!("HTTP/1.1 {code} ")),
                "{start}: {answer}"
            );
        }
        let moved = ask(
            ports.http,
            "GET /x HTTP/1.1\r\nHost: a.b\r\nConnection: close\r\n\r\n",
        );
        assert!(
            moved.contains(&format!("Location: http://{}/\r\n", ports.http)),
            "{moved}"
        );
        let large = ask(ports.http, "GET /large.bin HTTP/1.0\r\n\r\n");
        assert_eq!(large.split_once("\r\n\r\n").unwrap().1.len(), LARGE.len());
    });
}

#[test]
fn a_good_client_is_answered_beside_sixty_four_idle_ones() {
    with_services(|ports| {
        let mut held = Vec::new();
        for place in 0..64 {
            let mut stream = connect(ports.http);
            match place % 4 {
                0 => {}
                1 => stream.write_all(b"GET / HT").unwrap(),
                2 => stream.shutdown(Shutdown::Write).unwrap(),
                _ => stream
                    .write_all(b"GET /large.bin HTTP/1.1\r\nHost: localhost\r\n\r\n")
                    .unwrap(),
            }
            held.push(stream);
            if place % 8 == 7 {
                assert!(status(ports.http).starts_with("HTTP/1.1 200 OK\r\n"));
            }
        }
        for _ in 0..20 {
            assert!(status(ports.http).starts_with("HTTP/1.1 200 OK\r\n"));
        }
        drop(held);
    });
}

#[test]
fn pipelined_and_half_closed_connections_get_every_answer() {
    with_services(|ports| {
        let mut stream = connect(ports.http);
        let request = "GET /status.json HTTP/1.1\r\nHost: localhost\r\n\r\n".repeat(50);
        stream.write_all(request.as_bytes()).unwrap();
        stream.shutdown(Shutdown::Write).unwrap();
        assert_eq!(rest(stream).matches("HTTP/1.1 200 OK\r\n").count(), 50);
    });
}

/// Asks over UDP until an answer comes: the service's thread may not have begun to listen.
fn ask_udp(to: SocketAddr, question: &[u8]) -> Vec<u8> {
    let socket = UdpSocket::bind("127.0.0.1:0").unwrap();
    socket
        .set_read_timeout(Some(Duration::from_millis(100)))
        .unwrap();
    let mut buffer = [0; 1024];
    for _ in 0..200 {
        socket.send_to(question, to).unwrap();
        if let Ok(count) = socket.recv(&mut buffer) {
            return buffer[..count].to_vec();
        }
    }
    panic!("no answer from {to}");
}

#[test]
fn names_and_addresses_are_given_over_real_sockets() {
    with_services(|ports| {
        let question = b"\x12\x34\x01\x00\x00\x01\x00\x00\x00\x00\x00\x00\x07example\x03com\x00\x00\x01\x00\x01";
        let answer = ask_udp(ports.dns, question);
        assert_eq!(answer[..4], [0x12, 0x34, 0x85, 0x80]);
        assert_eq!(answer[answer.len() - 4..], [192, 168, 4, 1]);

        // A renewal, which is answered to the client's own address rather than to everybody.
        let mut discover = vec![1, 1, 6, 0, 9, 9, 9, 9, 0, 0, 0, 0, 127, 0, 0, 1];
        discover.resize(28, 0);
        discover.extend_from_slice(&[2, 0, 0, 0, 0, 1]);
        discover.resize(236, 0);
        discover.extend_from_slice(&[99, 130, 83, 99, 53, 1, 1, 255]);
        let offer = ask_udp(ports.dhcp, &discover);
        assert_eq!((offer[0], &offer[4..8]), (2, &[9, 9, 9, 9][..]));
        assert_eq!(offer[16..20], [192, 168, 4, 100]);
        let url = b"\x72\x1fhttp://192.168.4.1/captive.json";
        assert!(offer.windows(url.len()).any(|window| window == url));
    });
}
