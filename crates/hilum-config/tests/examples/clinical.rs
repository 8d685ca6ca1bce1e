//! What is written correctly and can harm a patient.

use hilum_config::Diagnostic;

use super::kit::loaded;

const LIS: &str = "system: lis\nidentifiers: [{ authority: LAB, type: PI }]\n";
const EHR: &str = "system: ehr\naddresses: { mllp: 127.0.0.1:2576 }\nidentifiers: [{ authority: STE, type: MR }]\n";

/// What is said about a site of these files, without systems that nobody uses.
fn problems(files: &[(&str, &str)]) -> Vec<Diagnostic> {
    let site = [
        ("hilum.yaml", "site: a\nfhir: {}\n"),
        ("systems/lis.yaml", LIS),
        ("systems/ehr.yaml", EHR),
    ];
    let own = site
        .iter()
        .filter(|(path, _)| files.iter().all(|(other, _)| other != path));
    let found = loaded(
        own.chain(files)
            .map(|(path, text)| (*path, (*text).to_owned())),
    );
    let kept = |d: &Diagnostic| d.code != "W0308";
    found.diagnostics.into_iter().filter(kept).collect()
}

/// A channel of results with more keys: code and message of what is said about it.
fn said(keys: &str) -> Vec<(&'static str, String)> {
    let to = if keys.starts_with("to:") || keys.contains("\nto:") {
        ""
    } else {
        "to: { ehr: { mllp: { system: ehr } } }\n"
    };
    let channel = format!(
        "channel: a\nfrom: {{ mllp: {{ system: lis, listen: 127.0.0.1:0 }} }}\nformat: hl7v2\n{keys}{to}"
    );
    let found = problems(&[("channels/a.yaml", &channel)]);
    let clinical = found
        .into_iter()
        .filter(|d| !matches!(d.code, "W0305" | "W0306"));
    clinical.map(|d| (d.code, d.message)).collect()
}

#[test]
fn whatever_takes_a_final_result_back_is_named_where_it_is_withheld() {
    // Table 0085 alone; the condition does not look at the other two.
    let all = "a final result goes on, but not what takes it back: OBX-11 C (corrected), OBX-11 D \
               (deleted), OBX-11 W (of the wrong patient), OBX-11 X (cancelled)";
    for condition in [
        "OBX-11 = 'F'",
        "OBX[1]-11 = 'F'",
        "OBX-11.exists($this = 'F')",
        "OBX-11.exists($this in ('F' | 'P'))",
        "'F' in OBX-11",
        "OBX-11.lower() = 'f'",
        "OBX-11.matches('^[FP]$')",
        "(OBX-11 = 'C' or OBX-11 = 'D' or OBX-11 = 'W' or OBX-11 = 'X').not()",
        "MSH-9.1 = 'ORU' and OBX-11 = 'F' and PID-3[1].4.1 = 'NORTH'",
        "OBX-11 = 'F' or MSH-9.1 = 'ADT'",
    ] {
        let found = said(&format!("steps:\n  - filter: \"{condition}\"\n"));
        assert_eq!(found, [("W0315", all.to_owned())], "{condition}");
    }
    let found = said("steps:\n  - filter: { unless: \"OBX-11 = 'W' or OBX-11 = 'D'\" }\n");
    assert!(
        found[0]
            .1
            .ends_with(": OBX-11 D (deleted), OBX-11 W (of the wrong patient)")
    );
}

