//! Messages to the broker that are not acknowledged yet.
//!
//! Guarantees: messages leave in the order of the outbox, at most `min(8, what the broker takes)` of them
//! unacknowledged, and once so many are, no more before half of them are acknowledged: what waits leaves
//! together, in one segment, in place of one for each acknowledgement; each stays in the outbox until the broker has acknowledged it (QoS 2: completed it);
//! an identifier is not used again while it is in flight. Where the session began in an earlier boot, a QoS 2 message is
//! not taken for one that a power cut interrupted under the same identifier.

use core::fmt;

use heapless::Vec;

use super::{IN_FLIGHT, Outlet, Report};
use crate::log::Level;
use crate::mqtt::codec::{Codec, Limits, Outgoing, Publication, Step};
use crate::mqtt::mark::Properties;
use crate::mqtt::outbox::{Outbox, Sequence, Stored};
use crate::mqtt::reason::{Failure, Reason};
use crate::mqtt::ring::Pieces;
use crate::mqtt::transmit::Put;
use crate::mqtt::types::{Delivery, QoS};

/// How far a message has come.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Stage {
    /// It was sent on an earlier connection and is to be sent again.
    Again,
    /// It was sent; PUBACK or PUBREC is awaited.
    Sent,
    /// PUBREL is to be sent.
    ReleaseOwed,
    /// PUBREL was sent; PUBCOMP is awaited.
    Released,
}

#[derive(Debug, Clone, Copy)]
struct Flight {
    sequence: Sequence,
    identifier: u16,
    stage: Stage,
    /// As what it was sent, which its answers have to fit.
    qos: QoS,
}

/// The messages in flight, in the order of the outbox.
#[derive(Debug, Default)]
pub(super) struct Outbound {
    flights: Vec<Flight, IN_FLIGHT>,
    /// The first message of the outbox that was not sent in this session.
    next: Sequence,
    last_identifier: u16,
    /// As many as may be were on their way, and half of them still are.
    is_window_shut: bool,
    /// The session is one of an earlier boot, of whose identifiers nothing is known.
    is_inherited: bool,
}

impl Outbound {
    /// The first message of the outbox that was not sent in this session.
    pub(super) const fn unsent(&self) -> Sequence {
        self.next
    }

    /// Identifiers are counted on from here.
    pub(super) const fn seed(&mut self, identifier: u16) {
        self.last_identifier = identifier;
    }

    /// The broker has begun a new session: all that is in the outbox is sent anew.
    pub(super) fn forget(&mut self, outbox: &Outbox<'_>) {
        self.flights.clear();
        self.is_window_shut = false;
        self.is_inherited = false;
        self.next = outbox.first();
    }

    /// The broker has kept the session, of this boot or of an earlier one: what it has not answered is repeated.
    pub(super) fn resume(&mut self, of_this_boot: bool) {
        self.is_inherited |= !of_this_boot;
        for flight in &mut self.flights {
            flight.stage = match flight.stage {
                Stage::Again | Stage::Sent => Stage::Again,
                Stage::ReleaseOwed | Stage::Released => Stage::ReleaseOwed,
            };
        }
    }

    /// An identifier that is neither in flight nor among those in `others`.
    pub(super) fn identifier(&mut self, others: [Option<u16>; 2]) -> u16 {
        loop {
            self.last_identifier = self.last_identifier.checked_add(1).unwrap_or(1);
            let identifier = self.last_identifier;
            let in_flight = self
                .flights
                .iter()
                .any(|flight| flight.identifier == identifier);
            if !in_flight && !others.contains(&Some(identifier)) {
                return identifier;
            }
        }
    }

    /// How many messages the broker has not acknowledged.
    pub(super) fn unacknowledged(&self) -> usize {
        self.flights
            .iter()
            .filter(|flight| flight.stage != Stage::Again)
            .count()
    }

    /// The broker has answered a message.
    ///
    /// # Errors
    ///
    /// When messages of this quality of service have no such answer (MQTT 5.0, section 4.3).
    pub(super) fn answered(
        &mut self,
        step: Step,
        identifier: u16,
        reason: Reason,
        outbox: &mut Outbox<'_>,
        report: Report<'_>,
    ) -> Result<(), Failure> {
        let known = |flight: &Flight| flight.identifier == identifier;
        let Some(index) = self.flights.iter().position(known) else {
            return Ok(());
        };
        let flight = &mut self.flights[index];
        if (step == Step::Acknowledged) != (flight.qos == QoS::AtLeastOnce) {
            return Err(Failure::Protocol("an answer for another QoS"));
        }
        let Some(stored) = outbox.peek(flight.sequence) else {
            return Ok(());
        };
        match (step, flight.stage) {
            (Step::Received, _) if !reason.is_refusal() => {
                flight.stage = Stage::ReleaseOwed;
                return Ok(());
            }
            (Step::Acknowledged | Step::Received, Stage::Sent) => {
                if reason.is_refusal() {
                    let topic = Shown(stored.topic);
                    report(
                        Level::Error,
                        format_args!("the broker did not take a message on {topic}: {reason}"),
                    );
                }
            }
            (Step::Completed, Stage::Released) => {}
            _ => return Ok(()),
        }
        outbox.pop(flight.sequence);
        self.flights.remove(index);
        Ok(())
    }

