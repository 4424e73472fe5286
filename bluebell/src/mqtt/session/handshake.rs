//! The beginning of a connection: greeting, subscriptions, birth.
//!
//! Guarantees: what the broker allows holds from its answer on; every filter is asked for on every
//! connection, whether the broker kept the session or not, so that the device learns the present state
//! of what is retained; a refusal is logged with its remedy and does not end the connection.

use core::ops::Range;

use embassy_time::{Duration, Instant};
use heapless::String;

use super::outbound::lowered;
use super::{Batch, Birth, IN_FLIGHT, Outlet, Phase, Report, Session};
use crate::log::Level;
use crate::mqtt::codec::{Connect, Connected, Limits, Outgoing, Publication, filters};
use crate::mqtt::reason::{Failure, Reason};
use crate::mqtt::topic;
use crate::mqtt::transmit::Put;
use crate::mqtt::types::{QoS, Settings, Subscriptions};

/// How long the broker may take to answer the subscriptions, at least.
const SUBSCRIBING: Duration = Duration::from_secs(10);

const STATUS: &[u8] = b"/status";
const BIRTH: &[u8] = b"online";
const WILL: &[u8] = b"offline";

impl Session {
    pub(super) fn taken_in(
        &mut self,
        answer: &Connected<'_>,
        now: Instant,
        outlet: &mut Outlet<'_, '_>,
    ) -> Result<(), Failure> {
        match answer.reason {
            Reason::SUCCESS => {}
            reason => {
                // A will that the broker does not offer is lowered for the next attempt.
                match reason {
                    Reason::NO_RETAIN => self.status.retain = false,
                    Reason::NO_QOS => self.status.qos = QoS::AtMostOnce,
                    _ => {}
                }
                return Err(Failure::Refused(reason));
            }
        }
        if answer.session_present && self.is_clean_start(outlet.settings) {
            return Err(Failure::Protocol(
                "an old session though a new one was asked for",
            ));
        }
        self.limits = answer.limits;
        let seconds = answer.limits.keep_alive.filter(|seconds| *seconds > 0);
        let seconds = seconds.unwrap_or(outlet.settings.keep_alive).max(1);
        self.keep_alive = Duration::from_secs(u64::from(seconds));
        if let Ok(identifier) = String::try_from(answer.assigned_client_id)
            && !identifier.is_empty()
        {
            self.assigned_client_id = identifier;
        }
        if answer.session_present {
            self.inbound.resumed(now);
            self.outbound.resume(self.established);
            self.birth = match self.birth {
                Birth::Sent(identifier) | Birth::Owed(Some(identifier)) => {
                    Birth::Owed(Some(identifier))
                }
                Birth::Owed(None) | Birth::Done => Birth::Owed(None),
            };
        } else {
            self.inbound.forget();
            self.outbound.forget(outlet.outbox);
            self.birth = Birth::Owed(None);
        }
        if !self.limits.retain {
            (outlet.report)(
                Level::Warn,
                format_args!("the broker keeps no retained messages: allow them at the broker"),
            );
        }
        self.established = true;
        self.phase = Phase::Subscribing;
        self.deadline = now.saturating_add(SUBSCRIBING.max(self.bound));
        Ok(())
    }

    fn is_clean_start(&self, settings: &Settings<'_>) -> bool {
        settings.clean_start && !self.established
    }

    pub(super) fn subscribed(
        &mut self,
        identifier: u16,
        reasons: &[u8],
        outlet: &mut Outlet<'_, '_>,
    ) -> Result<(), Failure> {
        let asked = self.batch.take_if(|batch| batch.identifier == identifier);
        let batch = asked.ok_or(Failure::Protocol("an answer that was not asked for"))?;
        let mut reasons = reasons.iter();
        for (_, filter, _) in filters(outlet.settings.subscriptions, batch.from..batch.to) {
            let answer = reasons.next().copied().map(Reason);
            let reason = answer.ok_or(Failure::Protocol("too few answers to SUBSCRIBE"))?;
            if reason.is_refusal() {
                (outlet.report)(
                    Level::Error,
                    format_args!("the broker refused the subscription to {filter}: {reason}"),
                );
            }
        }
        if reasons.next().is_some() {
            return Err(Failure::Protocol("too many answers to SUBSCRIBE"));
        }
        Ok(())
    }

