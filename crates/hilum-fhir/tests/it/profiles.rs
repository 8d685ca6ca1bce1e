//! Implementation guides: their published examples conform to the profiles that they name.

use std::fs::File;
use std::path::Path;

use hilum_fhir::package::{self, GuidesBuilder, PackageLimits};
use hilum_fhir::profile::{Profiles, ProfilesBuilder};
use hilum_fhir::validate::{LoadedCodes, Request, Validator};
use hilum_fhir::{Limits, Problem, Resource, json};
use hilum_fhirpath::Moment;

use crate::shared::shared;

/// A guide, ready to be held against resources.
struct Guide {
    profiles: Profiles,
    codes: LoadedCodes,
    examples: Vec<(String, Resource)>,
}

fn load(path: &Path) -> Guide {
    let mut profiles = ProfilesBuilder::new();
    let mut codes = LoadedCodes::new();
    let mut examples = Vec::new();
    let file = File::open(path).unwrap();
    package::read(file, &PackageLimits::default(), &mut |entry| {
        if entry.is_definition() {
            if let Ok(resource) = entry.resource() {
                codes.add(resource.clone());
                profiles.add(resource);
            }
        } else if let Some(name) = entry.path.strip_prefix("example/")
            && let Ok(resource) = entry.resource()
        {
            examples.push((name.to_owned(), resource));
        }
    })
    .unwrap();
    Guide {
        profiles: profiles.build(),
        codes,
        examples,
    }
}

/// The errors of a resource, each with its place.
fn errors(guide: &Guide, validator: &Validator, resource: &Resource) -> Vec<String> {
    let request = Request {
        profiles: &guide.profiles,
        terminology: &guide.codes,
        ..Request::new(Moment::from_unix_millis(1_790_000_000_000, 0))
    };
    let problems = validator.validate(resource, &request);
    let errors = problems.iter().filter(|problem| problem.is_error());
    let text = |problem: &Problem| {
        let place = problem.expression.as_deref().unwrap_or_default();
        format!("{place}: {}", problem.text)
    };
    errors.map(text).collect()
}

/// Validates every example of a guide; the errors of those that have some.
fn check(name: &str, examples_min: usize, expected: &[&str]) {
    let Some(folder) = shared("suites/profiles", name) else {
        return;
    };
    let guide = load(&folder.join(name));
    assert!(
        guide.examples.len() >= examples_min,
        "{}",
        guide.examples.len()
    );
    let validator = Validator::new();
    let mut found = Vec::new();
    for (name, example) in &guide.examples {
        let errors = errors(&guide, &validator, example);
        found.extend(errors.iter().map(|error| format!("{name} {error}")));
    }
    assert_eq!(found, expected);
}

#[test]
fn examples_of_us_core_6_conform() {
    // Both are mistakes of the examples: the id is not the one of the URL.
    check(
        "us_core_610.tgz",
        180,
        &[
            "Bundle-docref-example-2.json Bundle.entry[2]: fullUrl names another type or id than \
             the resource has",
            "Bundle-66c8856b-ba11-4876-8aa8-467aad8c11a2.json Bundle.entry[2]: fullUrl names \
             another type or id than the resource has",
        ],
    );
}

#[test]
fn examples_of_us_core_8_conform() {
    check("us_core_800.tgz", 220, &[]);
}

#[test]
fn examples_of_the_patient_summary_conform() {
    check("ips_v110.tgz", 20, &[]);
}

#[test]
fn examples_of_au_core_conform() {
    check("au_core_1.0.0.tgz", 20, &[]);
}

#[test]
fn every_profile_of_a_guide_compiles() {
    let test = "every_profile_of_a_guide_compiles";
    let Some(folder) = shared("suites/profiles", test) else {
        return;
    };
    for (name, profiles_min) in [
        ("us_core_610.tgz", 50),
        ("us_core_800.tgz", 50),
        ("ips_v110.tgz", 20),
        ("au_core_1.0.0.tgz", 20),
    ] {
        let mut guides = GuidesBuilder::new();
        let file = File::open(folder.join(name)).unwrap();
        guides.add(file, &PackageLimits::default()).unwrap();
        let guides = guides.build();
        let faults: Vec<String> = guides.faults().iter().map(ToString::to_string).collect();
        assert_eq!(faults, [""; 0], "{name}");
        let ignored = guides
            .profiles
            .added()
            .filter(|profile| profile.ignored > 0);
        let ignored: Vec<&str> = ignored.map(|profile| profile.url.as_str()).collect();
        assert_eq!(ignored, [""; 0], "{name}");
        let count = guides.profiles.added().count();
        assert!(count >= profiles_min, "{name}: {count}");
        let unread: usize = guides.guides.iter().map(|guide| guide.unread).sum();
        assert_eq!(unread, 0, "{name}");
    }
}

