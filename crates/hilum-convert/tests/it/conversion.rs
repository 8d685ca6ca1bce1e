//! What a message becomes, with maps of our own.

use std::sync::Arc;

use hilum_convert::{Arrived, BundleType, Converted, FixedZone, Maps, Original, Settings, to_fhir};
use hilum_fhir::{Style, json};
use hilum_hl7v2::Message;
use proptest::prelude::*;

const MAPS: &str = "\
map PID -> Patient                      ours
PID-3     identifier    -               CX -> Identifier
PID-5     name          -               XPN -> HumanName
PID-7     birthDate
PID-8     gender        -               codes Sex
PID-13    telecom[home*].value
PID-13    telecom[home*].use            PID-13.2.empty()         'home'
PID-19    identifier[ssn].value
PID-19    identifier[ssn].system        -                        'http://hl7.org/fhir/sid/us-ssn'
PID-29    deceasedDateTime
PID-23    extension(patient-birthPlace).valueAddress.text
PID-6     extension(patient-mothersMaidenName).valueString    %target.empty()    join(PID-6.2, ' ', PID-6.1.1)
PID-21    ^RelatedPerson.patient        -                        CX -> RelatedPerson
PID-3     managingOrganization(Organization).name             PID-3[1].4.exists()    -

map CX -> Identifier                    ours
CX.1      value
CX.4      system        -               authority()

map CX -> RelatedPerson                 ours
CX        identifier    -               CX -> Identifier

map XPN -> HumanName                    ours
XPN.1.1   family
XPN.2     given
XPN.3     given

map OBR -> DiagnosticReport             ours
OBR-4.1   code.coding.code
-         status        -               'final'
OBR-32.1  resultsInterpreter(Practitioner).identifier.value
OBR-32.1  performer(Practitioner).identifier.value
OBR-7     effectivePeriod.start
OBR-9     effectivePeriod.end           OBR-7.length() >= 12     plus(OBR-7, OBR-9, 'min')

map OBX -> Observation                  ours
OBX-3     code          -               CWE -> CodeableConcept, codes Tests
-         status        -               'final'
OBX-5     valueQuantity.value           OBX-2 = 'NM'             number()
OBX-5     valueQuantity.comparator      OBX-2 = 'NM'             comparator()
OBX-5     valueString                   OBX-2 = 'NM' and %target.empty() and OBX-5.matches('[a-z]')
OBX-5     valueString                   OBX-2 in ('TX' | 'ST')
OBX-6.1   valueQuantity.unit            OBX-2 = 'NM'
OBX-14    effectiveDateTime

map NTE -> Observation                  ours
NTE-3     note.text

map CWE -> CodeableConcept              ours
CWE.1     coding[first].code
CWE.2     coding[first].display
CWE.3     coding[first].system          -                        system()

map PV1 -> Encounter                    ours
-         status        -               'unknown'
PV1-19    identifier    -               CX -> Identifier

codes Sex                               ours
to http://hl7.org/fhir/administrative-gender
F         female
M         male
*         unknown

codes Tests                             ours
from http://lab.example
to http://loinc.org
GLU       2345-7        Glucose

message ORU_R01                         ours
PATIENT_RESULT.PATIENT.PID              Patient            -    PID -> Patient
PATIENT_RESULT.PATIENT.VISIT.PV1        Encounter          -    PV1 -> Encounter    subject = Patient
PATIENT_RESULT.ORDER_OBSERVATION.OBR    DiagnosticReport   -    OBR -> DiagnosticReport    subject = Patient; encounter = Encounter
PATIENT_RESULT.ORDER_OBSERVATION.OBSERVATION.OBX    each Observation   -    OBX -> Observation    subject = Patient; DiagnosticReport.result = this
PATIENT_RESULT.ORDER_OBSERVATION.OBSERVATION.NTE    Observation        -    NTE -> Observation

identity                                ours
Patient     identifier    MSH-9.2 = 'R01'    create
Patient     identifier    -    update
Encounter   identifier    -    update
Observation  join(OBX-3.1, '|', OBR-3.1)    -    update
Practitioner  identifier  -    create
";

