//! Mosquitto's programs: a real broker, and the two clients with which a person uses any broker.

use std::net::{Ipv4Addr, SocketAddr};
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::time::Duration;

use rustix::process::{Pid, Signal, kill_process};
use tempfile::TempDir;

use super::console::Console;
use super::{PATIENCE, http, until, within};

/// Where a Debian broker is, which is not on everybody's path.
fn broker_program() -> &'static str {
    if Path::new("/usr/sbin/mosquitto").exists() {
        "/usr/sbin/mosquitto"
    } else {
        "mosquitto"
    }
}

/// Why the scenarios that need mosquitto cannot run here, if they cannot.
pub(crate) fn missing() -> Option<String> {
    let cannot_start = |program: &&str| {
        let child = Command::new(program)
            .arg("-h")
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            .status();
        child.is_err()
    };
    [broker_program(), "mosquitto_sub", "mosquitto_pub"]
        .iter()
        .find(|program| cannot_start(program))
        .map(|program| {
            format!("{program} is not installed: apt-get install mosquitto mosquitto-clients")
        })
}

/// A child that ends with its value.
pub(crate) struct Ended(pub(crate) Child);

impl Ended {
    pub(crate) fn signal(&self, signal: Signal) {
        let id = Pid::from_child(&self.0);
        kill_process(id, signal).expect("the child is there");
    }
}

impl Drop for Ended {
    fn drop(&mut self) {
        drop(self.0.kill());
        drop(self.0.wait());
    }
}

/// A real broker on a port of its own.
pub(crate) struct Mosquitto {
    pub(crate) address: SocketAddr,
    files: TempDir,
    running: Option<Ended>,
}

impl Mosquitto {
    /// A broker for everybody.
    pub(crate) fn open() -> Self {
        Self::with("allow_anonymous true\n", |_| ())
    }

    /// A broker for one user.
    pub(crate) fn for_user(user: &str, password: &str) -> Self {
        Self::with("allow_anonymous false\npassword_file users\n", |files| {
            let status = Command::new("mosquitto_passwd")
                .args(["-b", "-c", "users", user, password])
                .current_dir(files)
                .stdout(Stdio::null())
                .stderr(Stdio::null())
                .status();
            assert!(
                status
                    .expect("mosquitto_passwd comes with mosquitto")
                    .success()
            );
        })
    }

    /// A broker for everybody on this port, if the port is free.
    pub(crate) fn on(port: u16) -> Option<Self> {
        let files = TempDir::new().expect("a directory");
        Self::launched(files.path(), port, "allow_anonymous true\n").map(|(address, running)| {
            Self {
                address,
                files,
                running: Some(running),
            }
        })
    }

    fn launched(files: &Path, port: u16, configuration: &str) -> Option<(SocketAddr, Ended)> {
        // As root it would change to a user who can't read the directory.
        let common = "user root\npersistence true\nautosave_interval 1\n";
        let text = format!("listener {port} 127.0.0.1\n{common}{configuration}");
        std::fs::write(files.join("broker.conf"), text).expect("a file");
        let address = SocketAddr::from((Ipv4Addr::LOCALHOST, port));
        launch(files, address).map(|running| (address, running))
    }

    fn with(configuration: &str, prepare: impl Fn(&Path)) -> Self {
        let files = TempDir::new().expect("a directory");
        prepare(files.path());
        for _ in 0..10 {
            if let Some((address, running)) =
                Self::launched(files.path(), sim::port::free(), configuration)
            {
                return Self {
                    address,
                    files,
                    running: Some(running),
                };
            }
        }
        panic!("mosquitto does not start");
    }

    /// Stops it as its administrator does.
    pub(crate) fn stop(&mut self) {
        if let Some(mut running) = self.running.take() {
            running.signal(Signal::TERM);
            drop(running.0.wait());
        }
    }

    /// Starts it again on the same port.
    pub(crate) fn start(&mut self) {
        let running = within(PATIENCE, "mosquitto starts again", || {
            launch(self.files.path(), self.address)
        });
        self.running = Some(running.0);
    }

    /// Lets it hang with its connections open, or go on.
    pub(crate) fn hang(&self, hangs: bool) {
        let running = self.running.as_ref().expect("it runs");
        running.signal(if hangs { Signal::STOP } else { Signal::CONT });
    }
}

