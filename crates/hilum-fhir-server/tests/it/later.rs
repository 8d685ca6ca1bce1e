//! Requests that are answered later.

use serde_json::{Value, json};

use crate::kit::Server;

fn transaction(method: &str, url: &str) -> Value {
    json!({ "resourceType": "Bundle", "type": "transaction", "entry": [
        { "resource": { "resourceType": "Patient", "id": "p1", "active": true },
          "request": { "method": method, "url": url } }] })
}

/// The one entry of the answer: its status and its resource.
async fn answered(server: &Server, status: &str) -> (String, Value) {
    let ended = server.ended(status).await;
    assert_eq!(ended.status, 200, "{}", ended.told());
    let bundle = ended.json();
    assert_eq!(bundle["type"], "batch-response");
    let entries = bundle["entry"].as_array().unwrap();
    assert_eq!(entries.len(), 1);
    let code = entries[0]["response"]["status"]
        .as_str()
        .unwrap()
        .to_owned();
    (code, entries[0]["resource"].clone())
}

#[tokio::test]
async fn bundles_and_searches_are_answered_later_where_that_is_preferred() {
    let server = Server::start().await;
    let stored = transaction("PUT", "Patient/p1").to_string();
    let status = server.begin("POST", "/", stored).await;
    let (code, answer) = answered(&server, &status).await;
    assert_eq!(
        (code.as_str(), &answer["type"]),
        ("200 OK", &json!("transaction-response"))
    );
    assert_eq!(answer["entry"][0]["response"]["status"], "201 Created");

    let status = server.begin("GET", "/Patient?_id=p1", "").await;
    let (code, found) = answered(&server, &status).await;
    assert_eq!(
        (code.as_str(), &found["type"]),
        ("200 OK", &json!("searchset"))
    );
    assert_eq!(found["entry"][0]["resource"]["id"], "p1");
    let xml = server
        .request("GET", &status, &[("accept", "application/fhir+xml")], "")
        .await;
    assert!(
        xml.text().starts_with("<?xml") || xml.text().starts_with("<Bundle"),
        "{}",
        xml.told()
    );

    let form = [
        ("content-type", "application/x-www-form-urlencoded"),
        ("prefer", "respond-async"),
    ];
    let begun = server
        .request("POST", "/Patient/_search", &form, "active=true")
        .await;
    let status = begun
        .header("content-location")
        .split_once("/fhir")
        .unwrap()
        .1
        .to_owned();
    assert_eq!(
        answered(&server, &status).await.1["entry"]
            .as_array()
            .unwrap()
            .len(),
        1
    );

    // What fails says so in the answer, with the status that it would have had.
    let status = server.begin("GET", "/Patient?colour=red", "").await;
    let (code, _) = answered(&server, &status).await;
    assert_eq!(code, "400 Bad Request");
    let again = transaction("PUT", "Patient/other").to_string();
    let status = server.begin("POST", "/", again).await;
    let (code, _) = answered(&server, &status).await;
    assert_eq!(code, "400 Bad Request");
    // A read is short: the preference is left aside.
    let read = server
        .request("GET", "/Patient/p1", &[("prefer", "respond-async")], "")
        .await;
    assert_eq!(read.status, 200);
}

#[tokio::test]
async fn a_request_that_a_restart_interrupts_is_done_once() {
    let mut server = Server::start().await;
    let batch = json!({ "resourceType": "Bundle", "type": "batch", "entry": [
        { "resource": { "resourceType": "Basic", "code": { "text": "x" } },
          "request": { "method": "POST", "url": "Basic" } },
        { "resource": { "resourceType": "Basic", "code": { "text": "y" } },
          "request": { "method": "POST", "url": "Basic" } }] });
    let post = json!({ "resourceType": "Bundle", "type": "transaction", "entry": [
        { "resource": { "resourceType": "Basic", "code": { "text": "z" } },
          "request": { "method": "POST", "url": "Basic" } }] });
    let mut statuses = Vec::new();
    for _ in 0..4 {
        statuses.push(server.begin("POST", "/", batch.to_string()).await);
        statuses.push(server.begin("POST", "/", post.to_string()).await);
        // Stopped wherever it is.
        server = server.again().await;
    }
    for status in &statuses {
        let (code, answer) = answered(&server, status).await;
        assert_eq!(code, "200 OK");
        for entry in answer["entry"].as_array().unwrap() {
            assert!(
                entry["response"]["status"]
                    .as_str()
                    .unwrap()
                    .starts_with("201")
            );
        }
    }
    let stored = server.get("/Basic?_summary=count").await.json();
    assert_eq!(stored["total"], 12);
}
