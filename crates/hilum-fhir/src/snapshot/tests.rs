//! Snapshots of profiles on the types of the standard.

use std::sync::Arc;

use super::{
    ELEMENTS_MAX, LOOKS_MAX, Library, NESTED_MAX, SnapshotError, base, tree, with_snapshot,
};
use crate::{Limits, Resource, json};

fn definition(url: &str, on: &str, differential: &str) -> Resource {
    let text = format!(
        r#"{{"resourceType":"StructureDefinition","url":"{url}","name":"P","status":"draft",
        "kind":"resource","abstract":false,"type":"Patient","baseDefinition":"{on}",
        "derivation":"constraint"{}}}"#,
        match differential {
            "" => String::new(),
            list => format!(r#","differential":{{"element":[{list}]}}"#),
        }
    );
    json::parse(text.as_bytes(), &Limits::default()).unwrap()
}

const PATIENT: &str = "http://hl7.org/fhir/StructureDefinition/Patient";

/// The ids of the elements with their cardinalities, those that begin with a text.
fn ids(resource: &Resource, beginning: &str) -> Vec<String> {
    let snapshot = resource.root().child("snapshot").unwrap();
    let elements = snapshot.children_named("element");
    elements
        .filter_map(|element| {
            let text = |name: &str| element.child_text(name).unwrap_or_default();
            let shown = format!("{} {}..{}", text("id"), text("min"), text("max"));
            text("id").starts_with(beginning).then_some(shown)
        })
        .collect()
}

#[test]
fn the_elements_of_every_type_are_there() {
    let mut count = 0;
    for url in base::urls() {
        let elements = base::elements(url).unwrap();
        assert!(
            elements.iter().all(|one| one.text("path").is_some()),
            "{url}"
        );
        count += 1;
    }
    assert_eq!(count, 209);
}

#[test]
fn what_is_not_constrained_is_as_in_the_base() {
    let plain = definition("urn:p", PATIENT, "");
    let made = with_snapshot(&plain, &Library::new()).unwrap();
    assert_eq!(ids(&made, "").len(), base::elements(PATIENT).unwrap().len());
    assert_eq!(ids(&made, "Patient.birthDate"), ["Patient.birthDate 0..1"]);
}

#[test]
fn slices_begin_as_the_base_and_grow_where_they_are_constrained() {
    let sliced = definition(
        "urn:p",
        PATIENT,
        r#"{"path":"Patient.identifier","min":1,"slicing":{"discriminator":[{"type":"value","path":"system"}],"rules":"open"}},
        {"path":"Patient.identifier","sliceName":"mrn","max":"1"},
        {"path":"Patient.identifier.system","min":1},
        {"path":"Patient.deceasedBoolean","min":1}"#,
    );
    let made = with_snapshot(&sliced, &Library::new()).unwrap();
    assert_eq!(
        ids(&made, "Patient.identifier"),
        [
            "Patient.identifier 1..*",
            "Patient.identifier:mrn 0..1",
            "Patient.identifier:mrn.id 0..1",
            "Patient.identifier:mrn.extension 0..*",
            "Patient.identifier:mrn.use 0..1",
            "Patient.identifier:mrn.type 0..1",
            "Patient.identifier:mrn.system 1..1",
            "Patient.identifier:mrn.value 0..1",
            "Patient.identifier:mrn.period 0..1",
            "Patient.identifier:mrn.assigner 0..1",
        ]
    );
    assert_eq!(
        ids(&made, "Patient.deceased"),
        [
            "Patient.deceased[x] 1..1",
            "Patient.deceased[x]:deceasedBoolean 1..1"
        ]
    );
    // A profile on top of it has all of that.
    let mut library = Library::new();
    library.add(Arc::new(sliced));
    let derived = definition(
        "urn:q",
        "urn:p",
        r#"{"id":"Patient.identifier:mrn","path":"Patient.identifier","sliceName":"mrn","min":1}"#,
    );
    let made = with_snapshot(&derived, &library).unwrap();
    let found = ids(&made, "Patient.identifier:mrn");
    assert_eq!(found[0], "Patient.identifier:mrn 1..1");
    assert_eq!(found.len(), 9);
}

