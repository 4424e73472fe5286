//! The built program with a directory of its own, and its panel.

use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::Duration;

use rustix::process::{Pid, Signal, kill_process};
use serde_json::{Value, json};
use tempfile::TempDir;

use super::air::{self, HOME, HOME_PASSWORD, Network};
use super::console::Console;
use super::{PATIENCE, http, until, within};

/// What is on a person's desk: a board's flash and the files that are given to it. Boards that are started
/// from one desk, one after another, are one device.
pub(crate) struct Desk {
    files: TempDir,
}

impl Desk {
    pub(crate) fn new() -> Self {
        Self {
            files: TempDir::new().expect("a directory"),
        }
    }

    pub(crate) fn path(&self, name: &str) -> PathBuf {
        self.files.path().join(name)
    }

    pub(crate) fn state(&self) -> PathBuf {
        self.path("state")
    }

    pub(crate) fn write(&self, name: &str, content: impl AsRef<[u8]>) -> PathBuf {
        let path = self.path(name);
        std::fs::write(&path, content).expect("a file");
        path
    }

    /// A board that hears the home network, and knows nothing yet.
    pub(crate) fn board(&self) -> Start<'_> {
        Start {
            desk: self,
            flags: Vec::new(),
        }
        .flag("--state", self.state())
        .flag("--portal", "127.0.0.1:0")
        .flag("--panel", "127.0.0.1:0")
        .flag("--broker", "127.0.0.1:0")
        .air(&[Network::home()])
    }

    /// The same, and it is given the home network's password.
    pub(crate) fn board_at_home(&self) -> Start<'_> {
        self.board().knowing(&[(HOME, HOME_PASSWORD)])
    }

    /// All bytes of the flash.
    pub(crate) fn flash(&self) -> Vec<u8> {
        std::fs::read(self.state().join("flash.bin")).expect("the flash is a file")
    }

    /// Whether these bytes stand in any file that belongs to the board.
    pub(crate) fn holds_in_clear(&self, secret: &str) -> bool {
        let files = std::fs::read_dir(self.state()).expect("the board's directory");
        files.into_iter().any(|file| {
            let bytes = std::fs::read(file.expect("a file").path()).unwrap_or_default();
            contains(&bytes, secret.as_bytes())
        })
    }
}

pub(crate) fn contains(all: &[u8], part: &[u8]) -> bool {
    all.windows(part.len()).any(|window| window == part)
}

/// The flags of one start. A flag that is given again replaces the first.
#[derive(Clone)]
pub(crate) struct Start<'a> {
    desk: &'a Desk,
    flags: Vec<(String, Option<String>)>,
}

