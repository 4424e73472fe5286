//! The built relay, set up and looked into over its standard input and output.
#![cfg(target_os = "linux")]

use std::io::{BufRead, BufReader, Read, Write};
use std::net::TcpStream;
use std::process::{Child, ChildStdin, Command, Stdio};
use std::sync::mpsc::{Receiver, channel};
use std::time::{Duration, Instant};

/// Nothing takes this long unless it hangs.
const LIMIT: Duration = Duration::from_secs(60);

struct Relay {
    process: Child,
    keyboard: ChildStdin,
    lines: Receiver<String>,
}

impl Relay {
    fn start(state: &std::path::Path) -> Self {
        let mut process = Command::new(env!("CARGO_BIN_EXE_relay"))
            .args([
                "--panel",
                "off",
                "--portal",
                "127.0.0.1:0",
                "--broker",
                "off",
                "--state",
            ])
            .arg(state)
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .spawn()
            .expect("the relay starts");
        let output = BufReader::new(process.stdout.take().expect("piped"));
        let (send, lines) = channel();
        std::thread::spawn(move || {
            for line in output.lines().map_while(Result::ok) {
                if send.send(line).is_err() {
                    return;
                }
            }
        });
        Self {
            keyboard: process.stdin.take().expect("piped"),
            process,
            lines,
        }
    }

    fn line(&self, part: &str) -> String {
        loop {
            let line = self.lines.recv_timeout(LIMIT).expect(part);
            if line.contains(part) {
                return line;
            }
        }
    }

    /// Types a command and reads its answer, from the line with its name to the last one.
    fn ask(&mut self, typed: &str) -> Vec<String> {
        writeln!(self.keyboard, "{typed}").expect("the relay reads");
        let mut answer = vec![self.line("> ")];
        loop {
            let line = self.lines.recv_timeout(LIMIT).expect(typed);
            let last = line == "ok" || line.starts_with("error: ");
            answer.push(line);
            if last {
                return answer;
            }
        }
    }
}

/// A connection to the portal, once the access point is open.
fn listening(address: &str) -> TcpStream {
    let begin = Instant::now();
    loop {
        match TcpStream::connect(address) {
            Ok(stream) => return stream,
            Err(error) => assert!(begin.elapsed() < LIMIT, "the portal listens: {error}"),
        }
        std::thread::sleep(Duration::from_millis(20));
    }
}

/// What the portal at `address` answers a plain request.
fn get(address: &str, path: &str) -> Vec<u8> {
    let mut stream = listening(address);
    write!(stream, "GET {path} HTTP/1.0\r\n\r\n").expect("the portal reads");
    let mut answer = Vec::new();
    stream.read_to_end(&mut answer).expect("the portal answers");
    answer
}

impl Drop for Relay {
    fn drop(&mut self) {
        let _ = self.process.kill();
        let _ = self.process.wait();
    }
}

#[test]
fn a_relay_is_set_up_configured_restarted_and_reset_by_its_console() {
    let state = tempfile::tempdir().expect("a folder");
    let mut relay = Relay::start(state.path());
    // Typed before the device has booted: it waits.
    let status = relay.ask("status");
    assert!(status.contains(&"app: relay".to_owned()), "{status:?}");
    let source = relay.ask("source").join("\n") + "\n";
    let expected = format!("> source\n{}ok\n", include_str!("../src/main.rs"));
    assert_eq!(source, expected);

    let answer = relay.ask("join Bluebell-Lab \"wrong horse\"");
    assert_eq!(
        answer.last().map(String::as_str),
        Some("error: the password was not accepted: check it")
    );
    let answer = relay.ask("join Bluebell-Lab \"correct horse\"");
    assert_eq!(answer.last().map(String::as_str), Some("ok"), "{answer:?}");

    let answer = relay.ask("put config\n[device]\nname = \"my relay\"\n.");
    let refused = answer.last().expect("a line");
    assert!(
        refused.starts_with("error: line 2: device.name has"),
        "{refused}"
    );
    let answer = relay.ask("put config\n[device]\nname = \"desk\"\n.");
    assert_eq!(answer.last().map(String::as_str), Some("ok"), "{answer:?}");
    relay.ask("restart");
    relay.line("wifi: joined Bluebell-Lab");
    let status = relay.ask("status");
    assert!(status.contains(&"name: desk".to_owned()), "{status:?}");

    relay.ask("factory reset yes");
    relay.line("factory reset: everything is forgotten");
    let networks = relay.ask("networks");
    assert!(!networks.iter().any(|line| line.starts_with("stored")));
}

#[test]
fn a_page_is_put_on_the_running_relay_and_is_there_after_kill_9() {
    let state = tempfile::tempdir().expect("a folder");
    let portal = |relay: &Relay| {
        let line = relay.line("open http://");
        let (_, address) = line.split_once("http://").expect("an address");
        address.trim_end_matches('/').to_owned()
    };
    let page = "<h1>Relay</h1>\n<p>3 × 7</p>\n";
    // As `base64 -w 1024` writes them: 1,000 bytes of 0xff.
    let binary = format!("{}\n{}=", "/".repeat(1024), "/".repeat(309) + "w=");
    let put = |name: &str, lines: &str| format!("put www/{name}\n{lines}.");
    let mut relay = Relay::start(state.path());
    let address = portal(&relay);
    let answer = relay.ask(&put("index.html", page));
    assert_eq!(answer[2..], [format!("{} bytes", page.len()), "ok".into()]);
    let answer = relay.ask(&put("a.bin base64 1000", &format!("{binary}\n")));
    assert_eq!(answer[2..], ["768 bytes", "1000 bytes", "ok"]);
    let answer = relay.ask(&put("a.bin base64 1001", &format!("{binary}\n")));
    assert_eq!(
        answer.last().map(String::as_str),
        Some("error: 1000 bytes came, not 1001: send it again, more slowly")
    );
    let is_served = |address: &str| {
        let answer = String::from_utf8(get(address, "/")).expect("text");
        assert!(answer.starts_with("HTTP/1.1 200 OK\r\n"), "{answer}");
        assert!(answer.ends_with(&format!("\r\n\r\n{page}")), "{answer}");
        assert!(get(address, "/a.bin").ends_with(&[0xff; 1000]));
        assert!(get(address, "/setup").len() > 5_000);
    };
    is_served(&address);
    // Dropped is killed, in the middle of one more.
    writeln!(relay.keyboard, "put www/a.bin base64\n{binary}").expect("the relay reads");
    relay.line("768 bytes");
    drop(relay);
    let mut relay = Relay::start(state.path());
    let address = portal(&relay);
    is_served(&address);
    let files = relay.ask("files");
    assert_eq!(
        files[1..],
        ["put index.html 29 bytes", "put a.bin 1000 bytes", "ok"]
    );
    assert_eq!(relay.ask("remove www/a.bin")[1..], ["ok"]);
    assert!(get(&address, "/a.bin").starts_with(b"HTTP/1.1 404 "));
}
