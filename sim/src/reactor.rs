//! Sockets of this machine for the futures of one thread, and the loop that runs them.
//!
//! Guarantees: each thread has its own; a socket is registered once and the kernel is asked only when it has
//! said that there is something, so that many futures may wait on one socket at no cost; what was left for
//! the end of the turn is done before the thread sleeps; it sleeps when nothing can go on, until a socket, a
//! deadline or a waker of another thread calls.

use std::cell::RefCell;
use std::future::{Future, poll_fn};
use std::io;
use std::os::fd::{AsFd, OwnedFd};
use std::pin::pin;
use std::rc::Weak;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::task::{Context, Poll, Wake, Waker};
use std::time::Duration;

use rustix::buffer::spare_capacity;
use rustix::event::{EventfdFlags, Timespec, epoll, eventfd};

/// How many turns a future that always has more to do may take before the sockets are looked at.
const TURNS: u32 = 16;
/// How many events are taken at once.
const EVENTS: usize = 256;
/// What an event of the waker is called; sockets are numbered from 0.
const WAKER: u64 = u64::MAX;

/// Which way bytes go.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Direction {
    /// From the socket, or a connection to accept.
    In,
    /// Into the socket, or a connection that is being made.
    Out,
}

/// One direction of a socket.
#[derive(Default)]
struct Way {
    ready: bool,
    /// Nothing will ever block again: it is closed or broken.
    ended: bool,
    waiting: Vec<Waker>,
}

impl Way {
    fn open(&mut self, ended: bool) {
        self.ready = true;
        self.ended |= ended;
        self.waiting.drain(..).for_each(Waker::wake);
    }

    fn wait(&mut self, waker: &Waker) {
        if !self.waiting.iter().any(|other| other.will_wake(waker)) {
            self.waiting.push(waker.clone());
        }
    }
}

#[derive(Default)]
struct Ways {
    inward: Way,
    outward: Way,
}

impl Ways {
    fn of(&mut self, direction: Direction) -> &mut Way {
        match direction {
            Direction::In => &mut self.inward,
            Direction::Out => &mut self.outward,
        }
    }
}

/// Something that can wait until the futures have had their turn.
pub trait Remainder {
    /// Does it without blocking; `false` when it has to be tried again after the next event.
    fn finish(&self) -> bool;
}

/// The sockets of a thread.
struct Reactor {
    epoll: OwnedFd,
    alarm: Arc<Alarm>,
    sockets: Vec<Option<Ways>>,
    vacant: Vec<usize>,
    events: Vec<epoll::Event>,
    remainders: Vec<Weak<dyn Remainder>>,
}

thread_local! {
    static REACTOR: RefCell<Option<Reactor>> = const { RefCell::new(None) };
}

/// The reactor of this thread, made when it is first asked for.
fn with_reactor<T>(work: impl FnOnce(&mut Reactor) -> T) -> io::Result<T> {
    REACTOR.with_borrow_mut(|reactor| {
        if reactor.is_none() {
            *reactor = Some(Reactor::new()?);
        }
        reactor
            .as_mut()
            .map(work)
            .ok_or_else(|| io::ErrorKind::Other.into())
    })
}

impl Reactor {
    fn new() -> io::Result<Self> {
        let epoll = epoll::create(epoll::CreateFlags::CLOEXEC)?;
        let event = eventfd(0, EventfdFlags::CLOEXEC | EventfdFlags::NONBLOCK)?;
        let edge = epoll::EventFlags::IN | epoll::EventFlags::ET;
        epoll::add(&epoll, &event, epoll::EventData::new_u64(WAKER), edge)?;
        Ok(Self {
            epoll,
            alarm: Arc::new(Alarm {
                woken: AtomicBool::new(true),
                asleep: AtomicBool::new(false),
                event,
            }),
            sockets: Vec::new(),
            vacant: Vec::new(),
            events: Vec::with_capacity(EVENTS),
            remainders: Vec::new(),
        })
    }

