//! Hours of networks that come and go at random.

use embassy_futures::select::{Either, select};
use embassy_time::{Duration, Instant, Timer};
use sim::air::Station;

use crate::world::{Device, GOOD, PORTAL_AFTER, World};

struct Random(u64);

impl Random {
    fn below(&mut self, bound: u64) -> u64 {
        let next = self.0.wrapping_mul(6_364_136_223_846_793_005);
        self.0 = next.wrapping_add(1_442_695_040_888_963_407);
        (self.0 >> 33) % bound
    }
}

/// How long the device may take to a network that is good, in milliseconds.
type Bound = fn(outage: Duration) -> u64;

/// Asserts at every moment what must hold.
async fn watch(device: &Device<'_>, seed: u64, bound: Bound) {
    let mut gone_since = Some(Instant::now());
    let mut good_since = None;
    loop {
        let now = Instant::now();
        let good = device.air.stations().iter().any(|station| {
            station.up
                && station.dhcp
                && !station.refuses
                && !station.mute
                && station.password == GOOD
        });
        good_since = if good { good_since.or(Some(now)) } else { None };
        gone_since = match device.wifi.address() {
            Some(_) => None,
            None => gone_since.or(Some(now)),
        };
        if let Some(gone) = gone_since {
            let outage = now - gone;
            let open = device.wifi.is_access_point_open();
            assert!(
                open || outage < Duration::from_secs(PORTAL_AFTER + 1),
                "seed {seed}: no portal after {outage:?}"
            );
            if let Some(good) = good_since {
                let away = good.saturating_duration_since(gone);
                let waiting = (now - good.max(gone)).as_millis();
                assert!(
                    waiting <= bound(away),
                    "seed {seed}: {waiting} ms without a network that is good, after {away:?}: {:#?} {:?}",
                    device.air.stations(),
                    device
                        .antenna
                        .history()
                        .split_off(device.antenna.history().len().saturating_sub(40)),
                );
            }
        }
        Timer::after_millis(50).await;
    }
}

async fn walk(device: &Device<'_>, mut random: Random, faults: bool) {
    for _ in 0..400 {
        let pause = match random.below(3) {
            0 => random.below(1_000),
            1 => random.below(30_000),
            _ => random.below(300_000),
        };
        Timer::after_millis(pause).await;
        match random.below(6) {
            0 => device.wifi.rescan(),
            1 if faults && random.below(3) == 0 => device.wifi.open_portal(),
            2 if faults && random.below(2) == 0 => device.submit("nowhere", GOOD),
            _ => {}
        }
        let which = usize::try_from(random.below(3)).unwrap();
        let kind = random.below(if faults { 8 } else { 3 });
        let value = random.below(100);
        let mut index = 0;
        device.air.edit_all(|station: &mut Station| {
            if index == which {
                match kind {
                    0 | 1 => station.up = value < 50,
                    2 => station.rssi = -30 - (value % 60) as i8,
                    3 => station.channel = 1 + (value % 13) as u8,
                    4 => station.dhcp = value < 70,
                    5 => station.refuses = value < 30,
                    6 => station.mute = value < 30,
                    _ => station.password = if value < 70 { GOOD } else { "changed" }.into(),
                }
            }
            index += 1;
        });
        if random.below(20) == 0 {
            device.air.disconnect_all();
        }
    }
}

fn soak(seeds: std::ops::Range<u64>, faults: bool, bound: Bound) {
    for seed in seeds {
        let mut world = World::seeded(seed);
        world.restarts = seed % 2 == 1;
        for (ssid, channel) in [("one", 1), ("two", 6), ("three", 13)] {
            world.air.add(Station {
                channel,
                ..Station::new(ssid).with_password(GOOD)
            });
        }
        let world = world.knows(&["one", "two", "three"]);
        world.run(async |device| {
            match select(
                watch(device, seed, bound),
                walk(device, Random(seed), faults),
            )
            .await
            {
                Either::First(()) | Either::Second(()) => {}
            }
        });
        assert_eq!(world.keep.networks().len(), 3, "seed {seed}");
    }
}

#[test]
fn networks_that_come_and_go_are_joined_within_the_bound_and_the_portal_opens_in_time() {
    soak(0..6, false, |outage| {
        if outage < Duration::from_secs(60) {
            // Where two networks go away in turn, an attempt may be under way at the one that is gone.
            3_000 + 1_000
        } else {
            63_000
        }
    });
}

#[test]
fn networks_with_every_fault_keep_no_device_from_a_good_one() {
    // The backoff's ceiling and a round with two networks that time out: 10 s, then 8 s for DHCP, and
    // 2 s to leave.
    soak(100..106, true, |_| 63_000 + 2 * 20_000);
}
