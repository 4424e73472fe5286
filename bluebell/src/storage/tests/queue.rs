//! Messages that wait on flash.

use std::vec::Vec;

use proptest::prelude::*;
use sim::flash::{Flash, SECTOR};

use super::cuts::{Tears, cut_everywhere};
use super::{
    OUTBOX, SECTORS, Values, boot, boot_and_log, chip, everything, message_key, noise, push,
    waiting,
};
use crate::storage::{Store, WriteError};

/// Where the outbox begins in most tests.
const START: usize = (SECTORS + 2) * SECTOR;

fn message(seed: u32) -> Vec<u8> {
    noise(seed, 40 + seed as usize % 60)
}

/// The messages of `values`, in their order.
fn messages(values: &Values) -> Vec<&Vec<u8>> {
    (0..)
        .map_while(|number| values.get(&message_key(number)))
        .collect()
}

async fn settle_first(store: &Store<'_>, count: usize) {
    for (place, _) in waiting(store).await.iter().take(count) {
        store.settle(*place).await.unwrap();
    }
}

/// A queue to which `pushed` messages were pushed and in which `settled` of them were settled, from the
/// time on that some forty waited.
fn queue(pushed: u32, settled: usize) -> Flash {
    let flash = chip();
    boot(&flash, async |store| {
        let mut left = settled;
        for seed in 0..pushed {
            push(store, &message(seed), false).await.unwrap();
            if seed >= 40 && left > 0 {
                settle_first(store, 1).await;
                left -= 1;
            }
        }
        settle_first(store, left).await;
    });
    flash
}

/// How many messages fit a sector, about.
const SECTORFUL: u32 = 48;

#[test]
fn messages_come_out_in_the_order_in_which_they_went_in_whenever_the_device_is_rebooted() {
    let flash = chip();
    let (mut model, mut seed) = (Vec::new(), 0);
    for round in 0..60 {
        boot(&flash, async |store| {
            for _ in 0..round % 9 + 1 {
                push(store, &message(seed), false).await.unwrap();
                model.push(message(seed));
                seed += 1;
            }
            let found = waiting(store).await;
            assert!(found.is_sorted_by_key(|(place, _)| place.sequence));
            assert!(found.iter().map(|(_, message)| message).eq(&model));
            let settled = (round % 11).min(model.len());
            settle_first(store, settled).await;
            model.drain(..settled);
        });
    }
    assert_eq!(flash.counts().bits_lost, 0);
    let erases = &flash.sector_erases()[SECTORS + 2..];
    assert!(
        erases.iter().all(|erases| (1..9).contains(erases)),
        "{erases:?}"
    );
}

#[test]
fn a_full_queue_refuses_the_newest_and_takes_more_once_enough_is_settled() {
    let flash = chip();
    boot(&flash, async |store| {
        let mut model = Vec::new();
        let full = loop {
            let message = message(model.len() as u32);
            match push(store, &message, false).await {
                Ok(_) => model.push(message),
                Err(error) => break error,
            }
        };
        assert_eq!(full, WriteError::Full);
        let found = waiting(store).await;
        assert!(found.iter().map(|(_, message)| message).eq(&model));
        // Not the oldest ones: they are in the way for ever.
        for (place, _) in &found[5..35] {
            store.settle(*place).await.unwrap();
        }
        model.drain(5..35);
        while push(store, b"more", false).await.is_ok() {
            model.push(b"more".to_vec());
        }
        assert!(model.ends_with(&[b"more".to_vec(), b"more".to_vec()]));
        let found = waiting(store).await;
        assert!(found.iter().map(|(_, message)| message).eq(&model));
        // A place that was written down before its message moved is still good.
        let (place, _) = found[1];
        store.settle(place).await.unwrap();
        store.settle(place).await.unwrap();
        assert_eq!(waiting(store).await[1].1, model[2]);
    });
}

#[test]
fn a_full_queue_that_is_asked_again_reads_nothing_until_a_message_leaves() {
    let flash = chip();
    boot(&flash, async |store| {
        let long = noise(7, 400);
        while push(store, &long, false).await.is_ok() {}
        let reads = flash.counts().bytes_read;
        for _ in 0..1000 {
            assert_eq!(push(store, &long, false).await, Err(WriteError::Full));
        }
        assert_eq!(flash.counts().bytes_read, reads);
        // There may be room for shorter ones, and they take none from the long ones.
        while push(store, b"short", false).await.is_ok() {}
        for (place, message) in waiting(store).await {
            if message == long {
                store.settle(place).await.unwrap();
            }
        }
        push(store, &long, false).await.unwrap();
    });
}

