//! HTTP: formats, encodings, preferences, methods, hosts, limits.

use http::StatusCode;
use serde_json::json;

use crate::kit::Server;
use hilum_fhir_server::{Limits, Validate};

const XML: &str = "<?xml version=\"1.0\" encoding=\"UTF-8\"?>";

#[tokio::test]
async fn resources_come_and_go_as_json_and_xml() {
    let server = Server::start().await;
    let xml =
        r#"<Patient xmlns="http://hl7.org/fhir"><id value="p1"/><active value="true"/></Patient>"#;
    let headers = [
        ("content-type", "application/fhir+xml"),
        ("accept", "application/fhir+xml"),
    ];
    let created = server.request("PUT", "/Patient/p1", &headers, xml).await;
    assert_eq!(created.status, StatusCode::CREATED, "{}", created.told());
    assert!(
        created.text().contains("<active value=\"true\"/>"),
        "{}",
        created.text()
    );
    assert_eq!(
        created.header("content-type"),
        "application/fhir+xml; charset=utf-8"
    );
    assert_eq!(server.get("/Patient/p1").await.json()["active"], true);
    for (path, accept, kind, begin) in [
        (
            "/Patient/p1?_format=xml",
            "application/json",
            "application/fhir+xml",
            "<Patient ",
        ),
        (
            "/Patient/p1?_format=json",
            "application/xml",
            "application/fhir+json",
            "{\"resourceType\"",
        ),
        (
            "/Patient/p1",
            "application/json",
            "application/json",
            "{\"resourceType\"",
        ),
        (
            "/Patient/p1?_pretty=true",
            "*/*",
            "application/fhir+json",
            "{\n",
        ),
        (
            "/Patient/none",
            "application/fhir+xml",
            "application/fhir+xml",
            "<OperationOutcome ",
        ),
        (
            "/Patient?_format=xml",
            "*/*",
            "application/fhir+xml",
            "<Bundle ",
        ),
        (
            "/metadata?_format=xml",
            "*/*",
            "application/fhir+xml",
            "<CapabilityStatement ",
        ),
    ] {
        let answer = server.request("GET", path, &[("accept", accept)], "").await;
        assert!(
            answer.header("content-type").starts_with(kind),
            "{path} {accept}: {}",
            answer.told()
        );
        assert!(
            answer.text().trim_start_matches(XML).starts_with(begin),
            "{path}: {}",
            answer.text()
        );
    }
    let hostile = "<?xml version=\"1.0\"?><!DOCTYPE Patient [<!ENTITY x SYSTEM \"file:///etc/passwd\">]><Patient xmlns=\"http://hl7.org/fhir\"><id value=\"&x;\"/></Patient>";
    let refused = server
        .request("POST", "/Patient", &headers[..1], hostile)
        .await;
    assert_eq!(
        refused.status,
        StatusCode::BAD_REQUEST,
        "{}",
        refused.told()
    );
    for (kind, status) in [
        ("text/plain", 415),
        ("application/fhir+json; charset=latin1", 415),
        ("application/x-www-form-urlencoded", 415),
    ] {
        let answer = server
            .request("POST", "/Patient", &[("content-type", kind)], "{}")
            .await;
        assert_eq!(answer.status.as_u16(), status, "{kind}: {}", answer.told());
    }
}

#[tokio::test]
async fn bodies_may_be_packed_both_ways() {
    let server = Server::start().await;
    let names: Vec<_> = (0..200)
        .map(|n| json!({ "family": format!("Family {n}") }))
        .collect();
    let patient = json!({ "resourceType": "Patient", "id": "p1", "name": names }).to_string();
    let mut packed = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::fast());
    std::io::Write::write_all(&mut packed, patient.as_bytes()).unwrap();
    let packed = packed.finish().unwrap();
    let gzip = [("content-encoding", "gzip")];
    let put = server
        .request("PUT", "/Patient/p1", &gzip, packed.clone())
        .await;
    assert_eq!(put.status, StatusCode::CREATED, "{}", put.told());
    let packed = zstd::bulk::compress(patient.as_bytes(), 1).unwrap();
    let put = server
        .request(
            "PUT",
            "/Patient/p1",
            &[("content-encoding", "zstd")],
            packed.clone(),
        )
        .await;
    assert_eq!(put.status, StatusCode::OK, "{}", put.told());
    let wrong = server.request("PUT", "/Patient/p1", &gzip, packed).await;
    assert_eq!(wrong.status, StatusCode::BAD_REQUEST);
    let other = server
        .request("PUT", "/Patient/p1", &[("content-encoding", "br")], "x")
        .await;
    assert_eq!(other.status, StatusCode::UNSUPPORTED_MEDIA_TYPE);

    let plain = server.get("/Patient/p1").await;
    let zipped = server
        .request("GET", "/Patient/p1", &[("accept-encoding", "gzip")], "")
        .await;
    assert_eq!(zipped.header("content-encoding"), "gzip");
    let mut text = Vec::new();
    std::io::Read::read_to_end(
        &mut flate2::read::GzDecoder::new(&zipped.body[..]),
        &mut text,
    )
    .unwrap();
    assert_eq!(text, plain.body);
    let zstd = server
        .request(
            "GET",
            "/Patient/p1",
            &[("accept-encoding", "zstd, gzip")],
            "",
        )
        .await;
    assert_eq!(zstd.header("content-encoding"), "zstd");
    assert_eq!(
        zstd::bulk::decompress(&zstd.body, 1_000_000).unwrap(),
        plain.body
    );
}

