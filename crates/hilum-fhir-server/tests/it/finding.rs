//! What the standard says about searches beyond the kinds of parameters: full text, canonical URLs
//! and versions, MIME types, filters, empty parameters, what is included.

use serde_json::{Value, json};

use crate::kit::{Server, encoded};
use crate::standard::check;

fn value_set(id: &str, url: &str, version: &str) -> Value {
    json!({ "resourceType": "ValueSet", "id": id, "status": "active", "url": url, "version": version })
}

fn plan(id: &str, canonical: &str) -> Value {
    json!({ "resourceType": "CarePlan", "id": id, "status": "active", "intent": "plan",
        "subject": { "reference": "Patient/p1" }, "instantiatesCanonical": [canonical] })
}

fn document(id: &str, mime: &str) -> Value {
    json!({ "resourceType": "DocumentReference", "id": id, "status": "current",
        "content": [{ "attachment": { "contentType": mime, "url": "http://acme.org/d" } }] })
}

fn condition(id: &str, text: &str) -> Value {
    let div = format!("<div xmlns=\"http://www.w3.org/1999/xhtml\">{text}</div>");
    json!({ "resourceType": "Condition", "id": id, "subject": { "reference": "Patient/p1" },
        "text": { "status": "generated", "div": div } })
}

async fn clinic() -> Server {
    let server = Server::start().await;
    for resource in [
        json!({ "resourceType": "Organization", "id": "o1", "name": "Trust" }),
        json!({ "resourceType": "Patient", "id": "p1", "active": true, "gender": "female", "birthDate": "1974-12-25",
            "name": [{ "family": "Berg", "given": ["Eve", "Ann"] }], "managingOrganization": { "reference": "Organization/o1" } }),
        json!({ "resourceType": "Patient", "id": "p2", "gender": "male", "name": [{ "family": "BERG-Smith", "given": ["Bo"] }] }),
        value_set("v1", "http://acme.org/vs", "1"),
        value_set("v2", "http://acme.org/vs", "2"),
        value_set("w1", "http://acme.org/ws", "1"),
        plan("c10", "http://acme.org/plan|1.0"),
        plan("c11", "http://acme.org/plan|1.1.2"),
        plan("c20", "http://acme.org/plan|2.0"),
        plan("c1", "http://acme.org/plan|1"),
        plan("c100", "http://acme.org/plan|10.1"),
        plan("c0", "http://acme.org/plan"),
        plan("cx", "http://acme.org/plane|1.0"),
        document("d1", "text/xml"),
        document("d2", "text/xml; charset=UTF-8"),
        document("d3", "text/plain"),
        condition("k1", "metastases of the bone"),
        condition("k2", "the liver shows metastases"),
        condition("k3", "metastases elsewhere"),
        condition("k4", "bone marrow"),
        json!({ "resourceType": "Observation", "id": "b1", "status": "final", "code": { "coding": [
            { "system": "http://loinc.org", "code": "1234-5" }] }, "subject": { "reference": "Patient/p1" },
            "valueQuantity": { "value": 130, "unit": "mm[Hg]", "system": "http://unitsofmeasure.org", "code": "mm[Hg]" } }),
        json!({ "resourceType": "Observation", "id": "b2", "status": "final", "code": { "coding": [
            { "system": "urn:local", "code": "1234-5" }] }, "subject": { "reference": "Patient/p2" } }),
        json!({ "resourceType": "MedicationRequest", "id": "m1", "status": "active", "intent": "order",
            "contained": [{ "resourceType": "Medication", "id": "med", "code": { "text": "x" } }],
            "medicationReference": { "reference": "#med" }, "subject": { "reference": "Patient/p1" } }),
        json!({ "resourceType": "MedicationRequest", "id": "m2", "status": "active", "intent": "order",
            "medicationCodeableConcept": { "text": "y" }, "subject": { "reference": "Patient/p1" } }),
    ] {
        server.store(resource).await;
    }
    server
}

