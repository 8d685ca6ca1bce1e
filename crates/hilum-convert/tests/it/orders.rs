//! Several orders and results in one message: what belongs to one of them stays with it.

use hilum_convert::{Arrived, BundleType, Maps, Settings, to_fhir};
use hilum_hl7v2::Message;
use serde_json::Value;

use crate::kit::{as_json, converted};

const HEAD: &str =
    "MSH|^~\\&|LAB|H|||20260102030405+0000||ORU^R01^ORU_R01|7|P|2.5.1\rPID|1||1^^^H\r";

/// The entries of the transaction that a message with these segments becomes.
fn entries(segments: &str) -> Vec<Value> {
    let settings = Settings {
        bundle: BundleType::Transaction,
        ..Settings::default()
    };
    let arrived = Arrived {
        id: "00000000-0000-4000-8000-000000000001",
        at: "2026-01-02T03:04:05Z",
    };
    let message = Message::parse(format!("{HEAD}{segments}")).unwrap();
    let bundle = as_json(&to_fhir(Maps::shipped().unwrap(), &message, &settings, &arrived).bundle);
    bundle["entry"].as_array().unwrap().clone()
}

fn of<'e>(entries: &'e [Value], name: &str) -> Vec<&'e Value> {
    let all = entries.iter().map(|entry| &entry["resource"]);
    all.filter(|one| one["resourceType"] == name).collect()
}

fn values(resource: &Value) -> Vec<&str> {
    let all = resource["identifier"].as_array().into_iter().flatten();
    all.filter_map(|one| one["value"].as_str()).collect()
}

fn urls(entries: &[Value], name: &str) -> Vec<String> {
    let found = entries
        .iter()
        .filter(|entry| entry["resource"]["resourceType"] == name);
    let request = |entry: &Value| {
        let request = &entry["request"];
        let key = request["ifNoneExist"].as_str().or(request["url"].as_str());
        key.unwrap().to_owned()
    };
    found.map(request).collect()
}

/// By the key of one the others are not found: a search that finds two stops a transaction.
fn assert_alone(entries: &[Value], name: &str) {
    let found = of(entries, name);
    for key in urls(entries, name) {
        let is_found = |one: &&&Value| {
            let all = one["identifier"].as_array().into_iter().flatten();
            let mut tokens = all.map(|one| (one["system"].as_str(), one["value"].as_str()));
            tokens.any(|(system, value)| match (system, value) {
                (Some(system), Some(value)) => {
                    let plain = key
                        .replace("%5C", "")
                        .replace("%7C", "|")
                        .replace("%3A", ":");
                    plain.ends_with(&format!("identifier={system}|{value}"))
                }
                _ => false,
            })
        };
        assert_eq!(found.iter().filter(is_found).count(), 1, "{key}");
    }
}

#[test]
fn an_order_without_orc_has_its_own_numbers_and_not_those_of_the_one_before() {
    let made = entries(
        "ORC|RE|P1^A|F1^B|||||||||1^First\rOBR|1|P1^A|F1^B|X^Ex^L\rOBX|1|NM|A^a^L||1|||||||F\r\
         SPM|1|S1^A||BLD\rOBR|2|P2^A|F2^B|Y^Why^L||||||||||||2^Second\rOBX|1|NM|B^b^L||2|||||F\r",
    );
    let reports = of(&made, "DiagnosticReport");
    let orders = of(&made, "ServiceRequest");
    assert_eq!((reports.len(), orders.len()), (2, 2));
    for (made, numbers) in reports
        .iter()
        .chain(&orders)
        .zip([["P1", "F1"], ["P2", "F2"]].iter().cycle())
    {
        assert_eq!(values(made), numbers);
    }
    assert_ne!(orders[0]["requester"], orders[1]["requester"]);
    assert_ne!(reports[0]["basedOn"], reports[1]["basedOn"]);
    // The specimen of the first order says nothing of the second.
    assert!(reports[0]["specimen"].is_array());
    assert_eq!(reports[1]["specimen"], Value::Null);
    let results = of(&made, "Observation");
    assert!(results[0]["specimen"].is_object());
    assert_eq!(results[1]["specimen"], Value::Null);
}

#[test]
fn results_under_one_number_are_as_many_as_there_are() {
    let made = entries(
        "OBR|1|P1^A|F1^B|X^Ex^L\rOBX|1|ST|A^a^L||one||||||F||||||||||77\r\
         OBX|2|ST|B^b^L||two||||||F||||||||||77\rOBX|3|ST|A^a^L||three||||||F||||||||||77\r",
    );
    let texts: Vec<_> = of(&made, "Observation")
        .iter()
        .map(|one| one["valueString"].as_str().unwrap().to_owned())
        .collect();
    assert_eq!(texts, ["one", "two", "three"]);
    let mut keys = urls(&made, "Observation");
    keys.sort();
    keys.dedup();
    assert_eq!(keys.len(), 3, "each is known by a key of its own");
    assert_alone(&made, "Observation");
}