#[test]
fn a_full_queue_takes_more_also_when_messages_leave_that_cannot_be_read_back() {
    let flash = chip();
    boot(&flash, async |store| {
        let long = noise(7, 400);
        while push(store, &long, false).await.is_ok() {}
        let found = waiting(store).await;
        // The last byte of each in the first sector but one.
        let image = flash.image();
        let ends = (START + SECTOR..START + 2 * SECTOR - long.len())
            .filter(|at| image[*at..].starts_with(&long))
            .map(|at| at + long.len() - 1);
        ends.for_each(|byte| flash.flip(byte, 0));
        assert_eq!(push(store, &long, false).await, Err(WriteError::Full));
        assert!(waiting(store).await.len() < found.len() - 5);
        push(store, &long, false).await.unwrap();
    });
}

#[test]
fn a_newer_message_takes_the_place_of_one_of_its_name_and_of_no_other() {
    boot(&chip(), async |store| {
        for (message, latest) in [
            (&b"aa old"[..], true),
            (b"ab other", true),
            (b"aa keep", false),
            (b"aa new", true),
            (b"aa last", true),
        ] {
            push(store, message, latest).await.unwrap();
        }
        let found = waiting(store).await;
        let found: Vec<_> = found.iter().map(|(_, message)| &message[..]).collect();
        assert_eq!(found, [&b"ab other"[..], b"aa keep", b"aa last"]);
    });
}

#[test]
fn a_value_that_changes_for_days_holds_room_for_one_and_leaves_the_others_theirs() {
    let flash = chip();
    boot(&flash, async |store| {
        push(store, b"first of all", false).await.unwrap();
        for seed in 0..2000 {
            let mut value = message(seed);
            value[..2].copy_from_slice(b"aa");
            push(store, &value, true).await.unwrap();
        }
        let found = waiting(store).await;
        assert_eq!(found.len(), 2);
        assert_eq!(found[0].1, b"first of all");
        assert_eq!(found[1].1[2..], message(1999)[2..]);
    });
    let counts = flash.counts();
    assert!(
        counts.sectors_erased < 2000 / SECTORFUL as u64 + 3,
        "{counts:?}"
    );
}

#[test]
fn a_cut_while_a_message_is_pushed_leaves_it_whole_or_nothing_of_it() {
    // Into an empty queue, within a sector, into a new one, and into one that has to be erased first.
    for (flash, tears) in [
        (queue(0, 0), Tears::Every),
        (queue(5, 2), Tears::Every),
        (queue(SECTORFUL - 2, 0), Tears::Some),
        (queue(SECTORFUL - 1, 0), Tears::Some),
        (queue(SECTORFUL, 0), Tears::Some),
        (
            queue(2 * SECTORFUL, 2 * SECTORFUL as usize - 1),
            Tears::Some,
        ),
        (queue(3 * SECTORFUL, 3 * SECTORFUL as usize), Tears::Some),
    ] {
        let before = boot(&flash, everything);
        let new = noise(999, 170);
        cut_everywhere(
            &flash,
            tears,
            async |store| push(store, &new, false).await.is_ok(),
            |_, found, acknowledged| {
                let (found, mut expected) = (messages(found), messages(&before));
                if found != expected || acknowledged {
                    expected.push(&new);
                }
                assert_eq!(found, expected);
            },
        );
    }
}

#[test]
fn a_cut_while_messages_move_loses_and_doubles_none() {
    let flash = queue(2 * SECTORFUL - 8, 0);
    boot(&flash, async |store| {
        let found = waiting(store).await;
        for (place, _) in found.iter().skip(3).step_by(2) {
            store.settle(*place).await.unwrap();
        }
    });
    let new = noise(999, 170);
    // Up to where the next one makes the others move.
    for seed in 0.. {
        let rehearsal = Flash::from_image(flash.image());
        boot(&rehearsal, async |store| {
            push(store, &new, false).await.unwrap()
        });
        if rehearsal.counts().bytes_programmed > 1500 {
            break;
        }
        boot(&flash, async |store| {
            push(store, &message(seed), false).await.unwrap()
        });
    }
    let before = boot(&flash, everything);
    cut_everywhere(
        &flash,
        Tears::Some,
        async |store| push(store, &new, false).await.is_ok(),
        |_, found, acknowledged| {
            let (found, mut expected) = (messages(found), messages(&before));
            if found != expected || acknowledged {
                expected.push(&new);
            }
            assert_eq!(found, expected);
        },
    );
}

#[test]
fn a_cut_while_a_message_takes_the_place_of_another_leaves_one_of_them_or_both() {
    let flash = queue(3, 0);
    let (old, new) = (b"aa old value".to_vec(), b"aa new value".to_vec());
    boot(&flash, async |store| {
        push(store, &old, true).await.unwrap();
        push(store, &message(7), false).await.unwrap();
    });
    let before = boot(&flash, everything);
    cut_everywhere(
        &flash,
        Tears::Every,
        async |store| push(store, &new, true).await.is_ok(),
        |_, found, acknowledged| {
            let (found, before) = (messages(found), messages(&before));
            let mut both = before.clone();
            both.push(&new);
            let mut replaced = both.clone();
            replaced.remove(3);
            assert!(
                found == replaced || (!acknowledged && (found == both || found == before)),
                "{found:?}"
            );
        },
    );
}

