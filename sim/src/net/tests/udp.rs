//! Datagrams: losses, doubles, broadcasts and groups.

use edge_nal::{MulticastV4, UdpBind, UdpReceive, UdpSend};
use embassy_time::Timer;

use super::*;

/// Sends the numbers 0 to 99 and gives them back as they arrive.
fn datagrams(faults: Faults) -> Vec<u8> {
    let pair = Pair::new();
    pair.server.set_faults(faults);
    run_virtual(async {
        let mut sender = UdpBind::bind(&pair.device, local(0)).await.expect("a port");
        let mut receiver = UdpBind::bind(&pair.server, local(99))
            .await
            .expect("a port");
        let to = SocketAddr::from((pair.server.address(), 99));
        let mut arrived = Vec::new();
        let sending = async {
            for number in 0..100 {
                sender.send(to, &[number, 0, 0]).await.expect("sends");
                Timer::after_millis(1).await;
            }
        };
        let receiving = async {
            let mut buffer = [0; 2];
            while let Some(received) = within(5, receiver.receive(&mut buffer)).await {
                let (length, from) = received.expect("receives");
                assert_eq!(length, 3, "the whole length is told of a truncated one");
                assert_eq!(from.ip(), IpAddr::V4(pair.device.address()));
                arrived.push(buffer[0]);
            }
        };
        join(sending, receiving).await;
        arrived
    })
}

#[test]
fn datagrams_are_lost_doubled_and_overtaken_as_set() {
    let all: Vec<u8> = (0..100).collect();
    let sorted = |mut numbers: Vec<u8>| {
        numbers.sort_unstable();
        numbers.dedup();
        numbers
    };
    assert_eq!(datagrams(Faults::default()), all);
    assert!(datagrams(pulled()).is_empty());

    let lossy = datagrams(Faults {
        loss: 0.3,
        ..Faults::default()
    });
    assert!((50..90).contains(&lossy.len()), "{}", lossy.len());
    assert!(lossy.is_sorted());

    let doubled = datagrams(Faults {
        duplicate: 0.5,
        ..Faults::default()
    });
    assert!((130..170).contains(&doubled.len()), "{}", doubled.len());
    assert_eq!(sorted(doubled), all);

    let overtaken = datagrams(Faults {
        reorder: 0.2,
        ..Faults::default()
    });
    assert!(!overtaken.is_sorted());
    assert_eq!(sorted(overtaken), all);
}

#[test]
fn the_same_seed_gives_the_same_losses() {
    let run = || {
        datagrams(Faults {
            loss: 0.5,
            jitter: Duration::from_millis(7),
            ..Faults::default()
        })
    };
    assert_eq!(run(), run());
}

#[test]
fn broadcasts_and_groups_reach_who_listens() {
    let pair = Pair::new();
    let other = pair.network.host(Ipv4Addr::new(10, 0, 0, 3));
    let newcomer = pair.network.host(Ipv4Addr::UNSPECIFIED);
    let group = Ipv4Addr::new(224, 0, 0, 251);
    run_virtual(async {
        let mut asking = UdpBind::bind(&newcomer, local(68)).await.expect("a port");
        let mut server = UdpBind::bind(&pair.server, local(67))
            .await
            .expect("a port");
        let mut bystander = UdpBind::bind(&other, local(67)).await.expect("a port");
        let mut buffer = [0; 8];
        // As DHCP does it: from a host without an address, to everybody.
        let everybody = SocketAddr::from((Ipv4Addr::BROADCAST, 67));
        asking.send(everybody, b"who").await.expect("sends");
        let (_, from) = server.receive(&mut buffer).await.expect("receives");
        assert_eq!(from, SocketAddr::from((Ipv4Addr::UNSPECIFIED, 68)));
        bystander.receive(&mut buffer).await.expect("receives");
        let answer = SocketAddr::from((Ipv4Addr::BROADCAST, 68));
        server.send(answer, b"you").await.expect("sends");
        assert_eq!(asking.receive(&mut buffer).await.expect("receives").0, 3);

        let to_group = SocketAddr::from((group, 67));
        bystander
            .join_v4(group, Ipv4Addr::UNSPECIFIED)
            .await
            .expect("joins");
        let mut sender = UdpBind::bind(&pair.device, local(0)).await.expect("a port");
        sender.send(to_group, b"group").await.expect("sends");
        assert!(within(1, bystander.receive(&mut buffer)).await.is_some());
        assert!(within(1, server.receive(&mut buffer)).await.is_none());
        let unreachable = asking
            .send(SocketAddr::from(([10, 0, 0, 1], 67)), b"x")
            .await;
        assert_eq!(unreachable, Err(NetworkError::Unreachable));
    });
}
