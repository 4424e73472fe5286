//! A person without a network, at the portal.

use std::time::{Duration, Instant};

use serde_json::{Value, json};

use crate::harness::air::{HOME, HOME_PASSWORD, Network};
use crate::harness::board::{Board, Desk};
use crate::harness::{PATIENCE, SLACK, http, throughout, until, within};

fn networks(board: &Board) -> Vec<Value> {
    let answer = http::get(board.portal, "/networks.json");
    assert_eq!(answer.status, 200, "{answer:?}");
    answer.json().as_array().expect("a list").clone()
}

fn await_networks(board: &Board, count: usize) -> Vec<Value> {
    let what = format!("{count} networks are listed");
    let ask = || Some(networks(board)).filter(|list| list.len() == count);
    within(PATIENCE, &what, ask).0
}

pub(crate) fn leads_from_the_first_boot_to_online() {
    let desk = Desk::new();
    let air = [
        Network::home(),
        Network::home().at(1, -80),
        Network::new("Cafe", "").at(11, -40),
        Network::new("Attic", "battery staple").at(3, -70).hidden(),
    ];
    let board = desk.board().air(&air).start();
    board.await_portal();
    let state = board.state();
    assert_eq!(
        state["wifi"],
        json!({"state": "portal", "ssid": null, "ip": null})
    );
    until("there is no time to show", || board.display() == "----");

    let idle = json!({"state": "idle", "ssid": null, "reason": null, "ip": null});
    assert_eq!(http::get(board.portal, "/status.json").json(), idle);
    assert_eq!(
        Value::from(await_networks(&board, 2)),
        json!([
            {"ssid": "Cafe", "channel": 11, "rssi": -40, "auth": "open"},
            {"ssid": HOME, "channel": 6, "rssi": -50, "auth": "wpa2"},
        ]),
        "strongest first, one for each SSID, no hidden ones"
    );

    let answer = board.submit(HOME, "wrong password");
    assert_eq!(answer.status, 202, "{answer:?}");
    assert_eq!(
        answer.json(),
        json!({"state": "joining", "ssid": HOME, "reason": null, "ip": null})
    );
    assert_eq!(
        board.await_result(),
        json!({"state": "failed", "ssid": HOME, "reason": "wrong_password", "ip": null})
    );
    assert_eq!(board.wifi(), "portal");

    assert_eq!(board.submit(HOME, HOME_PASSWORD).status, 202);
    let result = board.await_result();
    let served = Instant::now();
    assert_eq!(result["state"], "online", "{result}");
    assert_eq!(result["ssid"], HOME);
    assert_eq!(result["reason"], Value::Null);
    let state = board.state();
    assert_eq!(state["wifi"]["state"], "online");
    assert_eq!(state["wifi"]["ip"], result["ip"]);
    assert!(
        result["ip"]
            .as_str()
            .is_some_and(|ip| ip.parse::<std::net::IpAddr>().is_ok())
    );

    until("the portal closes", || board.state()["portal"] == false);
    let open = served.elapsed();
    assert!(open > Duration::from_secs(8), "closed after only {open:?}");
    assert!(
        open < Duration::from_secs(10) + SLACK,
        "closed after {open:?}"
    );
    until("nobody listens there", || !http::listens(board.portal));
    board.await_online();
    until("the clock is shown", || board.display() != "----");
    board.kill();

    // What was learned is kept: no portal this time.
    let board = desk.board().start();
    board.await_online();
    assert_eq!(board.state()["portal"], false);
}

pub(crate) fn closes_20_s_after_joining_if_nobody_asks() {
    let desk = Desk::new();
    let board = desk.board().start();
    board.await_portal();
    board.submit(HOME, HOME_PASSWORD);
    until("the station joins", || board.is_online());
    let joined = Instant::now();
    assert_eq!(board.state()["portal"], true);
    until("the portal closes", || board.state()["portal"] == false);
    let open = joined.elapsed();
    assert!(
        open < Duration::from_secs(20) + SLACK,
        "closed after {open:?}"
    );
    // Time for a person whose phone has to come back to the access point first.
    assert!(open > Duration::from_secs(10), "closed after only {open:?}");
    board.await_online();
}

