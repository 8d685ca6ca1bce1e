//! Small code systems of any shape, with value sets over them.

use std::sync::Arc;

use hilum_fhir::{Limits, json};
use hilum_terminology::{Library, Terminology};
use proptest::prelude::*;

pub(crate) const SYSTEM: &str = "http://example.org/system";
pub(crate) const SET: &str = "http://example.org/set";

/// A concept: the places of its parents among those before it, whether it is inactive, and a
/// property.
#[derive(Clone, Debug)]
pub(crate) struct Row {
    pub(crate) parents: Vec<usize>,
    pub(crate) inactive: bool,
    pub(crate) colour: Option<&'static str>,
}

pub(crate) fn rows() -> impl Strategy<Value = Vec<Row>> {
    let row = (
        prop::collection::vec(any::<prop::sample::Index>(), 0..3),
        prop::bool::weighted(0.2),
        prop::option::of(prop::sample::select(vec!["red", "blue", "green"])),
    );
    prop::collection::vec(row, 1..24).prop_map(|rows| {
        let place = |at: usize, of: prop::sample::Index| (at > 0).then(|| of.index(at));
        rows.into_iter()
            .enumerate()
            .map(|(at, (parents, inactive, colour))| {
                let mut parents: Vec<usize> =
                    parents.into_iter().filter_map(|of| place(at, of)).collect();
                parents.sort_unstable();
                parents.dedup();
                Row {
                    parents,
                    inactive,
                    colour,
                }
            })
            .collect()
    })
}

pub(crate) fn code(at: usize) -> String {
    format!("c{at}")
}

pub(crate) fn system(rows: &[Row]) -> String {
    let concepts: Vec<String> = rows
        .iter()
        .enumerate()
        .map(|(at, row)| {
            let mut properties: Vec<String> = row
                .parents
                .iter()
                .map(|of| format!(r#"{{"code":"parent","valueCode":"{}"}}"#, code(*of)))
                .collect();
            if row.inactive {
                properties.push(r#"{"code":"inactive","valueBoolean":true}"#.to_owned());
            }
            if let Some(colour) = row.colour {
                properties.push(format!(r#"{{"code":"colour","valueString":"{colour}"}}"#));
            }
            let own = properties.join(",");
            let own = if own.is_empty() {
                String::new()
            } else {
                format!(r#","property":[{own}]"#)
            };
            format!(r#"{{"code":"{}","display":"Concept {at}"{own}}}"#, code(at))
        })
        .collect();
    format!(
        r#"{{"resourceType":"CodeSystem","url":"{SYSTEM}","version":"1","status":"active","content":"complete","concept":[{}]}}"#,
        concepts.join(",")
    )
}

pub(crate) fn set(compose: &str) -> String {
    format!(
        r#"{{"resourceType":"ValueSet","url":"{SET}","version":"1","status":"active","compose":{compose}}}"#
    )
}

pub(crate) fn terminology(resources: &[String]) -> Terminology {
    let mut library = Library::new();
    for text in resources {
        let resource = json::parse(text.as_bytes(), &Limits::default()).unwrap();
        assert!(library.add(resource).unwrap());
    }
    Terminology::new(vec![Arc::new(library)])
}
