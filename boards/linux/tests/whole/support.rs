//! Starts the board `bare` in a process of its own, and talks to it.

use std::io::{BufRead, BufReader, Read, Write};
use std::net::{SocketAddr, TcpStream};
use std::path::Path;
use std::process::{Child, ChildStdin, Command, ExitStatus, Stdio};
use std::sync::mpsc::{Receiver, channel};
use std::time::{Duration, Instant};

use serde_json::Value;
use tempfile::TempDir;

/// Nothing takes this long unless it hangs.
pub(crate) const LIMIT: Duration = Duration::from_secs(30);

/// A running board, killed at the end of the test.
pub(crate) struct Running {
    pub(crate) process: Child,
    pub(crate) input: Option<ChildStdin>,
    lines: Receiver<String>,
    pub(crate) panel: SocketAddr,
    pub(crate) portal: SocketAddr,
    pub(crate) broker: Option<SocketAddr>,
}

/// An address of this machine that is free.
pub(crate) fn free_address() -> SocketAddr {
    SocketAddr::from(([127, 0, 0, 1], sim::port::free()))
}

pub(crate) fn command(arguments: &[&str]) -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_bare"));
    command.args(arguments);
    command
}

/// What a board says that does not start: its exit status and the one line.
pub(crate) fn refused(arguments: &[&str]) -> (Option<i32>, String) {
    let output = command(arguments).stdin(Stdio::null()).output().unwrap();
    let line = String::from_utf8(output.stderr).unwrap();
    assert_eq!(line.lines().count(), 1, "{line}");
    (output.status.code(), line)
}

impl Running {
    /// Starts a board on free ports, with a state of its own.
    pub(crate) fn start(state: &TempDir) -> Self {
        Self::start_with(state.path(), &["--broker", "127.0.0.1:0"])
    }

    pub(crate) fn start_with(state: &Path, more: &[&str]) -> Self {
        let mut process = command(&[
            "--panel",
            "127.0.0.1:0",
            "--portal",
            "127.0.0.1:0",
            "--state",
        ])
        .arg(state)
        .args(more)
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .spawn()
        .unwrap();
        let output = BufReader::new(process.stdout.take().unwrap());
        let (send, lines) = channel();
        std::thread::spawn(move || {
            for line in output.lines().map_while(Result::ok) {
                if send.send(line).is_err() {
                    return;
                }
            }
        });
        let mut board = Self {
            input: process.stdin.take(),
            process,
            lines,
            panel: ([0, 0, 0, 0], 0).into(),
            portal: ([0, 0, 0, 0], 0).into(),
            broker: None,
        };
        board.panel = address(&board.line("board: panel")).unwrap();
        board.portal = address(&board.line("board: portal")).unwrap();
        board.broker = address(&board.line("board: broker"));
        board
    }

    /// The next line that contains `part`.
    pub(crate) fn line(&mut self, part: &str) -> String {
        let until = Instant::now() + LIMIT;
        loop {
            let left = until.saturating_duration_since(Instant::now());
            let line = self.lines.recv_timeout(left).unwrap_or_else(|error| {
                panic!("no line with {part:?}: {error}");
            });
            if line.contains(part) {
                return line;
            }
        }
    }

    pub(crate) fn get(&self, path: &str) -> Answer {
        request(
            self.panel,
            &format!("GET {path} HTTP/1.1\r\nHost: {}\r\n", self.panel),
            "",
        )
    }

    pub(crate) fn post(&self, path: &str, body: &str) -> Answer {
        let head = format!("POST {path} HTTP/1.1\r\nHost: {}\r\n", self.panel);
        request(self.panel, &head, body)
    }

    pub(crate) fn state(&self) -> Value {
        self.get("/api/state").json()
    }

    /// Waits until the value at `pointer` in the state is `wanted`.
    pub(crate) fn until(&self, pointer: &str, wanted: impl Into<Value>) {
        let wanted = wanted.into();
        eventually(|| self.state().pointer(pointer) == Some(&wanted), pointer);
    }

    pub(crate) fn signal(&self, name: &str) {
        let process = self.process.id().to_string();
        let status = Command::new("kill").args(["-s", name, &process]).status();
        assert!(status.unwrap().success());
    }

    pub(crate) fn ended(&mut self) -> ExitStatus {
        let mut status = None;
        eventually(
            || {
                status = self.process.try_wait().unwrap();
                status.is_some()
            },
            "the end of the board",
        );
        status.unwrap()
    }
}

impl Drop for Running {
    fn drop(&mut self) {
        let _ = self.process.kill();
        let _ = self.process.wait();
    }
}

pub(crate) fn eventually(mut done: impl FnMut() -> bool, what: &str) {
    let until = Instant::now() + LIMIT;
    while !done() {
        assert!(Instant::now() < until, "{what} did not come");
        std::thread::sleep(Duration::from_millis(5));
    }
}

fn address(line: &str) -> Option<SocketAddr> {
    let (_, rest) = line.split_once("://")?;
    rest.split(['/', ' ', ',']).next()?.parse().ok()
}

pub(crate) struct Answer {
    pub(crate) status: u16,
    pub(crate) head: String,
    pub(crate) body: String,
}

impl Answer {
    pub(crate) fn json(&self) -> Value {
        serde_json::from_str(&self.body).unwrap_or_else(|error| panic!("{error}: {}", self.body))
    }
}

pub(crate) fn request(server: SocketAddr, head: &str, body: &str) -> Answer {
    let mut stream = TcpStream::connect(server).unwrap();
    stream.set_read_timeout(Some(LIMIT)).unwrap();
    let length = body.len();
    let request = format!("{head}Connection: close\r\nContent-Length: {length}\r\n\r\n{body}");
    stream.write_all(request.as_bytes()).unwrap();
    let mut answer = Vec::new();
    // A refused body may end in a reset, after the answer.
    let _ = stream.read_to_end(&mut answer);
    let answer = String::from_utf8(answer).unwrap();
    let (head, body) = answer.split_once("\r\n\r\n").unwrap_or((&answer, ""));
    Answer {
        status: head[9..12].parse().unwrap(),
        head: head.to_ascii_lowercase(),
        body: body.to_owned(),
    }
}
