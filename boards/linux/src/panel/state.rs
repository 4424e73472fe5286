//! What is read from the board.

use std::collections::BTreeMap;
use std::sync::Arc;

use axum::Json;
use axum::extract::State;
use axum::http::header;
use axum::response::IntoResponse;
use serde::Serialize;

use super::Parts;
use crate::pins::PinState;
use crate::status::{AccessPointStatus, MqttState, WifiStatus};

/// The answer of `/api/state`.
#[derive(Debug, Serialize)]
pub(super) struct StateView {
    #[serde(flatten)]
    pub(super) now: Now,
    pub(super) uptime_ms: u64,
}

/// All of it that changes by events, not by time.
#[derive(Debug, PartialEq, Eq, Serialize)]
pub(super) struct Now {
    wifi: WifiStatus,
    broker: bool,
    mqtt: MqttView,
    portal: bool,
    access_point: AccessPointStatus,
    pins: BTreeMap<u8, PinState>,
    display: String,
}

#[derive(Debug, PartialEq, Eq, Serialize)]
struct MqttView {
    state: MqttState,
}

impl Parts {
    pub(super) fn now(&self) -> Now {
        let status = self.observer.status();
        Now {
            wifi: status.wifi,
            broker: self.broker.is_up(),
            mqtt: MqttView { state: status.mqtt },
            portal: status.portal,
            access_point: status.access_point,
            pins: self.pins.states(),
            display: self.pins.display_text(),
        }
    }

    pub(super) fn view(&self) -> StateView {
        StateView {
            now: self.now(),
            uptime_ms: self.observer.uptime_ms(),
        }
    }
}

pub(super) async fn state(State(parts): State<Arc<Parts>>) -> impl IntoResponse {
    ([(header::CACHE_CONTROL, "no-store")], Json(parts.view()))
}

pub(super) async fn log(State(parts): State<Arc<Parts>>) -> impl IntoResponse {
    let headers = [
        (header::CACHE_CONTROL, "no-store"),
        (header::CONTENT_TYPE, "text/plain; charset=utf-8"),
        (header::X_CONTENT_TYPE_OPTIONS, "nosniff"),
    ];
    (headers, parts.terminal.kept())
}
