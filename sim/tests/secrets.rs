//! Secrets over the whole life of a device: set-up with mistakes, a broker with a login, files put on it,
//! restarts. Everything that it keeps, prints, serves and sends is searched for them.

use std::cell::RefCell;
use std::convert::Infallible;
use std::net::{IpAddr, SocketAddr};
use std::rc::Rc;

use bluebell::device::Device;
use embassy_futures::select::select;
use embassy_time::{Duration, Timer};
use sim::air::Station;
use sim::board::{SimBoard, SimDevice, World};
use sim::time::run_virtual;

const HOME: &str = "correct horse";
const WRONG: &str = "wrong horse 12";
const MISTYPED: &str = "tw0 wrong horses";
const SHORT: &str = "sh0rt!x";
const OTHER: &str = "battery staple";
const UNKNOWN: &str = "password of the attic";
const BROKER: &str = "the broker's own secret";
const OLD_BROKER: &str = "an older broker secret";
/// Never to be seen anywhere but where they were typed.
const SECRETS: [&str; 8] = [
    HOME, WRONG, MISTYPED, SHORT, OTHER, UNKNOWN, BROKER, OLD_BROKER,
];
const CONFIG: &str = "[device]\nname = \"lamp\"\n[log]\nlevel = \"debug\"\n";

/// What was sent from one address to another, in its order.
type Traffic = Rc<RefCell<Vec<(SocketAddr, SocketAddr, Vec<u8>)>>>;

async fn lamp(device: Device<'_, SimBoard>) -> Infallible {
    device
        .subscribe("lamp/set", async |message, device| {
            device.publish_state("state", message.payload()).await;
        })
        .run()
        .await
}

/// A secret as it is, and as it may be written in a form, in JSON or in a dump.
fn spellings(secret: &str) -> Vec<Vec<u8>> {
    let encoded: String = secret
        .bytes()
        .map(|byte| match byte {
            b'a'..=b'z' | b'A'..=b'Z' | b'0'..=b'9' => char::from(byte).to_string(),
            _ => format!("%{byte:02X}"),
        })
        .collect();
    let hex: String = secret.bytes().map(|byte| format!("{byte:02x}")).collect();
    let spellings = [
        secret.to_owned(),
        secret.replace(' ', "+"),
        encoded,
        hex.to_uppercase(),
        hex,
    ];
    spellings.map(String::into_bytes).to_vec()
}

fn count(bytes: &[u8], wanted: &[u8]) -> usize {
    let windows = bytes.windows(wanted.len());
    windows.filter(|window| *window == wanted).count()
}

fn is_in(bytes: &[u8], secret: &str) -> bool {
    let spellings = spellings(secret);
    spellings.iter().any(|spelling| count(bytes, spelling) > 0)
}

/// Everything that went from `from`, in one piece for each receiver.
fn sent(traffic: &Traffic, from: IpAddr) -> Vec<u8> {
    let traffic = traffic.borrow();
    let own = traffic.iter().filter(|(source, ..)| source.ip() == from);
    own.flat_map(|(.., bytes)| bytes.iter().copied()).collect()
}

fn listen(network: &sim::net::Network) -> Traffic {
    let traffic = Traffic::default();
    let tapped = traffic.clone();
    network.set_tap(move |from, to, bytes| {
        tapped.borrow_mut().push((from, to, bytes.to_vec()));
    });
    traffic
}

async fn boots(device: &SimDevice<'_>, times: usize) {
    while device.console().matches("on bluebell").count() < times {
        Timer::after(Duration::from_millis(10)).await;
    }
    Timer::after(Duration::from_secs(1)).await;
}

/// Asks for every page that there is, and for some that there are not.
async fn browse(device: &SimDevice<'_>) {
    let person = device.person();
    for path in [
        "/",
        "/setup",
        "/plain",
        "/networks.json",
        "/status.json",
        "/config.toml",
        "/wifi.json",
        "/log",
        "/connect",
        "/app/password",
        "/generate_204",
        "/../config",
    ] {
        let _ = person.get(path).await.expect("an answer of some kind");
    }
}

async fn submit(device: &SimDevice<'_>, ssid: &str, password: &str, status: u16) {
    let form = [("ssid", ssid), ("password", password)];
    let answer = device.person().post_form("/connect", &form).await;
    assert_eq!(answer.expect("an answer").status, status, "{ssid}");
}

