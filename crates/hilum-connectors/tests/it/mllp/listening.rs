//! A destination whose peer calls: the suite, the door and its limits, peers that come again.

use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use hilum_component::conformance::{
    DestinationRig, FakeSite, PeerMood, check_destination, delivery,
};
use hilum_component::{BoxFuture, Class, Destination, Outcome};
use hilum_testkit::certificates::Authority;
use hilum_testkit::messages::answer;
use hilum_testkit::mllp::{Behaviour, Client, Reaction, Receiver};
use hilum_testkit::wait;
use serde_json::{Value, json};
use tokio::net::TcpStream;
use tokio::sync::Mutex;
use tokio::task::JoinSet;

use super::message;
use crate::destination_factory;

/// A destination at a free port, which is open.
fn listening(mut more: Value, site: &FakeSite) -> (Arc<dyn Destination>, SocketAddr) {
    let port = hilum_testkit::ports::free_port().unwrap();
    more["listen"] = json!(format!("127.0.0.1:{port}"));
    more["answer-within"] = json!("10s");
    let to = destination_factory("mllp", &more, site).unwrap()();
    to.open();
    (to, SocketAddr::from(([127, 0, 0, 1], port)))
}

/// Connects as soon as somebody listens.
async fn call(address: SocketAddr) -> TcpStream {
    wait::within("the port to open", async {
        loop {
            match TcpStream::connect(address).await {
                Ok(stream) => return stream,
                Err(_) => tokio::time::sleep(Duration::from_millis(5)).await,
            }
        }
    })
    .await
}

async fn send(to: &dyn Destination, number: u64) -> Outcome {
    to.send(&[delivery(number, message(number))])
        .await
        .remove(0)
}

/// Takes one message and answers it.
async fn take(peer: &mut Client) -> Bytes {
    let message = wait::within("a message", peer.receive()).await;
    let message = message.unwrap().expect("a message");
    peer.send(&answer(&message, "AA", None)).await.unwrap();
    message
}

/// A receiver that calls: whatever comes over the connection goes to the receiver and back.
struct Calling {
    receiver: Mutex<Receiver>,
    caller: Mutex<JoinSet<()>>,
    port: u16,
}

impl Calling {
    async fn new() -> Self {
        Self {
            receiver: Mutex::new(Receiver::start().await.unwrap()),
            caller: Mutex::default(),
            port: hilum_testkit::ports::free_port().unwrap(),
        }
    }
}

/// Connects both, again and again.
async fn connect(receiver: SocketAddr, hub: SocketAddr) {
    loop {
        let (mut from_receiver, mut to_receiver) = call(receiver).await.into_split();
        let (mut from_hub, mut to_hub) = call(hub).await.into_split();
        tokio::select! {
            _ = tokio::io::copy(&mut from_hub, &mut to_receiver) => {}
            _ = tokio::io::copy(&mut from_receiver, &mut to_hub) => {}
        }
    }
}

impl DestinationRig for Calling {
    fn destination(&self) -> Arc<dyn Destination> {
        let listen = format!("127.0.0.1:{}", self.port);
        let config = json!({ "listen": listen, "answer-within": "300ms", "connect-within": "3s" });
        crate::destination("mllp", &config)
    }

    fn message(&self, number: u64) -> Bytes {
        message(number)
    }

    fn mood(&self, mood: PeerMood) -> BoxFuture<'_, ()> {
        Box::pin(async move {
            let mut receiver = self.receiver.lock().await;
            // The connection ends before the mood changes, so that it does not end in between.
            let mut caller = self.caller.lock().await;
            caller.shutdown().await;
            let usual = match mood {
                PeerMood::Accepts => Reaction::Answer("AA"),
                PeerMood::Refuses => Reaction::Answer("AR"),
                PeerMood::Silent => Reaction::Nothing,
                PeerMood::Away => return receiver.down().await,
            };
            receiver.behave(Behaviour::always(usual));
            receiver.up().await.unwrap();
            let hub = SocketAddr::from(([127, 0, 0, 1], self.port));
            caller.spawn(connect(receiver.address(), hub));
        })
    }

    fn received(&self) -> BoxFuture<'_, Vec<Bytes>> {
        Box::pin(async move {
            let received = self.receiver.lock().await.received();
            received.into_iter().filter_map(|one| one.bytes).collect()
        })
    }
}

#[tokio::test]
async fn a_destination_that_is_called_keeps_the_contract() {
    check_destination(&Calling::new().await).await;
}

#[tokio::test]
async fn a_peer_may_call_before_there_is_a_message_and_again_after_it_was_away() {
    let (to, address) = listening(json!({}), &FakeSite::default());
    assert_eq!(to.address(), format!("mllp://{address}"));
    assert!(to.reach().await.is_none(), "nobody can be tried");
    for number in 1..=2 {
        let mut peer = Client::over(call(address).await);
        let (outcome, taken) = tokio::join!(send(&*to, number), take(&mut peer));
        assert_eq!(outcome.unwrap().summary, "AA");
        assert_eq!(taken, message(number));
    }
    to.close().await;
    assert!(
        TcpStream::connect(address).await.is_err(),
        "closed with the destination"
    );
}

