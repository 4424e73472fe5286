//! The buffer in which an answer is put together before it is sent.

use core::fmt::{self, Write};

use super::Backend;
use super::inflate;
use super::pages::Pieces;

/// Room for the head of any answer, and for any one piece of a body.
pub(super) const OUTPUT: usize = 768;

/// The most that the frame of a chunk and the last chunk take (RFC 9112, 7.1).
const FRAME: usize = "0000\r\n".len();
const AFTER: usize = "\r\n0\r\n\r\n".len();

/// Bytes that wait to be sent.
pub(super) struct Output<'m> {
    buffer: &'m mut [u8],
    filled: usize,
    /// Where writing has to stop.
    end: usize,
}

impl<'m> Output<'m> {
    pub(super) const fn new(buffer: &'m mut [u8]) -> Self {
        Self {
            filled: 0,
            end: buffer.len(),
            buffer,
        }
    }

    pub(super) fn bytes(&self) -> &[u8] {
        &self.buffer[..self.filled]
    }

    pub(super) fn clear(&mut self) {
        self.filled = 0;
    }

    /// All of the room, for bytes that are sent from it at once.
    pub(super) fn room(&mut self) -> &mut [u8] {
        self.clear();
        self.buffer
    }

    /// Takes over as many of `bytes` as there is room for, and returns the others.
    pub(super) fn top_up<'b>(&mut self, bytes: &'b [u8]) -> &'b [u8] {
        let (now, later) = bytes.split_at(bytes.len().min(self.buffer.len() - self.filled));
        self.push(now);
        later
    }

    /// Adds as much of what `gzip` holds from `offset` on as there is room for; whether there is anything to
    /// be sent.
    // Not part of its caller, whose memory is kept while it waits.
    #[inline(never)]
    pub(super) fn unpack(&mut self, gzip: &[u8], offset: &mut usize) -> bool {
        let count = inflate::read(gzip, *offset, &mut self.buffer[self.filled..]);
        *offset += count;
        self.filled += count;
        self.filled > 0
    }

    /// Adds as many pieces from `next` on as there is room for, and returns whether there are more.
    ///
    /// # Errors
    ///
    /// When one piece alone has no room in an empty buffer.
    pub(super) fn add_pieces(
        &mut self,
        pieces: &Pieces,
        next: &mut usize,
        backend: &dyn Backend,
        chunked: bool,
    ) -> Result<bool, fmt::Error> {
        let start = self.filled;
        let (frame, after) = if chunked { (FRAME, AFTER) } else { (0, 0) };
        if start + frame + after >= self.buffer.len() {
            return Ok(true);
        }
        self.filled = start + frame;
        self.end = self.buffer.len() - after;
        let mut more = true;
        while more {
            let before = self.filled;
            match pieces.write(*next, backend, self) {
                Ok(others) => {
                    *next += 1;
                    more = others;
                }
                Err(fmt::Error) => {
                    self.filled = before;
                    break;
                }
            }
        }
        self.end = self.buffer.len();
        let length = self.filled - start - frame;
        if length == 0 && more {
            self.filled = start;
            return if start == 0 {
                Err(fmt::Error)
            } else {
                Ok(true)
            };
        }
        if chunked && length == 0 {
            self.filled = start;
        } else if chunked {
            let mut line = Output {
                filled: start,
                end: start + frame,
                buffer: &mut *self.buffer,
            };
            write!(line, "{length:04x}\r\n")?;
            self.push(b"\r\n");
        }
        if chunked && !more {
            self.push(b"0\r\n\r\n");
        }
        Ok(more)
    }

    /// Adds bytes for which there is room.
    fn push(&mut self, bytes: &[u8]) {
        let end = self.filled + bytes.len();
        self.buffer[self.filled..end].copy_from_slice(bytes);
        self.filled = end;
    }
}

impl Write for Output<'_> {
    fn write_str(&mut self, text: &str) -> fmt::Result {
        if text.len() > self.end - self.filled {
            return Err(fmt::Error);
        }
        self.push(text.as_bytes());
        Ok(())
    }
}
