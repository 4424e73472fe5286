//! A portal to send requests to, and a reader of its answers that shares nothing with it.

use std::cell::RefCell;
use std::fmt::{self, Write as _};
use std::net::{IpAddr, Ipv4Addr, SocketAddr};

use bluebell::log::Log;
use bluebell::portal::{self, Backend, File, PortalMemory};
use bluebell::wifi::{JoinStep, Password, Sighting, Ssid, Submission, SubmissionState};
use embassy_futures::select::{Either, select};
use embassy_time::{Duration, with_timeout};
use sim::time::run_virtual;

use crate::wire::{Link, Pieces, Tcp};

/// The device behind the portal.
#[derive(Default)]
pub(crate) struct Device {
    pub(crate) networks: Vec<Sighting>,
    pub(crate) files: &'static [File],
    pub(crate) submission: RefCell<Submission>,
    /// What was asked for at the page.
    pub(crate) submitted: RefCell<Vec<(String, String)>>,
}

impl Backend for Device {
    fn name(&self) -> &str {
        "relay-1"
    }

    fn address(&self) -> SocketAddr {
        SocketAddr::new(IpAddr::V4(Ipv4Addr::new(192, 168, 4, 1)), 80)
    }

    fn networks(&self, visit: &mut dyn FnMut(&Sighting)) {
        self.networks.iter().for_each(visit);
    }

    fn rescan(&self) {}

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

    fn files(&self) -> &[File] {
        self.files
    }

    fn value(&self, name: &str, json: &mut dyn fmt::Write) -> Option<fmt::Result> {
        (name == "temperature").then(|| json.write_str("{\"celsius\":21}"))
    }
}

/// Serves these connections, one after the other, until the last has ended.
///
/// Panics when that takes more than a minute of the device's time for each: nobody may hold a seat for longer.
pub(crate) fn serve(device: &Device, links: &[Link]) {
    // The smallest that a portal can have: its limits are met the soonest.
    let mut memory = PortalMemory::<3, 1536>::new();
    let mut buffer = [0; 512];
    let log = Log::new(&mut buffer);
    let network = Tcp::new(links);
    let all = async {
        for link in links {
            let ended = link.bell.until(|| link.ended.get().then_some(()));
            let ended = with_timeout(Duration::from_secs(60), ended).await;
            ended.expect("a connection ends within a minute");
        }
    };
    let served = select(
        portal::serve(&network, device, None, &mut memory, &log),
        all,
    );
    match run_virtual(served) {
        Either::First(never) => match never {},
        Either::Second(()) => {}
    }
}

/// One answer.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Response {
    pub(crate) status: u16,
    pub(crate) content_type: String,
    pub(crate) location: String,
    pub(crate) body: Vec<u8>,
}

impl Response {
    /// The body as JSON.
    pub(crate) fn json(&self) -> serde_json::Value {
        assert_eq!(self.content_type, "application/json");
        serde_json::from_slice(&self.body).expect("JSON is JSON")
    }
}

/// Takes a connection's output apart into answers.
///
/// An answer to HEAD has the head of another one and no body; so each is tried with its body first, and without
/// where `heads` allows it. Panics when it is no series of answers.
pub(crate) fn responses(output: &[u8], heads: bool) -> Vec<Response> {
    let found = read(output, heads);
    found.unwrap_or_else(|| panic!("no series of answers: \"{}\"", output.escape_ascii()))
}

fn read(mut output: &[u8], heads: bool) -> Option<Vec<Response>> {
    let mut all = Vec::new();
    while !output.is_empty() {
        let (head, after) = Head::read(output)?;
        if head.response.status == 100 {
            output = after;
            continue;
        }
        let (body, rest) = match head.framing {
            Framing::Length(length) => after.split_at_checked(length).map(|(b, r)| (b.to_vec(), r)),
            Framing::Chunks => chunks(after),
            Framing::Close => Some((after.to_vec(), &after[after.len()..])),
        }
        .or_else(|| heads.then(|| (Vec::new(), after)))?;
        let others = heads.then(|| read(rest, heads));
        match others {
            // Each alternative is followed to the end, so that the whole of it makes sense.
            Some(Some(mut others)) => {
                all.push(head.with(body));
                all.append(&mut others);
                return Some(all);
            }
            Some(None) => {
                let mut others = read(after, heads)?;
                all.push(head.with(Vec::new()));
                all.append(&mut others);
                return Some(all);
            }
            None => {
                all.push(head.with(body));
                output = rest;
            }
        }
    }
    Some(all)
}

enum Framing {
    Length(usize),
    Chunks,
    Close,
}

struct Head {
    response: Response,
    framing: Framing,
}

impl Head {
    fn read(output: &[u8]) -> Option<(Self, &[u8])> {
        let mut headers = [httparse::EMPTY_HEADER; 16];
        let mut response = httparse::Response::new(&mut headers);
        let Ok(httparse::Status::Complete(length)) = response.parse(output) else {
            return None;
        };
        let header = |name: &str| {
            let mut all = response.headers.iter().filter(|header| header.name == name);
            let first = all
                .next()
                .map(|header| String::from_utf8_lossy(header.value).into_owned());
            assert!(all.next().is_none(), "{name} stands once");
            first
        };
        let status = response.code?;
        let framing = match (
            header("Content-Length"),
            header("Transfer-Encoding").as_deref(),
        ) {
            (Some(length), None) => Framing::Length(length.parse().ok()?),
            (None, Some("chunked")) => Framing::Chunks,
            (None, None) if matches!(status, 100 | 204 | 304) => Framing::Length(0),
            (None, None) => Framing::Close,
            _ => return None,
        };
        assert_eq!(response.version, Some(1));
        let response = Response {
            status,
            content_type: header("Content-Type").unwrap_or_default(),
            location: header("Location").unwrap_or_default(),
            body: Vec::new(),
        };
        Some((Self { response, framing }, &output[length..]))
    }

    fn with(self, body: Vec<u8>) -> Response {
        Response {
            body,
            ..self.response
        }
    }
}

/// Undoes the chunks of a body (RFC 9112, 7.1).
fn chunks(mut rest: &[u8]) -> Option<(Vec<u8>, &[u8])> {
    let mut body = Vec::new();
    loop {
        let line = rest.windows(2).position(|two| two == b"\r\n")?;
        let size = std::str::from_utf8(&rest[..line]).ok()?;
        let size = usize::from_str_radix(size, 16).ok()?;
        let (chunk, after) = rest[line + 2..].split_at_checked(size)?;
        body.extend_from_slice(chunk);
        rest = after.strip_prefix(b"\r\n")?;
        if size == 0 {
            return Some((body, rest));
        }
    }
}

/// One request of a page by its own script, and its answer.
pub(crate) fn ask(device: &Device, request: &[u8]) -> Vec<Response> {
    let link = Link::new(request, Pieces::whole());
    serve(device, std::slice::from_ref(&link));
    let output = link.output.take();
    responses(&output, false)
}

/// The head of a request to the device itself.
pub(crate) fn head(line: &str, more: &str) -> String {
    let mut head = String::new();
    write!(head, "{line} HTTP/1.1\r\nHost: 192.168.4.1\r\n{more}\r\n").expect("a string grows");
    head
}
