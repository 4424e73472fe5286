//! The answer to a request: its head, and its body or where that comes from.
//!
//! Guarantees: nothing that can change is cached; an error is JSON for who asked for JSON and plain
//! text for everybody else; whatever the answer, the client knows where it ends.

use core::fmt::{self, Display, Write};
use core::net::IpAddr;

use embassy_time::Instant;

use super::Backend;
use super::captive::Probe;
use super::file::File;
use super::form::{ConnectForm, FormError, connect_form};
use super::inflate;
use super::limit::SubmissionLimit;
use super::pages::{self, PAGE, PAGE_POLICY, Pieces};
use super::plain;
use super::router::{Plan, Route};
use super::text::Json;
use crate::sink::Count;
use crate::uploads::Upload;
use crate::wifi::SubmissionState;

/// What a request has done, where it was one that does something.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Outcome {
    /// Nothing, or what its route says.
    Routed,
    /// A network is being joined; `true` when the plain page asked for it.
    Submitted(bool),
    /// The form was not taken.
    BadForm(FormError),
    /// Too many submissions: come back after so many seconds.
    TooOften(u64),
}

/// Does what the request asks for.
pub(super) fn act(
    plan: &Plan,
    body: &[u8],
    backend: &dyn Backend,
    limit: &mut SubmissionLimit,
    now: Instant,
) -> Outcome {
    match plan.route {
        Route::Rescan => backend.rescan(),
        Route::Connect => match connect_form(body) {
            Err(error) => return Outcome::BadForm(error),
            Ok(ConnectForm {
                ssid,
                password,
                from_plain,
            }) => match limit.pass(now) {
                Err(seconds) => return Outcome::TooOften(seconds),
                Ok(()) => {
                    backend.submit(ssid, password);
                    return Outcome::Submitted(from_plain);
                }
            },
        },
        _ => {}
    }
    Outcome::Routed
}

