//! The page for browsers without scripts: a form, the networks in it, and what became of the last try.
//!
//! Guarantees: every piece fits the buffer; it speaks the language that the browser asks for; it loads
//! nothing, and its style is the one that its policy names.

use core::fmt::{self, Write};

use super::Backend;
use super::inflate;
use super::pages::nth_network;
use super::request::Language;
use super::text::Html;
use crate::wifi::{Auth, JoinFailure, JoinStep, Submission, SubmissionState};

/// What the page may load and do.
pub(super) const POLICY: &str = include_str!("../../../web/built/plain.policy");

const STYLE: &[u8] = include_bytes!("../../../web/built/plain.css.gz");

/// How much of the style goes into one piece.
const STYLE_PIECE: usize = 512;

/// The words of one language.
struct Words {
    tag: &'static str,
    title: &'static str,
    lead: &'static str,
    channel: &'static str,
    open: &'static str,
    locked: &'static str,
    none: &'static str,
    nearby: &'static str,
    password: &'static str,
    connect: &'static str,
    other: &'static str,
    name: &'static str,
    rescan: &'static str,
    looking: &'static str,
    go_on: &'static str,
    joining: &'static str,
    address: &'static str,
    saving: &'static str,
    joined: &'static str,
    closes: &'static str,
}

const ENGLISH: Words = Words {
    tag: "en",
    title: "Put your device on Wi-Fi",
    lead: "Choose the network that it is to use from now on.",
    channel: "channel",
    open: "open",
    locked: "needs a password",
    none: "No network was heard yet.",
    nearby: "Networks nearby",
    password: "Password",
    connect: "Connect",
    other: "Another network",
    name: "Name of the network",
    rescan: "Look again",
    looking: "Looking for networks …",
    go_on: "Go on",
    joining: "joining the network …",
    address: "joined, getting an address …",
    saving: "joined, saving it …",
    joined: "joined. The device lives at",
    closes: "now, and its access point closes. Go back to your own network.",
};

const BOKMAL: Words = Words {
    tag: "nb",
    title: "Koble enheten til Wi-Fi",
    lead: "Velg nettverket den skal bruke fra nå av.",
    channel: "kanal",
    open: "åpent",
    locked: "krever passord",
    none: "Fant ingen nettverk ennå.",
    nearby: "Nettverk i nærheten",
    password: "Passord",
    connect: "Koble til",
    other: "Et annet nettverk",
    name: "Navnet på nettverket",
    rescan: "Søk igjen",
    looking: "Leter etter nettverk …",
    go_on: "Fortsett",
    joining: "kobler til nettverket …",
    address: "koblet til, henter adresse …",
    saving: "koblet til, lagrer …",
    joined: "koblet til. Enheten bor på",
    closes: "nå, og tilgangspunktet lukkes. Gå tilbake til ditt eget nettverk.",
};

impl Words {
    const fn step(&self, step: JoinStep) -> &'static str {
        match step {
            JoinStep::Joining => self.joining,
            JoinStep::Address => self.address,
            JoinStep::Saving => self.saving,
        }
    }
}

impl Language {
    const fn words(self) -> &'static Words {
        match self {
            Self::English => &ENGLISH,
            Self::Bokmal => &BOKMAL,
        }
    }

    /// Why a network was not joined, and what to do next.
    fn reason(self, reason: JoinFailure) -> &'static str {
        match (self, reason) {
            (Self::English, JoinFailure::NotFound) => {
                "no network of this name answered. Check the spelling, and that the device is near \
                 enough to the router."
            }
            (Self::English, JoinFailure::WrongPassword) => {
                "the password was not accepted. Check it, capital letters too, and connect again."
            }
            (Self::English, JoinFailure::NoDhcp) => {
                "the network gave the device no address. Restart the router, then connect again."
            }
            (Self::English, JoinFailure::Refused) => {
                "the network turned the device away. Let it in at the router, then connect again."
            }
            (Self::English, JoinFailure::TimedOut) => {
                "the network did not answer in time. Move the device nearer to the router, then \
                 connect again."
            }
            (Self::Bokmal, JoinFailure::NotFound) => {
                "ingen nettverk med dette navnet svarte. Sjekk skrivemåten, og at enheten er nær nok \
                 ruteren."
            }
            (Self::Bokmal, JoinFailure::WrongPassword) => {
                "passordet ble ikke godtatt. Sjekk det, også store bokstaver, og koble til igjen."
            }
            (Self::Bokmal, JoinFailure::NoDhcp) => {
                "nettverket ga enheten ingen adresse. Start ruteren på nytt og koble til igjen."
            }
            (Self::Bokmal, JoinFailure::Refused) => {
                "nettverket avviste enheten. Slipp den inn i ruteren og koble til igjen."
            }
            (Self::Bokmal, JoinFailure::TimedOut) => {
                "nettverket svarte ikke i tide. Flytt enheten nærmere ruteren og koble til igjen."
            }
        }
    }
}

