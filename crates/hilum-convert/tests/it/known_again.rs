//! By what resources without a number of their own are known again in the next message.

use std::collections::BTreeMap;

use hilum_convert::{Arrived, FindingCode, Maps, Settings, to_fhir};
use hilum_hl7v2::Message;

use crate::kit::{as_json, converted};

/// The requests that a message makes of its resources of a type.
fn requests(ty: &str, id: &str, facility: &str, segments: &str) -> Vec<String> {
    let authorities = [("STE".to_owned(), "urn:oid:2.999.1.1".to_owned())];
    let settings = Settings {
        authorities: BTreeMap::from(authorities),
        ..Settings::default()
    };
    let text = format!("MSH|^~\\&|APP|{facility}|||20260102||{segments}");
    let message = Message::parse(text).unwrap();
    let arrived = Arrived {
        id,
        at: "2026-01-02T03:04:05Z",
    };
    let converted = to_fhir(Maps::shipped().unwrap(), &message, &settings, &arrived);
    let bundle = as_json(&converted.bundle);
    let entries = bundle["entry"].as_array().unwrap().iter();
    let of_type = entries.filter(|entry| entry["resource"]["resourceType"] == ty);
    of_type
        .map(|entry| {
            entry["request"]
                .to_string()
                .replace("%7C", "|")
                .replace("%5C|", "/")
        })
        .collect()
}

/// Two messages of two senders speak of the same things, or they do not.
fn check(ty: &str, segments: &str, same: bool, part: &str) {
    let (first, second) = (
        requests(ty, "m1", "WARDS", segments),
        requests(ty, "m2", "NORTH", segments),
    );
    assert!(!first.is_empty(), "no {ty} in {segments}");
    assert_eq!(first == second, same, "{first:?}\n{second:?}");
    assert!(
        first.iter().any(|request| request.contains(part)),
        "{first:?}"
    );
}

#[test]
fn what_has_no_number_is_known_by_what_it_says_or_belongs_to() {
    let order = "OML^O21^OML_O21|1|P|2.5.1\rPID|||7^^^STE\rPV1||I|W1^2^3^STE\r\
        ORC|NW|P1^CPOE||||||||||1001^Doe^Ann^^^^^^STE\rOBR|1|P1^CPOE||K^Potassium\r";
    check(
        "PractitionerRole",
        order,
        true,
        "identifier=urn%3Ahilum%3Aderived|",
    );
    // Somebody without a number may be somebody else in the next message.
    let unnumbered = order.replace("1001^Doe", "^Doe");
    check("PractitionerRole", &unnumbered, false, "PractitionerRole/");
    // Another person is in another role.
    let role = |order: &str| requests("PractitionerRole", "m1", "WARDS", order);
    assert_ne!(role(order), role(&order.replace("1001^Doe", "1002^Roe")));

    // A facility whose name the site declares is the same whoever says it.
    check(
        "Location",
        order,
        true,
        "derived|urn%3Aoid%3A2.999.1.1/W1/2/3",
    );
    check(
        "Location",
        &order.replace("^3^STE", "^3^OTHER"),
        false,
        "derived|WARDS/OTHER/W1",
    );

    let result = "ORU^R01^ORU_R01|1|P|2.3\rPID|||7^^^STE\r\
        OBR|1||F1^LAB|K^Potassium|||||||||||2026010207\rOBX|1|NM|K||4.1\r";
    check(
        "Specimen",
        result,
        true,
        "Specimen?identifier=urn%3Ahilum%3Aderived|F1/LAB/K/7",
    );
    let two = "ORU^R01^ORU_R01|1|P|2.5.1\rPID|||7^^^STE\rOBR|1|P1|F1^LAB|K^Potassium\r\
        OBX|1|NM|K||4.1\rSPM|1|||BLD\rSPM|2|||UR\r";
    check("Specimen", two, true, "derived|BLD/1/P1/LAB/F1");
    check("Specimen", two, true, "derived|UR/2/P1/LAB/F1");
}

/// Who is taken for somebody else in a message, and what tells it.
fn conflicts(segments: &str) -> Vec<String> {
    let text = format!("MSH|^~\\&|APP|STE|||20260102||{segments}");
    let found = converted(text).findings.into_iter();
    let found = found.filter(|one| one.code == FindingCode::IdentityConflict);
    found.map(|one| one.to_string()).collect()
}

