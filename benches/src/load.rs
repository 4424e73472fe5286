//! The clients of a web server: each asks, reads the whole answer and asks again.

use std::io::{Read, Write};
use std::net::{SocketAddr, TcpStream};
use std::thread;
use std::time::{Duration, Instant};

use crate::process::Failure;

/// How long an answer may take.
const PATIENCE: Duration = Duration::from_secs(10);

/// So many clients with so many requests together.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Load {
    pub(crate) clients: usize,
    pub(crate) keep_alive: bool,
    pub(crate) requests: usize,
}

impl Load {
    /// Asks for `path` as often as it says, and returns how long that took.
    pub(crate) fn run(self, address: SocketAddr, path: &str) -> Result<Duration, Failure> {
        let request = request(address, path, self.keep_alive);
        let each = self.requests / self.clients;
        let begin = Instant::now();
        thread::scope(|scope| {
            let client = || {
                if self.keep_alive {
                    one_connection(address, &request, each)
                } else {
                    (0..each).try_for_each(|_| one_connection(address, &request, 1))
                }
            };
            let clients: Vec<_> = (0..self.clients).map(|_| scope.spawn(client)).collect();
            clients.into_iter().try_for_each(|client| {
                let ended = client.join().map_err(|_| "a client panicked".to_owned())?;
                ended.map_err(|error| format!("{address} does not answer {path}: {error}"))
            })
        })?;
        Ok(begin.elapsed())
    }
}

fn request(address: SocketAddr, path: &str, keep_alive: bool) -> Vec<u8> {
    let connection = if keep_alive { "keep-alive" } else { "close" };
    format!(
        "GET {path} HTTP/1.1\r\nHost: {address}\r\nAccept-Encoding: gzip\r\nConnection: {connection}\r\n\r\n"
    )
    .into_bytes()
}

/// One whole answer, head and body, as it came.
pub(crate) fn answer(address: SocketAddr, path: &str) -> Result<Vec<u8>, Failure> {
    let ask = || {
        let mut stream = connect(address)?;
        stream.write_all(&request(address, path, true))?;
        let mut bytes = Vec::new();
        while read_answer(&mut stream, &mut bytes)?.is_none() {}
        Ok(bytes)
    };
    ask().map_err(|error: std::io::Error| format!("{address} does not answer {path}: {error}"))
}

fn connect(address: SocketAddr) -> std::io::Result<TcpStream> {
    let stream = TcpStream::connect(address)?;
    stream.set_nodelay(true)?;
    stream.set_read_timeout(Some(PATIENCE))?;
    Ok(stream)
}

fn one_connection(address: SocketAddr, request: &[u8], times: usize) -> std::io::Result<()> {
    let mut stream = connect(address)?;
    let mut bytes = Vec::with_capacity(16 * 1024);
    for _ in 0..times {
        stream.write_all(request)?;
        bytes.clear();
        while read_answer(&mut stream, &mut bytes)?.is_none() {}
    }
    Ok(())
}

/// Reads once; says how long the answer is when it is there.
fn read_answer(stream: &mut TcpStream, bytes: &mut Vec<u8>) -> std::io::Result<Option<usize>> {
    let mut piece = [0; 16 * 1024];
    let count = stream.read(&mut piece)?;
    if count == 0 {
        return Err(std::io::ErrorKind::UnexpectedEof.into());
    }
    bytes.extend_from_slice(&piece[..count]);
    let Some(head) = bytes.windows(4).position(|four| four == b"\r\n\r\n") else {
        return Ok(None);
    };
    let text = String::from_utf8_lossy(&bytes[..head]);
    let wrong = |what: &str| std::io::Error::other(format!("{what}: {text}"));
    if text.split(' ').nth(1) != Some("200") {
        return Err(wrong("no page"));
    }
    let length = text
        .lines()
        .find_map(|line| {
            let (name, value) = line.split_once(':')?;
            let found = name.eq_ignore_ascii_case("content-length");
            found.then(|| value.trim().parse::<usize>().ok())?
        })
        .ok_or_else(|| wrong("no length"))?;
    let end = head + 4 + length;
    Ok((bytes.len() >= end).then_some(end))
}
