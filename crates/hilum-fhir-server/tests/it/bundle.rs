//! Batches and transactions.

use std::time::Duration;

use hilum_fhir_server::Limits;
use http::StatusCode;
use serde_json::{Value, json};

use crate::kit::{Answer, Server, at_once};

fn entry(method: &str, url: &str, resource: Value, more: Value) -> Value {
    let mut entry = json!({ "request": { "method": method, "url": url } });
    if !resource.is_null() {
        entry["resource"] = resource;
    }
    for (name, value) in more.as_object().into_iter().flatten() {
        if name == "fullUrl" {
            entry["fullUrl"] = value.clone();
        } else {
            entry["request"][name] = value.clone();
        }
    }
    entry
}

fn bundle(kind: &str, entries: &[Value]) -> Value {
    json!({ "resourceType": "Bundle", "type": kind, "entry": entries })
}

fn statuses(answer: &Answer) -> Vec<String> {
    let json = answer.json();
    let entries = json["entry"].as_array().into_iter().flatten();
    entries
        .map(|entry| {
            entry["response"]["status"]
                .as_str()
                .unwrap()
                .chars()
                .take(3)
                .collect()
        })
        .collect()
}

const PATIENT: &str = "urn:uuid:11111111-1111-1111-1111-111111111111";

#[tokio::test]
async fn a_batch_does_what_it_can() {
    let server = Server::start().await;
    let none = Value::Null;
    let batch = bundle(
        "batch",
        &[
            entry(
                "PUT",
                "Patient/p1",
                json!({ "resourceType": "Patient", "id": "p1" }),
                json!({}),
            ),
            entry("GET", "Patient/p1", none.clone(), json!({})),
            entry(
                "GET",
                "Patient/p1",
                none.clone(),
                json!({ "ifNoneMatch": "W/\"1\"" }),
            ),
            entry("GET", "Patient/none", none.clone(), json!({})),
            entry("GET", "Patient?_id=p1", none.clone(), json!({})),
            entry(
                "POST",
                "Observation",
                json!({ "resourceType": "Observation", "status": "final" }),
                json!({}),
            ),
            entry(
                "POST",
                "Patient/$validate",
                json!({ "resourceType": "Patient" }),
                json!({}),
            ),
            entry("DELETE", "Patient/p1", none.clone(), json!({})),
            entry("GET", "metadata", none, json!({})),
        ],
    );
    let answer = server.post("/", &batch).await;
    assert_eq!(answer.status, StatusCode::OK, "{}", answer.told());
    assert_eq!(answer.json()["type"], "batch-response");
    let expected = [
        "201", "200", "304", "404", "200", "422", "200", "204", "200",
    ];
    assert_eq!(statuses(&answer), expected, "{}", answer.told());
}

#[tokio::test]
async fn a_transaction_resolves_every_kind_of_reference() {
    let server = Server::start().await;
    server
        .store(json!({ "resourceType": "Practitioner", "id": "d1",
            "identifier": [{ "system": "urn:npi", "value": "5" }] }))
        .await;
    let observation = json!({ "resourceType": "Observation", "status": "final",
        "code": { "text": "x" },
        "identifier": [{ "value": PATIENT }],
        "subject": { "reference": PATIENT },
        "performer": [{ "reference": "Practitioner?identifier=urn:npi|5" }, { "reference": "Organization/7" }],
        "text": { "status": "generated", "div": format!("<div xmlns=\"http://www.w3.org/1999/xhtml\"><a href=\"{PATIENT}\">x</a></div>") } });
    let transaction = bundle(
        "transaction",
        &[
            entry(
                "POST",
                "Observation",
                observation,
                json!({ "fullUrl": "http://old.example/fhir/Observation/9" }),
            ),
            entry(
                "POST",
                "Patient",
                json!({ "resourceType": "Patient", "gender": "female" }),
                json!({ "fullUrl": PATIENT }),
            ),
            entry(
                "POST",
                "Organization",
                json!({ "resourceType": "Organization", "name": "x" }),
                json!({ "fullUrl": "http://old.example/fhir/Organization/7" }),
            ),
            entry("GET", "Patient?gender=female", Value::Null, json!({})),
        ],
    );
    let answer = server.post("/", &transaction).await;
    assert_eq!(answer.status, StatusCode::OK, "{}", answer.told());
    assert_eq!(
        statuses(&answer),
        ["201", "201", "201", "200"],
        "{}",
        answer.told()
    );
    let json = answer.json();
    let location = |at: usize| {
        let location = json["entry"][at]["response"]["location"].as_str().unwrap();
        location
            .split("/fhir/")
            .nth(1)
            .unwrap()
            .split("/_history")
            .next()
            .unwrap()
            .to_owned()
    };
    let stored = server.get(&format!("/{}", location(0))).await.json();
    assert_eq!(stored["subject"]["reference"], location(1));
    assert_eq!(stored["performer"][0]["reference"], "Practitioner/d1");
    assert_eq!(stored["performer"][1]["reference"], location(2));
    assert_eq!(
        stored["identifier"][0]["value"], PATIENT,
        "an identifier is no reference"
    );
    assert!(
        stored["text"]["div"]
            .as_str()
            .unwrap()
            .contains(&format!("href=\"{}\"", location(1))),
        "{stored}"
    );
    assert_eq!(
        json["entry"][3]["resource"]["total"], 1,
        "reads come last: {json}"
    );
    let found = server
        .get(&format!("/Observation?subject={}", location(1)))
        .await;
    assert_eq!(found.found(), [location(0)]);
}

