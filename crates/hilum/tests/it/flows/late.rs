//! A stay whose messages come in any order ends in the same record, and what came late is history.

use std::collections::BTreeSet;

use serde_json::Value;

use super::{ADMISSIONS, Hospital, RESULTS, sample};

/// A message of the stay about a patient of his own.
fn message(event: &str, number: &str) -> Vec<u8> {
    let text = sample(&format!("adt-to-fhir/samples/{event}.hl7"));
    let text = String::from_utf8(text).unwrap();
    let text = text.replace("4711", &format!("47{number}"));
    let text = text.replace("V0815", &format!("V08{number}"));
    text.replace("|P000", &format!("|P{number}")).into_bytes()
}

/// A message that deletes the phone and moves nobody.
fn deletion(number: &str) -> Vec<u8> {
    let text = String::from_utf8(message("a08", number)).unwrap();
    let text = text.replace("20261103100000", "20261104100000");
    let text = text.replace(&format!("|P{number}3|"), &format!("|P{number}9|"));
    text.replace("|19840417|", "|\"\"|").into_bytes()
}

/// A resource without what is its own.
fn plain(mut resource: Value, number: &str) -> String {
    let own = resource.as_object_mut().unwrap();
    for name in ["id", "meta", "subject"] {
        own.remove(name);
    }
    // The diagnosis is a resource of its own stay.
    for diagnosis in own
        .get_mut("diagnosis")
        .and_then(Value::as_array_mut)
        .into_iter()
        .flatten()
    {
        diagnosis["condition"] = Value::Null;
    }
    let text = resource.to_string();
    // Ids may have the digits as well.
    let text = text.replace(&format!("47{number}"), "47NN");
    text.replace(&format!("V08{number}"), "V08NN")
}

#[tokio::test]
async fn the_order_of_arrival_decides_nothing() {
    let hospital = Hospital::of(&["lab-to-fhir", "adt-to-fhir"]).await;
    let orders = [
        [0, 1, 2, 3, 4],
        [4, 3, 2, 1, 0],
        [4, 0, 1, 2, 3],
        [2, 4, 0, 3, 1],
        [1, 3, 0, 4, 2],
        [3, 2, 4, 1, 0],
    ];
    let mut ends = BTreeSet::new();
    for (at, order) in orders.iter().enumerate() {
        let number = format!("{}", 70 + at);
        let stay = [
            message("a01", &number),
            message("a02", &number),
            message("a08", &number),
            deletion(&number),
            message("a03", &number),
        ];
        for step in order {
            hospital.send(ADMISSIONS, &stay[*step]).await;
        }
        // One comes twice.
        let again = String::from_utf8(stay[1].clone()).unwrap();
        let again = again.replace(&format!("|P{number}2|"), &format!("|P{number}8|"));
        hospital.send(ADMISSIONS, again.as_bytes()).await;
        let count = (at as u64 + 1) * 6;
        hospital.delivered(&[("admissions store", count)]).await;
        let patient = hospital
            .only(&format!("Patient?identifier=urn:oid:2.999.1.1|47{number}"))
            .await;
        let visit = hospital
            .only(&format!(
                "Encounter?identifier=urn:oid:2.999.1.3|V08{number}"
            ))
            .await;
        assert_eq!(patient["address"][0]["city"], "Potsdam", "{order:?}");
        assert_eq!(visit["status"], "finished", "{order:?}");
        assert!(visit["period"]["start"].is_string() && visit["period"]["end"].is_string());
        let subject = patient["id"].as_str().unwrap();
        let allergies = hospital
            .find(&format!("AllergyIntolerance?patient={subject}"))
            .await;
        assert_eq!(
            allergies.len(),
            1,
            "an A08 without AL1 leaves allergies alone"
        );
        // The discharge says the birth date once more.
        assert_eq!(patient["birthDate"], "1984-04-17");
        ends.insert(plain(patient, &number) + &plain(visit, &number));
    }
    assert_eq!(ends.len(), 1, "{ends:#?}");
    let id = hospital
        .only("Patient?identifier=urn:oid:2.999.1.1|4771")
        .await["id"]
        .clone();
    let id = id.as_str().unwrap();
    let history = hospital.get(&format!("Patient/{id}/_history")).await;
    let late = history["entry"].as_array().unwrap().iter();
    let late = late.filter(|entry| entry["resource"]["meta"]["tag"][0]["code"] == "late");
    assert!(late.count() > 0, "{history}");
}

#[tokio::test]
async fn nothing_preliminary_stands_where_the_final_result_was() {
    let hospital = Hospital::of(&["lab-to-fhir", "adt-to-fhir"]).await;
    let result = |id: &str, at: &str, status: &str, value: &str| {
        format!(
            "MSH|^~\\&|NLAB|NORTH|HILUM|STE|{at}||ORU^R01^ORU_R01|{id}|P|2.5.1|||AL|NE||UNICODE UTF-8\r\
             PID|1||4711^^^STE^MR||MÜLLER^ANNA^MARIA||19840417|F\r\
             OBR|1|P5501^CPOE|A9001^NLAB|CHEM^Klinische Chemie^L||||||||||||||||||{at}||LAB|{status}\r\
             OBX|1|NM|K^Kalium^L||{value}|mmol/l|3.5-5.1||||{status}|||20261102074000\r"
        )
    };
    for message in [
        result("L1", "20261102093000", "C", "5.4"),
        result("L2", "20261102080000", "F", "4.1"),
        result("L3", "20261102100000", "P", "9.9"),
    ] {
        hospital.send(RESULTS, message.as_bytes()).await;
    }
    // `match` lets the correction alone through.
    hospital.delivered(&[("results store", 1)]).await;
    let potassium = hospital
        .only("Observation?code=http://loinc.org|2823-3")
        .await;
    assert_eq!(potassium["status"], "corrected");
    assert_eq!(potassium["valueQuantity"]["value"].to_string(), "5.4");
    // The registration comes last and is who keeps the patient.
    hospital
        .send(ADMISSIONS, &sample("adt-to-fhir/samples/a01.hl7"))
        .await;
    hospital.delivered(&[("admissions store", 1)]).await;
    let patient = hospital.only("Patient").await;
    assert_eq!(patient["address"][0]["city"], "Berlin");
}
