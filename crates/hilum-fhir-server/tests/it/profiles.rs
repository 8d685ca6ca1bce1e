//! Packages of profiles: what is stored conforms to them, and clients see that they are there.

use http::StatusCode;
use serde_json::{Value, json};

use crate::kit::{Server, shared};

const PATIENT: &str = "http://hl7.org/fhir/us/core/StructureDefinition/us-core-patient";

/// A server with US Core; `None` where there is no test material.
async fn with_us_core(name: &str, demanded: bool) -> Option<Server> {
    let Some(shared) = shared() else {
        println!("not run: {name} (no shared material)");
        return None;
    };
    let package = shared.join("suites/profiles/us_core_610.tgz");
    let server = Server::tuned(&|tenant| {
        tenant.packages = vec![package.clone()];
        if demanded {
            let profiles = vec![PATIENT.to_owned()];
            tenant.profiles.insert("Patient".to_owned(), profiles);
        }
    })
    .await;
    Some(server)
}

fn patient(profiles: &[&str]) -> Value {
    let mut patient = json!({
        "resourceType": "Patient",
        "identifier": [{"system": "urn:mrn", "value": "17"}],
        "name": [{"family": "Ames", "given": ["Mae"]}],
        "gender": "female"
    });
    if !profiles.is_empty() {
        patient["meta"] = json!({"profile": profiles});
    }
    patient
}

/// Without what US Core asks for and R4 does not.
fn nameless(profiles: &[&str]) -> Value {
    let mut patient = patient(profiles);
    patient.as_object_mut().unwrap().remove("name");
    patient
}

#[tokio::test]
async fn a_resource_conforms_to_the_profiles_that_it_names() {
    let Some(server) = with_us_core("us core", false).await else {
        return;
    };
    let answer = server.post("/Patient", &patient(&[PATIENT])).await;
    assert_eq!(answer.status, StatusCode::CREATED, "{}", answer.told());
    let answer = server.post("/Patient", &nameless(&[PATIENT])).await;
    assert_eq!(answer.status, StatusCode::UNPROCESSABLE_ENTITY);
    assert!(
        answer.text().contains("name: 0 of at least 1"),
        "{}",
        answer.told()
    );
    // Who does not name it is not asked.
    let answer = server.post("/Patient", &nameless(&[])).await;
    assert_eq!(answer.status, StatusCode::CREATED, "{}", answer.told());
    // The other tenant does not have the package.
    let answer = server
        .post("/t/second/Patient", &nameless(&[PATIENT]))
        .await;
    assert_eq!(answer.status, StatusCode::CREATED, "{}", answer.told());
    // A code outside of a value set of the package.
    let smoking = |status: &str| {
        json!({
            "resourceType": "Observation",
            "meta": {"profile": ["http://hl7.org/fhir/us/core/StructureDefinition/us-core-smokingstatus"]},
            "status": status,
            "category": [{"coding": [{
                "system": "http://terminology.hl7.org/CodeSystem/observation-category", "code": "social-history"}]}],
            "code": {"coding": [{"system": "http://loinc.org", "code": "72166-2"}]},
            "subject": {"reference": "Patient/p"},
            "effectiveDateTime": "2026-01-01",
            "valueCodeableConcept": {"coding": [{"system": "http://snomed.info/sct", "code": "449868002"}]}
        })
    };
    let answer = server.post("/Observation", &smoking("final")).await;
    assert_eq!(answer.status, StatusCode::CREATED, "{}", answer.told());
    let answer = server.post("/Observation", &smoking("amended")).await;
    assert_eq!(answer.status, StatusCode::UNPROCESSABLE_ENTITY);
    assert!(
        answer.issues().contains(&"code-invalid".to_owned()),
        "{}",
        answer.told()
    );
}

#[tokio::test]
async fn a_profile_can_be_demanded_of_every_resource_of_a_type() {
    let Some(server) = with_us_core("demanded profiles", true).await else {
        return;
    };
    let answer = server.post("/Patient", &nameless(&[])).await;
    assert_eq!(answer.status, StatusCode::UNPROCESSABLE_ENTITY);
    assert!(answer.text().contains(PATIENT), "{}", answer.told());
    let answer = server.post("/Patient", &patient(&[])).await;
    assert_eq!(answer.status, StatusCode::CREATED, "{}", answer.told());
}

#[tokio::test]
async fn a_client_asks_whether_a_resource_conforms_to_a_profile() {
    let Some(server) = with_us_core("$validate with a profile", false).await else {
        return;
    };
    let ask = async |profile: &str, resource: &Value| {
        let path = format!("/Patient/$validate?profile={profile}");
        let answer = server.post(&path, resource).await;
        assert_eq!(answer.status, StatusCode::OK);
        let issues = answer.json()["issue"].as_array().unwrap().clone();
        issues.iter().any(|issue| issue["severity"] == "error")
    };
    assert!(!ask(PATIENT, &patient(&[])).await);
    assert!(ask(PATIENT, &nameless(&[])).await);
    assert!(ask("http://example.org/unknown", &patient(&[])).await);
}