#[tokio::test]
async fn a_transaction_is_stored_as_a_whole_or_not_at_all() {
    let server = Server::start().await;
    server
        .store(json!({ "resourceType": "Patient", "id": "p1" }))
        .await;
    let patient = |id: &str| json!({ "resourceType": "Patient", "id": id });
    let new = || entry("PUT", "Patient/new", patient("new"), json!({}));
    for (other, status, code) in [
        (
            entry("PUT", "Patient/new", patient("new"), json!({})),
            400,
            "duplicate",
        ),
        (
            entry(
                "PUT",
                "Patient/p1",
                patient("p1"),
                json!({ "ifMatch": "W/\"9\"" }),
            ),
            412,
            "conflict",
        ),
        (
            entry("PUT", "Patient/p1", patient("p2"), json!({})),
            400,
            "value",
        ),
        (
            entry(
                "POST",
                "Observation",
                json!({ "resourceType": "Observation", "status": "final" }),
                json!({}),
            ),
            422,
            "required",
        ),
        (
            entry(
                "POST",
                "Patient",
                json!({ "resourceType": "Patient", "generalPractitioner": [{ "reference": "urn:uuid:00000000-0000-0000-0000-000000000000" }] }),
                json!({}),
            ),
            400,
            "not-found",
        ),
        (
            entry(
                "POST",
                "Patient",
                json!({ "resourceType": "Patient", "generalPractitioner": [{ "reference": "Practitioner?identifier=none" }] }),
                json!({}),
            ),
            412,
            "not-found",
        ),
        (
            entry("POST", "Patient/$validate", patient("x"), json!({})),
            400,
            "not-supported",
        ),
        (
            entry("POST", "Patient", Value::Null, json!({})),
            400,
            "required",
        ),
        (
            entry("MOVE", "Patient", Value::Null, json!({})),
            400,
            "value",
        ),
        (
            entry("PUT", "Nothing/1", patient("1"), json!({})),
            404,
            "not-supported",
        ),
    ] {
        let answer = server
            .post("/", &bundle("transaction", &[new(), other.clone()]))
            .await;
        assert_eq!(answer.status.as_u16(), status, "{other}: {}", answer.told());
        assert!(
            answer.issues().contains(&code.to_owned()),
            "{other}: {}",
            answer.told()
        );
        assert_eq!(
            server.get("/Patient/new").await.status,
            StatusCode::NOT_FOUND,
            "{other}"
        );
    }
    assert_eq!(server.get("/_history").await.json()["total"], 1);
}