#[test]
fn what_a_guide_asks_for_is_missed() {
    let Some(folder) = shared("suites/profiles", "controls of US Core") else {
        return;
    };
    let guide = load(&folder.join("us_core_610.tgz"));
    let validator = Validator::new();
    let check = |text: &str, expected: &[&str]| {
        let resource = json::parse(text.as_bytes(), &Limits::default()).unwrap();
        assert_eq!(errors(&guide, &validator, &resource), expected, "{text}");
    };
    let core = "profile http://hl7.org/fhir/us/core/StructureDefinition";
    let patient = |rest: &str| {
        format!(
            r#"{{"resourceType":"Patient","meta":{{"profile":[
            "http://hl7.org/fhir/us/core/StructureDefinition/us-core-patient"]}},{rest}}}"#
        )
    };
    let race = |parts: &str| {
        patient(&format!(
            r#""gender":"male","name":[{{"family":"A"}}],"identifier":[{{"system":"urn:a","value":"1"}}],
            "extension":[{{"url":"http://hl7.org/fhir/us/core/StructureDefinition/us-core-race",
            "extension":[{parts}]}}]"#
        ))
    };
    check(
        &patient(r#""gender":"male""#),
        &[
            &format!("Patient: identifier: 0 of at least 1 ({core}/us-core-patient)"),
            &format!("Patient: name: 0 of at least 1 ({core}/us-core-patient)"),
        ],
    );
    check(
        &patient(
            r#""gender":"male","name":[{"use":"usual"}],"identifier":[{"system":"urn:a","value":"1"}]"#,
        ),
        &[
            "Patient.name[0]: us-core-6: At least name.given and/or name.family are present or, if \
             neither is available, the Data Absent Reason Extension is present.",
        ],
    );
    check(&race(r#"{"url":"text","valueString":"x"}"#), &[]);
    // A part is missing, another has a value of the wrong type, and one is said too often.
    let extension = "Patient.extension[0]";
    let profile = format!("({core}/us-core-race)");
    check(
        &race(r#"{"url":"ombCategory","valueString":"x"}"#),
        &[
            &format!("{extension}.extension[0].value: type string is not allowed {profile}"),
            &format!("{extension}: extension:text: 0 of at least 1 {profile}"),
        ],
    );
    check(
        &race(r#"{"url":"text","valueString":"x"},{"url":"text","valueString":"y"}"#),
        &[&format!(
            "{extension}: extension:text: 2 of at most 1 {profile}"
        )],
    );
}

#[test]
fn a_text_has_the_fewest_characters_that_a_profile_asks_for() {
    let text = r#"{"resourceType":"StructureDefinition","url":"http://example.org/least","name":"P",
        "status":"draft","kind":"resource","abstract":false,"type":"Patient",
        "baseDefinition":"http://hl7.org/fhir/StructureDefinition/Patient","derivation":"constraint",
        "differential":{"element":[{"id":"Patient.name.family","path":"Patient.name.family",
        "extension":[{"url":"http://hl7.org/fhir/StructureDefinition/minLength","valueInteger":3}]}]}}"#;
    let mut profiles = ProfilesBuilder::new();
    profiles.add(json::parse(text.as_bytes(), &Limits::default()).unwrap());
    let guide = Guide {
        profiles: profiles.build(),
        codes: LoadedCodes::new(),
        examples: Vec::new(),
    };
    for (family, expected) in [("Ames", 0), ("Bob", 0), ("Ng", 1)] {
        let text = format!(
            r#"{{"resourceType":"Patient","meta":{{"profile":["http://example.org/least"]}},
            "name":[{{"family":"{family}"}}]}}"#
        );
        let patient = json::parse(text.as_bytes(), &Limits::default()).unwrap();
        let found = errors(&guide, &Validator::new(), &patient);
        assert_eq!(found.len(), expected, "{found:?}");
    }
}
