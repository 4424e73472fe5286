//! The board's panel, as a program uses it.

use std::time::{Duration, Instant};

use serde_json::{Value, json};

use crate::harness::board::Desk;
use crate::harness::{PATIENCE, http, until, within};

fn keys(value: &Value) -> Vec<&str> {
    value
        .as_object()
        .expect("an object")
        .keys()
        .map(String::as_str)
        .collect()
}

fn mqtt_of(state: &Value) -> &str {
    state["mqtt"]["state"].as_str().expect("a text")
}

pub(crate) fn shows_the_state_as_promised() {
    let desk = Desk::new();
    let board = desk.board_at_home().start();
    let mut states = vec![board.state()];
    within(PATIENCE, "the device is online", || {
        let state = board.state();
        let is_online = state["mqtt"]["state"] == "online";
        states.push(state);
        is_online.then_some(())
    });
    for state in &states {
        assert_eq!(
            keys(state),
            [
                "access_point",
                "broker",
                "display",
                "mqtt",
                "pins",
                "portal",
                "uptime_ms",
                "wifi"
            ]
        );
        assert_eq!(keys(&state["wifi"]), ["ip", "ssid", "state"]);
        let wifi = state["wifi"]["state"].as_str().expect("a text");
        assert!(
            ["starting", "joining", "portal", "online"].contains(&wifi),
            "{state}"
        );
        for field in ["ip", "ssid"] {
            let value = &state["wifi"][field];
            assert!(value.is_string() || value.is_null(), "{state}");
        }
        assert_eq!(state["wifi"]["ip"].is_string(), wifi == "online", "{state}");
        // It takes a moment to start, beside the device.
        assert!(state["broker"].is_boolean());
        assert!(
            state["broker"] == true || mqtt_of(state) != "online",
            "{state}"
        );
        assert_eq!(keys(&state["mqtt"]), ["state"]);
        let mqtt = mqtt_of(state);
        assert!(
            ["offline", "connecting", "online"].contains(&mqtt),
            "{state}"
        );
        assert!(state["portal"].is_boolean());
        assert_eq!(keys(&state["access_point"]), ["password", "ssid"]);
        assert_eq!(keys(&state["pins"]["14"]), ["direction", "level"]);
        assert_eq!(state["pins"]["14"], json!({"direction": "out", "level": 0}));
        assert_eq!(state["pins"]["0"], json!({"direction": "in", "level": 1}));
        assert!(state["display"].is_string());
    }
    let times: Vec<_> = states
        .iter()
        .map(|state| state["uptime_ms"].as_u64().expect("whole milliseconds"))
        .collect();
    assert!(times.is_sorted(), "{times:?}");

    let page = http::get(board.panel(), "/");
    assert_eq!(page.status, 200);
    assert!(
        page.header("content-type")
            .is_some_and(|kind| kind.starts_with("text/html"))
    );
    until("the log is there", || {
        board.log().contains("online") || board.log().contains("joined")
    });
    let log = http::get(board.panel(), "/api/log");
    assert!(
        log.header("content-type")
            .is_some_and(|kind| kind.starts_with("text/plain"))
    );
}

