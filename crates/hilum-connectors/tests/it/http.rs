//! HTTP: the suite, who may call, limits, shared listeners, statuses, peers that fail.

use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use hilum_component::conformance::{
    DestinationRig, FakeIntake, FakeSite, MemoryBlobs, PeerMood, Said, SourceRig,
    check_destination, check_source, delivery,
};
use hilum_component::{BoxFuture, Class, Delivery, Destination, Disposition, Source};
use hilum_message::{BlobRange, BlobRef, Cut, Payload};
use hilum_testkit::certificates::Authority;
use hilum_testkit::http::{HttpClient, HttpMessage, HttpReaction, HttpReceiver};
use hilum_testkit::messages::{Event, Synthetic};
use hilum_testkit::wait;
use serde_json::{Value, json};
use tokio::sync::Mutex;

use crate::{Running, destination, destination_factory, source, source_factory};

fn message(number: u64) -> Bytes {
    Synthetic::new(Event::Admit, number, number).build().into()
}

/// `http://127.0.0.1:1234/path` to the address.
fn socket(address: &str) -> SocketAddr {
    let authority = address
        .split("//")
        .nth(1)
        .unwrap()
        .split('/')
        .next()
        .unwrap();
    authority.parse().unwrap()
}

async fn client(running: &Running) -> HttpClient {
    HttpClient::connect(socket(&running.address)).await.unwrap()
}

fn said(response: std::io::Result<HttpMessage>) -> Said {
    match response.map(|response| response.status().unwrap()) {
        Ok(200..=299) => Said::Yes,
        Ok(_) => Said::No,
        Err(_) => Said::Nothing,
    }
}

struct Callers;

impl SourceRig for Callers {
    fn source(&self) -> Box<dyn Source> {
        source("http", &json!({ "listen": "0", "path": "/in" }))
    }

    fn message(&self, number: u64) -> Bytes {
        message(number)
    }

    fn send<'a>(
        &'a self,
        address: Option<&'a str>,
        messages: Vec<Bytes>,
    ) -> BoxFuture<'a, Vec<Said>> {
        Box::pin(async move {
            let mut client = HttpClient::connect(socket(address.unwrap())).await.unwrap();
            let mut all = Vec::new();
            for message in messages {
                all.push(said(client.exchange("POST /in", &[], &message).await));
            }
            all
        })
    }

    fn send_and_vanish<'a>(
        &'a self,
        address: Option<&'a str>,
        message: Bytes,
    ) -> BoxFuture<'a, ()> {
        Box::pin(async move {
            let mut client = HttpClient::connect(socket(address.unwrap())).await.unwrap();
            client.send("POST /in", &[], &message).await.unwrap();
            // The request must be read before the connection ends, or nothing was sent.
            tokio::time::sleep(Duration::from_millis(100)).await;
        })
    }
}

#[tokio::test]
async fn the_source_keeps_the_contract() {
    check_source(&Callers).await;
}

struct Called {
    receiver: Mutex<HttpReceiver>,
    address: SocketAddr,
}

impl DestinationRig for Called {
    fn destination(&self) -> Arc<dyn Destination> {
        let url = format!("http://{}/in", self.address);
        destination("http", &json!({ "url": url, "answer-within": "1s" }))
    }

    fn message(&self, number: u64) -> Bytes {
        message(number)
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
            self.receiver
                .lock()
                .await
                .received()
                .into_iter()
                .map(|one| one.body)
                .collect()
        })
    }
}

#[tokio::test]
async fn the_destination_keeps_the_contract() {
    let receiver = HttpReceiver::start().await.unwrap();
    let address = receiver.address();
    check_destination(&Called {
        receiver: Mutex::new(receiver),
        address,
    })
    .await;
}

