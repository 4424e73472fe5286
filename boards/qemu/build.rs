//! Puts the linker script where the linker of an application finds it.

use std::path::Path;
use std::{env, fs};

fn main() {
    println!("cargo::rerun-if-changed=bluebell-qemu.x");
    let folder = env::var("OUT_DIR").expect("cargo sets OUT_DIR");
    let script = Path::new(&folder).join("bluebell-qemu.x");
    fs::copy("bluebell-qemu.x", script).expect("OUT_DIR can be written");
    println!("cargo::rustc-link-search={folder}");
}