    fn add(&mut self, socket: impl AsFd) -> io::Result<usize> {
        let index = self.vacant.pop().unwrap_or(self.sockets.len());
        let both = epoll::EventFlags::IN | epoll::EventFlags::OUT | epoll::EventFlags::RDHUP;
        let data = epoll::EventData::new_u64(index as u64);
        if let Err(error) = epoll::add(&self.epoll, socket, data, both | epoll::EventFlags::ET) {
            self.vacant.push(index);
            return Err(error.into());
        }
        // Whether it is ready the first attempt tells.
        let mut ways = Ways::default();
        ways.inward.ready = true;
        ways.outward.ready = true;
        match self.sockets.get_mut(index) {
            Some(place) => *place = Some(ways),
            None => self.sockets.push(Some(ways)),
        }
        Ok(index)
    }

    /// Takes what has happened, and sleeps until something does, or for `most`.
    fn look(&mut self, most: Option<Duration>) -> io::Result<()> {
        let most = most.map(|most| Timespec {
            tv_sec: most.as_secs().try_into().unwrap_or(i64::MAX),
            tv_nsec: most.subsec_nanos().into(),
        });
        self.events.clear();
        match epoll::wait(&self.epoll, spare_capacity(&mut self.events), most.as_ref()) {
            Ok(_) | Err(rustix::io::Errno::INTR) => {}
            Err(error) => return Err(error.into()),
        }
        // Awake again: those who are woken below need not ring.
        self.alarm.asleep.store(false, Ordering::SeqCst);
        for event in &self.events {
            let index = event.data.u64();
            if index == WAKER {
                // It is not read: each write to it is an edge of its own.
                continue;
            }
            let socket = usize::try_from(index).ok();
            let Some(Some(ways)) = socket.and_then(|index| self.sockets.get_mut(index)) else {
                continue;
            };
            let flags = event.flags;
            let broken = flags.intersects(epoll::EventFlags::HUP | epoll::EventFlags::ERR);
            let closed = broken || flags.contains(epoll::EventFlags::RDHUP);
            if closed || flags.contains(epoll::EventFlags::IN) {
                ways.inward.open(closed);
            }
            if broken || flags.contains(epoll::EventFlags::OUT) {
                ways.outward.open(broken);
            }
        }
        Ok(())
    }
}

/// Leaves `remainder` for the end of the turn: before the thread sleeps, or after a few turns of futures
/// that never rest. Nothing is left of what has been dropped by then.
///
/// # Errors
///
/// When the machine has no room for the thread's sockets.
pub fn leave(remainder: Weak<dyn Remainder>) -> io::Result<()> {
    with_reactor(|reactor| reactor.remainders.push(remainder))
}

/// Does what was left for the end of the turn.
fn finish() -> io::Result<()> {
    let mut remainders = with_reactor(|reactor| std::mem::take(&mut reactor.remainders))?;
    remainders.retain(|remainder| remainder.upgrade().is_some_and(|it| !it.finish()));
    with_reactor(|reactor| {
        // What is left over comes first, and the room is kept.
        remainders.append(&mut reactor.remainders);
        reactor.remainders = remainders;
    })
}

/// A socket that does not block, in the hands of the thread that made it.
#[derive(Debug)]
pub struct Source<S> {
    socket: S,
    index: usize,
    /// The reactor is the thread's.
    here: std::marker::PhantomData<*const ()>,
}

impl<S: AsFd> Source<S> {
    /// Watches over a socket, which must have been told not to block.
    ///
    /// # Errors
    ///
    /// When the machine has no room for it.
    pub fn new(socket: S) -> io::Result<Self> {
        let index = with_reactor(|reactor| reactor.add(&socket))??;
        Ok(Self {
            socket,
            index,
            here: std::marker::PhantomData,
        })
    }

    /// The socket.
    pub const fn get_ref(&self) -> &S {
        &self.socket
    }

    fn way<T>(&self, direction: Direction, work: impl FnOnce(&mut Way) -> T) -> io::Result<T> {
        with_reactor(|reactor| {
            let ways = reactor.sockets.get_mut(self.index);
            let ways = ways.and_then(Option::as_mut);
            ways.map(|ways| work(ways.of(direction)))
                .ok_or_else(|| io::ErrorKind::NotConnected.into())
        })?
    }

