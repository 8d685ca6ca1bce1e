//! Large attachments that channels bring beside the text of a request.

use std::io;
use std::sync::Arc;

use bytes::Bytes;
use hilum_component::{BlobReader, BoxFuture, FhirApart, FhirMethod, FhirRequest, FhirResponse};
use hilum_message::{BlobRange, BlobRef, Cut, Payload, Tokens};
use serde_json::{Value, json};

use crate::kit::Server;

/// More than two parts of the store.
const LENGTH: usize = 2_500_000;

struct Blob(Vec<u8>);

impl BlobReader for Blob {
    fn read<'a>(
        &'a self,
        range: &'a BlobRange,
        offset: u64,
        length: usize,
    ) -> BoxFuture<'a, io::Result<Bytes>> {
        Box::pin(async move {
            let from = usize::try_from(range.offset + offset).unwrap();
            let to = usize::try_from(range.offset + range.length).unwrap();
            // As a file may: less than was asked for.
            let to = to.min(from + length.min(300_000));
            Ok(Bytes::copy_from_slice(&self.0[from..to]))
        })
    }
}

fn document(seed: usize) -> String {
    let letter = |at: usize| char::from(b"ABCDEFGHabcdefgh0123+/"[(at * 5 + at / 777 + seed) % 22]);
    (0..LENGTH).map(letter).collect()
}

/// A request whose texts `@` are attachments.
fn request(target: &str, body: &Value, data: &str, delivery: &str) -> FhirRequest {
    let text = body.to_string();
    let (mut out, mut cuts) = (String::new(), Vec::new());
    for (at, piece) in text.split('@').enumerate() {
        if at > 0 {
            cuts.push(Cut {
                at: out.len(),
                range: BlobRange {
                    blob: BlobRef {
                        partition: "p".into(),
                        name: "b".into(),
                    },
                    offset: 0,
                    length: data.len() as u64,
                },
            });
        }
        out.push_str(piece);
    }
    let (body, tokens) = Tokens::embed(&Payload::with_cuts(out.into(), cuts));
    FhirRequest {
        method: if target.is_empty() {
            FhirMethod::Post
        } else {
            FhirMethod::Put
        },
        target: target.to_owned(),
        body,
        apart: Some(FhirApart {
            tokens: tokens.unwrap(),
            blobs: Arc::new(Blob(data.as_bytes().to_vec())),
        }),
        delivery: Some(delivery.to_owned()),
        ..FhirRequest::default()
    }
}

/// A text with another character in its second part.
fn with(text: &str, other: char) -> String {
    let all = text.chars().enumerate();
    all.map(|(at, own)| if at == 1_500_003 { other } else { own })
        .collect()
}

async fn ask(server: &Server, request: FhirRequest) -> FhirResponse {
    server.port().request("", request).await
}

fn transaction() -> Value {
    json!({ "resourceType": "Bundle", "type": "transaction", "entry": [
        { "fullUrl": "urn:uuid:0c3151bd-1cbf-4d64-b04d-cd9187a4c6e0",
          "resource": { "resourceType": "DocumentReference", "status": "current",
            "content": [{ "attachment": { "contentType": "application/pdf", "data": "@", "title": "ä" } }] },
          "request": { "method": "PUT", "url": "DocumentReference?identifier=urn:x%7C1" } },
        { "resource": { "resourceType": "Observation", "status": "final", "code": { "text": "x" },
            "derivedFrom": [{ "reference": "urn:uuid:0c3151bd-1cbf-4d64-b04d-cd9187a4c6e0" }] },
          "request": { "method": "POST", "url": "Observation" } },
    ] })
}

fn data(resource: &Value) -> &str {
    resource["content"][0]["attachment"]["data"]
        .as_str()
        .unwrap()
}

