//! Documents and vaccinations: one resource of each, also when it is replaced or called off.

use hilum_testkit::wait::until;
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

/// Bytes of the large document, in base64.
const LARGE: usize = 40_000_000;
/// What it may add to the memory of the node, in bytes: no more than two copies of it.
const MORE: u64 = 80_000_000;

/// The most memory that the node had since this was asked last, in bytes.
fn peak(hospital: &Hospital) -> u64 {
    let of = format!("/proc/{}", hospital.node.id());
    let status = std::fs::read_to_string(format!("{of}/status")).unwrap();
    let line = status.lines().find(|line| line.starts_with("VmHWM:"));
    let kib = line.unwrap().split_whitespace().nth(1).unwrap();
    // proc(5): 5 resets the peak of the resident set.
    std::fs::write(format!("{of}/clear_refs"), "5").unwrap();
    kib.parse::<u64>().unwrap() * 1024
}

#[tokio::test]
async fn a_document_of_40_mb_is_stored_and_read_without_being_held_whole() {
    let hospital = Hospital::of(&["documents"]).await;
    let sample =
        |name: &str| String::from_utf8(sample(&format!("documents/samples/{name}.hl7"))).unwrap();
    let pdf = sample("t02-pdf");
    let data = pdf.split("^Base64^").nth(1).unwrap();
    let data = data.split(['|', '\r']).next().unwrap();
    let message = |number: u32, document: &str| {
        pdf.replace(data, document)
            .replace("M0002", &format!("M{number}"))
    };
    // What is made at the first message stays.
    let other = message(1, "JVBERi0xLjUK").replace("DOC78", "DOC1");
    hospital.send(DOCUMENTS, other.as_bytes()).await;
    hospital.delivered(&[("documents store", 1)]).await;
    peak(&hospital);
    let before = peak(&hospital);

    let large: String = ('A'..='Z').chain('0'..='9').cycle().take(LARGE).collect();
    hospital
        .send(DOCUMENTS, message(2, &large).as_bytes())
        .await;
    until("the large document is stored", || {
        let status = crate::kit::json(&["status", "--at", &hospital.at, "--json"]);
        status["channels"][0]["destinations"][0]["delivered"] == 2
    })
    .await;
    let stored = peak(&hospital).saturating_sub(before);
    assert!(stored < MORE, "{stored} bytes more while it was stored");

    let reference = async || {
        let search = "DocumentReference?identifier=urn:oid:2.999.1.6|DOC78";
        hospital.only(search).await
    };
    let first = reference().await;
    let url = at(&first, "/content/0/attachment/url").to_owned();
    let hash = |reference: &Value| at(reference, "/content/0/attachment/hash").to_owned();
    assert_eq!(hash(&first), "JeZjIEdhCRG8GyDNzuGnt/ghZnU=");
    let size = |reference: &Value| reference["content"][0]["attachment"]["size"].clone();
    assert_eq!(size(&first), LARGE / 4 * 3);
    peak(&hospital);
    let read = hospital.read(&url).await;
    let given = peak(&hospital).saturating_sub(before);
    assert!(given < MORE, "{given} bytes more while it was read");
    let binary: Value = serde_json::from_str(&read).unwrap();
    assert!(binary["data"] == large);

    // What corrects it is the next version of the same, and the version before is still there.
    hospital
        .send(DOCUMENTS, message(3, "JVBERi0xLjQK").as_bytes())
        .await;
    hospital.delivered(&[("documents store", 3)]).await;
    let corrected = reference().await;
    assert_eq!(at(&corrected, "/content/0/attachment/url"), url);
    assert_eq!(hash(&corrected), "lWB7AtSKeGy3hol9cnEU/HmBSx4=");
    assert_eq!(size(&corrected), 9);
    let now = hospital.get(&url).await;
    assert_eq!(at(&now, "/data"), "JVBERi0xLjQK");
    assert_eq!(at(&now, "/meta/versionId"), "2");
    let before = hospital.get(&format!("{url}/_history/1")).await;
    assert!(before["data"] == large);
}
