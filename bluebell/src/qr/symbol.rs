//! How a QR code is made (ISO/IEC 18004).
//!
//! Guarantees: bytes alone, in the smallest of the sizes with 25 to 53 modules that they fit in, with as much error
//! correction as that size has room for. The mask is always the first, a chessboard: which one is used is
//! written in the code, and phones read them all.

/// How many modules the largest code has to a side.
pub(super) const LARGEST: u8 = 53;
/// Room for a bit for each module.
pub(super) const BUFFER: usize = (LARGEST as usize * LARGEST as usize).div_ceil(8);
/// Modules to a side of the smallest code, how many more each further size has, and where the sizes begin that
/// say which they are.
const SMALLEST: u8 = 25;
const STEP: usize = 4;
const NAMED: i32 = 45;
/// The most bytes of error correction for one block.
const CORRECTION: usize = 30;
/// The most bytes in a code.
const CODEWORDS: usize = 292;

/// What a size holds at a level of error correction.
struct Capacity {
    /// How many blocks have `length` bytes of data, and how many one more.
    short: u8,
    long: u8,
    length: u8,
    /// Bytes of error correction for each block.
    correction: u8,
}

const fn capacity(short: u8, long: u8, length: u8, correction: u8) -> Capacity {
    Capacity {
        short,
        long,
        length,
        correction,
    }
}

/// What each level of error correction has written for it, from the highest on, with the first mask.
const LEVELS: [u16; 4] = [0x1689, 0x355f, 0x5412, 0x77c4];
/// The sizes, with their levels in the same order.
const SIZES: [[Capacity; 4]; 8] = [
    [
        capacity(1, 0, 16, 28),
        capacity(1, 0, 22, 22),
        capacity(1, 0, 28, 16),
        capacity(1, 0, 34, 10),
    ],
    [
        capacity(2, 0, 13, 22),
        capacity(2, 0, 17, 18),
        capacity(1, 0, 44, 26),
        capacity(1, 0, 55, 15),
    ],
    [
        capacity(4, 0, 9, 16),
        capacity(2, 0, 24, 26),
        capacity(2, 0, 32, 18),
        capacity(1, 0, 80, 20),
    ],
    [
        capacity(2, 2, 11, 22),
        capacity(2, 2, 15, 18),
        capacity(2, 0, 43, 24),
        capacity(1, 0, 108, 26),
    ],
    [
        capacity(4, 0, 15, 28),
        capacity(4, 0, 19, 24),
        capacity(4, 0, 27, 16),
        capacity(2, 0, 68, 18),
    ],
    [
        capacity(4, 1, 13, 26),
        capacity(2, 4, 14, 18),
        capacity(4, 0, 31, 18),
        capacity(2, 0, 78, 20),
    ],
    [
        capacity(4, 2, 14, 26),
        capacity(4, 2, 18, 22),
        capacity(2, 2, 38, 22),
        capacity(2, 0, 97, 24),
    ],
    [
        capacity(4, 4, 12, 24),
        capacity(4, 4, 16, 20),
        capacity(3, 2, 36, 22),
        capacity(2, 0, 116, 30),
    ],
];
/// What the last three sizes say of which they are.
const NAMES: [u32; 3] = [0x07c94, 0x085bc, 0x09a99];

impl Capacity {
    fn blocks(&self) -> usize {
        usize::from(self.short) + usize::from(self.long)
    }

    /// Bytes of data.
    fn data(&self) -> usize {
        self.blocks() * usize::from(self.length) + usize::from(self.long)
    }
}

/// A QR code: squares that are dark or light.
pub(super) struct Symbol<'b> {
    /// The modules that carry what is written, one bit each.
    modules: &'b mut [u8; BUFFER],
    size: u8,
    format: u16,
    name: u32,
}

impl<'b> Symbol<'b> {
    /// The code for a text; `None` when it does not fit.
    pub(super) fn new(text: &[u8], modules: &'b mut [u8; BUFFER]) -> Option<Self> {
        let length = u8::try_from(text.len()).ok()?;
        let levels = SIZES.as_flattened();
        // Four bits say that it is bytes, eight how many, and four that nothing follows.
        let fits = |capacity: &Capacity| text.len() + 2 <= capacity.data();
        let found = levels.iter().position(fits)?;
        let (size, level) = (found / LEVELS.len(), found % LEVELS.len());
        let mut symbol = Self {
            modules,
            size: SMALLEST.checked_add((size * STEP) as u8)?,
            format: *LEVELS.get(level)?,
            name: size
                .checked_sub(5)
                .and_then(|named| NAMES.get(named))
                .copied()
                .unwrap_or(0),
        };
        let mut codewords = [0; CODEWORDS];
        interleave(levels.get(found)?, length, text, &mut codewords);
        symbol.place(&codewords);
        Some(symbol)
    }

