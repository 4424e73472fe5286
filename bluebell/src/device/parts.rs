//! What an application is made of: subscriptions, jobs, buttons and tasks, as a typed list.
//!
//! Each part runs in a future of its own beside the others, so that one that hangs stops none of the
//! rest. The list is built by [`Device`](super::Device)'s methods and walked with `join`: no
//! allocation, no dynamic dispatch. A part adds to a list's futures only what it has: the compiler follows
//! types no more than 128 deep unless an application says so, and each future in another counts several times.

use core::fmt;
use core::future::ready;

use drivers::{Button, Countdown, Press};
use embassy_futures::join::join;
use embassy_sync::blocking_mutex::raw::NoopRawMutex;
use embassy_sync::channel::Channel;
use embassy_time::{TimeoutError, with_timeout};
use embedded_hal::digital::InputPin;
use embedded_hal_async::digital::Wait;

use super::{Handle, Message};
use crate::jobs::Job;
use crate::log;
use crate::mqtt::{QoS, Subscriptions};

/// A list of parts.
pub trait Parts {
    /// Reports each subscription's filter, in the order in which they were made.
    fn subscriptions(&self, visit: &mut dyn FnMut(&'static str, QoS));

    /// Hands a message to every subscription whose filter matches.
    fn deliver(&self, message: &Message<'_>, device: Handle<'_>) -> impl Future<Output = ()>;

    /// Writes the value `name` as JSON; `None` when no part has it.
    fn value(&self, name: &str, json: &mut dyn fmt::Write) -> Option<fmt::Result>;

    /// Runs jobs, buttons and tasks.
    fn run(&self, device: Handle<'_>) -> impl Future;
}

/// One part; each kind overrides what it has.
pub trait Part {
    /// The subscription's filter, if this is one.
    fn subscription(&self) -> Option<(&'static str, QoS)> {
        None
    }

    /// Hands a message to the rest of the list, then to this part if it is meant.
    fn deliver_after<L: Parts>(
        &self,
        rest: &L,
        message: &Message<'_>,
        device: Handle<'_>,
    ) -> impl Future<Output = ()> {
        rest.deliver(message, device)
    }

    /// Writes the value `name` as JSON, if this part has it.
    fn value(&self, _name: &str, _json: &mut dyn fmt::Write) -> Option<fmt::Result> {
        None
    }

    /// What this part does by itself.
    async fn run(&self, _device: Handle<'_>) {}

    /// Runs the rest of the list and this part, if it does anything by itself.
    fn run_beside<L: Parts>(&self, rest: &L, device: Handle<'_>) -> impl Future {
        join(rest.run(device), self.run(device))
    }
}

/// The empty list.
#[derive(Debug, Clone, Copy)]
pub struct End;

impl Parts for End {
    fn subscriptions(&self, _visit: &mut dyn FnMut(&'static str, QoS)) {}

    fn value(&self, _name: &str, _json: &mut dyn fmt::Write) -> Option<fmt::Result> {
        None
    }

    fn deliver(&self, _message: &Message<'_>, _device: Handle<'_>) -> impl Future<Output = ()> {
        ready(())
    }

    fn run(&self, _device: Handle<'_>) -> impl Future {
        ready(())
    }
}

/// A list with one part more.
#[derive(Debug)]
pub struct With<P, L> {
    pub(super) part: P,
    pub(super) rest: L,
}

impl<P: Part, L: Parts> Parts for With<P, L> {
    fn subscriptions(&self, visit: &mut dyn FnMut(&'static str, QoS)) {
        self.rest.subscriptions(visit);
        if let Some((filter, qos)) = self.part.subscription() {
            visit(filter, qos);
        }
    }

    fn value(&self, name: &str, json: &mut dyn fmt::Write) -> Option<fmt::Result> {
        match self.part.value(name, json) {
            Some(written) => Some(written),
            None => self.rest.value(name, json),
        }
    }

    fn deliver(&self, message: &Message<'_>, device: Handle<'_>) -> impl Future<Output = ()> {
        self.part.deliver_after(&self.rest, message, device)
    }

    fn run(&self, device: Handle<'_>) -> impl Future {
        self.part.run_beside(&self.rest, device)
    }
}

/// A callback for the messages of one filter.
#[derive(Debug)]
pub struct Subscription<F> {
    pub(super) filter: &'static str,
    pub(super) qos: QoS,
    pub(super) callback: F,
}

impl<F: AsyncFn(&Message<'_>, Handle<'_>)> Part for Subscription<F> {
    fn subscription(&self) -> Option<(&'static str, QoS)> {
        Some((self.filter, self.qos))
    }

    async fn deliver_after<L: Parts>(&self, rest: &L, message: &Message<'_>, device: Handle<'_>) {
        rest.deliver(message, device).await;
        if crate::mqtt::topic::matches(self.filter, message.topic()) {
            let callback = (self.callback)(message, device);
            let done = with_timeout(device.callback_limit(), callback).await;
            in_time(done, device, "message", self.filter);
        }
    }

    fn run_beside<L: Parts>(&self, rest: &L, device: Handle<'_>) -> impl Future {
        rest.run(device)
    }
}

/// A callback for the runs of one job.
#[derive(Debug)]
pub struct Scheduled<F> {
    pub(super) job: Job,
    pub(super) callback: F,
}

impl<F: AsyncFn(Handle<'_>)> Part for Scheduled<F> {
    async fn run(&self, device: Handle<'_>) {
        let jobs = device.jobs();
        let name = self.job.name();
        let id = match jobs.register(self.job) {
            Ok(id) => id,
            Err(error) => {
                log!(
                    device,
                    Error,
                    "jobs",
                    "{name:?} cannot be scheduled: {error}"
                );
                return;
            }
        };
        loop {
            // Held while the callback runs: a slot that comes meanwhile is skipped.
            let _run = jobs.due(id).await;
            let done = with_timeout(device.callback_limit(), (self.callback)(device)).await;
            in_time(done, device, "job", name);
        }
    }
}

/// A callback for the presses of one button.
pub struct Pressed<'b, P, F> {
    pub(super) button: &'b Button<P>,
    pub(super) callback: F,
}

impl<P: Wait + InputPin, F: AsyncFn(Press, Handle<'_>)> Part for Pressed<'_, P, F> {
    async fn run(&self, device: Handle<'_>) {
        let call = async |press| (self.callback)(press, device).await;
        watch(self.button, device, |_| true, call).await;
    }
}

/// A callback for each time that a button goes down.
pub struct WentDown<'b, P, F> {
    pub(super) button: &'b Button<P>,
    pub(super) callback: F,
}

impl<P: Wait + InputPin, F: AsyncFn(Handle<'_>)> Part for WentDown<'_, P, F> {
    async fn run(&self, device: Handle<'_>) {
        let call = async |_| (self.callback)(device).await;
        watch(self.button, device, |press| press == Press::Pressed, call).await;
    }
}

/// Calls back for what is done with a button, where it is `meant`. The button is watched on while a
/// callback runs: what is done meanwhile waits for its turn.
async fn watch<P: Wait + InputPin>(
    button: &Button<P>,
    device: Handle<'_>,
    meant: fn(Press) -> bool,
    callback: impl AsyncFn(Press),
) {
    let presses = Channel::<NoopRawMutex, Press, 8>::new();
    let take = async {
        loop {
            match button.event().await {
                Ok(press) if !meant(press) || presses.try_send(press).is_ok() => {}
                Ok(press) => log!(device, Warn, "app", "{press:?} is dropped: too many wait"),
                Err(error) => log!(device, Debug, "app", "a button's pin failed: {error:?}"),
            }
        }
    };
    let call = async {
        loop {
            let press = presses.receive().await;
            let done = with_timeout(device.callback_limit(), callback(press)).await;
            in_time(done, device, "button", "");
        }
    };
    join(take, call).await;
}

/// A callback for each end of a countdown.
#[derive(Debug)]
pub struct Expired<'c, F> {
    pub(super) countdown: &'c Countdown,
    pub(super) callback: F,
}

impl<F: AsyncFn(Handle<'_>)> Part for Expired<'_, F> {
    async fn run(&self, device: Handle<'_>) {
        loop {
            self.countdown.expired().await;
            let done = with_timeout(device.callback_limit(), (self.callback)(device)).await;
            in_time(done, device, "countdown", "");
        }
    }
}

/// A callback for each time that the device comes online.
#[derive(Debug)]
pub struct CameOnline<F> {
    pub(super) callback: F,
}

impl<F: AsyncFn(Handle<'_>)> Part for CameOnline<F> {
    async fn run(&self, device: Handle<'_>) {
        let mut connection = 0;
        loop {
            connection = device.shared.mqtt.connection_after(connection).await;
            let done = with_timeout(device.callback_limit(), (self.callback)(device)).await;
            in_time(done, device, "online", "");
        }
    }
}

/// A future that runs beside everything else, without a limit of time.
#[derive(Debug)]
pub struct Task<F> {
    pub(super) task: F,
}

impl<F: AsyncFn(Handle<'_>)> Part for Task<F> {
    async fn run(&self, device: Handle<'_>) {
        (self.task)(device).await;
    }
}

/// A value of the application, written as JSON whenever somebody asks for it.
#[derive(Debug)]
pub struct Shown<F> {
    pub(super) name: &'static str,
    pub(super) write: F,
}

impl<F: Fn(&mut dyn fmt::Write) -> fmt::Result> Part for Shown<F> {
    fn value(&self, name: &str, json: &mut dyn fmt::Write) -> Option<fmt::Result> {
        (name == self.name).then(|| (self.write)(json))
    }

    fn run_beside<L: Parts>(&self, rest: &L, device: Handle<'_>) -> impl Future {
        rest.run(device)
    }
}

/// The values of a list, for the portal.
pub(super) trait Values {
    /// Writes the value `name` as JSON; `None` when there is none.
    fn value(&self, name: &str, json: &mut dyn fmt::Write) -> Option<fmt::Result>;
}

/// The values of a list of parts.
pub(super) struct ValuesOf<'l, L>(pub(super) &'l L);

impl<L: Parts> Values for ValuesOf<'_, L> {
    fn value(&self, name: &str, json: &mut dyn fmt::Write) -> Option<fmt::Result> {
        self.0.value(name, json)
    }
}

/// Logs a callback that had its time and was dropped. It is not waited for here: a callback that is an
/// argument of a future takes its room twice.
fn in_time(done: Result<(), TimeoutError>, device: Handle<'_>, kind: &str, name: &str) {
    if done.is_err() {
        let limit = device.callback_limit().as_millis();
        log!(
            device,
            Warn,
            "app",
            "the callback for {kind} {name:?} took over {limit} ms and was dropped"
        );
    }
}

/// The filters of a list, as the session asks for them.
pub(super) struct Filters<'l, L>(pub(super) &'l L);

impl<L: Parts> Subscriptions for Filters<'_, L> {
    fn get(&self, index: usize) -> Option<(&str, QoS)> {
        let (mut position, mut found) = (0, None);
        self.0.subscriptions(&mut |filter, qos| {
            if position == index {
                found = Some((filter, qos));
            }
            position += 1;
        });
        found
    }
}
