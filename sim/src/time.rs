//! Time for a thread: the machine's own, or virtual time that passes as fast as the work allows.
//!
//! Guarantees: each thread has its own clock, so tests run side by side; virtual time stands still
//! while any future can make progress and then jumps to the next deadline, so that a run is
//! repeatable whatever the machine is doing. Work that keeps a chip's processor busy is told by
//! [`busy`]; how long that has kept all others waiting, [`longest_wait`] knows. This is the
//! `embassy-time` driver of the process.

use std::cell::RefCell;
use std::collections::{BTreeSet, HashMap};
use std::future::Future;
use std::pin::pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::task::{Context, Poll, Wake, Waker};
use std::time::{Duration, Instant as HostInstant};

use embassy_time_driver::Driver;

use crate::reactor;

/// Tells wakers apart: the addresses of a waker's data and table.
type WakerKey = (usize, usize);

enum Source {
    Real { start: HostInstant },
    Virtual { now: u64 },
}

/// A clock and its alarms. For each waker only the earliest deadline is kept: whoever is woken polls
/// all of its timers again, and those that are still pending come back here.
struct ThreadClock {
    source: Source,
    /// The longest that one poll of everything has taken in virtual time.
    longest_wait: u64,
    alarms: HashMap<WakerKey, (u64, Waker)>,
    order: BTreeSet<(u64, WakerKey)>,
}

impl ThreadClock {
    fn restart(&mut self, source: Source) {
        self.source = source;
        self.longest_wait = 0;
        self.alarms.clear();
        self.order.clear();
    }

    fn now(&self) -> u64 {
        match self.source {
            Source::Real { start } => {
                u64::try_from(start.elapsed().as_micros()).unwrap_or(u64::MAX)
            }
            Source::Virtual { now } => now,
        }
    }

    fn next(&self) -> Option<u64> {
        self.order.first().map(|(at, _)| *at)
    }

    fn schedule(&mut self, at: u64, waker: &Waker) {
        let key = (
            waker.data() as usize,
            std::ptr::from_ref(waker.vtable()) as usize,
        );
        match self.alarms.get(&key) {
            Some((set, _)) if *set <= at => return,
            Some((set, _)) => {
                self.order.remove(&(*set, key));
            }
            None => {}
        }
        self.order.insert((at, key));
        self.alarms.insert(key, (at, waker.clone()));
    }

    fn take_due(&mut self) -> Vec<Waker> {
        let now = self.now();
        let mut due = Vec::new();
        while let Some(&(at, key)) = self.order.first()
            && at <= now
        {
            self.order.pop_first();
            due.extend(self.alarms.remove(&key).map(|(_, waker)| waker));
        }
        due
    }
}

thread_local! {
    static CLOCK: RefCell<ThreadClock> = RefCell::new(ThreadClock {
        source: Source::Real { start: HostInstant::now() },
        longest_wait: 0,
        alarms: HashMap::new(),
        order: BTreeSet::new(),
    });
}

struct ThreadDriver;

impl Driver for ThreadDriver {
    fn now(&self) -> u64 {
        CLOCK.with_borrow(ThreadClock::now)
    }

    fn schedule_wake(&self, at: u64, waker: &Waker) {
        CLOCK.with_borrow_mut(|clock| clock.schedule(at, waker));
    }
}

embassy_time_driver::time_driver_impl!(static DRIVER: ThreadDriver = ThreadDriver);

struct Flag(AtomicBool);

impl Wake for Flag {
    fn wake(self: Arc<Self>) {
        self.0.store(true, Ordering::Release);
    }
}

/// Lets virtual time pass within a poll, as an operation does that keeps the processor to itself:
/// nobody else gets on meanwhile. Nothing in the machine's own time.
pub fn busy(time: embassy_time::Duration) {
    CLOCK.with_borrow_mut(|clock| {
        if let Source::Virtual { now } = &mut clock.source {
            *now = now.saturating_add(time.as_ticks());
        }
    });
}

/// The longest that everything else had to wait for one poll since [`run_virtual`] began.
pub fn longest_wait() -> embassy_time::Duration {
    embassy_time::Duration::from_ticks(CLOCK.with_borrow(|clock| clock.longest_wait))
}

/// So many polls without time passing are no progress: something wakes itself for ever.
const MOST_POLLS: u32 = 1_000_000;

