//! The commands, and how they are written.

use core::fmt;

use heapless::Vec;
use zeroize::Zeroize;

use super::receive::Form;
use super::words::{Word, WordError, Words};
use crate::uploads::{Name, NameError};
use crate::wifi::{Password, PasswordError, Ssid, SsidError};

/// What a person or a script asks the device for.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Command {
    /// `help`
    Help,
    /// `status`
    Status,
    /// `networks`
    Networks,
    /// `join "SSID" "PASSWORD"`; an open network needs no password.
    Join(Ssid, Password),
    /// `forget "SSID"`
    Forget(Ssid),
    /// `portal`
    Portal,
    /// `config`
    Config,
    /// `put config` or `put wifi.json`; the text follows, up to a line that is a single dot.
    Put(Text),
    /// `put www/NAME`, with `base64` and the file's length behind where that is said; its lines follow, up
    /// to one that is a single dot.
    PutFile {
        /// Its name, without `www/`.
        name: Name,
        /// How it is typed.
        form: Form,
        /// How many bytes it has.
        length: Option<usize>,
    },
    /// `remove www/NAME`
    Remove(Name),
    /// `files`
    Files,
    /// `source`
    Source,
    /// `log`
    Log,
    /// `jobs`
    Jobs,
    /// `restart`
    Restart,
    /// `factory reset yes`
    FactoryReset,
}

/// A text that is put on the device.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Text {
    /// The configuration.
    Config,
    /// Networks with their passwords.
    WifiJson,
}

/// What the commands are and do: the answer to `help`.
pub(super) const HELP: &str = "\
status                   how the device is
networks                 networks stored and networks heard
join \"SSID\" \"PASSWORD\"   join a network; it is stored once joined
forget \"SSID\"            forget a stored network
portal                   open the access point with the set-up page
config                   show the configuration, secrets as ***
put config               replace it: lines follow, then a line with a single .
put wifi.json            add networks: lines follow, then a line with a single .
put www/NAME             serve a file: its lines follow, then a line with a single .
put www/NAME base64 LEN  the same for any file, in lines of base64; its length may be left out
remove www/NAME          remove a file that was put
files                    show the application's files
source                   show the application's main.rs
log                      show the stored log
jobs                     show the jobs
restart                  start again
factory reset yes        forget everything that was set, then start again
Names with blanks stand in double quotes, with \\\" \\\\ \\n \\u{..} in them. Ctrl-C gives up.";

impl Command {
    /// Reads a line; `None` when nothing is on it.
    ///
    /// # Errors
    ///
    /// What is wrong, without a word of the line in it: one may be a password.
    pub fn parse(line: &str) -> Result<Option<Self>, CommandError> {
        let mut words = Vec::<Word, MOST_WORDS>::new();
        let parsed = split(line, &mut words).and_then(|()| Self::of(&words));
        for word in &mut words {
            word.as_mut_str().zeroize();
        }
        parsed
    }

    fn of(words: &[Word]) -> Result<Option<Self>, CommandError> {
        let mut texts = [""; MOST_WORDS];
        for (text, word) in texts.iter_mut().zip(words) {
            *text = word;
        }
        let Some(([name], rest)) = texts
            .get(..words.len())
            .and_then(|texts| texts.split_first_chunk())
        else {
            return Ok(None);
        };
        Ok(Some(match (*name, rest) {
            ("join", [ssid, rest @ ..]) => {
                let (password, surplus) = rest.split_first().unwrap_or((&"", &[]));
                let command = Self::Join(Ssid::new(ssid)?, Password::new(password)?);
                if !surplus.is_empty() {
                    return Err(CommandError::TooManyWords);
                }
                command
            }
            ("join", []) => return Err(CommandError::Write(JOIN)),
            ("forget", [ssid]) => Self::Forget(Ssid::new(ssid)?),
            ("forget", []) => return Err(CommandError::Write(FORGET)),
            ("put", ["config"]) => Self::Put(Text::Config),
            ("put", ["wifi.json"]) => Self::Put(Text::WifiJson),
            ("put", [path, options @ ..]) => put_file(path, options)?,
            ("put", []) => return Err(CommandError::Write(PUT)),
            ("remove", [path]) => Self::Remove(file(path, REMOVE)?),
            ("remove", []) => return Err(CommandError::Write(REMOVE)),
            ("factory", ["reset", "yes"]) => Self::FactoryReset,
            ("factory", _) => return Err(CommandError::Write(FACTORY_RESET)),
            ("forget" | "remove", _) => return Err(CommandError::TooManyWords),
            (name, rest) => match (Self::of_one_word(name), rest) {
                (Some(command), []) => command,
                (Some(_), _) => return Err(CommandError::TooManyWords),
                (None, _) => return Err(CommandError::Unknown),
            },
        }))
    }

