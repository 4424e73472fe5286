//! What an application needs: `use bluebell::prelude::*;`.

pub use drivers::Countdown;
pub use drivers::Led;
pub use drivers::Tm1637;
pub use drivers::{Button, Press};
pub use embassy_time::{Duration, Instant, Timer};

pub use crate::clock::{LocalDateTime, TimeOfDay, UnixTime, Weekday, Weekdays};
pub use crate::config::Value;
pub use crate::device::{Device, Handle, Message};
pub use crate::jobs::Job;
pub use crate::log;
pub use crate::mqtt::{Delivery, QoS};
