//! What can stand in a scenario's file; `docs/scenarios.md` is its description for people.

mod check;
#[cfg(test)]
mod tests;

use serde::Deserialize;
use toml::Spanned;

use super::words::{Date, Span};
use crate::air::Station;
use crate::net::Faults;

/// A scenario as it is written.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Script {
    /// What happens and what must come of it, in a sentence or two.
    pub story: Spanned<String>,
    /// How many times it is told, each with another seed; once unless said.
    #[serde(default = "one")]
    pub seeds: u64,
    /// The times of the outages in it; the story is told once for each.
    pub sweep: Option<Sweep>,
    /// What the time server shows at the start; 2030-01-01 at midnight UTC unless said.
    pub date: Option<Date>,
    /// The device's configuration; the application's own unless said.
    pub config: Option<Spanned<String>>,
    /// Networks that the device has been on before the story.
    #[serde(default)]
    pub knows: Vec<Spanned<String>>,
    /// Whether the device is switched on as the story begins.
    #[serde(default = "yes")]
    pub on: bool,
    /// The networks around.
    #[serde(default)]
    pub network: Vec<Network>,
    /// What happens and is expected, in its order.
    pub step: Vec<Step>,
    /// The same, beside it.
    #[serde(default)]
    pub meanwhile: Vec<Step>,
    /// Where its lines end.
    #[serde(skip)]
    ends: Vec<usize>,
}

fn one() -> u64 {
    1
}

fn yes() -> bool {
    true
}

/// Times, evenly spread, from the first to the last.
#[derive(Debug, Clone, Copy, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Sweep {
    /// The first.
    pub from: Span,
    /// The last.
    pub to: Span,
    /// From one to the next.
    pub every: Span,
}

/// A network, or what changes of one.
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Network {
    /// Its name.
    pub ssid: Spanned<String>,
    /// Which of several access points of that name; any unless said.
    pub access_point: Option<u8>,
    /// Its password; `""` is none.
    pub password: Option<Spanned<String>>,
    /// Its channel, 1 to 13.
    pub channel: Option<u8>,
    /// Its signal at the device, in dBm.
    pub rssi: Option<i8>,
    /// Whether it is switched on.
    pub up: Option<bool>,
    /// Whether it answers only to its name.
    pub hidden: Option<bool>,
    /// Whether it gives addresses.
    pub dhcp: Option<bool>,
    /// Whether it turns the device away.
    pub refuses: Option<bool>,
    /// Whether it never answers an attempt to join.
    pub mute: Option<bool>,
}

impl Network {
    /// The access point that appears, before what is said of it is applied.
    pub(super) fn station(&self) -> Station {
        let mut station = Station::new(self.ssid.get_ref());
        if let Some(number) = self.access_point {
            station.bssid = bssid(number);
        }
        station
    }

    /// Whether an access point is this one, or one of these.
    pub(super) fn means(&self, station: &Station) -> bool {
        let one = self.access_point.map(bssid);
        station.ssid == self.ssid.get_ref().as_bytes()
            && one.is_none_or(|bssid| station.bssid == bssid)
    }

    /// Applies what is said here.
    pub(super) fn apply(&self, station: &mut Station) {
        if let Some(password) = &self.password {
            station.password.clone_from(password.get_ref());
        }
        station.channel = self.channel.unwrap_or(station.channel);
        station.rssi = self.rssi.unwrap_or(station.rssi);
        station.up = self.up.unwrap_or(station.up);
        station.hidden = self.hidden.unwrap_or(station.hidden);
        station.dhcp = self.dhcp.unwrap_or(station.dhcp);
        station.refuses = self.refuses.unwrap_or(station.refuses);
        station.mute = self.mute.unwrap_or(station.mute);
    }
}

/// The hardware address of an access point that has a number.
pub(super) const fn bssid(number: u8) -> [u8; 6] {
    // Locally administered.
    [0x02, 0xb2, 0, 0, 0, number]
}

/// When a step begins.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum When {
    /// So long after the start of the story, or as soon as the step before it is over.
    At(Span),
    /// At the time of the sweep.
    Sweep,
    /// So long after the step before it.
    After(Span),
}

