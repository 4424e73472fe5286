//! Files in a store on simulated flash.

use std::format;
use std::string::{String, ToString};
use std::vec::Vec;

use embassy_futures::block_on;
use embassy_futures::select::{Either, select};
use sim::flash::{Flash, Operation, SECTOR};

use super::*;
use crate::board::FlashLayout;
use crate::log::Log;
use crate::storage::StoreMemory;

const SECTORS: usize = 12;
const SECRET: Key = Key::literal("secret/mqtt.password");

fn chip() -> Flash {
    Flash::new(SECTORS + 4)
}

/// Boots a device on `flash`, lets it do `what` and cuts its power.
fn boot<T>(flash: &Flash, what: impl AsyncFnOnce(&Uploads<'_>, &Store<'_>) -> T) -> T {
    let at = |sector: usize| (sector * SECTOR) as u32;
    let layout = FlashLayout {
        store: 0..at(SECTORS),
        log: at(SECTORS)..at(SECTORS + 2),
        outbox: at(SECTORS + 2)..at(SECTORS + 4),
    };
    let mut memory = StoreMemory::<3584>::new();
    let store = Store::new(&mut memory);
    let mut buffer = [0; 512];
    let log = Log::new(&mut buffer);
    let uploads = Uploads::new(&store);
    let device = async {
        let _ = uploads.open().await;
        what(&uploads, &store).await
    };
    match block_on(select(store.serve(flash.clone(), &layout, &log), device)) {
        Either::First(never) => match never {},
        Either::Second(done) => done,
    }
}

fn name(name: &str) -> Name {
    Name::new(name).unwrap()
}

/// Contents of which no two pieces are alike.
fn contents(seed: u8, length: usize) -> Vec<u8> {
    let text = (0..).map(|line| format!("{seed}: line {line}\n"));
    text.flat_map(String::into_bytes).take(length).collect()
}

async fn put(uploads: &Uploads<'_>, called: &str, bytes: &[u8]) -> Result<usize, PutError> {
    uploads.begin(&name(called)).await?;
    for piece in bytes.chunks(PIECE) {
        uploads.add(piece).await?;
    }
    uploads.finish(Some(bytes.len())).await
}

async fn read(uploads: &Uploads<'_>, path: &str) -> Option<Vec<u8>> {
    let upload = uploads.find(path)?;
    let mut bytes = Vec::new();
    for piece in 0..upload.pieces() {
        bytes.extend(uploads.read(&upload, piece, &mut [0; PIECE]).await?);
    }
    assert_eq!(bytes.len(), upload.length());
    assert_eq!(upload.etag(), Fingerprint::EMPTY.and(&bytes).text());
    Some(bytes)
}

async fn names(uploads: &Uploads<'_>) -> Vec<String> {
    let mut names = Vec::new();
    while let Some(upload) = uploads.nth(names.len()) {
        names.push(uploads.name(&upload).await.unwrap().unwrap().to_string());
    }
    names
}

/// Nothing is in the store but what the files there are need.
async fn assert_nothing_leaks(uploads: &Uploads<'_>, store: &Store<'_>) {
    let mut expected = Vec::new();
    while let Some(upload) = uploads.nth(expected.len()) {
        expected.push(upload);
    }
    let expected: usize = expected.iter().map(|upload| 1 + upload.pieces()).sum();
    let mut found = 0;
    let count = &mut |_: &Key| found += 1;
    store.keys("www/", count).await.unwrap();
    assert_eq!(found, expected);
    assert_eq!(uploads.index.borrow().unsettled, None);
}

