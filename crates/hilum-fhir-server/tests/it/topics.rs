//! Topics as resources: what of them makes events, and which are refused.

use hilum_testkit::wait::PATIENCE;
use serde_json::{Value, json};

use crate::kit::Server;

const R5: &str = "http://hl7.org/fhir/5.0/StructureDefinition/extension-SubscriptionTopic.";
/// As the example of the guide writes what has parts.
const R4B: &str = "http://hl7.org/fhir/4.3/StructureDefinition/extension-SubscriptionTopic.";
const GUIDE: &str = "http://hl7.org/fhir/uv/subscriptions-backport/StructureDefinition/backport-";
const URL: &str = "http://ward.example/topics/t1";

fn part(name: &str, kind: &str, value: impl Into<Value>) -> Value {
    json!({"url": name, format!("value{kind}"): value.into()})
}

/// An element with parts; what stands alone among them is a search or an expression.
fn trigger(resource: &str, parts: Vec<Value>) -> Value {
    let mut all = vec![part("resource", "Uri", resource)];
    all.extend(parts);
    json!({"url": format!("{R4B}resourceTrigger"), "extension": all})
}

fn query(parts: Vec<Value>) -> Value {
    json!({"url": "queryCriteria", "extension": parts})
}

/// A topic; the elements come behind its URL and status.
fn topic(elements: Vec<Value>) -> Value {
    let mut all = vec![
        part(&format!("{R5}url"), "Uri", URL),
        part(&format!("{R5}version"), "String", "1.2.0"),
        part(&format!("{R5}title"), "String", "Something happened"),
    ];
    all.extend(elements);
    json!({
        "resourceType": "Basic", "id": "t1",
        "modifierExtension": [part(&format!("{R5}status"), "Code", "active")],
        "extension": all,
        "code": {"coding": [{"system": "http://hl7.org/fhir/fhir-types", "code": "SubscriptionTopic"}]},
    })
}

/// One that is active without a handshake.
fn subscription(criteria: &str) -> Value {
    json!({
        "resourceType": "Subscription", "id": "s1", "status": "requested", "reason": "test",
        "criteria": criteria, "channel": {"type": "websocket", "payload": "application/fhir+json"},
    })
}

async fn events(server: &Server) -> String {
    let status = server.get("/Subscription/s1/$status").await.json();
    let parameters = &status["entry"][0]["resource"]["parameter"];
    let mut parameters = parameters.as_array().unwrap().iter();
    let found = parameters.find(|one| one["name"] == "events-since-subscription-start");
    found.unwrap()["valueString"].as_str().unwrap().to_owned()
}

fn encounter(id: &str, status: &str) -> Value {
    json!({
        "resourceType": "Encounter", "id": id, "status": status,
        "class": {"system": "http://terminology.hl7.org/CodeSystem/v3-ActCode", "code": "AMB"},
    })
}

/// Applies changes of an Encounter (its status, or `-` for a delete), and holds the interactions that
/// made an event against `expected`: `c`reate, `u`pdate, `d`elete, each with its place among them.
async fn check_trigger(name: &str, parts: Vec<Value>, changes: &[&str], expected: &[usize]) {
    let server = Server::start().await;
    server.store(topic(vec![trigger("Encounter", parts)])).await;
    server.store(subscription(URL)).await;
    let mut made = Vec::new();
    let mut known = events(&server).await;
    for (at, status) in changes.iter().enumerate() {
        if *status == "-" {
            let answer = server.request("DELETE", "/Encounter/e1", &[], "").await;
            assert!(answer.status.is_success(), "{}", answer.told());
        } else {
            server.store(encounter("e1", status)).await;
        }
        let now = events(&server).await;
        if now != known {
            made.push(at);
        }
        known = now;
    }
    assert_eq!(made, expected, "{name}");
}