/// A step: something is done, or something is expected.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Step {
    at: Option<Spanned<String>>,
    after: Option<Span>,
    /// What is done.
    #[serde(rename = "do")]
    pub act: Option<Spanned<Act>>,
    /// What is expected.
    pub expect: Option<Spanned<Expect>>,
    /// How long it may take; at once unless said.
    pub within: Option<Span>,
    /// For how long it has to be so; one moment unless said.
    pub holds: Option<Span>,
}

impl Step {
    /// When it begins.
    pub(super) fn when(&self) -> When {
        match (&self.at, self.after) {
            (Some(at), _) if at.get_ref() == "sweep" => When::Sweep,
            // Checked when the script was read.
            (Some(at), _) => When::At(at.get_ref().parse().unwrap_or_default()),
            (None, after) => When::After(after.unwrap_or_default()),
        }
    }
}

/// What can be done.
#[derive(Debug, Clone, Deserialize)]
pub enum Act {
    /// The power goes; the device has only its flash.
    #[serde(rename = "power off")]
    PowerOff,
    /// The power is back.
    #[serde(rename = "power on")]
    PowerOn,
    /// The power is gone for a moment.
    #[serde(rename = "power cycle")]
    PowerCycle,
    /// Every access point throws the device off.
    #[serde(rename = "throw off")]
    ThrowOff,
    /// Every connection of the device is reset.
    #[serde(rename = "reset connections")]
    ResetConnections,
    /// The broker's side of the connection ends, as when its program closes it.
    #[serde(rename = "half-close connections")]
    HalfClose,
    /// The person leaves, with whatever the phone had begun.
    #[serde(rename = "walk away")]
    WalkAway,
    /// The person is back.
    #[serde(rename = "come back")]
    ComeBack,
    /// A network changes, or appears.
    #[serde(rename = "network")]
    Network(Network),
    /// What happens to the broker.
    #[serde(rename = "broker")]
    Broker(BrokerAct),
    /// How long the broker takes for whatever comes in.
    #[serde(rename = "broker takes")]
    BrokerTakes(Span),
    /// What is wrong on the way between device and home; `{}`: nothing.
    #[serde(rename = "line")]
    Line(Line),
    /// The same between device and phone.
    #[serde(rename = "phone line")]
    PhoneLine(Line),
    /// What happens to the time server.
    #[serde(rename = "time server")]
    TimeServer(TimeServerAct),
    /// The time server's clock is set.
    #[serde(rename = "date")]
    Date(Date),
    /// The person submits a network at the portal, once.
    #[serde(rename = "submit")]
    Submit(Login),
    /// The person does so until the device is online, however long that takes.
    #[serde(rename = "set up")]
    SetUp(Login),
    /// The phone begins a request and says no more.
    #[serde(rename = "begin a request")]
    BeginRequest,
    /// A line, or several, are typed on the console.
    #[serde(rename = "type")]
    Type(String),
    /// Somebody publishes.
    #[serde(rename = "publish")]
    Publish(Message),
    /// A button is pressed and let go.
    #[serde(rename = "press")]
    Press(u8),
    /// A level is put on an input, until another is.
    #[serde(rename = "pin")]
    Pin(Pin),
    /// Power goes in a write to the flash, and is back at once.
    #[serde(rename = "cut flash")]
    CutFlash(FlashCut),
    /// So many bits of the flash turn over, anywhere.
    #[serde(rename = "flip bits")]
    FlipBits(u32),
}

impl Act {
    /// Reads one act: a bare word, or `key = value`.
    ///
    /// # Errors
    ///
    /// What is wrong with it.
    pub(super) fn parse(text: &str) -> Result<Self, String> {
        #[derive(Deserialize)]
        struct One {
            #[serde(rename = "do")]
            act: Act,
        }
        let text = if text.contains('=') {
            format!("do = {{ {text} }}")
        } else {
            format!("do = {text:?}")
        };
        let one: One = toml::from_str(&text).map_err(|error| error.to_string())?;
        Ok(one.act)
    }
}

/// What happens to the broker.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize)]
pub enum BrokerAct {
    /// Its program dies.
    #[serde(rename = "stop")]
    Stop,
    /// It runs again, after whatever it was.
    #[serde(rename = "start")]
    Start,
    /// It accepts and says nothing.
    #[serde(rename = "hang")]
    Hang,
    /// It lets nobody in.
    #[serde(rename = "refuse")]
    Refuse,
    /// It lets everybody in again.
    #[serde(rename = "admit")]
    Admit,
    /// Dies and runs again, with all that it knew.
    #[serde(rename = "restart")]
    Restart,
    /// Dies and runs again, and knows nothing.
    #[serde(rename = "restart forgetting")]
    RestartForgetting,
}

