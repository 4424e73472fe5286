//! What the machine must allow before a fleet can be: looked at first, and named with the remedy.

use rustix::process::{Resource, Rlimit, getrlimit, setrlimit};

/// Files that the process has open besides one socket a device.
const OTHER_FILES: u64 = 64;
/// What a device may take, in KB.
const DEVICE: u64 = 64;

/// Sees to it that so many devices can be, or says what to change.
pub(crate) fn check(devices: u32) -> Result<(), String> {
    let devices = u64::from(devices);
    files(devices + OTHER_FILES)?;
    ports(devices)?;
    memory(devices * DEVICE)
}

fn files(needed: u64) -> Result<(), String> {
    let limit = getrlimit(Resource::Nofile);
    if limit.current.is_none_or(|current| current >= needed) {
        return Ok(());
    }
    if let Some(most) = limit.maximum
        && most < needed
    {
        return Err(format!(
            "{needed} files must be open at once and {most} may be: ulimit -Hn {needed} as root, or \
             LimitNOFILE= of the service"
        ));
    }
    let raised = Rlimit {
        current: Some(needed),
        ..limit
    };
    setrlimit(Resource::Nofile, raised).map_err(|error| {
        format!("{needed} files must be open at once: {error}; ulimit -n {needed}")
    })
}

/// Every device has a connection to the one address of the broker, and so a port of its own.
fn ports(needed: u64) -> Result<(), String> {
    let path = "/proc/sys/net/ipv4/ip_local_port_range";
    let Ok(text) = std::fs::read_to_string(path) else {
        return Ok(());
    };
    let mut numbers = text.split_whitespace().map(str::parse::<u64>);
    let (Some(Ok(low)), Some(Ok(high))) = (numbers.next(), numbers.next()) else {
        return Ok(());
    };
    let there = (high + 1).saturating_sub(low);
    if there < needed {
        return Err(format!(
            "{needed} ports are needed and {there} are there: sysctl -w \
             net.ipv4.ip_local_port_range=\"1024 65535\", which gives 64,512"
        ));
    }
    Ok(())
}

fn memory(kilobytes: u64) -> Result<(), String> {
    let text = std::fs::read_to_string("/proc/meminfo").unwrap_or_default();
    let line = text
        .lines()
        .find_map(|line| line.strip_prefix("MemAvailable:"));
    let available = line.and_then(|rest| rest.trim().trim_end_matches(" kB").parse::<u64>().ok());
    match available {
        Some(available) if available < kilobytes => Err(format!(
            "the fleet needs up to {kilobytes} KB of memory and {available} KB are free: fewer DEVICES"
        )),
        _ => Ok(()),
    }
}
