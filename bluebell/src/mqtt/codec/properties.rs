//! The properties of MQTT 5.0 (section 2.2.2): checked in full, kept where the client needs them.

use super::wire::{Malformed, Reader};

pub(super) const MESSAGE_EXPIRY: u8 = 2;
pub(super) const SESSION_EXPIRY: u8 = 17;
pub(super) const ASSIGNED_CLIENT_ID: u8 = 18;
pub(super) const SERVER_KEEP_ALIVE: u8 = 19;
pub(super) const RECEIVE_MAXIMUM: u8 = 33;
pub(super) const TOPIC_ALIAS: u8 = 35;
pub(super) const MAXIMUM_QOS: u8 = 36;
pub(super) const RETAIN_AVAILABLE: u8 = 37;
pub(super) const USER_PROPERTY: u8 = 38;
pub(super) const MAXIMUM_PACKET: u8 = 39;
const SUBSCRIPTION_IDENTIFIER: u8 = 11;
const REASON_STRING: u8 = 31;

/// Which properties a kind of packet may have, as bits.
#[derive(Clone, Copy)]
pub(super) struct Allowed(u64);

impl Allowed {
    pub(super) const CONNACK: Self = Self::of(&[
        17, 18, 19, 21, 22, 26, 28, 31, 33, 34, 36, 37, 38, 39, 40, 41, 42,
    ]);
    pub(super) const PUBLISH: Self = Self::of(&[1, 2, 3, 8, 9, 11, 35, 38]);
    pub(super) const ANSWER: Self = Self::of(&[REASON_STRING, USER_PROPERTY]);
    pub(super) const DISCONNECT: Self = Self::of(&[17, 28, REASON_STRING, USER_PROPERTY]);

    const fn of(identifiers: &[u8]) -> Self {
        let mut bits = 0;
        let mut index = 0;
        while index < identifiers.len() {
            bits |= 1 << identifiers[index];
            index += 1;
        }
        Self(bits)
    }
}

/// A property's value.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Value<'p> {
    Number(u32),
    Text(&'p str),
    /// Bytes or a pair of texts, which the client has no use for.
    Other,
}

/// Reads a packet's properties, their length first, and shows each to `found`.
pub(super) fn read<'p>(
    reader: &mut Reader<'p>,
    allowed: Allowed,
    found: &mut dyn FnMut(u8, Value<'p>) -> Result<(), Malformed>,
) -> Result<(), Malformed> {
    let length = reader.variable()?;
    let mut properties = Reader::new(reader.take(length as usize)?);
    let mut seen = 0u64;
    while !properties.is_empty() {
        let identifier = properties.byte()?;
        let bit = 1u64
            .checked_shl(u32::from(identifier))
            .filter(|bit| allowed.0 & bit != 0)
            .ok_or(Malformed("a property that does not belong there"))?;
        let repeatable = matches!(identifier, USER_PROPERTY | SUBSCRIPTION_IDENTIFIER);
        if seen & bit != 0 && !repeatable {
            return Err(Malformed("a property that comes twice"));
        }
        seen |= bit;
        found(identifier, value(identifier, &mut properties)?)?;
    }
    Ok(())
}

fn value<'p>(identifier: u8, reader: &mut Reader<'p>) -> Result<Value<'p>, Malformed> {
    Ok(match identifier {
        1 | 36 | 37 | 40..=42 => match reader.byte()? {
            bit @ 0..=1 => Value::Number(u32::from(bit)),
            _ => return Err(Malformed("a property that is neither 0 nor 1")),
        },
        19 | 33..=35 => Value::Number(u32::from(reader.two_bytes()?)),
        2 | 17 | 39 => Value::Number(reader.four_bytes()?),
        11 => Value::Number(reader.variable()?),
        3 | 8 | 18 | 21 | 26 | 28 | 31 => Value::Text(reader.text()?),
        9 | 22 => reader.binary().map(|_| Value::Other)?,
        38 => {
            reader.text()?;
            reader.text()?;
            Value::Other
        }
        _ => return Err(Malformed("an unknown property")),
    })
}
