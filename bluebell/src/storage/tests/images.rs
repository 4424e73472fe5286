//! What may lie on the flash at boot.

use embassy_futures::block_on;
use proptest::prelude::*;
use sim::flash::{Flash, SECTOR};

use super::{CHIP, OUTBOX, boot, boot_and_log, chip, everything, layout, noise, read};
use crate::storage::{Condition, Key, OfflineError, Unreadable, WriteError, inspect, write};

const A: Key = Key::literal("wifi/0");

fn look(flash: &Flash) -> Result<Condition, Unreadable> {
    let before = flash.image();
    let sectors = before.len() / SECTOR;
    let found = block_on(inspect(
        &mut flash.clone(),
        &layout(sectors - 2 - OUTBOX, OUTBOX),
    ));
    assert_eq!(flash.image(), before, "looking changes nothing");
    found
}

/// A store with a value, and where the version of its format stands.
fn used() -> (Flash, usize) {
    let flash = chip();
    boot(&flash, async |store| store.put(&A, b"value").await.unwrap());
    let image = flash.image();
    let at = image
        .windows(7)
        .position(|seven| seven == b"!format")
        .unwrap();
    (flash, at + 7)
}

#[test]
fn an_image_is_told_apart_before_boot() {
    let (flash, version) = used();
    assert_eq!(look(&chip()), Ok(Condition::Blank));
    assert_eq!(look(&flash), Ok(Condition::Ready));
    assert_eq!(
        look(&Flash::from_image(noise(1, CHIP * SECTOR))),
        Err(Unreadable::Foreign)
    );
    assert_eq!(
        look(&Flash::from_image(std::vec![0; CHIP * SECTOR])),
        Err(Unreadable::Foreign)
    );
    let mut newer = flash.image();
    newer[version] = 3;
    newer[version + 4] = !3;
    assert_eq!(look(&Flash::from_image(newer)), Err(Unreadable::Version(3)));
}

#[test]
fn a_layout_that_does_not_fit_is_refused_and_harms_nobody() {
    for (store, log, outbox) in [
        (0..4096, 8192..16384, 16384..24576),
        (0..8192, 8192..12288, 16384..24576),
        (0..8192, 8192..32768, 0..8192),
        (100..9000, 12288..20480, 20480..28672),
        (0..12288, 8192..16384, 16384..24576),
        (8192..8192, 8192..16384, 16384..24576),
        (0..8192, 8192..16384, 16384..20480),
        (0..8192, 8192..16384, 12288..20480),
        (0..8192, 8192..16384, 0..8192),
        (0..8192, 8192..16384, 20480..36864),
    ] {
        let layout = crate::board::FlashLayout { store, log, outbox };
        let found = block_on(inspect(&mut chip(), &layout));
        assert_eq!(found, Err(Unreadable::Layout), "{layout:?}");
    }
}

#[test]
fn an_unreadable_image_is_erased_at_boot_and_the_log_says_why() {
    let (flash, version) = used();
    let mut newer = flash.image();
    newer[version] = 3;
    newer[version + 4] = !3;
    for (image, why) in [
        (noise(1, CHIP * SECTOR), "the flash holds something else"),
        (newer, "the store has format 3"),
    ] {
        let flash = Flash::from_image(image);
        let (found, lines) = boot_and_log(&flash, async |store| {
            store.put(&Key::literal("b"), b"works").await.unwrap();
            everything(store).await
        });
        assert_eq!(found.len(), 1);
        let expected = std::format!("ERROR storage: {why}");
        assert!(
            lines.iter().any(|line| line.contains(&expected)),
            "{lines:?}"
        );
        let (_, lines) = boot_and_log(&flash, everything);
        assert_eq!(lines.len(), 0, "{lines:?}");
    }
}

#[test]
fn a_store_that_cannot_be_repaired_begins_afresh() {
    let (flash, _) = used();
    let mut image = flash.image();
    // Every sector is marked as full: there is none to write to.
    for sector in image.chunks_mut(SECTOR).take(super::SECTORS) {
        sector[..4].fill(0);
        sector[SECTOR - 4..].fill(0);
    }
    let flash = Flash::from_image(image);
    let (_, lines) = boot_and_log(&flash, async |store| {
        store.put(&A, b"new").await.unwrap();
        assert_eq!(read(store, &A).await.unwrap(), b"new");
    });
    assert!(
        lines
            .iter()
            .any(|line| line.contains("damaged beyond repair")),
        "{lines:?}"
    );
}

