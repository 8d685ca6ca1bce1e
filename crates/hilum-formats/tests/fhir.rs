//! FHIR resources as a format.
#![expect(clippy::expect_used, reason = "a test may fail by panic")]

use std::sync::Arc;

use bytes::Bytes;
use hilum_component::{Answer, Document, Format, FormatOptions, Registry, Verdict};
use hilum_fhirpath::{Env, Moment};
use hilum_message::{BlobRange, BlobRef, Cut, MessageId, Payload};

fn format() -> Arc<dyn Format> {
    let registry = Registry::new(hilum_formats::specs());
    registry
        .format("fhir", &FormatOptions::default())
        .expect("the format")
}

fn document(text: &str) -> Box<dyn Document> {
    let payload = Payload::inline(text.to_owned().into());
    let document = format().parse(&payload).expect(text);
    assert_eq!(document.write(), payload, "untouched, it is what was read");
    document
}

const XML: &str = r#"<?xml version="1.0"?><Patient xmlns="http://hl7.org/fhir"><id value="p7"/><birthDate value="1970-01-02"/></Patient>"#;

#[test]
fn both_forms_are_read_and_told_from_others() {
    let format = format();
    for (text, is_fhir) in [
        ("\u{feff} {\"resourceType\":\"Patient\"}", true),
        (XML, true),
        ("{\"a\":1}", false),
        ("<ClinicalDocument xmlns='urn:hl7-org:v3'/>", false),
        ("MSH|^~\\&|", false),
    ] {
        assert_eq!(format.sniff(text.as_bytes()), is_fhir, "{text}");
        let payload = Payload::inline(text.to_owned().into());
        assert_eq!(format.parse(&payload).is_ok(), is_fhir, "{text}");
    }
}

#[test]
fn what_breaks_the_structure_is_rejected_without_content() {
    let text = r#"{"resourceType":"Patient","name":[{"famly":"Canary"}]}"#;
    let payload = Payload::inline(text.to_owned().into());
    let reject = format().parse(&payload).expect_err("a reject").to_string();
    assert!(reject.contains("Patient.name[0]"), "{reject}");
    assert!(!reject.contains("Canary"), "{reject}");
}

#[test]
fn expressions_walk_over_either_form() {
    for text in [
        XML,
        r#"{"resourceType":"Patient","id":"p7","birthDate":"1970-01-02"}"#,
    ] {
        let document = document(text);
        let env = Env::new(Moment::from_unix_millis(0, 0));
        for (rule, holds) in [
            ("Patient.birthDate < @1980-01-01", true),
            ("Patient.id = 'p7' and name.empty()", true),
            ("Observation.exists()", false),
        ] {
            let rule = hilum_component::Rule::compile(rule, None).expect(rule);
            assert_eq!(rule.test(&*document, &env), Ok(holds), "{text}");
        }
    }
}

/// Type, control id, patients, visits, orders; and whether the control id is of the message.
fn check_identity(text: &str, expected: [&str; 5], names_message: bool) {
    let (format, document) = (format(), document(text));
    let found = format.identify(&*document);
    let list = |pairs: &[(String, Option<String>)]| {
        let pairs = pairs.iter().map(|(id, authority)| match authority {
            Some(authority) => format!("{authority}|{id}"),
            None => id.clone(),
        });
        pairs.collect::<Vec<_>>().join(" ")
    };
    let shown = [
        found.message_type.clone().unwrap_or_default(),
        found.control_id.clone().unwrap_or_default(),
        list(&found.patients),
        list(&found.visits),
        list(&found.orders),
    ];
    assert_eq!(shown, expected, "{text}");
    assert_eq!(format.control_id_names_message(&found), names_message);
}

