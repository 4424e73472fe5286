//! The device at a real mosquitto.

use std::time::{Duration, Instant};

use crate::harness::board::{Board, Desk};
use crate::harness::mosquitto::{AT_ONCE, Mosquitto, Subscriber, publish, publish_bytes};
use crate::harness::{PATIENCE, SLACK, throughout, until, within};
use crate::relay::STATE;

const BASE: &str = "bluebell/shed";
/// What is added to the configuration below `[mqtt]`.
const NAMED: &str = "[device]\nname = \"shed\"\n";

fn at(desk: &Desk, broker: &Mosquitto, more: &str) -> Board {
    let start = desk.board_at_home();
    let board = start
        .broker_at(broker.address, &format!("{more}{NAMED}"))
        .start();
    board.await_online();
    board
}

pub(crate) fn takes_every_quality_of_service() {
    let broker = Mosquitto::open();
    let desk = Desk::new();
    let board = at(&desk, &broker, "");
    let topic = format!("{BASE}/relay");
    let subscriber = Subscriber::new(broker.address, "bluebell/#");
    let mut from = subscriber.next(0, &topic, "OFF").0;
    for quality in ["0", "1", "2"] {
        for (payload, level) in [("ON", 1), ("OFF", 0)] {
            publish(broker.address, STATE, payload, &["-q", quality]);
            board.await_relay(level);
            from = subscriber.next(from, &topic, payload).0;
        }
    }
    throughout(Duration::from_millis(1_500), "none came twice", || {
        subscriber.payloads(&topic).len() == 7
    });
    assert_eq!(board.state()["broker"], false, "there is no embedded one");
}

pub(crate) fn leaves_its_last_will_when_the_power_is_cut() {
    let broker = Mosquitto::open();
    let desk = Desk::new();
    let board = at(&desk, &broker, "");
    let topic = format!("{BASE}/status");
    let subscriber = Subscriber::new(broker.address, &topic);
    let (from, birth) = subscriber.next(0, &topic, "online");
    assert!(birth.retained);
    let killed = Instant::now();
    board.kill();
    let (from, _) = subscriber.next(from, &topic, "offline");
    let took = killed.elapsed();
    assert!(took < Duration::from_secs(2) + SLACK, "{took:?}");
    let later = Subscriber::new(broker.address, &topic);
    assert!(later.next(0, &topic, "offline").1.retained);

    let board = desk.board().flag("--broker", "off").start();
    board.await_online();
    let (from, _) = subscriber.next(from, &topic, "online");
    // The panel's power switch is no farewell either.
    board.cycle_power();
    let (from, _) = subscriber.next(from, &topic, "offline");
    subscriber.next(from, &topic, "online");
}

pub(crate) fn comes_back_after_the_broker_stopped() {
    let mut broker = Mosquitto::open();
    let desk = Desk::new();
    let board = at(&desk, &broker, "");
    publish(broker.address, STATE, "ON", &["-q", "1"]);
    board.await_relay(1);
    for outage in [1, 8] {
        broker.stop();
        until("the device notices", || board.mqtt() != "online");
        assert!(board.is_online(), "Wi-Fi is not the broker");
        let before = board.relay();
        board.press();
        throughout(Duration::from_secs(outage), "it stays away", || {
            board.mqtt() != "online"
        });
        broker.start();
        let limit = Duration::from_secs(3) + SLACK;
        within(limit, "the device is back at its broker", || {
            (board.mqtt() == "online").then_some(())
        });
        // What happened meanwhile is told, and commands arrive again.
        let subscriber = Subscriber::new(broker.address, "bluebell/#");
        let (now, then) = if before == 0 {
            ("ON", "OFF")
        } else {
            ("OFF", "ON")
        };
        let (from, _) = subscriber.next(0, &format!("{BASE}/relay"), now);
        publish(broker.address, STATE, then, &["-q", "1"]);
        board.await_relay(before);
        subscriber.next(from, &format!("{BASE}/relay"), then);
    }
}

