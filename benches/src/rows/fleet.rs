//! Many devices in one process, at one mosquitto.

use std::process::{Command, Stdio};

use rustix::process::{Resource, Rlimit, getrlimit, setrlimit};
use serde_json::Value;

use crate::Plan;
use crate::process::{Failure, Program, Scratch, free_address, installed, sibling};
use crate::samples::Samples;
use crate::table::{Row, Section};

/// How many devices, and for how many seconds they are watched; the second and the last are compared.
const FLEETS: [(u32, u32); 4] = [(1, 30), (100, 30), (1_000, 30), (10_000, 300)];
const QUICK: [(u32, u32); 2] = [(1, 5), (100, 5)];

/// What one fleet took.
struct Taken {
    devices: u32,
    dropped: u64,
    seconds: f64,
    kilobytes: Samples,
    microseconds: Samples,
}

pub(crate) fn measure(plan: &Plan) -> Result<Section, Failure> {
    // The broker has a socket for each device, too.
    let limit = getrlimit(Resource::Nofile);
    let raised = Rlimit {
        current: limit.maximum,
        ..limit
    };
    setrlimit(Resource::Nofile, raised).map_err(|error| format!("ulimit -n: {error}"))?;
    let scratch = Scratch::new("fleet")?;
    let broker = free_address();
    let config = format!(
        "listener {} 127.0.0.1\nallow_anonymous true\n",
        broker.port()
    );
    let config = scratch.file("mosquitto.conf", config.as_bytes())?;
    let mut mosquitto = Command::new(installed("mosquitto"));
    mosquitto.arg("-c").arg(config);
    let _mosquitto = Program::start("mosquitto", &mut mosquitto)?.listening(broker)?;
    let fleets = match plan.quick {
        true => &QUICK[..],
        false => &FLEETS[..],
    };
    let mut taken = Vec::new();
    for (devices, seconds) in fleets {
        let output = Command::new(sibling("fleet")?)
            .args([&devices.to_string(), &broker.to_string()])
            .args(["--seconds", &seconds.to_string()])
            .stderr(Stdio::null())
            .output()
            .map_err(|error| format!("fleet: {error}"))?;
        let json: Value = serde_json::from_slice(&output.stdout)
            .map_err(|_| format!("a fleet of {devices} has failed: make fleet tells why"))?;
        let number = |name: &str| json[name].as_f64().unwrap_or(f64::NAN);
        // The code that the first device brings into memory is nobody's but the process's.
        let all = number("kilobytes") * f64::from(*devices);
        let first: f64 = taken
            .first()
            .map_or(0.0, |one: &Taken| one.kilobytes.median());
        let others = f64::from(*devices - u32::from(*devices > 1));
        taken.push(Taken {
            devices: *devices,
            dropped: json["dropped"].as_u64().unwrap_or(u64::MAX),
            seconds: number("seconds"),
            kilobytes: Samples::from_iter([(all - first) / others]),
            microseconds: Samples::from_iter([number("microseconds")]),
        });
    }
    Ok(Section {
        title: "Many devices",
        note: "One process on one thread, each device the framework's own with storage, Wi-Fi policy, \
               session and a heartbeat every 5 s, at one mosquitto. Memory: what the process had more than \
               before the first device, or, with several, than with one; processor time: of the process, while all were online."
            .into(),
        rows: rows(&taken),
    })
}

fn rows(taken: &[Taken]) -> Vec<Row> {
    let mut rows = Vec::new();
    for fleet in taken {
        let what = format!("{} devices", fleet.devices);
        let memory = Row::new(
            format!("{what}: memory a device"),
            fleet.kilobytes.show(" KB"),
        );
        rows.push(match fleet.devices {
            // The process itself is in the figure of one.
            1 => memory,
            _ => memory.at_most(&fleet.kilobytes, 64.0, "64 KB"),
        });
        rows.push(Row::new(
            format!("{what}: processor time a device and second"),
            fleet.microseconds.show(" µs"),
        ));
        rows.push(
            Row::new(
                format!("{what}: dropped"),
                format!("{} in {:.0} s", fleet.dropped, fleet.seconds),
            )
            .judged(fleet.dropped == 0, "none"),
        );
    }
    if let [_, few, .., many] = taken {
        let by = many.microseconds.ratio(&few.microseconds);
        rows.push(
            Row::new(
                format!(
                    "processor time: {} by {} devices",
                    many.devices, few.devices
                ),
                by.show(" ×"),
            )
            .at_most(&by, 1.2, "1.2 ×"),
        );
    }
    rows
}
