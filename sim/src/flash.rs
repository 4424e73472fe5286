//! NOR flash in memory, with a power cord to pull.
//!
//! Guarantees: words of 4 bytes and sectors of 4 KiB; a write only clears bits, an erase sets a whole
//! sector's; what a real chip would refuse (an address out of bounds or between words) panics. A cut
//! tears one operation at one word and from then on everything fails, until [`Flash::revive`].

use std::cell::RefCell;
use std::rc::Rc;

use embassy_futures::yield_now;
use embassy_time::Duration;
use embedded_storage_async::nor_flash::{
    ErrorType, MultiwriteNorFlash, NorFlash, NorFlashError, NorFlashErrorKind, ReadNorFlash,
};

/// The bytes of a sector.
pub const SECTOR: usize = 4096;
/// The bytes of a word.
pub const WORD: usize = 4;

/// A flash chip; clones are handles to the same one, so that a test keeps it when the device is gone.
#[derive(Clone)]
pub struct Flash(Rc<RefCell<Chip>>);

struct Chip {
    image: Vec<u8>,
    sector_erases: Vec<u32>,
    counts: Counts,
    trace: Option<Vec<Operation>>,
    cut: Option<Cut>,
    dead: bool,
    timing: Timing,
}

/// How long the chip keeps the processor busy, which runs its program from it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Timing {
    /// Programming one word.
    pub word: Duration,
    /// Erasing one sector.
    pub erase: Duration,
}

impl Timing {
    /// No time at all.
    pub const NONE: Self = Self {
        word: Duration::from_ticks(0),
        erase: Duration::from_ticks(0),
    };
    /// The typical figures of the flash on an ESP board: 0.7 ms for a page of 256 bytes, 45 ms for a
    /// sector.
    pub const TYPICAL: Self = Self {
        word: Duration::from_micros(11),
        erase: Duration::from_millis(45),
    };
}

/// What the chip has done so far.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Counts {
    /// Calls that change the flash: one for each write, one for each sector erased.
    pub operations: u64,
    /// Bytes that were programmed.
    pub bytes_programmed: u64,
    /// Sectors that were erased.
    pub sectors_erased: u64,
    /// Bits that a write wanted set and that an earlier one had cleared: they stay cleared.
    pub bits_lost: u64,
    /// Bytes that were read.
    pub bytes_read: u64,
}

/// One call that changes the flash.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Operation {
    /// A write of this many words.
    Write(usize),
    /// The erasure of one sector.
    Erase,
}

impl Operation {
    /// The words that it changes, one after the other.
    #[must_use]
    pub fn words(self) -> usize {
        match self {
            Self::Write(words) => words,
            Self::Erase => SECTOR / WORD,
        }
    }
}

#[derive(Clone, Copy)]
struct Cut {
    after_operations: u64,
    after_words: usize,
}

/// The power is off.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct PowerIsOff;

impl NorFlashError for PowerIsOff {
    fn kind(&self) -> NorFlashErrorKind {
        NorFlashErrorKind::Other
    }
}

impl Flash {
    /// An erased chip of so many sectors.
    #[must_use]
    pub fn new(sectors: usize) -> Self {
        Self::from_image(vec![0xFF; sectors * SECTOR])
    }

    /// A chip with this content.
    ///
    /// # Panics
    ///
    /// When it is not made of whole sectors.
    #[must_use]
    pub fn from_image(image: Vec<u8>) -> Self {
        assert!(
            image.len().is_multiple_of(SECTOR),
            "an image has whole sectors"
        );
        Self(Rc::new(RefCell::new(Chip {
            sector_erases: vec![0; image.len() / SECTOR],
            image,
            counts: Counts::default(),
            trace: None,
            cut: None,
            dead: false,
            timing: Timing::NONE,
        })))
    }

    /// A chip of so many sectors with the content that [`Flash::packed`] gave; the rest is erased.
    ///
    /// # Panics
    ///
    /// When it is none, or the chip is too small for it.
    #[must_use]
    pub fn from_packed(mut packed: &[u8], sectors: usize) -> Self {
        let mut image = vec![0xFF; sectors * SECTOR];
        while let Some((head, rest)) = packed.split_first_chunk::<4>() {
            let number = usize::from(u16::from_le_bytes([head[0], head[1]]));
            let length = usize::from(u16::from_le_bytes([head[2], head[3]]));
            let (bytes, rest) = rest.split_at(length);
            image[number * SECTOR..][..length].copy_from_slice(bytes);
            packed = rest;
        }
        Self::from_image(image)
    }

    /// The content without what is erased: for each sector in use its number and its length up to the
    /// last byte that is written (16 bits each, little endian), and as many bytes.
    #[must_use]
    pub fn packed(&self) -> Vec<u8> {
        let mut packed = Vec::new();
        for (number, sector) in (0_u16..).zip(self.0.borrow().image.chunks(SECTOR)) {
            let Some(last) = sector.iter().rposition(|&byte| byte != 0xFF) else {
                continue;
            };
            packed.extend(number.to_le_bytes());
            packed.extend((last as u16 + 1).to_le_bytes());
            packed.extend(&sector[..=last]);
        }
        packed
    }

