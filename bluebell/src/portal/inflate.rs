//! What a gzip file holds, a part at a time, for the few clients that do not take gzip: so the image has no
//! second copy of a page.
//!
//! Guarantees: any bytes may come in, and what is no gzip file of ours reads as short; nothing is kept
//! between two parts, so the memory is on the stack alone, at the price of beginning again for each.
//! Distances of more than [`WINDOW`] bytes cannot be followed: the packer has to keep to them.

/// How far back a distance may reach.
pub(super) const WINDOW: usize = 2048;

/// Head and tail of a gzip file without a name in it (RFC 1952, 2.3).
const HEAD: usize = 10;
const TAIL: usize = 8;

/// The most bits of a code, and the most symbols of a table (RFC 1951, 3.2.7).
const BITS: usize = 15;
const SYMBOLS: usize = 288;
/// In which order the lengths of the code for lengths come.
const ORDER: [u8; 19] = [
    16, 17, 18, 0, 8, 7, 9, 6, 10, 5, 11, 4, 12, 3, 13, 2, 14, 1, 15,
];

/// How many bytes `gzip` holds, as its tail says.
pub(super) fn length(gzip: &[u8]) -> usize {
    let tail = gzip.last_chunk().copied().unwrap_or_default();
    u32::from_le_bytes(tail) as usize
}

/// Fills `into` with what `gzip` holds from `offset` on; returns how many bytes there were.
pub(super) fn read(gzip: &[u8], offset: usize, into: &mut [u8]) -> usize {
    let body = gzip.len().saturating_sub(TAIL);
    let mut output = Output {
        window: [0; WINDOW],
        position: 0,
        offset,
        into,
    };
    let mut input = Input {
        bytes: gzip.get(HEAD..body).unwrap_or_default().iter(),
        held: 0,
        count: 0,
    };
    // Where it ends early, or `into` is full, what there is has been written.
    while let Some(false) = block(&mut input, &mut output) {}
    output
        .position
        .saturating_sub(offset)
        .min(output.into.len())
}

/// Unpacks a block; whether it was the last one. `None`: there is no more, or no more is wanted.
fn block(input: &mut Input<'_>, output: &mut Output<'_>) -> Option<bool> {
    let last = input.bits(1)? == 1;
    let mut lengths = [0; 320];
    let (literals, distances) = match input.bits(2)? {
        0 => {
            input.count = 0;
            let count = input.bits(16)?;
            input.bits(16)?;
            for _ in 0..count {
                output.put(input.bits(8)? as u8)?;
            }
            return Some(last);
        }
        1 => {
            lengths[..144].fill(8);
            lengths[144..256].fill(9);
            lengths[256..280].fill(7);
            lengths[280..288].fill(8);
            lengths[288..318].fill(5);
            (288, 30)
        }
        2 => described(input, &mut lengths)?,
        _ => return None,
    };
    let distances = Table::new(lengths.get(literals..)?.get(..distances)?);
    let literals = Table::new(lengths.get(..literals)?);
    loop {
        let symbol = literals.symbol(input)?;
        match symbol {
            0..256 => output.put(symbol as u8)?,
            256 => return Some(last),
            _ => {
                let length = match symbol - 257 {
                    symbol @ 0..28 => 3 + usize::from(extended(input, symbol, 2)?),
                    28 => 258,
                    _ => return None,
                };
                let symbol = distances.symbol(input)?;
                let distance = 1 + usize::from(extended(input, symbol, 1)?);
                output.repeat(distance, length)?;
            }
        }
    }
}

/// What a symbol stands for that goes with more bits: each `2^group` symbols take one bit more.
fn extended(input: &mut Input<'_>, symbol: u16, group: u32) -> Option<u16> {
    let per_bit = 1 << group;
    if symbol < 2 * per_bit {
        return Some(symbol);
    }
    let more = u32::from(symbol >> group) - 1;
    let base = (per_bit + symbol % per_bit).checked_shl(more)?;
    base.checked_add(input.bits(more)?)
}

/// Reads the lengths of the codes of a block that brings its own.
fn described(input: &mut Input<'_>, lengths: &mut [u8; 320]) -> Option<(usize, usize)> {
    let literals = usize::from(input.bits(5)?) + 257;
    let distances = usize::from(input.bits(5)?) + 1;
    let count = usize::from(input.bits(4)?) + 4;
    let mut order = [0; ORDER.len()];
    for index in ORDER.iter().take(count) {
        *order.get_mut(usize::from(*index))? = input.bits(3)? as u8;
    }
    let table = Table::new(&order);
    let mut at = 0;
    while at < literals + distances {
        let (value, times) = match table.symbol(input)? {
            16 => (
                *lengths.get(at.checked_sub(1)?)?,
                3 + usize::from(input.bits(2)?),
            ),
            17 => (0, 3 + usize::from(input.bits(3)?)),
            18 => (0, 11 + usize::from(input.bits(7)?)),
            length => (length as u8, 1),
        };
        let end = at + times;
        lengths.get_mut(at..end)?.fill(value);
        at = end;
    }
    Some((literals, distances))
}

