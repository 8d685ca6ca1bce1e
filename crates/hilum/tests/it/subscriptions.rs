//! Subscriptions of the FHIR server from the outside: who subscribes is told, whatever happens
//! between the change and the call.

use std::net::SocketAddr;

use hilum_testkit::http::{HttpClient, HttpMessage, HttpReaction, HttpReceiver};
use hilum_testkit::ports::free_port;
use hilum_testkit::site::SiteFolder;
use hilum_testkit::wait::until;
use serde_json::{Value, json};

use crate::kit::{Running, json as command_json};
use crate::{ends, text};

pub(crate) const TOPIC: &str = "http://hilum.example/topics/result";
const STARTED: &str = "http://hilum.example/topics/encounter-started";

/// A site with a FHIR server that tries again soon.
pub(crate) struct Node {
    pub(crate) folder: SiteFolder,
    pub(crate) admin: u16,
    pub(crate) fhir: u16,
}

impl Node {
    pub(crate) fn new() -> Self {
        Self::with("", "")
    }

    /// With more in the sections of the server and of its subscriptions.
    pub(crate) fn with(server: &str, subscriptions: &str) -> Self {
        let [admin, fhir] = [(); 2].map(|()| free_port().unwrap());
        let folder = SiteFolder::new().unwrap();
        let yaml = format!(
            "site: subscriptions
admin: 127.0.0.1:{admin}
fhir:
  listen: 127.0.0.1:{fhir}
{server}  subscriptions:
{subscriptions}    failures-max: 3
    retry-first: 20ms
    retry-longest: 100ms
    topics:
      - url: {TOPIC}
        triggers:
          - resource: Observation
        filters: [Observation?subject]
      - url: {STARTED}
        triggers:
          - resource: Encounter
            on: [create, update]
            previous: status:not=in-progress
            current: status=in-progress
            require-both: true
"
        );
        folder.file("site/hilum.yaml", yaml).unwrap();
        Self {
            folder,
            admin,
            fhir,
        }
    }

    pub(crate) fn run(&self) -> Running {
        let (site, data) = (
            self.folder.path().join("site"),
            self.folder.path().join("data"),
        );
        let mut node = Running::start(&["run", text(&site), "--data", text(&data)]);
        let line = node.line();
        assert!(line.contains("ready"), "{line}");
        node
    }

    pub(crate) async fn ask(&self, line: &str, body: &Value) -> (u16, Value) {
        let address = SocketAddr::from(([127, 0, 0, 1], self.fhir));
        let mut client = HttpClient::connect(address).await.unwrap();
        let (kind, bytes): (&[_], _) = if body.is_null() {
            (&[], Vec::new())
        } else {
            let kind = &[("content-type", "application/fhir+json")];
            (kind, body.to_string().into_bytes())
        };
        let answer = client.exchange(line, kind, &bytes).await.unwrap();
        let body = serde_json::from_slice(&answer.body).unwrap_or(Value::Null);
        (answer.status().unwrap(), body)
    }

    pub(crate) async fn put(&self, resource: &Value) {
        let place = format!(
            "PUT /fhir/{}/{}",
            resource["resourceType"].as_str().unwrap(),
            resource["id"].as_str().unwrap()
        );
        let (status, told) = self.ask(&place, resource).await;
        assert!(status < 300, "{place}: {status} {told}");
    }

    pub(crate) async fn get(&self, path: &str) -> Value {
        self.ask(&format!("GET /fhir/{path}"), &Value::Null).await.1
    }

    /// Waits until a subscription is in a state; gives it.
    pub(crate) async fn reaches(&self, id: &str, status: &str) -> Value {
        let path = format!("Subscription/{id}");
        for _ in 0..2_000 {
            let known = self.get(&path).await;
            if known["status"] == status {
                return known;
            }
            tokio::time::sleep(std::time::Duration::from_millis(10)).await;
        }
        panic!("{id} is never {status}: {}", self.get(&path).await);
    }

