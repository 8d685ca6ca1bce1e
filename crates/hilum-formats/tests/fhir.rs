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

#[test]
fn nothing_can_be_written() {
    let refused = format().target("Patient.birthDate").expect_err("read-only");
    assert!(refused.contains("cannot be changed"), "{refused}");
    let mut document = document(XML);
    let node = document.tree().root();
    let refused = document.set_node(node, "x").expect_err("read-only");
    assert_eq!(refused.path, "Patient");
    assert!(!document.touched());
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
    }
    for byte in [b'"', b'\'', b'<', b'>'] {
        assert!(format().ends_attachment(byte));
    }
}
