//! DHCP and DNS of the access point over real UDP, asked by the clients that phones and computers have.

use std::collections::HashMap;
use std::net::Ipv4Addr;
use std::process::{Command, Stdio};

use bluebell::log::Log;
use bluebell::portal::serve_dhcp_and_dns;
use edge_nal_std::Stack;
use embassy_futures::select::select;

const SCRIPT: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/access_point/phone.sh");
const ADDRESS: Ipv4Addr = Ipv4Addr::new(192, 168, 4, 1);

/// The device's side: started by the script, inside of its namespace. Otherwise there is nothing to do.
#[test]
fn the_services_run_where_the_script_starts_them() {
    if std::env::var_os("SERVE_ACCESS_POINT").is_none() {
        return;
    }
    let mut buffer = [0; 1024];
    let log = Log::new(&mut buffer);
    let stack = Stack::new();
    let services = serve_dhcp_and_dns(&stack, ADDRESS, [67, 53], &log);
    sim::time::run_real(select(services, std::future::pending::<()>()));
}

#[test]
fn ordinary_clients_get_an_address_and_are_led_to_the_portal() {
    let allowed = Command::new("unshare")
        .args([
            "--user",
            "--map-root-user",
            "--net",
            "ip",
            "link",
            "add",
            "a0",
        ])
        .args(["type", "veth", "peer", "name", "b0"])
        .stderr(Stdio::piped())
        .output();
    match allowed {
        Ok(output) if output.status.success() => {}
        Ok(output) => {
            let reason = String::from_utf8_lossy(&output.stderr).into_owned();
            return println!("SKIP: no network namespaces here: {}", reason.trim());
        }
        Err(error) => return println!("SKIP: unshare does not run: {error}"),
    }
    let output = Command::new("unshare")
        .args([
            "--user",
            "--map-root-user",
            "--net",
            "--pid",
            "--fork",
            "--kill-child",
        ])
        .args(["--mount-proc", "sh", SCRIPT])
        .arg(std::env::current_exe().unwrap())
        .args(["--exact", "the_services_run_where_the_script_starts_them"])
        .output()
        .unwrap();
    let errors = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "{errors}");
    let text = String::from_utf8(output.stdout).unwrap();
    let told: HashMap<_, _> = text
        .lines()
        .filter_map(|line| line.split_once('='))
        .collect();

    for client in ["udhcpc", "dhclient"] {
        let word = |key: &str| told.get(format!("{client}.{key}").as_str()).copied();
        let Some(address) = word("address") else {
            assert!(
                !told.keys().any(|key| key.starts_with(client)),
                "{text}{errors}"
            );
            println!("SKIP: {client} is not installed");
            continue;
        };
        let address: Ipv4Addr = address.parse().unwrap();
        assert_eq!(address.octets()[..3], ADDRESS.octets()[..3], "{text}");
        assert_ne!(address, ADDRESS);
        assert_eq!(word("router"), Some("192.168.4.1"), "{text}");
        assert_eq!(word("dns"), Some("192.168.4.1"), "{text}");
        assert_eq!(word("lease"), Some("600"), "{text}");
        // RFC 8910; udhcpc shows an option that it has no name for in hexadecimal.
        let portal = word("portal").unwrap();
        let hexadecimal: String = b"http://192.168.4.1/captive.json"
            .iter()
            .map(|byte| format!("{byte:02x}"))
            .collect();
        assert!(
            portal.contains("http://192.168.4.1/captive.json") || portal == hexadecimal,
            "{text}"
        );
    }
    if told.contains_key("dig.a") {
        assert_eq!(told["dig.a"], "192.168.4.1", "{text}");
        assert_eq!(told["dig.status"], "NOERROR");
        assert_eq!(told["dig.aaaa"].trim(), "NOERROR 0");
        assert_eq!(told["dig.malformed"], "FORMERR");
    } else {
        println!("SKIP: dig is not installed");
    }
}
