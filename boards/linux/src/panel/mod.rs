//! The panel: the board in a browser for a person, and as JSON for a program.
//!
//! Guarantees: it answers while the device hangs, boots or is overwhelmed; every error is JSON with a
//! 4xx status and the remedy; a web page of somewhere else can neither read nor change anything.

mod events;
mod guard;
mod requests;
mod state;

use std::io;
use std::net::{SocketAddr, TcpListener};
use std::sync::Arc;

use axum::Router;
use axum::extract::DefaultBodyLimit;
use axum::http::{HeaderName, header};
use axum::middleware;
use axum::response::{Html, IntoResponse};
use axum::routing::{get, post};
use sim::air::Air;

use crate::broker::Broker;
use crate::console::Terminal;
use crate::pins::PinBank;
use crate::power::Power;
use crate::status::Observer;

pub(crate) use self::guard::Refusal;

/// The longest body of a request, in bytes.
const LONGEST_BODY: usize = 16 * 1024;

/// The parts of the board that the panel shows and moves.
#[derive(Clone)]
pub(crate) struct Parts {
    pub(crate) app: String,
    pub(crate) portal: SocketAddr,
    pub(crate) pins: PinBank,
    pub(crate) air: Air,
    pub(crate) broker: Broker,
    pub(crate) observer: Observer,
    pub(crate) terminal: Terminal,
    pub(crate) power: Power,
}

/// Takes the panel's address.
///
/// # Errors
///
/// When it cannot be listened on.
pub(crate) fn listen(address: SocketAddr) -> io::Result<TcpListener> {
    let listener = TcpListener::bind(address)?;
    listener.set_nonblocking(true)?;
    Ok(listener)
}

/// Serves the panel for as long as it is polled.
///
/// # Errors
///
/// When the listener fails.
pub(crate) async fn serve(listener: TcpListener, parts: Parts) -> io::Result<()> {
    let listener = tokio::net::TcpListener::from_std(listener)?;
    axum::serve(listener, router(parts)).await
}

fn router(parts: Parts) -> Router {
    Router::new()
        .route("/", get(page))
        .route("/api/state", get(state::state))
        .route("/api/log", get(state::log))
        .route("/api/access-point.svg", get(state::access_point))
        .route("/api/events", get(events::events))
        .route("/api/air", post(requests::air))
        .route("/api/pins/{number}", post(requests::pins))
        .route("/api/broker", post(requests::broker))
        .route("/api/power", post(requests::power))
        .fallback(guard::unknown)
        .method_not_allowed_fallback(guard::wrong_method)
        .layer(DefaultBodyLimit::max(LONGEST_BODY))
        .layer(middleware::from_fn(guard::own_pages_only))
        .with_state(Arc::new(parts))
}

async fn page() -> impl IntoResponse {
    const HEADERS: [(HeaderName, &str); 2] = [
        (
            header::CONTENT_SECURITY_POLICY,
            "default-src 'none'; style-src 'unsafe-inline'; script-src 'unsafe-inline'; \
             connect-src 'self'; img-src 'self' data:; base-uri 'none'; form-action 'none'; \
             frame-ancestors 'none'",
        ),
        (header::CACHE_CONTROL, "no-cache"),
    ];
    (HEADERS, Html(include_str!("page.html")))
}