#[tokio::test]
async fn the_capability_statement_names_guides_profiles_and_their_parameters() {
    let Some(server) = with_us_core("guides in the statement", false).await else {
        return;
    };
    let statement = server.get("/metadata").await.json();
    let guides = statement["implementationGuide"].as_array().unwrap();
    let guide = "http://hl7.org/fhir/us/core/ImplementationGuide/hl7.fhir.us.core|6.1.0";
    assert_eq!(guides, &[json!(guide)]);
    let resources = statement["rest"][0]["resource"].as_array().unwrap();
    let on = |name: &str| resources.iter().find(|one| one["type"] == name).unwrap();
    let profiles = on("Patient")["supportedProfile"].as_array().unwrap();
    assert!(profiles.contains(&json!(PATIENT)), "{profiles:?}");
    assert!(on("Basic").get("supportedProfile").is_none());
    let params = on("Patient")["searchParam"].as_array().unwrap();
    assert!(
        params.iter().any(|param| param["name"] == "race"),
        "{params:?}"
    );
    let plain = server.get("/t/second/metadata").await.json();
    assert!(plain.get("implementationGuide").is_none());

    // A parameter of the package finds what is stored.
    let mut patient = patient(&[]);
    patient["id"] = json!("p1");
    patient["extension"] = json!([{
        "url": "http://hl7.org/fhir/us/core/StructureDefinition/us-core-race",
        "extension": [
            {"url": "ombCategory", "valueCoding": {"system": "urn:oid:2.16.840.1.113883.6.238", "code": "2106-3"}},
            {"url": "text", "valueString": "x"}
        ]
    }]);
    server.store(patient).await;
    assert_eq!(
        server.get("/Patient?race=2106-3").await.found(),
        ["Patient/p1"]
    );
    assert!(server.get("/Patient?race=2054-5").await.found().is_empty());
}

#[tokio::test]
async fn a_profile_gets_its_snapshot_from_what_is_stored_and_from_packages() {
    let server = Server::start().await;
    let profile = |id: &str, base: &str, differential: Value| {
        json!({
            "resourceType": "StructureDefinition",
            "id": id,
            "url": format!("http://example.org/StructureDefinition/{id}"),
            "name": "P",
            "status": "active",
            "kind": "resource",
            "abstract": false,
            "type": "Patient",
            "baseDefinition": base,
            "derivation": "constraint",
            "differential": {"element": differential}
        })
    };
    let on_patient = "http://hl7.org/fhir/StructureDefinition/Patient";
    let first = profile(
        "first",
        on_patient,
        json!([{"id": "Patient.birthDate", "path": "Patient.birthDate", "min": 1}]),
    );
    server.store(first).await;
    let second = profile(
        "second",
        "http://example.org/StructureDefinition/first",
        json!([{"id": "Patient.gender", "path": "Patient.gender", "min": 1}]),
    );
    let least = |answer: &Value, path: &str| {
        let elements = answer["snapshot"]["element"].as_array().unwrap();
        let found = elements.iter().find(|element| element["path"] == path);
        found.unwrap()["min"].clone()
    };
    let answer = server.post("/StructureDefinition/$snapshot", &second).await;
    assert_eq!(answer.status, StatusCode::OK, "{}", answer.told());
    let made = answer.json();
    assert_eq!(least(&made, "Patient.birthDate"), 1);
    assert_eq!(least(&made, "Patient.gender"), 1);
    let answer = server.get("/StructureDefinition/first/$snapshot").await;
    assert_eq!(least(&answer.json(), "Patient.birthDate"), 1);
    let path = "/StructureDefinition/first/$snapshot";
    let answer = server.request("POST", path, &[], "").await;
    assert_eq!(least(&answer.json(), "Patient.birthDate"), 1);
    let named = |url: &str| format!("/StructureDefinition/$snapshot?url={url}");
    let url = "http://example.org/StructureDefinition/first";
    let answer = server.get(&named(url)).await;
    assert_eq!(least(&answer.json(), "Patient.birthDate"), 1);
    for (path, status) in [
        (named("urn:none"), StatusCode::NOT_FOUND),
        (
            "/StructureDefinition/$snapshot".to_owned(),
            StatusCode::BAD_REQUEST,
        ),
        (
            "/StructureDefinition/none/$snapshot".to_owned(),
            StatusCode::NOT_FOUND,
        ),
    ] {
        let answer = server.get(&path).await;
        assert_eq!(answer.status, status, "{path}: {}", answer.told());
    }
    let statement = server.get("/metadata").await.text();
    assert!(statement.contains("OperationDefinition/StructureDefinition-snapshot"));
    let asked = json!({"resourceType": "Parameters", "parameter": [
        {"name": "url", "valueUri": url}]});
    let answer = server.post("/StructureDefinition/$snapshot", &asked).await;
    assert_eq!(answer.status, StatusCode::OK, "{}", answer.told());
    let wrong = profile(
        "wrong",
        on_patient,
        json!([{"path": "Patient.nme", "min": 1}]),
    );
    let answer = server.post("/StructureDefinition/$snapshot", &wrong).await;
    assert_eq!(answer.status, StatusCode::UNPROCESSABLE_ENTITY);
    assert!(answer.text().contains("Patient.nme"), "{}", answer.told());
    let baseless = profile(
        "b",
        "http://example.org/none",
        json!([{"path": "Patient.gender"}]),
    );
    let answer = server
        .post("/StructureDefinition/$snapshot", &baseless)
        .await;
    assert_eq!(answer.issues(), ["not-found"]);

    let Some(server) = with_us_core("a snapshot on US Core", false).await else {
        return;
    };
    let own = profile(
        "own",
        PATIENT,
        json!([{"path": "Patient.birthDate", "min": 1}]),
    );
    let answer = server.post("/StructureDefinition/$snapshot", &own).await;
    assert_eq!(answer.status, StatusCode::OK, "{}", answer.told());
    let made = answer.json();
    assert_eq!(least(&made, "Patient.birthDate"), 1);
    assert_eq!(least(&made, "Patient.identifier"), 1);
}
