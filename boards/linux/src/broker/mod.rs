//! The board's own MQTT 5 broker: a child process that is started, watched and stopped here.
//!
//! Guarantees: it never outlives the board; stopping it is a crash for whoever is connected; it keeps
//! nothing from one start to the next; when it ends by itself it is started again. A broker that was on
//! the default port before the board is used as it is and never stopped.

mod child;
mod probe;

use std::io;
use std::net::{SocketAddr, TcpStream};
use std::os::unix::process::CommandExt;
use std::path::PathBuf;
use std::process::{Child, ChildStdin, Command, ExitCode, Stdio};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use self::probe::{Found, look, reachable};
use crate::arguments::{BROKER_ADDRESS, Listen};

/// The first argument of a process that is to be a broker; the second is its address.
const CHILD_ARGUMENT: &str = "embedded-broker";
/// How long a broker may take until it accepts connections.
const START_LIMIT: Duration = Duration::from_secs(5);
/// How long the broker of a board that was just killed may still hold the port.
const ENDING: Duration = Duration::from_millis(300);
/// How long the board waits before it starts a broker anew that ended by itself.
const RESTART_DELAY: Duration = Duration::from_millis(500);

/// Why there is no broker.
#[derive(Debug)]
pub enum BrokerError {
    /// Somebody else's broker was found, on a port that was asked for.
    PortInUse(SocketAddr),
    /// Something that is no MQTT 5 broker sits on the port.
    Stranger(SocketAddr),
    /// The address cannot be listened on.
    Address(SocketAddr, io::Error),
    /// The process could not be started, or ended at once.
    Start(SocketAddr, String),
    /// The board was started without a broker.
    Off,
    /// The broker is not the board's own.
    Foreign(SocketAddr),
}

impl std::fmt::Display for BrokerError {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let remedy = "stop it, give another --broker ADDR:PORT, or --broker off to use mqtt.host";
        match self {
            Self::PortInUse(address) => write!(
                formatter,
                "--broker {address}: another broker is on this port; {remedy}"
            ),
            Self::Stranger(address) => write!(
                formatter,
                "--broker {address}: the port is in use by something that is no MQTT 5 broker; \
                 {remedy}"
            ),
            Self::Address(address, error) => write!(
                formatter,
                "--broker {address}: cannot listen there ({error}); give an address of this \
                 machine and a free port"
            ),
            Self::Start(address, what) => write!(
                formatter,
                "the embedded broker on {address} did not start: {what}; try again"
            ),
            Self::Off => formatter.write_str(
                "the board was started with --broker off: start it anew without, to have a broker",
            ),
            Self::Foreign(address) => write!(
                formatter,
                "the broker on {address} is not the board's own: stop it where it was started"
            ),
        }
    }
}

impl std::error::Error for BrokerError {}

#[derive(Debug)]
enum Kind {
    Off,
    Foreign,
    Own,
}

#[derive(Debug)]
struct Running {
    child: Child,
    /// Its end tells the child to end.
    _pipe: Option<ChildStdin>,
}

#[derive(Debug, Default)]
struct State {
    wanted: bool,
    running: Option<Running>,
}

impl State {
    /// Ends the broker, if it runs.
    fn end(&mut self, up: &AtomicBool) {
        if let Some(mut running) = self.running.take() {
            end(&mut running.child);
        }
        up.store(false, Ordering::Release);
    }
}

/// The broker of a board.
#[derive(Debug, Clone)]
pub struct Broker {
    kind: Arc<Kind>,
    listen: SocketAddr,
    program: Arc<PathBuf>,
    state: Arc<Mutex<State>>,
    /// Whether one runs, for those who must not wait while one is being started.
    up: Arc<AtomicBool>,
}

impl Broker {
    /// Looks what is on the address; nothing is started yet. `program` is the executable that calls
    /// [`run_child`] first of all.
    ///
    /// # Errors
    ///
    /// When the address cannot be used.
    pub fn new(listen: Listen, program: PathBuf) -> Result<Self, BrokerError> {
        let (kind, listen) = match listen {
            Listen::Off => (Kind::Off, BROKER_ADDRESS),
            Listen::At(address) => Self::choose(address)?,
        };
        Ok(Self {
            kind: Arc::new(kind),
            listen,
            program: Arc::new(program),
            state: Arc::default(),
            up: Arc::default(),
        })
    }

    fn choose(address: SocketAddr) -> Result<(Kind, SocketAddr), BrokerError> {
        let failed = |error| BrokerError::Address(address, error);
        if address.port() == 0 {
            let port = sim::port::free_on(address.ip()).map_err(failed)?;
            return Ok((Kind::Own, SocketAddr::new(address.ip(), port)));
        }
        let is_default = address.port() == BROKER_ADDRESS.port();
        match look(address, ENDING).map_err(failed)? {
            Found::Free => Ok((Kind::Own, address)),
            Found::Broker if is_default => Ok((Kind::Foreign, address)),
            Found::Broker => Err(BrokerError::PortInUse(address)),
            Found::OldBroker | Found::Stranger => Err(BrokerError::Stranger(address)),
        }
    }

