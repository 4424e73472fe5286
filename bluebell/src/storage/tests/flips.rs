//! One bit of the store that flips.

use std::ops::Range;

use embassy_futures::block_on;
use sim::flash::{Flash, SECTOR};

use super::cuts::{Tears, cut_everywhere, old_or_new, version_1};
use super::{
    OUTBOX, SECTORS, boot, boot_and_log, chip, everything, layout, message_key, noise, push,
};
use crate::storage::{Condition, Key, Store, inspect, write};

const A: Key = Key::literal("wifi/0");
const B: Key = Key::literal("b");
const C: Key = Key::literal("config.toml");
const PUT: Key = Key::literal("put");

/// Where the record of the format lies in the store of [`in_use`]: its header, key and value.
const FORMAT: Range<usize> = 4..28;

/// A store with short and long values, each written once, and a message that waits.
fn in_use() -> Flash {
    let flash = chip();
    boot(&flash, async |store| {
        store.put_secret(&A, &noise(2, 61)).await.unwrap();
        store.put(&B, b"b").await.unwrap();
        store.put(&C, &noise(1, 130)).await.unwrap();
        push(store, b"message", false).await.unwrap();
    });
    assert_eq!(&flash.image()[FORMAT][9..16], b"!format");
    flash
}

fn flipped(image: &[u8], byte: usize, bit: u8) -> Flash {
    let mut image = image.to_vec();
    image[byte] ^= 1 << bit;
    Flash::from_image(image)
}

fn look(flash: &Flash) -> Condition {
    let before = flash.image();
    let found = block_on(inspect(&mut flash.clone(), &layout(SECTORS, OUTBOX)));
    assert_eq!(flash.image(), before, "looking changes nothing");
    found.unwrap()
}

/// Every bit of what is written, and one of each blank word.
fn bits(image: &[u8]) -> impl Iterator<Item = (usize, u8)> {
    let store = image[..SECTORS * SECTOR].chunks(4).enumerate();
    store.flat_map(|(word, bytes)| {
        let every = if bytes == [0xFF; 4] { 37 } else { 1 };
        let bits = (0..32).skip(if every == 1 { 0 } else { word % 32 });
        bits.step_by(every)
            .map(move |bit| (word * 4 + bit / 8, (bit % 8) as u8))
    })
}

#[test]
fn a_flipped_bit_costs_at_most_the_record_that_it_is_in() {
    let flash = in_use();
    let image = flash.image();
    let expected = boot(&flash, everything);
    let mut lost = 0;
    for (byte, bit) in bits(&image) {
        let flash = flipped(&image, byte, bit);
        assert_eq!(look(&flash), Condition::Ready, "bit {bit} of byte {byte}");
        let (found, lines) = boot_and_log(&flash, everything);
        let missing = expected.len() - found.len();
        assert!(
            found.iter().all(|(key, value)| expected[key] == *value),
            "bit {bit} of byte {byte}: {found:?}"
        );
        let blank = image[byte / 4 * 4..][..4] == [0xFF; 4];
        let most = usize::from(!blank && !FORMAT.contains(&byte));
        assert!(missing <= most, "bit {bit} of byte {byte}: {found:?}");
        lost += missing;
        for line in &lines {
            assert!(line.contains("it is written anew"), "{lines:?}");
        }
        assert!(lines.is_empty() || FORMAT.contains(&byte), "{lines:?}");
        boot(&flash, async |store| {
            store.put(&PUT, b"put").await.unwrap();
        });
        let (mut again, lines) = boot_and_log(&flash, everything);
        assert_eq!(again.remove(&PUT).as_deref(), Some(&b"put"[..]));
        assert_eq!(again, found, "bit {bit} of byte {byte}");
        assert_eq!(lines.len(), 0, "{lines:?}");
    }
    assert!(lost > 100, "values were hit: {lost}");
}