pub(crate) fn notices_a_broker_that_hangs() {
    let broker = Mosquitto::open();
    let desk = Desk::new();
    // The heartbeat would keep a client busy that takes its own packets for signs of life.
    let board = at(&desk, &broker, "keep_alive = 5\nheartbeat = 1\n");
    broker.hang(true);
    let limit = Duration::from_millis(7_500) + SLACK;
    within(limit, "one and a half keepalive periods", || {
        (board.mqtt() != "online").then_some(())
    });
    broker.hang(false);
    let limit = Duration::from_secs(3) + SLACK;
    within(limit, "it is back", || {
        (board.mqtt() == "online").then_some(())
    });
    publish(broker.address, STATE, "ON", &["-q", "1"]);
    board.await_relay(1);
}

pub(crate) fn stays_connected_when_nothing_happens() {
    let broker = Mosquitto::open();
    let desk = Desk::new();
    let board = at(&desk, &broker, "keep_alive = 5\nheartbeat = 0\n");
    throughout(Duration::from_secs(17), "it is online", || {
        board.mqtt() == "online"
    });
    let subscriber = Subscriber::new(broker.address, "bluebell/#");
    subscriber.next(0, &format!("{BASE}/status"), "online");
    assert!(subscriber.payloads(&format!("{BASE}/heartbeat")).is_empty());
}

pub(crate) fn signs_in_with_user_and_password() {
    let (user, password) = ("gardener", "tulips & \\\"roses\\\" ☘");
    let broker = Mosquitto::for_user(user, "tulips & \"roses\" ☘");
    let desk = Desk::new();
    let secrets = format!("user = \"{user}\"\npassword = \"{password}\"\n");
    let board = at(&desk, &broker, &secrets);
    board.kill();
    assert!(!desk.holds_in_clear("tulips"), "the password is sealed");

    // Its own copy, with the sealed password, is in force without the flag.
    let board = desk.board().flag("--broker", "off").start();
    board.await_online();
    board.kill();

    // `***` in the place of the secret keeps it.
    let kept = format!("user = \"{user}\"\npassword = \"***\"\nheartbeat = 2\n{NAMED}");
    let board = desk.board().broker_at(broker.address, &kept).start();
    board.await_online();
    assert!(!board.console.text().contains("tulips"));
    assert!(!board.log().contains("tulips"));
    board.kill();

    // A wrong one is refused by the broker, named in the log, and harms nothing else.
    let wrong = format!("user = \"{user}\"\npassword = \"daisies\"\n{NAMED}");
    let board = desk.board().broker_at(broker.address, &wrong).start();
    until("it is on Wi-Fi", || board.is_online());
    until("the log says why", || {
        let log = board.log().to_lowercase();
        log.contains("mqtt") && (log.contains("password") || log.contains("authori"))
    });
    assert_ne!(board.mqtt(), "online");
    assert!(!board.log().contains("daisies"));
    board.press();
}

pub(crate) fn takes_payloads_up_to_its_bound_and_survives_longer_ones() {
    let broker = Mosquitto::open();
    let desk = Desk::new();
    let board = at(&desk, &broker, "");
    let refused = || board.console.count(&["app:", "neither ON nor OFF"]);
    // Topic and payload of 1,024 bytes together, of every value that a byte has.
    let bytes: Vec<u8> = (0..1_024 - STATE.len()).map(|index| index as u8).collect();
    for quality in ["0", "1", "2"] {
        let before = refused();
        publish_bytes(broker.address, STATE, &bytes, &["-q", quality]);
        until("the bound itself is delivered", || refused() == before + 1);
    }
    let before = refused();
    for length in [1_200, 5_000, 100_000] {
        for quality in ["0", "1", "2"] {
            publish_bytes(broker.address, STATE, &vec![b'x'; length], &["-q", quality]);
        }
    }
    publish(broker.address, STATE, "ON", &["-q", "1"]);
    board.await_relay(1);
    assert_eq!(refused(), before, "the broker was told to keep them");
    assert_eq!(board.mqtt(), "online");
    let subscriber = Subscriber::new(broker.address, "bluebell/#");
    publish(broker.address, STATE, "OFF", &["-q", "2"]);
    subscriber.next(0, &format!("{BASE}/relay"), "OFF");
}

