//! What hilum does with a value: signs and texts stay, there and back; what cannot be read for certain
//! is told and not guessed.

use std::sync::Arc;

use hilum_convert::reverse::{Nothing, Sent, V2Settings, to_v2};
use hilum_convert::{
    Arrived, ClockChange, Converted, DecimalSign, FindingCode, FixedZone, LocalTime, Maps,
    Settings, Zone, to_fhir,
};
use hilum_fhir::{Style, json};
use hilum_hl7v2::Message;
use serde_json::Value;

use crate::kit::as_json;

const ARRIVED: Arrived<'_> = Arrived {
    id: "00000000-0000-4000-8000-000000000001",
    at: "2026-01-02T03:04:05.000Z",
};

fn settings() -> Settings {
    Settings {
        zone: Some(Arc::new(FixedZone(0))),
        ..Settings::default()
    }
}

fn message(msh7: &str, rest: &str) -> Message {
    let text = format!(
        "MSH|^~\\&|LAB|H|||{msh7}||ORU^R01^ORU_R01|7|P|2.5.1\rPID|1||1^^^H\rOBR|1||2^L|X^Y^L\r{rest}\r"
    );
    Message::parse(text).unwrap()
}

fn convert(rest: &str, settings: &Settings) -> Converted {
    let message = message("20260102030405", rest);
    to_fhir(Maps::shipped().unwrap(), &message, settings, &ARRIVED)
}

fn codes(converted: &Converted) -> Vec<FindingCode> {
    converted
        .findings
        .iter()
        .map(|finding| finding.code)
        .collect()
}

fn resource(converted: &Converted, ty: &str) -> Value {
    let bundle = as_json(&converted.bundle);
    let entries = bundle["entry"].as_array().unwrap();
    let found = entries
        .iter()
        .find(|entry| entry["resource"]["resourceType"] == ty);
    found.expect(ty)["resource"].clone()
}

fn written(converted: &Converted) -> String {
    let mut out = Vec::new();
    json::write(&converted.bundle, Style::Compact, &mut out);
    String::from_utf8(out).unwrap()
}

fn observation(converted: &Converted) -> Value {
    resource(converted, "Observation")
}

/// A result as v2, through FHIR, as v2 again.
fn there_and_back(ty: &str, value: &str, unit: &str, range: &str) -> String {
    let there = convert(
        &format!("OBX|1|{ty}|A^B^L||{value}|{unit}|{range}||||F"),
        &settings(),
    );
    let sent = Sent {
        control_id: "1",
        at: "2026-01-02T03:04:05Z",
    };
    let maps = Maps::shipped().unwrap();
    let back = to_v2(maps, &there.bundle, &Nothing, &V2Settings::default(), sent).unwrap();
    let message = back.messages.first().expect("a message");
    let obx = message.segments_named("OBX").next().expect("an OBX");
    let field = |n| {
        let part = obx.field(n);
        part.map(|part| String::from_utf8(part.raw().to_vec()).unwrap())
            .unwrap_or_default()
    };
    [field(2), field(5), field(6), field(7)]
        .join("|")
        .trim_end_matches('|')
        .to_owned()
}

#[test]
fn signs_ratios_and_texts_come_back_as_they_were() {
    let check = |ty: &str, value: &str, unit: &str, range: &str, expected: &str| {
        assert_eq!(
            there_and_back(ty, value, unit, range),
            expected,
            "{ty} {value}"
        );
    };
    check(
        "NM",
        "5.40",
        "mg/dL",
        "3.50-5.10",
        "NM|5.40|mg/dL^mg/dL^UCUM|3.50-5.10",
    );
    check("NM", "<5", "mg/dL", "", "SN|<^5|mg/dL^mg/dL^UCUM");
    check("SN", ">=^1^:^160", "", "", "SN|>=^1^:^160");
    check("SN", "<^5.0", "mg/dL", "", "SN|<^5.0|mg/dL^mg/dL^UCUM");
    for text in [
        "<5",
        ">=1:160",
        "4,1",
        "1 000",
        "Negative",
        "HAEMOLYSED",
        "see comment",
    ] {
        check("ST", text, "", "", &format!("ST|{text}"));
    }
    for text in [">=1:160", "4,1", "1 000", "Negative"] {
        check("NM", text, "", "", &format!("ST|{text}"));
    }
    // A range that is no plain interval stays text.
    for range in ["neg", "1:80-1:160", "M: 3-5; F: 2-4", "<= 5 mg/dL"] {
        check("NM", "1", "", range, &format!("NM|1||{range}"));
    }
}

