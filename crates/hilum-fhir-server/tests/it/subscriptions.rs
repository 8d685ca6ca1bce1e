//! Subscriptions as resources and operations. How events come to subscribers is tested with the
//! whole program, because that is the work of its engine.

use hilum_testkit::http::{HttpReaction, HttpReceiver};
use hilum_testkit::wait::until;
use serde_json::{Value, json};

use crate::kit::Server;

const GUIDE: &str = "http://hl7.org/fhir/uv/subscriptions-backport/StructureDefinition/backport-";
const TOPIC: &str = "http://hilum.example/topics/result";

fn subscription(criteria: &str) -> Value {
    json!({
        "resourceType": "Subscription", "id": "s1", "status": "requested", "reason": "test",
        "criteria": criteria,
        "channel": {"type": "rest-hook", "endpoint": "http://127.0.0.1:9/in"},
    })
}

/// One whose field is another.
fn with(path: &str, value: Value) -> Value {
    let mut changed = subscription("Observation?code=1234-5");
    *changed.pointer_mut(path).unwrap() = value;
    changed
}

/// One whose channel has these besides.
fn channel(more: Value) -> Value {
    let mut changed = subscription("Observation?code=1234-5");
    let own = changed["channel"].as_object_mut().unwrap();
    own.extend(more.as_object().unwrap().clone());
    changed
}

/// One whose channel has an extension of the guide.
fn asking(name: &str, value: Value) -> Value {
    let mut extension = json!({"url": format!("{GUIDE}{name}")});
    let own = extension.as_object_mut().unwrap();
    own.extend(value.as_object().unwrap().clone());
    channel(json!({"extension": [extension]}))
}

fn to_topic(mut subscription: Value) -> Value {
    subscription["criteria"] = TOPIC.into();
    subscription
}

#[tokio::test]
async fn what_cannot_be_done_is_refused_with_its_place() {
    let server = Server::start().await;
    for (given, place, text) in [
        (
            with("/channel/endpoint", "https://evil.example/in".into()),
            "channel.endpoint",
            "may not call",
        ),
        (
            with("/channel/endpoint", "http://u:p@127.0.0.1/in".into()),
            "channel.endpoint",
            "credentials",
        ),
        (
            with("/channel/type", "email".into()),
            "channel.type",
            "neither",
        ),
        (
            with(
                "/channel",
                json!({"type": "rest-hook", "endpoint": "http://127.0.0.1/", "payload": "text/plain"}),
            ),
            "channel.payload",
            "neither",
        ),
        (
            with(
                "/channel",
                json!({"type": "rest-hook", "endpoint": "http://127.0.0.1/", "header": ["Host: x"]}),
            ),
            "channel.header",
            "itself",
        ),
        (
            channel(json!({"payload": "application/fhir+json;fhirVersion=5.0"})),
            "channel.payload",
            "fhirVersion=4.0",
        ),
        (
            channel(json!({"_type": {"extension": [{
                "url": format!("{GUIDE}channel-type"), "valueCoding": {"code": "zulip"},
            }]}})),
            "channel.type",
            "another type",
        ),
        (
            asking("heartbeat-period", json!({"valueUnsignedInt": 60})),
            "channel.extension[0]",
            "of subscriptions to topics",
        ),
        (
            asking("timeout", json!({"valueUnsignedInt": 121})),
            "channel.extension[0]",
            "1 to 120",
        ),
        (
            asking("timeout", json!({"valueString": "60"})),
            "channel.extension[0]",
            "valueUnsignedInt",
        ),
        (
            to_topic(asking("max-count", json!({"valueInteger": 5}))),
            "channel.extension[0]",
            "valuePositiveInt",
        ),
        (
            to_topic(asking("heartbeat-period", json!({"valueUnsignedInt": 0}))),
            "channel.extension[0]",
            "valueUnsignedInt from 1",
        ),
        (
            to_topic(asking(
                "notification-url-location",
                json!({"valueCode": "none"}),
            )),
            "channel.extension[0]",
            "not supported",
        ),
        (subscription("Observation?colour=red"), "criteria", "colour"),
        (subscription("Nothing?code=1"), "criteria", "no type"),
        (
            subscription("Observation?subject:Patient.name=x"),
            "criteria",
            "chain",
        ),
        (
            subscription("Patient?_has:Observation:subject:code=1"),
            "criteria",
            "`_has`",
        ),
        (
            subscription("Observation?_lastUpdated=gt2026"),
            "criteria",
            "_lastUpdated",
        ),
        (
            subscription("Observation?_text=word"),
            "criteria",
            "full text",
        ),
        (subscription("Observation?_sort=date"), "criteria", "shapes"),
        (
            subscription("Observation?code:in=http://x"),
            "criteria",
            "value set",
        ),
        (
            subscription("http://hilum.example/none"),
            "criteria",
            "no such topic",
        ),
    ] {
        let answer = server.put("/Subscription/s1", &given).await;
        assert_eq!(answer.status, 422, "{given}: {}", answer.told());
        let issue = answer.json()["issue"][0].clone();
        assert_eq!(
            issue["expression"][0],
            format!("Subscription.{place}"),
            "{}",
            answer.told()
        );
        let told = issue.to_string();
        assert!(told.contains(text), "{text}: {told}");
    }
    let mut filtered = to_topic(subscription(""));
    filtered["_criteria"] = json!({"extension": [
        {"url": format!("{GUIDE}filter-criteria"), "valueString": "Observation?status=final"},
        {"url": format!("{GUIDE}filter-criteria"), "valueString": "Observation?subject=Patient/1"},
    ]});
    let issue = server.put("/Subscription/s1", &filtered).await.json()["issue"][0].clone();
    assert_eq!(issue["expression"][0], "Subscription.criteria.extension[1]");
    // One that is off asks for nothing.
    let mut off = with("/channel/endpoint", "https://evil.example/in".into());
    off["status"] = "off".into();
    server.store(off).await;
    let answer = server
        .post(
            "/",
            &json!({
                "resourceType": "Bundle", "type": "transaction",
                "entry": [{
                    "resource": with("/channel/endpoint", "https://evil.example/in".into()),
                    "request": {"method": "PUT", "url": "Subscription/s1"},
                }],
            }),
        )
        .await;
    assert_eq!(answer.status, 422, "{}", answer.told());
}