#[tokio::test]
async fn a_topic_makes_events_of_what_its_criteria_say() {
    let all = [
        "planned",
        "finished",
        "finished",
        "in-progress",
        "-",
        "finished",
        "-",
    ];
    let before = || part("previous", "String", "status:not=finished");
    let now = || part("current", "String", "status=finished");
    let both = || part("requireBoth", "Boolean", true);
    let for_create = |code: &str| part("resultForCreate", "Code", code);
    let for_delete = |code: &str| part("resultForDelete", "Code", code);
    let path = |text: &str| vec![part("fhirPathCriteria", "String", text)];
    let on = |code: &str| part("supportedInteraction", "Code", code);
    for (name, parts, expected) in [
        ("anything", vec![], vec![0, 1, 2, 3, 4, 5, 6]),
        ("creates", vec![on("create")], vec![0, 5]),
        (
            "deletes",
            vec![on("delete"), on("update")],
            vec![1, 2, 3, 4, 6],
        ),
        (
            "becomes finished",
            vec![query(vec![
                before(),
                for_create("test-passes"),
                now(),
                for_delete("test-fails"),
                both(),
            ])],
            vec![1, 5],
        ),
        (
            "becomes finished, from something",
            vec![query(vec![
                before(),
                for_create("test-fails"),
                now(),
                for_delete("test-fails"),
                both(),
            ])],
            vec![1],
        ),
        (
            "was not finished, and is or is gone",
            vec![query(vec![
                before(),
                for_create("test-fails"),
                now(),
                for_delete("test-passes"),
                both(),
            ])],
            vec![1, 4],
        ),
        (
            "one of them is enough",
            vec![query(vec![
                before(),
                for_create("test-fails"),
                now(),
                for_delete("test-fails"),
            ])],
            vec![1, 2, 4, 5],
        ),
        (
            "as the guide has it",
            path(
                "(%previous.id.empty() or (%previous.status != 'finished')) and (%current.status = 'finished')",
            ),
            vec![1, 5],
        ),
        ("gone", path("%current.empty()"), vec![4, 6]),
        (
            "from the resource",
            path("status = 'in-progress' and %previous.exists()"),
            vec![3, 4],
        ),
        (
            "all that is given holds",
            vec![
                query(vec![now(), for_delete("test-fails")]),
                part(
                    "fhirPathCriteria",
                    "String",
                    "%previous.status = 'finished'",
                ),
            ],
            vec![2],
        ),
    ] {
        check_trigger(name, parts, &all, &expected).await;
    }
}

#[tokio::test]
async fn a_topic_that_cannot_be_used_is_refused_with_its_place() {
    let server = Server::start().await;
    let of = |parts| topic(vec![trigger("Encounter", parts)]);
    let of_query = |part| of(vec![query(vec![part])]);
    let string = |name, text: &str| part(name, "String", text);
    let filter = |parts: Vec<Value>| {
        let filter = json!({"url": format!("{R5}canFilterBy"), "extension": parts});
        topic(vec![filter, trigger("Encounter", vec![])])
    };
    let mut without_url = of(vec![]);
    without_url["extension"].as_array_mut().unwrap().remove(0);
    let mut without_status = of(vec![]);
    without_status
        .as_object_mut()
        .unwrap()
        .remove("modifierExtension");
    let mut taken = of(vec![]);
    taken["extension"][0]["valueUri"] = "http://hilum.example/topics/result".into();
    for (given, place, text) in [
        (without_url, "Basic", "canonical URL"),
        (without_status, "Basic", "status"),
        (taken, "Basic", "another topic"),
        (topic(vec![]), "Basic", "resourceTrigger"),
        (
            topic(vec![trigger("Encounterr", vec![])]),
            "Basic.extension[3].extension[0]",
            "no type",
        ),
        (
            topic(vec![trigger(
                "http://hl7.org/fhir/StructureDefinition/Nothing",
                vec![],
            )]),
            "Basic.extension[3].extension[0]",
            "no type",
        ),
        (
            of(vec![part("supportedInteraction", "Code", "read")]),
            "Basic.extension[3].extension[1]",
            "none of create",
        ),
        (
            of_query(string("current", "colour=red")),
            "Basic.extension[3].extension[1].extension[0]",
            "colour",
        ),
        (
            of_query(string("previous", "_has:Observation:encounter:code=1")),
            "Basic.extension[3].extension[1].extension[0]",
            "`_has`",
        ),
        (
            of_query(part("resultForCreate", "Code", "maybe")),
            "Basic.extension[3].extension[1].extension[0]",
            "test-passes",
        ),
        (
            of_query(string("requireBoth", "true")),
            "Basic.extension[3].extension[1].extension[0]",
            "boolean",
        ),
        (
            of(vec![string("fhirPathCriteria", "%current.status = ")]),
            "Basic.extension[3].extension[1]",
            "",
        ),
        (
            of(vec![string("fhirPathCriteria", "%current.statuss = 'x'")]),
            "Basic.extension[3].extension[1]",
            "statuss",
        ),
        (
            of(vec![string("fhirPathCriteria", "%secret.exists()")]),
            "Basic.extension[3].extension[1]",
            "",
        ),
        (
            of(vec![string("moment", "soon")]),
            "Basic.extension[3].extension[1]",
            "not supported",
        ),
        (
            filter(vec![string("filterParameter", "colour")]),
            "Basic.extension[3].extension[0]",
            "no search parameter",
        ),
        (
            topic(vec![
                json!({"url": format!("{R5}eventTrigger"), "extension": [string("description", "x")]}),
            ]),
            "Basic.extension[3]",
            "not supported",
        ),
        (
            topic(vec![
                trigger("Encounter", vec![]),
                json!({"url": format!("{R5}notificationShape"), "extension": [
                    part("resource", "Uri", "Encounter"), string("include", "Encounter:patient"),
                ]}),
            ]),
            "Basic.extension[4].extension[1]",
            "include",
        ),
    ] {
        let answer = server.put("/Basic/t1", &given).await;
        assert_eq!(answer.status, 422, "{given}: {}", answer.told());
        let issue = answer.json()["issue"][0].clone();
        assert_eq!(issue["expression"][0], place, "{}", answer.told());
        assert!(issue.to_string().contains(text), "{text}: {issue}");
    }
    // A draft may be anything, and is no topic.
    let mut draft = topic(vec![trigger("Encounterr", vec![])]);
    draft["modifierExtension"][0]["valueCode"] = "draft".into();
    server.store(draft).await;
    assert_eq!(
        server
            .put("/Subscription/s1", &subscription(URL))
            .await
            .status,
        422
    );
    // So is another Basic.
    server
        .store(json!({"resourceType": "Basic", "id": "b1", "code": {"text": "referral"}}))
        .await;
}

