//! Each route, as its answer arrives.

use bluebell::wifi::{Auth, JoinFailure, JoinStep, SubmissionState};
use embassy_time::{Duration, Timer};
use serde_json::{Value, json};
use sim::person::Answer;

use crate::world::*;

fn parsed(answer: &Answer) -> Value {
    assert_eq!(answer.header("Content-Type"), Some("application/json"));
    assert_eq!(answer.header("Cache-Control"), Some("no-store"));
    serde_json::from_slice(&answer.body).unwrap_or_else(|error| panic!("{error}: {answer:?}"))
}

#[test]
fn the_page_is_served_at_its_two_addresses() {
    with_portal(async |world| {
        let page = world.person().get("/").await.unwrap();
        assert_eq!(page.status, 200);
        assert_eq!(
            page.header("Content-Type"),
            Some("text/html; charset=utf-8")
        );
        assert!(
            page.header("Content-Security-Policy")
                .unwrap()
                .contains("default-src 'none'")
        );
        assert!(page.text().starts_with("<!doctype html>") && page.text().contains("/plain"));
        assert_eq!(world.person().get("/setup").await.unwrap(), page);
        let head = world.person().request("HEAD", "/", &[], b"").await.unwrap();
        assert_eq!((&head.headers, head.body.len()), (&page.headers, 0));
        let known = [("If-None-Match", page.header("ETag").unwrap())];
        let again = world
            .person()
            .request("GET", "/", &known, b"")
            .await
            .unwrap();
        assert_eq!((again.status, again.body.len()), (304, 0));
        assert_eq!(again.header("ETag"), page.header("ETag"));
    });
}

#[test]
fn the_networks_are_listed_as_json() {
    with_portal(async |world| {
        let empty = world.person().get("/networks.json").await.unwrap();
        assert_eq!(parsed(&empty), json!([]));
        let names = [
            "Home \"5G\" \\",
            "Blåbær 🫐",
            "<script>alert(1)</script>",
            "tab\t\u{1}",
        ];
        for (place, name) in names.iter().enumerate() {
            let place = place as u8;
            world
                .device
                .hear(name, place + 1, -40 - place as i8, Auth::Wpa2);
        }
        for place in 0..30 {
            world.device.hear(
                &"\u{1f}".repeat(30).replacen('\u{1f}', "n", place),
                11,
                -90,
                Auth::Open,
            );
        }
        let list = parsed(&world.person().get("/networks.json").await.unwrap());
        let list = list.as_array().unwrap();
        assert_eq!(list.len(), 34);
        let first = json!({"ssid": names[0], "channel": 1, "rssi": -40, "auth": "wpa2"});
        assert_eq!(list[0], first);
        for (place, name) in names.iter().enumerate() {
            assert_eq!(list[place]["ssid"], **name);
        }
        let old = exchange(world, b"GET /networks.json HTTP/1.0\r\n\r\n").await;
        let text = String::from_utf8(old).unwrap();
        let body = text.split_once("\r\n\r\n").unwrap().1;
        assert_eq!(
            serde_json::from_str::<Value>(body)
                .unwrap()
                .as_array()
                .unwrap(),
            list
        );
    });
}

