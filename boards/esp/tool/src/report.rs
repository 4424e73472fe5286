//! How big a firmware is, beside its budgets and the last release.

use std::path::Path;

use bluebell_esp::layout::SLOT_SIZE;
use object::{Object, ObjectSection};

use crate::symbols::{Symbol, by_crate, symbols};
use crate::{Refusal, read};

/// What one number may be.
enum Budget {
    /// At most so many.
    Most(u64),
    Least(u64),
    /// Told for its own sake.
    None,
}

struct Line {
    what: &'static str,
    /// The number's name in the file of the last release.
    key: &'static str,
    bytes: u64,
    budget: Budget,
}

/// What station and access point together take of the heap, at the most of what esp-radio publishes
/// (its `wifi` module, "Expected heap memory usage": 53 to 63k).
const RADIO_HEAP: u64 = 63 * 1024;
/// What the main stack needs: the relay, built as for a chip, takes 36 KB of it on the emulated machine
/// (`stack_peak_bytes` in boards/qemu/counts.txt); the rest is for interrupts, for what is different on a chip and
/// for what an application does.
const STACK: u64 = 64 * 1024;
/// How many crates are listed.
const CRATES: usize = 24;

fn sum(symbols: &[Symbol], is: impl Fn(&str) -> bool) -> u64 {
    symbols
        .iter()
        .filter(|symbol| is(&symbol.name))
        .map(|symbol| symbol.size)
        .sum()
}

/// The application whose sizes are the framework's own, with budgets that are tight. Any other is held to
/// what the chip has.
const MEASURED: &str = "relay";

/// What the image may take. The vendor's libraries for the ESP32-C6 are 80 KB bigger than those for the
/// ESP32-C3; where nobody has measured, only the slot is a limit.
fn image_budget(application: &str, chip: &str) -> Budget {
    Budget::Most(match (application, chip) {
        (MEASURED, "esp32c3") => 700_000,
        (MEASURED, "esp32c6") => 780_000,
        _ => u64::from(SLOT_SIZE),
    })
}

/// What the device's future may take with its buffers. Where it takes more, the stack has less, which has a
/// budget of its own.
fn device_budget(application: &str) -> Budget {
    if application == MEASURED {
        Budget::Most(48 * 1024)
    } else {
        Budget::None
    }
}

/// The numbers that are held.
fn lines(
    file: &object::File<'_>,
    symbols: &[Symbol],
    app: u64,
    application: &str,
    chip: &str,
) -> Vec<Line> {
    let section = |names: &[&str]| -> u64 {
        file.sections()
            .filter(|section| section.name().is_ok_and(|name| names.contains(&name)))
            .map(|section| section.size())
            .sum()
    };
    let heap = sum(symbols, |name| {
        name.ends_with("::HEAP") && name.contains("start::run")
    });
    let heap_beyond = section(&[".dram2_uninit"]);
    let future = sum(symbols, |name| name.ends_with("::device::POOL"));
    let memory = sum(symbols, |name| name.ends_with("start::MEMORY"));
    let data = section(&[".data", ".data.wifi", ".bss", ".noinit"]);
    let code = section(&[".trap", ".rwtext", ".rwtext.wifi"]);
    let line = |what, key, bytes, budget| Line {
        what,
        key,
        bytes,
        budget,
    };
    vec![
        line("app image", "image", app, image_budget(application, chip)),
        line(
            "top future with its buffers",
            "device",
            future + memory,
            device_budget(application),
        ),
        line("  the future itself", "future", future, Budget::None),
        line("  buffers of the framework", "memory", memory, Budget::None),
        line(
            "static RAM without the heap",
            "static",
            data.saturating_sub(heap - heap_beyond.min(heap)),
            Budget::None,
        ),
        line("code that runs from RAM", "ramcode", code, Budget::None),
        line(
            "main stack: room",
            "stack",
            section(&[".stack"]),
            Budget::Least(STACK),
        ),
        line("heap, for the radio alone", "heap", heap, Budget::None),
        line(
            "heap free after joining",
            "free",
            heap.saturating_sub(RADIO_HEAP),
            Budget::Least(64 * 1024),
        ),
    ]
}

/// Prints the report; whether every budget holds.
pub(crate) fn report(elf: &str, app: &str, chip: &str, sizes: &str) -> Result<bool, Refusal> {
    let bytes = read(elf)?;
    let file = object::File::parse(&*bytes).map_err(|error| format!("{elf}: {error}"))?;
    let symbols = symbols(&file);
    let app = read(app)?.len() as u64;
    let last = String::from_utf8(read(sizes)?).map_err(|_| format!("{sizes}: no text"))?;

    let application = Path::new(elf).file_stem().unwrap_or_default();
    let application = application.to_string_lossy();
    println!("{chip}: bytes, budget, difference to the {MEASURED} of the last release\n");
    let mut held = true;
    for line in lines(&file, &symbols, app, &application, chip) {
        let (budget, holds) = match line.budget {
            Budget::Most(most) => (format!("at most {most}"), line.bytes <= most),
            Budget::Least(least) => (format!("at least {least}"), line.bytes >= least),
            Budget::None => (String::new(), true),
        };
        let difference = last_release(&last, chip, line.key).map_or("new".to_owned(), |last| {
            format!("{:+}", line.bytes.cast_signed() - last.cast_signed())
        });
        let verdict = if holds { "" } else { "  EXCEEDED" };
        println!(
            "{:<30}{:>9}  {budget:<18}{difference:>9}{verdict}",
            line.what, line.bytes
        );
        held &= holds;
    }
    println!("\nin the image, by crate (what a future runs counts where the future was made)\n");
    for (name, size) in by_crate(&symbols).into_iter().take(CRATES) {
        println!("{name:<30}{size:>9}");
    }
    if !held {
        eprintln!(
            "bluebell-image: a budget is exceeded: the lines marked EXCEEDED say which; docs/size.md has what an image is made of"
        );
    }
    Ok(held)
}

/// A number of the last release: lines of `chip key bytes`.
fn last_release(text: &str, chip: &str, key: &str) -> Option<u64> {
    text.lines().find_map(|line| {
        let mut words = line.split_whitespace();
        (words.next() == Some(chip) && words.next() == Some(key)).then_some(())?;
        words.next()?.parse().ok()
    })
}

#[cfg(test)]
mod tests {
    use super::{Budget, SLOT_SIZE, device_budget, image_budget, last_release};

    #[test]
    fn only_the_relay_is_held_to_budgets_that_are_tighter_than_the_chip() {
        let limit = |budget| match budget {
            Budget::Most(limit) | Budget::Least(limit) => Some(limit),
            Budget::None => None,
        };
        let slot = Some(u64::from(SLOT_SIZE));
        let relay = limit(image_budget("relay", "esp32c3"));
        assert!(relay.is_some() && relay < slot, "{relay:?}");
        assert!(limit(device_budget("relay")).is_some());
        assert_eq!(limit(image_budget("thermostat", "esp32c3")), slot);
        assert_eq!(limit(device_budget("thermostat")), None);
    }

    #[test]
    fn the_last_release_is_found_by_chip_and_number() {
        let text = "# chip number bytes\nesp32c3 image 700\nesp32c6 image 710\n";
        assert_eq!(last_release(text, "esp32c6", "image"), Some(710));
        assert_eq!(last_release(text, "esp32c6", "stack"), None);
        assert_eq!(last_release(text, "esp32", "image"), None);
    }
}
