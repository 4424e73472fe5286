//! What the relay example promises, with the board's own broker.

use std::time::{Duration, SystemTime, UNIX_EPOCH};

use serde_json::json;

use crate::harness::board::{Board, Desk};
use crate::harness::mosquitto::{Subscriber, publish, publish_bytes};
use crate::harness::{SLACK, throughout, until, within};

pub(crate) const STATE: &str = "switches/relay-1/state";
const NAMED: &str = "[device]\nname = \"garage\"\n";
const BASE: &str = "bluebell/garage";

fn online(desk: &Desk) -> Board {
    let board = desk.board_at_home().config(NAMED).start();
    board.await_online();
    board
}

pub(crate) fn follows_on_and_off_and_says_so() {
    let desk = Desk::new();
    let board = online(&desk);
    let topic = format!("{BASE}/relay");
    let subscriber = Subscriber::new(board.broker(), "bluebell/#");
    // Its state comes with it.
    let mut from = subscriber.next(0, &topic, "OFF").0;
    for (payload, level) in [("ON", 1), ("OFF", 0), ("ON", 1), ("ON", 1)] {
        publish(board.broker(), STATE, payload, &["-q", "1"]);
        board.await_relay(level);
        from = subscriber.next(from, &topic, payload).0;
    }
    // What is neither changes nothing, and the next one counts.
    for other in ["on", "", "ONN", "TOGGLE"] {
        publish(board.broker(), STATE, other, &["-q", "1"]);
    }
    publish_bytes(board.broker(), STATE, &[0, 0xFF, 0xC0, 0xAF], &["-q", "1"]);
    throughout(Duration::from_secs(1), "the relay is on", || {
        board.relay() == 1
    });
    assert_eq!(subscriber.payloads(&topic).len(), 5);

    // Whoever comes later finds the birth and the relay's state.
    let later = Subscriber::new(board.broker(), "bluebell/#");
    assert!(later.next(0, &topic, "ON").1.retained);
    assert!(
        later
            .next(0, &format!("{BASE}/status"), "online")
            .1
            .retained
    );
    publish(board.broker(), STATE, "OFF", &["-q", "1"]);
    board.await_relay(0);
}

pub(crate) fn is_toggled_by_its_button() {
    let desk = Desk::new();
    let board = online(&desk);
    let topic = format!("{BASE}/relay");
    let subscriber = Subscriber::new(board.broker(), "bluebell/#");
    let mut from = 0;
    for expected in ["ON", "OFF", "ON"] {
        board.press();
        from = subscriber.next(from, &topic, expected).0;
    }
    assert_eq!(board.relay(), 1);
    // Holding it is one press.
    board.post("/api/pins/0", &json!({"level": 0}));
    board.await_relay(0);
    throughout(Duration::from_secs(2), "it is one press", || {
        board.relay() == 0
    });
    board.post("/api/pins/0", &json!({"level": 1}));
    throughout(Duration::from_millis(500), "a release is none", || {
        board.relay() == 0
    });
    publish(board.broker(), STATE, "ON", &[]);
    board.await_relay(1);
}

pub(crate) fn obeys_its_button_without_any_network() {
    let desk = Desk::new();
    let board = desk.board().air(&[]).start();
    board.press();
    assert_eq!(board.relay(), 1);
    board.await_portal();
    board.press();
    assert_eq!(board.relay(), 0);
    until("there is no time to show", || board.display() == "----");
}

pub(crate) fn shows_local_time_once_the_clock_is_set() {
    let desk = Desk::new();
    let zone = "[device]\ntimezone = \"<+0545>-5:45\"\n";
    let board = desk.board().config(zone).start();
    board.await_portal();
    // It is drawn by a job that runs each second, so the first second's display is dark.
    until("dashes are shown", || board.display() == "----");
    throughout(Duration::from_secs(2), "dashes", || {
        board.display() == "----"
    });
    board.air(&json!({"ssid": "Open"}));
    board.submit("Open", "");
    let minutes = || {
        let now = SystemTime::now()
            .duration_since(UNIX_EPOCH)
            .expect("after 1970");
        (now.as_secs() + 5 * 3_600 + 45 * 60) / 60 % 1_440
    };
    let shown = |minutes: u64| format!("{:02}:{:02}", minutes / 60, minutes % 60);
    until("the local time is shown", || {
        let before = shown(minutes());
        let display = board.display();
        let after = shown(minutes());
        // Caught while it is drawn, it has some of both.
        let drawn = |sign: char| sign == '-' || sign == ':' || sign.is_ascii_digit();
        assert!(display.chars().all(drawn), "{display}");
        // A second belongs to the job that shows it.
        display == before || display == after
    });
}

pub(crate) fn beats_on_its_grid() {
    let desk = Desk::new();
    let config = format!("{NAMED}[mqtt]\nheartbeat = 1\nheartbeat_message = \"still here\"\n");
    let board = desk.board_at_home().config(&config).start();
    board.await_online();
    let topic = format!("{BASE}/heartbeat");
    let subscriber = Subscriber::new(board.broker(), "bluebell/garage/heartbeat");
    subscriber.next(0, &topic, "still here");
    let first = subscriber.payloads(&topic).len();
    let (count, took) = within(Duration::from_secs(10) + SLACK, "ten heartbeats", || {
        let count = subscriber.payloads(&topic).len() - first;
        (count >= 10).then_some(count)
    });
    assert!(
        count == 10 && took > Duration::from_secs(8),
        "{count} in {took:?}"
    );
    assert!(subscriber.seen().iter().all(|seen| !seen.retained));
}

pub(crate) fn notices_silence_once() {
    let desk = Desk::new();
    let board = online(&desk);
    let lines = || board.console.count(&["app:", "no message"]);
    publish(board.broker(), STATE, "ON", &["-q", "1"]);
    board.await_relay(1);
    let before = lines();
    let limit = Duration::from_secs(5) + SLACK;
    let (_, took) = within(limit, "silence is logged", || {
        (lines() == before + 1).then_some(())
    });
    assert!(took > Duration::from_secs(4), "after {took:?}");
    throughout(Duration::from_secs(7), "it is logged once", || {
        lines() == before + 1
    });
    until("the panel has it too", || {
        board.log().contains("no message")
    });
}

pub(crate) fn takes_every_quality_of_service() {
    let desk = Desk::new();
    let board = online(&desk);
    let topic = format!("{BASE}/relay");
    let subscriber = Subscriber::new(board.broker(), "bluebell/#");
    let mut from = subscriber.next(0, &topic, "OFF").0;
    for quality in ["0", "1", "2"] {
        for (payload, level) in [("ON", 1), ("OFF", 0)] {
            publish(board.broker(), STATE, payload, &["-q", quality]);
            board.await_relay(level);
            from = subscriber.next(from, &topic, payload).0;
        }
    }
    throughout(Duration::from_millis(1_500), "none came twice", || {
        subscriber.payloads(&topic).len() == 7
    });
}
