//! What filters take, one by one and all at once.

use std::collections::BTreeSet;

use hilum_terminology::expand::Request;
use hilum_terminology::{Coding, Engine, Failure, Given, Options};
use proptest::prelude::*;

use crate::model::{SET, SYSTEM, code, rows, set, system, terminology};

const OPERATORS: [&str; 8] = [
    "is-a",
    "descendent-of",
    "is-not-a",
    "generalizes",
    "child-of",
    "descendent-leaf",
    "=",
    "in",
];

proptest! {
    #[test]
    fn a_code_is_in_a_value_set_if_its_expansion_has_it(
        rows in rows(),
        operator in prop::sample::select(OPERATORS.to_vec()),
        of in any::<prop::sample::Index>(),
        by_colour in prop::option::of(prop::sample::select(vec!["=", "not-in", "exists", "regex"])),
        excluded in any::<prop::sample::Index>(),
        active_only in any::<bool>(),
    ) {
        let of = code(of.index(rows.len()));
        let mut filters = vec![format!(r#"{{"property":"concept","op":"{operator}","value":"{of}"}}"#)];
        if let Some(op) = by_colour {
            let value = match op { "exists" => "true", "regex" => "r.*|blue", _ => "red" };
            filters.push(format!(r#"{{"property":"colour","op":"{op}","value":"{value}"}}"#));
        }
        let out = code(excluded.index(rows.len()));
        let compose = format!(
            r#"{{"include":[{{"system":"{SYSTEM}","filter":[{}]}}],"exclude":[{{"system":"{SYSTEM}","concept":[{{"code":"{out}"}}]}}]}}"#,
            filters.join(",")
        );
        let terminology = terminology(&[system(&rows), set(&compose)]);
        let options = Options { active_only: Some(active_only), ..Options::default() };
        let engine = Engine::new(&terminology, &options);
        let set = terminology.value_set(SET).unwrap().unwrap();
        let request = Request { exclude_nested: Some(true), ..Request::default() };
        let expansion = engine.expand(&set, &request).unwrap();
        let listed: BTreeSet<String> = expansion.contains.iter().map(|entry| entry.code.to_string()).collect();
        prop_assert_eq!(expansion.total, listed.len());
        prop_assert!(!listed.contains(&out));
        for at in 0..rows.len() {
            let coding = Coding {
                system: Some(SYSTEM.to_owned()),
                code: Some(code(at)),
                ..Coding::default()
            };
            let checked = engine.check(&set, Given::Coding, &[coding]).unwrap();
            prop_assert_eq!(checked.result, listed.contains(&code(at)), "{}", code(at));
        }
    }
}

fn refusal(filter: &str) -> String {
    let compose = format!(r#"{{"include":[{{"system":"{SYSTEM}","filter":[{filter}]}}]}}"#);
    let row = crate::model::Row {
        parents: Vec::new(),
        inactive: false,
        colour: None,
    };
    let terminology = terminology(&[system(&[row]), set(&compose)]);
    let options = Options::default();
    let set = terminology.value_set(SET).unwrap().unwrap();
    match Engine::new(&terminology, &options).expand(&set, &Request::default()) {
        Err(Failure::Refused(issue)) => issue.message_id.to_owned(),
        other => panic!("{other:?}"),
    }
}

#[test]
fn a_filter_that_cannot_be_used_is_named() {
    let long = "a".repeat(hilum_terminology::PATTERN_BYTES_MAX + 1);
    for (filter, expected) in [
        (
            r#"{"property":"concept","op":"is-a","_value":{"extension":[{"url":"http://example.org/none","valueBoolean":true}]}}"#.to_owned(),
            "UNABLE_TO_HANDLE_SYSTEM_FILTER_WITH_NO_VALUE",
        ),
        (
            r#"{"property":"code","op":"regex","value":"("}"#.to_owned(),
            "FILTER_NOT_UNDERSTOOD",
        ),
        (
            format!(r#"{{"property":"code","op":"regex","value":"{long}"}}"#),
            "FILTER_NOT_UNDERSTOOD",
        ),
        (
            r#"{"property":"colour","op":"is-a","value":"red"}"#.to_owned(),
            "FILTER_NOT_UNDERSTOOD",
        ),
    ] {
        assert_eq!(refusal(&filter), expected, "{filter}");
    }
}