/// Runs `future` in virtual time on this thread, which starts at zero.
///
/// Time moves only when nothing can make progress, and then straight to the next deadline.
///
/// # Panics
///
/// When the future can make no progress and waits for no deadline, or wakes itself again and again
/// while no time passes: it would hang for ever.
pub fn run_virtual<F: Future>(future: F) -> F::Output {
    CLOCK.with_borrow_mut(|clock| clock.restart(Source::Virtual { now: 0 }));
    let flag = Arc::new(Flag(AtomicBool::new(true)));
    let waker = Waker::from(flag.clone());
    let mut context = Context::from_waker(&waker);
    let mut future = pin!(future);
    loop {
        let mut polls = 0;
        while flag.0.swap(false, Ordering::AcqRel) {
            let before = CLOCK.with_borrow(ThreadClock::now);
            let polled = future.as_mut().poll(&mut context);
            let passed = CLOCK.with_borrow_mut(|clock| {
                let passed = clock.now() - before;
                clock.longest_wait = clock.longest_wait.max(passed);
                passed
            });
            if let Poll::Ready(output) = polled {
                return output;
            }
            polls = if passed > 0 { 0 } else { polls + 1 };
            assert!(
                polls < MOST_POLLS,
                "the future wakes itself again and again at {before} us"
            );
        }
        let due = CLOCK.with_borrow_mut(|clock| {
            let next = clock.next();
            if let (Source::Virtual { now }, Some(next)) = (&mut clock.source, next) {
                *now = next.max(*now);
            }
            clock.take_due()
        });
        assert!(
            !due.is_empty(),
            "the future waits for something that can never happen"
        );
        due.into_iter().for_each(Waker::wake);
    }
}

/// Runs `future` on this thread in the machine's own time, with the sockets of [`crate::reactor`].
///
/// Sockets of `async-io` work as well; its own thread serves them.
///
/// # Panics
///
/// When the machine has no room for one more thing to watch over sockets with.
pub fn run_real<F: Future>(future: F) -> F::Output {
    CLOCK.with_borrow_mut(|clock| {
        clock.restart(Source::Real {
            start: HostInstant::now(),
        })
    });
    let pass = || {
        let (due, sleep) = CLOCK.with_borrow_mut(|clock| {
            let due = clock.take_due();
            let sleep = clock.next().map(|at| at.saturating_sub(clock.now()));
            (due, sleep)
        });
        due.into_iter().for_each(Waker::wake);
        sleep.map(Duration::from_micros)
    };
    reactor::run(future, pass)
        .unwrap_or_else(|error| panic!("no sockets can be watched over: {error}; free some"))
}

#[cfg(test)]
mod tests {
    use embassy_futures::join::join;
    use embassy_time::{Duration, Instant, Timer};

    #[test]
    fn a_day_of_virtual_time_passes_at_once_and_in_order() {
        let order = super::run_virtual(async {
            let order = std::cell::RefCell::new(Vec::new());
            join(
                async {
                    Timer::after(Duration::from_secs(86_400)).await;
                    order.borrow_mut().push(("day", Instant::now().as_secs()));
                },
                async {
                    Timer::after(Duration::from_secs(1)).await;
                    order
                        .borrow_mut()
                        .push(("second", Instant::now().as_secs()));
                },
            )
            .await;
            order.into_inner()
        });
        assert_eq!(order, [("second", 1), ("day", 86_400)]);
    }

    #[test]
    fn real_time_wakes_a_timer_that_is_set_while_another_sleeps() {
        let earlier_first = super::run_real(async {
            let long = Timer::after(Duration::from_secs(30));
            let short = async {
                Timer::after(Duration::from_millis(5)).await;
                Timer::after(Duration::from_millis(5)).await;
            };
            matches!(
                embassy_futures::select::select(long, short).await,
                embassy_futures::select::Either::Second(())
            )
        });
        assert!(earlier_first);
    }

    #[test]
    fn work_that_keeps_the_processor_busy_makes_others_late_and_is_measured() {
        let late = super::run_virtual(async {
            let busy = async {
                Timer::after(Duration::from_millis(995)).await;
                super::busy(Duration::from_millis(45));
            };
            let other = async {
                Timer::after(Duration::from_secs(1)).await;
                Instant::now().as_millis()
            };
            join(busy, other).await.1
        });
        assert_eq!(late, 1_040);
        assert_eq!(super::longest_wait(), Duration::from_millis(45));
    }

    #[test]
    #[should_panic(expected = "wakes itself again and again")]
    fn a_future_that_spins_is_reported() {
        super::run_virtual(async {
            loop {
                embassy_futures::yield_now().await;
            }
        })
    }

    #[test]
    #[should_panic(expected = "can never happen")]
    fn a_future_that_can_never_go_on_is_reported() {
        super::run_virtual(std::future::pending::<()>());
    }
}
