//! Where a story is told: one device in its world, and what can be done to them.

use std::cell::{Cell, RefCell};
use std::collections::BTreeMap;
use std::convert::Infallible;
use std::net::{IpAddr, Ipv4Addr, SocketAddr};
use std::rc::Rc;

use bluebell::config::Config;
use embassy_sync::blocking_mutex::raw::NoopRawMutex;
use embassy_sync::mutex::Mutex;
use embassy_time::{Duration, Instant, Timer};
use embedded_io_async::Write;
use futures_util::future::LocalBoxFuture;

use super::Application;
use super::script::{Act, BrokerAct, Login, Message, TimeServerAct};
use crate::air::Station;
use crate::board::{SimDevice, World};
use crate::broker::Qos;
use crate::flash::Timing;
use crate::net::{Host, TcpSocket};
use crate::random::Random;
use crate::waiting::Changes;

/// How long a patient person waits between two tries.
const PATIENCE: Duration = Duration::from_secs(3);
/// A cut of the flash that has not come by then does not come any more.
const CUT_WITHIN: Duration = Duration::from_secs(60);
/// How long the person waits for the result of a submission.
const RESULT: u32 = 60;

/// A secret that must be nowhere in clear, and what it is.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct SecretText {
    pub(super) text: String,
    /// Whether it is the password at the broker, which has to go to the broker.
    pub(super) brokers: bool,
}

/// A device in its world, with what it was told and what it has promised.
pub(super) struct Stage<'w, A> {
    pub(super) world: &'w World,
    pub(super) device: SimDevice<'w>,
    pub(super) application: A,
    pub(super) config: &'static str,
    pub(super) portal_after: Duration,
    /// Whether the device's broker is the one of this world.
    pub(super) own_broker: bool,
    pub(super) random: RefCell<Random>,
    /// Networks that it was acknowledged to know, with their passwords.
    pub(super) known: RefCell<BTreeMap<String, String>>,
    pub(super) secrets: Rc<RefCell<Vec<SecretText>>>,
    pub(super) leaked: Rc<RefCell<Option<String>>>,
    /// How often it was asked to start again.
    pub(super) restarts_asked: Cell<u32>,
    /// When the person last used the phone.
    pub(super) phone_used: Cell<Option<Instant>>,
    pub(super) booted: Cell<Option<Instant>>,
    pub(super) boots: Cell<u32>,
    /// When something was last done.
    pub(super) acted: Cell<Instant>,
    /// Somebody on the access point who only tries whether it listens.
    pub(super) passer: Host,
    armed: Changes,
    powered: Cell<bool>,
    power: Changes,
    submitted: RefCell<Option<Login>>,
    console: Mutex<NoopRawMutex, ()>,
    unfinished: RefCell<Vec<TcpSocket>>,
}

impl<'w, A: Application> Stage<'w, A> {
    /// A device that is off. `config`: in the place of the application's own.
    pub(super) fn new(world: &'w World, application: A, config: Option<&str>, seed: u64) -> Self {
        // A device keeps its configuration for as long as it lives; a test's is a few hundred bytes.
        let config = config.map_or(application.app().config, |text| {
            Box::leak(text.to_owned().into_boxed_str())
        });
        let parsed = Config::parse(config, [2, 0, 0, 0, 0, 1]);
        let device = world.device();
        device.flash.set_timing(Timing::TYPICAL);
        let passer = device.own_network().host(Ipv4Addr::new(192, 168, 4, 3));
        let stage = Self {
            world,
            device,
            application,
            config,
            portal_after: parsed
                .as_ref()
                .map_or(Duration::MAX, |c| c.wifi.portal_after),
            own_broker: parsed.as_ref().is_ok_and(|c| c.mqtt.host.is_empty()),
            random: RefCell::new(Random::new(seed)),
            known: RefCell::default(),
            secrets: Rc::default(),
            leaked: Rc::default(),
            restarts_asked: Cell::new(0),
            phone_used: Cell::new(None),
            booted: Cell::new(None),
            boots: Cell::new(0),
            acted: Cell::new(Instant::now()),
            passer,
            armed: Changes::default(),
            powered: Cell::new(false),
            power: Changes::default(),
            submitted: RefCell::default(),
            console: Mutex::new(()),
            unfinished: RefCell::default(),
        };
        if let Ok(config) = parsed {
            stage.keep_secret(config.mqtt.password.reveal(), true);
        }
        stage.tap();
        stage
    }

    /// Notes a text that must be nowhere in clear.
    pub(super) fn keep_secret(&self, text: &str, brokers: bool) {
        let secret = SecretText {
            text: text.to_owned(),
            brokers,
        };
        // Shorter ones are no passwords, and would be found anywhere.
        if text.len() >= 8 && !self.secrets.borrow().contains(&secret) {
            self.secrets.borrow_mut().push(secret);
        }
    }