#[test]
fn a_decimal_comma_is_read_where_the_system_declares_it() {
    let obx = "OBX|1|NM|A^B^L||4,10|mmol/L|3,5-5,1||||F";
    let undeclared = convert(obx, &settings());
    assert_eq!(codes(&undeclared), [FindingCode::ValueRefused]);
    let told = undeclared.findings[0].detail.clone().unwrap();
    assert!(told.contains("`decimal`"), "{told}");
    let found = observation(&undeclared);
    assert_eq!(found["valueString"], "4,10 mmol/L");
    assert_eq!(found["referenceRange"][0]["low"], Value::Null);
    assert_eq!(found["referenceRange"][0]["text"], "3,5-5,1");

    let comma = Settings {
        decimal: Some(DecimalSign::Comma),
        ..settings()
    };
    let declared = convert(obx, &comma);
    assert_eq!(codes(&declared), []);
    let found = observation(&declared);
    assert_eq!(found["valueQuantity"]["value"], 4.1);
    assert!(written(&declared).contains("\"value\":4.10,"));
    assert_eq!(found["referenceRange"][0]["low"]["value"], 3.5);
    assert_eq!(found["referenceRange"][0]["high"]["value"], 5.1);
    assert_eq!(found["referenceRange"][0]["text"], "3,5-5,1");

    let sn = convert("OBX|1|SN|A^B^L||<^1 000,5|mg/L|||||F", &comma);
    assert_eq!(codes(&sn), []);
    assert_eq!(observation(&sn)["valueQuantity"]["value"], 1000.5);
    // One thousand or one: nobody knows.
    let doubtful = convert("OBX|1|NM|A^B^L||1.000|mg/L|||||F", &comma);
    assert_eq!(codes(&doubtful), [FindingCode::ValueRefused]);
    assert_eq!(observation(&doubtful)["valueString"], "1.000 mg/L");
}

#[test]
fn a_flag_is_carried_and_told_where_its_own_range_contradicts_it() {
    let check = |value: &str, range: &str, flag: &str, expected: &[FindingCode]| {
        let converted = convert(
            &format!("OBX|1|NM|A^B^L||{value}|mmol/L|{range}|{flag}|||F"),
            &settings(),
        );
        assert_eq!(codes(&converted), expected, "{value} {range} {flag}");
        let found = observation(&converted);
        assert_eq!(found["interpretation"][0]["coding"][0]["code"], flag);
    };
    check("4.0", "3.5-5.1", "N", &[]);
    check("6.0", "3.5-5.1", "H", &[]);
    check("4.0", "3.5-5.1", "HH", &[FindingCode::FlagAgainstRange]);
    check("6.0", "3.5-5.1", "N", &[FindingCode::FlagAgainstRange]);
    check("<0.5", "1-2", "N", &[FindingCode::FlagAgainstRange]);
    // Nothing is computed: no flag, none is made.
    let silent = convert("OBX|1|NM|A^B^L||9|mmol/L|3.5-5.1||||F", &settings());
    assert_eq!(observation(&silent)["interpretation"], Value::Null);
    assert_eq!(codes(&silent), []);
}

/// A zone whose clock shows the hour from two to three of 25 October twice, and leaves that of 29
/// March out.
#[derive(Debug)]
struct Changing;

impl Zone for Changing {
    fn offset_minutes(&self, local: LocalTime) -> Option<i32> {
        let summer = ((3, 29, 3)..(10, 25, 3)).contains(&(local.month, local.day, local.hour));
        Some(if summer { 120 } else { 60 })
    }

    fn change(&self, local: LocalTime) -> Option<ClockChange> {
        match (local.month, local.day, local.hour) {
            (10, 25, 2) => Some(ClockChange::Twice),
            (3, 29, 2) => Some(ClockChange::Never),
            _ => None,
        }
    }
}

