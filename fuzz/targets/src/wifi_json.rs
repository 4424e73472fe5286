//! `wifi.json`, held against serde_json: both take the same files and find the same in them.

use std::fmt;

use bluebell::provision::Provision;
use bluebell::wifi::{Password, Ssid};
use serde::Deserializer as _;
use serde::de::{MapAccess, Visitor};

/// The input is the file.
pub(crate) fn run(input: &[u8]) {
    let expected = read(input);
    match (Provision::new(input), expected) {
        (Ok(provision), Some(expected)) => {
            let found: Vec<(String, String)> = provision
                .networks()
                .map(|(ssid, password)| (ssid.as_str().into(), password.reveal().into()))
                .collect();
            assert_eq!(found, expected);
        }
        (Err(error), None) => {
            let lines = 1 + input.iter().filter(|byte| **byte == b'\n').count();
            assert!((1..=lines).contains(&error.line), "{error:?}");
            assert!((1..=input.len() + 1).contains(&error.column), "{error:?}");
            assert!(!error.to_string().is_empty());
        }
        (Ok(_), None) => panic!("taken, and it is no file of networks"),
        (Err(error), Some(expected)) => panic!("{error}, and it says {expected:?}"),
    }
}

/// The entries in order, of several with one name the last, as another reader finds them.
fn read(file: &[u8]) -> Option<Vec<(String, String)>> {
    struct Entries;
    impl<'de> Visitor<'de> for Entries {
        type Value = Vec<(String, String)>;
        fn expecting(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
            formatter.write_str("an object of texts")
        }
        fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Self::Value, A::Error> {
            let mut entries: Self::Value = Vec::new();
            while let Some(entry) = map.next_entry()? {
                entries.push(entry);
            }
            Ok(entries)
        }
    }
    let file = file.strip_prefix("\u{feff}".as_bytes()).unwrap_or(file);
    let mut reader = serde_json::Deserializer::from_slice(file);
    let mut entries = reader.deserialize_map(Entries).ok()?;
    reader.end().ok()?;
    let allowed = |(ssid, password): &(String, String)| {
        Ssid::new(ssid).is_ok() && Password::new(password).is_ok()
    };
    if !entries.iter().all(allowed) {
        return None;
    }
    let names: Vec<String> = entries.iter().map(|(ssid, _)| ssid.clone()).collect();
    let mut index = 0;
    entries.retain(|(ssid, _)| {
        index += 1;
        !names[index..].contains(ssid)
    });
    Some(entries)
}