fn convert(segments: &str, change: impl Fn(&mut Settings)) -> Converted {
    let maps = Maps::of_files(&[("maps/test.map", MAPS)]).expect("maps");
    let mut settings = Settings {
        zone: Some(Arc::new(FixedZone(120))),
        ..Settings::default()
    };
    change(&mut settings);
    let text = format!("MSH|^~\\&|LAB|H|||20260102||ORU^R01^ORU_R01|7|P|2.3\r{segments}");
    let message = Message::parse(text).expect("a message");
    let arrived = Arrived {
        id: "m1",
        at: "2026-01-02T03:04:05Z",
    };
    to_fhir(&maps, &message, &settings, &arrived)
}

/// The resources as compact JSON, with every id by its place in the Bundle.
fn resources(segments: &str) -> Vec<String> {
    let converted = convert(segments, |settings| {
        settings.bundle = BundleType::Collection
    });
    let entries: Vec<_> = converted.bundle.root().children_named("entry").collect();
    let urls: Vec<String> = entries
        .iter()
        .filter_map(|entry| entry.child_text("fullUrl").map(str::to_owned))
        .collect();
    let write = |entry: &hilum_fhir::Node<'_>| {
        let mut out = Vec::new();
        json::write_node(
            entry.child("resource").expect("a resource"),
            Style::Compact,
            &mut out,
        );
        let mut text = String::from_utf8(out).expect("text");
        for (at, url) in urls.iter().enumerate() {
            text = text.replace(url, &format!("#{at}"));
        }
        text
    };
    entries.iter().map(write).collect()
}

fn check(segments: &str, expected: &[&str]) {
    let found = resources(segments);
    assert_eq!(found, expected, "{segments}");
}

#[test]
fn repetitions_slots_and_resources_of_their_own() {
    check(
        "PID|||42^^^NORTH&1.2.3&ISO~43||Ames^Ann^B.||19700102030405|F|||||111^PRN~222||||||999||21^^^X\r",
        &[
            r##"{"resourceType":"Patient","identifier":[{"system":"urn:oid:1.2.3","value":"42"},{"value":"43"},{"system":"http://hl7.org/fhir/sid/us-ssn","value":"999"}],"name":[{"family":"Ames","given":["Ann","B."]}],"telecom":[{"system":"other","value":"111"},{"system":"other","value":"222","use":"home"}],"gender":"female","birthDate":"1970-01-02","managingOrganization":{"reference":"#2"}}"##,
            r##"{"resourceType":"RelatedPerson","identifier":[{"system":"urn:id:X","value":"21"}],"patient":{"reference":"#0"}}"##,
            r##"{"resourceType":"Organization","name":"42"}"##,
        ],
    );
}

