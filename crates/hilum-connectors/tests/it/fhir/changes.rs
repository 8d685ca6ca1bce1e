//! The source of changes of a FHIR store, elsewhere and of the node.

use std::net::SocketAddr;
use std::sync::{Arc, Mutex as Plain};
use std::time::Duration;

use bytes::Bytes;
use hilum_component::conformance::{FakeIntake, FakeSite, Said, SourceRig, check_source};
use hilum_component::{
    Arrival, BlobWriter, BoxFuture, Disposition, FhirInteraction, Intake, IntakePort, Partial,
    Peer, Reply, Source, SourceError, Stop,
};
use hilum_testkit::http::HttpClient;
use hilum_testkit::wait;
use serde_json::json;

use crate::{Running, source, source_factory};

use super::{Server, Store, patient};

/// A page of a search with these resources.
fn page(resources: &[Bytes], next: Option<&str>) -> String {
    let entries: Vec<String> = resources
        .iter()
        .map(|resource| {
            format!(
                "{{\"resource\":{}}}",
                std::str::from_utf8(resource).unwrap()
            )
        })
        .collect();
    let link = next.map_or(String::new(), |next| {
        format!(r#""link":[{{"relation":"next","url":"{next}"}}],"#)
    });
    format!(
        r#"{{"resourceType":"Bundle",{link}"entry":[{}]}}"#,
        entries.join(",")
    )
}

fn version(id: &str, version: u64, second: u64) -> Bytes {
    format!(
        r#"{{"resourceType":"Patient", "id":"{id}","meta":{{"versionId":"{version}","lastUpdated":"2026-01-01T00:{:02}:{:02}.000+01:00"}}}}"#,
        second / 60,
        second % 60
    )
    .into()
}

/// Plays the server of a source: what is sent is what the search finds.
struct Changes {
    server: Server,
    taken: Arc<Plain<Vec<(Bytes, Disposition)>>>,
}

/// A source whose intake is watched: nothing else tells the peer what became of a message.
struct Watched {
    inner: Box<dyn Source>,
    taken: Arc<Plain<Vec<(Bytes, Disposition)>>>,
}

struct WatchedIntake {
    inner: Intake,
    taken: Arc<Plain<Vec<(Bytes, Disposition)>>>,
}

impl Source for Watched {
    fn open(&mut self) -> BoxFuture<'_, Result<Option<String>, SourceError>> {
        self.inner.open()
    }

    fn run<'a>(&'a mut self, intake: Intake, stop: Stop) -> BoxFuture<'a, Result<(), SourceError>> {
        let watched = WatchedIntake {
            inner: intake,
            taken: Arc::clone(&self.taken),
        };
        self.inner.run(Intake::new(Arc::new(watched)), stop)
    }
}

impl IntakePort for WatchedIntake {
    fn take(&self, arrival: Arrival) -> BoxFuture<'_, Reply> {
        Box::pin(async move {
            let bytes = arrival.payload.text().clone();
            let reply = self.inner.take(arrival).await;
            self.taken.lock().unwrap().push((bytes, reply.disposition));
            reply
        })
    }
    fn record_junk(&self, bytes: Bytes, total: u64, peer: Peer) -> BoxFuture<'_, ()> {
        Box::pin(self.inner.record_junk(bytes, total, peer))
    }
    fn refuse(&self, partial: Partial) -> BoxFuture<'_, Reply> {
        Box::pin(self.inner.refuse(partial))
    }
    fn blob(&self) -> BoxFuture<'_, std::io::Result<Box<dyn BlobWriter>>> {
        Box::pin(self.inner.blob())
    }
    fn ends_attachment(&self, byte: u8) -> bool {
        self.inner.ends_attachment(byte)
    }
    fn remember<'a>(&'a self, key: &'a str, value: Bytes) -> BoxFuture<'a, std::io::Result<()>> {
        Box::pin(self.inner.remember(key, value))
    }
    fn recall<'a>(&'a self, key: &'a str) -> BoxFuture<'a, Option<Bytes>> {
        Box::pin(self.inner.recall(key))
    }
    fn now_ms(&self) -> u64 {
        self.inner.now_ms()
    }
}

impl SourceRig for Changes {
    fn source(&self) -> Box<dyn Source> {
        let config = json!({ "from": self.server.base(), "types": ["Patient"], "every": "5ms", "start": "beginning" });
        Box::new(Watched {
            inner: source("fhir", &config),
            taken: Arc::clone(&self.taken),
        })
    }

    fn message(&self, number: u64) -> Bytes {
        version(&format!("p{number}"), 1, number)
    }

