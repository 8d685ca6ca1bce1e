//! What messages become with the rows that are brought along: who is whose.

use hilum_convert::{Converted, FindingCode};
use hilum_fhir::Node;

use crate::kit::converted;

fn convert(event: &str, segments: &str) -> Converted {
    converted(format!(
        "MSH|^~\\&|APP|HOSP|||20260102030405||{event}|7|P|2.8.2\r{segments}"
    ))
}

/// Follows element names, the first of each list; a reference is followed to its resource.
fn text(converted: &Converted, resource: Node<'_>, path: &str) -> String {
    let mut at = resource;
    for name in path.split('.') {
        if name == "resolve()" {
            let url = at.child_text("reference").unwrap_or_default();
            let mut entries = converted.bundle.root().children_named("entry");
            let Some(found) = entries.find(|entry| entry.child_text("fullUrl") == Some(url)) else {
                return "nowhere".to_owned();
            };
            at = found.child("resource").expect("a resource");
            continue;
        }
        let Some(child) = at.children_named(name).next() else {
            return String::new();
        };
        at = child;
    }
    at.text().unwrap_or_default().to_owned()
}

/// The texts at a path of every resource of a type.
fn check(converted: &Converted, ty: &str, path: &str, expected: &[&str]) {
    let entries = converted.bundle.root().children_named("entry");
    let found: Vec<String> = entries
        .filter_map(|entry| entry.child("resource"))
        .filter(|resource| resource.type_name() == ty)
        .map(|resource| text(converted, resource, path))
        .collect();
    assert_eq!(found, expected, "{ty}.{path}");
}

const EVN: &str = "EVN||20260102030405\r";

#[test]
fn two_patients_of_one_message_keep_their_visits() {
    let converted = convert(
        "ADT^A17^ADT_A17",
        &format!(
            "{EVN}PID|||1^^^H||ONE\rPV1||I|||||||||||||||||V1^^^H\rPID|||2^^^H||TWO\rPV1||I|||||||||||||||||V2^^^H\r"
        ),
    );
    check(&converted, "Encounter", "identifier.value", &["V1", "V2"]);
    check(
        &converted,
        "Encounter",
        "subject.resolve().name.family",
        &["ONE", "TWO"],
    );
}

#[test]
fn each_diagnosis_of_a_visit_is_its_own() {
    let converted = convert(
        "ADT^A01^ADT_A01",
        &format!("{EVN}PID|||1^^^H\rPV1||I\rDG1|1||A00^Cholera^I10\rDG1|2||B00^Herpes^I10\r"),
    );
    let mut entries = converted.bundle.root().children_named("entry");
    let visit = entries
        .find_map(|entry| {
            let resource = entry.child("resource")?;
            (resource.type_name() == "Encounter").then_some(resource)
        })
        .expect("a visit");
    let codes: Vec<String> = visit
        .children_named("diagnosis")
        .map(|diagnosis| {
            text(
                &converted,
                diagnosis,
                "condition.resolve().code.coding.code",
            )
        })
        .collect();
    assert_eq!(codes, ["A00", "B00"]);
}

#[test]
fn a_role_belongs_to_what_it_follows() {
    let converted = convert(
        "ADT^A01^ADT_A01",
        &format!(
            "{EVN}PID|||1^^^H\rROL|1|AD|PP^^HL70443|7^House\rPV1||I\rROL|2|AD|AT^^HL70443|8^Wilson\rPRT||AD||AT|9^Cuddy\r"
        ),
    );
    check(
        &converted,
        "Patient",
        "generalPractitioner.resolve().practitioner.resolve().name.family",
        &["House"],
    );
    check(
        &converted,
        "Encounter",
        "participant.individual.resolve().practitioner.resolve().name.family",
        &["Wilson"],
    );
    check(
        &converted,
        "CareTeam",
        "participant.member.resolve().name.family",
        &["Cuddy"],
    );
}

#[test]
fn an_event_with_rows_of_its_own_has_those() {
    let segments = format!("{EVN}PID|||1^^^H\rPV1||I\rDG1|1||A00^Cholera^I10\r");
    let cancelled = convert("ADT^A11^ADT_A09", &segments);
    check(&cancelled, "Encounter", "status", &["cancelled"]);
    check(&cancelled, "Condition", "code.coding.code", &["A00"]);
}

#[test]
fn of_several_specimens_none_is_guessed() {
    let one = "PID|||1^^^H\rOBR|1||F1^L|X^Panel^L|||||||||||||||||||||F\rOBX|1|ST|Y^Test^L||grown||||||F\rSPM|1|S1^L||BLD\r";
    let converted = convert("ORU^R01^ORU_R01", one);
    check(
        &converted,
        "Observation",
        "specimen.resolve().type.coding.code",
        &["BLD"],
    );
    let converted = convert("ORU^R01^ORU_R01", &format!("{one}SPM|2|S2^L||UR\r"));
    check(&converted, "Observation", "specimen", &[""]);
    let found = |code| {
        converted
            .findings
            .iter()
            .any(|finding| finding.code == code)
    };
    assert!(found(FindingCode::AmbiguousReference));
}

#[test]
fn the_dose_of_an_order_is_one() {
    let converted = convert(
        "RDE^O11^RDE_O11",
        "PID|||1^^^H\rORC|NW|P1^A\rRXE||D^Drug^L|5||mg\rTQ1|1||BID\rRXR|PO^Oral^HL70162\r",
    );
    check(
        &converted,
        "MedicationRequest",
        "dosageInstruction.doseAndRate.dose.unit",
        &["mg"],
    );
    check(
        &converted,
        "MedicationRequest",
        "dosageInstruction.timing.code.coding.code",
        &["BID"],
    );
    check(
        &converted,
        "MedicationRequest",
        "dosageInstruction.route.coding.code",
        &["PO"],
    );
}