    /// How many modules there are to a side.
    pub(super) const fn size(&self) -> i32 {
        self.size as i32
    }

    /// Whether the module in this column and row is dark; outside of the code none is.
    pub(super) fn is_dark(&self, x: i32, y: i32) -> bool {
        let inside = |at| u8::try_from(at).ok().filter(|at| *at < self.size);
        let (Some(x), Some(y)) = (inside(x), inside(y)) else {
            return false;
        };
        self.pattern(x, y).unwrap_or_else(|| {
            let (byte, bit) = bit(x, y);
            self.modules.get(byte).is_some_and(|held| held & bit != 0)
        })
    }

    /// What is at a place where nothing is written: the patterns that say what the code is.
    fn pattern(&self, x: u8, y: u8) -> Option<bool> {
        let (size, x, y) = (i32::from(self.size), i32::from(x), i32::from(y));
        let (low, high) = (x.min(y), x.max(y));
        let (last, middle) = (size - 7, size / 2);
        let from = |(column, row): (i32, i32)| x.abs_diff(column).max(y.abs_diff(row));
        // Three corners, with a light edge.
        for corner in [(3, 3), (size - 4, 3), (3, size - 4)] {
            if let distance @ 0..=4 = from(corner) {
                return Some(!matches!(distance, 2 | 4));
            }
        }
        if low == 6 {
            return Some(high % 2 == 0);
        }
        if size >= NAMED && low < 6 && (size - 11..size - 8).contains(&high) {
            return Some(self.name >> (3 * low + high - (size - 11)) & 1 != 0);
        }
        let at_corner = low < 9 && (high < 9 || high > size - 10);
        if at_corner && (x == 8 || y == 8) {
            let bit = match (x, y) {
                (8, 0..=5) => y,
                (8, 7 | 8) => y - 1,
                (7, 8) => 8,
                (0..=5, 8) => 14 - x,
                (_, 8) if x >= size - 8 => size - 1 - x,
                // One that is always dark, and those below it.
                (8, _) if y == size - 8 => return Some(true),
                (8, _) if y > size - 8 => y - size + 15,
                _ => return None,
            };
            return Some(self.format >> bit & 1 != 0);
        }
        // Smaller ones where their lines cross, but not at the corners.
        let named = size >= NAMED;
        for row in [6, middle, last] {
            for column in [6, middle, last] {
                let is_there = named || (row, column) == (last, last);
                if let distance @ 0..=2 = from((column, row))
                    && is_there
                    && !at_corner
                {
                    return Some(distance != 1);
                }
            }
        }
        None
    }

    /// Writes bits from the lower right corner on, in columns of two, upwards and downwards by turns.
    fn place(&mut self, codewords: &[u8]) {
        self.modules.fill(0);
        let mut bits = codewords
            .iter()
            .flat_map(|word| (0..8).rev().map(move |bit| word >> bit & 1 != 0));
        for pair in (0..self.size / 2).rev() {
            // The seventh column is none of them.
            let right = if pair < 3 { 2 * pair + 1 } else { 2 * pair + 2 };
            for row in 0..self.size {
                let y = match (right + 1) & 2 == 0 {
                    true => self.size - 1 - row,
                    false => row,
                };
                for x in [right, right - 1] {
                    if self.pattern(x, y).is_none() {
                        let mask = (x ^ y) & 1 == 0;
                        let (byte, bit) = bit(x, y);
                        if bits.next().unwrap_or(false) != mask
                            && let Some(held) = self.modules.get_mut(byte)
                        {
                            *held |= bit;
                        }
                    }
                }
            }
        }
    }
}

/// Where a module is kept: which byte, and which of its bits.
fn bit(x: u8, y: u8) -> (usize, u8) {
    let at = usize::from(y) * usize::from(LARGEST) + usize::from(x);
    (at / 8, 1 << (at % 8))
}

