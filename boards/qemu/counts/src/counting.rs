//! Counts the instructions of some futures, and not those of others beside them: what is counted is spent
//! between the beginning and the end of their polls, so that neither waiting nor the other side costs.

use core::cell::Cell;
use core::future::poll_fn;
use core::pin::pin;

use bluebell_qemu::measure::instructions;
use critical_section::Mutex;

/// A number of instructions.
pub(crate) type Count = u64;

#[derive(Clone, Copy)]
struct Counter {
    sum: Count,
    /// When the poll that is under way began.
    begun: Option<Count>,
}

static COUNTER: Mutex<Cell<Counter>> = Mutex::new(Cell::new(Counter {
    sum: 0,
    begun: None,
}));

/// What the counted futures have taken so far, a poll that is under way included.
pub(crate) fn counted_until_now() -> Count {
    let counter = critical_section::with(|section| COUNTER.borrow(section).get());
    counter.sum + counter.begun.map_or(0, |begun| instructions() - begun)
}

/// Runs a future and counts its instructions. Not to be used within itself.
pub(crate) async fn counted<F: Future>(future: F) -> F::Output {
    let mut future = pin!(future);
    poll_fn(|context| {
        begin();
        let polled = future.as_mut().poll(context);
        end();
        polled
    })
    .await
}

fn begin() {
    critical_section::with(|section| {
        let counter = COUNTER.borrow(section);
        let sum = counter.get().sum;
        counter.set(Counter {
            sum,
            begun: Some(instructions()),
        });
    });
}

fn end() {
    let sum = counted_until_now();
    critical_section::with(|section| COUNTER.borrow(section).set(Counter { sum, begun: None }));
}
