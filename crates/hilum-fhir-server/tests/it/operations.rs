//! Patches and operations.

use http::StatusCode;
use serde_json::{Value, json};

use crate::kit::Server;

const JSON_PATCH: [(&str, &str); 1] = [("content-type", "application/json-patch+json")];

#[tokio::test]
async fn parts_of_a_resource_are_patched_in_either_way() {
    let server = Server::start().await;
    server
        .store(
            json!({ "resourceType": "Patient", "id": "p1", "active": true,
        "identifier": [{ "system": "urn:mrn", "value": "1" }] }),
        )
        .await;
    let patch = r#"[{"op":"test","path":"/active","value":true},{"op":"replace","path":"/active","value":false},{"op":"add","path":"/gender","value":"female"}]"#;
    let patched = server
        .request("PATCH", "/Patient/p1", &JSON_PATCH, patch)
        .await;
    assert_eq!(patched.status, StatusCode::OK, "{}", patched.told());
    assert_eq!(patched.json()["gender"], "female");
    assert_eq!(patched.header("etag"), "W/\"2\"");
    let failed = server
        .request("PATCH", "/Patient/p1", &JSON_PATCH, patch)
        .await;
    assert_eq!(
        failed.status,
        StatusCode::UNPROCESSABLE_ENTITY,
        "{}",
        failed.told()
    );
    let path_patch = json!({ "resourceType": "Parameters", "parameter": [{ "name": "operation", "part": [
        { "name": "type", "valueCode": "replace" },
        { "name": "path", "valueString": "Patient.gender" },
        { "name": "value", "valueCode": "male" } ] }] });
    let patched = server
        .request(
            "PATCH",
            "/Patient?identifier=urn:mrn%7C1",
            &[],
            path_patch.to_string(),
        )
        .await;
    assert_eq!(patched.status, StatusCode::OK, "{}", patched.told());
    assert_eq!(patched.json()["gender"], "male");
    for (path, headers, body, status) in [
        ("/Patient/none", &JSON_PATCH[..], "[]", 404),
        ("/Patient?identifier=none", &JSON_PATCH[..], "[]", 404),
        ("/Patient/p1", &JSON_PATCH[..], "{", 422),
        (
            "/Patient/p1",
            &JSON_PATCH[..],
            r#"[{"op":"replace","path":"/id","value":"x"}]"#,
            422,
        ),
        (
            "/Patient/p1",
            &JSON_PATCH[..],
            r#"[{"op":"add","path":"/colour","value":"x"}]"#,
            422,
        ),
        (
            "/Patient/p1",
            &[("content-type", "text/plain")][..],
            "x",
            415,
        ),
        ("/Patient/p1", &[][..], r#"{"resourceType":"Patient"}"#, 400),
        (
            "/Patient/p1",
            &[
                ("content-type", "application/json-patch+json"),
                ("if-match", "W/\"1\""),
            ][..],
            "[]",
            412,
        ),
    ] {
        let answer = server.request("PATCH", path, headers, body).await;
        assert_eq!(
            answer.status.as_u16(),
            status,
            "{path} {body}: {}",
            answer.told()
        );
    }
    // [{"op":"replace","path":"/gender","value":"other"}]
    let data = "W3sib3AiOiJyZXBsYWNlIiwicGF0aCI6Ii9nZW5kZXIiLCJ2YWx1ZSI6Im90aGVyIn1d";
    for kind in ["batch", "transaction"] {
        let bundle = json!({ "resourceType": "Bundle", "type": kind, "entry": [{
            "resource": { "resourceType": "Binary", "contentType": "application/json-patch+json", "data": data },
            "request": { "method": "PATCH", "url": "Patient/p1" } }] });
        let answer = server.post("/", &bundle).await;
        assert_eq!(
            answer.json()["entry"][0]["response"]["status"],
            "200 OK",
            "{kind}: {}",
            answer.told()
        );
        assert_eq!(server.get("/Patient/p1").await.json()["gender"], "other");
    }
}

#[tokio::test]
async fn labels_are_shown_added_and_taken_away() {
    let server = Server::start().await;
    server
        .store(json!({ "resourceType": "Patient", "id": "p1", "active": true }))
        .await;
    let parameters = |tag: &str| {
        json!({ "resourceType": "Parameters", "parameter": [{ "name": "meta",
        "valueMeta": { "tag": [{ "system": "urn:x", "code": tag }] } }] })
    };
    for (name, tag, expected) in [
        ("$meta-add", "a", "a"),
        ("$meta-add", "b", "a b"),
        ("$meta-add", "a", "a b"),
        ("$meta-delete", "a", "b"),
        ("$meta-delete", "z", "b"),
    ] {
        let answer = server
            .post(&format!("/Patient/p1/{name}"), &parameters(tag))
            .await;
        assert_eq!(answer.status, StatusCode::OK, "{}", answer.told());
        let shown = server.get("/Patient/p1/$meta").await.json();
        assert_eq!(shown, answer.json());
        let tags: Vec<_> = shown["parameter"][0]["valueMeta"]["tag"]
            .as_array()
            .unwrap()
            .iter()
            .map(|tag| tag["code"].as_str().unwrap())
            .collect();
        assert_eq!(tags.join(" "), expected, "{name} {tag}");
    }
    assert_eq!(server.get("/Patient?_tag=b").await.found(), ["Patient/p1"]);
    assert_eq!(server.get("/Patient?_tag=a").await.found().len(), 0);
    let wrong = server
        .post(
            "/Patient/p1/$meta-add",
            &json!({ "resourceType": "Parameters" }),
        )
        .await;
    assert_eq!(wrong.status, StatusCode::BAD_REQUEST, "{}", wrong.told());
}

#[tokio::test]
async fn labels_of_a_type_and_of_the_system_are_shown() {
    let server = Server::start().await;
    let empty = server.get("/$meta").await;
    assert_eq!(empty.json(), json!({ "resourceType": "Parameters" }));
    let tag = |system: &str, code: &str| json!({ "system": system, "code": code });
    let labelled = |kind: &str, id: &str, meta: Value| {
        let mut resource = json!({ "resourceType": kind, "id": id, "meta": meta });
        if kind == "Basic" {
            resource["code"] = json!({ "text": "x" });
        }
        resource
    };
    let restricted = json!({ "system": "http://terminology.hl7.org/CodeSystem/v3-Confidentiality", "code": "R", "display": "restricted" });
    for resource in [
        labelled(
            "Patient",
            "p1",
            json!({ "tag": [tag("urn:x", "a"), tag("urn:y", "a")] }),
        ),
        labelled(
            "Patient",
            "p2",
            json!({ "tag": [tag("urn:x", "a"), tag("urn:x", "b")], "security": [restricted] }),
        ),
        labelled("Patient", "p3", json!({ "source": "urn:x" })),
        labelled(
            "Basic",
            "b1",
            json!({ "tag": [{ "code": "c" }], "profile": ["http://hl7.org/fhir/StructureDefinition/Basic"] }),
        ),
    ] {
        server.store(resource).await;
    }
    let patients = json!({ "resourceType": "Parameters", "parameter": [{ "name": "return", "valueMeta": {
        "security": [restricted], "tag": [tag("urn:x", "a"), tag("urn:x", "b"), tag("urn:y", "a")] } }] });
    let shown = server.get("/Patient/$meta").await;
    assert_eq!(shown.json(), patients, "{}", shown.told());
    let all = json!({ "resourceType": "Parameters", "parameter": [{ "name": "return", "valueMeta": {
        "profile": ["http://hl7.org/fhir/StructureDefinition/Basic"], "security": [restricted],
        "tag": [{ "code": "c" }, tag("urn:x", "a"), tag("urn:x", "b"), tag("urn:y", "a")] } }] });
    assert_eq!(server.get("/$meta").await.json(), all);
    // Only what current versions have counts.
    server
        .store(labelled("Patient", "p2", json!({ "source": "urn:x" })))
        .await;
    server.request("DELETE", "/Basic/b1", &[], "").await;
    let left = json!({ "resourceType": "Parameters", "parameter": [{ "name": "return", "valueMeta": {
        "tag": [tag("urn:x", "a"), tag("urn:y", "a")] } }] });
    assert_eq!(server.get("/$meta").await.json(), left);
    for (path, status) in [("/Colour/$meta", 404), ("/Patient/$meta?x=1", 400)] {
        assert_eq!(server.get(path).await.status.as_u16(), status, "{path}");
    }
}

async fn record() -> Server {
    let server = Server::start().await;
    let observation = |id: &str, code: &str, date: &str| {
        json!({ "resourceType": "Observation", "id": id,
        "status": "final", "code": { "coding": [{ "system": "http://loinc.org", "code": code }] },
        "subject": { "reference": "Patient/p1" }, "effectiveDateTime": date })
    };
    for resource in [
        json!({ "resourceType": "Organization", "id": "o1", "name": "x" }),
        json!({ "resourceType": "Practitioner", "id": "d1" }),
        json!({ "resourceType": "Patient", "id": "p1", "managingOrganization": { "reference": "Organization/o1" } }),
        json!({ "resourceType": "Patient", "id": "p2" }),
        observation("b1", "8480-6", "2026-01-01"),
        observation("b2", "8480-6", "2026-03-01"),
        observation("b3", "8480-6", "2026-02-01"),
        observation("b4", "2823-3", "2020-01-01"),
        json!({ "resourceType": "Composition", "id": "c1", "status": "final", "type": { "text": "x" }, "date": "2026-01-01",
            "title": "x", "subject": { "reference": "Patient/p1" }, "author": [{ "reference": "Practitioner/d1" }],
            "section": [{ "entry": [{ "reference": "Observation/b1" }] }] }),
    ] {
        server.store(resource).await;
    }
    server
}

#[tokio::test]
async fn everything_about_a_patient_is_found() {
    let server = record().await;
    let sorted = |mut found: Vec<String>| {
        found.sort();
        found.join(" ")
    };
    let all = server.get("/Patient/p1/$everything").await;
    let expected = "+Organization/o1 +Practitioner/d1 Composition/c1 Observation/b1 Observation/b2 Observation/b3 Observation/b4 Patient/p1";
    assert_eq!(sorted(all.found()), expected, "{}", all.told());
    let some = server
        .get("/Patient/p1/$everything?_type=Observation&_since=2020-01-01")
        .await;
    assert_eq!(
        sorted(some.found()),
        "+Patient/p1 Observation/b1 Observation/b2 Observation/b3 Observation/b4"
    );
    let mut next = Some("/Patient/p1/$everything?_count=2".to_owned());
    let mut matches = Vec::new();
    while let Some(path) = next {
        let page = server.get(&path).await;
        matches.extend(
            page.found()
                .into_iter()
                .filter(|entry| !entry.starts_with('+')),
        );
        next = page.link("next");
    }
    assert_eq!(matches.len(), 6, "{matches:?}");
    for (path, status) in [
        ("/Patient/none/$everything", 404),
        ("/Patient/p1/$everything?start=soon", 400),
        ("/Patient/p1/$everything?begin=2026-01-01", 400),
        ("/Encounter/e1/$everything?start=2026-01-01", 400),
        ("/Patient/p1/$everything?_since=x", 400),
        ("/Observation/b1/$everything", 404),
    ] {
        assert_eq!(server.get(path).await.status.as_u16(), status, "{path}");
    }
}

#[tokio::test]
async fn everything_about_a_patient_is_limited_to_a_time_of_care() {
    let server = record().await;
    let about = json!({ "reference": "Patient/p1" });
    for resource in [
        json!({ "resourceType": "Condition", "id": "k1", "subject": about, "onsetDateTime": "1999-01-01", "code": { "text": "x" },
            "clinicalStatus": { "coding": [{ "system": "http://terminology.hl7.org/CodeSystem/condition-clinical", "code": "active" }] } }),
        json!({ "resourceType": "Encounter", "id": "e1", "subject": about, "status": "finished",
            "class": { "system": "http://terminology.hl7.org/CodeSystem/v3-ActCode", "code": "AMB" },
            "period": { "start": "2025-12-30", "end": "2026-01-15" } }),
        json!({ "resourceType": "Observation", "id": "b5", "status": "final", "code": { "text": "x" }, "subject": about }),
    ] {
        server.store(resource).await;
    }
    // What lasts, or has no time, is always there.
    let always = "Condition/k1 Observation/b5 Patient/p1";
    for (range, of_then) in [
        ("start=2026-02-01", "Observation/b2 Observation/b3"),
        ("end=2019", ""),
        (
            "start=2026-01-02&end=2026-02",
            "Encounter/e1 Observation/b3",
        ),
        (
            "start=2026-01-01&end=2026-01-01",
            "Composition/c1 Encounter/e1 Observation/b1",
        ),
    ] {
        let mut expected: Vec<_> = always
            .split(' ')
            .chain(of_then.split_whitespace())
            .collect();
        expected.sort_unstable();
        let path = format!("/Patient/p1/$everything?{range}");
        let whole = server.get(&path).await;
        let matches =
            |found: Vec<String>| found.into_iter().filter(|entry| !entry.starts_with('+'));
        let mut found: Vec<_> = matches(whole.found()).collect();
        found.sort();
        assert_eq!(found, expected, "{range}: {}", whole.told());
        // Page by page it is the same.
        let mut next = Some(format!("{path}&_count=2"));
        let mut paged = Vec::new();
        while let Some(path) = next {
            let page = server.get(&path).await;
            paged.extend(matches(page.found()));
            next = page.link("next");
        }
        paged.sort();
        assert_eq!(paged, expected, "{range}");
    }
    let some = server
        .get("/Patient/p1/$everything?start=2026-02-01&_type=Observation,Encounter&_type=Condition")
        .await;
    let mut found = some.found();
    found.retain(|entry| !entry.starts_with('+'));
    found.sort();
    let expected = [
        "Condition/k1",
        "Observation/b2",
        "Observation/b3",
        "Observation/b5",
    ];
    assert_eq!(found, expected, "{}", some.told());
}

#[tokio::test]
async fn the_newest_of_each_code_are_found() {
    let server = record().await;
    for (path, expected) in [
        (
            "/Observation/$lastn?patient=p1",
            "Observation/b2 Observation/b4",
        ),
        (
            "/Observation/$lastn?patient=p1&max=2",
            "Observation/b2 Observation/b3 Observation/b4",
        ),
        ("/Observation/$lastn?patient=p2", ""),
        (
            "/Observation/$lastn?code=8480-6&date=lt2026-02-15",
            "Observation/b3",
        ),
    ] {
        let answer = server.get(path).await;
        assert_eq!(
            answer.found().join(" "),
            expected,
            "{path}: {}",
            answer.told()
        );
    }
    for path in [
        "/Observation/$lastn",
        "/Observation/$lastn?patient=p1&max=0",
        "/Observation/$lastn?patient=p1&_sort=date",
    ] {
        assert_eq!(
            server.get(path).await.status,
            StatusCode::BAD_REQUEST,
            "{path}"
        );
    }
}

#[tokio::test]
async fn a_document_begins_with_its_composition() {
    let server = record().await;
    let answer = server.get("/Composition/c1/$document").await;
    assert_eq!(answer.json()["type"], "document", "{}", answer.told());
    let mut found = answer.found();
    assert_eq!(found.remove(0), "Composition/c1");
    found.sort();
    assert_eq!(found, ["Observation/b1", "Patient/p1", "Practitioner/d1"]);
    let checked = server.post("/Bundle/$validate", &answer.json()).await;
    let errors: Vec<_> = checked.json()["issue"]
        .as_array()
        .unwrap()
        .iter()
        .filter(|issue| issue["severity"] == "error")
        .cloned()
        .collect();
    assert_eq!(errors, Vec::<Value>::new());
}

#[tokio::test]
async fn a_document_is_stored_where_that_is_asked() {
    let server = record().await;
    let path = "/Composition/c1/$document";
    let wanted = json!({ "resourceType": "Parameters", "parameter": [{ "name": "persist", "valueBoolean": true }] });
    for (body, query) in [(wanted.to_string(), ""), (String::new(), "?persist=true")] {
        let made = server
            .request("POST", &format!("{path}{query}"), &[], body)
            .await;
        assert_eq!(made.status, StatusCode::OK, "{}", made.told());
        let location = made
            .header("location")
            .split_once("/fhir")
            .unwrap()
            .1
            .to_owned();
        assert!(location.starts_with("/Bundle/"), "{location}");
        let stored = server.get(&location).await;
        assert_eq!(stored.json(), made.json());
        assert_eq!(stored.json()["type"], "document");
        assert_eq!(stored.found().len(), 4);
    }
    let passing = server.request("POST", path, &[], "").await;
    assert_eq!(passing.json()["type"], "document", "{}", passing.told());
    assert_eq!(passing.header("location"), "");
    assert_eq!(server.get("/Bundle").await.found().len(), 2);
    // A GET changes nothing.
    let refused = server.get(&format!("{path}?persist=true")).await;
    assert_eq!(
        refused.status,
        StatusCode::BAD_REQUEST,
        "{}",
        refused.told()
    );
    for query in ["?persist=x", "?graph=urn:x"] {
        let refused = server
            .request("POST", &format!("{path}{query}"), &[], "")
            .await;
        assert_eq!(refused.status, StatusCode::BAD_REQUEST, "{query}");
    }
    assert_eq!(server.get("/Bundle").await.found().len(), 2);
}

#[tokio::test]
async fn a_resource_is_validated_without_being_stored() {
    let server = Server::start().await;
    server
        .store(json!({ "resourceType": "Patient", "id": "p1" }))
        .await;
    let good = json!({ "resourceType": "Patient", "gender": "female" });
    let wrong = json!({ "resourceType": "Patient", "gender": "colour" });
    let wrapped = |resource: &Value| {
        json!({ "resourceType": "Parameters", "parameter": [
        { "name": "resource", "resource": resource }, { "name": "mode", "valueCode": "create" }] })
    };
    for (path, body, error) in [
        ("/$validate", good.clone(), None),
        ("/$validate", wrong.clone(), Some("code-invalid")),
        ("/Patient/$validate", wrong.clone(), Some("code-invalid")),
        ("/Observation/$validate", good.clone(), Some("invalid")),
        ("/Patient/$validate", wrapped(&good), None),
        ("/Patient/$validate", wrapped(&wrong), Some("code-invalid")),
        (
            "/$validate",
            json!({ "resourceType": "Patient", "nam": 1 }),
            Some("structure"),
        ),
        ("/$validate", json!({ "resourceType": "Parameters" }), None),
        (
            "/Patient/$validate?profile=http://hl7.org/fhir/StructureDefinition/Patient",
            good.clone(),
            None,
        ),
        (
            "/Observation/$validate?profile=http://hl7.org/fhir/StructureDefinition/vitalsigns",
            json!({ "resourceType": "Observation", "status": "final", "code": { "text": "x" } }),
            Some("invariant"),
        ),
        (
            "/Patient/$validate?profile=http://example.org/none",
            good.clone(),
            Some("not-found"),
        ),
    ] {
        let answer = server.post(path, &body).await;
        assert_eq!(
            answer.status,
            StatusCode::OK,
            "{path} {body}: {}",
            answer.told()
        );
        let issues = answer.json()["issue"].clone();
        let found = issues
            .as_array()
            .unwrap()
            .iter()
            .find(|issue| issue["severity"] == "error");
        let code = found.map(|issue| issue["code"].as_str().unwrap().to_owned());
        assert_eq!(code.as_deref(), error, "{path} {body}: {}", answer.told());
    }
    assert_eq!(
        server.get("/Patient/p1/$validate").await.status,
        StatusCode::OK
    );
    assert_eq!(server.get("/Patient").await.found().len(), 1);
}
