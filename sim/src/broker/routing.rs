//! From publishers to subscribers.

use std::collections::BTreeMap;

use embassy_time::Instant;
use mqtt_protocol_core::mqtt::connection::Event;
use mqtt_protocol_core::mqtt::packet::{Property, Qos, SubscriptionIdentifier, v5_0};
use mqtt_protocol_core::mqtt::result_code::{SubackReasonCode, UnsubackReasonCode};

use super::engine::{Engine, LinkId, remember};
use super::message::Message;
use super::session::{Outgoing, Session, Subscription, smaller};
use super::topics::{is_filter, is_topic, matches};

/// With so much unsent for a client, its messages wait in the session's queue instead.
const OUTPUT_LIMIT: usize = 16 * 1024;

impl Engine {
    /// A client published.
    pub(super) fn published(&mut self, now: Instant, id: LinkId, packet: &v5_0::Publish) {
        let client = self.links.get(&id).and_then(|link| link.client_id.clone());
        if !is_topic(packet.topic_name()) {
            let topic = packet.topic_name();
            self.faults
                .push(format!("{client:?}: published on {topic:?}"));
            return;
        }
        self.route(
            now,
            Message {
                at: now,
                client,
                topic: packet.topic_name().to_owned(),
                payload: packet.payload().as_slice().to_vec(),
                qos: packet.qos(),
                retain: packet.retain(),
                duplicate: packet.dup(),
                will: false,
                properties: packet.props().clone(),
            },
        );
    }

    /// Remembers a message, retains it where it asks for that, and sends it to whom it is for.
    pub(super) fn route(&mut self, now: Instant, message: Message) {
        let message = Message { at: now, ..message };
        if message.retain {
            if message.payload.is_empty() {
                self.retained.remove(&message.topic);
            } else {
                self.retained.insert(message.topic.clone(), message.clone());
            }
        }
        let mut busy = Vec::new();
        for (client_id, session) in &mut self.sessions {
            if session.offer(client_id, &message) {
                busy.extend(session.link);
            }
        }
        remember(&mut self.messages, message);
        self.routed += 1;
        for id in busy {
            self.pump(now, id);
        }
    }

    /// Sends a client what waits for it, as far as it and the connection can take it.
    pub(super) fn pump(&mut self, now: Instant, id: LinkId) {
        loop {
            let Some(link) = self.links.get_mut(&id).filter(|link| !link.closing) else {
                return;
            };
            let session = link
                .client_id
                .as_ref()
                .and_then(|client_id| self.sessions.get_mut(client_id));
            let Some(session) = session else {
                return;
            };
            let Some(next) = session.queue.front() else {
                return;
            };
            let window_full = link.in_flight.len() >= link.receive_maximum;
            if link.output.len() >= OUTPUT_LIMIT || (next.qos != Qos::AtMostOnce && window_full) {
                return;
            }
            let Some(next) = session.queue.pop_front() else {
                return;
            };
            if next.message.expires().is_some_and(|at| at <= now) {
                continue;
            }
            let packet_id = match next.qos {
                Qos::AtMostOnce => None,
                _ => match link.connection.acquire_packet_id() {
                    Ok(packet_id) => Some(packet_id),
                    Err(_) => {
                        session.queue.push_front(next);
                        return;
                    }
                },
            };
            match packet(now, &next, packet_id) {
                Some(packet) => {
                    let events = link.connection.send(packet.into());
                    link.in_flight.extend(packet_id);
                    let withheld = events
                        .iter()
                        .any(|event| matches!(event, Event::NotifyError(_)));
                    if withheld {
                        // Longer than the client takes: dropped without a word (MQTT-3.1.2-25).
                        link.in_flight.retain(|known| Some(*known) != packet_id);
                        if let Some(packet_id) = packet_id {
                            link.connection.release_packet_id(packet_id);
                        }
                        continue;
                    }
                    for event in events {
                        if let Event::RequestSendPacket { packet, .. } = event {
                            link.send(&packet);
                        }
                    }
                }
                None => self.faults.push(format!("cannot encode {next:?}")),
            }
        }
    }