impl Start<'_> {
    pub(crate) fn flag(mut self, name: &str, value: impl AsRef<Path>) -> Self {
        self.flags.retain(|(known, _)| known != name);
        let value = value.as_ref().to_str().expect("a path in UTF-8").to_owned();
        self.flags.push((name.into(), Some(value)));
        self
    }

    pub(crate) fn without(mut self, name: &str) -> Self {
        self.flags.retain(|(known, _)| known != name);
        self
    }

    pub(crate) fn bare(mut self, name: &str) -> Self {
        self.flags.push((name.into(), None));
        self
    }

    pub(crate) fn air(self, networks: &[Network]) -> Self {
        let path = self.desk.write("air.toml", air::file(networks));
        self.flag("--air", path)
    }

    pub(crate) fn knowing(self, networks: &[(&str, &str)]) -> Self {
        let pairs = networks
            .iter()
            .map(|(ssid, password)| ((*ssid).to_owned(), Value::from(*password)));
        let text = Value::Object(pairs.collect()).to_string();
        let path = self.desk.write("wifi.json", text);
        self.flag("--provision", path)
    }

    pub(crate) fn config(self, text: &str) -> Self {
        let path = self.desk.write("config.toml", text);
        self.flag("--config", path)
    }

    /// Uses a broker that is not the board's own.
    pub(crate) fn broker_at(self, address: SocketAddr, more: &str) -> Self {
        let text = format!(
            "[mqtt]\nhost = \"{}\"\nport = {}\n{more}",
            address.ip(),
            address.port()
        );
        self.config(&text).flag("--broker", "off")
    }

    pub(crate) fn command(&self) -> Command {
        let mut command = Command::new(env!("CARGO_BIN_EXE_relay"));
        for (name, value) in &self.flags {
            command.arg(name).args(value);
        }
        command
            .current_dir(self.desk.files.path())
            .stdin(Stdio::null())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped());
        command
    }

    /// Starts the program and waits until it has named its addresses.
    pub(crate) fn start(&self) -> Board {
        let mut child = self.command().spawn().expect("the program starts");
        let console = Console::of(child.stdout.take().expect("it is piped"));
        let errors = Console::of(child.stderr.take().expect("it is piped"));
        let mut board = Board {
            child,
            console,
            errors,
            panel: None,
            portal: SocketAddr::from(([0; 4], 0)),
            broker: None,
        };
        until("the console names the addresses", || {
            let status = board.child.try_wait().expect("its status");
            assert_eq!(status, None, "it ended: {}", board.errors.text());
            board.console.count(&["board: state"]) > 0
        });
        board.panel = board.address("panel");
        board.portal = board.address("portal").expect("there is always a portal");
        board.broker = board.address("broker");
        board
    }

    /// Starts the program and waits for its end: status and what it said on stderr.
    pub(crate) fn refused(&self) -> (i32, String) {
        let mut board = Board {
            child: self.command().spawn().expect("the program starts"),
            console: Console::of(std::io::empty()),
            errors: Console::of(std::io::empty()),
            panel: None,
            portal: SocketAddr::from(([0; 4], 0)),
            broker: None,
        };
        board.console = Console::of(board.child.stdout.take().expect("it is piped"));
        board.errors = Console::of(board.child.stderr.take().expect("it is piped"));
        let (status, _) = within(PATIENCE, "the program refuses to start", || {
            board.child.try_wait().expect("its status")
        });
        board.errors.finish();
        (status.code().unwrap_or(-1), board.errors.text())
    }
}

/// The running program. It is killed when the value goes.
pub(crate) struct Board {
    child: Child,
    pub(crate) console: Console,
    pub(crate) errors: Console,
    panel: Option<SocketAddr>,
    pub(crate) portal: SocketAddr,
    broker: Option<SocketAddr>,
}

impl Board {
    fn address(&self, of: &str) -> Option<SocketAddr> {
        let start = format!("board: {of} ");
        let lines = self.console.lines();
        let line = lines.iter().find(|line| line.starts_with(&start));
        let line = line.unwrap_or_else(|| panic!("no {start}line: {}", self.console.text()));
        let (_, rest) = line.split_once("://")?;
        let end = rest.find(['/', ' ', ',']).unwrap_or(rest.len());
        Some(rest[..end].parse().expect("an address and a port"))
    }

    pub(crate) fn panel(&self) -> SocketAddr {
        self.panel.expect("the panel is on")
    }

    pub(crate) fn broker(&self) -> SocketAddr {
        self.broker.expect("the embedded broker is on")
    }

    /// What the panel says about the device.
    pub(crate) fn state(&self) -> Value {
        let answer = http::get(self.panel(), "/api/state");
        assert_eq!(answer.status, 200, "{answer:?}");
        answer.json()
    }

    pub(crate) fn wifi(&self) -> String {
        self.state()["wifi"]["state"]
            .as_str()
            .expect("a text")
            .into()
    }

    pub(crate) fn mqtt(&self) -> String {
        self.state()["mqtt"]["state"]
            .as_str()
            .expect("a text")
            .into()
    }

    /// The level of the relay's pin, as soon as a boot has set the pin up.
    pub(crate) fn relay(&self) -> i64 {
        let level = || self.state()["pins"]["14"]["level"].as_i64();
        within(PATIENCE, "the relay's pin is set up", level).0
    }