#[tokio::test]
async fn the_client_says_what_a_write_answers() {
    let server = Server::start().await;
    let patient = r#"{"resourceType":"Patient"}"#;
    for (prefer, kind) in [
        ("return=minimal", ""),
        ("return=representation", "Patient"),
        ("return=OperationOutcome", "OperationOutcome"),
        ("wait=5", "Patient"),
    ] {
        let answer = server
            .request("POST", "/Patient", &[("prefer", prefer)], patient)
            .await;
        assert_eq!(answer.status, StatusCode::CREATED);
        if kind.is_empty() {
            assert!(answer.body.is_empty(), "{prefer}: {}", answer.told());
        } else {
            assert_eq!(answer.json()["resourceType"], kind, "{prefer}");
        }
    }
}

#[tokio::test]
async fn methods_hosts_and_origins_are_answered_as_they_should() {
    let server = Server::start().await;
    server
        .store(json!({ "resourceType": "Patient", "id": "p1" }))
        .await;
    let get = server.get("/Patient/p1").await;
    let head = server.request("HEAD", "/Patient/p1", &[], "").await;
    assert_eq!(head.status, StatusCode::OK);
    assert!(head.body.is_empty());
    for name in ["etag", "content-type", "last-modified"] {
        assert_eq!(head.header(name), get.header(name));
    }
    assert_eq!(head.header("content-length"), get.body.len().to_string());
    let options = server.request("OPTIONS", "/Patient/p1", &[], "").await;
    assert_eq!(options.status, StatusCode::NO_CONTENT);
    assert!(
        options.header("allow").contains("GET, HEAD"),
        "{}",
        options.header("allow")
    );
    assert_eq!(options.header("access-control-allow-origin"), "");
    let known = [("origin", "https://app.example")];
    let options = server.request("OPTIONS", "/Patient/p1", &known, "").await;
    assert_eq!(
        options.header("access-control-allow-origin"),
        "https://app.example"
    );
    let other = [("origin", "https://evil.example")];
    let answer = server.request("GET", "/Patient/p1", &other, "").await;
    assert_eq!(answer.header("access-control-allow-origin"), "");
    let wrong = server.request("PUT", "/metadata", &[], "{}").await;
    assert_eq!(wrong.status, StatusCode::METHOD_NOT_ALLOWED);
    assert_eq!(wrong.header("allow"), "GET");
    let lured = server
        .raw("GET /fhir/metadata HTTP/1.1\r\nhost: evil.example\r\nconnection: close\r\n\r\n")
        .await;
    assert!(lured.starts_with("HTTP/1.1 403"), "{lured}");
}

#[tokio::test]
async fn tenants_know_nothing_of_each_other() {
    let server = Server::start().await;
    server
        .store(json!({ "resourceType": "Patient", "id": "p1", "gender": "male" }))
        .await;
    let none = server.get("/t/second/Patient/p1").await;
    assert_eq!(none.status, StatusCode::NOT_FOUND);
    let put = server
        .put(
            "/t/second/Patient/p1",
            &json!({ "resourceType": "Patient", "id": "p1", "gender": "female" }),
        )
        .await;
    assert_eq!(put.status, StatusCode::CREATED, "{}", put.told());
    assert!(
        put.header("location")
            .contains("/fhir/t/second/Patient/p1/"),
        "{}",
        put.header("location")
    );
    assert_eq!(
        server
            .get("/t/second/Patient?gender=male")
            .await
            .found()
            .len(),
        0
    );
    assert_eq!(
        server.get("/Patient?gender=male").await.found(),
        ["Patient/p1"]
    );
}

