//! The world a Bluebell device lives in, simulated well enough to be tested against.
//!
//! Everything here is owned by whoever made it: a test process can hold a hundred worlds. Only the air
//! is made to be changed from other threads.

pub mod air;
pub mod board;
pub mod broker;
pub mod console;
pub mod flash;
pub mod net;
pub mod ntp;
pub mod person;
pub mod port;
pub mod random;
pub mod reactor;
pub mod scenario;
pub mod tasks;
pub mod time;
pub mod tm1637;
mod waiting;
