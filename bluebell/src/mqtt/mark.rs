//! What a kept message carries beside topic and payload: how it is delivered, who it is, when it was made.
//!
//! Guarantees: a message has the same name (`id`) however often it is sent, also after a power cut, and no
//! other message of the device has it; a time that is not known is not made up.

use core::fmt;

use embassy_time::Instant;
use heapless::String;

use super::types::{Delivery, QoS};

/// The bytes of a mark, in memory and on flash.
pub(super) const MARK: usize = 20;

const QOS: u8 = 0x03;
const RETAIN: u8 = 0x04;
const LATEST: u8 = 0x08;
const IN_MEMORY: u8 = 0x10;
const UTC: u8 = 0x20;
const WAITED: u8 = 0x40;

/// What time it is, as far as is known.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Moment {
    pub(super) now: Instant,
    /// The Unix time at the zero of `now`'s clock, in microseconds; once it is known.
    pub(super) unix_at_zero: Option<i64>,
    /// The number of this boot.
    pub(super) boot: u32,
}

impl Moment {
    fn unix_millis(&self) -> Option<u64> {
        let micros = self
            .unix_at_zero?
            .saturating_add_unsigned(self.now.as_micros());
        u64::try_from(micros / 1000).ok()
    }
}

/// When a message was made, in milliseconds.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Origin {
    /// After 1970, in UTC.
    Unix(u64),
    /// After the beginning of the boot.
    Uptime(u64),
}

/// See the module.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Mark {
    pub(super) delivery: Delivery,
    /// A random number of the boot in which the message was made; zero together with `number`: it has
    /// no name.
    pub(super) boot: u32,
    /// Counts the messages of that boot.
    pub(super) number: u32,
    origin: Origin,
    /// Whether the message has waited for a connection, so that it tells when it was made.
    pub(super) waited: bool,
}

/// What the broker, and those who subscribe, are told of a message.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Properties {
    /// In how many seconds the broker may drop the message.
    pub(super) expiry: Option<u32>,
    /// Empty: none.
    pub(super) id: String<16>,
    /// What the time of origin is counted from, and the time.
    pub(super) origin: Option<(&'static str, String<24>)>,
}

impl Properties {
    /// The most bytes that they take in a packet, with their length.
    pub(super) const MOST: usize = 1 + 5 + (1 + 2 + 2 + 2 + 16) + (1 + 2 + 6 + 2 + 24);
}

impl Mark {
    /// The mark of a message without a name or a time.
    pub(super) const fn of(delivery: Delivery) -> Self {
        Self {
            delivery,
            boot: 0,
            number: 0,
            origin: Origin::Uptime(0),
            waited: false,
        }
    }

    /// The mark of the message of this number that is made now.
    pub(super) fn new(delivery: Delivery, number: u32, moment: &Moment) -> Self {
        Self {
            boot: moment.boot,
            number,
            origin: moment
                .unix_millis()
                .map_or(Origin::Uptime(moment.now.as_millis()), Origin::Unix),
            ..Self::of(delivery)
        }
    }

    /// The same of a message that waits for a connection.
    pub(super) const fn having_waited(mut self) -> Self {
        self.waited = true;
        self
    }

    pub(super) fn to_bytes(self) -> [u8; MARK] {
        let Delivery {
            qos,
            retain,
            latest,
            in_memory,
            expiry,
        } = self.delivery;
        let (utc, millis) = match self.origin {
            Origin::Unix(millis) => (true, millis),
            Origin::Uptime(millis) => (false, millis),
        };
        let flags = [
            (retain, RETAIN),
            (latest, LATEST),
            (in_memory, IN_MEMORY),
            (utc, UTC),
            (self.waited, WAITED),
        ];
        let set = |bits, (on, bit): (bool, u8)| if on { bits | bit } else { bits };
        let seconds = u32::try_from(millis / 1000).unwrap_or(u32::MAX);
        let mut bytes = [0; MARK];
        bytes[0] = flags.into_iter().fold(qos.bits(), set);
        bytes[2..4].copy_from_slice(&((millis % 1000) as u16).to_le_bytes());
        for (place, word) in
            bytes[4..]
                .chunks_exact_mut(4)
                .zip([seconds, self.boot, self.number, expiry])
        {
            place.copy_from_slice(&word.to_le_bytes());
        }
        bytes
    }

    /// A mark at the start of `bytes`, if there is one.
    pub(super) fn from_bytes(bytes: &[u8]) -> Option<Self> {
        let bytes: &[u8; MARK] = bytes.first_chunk()?;
        let flags = bytes[0];
        let mut words = [0; 4];
        for (word, bytes) in words.iter_mut().zip(bytes[4..].as_chunks().0) {
            *word = u32::from_le_bytes(*bytes);
        }
        let [seconds, boot, number, expiry] = words;
        let millis =
            u64::from(seconds) * 1000 + u64::from(u16::from_le_bytes([bytes[2], bytes[3]]));
        Some(Self {
            delivery: Delivery {
                qos: QoS::from_bits(flags & QOS)?,
                retain: flags & RETAIN != 0,
                latest: flags & LATEST != 0,
                in_memory: flags & IN_MEMORY != 0,
                expiry,
            },
            boot,
            number,
            origin: match flags & UTC {
                0 => Origin::Uptime(millis),
                _ => Origin::Unix(millis),
            },
            waited: flags & WAITED != 0,
        })
    }

