//! What is printed, by several, on one console.

use core::fmt::{self, Write as _};

use embassy_sync::blocking_mutex::raw::NoopRawMutex;
use embassy_sync::mutex::{Mutex, MutexGuard};
use embedded_io_async::{ErrorType, Write};
use heapless::String;

/// The most bytes of a line that is put together here.
const LINE: usize = 320;

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

    /// Begins an answer; nobody else prints until it [pauses](Answer::pause) or has ended.
    pub(super) async fn answer(&self) -> Answer<'_, W> {
        Answer {
            console: self,
            output: Some(self.output.lock().await),
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

/// The answer to a command, line by line. What the output refuses is passed over: there is nobody to
/// tell.
pub struct Answer<'c, W> {
    console: &'c Console<W>,
    output: Option<MutexGuard<'c, NoopRawMutex, W>>,
}

impl<W> fmt::Debug for Answer<'_, W> {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str("Answer")
    }
}

impl<W: Write> Answer<'_, W> {
    /// Prints one line, cut at 320 bytes.
    pub async fn line(&mut self, line: fmt::Arguments<'_>) {
        let text = formatted(line);
        self.print(&text).await;
    }

    /// Prints a text of any length. A line of it that could be taken for the answer's end is shown with
    /// a blank in front.
    pub async fn text(&mut self, text: &str) {
        for line in text.lines() {
            if line == "ok" || line.starts_with("error:") {
                self.write(" ").await;
            }
            self.print(line).await;
        }
    }

    /// Says how it ended.
    pub(super) async fn end(&mut self, result: &Result<(), Problem>) {
        match result {
            Ok(()) => self.print("ok").await,
            Err(problem) => self.refuse(problem).await,
        }
    }

    /// Says why a command was not carried out.
    pub(super) async fn refuse(&mut self, problem: &Problem) {
        self.write("error: ").await;
        self.print(problem.as_str()).await;
    }

    /// Lets others print until the next line.
    pub async fn pause(&mut self) {
        if let Some(mut output) = self.output.take() {
            let _ = output.flush().await;
        }
    }

    async fn print(&mut self, line: &str) {
        self.write(line).await;
        self.write("\n").await;
    }

    async fn write(&mut self, text: &str) {
        let output = match &mut self.output {
            Some(output) => output,
            none => none.insert(self.console.output.lock().await),
        };
        let _ = output.write_all(text.as_bytes()).await;
    }
}

fn formatted(line: fmt::Arguments<'_>) -> String<LINE> {
    struct Cut(String<LINE>);
    impl fmt::Write for Cut {
        fn write_str(&mut self, text: &str) -> fmt::Result {
            text.chars()
                .try_for_each(|character| self.0.push(character).map_err(|_| fmt::Error))
        }
    }
    let mut cut = Cut(String::new());
    // An error only says that the rest was cut off.
    let _ = cut.write_fmt(line);
    cut.0
}

/// Why a command was not carried out, and the remedy, in one line.
pub struct Problem(String<LINE>);

impl Problem {
    /// What cannot be done, in words.
    #[must_use]
    pub fn new(what: fmt::Arguments<'_>) -> Self {
        Self(formatted(what))
    }

    pub(super) fn as_str(&self) -> &str {
        &self.0
    }
}

impl fmt::Debug for Problem {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Debug::fmt(self.as_str(), formatter)
    }
}

impl<E: core::error::Error> From<E> for Problem {
    fn from(error: E) -> Self {
        Self::new(format_args!("{error}"))
    }
}
