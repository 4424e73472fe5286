//! QEMU as a child process: its console in both directions, and its end.

use std::fs;
use std::io::{BufRead, BufReader, Read, Write};
use std::net::{SocketAddr, TcpStream};
use std::path::{Path, PathBuf};
use std::process::{Child, ChildStdin, Command, ExitStatus, Stdio};
use std::sync::atomic::{AtomicU32, Ordering};
use std::sync::{Arc, Condvar, Mutex, OnceLock};
use std::thread;
use std::time::{Duration, Instant};

/// How long anything may take on a machine that is busy with something else.
pub(crate) const LONG: Duration = Duration::from_secs(60);

/// The script that builds the image and starts QEMU.
pub(crate) fn script() -> Command {
    let mut command = Command::new("bash");
    command.arg(concat!(env!("CARGO_MANIFEST_DIR"), "/make"));
    command
}

/// Whether a program is there; says so if not.
pub(crate) fn is_installed(program: &str, package: &str) -> bool {
    let path = std::env::var("PATH").unwrap_or_default() + ":/usr/sbin";
    if std::env::split_paths(&path).any(|folder| folder.join(program).exists()) {
        return true;
    }
    let remedy = format!("{program} is not installed: apt-get install {package}");
    assert!(std::env::var("CI").as_deref() != Ok("true"), "{remedy}");
    eprintln!("SKIP: {remedy}");
    false
}

/// Builds the image, once for all tests, and says where it is.
fn image() -> &'static str {
    static IMAGE: OnceLock<String> = OnceLock::new();
    IMAGE.get_or_init(|| {
        let output = script()
            .arg("image")
            .stderr(Stdio::inherit())
            .output()
            .expect("bash starts");
        assert!(output.status.success(), "the image was not built");
        let path = String::from_utf8_lossy(&output.stdout);
        path.trim_end().to_owned()
    })
}

/// A folder that goes with the test.
pub(crate) struct Folder(PathBuf);

impl Folder {
    pub(crate) fn new() -> Self {
        static COUNT: AtomicU32 = AtomicU32::new(0);
        let count = COUNT.fetch_add(1, Ordering::Relaxed);
        let name = format!("bluebell-qemu-{}-{count}", std::process::id());
        let path = std::env::temp_dir().join(name);
        fs::create_dir_all(&path).expect("the host has room for a folder");
        Self(path)
    }

    pub(crate) fn path(&self) -> &Path {
        &self.0
    }

    pub(crate) fn file(&self, name: &str, text: &str) -> PathBuf {
        let path = self.0.join(name);
        fs::write(&path, text).expect("the folder takes a file");
        path
    }
}

impl Drop for Folder {
    fn drop(&mut self) {
        // What is left over is in the folder for such things.
        let _ = fs::remove_dir_all(&self.0);
    }
}

/// Lines that a child process prints, as they come.
#[derive(Clone, Default)]
pub(crate) struct Lines(Arc<(Mutex<Vec<String>>, Condvar)>);

impl Lines {
    pub(crate) fn follow(source: impl Read + Send + 'static) -> Self {
        let lines = Self::default();
        let filled = lines.clone();
        thread::spawn(move || {
            let mut source = BufReader::new(source);
            let mut line = Vec::new();
            while source
                .read_until(b'\n', &mut line)
                .is_ok_and(|count| count > 0)
            {
                let text = String::from_utf8_lossy(&line).trim_end().to_owned();
                filled.0.0.lock().expect("no reader panics").push(text);
                filled.0.1.notify_all();
                line.clear();
            }
        });
        lines
    }

    pub(crate) fn count(&self) -> usize {
        self.0.0.lock().expect("no reader panics").len()
    }

    pub(crate) fn text(&self) -> String {
        self.0.0.lock().expect("no reader panics").join("\n")
    }

    /// Waits for a line after the first `from` that holds all of `parts`; gives the count of lines up to
    /// and with it.
    #[track_caller]
    pub(crate) fn wait_for(&self, from: usize, parts: &[&str]) -> usize {
        let until = Instant::now() + LONG;
        let mut lines = self.0.0.lock().expect("no reader panics");
        loop {
            let hit = lines
                .iter()
                .enumerate()
                .skip(from)
                .find(|(_, line)| parts.iter().all(|part| line.contains(part)));
            if let Some((index, _)) = hit {
                return index + 1;
            }
            let left = until.saturating_duration_since(Instant::now());
            assert!(
                !left.is_zero(),
                "{parts:?} did not come after line {from}:\n{}",
                lines.join("\n")
            );
            lines = self
                .0
                .1
                .wait_timeout(lines, left)
                .expect("no reader panics")
                .0;
        }
    }
}

/// A wire to the access point: a TAP device in a network namespace that ends with the machine.
pub(crate) struct Wire;

