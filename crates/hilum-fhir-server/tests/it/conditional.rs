//! Conditional create, update and delete.

use http::StatusCode;
use serde_json::json;

use hilum_fhir_server::{Limits, Validate};

use crate::kit::{Server, at_once};

#[tokio::test]
async fn a_create_with_a_condition_makes_one_resource() {
    let server = Server::start().await;
    let patient =
        json!({ "resourceType": "Patient", "identifier": [{ "system": "urn:mrn", "value": "1" }] })
            .to_string();
    let condition = [("if-none-exist", "identifier=urn:mrn|1")];
    let first = server
        .request("POST", "/Patient", &condition, patient.clone())
        .await;
    assert_eq!(first.status, StatusCode::CREATED, "{}", first.told());
    let second = server
        .request("POST", "/Patient", &condition, patient.clone())
        .await;
    assert_eq!(second.status, StatusCode::OK, "{}", second.told());
    assert_eq!(second.header("location"), first.header("location"));
    server
        .request("POST", "/Patient", &[], patient.clone())
        .await;
    let several = server
        .request("POST", "/Patient", &condition, patient.clone())
        .await;
    assert_eq!(several.status, StatusCode::PRECONDITION_FAILED);
    assert_eq!(several.issues(), ["multiple-matches"]);
    for wrong in [
        "",
        "colour=red",
        "_sort=name",
        "identifier=urn:mrn|1&_count=2",
    ] {
        let headers = [("if-none-exist", wrong), ("prefer", "handling=lenient")];
        let answer = server
            .request("POST", "/Patient", &headers, patient.clone())
            .await;
        if wrong.contains("_count") {
            assert_eq!(
                answer.status,
                StatusCode::PRECONDITION_FAILED,
                "{}",
                answer.told()
            );
        } else {
            assert_eq!(
                answer.status,
                StatusCode::BAD_REQUEST,
                "{wrong}: {}",
                answer.told()
            );
        }
    }
}

#[tokio::test]
async fn of_many_creates_with_one_condition_at_once_one_is_stored() {
    let server = std::sync::Arc::new(Server::start().await);
    let patient =
        json!({ "resourceType": "Patient", "identifier": [{ "system": "urn:mrn", "value": "7" }] })
            .to_string();
    let each = (0..16).map(|_| {
        let (address, patient) = (server.address.clone(), patient.clone());
        tokio::spawn(async move {
            let other = Server::client(&address);
            let condition = [("if-none-exist", "identifier=urn:mrn|7")];
            other
                .request("POST", "/Patient", &condition, patient)
                .await
                .status
        })
    });
    let mut created = 0;
    for one in each.collect::<Vec<_>>() {
        match one.await.unwrap() {
            StatusCode::CREATED => created += 1,
            status => assert_eq!(status, StatusCode::OK),
        }
    }
    assert_eq!(created, 1);
    assert_eq!(server.get("/Patient?identifier=7").await.found().len(), 1);
}

#[tokio::test]
async fn an_update_with_a_condition_finds_its_resource() {
    let server = Server::start().await;
    let path = "/Patient?identifier=urn:mrn%7C1";
    let patient = |id: Option<&str>| {
        let mut patient = json!({ "resourceType": "Patient", "identifier": [{ "system": "urn:mrn", "value": "1" }] });
        if let Some(id) = id {
            patient["id"] = json!(id);
        }
        patient
    };
    let created = server.put(path, &patient(None)).await;
    assert_eq!(created.status, StatusCode::CREATED, "{}", created.told());
    let id = created.json()["id"].as_str().unwrap().to_owned();
    let updated = server.put(path, &patient(None)).await;
    assert_eq!(updated.status, StatusCode::OK, "{}", updated.told());
    assert_eq!(updated.json()["id"], *id);
    let same = server.put(path, &patient(Some(&id))).await;
    assert_eq!(same.status, StatusCode::OK, "{}", same.told());
    let other = server.put(path, &patient(Some("other"))).await;
    assert_eq!(other.status, StatusCode::BAD_REQUEST, "{}", other.told());
    let own = server
        .put("/Patient?identifier=urn:mrn%7C2", &patient(Some("own")))
        .await;
    assert_eq!(own.status, StatusCode::CREATED, "{}", own.told());
    assert_eq!(own.json()["id"], "own");
    let taken = server
        .put("/Patient?identifier=urn:mrn%7C3", &patient(Some("own")))
        .await;
    assert_eq!(taken.status, StatusCode::CONFLICT, "{}", taken.told());
    let several = server.put(path, &patient(None)).await;
    assert_eq!(
        several.status,
        StatusCode::PRECONDITION_FAILED,
        "{}",
        several.told()
    );
}

