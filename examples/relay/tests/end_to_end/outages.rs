//! Networks and brokers that go and come.

use std::time::{Duration, Instant};

use serde_json::json;

use crate::harness::air::{HOME, HOME_PASSWORD, Network};
use crate::harness::board::Desk;
use crate::harness::mosquitto::{Subscriber, publish};
use crate::harness::{SLACK, throughout, until, within};
use crate::relay::STATE;

/// The network goes for `outage` and comes back.
fn network_goes_for(outage: Duration) {
    let desk = Desk::new();
    let board = desk.board_at_home().start();
    board.await_online();
    let subscriber = Subscriber::new(board.broker(), "bluebell/+/relay");
    for round in 0..2 {
        board.set_network(HOME, false);
        until("the loss is noticed", || !board.is_online());
        let lost = Instant::now();
        board.press();
        while lost.elapsed() < outage {
            assert!(!board.is_online());
            std::thread::sleep(Duration::from_millis(100));
        }
        board.set_network(HOME, true);
        let limit = Duration::from_secs(3) + SLACK;
        within(limit, "MQTT is online again", || {
            (board.mqtt() == "online").then_some(())
        });
        // What happened offline is told, then commands arrive again.
        let told = if round == 0 { "ON" } else { "OFF" };
        until("the press is told", || {
            subscriber
                .seen()
                .last()
                .is_some_and(|seen| seen.payload == told)
        });
        let level = i64::from(round == 0);
        let opposite = if round == 0 { "OFF" } else { "ON" };
        publish(board.broker(), STATE, opposite, &["-q", "1"]);
        board.await_relay(1 - level);
        publish(board.broker(), STATE, told, &["-q", "1"]);
        board.await_relay(level);
        until("both commands are answered", || {
            let seen = subscriber.seen();
            let answers = seen.iter().rev().map(|seen| seen.payload.as_str());
            answers.take(2).eq([told, opposite])
        });
        // They are acknowledged when a later message was handled. One that is cut off before comes again, and would
        // undo the next press: rumqttd sends it as a new one.
        let later = format!("later {round}");
        publish(board.broker(), STATE, &later, &["-q", "0"]);
        until("a later one is handled", || board.log().contains(&later));
    }
}

pub(crate) fn of_the_network_for_a_moment() {
    network_goes_for(Duration::from_millis(200));
}

pub(crate) fn of_the_network_for_seconds() {
    network_goes_for(Duration::from_secs(7));
}

pub(crate) fn of_the_network_for_half_a_minute() {
    network_goes_for(Duration::from_secs(31));
}

pub(crate) fn of_the_embedded_broker() {
    let desk = Desk::new();
    let board = desk.board_at_home().start();
    board.await_online();
    for outage in [0, 6] {
        board.set_broker(false);
        until("the device notices", || board.mqtt() != "online");
        until("nobody listens there", || {
            !crate::harness::http::listens(board.broker())
        });
        throughout(Duration::from_secs(outage), "Wi-Fi stays", || {
            board.is_online()
        });
        board.press();
        let told = if board.relay() == 1 { "ON" } else { "OFF" };
        board.set_broker(true);
        let limit = Duration::from_secs(3) + SLACK;
        within(limit, "MQTT is online again", || {
            (board.mqtt() == "online").then_some(())
        });
        let subscriber = Subscriber::new(board.broker(), "bluebell/#");
        until("the press is told", || {
            subscriber
                .seen()
                .iter()
                .any(|seen| seen.topic.ends_with("/relay") && seen.payload == told)
        });
        let opposite = if told == "ON" { "OFF" } else { "ON" };
        publish(board.broker(), STATE, opposite, &["-q", "1"]);
        board.await_relay(i64::from(opposite == "ON"));
    }
}

pub(crate) fn of_everything_at_the_first_start() {
    let desk = Desk::new();
    let start = desk.board_at_home().air(&[Network::home().down()]);
    let board = start.start();
    board.set_broker(false);
    board.await_portal();
    board.set_network(HOME, true);
    until("the station joins by itself", || board.is_online());
    assert_ne!(board.mqtt(), "online");
    board.set_broker(true);
    let limit = Duration::from_secs(3) + SLACK;
    within(limit, "MQTT is online", || {
        (board.mqtt() == "online").then_some(())
    });
}

pub(crate) fn open_the_portal_only_after_portal_after() {
    let desk = Desk::new();
    let board = desk
        .board_at_home()
        .config("[wifi]\nportal_after = 6\n")
        .start();
    board.await_online();
    assert_eq!(board.state()["portal"], false);
    board.set_network(HOME, false);
    until("the loss is noticed", || !board.is_online());
    let lost = Instant::now();
    until("the portal opens", || board.state()["portal"] == true);
    let took = lost.elapsed();
    assert!(took > Duration::from_secs(4), "after {took:?}");
    // A round of tries that is under way may end first.
    assert!(took < Duration::from_secs(6) + 2 * SLACK, "after {took:?}");
    until("the panel says so", || board.wifi() == "portal");
    // A person may lead it elsewhere meanwhile.
    board.air(&json!({"ssid": "Neighbour", "password": "let me in"}));
    board.await_portal();
    board.submit("Neighbour", "let me in");
    assert_eq!(board.await_result()["state"], "online");
    board.await_online();
    assert_eq!(board.state()["wifi"]["ssid"], "Neighbour");
    until("the portal closes", || board.state()["portal"] == false);
    // The first one is still known.
    board.set_network("Neighbour", false);
    board.set_network(HOME, true);
    until("it is back home", || {
        let state = board.state();
        state["wifi"]["ssid"] == HOME && state["mqtt"]["state"] == "online"
    });
}

pub(crate) fn lead_to_the_strongest_known_network() {
    let desk = Desk::new();
    let air = [
        Network::new("Weak", "weak password").at(1, -85),
        Network::new("Strong", "strong password").at(11, -45),
        Network::new("Strange", "unknown password").at(6, -20),
        Network::home().at(3, -60),
    ];
    let known = [
        ("Weak", "weak password"),
        (HOME, HOME_PASSWORD),
        ("Strong", "strong password"),
        ("Absent", "absent password"),
    ];
    let board = desk.board().air(&air).knowing(&known).start();
    for expected in ["Strong", HOME, "Weak"] {
        until("it is on the strongest", || {
            let state = board.state();
            state["wifi"]["state"] == "online" && state["wifi"]["ssid"] == expected
        });
        board.set_network(expected, false);
        until("it is lost", || {
            board.state()["wifi"]["ssid"] != expected || !board.is_online()
        });
    }
}

pub(crate) fn include_a_changed_password() {
    let desk = Desk::new();
    let board = desk
        .board_at_home()
        .config("[wifi]\nportal_after = 4\n")
        .start();
    board.await_online();
    board.air(&json!({"ssid": HOME, "up": false}));
    until("the loss is noticed", || !board.is_online());
    board.air(&json!({"ssid": HOME, "up": true, "password": "a new password"}));
    // The old one no longer fits: a person is asked.
    board.await_portal();
    board.submit(HOME, "not this one");
    assert_eq!(board.await_result()["reason"], "wrong_password");
    board.submit(HOME, "a new password");
    assert_eq!(board.await_result()["state"], "online");
    board.kill();
    let air = [Network::new(HOME, "a new password")];
    desk.board().air(&air).start().await_online();
}
