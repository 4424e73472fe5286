//! The head of an HTTP request (RFC 9112), read in bounded memory.
//!
//! Guarantees: what a client gets does not depend on how its bytes were split; the body's length is
//! known or the request is refused, so that what follows is never taken for a request; no header is
//! guessed at when it stands there twice.

use core::net::{Ipv4Addr, Ipv6Addr};

use httparse::{EMPTY_HEADER, Status};

/// The most headers a request may have.
const HEADERS: usize = 40;

/// A request that is answered with an error, and the reason for a person.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Refusal {
    pub(super) status: u16,
    pub(super) reason: &'static str,
}

impl Refusal {
    pub(super) const fn new(status: u16, reason: &'static str) -> Self {
        Self { status, reason }
    }

    const fn bad(reason: &'static str) -> Self {
        Self::new(400, reason)
    }
}

/// What the bytes that have come in so far are.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Scanned<'b> {
    /// The beginning of a head.
    Partial,
    /// A head, and how many bytes it takes.
    Complete(Head<'b>, usize),
    /// No head, and never one whatever follows: the connection ends with this answer.
    Refused(Refusal),
}

/// What is asked for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Method {
    Get,
    Head,
    Post,
    Other,
}

/// How long the body is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Length {
    /// The head does not say, so there is no body.
    Absent,
    /// So many bytes.
    Known(u64),
    /// In chunks, which the portal does not read.
    Chunked,
}

/// What the body is said to be.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Content {
    Unsaid,
    Form,
    Other,
}

/// The languages of the page for browsers without scripts.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Language {
    English,
    Bokmal,
}

impl Language {
    /// The first language of an `Accept-Language` that the page speaks. The order is taken as the
    /// browser's preference, as every browser sends it.
    fn preferred(value: &[u8]) -> Option<Self> {
        list(value).find_map(|(tag, _)| {
            let primary = tag.split(|byte| *byte == b'-').next().unwrap_or_default();
            let is = |known: &[u8]| primary.eq_ignore_ascii_case(known);
            if is(b"nb") || is(b"no") || is(b"nn") {
                Some(Self::Bokmal)
            } else {
                is(b"en").then_some(Self::English)
            }
        })
    }
}

/// What the portal wants to know of a request.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Head<'b> {
    pub(super) method: Method,
    /// The path as it was sent, from its slash, without the query.
    pub(super) path: &'b str,
    /// Whom the request is for; `None` only in HTTP/1.0.
    pub(super) authority: Option<Authority<'b>>,
    pub(super) version_1_1: bool,
    pub(super) keep_alive: bool,
    pub(super) length: Length,
    pub(super) content: Content,
    pub(super) accepts_json: bool,
    pub(super) accepts_gzip: bool,
    pub(super) language: Language,
    pub(super) expects_continue: bool,
    pub(super) origin: Option<&'b [u8]>,
    pub(super) if_none_match: Option<&'b [u8]>,
}

/// A host name or address, with its port.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Authority<'b> {
    /// The name or address, without brackets and without a closing dot.
    pub(super) host: &'b str,
    /// Whether it is an address.
    pub(super) is_address: bool,
    /// The port, which is 80 where none is written.
    pub(super) port: u16,
}

impl<'b> Authority<'b> {
    /// Reads `host`, `host:port` or `[address]:port` (RFC 3986, 3.2).
    pub(super) fn parse(text: &'b str) -> Option<Self> {
        let (host, port, bracketed) = match text.strip_prefix('[') {
            Some(rest) => {
                let (address, after) = rest.split_once(']')?;
                let port = match after {
                    "" => "",
                    _ => after.strip_prefix(':')?,
                };
                (address, port, true)
            }
            None => match text.split_once(':') {
                Some((host, port)) => (host, port, false),
                None => (text, "", false),
            },
        };
        let is_address = if bracketed {
            host.parse::<Ipv6Addr>().ok()?;
            true
        } else {
            host.parse::<Ipv4Addr>().is_ok()
        };
        let host = host.strip_suffix('.').unwrap_or(host);
        let plain = |byte: u8| byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'.' | b'_');
        if host.is_empty() || !(bracketed || host.bytes().all(plain)) {
            return None;
        }
        let port = match port {
            "" => 80,
            digits if digits.bytes().all(|byte| byte.is_ascii_digit()) => digits.parse().ok()?,
            _ => return None,
        };
        Some(Self {
            host,
            is_address,
            port,
        })
    }

    /// Whether both mean the same place.
    pub(super) fn is_same(&self, other: &Authority<'_>) -> bool {
        self.port == other.port && self.host.eq_ignore_ascii_case(other.host)
    }
}