#[test]
fn a_file_of_any_length_is_read_back_after_a_restart() {
    let flash = chip();
    for length in [0, 1, 767, 768, 769, 1536, 5_000, MOST_BYTES] {
        let bytes = contents(1, length);
        boot(&flash, async |uploads, _| {
            assert_eq!(put(uploads, "a/b.bin", &bytes).await, Ok(length));
            assert_eq!(read(uploads, "a/b.bin").await.as_deref(), Some(&bytes[..]));
        });
        boot(&flash, async |uploads, store| {
            assert_eq!(read(uploads, "a/b.bin").await, Some(bytes));
            assert_eq!(names(uploads).await, ["a/b.bin"]);
            assert_nothing_leaks(uploads, store).await;
        });
    }
    boot(&flash, async |uploads, store| {
        assert_eq!(uploads.remove(&name("b.bin")).await, Ok(false));
        assert_eq!(uploads.remove(&name("a/b.bin")).await, Ok(true));
        assert_eq!(uploads.find("a/b.bin"), None);
        let mut left = Vec::new();
        store.keys("", &mut |key| left.push(*key)).await.unwrap();
        assert_eq!(left, []);
    });
    assert!(!flash.contains(b"1: line"));
}

#[test]
fn a_path_leads_to_its_file_and_a_folder_to_its_index() {
    boot(&chip(), async |uploads, store| {
        store.put(&SECRET, b"hunter22").await.unwrap();
        assert_eq!(uploads.find(""), None);
        for called in ["index.html", "docs/index.html", "a.css"] {
            assert!(put(uploads, called, called.as_bytes()).await.is_ok());
        }
        for (path, expected) in [
            ("", Some("index.html")),
            ("index.html", Some("index.html")),
            ("docs/", Some("docs/index.html")),
            ("docs/index.html", Some("docs/index.html")),
            ("a.css", Some("a.css")),
            ("docs", None),
            ("a.css/", None),
            ("/a.css", None),
            ("www", None),
            ("www/0", None),
            ("www/0/0", None),
            ("0/0", None),
            ("secret/mqtt.password", None),
            ("../secret/mqtt.password", None),
        ] {
            let found = read(uploads, path).await;
            assert_eq!(found.as_deref(), expected.map(str::as_bytes), "{path}");
        }
    });
}

#[test]
fn what_is_refused_leaves_everything_as_it_was() {
    let flash = chip();
    boot(&flash, async |uploads, store| {
        assert_eq!(uploads.add(b"x").await, Err(PutError::NotBegun));
        put(uploads, "a", b"old").await.unwrap();
        let long = contents(2, MOST_BYTES + 1);
        assert_eq!(put(uploads, "a", &long).await, Err(PutError::TooLong));
        uploads.give_up().await.unwrap();
        uploads.begin(&name("a")).await.unwrap();
        uploads.add(b"new").await.unwrap();
        let short = PutError::Length {
            expected: 4,
            found: 3,
        };
        assert_eq!(uploads.finish(Some(4)).await, Err(short));
        // Another one is begun without giving the first one up.
        uploads.begin(&name("b")).await.unwrap();
        uploads.give_up().await.unwrap();
        assert_eq!(read(uploads, "a").await.as_deref(), Some(&b"old"[..]));
        assert_eq!(names(uploads).await, ["a"]);
        assert_nothing_leaks(uploads, store).await;

        for number in 1..MOST_FILES {
            put(uploads, &format!("{number}"), b"x").await.unwrap();
        }
        assert_eq!(put(uploads, "b", b"x").await, Err(PutError::TooMany));
        assert_eq!(put(uploads, "a", b"newer").await, Ok(5));
        assert_nothing_leaks(uploads, store).await;
    });
}

#[test]
fn a_full_store_refuses_a_file_and_keeps_the_others() {
    boot(&chip(), async |uploads, store| {
        store.put(&SECRET, b"hunter22").await.unwrap();
        let mut stored = 0;
        let refused = loop {
            let called = format!("{stored}");
            match put(uploads, &called, &contents(stored, MOST_BYTES)).await {
                Ok(_) => stored += 1,
                Err(error) => break error,
            }
        };
        assert_eq!(refused, PutError::Write(WriteError::Full));
        assert!(stored >= 1);
        uploads.give_up().await.unwrap();
        assert_nothing_leaks(uploads, store).await;
        for number in 0..stored {
            let found = read(uploads, &format!("{number}")).await;
            assert_eq!(found, Some(contents(number, MOST_BYTES)));
        }
        let secret = store.get(&SECRET, &mut [0; 16]).await.map(|_| ());
        assert_eq!(secret, Ok(()));
        assert_eq!(uploads.remove(&name("0")).await, Ok(true));
        assert!(put(uploads, "small", b"x").await.is_ok());
    });
}

