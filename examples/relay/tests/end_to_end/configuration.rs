//! Configurations and networks that are put on a device.

use std::process::Command;

use serde_json::Value;

use crate::harness::air::{HOME, HOME_PASSWORD, Network};
use crate::harness::board::{Desk, Start};
use crate::harness::mosquitto::Subscriber;
use crate::harness::{http, until};

/// One line on stderr and status 2.
fn refused(start: &Start<'_>) -> String {
    let (status, said) = start.refused();
    assert_eq!(status, 2, "{said}");
    assert_eq!(said.lines().count(), 1, "{said:?}");
    said
}

pub(crate) fn replaces_the_one_before_and_stays() {
    let desk = Desk::new();
    let first = "[device]\nname = \"first\"\n[mqtt]\nheartbeat = 1\nheartbeat_message = \"one\"\n";
    let board = desk.board_at_home().config(first).start();
    board.await_online();
    Subscriber::new(board.broker(), "#").next(0, "bluebell/first/heartbeat", "one");
    board.kill();

    // Without the flag it is still in force.
    let board = desk.board().start();
    board.await_online();
    assert_eq!(board.state()["access_point"]["ssid"], "first");
    Subscriber::new(board.broker(), "#").next(0, "bluebell/first/heartbeat", "one");
    board.kill();

    // The next one replaces it whole: what it leaves out has its default.
    let second = "[device]\nname = \"second\"\n[mqtt]\nheartbeat = 1\n";
    let board = desk.board().config(second).start();
    board.await_online();
    Subscriber::new(board.broker(), "#").next(0, "bluebell/second/heartbeat", "alive");
    // It survives a power cut that comes right away.
    board.kill();
    let board = desk.board().start();
    board.await_online();
    assert_eq!(board.state()["access_point"]["ssid"], "second");
}

pub(crate) fn that_is_wrong_is_refused_with_key_and_line() {
    let desk = Desk::new();
    let board = desk
        .board_at_home()
        .config("[device]\nname = \"good\"\n")
        .start();
    board.await_online();
    board.kill();
    for (text, key, line) in [
        ("[mqtt]\nkeep_alive = 4\n", "keep_alive", 2),
        ("[mqtt]\n\nkeep_alive = 65536\n", "keep_alive", 3),
        ("[mqtt]\nkeep_alive = \"30\"\n", "keep_alive", 2),
        ("[mqtt]\nport = 70000\n", "port", 2),
        ("# one\n[device]\nname = \"no spaces please\"\n", "name", 3),
        ("[device]\ntimezone = \"Nowhere/Nothing\"\n", "timezone", 2),
        ("[log]\nlevel = \"loud\"\n", "level", 2),
        ("[log]\nprint = 1\n", "print", 2),
        ("[access_point]\npassword = \"short\"\n", "password", 2),
        ("[wifi]\ncountry = \"Norway\"\n", "country", 2),
        ("[wifi]\nportal_after = -1\n", "portal_after", 2),
        (
            "[wifi]\nportal_after = 1\nportal_after = 2\n",
            "portal_after",
            3,
        ),
        ("[mqtt]\nhots = \"broker\"\n", "hots", 2),
        ("[device]\n[nonsense]\nkey = 1\n", "nonsense", 2),
        ("[device\nname = \"x\"\n", "", 1),
        ("[mqtt]\nhost = \"unfinished\n", "", 2),
    ] {
        let said = refused(&desk.board().config(text));
        assert!(said.contains(key), "{text:?} names {key}: {said}");
        assert!(
            said.contains(&format!("line {line}")),
            "{text:?} names line {line}: {said}"
        );
        assert!(said.contains("config.toml"), "it names the file: {said}");
    }
    let noise = desk.write("config.toml", [0xFF, 0xFE, 0, b'=', 0x80]);
    refused(&desk.board().flag("--config", noise));
    let huge = format!("# {}\n", "x".repeat(1_000_000));
    refused(&desk.board().config(&huge));

    // The last good one stays.
    let board = desk.board().start();
    board.await_online();
    assert_eq!(board.state()["access_point"]["ssid"], "good");
}

pub(crate) fn names_the_access_point() {
    let desk = Desk::new();
    let text = "[access_point]\nssid = \"Set me up\"\npassword = \"tell nobody\"\n";
    let board = desk.board().config(text).start();
    board.await_portal();
    let shown = board.state()["access_point"].clone();
    assert_eq!(shown["ssid"], "Set me up");
    assert_eq!(shown["password"], "tell nobody");
    assert!(!desk.holds_in_clear("tell nobody"), "it is sealed");
    board.kill();
    let board = desk.board().start();
    board.await_portal();
    assert_eq!(board.state()["access_point"], shown);
    board.kill();

    let board = desk
        .board()
        .config("[access_point]\npassword = \"\"\n")
        .start();
    board.await_portal();
    let password = board.state()["access_point"]["password"].clone();
    assert!(
        password == "" || password == Value::Null,
        "an open one: {password}"
    );
}

