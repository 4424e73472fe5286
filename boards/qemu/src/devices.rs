//! The virtio devices of the machine, each in its slot, and the memory that they share with it.

use core::ptr::NonNull;
use core::sync::atomic::{AtomicUsize, Ordering};

use virtio_drivers::transport::mmio::{MmioTransport, VirtIOHeader};
use virtio_drivers::transport::{DeviceType, Transport};
use virtio_drivers::{BufferDirection, Hal, PAGE_SIZE, PhysAddr};

/// Where the slots are, and how far apart.
const SLOTS: usize = 0x1000_1000;
const SLOT: usize = 0x1000;
/// What of a slot is mapped.
const MAPPED: usize = 0x200;
/// Registers of a slot.
const INTERRUPT_STATUS: usize = 0x60;
const INTERRUPT_ACKNOWLEDGE: usize = 0x64;

/// The slots, as `boards/qemu/make` gives them to QEMU.
pub(crate) const DISK: u8 = 0;
pub(crate) const ENTROPY: u8 = 1;
pub(crate) const STATION: u8 = 2;
pub(crate) const ACCESS_POINT: u8 = 3;

/// For the queues of four devices, which take up to 2 pages each, of which the network devices have
/// two.
const PAGES: usize = 16;

#[repr(C, align(4096))]
struct Page([u8; PAGE_SIZE]);

static mut POOL: [Page; PAGES] = [const { Page([0; PAGE_SIZE]) }; PAGES];
static TAKEN: AtomicUsize = AtomicUsize::new(0);

pub(crate) type Slot = MmioTransport<'static>;

/// The device in a slot. Called once for each.
pub(crate) fn open(slot: u8, kind: DeviceType) -> Slot {
    let header = (SLOTS + usize::from(slot) * SLOT) as *mut VirtIOHeader;
    // A slot's address is never null.
    let header = NonNull::new(header).expect("slots are not at address 0");
    // SAFETY: the slot's registers, always mapped on this machine, and nobody else has them: each slot
    // is opened once. (The interrupt handler uses two words of it that the driver leaves alone.)
    match unsafe { MmioTransport::new(header, MAPPED) } {
        Ok(device) if device.device_type() == kind => device,
        _ => panic!(
            "there is no {kind:?} device in slot {slot}: start QEMU as boards/qemu/make does, with \
             -device ...,bus=virtio-mmio-bus.{slot}"
        ),
    }
}

/// Tells the device in a slot that its interrupt was seen.
pub(crate) fn acknowledge(slot: u8) {
    let slot = SLOTS + usize::from(slot) * SLOT;
    // SAFETY: two words of the slot, always mapped; the driver in the slot uses neither.
    unsafe {
        let status = ((slot + INTERRUPT_STATUS) as *const u32).read_volatile();
        ((slot + INTERRUPT_ACKNOWLEDGE) as *mut u32).write_volatile(status);
    }
}

/// What the drivers need of the machine: memory has the same address for everybody.
pub(crate) struct Shared;

// SAFETY: what is allocated is given out once, zeroed, aligned to pages and never taken back; and the
// device's addresses are the processor's.
unsafe impl Hal for Shared {
    fn dma_alloc(pages: usize, _direction: BufferDirection) -> (PhysAddr, NonNull<u8>) {
        let first = TAKEN.fetch_add(pages, Ordering::Relaxed);
        assert!(
            first + pages <= PAGES,
            "the queues need more than {PAGES} pages: raise PAGES"
        );
        let page = (&raw mut POOL).cast::<Page>();
        // SAFETY: within the pool, as was just checked.
        let page = unsafe { page.add(first) };
        // A static is never at address 0.
        let start = NonNull::new(page.cast::<u8>()).expect("the pool is not at address 0");
        (start.as_ptr().addr() as PhysAddr, start)
    }

    unsafe fn dma_dealloc(_address: PhysAddr, _start: NonNull<u8>, _pages: usize) -> i32 {
        // The drivers live as long as the machine.
        0
    }

    unsafe fn mmio_phys_to_virt(address: PhysAddr, _size: usize) -> NonNull<u8> {
        let pointer = address as usize as *mut u8;
        NonNull::new(pointer).expect("no device is at address 0")
    }

    unsafe fn share(buffer: NonNull<[u8]>, _direction: BufferDirection) -> PhysAddr {
        buffer.cast::<u8>().as_ptr().addr() as PhysAddr
    }

    unsafe fn unshare(_: PhysAddr, _buffer: NonNull<[u8]>, _direction: BufferDirection) {}
}