pub(crate) fn says_why_a_submission_failed_and_takes_the_next() {
    let desk = Desk::new();
    let board = desk.board().start();
    board.await_portal();
    board.submit("Nowhere", "some password");
    assert_eq!(
        board.await_result(),
        json!({"state": "failed", "ssid": "Nowhere", "reason": "not_found", "ip": null})
    );
    // The newest submission replaces one that is under way.
    board.submit("Nowhere", "some password");
    board.submit(HOME, HOME_PASSWORD);
    let result = board.await_result();
    assert_eq!(result["state"], "online", "{result}");
    assert_eq!(result["ssid"], HOME);
}

pub(crate) fn refuses_what_cannot_be_a_network() {
    let desk = Desk::new();
    let board = desk.board().start();
    board.await_portal();
    let long_ssid = "s".repeat(33);
    let long_password = "g".repeat(64);
    let longer_password = "a".repeat(65);
    for (ssid, password) in [
        ("", "long enough"),
        (long_ssid.as_str(), "long enough"),
        (HOME, "7 bytes"),
        (HOME, long_password.as_str()),
        (HOME, longer_password.as_str()),
    ] {
        let answer = board.submit(ssid, password);
        assert_eq!(answer.status, 400, "{ssid:?} {password:?}: {answer:?}");
        let reason = answer.json()["error"]
            .as_str()
            .expect("a reason")
            .to_owned();
        assert!(reason.len() > 10, "{reason}");
        assert!(!reason.contains(password), "never show it: {reason}");
    }
    let no_ssid = http::post_form(board.portal, "/connect", &[("password", "long enough")]);
    assert_eq!(no_ssid.status, 400);
    assert_eq!(
        http::get(board.portal, "/status.json").json()["state"],
        "idle"
    );
    // 32 bytes and 64 hex digits are fine.
    assert_eq!(
        board
            .submit(&"s".repeat(32), &"Aa0".repeat(22)[..64])
            .status,
        202
    );
}

pub(crate) fn slows_down_who_submits_too_often() {
    let desk = Desk::new();
    let board = desk.board().start();
    board.await_portal();
    let answers: Vec<_> = (0..6)
        .map(|_| board.submit("Nowhere", "some password"))
        .collect();
    let statuses: Vec<_> = answers.iter().map(|answer| answer.status).collect();
    assert_eq!(statuses, [202, 202, 202, 202, 202, 429]);
    let wait: u64 = answers[5]
        .header("retry-after")
        .and_then(|seconds| seconds.parse().ok())
        .expect("Retry-After in seconds");
    assert!((1..=10).contains(&wait), "{wait}");
    let (_, after) = within(PATIENCE, "it is taken again", || {
        (board.submit(HOME, HOME_PASSWORD).status == 202).then_some(())
    });
    assert!(after <= Duration::from_secs(10) + SLACK, "{after:?}");
}

pub(crate) fn serves_people_without_scripts() {
    let desk = Desk::new();
    let air = [Network::home(), Network::new("<b>&\"Bold\"", "")];
    let board = desk.board().air(&air).start();
    board.await_portal();
    await_networks(&board, 2);
    for path in ["/setup", "/plain"] {
        let page = http::get(board.portal, path);
        assert_eq!(page.status, 200, "{path}: {page:?}");
        let kind = page.header("content-type").expect("a type");
        assert!(kind.starts_with("text/html"), "{path}: {kind}");
    }
    let plain = http::get(board.portal, "/plain").text();
    assert!(plain.contains(HOME), "{plain}");
    assert!(!plain.contains("<b>"), "SSIDs are escaped: {plain}");
    assert!(plain.contains("<form"), "{plain}");

    let kind = [("Content-Type", "application/x-www-form-urlencoded")];
    let body = http::form(&[("ssid", HOME), ("password", HOME_PASSWORD)]);
    let answer = http::request(board.portal, "POST", "/connect", &kind, body.as_bytes());
    assert_eq!(answer.status, 303, "{answer:?}");
    let location = answer.header("location").expect("the page").to_owned();
    let page = http::get(
        board.portal,
        location.split_once("//").map_or(&location, |_| "/plain"),
    );
    assert_eq!(page.status, 200, "{location}");
    assert_eq!(board.await_result()["state"], "online");
}

