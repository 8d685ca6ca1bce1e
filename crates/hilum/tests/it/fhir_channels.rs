//! FHIR through channels: posted, stored once, and found again by those who want to know.

use hilum_testkit::http::HttpClient;
use hilum_testkit::site::SiteFolder;
use hilum_testkit::wait::{free_port, until};
use serde_json::Value;

use crate::kit::{Running, copy};
use crate::{examples, text};

const RESULT: &str = r#"{"resourceType":"Observation","id":"ID","status":"final","code":{"text":"potassium"},"subject":{"identifier":{"system":"urn:mrn","value":"7"}}}"#;

async fn ask(port: u16, line: &str, body: &str) -> (u16, Value) {
    let address = std::net::SocketAddr::from(([127, 0, 0, 1], port));
    let mut client = HttpClient::connect(address).await.unwrap();
    let answer = client.exchange(line, &[], body.as_bytes()).await.unwrap();
    let body = serde_json::from_slice(&answer.body).unwrap_or(Value::Null);
    (answer.status().unwrap(), body)
}

#[tokio::test]
async fn a_posted_result_is_stored_and_what_is_stored_comes_back() {
    let [admin, fhir, results] = [(); 3].map(|()| free_port().unwrap());
    let folder = SiteFolder::new().unwrap();
    let from = examples().join("fhir-channels");
    copy(&from, &folder, "site", &[("26660", results)]);
    let (site, data) = (folder.path().join("site"), folder.path().join("data"));
    let node = std::fs::read_to_string(site.join("hilum.yaml")).unwrap();
    let node = node.replace(
        "fhir: {}",
        &format!("fhir: {{ listen: \"127.0.0.1:{fhir}\" }}"),
    );
    folder
        .file(
            "site/hilum.yaml",
            format!("{node}admin: 127.0.0.1:{admin}\n"),
        )
        .unwrap();
    std::fs::create_dir(site.join("board")).unwrap();
    let run = || {
        let mut node = Running::start(&["run", text(&site), "--data", text(&data)]);
        let line = node.line();
        assert!(line.contains("ready"), "{line}");
        node
    };
    let board = |id: &str| site.join(format!("board/{id}.json"));

    let running = run();
    let (status, outcome) = ask(results, "POST /results", &RESULT.replace("ID", "k1")).await;
    assert_eq!(status, 200, "{outcome}");
    assert_eq!(outcome["resourceType"], "OperationOutcome");
    until("the result is on the board", || board("k1").exists()).await;
    let shown: Value = serde_json::from_slice(&std::fs::read(board("k1")).unwrap()).unwrap();
    assert_eq!(shown["language"], "en", "the step was there");
    assert_eq!(shown["meta"]["versionId"], "1", "stored once");
    let (status, wrong) = ask(
        results,
        "POST /results",
        "{\"resourceType\":\"Observation\",\"x\":1}",
    )
    .await;
    assert_eq!(
        (status, wrong["issue"][0]["severity"].as_str()),
        (422, Some("error"))
    );
    running.terminate();
    running.end();

    // An application stores a result itself; the board gets that one and no other again.
    std::fs::remove_file(board("k1")).unwrap();
    let running = run();
    let (status, _) = stored(fhir, "k2").await;
    assert_eq!(status, 201);
    until("the other result is on the board", || board("k2").exists()).await;
    assert!(!board("k1").exists(), "the cursor outlives the node");
    running.terminate();
    running.end();
}

/// Puts a result as an application does.
async fn stored(port: u16, id: &str) -> (u16, Value) {
    let address = std::net::SocketAddr::from(([127, 0, 0, 1], port));
    let mut client = HttpClient::connect(address).await.unwrap();
    let line = format!("PUT /fhir/Observation/{id}");
    let headers = [("content-type", "application/fhir+json")];
    let body = RESULT.replace("ID", id);
    let answer = client.exchange(&line, &headers, body.as_bytes()).await;
    let answer = answer.unwrap();
    let body = serde_json::from_slice(&answer.body).unwrap_or(Value::Null);
    (answer.status().unwrap(), body)
}