#[test]
fn a_time_that_the_clock_shows_twice_or_never_is_told_and_not_guessed() {
    let settings = Settings {
        zone: Some(Arc::new(Changing)),
        ..Settings::default()
    };
    let check = |msh7: &str, obx14: &str, expected: &str, told: &[FindingCode]| {
        let message = message(msh7, &format!("OBX|1|NM|A^B^L||1||||||F|||{obx14}"));
        let converted = to_fhir(Maps::shipped().unwrap(), &message, &settings, &ARRIVED);
        assert_eq!(
            observation(&converted)["effectiveDateTime"],
            expected,
            "{obx14}"
        );
        let found = converted
            .findings
            .iter()
            .filter(|one| one.place.segment == *b"OBX");
        let found: Vec<_> = found.map(|one| one.code).collect();
        assert_eq!(found, told, "{obx14}");
    };
    let told = &[FindingCode::TimeInClockChange][..];
    check("20261025", "202610250130", "2026-10-25T01:30:00+02:00", &[]);
    check("20261025", "202610250230", "2026-10-25", told);
    check(
        "20261025",
        "202610250230+0100",
        "2026-10-25T02:30:00+01:00",
        &[],
    );
    check(
        "20261025043000+0100",
        "202610250230",
        "2026-10-25T02:30:00+01:00",
        &[],
    );
    check("20261025", "202610250330", "2026-10-25T03:30:00+01:00", &[]);
    check("20260329", "202603290230", "2026-03-29", told);
    // A date is no midnight and moves nowhere.
    check("20261025043000+0100", "20261025", "2026-10-25", &[]);
    check("20261025043000+0100", "2026", "2026", &[]);
    // What has to be an instant is not written at all.
    let text = message("20261025", "OBX|1|NM|A^B^L||1||||||F");
    let text = String::from_utf8(text.write().to_vec()).unwrap();
    let obr = format!("OBR|1||2^L|X^Y^L{}202610250230", "|".repeat(18));
    let message = Message::parse(text.replace("OBR|1||2^L|X^Y^L", &obr)).unwrap();
    let converted = to_fhir(Maps::shipped().unwrap(), &message, &settings, &ARRIVED);
    assert_eq!(
        resource(&converted, "DiagnosticReport")["issued"],
        Value::Null
    );
    assert!(codes(&converted).contains(&FindingCode::TimeInClockChange));
}

#[test]
fn the_times_of_a_result_stay_apart() {
    let rest = "OBX|1|NM|A^B^L||1||||||F|||202601010800|||||202601011100\r\
                SPM|1|||BLD^Blood^HL70487|||||||||||||202601010801|202601010900";
    let text = String::from_utf8(message("202601011200", rest).write().to_vec()).unwrap();
    let obr = format!(
        "OBR|1||2^L|X^Y^L|||202601010755{}202601011130",
        "|".repeat(15)
    );
    let message = Message::parse(text.replace("OBR|1||2^L|X^Y^L", &obr)).unwrap();
    let converted = to_fhir(Maps::shipped().unwrap(), &message, &settings(), &ARRIVED);
    let found = observation(&converted);
    assert_eq!(found["effectiveDateTime"], "2026-01-01T08:00:00Z");
    assert_eq!(found["issued"], "2026-01-01T11:30:00Z");
    let analysed = &found["extension"][0];
    assert!(
        analysed["url"]
            .as_str()
            .unwrap()
            .ends_with("observation-analysis-date-time")
    );
    assert_eq!(analysed["valueDateTime"], "2026-01-01T11:00:00Z");
    let specimen = resource(&converted, "Specimen");
    assert_eq!(
        specimen["collection"]["collectedDateTime"],
        "2026-01-01T08:01:00Z"
    );
    assert_eq!(specimen["receivedTime"], "2026-01-01T09:00:00Z");
    let report = resource(&converted, "DiagnosticReport");
    assert_eq!(report["effectiveDateTime"], "2026-01-01T07:55:00Z");
    assert_eq!(report["issued"], "2026-01-01T11:30:00Z");
    assert_eq!(
        as_json(&converted.bundle)["timestamp"],
        "2026-01-01T12:00:00Z"
    );
}

#[test]
fn a_code_of_the_laboratory_stays_beside_the_loinc() {
    let converted = convert(
        "OBX|1|NM|2823-3^Potassium^LN^K^Kalium^L^^^Kalium i. S.||4.1|mmol/L|||||F",
        &settings(),
    );
    let code = &observation(&converted)["code"];
    assert_eq!(code["coding"][0]["code"], "2823-3");
    assert_eq!(code["coding"][1]["code"], "K");
    assert_eq!(code["coding"][1]["display"], "Kalium");
    assert_eq!(code["text"], "Kalium i. S.");
}

#[test]
fn a_document_has_its_size_and_hash_and_is_told_where_it_is_another_one() {
    let check = |obx5: &str, told: &[FindingCode], size: u64, hash: &str| {
        let converted = convert(&format!("OBX|1|ED|A^B^L||{obx5}||||||F"), &settings());
        assert_eq!(codes(&converted), told, "{obx5}");
        let found = observation(&converted);
        let attachment = &found["extension"][0]["valueAttachment"];
        assert_eq!(attachment["size"], size, "{obx5}");
        assert_eq!(attachment["hash"], hash, "{obx5}");
    };
    check(
        "L^AP^PDF^Base64^JVBERi0xLjQK",
        &[],
        9,
        "lWB7AtSKeGy3hol9cnEU/HmBSx4=",
    );
    check(
        "L^IM^JPEG^Base64^JVBERi0xLjQK",
        &[FindingCode::AttachmentType],
        9,
        "lWB7AtSKeGy3hol9cnEU/HmBSx4=",
    );
    check("L^TX^PLAIN^A^Hi", &[], 2, "lN2eCMEpx4X38lboL74KMObRrkA=");
}
