//! Values of OBX with the rows that are brought along: what is a number, and what stays text.

use hilum_convert::{Converted, FindingCode};
use hilum_fhir::{Style, json};

use crate::kit::converted;

fn convert(obx: &str) -> Converted {
    converted(format!(
        "MSH|^~\\&|LAB|H|||20260102030405||ORU^R01^ORU_R01|7|P|2.5.1\rPID|1||1^^^H\rOBR|1||2|X^Y^L\r{obx}\r"
    ))
}

fn bundle(converted: &Converted) -> String {
    let mut out = Vec::new();
    json::write(&converted.bundle, Style::Compact, &mut out);
    String::from_utf8(out).expect("text")
}

/// The first Observation, compact.
fn observation(converted: &Converted) -> String {
    let mut entries = converted.bundle.root().children_named("entry");
    let found = entries
        .find_map(|entry| {
            let resource = entry.child("resource")?;
            (resource.type_name() == "Observation").then_some(resource)
        })
        .expect("an Observation");
    let mut out = Vec::new();
    json::write_node(found, Style::Compact, &mut out);
    String::from_utf8(out).expect("text")
}

/// What the value of an OBX of this type, with this value and unit, becomes, and the finding about it.
fn check(ty: &str, value: &str, unit: &str, expected: &str, finding: Option<FindingCode>) {
    let converted = convert(&format!("OBX|1|{ty}|GLU^Glucose^L||{value}|{unit}|||||F"));
    let written = observation(&converted);
    assert!(
        written.contains(expected),
        "{ty} {value}: {expected}\n{written}"
    );
    let about = |place: &hilum_convert::Location| place.segment == *b"OBX";
    let found: Vec<_> = converted
        .findings
        .iter()
        .filter(|one| about(&one.place))
        .map(|one| one.code)
        .collect();
    assert_eq!(
        found,
        finding.into_iter().collect::<Vec<_>>(),
        "{ty} {value}"
    );
}

const MG: &str = r#""unit":"mg/dL","system":"http://unitsofmeasure.org","code":"mg/dL""#;

