//! Who may ask, and what a refusal looks like.

use axum::Json;
use axum::extract::Request;
use axum::http::{HeaderMap, Method, StatusCode, Uri, header};
use axum::middleware::Next;
use axum::response::{IntoResponse, Response};
use serde_json::json;

/// A request that is not carried out: the status and one line with the remedy.
#[derive(Debug)]
pub(crate) struct Refusal(pub(crate) StatusCode, pub(crate) String);

impl IntoResponse for Refusal {
    fn into_response(self) -> Response {
        (self.0, Json(json!({ "error": self.1 }))).into_response()
    }
}

pub(super) async fn unknown(uri: Uri) -> Refusal {
    let path = uri.path();
    Refusal(
        StatusCode::NOT_FOUND,
        format!("there is no {path}: see /, /api/state and /api/log"),
    )
}

pub(super) async fn wrong_method(method: Method, uri: Uri) -> Refusal {
    let path = uri.path();
    Refusal(
        StatusCode::METHOD_NOT_ALLOWED,
        format!("{method} does nothing on {path}: read with GET, change with POST"),
    )
}

/// Refuses what a page of somewhere else sends: by a name that was bent to this address, or across
/// origins.
pub(super) async fn own_pages_only(request: Request, next: Next) -> Response {
    match check(request.method(), request.headers()) {
        Ok(()) => next.run(request).await,
        Err(refusal) => refusal.into_response(),
    }
}

fn check(method: &Method, headers: &HeaderMap) -> Result<(), Refusal> {
    let forbidden = |what: &str| Err(Refusal(StatusCode::FORBIDDEN, what.into()));
    let Some(host) = headers.get(header::HOST) else {
        // A browser always names the host.
        return Ok(());
    };
    let Some(host) = host.to_str().ok().filter(|host| is_own_name(host)) else {
        return forbidden("the panel answers to localhost and IP addresses only: use one of them");
    };
    let is_safe = matches!(*method, Method::GET | Method::HEAD);
    if let Some(origin) = headers.get(header::ORIGIN)
        && !is_safe
        && origin
            .to_str()
            .ok()
            .and_then(|origin| origin.strip_prefix("http://"))
            != Some(host)
    {
        return forbidden("this came from another web page: use the panel's own page");
    }
    Ok(())
}

/// Whether a `Host` is one that no foreign name server can have made.
fn is_own_name(host: &str) -> bool {
    host.parse::<std::net::SocketAddr>().is_ok()
        || host
            .trim_matches(['[', ']'])
            .parse::<std::net::IpAddr>()
            .is_ok()
        || host
            .split_once(':')
            .map_or(host, |(name, _)| name)
            .eq_ignore_ascii_case("localhost")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_addresses_and_localhost_are_own_names() {
        for own in [
            "127.0.0.1",
            "127.0.0.1:8000",
            "192.168.1.7:80",
            "[::1]",
            "[::1]:8000",
            "localhost",
            "LOCALHOST:8000",
        ] {
            assert!(is_own_name(own), "{own}");
        }
        for foreign in [
            "evil.example",
            "evil.example:8000",
            "localhost.evil.example",
            "127.0.0.1.evil",
            "",
        ] {
            assert!(!is_own_name(foreign), "{foreign}");
        }
    }

    #[test]
    fn a_change_from_another_origin_is_refused_and_reading_is_the_browsers_matter() {
        let headers = |origin: &'static str| {
            HeaderMap::from_iter([
                (header::HOST, "127.0.0.1:8000".parse().unwrap()),
                (header::ORIGIN, origin.parse().unwrap()),
            ])
        };
        check(&Method::POST, &headers("http://127.0.0.1:8000")).unwrap();
        check(&Method::GET, &headers("http://evil.example")).unwrap();
        for origin in [
            "http://evil.example",
            "null",
            "https://127.0.0.1:8000",
            "http://127.0.0.1:80",
        ] {
            let refusal = check(&Method::POST, &headers(origin)).unwrap_err();
            assert_eq!(refusal.0, StatusCode::FORBIDDEN, "{origin}");
        }
    }
}
