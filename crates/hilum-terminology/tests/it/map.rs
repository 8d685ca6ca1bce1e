//! Translations, and the names of systems.

use hilum_terminology::map::{Ask, Equivalence, Other};
use hilum_terminology::naming::IdKind;
use hilum_terminology::{Coding, Engine, Options, Standard, Terminology};

use crate::model::terminology;

const MAP: &str = r#"{"resourceType":"ConceptMap","url":"http://example.org/map","version":"2","status":"active",
 "sourceUri":"http://example.org/vs-a","targetUri":"http://example.org/vs-b",
 "group":[{"source":"urn:a","target":"urn:b","element":[
   {"code":"x","display":"Ex","target":[{"code":"1","equivalence":"equivalent"},{"code":"2","equivalence":"wider",
     "product":[{"property":"urn:p","value":"v"}]}]},
   {"code":"y","target":[{"equivalence":"unmatched","comment":"none"}]},
   {"code":"z","target":[{"code":"3","equivalence":"narrower","dependsOn":[{"property":"urn:d","value":"yes"}]}]}],
  "unmapped":{"mode":"MODE"}}]}"#;

fn coding(system: &str, code: &str) -> Coding {
    Coding {
        system: Some(system.to_owned()),
        code: Some(code.to_owned()),
        ..Coding::default()
    }
}

fn with(mode: &str, more: &[&str]) -> Terminology {
    let mut all = vec![MAP.replace(r#""mode":"MODE""#, mode)];
    all.extend(more.iter().map(|text| (*text).to_owned()));
    terminology(&all)
}

/// Equivalence and code of each match, and whether there is a translation.
fn told(terminology: &Terminology, of: &Coding, ask: &Ask) -> (bool, Vec<(&'static str, String)>) {
    let options = Options::default();
    let engine = Engine::new(terminology, &options);
    let translated = engine.translate(std::slice::from_ref(of), ask).unwrap();
    let matches = translated.matches.iter();
    let pair = |one: &hilum_terminology::map::Match| {
        (
            one.equivalence.code(),
            one.code.as_deref().unwrap_or("-").to_owned(),
        )
    };
    (translated.result, matches.map(pair).collect())
}

fn pairs(expected: &[(&'static str, &str)]) -> Vec<(&'static str, String)> {
    expected
        .iter()
        .map(|(a, b)| (*a, (*b).to_owned()))
        .collect()
}

#[test]
fn codes_are_translated_there_and_back() {
    let all = with(r#""mode":"provided""#, &[]);
    let plain = Ask::default();
    let of = |code| told(&all, &coding("urn:a", code), &plain);
    assert_eq!(
        of("x"),
        (true, pairs(&[("equivalent", "1"), ("wider", "2")]))
    );
    assert_eq!(of("y"), (false, pairs(&[("unmatched", "-")])));
    assert_eq!(of("z"), (false, pairs(&[])));
    assert_eq!(of("other"), (true, pairs(&[("equal", "other")])));
    let depends = Ask {
        dependencies: vec![Other {
            property: "urn:d".into(),
            value: "yes".into(),
            ..Other::default()
        }],
        ..Ask::default()
    };
    let found = told(&all, &coding("urn:a", "z"), &depends);
    assert_eq!(found, (true, pairs(&[("narrower", "3")])));
    let back = Ask {
        reverse: true,
        ..Ask::default()
    };
    assert_eq!(
        told(&all, &coding("urn:b", "2"), &back),
        (true, pairs(&[("narrower", "x")]))
    );
    assert_eq!(
        told(&all, &coding("urn:b", "9"), &back),
        (false, pairs(&[]))
    );
    let elsewhere = Ask {
        target_system: Some("urn:c".to_owned()),
        ..Ask::default()
    };
    assert_eq!(
        told(&all, &coding("urn:a", "x"), &elsewhere),
        (false, pairs(&[]))
    );
}

#[test]
fn what_is_not_listed_becomes_what_the_map_says() {
    let fixed = with(r#""mode":"fixed","code":"0","display":"other""#, &[]);
    let plain = Ask::default();
    let found = told(&fixed, &coding("urn:a", "q"), &plain);
    assert_eq!(found, (true, pairs(&[("relatedto", "0")])));
    let second = r#"{"resourceType":"ConceptMap","url":"http://example.org/second","status":"active",
      "group":[{"source":"urn:a","target":"urn:b","element":[{"code":"q","target":[{"code":"7","equivalence":"equal"}]}],
      "unmapped":{"mode":"other-map","url":"http://example.org/map"}}]}"#;
    let other = with(
        r#""mode":"other-map","url":"http://example.org/second""#,
        &[second],
    );
    let named = Ask {
        map: Some("http://example.org/map".to_owned()),
        ..Ask::default()
    };
    let found = told(&other, &coding("urn:a", "q"), &named);
    assert_eq!(found, (true, pairs(&[("equal", "7")])));
    // Two maps that send on to each other end.
    let found = told(&other, &coding("urn:a", "nowhere"), &named);
    assert_eq!(found, (false, pairs(&[])));
}

#[test]
fn every_equivalence_reversed_twice_is_itself() {
    for code in [
        "relatedto",
        "equivalent",
        "equal",
        "wider",
        "subsumes",
        "narrower",
        "specializes",
        "inexact",
        "unmatched",
        "disjoint",
    ] {
        let one = Equivalence::of(code).unwrap();
        assert_eq!((one.code(), one.reversed().reversed()), (code, one));
    }
}

#[test]
fn systems_are_known_by_all_of_their_names() {
    let named = r#"{"resourceType":"NamingSystem","name":"Lab","status":"active","kind":"codesystem","date":"2026-01-01",
      "uniqueId":[{"type":"oid","value":"1.2.3"},{"type":"uri","value":"http://old.example.org"},
      {"type":"uri","value":"http://lab.example.org","preferred":true}]}"#;
    let mut library = hilum_terminology::Library::new();
    let resource =
        hilum_fhir::json::parse(named.as_bytes(), &hilum_fhir::Limits::default()).unwrap();
    library.add(resource).unwrap();
    let all = Terminology::new(vec![std::sync::Arc::new(library), Standard::r4()]);
    for (id, kind, expected) in [
        ("urn:oid:1.2.3", IdKind::Uri, Some("http://lab.example.org")),
        ("http://old.example.org", IdKind::Oid, Some("1.2.3")),
        ("1.2.3", IdKind::Uuid, None),
        (
            "2.16.840.1.113883.6.1",
            IdKind::Uri,
            Some("http://loinc.org"),
        ),
        (
            "http://unitsofmeasure.org",
            IdKind::Oid,
            Some("2.16.840.1.113883.6.8"),
        ),
        (
            "HL70001",
            IdKind::Uri,
            Some("http://terminology.hl7.org/CodeSystem/v2-0001"),
        ),
        ("2.16.840.1.113883.12.1", IdKind::Other, Some("HL70001")),
        ("HL79999", IdKind::Uri, None),
        ("9.9.9", IdKind::Uri, None),
    ] {
        assert_eq!(all.preferred_id(id, kind).as_deref(), expected, "{id}");
    }
}
