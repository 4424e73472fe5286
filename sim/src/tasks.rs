//! Tasks that come and go on one thread: the servers of a simulated world, one for each connection.
//!
//! Guarantees: a spawned task is polled until it ends or its [`Tasks`] is dropped or cleared; a task
//! is only polled when it was woken.

use std::cell::{Cell, RefCell};
use std::convert::Infallible;
use std::future::{Future, poll_fn};
use std::pin::Pin;
use std::rc::Rc;
use std::task::{Poll, Waker};

use futures_util::stream::{FuturesUnordered, StreamExt};

type Task = Pin<Box<dyn Future<Output = ()>>>;

#[derive(Default)]
struct Shared {
    spawned: RefCell<Vec<Task>>,
    abandon: Cell<bool>,
    runner: RefCell<Option<Waker>>,
}

/// A handle to a set of tasks. Clones share the set; [`Tasks::run`] drives it.
#[derive(Clone, Default)]
pub struct Tasks {
    shared: Rc<Shared>,
}

impl Tasks {
    /// An empty set.
    pub fn new() -> Self {
        Self::default()
    }

    /// Adds a task; it is polled once the set runs.
    pub fn spawn(&self, task: impl Future<Output = ()> + 'static) {
        self.shared.spawned.borrow_mut().push(Box::pin(task));
        self.wake();
    }

    /// Drops every task there is now. Those spawned afterwards run.
    ///
    /// The tasks are dropped when the set is next polled, so a task may call this.
    pub fn clear(&self) {
        // A dropped task may spawn another, so the borrow ends before anything is dropped.
        let waiting = std::mem::take(&mut *self.shared.spawned.borrow_mut());
        drop(waiting);
        self.shared.abandon.set(true);
        self.wake();
    }

    /// Drives the tasks for ever. One runner at a time; dropping it drops the running tasks.
    pub async fn run(&self) -> Infallible {
        let mut running = FuturesUnordered::new();
        poll_fn(|context| {
            *self.shared.runner.borrow_mut() = Some(context.waker().clone());
            loop {
                if self.shared.abandon.take() {
                    running.clear();
                }
                running.extend(std::mem::take(&mut *self.shared.spawned.borrow_mut()));
                while let Poll::Ready(Some(())) = running.poll_next_unpin(context) {}
                if self.shared.spawned.borrow().is_empty() && !self.shared.abandon.get() {
                    return Poll::Pending;
                }
            }
        })
        .await
    }

    fn wake(&self) {
        if let Some(runner) = self.shared.runner.borrow_mut().take() {
            runner.wake();
        }
    }
}

#[cfg(test)]
mod tests {
    use std::cell::Cell;
    use std::rc::Rc;

    use embassy_futures::select::select;
    use embassy_time::{Duration, Instant, Timer};

    use super::Tasks;
    use crate::time::run_virtual;

    #[test]
    fn tasks_run_side_by_side_and_may_spawn_more() {
        let tasks = Tasks::new();
        let ended = Rc::new(Cell::new((0, 0)));
        let (inner, result) = (tasks.clone(), ended.clone());
        tasks.spawn(async move {
            Timer::after_secs(1).await;
            let result = result.clone();
            inner.spawn(async move {
                Timer::after_secs(1).await;
                result.set((result.get().0 + 1, Instant::now().as_secs()));
            });
        });
        run_virtual(select(tasks.run(), Timer::after(Duration::from_secs(5))));
        assert_eq!(ended.get(), (1, 2));
    }

    #[test]
    fn cleared_tasks_are_dropped_and_later_ones_run() {
        let tasks = Tasks::new();
        let count = Rc::new(Cell::new(0));
        for _ in 0..3 {
            let count = count.clone();
            tasks.spawn(async move {
                Timer::after_secs(2).await;
                count.set(count.get() + 1);
            });
        }
        run_virtual(select(tasks.run(), async {
            Timer::after_secs(1).await;
            tasks.clear();
            let count = count.clone();
            tasks.spawn(async move { count.set(count.get() + 10) });
            Timer::after_secs(5).await;
        }));
        assert_eq!(count.get(), 10);
    }
}
