//! Security labels of a message on every resource that is made of it.

use hilum_fhir::{EditError, Editor, Node, Resource};
use hilum_fhirpath::NodeId;

/// HL7 v3 code system Confidentiality.
const CONFIDENTIALITY: &str = "http://terminology.hl7.org/CodeSystem/v3-Confidentiality";
/// HL7 v3 code system ActCode, which has the kinds of sensitive information.
const ACT_CODE: &str = "http://terminology.hl7.org/CodeSystem/v3-ActCode";
/// HL7 v3 code system ActReason, which has the label of test data.
const ACT_REASON: &str = "http://terminology.hl7.org/CodeSystem/v3-ActReason";
/// The label of data that are about no patient (FHIR R4 security-labels.html#hcs).
pub(super) const TEST_DATA: &str = "HTEST";

/// The system and code of a label as metadata write it.
fn coding(label: &str) -> (&str, &str) {
    if let Some((system, code)) = label.rsplit_once('|') {
        return (system, code);
    }
    match label {
        "U" | "L" | "M" | "N" | "R" | "V" => (CONFIDENTIALITY, label),
        TEST_DATA => (ACT_REASON, label),
        _ => (ACT_CODE, label),
    }
}

/// The Bundle with these labels on each of its resources, and on itself. What a resource has stays.
///
/// # Errors
/// If the resource becomes too large.
pub(super) fn label(bundle: &Resource, labels: &[&str]) -> Result<Resource, EditError> {
    let root = bundle.root();
    let entries = root.children_named("entry");
    let resources = entries.filter_map(|entry| entry.child("resource"));
    let all: Vec<Node<'_>> = std::iter::once(root).chain(resources).collect();
    let mut editor = Editor::new(bundle);
    for resource in all {
        let meta = resource.child("meta");
        let missing: Vec<(&str, &str)> = labels
            .iter()
            .map(|label| coding(label))
            .filter(|own| !has(meta, *own))
            .collect();
        if missing.is_empty() {
            continue;
        }
        let meta = match meta {
            Some(meta) => meta.id(),
            None => editor.add(resource.id(), "meta")?,
        };
        for (system, code) in missing {
            add(&mut editor, meta, system, code)?;
        }
    }
    Ok(editor.finish())
}

fn add(editor: &mut Editor, meta: NodeId, system: &str, code: &str) -> Result<(), EditError> {
    let security = editor.add(meta, "security")?;
    if !system.is_empty() {
        editor.put(security, "system", system)?;
    }
    editor.put(security, "code", code)?;
    Ok(())
}

fn has(meta: Option<Node<'_>>, (system, code): (&str, &str)) -> bool {
    let mut known = meta
        .into_iter()
        .flat_map(|meta| meta.children_named("security"));
    known.any(|security| {
        security.child_text("code") == Some(code)
            && security.child_text("system").unwrap_or_default() == system
    })
}

#[cfg(test)]
mod tests {
    use hilum_fhir::{Limits, Style, json};

    use super::*;

    #[test]
    fn every_resource_has_every_label_once() {
        let text = r#"{"resourceType":"Bundle","type":"collection","entry":[
            {"resource":{"resourceType":"Patient","id":"a"}},
            {"resource":{"resourceType":"Observation","meta":{"security":[{"system":"http://terminology.hl7.org/CodeSystem/v3-Confidentiality","code":"R"}]},"status":"final","code":{"text":"K"}}}]}"#;
        let bundle = json::parse(text.as_bytes(), &Limits::default()).unwrap();
        let labels = ["R", "HIV", "http://a.example/codes|X", "HTEST"];
        let labelled = label(&bundle, &labels).unwrap();
        let mut out = Vec::new();
        json::write(&labelled, Style::Compact, &mut out);
        let out = String::from_utf8(out).unwrap();
        for (code, count) in [("R", 3), ("HIV", 3), ("X", 3), ("HTEST", 3)] {
            assert_eq!(
                out.matches(&format!("\"code\":\"{code}\"")).count(),
                count,
                "{out}"
            );
        }
        assert!(out.contains("{\"system\":\"http://a.example/codes\",\"code\":\"X\"}"));
        assert!(out.contains(&format!("{{\"system\":\"{ACT_CODE}\",\"code\":\"HIV\"}}")));
        assert!(out.contains(&format!(
            "{{\"system\":\"{ACT_REASON}\",\"code\":\"HTEST\"}}"
        )));
    }
}
