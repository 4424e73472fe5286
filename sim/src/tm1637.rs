//! A TM1637 display, as seen from its two lines.
//!
//! Guarantees: it goes by the levels of clock and data alone, as the datasheet has it ("Program flow"):
//! start and stop conditions, bits from the lowest on at the rising clock, an acknowledgement after each
//! byte, commands for data, address and display. It knows nothing of any driver.

/// How many digits the chip drives.
pub const DIGITS: usize = 6;

/// The chip and its lines.
#[derive(Debug, Clone)]
pub struct Tm1637 {
    clk: bool,
    dio: bool,
    listening: bool,
    byte: u8,
    bits: u8,
    acknowledging: bool,
    place: Place,
    fixed_address: bool,
    digits: [u8; DIGITS],
    lit: bool,
    brightness: u8,
    bytes: u32,
}

/// What the next byte is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Place {
    Command,
    Data(usize),
    Ignored,
}

impl Default for Tm1637 {
    fn default() -> Self {
        Self::new()
    }
}

impl Tm1637 {
    /// A display that has just got power: dark, with nothing to show, its lines pulled up.
    #[must_use]
    pub const fn new() -> Self {
        Self {
            clk: true,
            dio: true,
            listening: false,
            byte: 0,
            bits: 0,
            acknowledging: false,
            place: Place::Command,
            fixed_address: false,
            digits: [0; DIGITS],
            lit: false,
            brightness: 0,
            bytes: 0,
        }
    }

    /// The board's side of the clock line has this level now.
    pub fn clk(&mut self, high: bool) {
        if high == self.clk {
            return;
        }
        self.clk = high;
        if !self.listening {
            return;
        }
        if high {
            if !self.acknowledging {
                self.byte = (self.byte >> 1) | (u8::from(self.dio) << 7);
            }
            self.bits += 1;
        } else if self.bits == 8 {
            self.acknowledging = true;
        } else if self.bits == 9 {
            self.acknowledging = false;
            self.take(self.byte);
            self.bits = 0;
            self.byte = 0;
        }
    }

    /// The board's side of the data line has this level now.
    pub fn dio(&mut self, high: bool) {
        if high == self.dio {
            return;
        }
        self.dio = high;
        if self.clk {
            // With the clock high, data falling is a start and data rising a stop.
            self.listening = !high;
            self.acknowledging = false;
            self.bits = 0;
            self.byte = 0;
            self.place = Place::Command;
        }
    }

    fn take(&mut self, byte: u8) {
        self.bytes = self.bytes.wrapping_add(1);
        match (self.place, byte >> 6) {
            (Place::Command, 0b01) => {
                self.fixed_address = byte & 0b100 != 0;
                // Bit 1 reads keys, which has no bytes for the display.
                self.place = Place::Ignored;
            }
            (Place::Command, 0b10) => {
                self.lit = byte & 0b1000 != 0;
                self.brightness = byte & 0b111;
                self.place = Place::Ignored;
            }
            (Place::Command, 0b11) => self.place = Place::Data(usize::from(byte & 0b1111)),
            (Place::Command, _) => self.place = Place::Ignored,
            (Place::Data(address), _) => {
                if let Some(digit) = self.digits.get_mut(address) {
                    *digit = byte;
                }
                if !self.fixed_address {
                    self.place = Place::Data(address + 1);
                }
            }
            (Place::Ignored, _) => {}
        }
    }

    /// Whether the chip pulls the data line low, which the board reads as an acknowledgement.
    #[must_use]
    pub const fn is_acknowledging(&self) -> bool {
        self.acknowledging
    }

    /// The segments of each digit from the left: bit 0 at the top, 1 to 5 clockwise, 6 in the middle, 7
    /// the point or colon.
    #[must_use]
    pub const fn segments(&self) -> [u8; DIGITS] {
        self.digits
    }

    /// The brightness, 0 to 7.
    #[must_use]
    pub const fn brightness(&self) -> u8 {
        self.brightness
    }

    /// Whether the display is lit.
    #[must_use]
    pub const fn is_on(&self) -> bool {
        self.lit
    }

    /// How many whole bytes have come over the bus, commands included.
    #[must_use]
    pub const fn bytes(&self) -> u32 {
        self.bytes
    }

