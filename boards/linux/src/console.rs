//! The board's serial console: standard output and input of the process.
//!
//! Guarantees: the device never waits for whoever reads its output; lines that cannot be printed in
//! time are left out and counted. The end of the input is silence, not an error. What was printed last
//! is kept for the panel.

use std::collections::VecDeque;
use std::convert::Infallible;
use std::future::poll_fn;
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::task::{Poll, Waker};
use std::time::{Duration, Instant};

use embedded_io_async::{ErrorType, Read, Write};
use rustix::event::{PollFd, PollFlags, poll};

/// How many lines may wait for a slow reader of the output.
const WAITING_LINES: usize = 1024;
/// A line is passed on at this length, finished or not.
const LONGEST_LINE: usize = 4096;
/// How much of the output is kept for the panel, in bytes.
const KEPT_OUTPUT: usize = 256 * 1024;
/// How much typed input may wait for the device, in bytes.
const WAITING_INPUT: usize = 64 * 1024;

#[derive(Debug, Default)]
struct Typed {
    bytes: VecDeque<u8>,
    waker: Option<Waker>,
}

#[derive(Debug, Default)]
struct Kept {
    bytes: VecDeque<u8>,
    /// How many bytes were printed in all.
    printed: usize,
}

#[derive(Debug)]
struct Shared {
    lines: flume::Sender<Vec<u8>>,
    left_out: Mutex<usize>,
    kept: Mutex<Kept>,
    typed: Mutex<Typed>,
    taken: Condvar,
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

/// The process's side of the console.
#[derive(Debug, Clone)]
pub struct Terminal {
    shared: Arc<Shared>,
    idle: flume::Receiver<()>,
}

impl Terminal {
    /// Starts to print on `output`, from a thread of its own.
    #[must_use]
    pub fn new(output: impl std::io::Write + Send + 'static) -> Self {
        let (lines, waiting) = flume::bounded::<Vec<u8>>(WAITING_LINES);
        let (finished, idle) = flume::bounded(1);
        let shared = Arc::new(Shared {
            lines,
            left_out: Mutex::default(),
            kept: Mutex::default(),
            typed: Mutex::default(),
            taken: Condvar::new(),
        });
        std::thread::spawn(move || print(output, &waiting, &finished));
        Self { shared, idle }
    }

    /// Takes typed input from standard input, from a thread of its own.
    pub fn listen(&self) {
        let shared = self.shared.clone();
        std::thread::spawn(move || {
            let mut bytes = [0; 1024];
            loop {
                if !may_read_input() {
                    std::thread::sleep(Duration::from_millis(500));
                    continue;
                }
                match rustix::io::read(rustix::stdio::stdin(), &mut bytes) {
                    Ok(count @ 1..) => shared.type_in(&bytes[..count]),
                    Err(rustix::io::Errno::INTR) => {}
                    Ok(0) | Err(_) => return,
                }
            }
        });
    }

    /// Prints a line of the board itself, not of the device.
    pub fn say(&self, line: &str) {
        self.shared.print(format!("{line}\n").into_bytes());
    }

    /// What was printed last, from the beginning of a line.
    #[must_use]
    pub fn kept(&self) -> String {
        self.kept_since(0).0
    }

    /// What is kept of all that was printed after the first `position` bytes, and the next position.
    #[must_use]
    pub fn kept_since(&self, position: usize) -> (String, usize) {
        let kept = lock(&self.shared.kept);
        let begin = kept.printed - kept.bytes.len();
        let skipped = position.saturating_sub(begin).min(kept.bytes.len());
        let bytes: Vec<u8> = kept.bytes.iter().skip(skipped).copied().collect();
        (String::from_utf8_lossy(&bytes).into_owned(), kept.printed)
    }

    /// Where the device prints.
    #[must_use]
    pub fn console(&self) -> Console {
        Console {
            shared: self.shared.clone(),
            line: Vec::new(),
        }
    }

