//! Reports that have more than numbers: cultures with their susceptibilities, texts, blood groups; and
//! orders that come from another or take its place.

use std::sync::Arc;

use hilum_convert::{Arrived, FindingCode, FixedZone, Maps, Settings, to_fhir};
use hilum_hl7v2::Message;
use serde_json::{Value, json};

use crate::kit::as_json;

fn sample(name: &str) -> Vec<u8> {
    let path = format!("{}/../../corpus/hl7v2/{name}", env!("CARGO_MANIFEST_DIR"));
    std::fs::read(path).unwrap()
}

/// The Bundle of a message, and the codes of its findings.
fn convert(text: impl Into<Vec<u8>>) -> (Value, Vec<FindingCode>) {
    let settings = Settings {
        zone: Some(Arc::new(FixedZone(0))),
        ..Settings::default()
    };
    let arrived = Arrived {
        id: "00000000-0000-4000-8000-000000000001",
        at: "2026-03-01T12:00:00Z",
    };
    let message = Message::parse(text.into()).unwrap();
    let converted = to_fhir(Maps::shipped().unwrap(), &message, &settings, &arrived);
    let codes = converted.findings.iter().map(|one| one.code).collect();
    (as_json(&converted.bundle), codes)
}

fn entries<'b>(bundle: &'b Value, ty: &str) -> Vec<&'b Value> {
    let entries = bundle["entry"].as_array().unwrap().iter();
    entries
        .filter(|entry| entry["resource"]["resourceType"] == ty)
        .collect()
}

/// The Observation with this code, by its entry.
fn result<'b>(bundle: &'b Value, code: &str, sub_id: &str) -> &'b Value {
    let found = entries(bundle, "Observation").into_iter().find(|entry| {
        let resource = &entry["resource"];
        resource["code"]["coding"][0]["code"] == code
            && resource["extension"][0]["extension"][0]["valueString"] == sub_id
    });
    found.unwrap_or_else(|| panic!("no {code} {sub_id}"))
}

fn members(isolate: &Value) -> Vec<&Value> {
    let list = isolate["resource"]["hasMember"].as_array();
    list.map_or(Vec::new(), |list| {
        list.iter().map(|one| &one["reference"]).collect()
    })
}

#[test]
fn susceptibilities_are_members_of_their_isolate() {
    let (bundle, codes) = convert(sample("oru-r01-microbiology.hl7"));
    assert_eq!(codes, []);
    let coli = result(&bundle, "600-7", "1");
    let aureus = result(&bundle, "600-7", "2");
    assert_eq!(
        coli["resource"]["valueCodeableConcept"]["coding"][0]["code"],
        "ECOLI"
    );
    assert_eq!(coli["resource"]["status"], "preliminary");
    let ampicillin = result(&bundle, "28-1", "1");
    let ciprofloxacin = result(&bundle, "185-9", "1");
    let oxacillin = result(&bundle, "383-0", "2");
    assert_eq!(
        members(coli),
        [&ampicillin["fullUrl"], &ciprofloxacin["fullUrl"]]
    );
    assert_eq!(members(aureus), [&oxacillin["fullUrl"]]);
    assert_eq!(members(ampicillin), Vec::<&Value>::new());
    let found = &ampicillin["resource"];
    assert_eq!(found["interpretation"][0]["coding"][0]["code"], "R");
    assert_eq!(found["valueQuantity"]["comparator"], ">=");
    assert_eq!(found["valueQuantity"]["value"], 32);
    // The isolate by what it is known by, for those who have the susceptibilities alone.
    let parent = &found["derivedFrom"][0];
    assert_eq!(parent["identifier"], coli["resource"]["identifier"][0]);
    assert_eq!(parent["display"], "Escherichia coli");
    // The order of the susceptibilities comes from that of the culture.
    let orders = entries(&bundle, "ServiceRequest");
    let order = orders
        .iter()
        .find(|order| order["resource"]["code"]["coding"][0]["code"] == "SUS1");
    let parents = &order.unwrap()["resource"]["basedOn"];
    assert_eq!(parents[0]["identifier"]["value"], "P4401");
    assert_eq!(parents[1]["identifier"]["value"], "M2603");
}

#[test]
fn the_final_report_is_the_same_report_with_a_new_status() {
    let text = String::from_utf8(sample("oru-r01-microbiology.hl7")).unwrap();
    let (first, _) = convert(text.clone());
    let (last, codes) = convert(
        text.replace("||||||P\r", "||||||F\r")
            .replace("|||P\r", "|||F\r"),
    );
    assert_eq!(codes, []);
    let known = |bundle: &Value| -> Vec<Value> {
        let entries = entries(bundle, "Observation").into_iter();
        entries.map(|entry| entry["request"].clone()).collect()
    };
    assert_eq!(known(&first), known(&last));
    assert_eq!(result(&last, "600-7", "1")["resource"]["status"], "final");
    assert_eq!(result(&last, "28-1", "1")["resource"]["status"], "final");
}