    pub(super) fn greet(&mut self, outlet: &mut Outlet<'_, '_>) -> Put {
        let settings = outlet.settings;
        let client_id = match settings.client_id {
            "" => self.assigned_client_id.as_str(),
            client_id => client_id,
        };
        let connect = Connect {
            client_id,
            user: settings.user,
            password: settings.password,
            clean_start: self.is_clean_start(settings),
            keep_alive: settings.keep_alive,
            session_expiry: settings.session_expiry,
            receive_maximum: IN_FLIGHT as u16,
            maximum_packet: u32::try_from(outlet.receive_capacity).unwrap_or(u32::MAX),
            will_topic: [settings.base_topic.as_bytes(), STATUS],
            will_payload: WILL,
            will_delivery: self.status,
        };
        outlet.put(self.codec, &Outgoing::Connect(connect), &Limits::NONE)
    }

    /// Asks for as many subscriptions as fit into one packet, and for the next ones once those are
    /// answered.
    pub(super) fn fill_subscribe(&mut self, outlet: &mut Outlet<'_, '_>) -> Put {
        let subscriptions = outlet.settings.subscriptions;
        while subscriptions.get(self.subscribe).is_some() {
            if self.batch.is_some() {
                return Put::Later;
            }
            let identifier = self.outbound.identifier(self.other_identifiers());
            let from = self.subscribe;
            let packet = |to| Outgoing::Subscribe {
                identifier,
                subscriptions,
                range: (from, to),
            };
            let longest = (self.limits.maximum_packet as usize).min(outlet.transmit.capacity());
            let mut to = from;
            while subscriptions.get(to).is_some()
                && self.codec.encode(&packet(to + 1), &mut []) <= longest
            {
                to += 1;
            }
            // One that is too long for a packet of its own is passed by too.
            let after = to.max(from + 1);
            if filters(subscriptions, from..to).next().is_none() {
                report_refused(subscriptions, from..after, to, outlet.report);
                self.subscribe = after;
                continue;
            }
            if outlet.put(self.codec, &packet(to), &self.limits) != Put::Done {
                return Put::Later;
            }
            report_refused(subscriptions, from..to, to, outlet.report);
            self.batch = Some(Batch {
                identifier,
                from,
                to,
            });
            self.subscribe = to;
        }
        Put::Done
    }

    pub(super) fn fill_birth(&mut self, before: Option<u16>, outlet: &mut Outlet<'_, '_>) -> Put {
        let identifier =
            before.unwrap_or_else(|| self.outbound.identifier(self.other_identifiers()));
        let delivery = lowered(self.status, &self.limits);
        let packet = Outgoing::Publish(Publication {
            topic: [outlet.settings.base_topic.as_bytes(), STATUS],
            payload: [BIRTH, &[]],
            delivery,
            identifier,
            again: before.is_some() && delivery.qos != QoS::AtMostOnce,
            properties: None,
        });
        match outlet.put(self.codec, &packet, &self.limits) {
            Put::Later => return Put::Later,
            Put::Done if delivery.qos != QoS::AtMostOnce => self.birth = Birth::Sent(identifier),
            Put::Done | Put::Never => self.birth = Birth::Done,
        }
        Put::Done
    }
}

/// Logs what of a range is not subscribed to: all from `too_long` on, and what is no filter.
fn report_refused(
    subscriptions: &dyn Subscriptions,
    range: Range<usize>,
    too_long: usize,
    report: Report<'_>,
) {
    for index in range {
        let Some((filter, _)) = subscriptions.get(index) else {
            return;
        };
        if let Err(error) = topic::check_filter(filter) {
            report(
                Level::Error,
                format_args!("{filter} cannot be subscribed to: {error}"),
            );
        } else if index >= too_long {
            report(
                Level::Error,
                format_args!(
                    "a subscription is too long: make the filter shorter or MqttMemory larger"
                ),
            );
        }
    }
}
