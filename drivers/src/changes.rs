//! Tells a waiting future that something has changed.

use core::cell::{Cell, RefCell};
use core::future::poll_fn;
use core::task::Poll;

use embassy_sync::waitqueue::WakerRegistration;

/// A count of changes; futures of one task can wait for the next.
#[derive(Debug, Default)]
pub(crate) struct Changes {
    count: Cell<u32>,
    waker: RefCell<WakerRegistration>,
}

impl Changes {
    pub(crate) const fn new() -> Self {
        Self {
            count: Cell::new(0),
            waker: RefCell::new(WakerRegistration::new()),
        }
    }

    /// The count as it is, to be given to [`Changes::since`].
    pub(crate) fn count(&self) -> u32 {
        self.count.get()
    }

    pub(crate) fn announce(&self) {
        self.count.set(self.count.get().wrapping_add(1));
        self.waker.borrow_mut().wake();
    }

    /// Waits until there has been a change since `count`. Cancellation safe.
    pub(crate) fn since(&self, count: u32) -> impl Future<Output = ()> {
        poll_fn(move |context| {
            if self.count.get() != count {
                return Poll::Ready(());
            }
            self.waker.borrow_mut().register(context.waker());
            Poll::Pending
        })
    }
}