#[test]
fn the_plain_page_shows_networks_and_results_without_markup_from_outside() {
    with_portal(async |world| {
        world.device.hear("<b>\"x\" & 'y'", 6, -50, Auth::Wpa3);
        let page = world.person().get("/plain").await.unwrap();
        let text = page.text();
        assert!(
            text.contains("value=\"&lt;b&gt;&#34;x&#34; &amp; &#39;y&#39;\""),
            "{text}"
        );
        assert!(!text.contains("<b>") && !text.contains("http-equiv=\"refresh\""));
        assert!(
            page.header("Content-Security-Policy")
                .unwrap()
                .starts_with("default-src 'none'")
        );

        let form = [
            ("ssid", "<b>\"x\" & 'y'"),
            ("password", "<secret>"),
            ("page", "plain"),
        ];
        let answer = world.person().post_form("/connect", &form).await.unwrap();
        assert_eq!(
            (answer.status, answer.header("Location")),
            (303, Some("/plain"))
        );
        let text = world.person().get("/plain").await.unwrap().text();
        assert!(
            text.contains("joining") && text.contains("http-equiv=\"refresh\""),
            "{text}"
        );
        assert!(!text.contains("secret") && !text.contains("<b>"));
        for (step, words) in [
            (JoinStep::Address, "getting an address"),
            (JoinStep::Saving, "saving it"),
        ] {
            world.device.state(SubmissionState::Joining(step));
            let text = world.person().get("/plain").await.unwrap().text();
            assert!(
                text.contains(words) && text.contains("http-equiv=\"refresh\""),
                "{text}"
            );
        }

        world
            .device
            .state(SubmissionState::Failed(JoinFailure::WrongPassword));
        let text = world.person().get("/plain").await.unwrap().text();
        assert!(text.contains("the password was not accepted"), "{text}");
        assert_eq!(world.device.online_served.get(), 0);
        world
            .device
            .state(SubmissionState::Online([10, 0, 0, 7].into()));
        let text = world.person().get("/plain").await.unwrap().text();
        assert!(text.contains("http://10.0.0.7/"), "{text}");
        assert_eq!(world.device.online_served.get(), 1);
    });
}

#[test]
fn a_submission_goes_through_and_its_state_is_told() {
    with_portal(async |world| {
        let scripted = world.person().sending("Accept", "application/json");
        let idle = parsed(&world.person().get("/status.json").await.unwrap());
        assert_eq!(
            idle,
            json!({"state": "idle", "ssid": null, "reason": null, "ip": null})
        );

        let form = [
            ("ssid", "Hjørnet 100% \"&+=\" 🏠"),
            ("password", "pass word+%&=é"),
        ];
        let answer = scripted.post_form("/connect", &form).await.unwrap();
        assert_eq!(answer.status, 202);
        let joining = json!({"state": "joining", "ssid": form[0].1, "reason": null, "ip": null});
        assert_eq!(parsed(&answer), joining);
        assert_eq!(
            parsed(&world.person().get("/status.json").await.unwrap()),
            joining
        );
        let told = [(form[0].1.to_owned(), form[1].1.to_owned())];
        assert_eq!(*world.device.submitted.borrow(), told);
        for (step, word) in [
            (JoinStep::Joining, "joining"),
            (JoinStep::Address, "address"),
            (JoinStep::Saving, "saving"),
        ] {
            world.device.state(SubmissionState::Joining(step));
            let answer = world.person().get("/status.json").await.unwrap();
            assert_eq!(parsed(&answer), joining);
            assert_eq!(answer.header("Join-Step"), Some(word));
        }

        let plain = world
            .person()
            .post_form("/connect", &[("ssid", "Open")])
            .await
            .unwrap();
        assert_eq!((plain.status, plain.header("Location")), (303, Some("/")));

        world
            .device
            .state(SubmissionState::Failed(JoinFailure::NotFound));
        let answer = world.person().get("/status.json").await.unwrap();
        assert_eq!(parsed(&answer)["reason"], "not_found");
        assert_eq!(answer.header("Join-Step"), None);

        world
            .device
            .state(SubmissionState::Online([192, 168, 1, 40].into()));
        let head = world
            .person()
            .request("HEAD", "/status.json", &[], b"")
            .await
            .unwrap();
        assert_eq!((head.status, world.device.online_served.get()), (200, 0));
        let online = parsed(&world.person().get("/status.json").await.unwrap());
        let expected =
            json!({"state": "online", "ssid": "Open", "reason": null, "ip": "192.168.1.40"});
        assert_eq!((online, world.device.online_served.get()), (expected, 1));
    });
}

