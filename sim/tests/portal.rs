//! The framework's portal against a person with a phone: from the first DHCP packet to the submitted
//! network, over a radio that is not always good, in virtual time.

use std::cell::{Cell, RefCell};
use std::net::{Ipv4Addr, SocketAddr};

use bluebell::log::Log;
use bluebell::portal::{self, Backend, PortalMemory};
use bluebell::wifi::{Auth, JoinStep, Password, Sighting, Ssid, Submission, SubmissionState};
use edge_nal::{UdpBind, UdpReceive, UdpSend};
use embassy_futures::join::join_array;
use embassy_futures::select::{Either3, select3};
use embassy_time::{Duration, Timer, with_timeout};
use embedded_io_async::{Read, Write};
use sim::net::{Faults, Host, Network, UdpSocket};
use sim::person::{Person, PersonError};
use sim::random::Random;
use sim::time::run_virtual;

const DEVICE: Ipv4Addr = Ipv4Addr::new(192, 168, 4, 1);
const PORTAL: SocketAddr = SocketAddr::new(std::net::IpAddr::V4(DEVICE), 80);
const CAFE: &str = "Café \"100%\" & more";

#[derive(Default)]
struct Device {
    submitted: RefCell<Vec<(String, String)>>,
    rescans: Cell<usize>,
}

impl Backend for Device {
    fn name(&self) -> &str {
        "garage"
    }

    fn address(&self) -> SocketAddr {
        PORTAL
    }

    fn networks(&self, visit: &mut dyn FnMut(&Sighting)) {
        for (channel, name) in [(1, CAFE), (6, "home")] {
            visit(&Sighting {
                ssid: Ssid::new(name).expect("short enough"),
                bssid: [2, 0, 0, 0, 0, channel],
                channel,
                rssi: -50,
                auth: Auth::Wpa2,
            });
        }
    }

    fn rescan(&self) {
        self.rescans.set(self.rescans.get() + 1);
    }

    fn submit(&self, ssid: Ssid, password: Password) {
        let told = (ssid.as_str().to_owned(), password.reveal().to_owned());
        self.submitted.borrow_mut().push(told);
    }

    fn submission(&self) -> Submission {
        let submitted = self.submitted.borrow();
        let last = submitted.last();
        Submission {
            state: last.map_or(SubmissionState::Idle, |_| {
                SubmissionState::Joining(JoinStep::Joining)
            }),
            ssid: last.and_then(|(name, _)| Ssid::new(name).ok()),
        }
    }
}

struct World {
    device: Device,
    network: Network,
    portal: Host,
}

impl World {
    fn person(&self, number: u8) -> Person {
        let phone = self.network.host(Ipv4Addr::new(192, 168, 4, number));
        Person::new(&phone, PORTAL)
    }
}

fn with_portal(seed: u64, test: impl AsyncFnOnce(&World)) {
    let network = Network::new(seed);
    let world = World {
        device: Device::default(),
        portal: network.host(DEVICE),
        network,
    };
    // As on a chip: nobody waits for being accepted.
    world.portal.set_backlog(0);
    let mut lines = [0; 2048];
    let log = Log::new(&mut lines);
    let mut memory: PortalMemory = PortalMemory::new();
    let ran = run_virtual(select3(
        portal::serve(&world.portal, &world.device, None, &mut memory, &log),
        portal::serve_dhcp_and_dns(&world.portal, DEVICE, [67, 53], &log),
        test(&world),
    ));
    assert!(matches!(ran, Either3::Third(())));
}

/// A client's DHCP packet (RFC 2131, figure 1).
fn dhcp(kind: u8, more: &[u8]) -> Vec<u8> {
    let mut bytes = vec![1, 1, 6, 0, 0xde, 0xad, 0xbe, 0xef, 0, 0, 0, 0];
    bytes.resize(28, 0);
    bytes.extend_from_slice(&[2, 0, 0, 0, 0, 9]);
    bytes.resize(236, 0);
    bytes.extend_from_slice(&[99, 130, 83, 99, 53, 1, kind]);
    bytes.extend_from_slice(more);
    bytes.push(255);
    bytes
}

/// The kind of a server's packet, and the address that it gives.
async fn dhcp_answer(socket: &mut UdpSocket) -> (u8, Ipv4Addr) {
    let mut bytes = [0; 600];
    let received = with_timeout(Duration::from_secs(2), socket.receive(&mut bytes)).await;
    let (length, _) = received.expect("an answer").expect("receives");
    assert!(length > 243);
    assert_eq!(bytes[4..8], [0xde, 0xad, 0xbe, 0xef]);
    let address = Ipv4Addr::new(bytes[16], bytes[17], bytes[18], bytes[19]);
    assert_eq!(bytes[240], 53, "the kind comes first");
    (bytes[242], address)
}

