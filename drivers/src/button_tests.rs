//! The button on a line that a test drives, in virtual time.

use core::convert::Infallible;
use std::cell::RefCell;
use std::vec::Vec;

use embassy_futures::select::select;
use embedded_hal::digital::ErrorType;
use sim::time::run_virtual;

use super::*;
use crate::pins::InputLine;

const fn milliseconds(number: u64) -> Duration {
    Duration::from_millis(number)
}

fn released(held: u64) -> Press {
    Press::Released {
        held: milliseconds(held),
    }
}

/// What a button tells of a line that goes through these levels; each is `(time in ms, high)`.
fn told<'l>(
    line: &InputLine,
    button: &Button<InputLine>,
    levels: impl IntoIterator<Item = &'l (u64, bool)>,
) -> Vec<(u64, Press)> {
    let told = RefCell::new(Vec::new());
    run_virtual(select(
        async {
            loop {
                let press = button.event().await.unwrap();
                told.borrow_mut().push((Instant::now().as_millis(), press));
                assert_eq!(button.is_on(), !matches!(press, Press::Released { .. }));
            }
        },
        async {
            for (time, high) in levels {
                Timer::at(Instant::from_millis(*time)).await;
                line.set(*high);
            }
            Timer::after_secs(10).await;
        },
    ));
    told.into_inner()
}

fn told_of(levels: &[(u64, bool)]) -> Vec<(u64, Press)> {
    let line = InputLine::new(true);
    let button = Button::new(line.clone()).debounce(milliseconds(16));
    told(&line, &button, levels)
}

#[test]
fn a_press_is_told_when_it_is_sure_and_held_from_when_it_began() {
    assert_eq!(
        told_of(&[(100, false), (300, true)]),
        [(114, Press::Pressed), (314, released(200))]
    );
}

#[test]
fn a_press_as_short_as_the_debounce_time_is_told() {
    assert_eq!(
        told_of(&[(100, false), (116, true)]),
        [(114, Press::Pressed), (130, released(16))]
    );
}

#[test]
fn a_press_as_short_as_the_debounce_time_is_told_right_after_a_bounce() {
    // Each falls somewhere else into the pause after the spike.
    for delay in [0, 1, 2, 3] {
        let start = 101 + delay;
        let told = told_of(&[
            (100, false),
            (101, true),
            (start, false),
            (start + 16, true),
        ]);
        let presses: Vec<_> = told.iter().map(|(_, press)| *press).collect();
        assert!(
            matches!(presses[..], [Press::Pressed, Press::Released { .. }]),
            "{delay}: {told:?}"
        );
    }
}

#[test]
fn a_spike_is_no_press() {
    assert_eq!(
        told_of(&[(100, false), (113, true), (500, false), (501, true)]),
        []
    );
}

#[test]
fn bounces_on_both_edges_make_one_press() {
    let bounces = [
        (100, false),
        (101, true),
        (103, false),
        (104, true),
        (105, false),
        (400, true),
        (402, false),
        (403, true),
    ];
    let told = told_of(&bounces);
    let [(pressed, Press::Pressed), (_, Press::Released { held })] = told[..] else {
        panic!("{told:?}");
    };
    assert!((114..=121).contains(&pressed), "{told:?}");
    assert!((290..=305).contains(&held.as_millis()), "{told:?}");
}

#[test]
fn a_long_press_is_told_once_in_the_middle() {
    assert_eq!(
        told_of(&[(100, false), (5_000, true)]),
        [
            (114, Press::Pressed),
            (1_100, Press::Long),
            (5_014, released(4_900))
        ]
    );
}

#[test]
fn a_bounce_while_it_is_held_does_not_put_the_long_press_off() {
    assert_eq!(
        told_of(&[(100, false), (1_095, true), (1_097, false), (2_000, true)]),
        [
            (114, Press::Pressed),
            (1_100, Press::Long),
            (2_014, released(1_900))
        ]
    );
}

#[test]
fn a_button_that_pulls_high_is_pressed_when_high() {
    let line = InputLine::new(false);
    let button = Button::new(line.clone()).active_high();
    assert_eq!(told(&line, &button, &[(50, true), (150, false)]).len(), 2);
}

