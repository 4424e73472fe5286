//! The machine's end: QEMU's test device takes an exit status, and a panic gives it one.

use core::fmt::Write;
use core::panic::PanicInfo;
use core::sync::atomic::{AtomicBool, Ordering};

use crate::console::Uart;

/// SiFive's test device, as QEMU's `virt` has it.
const TEST_DEVICE: *mut u32 = 0x10_0000 as *mut u32;
const PASS: u32 = 0x5555;
const FAIL: u32 = 0x3333;
const RESET: u32 = 0x7777;
/// QEMU's exit status after a panic.
const PANIC: u32 = 101;

/// Ends QEMU with exit status 0.
pub(crate) fn power_off() -> ! {
    end(PASS)
}

/// Starts the machine anew.
pub(crate) fn restart() -> ! {
    end(RESET)
}

fn end(word: u32) -> ! {
    // SAFETY: the device's one register, a word that is always mapped on this machine; writing it ends
    // the machine or starts it anew.
    unsafe { TEST_DEVICE.write_volatile(word) };
    loop {
        riscv::asm::wfi();
    }
}

#[panic_handler]
fn panic(info: &PanicInfo<'_>) -> ! {
    static PANICKING: AtomicBool = AtomicBool::new(false);

    riscv::interrupt::disable();
    // A panic in here does not come back to here.
    if !PANICKING.swap(true, Ordering::Relaxed) {
        // The UART takes everything.
        let _ = writeln!(Uart, "\n{info}");
    }
    end(PANIC << 16 | FAIL)
}

/// Exceptions of the processor are panics too.
#[unsafe(export_name = "ExceptionHandler")]
extern "C" fn exception(frame: &riscv_rt::TrapFrame) -> ! {
    panic!(
        "exception {:#x} at {:#x}, value {:#x}, ra {:#x}",
        riscv::register::mcause::read().bits(),
        riscv::register::mepc::read(),
        riscv::register::mtval::read(),
        frame.ra
    )
}
