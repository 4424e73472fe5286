//! Names and their addresses.

use std::collections::BTreeMap;
use std::net::{IpAddr, Ipv4Addr};

use edge_nal::{AddrType, Dns};
use embassy_time::{Duration, Timer};

use super::error::NetworkError;
use super::{Host, Network};

/// How the name server behaves.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum NameServer {
    /// It answers, after the latency both ways.
    #[default]
    Answers,
    /// It is away: a look-up fails after 10 s, as the resolvers of embassy-net and glibc do.
    Away,
    /// It knows no name.
    Empty,
}

/// How long a resolver waits for a server that is away.
const PATIENCE: Duration = Duration::from_secs(10);

#[derive(Default)]
pub(super) struct Names {
    pub(super) server: NameServer,
    pub(super) addresses: BTreeMap<String, Ipv4Addr>,
}

impl Network {
    /// Gives `name` an address, or another one. Case does not matter.
    pub fn name(&self, name: &str, address: Ipv4Addr) {
        let name = name.to_ascii_lowercase();
        self.state
            .borrow_mut()
            .names
            .addresses
            .insert(name, address);
    }

    /// Takes a name away.
    pub fn forget_name(&self, name: &str) {
        let name = name.to_ascii_lowercase();
        self.state.borrow_mut().names.addresses.remove(&name);
    }

    /// Sets how the name server behaves. What is being looked up at that time ends as it began.
    pub fn set_name_server(&self, server: NameServer) {
        self.state.borrow_mut().names.server = server;
    }
}

impl Host {
    /// Waits as long as the name server takes.
    async fn asked(&self) -> Result<(), NetworkError> {
        let (online, server, latency) = {
            let state = self.network.state.borrow();
            let host = &state.hosts[self.id];
            let latency = (state.latency + host.faults.delay) * 2;
            let cut = host.faults.cable_pulled || host.faults.black_hole;
            let server = if cut {
                NameServer::Away
            } else {
                state.names.server
            };
            (host.online(), server, latency)
        };
        match server {
            _ if !online => Err(NetworkError::Unreachable),
            NameServer::Answers => {
                Timer::after(latency).await;
                Ok(())
            }
            NameServer::Away => {
                Timer::after(PATIENCE).await;
                Err(NetworkError::NameServerAway)
            }
            NameServer::Empty => {
                Timer::after(latency).await;
                Err(NetworkError::NoSuchName)
            }
        }
    }
}

impl Dns for Host {
    type Error = NetworkError;

    async fn get_host_by_name(
        &self,
        host: &str,
        addr_type: AddrType,
    ) -> Result<IpAddr, NetworkError> {
        if let Ok(address) = host.parse() {
            return Ok(address);
        }
        self.asked().await?;
        if addr_type == AddrType::IPv6 {
            return Err(NetworkError::NoSuchName);
        }
        let state = self.network.state.borrow();
        let address = state.names.addresses.get(&host.to_ascii_lowercase());
        address
            .map(|address| IpAddr::V4(*address))
            .ok_or(NetworkError::NoSuchName)
    }

    async fn get_host_by_address(
        &self,
        addr: IpAddr,
        result: &mut [u8],
    ) -> Result<usize, NetworkError> {
        self.asked().await?;
        let state = self.network.state.borrow();
        let mut names = state.names.addresses.iter();
        let (name, _) = names
            .find(|(_, address)| IpAddr::V4(**address) == addr)
            .ok_or(NetworkError::NoSuchName)?;
        result
            .get_mut(..name.len())
            .ok_or(NetworkError::TooLong)?
            .copy_from_slice(name.as_bytes());
        Ok(name.len())
    }
}