#[test]
fn a_stuck_pin_is_told_once_and_wakes_nobody() {
    let line = InputLine::new(false);
    let button = Button::new(line.clone());
    let told = told(&line, &button, &[(3_600_000, false)]);
    assert!(matches!(
        told[..],
        [(_, Press::Pressed), (1_000, Press::Long)]
    ));
    assert!(line.asked() < 10, "{} waits", line.asked());
}

#[test]
fn a_pin_that_never_rests_tells_nothing_and_is_left_alone_between_looks() {
    let noise: Vec<_> = (0..10_000).map(|time| (time, time % 2 == 1)).collect();
    let line = InputLine::new(true);
    let button = Button::new(line.clone()).debounce(milliseconds(16));
    assert_eq!(told(&line, &button, &noise), []);
    // Two in each pause of 2 ms.
    assert!(line.asked() <= 10_002, "{} waits in 10 s", line.asked());
}

/// A line whose level changes each time that anybody looks.
struct Restless(std::rc::Rc<core::cell::Cell<u32>>);

impl ErrorType for Restless {
    type Error = Infallible;
}

impl InputPin for Restless {
    fn is_high(&mut self) -> Result<bool, Infallible> {
        Ok(true)
    }

    fn is_low(&mut self) -> Result<bool, Infallible> {
        Ok(true)
    }
}

impl Wait for Restless {
    async fn wait_for_high(&mut self) -> Result<(), Infallible> {
        self.0.set(self.0.get() + 1);
        Ok(())
    }

    async fn wait_for_low(&mut self) -> Result<(), Infallible> {
        self.wait_for_high().await
    }

    async fn wait_for_rising_edge(&mut self) -> Result<(), Infallible> {
        self.wait_for_high().await
    }

    async fn wait_for_falling_edge(&mut self) -> Result<(), Infallible> {
        self.wait_for_high().await
    }

    async fn wait_for_any_edge(&mut self) -> Result<(), Infallible> {
        self.wait_for_high().await
    }
}

#[test]
fn a_pin_faster_than_any_clock_does_not_keep_the_processor_busy() {
    let looks = std::rc::Rc::new(core::cell::Cell::new(0));
    let button = Button::new(Restless(looks.clone()));
    run_virtual(select(button.event(), Timer::after_secs(1)));
    // Two in each pause of 2.5 ms.
    assert!(looks.get() <= 802, "{} looks in a second", looks.get());
}

#[test]
fn asking_in_slices_loses_no_press() {
    let line = InputLine::new(true);
    let button = Button::new(line.clone()).debounce(milliseconds(16));
    let told = run_virtual(async {
        let mut told = Vec::new();
        for slice in 0..200 {
            match slice {
                20 => line.set(false),
                25 => line.set(true),
                _ => {}
            }
            // Shorter than the debounce time, so that a change is always met half-way.
            let slice = select(button.event(), Timer::after(milliseconds(4))).await;
            if let Either::First(press) = slice {
                told.push(press.unwrap());
            }
        }
        told
    });
    assert!(
        matches!(told[..], [Press::Pressed, Press::Released { .. }]),
        "{told:?}"
    );
}

/// A line that fails.
struct Broken;

impl ErrorType for Broken {
    type Error = embedded_hal::digital::ErrorKind;
}

const BROKEN: embedded_hal::digital::ErrorKind = embedded_hal::digital::ErrorKind::Other;

impl InputPin for Broken {
    fn is_high(&mut self) -> Result<bool, Self::Error> {
        Err(BROKEN)
    }

    fn is_low(&mut self) -> Result<bool, Self::Error> {
        Err(BROKEN)
    }
}

impl Wait for Broken {
    async fn wait_for_high(&mut self) -> Result<(), Self::Error> {
        Err(BROKEN)
    }

    async fn wait_for_low(&mut self) -> Result<(), Self::Error> {
        Err(BROKEN)
    }

    async fn wait_for_rising_edge(&mut self) -> Result<(), Self::Error> {
        Err(BROKEN)
    }

    async fn wait_for_falling_edge(&mut self) -> Result<(), Self::Error> {
        Err(BROKEN)
    }

    async fn wait_for_any_edge(&mut self) -> Result<(), Self::Error> {
        Err(BROKEN)
    }
}

#[test]
fn a_pin_that_fails_is_told_no_faster_than_the_debounce_time() {
    let button = Button::new(Broken);
    run_virtual(async {
        for _ in 0..5 {
            assert_eq!(button.event().await, Err(BROKEN));
        }
        assert_eq!(Instant::now().as_millis(), 100);
    });
}
