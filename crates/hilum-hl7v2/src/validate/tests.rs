use super::*;

const HEADER: &str = "MSH|^~\\&|APP|FAC|APP2|FAC2|20260101120000||";

fn findings(kind: &str, version: &str, body: &str) -> String {
    let text = format!(
        "{HEADER}{kind}|ID1|P|{version}\r{}\r",
        body.replace('\n', "\r")
    );
    let message = Message::parse(text.into_bytes()).expect("message");
    let found = Validator::default().validate(&message);
    let lines = found.iter().map(|found| {
        format!(
            "{} {} {}",
            found.path,
            found.rule.as_str(),
            found.severity.as_str()
        )
    });
    lines.collect::<Vec<_>>().join("; ")
}

const ADMIT: &str =
    "EVN|A01|20260101\nPID|1||123^^^HOSP^MR||Doe^Jane||19800101|F\nPV1|1|I|W1^R1^B1";

#[test]
fn a_good_message_has_no_findings() {
    assert_eq!(findings("ADT^A01^ADT_A01", "2.5.1", ADMIT), "");
    let result = "PID|1||123^^^HOSP^MR||Doe^Jane\nOBR|1||F1|GLU^Glucose^L|||20260101\n\
                  OBX|1|NM|GLU^Glucose^L||5.4|mmol/L|3.9-5.5|N|||F\nOBX|2|ST|GLU^Glucose^L||free^text|||N|||F";
    assert_eq!(
        findings("ORU^R01^ORU_R01", "2.5.1", result),
        "OBX[2]-5 component-unexpected warning"
    );
}

#[test]
fn structure_findings_name_the_place() {
    let check = |kind: &str, body: &str, expected: &str| {
        let found = findings(kind, "2.5.1", body);
        assert_eq!(found, expected, "{body}");
    };
    let short = "PID|1||123||Doe^Jane\nPV1|1|I";
    check("ADT^A01^ADT_A01", short, "EVN segment-missing error");
    check(
        "ORU^R01",
        "PID|1||123||Doe",
        "PATIENT_RESULT[1]/ORDER_OBSERVATION group-missing error",
    );
    check(
        "ORU^R01",
        "OBX|1|ST|A^B||x||||||F",
        "PATIENT_RESULT[1]/ORDER_OBSERVATION[1]/OBR segment-missing error",
    );
    check(
        "ZZZ^Z99",
        "PID|1||123||Doe",
        "MSH-9 structure-unknown warning; MSH-9.1 table warning; MSH-9.2 table warning",
    );
    let disorder = format!("{ADMIT}\nNK1|1|Doe^John\nZZ1|1\nORC|NW\nEVN|A01|20260101");
    check(
        "ADT^A01",
        &disorder,
        "NK1 segment-order warning; ORC segment-unexpected warning; EVN[2] segment-order warning; EVN segment-excess error",
    );
    let odd = format!("{ADMIT}\nNot a segment at all");
    check("ADT^A01", &odd, "#5 segment-unexpected warning");
}

#[test]
fn field_findings_name_the_rule() {
    let check = |version: &str, segment: &str, expected: &str| {
        let body = format!("{ADMIT}\n{segment}");
        assert_eq!(
            findings("ADT^A01^ADT_A01", version, &body),
            expected,
            "{version} {segment}"
        );
    };
    check(
        "2.5.1",
        "DG1|1||A00||2026-01-01|A",
        "DG1-5.1 data-type error",
    );
    check("2.5.1", "DG1|x||A00||20260101|A", "DG1-1 data-type error");
    check("2.5.1", "DG1|1||A00", "DG1-6 field-missing error");
    check("2.5.1", "DG1|1||A00|||A~B", "DG1-6 field-excess error");
    check("2.5.1", "PDA|||Q", "PDA-3 table warning");
    check(
        "2.5.1",
        "AL1|1|DA|PEN^Penicillin^^^^^^too|MO",
        "AL1-3 component-unexpected warning",
    );
    check("2.5.1", "ACC||||||||||||", "");
    check(
        "2.5.1",
        "DG1|1||A00|||A|||||||||||||||||||||||||x",
        "DG1-31 field-unexpected warning",
    );
    check("2.5.1", "DG1|1||A00|||A||||||||||||Y", "");
    check("2.5.1", "DG1|1||A00||\"\"|A", "");
    check(
        "2.5.1",
        "OBX|1|NM|A^B||12.5~1,5~ 7 ~\\X31\\||||||F",
        "OBX-5[2] data-type error",
    );
    check(
        "2.5.1",
        "OBX|1|SN|A^B||>^x||||||F",
        "OBX-5.2 data-type error",
    );
    check(
        "2.5.1",
        "OBX|1|DT|A^B||20260230||||||Q",
        "OBX-5 data-type error; OBX-11 table warning",
    );
    check(
        "2.8.2",
        "DG1|1|I9|A00^x^I10|||A",
        "DG1-2 field-not-supported info",
    );
}

#[test]
fn lengths_count_characters_after_decoding() {
    let check = |value: &str, expected: &str| {
        let body = format!("{ADMIT}\nACC|20260101||{value}");
        assert_eq!(
            findings("ADT^A01", "2.5.1", &body),
            expected,
            "{}",
            value.len()
        );
    };
    check(&"é".repeat(25), "");
    check(&"\\F\\".repeat(25), "");
    check(&"é".repeat(26), "ACC-3 length warning");
}

#[test]
fn components_that_a_type_requires_are_looked_for() {
    let body = ADMIT.replace("123^^^HOSP^MR", "^^^HOSP^MR");
    assert_eq!(
        findings("ADT^A01", "2.5.1", &body),
        "PID-3.1 component-missing warning"
    );
}

#[test]
fn the_list_of_findings_has_a_limit() {
    let text = format!("{HEADER}ADT^A01|1|P|2.5.1\r{}", "OBX|x\r".repeat(100));
    let message = Message::parse(text.into_bytes()).expect("message");
    let options = Options {
        findings_max: 10,
        ..Options::default()
    };
    let found = Validator::new(Arc::default(), options).validate(&message);
    assert_eq!(found.len(), 11);
    assert_eq!(
        found.last().map(|found| found.rule),
        Some(Rule::TooManyFindings)
    );
}

#[test]
fn findings_hold_nothing_of_the_content() {
    let body = "EVN|CANARY|CANARY\nPID|CANARY||CANARY^^^^CANARY||CANARY||CANARY|CANARY\nCANARY line\nPV1|CANARY|CANARYCANARY";
    let text = format!(
        "{HEADER}ADT^A01|CANARY|CANARY|2.5.1\r{}\r",
        body.replace('\n', "\r")
    );
    let message = Message::parse(text.into_bytes()).expect("message");
    let found = Validator::default().validate(&message);
    assert!(found.len() > 3);
    for found in found {
        assert!(
            !format!("{found} {found:?}").contains("CANARY"),
            "{}",
            found.rule.as_str()
        );
    }
}

#[test]
fn rules_have_codes_of_their_own() {
    let mut codes: Vec<_> = Rule::ALL.iter().map(|rule| rule.as_str()).collect();
    codes.sort_unstable();
    codes.dedup();
    assert_eq!(codes.len(), Rule::ALL.len());
    assert_eq!(
        Rule::SegmentMissing.summary(),
        "A required segment is missing."
    );
}
