//! What the portal writes itself: its page (made in `web/`), the lists of networks and the state of a submission.
//!
//! Guarantees: a list goes out in pieces that each fit the buffer, whatever the networks are called;
//! a list that changes between two pieces is still well formed.

use core::fmt::{self, Write};

use heapless::String;

use super::Backend;
use super::file::{File, etag};
use super::plain;
use super::request::Language;
use super::text::Json;
use crate::wifi::{Sighting, Submission, SubmissionState};

// Looked at by the compiler alone: the image has the page compressed.
const PAGE_TAG: [u8; 16] = etag(include_bytes!("../../../web/built/setup.html"));

/// The portal's own page, with its style and script in it.
pub(super) const PAGE: File = File {
    path: "setup",
    content_type: "text/html; charset=utf-8",
    bytes: &[],
    gzip: Some(include_bytes!("../../../web/built/setup.html.gz")),
    etag: match core::str::from_utf8(&PAGE_TAG) {
        Ok(tag) => tag,
        Err(_) => panic!("the tag is made of hexadecimal digits"),
    },
};

/// What the portal's own page may load and do: its style and script, named by their hashes, and the
/// routes.
pub(super) const PAGE_POLICY: &str = include_str!("../../../web/built/setup.policy");

/// The object of `/status.json`.
pub(super) fn status_json(submission: &Submission, out: &mut dyn Write) -> fmt::Result {
    let state = match submission.state {
        SubmissionState::Idle => "idle",
        SubmissionState::Joining(_) => "joining",
        SubmissionState::Failed(_) => "failed",
        SubmissionState::Online(_) => "online",
    };
    write!(out, "{{\"state\":\"{state}\",\"ssid\":")?;
    match &submission.ssid {
        Some(ssid) => write!(out, "{}", Json(ssid))?,
        None => out.write_str("null")?,
    }
    match submission.state {
        SubmissionState::Failed(reason) => {
            write!(out, ",\"reason\":\"{}\",\"ip\":null}}", reason.as_str())
        }
        SubmissionState::Online(address) => write!(out, ",\"reason\":null,\"ip\":\"{address}\"}}"),
        SubmissionState::Idle | SubmissionState::Joining(_) => {
            out.write_str(",\"reason\":null,\"ip\":null}")
        }
    }
}

/// A body that is written piece by piece.
pub(super) enum Pieces {
    Networks,
    Plain(Submission, Language),
    Value(String<32>),
}

impl Pieces {
    /// Writes the piece with this number; `Ok(false)` after the last one.
    ///
    /// # Errors
    ///
    /// When `out` has no room for it; it is then asked for again.
    pub(super) fn write(
        &self,
        index: usize,
        backend: &dyn Backend,
        out: &mut dyn Write,
    ) -> Result<bool, fmt::Error> {
        match self {
            Self::Networks => networks_json(index, backend, out),
            Self::Plain(submission, language) => {
                plain::write(index, submission, *language, backend, out)
            }
            Self::Value(name) => {
                backend.value(name, out).transpose()?;
                Ok(false)
            }
        }
    }
}

fn networks_json(
    index: usize,
    backend: &dyn Backend,
    out: &mut dyn Write,
) -> Result<bool, fmt::Error> {
    let Some(position) = index.checked_sub(1) else {
        out.write_char('[')?;
        return Ok(true);
    };
    let written = nth_network(backend, position, &mut |network| {
        let comma = if position == 0 { "" } else { "," };
        write!(
            out,
            "{comma}{{\"ssid\":{},\"channel\":{},\"rssi\":{},\"auth\":\"{}\"}}",
            Json(&network.ssid),
            network.channel,
            network.rssi,
            network.auth.as_str()
        )
    });
    match written {
        Some(result) => result.map(|()| true),
        None => out.write_char(']').map(|()| false),
    }
}

/// Shows the network at `position` to `visit`; `None` when there are not that many.
pub(super) fn nth_network(
    backend: &dyn Backend,
    position: usize,
    visit: &mut dyn FnMut(&Sighting) -> fmt::Result,
) -> Option<fmt::Result> {
    let mut at = 0_usize;
    let mut result = None;
    backend.networks(&mut |network| {
        if at == position {
            result = Some(visit(network));
        }
        at += 1;
    });
    result
}

#[cfg(test)]
#[path = "pages_tests.rs"]
mod tests;