#[test]
fn a_cut_while_a_message_is_settled_leaves_it_or_not_and_all_others() {
    for settled in [0, 2, 4] {
        let flash = queue(5, 0);
        let before = boot(&flash, everything);
        cut_everywhere(
            &flash,
            Tears::Every,
            async |store| {
                let found = waiting(store).await;
                store.settle(found[settled].0).await.is_ok()
            },
            |_, found, acknowledged| {
                let (found, mut expected) = (messages(found), messages(&before));
                if found != expected || acknowledged {
                    expected.remove(settled);
                }
                assert_eq!(found, expected);
            },
        );
    }
}

#[test]
fn a_cut_while_the_queue_is_drained_leaves_the_newest_ones() {
    let flash = queue(SECTORFUL + 8, SECTORFUL as usize - 4);
    let before = boot(&flash, everything);
    cut_everywhere(
        &flash,
        Tears::Every,
        async |store| {
            let mut place = None;
            while let Ok(true) = store
                .next_waiting(0, &mut |waiting| place = Some(waiting.place))
                .await
            {
                if store.settle(place.unwrap()).await.is_err() {
                    return false;
                }
            }
            store
                .next_waiting(0, &mut |_| ())
                .await
                .is_ok_and(|found| !found)
        },
        |_, found, acknowledged| {
            let found = messages(found);
            assert!(messages(&before).ends_with(&found));
            assert!(!acknowledged || found.is_empty());
        },
    );
}

#[test]
fn a_cut_while_all_messages_are_forgotten_is_made_good_by_forgetting_them_again() {
    let flash = queue(SECTORFUL + 8, 3);
    let forgets = async |store: &Store<'_>| store.settle_all().await.is_ok();
    cut_everywhere(&flash, Tears::Some, forgets, |flash, _, acknowledged| {
        let flash = Flash::from_image(flash.image());
        if !acknowledged {
            assert!(boot(&flash, forgets));
        }
        assert!(boot(&flash, waiting).is_empty());
        assert!(!flash.contains(&message(20)[..8]));
    });
}

#[test]
fn bits_that_flip_cost_the_messages_that_they_are_in_and_no_other() {
    let flash = queue(30, 3);
    let before: Vec<_> = boot(&flash, waiting)
        .into_iter()
        .map(|(_, message)| message)
        .collect();
    let image = flash.image();
    let used = image[START..START + SECTOR]
        .iter()
        .rposition(|&byte| byte != 0xFF)
        .unwrap();
    for at in 16..used {
        let mut image = image.clone();
        image[START + at] ^= 1 << (at % 8);
        let (found, _) = boot_and_log(&Flash::from_image(image), waiting);
        let found: Vec<_> = found.into_iter().map(|(_, message)| message).collect();
        let lost = before
            .iter()
            .filter(|message| !found.contains(message))
            .count();
        assert!(lost <= 1, "{lost} are lost by a bit at {at}");
        assert!(
            found.iter().all(|message| before.contains(message)),
            "at {at}"
        );
    }
    let mut image = image.clone();
    image[START + used / 2] ^= 0x10;
    let (_, lines) = boot_and_log(&Flash::from_image(image), waiting);
    assert!(
        lines[0].contains("1 waiting messages could not be read back"),
        "{lines:?}"
    );
}

proptest! {
    #[test]
    fn any_content_of_the_outbox_can_be_opened_and_used(
        seed: u32,
        damage in proptest::collection::vec((START..START + OUTBOX * SECTOR, 1_usize..300), 0..12),
    ) {
        let flash = queue(seed % 90, seed as usize % 40);
        let mut image = flash.image();
        if seed.is_multiple_of(8) {
            image[START..].copy_from_slice(&noise(seed, OUTBOX * SECTOR));
        }
        for (at, length) in damage {
            let end = (at + length).min(image.len());
            image[at..end].copy_from_slice(&noise(at as u32, end - at));
        }
        let flash = Flash::from_image(image);
        boot(&flash, async |store| {
            let found = waiting(store).await;
            assert!(found.iter().all(|(_, found)| (0..90).any(|seed| message(seed) == *found)));
            if push(store, b"newest", false).await.is_ok() {
                assert_eq!(waiting(store).await.last().unwrap().1, b"newest");
            }
            settle_first(store, usize::MAX).await;
            push(store, b"newest", false).await.unwrap();
        });
        assert_eq!(boot(&flash, waiting).last().unwrap().1, b"newest");
    }
}
