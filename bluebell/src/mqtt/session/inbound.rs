//! Messages from the broker that are not settled yet.
//!
//! Guarantees: a message is acknowledged after the application has handled it; one that the broker
//! sends again before that is not delivered again; one of QoS 1 that comes again because its PUBACK was lost with the
//! connection is acknowledged anew and not delivered again ([`acknowledged`](super::acknowledged)); QoS 2 messages are
//! delivered once in a session.
//!
//! A broker may send more messages at once than it was told to (mosquitto 2.0.11 does so as soon as the first
//! of a burst is acknowledged). That costs nothing but time: the next one is not read until there is a
//! slot. Where only releases are awaited, which come after what is not read yet, the oldest of these
//! messages is given up; its release is then answered as that of an unknown one.

use embassy_time::Instant;
use heapless::Vec;

use super::acknowledged::{Acknowledged, content};
use super::{IN_FLIGHT, Verdict};
use crate::mqtt::codec::{Arrival, Codec, Outgoing, Step};
use crate::mqtt::inbox::{Inbox, Label};
use crate::mqtt::reason::{Failure, Reason};
use crate::mqtt::transmit::{Put, Transmit};
use crate::mqtt::types::QoS;

/// How far a message has come.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Stage {
    /// The application has not handled it.
    Waiting,
    /// One of QoS 2 that was handled while the connection was away: the broker will send it again.
    Handled,
    /// PUBACK or PUBREC is to be sent.
    AnswerOwed,
    /// PUBREC was sent; PUBREL is awaited.
    AwaitingRelease,
    /// PUBCOMP is to be sent.
    CompletionOwed(Reason),
}

#[derive(Debug, Clone, Copy)]
struct Slot {
    identifier: u16,
    qos: QoS,
    stage: Stage,
    /// Whether it comes from an earlier connection and the broker has not spoken of it in this one.
    stale: bool,
}

/// The messages in the order in which they came.
#[derive(Debug)]
pub(super) struct Inbound {
    slots: Vec<Slot, IN_FLIGHT>,
    /// Those of QoS 1 that were handled and have no slot any more, or the slot of an answer.
    acknowledged: Acknowledged,
    /// Counts the sessions, so that a late answer is not given in the wrong one.
    generation: u16,
    /// Counts the answers that were written: each may have made room.
    answers: u32,
}

impl Inbound {
    pub(super) const fn new() -> Self {
        Self {
            slots: Vec::new(),
            acknowledged: Acknowledged::new(),
            generation: 0,
            answers: 0,
        }
    }

    /// The broker has begun a new session: what it knew of messages is gone.
    pub(super) fn forget(&mut self) {
        self.slots.clear();
        self.acknowledged.clear();
        self.generation = self.generation.wrapping_add(1);
    }

    /// The broker goes on with the session on another connection.
    pub(super) fn resumed(&mut self, now: Instant) {
        self.acknowledged.resumed(now);
    }

    /// From when on there have been messages of which the broker is to be asked, by a ping, whether it has their
    /// answers.
    pub(super) const fn doubtful_since(&self) -> Instant {
        self.acknowledged.since()
    }

    /// A ping was written.
    pub(super) fn pinged(&mut self, now: Instant) {
        self.acknowledged.pinged(now);
    }

    /// The broker has answered a ping.
    pub(super) fn ponged(&mut self) {
        self.acknowledged.ponged();
    }

    /// Changes whenever there may be room for a message that found none.
    pub(super) fn answers(&self) -> u32 {
        self.answers
    }

    /// The connection is gone; the broker will repeat what it has no answer to.
    pub(super) fn lost(&mut self) {
        self.acknowledged.lost();
        // Of QoS 1 those that were handled are known without a slot.
        let is_known =
            |slot: &Slot| slot.qos == QoS::AtLeastOnce && slot.stage == Stage::AnswerOwed;
        while let Some(index) = self.slots.iter().position(is_known) {
            self.slots.remove(index);
        }
        for slot in &mut self.slots {
            slot.stale = true;
            slot.stage = match slot.stage {
                Stage::AnswerOwed => Stage::Handled,
                Stage::CompletionOwed(_) => Stage::AwaitingRelease,
                stage => stage,
            };
        }
    }

    /// A message has arrived.
    pub(super) fn arrived(
        &mut self,
        arrival: &Arrival<'_>,
        inbox: &mut Inbox<'_>,
    ) -> Result<Verdict, Failure> {
        let label = Label {
            qos: arrival.qos,
            retain: arrival.retain,
            identifier: arrival.identifier,
            generation: self.generation,
        };
        if arrival.qos != QoS::AtMostOnce {
            if self.is_repetition(arrival.identifier, arrival.qos, arrival.again) {
                return Ok(Verdict::Taken);
            }
            if self.make_room() == Verdict::NoRoom {
                return Ok(Verdict::NoRoom);
            }
        }
        if arrival.qos == QoS::AtLeastOnce && arrival.again {
            let content = content(&[arrival.topic.as_bytes(), arrival.payload]);
            if self.acknowledged.contains(arrival.identifier, content) {
                self.acknowledged.add(arrival.identifier, content);
                self.add(arrival.identifier, arrival.qos, Stage::AnswerOwed)?;
                return Ok(Verdict::Taken);
            }
        }
        if !inbox.push(label, arrival.topic, arrival.payload) {
            return Ok(Verdict::NoRoom);
        }
        if arrival.qos != QoS::AtMostOnce {
            self.acknowledged.forget(arrival.identifier);
            self.add(arrival.identifier, arrival.qos, Stage::Waiting)?;
        }
        Ok(Verdict::Taken)
    }