#[test]
fn a_bad_form_is_refused_with_its_reason() {
    with_portal(async |world| {
        let kind = ("Content-Type", "application/x-www-form-urlencoded");
        for (body, reason) in [
            ("password=12345678", "ssid"),
            ("ssid=&password=12345678", "empty"),
            ("ssid=123456789012345678901234567890123", "too long"),
            ("ssid=a&password=1234567", "8 to 63"),
            ("ssid=%zz", "hexadecimal digits"),
            ("ssid=%ff", "UTF-8"),
            ("ssid=%C0%AF", "UTF-8"),
            ("ssid=a&ssid=b", "twice"),
        ] {
            let headers = [kind, ("Accept", "application/json")];
            let answer = world
                .person()
                .request("POST", "/connect", &headers, body.as_bytes())
                .await;
            let answer = answer.unwrap();
            assert_eq!(answer.status, 400, "{body}");
            let error = parsed(&answer)["error"].as_str().unwrap().to_owned();
            assert!(error.contains(reason), "{body}: {error}");
            let plain = world
                .person()
                .request("POST", "/connect", &[kind], body.as_bytes())
                .await;
            let plain = plain.unwrap();
            assert_eq!(
                plain.header("Content-Type"),
                Some("text/plain; charset=utf-8")
            );
            assert_eq!(plain.text().trim_end(), error);
        }
        assert!(world.device.submitted.borrow().is_empty());
    });
}

#[test]
fn the_sixth_submission_in_ten_seconds_waits() {
    with_portal(async |world| {
        let person = world.person();
        let submit = async || {
            person
                .post_form("/connect", &[("ssid", "Home")])
                .await
                .unwrap()
        };
        for _ in 0..5 {
            assert_eq!(
                person
                    .post_form("/connect", &[("ssid", "")])
                    .await
                    .unwrap()
                    .status,
                400
            );
            assert_eq!(submit().await.status, 303);
        }
        let answer = submit().await;
        assert_eq!(answer.status, 429);
        let wait: u64 = answer.header("Retry-After").unwrap().parse().unwrap();
        assert!((1..=10).contains(&wait));
        assert_eq!(world.device.submitted.borrow().len(), 5);
        Timer::after(Duration::from_secs(wait)).await;
        assert_eq!(submit().await.status, 303);
    });
}

#[test]
fn a_rescan_is_passed_on() {
    with_portal(async |world| {
        let answer = world
            .person()
            .request("POST", "/rescan", &[], b"")
            .await
            .unwrap();
        assert_eq!((answer.status, world.device.rescans.get()), (202, 1));
        assert!(answer.text().contains("/plain"));
        let bare = exchange(
            world,
            b"POST /rescan HTTP/1.1\r\nHost: 10.0.0.1\r\nAccept: application/json\r\n\
              Connection: close\r\n\r\n",
        );
        let text = String::from_utf8(bare.await).unwrap();
        assert!(
            text.starts_with("HTTP/1.1 202 ") && text.ends_with("\r\n\r\n{}"),
            "{text}"
        );
        assert_eq!(world.device.rescans.get(), 2);
    });
}

#[test]
fn files_are_served_in_the_form_that_is_accepted() {
    with_portal(async |world| {
        let plain = world.person().get("/css/style.css").await.unwrap();
        assert_eq!(plain.body, FILES[0].bytes);
        assert_eq!(plain.header("Content-Encoding"), None);
        assert_eq!(plain.header("ETag"), Some("\"style-1\""));
        let modern = world.person().sending("Accept-Encoding", "br, gzip");
        let compressed = modern.get("/css/style.css").await.unwrap();
        assert_eq!(Some(&*compressed.body), FILES[0].gzip);
        assert_eq!(compressed.header("Content-Encoding"), Some("gzip"));
        assert_eq!(compressed.header("ETag"), Some("\"style-1-gzip\""));
        for answer in [&plain, &compressed] {
            assert_eq!(
                answer.header("Content-Type"),
                Some("text/css; charset=utf-8")
            );
            assert_eq!(answer.header("Vary"), Some("Accept-Encoding"));
            assert_eq!(answer.header("Cache-Control"), Some("no-cache"));
            assert_eq!(answer.header("X-Content-Type-Options"), Some("nosniff"));
        }
        let known = modern.clone().sending("If-None-Match", "\"style-1-gzip\"");
        assert_eq!(known.get("/css/style.css").await.unwrap().status, 304);
        assert_eq!(world.person().get("/large.bin").await.unwrap().body, LARGE);
        assert_eq!(world.person().get("/empty.txt").await.unwrap().body, b"");
    });
}