#[test]
fn groups_give_each_result_its_report_and_each_note_its_result() {
    let segments = "PID|||42\rPV1|||||||||||||||||||V1\r\
        OBR|1||F1|PANEL\rOBX|1|NM|GLU^Sugar^L||<5.40|mg/dL\rNTE|1||low\rOBX|2|TX|X1||a\\.br\\b^c\r\
        OBR|2||F2|OTHER\rOBX|1|NM|GLU||none found\r";
    let found = resources(segments);
    let start = |at: usize, text: &str| {
        let resource = found.get(at).map_or("", String::as_str);
        assert!(resource.starts_with(text), "{at}: {resource}");
    };
    start(0, r##"{"resourceType":"Patient","##);
    start(
        1,
        r##"{"resourceType":"Encounter","identifier":[{"value":"V1"},{"system":"urn:hilum:derived","value":"H|V1"}],"status":"unknown","##,
    );
    start(
        2,
        r##"{"resourceType":"DiagnosticReport","status":"final","code":{"coding":[{"code":"PANEL"}]},"subject":{"reference":"#0"},"encounter":{"reference":"#1"},"result":[{"reference":"#3"},{"reference":"#4"}]}"##,
    );
    start(
        3,
        r##"{"resourceType":"Observation","identifier":[{"system":"urn:hilum:derived","value":"GLU|F1"}],"status":"final","code":{"coding":[{"system":"http://loinc.org","code":"2345-7","display":"Glucose"},{"system":"urn:id:L","code":"GLU","display":"Sugar"}]},"subject":{"reference":"#0"},"valueQuantity":{"value":5.40,"comparator":"<","unit":"mg/dL"},"note":[{"text":"low"}]}"##,
    );
    start(
        4,
        r##"{"resourceType":"Observation","identifier":[{"system":"urn:hilum:derived","value":"X1|F1"}],"status":"final","code":{"coding":[{"code":"X1"}]},"subject":{"reference":"#0"},"valueString":"a\nb^c"}"##,
    );
    start(
        5,
        r##"{"resourceType":"DiagnosticReport","status":"final","code":{"coding":[{"code":"OTHER"}]},"subject":{"reference":"#0"},"encounter":{"reference":"#1"},"result":[{"reference":"#6"}]}"##,
    );
    start(
        6,
        r##"{"resourceType":"Observation","identifier":[{"system":"urn:hilum:derived","value":"GLU|F2"}],"status":"final","code":{"coding":[{"system":"http://loinc.org","code":"2345-7","display":"Glucose"},{"system":"http://lab.example","code":"GLU"}]},"subject":{"reference":"#0"},"valueString":"none found"}"##,
    );
    assert_eq!(found.len(), 7);
}

#[test]
fn functions_say_what_rows_cannot() {
    check(
        "OBR|1||F1|P|||202601022350||20\r",
        &[
            r##"{"resourceType":"DiagnosticReport","status":"final","code":{"coding":[{"code":"P"}]},"effectivePeriod":{"start":"2026-01-02T23:50:00+02:00","end":"2026-01-03T00:10:00+02:00"}}"##,
        ],
    );
}

#[test]
fn what_is_the_same_is_one_and_what_came_to_nothing_is_gone() {
    let found = resources(
        "PID|||42\rOBR|1||F1|P||||||||||||||||||||||||||||D7\rOBR|2||F2|Q||||||||||||||||||||||||||||D7\r",
    );
    let practitioners = found
        .iter()
        .filter(|text| text.contains(r#""Practitioner""#));
    assert_eq!(practitioners.count(), 1, "{found:?}");
    // An empty PID gives no Patient, and nothing refers to one.
    let found = resources("PID|1\rOBR|1||F1|P\r");
    assert_eq!(found.len(), 1);
    assert!(
        !found.iter().any(|text| text.contains("subject")),
        "{found:?}"
    );
}

#[test]
fn what_is_not_carried_over_is_reported_with_its_place_and_without_content() {
    let converted = convert(
        "ZZ1|secret\rPID|||42||\"\"||SECRET|Q|||||||||||S1~S2||||||||||20260102240000\rOBR|1||F1|P\rOBX|1|NM|GLU||SECRET\rOBX|2|ST|A||x~y\rEVN|A01\r",
        |settings| settings.bundle = BundleType::Collection,
    );
    let findings: Vec<String> = converted.findings.iter().map(ToString::to_string).collect();
    assert_eq!(
        findings,
        [
            "value-refused OBX-5: not a number",
            "unmapped-code OBX[2]-3: Tests",
            "repetition-dropped OBX[2]-5[2]",
            "explicit-null PID-5",
            "value-refused PID-7: not a time of the form YYYYMMDDHHMMSS",
            "repetition-dropped PID-19[2]",
            "value-refused PID-29: not a time of the form YYYYMMDDHHMMSS",
        ]
    );
    let unmapped: Vec<String> = converted.unmapped.iter().map(ToString::to_string).collect();
    assert_eq!(unmapped, ["MSH-3", "MSH-4", "MSH-10", "MSH-11", "ZZ1"]);
    assert!(!format!("{findings:?}{unmapped:?}").contains("SECRET"));
}

#[test]
fn a_transaction_updates_what_is_known_and_the_same_message_gives_the_same_ids() {
    let segments = "PID|||42^^^N\rPV1|||||||||||||||||||V1\rOBR|1||F1|P\rOBX|1|ST|A||x\r";
    let requests = |converted: &Converted| {
        let entries: Vec<_> = converted.bundle.root().children_named("entry").collect();
        let text = |node: hilum_fhir::Node<'_>, name: &str| {
            node.child_text(name).unwrap_or_default().to_owned()
        };
        entries
            .iter()
            .filter_map(|entry| entry.child("request"))
            .map(|request| {
                [
                    text(request, "method"),
                    text(request, "url"),
                    text(request, "ifNoneExist"),
                ]
            })
            .collect::<Vec<_>>()
    };
    let first = convert(segments, |_| {});
    let found = requests(&first);
    let expect = |at: usize, expected: [&str; 3]| {
        assert_eq!(
            found
                .get(at)
                .map(|found| found.each_ref().map(String::as_str)),
            Some(expected)
        );
    };
    expect(0, ["POST", "Patient", "identifier=urn%3Aid%3AN%7C42"]);
    expect(
        2,
        [
            "PUT",
            "Encounter?identifier=urn%3Ahilum%3Aderived%7CH%5C%7CV1",
            "",
        ],
    );
    expect(
        4,
        [
            "PUT",
            "Observation?identifier=urn%3Ahilum%3Aderived%7CA%5C%7CF1",
            "",
        ],
    );
    let report = found
        .get(3)
        .and_then(|found| found.get(1))
        .cloned()
        .unwrap_or_default();
    assert!(report.starts_with("DiagnosticReport/"), "{report}");
    assert_eq!(found, requests(&convert(segments, |_| {})));
    let kept = convert(segments, |settings| settings.original = Original::Binary);
    let last = kept.bundle.root().children_named("entry").last();
    let resource = last.and_then(|entry| entry.child("resource"));
    assert_eq!(
        resource.map(|resource| resource.type_name()),
        Some("Binary")
    );
}

#[test]
fn each_element_says_why_it_is_there() {
    let converted = convert("PID|||42||Ames^Ann~Smith\r", |settings| {
        settings.explain = true
    });
    let reasons: Vec<String> = converted
        .reasons
        .iter()
        .map(|reason| {
            let source = reason
                .source
                .map(|place| place.to_string())
                .unwrap_or_default();
            format!(
                "{} {}:{} {source} {}",
                reason.element, reason.file, reason.line, reason.value
            )
        })
        .collect();
    assert_eq!(
        reasons,
        [
            "Bundle.entry[0].resource.identifier[0].value maps/test.map:17 PID-3.1 42",
            "Bundle.entry[0].resource.name[0].family maps/test.map:24 PID-5.1.1 Ames",
            "Bundle.entry[0].resource.name[0].given[0] maps/test.map:25 PID-5.2 Ann",
            "Bundle.entry[0].resource.name[1].family maps/test.map:24 PID-5[2].1.1 Smith",
        ]
    );
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(400))]

    #[test]
    fn no_message_makes_it_panic(
        kind in prop::sample::select(vec!["ORU^R01", "ADT^A01", "OML^O21", "SIU^S12", "VXU^V04", "MDM^T02", "ORM^O01", "ZZZ^Z01"]),
        lines in prop::collection::vec(
            (
                prop::sample::select(vec!["PID", "PV1", "NK1", "ORC", "OBR", "OBX", "NTE", "SPM", "RXA", "SCH", "TXA", "AL1", "DG1", "IN1", "ZZ1", "MSH", "TQ1", "x"]),
                "[A-Z0-9|^~&\\\\\"<. \u{e9}\n+-]{0,60}",
            ),
            0..14,
        ),
    ) {
        let mut text = format!("MSH|^~\\&|A|B|C|D|20260101||{kind}|1|P|2.5.1\r");
        for (id, fields) in &lines {
            text.push_str(&format!("{id}|{fields}\r"));
        }
        let message = Message::parse(text).expect("a message");
        let maps = Maps::shipped().expect("maps");
        let settings = Settings { explain: true, ..Settings::default() };
        let converted = to_fhir(maps, &message, &settings, &Arrived { id: "m", at: "2026-01-02T03:04:05Z" });
        let mut out = Vec::new();
        json::write(&converted.bundle, Style::Compact, &mut out);
        let read = json::parse(&out, &hilum_fhir::Limits::default());
        prop_assert!(read.is_ok(), "{:?}", read.err());
    }
}
