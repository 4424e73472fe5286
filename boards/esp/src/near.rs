//! Jumps to `memcpy`, `memset` and `memcmp`, so that a call of them takes 4 bytes in place of 8.
//!
//! A short call reaches 1 MB, and code in flash is further than that from ROM, where these three are; there are
//! some 1,600 calls. `boards/esp/make` has the linker take these jumps for the three names, and the names that
//! begin with `rom_` for what the chip's scripts give; in any other build nothing refers to the jumps, and they
//! are left out.
//!
//! Code in RAM then goes through flash, too. Only the radio's calls any of the three, and nothing of the radio
//! runs while flash is written: interrupts are off.

core::arch::global_asm!(
    ".macro near name",
    ".section .text.near_\\name, \"ax\"",
    ".global near_\\name",
    ".type near_\\name, @function",
    "near_\\name: tail rom_\\name",
    ".size near_\\name, . - near_\\name",
    ".endm",
    "near memcpy",
    "near memset",
    "near memcmp",
    ".text",
);
