//! FHIR to HL7 v2.

use hilum_convert::reverse::{Nothing, Resolver, Reversed, Sent, V2Settings, to_v2};
use hilum_convert::{Maps, to_fhir};
use hilum_fhir::{Limits, Resource, json};
use hilum_hl7v2::Message;
use proptest::prelude::*;

use crate::samples::{ARRIVED, settings};

const SENT: Sent<'static> = Sent {
    control_id: "42",
    at: "2026-01-02T03:04:05+01:00",
};

fn resource(text: &str) -> Resource {
    json::parse(text.as_bytes(), &Limits::default()).expect("a resource")
}

fn convert(text: &str, settings: &V2Settings) -> Reversed {
    let maps = Maps::shipped().expect("maps");
    to_v2(maps, &resource(text), &Nothing, settings, SENT).expect("a message")
}

/// Segments without MSH.
fn body(message: &Message) -> Vec<String> {
    let text = String::from_utf8(message.write().to_vec()).expect("UTF-8");
    text.split_terminator('\r')
        .skip(1)
        .map(str::to_owned)
        .collect()
}

const REPORT: &str = r#"{"resourceType":"Bundle","type":"collection","entry":[
  {"fullUrl":"urn:uuid:1","resource":{"resourceType":"Patient","identifier":[{"system":"urn:oid:1.2.3","value":"7",
    "type":{"coding":[{"system":"http://terminology.hl7.org/CodeSystem/v2-0203","code":"MR"}]}}],
    "name":[{"use":"official","family":"M&S","given":["Ann","B."]}],"gender":"other","birthDate":"1970-01"}},
  {"fullUrl":"urn:uuid:2","resource":{"resourceType":"DiagnosticReport","status":"final","code":{"coding":[{"system":"http://loinc.org","code":"24331-1","display":"Lipids"}]},
    "subject":{"reference":"urn:uuid:1"},"effectiveDateTime":"2026-01-01T10:00:00+01:00","result":[{"reference":"urn:uuid:3"},{"reference":"urn:uuid:4"}]}},
  {"fullUrl":"urn:uuid:3","resource":{"resourceType":"Observation","status":"final","code":{"coding":[{"system":"http://loinc.org","code":"2093-3"}]},
    "subject":{"reference":"urn:uuid:1"},"valueQuantity":{"value":5.10,"comparator":"<","unit":"mmol/l","system":"http://unitsofmeasure.org","code":"mmol/L"},
    "note":[{"text":"first\nsecond"}]}},
  {"fullUrl":"urn:uuid:4","resource":{"resourceType":"Observation","status":"preliminary","code":{"text":"Comment"},"valueString":"a|b","focus":[{"display":"an organ"}]}}]}"#;

#[test]
fn a_report_becomes_an_oru() {
    let made = convert(REPORT, &V2Settings::default());
    let [message] = made.messages.as_slice() else {
        panic!("one message");
    };
    assert_eq!(
        body(message),
        [
            "PID|1||7^^^&1.2.3&ISO^MR||M\\T\\S^Ann^B.^^^^L||197001|O",
            "OBR|1|||24331-1^Lipids^LN|||20260101100000+0100||||||||||||||||||F",
            "OBX|1|SN|2093-3^^LN||<^5.10|mmol/L^mmol/l^UCUM|||||F",
            "NTE|1||first\\.br\\second",
            "OBX|2|ST|^Comment||a\\F\\b||||||P",
        ]
    );
    let header = message.field("MSH", 7).unwrap_or_default();
    assert_eq!(header, "20260102030405+0100");
    assert_eq!(made.unmapped, ["Bundle.entry[3].resource.focus[0]"]);
}

#[test]
fn each_value_says_why_it_is_there() {
    let settings = V2Settings {
        explain: true,
        ..V2Settings::default()
    };
    let made = convert(REPORT, &settings);
    let found = made
        .why
        .iter()
        .find(|why| why.place == "OBX[1]-5.2")
        .expect("there");
    assert!(
        found.row.starts_with("maps/reverse/types.map:"),
        "{}",
        found.row
    );
    let path = "Bundle.entry[2].resource.value.value";
    assert_eq!(found.source.as_deref(), Some(path));
    assert_eq!(found.value, "5.10");
}

