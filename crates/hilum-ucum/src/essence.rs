//! The official table of units, read once.

use std::collections::HashMap;
use std::sync::OnceLock;

use num_rational::BigRational;
use quick_xml::Reader;
use quick_xml::events::{BytesStart, Event};

use crate::canonical::{Canonical, rational};
use crate::parse;
use crate::special::Function;

const ESSENCE: &str = include_str!("generated/ucum-essence.xml");

/// A prefix: its symbol, name and factor.
#[derive(Debug)]
pub(crate) struct Prefix {
    pub(crate) symbol: &'static str,
    pub(crate) name: &'static str,
    pub(crate) factor: BigRational,
}

/// A unit of the table, analysed.
#[derive(Debug)]
pub(crate) struct Atom {
    pub(crate) symbol: &'static str,
    pub(crate) name: &'static str,
    pub(crate) metric: bool,
    pub(crate) canonical: Canonical,
    /// How amounts of a special unit become amounts of its canonical unit.
    pub(crate) special: Option<Function>,
}

/// The whole table.
#[derive(Debug, Default)]
pub(crate) struct Table {
    pub(crate) prefixes: Vec<Prefix>,
    pub(crate) atoms: HashMap<&'static str, Atom>,
    /// Symbols in lower case, for hints.
    folded: HashMap<String, &'static str>,
}

/// An entry of the file as it stands.
#[derive(Debug, Default)]
pub(crate) struct Entry {
    kind: &'static str,
    symbol: &'static str,
    name: &'static str,
    metric: bool,
    arbitrary: bool,
    value: Option<&'static str>,
    unit: &'static str,
    function: Option<Function>,
}

/// The table, read at the first call.
pub(crate) fn table() -> &'static Table {
    static TABLE: OnceLock<Table> = OnceLock::new();
    TABLE.get_or_init(|| Table::build(read()))
}

impl Table {
    /// Entries are analysed in the order of the file or, where one uses a later one, on the next
    /// pass over those that are left.
    fn build(entries: Vec<Entry>) -> Self {
        Self::build_with(entries, &[])
    }

    /// With units that are bases beside those of the file.
    pub(crate) fn build_with(entries: Vec<Entry>, bases: &[&str]) -> Self {
        let mut table = Self::default();
        let mut left = Vec::new();
        for entry in entries {
            let factor = entry.value.and_then(rational);
            match (entry.kind, factor) {
                ("prefix", Some(factor)) => table.prefixes.push(Prefix {
                    symbol: entry.symbol,
                    name: entry.name,
                    factor,
                }),
                ("base-unit", _) => table.add(&entry, Canonical::base(entry.symbol)),
                _ if bases.contains(&entry.symbol) => {
                    table.add(&entry, Canonical::base(entry.symbol));
                }
                _ => left.push(entry),
            }
        }
        loop {
            let before = left.len();
            left.retain(|entry| match table.define(entry) {
                Some(canonical) => {
                    table.add(entry, canonical);
                    false
                }
                None => true,
            });
            if left.is_empty() || left.len() == before {
                return table;
            }
        }
    }

    fn define(&self, entry: &Entry) -> Option<Canonical> {
        if entry.arbitrary && entry.unit == "1" {
            return Some(Canonical::base(entry.symbol));
        }
        let factor = Canonical::number(entry.value.and_then(rational)?);
        let (unit, _) = parse::analyse(self, entry.unit).ok()?;
        factor.times(&unit.canonical).ok()
    }

    fn add(&mut self, entry: &Entry, canonical: Canonical) {
        let atom = Atom {
            symbol: entry.symbol,
            name: entry.name,
            metric: entry.metric,
            canonical,
            special: entry.function,
        };
        self.folded
            .entry(entry.symbol.to_lowercase())
            .or_insert(entry.symbol);
        self.atoms.insert(entry.symbol, atom);
    }