    /// For how many milliseconds the message has waited, at least.
    fn age(&self, moment: &Moment) -> u64 {
        let uptime = moment.now.as_millis();
        match (self.origin, moment.unix_millis()) {
            (Origin::Unix(made), Some(now)) => now.saturating_sub(made),
            (Origin::Uptime(made), _) if self.boot == moment.boot => uptime.saturating_sub(made),
            // It was made before this boot, nobody knows when.
            _ => uptime,
        }
    }

    /// How many seconds are left until it expires, 0 when it has; `None` when it never does.
    pub(super) fn left(&self, moment: &Moment) -> Option<u32> {
        let expiry = Some(self.delivery.expiry).filter(|expiry| *expiry > 0)?;
        let left = (u64::from(expiry) * 1000).saturating_sub(self.age(moment));
        // Rounded up, so that it is 0 only when the time is over.
        u32::try_from(left.div_ceil(1000)).ok()
    }

    /// Whether it is too old to be sent.
    pub(super) fn has_expired(&self, moment: &Moment) -> bool {
        self.left(moment) == Some(0)
    }

    /// What is told of the message when it is sent now.
    pub(super) fn properties(&self, moment: &Moment) -> Properties {
        let mut properties = Properties {
            expiry: self.left(moment).map(|seconds| seconds.max(1)),
            id: String::new(),
            origin: None,
        };
        if (self.boot, self.number) == (0, 0) {
            return properties;
        }
        // The bounds are those of the longest numbers.
        let (boot, number) = (self.boot, self.number);
        let _ = fmt::write(&mut properties.id, format_args!("{boot:08x}{number:08x}"));
        if self.waited {
            let (name, millis) = match (self.origin, moment.unix_at_zero) {
                (Origin::Unix(millis), _) => ("time", millis),
                (Origin::Uptime(made), Some(zero)) if boot == moment.boot => {
                    let zero = u64::try_from(zero / 1000).unwrap_or(0);
                    ("time", zero.saturating_add(made))
                }
                (Origin::Uptime(made), _) => ("uptime", made),
            };
            let mut time = String::new();
            let (seconds, millis) = (millis / 1000, millis % 1000);
            let _ = fmt::write(&mut time, format_args!("{seconds}.{millis:03}"));
            properties.origin = Some((name, time));
        }
        properties
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn at(seconds: u64, unix_at_zero: Option<i64>, boot: u32) -> Moment {
        Moment {
            now: Instant::from_millis(seconds * 1000 + 250),
            unix_at_zero: unix_at_zero.map(|seconds| seconds * 1_000_000),
            boot,
        }
    }

    /// When a message was made, as it is told: after it waited from one moment to the other.
    fn told(made: Moment, sent: Moment) -> (Option<&'static str>, std::string::String) {
        let mark = Mark {
            waited: true,
            ..Mark::new(Delivery::AT_LEAST_ONCE, 1, &made)
        };
        let mark = Mark::from_bytes(&mark.to_bytes()).unwrap();
        let origin = mark.properties(&sent).origin;
        origin.map_or((None, "".into()), |(name, time)| {
            (Some(name), time.as_str().into())
        })
    }

    #[test]
    fn a_time_of_origin_is_told_in_utc_as_soon_as_it_can_be_known_and_never_made_up() {
        let time = |text: &str| (Some("time"), text.into());
        let clock = Some(1_900_000_000);
        assert_eq!(
            told(at(5, clock, 1), at(9, None, 2)),
            time("1900000005.250")
        );
        assert_eq!(
            told(at(5, None, 1), at(9, clock, 1)),
            time("1900000005.250")
        );
        let uptime = (Some("uptime"), "5.250".into());
        assert_eq!(told(at(5, None, 1), at(9, None, 1)), uptime);
        // After a power cut nobody knows any more.
        assert_eq!(told(at(5, None, 1), at(9, clock, 2)), uptime);
    }

    #[test]
    fn a_message_expires_when_it_has_waited_so_long_as_far_as_is_known() {
        let mark = |moment| Mark::new(Delivery::AT_LEAST_ONCE.expiring_in(10), 1, &moment);
        let clock = Some(1_900_000_000);
        for (made, sent, left) in [
            (at(5, None, 1), at(5, None, 1), 10),
            (at(5, None, 1), at(14, clock, 1), 1),
            (at(5, None, 1), at(15, None, 1), 0),
            (at(5, clock, 1), at(3, Some(1_900_000_009), 2), 3),
            (at(5, clock, 1), at(5, Some(1_900_000_020), 2), 0),
            // The clock went back.
            (at(5, clock, 1), at(6, Some(1_800_000_000), 1), 10),
            // At least this boot's time has passed.
            (at(5, clock, 1), at(3, None, 2), 7),
            (at(500, None, 1), at(3, clock, 2), 7),
        ] {
            assert_eq!(mark(made).left(&sent), Some(left), "{made:?} {sent:?}");
        }
        assert_eq!(
            Mark::of(Delivery::AT_LEAST_ONCE).left(&at(9999, clock, 1)),
            None
        );
    }

    proptest! {
        #[test]
        fn a_mark_is_read_as_it_was_written(
            flags in 0u8..128, number: u32, boot: u32, expiry: u32, millis in 0u64..(1 << 41),
        ) {
            let mut bytes = Mark::new(Delivery::AT_LEAST_ONCE, number, &Moment {
                now: Instant::from_millis(millis), unix_at_zero: None, boot,
            }).to_bytes();
            bytes[0] = flags;
            bytes[16..].copy_from_slice(&expiry.to_le_bytes());
            match Mark::from_bytes(&bytes) {
                Some(mark) => prop_assert_eq!(mark.to_bytes(), bytes),
                None => prop_assert_eq!(flags & QOS, 3),
            }
        }
    }
}
