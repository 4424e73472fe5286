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
use crate::uploads::{PutError, Uploads};

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

/// Where lines are answered. Each kind of line has a future of its own, so that they lie in the same
/// memory: what a future holds over more than one wait shares its place with nothing.
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
        match (self.typing.take(byte, most), &mut self.collecting) {
            (Event::More, _) => {}
            (Event::GivenUp, _) => self.give_up().await,
            (Event::Line, Some(_)) if self.typing.line() == Ok(".") => self.put().await,
            (Event::Line, Some(Collecting::Text(text))) => text.line(&mut self.typing),
            (Event::Line, Some(Collecting::File(file))) => {
                if let Some(note) = file.line(&mut self.typing, self.uploads).await {
                    self.say(None, note).await;
                }
            }
            (Event::Line, None) => self.carry_out().await,
        }
    }

    async fn give_up(&mut self) {
        self.typing.clear();
        if let Some(Collecting::File(_)) = self.collecting.take() {
            // What stays on flash is removed before the next file is put.
            let _ = self.uploads.give_up().await;
        }
        self.refuse(&given_up()).await;
    }

    /// Takes what has been collected.
    async fn put(&mut self) {
        self.typing.drop_line();
        let mut answer = self.console.answer().await;
        let result = match &self.collecting {
            Some(Collecting::Text(text)) => {
                put(self.backend, text, self.typing.text(), &mut answer).await
            }
            Some(Collecting::File(_)) => self.put_file(&mut answer).await.map_err(Problem::from),
            None => Ok(()),
        };
        self.typing.clear();
        self.collecting = None;
        answer.end(&result).await;
        answer.pause().await;
    }

    async fn put_file(&self, answer: &mut Answer<'_, W>) -> Result<(), PutError> {
        if let Some(Collecting::File(file)) = &self.collecting {
            let length = file.end(self.typing.text(), self.uploads).await?;
            answer.line(format_args!("{}", Note::Stored(length))).await;
        }
        Ok(())
    }

    /// Carries out the command on the line.
    async fn carry_out(&mut self) {
        match &self.command().await {
            None => {}
            Some(Command::Put(kind)) => {
                self.collecting = Some(Collecting::Text(Collected {
                    kind: *kind,
                    fits: true,
                }));
                let name = Command::Put(*kind).name();
                self.say(Some(name), Note::LinesFollow).await;
            }
            Some(command @ Command::PutFile { name, form, length }) => {
                let file = Receiving::begin(name, *form, *length, self.uploads).await;
                let note = file.note();
                self.collecting = Some(Collecting::File(file));
                self.say(Some(command.name()), note).await;
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

    /// Says something of lines that follow, after the name of the command where it begins.
    async fn say(&self, command: Option<&str>, note: Note) {
        let mut answer = self.console.answer().await;
        if let Some(command) = command {
            answer.line(format_args!("> {command}")).await;
        }
        answer.line(format_args!("{note}")).await;
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
