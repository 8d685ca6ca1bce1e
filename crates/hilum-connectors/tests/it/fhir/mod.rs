//! FHIR: the suites, a store of the node behind a door, servers elsewhere that fail, the cursor.

mod changes;

use std::net::SocketAddr;
use std::sync::{Arc, Mutex as Plain};
use std::time::Duration;

use bytes::Bytes;
use hilum_component::conformance::{
    DestinationRig, FakeSite, MemoryBlobs, PeerMood, check_destination, delivery,
};
use hilum_component::{
    BoxFuture, Class, Delivery, Destination, FhirChange, FhirChanges, FhirDoor, FhirInteraction,
    FhirMethod, FhirPlace, FhirPort, FhirRequest, FhirResponse, FhirStores, FhirWanted, Source,
};
use hilum_message::{BlobRange, BlobRef, Cut, Payload};
use hilum_testkit::http::{HttpReaction, HttpReceiver};
use hilum_testkit::wait;
use serde_json::{Value, json};
use tokio::sync::{Mutex, watch};

use crate::{destination, destination_factory, source_factory};

pub(crate) fn patient(number: u64) -> Bytes {
    format!(
        r#"{{"resourceType":"Patient","id":"p{number}","name":[{{"family":"Canary{number}"}}]}}"#
    )
    .into()
}

struct Server {
    receiver: Mutex<HttpReceiver>,
    address: SocketAddr,
}

impl Server {
    async fn start() -> Self {
        let receiver = HttpReceiver::start().await.unwrap();
        let address = receiver.address();
        Self {
            receiver: Mutex::new(receiver),
            address,
        }
    }

    fn base(&self) -> String {
        format!("http://{}/fhir", self.address)
    }

    async fn answers(&self, status: u16, body: &str) {
        let body = Bytes::from(body.to_owned());
        let reaction = HttpReaction::Status(status, Vec::new(), body);
        self.receiver.lock().await.react(reaction);
    }
}

impl DestinationRig for Server {
    fn destination(&self) -> Arc<dyn Destination> {
        destination("fhir", &json!({ "to": self.base(), "answer-within": "1s" }))
    }

    fn message(&self, number: u64) -> Bytes {
        patient(number)
    }

    fn mood(&self, mood: PeerMood) -> BoxFuture<'_, ()> {
        Box::pin(async move {
            let mut receiver = self.receiver.lock().await;
            receiver.react(match mood {
                PeerMood::Accepts => HttpReaction::status(200),
                PeerMood::Refuses => HttpReaction::status(422),
                PeerMood::Silent => HttpReaction::Nothing,
                PeerMood::Away => return receiver.down().await,
            });
            receiver.up().await.unwrap();
        })
    }

    fn received(&self) -> BoxFuture<'_, Vec<Bytes>> {
        Box::pin(async move {
            let received = self.receiver.lock().await.received();
            received.into_iter().map(|one| one.body).collect()
        })
    }
}

#[tokio::test]
async fn the_destination_keeps_the_contract_with_a_server_elsewhere() {
    check_destination(&Server::start().await).await;
}

/// A store of this node that is played.
pub(crate) struct Store {
    door: FhirDoor,
    changes: Plain<Vec<FhirChange>>,
    commits: watch::Sender<u64>,
    pub(crate) requests: Plain<Vec<(String, FhirRequest)>>,
    answer: Plain<Option<FhirResponse>>,
    /// It reads what lies apart.
    pub(crate) reads: Plain<bool>,
}

/// What the door leads to.
struct Port(Arc<Store>);

