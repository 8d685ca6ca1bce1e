//! Operations on codes, over what is stored.

use serde_json::{Value, json};

use crate::kit::Server;

const LAB: &str = "http://acme.org/lab";
const SET: &str = "http://acme.org/ValueSet/blood";

fn system(display: &str) -> Value {
    json!({ "resourceType": "CodeSystem", "id": "lab", "status": "active", "url": LAB, "version": "1",
        "content": "complete", "language": "en",
        "property": [{ "code": "kind", "type": "code" }],
        "concept": [
            { "code": "blood", "display": "Blood tests", "property": [{ "code": "notSelectable", "valueBoolean": true }],
              "concept": [
                { "code": "na", "display": display, "designation": [{ "language": "de", "value": "Natrium" }],
                  "property": [{ "code": "kind", "valueCode": "salt" }] },
                { "code": "k", "display": "Potassium" }] },
            { "code": "urine", "display": "Urine tests" }] })
}

fn set() -> Value {
    json!({ "resourceType": "ValueSet", "id": "blood", "status": "active", "url": SET, "version": "1",
        "compose": { "include": [{ "system": LAB,
            "filter": [{ "property": "concept", "op": "descendent-of", "value": "blood" }] }] } })
}

fn map() -> Value {
    json!({ "resourceType": "ConceptMap", "id": "lab-loinc", "status": "active", "url": "http://acme.org/map",
        "group": [{ "source": LAB, "target": "http://loinc.org", "element": [
            { "code": "na", "target": [{ "code": "2951-2", "equivalence": "equivalent" }] }],
            "unmapped": { "mode": "fixed", "code": "unknown" } }] })
}

async fn lab() -> Server {
    let server = Server::start().await;
    for resource in [system("Sodium"), set(), map()] {
        server.store(resource).await;
    }
    server
}

/// The value of a parameter of an answer.
fn value<'a>(answer: &'a Value, name: &str) -> &'a Value {
    let all = answer["parameter"].as_array().unwrap();
    let found = all.iter().find(|one| one["name"] == name);
    let Some(found) = found.and_then(Value::as_object) else {
        return &Value::Null;
    };
    let mut values = found.iter().filter(|(key, _)| key.starts_with("value"));
    values.next().map_or(&Value::Null, |(_, value)| value)
}

async fn asked(server: &Server, path: &str) -> Value {
    let answer = server.get(path).await;
    assert_eq!(answer.status, 200, "{path}: {}", answer.text());
    answer.json()
}

#[tokio::test]
async fn codes_of_stored_systems_are_looked_up_and_validated() {
    let server = lab().await;
    let found = asked(
        &server,
        "/CodeSystem/$lookup?system=http://acme.org/lab&code=na",
    )
    .await;
    assert_eq!(value(&found, "display"), "Sodium");
    assert_eq!(value(&found, "version"), "1");
    let german = [("accept-language", "de")];
    let path = "/CodeSystem/$lookup?system=http://acme.org/lab&code=na";
    let found = server.request("GET", path, &german, "").await.json();
    assert_eq!(value(&found, "display"), "Natrium");
    for (query, expected) in [
        (format!("url={SET}&system={LAB}&code=na"), true),
        (
            format!("url={SET}&system={LAB}&code=na&display=sodium"),
            true,
        ),
        (
            format!("url={SET}&system={LAB}&code=na&display=Salt"),
            false,
        ),
        (format!("url={SET}&system={LAB}&code=blood"), false),
        (format!("url={SET}&system={LAB}&code=none"), false),
        (format!("url={SET}&code=k&inferSystem=true"), true),
    ] {
        let told = asked(&server, &format!("/ValueSet/$validate-code?{query}")).await;
        assert_eq!(value(&told, "result"), expected, "{query}: {told}");
    }
    let told = asked(
        &server,
        &format!("/ValueSet/blood/$validate-code?system={LAB}&code=k"),
    )
    .await;
    assert_eq!(value(&told, "result"), true);
    let told = asked(&server, "/CodeSystem/lab/$validate-code?code=urine").await;
    assert_eq!(
        (value(&told, "result"), value(&told, "display")),
        (&json!(true), &json!("Urine tests"))
    );
    for (a, b, expected) in [
        ("blood", "na", "subsumes"),
        ("na", "blood", "subsumed-by"),
        ("na", "k", "not-subsumed"),
        ("k", "k", "equivalent"),
    ] {
        let path = format!("/CodeSystem/$subsumes?system={LAB}&codeA={a}&codeB={b}");
        assert_eq!(value(&asked(&server, &path).await, "outcome"), expected);
    }
}