/// What happens to the time server.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum TimeServerAct {
    /// It keeps silent.
    Away,
    /// It answers again.
    Back,
    /// It says that it does not know the time.
    Unsynchronized,
}

/// What is wrong on a line.
#[derive(Debug, Clone, Default, PartialEq, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Line {
    pulled: bool,
    black_hole: bool,
    refuses: bool,
    delay: Span,
    jitter: Span,
    loss: f64,
    duplicate: f64,
    reorder: f64,
    piece: Option<usize>,
    pace: Span,
    reset_after: Option<usize>,
}

impl Line {
    /// As the network takes it.
    pub(super) fn faults(&self) -> Faults {
        Faults {
            cable_pulled: self.pulled,
            black_hole: self.black_hole,
            refuse: self.refuses,
            delay: self.delay.0,
            jitter: self.jitter.0,
            loss: self.loss,
            duplicate: self.duplicate,
            reorder: self.reorder,
            piece: self.piece.unwrap_or(usize::MAX),
            pace: self.pace.0,
            reset_after: self.reset_after,
        }
    }
}

/// What a person writes into the form.
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Login {
    /// The network's name.
    pub ssid: String,
    /// Its password, perhaps a wrong one.
    #[serde(default)]
    pub password: String,
}

/// A message to the device.
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Message {
    /// Its topic.
    pub topic: String,
    /// Its payload.
    #[serde(default)]
    pub payload: String,
    /// Its quality of service; 1 unless said.
    #[serde(default = "at_least_once")]
    pub qos: u8,
    /// Whether the broker keeps it.
    #[serde(default)]
    pub retain: bool,
}

fn at_least_once() -> u8 {
    1
}

/// A power cut in the middle of a write.
#[derive(Debug, Clone, Copy, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct FlashCut {
    /// So many writes and erasures go through before.
    pub after: u64,
    /// So many words of the next one.
    #[serde(default)]
    pub words: usize,
}

/// What is expected; all that is said holds at the same moment.
#[derive(Debug, Clone, Default, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Expect {
    /// What Wi-Fi is doing.
    pub wifi: Option<Wifi>,
    /// The network that the device is on or is joining.
    pub ssid: Option<String>,
    /// The number of the access point that it is on.
    pub access_point: Option<u8>,
    /// Whether it is connected to the broker.
    pub online: Option<bool>,
    /// Whether its access point is open.
    pub portal: Option<bool>,
    /// The networks that it has stored and joined once, in any order.
    pub stored: Option<Vec<String>>,
    /// A text that was printed on the console since the last thing that was done.
    pub printed: Option<String>,
    /// A message that came to the broker since then.
    pub message: Option<Seen>,
    /// What the broker keeps on a topic.
    pub retained: Option<Kept>,
    /// What the phone is shown.
    pub page: Option<Page>,
    /// A pin's level.
    pub pin: Option<Pin>,
    /// What the display shows.
    pub display: Option<String>,
}

/// What Wi-Fi is doing.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Wifi {
    /// The device has just started.
    Starting,
    /// A network is being joined.
    Joining,
    /// The access point is open, and no network is joined.
    Portal,
    /// The device has an address.
    Online,
}

/// A message that is expected.
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Seen {
    /// Its topic, or a filter.
    pub topic: String,
    /// Its payload; any unless said.
    pub payload: Option<String>,
    /// How many there are, exactly; at least one unless said.
    pub times: Option<usize>,
}

/// A retained message that is expected.
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Kept {
    /// Its topic.
    pub topic: String,
    /// Its payload; `""`: nothing is retained.
    pub payload: String,
}

/// A page that is expected.
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Page {
    /// Its path.
    pub path: String,
    /// The status of the answer; 200 unless said.
    #[serde(default = "okay")]
    pub status: u16,
    /// What stands in it.
    #[serde(default)]
    pub contains: String,
}

fn okay() -> u16 {
    200
}

/// A level on a pin.
#[derive(Debug, Clone, Copy, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Pin {
    /// Its number.
    pub number: u8,
    /// 0 or 1.
    pub level: u8,
}
