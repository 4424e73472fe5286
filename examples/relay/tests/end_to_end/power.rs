//! Power cuts, and flash that does not hold what it should.

use std::path::PathBuf;
use std::time::Duration;

use crate::harness::air::{HOME, HOME_PASSWORD, Network};
use crate::harness::board::{Board, Desk};
use crate::harness::{PATIENCE, until, within};

/// Numbers that look random, the same in every run (SplitMix64).
struct Numbers(u64);

impl Numbers {
    fn below(&mut self, bound: u64) -> u64 {
        self.0 = self.0.wrapping_add(0x9E37_79B9_7F4A_7C15);
        let mixed = (self.0 ^ (self.0 >> 30)).wrapping_mul(0xBF58_476D_1CE4_E5B9);
        (mixed ^ (mixed >> 27)) % bound
    }
}

fn flash_files(desk: &Desk) -> Vec<PathBuf> {
    let files = std::fs::read_dir(desk.state()).expect("the board's directory");
    let mut paths: Vec<_> = files
        .map(|file| file.expect("a file").path())
        .filter(|path| {
            path.file_name()
                .is_some_and(|name| name.to_string_lossy().contains("flash"))
        })
        .collect();
    paths.sort();
    paths
}

fn access_point(board: &Board) -> (String, String) {
    let state = board.state();
    let text = |field: &str| {
        state["access_point"][field]
            .as_str()
            .expect("a text")
            .to_owned()
    };
    (text("ssid"), text("password"))
}

pub(crate) fn cuts_lose_no_network_that_was_shown_as_online() {
    let desk = Desk::new();
    let names: Vec<_> = (0..5).map(|round| format!("Network {round}")).collect();
    let air = |up: Option<&String>| -> Vec<_> {
        let network = |name: &String| {
            let network = Network::new(name, &format!("password of {name}"));
            if up == Some(name) {
                network
            } else {
                network.down()
            }
        };
        names.iter().map(network).collect()
    };
    let mut own = None;
    for name in &names {
        let board = desk.board().air(&air(Some(name))).start();
        board.await_portal();
        let shown = access_point(&board);
        assert_eq!(
            own.get_or_insert_with(|| shown.clone()),
            &shown,
            "the device is itself"
        );
        board.submit(name, &format!("password of {name}"));
        assert_eq!(board.await_result()["state"], "online");
        board.kill();
    }
    let board = desk.board().air(&air(None)).start();
    for name in &names {
        board.set_network(name, true);
        until("it is known", || {
            let state = board.state();
            state["wifi"]["ssid"] == name.as_str() && state["wifi"]["state"] == "online"
        });
        board.set_network(name, false);
    }
    assert_eq!(flash_files(&desk).len(), 1, "no flash was found corrupt");
}

pub(crate) fn cuts_at_any_moment_leave_a_whole_device() {
    let desk = Desk::new();
    let mut numbers = Numbers(11);
    let board = desk.board_at_home().start();
    board.await_online();
    let own = access_point(&board);
    board.kill();
    for round in 0..14_u64 {
        // From the first instructions to well after joining; every third with a configuration to take in.
        let moment = Duration::from_millis(numbers.below(if round % 2 == 0 { 300 } else { 3_500 }));
        let start = match round % 3 {
            0 => desk
                .board()
                .config(&format!("[mqtt]\nheartbeat = {}\n", round + 1)),
            1 => desk.board_at_home(),
            _ => desk.board(),
        };
        let mut child = start.command().spawn().expect("the program starts");
        std::thread::sleep(moment);
        child.kill().expect("it runs");
        child.wait().expect("it is ours");
    }
    let board = desk.board().start();
    board.await_online();
    assert_eq!(access_point(&board), own, "the device is itself");
    assert_eq!(flash_files(&desk).len(), 1, "no flash was found corrupt");
    assert!(!desk.holds_in_clear(HOME_PASSWORD));
}

