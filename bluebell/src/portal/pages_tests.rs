//! The pages at their largest, and the page against what its policy says.

use std::cell::RefCell;
use std::net::SocketAddr;
use std::string::String;
use std::vec::Vec;

use sha2::{Digest, Sha256};

use super::super::output::{OUTPUT, Output};
use super::*;
use crate::wifi::{Auth, JoinFailure, JoinStep, Password, Ssid};

struct Networks(RefCell<Vec<Sighting>>);

impl Backend for Networks {
    fn name(&self) -> &str {
        "relay"
    }
    fn address(&self) -> SocketAddr {
        ([192, 168, 4, 1], 80).into()
    }
    fn networks(&self, visit: &mut dyn FnMut(&Sighting)) {
        self.0.borrow().iter().for_each(visit);
    }
    fn rescan(&self) {}
    fn submit(&self, _: Ssid, _: Password) {}
    fn submission(&self) -> Submission {
        Submission::default()
    }
}

fn worst(count: usize, character: char) -> Networks {
    let name: String = core::iter::repeat_n(character, 32).collect();
    let sighting = Sighting {
        ssid: Ssid::new(&name).unwrap(),
        bssid: [0; 6],
        channel: 255,
        rssi: -128,
        auth: Auth::Enterprise,
    };
    Networks(RefCell::new(std::vec![sighting; count]))
}

/// The body of all pieces, and how many fillings of the buffer it took.
fn body(pieces: &Pieces, backend: &Networks, chunked: bool) -> (Vec<u8>, usize) {
    let mut buffer = [0; OUTPUT];
    let mut output = Output::new(&mut buffer);
    let (mut body, mut next, mut fillings, mut more) = (Vec::new(), 0, 0, true);
    while more {
        more = output
            .add_pieces(pieces, &mut next, backend, chunked)
            .unwrap();
        assert!(!output.bytes().is_empty());
        body.extend_from_slice(output.bytes());
        output.clear();
        fillings += 1;
    }
    (body, fillings)
}

fn joined(bytes: &[u8]) -> Vec<u8> {
    let mut rest = bytes;
    let mut body = Vec::new();
    loop {
        let line = rest.iter().position(|byte| *byte == b'\r').unwrap();
        let digits = core::str::from_utf8(&rest[..line]).unwrap();
        let length = usize::from_str_radix(digits, 16).unwrap();
        body.extend_from_slice(&rest[line + 2..line + 2 + length]);
        assert_eq!(&rest[line + 2 + length..line + 4 + length], b"\r\n");
        rest = &rest[line + 4 + length..];
        if length == 0 {
            assert!(rest.is_empty());
            return body;
        }
    }
}

#[test]
fn the_longest_names_fit_in_every_page() {
    let states = [
        SubmissionState::Joining(JoinStep::Joining),
        SubmissionState::Failed(JoinFailure::Refused),
        SubmissionState::Online([255, 255, 255, 255].into()),
    ];
    for character in ['\u{1}', '"', '&', '\n', 'a'] {
        let backend = worst(9, character);
        let ssid = Some(backend.0.borrow()[0].ssid.clone());
        let plain = [Language::English, Language::Bokmal].map(|language| {
            states.map(|state| {
                let ssid = ssid.clone();
                Pieces::Plain(Submission { state, ssid }, language)
            })
        });
        for pieces in [Pieces::Networks].iter().chain(plain.as_flattened()) {
            let empty = Networks(RefCell::default());
            let _ = body(pieces, &empty, true);
            let (whole, _) = body(pieces, &backend, false);
            let (chunks, fillings) = body(pieces, &backend, true);
            assert!(fillings > 1);
            assert_eq!(joined(&chunks), whole);
        }
    }
}

#[test]
fn a_list_that_changes_on_its_way_is_still_a_list() {
    for left in 0..12 {
        let backend = worst(12, 'a');
        let mut buffer = [0; OUTPUT];
        let mut output = Output::new(&mut buffer);
        let mut next = 0;
        assert!(
            output
                .add_pieces(&Pieces::Networks, &mut next, &backend, false)
                .unwrap()
        );
        let mut json = output.bytes().to_vec();
        output.clear();
        backend.0.borrow_mut().truncate(left);
        while output
            .add_pieces(&Pieces::Networks, &mut next, &backend, false)
            .unwrap()
        {
            json.extend_from_slice(output.bytes());
            output.clear();
        }
        json.extend_from_slice(output.bytes());
        let value: serde_json::Value = serde_json::from_slice(&json).unwrap();
        assert!(value.as_array().unwrap().len() >= left);
    }
}