    /// Where the device reaches the broker; `None` when there is none to be.
    #[must_use]
    pub fn address(&self) -> Option<SocketAddr> {
        match *self.kind {
            Kind::Off => None,
            Kind::Foreign | Kind::Own => Some(reachable(self.listen)),
        }
    }

    /// Whether the broker was there before the board.
    #[must_use]
    pub fn is_foreign(&self) -> bool {
        matches!(*self.kind, Kind::Foreign)
    }

    /// Whether the broker runs. Of one that is not the board's own nothing else is known.
    #[must_use]
    pub fn is_up(&self) -> bool {
        match *self.kind {
            Kind::Off => false,
            Kind::Foreign => true,
            Kind::Own => self.up.load(Ordering::Acquire),
        }
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn is_own(&self) -> Result<(), BrokerError> {
        match *self.kind {
            Kind::Own => Ok(()),
            Kind::Foreign => Err(BrokerError::Foreign(self.listen)),
            Kind::Off => Err(BrokerError::Off),
        }
    }

    /// Starts the broker and waits until it accepts connections; one that runs is left alone.
    ///
    /// # Errors
    ///
    /// When it is not the board's to start, or does not start.
    pub fn start(&self) -> Result<(), BrokerError> {
        self.is_own()?;
        let mut state = self.lock();
        state.wanted = true;
        self.launch(&mut state)
    }

    fn launch(&self, state: &mut State) -> Result<(), BrokerError> {
        if state.running.is_some() {
            return Ok(());
        }
        let listen = self.listen;
        match look(listen, ENDING) {
            Ok(Found::Free) => {}
            Ok(Found::Broker) => return Err(BrokerError::PortInUse(listen)),
            Ok(_) => return Err(BrokerError::Stranger(listen)),
            Err(error) => return Err(BrokerError::Address(listen, error)),
        }
        let failed = |what: String| BrokerError::Start(listen, what);
        let mut child = Command::new(&*self.program)
            .arg0("bluebell-broker")
            .args([CHILD_ARGUMENT, &listen.to_string()])
            .stdin(Stdio::piped())
            .stdout(Stdio::null())
            // Ctrl-C is for the board, which takes the broker along.
            .process_group(0)
            .spawn()
            .map_err(|error| failed(error.to_string()))?;
        let pipe = child.stdin.take();
        let begun = Instant::now();
        let up = loop {
            if TcpStream::connect_timeout(&reachable(listen), START_LIMIT).is_ok() {
                break Ok(());
            }
            match child.try_wait() {
                Ok(None) if begun.elapsed() < START_LIMIT => {}
                Ok(None) => break Err("it does not accept connections".to_owned()),
                Ok(Some(status)) => break Err(status.to_string()),
                Err(error) => break Err(error.to_string()),
            }
            std::thread::sleep(Duration::from_millis(2));
        };
        if let Err(what) = up {
            end(&mut child);
            return Err(failed(what));
        }
        state.running = Some(Running { child, _pipe: pipe });
        self.up.store(true, Ordering::Release);
        Ok(())
    }

    /// Stops the broker as a crash would.
    ///
    /// # Errors
    ///
    /// When it is not the board's to stop.
    pub fn stop(&self) -> Result<(), BrokerError> {
        self.is_own()?;
        let mut state = self.lock();
        state.wanted = false;
        state.end(&self.up);
        Ok(())
    }

    /// Starts the broker again whenever it has ended by itself, and reports that. Never returns.
    pub fn watch(&self, mut report: impl FnMut(&str)) {
        let mut reported = String::new();
        loop {
            std::thread::sleep(RESTART_DELAY);
            let mut state = self.lock();
            let ended = match &mut state.running {
                Some(running) => running.child.try_wait().ok().flatten(),
                None => None,
            };
            if let Some(status) = ended {
                state.end(&self.up);
                report(&format!(
                    "the embedded broker ended ({status}) and is started again"
                ));
            }
            if !state.wanted || state.running.is_some() {
                continue;
            }
            let failure = self
                .launch(&mut state)
                .err()
                .map_or_else(String::new, |error| error.to_string());
            if !failure.is_empty() && failure != reported {
                report(&failure);
            }
            reported = failure;
        }
    }
}

fn end(child: &mut Child) {
    // Both fail only when the process is gone already.
    let _ = child.kill();
    let _ = child.wait();
}

/// Becomes the broker if this process was started to be one; to be called first of all in `main`.
#[must_use]
pub fn run_child() -> Option<ExitCode> {
    let mut arguments = std::env::args().skip(1);
    if arguments.next()? != CHILD_ARGUMENT {
        return None;
    }
    let Some(address) = arguments.next().and_then(|address| address.parse().ok()) else {
        eprintln!("{CHILD_ARGUMENT} is for the board's own use; --help lists what can be given");
        return Some(ExitCode::from(2));
    };
    Some(child::serve(address))
}
