//! The driver against the simulated chip, which reads nothing but the two lines.

use std::cell::RefCell;
use std::rc::Rc;
use std::string::String;
use std::vec::Vec;

use embassy_futures::join::join;
use embassy_futures::select::select;
use embassy_time::Instant;
use embedded_hal::digital::{ErrorKind, ErrorType};
use embedded_hal_mock::eh1::digital::{Mock, State, Transaction};
use sim::time::run_virtual;
use sim::tm1637::Tm1637 as Chip;

use super::*;

/// The chip, its lines' writes counted, failing at one of them.
#[derive(Clone)]
struct Bus(Rc<RefCell<BusState>>);

struct BusState {
    chip: Chip,
    writes: u32,
    fail_at: Option<u32>,
}

impl Bus {
    fn new() -> Self {
        Self(Rc::new(RefCell::new(BusState {
            chip: Chip::new(),
            writes: 0,
            fail_at: None,
        })))
    }

    fn display(&self) -> Tm1637<Line, Line> {
        let line = |clock| Line {
            bus: self.clone(),
            clock,
        };
        Tm1637::new(line(true), line(false))
    }

    fn text(&self) -> String {
        self.0.borrow().chip.text()
    }

    /// The writes to the pins and the bytes over the bus since it was last asked.
    fn used(&self) -> (u32, u32) {
        let mut state = self.0.borrow_mut();
        let used = (state.writes, state.chip.bytes());
        state.writes = 0;
        used
    }
}

struct Line {
    bus: Bus,
    clock: bool,
}

impl Line {
    fn write(&self, high: bool) -> Result<(), ErrorKind> {
        let mut state = self.bus.0.borrow_mut();
        state.writes += 1;
        if state.fail_at == Some(state.writes) {
            return Err(ErrorKind::Other);
        }
        if self.clock {
            state.chip.clk(high);
        } else {
            state.chip.dio(high);
        }
        Ok(())
    }
}

impl ErrorType for Line {
    type Error = ErrorKind;
}

impl OutputPin for Line {
    fn set_low(&mut self) -> Result<(), ErrorKind> {
        self.write(false)
    }

    fn set_high(&mut self) -> Result<(), ErrorKind> {
        self.write(true)
    }
}

#[test]
fn what_is_shown_is_what_a_person_reads() {
    let bus = Bus::new();
    let display = bus.display();
    let read = |shown: Result<(), ErrorKind>| {
        shown.unwrap();
        bus.text()
    };
    run_virtual(async {
        assert_eq!(read(display.text("----").await), "----");
        for (number, text) in [
            (0, "   0"),
            (7, "   7"),
            (1_234, "1234"),
            (-9, "  -9"),
            (-999, "-999"),
            (10_000, "  Hi"),
            (-1_000, "  Lo"),
            (i32::MIN, "  Lo"),
            (i32::MAX, "  Hi"),
        ] {
            assert_eq!(read(display.number(number).await), text, "{number}");
        }
        for (number, places, text) in [
            (215, 1, " 21.5"),
            (-55, 1, " -5.5"),
            (-999, 1, "-99.9"),
            (5, 1, "  0.5"),
            (9_999, 3, "9.999"),
            (-123, 3, "-.123"),
            (12, 9, "0.012"),
        ] {
            assert_eq!(read(display.decimal(number, places).await), text);
        }
        // A point after the second digit is where a clock has its colon.
        assert_eq!(read(display.decimal(-5, 2).await), "-0:05");
        assert_eq!(read(display.time(12, 30).await), "12:30");
        assert_eq!(read(display.time(7, 5).await), "07:05");
        assert_eq!(read(display.pair(7, 5, false).await), "0705");
        assert_eq!(read(display.pair(100, 99, true).await), "--:99");
        assert_eq!(read(display.hex(0xbeef).await), "beeF");
        assert_eq!(read(display.hex(0x1a).await), "001a");
        for (degrees, text) in [
            (21, "21*C"),
            (0, " 0*C"),
            (-9, "-9*C"),
            (-10, "Lo*C"),
            (100, "Hi*C"),
            (i32::MIN, "Lo*C"),
        ] {
            assert_eq!(read(display.temperature(degrees).await), text);
        }
        assert_eq!(read(display.text("OPEn door").await), "0PEn");
        assert_eq!(read(display.text("1.2:3.4.").await), "1.2:3.4.");
        assert_eq!(read(display.text("a\u{4e2d}#b").await), "a  b");
        assert_eq!(read(display.show([0x40, 0x08, 0x48, 0x63]).await), "-_=*");
        assert_eq!(read(display.clear().await), "    ");
    });
}

#[test]
fn the_bus_is_silent_while_nothing_changes_and_short_when_one_digit_does() {
    let bus = Bus::new();
    let display = bus.display();
    run_virtual(async {
        display.time(12, 34).await.unwrap();
        // Data command, address, four digits, brightness.
        let (_, bytes) = bus.used();
        assert_eq!(bytes, 7);
        for _ in 0..100 {
            display.time(12, 34).await.unwrap();
            display.text("12:34").await.unwrap();
            display.brightness(3).await.unwrap();
        }
        assert_eq!(bus.used(), (0, 7));
        display.time(12, 35).await.unwrap();
        let (writes, bytes) = bus.used();
        assert_eq!((bus.text().as_str(), bytes), ("12:35", 10));
        assert!(writes < 100, "{writes} writes for one digit");
        display.brightness(7).await.unwrap();
        assert_eq!(bus.used().1, 11);
    });
}

