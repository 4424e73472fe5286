//! The radio: the vendor's driver, which is station and access point at once, as the framework asks
//! for it.
//!
//! Guarantees: a call that was dropped leaves nothing behind that the next call does not clear away, but
//! for a join, which goes on until the next join or leaving; a scan fails meanwhile. Opening and closing
//! the access point restarts the driver, which loses the joined network; that is reported as a loss.

use core::future::{Future, pending, ready};
use core::net::Ipv4Addr;

use bluebell::board::{Radio, RadioError};
use bluebell::wifi::{AccessPoint, Auth, JoinFailure, JoinTarget, Scan, Sighting, Ssid};
use bluebell_network::Address;
use embassy_futures::select::select;
use embassy_time::{Duration, Timer, with_timeout};
use esp_hal::peripherals::WIFI;
use esp_hal::time::Duration as HalDuration;
use esp_radio::wifi::ap::{AccessPointConfig, AccessPointInfo};
use esp_radio::wifi::scan::{ScanConfig, ScanTypeConfig};
use esp_radio::wifi::sta::StationConfig;
use esp_radio::wifi::{
    AuthenticationMethod, AuthenticationMethodConfig, Config, ConnectionError, ControllerConfig,
    CountryInfo, DisconnectReason, PowerSaveMode, WifiController, WifiError,
};

use crate::reason::join_failure;

/// How many access points one scan reports at the most: each takes 64 bytes of heap until it has.
const SIGHTINGS: usize = 32;
/// How long to listen on each channel for answers.
const DWELL: (HalDuration, HalDuration) =
    (HalDuration::from_millis(30), HalDuration::from_millis(110));
/// How long leaving a network may take until the driver is believed to have forgotten it.
const LEAVING: Duration = Duration::from_secs(1);
/// How often it is looked whether the network is still joined, beside being told.
const LOOK: Duration = Duration::from_secs(1);
/// How many phones may be on the access point.
const PHONES: u16 = 4;
/// In quarters of a dBm: 15 dBm. The driver's own 5 dBm do not reach the next room; beyond 16, boards
/// with a weak supply have been seen to fail.
const TRANSMIT_POWER: i8 = 60;
/// Frames that may wait to be sent, over both interfaces: the driver's own 32 buffers are the bound. Its crate
/// counts beside them and forgets to count down a frame whose network is lost under it: with a bound of its own
/// nothing would be sent any more once that many were forgotten, until the power is cut.
const TRANSMIT_QUEUE: usize = usize::MAX;
/// Where the law of the country is not known: channels 12 and 13 are listened on, not sent on.
const WORLD: [u8; 2] = *b"01";

unsafe extern "C" {
    /// ESP-IDF, `esp_wifi.h`: `country` is two letters and a zero; the driver's crate has no call for it.
    fn esp_wifi_set_country_code(country: *const u8, follow_access_point: bool) -> i32;
}

/// The chip's Wi-Fi radio.
pub struct EspRadio {
    controller: WifiController<'static>,
    address: Address,
    station: StationConfig,
    access_point: Option<AccessPointConfig>,
    /// Whether a network was joined whose loss has not been reported.
    joined: bool,
}