    /// What a person reads on the first four digits, as `12:30`; four blanks when it is dark.
    ///
    /// Bit 7 is the colon after the second digit, and a point after the others; what looks like no
    /// character is `?`.
    #[must_use]
    pub fn text(&self) -> String {
        let mut text = String::new();
        for (index, segments) in self.digits.iter().copied().enumerate().take(4) {
            let segments = if self.lit { segments } else { 0 };
            text.push(character(segments & 0x7f));
            if segments & 0x80 != 0 {
                text.push(if index == 1 { ':' } else { '.' });
            }
        }
        text
    }
}

/// The character that segments look like; digits go before letters.
fn character(segments: u8) -> char {
    match segments {
        0x00 => ' ',
        0x3f => '0',
        0x06 => '1',
        0x5b => '2',
        0x4f => '3',
        0x66 => '4',
        0x6d => '5',
        0x7d => '6',
        0x07 => '7',
        0x7f => '8',
        0x6f => '9',
        0x77 => 'A',
        0x5f => 'a',
        0x7c => 'b',
        0x39 => 'C',
        0x58 => 'c',
        0x5e => 'd',
        0x79 => 'E',
        0x7b => 'e',
        0x71 => 'F',
        0x3d => 'G',
        0x76 => 'H',
        0x74 => 'h',
        0x30 => 'I',
        0x10 | 0x04 => 'i',
        0x1e | 0x0e => 'J',
        0x75 => 'K',
        0x38 => 'L',
        0x55 => 'M',
        0x37 => 'N',
        0x54 => 'n',
        0x5c => 'o',
        0x73 => 'P',
        0x67 => 'q',
        0x50 => 'r',
        0x78 => 't',
        0x3e => 'U',
        0x1c => 'u',
        0x6a | 0x2a => 'w',
        0x6e => 'y',
        0x0f => ']',
        0x40 => '-',
        0x08 => '_',
        0x48 => '=',
        0x63 => '*',
        0x20 => '\'',
        0x22 => '"',
        0x52 => '/',
        0x64 => '\\',
        _ => '?',
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Drives the lines as the datasheet draws them.
    fn send(chip: &mut Tm1637, bytes: &[u8]) {
        chip.dio(false);
        for byte in bytes {
            for bit in 0..8 {
                chip.clk(false);
                chip.dio(byte >> bit & 1 == 1);
                chip.clk(true);
            }
            chip.clk(false);
            assert!(chip.is_acknowledging(), "no answer to {byte:#x}");
            chip.dio(false);
            chip.clk(true);
            assert!(chip.is_acknowledging());
            chip.clk(false);
            assert!(!chip.is_acknowledging());
        }
        chip.clk(true);
        chip.dio(true);
    }

    #[test]
    fn the_time_is_read_with_its_colon_once_the_display_is_lit() {
        let mut chip = Tm1637::new();
        send(&mut chip, &[0x40]);
        send(&mut chip, &[0xc0, 0x06, 0x5b | 0x80, 0x4f, 0x3f]);
        assert_eq!(chip.text(), "    ");
        send(&mut chip, &[0x8d]);
        assert_eq!((chip.is_on(), chip.brightness()), (true, 5));
        assert_eq!(chip.text(), "12:30");
        assert_eq!(chip.bytes(), 7);
        send(&mut chip, &[0x80]);
        assert_eq!(chip.text(), "    ");
    }

    #[test]
    fn a_fixed_address_takes_the_last_byte_and_no_address_is_out_of_bounds() {
        let mut chip = Tm1637::new();
        send(&mut chip, &[0x88]);
        send(&mut chip, &[0x44]);
        send(&mut chip, &[0xc1, 0x06, 0x5b]);
        assert_eq!(chip.segments(), [0, 0x5b, 0, 0, 0, 0]);
        send(&mut chip, &[0x40]);
        send(&mut chip, &[0xc4, 1, 2, 3, 4]);
        send(&mut chip, &[0xcf, 9, 9]);
        assert_eq!(chip.segments(), [0, 0x5b, 0, 0, 1, 2]);
    }

    #[test]
    fn half_a_byte_is_forgotten_at_the_next_start_or_stop() {
        let mut chip = Tm1637::new();
        chip.dio(false);
        for _ in 0..5 {
            chip.clk(false);
            chip.dio(true);
            chip.clk(true);
        }
        chip.dio(false);
        chip.dio(true);
        send(&mut chip, &[0x8f]);
        assert_eq!((chip.is_on(), chip.brightness()), (true, 7));
        assert_eq!(chip.segments(), [0; DIGITS]);
    }
}
