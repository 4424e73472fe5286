//! The power switch: what cuts the device off, at once and wherever it is.

use std::future::poll_fn;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::task::{Poll, Waker};

use tokio::sync::watch;

/// Why the power was cut.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Cut {
    /// The device is to boot again.
    Cycle,
    /// The board ends.
    Off,
}

#[derive(Debug, Default)]
struct Wish {
    cut: Option<Cut>,
    waker: Option<Waker>,
}

/// The switch, used by the panel and by signals, obeyed on the device's thread.
#[derive(Debug, Clone)]
pub(crate) struct Power {
    wish: Arc<Mutex<Wish>>,
    boots: watch::Sender<u64>,
}

impl Power {
    pub(crate) fn new() -> Self {
        Self {
            wish: Arc::default(),
            boots: watch::Sender::new(0),
        }
    }

    fn lock(&self) -> MutexGuard<'_, Wish> {
        self.wish.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Cuts the power, and has the device boot again. The receiver tells of the boot.
    pub(crate) fn cycle(&self) -> watch::Receiver<u64> {
        let mut boots = self.boots.subscribe();
        boots.mark_unchanged();
        self.cut(Cut::Cycle);
        boots
    }

    /// Cuts the power for good.
    pub(crate) fn off(&self) {
        self.cut(Cut::Off);
    }

    fn cut(&self, cut: Cut) {
        let mut wish = self.lock();
        if wish.cut != Some(Cut::Off) {
            wish.cut = Some(cut);
        }
        if let Some(waker) = wish.waker.take() {
            waker.wake();
        }
    }

    /// Says that the device boots: everything that lived before is gone.
    pub(crate) fn booted(&self) {
        self.boots.send_modify(|boots| *boots += 1);
    }

    /// Waits until the power is cut.
    pub(crate) async fn lost(&self) -> Cut {
        poll_fn(|context| {
            let mut wish = self.lock();
            match wish.cut {
                Some(Cut::Off) => Poll::Ready(Cut::Off),
                Some(Cut::Cycle) => {
                    wish.cut = None;
                    Poll::Ready(Cut::Cycle)
                }
                None => {
                    wish.waker = Some(context.waker().clone());
                    Poll::Pending
                }
            }
        })
        .await
    }
}
