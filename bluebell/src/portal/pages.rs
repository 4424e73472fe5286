//! What the portal writes itself: its page, the lists of networks and the state of a submission.
//!
//! Guarantees: a list goes out in pieces that each fit the buffer, whatever the networks are called;
//! a list that changes between two pieces is still well formed.

use core::fmt::{self, Write};

use heapless::String;

use super::Backend;
use super::file::{File, etag};
use super::text::{Html, Json};
use crate::wifi::{Sighting, Submission, SubmissionState};

const PAGE_BYTES: &[u8] = include_bytes!("page.html");
const PAGE_TAG: [u8; 16] = etag(PAGE_BYTES);

/// The portal's own page.
pub(super) const PAGE: File = File {
    path: "setup",
    content_type: "text/html; charset=utf-8",
    bytes: PAGE_BYTES,
    gzip: None,
    etag: match core::str::from_utf8(&PAGE_TAG) {
        Ok(tag) => tag,
        Err(_) => panic!("the tag is made of hexadecimal digits"),
    },
};

/// What the portal's own page may load and do: its own script, named by its hash, and the routes.
pub(super) const PAGE_POLICY: &str = "default-src 'none'; connect-src 'self'; \
    form-action 'self'; base-uri 'none'; frame-ancestors 'none'; style-src 'unsafe-inline'; \
    script-src 'sha256-K4/4y7cbQP4OYB6FrlMJWKbD91rkF2eKSPba/Kc27Jo='";

/// What the page for browsers without scripts may load and do.
pub(super) const PLAIN_POLICY: &str = "default-src 'none'; form-action 'self'; base-uri 'none'; \
    frame-ancestors 'none'; style-src 'unsafe-inline'";

/// The object of `/status.json`.
pub(super) fn status_json(submission: &Submission, out: &mut dyn Write) -> fmt::Result {
    let state = match submission.state {
        SubmissionState::Idle => "idle",
        SubmissionState::Joining => "joining",
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
        SubmissionState::Idle | SubmissionState::Joining => {
            out.write_str(",\"reason\":null,\"ip\":null}")
        }
    }
}

/// A body that is written piece by piece.
pub(super) enum Pieces {
    Networks,
    Plain(Submission),
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
            Self::Plain(submission) => plain(index, submission, backend, out),
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

fn plain(
    index: usize,
    submission: &Submission,
    backend: &dyn Backend,
    out: &mut dyn Write,
) -> Result<bool, fmt::Error> {
    let Some(position) = index.checked_sub(1) else {
        return plain_top(submission, out).map(|()| true);
    };
    let written = nth_network(backend, position, &mut |network| {
        write!(
            out,
            "<p><label><input type=\"radio\" name=\"ssid\" value=\"{0}\" required> {0}</label> \
             ({1} dBm, channel {2}, {3})</p>",
            Html(&network.ssid),
            network.rssi,
            network.channel,
            network.auth.as_str()
        )
    });
    match written {
        Some(result) => result.map(|()| true),
        None => out.write_str(PLAIN_END).map(|()| false),
    }
}

fn plain_top(submission: &Submission, out: &mut dyn Write) -> fmt::Result {
    out.write_str(
        "<!doctype html><html lang=\"en\"><head><meta charset=\"utf-8\">\
         <meta name=\"viewport\" content=\"width=device-width\"><title>Set up the device</title>",
    )?;
    if submission.state == SubmissionState::Joining {
        out.write_str("<meta http-equiv=\"refresh\" content=\"2\">")?;
    }
    out.write_str("</head><body><h1>Set up the device</h1>")?;
    if let Some(ssid) = &submission.ssid {
        write!(out, "<p role=\"status\"><strong>{}</strong>: ", Html(ssid))?;
        match submission.state {
            SubmissionState::Idle | SubmissionState::Joining => out.write_str("joining …")?,
            SubmissionState::Failed(reason) => write!(out, "{}", Html(&reason))?,
            SubmissionState::Online(address) => write!(
                out,
                "joined. The device is now at http://{address}/ and this access point closes."
            )?,
        }
        out.write_str("</p>")?;
    }
    out.write_str("<form action=\"/connect\" method=\"post\">")
}

const PLAIN_END: &str = "<input type=\"hidden\" name=\"page\" value=\"plain\">\
    <p><label>Password <input type=\"password\" name=\"password\"></label> \
    <button>Connect</button></p></form>\
    <form action=\"/connect\" method=\"post\">\
    <input type=\"hidden\" name=\"page\" value=\"plain\">\
    <p><label>Another network <input name=\"ssid\" required></label> \
    <label>Password <input type=\"password\" name=\"password\"></label> \
    <button>Connect</button></p></form>\
    <form action=\"/rescan\" method=\"post\"><p><button>Look again</button></p></form>\
    </body></html>";

/// What `/rescan` says to a browser without scripts: the list comes a moment later.
pub(super) const RESCAN_HTML: &str = "<!doctype html><html lang=\"en\"><head>\
    <meta charset=\"utf-8\"><meta http-equiv=\"refresh\" content=\"4;url=/plain\">\
    <title>Looking for networks</title></head><body><p>Looking for networks … \
    <a href=\"/plain\">Go on</a></p></body></html>";

/// Shows the network at `position` to `visit`; `None` when there are not that many.
fn nth_network(
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