#[test]
fn resources_and_bundles_say_what_they_are_about() {
    check_identity(
        r#"{"resourceType":"Patient","id":"p7","identifier":[{"system":"urn:s","value":"1"},{"value":"2"}]}"#,
        ["Patient", "p7", "urn:s|1 2 Patient/p7", "", ""],
        false,
    );
    check_identity(
        r#"{"resourceType":"Observation","status":"final","code":{"text":"x"},
            "basedOn":[{"reference":"ServiceRequest/o1"},{"reference":"CarePlan/c"}],
            "subject":{"reference":"Patient/p7/_history/3"},
            "encounter":{"reference":"urn:uuid:0d6a5d3c-0b0a-4a3c-8f6e-1d1d4a7e0a11"}}"#,
        ["Observation", "", "Patient/p7", "", "ServiceRequest/o1"],
        false,
    );
    check_identity(
        r#"{"resourceType":"Observation","status":"final","code":{"text":"x"},
            "subject":{"type":"Group","identifier":{"value":"g"}},
            "encounter":{"identifier":{"system":"urn:v","value":"9"}}}"#,
        ["Observation", "", "", "urn:v|9", ""],
        false,
    );
    check_identity(
        r#"{"resourceType":"Bundle","type":"message","identifier":{"value":"m1"},"entry":[
            {"resource":{"resourceType":"MessageHeader","id":"h","eventUri":"urn:e","source":{"name":"LIS","endpoint":"urn:lis"}}},
            {"resource":{"resourceType":"Patient","id":"p7"}},
            {"resource":{"resourceType":"Encounter","status":"planned","class":{"code":"AMB"},"id":"e","subject":{"reference":"Patient/p7"}}}]}"#,
        ["Bundle", "m1", "Patient/p7", "Encounter/e", ""],
        true,
    );
    check_identity(
        r#"{"resourceType":"Bundle","type":"transaction"}"#,
        ["Bundle", "", "", "", ""],
        false,
    );
}

#[test]
fn answers_are_outcomes_in_the_form_of_the_message() {
    let format = format();
    let id = MessageId::new(1_767_225_600_000, 7);
    for received in [XML, "{\"resourceType\":\"Patient\"}", "junk"] {
        let error = Verdict::Error {
            code: "101",
            path: Some("Patient.name"),
            text: "the step said no",
        };
        let refusal = Verdict::Refuse {
            code: "200",
            path: None,
            text: "not here",
        };
        for (verdict, code, issue) in [
            (Verdict::Accept, "AA", None),
            (error, "AE", Some("required")),
            (refusal, "AE", Some("business-rule")),
        ] {
            let received = Payload::inline(received.to_owned().into());
            let answer = Answer {
                received: &received,
                verdict,
                message: id,
                at_ms: 0,
                commit: false,
            };
            let sealed = format.answer(&answer).expect("an answer");
            assert_eq!(sealed.is_positive(), code == "AA");
            let bytes = sealed.for_record();
            assert_eq!(bytes.starts_with(b"<"), received.text().starts_with(b"<"));
            let read = format.read_answer(bytes).expect("readable");
            assert_eq!((&*read.code, read.error_code.as_deref()), (code, issue));
        }
    }
    assert!(format.read_answer(b"<html>").is_err());
    let stored = br#"{"resourceType":"Patient","id":"p7"}"#;
    assert_eq!(format.read_answer(stored).expect("readable").code, "AA");
}

fn check_set(before: &str, path: &str, values: &[&str], expected: Result<&str, &str>) {
    let target = match format().target(path) {
        Ok(target) => target,
        Err(error) => return assert_eq!(Err(&*error), expected, "{path}"),
    };
    let mut document = document(before);
    let values: Vec<String> = values.iter().map(|&value| value.to_owned()).collect();
    let found = document.set(&target, &values);
    let found = found.map(|()| String::from_utf8_lossy(document.write().text()).into_owned());
    let found = found.as_deref().map_err(|error| error.reason.as_str());
    assert_eq!(found, expected, "{path}");
    assert_eq!(document.touched(), expected.is_ok());
}