#[test]
fn what_is_in_the_bundle_decides_the_event() {
    let check = |resource: &str, event: &str| {
        let text = format!(
            r#"{{"resourceType":"Bundle","type":"collection","entry":[{{"resource":{resource}}}]}}"#
        );
        let made = convert(&text, &V2Settings::default());
        let message = made.messages.first().expect("a message");
        assert_eq!(
            message.field("MSH", 9).as_deref(),
            Some(event),
            "{resource}"
        );
    };
    let encounter = |status: &str, class: &str| {
        format!(
            r#"{{"resourceType":"Encounter","status":"{status}","class":{{"code":"{class}"}}}}"#
        )
    };
    check(&encounter("in-progress", "IMP"), "ADT^A01^ADT_A01");
    check(&encounter("in-progress", "AMB"), "ADT^A04^ADT_A01");
    check(&encounter("finished", "IMP"), "ADT^A03^ADT_A03");
    check(&encounter("cancelled", "IMP"), "ADT^A11^ADT_A09");
    check(
        r#"{"resourceType":"Patient","active":true,"gender":"male"}"#,
        "ADT^A31^ADT_A05",
    );
    check(
        r#"{"resourceType":"ServiceRequest","status":"active","intent":"order"}"#,
        "OML^O21^OML_O21",
    );
    check(
        r#"{"resourceType":"Immunization","status":"completed"}"#,
        "VXU^V04^VXU_V04",
    );
    check(
        r#"{"resourceType":"Appointment","status":"booked"}"#,
        "SIU^S12^SIU_S12",
    );
    check(
        r#"{"resourceType":"DocumentReference","status":"current","content":[{"attachment":{"data":"QUI="}}]}"#,
        "MDM^T02^MDM_T02",
    );
}

#[test]
fn an_event_that_is_asked_for_wins() {
    let settings = V2Settings {
        event: Some("ADT_A08".to_owned()),
        ..V2Settings::default()
    };
    let made = convert(r#"{"resourceType":"Patient","gender":"male"}"#, &settings);
    let message = made.messages.first().expect("a message");
    assert_eq!(message.field("MSH", 9).as_deref(), Some("ADT^A08^ADT_A01"));
    let orders = V2Settings {
        event: Some("ORM^O01".to_owned()),
        ..V2Settings::default()
    };
    let text = r#"{"resourceType":"ServiceRequest","status":"active","intent":"order","code":{"coding":[{"code":"X"}]}}"#;
    let made = convert(text, &orders);
    let message = made.messages.first().expect("a message");
    assert_eq!(body(message), ["ORC|NW||||IP", "OBR|1|||X"]);
}

#[test]
fn a_system_that_is_unknown_is_not_written() {
    let text = r#"{"resourceType":"Patient","identifier":[{"system":"x","_system":{"extension":[]},"value":"7"},
      {"_system":{"extension":[{"url":"http://hl7.org/fhir/StructureDefinition/data-absent-reason","valueCode":"unknown"}]},"value":"8"}],
      "name":[{"family":"Muster","suffix":["Jr","MD","PhD"]}]}"#;
    let text = text.replace(r#""_system":{"extension":[]},"#, "");
    let made = convert(&text, &V2Settings::default());
    let message = made.messages.first().expect("a message");
    let pid = body(message).get(1).cloned();
    assert_eq!(
        pid.as_deref(),
        Some("PID|1||7^^^&x&URI~8||Muster^^^Jr^^^^^^^^^^MD PhD")
    );
}

#[test]
fn a_merge_names_the_record_that_stays_and_the_one_that_is_given_up() {
    let text = r#"{"resourceType":"Bundle","type":"collection","entry":[
      {"fullUrl":"urn:uuid:1","resource":{"resourceType":"Patient","identifier":[{"value":"1"}],"link":[{"type":"replaces","other":{"reference":"urn:uuid:2"}}]}},
      {"fullUrl":"urn:uuid:2","resource":{"resourceType":"Patient","active":false,"identifier":[{"value":"2"}],"link":[{"type":"replaced-by","other":{"reference":"urn:uuid:1"}}]}}]}"#;
    let made = convert(text, &V2Settings::default());
    let [message] = made.messages.as_slice() else {
        panic!("one message");
    };
    assert_eq!(message.field("MSH", 9).as_deref(), Some("ADT^A40^ADT_A39"));
    let body = body(message);
    assert_eq!(
        body.get(1..),
        Some(["PID|1||1".to_owned(), "MRG|2".to_owned()].as_slice())
    );
}

