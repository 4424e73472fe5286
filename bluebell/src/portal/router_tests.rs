//! Every request of the contract, and what it leads to.

use std::format;

use proptest::prelude::*;

use super::super::request::{Scanned, scan};
use super::*;

const PAGE: File = File {
    path: "",
    content_type: "text/html",
    bytes: b"page",
    gzip: Some(b"gz"),
    etag: "p1",
};

const FILES: [File; 4] = [
    File {
        path: "docs/index.html",
        ..PAGE
    },
    File {
        path: "css/style.css",
        gzip: None,
        etag: "s1",
        ..PAGE
    },
    File {
        path: "setup",
        ..PAGE
    },
    File {
        path: "a b.txt",
        ..PAGE
    },
];

fn plan_with(files: &[File], request: &str) -> Plan {
    let Scanned::Complete(head, _) = scan(request.as_bytes(), 1536) else {
        panic!("no head: {request}");
    };
    route(
        &head,
        &Site {
            name: "Relay-1",
            files,
            upload: &|_| None,
        },
        &PAGE,
    )
}

fn plan(line: &str, headers: &str) -> Plan {
    plan_with(
        &FILES,
        &format!("{line} HTTP/1.1\r\nHost: 192.168.4.1\r\n{headers}\r\n"),
    )
}

/// A route as a short word, for tables.
fn word(plan: &Plan) -> std::string::String {
    match &plan.route {
        Route::Refused(refusal) => format!("{}", refusal.status),
        Route::NotAllowed(allowed) => format!("405 {allowed}"),
        other => format!("{other:?}"),
    }
}

#[test]
fn each_path_and_method_has_its_route() {
    let table = [
        ("GET /", "Page"),
        ("HEAD /?from=captive", "Page"),
        ("GET /setup", "Page"),
        ("GET /%73etup", "Page"),
        ("GET /plain", "Plain"),
        ("GET /networks.json", "Networks"),
        ("GET /status.json", "Status"),
        ("GET /captive.json", "Captive"),
        ("POST /captive.json", "405 GET, HEAD"),
        ("GET /docs/", "File(0)"),
        ("GET /docs/index.html", "File(0)"),
        ("HEAD /css/style.css?v=2", "File(1)"),
        ("GET /a%20b.txt", "File(3)"),
        ("GET /app/temperature", "Value(\"temperature\")"),
        ("POST /rescan", "Rescan"),
        ("POST /", "405 GET, HEAD"),
        ("PUT /setup", "405 GET, HEAD"),
        ("DELETE /networks.json", "405 GET, HEAD"),
        ("POST /css/style.css", "405 GET, HEAD"),
        ("GET /connect", "405 POST"),
        ("HEAD /rescan", "405 POST"),
        ("PATCH /connect", "405 POST"),
        ("BREW /pot", "404"),
        ("OPTIONS *", "404"),
        ("GET /docs", "404"),
        ("GET /a+b.txt", "404"),
        ("GET /css/", "404"),
        ("GET //css/style.css", "404"),
        ("GET /css/../css/style.css", "404"),
        ("GET /../wifi.json", "404"),
        ("GET /%2e%2e/wifi.json", "404"),
        ("GET /config.toml", "404"),
        ("GET /networks.json/", "404"),
        ("GET /SETUP", "404"),
        ("GET /%00", "404"),
        ("GET /app/0123456789012345678901234567890123456789", "404"),
        ("GET /%", "400"),
        ("GET /%zz", "400"),
        ("GET /%C0%AF", "400"),
        ("GET /%ff", "400"),
    ];
    for (line, expected) in table {
        assert_eq!(word(&plan(line, "")), expected, "{line}");
    }
    let long = format!("GET /{}", "a".repeat(600));
    assert_eq!(word(&plan(&long, "")), "404");
}

#[test]
fn an_own_index_takes_the_root_but_not_the_set_up() {
    let files = [File {
        path: "index.html",
        ..PAGE
    }];
    let get = |path| format!("GET {path} HTTP/1.1\r\nHost: localhost\r\n\r\n");
    assert_eq!(plan_with(&files, &get("/")).route, Route::File(0));
    assert_eq!(plan_with(&files, &get("/setup")).route, Route::Page);
}

