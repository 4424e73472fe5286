//! The address that the joined network has given the station.
//!
//! Guarantees: an address counts as lost when its lease has run out or the network has given another one,
//! whether or not anybody was waiting at that moment; none of a network that was left is taken for one of the
//! next.

use core::future::pending;
use core::net::Ipv4Addr;

use embassy_net::{DhcpConfig, Stack};
use embassy_time::{Duration, with_timeout};
use smoltcp::time::Duration as StackDuration;

/// How long the stack may take to see that a network was left.
const LEAVING: Duration = Duration::from_secs(1);

/// How often a server is asked again that does not answer. Of the stack's own 10 s and 5 s the first is longer than the
/// framework waits for an address (8 s): a question lost would be a network without DHCP. Some servers look for 3 s
/// whether an address is free, and an answer to the question before is none.
const ASKING: StackDuration = StackDuration::from_millis(3500);
const TAKING: StackDuration = StackDuration::from_millis(1500);

/// How the station asks for its address.
#[must_use]
pub fn dhcp() -> DhcpConfig {
    let mut config = DhcpConfig::default();
    config.retry_config.discover_timeout = ASKING;
    config.retry_config.initial_request_timeout = TAKING;
    config
}

/// The station's address, for a board's radio to tell of.
pub struct Address {
    stack: Stack<'static>,
    given: Option<Ipv4Addr>,
}

impl Address {
    /// The address of this stack.
    #[must_use]
    pub fn new(stack: Stack<'static>) -> Self {
        Self { stack, given: None }
    }

    fn now(&self) -> Option<Ipv4Addr> {
        let config = self.stack.config_v4()?;
        Some(config.address.address())
    }

    /// Waits until there is one.
    ///
    /// Cancellation: nothing is lost; the next call goes on waiting.
    pub async fn given(&mut self) -> Ipv4Addr {
        loop {
            self.stack.wait_config_up().await;
            if let Some(address) = self.now() {
                self.given = Some(address);
                return address;
            }
        }
    }

    /// Waits until the address that [`given`](Self::given) has told is gone. Pending for ever while none was
    /// told since the network was joined.
    ///
    /// Cancellation: a loss that nobody has waited for is told by the next call.
    pub async fn lost(&self) {
        if self.given.is_none() {
            return pending().await;
        }
        while self.now() == self.given {
            self.stack.wait_config_down().await;
        }
    }

    /// After the network was left: waits until the stack has seen it, for a second at the most, because one
    /// that has had no address does not.
    pub async fn left(&mut self) {
        self.given = None;
        let _ = with_timeout(LEAVING, self.stack.wait_config_down()).await;
    }
}
