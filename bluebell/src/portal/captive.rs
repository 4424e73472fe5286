//! What each system's question "is this the internet?" wants to hear.
//!
//! Guarantees: until the device is online every such question is led to the portal, which makes the
//! system show its sign-in window; once it is online the answer is the one that closes the window. The
//! questions with their sources stand in `tests/portal/captive.toml`, and a test walks them all.

/// An answer that satisfies a system.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Probe {
    /// The path it is asked for at.
    path: &'static str,
    /// The host, where the path alone says too little.
    host: Option<&'static str>,
    /// The body; `None` is 204, an answer without one.
    pub(super) body: Option<&'static str>,
}

const APPLE: &str = "<HTML><HEAD><TITLE>Success</TITLE></HEAD><BODY>Success</BODY></HTML>";
const KINDLE: &str = "<html><head><title>Kindle Reachability Probe Page</title></head>\
                      <body>81ce4465-7167-4dcb-835b-dcc9e44c112a</body></html>";
const NETWORK_MANAGER: &str = "NetworkManager is online\n";

const fn probe(path: &'static str, body: Option<&'static str>) -> Probe {
    Probe {
        path,
        host: None,
        body,
    }
}

static PROBES: [Probe; 15] = [
    probe("/generate_204", None),
    probe("/gen_204", None),
    probe("/hotspot-detect.html", Some(APPLE)),
    probe("/library/test/success.html", Some(APPLE)),
    probe("/connecttest.txt", Some("Microsoft Connect Test")),
    probe("/ncsi.txt", Some("Microsoft NCSI")),
    probe("/success.txt", Some("success\n")),
    probe(
        "/canonical.html",
        Some(
            "<meta http-equiv=\"refresh\" \
             content=\"0;url=https://support.mozilla.org/kb/captive-portal\"/>",
        ),
    ),
    probe("/check_network_status.txt", Some(NETWORK_MANAGER)),
    probe("/nm-check.txt", Some(NETWORK_MANAGER)),
    probe("/static/hotspot.txt", Some("OK")),
    Probe {
        path: "/nm",
        host: Some("network-test.debian.org"),
        body: Some(NETWORK_MANAGER),
    },
    Probe {
        path: "/",
        host: Some("connectivity-check.ubuntu.com"),
        body: None,
    },
    probe("/kindle-wifi/wifistub.html", Some(KINDLE)),
    probe("/kindle-wifi/wifistub-eink.html", Some(KINDLE)),
];

/// The answer that satisfies who asks for this path of a host that is not the device.
pub(super) fn find(host: &str, path: &str) -> Option<&'static Probe> {
    PROBES.iter().find(|probe| {
        probe.path == path
            && probe
                .host
                .is_none_or(|known| host.eq_ignore_ascii_case(known))
    })
}
