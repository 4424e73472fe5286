//! The whole flash as a file.

use bluebell::board::FlashLayout;
use bluebell::device::WIFI_JSON;
use bluebell::provision::Provision;
use bluebell::storage;
use bluebell_esp::layout::{STORE, flash_layout};
use embassy_futures::block_on;
use embedded_storage_async::nor_flash::{
    ErrorType, MultiwriteNorFlash, NorFlash, NorFlashErrorKind, ReadNorFlash,
};

use crate::{Refusal, read, write};

/// Where the partition table lies, and how long it is at the most.
const TABLE: usize = 0x8000;
const TABLE_SIZE: usize = 0xc00;

/// A flash image in memory.
struct Image(Vec<u8>);

impl Image {
    fn range(&mut self, offset: u32, length: usize) -> Result<&mut [u8], NorFlashErrorKind> {
        let start = offset as usize;
        let end = start
            .checked_add(length)
            .ok_or(NorFlashErrorKind::OutOfBounds)?;
        self.0
            .get_mut(start..end)
            .ok_or(NorFlashErrorKind::OutOfBounds)
    }
}

impl ErrorType for Image {
    type Error = NorFlashErrorKind;
}

impl ReadNorFlash for Image {
    const READ_SIZE: usize = 1;

    async fn read(&mut self, offset: u32, bytes: &mut [u8]) -> Result<(), Self::Error> {
        bytes.copy_from_slice(self.range(offset, bytes.len())?);
        Ok(())
    }

    fn capacity(&self) -> usize {
        self.0.len()
    }
}

impl NorFlash for Image {
    const WRITE_SIZE: usize = 4;
    const ERASE_SIZE: usize = 4096;

    async fn write(&mut self, offset: u32, bytes: &[u8]) -> Result<(), Self::Error> {
        for (cell, byte) in self.range(offset, bytes.len())?.iter_mut().zip(bytes) {
            *cell &= byte;
        }
        Ok(())
    }

    async fn erase(&mut self, from: u32, to: u32) -> Result<(), Self::Error> {
        let length = to.checked_sub(from).ok_or(NorFlashErrorKind::OutOfBounds)?;
        self.range(from, length as usize)?.fill(0xff);
        Ok(())
    }
}

impl MultiwriteNorFlash for Image {}

/// Puts networks into the store of an image, and that store into a file of its own.
pub(crate) fn provision(networks: &str, image: &str, store: &str) -> Result<(), Refusal> {
    let file = read(networks)?;
    let count = Provision::new(&file)
        .map_err(|error| format!("{networks}: {error}"))?
        .networks()
        .count();
    let mut flash = Image(read(image)?);
    put(&mut flash, &flash_layout(), &file).map_err(|error| format!("{image}: {error}"))?;
    let range = STORE.start as usize..STORE.end as usize;
    let part = flash
        .0
        .get(range)
        .ok_or("the image is shorter than the flash")?;
    write(store, part)?;
    write(image, &flash.0)?;
    eprintln!(
        "{count} networks are in the image; the device seals and erases them at its first boot"
    );
    Ok(())
}

fn put(flash: &mut Image, layout: &FlashLayout, file: &[u8]) -> Result<(), Refusal> {
    block_on(storage::write(flash, layout, &WIFI_JSON, file)).map_err(|error| error.to_string())
}

/// Takes bootloader and partition table out of an image, for tools that want them one by one.
pub(crate) fn split(image: &str, offset: &str, folder: &str) -> Result<(), Refusal> {
    let bytes = read(image)?;
    let offset = offset
        .strip_prefix("0x")
        .and_then(|digits| usize::from_str_radix(digits, 16).ok())
        .ok_or_else(|| format!("{offset} is no address: give it as 0x1000"))?;
    let part = |range: std::ops::Range<usize>| {
        let part = bytes
            .get(range)
            .ok_or_else(|| format!("{image} is too short"))?;
        let end = part
            .iter()
            .rposition(|byte| *byte != 0xff)
            .map_or(0, |last| last + 1);
        Ok::<_, Refusal>(&part[..end])
    };
    write(format!("{folder}/bootloader.bin"), part(offset..TABLE)?)?;
    let table = bytes
        .get(TABLE..TABLE + TABLE_SIZE)
        .ok_or_else(|| format!("{image} is too short"))?;
    write(format!("{folder}/partition-table.bin"), table)
}

#[cfg(test)]
mod tests {
    use bluebell::storage::{Condition, inspect};

    use super::*;

    #[test]
    fn a_device_can_boot_from_a_provisioned_image_and_nothing_else_of_it_has_changed() {
        let mut flash = Image(vec![0xff; 4 * 1024 * 1024]);
        flash.0[..16].fill(0x5a);
        let before = flash.0.clone();
        let file = br#"{"home":"correct horse"}"#;
        put(&mut flash, &flash_layout(), file).unwrap();
        assert_eq!(
            block_on(inspect(&mut flash, &flash_layout())),
            Ok(Condition::Ready)
        );
        let (start, end) = (STORE.start as usize, STORE.end as usize);
        assert_eq!(flash.0[..start], before[..start]);
        assert_eq!(flash.0[end..], before[end..]);
        assert!(flash.0.windows(file.len()).any(|window| window == file));
    }
}
