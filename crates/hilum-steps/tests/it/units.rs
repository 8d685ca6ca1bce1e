use crate::channel::{Channel, Files, outcome, problems};

const FILES: &[(&str, &str)] = &[("systems/comma.yaml", "system: comma\ndecimal: comma\n")];

fn oru(obx: &str) -> String {
    format!("MSH|^~\\&|LIS|H|||||ORU^R01|1|P|2.5\nPID|1||7\nOBX|1|{obx}\n")
}

/// What becomes of a result, and the codes of the findings.
fn check(settings: &str, before: &str, after: &str, told: &[&str]) {
    let steps = format!(
        "units: {{ results: [{{ code: GLU, unit: mg/dL, molar-mass: 180.156 }}, {{ code: K, code-system: L, unit: mmol/L }}, {{ code: HB, unit: g/L }}, {{ code: T, unit: Cel }}], {settings} }}"
    );
    let processed = Channel::new("hl7v2", FILES, &steps).run(&oru(before));
    assert_eq!(outcome(&processed), [oru(after)]);
    let found: Vec<&str> = processed
        .findings
        .iter()
        .map(|one| one.code.as_str())
        .collect();
    assert_eq!(found, told, "{before}");
    for finding in &processed.findings {
        assert_eq!(finding.path.as_deref(), Some("OBX"), "{before}");
        assert!(!finding.text.contains("5.40"));
    }
}

#[test]
fn value_unit_and_both_bounds_change_together() {
    let check = |before: &str, after: &str| check("", before, after, &[]);
    check(
        "NM|GLU||5.40|mmol/L|3.9-5.6|H",
        "NM|GLU||97.3|mg/dL|70.3-101|H",
    );
    check("NM|GLU||<1.1|mmol/L|>= 3.9", "NM|GLU||<20|mg/dL|>= 70.3");
    check("SN|GLU||>^20.0|mmol/L", "SN|GLU||>^360|mg/dL");
    check("SN|GLU||^4.0^-^6.0|mmol/L", "SN|GLU||^72^-^108|mg/dL");
    check("NM|GLU||5.4~6.0|mmol/L", "NM|GLU||97~108|mg/dL");
    check(
        "NM|HB||14.2|g/dL^gram per deciliter^ISO+^x^y^L|12.0 - 16.0",
        "NM|HB||142|g/L^g/L^UCUM^^^|120 - 160",
    );
    check("NM|T||98.6|degF|97.0-99.0", "NM|T||37.0|Cel|36.1-37.2");
    check(
        "NM|A^^L^GLU^Glucose^L||5.40|mmol/L",
        "NM|A^^L^GLU^Glucose^L||97.3|mg/dL",
    );
    // Of a result that was deleted only range and unit are left.
    check("NM|HB||\"\"|g/dL|12-16", "NM|HB||\"\"|g/L|120-160");
}

#[test]
fn a_unit_that_is_the_same_changes_its_name_alone() {
    check(
        "",
        "NM|K^Kalium^L||4.10|mmol/l|3,5-5,1|N",
        "NM|K^Kalium^L||4.10|mmol/L|3,5-5,1|N",
        &[],
    );
    check(
        "",
        "ST|K^^L||HAEMOLYSED|mmol/l",
        "ST|K^^L||HAEMOLYSED|mmol/L",
        &[],
    );
    check("", "NM|K^^L||4.1|mmol/L", "NM|K^^L||4.1|mmol/L", &[]);
    check(
        "spelled: { mmol: mmol/L }",
        "NM|K^^L||4.1|mmol",
        "NM|K^^L||4.1|mmol/L",
        &[],
    );
    // No row is of this system, or of this code.
    check("", "NM|K^^X||4.1|mg/L", "NM|K^^X||4.1|mg/L", &[]);
    check("", "NM|NA||4.1|mg/L", "NM|NA||4.1|mg/L", &[]);
}

#[test]
fn what_does_not_fit_stays_as_it_came_and_is_told() {
    let check = |settings: &str, obx: &str, told: &str| check(settings, obx, obx, &[told]);
    check("", "NM|GLU||5.40||3.9-5.6", "unit-missing");
    check("", "NM|GLU||5.40|\"\"|3.9-5.6", "unit-missing");
    check("", "NM|GLU||5.40|portions|3.9-5.6", "unit-unknown");
    check("", "NM|GLU||5.40|MMOL/L|3.9-5.6", "unit-unknown");
    check("", "NM|GLU||5.40|mmol|3.9-5.6", "unit-incompatible");
    check("", "NM|K^^L||4.1|meq/L|3.5-5.1", "unit-incompatible");
    check("", "NM|HB||8.8|mmol/L|7.4-9.9", "molar-mass-missing");
    check("", "NM|GLU||5,40|mmol/L|3.9-5.6", "value-not-converted");
    check("", "NM|GLU||NEGATIVE|mmol/L", "value-not-converted");
    check("", "SN|GLU||^1^:^160|mmol/L", "value-not-converted");
    check("", "SN|GLU||<>^5|mmol/L", "value-not-converted");
    check("", "ST|GLU||5.40|mmol/L", "value-not-converted");
    check("", "NM|GLU||5.40|mmol/L|M: 3.9-5.6", "range-not-converted");
    check("", "NM|GLU||5.40|mmol/L|3,9-5,6", "range-not-converted");
    check("", "NM|GLU||5.40|mmol/L|3.9-", "range-not-converted");
    let digits = format!("NM|GLU||0.{}|mmol/L", "1".repeat(63));
    check("", &digits, "value-not-converted");
    check(
        "system: comma",
        "NM|GLU||5.400|mmol/L",
        "value-not-converted",
    );
}