#[tokio::test]
async fn statuses_and_bodies_say_what_became_of_a_message() {
    let running = Running::start(
        source("http", &json!({ "listen": "0", "answer": "json" })),
        FakeIntake::new(),
    )
    .await;
    let mut client = client(&running).await;
    for (disposition, status) in [
        (Disposition::Accepted, 200),
        (Disposition::Filtered, 200),
        (Disposition::Held, 202),
        (Disposition::Refused, 422),
        (Disposition::Rejected, 422),
        (Disposition::Failed, 503),
    ] {
        running
            .intake
            .respond(move |number, _| FakeIntake::reply(number, disposition, b"format"));
        let response = client.exchange("POST /", &[], b"x").await.unwrap();
        assert_eq!(response.status(), Some(status), "{disposition:?}");
        let body: Value = serde_json::from_slice(&response.body).unwrap();
        assert_eq!(body["disposition"], disposition.word());
        assert!(body["id"].is_string());
        assert_eq!(response.header("retry-after").is_some(), status == 503);
    }
    running.stop().await;
    let running =
        Running::start(source("http", &json!({ "listen": "0" })), FakeIntake::new()).await;
    let mut client = self::client(&running).await;
    assert_eq!(
        client.exchange("POST /", &[], b"x").await.unwrap().body,
        b"yes"[..]
    );
    running.stop().await;
}

#[tokio::test]
async fn a_caller_is_known_before_the_body_is_read() {
    let mut site = FakeSite::default();
    site.secrets
        .insert("env:KEY".to_owned(), "open sesame".to_owned());
    site.secrets
        .insert("env:PASSWORD".to_owned(), "w0rd".to_owned());
    let config = json!({
        "listen": "0", "path": "/in",
        "key": { "secret": "env:KEY" }, "basic": { "user": "lis", "password": "env:PASSWORD" },
    });
    let running = Running::start(
        source_factory("http", &config, &site).unwrap()(),
        FakeIntake::new(),
    )
    .await;
    let good = [
        ("x-api-key", "open sesame"),
        ("authorization", "Basic bGlzOncwcmQ="),
    ];
    for headers in [
        &[][..],
        &good[..1],
        &good[1..],
        &[("x-api-key", "open"), good[1]],
    ] {
        let mut client = client(&running).await;
        // The body never comes: the answer does not wait for it.
        let mut request = "POST /in HTTP/1.1\r\nhost: x\r\ncontent-length: 1000\r\n".to_owned();
        for (name, value) in headers {
            request.push_str(&format!("{name}: {value}\r\n"));
        }
        client
            .send_raw(format!("{request}\r\n").as_bytes())
            .await
            .unwrap();
        let response = client.receive().await.unwrap().unwrap();
        assert_eq!(response.status(), Some(401));
        assert!(
            response
                .header("www-authenticate")
                .unwrap()
                .starts_with("Basic")
        );
    }
    let mut client = client(&running).await;
    assert_eq!(
        client
            .exchange("POST /in", &good, b"x")
            .await
            .unwrap()
            .status(),
        Some(200)
    );
    assert_eq!(running.intake.arrivals().len(), 1);
    running.stop().await;
}

#[tokio::test]
async fn what_cannot_be_taken_is_refused_with_its_status() {
    let config = json!({ "listen": "0", "path": "/in", "body-max": "1kB", "read-within": "200ms" });
    let running = Running::start(source("http", &config), FakeIntake::new()).await;
    let status = async |line: &str, headers: &[(&str, &str)], body: &[u8]| {
        client(&running)
            .await
            .exchange(line, headers, body)
            .await
            .unwrap()
            .status()
            .unwrap()
    };
    assert_eq!(status("POST /elsewhere", &[], b"x").await, 404);
    assert_eq!(status("GET /in", &[], b"").await, 405);
    assert_eq!(
        status("POST /in", &[("content-encoding", "gzip")], b"x").await,
        415
    );
    assert_eq!(status("POST /in", &[], &[b'x'; 1000]).await, 200);
    assert_eq!(status("POST /in", &[], &[b'x'; 1001]).await, 413);
    let mut chunked = client(&running).await;
    let head = "POST /in HTTP/1.1\r\nhost: x\r\ntransfer-encoding: chunked\r\n\r\n3e9\r\n";
    chunked.send_raw(head.as_bytes()).await.unwrap();
    chunked.send_raw(&[b'y'; 1001]).await.unwrap();
    assert_eq!(
        chunked.receive().await.unwrap().unwrap().status(),
        Some(413)
    );
    let mut slow = client(&running).await;
    slow.send_raw(b"POST /in HTTP/1.1\r\nhost: x\r\ncontent-length: 5\r\n\r\nab")
        .await
        .unwrap();
    let response = wait::within("the time-out", slow.receive())
        .await
        .unwrap()
        .unwrap();
    assert_eq!(response.status(), Some(408));
    assert_eq!(running.intake.arrivals().len(), 1);
    let refused = running.intake.refused();
    let sizes = refused.iter().map(|partial| partial.first.len());
    assert!(sizes.eq([1001, 1001]), "the beginnings are recorded");
    running.stop().await;
}

