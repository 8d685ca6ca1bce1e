//! The official cases of FHIRPath Patch and JSON Patch, and edits.

use hilum_fhir::{Editor, Limits, Resource, Style, json, patch, xml};
use quick_xml::events::Event;

use crate::shared::shared;

fn written(resource: &Resource) -> String {
    let mut out = Vec::new();
    xml::write(resource, Style::Compact, &mut out);
    String::from_utf8(out).unwrap()
}

fn compact(resource: &Resource) -> String {
    let mut out = Vec::new();
    json::write(resource, Style::Compact, &mut out);
    String::from_utf8(out).unwrap()
}

fn patient(text: &str) -> Resource {
    json::parse(text.as_bytes(), &Limits::default()).unwrap()
}

/// White space between tags and around text is gone, and quotes are written one way.
fn squeezed(xml: &str) -> String {
    let words: Vec<&str> = xml.split_whitespace().collect();
    words
        .join(" ")
        .replace("> ", ">")
        .replace(" <", "<")
        .replace(" />", "/>")
        .replace("&quot;", "\"")
}

/// The content of the elements of a case, by name.
fn cases(text: &str) -> Vec<(String, Vec<(String, String)>)> {
    let mut reader = quick_xml::Reader::from_str(text);
    let (mut cases, mut parts, mut name) = (Vec::new(), Vec::new(), String::new());
    loop {
        match reader.read_event().unwrap() {
            Event::Start(start) if start.name().as_ref() == "case" => {
                let attribute = start.try_get_attribute("name").unwrap().unwrap();
                name = attribute.value.to_string();
            }
            Event::Start(start) if matches!(start.name().as_ref(), "input" | "diff" | "output") => {
                let part = start.name().as_ref().to_owned();
                let content = reader.read_text(start.name()).unwrap().to_string();
                parts.push((part, content));
            }
            Event::Empty(empty) if empty.name().as_ref() == "error" => {
                parts.push(("error".to_owned(), String::new()));
            }
            Event::End(end) if end.name().as_ref() == "case" => {
                cases.push((std::mem::take(&mut name), std::mem::take(&mut parts)));
            }
            Event::Eof => return cases,
            _ => {}
        }
    }
}

/// The prefix of XHTML is declared outside of the resource in one case; as a default namespace it
/// says the same.
fn own_namespace(xml: &str) -> String {
    xml.replace("<html:div>", "<div xmlns=\"http://www.w3.org/1999/xhtml\">")
        .replace("<html:", "<")
        .replace("</html:", "</")
}

#[test]
fn the_official_cases_of_fhirpath_patch_pass() {
    let test = "the_official_cases_of_fhirpath_patch_pass";
    let Some(file) = shared("suites/fhir-misc/patch/fhir-patch-tests.xml", test) else {
        return;
    };
    let cases = cases(&std::fs::read_to_string(file).unwrap());
    assert_eq!(cases.len(), 33);
    for (name, parts) in cases {
        let read = |part: &str| {
            let found = parts.iter().find(|(own, _)| own == part)?;
            let resource = xml::parse(own_namespace(found.1.trim()).as_bytes(), &Limits::default());
            Some(resource.unwrap_or_else(|problems| panic!("{name} {part}: {problems:?}")))
        };
        let (input, diff) = (read("input").unwrap(), read("diff").unwrap());
        match (patch::apply_fhirpath(&input, &diff), read("output")) {
            (Ok(patched), Some(output)) => {
                assert_eq!(
                    squeezed(&written(&patched)),
                    squeezed(&written(&output)),
                    "{name}"
                );
            }
            (Err(problems), None) => assert!(!problems.0.is_empty()),
            (Ok(_), None) => panic!("{name}: an error expected"),
            (Err(problems), Some(_)) => panic!("{name}: {problems}"),
        }
    }
}

#[test]
fn the_official_cases_of_json_patch_pass() {
    let test = "the_official_cases_of_json_patch_pass";
    let Some(file) = shared("suites/fhir-misc/patch/json-patch-tests.json", test) else {
        return;
    };
    let cases: Vec<serde_json::Value> =
        serde_json::from_slice(&std::fs::read(file).unwrap()).unwrap();
    assert_eq!(cases.len(), 16);
    for case in cases {
        let bytes = |name: &str| case[name].to_string().into_bytes();
        let patched = patch::apply_json_to(&bytes("doc"), &bytes("patch"), &Limits::default());
        match (patched, case.get("expected")) {
            (Ok(found), Some(expected)) => {
                let found: serde_json::Value = serde_json::from_slice(&found).unwrap();
                assert_eq!(&found, expected, "{}", case["comment"]);
            }
            (Err(_), None) => {}
            (found, _) => panic!("{}: {:?}", case["comment"], found.is_ok()),
        }
    }
}