impl FhirPort for Port {
    fn request(&self, tenant: &str, request: FhirRequest) -> BoxFuture<'_, FhirResponse> {
        let apart = request.apart.clone();
        let apart = apart.filter(|_| *self.0.reads.lock().unwrap());
        let mut requests = self.0.requests.lock().unwrap();
        requests.push((tenant.to_owned(), request));
        let answer = self.0.answer.lock().unwrap().clone();
        Box::pin(async move {
            if let Some(apart) = apart {
                let range = &apart.tokens.ranges()[0];
                apart.blobs.read(range, 0, 4).await.unwrap_err();
            }
            match answer {
                Some(answer) => answer,
                None => std::future::pending().await,
            }
        })
    }

    fn changes(
        &self,
        tenant: &str,
        wanted: FhirWanted,
    ) -> BoxFuture<'_, Result<FhirChanges, String>> {
        assert_eq!(tenant, "ward");
        Box::pin(async move {
            if wanted.query.contains("unknown") {
                return Err("no such parameter".to_owned());
            }
            let changes = self.0.changes.lock().unwrap();
            let after = match wanted.after {
                FhirPlace::Beginning => 0,
                FhirPlace::Number(number) => number,
                FhirPlace::End | FhirPlace::Time(_) => changes.len() as i64,
            };
            let next = changes.iter().filter(|change| change.number > after);
            let next: Vec<_> = next.take(wanted.max).cloned().collect();
            let to = next.last().map_or(after, |change| change.number);
            Ok(FhirChanges { changes: next, to })
        })
    }

    fn commits(&self, _: &str) -> Option<watch::Receiver<u64>> {
        Some(self.0.commits.subscribe())
    }
}

impl Store {
    pub(crate) fn open() -> Arc<Self> {
        let store = Arc::new(Self {
            door: FhirDoor::default(),
            changes: Plain::default(),
            commits: watch::Sender::new(0),
            requests: Plain::default(),
            answer: Plain::default(),
            reads: Plain::default(),
        });
        store.answers(200, None);
        store.door.open(Arc::new(Port(Arc::clone(&store))));
        store
    }

    pub(crate) fn answers(&self, status: u16, location: Option<&str>) {
        *self.answer.lock().unwrap() = Some(FhirResponse {
            status,
            location: location.map(str::to_owned),
            body: None,
        });
    }

    fn site(&self) -> FakeSite {
        FakeSite {
            fhir: Some(FhirStores {
                tenants: vec!["ward".to_owned()],
                door: self.door.clone(),
            }),
            ..FakeSite::default()
        }
    }

    pub(crate) fn destination(&self, config: &Value) -> Arc<dyn Destination> {
        destination_factory("fhir", config, &self.site()).unwrap()()
    }

    fn source(&self, config: &Value) -> Box<dyn Source> {
        source_factory("fhir", config, &self.site()).unwrap()()
    }

    /// Commits a change of the patient `p`.
    fn change(&self, interaction: FhirInteraction) {
        let mut changes = self.changes.lock().unwrap();
        let number = changes.len() as i64 + 1;
        let body = match interaction {
            FhirInteraction::Delete => Bytes::new(),
            FhirInteraction::Create | FhirInteraction::Update => patient(number as u64),
        };
        changes.push(FhirChange {
            number,
            interaction,
            target: "Patient/p".to_owned(),
            at_ms: 1_767_225_600_000,
            body,
        });
        self.commits.send_modify(|count| *count += 1);
    }
}