    /// Does `work` once the socket is ready for it, and again whenever it would have blocked.
    ///
    /// # Errors
    ///
    /// Those of `work`.
    ///
    /// # Cancellation safety
    ///
    /// Dropped before `work` has succeeded, it has done nothing.
    pub async fn when<T>(
        &self,
        direction: Direction,
        mut work: impl FnMut(&S) -> io::Result<T>,
    ) -> io::Result<T> {
        poll_fn(|context| {
            loop {
                let ready = self.way(direction, |way| {
                    if !way.ready {
                        way.wait(context.waker());
                    }
                    way.ready
                });
                match ready {
                    Ok(true) => {}
                    Ok(false) => return Poll::Pending,
                    Err(error) => return Poll::Ready(Err(error)),
                }
                match work(&self.socket) {
                    Err(error) if error.kind() == io::ErrorKind::WouldBlock => {
                        self.drained(direction)
                    }
                    Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                    done => return Poll::Ready(done),
                }
            }
        })
        .await
    }

    /// Says that the socket had no more to give, or to take, so that the kernel need not be asked.
    pub fn drained(&self, direction: Direction) {
        // It is there for as long as this is.
        let _ = self.way(direction, |way| way.ready = way.ended);
    }
}

impl<S> Drop for Source<S> {
    fn drop(&mut self) {
        // The kernel forgets the socket when it is closed, which is next. At the end of a thread the reactor
        // may be gone before.
        let _ = REACTOR.try_with(|reactor| {
            if let Ok(mut reactor) = reactor.try_borrow_mut()
                && let Some(reactor) = &mut *reactor
                && let Some(place) = reactor.sockets.get_mut(self.index)
            {
                *place = None;
                reactor.vacant.push(self.index);
            }
        });
    }
}

/// Wakes the loop of a thread.
struct Alarm {
    woken: AtomicBool,
    asleep: AtomicBool,
    event: OwnedFd,
}

impl Wake for Alarm {
    fn wake(self: Arc<Self>) {
        self.wake_by_ref();
    }

    fn wake_by_ref(self: &Arc<Self>) {
        self.woken.store(true, Ordering::SeqCst);
        if self.asleep.load(Ordering::SeqCst) {
            // It fails only when it is full, which wakes as well.
            let _ = rustix::io::write(&self.event, &1u64.to_ne_bytes());
        }
    }
}

/// Runs `future` on this thread, with its sockets; `pass` wakes what is due and says how long to sleep.
pub(crate) fn run<F: Future>(
    future: F,
    mut pass: impl FnMut() -> Option<Duration>,
) -> io::Result<F::Output> {
    let alarm = with_reactor(|reactor| reactor.alarm.clone())?;
    alarm.woken.store(true, Ordering::SeqCst);
    let waker = Waker::from(alarm.clone());
    let mut context = Context::from_waker(&waker);
    let mut future = pin!(future);
    let mut turn: u32 = 0;
    loop {
        if alarm.woken.swap(false, Ordering::SeqCst)
            && let Poll::Ready(output) = future.as_mut().poll(&mut context)
        {
            return Ok(output);
        }
        let sleep = pass();
        turn = turn.wrapping_add(1);
        if alarm.woken.load(Ordering::SeqCst) {
            if turn.is_multiple_of(TURNS) {
                finish()?;
                with_reactor(|reactor| reactor.look(Some(Duration::ZERO)))??;
            }
            continue;
        }
        finish()?;
        alarm.asleep.store(true, Ordering::SeqCst);
        // Who woke it before it was asleep has written nothing.
        let sleep = match alarm.woken.load(Ordering::SeqCst) {
            true => Some(Duration::ZERO),
            false => sleep,
        };
        let looked = with_reactor(|reactor| reactor.look(sleep));
        alarm.asleep.store(false, Ordering::SeqCst);
        looked??;
    }
}

#[cfg(test)]
mod tests {
    use std::cell::{Cell, RefCell};
    use std::io::{Read, Write};
    use std::net::{TcpListener, TcpStream};
    use std::rc::Rc;