    /// Where the device reads what is typed; what was typed before is gone.
    #[must_use]
    pub fn commands(&self) -> Commands {
        lock(&self.shared.typed).bytes.clear();
        self.shared.taken.notify_all();
        Commands {
            shared: self.shared.clone(),
        }
    }

    /// Waits until everything is printed, but no longer than `limit`.
    pub fn flush(&self, limit: Duration) {
        let until = Instant::now() + limit;
        while self.idle.try_recv().is_ok() {}
        // An empty line is printed as nothing; when it was taken, all before it is out.
        if self.shared.lines.send_deadline(Vec::new(), until).is_ok() {
            while !self.shared.lines.is_empty() && Instant::now() < until {
                std::thread::sleep(Duration::from_millis(1));
            }
            let _ = self.idle.recv_deadline(until);
        }
    }
}

fn print(
    mut output: impl std::io::Write,
    lines: &flume::Receiver<Vec<u8>>,
    finished: &flume::Sender<()>,
) {
    for line in lines {
        // A closed output is the reader's wish; the device goes on without it.
        let _ = output.write_all(&line).and_then(|()| output.flush());
        if lines.is_empty() {
            let _ = finished.try_send(());
        }
    }
}

/// Whether a read from standard input gives something now: a process in the background of a terminal
/// would be stopped by it.
fn may_read_input() -> bool {
    let input = rustix::stdio::stdin();
    let mut ready = [PollFd::new(&input, PollFlags::IN)];
    if poll(&mut ready, None).is_err() {
        return false;
    }
    // What is no terminal has no foreground.
    rustix::termios::tcgetpgrp(input).map_or(true, |group| group == rustix::process::getpgrp())
}

impl Shared {
    fn print(&self, line: Vec<u8>) {
        let mut kept = lock(&self.kept);
        kept.printed += line.len();
        kept.bytes.extend(&line);
        if kept.bytes.len() > KEPT_OUTPUT {
            let surplus = kept.bytes.len() - KEPT_OUTPUT;
            let mut rest = kept.bytes.iter().skip(surplus);
            let end = rest
                .position(|byte| *byte == b'\n')
                .map_or(kept.bytes.len(), |at| surplus + at + 1);
            kept.bytes.drain(..end);
        }
        drop(kept);
        let mut left_out = lock(&self.left_out);
        let notice = (*left_out > 0).then(|| {
            let count = *left_out;
            format!("... {count} lines were left out: the output is read too slowly\n")
        });
        let notice_fits = notice.is_none_or(|notice| {
            let fits = self.lines.try_send(notice.into_bytes()).is_ok();
            if fits {
                *left_out = 0;
            }
            fits
        });
        if !notice_fits || self.lines.try_send(line).is_err() {
            *left_out += 1;
        }
    }

    fn type_in(&self, bytes: &[u8]) {
        let mut typed = lock(&self.typed);
        while typed.bytes.len() + bytes.len() > WAITING_INPUT {
            typed = self
                .taken
                .wait(typed)
                .unwrap_or_else(PoisonError::into_inner);
        }
        typed.bytes.extend(bytes);
        if let Some(waker) = typed.waker.take() {
            waker.wake();
        }
    }
}

/// What is typed, as the device reads it. Reading never ends.
#[derive(Debug)]
pub struct Commands {
    shared: Arc<Shared>,
}

impl ErrorType for Commands {
    type Error = Infallible;
}

/// Where the device prints. Writing never waits.
#[derive(Debug)]
pub struct Console {
    shared: Arc<Shared>,
    line: Vec<u8>,
}

impl ErrorType for Console {
    type Error = Infallible;
}

impl Read for Commands {
    async fn read(&mut self, bytes: &mut [u8]) -> Result<usize, Infallible> {
        poll_fn(|context| {
            let mut typed = lock(&self.shared.typed);
            if typed.bytes.is_empty() && !bytes.is_empty() {
                typed.waker = Some(context.waker().clone());
                return Poll::Pending;
            }
            let count = bytes.len().min(typed.bytes.len());
            for (byte, taken) in bytes.iter_mut().zip(typed.bytes.drain(..count)) {
                *byte = taken;
            }
            self.shared.taken.notify_all();
            Poll::Ready(Ok(count))
        })
        .await
    }
}

impl Write for Console {
    async fn write(&mut self, bytes: &[u8]) -> Result<usize, Infallible> {
        for part in bytes.split_inclusive(|byte| *byte == b'\n') {
            self.line.extend(part);
            if part.ends_with(b"\n") || self.line.len() >= LONGEST_LINE {
                self.shared.print(std::mem::take(&mut self.line));
            }
        }
        Ok(bytes.len())
    }

