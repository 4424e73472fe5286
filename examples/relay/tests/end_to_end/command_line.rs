//! Starting and ending the program.

use std::net::{Ipv4Addr, SocketAddr, TcpListener};
use std::time::{Duration, Instant};

use rustix::process::Signal;

use crate::harness::board::{Board, Desk, Start};
use crate::harness::mosquitto::Mosquitto;
use crate::harness::{SLACK, http, until, within};

fn refused(start: &Start<'_>, parts: &[&str]) {
    let (status, said) = start.refused();
    assert_eq!(status, 2, "{said}");
    assert_eq!(said.lines().count(), 1, "one line: {said:?}");
    for part in parts {
        assert!(said.contains(part), "it names {part}: {said}");
    }
}

pub(crate) fn names_its_addresses_within_two_seconds() {
    let desk = Desk::new();
    let start = Instant::now();
    let board = desk.board().start();
    let took = start.elapsed();
    assert!(took < Duration::from_secs(2) + SLACK, "{took:?}");
    let said = board.console.text();
    assert!(
        said.contains(&format!("http://{}", board.panel())),
        "{said}"
    );
    assert!(said.contains(&format!("http://{}", board.portal)), "{said}");
    assert!(
        said.contains(&format!("mqtt://{}", board.broker())),
        "{said}"
    );
    // The access point's name and password are for the person in front of it.
    board.await_portal();
    let state = board.state();
    for field in ["ssid", "password"] {
        let text = state["access_point"][field].as_str().expect("a text");
        until("the console shows it", || {
            board.console.text().contains(text)
        });
    }
}

pub(crate) fn refuses_wrong_flags() {
    let desk = Desk::new();
    refused(&desk.board().bare("--nonsense"), &["--nonsense", "--help"]);
    refused(&desk.board().bare("surplus"), &["surplus"]);
    for flag in ["--panel", "--portal", "--broker"] {
        for value in [
            "",
            "nowhere",
            "127.0.0.1",
            "127.0.0.1:",
            "127.0.0.1:65536",
            "300.0.0.1:1",
        ] {
            refused(&desk.board().flag(flag, value), &[flag]);
        }
    }
    refused(&desk.board().flag("--portal", "off"), &["--portal"]);
    refused(&desk.board().without("--air").bare("--air"), &["--air"]);
    let start = desk.board().without("--state");
    refused(&start.flag("--state", "/proc/nowhere"), &["/proc/nowhere"]);
}

pub(crate) fn refuses_files_that_are_not_there_or_not_right() {
    let desk = Desk::new();
    for flag in ["--air", "--config", "--provision"] {
        refused(
            &desk.board().flag(flag, "missing.file"),
            &[flag, "missing.file"],
        );
        // A directory is no file.
        refused(&desk.board().flag(flag, "/"), &[flag]);
    }
    for (text, parts) in [
        ("[[network]]\nssid = 5\n", &["line 2"][..]),
        ("[[network]]\nchannel = 5\n", &["ssid"][..]),
        ("[[network]]\nssid = \"\"\n", &["ssid"]),
        (
            "[[network]]\nssid = \"sssssssssssssssssssssssssssssssss\"\n",
            &["ssid"],
        ),
        (
            "[[network]]\nssid = \"a\"\npassword = \"short\"\n",
            &["password"],
        ),
        ("[[network]]\nssid = \"a\"\nchannel = 0\n", &["channel"]),
        ("[[network]]\nssid = \"a\"\nrssi = 500\n", &["rssi"]),
        ("[[network]]\nssid = \"a\"\ncolour = 1\n", &["colour"]),
        ("[[network]\nssid = \"a\"\n", &["line 1"]),
        ("network = 1\n", &[]),
    ] {
        let path = desk.write("bad.toml", text);
        let (status, said) = desk.board().flag("--air", path).refused();
        assert_eq!(status, 2, "{text:?}: {said}");
        assert_eq!(said.lines().count(), 1, "{text:?}: {said:?}");
        for part in parts.iter().chain(&["bad.toml"]) {
            assert!(said.contains(part), "{text:?} names {part}: {said}");
        }
    }
}

