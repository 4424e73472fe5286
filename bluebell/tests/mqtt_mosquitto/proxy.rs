//! The way to the broker, over which everything passes until the test says otherwise.

use std::io::{Read, Write};
use std::net::{Shutdown, TcpListener, TcpStream};
use std::sync::{Arc, Mutex};
use std::thread;

#[derive(Default)]
struct State {
    /// What the device sends is swallowed.
    swallows: bool,
    /// What the broker sends does not reach the device.
    holds: bool,
    /// How many bytes of the device's have been swallowed, and how many have reached the broker.
    swallowed: usize,
    carried: usize,
    /// What the broker has sent, on all connections.
    down: Vec<u8>,
    /// Both ends of the connection.
    ends: Vec<TcpStream>,
}

/// A port that leads to the broker's.
pub(crate) struct Proxy {
    pub(crate) port: u16,
    state: Arc<Mutex<State>>,
}

/// One PUBLISH with QoS 1 or 2 of the broker.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Publish {
    /// Whether it is marked as a repetition.
    pub(crate) again: bool,
    pub(crate) identifier: u16,
}

impl Proxy {
    pub(crate) fn to(broker: u16) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let proxy = Self {
            port: listener.local_addr().unwrap().port(),
            state: Arc::default(),
        };
        let state = proxy.state.clone();
        // It ends with the process.
        thread::spawn(move || {
            for device in listener.incoming() {
                let device = device.unwrap();
                let broker = TcpStream::connect(("127.0.0.1", broker)).unwrap();
                let (up, down) = (state.clone(), state.clone());
                let ends = [&device, &broker].map(|end| end.try_clone().unwrap());
                state.lock().unwrap().ends = ends.into();
                let both = (device.try_clone().unwrap(), broker.try_clone().unwrap());
                thread::spawn(move || {
                    carry(device, broker, |bytes| {
                        let mut state = up.lock().unwrap();
                        if state.swallows {
                            state.swallowed += bytes.len();
                        } else {
                            state.carried += bytes.len();
                        }
                        !state.swallows
                    });
                });
                thread::spawn(move || {
                    carry(both.1, both.0, |bytes| {
                        let mut state = down.lock().unwrap();
                        state.down.extend(bytes);
                        !state.holds
                    });
                });
            }
        });
        proxy
    }

    /// Swallows what the device sends, from now on.
    pub(crate) fn swallow(&self) {
        self.state.lock().unwrap().swallows = true;
    }

    /// Keeps from the device what the broker sends, from now on.
    pub(crate) fn hold(&self) {
        self.state.lock().unwrap().holds = true;
    }

    /// How many bytes have been swallowed.
    pub(crate) fn swallowed(&self) -> usize {
        self.state.lock().unwrap().swallowed
    }

    /// How many bytes have reached the broker.
    pub(crate) fn carried(&self) -> usize {
        self.state.lock().unwrap().carried
    }

    /// Breaks the connection; the next one is good.
    pub(crate) fn cut(&self) {
        let mut state = self.state.lock().unwrap();
        state.swallows = false;
        state.holds = false;
        for end in state.ends.drain(..) {
            // It may have ended by itself.
            let _ = end.shutdown(Shutdown::Both);
        }
    }

    /// The messages that the broker has sent with QoS 1 or 2.
    pub(crate) fn published(&self) -> Vec<Publish> {
        let state = self.state.lock().unwrap();
        let mut rest = &state.down[..];
        let mut found = Vec::new();
        while let [first, after @ ..] = rest {
            let bytes = 1 + after.iter().take_while(|byte| **byte & 0x80 != 0).count();
            let length = after[..bytes]
                .iter()
                .rev()
                .fold(0, |length, byte| length << 7 | usize::from(byte & 0x7F));
            let (body, behind) = after[bytes..].split_at(length);
            if first >> 4 == 3 && first & 6 != 0 {
                let topic = usize::from(u16::from_be_bytes([body[0], body[1]]));
                found.push(Publish {
                    again: first & 8 != 0,
                    identifier: u16::from_be_bytes([body[2 + topic], body[3 + topic]]),
                });
            }
            rest = behind;
        }
        found
    }
}

/// Carries bytes until one end is closed, and closes the other.
fn carry(mut from: TcpStream, mut to: TcpStream, mut passes: impl FnMut(&[u8]) -> bool) {
    let mut buffer = [0; 4096];
    while let Ok(length @ 1..) = from.read(&mut buffer) {
        let bytes = &buffer[..length];
        if passes(bytes) && to.write_all(bytes).is_err() {
            break;
        }
    }
    let _ = to.shutdown(Shutdown::Both);
}
