//! The fake peers against each other.

use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use hilum_testkit::messages::{Event, Synthetic};
use hilum_testkit::mllp::{Behaviour, Client, Keep, Load, Reaction, Receiver};
use hilum_testkit::wait;

fn admit(number: u64) -> Vec<u8> {
    Synthetic::new(Event::Admit, number % 10, number).build()
}

#[tokio::test]
async fn a_load_is_answered_counted_and_recorded() {
    let behaviour = Behaviour {
        every: vec![(10, Reaction::Answer("AE"))],
        ..Behaviour::default()
    };
    let any = SocketAddr::from(([127, 0, 0, 1], 0));
    let receiver = Receiver::start_at(any, behaviour, Keep::Digests)
        .await
        .unwrap();
    let load = Load::new(receiver.address(), 4, 200, Arc::new(admit));
    let report = wait::within("the load", load.run()).await.unwrap();
    assert_eq!(report.acknowledged.len(), 180);
    assert_eq!(report.failed.len(), 20);
    assert_eq!(report.answers.get("AE"), Some(&20));
    assert!(report.latency.p50 <= report.latency.max);
    let mut ids = receiver.control_ids();
    ids.sort();
    let sent: Vec<String> = (0..200)
        .map(|n| Synthetic::new(Event::Admit, 0, n).control_id())
        .collect();
    assert_eq!(ids, sent);
    assert!(
        receiver
            .received()
            .iter()
            .all(|one| one.digest.is_some() && one.bytes.is_none())
    );
}

#[tokio::test]
async fn a_receiver_can_be_down_for_a_while() {
    let mut receiver = Receiver::start().await.unwrap();
    let mut client = Client::connect(receiver.address()).await.unwrap();
    client.exchange(&admit(1)).await.unwrap();
    receiver.down().await;
    assert!(client.exchange(&admit(2)).await.is_err());
    assert!(Client::connect(receiver.address()).await.is_err());
    receiver.up().await.unwrap();
    let mut client = Client::connect(receiver.address()).await.unwrap();
    client.exchange(&admit(3)).await.unwrap();
    assert_eq!(receiver.control_ids(), ["T000000001", "T000000003"]);
}

#[tokio::test]
async fn each_reaction_is_seen_by_the_sender() {
    let receiver = Receiver::start().await.unwrap();
    let outcome = async |reaction: Reaction| {
        receiver.behave(Behaviour::always(reaction));
        let mut client = Client::connect(receiver.address()).await.unwrap();
        // A slow answer is some eighty bytes, each after a tick of the clock or several.
        match tokio::time::timeout(Duration::from_secs(2), client.exchange(&admit(1))).await {
            Err(_) => "no answer".to_owned(),
            Ok(Err(error)) => error.kind().to_string(),
            Ok(Ok(answer)) => String::from_utf8_lossy(&answer).replace('\r', "/"),
        }
    };
    assert!(
        outcome(Reaction::Answer("AR"))
            .await
            .ends_with("/MSA|AR|T000000001/")
    );
    assert!(
        outcome(Reaction::WrongId)
            .await
            .ends_with("/MSA|AA|SOMETHING-ELSE/")
    );
    assert_eq!(outcome(Reaction::Frame(b"hello".to_vec())).await, "hello");
    assert_eq!(outcome(Reaction::Nothing).await, "no answer");
    assert_eq!(outcome(Reaction::Close).await, "unexpected end of file");
    assert_eq!(outcome(Reaction::Reset).await, "connection reset");
    assert!(
        outcome(Reaction::Slow(Duration::from_micros(10)))
            .await
            .ends_with("/MSA|AA|T000000001/")
    );
}
