//! The access point's address server, against a model of who has which address.

use std::collections::HashMap;
use std::net::Ipv4Addr;

use bluebell::log::Log;
use bluebell::portal::serve_dhcp_and_dns;
use embassy_futures::select::{Either, select};
use embassy_time::{Duration, Instant, Timer};
use sim::time::run_virtual;

use crate::datagrams::Udp;

const PORTAL: Ipv4Addr = Ipv4Addr::new(192, 168, 4, 1);
const COOKIE: [u8; 4] = [99, 130, 83, 99];
/// How long an address is lent.
const LEASE: u64 = 600;
/// How many addresses there are to lend, from .100 on.
const ADDRESSES: u8 = 8;

type Client = [u8; 6];

/// An even first byte: steps of six bytes each, which the model follows. An odd one: raw options, or with bit 1 a raw
/// packet, of which the answer must be well formed.
pub(crate) fn run(input: &[u8]) {
    let Some((mode, rest)) = input.split_first() else {
        return;
    };
    let mut buffer = [0; 256];
    let log = Log::new(&mut buffer);
    let network = Udp::new(67);
    let served = select(
        serve_dhcp_and_dns(&network, PORTAL, [67, 53], &log),
        async {
            if mode & 1 == 0 {
                let mut model = Model::default();
                for step in rest.chunks_exact(6).take(16) {
                    let seconds = match step[0] {
                        // About when a lease ends.
                        close @ 0xF0.. => LEASE - 7 + u64::from(close - 0xF0),
                        some => u64::from(some) * 4,
                    };
                    if seconds > 0 {
                        Timer::after(Duration::from_secs(seconds)).await;
                    }
                    let packet = Asked::new(step);
                    let answers = network.ask(packet.bytes()).await;
                    model.step(
                        &packet,
                        &answers.first().map(|(_, answer)| Told::read(answer)),
                    );
                }
            } else {
                let mut packet = Vec::new();
                if mode & 2 == 0 {
                    let [kind, client] = [3, 7];
                    packet = Asked::new(&[0, kind, client, 0, 0, 0]).bytes();
                    packet.truncate(240);
                }
                packet.extend_from_slice(rest);
                for (_, answer) in network.ask(packet.clone()).await {
                    let told = Told::read(&answer);
                    assert_eq!(answer[4..8], packet[4..8], "the transaction");
                    assert_eq!(told.client[..], packet[28..34]);
                }
            }
            // Whatever came, the next one with a free address is served.
            Timer::after(Duration::from_secs(2 * LEASE)).await;
            let discover = Asked::new(&[0, 0, 200, 0, 0, 0]).bytes();
            let answers = network.ask(discover).await;
            assert!(Told::read(&answers[0].1).address.is_some());
        },
    );
    match run_virtual(served) {
        Either::First(never) => match never {},
        Either::Second(()) => {}
    }
}

/// What a client says.
struct Asked {
    kind: u8,
    client: Client,
    has: Option<Ipv4Addr>,
    wants: Option<Ipv4Addr>,
    server: Option<Ipv4Addr>,
}

/// One of the addresses that are lent, one beside them, the server's own, one of elsewhere, or none.
fn address(choice: u8) -> Option<Ipv4Addr> {
    match choice % 16 {
        at @ 1..=10 => Some(Ipv4Addr::new(192, 168, 4, 99 + at)),
        11 => Some(PORTAL),
        12 => Some(Ipv4Addr::new(10, 0, 0, 100)),
        13 => Some(Ipv4Addr::BROADCAST),
        _ => None,
    }
}

impl Asked {
    fn new(step: &[u8]) -> Self {
        Self {
            kind: 1 + step[1] % 9,
            client: [2, 0, 0, 0, 0, step[2] % 12],
            has: address(step[3]),
            wants: address(step[4]),
            server: match step[5] % 4 {
                0 => Some(PORTAL),
                1 => Some(Ipv4Addr::new(10, 0, 0, 1)),
                _ => None,
            },
        }
    }

    fn bytes(&self) -> Vec<u8> {
        let mut packet = vec![0; 236];
        packet[..4].copy_from_slice(&[1, 1, 6, 0]);
        packet[4..8].copy_from_slice(&[self.kind, 1, 2, self.client[5]]);
        packet[12..16].copy_from_slice(&self.has.unwrap_or(Ipv4Addr::UNSPECIFIED).octets());
        packet[28..34].copy_from_slice(&self.client);
        packet.extend_from_slice(&COOKIE);
        packet.extend_from_slice(&[53, 1, self.kind]);
        for (code, address) in [(50, self.wants), (54, self.server)] {
            if let Some(address) = address {
                packet.extend_from_slice(&[code, 4]);
                packet.extend_from_slice(&address.octets());
            }
        }
        packet.push(255);
        packet
    }
}

