//! A virtio network device as embassy-net wants it.
//!
//! Guarantees: while a [`Line`] is down nothing passes in either direction, and what comes in
//! meanwhile is gone; buffers never move while the device has them.

use core::cell::RefCell;
use core::sync::atomic::{AtomicBool, Ordering};
use core::task::{Context, Waker};

use embassy_net_driver::{Capabilities, Driver, HardwareAddress, LinkState, RxToken, TxToken};
use embassy_sync::waitqueue::AtomicWaker;
use static_cell::ConstStaticCell;
use virtio_drivers::device::net::VirtIONetRaw;
use virtio_drivers::transport::DeviceType;

use crate::devices::{self, Shared, Slot};

/// Buffers in each direction.
const BUFFERS: usize = 8;
/// Descriptors in each direction: one for a buffer.
const QUEUE: usize = BUFFERS;
/// The longest frame: 1500 bytes after the Ethernet header.
const FRAME: usize = 1514;
/// A frame, and before it the device's own header of up to 12 bytes.
const BUFFER: usize = FRAME + 22;

/// The cable of a network device, which the radio pulls and plugs.
pub(crate) struct Line {
    up: AtomicBool,
    changed: AtomicWaker,
}

/// Between the station and the network that it has joined.
pub(crate) static STATION: Line = Line::new();
/// Between the access point and the phones on it.
pub(crate) static ACCESS_POINT: Line = Line::new();

impl Line {
    const fn new() -> Self {
        Self {
            up: AtomicBool::new(false),
            changed: AtomicWaker::new(),
        }
    }

    pub(crate) fn set(&self, up: bool) {
        self.up.store(up, Ordering::Relaxed);
        self.changed.wake();
    }

    fn is_up(&self) -> bool {
        self.up.load(Ordering::Relaxed)
    }
}

/// A device in a slot has interrupted.
pub(crate) fn interrupted(slot: u32) {
    for (place, line) in [
        (devices::STATION, &STATION),
        (devices::ACCESS_POINT, &ACCESS_POINT),
    ] {
        if u32::from(place) == slot {
            devices::acknowledge(place);
            line.changed.wake();
        }
    }
}

type Buffer = &'static mut [u8; BUFFER];

/// A network device.
pub(crate) struct Nic {
    line: &'static Line,
    parts: RefCell<Parts>,
}

struct Parts {
    device: VirtIONetRaw<Shared, Slot, QUEUE>,
    /// By the token under which the device has them.
    receiving: [Option<Buffer>; QUEUE],
    /// Beside the buffer, how much of it is to be sent.
    sending: [Option<(Buffer, usize)>; QUEUE],
    free: heapless::Vec<Buffer, BUFFERS>,
}

/// The memory of one device.
pub(crate) type Buffers = [[u8; BUFFER]; 2 * BUFFERS];
/// Such memory before it is in use.
pub(crate) const fn no_frames() -> Buffers {
    [[0; BUFFER]; 2 * BUFFERS]
}

impl Nic {
    pub(crate) fn open(
        slot: u8,
        line: &'static Line,
        memory: &'static ConstStaticCell<Buffers>,
    ) -> Self {
        let transport = devices::open(slot, DeviceType::Network);
        let device = match VirtIONetRaw::new(transport) {
            Ok(device) => device,
            Err(error) => panic!("the network device in slot {slot} does not start: {error:?}"),
        };
        let mut parts = Parts {
            device,
            receiving: [const { None }; QUEUE],
            sending: [const { None }; QUEUE],
            free: heapless::Vec::new(),
        };
        let (receive, send) = memory.take().split_at_mut(BUFFERS);
        receive.iter_mut().for_each(|buffer| parts.give(buffer));
        parts.free.extend(send);
        Self {
            line,
            parts: RefCell::new(parts),
        }
    }

    pub(crate) fn hardware_address(&self) -> [u8; 6] {
        self.parts.borrow().device.mac_address()
    }

    fn watch(&self, waker: &Waker) {
        self.line.changed.register(waker);
    }
}

impl Parts {
    /// Lets the device receive into a buffer.
    fn give(&mut self, buffer: Buffer) {
        // SAFETY: from here on the buffer is reached only through `receiving`, where it stays until
        // the device is done with it.
        match unsafe { self.device.receive_begin(buffer) } {
            Ok(token) => self.receiving[usize::from(token)] = Some(buffer),
            // There are as many descriptors as buffers, so the queue is never full.
            Err(error) => panic!("the network device takes no buffer: {error:?}"),
        }
    }

