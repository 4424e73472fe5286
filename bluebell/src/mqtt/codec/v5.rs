//! MQTT 5.0 as a client needs it (OASIS standard, 7 March 2019).
//!
//! Every packet that a broker may send is checked in full: types, flags, lengths, texts, properties.
//! Not offered and so refused: enhanced authentication and topic aliases.

use super::properties::{self, Allowed, Value};
use super::wire::{Malformed, Reader, Writer};
use super::{
    Arrival, Codec, Connect, Connected, Incoming, Limits, Outgoing, Publication, Step, filters,
};
use crate::mqtt::reason::Reason;
use crate::mqtt::topic;
use crate::mqtt::types::QoS;

/// The codec of this version.
pub(in crate::mqtt) struct V5;

const CONNECT: u8 = 0x10;
const CONNACK: u8 = 0x20;
const PUBLISH: u8 = 0x30;
const PUBACK: u8 = 0x40;
const PUBREC: u8 = 0x50;
const PUBREL: u8 = 0x62;
const PUBCOMP: u8 = 0x70;
const SUBSCRIBE: u8 = 0x82;
const SUBACK: u8 = 0x90;
const PINGREQ: u8 = 0xC0;
const PINGRESP: u8 = 0xD0;
const DISCONNECT: u8 = 0xE0;

const AGAIN: u8 = 0x08;
const RETAIN: u8 = 0x01;

impl Codec for V5 {
    fn encode(&self, packet: &Outgoing<'_>, into: &mut [u8]) -> usize {
        let first = match packet {
            Outgoing::Connect(_) => CONNECT,
            Outgoing::Publish(publication) => {
                PUBLISH
                    | (publication.delivery.qos.bits() << 1)
                    | if publication.again { AGAIN } else { 0 }
                    | if publication.delivery.retain {
                        RETAIN
                    } else {
                        0
                    }
            }
            Outgoing::Step { step, .. } => match step {
                Step::Acknowledged => PUBACK,
                Step::Received => PUBREC,
                Step::Released => PUBREL,
                Step::Completed => PUBCOMP,
            },
            Outgoing::Subscribe { .. } => SUBSCRIBE,
            Outgoing::Ping => PINGREQ,
            Outgoing::Disconnect(_) => DISCONNECT,
        };
        let mut writer = Writer::new(into);
        writer.byte(first);
        writer.counted(&|writer| match packet {
            Outgoing::Connect(connect) => write_connect(writer, connect),
            Outgoing::Publish(publication) => write_publish(writer, publication),
            Outgoing::Step {
                identifier, reason, ..
            } => {
                writer.two_bytes(*identifier);
                if *reason != Reason::SUCCESS {
                    writer.byte(reason.0);
                }
            }
            Outgoing::Subscribe {
                identifier,
                subscriptions,
                range: (from, to),
            } => {
                writer.two_bytes(*identifier);
                writer.variable(0);
                for (_, filter, qos) in filters(*subscriptions, *from..*to) {
                    writer.binary(&[filter.as_bytes()]);
                    // Retained messages are sent anew and marked as such: a device that was away
                    // learns the present state.
                    writer.byte(qos.bits());
                }
            }
            Outgoing::Ping => {}
            Outgoing::Disconnect(reason) => {
                if *reason != Reason::SUCCESS {
                    writer.byte(reason.0);
                }
            }
        });
        writer.length()
    }

    fn decode<'p>(&self, first: u8, body: &'p [u8]) -> Result<Incoming<'p>, Malformed> {
        let mut reader = Reader::new(body);
        if first & 0xF0 == PUBLISH {
            return read_publish(first, reader).map(Incoming::Publish);
        }
        let packet = match first {
            CONNACK => Incoming::Connected(read_connack(&mut reader)?),
            PUBACK => read_step(Step::Acknowledged, &mut reader)?,
            PUBREC => read_step(Step::Received, &mut reader)?,
            PUBREL => read_step(Step::Released, &mut reader)?,
            PUBCOMP => read_step(Step::Completed, &mut reader)?,
            SUBACK => {
                let identifier = read_identifier(&mut reader)?;
                read_no_properties(&mut reader, Allowed::ANSWER)?;
                return Ok(Incoming::Subscribed {
                    identifier,
                    reasons: reader.rest(),
                });
            }
            PINGRESP => Incoming::Pong,
            DISCONNECT => {
                let reason = read_reason(&mut reader, Allowed::DISCONNECT)?;
                Incoming::Disconnect(reason)
            }
            _ => return Err(Malformed("a type or flags that no broker sends")),
        };
        if !reader.is_empty() {
            return Err(Malformed("bytes after its end"));
        }
        Ok(packet)
    }
}

fn write_connect(writer: &mut Writer<'_>, connect: &Connect<'_>) {
    writer.binary(&[b"MQTT"]);
    writer.byte(5);
    let will = connect.will_delivery;
    let flags = [
        (connect.clean_start, 0x02),
        (true, 0x04),
        (will.retain, 0x20),
        (!connect.password.is_empty(), 0x40),
        (!connect.user.is_empty(), 0x80),
    ];
    let set = |bits, (on, bit): (bool, u8)| if on { bits | bit } else { bits };
    writer.byte(flags.into_iter().fold(will.qos.bits() << 3, set));
    writer.two_bytes(connect.keep_alive);
    writer.counted(&|writer| {
        writer.byte(properties::SESSION_EXPIRY);
        writer.four_bytes(connect.session_expiry);
        writer.byte(properties::RECEIVE_MAXIMUM);
        writer.two_bytes(connect.receive_maximum);
        writer.byte(properties::MAXIMUM_PACKET);
        writer.four_bytes(connect.maximum_packet);
    });
    writer.binary(&[connect.client_id.as_bytes()]);
    writer.variable(0);
    writer.binary(&connect.will_topic);
    writer.binary(&[connect.will_payload]);
    if !connect.user.is_empty() {
        writer.binary(&[connect.user.as_bytes()]);
    }
    if !connect.password.is_empty() {
        writer.binary(&[connect.password.as_bytes()]);
    }
}