fn launch(files: &Path, address: SocketAddr) -> Option<Ended> {
    let child = Command::new(broker_program())
        .args(["-c", "broker.conf"])
        .current_dir(files)
        .stdin(Stdio::null())
        .stdout(Stdio::null())
        .stderr(Stdio::null())
        .spawn();
    let mut running = Ended(child.expect("mosquitto starts"));
    let (is_up, _) = within(PATIENCE, "mosquitto listens", || {
        match running.0.try_wait().expect("its status") {
            Some(_) => Some(false),
            None => http::listens(address).then_some(true),
        }
    });
    is_up.then_some(running)
}

/// A message that `mosquitto_sub` saw.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Seen {
    pub(crate) topic: String,
    /// Whether the broker had kept it from before.
    pub(crate) retained: bool,
    pub(crate) payload: String,
}

/// `mosquitto_sub` at work.
pub(crate) struct Subscriber {
    console: Console,
    _running: Ended,
}

impl Subscriber {
    /// Returns when the broker has confirmed the subscription.
    pub(crate) fn new(broker: SocketAddr, filter: &str) -> Self {
        Self::with(broker, filter, &[])
    }

    /// The same with more flags.
    pub(crate) fn with(broker: SocketAddr, filter: &str, flags: &[&str]) -> Self {
        let mut child = Command::new("stdbuf")
            .args(["-oL", "mosquitto_sub", "-V", "5", "-d", "-h", "127.0.0.1"])
            .args(["-p", &broker.port().to_string(), "-q", "1", "-t", filter])
            .args(["-F", "MESSAGE\t%t\t%r\t%p"])
            .args(flags)
            .stdin(Stdio::null())
            .stdout(Stdio::piped())
            .stderr(Stdio::null())
            .spawn()
            .expect("mosquitto_sub starts");
        let console = Console::of(child.stdout.take().expect("it is piped"));
        let subscriber = Self {
            console,
            _running: Ended(child),
        };
        until("the subscription is confirmed", || {
            subscriber.console.count(&["Subscribed (mid"]) > 0
        });
        subscriber
    }

    /// All messages so far.
    pub(crate) fn seen(&self) -> Vec<Seen> {
        let message = |line: &String| {
            let mut parts = line.strip_prefix("MESSAGE\t")?.splitn(3, '\t');
            Some(Seen {
                topic: parts.next()?.into(),
                retained: parts.next()? == "1",
                payload: parts.next()?.into(),
            })
        };
        self.console.lines().iter().filter_map(message).collect()
    }

    /// The payloads on one topic so far.
    pub(crate) fn payloads(&self, topic: &str) -> Vec<String> {
        let on_topic = self.seen().into_iter().filter(|seen| seen.topic == topic);
        on_topic.map(|seen| seen.payload).collect()
    }

    /// Waits for the next message that matches, from the `from`th on; the index after it and itself.
    pub(crate) fn next(&self, from: usize, topic: &str, payload: &str) -> (usize, Seen) {
        let what = format!("{payload:?} on {topic}");
        let (found, _) = within(PATIENCE, &what, || {
            let seen = self.seen().into_iter().enumerate().skip(from);
            seen.into_iter()
                .find(|(_, seen)| seen.topic == topic && seen.payload == payload)
        });
        (found.0 + 1, found.1)
    }
}

/// Publishes with `mosquitto_pub`, which ends when the broker has taken the message.
pub(crate) fn publish(broker: SocketAddr, topic: &str, payload: &str, flags: &[&str]) {
    publish_bytes(broker, topic, payload.as_bytes(), flags);
}

/// The same for any bytes.
pub(crate) fn publish_bytes(broker: SocketAddr, topic: &str, payload: &[u8], flags: &[&str]) {
    use std::io::Write;
    let mut child = Command::new("mosquitto_pub")
        .args([
            "-V",
            "5",
            "-h",
            "127.0.0.1",
            "-p",
            &broker.port().to_string(),
        ])
        // It takes no empty input for a message, but has a flag for one.
        .args(["-t", topic, if payload.is_empty() { "-n" } else { "-s" }])
        .args(flags)
        .stdin(Stdio::piped())
        .stdout(Stdio::null())
        .stderr(Stdio::piped())
        .spawn()
        .expect("mosquitto_pub starts");
    let mut input = child.stdin.take().expect("it is piped");
    // With nothing to read it may have gone; its status tells whether all went well.
    drop(input.write_all(payload));
    drop(input);
    let output = child.wait_with_output().expect("it ends");
    assert!(
        output.status.success(),
        "mosquitto_pub: {}",
        String::from_utf8_lossy(&output.stderr)
    );
}

/// How long a step may take that a person would call at once.
pub(crate) const AT_ONCE: Duration = Duration::from_secs(10);
