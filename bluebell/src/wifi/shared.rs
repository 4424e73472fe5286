//! What the rest of the device sees of Wi-Fi, and asks of it.

use core::cell::{Cell, RefCell, RefMut};
use core::future::poll_fn;
use core::net::Ipv4Addr;
use core::task::Poll;

use embassy_sync::blocking_mutex::raw::NoopRawMutex;
use embassy_sync::signal::Signal;
use embassy_sync::waitqueue::MultiWakerRegistration;

use super::heard::Heard;
use super::policy::Policy;
use super::{JoinStep, KeepError, Password, Place, Sighting, Ssid, Submission, SubmissionState};

/// How the device stands with Wi-Fi.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum State {
    /// Just started: the first scan is not over.
    #[default]
    Starting,
    /// No address, no access point: networks are tried.
    Joining,
    /// The access point is open and the station has no address.
    Portal,
    /// The station has an address.
    Online,
}

impl State {
    /// The word for it.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Starting => "starting",
            Self::Joining => "joining",
            Self::Portal => "portal",
            Self::Online => "online",
        }
    }
}

/// What the runner shows.
struct Shown {
    state: State,
    address: Option<Ipv4Addr>,
    link: Option<Ipv4Addr>,
    ssid: Option<Ssid>,
    submission: Submission,
    access_point: bool,
}

/// What the runner is asked for.
pub(super) struct Asked {
    pub(super) submission: Option<(Ssid, Password)>,
    pub(super) forget: Option<Ssid>,
    pub(super) rescan: bool,
    pub(super) portal: bool,
    pub(super) request_seen: bool,
    pub(super) online_served: bool,
}

impl Asked {
    pub(super) const NOTHING: Self = Self {
        submission: None,
        forget: None,
        rescan: false,
        portal: false,
        request_seen: false,
        online_served: false,
    };
}

/// Whether a network was stored that is forgotten now, or why it is not forgotten.
pub(super) type Forgotten = Result<bool, KeepError>;

/// How many tasks can wait without waking each other needlessly.
const WAITERS: usize = 8;

/// The device's Wi-Fi, as everybody else sees it.
///
/// All methods but `async` ones return at once. Any number of tasks may wait at the same time, and
/// every wait may be dropped. [`run`](Self::run) does the work; while it does not run, what was asked
/// for waits.
pub struct Wifi {
    shown: RefCell<Shown>,
    rssi: Cell<Option<i8>>,
    heard: RefCell<Heard>,
    asked: RefCell<Asked>,
    forgotten: Cell<Option<Forgotten>>,
    ask: Signal<NoopRawMutex, ()>,
    waiting: RefCell<MultiWakerRegistration<WAITERS>>,
    /// Counts the changes of what is shown.
    version: Cell<u32>,
}

impl Wifi {
    /// Wi-Fi that has not started.
    #[must_use]
    pub const fn new() -> Self {
        Self {
            shown: RefCell::new(Shown {
                state: State::Starting,
                address: None,
                link: None,
                ssid: None,
                submission: Submission {
                    state: SubmissionState::Idle,
                    ssid: None,
                },
                access_point: false,
            }),
            rssi: Cell::new(None),
            heard: RefCell::new(Heard::new()),
            asked: RefCell::new(Asked::NOTHING),
            forgotten: Cell::new(None),
            ask: Signal::new(),
            waiting: RefCell::new(MultiWakerRegistration::new()),
            version: Cell::new(0),
        }
    }

    /// The state in one word.
    #[must_use]
    pub fn state(&self) -> State {
        self.shown().state
    }

    /// The station's address, from the moment on when it has one.
    #[must_use]
    pub fn address(&self) -> Option<Ipv4Addr> {
        self.shown().address
    }

    /// The station's address once connections over it will last: `None` too while the access point is
    /// about to close and the radio restarts for that, see
    /// [`closing_restarts`](crate::board::Radio::closing_restarts).
    #[must_use]
    pub fn link(&self) -> Option<Ipv4Addr> {
        self.shown().link
    }

    /// Waits until there is a [`link`](Self::link).
    pub fn link_up(&self) -> impl Future<Output = Ipv4Addr> {
        self.until(|shown| shown.link)
    }

    /// Waits until there is no [`link`](Self::link).
    pub fn link_down(&self) -> impl Future<Output = ()> {
        self.until(|shown| shown.link.is_none().then_some(()))
    }

    /// The network that is joined, or tried while the state is [`State::Joining`].
    #[must_use]
    pub fn ssid(&self) -> Option<Ssid> {
        self.shown().ssid.clone()
    }

    /// The joined network's signal in dBm, a few seconds old at most.
    #[must_use]
    pub fn rssi(&self) -> Option<i8> {
        self.rssi.get()
    }

    /// Shows the networks around, the strongest first, one for each SSID. `visit` must not ask this
    /// value for anything.
    pub fn visit_networks(&self, visit: &mut dyn FnMut(&Sighting)) {
        self.heard().visit(visit);
    }

    /// Asks for a fresh list of networks; it is begun 3 s after the last one has ended, at the earliest.
    pub fn rescan(&self) {
        self.asked().rescan = true;
        self.ask.signal(());
    }

    /// A person asks to join a network; it replaces what was asked before and goes before everything
    /// else. It is stored when it has given the device an address.
    pub fn submit(&self, ssid: Ssid, password: Password) {
        self.shown().submission = Submission {
            state: SubmissionState::Joining(JoinStep::Joining),
            ssid: Some(ssid.clone()),
        };
        self.asked().submission = Some((ssid, password));
        self.ask.signal(());
    }

    /// What has become of the last submission since the access point was opened.
    #[must_use]
    pub fn submission(&self) -> Submission {
        self.shown().submission.clone()
    }

