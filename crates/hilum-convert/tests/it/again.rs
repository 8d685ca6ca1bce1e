//! What is made again for a segment that says the same is what its rows would have made: where each
//! element is to say why it is there, every row runs, and the Bundle is the same.

use hilum_convert::{Maps, Settings, to_fhir};
use hilum_fhir::{Style, json};
use hilum_hl7v2::Message;

use crate::samples::{ARRIVED, messages, settings, shared};

/// Converts both ways; gives the findings.
fn check(message: &Message, what: &str) -> usize {
    let maps = Maps::shipped().expect("maps");
    let all_rows = Settings {
        explain: true,
        ..settings()
    };
    let again = to_fhir(maps, message, &settings(), &ARRIVED);
    let by_rows = to_fhir(maps, message, &all_rows, &ARRIVED);
    let written = |bundle| {
        let mut out = Vec::new();
        json::write(bundle, Style::Compact, &mut out);
        String::from_utf8(out).expect("text")
    };
    assert_eq!(written(&again.bundle), written(&by_rows.bundle), "{what}");
    assert_eq!(again.findings, by_rows.findings, "{what}");
    again.findings.len()
}

/// Three results with many fields, the second of which has one of them otherwise.
fn results(field: usize, value: &str) -> Message {
    let same = "OBX|1|NM|2345-7^Glucose^LN|1|5.4|mmol/L^^UCUM|3.5-5.1|H||N|F|||20260102010000|LAB1^Lab One^L|77^Roe^Jan|M1^Method^L|D1^DEV||20260102|A1^Arm^L||North Lab^^77|1 High St^^Town|88^Doe^Ann";
    let mut other: Vec<&str> = same.split('|').collect();
    other[field] = value;
    let text = format!(
        "MSH|^~\\&|LAB|H|||20260102030405||ORU^R01^ORU_R01|7|P|2.5.1\rPID|1||1^^^H\rOBR|1||2|X^Y^L|||20260102|||||||||||||||20260102030000||LAB|F\r{same}\r{}\r{same}\rNTE|1||seen\r{same}\r",
        other.join("|")
    );
    Message::parse(text).expect("a message")
}

#[test]
fn a_result_that_differs_in_one_field_is_not_the_one_before_it() {
    let mut findings = 0;
    for field in 1..=25 {
        for value in ["", "\"\"", "^^", "ST", "7", "x~y", "20260103", "X^Other^L"] {
            let message = results(field, value);
            findings += check(&message, &format!("OBX-{field} = {value}"));
        }
    }
    assert!(findings > 0);
}

#[test]
fn samples_are_the_same_with_and_without_what_is_made_again() {
    let Some(folder) = shared("samples/hl7v2", "what is made again") else {
        return;
    };
    let mut count = 0;
    for (path, message) in messages(&folder) {
        check(&message, &path.display().to_string());
        count += 1;
    }
    assert!(count > 0);
}
