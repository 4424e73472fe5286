//! The console: what is typed in pieces of any size is answered line by line, the same whatever the pieces; a command
//! that is understood is understood again when it is shown, and afterwards the console takes commands as before.

use std::cell::RefCell;

use bluebell::board::FlashLayout;
use bluebell::console::{
    Answer, Backend, Command, Console, ConsoleMemory, Form, Problem, Quoted, Text,
};
use bluebell::log::Log;
use bluebell::storage::{Store, StoreMemory};
use bluebell::uploads::Uploads;
use embassy_futures::select::{Either3, select3};
use embassy_time::{Duration, Timer};
use embedded_io_async::Write;
use sim::flash::{Flash, SECTOR};
use sim::time::run_virtual;

use crate::wire::{Link, Pieces};

/// A byte that chooses the pieces, then what is typed.
pub(crate) fn run(input: &[u8]) {
    let Some((choice, typed)) = input.split_first() else {
        return;
    };
    if let Ok(line) = std::str::from_utf8(typed)
        && let Ok(Some(command)) = Command::parse(line)
    {
        let again = Command::parse(&written(&command)).expect("what is shown can be typed");
        assert_eq!(again, Some(command));
    }
    let whole = transcript(typed, Pieces::whole());
    let split = transcript(typed, Pieces::new(*choice, typed.len()));
    assert_eq!(whole, split, "the pieces make a difference");
    let (printed, done) = whole;
    let printed = std::str::from_utf8(&printed).expect("what is printed is UTF-8");
    is_answered(printed);
    // Ctrl-C gives up whatever was begun; then a command works as ever.
    assert!(
        printed.ends_with("> status\nstatus is carried out\nok\n"),
        "{printed:?}"
    );
    assert_eq!(done.last(), Some(&Done::Command(Command::Status)));
}

/// A command as a person writes it.
fn written(command: &Command) -> String {
    match command {
        Command::Join(ssid, password) => {
            format!(
                "join {} {}",
                Quoted(ssid.as_str()),
                Quoted(password.reveal())
            )
        }
        Command::Forget(ssid) => format!("forget {}", Quoted(ssid.as_str())),
        Command::FactoryReset => "factory reset yes".to_owned(),
        Command::PutFile { name, form, length } => {
            let form = match form {
                Form::Text => "",
                Form::Base64 => " base64",
            };
            let length = length.map(|length| format!(" {length}"));
            format!("put www/{name}{form}{}", length.unwrap_or_default())
        }
        Command::Remove(name) => format!("remove www/{name}"),
        other => other.name().to_owned(),
    }
}

/// Every answer ends with `ok` or an error, and what a command does stands between its name and that.
fn is_answered(printed: &str) {
    let mut begun = false;
    for line in printed.split_terminator('\n') {
        assert!(
            !line.contains(|character: char| character.is_control()),
            "{line:?}"
        );
        if line == "ok" {
            assert!(begun, "an end without a beginning: {printed:?}");
            begun = false;
        } else if line.starts_with("error: ") {
            begun = false;
        } else if line.starts_with("> ") {
            assert!(!begun, "a command in the middle of another: {printed:?}");
            begun = true;
        } else {
            assert!(begun, "a line of no command: {printed:?}");
        }
    }
    assert!(!begun, "a command without an end: {printed:?}");
}

const SECTORS: usize = 8;

const LAYOUT: FlashLayout = FlashLayout {
    store: 0..(4 * SECTOR) as u32,
    log: (4 * SECTOR) as u32..(6 * SECTOR) as u32,
    outbox: (6 * SECTOR) as u32..(SECTORS * SECTOR) as u32,
};

#[derive(Debug, Clone, PartialEq, Eq)]
enum Done {
    Command(Command),
    Put(Text, String),
}

#[derive(Default)]
struct Device(RefCell<Vec<Done>>);

impl Backend for Device {
    async fn carry_out<W: Write>(
        &self,
        command: &Command,
        memory: &mut [u8],
        answer: &mut Answer<'_, W>,
    ) -> Result<(), Problem> {
        assert!(memory.len() > bluebell::config::MAX_TEXT);
        assert!(
            memory.iter().all(|byte| *byte == 0),
            "what was typed is still there"
        );
        assert!(!matches!(
            command,
            Command::Help | Command::Put(_) | Command::PutFile { .. }
        ));
        answer
            .line(format_args!("{} is carried out", command.name()))
            .await;
        self.0.borrow_mut().push(Done::Command(command.clone()));
        Ok(())
    }

    async fn put<W: Write>(
        &self,
        kind: Text,
        text: &str,
        answer: &mut Answer<'_, W>,
    ) -> Result<(), Problem> {
        assert!(text.len() <= bluebell::config::MAX_TEXT);
        assert!(text.is_empty() || text.ends_with('\n'), "{text:?}");
        answer
            .line(format_args!("{} bytes are put", text.len()))
            .await;
        self.0.borrow_mut().push(Done::Put(kind, text.to_owned()));
        Ok(())
    }

    async fn answered(&self) {}
}

/// What is printed, and what is done.
fn transcript(typed: &[u8], pieces: Pieces) -> (Vec<u8>, Vec<Done>) {
    let link = Link::open(pieces);
    link.say(typed);
    link.say(b"\x03status\r\n");
    let device = Device::default();
    let console = Console::new(link.socket());
    let mut memory = ConsoleMemory::new();
    let mut input = link.socket();
    let mut room = StoreMemory::<3584>::new();
    let store = Store::new(&mut room);
    let uploads = Uploads::new(&store);
    let mut lines = [0; 512];
    let log = Log::new(&mut lines);
    let served = bluebell::console::serve(&mut input, &console, &mut memory, &uploads, &device);
    let kept = store.serve(Flash::new(SECTORS), &LAYOUT, &log);
    // Time stands still while there is anything to do.
    match run_virtual(select3(served, Timer::after(Duration::from_secs(1)), kept)) {
        Either3::First(never) | Either3::Third(never) => match never {},
        Either3::Second(()) => {}
    }
    (link.output.take(), device.0.take())
}
