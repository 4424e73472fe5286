//! The console from the first byte to the last line, with a backend that takes notes.

use core::cell::RefCell;
use core::convert::Infallible;
use std::collections::VecDeque;
use std::format;
use std::string::{String, ToString};
use std::vec::Vec;

use embassy_futures::select::{Either3, select3};
use embedded_io_async::{ErrorType, Read, Write};
use proptest::prelude::*;
use sim::flash::{Flash, SECTOR};
use sim::time::run_virtual;

use super::*;
use crate::board::FlashLayout;
use crate::config::MAX_TEXT;
use crate::log::Log;
use crate::storage::{Store, StoreMemory};
use crate::uploads::{PIECE, Uploads};

/// Types bytes, a few at a time; then nobody types any more.
struct Keyboard(VecDeque<u8>, usize);

impl ErrorType for Keyboard {
    type Error = Infallible;
}

impl Read for Keyboard {
    async fn read(&mut self, buffer: &mut [u8]) -> Result<usize, Infallible> {
        embassy_futures::yield_now().await;
        if self.0.is_empty() {
            std::future::pending::<()>().await;
        }
        let count = buffer.len().min(self.0.len()).min(self.1);
        for (place, byte) in buffer.iter_mut().zip(self.0.drain(..count)) {
            *place = byte;
        }
        Ok(count)
    }
}

/// Prints a byte at a time, so that whoever may come in between does.
struct Screen<'s>(&'s RefCell<Vec<u8>>);

impl ErrorType for Screen<'_> {
    type Error = Infallible;
}

impl Write for Screen<'_> {
    async fn write(&mut self, bytes: &[u8]) -> Result<usize, Infallible> {
        embassy_futures::yield_now().await;
        self.0.borrow_mut().extend(bytes.first());
        Ok(bytes.len().min(1))
    }

    async fn flush(&mut self) -> Result<(), Infallible> {
        Ok(())
    }
}

#[derive(Default)]
struct Notes(RefCell<Vec<String>>);

impl Backend for Notes {
    async fn carry_out<W: Write>(
        &self,
        command: &Command,
        memory: &mut [u8],
        answer: &mut Answer<'_, W>,
    ) -> Result<(), Problem> {
        assert!(memory.len() > MAX_TEXT && memory.iter().all(|byte| *byte == 0));
        memory.fill(7);
        self.0.borrow_mut().push(format!("{command:?}"));
        match command {
            Command::Join(..) => {
                answer.pause().await;
                embassy_time::Timer::after_secs(1).await;
                Err(answer.refuse(&crate::wifi::JoinFailure::WrongPassword))
            }
            Command::Source => {
                answer.text("one\nok\nerror: two\r\n\nthree").await;
                Ok(())
            }
            _ => {
                answer.line(format_args!("carried out")).await;
                Ok(())
            }
        }
    }

    async fn put<W: Write>(
        &self,
        kind: Text,
        text: &str,
        _answer: &mut Answer<'_, W>,
    ) -> Result<(), Problem> {
        self.0.borrow_mut().push(format!("{kind:?} {text}"));
        Ok(())
    }

    async fn answered(&self) {}
}

fn flash() -> (Flash, FlashLayout) {
    let at = |sector: usize| (sector * SECTOR) as u32;
    let layout = FlashLayout {
        store: 0..at(10),
        log: at(10)..at(12),
        outbox: at(12)..at(14),
    };
    (Flash::new(14), layout)
}

/// What is printed and carried out when this is typed while somebody else prints `busy` lines.
fn typed_with(bytes: &[u8], at_a_time: usize, busy: bool) -> (String, Vec<String>) {
    let screen = RefCell::new(Vec::new());
    let notes = Notes::default();
    run_virtual(async {
        let console = Console::new(Screen(&screen));
        let mut memory = ConsoleMemory::new();
        let mut keyboard = Keyboard(bytes.iter().copied().collect(), at_a_time);
        let talk = async {
            let mut pieces = console.pieces();
            for _ in 0..if busy { 200 } else { 0 } {
                let Ok(()) = pieces.write_all(b"busy busy\n").await;
                embassy_futures::yield_now().await;
            }
            embassy_time::Timer::after_secs(10).await;
        };
        let mut room = StoreMemory::<3584>::new();
        let store = Store::new(&mut room);
        let uploads = Uploads::new(&store);
        let (flash, layout) = flash();
        let mut buffer = [0; 512];
        let log = Log::new(&mut buffer);
        let kept = store.serve(flash, &layout, &log);
        let serving = serve(&mut keyboard, &console, &mut memory, &uploads, &notes);
        match select3(talk, serving, kept).await {
            Either3::First(()) => {}
            Either3::Second(never) | Either3::Third(never) => match never {},
        }
        for path in ["a.txt", "b.bin"] {
            if let Some(upload) = uploads.find(path) {
                let file = format!("{path} {} bytes", upload.length());
                notes.0.borrow_mut().push(file);
            }
        }
        assert!(memory.0.iter().all(|byte| *byte == 0) || bytes.last() != Some(&b'\n'));
    });
    let printed = String::from_utf8(screen.into_inner()).unwrap();
    (printed, notes.0.into_inner())
}