#[tokio::test]
async fn a_body_above_the_limit_is_refused() {
    let limits = Limits {
        body_bytes_max: 10_000,
        ..Limits::default()
    };
    let server = Server::with(limits, Validate::Enforce).await;
    let patient = |bytes: usize| {
        let text = r#"{"resourceType":"Patient","language":"de"}"#;
        format!("{text}{}", " ".repeat(bytes - text.len()))
    };
    let fits = server
        .request("POST", "/Patient", &[], patient(10_000))
        .await;
    assert_eq!(fits.status, StatusCode::CREATED, "{}", fits.told());
    let over = server
        .request("POST", "/Patient", &[], patient(10_001))
        .await;
    assert_eq!(
        over.status,
        StatusCode::PAYLOAD_TOO_LARGE,
        "{}",
        over.told()
    );
    assert_eq!(over.issues(), ["too-long"]);
    let bomb = zstd::bulk::compress(&vec![b' '; 1_000_000], 1).unwrap();
    let over = server
        .request("POST", "/Patient", &[("content-encoding", "zstd")], bomb)
        .await;
    assert_eq!(
        over.status,
        StatusCode::PAYLOAD_TOO_LARGE,
        "{}",
        over.told()
    );
}

#[tokio::test]
async fn what_breaks_a_rule_is_let_through_where_that_is_asked_for() {
    let wrong = json!({ "resourceType": "Observation", "status": "final" });
    for (validate, status) in [
        (Validate::Off, StatusCode::CREATED),
        (Validate::Warn, StatusCode::CREATED),
        (Validate::Enforce, StatusCode::UNPROCESSABLE_ENTITY),
    ] {
        let server = Server::with(Limits::default(), validate).await;
        let headers = [("prefer", "return=OperationOutcome")];
        let answer = server
            .request("POST", "/Observation", &headers, wrong.to_string())
            .await;
        assert_eq!(answer.status, status, "{}", answer.told());
        let told = answer.issues().contains(&"required".to_owned());
        assert_eq!(told, validate != Validate::Off, "{}", answer.told());
    }
}

#[tokio::test]
async fn every_limit_of_a_request_is_kept() {
    let limits = Limits {
        bundle_entries_max: 2,
        search_parameters_max: 3,
        search_values_max: 3,
        included_max: 2,
        gathered_max: 2,
        page_max: 2,
        ..Limits::default()
    };
    let server = Server::with(limits, Validate::Warn).await;
    let observation = |id: &str| {
        json!({ "resourceType": "Observation", "id": id, "status": "final", "code": { "text": id },
            "subject": { "reference": "Patient/p1" }, "performer": [{ "reference": "Patient/p2" }] })
    };
    for id in ["p1", "p2"] {
        server
            .store(json!({ "resourceType": "Patient", "id": id }))
            .await;
    }
    for id in ["b1", "b2", "b3"] {
        server.store(observation(id)).await;
    }
    for (path, status) in [
        ("/Patient?gender=a&gender=b&gender=c", 200),
        ("/Patient?gender=a&gender=b&gender=c&gender=d", 400),
        ("/Patient?gender=a,b,c", 200),
        ("/Patient?gender=a,b,c,d", 400),
        ("/Observation?_id=b1&_include=Observation:subject", 200),
        ("/Patient?_id=p1&_revinclude=Observation:subject", 400),
        ("/Observation/$lastn?_id=b1,b2&patient=p1", 200),
        ("/Observation/$lastn?patient=p1", 400),
    ] {
        let answer = server.get(path).await;
        assert_eq!(answer.status.as_u16(), status, "{path}: {}", answer.told());
    }
    let page = server.get("/Observation?_count=3").await;
    assert_eq!(page.found().len(), 2, "{}", page.told());
    let deleted = server
        .request("DELETE", "/Observation?patient=p1", &[], "")
        .await;
    assert_eq!(
        deleted.status,
        StatusCode::PRECONDITION_FAILED,
        "{}",
        deleted.told()
    );
    let entry = json!({ "request": { "method": "GET", "url": "Patient/p1" } });
    for (count, status) in [(2, 200), (3, 400)] {
        let bundle = json!({ "resourceType": "Bundle", "type": "batch", "entry": vec![entry.clone(); count] });
        let answer = server.post("/", &bundle).await;
        assert_eq!(answer.status.as_u16(), status, "{count}: {}", answer.told());
    }
    let long = format!(
        "GET /fhir/metadata HTTP/1.1\r\nhost: {}\r\nconnection: close\r\nx: {}\r\n\r\n",
        server.address,
        "x".repeat(70_000)
    );
    let refused = server.raw(&long).await;
    assert!(refused.starts_with("HTTP/1.1 431"), "{refused}");
}

