//! A phone on the access point: a real DHCP client, resolver and browser on a wire into the machine, in a
//! network namespace of its own.

use std::fs;
use std::net::TcpStream;
use std::os::unix::fs::PermissionsExt;
use std::process::Command;
use std::time::Duration;

use rustix::net::sockopt::set_socket_linger;

use crate::machine::{Folder, Machine, Wire, is_installed};

/// What the DHCP client calls with what it was offered.
const ON_LEASE: &str = r#"#!/bin/sh
[ "$1" = bound ] || exit 0
ip address add "$ip/$mask" dev "$interface"
echo "address=$ip/$mask router=$router dns=$dns lease=$lease"
"#;

/// How often a burst of clients comes, and how many at once: as many as the portal has seats.
const BURSTS: u32 = 8;
const CLIENTS: u32 = 4;

#[test]
fn a_phone_on_the_access_point_gets_an_address_and_is_led_to_the_portal() {
    for (program, package) in [
        ("qemu-system-riscv32", "qemu-system-misc"),
        ("udhcpc", "udhcpc"),
        ("dig", "bind9-dnsutils"),
        ("curl", "curl"),
        ("ip", "iproute2"),
    ] {
        if !is_installed(program, package) {
            return;
        }
    }
    if !Wire::is_allowed() {
        eprintln!("SKIP: no network namespace with a TAP device may be made here");
        return;
    }
    let folder = Folder::new();
    let on_lease = folder.file("on-lease", ON_LEASE);
    fs::set_permissions(&on_lease, fs::Permissions::from_mode(0o755)).expect("it is ours");
    let machine = Machine::start_with(&folder, None, Some(Wire));
    machine.console.wait_for(0, &["portal=open"]);

    let mut client = phone(&machine, "udhcpc");
    let offered = said(
        client
            .args(["-i", Wire::NAME, "-f", "-n", "-q", "-t", "20", "-s"])
            .arg(on_lease),
    );
    assert!(offered.contains("address=192.0.2."), "{offered}");
    assert!(
        offered.contains("router=192.0.2.1 dns=192.0.2.1"),
        "{offered}"
    );

    for name in ["captive.apple.com", "connectivitycheck.gstatic.com"] {
        let mut resolver = phone(&machine, "dig");
        let answer = said(resolver.args(["+short", "@192.0.2.1", name, "A"]));
        assert_eq!(answer.trim(), "192.0.2.1");
        let mut browser = phone(&machine, "curl");
        let answer = said(browser.args([
            "--silent",
            "--max-time",
            "20",
            "--output",
            "/dev/null",
            "--write-out",
            "%{http_code} %{redirect_url}",
            "--connect-to",
            "::192.0.2.1:",
            &format!("http://{name}/generate_204"),
        ]));
        assert!(answer.starts_with("302 http://192.0.2.1"), "{answer}");
    }
    let mut browser = phone(&machine, "curl");
    let page = said(browser.args(["--silent", "--max-time", "20", "http://192.0.2.1/plain"]));
    assert!(page.contains("<html"), "{page}");
}

#[test]
fn clients_that_reset_their_connection_at_once_do_not_bring_the_device_down() {
    if !is_installed("qemu-system-riscv32", "qemu-system-misc") {
        return;
    }
    let folder = Folder::new();
    let machine = Machine::start(&folder, None);
    machine.wait_for_answer("GET /setup", "HTTP/1.1 200");
    for _ in 0..BURSTS {
        let clients = (0..CLIENTS).map(|_| TcpStream::connect(machine.portal));
        for client in clients.filter_map(Result::ok).collect::<Vec<_>>() {
            // As a port scan does it: what is closed now is reset, not ended.
            set_socket_linger(&client, Some(Duration::ZERO)).expect("it is a socket");
        }
        machine.wait_for_answer("GET /setup", "HTTP/1.1 200");
    }
    let printed = machine.console.text();
    assert!(!printed.contains("panicked"), "{printed}");
}

/// A program on the phone.
fn phone(machine: &Machine, program: &str) -> Command {
    let mut command = Command::new("nsenter");
    let process = machine.process().to_string();
    command.args(["--net", "--target", &process, program]);
    command.env(
        "PATH",
        std::env::var("PATH").unwrap_or_default() + ":/usr/sbin:/sbin",
    );
    command
}

fn said(command: &mut Command) -> String {
    let output = command.output().expect("nsenter starts");
    let text = String::from_utf8_lossy(&output.stdout).into_owned();
    let error = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "{command:?}: {text}{error}");
    text
}