    pub(crate) fn display(&self) -> String {
        self.state()["display"].as_str().expect("a text").into()
    }

    pub(crate) fn is_online(&self) -> bool {
        self.state()["wifi"]["state"] == "online"
    }

    /// Waits until the device has an address and its broker.
    pub(crate) fn await_online(&self) {
        until("the device is on Wi-Fi", || self.is_online());
        until("the device is at its broker", || self.mqtt() == "online");
    }

    pub(crate) fn await_relay(&self, level: i64) {
        let what = format!("the relay's pin is {level}");
        until(&what, || self.relay() == level);
    }

    /// Asks the panel for something that it grants.
    pub(crate) fn post(&self, path: &str, body: &Value) -> http::Answer {
        let answer = http::post_json(self.panel(), path, body);
        assert!(
            (200..300).contains(&answer.status),
            "POST {path} {body}: {answer:?}"
        );
        answer
    }

    pub(crate) fn air(&self, body: &Value) {
        self.post("/api/air", body);
    }

    pub(crate) fn set_network(&self, ssid: &str, up: bool) {
        self.air(&json!({"ssid": ssid, "up": up}));
    }

    pub(crate) fn set_broker(&self, up: bool) {
        self.post("/api/broker", &json!({"up": up}));
        until("the panel shows it", || self.state()["broker"] == up);
    }

    /// Presses the button on pin 0 for longer than any contact bounces, and lets it go.
    pub(crate) fn press(&self) {
        let before = self.relay();
        self.post("/api/pins/0", &json!({"level": 0}));
        until("the press toggles the relay", || self.relay() != before);
        self.post("/api/pins/0", &json!({"level": 1}));
        // The release has to be seen as well before the next press.
        std::thread::sleep(Duration::from_millis(500));
    }

    pub(crate) fn cycle_power(&self) {
        self.post("/api/power", &json!({"action": "cycle"}));
    }

    pub(crate) fn log(&self) -> String {
        let answer = http::get(self.panel(), "/api/log");
        assert_eq!(answer.status, 200, "{answer:?}");
        answer.text()
    }

    /// Submits a network at the portal, as the page does.
    pub(crate) fn submit(&self, ssid: &str, password: &str) -> http::Answer {
        let fields = [("ssid", ssid), ("password", password)];
        http::post_form(self.portal, "/connect", &fields)
    }

    /// The result of the last submission, once there is one.
    pub(crate) fn await_result(&self) -> Value {
        let result = within(PATIENCE, "the submission has a result", || {
            let status = http::get(self.portal, "/status.json").json();
            (status["state"] != "joining" && status["state"] != "idle").then_some(status)
        });
        result.0
    }

    pub(crate) fn await_portal(&self) {
        until("the portal is open", || {
            self.state()["portal"] == true && http::listens(self.portal)
        });
    }

    /// A power cut from outside. The flash is what it is at that moment.
    pub(crate) fn kill(mut self) {
        self.child.kill().expect("it runs");
        self.child.wait().expect("it is ours");
    }

    pub(crate) fn id(&self) -> u32 {
        self.child.id()
    }

    /// Ends it by a signal and gives the exit status.
    pub(crate) fn end_by(mut self, signal: Signal) -> (Option<i32>, String) {
        kill_process(Pid::from_child(&self.child), signal).expect("it runs");
        let (status, _) = within(PATIENCE, "it ends", || {
            self.child.try_wait().expect("its status")
        });
        (status.code(), self.errors.text())
    }
}

impl Drop for Board {
    fn drop(&mut self) {
        drop(self.child.kill());
        drop(self.child.wait());
        if std::thread::panicking() {
            eprintln!(
                "---- console ----\n{}\n---- stderr ----\n{}\n----",
                self.console.text(),
                self.errors.text()
            );
        }
    }
}