    /// Waits until the last submission is decided, and says how: it has failed, or is online and
    /// stored, or is [idle](SubmissionState::Idle) because its network was lost again. Cancellation safe.
    pub fn decided(&self) -> impl Future<Output = Submission> {
        self.until(|shown| {
            let decided = !matches!(shown.submission.state, SubmissionState::Joining(_));
            decided.then(|| shown.submission.clone())
        })
    }

    /// Forgets a stored network, so that its password can no longer be read; a device that is on it
    /// leaves it. Says whether it was stored. To be asked by one at a time.
    ///
    /// Cancellation: what was asked for is done all the same.
    ///
    /// # Errors
    ///
    /// When the store could not; the network may then still be known.
    pub async fn forget(&self, ssid: Ssid) -> Result<bool, KeepError> {
        self.forgotten.set(None);
        self.asked().forget = Some(ssid);
        self.ask.signal(());
        self.until(|_| self.forgotten.get()).await
    }

    /// Somebody on the access point has asked for something.
    pub fn request_seen(&self) {
        self.asked().request_seen = true;
        self.ask.signal(());
    }

    /// The page has been told that the device is online.
    pub fn online_served(&self) {
        self.asked().online_served = true;
        self.ask.signal(());
    }

    /// Opens the access point, online or not; while the device is online it closes by itself after 5
    /// minutes without a request.
    pub fn open_portal(&self) {
        self.asked().portal = true;
        self.ask.signal(());
    }

    /// Whether the access point is open.
    #[must_use]
    pub fn is_access_point_open(&self) -> bool {
        self.shown().access_point
    }

    /// Waits until the access point is open.
    pub fn access_point_open(&self) -> impl Future<Output = ()> {
        self.until(|shown| shown.access_point.then_some(()))
    }

    /// Waits until the access point is closed.
    pub fn access_point_closed(&self) -> impl Future<Output = ()> {
        self.until(|shown| (!shown.access_point).then_some(()))
    }

    /// Waits until something of state, network, address, access point and submission is another than
    /// at the time of the call.
    pub fn changed(&self) -> impl Future<Output = ()> + '_ {
        let seen = self.version.get();
        async move {
            self.until(|_| (self.version.get() != seen).then_some(()))
                .await;
        }
    }

    fn until<T>(&self, mut ready: impl FnMut(&Shown) -> Option<T>) -> impl Future<Output = T> {
        poll_fn(move |context| match ready(&self.shown()) {
            Some(value) => Poll::Ready(value),
            None => {
                self.waiting.borrow_mut().register(context.waker());
                Poll::Pending
            }
        })
    }

    /// Waits until something is asked for.
    pub(super) fn wait_asked(&self) -> impl Future<Output = ()> {
        self.ask.wait()
    }

    // Each borrowed in one place, which is called from many.
    #[inline(never)]
    fn shown(&self) -> RefMut<'_, Shown> {
        self.shown.borrow_mut()
    }

    #[inline(never)]
    fn heard(&self) -> RefMut<'_, Heard> {
        self.heard.borrow_mut()
    }

    #[inline(never)]
    fn asked(&self) -> RefMut<'_, Asked> {
        self.asked.borrow_mut()
    }

    /// Has everybody look again who waits.
    fn wake(&self) {
        self.waiting.borrow_mut().wake();
    }

    pub(super) fn take_asked(&self) -> Asked {
        core::mem::replace(&mut *self.asked(), Asked::NOTHING)
    }

    pub(super) fn set_forgotten(&self, forgotten: Forgotten) {
        self.forgotten.set(Some(forgotten));
        self.wake();
    }

    pub(super) fn set_rssi(&self, rssi: Option<i8>) {
        self.rssi.set(rssi);
    }

    pub(super) fn list_begins(&self) {
        self.heard().begin();
    }

    pub(super) fn list(&self, sighting: &Sighting) {
        self.heard().add(sighting);
    }

    pub(super) fn list_ends(&self) {
        self.heard().end();
    }

    pub(super) fn place(&self, ssid: &Ssid) -> Option<Place> {
        self.heard().place(ssid)
    }

    /// Shows that what was submitted is joined and being stored.
    pub(super) fn show_saving(&self) {
        let state = &mut self.shown().submission.state;
        // One that was submitted a moment ago is not joined yet.
        if self.asked().submission.is_none() && matches!(state, SubmissionState::Joining(_)) {
            *state = SubmissionState::Joining(JoinStep::Saving);
            self.changed_now();
        }
    }

    fn changed_now(&self) {
        self.version.set(self.version.get().wrapping_add(1));
        self.wake();
    }

    /// Shows everybody how things are now.
    pub(super) fn show(&self, policy: &Policy) {
        let mut shown = self.shown();
        let before = (shown.state, shown.address, shown.link, shown.access_point);
        shown.state = policy.state();
        shown.address = policy.address();
        shown.link = policy.link();
        shown.access_point = policy.is_portal_open();
        let mut changed = before != (shown.state, shown.address, shown.link, shown.access_point);
        if shown.ssid.as_ref() != policy.ssid() {
            shown.ssid = policy.ssid().cloned();
            changed = true;
        }
        // What was submitted a moment ago the policy does not know yet.
        if self.asked().submission.is_none() {
            let (ssid, state) = policy.submission();
            changed |= shown.submission.state != state;
            shown.submission.state = state;
            if shown.submission.ssid.as_ref() != ssid {
                shown.submission.ssid = ssid.cloned();
            }
        }
        if shown.address.is_none() {
            self.rssi.set(None);
        }
        drop(shown);
        if changed {
            self.changed_now();
        }
    }
}

impl Default for Wifi {
    fn default() -> Self {
        Self::new()
    }
}