#[tokio::test]
async fn a_body_that_is_announced_too_large_is_refused_with_a_clear_answer() {
    let config = json!({ "listen": "0", "body-max": "700kB", "answer": "json" });
    let running = Running::start(source("http", &config), FakeIntake::new()).await;
    let mut head = client(&running).await;
    let announced =
        b"POST / HTTP/1.1\r\nhost: x\r\nexpect: 100-continue\r\ncontent-length: 700001\r\n\r\n";
    head.send_raw(announced).await.unwrap();
    let response = head.receive().await.unwrap().unwrap();
    assert_eq!(response.status(), Some(413), "the body is not asked for");
    // Who sends it all the same reads the answer after it.
    let mut whole = client(&running).await;
    let response = whole.exchange("POST /", &[], &vec![b'x'; 700_001]).await;
    let response = response.unwrap();
    assert_eq!(response.status(), Some(413));
    let body: Value = serde_json::from_slice(&response.body).unwrap();
    assert_eq!(body["disposition"], "rejected");
    let reason = "the message exceeds `body-max`, 700000 bytes";
    assert_eq!(body["reason"], reason);
    let refused = running.intake.refused();
    let sizes = refused.iter().map(|one| (one.first.len(), one.total));
    assert!(sizes.eq([(0, 700_001), (4096, 700_001)]), "{refused:?}");
    running.stop().await;
}

#[tokio::test]
async fn a_full_disk_is_507_and_the_source_goes_on_when_there_is_room() {
    let running =
        Running::start(source("http", &json!({ "listen": "0" })), FakeIntake::new()).await;
    running.intake.fill_disk();
    let large = vec![b'x'; 700_000];
    let response = client(&running).await.exchange("POST /", &[], &large).await;
    assert_eq!(response.unwrap().status(), Some(507));
    assert!(running.intake.arrivals().is_empty());
    running.intake.clear_disk();
    let response = client(&running).await.exchange("POST /", &[], &large).await;
    assert_eq!(response.unwrap().status(), Some(200));
    running.stop().await;
}

#[tokio::test]
async fn headers_beyond_the_limit_are_431_and_other_connections_go_on() {
    let config = json!({ "listen": "0", "connections": 2 });
    let running = Running::start(source("http", &config), FakeIntake::new()).await;
    let mut kept = client(&running).await;
    let fits = "x".repeat(8_000);
    let response = kept.exchange("POST /", &[("x-long", &fits)], b"a").await;
    assert_eq!(response.unwrap().status(), Some(200));
    let names: Vec<String> = (0..100).map(|number| format!("x-{number}")).collect();
    let many: Vec<_> = names.iter().map(|name| (name.as_str(), "x")).collect();
    let mut greedy = client(&running).await;
    let answer = greedy.exchange("POST /", &many, b"b").await.unwrap();
    assert_eq!(
        answer.status(),
        Some(431),
        "100 beside those of the protocol"
    );
    let mut greedy = client(&running).await;
    let long = "x".repeat(600_000);
    let answer = greedy.exchange("POST /", &[("x-long", &long)], b"b").await;
    // A peer that is cut off while it sends may lose the answer.
    assert!(answer.map_or(true, |answer| answer.status() == Some(431)));
    let response = kept.exchange("POST /", &[], b"c").await.unwrap();
    assert_eq!(response.status(), Some(200));
    assert_eq!(running.intake.contents(), [b"a", b"c"]);
    running.stop().await;
}

#[tokio::test(start_paused = true)]
async fn a_caller_whose_headers_do_not_end_is_closed() {
    let running =
        Running::start(source("http", &json!({ "listen": "0" })), FakeIntake::new()).await;
    let mut slow = client(&running).await;
    slow.send_raw(b"POST / HTTP/1.1\r\nhost: x\r\n")
        .await
        .unwrap();
    let closed = slow.receive().await;
    let answered = closed.ok().flatten().and_then(|answer| answer.status());
    assert!(matches!(answered, None | Some(408)), "{answered:?}");
    assert!(running.intake.arrivals().is_empty());
    running.stop().await;
}