    /// Listens for secrets to everything that the device sends.
    fn tap(&self) {
        let networks = [
            (&self.world.network, self.device.station.address()),
            (self.device.own_network(), self.device.portal().address()),
        ];
        for (network, own) in networks {
            let (secrets, leaked) = (self.secrets.clone(), self.leaked.clone());
            network.set_tap(move |from: SocketAddr, to, bytes: &[u8]| {
                if from.ip() != IpAddr::V4(own) {
                    return;
                }
                for secret in secrets.borrow().iter() {
                    let found = find(bytes, secret.text.as_bytes());
                    // CONNECT is where a broker's password belongs.
                    if found && !(secret.brokers && bytes.first() == Some(&0x10)) {
                        let what = format!("{:?} was sent to {to} in clear", secret.text);
                        leaked.borrow_mut().get_or_insert(what);
                    }
                }
            });
        }
    }

    /// Whether the device has power.
    pub(super) fn is_on(&self) -> bool {
        self.powered.get()
    }

    pub(super) fn switch(&self, on: bool) {
        self.powered.set(on);
        if !on {
            self.device.cut_power();
        }
        self.power.happen();
    }

    /// Runs the device for ever, whenever it has power.
    pub(super) async fn live(&self) {
        loop {
            self.power.until(|| self.powered.get().then_some(())).await;
            self.booted.set(Some(Instant::now()));
            self.boots.set(self.boots.get() + 1);
            let mut app = self.application.app();
            app.config = self.config;
            let run = async |device: bluebell::device::Device<'_, _>| {
                // Boxed: in one piece with the story around it, it is nested deeper than the compiler goes.
                let life: LocalBoxFuture<'_, Infallible> = Box::pin(self.application.run(device));
                life.await
            };
            self.device.run_app(app, run).await;
            self.booted.set(None);
            self.application.off();
        }
    }

    /// Cuts the device's power when its flash has lost it, for ever.
    pub(super) async fn power_by_flash(&self) {
        loop {
            self.armed.next().await;
            let armed = Instant::now();
            while !self.device.flash.is_dead() && armed.elapsed() < CUT_WITHIN {
                Timer::after_millis(1).await;
            }
            if self.device.flash.is_dead() {
                self.switch(false);
                Timer::after_millis(10).await;
                self.device.flash.revive();
                self.switch(true);
            }
            self.device.flash.revive();
        }
    }

    /// Asks the console, one after the other.
    pub(super) async fn ask(&self, line: &str) -> String {
        let _turn = self.console.lock().await;
        self.device.ask(line).await
    }

    /// The names of the networks that are stored and proven, as the device writes them.
    pub(super) async fn stored(&self) -> Vec<String> {
        let answer = self.ask("networks").await;
        let lines = answer.lines();
        lines
            .filter_map(|line| line.strip_prefix("stored ")?.strip_suffix(" proven"))
            .map(str::to_owned)
            .collect()
    }

    /// The device has said that this network is stored.
    pub(super) fn acknowledge(&self, ssid: &str, password: &str) {
        self.known
            .borrow_mut()
            .insert(ssid.to_owned(), password.to_owned());
    }

    /// Reads what the portal says of the last submission, and takes it at its word.
    pub(super) fn told(&self, status: &str) -> bool {
        let online = status.contains(r#""state":"online""#);
        if let Some(login) = self.submitted.borrow().as_ref().filter(|_| online) {
            self.acknowledge(&login.ssid, &login.password);
        }
        online
    }

    /// Does something.
    ///
    /// # Errors
    ///
    /// Why it could not be done.
    pub(super) async fn perform(&self, act: &Act) -> Result<(), String> {
        self.acted.set(Instant::now());
        let (world, device) = (self.world, &self.device);
        match act {
            Act::PowerOff => self.switch(false),
            Act::PowerOn => self.switch(true),
            Act::PowerCycle => {
                self.switch(false);
                Timer::after_millis(10).await;
                self.switch(true);
            }
            Act::ThrowOff => world.air.disconnect_all(),
            Act::ResetConnections => device.station.reset_connections(),
            Act::HalfClose => world
                .network
                .half_close(world.broker.host(), &device.station),
            Act::WalkAway => device.phone().set_link(false),
            Act::ComeBack => {
                device.phone().set_link(true);
                self.unfinished.borrow_mut().clear();
            }
            Act::Network(change) => {
                let meant = |station: &Station| change.means(station);
                if let Some(password) = &change.password {
                    self.keep_secret(password.get_ref(), false);
                }
                if !world.air.stations().iter().any(meant) {
                    world.air.add(change.station());
                }
                world.air.edit_all(|station| {
                    if meant(station) {
                        change.apply(station);
                    }
                });
            }
            Act::Broker(act) => self.broker(*act),
            Act::BrokerTakes(time) => world.broker.set_slow(time.0),
            Act::Line(line) => device.station.set_faults(line.faults()),
            Act::PhoneLine(line) => device.phone().set_faults(line.faults()),
            Act::TimeServer(act) => {
                world.time.set_away(*act == TimeServerAct::Away);
                world
                    .time
                    .set_unsynchronized(*act == TimeServerAct::Unsynchronized);
            }
            Act::Date(date) => world.time.set_time(date.seconds),
            Act::Submit(login) => self.submit(login).await?,
            Act::SetUp(login) => self.set_up(login).await,
            Act::BeginRequest => self.begin_request().await?,
            Act::Type(text) => self.type_in(text).await,
            Act::Publish(message) => self.publish(message),
            Act::Press(pin) => self.application.press(*pin).await?,
            Act::Pin(pin) => self.application.put(pin.number, pin.level == 1)?,
            Act::CutFlash(cut) => {
                device.flash.cut_power(cut.after, cut.words);
                self.armed.happen();
            }
            Act::FlipBits(count) => {
                self.application.spoilt();
                let mut random = self.random.borrow_mut();
                let length = device.flash.image().len() as u64;
                for _ in 0..*count {
                    let byte = usize::try_from(random.below(length)).unwrap_or_default();
                    let bit = u8::try_from(random.below(8)).unwrap_or_default();
                    device.flash.flip(byte, bit);
                }
            }
        }
        Ok(())
    }

    fn broker(&self, act: BrokerAct) {
        let broker = &self.world.broker;
        match act {
            BrokerAct::Stop => broker.stop(),
            BrokerAct::Start => broker.resume(),
            BrokerAct::Hang => broker.hang(),
            BrokerAct::Refuse => broker.refuse(true),
            BrokerAct::Admit => broker.refuse(false),
            BrokerAct::Restart => broker.restart(true),
            BrokerAct::RestartForgetting => broker.restart(false),
        }
    }

    fn publish(&self, message: &Message) {
        let qos = match message.qos {
            0 => Qos::AtMostOnce,
            1 => Qos::AtLeastOnce,
            _ => Qos::ExactlyOnce,
        };
        let Message {
            topic,
            payload,
            retain,
            ..
        } = message;
        let broker = &self.world.broker;
        broker.publish(topic, payload.as_bytes(), qos, *retain);
    }

    async fn submit(&self, login: &Login) -> Result<(), String> {
        self.keep_secret(&login.password, false);
        self.phone_used.set(Some(Instant::now()));
        let form = [
            ("ssid", login.ssid.as_str()),
            ("password", login.password.as_str()),
        ];
        let answer = self.device.person().post_form("/connect", &form).await;
        match answer {
            Ok(answer) if matches!(answer.status, 202 | 303) => {
                *self.submitted.borrow_mut() = Some(login.clone());
                Ok(())
            }
            Ok(answer) => Err(format!("{}: {}", answer.status, answer.text())),
            Err(error) => Err(error.to_string()),
        }
    }

    async fn set_up(&self, login: &Login) {
        loop {
            let shown = self.device.shown();
            if shown.address.is_some()
                && shown.ssid.as_deref() == Some(&login.ssid)
                && !shown.portal
            {
                return;
            }
            if self.submit(login).await.is_ok() {
                for _ in 0..RESULT {
                    Timer::after_secs(1).await;
                    self.phone_used.set(Some(Instant::now()));
                    match self.device.person().get("/status.json").await {
                        Ok(answer) if self.told(&answer.text()) => return,
                        Ok(answer) if answer.text().contains(r#""state":"joining""#) => {}
                        // No answer, or a failure: the person begins again.
                        _ => break,
                    }
                }
            }
            Timer::after(PATIENCE).await;
        }
    }

    async fn begin_request(&self) -> Result<(), String> {
        self.phone_used.set(Some(Instant::now()));
        let mut socket = self
            .device
            .person()
            .connect()
            .await
            .map_err(|e| e.to_string())?;
        let begun = socket
            .write_all(b"POST /connect HTTP/1.1\r\nHost: la")
            .await;
        begun.map_err(|error| error.to_string())?;
        self.unfinished.borrow_mut().push(socket);
        Ok(())
    }

    async fn type_in(&self, text: &str) {
        let _turn = self.console.lock().await;
        for line in text.lines().map(str::trim) {
            let mut words = line.split_whitespace();
            match (words.next(), words.next()) {
                (Some("restart"), _) => self.restarts_asked.set(self.restarts_asked.get() + 1),
                (Some("factory"), _) => {
                    self.application.spoilt();
                    self.restarts_asked.set(self.restarts_asked.get() + 1);
                    self.known.borrow_mut().clear();
                }
                (Some("forget"), Some(ssid)) => {
                    self.known.borrow_mut().remove(ssid.trim_matches('"'));
                }
                _ => {}
            }
            self.device.type_in(&format!("{line}\r"));
        }
        Timer::after_millis(20).await;
    }
}

/// Whether these bytes are in those in a row.
pub(super) fn find(bytes: &[u8], wanted: &[u8]) -> bool {
    bytes.windows(wanted.len()).any(|window| window == wanted)
}