/// How many of the bytes are empty lines, which a client may send before a request
/// (RFC 9112, 2.2).
pub(super) fn empty_lines(bytes: &[u8]) -> usize {
    let mut skipped = 0;
    loop {
        match bytes.get(skipped..) {
            Some([b'\n', ..]) => skipped += 1,
            Some([b'\r', b'\n', ..]) => skipped += 2,
            _ => return skipped,
        }
    }
}

/// Reads what has come in; `limit` is the most bytes of a head.
///
/// The first line may take two thirds of that.
pub(super) fn scan(bytes: &[u8], limit: usize) -> Scanned<'_> {
    let line_limit = limit / 3 * 2;
    if bytes
        .first()
        .is_some_and(|byte| !byte.is_ascii_alphabetic() && *byte != b'\r')
    {
        return Scanned::Refused(Refusal::bad("this is no HTTP request"));
    }
    let Some(line) = bytes
        .iter()
        .take(line_limit)
        .position(|byte| *byte == b'\n')
    else {
        return if bytes.len() < line_limit {
            Scanned::Partial
        } else {
            Scanned::Refused(Refusal::new(414, "the address is too long"))
        };
    };
    // The line alone is looked at first, so that a bad one is refused at the same byte however much
    // has come in with it.
    let mut first_line = httparse::Request::new(&mut []);
    if first_line.parse(&bytes[..=line]).is_err() {
        return Scanned::Refused(Refusal::bad("the request line is malformed"));
    }
    let Some(end) = head_end(bytes, line) else {
        return if bytes.len() < limit {
            Scanned::Partial
        } else {
            Scanned::Refused(Refusal::new(431, "the request's headers are too long"))
        };
    };
    if end > limit {
        return Scanned::Refused(Refusal::new(431, "the request's headers are too long"));
    }
    let mut headers = [EMPTY_HEADER; HEADERS];
    let mut request = httparse::Request::new(&mut headers);
    match request.parse(&bytes[..end]) {
        Ok(Status::Complete(length)) => match read(&request) {
            Ok(head) => Scanned::Complete(head, length),
            Err(refusal) => Scanned::Refused(refusal),
        },
        Err(httparse::Error::TooManyHeaders) => {
            Scanned::Refused(Refusal::new(431, "the request has too many headers"))
        }
        Ok(Status::Partial) | Err(_) => {
            Scanned::Refused(Refusal::bad("the request's headers are malformed"))
        }
    }
}

/// Where the head ends: behind the first empty line after the line that ends at `line`.
fn head_end(bytes: &[u8], line: usize) -> Option<usize> {
    let mut line = line;
    loop {
        match bytes.get(line + 1..)? {
            [b'\n', ..] => return Some(line + 2),
            [b'\r', b'\n', ..] => return Some(line + 3),
            rest => line += 1 + rest.iter().position(|byte| *byte == b'\n')?,
        }
    }
}

