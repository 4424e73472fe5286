//! The device's log: every part writes lines, the console shows them and the flash keeps them.
//!
//! Guarantees: writing a line never waits, never allocates and never fails; a line stays one line; a reader
//! that could not follow says how many lines it lost; an error is handed to the flash at once, and every
//! other line within [`KEEP_WITHIN`] as long as [`Log::keep`] is polled.

mod entry;
mod reader;
mod ring;
#[cfg(test)]
pub(crate) mod tests;

pub use reader::LogReader;

use core::cell::{Cell, RefCell};
use core::convert::Infallible;
use core::fmt;
use core::future::poll_fn;
use core::task::Poll;

use embassy_futures::select::select;
use embassy_sync::waitqueue::WakerRegistration;
use embassy_time::{Duration, Instant, Timer};
use embedded_io_async::Write;
use heapless::{String, Vec};

use self::entry::{ENTRY, LINE, Stamp, show, write_entry};
use self::ring::{Place, Ring};
use crate::pieces::copy;
use crate::storage::Store;

/// How long a line that is no error waits for others, to be kept together with them.
pub const KEEP_WITHIN: Duration = Duration::from_secs(2);

/// How many bytes are enough to be kept without waiting longer.
const ENOUGH: usize = 512;

/// How much is read from flash at a time.
const CHUNK: usize = 512;

/// How long a failed flash is left alone.
const PAUSE: Duration = Duration::from_secs(5);

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

/// Takes lines from every part of the device, at once and without waiting, and hands them on to the
/// console and to flash.
pub struct Log<'m> {
    ring: RefCell<Ring<'m>>,
    level: Cell<Level>,
    unix_micros_at_boot: Cell<Option<i64>>,
    /// An error waits to be kept.
    urgent: Cell<bool>,
    printed: Cell<Place>,
    kept: Cell<Place>,
    printer: RefCell<WakerRegistration>,
    keeper: RefCell<WakerRegistration>,
    /// How many bytes are worth keeping without waiting longer.
    enough: usize,
}

impl<'m> Log<'m> {
    /// A log that holds the newest lines in `buffer`, for which 2 KiB or more are sensible.
    #[must_use]
    pub fn new(buffer: &'m mut [u8]) -> Self {
        Self {
            enough: ENOUGH.min(buffer.len() / 2),
            ring: RefCell::new(Ring::new(buffer)),
            level: Cell::new(Level::Info),
            unix_micros_at_boot: Cell::new(None),
            urgent: Cell::new(false),
            printed: Cell::default(),
            kept: Cell::default(),
            printer: RefCell::new(WakerRegistration::new()),
            keeper: RefCell::new(WakerRegistration::new()),
        }
    }

    /// Sets the least important level that is logged; `Info` at first.
    pub fn set_level(&self, level: Level) {
        self.level.set(level);
    }

    /// Tells the wall clock: microseconds from 1970 in UTC at the moment of boot. Lines written from
    /// now on carry UTC in the place of the uptime.
    pub fn set_clock(&self, unix_micros_at_boot: i64) {
        self.unix_micros_at_boot.set(Some(unix_micros_at_boot));
    }

    /// Writes one line; `source` names the part of the device that speaks, in at most 31 bytes.
    ///
    /// A line whose parts themselves log while they are written out loses these inner lines.
    pub fn write(&self, level: Level, source: &'static str, line: fmt::Arguments<'_>) {
        if level > self.level.get() {
            return;
        }
        if let Ok(mut ring) = self.ring.try_borrow_mut() {
            ring.write(level, self.stamp(), source, line);
        }
        if level == Level::Error {
            self.urgent.set(true);
        }
        self.printer.borrow_mut().wake();
        self.keeper.borrow_mut().wake();
    }

    fn stamp(&self) -> Stamp {
        let uptime = Instant::now();
        match self.unix_micros_at_boot.get() {
            Some(boot) => {
                let micros = boot.saturating_add_unsigned(uptime.as_micros());
                Stamp::Utc(u64::try_from(micros).unwrap_or(0) / 1_000_000)
            }
            None => Stamp::Uptime(uptime.as_millis()),
        }
    }

    /// Prints lines on `console` as they are written, for as long as it is polled.
    ///
    /// What the console refuses is passed over. Cancellation: the line that was being printed may be
    /// printed again.
    pub async fn print<W: Write>(&self, console: &mut W) -> Infallible {
        loop {
            self.until(&self.printer, || self.pending(&self.printed) > 0)
                .await;
            let mut line = String::<LINE>::new();
            while let Some(next) = self.next_line(&mut line) {
                // In one piece, for a console that is shared. There is nobody to tell that it fails.
                let _ = console.write_all(line.as_bytes()).await;
                self.printed.set(next);
            }
            let _ = console.flush().await;
        }
    }

