//! What the application's side and the runner share.

use core::mem;

use embassy_sync::waitqueue::{MultiWakerRegistration, WakerRegistration};

use super::codec::PUBLISH_OVERHEAD;
use super::codec::v5::V5;
use super::inbox::{Inbox, Taken};
use super::keep::Progress;
use super::memory::MqttMemory;
use super::outbox::Outbox;
use super::received::Message;
use super::session::Session;
use super::transmit::Transmit;
use super::types::State;

pub(super) struct Shared<'m> {
    pub(super) session: Session,
    pub(super) inbox: Inbox<'m>,
    pub(super) outbox: Outbox<'m>,
    pub(super) progress: Progress,
    pub(super) transmit: Transmit<'m>,
    /// Empty while a runner reads into it.
    pub(super) receive: &'m mut [u8],
    /// Empty while the application holds a message.
    deliver: &'m mut [u8],
    /// Counts the messages that were taken out of the inbox.
    pub(super) delivered: u32,
    pub(super) state: State,
    /// Counts how often the device came online.
    pub(super) connections: u32,
    /// Those who wait for a message, for room, for an acknowledgement or for a state.
    pub(super) application: MultiWakerRegistration<4>,
    pub(super) runner: WakerRegistration,
}

impl<'m> Shared<'m> {
    pub(super) fn new<const P: usize, const I: usize, const O: usize, const T: usize>(
        memory: &'m mut MqttMemory<P, I, O, T>,
        progress: Progress,
    ) -> Self {
        Self {
            session: Session::new(&V5),
            inbox: Inbox::new(&mut memory.inbox),
            outbox: Outbox::new(&mut memory.outbox),
            progress,
            transmit: Transmit::new(&mut memory.transmit),
            receive: &mut memory.receive,
            deliver: &mut memory.deliver,
            delivered: 0,
            state: State::Offline,
            connections: 0,
            application: MultiWakerRegistration::new(),
            runner: WakerRegistration::new(),
        }
    }

    pub(super) fn wake_runner(&mut self) {
        self.runner.wake();
    }

    pub(super) fn set_state(&mut self, state: State) {
        if self.state != state {
            self.state = state;
            if state == State::Online {
                self.connections = self.connections.wrapping_add(1);
            }
            self.application.wake();
        }
    }

    /// Whether a QoS 1 or 2 message can ever be sent whose topic and payload have `length` bytes.
    pub(super) fn takes(&self, length: usize) -> bool {
        length.saturating_add(PUBLISH_OVERHEAD) <= self.transmit.capacity()
            && self.session.may_send(length)
            && self.outbox.fits(length).is_some()
    }

    /// Takes the next message out of the inbox, when no other is being handled.
    pub(super) fn deliver(&mut self) -> Option<Message<'m>> {
        let taken = self.inbox.take(self.deliver)?;
        // There is room in the inbox: the runner may read on.
        self.delivered = self.delivered.wrapping_add(1);
        self.wake_runner();
        Some(Message {
            buffer: mem::take(&mut self.deliver),
            taken,
        })
    }

    /// The application has handled a message.
    pub(super) fn handled(&mut self, buffer: &'m mut [u8], taken: &Taken) {
        let bytes = buffer.get(..taken.topic + taken.payload);
        self.session
            .handled(&taken.label, bytes.unwrap_or_default());
        self.deliver = buffer;
        self.wake_runner();
        self.application.wake();
    }
}