/// What the server says.
#[derive(Debug, PartialEq, Eq)]
struct Told {
    kind: u8,
    client: Client,
    address: Option<Ipv4Addr>,
}

impl Told {
    /// Reads an answer (RFC 2131, 2; RFC 2132), and panics when it is none.
    fn read(packet: &[u8]) -> Self {
        assert!(packet.len() >= 300, "shorter than some clients take");
        assert_eq!((packet[0], &packet[236..240]), (2, &COOKIE[..]));
        let mut options = HashMap::new();
        let mut rest = &packet[240..];
        while let [code, after @ ..] = rest
            && *code != 255
        {
            let (length, after) = after.split_first().expect("an option has a length");
            let (value, after) = after.split_at(usize::from(*length));
            assert!(
                options.insert(*code, value).is_none(),
                "option {code} stands once"
            );
            rest = after;
        }
        assert_eq!(rest.first(), Some(&255), "the options have an end");
        let [kind] = options[&53] else {
            panic!("a kind has one byte");
        };
        assert_eq!(options[&54], PORTAL.octets());
        let address = Ipv4Addr::from(<[u8; 4]>::try_from(&packet[16..20]).expect("four bytes"));
        let address = Some(address).filter(|address| !address.is_unspecified());
        if *kind == 6 {
            assert_eq!(address, None, "a refusal gives nothing");
        } else {
            assert!(
                matches!(kind, 2 | 5),
                "a kind that a client does not know: {kind}"
            );
            assert_eq!(options[&1], [255, 255, 255, 0]);
            assert_eq!(options[&3], PORTAL.octets());
            assert_eq!(options[&6], PORTAL.octets());
            assert_eq!(options[&114], b"http://192.168.4.1/captive.json");
            let lease = (LEASE as u32).to_be_bytes();
            assert_eq!(options.get(&51).copied(), address.map(|_| &lease[..]));
        }
        if let Some(address) = address {
            let [a, b, c, last] = address.octets();
            assert_eq!([a, b, c], [192, 168, 4]);
            assert!(
                (100..100 + ADDRESSES).contains(&last),
                "{address} is not to be lent"
            );
        }
        Self {
            kind: *kind,
            client: packet[28..34].try_into().expect("six bytes"),
            address,
        }
    }
}

/// Who has which address, and until when; nobody has one that was declined.
#[derive(Default)]
struct Model(HashMap<Ipv4Addr, (Option<Client>, u64)>);

impl Model {
    fn step(&mut self, asked: &Asked, told: &Option<Told>) {
        let now = Instant::now().as_secs();
        if let Some(told) = told {
            assert_eq!(told.client, asked.client);
        }
        let told = told.as_ref().map(|told| (told.kind, told.address));
        if asked.server.is_some_and(|server| server != PORTAL) {
            return assert_eq!(told, None, "it was another's question");
        }
        let client = asked.client;
        let is_free = |leases: &HashMap<_, (Option<Client>, u64)>, address: &Ipv4Addr| {
            leases
                .get(address)
                .is_none_or(|(who, until)| *who == Some(client) || *until <= now)
        };
        match asked.kind {
            1 => {
                let all = (0..ADDRESSES).map(|at| Ipv4Addr::new(192, 168, 4, 100 + at));
                let mine = self.0.iter().find(|(_, (who, _))| *who == Some(client));
                let free = all
                    .clone()
                    .filter(|address| is_free(&self.0, address))
                    .count();
                match told {
                    None => assert_eq!(free, 0, "an address is free, and none was offered"),
                    Some((kind, address)) => {
                        let address = address.expect("an offer has an address");
                        assert_eq!(kind, 2);
                        assert!(is_free(&self.0, &address), "{address} is another's");
                        if let Some((mine, _)) = mine {
                            assert_eq!(address, *mine, "a client gets its own again");
                        }
                    }
                }
            }
            3 => {
                let Some(address) = asked.wants.or(asked.has) else {
                    return assert_eq!(told, None);
                };
                let is_ours = address.octets()[..3] == [192, 168, 4]
                    && (100..100 + ADDRESSES).contains(&address.octets()[3]);
                if is_ours && is_free(&self.0, &address) {
                    assert_eq!(told, Some((5, Some(address))));
                    self.0.retain(|_, (who, _)| *who != Some(client));
                    self.0.insert(address, (Some(client), now + LEASE));
                } else {
                    assert_eq!(told, Some((6, None)), "{address} is not to be had");
                }
            }
            4 => {
                assert_eq!(told, None);
                for lease in self.0.values_mut().filter(|(who, _)| *who == Some(client)) {
                    *lease = (None, now + LEASE);
                }
            }
            7 => {
                assert_eq!(told, None);
                self.0.retain(|_, (who, _)| *who != Some(client));
            }
            8 => assert_eq!(told, Some((5, None))),
            _ => assert_eq!(told, None, "nothing that a client says"),
        }
    }
}