#[test]
fn each_place_of_a_status_is_tried_and_each_kind_of_condition() {
    let ends = |keys: &str, expected: &str| {
        let found = said(keys);
        let [(code, text)] = found.as_slice() else {
            panic!("{keys}: {found:?}")
        };
        assert_eq!(*code, "W0315");
        assert!(text.ends_with(expected), "{keys}: {text}");
    };
    ends(
        "accept: OBR-25 = 'F'\n",
        "OBR-25 C (corrected), OBR-25 X (cancelled)",
    );
    ends(
        "steps: [ { filter: \"ORC-1 = 'RE'\" } ]\n",
        "ORC-1 CA (cancelled), ORC-1 OC (cancelled), ORC-1 CR (cancelled)",
    );
    let to = "to:\n  ehr: { mllp: { system: ehr }, when: \"OBX-11 in ('F' | 'C' | 'D' | 'X')\" }\n";
    ends(
        to,
        "reaches `ehr`, but not what takes it back: OBX-11 W (of the wrong patient)",
    );
    ends(
        "steps:\n  - route: { to: { ehr: \"OBX-11 = 'F'\" }, default: [ehr] }\n",
        "OBX-11 X (cancelled)",
    );
    let own = "to:\n  ehr: { mllp: { system: ehr }, steps: [ { filter: \"OBX-11 = 'F'\" } ] }\n";
    ends(own, "OBX-11 X (cancelled)");
}

#[test]
fn a_condition_that_withholds_no_correction_is_left_alone() {
    for condition in [
        "(OBX-11 = 'P').not()",
        "OBX-11 in ('F' | 'C' | 'D' | 'W' | 'X')",
        "OBX-11 = 'P'",
        "OBX-3.1 = 'K'",
        "MSH-9.1 = 'ORU'",
        "%meta.x = 'F'",
    ] {
        let found = said(&format!("steps:\n  - filter: \"{condition}\"\n"));
        assert_eq!(found, [], "{condition}");
    }
}

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
        let text = format!("a final result {whom}, but not what takes it back: {list}");
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
        let found: Vec<_> = found.iter().map(|d| (d.code, d.message.as_str())).collect();
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
        let text = format!("a final result goes on, but not what takes it back: {list}");
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

#[test]
fn a_warning_is_silenced_with_a_reason_only() {
    let steps = "steps: [ { filter: \"OBX-11 = 'F'\" } ]\n";
    assert_eq!(
        said(&format!(
            "{steps}silence: {{ W0315: first reports only }}\n"
        )),
        []
    );
    let found = said(&format!("{steps}silence: {{ W0315: '' }}\n"));
    assert_eq!(
        found,
        [("E0105", "a warning is silenced without a reason".to_owned())]
    );
    let found = said("silence: { W0308: because }\n");
    assert_eq!(found, [("E0104", "`W0308` cannot be silenced".to_owned())]);
}

#[test]
fn a_bare_number_of_a_patient_decides_nothing() {
    let when = |condition: &str| {
        said(&format!(
            "to:\n  ehr: {{ mllp: {{ system: ehr }}, when: \"{condition}\" }}\n"
        ))
    };
    for condition in [
        "PID-3[1].1 = '4711'",
        "PID-3.1.startsWith('9')",
        "PID-3.exists($this = '1')",
    ] {
        let found = when(condition);
        assert_eq!(
            found.iter().map(|f| f.0).collect::<Vec<_>>(),
            ["W0316"],
            "{condition}"
        );
    }
    for condition in [
        "PID-3[1].1 = '4711' and PID-3[1].4.1 = 'STE'",
        "PID-3.1.exists()",
        "PID-5.1 = 'DOE'",
    ] {
        assert_eq!(when(condition), [], "{condition}");
    }
}

#[test]
fn a_unit_is_not_set_without_value_and_bounds() {
    let set = |places: &str| said(&format!("steps: [ {{ set: {{ {places} }} }} ]\n"));
    let found = set("OBX-6: \"'mg/dL'\"");
    let text = "a unit is set without the value (OBX-5) and the bounds (OBX-7)".to_owned();
    assert_eq!(found, [("W0317", text)]);
    let found = set("OBX-6.1: \"'mg/dL'\", OBX-5: OBX-5");
    assert_eq!(
        found,
        [(
            "W0317",
            "a unit is set without the bounds (OBX-7)".to_owned()
        )]
    );
    assert_eq!(set("OBX-6: OBX-6, OBX-5: OBX-5, OBX-7: OBX-7"), []);
    assert_eq!(set("OBX-16: OBX-15"), []);
}

