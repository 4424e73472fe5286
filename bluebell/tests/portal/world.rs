//! A portal on a simulated access point, and a phone on it.

use std::cell::{Cell, RefCell};
use std::fmt;
use std::net::{Ipv4Addr, SocketAddr};

use bluebell::log::Log;
use bluebell::portal::{self, Backend, File, PortalMemory};
use bluebell::wifi::{Auth, JoinStep, Password, Sighting, Ssid, Submission, SubmissionState};
use edge_nal::TcpConnect;
use embassy_futures::select::{Either, select};
use embassy_time::{Duration, Instant, with_timeout};
use embedded_io_async::{Read, Write};
use sim::net::{Host, Network, TcpSocket};
use sim::person::Person;

pub(crate) const PORTAL: SocketAddr =
    SocketAddr::new(std::net::IpAddr::V4(Ipv4Addr::new(192, 168, 4, 1)), 80);

pub(crate) const LARGE: &[u8] = &[b'x'; 100_000];

pub(crate) const FILES: &[File] = &[
    File {
        path: "css/style.css",
        content_type: "text/css; charset=utf-8",
        bytes: b"body { color: red }",
        gzip: Some(b"pretend this is gzip"),
        etag: "style-1",
    },
    File {
        path: "large.bin",
        content_type: "application/octet-stream",
        bytes: LARGE,
        gzip: None,
        etag: "large-1",
    },
    File {
        path: "empty.txt",
        content_type: "text/plain; charset=utf-8",
        bytes: b"",
        gzip: None,
        etag: "empty-1",
    },
];

/// The other side of the portal, which remembers what it was told.
pub(crate) struct Device {
    pub(crate) networks: RefCell<Vec<Sighting>>,
    pub(crate) files: &'static [File],
    pub(crate) submission: RefCell<Submission>,
    pub(crate) submitted: RefCell<Vec<(String, String)>>,
    pub(crate) rescans: Cell<usize>,
    pub(crate) seen: Cell<usize>,
    pub(crate) online_served: Cell<usize>,
}

impl Default for Device {
    fn default() -> Self {
        Self {
            networks: RefCell::default(),
            files: FILES,
            submission: RefCell::default(),
            submitted: RefCell::default(),
            rescans: Cell::new(0),
            seen: Cell::new(0),
            online_served: Cell::new(0),
        }
    }
}

impl Device {
    pub(crate) fn hear(&self, name: &str, channel: u8, rssi: i8, auth: Auth) {
        self.networks.borrow_mut().push(Sighting {
            ssid: Ssid::new(name).unwrap(),
            bssid: [2, 0, 0, 0, 0, channel],
            channel,
            rssi,
            auth,
        });
    }

    pub(crate) fn state(&self, state: SubmissionState) {
        self.submission.borrow_mut().state = state;
    }
}

impl Backend for Device {
    fn name(&self) -> &str {
        "relay-1"
    }
    fn address(&self) -> SocketAddr {
        PORTAL
    }
    fn networks(&self, visit: &mut dyn FnMut(&Sighting)) {
        self.networks.borrow().iter().for_each(visit);
    }
    fn rescan(&self) {
        self.rescans.set(self.rescans.get() + 1);
    }
    fn submit(&self, ssid: Ssid, password: Password) {
        let told = (ssid.as_str().to_owned(), password.reveal().to_owned());
        self.submitted.borrow_mut().push(told);
        *self.submission.borrow_mut() = Submission {
            state: SubmissionState::Joining(JoinStep::Joining),
            ssid: Some(ssid),
        };
    }
    fn submission(&self) -> Submission {
        self.submission.borrow().clone()
    }
    fn request_seen(&self) {
        self.seen.set(self.seen.get() + 1);
    }
    fn online_served(&self) {
        self.online_served.set(self.online_served.get() + 1);
    }
    fn files(&self) -> &[File] {
        self.files
    }
    fn value(&self, name: &str, json: &mut dyn fmt::Write) -> Option<fmt::Result> {
        match name {
            "temperature" => Some(json.write_str("{\"celsius\":21}")),
            "endless" => Some((0..1000).try_for_each(|digit| write!(json, "{digit}"))),
            _ => None,
        }
    }
}

/// Who is there.
pub(crate) struct World {
    pub(crate) device: Device,
    pub(crate) phone: Host,
    pub(crate) portal: Host,
}

impl World {
    /// Somebody who looks at the portal by its address.
    pub(crate) fn person(&self) -> Person {
        Person::new(&self.phone, PORTAL).waiting(Duration::from_secs(30))
    }

    pub(crate) async fn connect(&self) -> TcpSocket {
        self.phone
            .connect(PORTAL)
            .await
            .expect("the portal listens")
    }
}

/// Runs `test` beside a portal, in virtual time. Connections that nobody waits for are refused, as
/// on a chip.
pub(crate) fn with_portal<T>(test: impl AsyncFnOnce(&World) -> T) -> T {
    with_device(Device::default(), test)
}

pub(crate) fn with_device<T>(device: Device, test: impl AsyncFnOnce(&World) -> T) -> T {
    let network = Network::new(1);
    let world = World {
        device,
        phone: network.host(Ipv4Addr::new(192, 168, 4, 100)),
        portal: network.host(Ipv4Addr::new(192, 168, 4, 1)),
    };
    world.portal.set_backlog(0);
    let mut buffer = [0; 1024];
    let log = Log::new(&mut buffer);
    let mut memory: PortalMemory = PortalMemory::new();
    sim::time::run_virtual(async {
        let serving = portal::serve(&world.portal, &world.device, None, &mut memory, &log);
        match select(serving, test(&world)).await {
            Either::First(never) => match never {},
            Either::Second(result) => result,
        }
    })
}

/// Everything that comes until the connection ends, however it ends.
pub(crate) async fn read_all(socket: &mut TcpSocket) -> Vec<u8> {
    let mut bytes = Vec::new();
    let mut buffer = [0; 4096];
    loop {
        let read = with_timeout(Duration::from_secs(120), socket.read(&mut buffer)).await;
        match read.expect("the connection ends") {
            Ok(0) | Err(_) => return bytes,
            Ok(count) => bytes.extend_from_slice(&buffer[..count]),
        }
    }
}

/// What a fresh connection gets for these bytes until it ends.
pub(crate) async fn exchange(world: &World, bytes: &[u8]) -> Vec<u8> {
    let mut socket = world.connect().await;
    // The portal may have answered and closed already.
    let _ = socket.write_all(bytes).await;
    read_all(&mut socket).await
}

/// How long something takes, in milliseconds of virtual time.
pub(crate) async fn timed<T>(future: impl Future<Output = T>) -> (u64, T) {
    let start = Instant::now();
    let result = future.await;
    (start.elapsed().as_millis(), result)
}
