//! What changes the board. Each answer is the board's state afterwards.

use std::sync::Arc;
use std::time::Duration;

use axum::Json;
use axum::body::Bytes;
use axum::extract::rejection::{BytesRejection, PathRejection};
use axum::extract::{Path, State};
use axum::http::StatusCode;
use axum::response::{IntoResponse, Response};
use bluebell::wifi::{Password, Ssid};
use serde::Deserialize;
use serde::de::DeserializeOwned;
use sim::air::Change;

use super::{LONGEST_BODY, Parts, Refusal};
use crate::broker::BrokerError;
use crate::networks;
use crate::pins::DriveError;

/// How long the device may take to let go of everything when its power is cut.
const POWER_LIMIT: Duration = Duration::from_secs(2);

type Body = Result<Bytes, BytesRejection>;
type Answer = Result<Response, Refusal>;

fn bad(what: impl Into<String>) -> Refusal {
    Refusal(StatusCode::BAD_REQUEST, what.into())
}

/// Reads a JSON object, whatever content type a client names.
fn object<T: DeserializeOwned>(body: Body, shape: &str) -> Result<T, Refusal> {
    let body = body.map_err(|error| match error.status() {
        StatusCode::PAYLOAD_TOO_LARGE => Refusal(
            StatusCode::PAYLOAD_TOO_LARGE,
            format!("the body is too long: send at most {LONGEST_BODY} bytes"),
        ),
        _ => bad("the body did not arrive whole: send it again"),
    })?;
    serde_json::from_slice(&body).map_err(|error| bad(format!("{error}; send {shape}")))
}

impl Parts {
    fn answer(&self) -> Response {
        Json(self.view()).into_response()
    }
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct AirRequest {
    ssid: String,
    up: Option<bool>,
    password: Option<String>,
    rssi: Option<i64>,
    channel: Option<i64>,
    hidden: Option<bool>,
}

pub(super) async fn air(State(parts): State<Arc<Parts>>, body: Body) -> Answer {
    let asked: AirRequest = object(
        body,
        r#"{"ssid":"..."} with any of up, password, rssi, channel and hidden"#,
    )?;
    Ssid::new(&asked.ssid).map_err(|error| bad(format!("ssid: {error}")))?;
    if let Some(password) = &asked.password {
        Password::new(password).map_err(|error| bad(format!("password: {error}")))?;
    }
    let change = Change {
        up: asked.up,
        password: asked.password,
        rssi: asked.rssi.map(networks::rssi).transpose().map_err(bad)?,
        channel: asked
            .channel
            .map(networks::channel)
            .transpose()
            .map_err(bad)?,
        hidden: asked.hidden,
    };
    parts.air.change(&asked.ssid, &change);
    Ok(parts.answer())
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct PinRequest {
    level: i64,
}

pub(super) async fn pins(
    State(parts): State<Arc<Parts>>,
    number: Result<Path<String>, PathRejection>,
    body: Body,
) -> Answer {
    let number = number.map_or_else(|_| "this".into(), |Path(number)| number);
    let pin = number.parse().map_err(|_| {
        Refusal(
            StatusCode::NOT_FOUND,
            format!("{number:?} is no pin: give the number of one in /api/state"),
        )
    })?;
    let shape = r#"{"level":0} or {"level":1}"#;
    let asked: PinRequest = object(body, shape)?;
    let level = match asked.level {
        0 => false,
        1 => true,
        other => return Err(bad(format!("level {other} is no level; send {shape}"))),
    };
    parts.pins.put(pin, level).map_err(|error| {
        let status = match error {
            DriveError::NotInUse(_) => StatusCode::NOT_FOUND,
            DriveError::IsOutput(_) => StatusCode::CONFLICT,
            DriveError::TooFast(_) => StatusCode::TOO_MANY_REQUESTS,
        };
        Refusal(status, error.to_string())
    })?;
    Ok(parts.answer())
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct BrokerRequest {
    up: bool,
}

pub(super) async fn broker(State(parts): State<Arc<Parts>>, body: Body) -> Answer {
    let asked: BrokerRequest = object(body, r#"{"up":true} or {"up":false}"#)?;
    let broker = parts.broker.clone();
    let work = move || {
        if asked.up {
            broker.start()
        } else {
            broker.stop()
        }
    };
    let done = tokio::task::spawn_blocking(work).await;
    let refused = |what: String| Refusal(StatusCode::CONFLICT, what);
    done.map_err(|error| refused(format!("the broker was not switched ({error}): try again")))?
        .map_err(|error: BrokerError| refused(error.to_string()))?;
    Ok(parts.answer())
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct PowerRequest {
    #[expect(
        dead_code,
        reason = "there is only one action, and it is checked in reading"
    )]
    action: PowerAction,
}

#[derive(Deserialize)]
#[serde(rename_all = "lowercase")]
enum PowerAction {
    Cycle,
}

pub(super) async fn power(State(parts): State<Arc<Parts>>, body: Body) -> Answer {
    let _: PowerRequest = object(body, r#"{"action":"cycle"}"#)?;
    let mut boots = parts.power.cycle();
    match tokio::time::timeout(POWER_LIMIT, boots.changed()).await {
        Ok(Ok(())) => Ok(parts.answer()),
        _ => Err(Refusal(
            StatusCode::CONFLICT,
            "the device holds its thread and has not let go yet: wait for the application to \
             reach an await, or end the board"
                .into(),
        )),
    }
}