#[tokio::test]
async fn without_a_peer_a_message_waits_for_its_time_and_is_tried_again() {
    let (to, address) = listening(json!({ "connect-within": "50ms" }), &FakeSite::default());
    // Open, so that the port is not what is missing.
    drop(call(address).await);
    let error = send(&*to, 1).await.unwrap_err();
    assert_eq!(
        (error.class, error.code),
        (Class::Retry, "peer-not-connected")
    );
    assert!(error.message.contains("no peer called"), "{error}");
}

#[tokio::test]
async fn a_port_that_is_taken_is_said_and_used_when_it_is_free() {
    let other = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = other.local_addr().unwrap();
    let config = json!({ "listen": address.to_string(), "connect-within": "10ms" });
    let to = crate::destination("mllp", &config);
    wait::within("the reason", async {
        while !send(&*to, 1).await.unwrap_err().message.contains("in use") {}
    })
    .await;
    drop(other);
    let mut peer = Client::over(call(address).await);
    let taken = tokio::spawn(async move { take(&mut peer).await });
    wait::within("the delivery", async {
        while send(&*to, 1).await.is_err() {}
    })
    .await;
    assert_eq!(taken.await.unwrap(), message(1));
}

#[tokio::test]
async fn a_connection_over_the_limit_is_closed_and_the_first_serves_on() {
    let (to, address) = listening(json!({}), &FakeSite::default());
    let mut first = Client::over(call(address).await);
    let (outcome, _) = tokio::join!(send(&*to, 1), take(&mut first));
    outcome.unwrap();
    let mut second = Client::over(call(address).await);
    let closed = wait::within("the close", second.receive()).await;
    assert!(matches!(closed, Ok(None) | Err(_)));
    let (outcome, _) = tokio::join!(send(&*to, 2), take(&mut first));
    outcome.unwrap();
}

#[tokio::test]
async fn who_is_not_named_is_not_let_in() {
    let more = json!({ "allow": ["10.0.0.0/8"], "connect-within": "50ms" });
    let (to, address) = listening(more, &FakeSite::default());
    let mut stranger = Client::over(call(address).await);
    let closed = wait::within("the close", stranger.receive()).await;
    assert!(matches!(closed, Ok(None) | Err(_)));
    assert_eq!(send(&*to, 1).await.unwrap_err().code, "peer-not-connected");
}

#[tokio::test]
async fn a_peer_that_calls_shows_its_certificate() {
    let folder = tempfile::tempdir().unwrap();
    let authority = Authority::new(folder.path(), "ca").unwrap();
    authority.sign("hub", &["localhost"]).unwrap();
    authority.sign("pharmacy", &[]).unwrap();
    Authority::new(folder.path(), "other")
        .unwrap()
        .sign("stranger", &[])
        .unwrap();
    let site = FakeSite {
        folder: folder.path().to_path_buf(),
        ..FakeSite::default()
    };
    let tls = json!({ "certificate": "hub.crt", "key": "hub.key", "ca": "ca.pem" });
    let (to, address) = listening(json!({ "tls": tls, "connect-within": "200ms" }), &site);
    assert!(to.address().starts_with("mllps://"));
    drop(call(address).await);
    // The peer is our own source that calls.
    let peer = |name: &str| {
        let tls = json!({ "ca": "ca.pem", "certificate": format!("{name}.crt"), "key": format!("{name}.key") });
        let config = json!({ "connect": format!("localhost:{}", address.port()), "tls": tls });
        crate::source_factory("mllp", &config, &site).unwrap()()
    };
    let intake = || {
        let intake = hilum_component::conformance::FakeIntake::new();
        intake.respond(|number, _| {
            hilum_component::conformance::FakeIntake::reply(
                number,
                hilum_component::Disposition::Accepted,
                b"MSH|^~\\&|X\rMSA|AA|T000000001\r",
            )
        });
        intake
    };
    let stranger = crate::Running::start(peer("stranger"), intake()).await;
    let error = send(&*to, 1).await.unwrap_err();
    assert_eq!(error.code, "peer-not-connected", "{error}");
    stranger.stop().await;
    let known = crate::Running::start(peer("pharmacy"), intake()).await;
    wait::within("the delivery", async {
        while send(&*to, 1).await.is_err() {}
    })
    .await;
    assert_eq!(known.intake.contents(), [message(1)]);
    known.stop().await;
}

#[test]
fn mistakes_are_reported_at_their_keys() {
    let check = |config: Value, key: &[&str], expected: &str| {
        let problems = destination_factory("mllp", &config, &FakeSite::default())
            .err()
            .unwrap();
        let found = problems
            .iter()
            .any(|p| p.key == key && p.message.contains(expected));
        assert!(found, "{config}: {problems:?}");
    };
    check(
        json!({ "listen": "0", "address": "a:1" }),
        &["address"],
        "either the peer is called",
    );
    check(
        json!({ "address": "a:1", "allow": ["10.0.0.1"] }),
        &["allow"],
        "who may call",
    );
    check(
        json!({ "listen": "0", "tls": {} }),
        &["tls"],
        "needs a certificate",
    );
}
