//! Command line, console, panel and power.

use std::io::Write;
use std::net::{TcpListener, TcpStream};
use std::process::Stdio;
use std::time::{Duration, Instant};

use crate::support::{Running, command, eventually, free_address, refused, request};
use serde_json::json;
use tempfile::tempdir;

#[test]
fn it_starts_with_no_input_says_where_it_is_and_ends_with_0_on_a_signal() {
    for signal in ["TERM", "INT"] {
        let state = tempdir().unwrap();
        let mut board = Running::start(&state);
        board.input = None;
        assert!(
            board
                .line("board: state")
                .ends_with(state.path().to_str().unwrap())
        );
        board.line("boot 1 after power on");
        board.signal(signal);
        assert_eq!(board.ended().code(), Some(0));
    }
}

#[test]
fn a_wrong_flag_file_or_address_is_one_line_and_status_2() {
    let folder = tempdir().unwrap();
    let file = |name: &str, text: &str| {
        let path = folder.path().join(name);
        std::fs::write(&path, text).unwrap();
        path.to_str().unwrap().to_owned()
    };
    let state = folder.path().join("state");
    let state = state.to_str().unwrap();
    let taken = TcpListener::bind("127.0.0.1:0").unwrap();
    let taken = taken.local_addr().unwrap().to_string();
    let air = file("air.toml", "[[network]]\nssid = 'A'\nwidth = 1\n");
    let config = file("config.toml", "[mqtt]\nport = 'many'\n");
    let wifi = file("wifi.json", "[1, 2]");
    for (arguments, named, remedy) in [
        (["--bell", "1"], "--bell", "--help"),
        (["--panel", "nowhere"], "nowhere", "or off"),
        (
            ["--panel", taken.as_str()],
            taken.as_str(),
            "give another --panel",
        ),
        (["--portal", &taken], &taken, "give another --portal"),
        (["--broker", &taken], &taken, "--broker off"),
        (
            ["--portal", "192.0.2.1:80"],
            "192.0.2.1:80",
            "of this machine",
        ),
        (["--state", &air], "air.toml", "--state"),
        (["--air", "/nowhere/air"], "/nowhere/air", "--air"),
        (["--air", &air], "line 3", "width"),
        (
            ["--config", "/nowhere/config"],
            "/nowhere/config",
            "another file",
        ),
        (["--config", &config], "line 2", "port"),
        (
            ["--provision", "/nowhere/wifi"],
            "/nowhere/wifi",
            "another file",
        ),
        (["--provision", &wifi], "wifi.json", "another file"),
    ] {
        let mut all = vec![
            "--broker",
            "off",
            "--panel",
            "off",
            "--portal",
            "127.0.0.1:0",
        ];
        all.extend(["--state", state]);
        // The flag in question is given once.
        if let Some(at) = all.iter().position(|flag| *flag == arguments[0]) {
            all.drain(at..at + 2);
        }
        all.extend(arguments);
        let (status, line) = refused(&all);
        assert_eq!(status, Some(2), "{line}");
        assert!(line.contains(named) && line.contains(remedy), "{line}");
    }
}

#[test]
fn two_boards_do_not_share_a_state() {
    let state = tempdir().unwrap();
    let _board = Running::start(&state);
    let path = state.path().to_str().unwrap();
    let (status, line) = refused(&[
        "--state",
        path,
        "--portal",
        "127.0.0.1:0",
        "--broker",
        "off",
    ]);
    assert_eq!(status, Some(2));
    assert!(line.contains(path) && line.contains("--state"), "{line}");
}

#[test]
fn the_state_is_the_contracts() {
    let state = tempdir().unwrap();
    let board = Running::start(&state);
    board.until("/display", "12:30");
    board.until("/wifi/state", "online");
    board.until("/mqtt/state", "online");
    let mut seen = board.state();
    let uptime = seen.as_object_mut().unwrap().remove("uptime_ms").unwrap();
    assert!(uptime.is_u64());
    let out = |level| json!({ "direction": "out", "level": level });
    assert_eq!(
        seen,
        json!({
            "wifi": { "state": "online", "ssid": "Cafe", "ip": "192.168.71.20" },
            "broker": true,
            "mqtt": { "state": "online" },
            "portal": true,
            "access_point": { "ssid": "bare-c0ffee", "password": "<b>&amp; \"quoted\"" },
            "pins": {
                "0": { "direction": "in", "level": 1 },
                "4": out(1), "5": out(1), "14": out(0),
            },
            "display": "12:30",
        })
    );
    let log = board.get("/api/log");
    assert!(log.head.contains("content-type: text/plain"));
    assert!(log.body.contains("boot 1 after power on"), "{}", log.body);
    assert!(board.get("/").body.contains("<!doctype html>"));
}