#[test]
fn a_json_patch_leaves_a_resource_or_says_why_not() {
    let before =
        patient(r#"{"resourceType":"Patient","name":[{"family":"A"}],"multipleBirthInteger":2}"#);
    let apply = |patch: &str| patch::apply_json(&before, patch.as_bytes(), &Limits::default());
    let patched = apply(
        r#"[{"op":"add","path":"/name/0/given","value":["B"]},{"op":"remove","path":"/multipleBirthInteger"}]"#,
    );
    assert_eq!(
        compact(&patched.unwrap()),
        r#"{"resourceType":"Patient","name":[{"family":"A","given":["B"]}]}"#
    );
    for (wrong, place) in [
        (r#"[{"op":"add","path":"/nam","value":1}]"#, "Patient"),
        (
            r#"[{"op":"replace","path":"/name/0/family","value":""}]"#,
            "Patient.name[0].family",
        ),
        (r#"[{"op":"remove","path":"/name/1"}]"#, "patch[0]"),
        (
            r#"[{"op":"test","path":"/name/0/family","value":"B"}]"#,
            "patch[0]",
        ),
        (
            r#"[{"op":"move","from":"/name","path":"/name/0"}]"#,
            "patch[0]",
        ),
        (r#"[{"op":"add","path":"/name/00","value":{}}]"#, "patch[0]"),
        (r#"[{"op":"jump","path":"/name"}]"#, "patch[0]"),
        (r#"[{"path":"/name"}]"#, "patch[0]"),
    ] {
        let problems = apply(wrong).unwrap_err();
        assert_eq!(problems.0[0].expression.as_deref(), Some(place), "{wrong}");
    }
    let copies = format!(
        "[{}]",
        vec![r#"{"op":"copy","from":"/name","path":"/name/-"}"#; 40].join(",")
    );
    let small = Limits {
        bytes_max: 100_000,
        ..Limits::default()
    };
    assert!(patch::apply_json(&before, copies.as_bytes(), &small).is_err());
    let many = format!(
        "[{}]",
        vec![r#"{"op":"test","path":"","value":1}"#; patch::OPERATIONS_MAX + 1].join(",")
    );
    let problems = apply(&many).unwrap_err();
    assert_eq!(problems.0[0].code.code(), "too-long");
    let deep = |levels: usize| {
        let (open, close) = ("[".repeat(levels), "]".repeat(levels));
        apply(&format!(
            r#"[{{"op":"test","path":"/none","value":{open}{close}}}]"#
        ))
        .unwrap_err()
    };
    // The list and its operation are two levels; a document has 200.
    assert_eq!(deep(198).0[0].code.code(), "not-found");
    assert_eq!(deep(200).0[0].code.code(), "structure");
}

#[test]
fn a_fhirpath_patch_has_so_many_operations() {
    let operation = r#"{"name":"operation","part":[{"name":"type","valueCode":"delete"},
        {"name":"path","valueString":"Observation.method"}]}"#;
    let after = |count: usize| {
        let operations = vec![operation; count].join(",");
        let patch = format!(r#"{{"resourceType":"Parameters","parameter":[{operations}]}}"#);
        patch::apply_fhirpath(&patient(OBSERVATION), &patient(&patch)).map(drop)
    };
    assert!(after(patch::OPERATIONS_MAX).is_ok());
    let problems = after(patch::OPERATIONS_MAX + 1).unwrap_err();
    assert_eq!(problems.0[0].code.code(), "too-long");
}

/// A FHIRPath Patch of one operation, its parts given as JSON.
fn fhirpath_patch(parts: &[(&str, &str)]) -> Resource {
    let parts: Vec<String> = parts
        .iter()
        .map(|(name, value)| format!(r#"{{"name":"{name}",{value}}}"#))
        .collect();
    patient(&format!(
        r#"{{"resourceType":"Parameters","parameter":[{{"name":"operation","part":[{}]}}]}}"#,
        parts.join(",")
    ))
}

const OBSERVATION: &str = r#"{"resourceType":"Observation","status":"final","code":{"text":"c"},
    "valueString":"x","note":[{"text":"n"},{"text":"m"}]}"#;

/// Applies one operation to an Observation.
fn observation_after(
    kind: &str,
    path: &str,
    more: &[(&str, &str)],
) -> Result<String, hilum_fhir::Problems> {
    let kind = format!(r#""valueCode":"{kind}""#);
    let path = format!(r#""valueString":"{path}""#);
    let mut parts = vec![("type", kind.as_str()), ("path", path.as_str())];
    parts.extend_from_slice(more);
    let patched = patch::apply_fhirpath(&patient(OBSERVATION), &fhirpath_patch(&parts));
    patched.map(|patched| compact(&patched))
}

#[test]
fn a_fhirpath_patch_changes_choices_and_adds_resources() {
    let check = |kind, path, more: &[(&str, &str)], part: &str| {
        let after = observation_after(kind, path, more).unwrap();
        assert!(after.contains(part), "{after}");
    };
    check(
        "replace",
        "Observation.value",
        &[("value", r#""valueQuantity":{"value":1.0}"#)],
        r#""code":{"text":"c"},"valueQuantity":{"value":1.0},"note""#,
    );
    check(
        "add",
        "Observation",
        &[
            ("name", r#""valueString":"contained""#),
            ("value", r#""resource":{"resourceType":"Patient","id":"p"}"#),
        ],
        r#""contained":[{"resourceType":"Patient","id":"p"}],"status""#,
    );
    check(
        "add",
        "Observation",
        &[
            ("name", r#""valueString":"effective""#),
            ("value", r#""valueDateTime":"2024""#),
        ],
        r#""effectiveDateTime":"2024","valueString""#,
    );
    check("delete", "Observation.subject", &[], r#""status":"final""#);
}

#[test]
fn a_fhirpath_patch_refuses_what_does_not_fit() {
    let text = ("value", r#""valueString":"z""#);
    let name = |name| ("name", name);
    let (nothing, status) = (r#""valueString":"nothing""#, r#""valueString":"status""#);
    let (zero, two, three) = (
        r#""valueInteger":0"#,
        r#""valueInteger":2"#,
        r#""valueInteger":3"#,
    );
    let note = ("value", r#""valueAnnotation":{"text":"z"}"#);
    for (kind, path, more) in [
        (
            "replace",
            "Observation.value",
            vec![("value", r#""valueMoney":{"value":1}"#)],
        ),
        (
            "replace",
            "Observation.status",
            vec![("value", r#""valueString":" no code ""#)],
        ),
        ("replace", "Observation.code", vec![text]),
        ("replace", "Observation.note", vec![text]),
        ("replace", "Observation.subject", vec![text]),
        ("replace", "Observation.status", vec![]),
        ("delete", "Observation.note", vec![]),
        ("delete", "Observation", vec![]),
        ("add", "Observation", vec![name(nothing), text]),
        ("add", "Observation", vec![name(status), text]),
        ("insert", "Observation.note", vec![("index", three), note]),
        (
            "move",
            "Observation.note",
            vec![("source", zero), ("destination", two)],
        ),
        (
            "move",
            "Observation.note[0]",
            vec![("source", zero), ("destination", zero)],
        ),
        ("delete", "Observation.note.text.length()", vec![]),
        ("delete", "Observation..", vec![]),
        ("jump", "Observation", vec![]),
    ] {
        let problems = observation_after(kind, path, &more).expect_err(&format!("{kind} {path}"));
        let place = problems.0[0].expression.as_deref();
        assert_eq!(place, Some("Parameters.parameter[0]"));
    }
}

#[test]
fn an_editor_keeps_to_the_tables() {
    let resource =
        patient(r#"{"resourceType":"Patient","name":[{"family":"A"}],"birthDate":"2000"}"#);
    let mut editor = Editor::new(&resource);
    let root = editor.root();
    let meta = editor.add(root, "meta").unwrap();
    editor.put(meta, "versionId", "7").unwrap();
    editor.put(meta, "versionId", "8").unwrap();
    editor.put(root, "id", "p1").unwrap();
    let second = editor.insert(root, "name", 0).unwrap();
    editor.put(second, "text", "B\n").unwrap();
    let empty = editor.add(root, "contact").unwrap();
    editor.add(empty, "name").unwrap();
    assert!(editor.add(root, "birthDate").is_err(), "there already");
    assert!(editor.add(root, "unknown").is_err());
    assert!(editor.put(root, "gender", " ").is_err(), "not a code");
    assert!(editor.set_text(root, "x").is_err(), "no primitive");
    assert!(editor.delete(root).is_err());
    let expected = r#"{"resourceType":"Patient","id":"p1","meta":{"versionId":"8"},"name":[{"text":"B\n"},{"family":"A"}],"birthDate":"2000"}"#;
    assert_eq!(compact(&editor.finish()), expected, "what is empty is gone");

    let edited = patient(expected);
    let mut editor = Editor::new(&edited);
    let name = edited.root().child("name").unwrap();
    editor.delete(name.child("text").unwrap().id()).unwrap();
    let finished = editor.finish();
    assert_eq!(
        finished.root().children_named("name").count(),
        1,
        "an emptied element is gone too"
    );
    assert_eq!(finished.node_count(), finished.nodes().count());
}
