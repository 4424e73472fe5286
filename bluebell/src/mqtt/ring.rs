//! A ring of bytes over memory of the caller, in which records follow each other without gaps.

use crate::pieces::put;

/// Bytes that leave in the order in which they came.
pub(super) struct Ring<'m> {
    bytes: &'m mut [u8],
    start: usize,
    used: usize,
}

/// A run of bytes in the ring: two slices where it passes the ring's end.
pub(super) type Pieces<'a> = [&'a [u8]; 2];

impl<'m> Ring<'m> {
    pub(super) const fn new(bytes: &'m mut [u8]) -> Self {
        Self {
            bytes,
            start: 0,
            used: 0,
        }
    }

    pub(super) const fn capacity(&self) -> usize {
        self.bytes.len()
    }

    pub(super) const fn used(&self) -> usize {
        self.used
    }

    pub(super) const fn free(&self) -> usize {
        self.bytes.len() - self.used
    }

    /// Adds all bytes, or none when there is no room: then it says false.
    #[must_use]
    pub(super) fn append(&mut self, parts: &[&[u8]]) -> bool {
        let length = parts.iter().map(|part| part.len()).sum::<usize>();
        if length > self.free() {
            return false;
        }
        for part in parts {
            let at = self.position(self.used);
            let (begin, end) = self.bytes.split_at_mut(at);
            let (before, after) = part.split_at(part.len().min(end.len()));
            end[..before.len()].copy_from_slice(before);
            begin[..after.len()].copy_from_slice(after);
            self.used += part.len();
        }
        true
    }

    /// The `length` bytes that begin `offset` bytes after the oldest one; they must be in use.
    pub(super) fn get(&self, offset: usize, length: usize) -> Pieces<'_> {
        debug_assert!(offset + length <= self.used);
        if length == 0 {
            return [&[], &[]];
        }
        let (begin, end) = self.bytes.split_at(self.position(offset));
        let first = length.min(end.len());
        [&end[..first], &begin[..length - first]]
    }

    /// Copies bytes out, as many as `into` has.
    pub(super) fn copy(&self, offset: usize, into: &mut [u8]) {
        // Both pieces together are as long.
        let _ = put(into, &self.get(offset, into.len()));
    }

    /// Replaces one byte that is in use.
    pub(super) fn set(&mut self, offset: usize, byte: u8) {
        let at = self.position(offset);
        self.bytes[at] = byte;
    }

    /// Drops the oldest bytes.
    pub(super) fn discard(&mut self, length: usize) {
        let length = length.min(self.used);
        self.start = self.position(length);
        self.used -= length;
    }

    /// Where the byte lies that is `offset` after the oldest; `offset` is at most the capacity.
    fn position(&self, offset: usize) -> usize {
        let at = self.start + offset;
        if at >= self.bytes.len() {
            at - self.bytes.len()
        } else {
            at
        }
    }
}

#[cfg(test)]
mod tests {
    use std::collections::VecDeque;
    use std::vec;
    use std::vec::Vec;

    use proptest::prelude::*;

    use super::*;

    proptest! {
        #[test]
        fn bytes_leave_as_they_came(
            capacity in 1usize..40,
            steps in prop::collection::vec((0usize..30, 0usize..12, 0usize..30), 0..60),
        ) {
            let mut memory = vec![0; capacity];
            let mut ring = Ring::new(&mut memory);
            let mut model = VecDeque::new();
            let mut next = 0u8;
            for (first, second, discarded) in steps {
                let bytes: Vec<u8> = (0..first + second).map(|_| { next = next.wrapping_add(1); next }).collect();
                let fits = model.len() + bytes.len() <= capacity;
                prop_assert_eq!(ring.append(&[&bytes[..first], &bytes[first..]]), fits);
                if fits {
                    model.extend(bytes);
                }
                let mut copy = vec![0; model.len()];
                ring.copy(0, &mut copy);
                prop_assert_eq!(&copy, model.make_contiguous());
                let discarded = discarded.min(model.len());
                ring.discard(discarded);
                model.drain(..discarded);
                prop_assert_eq!(ring.used(), model.len());
                prop_assert_eq!(ring.free(), capacity - model.len());
            }
        }
    }
}
