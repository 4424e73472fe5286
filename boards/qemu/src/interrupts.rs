//! Interrupts of the machine's devices: the UART, and the two network devices.

use crate::{console, nic};

const PLIC: usize = 0x0c00_0000;
const PRIORITIES: usize = PLIC;
const ENABLED: usize = PLIC + 0x2000;
const THRESHOLD: usize = PLIC + 0x20_0000;
const CLAIM: usize = PLIC + 0x20_0004;

/// Where QEMU's `virt` has them.
const UART: u32 = 10;
/// The interrupt of the first virtio device; the others follow.
const VIRTIO: u32 = 1;

/// Lets the UART and the virtio devices in these slots interrupt, and turns interrupts on.
pub(crate) fn start(slots: &[u8]) {
    enable(UART);
    for slot in slots {
        enable(VIRTIO + u32::from(*slot));
    }
    write(THRESHOLD, 0);
    // SAFETY: all handlers are there, and share with the rest only what is guarded by critical
    // sections.
    unsafe {
        riscv::register::mie::set_mext();
        riscv::interrupt::enable();
    }
}

fn enable(source: u32) {
    write(PRIORITIES + 4 * source as usize, 1);
    // All sources of this machine that are used are in the first word.
    write(ENABLED, read(ENABLED) | 1 << source);
}

#[unsafe(no_mangle)]
extern "C" fn MachineExternal() {
    loop {
        match read(CLAIM) {
            0 => return,
            source => {
                match source {
                    UART => console::interrupted(),
                    source => nic::interrupted(source - VIRTIO),
                }
                write(CLAIM, source);
            }
        }
    }
}

fn read(address: usize) -> u32 {
    // SAFETY: a word of the interrupt controller, always mapped on this machine.
    unsafe { (address as *const u32).read_volatile() }
}

fn write(address: usize, word: u32) {
    // SAFETY: a word of the interrupt controller, always mapped on this machine and used only here.
    unsafe { (address as *mut u32).write_volatile(word) };
}
