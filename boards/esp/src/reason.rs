//! The driver's numbers in the framework's words: why a network was not joined, why the chip started.

use bluebell::wifi::JoinFailure;

/// Why a network was not joined, by the reason code of IEEE 802.11-2020, table 9-49, or, from 200 on,
/// the driver's own (`wifi_err_reason_t` of ESP-IDF).
///
/// An access point that does not take a password lets the handshake run out (15, 204) or says that
/// message 2 of it is damaged (14). One whose protection does not suit what was given, 210 and 211, needs
/// another password, or none, as much.
#[must_use]
pub const fn join_failure(code: u16, with_password: bool) -> JoinFailure {
    match code {
        210 | 211 => JoinFailure::WrongPassword,
        14 | 15 | 23 | 202 | 204 if with_password => JoinFailure::WrongPassword,
        201 | 212 => JoinFailure::NotFound,
        // Authentication expired, silence, no beacon, no connection: the frames did not get through.
        2 | 4 | 39 | 200 | 205 | 208 => JoinFailure::TimedOut,
        _ => JoinFailure::Refused,
    }
}

/// Why the chip started, by the number that its reset controller keeps (ESP32-C3 Technical Reference
/// Manual, table 6.4-1; the other chips use the same numbers).
#[must_use]
pub const fn reset_words(code: Option<u32>) -> &'static str {
    match code {
        Some(0x01) => "power on",
        Some(0x03 | 0x0c) => "restart",
        Some(0x05) => "woken from deep sleep",
        Some(0x07 | 0x08 | 0x0b | 0x11) => "watchdog: the device hung",
        Some(0x09 | 0x0d | 0x10 | 0x12) => "watchdog of the chip: the device hung",
        Some(0x0f) => "brown-out: check the power supply",
        Some(0x13 | 0x17 | 0x19) => "glitch of clock or power: check the power supply",
        Some(0x15 | 0x16) => "reset by USB",
        Some(0x1a) => "the processor locked up",
        _ => "reset for an unknown reason",
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_reason_of_the_driver_has_the_word_that_helps_a_person() {
        for (code, with_password, expected) in [
            (15, true, JoinFailure::WrongPassword),
            (204, true, JoinFailure::WrongPassword),
            (202, true, JoinFailure::WrongPassword),
            (202, false, JoinFailure::Refused),
            (210, false, JoinFailure::WrongPassword),
            (211, true, JoinFailure::WrongPassword),
            (201, true, JoinFailure::NotFound),
            (200, true, JoinFailure::TimedOut),
            (205, false, JoinFailure::TimedOut),
            (5, true, JoinFailure::Refused),
            (203, true, JoinFailure::Refused),
            (u16::MAX, false, JoinFailure::Refused),
        ] {
            assert_eq!(
                join_failure(code, with_password),
                expected,
                "{code} {with_password}"
            );
        }
    }

    #[test]
    fn a_watchdog_a_brown_out_and_a_restart_are_told_apart() {
        let words = [
            Some(0x01),
            Some(0x03),
            Some(0x07),
            Some(0x0f),
            Some(0x15),
            Some(0x19),
            Some(0x1a),
            None,
        ]
        .map(reset_words);
        for (index, word) in words.iter().enumerate() {
            assert!(!words[..index].contains(word), "{word}");
        }
    }
}
