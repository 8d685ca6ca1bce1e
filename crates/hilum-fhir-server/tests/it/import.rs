//! `$import`, and what is exported can be imported.

use std::io::Write;

use hilum_fhir_server::{Limits, Validate};
use serde_json::{Value, json};

use crate::kit::Server;

const LINES: (&str, &str) = ("content-type", "application/fhir+ndjson");

fn line(id: &str) -> String {
    json!({ "resourceType": "Patient", "id": id, "active": true }).to_string()
}

/// The manifest of an import of a body.
async fn imported(server: &Server, body: Vec<u8>, headers: &[(&str, &str)]) -> Value {
    let mut all = vec![LINES];
    all.extend(headers);
    let begun = server.request("POST", "/$import", &all, body).await;
    assert_eq!(begun.status, 202, "{}", begun.told());
    let status = begun
        .header("content-location")
        .split_once("/fhir")
        .unwrap()
        .1
        .to_owned();
    let ended = server.ended(&status).await;
    assert_eq!(ended.status, 200, "{}", ended.told());
    ended.json()
}

async fn total(server: &Server, kind: &str) -> Value {
    server.get(&format!("/{kind}?_summary=count")).await.json()["total"].clone()
}

#[tokio::test]
async fn lines_are_stored_and_those_that_cannot_be_are_named() {
    let server = Server::start().await;
    let body = [
        line("p1").as_str(),
        "",
        r#"{"resourceType":"Patient","gender":"femal","name":[{"family":"Canary"}]}"#,
        r#"{"resourceType":"Patient","nam":[]}"#,
        "no JSON",
        r#"{"resourceType":"Observation","status":"final","code":{"text":"x"},"subject":{"reference":"Patient/p1"}}"#,
        line("p1").as_str(),
    ]
    .join("\n");
    let manifest = imported(&server, body.into_bytes(), &[]).await;
    assert_eq!(
        manifest["output"],
        json!([{ "inputUrl": null, "count": 3 }])
    );
    let errors = &manifest["error"][0];
    assert_eq!(
        (&errors["type"], &errors["count"]),
        (&json!("OperationOutcome"), &json!(3))
    );
    let path = errors["url"]
        .as_str()
        .unwrap()
        .split_once("/fhir")
        .unwrap()
        .1;
    let text = server.get(path).await.text();
    assert!(!text.contains("Canary"));
    let issues: Vec<Value> = text
        .lines()
        .map(|line| serde_json::from_str(line).unwrap())
        .collect();
    for (outcome, (number, place)) in
        issues
            .iter()
            .zip([(3, "Patient.gender"), (4, "Patient"), (5, "")])
    {
        let issue = &outcome["issue"][0];
        let told = issue["diagnostics"].as_str().unwrap();
        assert!(told.starts_with(&format!("line {number}: ")), "{told}");
        assert!(issue.to_string().contains(place), "{issue}");
    }
    assert_eq!(server.get("/Patient/p1").await.header("etag"), "W/\"2\"");
    assert_eq!(total(&server, "Observation").await, 1);
    let found = server.get("/Observation?subject=Patient/p1").await;
    assert_eq!(found.found().len(), 1);
}

#[tokio::test]
async fn a_packed_export_of_one_server_becomes_the_content_of_another() {
    let server = Server::start().await;
    let lines: Vec<String> = (0..600).map(|at| line(&format!("p{at}"))).collect();
    let mut packed = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::fast());
    packed.write_all(lines.join("\n").as_bytes()).unwrap();
    let packed = packed.finish().unwrap();
    imported(&server, packed, &[("content-encoding", "gzip")]).await;
    let status = server.begin("GET", "/$export?_type=Patient", "").await;
    let manifest = server.ended(&status).await.json();
    let path = manifest["output"][0]["url"]
        .as_str()
        .unwrap()
        .split_once("/fhir")
        .unwrap()
        .1;
    let zstd = [("accept-encoding", "zstd")];
    let exported = server.request("GET", path, &zstd, "").await;

    let other = Server::start().await;
    let body = exported.body.to_vec();
    let manifest = imported(&other, body, &[("content-encoding", "zstd")]).await;
    assert_eq!(manifest["output"][0]["count"], 600);
    assert_eq!(total(&other, "Patient").await, 600);
    let torn = [LINES, ("content-encoding", "gzip")];
    let refused = other
        .request("POST", "/$import", &torn, "no gzip at all")
        .await;
    assert_eq!(refused.status, 400, "{}", refused.told());
    assert_eq!(other.job_folders(), 1);
}

