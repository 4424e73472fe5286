//! The console: a line protocol to set a device up and to look into it, for a person in any serial
//! monitor and for a script.
//!
//! Guarantees: any bytes may come in; a line is at most [`MOST_LINE`] bytes, and one that is longer is
//! refused and skipped; what is typed is neither echoed nor logged, and is overwritten once it was carried
//! out. Every line that is a command is answered: first a line `> ` with the command's name where it is
//! one, then what it shows, last a line `ok`, or `error: ` with what is wrong and the remedy. Nothing else
//! is printed in between, but where the device has to wait for something.
//!
//! The lines and their order are decided here; what a command does is the [`Backend`]'s.

mod answer;
mod command;
mod receive;
mod serve;
mod typing;
mod words;

pub use answer::{Answer, Console, Pieces, Problem};
pub use command::{Command, CommandError, Text};
pub use receive::Form;
pub use serve::{Backend, serve};
pub use typing::MOST_LINE;
pub use words::{Quoted, WordError};

/// Memory for what is typed: a line, a text of at most [`crate::config::MAX_TEXT`] bytes, or a piece and a
/// line of a file.
pub struct ConsoleMemory([u8; 3504]);

// The last line of a text, with the dot, and a line's end that was not there need room as well.
const _: () = assert!(size_of::<ConsoleMemory>() >= crate::config::MAX_TEXT + 2);

impl ConsoleMemory {
    /// Empty memory.
    #[must_use]
    pub const fn new() -> Self {
        Self([0; 3504])
    }

    /// The memory, for whoever needs some before anything can be typed.
    pub(crate) const fn scratch(&mut self) -> &mut [u8] {
        &mut self.0
    }
}

impl Default for ConsoleMemory {
    fn default() -> Self {
        Self::new()
    }
}

#[cfg(test)]
mod tests;
