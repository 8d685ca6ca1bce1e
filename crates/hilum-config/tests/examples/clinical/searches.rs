//! What a source that asks a FHIR store leaves out.

use super::problems;

/// What is said of a channel with this source: code, message, place and remedy.
fn asked(source: &str, keys: &str) -> Vec<(&'static str, String, String, String)> {
    let channel = format!(
        "channel: a\nfrom:\n  fhir: {{ {source} }}\nformat: fhir\n{keys}to: {{ out: {{ topic: out }} }}\n"
    );
    let found = problems(&[("channels/a.yaml", &channel)]);
    let clinical = found
        .into_iter()
        .filter(|d| d.code.starts_with('E') || d.code == "W0315");
    let clinical = clinical.map(|d| {
        let place = d.place.map(|place| place.text).unwrap_or_default();
        (d.code, d.message, place, d.remedy.unwrap_or_default())
    });
    clinical.collect()
}

fn withheld(ty: &str, statuses: &str) -> String {
    let all = statuses.split(' ');
    let all: Vec<String> = all.map(|status| format!("{ty}.status {status}")).collect();
    all.join(", ")
}

const ALL: &str = "corrected amended cancelled entered-in-error";

#[test]
fn a_search_for_a_status_names_what_it_leaves_out() {
    let (result, report) = ("Observation", "DiagnosticReport");
    for (ty, query, place, statuses) in [
        (result, "status=final", "status=final", ALL),
        (result, "category=LAB&status=final", "status=final", ALL),
        (
            report,
            "status=preliminary,final",
            "status=preliminary,final",
            ALL,
        ),
        (report, "status=Final", "status=Final", ALL),
        (
            result,
            "status=http://hl7.org/fhir/observation-status%7Cfinal",
            "status=http://hl7.org/fhir/observation-status%7Cfinal",
            ALL,
        ),
        (
            result,
            "status=final,amended%2Ccorrected&code=K",
            "status=final,amended%2Ccorrected",
            "cancelled entered-in-error",
        ),
        (
            report,
            "status:not=entered-in-error",
            "status:not=entered-in-error",
            "entered-in-error",
        ),
        (
            report,
            "status%3Anot=cancelled,preliminary",
            "status%3Anot=cancelled,preliminary",
            "cancelled",
        ),
        (
            report,
            "status:not=preliminary&status:not=cancelled",
            "status:not=cancelled",
            "cancelled",
        ),
    ] {
        for from in ["local", "'https://ehr.example/fhir'"] {
            let source = format!("from: {from}, types: [{ty}], query: '{query}'");
            let list = withheld(ty, statuses);
            let text =
                format!("a final result becomes a message, but not what takes it back: {list}");
            let found = asked(&source, "");
            let [(code, said, at, _)] = found.as_slice() else {
                panic!("{source}: {found:?}")
            };
            assert_eq!(
                (*code, said, at.as_str()),
                ("W0315", &text, place),
                "{source}"
            );
        }
    }
}

#[test]
fn each_type_is_named_and_the_remedy_can_be_copied() {
    let source =
        "from: local, types: [Patient, Observation, ServiceRequest], query: 'status=final,active'";
    let found = asked(source, "");
    let orders = withheld("ServiceRequest", "revoked entered-in-error");
    let list = format!("{}, {orders}", withheld("Observation", ALL));
    assert!(found[0].1.ends_with(&list), "{found:?}");
    let copied = "`status=final,active,corrected,amended,cancelled,entered-in-error,revoked`";
    assert!(found[0].3.contains(copied), "{found:?}");
    let query = copied.trim_matches('`');
    let source = source.replace("status=final,active", query);
    assert_eq!(asked(&source, ""), []);
    let found = asked(
        "from: local, types: [ServiceRequest], query: status=active",
        "",
    );
    let text = format!("an order becomes a message, but not what takes it back: {orders}");
    assert_eq!(found[0].1, text);
}

#[test]
fn a_source_of_new_resources_alone_is_told_that_corrections_are_updates() {
    let source = |on: &str| format!("from: local, types: [Patient, DiagnosticReport], on: {on}");
    let found = asked(&source("[create]"), "");
    let list = withheld("DiagnosticReport", ALL);
    let text = format!("a final result becomes a message, but not what takes it back: {list}");
    assert_eq!(found.len(), 1, "{found:?}");
    assert_eq!((found[0].0, &found[0].1), ("W0315", &text));
    assert!(found[0].3.contains("add `update`"), "{found:?}");
    for on in ["[create, update]", "[update]", "[delete]"] {
        assert_eq!(asked(&source(on), ""), [], "{on}");
    }
    assert_eq!(asked("from: local, types: [Patient], on: [create]", ""), []);
}

#[test]
fn a_search_that_leaves_no_correction_out_is_left_alone() {
    for (types, query) in [
        ("Observation", "category=LAB"),
        ("Observation", "status:not=preliminary"),
        ("Observation", "status=preliminary,registered"),
        ("Observation", "status=final&status=preliminary"),
        ("Observation", "status:missing=false"),
        (
            "Observation",
            "status=http://hl7.org/fhir/observation-status|",
        ),
        (
            "DiagnosticReport",
            "status=final,amended,corrected,cancelled,entered-in-error",
        ),
        ("Encounter", "status=finished"),
        ("ServiceRequest", "status=final"),
        ("Observation", "subject:identifier=urn:mrn%7C7"),
    ] {
        let source = format!("from: local, types: [{types}], query: '{query}'");
        assert_eq!(asked(&source, ""), [], "{source}");
    }
    let source = "from: local, types: [Observation], query: status=final";
    assert_eq!(
        asked(source, "silence: { W0315: first reports only }\n"),
        []
    );
}