/// What is to be sent after the buffer.
pub(super) enum Rest {
    /// Nothing.
    Done,
    /// These bytes.
    Bytes(&'static [u8]),
    /// What this gzip file holds.
    Packed(&'static [u8]),
    /// The pieces of this file.
    Upload(Upload),
    /// A body of unknown length.
    Pieces(Pieces),
}

impl Rest {
    /// Nothing, after a head that says so.
    fn unless_unchanged(self, status: u16) -> Self {
        if status == 304 { Self::Done } else { self }
    }
}

/// An answer whose beginning is in the buffer.
pub(super) struct Answer {
    pub(super) status: u16,
    pub(super) rest: Rest,
    /// Whether it tells the page that the device is online.
    pub(super) shows_online: bool,
}

/// Writes the head of the answer into `out`, and the body where it is short.
pub(super) fn begin(
    plan: &Plan,
    outcome: &Outcome,
    backend: &dyn Backend,
    out: &mut dyn Write,
) -> Result<Answer, fmt::Error> {
    let mut answer = Answer {
        status: 200,
        rest: Rest::Done,
        shows_online: false,
    };
    let mut writer = Writer { plan, out };
    match (&plan.route, outcome) {
        (_, Outcome::BadForm(error)) => answer.status = writer.error(400, error, &"")?,
        (_, Outcome::TooOften(seconds)) => {
            let reason = &"too many networks in a short time: wait a little";
            let header = format_args!("Retry-After: {seconds}\r\n");
            answer.status = writer.error(429, reason, &header)?;
        }
        (Route::Refused(refusal), _) => {
            answer.status = writer.error(refusal.status, &refusal.reason, &"")?;
        }
        (Route::NotAllowed(allowed), _) => {
            let reason = format_args!("this address takes {allowed} only");
            let header = format_args!("Allow: {allowed}\r\n");
            answer.status = writer.error(405, &reason, &header)?;
        }
        (Route::Probe(probe), _) if is_online(backend) => {
            answer.status = writer.satisfied(probe)?;
        }
        (Route::Elsewhere | Route::Probe(_), _) => {
            answer.status = writer.redirect(302, &Home(backend))?;
        }
        (Route::Captive, _) => {
            let captive = !is_online(backend);
            let body = |out: &mut dyn Write| {
                let home = Home(backend);
                write!(
                    out,
                    "{{\"captive\":{captive},\"user-portal-url\":\"{home}\"}}"
                )
            };
            writer.short(200, CAPTIVE_JSON, &NO_STORE, &body)?;
        }
        (Route::Connect, outcome) if !plan.json => {
            let page = match outcome {
                Outcome::Submitted(true) => "/plain",
                _ => plan.page,
            };
            answer.status = writer.redirect(303, &page)?;
        }
        (Route::Connect | Route::Status, _) => {
            let submission = backend.submission();
            answer.shows_online = matches!(submission.state, SubmissionState::Online(_));
            answer.status = if plan.route == Route::Status {
                200
            } else {
                202
            };
            let body = |out: &mut dyn Write| pages::status_json(&submission, out);
            // The object's fields are a contract; how far a join has come stands beside it.
            match submission.state {
                SubmissionState::Joining(step) => {
                    let headers = format_args!("{NO_STORE}Join-Step: {}\r\n", step.as_str());
                    writer.short(answer.status, JSON, &headers, &body)?;
                }
                _ => writer.short(answer.status, JSON, &NO_STORE, &body)?,
            }
        }
        (Route::Rescan, _) => {
            answer.status = 202;
            match plan.json {
                true => writer.short(202, JSON, &NO_STORE, &|out| out.write_str("{}"))?,
                false => writer.short(202, HTML, &NO_STORE, &|out| {
                    plain::rescan(plan.language, out)
                })?,
            }
        }
        (Route::Networks, _) => {
            writer.pieces(JSON, &NO_STORE)?;
            answer.rest = Rest::Pieces(Pieces::Networks);
        }
        (Route::Plain, _) => {
            let submission = backend.submission();
            answer.shows_online = matches!(submission.state, SubmissionState::Online(_));
            let policy = format_args!("{NO_STORE}Content-Security-Policy: {}\r\n", plain::POLICY);
            writer.pieces(HTML, &policy)?;
            answer.rest = Rest::Pieces(Pieces::Plain(submission, plan.language));
        }
        (Route::Value(name), _) => match backend.value(name, &mut Count::default()) {
            None => answer.status = writer.error(404, &"there is no such value", &"")?,
            Some(_) => {
                writer.pieces(JSON, &NO_STORE)?;
                answer.rest = Rest::Pieces(Pieces::Value(name.clone()));
            }
        },
        (Route::Page, _) => {
            let policy = format_args!("Content-Security-Policy: {PAGE_POLICY}\r\n");
            (answer.status, answer.rest) = writer.file(&PAGE, &policy)?;
        }
        (Route::File(index), _) => match backend.files().get(*index) {
            None => answer.status = writer.error(404, &"there is no such page", &"")?,
            Some(file) => (answer.status, answer.rest) = writer.file(file, &"")?,
        },
        (Route::Upload(upload, kind), _) => {
            (answer.status, answer.rest) = writer.upload(upload, kind)?;
        }
    }
    if plan.head_only {
        answer.rest = Rest::Done;
        answer.shows_online = false;
    }
    Ok(answer)
}

/// Whether what was submitted last has been joined.
fn is_online(backend: &dyn Backend) -> bool {
    matches!(backend.submission().state, SubmissionState::Online(_))
}

/// The portal's address, for a browser.
struct Home<'b>(&'b dyn Backend);

impl Display for Home<'_> {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        let address = self.0.address();
        // An access point has an IPv4 address; writing the others would cost 2 KB of flash.
        match (address.ip(), address.port()) {
            (IpAddr::V4(ip), 80) => write!(formatter, "http://{ip}/"),
            (IpAddr::V4(ip), port) => write!(formatter, "http://{ip}:{port}/"),
            (IpAddr::V6(_), port) => write!(formatter, "http://{}.local:{port}/", self.0.name()),
        }
    }
}

const JSON: &str = "application/json";
const CAPTIVE_JSON: &str = "application/captive+json";
const HTML: &str = "text/html; charset=utf-8";
const TEXT: &str = "text/plain; charset=utf-8";
const NO_STORE: &str = "Cache-Control: no-store\r\n";

struct Writer<'w> {
    plan: &'w Plan,
    out: &'w mut dyn Write,
}

