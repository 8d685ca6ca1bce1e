use hilum_component::Severity;

use crate::channel::{Channel, Files, outcome, problems, run};

const ADMIT: &str = "MSH|^~\\&|NLAB|NORTH|||20260102030405||ADT^A01^ADT_A01|7|P|2.5\n\
    PID|1||42^^^N||Canary^Ann||19700102|F|||||||||||||||||||||20260101101500\nPV1|1|I\nZZ1|x\n";

#[test]
fn later_steps_see_and_change_the_bundle() {
    let steps = "- convert: { to: fhir, bundle: collection }\n\
        - set: { \"Bundle.entry[0].id\": \"'first'\" }\n\
        - filter: \"Bundle.entry.resource.ofType(Patient).exists()\"\n";
    let found = run("hl7v2", steps, ADMIT);
    let bundle = found.first().expect("a message");
    assert!(
        bundle.starts_with(r#"{"resourceType":"Bundle","identifier":{"#),
        "{bundle}"
    );
    assert!(bundle.contains(r#""entry":[{"id":"first","#), "{bundle}");
    assert!(bundle.contains(r#""birthDate":"1970-01-02""#), "{bundle}");
    // The same message gives the same Bundle again.
    assert_eq!(found, run("hl7v2", steps, ADMIT));
}

#[test]
fn the_sender_says_what_its_authorities_are_and_the_site_lays_rows_over_ours() {
    let rows = "map PID -> Patient\n~ PID-8  gender  -  'unknown'\n";
    let system = "system: lab\ngroup: labs\nsends-as: { application: NLAB }\n";
    let files = [("maps/ours.map", rows), ("systems/lab.yaml", system)];
    let steps = "- sender: labs\n- convert: fhir\n";
    let found = outcome(&Channel::new("hl7v2", &files, steps).run(ADMIT));
    let bundle = found.first().expect("a message");
    assert!(bundle.contains(r#""gender":"unknown""#), "{bundle}");
    assert!(
        bundle.contains(r#""request":{"method":"PUT","url":"Patient?identifier="#),
        "{bundle}"
    );
}

#[test]
fn a_trace_names_the_row_of_each_element_and_findings_name_places_only() {
    let mut channel = Channel::new("hl7v2", &[], "convert: fhir");
    let processed = channel.run(ADMIT);
    let line = channel
        .trace
        .iter()
        .find(|line| line.path.as_deref() == Some("PID-5.1.1"));
    let line = line.expect("a line");
    assert!(
        line.note.contains("name[0].family by maps/types/"),
        "{}",
        line.note
    );
    let found: Vec<String> = processed
        .findings
        .iter()
        .map(|finding| format!("{} {:?} {}", finding.code, finding.path, finding.text))
        .collect();
    let all = found.join("\n");
    assert!(all.contains("time-without-zone Some(\"PID-29\")"), "{all}");
    assert!(
        all.contains("no row reads ") && all.contains("ZZ1"),
        "{all}"
    );
    assert!(!all.contains("Canary"), "{all}");
    assert!(
        processed
            .findings
            .iter()
            .any(|finding| finding.severity == Severity::Warning)
    );
    let mut silent = Channel::new(
        "hl7v2",
        &[],
        "convert: { to: fhir, report: none, zone: '+01:00' }",
    );
    assert!(silent.run(ADMIT).findings.is_empty());
}

#[test]
fn mistakes_are_told_when_the_site_is_checked() {
    let check = |format: &str, files: &[(&str, &str)], step: &str, expected: &[&str]| {
        assert_eq!(
            problems(format, &Files::of(files), step),
            expected,
            "{step}"
        );
    };
    check(
        "json",
        &[],
        "convert: fhir",
        &["to: messages of the format json are not converted"],
    );
    check(
        "hl7v2",
        &[("maps/a.map", "map PID -> Patient\n+ PID-8  gendre\n")],
        "convert: fhir",
        &["maps: Patient has no such element: `gendre`"],
    );
    check(
        "hl7v2",
        &[],
        "convert: { to: fhir, zone: Nowhere/Else }",
        &["zone: this machine knows no time zone `Nowhere/Else`"],
    );
}
