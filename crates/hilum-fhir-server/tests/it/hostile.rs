//! Hostile and broken requests: each is refused with an OperationOutcome that names the place, in
//! bounded time and memory, and the server goes on answering.

use std::fmt::Write as _;
use std::time::Duration;

use hilum_fhir_server::{Limits, Validate};
use serde_json::{Value, json};
use tokio::time::Instant;

use crate::kit::{Server, at_once, encoded};

/// What one request may take, on a slow machine without optimization.
const WITHIN: Duration = Duration::from_secs(60);
/// How much the peak of memory may grow in one test.
const GROWTH_BYTES_MAX: u64 = 700_000_000;

/// The peak of memory of this process.
fn peak_bytes() -> u64 {
    let status = std::fs::read_to_string("/proc/self/status").unwrap_or_default();
    let line = status.lines().find_map(|line| line.strip_prefix("VmHWM:"));
    let kilobytes = line.and_then(|line| line.trim().trim_end_matches(" kB").parse::<u64>().ok());
    kilobytes.unwrap_or(0) * 1024
}

/// Sends what nobody should send, and wants a refusal in time.
struct Attack<'s> {
    server: &'s Server,
    begin_bytes: u64,
}

impl<'s> Attack<'s> {
    fn on(server: &'s Server) -> Self {
        Self {
            server,
            begin_bytes: peak_bytes(),
        }
    }

    /// Refused, with an outcome that says one of these words.
    async fn refused(
        &self,
        what: &str,
        method: &str,
        path: &str,
        kind: &str,
        body: impl Into<bytes::Bytes>,
        named: &str,
    ) {
        let begin = Instant::now();
        let headers = [("content-type", kind)];
        let headers: &[_] = if kind.is_empty() { &[] } else { &headers };
        let answer = self.server.request(method, path, headers, body).await;
        let took = begin.elapsed();
        let told: String = answer.told().chars().take(600).collect();
        assert!(answer.status.is_client_error(), "{what}: {told}");
        assert!(!answer.issues().is_empty(), "{what}: {told}");
        assert!(answer.text().contains(named), "{what}: {told}");
        assert!(
            answer.body.len() < 200_000,
            "{what}: an answer of {} bytes",
            answer.body.len()
        );
        assert!(took < WITHIN, "{what} took {took:?}");
    }

    /// Answered in time, in whatever way.
    async fn answered(
        &self,
        what: &str,
        method: &str,
        path: &str,
        kind: &str,
        body: impl Into<bytes::Bytes>,
    ) {
        let begin = Instant::now();
        let answer = self
            .server
            .request(method, path, &[("content-type", kind)], body)
            .await;
        let told: String = answer.told().chars().take(600).collect();
        assert!(!answer.status.is_server_error(), "{what}: {told}");
        assert!(
            begin.elapsed() < WITHIN,
            "{what} took {:?}",
            begin.elapsed()
        );
    }

    /// The server is as well as before.
    async fn over(self) {
        let alive = self.server.get("/Patient?_count=1").await;
        assert!(alive.status.is_success(), "{}", alive.told());
        let grown = peak_bytes().saturating_sub(self.begin_bytes);
        assert!(grown < GROWTH_BYTES_MAX, "memory grew by {grown} bytes");
    }
}

const JSON: &str = "application/fhir+json";
const XML: &str = "application/fhir+xml";
const FORM: &str = "application/x-www-form-urlencoded";

