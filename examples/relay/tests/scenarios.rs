//! The relay's scenarios.
#[path = "../src/main.rs"]
mod application;
board::scenarios!(application);
