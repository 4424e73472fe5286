//! An erasure that is cut as on a chip, where all of a sector goes at once, and not word by word.

use sim::flash::{Flash, Operation, SECTOR};

use super::{boot, boot_and_log, chip, everything, noise};
use crate::storage::{Key, WriteError};

const PUT: Key = Key::literal("put");

fn put(flash: &Flash, round: u32) -> Result<(), WriteError> {
    boot(flash, async |store| {
        store.put(&PUT, &noise(round, 900)).await
    })
}

#[test]
fn a_sector_whose_marks_outlive_its_items_costs_no_value() {
    let mut flash = chip();
    boot(&flash, async |store| {
        for number in 0..5 {
            let key = Key::numbered("key", number).unwrap();
            store.put(&key, &noise(1, 20 * number)).await.unwrap();
        }
    });
    let mut erasures = 0;
    for round in 0..40 {
        let before = flash.image();
        let after = Flash::from_image(before.clone());
        after.start_trace();
        put(&after, round).unwrap();
        flash = after;
        let trace = flash.trace();
        let Some(index) = trace.iter().position(|done| *done == Operation::Erase) else {
            continue;
        };
        let erased = flash.sector_erases();
        let erased = erased.iter().position(|count| *count > 0).unwrap() * SECTOR;
        let expected = boot(&Flash::from_image(before.clone()), everything);
        let torn = Flash::from_image(before);
        torn.cut_power(index as u64, 0);
        put(&torn, round).unwrap_err();
        // Chips write zeros everywhere before they erase; and a part may be sound still.
        for (left, set, clear) in [(0, 0xFF, 0xFF), (0, 0, 0), (0, 0x5A, 0xFF), (2_000, 0, 0)] {
            let mut image = torn.image();
            for byte in &mut image[erased + 4 + left..erased + SECTOR - 4] {
                *byte = (*byte | set) & clear;
            }
            let flash = Flash::from_image(image);
            assert_eq!(boot(&flash, everything), expected);
            boot(&flash, async |store| {
                store.put(&Key::literal("extra"), b"extra").await.unwrap();
            });
            let (mut found, lines) = boot_and_log(&flash, everything);
            assert!(found.remove(&Key::literal("extra")).is_some());
            assert_eq!(found, expected);
            assert_eq!(lines.len(), 0, "{lines:?}");
        }
        erasures += 1;
    }
    assert!(erasures > 2, "{erasures} erasures");
}