#[test]
fn presses_that_follow_each_other_at_once_are_all_seen() {
    let state = tempdir().unwrap();
    let mut board = Running::start(&state);
    board.until("/pins/14/level", 0);
    for _ in 0..3 {
        board.post("/api/pins/0", r#"{"level":0}"#);
        assert_eq!(
            board.post("/api/pins/0", r#"{"level":1}"#).json()["pins"]["0"]["level"],
            1
        );
    }
    eventually(
        || {
            board.input.as_mut().unwrap().write_all(b"count\n").unwrap();
            board.line("presses so far").ends_with("3")
        },
        "the third press",
    );
    assert_eq!(board.state()["pins"]["14"]["level"], 1);
}

#[test]
fn bad_requests_are_json_errors_with_a_4xx_status() {
    let state = tempdir().unwrap();
    let board = Running::start(&state);
    board.until("/pins/14/level", 0);
    let long = format!(r#"{{"level":{}}}"#, " ".repeat(20_000));
    for (path, body, status) in [
        ("/api/pins/0", "", 400),
        ("/api/pins/0", "{", 400),
        ("/api/pins/0", "[]", 400),
        ("/api/pins/0", "{}", 400),
        ("/api/pins/0", r#"{"level":2}"#, 400),
        ("/api/pins/0", r#"{"level":true}"#, 400),
        ("/api/pins/0", r#"{"level":0,"force":1}"#, 400),
        ("/api/pins/0", "{\"level\":\"\u{fc}\"}", 400),
        ("/api/pins/0", &long, 413),
        ("/api/pins/14", r#"{"level":0}"#, 409),
        ("/api/pins/2", r#"{"level":0}"#, 404),
        ("/api/pins/99999999999999999999", r#"{"level":0}"#, 404),
        ("/api/pins/-1", r#"{"level":0}"#, 404),
        ("/api/pins/%ff", r#"{"level":0}"#, 404),
        ("/api/air", r#"{"up":true}"#, 400),
        ("/api/air", r#"{"ssid":""}"#, 400),
        ("/api/air", r#"{"ssid":"Cafe","password":"short"}"#, 400),
        ("/api/air", r#"{"ssid":"Cafe","channel":0}"#, 400),
        ("/api/air", r#"{"ssid":"Cafe","rssi":-1000}"#, 400),
        ("/api/air", r#"{"ssid":"Cafe","speed":1}"#, 400),
        ("/api/broker", r#"{"up":1}"#, 400),
        ("/api/power", r#"{"action":"explode"}"#, 400),
        ("/api/nothing", "{}", 404),
        ("/api/state", "{}", 405),
        ("/", "{}", 405),
    ] {
        let answer = board.post(path, body);
        assert_eq!(answer.status, status, "{path} {body:.40}: {}", answer.body);
        let error = answer.json()["error"].as_str().map(str::to_owned);
        assert!(
            error.is_some_and(|text| !text.is_empty()),
            "{path} {body:.40}"
        );
    }
    assert_eq!(board.get("/api/power").status, 405);
    assert!(board.state()["wifi"].is_object());
}

#[test]
fn other_web_pages_are_kept_out() {
    let state = tempdir().unwrap();
    let board = Running::start(&state);
    let head = |method: &str, more: &str| format!("{method} /api/power HTTP/1.1\r\n{more}");
    let body = r#"{"action":"cycle"}"#;
    for headers in [
        format!("Host: {}\r\nOrigin: http://evil.example\r\n", board.panel),
        "Host: rebound.example\r\nOrigin: http://rebound.example\r\n".into(),
    ] {
        let answer = request(board.panel, &head("POST", &headers), body);
        assert_eq!(answer.status, 403, "{}", answer.body);
        assert!(answer.json()["error"].is_string());
    }
    let port = board.panel.port();
    let own = format!("Host: localhost:{port}\r\nOrigin: http://localhost:{port}\r\n");
    assert_eq!(request(board.panel, &head("POST", &own), body).status, 200);
}

#[test]
fn the_network_goes_and_comes_with_its_access_point() {
    let state = tempdir().unwrap();
    let board = Running::start(&state);
    board.until("/mqtt/state", "online");
    let answer = board.post("/api/air", r#"{"ssid":"Cafe","up":false}"#);
    assert_eq!(answer.status, 200);
    board.until("/wifi/state", "joining");
    board.post("/api/air", r#"{"ssid":"Cafe","up":true,"rssi":-40}"#);
    board.until("/mqtt/state", "online");
    board.post("/api/air", r#"{"ssid":"Cafe","channel":3}"#);
    board.until("/wifi/state", "joining");
    board.until("/wifi/state", "online");
}

#[test]
fn a_power_cycle_starts_anew_and_keeps_the_flash() {
    let state = tempdir().unwrap();
    let mut board = Running::start(&state);
    board.line("boot 1 after power on");
    board.post("/api/pins/0", r#"{"level":0}"#);
    board.until("/pins/14/level", 1);
    let uptime = |board: &Running| {
        let uptime = board.state()["uptime_ms"].as_u64();
        Duration::from_millis(uptime.unwrap())
    };
    eventually(|| uptime(&board) > Duration::from_millis(50), "time");
    let cut = Instant::now();
    let after = board.post("/api/power", r#"{"action":"cycle"}"#);
    assert_eq!(after.status, 200);
    board.line("boot 2 after power cycle");
    assert!(uptime(&board) <= cut.elapsed(), "it counts from the cut");
    board.until("/pins/14/level", 0);
    assert_eq!(board.state()["pins"]["0"]["level"], 0, "it is still held");
    board.process.kill().unwrap();
    board.ended();
    let mut next = Running::start(&state);
    next.line("boot 3 after power on");
}

#[test]
fn a_device_that_hangs_keeps_neither_panel_nor_end_from_working() {
    let state = tempdir().unwrap();
    let mut board = Running::start(&state);
    board.line("boot 1");
    board.input.as_mut().unwrap().write_all(b"hang\n").unwrap();
    let answer = board.post("/api/power", r#"{"action":"cycle"}"#);
    assert!([200, 409].contains(&answer.status), "{}", answer.body);
    assert!(board.state()["uptime_ms"].is_u64());
    board.signal("TERM");
    assert_eq!(board.ended().code(), Some(0));
}

#[test]
fn typed_lines_reach_the_device_and_its_answers_the_panel() {
    let state = tempdir().unwrap();
    let mut board = Running::start(&state);
    board.line("boot 1");
    board
        .input
        .as_mut()
        .unwrap()
        .write_all(b"h\xc3\xa4llo\n")
        .unwrap();
    board.line("echo h\u{e4}llo");
    assert!(board.get("/api/log").body.contains("echo h\u{e4}llo"));
}

#[test]
fn a_closed_or_full_output_does_not_hold_up_the_device() {
    let state = tempdir().unwrap();
    let panel = free_address().to_string();
    let mut process = command(&[
        "--portal",
        "127.0.0.1:0",
        "--broker",
        "off",
        "--panel",
        &panel,
    ])
    .arg("--state")
    .arg(state.path())
    .stdin(Stdio::piped())
    .stdout(Stdio::piped())
    .spawn()
    .unwrap();
    eventually(|| TcpStream::connect(&panel).is_ok(), "the panel");
    let mut input = process.stdin.take().unwrap();
    // Nobody reads: more than a pipe holds is echoed, and then the pipe breaks.
    for _ in 0..2_000 {
        input.write_all(&[b'x'; 100]).unwrap();
        input.write_all(b"\n").unwrap();
    }
    drop(process.stdout.take());
    input.write_all(b"last\n").unwrap();
    let get = || {
        let head = format!("GET /api/log HTTP/1.1\r\nHost: {panel}\r\n");
        request(panel.parse().unwrap(), &head, "").body
    };
    eventually(|| get().contains("last\n"), "the last echo");
    process.kill().unwrap();
    process.wait().unwrap();
}

#[test]
fn config_and_provision_are_handed_to_the_device_and_the_file_is_left_alone() {
    let folder = tempdir().unwrap();
    let config = folder.path().join("config.toml");
    let wifi = folder.path().join("my.json");
    std::fs::write(&config, "[log]\nprint = true\n").unwrap();
    std::fs::write(&wifi, r#"{"Home":"correct horse"}"#).unwrap();
    let state = folder.path().join("state");
    let flags = [
        "--config",
        config.to_str().unwrap(),
        "--provision",
        wifi.to_str().unwrap(),
    ];
    let mut board = Running::start_with(&state, &[&flags[..], &["--broker", "off"]].concat());
    board.line("boot 1 after power on, config Some(19), wifi.json 24");
    assert_eq!(
        std::fs::read_to_string(&wifi).unwrap(),
        r#"{"Home":"correct horse"}"#
    );
    assert_eq!(board.state()["broker"], false);
    assert_eq!(board.post("/api/broker", r#"{"up":true}"#).status, 409);
    board.post("/api/power", r#"{"action":"cycle"}"#);
    board.line("boot 2 after power cycle, config None, wifi.json 24");
}

#[test]
fn a_spoilt_flash_file_is_reported_and_kept() {
    let state = tempdir().unwrap();
    std::fs::write(state.path().join("flash.bin"), b"not a flash").unwrap();
    let mut board = Running::start(&state);
    assert!(board.line("flash.bin.bad-1").contains("erased flash"));
    board.line("boot 1");
}

#[test]
fn the_portal_answers_on_its_address() {
    let state = tempdir().unwrap();
    let board = Running::start(&state);
    board.until("/portal", true);
    eventually(|| TcpStream::connect(board.portal).is_ok(), "the portal");
    let answer = request(board.portal, "GET / HTTP/1.1\r\n", "");
    assert_eq!((answer.status, answer.body.as_str()), (200, "bare"));
}
