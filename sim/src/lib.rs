//! The world a Bluebell device lives in, simulated well enough to be tested against.
//!
//! Everything here is owned by the thread that made it: a test process can hold a hundred worlds.

pub mod time;