/// Makes blocks of the text, each with its error correction, and takes a byte of each by turns.
fn interleave(capacity: &Capacity, length: u8, text: &[u8], codewords: &mut [u8; CODEWORDS]) {
    let correction = usize::from(capacity.correction);
    let (blocks, short) = (capacity.blocks(), usize::from(capacity.length));
    let divisor = divisor(correction);
    let mut put = |at: usize, word| {
        if let Some(place) = codewords.get_mut(at) {
            *place = word;
        }
    };
    let mut bytes = [length].into_iter().chain(text.iter().copied()).chain([0]);
    // The first says that bytes follow.
    let mut held = 0x40;
    let mut filler = 0x11;
    for block in 0..blocks {
        let mut remainder = [0; CORRECTION];
        let longer = block.checked_sub(capacity.short.into());
        for at in 0..short + usize::from(longer.is_some()) {
            let word = match bytes.next() {
                Some(byte) => {
                    let word = held | byte >> 4;
                    held = byte << 4;
                    word
                }
                None => {
                    filler ^= 0x11 ^ 0xec;
                    filler
                }
            };
            match longer {
                Some(block) if at == short => put(short * blocks + block, word),
                _ => put(at * blocks + block, word),
            }
            divide(&mut remainder, word, &divisor);
        }
        for (at, word) in remainder.iter().take(correction).enumerate() {
            put(capacity.data() + at * blocks + block, *word);
        }
    }
}

/// The polynomial by which so many bytes of error correction are reckoned: what follows its highest coefficient,
/// which is 1.
fn divisor(correction: usize) -> [u8; CORRECTION] {
    let mut divisor = [0; CORRECTION];
    for last in divisor.iter_mut().take(correction).skip(correction - 1) {
        *last = 1;
    }
    let mut root = 1;
    for _ in 0..correction {
        let mut lower = 0;
        for place in divisor.iter_mut().rev() {
            (*place, lower) = (product(*place, root) ^ lower, *place);
        }
        root = product(root, 2);
    }
    divisor
}

/// Takes one more byte into what is left when all of them are divided.
fn divide(remainder: &mut [u8; CORRECTION], word: u8, divisor: &[u8; CORRECTION]) {
    let factor = word ^ remainder[0];
    let mut lower = 0;
    for (place, divisor) in remainder.iter_mut().zip(divisor).rev() {
        (*place, lower) = (product(*divisor, factor) ^ lower, *place);
    }
}

/// The product in the field of 256 elements that the code reckons in.
fn product(left: u8, right: u8) -> u8 {
    (0..8).rev().fold(0, |product: u8, bit| {
        let doubled = (product << 1) ^ ((product >> 7) * 0x1d);
        doubled ^ ((right >> bit & 1) * left)
    })
}

#[cfg(test)]
mod tests {
    use qrcodegen_no_heap::{Mask, QrCode, QrCodeEcc, Version};
    use std::vec::Vec;

    use super::*;

    #[test]
    fn every_length_has_the_code_that_another_maker_makes() {
        let largest = Version::new(9);
        let mut lengths = 0;
        for length in 0..=240 {
            let text: Vec<u8> = (0..length).map(|at| (at * 37 + length) as u8).collect();
            let (mut working, mut other) = ([0; 400], [0; 400]);
            working[..length].copy_from_slice(&text);
            let other = QrCode::encode_binary(
                &mut working,
                length,
                &mut other,
                QrCodeEcc::Low,
                Version::new(2),
                largest,
                Some(Mask::new(0)),
                true,
            );
            let mut modules = [0xff; BUFFER];
            let ours = Symbol::new(&text, &mut modules);
            assert_eq!(ours.is_some(), other.is_ok(), "{length}");
            let (Some(ours), Ok(other)) = (ours, other) else {
                continue;
            };
            assert_eq!(ours.size(), other.size(), "{length}");
            for y in -2..=ours.size() + 1 {
                for x in -2..=ours.size() + 1 {
                    assert_eq!(
                        ours.is_dark(x, y),
                        other.get_module(x, y),
                        "{length}: {x} {y}"
                    );
                }
            }
            lengths += 1;
        }
        assert_eq!(lengths, 231, "as many as the largest code holds");
    }
}