#[tokio::test]
async fn canonical_urls_and_mime_types_are_found_by_their_parts() {
    let server = clinic().await;
    let cases = [
        ("/ValueSet?url=http://acme.org/vs", "v1 v2"),
        ("/ValueSet?url=http://acme.org/vs%7C2", "v2"),
        (
            "/ValueSet?url=http://acme.org/vs%7C2,http://acme.org/ws",
            "v2 w1",
        ),
        ("/ValueSet?url=http://acme.org/vs%7C3", ""),
        ("/ValueSet?url=http://acme.org/vs%5C%7C2", ""),
        (
            "/CarePlan?instantiates-canonical=http://acme.org/plan%7C1",
            "c1",
        ),
        (
            "/CarePlan?instantiates-canonical:below=http://acme.org/plan%7C1",
            "c1 c10 c11",
        ),
        (
            "/CarePlan?instantiates-canonical:below=http://acme.org/plan%7C1.1",
            "c11",
        ),
        (
            "/CarePlan?instantiates-canonical:below=http://acme.org/plan",
            "c0 c1 c10 c100 c11 c20",
        ),
        (
            "/CarePlan?instantiates-canonical:below=http://acme.org/plan%7C2,http://acme.org/plan%7C10",
            "c100 c20",
        ),
        ("/DocumentReference?contenttype=text/xml", "d1"),
        ("/DocumentReference?contenttype:below=text/xml", "d1 d2"),
        (
            "/DocumentReference?contenttype:below=text/xml,text/plain",
            "d1 d2 d3",
        ),
    ];
    check(&server, &cases).await;
}