    /// The destination of a subscription as `hilum status` shows it.
    pub(crate) fn destination(&self, id: &str) -> Value {
        let at = format!("127.0.0.1:{}", self.admin);
        let status = command_json(&["status", "--at", &at, "--json"]);
        let channels = status["channels"].as_array().unwrap();
        let own = channels
            .iter()
            .find(|channel| channel["name"] == "hilum.subscriptions");
        let own = own.unwrap_or_else(|| panic!("{status}"));
        let destinations = own["destinations"].as_array().unwrap();
        let found = destinations.iter().find(|to| to["name"] == id);
        found.cloned().unwrap_or(Value::Null)
    }
}

pub(crate) fn observation(id: &str, code: &str) -> Value {
    json!({
        "resourceType": "Observation", "id": id, "status": "final",
        "code": {"coding": [{"system": "http://loinc.org", "code": code}]},
        "subject": {"reference": "Patient/p1"},
        "valueQuantity": {"value": 5.40, "unit": "mmol/L"},
    })
}

/// A subscription of R4.
pub(crate) fn plain(id: &str, criteria: &str, hook: &HttpReceiver, payload: Option<&str>) -> Value {
    let mut subscription = json!({
        "resourceType": "Subscription", "id": id, "status": "requested", "reason": "test",
        "criteria": criteria,
        "channel": {
            "type": "rest-hook",
            "endpoint": format!("http://{}/in", hook.address()),
            "header": ["Authorization: Bearer of-the-hook"],
        },
    });
    if let Some(payload) = payload {
        subscription["channel"]["payload"] = payload.into();
    }
    subscription
}

const GUIDE: &str = "http://hl7.org/fhir/uv/subscriptions-backport/StructureDefinition/backport-";

/// A subscription to a topic.
pub(crate) fn topical(id: &str, topic: &str, hook: &HttpReceiver, content: &str) -> Value {
    let mut subscription = plain(id, topic, hook, Some("application/fhir+json"));
    subscription["channel"]["_payload"] = json!({"extension": [
        {"url": format!("{GUIDE}payload-content"), "valueCode": content},
    ]});
    subscription
}

fn body(message: &HttpMessage) -> Value {
    serde_json::from_slice(&message.body).unwrap_or(Value::Null)
}

/// A value of the status in a notification.
pub(crate) fn told(bundle: &Value, name: &str) -> Value {
    let status = &bundle["entry"][0]["resource"];
    let parameters = status["parameter"].as_array().into_iter().flatten();
    let mut found = parameters.filter(|parameter| parameter["name"] == name);
    let Some(found) = found.next() else {
        return Value::Null;
    };
    let own = found.as_object().unwrap().iter();
    let mut values = own.filter(|(key, _)| key.starts_with("value") || *key == "part");
    values.next().unwrap().1.clone()
}

/// The numbers of the events that came, in the order in which they came.
pub(crate) fn numbers(hook: &HttpReceiver) -> Vec<String> {
    let received = hook.received();
    let bundles = received.iter().map(body);
    bundles
        .filter(|bundle| told(bundle, "type") == "event-notification")
        .map(|bundle| told(&bundle, "notification-event")[0]["valueString"].clone())
        .map(|number| number.as_str().unwrap().to_owned())
        .collect()
}

#[tokio::test]
async fn a_subscriber_of_r4_is_called_or_gets_the_resource() {
    let site = Node::new();
    let node = site.run();
    let (calls, resources, xml) = (
        HttpReceiver::start().await.unwrap(),
        HttpReceiver::start().await.unwrap(),
        HttpReceiver::start().await.unwrap(),
    );
    let criteria = "Observation?code=http://loinc.org|2823-3";
    site.put(&plain("calls", criteria, &calls, None)).await;
    let json = Some("application/fhir+json");
    site.put(&plain("resources", criteria, &resources, json))
        .await;
    let kind = Some("application/fhir+xml");
    site.put(&plain("xml", criteria, &xml, kind)).await;
    assert_eq!(site.get("Subscription/calls").await["status"], "active");

    site.put(&observation("other", "718-7")).await;
    site.put(&observation("k1", "2823-3")).await;
    until("all are told", || {
        [&calls, &resources, &xml]
            .iter()
            .all(|hook| !hook.received().is_empty())
    })
    .await;
    let call = calls.received().remove(0);
    assert_eq!(call.line, "POST /in HTTP/1.1");
    assert_eq!(call.header("authorization"), Some("Bearer of-the-hook"));
    assert!(call.body.is_empty());
    let update = resources.received().remove(0);
    assert_eq!(update.line, "PUT /in/Observation/k1 HTTP/1.1");
    assert_eq!(update.header("content-type"), Some("application/fhir+json"));
    assert!(
        String::from_utf8_lossy(&update.body).contains("\"value\":5.4"),
        "digits are kept"
    );
    assert_eq!(body(&update)["meta"]["versionId"], "1");
    let update = xml.received().remove(0);
    assert_eq!(update.header("content-type"), Some("application/fhir+xml"));
    assert!(String::from_utf8_lossy(&update.body).contains("<Observation xmlns"));

    // Off is off.
    let mut off = plain("calls", criteria, &calls, None);
    off["status"] = "off".into();
    site.put(&off).await;
    site.put(&observation("k2", "2823-3")).await;
    until("the others are told", || resources.received().len() == 2).await;
    assert_eq!(calls.received().len(), 1);
    node.terminate();
    node.end();
}

