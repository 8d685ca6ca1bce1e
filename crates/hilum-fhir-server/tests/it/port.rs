//! What channels deliver: the same as over HTTP, and once.

use std::sync::Arc;

use hilum_component::{
    FhirInteraction, FhirMethod, FhirPlace, FhirPort, FhirRequest, FhirResponse, FhirWanted,
};
use serde_json::{Value, json};

use crate::kit::Server;

fn request(method: FhirMethod, target: &str, body: &Value, delivery: &str) -> FhirRequest {
    FhirRequest {
        method,
        target: target.to_owned(),
        body: body.to_string().into(),
        delivery: Some(delivery.to_owned()),
        ..FhirRequest::default()
    }
}

async fn ask(port: &Arc<dyn FhirPort>, request: FhirRequest) -> FhirResponse {
    port.request("", request).await
}

fn json_of(response: &FhirResponse) -> Value {
    serde_json::from_slice(response.body.as_ref().unwrap()).unwrap()
}

async fn count(server: &Server, path: &str) -> u64 {
    let path = format!("{path}?_summary=count");
    server.get(&path).await.json()["total"].as_u64().unwrap()
}

#[tokio::test]
async fn a_delivery_that_comes_again_changes_nothing_and_is_answered_as_before() {
    let server = Server::start().await;
    let port = server.port();
    let patient = json!({"resourceType": "Patient", "name": [{"family": "Ames"}]});
    let create = request(FhirMethod::Post, "Patient", &patient, "d1");
    let first = ask(&port, create.clone()).await;
    assert_eq!(first.status, 201, "{first:?}");
    let location = first.location.clone().unwrap();
    assert!(location.starts_with("Patient/") && location.ends_with("/_history/1"));
    assert_eq!(ask(&port, create.clone()).await, first);
    assert_eq!(count(&server, "/Patient").await, 1);

    let observation = json!({"resourceType": "Observation", "id": "o1", "status": "final", "code": {"text": "x"}});
    for (delivery, status, version) in [
        ("d2", 201, 1),
        ("d3", 200, 2),
        ("d2", 201, 1),
        ("d3", 200, 2),
    ] {
        let update = request(FhirMethod::Put, "Observation/o1", &observation, delivery);
        let answer = ask(&port, update).await;
        let expected = format!("Observation/o1/_history/{version}");
        assert_eq!(
            (answer.status, answer.location),
            (status, Some(expected)),
            "{delivery}"
        );
    }
    let delete = FhirRequest {
        method: FhirMethod::Delete,
        target: "Observation/o1".to_owned(),
        delivery: Some("d4".to_owned()),
        ..FhirRequest::default()
    };
    assert_eq!(ask(&port, delete).await.status, 204);

    // What is recorded outlives the server.
    drop(port);
    let server = server.again().await;
    assert_eq!(ask(&server.port(), create).await, first);
    assert_eq!(count(&server, "/Patient").await, 1);
}

#[tokio::test]
async fn bundles_are_carried_out_once() {
    let server = Server::start().await;
    let port = server.port();
    let entry = |family: &str| {
        json!({"resource": {"resourceType": "Patient", "name": [{"family": family}]},
               "request": {"method": "POST", "url": "Patient"}})
    };
    for (at, kind) in ["transaction", "batch"].into_iter().enumerate() {
        let bundle =
            json!({"resourceType": "Bundle", "type": kind, "entry": [entry("a"), entry("b")]});
        let places = |answer: &FhirResponse| -> Vec<String> {
            assert_eq!(answer.status, 200, "{:?}", answer.body);
            let entries = json_of(answer)["entry"].as_array().unwrap().clone();
            let place = |entry: &Value| {
                assert!(
                    entry["response"]["status"]
                        .as_str()
                        .unwrap()
                        .starts_with("201")
                );
                entry["response"]["location"].as_str().unwrap().to_owned()
            };
            entries.iter().map(place).collect()
        };
        let request = request(FhirMethod::Post, "", &bundle, kind);
        let first = places(&ask(&port, request.clone()).await);
        assert_eq!(first.len(), 2);
        assert_eq!(places(&ask(&port, request).await), first, "{kind}");
        assert_eq!(count(&server, "/Patient").await, 2 * (at as u64 + 1));
    }
}

