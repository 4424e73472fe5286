//! The set-up form: what is submitted is what another decoder finds in it, or nothing.

use bluebell::wifi::{Password, Ssid};

use crate::decoding::{Wrong, decode};
use crate::portal::{Device, ask, head};

/// The longest body that the portal reads.
const LONGEST: usize = 1024;

/// The input is the body of the form.
pub(crate) fn run(input: &[u8]) {
    let device = Device::default();
    let length = input.len();
    let more =
        format!("Accept: application/json\r\nContent-Length: {length}\r\nConnection: close\r\n");
    let mut request = head("POST /connect", &more).into_bytes();
    request.extend_from_slice(input);
    let answers = ask(&device, &request);
    let [answer] = &answers[..] else {
        panic!("one answer to one request: {answers:?}");
    };
    let submitted = device.submitted.take();
    if length > LONGEST {
        assert_eq!((answer.status, submitted.len()), (413, 0));
        return;
    }
    match read(input) {
        Some((ssid, password)) => {
            assert_eq!(answer.status, 202, "{answer:?}");
            assert_eq!(answer.json()["ssid"], ssid.as_str());
            assert_eq!(submitted, [(ssid, password)]);
        }
        None => {
            assert_eq!((answer.status, submitted.len()), (400, 0), "{answer:?}");
            assert!(answer.json()["error"].is_string());
        }
    }
}

/// The network and the password of a form, or nothing when it is not clear.
fn read(body: &[u8]) -> Option<(String, String)> {
    let mut ssid = None;
    let mut password = None;
    for pair in body.split(|byte| *byte == b'&') {
        let mut sides = pair.splitn(2, |byte| *byte == b'=');
        let name = sides.next().unwrap_or_default();
        let value = sides.next().unwrap_or_default();
        let place = match decode(name, true, 8) {
            Ok(name) if name == "ssid" => &mut ssid,
            Ok(name) if name == "password" => &mut password,
            // A name that is longer than any of the form's is none of them.
            Ok(_) | Err(Wrong::TooLong) => continue,
            Err(Wrong::Escape | Wrong::NotUtf8) => return None,
        };
        if place.replace(decode(value, true, 64).ok()?).is_some() {
            return None;
        }
    }
    let (ssid, password) = (ssid?, password.unwrap_or_default());
    let allowed = Ssid::new(&ssid).is_ok() && Password::new(&password).is_ok();
    allowed.then_some((ssid, password))
}