#[tokio::test]
async fn what_waits_for_a_receiver_that_is_away_arrives_in_order_and_once() {
    let site = Node::new();
    let node = site.run();
    let mut hook = HttpReceiver::start().await.unwrap();
    site.put(&topical("results", TOPIC, &hook, "id-only")).await;
    site.reaches("results", "active").await;
    let handshake = body(&hook.received().remove(0));
    assert_eq!(told(&handshake, "type"), "handshake");
    site.put(&observation("r1", "2823-3")).await;
    until("the first is there", || numbers(&hook) == ["1"]).await;

    hook.down().await;
    for n in 2..=5 {
        site.put(&observation(&format!("r{n}"), "2823-3")).await;
    }
    let known = site.reaches("results", "error").await;
    let error = known["error"].as_str().unwrap();
    assert!(
        error.contains("connect") && !error.contains("r2"),
        "{error}"
    );
    let waiting = site.destination("results");
    assert_eq!(waiting["waiting"], 4, "{waiting}");
    hook.up().await.unwrap();
    until("all are there", || numbers(&hook).len() >= 5).await;
    assert_eq!(numbers(&hook), ["1", "2", "3", "4", "5"]);
    let known = site.reaches("results", "active").await;
    assert_eq!(known["error"], Value::Null);

    // What was told can be asked for, and be sent again as any message.
    let events = site
        .get("Subscription/results/$events?eventsSinceNumber=4&content=full-resource")
        .await;
    assert_eq!(told(&events, "type"), "query-event");
    assert_eq!(events["entry"][1]["resource"]["id"], "r4");
    assert_eq!(events["entry"].as_array().unwrap().len(), 3);
    let at = format!("127.0.0.1:{}", site.admin);
    let (found, _) = ends(
        &[
            "messages",
            "--at",
            &at,
            "--channel",
            "hilum.subscriptions",
            "--json",
        ],
        0,
    );
    let first: Value = serde_json::from_str(found.lines().next().unwrap()).unwrap();
    let id = first["message"]
        .as_str()
        .unwrap_or_else(|| panic!("{first}"));
    ends(&["replay", id, "--at", &at], 0);
    until("it was sent again", || numbers(&hook).len() == 6).await;
    node.terminate();
    node.end();
}

#[tokio::test]
async fn an_event_outlives_the_death_of_the_program() {
    let site = Node::new();
    let mut hook = HttpReceiver::start().await.unwrap();
    let node = site.run();
    site.put(&topical("results", TOPIC, &hook, "full-resource"))
        .await;
    site.reaches("results", "active").await;
    hook.down().await;
    for n in 1..=20 {
        site.put(&observation(&format!("r{n}"), "2823-3")).await;
    }
    // Killed at once: some events are with the channel, some still in the outbox.
    drop(node);
    hook.up().await.unwrap();
    let node = site.run();
    until("all are there", || numbers(&hook).len() >= 20).await;
    site.put(&observation("last", "2823-3")).await;
    until("and the one after", || numbers(&hook).len() >= 21).await;
    let all: Vec<String> = (1..=21).map(|n: u32| n.to_string()).collect();
    assert_eq!(numbers(&hook), all);
    let received = hook.received();
    let last = body(received.last().unwrap());
    assert_eq!(last["entry"][1]["resource"]["id"], "last");
    assert_eq!(told(&last, "events-since-subscription-start"), "21");
    node.terminate();
    node.end();
}