impl Writer<'_> {
    /// The status line and what every answer has.
    fn head(&mut self, status: u16, headers: &dyn Display) -> fmt::Result {
        let words = match status {
            200 => "OK",
            202 => "Accepted",
            204 => "No Content",
            302 => "Found",
            303 => "See Other",
            304 => "Not Modified",
            400 => "Bad Request",
            403 => "Forbidden",
            404 => "Not Found",
            405 => "Method Not Allowed",
            408 => "Request Timeout",
            411 => "Length Required",
            413 => "Content Too Large",
            414 => "URI Too Long",
            429 => "Too Many Requests",
            431 => "Request Header Fields Too Large",
            _ => "",
        };
        let connection = match (self.plan.keep_alive, self.plan.version_1_1) {
            (true, true) => "",
            (true, false) => "Connection: keep-alive\r\n",
            (false, _) => "Connection: close\r\n",
        };
        write!(
            self.out,
            "HTTP/1.1 {status} {words}\r\nX-Content-Type-Options: nosniff\r\n{connection}{headers}"
        )
    }

    fn sized(&mut self, status: u16, kind: &str, length: usize, more: &dyn Display) -> fmt::Result {
        let headers =
            format_args!("Content-Type: {kind}\r\nContent-Length: {length}\r\n{more}\r\n");
        self.head(status, &headers)
    }

    /// A body that is short enough to be written twice: once to be counted.
    fn short(
        &mut self,
        status: u16,
        kind: &str,
        more: &dyn Display,
        body: &dyn Fn(&mut dyn Write) -> fmt::Result,
    ) -> fmt::Result {
        let mut count = Count::default();
        body(&mut count)?;
        self.sized(status, kind, count.0, more)?;
        match self.plan.head_only {
            true => Ok(()),
            false => body(self.out),
        }
    }

    fn pieces(&mut self, kind: &str, more: &dyn Display) -> fmt::Result {
        let framing = match self.plan.version_1_1 {
            true => "Transfer-Encoding: chunked\r\n",
            false => "",
        };
        self.head(
            200,
            &format_args!("Content-Type: {kind}\r\n{framing}{more}\r\n"),
        )
    }

    fn error(
        &mut self,
        status: u16,
        reason: &dyn Display,
        more: &dyn Display,
    ) -> Result<u16, fmt::Error> {
        let headers = format_args!("{NO_STORE}{more}");
        match self.plan.json {
            true => self.short(status, JSON, &headers, &|out| {
                write!(out, "{{\"error\":{}}}", Json(reason))
            })?,
            false => self.short(status, TEXT, &headers, &|out| writeln!(out, "{reason}"))?,
        }
        Ok(status)
    }

    /// What a system wants to hear that asks whether it is online. NetworkManager takes the header for
    /// an answer, the others pass over it.
    fn satisfied(&mut self, probe: &Probe) -> Result<u16, fmt::Error> {
        let headers = format_args!("{NO_STORE}X-NetworkManager-Status: online\r\n");
        match probe.body {
            None => {
                self.head(204, &format_args!("{headers}\r\n"))?;
                Ok(204)
            }
            Some(body) => {
                let kind = if body.starts_with('<') { HTML } else { TEXT };
                self.short(200, kind, &headers, &|out| out.write_str(body))?;
                Ok(200)
            }
        }
    }

    fn redirect(&mut self, status: u16, to: &dyn Display) -> Result<u16, fmt::Error> {
        let headers = format_args!("{NO_STORE}Location: {to}\r\n");
        self.short(status, TEXT, &headers, &|out| writeln!(out, "go to {to}"))?;
        Ok(status)
    }

    fn file(&mut self, file: &File, more: &dyn Display) -> Result<(u16, Rest), fmt::Error> {
        let gzip = file.gzip.filter(|_| self.plan.gzip);
        let suffix = if gzip.is_some() { "-gzip" } else { "" };
        let vary = if file.gzip.is_some() {
            "Vary: Accept-Encoding\r\n"
        } else {
            ""
        };
        let encoding = if gzip.is_some() {
            "Content-Encoding: gzip\r\n"
        } else {
            ""
        };
        let (length, rest) = match (gzip, file.gzip) {
            (None, Some(packed)) if file.bytes.is_empty() => {
                (inflate::length(packed), Rest::Packed(packed))
            }
            _ => {
                let bytes = gzip.unwrap_or(file.bytes);
                (bytes.len(), Rest::Bytes(bytes))
            }
        };
        let status = self.contents(
            format_args!("{}{suffix}", file.etag),
            file.content_type,
            length,
            format_args!("{vary}{more}"),
            encoding,
        )?;
        Ok((status, rest.unless_unchanged(status)))
    }

    fn upload(&mut self, upload: &Upload, kind: &str) -> Result<(u16, Rest), fmt::Error> {
        let tag = upload.etag();
        let tag = core::str::from_utf8(&tag).unwrap_or_default();
        let status = self.contents(
            format_args!("{tag}"),
            kind,
            upload.length(),
            format_args!(""),
            "",
        )?;
        Ok((status, Rest::Upload(*upload).unless_unchanged(status)))
    }

    /// The head for contents that a client may have already.
    fn contents(
        &mut self,
        tag: fmt::Arguments<'_>,
        kind: &str,
        length: usize,
        more: fmt::Arguments<'_>,
        encoding: &str,
    ) -> Result<u16, fmt::Error> {
        let known = format_args!("Cache-Control: no-cache\r\nETag: \"{tag}\"\r\n{more}");
        if self.plan.unchanged {
            self.head(304, &format_args!("{known}\r\n"))?;
            return Ok(304);
        }
        self.sized(200, kind, length, &format_args!("{known}{encoding}"))?;
        Ok(200)
    }
}