#[test]
fn a_table_of_high_risk_has_no_row_that_nobody_reviewed() {
    let channel = "channel: a\nfrom: { mllp: { system: lis, listen: 127.0.0.1:0 } }\nformat: hl7v2\nsteps:\n  - translate: { field: OBX-3, table: tables/blood-groups.csv }\nto: { ehr: { mllp: { system: ehr } } }\n";
    let check = |channel: &str, table: &str| -> Vec<_> {
        let files = [
            ("channels/a.yaml", channel),
            ("tables/blood-groups.csv", table),
        ];
        problems(&files)
            .into_iter()
            .map(|d| (d.code, d.message))
            .collect()
    };
    let open = "source,code,target,code\nL,AP,L,A pos\n";
    let text = "tables/blood-groups.csv is about blood groups, and rows count that nobody approved: line 2";
    assert_eq!(check(channel, open), [("W0318", text.to_owned())]);
    let silenced = format!("{channel}silence: {{ W0318: a table of a test site }}\n");
    assert_eq!(check(&silenced, open), []);
    let reviewed = "source,code,target,code,status,by,approved-by\nL,AP,L,A pos,approved,ann,bob\n";
    assert_eq!(check(channel, reviewed), []);
}

#[test]
fn results_are_not_stored_without_being_matched() {
    let store = "to:\n  store: { fhir: local, steps: [ { convert: fhir } ] }\n";
    let text = "results are stored by `store` without being held against the record".to_owned();
    for keys in [
        "",
        "accept: MSH-9.1 in ('ORU' | 'ADT')\n",
        "accept: MSH-9.1 = 'OUL'\n",
    ] {
        assert_eq!(
            said(&format!("{keys}{store}")),
            [("W0319", text.clone())],
            "{keys}"
        );
    }
    assert_eq!(said(&format!("steps: [ {{ match: {{}} }} ]\n{store}")), []);
    assert_eq!(said(&format!("accept: MSH-9.1 = 'ADT'\n{store}")), []);
    assert_eq!(
        said(&format!("silence: {{ W0319: no record }}\n{store}")),
        []
    );
    assert_eq!(said("to: { ehr: { mllp: { system: ehr } } }\n"), []);
}

#[test]
fn a_system_of_patients_says_whose_numbers_it_has() {
    let channel = "channel: a\nfrom: { mllp: { system: lis, listen: 127.0.0.1:0 } }\nformat: hl7v2\nto: { ehr: { mllp: { system: ehr } } }\n";
    let check = |lis: &str| -> Vec<_> {
        let found = problems(&[("channels/a.yaml", channel), ("systems/lis.yaml", lis)]);
        found.into_iter().map(|d| (d.code, d.message)).collect()
    };
    let text = "`lis` does not say who assigns its identifiers".to_owned();
    assert_eq!(check("system: lis\n"), [("E0127", text)]);
    assert_eq!(
        check("system: lis\nno-patients: a clock that sends the time\n"),
        []
    );
    let text = "`no-patients` does not say why".to_owned();
    assert_eq!(check("system: lis\nno-patients: ' '\n"), [("E0127", text)]);
    let text = "the system has identifiers of patients, and says that it has none".to_owned();
    assert_eq!(
        check(&format!("{LIS}no-patients: none\n")),
        [("E0127", text)]
    );
    assert_eq!(check("system: lis\nidentifiers: []\n")[0].0, "E0105");
    // Neither the receiver of a group's alerts nor a system of delimited files has patients.
    let files = "channel: a\nfrom: { file: { system: lis, folder: /nowhere/in, error: /nowhere/error, delete: true } }\nformat: { delimited: {} }\nto: { out: { topic: out } }\n";
    let found = problems(&[
        ("channels/a.yaml", files),
        ("systems/lis.yaml", "system: lis\n"),
    ]);
    assert!(found.iter().all(|d| d.code == "W0301"), "{found:?}");
}