/// A value of the status in the entry of a Bundle.
fn told(bundle: &Value, entry: usize, name: &str) -> Value {
    let parameters = &bundle["entry"][entry]["resource"]["parameter"];
    let mut parameters = parameters.as_array().into_iter().flatten();
    let found = parameters.find(|parameter| parameter["name"] == name);
    let found = found.and_then(Value::as_object).into_iter().flatten();
    let mut values = found.filter(|(key, _)| key.starts_with("value"));
    values
        .next()
        .map_or(Value::Null, |(_, value)| value.clone())
}

#[tokio::test]
async fn events_are_numbered_and_can_be_asked_for() {
    let server = Server::start().await;
    server.store(subscription("Observation?status=final")).await;
    let known = server.get("/Subscription/s1").await.json();
    assert_eq!(known["status"], "active");
    let observation = |id: &str, status: &str| json!({"resourceType": "Observation", "id": id, "status": status, "code": {"text": "x"}});
    for n in 1..=4 {
        server.store(observation(&format!("o{n}"), "final")).await;
        server.store(observation("draft", "preliminary")).await;
    }
    let status = server.get("/Subscription/s1/$status").await.json();
    assert_eq!(status["type"], "searchset");
    assert_eq!(told(&status, 0, "type"), "query-status");
    assert_eq!(told(&status, 0, "events-since-subscription-start"), "4");
    let all = server
        .get("/Subscription/$status?status=active")
        .await
        .json();
    assert_eq!(all["total"], 1);
    let none = server.get("/Subscription/$status?id=other").await.json();
    assert_eq!(none["total"], 0);
    let asked = json!({"resourceType": "Parameters", "parameter": [
        {"name": "eventsSinceNumber", "valueString": "2"},
        {"name": "eventsUntilNumber", "valueString": "3"},
        {"name": "content", "valueCode": "full-resource"},
    ]});
    let events = server.post("/Subscription/s1/$events", &asked).await.json();
    assert_eq!(events["type"], "history");
    let entries = events["entry"].as_array().unwrap();
    let ids: Vec<&str> = entries
        .iter()
        .skip(1)
        .filter_map(|e| e["resource"]["id"].as_str())
        .collect();
    assert_eq!(ids, ["o2", "o3"]);
    let valid = server.post("/$validate", &events).await.json();
    assert!(
        valid["issue"]
            .as_array()
            .unwrap()
            .iter()
            .all(|issue| issue["severity"] != "error"),
        "{valid}"
    );
    let empty = server
        .get("/Subscription/s1/$events?content=empty")
        .await
        .json();
    assert_eq!(empty["entry"].as_array().unwrap().len(), 1);
    // Of one subscription the guide has `id` and `status` ignored.
    let one = server
        .get("/Subscription/s1/$status?id=other&status=off")
        .await
        .json();
    assert_eq!(told(&one, 0, "status"), "active");
    let asked = json!({"resourceType": "Parameters", "parameter": [
        {"name": "id", "valueId": "other"}, {"name": "id", "valueId": "s1"},
        {"name": "status", "valueCode": "error"}, {"name": "status", "valueCode": "active"},
    ]});
    let some = server.post("/Subscription/$status", &asked).await.json();
    assert_eq!(some["total"], 1, "{some}");
    let first = server
        .get("/Subscription/s1/$events?eventsUntilNumber=1&content=id-only")
        .await
        .json();
    assert_eq!(told(&first, 0, "events-since-subscription-start"), "4");
    assert_eq!(first["entry"].as_array().unwrap().len(), 2);
    let request = &first["entry"][0]["request"];
    let url = "http://localhost/fhir/Subscription/s1/$status";
    assert_eq!(*request, json!({"method": "GET", "url": url}));
    for (path, code) in [
        ("/Subscription/$status?status=gone", 400),
        ("/Subscription/$get-ws-binding-token", 400),
        ("/Subscription/$get-ws-binding-token?id=s1", 400),
        ("/Subscription/none/$status", 404),
        ("/Subscription/s1/$events?content=much", 400),
        ("/Subscription/s1/$events?eventsSinceNumber=x", 400),
        ("/Subscription/s1/$events?since=1", 400),
        ("/Subscription/s1/$get-ws-binding-token", 400),
        ("/websocket", 426),
    ] {
        let answer = server.get(path).await;
        assert_eq!(answer.status, code, "{path}: {}", answer.told());
    }
    let statement = server.get("/metadata").await.json();
    let rest = &statement["rest"][0];
    let url = format!("ws://{}/fhir/websocket", server.address);
    assert_eq!(rest["extension"][0]["valueUri"], url);
    let resources = rest["resource"].as_array().unwrap();
    let own = resources
        .iter()
        .find(|one| one["type"] == "Subscription")
        .unwrap();
    let listed = |name: &str| own[name].as_array().cloned().unwrap_or_default();
    assert!(listed("supportedProfile").contains(&format!("{GUIDE}subscription").into()));
    let of_topics = format!(
        "{}capabilitystatement-subscriptiontopic-canonical",
        GUIDE.trim_end_matches("backport-")
    );
    assert_eq!(
        listed("extension"),
        [json!({"url": of_topics, "valueCanonical": TOPIC})]
    );
    let url = "http://hl7.org/fhir/uv/subscriptions-backport/CapabilityStatement/backport-subscription-server-r4";
    assert_eq!(statement["instantiates"], json!([url]));
    let mut claimed: Vec<&str> = own["operation"]
        .as_array()
        .unwrap()
        .iter()
        .filter_map(|one| one["name"].as_str())
        .collect();
    claimed.retain(|name| ["status", "events", "get-ws-binding-token"].contains(name));
    claimed.sort_unstable();
    assert_eq!(claimed, ["events", "get-ws-binding-token", "status"]);
}