#[tokio::test]
async fn topics_are_told_followed_and_given_up() {
    let server = Server::start().await;
    let filter = json!({"url": format!("{R5}canFilterBy"), "extension": [
        part("description", "Markdown", "By whom it is about"),
        part("filterParameter", "String", "subject"),
    ]});
    let mut one = topic(vec![
        filter,
        trigger(
            "Encounter",
            vec![part("supportedInteraction", "Code", "create")],
        ),
    ]);
    server.store(one.clone()).await;
    let told = async |server: &Server| {
        let statement = server.get("/metadata").await.json();
        let resources = statement["rest"][0]["resource"].as_array().unwrap().clone();
        let own = resources
            .into_iter()
            .find(|one| one["type"] == "Subscription");
        let told = own.unwrap()["extension"].as_array().unwrap().clone();
        told.iter()
            .map(|one| one["valueCanonical"].as_str().unwrap().to_owned())
            .collect::<Vec<_>>()
    };
    assert_eq!(
        told(&server).await,
        ["http://hilum.example/topics/result", URL]
    );
    for (criteria, status) in [
        (format!("{URL}|1.2.0"), 201),
        (format!("{URL}|2.0.0"), 422),
        ("http://hilum.example/topics/result|1.2.0".to_owned(), 422),
    ] {
        let answer = server
            .put("/Subscription/s1", &subscription(&criteria))
            .await;
        assert_eq!(answer.status, status, "{}", answer.told());
    }
    let mut filtered = subscription(URL);
    filtered["_criteria"] = json!({"extension": [{
        "url": format!("{GUIDE}filter-criteria"), "valueString": "subject=Patient/p1",
    }]});
    server.store(filtered).await;
    let mut about = encounter("e1", "planned");
    about["subject"] = json!({"reference": "Patient/p1"});
    server.store(about).await;
    server.store(encounter("e2", "planned")).await;
    assert_eq!(events(&server).await, "1");

    // The topic changes, and the subscription means the new one.
    one["extension"][4]["extension"][1]["valueCode"] = "update".into();
    server.store(one.clone()).await;
    let mut about = encounter("e1", "in-progress");
    about["subject"] = json!({"reference": "Patient/p1"});
    server.store(about.clone()).await;
    about["id"] = "e3".into();
    server.store(about).await;
    assert_eq!(events(&server).await, "2");
    let server = server.again().await;
    assert_eq!(told(&server).await.len(), 2, "it outlives a restart");

    // It is retired: who subscribed to it is told that nothing more comes.
    one["modifierExtension"][0]["valueCode"] = "retired".into();
    server.store(one.clone()).await;
    assert_eq!(told(&server).await.len(), 1);
    let deadline = tokio::time::Instant::now() + PATIENCE;
    loop {
        let known = server.get("/Subscription/s1").await.json();
        if known["status"] == "error" {
            assert!(
                known["error"].as_str().unwrap().contains("no such topic"),
                "{known}"
            );
            break;
        }
        assert!(tokio::time::Instant::now() < deadline, "{known}");
        tokio::time::sleep(std::time::Duration::from_millis(10)).await;
    }
    // It is there again, and so is the subscription when it is asked for again.
    one["modifierExtension"][0]["valueCode"] = "active".into();
    server.store(one).await;
    server.store(subscription(URL)).await;
    assert_eq!(
        server.get("/Subscription/s1").await.json()["status"],
        "active"
    );
    let gone = server.request("DELETE", "/Basic/t1", &[], "").await;
    assert!(gone.status.is_success());
    assert_eq!(told(&server).await.len(), 1);
}