/// The life that is searched.
async fn live(world: &World, device: &SimDevice<'_>) {
    boots(device, 1).await;
    Timer::after(Duration::from_secs(3)).await;
    submit(device, "Home", WRONG, 303).await;
    Timer::after(Duration::from_secs(12)).await;
    browse(device).await;
    submit(device, "Home", SHORT, 400).await;
    submit(
        device,
        &format!("{MISTYPED} {MISTYPED} {MISTYPED}"),
        "",
        400,
    )
    .await;
    device.ask(&format!("join Home \"{MISTYPED}\"")).await;
    // A line that is no command, and one that is never ended.
    device.ask(&format!("joim Home \"{MISTYPED}\"")).await;
    device.ask(&format!("join Home \"{MISTYPED}")).await;
    submit(device, "Home", HOME, 303).await;
    device.online(Duration::from_secs(30)).await;
    browse(device).await;

    for (secret, boot) in [(OLD_BROKER, 2), (BROKER, 3)] {
        world.broker.require_login("me", secret);
        let text = "[device]\rname = \"lamp\"\r[log]\rlevel = \"debug\"\r[mqtt]\ruser = \"me\"";
        let put = format!("put config\r{text}\rpassword = \"{secret}\"\r.");
        assert!(device.ask(&put).await.ends_with("ok\n"));
        assert!(device.ask("config").await.contains("waits for a restart"));
        device.ask("restart").await;
        boots(device, boot).await;
        device.online(Duration::from_secs(30)).await;
    }
    let file =
        format!("{{\"Home\": \"{HOME}\", \"Garage\": \"{OTHER}\", \"Attic\": \"{UNKNOWN}\"}}");
    assert!(
        device
            .ask(&format!("put wifi.json\r{file}\r."))
            .await
            .ends_with("ok\n")
    );
    device.ask("restart").await;
    boots(device, 4).await;
    device.online(Duration::from_secs(30)).await;
    world
        .broker
        .publish("lamp/set", b"ON", sim::broker::Qos::AtLeastOnce, false);
    for line in [
        "status", "networks", "config", "source", "jobs", "log", "help", "portal",
    ] {
        device.ask(line).await;
    }
    world.air.remove("Home");
    world.air.add(Station::new("Garage").with_password(OTHER));
    Timer::after(Duration::from_secs(100)).await;
    browse(device).await;
    device.online(Duration::from_secs(120)).await;
    // The log goes to the flash by and by.
    Timer::after(Duration::from_secs(60)).await;
}

fn with_lamp(told: impl AsyncFn(&World, &SimDevice<'_>)) {
    run_virtual(async {
        let world = World::new(11);
        world.air.add(Station::new("Home").with_password(HOME));
        let device = world.device();
        let life = async {
            loop {
                device.run(CONFIG, lamp).await;
            }
        };
        let told = async { told(&world, &device).await };
        world
            .run(Duration::from_secs(24 * 3_600), select(life, told))
            .await;
    });
}

#[test]
fn no_secret_is_in_clear_in_flash_log_console_pages_or_traffic_of_a_whole_life() {
    with_lamp(async |world, device| {
        let home = listen(&world.network);
        let phone = listen(device.own_network());
        live(world, device).await;

        let image = device.flash.image();
        let console = device.console();
        let pages = sent(&phone, IpAddr::V4(device.portal().address()));
        let packets = sent(&home, IpAddr::V4(device.station.address()));
        // That the search finds what is there.
        assert!(is_in(&pages, "networks") || is_in(&pages, "Home"));
        assert!(is_in(
            &sent(&phone, IpAddr::V4(device.phone().address())),
            HOME
        ));
        assert!(is_in(&packets, "bluebell/lamp/status"));
        for secret in SECRETS {
            assert!(!is_in(&image, secret), "{secret:?} is in the flash");
            assert!(
                !is_in(console.as_bytes(), secret),
                "{secret:?} is on the console"
            );
            assert!(!is_in(&pages, secret), "{secret:?} was served");
            if ![BROKER, OLD_BROKER].contains(&secret) {
                assert!(!is_in(&packets, secret), "{secret:?} was sent");
            }
        }
        // MQTT has a broker's password in CONNECT, and nowhere else.
        let visits = world.broker.visits();
        let logins = visits.iter().filter(|visit| visit.user.is_some()).count();
        let shown: usize = [BROKER, OLD_BROKER]
            .map(|secret| count(&packets, secret.as_bytes()))
            .iter()
            .sum();
        assert!(logins > 1);
        assert_eq!(shown, logins);
    });
}

#[test]
fn the_access_points_password_is_shown_where_it_is_said_and_nowhere_else() {
    with_lamp(async |world, device| {
        let home = listen(&world.network);
        let phone = listen(device.own_network());
        live(world, device).await;
        let own = device.shown().password;
        assert_eq!(own.len(), 12);
        assert!(!is_in(&device.flash.image(), &own));
        assert!(!is_in(
            &sent(&phone, IpAddr::V4(device.portal().address())),
            &own
        ));
        assert!(!is_in(
            &sent(&home, IpAddr::V4(device.station.address())),
            &own
        ));
        let console = device.console();
        let lines: Vec<_> = console.lines().filter(|line| line.contains(&own)).collect();
        assert!(!lines.is_empty());
        for line in lines {
            let told = line.starts_with("Set-up: join the network ");
            assert!(told || line.starts_with("access point: "), "{line}");
        }
    });
}

#[test]
fn a_forgotten_network_leaves_no_byte_of_its_sealed_password() {
    with_lamp(async |_, device| {
        boots(device, 1).await;
        Timer::after(Duration::from_secs(3)).await;
        assert!(
            device
                .ask(&format!("join Home \"{HOME}\""))
                .await
                .ends_with("ok\n")
        );
        device.online(Duration::from_secs(30)).await;
        let name = b"\x04Home";
        let image = device.flash.image();
        let records: Vec<_> = image
            .windows(name.len())
            .enumerate()
            .filter(|(_, window)| *window == name)
            .map(|(at, _)| image[at..at + 48].to_vec())
            .collect();
        assert!(!records.is_empty());
        assert!(device.ask("forget Home").await.ends_with("ok\n"));
        let image = device.flash.image();
        assert_eq!(count(&image, name), 0);
        for record in records {
            for piece in record.windows(16).skip(name.len()) {
                let blank = piece.iter().all(|byte| matches!(byte, 0 | 0xff));
                assert!(
                    blank || count(&image, piece) == 0,
                    "remains of a sealed password"
                );
            }
        }
    });
}