#[test]
fn a_number_keeps_its_digits_its_comparator_and_its_unit() {
    let quantity = |value: &str| format!(r#""valueQuantity":{{"value":{value},{MG}}}"#);
    let compared = |sign: &str, value: &str| {
        format!(r#""valueQuantity":{{"value":{value},"comparator":"{sign}",{MG}}}"#)
    };
    check("NM", "5.40", "mg/dL", &quantity("5.40"), None);
    check("NM", "+5.40", "mg/dL", &quantity("5.40"), None);
    check("NM", "<2.0", "mg/dL", &compared("<", "2.0"), None);
    check("NM", ">100", "mg/dL", &compared(">", "100"), None);
    check("NM", "<=5", "mg/dL", &compared("<=", "5"), None);
    check("NM", "=> 5", "mg/dL", &compared(">=", "5"), None);
    check("SN", "<^2.0", "mg/dL", &compared("<", "2.0"), None);
    check("SN", "=^2.0", "mg/dL", &quantity("2.0"), None);
    check("SN", "^2.0", "mg/dL", &quantity("2.0"), None);
}

#[test]
fn a_number_is_never_guessed() {
    let refused = Some(FindingCode::ValueRefused);
    for text in ["NEGATIVE", "5,4", ">abc", "5 mg", "1-2", "<>5", "> <5"] {
        let expected = format!(r#""valueString":"{text} mg/dL""#);
        check("NM", text, "mg/dL", &expected, refused);
    }
    for (value, text) in [
        ("^5,4", "5,4 mg/dL"),
        ("^<5", "<5 mg/dL"),
        ("^1^:^many", "1 : many mg/dL"),
    ] {
        let expected = format!(r#""valueString":"{text}""#);
        check("SN", value, "mg/dL", &expected, refused);
    }
    for (value, text) in [
        ("<>^5", "<> 5 mg/dL"),
        ("about^5", "about 5 mg/dL"),
        ("^3^+", "3 + mg/dL"),
        ("^1^:", "1 : mg/dL"),
        ("^3^.^5", "3 . 5 mg/dL"),
        (">^10^-^20", "> 10 - 20 mg/dL"),
    ] {
        let expected = format!(r#""valueString":"{text}""#);
        check("SN", value, "mg/dL", &expected, None);
    }
}

#[test]
fn structured_numbers_are_ratios_and_ranges() {
    let text = r#""extension":[{"url":"http://hl7.org/fhir/StructureDefinition/originalText","valueString":"#;
    let ratio = format!(
        r#""valueRatio":{{{text}"1 : 160"}}],"numerator":{{"value":1}},"denominator":{{"value":160}}}}"#
    );
    check("SN", "^1^:^160", "", &ratio, None);
    let range = format!(
        r#""valueRange":{{{text}"10 - 20"}}],"low":{{"value":10,{MG}}},"high":{{"value":20,{MG}}}}}"#
    );
    check("SN", "^10^-^20", "mg/dL", &range, None);
}

#[test]
fn a_unit_is_kept_as_it_came_and_a_code_where_it_is_one() {
    let unit = |unit: &str, expected: &str| {
        let expected = format!(r#""valueQuantity":{{"value":5,{expected}}}"#);
        check("NM", "5", unit, &expected, None);
    };
    unit("mg/dL", MG);
    unit("tbl", r#""unit":"tbl""#);
    unit("10^3/uL", r#""unit":"10^3/uL""#);
    unit("^milligram", r#""unit":"milligram""#);
    unit("^^^mg/dL^^UCUM", MG);
    let words = MG.replacen("mg/dL", "milligrams", 1);
    unit("mg/dL^milligrams^UCUM", &words);
}

/// Several values of one OBX are components, with the code and the unit of the OBX.
#[test]
fn components_have_code_and_unit_as_a_single_value_has() {
    let converted = convert("OBX|1|NM|GLU^Glucose^L||5.0~<2.0~none|mg/dL|||||F");
    let code = r#""code":{"coding":[{"system":"urn:id:L","code":"GLU","display":"Glucose"}]}"#;
    let expected = format!(
        r#""component":[{{{code},"valueQuantity":{{"value":5.0,{MG}}}}},{{{code},"valueQuantity":{{"value":2.0,"comparator":"<",{MG}}}}},{{{code},"valueString":"none mg/dL"}}]"#
    );
    let found = observation(&converted);
    assert!(found.contains(&expected), "{expected}\n{found}");
}

#[test]
fn what_the_order_and_the_structure_say_is_not_told_as_unmapped() {
    let converted = convert("NTE|1||text\rOBX|1|ST|A^B^L|9|x||||||F\rZZZ|1|a");
    let unmapped: Vec<String> = converted.unmapped.iter().map(ToString::to_string).collect();
    assert_eq!(unmapped, ["ZZZ"]);
}

/// Without an ORC it is OBR alone that knows who ordered.
#[test]
fn the_requester_of_a_result_without_orc_is_kept() {
    let obr = "OBR|2|P1|3|X^Y^L||||||||||||77^House^Greg\rOBX|1|ST|A^B^L||x||||||F";
    let written = bundle(&convert(obr));
    assert!(
        written.contains("\"requester\":{\"reference\":"),
        "{written}"
    );
    assert!(
        written.contains("\"basedOn\":[{\"reference\":"),
        "{written}"
    );
    assert!(written.contains("\"family\":\"House\""), "{written}");
}

#[test]
fn the_collectors_comment_stands_at_the_specimen_of_spm() {
    let obr = format!("OBR|2||3|X^Y^L{}a^haemolytic", "|".repeat(35));
    let written = bundle(&convert(&format!("{obr}\rSPM|1|||BLD^Blood^HL70487")));
    assert_eq!(written.matches("\"resourceType\":\"Specimen\"").count(), 1);
    assert!(
        written.contains("\"note\":[{\"text\":\"haemolytic\"}]"),
        "{written}"
    );
}
