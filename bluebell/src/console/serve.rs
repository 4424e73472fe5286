//! Reads commands and answers them.

use core::convert::Infallible;
use core::future::pending;

use embassy_time::{Duration, Timer};
use embedded_io_async::{Read, Write};
use zeroize::Zeroize;

use super::ConsoleMemory;
use super::answer::{Answer, Console, Problem};
use super::command::{Command, HELP, Text};
use super::receive::{Note, Receiving};
use super::typing::{Event, LineError, MOST_LINE, Typing};
use crate::config::MAX_TEXT;
use crate::uploads::Uploads;

/// After how long an input that fails is read again.
const PAUSE: Duration = Duration::from_secs(1);

/// What commands do.
pub trait Backend {
    /// Carries out a command but for [`Command::Help`] and those that put something. `memory`, of more than
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

/// Answers what is typed on `input`, for ever; files that are put become `uploads`.
///
/// Cancellation: dropping it leaves a command as [`Backend`] says of it, and forgets what was typed.
pub async fn serve<R: Read, W: Write, B: Backend>(
    input: &mut R,
    console: &Console<W>,
    memory: &mut ConsoleMemory,
    uploads: &Uploads<'_>,
    backend: &B,
) -> Infallible {
    let mut desk = Desk {
        console,
        backend,
        uploads,
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

/// Where lines are answered.
struct Desk<'d, 'u, W, B> {
    console: &'d Console<W>,
    backend: &'d B,
    uploads: &'d Uploads<'u>,
    typing: Typing<'d>,
    collecting: Option<Collecting>,
}

impl<W: Write, B: Backend> Desk<'_, '_, W, B> {
    async fn take(&mut self, byte: u8) {
        // A text's line may be as long as the text.
        let most = match self.collecting {
            None => MOST_LINE,
            Some(_) => usize::MAX,
        };
        let mut answer = self.console.answer();
        match (self.typing.take(byte, most), &mut self.collecting) {
            (Event::More, _) => return,
            (Event::GivenUp, _) => self.give_up(&mut answer).await,
            (Event::Line, None) => {
                let Some(command) = self.command(&mut answer) else {
                    return;
                };
                if let Some(command) = &command {
                    self.carry_out(command, &mut answer).await;
                }
            }
            (Event::Line, Some(_)) if self.typing.line() == Ok(".") => self.put(&mut answer).await,
            (Event::Line, Some(Collecting::Text(text))) => return text.line(&mut self.typing),
            (Event::Line, Some(Collecting::File(file))) => {
                match file.line(&mut self.typing, self.uploads).await {
                    Some(note) => say(note, &mut answer),
                    None => return,
                }
            }
        }
        answer.print().await;
        answer.pause().await;
        self.backend.answered().await;
    }

    async fn give_up(&mut self, answer: &mut Answer<'_, W>) {
        self.typing.clear();
        if let Some(Collecting::File(_)) = self.collecting.take() {
            // What stays on flash is removed before the next file is put.
            let _ = self.uploads.give_up().await;
        }
        answer.refuse(&"given up, nothing was done: type it again");
    }

    /// Takes what has been collected.
    async fn put(&mut self, answer: &mut Answer<'_, W>) {
        self.typing.drop_line();
        let text = self.typing.text();
        let result = match &self.collecting {
            Some(Collecting::Text(collected)) => put(self.backend, collected, text, answer).await,
            Some(Collecting::File(file)) => match file.end(text, self.uploads).await {
                Ok(length) => {
                    say(Note::Stored(length), answer);
                    answer.print().await;
                    Ok(())
                }
                Err(error) => Err(answer.refuse(&error)),
            },
            None => Ok(()),
        };
        self.typing.clear();
        self.collecting = None;
        answer.conclude(result);
    }

    /// The line's command. `None`: the line is empty. `Some(None)`: what is wrong with it is said.
    fn command(&mut self, answer: &mut Answer<'_, W>) -> Option<Option<Command>> {
        let parsed = match self.typing.line() {
            Ok(line) => Command::parse(line).map_err(|error| answer.refuse(&error)),
            Err(LineError::TooLong) => Err(answer.refuse(&format_args!(
                "the line is too long: it may have {MOST_LINE} bytes"
            ))),
            Err(LineError::NotText) => Err(answer.refuse(&NOT_TEXT)),
        };
        self.typing.clear();
        match parsed {
            Ok(command) => command.map(Some),
            Err(_) => Some(None),
        }
    }

    /// Carries out a command, but for the last line of its answer.
    async fn carry_out(&mut self, command: &Command, answer: &mut Answer<'_, W>) {
        answer.put(&|out| Some(write!(out, "> {}", command.name())));
        answer.print().await;
        match command {
            Command::Put(kind) => {
                self.collecting = Some(Collecting::Text(Collected {
                    kind: *kind,
                    fits: true,
                }));
                say(Note::LinesFollow, answer);
            }
            Command::PutFile { name, form, length } => {
                let file = Receiving::begin(name, *form, *length, self.uploads).await;
                say(file.note(), answer);
                self.collecting = Some(Collecting::File(file));
            }
            Command::Help => {
                answer.text(HELP).await;
                answer.conclude(Ok(()));
            }
            command => {
                let memory = self.typing.clear();
                let result = self.backend.carry_out(command, memory, answer).await;
                self.typing.clear();
                answer.conclude(result);
            }
        }
    }
}

/// Says something of lines that follow.
fn say<W: Write>(note: Note, answer: &mut Answer<'_, W>) {
    answer.put(&|out| Some(write!(out, "{note}")));
}

/// What the lines are that follow.
enum Collecting {
    Text(Collected),
    File(Receiving),
}

/// A text in the making.
struct Collected {
    kind: Text,
    fits: bool,
}

impl Collected {
    /// Takes the line that has ended.
    fn line(&mut self, typing: &mut Typing<'_>) {
        let kept = self.fits && typing.keep_line();
        self.fits = kept && typing.text().len() <= MAX_TEXT;
        if !self.fits {
            // There must be room for the dot.
            typing.clear();
        }
    }
}

async fn put<W: Write, B: Backend>(
    backend: &B,
    collected: &Collected,
    text: &[u8],
    answer: &mut Answer<'_, W>,
) -> Result<(), Problem> {
    if !collected.fits {
        return Err(answer.refuse(&format_args!(
            "the text is longer than {MAX_TEXT} bytes: shorten it"
        )));
    }
    let text = core::str::from_utf8(text).map_err(|_| answer.refuse(&NOT_TEXT))?;
    backend.put(collected.kind, text, answer).await
}

const NOT_TEXT: &str = "that is not UTF-8: set the terminal to UTF-8 and type it again";