    /// A copy of the content.
    #[must_use]
    pub fn image(&self) -> Vec<u8> {
        self.0.borrow().image.clone()
    }

    /// Whether the content has these bytes in a row.
    #[must_use]
    pub fn contains(&self, bytes: &[u8]) -> bool {
        let chip = self.0.borrow();
        chip.image
            .windows(bytes.len())
            .any(|window| window == bytes)
    }

    /// What the chip has done so far.
    #[must_use]
    pub fn counts(&self) -> Counts {
        self.0.borrow().counts
    }

    /// How often each sector was erased.
    #[must_use]
    pub fn sector_erases(&self) -> Vec<u32> {
        self.0.borrow().sector_erases.clone()
    }

    /// Begins to note the operations, or begins anew.
    pub fn start_trace(&self) {
        self.0.borrow_mut().trace = Some(Vec::new());
    }

    /// The operations since [`Flash::start_trace`].
    #[must_use]
    pub fn trace(&self) -> Vec<Operation> {
        self.0.borrow().trace.clone().unwrap_or_default()
    }

    /// Lets `operations` more pass and then cuts the power in the next one, after `words` of its words;
    /// the word after these is left half done. An operation with no more words than that is complete,
    /// only nobody hears of it.
    pub fn cut_power(&self, operations: u64, words: usize) {
        let mut chip = self.0.borrow_mut();
        chip.cut = Some(Cut {
            after_operations: chip.counts.operations + operations,
            after_words: words,
        });
    }

    /// Sets how long writing and erasing take: no time unless set.
    pub fn set_timing(&self, timing: Timing) {
        self.0.borrow_mut().timing = timing;
    }

    /// Turns one bit over, as age or a weak cell does.
    ///
    /// # Panics
    ///
    /// When there is no such byte.
    pub fn flip(&self, byte: usize, bit: u8) {
        self.0.borrow_mut().image[byte] ^= 1 << (bit & 7);
    }

    /// Puts the power on again, and takes back a cut that has not happened yet.
    pub fn revive(&self) {
        let mut chip = self.0.borrow_mut();
        chip.cut = None;
        chip.dead = false;
    }

    /// Whether the power was cut.
    #[must_use]
    pub fn is_dead(&self) -> bool {
        self.0.borrow().dead
    }
}

impl Chip {
    /// Begins an operation: how many of its words are done, and whether one more is done by half.
    fn begin(&mut self, operation: Operation) -> Result<(usize, bool), PowerIsOff> {
        if self.dead {
            return Err(PowerIsOff);
        }
        if let Some(trace) = &mut self.trace {
            trace.push(operation);
        }
        let now = self.counts.operations;
        self.counts.operations += 1;
        match self.cut {
            Some(cut) if cut.after_operations == now => {
                self.dead = true;
                let done = cut.after_words.min(operation.words());
                Ok((done, done < operation.words()))
            }
            _ => Ok((operation.words(), false)),
        }
    }

    fn result(&self) -> Result<(), PowerIsOff> {
        if self.dead { Err(PowerIsOff) } else { Ok(()) }
    }

    fn check(&self, offset: u32, length: usize, unit: usize) -> usize {
        let offset = offset as usize;
        assert!(
            offset.is_multiple_of(unit) && length.is_multiple_of(unit),
            "{length} bytes at {offset} are not whole units of {unit}"
        );
        assert!(
            offset + length <= self.image.len(),
            "{length} bytes at {offset} are not on the chip"
        );
        offset
    }

    fn write(&mut self, offset: u32, bytes: &[u8]) -> Result<(), PowerIsOff> {
        let offset = self.check(offset, bytes.len(), WORD);
        let (done, half) = self.begin(Operation::Write(bytes.len() / WORD))?;
        for (index, &new) in bytes.iter().enumerate() {
            let cell = &mut self.image[offset + index];
            if index < done * WORD {
                self.counts.bits_lost += u64::from((!*cell & new).count_ones());
                *cell &= new;
            } else if half && index < (done + 1) * WORD {
                *cell &= new | 0xA5;
            }
        }
        self.counts.bytes_programmed += (done * WORD) as u64;
        // No write is longer than a chip.
        crate::time::busy(self.timing.word * u32::try_from(done).unwrap_or(u32::MAX));
        self.result()
    }

    fn erase_sector(&mut self, offset: usize) -> Result<(), PowerIsOff> {
        let (done, half) = self.begin(Operation::Erase)?;
        self.image[offset..offset + done * WORD].fill(0xFF);
        if half {
            for cell in &mut self.image[offset + done * WORD..][..WORD] {
                *cell |= 0x5A;
            }
        }
        self.counts.sectors_erased += 1;
        self.sector_erases[offset / SECTOR] += 1;
        crate::time::busy(self.timing.erase);
        self.result()
    }
}

