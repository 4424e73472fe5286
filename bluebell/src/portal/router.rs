//! What a request gets: a pure decision over its head.
//!
//! Guarantees: names are looked up in tables and reach nothing else; a request for another host or
//! from another origin changes nothing on the device.

use heapless::String;

use super::captive::{self, Probe};
use super::file::{File, content_type};
use super::form::{DecodeError, Plus, decode};
use super::request::{Authority, Content, Head, Language, Length, Method, Refusal};
use crate::uploads::Upload;

/// The longest body that is read; longer ones get 413.
pub(super) const BODY: usize = 1024;

/// The longest path that leads anywhere.
const PATH: usize = 128;

/// What the decision depends on beside the request.
pub(super) struct Site<'s> {
    pub(super) name: &'s str,
    pub(super) files: &'s [File],
    /// Finds a file that was put on the device.
    pub(super) upload: &'s dyn Fn(&str) -> Option<Upload>,
}

/// Where a request leads.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Route {
    /// The portal's own page.
    Page,
    /// The page for browsers without scripts.
    Plain,
    Networks,
    Status,
    /// The captive portal's API (RFC 8908).
    Captive,
    Rescan,
    Connect,
    /// The application's file with this index.
    File(usize),
    /// A file that was put on the device, and its type.
    Upload(Upload, &'static str),
    /// The application's value of this name.
    Value(String<32>),
    /// To the portal, from another host name.
    Elsewhere,
    /// To the portal, or to what satisfies a system that asks whether it is online.
    Probe(&'static Probe),
    /// To an error.
    Refused(Refusal),
    /// To 405, with what is allowed.
    NotAllowed(&'static str),
}

/// A request, reduced to what its answer needs: the head's bytes may go.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Plan {
    pub(super) route: Route,
    /// Whether only the head of the answer is asked for.
    pub(super) head_only: bool,
    /// Whether the request is for the device itself.
    pub(super) own_host: bool,
    pub(super) version_1_1: bool,
    pub(super) keep_alive: bool,
    pub(super) json: bool,
    pub(super) gzip: bool,
    pub(super) language: Language,
    /// How many bytes of body are to be read first, at most [`BODY`].
    pub(super) body: usize,
    /// Where the portal's page is.
    pub(super) page: &'static str,
    pub(super) expects_continue: bool,
    /// Whether the client has the current contents already.
    pub(super) unchanged: bool,
}

impl Plan {
    /// The plan for bytes that are no request.
    pub(super) const fn refused(refusal: Refusal) -> Self {
        Self {
            route: Route::Refused(refusal),
            head_only: false,
            own_host: false,
            version_1_1: true,
            keep_alive: false,
            json: false,
            gzip: false,
            language: Language::English,
            body: 0,
            page: SETUP,
            expects_continue: false,
            unchanged: false,
        }
    }
}

const READ: &str = "GET, HEAD";
const WRITE: &str = "POST";

const HOME: &str = "/";
const SETUP: &str = "/setup";

/// What is at the paths that are the portal's own, whatever files there are, and what it takes.
fn own(path: &str) -> Option<(Route, &'static str)> {
    Some(match path {
        "setup" => (Route::Page, READ),
        "plain" => (Route::Plain, READ),
        "networks.json" => (Route::Networks, READ),
        "status.json" => (Route::Status, READ),
        API => (Route::Captive, READ),
        "rescan" => (Route::Rescan, WRITE),
        "connect" => (Route::Connect, WRITE),
        _ => return None,
    })
}

/// The path of the captive portal's API, which DHCP tells.
pub(super) const API: &str = "captive.json";

/// The folder of the application's values.
const VALUES: &str = "app/";

/// Whether no file is served at this path.
pub(crate) fn is_own_path(path: &str) -> bool {
    path.starts_with(VALUES) || own(path).is_some()
}

impl Site<'_> {
    /// The file at `path`, or the `index.html` of the folder at `path/`; one that was put on the device
    /// goes before a packed one.
    fn file(&self, path: &str) -> Option<Route> {
        let is_folder = path.is_empty() || path.ends_with('/');
        if let Some(upload) = (self.upload)(path) {
            let kind = content_type(if is_folder { INDEX } else { path });
            return Some(Route::Upload(upload, kind));
        }
        let is_meant = |file: &File| {
            file.path == path || (is_folder && file.path.strip_prefix(path) == Some(INDEX))
        };
        self.files.iter().position(is_meant).map(Route::File)
    }
}

/// What is served at a folder's path.
const INDEX: &str = "index.html";