#[tokio::test]
async fn a_text_is_found_by_words_and_what_joins_them() {
    let server = clinic().await;
    let mut wrong = Vec::new();
    for (text, expected) in [
        ("(bone OR liver) and metastases", "k1 k2"),
        ("bone or liver", "k1 k2 k4"),
        ("metastases not bone", "k2 k3"),
        ("NOT metastases", "k4"),
        ("metastases not (bone or liver)", "k3"),
        ("metastases bone", "k1"),
        ("\"bone marrow\"", "k4"),
        ("\"metastases bone\"", ""),
        ("marrow,elsewhere", "k3 k4"),
        ("bone or liver and shows", "k1 k2 k4"),
    ] {
        for name in ["_text", "_content"] {
            let answer = server
                .get(&format!("/Condition?{name}={}", encoded(text)))
                .await;
            let mut found = answer.found();
            found.sort();
            let found: Vec<&str> = found.iter().map(|entry| entry.split_at(10).1).collect();
            if found.join(" ") != expected {
                wrong.push(format!("{name}={text}: {found:?}, not {expected}"));
            }
        }
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}

#[tokio::test]
async fn a_filter_says_what_the_standard_says() {
    let server = clinic().await;
    let mut wrong = Vec::new();
    for (ty, filter, expected) in [
        ("Patient", "family eq berg", "p1"),
        ("Patient", "family eq \"BERG\"", "p1"),
        ("Patient", "family ne berg", "p2"),
        ("Patient", "family sw berg", "p1 p2"),
        // From left to right: (male or Berg) and active.
        (
            "Patient",
            "gender eq male or family eq berg and active eq true",
            "p1",
        ),
        (
            "Patient",
            "active eq true and gender eq female or gender eq male",
            "p1 p2",
        ),
        (
            "Patient",
            "gender eq male or (family eq berg and active eq true)",
            "p1 p2",
        ),
        (
            "Patient",
            "gender ni http://hl7.org/fhir/ValueSet/administrative-gender",
            "",
        ),
        ("Observation", "code eq loinc|1234-5", "b1"),
        ("Observation", "code eq http://loinc.org|1234-5", "b1"),
        ("Observation", "value-quantity gt \"120|ucum|mm[Hg]\"", "b1"),
        (
            "Observation",
            "code eq \"loinc|1234-5\" and subject.name co \"er\"",
            "b1",
        ),
    ] {
        let answer = server
            .get(&format!("/{ty}?_filter={}", encoded(filter)))
            .await;
        if !answer.status.is_success() {
            wrong.push(format!("{filter}: {}", answer.told()));
            continue;
        }
        let mut found = answer.found();
        found.sort();
        let found: Vec<&str> = found
            .iter()
            .map(|entry| entry.rsplit('/').next().unwrap())
            .collect();
        if found.join(" ") != expected {
            wrong.push(format!("{filter}: {found:?}, not {expected}"));
        }
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}

#[tokio::test]
async fn what_says_nothing_is_left_aside_but_never_in_a_condition() {
    let server = clinic().await;
    let cases = [
        ("/Patient?name=&gender=male", "p2"),
        ("/Patient?name=", "p1 p2"),
        ("/Patient?_sort=&_type=&_id=p1", "p1"),
        ("/MedicationRequest?medication:missing=true", "m2"),
        ("/MedicationRequest?medication:missing=false", "m1"),
        ("/MedicationRequest?code:missing=false", "m2"),
        ("/Observation?subject.birthdate:missing=true", "b2"),
        (
            "/Patient?_has:Observation:patient:value-quantity:missing=true",
            "p2",
        ),
    ];
    check(&server, &cases).await;
    let link = server.get("/Patient?name=&gender=male").await.link("self");
    assert_eq!(link.as_deref(), Some("/Patient?gender=male"));
    let all = server.request("DELETE", "/Patient?name=", &[], "").await;
    assert_eq!(all.status, 400, "{}", all.told());
    let create = [("if-none-exist", "identifier=")];
    let body = json!({ "resourceType": "Patient" }).to_string();
    let create = server.request("POST", "/Patient", &create, body).await;
    assert_eq!(create.status, 400, "{}", create.told());
    let lenient = [("prefer", "handling=lenient")];
    let named = server
        .request("GET", "/Patient?_query=all", &lenient, "")
        .await;
    assert_eq!(named.status, 400, "{}", named.told());
}

#[tokio::test]
async fn what_is_included_is_whole_and_may_be_all_that_refers() {
    let server = clinic().await;
    let path = "/Patient?_id=p1&_elements=gender&_elements=birthDate&_include=Patient:organization";
    let bundle = server.get(path).await.json();
    let (patient, organization) = (
        &bundle["entry"][0]["resource"],
        &bundle["entry"][1]["resource"],
    );
    assert_eq!(patient["gender"], "female", "{bundle}");
    assert_eq!(patient["birthDate"], "1974-12-25");
    assert!(patient.get("name").is_none());
    assert_eq!(organization["name"], "Trust");
    assert!(organization["meta"].get("tag").is_none(), "{organization}");

    let all = server.get("/Patient?_id=p1&_revinclude=*&_count=1").await;
    let mut found = all.found();
    found.sort();
    let mut expected: Vec<String> = ["c0", "c1", "c10", "c100", "c11", "c20", "cx"]
        .iter()
        .map(|id| format!("+CarePlan/{id}"))
        .collect();
    expected.extend(["k1", "k2", "k3", "k4"].map(|id| format!("+Condition/{id}")));
    expected.extend(["m1", "m2"].map(|id| format!("+MedicationRequest/{id}")));
    expected.extend(["+Observation/b1", "Patient/p1"].map(str::to_owned));
    assert_eq!(found, expected, "{}", all.told());
    let iterated = server
        .get("/Organization?_id=o1&_revinclude:iterate=*")
        .await
        .found();
    assert_eq!(iterated.len(), expected.len() + 1, "{iterated:?}");
    let kept = server.get("/Patient?_id=p1&_summary=text").await;
    assert_eq!(kept.status, 200, "{}", kept.told());
}
