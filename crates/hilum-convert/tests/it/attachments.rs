//! Documents in a message: where they stand, and that nothing of them is lost on the way.

use hilum_convert::{Arrived, Attachments, BundleType, Maps, Settings, to_fhir};
use hilum_hl7v2::Message;
use serde_json::Value;

use crate::kit::as_json;

const DOCUMENT: &str = "MSH|^~\\&|DOCS|H|||20260102||MDM^T02^MDM_T02|1|P|2.5.1\rPID|||7^^^H\r\
    TXA|1|DS|AP|||||||||D1^DOCS|||||AU\rOBX|1|ED|DS||DOCS^AP^PDF^Base64^JVBERi0x LjQK\r\
    OBX|2|ED|DS||DOCS^AP^^Hex^48690A\r";

fn resources(attachments: Attachments, bundle: BundleType, ty: &str) -> Vec<Value> {
    let settings = Settings {
        attachments,
        bundle,
        ..Settings::default()
    };
    let arrived = Arrived {
        id: "m1",
        at: "2026-01-02T03:04:05Z",
    };
    let message = Message::parse(DOCUMENT).unwrap();
    let bundle = as_json(&to_fhir(Maps::shipped().unwrap(), &message, &settings, &arrived).bundle);
    let entries = bundle["entry"].as_array().unwrap().iter();
    let of_type = entries.filter(|entry| entry["resource"]["resourceType"] == ty);
    of_type.cloned().collect()
}

#[test]
fn documents_stand_inline_or_each_in_a_binary_of_its_own() {
    let attachments = |found: &[Value]| -> Vec<Value> {
        let contents = found[0]["resource"]["content"].as_array().unwrap().iter();
        contents
            .map(|content| content["attachment"].clone())
            .collect()
    };
    for bundle in [BundleType::Transaction, BundleType::Collection] {
        let inline = resources(Attachments::Inline, bundle, "DocumentReference");
        let inline = attachments(&inline);
        assert_eq!(inline[0]["data"], "JVBERi0xLjQK");
        assert_eq!(inline[1]["data"], "SGkK");
        assert!(resources(Attachments::Inline, bundle, "Binary").is_empty());

        let apart = resources(Attachments::Binary, bundle, "DocumentReference");
        let apart = attachments(&apart);
        let binaries = resources(Attachments::Binary, bundle, "Binary");
        assert_eq!(binaries.len(), 2);
        for (at, binary) in binaries.iter().enumerate() {
            assert_eq!(apart[at]["url"], binary["fullUrl"]);
            assert_eq!(apart[at]["data"], Value::Null);
            assert_eq!(apart[at]["contentType"], inline[at]["contentType"]);
            assert_eq!(binary["resource"]["data"], inline[at]["data"]);
        }
        assert_eq!(binaries[0]["resource"]["contentType"], "application/pdf");
    }
    // A repeat writes the same again.
    let request = |binary: &Value| binary["request"]["url"].as_str().unwrap().to_owned();
    let [first, again] = [(); 2].map(|()| {
        let found = resources(Attachments::Binary, BundleType::Transaction, "Binary");
        found.iter().map(request).collect::<Vec<_>>()
    });
    assert!(first[0].starts_with("Binary/"), "{first:?}");
    assert_eq!(first, again);
}

#[test]
fn a_corrected_document_is_the_next_version_of_the_same_binary() {
    let converted = |arrived: &str, text: String| -> Vec<(String, Value)> {
        let settings = Settings {
            attachments: Attachments::Binary,
            ..Settings::default()
        };
        let arrived = Arrived {
            id: arrived,
            at: "2026-01-02T03:04:05Z",
        };
        let message = Message::parse(text).unwrap();
        let maps = Maps::shipped().unwrap();
        let bundle = as_json(&to_fhir(maps, &message, &settings, &arrived).bundle);
        let entries = bundle["entry"].as_array().unwrap().iter();
        let binaries = entries.filter(|entry| entry["resource"]["resourceType"] == "Binary");
        binaries
            .map(|entry| {
                let url = entry["request"]["url"].as_str().unwrap().to_owned();
                (url, entry["resource"]["data"].clone())
            })
            .collect()
    };
    let urls = |binaries: &[(String, Value)]| -> Vec<String> {
        binaries.iter().map(|(url, _)| url.clone()).collect()
    };
    let first = converted("m1", DOCUMENT.to_owned());
    let corrected = DOCUMENT.replace("JVBERi0x LjQK", "JVBERi0xLjUK");
    let second = converted("m2", corrected);
    assert_eq!(urls(&first), urls(&second));
    assert_ne!(first[0].0, first[1].0, "each document is one of its own");
    assert_eq!(second[0].1, "JVBERi0xLjUK");
    // Another document has its own, and so has one whose number nobody knows.
    let other = converted("m2", DOCUMENT.replace("D1^DOCS", "D2^DOCS"));
    assert!(!urls(&other).contains(&first[0].0));
    let unknown = DOCUMENT.replace("D1^DOCS", "");
    let [one, two] = ["m1", "m2"].map(|arrived| urls(&converted(arrived, unknown.clone())));
    assert_ne!(one, two);
}
