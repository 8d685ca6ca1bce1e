//! FHIR through channels: posted, stored once, and found again by those who want to know.

use std::io::{BufRead, BufReader};
use std::path::{Path, PathBuf};
use std::process::Stdio;

use hilum_testkit::http::{HttpClient, HttpMessage, HttpReceiver};
use hilum_testkit::ports::free_port;
use hilum_testkit::site::SiteFolder;
use hilum_testkit::wait::until;
use serde_json::Value;

use crate::kit::{Running, copy};
use crate::{ends, examples, hilum, text};

const RESULT: &str = r#"{"resourceType":"Observation","id":"ID","status":"final","code":{"text":"potassium"},"subject":{"identifier":{"system":"urn:mrn","value":"7"}}}"#;

async fn ask(port: u16, line: &str, body: &str) -> (u16, Value) {
    let address = std::net::SocketAddr::from(([127, 0, 0, 1], port));
    let mut client = HttpClient::connect(address).await.unwrap();
    let answer = client.exchange(line, &[], body.as_bytes()).await.unwrap();
    let body = serde_json::from_slice(&answer.body).unwrap_or(Value::Null);
    (answer.status().unwrap(), body)
}

/// The example with ports of its own.
pub(crate) fn example(folder: &SiteFolder, [admin, fhir, results]: [u16; 3]) -> (PathBuf, PathBuf) {
    let from = examples().join("fhir-channels");
    copy(&from, folder, "site", &[("26660", results)]);
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
    (site, data)
}

/// Both channels reach the store as if it were elsewhere: by HTTP.
fn by_http(folder: &SiteFolder, site: &Path, fhir: u16) {
    let url = format!("http://127.0.0.1:{fhir}/fhir");
    for (channel, known, new) in [
        (
            "results",
            "fhir: local",
            format!("fhir: {{ to: \"{url}\" }}"),
        ),
        (
            "board",
            "from: local",
            format!("from: \"{url}\"\n    every: 1s"),
        ),
    ] {
        let file = format!("channels/{channel}.yaml");
        let text = std::fs::read_to_string(site.join(&file)).unwrap();
        assert!(text.contains(known), "{text}");
        folder
            .file(&format!("site/{file}"), text.replace(known, &new))
            .unwrap();
    }
}

#[tokio::test]
async fn a_result_is_stored_once_though_the_node_dies_before_that_is_noted() {
    for http in [false, true] {
        let ports = [(); 3].map(|()| free_port().unwrap());
        let [_, fhir, results] = ports;
        let folder = SiteFolder::new().unwrap();
        let (site, data) = example(&folder, ports);
        if http {
            by_http(&folder, &site, fhir);
        }
        let arguments = ["run", text(&site), "--data", text(&data)];
        // As SIGKILL would, between the commit of the store and that of the journal.
        let mut dying = hilum(&arguments);
        dying
            .env("HILUM_FAILPOINT", "after-send:1")
            .stderr(Stdio::null())
            .stdout(Stdio::piped());
        let mut dying = dying.spawn().unwrap();
        let mut line = String::new();
        BufReader::new(dying.stdout.as_mut().unwrap())
            .read_line(&mut line)
            .unwrap();
        assert!(line.contains("ready"), "{line}");
        // The server gives the id: a repeat would be another resource.
        let unnamed = RESULT.replace("\"id\":\"ID\",", "");
        let address = std::net::SocketAddr::from(([127, 0, 0, 1], results));
        // The node may die before it answers; until its channels run it answers 503.
        loop {
            let Ok(mut client) = HttpClient::connect(address).await else {
                break;
            };
            let answer = client.exchange("POST /results", &[], unnamed.as_bytes());
            if !answer
                .await
                .is_ok_and(|answer| answer.line.contains(" 503"))
            {
                break;
            }
        }
        let ended = tokio::task::spawn_blocking(move || dying.wait()).await;
        assert!(
            !ended.unwrap().unwrap().success(),
            "it died at the failpoint"
        );

        let mut running = Running::start(&arguments);
        let line = running.line();
        assert!(line.contains("ready"), "{line}");
        // Of the same patient, so it comes behind the one that is sent again.
        // The channel may still be looking at what it was about to do.
        let taken = async {
            while ask(results, "POST /results", &RESULT.replace("ID", "k9"))
                .await
                .0
                != 200
            {
                tokio::task::yield_now().await;
            }
        };
        let within = std::time::Duration::from_secs(60);
        tokio::time::timeout(within, taken).await.unwrap();
        let board = site.join("board/k9.json");
        until("the later result is on the board", || board.exists()).await;
        let (_, found) = ask(fhir, "GET /fhir/Observation", "").await;
        let entries = found["entry"].as_array().unwrap();
        assert_eq!(entries.len(), 2, "by http: {http}: {found}");
        for entry in entries {
            assert_eq!(entry["resource"]["meta"]["versionId"], "1", "{entry}");
        }
        running.terminate();
        running.end();
    }
}

#[tokio::test]
async fn a_posted_result_is_stored_and_what_is_stored_comes_back() {
    let ports = [(); 3].map(|()| free_port().unwrap());
    let [admin, fhir, results] = ports;
    let folder = SiteFolder::new().unwrap();
    let (site, data) = example(&folder, ports);
    let run = || {
        let mut node = Running::start(&["run", text(&site), "--data", text(&data)]);
        let line = node.line();
        assert!(line.contains("ready"), "{line}");
        node
    };
    let board = |id: &str| site.join(format!("board/{id}.json"));

    let running = run();
    let at = format!("127.0.0.1:{admin}");
    let (status, _) = ends(&["status", "--at", &at], 0);
    assert!(
        status.contains(&format!("FHIR at http://127.0.0.1:{fhir}/fhir")),
        "{status}"
    );
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
    let body = RESULT.replace("ID", "k2");
    let (status, _) = change(fhir, "PUT /fhir/Observation/k2", &body).await;
    assert_eq!(status, 201);
    until("the other result is on the board", || board("k2").exists()).await;
    assert!(!board("k1").exists(), "the cursor outlives the node");
    running.terminate();
    running.end();
}

