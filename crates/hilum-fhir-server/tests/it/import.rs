//! `$import`, and what is exported can be imported.

use std::collections::HashMap;
use std::io::Write;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use hilum_fhir_server::{Limits, Validate};
use hilum_net::{
    ClientTls, ClientTlsOptions, HostPort, Identity, ListenOptions, Listener, Roots, ServerTls,
    ServerTlsOptions, TlsVersion,
};
use hilum_testkit::certificates::Authority;
use serde_json::{Value, json};
use tokio::io::{AsyncReadExt, AsyncWriteExt};

use crate::kit::{Server, Sources};

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

/// A server of files that answers with these very bytes, the first ones first; it says how often
/// each was asked for.
struct Files {
    authority: String,
    asked: Arc<Mutex<HashMap<String, usize>>>,
}

impl Files {
    async fn serve(answers: &[(&'static str, Vec<Vec<u8>>)], tls: Option<Arc<ServerTls>>) -> Self {
        let mut options = ListenOptions::new(HostPort::listen("127.0.0.1:0").unwrap());
        options.tls = tls;
        let listener = Listener::bind(options).await.unwrap();
        let authority = format!("localhost:{}", listener.local_address().port());
        let answers: HashMap<String, Vec<Vec<u8>>> = answers
            .iter()
            .map(|(path, answers)| ((*path).to_owned(), answers.clone()))
            .collect();
        let answers = Arc::new(answers);
        let asked = Arc::new(Mutex::new(HashMap::<String, usize>::new()));
        let counts = Arc::clone(&asked);
        tokio::spawn(async move {
            loop {
                let incoming = listener.accept().await;
                let (answers, counts) = (Arc::clone(&answers), Arc::clone(&counts));
                tokio::spawn(async move {
                    let Ok(mut connection) = incoming.handshake().await else {
                        return;
                    };
                    let mut head = Vec::new();
                    while !head.ends_with(b"\r\n\r\n") {
                        match connection.stream.read_u8().await {
                            Ok(byte) => head.push(byte),
                            Err(_) => return,
                        }
                    }
                    let head = String::from_utf8(head).unwrap();
                    let path = head.split(' ').nth(1).unwrap().to_owned();
                    let at = {
                        let mut counts = counts.lock().unwrap();
                        let count = counts.entry(path.clone()).or_default();
                        *count += 1;
                        *count - 1
                    };
                    let known = answers.get(&path).map_or(&[][..], Vec::as_slice);
                    let answer = known.get(at).or(known.last());
                    let none = b"HTTP/1.1 404 Not Found\r\ncontent-length: 0\r\n\r\n".to_vec();
                    let answer = answer.unwrap_or(&none);
                    let _gone = connection.stream.write_all(answer).await;
                    if answer.ends_with(WAITS) {
                        // Until the client goes away.
                        let _gone = connection.stream.read_u8().await;
                    }
                    let _gone = connection.stream.shutdown().await;
                });
            }
        });
        Self { authority, asked }
    }

    fn asked(&self, path: &str) -> usize {
        self.asked.lock().unwrap().get(path).copied().unwrap_or(0)
    }
}

/// The end of an answer after which nothing comes and nothing ends.
const WAITS: &[u8] = b"waits";

fn ok(headers: &str, body: &[u8]) -> Vec<u8> {
    let length = body.len();
    let head = format!("HTTP/1.1 200 OK\r\ncontent-length: {length}\r\n{headers}\r\n");
    [head.as_bytes(), body].concat()
}

fn numbered(from: usize, to: usize) -> Vec<u8> {
    let lines: Vec<String> = (from..to).map(|at| line(&format!("p{at}"))).collect();
    lines.join("\n").into_bytes()
}

/// Begins an import of these URLs; the path of its status.
async fn begun(server: &Server, urls: &[String]) -> String {
    let inputs: Vec<Value> = urls.iter().map(|url| json!({ "url": url })).collect();
    let manifest = json!({ "input": inputs }).to_string();
    let json = [("content-type", "application/json")];
    let begun = server.request("POST", "/$import", &json, manifest).await;
    assert_eq!(begun.status, 202, "{}", begun.told());
    let status = begun.header("content-location");
    status.split_once("/fhir").unwrap().1.to_owned()
}

fn fast() -> Limits {
    Limits {
        import_fetch_pause: Duration::from_millis(1),
        import_fetch_tries: 3,
        ..Limits::default()
    }
}

#[tokio::test]
async fn files_of_other_servers_are_fetched_whole_and_again_when_they_break_off() {
    let mut packed = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::fast());
    packed.write_all(&numbered(0, 30)).unwrap();
    let packed = ok("content-encoding: gzip\r\n", &packed.finish().unwrap());
    let whole = ok("", &numbered(30, 100));
    let torn = whole[..whole.len() / 2].to_vec();
    let busy = b"HTTP/1.1 503 Service Unavailable\r\ncontent-length: 0\r\n\r\n".to_vec();
    let files = Files::serve(
        &[
            ("/bulk/packed", vec![packed]),
            ("/bulk/torn?part=2", vec![torn, busy, whole]),
        ],
        None,
    )
    .await;
    let base = format!("http://{}/bulk", files.authority);
    let sources = Sources {
        from: vec![format!("{base}/")],
        ..Sources::default()
    };
    let limits = Limits {
        import_batch_max: 7,
        ..fast()
    };
    let mut server = Server::importing(sources, limits.clone()).await;
    let urls = [format!("{base}/packed"), format!("{base}/torn?part=2")];
    let status = begun(&server, &urls).await;
    for _ in 0..3 {
        server = server.again_with(limits.clone()).await;
    }
    let manifest = server.ended(&status).await.json();
    let output =
        json!([{ "inputUrl": urls[0], "count": 30 }, { "inputUrl": urls[1], "count": 70 }]);
    assert_eq!(manifest["output"], output, "{manifest}");
    assert_eq!(manifest["error"], json!([]));
    let history = server.get("/Patient/_history?_count=1000").await.json();
    assert_eq!(history["entry"].as_array().unwrap().len(), 100);
    assert!(files.asked("/bulk/torn?part=2") >= 3);
}

#[tokio::test]
async fn only_what_the_site_names_is_fetched_and_within_limits() {
    let redirect =
        b"HTTP/1.1 302 Found\r\nlocation: /bulk/fine\r\ncontent-length: 0\r\n\r\n".to_vec();
    let silent = [b"HTTP/1.1 200 OK\r\ncontent-length: 99\r\n\r\n", WAITS].concat();
    let long = [
        b"HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n800\r\n".to_vec(),
        vec![b' '; 2_048],
        b"\r\n0\r\n\r\n".to_vec(),
    ]
    .concat();
    let endless = [
        b"HTTP/1.1 200 OK\r\nconnection: close\r\n\r\n".to_vec(),
        numbered(0, 2),
    ]
    .concat();
    let files = Files::serve(
        &[
            ("/bulk/fine", vec![ok("", &numbered(0, 2))]),
            ("/bulk/redirect", vec![redirect]),
            ("/bulk/silent", vec![silent]),
            ("/bulk/large", vec![ok("", &numbered(0, 100))]),
            ("/bulk/long", vec![long]),
            ("/bulk/endless", vec![endless]),
            ("/bulk/packed", vec![ok("content-encoding: br\r\n", b"x")]),
        ],
        None,
    )
    .await;
    let base = format!("http://{}", files.authority);
    let sources = Sources {
        from: vec![format!("{base}/bulk")],
        ..Sources::default()
    };
    let limits = Limits {
        import_bytes_max: 1_000,
        body_within: Duration::from_millis(300),
        ..fast()
    };
    let server = Server::importing(sources.clone(), limits.clone()).await;
    for (path, told, tries) in [
        ("/bulk/redirect", "redirects are not followed", 1),
        ("/bulk/none", "404", 1),
        ("/bulk/large", "import_bytes_max", 1),
        ("/bulk/long", "import_bytes_max", 1),
        ("/bulk/endless", "where it ends", 1),
        ("/bulk/packed", "Content-Encoding", 1),
        ("/bulk/silent", "tried 3 times", 3),
    ] {
        let status = begun(&server, &[format!("{base}{path}")]).await;
        let ended = server.ended(&status).await;
        assert_eq!(ended.status, 502, "{path}: {}", ended.told());
        assert!(ended.text().contains(told), "{path}: {}", ended.told());
        assert_eq!(files.asked(path), tries, "{path}");
    }
    assert_eq!(files.asked("/bulk/fine"), 0);
    assert_eq!(total(&server, "Patient").await, 0);
    let json = [("content-type", "application/json")];
    for url in [
        format!("{base}/other/x"),
        format!("{base}/bulk/../other"),
        format!("{base}/bulky"),
        format!("http://user@{}/bulk/fine", files.authority),
        format!("https://{}/bulk/fine", files.authority),
        "http://127.0.0.1:1/bulk/fine".to_owned(),
        "ftp://localhost/bulk/fine".to_owned(),
    ] {
        let manifest = json!({ "input": [{ "url": url }] }).to_string();
        let refused = server.request("POST", "/$import", &json, manifest).await;
        assert_eq!(refused.status, 400, "{url}: {}", refused.told());
    }
    let limits = Limits {
        import_fetch_within: Duration::from_millis(50),
        body_within: Duration::from_secs(60),
        ..limits
    };
    let server = Server::importing(sources, limits).await;
    let status = begun(&server, &[format!("{base}/bulk/silent")]).await;
    let ended = server.ended(&status).await;
    assert!(
        ended.text().contains("import_fetch_within"),
        "{}",
        ended.told()
    );
}

#[tokio::test]
async fn files_of_https_are_fetched_from_who_shows_a_trusted_certificate() {
    let folder = tempfile::tempdir().unwrap();
    let authority = Authority::new(folder.path(), "ca").unwrap();
    let stranger = Authority::new(folder.path(), "stranger").unwrap();
    let own = authority.sign("files", &["localhost"]).unwrap();
    let tls = ServerTls::load(ServerTlsOptions {
        identity: Identity {
            certificate: own.certificate,
            key: own.key,
        },
        clients: Default::default(),
        oldest: TlsVersion::default(),
        protocols: Vec::new(),
    });
    let files = Files::serve(
        &[("/p.ndjson", vec![ok("", &numbered(0, 2))])],
        Some(Arc::new(tls.unwrap())),
    )
    .await;
    let base = format!("https://{}", files.authority);
    for (ca, status) in [(&authority.ca, 200), (&stranger.ca, 502)] {
        let tls = ClientTls::load(ClientTlsOptions {
            roots: Roots::File(ca.clone()),
            ..ClientTlsOptions::default()
        });
        let sources = Sources {
            from: vec![base.clone()],
            tls: Some(Arc::new(tls.unwrap())),
            ..Sources::default()
        };
        let server = Server::importing(sources, fast()).await;
        let begun = begun(&server, &[format!("{base}/p.ndjson")]).await;
        let ended = server.ended(&begun).await;
        assert_eq!(ended.status, status, "{}", ended.told());
        let expected = if status == 200 { 2 } else { 0 };
        assert_eq!(total(&server, "Patient").await, expected);
    }
    assert_eq!(files.asked("/p.ndjson"), 1);
}
