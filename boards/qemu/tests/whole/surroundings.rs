//! What is around the device: a broker, and somebody who listens to it.

use std::net::TcpStream;
use std::process::{Child, Command, Stdio};
use std::thread;
use std::time::{Duration, Instant};

use crate::machine::{Folder, LONG, Lines};

/// A real mosquitto on this host.
pub(crate) struct Broker {
    process: Child,
    port: u16,
}

impl Broker {
    pub(crate) fn start(folder: &Folder, port: u16) -> Self {
        let text = format!("listener {port} 127.0.0.1\nallow_anonymous true\n");
        let config = folder.file("mosquitto.conf", &text);
        let path = std::env::var("PATH").unwrap_or_default() + ":/usr/sbin";
        let process = Command::new("mosquitto")
            .env("PATH", path)
            .arg("-c")
            .arg(config)
            .stderr(Stdio::null())
            .spawn()
            .expect("mosquitto starts");
        let until = Instant::now() + LONG;
        while TcpStream::connect(("127.0.0.1", port)).is_err() {
            assert!(Instant::now() < until, "mosquitto does not listen");
            thread::sleep(Duration::from_millis(50));
        }
        Self { process, port }
    }

    pub(crate) fn publish(&self, topic: &str, message: &str) {
        let status = self
            .client("mosquitto_pub")
            .args(["-q", "1", "-t", topic, "-m", message])
            .status();
        assert!(status.expect("mosquitto_pub starts").success());
    }

    /// Everything that is published from now on, and what was retained.
    pub(crate) fn listen(&self) -> Listener {
        let mut process = self
            .client("mosquitto_sub")
            .args(["-t", "#", "-v"])
            .stdout(Stdio::piped())
            .spawn()
            .expect("mosquitto_sub starts");
        let lines = Lines::follow(process.stdout.take().expect("it is piped"));
        Listener { process, lines }
    }

    fn client(&self, program: &str) -> Command {
        let mut command = Command::new(program);
        command.args(["-V", "5", "-h", "127.0.0.1", "-p", &self.port.to_string()]);
        command
    }
}

impl Drop for Broker {
    fn drop(&mut self) {
        let _ = self.process.kill();
        let _ = self.process.wait();
    }
}

/// A client that hears everything.
pub(crate) struct Listener {
    process: Child,
    pub(crate) lines: Lines,
}

impl Drop for Listener {
    fn drop(&mut self) {
        let _ = self.process.kill();
        let _ = self.process.wait();
    }
}
