//! A client for HTTP that sends exactly what it is told, bad requests too.

use std::io::{Read, Write};
use std::net::{SocketAddr, TcpStream};
use std::time::Duration;

use super::PATIENCE;

/// What came back.
#[derive(Debug)]
pub(crate) struct Answer {
    pub(crate) status: u16,
    pub(crate) headers: Vec<(String, String)>,
    pub(crate) body: Vec<u8>,
}

impl Answer {
    pub(crate) fn header(&self, name: &str) -> Option<&str> {
        let mut same = self.headers.iter().filter(|(key, _)| key == name);
        let found = same.next().map(|(_, value)| value.as_str());
        assert!(same.next().is_none(), "{name} came twice: {self:?}");
        found
    }

    pub(crate) fn text(&self) -> String {
        String::from_utf8(self.body.clone()).expect("the body is UTF-8")
    }

    pub(crate) fn json(&self) -> serde_json::Value {
        let kind = self.header("content-type").unwrap_or("");
        assert!(kind.starts_with("application/json"), "type of {self:?}");
        serde_json::from_slice(&self.body)
            .unwrap_or_else(|error| panic!("{error}: {}", self.text()))
    }
}

pub(crate) fn get(address: SocketAddr, path: &str) -> Answer {
    request(address, "GET", path, &[], b"")
}

/// Posts JSON, as a program does at the panel.
pub(crate) fn post_json(address: SocketAddr, path: &str, body: &serde_json::Value) -> Answer {
    let kind = [("Content-Type", "application/json")];
    request(address, "POST", path, &kind, body.to_string().as_bytes())
}

/// Posts a form, as a script of the page does: it asks for JSON.
pub(crate) fn post_form(address: SocketAddr, path: &str, fields: &[(&str, &str)]) -> Answer {
    let headers = [
        ("Content-Type", "application/x-www-form-urlencoded"),
        ("Accept", "application/json"),
    ];
    request(address, "POST", path, &headers, form(fields).as_bytes())
}

/// The fields of a form as a browser writes them.
pub(crate) fn form(fields: &[(&str, &str)]) -> String {
    let encoded = |text: &str| -> String {
        let byte = |byte: u8| match byte {
            b'a'..=b'z' | b'A'..=b'Z' | b'0'..=b'9' | b'-' | b'_' | b'.' | b'*' => {
                char::from(byte).to_string()
            }
            b' ' => "+".into(),
            other => format!("%{other:02X}"),
        };
        text.bytes().map(byte).collect()
    };
    let fields = fields
        .iter()
        .map(|(name, value)| format!("{}={}", encoded(name), encoded(value)));
    fields.collect::<Vec<_>>().join("&")
}

/// One request on a connection of its own. `Host` is the address if none is given.
pub(crate) fn request(
    address: SocketAddr,
    method: &str,
    path: &str,
    headers: &[(&str, &str)],
    body: &[u8],
) -> Answer {
    let mut head = format!("{method} {path} HTTP/1.1\r\n");
    let mut add = |name: &str, value: &str| head.push_str(&format!("{name}: {value}\r\n"));
    let has_host = headers.iter().any(|(name, _)| *name == "Host");
    if !has_host {
        add("Host", &address.to_string());
    }
    for (name, value) in headers {
        add(name, value);
    }
    if method != "GET" && method != "HEAD" {
        add("Content-Length", &body.len().to_string());
    }
    add("Connection", "close");
    head.push_str("\r\n");
    let answer = exchange(address, &[head.as_bytes(), body].concat());
    answer.unwrap_or_else(|error| panic!("{method} {path} at {address}: {error}"))
}

/// Sends bytes and reads one answer.
pub(crate) fn exchange(address: SocketAddr, bytes: &[u8]) -> Result<Answer, String> {
    let mut stream = connect(address).map_err(|error| error.to_string())?;
    // A server that refuses a long request may answer before it has read it all.
    let sent = stream.write_all(bytes);
    read_answer(&mut stream, bytes.starts_with(b"HEAD "))
        .map_err(|error| format!("{error} (sent: {sent:?})"))
}

pub(crate) fn connect(address: SocketAddr) -> std::io::Result<TcpStream> {
    let stream = TcpStream::connect_timeout(&address, PATIENCE)?;
    stream.set_read_timeout(Some(PATIENCE))?;
    stream.set_write_timeout(Some(PATIENCE))?;
    stream.set_nodelay(true)?;
    Ok(stream)
}

/// Whether somebody listens there.
pub(crate) fn listens(address: SocketAddr) -> bool {
    TcpStream::connect_timeout(&address, Duration::from_secs(5)).is_ok()
}

/// Reads one answer to its announced end.
pub(crate) fn read_answer(stream: &mut TcpStream, is_head: bool) -> Result<Answer, String> {
    let head = read_through(stream, b"\r\n\r\n")?;
    let head = String::from_utf8(head).map_err(|error| error.to_string())?;
    let mut lines = head.split("\r\n");
    let first = lines.next().unwrap_or_default();
    let status = first
        .strip_prefix("HTTP/1.1 ")
        .and_then(|rest| rest.get(..3))
        .and_then(|digits| digits.parse().ok())
        .ok_or_else(|| format!("no status line: {first:?}"))?;
    let headers = lines
        .filter_map(|line| line.split_once(':'))
        .map(|(name, value)| (name.to_ascii_lowercase(), value.trim().to_owned()))
        .collect();
    let mut answer = Answer {
        status,
        headers,
        body: Vec::new(),
    };
    if is_head || matches!(status, 204 | 304) {
        return Ok(answer);
    }
    if answer.header("transfer-encoding") == Some("chunked") {
        loop {
            let line = read_through(stream, b"\r\n")?;
            let digits = String::from_utf8_lossy(&line);
            let length = usize::from_str_radix(digits.trim(), 16)
                .map_err(|_| format!("no length of a chunk: {digits:?}"))?;
            let mut chunk = vec![0; length + 2];
            stream
                .read_exact(&mut chunk)
                .map_err(|error| error.to_string())?;
            if length == 0 {
                return Ok(answer);
            }
            answer.body.extend_from_slice(&chunk[..length]);
        }
    }
    match answer.header("content-length") {
        Some(length) => {
            let length = length
                .parse()
                .map_err(|_| format!("no length: {length:?}"))?;
            answer.body = vec![0; length];
            stream.read_exact(&mut answer.body)
        }
        None => stream.read_to_end(&mut answer.body).map(drop),
    }
    .map_err(|error| format!("the body was cut: {error}"))?;
    Ok(answer)
}

fn read_through(stream: &mut TcpStream, end: &[u8]) -> Result<Vec<u8>, String> {
    let mut bytes = Vec::new();
    while !bytes.ends_with(end) {
        let mut byte = [0];
        match stream.read(&mut byte) {
            Ok(0) => {
                return Err(format!(
                    "closed after {:?}",
                    String::from_utf8_lossy(&bytes)
                ));
            }
            Ok(_) => bytes.push(byte[0]),
            Err(error) => return Err(error.to_string()),
        }
    }
    Ok(bytes)
}
