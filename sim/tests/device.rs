//! Whole devices, through the public API, in virtual time.
// 128 unless said; what a board puts around an application takes its share of it.
#![recursion_limit = "100"]

use std::cell::RefCell;
use std::convert::Infallible;

use bluebell::device::Device;
use bluebell::jobs::Job;
use bluebell::mqtt::{self, Delivery};
use bluebell::wifi;
use embassy_futures::join::{join, join3};
use embassy_time::{Duration, Timer};
use sim::air::Station;
use sim::board::{SimBoard, SimDevice, World};
use sim::broker::Qos;
use sim::flash::{Flash, Timing};
use sim::time::run_virtual;

const HOUR: Duration = Duration::from_secs(3_600);
const CONFIG: &str = "[device]\nname = \"lamp\"\n";

fn secs(seconds: u64) -> Duration {
    Duration::from_secs(seconds)
}

/// What the application under test has seen.
#[derive(Default)]
struct Seen {
    commands: RefCell<Vec<String>>,
    runs: RefCell<Vec<u64>>,
}

/// A lamp: follows commands, reports its state, and counts the seconds.
async fn lamp(device: Device<'_, SimBoard>, seen: &Seen) -> Infallible {
    device
        .subscribe("lamp/set", async |message, device| {
            let text = message.text().unwrap_or_default();
            seen.commands.borrow_mut().push(text.to_owned());
            let topic = device.topic("state");
            let delivery = Delivery::AT_LEAST_ONCE.retained();
            device
                .publish_as(&topic, text, delivery)
                .await
                .expect("the outbox has room");
        })
        .job(Job::every(secs(1)).named("seconds"), async |device| {
            seen.runs.borrow_mut().push(device.uptime().as_millis());
        })
        .run()
        .await
}

fn home() -> Station {
    Station::new("Home").with_password("correct horse")
}

