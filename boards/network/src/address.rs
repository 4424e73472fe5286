//! The address that the joined network has given the station.
//!
//! Guarantees: an address counts as lost when its lease has run out or the network has given another one,
//! whether or not anybody was waiting at that moment; none of a network that was left is taken for one of the
//! next.

use core::future::pending;
use core::net::Ipv4Addr;

use embassy_net::Stack;
use embassy_time::{Duration, with_timeout};

/// How long the stack may take to see that a network was left.
const LEAVING: Duration = Duration::from_secs(1);

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