#[tokio::test]
async fn a_delete_with_a_condition_takes_all_that_match() {
    let server = Server::start().await;
    for (id, gender) in [("p1", "male"), ("p2", "male"), ("p3", "female")] {
        server
            .store(json!({ "resourceType": "Patient", "id": id, "gender": gender }))
            .await;
    }
    let headers = [("prefer", "return=OperationOutcome")];
    let deleted = server
        .request("DELETE", "/Patient?gender=male", &headers, "")
        .await;
    assert_eq!(deleted.status, StatusCode::OK, "{}", deleted.told());
    assert!(
        deleted.text().contains("deleted 2 resources"),
        "{}",
        deleted.text()
    );
    assert_eq!(server.get("/Patient").await.found(), ["Patient/p3"]);
    let none = server
        .request("DELETE", "/Patient?gender=male", &[], "")
        .await;
    assert_eq!(none.status, StatusCode::NO_CONTENT);
}

/// Clients that do the same at the same moment.
async fn together(
    server: &Server,
    method: &str,
    path: &str,
    headers: &[(&str, &str)],
    body: &str,
) -> Vec<u16> {
    let clients: Vec<Server> = (0..12).map(|_| Server::client(&server.address)).collect();
    let sent = clients
        .iter()
        .map(|client| client.request(method, path, headers, body.to_owned()));
    let mut found: Vec<u16> = at_once(sent)
        .await
        .iter()
        .map(|answer| answer.status.as_u16())
        .collect();
    found.sort_unstable();
    found
}

#[tokio::test(flavor = "multi_thread")]
async fn of_clients_that_create_the_same_at_once_one_does() {
    let server = Server::start().await;
    let patient = |value: &str| {
        format!(
            r#"{{"resourceType":"Patient","identifier":[{{"system":"urn:mrn","value":"{value}"}}]}}"#
        )
    };
    let condition = [("if-none-exist", "identifier=urn:mrn|1")];
    let created = together(&server, "POST", "/Patient", &condition, &patient("1")).await;
    assert_eq!(
        created.iter().filter(|status| **status == 201).count(),
        1,
        "{created:?}"
    );
    // One that was prepared anew too often may try again; none is created twice.
    assert!(
        created
            .iter()
            .all(|status| matches!(status, 200 | 201 | 409)),
        "{created:?}"
    );
    let put = together(
        &server,
        "PUT",
        "/Patient?identifier=urn:mrn|2",
        &[],
        &patient("2"),
    )
    .await;
    assert_eq!(
        put.iter().filter(|status| **status == 201).count(),
        1,
        "{put:?}"
    );
    let transaction = format!(
        r#"{{"resourceType":"Bundle","type":"transaction","entry":[{{"resource":{},
        "request":{{"method":"POST","url":"Patient","ifNoneExist":"identifier=urn:mrn|3"}}}}]}}"#,
        patient("3")
    );
    let sent = together(&server, "POST", "/", &[], &transaction).await;
    assert!(
        sent.iter().all(|status| matches!(status, 200 | 409)),
        "{sent:?}"
    );
    for value in 1..=3 {
        let found = server
            .get(&format!("/Patient?identifier=urn:mrn%7C{value}"))
            .await;
        assert_eq!(found.found().len(), 1, "{value}: {}", found.told());
    }
}

#[tokio::test]
async fn a_conditional_delete_takes_all_that_match_or_none() {
    let limits = Limits {
        page_max: 3,
        ..Limits::default()
    };
    let server = Server::with(limits, Validate::Enforce).await;
    for id in ["p1", "p2", "p3", "p4"] {
        server.store(json!({ "resourceType": "Patient", "id": id, "gender": "male", "active": id != "p4" })).await;
    }
    let left = async |expected: usize| {
        assert_eq!(
            server.get("/Patient?_summary=count").await.json()["total"],
            expected
        );
    };
    let over = server
        .request("DELETE", "/Patient?gender=male", &[], "")
        .await;
    assert_eq!(over.issues(), ["too-costly"], "{}", over.told());
    left(4).await;
    let outcome = [("prefer", "return=OperationOutcome")];
    let all = server
        .request("DELETE", "/Patient?active=true", &outcome, "")
        .await;
    assert!(all.text().contains("3 resources"), "{}", all.told());
    left(1).await;
    let none = server
        .request("DELETE", "/Patient?active=true", &[], "")
        .await;
    assert_eq!(none.status.as_u16(), 204, "{}", none.told());
    let unconditional = server.request("DELETE", "/Patient", &[], "").await;
    assert_eq!(
        unconditional.issues(),
        ["required"],
        "{}",
        unconditional.told()
    );
    let shaped = server.request("DELETE", "/Patient?_count=1", &[], "").await;
    assert_eq!(shaped.status.as_u16(), 400, "{}", shaped.told());
    left(1).await;
}