/// Runs a story about one lamp that is switched on until the story ends.
fn story(told: impl AsyncFn(&World, &SimDevice<'_>, &Seen)) {
    run_virtual(async {
        let world = World::new(1);
        let lamp_device = world.device();
        let seen = Seen::default();
        let life = async {
            loop {
                lamp_device
                    .run(CONFIG, async |device| lamp(device, &seen).await)
                    .await;
            }
        };
        let told = async { told(&world, &lamp_device, &seen).await };
        world
            .run(HOUR * 24, embassy_futures::select::select(life, told))
            .await;
    });
}

/// Puts the device on the network `Home` by way of its portal.
async fn provision(device: &SimDevice<'_>) {
    device
        .until(secs(5), "in its portal", |shown| shown.portal)
        .await;
    let form = [("ssid", "Home"), ("password", "correct horse")];
    let answer = device
        .person()
        .post_form("/connect", &form)
        .await
        .expect("an answer");
    assert!(
        matches!(answer.status, 202 | 303),
        "{} {}",
        answer.status,
        answer.text()
    );
    device.online(secs(60)).await;
}

#[test]
fn a_new_device_opens_its_portal_and_a_person_brings_it_online() {
    story(async |world, device, _| {
        world.air.add(home());
        device
            .until(secs(1), "in its portal", |shown| shown.portal)
            .await;
        assert_eq!(device.shown().wifi, Some(wifi::State::Portal));
        let person = device.person();
        Timer::after(secs(4)).await;
        let list = person.get("/networks.json").await.expect("a list").text();
        assert!(list.contains(r#""ssid":"Home""#), "{list}");

        let wrong = [("ssid", "Home"), ("password", "wrong horse")];
        person
            .post_form("/connect", &wrong)
            .await
            .expect("an answer");
        Timer::after(secs(15)).await;
        let status = person.get("/status.json").await.expect("a status").text();
        assert!(status.contains(r#""reason":"wrong_password""#), "{status}");

        provision(device).await;
        let status = person.get("/status.json").await.expect("a status").text();
        assert!(status.contains(r#""state":"online""#), "{status}");
        assert_eq!(
            world
                .broker
                .retained("bluebell/lamp/status")
                .map(|m| m.text())
                .as_deref(),
            Some("online")
        );
        device.until(secs(20), "alone", |shown| !shown.portal).await;
        assert_eq!(
            device.shown().mqtt,
            Some(mqtt::State::Online),
            "closing the access point is no loss"
        );
    });
}

#[test]
fn the_watchdog_is_fed_from_power_on_however_slow_the_flash_is() {
    run_virtual(async {
        let world = World::new(1);
        let mut device = world.device();
        // The store's place holds something else, and a sector takes what the slowest chips take.
        device.flash = Flash::from_image(vec![0x5A; device.flash.image().len()]);
        device.flash.set_timing(Timing {
            erase: Duration::from_millis(400),
            ..Timing::TYPICAL
        });
        let seen = Seen::default();
        let life = device.run(CONFIG, async |device| lamp(device, &seen).await);
        let told = device.until(secs(60), "in its portal", |shown| shown.portal);
        let booting = async {
            let booting = told.await;
            Timer::after(secs(5)).await;
            booting
        };
        match embassy_futures::select::select(life, booting).await {
            embassy_futures::select::Either::First(()) => panic!("the device has ended"),
            embassy_futures::select::Either::Second(booting) => assert!(booting > secs(6)),
        }
        let unfed = device.longest_unfed();
        assert!(unfed < secs(2), "not fed for {} ms", unfed.as_millis());
    });
}

#[test]
fn a_command_is_obeyed_and_its_result_retained() {
    story(async |world, device, seen| {
        world.air.add(home());
        provision(device).await;
        world
            .broker
            .publish("lamp/set", b"ON", Qos::AtLeastOnce, false);
        let state = world.broker.next_message("bluebell/lamp/state").await;
        assert_eq!(state.text(), "ON");
        assert_eq!(*seen.commands.borrow(), ["ON"]);
        assert!(world.broker.retained("bluebell/lamp/state").is_some());
        let beat = world.broker.next_message("bluebell/lamp/heartbeat").await;
        assert_eq!(beat.text(), "alive");
        assert!(world.broker.protocol_errors().is_empty());
    });
}

#[test]
fn after_a_power_cut_the_device_comes_back_without_a_person() {
    story(async |world, device, _| {
        world.air.add(home());
        provision(device).await;
        for _ in 0..5 {
            device.cut_power();
            Timer::after(Duration::from_millis(10)).await;
            device.online(secs(10)).await;
            assert!(!device.shown().portal);
        }
    });
}

#[test]
fn the_router_may_take_longer_to_boot_than_the_device() {
    story(async |world, device, _| {
        world.air.add(home());
        provision(device).await;
        world.air.switch("Home", false);
        device.cut_power();
        Timer::after(secs(40)).await;
        assert!(device.shown().portal, "none is heard: the portal is open");
        world.air.switch("Home", true);
        device.online(secs(5)).await;
    });
}

#[test]
fn the_network_comes_back_after_a_short_outage_and_mqtt_within_three_seconds() {
    story(async |world, device, seen| {
        world.air.add(home());
        provision(device).await;
        for outage in [3, 10, 25, 50] {
            world.air.switch("Home", false);
            device
                .until(secs(2), "offline", |shown| shown.address.is_none())
                .await;
            Timer::after(secs(outage)).await;
            world.air.switch("Home", true);
            let back = device.online(secs(10)).await;
            assert!(back <= secs(3), "after {outage} s: {} ms", back.as_millis());
        }
        let runs = seen.runs.borrow();
        assert!(
            runs.windows(2).all(|pair| pair[1] - pair[0] == 1_000),
            "the job left its grid: {runs:?}"
        );
    });
}

#[test]
fn the_broker_comes_back_and_the_outbox_is_drained_in_order() {
    story(async |world, device, seen| {
        world.air.add(home());
        provision(device).await;
        world.broker.stop();
        device
            .until(secs(5), "offline", |shown| {
                shown.mqtt != Some(mqtt::State::Online)
            })
            .await;
        Timer::after(secs(20)).await;
        world.broker.restart(false);
        let back = device.online(secs(10)).await;
        assert!(back <= secs(3), "{} ms", back.as_millis());
        world
            .broker
            .publish("lamp/set", b"OFF", Qos::ExactlyOnce, false);
        world.broker.next_message("bluebell/lamp/state").await;
        assert_eq!(*seen.commands.borrow(), ["OFF"]);
    });
}

#[test]
fn a_broker_that_hangs_is_noticed_within_one_and_a_half_keepalives() {
    story(async |world, device, _| {
        world.air.add(home());
        provision(device).await;
        world.broker.hang();
        let noticed = device
            .until(secs(60), "offline", |shown| {
                shown.mqtt != Some(mqtt::State::Online)
            })
            .await;
        assert!(noticed <= secs(46), "{} s", noticed.as_secs());
        world.broker.resume();
        device.online(secs(70)).await;
    });
}

#[test]
fn several_devices_live_in_one_process() {
    run_virtual(async {
        let world = World::new(2);
        world.air.add(home());
        let (one, two) = (world.device(), world.device());
        let seen = Seen::default();
        let run = |device| {
            let seen = &seen;
            async move {
                let device: &SimDevice<'_> = device;
                device
                    .run("", async |device| lamp(device, seen).await)
                    .await;
            }
        };
        let told = async {
            join(provision(&one), provision(&two)).await;
            assert_eq!(world.broker.clients().len(), 2);
            assert_ne!(one.shown().password, two.shown().password);
            one.cut_power();
            two.cut_power();
        };
        world.run(HOUR, join3(run(&one), run(&two), told)).await;
    });
}

#[test]
fn no_secret_is_in_clear_in_flash_or_log() {
    story(async |world, device, _| {
        world.air.add(home());
        provision(device).await;
        Timer::after(secs(30)).await;
        assert!(!device.flash.contains(b"correct horse"));
        let password = device.shown().password;
        assert!(!device.flash.contains(password.as_bytes()));
        assert!(!device.console().contains("correct horse"));
        assert!(
            device.console().contains(&password),
            "the access point's own is shown on the console"
        );
    });
}

#[test]
fn the_top_future_and_its_memory_stay_within_their_budget() {
    run_virtual(async {
        let world = World::new(3);
        let device = world.device();
        let seen = Seen::default();
        let size = std::cell::Cell::new(0);
        let measure = device.run(CONFIG, async |device| {
            let future = lamp(device, &seen);
            size.set(size_of_val(&future));
            device_off(future).await
        });
        embassy_futures::select::select(measure, Timer::after(secs(1))).await;
        let memory = size_of::<bluebell::device::Memory>();
        println!("future {} bytes, memory {memory} bytes", size.get());
        assert!(
            size.get() + memory <= 72 * 1024,
            "{} + {memory}",
            size.get()
        );
    });
}

async fn device_off(future: impl Future<Output = Infallible>) -> Infallible {
    drop(future);
    std::future::pending().await
}

/// More than most applications have: its futures lie in one another, and the compiler follows types only so
/// deep.
async fn house(device: Device<'_, SimBoard>, seen: &Seen) -> Infallible {
    let report = async |name: &str, device: bluebell::device::Handle<'_>| {
        seen.commands.borrow_mut().push(name.to_owned());
        device.publish_state(name, "ON").await;
    };
    device
        .subscribe("house/a", async |_, device| report("a", device).await)
        .subscribe("house/b", async |_, device| report("b", device).await)
        .subscribe("house/c", async |_, device| report("c", device).await)
        .subscribe("house/d", async |_, device| report("d", device).await)
        .subscribe("house/#", async |_, device| report("all", device).await)
        .job(Job::every(secs(1)), async |device| {
            report("1", device).await
        })
        .job(Job::every(secs(2)), async |device| {
            report("2", device).await
        })
        .job(Job::every(secs(3)), async |device| {
            report("3", device).await
        })
        .job(Job::every(secs(4)), async |device| {
            report("4", device).await
        })
        .job(Job::every(secs(5)), async |device| {
            report("5", device).await
        })
        .job(Job::every(secs(6)), async |device| {
            report("6", device).await
        })
        .value("g", |json| json.write_str("1"))
        .value("h", |json| json.write_str("2"))
        .value("i", |json| json.write_str("3"))
        .value("j", |json| json.write_str("4"))
        .task(async |device| report("task", device).await)
        .run()
        .await
}

#[test]
fn an_application_of_many_parts_compiles_as_it_is_and_each_part_has_its_turn() {
    run_virtual(async {
        let world = World::new(5);
        world.air.add(home());
        let (device, seen) = (world.device(), Seen::default());
        let life = device.run(CONFIG, async |device| house(device, &seen).await);
        let told = async {
            provision(&device).await;
            let value = device.person().get("/app/h").await.expect("a value");
            assert_eq!(value.text(), "2");
            Timer::after(secs(7)).await;
            seen.commands.borrow_mut().retain(|name| name == "task");
            world
                .broker
                .publish("house/b", b"ON", Qos::AtLeastOnce, false);
            Timer::after(Duration::from_millis(500)).await;
            let told = seen.commands.borrow().join(" ");
            assert!(told.starts_with("task"), "{told}");
            assert!(told.contains("b all"), "in their order: {told}");
            Timer::after(secs(6)).await;
            for job in 1..=6 {
                assert!(seen.commands.borrow().contains(&job.to_string()), "{job}");
            }
        };
        world
            .run(HOUR, embassy_futures::select::select(life, told))
            .await;
    });
}