#[test]
fn one_number_with_two_names_is_told() {
    let two = |second: &str| {
        conflicts(&format!(
            "ORU^R01^ORU_R01|1|P|2.5.1\rPID|||7^^^STE||Muster^Ann||19800102|F\r\
            OBR|1||F1|K^Potassium\rOBX|1|NM|K||4.1\r{second}\rOBR|2||F2|K^Potassium\rOBX|1|NM|K||4.2\r"
        ))
    };
    assert_eq!(
        two("PID|||7^^^STE||Roe^Bob^C||19810102|M"),
        [
            "identity-conflict PID: Patient.birthDate",
            "identity-conflict PID: Patient.gender",
            "identity-conflict PID: Patient.name",
        ]
    );
    // Another spelling, a nickname beside it, less of a date, and another number are no conflict.
    for second in [
        "PID|||7^^^STE||MUSTER^ann^X||1980|F",
        "PID|||7^^^STE||Muster^A.~Roe^Ann",
        "PID|||7^^^STE||Roe^Ann~Muster^Ann",
        "PID|||7^^^STE",
        "PID|||8^^^STE||Roe^Bob||19810102|M",
        "PID|||7^^^OTHER||Roe^Bob||19810102|M",
    ] {
        assert_eq!(two(second), [""; 0], "{second}");
    }

    let provider = |second: &str| {
        conflicts(&format!(
            "OML^O21^OML_O21|1|P|2.5.1\rPID|||7^^^STE\rPV1||I|||||1001^Doe^Ann^^^^^^STE|{second}\r\
            ORC|NW|P1^CPOE\rOBR|1|P1^CPOE||K^Potassium\r"
        ))
    };
    assert_eq!(
        provider("1001^Roe^Bob^^^^^^STE"),
        ["identity-conflict PV1-8: Practitioner.name"]
    );
    assert_eq!(provider("1001^DOE^A^^^^^^STE"), [""; 0]);
    assert_eq!(provider("1002^Roe^Bob^^^^^^STE"), [""; 0]);
}

#[test]
fn a_patient_is_known_again_by_the_number_of_the_hospital_whichever_others_are_said() {
    for pid in [
        "PID|||7^^^STE^MR",
        "PID|||7^^^STE",
        "PID||9^^^EXT|7^^^STE^MR",
        "PID||9^^^EXT|7^^^STE",
        "PID|||7^^^STE^MR|9^^^OLD",
        "PID|||7^^^STE^MR~9^^^EXT^NH",
        "PID|||9^^^EXT^NH~7^^^STE^MR",
    ] {
        let segments = format!("ADT^A08^ADT_A01|1|P|2.5.1\r{pid}\r");
        let found = requests("Patient", "m1", "WARDS", &segments);
        let [request] = &found[..] else {
            panic!("{pid}: {found:?}");
        };
        assert!(
            request.contains("Patient?identifier=urn%3Aoid%3A2.999.1.1|7\""),
            "{pid}: {request}"
        );
    }
}

#[test]
fn no_record_is_given_up_where_only_another_number_of_the_patient_changes() {
    for (event, structure, mrg, count) in [
        ("A46", "ADT_A30", "MRG|7^^^STE^MR|||1^^^EXT", 1),
        ("A46", "ADT_A30", "MRG||||1^^^EXT", 1),
        ("A48", "ADT_A30", "MRG|7^^^STE^MR|1^^^OLD", 1),
        ("A47", "ADT_A30", "MRG|7^^^STE^MR~1^^^EXT", 1),
        ("A40", "ADT_A39", "MRG|7^^^STE^MR", 1),
        ("A46", "ADT_A30", "MRG|8^^^STE^MR", 2),
        ("A47", "ADT_A30", "MRG|8^^^STE^MR", 2),
        ("A47", "ADT_A30", "MRG|7^^^OTHER^MR", 2),
        ("A40", "ADT_A39", "MRG|8^^^STE^MR", 2),
        ("A40", "ADT_A39", "MRG|7^^^STE^MR~8^^^STE^MR", 2),
        ("A34", "ADT_A30", "MRG||||8^^^STE^MR", 2),
    ] {
        let pid = "PID||2^^^EXT|7^^^STE^MR~2^^^EXT";
        let segments = format!("ADT^{event}^{structure}|1|P|2.5.1\rEVN\r{pid}\r{mrg}\r");
        let found = requests("Patient", "m1", "WARDS", &segments);
        assert_eq!(found.len(), count, "{event} {mrg}: {found:?}");
    }
}