#[tokio::test]
async fn a_subscription_to_a_topic_is_shaken_hands_with_and_hears_that_it_lives() {
    let server = Server::start().await;
    let hook = HttpReceiver::start().await.unwrap();
    let topical = |content: &str| {
        json!({
            "resourceType": "Subscription", "id": "s1", "status": "requested", "reason": "test",
            "criteria": TOPIC,
            "_criteria": {"extension": [{
                "url": format!("{GUIDE}filter-criteria"), "valueString": "Observation?status=final",
            }]},
            "channel": {
                "type": "rest-hook", "endpoint": format!("http://{}/in", hook.address()),
                "payload": "application/fhir+xml; fhirVersion=4.0",
                "_payload": {"extension": [
                    {"url": format!("{GUIDE}payload-content"), "valueCode": content},
                ]},
                "extension": [{"url": format!("{GUIDE}heartbeat-period"), "valueUnsignedInt": 8}],
            },
        })
    };
    let mut wrong = topical("id-only");
    wrong["_criteria"]["extension"][0]["valueString"] = "Observation?subject=Patient/1".into();
    assert_eq!(server.put("/Subscription/s1", &wrong).await.status, 422);
    assert_eq!(
        server
            .put("/Subscription/s1", &topical("much"))
            .await
            .status,
        422
    );

    hook.react(HttpReaction::status(410));
    let answer = server.put("/Subscription/s1", &topical("id-only")).await;
    assert_eq!(answer.json()["status"], "requested", "{}", answer.told());
    until("it was asked", || !hook.received().is_empty()).await;
    hook.react(HttpReaction::status(200));
    assert_eq!(
        hook.received()[0].header("content-type"),
        Some("application/fhir+xml; fhirVersion=4.0"),
        "as it was asked for"
    );
    let text = |at: usize| String::from_utf8_lossy(&hook.received()[at].body).into_owned();
    assert!(
        text(0).contains("valueCode value=\"handshake\""),
        "{}",
        text(0)
    );
    let heartbeat = || {
        let all = hook.received();
        let mut bodies = all
            .iter()
            .map(|one| String::from_utf8_lossy(&one.body).into_owned());
        bodies.any(|body| body.contains("valueCode value=\"heartbeat\""))
    };
    // The clock of the test goes a second for each look.
    until("a heartbeat", heartbeat).await;
    assert_eq!(
        server.get("/Subscription/s1").await.json()["status"],
        "active"
    );

    let mut ended = topical("id-only");
    ended["end"] = "2026-01-02T03:00:00Z".into();
    server.store(ended).await;
    for _ in 0..6_000 {
        if server.get("/Subscription/s1").await.json()["status"] == "off" {
            return;
        }
        tokio::time::sleep(std::time::Duration::from_millis(10)).await;
    }
    panic!("it never ends");
}
