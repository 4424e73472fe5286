use embassy_time::Timer;
use embedded_hal::digital::{InputPin, OutputPin, StatefulOutputPin};
use embedded_hal_async::digital::Wait;
use sim::time::run_virtual;

use super::*;

fn button() -> (PinBank, Input) {
    let bank = PinBank::default();
    let input = Pins::new(&bank).gpio0.input();
    (bank, input)
}

#[test]
fn a_press_and_release_in_one_instant_are_two_edges_that_last() {
    run_virtual(async {
        let (bank, mut input) = button();
        bank.put(0, false).unwrap();
        bank.put(0, true).unwrap();
        input.wait_for_falling_edge().await.unwrap();
        let pressed = Instant::now();
        Timer::after(SHORTEST_LEVEL / 2).await;
        assert!(input.is_low().unwrap(), "the press outlasts debouncing");
        input.wait_for_rising_edge().await.unwrap();
        assert_eq!(Instant::now() - pressed, SHORTEST_LEVEL);
    });
}

#[test]
fn an_edge_between_two_waits_is_not_lost() {
    run_virtual(async {
        let (bank, mut input) = button();
        for _ in 0..3 {
            bank.put(0, false).unwrap();
            bank.put(0, true).unwrap();
        }
        for _ in 0..3 {
            input.wait_for_any_edge().await.unwrap();
            assert!(input.is_low().unwrap());
            Timer::after(Duration::from_secs(1)).await;
            input.wait_for_any_edge().await.unwrap();
            assert!(input.is_high().unwrap());
        }
    });
}

#[test]
fn a_press_from_another_thread_wakes_the_device() {
    let (bank, mut input) = button();
    let presser = std::thread::spawn(move || {
        std::thread::sleep(std::time::Duration::from_millis(20));
        bank.put(0, false).unwrap();
    });
    sim::time::run_real(input.wait_for_low()).unwrap();
    presser.join().unwrap();
}

#[test]
fn an_input_idles_high_and_an_output_begins_low() {
    let bank = PinBank::default();
    let pins = Pins::new(&bank);
    assert!(bank.states().is_empty());
    let (mut input, mut output) = (pins.gpio0.input(), pins.gpio14.output());
    assert!(input.is_high().unwrap());
    assert!(output.is_set_low().unwrap());
    output.set_high().unwrap();
    let json = serde_json::to_string(&bank.states()).unwrap();
    assert_eq!(
        json,
        r#"{"0":{"direction":"in","level":1},"14":{"direction":"out","level":1}}"#
    );
    bank.reset();
    assert!(bank.states().is_empty());
}

#[test]
fn a_switch_that_holds_an_input_low_still_does_after_a_power_cut_and_may_move_during_one() {
    let (bank, mut input) = button();
    bank.put(0, false).unwrap();
    assert!(input.is_low().unwrap());
    bank.reset();
    let mut input = Pins::new(&bank).gpio0.input();
    assert!(input.is_low().unwrap());
    assert_eq!(bank.states()[&0].level, 0);
    bank.reset();
    bank.put(0, true).unwrap();
    assert!(Pins::new(&bank).gpio0.input().is_high().unwrap());
}

#[test]
fn the_display_follows_its_two_pins_and_acknowledges() {
    let bank = PinBank::default();
    let pins = Pins::new(&bank);
    let (mut clock, mut data) = (pins.gpio4.open_drain(), pins.gpio5.open_drain());
    // Commands end with a stop, as the datasheet has it: lit at the brightest, then four digits.
    for command in [&[0x8f][..], &[0x40], &[0xc0, 0x06, 0xdb, 0x4f, 0x3f]] {
        data.set_low().unwrap();
        for byte in command {
            for bit in 0..8 {
                clock.set_low().unwrap();
                data.set_state((byte >> bit & 1 == 1).into()).unwrap();
                clock.set_high().unwrap();
            }
            clock.set_low().unwrap();
            data.set_high().unwrap();
            assert!(data.is_low().unwrap(), "the chip acknowledges");
            data.set_low().unwrap();
            clock.set_high().unwrap();
            clock.set_low().unwrap();
        }
        clock.set_high().unwrap();
        data.set_high().unwrap();
    }
    assert_eq!(bank.display_text(), "12:30");
    assert_eq!(bank.display_light().brightness, 8);
    bank.reset();
    assert_eq!(bank.display_text(), "");
}

#[test]
fn only_inputs_in_use_can_be_driven_and_waiting_levels_are_bounded() {
    let bank = PinBank::default();
    let pins = Pins::new(&bank);
    let (_input, _output) = (pins.gpio0.input(), pins.gpio14.output());
    assert_eq!(bank.put(3, true), Err(DriveError::NotInUse(3)));
    assert_eq!(bank.put(400, true), Err(DriveError::NotInUse(400)));
    assert_eq!(bank.put(14, true), Err(DriveError::IsOutput(14)));
    for turn in 0..WAITING_LEVELS {
        bank.put(0, turn % 2 == 1).unwrap();
        bank.put(0, turn % 2 == 1).unwrap();
    }
    assert_eq!(bank.put(0, false), Err(DriveError::TooFast(0)));
}