/// Decides what a request gets.
pub(super) fn route(head: &Head<'_>, site: &Site<'_>, page: &File) -> Plan {
    let own_host = head.authority.is_none_or(|host| is_own(&host, site.name));
    let mut plan = Plan {
        route: Route::Elsewhere,
        head_only: head.method == Method::Head,
        own_host,
        version_1_1: head.version_1_1,
        keep_alive: head.keep_alive,
        json: head.accepts_json,
        gzip: head.accepts_gzip,
        language: head.language,
        body: 0,
        page: match site.file("") {
            None => HOME,
            Some(_) => SETUP,
        },
        expects_continue: head.expects_continue,
        unchanged: false,
    };
    plan.route = decide(head, site, own_host);
    let unsized_body = matches!(plan.route, Route::Networks | Route::Plain | Route::Value(_));
    if unsized_body && !plan.version_1_1 {
        // Without chunks, such a body ends with the connection.
        plan.keep_alive = false;
    }
    let length = match head.length {
        Length::Absent => Some(0),
        Length::Known(length) => usize::try_from(length)
            .ok()
            .filter(|length| *length <= BODY),
        Length::Chunked => None,
    };
    match (length, head.length) {
        (Some(length), _) => plan.body = length,
        // What cannot be read cannot be skipped either, so the connection ends with the answer.
        (None, Length::Chunked) => {
            plan.keep_alive = false;
            plan.refuse(411, "send the body with a Content-Length");
        }
        (None, _) => {
            plan.keep_alive = false;
            plan.refuse(413, "the body is too long");
        }
    }
    if let Some(known) = head.if_none_match {
        let file = match plan.route {
            Route::Page => Some(page),
            Route::File(index) => site.files.get(index),
            _ => None,
        };
        let tag;
        let current = match (&plan.route, file) {
            (Route::Upload(upload, _), _) => {
                tag = upload.etag();
                Some((&tag[..], false))
            }
            (_, file) => file.map(|file| (file.etag.as_bytes(), file.is_gzip(plan.gzip))),
        };
        plan.unchanged = current.is_some_and(|(tag, gzip)| matches(known, tag, gzip));
    }
    plan
}

impl Plan {
    /// Refuses what would have been done; what is refused already keeps its reason.
    fn refuse(&mut self, status: u16, reason: &'static str) {
        if !matches!(self.route, Route::Refused(_) | Route::NotAllowed(_)) {
            self.route = Route::Refused(Refusal::new(status, reason));
        }
    }
}

fn decide(head: &Head<'_>, site: &Site<'_>, own_host: bool) -> Route {
    let refused = |status, reason| Route::Refused(Refusal::new(status, reason));
    let reads = matches!(head.method, Method::Get | Method::Head);
    if !own_host {
        return match reads {
            true => head
                .authority
                .and_then(|authority| captive::find(authority.host, head.path))
                .map_or(Route::Elsewhere, Route::Probe),
            false => refused(403, "this host is not the device: use its address"),
        };
    }
    if !reads
        && head
            .origin
            .is_some_and(|origin| !is_same_origin(origin, head))
    {
        return refused(
            403,
            "the request comes from another site: use the device's own page",
        );
    }
    let mut room = [0; PATH];
    let path = match decode(head.path.as_bytes(), Plus::Plus, &mut room) {
        Ok(path) => path,
        Err(DecodeError::TooLong) => return refused(404, "there is no such page"),
        Err(_) => return refused(400, "the address is malformed"),
    };
    let path = path.strip_prefix('/').unwrap_or(path);
    let (route, allowed) = match (own(path), path.strip_prefix(VALUES).map(String::try_from)) {
        (Some(own), _) => own,
        (None, Some(Ok(name))) => (Route::Value(name), READ),
        (None, Some(Err(_))) => return refused(404, "there is no such page"),
        (None, None) => match site.file(path) {
            Some(route) => (route, READ),
            None if path.is_empty() => (Route::Page, READ),
            None => return refused(404, "there is no such page"),
        },
    };
    if reads != (allowed == READ) || head.method == Method::Other {
        return Route::NotAllowed(allowed);
    }
    if route == Route::Connect {
        if head.length == Length::Absent {
            return refused(411, "send the form with a Content-Length");
        }
        if head.content == Content::Other {
            return refused(400, "send the form as application/x-www-form-urlencoded");
        }
    }
    route
}

/// Whether the host is the device: any address, `localhost`, or its name, with any port.
fn is_own(host: &Authority<'_>, name: &str) -> bool {
    const LOCAL: &str = ".local";
    let text = host.host;
    let bare = match text
        .len()
        .checked_sub(LOCAL.len())
        .and_then(|at| text.split_at_checked(at))
    {
        Some((bare, ending)) if ending.eq_ignore_ascii_case(LOCAL) => bare,
        _ => text,
    };
    host.is_address || text.eq_ignore_ascii_case("localhost") || bare.eq_ignore_ascii_case(name)
}

/// Whether a browser's `Origin` is where the request went (RFC 6454, 7); `null` never is.
fn is_same_origin(origin: &[u8], head: &Head<'_>) -> bool {
    const SCHEME: &str = "http://";
    core::str::from_utf8(origin)
        .ok()
        .and_then(|origin| origin.split_at_checked(SCHEME.len()))
        .filter(|(scheme, _)| scheme.eq_ignore_ascii_case(SCHEME))
        .and_then(|(_, authority)| Authority::parse(authority))
        .zip(head.authority)
        .is_some_and(|(origin, host)| origin.is_same(&host))
}

/// Whether `If-None-Match` names the file as it would be served (RFC 9110, 13.1.2).
fn matches(known: &[u8], etag: &[u8], gzip: bool) -> bool {
    known
        .split(|byte| *byte == b',')
        .map(<[u8]>::trim_ascii)
        .any(|tag| {
            let tag = tag.strip_prefix(b"W/").unwrap_or(tag);
            let inner = tag
                .strip_prefix(b"\"")
                .and_then(|tag| tag.strip_suffix(b"\""));
            let served = |inner: &[u8]| match gzip {
                true => inner.strip_suffix(b"-gzip") == Some(etag),
                false => inner == etag,
            };
            tag == b"*" || inner.is_some_and(served)
        })
}

#[cfg(test)]
#[path = "router_tests.rs"]
mod tests;