#[tokio::test]
async fn who_refuses_what_is_told_is_not_called_for_ever() {
    let site = Node::new();
    let node = site.run();
    let hook = HttpReceiver::start().await.unwrap();
    hook.react(HttpReaction::status(400));
    site.put(&topical("results", TOPIC, &hook, "empty")).await;
    let known = site.reaches("results", "error").await;
    let error = known["error"].as_str().unwrap();
    assert!(
        error.contains("handshake") && error.contains("400"),
        "{error}"
    );
    site.put(&observation("r1", "2823-3")).await;
    assert_eq!(site.destination("results"), Value::Null);

    // Requested again, it is asked again; what a receiver refuses becomes a dead letter.
    hook.react(HttpReaction::status(200));
    site.put(&topical("results", TOPIC, &hook, "empty")).await;
    site.reaches("results", "active").await;
    hook.react(HttpReaction::status(422));
    site.put(&observation("r2", "2823-3")).await;
    until("it was offered", || numbers(&hook) == ["1"]).await;
    let dead = || site.destination("results")["dead"].clone();
    until("it is a dead letter", || dead() == 1).await;
    let bundle = body(hook.received().last().unwrap());
    assert_eq!(
        bundle["entry"].as_array().unwrap().len(),
        1,
        "empty is empty"
    );
    assert_eq!(told(&bundle, "topic"), Value::Null, "nor what it is about");
    node.terminate();
    node.end();
}

#[tokio::test]
async fn a_topic_looks_at_what_was_and_what_is() {
    let site = Node::new();
    let node = site.run();
    let hook = HttpReceiver::start().await.unwrap();
    site.put(&topical("started", STARTED, &hook, "id-only"))
        .await;
    site.reaches("started", "active").await;
    let encounter = |id: &str, status: &str| {
        json!({
            "resourceType": "Encounter", "id": id, "status": status,
            "class": {"system": "http://terminology.hl7.org/CodeSystem/v3-ActCode", "code": "AMB"},
        })
    };
    site.put(&encounter("e1", "planned")).await;
    site.put(&encounter("e1", "in-progress")).await;
    site.put(&encounter("e1", "in-progress")).await;
    site.put(&encounter("e1", "finished")).await;
    site.put(&encounter("e2", "in-progress")).await;
    until("both have started", || numbers(&hook).len() >= 2).await;
    let focus = |at: usize| {
        let event = told(&body(&hook.received()[at]), "notification-event");
        let parts = event.as_array().unwrap().clone();
        let focus = parts.into_iter().find(|part| part["name"] == "focus");
        focus.unwrap()["valueReference"]["reference"].clone()
    };
    let base = format!("http://127.0.0.1:{}/fhir", site.fhir);
    assert_eq!(focus(1), format!("{base}/Encounter/e1"));
    assert_eq!(focus(2), format!("{base}/Encounter/e2"));
    site.put(&encounter("e3", "planned")).await;
    let status = site.get("Subscription/started/$status").await;
    let since = told(&status, "events-since-subscription-start");
    assert_eq!(since, "2", "{status}");
    node.terminate();
    node.end();
}

#[tokio::test]
async fn an_erased_subscription_is_told_nothing_more() {
    let site = Node::new();
    let node = site.run();
    let hook = HttpReceiver::start().await.unwrap();
    site.put(&plain("calls", "Observation", &hook, None)).await;
    site.put(&observation("o1", "2823-3")).await;
    until("it is told", || hook.received().len() == 1).await;
    let line = "POST /fhir/Subscription/calls/$erase?mode=erase";
    let (status, told) = site.ask(line, &Value::Null).await;
    assert_eq!(status, 200, "{told}");
    until("it is gone", || site.destination("calls").is_null()).await;
    let other = HttpReceiver::start().await.unwrap();
    site.put(&plain("other", "Observation", &other, None)).await;
    site.put(&observation("o2", "2823-3")).await;
    until("the other is told", || !other.received().is_empty()).await;
    assert_eq!(hook.received().len(), 1);
    node.terminate();
    node.end();
}