    fn of_one_word(name: &str) -> Option<Self> {
        Some(match name {
            "help" | "?" => Self::Help,
            "status" => Self::Status,
            "networks" => Self::Networks,
            "portal" => Self::Portal,
            "config" => Self::Config,
            "files" => Self::Files,
            "source" => Self::Source,
            "log" => Self::Log,
            "jobs" => Self::Jobs,
            "restart" => Self::Restart,
            _ => return None,
        })
    }

    /// Its words, without what is particular to one use of it.
    #[must_use]
    pub const fn name(&self) -> &'static str {
        match self {
            Self::Help => "help",
            Self::Status => "status",
            Self::Networks => "networks",
            Self::Join(..) => "join",
            Self::Forget(_) => "forget",
            Self::Portal => "portal",
            Self::Config => "config",
            Self::Put(Text::Config) => "put config",
            Self::Put(Text::WifiJson) => "put wifi.json",
            Self::PutFile { .. } => "put www",
            Self::Remove(_) => "remove www",
            Self::Files => "files",
            Self::Source => "source",
            Self::Log => "log",
            Self::Jobs => "jobs",
            Self::Restart => "restart",
            Self::FactoryReset => "factory reset",
        }
    }
}

/// One more than a command can have.
const MOST_WORDS: usize = 5;

const JOIN: &str = "join \"SSID\" \"PASSWORD\"";
const PUT: &str = "put config, put wifi.json, put www/NAME or put www/NAME base64 LENGTH";
const REMOVE: &str = "remove www/NAME";
const FORGET: &str = "forget \"SSID\"";
const FACTORY_RESET: &str =
    "factory reset yes, to forget networks, configuration, secrets and the application's values";

/// Splits a line into words; those behind the most that a command can have are passed over.
fn split(line: &str, words: &mut Vec<Word, MOST_WORDS>) -> Result<(), CommandError> {
    let mut rest = Words::new(line);
    while !words.is_full()
        && let Some(word) = rest.next()?
    {
        // There is room.
        let _ = words.push(word);
    }
    Ok(())
}

/// The name of the file at this path; `how` the command is written.
fn file(path: &str, how: &'static str) -> Result<Name, CommandError> {
    let name = path.strip_prefix("www/").ok_or(CommandError::Write(how))?;
    Ok(Name::new(name)?)
}

fn put_file(path: &str, options: &[&str]) -> Result<Command, CommandError> {
    let name = file(path, PUT)?;
    let (form, length) = match options {
        ["base64", length @ ..] => (Form::Base64, length),
        length => (Form::Text, length),
    };
    let length = match length {
        [] => None,
        [length] => Some(length.parse().map_err(|_| CommandError::Write(PUT))?),
        _ => return Err(CommandError::TooManyWords),
    };
    Ok(Command::PutFile { name, form, length })
}

/// Why a line is no command.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum CommandError {
    /// There is no such command.
    Unknown,
    /// Something is missing; how it is to be written.
    Write(&'static str),
    /// There are more words than the command takes.
    TooManyWords,
    /// A word is none.
    Word(WordError),
    /// The name is no SSID.
    Ssid(SsidError),
    /// The text is no Wi-Fi password.
    Password(PasswordError),
    /// The name is no file's.
    Name(NameError),
}

impl fmt::Display for CommandError {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Unknown => formatter.write_str("there is no such command: help lists them"),
            Self::Write(how) => write!(formatter, "write {how}"),
            Self::TooManyWords => formatter
                .write_str("there are too many words: put a name with blanks in double quotes"),
            Self::Word(error) => error.fmt(formatter),
            Self::Ssid(error) => error.fmt(formatter),
            Self::Password(error) => error.fmt(formatter),
            Self::Name(error) => error.fmt(formatter),
        }
    }
}

impl core::error::Error for CommandError {}

impl From<WordError> for CommandError {
    fn from(error: WordError) -> Self {
        Self::Word(error)
    }
}