#[test]
fn a_value_is_put_into_an_image_before_boot() {
    let flash = chip();
    let layout = layout(super::SECTORS, OUTBOX);
    let put = |flash: &Flash, value: &[u8]| block_on(write(&mut flash.clone(), &layout, &A, value));
    put(&flash, b"one").unwrap();
    put(&flash, b"two").unwrap();
    assert_eq!(
        boot(&flash, async |store| read(store, &A).await.unwrap()),
        b"two"
    );
    assert_eq!(
        put(&flash, &[0; 5000]),
        Err(OfflineError::Write(WriteError::TooLong { most: 4032 }))
    );
    let foreign = Flash::from_image(noise(1, CHIP * SECTOR));
    assert_eq!(
        put(&foreign, b"one"),
        Err(OfflineError::Image(Unreadable::Foreign))
    );
}

/// Boots, stores and reads, whatever the image is.
fn ends_usable(image: std::vec::Vec<u8>) {
    let flash = Flash::from_image(image);
    let _ = look(&flash);
    boot(&flash, async |store| {
        let _ = everything(store).await;
        store.put(&A, b"works").await.unwrap();
        store
            .put_secret(&Key::literal("b"), &noise(1, 100))
            .await
            .unwrap();
        store.forget(&Key::literal("b")).await.unwrap();
        let _ = store
            .log_append(&mut |buffer| {
                buffer[..3].copy_from_slice(b"\x02ab");
                3
            })
            .await;
    });
    let found = boot(&flash, async |store| read(store, &A).await);
    assert_eq!(found.as_deref(), Some(&b"works"[..]));
}

/// A store in which values were replaced so many times.
fn full_of(puts: u32) -> Flash {
    let (flash, _) = used();
    boot(&flash, async |store| {
        for seed in 0..puts {
            let key = Key::numbered("k", seed as usize % 4).unwrap();
            store.put(&key, &noise(seed, 400)).await.unwrap();
        }
    });
    flash
}

#[test]
fn a_store_with_a_damaged_mark_ends_usable() {
    for sector in 0..super::SECTORS {
        for puts in [0, 8, 16, 24] {
            for (at, mark) in [(0, 0), (0, 0xFF), (SECTOR - 4, 0), (SECTOR - 4, 0xFF)] {
                let mut image = full_of(puts).image();
                image[sector * SECTOR + at..][..4].fill(mark);
                ends_usable(image);
            }
        }
    }
}

#[test]
fn a_value_put_into_a_damaged_image_before_boot_is_there_at_boot() {
    let layout = layout(super::SECTORS, super::OUTBOX);
    for sector in 0..super::SECTORS {
        for puts in [0, 8, 16, 24] {
            for (at, mark) in [(0, 0), (0, 0xFF), (SECTOR - 4, 0), (SECTOR - 4, 0xFF)] {
                let mut image = full_of(puts).image();
                image[sector * SECTOR + at..][..4].fill(mark);
                let flash = Flash::from_image(image);
                let written = block_on(write(&mut flash.clone(), &layout, &A, b"put"));
                let found = boot(&flash, async |store| read(store, &A).await);
                assert!(
                    written.is_err() || found.as_deref() == Some(b"put"),
                    "sector {sector}, {puts} puts, {mark:#x} at {at}: {found:?}"
                );
            }
        }
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(200))]

    #[test]
    fn any_image_ends_usable(seed: u32, blank in 0_usize..CHIP * SECTOR) {
        let mut image = noise(seed, CHIP * SECTOR);
        image[..blank].fill(0xFF);
        ends_usable(image);
    }

    #[test]
    fn a_store_with_damage_ends_usable(
        damage in proptest::collection::vec((0..3 * SECTOR, 1_usize..600, 0_u8..6), 1..12),
        puts in 0_u32..30,
    ) {
        let mut image = full_of(puts).image();
        for (at, length, kind) in damage {
            let end = (at + length).min(3 * SECTOR);
            match kind {
                0 => image[at..end].fill(0xFF),
                1 => image[at..end].fill(0),
                2 => image[at..end].copy_from_slice(&noise(at as u32, end - at)),
                3 => image.copy_within(at..end, (at / 2).next_multiple_of(4)),
                // A sector's marks.
                4 => image[at / SECTOR * SECTOR] ^= 0xFF,
                _ => image[at] ^= 1 << (length % 8),
            }
        }
        ends_usable(image);
    }
}