pub(crate) fn lists_afresh_on_rescan() {
    let desk = Desk::new();
    let board = desk.board().start();
    board.await_portal();
    await_networks(&board, 1);
    board.air(&json!({"ssid": "New", "rssi": -30, "password": "new password", "channel": 13}));
    let answer = http::request(board.portal, "POST", "/rescan", &[], b"");
    assert_eq!(answer.status, 202, "{answer:?}");
    let list = await_networks(&board, 2);
    assert_eq!(
        list[0],
        json!({"ssid": "New", "channel": 13, "rssi": -30, "auth": "wpa2"})
    );
}

pub(crate) fn takes_every_ssid_and_password_byte_for_byte() {
    let strange = [
        ("Two  words ", "pass  word "),
        ("\"quo'ted\"", "qu\"o't\\ed"),
        ("100%25 +&=;", "%41+%zz&a=b"),
        ("Blåbær ☕", "smørbrød-ñ-密码"),
    ];
    let desk = Desk::new();
    let air = strange.map(|(ssid, password)| Network::new(ssid, password));
    let board = desk.board().air(&air).start();
    board.await_portal();
    let listed: Vec<_> = await_networks(&board, strange.len())
        .iter()
        .map(|network| network["ssid"].as_str().expect("a text").to_owned())
        .collect();
    for (ssid, password) in strange {
        assert!(
            listed.iter().any(|known| known == ssid),
            "{ssid} in {listed:?}"
        );
        let (status, _) = within(PATIENCE, "it is taken", || {
            Some(board.submit(ssid, password).status).filter(|status| *status != 429)
        });
        assert_eq!(status, 202);
        let result = board.await_result();
        assert_eq!(result["state"], "online", "{ssid}: {result}");
        assert_eq!(result["ssid"], ssid);
        // Their air goes, so that the portal stays for the next one.
        board.set_network(ssid, false);
        until("the station is without a network", || !board.is_online());
        for (other, _) in strange {
            assert!(other == ssid || !board.log().contains(password));
        }
        if !http::listens(board.portal) {
            board.cycle_power();
            board.await_portal();
        }
    }
    // All four are known now. Scans pause for a minute for the sake of a phone on the access point, so the
    // power is cut, which also shows that they are kept.
    board.cycle_power();
    board.await_portal();
    for (ssid, _) in strange {
        board.set_network(ssid, true);
        until("it is joined by itself", || {
            board.state()["wifi"]["ssid"] == ssid && board.is_online()
        });
        board.set_network(ssid, false);
    }
    for (_, password) in strange {
        assert!(!desk.holds_in_clear(password), "{password} is in clear");
        assert!(!board.console.text().contains(password));
    }
}

pub(crate) fn joins_a_hidden_network() {
    let desk = Desk::new();
    let attic = || Network::new("Attic", "battery staple").hidden();
    let board = desk.board().air(&[attic()]).start();
    board.await_portal();
    board.submit("Attic", "battery staple");
    assert_eq!(board.await_result()["state"], "online");
    board.kill();
    let board = desk.board().air(&[attic(), Network::home()]).start();
    board.await_online();
    assert_eq!(board.state()["wifi"]["ssid"], "Attic");
}

pub(crate) fn stays_while_nothing_known_is_heard_and_goes_on_trying() {
    let desk = Desk::new();
    let air = [Network::home().down()];
    let board = desk.board_at_home().air(&air).start();
    board.await_portal();
    throughout(Duration::from_secs(8), "the portal is open", || {
        board.wifi() == "portal" && board.state()["portal"] == true
    });
    // The router is slower than the device: no person is needed.
    board.set_network(HOME, true);
    board.await_online();
    until("the portal closes", || board.state()["portal"] == false);
}
