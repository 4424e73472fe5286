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
pub use crate::mqtt::{Delivery, QoS};
pub use crate::{info, log, warn};

/// So many seconds.
#[must_use]
pub const fn secs(seconds: u64) -> Duration {
    Duration::from_secs(seconds)
}