#[test]
fn places_are_written_as_the_tables_have_them() {
    let patient = |rest: &str| format!(r#"{{"resourceType":"Patient"{rest}}}"#);
    let (bare, named) = (
        patient(""),
        patient(r#","name":[{"family":"A","given":["B","C"]}]"#),
    );
    check_set(
        &bare,
        "Patient.birthDate",
        &["1970"],
        Ok(&patient(r#","birthDate":"1970""#)),
    );
    check_set(
        &bare,
        "active",
        &["true"],
        Ok(&patient(r#","active":true"#)),
    );
    check_set(
        &bare,
        "name[0].given[*]",
        &["X", "Y"],
        Ok(&patient(r#","name":[{"given":["X","Y"]}]"#)),
    );
    check_set(
        &named,
        "name.given[*]",
        &["X"],
        Ok(&patient(r#","name":[{"family":"A","given":["X","X"]}]"#)),
    );
    check_set(
        &named,
        "name.given[2]",
        &["X"],
        Ok(&patient(
            r#","name":[{"family":"A","given":["B","C","X"]}]"#,
        )),
    );
    check_set(
        &named,
        "name.given[*]",
        &[],
        Ok(&patient(r#","name":[{"family":"A"}]"#)),
    );
    check_set(&named, "name", &[], Ok(&bare));
    check_set(&bare, "name", &[], Ok(&bare));
    check_set(&named, "name.given[4]", &["X"], Err("`given` has only 2"));
    check_set(
        &bare,
        "Patient.nam",
        &["X"],
        Err("`Patient` has no element `nam`"),
    );
    check_set(
        &bare,
        "Patient.name.famly",
        &["X"],
        Err("`HumanName` has no element `famly`"),
    );
    check_set(&bare, "Patient", &["X"], Err("this is the whole resource"));
    check_set(
        &bare,
        "Observation.status",
        &["final"],
        Err("the resource is a Patient"),
    );
    check_set(
        &bare,
        "birthDate",
        &["Canary"],
        Err("not a date (YYYY, YYYY-MM or YYYY-MM-DD)"),
    );
    check_set(&bare, "name", &["X"], Err("only a primitive has a value"));
    check_set(
        &named,
        "name.given",
        &["X", "Y"],
        Err("several values for one place: write `[*]` to set a list"),
    );
}

#[test]
fn a_choice_is_written_by_its_type_and_changed_by_its_name() {
    let with = |value: &str| {
        format!(r#"{{"resourceType":"Observation","status":"final","code":{{"text":"x"}}{value}}}"#)
    };
    let one = with(r#","valueQuantity":{"value":1}"#);
    check_set(
        &with(""),
        "Observation.valueQuantity.value",
        &["1"],
        Ok(&one),
    );
    let two = with(r#","valueQuantity":{"value":2.50}"#);
    check_set(&one, "Observation.value.value", &["2.50"], Ok(&two));
    check_set(
        &with(""),
        "value",
        &["1"],
        Err("it has no element of this name"),
    );
}

#[test]
fn a_changed_resource_keeps_its_form_and_its_attachments() {
    let mut document = document(XML);
    let target = format().target("Patient.active").expect("a place");
    document.set(&target, &["true".to_owned()]).expect("set");
    let written = document.write();
    let text = String::from_utf8_lossy(written.text()).into_owned();
    let order = ["<id", "<active", "<birthDate"].map(|tag| text.find(tag));
    assert!(order.is_sorted() && order[0].is_some(), "{text}");
    let node = document.tree();
    let mut birth = None;
    node.children(node.root(), "birthDate", &mut |found| birth = Some(found));
    let birth = birth.expect("a birth date");
    document.set_node(birth, "1980").expect("set");
    let refused = document.set_node(birth, "Canary").expect_err("no date");
    assert_eq!(refused.path, "Patient.birthDate");
    assert!(!refused.to_string().contains("Canary"), "{refused}");
}

#[test]
fn a_large_attachment_stays_outside_the_text() {
    for text in [
        r#"{"resourceType":"Binary","contentType":"a/b","data":""}"#,
        r#"<Binary xmlns='http://hl7.org/fhir'><contentType value='a/b'/><data value=''/></Binary>"#,
    ] {
        let empty = text
            .find("\"\"")
            .or_else(|| text.find("''"))
            .expect("a place");
        let range = BlobRange {
            blob: BlobRef {
                partition: "p".into(),
                name: "b".into(),
            },
            offset: 0,
            length: 400_000,
        };
        let cut = Cut {
            at: empty + 1,
            range,
        };
        let payload = Payload::with_cuts(Bytes::from(text.to_owned()), vec![cut]);
        let document = format().parse(&payload).expect(text);
        assert_eq!(document.write(), payload);
        let mut changed = document.boxed_clone();
        let target = format().target("Binary.contentType").expect("a place");
        changed.set(&target, &["c/d".to_owned()]).expect("set");
        let written = changed.write();
        let (head, tail) = written.text().split_at(written.cuts()[0].at);
        assert!(head.ends_with(b"\"") && tail.starts_with(b"\""), "{text}");
        assert!(memchr::memmem::find(head, b"c/d").is_some(), "{text}");
    }
    for byte in [b'"', b'\'', b'<', b'>'] {
        assert!(format().ends_attachment(byte));
    }
}
