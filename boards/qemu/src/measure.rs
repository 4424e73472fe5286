//! What a step costs: instructions, which do not depend on the host when QEMU counts them (`-icount`), and
//! memory.

use core::sync::atomic::{AtomicBool, Ordering};

use embassy_executor::{Executor, Spawner};
use static_cell::StaticCell;

use crate::world::say;
use crate::{exit, interrupts, time};

/// What the stack is painted with, to see later how far down it has been.
const PAINT: u32 = 0xb1eb_e115;
/// How much of the stack above its painted part is left alone, for what is on it while painting.
const IN_USE: usize = 4096;

// From the linker script of `riscv-rt`.
unsafe extern "C" {
    static __stext: u32;
    static __erodata: u32;
    static __sdata: u32;
    static __ebss: u32;
    /// The lowest word of the stack, and the one above its highest.
    static __estack: u32;
    static _stack_start: u32;
}

/// The instructions executed so far; only with QEMU's `-icount shift=0` is it that number.
#[must_use]
pub fn instructions() -> u64 {
    riscv::register::minstret::read64()
}

/// Prints a count, as a line for a program to read.
pub fn report(name: &str, count: u64) {
    say(format_args!("count {name} {count}"));
}

/// Runs tasks on the machine without its devices, with its clock.
pub fn run(spawn: impl FnOnce(Spawner)) -> ! {
    static EXECUTOR: StaticCell<Executor> = StaticCell::new();

    time::start();
    interrupts::start(&[]);
    EXECUTOR.init_with(Executor::new).run(spawn)
}

/// Ends the machine with status 0.
pub fn end() -> ! {
    exit::power_off()
}

/// Paints the part of the stack that is not in use.
pub(crate) fn paint() {
    static PAINTED: AtomicBool = AtomicBool::new(false);
    if PAINTED.swap(true, Ordering::Relaxed) {
        return;
    }
    let mut at = (&raw const __estack).cast_mut();
    let marker = 0_u32;
    let end = (&raw const marker).addr() - IN_USE;
    while at.addr() < end {
        // SAFETY: below everything that is on the stack by now, and within it.
        unsafe {
            at.write_volatile(PAINT);
            at = at.add(1);
        }
    }
}

/// Prints how much memory the image takes, and how much of the stack was ever used.
pub(crate) fn memory() {
    let between = |from: *const u32, to: *const u32| (to.addr() - from.addr()) as u64;
    let mut at = &raw const __estack;
    let top = &raw const _stack_start;
    // SAFETY: words of the stack.
    while at < top && unsafe { at.read_volatile() } == PAINT {
        at = at.wrapping_add(1);
    }
    report(
        "image_bytes",
        between(&raw const __stext, &raw const __erodata),
    );
    report(
        "static_ram_bytes",
        between(&raw const __sdata, &raw const __ebss),
    );
    report("stack_peak_bytes", between(at, top));
}
