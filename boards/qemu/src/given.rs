//! What the host gives along: texts that QEMU lays into places of the memory that nobody else uses.
//!
//! The way is `-device loader,file=...,addr=...,force-raw=on`, because this machine has no `-fw_cfg` for
//! users. Memory is zeroed at power on, so a text ends at the first zero.

/// The longest text.
pub(crate) const TEXT: usize = 0x4000;

/// The networks in the air; see [`air`](crate::air).
pub(crate) const AIR: usize = 0x8080_0000;
/// A configuration, to be put onto the device.
pub(crate) const CONFIG: usize = AIR + TEXT;
/// A `wifi.json`, to be put onto the device.
pub(crate) const WIFI: usize = CONFIG + TEXT;

/// The text at one of the places; `None` when the host has given none.
///
/// # Panics
///
/// When it is no text: the machine was started wrongly.
pub(crate) fn text(place: usize) -> Option<&'static str> {
    // SAFETY: one of the places above: mapped, behind all that the linker gives out (see
    // `bluebell-qemu.x`), filled before the start and never written since.
    let bytes: &'static [u8; TEXT] = unsafe { &*(place as *const [u8; TEXT]) };
    let length = bytes.iter().position(|byte| *byte == 0).unwrap_or(TEXT);
    if length == 0 {
        return None;
    }
    match core::str::from_utf8(&bytes[..length]) {
        Ok(text) => Some(text),
        Err(error) => panic!("what the host has given at {place:#x} is no text: {error}"),
    }
}