#[tokio::test]
async fn many_conditions_of_a_transaction_are_looked_up_together() {
    let server = Server::start().await;
    let patient = |value: usize| json!({ "resourceType": "Patient", "identifier": [{ "system": "urn:mrn", "value": value.to_string() }] });
    // More than are looked up at once; every third is an update.
    let parts = |from: usize| -> Vec<Value> {
        let one = |n: usize| match n % 3 {
            0 => entry(
                "PUT",
                &format!("Patient?identifier=urn:mrn|{n}"),
                patient(n),
                json!({}),
            ),
            _ => entry(
                "POST",
                "Patient",
                patient(n),
                json!({ "ifNoneExist": format!("identifier=urn:mrn|{n}") }),
            ),
        };
        (from..from + 150).map(one).collect()
    };
    let first = server.post("/", &bundle("transaction", &parts(0))).await;
    assert_eq!(statuses(&first), vec!["201"; 150], "{}", first.told());
    let second = server.post("/", &bundle("transaction", &parts(75))).await;
    let expected: Vec<&str> = (75..225)
        .map(|n| if n < 150 { "200" } else { "201" })
        .collect();
    assert_eq!(statuses(&second), expected, "{}", second.told());
    let (first, second) = (first.json(), second.json());
    for n in 75..150 {
        let location = |of: &Value, at: usize| {
            let location = of["entry"][at]["response"]["location"].as_str();
            location
                .unwrap()
                .rsplit_once("/_history/")
                .map(|(id, version)| (id.to_owned(), version.to_owned()))
                .unwrap()
        };
        let (then, now) = (location(&first, n), location(&second, n - 75));
        assert_eq!(then.0, now.0, "{n}");
        let version = if n % 3 == 0 { "2" } else { "1" };
        assert_eq!(now.1, version, "{n}");
    }
    let total = |answer: &Value| answer["total"].clone();
    assert_eq!(
        total(&server.get("/Patient?_summary=count").await.json()),
        225
    );
    // One condition twice, and beside them one that finds two.
    let same = json!({ "ifNoneExist": "identifier=urn:mrn|1" });
    let twice = [
        entry("POST", "Patient", patient(1), same.clone()),
        entry("POST", "Patient", patient(1), same.clone()),
    ];
    let answer = server.post("/", &bundle("transaction", &twice)).await;
    assert_eq!(statuses(&answer), ["200", "200"], "{}", answer.told());
    assert!(
        server
            .post("/Patient", &patient(1))
            .await
            .status
            .is_success()
    );
    let two = [
        entry(
            "POST",
            "Patient",
            patient(2),
            json!({ "ifNoneExist": "identifier=urn:mrn|2" }),
        ),
        entry("POST", "Patient", patient(1), same),
    ];
    let answer = server.post("/", &bundle("transaction", &two)).await;
    assert_eq!(answer.status, StatusCode::PRECONDITION_FAILED);
    assert!(
        answer.text().contains("Bundle.entry[1]"),
        "{}",
        answer.told()
    );
}

