//! Power cuts at every operation, torn at every word, and again while that is repaired.

use std::vec::Vec;

use sim::flash::{Flash, Operation, SECTOR};

use super::{
    OUTBOX, SECTORS, Values, boot, boot_and_log, chip, everything, noise, push, read, waiting,
};
use crate::storage::{Key, Store, WriteError};

const A: Key = Key::literal("wifi/0");
const B: Key = Key::literal("wifi/1");
const C: Key = Key::literal("config.toml");

/// A store in use.
fn in_use() -> Flash {
    let flash = chip();
    boot(&flash, async |store| {
        store.put(&C, &noise(1, 300)).await.unwrap();
        store.put_secret(&A, &noise(2, 61)).await.unwrap();
        store.put_secret(&B, &noise(3, 93)).await.unwrap();
        for seed in 10..13 {
            push(store, &noise(seed, 40 + seed as usize), false)
                .await
                .unwrap();
        }
    });
    flash
}

/// A store in which the next write of some length has to make room, by moving what is alive.
fn about_to_turn() -> Flash {
    let flash = in_use();
    boot(&flash, async |store| {
        // The last free sector stays free: two and a bit are filled.
        for seed in 0..7 {
            store.put(&C, &noise(100 + seed, 1000)).await.unwrap();
        }
    });
    assert_eq!(flash.counts().sectors_erased, 0);
    flash
}

/// Which words of an operation to tear it at.
#[derive(Clone, Copy)]
pub(super) enum Tears {
    Every,
    /// All of a write, some of an erasure.
    Some,
    /// The first, the last and the middle.
    Few,
}

impl Tears {
    fn of(self, operation: Operation) -> Vec<usize> {
        let words = operation.words();
        let mut tears: Vec<_> = match (self, operation) {
            (Self::Every, _) | (Self::Some, Operation::Write(_)) => (0..=words).collect(),
            (Self::Some, Operation::Erase) => (0..=words).step_by(61).chain([1, 2, 3]).collect(),
            (Self::Few, _) => std::vec![0, 1, words / 2, words],
        };
        tears.push(words.saturating_sub(1));
        tears.sort_unstable();
        tears.dedup();
        tears
    }
}

/// Does `change` to copies of `flash`, with a cut at every operation; then cuts each repair too. `sound`
/// looks at the values found in the end and whether the change was acknowledged.
pub(super) fn cut_everywhere(
    flash: &Flash,
    tears: Tears,
    change: impl AsyncFn(&Store<'_>) -> bool,
    sound: impl Fn(&Flash, &Values, bool),
) {
    let image = flash.image();
    let rehearsal = Flash::from_image(image.clone());
    rehearsal.start_trace();
    assert!(boot(&rehearsal, &change), "the change works without a cut");
    let operations = rehearsal.trace();
    assert!(!operations.is_empty());
    let mut cuts = 0;
    for (index, operation) in operations.iter().enumerate() {
        for words in tears.of(*operation) {
            let flash = Flash::from_image(image.clone());
            flash.cut_power(index as u64, words);
            let acknowledged = boot(&flash, &change);
            let torn = flash.image();

            let check = |flash: &Flash| {
                let values = boot(flash, everything);
                sound(flash, &values, acknowledged);
                let extra = Key::literal("extra");
                let waiting = boot(flash, async |store| {
                    let written = store.put(&extra, b"extra").await;
                    assert_eq!(written, Ok(()), "usable after cut {index} at {words}");
                    push(store, b"extra", false).await
                });
                let mut after = boot(flash, everything);
                assert_eq!(after.remove(&extra).as_deref(), Some(&b"extra"[..]));
                match waiting {
                    Ok(_) => assert_eq!(newest_message(&mut after), b"extra"),
                    Err(error) => assert_eq!(error, WriteError::Full),
                }
                assert_eq!(after, values, "cut {index} at {words}");
            };
            let flash = Flash::from_image(torn.clone());
            flash.start_trace();
            check(&flash);
            cuts += 1;
            let repair = flash.trace();
            for (again, operation) in repair.iter().enumerate() {
                for words in Tears::Few.of(*operation) {
                    let flash = Flash::from_image(torn.clone());
                    flash.cut_power(again as u64, words);
                    boot(&flash, async |store| {
                        let _ = store.put(&Key::literal("extra"), b"extra").await;
                        let _ = push(store, b"extra", false).await;
                    });
                    flash.revive();
                    boot(&flash, async |store| {
                        let _ = store.forget(&Key::literal("extra")).await;
                        for (place, message) in waiting(store).await {
                            if message == b"extra" {
                                store.settle(place).await.unwrap();
                            }
                        }
                    });
                    check(&flash);
                    cuts += 1;
                }
            }
        }
    }
    std::println!("{cuts} cuts in {} operations", operations.len());
}

/// Takes the message out that was pushed last.
fn newest_message(values: &mut Values) -> Vec<u8> {
    let newest = values
        .keys()
        .rfind(|key| key.as_str().starts_with("~waiting"));
    let newest = *newest.unwrap();
    values.remove(&newest).unwrap()
}

/// The values are those of `before`, but for `key`, which is the old or the new one.
pub(super) fn old_or_new<'a>(
    before: &'a Values,
    key: Key,
    new: Option<&'a [u8]>,
) -> impl Fn(&Flash, &Values, bool) + use<'a> {
    move |_, found, acknowledged| {
        let mut found = found.clone();
        found.remove(&Key::literal("extra"));
        let mut after = before.clone();
        match new {
            Some(new) => after.insert(key, new.to_vec()),
            None => after.remove(&key),
        };
        assert!(found == after || (!acknowledged && found == *before));
    }
}