#[tokio::test]
async fn an_attachment_goes_into_the_store_beside_its_resource_and_comes_back_in_it() {
    let server = Server::start().await;
    let document = document(0);
    let asked = request("", &transaction(), &document, "d1");
    let answer = ask(&server, asked.clone()).await;
    assert_eq!(answer.status, 200, "{answer:?}");
    let told: Value = serde_json::from_slice(&answer.body.unwrap()).unwrap();
    let place = told["entry"][0]["response"]["location"].as_str().unwrap();
    let place = place.split("/_history/").next().unwrap();
    let place = format!(
        "/{}",
        place
            .split("/fhir/")
            .last()
            .unwrap()
            .split("localhost/")
            .last()
            .unwrap()
    );
    let id = place.rsplit('/').next().unwrap();

    let read = server.get(&place).await;
    assert_eq!(read.status, 200);
    assert_eq!(read.header("content-length"), read.body.len().to_string());
    let whole = read.json();
    assert!(data(&whole) == document);
    assert_eq!(whole["content"][0]["attachment"]["title"], "ä");
    assert_eq!(whole["meta"]["versionId"], "1");
    for path in [
        format!("{place}/_history/1"),
        format!("{place}?_elements=content"),
        format!("{place}?_pretty=true"),
    ] {
        assert!(data(&server.get(&path).await.json()) == document, "{path}");
    }
    let head = server.request("HEAD", &place, &[], "").await;
    assert_eq!(head.header("content-length"), read.body.len().to_string());
    let packed = server
        .request("GET", &place, &[("accept-encoding", "gzip")], "")
        .await;
    let mut text = String::new();
    io::Read::read_to_string(
        &mut flate2::read::GzDecoder::new(&packed.body[..]),
        &mut text,
    )
    .unwrap();
    assert!(text.as_bytes() == &read.body[..]);
    let xml = server
        .request("GET", &place, &[("accept", "application/fhir+xml")], "")
        .await;
    assert!(xml.text().contains(&document));
    for path in [
        format!("/DocumentReference?_id={id}"),
        format!("{place}/_history"),
        "/Observation?_include=Observation:derived-from".to_owned(),
    ] {
        assert!(server.get(&path).await.text().contains(&document), "{path}");
    }
    // What reads as part of a Bundle gives the whole as well.
    let batch = json!({ "resourceType": "Bundle", "type": "batch",
        "entry": [{ "request": { "method": "GET", "url": place.trim_start_matches('/') } }] });
    let answer = server.post("/", &batch).await.json();
    assert!(data(&answer["entry"][0]["resource"]) == document);
    let status = server
        .begin("GET", "/$export?_type=DocumentReference", "")
        .await;
    let manifest = server.ended(&status).await.json();
    let lines = server.lines(&manifest, "output").await;
    assert!(data(&lines[0]) == document);

    // The delivery again changes nothing; a change by a client keeps the document.
    assert_eq!(ask(&server, asked).await.status, 200);
    let patch = r#"[{"op":"replace","path":"/status","value":"superseded"}]"#;
    let headers = [("content-type", "application/json-patch+json")];
    let patched = server.request("PATCH", &place, &headers, patch).await;
    assert_eq!(patched.status, 200, "{}", patched.told());
    let now = server.get(&place).await.json();
    assert_eq!(
        (&now["status"], &now["meta"]["versionId"]),
        (&json!("superseded"), &json!("2"))
    );
    assert!(data(&now) == document);

    // A correction is the next version, and the version before keeps its own.
    let corrected = self::document(9);
    let mut resource = now.clone();
    resource["content"][0]["attachment"]["data"] = json!("@");
    let update = request(place.trim_start_matches('/'), &resource, &corrected, "d2");
    assert_eq!(ask(&server, update).await.status, 200);
    assert!(data(&server.get(&place).await.json()) == corrected);
    assert!(data(&server.get(&format!("{place}/_history/1")).await.json()) == document);
    let server = server.again().await;
    assert!(data(&server.get(&place).await.json()) == corrected);
}

#[tokio::test]
async fn what_is_not_base64_is_refused_and_leaves_nothing() {
    let server = Server::start().await;
    let body = json!({ "resourceType": "Binary", "id": "b", "contentType": "a/b", "data": "@" });
    let whole = document(1);
    let cut: String = whole.chars().skip(1).collect();
    let quote = with(&whole, '"');
    let line = with(&whole, '\n');
    for (at, data) in [&cut, &quote, &line].into_iter().enumerate() {
        let asked = request("Binary/b", &body, data, &format!("d{at}"));
        let answer = ask(&server, asked).await;
        assert_eq!(answer.status, 422, "{at}: {answer:?}");
        let told: Value = serde_json::from_slice(&answer.body.unwrap()).unwrap();
        assert_eq!(
            told["issue"][0]["diagnostics"], "a large attachment is not base64",
            "{told}"
        );
    }
    assert_eq!(server.get("/Binary/b").await.status, 404);
    // As a delivery that is mended.
    let answer = ask(&server, request("Binary/b", &body, &whole, "d0")).await;
    assert_eq!(answer.status, 201, "{answer:?}");
    assert!(server.get("/Binary/b").await.json()["data"] == whole);
}
