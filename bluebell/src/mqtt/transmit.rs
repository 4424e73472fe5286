//! Packets on their way to the socket.
//!
//! Guarantees: packets are whole and stay in order; while one buffer is being written to the socket
//! the other is filled, so that small packets leave together, in one write.

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

/// Two buffers of the same length.
pub(super) struct Transmit<'m> {
    filling: &'m mut [u8],
    length: usize,
    /// Empty while it is being written.
    other: &'m mut [u8],
}

impl<'m> Transmit<'m> {
    pub(super) const fn new(buffers: [&'m mut [u8]; 2]) -> Self {
        let [filling, other] = buffers;
        Self {
            filling,
            length: 0,
            other,
        }
    }

    /// The longest packet that ever fits.
    pub(super) const fn capacity(&self) -> usize {
        self.filling.len()
    }

    /// Adds a packet of at most `maximum` bytes.
    pub(super) fn put(&mut self, codec: &dyn Codec, packet: &Outgoing<'_>, maximum: u32) -> Put {
        let length = codec.encode(packet, &mut self.filling[self.length..]);
        if length > self.filling.len() || u32::try_from(length).is_ok_and(|length| length > maximum)
        {
            return Put::Never;
        }
        if length > self.filling.len() - self.length {
            return Put::Later;
        }
        self.length += length;
        Put::Done
    }

    /// Hands out what there is, as a buffer and how much of it is in use; the caller gives it back.
    pub(super) fn take(&mut self) -> Option<(&'m mut [u8], usize)> {
        if self.length == 0 || self.other.is_empty() {
            return None;
        }
        let taken = mem::replace(&mut self.filling, mem::take(&mut self.other));
        Some((taken, mem::take(&mut self.length)))
    }

    /// Takes back a buffer that was handed out.
    pub(super) fn give_back(&mut self, buffer: &'m mut [u8]) {
        self.other = buffer;
    }

    /// Whether all packets were handed out and written.
    pub(super) const fn is_empty(&self) -> bool {
        self.length == 0 && !self.other.is_empty()
    }

    /// Forgets what was not handed out.
    pub(super) const fn clear(&mut self) {
        self.length = 0;
    }
}
