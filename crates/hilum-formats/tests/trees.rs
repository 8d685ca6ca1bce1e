//! JSON, delimited text and opaque bytes as formats.
#![expect(clippy::expect_used, reason = "a test may fail by panic")]

use std::sync::Arc;

use hilum_component::{ComponentKind, Format, FormatOptions, Registry};
use hilum_message::Payload;

fn format(name: &str, settings: &str) -> Result<Arc<dyn Format>, String> {
    let settings = serde_json::from_str(settings).expect(settings);
    let options = FormatOptions {
        settings,
        ..FormatOptions::default()
    };
    Registry::new(hilum_formats::specs()).format(name, &options)
}

fn check(name: &str, settings: &str, before: &str, path: &str, value: &str, after: &str) {
    let format = format(name, settings).expect(name);
    let payload = Payload::inline(before.to_owned().into());
    let mut document = format.parse(&payload).expect(before);
    assert_eq!(document.write(), payload);
    format.identify(&*document);
    let target = format.target(path).expect(path);
    let found = document.set(&target, &[value.to_owned()]);
    let found = found.map(|()| document.write().text().clone());
    assert_eq!(found, Ok(after.to_owned().into()), "{path}");
    assert!(document.touched());
}

#[test]
fn places_are_written_and_the_rest_stays() {
    check(
        "json",
        "{}",
        "{\"a\": [1, {\"b\":2}]}",
        "a[1].b",
        "3",
        "{\"a\": [1, {\"b\":3}]}",
    );
    check(
        "delimited",
        "{}",
        "a;b\n1;2\n",
        "row.b",
        "x;y",
        "a;b\n1;\"x;y\"\n",
    );
    check(
        "delimited",
        r#"{"header":false,"separator":"tab"}"#,
        "1\t2\n",
        "row.c1",
        "x",
        "x\t2\n",
    );
    check(
        "xml",
        "{}",
        "<a><b c='1'/></a>",
        "a.b.`@c`",
        "2",
        "<a><b c='2'/></a>",
    );
    check("raw", "{}", "anything", "text", "else", "else");
    check("raw", "{}", "anything", "base64", "AAE=", "\0\u{1}");
}

#[test]
fn settings_and_payloads_that_make_no_sense_are_refused() {
    assert!(format("delimited", r#"{"separator":"ab"}"#).is_err());
    assert!(format("delimited", r#"{"separator":"\""}"#).is_err());
    assert!(format("delimited", r#"{"seperator":","}"#).is_err());
    let json = format("json", "{}").expect("json");
    let reject = json
        .parse(&Payload::inline("{".to_owned().into()))
        .expect_err("a reject");
    assert_eq!(
        reject.to_string(),
        "not readable as json: a key in quotes expected at byte 1"
    );
}

#[test]
fn a_resource_is_identified_by_type_and_id() {
    let json = format("json", "{}").expect("json");
    let text = r#"{"resourceType":"Patient","id":"p7"}"#.to_owned();
    let document = json.parse(&Payload::inline(text.into())).expect("json");
    let found = json.identify(&*document);
    assert_eq!(found.message_type.as_deref(), Some("Patient"));
    assert_eq!(found.control_id.as_deref(), Some("p7"));
}

#[test]
fn a_clinical_document_is_identified_by_its_ids() {
    let xml = format("xml", "{}").expect("xml");
    let text = "<ClinicalDocument><id root='1.2' extension='d7'/><recordTarget><patientRole><id root='1.3' extension='p1'/><id root='1.4'/></patientRole></recordTarget></ClinicalDocument>";
    let document = xml.parse(&Payload::inline(text.into())).expect("xml");
    let found = xml.identify(&*document);
    assert_eq!(found.control_id.as_deref(), Some("1.2^d7"));
    let patients = [
        ("p1".to_owned(), Some("1.3".to_owned())),
        ("1.4".to_owned(), None),
    ];
    assert_eq!(found.patients, patients);
}

#[test]
fn formats_recognise_their_own() {
    let registry = Registry::new(hilum_formats::specs());
    for (text, expected) in [
        ("MSH|^~\\&|A", "hl7v2"),
        (" {\"a\":1}", "json"),
        ("<a/>", "xml"),
        ("a;b\n1;2", "delimited"),
    ] {
        let names = ["hl7v2", "fhir", "xml", "json", "delimited", "raw"];
        let found = names.into_iter().find(|name| {
            registry
                .format(name, &FormatOptions::default())
                .expect(name)
                .sniff(text.as_bytes())
        });
        assert_eq!(found, Some(expected), "{text}");
    }
    assert!(
        registry
            .of_kind(ComponentKind::Format)
            .all(|spec| !spec.limits.is_empty())
    );
}