/// A Bundle of about so many bytes.
fn bundle(bytes: usize) -> Bytes {
    let text = "x".repeat(bytes);
    format!(r#"{{"resourceType":"Bundle","type":"transaction","language":"{text}"}}"#).into()
}

#[tokio::test]
async fn messages_on_their_way_to_the_local_store_are_bounded_by_bytes() {
    let store = Store::open();
    let local = store.destination(&json!({ "to": "local" }));
    assert_eq!(local.concurrency(), 32);
    let chosen = json!({ "to": "local", "connections": 3 });
    assert_eq!(store.destination(&chosen).concurrency(), 3);
    let elsewhere = destination("fhir", &json!({ "to": "http://127.0.0.1:9/fhir" }));
    assert_eq!(elsewhere.concurrency(), 4);

    // The store answers nobody: what is under way stays so.
    *store.answer.lock().unwrap() = None;
    let count = || store.requests.lock().unwrap().len();
    let send = |number: u64, bytes: usize| {
        let (local, delivery) = (Arc::clone(&local), delivery(number, bundle(bytes)));
        tokio::spawn(async move { local.send(&[delivery]).await })
    };
    let mut under_way = Vec::new();
    for number in 0..3 {
        under_way.push(send(number, 10 << 20));
    }
    wait::until("three are under way", || count() == 3).await;
    let fourth = send(3, 10 << 20);
    tokio::time::sleep(Duration::from_millis(200)).await;
    assert_eq!(count(), 3);
    // One that ends makes room.
    under_way.pop().unwrap().abort();
    wait::until("the fourth follows", || count() == 4).await;
    fourth.abort();
    for one in under_way {
        one.abort();
    }
    // Larger than all the room: alone, and not never.
    let _large = send(4, 40 << 20);
    wait::until("the large one goes", || count() == 5).await;
    let _small = send(5, 10);
    tokio::time::sleep(Duration::from_millis(200)).await;
    assert_eq!(count(), 5);
}

struct Local(Arc<Store>);

impl DestinationRig for Local {
    fn destination(&self) -> Arc<dyn Destination> {
        self.0
            .destination(&json!({ "to": "local", "answer-within": "1s" }))
    }

    fn message(&self, number: u64) -> Bytes {
        patient(number)
    }

    fn mood(&self, mood: PeerMood) -> BoxFuture<'_, ()> {
        self.0.door.open(Arc::new(Port(Arc::clone(&self.0))));
        match mood {
            PeerMood::Accepts => self.0.answers(200, None),
            PeerMood::Refuses => self.0.answers(422, None),
            PeerMood::Silent => *self.0.answer.lock().unwrap() = None,
            PeerMood::Away => self.0.door.close(),
        }
        Box::pin(async {})
    }

    fn received(&self) -> BoxFuture<'_, Vec<Bytes>> {
        let requests = self.0.requests.lock().unwrap();
        let bodies = requests.iter().map(|(_, request)| request.body.clone());
        let bodies = bodies.collect();
        Box::pin(async { bodies })
    }
}

#[tokio::test]
async fn the_destination_keeps_the_contract_with_a_store_of_the_node() {
    check_destination(&Local(Store::open())).await;
}

#[tokio::test]
async fn a_store_of_the_node_gets_the_delivery_and_the_whole_message() {
    let store = Store::open();
    store.answers(201, Some("Binary/mrn7/_history/1"));
    let destination = store.destination(&json!({ "to": "local", "tenant": "ward" }));
    let text = r#"{"resourceType":"Binary","contentType":"a/b","data":""}"#;
    let blob = BlobRef {
        partition: "p".into(),
        name: "b".into(),
    };
    let range = BlobRange {
        blob,
        offset: 2,
        length: 4,
    };
    let at = text.len() - 2;
    let mut one = delivery(7, "");
    one.payload = Payload::with_cuts(text.into(), vec![Cut { at, range }]);
    one.blobs = Arc::new(MemoryBlobs([("b".to_owned(), b"__AAAA__".to_vec())].into()));
    let outcome = destination.send(std::slice::from_ref(&one)).await;
    let delivered = outcome[0].clone().unwrap();
    assert_eq!(delivered.summary, "201 Binary, version 1");
    let (tenant, request) = store.requests.lock().unwrap()[0].clone();
    assert_eq!(tenant, "ward");
    assert_eq!(request.method, FhirMethod::Post);
    assert_eq!(request.target, "Binary");
    assert_eq!(request.delivery, Some(one.id.to_string()));
    assert_eq!(request.if_none_exist, None, "the store knows the delivery");
    // A token stands for what lies in the blob.
    let apart = request.apart.clone().unwrap();
    let whole = apart.tokens.extract(&request.body);
    assert_eq!(whole, one.payload);
    let read = apart.blobs.read(&whole.cuts()[0].range, 0, 9).await;
    assert_eq!(read.unwrap(), "AAAA");
    store.door.close();
    let error = destination.send(&[one]).await[0].clone().unwrap_err();
    assert_eq!((error.class, error.code), (Class::Retry, "fhir-closed"));
}

pub(crate) async fn send(destination: &dyn Destination, one: Delivery) -> hilum_component::Outcome {
    destination.send(&[one]).await.remove(0)
}

