//! The console: UART0 at 115200 baud and, where the chip has it and a computer is attached, USB.
//!
//! Guarantees: nobody waits long for a computer that is attached and does not read; without one, USB
//! is never touched. Characters that arrive while the flash is being written may be lost on the UART,
//! which holds 128; USB makes the sender wait.

use core::convert::Infallible;

use embassy_futures::select::{Either, select};
use embassy_time::{Duration, Timer};
use embedded_io_async::{ErrorType, Read, Write};
use esp_hal::Async;
use esp_hal::uart::{UartRx, UartTx};

use self::usb::{UsbReader, UsbWriter};

/// How often it is looked for characters, beside being told of those on the UART.
const LOOK: Duration = Duration::from_millis(20);

/// Where the log is printed.
pub struct Console {
    uart: UartTx<'static, Async>,
    usb: UsbWriter,
}

/// Where commands are typed.
pub struct Commands {
    uart: UartRx<'static, Async>,
    usb: UsbReader,
}

/// Makes the two halves of the console.
pub(crate) fn split(
    uart: (UartRx<'static, Async>, UartTx<'static, Async>),
    usb: (UsbReader, UsbWriter),
) -> (Commands, Console) {
    (
        Commands {
            uart: uart.0,
            usb: usb.0,
        },
        Console {
            uart: uart.1,
            usb: usb.1,
        },
    )
}

impl ErrorType for Console {
    type Error = Infallible;
}

impl Write for Console {
    async fn write(&mut self, bytes: &[u8]) -> Result<usize, Infallible> {
        // A UART that fails has nobody to tell: what it did not take is dropped.
        let written = self.uart.write_async(bytes).await.unwrap_or(bytes.len());
        let written = written.min(bytes.len());
        self.usb.write(&bytes[..written]).await;
        Ok(written)
    }

    async fn flush(&mut self) -> Result<(), Infallible> {
        let _ = self.uart.flush_async().await;
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
        loop {
            let mut count = self.usb.read(buffer);
            if count == 0 {
                // A frame or parity error is a character that was not meant for anybody.
                count = self.uart.read_buffered(buffer).unwrap_or(0);
            }
            if count > 0 {
                return Ok(count);
            }
            // What has arrived when this is dropped is still in the UART.
            let arrived = select(self.uart.read_async(buffer), Timer::after(LOOK)).await;
            if let Either::First(Ok(count)) = arrived {
                return Ok(count);
            }
        }
    }
}

#[cfg(any(
    feature = "esp32c3",
    feature = "esp32c5",
    feature = "esp32c6",
    feature = "esp32c61",
    feature = "esp32s3"
))]
pub(crate) mod usb {
    use embassy_time::{Duration, Timer};
    use esp_hal::Blocking;
    use esp_hal::peripherals::USB_DEVICE;
    use esp_hal::usb::usb_serial_jtag::{UsbSerialJtag, UsbSerialJtagRx, UsbSerialJtagTx};

    /// How long a computer may take to fetch what is printed, until it is taken for one that sleeps.
    const PATIENCE: u8 = 20;

    pub(crate) struct UsbWriter {
        port: UsbSerialJtagTx<'static, Blocking>,
        /// Whether the computer did not fetch what was printed last.
        asleep: bool,
    }

    pub(crate) struct UsbReader(UsbSerialJtagRx<'static, Blocking>);

    pub(crate) fn open(device: USB_DEVICE<'static>) -> (UsbReader, UsbWriter) {
        let (reader, port) = UsbSerialJtag::new(device).split();
        (
            UsbReader(reader),
            UsbWriter {
                port,
                asleep: false,
            },
        )
    }

    /// Whether a computer has ever been attached: it says so each millisecond.
    fn is_attached() -> bool {
        USB_DEVICE::regs().int_raw().read().sof().bit_is_set()
    }

    impl UsbWriter {
        pub(crate) async fn write(&mut self, bytes: &[u8]) {
            if !is_attached() {
                return;
            }
            for byte in bytes {
                let mut patience = if self.asleep { 0 } else { PATIENCE };
                while self.port.write_byte_nb(*byte).is_err() {
                    let _ = self.port.flush_tx_nb();
                    if patience == 0 {
                        self.asleep = true;
                        return;
                    }
                    patience -= 1;
                    Timer::after(Duration::from_millis(1)).await;
                }
                self.asleep = false;
            }
            let _ = self.port.flush_tx_nb();
        }
    }

    impl UsbReader {
        pub(crate) fn read(&mut self, buffer: &mut [u8]) -> usize {
            if is_attached() {
                self.0.drain_rx_fifo(buffer)
            } else {
                0
            }
        }
    }
}

#[cfg(any(feature = "esp32", feature = "esp32c2", feature = "esp32s2"))]
pub(crate) mod usb {
    /// This chip has no USB of its own.
    pub(crate) struct UsbWriter;
    /// This chip has no USB of its own.
    pub(crate) struct UsbReader;

    impl UsbWriter {
        pub(crate) async fn write(&mut self, _bytes: &[u8]) {}
    }

    impl UsbReader {
        pub(crate) fn read(&mut self, _buffer: &mut [u8]) -> usize {
            0
        }
    }
}