pub(crate) fn of_networks_is_taken_in_and_sealed() {
    let desk = Desk::new();
    let networks = [
        (HOME, HOME_PASSWORD),
        ("Blåbær \"☕\" 100%", "smør brød %41\\"),
        ("Open one", ""),
    ];
    let air: Vec<_> = networks
        .iter()
        .map(|(ssid, password)| Network::new(ssid, password).down())
        .collect();
    let start = desk.board().air(&air).knowing(&networks);
    let original = std::fs::read(desk.path("wifi.json")).expect("the file");
    let board = start.start();
    board.await_portal();
    for (ssid, _) in networks {
        board.set_network(ssid, true);
        until("it is joined by itself", || {
            let state = board.state();
            state["wifi"]["ssid"] == ssid && state["wifi"]["state"] == "online"
        });
        board.set_network(ssid, false);
    }
    for (_, password) in &networks[..2] {
        assert!(!desk.holds_in_clear(password), "{password} is in clear");
        assert!(!board.console.text().contains(password));
        assert!(!board.log().contains(password));
    }
    // Neither in the form in which it was written.
    assert!(!desk.holds_in_clear("smør"));
    board.kill();
    let after = std::fs::read(desk.path("wifi.json")).expect("the file is left alone");
    assert_eq!(after, original);

    // It need not be given again.
    let board = desk.board().start();
    board.await_online();
}

pub(crate) fn of_networks_that_is_wrong_is_refused_and_harms_nothing() {
    let desk = Desk::new();
    desk.board_at_home().start().await_online();
    let long = format!("{{\"{}\": \"long enough\"}}", "s".repeat(33));
    let deep = "[".repeat(100_000);
    for text in [
        "",
        "{",
        "[]",
        "{\"a\": 5}",
        "{\"a\": \"short\"}",
        "{\"\": \"long enough\"}",
        "{\"a\": \"long enough\"} and more",
        "{\"a\" \"long enough\"}",
        "{\"a\": \"unfinished",
        "{\"a\": \"\\ud800 surrogate\"}",
        long.as_str(),
        deep.as_str(),
    ] {
        let path = desk.write("bad.json", text);
        let said = refused(&desk.board().flag("--provision", path));
        assert!(said.contains("bad.json"), "it names the file: {said}");
        assert!(
            !said.contains("long enough"),
            "it shows no password: {said}"
        );
    }
    desk.board().start().await_online();
}

pub(crate) fn displaces_no_proven_password() {
    let desk = Desk::new();
    desk.board_at_home().start().await_online();
    let board = desk.board().knowing(&[(HOME, "wrong but new")]).start();
    board.await_online();
    board.kill();
    desk.board().start().await_online();
}

pub(crate) fn is_served_to_nobody() {
    let desk = Desk::new();
    let text = "[mqtt]\nuser = \"me\"\npassword = \"my own secret\"\n";
    let board = desk
        .board()
        .knowing(&[("Far away", "a far secret")])
        .config(text)
        .start();
    board.await_portal();
    for path in [
        "/",
        "/setup",
        "/plain",
        "/status.json",
        "/networks.json",
        "/config",
        "/config.new",
    ] {
        let body = http::get(board.portal, path).text();
        assert!(!body.contains("secret"), "{path}: {body}");
    }
    let state = board.state().to_string();
    assert!(!state.contains("secret"), "{state}");
    assert!(!board.log().contains("secret"));
    assert!(!board.console.text().contains("secret"));
    for secret in ["my own secret", "a far secret"] {
        until("it is sealed", || !desk.holds_in_clear(secret));
    }
}

pub(crate) fn shows_every_key_in_the_shipped_file() {
    // The shipped file is a good one, and says what is in force anyway.
    let desk = Desk::new();
    let shipped = concat!(env!("CARGO_MANIFEST_DIR"), "/config.toml");
    let text = std::fs::read_to_string(shipped).expect("the shipped file");
    for key in [
        "name",
        "timezone",
        "level",
        "print",
        "size",
        "ssid",
        "password",
        "portal_after",
        "country",
        "host",
        "port",
        "user",
        "client_id",
        "keep_alive",
        "base_topic",
        "heartbeat",
        "heartbeat_message",
        "keep_session",
        "server",
    ] {
        let line = format!("{key} = ");
        assert!(text.lines().any(|known| known.starts_with(&line)), "{key}");
    }
    let board = desk.board_at_home().flag("--config", shipped).start();
    board.await_online();
}

pub(crate) fn can_be_told_by_make() {
    let root = concat!(env!("CARGO_MANIFEST_DIR"), "/../..");
    let output = Command::new("make")
        .args(["-n", "run", "ARGS=--panel off", "APP=relay"])
        .current_dir(root)
        .output()
        .expect("make runs");
    let line = String::from_utf8_lossy(&output.stdout).into_owned();
    for part in ["cargo run", "--release", "relay", "-- --panel off"] {
        assert!(line.contains(part), "{line}");
    }
}