#[test]
fn values_of_the_application_are_served_by_name() {
    with_portal(async |world| {
        let value = world.person().get("/app/temperature").await.unwrap();
        assert_eq!(parsed(&value), json!({"celsius": 21}));
        assert_eq!(
            world.person().get("/app/nothing").await.unwrap().status,
            404
        );
        world.person().get("/app/endless").await.unwrap_err();
        assert_eq!(world.person().get("/").await.unwrap().status, 200);
    });
}

#[test]
fn other_hosts_are_led_to_the_portal_and_other_origins_refused() {
    with_portal(async |world| {
        let probe = world.person().typing("connectivitycheck.gstatic.com");
        let answer = probe.get("/generate_204").await.unwrap();
        assert_eq!(answer.status, 302);
        assert_eq!(answer.header("Location"), Some("http://192.168.4.1/"));
        assert_eq!(
            probe
                .request("POST", "/connect", &[], b"ssid=a")
                .await
                .unwrap()
                .status,
            403
        );
        assert_eq!(world.device.seen.get(), 0);
        let evil = world.person().sending("Origin", "http://evil.example");
        assert_eq!(
            evil.post_form("/connect", &[("ssid", "a")])
                .await
                .unwrap()
                .status,
            403
        );
        let own = world.person().sending("Origin", "http://192.168.4.1");
        assert_eq!(
            own.post_form("/connect", &[("ssid", "a")])
                .await
                .unwrap()
                .status,
            303
        );
        let local = world.person().typing("Relay-1.local");
        assert_eq!(local.get("/").await.unwrap().status, 200);
        assert_eq!(world.device.seen.get(), 3);
        assert_eq!(world.device.submitted.borrow().len(), 1);
    });
}

#[test]
fn errors_are_json_for_who_asked_for_json() {
    with_portal(async |world| {
        for (method, path, status) in [
            ("GET", "/nowhere", 404),
            ("DELETE", "/", 405),
            ("GET", "/%zz", 400),
        ] {
            let answer = world
                .person()
                .request(method, path, &[], b"")
                .await
                .unwrap();
            assert_eq!(answer.status, status);
            assert_eq!(
                answer.header("Content-Type"),
                Some("text/plain; charset=utf-8")
            );
            let json = [("Accept", "text/html, application/json;q=0.9")];
            let answer = world
                .person()
                .request(method, path, &json, b"")
                .await
                .unwrap();
            assert_eq!(answer.status, status);
            assert!(parsed(&answer)["error"].is_string());
        }
        let answer = world
            .person()
            .request("PUT", "/connect", &[], b"")
            .await
            .unwrap();
        assert_eq!(answer.header("Allow"), Some("POST"));
        let answer = world
            .person()
            .request("OPTIONS", "/", &[], b"")
            .await
            .unwrap();
        assert_eq!(answer.header("Allow"), Some("GET, HEAD"));
    });
}

#[test]
fn an_own_index_takes_the_root() {
    const OWN: &[bluebell::portal::File] = &[bluebell::portal::File {
        path: "index.html",
        content_type: "text/html; charset=utf-8",
        bytes: b"my own",
        gzip: None,
        etag: "own",
    }];
    let device = Device {
        files: OWN,
        ..Device::default()
    };
    with_device(device, async |world| {
        let own = world.person().get("/").await.unwrap();
        assert_eq!(
            (own.text().as_str(), own.header("Content-Security-Policy")),
            ("my own", None)
        );
        assert!(
            world
                .person()
                .get("/setup")
                .await
                .unwrap()
                .text()
                .contains("/connect")
        );
        let answer = world
            .person()
            .post_form("/connect", &[("ssid", "a")])
            .await
            .unwrap();
        assert_eq!(answer.header("Location"), Some("/setup"));
    });
}