#[test]
fn two_reports_of_one_order_are_known_by_the_number_of_whoever_reports() {
    let made = entries("OBR|1|P1^A|F1^B|X^Ex^L|||||||||||||||||||||F\rOBR|2|P1^A|F2^B|Y^Why^L\r");
    let keys = urls(&made, "DiagnosticReport");
    assert!(
        keys[0].ends_with("F1") && keys[1].ends_with("F2"),
        "{keys:?}"
    );
    // The order's number is the same for both; what is ordered is not.
    let keys = urls(&made, "ServiceRequest");
    assert!(
        keys[0].ends_with("P1") && keys[1].ends_with("F2"),
        "{keys:?}"
    );
    assert_alone(&made, "ServiceRequest");
    let orders = of(&made, "ServiceRequest");
    assert_eq!(values(orders[1]), ["P1", "F2"], "no number is lost");
}

#[test]
fn a_report_whose_numbers_have_no_authority_is_known_by_the_number_of_the_filler() {
    let made = entries("OBR|1|P1|F1|X^Ex^L\rOBR|2|P1|F2|Y^Why^L\r");
    let keys = urls(&made, "DiagnosticReport");
    assert!(
        keys[0].ends_with("F1") && keys[1].ends_with("F2"),
        "{keys:?}"
    );
}

#[test]
fn an_order_that_is_told_twice_is_one() {
    let made = entries("OBR|1|P1^A|F1^B|X^Ex^L\rOBR|2|P1^A|F2^B|X^Ex^L\r");
    assert_eq!(of(&made, "DiagnosticReport").len(), 2);
    assert_eq!(of(&made, "ServiceRequest").len(), 1);
}

#[test]
fn whoever_ordered_stands_beside_the_ordering_facility() {
    let made = entries(
        "ORC|RE|P1^A|F1^B||||||||||||||||||Clinic\rOBR|1|P1^A|F1^B|X^Ex^L||||||||||||1^Smith\r",
    );
    let roles = of(&made, "PractitionerRole");
    assert_eq!(roles.len(), 1);
    assert!(roles[0]["practitioner"].is_object() && roles[0]["organization"].is_object());
    assert_eq!(of(&made, "Practitioner")[0]["name"][0]["family"], "Smith");
}

#[test]
fn a_number_and_an_e_mail_address_in_one_field_are_two_contacts() {
    for (field, expected) in [
        (
            "555-1212^^^a@b.example",
            vec![("phone", "555-1212"), ("email", "a@b.example")],
        ),
        (
            "^PRN^PH^a@b.example^1^208^5551212",
            vec![("phone", "+1 208 5551212"), ("email", "a@b.example")],
        ),
        ("^NET^Internet^a@b.example", vec![("email", "a@b.example")]),
        ("^^^a@b.example", vec![("email", "a@b.example")]),
        ("555-1212", vec![("phone", "555-1212")]),
    ] {
        let made = entries(&format!("PID|1||1^^^H||||||||||{field}\r"));
        let patients = of(&made, "Patient");
        let telecom = patients[0]["telecom"].as_array().unwrap();
        let text = |one: &Value, name: &str| one[name].as_str().unwrap().to_owned();
        let found: Vec<_> = telecom
            .iter()
            .map(|one| (text(one, "system"), text(one, "value")))
            .collect();
        let expected: Vec<_> = expected
            .iter()
            .map(|(system, value)| ((*system).to_owned(), (*value).to_owned()))
            .collect();
        assert_eq!(found, expected, "{field}");
    }
}

#[test]
fn two_providers_of_an_order_are_not_made_one_person() {
    let order = |second: &str| {
        let text = format!(
            "MSH|^~\\&|CPOE|H|||20260102||OML^O21^OML_O21|1|P|2.5.1\rPID|||7^^^H\r\
            ORC|NW|P1^CPOE||||||||||1001^Doe^Ann^^^^^^H\rOBR|1|P1^CPOE||K^Potassium||||||||||||{second}\r"
        );
        let converted = converted(text);
        let told: Vec<String> = converted
            .findings
            .iter()
            .map(|one| one.to_string())
            .collect();
        let bundle = as_json(&converted.bundle);
        let all = bundle["entry"].as_array().unwrap().clone();
        let people = of(&all, "Practitioner");
        let people: Vec<String> = people
            .iter()
            .map(|one| one["identifier"].to_string())
            .collect();
        (people, told.iter().any(|one| one == "choice-taken OBR-16"))
    };
    for (second, told) in [
        ("1001^Doe^Ann^^^^^^H", false),
        ("1002^Roe^Bob^^^^^^H", true),
    ] {
        let (people, found) = order(second);
        assert_eq!(people.len(), 1, "{people:?}");
        assert_eq!(
            people.concat().matches("\"value\"").count(),
            1,
            "{people:?}"
        );
        assert_eq!(found, told, "{second}");
    }

    // OBR-16 alone is the requester, and nothing is told.
    let alone = converted(format!(
        "{HEAD}ORC|RE|P1\rOBR|1|P1||K||||||||||||1001^Doe^^^^^^^H\r"
    ));
    let choice =
        |one: &&hilum_convert::Finding| one.code == hilum_convert::FindingCode::ChoiceTaken;
    assert_eq!(alone.findings.iter().find(choice), None);
}