pub(crate) fn refuses_ports_in_use() {
    let desk = Desk::new();
    let taken = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).expect("a free port");
    let address = taken.local_addr().expect("its address").to_string();
    for flag in ["--panel", "--portal"] {
        refused(&desk.board().flag(flag, &address), &[flag, &address]);
    }
    // Somebody listens there who is no broker.
    refused(
        &desk.board().flag("--broker", &address),
        &["--broker", &address],
    );
}

pub(crate) fn refuses_a_second_board_on_the_same_flash() {
    let desk = Desk::new();
    let board = desk.board_at_home().start();
    board.await_online();
    refused(&desk.board(), &["state", "--state"]);
    board.await_online();
}

pub(crate) fn refuses_an_address_where_another_broker_answers() {
    let broker = Mosquitto::open();
    let address = broker.address.to_string();
    let desk = Desk::new();
    refused(
        &desk.board().flag("--broker", &address),
        &["--broker", &address],
    );
}

pub(crate) fn uses_a_broker_that_already_answers_on_the_default_port() {
    let default = SocketAddr::from((Ipv4Addr::LOCALHOST, 1883));
    // Whoever is there already will do as well.
    let broker = Mosquitto::on(1883);
    until("a broker answers on the default port", || {
        http::listens(default)
    });
    let desk = Desk::new();
    let board = desk.board_at_home().without("--broker").start();
    let lines = board.console.lines();
    let line = lines.iter().find(|line| line.starts_with("board: broker"));
    assert!(
        line.is_some_and(|line| line.contains("127.0.0.1:1883")),
        "{lines:?}"
    );
    board.await_online();
    let (status, _) = board.end_by(Signal::TERM);
    assert_eq!(status, Some(0));
    assert!(http::listens(default), "it was not ours to end");
    drop(broker);
}

/// The processes that this one has started.
fn children(of: u32) -> Vec<u32> {
    let all = std::fs::read_dir("/proc").expect("Linux");
    let ids = all.filter_map(|entry| entry.ok()?.file_name().to_str()?.parse().ok());
    ids.filter(|id| parent_and_state(*id).is_some_and(|(parent, _)| parent == of))
        .collect()
}

fn parent_and_state(id: u32) -> Option<(u32, char)> {
    let text = std::fs::read_to_string(format!("/proc/{id}/stat")).ok()?;
    let (_, rest) = text.rsplit_once(')')?;
    let mut fields = rest.split_whitespace();
    let state = fields.next()?.chars().next()?;
    Some((fields.next()?.parse().ok()?, state))
}

/// Whether a process is gone, or has ended and nobody has asked for its status yet.
fn has_ended(id: u32) -> bool {
    parent_and_state(id).is_none_or(|(_, state)| state == 'Z' || state == 'X')
}

fn ends_with_its_broker(end: impl Fn(Board)) {
    let desk = Desk::new();
    let board = desk.board_at_home().start();
    board.await_online();
    let broker = board.broker();
    let helpers = children(board.id());
    end(board);
    let limit = Duration::from_secs(5) + SLACK;
    within(limit, "its broker ends with it", || {
        let ended = helpers.iter().all(|id| has_ended(*id));
        (ended && !http::listens(broker)).then_some(())
    });
}

pub(crate) fn ends_well_on_ctrl_c() {
    ends_with_its_broker(|board| {
        let (status, said) = board.end_by(Signal::INT);
        assert_eq!(status, Some(0), "{said}");
        assert!(!said.contains("panicked"), "{said}");
    });
}

pub(crate) fn ends_well_on_sigterm() {
    ends_with_its_broker(|board| {
        let (status, said) = board.end_by(Signal::TERM);
        assert_eq!(status, Some(0), "{said}");
        assert!(!said.contains("panicked"), "{said}");
    });
}

pub(crate) fn takes_its_broker_along_when_killed() {
    ends_with_its_broker(Board::kill);
}

pub(crate) fn ends_while_clients_are_held_open() {
    let desk = Desk::new();
    let board = desk.board().start();
    board.await_portal();
    let held: Vec<_> = [board.panel(), board.portal, board.broker()]
        .map(|address| http::connect(address).expect("it listens"))
        .into();
    let start = Instant::now();
    let (status, _) = board.end_by(Signal::TERM);
    assert_eq!(status, Some(0));
    assert!(start.elapsed() < Duration::from_secs(5) + SLACK);
    drop(held);
}