    /// A client subscribes: it is answered, then sent what is retained.
    pub(super) fn subscribe(&mut self, now: Instant, id: LinkId, packet: &v5_0::Subscribe) {
        let identifier = packet.props().iter().find_map(|property| match property {
            Property::SubscriptionIdentifier(identifier) => Some(identifier.val()),
            _ => None,
        });
        let Engine {
            links,
            sessions,
            retained,
            faults,
            ..
        } = self;
        let client_id = links.get(&id).and_then(|link| link.client_id.as_ref());
        let Some(session) = client_id.and_then(|client_id| sessions.get_mut(client_id)) else {
            return;
        };
        let mut codes = Vec::new();
        for entry in packet.entries() {
            let filter = entry.topic_filter();
            let options = *entry.sub_opts();
            codes.push(if filter.starts_with("$share/") {
                SubackReasonCode::SharedSubscriptionsNotSupported
            } else if !is_filter(filter) {
                faults.push(format!("subscribed to {filter:?}"));
                SubackReasonCode::TopicFilterInvalid
            } else {
                let subscription = Subscription {
                    options,
                    identifier,
                };
                if session.subscribe(filter, subscription) {
                    offer_retained(retained, session, filter, options.qos(), identifier);
                }
                match options.qos() {
                    Qos::AtMostOnce => SubackReasonCode::GrantedQos0,
                    Qos::AtLeastOnce => SubackReasonCode::GrantedQos1,
                    Qos::ExactlyOnce => SubackReasonCode::GrantedQos2,
                }
            });
        }
        let answer = v5_0::Suback::builder()
            .packet_id(packet.packet_id())
            .reason_codes(codes)
            .build();
        match answer {
            Ok(answer) => self.say(now, id, answer.into()),
            Err(error) => self.faults.push(format!("SUBACK: {error:?}")),
        }
    }

    /// A client takes subscriptions back.
    pub(super) fn unsubscribe(&mut self, now: Instant, id: LinkId, packet: &v5_0::Unsubscribe) {
        let client_id = self.links.get(&id).and_then(|link| link.client_id.as_ref());
        let session = client_id.and_then(|client_id| self.sessions.get_mut(client_id));
        let Some(session) = session else {
            return;
        };
        let codes = packet
            .entries()
            .iter()
            .map(
                |filter| match session.subscriptions.remove(filter.as_str()) {
                    Some(_) => UnsubackReasonCode::Success,
                    None => UnsubackReasonCode::NoSubscriptionExisted,
                },
            )
            .collect::<Vec<_>>();
        let answer = v5_0::Unsuback::builder()
            .packet_id(packet.packet_id())
            .reason_codes(codes)
            .build();
        match answer {
            Ok(answer) => self.say(now, id, answer.into()),
            Err(error) => self.faults.push(format!("UNSUBACK: {error:?}")),
        }
    }
}

/// Queues what is retained for a new subscription.
fn offer_retained(
    retained: &BTreeMap<String, Message>,
    session: &mut Session,
    filter: &str,
    granted: Qos,
    identifier: Option<u32>,
) {
    for message in retained.values() {
        if matches(filter, &message.topic) {
            session.queue(Outgoing {
                qos: smaller(message.qos, granted as u8),
                message: message.clone(),
                retain: true,
                identifiers: identifier.into_iter().collect(),
            });
        }
    }
}

fn packet(now: Instant, next: &Outgoing, packet_id: Option<u16>) -> Option<v5_0::Publish> {
    let mut properties = next.message.properties_at(now);
    properties.extend(
        next.identifiers
            .iter()
            .filter_map(|identifier| SubscriptionIdentifier::new(*identifier).ok())
            .map(Property::from),
    );
    let mut packet = v5_0::Publish::builder()
        .topic_name(next.message.topic.as_str())
        .ok()?
        .qos(next.qos)
        .retain(next.retain)
        .payload(next.message.payload.clone())
        .props(properties);
    if let Some(packet_id) = packet_id {
        packet = packet.packet_id(packet_id);
    }
    packet.build().ok()
}