#[test]
fn insurance_guarantor_and_next_of_kin_have_segments_of_their_own() {
    let text = r#"{"resourceType":"Bundle","type":"collection","entry":[
      {"fullUrl":"urn:uuid:1","resource":{"resourceType":"Patient","gender":"male"}},
      {"resource":{"resourceType":"Encounter","status":"in-progress","class":{"code":"IMP"},"subject":{"reference":"urn:uuid:1"}}},
      {"resource":{"resourceType":"RelatedPerson","patient":{"reference":"urn:uuid:1"},"name":[{"family":"Kin"}]}},
      {"resource":{"resourceType":"RelatedPerson","patient":{"reference":"urn:uuid:1"},"name":[{"family":"Payer"}],"relationship":[{"coding":[{"code":"GUAR"}]}]}},
      {"fullUrl":"urn:uuid:2","resource":{"resourceType":"RelatedPerson","patient":{"reference":"urn:uuid:1"},"name":[{"family":"Holder"}]}},
      {"resource":{"resourceType":"Coverage","status":"active","beneficiary":{"reference":"urn:uuid:1"},"subscriber":{"reference":"urn:uuid:2"},
        "payor":[{"display":"unknown"}],"class":[{"type":{"coding":[{"code":"plan"}]},"value":"P1","name":"Plan"}]}}]}"#;
    let made = convert(text, &V2Settings::default());
    let message = made.messages.first().expect("a message");
    let body = body(message);
    let expected = [
        "NK1|1|Kin",
        "PV1|1|I",
        "GT1|1||Payer",
        "IN1|1|P1^Plan||||||||||||||Holder",
    ];
    assert_eq!(
        body.get(2..).map(|rest| rest.join("\n")),
        Some(expected.join("\n"))
    );
}

#[test]
fn a_document_names_the_order_that_it_belongs_to() {
    let text = r#"{"resourceType":"Bundle","type":"collection","entry":[
      {"fullUrl":"urn:uuid:1","resource":{"resourceType":"ServiceRequest","status":"active","intent":"order","code":{"coding":[{"code":"X"}]},
        "identifier":[{"type":{"coding":[{"code":"PLAC"}]},"value":"7"}]}},
      {"resource":{"resourceType":"DocumentReference","status":"current","context":{"related":[{"reference":"urn:uuid:1"}]},
        "content":[{"attachment":{"contentType":"text/plain","data":"QUI="}}]}}]}"#;
    let settings = V2Settings {
        event: Some("MDM".to_owned()),
        ..V2Settings::default()
    };
    let made = convert(text, &settings);
    let message = made.messages.first().expect("a message");
    let body = body(message);
    let names: Vec<&str> = body.iter().filter_map(|s| s.split('|').next()).collect();
    assert_eq!(names, ["EVN", "ORC", "OBR", "TXA", "OBX"]);
    assert_eq!(
        body.get(1..3),
        Some(["ORC|RE|7|||IP".to_owned(), "OBR|1|7||X".to_owned()].as_slice())
    );
}

#[test]
fn times_are_those_of_the_receivers_clock() {
    let settings = V2Settings {
        zone: Some(std::sync::Arc::new(hilum_convert::FixedZone(330))),
        ..V2Settings::default()
    };
    let text = r#"{"resourceType":"Encounter","status":"in-progress","class":{"code":"IMP"},"period":{"start":"2026-01-01T22:00:00Z"}}"#;
    let made = convert(text, &settings);
    let message = made.messages.first().expect("a message");
    let admitted = message.field("PV1", 44);
    assert_eq!(admitted.as_deref(), Some("20260102033000+0530"));
    assert_eq!(
        message.field("MSH", 7).as_deref(),
        Some("20260102073405+0530")
    );
}

#[test]
fn text_that_lies_outside_memory_is_told_and_left_out() {
    let text = r#"{"resourceType":"DocumentReference","status":"current","content":[{"attachment":{"contentType":"text/plain","data":"hilumAttachment0Q00Z"}}]}"#;
    let made = convert(text, &V2Settings::default());
    let told: Vec<String> = made.findings.iter().map(ToString::to_string).collect();
    let path = "DocumentReference.content[0].attachment.data";
    assert_eq!(
        told,
        [format!(
            "limit-reached {path}: text attachments outside memory"
        )]
    );
}