#[tokio::test]
async fn what_is_wrong_is_told_as_over_http_and_may_be_mended() {
    let server = Server::start().await;
    let port = server.port();
    let wrong = json!({"resourceType": "Patient", "gender": "unknown-to-all"});
    let answer = ask(&port, request(FhirMethod::Post, "Patient", &wrong, "d1")).await;
    assert_eq!(answer.status, 422);
    assert_eq!(json_of(&answer)["resourceType"], "OperationOutcome");
    let right = json!({"resourceType": "Patient", "gender": "unknown"});
    let answer = ask(&port, request(FhirMethod::Post, "Patient", &right, "d1")).await;
    assert_eq!(answer.status, 201, "a refusal is not recorded");
    let mut xml = request(FhirMethod::Post, "Patient", &right, "d2");
    xml.body =
        "\u{feff}<Patient xmlns='http://hl7.org/fhir'><active value='true'/></Patient>".into();
    assert_eq!(ask(&port, xml.clone()).await.status, 201);
    xml.delivery = Some("x".repeat(hilum_component::DELIVERY_ID_MAX + 1));
    assert_eq!(ask(&port, xml).await.status, 400);
    let elsewhere = port.request("nowhere", FhirRequest::default()).await;
    assert_eq!(elsewhere.status, 404);
    let search = FhirRequest {
        target: "Patient?active=true&_sort=_lastUpdated".to_owned(),
        ..FhirRequest::default()
    };
    let found = port.request("", search.clone()).await;
    assert_eq!(json_of(&found)["entry"].as_array().unwrap().len(), 1);
    let found = port.request("second", search).await;
    assert_eq!(json_of(&found)["entry"], Value::Null);
}

/// What was changed behind a place, as `interaction target`, and the place behind it.
async fn changes(
    port: &Arc<dyn FhirPort>,
    types: &[&str],
    query: &str,
    after: FhirPlace,
    max: usize,
) -> Result<(Vec<String>, i64), String> {
    let wanted = FhirWanted {
        types: types.iter().map(|name| (*name).to_owned()).collect(),
        query: query.to_owned(),
        after,
        max,
    };
    let found = port.changes("", wanted).await?;
    let shown = found.changes.iter().map(|change| {
        let deleted = change.interaction == FhirInteraction::Delete;
        assert_eq!(change.body.is_empty(), deleted);
        format!("{:?} {}", change.interaction, change.target)
    });
    Ok((shown.collect(), found.to))
}

#[tokio::test]
async fn changes_are_told_in_order_by_those_who_ask_from_where_they_were() {
    let server = Server::start().await;
    let port = server.port();
    let mut commits = port.commits("").unwrap();
    assert!(port.commits("nobody").is_none());
    let result = |status: &str| json!({"resourceType": "Observation", "id": "o", "status": status, "code": {"text": "x"}});
    let patient = json!({"resourceType": "Patient", "id": "p"});
    server.put("/Observation/o", &result("preliminary")).await;
    assert!(commits.has_changed().unwrap());
    commits.mark_unchanged();
    server.put("/Patient/p", &patient).await;
    server.put("/Observation/o", &result("final")).await;
    server.request("DELETE", "/Observation/o", &[], "").await;
    server.put("/Observation/o", &result("amended")).await;
    let both = ["Observation", "Patient"];
    let all = [
        "Create Observation/o",
        "Create Patient/p",
        "Update Observation/o",
        "Delete Observation/o",
        "Create Observation/o",
    ];
    let found = changes(&port, &both, "", FhirPlace::Beginning, 100).await;
    assert_eq!(found, Ok((all.map(str::to_owned).to_vec(), 5)));
    let mut after = FhirPlace::Beginning;
    for expected in all {
        let (found, to) = changes(&port, &both, "", after, 1).await.unwrap();
        assert_eq!(found, [expected]);
        after = FhirPlace::Number(to);
    }
    for place in [after, FhirPlace::End, FhirPlace::Time(i64::MAX)] {
        let found = changes(&port, &both, "", place, 9).await;
        assert_eq!(found, Ok((Vec::new(), 5)), "{place:?}");
    }
    // What was deleted counts as what it was.
    for (status, expected) in [
        ("final", &all[2..4]),
        ("amended", &all[4..]),
        ("registered", &[]),
    ] {
        let query = format!("status={status}");
        let found = changes(&port, &["Observation"], &query, FhirPlace::Beginning, 9).await;
        let (found, to) = found.unwrap();
        assert_eq!(
            (found.as_slice(), to),
            (
                expected
                    .iter()
                    .map(|one| (*one).to_owned())
                    .collect::<Vec<_>>()
                    .as_slice(),
                5
            ),
            "{status}"
        );
    }
    // What was erased is left out.
    let mode = json!({"resourceType": "Parameters", "parameter": [{"name": "mode", "valueCode": "erase"}]});
    server.post("/Observation/o/$erase", &mode).await;
    let (found, _) = changes(&port, &both, "", FhirPlace::Beginning, 9)
        .await
        .unwrap();
    assert_eq!(found, ["Create Patient/p"]);
    for (types, query, place, text) in [
        (
            "Observation",
            "patient.name=x",
            FhirPlace::Beginning,
            "alone",
        ),
        ("Nothing", "", FhirPlace::Beginning, "no type"),
        ("Observation", "colour=red", FhirPlace::Beginning, "colour"),
        ("Patient", "", FhirPlace::Number(77), "another store"),
    ] {
        let error = changes(&port, &[types], query, place, 9).await.unwrap_err();
        assert!(error.contains(text), "{error}");
    }
}
