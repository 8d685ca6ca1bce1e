//! Resources in files.

use hilum_testkit::site::SiteFolder;
use serde_json::Value;

use crate::{ends, text};

const GOOD: &str = r#"{"resourceType":"Patient","id":"p1","active":true,
  "text":{"status":"generated","div":"<div xmlns=\"http://www.w3.org/1999/xhtml\">x</div>"},
  "name":[{"family":"Canary"}],"birthDate":"1952-02"}"#;
/// A code that is none, a date that is none further down in a line of its own.
const BAD: &str =
    "{\"resourceType\":\"Patient\",\"name\":[{\"family\":\"Canary\"}],\"gender\":\"femal\"}\n";
const UNREADABLE: &str =
    "{\"resourceType\":\"Patient\",\"nam\":[],\n \"birthDate\":\"30.2.1952\"}\n";

#[test]
fn validate_names_place_and_rule_and_never_the_content() {
    let folder = SiteFolder::new().unwrap();
    let write =
        |name: &str, content: String| std::fs::write(folder.path().join(name), content).unwrap();
    write("good.json", GOOD.to_owned());
    write(
        "more.ndjson",
        format!("{BAD}\n{}\n", GOOD.replace('\n', "")),
    );
    write("unreadable.json", UNREADABLE.to_owned());
    write("notes.txt", "not looked at".to_owned());
    let (said, _) = ends(&["fhir", "validate", text(folder.path())], 1);
    assert!(said.contains("more.ndjson:1: Patient, 1 error"), "{said}");
    assert!(said.contains("Patient.gender"), "{said}");
    assert!(said.contains("line 2 column"), "{said}");
    assert!(said.contains("4 resources, 2 with errors"), "{said}");
    assert!(!said.contains("Canary"), "{said}");

    let (lines, _) = ends(&["--json", "fhir", "validate", text(folder.path())], 1);
    let lines: Vec<Value> = lines
        .lines()
        .map(|line| serde_json::from_str(line).unwrap())
        .collect();
    let valid: Vec<_> = lines
        .iter()
        .map(|line| line["valid"].as_bool().unwrap())
        .collect();
    assert_eq!(valid, [true, false, true, false]);
    assert_eq!(lines[3]["problems"][1]["line"], 2);

    let good = folder.path().join("good.json");
    ends(&["fhir", "validate", text(&good), "--errors-only"], 0);
    ends(
        &["fhir", "validate", text(&folder.path().join("absent.json"))],
        3,
    );
}

#[test]
fn convert_writes_the_other_form_and_back_what_was_read() {
    let folder = SiteFolder::new().unwrap();
    let (json, xml) = (folder.path().join("p.json"), folder.path().join("p.xml"));
    std::fs::write(&json, GOOD).unwrap();
    ends(
        &[
            "fhir",
            "convert",
            text(&json),
            "--to",
            "xml",
            "--out",
            text(&xml),
        ],
        0,
    );
    assert!(
        std::fs::read_to_string(&xml)
            .unwrap()
            .contains("<birthDate value=\"1952-02\"/>")
    );
    let (back, _) = ends(&["fhir", "convert", text(&xml), "--to", "json"], 0);
    let read = |text: &str| serde_json::from_str::<Value>(text).unwrap();
    assert_eq!(read(&back), read(GOOD));
    std::fs::write(&json, UNREADABLE).unwrap();
    let (_, said) = ends(&["fhir", "convert", text(&json), "--to", "xml"], 1);
    assert!(said.contains("Patient: unknown property `nam`"), "{said}");
    assert!(said.contains("Patient.birthDate"), "{said}");
}

#[test]
fn a_type_of_resource_that_there_is_not_is_found_by_check_at_its_place() {
    let folder = SiteFolder::new().unwrap();
    let site = "site: s\nabout: x\nadmin: 127.0.0.1:26600\nfhir:\n  \
                validate-types: { Patiant: off }\n  \
                tenants: { b: { validate-types: { Observation: warn, Devise: off } } }\n";
    std::fs::write(folder.path().join("hilum.yaml"), site).unwrap();
    let (summary, said) = ends(&["check", text(folder.path())], 1);
    for expected in [
        "E0104",
        "hilum.yaml:5:21",
        "did you mean `Patient`?",
        "`Device`?",
    ] {
        assert!(said.contains(expected), "{expected}: {said}");
    }
    assert!(summary.contains("2 errors"), "{summary}");
}
