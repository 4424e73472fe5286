//! What a network's DHCP server may tell the stack.
//!
//! Guarantees: no answer of a DHCP server makes the stack panic. smoltcp 0.13.1 takes the router as it is told, and
//! asserts at the first packet for it that this is the address of one host (`iface/neighbor.rs`); it renews a lease
//! with whoever has sent it, and asserts that the sender has an address. So a router that is none is left out, and
//! the rest of the answer stands: a network without a way out may still have the broker. An answer from 0.0.0.0
//! does not arrive.

use core::net::Ipv4Addr;
use core::task::Context;

use embassy_net::driver::{Capabilities, Driver, HardwareAddress, LinkState, RxToken};
use smoltcp::wire::{EthernetFrame, EthernetProtocol, IpProtocol, Ipv4Packet, UdpPacket};

/// The port of DHCP clients (RFC 2131, section 4.1).
const CLIENT: u16 = 68;
/// Where the options begin: behind the fixed fields and the magic cookie (RFC 2131, section 2).
const OPTIONS: usize = 240;
/// The options that have no length (RFC 2132, section 3), and the router's (section 3.5).
const PAD: u8 = 0;
const END: u8 = 255;
const ROUTER: u8 = 3;

/// A network device whose frames are looked at before the stack takes them.
#[derive(Debug)]
pub struct Guarded<D>(pub D);

impl<D: Driver> Driver for Guarded<D> {
    type RxToken<'a>
        = Looked<D::RxToken<'a>>
    where
        Self: 'a;
    type TxToken<'a>
        = D::TxToken<'a>
    where
        Self: 'a;

    fn receive(
        &mut self,
        context: &mut Context<'_>,
    ) -> Option<(Self::RxToken<'_>, D::TxToken<'_>)> {
        let (received, answer) = self.0.receive(context)?;
        Some((Looked(received), answer))
    }

    fn transmit(&mut self, context: &mut Context<'_>) -> Option<D::TxToken<'_>> {
        self.0.transmit(context)
    }

    fn link_state(&mut self, context: &mut Context<'_>) -> LinkState {
        self.0.link_state(context)
    }

    fn capabilities(&self) -> Capabilities {
        self.0.capabilities()
    }

    fn hardware_address(&self) -> HardwareAddress {
        self.0.hardware_address()
    }
}

/// A frame that has come.
#[derive(Debug)]
pub struct Looked<T>(T);

impl<T: RxToken> RxToken for Looked<T> {
    fn consume<R, F: FnOnce(&mut [u8]) -> R>(self, take: F) -> R {
        self.0.consume(|frame| {
            mend(frame);
            take(frame)
        })
    }
}

/// Takes out of an answer of a DHCP server what the stack does not bear; `None`: the frame is none.
fn mend(frame: &mut [u8]) -> Option<()> {
    let mut frame = EthernetFrame::new_checked(frame).ok()?;
    if frame.ethertype() != EthernetProtocol::Ipv4 {
        return None;
    }
    let mut packet = Ipv4Packet::new_checked(frame.payload_mut()).ok()?;
    let sender = packet.src_addr();
    if packet.next_header() != IpProtocol::Udp {
        return None;
    }
    let mut datagram = UdpPacket::new_checked(packet.payload_mut()).ok()?;
    if datagram.dst_port() != CLIENT {
        return None;
    }
    if sender.is_unspecified() {
        // No socket has this port.
        datagram.set_dst_port(0);
    }
    let left_out = leave_out_router(datagram.payload_mut().get_mut(OPTIONS..)?);
    if left_out {
        // The sender has reckoned none (RFC 768).
        datagram.set_checksum(0);
    }
    Some(())
}

/// Makes padding of each router that is no host; whether there was one.
fn leave_out_router(mut options: &mut [u8]) -> bool {
    let mut left_out = false;
    loop {
        options = match options {
            [PAD, rest @ ..] => rest,
            [END, ..] | [] | [_] => return left_out,
            [code, length, rest @ ..] => {
                let Some((value, rest)) = rest.split_at_mut_checked(usize::from(*length)) else {
                    return left_out;
                };
                if *code == ROUTER && !value.first_chunk().is_some_and(|router| is_host(*router)) {
                    (*code, *length) = (PAD, PAD);
                    value.fill(PAD);
                    left_out = true;
                }
                rest
            }
        };
    }
}

fn is_host(address: [u8; 4]) -> bool {
    let address = Ipv4Addr::from(address);
    !(address.is_unspecified() || address.is_multicast() || address.is_broadcast())
}
