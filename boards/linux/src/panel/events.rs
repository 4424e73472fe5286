//! The stream that keeps the page live: whatever has changed, as server-sent events.

use std::convert::Infallible;
use std::sync::Arc;
use std::time::{Duration, Instant};

use axum::extract::State;
use axum::response::sse::{Event, KeepAlive, Sse};
use futures_util::Stream;
use futures_util::stream::unfold;
use serde::Serialize;
use sim::air::Station;

use super::Parts;
use super::state::Now;
use crate::pins::DisplayLight;

/// How often the board is looked at for a page.
const TICK: Duration = Duration::from_millis(100);

#[derive(PartialEq, Serialize)]
struct BoardView {
    app: String,
    portal_port: u16,
    portal_host: Option<String>,
    broker: Option<String>,
    broker_foreign: bool,
    state: Now,
    #[serde(skip)]
    booted: Instant,
    display: DisplayLight,
    networks: Vec<NetworkView>,
}

#[derive(Serialize)]
struct Timed<'a> {
    #[serde(flatten)]
    board: &'a BoardView,
    uptime_ms: u64,
}

#[derive(PartialEq, Serialize)]
struct NetworkView {
    ssid: String,
    password: String,
    channel: u8,
    rssi: i8,
    up: bool,
    hidden: bool,
}

impl From<Station> for NetworkView {
    fn from(station: Station) -> Self {
        Self {
            ssid: String::from_utf8_lossy(&station.ssid).into_owned(),
            password: station.password,
            channel: station.channel,
            rssi: station.rssi,
            up: station.up,
            hidden: station.hidden,
        }
    }
}

impl Parts {
    fn board(&self) -> BoardView {
        let host = self.portal.ip();
        BoardView {
            app: self.app.clone(),
            portal_port: self.portal.port(),
            // On every address of this machine, the page's own is as good as any.
            portal_host: (!host.is_unspecified()).then(|| match host {
                std::net::IpAddr::V4(host) => host.to_string(),
                std::net::IpAddr::V6(host) => format!("[{host}]"),
            }),
            broker: self.broker.address().map(|address| address.to_string()),
            broker_foreign: self.broker.is_foreign(),
            state: self.now(),
            booted: self.observer.booted(),
            display: self.pins.display_light(),
            networks: self.air.stations().into_iter().map(Into::into).collect(),
        }
    }
}

/// What a page has been told so far.
struct Told {
    parts: Arc<Parts>,
    board: Option<BoardView>,
    log: usize,
}

impl Told {
    /// Waits for something new; each event is one kind of it.
    async fn next(mut self) -> Option<(Result<Event, Infallible>, Self)> {
        loop {
            let (log, position) = self.parts.terminal.kept_since(self.log);
            if position != self.log {
                self.log = position;
                return Some((Ok(event("log", &log)), self));
            }
            let board = self.parts.board();
            if self.board.as_ref() != Some(&board) {
                let event = event(
                    "board",
                    &Timed {
                        board: &board,
                        uptime_ms: self.parts.observer.uptime_ms(),
                    },
                );
                self.board = Some(board);
                return Some((Ok(event), self));
            }
            tokio::time::sleep(TICK).await;
        }
    }
}

fn event(kind: &str, data: &impl Serialize) -> Event {
    // Neither text nor numbers can fail to become JSON.
    let json = serde_json::to_string(data).unwrap_or_default();
    Event::default().event(kind).data(json)
}

pub(super) async fn events(
    State(parts): State<Arc<Parts>>,
) -> Sse<impl Stream<Item = Result<Event, Infallible>>> {
    let told = Told {
        parts,
        board: None,
        log: 0,
    };
    Sse::new(unfold(told, Told::next)).keep_alive(KeepAlive::default())
}
