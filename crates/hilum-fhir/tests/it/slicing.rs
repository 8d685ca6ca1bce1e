//! Slices: told apart by what the profile says, counted, and sliced again.

use hilum_fhir::profile::ProfilesBuilder;
use hilum_fhir::validate::{Request, Validator};
use hilum_fhir::{Limits, json};
use hilum_fhirpath::Moment;

/// A StructureDefinition with these elements.
fn definition(url: &str, ty: &str, elements: &str) -> String {
    format!(
        r#"{{"resourceType":"StructureDefinition","url":"urn:{url}","name":"P","status":"draft",
        "kind":"resource","abstract":false,"type":"{ty}","derivation":"constraint",
        "baseDefinition":"http://hl7.org/fhir/StructureDefinition/{ty}",
        "differential":{{"element":[{elements}]}}}}"#
    )
}

/// The errors of resources against the profile `urn:p`, as short as they can be told.
fn check(definitions: &[String], cases: &[(&str, &[&str])]) {
    let mut profiles = ProfilesBuilder::new();
    for text in definitions {
        profiles.add(json::parse(text.as_bytes(), &Limits::default()).unwrap());
    }
    let profiles = profiles.build();
    let validator = Validator::new();
    for (text, expected) in cases {
        let resource = json::parse(text.as_bytes(), &Limits::default()).unwrap();
        let request = Request {
            profiles: &profiles,
            asked: &["urn:p"],
            ..Request::new(Moment::from_unix_millis(1_790_000_000_000, 0))
        };
        let problems = validator.validate(&resource, &request);
        let errors = problems.iter().filter(|problem| problem.is_error());
        let found: Vec<String> = errors
            .map(|error| error.text.replace(" (profile urn:p)", ""))
            .collect();
        assert_eq!(&found, expected, "{text}");
    }
}

fn patient(identifiers: &[&str]) -> String {
    format!(
        r#"{{"resourceType":"Patient","identifier":[{}]}}"#,
        identifiers.join(",")
    )
}

const A: &str = r#"{"system":"urn:a"}"#;
const B: &str = r#"{"system":"urn:b"}"#;
const USUAL: &str = r#"{"use":"usual","system":"urn:a"}"#;
const OLD: &str = r#"{"use":"old","system":"urn:a"}"#;

#[test]
fn a_slice_is_sliced_again() {
    let elements = r#"{"id":"Patient.identifier","path":"Patient.identifier","slicing":{"discriminator":[{"type":"value","path":"system"}],"rules":"open"}},
        {"id":"Patient.identifier:a","path":"Patient.identifier","sliceName":"a","slicing":{"discriminator":[{"type":"value","path":"use"}],"rules":"closed"},"min":1},
        {"id":"Patient.identifier:a.system","path":"Patient.identifier.system","min":1,"fixedUri":"urn:a"},
        {"id":"Patient.identifier:a/usual","path":"Patient.identifier","sliceName":"a/usual","min":1,"max":"1"},
        {"id":"Patient.identifier:a/usual.use","path":"Patient.identifier.use","min":1,"fixedCode":"usual"}"#;
    check(
        &[definition("p", "Patient", elements)],
        &[
            (&patient(&[USUAL, B]), &[]),
            (
                &patient(&[B]),
                &[
                    "identifier:a: 0 of at least 1",
                    "identifier:a/usual: 0 of at least 1",
                ],
            ),
            (
                &patient(&[OLD]),
                &[
                    "in no slice of a, which is closed",
                    "identifier:a/usual: 0 of at least 1",
                ],
            ),
            (
                &patient(&[USUAL, USUAL]),
                &["identifier:a/usual: 2 of at most 1"],
            ),
        ],
    );
}

