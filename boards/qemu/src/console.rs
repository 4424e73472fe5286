//! The console: the machine's UART, a 16550.
//!
//! Guarantees: what is printed is never held back; nothing that is typed is lost, as QEMU holds back
//! what does not fit. Lines that are [orders](crate::orders) are for the board; all others for the
//! device.

use core::convert::Infallible;
use core::fmt;

use embassy_sync::blocking_mutex::raw::CriticalSectionRawMutex;
use embassy_sync::pipe::Pipe;
use embassy_time::{Duration, with_timeout};
use embedded_io_async::{ErrorType, Read, Write};

use crate::orders::Order;
use crate::world;

const UART: *mut u8 = 0x1000_0000 as *mut u8;
/// Registers, as offsets.
const DATA: usize = 0;
const INTERRUPTS: usize = 1;
const FIFO: usize = 2;
const STATUS: usize = 5;
/// Bits of them.
const RECEIVING: u8 = 1;
const FIFO_ON: u8 = 1;
const RECEIVED: u8 = 1;
const SENDABLE: u8 = 1 << 5;

/// The longest order, in bytes; longer lines are for the device.
const LINE: usize = 160;
/// How long the device may take to read what was typed, until it is taken for one that does not.
const PATIENCE: Duration = Duration::from_secs(2);

static TYPED: Pipe<CriticalSectionRawMutex, 512> = Pipe::new();
static FOR_DEVICE: Pipe<CriticalSectionRawMutex, 512> = Pipe::new();

/// The UART itself: what is written is sent before the call returns.
pub(crate) struct Uart;

impl Uart {
    pub(crate) fn send(bytes: &[u8]) {
        for byte in bytes {
            while read(STATUS) & SENDABLE == 0 {}
            write(DATA, *byte);
        }
    }
}

impl fmt::Write for Uart {
    fn write_str(&mut self, text: &str) -> fmt::Result {
        Self::send(text.as_bytes());
        Ok(())
    }
}

/// Where the log is printed.
#[derive(Debug)]
pub struct Console(pub(crate) ());

/// Where commands are typed.
#[derive(Debug)]
pub struct Commands(pub(crate) ());

impl ErrorType for Console {
    type Error = Infallible;
}

impl Write for Console {
    async fn write(&mut self, bytes: &[u8]) -> Result<usize, Infallible> {
        Uart::send(bytes);
        Ok(bytes.len())
    }

    async fn flush(&mut self) -> Result<(), Infallible> {
        Ok(())
    }
}

impl ErrorType for Commands {
    type Error = Infallible;
}

impl Read for Commands {
    async fn read(&mut self, buffer: &mut [u8]) -> Result<usize, Infallible> {
        if buffer.is_empty() {
            return Ok(0);
        }
        Ok(FOR_DEVICE.read(buffer).await)
    }
}

pub(crate) fn start() {
    write(FIFO, FIFO_ON);
    write(INTERRUPTS, RECEIVING);
}

/// Takes what has arrived, as far as there is room.
pub(crate) fn interrupted() {
    while read(STATUS) & RECEIVED != 0 {
        if TYPED.is_full() {
            // Until there is room again.
            write(INTERRUPTS, 0);
            return;
        }
        // There is room for it.
        let _ = TYPED.try_write(&[read(DATA)]);
    }
}

/// Sorts what is typed: orders are carried out, all else is handed to the device.
#[embassy_executor::task]
pub(crate) async fn listen() -> ! {
    let mut line = heapless::Vec::<u8, LINE>::new();
    // Whether the beginning of this line has been handed over already.
    let mut begun = false;
    let mut typed = [0; 64];
    loop {
        let count = TYPED.read(&mut typed).await;
        write(INTERRUPTS, RECEIVING);
        for byte in &typed[..count] {
            if line.push(*byte).is_err() {
                hand_over(&line).await;
                begun = true;
                line.clear();
                // There is room for it now.
                let _ = line.push(*byte);
            }
            if !matches!(byte, b'\n' | b'\r') {
                continue;
            }
            let order = core::str::from_utf8(&line).ok().filter(|_| !begun);
            match order.and_then(Order::parse) {
                Some(order) => world::carry_out(order).await,
                None => hand_over(&line).await,
            }
            begun = false;
            line.clear();
        }
    }
}

async fn hand_over(mut bytes: &[u8]) {
    while !bytes.is_empty() {
        // A device that does not read its console has no use for it.
        let Ok(count) = with_timeout(PATIENCE, FOR_DEVICE.write(bytes)).await else {
            return;
        };
        bytes = &bytes[count..];
    }
}

fn read(register: usize) -> u8 {
    // SAFETY: a register of the UART, always mapped on this machine; taking a byte out of it is meant.
    unsafe { UART.add(register).read_volatile() }
}

fn write(register: usize, byte: u8) {
    // SAFETY: a register of the UART, always mapped on this machine.
    unsafe { UART.add(register).write_volatile(byte) };
}
