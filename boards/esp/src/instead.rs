//! Shorter ones in the place of functions that the radio driver brings, or none: 23 KB less of each image.
//!
//! For the first two, `boards/esp/make` has the linker take these for the driver's names; in any other build nothing
//! refers to them, and they are left out. The driver's own names of the others are weak, so that ours count.
//!
//! - `SHA1Transform` of the supplicant is written out for speed and takes 5,100 bytes: see [`sha1`](crate::sha1).
//! - `snprintf` and `sprintf` know floating point and take 4,800 bytes: see [`print`](crate::print). Of what the driver
//!   prints for people (`phy_printf` and the like) nothing goes anywhere, so that is not even put together: the linker is
//!   given esp-radio's `__esp_radio_printf`, which does nothing.
//! - Fine timing measurement takes 10,000 bytes, the estimate of when beacons come 3,400. ESP-IDF leaves both out in
//!   this way unless they are asked for (`components/esp_wifi/src/wifi_init.c`), and so does esp-radio after 1.0.0-beta.1:
//!   with it the linker finds them twice, and they go from here.

use core::slice;

use crate::print::{Piece, print};
use crate::sha1::compress;

/// Leaves fine timing measurement out, which nothing here asks for.
#[unsafe(no_mangle)]
extern "C" fn ieee80211_ftm_attach() -> i32 {
    0
}

/// Belongs to it.
#[unsafe(no_mangle)]
extern "C" fn ftm_initiator_cleanup() {}

/// Leaves the estimate of when beacons come out, which is for light sleep.
#[unsafe(no_mangle)]
extern "C" fn pm_beacon_offset_funcs_init() {
    unsafe extern "C" {
        fn pm_beacon_offset_funcs_empty_init();
    }
    // SAFETY: the driver calls this in the place of that, and with the same right.
    unsafe { pm_beacon_offset_funcs_empty_init() }
}

/// The step of SHA-1 from one block to the next (FIPS 180-4, 6.1.2), as the supplicant calls it.
///
/// # Safety
///
/// `state` and `block` are those of the supplicant's `struct SHA1Context`.
#[unsafe(no_mangle)]
unsafe extern "C" fn instead_of_sha1_transform(state: *mut [u32; 5], block: *const [u8; 64]) {
    // SAFETY: the caller's promise; both lie apart in one structure, and nobody else has it meanwhile.
    let (state, block) = unsafe { (&mut *state, &*block) };
    compress(state, block);
}

/// `snprintf` with at most five arguments of 32 bits: on RISC-V, those of `...` come in the same registers as others.
///
/// # Safety
///
/// As of C's: `text` has room for `size` bytes, `format` ends with 0, and so do the texts for `%s`.
#[unsafe(no_mangle)]
unsafe extern "C" fn instead_of_snprintf(
    text: *mut u8,
    size: usize,
    format: *const u8,
    a: u32,
    b: u32,
    c: u32,
    d: u32,
    e: u32,
) -> i32 {
    // SAFETY: the caller's promise.
    let format = unsafe { bytes(format) };
    let mut arguments = [a, b, c, d, e].into_iter();
    let mut length = 0_usize;
    let mut put = |byte| {
        if length.saturating_add(1) < size {
            // SAFETY: there is room for this one and for the end.
            unsafe { text.add(length).write(byte) };
        }
        length = length.saturating_add(1);
    };
    print(
        format,
        &mut || arguments.next().unwrap_or_default(),
        &mut |piece| match piece {
            Piece::Byte(byte) => put(byte),
            Piece::Text(address) => {
                // SAFETY: the caller's promise.
                let text = unsafe { bytes(address as *const u8) };
                text.iter().for_each(|byte| put(*byte));
            }
        },
    );
    if let Some(last) = size.checked_sub(1) {
        // SAFETY: within the room.
        unsafe { text.add(length.min(last)).write(0) };
    }
    i32::try_from(length).unwrap_or(i32::MAX)
}

/// `sprintf` with at most five arguments of 32 bits.
///
/// # Safety
///
/// As of `snprintf`, with room for all that is printed.
#[unsafe(no_mangle)]
unsafe extern "C" fn instead_of_sprintf(
    text: *mut u8,
    format: *const u8,
    a: u32,
    b: u32,
    c: u32,
    d: u32,
    e: u32,
) -> i32 {
    // SAFETY: the caller's promise.
    unsafe { instead_of_snprintf(text, usize::MAX, format, a, b, c, d, e) }
}

/// A text of C, without its end.
///
/// # Safety
///
/// There is one at `text`, and it is not written to as long as this is used.
unsafe fn bytes<'a>(text: *const u8) -> &'a [u8] {
    let mut length = 0;
    // SAFETY: the caller's promise: up to its end there is a text.
    while unsafe { text.add(length).read() } != 0 {
        length += 1;
    }
    // SAFETY: as above.
    unsafe { slice::from_raw_parts(text, length) }
}