impl ErrorType for Flash {
    type Error = PowerIsOff;
}

impl ReadNorFlash for Flash {
    const READ_SIZE: usize = WORD;

    async fn read(&mut self, offset: u32, bytes: &mut [u8]) -> Result<(), PowerIsOff> {
        let mut chip = self.0.borrow_mut();
        let offset = chip.check(offset, bytes.len(), WORD);
        bytes.copy_from_slice(&chip.image[offset..offset + bytes.len()]);
        chip.counts.bytes_read += bytes.len() as u64;
        chip.result()
    }

    fn capacity(&self) -> usize {
        self.0.borrow().image.len()
    }
}

impl NorFlash for Flash {
    const WRITE_SIZE: usize = WORD;
    const ERASE_SIZE: usize = SECTOR;

    async fn erase(&mut self, from: u32, to: u32) -> Result<(), PowerIsOff> {
        assert!(from <= to, "an erasure from {from} to {to} runs backwards");
        let offset = self.0.borrow().check(from, (to - from) as usize, SECTOR);
        for sector in (offset..to as usize).step_by(SECTOR) {
            yield_now().await;
            self.0.borrow_mut().erase_sector(sector)?;
        }
        Ok(())
    }

    async fn write(&mut self, offset: u32, bytes: &[u8]) -> Result<(), PowerIsOff> {
        self.0.borrow_mut().write(offset, bytes)
    }
}

impl MultiwriteNorFlash for Flash {}

#[cfg(test)]
mod tests {
    use super::*;
    use embassy_futures::block_on;

    #[test]
    fn a_write_only_clears_bits_and_an_erasure_sets_them_all() {
        let mut flash = Flash::new(2);
        block_on(async {
            flash.write(8, &[0x0F; 8]).await.unwrap();
            flash.write(8, &[0xF1; 4]).await.unwrap();
        });
        assert_eq!(flash.image()[8..16], [1, 1, 1, 1, 15, 15, 15, 15]);
        assert_eq!(flash.counts().bits_lost, 16);
        block_on(flash.erase(0, 4096)).unwrap();
        assert!(flash.image().iter().all(|&byte| byte == 0xFF));
        assert_eq!(flash.sector_erases(), [1, 0]);
        assert_eq!(flash.counts().bytes_programmed, 12);
    }

    #[test]
    fn a_cut_tears_one_operation_at_one_word_and_then_everything_fails() {
        let mut flash = Flash::new(1);
        let device = flash.clone();
        flash.cut_power(1, 1);
        block_on(async {
            flash.write(0, &[0; 4]).await.unwrap();
            assert_eq!(flash.write(4, &[0; 12]).await, Err(PowerIsOff));
            assert_eq!(flash.write(32, &[0; 4]).await, Err(PowerIsOff));
            assert_eq!(flash.read(0, &mut [0; 4]).await, Err(PowerIsOff));
        });
        let expected = [[0; 4], [0; 4], [0xA5; 4], [0xFF; 4]].concat();
        assert_eq!(device.image()[..16], expected);
        device.revive();
        block_on(flash.write(32, &[0; 4])).unwrap();
    }

    #[test]
    fn a_torn_erasure_leaves_the_rest_of_the_sector() {
        let mut flash = Flash::from_image(vec![0; 4096]);
        flash.cut_power(0, 3);
        assert_eq!(block_on(flash.erase(0, 4096)), Err(PowerIsOff));
        let expected = [[0xFF; 4], [0xFF; 4], [0xFF; 4], [0x5A; 4], [0; 4]].concat();
        assert_eq!(flash.image()[..20], expected);
    }

    #[test]
    fn a_bit_that_flips_is_read_flipped() {
        let flash = Flash::new(1);
        flash.flip(17, 3);
        assert_eq!(flash.image()[16..18], [0xFF, 0xF7]);
        flash.flip(17, 3);
        assert!(flash.image().iter().all(|&byte| byte == 0xFF));
    }

    #[test]
    fn an_erasure_takes_its_time_and_lets_others_go_on_between_two_sectors() {
        let mut flash = Flash::new(3);
        flash.set_timing(Timing::TYPICAL);
        let passed = crate::time::run_virtual(async {
            flash.erase(0, 3 * 4096).await.unwrap();
            embassy_time::Instant::now()
        });
        assert_eq!(passed.as_millis(), 135);
        assert!(crate::time::longest_wait() <= Timing::TYPICAL.erase);
    }

    #[test]
    #[should_panic(expected = "not whole units")]
    fn a_write_between_words_is_a_mistake() {
        let _ = block_on(Flash::new(1).write(2, &[0; 4]));
    }
}