fn read<'b>(request: &httparse::Request<'_, 'b>) -> Result<Head<'b>, Refusal> {
    let version_1_1 = request.version == Some(1);
    let method = match request.method {
        Some("GET") => Method::Get,
        Some("HEAD") => Method::Head,
        Some("POST") => Method::Post,
        _ => Method::Other,
    };
    let (target_authority, path) = target(request.path.unwrap_or_default())?;
    let mut head = Head {
        method,
        path,
        authority: None,
        version_1_1,
        keep_alive: version_1_1,
        length: Length::Absent,
        content: Content::Unsaid,
        accepts_json: false,
        accepts_gzip: false,
        language: Language::English,
        expects_continue: false,
        origin: None,
        if_none_match: None,
    };
    let mut asks_close = false;
    let mut asks_keep = false;
    let mut chunked = false;
    let mut host = None;
    for header in request.headers.iter() {
        let (name, value) = (header.name, header.value);
        let is = |known: &str| name.eq_ignore_ascii_case(known);
        if is("host") {
            let text = core::str::from_utf8(value).unwrap_or_default();
            if host.replace(text).is_some() {
                return Err(Refusal::bad("the request has two Host headers"));
            }
        } else if is("content-length") {
            let length = digits(value).ok_or(Refusal::bad("the Content-Length is no number"))?;
            if head.length != Length::Absent {
                return Err(Refusal::bad("the request has two Content-Length headers"));
            }
            head.length = Length::Known(length);
        } else if is("transfer-encoding") {
            chunked = true;
        } else if is("connection") {
            asks_close |= list(value).any(|(item, _)| item.eq_ignore_ascii_case(b"close"));
            asks_keep |= list(value).any(|(item, _)| item.eq_ignore_ascii_case(b"keep-alive"));
        } else if is("accept") {
            head.accepts_json |= accepts(value, b"application/json");
        } else if is("accept-encoding") {
            head.accepts_gzip |= accepts(value, b"gzip");
        } else if is("accept-language") {
            head.language = Language::preferred(value).unwrap_or(Language::English);
        } else if is("expect") {
            head.expects_continue |= value.eq_ignore_ascii_case(b"100-continue");
        } else if is("origin") {
            if head.origin.replace(value).is_some() {
                return Err(Refusal::bad("the request has two Origin headers"));
            }
        } else if is("if-none-match") {
            head.if_none_match = Some(value);
        } else if is("content-type") {
            let media_type = value.split(|byte| *byte == b';').next().unwrap_or_default();
            let form = b"application/x-www-form-urlencoded";
            head.content = match media_type.trim_ascii().eq_ignore_ascii_case(form) {
                true => Content::Form,
                false => Content::Other,
            };
        }
    }
    if chunked {
        if head.length != Length::Absent || !version_1_1 {
            return Err(Refusal::bad("the request's length is not clear"));
        }
        head.length = Length::Chunked;
    }
    head.keep_alive = !asks_close && (version_1_1 || asks_keep);
    if version_1_1 && host.is_none() {
        return Err(Refusal::bad("the request has no Host header"));
    }
    if let Some(authority) = target_authority.or(host) {
        let parsed = Authority::parse(authority);
        head.authority = Some(parsed.ok_or(Refusal::bad("the request's host is malformed"))?);
    }
    Ok(head)
}

/// Takes the request's target apart: its authority, where it names one, and its path
/// (RFC 9112, 3.2).
fn target(target: &str) -> Result<(Option<&str>, &str), Refusal> {
    const SCHEME: &str = "http://";
    let (authority, rest) = match target.split_at_checked(SCHEME.len()) {
        Some((scheme, rest)) if scheme.eq_ignore_ascii_case(SCHEME) => {
            let end = rest.find(['/', '?']).unwrap_or(rest.len());
            let (authority, rest) = rest.split_at(end);
            (Some(authority), rest)
        }
        _ => (None, target),
    };
    let path = rest.split('?').next().unwrap_or_default();
    match path {
        "" if authority.is_some() => Ok((authority, "/")),
        "*" => Ok((None, path)),
        _ if path.starts_with('/') => Ok((authority, path)),
        _ => Err(Refusal::bad("the address is malformed")),
    }
}

fn digits(value: &[u8]) -> Option<u64> {
    if value.is_empty() || !value.iter().all(u8::is_ascii_digit) {
        return None;
    }
    core::str::from_utf8(value).ok()?.parse().ok()
}

/// The items of a list such as `a, b;q=0.5`, each with what follows its first semicolon.
fn list(value: &[u8]) -> impl Iterator<Item = (&[u8], &[u8])> {
    value.split(|byte| *byte == b',').map(|item| {
        let end = item
            .iter()
            .position(|byte| *byte == b';')
            .unwrap_or(item.len());
        let (name, parameters) = item.split_at(end);
        (name.trim_ascii(), parameters)
    })
}

/// Whether a list names `wanted` and does not give it the weight 0.
fn accepts(value: &[u8], wanted: &[u8]) -> bool {
    list(value).any(|(item, parameters)| {
        item.eq_ignore_ascii_case(wanted)
            && !parameters.split(|byte| *byte == b';').any(|parameter| {
                let mut sides = parameter
                    .splitn(2, |byte| *byte == b'=')
                    .map(<[u8]>::trim_ascii);
                let is_weight = sides
                    .next()
                    .is_some_and(|name| name.eq_ignore_ascii_case(b"q"));
                let is_zero = |text: &[u8]| {
                    text.starts_with(b"0") && text.iter().all(|byte| matches!(byte, b'0' | b'.'))
                };
                is_weight && sides.next().is_some_and(is_zero)
            })
    })
}

#[cfg(test)]
#[path = "request_tests.rs"]
mod tests;