/// Writes the piece with this number; `Ok(false)` after the last one.
///
/// # Errors
///
/// When `out` has no room for it.
pub(super) fn write(
    index: usize,
    submission: &Submission,
    language: Language,
    backend: &dyn Backend,
    out: &mut dyn Write,
) -> Result<bool, fmt::Error> {
    let words = language.words();
    let styles = inflate::length(STYLE).div_ceil(STYLE_PIECE);
    if index == 0 {
        return top(submission, words, out).map(|()| true);
    }
    if index <= styles {
        let mut piece = [0; STYLE_PIECE];
        let length = inflate::read(STYLE, (index - 1) * STYLE_PIECE, &mut piece);
        let piece = piece.get(..length).unwrap_or_default();
        // The style is ASCII, so it may be cut anywhere.
        out.write_str(core::str::from_utf8(piece).unwrap_or_default())?;
        return Ok(true);
    }
    let Some(position) = index.checked_sub(styles + 2) else {
        return heading(submission, language, out).map(|()| true);
    };
    let written = nth_network(backend, position, &mut |network| {
        write!(
            out,
            "<p><label><input type=\"radio\" name=\"ssid\" value=\"{0}\" required> {0} \
             <small>{1} dBm, {2} {3}, {4}</small></label></p>",
            Html(&network.ssid),
            network.rssi,
            words.channel,
            network.channel,
            match network.auth {
                Auth::Open => words.open,
                _ => words.locked,
            }
        )
    });
    if let Some(result) = written {
        return result.map(|()| true);
    }
    let mut count = 0_usize;
    backend.networks(&mut |_| count += 1);
    // The list may have changed since: whatever comes behind it comes once, in this order.
    end(words, count == 0, out).map(|()| false)
}

fn top(submission: &Submission, words: &Words, out: &mut dyn Write) -> fmt::Result {
    write!(
        out,
        "<!doctype html><html lang=\"{}\"><head><meta charset=\"utf-8\">\
         <meta name=\"viewport\" content=\"width=device-width,initial-scale=1\"><title>{}</title>",
        words.tag, words.title
    )?;
    if let SubmissionState::Joining(_) = submission.state {
        out.write_str("<meta http-equiv=\"refresh\" content=\"2\">")?;
    }
    out.write_str("<style>")
}

fn heading(submission: &Submission, language: Language, out: &mut dyn Write) -> fmt::Result {
    let words = language.words();
    write!(out, "</style></head><body><main><h1>{}</h1>", words.title)?;
    if let Some(ssid) = &submission.ssid {
        write!(out, "<p role=\"status\"><strong>{}</strong>: ", Html(ssid))?;
        match submission.state {
            SubmissionState::Idle => {}
            SubmissionState::Joining(step) => out.write_str(words.step(step))?,
            SubmissionState::Failed(reason) => out.write_str(language.reason(reason))?,
            SubmissionState::Online(ip) => write!(
                out,
                "{} <a href=\"http://{ip}/\">http://{ip}/</a> {}",
                words.joined, words.closes
            )?,
        }
        out.write_str("</p>")?;
    }
    write!(
        out,
        "<p>{}</p><form action=\"/connect\" method=\"post\"><fieldset><legend>{}</legend>",
        words.lead, words.nearby
    )
}

const HIDDEN: &str = "<input type=\"hidden\" name=\"page\" value=\"plain\">";

fn end(words: &Words, empty: bool, out: &mut dyn Write) -> fmt::Result {
    if empty {
        write!(out, "<p>{}</p>", words.none)?;
    }
    for by_name in [false, true] {
        if by_name {
            write!(
                out,
                "<form action=\"/connect\" method=\"post\"><fieldset><legend>{}</legend>\
                 <p><label>{} <input name=\"ssid\" required></label></p>",
                words.other, words.name
            )?;
        }
        write!(
            out,
            "{HIDDEN}<p><label>{} <input type=\"password\" name=\"password\"></label></p>\
             <button class=\"main\">{}</button></fieldset></form>",
            words.password, words.connect
        )?;
    }
    write!(
        out,
        "<form action=\"/rescan\" method=\"post\"><button>{}</button></form></main></body></html>",
        words.rescan
    )
}

/// What `/rescan` says to a browser without scripts: the list comes a moment later.
pub(super) fn rescan(language: Language, out: &mut dyn Write) -> fmt::Result {
    let words = language.words();
    write!(
        out,
        "<!doctype html><html lang=\"{0}\"><head><meta charset=\"utf-8\">\
         <meta http-equiv=\"refresh\" content=\"4;url=/plain\"><title>{1}</title></head><body>\
         <p>{1} <a href=\"/plain\">{2}</a></p></body></html>",
        words.tag, words.looking, words.go_on
    )
}