/// Switches the radio on; from then on the chip's generator gives entropy.
pub(crate) fn controller(wifi: WIFI<'static>) -> Result<WifiController<'static>, WifiError> {
    let config = ControllerConfig::default()
        .with_country_info(CountryInfo::from(WORLD))
        // A radio that sleeps has no noise for the generator, and keys are drawn before a network is joined.
        .with_sta_disconnected_pm(false)
        // Keys of the hardware that would be kept for another protocol: they limit the phones.
        .with_espnow_max_encrypt_num(0)
        .with_tx_queue_size(TRANSMIT_QUEUE);
    // Of 1.6 KB each; more than 6, the window of the driver's block acknowledgements, make it faster.
    #[cfg(feature = "esp32c2")]
    let config = config.with_static_rx_buf_num(6);
    WifiController::new(wifi, config)
}

impl EspRadio {
    pub(crate) fn new(controller: WifiController<'static>, address: Address) -> Self {
        let mut radio = Self {
            controller,
            address,
            station: StationConfig::default(),
            access_point: None,
            joined: false,
        };
        radio.set_country(WORLD);
        radio.trim();
        radio
    }

    /// Applies what is to be station and access point. When these become more or fewer, the driver
    /// restarts.
    fn apply(&mut self) -> Result<(), WifiError> {
        let applied = self.controller.set_config(&self.config());
        if applied.is_err() {
            // The driver has stopped, and the access point with it: it starts again without that network.
            self.station = StationConfig::default();
            let _ = self.controller.set_config(&self.config());
        }
        self.trim();
        applied
    }

    fn config(&self) -> Config {
        let station = self.station.clone();
        match &self.access_point {
            Some(access_point) => Config::AccessPointStation(station, access_point.clone()),
            None => Config::Station(station),
        }
    }

    /// What a restart of the driver forgets. A radio that refuses it works, if less well.
    fn trim(&mut self) {
        let power_saving = match self.access_point {
            Some(_) => PowerSaveMode::None,
            None => PowerSaveMode::Minimum,
        };
        let _ = self.controller.set_power_saving(power_saving);
        let _ = self.controller.set_max_tx_power(TRANSMIT_POWER);
    }

    /// Ends a network that is joined or is being joined, and waits until the stack has seen it end.
    async fn disconnect(&mut self) {
        self.joined = false;
        // An error means that there was nothing to leave; the limit, that the driver did not say so.
        let _ = with_timeout(LEAVING, self.controller.disconnect_async()).await;
        self.address.left().await;
    }
}

impl Radio for EspRadio {
    fn set_country(&mut self, [first, second]: [u8; 2]) {
        let country = [first, second, 0];
        // SAFETY: the driver is initialised, as there is a controller; it copies the three bytes. A
        // country that it does not know is refused, and the one before stays.
        unsafe {
            esp_wifi_set_country_code(country.as_ptr(), true);
        }
    }

    async fn scan(
        &mut self,
        scan: &Scan<'_>,
        found: &mut dyn FnMut(Sighting),
    ) -> Result<(), RadioError> {
        let (min, max) = DWELL;
        let mut config = ScanConfig::default()
            .with_max(SIGHTINGS)
            .with_scan_type(ScanTypeConfig::Active { min, max });
        if let Some(channel) = scan.channel {
            config = config.with_channel(channel);
        }
        if let Some(name) = scan.probe {
            config = config
                .with_ssid(name.as_str().try_into().map_err(|_| RadioError)?)
                .with_show_hidden(true);
        }
        let networks = self
            .controller
            .scan_async(&config)
            .await
            .map_err(|_| RadioError)?;
        networks.iter().filter_map(sighting).for_each(found);
        Ok(())
    }

    async fn join(&mut self, target: &JoinTarget<'_>) -> Result<(), JoinFailure> {
        self.disconnect().await;
        let password = target.password.reveal();
        let authentication = if password.is_empty() {
            AuthenticationMethodConfig::Open
        } else {
            // The weakest that is accepted: WPA2 and WPA3 are above it.
            let password = password
                .try_into()
                .map_err(|_| JoinFailure::WrongPassword)?;
            AuthenticationMethodConfig::Wpa(password)
        };
        let name = target.ssid.as_str();
        self.station = StationConfig::default()
            .with_ssid(name.try_into().map_err(|_| JoinFailure::NotFound)?)
            .with_authentication(authentication);
        if let Some((bssid, channel)) = target.heard {
            self.station = self.station.clone().with_bssid(bssid).with_channel(channel);
        }
        let result = match self.apply() {
            Ok(()) => self.controller.connect_async().await,
            Err(error) => Err(error.into()),
        };
        match result {
            Ok(_) => {
                self.joined = true;
                Ok(())
            }
            Err(ConnectionError::Failed(info)) => {
                Err(join_failure(code(info.reason), !password.is_empty()))
            }
            Err(ConnectionError::WifiError(WifiError::InvalidPassword)) => {
                Err(JoinFailure::WrongPassword)
            }
            Err(_) => Err(JoinFailure::TimedOut),
        }
    }

    fn address(&mut self) -> impl Future<Output = Ipv4Addr> {
        self.address.given()
    }

    async fn lost(&mut self) {
        if !self.joined {
            return pending().await;
        }
        let Self {
            controller,
            address,
            ..
        } = self;
        let apart = async {
            // Looking as well, because the driver may tell before anybody listens.
            while controller.is_connected() {
                select(controller.wait_for_disconnect_async(), Timer::after(LOOK)).await;
            }
        };
        select(apart, address.lost()).await;
        self.joined = false;
    }

    fn leave(&mut self) -> impl Future<Output = ()> {
        self.disconnect()
    }

    fn rssi(&self) -> Option<i8> {
        // A driver that has stopped is not asked: its crate panics.
        let joined = self.joined && self.controller.is_connected();
        let signal = joined.then(|| self.controller.rssi())?;
        i8::try_from(signal.ok()?).ok()
    }

    fn open_access_point(
        &mut self,
        settings: &AccessPoint<'_>,
    ) -> impl Future<Output = Result<(), RadioError>> {
        ready(self.open(settings))
    }

    fn close_access_point(&mut self) -> impl Future<Output = ()> {
        if self.access_point.take().is_some() {
            // A driver that fails here has stopped, and the next join starts it.
            let _ = self.apply();
        }
        ready(())
    }

    fn closing_restarts(&self) -> bool {
        true
    }
}

impl EspRadio {
    fn open(&mut self, settings: &AccessPoint<'_>) -> Result<(), RadioError> {
        let password = settings.password.reveal();
        let authentication = if password.is_empty() {
            AuthenticationMethodConfig::Open
        } else {
            AuthenticationMethodConfig::Wpa2Personal(password.try_into().map_err(|_| RadioError)?)
        };
        self.access_point = Some(
            AccessPointConfig::default()
                .with_ssid(settings.ssid.as_str().try_into().map_err(|_| RadioError)?)
                .with_channel(settings.channel)
                .with_authentication(authentication)
                .with_max_connections(PHONES),
        );
        self.apply().map_err(|_| RadioError)
    }
}

/// An access point that was heard; `None` for one whose name is hidden or no UTF-8.
fn sighting(heard: &AccessPointInfo) -> Option<Sighting> {
    let name = heard.ssid.as_str();
    // The driver shows the part that is UTF-8.
    if name.len() != heard.ssid.len() {
        return None;
    }
    Some(Sighting {
        ssid: Ssid::new(name).ok()?,
        bssid: heard.bssid,
        channel: heard.channel,
        rssi: heard.signal_strength,
        auth: auth(heard.auth_method?),
    })
}

fn auth(method: AuthenticationMethod) -> Auth {
    use AuthenticationMethod as Method;
    match method {
        Method::None => Auth::Open,
        Method::Wep => Auth::Wep,
        Method::Wpa => Auth::Wpa,
        Method::Wpa2Personal | Method::WpaWpa2Personal => Auth::Wpa2,
        Method::Wpa3Personal | Method::Wpa2Wpa3Personal => Auth::Wpa3,
        Method::Wpa2Enterprise
        | Method::Wpa3EntSuiteB192Bit
        | Method::Wpa3Enterprise
        | Method::Wpa2Wpa3Enterprise
        | Method::WpaEnterprise => Auth::Enterprise,
        _ => Auth::Other,
    }
}

/// The number of a reason, which the driver's crate keeps to itself; 1 for those that make no difference.
fn code(reason: DisconnectReason) -> u16 {
    use DisconnectReason as Reason;
    match reason {
        Reason::AuthenticationExpired => 2,
        Reason::DisassociatedDueToInactivity => 4,
        Reason::AssociationTooMany => 5,
        Reason::MicFailure => 14,
        Reason::FourWayHandshakeTimeout => 15,
        Reason::_802_1xAuthenticationFailed => 23,
        Reason::Timeout => 39,
        Reason::BeaconTimeout => 200,
        Reason::NoAccessPointFound => 201,
        Reason::AuthenticationFailed => 202,
        Reason::AssociationFailed => 203,
        Reason::HandshakeTimeout => 204,
        Reason::ConnectionFailed => 205,
        Reason::AssociationComebackTimeTooLong => 208,
        Reason::NoAccessPointFoundWithCompatibleSecurity => 210,
        Reason::NoAccessPointFoundInAuthmodeThreshold => 211,
        Reason::NoAccessPointFoundInRssiThreshold => 212,
        _ => 1,
    }
}
