//! A device from its first boot on: set up by a person, online, through outages, and its end.

use std::thread;
use std::time::{Duration, Instant};

use crate::machine::{Folder, LONG, Machine, is_installed};
use crate::surroundings::Broker;

const SWITCH: &str = "switches/relay-1/state";
const ONLINE: &[&str] = &["board: wifi=online", "mqtt=online"];
/// A heartbeat's interval in the test's configuration is a second.
const HEARTBEAT: &str = "/heartbeat alive";

fn config(port: u16) -> String {
    format!("[mqtt]\nhost = \"10.0.2.2\"\nport = {port}\nheartbeat = 1\n")
}

#[test]
fn a_person_sets_the_device_up_and_its_relay_follows_the_broker_through_outages() {
    if !is_installed("qemu-system-riscv32", "qemu-system-misc")
        || !is_installed("mosquitto", "mosquitto")
        || !is_installed("mosquitto_sub", "mosquitto-clients")
    {
        return;
    }
    let (folder, port) = (Folder::new(), sim::port::free());
    let broker = Broker::start(&folder, port);
    let listener = broker.listen();
    let heard = listener.lines.clone();
    let config = folder.file("config.toml", &config(port));

    // First boot: nothing is known, so the portal is open.
    let mut machine = Machine::start(&folder, Some(&config));
    let console = machine.console.clone();
    console.wait_for(0, &["pin 14 is 0"]);
    console.wait_for(0, &["Set-up: join the network"]);
    let page = machine.wait_for_answer("GET /setup", "HTTP/1.1 200");
    assert!(page.contains("<html") || page.contains("gzip"), "{page}");
    let networks = machine.wait_for_answer("GET /networks.json", "Bluebell-Lab");
    assert!(
        networks.contains("\"wpa2\"") && !networks.contains("Attic"),
        "{networks}"
    );

    // The wrong password first.
    connect(&machine, "ssid=Bluebell-Lab&password=wrong+horse");
    let status = machine.wait_for_answer("GET /status.json", "\"failed\"");
    assert!(status.contains("\"wrong_password\""), "{status}");
    connect(&machine, "ssid=Bluebell-Lab&password=correct+horse");
    let status = machine.wait_for_answer("GET /status.json", "\"online\"");
    assert!(status.contains("\"10.0.2.15\""), "{status}");

    // MQTT: birth, a heartbeat, and the relay in both directions.
    console.wait_for(0, ONLINE);
    heard.wait_for(0, &["/status online"]);
    heard.wait_for(0, &[HEARTBEAT]);
    broker.publish(SWITCH, "ON");
    let mut seen = console.wait_for(0, &["pin 14 is 1"]);
    heard.wait_for(0, &["/relay ON"]);
    machine.order("press 0");
    seen = console.wait_for(seen, &["pin 14 is 0"]);
    heard.wait_for(0, &["/relay OFF"]);

    // The access point closes some seconds later, and nobody answers any more.
    seen = console.wait_for(seen, &["portal=closed", "mqtt=online"]);
    assert_eq!(machine.request("GET /setup", ""), None);

    // The network goes; the button works all the same; the network comes back.
    machine.order("air Bluebell-Lab down");
    seen = console.wait_for(seen, &["mqtt=offline"]);
    machine.order("press 0");
    seen = console.wait_for(seen, &["pin 14 is 1"]);
    machine.order("air Bluebell-Lab up");
    seen = console.wait_for(seen, ONLINE);
    let beats = heard.count();
    heard.wait_for(beats, &[HEARTBEAT]);

    // The broker goes and comes back.
    drop((broker, listener));
    seen = console.wait_for(seen, &["wifi=online", "mqtt=connecting"]);
    let broker = Broker::start(&folder, port);
    seen = console.wait_for(seen, ONLINE);
    broker.publish(SWITCH, "OFF");
    console.wait_for(seen, &["pin 14 is 0"]);

    // A power cut. What was set up is still there: online by itself, without a portal.
    let listener = broker.listen();
    let heard = listener.lines.clone();
    drop(machine);
    // The broker says so once the connection is gone.
    let gone = heard.wait_for(0, &["/status offline"]);
    let machine = Machine::start(&folder, None);
    machine.console.wait_for(0, ONLINE);
    heard.wait_for(gone, &["/status online"]);
    heard.wait_for(gone, &[HEARTBEAT]);
    let printed = machine.console.text();
    assert!(
        !printed.contains("portal=open") && !printed.contains("correct horse"),
        "{printed}"
    );
}

#[test]
fn the_machine_ends_with_a_status() {
    if !is_installed("qemu-system-riscv32", "qemu-system-misc") {
        return;
    }
    let folder = Folder::new();
    let mut machine = Machine::start(&folder, None);
    machine.console.wait_for(0, &["portal=open"]);
    machine.order("power off");
    assert_eq!(machine.end().code(), Some(0));

    let mut machine = Machine::start(&folder, None);
    machine.console.wait_for(0, &["portal=open"]);
    machine.order("power crash");
    assert_eq!(machine.end().code(), Some(101));
    machine.console.wait_for(0, &["panicked at"]);
    machine.console.wait_for(0, &["ordered at the console"]);
}

/// Submits a network; a submission right after another may have to wait.
fn connect(machine: &Machine, form: &str) {
    let until = Instant::now() + LONG;
    loop {
        let answer = machine.request("POST /connect", form).unwrap_or_default();
        if answer.starts_with("HTTP/1.1 202") {
            return;
        }
        assert!(
            Instant::now() < until,
            "{answer}\n{}",
            machine.console.text()
        );
        thread::sleep(Duration::from_millis(300));
    }
}
