//! What surrounds the device: checked and started in this order, each failure one line with the remedy.

use std::io;
use std::net::{IpAddr, Ipv4Addr, SocketAddr};
use std::path::PathBuf;
use std::time::Duration;

use bluebell::config::Config;
use bluebell::provision::Provision;
use sim::air::Air;
use tokio::signal::unix::{SignalKind, signal};

use crate::arguments::{Arguments, Listen};
use crate::broker::{Broker, BrokerError};
use crate::console::Terminal;
use crate::flash::{self, FileFlash};
use crate::pins::PinBank;
use crate::portal::Portal;
use crate::power::Power;
use crate::state::{StateError, StateFolder};
use crate::status::Observer;
use crate::{networks, panel, time_server};

/// How long the device may take to let go when the board is to end.
const OFF_LIMIT: Duration = Duration::from_secs(1);

/// Why the board does not start.
#[derive(Debug)]
pub(crate) enum StartError {
    State(StateError),
    Flash(flash::OpenError),
    /// A file of the command line: the flag, the file, what is wrong with it.
    File(&'static str, PathBuf, String),
    /// The access points.
    Air(String),
    /// An address of the command line: the flag, the address, why it cannot be used.
    Address(&'static str, SocketAddr, io::Error),
    Broker(BrokerError),
    /// The machine refuses something that every board needs.
    Machine(&'static str, io::Error),
}

impl std::fmt::Display for StartError {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::State(error) => error.fmt(formatter),
            Self::Flash(error) => error.fmt(formatter),
            Self::File(flag, path, what) => {
                let path = path.display();
                write!(formatter, "{flag} {path}: {what}; give another file")
            }
            Self::Air(what) => formatter.write_str(what),
            Self::Address(flag, address, error) if error.kind() == io::ErrorKind::AddrInUse => {
                write!(
                    formatter,
                    "{flag} {address}: the port is in use; stop what listens there, or give another \
                     {flag} ADDR:PORT"
                )
            }
            Self::Address(flag, address, error) => write!(
                formatter,
                "{flag} {address}: cannot listen there ({error}); give an address of this machine \
                 and a free port"
            ),
            Self::Broker(error) => error.fmt(formatter),
            Self::Machine(what, error) => {
                write!(
                    formatter,
                    "cannot start {what}: {error}; free some resources"
                )
            }
        }
    }
}

impl std::error::Error for StartError {}

/// Everything around the device, for as long as the process lives.
pub(crate) struct Surroundings {
    pub(crate) folder: StateFolder,
    pub(crate) hardware_address: [u8; 6],
    pub(crate) config: Option<String>,
    pub(crate) portal: SocketAddr,
    pub(crate) time_server: SocketAddr,
    pub(crate) air: Air,
    pub(crate) broker: Broker,
    pub(crate) pins: PinBank,
    pub(crate) observer: Observer,
    pub(crate) terminal: Terminal,
    pub(crate) power: Power,
}

impl Surroundings {
    /// Opens the flash for one boot.
    pub(crate) fn flash(&self) -> Result<FileFlash, StartError> {
        let opened =
            FileFlash::open(self.folder.path(), flash::readable).map_err(StartError::Flash)?;
        if let Some(notice) = opened.notice {
            self.terminal.say(&format!("board: {notice}"));
        }
        Ok(opened.flash)
    }