/// What a receiver got, as `Type/id version`, or what was deleted.
fn followed(received: &[HttpMessage]) -> Vec<String> {
    let shown = received.iter().map(|message| {
        let body: Value = serde_json::from_slice(&message.body).unwrap();
        if body["resourceType"] == "Bundle" {
            let request = &body["entry"][0]["request"];
            return format!("{} {}", request["method"], request["url"]).replace('"', "");
        }
        let version = &body["meta"]["versionId"];
        format!("{}/{} {version}", body["resourceType"], body["id"]).replace('"', "")
    });
    shown.collect()
}

const PATIENT: &str = r#"{"resourceType":"Patient","id":"ID"}"#;

async fn put(fhir: u16, of: &str, id: &str, body: &str) {
    let line = format!("PUT /fhir/{of}/{id}");
    let (status, told) = change(fhir, &line, &body.replace("ID", id)).await;
    assert!(status < 300, "{line}: {status} {told}");
}

/// Creates, updates, deletes and creates again; gives what a channel is to see of it.
async fn many_changes(fhir: u16) -> Vec<String> {
    let mut expected = Vec::new();
    for n in 1..=4 {
        let id = format!("k{n}");
        put(fhir, "Observation", &id, RESULT).await;
        put(fhir, "Patient", &id, PATIENT).await;
        put(fhir, "Observation", &id, RESULT).await;
        let (status, _) = change(fhir, &format!("DELETE /fhir/Observation/{id}"), "").await;
        assert!(status < 300, "{status}");
        put(fhir, "Device", &id, &PATIENT.replace("Patient", "Device")).await;
        put(fhir, "Observation", &id, RESULT).await;
        expected.extend([
            format!("Observation/{id} 1"),
            format!("Patient/{id} 1"),
            format!("Observation/{id} 2"),
            format!("DELETE Observation/{id}"),
            format!("Observation/{id} 4"),
        ]);
    }
    expected
}

#[tokio::test]
async fn every_change_of_the_store_reaches_a_channel_once_and_in_order_though_the_node_dies() {
    let [admin, fhir] = [(); 2].map(|()| free_port().unwrap());
    let folder = SiteFolder::new().unwrap();
    let node = format!(
        "site: followed\nadmin: 127.0.0.1:{admin}\nfhir: {{ listen: \"127.0.0.1:{fhir}\" }}\n"
    );
    folder.file("site/hilum.yaml", node).unwrap();
    let (site, data) = (folder.path().join("site"), folder.path().join("data"));
    let arguments = ["run", text(&site), "--data", text(&data)];
    let run = || {
        let mut node = Running::start(&arguments);
        let line = node.line();
        assert!(line.contains("ready"), "{line}");
        node
    };
    let running = run();
    let mut expected = many_changes(fhir).await;
    running.terminate();
    running.end();

    // A channel that comes later finds all of it, and dies again and again between its commit and
    // whatever would follow it.
    let hook = HttpReceiver::start().await.unwrap();
    let channel = format!(
        "channel: followed
about: Every change to the application
owner: it@st-elsewhere.example
from: {{ fhir: {{ from: local, types: [Patient, Observation], on: [create, update, delete], start: beginning, every: 1h }} }}
format: fhir
order: channel
to: {{ app: {{ http: {{ url: \"http://{}/in\" }} }} }}
",
        hook.address()
    );
    folder.file("site/channels/followed.yaml", channel).unwrap();
    for commits in [1, 2, 5] {
        let mut dying = hilum(&arguments);
        dying
            .env("HILUM_FAILPOINT", format!("after-commit:{commits}"))
            .stderr(Stdio::null())
            .stdout(Stdio::null());
        let mut dying = dying.spawn().unwrap();
        let ended = tokio::task::spawn_blocking(move || dying.wait()).await;
        assert!(
            !ended.unwrap().unwrap().success(),
            "it died at the failpoint"
        );
    }
    let running = run();
    // What comes while the channel runs comes without a look at the clock.
    put(fhir, "Patient", "last", PATIENT).await;
    expected.push("Patient/last 1".to_owned());
    let at = format!("127.0.0.1:{admin}");
    until("the last change is told", || {
        followed(&hook.received()).last() == expected.last()
    })
    .await;
    // Deliveries may be repeated after a crash, several that were not settled in a row; a message
    // may not.
    let mut received = followed(&hook.received());
    let mut seen = std::collections::HashSet::new();
    received.retain(|change| seen.insert(change.clone()));
    assert_eq!(received, expected);
    let messages = crate::kit::json_lines(&[
        "messages",
        "--at",
        &at,
        "--channel",
        "followed",
        "--limit",
        "100",
        "--json",
    ]);
    assert_eq!(messages.len(), expected.len());
    running.terminate();
    running.end();
}

/// What an application changes.
async fn change(port: u16, line: &str, body: &str) -> (u16, Value) {
    let address = std::net::SocketAddr::from(([127, 0, 0, 1], port));
    let mut client = HttpClient::connect(address).await.unwrap();
    let headers = [("content-type", "application/fhir+json")];
    let headers = if body.is_empty() { &[][..] } else { &headers };
    let answer = client
        .exchange(line, headers, body.as_bytes())
        .await
        .unwrap();
    let body = serde_json::from_slice(&answer.body).unwrap_or(Value::Null);
    (answer.status().unwrap(), body)
}