#[tokio::test]
async fn a_connection_over_the_limit_is_closed_and_the_others_go_on() {
    let config = json!({ "listen": "0", "connections": 1 });
    let running = Running::start(source("http", &config), FakeIntake::new()).await;
    let mut first = client(&running).await;
    first.exchange("POST /", &[], b"a").await.unwrap();
    let mut second = client(&running).await;
    let answer = second.exchange("POST /", &[], b"b").await;
    assert!(answer.is_err(), "one connection is open");
    first.exchange("POST /", &[], b"c").await.unwrap();
    assert_eq!(running.intake.contents(), [b"a", b"c"]);
    running.stop().await;
}

#[tokio::test]
async fn headers_and_query_become_metadata_and_large_bodies_blobs() {
    let config = json!({ "listen": "0", "metadata": { "origin": "header:x-origin", "run": "query:run", "none": "query:none" } });
    let running = Running::start(source("http", &config), FakeIntake::new()).await;
    let mut client = client(&running).await;
    let large = vec![b'A'; 600_000];
    let response = client
        .exchange("POST /?run=a%20b&x=1", &[("X-Origin", "ward 3")], &large)
        .await;
    assert_eq!(response.unwrap().status(), Some(200));
    let arrival = running.intake.arrivals().remove(0);
    assert_eq!(arrival.metadata.get("origin"), Some("ward 3"));
    assert_eq!(arrival.metadata.get("run"), Some("a b"));
    assert_eq!(arrival.metadata.get("none"), None);
    assert_eq!(arrival.payload.cuts().len(), 1);
    assert!(running.intake.contents()[0] == large);
    running.intake.fill_disk();
    assert_eq!(
        client
            .exchange("POST /", &[], &large)
            .await
            .unwrap()
            .status(),
        Some(507)
    );
    running.stop().await;
}

#[tokio::test]
async fn sources_share_a_listener_by_path() {
    let port = hilum_testkit::ports::free_port().unwrap();
    let at = |path: &str| json!({ "listen": format!("127.0.0.1:{port}"), "path": path });
    let one = Running::start(source("http", &at("/one")), FakeIntake::new()).await;
    let two = Running::start(source("http", &at("/two")), FakeIntake::new()).await;
    let mut again = source("http", &at("/two"));
    let error = again.open().await.unwrap_err();
    assert!(
        error.message.contains("another source takes /two"),
        "{error}"
    );
    let mut other = at("/three");
    other["connections"] = json!(7);
    let error = source("http", &other).open().await.unwrap_err();
    assert!(error.message.contains("with other settings"), "{error}");

    let mut client = client(&one).await;
    assert_eq!(
        client
            .exchange("POST /one", &[], b"1")
            .await
            .unwrap()
            .status(),
        Some(200)
    );
    assert_eq!(
        client
            .exchange("POST /two", &[], b"2")
            .await
            .unwrap()
            .status(),
        Some(200)
    );
    assert_eq!(
        (one.intake.contents(), two.intake.contents()),
        (vec![b"1".to_vec()], vec![b"2".to_vec()])
    );
    one.stop().await;
    // The other path is still served on the same connection.
    assert_eq!(
        client
            .exchange("POST /two", &[], b"3")
            .await
            .unwrap()
            .status(),
        Some(200)
    );
    assert_eq!(
        client
            .exchange("POST /one", &[], b"4")
            .await
            .unwrap()
            .status(),
        Some(404)
    );
    two.stop().await;
    assert!(
        HttpClient::connect(SocketAddr::from(([127, 0, 0, 1], port)))
            .await
            .is_err()
    );
}

#[test]
fn an_open_door_must_be_said_aloud() {
    let site = FakeSite::default();
    let problems = source_factory("http", &json!({ "listen": "0.0.0.0:0" }), &site)
        .err()
        .unwrap();
    assert!(
        problems[0].message.contains("nothing says who may call"),
        "{problems:?}"
    );
    for more in [
        json!({ "anyone": true }),
        json!({ "allow": ["10.0.0.0/8"] }),
    ] {
        let mut config = json!({ "listen": "0.0.0.0:0" });
        config
            .as_object_mut()
            .unwrap()
            .extend(more.as_object().unwrap().clone());
        assert!(source_factory("http", &config, &site).is_ok(), "{config}");
    }
    let check = |config: Value, key: &[&str]| {
        let problems = source_factory("http", &config, &site).err().unwrap();
        assert!(
            problems.iter().any(|problem| problem.key == key),
            "{config}: {problems:?}"
        );
    };
    check(json!({ "listen": "0", "path": "in" }), &["path"]);
    check(
        json!({ "listen": "0", "metadata": { "a": "cookie:x" } }),
        &["metadata", "a"],
    );
    check(
        json!({ "listen": "0", "key": { "secret": "env:ABSENT" } }),
        &["key", "secret"],
    );
}

