//! What the topics of a FHIR server withhold from those who subscribe to them.

use super::problems;

/// What is said of a site with a topic of these triggers: code, message and place.
fn said(triggers: &str, more: &str) -> Vec<(&'static str, String, String)> {
    let node = format!(
        "site: a\nfhir:\n  subscriptions:\n    topics:\n      - url: http://a.example/results\n        triggers:\n{triggers}{more}"
    );
    let found = problems(&[("hilum.yaml", &node)]);
    let place = |d: &hilum_config::Diagnostic| d.place.as_ref().map(|place| place.text.clone());
    found
        .iter()
        .map(|d| (d.code, d.message.clone(), place(d).unwrap_or_default()))
        .collect()
}

fn withheld(ty: &str, statuses: &str) -> String {
    let what = if ty == "ServiceRequest" {
        "an order"
    } else {
        "a final result"
    };
    let all = statuses
        .split(' ')
        .map(|status| format!("{ty}.status {status}"));
    let list: Vec<String> = all.collect();
    format!(
        "{what} makes an event, but not what takes it back: {}",
        list.join(", ")
    )
}

const ALL: &str = "corrected amended cancelled entered-in-error";

#[test]
fn a_topic_of_final_results_names_what_its_subscribers_do_not_hear() {
    for (trigger, place, ty, statuses) in [
        (
            "resource: Observation, current: status=final",
            "status=final",
            "Observation",
            ALL,
        ),
        (
            "resource: Observation, previous: 'status:not=final', current: status=final, require-both: true",
            "status=final",
            "Observation",
            ALL,
        ),
        (
            "resource: DiagnosticReport, on: [create, update], current: 'status=final,corrected&category=LAB'",
            "'status=final,corrected&category=LAB'",
            "DiagnosticReport",
            "amended cancelled entered-in-error",
        ),
        (
            "resource: DiagnosticReport, fhirpath: \"%current.status = 'final'\"",
            "\"%current.status = 'final'\"",
            "DiagnosticReport",
            ALL,
        ),
        (
            "resource: Observation, fhirpath: \"%previous.empty() or %previous.status = 'preliminary'\"",
            "\"%previous.empty() or %previous.status = 'preliminary'\"",
            "Observation",
            ALL,
        ),
        (
            "resource: Observation, on: [create]",
            "[create]",
            "Observation",
            ALL,
        ),
        (
            "resource: ServiceRequest, current: status=active",
            "status=active",
            "ServiceRequest",
            "revoked entered-in-error",
        ),
    ] {
        let found = said(&format!("          - {{ {trigger} }}\n"), "");
        let expected = ("W0315", withheld(ty, statuses), place.to_owned());
        assert_eq!(found, [expected], "{trigger}");
    }
}

#[test]
fn a_topic_that_tells_of_corrections_is_left_alone() {
    for triggers in [
        "resource: Observation",
        "resource: Observation, current: 'status:not=preliminary'",
        "resource: Observation, current: status=preliminary",
        "resource: Encounter, previous: 'status:not=in-progress', current: status=in-progress, require-both: true",
        "resource: Observation, current: status=final }\n          - { resource: Observation, previous: status=final",
        "resource: Observation, fhirpath: \"%current.status != 'preliminary'\"",
        // The criteria are one or the other.
        "resource: Observation, previous: status=final, current: status=final",
    ] {
        assert_eq!(
            said(&format!("          - {{ {triggers} }}\n"), ""),
            [],
            "{triggers}"
        );
    }
}

#[test]
fn a_topic_silences_with_a_reason() {
    let trigger = "          - { resource: Observation, current: status=final }\n";
    let silence = |reason: &str| format!("        silence: {{ {reason} }}\n");
    assert_eq!(said(trigger, &silence("W0315: first reports only")), []);
    let codes = |trigger: &str, reason: &str| -> Vec<_> {
        let found = said(trigger, &silence(reason));
        found.into_iter().map(|found| found.0).collect()
    };
    assert_eq!(codes(trigger, "W0315: 'yes'"), ["E0105"]);
    assert_eq!(
        codes(trigger, "W0316: first reports only"),
        ["W0315", "E0104"]
    );
    let all = "          - { resource: Observation }\n";
    assert_eq!(codes(all, "W0315: first reports only"), ["W0312"]);
}