#[tokio::test]
async fn files_are_read_below_their_folder_only() {
    let server = Server::start().await;
    let folder = server.import_folder();
    std::fs::create_dir_all(folder.join("sub")).unwrap();
    std::fs::write(folder.join("sub/p.ndjson"), line("f1") + "\n" + &line("f2")).unwrap();
    std::fs::write(folder.join("wrong.ndjson"), line("f3")).unwrap();
    std::os::unix::fs::symlink("/etc/hostname", folder.join("link")).unwrap();
    let manifest = json!({ "inputFormat": "application/fhir+ndjson", "inputSource": "https://a.example",
        "storageDetail": { "type": "file" }, "input": [
            { "type": "Patient", "url": "file:sub/p.ndjson" },
            { "type": "Device", "url": "wrong.ndjson" } ] });
    let json = [("content-type", "application/json")];
    let begun = server
        .request("POST", "/$import", &json, manifest.to_string())
        .await;
    assert_eq!(begun.status, 202, "{}", begun.told());
    let status = begun
        .header("content-location")
        .split_once("/fhir")
        .unwrap()
        .1
        .to_owned();
    let done = server.ended(&status).await.json();
    assert_eq!(
        done["output"],
        json!([
        { "inputUrl": "file:sub/p.ndjson", "count": 2 }, { "inputUrl": "wrong.ndjson", "count": 0 }])
    );
    assert_eq!(done["error"][0]["inputUrl"], "wrong.ndjson");
    let parameters = |url: &str| {
        json!({ "resourceType": "Parameters", "parameter": [
        { "name": "inputFormat", "valueCode": "application/fhir+ndjson" },
        { "name": "input", "part": [ { "name": "type", "valueCode": "Patient" },
            { "name": "url", "valueUri": url } ] } ] })
    };
    let absolute = format!("file://{}", folder.join("sub/p.ndjson").display());
    let begun = server.post("/$import", &parameters(&absolute)).await;
    assert_eq!(begun.status, 202, "{}", begun.told());
    for url in [
        "file:///etc/hostname",
        "../fhir.db",
        "sub/../../fhir.db",
        "%2e%2e/fhir.db",
        "link",
        "sub",
        "none.ndjson",
        "http://127.0.0.1/x.ndjson",
    ] {
        let refused = server.post("/$import", &parameters(url)).await;
        assert_eq!(refused.status, 400, "{url}: {}", refused.told());
    }
    for body in ["{}", "[]", r#"{"inputs":[]}"#, "{"] {
        let refused = server.request("POST", "/$import", &json, body).await;
        assert_eq!(refused.status, 400, "{body}: {}", refused.told());
    }
}

#[tokio::test]
async fn an_import_that_is_cut_off_goes_on_and_stores_each_line_once() {
    let limits = Limits {
        import_batch_max: 2,
        ..Limits::default()
    };
    let mut server = Server::with(limits.clone(), Validate::Enforce).await;
    let lines: Vec<String> = (0..100).map(|at| line(&format!("p{at}"))).collect();
    let begun = server
        .request("POST", "/$import", &[LINES], lines.join("\n"))
        .await;
    let status = begun
        .header("content-location")
        .split_once("/fhir")
        .unwrap()
        .1
        .to_owned();
    for _ in 0..4 {
        server = server.again_with(limits.clone()).await;
    }
    let manifest = server.ended(&status).await.json();
    assert_eq!(manifest["output"][0]["count"], 100);
    assert_eq!(total(&server, "Patient").await, 100);
    let history = server.get("/Patient/_history?_count=1000").await.json();
    assert_eq!(history["entry"].as_array().unwrap().len(), 100);
}

#[tokio::test]
async fn limits_of_an_import_end_it() {
    let limits = Limits {
        import_bytes_max: 1_000,
        import_errors_max: 2,
        import_inputs_max: 1,
        ..Limits::default()
    };
    let server = Server::with(limits, Validate::Enforce).await;
    let long = server
        .request("POST", "/$import", &[LINES], "x".repeat(1_001))
        .await;
    assert_eq!(long.status, 413, "{}", long.told());
    assert_eq!(server.job_folders(), 0);
    let begun = server
        .request("POST", "/$import", &[LINES], "{}\n{}\n{}")
        .await;
    let status = begun
        .header("content-location")
        .split_once("/fhir")
        .unwrap()
        .1
        .to_owned();
    let ended = server.ended(&status).await;
    assert_eq!(ended.status, 422, "{}", ended.told());
    let errors = server.get(&format!("{status}/errors.1.ndjson")).await;
    assert_eq!(errors.text().lines().count(), 3);
    let two = json!({ "input": [{ "url": "a" }, { "url": "b" }] });
    let refused = server
        .request(
            "POST",
            "/$import",
            &[("content-type", "application/json")],
            two.to_string(),
        )
        .await;
    assert_eq!(refused.issues(), ["too-costly"]);
}