#[tokio::test]
async fn what_waits_for_a_subscription_that_is_requested_again_is_not_lost() {
    let site = Node::new();
    let node = site.run();
    let mut hook = HttpReceiver::start().await.unwrap();
    site.put(&topical("results", TOPIC, &hook, "full-resource"))
        .await;
    site.reaches("results", "active").await;
    hook.down().await;
    site.put(&observation("r1", "2823-3")).await;
    site.reaches("results", "error").await;
    // A new key, and the endpoint is still away: what waits is kept, and new events are as well.
    let mut again = topical("results", TOPIC, &hook, "full-resource");
    again["status"] = "active".into();
    again["channel"]["header"] = json!(["Authorization: Bearer another"]);
    site.put(&again).await;
    assert_eq!(
        site.get("Subscription/results").await["status"],
        "requested"
    );
    site.put(&observation("r2", "2823-3")).await;
    let known = site.reaches("results", "error").await;
    assert!(
        known["error"].as_str().unwrap().contains("handshake"),
        "{known}"
    );
    hook.up().await.unwrap();
    until("both are there", || numbers(&hook).len() >= 2).await;
    assert_eq!(numbers(&hook), ["1", "2"]);
    site.reaches("results", "active").await;
    assert_eq!(site.destination("results")["dead"], 0);
    let last = hook.received().pop().unwrap();
    assert_eq!(last.header("authorization"), Some("Bearer another"));
    let kinds: Vec<Value> = hook
        .received()
        .iter()
        .map(|one| told(&body(one), "type"))
        .collect();
    assert_eq!(kinds[0], "handshake");
    node.terminate();
    node.end();
}

#[tokio::test]
async fn events_that_are_there_together_come_together_where_the_subscriber_takes_several() {
    let site = Node::new();
    let node = site.run();
    let hook = HttpReceiver::start().await.unwrap();
    let mut several = topical("several", TOPIC, &hook, "full-resource");
    several["channel"]["extension"] = json!([
        {"url": format!("{GUIDE}max-count"), "valuePositiveInt": 3},
    ]);
    site.put(&several).await;
    site.reaches("several", "active").await;
    let entry = |n: u32| {
        json!({
            "resource": observation(&format!("t{n}"), "2823-3"),
            "request": {"method": "PUT", "url": format!("Observation/t{n}")},
        })
    };
    let entries: Vec<Value> = (1..=7).map(entry).collect();
    let transaction = json!({"resourceType": "Bundle", "type": "transaction", "entry": entries});
    let (status, told_of) = site.ask("POST /fhir", &transaction).await;
    assert_eq!(status, 200, "{told_of}");
    let bundles = || {
        let received = hook.received();
        let bundles = received.iter().map(body);
        let events = bundles.filter(|bundle| told(bundle, "type") == "event-notification");
        events.collect::<Vec<_>>()
    };
    until("all are told", || bundles().len() >= 3).await;
    let shown = |bundle: &Value| {
        let parameters = bundle["entry"][0]["resource"]["parameter"]
            .as_array()
            .unwrap();
        let events = parameters
            .iter()
            .filter(|one| one["name"] == "notification-event");
        let numbers: Vec<&str> = events
            .map(|event| event["part"][0]["valueString"].as_str().unwrap())
            .collect();
        let entries = bundle["entry"].as_array().unwrap().iter().skip(1);
        let ids: Vec<&str> = entries
            .map(|entry| entry["resource"]["id"].as_str().unwrap())
            .collect();
        let since = told(bundle, "events-since-subscription-start");
        format!("{numbers:?} {ids:?} {}", since.as_str().unwrap()).replace('"', "")
    };
    let all: Vec<String> = bundles().iter().map(shown).collect();
    assert_eq!(
        all,
        [
            "[1, 2, 3] [t1, t2, t3] 3",
            "[4, 5, 6] [t4, t5, t6] 6",
            "[7] [t7] 7"
        ]
    );
    node.terminate();
    node.end();
}