async fn send(to: &dyn Destination, number: u64) -> hilum_component::Outcome {
    to.send(&[delivery(number, message(number))])
        .await
        .remove(0)
}

fn url(receiver: &HttpReceiver) -> String {
    format!("http://{}/in?key=hidden", receiver.address())
}

#[tokio::test]
async fn a_request_carries_what_is_configured_and_no_address_shows_a_query() {
    let receiver = HttpReceiver::start().await.unwrap();
    let mut site = FakeSite::default();
    site.secrets
        .insert("env:TOKEN".to_owned(), "t0ken".to_owned());
    let config = json!({
        "url": url(&receiver), "method": "put", "bearer": "env:TOKEN",
        "headers": { "x-site": "st-elsewhere", "x-ward": "ward {meta.ward} of {channel}" },
    });
    let to = destination_factory("http", &config, &site).unwrap()();
    assert_eq!(to.address(), format!("http://{}/in", receiver.address()));
    let mut one = delivery(1, message(1));
    one.metadata.set("ward", "W3");
    for _ in 0..3 {
        to.send(std::slice::from_ref(&one)).await.remove(0).unwrap();
    }
    assert_eq!(receiver.connections(), 1);
    let request = receiver.received().remove(2);
    assert_eq!(request.line, "PUT /in?key=hidden HTTP/1.1");
    assert_eq!(request.header("authorization"), Some("Bearer t0ken"));
    assert_eq!(request.header("x-ward"), Some("ward W3 of test"));
    assert_eq!(
        request.header("content-type"),
        Some("application/octet-stream")
    );
    assert_eq!(
        request.header("x-hilum-delivery"),
        Some(one.id.to_string().as_str())
    );
    assert_eq!(request.body, message(1));
    one.metadata.set("ward", "W\r\nx-evil: 1");
    let error = to.send(&[one]).await.remove(0).unwrap_err();
    assert_eq!((error.class, error.code), (Class::Reject, "http-header"));
}

#[tokio::test]
async fn each_status_and_failure_has_its_class() {
    let receiver = HttpReceiver::start().await.unwrap();
    let config = json!({
        "url": url(&receiver), "answer-within": "250ms", "status": { "409": "delivered", "5xx": "reject", "503": "retry" },
    });
    let to = destination("http", &config);
    let cases = [
        (HttpReaction::status(404), Class::Reject, "http-4xx"),
        (
            HttpReaction::status(401),
            Class::Halt,
            "http-not-authorised",
        ),
        (
            HttpReaction::status(403),
            Class::Halt,
            "http-not-authorised",
        ),
        (HttpReaction::status(408), Class::Retry, "http-later"),
        (HttpReaction::status(302), Class::Halt, "http-redirect"),
        (HttpReaction::status(500), Class::Reject, "http-5xx"),
        (HttpReaction::status(503), Class::Retry, "http-5xx"),
        (HttpReaction::Nothing, Class::Retry, "answer-timeout"),
        (
            HttpReaction::After(Duration::from_secs(5)),
            Class::Retry,
            "answer-timeout",
        ),
        (HttpReaction::Close, Class::Retry, "connection-closed"),
        (HttpReaction::Reset, Class::Retry, "connection-closed"),
        (
            HttpReaction::Raw(b"HTTP/1.1 2".to_vec()),
            Class::Retry,
            "connection-closed",
        ),
        (
            HttpReaction::Raw(b"\x0bMSH|^~\\&|\x1c\r".to_vec()),
            Class::Halt,
            "http-unreadable",
        ),
    ];
    for (reaction, class, code) in cases {
        receiver.react(reaction.clone());
        let error = send(&*to, 1).await.expect_err(code);
        assert_eq!(
            (error.class, error.code),
            (class, code),
            "{reaction:?}: {error}"
        );
        assert!(!error.message.contains("hidden"), "{error}");
        receiver.react(HttpReaction::status(409));
        assert_eq!(send(&*to, 2).await.unwrap().summary, "409");
    }
    receiver.react(HttpReaction::Status(
        429,
        vec![("retry-after", "7".to_owned())],
        Bytes::new(),
    ));
    let error = send(&*to, 3).await.unwrap_err();
    assert_eq!(error.hint.as_deref(), Some("the peer asks to wait: 7 s"));
    receiver.react(HttpReaction::Status(
        200,
        Vec::new(),
        Bytes::from(vec![b'x'; 1_000_001]),
    ));
    assert_eq!(send(&*to, 4).await.unwrap().reply, None);
    receiver.react(HttpReaction::Status(
        200,
        Vec::new(),
        Bytes::from_static(b"thanks"),
    ));
    assert_eq!(send(&*to, 5).await.unwrap().reply.unwrap(), b"thanks"[..]);
}

