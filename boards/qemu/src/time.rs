//! The clock of embassy-time: the machine timer, 10 MHz, read in microseconds.

use core::cell::RefCell;
use core::task::Waker;

use critical_section::{CriticalSection, Mutex};
use embassy_time_driver::{Driver, time_driver_impl};
use embassy_time_queue_utils::Queue;

const COMPARE: *mut u32 = 0x0200_4000 as *mut u32;
const COUNTER: *const u32 = 0x0200_bff8 as *const u32;
/// Steps of the counter in one of embassy-time's ticks, which are microseconds.
const STEPS: u64 = 10;

struct Timer {
    queue: Mutex<RefCell<Queue>>,
}

time_driver_impl!(static TIMER: Timer = Timer { queue: Mutex::new(RefCell::new(Queue::new())) });

/// Lets the timer interrupt; nothing is due yet.
pub(crate) fn start() {
    compare(u64::MAX);
    // SAFETY: the handler is there, and touches only the timer's queue.
    unsafe { riscv::register::mie::set_mtimer() };
}

impl Driver for Timer {
    fn now(&self) -> u64 {
        counter() / STEPS
    }

    fn schedule_wake(&self, at: u64, waker: &Waker) {
        critical_section::with(|section| {
            if self.queue.borrow_ref_mut(section).schedule_wake(at, waker) {
                self.arm(section);
            }
        });
    }
}

impl Timer {
    /// Wakes what is due and sets the timer for what is next. A time that has passed meanwhile makes
    /// the timer interrupt at once.
    fn arm(&self, section: CriticalSection<'_>) {
        let next = self
            .queue
            .borrow_ref_mut(section)
            .next_expiration(self.now());
        compare(next.saturating_mul(STEPS));
    }
}

#[unsafe(no_mangle)]
extern "C" fn MachineTimer() {
    critical_section::with(|section| TIMER.arm(section));
}

fn counter() -> u64 {
    loop {
        // SAFETY: the two words of the machine's counter, always mapped; reading changes nothing.
        let (high, low, again) = unsafe {
            (
                COUNTER.add(1).read_volatile(),
                COUNTER.read_volatile(),
                COUNTER.add(1).read_volatile(),
            )
        };
        if high == again {
            return u64::from(high) << 32 | u64::from(low);
        }
    }
}

/// Sets when the timer interrupts, in steps of the counter; never before it is written whole.
fn compare(at: u64) {
    // SAFETY: the two words of this hart's comparator, always mapped, and written only here, with
    // interrupts off or before they are on.
    unsafe {
        COMPARE.add(1).write_volatile(u32::MAX);
        COMPARE.write_volatile(at as u32);
        COMPARE.add(1).write_volatile((at >> 32) as u32);
    }
}