    fn send<'a>(
        &'a self,
        _address: Option<&'a str>,
        messages: Vec<Bytes>,
    ) -> BoxFuture<'a, Vec<Said>> {
        Box::pin(async move {
            self.server.answers(200, &page(&messages, None)).await;
            let of = |message: &Bytes| {
                let taken = self.taken.lock().unwrap();
                let found = taken.iter().find(|(bytes, _)| bytes == message);
                found.map(|(_, disposition)| disposition.is_positive())
            };
            wait::until("the messages are taken", || {
                messages.iter().all(|one| of(one).is_some())
            })
            .await;
            // The next source begins anew and must not find them again.
            self.server.answers(200, &page(&[], None)).await;
            let said = |one: &Bytes| match of(one) {
                Some(true) => Said::Yes,
                Some(false) | None => Said::Nothing,
            };
            messages.iter().map(said).collect()
        })
    }

    fn send_and_vanish<'a>(
        &'a self,
        _address: Option<&'a str>,
        message: Bytes,
    ) -> BoxFuture<'a, ()> {
        Box::pin(async move { self.server.answers(200, &page(&[message], None)).await })
    }

    fn says_no(&self) -> bool {
        false
    }
}

#[tokio::test]
async fn the_source_keeps_the_contract() {
    let server = Server::start().await;
    server.answers(200, &page(&[], None)).await;
    let taken = Arc::default();
    check_source(&Changes { server, taken }).await;
}

#[tokio::test]
async fn each_change_of_a_store_of_the_node_comes_once_and_as_soon_as_it_is_there() {
    use FhirInteraction::{Create, Delete, Update};
    let store = Store::open();
    let config = json!({ "from": "local", "tenant": "ward", "types": ["Patient"], "every": "1h",
        "on": ["create", "delete"], "start": "beginning", "page": 2 });
    for interaction in [Create, Update, Update, Delete] {
        store.change(interaction);
    }
    let intake = FakeIntake::new();
    // The second one is not recorded at first.
    intake.respond(|number, _| {
        let disposition = match number {
            2 => Disposition::Failed,
            _ => Disposition::Accepted,
        };
        FakeIntake::reply(number, disposition, b"")
    });
    let running = Running::start(store.source(&config), Arc::clone(&intake)).await;
    assert_eq!(running.address, "local/ward");
    intake.wait_for(3).await;
    store.change(Create);
    intake.wait_for(4).await;
    running.stop().await;
    store.change(Delete);
    let running = Running::start(store.source(&config), Arc::clone(&intake)).await;
    intake.wait_for(5).await;
    running.stop().await;
    let deletion = r#"{"resourceType":"Bundle","type":"transaction","entry":[{"request":{"method":"DELETE","url":"Patient/p"}}]}"#;
    let deletion = deletion.as_bytes().to_vec();
    let found = intake.contents();
    let expected = [
        patient(1).to_vec(),
        deletion.clone(),
        deletion.clone(),
        patient(5).to_vec(),
        deletion,
    ];
    assert_eq!(found, expected);

    let wrong =
        json!({ "from": "local", "tenant": "ward", "types": ["Patient"], "query": "unknown=1" });
    let refused = store.source(&wrong).open().await.unwrap_err();
    assert!(
        !refused.retry && refused.message.contains("no such parameter"),
        "{refused}"
    );
    let site = store.site();
    for (config, key) in [
        (
            json!({ "from": "http://127.0.0.1:1/fhir", "types": ["Patient"], "on": ["delete"] }),
            "on",
        ),
        (
            json!({ "from": "local", "types": ["Patient"], "on": [] }),
            "on",
        ),
        (
            json!({ "from": "local", "types": ["Patient"], "notifications": { "listen": "0" } }),
            "notifications",
        ),
    ] {
        let problems = source_factory("fhir", &config, &site).err().unwrap();
        assert!(
            problems.iter().any(|problem| problem.key == [key]),
            "{problems:?}"
        );
    }
}

#[tokio::test]
async fn each_version_comes_once_and_the_cursor_outlives_the_source() {
    let server = Server::start().await;
    let config = json!({ "from": server.base(), "types": ["Patient"], "every": "5ms", "start": "2025-12-31T22:00:00Z", "overlap": "10s", "query": "active=true" });
    let first = [version("a", 1, 30), version("b", 1, 30)];
    server.answers(200, &page(&first, None)).await;
    let intake = FakeIntake::new();
    let running = Running::start(source("fhir", &config), Arc::clone(&intake)).await;
    intake.wait_for(2).await;
    let looks = async || server.receiver.lock().await.received().len();
    let before = looks().await;
    while looks().await < before + 2 {
        tokio::time::sleep(Duration::from_millis(2)).await;
    }
    running.stop().await;
    assert_eq!(
        intake.contents(),
        first.each_ref().map(|bytes| bytes.to_vec())
    );
    let lines: Vec<String> = server
        .receiver
        .lock()
        .await
        .received()
        .into_iter()
        .map(|one| one.line)
        .collect();
    assert!(lines[0].contains("/fhir/Patient?_sort=_lastUpdated&_count=50&_lastUpdated=ge2025-12-31T22:00:00.000Z&active=true "), "{}", lines[0]);
    assert!(
        lines[1].contains("ge2025-12-31T23:00:20.000Z"),
        "{}",
        lines[1]
    );
    // Late, and of the very time of one that was seen.
    let later = [
        version("c", 1, 25),
        version("a", 1, 30),
        version("b", 1, 30),
        version("d", 1, 30),
        version("a", 2, 31),
    ];
    server.answers(200, &page(&later, None)).await;
    let running = Running::start(source("fhir", &config), Arc::clone(&intake)).await;
    intake.wait_for(5).await;
    running.stop().await;
    let found: Vec<Vec<u8>> = intake.contents().split_off(2);
    let new = [&later[0], &later[3], &later[4]].map(|bytes| bytes.to_vec());
    assert_eq!(found, new);
}

