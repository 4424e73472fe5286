//! A real mosquitto, and others who use it.

use std::io::{BufRead as _, BufReader, Write as _};
use std::net::TcpStream;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::sync::mpsc::{self, Receiver, TryRecvError};

use bluebell::mqtt::{Settings, Subscriptions};
use embassy_time::{Duration, Timer};

const USER: &str = "garage";
const PASSWORD: &str = "påssord 1%";

/// A broker of the test's own, which ends with it.
pub(crate) struct Mosquitto {
    pub(crate) child: Child,
    pub(crate) port: u16,
    folder: PathBuf,
}

impl Mosquitto {
    /// A broker that asks for user and password; `None` where mosquitto is not installed.
    pub(crate) fn start(name: &str) -> Option<Self> {
        let program = [
            "/usr/sbin/mosquitto",
            "/usr/bin/mosquitto",
            "/usr/local/sbin/mosquitto",
        ]
        .into_iter()
        .find(|path| Path::new(path).exists());
        if program.is_none() {
            assert!(
                std::env::var("CI").as_deref() != Ok("true"),
                "mosquitto is not installed: apt-get install mosquitto mosquitto-clients"
            );
            println!(
                "SKIP: mosquitto is not installed: apt-get install mosquitto mosquitto-clients"
            );
        }
        program?;
        let folder = std::env::temp_dir().join(format!("bluebell-{name}-{}", std::process::id()));
        std::fs::create_dir_all(&folder).unwrap();
        let passwords = folder.join("passwords");
        std::fs::write(&passwords, "").unwrap();
        let made = Command::new("mosquitto_passwd")
            .args(["-b", passwords.to_str().unwrap(), USER, PASSWORD])
            .stderr(Stdio::null())
            .status();
        assert!(made.unwrap().success());
        let port = sim::port::free();
        std::fs::write(
            folder.join("mosquitto.conf"),
            format!(
                "listener {port} 127.0.0.1\nallow_anonymous false\npassword_file {}\nuser root\n\
                 max_queued_messages 0\n",
                passwords.display()
            ),
        )
        .unwrap();
        let child = Self::launch(&folder, port);
        Some(Self {
            child,
            port,
            folder,
        })
    }

    fn launch(folder: &Path, port: u16) -> Child {
        let child = Command::new("mosquitto")
            .env("PATH", "/usr/sbin:/usr/bin:/usr/local/sbin:/usr/local/bin")
            .args(["-c", folder.join("mosquitto.conf").to_str().unwrap()])
            .stderr(Stdio::null())
            .spawn()
            .unwrap();
        let listens = || TcpStream::connect(("127.0.0.1", port)).is_ok();
        for _ in 0..500 {
            if listens() {
                break;
            }
            std::thread::sleep(std::time::Duration::from_millis(10));
        }
        assert!(listens(), "mosquitto does not listen on port {port}");
        child
    }

    pub(crate) fn kill(&mut self) {
        self.child.kill().unwrap();
        self.child.wait().unwrap();
    }

    pub(crate) fn restart(&mut self) {
        self.child = Self::launch(&self.folder, self.port);
    }

    fn client(&self, program: &str, arguments: &[&str]) -> Command {
        let mut command = Command::new(program);
        command
            .args(["-V", "5", "-h", "127.0.0.1", "-p", &self.port.to_string()])
            .args(["-u", USER, "-P", PASSWORD])
            .args(arguments);
        command
    }

    /// Publishes as somebody else would.
    pub(crate) fn publish(&self, topic: &str, qos: &str, payload: &[u8]) {
        let input = if payload.is_empty() { "-n" } else { "-s" };
        let mut client = self
            .client("mosquitto_pub", &["-t", topic, "-q", qos, input])
            .stdin(Stdio::piped())
            .spawn()
            .unwrap();
        client.stdin.take().unwrap().write_all(payload).unwrap();
        assert!(client.wait().unwrap().success());
    }

    /// Publishes with QoS 1 what the broker keeps.
    pub(crate) fn publish_retained(&self, topic: &str, payload: &[u8]) {
        let payload = std::str::from_utf8(payload).unwrap();
        let arguments = ["-t", topic, "-q", "1", "-r", "-m", payload];
        let published = self.client("mosquitto_pub", &arguments).status().unwrap();
        assert!(published.success());
    }

    /// Subscribes as somebody else would, for so many messages, each a line: retained, QoS, topic, hex. Returns
    /// when the broker has confirmed it.
    pub(crate) fn listen(&self, topic: &str, qos: &str, count: &str) -> Listener {
        let arguments = ["-t", topic, "-q", qos, "-C", count, "-W", "60", "-d"];
        let subscriber = self.client("mosquitto_sub", &arguments);
        // A line as soon as it is whole, also into a pipe.
        let mut child = Command::new("stdbuf")
            .arg("-oL")
            .arg(subscriber.get_program())
            .args(subscriber.get_args())
            .args(["-F", "MESSAGE %r %q %t %x"])
            .stdout(Stdio::piped())
            .spawn()
            .unwrap();
        let output = BufReader::new(child.stdout.take().unwrap());
        let (told, lines) = mpsc::channel();
        std::thread::spawn(move || {
            for line in output.lines().map_while(Result::ok) {
                // Nobody may wait for the rest.
                let _ = told.send(line);
            }
        });
        let confirmed = lines.iter().any(|line| line.starts_with("Subscribed (mid"));
        assert!(confirmed, "the broker has not taken the subscription");
        Listener { child, lines }
    }

    pub(crate) fn settings<'a>(&self, subscriptions: &'a dyn Subscriptions) -> Settings<'a> {
        Settings {
            host: "127.0.0.1",
            port: self.port,
            own_broker: None,
            user: USER,
            password: PASSWORD,
            client_id: "garage",
            keep_alive: 5,
            base_topic: "bluebell/garage",
            subscriptions,
            clean_start: true,
            session_expiry: 3600,
        }
    }
}

impl Drop for Mosquitto {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
        let _ = std::fs::remove_dir_all(&self.folder);
    }
}

/// A subscriber that ends after so many messages.
pub(crate) struct Listener {
    child: Child,
    lines: Receiver<String>,
}

impl Listener {
    /// Waits until all messages have come, while the device goes on.
    pub(crate) async fn lines(mut self) -> Vec<String> {
        let mut messages = Vec::new();
        loop {
            match self.lines.try_recv() {
                Ok(line) => messages.extend(line.strip_prefix("MESSAGE ").map(String::from)),
                Err(TryRecvError::Empty) => Timer::after(Duration::from_millis(10)).await,
                Err(TryRecvError::Disconnected) => break,
            }
        }
        self.child.wait().unwrap();
        messages
    }
}