pub(crate) fn cycles_from_the_panel_boot_the_same_device() {
    let desk = Desk::new();
    let board = desk.board_at_home().start();
    board.await_online();
    let own = access_point(&board);
    board.press();
    for _ in 0..3 {
        let before = board.state()["uptime_ms"].as_u64();
        board.cycle_power();
        within(PATIENCE, "it boots again", || {
            let state = board.state();
            (state["uptime_ms"].as_u64() < before && state["mqtt"]["state"] != "online")
                .then_some(())
        });
        until("the relay is off as after power on", || board.relay() == 0);
        board.await_online();
        assert_eq!(access_point(&board), own);
        board.press();
        assert_eq!(board.relay(), 1);
    }
    // In the middle of a join, and twice in a row.
    board.cycle_power();
    board.cycle_power();
    board.await_online();
    assert_eq!(flash_files(&desk).len(), 1);
}

pub(crate) fn cycle_in_the_middle_of_a_submission() {
    let desk = Desk::new();
    let board = desk.board().start();
    board.await_portal();
    board.submit(HOME, HOME_PASSWORD);
    board.cycle_power();
    board.await_portal();
    let status = crate::harness::http::get(board.portal, "/status.json").json();
    if status["state"] != "online" {
        board.submit(HOME, HOME_PASSWORD);
    }
    until("it is online", || board.is_online());
}

/// The flash holds something else: it is kept beside, said on the console, and the board starts afresh.
fn starts_afresh_from(spoil: impl Fn(&[u8]) -> Vec<u8>) {
    let desk = Desk::new();
    let board = desk.board_at_home().start();
    board.await_online();
    board.kill();
    let spoiled = spoil(&desk.flash());
    std::fs::write(desk.state().join("flash.bin"), &spoiled).expect("the flash is a file");

    let board = desk.board().start();
    board.await_portal();
    let kept = flash_files(&desk);
    let same = |path: &&PathBuf| {
        !path.ends_with("flash.bin") && std::fs::read(path).is_ok_and(|bytes| bytes == spoiled)
    };
    let beside = kept.iter().find(same);
    let beside = beside.unwrap_or_else(|| panic!("the bad one is kept beside it: {kept:?}"));
    let name = beside
        .file_name()
        .expect("a name")
        .to_string_lossy()
        .into_owned();
    let said = format!("{}\n{}", board.console.text(), board.errors.text());
    assert!(said.contains(&name), "a line names {name}: {said}");

    board.submit(HOME, HOME_PASSWORD);
    assert_eq!(board.await_result()["state"], "online");
    board.kill();
    let board = desk.board().start();
    board.await_online();
    assert!(beside.exists());
}

pub(crate) fn noise_in_the_flash_is_kept_beside() {
    starts_afresh_from(|flash| {
        let mut numbers = Numbers(5);
        flash.iter().map(|_| numbers.below(256) as u8).collect()
    });
}

pub(crate) fn a_flash_cut_short_is_kept_beside() {
    starts_afresh_from(|flash| flash[..flash.len() / 3 + 1].to_vec());
}

pub(crate) fn a_flash_too_long_is_kept_beside() {
    starts_afresh_from(|flash| [flash, &[0; 100]].concat());
}

pub(crate) fn some_noise_in_the_flash_stops_no_boot() {
    let desk = Desk::new();
    desk.board_at_home().start().await_online();
    let whole = desk.flash();
    let mut numbers = Numbers(3);
    for _ in 0..4 {
        let mut flash = whole.clone();
        for _ in 0..40 {
            let start = numbers.below(flash.len() as u64 - 64) as usize;
            for byte in &mut flash[start..start + 64] {
                *byte = numbers.below(256) as u8;
            }
        }
        std::fs::write(desk.state().join("flash.bin"), &flash).expect("the flash is a file");
        let board = desk.board_at_home().start();
        board.await_online();
    }
}
