//! The device's log.

use core::fmt;

/// How much a line matters.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Level {
    /// Something failed and somebody should know.
    Error,
    /// Something is not as it should be, and the device goes on.
    Warn,
    /// What the device does.
    Info,
    /// What it does in detail.
    Debug,
}

/// Takes lines from every part of the device.
pub struct Log<'m> {
    ring: core::cell::RefCell<&'m mut [u8]>,
}

impl<'m> Log<'m> {
    /// Writes one line; `source` names the part of the device that speaks.
    pub fn write(&self, level: Level, source: &'static str, line: fmt::Arguments<'_>) {
        let _ = (level, source, line, &self.ring);
    }
}

/// Logs a line: `log!(log, Warn, "mqtt", "the broker at {host} does not answer")`.
#[macro_export]
macro_rules! log {
    ($log:expr, $level:ident, $source:expr, $($line:tt)+) => {
        $log.write($crate::log::Level::$level, $source, format_args!($($line)+))
    };
}
