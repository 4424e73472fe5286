//! What is fuzzed: everything that reads bytes from outside, each with what must hold for any of them.
//!
//! Guarantees: a target is a plain function of its input, so that a failure is repeated by the bytes alone;
//! it goes through the framework's public API, in virtual time where time matters, and compares with another
//! implementation or a model wherever there is one. cargo-fuzz and an ordinary test run the same functions.

mod config;
mod console;
mod datagrams;
mod decoding;
mod dhcp;
mod display;
mod dns;
mod flash;
mod form;
mod http;
mod mqtt;
mod networks;
mod packets;
mod path;
mod portal;
mod sealed;
mod sntp;
mod timezone;
mod topic;
mod wifi_json;
mod wire;

/// One target.
#[derive(Debug, Clone, Copy)]
pub struct Target {
    /// Its name, which is also that of its corpus.
    pub name: &'static str,
    /// Runs it on one input.
    ///
    /// Panics when something does not hold.
    pub run: fn(&[u8]),
}

const fn target(name: &'static str, run: fn(&[u8])) -> Target {
    Target { name, run }
}

/// All targets.
pub const TARGETS: &[Target] = &[
    target("config", config::run),
    target("console", console::run),
    target("dhcp", dhcp::run),
    target("display", display::run),
    target("dns", dns::run),
    target("flash", flash::run),
    target("form", form::run),
    target("http", http::run),
    target("mqtt", mqtt::run),
    target("networks", networks::run),
    target("path", path::run),
    target("sealed", sealed::run),
    target("sntp", sntp::run),
    target("timezone", timezone::run),
    target("topic", topic::run),
    target("wifi_json", wifi_json::run),
];

/// Runs the target of this name.
///
/// # Panics
///
/// When there is none, or something does not hold.
pub fn run(name: &str, input: &[u8]) {
    let target = TARGETS.iter().find(|target| target.name == name);
    (target.expect("there is such a target").run)(input);
}
