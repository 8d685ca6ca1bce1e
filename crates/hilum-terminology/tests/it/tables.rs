//! Tables: what is above what, and files.

use hilum_terminology::table::{At, Case, Damaged, Flags, Table, TableBuilder, Use, ValueKind};
use proptest::prelude::*;

use crate::model::{Row, code, rows};

fn built(rows: &[Row]) -> Table {
    let mut table = TableBuilder::new(Case::Sensitive);
    let mut places: Vec<At> = Vec::new();
    for (at, row) in rows.iter().enumerate() {
        let own = table
            .concept(&code(at), Some(&format!("Concept {at}")), None)
            .unwrap();
        for parent in &row.parents {
            table.place(own, places[*parent]);
        }
        if row.inactive {
            table.flag(own, Flags::INACTIVE);
        }
        if let Some(colour) = row.colour {
            table
                .property(own, "colour", ValueKind::String, colour)
                .unwrap();
            let usage = Use {
                system: "http://example.org/uses",
                code: "short",
                display: "",
            };
            table
                .designation(own, Some("de"), Some(usage), colour, None)
                .unwrap();
        }
        places.push(own);
    }
    table.finish()
}

/// What is above a concept, by following every way.
fn above(rows: &[Row], of: usize) -> Vec<usize> {
    let mut found: Vec<usize> = rows[of].parents.clone();
    for parent in &rows[of].parents {
        found.extend(above(rows, *parent));
    }
    found.sort_unstable();
    found.dedup();
    found
}

proptest! {
    #[test]
    fn what_is_above_what_is_as_the_ways_say(rows in rows()) {
        let table = built(&rows);
        let at = |of: usize| table.find(&code(of)).unwrap();
        for of in 0..rows.len() {
            let expected = above(&rows, of);
            let found: Vec<usize> = table.above(at(of)).iter().map(At::index).collect();
            prop_assert_eq!(&found, &expected);
            for other in 0..rows.len() {
                let is_above = expected.contains(&other);
                prop_assert_eq!(table.is_above(at(other), at(of)), is_above);
                prop_assert_eq!(table.below(at(other)).has(at(of)), is_above);
            }
        }
    }

    #[test]
    fn a_table_is_read_as_it_was_written(rows in rows(), at in any::<prop::sample::Index>(), bit in 0_u8..8) {
        let table = built(&rows);
        let bytes = table.write();
        prop_assert_eq!(&Table::read(&bytes).unwrap(), &table);
        let mut damaged = bytes.clone();
        let at = at.index(damaged.len());
        damaged[at] ^= 1 << bit;
        prop_assert!(Table::read(&damaged).is_err());
        prop_assert!(Table::read(&bytes[..bytes.len() - 1]).is_err());
    }

    #[test]
    fn any_bytes_are_refused_and_nothing_more(bytes in prop::collection::vec(any::<u8>(), 0..200)) {
        prop_assert!(Table::read(&bytes).is_err());
    }
}

#[test]
fn files_that_are_something_else_say_what() {
    assert_eq!(Table::read(b"short"), Err(Damaged::Other));
    let bytes = built(&[]).write();
    let mut other = bytes.clone();
    other[0] = b'x';
    assert_eq!(Table::read(&other), Err(Damaged::Other));
    let mut later = bytes.clone();
    later[8] = 2;
    assert_eq!(Table::read(&later), Err(Damaged::Version(2)));
    let mut changed = bytes;
    let last = changed.len() - 1;
    changed[last] ^= 1;
    assert_eq!(Table::read(&changed), Err(Damaged::Checksum));
}

#[test]
fn case_matters_only_where_it_does() {
    let mut table = TableBuilder::new(Case::Insensitive);
    table.concept("Alpha", None, None).unwrap();
    table.concept("ALPHA", Some("another"), None).unwrap();
    table.concept("beta", None, None).unwrap();
    let table = table.finish();
    assert_eq!(table.len(), 2);
    let found = table.find("aLPHA").unwrap();
    assert_eq!((table.code(found), table.display(found)), ("Alpha", None));
    let mut table = TableBuilder::new(Case::Sensitive);
    table.concept("Alpha", None, None).unwrap();
    assert!(table.finish().find("alpha").is_none());
}

#[test]
fn circles_end() {
    let mut table = TableBuilder::new(Case::Sensitive);
    let a = table.concept("a", None, None).unwrap();
    let b = table.concept("b", None, None).unwrap();
    table.place(a, b);
    table.place(b, a);
    let table = table.finish();
    assert!(table.is_above(a, b) && table.is_above(b, a));
    assert_eq!(table.below(a).count(), 1);
}

#[test]
fn half_a_million_concepts_take_little_more_than_their_texts() {
    let mut table = TableBuilder::new(Case::Sensitive);
    let mut texts = 0;
    for at in 0..500_000_u32 {
        let (code, display) = (format!("{}", 100_000 + at), format!("Concept number {at}"));
        texts += code.len() + display.len();
        let own = table.concept(&code, Some(&display), None).unwrap();
        if let Some(parent) = at
            .checked_div(7)
            .and_then(|of| table.find(&format!("{}", 100_000 + of)))
            && parent != own
        {
            table.place(own, parent);
        }
        for name in 0..4 {
            let name = format!("name {name} of {at}");
            texts += name.len();
            table
                .designation(own, Some("en"), None, &name, None)
                .unwrap();
        }
    }
    let table = table.finish();
    // Each concept has 4 + 4 + 4 + 1 + 16 + 8 bytes beside its texts, each name 8.
    assert!(
        table.bytes() < texts + 500_000 * 40 + 2_000_000 * 9,
        "{}",
        table.bytes()
    );
    assert_eq!(table.below(table.find("100000").unwrap()).count(), 499_999);
}