    /// The next frame that has come in: its buffer, and where in it the frame is.
    fn take(&mut self) -> Option<(Buffer, core::ops::Range<usize>)> {
        loop {
            let token = self.device.poll_receive()?;
            let buffer = self.receiving.get_mut(usize::from(token))?.take()?;
            // SAFETY: it was given under this token.
            match unsafe { self.device.receive_complete(token, buffer) } {
                Ok((header, length)) if header + length <= BUFFER => {
                    return Some((buffer, header..header + length));
                }
                _ => self.give(buffer),
            }
        }
    }

    /// Takes back the buffers that have been sent.
    fn reclaim(&mut self) {
        while let Some(token) = self.device.poll_transmit() {
            let Some((buffer, length)) = self
                .sending
                .get_mut(usize::from(token))
                .and_then(Option::take)
            else {
                return;
            };
            // SAFETY: this part of this buffer was sent under this token.
            let _ = unsafe { self.device.transmit_complete(token, &buffer[..length]) };
            // There is room for all there are.
            let _ = self.free.push(buffer);
        }
    }

    /// Sends a frame of `length` bytes that `fill` writes.
    fn send<R>(
        parts: &RefCell<Self>,
        up: bool,
        length: usize,
        fill: impl FnOnce(&mut [u8]) -> R,
    ) -> R {
        // A token is only made when there is one.
        let Some(buffer) = parts.borrow_mut().free.pop() else {
            panic!("a frame is sent without a token");
        };
        let header = parts
            .borrow()
            .device
            .fill_buffer_header(buffer)
            .unwrap_or_default();
        let end = header + length;
        let result = fill(&mut buffer[header..end]);
        let mut parts = parts.borrow_mut();
        if !up {
            // Nobody hears it.
            let _ = parts.free.push(buffer);
            return result;
        }
        // SAFETY: from here on the buffer is reached only through `sending`, where it stays until the
        // device is done with it.
        match unsafe { parts.device.transmit_begin(&buffer[..end]) } {
            Ok(token) => parts.sending[usize::from(token)] = Some((buffer, end)),
            // Lost, as frames may be.
            Err(_) => drop(parts.free.push(buffer)),
        }
        result
    }
}

/// A frame that has come in.
pub(crate) struct Received<'a> {
    nic: &'a Nic,
    buffer: Buffer,
    frame: core::ops::Range<usize>,
}

/// Leave to send a frame.
pub(crate) struct Sendable<'a>(&'a Nic);

impl RxToken for Received<'_> {
    fn consume<R, F: FnOnce(&mut [u8]) -> R>(self, take: F) -> R {
        let result = take(&mut self.buffer[self.frame]);
        self.nic.parts.borrow_mut().give(self.buffer);
        result
    }
}

impl TxToken for Sendable<'_> {
    fn consume<R, F: FnOnce(&mut [u8]) -> R>(self, length: usize, fill: F) -> R {
        Parts::send(&self.0.parts, self.0.line.is_up(), length, fill)
    }
}

impl Driver for Nic {
    type RxToken<'a> = Received<'a>;
    type TxToken<'a> = Sendable<'a>;

    fn receive(&mut self, context: &mut Context<'_>) -> Option<(Received<'_>, Sendable<'_>)> {
        self.watch(context.waker());
        let mut parts = self.parts.borrow_mut();
        parts.reclaim();
        if parts.free.is_empty() {
            return None;
        }
        loop {
            let (buffer, frame) = parts.take()?;
            if self.line.is_up() {
                drop(parts);
                return Some((
                    Received {
                        nic: self,
                        buffer,
                        frame,
                    },
                    Sendable(self),
                ));
            }
            parts.give(buffer);
        }
    }

    fn transmit(&mut self, context: &mut Context<'_>) -> Option<Sendable<'_>> {
        self.watch(context.waker());
        let mut parts = self.parts.borrow_mut();
        parts.reclaim();
        let sendable = !parts.free.is_empty();
        drop(parts);
        sendable.then_some(Sendable(self))
    }

    fn link_state(&mut self, context: &mut Context<'_>) -> LinkState {
        self.watch(context.waker());
        if self.line.is_up() {
            LinkState::Up
        } else {
            LinkState::Down
        }
    }

    fn capabilities(&self) -> Capabilities {
        let mut capabilities = Capabilities::default();
        capabilities.max_transmission_unit = FRAME;
        capabilities.max_burst_size = Some(BUFFERS);
        capabilities
    }

    fn hardware_address(&self) -> HardwareAddress {
        HardwareAddress::Ethernet(Self::hardware_address(self))
    }
}