    /// The unit of this symbol, with its prefix where it has one.
    pub(crate) fn find(&self, symbol: &str) -> Option<(Option<&Prefix>, &Atom)> {
        if let Some(atom) = self.atoms.get(symbol) {
            return Some((None, atom));
        }
        self.prefixes.iter().find_map(|prefix| {
            let rest = symbol.strip_prefix(prefix.symbol)?;
            let atom = self.atoms.get(rest).filter(|atom| atom.metric)?;
            Some((Some(prefix), atom))
        })
    }

    /// A symbol that differs in case only.
    pub(crate) fn other_case(&self, symbol: &str) -> Option<&'static str> {
        self.folded.get(&symbol.to_lowercase()).copied()
    }
}

fn attribute(start: &BytesStart<'_>, name: &str) -> Option<&'static str> {
    read_attribute(start, name).map(intern)
}

fn read_attribute(start: &BytesStart<'_>, name: &str) -> Option<String> {
    let value = start.try_get_attribute(name).ok()??;
    let value = value
        .normalized_value(quick_xml::XmlVersion::Implicit1_0)
        .ok()?;
    Some(value.into_owned())
}

/// The table lives as long as the process: its texts are kept for good, once.
fn intern(text: String) -> &'static str {
    Box::leak(text.into_boxed_str())
}

/// Reads the file. It is part of the program, and a test proves that all of it is understood.
pub(crate) fn read() -> Vec<Entry> {
    let mut reader = Reader::from_str(ESSENCE);
    let (mut entries, mut entry, mut text) = (Vec::new(), Entry::default(), String::new());
    loop {
        match reader.read_event() {
            Ok(Event::Start(start) | Event::Empty(start)) => {
                text.clear();
                open(&start, &mut entry);
            }
            Ok(Event::Text(part)) => text.push_str(&part),
            Ok(Event::GeneralRef(part)) => text.extend(part.resolve_char_ref().ok().flatten()),
            Ok(Event::End(end)) => match end.name().as_ref() {
                "name" if entry.name.is_empty() => {
                    entry.name = intern(text.trim().to_owned());
                }
                "prefix" | "base-unit" | "unit" => entries.push(std::mem::take(&mut entry)),
                _ => {}
            },
            Ok(Event::Eof) | Err(_) => return entries,
            Ok(_) => {}
        }
    }
}

fn open(start: &BytesStart<'_>, entry: &mut Entry) {
    let yes = |name| read_attribute(start, name).as_deref() == Some("yes");
    match start.name().as_ref() {
        "prefix" => {
            *entry = Entry {
                kind: "prefix",
                ..Entry::default()
            };
            entry.symbol = attribute(start, "Code").unwrap_or_default();
        }
        "base-unit" => {
            *entry = Entry {
                kind: "base-unit",
                metric: true,
                ..Entry::default()
            };
            entry.symbol = attribute(start, "Code").unwrap_or_default();
        }
        "unit" => {
            *entry = Entry {
                kind: "unit",
                ..Entry::default()
            };
            entry.symbol = attribute(start, "Code").unwrap_or_default();
            entry.metric = yes("isMetric");
            entry.arbitrary = yes("isArbitrary");
        }
        "value" => {
            entry.unit = attribute(start, "Unit").unwrap_or_default();
            entry.value = attribute(start, "value");
        }
        "function" => {
            let name = read_attribute(start, "name");
            entry.function = name.as_deref().and_then(Function::from_name);
            entry.unit = attribute(start, "Unit").unwrap_or_default();
            entry.value = attribute(start, "value");
        }
        _ => {}
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_whole_table_is_understood() {
        let table = table();
        assert_eq!(table.prefixes.len(), 24);
        assert_eq!(table.atoms.len(), ESSENCE.matches("unit Code=").count());
        assert_eq!(
            table.atoms.values().filter(|a| a.special.is_some()).count(),
            ESSENCE.matches("<function ").count()
        );
        assert!(table.atoms.values().all(|a| !a.name.is_empty()));
    }
}