pub(crate) fn loses_nothing_of_a_burst() {
    let broker = Mosquitto::open();
    let desk = Desk::new();
    let _board = at(&desk, &broker, "");
    let topic = format!("{BASE}/relay");
    let subscriber = Subscriber::new(broker.address, &topic);
    subscriber.next(0, &topic, "OFF");
    let lines: String = (0..100)
        .map(|index| if index % 2 == 0 { "ON\n" } else { "OFF\n" })
        .collect();
    // `-l` sends each line as a message.
    let mut child = std::process::Command::new("mosquitto_pub")
        .args([
            "-V",
            "5",
            "-h",
            "127.0.0.1",
            "-p",
            &broker.address.port().to_string(),
        ])
        .args(["-q", "1", "-t", STATE, "-l"])
        .stdin(std::process::Stdio::piped())
        .spawn()
        .expect("mosquitto_pub starts");
    {
        use std::io::Write;
        let mut input = child.stdin.take().expect("it is piped");
        input.write_all(lines.as_bytes()).expect("it reads");
    }
    assert!(child.wait().expect("it ends").success());
    within(PATIENCE, "a hundred answers", || {
        (subscriber.payloads(&topic).len() > 100).then_some(())
    });
    let expected: Vec<_> = ["OFF"].into_iter().chain(lines.lines()).collect();
    assert_eq!(
        subscriber.payloads(&topic),
        expected,
        "each once and in order"
    );
}

pub(crate) fn starts_while_the_broker_is_away() {
    let mut broker = Mosquitto::open();
    broker.stop();
    let desk = Desk::new();
    let start = desk.board_at_home().broker_at(broker.address, NAMED);
    let board = start.start();
    until("it is on Wi-Fi", || board.is_online());
    until("the clock is set", || board.display() != "----");
    board.press();
    assert_eq!(board.relay(), 1);
    throughout(Duration::from_secs(4), "no broker is no trouble", || {
        board.is_online() && board.mqtt() != "online"
    });
    broker.start();
    let limit = Duration::from_secs(3) + SLACK;
    within(limit, "it finds its broker", || {
        (board.mqtt() == "online").then_some(())
    });
    let subscriber = Subscriber::new(broker.address, "bluebell/#");
    subscriber.next(0, &format!("{BASE}/relay"), "ON");
    subscriber.next(0, &format!("{BASE}/status"), "online");
}

pub(crate) fn gets_what_the_broker_kept_for_it() {
    let broker = Mosquitto::open();
    publish(broker.address, STATE, "ON", &["-q", "1", "-r"]);
    let desk = Desk::new();
    let board = at(&desk, &broker, "");
    within(AT_ONCE, "the retained command", || {
        (board.relay() == 1).then_some(())
    });
    board.cycle_power();
    until("it is dark", || {
        board.state()["uptime_ms"].as_u64() < Some(60_000)
    });
    board.await_online();
    board.await_relay(1);
}

pub(crate) fn is_used_by_its_own_name_and_base() {
    let broker = Mosquitto::open();
    let desk = Desk::new();
    let own = "base_topic = \"house/cellar\"\nclient_id = \"cellar-1\"\nheartbeat = 1\n";
    let board = at(&desk, &broker, own);
    let subscriber = Subscriber::new(broker.address, "house/#");
    subscriber.next(0, "house/cellar/status", "online");
    subscriber.next(0, "house/cellar/heartbeat", "alive");
    board.press();
    subscriber.next(0, "house/cellar/relay", "ON");
}
