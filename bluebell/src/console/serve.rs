//! Reads commands and answers them.

use core::convert::Infallible;
use core::future::pending;

use embassy_time::{Duration, Timer};
use embedded_io_async::{Read, Write};
use zeroize::Zeroize;

use super::ConsoleMemory;
use super::answer::{Answer, Console, Problem};
use super::command::{Command, HELP, Text};
use super::typing::{Event, LineError, MOST_LINE, Typing};
use crate::config::MAX_TEXT;

/// After how long an input that fails is read again.
const PAUSE: Duration = Duration::from_secs(1);

const LINES_FOLLOW: &str = "type or paste it, then a line that is a single .";

/// What commands do.
pub trait Backend {
    /// Carries out a command but for [`Command::Help`] and [`Command::Put`]. `memory`, of more than
    /// [`MAX_TEXT`] bytes, is free to be used.
    ///
    /// # Errors
    ///
    /// Why not, with the remedy.
    async fn carry_out<W: Write>(
        &self,
        command: &Command,
        memory: &mut [u8],
        answer: &mut Answer<'_, W>,
    ) -> Result<(), Problem>;

    /// Takes a text that was put on the device.
    ///
    /// # Errors
    ///
    /// Why not, with the remedy.
    async fn put<W: Write>(
        &self,
        kind: Text,
        text: &str,
        answer: &mut Answer<'_, W>,
    ) -> Result<(), Problem>;

    /// Called after an answer was printed: for what the answer must not be lost by.
    async fn answered(&self);
}

/// Answers what is typed on `input`, for ever.
///
/// Cancellation: dropping it leaves a command as [`Backend`] says of it, and forgets what was typed.
pub async fn serve<R: Read, W: Write, B: Backend>(
    input: &mut R,
    console: &Console<W>,
    memory: &mut ConsoleMemory,
    backend: &B,
) -> Infallible {
    let mut desk = Desk {
        console,
        backend,
        typing: Typing::new(&mut memory.0),
        collecting: None,
    };
    loop {
        let mut bytes = [0; 32];
        let count = match input.read(&mut bytes).await {
            Ok(0) => return pending().await,
            Ok(count) => count,
            Err(_) => {
                Timer::after(PAUSE).await;
                continue;
            }
        };
        for &byte in bytes.iter().take(count) {
            desk.take(byte).await;
        }
        bytes.zeroize();
    }
}

/// Where lines are answered. Each kind of line has a future of its own, so that they lie in the same
/// memory: what a future holds over more than one wait shares its place with nothing.
struct Desk<'d, W, B> {
    console: &'d Console<W>,
    backend: &'d B,
    typing: Typing<'d>,
    collecting: Option<Collected>,
}

impl<W: Write, B: Backend> Desk<'_, W, B> {
    async fn take(&mut self, byte: u8) {
        // A text's line may be as long as the text.
        let most = match self.collecting {
            None => MOST_LINE,
            Some(_) => usize::MAX,
        };
        match (self.typing.take(byte, most), &mut self.collecting) {
            (Event::More, _) => {}
            (Event::GivenUp, _) => {
                self.typing.clear();
                self.collecting = None;
                self.refuse(&given_up()).await;
            }
            (Event::Line, Some(_)) if self.typing.line() == Ok(".") => self.put().await,
            (Event::Line, Some(collected)) => {
                let kept = collected.fits && self.typing.keep_line();
                collected.fits = kept && self.typing.text().len() <= MAX_TEXT;
                if !collected.fits {
                    // There must be room for the dot.
                    self.typing.clear();
                }
            }
            (Event::Line, None) => self.carry_out().await,
        }
    }

    /// Takes the text that has been collected.
    async fn put(&mut self) {
        self.typing.drop_line();
        let mut answer = self.console.answer().await;
        let result = match &self.collecting {
            Some(collected) => put(self.backend, collected, self.typing.text(), &mut answer).await,
            None => Ok(()),
        };
        self.typing.clear();
        self.collecting = None;
        answer.end(&result).await;
        answer.pause().await;
    }

    /// Carries out the command on the line.
    async fn carry_out(&mut self) {
        match &self.command().await {
            None => {}
            Some(Command::Put(kind)) => {
                self.collecting = Some(Collected {
                    kind: *kind,
                    fits: true,
                });
                self.ask_for(*kind).await;
            }
            Some(command) => self.answer(command).await,
        }
    }

    /// The line's command, if it has one; what is wrong with it is said.
    async fn command(&mut self) -> Option<Command> {
        let parsed = match self.typing.line() {
            Ok(line) => Command::parse(line).map_err(Problem::from),
            Err(LineError::TooLong) => Err(Problem::new(format_args!(
                "the line is too long: it may have {MOST_LINE} bytes"
            ))),
            Err(LineError::NotText) => Err(not_text()),
        };
        self.typing.clear();
        match &parsed {
            Ok(command) => command.clone(),
            Err(problem) => {
                self.refuse(problem).await;
                None
            }
        }
    }

    async fn ask_for(&self, kind: Text) {
        let mut answer = self.console.answer().await;
        answer
            .line(format_args!("> {}", Command::Put(kind).name()))
            .await;
        answer.line(format_args!("{LINES_FOLLOW}")).await;
        answer.pause().await;
    }

    async fn answer(&mut self, command: &Command) {
        let mut answer = self.console.answer().await;
        answer.line(format_args!("> {}", command.name())).await;
        self.fulfil(command, &mut answer).await;
        answer.pause().await;
        self.backend.answered().await;
    }

    async fn fulfil(&mut self, command: &Command, answer: &mut Answer<'_, W>) {
        if *command == Command::Help {
            answer.text(HELP).await;
            return answer.end(&Ok(())).await;
        }
        let memory = self.typing.clear();
        let result = self.backend.carry_out(command, memory, answer).await;
        self.typing.clear();
        answer.end(&result).await;
    }

    async fn refuse(&self, problem: &Problem) {
        let mut answer = self.console.answer().await;
        answer.refuse(problem).await;
        answer.pause().await;
    }
}

/// A text in the making.
struct Collected {
    kind: Text,
    fits: bool,
}

async fn put<W: Write, B: Backend>(
    backend: &B,
    collected: &Collected,
    text: &[u8],
    answer: &mut Answer<'_, W>,
) -> Result<(), Problem> {
    if !collected.fits {
        return Err(Problem::new(format_args!(
            "the text is longer than {MAX_TEXT} bytes: shorten it"
        )));
    }
    let text = core::str::from_utf8(text).map_err(|_| not_text())?;
    backend.put(collected.kind, text, answer).await
}

fn given_up() -> Problem {
    Problem::new(format_args!("given up, nothing was done: type it again"))
}

fn not_text() -> Problem {
    Problem::new(format_args!(
        "that is not UTF-8: set the terminal to UTF-8 and type it again"
    ))
}