    /// Repeats what the broker has not answered.
    pub(super) fn fill_again(
        &mut self,
        codec: &dyn Codec,
        limits: &Limits,
        room: &mut usize,
        outlet: &mut Outlet<'_, '_>,
    ) -> Put {
        let mut index = 0;
        while let Some(flight) = self.flights.get_mut(index) {
            let put = match flight.stage {
                Stage::ReleaseOwed => {
                    let packet = Outgoing::Step {
                        step: Step::Released,
                        identifier: flight.identifier,
                        reason: Reason::SUCCESS,
                    };
                    flight.stage = Stage::Released;
                    let put = outlet.put(codec, &packet, limits);
                    if put != Put::Done {
                        flight.stage = Stage::ReleaseOwed;
                    }
                    put
                }
                Stage::Again if *room == 0 => return Put::Later,
                Stage::Again => match outlet.outbox.peek(flight.sequence) {
                    Some(stored) => {
                        let properties = stored.mark.properties(&outlet.moment);
                        let identifier = flight.identifier;
                        flight.qos = lowered(stored.mark.delivery, limits).qos;
                        let packet = publication(&stored, &properties, limits, identifier, true);
                        outlet.transmit.put(codec, &packet, limits.maximum_packet)
                    }
                    None => Put::Never,
                },
                Stage::Sent | Stage::Released => {
                    index += 1;
                    continue;
                }
            };
            match put {
                Put::Done => {
                    if flight.stage == Stage::Again {
                        flight.stage = Stage::Sent;
                        *room -= 1;
                    }
                    index += 1;
                }
                Put::Later => return Put::Later,
                Put::Never => {
                    outlet.outbox.pop(flight.sequence);
                    self.flights.remove(index);
                }
            }
        }
        Put::Done
    }

    /// Sends what was not sent before, as far as the broker takes it: `room` of a window of messages are free.
    pub(super) fn fill(
        &mut self,
        codec: &dyn Codec,
        limits: &Limits,
        [mut room, window]: [usize; 2],
        others: [Option<u16>; 2],
        outlet: &mut Outlet<'_, '_>,
    ) {
        if self.is_window_shut && room < window.div_ceil(2) {
            return;
        }
        self.is_window_shut = false;
        while room > 0
            && !self.flights.is_full()
            && let Some(stored) = outlet.outbox.peek(self.next)
        {
            let sequence = stored.sequence;
            if stored.mark.has_expired(&outlet.moment) {
                outlet.outbox.expire(sequence);
                self.next = sequence + 1;
                continue;
            }
            let before = self.last_identifier;
            let identifier = self.identifier(others);
            let delivery = lowered(stored.mark.delivery, limits);
            let properties = stored.mark.properties(&outlet.moment);
            if self.is_inherited && delivery.qos == QoS::ExactlyOnce {
                // Most often the broker answers that it knows of no such message, which is no error.
                let release = Outgoing::Step {
                    step: Step::Released,
                    identifier,
                    reason: Reason::SUCCESS,
                };
                if outlet.transmit.put(codec, &release, limits.maximum_packet) == Put::Later {
                    self.last_identifier = before;
                    return;
                }
            }
            let packet = publication(&stored, &properties, limits, identifier, false);
            match outlet.transmit.put(codec, &packet, limits.maximum_packet) {
                Put::Later => {
                    self.last_identifier = before;
                    return;
                }
                Put::Never => {
                    let topic = Shown(stored.topic);
                    (outlet.report)(
                        Level::Error,
                        format_args!(
                            "a message on {topic} is longer than the broker takes and was dropped: \
                             raise the broker's limit or send less"
                        ),
                    );
                    outlet.outbox.pop(sequence);
                }
                Put::Done if delivery.qos == QoS::AtMostOnce => outlet.outbox.pop(sequence),
                Put::Done => {
                    let flight = Flight {
                        sequence,
                        identifier,
                        stage: Stage::Sent,
                        qos: delivery.qos,
                    };
                    // There is room: it was asked for above.
                    let _ = self.flights.push(flight);
                    room -= 1;
                    self.is_window_shut = room == 0;
                }
            }
            self.next = sequence + 1;
        }
    }
}

fn publication<'a>(
    stored: &Stored<'a>,
    properties: &'a Properties,
    limits: &Limits,
    identifier: u16,
    again: bool,
) -> Outgoing<'a> {
    let delivery = lowered(stored.mark.delivery, limits);
    Outgoing::Publish(Publication {
        topic: stored.topic,
        payload: stored.payload,
        delivery,
        identifier,
        again: again && delivery.qos != QoS::AtMostOnce,
        properties: Some(properties),
    })
}

/// What of a delivery the broker offers.
pub(super) fn lowered(delivery: Delivery, limits: &Limits) -> Delivery {
    Delivery {
        qos: delivery.qos.min(limits.maximum_qos),
        retain: delivery.retain && limits.retain,
        ..delivery
    }
}

/// A topic in pieces, as text for the log.
struct Shown<'a>(Pieces<'a>);

impl fmt::Display for Shown<'_> {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        for chunk in self.0.iter().flat_map(|piece| piece.utf8_chunks()) {
            formatter.write_str(chunk.valid())?;
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn identifiers_are_never_zero_nor_in_use() {
        let mut outbound = Outbound::default();
        for identifier in [u16::MAX, 2] {
            let flight = Flight {
                sequence: 0,
                identifier,
                stage: Stage::Released,
                qos: QoS::ExactlyOnce,
            };
            outbound.flights.push(flight).unwrap();
        }
        outbound.seed(u16::MAX - 2);
        let others = [Some(1), Some(4)];
        let given: [u16; 4] = core::array::from_fn(|_| outbound.identifier(others));
        assert_eq!(given, [u16::MAX - 1, 3, 5, 6]);
    }
}