fn typed(text: &str) -> (String, Vec<String>) {
    typed_with(text.as_bytes(), 5, false)
}

#[test]
fn every_command_is_answered_and_the_answer_ends_with_ok_or_an_error() {
    let (printed, done) = typed("status\r\njoin \"My Home\" secret99\r\n\r\nhalp\r\n");
    assert_eq!(
        printed,
        "> status\ncarried out\nok\n> join\nerror: the password was not accepted: check it\n\
         error: there is no such command: help lists them\n"
    );
    assert_eq!(done.len(), 2);
    assert!(!format!("{printed}{done:?}").contains("secret99"));
}

#[test]
fn help_lists_every_command() {
    let (printed, _) = typed("help\r");
    for name in ["status", "join \"SSID\"", "put config", "factory reset yes"] {
        assert!(printed.contains(&format!("\n{name}")), "{printed}");
    }
    assert!(printed.ends_with("\nok\n"));
    assert!(printed.lines().all(|line| line.chars().count() <= 100));
}

#[test]
fn a_text_is_put_with_its_lines_up_to_the_dot() {
    let (printed, done) =
        typed("put config\r\n[mqtt]\r\n\r\nhost = \"a\"\x08\x08b\"\r\n.\r\nstatus\n");
    assert_eq!(done, ["Config [mqtt]\n\nhost = \"b\"\n", "Status"]);
    assert!(
        printed.starts_with("> put config\ntype or paste it"),
        "{printed}"
    );
    assert!(
        printed.ends_with(".\nok\n> status\ncarried out\nok\n"),
        "{printed}"
    );
    // A line of a text may be as long as the text.
    let long = format!("{{{}}}", " ".repeat(MAX_TEXT - 3));
    let (_, done) = typed(&format!("put wifi.json\n{long}\n.\n"));
    assert_eq!(done, [format!("WifiJson {long}\n")]);
}

#[test]
fn a_text_too_long_is_refused_as_a_whole_and_the_next_command_counts() {
    for text in [
        "x".repeat(MAX_TEXT),
        "x".repeat(3 * MAX_TEXT),
        "xx\n".repeat(MAX_TEXT),
        "x".repeat(MAX_TEXT + 80) + "\nx",
        "x\n".repeat(MAX_TEXT / 2 + 1),
    ] {
        let (printed, done) = typed_with(
            format!("put config\n{text}\n.\nstatus\n").as_bytes(),
            32,
            false,
        );
        assert_eq!(done, ["Status"]);
        assert!(
            printed.contains("\nerror: the text is longer than 3500 bytes: shorten it\n> status\n"),
            "{printed}"
        );
    }
    let text = "x\n".repeat(MAX_TEXT / 2);
    let (_, done) = typed_with(format!("put config\n{text}.\n").as_bytes(), 32, false);
    assert_eq!(done, [format!("Config {text}")]);
}

#[test]
fn a_file_is_put_as_text_or_as_base64_and_its_pieces_are_told() {
    let (printed, done) =
        typed("put www/a.txt\r\none\r\n\r\ntwo\r\n.\r\nput www/b.bin base64 4\nAP8K\nMQ==\n.\n");
    assert_eq!(
        printed,
        "> put www\ntype or paste it, then a line that is a single .\n9 bytes\nok\n\
         > put www\ntype or paste it, then a line that is a single .\n4 bytes\nok\n"
    );
    assert_eq!(done, ["a.txt 9 bytes", "b.bin 4 bytes"]);
    let line = "A".repeat(PIECE / 3 * 4) + "\n";
    let (printed, done) = typed_with(
        format!("put www/b.bin base64 1538\n{line}{line}AAA=\n.\n").as_bytes(),
        32,
        false,
    );
    assert!(
        printed.ends_with("\n768 bytes\n1536 bytes\n1538 bytes\nok\n"),
        "{printed}"
    );
    assert_eq!(done, ["b.bin 1538 bytes"]);
}

