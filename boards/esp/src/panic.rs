//! The last thing that a crashed device does: keep a record of it, print it, and start again.
//!
//! Exceptions of the processor arrive here too: the HAL panics with the cause, the address and the
//! registers as its message.

use core::mem::MaybeUninit;
use core::panic::PanicInfo;
use core::sync::atomic::{AtomicBool, Ordering};

use heapless::String;

use crate::crash::{ADDRESSES, Record, TEXT};

/// How far up the stack addresses are looked for, in words.
const WORDS: usize = 384;

/// The record, and room between it and the main stack, which follows: a stack that has run over goes on growing
/// down while this handler tells of it.
#[repr(C)]
struct Kept {
    record: Record,
    room: [u8; ROOM],
}

/// What an exception's registers and the telling of a panic take of the stack, rounded up.
const ROOM: usize = 1536;

/// Not initialised at boot, so that it is what it was before the reset.
#[unsafe(link_section = ".noinit")]
static mut KEPT: MaybeUninit<Kept> = MaybeUninit::uninit();

/// The record's place: what is kept begins with it.
fn place() -> *mut Record {
    (&raw mut KEPT).cast()
}

static PANICKING: AtomicBool = AtomicBool::new(false);

/// Takes the record of the crash before this boot, if there was one, so that no later boot finds it.
pub(crate) fn take() -> Option<String<TEXT>> {
    // SAFETY: a record is made of plain numbers, for which any bits are valid; nobody else has a
    // reference to it: this runs once, and the panic handler never comes back.
    let record = unsafe { &mut *place() };
    record.take().and_then(|text| String::try_from(text).ok())
}

#[panic_handler]
fn panic(info: &PanicInfo<'_>) -> ! {
    // SAFETY: never given back; nothing runs on after this.
    unsafe {
        critical_section::acquire();
    }
    // A panic in here does not come back to here.
    if !PANICKING.load(Ordering::Relaxed) {
        PANICKING.store(true, Ordering::Relaxed);
        let mut stack = [0; ADDRESSES];
        let count = return_addresses(&mut stack);
        let place = info.location().map(|place| (place.file(), place.line()));
        // SAFETY: with interrupts off there is nobody else.
        let record = unsafe { &mut *self::place() };
        record.keep(format_args!("{}", info.message()), place, &stack[..count]);
        esp_println::print!("\r\n{info}\r\nstack");
        for address in &stack[..count] {
            esp_println::print!(" {address:#010x}");
        }
        esp_println::println!("\r\n");
    }
    esp_hal::system::software_reset()
}

/// Collects what looks like return addresses on the stack, nearest first; returns how many.
///
/// Without frame pointers, which would make every function longer, a stale one may be among them.
fn return_addresses(found: &mut [u32; ADDRESSES]) -> usize {
    let marker = 0_u32;
    let mut at = (&raw const marker).addr();
    let code = code_range();
    let mut count = 0;
    for _ in 0..WORDS {
        at += size_of::<u32>();
        let place = at as *const u32;
        // SAFETY: a word of this stack or, above its top, of the RAM that follows it: mapped on every
        // chip of the family, because stacks lie below the heap or below the ROM's own RAM.
        let word = address(unsafe { place.read_volatile() });
        if code.contains(&word) {
            found[count] = word;
            count += 1;
            if count == found.len() {
                break;
            }
        }
    }
    count
}

/// A return address as it is: Xtensa keeps in its two highest bits by how much the call has moved the register window.
const fn address(word: u32) -> u32 {
    if cfg!(target_arch = "xtensa") {
        word & 0x3fff_ffff | 0x4000_0000
    } else {
        word
    }
}

/// Where code is executed from flash: the same on all RISC-V chips of the family, and on Xtensa another.
const fn code_range() -> core::ops::Range<u32> {
    if cfg!(target_arch = "riscv32") {
        0x4200_0000..0x4280_0000
    } else {
        0x400d_0000..0x4280_0000
    }
}