#[tokio::test]
async fn conditions_in_a_transaction_hold() {
    let server = Server::start().await;
    let patient = |value: &str| json!({ "resourceType": "Patient", "identifier": [{ "system": "urn:mrn", "value": value }] });
    let visit = |subject: &str| json!({ "resourceType": "Observation", "status": "final", "code": { "text": "x" }, "subject": { "reference": subject } });
    let transaction = bundle(
        "transaction",
        &[
            entry(
                "POST",
                "Patient",
                patient("1"),
                json!({ "fullUrl": PATIENT, "ifNoneExist": "identifier=urn:mrn|1" }),
            ),
            entry("POST", "Observation", visit(PATIENT), json!({})),
            entry(
                "PUT",
                "Patient?identifier=urn:mrn|2",
                patient("2"),
                json!({}),
            ),
        ],
    );
    let first = server.post("/", &transaction).await;
    assert_eq!(statuses(&first), ["201", "201", "201"], "{}", first.told());
    let second = server.post("/", &transaction).await;
    assert_eq!(
        statuses(&second),
        ["200", "201", "200"],
        "{}",
        second.told()
    );
    assert_eq!(server.get("/Patient").await.found().len(), 2);
    let patient = server
        .get("/Patient?identifier=urn:mrn%7C1")
        .await
        .found()
        .remove(0);
    let found = server.get(&format!("/Observation?subject={patient}")).await;
    assert_eq!(
        found.found().len(),
        2,
        "both visits refer to the one patient"
    );
    let delete = bundle(
        "transaction",
        &[entry(
            "DELETE",
            "Observation?code:text=x",
            Value::Null,
            json!({}),
        )],
    );
    let deleted = server.post("/", &delete).await;
    assert_eq!(statuses(&deleted), ["204"], "{}", deleted.told());
    assert_eq!(server.get("/Observation").await.found().len(), 0);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_transaction_reads_its_own_moment() {
    let server = Server::start().await;
    let transaction = |n: usize| {
        let patient = json!({ "resourceType": "Patient", "id": "p1", "name": [{ "family": format!("N{n}") }] });
        let read = json!({ "request": { "method": "GET", "url": "Patient/p1" } });
        bundle(
            "transaction",
            &[read, entry("PUT", "Patient/p1", patient, json!({}))],
        )
    };
    let clients: Vec<Server> = (0..12).map(|_| Server::client(&server.address)).collect();
    let mut versions = Vec::new();
    for round in 0..4 {
        let bodies: Vec<Value> = (0..clients.len())
            .map(|n| transaction(round * 100 + n))
            .collect();
        let sent = clients
            .iter()
            .zip(&bodies)
            .map(|(client, body)| client.post("/", body));
        for (answer, body) in at_once(sent).await.iter().zip(&bodies) {
            let entries = answer.json()["entry"].clone();
            let (read, put) = (&entries[0]["resource"], &entries[1]["response"]);
            let version = read["meta"]["versionId"].as_str().unwrap().to_owned();
            assert_eq!(put["etag"], format!("W/\"{version}\""), "{}", answer.told());
            assert_eq!(read["name"], body["entry"][1]["resource"]["name"]);
            versions.push(version.parse::<u32>().unwrap());
        }
    }
    versions.sort_unstable();
    let all: Vec<u32> = (1..=48).collect();
    assert_eq!(versions, all);
}

#[tokio::test]
async fn searches_of_a_transaction_see_its_own_moment() {
    let server = Server::start().await;
    let counted = |answer: &Answer| {
        let json = answer.json();
        assert_eq!(statuses(answer), ["201", "200", "200"], "{json}");
        let total = json["entry"][1]["resource"]["total"].as_u64().unwrap();
        let newest = &json["entry"][2]["resource"]["entry"];
        assert_eq!(newest.as_array().unwrap().len() as u64, total);
        total
    };
    let basic = |n: u64| json!({ "resourceType": "Basic", "code": { "coding": [{ "code": n.to_string() }] } });
    // Each one sees what those before it wrote, itself, and nothing of those behind it.
    let rounds = (0..12).map(|n| {
        let address = server.address.clone();
        let parts = [
            entry("POST", "Basic", basic(n), Value::Null),
            entry("GET", "Basic?_summary=count", Value::Null, Value::Null),
            entry("GET", "Basic/_history", Value::Null, Value::Null),
        ];
        async move {
            let client = Server::client(&address);
            client.post("/", &bundle("transaction", &parts)).await
        }
    });
    let mut totals: Vec<u64> = at_once(rounds).await.iter().map(counted).collect();
    totals.sort_unstable();
    assert_eq!(totals, (1..=12).collect::<Vec<_>>());
    // A condition that finds what an earlier entry of the same batch wrote.
    let again = [
        entry("POST", "Basic", basic(77), Value::Null),
        entry(
            "POST",
            "Basic",
            basic(77),
            json!({ "ifNoneExist": "code=77" }),
        ),
        entry("GET", "Basic?code=77", Value::Null, Value::Null),
    ];
    let answer = server.post("/", &bundle("batch", &again)).await;
    assert_eq!(
        statuses(&answer),
        ["201", "200", "200"],
        "{}",
        answer.told()
    );
    assert_eq!(answer.json()["entry"][2]["resource"]["total"], 1);
    let limits = Limits {
        transaction_searches_within: Duration::ZERO,
        ..Limits::default()
    };
    let server = server.again_with(limits).await;
    let parts = [
        entry("POST", "Basic", basic(99), Value::Null),
        entry("GET", "Basic?code=99", Value::Null, Value::Null),
    ];
    let answer = server.post("/", &bundle("transaction", &parts)).await;
    assert_eq!(statuses(&answer), ["201", "422"], "{}", answer.told());
    assert!(answer.text().contains("transaction_searches_within"));
    assert_eq!(server.get("/Basic?code=99").await.found().len(), 1);
}
