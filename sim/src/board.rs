//! A whole device in a simulated world, and its power switch.
//!
//! Guarantees: the device under test is the framework itself, built as on a chip; everything around it
//! is simulated and in virtual time; cutting the power drops the device wherever it is, and all that
//! is left of it is its flash.

use std::cell::{Cell, RefCell};
use std::convert::Infallible;
use std::net::{IpAddr, Ipv4Addr, SocketAddr};
use std::rc::Rc;

use bluebell::board::{
    Board, FlashLayout, Hardware, OwnServers, PortalServices, Radio, RadioError, System,
};
use bluebell::device::{App, Device, Memory};
use bluebell::portal::{File, PortalMemory, content_type};
use bluebell::wifi::{AccessPoint, JoinFailure, JoinTarget, Scan, Sighting};
use bluebell::{mqtt, wifi};
use embassy_futures::join::join;
use embassy_futures::select::{Either, select};
use embassy_sync::blocking_mutex::raw::NoopRawMutex;
use embassy_sync::signal::Signal;
use embassy_time::{Duration, Instant, Timer, with_timeout};
use rand::{Rng, SeedableRng, rngs::SmallRng};

use crate::air::{Air, AirRadio, Antenna};
use crate::broker::Broker;
use crate::console::{Keyboard, SimConsole, SimKeyboard};
use crate::flash::{Flash, SECTOR};
use crate::net::{Host, Network};
use crate::ntp::{self, TimeServer};
use crate::person::Person;

/// The source of the application, as the device shows it.
pub const SOURCE: &str = "//! A test.\nok\nfn main() {}\n";
/// Where the broker listens.
pub const BROKER_PORT: u16 = 1883;
/// What the application's `www/` holds.
const FILES: &[File] = &[packed("packed.txt"), packed("docs/index.html")];

const fn packed(path: &'static str) -> File {
    File {
        path,
        content_type: content_type(path),
        bytes: b"packed",
        gzip: None,
        etag: "packed-1",
    }
}

const STORE_SECTORS: u32 = 16;
const LOG_SECTORS: u32 = 8;
const OUTBOX_SECTORS: u32 = 8;
const SECTORS: u32 = STORE_SECTORS + LOG_SECTORS + OUTBOX_SECTORS;
const SECTOR_BYTES: u32 = SECTOR as u32;

/// A home: the air with its access points, the network behind them, a broker and a time server.
pub struct World {
    /// The access points around.
    pub air: Air,
    /// The network that they lead to.
    pub network: Network,
    /// The broker on it.
    pub broker: Broker,
    /// The time server on it.
    pub time: TimeServer,
    seed: u64,
    devices: Cell<u8>,
}

impl World {
    /// A world without access points. `seed` decides everything that is random in it.
    #[must_use]
    pub fn new(seed: u64) -> Self {
        let network = Network::new(seed);
        let broker = Broker::new(&network.host(Ipv4Addr::new(10, 0, 0, 1)), BROKER_PORT);
        // 2030-01-01, 00:00:00 UTC: later than any commit that a device could be built from by then.
        let time = TimeServer::new(&network.host(Ipv4Addr::new(10, 0, 0, 2)), 1_893_456_000);
        Self {
            air: Air::new(),
            network,
            broker,
            time,
            seed,
            devices: Cell::new(0),
        }
    }

    /// A device that has never been switched on.
    pub fn device(&self) -> SimDevice<'_> {
        let number = self.devices.get() + 1;
        self.devices.set(number);
        let own_network = Network::new(self.seed.wrapping_add(number.into()));
        SimDevice {
            world: self,
            number,
            flash: Flash::new(SECTORS as usize),
            station: self.network.host(Ipv4Addr::new(10, 0, 1, number)),
            portal: own_network.host(Ipv4Addr::new(192, 168, 4, 1)),
            phone: own_network.host(Ipv4Addr::new(192, 168, 4, 2)),
            antenna: RefCell::new(AirRadio::new(&self.air, Ipv4Addr::UNSPECIFIED).antenna()),
            console: Rc::default(),
            keyboard: Rc::default(),
            shown: RefCell::default(),
            addressed: Cell::new(None),
            random: RefCell::new(SmallRng::seed_from_u64(self.seed ^ u64::from(number))),
            restarts: Cell::new(0),
            fed: Cell::new((Instant::MIN, Duration::MIN)),
            cut: Signal::new(),
            own_network,
        }
    }

    /// Runs the world until `story` ends.
    ///
    /// # Panics
    ///
    /// When the story has not ended after `limit` of virtual time.
    pub async fn run<T>(&self, limit: Duration, story: impl Future<Output = T>) -> T {
        let servers = join(self.broker.run(), self.time.run());
        match with_timeout(limit, select(servers, story)).await {
            Ok(Either::Second(told)) => told,
            Ok(Either::First((never, ..))) => match never {},
            Err(_) => panic!("the story has not ended after {} s", limit.as_secs()),
        }
    }
}

