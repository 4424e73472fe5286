//! Stamps the framework with the commit it is built from.

use std::path::Path;
use std::process::Command;

fn main() {
    let git = |arguments: &[&str]| {
        let output = Command::new("git").args(arguments).output().ok()?;
        let text = String::from_utf8(output.stdout).ok()?;
        output.status.success().then(|| text.trim().to_owned())
    };
    // Without git (a crate from a registry, an archive) the version has to do, and the clock's lower
    // bound is the first commit of all.
    let version = std::env::var("CARGO_PKG_VERSION").unwrap_or_default();
    let commit = git(&["rev-parse", "--short=12", "HEAD"]).unwrap_or(version);
    let time = git(&["log", "-1", "--format=%ct"]).unwrap_or_else(|| "1795000000".to_owned());
    println!("cargo::rustc-env=BLUEBELL_COMMIT={commit}");
    println!("cargo::rustc-env=BLUEBELL_COMMIT_TIME={time}");
    for name in ["HEAD", "logs/HEAD"] {
        let path = git(&["rev-parse", "--git-path", name]);
        if let Some(path) = path.filter(|path| Path::new(path).exists()) {
            println!("cargo::rerun-if-changed={path}");
        }
    }
    println!("cargo::rerun-if-changed=build.rs");
}
