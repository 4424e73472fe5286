//! The portal's other side: it asks, Wi-Fi answers. Neither knows the other; they meet here.

use core::fmt;
use core::net::SocketAddr;

use super::Shared;
use super::parts::Values;
use crate::portal::{Backend, File};
use crate::wifi::{Password, Sighting, Ssid, Submission};

/// What the portal sees of the device.
pub(super) struct PortalBackend<'d, 'p> {
    pub(super) shared: &'d Shared<'d>,
    pub(super) files: &'static [File],
    pub(super) values: &'p dyn Values,
    pub(super) address: SocketAddr,
}

impl Backend for PortalBackend<'_, '_> {
    fn name(&self) -> &str {
        &self.shared.config.device.name
    }

    fn address(&self) -> SocketAddr {
        self.address
    }

    fn networks(&self, visit: &mut dyn FnMut(&Sighting)) {
        self.shared.wifi.visit_networks(visit);
    }

    fn rescan(&self) {
        self.shared.wifi.rescan();
    }

    fn submit(&self, ssid: Ssid, password: Password) {
        self.shared.wifi.submit(ssid, password);
    }

    fn submission(&self) -> Submission {
        self.shared.wifi.submission()
    }

    fn request_seen(&self) {
        self.shared.wifi.request_seen();
    }

    fn online_served(&self) {
        self.shared.wifi.online_served();
    }

    fn files(&self) -> &[File] {
        self.files
    }

    fn value(&self, name: &str, json: &mut dyn fmt::Write) -> Option<fmt::Result> {
        self.values.value(name, json)
    }
}