#[tokio::test]
async fn a_change_that_is_not_recorded_is_looked_for_again() {
    let server = Server::start().await;
    let config = json!({ "from": server.base(), "types": ["Patient"], "every": "5ms", "start": "beginning" });
    server
        .answers(200, &page(&[version("a", 1, 1), version("b", 1, 2)], None))
        .await;
    let intake = FakeIntake::new();
    intake.respond(|number, _| {
        let disposition = if number == 2 {
            Disposition::Failed
        } else {
            Disposition::Accepted
        };
        FakeIntake::reply(number, disposition, b"")
    });
    let running = Running::start(source("fhir", &config), Arc::clone(&intake)).await;
    intake.wait_for(3).await;
    running.stop().await;
    let contents = intake.contents();
    assert_eq!(contents.len(), 3);
    assert_eq!(
        contents[1], contents[2],
        "what failed comes again, what was taken does not"
    );
}

#[tokio::test]
async fn pages_are_followed_on_the_same_server_only() {
    let server = Server::start().await;
    let config = json!({ "from": server.base(), "types": ["Patient"], "every": "5ms", "start": "beginning" });
    let next = format!("{}/Patient?page=2", server.base());
    server
        .answers(200, &page(&[version("a", 1, 1)], Some(&next)))
        .await;
    let intake = FakeIntake::new();
    let running = Running::start(source("fhir", &config), Arc::clone(&intake)).await;
    let second = async || {
        let received = server.receiver.lock().await.received();
        received
            .iter()
            .any(|one| one.line.starts_with("GET /fhir/Patient?page=2 "))
    };
    while !second().await {
        tokio::time::sleep(Duration::from_millis(2)).await;
    }
    server
        .answers(
            200,
            &page(
                &[version("b", 1, 2)],
                Some("http://elsewhere.example/Patient?page=3"),
            ),
        )
        .await;
    intake.wait_for(2).await;
    for (status, body) in [
        (200, "<Bundle/>"),
        (500, ""),
        (200, "{\"entry\":[{\"resource\":{}}]}"),
    ] {
        server.answers(status, body).await;
        let before = server.receiver.lock().await.received().len();
        while server.receiver.lock().await.received().len() < before + 2 {
            tokio::time::sleep(Duration::from_millis(2)).await;
        }
    }
    assert!(!running.task.is_finished(), "a failed look is made again");
    running.stop().await;
}

#[tokio::test]
async fn a_call_of_a_subscription_is_followed_by_a_look() {
    let server = Server::start().await;
    server.answers(200, &page(&[], None)).await;
    let mut site = FakeSite::default();
    site.secrets
        .insert("env:KEY".to_owned(), "sesame".to_owned());
    let config = json!({ "from": server.base(), "types": ["Patient"], "every": "1h", "start": "beginning",
        "notifications": { "listen": "0", "path": "/hook", "key": { "secret": "env:KEY" } } });
    let intake = FakeIntake::new();
    let factory = source_factory("fhir", &config, &site).unwrap();
    let running = Running::start(factory(), Arc::clone(&intake)).await;
    let address = running.address.strip_prefix("http://").unwrap();
    let address: SocketAddr = address.strip_suffix("/hook").unwrap().parse().unwrap();
    while server.receiver.lock().await.received().is_empty() {
        tokio::time::sleep(Duration::from_millis(2)).await;
    }
    server
        .answers(200, &page(&[version("a", 1, 1)], None))
        .await;
    let mut client = HttpClient::connect(address).await.unwrap();
    let refused = client.exchange("POST /hook", &[], b"").await.unwrap();
    assert_eq!(refused.status(), Some(401));
    let mut client = HttpClient::connect(address).await.unwrap();
    let key = [("x-api-key", "sesame")];
    let bundle = br#"{"resourceType":"Bundle","type":"history"}"#;
    for (body, count) in [(&b""[..], 1), (bundle, 2)] {
        let answer = client.exchange("POST /hook", &key, body).await.unwrap();
        assert_eq!(answer.status(), Some(200));
        intake.wait_for(count).await;
        let next = [version("a", 1, 1), version("a", 2, 2)];
        server.answers(200, &page(&next, None)).await;
    }
    running.stop().await;
    let found = [version("a", 1, 1), version("a", 2, 2)].map(|bytes| bytes.to_vec());
    assert_eq!(intake.contents(), found, "calls are no messages");
    let wrong = json!({ "from": server.base(), "types": ["Patient"], "notifications": { "listen": "0.0.0.0:1" } });
    let problems = source_factory("fhir", &wrong, &site).err().unwrap();
    assert_eq!(problems[0].key, ["notifications"]);
}