#[tokio::test]
async fn blobs_are_streamed_and_a_broken_one_is_tried_again() {
    let receiver = HttpReceiver::start().await.unwrap();
    let to = destination("http", &json!({ "url": url(&receiver) }));
    let blob = BlobRef {
        partition: "p".into(),
        name: "b".into(),
    };
    let range = BlobRange {
        blob,
        offset: 0,
        length: 300_000,
    };
    let large = |bytes: usize| Delivery {
        payload: Payload::with_cuts(
            Bytes::from_static(b"head-tail"),
            vec![Cut {
                at: 5,
                range: range.clone(),
            }],
        ),
        blobs: Arc::new(MemoryBlobs([("b".to_owned(), vec![b'A'; bytes])].into())),
        ..delivery(1, &b""[..])
    };
    to.send(&[large(300_000)]).await.remove(0).unwrap();
    let request = receiver.received().remove(0);
    assert_eq!(request.header("content-length"), Some("300009"));
    assert!(request.body == [b"head-".to_vec(), vec![b'A'; 300_000], b"tail".to_vec()].concat());
    assert_eq!(
        to.send(&[large(1000)]).await.remove(0).unwrap_err().class,
        Class::Retry
    );
    assert_eq!(receiver.received().len(), 1);
}

#[tokio::test]
async fn tls_is_verified_from_source_to_destination() {
    let folder = tempfile::tempdir().unwrap();
    let authority = Authority::new(folder.path(), "ca").unwrap();
    authority.sign("hub", &["localhost"]).unwrap();
    Authority::new(folder.path(), "other").unwrap();
    let site = FakeSite {
        folder: folder.path().to_path_buf(),
        ..FakeSite::default()
    };
    let listen = json!({ "listen": "0", "tls": { "certificate": "hub.crt", "key": "hub.key" } });
    let running = Running::start(
        source_factory("http", &listen, &site).unwrap()(),
        FakeIntake::new(),
    )
    .await;
    let port = socket(&running.address).port();
    let to = |ca: &str| {
        let config = json!({ "url": format!("https://localhost:{port}/"), "tls": { "ca": ca } });
        destination_factory("http", &config, &site).unwrap()()
    };
    send(&*to("ca.pem"), 1).await.unwrap();
    let error = send(&*to("other.pem"), 2).await.unwrap_err();
    assert_eq!((error.class, error.code), (Class::Retry, "tls-certificate"));
    assert!(running.intake.contents() == [message(1)]);
    running.stop().await;
}

#[test]
fn mistakes_are_reported_at_their_keys() {
    let check = |config: Value, key: &[&str]| {
        let problems = destination_factory("http", &config, &FakeSite::default())
            .err()
            .unwrap();
        assert!(
            problems.iter().any(|problem| problem.key == key),
            "{config}: {problems:?}"
        );
    };
    check(json!({}), &[]);
    check(json!({ "url": "ehr:8080" }), &["url"]);
    check(json!({ "url": "ftp://ehr/x" }), &["url"]);
    check(json!({ "url": "http://user:pass@ehr/x" }), &["url"]);
    check(json!({ "url": "http://ehr/", "tls": {} }), &["tls"]);
    check(
        json!({ "url": "http://ehr/", "headers": { "x": "{PID-5}" } }),
        &["headers", "x"],
    );
    check(
        json!({ "url": "http://ehr/", "status": { "9xx": "retry" } }),
        &["status", "9xx"],
    );
    check(
        json!({ "url": "http://ehr/", "bearer": "env:ABSENT" }),
        &["bearer"],
    );
}
