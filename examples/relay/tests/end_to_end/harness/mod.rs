//! What the scenarios use: the built program, a client for HTTP, and mosquitto's three programs.
//!
//! Nothing in here looks into the program: it is started with flags, and after that there are its sockets,
//! its console, its signals and its files, as for a person.

pub(crate) mod air;
pub(crate) mod board;
pub(crate) mod console;
pub(crate) mod http;
pub(crate) mod mosquitto;

use std::time::{Duration, Instant};

/// Longer than anything takes on a machine with far too much to do; only a failure takes this long.
pub(crate) const PATIENCE: Duration = Duration::from_secs(60);

/// What a loaded machine may add to a time that a contract gives. The times themselves are held in virtual time
/// (`sim/scenarios/`, `sim/tests/`); here they only tell what comes by itself from what does not.
pub(crate) const SLACK: Duration = Duration::from_secs(10);

/// Asks again and again until there is an answer, and gives it with the time that it took.
///
/// # Panics
///
/// When `limit` has passed without one.
pub(crate) fn within<T>(
    limit: Duration,
    what: &str,
    mut ask: impl FnMut() -> Option<T>,
) -> (T, Duration) {
    let start = Instant::now();
    loop {
        if let Some(answer) = ask() {
            return (answer, start.elapsed());
        }
        assert!(start.elapsed() < limit, "{what}: not within {limit:?}");
        std::thread::sleep(Duration::from_millis(25));
    }
}

/// Waits patiently for something to become true.
pub(crate) fn until(what: &str, mut is_so: impl FnMut() -> bool) {
    within(PATIENCE, what, || is_so().then_some(()));
}

/// Watches for a while that something stays true.
pub(crate) fn throughout(time: Duration, what: &str, mut is_so: impl FnMut() -> bool) {
    let start = Instant::now();
    while start.elapsed() < time {
        assert!(is_so(), "{what}: no longer after {:?}", start.elapsed());
        std::thread::sleep(Duration::from_millis(50));
    }
}