#[tokio::test]
async fn a_client_that_is_too_slow_is_let_go() {
    let limits = Limits {
        head_within: std::time::Duration::from_millis(50),
        body_within: std::time::Duration::from_millis(50),
        ..Limits::default()
    };
    let server = Server::with(limits, Validate::Warn).await;
    let head = server.raw("GET /fhir/meta").await;
    assert!(!head.contains("200 OK"), "{head}");
    let slow = format!(
        "POST /fhir/Patient HTTP/1.1\r\nhost: {}\r\ncontent-type: application/json\r\ncontent-length: 100\r\n\r\n{{",
        server.address
    );
    let body = server.raw(&slow).await;
    assert!(body.starts_with("HTTP/1.1 408"), "{body}");
}

#[tokio::test]
async fn what_cannot_be_read_or_given_is_said_in_the_status() {
    let server = Server::start().await;
    server
        .store(json!({ "resourceType": "Patient", "id": "p1" }))
        .await;
    let body = r#"{"resourceType":"Patient"}"#;
    for (method, path, name, value, status) in [
        ("GET", "/Patient/p1", "accept", "text/html", 406),
        (
            "GET",
            "/Patient/p1",
            "accept",
            "application/fhir+json;fhirVersion=5.0",
            406,
        ),
        ("GET", "/Patient/p1?_format=ttl", "accept", "*/*", 406),
        (
            "GET",
            "/Patient/p1?_format=application/fhir%2Bxml",
            "accept",
            "text/html",
            200,
        ),
        ("GET", "/Patient/p1?_format=text/xml", "accept", "*/*", 200),
        ("GET", "/Patient/p1?_pretty=yes", "accept", "*/*", 400),
        ("POST", "/Patient", "content-type", "text/plain", 415),
        (
            "POST",
            "/Patient",
            "content-type",
            "application/fhir+turtle",
            415,
        ),
        (
            "POST",
            "/Patient",
            "content-type",
            "application/fhir+xml",
            400,
        ),
        (
            "PATCH",
            "/Patient/p1",
            "content-type",
            "application/merge-patch+json",
            415,
        ),
        (
            "POST",
            "/Patient/_search",
            "content-type",
            "application/fhir+json",
            415,
        ),
        ("DELETE", "/metadata", "accept", "*/*", 405),
        ("PATCH", "/", "accept", "*/*", 405),
        (
            "GET",
            "/Patient/p1",
            "if-modified-since",
            "Fri, 29 Oct 2094 19:43:31 GMT",
            304,
        ),
        (
            "GET",
            "/Patient/p1",
            "if-modified-since",
            "Sat, 29 Oct 1994 19:43:31 GMT",
            200,
        ),
        ("GET", "/Patient/p1", "if-modified-since", "yesterday", 200),
        ("GET", "/Patient/p1", "if-none-match", "W/\"1\"", 304),
        ("GET", "/Patient/p1", "if-none-match", "W/\"2\"", 200),
        ("HEAD", "/Patient/p1", "if-none-match", "W/\"1\"", 304),
        ("HEAD", "/Patient?_count=1", "accept", "*/*", 200),
        ("HEAD", "/Patient/none", "accept", "*/*", 404),
        ("HEAD", "/metadata", "accept", "application/fhir+xml", 200),
    ] {
        let sent = if matches!(method, "GET" | "HEAD" | "DELETE") {
            ""
        } else {
            body
        };
        let answer = server.request(method, path, &[(name, value)], sent).await;
        let told = format!("{method} {path} {name}: {value}: {}", answer.told());
        assert_eq!(answer.status.as_u16(), status, "{told}");
        if status >= 400 && method != "HEAD" {
            assert!(!answer.issues().is_empty(), "{told}");
        }
        if method == "HEAD" || status == 304 {
            assert!(answer.body.is_empty(), "{told}");
        }
    }
}
