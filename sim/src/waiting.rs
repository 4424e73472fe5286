//! Who waits for a change.

use std::cell::{Cell, RefCell};
use std::future::poll_fn;
use std::task::{Context, Poll, Waker};

use embassy_time::Instant;

/// Tasks that wait for something to change. Every one of them is woken and looks again.
#[derive(Debug, Default)]
pub(crate) struct Waiting(Vec<Waker>);

impl Waiting {
    /// Wakes this task at the next change.
    pub(crate) fn register(&mut self, context: &Context<'_>) {
        if !self.0.iter().any(|known| known.will_wake(context.waker())) {
            self.0.push(context.waker().clone());
        }
    }

    /// The change has come.
    pub(crate) fn wake(&mut self) {
        self.0.drain(..).for_each(Waker::wake);
    }
}

/// Wakes this task at `at`, where there is a time.
pub(crate) fn wake_at(context: &Context<'_>, at: Option<Instant>) {
    if let Some(at) = at {
        embassy_time_driver::schedule_wake(at.as_ticks(), context.waker());
    }
}

/// Something that changes now and then, with everyone who looks at it.
#[derive(Debug, Default)]
pub(crate) struct Changes {
    count: Cell<u64>,
    waiting: RefCell<Waiting>,
}

impl Changes {
    /// It has changed.
    pub(crate) fn happen(&self) {
        self.count.set(self.count.get() + 1);
        self.waiting.borrow_mut().wake();
    }

    /// Asks again after each change until there is an answer.
    pub(crate) async fn until<T>(&self, mut answer: impl FnMut() -> Option<T>) -> T {
        poll_fn(|context| match answer() {
            Some(answer) => Poll::Ready(answer),
            None => {
                self.waiting.borrow_mut().register(context);
                Poll::Pending
            }
        })
        .await
    }

    /// Waits for the next change.
    pub(crate) async fn next(&self) {
        let seen = self.count.get();
        self.until(|| (self.count.get() != seen).then_some(()))
            .await;
    }
}
