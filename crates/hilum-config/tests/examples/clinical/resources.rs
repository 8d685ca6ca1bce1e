//! Conditions on the statuses of FHIR: behind `convert`, and where FHIR is received.

use super::{problems, said};

/// A channel that converts its results and stores what goes on.
fn converted(steps: &str, more: &str) -> Vec<(&'static str, String)> {
    said(&format!(
        "silence: {{ W0319: a test }}\nsteps:\n  - convert: fhir\n{steps}to:\n  store: {{ fhir: local{more} }}\n"
    ))
}

#[test]
fn what_is_withheld_behind_the_conversion_is_named_by_its_status_in_fhir() {
    let of = |resource: &str| {
        let list = ["corrected", "amended", "cancelled", "entered-in-error"];
        list.map(|status| format!("{resource}.status {status}"))
            .join(", ")
    };
    let named = |whom: &str, list: &str| {
        let what = match list.starts_with("ServiceRequest") {
            true => "an order",
            false => "a final result",
        };
        let text = format!("{what} {whom}, but not what takes it back: {list}");
        vec![("W0315", text)]
    };
    let result = of("Observation");
    for condition in [
        "Bundle.entry.resource.ofType(Observation).status = 'final'",
        "Bundle.entry.resource.ofType(Observation).all(status in ('final' | 'preliminary'))",
        "Bundle.entry.resource.ofType(Observation).where(status = 'final' and code.coding.code = '718-7').exists()",
        "Bundle.entry.resource.ofType(Observation).where(code.coding.where(system = 'urn:lab' and code = 'K').exists()).status = 'final'",
        "Bundle.entry.resource.ofType(Observation).status.matches('^f')",
    ] {
        let found = converted(&format!("  - filter: \"{condition}\"\n"), "");
        assert_eq!(found, named("goes on", &result), "{condition}");
    }
    let report = "Bundle.entry.resource.ofType(DiagnosticReport).status = 'final'";
    let list = of("DiagnosticReport");
    let when = converted("", &format!(", when: \"{report}\""));
    assert_eq!(when, named("reaches `store`", &list));
    let own = converted("", &format!(", steps: [ {{ filter: \"{report}\" }} ]"));
    assert_eq!(own, named("reaches `store`", &list));
    let order = "Bundle.entry.resource.ofType(ServiceRequest).where(status = 'active' or status = 'completed').exists()";
    let found = converted(&format!("  - filter: \"{order}\"\n"), "");
    let list = "ServiceRequest.status revoked, ServiceRequest.status entered-in-error";
    assert_eq!(found, named("goes on", list));
    let unless = "Bundle.entry.resource.ofType(Observation).status = 'entered-in-error'";
    let found = converted(&format!("  - filter: {{ unless: \"{unless}\" }}\n"), "");
    let list = "Observation.status entered-in-error";
    assert_eq!(found, named("goes on", list));
}

#[test]
fn a_condition_behind_the_conversion_that_withholds_no_correction_is_left_alone() {
    for condition in [
        "Bundle.entry.resource.ofType(Observation).exists()",
        "Bundle.entry.resource.ofType(Observation).status.exists()",
        "Bundle.entry.resource.ofType(Observation).status != 'preliminary'",
        "Bundle.entry.resource.ofType(Patient).gender = 'female'",
        "Bundle.entry.resource.ofType(Encounter).status = 'finished'",
        "Bundle.entry.resource.ofType(Observation).status = 'preliminary'",
        // Nothing is a status of its own as long as the Bundle is whole.
        "status = 'final'",
    ] {
        let found = converted(&format!("  - filter: \"{condition}\"\n"), "");
        assert_eq!(found, [], "{condition}");
    }
    let silenced = said(
        "silence: { W0319: a test, W0315: first reports only }\nsteps:\n  - convert: fhir\n  - filter: \"Bundle.entry.resource.ofType(Observation).status = 'final'\"\nto:\n  store: { fhir: local }\n",
    );
    assert_eq!(silenced, []);
}

#[test]
fn resources_that_were_split_are_tried_one_by_one() {
    let entry = "Bundle.entry.resource.where($this is Observation or $this is DiagnosticReport or $this is ServiceRequest)";
    for (split, condition) in [
        (
            "{ each: Bundle.entry.resource, keep: part }",
            "status = 'final' or status.empty() or status = 'active'".to_owned(),
        ),
        (
            "Bundle.entry",
            format!("{entry}.where(status = 'final' or status = 'active').exists()"),
        ),
    ] {
        let found = converted(
            &format!("  - split: {split}\n  - filter: \"{condition}\"\n"),
            "",
        );
        let [(code, text)] = found.as_slice() else {
            panic!("{found:?}")
        };
        assert_eq!(*code, "W0315");
        for status in [
            "Observation.status corrected",
            "DiagnosticReport.status entered-in-error",
            "ServiceRequest.status revoked",
        ] {
            assert!(text.contains(status), "{text}");
        }
    }
}