#[test]
fn a_file_that_is_replaced_while_it_is_read_ends_there() {
    boot(&chip(), async |uploads, _| {
        let (old, new) = (contents(1, 2_000), contents(2, 2_000));
        put(uploads, "a", &old).await.unwrap();
        let reading = uploads.find("a").unwrap();
        let room = &mut [0; PIECE];
        assert_eq!(uploads.read(&reading, 0, room).await, Some(&old[..PIECE]));
        put(uploads, "a", &new).await.unwrap();
        assert_eq!(uploads.read(&reading, 1, room).await, None);
        // The next file takes the set over that has become free.
        put(uploads, "b", &old).await.unwrap();
        put(uploads, "a", &contents(3, 2_000)).await.unwrap();
        assert_eq!(uploads.read(&reading, 1, room).await, None);
        assert_eq!(read(uploads, "b").await, Some(old));
    });
}

/// Cuts the power in every operation on flash that `change` makes, in its middle too, and tells what the
/// next boot finds at `a`, and whether the change was acknowledged.
fn cut_everywhere(
    flash: &Flash,
    change: impl AsyncFn(&Uploads<'_>) -> bool,
    sound: impl Fn(Option<Vec<u8>>, bool),
) {
    let image = flash.image();
    let rehearsal = Flash::from_image(image.clone());
    rehearsal.start_trace();
    assert!(boot(&rehearsal, async |uploads, _| change(uploads).await));
    let operations = rehearsal.trace();
    for (index, operation) in operations.iter().enumerate() {
        let middle = match operation {
            Operation::Write(words) => words / 2,
            Operation::Erase => 100,
        };
        for words in [0, middle] {
            let flash = Flash::from_image(image.clone());
            flash.cut_power(index as u64, words);
            let acknowledged = boot(&flash, async |uploads, _| change(uploads).await);
            // Every third time the repair is cut as well.
            if index % 3 == 0 {
                flash.revive();
                flash.cut_power(index as u64 % 11, 1);
                boot(&flash, async |_, _| ());
            }
            flash.revive();
            boot(&flash, async |uploads, store| {
                sound(read(uploads, "a").await, acknowledged);
                assert_eq!(read(uploads, "other").await, Some(contents(9, 900)));
                assert_nothing_leaks(uploads, store).await;
            });
        }
    }
}

fn with_other() -> Flash {
    let flash = chip();
    boot(&flash, async |uploads, _| {
        put(uploads, "other", &contents(9, 900)).await.unwrap();
    });
    flash
}

#[test]
fn a_power_cut_leaves_the_old_file_or_the_new_one_and_nothing_else() {
    let (old, new) = (contents(1, 2_000), contents(2, 3_000));
    let flash = with_other();
    cut_everywhere(
        &flash,
        async |uploads| put(uploads, "a", &old).await.is_ok(),
        |found, acknowledged| match found {
            Some(found) => assert!(found == old),
            None => assert!(!acknowledged),
        },
    );
    boot(&flash, async |uploads, _| {
        put(uploads, "a", &old).await.unwrap()
    });
    cut_everywhere(
        &flash,
        async |uploads| put(uploads, "a", &new).await.is_ok(),
        |found, acknowledged| {
            let found = found.expect("one of them");
            assert!(found == new || (found == old && !acknowledged));
        },
    );
    cut_everywhere(
        &flash,
        async |uploads| uploads.remove(&name("a")).await == Ok(true),
        |found, acknowledged| {
            if let Some(found) = found {
                assert!(found == old && !acknowledged);
            }
        },
    );
}