#[test]
fn a_code_without_a_trigger_leaves_that_to_what_is_there() {
    let settings = V2Settings {
        event: Some("ADT".to_owned()),
        ..V2Settings::default()
    };
    let text = r#"{"resourceType":"Bundle","type":"collection","entry":[
      {"fullUrl":"urn:uuid:1","resource":{"resourceType":"Patient","gender":"male"}},
      {"resource":{"resourceType":"Encounter","status":"finished","class":{"code":"IMP"},"subject":{"reference":"urn:uuid:1"}}},
      {"resource":{"resourceType":"DiagnosticReport","status":"final","code":{"text":"x"},"subject":{"reference":"urn:uuid:1"}}}]}"#;
    let made = convert(text, &settings);
    let message = made.messages.first().expect("a message");
    assert_eq!(message.field("MSH", 9).as_deref(), Some("ADT^A03^ADT_A03"));
}

#[test]
fn what_has_no_rows_is_refused() {
    let maps = Maps::shipped().expect("maps");
    let text = r#"{"resourceType":"Library","status":"active","type":{"text":"x"}}"#;
    let refused = to_v2(
        maps,
        &resource(text),
        &Nothing,
        &V2Settings::default(),
        SENT,
    );
    let told = refused.expect_err("no event").to_string();
    assert_eq!(
        told,
        "no message is known for a Library; name the event, or add a row to `events`"
    );
}

/// A store of one patient.
struct Store;

impl Resolver for Store {
    fn resolve(&self, reference: &str) -> Option<Resource> {
        (reference == "Patient/7").then(|| {
            resource(r#"{"resourceType":"Patient","id":"7","name":[{"family":"Muster"}]}"#)
        })
    }
}

#[test]
fn references_are_resolved_outside_the_bundle() {
    let maps = Maps::shipped().expect("maps");
    let text = r#"{"resourceType":"Encounter","status":"finished","class":{"code":"IMP"},"subject":{"reference":"Patient/7"}}"#;
    let made =
        to_v2(maps, &resource(text), &Store, &V2Settings::default(), SENT).expect("a message");
    let message = made.messages.first().expect("a message");
    assert_eq!(
        body(message).get(1).map(String::as_str),
        Some("PID|1||||Muster")
    );
    assert_eq!(made.unmapped, Vec::<String>::new());
}

#[test]
fn limits_hold() {
    let entries: Vec<String> = (0..10_001)
        .map(|n| format!(r#"{{"resource":{{"resourceType":"Observation","status":"final","code":{{"text":"{n}"}}}}}}"#))
        .collect();
    let text = format!(
        r#"{{"resourceType":"Bundle","type":"collection","entry":[{}]}}"#,
        entries.join(",")
    );
    let made = convert(&text, &V2Settings::default());
    let message = made.messages.first().expect("a message");
    assert_eq!(message.segment_count(), 10_000);
    assert!(
        made.findings
            .iter()
            .any(|f| f.detail.as_deref() == Some("segments of one message"))
    );

    let entries: Vec<String> = (0..1_001)
        .map(|_| r#"{"resource":{"resourceType":"Appointment","status":"booked"}}"#.to_owned())
        .collect();
    let text = format!(
        r#"{{"resourceType":"Bundle","type":"collection","entry":[{}]}}"#,
        entries.join(",")
    );
    let made = convert(&text, &V2Settings::default());
    assert_eq!(made.messages.len(), 1_000);
    assert!(
        made.findings
            .iter()
            .any(|f| f.detail.as_deref() == Some("messages of one Bundle"))
    );
    let last = made.messages.last().expect("a message");
    assert_eq!(last.field("MSH", 10).as_deref(), Some("42-1000"));
}

#[test]
fn places_within_each_other_end() {
    let text = r#"{"resourceType":"Bundle","type":"collection","entry":[
      {"fullUrl":"urn:uuid:1","resource":{"resourceType":"Encounter","status":"in-progress","class":{"code":"IMP"},"location":[{"location":{"reference":"urn:uuid:2"}}]}},
      {"fullUrl":"urn:uuid:2","resource":{"resourceType":"Location","name":"A","partOf":{"reference":"urn:uuid:2"}}}]}"#;
    let made = convert(text, &V2Settings::default());
    let message = made.messages.first().expect("a message");
    assert_eq!(message.field("PV1", 3).as_deref(), Some("A"));
    assert!(
        made.findings
            .iter()
            .any(|f| f.detail.as_deref() == Some("maps within maps"))
    );
}

fn word() -> impl Strategy<Value = String> {
    "[A-Za-z][A-Za-z0-9 .'|^~&\\\\-]{0,10}[A-Za-z0-9]"
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(64))]