#[test]
fn the_state_of_a_submission_is_json_with_every_field() {
    let ssid = Ssid::new("a \"b\" \\ 🦊").ok();
    let table = [
        (
            SubmissionState::Idle,
            None,
            ("idle", serde_json::Value::Null, None, None),
        ),
        (
            SubmissionState::Joining(JoinStep::Joining),
            ssid.clone(),
            ("joining", "a \"b\" \\ 🦊".into(), None, None),
        ),
        (
            SubmissionState::Failed(JoinFailure::NoDhcp),
            ssid.clone(),
            ("failed", "a \"b\" \\ 🦊".into(), Some("no_dhcp"), None),
        ),
        (
            SubmissionState::Online([10, 0, 0, 7].into()),
            ssid,
            ("online", "a \"b\" \\ 🦊".into(), None, Some("10.0.0.7")),
        ),
    ];
    for (state, ssid, (word, name, reason, ip)) in table {
        let mut text = String::new();
        status_json(&Submission { state, ssid }, &mut text).unwrap();
        let value: serde_json::Value = serde_json::from_str(&text).unwrap();
        let expected = serde_json::json!({"state": word, "ssid": name, "reason": reason, "ip": ip});
        assert_eq!(value, expected);
    }
}

fn base64(bytes: &[u8]) -> String {
    const DIGITS: &[u8; 64] = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
    let mut text = String::new();
    for three in bytes.chunks(3) {
        let bits = three
            .iter()
            .fold(0_u32, |bits, byte| bits << 8 | u32::from(*byte))
            << (8 * (3 - three.len()));
        for digit in 0..4 {
            text.push(match digit <= three.len() {
                true => DIGITS[(bits >> (18 - 6 * digit) & 63) as usize] as char,
                false => '=',
            });
        }
    }
    text
}

/// The text between the first `<tag>` and its end.
fn inside<'t>(text: &'t str, tag: &str) -> &'t str {
    let (_, rest) = text.split_once(&std::format!("<{tag}>")).unwrap();
    rest.split_once(&std::format!("</{tag}>")).unwrap().0
}

#[test]
fn the_policies_name_the_pages_own_script_and_styles() {
    let page = include_str!("../../../web/built/setup.html");
    let pieces = Pieces::Plain(Submission::default(), Language::English);
    let (plain, _) = body(&pieces, &worst(1, 'a'), false);
    let plain = core::str::from_utf8(&plain).unwrap();
    for (policy, name, text) in [
        (PAGE_POLICY, "script-src", inside(page, "script")),
        (PAGE_POLICY, "style-src", inside(page, "style")),
        (plain::POLICY, "style-src", inside(plain, "style")),
    ] {
        let hash = base64(&Sha256::digest(text.as_bytes()));
        assert!(
            policy.contains(&std::format!("{name} 'sha256-{hash}'")),
            "{name} {hash} is not in {policy}"
        );
    }
}

#[test]
fn a_first_visit_stays_in_its_budget() {
    assert!(PAGE.gzip.is_some_and(|bytes| bytes.len() <= 8 * 1024));
}

#[test]
fn the_plain_page_speaks_the_language_that_is_asked_for() {
    for (language, tag, title) in [
        (
            Language::English,
            "<html lang=\"en\">",
            "Put your device on Wi-Fi",
        ),
        (
            Language::Bokmal,
            "<html lang=\"nb\">",
            "Koble enheten til Wi-Fi",
        ),
    ] {
        let pieces = Pieces::Plain(Submission::default(), language);
        let text = std::string::String::from_utf8(body(&pieces, &worst(1, 'a'), false).0).unwrap();
        assert!(text.contains(tag) && text.contains(title), "{text}");
        // The policy names this one alone.
        let style = include_str!("../../../web/built/plain.css");
        assert!(text.contains(&std::format!(">{style}<")), "{text}");
    }
}
