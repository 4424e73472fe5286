//! Takes in the configuration that `make build CONFIG=file.toml` names, in the application's place, and lets the
//! linker find `quiet.x`.

use std::path::Path;
use std::{env, fs};

fn main() {
    println!("cargo::rerun-if-changed=build.rs");
    println!("cargo::rerun-if-changed=quiet.x");
    println!("cargo::rerun-if-env-changed=BLUEBELL_CONFIG");
    let folder = env::var("OUT_DIR").expect("cargo sets OUT_DIR");
    let script = Path::new(&folder).join("quiet.x");
    fs::copy("quiet.x", script).expect("OUT_DIR can be written");
    println!("cargo::rustc-link-search={folder}");
    let source = match env::var("BLUEBELL_CONFIG")
        .ok()
        .filter(|path| !path.is_empty())
    {
        None => "None".to_owned(),
        Some(path) => {
            println!("cargo::rerun-if-changed={path}");
            match fs::canonicalize(&path) {
                Ok(path) => format!("Some(include_str!({path:?}))"),
                Err(error) => {
                    println!("cargo::error=CONFIG={path}: {error}; give a file that can be read");
                    return;
                }
            }
        }
    };
    fs::write(Path::new(&folder).join("config.rs"), source).expect("OUT_DIR can be written");
}
