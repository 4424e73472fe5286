//! Every system's question whether it is online, before the device is and after.

use bluebell::wifi::{JoinFailure, JoinStep, SubmissionState};
use serde_json::Value as Json;
use toml::{Table, Value};

use crate::world::*;

fn probes() -> Vec<Table> {
    let data: Table = include_str!("captive.toml").parse().unwrap();
    let list = data["probe"].as_array().unwrap();
    list.iter()
        .map(|probe| probe.as_table().unwrap().clone())
        .collect()
}

fn text<'t>(probe: &'t Table, key: &str) -> &'t str {
    probe[key].as_str().unwrap()
}

fn place(probe: &Table) -> (&str, String) {
    let url = text(probe, "url").strip_prefix("http://").unwrap();
    let (host, path) = url.split_once('/').unwrap();
    (host, format!("/{path}"))
}

#[test]
fn each_system_shows_its_sign_in_window_until_the_device_is_online() {
    with_portal(async |world| {
        for state in [
            SubmissionState::Idle,
            SubmissionState::Joining(JoinStep::Joining),
            SubmissionState::Failed(JoinFailure::WrongPassword),
        ] {
            world.device.state(state);
            for probe in probes() {
                let (host, path) = place(&probe);
                let answer = world.person().typing(host).get(&path).await.unwrap();
                let system = text(&probe, "system");
                assert_eq!(answer.status, 302, "{system}");
                assert_eq!(
                    answer.header("Location"),
                    Some("http://192.168.4.1/"),
                    "{system}"
                );
                assert_eq!(answer.header("Cache-Control"), Some("no-store"), "{system}");
            }
        }
    });
}

#[test]
fn the_api_that_dhcp_names_says_whether_the_phone_is_captive() {
    with_portal(async |world| {
        for (state, captive) in [
            (SubmissionState::Idle, true),
            (SubmissionState::Joining(JoinStep::Address), true),
            (SubmissionState::Online([10, 0, 0, 7].into()), false),
        ] {
            world.device.state(state);
            let answer = world.person().get("/captive.json").await.unwrap();
            assert_eq!(answer.status, 200);
            let kind = answer.header("Content-Type");
            assert_eq!(kind, Some("application/captive+json"));
            assert_eq!(answer.header("Cache-Control"), Some("no-store"));
            let told: Json = serde_json::from_slice(&answer.body).unwrap();
            let expected =
                serde_json::json!({"captive": captive, "user-portal-url": "http://192.168.4.1/"});
            assert_eq!(told, expected);
        }
        assert_eq!(world.device.online_served.get(), 0);
    });
}

#[test]
fn each_systems_window_closes_itself_once_the_device_is_online() {
    with_portal(async |world| {
        world
            .device
            .state(SubmissionState::Online([10, 0, 0, 7].into()));
        for probe in probes() {
            let (host, path) = place(&probe);
            let answer = world.person().typing(host).get(&path).await.unwrap();
            let system = text(&probe, "system");
            let status = probe["status"].as_integer().unwrap();
            assert_eq!(i64::from(answer.status), status, "{system}");
            let body = probe.get("body").and_then(Value::as_str);
            if let Some(part) = probe.get("holds").and_then(Value::as_str) {
                assert!(answer.text().contains(part), "{system}");
            } else {
                assert_eq!(answer.text(), body.unwrap_or_default(), "{system}");
            }
            if status == 204 {
                assert_eq!(answer.header("Content-Length"), None, "{system}");
            }
            assert_eq!(answer.header("Cache-Control"), Some("no-store"), "{system}");
        }
        // Other pages of other hosts are still led here, and a question seen is nobody at the page.
        let other = world.person().typing("example.com").get("/").await.unwrap();
        assert_eq!(other.status, 302);
        assert_eq!(
            (world.device.seen.get(), world.device.online_served.get()),
            (0, 0)
        );
    });
}
