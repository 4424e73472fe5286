//! The words that everybody uses for Wi-Fi: SSID, password, sighting, reason.

use core::fmt;
use core::net::Ipv4Addr;

use heapless::String;

use crate::credentials::Secret;

/// The name of a network: 1 to 32 bytes of UTF-8.
///
/// IEEE 802.11-2020, 9.4.2.2 allows any bytes; those that are not UTF-8 are not listed.
#[derive(Clone, PartialEq, Eq, Default)]
pub struct Ssid(String<32, u8>);

impl Ssid {
    /// Takes over a name.
    ///
    /// # Errors
    ///
    /// When it is empty or longer than 32 bytes.
    pub fn new(name: &str) -> Result<Self, SsidError> {
        if name.is_empty() {
            return Err(SsidError::Empty);
        }
        String::try_from(name)
            .map(Self)
            .map_err(|_| SsidError::TooLong)
    }

    /// The name as text.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl fmt::Debug for Ssid {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Debug::fmt(self.as_str(), formatter)
    }
}

impl fmt::Display for Ssid {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str(self.as_str())
    }
}

/// Why a text is no SSID.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum SsidError {
    /// It has no bytes.
    Empty,
    /// It has more than 32 bytes.
    TooLong,
}

impl fmt::Display for SsidError {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str(match self {
            Self::Empty => "the network's name is empty: give 1 to 32 bytes",
            Self::TooLong => "the network's name is too long: give 1 to 32 bytes",
        })
    }
}

impl core::error::Error for SsidError {}

/// A network's password: empty for an open network, 8 to 63 bytes, or 64 hexadecimal digits.
///
/// Never shown: `Debug` is redacted and there is no `Display`.
#[derive(Clone, PartialEq, Eq, Default, Debug)]
pub struct Password(Secret<64>);

impl Password {
    /// Takes over a password.
    ///
    /// # Errors
    ///
    /// When its length is none of the allowed ones.
    pub fn new(text: &str) -> Result<Self, PasswordError> {
        let valid = match text.len() {
            0 | 8..=63 => true,
            64 => text.bytes().all(|byte| byte.is_ascii_hexdigit()),
            _ => false,
        };
        if !valid {
            return Err(PasswordError);
        }
        Secret::new(text).map(Self).ok_or(PasswordError)
    }

    /// Whether this is the password of an open network.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.reveal().is_empty()
    }

    /// The password in clear, for the radio and for sealing.
    #[must_use]
    pub fn reveal(&self) -> &str {
        self.0.reveal()
    }
}

/// The text is no Wi-Fi password.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct PasswordError;

impl fmt::Display for PasswordError {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str(
            "the password does not fit: leave it empty for an open network, or give 8 to 63 bytes, \
             or 64 hexadecimal digits",
        )
    }
}

impl core::error::Error for PasswordError {}

/// How a network is protected.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Auth {
    /// No password.
    Open,
    /// WEP.
    Wep,
    /// WPA, personal.
    Wpa,
    /// WPA2, personal; also the mixed mode with WPA.
    Wpa2,
    /// WPA3, personal; also the mixed mode with WPA2.
    Wpa3,
    /// Any mode with a user name and a server.
    Enterprise,
    /// Anything else.
    Other,
}

impl Auth {
    /// The word for it in `/networks.json`.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Open => "open",
            Self::Wep => "wep",
            Self::Wpa => "wpa",
            Self::Wpa2 => "wpa2",
            Self::Wpa3 => "wpa3",
            Self::Enterprise => "enterprise",
            Self::Other => "other",
        }
    }
}

/// One access point, heard in a scan.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Sighting {
    /// The network's name; a hidden network answers with its name only when asked by it.
    pub ssid: Ssid,
    /// The access point's hardware address.
    pub bssid: [u8; 6],
    /// The channel, 1 to 14 (2.4 GHz) or above (5 GHz).
    pub channel: u8,
    /// The signal in dBm.
    pub rssi: i8,
    /// How it is protected.
    pub auth: Auth,
}

/// What to look for in a scan.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Scan<'a> {
    /// Only this channel; all allowed ones when `None`.
    pub channel: Option<u8>,
    /// Ask for this network by name, so that it answers though it is hidden.
    pub probe: Option<&'a Ssid>,
}

/// Which network to join.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct JoinTarget<'a> {
    /// Its name.
    pub ssid: &'a Ssid,
    /// Its password; empty for an open network.
    pub password: &'a Password,
    /// The access point to prefer, with its channel, where a scan has heard it.
    pub heard: Option<([u8; 6], u8)>,
}

/// How to open the device's own access point.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct AccessPoint<'a> {
    /// Its name.
    pub ssid: &'a Ssid,
    /// Its WPA2 password; open when empty.
    pub password: &'a Password,
    /// The channel to be on while no network is joined.
    pub channel: u8,
}

/// Why a network was not joined.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum JoinFailure {
    /// No access point with this name answered.
    NotFound,
    /// The access point did not take the password.
    WrongPassword,
    /// The network gave no address in time.
    NoDhcp,
    /// The access point refused the device.
    Refused,
    /// The access point did not finish joining in time.
    TimedOut,
}

impl JoinFailure {
    /// The word for it in `/status.json`.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::NotFound => "not_found",
            Self::WrongPassword => "wrong_password",
            Self::NoDhcp => "no_dhcp",
            Self::Refused => "refused",
            Self::TimedOut => "timed_out",
        }
    }
}

impl fmt::Display for JoinFailure {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str(match self {
            Self::NotFound => "no network with this name answered: check the name and the distance",
            Self::WrongPassword => "the password was not accepted: check it",
            Self::NoDhcp => "the network gave no address: check the router's DHCP",
            Self::Refused => "the access point refused the device: check its access list",
            Self::TimedOut => "the access point did not answer in time: move closer or try again",
        })
    }
}

impl core::error::Error for JoinFailure {}

/// What a person asked for at the portal, and what has become of it.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Submission {
    /// How far it is.
    pub state: SubmissionState,
    /// The network; `None` only while nothing was asked for.
    pub ssid: Option<Ssid>,
}

/// What a join waits for.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum JoinStep {
    /// The network, to be found and to let the device in.
    #[default]
    Joining,
    /// An address on it.
    Address,
    /// The store, to keep it.
    Saving,
}

impl JoinStep {
    /// The word for it.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Joining => "joining",
            Self::Address => "address",
            Self::Saving => "saving",
        }
    }
}

/// How far a submission is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum SubmissionState {
    /// Nothing was asked for.
    #[default]
    Idle,
    /// The network is being joined, and this is what is waited for.
    Joining(JoinStep),
    /// The network was not joined.
    Failed(JoinFailure),
    /// The network is joined, and the device has this address on it.
    Online(Ipv4Addr),
}