#[test]
fn a_value_is_put_into_an_image_with_a_flipped_bit() {
    let flash = in_use();
    let image = flash.image();
    let expected = boot(&flash, everything);
    for (byte, bit) in bits(&image).filter(|(byte, _)| *byte < SECTOR) {
        let flash = flipped(&image, byte, bit);
        let put = block_on(write(
            &mut flash.clone(),
            &layout(SECTORS, OUTBOX),
            &PUT,
            b"put",
        ));
        assert_eq!(put, Ok(()), "bit {bit} of byte {byte}");
        assert_eq!(look(&flash), Condition::Ready);
        let mut found = boot(&flash, everything);
        assert_eq!(found.remove(&PUT).as_deref(), Some(&b"put"[..]));
        let most = usize::from(!FORMAT.contains(&byte));
        assert!(
            found.len() + most >= expected.len(),
            "bit {bit} of byte {byte}"
        );
        assert!(found.iter().all(|(key, value)| expected[key] == *value));
    }
}

#[test]
fn a_value_of_ones_that_meets_a_flipped_bit_costs_no_other_value() {
    let image = in_use().image();
    let end = image[..SECTOR].iter().rposition(|byte| *byte != 0xFF);
    let end = end.unwrap().next_multiple_of(4);
    let expected = boot(&in_use(), everything);
    for value in [&[][..], &[0xFF], &[0xFF; 4], &[0xFF; 9]] {
        // In the header of the new item, in its key and behind that.
        for byte in end..end + 20 {
            let flash = flipped(&image, byte, 3);
            boot(&flash, async |store| store.put(&PUT, value).await.unwrap());
            let (mut found, lines) = boot_and_log(&flash, everything);
            assert_eq!(found.remove(&PUT).as_deref(), Some(value), "byte {byte}");
            assert_eq!(found, expected, "byte {byte}");
            assert_eq!(lines.len(), 0, "{lines:?}");
        }
    }
}

#[test]
fn a_cut_while_a_lost_record_of_the_format_is_written_anew_loses_nothing() {
    let flash = in_use();
    let values = boot(&flash, everything);
    for byte in [4, 8, 13, 20] {
        let flash = flipped(&flash.image(), byte, 0);
        let put = async |store: &Store<'_>| store.put(&A, b"new").await.is_ok();
        cut_everywhere(
            &flash,
            Tears::Every,
            put,
            old_or_new(&values, A, Some(b"new")),
        );
    }
}

#[test]
fn a_store_that_was_of_version_1_keeps_its_messages_when_a_bit_of_its_format_flips() {
    let flash = version_1(&[0xFF; OUTBOX * SECTOR]);
    let message = boot(&flash, async |store| {
        push(store, b"message", false).await.unwrap();
        everything(store).await
    });
    assert!(message.contains_key(&message_key(0)));
    let image = flash.image();
    let records = image
        .windows(7)
        .enumerate()
        .filter(|(_, seven)| seven == b"!format");
    for (at, _) in records {
        let flash = flipped(&image, at + 7, 4);
        assert_eq!(
            boot(&flash, everything),
            message,
            "the record with its key at {at}"
        );
    }
}

#[test]
fn a_secret_that_met_damage_in_free_space_leaves_nothing_once_it_is_forgotten() {
    const SECRET: &[u8] = b"sealed and not to be found";
    let image = in_use().image();
    let first = &image[..SECTOR - 4];
    let free = first.iter().rposition(|&byte| byte != 0xFF).unwrap() + 1;
    let mut met = 0;
    for at in free..free + 100 {
        let mut damaged = image.clone();
        damaged[at] = 0x6E;
        let flash = Flash::from_image(damaged);
        boot(&flash, async |store| {
            store.put_secret(&PUT, SECRET).await.unwrap();
            met += usize::from(flash.image()[at] != 0x6E);
            store.forget(&PUT).await.unwrap();
        });
        let left = flash.image();
        let found = left.windows(SECRET.len()).position(|bytes| bytes == SECRET);
        assert_eq!(found, None, "damage at {at}");
    }
    assert!(met > 0, "none of the damage was where the secret went");
}