#[test]
fn numbers_are_read_and_written_as_the_system_has_them() {
    check(
        "system: comma",
        "NM|GLU||<1 005,4|mmol/L|3,9-5,6",
        "NM|GLU||<18113|mg/dL|70,3-101",
        &[],
    );
    check(
        "system: comma",
        "NM|HB||142|mg/dl|1,0-2,0",
        "NM|HB||1,42|g/L|0,010-0,020",
        &[],
    );
}

#[test]
fn text_without_numbers_may_stand_as_range() {
    check(
        "",
        "NM|GLU||5.40|mmol/L|see comment",
        "NM|GLU||97.3|mg/dL|see comment",
        &[],
    );
}

#[test]
fn mistakes_are_told() {
    let site = Files::of(FILES);
    let step = "units: { results: [{ code: A, unit: mg//L }, { code: B, unit: '[pH]' }, { code: C, unit: g/L, molar-mass: x }, { code: C, unit: g/L }], spelled: { x: tbl }, system: nobody }";
    let found = problems("hl7v2", &site, step);
    assert_eq!(
        found,
        [
            "system: no such system `nobody`",
            "spelled.x: `tbl` is no code of UCUM",
            "results.0.unit: it is no code of UCUM",
            "results.1.unit: it is logarithmic",
            "results.2.molar-mass: it is no number above zero",
            "results.3.code: an earlier row is of the same code",
        ]
    );
    let found = problems("json", &site, "units: { results: [{ code: A, unit: g }] }");
    assert_eq!(
        found,
        [": units are converted in messages of HL7 v2 and in FHIR only"]
    );
}

/// What becomes of an Observation that is in a Bundle, and the codes of the findings.
fn observation(before: &str, after: &str, told: &[&str]) {
    let steps = "units: { results: [{ code: 14749-6, code-system: LN, unit: mg/dL, molar-mass: 180.156 }, { code: HB, code-system: 'http://lab.example/tests', unit: g/L }] }";
    let bundle = |content: &str| {
        format!(
            "{{\"resourceType\":\"Bundle\",\"type\":\"collection\",\"entry\":[{{\"resource\":{{\"resourceType\":\"Observation\",\"status\":\"final\",{content}}}}}]}}"
        )
    };
    let processed = Channel::new("fhir", FILES, steps).run(&bundle(before));
    assert_eq!(outcome(&processed), [bundle(after)]);
    let codes = processed.findings.iter().map(|one| one.code.as_str());
    assert_eq!(codes.collect::<Vec<_>>(), told, "{before}");
}

fn code(system: &str, code: &str) -> String {
    format!("\"code\":{{\"coding\":[{{\"system\":\"{system}\",\"code\":\"{code}\"}}]}}")
}

fn quantity(value: &str, unit: &str) -> String {
    format!(
        "{{\"value\":{value},\"unit\":\"{unit}\",\"system\":\"http://unitsofmeasure.org\",\"code\":\"{unit}\"}}"
    )
}

#[test]
fn observations_and_their_components_change_as_results_do() {
    let glucose = code("http://loinc.org", "14749-6");
    let haemoglobin = code("http://lab.example/tests", "HB");
    let panel = code("http://loinc.org", "24323-8");
    let of = |value: &str, unit: &str, low: &str, high: &str| {
        format!(
            "{haemoglobin},\"valueQuantity\":{},\"referenceRange\":[{{\"low\":{},\"high\":{},\"text\":\"{low} - {high}\"}}]",
            quantity(value, unit),
            quantity(low, unit),
            quantity(high, unit),
        )
    };
    let (before, after) = (
        of("14.2", "g/dL", "12.0", "16.0"),
        of("142", "g/L", "120", "160"),
    );
    let component = |content: &str| format!("{panel},\"component\":[{{{content}}}]");
    observation(&component(&before), &component(&after), &[]);
    observation(&before, &after, &[]);
    // What has another code, another system of codes, or no number stays as it is.
    for same in [
        before.replace("HB", "HBX"),
        before.replace("lab.example", "other.example"),
        format!("{glucose},\"valueString\":\"HAEMOLYSED\""),
        format!("{glucose},\"dataAbsentReason\":{{\"text\":\"none\"}}"),
    ] {
        observation(&same, &same, &[]);
    }
    for (told, content) in [
        (
            "unit-missing",
            format!("{glucose},\"valueQuantity\":{{\"value\":5.4}}"),
        ),
        (
            "unit-incompatible",
            format!("{glucose},\"valueQuantity\":{}", quantity("5.4", "10*9/L")),
        ),
        (
            "unit-unknown",
            format!("{glucose},\"valueQuantity\":{{\"value\":5.4,\"unit\":\"Titre\"}}"),
        ),
        (
            "range-not-converted",
            before.replace("12.0 - 16.0", "12.0 - 16.0 in adults"),
        ),
        (
            "range-not-converted",
            before.replace(&quantity("16.0", "g/dL"), &quantity("160", "g/L")),
        ),
    ] {
        observation(&content, &content, &[told]);
    }
}