fn write_publish(writer: &mut Writer<'_>, publication: &Publication<'_>) {
    writer.binary(&publication.topic);
    if publication.delivery.qos != QoS::AtMostOnce {
        writer.two_bytes(publication.identifier);
    }
    writer.counted(&|writer| {
        let Some(properties) = publication.properties else {
            return;
        };
        if let Some(seconds) = properties.expiry {
            writer.byte(properties::MESSAGE_EXPIRY);
            writer.four_bytes(seconds);
        }
        let mut user_property = |name: &str, value: &str| {
            writer.byte(properties::USER_PROPERTY);
            writer.binary(&[name.as_bytes()]);
            writer.binary(&[value.as_bytes()]);
        };
        if !properties.id.is_empty() {
            user_property("id", &properties.id);
        }
        if let Some((name, time)) = &properties.origin {
            user_property(name, time);
        }
    });
    for piece in publication.payload {
        writer.bytes(piece);
    }
}

fn read_connack<'p>(reader: &mut Reader<'p>) -> Result<Connected<'p>, Malformed> {
    let session_present = match reader.byte()? {
        bit @ 0..=1 => bit == 1,
        _ => return Err(Malformed("reserved flags are set")),
    };
    let reason = Reason(reader.byte()?);
    let mut connected = Connected {
        reason,
        session_present,
        limits: Limits::NONE,
        assigned_client_id: "",
    };
    if reader.is_empty() {
        // A broker of an older version answers in its own words: "unacceptable protocol version".
        if reason == Reason(0x01) {
            connected.reason = Reason::UNSUPPORTED_VERSION;
        }
        return Ok(connected);
    }
    let limits = &mut connected.limits;
    let assigned = &mut connected.assigned_client_id;
    properties::read(reader, Allowed::CONNACK, &mut |identifier, value| {
        match (identifier, value) {
            (properties::RECEIVE_MAXIMUM | properties::MAXIMUM_PACKET, Value::Number(0)) => {
                return Err(Malformed("a maximum of zero"));
            }
            (properties::RECEIVE_MAXIMUM, Value::Number(number)) => {
                limits.receive_maximum = u16::try_from(number).unwrap_or(u16::MAX);
            }
            (properties::MAXIMUM_PACKET, Value::Number(number)) => limits.maximum_packet = number,
            (properties::MAXIMUM_QOS, Value::Number(number)) => {
                limits.maximum_qos = match number {
                    0 => QoS::AtMostOnce,
                    _ => QoS::AtLeastOnce,
                };
            }
            (properties::RETAIN_AVAILABLE, Value::Number(number)) => limits.retain = number != 0,
            (properties::SERVER_KEEP_ALIVE, Value::Number(number)) => {
                limits.keep_alive = u16::try_from(number).ok();
            }
            (properties::ASSIGNED_CLIENT_ID, Value::Text(text)) => *assigned = text,
            _ => {}
        }
        Ok(())
    })?;
    Ok(connected)
}

fn read_publish<'p>(first: u8, mut reader: Reader<'p>) -> Result<Arrival<'p>, Malformed> {
    let qos = QoS::from_bits((first >> 1) & 0x03).ok_or(Malformed("a QoS of 3"))?;
    let again = first & AGAIN != 0;
    if again && qos == QoS::AtMostOnce {
        return Err(Malformed("a QoS 0 message that is sent again"));
    }
    let topic = reader.text()?;
    topic::check(topic)
        .map_err(|_| Malformed("a message on an empty topic or one with wildcards"))?;
    let identifier = match qos {
        QoS::AtMostOnce => 0,
        _ => read_identifier(&mut reader)?,
    };
    properties::read(
        &mut reader,
        Allowed::PUBLISH,
        &mut |identifier, _| match identifier {
            properties::TOPIC_ALIAS => Err(Malformed("a topic alias, which was not offered")),
            _ => Ok(()),
        },
    )?;
    Ok(Arrival {
        topic,
        payload: reader.rest(),
        qos,
        retain: first & RETAIN != 0,
        again,
        identifier,
    })
}

fn read_step<'p>(step: Step, reader: &mut Reader<'p>) -> Result<Incoming<'p>, Malformed> {
    Ok(Incoming::Step {
        step,
        identifier: read_identifier(reader)?,
        reason: read_reason(reader, Allowed::ANSWER)?,
    })
}

fn read_identifier(reader: &mut Reader<'_>) -> Result<u16, Malformed> {
    match reader.two_bytes()? {
        0 => Err(Malformed("a packet identifier of zero")),
        identifier => Ok(identifier),
    }
}

/// A reason that may be left out, and properties that may be left out after it.
fn read_reason(reader: &mut Reader<'_>, allowed: Allowed) -> Result<Reason, Malformed> {
    if reader.is_empty() {
        return Ok(Reason::SUCCESS);
    }
    let reason = Reason(reader.byte()?);
    if !reader.is_empty() {
        read_no_properties(reader, allowed)?;
    }
    Ok(reason)
}

/// Properties that the client has no use for.
fn read_no_properties(reader: &mut Reader<'_>, allowed: Allowed) -> Result<(), Malformed> {
    properties::read(reader, allowed, &mut |_, _| Ok(()))
}
