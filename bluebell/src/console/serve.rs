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
        command: Command,
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
    let mut typing = Typing::new(&mut memory.0);
    let mut collecting = None;
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
            // A text's line may be as long as the text.
            let most = match collecting {
                None => MOST_LINE,
                Some(_) => usize::MAX,
            };
            match (typing.take(byte, most), &mut collecting) {
                (Event::More, _) => {}
                (Event::GivenUp, _) => {
                    typing.clear();
                    collecting = None;
                    finish(console.answer().await, Err(given_up())).await;
                }
                (Event::Line, Some(collected)) => {
                    if typing.line() == Ok(".") {
                        typing.drop_line();
                        let mut answer = console.answer().await;
                        let result = put(backend, collected, typing.text(), &mut answer).await;
                        typing.clear();
                        collecting = None;
                        finish(answer, result).await;
                    } else {
                        let kept = collected.fits && typing.keep_line();
                        collected.fits = kept && typing.text().len() <= MAX_TEXT;
                        if !collected.fits {
                            // There must be room for the dot.
                            typing.clear();
                        }
                    }
                }
                (Event::Line, None) => {
                    let command = match typing.line() {
                        Ok(line) => Command::parse(line).map_err(Problem::from),
                        Err(LineError::TooLong) => Err(Problem::new(format_args!(
                            "the line is too long: it may have {MOST_LINE} bytes"
                        ))),
                        Err(LineError::NotText) => Err(not_text()),
                    };
                    let memory = typing.clear();
                    match command {
                        Ok(None) => {}
                        Ok(Some(Command::Put(kind))) => {
                            collecting = Some(Collected { kind, fits: true });
                            let mut answer = console.answer().await;
                            answer
                                .line(format_args!("> {}", Command::Put(kind).name()))
                                .await;
                            answer.line(format_args!("{LINES_FOLLOW}")).await;
                            answer.pause().await;
                        }
                        Ok(Some(command)) => {
                            let mut answer = console.answer().await;
                            answer.line(format_args!("> {}", command.name())).await;
                            let result = if command == Command::Help {
                                answer.text(HELP).await;
                                Ok(())
                            } else {
                                backend.carry_out(command, memory, &mut answer).await
                            };
                            memory.zeroize();
                            finish(answer, result).await;
                            backend.answered().await;
                        }
                        Err(problem) => finish(console.answer().await, Err(problem)).await,
                    }
                }
            }
        }
        bytes.zeroize();
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

async fn finish<W: Write>(mut answer: Answer<'_, W>, result: Result<(), Problem>) {
    match result {
        Ok(()) => answer.line(format_args!("ok")).await,
        Err(problem) => {
            answer
                .line(format_args!("error: {}", problem.as_str()))
                .await
        }
    }
    answer.pause().await;
}

fn given_up() -> Problem {
    Problem::new(format_args!("given up, nothing was done: type it again"))
}

fn not_text() -> Problem {
    Problem::new(format_args!(
        "that is not UTF-8: set the terminal to UTF-8 and type it again"
    ))
}
