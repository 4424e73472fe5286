//! Paths of requests and names of files: a path leads to the file that its decoded name says, and nowhere else.

use bluebell::portal::{File, content_type, etag};

use crate::decoding::{Wrong, decode};
use crate::portal::{Device, ask, head};

const fn file(path: &'static str, bytes: &'static [u8]) -> File {
    File {
        path,
        content_type: content_type(path),
        bytes,
        gzip: None,
        etag: "1",
    }
}

/// Names that a folder can have in it, some of which no path leads to.
const FILES: &[File] = &[
    file("a+b c.txt", b"blank and plus"),
    file("100%.html", b"percent"),
    file("bl\u{e5}/b\u{e6}r.css", b"not ASCII"),
    file("docs/index.html", b"a folder"),
    file("docs/../secret", b"dots are a name"),
    file("setup", b"hidden by the page"),
    file("app/temperature", b"hidden by the value"),
    file("q?x=1.js", b"question mark"),
];

/// The input is the path behind its first slash.
pub(crate) fn run(input: &[u8]) {
    if let Ok(path) = std::str::from_utf8(input) {
        let ending = path
            .rsplit('/')
            .next()
            .and_then(|name| name.rsplit_once('.'));
        let is_page = ending.is_some_and(|(_, ending)| {
            ending.eq_ignore_ascii_case("html") || ending.eq_ignore_ascii_case("htm")
        });
        assert_eq!(content_type(path).starts_with("text/html"), is_page);
    }
    assert!(etag(input).iter().all(u8::is_ascii_alphanumeric));
    let sent: Vec<u8> = input
        .iter()
        .copied()
        .filter(u8::is_ascii_graphic)
        .take(600)
        .collect();
    let sent = String::from_utf8(sent).expect("it is ASCII");
    let device = Device {
        files: FILES,
        ..Device::default()
    };
    let answers = ask(
        &device,
        head(&format!("GET /{sent}"), "Connection: close\r\n").as_bytes(),
    );
    let [answer] = &answers[..] else {
        panic!("one answer to one request: {answers:?}");
    };
    let path = sent.split('?').next().unwrap_or_default();
    // The slash is part of the path, which may have 128 bytes.
    let path = match decode(path.as_bytes(), false, 127) {
        Ok(path) => path,
        Err(Wrong::TooLong) => return assert!(matches!(answer.status, 404 | 414), "{answer:?}"),
        Err(_) => return assert_eq!(answer.status, 400, "{answer:?}"),
    };
    let fixed = [
        "",
        "setup",
        "plain",
        "networks.json",
        "status.json",
        "captive.json",
        "app/temperature",
    ];
    let named = |file: &&File| {
        file.path == path || format!("{path}index.html") == file.path && path.ends_with('/')
    };
    match FILES.iter().find(named) {
        _ if fixed.contains(&path.as_str()) => assert_eq!(answer.status, 200, "{answer:?}"),
        _ if matches!(path.as_str(), "rescan" | "connect") => assert_eq!(answer.status, 405),
        _ if path.starts_with("app/") => assert_eq!(answer.status, 404),
        Some(file) => {
            assert_eq!((answer.status, &answer.body[..]), (200, file.bytes));
            assert_eq!(answer.content_type, file.content_type);
        }
        None => assert_eq!(answer.status, 404, "{answer:?}"),
    }
}
