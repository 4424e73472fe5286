//! The access points around a board, as `--air` takes them.

/// One access point: `home` and `hidden` begin one, the rest change it.
#[derive(Clone)]
pub(crate) struct Network {
    pub(crate) ssid: String,
    pub(crate) password: String,
    pub(crate) channel: u8,
    pub(crate) rssi: i8,
    pub(crate) up: bool,
    pub(crate) hidden: bool,
}

/// The network that most scenarios have.
pub(crate) const HOME: &str = "Home";
/// Its password.
pub(crate) const HOME_PASSWORD: &str = "correct horse";

impl Network {
    pub(crate) fn new(ssid: &str, password: &str) -> Self {
        Self {
            ssid: ssid.into(),
            password: password.into(),
            channel: 6,
            rssi: -50,
            up: true,
            hidden: false,
        }
    }

    pub(crate) fn home() -> Self {
        Self::new(HOME, HOME_PASSWORD)
    }

    pub(crate) fn down(mut self) -> Self {
        self.up = false;
        self
    }

    pub(crate) fn hidden(mut self) -> Self {
        self.hidden = true;
        self
    }

    pub(crate) fn at(mut self, channel: u8, rssi: i8) -> Self {
        self.channel = channel;
        self.rssi = rssi;
        self
    }

    /// The table of this network. JSON's strings are TOML's basic strings for the texts used here.
    fn table(&self) -> String {
        let quoted = |text: &str| serde_json::Value::from(text).to_string();
        format!(
            "[[network]]\nssid = {}\npassword = {}\nchannel = {}\nrssi = {}\nup = {}\nhidden = {}\n",
            quoted(&self.ssid),
            quoted(&self.password),
            self.channel,
            self.rssi,
            self.up,
            self.hidden,
        )
    }
}

/// The file for `--air`.
pub(crate) fn file(networks: &[Network]) -> String {
    networks.iter().map(Network::table).collect()
}