    async fn flush(&mut self) -> Result<(), Infallible> {
        if !self.line.is_empty() {
            self.shared.print(std::mem::take(&mut self.line));
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use std::sync::mpsc::{Receiver, Sender, channel};

    use embassy_futures::block_on;

    use super::*;

    /// An output that is read when the test says so.
    struct Held(Receiver<()>, Sender<Vec<u8>>);

    impl std::io::Write for Held {
        fn write(&mut self, bytes: &[u8]) -> std::io::Result<usize> {
            if !bytes.is_empty() {
                let _ = self.0.recv();
                let _ = self.1.send(bytes.to_vec());
            }
            Ok(bytes.len())
        }

        fn flush(&mut self) -> std::io::Result<()> {
            Ok(())
        }
    }

    #[test]
    fn a_reader_that_stops_costs_lines_but_no_time() {
        let (go, held) = channel();
        let (send, printed) = channel();
        let terminal = Terminal::new(Held(held, send));
        let mut console = terminal.console();
        for number in 0..2 * WAITING_LINES {
            let line = format!("line {number}\n");
            let Ok(()) = block_on(console.write_all(line.as_bytes()));
        }
        for _ in 0..WAITING_LINES + 1 {
            go.send(()).unwrap();
        }
        assert_eq!(printed.recv().unwrap(), b"line 0\n");
        assert_eq!(
            printed.iter().nth(WAITING_LINES - 2).unwrap(),
            b"line 1023\n"
        );
        let Ok(()) = block_on(console.write_all(b"again\n"));
        drop(go);
        let mut notice = String::new();
        while !notice.contains("again") {
            notice += &String::from_utf8(printed.recv().unwrap()).unwrap();
        }
        assert!(notice.contains("lines were left out"), "{notice}");
        assert!(
            terminal.kept().contains("line 2047\nagain\n"),
            "the panel has all"
        );
    }

    #[test]
    fn what_is_kept_is_bounded_and_begins_with_a_whole_line() {
        let terminal = Terminal::new(std::io::sink());
        let mut console = terminal.console();
        let line = [&[b'x'; 99][..], b"\n"].concat();
        for _ in 0..KEPT_OUTPUT / 100 + 100 {
            let Ok(()) = block_on(console.write_all(&line));
        }
        let (kept, position) = terminal.kept_since(0);
        assert!(kept.len() <= KEPT_OUTPUT && kept.len() > KEPT_OUTPUT - 200);
        assert!(kept.starts_with("xxx") && kept.len() % 100 == 0);
        let Ok(()) = block_on(console.write_all(b"no line"));
        let Ok(()) = block_on(console.flush());
        assert_eq!(terminal.kept_since(position).0, "no line");
        assert_eq!(terminal.kept_since(position + 7).0, "");
    }

    #[test]
    fn a_new_boot_does_not_read_what_was_typed_before() {
        let terminal = Terminal::new(std::io::sink());
        let mut commands = terminal.commands();
        terminal.shared.type_in(b"old");
        let mut bytes = [0; 2];
        let Ok(count) = block_on(commands.read(&mut bytes));
        assert_eq!(&bytes[..count], b"ol");
        let mut commands = terminal.commands();
        terminal.shared.type_in(b"n");
        let Ok(count) = block_on(commands.read(&mut bytes));
        assert_eq!(&bytes[..count], b"n");
    }
}
