//! Names of networks, as anybody in reach can choose them, in what the portal writes: JSON that another reader
//! takes, and a page in which no name becomes markup.

use std::net::Ipv4Addr;

use bluebell::wifi::{Auth, JoinFailure, JoinStep, Sighting, Ssid, Submission, SubmissionState};
use serde_json::json;

use crate::portal::{Device, ask, head};

const AUTHS: [Auth; 7] = [
    Auth::Open,
    Auth::Wep,
    Auth::Wpa,
    Auth::Wpa2,
    Auth::Wpa3,
    Auth::Enterprise,
    Auth::Other,
];

const STATES: [SubmissionState; 8] = [
    SubmissionState::Idle,
    SubmissionState::Joining(JoinStep::Address),
    SubmissionState::Online(Ipv4Addr::new(10, 0, 0, 7)),
    SubmissionState::Failed(JoinFailure::NotFound),
    SubmissionState::Failed(JoinFailure::WrongPassword),
    SubmissionState::Failed(JoinFailure::NoDhcp),
    SubmissionState::Failed(JoinFailure::Refused),
    SubmissionState::Failed(JoinFailure::TimedOut),
];

/// What the page is made of.
const TAGS: &[&str] = &[
    "!doctype", "html", "head", "meta", "title", "style", "body", "main", "h1", "p", "strong", "a",
    "form", "fieldset", "legend", "label", "input", "small", "button",
];

/// A byte for the submission, then networks: channel, signal, protection and length of the name, and the name.
pub(crate) fn run(input: &[u8]) {
    let Some((state, mut rest)) = input.split_first() else {
        return;
    };
    let mut device = Device::default();
    while let Some(([channel, rssi, auth, length], after)) = rest.split_first_chunk() {
        let (name, after) = after.split_at(usize::from(length % 33).min(after.len()));
        rest = after;
        // A board lists no name that is not UTF-8.
        let name = std::str::from_utf8(name)
            .ok()
            .and_then(|name| Ssid::new(name).ok());
        device.networks.extend(name.map(|ssid| Sighting {
            ssid,
            bssid: [0; 6],
            channel: *channel,
            rssi: rssi.cast_signed(),
            auth: AUTHS[usize::from(*auth) % AUTHS.len()],
        }));
    }
    device.networks.truncate(24);
    let submission = Submission {
        state: STATES[usize::from(*state) % STATES.len()],
        ssid: device.networks.first().map(|network| network.ssid.clone()),
    };
    device.submission = submission.clone().into();
    let requests = head("GET /networks.json", "")
        + &head("GET /status.json", "")
        + &head("GET /plain", "Connection: close\r\n");
    let answers = ask(&device, requests.as_bytes());
    let [networks, status, plain] = &answers[..] else {
        panic!("three answers to three requests: {answers:?}");
    };
    let expected = device.networks.iter().map(|network| {
        json!({
            "ssid": network.ssid.as_str(),
            "channel": network.channel,
            "rssi": network.rssi,
            "auth": network.auth.as_str(),
        })
    });
    assert_eq!(networks.json(), expected.collect::<serde_json::Value>());
    let ssid = submission.ssid.as_ref().map(Ssid::as_str);
    let (state, reason, ip) = match submission.state {
        SubmissionState::Idle => ("idle", None, None),
        SubmissionState::Joining(_) => ("joining", None, None),
        SubmissionState::Failed(reason) => ("failed", Some(reason.as_str()), None),
        SubmissionState::Online(ip) => ("online", None, Some(ip)),
    };
    let expected = json!({ "state": state, "ssid": ssid, "reason": reason, "ip": ip });
    assert_eq!(status.json(), expected);
    let page = std::str::from_utf8(&plain.body).expect("the page is UTF-8");
    page_is_safe(page);
    let listed: Vec<String> = page
        .split("type=\"radio\" name=\"ssid\" value=\"")
        .skip(1)
        .map(|rest| shown(rest.split('"').next().unwrap_or_default()))
        .collect();
    let expected: Vec<String> = device
        .networks
        .iter()
        .map(|network| network.ssid.as_str().chars().map(showable).collect())
        .collect();
    assert_eq!(listed, expected);
}

/// HTML has no way to write the other control characters.
fn showable(character: char) -> char {
    match character {
        '\n' | '\r' | '\t' => character,
        '\0'..='\u{1f}' | '\u{7f}' => '\u{fffd}',
        _ => character,
    }
}

/// Every tag is one of the page's own.
fn page_is_safe(page: &str) {
    for tag in page.split('<').skip(1) {
        let tag = tag.strip_prefix('/').unwrap_or(tag);
        let end = tag.find([' ', '>']).unwrap_or(tag.len());
        assert!(
            TAGS.contains(&&tag[..end]),
            "a tag of another: <{}",
            &tag[..end]
        );
    }
}

/// The text that an attribute's value stands for.
fn shown(value: &str) -> String {
    let mut pieces = value.split('&');
    let mut text = pieces.next().unwrap_or_default().to_owned();
    for piece in pieces {
        let (name, after) = piece
            .split_once(';')
            .expect("a reference ends with a semicolon");
        text.push(match name {
            "amp" => '&',
            "lt" => '<',
            "gt" => '>',
            _ => {
                let code = name.strip_prefix('#').and_then(|code| code.parse().ok());
                char::from_u32(code.expect("a reference is a number")).expect("of a character")
            }
        });
        text.push_str(after);
    }
    text
}
