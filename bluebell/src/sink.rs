//! Where text is written to: into memory, or nowhere, to be measured.
//!
//! Guarantees: what has no room is not written, and what was written before stays.

use core::fmt::{self, Write};

/// Text written into memory.
pub(crate) struct Room<'m> {
    memory: &'m mut [u8],
    length: usize,
}

impl<'m> Room<'m> {
    /// Nothing is written yet.
    pub(crate) fn new(memory: &'m mut [u8]) -> Self {
        Self { memory, length: 0 }
    }

    /// How many bytes are written.
    pub(crate) fn length(&self) -> usize {
        self.length
    }
}

impl Write for Room<'_> {
    fn write_str(&mut self, text: &str) -> fmt::Result {
        let end = self.length.checked_add(text.len()).ok_or(fmt::Error)?;
        let place = self.memory.get_mut(self.length..end).ok_or(fmt::Error)?;
        place.copy_from_slice(text.as_bytes());
        self.length = end;
        Ok(())
    }
}

/// Counts bytes instead of keeping them.
#[derive(Default)]
pub(crate) struct Count(pub(crate) usize);

impl Write for Count {
    fn write_str(&mut self, text: &str) -> fmt::Result {
        self.0 = self.0.checked_add(text.len()).ok_or(fmt::Error)?;
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_has_no_room_is_refused_and_what_was_written_stays() {
        let mut memory = [0; 5];
        let mut room = Room::new(&mut memory);
        assert_eq!(room.write_str("one"), Ok(()));
        assert_eq!(room.write_str("two"), Err(fmt::Error));
        assert_eq!(room.write_str("é"), Ok(()));
        assert_eq!(room.length(), 5);
        assert_eq!(memory, *"oneé".as_bytes());
    }

    #[test]
    fn a_text_has_as_many_bytes_as_are_counted() {
        let mut count = Count::default();
        assert_eq!(write!(count, "{} {}", 12, "é"), Ok(()));
        assert_eq!(count.0, 5);
    }
}
