//! Expansions: pages, trees, languages, limits.

use std::sync::Arc;

use hilum_terminology::expand::{Entry, Request, Stamp};
use hilum_terminology::{Engine, Failure, Languages, Options, Standard, Terminology, ValueSet};
use proptest::prelude::*;

use crate::model::{Row, SET, SYSTEM, rows, set, system, terminology};

fn flat(entries: &[Entry], into: &mut Vec<String>) {
    for entry in entries {
        into.push(entry.code.to_string());
        flat(&entry.contains, into);
    }
}

fn codes(entries: &[Entry]) -> Vec<String> {
    let mut all = Vec::new();
    flat(entries, &mut all);
    all
}

fn whole() -> String {
    set(&format!(r#"{{"include":[{{"system":"{SYSTEM}"}}]}}"#))
}

fn given(terminology: &Terminology) -> Arc<ValueSet> {
    terminology.value_set(SET).unwrap().unwrap()
}

proptest! {
    #[test]
    fn pages_put_together_are_the_whole(rows in rows(), step in 1_usize..7) {
        let terminology = terminology(&[system(&rows), whole()]);
        let options = Options::default();
        let engine = Engine::new(&terminology, &options);
        let set = given(&terminology);
        let of = |offset, count| {
            let request = Request { offset, count, exclude_nested: Some(true), ..Request::default() };
            engine.expand(&set, &request).unwrap()
        };
        let all = codes(&of(None, None).contains);
        prop_assert_eq!(all.len(), rows.len());
        let mut paged = Vec::new();
        for at in (0..rows.len()).step_by(step) {
            let page = of(Some(at), Some(step));
            prop_assert_eq!(page.total, rows.len());
            paged.extend(codes(&page.contains));
        }
        prop_assert_eq!(paged, all);
        prop_assert!(of(Some(rows.len()), Some(step)).contains.is_empty());
        prop_assert!(of(None, Some(0)).contains.is_empty());
    }

    #[test]
    fn a_tree_has_the_codes_of_the_list(rows in rows()) {
        let terminology = terminology(&[system(&rows), whole()]);
        let options = Options::default();
        let engine = Engine::new(&terminology, &options);
        let set = given(&terminology);
        let nested = engine.expand(&set, &Request::default()).unwrap();
        let list = Request { exclude_nested: Some(true), ..Request::default() };
        let mut tree = codes(&nested.contains);
        let mut list = codes(&engine.expand(&set, &list).unwrap().contains);
        tree.sort();
        list.sort();
        prop_assert_eq!(tree, list);
    }
}

fn plain(concepts: usize) -> Vec<Row> {
    let row = Row {
        parents: Vec::new(),
        inactive: false,
        colour: None,
    };
    vec![row; concepts]
}

#[test]
fn more_codes_than_a_limit_allows_are_refused() {
    let terminology = terminology(&[system(&plain(11)), whole()]);
    let options = Options::default();
    let engine = Engine::new(&terminology, &options);
    let set = given(&terminology);
    let of = |request: Request| match engine.expand(&set, &request) {
        Ok(expansion) => Ok(expansion.contains.len()),
        Err(Failure::Refused(issue)) => Err(issue.message_id),
        Err(other) => panic!("{other:?}"),
    };
    let limited = |codes_max| Request {
        codes_max,
        ..Request::default()
    };
    assert_eq!(of(limited(11)), Ok(11));
    assert_eq!(of(limited(10)), Err("VALUESET_TOO_COSTLY"));
    let page = Request {
        count: Some(10),
        ..limited(10)
    };
    assert_eq!(of(page), Ok(10));
    for (work_max, expected) in [(11, Ok(11)), (10, Err("VALUESET_TOO_COSTLY"))] {
        let request = Request {
            work_max,
            ..Request::default()
        };
        assert_eq!(of(request), expected);
    }
}

#[test]
fn a_text_finds_words_that_begin_so() {
    let concepts = r#"[{"code":"a1","display":"Blood pressure"},{"code":"b2","display":"Pressure sore"},{"code":"c3","display":"Sore throat","designation":[{"language":"de","value":"Halsschmerz"}]}]"#;
    let system = format!(
        r#"{{"resourceType":"CodeSystem","url":"{SYSTEM}","language":"en","status":"active","content":"complete","concept":{concepts}}}"#
    );
    let terminology = terminology(&[system, whole()]);
    let options = Options::default();
    let engine = Engine::new(&terminology, &options);
    let set = given(&terminology);
    for (text, expected) in [
        ("press", vec!["a1", "b2"]),
        ("sore press", vec!["b2"]),
        ("HALS", vec!["c3"]),
        ("b2", vec!["b2"]),
        ("ressure", vec![]),
    ] {
        let request = Request {
            filter: Some(text.to_owned()),
            ..Request::default()
        };
        let found = engine.expand(&set, &request).unwrap();
        assert_eq!(codes(&found.contains), expected, "{text}");
    }
    let german = Options {
        display_language: Some(Languages::parse("de").unwrap()),
        ..Options::default()
    };
    let expansion = Engine::new(&terminology, &german)
        .expand(&set, &Request::default())
        .unwrap();
    let shown: Vec<_> = expansion
        .contains
        .iter()
        .map(|one| one.display.as_deref())
        .collect();
    assert_eq!(
        shown,
        [
            Some("Blood pressure"),
            Some("Pressure sore"),
            Some("Halsschmerz")
        ]
    );
}

#[test]
fn a_value_set_made_of_itself_is_refused() {
    let other = format!(
        r#"{{"resourceType":"ValueSet","url":"{SET}2","status":"active","compose":{{"include":[{{"valueSet":["{SET}"]}}]}}}}"#
    );
    let own = set(&format!(r#"{{"include":[{{"valueSet":["{SET}2"]}}]}}"#));
    let terminology = terminology(&[own, other]);
    let options = Options::default();
    let engine = Engine::new(&terminology, &options);
    match engine.expand(&given(&terminology), &Request::default()) {
        Err(Failure::Refused(issue)) => {
            assert_eq!(issue.message_id, "VALUESET_CIRCULAR_REFERENCE");
        }
        other => panic!("{other:?}"),
    }
}

#[test]
fn value_sets_within_value_sets_end_at_the_limit() {
    let most = hilum_terminology::IMPORTS_MAX;
    let chain = |length: usize| {
        let mut all = vec![system(&plain(1))];
        for at in 1..=length {
            let url = if at == 1 {
                SET.to_owned()
            } else {
                format!("{SET}{at}")
            };
            let inner = if at == length {
                format!(r#"{{"system":"{SYSTEM}"}}"#)
            } else {
                format!(r#"{{"valueSet":["{SET}{}"]}}"#, at + 1)
            };
            all.push(format!(
                r#"{{"resourceType":"ValueSet","url":"{url}","status":"active","compose":{{"include":[{inner}]}}}}"#
            ));
        }
        terminology(&all)
    };
    let options = Options::default();
    let fits = chain(most);
    let expansion = Engine::new(&fits, &options).expand(&given(&fits), &Request::default());
    assert_eq!(expansion.unwrap().total, 1);
    let deep = chain(most + 1);
    let refused = Engine::new(&deep, &options).expand(&given(&deep), &Request::default());
    assert!(
        matches!(refused, Err(Failure::Refused(issue)) if issue.message_id == "VALUESET_TOO_DEEP")
    );
}

#[test]
fn what_the_standard_lists_is_expanded_and_written_as_a_resource() {
    let terminology = Terminology::new(vec![Standard::r4()]);
    let options = Options::default();
    let engine = Engine::new(&terminology, &options);
    let set = terminology
        .value_set("http://hl7.org/fhir/ValueSet/administrative-gender")
        .unwrap()
        .unwrap();
    let expansion = engine.expand(&set, &Request::default()).unwrap();
    let shown: Vec<_> = expansion
        .contains
        .iter()
        .map(|one| one.display.as_deref())
        .collect();
    assert_eq!(
        shown,
        [Some("Male"), Some("Female"), Some("Other"), Some("Unknown")]
    );
    let stamp = Stamp {
        identifier: "urn:uuid:0b0b8b0e-0000-4000-8000-000000000000".to_owned(),
        timestamp: "2026-01-01T00:00:00Z".to_owned(),
    };
    let json = expansion.to_json(&set, &stamp);
    let resource = hilum_fhir::json::parse(&json, &hilum_fhir::Limits::default()).unwrap();
    assert_eq!(resource.type_name(), "ValueSet");
}