#[tokio::test]
async fn broken_and_hostile_json_is_refused_with_its_place() {
    let server = Server::start().await;
    let attack = Attack::on(&server);
    let deep = |open: &str, close: &str, times: usize| {
        format!(
            r#"{{"resourceType":"Patient","contact":{}{}}}"#,
            open.repeat(times),
            close.repeat(times)
        )
    };
    let extension = r#"{"url":"x","extension":["#;
    let nested = format!(
        r#"{{"resourceType":"Patient","extension":[{}{}]}}"#,
        extension.repeat(5_000),
        "]}".repeat(5_000)
    );
    let many = format!(
        r#"{{"resourceType":"Patient",{}"active":true}}"#,
        r#""name":[{"family":"A"}],"#.repeat(2)
    );
    let items = format!(
        r#"{{"resourceType":"Patient","name":[{}{{"family":"B"}}]}}"#,
        r#"{"nam":"A"},"#.repeat(500_000)
    );
    let digits = format!(
        r#"{{"resourceType":"RiskAssessment","prediction":[{{"probabilityDecimal":{}}}]}}"#,
        "9".repeat(1_000_000)
    );
    for (what, body, named) in [
        ("arrays in arrays", deep("[", "]", 200_000).into_bytes(), "Patient"),
        ("objects in objects", deep(r#"{"a":"#, "}", 200_000).into_bytes(), "Patient"),
        ("extensions in extensions", nested.into_bytes(), "deep"),
        ("a key twice", many.into_bytes(), "name"),
        ("half a million wrong elements", items.into_bytes(), "Patient.name[0]"),
        ("a number of a million digits", digits.into_bytes(), "RiskAssessment.prediction[0]"),
        ("an exponent without end", br#"{"resourceType":"RiskAssessment","prediction":[{"probabilityDecimal":1e99999999}]}"#.to_vec(), "prediction[0]"),
        ("bytes that are no UTF-8", b"{\"resourceType\":\"Patient\",\"id\":\"\xff\xfe\"}".to_vec(), "UTF-8"),
        ("half a surrogate", br#"{"resourceType":"Patient","name":[{"family":"\ud800"}]}"#.to_vec(), "Patient.name[0]"),
        ("a zero byte", b"{\"resourceType\":\"Patient\",\"name\":[{\"family\":\"\\u0000\"}]}".to_vec(), "Patient.name[0]"),
        ("a text for a list", br#"{"resourceType":"Patient","name":"x"}"#.to_vec(), "Patient.name"),
        ("a number for a text", br#"{"resourceType":"Patient","name":[{"family":1}]}"#.to_vec(), "Patient.name[0].family"),
        ("no end", br#"{"resourceType":"Patient""#.to_vec(), "closing bracket"),
        ("two documents", br#"{"resourceType":"Patient"}{"resourceType":"Patient"}"#.to_vec(), "JSON"),
        ("no type", b"{}".to_vec(), "resourceType"),
        ("nothing", b" ".to_vec(), "JSON"),
        ("an unknown type", br#"{"resourceType":"Pateint"}"#.to_vec(), "Pateint"),
    ] {
        for path in ["/Patient", "/Patient/$validate"] {
            if path.ends_with("$validate") {
                attack.answered(what, "POST", path, JSON, body.clone()).await;
            } else {
                let path = if named.contains("prediction") { "/RiskAssessment" } else { path };
                attack.refused(what, "POST", path, JSON, body.clone(), named).await;
            }
        }
    }
    attack.over().await;
}

#[tokio::test]
async fn hostile_xml_is_refused_with_its_place() {
    let server = Server::start().await;
    let attack = Attack::on(&server);
    let patient = |inner: &str| format!("<Patient xmlns=\"http://hl7.org/fhir\">{inner}</Patient>");
    let mut laughs = "<?xml version=\"1.0\"?><!DOCTYPE x [<!ENTITY a0 \"ha\">".to_owned();
    for level in 1..30 {
        let before = format!("&a{};", level - 1);
        write!(laughs, "<!ENTITY a{level} \"{}\">", before.repeat(10)).unwrap();
    }
    laughs.push_str("]>");
    laughs.push_str(&patient("<id value=\"&a29;\"/>"));
    let attributes: String = (0..100_000).fold(String::new(), |mut out, n| {
        write!(out, " a{n}=\"x\"").unwrap();
        out
    });
    for (what, body, named) in [
        ("entities in entities", laughs, "document type"),
        ("a file", "<!DOCTYPE Patient SYSTEM \"file:///etc/passwd\"><Patient xmlns=\"http://hl7.org/fhir\"/>".to_owned(), "document type"),
        ("an entity that is not known", patient("<id value=\"&x;\"/>"), "entit"),
        ("XInclude", patient("<xi:include xmlns:xi=\"http://www.w3.org/2001/XInclude\" href=\"file:///etc/passwd\"/>"), "Patient"),
        ("a processing instruction", patient("<?php system('id') ?>"), "processing instruction"),
        ("another namespace", "<Patient xmlns=\"urn:x\"/>".to_owned(), "namespace"),
        ("elements in elements", patient(&format!("{}{}", "<extension url=\"x\">".repeat(50_000), "</extension>".repeat(50_000))), "deep"),
        ("a hundred thousand attributes", patient(&format!("<id value=\"a\"{attributes}/>")), "100 attributes"),
        ("an attribute twice", patient("<id value=\"a\" value=\"b\"/>"), "attribute"),
        ("no end", "<Patient xmlns=\"http://hl7.org/fhir\"><id".to_owned(), "XML"),
        ("a script in a narrative", patient("<text><status value=\"generated\"/><div xmlns=\"http://www.w3.org/1999/xhtml\"><script>x</script></div></text>"), "Patient.text"),
    ] {
        attack.refused(what, "POST", "/Patient", XML, body, named).await;
    }
    attack.over().await;
}

#[tokio::test]
async fn searches_that_would_cost_too_much_are_refused() {
    let server = Server::start().await;
    for id in 0..50 {
        server
            .store(json!({ "resourceType": "Organization", "id": format!("o{id}"),
                "name": format!("Clinic {id}"), "partOf": { "reference": format!("Organization/o{}", (id + 1) % 50) } }))
            .await;
    }
    let attack = Attack::on(&server);
    let has = format!("{}name=x", "_has:Organization:partof:".repeat(200));
    let chain = format!("{}name=x", "partof:Organization.".repeat(200));
    let open = format!(
        "_filter={}name eq x{}",
        "(".repeat(5_000),
        ")".repeat(5_000)
    )
    .replace(' ', "%20");
    let terms = format!(
        "_filter=name%20eq%20x{}",
        "%20or%20name%20eq%20x".repeat(300)
    );
    let comma = |name: &str, value: &str, times: usize| {
        format!("{name}={}{value}", format!("{value},").repeat(times))
    };
    let pairs = "name=x&".repeat(100_000);
    let sets: Vec<String> = (0..1_000).map(|n| format!("urn:{n}")).collect();
    let sets = format!("type:in={}", sets.join(","));
    for (what, query, named) in [
        ("a page of 1e9", "_count=1e9".to_owned(), "_count"),
        ("references in references", has, "links"),
        ("a chain of 200", chain, "links"),
        ("parentheses in parentheses", open, "nested"),
        ("a filter of 300 terms", terms, "comparisons"),
        ("a hundred thousand parameters", pairs, "parameters"),
        (
            "a hundred thousand names",
            comma("name", "x", 100_000),
            "values",
        ),
        (
            "a hundred thousand ids",
            comma("_id", "x", 100_000),
            "values",
        ),
        (
            "a hundred thousand times of change",
            comma("_lastUpdated", "2020", 100_000),
            "values",
        ),
        (
            "a hundred thousand keys to sort by",
            comma("_sort", "name", 100_000),
            "values",
        ),
        (
            "a hundred thousand elements",
            comma("_elements", "name", 100_000),
            "values",
        ),
        (
            "a hundred thousand lists",
            comma("_list", "x", 100_000),
            "values",
        ),
        (
            "a hundred thousand words",
            comma("_content", "x", 100_000),
            "values",
        ),
        (
            "a thousand keys to sort by",
            comma("_sort", "name", 1_000),
            "_sort",
        ),
        ("a thousand value sets", sets, "value sets"),
    ] {
        attack
            .refused(what, "POST", "/Organization/_search", FORM, query, named)
            .await;
    }
    attack
        .refused(
            "a hundred thousand types",
            "POST",
            "/_search",
            FORM,
            comma("_type", "Patient", 100_000),
            "values",
        )
        .await;
    let giant = format!("name={}", "x".repeat(5_000_000));
    attack
        .answered(
            "a name of five million letters",
            "POST",
            "/Organization/_search",
            FORM,
            giant.clone(),
        )
        .await;
    attack
        .answered(
            "a part of five million letters",
            "POST",
            "/Organization/_search",
            FORM,
            giant.replacen("name", "name:contains", 1),
        )
        .await;
    attack
        .answered(
            "a text of five million letters",
            "POST",
            "/Organization/_search",
            FORM,
            giant.replacen("name", "_content", 1),
        )
        .await;
    let circle = server.get("/Organization?_id=o1&_include:iterate=Organization:partof&_revinclude:iterate=Organization:partof").await;
    assert_eq!(circle.found().len(), 50, "every one of a circle, once");
    let cut = server.get("/Organization?_count=1000000000").await;
    assert_eq!(cut.found().len(), 50);
    attack.over().await;
}

#[tokio::test]
async fn expressions_and_patches_that_would_never_end_are_refused() {
    let server = Server::start().await;
    let names: Vec<Value> = (0..300).map(|n| json!({ "family": format!("aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa{n}!"), "given": ["a", "b", "c"] })).collect();
    server
        .store(json!({ "resourceType": "Patient", "id": "p1", "name": names }))
        .await;
    let attack = Attack::on(&server);
    let patch = |path: &str| {
        let part = |name: &str, kind: &str, value: &str| json!({ "name": name, kind: value });
        json!({ "resourceType": "Parameters", "parameter": [{ "name": "operation", "part": [
            part("type", "valueCode", "replace"), part("path", "valueString", path), part("value", "valueString", "x")] }] })
        .to_string()
    };
    let expressions = [
        ("parentheses in parentheses", format!("{}Patient{}", "(".repeat(50_000), ")".repeat(50_000))),
        ("everything below everything", format!("Patient{}", ".descendants()".repeat(12))),
        ("every pair of pairs", "Patient.descendants().where($this in %resource.descendants().where($this in %resource.descendants().where($this in %resource.descendants())))".to_owned()),
        ("a text that doubles", format!("Patient.name.family.first(){}", ".replace('a', 'aaaaaaaaaaaaaaaa')".repeat(12))),
        ("a pattern that goes back and forth", "Patient.name.where(family.matches('(a+)+$'))".to_owned()),
        ("a pattern of patterns", "Patient.name.where(family.matches('((((a{1,100}){1,100}){1,100}){1,100}){1,100}'))".to_owned()),
        ("a repetition without end", "Patient.repeat(%resource)".to_owned()),
        ("a repetition that grows", "Patient.name.family.repeat($this + 'a')".to_owned()),
        ("an aggregation of aggregations", "Patient.descendants().aggregate(%resource.descendants().aggregate(%resource.descendants().count() + $total, 0) + $total, 0)".to_owned()),
        ("a hundred thousand operators", format!("1{}", "+1".repeat(100_000))),
    ];
    for (what, expression) in &expressions {
        attack
            .refused(what, "PATCH", "/Patient/p1", JSON, patch(expression), "")
            .await;
    }
    for (what, expression) in &expressions {
        let param = json!({ "resourceType": "SearchParameter", "id": "bomb", "url": "urn:bomb", "name": "Bomb",
            "status": "active", "description": "x", "code": "bomb", "base": ["Patient"], "type": "string", "expression": expression });
        attack
            .answered(
                what,
                "PUT",
                "/SearchParameter/bomb",
                JSON,
                param.to_string(),
            )
            .await;
        let stored = server
            .put(
                "/Patient/p2",
                &json!({ "resourceType": "Patient", "id": "p2", "name": names }),
            )
            .await
            .status;
        assert!(!stored.is_server_error(), "{what}: {stored}");
    }
    server
        .request("DELETE", "/SearchParameter/bomb", &[], "")
        .await;
    for (what, patch) in [
        (
            "a copy that doubles",
            (0..40)
                .map(|_| json!({ "op": "copy", "from": "/name", "path": "/name/0/extension" }))
                .collect::<Vec<_>>(),
        ),
        (
            "a hundred thousand changes",
            vec![json!({ "op": "add", "path": "/name/-", "value": { "family": "x" } }); 100_000],
        ),
        (
            "a path of a million parts",
            vec![json!({ "op": "remove", "path": "/name/0".repeat(200_000) })],
        ),
    ] {
        let patch = Value::Array(patch).to_string();
        attack
            .answered(
                what,
                "PATCH",
                "/Patient/p1",
                "application/json-patch+json",
                patch,
            )
            .await;
    }
    attack.over().await;
}

#[tokio::test]
async fn bundles_and_requests_that_ask_for_too_much_are_refused() {
    let limits = Limits {
        bodies_bytes_max: 2_000_000,
        body_bytes_max: 1_500_000,
        ..Limits::default()
    };
    let server = Server::with(limits, Validate::Off).await;
    let attack = Attack::on(&server);
    let bundle = |kind: &str, entries: Vec<Value>| {
        json!({ "resourceType": "Bundle", "type": kind, "entry": entries }).to_string()
    };
    let get = |url: &str| json!({ "request": { "method": "GET", "url": url } });
    let inner = json!({ "resource": { "resourceType": "Bundle", "type": "batch" }, "request": { "method": "POST", "url": "" } });
    attack
        .answered(
            "a batch in a batch",
            "POST",
            "/",
            JSON,
            bundle("batch", vec![inner; 10]),
        )
        .await;
    attack
        .refused(
            "twenty thousand reads and one",
            "POST",
            "/",
            JSON,
            bundle("batch", vec![get("Patient/x"); 20_001]),
            "entries",
        )
        .await;
    let same = json!({ "fullUrl": "urn:uuid:a", "resource": { "resourceType": "Patient" }, "request": { "method": "POST", "url": "Patient" } });
    attack
        .refused(
            "one name for two",
            "POST",
            "/",
            JSON,
            bundle("transaction", vec![same.clone(), same]),
            "fullUrl",
        )
        .await;
    let circle = |own: &str, other: &str| {
        json!({ "fullUrl": own, "resource": { "resourceType": "Patient",
        "link": [{ "type": "seealso", "other": { "reference": other } }] }, "request": { "method": "POST", "url": "Patient" } })
    };
    attack
        .answered(
            "two that refer to each other",
            "POST",
            "/",
            JSON,
            bundle(
                "transaction",
                vec![
                    circle("urn:uuid:1", "urn:uuid:2"),
                    circle("urn:uuid:2", "urn:uuid:1"),
                ],
            ),
        )
        .await;
    let climbing = get("../../../../etc/passwd");
    attack
        .answered(
            "a path that climbs",
            "POST",
            "/",
            JSON,
            bundle(
                "batch",
                vec![climbing, get("http://evil.example/Patient/1"), get("%00")],
            ),
        )
        .await;
    for (what, name, value) in [
        (
            "an Accept of a thousand kinds",
            "accept",
            "a/b,".repeat(1_000),
        ),
        ("a thousand versions", "if-match", "W/\"1\",".repeat(1_000)),
        (
            "a condition of a thousand names",
            "if-none-exist",
            format!("name={}", encoded(&"x,".repeat(1_000))),
        ),
        (
            "a preference of a thousand words",
            "prefer",
            "x=y;".repeat(1_000),
        ),
    ] {
        let headers = [(name, value.as_str())];
        let answer = server
            .request(
                "POST",
                "/Patient",
                &headers,
                r#"{"resourceType":"Patient"}"#,
            )
            .await;
        assert!(
            !answer.status.is_server_error(),
            "{what}: {}",
            answer.told()
        );
    }
    // Bodies that together exceed what may be worked on wait for each other, and all are answered.
    let body = format!(r#"{{"resourceType":"Patient"{}}}"#, " ".repeat(1_400_000));
    let clients: Vec<Server> = (0..8).map(|_| Server::client(&server.address)).collect();
    let sent = clients
        .iter()
        .map(|client| client.request("POST", "/Patient", &[], body.clone()));
    for answer in at_once(sent).await {
        assert_eq!(answer.status.as_u16(), 201, "{}", answer.told());
    }
    attack.over().await;
}