#[test]
fn a_phone_gets_an_address_is_led_to_the_page_and_submits_a_network() {
    with_portal(1, async |world| {
        let phone = world.network.host(Ipv4Addr::UNSPECIFIED);
        let local = |port| SocketAddr::from((Ipv4Addr::UNSPECIFIED, port));
        let mut socket = UdpBind::bind(&phone, local(68)).await.expect("a port");
        let everybody = SocketAddr::from((Ipv4Addr::BROADCAST, 67));
        socket.send(everybody, &dhcp(1, &[])).await.expect("sends");
        let (kind, offered) = dhcp_answer(&mut socket).await;
        assert_eq!(kind, 2, "an offer");
        let server = [54, 4, 192, 168, 4, 1];
        let wanted = [&[50, 4][..], &offered.octets(), &server].concat();
        socket
            .send(everybody, &dhcp(3, &wanted))
            .await
            .expect("sends");
        assert_eq!(dhcp_answer(&mut socket).await, (5, offered));
        assert_eq!(offered.octets()[..3], DEVICE.octets()[..3]);
        phone.set_address(offered);

        // connectivity.example: any name is the device's.
        let mut question = vec![0x12, 0x34, 1, 0, 0, 1, 0, 0, 0, 0, 0, 0];
        question.extend_from_slice(b"\x0cconnectivity\x07example\0\0\x01\0\x01");
        let mut resolver = UdpBind::bind(&phone, local(0)).await.expect("a port");
        let server = SocketAddr::from((DEVICE, 53));
        resolver.send(server, &question).await.expect("sends");
        let mut answer = [0; 512];
        let (length, _) = resolver.receive(&mut answer).await.expect("receives");
        assert_eq!(answer[..2], [0x12, 0x34]);
        assert_eq!(answer[length - 4..length], DEVICE.octets());

        let person = Person::new(&phone, PORTAL);
        let probe = person.clone().typing("connectivity.example");
        let led = probe.get("/generate_204").await.expect("an answer");
        assert_eq!(led.status, 302);
        assert_eq!(led.header("Location"), Some("http://192.168.4.1/"));
        assert_eq!(person.get("/").await.expect("an answer").status, 200);
        let plain = person.get("/plain").await.expect("an answer").text();
        assert!(plain.contains("Café") && !plain.contains(CAFE), "{plain}");
        let networks = person.get("/networks.json").await.expect("an answer");
        assert!(networks.text().contains(r#""ssid":"Café \"100%\" & more""#));
        let rescan = person.request("POST", "/rescan", &[], b"").await;
        assert_eq!(rescan.expect("an answer").status, 202);
        assert_eq!(world.device.rescans.get(), 1);

        let fields = [("ssid", CAFE), ("password", "pässwörd+%20&=")];
        let sent = person.post_form("/connect", &fields).await;
        assert_eq!(sent.expect("an answer").status, 303);
        let told = fields.map(|(_, value)| value.to_owned());
        assert_eq!(*world.device.submitted.borrow(), [told.into()]);
        let status = person.get("/status.json").await.expect("an answer").text();
        assert!(status.contains(r#""state":"joining""#), "{status}");
        assert!(!status.contains("pässwörd"));
    });
}

#[test]
fn on_a_bad_radio_an_answer_is_whole_or_the_person_tries_again() {
    for seed in 0..40 {
        with_portal(seed, async |world| {
            let mut random = Random::new(seed);
            let person = world.person(50);
            let paths = ["/", "/plain", "/networks.json", "/status.json", "/none"];
            let mut expected = Vec::new();
            for path in paths {
                expected.push(person.get(path).await.expect("an answer"));
            }
            for _ in 0..10 {
                world.portal.set_faults(Faults {
                    loss: 0.1,
                    jitter: Duration::from_millis(random.below(60)),
                    delay: Duration::from_millis(random.below(60)),
                    piece: 1 + usize::try_from(random.below(1500)).expect("small"),
                    pace: Duration::from_micros(random.below(500)),
                    reset_after: random.happens(0.2).then_some(300),
                    ..Faults::default()
                });
                let which = usize::try_from(random.below(5)).expect("small");
                match person.get(paths[which]).await {
                    Ok(answer) => assert_eq!(answer, expected[which], "seed {seed}"),
                    Err(PersonError::Network(_) | PersonError::NoAnswer) => {}
                    Err(error) => panic!("{error}, seed {seed}"),
                }
            }
            world.portal.set_faults(Faults::default());
            let answer = person.get("/").await.expect("an answer");
            assert_eq!(answer, expected[0], "seed {seed}");
        });
    }
}

#[test]
fn phones_that_walk_away_in_the_middle_hold_nobody_up() {
    with_portal(2, async |world| {
        for number in 100..130 {
            Timer::after_millis(100).await;
            let phone = world.network.host(Ipv4Addr::new(192, 168, 4, number));
            let leaving = Person::new(&phone, PORTAL);
            let mut socket = leaving.connect().await.expect("connects");
            socket
                .write_all(b"GET / HTTP/1.1\r\nHost: gar")
                .await
                .expect("writes");
            Timer::after_millis(5).await;
            phone.set_link(false);
            let others = [50, 51].map(|staying| world.person(staying + (number - 100) * 2 % 40));
            // Its gone connection keeps a seat, but one always listens.
            let answers = join_array(others.map(async |person| {
                with_timeout(Duration::from_secs(1), person.get("/status.json")).await
            }))
            .await;
            for answer in answers {
                assert_eq!(answer.expect("in time").expect("an answer").status, 200);
            }
        }
    });
}

#[test]
fn what_comes_after_the_cable_was_back_is_still_answered_or_ended() {
    with_portal(3, async |world| {
        let person = world.person(50);
        let mut socket = person.connect().await.expect("connects");
        world.portal.set_faults(Faults {
            cable_pulled: true,
            ..Faults::default()
        });
        socket
            .write_all(b"GET /status.json HTTP/1.1\r\nHost: 192.168.4.1\r\n\r\n")
            .await
            .expect("writes");
        Timer::after_secs(60).await;
        world.portal.set_faults(Faults::default());
        let mut buffer = [0; 1000];
        let ended = with_timeout(Duration::from_secs(120), socket.read(&mut buffer)).await;
        assert!(ended.is_ok(), "the connection hangs for ever");
        assert_eq!(
            person.get("/status.json").await.expect("an answer").status,
            200
        );
    });
}
