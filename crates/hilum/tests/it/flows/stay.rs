//! A stay in hospital from the admission over order, result and correction to the discharge, seen
//! from each system at its end.

use std::collections::BTreeMap;

use serde_json::Value;

use super::{ADMISSIONS, Hospital, ORDERS, RESULTS, at, field, result, sample};

/// A result of the hospital's laboratory for the order that the wards placed.
fn oru(control_id: &str, at: &str, status: &str, results: &[&str]) -> Vec<u8> {
    let obr = format!(
        "OBR|1|P5501^CPOE|A9001^NLAB|CHEM^Klinische Chemie^L|||20261102074000|||||||20261102075500\
         ||1001^CARER^ADA^^^^^^STE||||||{at}||LAB|{status}"
    );
    let mut lines = vec![
        format!(
            "MSH|^~\\&|NLAB|NORTH|HILUM|STE|{at}||ORU^R01^ORU_R01|{control_id}|P|2.5.1|||AL|NE||UNICODE UTF-8"
        ),
        "PID|1||4711^^^STE^MR||MÜLLER^ANNA^MARIA||19840417|F".to_owned(),
        "PV1|1|I|MED1^07^1^STE||||||||||||||||V0815^^^STE-VISIT^VN".to_owned(),
        "ORC|RE|P5501^CPOE|A9001^NLAB||CM".to_owned(),
        obr,
    ];
    let results = results.iter().enumerate();
    lines.extend(results.map(|(at, result)| format!("OBX|{}|NM|{result}", at + 1)));
    lines.join("\r").into_bytes()
}

#[tokio::test]
async fn a_stay_is_one_story_in_every_system_from_the_admission_to_the_discharge() {
    let hospital = Hospital::of(&["lab-to-fhir", "adt-to-fhir", "orders"]).await;
    let preliminary = [
        "K^Kalium^L||3.9|mmol/l|3.5-5.1|N|||P|||20261102074000",
        "NA^Natrium^L||139|mmol/l|136-145|N|||P|||20261102074000",
    ];
    let last = [
        "K^Kalium^L||4.1|mmol/l|3.5-5.1|N|||F|||20261102074000",
        "NA^Natrium^L||139|mmol/l|136-145|N|||F|||20261102074000",
        "KREA^Kreatinin^L||182|umol/l|45-84|H|||F|||20261102074000",
    ];
    let corrected = [
        "K^Kalium^L||5.40|mmol/l|3.5-5.1|H|||C|||20261102074000",
        last[1],
        last[2],
    ];

    hospital
        .send(ADMISSIONS, &sample("adt-to-fhir/samples/a01.hl7"))
        .await;
    hospital
        .delivered(&[("admissions store", 1), ("admissions ehr", 1)])
        .await;
    let visit = hospital.only("Encounter").await;
    assert_eq!(visit["status"], "in-progress");

    hospital
        .send(ORDERS, &sample("orders/samples/oml-new.hl7"))
        .await;
    hospital
        .delivered(&[("orders store", 1), ("orders laboratory", 1)])
        .await;

    let first = oru("N1", "20261102080000", "P", &preliminary);
    hospital.send(RESULTS, &first).await;
    hospital
        .delivered(&[("results store", 1), ("results ehr", 1)])
        .await;
    let potassium = hospital
        .only("Observation?code=http://loinc.org|2823-3")
        .await;
    assert_eq!(
        (&potassium["status"], at(&potassium, "/meta/versionId")),
        (&"preliminary".into(), "1")
    );
    // The connection broke before the answer came, so the laboratory sends it again.
    hospital.send(RESULTS, &first).await;

    hospital
        .send(RESULTS, &oru("N2", "20261102081500", "F", &last))
        .await;
    hospital
        .send(RESULTS, &oru("N3", "20261102093000", "C", &corrected))
        .await;
    hospital
        .send(ADMISSIONS, &sample("adt-to-fhir/samples/a03.hl7"))
        .await;
    hospital
        .delivered(&[
            ("results store", 3),
            ("results ehr", 3),
            ("admissions store", 2),
            ("admissions ehr", 2),
            ("orders laboratory", 1),
        ])
        .await;

    the_record(&hospital);
    the_laboratory(&hospital);
    the_store(&hospital).await;
}

/// What the record got: who came, each result once as it was sent and in one code, who left.
fn the_record(hospital: &Hospital) {
    let received = hospital.ehr.received();
    let received: Vec<_> = received
        .iter()
        .map(|message| message.bytes.as_ref().unwrap())
        .collect();
    let each = |path: &str| -> Vec<String> {
        received
            .iter()
            .map(|message| field(message, path).join(" "))
            .collect()
    };
    assert_eq!(each("MSH-9.2"), ["A01", "R01", "R01", "R01", "A03"]);
    assert_eq!(each("MSH-10"), ["P0001", "N1", "N2", "N3", "P0004"]);
    assert_eq!(each("MSH-5"), ["EHR"; 5]);
    let codes = "2823-3 2951-2 14682-9";
    assert_eq!(each("OBX-3"), ["", "2823-3 2951-2", codes, codes, ""]);
    assert_eq!(
        each("OBX-5"),
        ["", "3.9 139", "4.1 139 182", "5.40 139 182", ""]
    );
    assert_eq!(each("OBX-11"), ["", "P P", "F F F", "C F F", ""]);
    assert_eq!(each("PV1-45")[4], "20261106110000");
}