#[test]
fn which_of_two_isolates_is_meant_is_not_guessed() {
    let text = String::from_utf8(sample("oru-r01-microbiology.hl7")).unwrap();
    // Both isolates have the same sub-id.
    let (bundle, codes) = convert(text.replace(
        "600-7^Bacteria identified^LN|2|",
        "600-7^Bacteria identified^LN|1|",
    ));
    assert!(
        codes.contains(&FindingCode::AmbiguousReference),
        "{codes:?}"
    );
    for entry in entries(&bundle, "Observation") {
        let list = entry["resource"]["hasMember"]
            .as_array()
            .map_or(0, Vec::len);
        assert_eq!(list, 0);
    }
    // Another order has an isolate of the same sub-id.
    let (bundle, _) = convert(text.replace("P4401&OE^M2603&LIS", "P4401&OE^M9999&LIS"));
    assert_eq!(members(result(&bundle, "600-7", "1")), Vec::<&Value>::new());
}

#[test]
fn blood_groups_antibodies_and_crossmatches_are_carried() {
    let (bundle, codes) = convert(sample("oru-r01-blood-bank.hl7"));
    assert_eq!(codes, []);
    let of = |code: &str| {
        let found = entries(&bundle, "Observation").into_iter();
        let mut found =
            found.filter(|entry| entry["resource"]["code"]["coding"][0]["code"] == code);
        found.next().unwrap_or_else(|| panic!("{code}"))["resource"].clone()
    };
    assert_eq!(
        of("883-9")["valueCodeableConcept"]["coding"][0]["code"],
        "LA19710-5"
    );
    assert_eq!(of("10331-7")["valueCodeableConcept"]["text"], "Rh positive");
    assert_eq!(of("890-4")["valueString"], "Positive");
    let antibodies = entries(&bundle, "Observation");
    let antibodies = antibodies
        .iter()
        .filter(|entry| entry["resource"]["code"]["coding"][0]["code"] == "888-8");
    assert_eq!(antibodies.count(), 2);
    assert_eq!(
        of("1250-0")["valueCodeableConcept"]["coding"][0]["code"],
        "COMP"
    );
    assert_eq!(of("1250-0")["note"][0]["text"], "Unit W0000 26 123456");
}

#[test]
fn the_lines_of_a_report_keep_their_order_their_breaks_and_their_tables() {
    let (bundle, _) = convert(sample("oru-r01-pathology.hl7"));
    let text = |sub_id: &str| result(&bundle, "22634-0", sub_id)["resource"]["valueString"].clone();
    assert_eq!(
        text("1"),
        "MACROSCOPY\nTwo fragments, 4 mm and 6 mm.\n  Block  Slides\n  A1     3\n  A2     2"
    );
    assert_eq!(text("2"), "ADDENDUM 02.03.2026\nHER2 negative.");
    let report = entries(&bundle, "DiagnosticReport")[0];
    let results = report["resource"]["result"].as_array().unwrap();
    let urls: Vec<&Value> = results.iter().map(|one| &one["reference"]).collect();
    assert_eq!(
        urls,
        [
            &result(&bundle, "22634-0", "1")["fullUrl"],
            &result(&bundle, "22634-0", "2")["fullUrl"]
        ]
    );
    assert_eq!(
        result(&bundle, "22634-0", "2")["resource"]["status"],
        "amended"
    );
}

#[test]
fn an_order_that_takes_the_place_of_another_says_so() {
    let order = |orc: &str, obr29: &str| {
        let (bundle, _) = convert(format!(
            "MSH|^~\\&|OE|H|||20260301||OML^O21^OML_O21|1|P|2.5.1\rPID|1||1^^^H\r{orc}\r\
             OBR|1|P2^OE||GLU^Glucose^L{}{obr29}\r",
            "|".repeat(25)
        ));
        entries(&bundle, "ServiceRequest")[0]["resource"].clone()
    };
    let new = order("ORC|RO|P2^OE||||||P1&OE^F1&LIS", "");
    assert_eq!(new["status"], "active");
    assert_eq!(new["replaces"][0]["identifier"]["value"], "P1");
    assert_eq!(new["replaces"][1]["identifier"]["value"], "F1");
    assert_eq!(new["basedOn"], Value::Null);
    for control in ["RP", "RU"] {
        let old = order(&format!("ORC|{control}|P2^OE"), "");
        assert_eq!(old["status"], "revoked", "{control}");
    }
    let child = order("ORC|CH|P2^OE||||||P1&OE", "");
    assert_eq!(child["basedOn"][0]["identifier"]["value"], "P1");
    assert_eq!(child["replaces"], Value::Null);
    let both = order("ORC|CH|P2^OE||||||P1&OE", "P1&OE");
    assert_eq!(both["basedOn"].as_array().unwrap().len(), 1);
    // Some results are there, and the order goes on.
    assert_eq!(order("ORC|SC|P2^OE|||A", "")["status"], "active");
    let reflex = order("ORC|NW|P2^OE", "");
    assert_eq!(reflex["intent"], json!("order"));
}