#[test]
fn a_clock_period_is_slow_enough_for_the_chip() {
    let bus = Bus::new();
    let display = bus.display();
    run_virtual(async {
        display.time(12, 34).await.unwrap();
        let (microseconds, bytes) = (Instant::now().as_micros(), u64::from(bus.used().1));
        // At least 8 bits of two halves each.
        assert!(microseconds >= bytes * 16 * HALF_PERIOD.as_micros());
        assert!(microseconds < 3_000, "{microseconds} µs on the bus");
    });
}

#[test]
fn the_first_bytes_on_the_lines_are_those_of_the_datasheet() {
    // Clock and data of one command byte, 0x40: start, bits from the lowest on, acknowledgement, stop.
    let high = || Transaction::set(State::High);
    let low = || Transaction::set(State::Low);
    let mut clock = Vec::from([high()]);
    let mut data = Vec::from([high(), low()]);
    for bit in [0, 0, 0, 0, 0, 0, 1, 0] {
        clock.extend([low(), high()]);
        data.push(if bit == 1 { high() } else { low() });
    }
    clock.extend([low(), high(), low(), high()]);
    data.extend([low(), low(), low(), high()]);
    // The next start fails, and with it the call: no more is looked at here.
    let error = embedded_hal_mock::eh1::MockError::Io(std::io::ErrorKind::Other);
    data.push(high().with_error(error.clone()));
    let (mut clock, mut data) = (Mock::new(&clock), Mock::new(&data));
    let display = Tm1637::new(clock.clone(), data.clone());
    assert_eq!(run_virtual(display.text("8")), Err(error));
    clock.done();
    data.done();
}

#[test]
fn brightness_and_darkness_keep_what_is_shown() {
    let bus = Bus::new();
    let display = bus.display();
    run_virtual(async {
        display.text("8888").await.unwrap();
        display.off().await.unwrap();
        assert_eq!(bus.text(), "    ");
        display.text("1234").await.unwrap();
        assert_eq!(bus.text(), "    ");
        display.on().await.unwrap();
        assert_eq!(bus.text(), "1234");
        for (level, brightness) in [(0, 0), (5, 5), (7, 7), (255, 7)] {
            display.brightness(level).await.unwrap();
            assert_eq!(bus.0.borrow().chip.brightness(), brightness);
        }
    });
}

#[test]
fn a_text_passes_from_right_to_left_and_lets_others_work() {
    let bus = Bus::new();
    let display = bus.display();
    let mut seen = Vec::new();
    run_virtual(select(
        display.scroll("A1.b2c", Duration::from_millis(100)),
        async {
            loop {
                Timer::after(Duration::from_millis(50)).await;
                seen.push(bus.text());
                Timer::after(Duration::from_millis(50)).await;
            }
        },
    ));
    seen.dedup();
    assert_eq!(
        seen,
        [
            "   A", "  A1.", " A1.b", "A1:b2", "1.b2c", "b2c ", "2c  ", "c   ", "    "
        ]
    );
}

#[test]
fn what_is_shown_meanwhile_ends_scrolling() {
    let bus = Bus::new();
    let display = bus.display();
    run_virtual(join(
        async {
            display
                .scroll("a long text", Duration::from_millis(100))
                .await
                .unwrap();
            assert!(Instant::now().as_millis() < 500);
        },
        async {
            Timer::after(Duration::from_millis(350)).await;
            display.number(42).await.unwrap();
        },
    ));
    assert_eq!(bus.text(), "  42");
}

#[test]
fn a_call_dropped_at_any_moment_leaves_nothing_wrong_behind() {
    for microseconds in (0..2_500).step_by(7) {
        let bus = Bus::new();
        let display = bus.display();
        run_virtual(async {
            display.text("8888").await.unwrap();
            let drop_at = Timer::after(Duration::from_micros(microseconds));
            select(drop_at, display.text("12:34")).await;
            display.text("8888").await.unwrap();
            assert_eq!(bus.text(), "8888", "after {microseconds} µs");
            display.time(9, 30).await.unwrap();
            assert_eq!(bus.text(), "09:30", "after {microseconds} µs");
        });
    }
}

#[test]
fn a_pin_that_fails_is_told_and_the_next_call_writes_everything() {
    for fail_at in 1..=200 {
        let bus = Bus::new();
        let display = bus.display();
        run_virtual(async {
            bus.0.borrow_mut().fail_at = Some(fail_at);
            let told = display.text("12:34").await;
            let written = bus.0.borrow().writes;
            assert_eq!(told.is_err(), written == fail_at, "write {fail_at}");
            bus.0.borrow_mut().fail_at = None;
            display.text("12:34").await.unwrap();
            assert_eq!(bus.text(), "12:34", "write {fail_at}");
        });
    }
}

#[test]
fn of_two_who_show_something_at_once_the_later_is_seen() {
    let bus = Bus::new();
    let display = bus.display();
    run_virtual(join(async { display.text("1111").await.unwrap() }, async {
        Timer::after(Duration::from_micros(300)).await;
        display.text("2222").await.unwrap();
        assert_eq!(bus.text(), "2222");
    }));
    assert_eq!(bus.text(), "2222");
}
