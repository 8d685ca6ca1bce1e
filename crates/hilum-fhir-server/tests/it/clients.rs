//! Clients of other makers, which know nothing of hilum.

use std::path::PathBuf;
use std::process::Command;

use crate::kit::Server;

/// Where `cargo xtask setup` keeps them.
fn peers() -> Option<PathBuf> {
    let folder = PathBuf::from(concat!(env!("CARGO_MANIFEST_DIR"), "/../../target/peers"));
    if folder.join("python/bin/python").exists() && folder.join("javascript/node_modules").exists()
    {
        return Some(folder);
    }
    let demanded = std::env::var("CI").is_ok_and(|value| value == "true");
    assert!(
        !demanded,
        "the clients are not installed; run `cargo xtask setup`"
    );
    println!("not run: clients of other makers (cargo xtask setup installs them)");
    None
}

/// Runs a client to its end, which must be a good one.
async fn succeeds(mut client: Command) {
    let run = move || client.output().expect("the client starts");
    let output = tokio::task::spawn_blocking(run).await.unwrap();
    let said = String::from_utf8_lossy(&output.stdout);
    let errors = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "{said}\n{errors}");
    assert!(said.ends_with("done\n"), "{said}");
}

/// Requests that schemathesis makes up for each operation, good and bad ones.
const EXAMPLES: &str = "8";
/// Seconds after which schemathesis is ended: it makes up thousands of requests, each answered in
/// milliseconds.
const SECONDS_MAX: &str = "600";

const CHECKS: &str = "not_a_server_error,status_code_conformance,content_type_conformance,\
    response_headers_conformance,response_schema_conformance,unsupported_method,allow_header_conformance";

#[tokio::test(flavor = "multi_thread")]
async fn schemathesis_finds_no_answer_that_the_openapi_document_does_not_describe() {
    let Some(peers) = peers() else { return };
    let server = Server::start().await;
    // What the examples of the document name.
    let subject = || serde_json::json!({ "reference": "Patient/example" });
    for resource in [
        serde_json::json!({ "resourceType": "Patient", "id": "example" }),
        serde_json::json!({ "resourceType": "Group", "id": "example", "type": "person", "actual": true }),
        serde_json::json!({ "resourceType": "Encounter", "id": "example", "status": "planned",
            "class": { "code": "AMB" }, "subject": subject() }),
        serde_json::json!({ "resourceType": "Observation", "id": "example", "status": "final",
            "code": { "text": "x" }, "subject": subject() }),
        serde_json::json!({ "resourceType": "Composition", "id": "example", "status": "final", "type": { "text": "x" },
            "date": "2026-01-01", "title": "x", "author": [subject()], "subject": subject() }),
    ] {
        server.store(resource).await;
    }
    let mut client = Command::new("timeout");
    client
        .arg(SECONDS_MAX)
        .arg(peers.join("python/bin/schemathesis"))
        .arg("run")
        .arg(format!("{}/openapi.json", server.base()))
        .args(["--seed", "26", "--max-examples", EXAMPLES, "--no-shrink"])
        .args(["--phases", "examples,coverage,fuzzing"])
        .args(["--suppress-health-check", "all", "--continue-on-failure"])
        .args(["--request-timeout", "20"])
        .args(["--checks", CHECKS])
        .current_dir(std::env::temp_dir());
    let run = move || client.output().expect("schemathesis starts");
    let output = tokio::task::spawn_blocking(run).await.unwrap();
    let said = String::from_utf8_lossy(&output.stdout);
    let errors = String::from_utf8_lossy(&output.stderr);
    assert_ne!(
        output.status.code(),
        Some(124),
        "it took longer than {SECONDS_MAX} s\n{said}"
    );
    assert!(output.status.success(), "{said}\n{errors}");
}

fn script(name: &str) -> String {
    format!(
        concat!(env!("CARGO_MANIFEST_DIR"), "/tests/clients/{}"),
        name
    )
}

#[tokio::test(flavor = "multi_thread")]
async fn fhirclient_reads_writes_searches_and_sends_transactions() {
    let Some(peers) = peers() else { return };
    let server = Server::start().await;
    let mut client = Command::new(peers.join("python/bin/python"));
    client.arg(script("fhirclient_peer.py")).arg(server.base());
    succeeds(client).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn fhir_kit_client_reads_writes_patches_pages_and_sends_bundles() {
    let Some(peers) = peers() else { return };
    let server = Server::start().await;
    let mut client = Command::new("node");
    client.arg(script("fhir_kit_peer.mjs")).arg(server.base());
    client.arg(peers.join("javascript"));
    succeeds(client).await;
}