#[test]
fn own_names_are_served_and_others_sent_to_the_portal() {
    let table = [
        ("192.168.4.1", true),
        ("10.0.0.7:8080", true),
        ("[fe80::1]:80", true),
        ("localhost:8080", true),
        ("LOCALHOST.", true),
        ("relay-1", true),
        ("Relay-1.Local:81", true),
        ("relay-1.local.", true),
        ("relay-10", false),
        ("relay-1.local.example.com", false),
        ("relay-1.example", false),
        ("connectivitycheck.gstatic.com", false),
        ("localhost.evil.com", false),
        ("192.168.4.1.nip.io", false),
        ("local", false),
    ];
    for (host, own) in table {
        let request = |method| format!("{method} /status.json HTTP/1.1\r\nHost: {host}\r\n\r\n");
        let get = plan_with(&FILES, &request("GET"));
        assert_eq!(get.own_host, own, "{host}");
        assert_eq!(
            get.route,
            if own { Route::Status } else { Route::Elsewhere },
            "{host}"
        );
        let post = word(&plan_with(&FILES, &request("POST")));
        assert_eq!(post, if own { "405 GET, HEAD" } else { "403" }, "{host}");
    }
    let old = plan_with(&FILES, "GET /status.json HTTP/1.0\r\n\r\n");
    assert_eq!(old.route, Route::Status);
}

#[test]
fn only_the_devices_own_page_may_post() {
    let table = [
        ("", "Rescan"),
        ("Origin: http://192.168.4.1\r\n", "Rescan"),
        ("Origin: HTTP://192.168.4.1:80\r\n", "Rescan"),
        ("Origin: http://192.168.4.1:8080\r\n", "403"),
        ("Origin: https://192.168.4.1\r\n", "403"),
        ("Origin: http://192.168.4.2\r\n", "403"),
        ("Origin: http://192.168.4.1.evil.com\r\n", "403"),
        ("Origin: http://evil.com\r\n", "403"),
        ("Origin: null\r\n", "403"),
        ("Origin:\r\n", "403"),
        ("Origin: http://192.168.4.1/x\r\n", "403"),
        ("Origin: \u{e9}\u{e9}\u{e9}\u{e9}\r\n", "403"),
    ];
    for (headers, expected) in table {
        assert_eq!(word(&plan("POST /rescan", headers)), expected, "{headers}");
    }
    assert_eq!(
        plan("GET /status.json", "Origin: http://evil.com\r\n").route,
        Route::Status
    );
}

#[test]
fn a_form_needs_a_length_a_type_and_a_bounded_body() {
    let form = "Content-Type: application/x-www-form-urlencoded\r\n";
    let table = [
        ("Content-Length: 10\r\n", "Connect", 10, true),
        ("Content-Length: 0\r\n", "Connect", 0, true),
        ("Content-Length: 1024\r\n", "Connect", 1024, true),
        ("Content-Length: 1025\r\n", "413", 0, false),
        ("Content-Length: 18446744073709551615\r\n", "413", 0, false),
        ("Transfer-Encoding: chunked\r\n", "411", 0, false),
        ("", "411", 0, true),
    ];
    for (length, expected, body, keep_alive) in table {
        let plan = plan("POST /connect", &format!("{form}{length}"));
        assert_eq!(
            (&*word(&plan), plan.body, plan.keep_alive),
            (expected, body, keep_alive),
            "{length}"
        );
    }
    let json = "Content-Type: application/json\r\nContent-Length: 2\r\n";
    assert_eq!(word(&plan("POST /connect", json)), "400");
    assert_eq!(word(&plan("GET /", "Content-Length: 99999\r\n")), "413");
    assert_eq!(
        word(&plan("GET /nowhere", "Content-Length: 99999\r\n")),
        "404"
    );
}

#[test]
fn contents_that_are_known_are_not_sent_again() {
    let table = [
        ("GET /css/style.css", "If-None-Match: \"s1\"\r\n", true),
        (
            "GET /css/style.css",
            "If-None-Match: \"x\", W/\"s1\"\r\n",
            true,
        ),
        ("GET /css/style.css", "If-None-Match: *\r\n", true),
        ("GET /css/style.css", "If-None-Match: s1\r\n", false),
        (
            "GET /css/style.css",
            "If-None-Match: \"s1-gzip\"\r\n",
            false,
        ),
        (
            "GET /css/style.css",
            "Accept-Encoding: gzip\r\nIf-None-Match: \"s1\"\r\n",
            true,
        ),
        ("GET /", "If-None-Match: \"p1\"\r\n", true),
        (
            "GET /",
            "Accept-Encoding: gzip\r\nIf-None-Match: \"p1\"\r\n",
            false,
        ),
        (
            "GET /",
            "Accept-Encoding: gzip\r\nIf-None-Match: \"p1-gzip\"\r\n",
            true,
        ),
        ("GET /status.json", "If-None-Match: *\r\n", false),
    ];
    for (line, headers, expected) in table {
        assert_eq!(plan(line, headers).unchanged, expected, "{line} {headers}");
    }
}

proptest! {
    #[test]
    fn no_path_reaches_more_than_the_tables(path in "[ -~]{0,40}") {
        let request = format!("GET /{} HTTP/1.1\r\nHost: localhost\r\n\r\n", path.replace(' ', "+"));
        if let Scanned::Complete(head, _) = scan(request.as_bytes(), 1536) {
            let _ = route(&head, &Site { name: "a", files: &FILES, upload: &|_| None }, &PAGE);
        }
    }
}
