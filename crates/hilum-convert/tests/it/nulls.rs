//! The explicit null of HL7 v2 (`""`, HL7 v2.5.1 §2.7.5.3): it deletes a value and is none itself.

use hilum_convert::{Converted, FindingCode, Maps, to_fhir};
use hilum_fhir::{Style, json};
use hilum_hl7v2::Message;

use crate::samples::{ARRIVED, messages, settings, shared};

fn convert(message: &Message) -> (Converted, String) {
    let maps = Maps::shipped().expect("maps");
    let converted = to_fhir(maps, message, &settings(), &ARRIVED);
    let mut out = Vec::new();
    json::write(&converted.bundle, Style::Compact, &mut out);
    (converted, String::from_utf8(out).expect("text"))
}

#[test]
fn a_null_writes_nothing_and_is_told() {
    let text = "MSH|^~\\&|A|B|||20260102030405||ORU^R01^ORU_R01|1|P|2.5.1\r\
        PID|||1^^^B||AMES^\"\"^B||\"\"|\"\"|||\"\"||\"\"~555-1234\r\
        PV1||I|\"\"|||||\"\"\r\
        OBR|1||2|X^Y^L\r\
        OBX|1|NM|A^B^L||\"\"|\"\"|||||F\rNTE|1||\"\"~seen\r";
    let (converted, written) = convert(&Message::parse(text).expect("a message"));
    for absent in [
        "birthDate",
        "gender",
        "address",
        "location",
        "valueQuantity",
        "valueString",
    ] {
        assert!(
            !written.contains(&format!("\"{absent}\":")),
            "{absent}: {written}"
        );
    }
    assert!(written.contains(r#""given":["B"]"#), "{written}");
    assert!(
        written.contains(r#""telecom":[{"system":"phone","value":"555-1234""#),
        "{written}"
    );
    assert!(written.contains(r#""note":[{"text":"seen"}]"#), "{written}");
    let nulls = converted
        .findings
        .iter()
        .filter(|one| one.code == FindingCode::ExplicitNull);
    let mut places: Vec<String> = nulls.map(|one| one.place.to_string()).collect();
    places.dedup();
    assert_eq!(
        places,
        [
            "NTE-3", "OBX-5", "OBX-6", "PID-5.2", "PID-7", "PID-8", "PID-11", "PID-13", "PV1-3",
            "PV1-8"
        ]
    );
}

/// The message with `""` for every value between these separators.
fn nulled(text: &str, separators: &[char]) -> String {
    let mut out = String::new();
    for segment in text.split_inclusive(['\r', '\n']) {
        let (name, rest) = segment.split_at(segment.find('|').unwrap_or(segment.len()));
        if name == "MSH" || name == "EVN" {
            out.push_str(segment);
            continue;
        }
        out.push_str(name);
        for (number, field) in rest.trim_end().split('|').enumerate().skip(1) {
            out.push('|');
            if name == "OBX" && number == 2 {
                out.push_str(field);
                continue;
            }
            for part in field.split_inclusive(separators) {
                let end = part.trim_end_matches(separators);
                let null = if end.is_empty() { "" } else { "\"\"" };
                out.push_str(null);
                out.push_str(part.get(end.len()..).unwrap_or_default());
            }
        }
        out.push('\r');
    }
    out
}

#[test]
fn no_element_ever_has_the_text_of_a_null() {
    let Some(folder) = shared("samples/hl7v2", "nulls") else {
        return;
    };
    let mut count = 0;
    for (path, message) in messages(&folder) {
        let text = String::from_utf8_lossy(&message.write()).into_owned();
        if !text.starts_with("MSH|^~\\&") {
            continue;
        }
        for separators in [&['~'][..], &['~', '^'], &['~', '^', '&']] {
            let message = Message::parse(nulled(&text, separators)).expect("a message");
            let (_, written) = convert(&message);
            let at = written.find(r#"\"\""#);
            let shown = at.map(|at| written.get(at.saturating_sub(200)..at));
            assert_eq!(shown, None, "{}", path.display());
            count += 1;
        }
    }
    assert!(count > 1_000, "{count}");
}