#[tokio::test]
async fn what_is_written_is_known_to_the_next_question() {
    let server = lab().await;
    let path = format!("/ValueSet/$validate-code?url={SET}&system={LAB}&code=na&display=Salt");
    assert_eq!(value(&asked(&server, &path).await, "result"), false);
    server.store(system("Salt")).await;
    assert_eq!(value(&asked(&server, &path).await, "result"), true);
    let deleted = server.request("DELETE", "/ValueSet/blood", &[], "").await;
    assert!(deleted.status.is_success());
    assert_eq!(server.get(&path).await.status, 404);
}

#[tokio::test]
async fn value_sets_are_expanded_in_pages_and_by_text() {
    let server = lab().await;
    let codes = |answer: &Value| -> Vec<String> {
        let all = answer["expansion"]["contains"].as_array();
        let all = all.into_iter().flatten();
        all.map(|one| one["code"].as_str().unwrap().to_owned())
            .collect()
    };
    let whole = asked(&server, &format!("/ValueSet/$expand?url={SET}")).await;
    assert_eq!(
        (codes(&whole), &whole["expansion"]["total"]),
        (vec!["na".to_owned(), "k".to_owned()], &json!(2))
    );
    let page = asked(&server, "/ValueSet/blood/$expand?offset=1&count=1").await;
    assert_eq!(codes(&page), ["k"]);
    let found = asked(&server, "/ValueSet/blood/$expand?filter=pota").await;
    assert_eq!(codes(&found), ["k"]);
    let given = json!({ "resourceType": "Parameters", "parameter": [{ "name": "valueSet", "resource":
        { "resourceType": "ValueSet", "status": "active", "compose": { "include": [{ "system": LAB }] } } }] });
    let tree = server.post("/ValueSet/$expand", &given).await.json();
    assert_eq!(codes(&tree), ["blood", "urine"]);
    assert_eq!(tree["expansion"]["contains"][0]["contains"][1]["code"], "k");
    // What FHIR R4 has no element for is in extensions, so the answer is a resource of FHIR R4.
    let checked = server.post("/ValueSet/$validate", &tree).await;
    assert!(
        !checked.text().contains(r#""severity":"error""#),
        "{}",
        checked.text()
    );
}

#[tokio::test]
async fn codes_are_translated_by_stored_maps() {
    let server = lab().await;
    for (query, expected) in [
        (format!("system={LAB}&code=na"), Some("2951-2")),
        (
            format!("system={LAB}&code=k&url=http://acme.org/map"),
            Some("unknown"),
        ),
        (
            format!("system={LAB}&code=na&targetsystem=http://snomed.info/sct"),
            None,
        ),
        (
            "system=http://loinc.org&code=2951-2&reverse=true".to_owned(),
            Some("na"),
        ),
    ] {
        let told = asked(&server, &format!("/ConceptMap/$translate?{query}")).await;
        assert_eq!(
            value(&told, "result"),
            &json!(expected.is_some()),
            "{query}: {told}"
        );
        if let Some(expected) = expected {
            let matched = told["parameter"].as_array().unwrap();
            let matched = matched.iter().find(|one| one["name"] == "match").unwrap();
            let parts = matched["part"].as_array().unwrap().iter();
            let mut parts = parts.filter(|part| part["name"] == "concept");
            assert_eq!(parts.next().unwrap()["valueCoding"]["code"], expected);
        }
    }
    let one = asked(
        &server,
        &format!("/ConceptMap/lab-loinc/$translate?system={LAB}&code=na"),
    )
    .await;
    assert_eq!(value(&one, "result"), true);
}

#[tokio::test]
async fn systems_are_found_by_other_names() {
    let server = Server::start().await;
    server
        .store(
            json!({ "resourceType": "NamingSystem", "id": "lab", "name": "Lab", "status": "active",
            "kind": "codesystem", "date": "2026-01-01", "uniqueId": [
                { "type": "oid", "value": "1.2.3.4" }, { "type": "uri", "value": LAB }] }),
        )
        .await;
    for (id, kind, expected) in [
        ("1.2.3.4", "uri", LAB),
        ("urn:oid:1.2.3.4", "uri", LAB),
        (LAB, "oid", "1.2.3.4"),
        ("2.16.840.1.113883.6.1", "uri", "http://loinc.org"),
    ] {
        let path = format!("/NamingSystem/$preferred-id?id={id}&type={kind}");
        assert_eq!(
            value(&asked(&server, &path).await, "result"),
            expected,
            "{id}"
        );
    }
    let none = server
        .get("/NamingSystem/$preferred-id?id=9.9.9&type=uri")
        .await;
    assert_eq!(none.status, 404);
}

#[tokio::test]
async fn what_cannot_be_asked_is_refused_with_the_reason() {
    let server = lab().await;
    for (path, status, text) in [
        ("/ValueSet/$expand", 400, "url"),
        (
            "/ValueSet/$expand?url=http://acme.org/none",
            404,
            "http://acme.org/none",
        ),
        (
            "/ValueSet/$expand?url=http://acme.org/ValueSet/blood&cuont=1",
            400,
            "count",
        ),
        ("/ValueSet/blood/$expand?count=many", 400, "count"),
        ("/ValueSet/blood/$validate-code", 400, "code"),
        (
            "/CodeSystem/$lookup?system=http://acme.org/none&code=a",
            404,
            "http://acme.org/none",
        ),
        (
            "/CodeSystem/$lookup?system=http://acme.org/lab&code=none",
            404,
            "none",
        ),
        ("/CodeSystem/$subsumes?codeA=a&codeB=b", 400, "system"),
        ("/ConceptMap/$translate", 400, "code"),
        ("/NamingSystem/$preferred-id?id=1.2&type=thing", 400, "type"),
        (
            "/ValueSet/blood/$expand?displayLanguage=-",
            400,
            "displayLanguage",
        ),
        (
            "/ValueSet/blood/$expand?system-version=plain",
            400,
            "system-version",
        ),
    ] {
        let answer = server.get(path).await;
        assert_eq!(answer.status, status, "{path}: {}", answer.text());
        assert!(answer.text().contains(text), "{path}: {}", answer.text());
    }
}

#[tokio::test]
async fn an_expansion_beyond_the_limit_is_refused() {
    let limits = hilum_fhir_server::Limits {
        expansion_codes_max: 1,
        ..hilum_fhir_server::Limits::default()
    };
    let server = Server::with(limits, hilum_fhir_server::Validate::Enforce).await;
    for resource in [system("Sodium"), set()] {
        server.store(resource).await;
    }
    let whole = server.get("/ValueSet/blood/$expand").await;
    assert_eq!(whole.status, 422);
    assert!(whole.text().contains("too-costly"), "{}", whole.text());
    assert_eq!(
        server.get("/ValueSet/blood/$expand?count=1").await.status,
        200
    );
    let worked = hilum_fhir_server::Limits {
        expansion_work_max: 3,
        ..hilum_fhir_server::Limits::default()
    };
    let server = server.again_with(worked).await;
    assert_eq!(
        server.get("/ValueSet/blood/$expand?count=1").await.status,
        422
    );
}

#[tokio::test]
async fn several_codes_are_validated_at_once() {
    let server = lab().await;
    let one = |code: &str| {
        json!({ "name": "validation", "resource": { "resourceType": "Parameters", "parameter": [
            { "name": "coding", "valueCoding": { "system": LAB, "code": code } }] } })
    };
    let wrong = json!({ "name": "validation", "resource": { "resourceType": "Parameters", "parameter": [
        { "name": "url", "valueUri": "http://acme.org/none" }, { "name": "code", "valueCode": "na" }] } });
    let batch = json!({ "resourceType": "Parameters", "parameter": [
        { "name": "url", "valueUri": SET }, one("na"), one("urine"), wrong] });
    let told = server
        .post("/ValueSet/$batch-validate-code", &batch)
        .await
        .json();
    let results: Vec<&Value> = told["parameter"]
        .as_array()
        .unwrap()
        .iter()
        .map(|one| &one["resource"])
        .collect();
    assert_eq!(value(results[0], "result"), true);
    assert_eq!(value(results[1], "result"), false);
    assert_eq!(results[2]["resourceType"], "OperationOutcome");
    let many = json!({ "resourceType": "Parameters", "parameter": vec![one("na"); 1_001] });
    assert_eq!(
        server
            .post("/ValueSet/$batch-validate-code", &many)
            .await
            .status,
        400
    );
}

#[tokio::test]
async fn what_there_is_of_terminology_is_said() {
    let server = Server::start().await;
    let told = asked(&server, "/metadata?mode=terminology").await;
    assert_eq!(told["resourceType"], "TerminologyCapabilities");
    let checked = server
        .post("/TerminologyCapabilities/$validate", &told)
        .await;
    assert!(
        !checked.text().contains(r#""severity":"error""#),
        "{}",
        checked.text()
    );
    let statement = asked(&server, "/metadata").await;
    let resources = statement["rest"][0]["resource"].as_array().unwrap();
    let of = |name: &str| {
        let resource = resources.iter().find(|one| one["type"] == name).unwrap();
        let all = resource["operation"].as_array().unwrap().iter();
        all.map(|one| one["name"].as_str().unwrap().to_owned())
            .collect::<Vec<_>>()
    };
    for (name, operation) in [
        ("CodeSystem", "lookup"),
        ("CodeSystem", "validate-code"),
        ("CodeSystem", "subsumes"),
        ("ValueSet", "expand"),
        ("ValueSet", "validate-code"),
        ("ConceptMap", "translate"),
        ("NamingSystem", "preferred-id"),
    ] {
        assert!(
            of(name).contains(&operation.to_owned()),
            "{name} {operation}"
        );
    }
}

#[tokio::test]
async fn resources_are_held_against_the_value_sets_that_are_stored() {
    let server = Server::start().await;
    let patient = json!({ "resourceType": "Patient", "id": "p", "gender": "other" });
    server.store(patient.clone()).await;
    let narrow = json!({ "resourceType": "ValueSet", "id": "gender", "status": "active",
        "url": "http://hl7.org/fhir/ValueSet/administrative-gender", "version": "4.0.1",
        "compose": { "include": [{ "system": "http://hl7.org/fhir/administrative-gender",
            "concept": [{ "code": "male" }, { "code": "female" }] }] } });
    server.store(narrow).await;
    let refused = server.put("/Patient/p", &patient).await;
    assert_eq!(refused.status, 422, "{}", refused.text());
    assert!(
        refused.text().contains("administrative-gender"),
        "{}",
        refused.text()
    );
    let told = server.post("/Patient/$validate", &patient).await;
    assert!(told.text().contains("code-invalid"), "{}", told.text());
    let bundle = json!({ "resourceType": "Bundle", "type": "transaction", "entry": [{
        "resource": patient.clone(), "request": { "method": "PUT", "url": "Patient/p" } }] });
    assert_eq!(server.post("", &bundle).await.status, 422);
    let deleted = server.request("DELETE", "/ValueSet/gender", &[], "").await;
    assert!(deleted.status.is_success());
    server.store(patient).await;
}