#[tokio::test]
async fn a_repeat_of_a_creation_can_be_recognised_by_a_server_elsewhere() {
    let server = Server::start().await;
    let config = json!({ "to": server.base() });
    let message = r#"{"resourceType":"Observation","status":"final"}"#;
    // The second attempt is made by a new process.
    for _ in 0..2 {
        send(&*destination("fhir", &config), delivery(7, message))
            .await
            .unwrap();
    }
    let untagged = json!({ "to": server.base(), "once": false });
    send(&*destination("fhir", &untagged), delivery(7, message))
        .await
        .unwrap();
    let received = server.receiver.lock().await.received();
    assert_eq!(received[0].line, "POST /fhir/Observation HTTP/1.1");
    assert_eq!(
        received[0].header("content-type"),
        Some("application/fhir+json")
    );
    let condition = received[0].header("if-none-exist").unwrap();
    assert_eq!(Some(condition), received[1].header("if-none-exist"));
    assert_eq!(received[0].body, received[1].body);
    let sent: Value = serde_json::from_slice(&received[0].body).unwrap();
    let code = sent["meta"]["tag"][0]["code"].as_str().unwrap();
    assert_eq!(condition, format!("_tag=urn:hilum:delivery%7C{code}"));
    assert_eq!(received[2].header("if-none-exist"), None);
    assert_eq!(received[2].body, message);
}

#[tokio::test]
async fn answers_are_understood_without_repeating_what_they_say() {
    let server = Server::start().await;
    let destination = destination("fhir", &json!({ "to": server.base() }));
    let outcome = r#"{"resourceType":"OperationOutcome","issue":[{"severity":"error","code":"transient","diagnostics":"Canary7 is away"}]}"#;
    for (status, class) in [(409, Class::Retry), (401, Class::Halt), (503, Class::Retry)] {
        server.answers(status, outcome).await;
        let error = send(&*destination, delivery(7, patient(7)))
            .await
            .unwrap_err();
        assert_eq!(error.class, class, "{status}");
        assert!(!error.message.contains("Canary"), "{error}");
        assert_eq!(error.reply.as_deref(), Some(outcome.as_bytes()));
    }
    let batch = r#"{"resourceType":"Bundle","type":"batch","entry":[]}"#;
    let answer = r#"{"resourceType":"Bundle","entry":[{"response":{"status":"404 Not Found"}}]}"#;
    server.answers(200, answer).await;
    let error = send(&*destination, delivery(8, batch)).await.unwrap_err();
    assert_eq!((error.class, error.code), (Class::Reject, "fhir-batch"));
    let error = send(&*destination, delivery(9, "MSH|^~\\&|"))
        .await
        .unwrap_err();
    assert_eq!(
        (error.class, error.code),
        (Class::Reject, "fhir-unreadable")
    );
}

#[test]
fn what_makes_no_sense_is_refused_when_the_site_is_checked() {
    let site = FakeSite::default();
    let with_store = FakeSite {
        fhir: Some(FhirStores::default()),
        ..FakeSite::default()
    };
    for (site, config, expected) in [
        (&site, json!({ "to": "local" }), "no FHIR server"),
        (
            &with_store,
            json!({ "to": "local", "tenant": "x" }),
            "no tenant `x`",
        ),
        (
            &with_store,
            json!({ "to": "local", "tls": {} }),
            "nothing is shown",
        ),
        (
            &site,
            json!({ "to": "https://x/fhir", "tenant": "x" }),
            "in the URL",
        ),
        (&site, json!({ "to": "https://x/fhir?a=b" }), "has no `?`"),
        (&site, json!({ "to": "x" }), "http://"),
        (&site, json!({}), "neither a system nor an address"),
    ] {
        let problems = destination_factory("fhir", &config, site).err().unwrap();
        assert!(
            problems[0].message.contains(expected),
            "{config}: {problems:?}"
        );
    }
    for (config, expected) in [
        (json!({ "from": "local", "types": [] }), "at least one type"),
        (
            json!({ "from": "local", "types": ["patient"] }),
            "each type",
        ),
        (
            json!({ "from": "local", "types": ["Patient"], "query": "_count=1" }),
            "criteria",
        ),
        (
            json!({ "from": "local", "types": ["Patient"], "start": "then" }),
            "`beginning`",
        ),
        (
            json!({ "from": "local", "types": ["Patient"], "page": 0 }),
            "1 to 1000",
        ),
    ] {
        let problems = source_factory("fhir", &config, &with_store).err().unwrap();
        assert!(
            problems[0].message.contains(expected),
            "{config}: {problems:?}"
        );
    }
}
