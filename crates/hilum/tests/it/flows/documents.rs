//! Documents and vaccinations: one resource of each, also when it is replaced or called off.

use serde_json::Value;

use super::{DOCUMENTS, Hospital, VACCINATIONS, at, sample};

#[tokio::test]
async fn a_document_is_a_reference_and_a_binary_and_a_dose_one_immunization() {
    let hospital = Hospital::of(&["documents", "immunizations"]).await;
    for name in ["t02-text", "t02-pdf", "t10-replacement", "t11-cancelled"] {
        let message = sample(&format!("documents/samples/{name}.hl7"));
        hospital.send(DOCUMENTS, &message).await;
    }
    for name in ["v04", "v04-withdrawn", "v04-refused"] {
        let message = sample(&format!("immunizations/samples/{name}.hl7"));
        hospital.send(VACCINATIONS, &message).await;
    }
    let delivered = [("documents store", 4), ("vaccinations store", 3)];
    hospital.delivered(&delivered).await;
    hospital.whole(&hospital.all().await);

    let document = async |number: &str| {
        let search = format!("DocumentReference?identifier=urn:oid:2.999.1.6|{number}");
        hospital.only(&search).await
    };
    assert_eq!(hospital.find("DocumentReference").await.len(), 3);
    // It was called off: the second version of the same.
    let letter = document("DOC77").await;
    assert_eq!(at(&letter, "/status"), "entered-in-error");
    assert_eq!(at(&letter, "/meta/versionId"), "2");
    let replacement = document("DOC79").await;
    assert_eq!(at(&replacement, "/relatesTo/0/code"), "replaces");
    let pdf = document("DOC78").await;
    let attachment = &pdf["content"][0]["attachment"];
    assert_eq!(attachment["data"], Value::Null);
    assert_eq!(at(attachment, "/contentType"), "application/pdf");
    let binary = hospital.get(at(attachment, "/url")).await;
    assert_eq!(at(&binary, "/contentType"), "application/pdf");
    assert!(at(&binary, "/data").starts_with("JVBERi0xLjQK"), "{binary}");

    let mut doses: Vec<(String, String, String)> = hospital
        .find("Immunization")
        .await
        .iter()
        .map(|dose| {
            let part = |place: &str| at(dose, place).to_owned();
            (
                part("/identifier/0/value"),
                part("/status"),
                part("/meta/versionId"),
            )
        })
        .collect();
    doses.sort();
    let expected = [
        ("I1001", "completed", "1"),
        ("I1002", "entered-in-error", "2"),
        ("I1003", "not-done", "1"),
    ];
    let expected = expected.map(|(n, s, v)| (n.to_owned(), s.to_owned(), v.to_owned()));
    assert_eq!(doses, expected);
    assert_eq!(hospital.find("Patient").await.len(), 2);
}
