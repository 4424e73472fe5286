//! The thermometer's scenarios.
#[path = "../src/main.rs"]
mod application;
board::scenarios!(application);
