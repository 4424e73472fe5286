//! Packets on their way to the socket.
//!
//! Guarantees: packets are whole and stay in order; small ones that come together leave together, in
//! one write. While they are being written to the socket, which has a buffer of its own, no more are
//! taken.

use core::mem;

use super::codec::{Codec, Outgoing};

/// What became of a packet.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Put {
    /// It will be sent.
    Done,
    /// There is no room now.
    Later,
    /// It is longer than the buffer or than the broker allows.
    Never,
}

/// One buffer, which is lent to whoever writes it.
pub(super) struct Transmit<'m> {
    /// Empty while it is being written.
    buffer: &'m mut [u8],
    capacity: usize,
    length: usize,
}

impl<'m> Transmit<'m> {
    pub(super) const fn new(buffer: &'m mut [u8]) -> Self {
        Self {
            capacity: buffer.len(),
            buffer,
            length: 0,
        }
    }

    /// The longest packet that ever fits.
    pub(super) const fn capacity(&self) -> usize {
        self.capacity
    }

    /// Adds a packet of at most `maximum` bytes.
    pub(super) fn put(&mut self, codec: &dyn Codec, packet: &Outgoing<'_>, maximum: u32) -> Put {
        let room = self.buffer.get_mut(self.length..).unwrap_or_default();
        let free = room.len();
        let length = codec.encode(packet, room);
        if length > self.capacity || u32::try_from(length).is_ok_and(|length| length > maximum) {
            return Put::Never;
        }
        if length > free {
            return Put::Later;
        }
        self.length += length;
        Put::Done
    }

    /// Hands out what there is, as a buffer and how much of it is in use; the caller gives it back.
    pub(super) fn take(&mut self) -> Option<(&'m mut [u8], usize)> {
        if self.length == 0 {
            return None;
        }
        Some((mem::take(&mut self.buffer), mem::take(&mut self.length)))
    }

    /// Takes back the buffer that was handed out.
    pub(super) fn give_back(&mut self, buffer: &'m mut [u8]) {
        self.buffer = buffer;
    }

    /// Whether all packets were handed out and written.
    pub(super) const fn is_empty(&self) -> bool {
        self.length == 0 && !self.buffer.is_empty()
    }

    /// Forgets what was not handed out.
    pub(super) const fn clear(&mut self) {
        self.length = 0;
    }
}