/// What the laboratory got: the order, in its own code.
fn the_laboratory(hospital: &Hospital) {
    let received = hospital.lis.received();
    assert_eq!(received.len(), 1);
    let order = received[0].bytes.as_ref().unwrap();
    for (path, value) in [
        ("MSH-9", "OML"),
        ("MSH-5", "LIS"),
        ("ORC-1", "NW"),
        ("ORC-2", "P5501"),
        ("OBR-4", "CHEM"),
        ("OBR-4.4", "24323-8"),
        ("PID-3", "4711"),
    ] {
        assert_eq!(field(order, path), [value], "{path}");
    }
}

fn version(resource: &Value) -> String {
    at(resource, "/meta/versionId").to_owned()
}

fn reference(resource: &Value) -> String {
    format!("{}/{}", at(resource, "/resourceType"), at(resource, "/id"))
}

/// What an application reads: one resource of each thing, in its last state.
async fn the_store(hospital: &Hospital) {
    let all = hospital.all().await;
    let counts: BTreeMap<&str, usize> = all.iter().map(|(ty, found)| (*ty, found.len())).collect();
    // One of each thing, however many messages spoke of it; a header and its provenance for each
    // message. The resend made nothing.
    let expected = [
        ("AllergyIntolerance", 1),
        ("Condition", 1),
        ("Device", 3),
        ("DiagnosticReport", 1),
        ("Encounter", 1),
        ("Location", 7),
        ("MessageHeader", 6),
        ("Observation", 3),
        ("Organization", 3),
        ("Patient", 1),
        ("Practitioner", 1),
        ("PractitionerRole", 1),
        ("Provenance", 15),
        ("RelatedPerson", 1),
        ("ServiceRequest", 1),
        ("Specimen", 1),
    ];
    assert_eq!(counts, BTreeMap::from(expected));
    hospital.whole(&all);

    let patient = hospital
        .only("Patient?identifier=urn:oid:2.999.1.1|4711")
        .await;
    // The address is that of the discharge, not the one of the admission.
    assert_eq!(at(&patient, "/address/0/city"), "Potsdam");
    assert_eq!(at(&patient, "/name/0/family"), "Müller");
    assert_eq!(version(&patient), "2");

    let visit = hospital
        .only("Encounter?identifier=urn:oid:2.999.1.3|V0815")
        .await;
    assert_eq!(
        (at(&visit, "/status"), version(&visit).as_str()),
        ("finished", "2")
    );
    assert_eq!(at(&visit, "/period/start"), "2026-11-02T07:00:00+01:00");
    assert_eq!(at(&visit, "/period/end"), "2026-11-06T11:00:00+01:00");
    assert_eq!(at(&visit, "/subject/reference"), reference(&patient));

    let order = hospital
        .only("ServiceRequest?identifier=urn:oid:2.999.1.4|P5501")
        .await;
    // Results repeat an order, they do not change it.
    assert_eq!(
        (at(&order, "/status"), version(&order).as_str()),
        ("active", "1")
    );
    assert_eq!(at(&order, "/code/coding/0/code"), "24323-8");
    assert_eq!(at(&order, "/encounter/reference"), reference(&visit));

    let report = hospital
        .only("DiagnosticReport?identifier=urn:oid:2.999.1.2|A9001")
        .await;
    assert_eq!(
        (at(&report, "/status"), version(&report).as_str()),
        ("corrected", "3")
    );
    assert_eq!(at(&report, "/basedOn/0/reference"), reference(&order));
    assert_eq!(at(&report, "/code/coding/0/code"), "24323-8");
    assert_eq!(report["result"].as_array().unwrap().len(), 3);
    the_results(hospital, &patient, &visit).await;
}

/// The results in their last state, and what they were before.
async fn the_results(hospital: &Hospital, patient: &Value, visit: &Value) {
    for (code, value, unit, status, versions) in [
        ("2823-3", "5.4", "mmol/L", "corrected", "3"),
        ("2951-2", "139", "mmol/L", "final", "3"),
        ("14682-9", "182", "umol/L", "final", "2"),
    ] {
        let found = hospital
            .only(&format!("Observation?code=http://loinc.org|{code}"))
            .await;
        assert_eq!(
            result(&found),
            (code.to_owned(), value.to_owned(), unit.to_owned())
        );
        assert_eq!(
            (at(&found, "/status"), version(&found).as_str()),
            (status, versions),
            "{found}"
        );
        assert_eq!(at(&found, "/subject/reference"), reference(patient));
        assert_eq!(at(&found, "/encounter/reference"), reference(visit));
    }
    // What the correction replaced is still to be read.
    let potassium = hospital
        .only("Observation?code=http://loinc.org|2823-3")
        .await;
    for (number, value) in [("1", "3.9"), ("2", "4.1"), ("3", "5.4")] {
        let past = hospital
            .get(&format!("{}/_history/{number}", reference(&potassium)))
            .await;
        assert_eq!(result(&past).1, value, "{past}");
    }
    // Digit for digit, which numbers of JSON values in this test are not.
    let exact = hospital.read(&reference(&potassium)).await;
    assert!(exact.contains("\"value\":5.40,"), "{exact}");
}