    /// Fields that are one to one come back as they were.
    #[test]
    fn one_to_one_fields_come_back(family in word(), given in word(), number in "[0-9]{1,12}",
        authority in "[A-Z]{2,8}", city in word(), religion in word()) {
        let escaped = |text: &str| {
            text.replace('\\', "\\E\\").replace('|', "\\F\\").replace('^', "\\S\\").replace('&', "\\T\\").replace('~', "\\R\\")
        };
        let pid = format!(
            "PID|1||{number}^^^{authority}^MR||{}^{}||19700102|F|||^^{}||||||^{}",
            escaped(&family), escaped(&given), escaped(&city), escaped(&religion),
        );
        let text = format!("MSH|^~\\&|A|B|C|D|20260102030405+0000||ADT^A31^ADT_A05|1|P|2.5.1||||||UNICODE UTF-8\rEVN|A31|20260102030405+0000\r{pid}\r");
        let maps = Maps::shipped().expect("maps");
        let message = Message::parse(text.clone().into_bytes()).expect("a message");
        let there = to_fhir(maps, &message, &settings(), &ARRIVED);
        let made = to_v2(maps, &there.bundle, &Nothing, &V2Settings::default(), SENT).expect("a message");
        let back = made.messages.first().expect("a message");
        let back = body(back);
        prop_assert_eq!(back.get(1).map(String::as_str), Some(pid.as_str()));
    }

    /// No Bundle makes it panic, however its references go.
    #[test]
    fn no_bundle_makes_it_panic(
        kinds in prop::collection::vec(0_usize..8, 1..9),
        to in prop::collection::vec((0_usize..9, 0_usize..9), 0..12),
        text in "\\PC{0,12}",
    ) {
        let types = ["Patient", "Encounter", "DiagnosticReport", "Observation", "ServiceRequest", "Location", "Appointment", "RelatedPerson"];
        let text: String = text.chars().filter(|c| *c != '"' && *c != '\\').collect();
        let text = format!("x{}", text.trim());
        let mut entries = Vec::new();
        for (number, kind) in kinds.iter().enumerate() {
            let target = |at: usize| to.iter().filter(|(from, _)| *from == number).nth(at).map_or(number, |(_, to)| *to);
            let name = types.get(*kind).copied().unwrap_or("Patient");
            let reference = |at: usize| format!(r#"{{"reference":"urn:uuid:{}"}}"#, target(at));
            let inner = match name {
                "Patient" => format!(r#","name":[{{"family":"{text}"}}],"generalPractitioner":[{}]"#, reference(0)),
                "Encounter" => format!(r#","status":"planned","subject":{},"location":[{{"location":{}}}]"#, reference(0), reference(1)),
                "DiagnosticReport" => format!(r#","status":"final","subject":{},"result":[{},{}]"#, reference(0), reference(1), reference(2)),
                "Observation" => format!(r#","status":"final","subject":{},"hasMember":[{}],"valueString":"{text}""#, reference(0), reference(1)),
                "ServiceRequest" => format!(r#","subject":{},"requester":{}"#, reference(0), reference(1)),
                "Location" => format!(r#","name":"{text}","partOf":{}"#, reference(0)),
                "Appointment" => format!(r#","status":"booked","participant":[{{"actor":{}}}]"#, reference(0)),
                _ => format!(r#","patient":{}"#, reference(0)),
            };
            entries.push(format!(r#"{{"fullUrl":"urn:uuid:{number}","resource":{{"resourceType":"{name}"{inner}}}}}"#));
        }
        let bundle = format!(r#"{{"resourceType":"Bundle","type":"collection","entry":[{}]}}"#, entries.join(","));
        let maps = Maps::shipped().expect("maps");
        if let Ok(resource) = json::parse(bundle.as_bytes(), &Limits::default()) {
            let made = to_v2(maps, &resource, &Nothing, &V2Settings::default(), SENT);
            for message in made.map(|made| made.messages).unwrap_or_default() {
                prop_assert!(message.warnings().is_empty(), "{:?}", message.warnings());
            }
        }
    }
}
