//! What the symbols of an ELF file say about who takes how much room.

use std::collections::BTreeMap;

use object::{Object, ObjectSection, ObjectSymbol, SectionKind, SymbolKind};

/// The crate that C code and the vendor's libraries are counted under.
const LIBRARIES: &str = "(vendor's libraries)";
/// Constants, which the linker has merged over all crates.
const CONSTANTS: &str = "(constants)";

/// One symbol with a size.
pub(crate) struct Symbol {
    pub(crate) name: String,
    pub(crate) size: u64,
    /// Whether it takes room in the image, or only in RAM.
    pub(crate) stored: bool,
}

/// All symbols, each place counted once.
pub(crate) fn symbols(file: &object::File<'_>) -> Vec<Symbol> {
    let mut places = BTreeMap::new();
    for symbol in file.symbols() {
        let kind = matches!(symbol.kind(), SymbolKind::Text | SymbolKind::Data);
        let section = symbol
            .section_index()
            .and_then(|index| file.section_by_index(index).ok());
        let (true, Some(section), Ok(name)) = (kind && symbol.size() > 0, section, symbol.name())
        else {
            continue;
        };
        let stored = section.kind() != SectionKind::UninitializedData;
        places.insert(
            symbol.address(),
            Symbol {
                name: format!("{:#}", rustc_demangle::demangle(name)),
                size: symbol.size(),
                stored,
            },
        );
    }
    places.into_values().collect()
}

/// The crate that a symbol's name begins with.
pub(crate) fn crate_of(name: &str) -> &str {
    if name.starts_with(".L") || name.contains("anon.") {
        return CONSTANTS;
    }
    if !name.contains("::") {
        return LIBRARIES;
    }
    // `<a::B as c::D>::e` belongs to `a`; `<&mut a::B>::c` too.
    let name = name.trim_start_matches(['<', '&', '[', '(', '*']);
    let name = ["mut ", "dyn ", "const "]
        .iter()
        .fold(name, |name, word| name.strip_prefix(word).unwrap_or(name));
    let end = name
        .find(|c: char| !c.is_alphanumeric() && c != '_')
        .unwrap_or(name.len());
    &name[..end]
}

/// The bytes of the image by crate, the biggest first.
pub(crate) fn by_crate(symbols: &[Symbol]) -> Vec<(String, u64)> {
    let mut sums = BTreeMap::<&str, u64>::new();
    for symbol in symbols.iter().filter(|symbol| symbol.stored) {
        *sums.entry(crate_of(&symbol.name)).or_default() += symbol.size;
    }
    let mut sums: Vec<_> = sums
        .into_iter()
        .map(|(name, size)| (name.to_owned(), size))
        .collect();
    sums.sort_by_key(|(_, size)| std::cmp::Reverse(*size));
    sums
}

#[cfg(test)]
mod tests {
    use super::crate_of;

    #[test]
    fn a_symbol_belongs_to_the_crate_of_its_type() {
        for (name, expected) in [
            ("bluebell::portal::serve::{{closure}}", "bluebell"),
            (
                "<esp_radio::wifi::Interface as embassy_net_driver::Driver>::receive",
                "esp_radio",
            ),
            (
                "<&mut smoltcp::wire::Packet as core::fmt::Debug>::fmt",
                "smoltcp",
            ),
            ("ieee80211_sta_new_state", super::LIBRARIES),
            (
                ".Lanon.b672018155f32fd4801a67105d3682cd.744",
                super::CONSTANTS,
            ),
        ] {
            assert_eq!(crate_of(name), expected, "{name}");
        }
    }
}
