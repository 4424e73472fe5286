//! Lets files that come to `www/`, or go, be noticed.

fn main() {
    println!("cargo::rerun-if-changed=www");
}