    use embassy_futures::join::join;
    use embassy_futures::select::{Either, select};
    use embassy_futures::yield_now;
    use embassy_time::{Duration, Timer, with_timeout};

    use super::{Direction, Remainder, Source, leave};
    use crate::time::run_real;

    fn pair() -> (Source<TcpStream>, TcpStream) {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let peer = TcpStream::connect(listener.local_addr().unwrap()).unwrap();
        let (stream, _) = listener.accept().unwrap();
        stream.set_nonblocking(true).unwrap();
        (Source::new(stream).unwrap(), peer)
    }

    fn read_byte(mut stream: &TcpStream) -> std::io::Result<usize> {
        stream.read(&mut [0; 1])
    }

    #[test]
    fn a_socket_is_read_when_something_has_come_and_when_it_was_closed() {
        let (socket, mut peer) = pair();
        run_real(async {
            let early = socket.when(Direction::In, read_byte);
            assert!(
                with_timeout(Duration::from_millis(20), early)
                    .await
                    .is_err()
            );
            peer.write_all(b"ab").unwrap();
            assert_eq!(socket.when(Direction::In, read_byte).await.unwrap(), 1);
            socket.drained(Direction::In);
            peer.write_all(b"c").unwrap();
            assert_eq!(socket.when(Direction::In, read_byte).await.unwrap(), 1);
            drop(peer);
            for expected in [1, 0, 0] {
                assert_eq!(
                    socket.when(Direction::In, read_byte).await.unwrap(),
                    expected
                );
                socket.drained(Direction::In);
            }
        });
    }

    #[test]
    fn a_waker_of_another_thread_is_heard_while_this_one_sleeps() {
        let (sender, receiver) = std::sync::mpsc::channel::<std::task::Waker>();
        let other = std::thread::spawn(move || receiver.recv().unwrap().wake());
        let mut asked = false;
        run_real(std::future::poll_fn(|context| {
            if std::mem::replace(&mut asked, true) {
                return std::task::Poll::Ready(());
            }
            sender.send(context.waker().clone()).unwrap();
            std::task::Poll::Pending
        }));
        other.join().unwrap();
    }

    #[test]
    fn a_future_that_never_rests_leaves_the_sockets_their_turn() {
        let (socket, mut peer) = pair();
        let busy = async {
            loop {
                yield_now().await;
            }
        };
        let told = async {
            let read = socket.when(Direction::In, read_byte);
            let write = async { peer.write_all(b"x").unwrap() };
            join(read, write).await.0.unwrap()
        };
        let ended = run_real(select(busy, told));
        assert!(matches!(ended, Either::Second(1)));
    }

    #[test]
    fn what_is_left_is_done_after_the_turn_and_again_after_the_next_event_until_it_is() {
        struct Left(Cell<bool>, Rc<RefCell<Vec<&'static str>>>);
        impl Remainder for Left {
            fn finish(&self) -> bool {
                self.1.borrow_mut().push("tried");
                self.0.replace(true)
            }
        }
        let told = Rc::new(RefCell::new(Vec::new()));
        let tell = |what| told.borrow_mut().push(what);
        let left = Rc::new(Left(false.into(), told.clone()));
        run_real(async {
            let weak = Rc::downgrade(&left);
            leave(weak).unwrap();
            tell("left");
            yield_now().await;
            tell("yielded");
            for _ in 0..3 {
                Timer::after_millis(1).await;
                tell("slept");
            }
        });
        let expected = [
            "left", "yielded", "tried", "slept", "tried", "slept", "slept",
        ];
        assert_eq!(told.take(), expected);
    }

    #[test]
    fn all_who_wait_on_one_socket_are_woken() {
        let (socket, mut peer) = pair();
        run_real(async {
            let read = || socket.when(Direction::In, read_byte);
            let write = async {
                yield_now().await;
                peer.write_all(b"xy").unwrap();
            };
            let (both, ()) = join(join(read(), read()), write).await;
            assert_eq!((both.0.unwrap(), both.1.unwrap()), (1, 1));
        });
    }
}
