//! The commands, and how they are written.

use core::fmt;

use zeroize::Zeroize;

use super::words::{Word, WordError, Words};
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
        let mut words = Words::new(line);
        let Some(name) = words.next()? else {
            return Ok(None);
        };
        let command = match name.as_str() {
            "help" | "?" => Self::Help,
            "status" => Self::Status,
            "networks" => Self::Networks,
            "join" => join(&mut words)?,
            "forget" => {
                let name = words.next()?.ok_or(CommandError::Write(FORGET))?;
                Self::Forget(Ssid::new(&name)?)
            }
            "portal" => Self::Portal,
            "config" => Self::Config,
            "put" => Self::Put(match words.next()?.as_deref() {
                Some("config") => Text::Config,
                Some("wifi.json") => Text::WifiJson,
                _ => return Err(CommandError::Write("put config, or put wifi.json")),
            }),
            "source" => Self::Source,
            "log" => Self::Log,
            "jobs" => Self::Jobs,
            "restart" => Self::Restart,
            "factory" => {
                let mut asked = |word| Ok::<_, WordError>(words.next()?.as_deref() == Some(word));
                if !(asked("reset")? && asked("yes")?) {
                    return Err(CommandError::Write(FACTORY_RESET));
                }
                Self::FactoryReset
            }
            _ => return Err(CommandError::Unknown),
        };
        match words.next()? {
            None => Ok(Some(command)),
            Some(mut surplus) => {
                surplus.as_mut_str().zeroize();
                Err(CommandError::TooManyWords)
            }
        }
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
            Self::Source => "source",
            Self::Log => "log",
            Self::Jobs => "jobs",
            Self::Restart => "restart",
            Self::FactoryReset => "factory reset",
        }
    }
}

const JOIN: &str = "join \"SSID\" \"PASSWORD\"";
const FORGET: &str = "forget \"SSID\"";
const FACTORY_RESET: &str =
    "factory reset yes, to forget networks, configuration, secrets and the application's values";

fn join(words: &mut Words<'_>) -> Result<Command, CommandError> {
    let name = words.next()?.ok_or(CommandError::Write(JOIN))?;
    let ssid = Ssid::new(&name)?;
    let mut text = words.next()?.unwrap_or_else(Word::new);
    let password = Password::new(&text);
    text.as_mut_str().zeroize();
    Ok(Command::Join(ssid, password?))
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
