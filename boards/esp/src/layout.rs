//! What lies where on the flash, as `partitions.csv` says for the bootloader and espflash.
//!
//! Everything fits the smallest flash that the family is sold with, 4 MB. A test holds these numbers
//! against the table.

use core::ops::Range;

use bluebell::board::FlashLayout;

/// The smallest flash that the layout fits, in bytes.
pub const FLASH_SIZE: u32 = 4 * 1024 * 1024;
/// The partition `store`.
pub const STORE: Range<u32> = 0x31_0000..0x35_0000;
/// The partition `log`.
pub const LOG: Range<u32> = 0x35_0000..0x39_0000;
/// The partition `outbox`.
pub const OUTBOX: Range<u32> = 0x39_0000..0x3a_0000;
/// The bytes of each of the two slots for the application.
pub const SLOT_SIZE: u32 = 0x18_0000;

/// Where the framework finds its store, its log and its outbox.
#[must_use]
pub const fn flash_layout() -> FlashLayout {
    FlashLayout {
        store: STORE,
        log: LOG,
        outbox: OUTBOX,
    }
}

#[cfg(test)]
mod tests {
    use esp_idf_part::{DataType, Flags, Partition, PartitionTable, SubType, Type};

    use super::*;

    fn table() -> PartitionTable {
        let table = PartitionTable::try_from_str(include_str!("../partitions.csv")).unwrap();
        table.validate().unwrap();
        table
    }

    fn range(partition: &Partition) -> Range<u32> {
        partition.offset()..partition.offset() + partition.size()
    }

    #[test]
    fn the_framework_finds_its_partitions_where_the_table_has_them() {
        let table = table();
        assert_eq!(range(table.find("store").unwrap()), STORE);
        assert_eq!(range(table.find("log").unwrap()), LOG);
        assert_eq!(range(table.find("outbox").unwrap()), OUTBOX);
    }

    #[test]
    fn both_slots_hold_an_image_and_begin_where_the_bootloader_maps_them() {
        let table = table();
        let slots: Vec<_> = table
            .partitions()
            .iter()
            .filter(|p| p.ty() == Type::App)
            .collect();
        assert_eq!(slots.len(), 2);
        for slot in slots {
            assert_eq!(slot.size(), SLOT_SIZE);
            assert!(slot.offset().is_multiple_of(0x1_0000));
        }
    }

    #[test]
    fn nothing_overlaps_and_everything_is_within_the_flash() {
        let table = table();
        // The bootloader and the table itself lie below.
        let mut end = 0x9000;
        for partition in table.partitions() {
            assert!(partition.offset() >= end, "{} overlaps", partition.name());
            assert!(
                partition.offset().is_multiple_of(4096) && partition.size().is_multiple_of(4096)
            );
            assert_eq!(partition.flags(), Flags::empty());
            end = range(partition).end;
        }
        assert!(end <= FLASH_SIZE);
    }

    #[test]
    fn the_bootloader_finds_its_choice_of_slot() {
        let table = table();
        let choice = table.find("otadata").unwrap();
        assert_eq!(choice.subtype(), SubType::Data(DataType::Ota));
        assert_eq!(choice.size(), 0x2000);
    }
}