#[test]
fn a_cut_while_a_value_is_stored_leaves_the_old_or_the_new_one() {
    let flash = in_use();
    let before = boot(&flash, everything);
    let new = noise(9, 70);
    for (key, tears) in [(C, Tears::Every), (Key::literal("new"), Tears::Every)] {
        cut_everywhere(
            &flash,
            tears,
            async |store| store.put(&key, &new).await.is_ok(),
            old_or_new(&before, key, Some(&new)),
        );
    }
}

#[test]
fn a_cut_while_room_is_made_loses_nothing() {
    let flash = about_to_turn();
    let before = boot(&flash, everything);
    let new = noise(9, 900);
    let rehearsal = Flash::from_image(flash.image());
    boot(&rehearsal, async |store| store.put(&C, &new).await.unwrap());
    assert_eq!(
        rehearsal.counts().sectors_erased,
        1,
        "the test is about this"
    );
    cut_everywhere(
        &flash,
        Tears::Some,
        async |store| store.put(&C, &new).await.is_ok(),
        old_or_new(&before, C, Some(&new)),
    );
}

#[test]
fn a_cut_while_a_secret_is_replaced_leaves_one_of_them_and_no_remains_of_the_other() {
    let flash = in_use();
    let before = boot(&flash, everything);
    let (old, new) = (noise(2, 61), noise(9, 61));
    cut_everywhere(
        &flash,
        Tears::Every,
        async |store| store.put_secret(&A, &new).await.is_ok(),
        |flash, found, acknowledged| {
            old_or_new(&before, A, Some(&new))(flash, found, acknowledged);
            let (gone, kept) = if found[&A] == new {
                (&old, &new)
            } else {
                (&new, &old)
            };
            assert!(flash.contains(kept));
            for part in gone.chunks(8).filter(|part| part.len() == 8) {
                assert!(!flash.contains(part));
            }
        },
    );
}

#[test]
fn a_cut_while_a_secret_is_forgotten_leaves_it_whole_or_nothing_of_it() {
    for (flash, tears) in [(in_use(), Tears::Every), (about_to_turn(), Tears::Some)] {
        let before = boot(&flash, everything);
        let old = noise(2, 61);
        cut_everywhere(
            &flash,
            tears,
            async |store| store.forget(&A).await.is_ok(),
            |flash, found, acknowledged| {
                old_or_new(&before, A, None)(flash, found, acknowledged);
                if !found.contains_key(&A) {
                    for part in old.chunks(8).filter(|part| part.len() == 8) {
                        assert!(!flash.contains(part));
                    }
                }
            },
        );
    }
}

#[test]
fn a_cut_at_first_boot_is_a_first_boot_again() {
    cut_everywhere(
        &chip(),
        Tears::Every,
        async |store| store.put(&A, b"first").await.is_ok(),
        old_or_new(&Values::new(), A, Some(b"first")),
    );
}

#[test]
fn a_cut_while_a_foreign_image_is_erased_is_finished_at_the_next_boot() {
    let flash = Flash::from_image(noise(4, super::CHIP * 4096));
    let make = async |store: &Store<'_>| store.put(&A, b"first").await.is_ok();
    cut_everywhere(
        &flash,
        Tears::Some,
        make,
        old_or_new(&Values::new(), A, Some(b"first")),
    );
}

/// What a device of version 1 left behind, on the chip of these tests; with `remains` where it had no outbox.
pub(super) fn version_1(remains: &[u8]) -> Flash {
    let image = Flash::from_packed(
        include_bytes!("../../../../sim/tests/images/version-1.flash"),
        24,
    )
    .image();
    let (store, log) = image.split_at(16 * SECTOR);
    let (store, unused) = store.split_at(SECTORS * SECTOR);
    assert!(unused.iter().all(|&byte| byte == 0xFF), "it fits");
    Flash::from_image([store, &log[..2 * SECTOR], remains].concat())
}

#[test]
fn a_cut_while_an_image_of_version_1_gets_an_outbox_loses_nothing_and_takes_remains_for_no_messages()
 {
    let erased = boot(&version_1(&[0xFF; OUTBOX * SECTOR]), everything);
    assert!(erased.len() >= 4, "{erased:?}");
    let used = in_use().image();
    let outbox_in_use = used.split_at((SECTORS + 2) * SECTOR).1;
    for (remains, tears) in [
        (outbox_in_use, Tears::Some),
        (&noise(5, OUTBOX * SECTOR), Tears::Some),
    ] {
        let flash = version_1(remains);
        let put = async |store: &Store<'_>| store.put(&A, b"new").await.is_ok();
        cut_everywhere(&flash, tears, put, old_or_new(&erased, A, Some(b"new")));
        let (_, lines) = boot_and_log(&flash, everything);
        assert!(lines[0].contains("the present format"), "{lines:?}");
        let (_, lines) = boot_and_log(&flash, everything);
        assert_eq!(lines.len(), 0, "{lines:?}");
    }
}

#[test]
fn nothing_is_written_when_a_value_is_stored_again() {
    let flash = in_use();
    boot(&flash, async |store| {
        let before = flash.counts().operations;
        store.put(&C, &noise(1, 300)).await.unwrap();
        assert_eq!(flash.counts().operations, before);
        assert_eq!(read(store, &C).await.unwrap(), noise(1, 300));
    });
}
