//! What is printed, by several, on one console.

use core::fmt::{self, Write as _};

use embassy_sync::blocking_mutex::raw::NoopRawMutex;
use embassy_sync::mutex::{Mutex, MutexGuard};
use embedded_io_async::{ErrorType, Write};
use heapless::String;

/// The most bytes of a line that is put together here, and of a problem.
const LINE: usize = 320;

const OK: &str = "ok";
const ERROR: &str = "error:";
/// The most bytes of an answer's last line.
const LAST: usize = ERROR.len() + 1 + LINE;

/// A console for several: what one of them writes at a time stays together.
#[derive(Debug)]
pub struct Console<W> {
    output: Mutex<NoopRawMutex, W>,
}

impl<W: Write> Console<W> {
    /// A console on this output.
    pub const fn new(output: W) -> Self {
        Self {
            output: Mutex::new(output),
        }
    }

    /// A writer of which each write is printed in one piece.
    pub const fn pieces(&self) -> Pieces<'_, W> {
        Pieces(self)
    }

    /// Begins an answer; from its first line on nobody else prints until it [pauses](Answer::pause) or has
    /// ended.
    pub(super) const fn answer(&self) -> Answer<'_, W> {
        Answer {
            console: self,
            output: None,
            line: String::new(),
        }
    }
}

/// See [`Console::pieces`].
#[derive(Debug)]
pub struct Pieces<'c, W>(&'c Console<W>);

impl<W: Write> ErrorType for Pieces<'_, W> {
    type Error = W::Error;
}

impl<W: Write> Write for Pieces<'_, W> {
    async fn write(&mut self, bytes: &[u8]) -> Result<usize, W::Error> {
        self.0.output.lock().await.write_all(bytes).await?;
        Ok(bytes.len())
    }

    async fn flush(&mut self) -> Result<(), W::Error> {
        self.0.output.lock().await.flush().await
    }
}

/// Writes a line, if there is one.
type Compose<'a> = dyn Fn(&mut dyn fmt::Write) -> Option<fmt::Result> + 'a;

/// The answer to a command, line by line. What the output refuses is passed over: there is nobody to
/// tell.
pub struct Answer<'c, W> {
    console: &'c Console<W>,
    output: Option<MutexGuard<'c, NoopRawMutex, W>>,
    /// What is printed next: put together before it is waited, so that no future holds what it is made of.
    line: String<{ LAST + 1 }>,
}

impl<W> fmt::Debug for Answer<'_, W> {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str("Answer")
    }
}

impl<'c, W: Write> Answer<'c, W> {
    /// Prints one line, cut at 320 bytes.
    pub fn line<'a>(
        &'a mut self,
        line: fmt::Arguments<'_>,
    ) -> impl Future<Output = ()> + use<'a, 'c, W> {
        self.put(&|out| Some(out.write_fmt(line)));
        self.print()
    }

    /// Prints a text of any length. A line of it that could be taken for the answer's end is shown with
    /// a blank in front.
    pub async fn text(&mut self, text: &str) {
        for line in text.lines() {
            let is_taken = line == OK || line.starts_with(ERROR);
            for part in [if is_taken { " " } else { "" }, line, "\n"] {
                write(self.console, &mut self.output, part).await;
            }
        }
    }

    /// Lets others print until the next line.
    pub async fn pause(&mut self) {
        if let Some(mut output) = self.output.take() {
            let _ = output.flush().await;
        }
    }

    /// Puts a line together, cut at 320 bytes, for [`print`](Self::print); whether there is one.
    pub(crate) fn put(&mut self, compose: &Compose<'_>) -> bool {
        self.line.clear();
        // An error only says that the rest was cut off.
        let is_there = compose(&mut Cut(&mut self.line, LINE)).is_some();
        // There is room for it.
        let _ = self.line.push('\n');
        is_there
    }

    /// Puts the last line together: why a command is not carried out, and the remedy, cut at 320 bytes. To be
    /// returned at once.
    pub fn refuse(&mut self, why: &dyn fmt::Display) -> Problem {
        self.line.clear();
        // An error only says that the rest was cut off.
        let _ = write!(Cut(&mut self.line, LAST), "{ERROR} {why}");
        // There is room for it.
        let _ = self.line.push('\n');
        Problem(())
    }

    /// Sees to it that the last line is put together, which says how it ended.
    pub(super) fn conclude(&mut self, result: Result<(), Problem>) {
        // Why not has been said by who found it out.
        if result.is_ok() {
            self.put(&|out| Some(out.write_str(OK)));
        }
    }

    /// Prints the line that was put together.
    pub(crate) fn print(&mut self) -> impl Future<Output = ()> {
        write(self.console, &mut self.output, &self.line)
    }
}

async fn write<'c, W: Write>(
    console: &'c Console<W>,
    output: &mut Option<MutexGuard<'c, NoopRawMutex, W>>,
    text: &str,
) {
    let output = match output {
        Some(output) => output,
        none => none.insert(console.output.lock().await),
    };
    let _ = output.write_all(text.as_bytes()).await;
}

/// Takes text up to so many bytes.
struct Cut<'s, const N: usize>(&'s mut String<N>, usize);

impl<const N: usize> fmt::Write for Cut<'_, N> {
    fn write_str(&mut self, text: &str) -> fmt::Result {
        let room = self.1.min(N).saturating_sub(self.0.len());
        let end = text.floor_char_boundary(room);
        self.0.push_str(&text[..end]).map_err(|_| fmt::Error)?;
        if end == text.len() {
            Ok(())
        } else {
            Err(fmt::Error)
        }
    }
}

/// That a command was not carried out. The answer knows why: see [`Answer::refuse`].
#[derive(Debug)]
pub struct Problem(());
