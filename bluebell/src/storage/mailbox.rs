//! How clients hand a request to the one owner of the flash.
//!
//! Guarantees: one request at a time; a request that has been handed over is carried out whether its
//! client still lives or not; a client or an owner that is dropped at any await leaves the mailbox usable
//! for all others.

use core::cell::{Cell, RefCell};
use core::future::poll_fn;
use core::task::{Context, Poll};

use embassy_futures::yield_now;
use embassy_sync::waitqueue::{MultiWakerRegistration, WakerRegistration};
use zeroize::Zeroize;

use super::{Key, LogCursor, Place};

/// How many tasks can wait without waking each other needlessly.
const WAITING: usize = 8;

/// What a client asks for; what has many bytes is in the mailbox's buffer.
#[derive(Debug, Clone, Copy)]
pub(super) enum Request {
    /// The value of a key, if it has at most so many bytes.
    Get { key: Key, most: usize },
    /// To store the buffer's first `length` bytes.
    Put {
        key: Key,
        length: usize,
        secret: bool,
    },
    /// To forget a key.
    Forget { key: Key },
    /// The first key after `after` that begins with `prefix`.
    NextKey {
        prefix: Option<Key>,
        after: Option<Key>,
    },
    /// To append the buffer's first `length` bytes to the log.
    LogAppend { length: usize },
    /// Up to `most` bytes of the log.
    LogRead { cursor: LogCursor, most: usize },
    /// To have a message wait: the buffer's first `length` bytes, of which `name` are its name.
    Push {
        length: usize,
        name: u16,
        latest: bool,
    },
    /// The first message after this one that waits.
    NextWaiting { after: u32 },
    /// A message waits no more.
    Settle { place: Place },
    /// No message waits any more.
    SettleAll,
}

/// What came of a request; what has many bytes is in the mailbox's buffer.
#[derive(Debug, Clone, Copy)]
pub(super) enum Outcome {
    /// It is done.
    Done,
    /// There is no such thing.
    Nothing,
    /// The buffer's first so many bytes.
    Value(usize),
    /// A key.
    Key(Key),
    /// The buffer's first so many bytes, and where the log goes on.
    Chunk(usize, LogCursor),
    /// A message that waits: the buffer's first `length` bytes.
    Waiting {
        place: Place,
        name: usize,
        length: usize,
    },
}

/// Why a request was not carried out.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Failure {
    BufferTooSmall {
        needed: usize,
    },
    TooLong {
        most: usize,
    },
    Full,
    Flash,
    /// The client had nothing to ask after all.
    Withdrawn,
}

pub(super) type Answer = Result<Outcome, Failure>;

#[derive(Clone, Copy)]
enum State {
    /// Free for the next client.
    Idle,
    /// A request waits for the owner.
    Asked(Request),
    /// The owner is at it.
    Working,
    /// An answer waits for the client.
    Answered(Answer),
}

/// See the module.
pub(super) struct Mailbox<'m> {
    state: Cell<State>,
    /// The client of the current request is gone.
    abandoned: Cell<bool>,
    buffer: RefCell<&'m mut [u8]>,
    owner: RefCell<WakerRegistration>,
    clients: RefCell<MultiWakerRegistration<WAITING>>,
}

/// Gives the mailbox up when a client goes, at whatever point.
struct Turn<'a, 'm>(&'a Mailbox<'m>);

impl Drop for Turn<'_, '_> {
    fn drop(&mut self) {
        match self.0.state.get() {
            State::Asked(_) | State::Working => self.0.abandoned.set(true),
            State::Answered(_) | State::Idle => self.0.release(),
        }
    }
}

impl<'m> Mailbox<'m> {
    pub(super) fn new(buffer: &'m mut [u8]) -> Self {
        Self {
            state: Cell::new(State::Idle),
            abandoned: Cell::new(false),
            buffer: RefCell::new(buffer),
            owner: RefCell::new(WakerRegistration::new()),
            clients: RefCell::new(MultiWakerRegistration::new()),
        }
    }

    /// Hands over a request when it is this client's turn, and waits for the answer.
    ///
    /// `ask` fills the buffer and makes the request; `take` sees the buffer with the answer. Both are
    /// called without any await in between their doing and the mailbox's.
    pub(super) async fn ask(
        &self,
        ask: &mut dyn FnMut(&mut [u8]) -> Result<Request, Failure>,
        take: &mut dyn FnMut(&[u8], Outcome),
    ) -> Answer {
        // Whoever has waited longer goes first, even before a client that asks without pause.
        yield_now().await;
        poll_fn(|context| {
            if matches!(self.state.get(), State::Idle) {
                Poll::Ready(())
            } else {
                self.wait(context)
            }
        })
        .await;
        let request = ask(&mut self.buffer.borrow_mut());
        self.state.set(State::Asked(match request {
            Ok(request) => request,
            Err(failure) => {
                self.release();
                return Err(failure);
            }
        }));
        let _turn = Turn(self);
        self.owner.borrow_mut().wake();
        let answer = poll_fn(|context| match self.state.get() {
            State::Answered(answer) => Poll::Ready(answer),
            _ => self.wait(context),
        })
        .await;
        if let Ok(outcome) = answer {
            take(&self.buffer.borrow(), outcome);
        }
        answer
    }

    /// Has a client woken when the state changes.
    fn wait<T>(&self, context: &Context<'_>) -> Poll<T> {
        self.clients.borrow_mut().register(context.waker());
        Poll::Pending
    }

    /// Waits for a request and takes it, with the buffer.
    pub(super) async fn next(&self) -> Task<'_, 'm> {
        let request = poll_fn(|context| match self.state.get() {
            State::Asked(request) => Poll::Ready(request),
            _ => {
                self.owner.borrow_mut().register(context.waker());
                Poll::Pending
            }
        })
        .await;
        self.state.set(State::Working);
        Task {
            mailbox: self,
            request,
            buffer: self.buffer.take(),
            answer: Err(Failure::Flash),
        }
    }

    /// Makes the mailbox free, and leaves nobody's secrets in it.
    fn release(&self) {
        self.buffer.borrow_mut().zeroize();
        self.state.set(State::Idle);
        self.clients.borrow_mut().wake();
    }
}

/// A request that the owner is at. Dropping it answers it: with a failure, if nothing else was set.
pub(super) struct Task<'a, 'm> {
    mailbox: &'a Mailbox<'m>,
    pub(super) request: Request,
    pub(super) buffer: &'m mut [u8],
    pub(super) answer: Answer,
}

impl Drop for Task<'_, '_> {
    fn drop(&mut self) {
        *self.mailbox.buffer.borrow_mut() = core::mem::take(&mut self.buffer);
        if self.mailbox.abandoned.take() {
            self.mailbox.release();
        } else {
            self.mailbox.state.set(State::Answered(self.answer));
            self.mailbox.clients.borrow_mut().wake();
        }
    }
}