impl Wire {
    /// The device's name.
    pub(crate) const NAME: &'static str = "phone";
    const LAY: &'static str = "ip tuntap add dev phone mode tap && ip link set phone up";

    /// Whether one may be made here.
    pub(crate) fn is_allowed() -> bool {
        let lay = Command::new("unshare")
            .args(["--net", "sh", "-c", Self::LAY])
            .output();
        lay.is_ok_and(|output| output.status.success())
    }

    fn script(&self) -> Command {
        let lay = format!("{} && exec bash \"$@\"", Self::LAY);
        let mut command = Command::new("unshare");
        command.args(["--net", "sh", "-c", &lay, "sh"]);
        command.arg(concat!(env!("CARGO_MANIFEST_DIR"), "/make"));
        command.env("PHONE", "tap,id=phone,ifname=phone,script=no,downscript=no");
        command
    }
}

/// The emulated machine, which ends with this value as if its power were cut.
pub(crate) struct Machine {
    qemu: Child,
    orders: ChildStdin,
    pub(crate) console: Lines,
    pub(crate) portal: SocketAddr,
}

impl Machine {
    /// Starts it with the flash in a folder, and perhaps a configuration to put onto the device.
    pub(crate) fn start(folder: &Folder, config: Option<&Path>) -> Self {
        Self::start_with(folder, config, None)
    }

    /// The same, perhaps with a wire to the access point in the place of the forwarded port.
    pub(crate) fn start_with(folder: &Folder, config: Option<&Path>, wire: Option<Wire>) -> Self {
        let image = image();
        let portal = SocketAddr::from(([127, 0, 0, 1], sim::port::free()));
        let mut command = match wire {
            Some(wire) => wire.script(),
            None => script(),
        };
        command
            .args(["boot", image])
            .env("STATE", folder.path())
            .env("PORTAL", portal.to_string())
            .env_remove("AIR")
            .env_remove("CONFIG")
            .env_remove("PROVISION")
            .stdin(Stdio::piped())
            .stdout(Stdio::piped());
        if let Some(config) = config {
            command.env("CONFIG", config);
        }
        let mut qemu = command.spawn().expect("bash starts");
        let orders = qemu.stdin.take().expect("it is piped");
        let console = Lines::follow(qemu.stdout.take().expect("it is piped"));
        Self {
            qemu,
            orders,
            console,
            portal,
        }
    }

    /// The number of QEMU's process.
    pub(crate) fn process(&self) -> u32 {
        self.qemu.id()
    }

    /// Types a line at the console.
    pub(crate) fn order(&mut self, line: &str) {
        writeln!(self.orders, "{line}").expect("QEMU reads its console");
        self.orders.flush().expect("QEMU reads its console");
    }

    /// Waits until QEMU ends by itself.
    pub(crate) fn end(&mut self) -> ExitStatus {
        let until = Instant::now() + LONG;
        while Instant::now() < until {
            if let Some(status) = self.qemu.try_wait().expect("it is a child") {
                return status;
            }
            thread::sleep(Duration::from_millis(20));
        }
        panic!("QEMU does not end:\n{}", self.console.text());
    }

    /// Sends a request to the portal; the whole answer, or `None` when nobody answers.
    pub(crate) fn request(&self, head: &str, body: &str) -> Option<String> {
        let mut stream = TcpStream::connect(self.portal).ok()?;
        stream
            .set_read_timeout(Some(Duration::from_secs(10)))
            .ok()?;
        let (host, length) = (self.portal, body.len());
        let request = format!(
            "{head} HTTP/1.1\r\nHost: {host}\r\nAccept: application/json\r\nConnection: close\r\n\
             Content-Type: application/x-www-form-urlencoded\r\nContent-Length: {length}\r\n\r\n{body}"
        );
        stream.write_all(request.as_bytes()).ok()?;
        let mut answer = Vec::new();
        // What has come is judged, however the connection ends.
        let _ = stream.read_to_end(&mut answer);
        (!answer.is_empty()).then(|| String::from_utf8_lossy(&answer).into_owned())
    }

    /// Asks again until the answer holds `part`.
    #[track_caller]
    pub(crate) fn wait_for_answer(&self, head: &str, part: &str) -> String {
        let until = Instant::now() + LONG;
        loop {
            let answer = self.request(head, "").unwrap_or_default();
            if answer.contains(part) {
                return answer;
            }
            let console = self.console.text();
            assert!(
                Instant::now() < until,
                "{head} has no {part}: {answer}\n{console}"
            );
            thread::sleep(Duration::from_millis(300));
        }
    }
}

impl Drop for Machine {
    fn drop(&mut self) {
        // SIGKILL; it may have ended by itself.
        let _ = self.qemu.kill();
        let _ = self.qemu.wait();
    }
}