#[test]
fn a_name_of_an_authority_has_one_meaning_in_all_files() {
    let check = |lis: &str, ehr: &str| -> Vec<(&str, String)> {
        let channel = "channel: a\nfrom: { mllp: { system: lis, listen: 127.0.0.1:2577 } }\nformat: hl7v2\nto: { ehr: { mllp: { system: ehr } } }\n";
        let (lis, ehr) = (
            format!("system: lis\nidentifiers: [{{ authority: STE, {lis}type: MR }}]\n"),
            EHR.replace("authority: STE, ", &format!("authority: STE, {ehr}")),
        );
        let found = problems(&[
            ("channels/a.yaml", channel),
            ("systems/lis.yaml", &lis),
            ("systems/ehr.yaml", &ehr),
        ]);
        found.into_iter().map(|d| (d.code, d.message)).collect()
    };
    let text = "`STE` is another authority here than for `ehr`".to_owned();
    let said = [("W0320", text)];
    assert_eq!(check("oid: 1.2.3, ", "oid: 1.2.4, "), said);
    assert_eq!(check("uri: 'http://a.example/p', ", "oid: 1.2.4, "), said);
    assert_eq!(check("oid: 1.2.3, ", "oid: 1.2.3, "), []);
    assert_eq!(check("uri: 'urn:oid:1.2.3', ", "oid: 1.2.3, "), []);
    // One of the two files says what it means.
    assert_eq!(check("", "oid: 1.2.4, "), []);
}

#[test]
fn a_source_of_hl7_v2_names_its_system() {
    let channel = "channel: a\nfrom: { file: { folder: /nowhere/in, error: /nowhere/error, delete: true } }\nformat: hl7v2\nto: { ehr: { mllp: { system: ehr } } }\n";
    let found = problems(&[("channels/a.yaml", channel)]);
    assert_eq!(found[0].code, "W0303", "{found:?}");
    let delimited = channel.replace("hl7v2", "{ delimited: {} }");
    let found = problems(&[("channels/a.yaml", &delimited)]);
    assert!(found.is_empty(), "{found:?}");
}

#[test]
fn what_cannot_be_read_of_a_system_is_no_second_problem_of_those_who_need_it() {
    let channel = "channel: a\nfrom: { mllp: { system: lis, listen: 127.0.0.1:0 } }\nformat: hl7v2\nsteps: [ { match: {} } ]\nto: { ehr: { mllp: { system: ehr } } }\n";
    let check = |lis: &str, ehr: &str, expected: &[(&str, &str)]| {
        let files = [
            ("channels/a.yaml", channel),
            ("systems/lis.yaml", lis),
            ("systems/ehr.yaml", ehr),
        ];
        let found = problems(&files);
        let found: Vec<_> = found.iter().map(|d| (d.code, d.message.as_str())).collect();
        assert_eq!(found, expected, "{lis}{ehr}");
    };
    check(LIS, EHR, &[]);
    let unknown = |key: &str| format!("unknown key `{key}`");
    for (from, to) in [
        ("system: lis\n", "system: lis\nzoen: Europe/Berlin\n"),
        ("identifiers", "identifers"),
        ("authority", "autority"),
    ] {
        let key = to.trim_start_matches("system: lis\n").split(':').next();
        let text = unknown(key.unwrap());
        check(&LIS.replace(from, to), EHR, &[("E0101", &text)]);
    }
    check(
        &format!("{LIS}clock-skew: soon\n"),
        EHR,
        &[("E0110", "not a duration")],
    );
    check(
        LIS,
        &EHR.replace("addresses", "adresses"),
        &[("E0101", &unknown("adresses"))],
    );
    // What is missing although nothing is wrong there is a problem of its own.
    let none = "`lis` does not say who assigns its identifiers";
    check(
        "system: lis\nzoen: Europe/Berlin\n",
        EHR,
        &[
            ("E0118", none),
            ("E0127", none),
            ("E0101", &unknown("zoen")),
        ],
    );
}