#[test]
fn what_the_rows_of_the_site_say_of_a_result_that_is_taken_back_is_tried_as_well() {
    let rows = "map OBX -> Observation\n\
                + OBX-11  note.text  OBX-11 in ('C' | 'W')  'is not what it was'\n";
    let check = |steps: &str, to: &str, rows: &str, expected: &[(&str, &str)]| {
        let channel = format!(
            "channel: a\nfrom: {{ mllp: {{ system: lis, listen: 127.0.0.1:0 }} }}\nformat: hl7v2\nsilence: {{ W0319: a test }}\nsteps: [ {steps} ]\nto: {{ store: {{ fhir: local{to} }} }}\n"
        );
        let files = [
            ("channels/a.yaml", channel.as_str()),
            ("maps/ours.map", rows),
        ];
        let found = problems(&files);
        // No result passes a filter of the last one, so nothing is silenced there.
        let found = found.iter().filter(|d| d.code != "W0312");
        let found: Vec<_> = found.map(|d| (d.code, d.message.as_str())).collect();
        assert_eq!(found, expected, "{steps}{to}");
    };
    let note = "Bundle.entry.resource.ofType(Observation).note.empty()";
    let withheld = "OBX-11 C (corrected), OBX-11 W (of the wrong patient)";
    let text =
        |whom: &str| format!("a final result {whom}, but not what takes it back: {withheld}");
    let (on, store) = (text("goes on"), text("reaches `store`"));
    let filter = format!("{{ convert: fhir }}, {{ filter: \"{note}\" }}");
    check(&filter, "", rows, &[("W0315", &on)]);
    check(&filter, "", "", &[]);
    let when = format!(", when: \"{note}\"");
    check("{ convert: fhir }", &when, rows, &[("W0315", &store)]);
    let own = format!(", steps: [ {{ convert: fhir }}, {{ filter: \"{note}\" }} ]");
    check("", &own, rows, &[("W0315", &store)]);
    // What else the condition asks for is put into the result.
    let code = "Bundle.entry.resource.ofType(Observation).where(code.coding.display = 'Sodium' and note.empty()).exists()";
    let filter = format!("{{ convert: fhir }}, {{ filter: \"{code}\" }}");
    check(&filter, "", rows, &[("W0315", &on)]);
    // Each resource by itself.
    let split = "{ split: { each: Bundle.entry.resource, keep: part } }";
    let filter = format!("{{ convert: fhir }}, {split}, {{ filter: \"note.empty()\" }}");
    check(&filter, "", rows, &[("W0315", &on)]);
    // The steps of the site before it are run, those that decide are not.
    let kept = "{ filter: \"MSH-9.1 = 'ADT'\" }, { set: { OBX-11: \"'F'\" } }, { convert: fhir }";
    check(&format!("{kept}, {{ filter: \"{note}\" }}"), "", rows, &[]);
}

/// A channel that receives FHIR and keeps what goes on.
fn received(keys: &str) -> Vec<(&'static str, String)> {
    let channel = format!(
        "channel: a\nfrom: {{ http: {{ system: lis, listen: 127.0.0.1:0 }} }}\nformat: fhir\n{keys}to: {{ store: {{ fhir: local }} }}\n"
    );
    let found = problems(&[("channels/a.yaml", &channel)]);
    let clinical = found
        .into_iter()
        .filter(|d| d.code.starts_with('E') || d.code == "W0315");
    clinical.map(|d| (d.code, d.message)).collect()
}

#[test]
fn what_is_withheld_of_received_fhir_is_named_whether_it_is_a_bundle_or_a_resource() {
    let check = |keys: &str, expected: &[&str]| {
        let found = received(keys);
        let Some(list) = expected
            .iter()
            .map(|s| (*s).to_owned())
            .reduce(|all, one| format!("{all}, {one}"))
        else {
            assert_eq!(found, [], "{keys}");
            return;
        };
        let what = match list.starts_with("ServiceRequest") {
            true => "an order",
            false => "a final result",
        };
        let text = format!("{what} goes on, but not what takes it back: {list}");
        assert_eq!(found, [("W0315", text)], "{keys}");
    };
    let result = [
        "Observation.status corrected",
        "Observation.status amended",
        "Observation.status cancelled",
        "Observation.status entered-in-error",
    ];
    check(
        "steps: [ { filter: \"Observation.status = 'final'\" } ]\n",
        &result,
    );
    check(
        "accept: Observation.status in ('final' | 'preliminary')\n",
        &result,
    );
    check(
        "steps: [ { filter: \"Bundle.entry.resource.ofType(Observation).status = 'final'\" } ]\n",
        &result,
    );
    check(
        "steps: [ { filter: { unless: \"DiagnosticReport.status = 'cancelled'\" } } ]\n",
        &["DiagnosticReport.status cancelled"],
    );
    check(
        "steps:\n  - split: { each: Bundle.entry.resource, keep: part }\n  - filter: \"$this is ServiceRequest and status = 'active'\"\n",
        &[
            "ServiceRequest.status revoked",
            "ServiceRequest.status entered-in-error",
        ],
    );
    for condition in [
        "Observation.exists()",
        "Observation.status != 'preliminary'",
        "Patient.active",
        "Encounter.status = 'finished'",
    ] {
        check(&format!("steps: [ {{ filter: \"{condition}\" }} ]\n"), &[]);
    }
    check(
        "silence: { W0315: first reports only }\naccept: Observation.status = 'final'\n",
        &[],
    );
}
