//! The console of a whole device, in virtual time.

mod files;

use std::cell::Cell;
use std::convert::Infallible;

use bluebell::device::Device;
use bluebell::jobs::Job;
use bluebell::wifi;
use embassy_futures::select::select;
use embassy_time::{Duration, Timer};
use sim::air::Station;
use sim::board::{SimBoard, SimDevice, World};
use sim::flash::Flash;
use sim::time::run_virtual;

const CONFIG: &str =
    "[device]\nname = \"lamp\"\n[mqtt]\nuser = \"me\"\npassword = \"hunter22\" # theirs\n";
const SECRET: &str = "correct horse";

fn secs(seconds: u64) -> Duration {
    Duration::from_secs(seconds)
}

async fn lamp(device: Device<'_, SimBoard>) -> Infallible {
    device
        .job(Job::every(secs(3_600)).named("report"), async |_| {})
        .job(Job::idle().named("later"), async |_| {})
        .task(async |device| {
            if device.kept("count", &mut [0; 8]).await == Ok(None) {
                bluebell::log!(device, Info, "app", "count is new");
                // A flash without power keeps nothing.
                let _ = device.keep("count", b"one").await;
            }
        })
        .run()
        .await
}

/// Runs a story about one lamp that boots again whenever its power was cut.
fn story(told: impl AsyncFn(&World, &SimDevice<'_>)) {
    run_virtual(async {
        let world = World::new(7);
        world.air.add(Station::new("Home").with_password(SECRET));
        world.air.add(Station::new("Cafe \"open\""));
        let device = world.device();
        let life = async {
            loop {
                device.run(CONFIG, lamp).await;
            }
        };
        let told = async { told(&world, &device).await };
        world.run(secs(24 * 3_600), select(life, told)).await;
        let console = device.console();
        assert!(!console.contains(SECRET), "{console}");
        assert!(!console.contains("hunter22"), "{console}");
    });
}

/// Waits until the device has started once more.
async fn boots(device: &SimDevice<'_>, times: usize) {
    while device.console().matches("on bluebell").count() < times {
        Timer::after(Duration::from_millis(10)).await;
    }
    Timer::after(Duration::from_millis(500)).await;
}

async fn join_home(device: &SimDevice<'_>) {
    let answer = device.ask(&format!("join Home \"{SECRET}\"")).await;
    assert!(answer.ends_with("\nok\n"), "{answer}");
    device.online(secs(60)).await;
}

#[test]
fn a_network_is_joined_proven_stored_and_forgotten() {
    story(async |_, device| {
        Timer::after(secs(4)).await;
        let answer = device.ask("networks").await;
        assert!(answer.contains("heard \"Home\" channel"), "{answer}");
        assert!(
            answer.contains(r#"heard "Cafe \"open\"" channel"#),
            "{answer}"
        );
        assert!(!answer.contains("stored"), "{answer}");

        let answer = device.ask("join Home wrong-password").await;
        assert!(
            answer.ends_with("\nerror: the password was not accepted: check it\n"),
            "{answer}"
        );
        assert!(!device.console().contains("wrong-password"));
        assert!(!device.ask("networks").await.contains("stored"));
        let answer = device.ask("join Nowhere").await;
        assert!(
            answer.contains("error: no network with this name"),
            "{answer}"
        );

        join_home(device).await;
        let answer = device.ask("networks").await;
        assert!(answer.contains("stored \"Home\" proven\n"), "{answer}");
        let answer = device.ask("status").await;
        for line in [
            "name: lamp",
            "wifi: online",
            "ssid: \"Home\"",
            "mqtt: online",
        ] {
            assert!(answer.contains(&format!("\n{line}\n")), "{answer}");
        }

        device.cut_power();
        boots(device, 2).await;
        device.online(secs(30)).await;
        Timer::after(secs(6)).await;
        assert!(device.ask("status").await.contains("\nrssi: -50\n"));
        let answer = device.ask("forget \"Nowhere\"").await;
        assert!(
            answer.contains("error: no such network is stored"),
            "{answer}"
        );
        assert!(device.ask("forget Home").await.ends_with("\nok\n"));
        device
            .until(secs(5), "in its portal", |shown| {
                shown.wifi == Some(wifi::State::Portal)
            })
            .await;
        assert!(!device.ask("networks").await.contains("stored"));
        device.cut_power();
        boots(device, 3).await;
        Timer::after(secs(20)).await;
        assert_eq!(device.shown().wifi, Some(wifi::State::Portal));
        join_home(device).await;
    });
}

#[test]
fn a_network_is_forgotten_while_it_is_being_joined_or_looked_for() {
    for wait in [0, 500, 1_900, 2_100, 2_500, 3_000, 10_000] {
        story(async |world, device| {
            Timer::after(secs(1)).await;
            join_home(device).await;
            world.air.remove("Home");
            Timer::after(Duration::from_millis(wait)).await;
            assert!(device.ask("forget Home").await.ends_with("\nok\n"));
            world.air.add(Station::new("Home").with_password(SECRET));
            device
                .until(secs(5), "in its portal", |shown| shown.portal)
                .await;
            Timer::after(secs(100)).await;
            assert_eq!(device.shown().wifi, Some(wifi::State::Portal));
            join_home(device).await;
        });
    }
}

#[test]
fn the_configuration_is_shown_without_secrets_and_replaced_if_it_is_good() {
    story(async |_, device| {
        Timer::after(secs(1)).await;
        let shown = device.ask("config").await;
        let expected = "> config\n[device]\nname = \"lamp\"\n[mqtt]\nuser = \"me\"\npassword = \"***\" # theirs\nok\n";
        assert!(shown.ends_with(expected), "{shown}");

        let answer = device
            .ask("put config\r[device]\rname = \"desk\"\r[mqtt]\rport = 0\r.")
            .await;
        assert!(
            answer.ends_with(
                "\nerror: line 4: mqtt.port has a value that is not allowed: give a whole number from 1 \
                 to 65535\n"
            ),
            "{answer}"
        );
        device.cut_power();
        boots(device, 2).await;
        assert!(device.ask("status").await.contains("\nname: lamp\n"));

        let text = "[device]\rname = \"desk\"\r[mqtt]\rpassword = \"hunter22\"";
        let answer = device.ask(&format!("put config\r{text}\r.")).await;
        assert!(
            answer.ends_with("\na new configuration waits for a restart\nok\n"),
            "{answer}"
        );
        let shown = device.ask("config").await;
        assert!(
            shown.ends_with("# theirs\n# a new configuration waits for a restart\nok\n"),
            "{shown}"
        );
        assert!(device.ask("status").await.contains("\nname: lamp\n"));
        assert!(device.ask("restart").await.ends_with("> restart\nok\n"));
        boots(device, 3).await;
        let expected = "> config\n[device]\nname = \"desk\"\n[mqtt]\npassword = \"***\"\nok\n";
        let shown = device.ask("config").await;
        assert!(shown.ends_with(expected), "{shown}");
        assert!(device.ask("status").await.contains("\nname: desk\n"));

        let answer = device
            .ask("put config\r[device]\rname = \"hall\"\r[mqtt]\rpassword = \"***\"\r.\rrestart")
            .await;
        assert!(answer.ends_with("ok\n"), "{answer}");
        boots(device, 4).await;
        assert!(device.ask("status").await.contains("\nname: hall\n"));
        assert!(!device.console().contains("no mqtt.password is kept"));
    });
}

#[test]
fn networks_are_put_as_a_file_and_taken_in_at_the_restart() {
    story(async |_, device| {
        Timer::after(secs(1)).await;
        let answer = device.ask("put wifi.json\r{\"Home\":\r\"short\"}\r.").await;
        assert!(
            answer.contains("\nerror: wifi.json, line 2, column 8: "),
            "{answer}"
        );
        let file = format!("put wifi.json\r{{\"Home\":\r\"{SECRET}\"}}\r.");
        let answer = device.ask(&file).await;
        assert!(
            answer.ends_with("\n1 networks wait for a restart\nok\n"),
            "{answer}"
        );
        device.ask("restart").await;
        boots(device, 2).await;
        let answer = device.ask("networks").await;
        assert!(answer.contains("stored \"Home\""), "{answer}");
        device.online(secs(30)).await;
        assert!(
            device
                .ask("networks")
                .await
                .contains("stored \"Home\" proven")
        );
    });
}

#[test]
fn source_jobs_log_and_portal_are_shown() {
    story(async |_, device| {
        Timer::after(secs(1)).await;
        let answer = device.ask("source").await;
        assert!(
            answer.ends_with("> source\n//! A test.\n ok\nfn main() {}\nok\n"),
            "{answer}"
        );
        let answer = device.ask("jobs").await;
        assert!(answer.contains("\n\"report\" in 359"), "{answer}");
        assert!(answer.contains("\n\"later\" idle\n"), "{answer}");
        join_home(device).await;
        Timer::after(secs(60)).await;
        assert!(!device.shown().portal);
        let answer = device.ask("portal").await;
        assert!(answer.contains("\naccess point: \"lamp\" \""), "{answer}");
        device
            .until(secs(5), "in its portal", |shown| shown.portal)
            .await;
        let answer = device.ask("log").await;
        let (_, log) = answer.split_once("> log\n").expect("the answer");
        let lines: Vec<&str> = log.lines().collect();
        assert!(lines[0].contains("test on bluebell"), "{answer}");
        assert!(answer.contains("INFO  wifi: joined Home"), "{answer}");
    });
}

#[test]
fn a_factory_reset_forgets_everything_and_asks_before() {
    story(async |_, device| {
        Timer::after(secs(1)).await;
        join_home(device).await;
        device.ask("put config\r[device]\rname = \"desk\"\r.").await;
        let password = device.shown().password;
        let answer = device.ask("factory reset").await;
        assert!(
            answer.contains("error: write factory reset yes"),
            "{answer}"
        );
        device.cut_power();
        boots(device, 2).await;
        device.online(secs(30)).await;
        assert!(device.ask("status").await.contains("\nname: desk\n"));

        assert!(
            device
                .ask("factory reset yes")
                .await
                .ends_with("reset\nok\n")
        );
        boots(device, 3).await;
        assert!(
            device
                .console()
                .contains("factory reset: everything is forgotten")
        );
        Timer::after(secs(20)).await;
        let answer = device.ask("status").await;
        assert!(answer.contains("\nname: lamp\n"), "{answer}");
        assert!(answer.contains("\nwifi: portal\n"), "{answer}");
        assert_ne!(device.shown().password, password);
        assert_eq!(device.console().matches("count is new").count(), 2);
        assert!(!device.ask("networks").await.contains("stored"));
        assert!(!device.flash.contains(b"name = \"desk\""));
        assert!(!device.flash.contains(b"\x04Home"));
    });
}

/// What `ask` answers on a device that boots from this image.
fn boot(image: &[u8], mut told: impl AsyncFnMut(&SimDevice<'_>)) -> Vec<u8> {
    run_virtual(async {
        let world = World::new(8);
        world.air.add(Station::new("Home").with_password(SECRET));
        let mut device = world.device();
        if !image.is_empty() {
            device.flash = Flash::from_image(image.to_vec());
        }
        let life = async {
            loop {
                device.run(CONFIG, lamp).await;
            }
        };
        let told = async {
            boots(&device, 1).await;
            told(&device).await;
        };
        world.run(secs(3_600), select(life, told)).await;
        device.flash.image()
    })
}

/// Cuts the power in many operations of the flash after `typed` was typed, and tells for each what
/// `look` sees in the next boot.
fn cut_everywhere(
    image: &[u8],
    typed: &str,
    look: impl AsyncFn(&SimDevice<'_>) -> String,
) -> Vec<String> {
    let mut shown = Vec::new();
    let mut operations = 0;
    loop {
        let complete = Cell::new(false);
        let left = boot(image, async |device| {
            device.flash.cut_power(operations, 1);
            device.type_in(typed);
            Timer::after(secs(8)).await;
            complete.set(!device.flash.is_dead());
            device.flash.revive();
        });
        boot(&left, async |device| {
            shown.push(look(device).await);
        });
        if complete.get() {
            return shown;
        }
        operations += 1 + operations / 16;
    }
}

/// What a device says of its name and its networks.
async fn configured(device: &SimDevice<'_>) -> String {
    let mut answer = device.ask("config").await;
    answer += &device.ask("networks").await;
    assert!(!answer.contains("waits for a restart"), "{answer}");
    let told: Vec<&str> = answer
        .lines()
        .filter(|line| line.starts_with("name") || line.starts_with("stored"))
        .collect();
    told.join(", ")
}

/// What was shown must change once, from one to the other.
fn assert_old_then_new(shown: &[String], old: &str, new: &str) {
    let changed = shown.iter().position(|one| one != old).expect("a change");
    assert!(changed > 0, "{shown:?}");
    assert!(shown[changed..].iter().all(|one| one == new), "{shown:?}");
}

#[test]
fn a_power_cut_leaves_the_old_configuration_or_the_new_one() {
    let image = boot(&[], async |_| {});
    let typed =
        "put config\r[device]\rname = \"desk\"\r[mqtt]\rpassword = \"hunter22\"\r.\rrestart\r";
    let shown = cut_everywhere(&image, typed, configured);
    assert_old_then_new(&shown, "name = \"lamp\"", "name = \"desk\"");
}

#[test]
fn a_power_cut_leaves_all_or_nothing_of_a_factory_reset() {
    let image = boot(&[], async |device| {
        join_home(device).await;
        device
            .ask("put config\r[device]\rname = \"desk\"\r.\rrestart")
            .await;
        boots(device, 2).await;
    });
    let shown = cut_everywhere(&image, "factory reset yes\r", configured);
    assert_old_then_new(
        &shown,
        "name = \"desk\", stored \"Home\" proven",
        "name = \"lamp\"",
    );
}