    /// A message was too long and was passed by; it is answered as if it had been handled.
    pub(super) fn skipped(&mut self, qos: QoS, identifier: u16) -> Result<(), Failure> {
        if qos == QoS::AtMostOnce || self.is_repetition(identifier, qos, true) {
            return Ok(());
        }
        // It cannot be offered again: its bytes have gone by.
        if self.make_room() == Verdict::NoRoom {
            return Err(Failure::TooMany);
        }
        self.acknowledged.forget(identifier);
        self.add(identifier, qos, Stage::AnswerOwed)
    }

    /// The application has handled a message; `bytes` are its topic and its payload.
    pub(super) fn handled(&mut self, label: &Label, bytes: &[u8]) {
        if label.generation != self.generation || label.qos == QoS::AtMostOnce {
            return;
        }
        let waiting =
            |slot: &Slot| slot.identifier == label.identifier && slot.stage == Stage::Waiting;
        let Some(index) = self.slots.iter().position(waiting) else {
            return;
        };
        if label.qos == QoS::AtLeastOnce {
            self.acknowledged.add(label.identifier, content(&[bytes]));
        }
        let slot = &mut self.slots[index];
        match (slot.stale, label.qos) {
            (false, _) => slot.stage = Stage::AnswerOwed,
            (true, QoS::ExactlyOnce) => slot.stage = Stage::Handled,
            (true, _) => {
                self.slots.remove(index);
            }
        }
    }

    /// The broker will not repeat a QoS 2 message.
    pub(super) fn released(&mut self, identifier: u16) -> Result<Verdict, Failure> {
        let known =
            |slot: &&mut Slot| slot.identifier == identifier && slot.qos == QoS::ExactlyOnce;
        if let Some(slot) = self.slots.iter_mut().find(known) {
            slot.stage = Stage::CompletionOwed(Reason::SUCCESS);
            slot.stale = false;
            return Ok(Verdict::Taken);
        }
        if self.make_room() == Verdict::NoRoom {
            return Ok(Verdict::NoRoom);
        }
        let unknown = Stage::CompletionOwed(Reason::UNKNOWN_IDENTIFIER);
        self.add(identifier, QoS::ExactlyOnce, unknown)?;
        Ok(Verdict::Taken)
    }

    /// Writes the answers that are owed.
    pub(super) fn fill(
        &mut self,
        codec: &dyn Codec,
        now: Instant,
        transmit: &mut Transmit<'_>,
    ) -> Put {
        let mut index = 0;
        while let Some(slot) = self.slots.get_mut(index) {
            let (step, reason) = match (slot.stage, slot.qos) {
                (Stage::AnswerOwed, QoS::ExactlyOnce) => (Step::Received, Reason::SUCCESS),
                (Stage::AnswerOwed, _) => (Step::Acknowledged, Reason::SUCCESS),
                (Stage::CompletionOwed(reason), _) => (Step::Completed, reason),
                _ => {
                    index += 1;
                    continue;
                }
            };
            let packet = Outgoing::Step {
                step,
                identifier: slot.identifier,
                reason,
            };
            if transmit.put(codec, &packet, u32::MAX) != Put::Done {
                return Put::Later;
            }
            self.answers = self.answers.wrapping_add(1);
            if step == Step::Acknowledged {
                self.acknowledged.answered(now);
            }
            if step == Step::Received {
                slot.stage = Stage::AwaitingRelease;
                index += 1;
            } else {
                self.slots.remove(index);
            }
        }
        Put::Done
    }

    /// Whether a message is one that is here already; then its answer is owed once it was handled.
    fn is_repetition(&mut self, identifier: u16, qos: QoS, again: bool) -> bool {
        let Some(index) = self
            .slots
            .iter()
            .position(|slot| slot.identifier == identifier)
        else {
            return false;
        };
        let slot = &mut self.slots[index];
        // Under a QoS 1 identifier from an earlier connection only a marked message is the same one. A
        // QoS 2 identifier stands for one message until it is released, marked or not.
        if slot.qos != qos || (qos == QoS::AtLeastOnce && slot.stale && !again) {
            self.slots.remove(index);
            return false;
        }
        slot.stale = false;
        if slot.stage != Stage::Waiting {
            slot.stage = Stage::AnswerOwed;
        }
        true
    }

    /// Gives up a message where there is no free slot: one of which the broker no longer speaks, or, where
    /// no answer of the device's will make room, the oldest that awaits its release.
    fn make_room(&mut self) -> Verdict {
        if !self.slots.is_full() {
            return Verdict::Taken;
        }
        let stale = self.slots.iter().position(|slot| slot.stale);
        let is_answered = |slot: &Slot| slot.stage == Stage::AwaitingRelease;
        let oldest = self.slots.iter().all(is_answered).then_some(0);
        match stale.or(oldest) {
            Some(index) => {
                self.slots.remove(index);
                Verdict::Taken
            }
            None => Verdict::NoRoom,
        }
    }

    fn add(&mut self, identifier: u16, qos: QoS, stage: Stage) -> Result<(), Failure> {
        let slot = Slot {
            identifier,
            qos,
            stage,
            stale: false,
        };
        self.slots.push(slot).map_err(|_| Failure::TooMany)
    }
}