#[test]
fn a_number_without_an_authority_is_that_of_its_sender() {
    let converted = convert(
        "ADT^A01^ADT_A01",
        &format!("{EVN}PID|||1\rPV1||I|W1^R2^B3||||7^House\r"),
    );
    let mut urls: Vec<&str> = converted
        .bundle
        .root()
        .children_named("entry")
        .filter_map(|entry| {
            let request = entry.child("request")?;
            request
                .child_text("ifNoneExist")
                .or_else(|| request.child_text("url"))
        })
        .filter(|url| url.contains("derived"))
        .collect();
    urls.sort_unstable();
    assert_eq!(
        urls,
        [
            "Patient?identifier=urn%3Ahilum%3Aderived%7CHOSP%5C%7C1",
            "identifier=urn%3Ahilum%3Aderived%7CHOSP%5C%7C7",
            "identifier=urn%3Ahilum%3Aderived%7CHOSP%5C%7CHOSP",
            "identifier=urn%3Ahilum%3Aderived%7CHOSP%5C%7CW1",
            "identifier=urn%3Ahilum%3Aderived%7CHOSP%5C%7CW1%5C%7CR2",
            "identifier=urn%3Ahilum%3Aderived%7CHOSP%5C%7CW1%5C%7CR2%5C%7CB3",
        ]
    );
}

#[test]
fn a_derived_key_needs_its_patient_and_counts_what_is_there_twice() {
    let lines = "OBR|1||F1^L|X^Panel^L|||||||||||||||||||||F\rOBX|1|ST|Y^Test^L||one||||||F\rOBX|2|ST|Y^Test^L||two||||||F\r";
    let converted = convert("ORU^R01^ORU_R01", &format!("PID|||1^^^H\r{lines}"));
    check(
        &converted,
        "Observation",
        "identifier.value",
        &["Y|L|F1", "Y|L|F1|2"],
    );
    let nobody = convert(
        "ADT^A01^ADT_A01",
        &format!("{EVN}PID||||||\rPV1||I\rDG1|1||A00^Cholera^I10\r"),
    );
    check(&nobody, "Condition", "identifier.value", &[""]);
}

#[test]
fn a_note_is_that_of_its_owner() {
    let converted = convert(
        "ORU^R01^ORU_R01",
        "PID|||1^^^H\rOBR|1||F1^L|X^Panel^L|||||||||||||||||||||F\rNTE|1||report\rOBX|1|ST|Y^Test^L||one||||||F\rNTE|1||first~line\rOBX|2|ST|Z^Test^L||two||||||F\rNTE|1||second\r",
    );
    check(
        &converted,
        "Observation",
        "note.text",
        &["first\nline", "second"],
    );
}

#[test]
fn components_are_ingredients_of_the_drug_that_they_make() {
    let converted = convert(
        "RDE^O11^RDE_O11",
        "PID|||42^^^H\rORC|NW|1\rTQ1|1\rRXO|BAG^Bag^L\r\
         RXE||TPN^Nutrition^L|1||mL\rRXR|IV\r\
         RXC|B|D5W^Dextrose^L|500|mL\rRXC|A|KCL^Potassium^L|20.0|meq\r\
         ORC|NW|2\rRXE||ASA^Aspirin^L|1||mg\rRXR|PO\r",
    );
    check(
        &converted,
        "MedicationRequest",
        "medication.resolve().code.coding.code",
        &["TPN", "BAG", "nowhere"],
    );
    check(
        &converted,
        "MedicationRequest",
        "medication.coding.code",
        &["", "", "ASA"],
    );
    let mut found = Vec::new();
    for entry in converted.bundle.root().children_named("entry") {
        let resource = entry.child("resource").expect("a resource");
        for ingredient in resource.children_named("ingredient") {
            let at = |path: &str| text(&converted, ingredient, path);
            let item = at("item.coding.code");
            let amount = at("strength.numerator.value");
            found.push(format!("{item} {amount}"));
        }
    }
    assert_eq!(found, ["D5W 500", "KCL 20.0"]);
}

#[test]
fn problems_are_conditions_with_what_was_ordered_for_them() {
    let converted = convert(
        "PPR^PC1^PPR_PC1",
        "PID|||42^^^H\rPRB|AD|20260101|I10^Hypertension^I10C|77^H|||20251224|||||||||20200101\r\
         ORC|NW|1\rOBR|1|1||X^Y^L\r\
         PRB|UC|20260101|J45^Asthma^I10C|78^H|||||20260101\r",
    );
    check(&converted, "Condition", "code.coding.code", &["I10", "J45"]);
    check(
        &converted,
        "Condition",
        "clinicalStatus.coding.code",
        &["active", "resolved"],
    );
    check(
        &converted,
        "ServiceRequest",
        "reasonReference.resolve().code.coding.code",
        &["I10"],
    );
}

#[test]
fn further_numbers_of_the_insured_stand_at_their_coverage() {
    let converted = convert(
        "ADT^A01^ADT_A01",
        &format!(
            "{EVN}PID|||42^^^H\rPV1||I\rIN1|1|A^Plan A|1^^^X|Insurer\rIN2||||||1EG4\r\
             IN1|2|B^Plan B|2^^^X|Other\rIN2{}MEM9\r",
            "|".repeat(61)
        ),
    );
    check(
        &converted,
        "Coverage",
        "identifier.value",
        &["1EG4", "MEM9"],
    );
}