/// What the board was last shown of its device.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Shown {
    /// The state of Wi-Fi.
    pub wifi: Option<wifi::State>,
    /// The network that is joined or being joined.
    pub ssid: Option<String>,
    /// The station's address.
    pub address: Option<Ipv4Addr>,
    /// The connection to the broker.
    pub mqtt: Option<mqtt::State>,
    /// Whether the access point is open.
    pub portal: bool,
    /// The access point's password.
    pub password: String,
}

/// A device and what outlives its power: the flash, and the places where it is seen.
pub struct SimDevice<'w> {
    world: &'w World,
    number: u8,
    /// Its flash.
    pub flash: Flash,
    /// Its place on the network.
    pub station: Host,
    portal: Host,
    phone: Host,
    antenna: RefCell<Antenna>,
    console: Rc<RefCell<Vec<u8>>>,
    keyboard: Rc<Keyboard>,
    shown: RefCell<Shown>,
    addressed: Cell<Option<Instant>>,
    random: RefCell<SmallRng>,
    restarts: Cell<u32>,
    /// When the watchdog was fed last, and the longest that it was not.
    fed: Cell<(Instant, Duration)>,
    cut: Signal<NoopRawMutex, ()>,
    own_network: Network,
}

impl SimDevice<'_> {
    /// Switches the device on and runs a test's application on it until the power is cut.
    pub async fn run<F>(&self, config: &'static str, app: F)
    where
        F: AsyncFn(Device<'_, SimBoard>) -> Infallible,
    {
        let description = App {
            name: "test",
            config,
            source: SOURCE,
            files: FILES,
        };
        self.run_app(description, app).await;
    }

    /// Switches the device on and runs `app` on it until the power is cut.
    pub async fn run_app<F>(&self, description: App, app: F)
    where
        F: AsyncFn(Device<'_, SimBoard>) -> Infallible,
    {
        self.cut.reset();
        self.fed.set((Instant::now(), self.longest_unfed()));
        *self.shown.borrow_mut() = Shown::default();
        self.keyboard.typed.borrow_mut().clear();
        let radio = AirRadio::new(&self.world.air, self.station.address());
        *self.antenna.borrow_mut() = radio.antenna();
        let hardware = Hardware {
            radio: SimRadio {
                radio,
                station: self.station.clone(),
            },
            flash: self.flash.clone(),
            flash_layout: Self::layout(),
            station: self.station.clone(),
            portal: self.portal.clone(),
            portal_services: PortalServices {
                address: SocketAddr::new(IpAddr::V4(self.portal.address()), 80),
                dhcp_and_dns: true,
            },
            own_servers: OwnServers {
                broker: Some((self.world.broker.host().address(), BROKER_PORT).into()),
                time: Some((Ipv4Addr::new(10, 0, 0, 2), ntp::PORT).into()),
            },
            console: SimConsole(Rc::clone(&self.console)),
            commands: SimKeyboard(Rc::clone(&self.keyboard)),
            system: self,
        };
        let mut memory = Box::new(Memory::new());
        let device = Device::new(hardware, description, &mut memory);
        select(self.cut.wait(), app(device)).await;
        self.station.set_link(false);
        self.station.forget_connections();
        self.portal.forget_connections();
    }

    /// Cuts the power: [`SimDevice::run`] returns.
    pub fn cut_power(&self) {
        self.cut.signal(());
    }

    /// How often the device has started again by itself.
    #[must_use]
    pub fn restarts(&self) -> u32 {
        self.restarts.get()
    }

    /// The longest that the watchdog of a board was not fed, from when it was switched on.
    #[must_use]
    pub fn longest_unfed(&self) -> Duration {
        self.fed.get().1
    }

    /// The network of its access point.
    #[must_use]
    pub fn own_network(&self) -> &Network {
        &self.own_network
    }

    /// The phone on it.
    #[must_use]
    pub fn phone(&self) -> &Host {
        &self.phone
    }

    /// Its own place on it.
    #[must_use]
    pub fn portal(&self) -> &Host {
        &self.portal
    }

    /// Where store, log and outbox lie.
    #[must_use]
    pub fn layout() -> FlashLayout {
        FlashLayout {
            store: 0..STORE_SECTORS * SECTOR_BYTES,
            log: STORE_SECTORS * SECTOR_BYTES..(STORE_SECTORS + LOG_SECTORS) * SECTOR_BYTES,
            outbox: (STORE_SECTORS + LOG_SECTORS) * SECTOR_BYTES..SECTORS * SECTOR_BYTES,
        }
    }

    /// A person whose phone is on the device's access point.
    #[must_use]
    pub fn person(&self) -> Person {
        Person::new(
            &self.phone,
            SocketAddr::new(IpAddr::V4(self.portal.address()), 80),
        )
    }

    /// When the board was last shown an address, be it for less than anybody looked.
    pub(crate) fn addressed(&self) -> Option<Instant> {
        self.addressed.get()
    }

    /// What the board was last shown.
    #[must_use]
    pub fn shown(&self) -> Shown {
        self.shown.borrow().clone()
    }

    /// The device's radio, as others see it.
    #[must_use]
    pub fn antenna(&self) -> Antenna {
        self.antenna.borrow().clone()
    }

    /// All that was printed on the console, from the first boot on.
    #[must_use]
    pub fn console(&self) -> String {
        String::from_utf8_lossy(&self.console.borrow()).into_owned()
    }

    /// Types on the device's console; what a device that is off is told, nobody hears.
    pub fn type_in(&self, text: &str) {
        self.keyboard.typed.borrow_mut().extend(text.bytes());
        self.keyboard.pressed.signal(());
    }

    /// Types a line, or several, and waits for the next line that ends an answer: `ok` or an error.
    /// Returns what was printed until then, that line included.
    ///
    /// # Panics
    ///
    /// When there is none within a minute.
    pub async fn ask(&self, lines: &str) -> String {
        let printed = self.console().len();
        self.type_in(&format!("{lines}\r"));
        let start = embassy_time::Instant::now();
        loop {
            let console = self.console();
            let answer = console.get(printed..).unwrap_or_default();
            let ends = |line: &str| line == "ok\n" || line.starts_with("error: ");
            let mut length = 0;
            for line in answer.split_inclusive('\n') {
                length += line.len();
                if ends(line) && line.ends_with('\n') {
                    return answer[..length].to_owned();
                }
            }
            assert!(
                start.elapsed() < Duration::from_secs(61),
                "no answer to {lines}: {answer}"
            );
            Timer::after(Duration::from_millis(10)).await;
        }
    }

    /// Waits until the device is as `wanted`, and says for how long.
    ///
    /// # Panics
    ///
    /// When it is not within `limit`; tells how it is and what it printed.
    pub async fn until(
        &self,
        limit: Duration,
        what: &str,
        wanted: impl Fn(&Shown) -> bool,
    ) -> Duration {
        let start = embassy_time::Instant::now();
        while !wanted(&self.shown.borrow()) {
            assert!(
                start.elapsed() < limit,
                "not {what} after {} s: {:?}\n{}",
                limit.as_secs(),
                self.shown(),
                self.console()
            );
            Timer::after(Duration::from_millis(10)).await;
        }
        start.elapsed()
    }

    /// Waits until the device is online at the broker.
    pub async fn online(&self, limit: Duration) -> Duration {
        self.until(limit, "online", |shown| {
            shown.mqtt == Some(mqtt::State::Online)
        })
        .await
    }
}

impl System for SimDevice<'_> {
    fn entropy(&self, bytes: &mut [u8]) {
        self.random.borrow_mut().fill_bytes(bytes);
    }

    fn restart(&self) {
        self.restarts.set(self.restarts.get() + 1);
        self.cut_power();
    }

    fn feed_watchdog(&self) {
        let (last, longest) = self.fed.get();
        self.fed.set((Instant::now(), longest.max(last.elapsed())));
    }

    fn hardware_address(&self) -> [u8; 6] {
        [2, 0, 0, 0, 0, self.number]
    }

    fn status(&self, status: &bluebell::board::Status<'_>) {
        if status.address.is_some() || self.shown.borrow().address.is_some() {
            self.addressed.set(Some(Instant::now()));
        }
        *self.shown.borrow_mut() = Shown {
            wifi: Some(status.wifi),
            ssid: status.ssid.map(ToString::to_string),
            address: status.address,
            mqtt: Some(status.mqtt),
            portal: status.portal,
            password: status.access_point.1.reveal().to_owned(),
        };
    }
}

/// The family of types that a simulated device is made of.
pub struct SimBoard;

impl Board for SimBoard {
    type Radio = SimRadio;
    type Flash = Flash;
    type Station = Host;
    type Portal = Host;
    type PortalMemory = PortalMemory;
    type Console = SimConsole;
    type Commands = SimKeyboard;
}

/// A radio whose link is that of the station on the network.
pub struct SimRadio {
    radio: AirRadio,
    station: Host,
}

impl Radio for SimRadio {
    async fn scan(
        &mut self,
        scan: &Scan<'_>,
        found: &mut dyn FnMut(Sighting),
    ) -> Result<(), RadioError> {
        self.radio.scan(scan, found).await
    }

    async fn join(&mut self, target: &JoinTarget<'_>) -> Result<(), JoinFailure> {
        self.station.set_link(false);
        self.radio.join(target).await
    }

    async fn address(&mut self) -> Ipv4Addr {
        let address = self.radio.address().await;
        self.station.set_link(true);
        address
    }

    async fn lost(&mut self) {
        self.radio.lost().await;
        self.station.set_link(false);
    }

    async fn leave(&mut self) {
        self.station.set_link(false);
        self.radio.leave().await;
    }

    fn rssi(&self) -> Option<i8> {
        self.radio.rssi()
    }

    async fn open_access_point(&mut self, settings: &AccessPoint<'_>) -> Result<(), RadioError> {
        self.radio.open_access_point(settings).await
    }

    async fn close_access_point(&mut self) {
        self.radio.close_access_point().await;
    }

    fn closing_restarts(&self) -> bool {
        self.radio.closing_restarts()
    }
}