    /// The next line to be printed, with its end, and the place after it. Not a part of its caller, so
    /// that the entry is not in memory while a console takes the line.
    fn next_line(&self, line: &mut String<LINE>) -> Option<Place> {
        let mut entry = [0; ENTRY];
        let (length, next) = self.copy_lines(self.printed.get(), &mut entry, 1)?;
        show(entry.get(1..length).unwrap_or_default(), line);
        if line.push('\n').is_err() {
            line.pop();
            let _ = line.push('\n');
        }
        Some(next)
    }

    /// Keeps lines on flash as they are written: an error at once, others after a short delay or
    /// when enough have gathered.
    ///
    /// Cancellation: lines that were being kept may be kept twice, if it is called again.
    pub async fn keep(&self, store: &Store<'_>) -> Infallible {
        loop {
            self.until(&self.keeper, || self.pending(&self.kept) > 0)
                .await;
            let due = self.until(&self.keeper, || {
                self.urgent.get() || self.pending(&self.kept) >= self.enough
            });
            select(due, Timer::after(KEEP_WITHIN)).await;
            let mut after = self.kept.get();
            let mut fill = |buffer: &mut [u8]| {
                self.urgent.set(false);
                match self.copy_lines(self.kept.get(), buffer, usize::MAX) {
                    Some((length, next)) => {
                        after = next;
                        length
                    }
                    None => 0,
                }
            };
            match store.log_append(&mut fill).await {
                Ok(()) => self.kept.set(after),
                Err(_) => Timer::after(PAUSE).await,
            }
        }
    }

    /// Visits every line, oldest first: those on flash, then those that are not there yet. Lines have
    /// no line end.
    pub async fn read(&self, store: &Store<'_>, visit: &mut dyn FnMut(&str)) {
        let mut chunk = [0; CHUNK];
        let mut reader = LogReader::new(&mut chunk);
        while let Some(line) = reader.next(self, store).await {
            visit(line);
        }
    }

    /// Up to which place the lines are on flash.
    fn kept_until(&self) -> Place {
        self.kept.get()
    }

    fn pending(&self, from: &Cell<Place>) -> usize {
        self.ring.borrow().bytes_after(from.get())
    }

    fn until(
        &self,
        waker: &RefCell<WakerRegistration>,
        condition: impl Fn() -> bool,
    ) -> impl Future<Output = ()> {
        poll_fn(move |context| {
            if condition() {
                Poll::Ready(())
            } else {
                waker.borrow_mut().register(context.waker());
                Poll::Pending
            }
        })
    }

    /// Copies at most `most` entries from `place` on, as many as fit, and returns their length and the
    /// next place. Lines that were lost stand in for by one that says how many.
    fn copy_lines(&self, place: Place, into: &mut [u8], most: usize) -> Option<(usize, Place)> {
        let ring = self.ring.borrow();
        let (mut place, lost) = ring.still_there(place);
        let mut length = 0;
        let mut entries = 0;
        if lost > 0 {
            let note = self.lost(lost);
            copy(&note, into, note.len())?;
            length = note.len();
            entries = 1;
        }
        while entries < most
            && let Some((more, next)) = ring.copy(place, into.get_mut(length..)?)
        {
            length += more;
            entries += 1;
            place = next;
        }
        (entries > 0).then_some((length, place))
    }

    fn lost(&self, lines: u32) -> Vec<u8, 64> {
        let mut entry = Vec::new();
        let text = format_args!("{lines} lines lost");
        write_entry(&mut entry, 64, Level::Warn, self.stamp(), "log", text);
        if let Some((length, body)) = entry.split_first_mut() {
            *length = body.len() as u8;
        }
        entry
    }
}

/// Logs a line: `log!(log, Warn, "mqtt", "the broker at {host} does not answer")`.
#[macro_export]
macro_rules! log {
    ($log:expr, $level:ident, $source:expr, $($line:tt)+) => {
        $log.write($crate::log::Level::$level, $source, format_args!($($line)+))
    };
}

/// Logs what the application does: `info!(device, "{count} eggs are done")`.
#[macro_export]
macro_rules! info {
    ($device:expr, $($line:tt)+) => {
        $crate::log!($device, Info, "app", $($line)+)
    };
}

/// Logs what is not as it should be: `warn!(device, "the sensor does not answer")`.
#[macro_export]
macro_rules! warn {
    ($device:expr, $($line:tt)+) => {
        $crate::log!($device, Warn, "app", $($line)+)
    };
}
