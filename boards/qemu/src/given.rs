//! What the host gives along: texts by name, through QEMU's `-fw_cfg name=opt/bluebell/...,file=...`.

const DATA: *const u8 = 0x1010_0000 as *const u8;
const SELECTOR: *mut u16 = 0x1010_0008 as *mut u16;
/// The entry that lists the others.
const DIRECTORY: u16 = 0x19;
/// In an entry of the directory: where the name is, and how long it may be.
const NAME: usize = 56;

/// Reads a text into `memory`; `None` when the host has not given it.
///
/// # Panics
///
/// When it does not fit or is no text: the machine was started wrongly.
pub(crate) fn read<'m>(name: &str, memory: &'m mut [u8]) -> Option<&'m str> {
    select(DIRECTORY);
    let entries = u32::from_be_bytes(next());
    for _ in 0..entries {
        let size = u32::from_be_bytes(next()) as usize;
        let selector = u16::from_be_bytes(next());
        let _reserved: [u8; 2] = next();
        let found: [u8; NAME] = next();
        let length = found.iter().position(|byte| *byte == 0).unwrap_or(NAME);
        if &found[..length] != name.as_bytes() {
            continue;
        }
        assert!(
            size <= memory.len(),
            "{name} is longer than {} bytes",
            memory.len()
        );
        select(selector);
        let text = &mut memory[..size];
        text.fill_with(|| u8::from_be_bytes(next()));
        match core::str::from_utf8(text) {
            Ok(text) => return Some(text),
            Err(error) => panic!("{name} is no text: {error}"),
        }
    }
    None
}

fn select(entry: u16) {
    // SAFETY: the selector of QEMU's configuration device, always mapped on this machine; it takes
    // big-endian numbers.
    unsafe { SELECTOR.write_volatile(entry.to_be()) };
}

fn next<const N: usize>() -> [u8; N] {
    // SAFETY: the same device's data register; each read gives the entry's next byte, 0 after its end.
    core::array::from_fn(|_| unsafe { DATA.read_volatile() })
}
