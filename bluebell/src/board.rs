//! What a board brings: a radio, two network stacks, flash, entropy, a console and a reset.
//!
//! The framework asks for nothing else of the machine below it. A board is written once for a kind of
//! hardware; an application never sees these traits.

use core::net::{Ipv4Addr, SocketAddr};

use edge_nal::{Dns, TcpBind, TcpConnect, UdpBind};
use embedded_io_async::{Read, Write};
use embedded_storage_async::nor_flash::MultiwriteNorFlash;

use crate::mqtt;
use crate::portal::Seating;
use crate::wifi::{AccessPoint, JoinFailure, JoinTarget, Password, Scan, Sighting, Ssid, State};

/// The family of types that one board is made of.
pub trait Board {
    /// The Wi-Fi radio.
    type Radio: Radio;
    /// The NOR flash that holds store, log and outbox: words of 4 bytes, sectors of 4 KiB. It reads, and writes one
    /// word, at once: a future of these that is not ready when it is first polled counts as a failure.
    type Flash: MultiwriteNorFlash;
    /// The station's side of the network: where the broker, the time server and name servers are.
    type Station: TcpConnect + UdpBind + Dns;
    /// The access point's side of the network: where the person with the phone is.
    type Portal: TcpBind + UdpBind;
    /// How many connections the portal serves at a time, and how long a request's head may be.
    type PortalMemory: Seating;
    /// Where the log is printed.
    type Console: Write;
    /// Where commands are typed.
    type Commands: Read;
}

/// One board's parts, handed over to the device that runs on it.
pub struct Hardware<'b, B: Board> {
    /// The Wi-Fi radio.
    pub radio: B::Radio,
    /// The flash, with what lies where in it.
    pub flash: B::Flash,
    /// Where store, log and outbox lie in the flash.
    pub flash_layout: FlashLayout,
    /// The station's network stack.
    pub station: B::Station,
    /// The access point's network stack.
    pub portal: B::Portal,
    /// Which services the board's access point needs from the framework.
    pub portal_services: PortalServices,
    /// What the board offers where the configuration names nothing.
    pub own_servers: OwnServers,
    /// The console.
    pub console: B::Console,
    /// The console's other direction.
    pub commands: B::Commands,
    /// Entropy, reset and watchdog.
    pub system: &'b dyn System,
}

/// What the machine itself can do.
pub trait System {
    /// Fills `bytes` with entropy that is fit for keys.
    fn entropy(&self, bytes: &mut [u8]);
    /// The hardware address of the station, from which default names are made.
    fn hardware_address(&self) -> [u8; 6];
    /// Called at least once a second while the device's future is alive.
    fn feed_watchdog(&self) {}
    /// Shown whenever something of it has changed: for a panel, or for an LED on the board.
    fn status(&self, _status: &Status<'_>) {}
    /// Starts the machine anew, at once or in a moment, as if its power had been cut. A board that
    /// cannot does nothing: then a person has to cycle the power.
    fn restart(&self) {}
    /// Why the machine started, in words: a line for the log.
    fn reset_reason(&self) -> &str {
        "power on"
    }
    /// What is known of the crash before this boot, if there was one: lines for the log.
    fn crash(&self) -> Option<&str> {
        None
    }
}

/// How the device is, for the board to show.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Status<'a> {
    /// What Wi-Fi is doing.
    pub wifi: State,
    /// The network that is joined or being joined.
    pub ssid: Option<&'a Ssid>,
    /// The station's address.
    pub address: Option<Ipv4Addr>,
    /// What the connection to the broker is doing.
    pub mqtt: mqtt::State,
    /// Whether the access point is open.
    pub portal: bool,
    /// The access point's name and password. The password is for the eyes of who has the device.
    pub access_point: (&'a Ssid, &'a Password),
}

/// Where store, log and outbox lie, in bytes from the start of the flash; each a multiple of 4 KiB.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct FlashLayout {
    /// Settings, credentials and the application's values: at least two sectors.
    pub store: core::ops::Range<u32>,
    /// The log's ring: at least two sectors.
    pub log: core::ops::Range<u32>,
    /// Messages that wait for the broker: at least two sectors.
    pub outbox: core::ops::Range<u32>,
}

/// Which services the framework runs on the access point.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct PortalServices {
    /// Where a browser on the access point finds the device.
    pub address: SocketAddr,
    /// Whether clients get their addresses (DHCP, port 67) and names (DNS, port 53) from the
    /// framework: true on a chip, false where the host's own network is used.
    pub dhcp_and_dns: bool,
}

/// Servers that a board brings along, for a configuration that names none.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct OwnServers {
    /// An MQTT 5 broker, used when `mqtt.host` is empty.
    pub broker: Option<SocketAddr>,
    /// An SNTP server, used when `clock.server` is empty.
    pub time: Option<SocketAddr>,
}

/// A Wi-Fi radio that is station and access point at once, on one channel.
///
/// Every method is cancellation safe in this sense: after a dropped future the next call begins
/// afresh, but for a dropped [`join`](Self::join): until the next `join` or [`leave`](Self::leave) it may
/// go on, and a scan meanwhile may fail. The framework bounds each call's time; the radio need not.
pub trait Radio {
    /// Sets the regulatory country (ISO 3166-1, two letters), before anything else is asked of the radio.
    fn set_country(&mut self, _country: [u8; 2]) {}

    /// Looks for networks and reports each to `found`, in any order, duplicates allowed.
    ///
    /// # Errors
    ///
    /// When the radio could not scan now; it will be asked again.
    async fn scan(
        &mut self,
        scan: &Scan<'_>,
        found: &mut dyn FnMut(Sighting),
    ) -> Result<(), RadioError>;

    /// Associates with a network, leaving the one it is on; the access point stays as it is.
    ///
    /// # Errors
    ///
    /// Why the network was not joined.
    async fn join(&mut self, target: &JoinTarget<'_>) -> Result<(), JoinFailure>;

    /// Waits until the joined network has given the station an address.
    async fn address(&mut self) -> Ipv4Addr;

    /// Waits until the joined network is lost; a loss that nobody was waiting for is reported at the
    /// next call. Pending for ever when none was joined.
    async fn lost(&mut self);

    /// Leaves the network that is joined or being joined, if any.
    async fn leave(&mut self);

    /// The joined network's signal in dBm, where it is known.
    fn rssi(&self) -> Option<i8>;

    /// Opens the access point; an open one takes the new settings.
    ///
    /// # Errors
    ///
    /// When the radio could not open it now; it will be asked again.
    async fn open_access_point(&mut self, settings: &AccessPoint<'_>) -> Result<(), RadioError>;

    /// Closes the access point, if it is open.
    async fn close_access_point(&mut self);

    /// Whether opening and closing the access point restarts the driver, so that the joined network
    /// is lost for a moment.
    fn closing_restarts(&self) -> bool {
        false
    }
}

/// The radio did not do what it was asked; trying again later is the remedy.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct RadioError;

impl core::fmt::Display for RadioError {
    fn fmt(&self, formatter: &mut core::fmt::Formatter<'_>) -> core::fmt::Result {
        formatter.write_str("the radio is busy or failed; it is tried again")
    }
}

impl core::error::Error for RadioError {}