    /// Where a browser on this machine finds the portal.
    pub(crate) fn portal_address(&self) -> SocketAddr {
        match self.portal.ip() {
            IpAddr::V4(address) if !address.is_unspecified() => self.portal,
            _ => (Ipv4Addr::LOCALHOST, self.portal.port()).into(),
        }
    }
}

/// Checks what the command line asks for and starts everything around the device.
pub(crate) fn start(app: &str, arguments: &Arguments) -> Result<Surroundings, StartError> {
    let state = arguments
        .state
        .clone()
        .unwrap_or_else(|| ["target", "board", app].iter().collect());
    let folder = StateFolder::open(&state).map_err(StartError::State)?;
    let hardware_address = folder.hardware_address().map_err(StartError::State)?;
    let air = match &arguments.air {
        Some(path) => networks::read(path),
        None => networks::parse("the built-in networks", networks::BUILT_IN),
    }
    .map_err(StartError::Air)?;
    let config = config(arguments, hardware_address)?;
    provision(arguments, &folder)?;
    let portal = Portal::probe(arguments.portal)
        .map_err(|error| StartError::Address("--portal", arguments.portal, error))?;
    let panel = match arguments.panel {
        Listen::Off => None,
        Listen::At(address) => Some(
            panel::listen(address)
                .map_err(|error| StartError::Address("--panel", address, error))?,
        ),
    };
    let broker =
        Broker::new(arguments.broker, "/proc/self/exe".into()).map_err(StartError::Broker)?;
    let time_server =
        time_server::start().map_err(|error| StartError::Machine("the time server", error))?;
    let board = Surroundings {
        folder,
        hardware_address,
        config,
        portal,
        time_server,
        air,
        broker,
        pins: PinBank::default(),
        observer: Observer::default(),
        terminal: Terminal::new(io::stdout()),
        power: Power::new(),
    };
    announce(&board, panel.as_ref(), &state);
    start_broker(&board);
    start_services(&board, app, panel)
        .map_err(|error| StartError::Machine("the panel's thread", error))?;
    Ok(board)
}

fn read(flag: &'static str, path: &PathBuf) -> Result<Vec<u8>, StartError> {
    std::fs::read(path).map_err(|error| StartError::File(flag, path.clone(), error.to_string()))
}

fn config(arguments: &Arguments, address: [u8; 6]) -> Result<Option<String>, StartError> {
    let Some(path) = &arguments.config else {
        return Ok(None);
    };
    let wrong = |what: String| StartError::File("--config", path.clone(), what);
    let text = String::from_utf8(read("--config", path)?)
        .map_err(|_| wrong("it is no UTF-8 text".into()))?;
    Config::parse(&text, address).map_err(|error| wrong(error.to_string()))?;
    Ok(Some(text))
}

fn provision(arguments: &Arguments, folder: &StateFolder) -> Result<(), StartError> {
    let Some(path) = &arguments.provision else {
        return Ok(());
    };
    let bytes = read("--provision", path)?;
    Provision::new(&bytes)
        .map_err(|error| StartError::File("--provision", path.clone(), error.to_string()))?;
    folder.provision(&bytes).map_err(StartError::State)
}

/// Tells a person where everything is.
fn announce(board: &Surroundings, panel: Option<&std::net::TcpListener>, state: &std::path::Path) {
    let say = |line: String| board.terminal.say(&line);
    let panel = panel
        .and_then(|listener| listener.local_addr().ok())
        .map_or("off".into(), |address| format!("http://{address}/"));
    say(format!("board: panel    {panel}"));
    say(format!(
        "board: portal   http://{}/ while it is open",
        board.portal
    ));
    say(match board.broker.address() {
        None => "board: broker   off".into(),
        Some(address) if board.broker.is_foreign() => {
            format!("board: broker   mqtt://{address}, which was here already and is used")
        }
        Some(address) => format!("board: broker   mqtt://{address} (MQTT 5)"),
    });
    say(format!("board: state    {}", state.display()));
}

fn start_broker(board: &Surroundings) {
    if board.broker.is_foreign() || board.broker.address().is_none() {
        return;
    }
    let (broker, terminal) = (board.broker.clone(), board.terminal.clone());
    std::thread::spawn(move || {
        if let Err(error) = broker.start() {
            terminal.say(&format!("board: {error}"));
        }
        broker.watch(|line| terminal.say(&format!("board: {line}")));
    });
}

/// Serves the panel and minds the signals, on a thread of its own.
fn start_services(
    board: &Surroundings,
    app: &str,
    panel: Option<std::net::TcpListener>,
) -> io::Result<()> {
    let parts = panel::Parts {
        app: app.to_owned(),
        portal: board.portal,
        pins: board.pins.clone(),
        air: board.air.clone(),
        broker: board.broker.clone(),
        observer: board.observer.clone(),
        terminal: board.terminal.clone(),
        power: board.power.clone(),
    };
    let power = board.power.clone();
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()?;
    let _guard = runtime.enter();
    let mut interrupt = signal(SignalKind::interrupt())?;
    let mut terminate = signal(SignalKind::terminate())?;
    drop(_guard);
    std::thread::Builder::new()
        .name("services".into())
        .spawn(move || {
            runtime.block_on(async move {
                let served = async move {
                    if let Some(listener) = panel {
                        let terminal = parts.terminal.clone();
                        if let Err(error) = panel::serve(listener, parts).await {
                            terminal.say(&format!("board: the panel ended: {error}"));
                        }
                    }
                    std::future::pending::<()>().await;
                };
                tokio::select! {
                    () = served => {}
                    _ = interrupt.recv() => {}
                    _ = terminate.recv() => {}
                }
                power.off();
                // An application that holds the device's thread does not keep the board from ending.
                tokio::time::sleep(OFF_LIMIT).await;
                std::process::exit(0);
            });
        })?;
    Ok(())
}
