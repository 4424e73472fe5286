//! Requests as browsers, probes and attackers send them.

use std::string::String;
use std::vec::Vec;
use std::{format, vec};

use proptest::prelude::*;

use super::*;

const LIMIT: usize = 1536;

fn head(text: &str) -> Head<'_> {
    match scan(text.as_bytes(), LIMIT) {
        Scanned::Complete(head, length) => {
            assert_eq!(length, text.len(), "{text}");
            head
        }
        other => panic!("{text}: {other:?}"),
    }
}

fn status(text: &str) -> u16 {
    match scan(text.as_bytes(), LIMIT) {
        Scanned::Refused(refusal) => refusal.status,
        Scanned::Complete(..) => 200,
        Scanned::Partial => 0,
    }
}

#[test]
fn what_a_browser_sends_is_understood() {
    let head = head(
        "POST /connect?x=/y HTTP/1.1\r\nHost: Relay-1.local:8080\r\nContent-Length: 12\r\n\
         Content-Type: application/x-www-form-urlencoded; charset=UTF-8\r\n\
         Accept: text/html;q=0.8, Application/JSON\r\nAccept-Encoding: br, gzip;q=0.5\r\n\
         Origin: http://relay-1.local:8080\r\nConnection: keep-alive\r\nExpect: 100-continue\r\n\
         If-None-Match: \"a\", W/\"b\"\r\n\r\n",
    );
    assert_eq!(head.method, Method::Post);
    assert_eq!(head.path, "/connect");
    let authority = head.authority.unwrap();
    assert_eq!((authority.host, authority.port), ("Relay-1.local", 8080));
    assert!(!authority.is_address);
    assert_eq!(head.length, Length::Known(12));
    assert_eq!(head.content, Content::Form);
    assert!(head.accepts_json && head.accepts_gzip && head.keep_alive && head.expects_continue);
    assert_eq!(head.origin, Some(&b"http://relay-1.local:8080"[..]));
    assert_eq!(head.if_none_match, Some(&b"\"a\", W/\"b\""[..]));
}

#[test]
fn keep_alive_follows_version_and_connection_header() {
    for (text, keep_alive) in [
        ("GET / HTTP/1.1\r\nHost: a\r\n\r\n", true),
        (
            "GET / HTTP/1.1\r\nHost: a\r\nConnection: foo, Close\r\n\r\n",
            false,
        ),
        ("GET / HTTP/1.0\r\n\r\n", false),
        ("GET / HTTP/1.0\r\nConnection: Keep-Alive\r\n\r\n", true),
        ("GET / HTTP/1.0\nConnection: keep-alive, close\n\n", false),
    ] {
        assert_eq!(head(text).keep_alive, keep_alive, "{text}");
    }
}

#[test]
fn a_target_may_name_its_host() {
    let request = "GET HTTP://captive.apple.com/hotspot-detect.html HTTP/1.1\r\nHost: a\r\n\r\n";
    let found = head(request);
    assert_eq!(found.authority.unwrap().host, "captive.apple.com");
    assert_eq!(found.path, "/hotspot-detect.html");
    assert_eq!(
        head("GET http://[::1]:81?q HTTP/1.1\r\nHost: a\r\n\r\n").path,
        "/"
    );
    assert_eq!(head("OPTIONS * HTTP/1.1\r\nHost: a\r\n\r\n").path, "*");
}

#[test]
fn weights_of_zero_refuse() {
    let table = [
        ("gzip", true),
        ("GZIP;q=1.0", true),
        ("deflate , gzip ; q = 0.001", true),
        ("gzip;q=0", false),
        ("gzip; Q=0.000", false),
        ("gzipped, x", false),
        ("", false),
    ];
    for (value, expected) in table {
        let text = format!("GET / HTTP/1.1\r\nHost: a\r\nAccept-Encoding: {value}\r\n\r\n");
        assert_eq!(head(&text).accepts_gzip, expected, "{value}");
    }
}

#[test]
fn hosts_are_read_or_refused() {
    let table = [
        ("192.168.4.1", Some(("192.168.4.1", true, 80))),
        ("192.168.4.1:8080", Some(("192.168.4.1", true, 8080))),
        ("[fe80::1]", Some(("fe80::1", true, 80))),
        ("[::1]:81", Some(("::1", true, 81))),
        ("localhost.", Some(("localhost", false, 80))),
        ("a_b-c.d:", Some(("a_b-c.d", false, 80))),
        ("256.1.1.1", Some(("256.1.1.1", false, 80))),
        ("", None),
        (".", None),
        (":80", None),
        ("a:b", None),
        ("a:+80", None),
        ("a:65536", None),
        ("::1", None),
        ("[a]", None),
        ("[::1]x", None),
        ("[::1", None),
        ("a b", None),
        ("user@host", None),
        ("a/b", None),
        ("bør", None),
    ];
    for (text, expected) in table {
        let found = Authority::parse(text).map(|found| (found.host, found.is_address, found.port));
        assert_eq!(found, expected, "{text}");
    }
}

