//! What is read from the board.

use std::collections::BTreeMap;
use std::sync::Arc;

use axum::Json;
use axum::extract::State;
use axum::http::{StatusCode, header};
use axum::response::{IntoResponse, Response};
use bluebell::qr;
use serde::Serialize;

use super::{Parts, Refusal};
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

/// The access point as a QR code for a phone.
pub(super) async fn access_point(State(parts): State<Arc<Parts>>) -> Result<Response, Refusal> {
    let point = parts.now().access_point;
    let mut picture = String::new();
    let mut buffer = qr::buffer();
    point
        .ssid
        .as_deref()
        .and_then(|ssid| {
            let password = point.password.as_deref().unwrap_or_default();
            qr::Code::new(ssid, password, &mut buffer)
        })
        .and_then(|code| code.write_svg(&mut picture).ok())
        .ok_or_else(|| {
            let reason = "the device has no access point yet: wait until it has booted";
            Refusal(StatusCode::NOT_FOUND, reason.into())
        })?;
    let headers = [
        (header::CACHE_CONTROL, "no-store"),
        (header::CONTENT_TYPE, "image/svg+xml"),
        (header::X_CONTENT_TYPE_OPTIONS, "nosniff"),
    ];
    Ok((headers, picture).into_response())
}
