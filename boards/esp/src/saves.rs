//! What functions call to keep registers and to fetch them again, in place of doing it each for itself, so that what
//! stands at their beginnings and ends takes 4 bytes each in place of up to 30.
//!
//! LLVM calls these with the feature `+save-restore`, which `boards/esp/make` turns on; in any other build nothing
//! refers to them, and they are left out. The emulated machine (`boards/qemu`) is built with the same ones, so that all of
//! its tests run through them.
//!
//! Code of ours in RAM then begins and ends in flash, too. None of it runs while flash cannot be read: interrupts are
//! off then, and esp-storage's calls of ROM return when flash has come to rest.

core::arch::global_asm!(include_str!("saves.s"));