#[test]
fn requests_that_are_not_clear_are_refused_with_their_status() {
    let long_target = format!("GET /{} HTTP/1.1\r\nHost: a\r\n\r\n", "a".repeat(1100));
    let endless_line = "G".repeat(1024);
    let long_header = format!(
        "GET / HTTP/1.1\r\nHost: a\r\nX: {}\r\n\r\n",
        "a".repeat(1600)
    );
    let many = format!("GET / HTTP/1.1\r\nHost: a\r\n{}\r\n", "X: y\r\n".repeat(60));
    let host = |headers: &str| format!("POST / HTTP/1.1\r\nHost: a\r\n{headers}\r\n\r\n");
    let table: &[(&str, u16)] = &[
        ("GET / HTTP/1.1\r\n\r\n", 400),
        ("GET / HTTP/1.1\r\nHost: a\r\nHost: a\r\n\r\n", 400),
        ("GET / HTTP/1.1\r\nHost: a b\r\n\r\n", 400),
        ("GET / HTTP/1.1\r\nHost:\r\n\r\n", 400),
        ("GET index.html HTTP/1.1\r\nHost: a\r\n\r\n", 400),
        ("GET ftp://a/ HTTP/1.1\r\nHost: a\r\n\r\n", 400),
        ("CONNECT a:443 HTTP/1.1\r\nHost: a\r\n\r\n", 400),
        ("GET / HTTP/2.0\r\nHost: a\r\n\r\n", 400),
        ("GET /\r\n", 400),
        ("GET  / HTTP/1.1\r\n", 400),
        ("\u{16}\u{3}\u{1}", 400),
        ("{\"json\":1}", 400),
        ("GET / HTTP/1.1\r\nHost: a\r\nno colon\r\n\r\n", 400),
        ("GET / HTTP/1.1\r\nHost: a\r\nX : y\r\n\r\n", 400),
        ("GET / HTTP/1.1\r\nHost: a\r\nX: y\r\n folded\r\n\r\n", 400),
        (&host("Content-Length: -1"), 400),
        (&host("Content-Length: +1"), 400),
        (&host("Content-Length:"), 400),
        (&host("Content-Length: 1, 1"), 400),
        (&host("Content-Length: 0x10"), 400),
        (&host("Content-Length: 18446744073709551616"), 400),
        (&host("Content-Length: 3\r\nContent-Length: 3"), 400),
        (
            &host("Content-Length: 3\r\nTransfer-Encoding: chunked"),
            400,
        ),
        (&host("Content-Length: 18446744073709551615"), 200),
        ("POST / HTTP/1.0\r\nTransfer-Encoding: chunked\r\n\r\n", 400),
        (&long_target, 414),
        (&endless_line, 414),
        (&long_header, 431),
        (&many, 431),
        ("GET / HTTP/1.1\r\nHost: a\r\n", 0),
        ("GET / HT", 0),
        ("", 0),
    ];
    for (text, expected) in table {
        assert_eq!(status(text), *expected, "{text:?}");
    }
}

#[test]
fn empty_lines_before_a_request_are_counted() {
    let table: [(&[u8], usize); 6] = [
        (b"", 0),
        (b"\r\nG", 2),
        (b"\n\r\n\r", 3),
        (b"\r\n\r\n", 4),
        (b"\rG", 0),
        (b"G\n", 0),
    ];
    for (bytes, count) in table {
        assert_eq!(empty_lines(bytes), count);
    }
}

/// What becomes of a stream of bytes that comes in pieces of these sizes.
fn outcome(bytes: &[u8], pieces: &mut dyn Iterator<Item = usize>) -> String {
    let mut arrived = 0;
    loop {
        match scan(&bytes[..arrived], LIMIT) {
            Scanned::Partial if arrived == bytes.len().min(LIMIT) => return "waits".into(),
            Scanned::Partial => {
                let piece = pieces.next().unwrap_or(usize::MAX);
                arrived = arrived
                    .saturating_add(piece.max(1))
                    .min(bytes.len())
                    .min(LIMIT);
            }
            other => return format!("{other:?}"),
        }
    }
}

fn likely_bytes() -> impl Strategy<Value = Vec<u8>> {
    let word = prop_oneof![
        Just(b"GET /networks.json HTTP/1.1\r\n".to_vec()),
        Just(b"POST /connect HTTP/1.1\r\n".to_vec()),
        Just(b"Host: 192.168.4.1\r\n".to_vec()),
        Just(b"Content-Length: 10\r\n".to_vec()),
        Just(b"Transfer-Encoding: chunked\r\n".to_vec()),
        Just(b"Accept: application/json\r\n".to_vec()),
        Just(b"\r\n".to_vec()),
        Just(b"\n".to_vec()),
        Just(b"\r".to_vec()),
        Just(b" ".to_vec()),
        Just(b": ".to_vec()),
        Just(vec_of(b'a', 700)),
        proptest::collection::vec(any::<u8>(), 0..8),
    ];
    proptest::collection::vec(word, 0..10).prop_map(|words| words.concat())
}

fn vec_of(byte: u8, count: usize) -> Vec<u8> {
    core::iter::repeat_n(byte, count).collect()
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(2_000))]

    #[test]
    fn fragments_never_change_the_outcome(
        bytes in likely_bytes(),
        pieces in proptest::collection::vec(1_usize..60, 0..80),
    ) {
        let whole = outcome(&bytes, &mut core::iter::empty());
        prop_assert_eq!(&whole, &outcome(&bytes, &mut pieces.into_iter()));
        prop_assert_eq!(&whole, &outcome(&bytes, &mut core::iter::repeat(1)));
    }

    #[test]
    fn no_bytes_panic(bytes: Vec<u8>) {
        let _ = scan(&bytes, LIMIT);
        let _ = empty_lines(&bytes);
    }
}

#[test]
fn the_first_language_that_the_page_speaks_is_taken() {
    for (value, expected) in [
        ("nb-NO,nb;q=0.9,en;q=0.8", Language::Bokmal),
        ("en-GB,en;q=0.9,nb;q=0.8", Language::English),
        ("de-DE,de;q=0.9,no;q=0.8,en;q=0.7", Language::Bokmal),
        ("NN", Language::Bokmal),
        ("nbsp, *;q=0.1", Language::English),
        ("", Language::English),
    ] {
        let text = std::format!("GET / HTTP/1.1\r\nHost: a\r\nAccept-Language: {value}\r\n\r\n");
        assert_eq!(head(&text).language, expected, "{value}");
    }
}