#[test]
fn what_cannot_be_built_says_why() {
    let check = |url: &str, on: &str, differential: &str, expected: &SnapshotError| {
        let error = with_snapshot(&definition(url, on, differential), &Library::new());
        assert_eq!(&error.unwrap_err(), expected);
    };
    check(
        "urn:p",
        "urn:absent",
        "",
        &SnapshotError::Unknown("urn:absent".to_owned()),
    );
    check(
        "urn:p",
        PATIENT,
        r#"{"path":"Patient.nme"}"#,
        &SnapshotError::Path("Patient.nme".to_owned()),
    );
    check(
        "urn:p",
        PATIENT,
        r#"{"path":"Patient.gender","type":[{"code":"string"}]}"#,
        &SnapshotError::Type {
            path: "Patient.gender".to_owned(),
            ty: "string".to_owned(),
        },
    );
    let mut library = Library::new();
    let circle = definition("urn:c", "urn:c", "");
    library.add(Arc::new(circle.clone()));
    let error = with_snapshot(&circle, &library).unwrap_err();
    assert!(matches!(error, SnapshotError::Circle(_)), "{error}");
}

#[test]
fn profiles_on_profiles_are_followed_so_far() {
    // `urn:0` is on Patient, each other one on the one before.
    let made = |count: usize| {
        let mut library = Library::new();
        let on = |at: usize| match at {
            0 => PATIENT.to_owned(),
            at => format!("urn:{}", at - 1),
        };
        for at in 0..count {
            let profile = definition(&format!("urn:{at}"), &on(at), "");
            library.add(Arc::new(profile));
        }
        with_snapshot(&definition("urn:top", &on(count), ""), &library)
    };
    assert!(made(NESTED_MAX).is_ok());
    let beyond = made(NESTED_MAX + 1).unwrap_err();
    assert!(matches!(beyond, SnapshotError::Circle(_)), "{beyond}");
}

#[test]
fn paths_are_followed_so_far() {
    let made = |segments: usize| {
        let path = format!("Patient{}", ".extension".repeat(segments - 1));
        let element = format!(r#"{{"path":"{path}","max":"1"}}"#);
        with_snapshot(&definition("urn:p", PATIENT, &element), &Library::new())
    };
    assert!(made(tree::DEPTH_MAX).is_ok());
    let beyond = made(tree::DEPTH_MAX + 1).unwrap_err();
    assert!(matches!(beyond, SnapshotError::Path(_)), "{beyond}");
}

/// So many slices of an element, each opened by a constraint on a child.
fn sliced(element: &str, child: &str, count: usize) -> Resource {
    let slicing = r#""slicing":{"discriminator":[{"type":"value","path":"id"}],"rules":"open"}"#;
    let mut list = vec![format!(r#"{{"path":"{element}",{slicing}}}"#)];
    for at in 0..count {
        list.push(format!(r#"{{"path":"{element}","sliceName":"s{at}"}}"#));
        list.push(format!(r#"{{"path":"{element}.{child}","min":1}}"#));
    }
    definition("urn:p", PATIENT, &list.join(","))
}

#[test]
fn a_snapshot_ends_at_its_limit_of_elements() {
    // A logical model that comes with its snapshot, on two levels; the profile adds nothing.
    let model = |url: &str, more: &str| {
        let text = format!(
            r#"{{"resourceType":"StructureDefinition","url":"{url}","name":"M","status":"draft",
            "kind":"logical","abstract":false,"type":"Model",{more}}}"#
        );
        json::parse(text.as_bytes(), &Limits::default()).unwrap()
    };
    let made = |count: usize| {
        let element = |at: usize| match (at / 200, at % 200) {
            (0, 0) => r#"{"path":"Model"}"#.to_owned(),
            (outer, 0) => format!(r#"{{"path":"Model.e{outer}"}}"#),
            (0, inner) => format!(r#"{{"path":"Model.first{inner}"}}"#),
            (outer, inner) => format!(r#"{{"path":"Model.e{outer}.f{inner}"}}"#),
        };
        let elements: Vec<String> = (0..count).map(element).collect();
        let snapshot = format!(r#""snapshot":{{"element":[{}]}}"#, elements.join(","));
        let mut library = Library::new();
        library.add(Arc::new(model("urn:model", &snapshot)));
        let on = r#""baseDefinition":"urn:model","derivation":"constraint""#;
        let made = with_snapshot(&model("urn:p", on), &library);
        made.map(|made| ids(&made, "").len())
    };
    assert_eq!(made(ELEMENTS_MAX), Ok(ELEMENTS_MAX));
    assert_eq!(made(ELEMENTS_MAX + 1), Err(SnapshotError::Size));
}

#[test]
fn a_snapshot_looks_at_so_many_other_definitions() {
    // The base is one of them.
    let made = |count| {
        let sliced = sliced("Patient.identifier", "system", count);
        with_snapshot(&sliced, &Library::new()).map(drop)
    };
    assert_eq!(made(LOOKS_MAX - 1), Ok(()));
    assert_eq!(made(LOOKS_MAX), Err(SnapshotError::Size));
}
