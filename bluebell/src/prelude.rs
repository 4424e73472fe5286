//! What an application needs: `use bluebell::prelude::*;`.

pub use drivers::Countdown;
pub use drivers::Tm1637;
pub use drivers::{Button, Press};
pub use drivers::{Led, Relay};
pub use embassy_time::{Duration, Instant, Timer};

pub use crate::clock::{LocalDateTime, TimeOfDay, UnixTime, Weekday, Weekdays};
pub use crate::config::Value;
pub use crate::decimal::Decimal;
pub use crate::device::{Device, Handle, Message};
pub use crate::jobs::Job;
pub use crate::mqtt::{Delivery, QoS};
pub use crate::text::Text;
pub use crate::{info, log, text, warn};

/// So many seconds.
#[must_use]
pub const fn secs(seconds: u64) -> Duration {
    Duration::from_secs(seconds)
}