/// A canonical code: how many symbols each length has, and the symbols in order.
struct Table {
    counts: [u16; BITS + 1],
    symbols: [u16; SYMBOLS],
}

impl Table {
    fn new(lengths: &[u8]) -> Self {
        let mut table = Self {
            counts: [0; BITS + 1],
            symbols: [0; SYMBOLS],
        };
        let mut at = 0;
        for bits in 1..=BITS {
            for (symbol, _) in (0..)
                .zip(lengths)
                .filter(|(_, length)| usize::from(**length) == bits)
            {
                if let Some(place) = table.symbols.get_mut(at) {
                    *place = symbol;
                    at += 1;
                    table.counts[bits] += 1;
                }
            }
        }
        table
    }

    fn symbol(&self, input: &mut Input<'_>) -> Option<u16> {
        // At a length, the codes in use are `first` and the `count` after it.
        let (mut code, mut first, mut index) = (0, 0, 0);
        for count in &self.counts[1..] {
            let count = u32::from(*count);
            code |= u32::from(input.bits(1)?);
            if code < first + count {
                let place = index + code.checked_sub(first)?;
                return self.symbols.get(place as usize).copied();
            }
            index += count;
            first = (first + count) << 1;
            code <<= 1;
        }
        None
    }
}

/// The packed bytes, bit by bit, the lowest first.
struct Input<'b> {
    bytes: core::slice::Iter<'b, u8>,
    held: u32,
    count: u32,
}

impl Input<'_> {
    /// At most 16 bits.
    fn bits(&mut self, wanted: u32) -> Option<u16> {
        while self.count < wanted {
            self.held |= u32::from(*self.bytes.next()?) << self.count;
            self.count += 8;
        }
        let bits = self.held & ((1 << wanted) - 1);
        self.held >>= wanted;
        self.count -= wanted;
        Some(bits as u16)
    }
}

/// What was unpacked last, and the part of it that is wanted.
struct Output<'b> {
    window: [u8; WINDOW],
    position: usize,
    offset: usize,
    into: &'b mut [u8],
}

impl Output<'_> {
    /// Takes a byte; `None` when no more is wanted.
    fn put(&mut self, byte: u8) -> Option<()> {
        if let Some(index) = self.position.checked_sub(self.offset) {
            *self.into.get_mut(index)? = byte;
        }
        self.window[self.position % WINDOW] = byte;
        self.position += 1;
        Some(())
    }

    fn repeat(&mut self, distance: usize, length: usize) -> Option<()> {
        if distance > WINDOW {
            return None;
        }
        for _ in 0..length {
            let from = self.position.checked_sub(distance)?;
            self.put(self.window[from % WINDOW])?;
        }
        Some(())
    }
}

#[cfg(test)]
mod tests {
    use super::super::pages::PAGE;
    use super::*;

    /// The page as it was before it was packed.
    const WHOLE: &[u8] = include_bytes!("../../../web/built/setup.html");

    #[test]
    fn every_part_of_the_page_reads_as_it_was_packed() {
        let gzip = PAGE.gzip.unwrap();
        assert_eq!(length(gzip), WHOLE.len());
        for size in [1, 700, WHOLE.len(), WHOLE.len() + 1] {
            let step = size.max(97);
            for offset in (0..=WHOLE.len()).step_by(step) {
                let mut part = std::vec![0; size];
                let count = read(gzip, offset, &mut part);
                let end = WHOLE.len().min(offset + size);
                assert_eq!(part[..count], WHOLE[offset..end], "{size} from {offset}");
            }
        }
    }

    #[test]
    fn fixed_codes_and_stored_blocks_read_too() {
        // `gzip -1` of "aaaaaaaaaa", and a stored block of "hi".
        let head = [0x1f, 0x8b, 8, 0, 0, 0, 0, 0, 0, 3];
        for (body, text) in [
            (&[0x4b, 0x4c, 0x84, 0x01, 0x00][..], &b"aaaaaaaaaa"[..]),
            (&[0x01, 2, 0, 0xfd, 0xff, b'h', b'i'], b"hi"),
        ] {
            let mut file = head.to_vec();
            file.extend_from_slice(body);
            file.extend_from_slice(&[0; 4]);
            file.extend_from_slice(&(text.len() as u32).to_le_bytes());
            let mut whole = [0; 16];
            let count = read(&file, 0, &mut whole);
            assert_eq!(&whole[..count], text);
            assert_eq!(length(&file), text.len());
        }
    }

    #[test]
    fn damaged_and_cut_files_end_early_and_do_no_harm() {
        let gzip = PAGE.gzip.unwrap();
        let mut part = std::vec![0; WHOLE.len()];
        for cut in (0..gzip.len()).step_by(41) {
            assert!(read(&gzip[..cut], 0, &mut part) <= WHOLE.len());
        }
        let mut damaged = gzip.to_vec();
        for at in (0..damaged.len()).step_by(23) {
            damaged[at] ^= 0x5a;
            let _ = read(&damaged, 0, &mut part);
            damaged[at] ^= 0x5a;
        }
    }
}