pub(crate) fn answers_what_it_cannot_do_with_an_error() {
    let desk = Desk::new();
    let board = desk.board().start();
    let json_kind: &[(&str, &str)] = &[("Content-Type", "application/json")];
    let bad: &[(&str, &str, &str)] = &[
        ("GET", "/api/nothing", ""),
        ("GET", "/nothing", ""),
        ("GET", "/api/air", ""),
        ("DELETE", "/api/state", ""),
        ("POST", "/api/state", "{}"),
        ("POST", "/api/air", ""),
        ("POST", "/api/air", "{"),
        ("POST", "/api/air", "[]"),
        ("POST", "/api/air", "{\"up\": true}"),
        ("POST", "/api/air", "{\"ssid\": 5}"),
        ("POST", "/api/air", "{\"ssid\": \"\"}"),
        (
            "POST",
            "/api/air",
            "{\"ssid\": \"sssssssssssssssssssssssssssssssss\"}",
        ),
        ("POST", "/api/air", "{\"ssid\": \"Home\", \"up\": \"yes\"}"),
        ("POST", "/api/air", "{\"ssid\": \"Home\", \"channel\": 0}"),
        ("POST", "/api/air", "{\"ssid\": \"Home\", \"channel\": 300}"),
        ("POST", "/api/air", "{\"ssid\": \"Home\", \"rssi\": 1000}"),
        (
            "POST",
            "/api/air",
            "{\"ssid\": \"Home\", \"password\": \"short\"}",
        ),
        ("POST", "/api/pins/0", "{\"level\": 2}"),
        ("POST", "/api/pins/0", "{\"level\": \"high\"}"),
        ("POST", "/api/pins/0", "{}"),
        ("POST", "/api/pins/14", "{\"level\": 1}"),
        ("POST", "/api/pins/99", "{\"level\": 1}"),
        ("POST", "/api/pins/x", "{\"level\": 1}"),
        ("POST", "/api/broker", "{}"),
        ("POST", "/api/broker", "{\"up\": 1}"),
        ("POST", "/api/power", "{\"action\": \"explode\"}"),
        ("POST", "/api/power", "{}"),
    ];
    let mut wrong = Vec::new();
    for (method, path, body) in bad {
        let answer = http::request(board.panel(), method, path, json_kind, body.as_bytes());
        let is_json = answer
            .header("content-type")
            .is_some_and(|kind| kind.starts_with("application/json"));
        let names_it = is_json
            && answer.json()["error"]
                .as_str()
                .is_some_and(|text| text.len() > 5);
        if !(400..500).contains(&answer.status) || !names_it {
            wrong.push(format!(
                "{method} {path} {body}: {} {}",
                answer.status,
                answer.text()
            ));
        }
    }
    assert!(wrong.is_empty(), "{wrong:#?}");
    let huge = vec![b' '; 10_000_000];
    let answer = http::request(board.panel(), "POST", "/api/air", json_kind, &huge);
    assert_eq!(answer.status, 413, "{answer:?}");
    // A page somewhere else may not press buttons.
    let foreign = [
        ("Content-Type", "application/json"),
        ("Origin", "http://evil.example"),
    ];
    let answer = http::request(
        board.panel(),
        "POST",
        "/api/power",
        &foreign,
        b"{\"action\":\"cycle\"}",
    );
    assert_eq!(answer.status, 403, "{answer:?}");
    assert_eq!(board.state()["pins"]["14"]["level"], 0);
}

pub(crate) fn adds_and_changes_access_points() {
    let desk = Desk::new();
    let board = desk.board().air(&[]).start();
    board.await_portal();
    board.air(&json!({"ssid": "Fresh"}));
    let sees = |expected: Value| {
        let what = expected.to_string();
        until(&what, || {
            // A person who misses something asks again; each scan takes 2 s.
            http::request(board.portal, "POST", "/rescan", &[], b"");
            let asked = Instant::now();
            while asked.elapsed() < Duration::from_secs(3) {
                if http::get(board.portal, "/networks.json").json() == expected {
                    return true;
                }
                std::thread::sleep(Duration::from_millis(50));
            }
            false
        });
    };
    sees(json!([{"ssid": "Fresh", "channel": 1, "rssi": -50, "auth": "open"}]));
    board.air(&json!({"ssid": "Fresh", "password": "now closed", "rssi": -61, "channel": 9}));
    sees(json!([{"ssid": "Fresh", "channel": 9, "rssi": -61, "auth": "wpa2"}]));
    board.air(&json!({"ssid": "Fresh", "hidden": true}));
    sees(json!([]));
    board.air(&json!({"ssid": "Fresh", "hidden": false, "up": false}));
    sees(json!([]));
    board.air(&json!({"ssid": "Fresh", "up": true, "password": "and changed"}));
    sees(json!([{"ssid": "Fresh", "channel": 9, "rssi": -61, "auth": "wpa2"}]));
    board.submit("Fresh", "now closed");
    assert_eq!(board.await_result()["reason"], "wrong_password");
    board.submit("Fresh", "and changed");
    assert_eq!(board.await_result()["state"], "online");
}

pub(crate) fn can_be_off() {
    let desk = Desk::new();
    let board = desk.board().flag("--panel", "off").start();
    until("the portal is there without it", || {
        http::listens(board.portal) && http::get(board.portal, "/status.json").status == 200
    });
}