#[test]
fn what_is_below_a_slice_is_sliced_on_its_own() {
    let elements = r#"{"id":"Patient.identifier","path":"Patient.identifier","slicing":{"discriminator":[{"type":"value","path":"system"}],"rules":"open"}},
        {"id":"Patient.identifier:a","path":"Patient.identifier","sliceName":"a"},
        {"id":"Patient.identifier:a.type","path":"Patient.identifier.type","min":1},
        {"id":"Patient.identifier:a.type.coding","path":"Patient.identifier.type.coding","slicing":{"discriminator":[{"type":"value","path":"system"}],"rules":"open"}},
        {"id":"Patient.identifier:a.type.coding:x","path":"Patient.identifier.type.coding","sliceName":"x","min":1},
        {"id":"Patient.identifier:a.type.coding:x.system","path":"Patient.identifier.type.coding.system","min":1,"fixedUri":"urn:x"},
        {"id":"Patient.identifier:a.type.coding:x.code","path":"Patient.identifier.type.coding.code","min":1},
        {"id":"Patient.identifier:a.system","path":"Patient.identifier.system","min":1,"fixedUri":"urn:a"}"#;
    let typed = |coding: &str| {
        let type_ = format!(r#"{{"type":{{"coding":[{coding}]}},"system":"urn:a"}}"#);
        patient(&[&type_, B])
    };
    check(
        &[definition("p", "Patient", elements)],
        &[
            (&typed(r#"{"system":"urn:x","code":"1"}"#), &[]),
            (&typed(r#"{"system":"urn:x"}"#), &["code: 0 of at least 1"]),
            (
                &typed(r#"{"system":"urn:y","code":"1"}"#),
                &["coding:x: 0 of at least 1"],
            ),
        ],
    );
}

#[test]
fn slices_have_their_order_and_their_end() {
    let sliced = |rest: &str| {
        let elements = format!(
            r#"{{"id":"Patient.identifier","path":"Patient.identifier","slicing":{{"discriminator":[{{"type":"value","path":"system"}}],{rest}}}}},
            {{"id":"Patient.identifier:a","path":"Patient.identifier","sliceName":"a"}},
            {{"id":"Patient.identifier:a.system","path":"Patient.identifier.system","min":1,"fixedUri":"urn:a"}},
            {{"id":"Patient.identifier:b","path":"Patient.identifier","sliceName":"b"}},
            {{"id":"Patient.identifier:b.system","path":"Patient.identifier.system","min":1,"fixedUri":"urn:b"}}"#
        );
        [definition("p", "Patient", &elements)]
    };
    let c = r#"{"system":"urn:c"}"#;
    let out_of_order = "the slices are out of order: identifier";
    check(
        &sliced(r#""rules":"closed""#),
        &[
            (&patient(&[B, A, B]), &[]),
            (
                &patient(&[A, c]),
                &["in no slice of identifier, which is closed"],
            ),
        ],
    );
    check(
        &sliced(r#""rules":"openAtEnd""#),
        &[
            (&patient(&[B, A, c, c]), &[]),
            (&patient(&[B, c, A]), &[out_of_order]),
        ],
    );
    check(
        &sliced(r#""ordered":true,"rules":"open""#),
        &[
            (&patient(&[A, c, A, B]), &[]),
            (&patient(&[B, A]), &[out_of_order]),
        ],
    );
}

/// Identifiers in two slices, `in` with at least one.
fn told(discriminator: &str, inside: &str, outside: &str) -> String {
    let elements = format!(
        r#"{{"id":"Patient.identifier","path":"Patient.identifier","slicing":{{"discriminator":[{discriminator}],"rules":"open"}}}},
        {{"id":"Patient.identifier:in","path":"Patient.identifier","sliceName":"in","min":1}},
        {inside},
        {{"id":"Patient.identifier:out","path":"Patient.identifier","sliceName":"out","max":"1"}},
        {outside}"#
    );
    definition("p", "Patient", &elements)
}

#[test]
fn slices_are_told_by_what_is_there_and_by_patterns() {
    let exists = told(
        r#"{"type":"exists","path":"period"}"#,
        r#"{"id":"Patient.identifier:in.period","path":"Patient.identifier.period","min":1}"#,
        r#"{"id":"Patient.identifier:out.period","path":"Patient.identifier.period","max":"0"}"#,
    );
    let dated = r#"{"system":"urn:a","period":{"start":"2020"}}"#;
    check(
        &[exists],
        &[
            (&patient(&[dated, A]), &[]),
            (
                &patient(&[A, B]),
                &[
                    "identifier:in: 0 of at least 1",
                    "identifier:out: 2 of at most 1",
                ],
            ),
        ],
    );
    let pattern = told(
        r#"{"type":"pattern","path":"type"}"#,
        r#"{"id":"Patient.identifier:in.type","path":"Patient.identifier.type","patternCodeableConcept":{"coding":[{"code":"in"}]}}"#,
        r#"{"id":"Patient.identifier:out.type","path":"Patient.identifier.type","patternCodeableConcept":{"coding":[{"code":"out"}]}}"#,
    );
    let typed = |code: &str| {
        format!(
            r#"{{"type":{{"coding":[{{"code":"else"}},{{"code":"{code}"}}]}},"system":"urn:a"}}"#
        )
    };
    check(
        &[pattern],
        &[
            (&patient(&[&typed("in"), &typed("out")]), &[]),
            (
                &patient(&[&typed("out"), &typed("out")]),
                &[
                    "identifier:in: 0 of at least 1",
                    "identifier:out: 2 of at most 1",
                ],
            ),
        ],
    );
}

#[test]
fn slices_are_told_by_the_profile_of_their_type() {
    let identifier = |url: &str, system: &str| {
        let element = format!(
            r#"{{"id":"Identifier.system","path":"Identifier.system","min":1,"fixedUri":"{system}"}}"#
        );
        definition(url, "Identifier", &element)
    };
    let typed = |discriminator: &str| {
        let elements = format!(
            r#"{{"id":"Patient.identifier","path":"Patient.identifier","slicing":{{"discriminator":[{discriminator}],"rules":"open"}}}},
            {{"id":"Patient.identifier:in","path":"Patient.identifier","sliceName":"in","min":1,"type":[{{"code":"Identifier","profile":["urn:in"]}}]}},
            {{"id":"Patient.identifier:out","path":"Patient.identifier","sliceName":"out","max":"0","type":[{{"code":"Identifier","profile":["urn:out"]}}]}}"#
        );
        [
            definition("p", "Patient", &elements),
            identifier("in", "urn:a"),
            identifier("out", "urn:b"),
        ]
    };
    for discriminator in [
        r#"{"type":"value","path":"system"}"#,
        r#"{"type":"profile","path":"$this"}"#,
    ] {
        check(
            &typed(discriminator),
            &[
                (&patient(&[A, r#"{"system":"urn:c"}"#]), &[]),
                (
                    &patient(&[B]),
                    &[
                        "identifier:in: 0 of at least 1",
                        "identifier:out: 1 of at most 0",
                    ],
                ),
            ],
        );
    }
}

#[test]
fn slices_are_told_by_what_references_lead_to() {
    let observation =
        r#"{"id":"Observation.status","path":"Observation.status","fixedCode":"final"}"#;
    for path in [
        r#"{"type":"value","path":"item.resolve().status"}"#,
        r#"{"type":"profile","path":"item.resolve()"}"#,
    ] {
        let elements = format!(
            r#"{{"id":"List.entry","path":"List.entry","slicing":{{"discriminator":[{path}],"rules":"open"}}}},
            {{"id":"List.entry:done","path":"List.entry","sliceName":"done","min":1,"max":"1"}},
            {{"id":"List.entry:done.item","path":"List.entry.item","min":1,"type":[{{"code":"Reference","targetProfile":["urn:final"]}}]}}"#
        );
        let list = |status: &str| {
            let one = |id: &str, status: &str| {
                format!(
                    r#"{{"resourceType":"Observation","id":"{id}","status":"{status}","code":{{"text":"x"}}}}"#
                )
            };
            format!(
                r##"{{"resourceType":"List","contained":[{},{}],"status":"current","mode":"working",
                "entry":[{{"item":{{"reference":"#a"}}}},{{"item":{{"reference":"#b"}}}}]}}"##,
                one("a", status),
                one("b", "amended")
            )
        };
        check(
            &[
                definition("p", "List", &elements),
                definition("final", "Observation", observation),
            ],
            &[
                (&list("final"), &[]),
                (&list("preliminary"), &["entry:done: 0 of at least 1"]),
            ],
        );
    }
}

#[test]
fn slices_that_nobody_can_tell_are_not_counted() {
    for discriminator in [
        r#"{"type":"value","path":"use"}"#,
        r#"{"type":"value","path":"system.where(true)"}"#,
    ] {
        let elements = format!(
            r#"{{"id":"Patient.identifier","path":"Patient.identifier","slicing":{{"discriminator":[{discriminator}],"rules":"closed"}}}},
            {{"id":"Patient.identifier:a","path":"Patient.identifier","sliceName":"a","min":1}},
            {{"id":"Patient.identifier:a.system","path":"Patient.identifier.system","fixedUri":"urn:a"}}"#
        );
        check(
            &[definition("p", "Patient", &elements)],
            &[(&patient(&[B]), &[])],
        );
    }
}