impl From<SsidError> for CommandError {
    fn from(error: SsidError) -> Self {
        Self::Ssid(error)
    }
}

impl From<PasswordError> for CommandError {
    fn from(error: PasswordError) -> Self {
        Self::Password(error)
    }
}

impl From<NameError> for CommandError {
    fn from(error: NameError) -> Self {
        Self::Name(error)
    }
}

#[cfg(test)]
mod tests {
    use std::format;

    use proptest::prelude::*;

    use super::*;

    fn ssid(name: &str) -> Ssid {
        Ssid::new(name).unwrap()
    }

    fn password(text: &str) -> Password {
        Password::new(text).unwrap()
    }

    fn put(name: &str, form: Form, length: Option<usize>) -> Command {
        let name = Name::new(name).unwrap();
        Command::PutFile { name, form, length }
    }

    #[test]
    fn every_command_is_read() {
        for (line, command) in [
            ("help", Command::Help),
            ("?", Command::Help),
            ("  status ", Command::Status),
            ("networks", Command::Networks),
            (
                "join Home 12345678",
                Command::Join(ssid("Home"), password("12345678")),
            ),
            (
                r#"join "My \"Home\"" "correct horse""#,
                Command::Join(ssid("My \"Home\""), password("correct horse")),
            ),
            ("join Cafe", Command::Join(ssid("Cafe"), password(""))),
            ("join Cafe \"\"", Command::Join(ssid("Cafe"), password(""))),
            ("forget \"My Home\"", Command::Forget(ssid("My Home"))),
            ("portal", Command::Portal),
            ("config", Command::Config),
            ("put config", Command::Put(Text::Config)),
            ("put wifi.json", Command::Put(Text::WifiJson)),
            ("put www/a/b.txt", put("a/b.txt", Form::Text, None)),
            ("put www/a 12", put("a", Form::Text, Some(12))),
            ("put www/a base64", put("a", Form::Base64, None)),
            ("put www/a base64 0", put("a", Form::Base64, Some(0))),
            ("remove www/a", Command::Remove(Name::new("a").unwrap())),
            ("files", Command::Files),
            ("source", Command::Source),
            ("log", Command::Log),
            ("jobs", Command::Jobs),
            ("restart", Command::Restart),
            ("factory reset yes", Command::FactoryReset),
        ] {
            assert_eq!(Command::parse(line), Ok(Some(command.clone())), "{line}");
            assert!(HELP.contains(command.name()) || command == Command::Help);
        }
        assert_eq!(Command::parse("  "), Ok(None));
    }

    #[test]
    fn what_is_no_command_is_refused_with_the_remedy() {
        for (line, remedy) in [
            ("halp", "help lists them"),
            ("STATUS", "help lists them"),
            ("status now", "too many words"),
            ("join", "write join \"SSID\" \"PASSWORD\""),
            ("join My Home secret99", "the password does not fit"),
            ("join My Home12345 secret99", "double quotes"),
            ("join Home short", "8 to 63 bytes"),
            ("join \"\" 12345678", "1 to 32 bytes"),
            ("join \"Home 12345678", "not closed"),
            ("forget", "write forget \"SSID\""),
            ("put", "write put config"),
            ("put mqtt", "write put config"),
            ("put www/", "letters, digits"),
            ("put www/../secret/mqtt.password", "letters, digits"),
            ("put www/setup", "a page of its own"),
            ("put www/a base32", "write put config"),
            ("put www/a base64 -1", "write put config"),
            ("put www/a base64 1 2", "too many words"),
            ("remove", "write remove www/NAME"),
            ("remove config", "write remove www/NAME"),
            ("files all", "too many words"),
            ("factory reset", "write factory reset yes"),
            ("factory reset no", "write factory reset yes"),
            ("factory", "write factory reset yes"),
        ] {
            let error = format!("{}", Command::parse(line).unwrap_err());
            assert!(error.contains(remedy), "{line}: {error}");
            assert!(!error.contains("secret99"), "{error}");
        }
    }

    proptest! {
        #[test]
        fn no_line_does_harm(line in "(?s).{0,80}", rest in "[ \"\\\\a-z{}]{0,40}") {
            let _ = Command::parse(&line);
            for name in ["join ", "forget ", "put ", "factory "] {
                let _ = Command::parse(&format!("{name}{rest}"));
            }
        }
    }
}