#[test]
fn a_file_that_cannot_be_kept_is_refused_to_its_end() {
    let long_line = "x".repeat(4_000);
    let too_long = format!("{}\n", "y".repeat(1_000)).repeat(17);
    for (typed, refused) in [
        (
            format!("a.txt\n{long_line}\nfactory reset yes\n"),
            "a line is too long",
        ),
        (format!("a.txt\n{too_long}"), "longer than 16384 bytes"),
        (
            "a.txt 7\nfactory reset yes\n".to_string(),
            "18 bytes came, not 7",
        ),
        (
            "b.bin base64\nfactory reset yes\nAAAA\n".to_string(),
            "a line is not base64",
        ),
        ("b.bin base64\nAAA\n".to_string(), "a line is not base64"),
    ] {
        let typed = format!("put www/{typed}.\nstatus\n");
        let (printed, done) = typed_with(typed.as_bytes(), 32, false);
        assert_eq!(done, ["Status"], "{refused}");
        let error = printed.lines().find(|line| line.starts_with("error: "));
        assert!(
            error.is_some_and(|error| error.contains(refused)),
            "{printed}"
        );
        assert!(
            printed.ends_with("> status\ncarried out\nok\n"),
            "{printed}"
        );
    }
    let (_, done) = typed("put www/a.txt\nold\n.\nput www/a.txt\nnew one\n\x03status\n");
    assert_eq!(done, ["Status", "a.txt 4 bytes"]);
}

#[test]
fn a_line_too_long_is_refused_and_skipped() {
    let line = format!("join {}", "secret99".repeat(80));
    let (printed, done) = typed(&format!("{line}\nstatus\n"));
    assert_eq!(
        printed,
        "error: the line is too long: it may have 512 bytes\n> status\ncarried out\nok\n"
    );
    assert_eq!(done, ["Status"]);
}

#[test]
fn ctrl_c_gives_up_a_line_and_a_text() {
    let (printed, done) = typed("join Home\x03put config\n[mqtt]\n\x03status\n");
    assert_eq!(done, ["Status"]);
    assert_eq!(printed.matches("error: given up").count(), 2, "{printed}");
}

#[test]
fn bytes_that_are_no_text_are_refused() {
    let (printed, done) = typed_with(b"\xff\xfestatus\nput config\n\xff\n.\n", 3, false);
    assert_eq!(printed.matches("error: that is not UTF-8").count(), 2);
    assert!(done.is_empty());
}

#[test]
fn a_shown_text_cannot_be_taken_for_the_end_of_the_answer() {
    let (printed, _) = typed("source\n");
    assert_eq!(printed, "> source\none\n ok\n error: two\n\nthree\nok\n");
}

#[test]
fn others_print_between_answers_and_never_within_a_line() {
    let (printed, _) = typed_with(b"source\njoin Home\nstatus\n", 4, true);
    assert_eq!(printed.matches("busy busy\n").count(), 200);
    let rest = printed.replace("busy busy\n", "");
    assert_eq!(
        rest,
        "> source\none\n ok\n error: two\n\nthree\nok\n> join\n\
         error: the password was not accepted: check it\n> status\ncarried out\nok\n"
    );
    assert!(printed.contains("> source\none\n ok\n error: two\n\nthree\nok\n"));
    assert!(!printed.contains("> join\nerror"), "{printed}");
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(64))]

    #[test]
    fn whatever_is_typed_afterwards_the_console_answers(
        noise in proptest::collection::vec(
            prop_oneof![
                any::<Vec<u8>>(),
                "(put config|put wifi.json|put www/a.txt|put www/b.bin base64|AAAA|join|log|\\.|[ -~]{0,20})\n".prop_map(String::into_bytes),
            ],
            0..8,
        ),
        at_a_time in 1_usize..40,
    ) {
        let mut bytes = noise.concat();
        bytes.extend(b"x\x03status\n");
        let (printed, done) = typed_with(&bytes, at_a_time, false);
        prop_assert!(printed.ends_with("> status\ncarried out\nok\n"), "{}", printed);
        prop_assert!(done.contains(&"Status".to_string()));
    }
}
