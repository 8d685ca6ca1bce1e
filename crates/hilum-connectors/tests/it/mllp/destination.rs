//! Messages out: answers and what they mean, peers that fail in the middle.

use std::sync::Arc;
use std::time::Duration;

use hilum_component::conformance::{FakeSite, MemoryBlobs, delivery};
use hilum_component::{AnswerRow, AnswerTable, Class, Delivery, Destination, Outcome, SystemInfo};
use hilum_message::{BlobRange, BlobRef, Cut, Payload};
use hilum_testkit::mllp::{Behaviour, Reaction, Receiver};
use serde_json::{Value, json};

use super::message;
use crate::{destination, destination_factory};

async fn send(to: &dyn Destination, number: u64) -> Outcome {
    to.send(&[delivery(number, message(number))])
        .await
        .remove(0)
}

fn to(receiver: &Receiver, mut more: Value) -> Arc<dyn Destination> {
    more["address"] = json!(receiver.address().to_string());
    if more.get("answer-within").is_none() {
        more["answer-within"] = json!("10s");
    }
    destination("mllp", &more)
}

#[tokio::test]
async fn a_kept_connection_is_used_again() {
    let receiver = Receiver::start().await.unwrap();
    let to = to(&receiver, json!({}));
    for number in 1..=10 {
        let delivered = send(&*to, number).await.unwrap();
        assert_eq!(delivered.summary, "AA");
        assert!(delivered.reply.unwrap().starts_with(b"MSH|"));
    }
    assert_eq!(receiver.connections(), 1);
    assert_eq!(to.address(), format!("mllp://{}", receiver.address()));
}

#[tokio::test]
async fn connections_are_used_side_by_side_up_to_their_number() {
    let behaviour = Behaviour {
        delay: Duration::from_millis(20),
        ..Behaviour::default()
    };
    let receiver = Receiver::behaving(behaviour).await.unwrap();
    let to = to(&receiver, json!({ "connections": 4 }));
    assert_eq!(to.concurrency(), 4);
    for round in 0..3 {
        let sends = (0..4).map(|lane| send(&*to, round * 4 + lane));
        for outcome in futures_util::future::join_all(sends).await {
            outcome.unwrap();
        }
    }
    assert_eq!(receiver.connections(), 4);
}

#[tokio::test]
async fn a_connection_that_the_peer_closed_meanwhile_is_not_used() {
    let receiver = Receiver::behaving(Behaviour {
        close_after: true,
        ..Behaviour::default()
    });
    let receiver = receiver.await.unwrap();
    let to = to(&receiver, json!({}));
    for number in 1..=5 {
        send(&*to, number).await.unwrap();
        // The farewell is under way: it is seen by the next look at the connection, or not yet.
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
    assert_eq!(receiver.connections(), 5);
}

/// Reaction of the peer, class, code, and what the text says.
fn failures() -> Vec<(Reaction, Class, &'static str, &'static str)> {
    let no_msa = b"MSH|^~\\&|A\rZZZ|1\r".to_vec();
    let strange = b"MSH|^~\\&|A\rMSA|SECRET NAME|T000000001\r".to_vec();
    vec![
        (
            Reaction::Answer("AE"),
            Class::Reject,
            "answer-ae",
            "answered AE",
        ),
        (
            Reaction::Answer("AR"),
            Class::Reject,
            "answer-ar",
            "answered AR",
        ),
        (
            Reaction::Answer("CR"),
            Class::Reject,
            "answer-cr",
            "answered CR",
        ),
        (
            Reaction::Frame(strange),
            Class::Halt,
            "answer-unknown",
            "an unknown code",
        ),
        (
            Reaction::Frame(no_msa),
            Class::Halt,
            "answer-unreadable",
            "no MSA",
        ),
        (
            Reaction::WrongId,
            Class::Halt,
            "answer-id",
            "another message twice",
        ),
        (
            Reaction::Nothing,
            Class::Retry,
            "answer-timeout",
            "within 0.25 s",
        ),
        (
            Reaction::Slow(Duration::from_secs(1)),
            Class::Retry,
            "answer-timeout",
            "within 0.25 s",
        ),
        (
            Reaction::Raw(vec![b'x'; 100]),
            Class::Retry,
            "answer-timeout",
            "within 0.25 s",
        ),
        (
            Reaction::Close,
            Class::Retry,
            "connection-closed",
            "before it answered",
        ),
        (
            Reaction::Reset,
            Class::Retry,
            "connection-reset",
            "reset by the peer",
        ),
        (
            Reaction::Raw([b"\x0b".to_vec(), vec![b'x'; 1_100_000]].concat()),
            Class::Halt,
            "answer-unreadable",
            "too long",
        ),
    ]
}

#[tokio::test]
async fn each_failure_has_its_class_and_code() {
    let receiver = Receiver::start().await.unwrap();
    let to = to(&receiver, json!({ "answer-within": "250ms" }));
    for (reaction, class, code, text) in failures() {
        let shown = format!("{code} {text}");
        receiver.behave(Behaviour::always(reaction));
        let error = send(&*to, 1).await.expect_err(&shown);
        assert_eq!((error.class, error.code), (class, code), "{error}");
        assert!(error.message.contains(text), "{error}");
        assert!(!error.message.contains("SECRET"), "{error}");
        receiver.behave(Behaviour::default());
        send(&*to, 1).await.expect("and then it works again");
    }
}

#[tokio::test]
async fn a_wrong_id_is_tried_once_more_on_a_fresh_connection() {
    let receiver = Receiver::behaving(Behaviour::once(1, Reaction::WrongId))
        .await
        .unwrap();
    let to = to(&receiver, json!({}));
    send(&*to, 1).await.unwrap();
    assert_eq!((receiver.connections(), receiver.count()), (2, 2));
}

#[tokio::test]
async fn a_late_answer_is_never_taken_for_that_of_another_message() {
    let behaviour = Behaviour {
        delay: Duration::from_millis(400),
        ..Behaviour::default()
    };
    let receiver = Receiver::behaving(behaviour).await.unwrap();
    let to = to(&receiver, json!({ "answer-within": "200ms" }));
    assert_eq!(send(&*to, 1).await.unwrap_err().code, "answer-timeout");
    receiver.behave(Behaviour::default());
    send(&*to, 2).await.unwrap();
    assert_eq!(receiver.connections(), 2);
}

#[tokio::test]
async fn an_answer_means_what_the_systems_table_says() {
    let receiver = Receiver::behaving(Behaviour::always(Reaction::Answer("AE")))
        .await
        .unwrap();
    let row = |code: &str, means| AnswerRow {
        code: Some(code.to_owned()),
        error: None,
        severity: None,
        text: None,
        means,
    };
    let mut site = FakeSite::default();
    let system = SystemInfo {
        name: "ehr".to_owned(),
        addresses: [("mllp".to_owned(), receiver.address().to_string())].into(),
        answers: AnswerTable {
            rows: vec![row("AE", Class::Retry), row("AR", Class::Halt)],
        },
        ..SystemInfo::default()
    };
    site.systems.insert("ehr".to_owned(), system);
    let to = destination_factory("mllp", &json!({ "system": "ehr" }), &site).unwrap()();
    let error = send(&*to, 1).await.unwrap_err();
    assert_eq!((error.class, error.code), (Class::Retry, "answer-ae"));
    assert!(error.reply.is_some());
    receiver.behave(Behaviour::always(Reaction::Answer("AR")));
    assert_eq!(send(&*to, 2).await.unwrap_err().class, Class::Halt);
    assert_eq!(receiver.connections(), 1, "an answered connection is kept");
}

#[tokio::test]
async fn without_answers_a_message_is_delivered_when_it_is_sent() {
    let receiver = Receiver::behaving(Behaviour::always(Reaction::Nothing))
        .await
        .unwrap();
    let to = to(&receiver, json!({ "answer": "none" }));
    for number in 1..=3 {
        assert_eq!(send(&*to, number).await.unwrap().summary, "sent");
    }
    hilum_testkit::wait::until("the messages", || receiver.count() == 3).await;
}

#[tokio::test]
async fn release_2_waits_for_the_confirmation() {
    let confirm = |byte| Behaviour::always(Reaction::Raw(vec![0x0B, byte, 0x1C, 0x0D]));
    let receiver = Receiver::behaving(confirm(0x06)).await.unwrap();
    let to = to(&receiver, json!({ "answer": "none", "release": "r2" }));
    send(&*to, 1).await.unwrap();
    receiver.behave(confirm(0x15));
    let error = send(&*to, 2).await.unwrap_err();
    assert_eq!((error.class, error.code), (Class::Retry, "commit-nak"));
}

#[tokio::test]
async fn nothing_listens() {
    let port = hilum_testkit::ports::free_port().unwrap();
    let to = destination("mllp", &json!({ "address": format!("127.0.0.1:{port}") }));
    let error = send(&*to, 1).await.unwrap_err();
    assert_eq!((error.class, error.code), (Class::Retry, "connect-refused"));
    assert_eq!(
        error.message,
        format!("connect to 127.0.0.1:{port}: refused")
    );
}

#[tokio::test]
async fn blobs_are_sent_in_their_places() {
    let receiver = Receiver::start().await.unwrap();
    let to = to(&receiver, json!({}));
    let blob = BlobRef {
        partition: "p".into(),
        name: "b".into(),
    };
    let content: Vec<u8> = (0..300_000_u32).map(|n| b'A' + (n % 23) as u8).collect();
    let head = message(1);
    let range = BlobRange {
        blob,
        offset: 5,
        length: 200_000,
    };
    let payload = |content: &[u8]| Delivery {
        payload: Payload::with_cuts(
            head.clone(),
            vec![Cut {
                at: head.len(),
                range: range.clone(),
            }],
        ),
        blobs: Arc::new(MemoryBlobs([("b".to_owned(), content.to_vec())].into())),
        ..delivery(1, head.clone())
    };
    to.send(&[payload(&content)]).await.remove(0).unwrap();
    let received = receiver.received().remove(0).bytes.unwrap();
    assert!(received == [&head[..], &content[5..200_005]].concat());

    let mut unfit = content;
    unfit[150_000] = 0x1C;
    let error = to.send(&[payload(&unfit)]).await.remove(0).unwrap_err();
    assert_eq!((error.class, error.code), (Class::Reject, "frame-end-byte"));
    let inline = to
        .send(&[delivery(2, &b"MSH|^~\\&|\x1c|"[..])])
        .await
        .remove(0)
        .unwrap_err();
    assert_eq!(
        (inline.class, inline.code),
        (Class::Reject, "frame-end-byte")
    );
    send(&*to, 3).await.unwrap();
    assert_eq!(
        receiver.count(),
        2,
        "what cannot be framed is never whole at the peer"
    );
}

#[test]
fn mistakes_are_reported_at_their_keys() {
    let mut site = FakeSite::default();
    site.systems.insert(
        "ehr".to_owned(),
        SystemInfo {
            name: "ehr".to_owned(),
            ..SystemInfo::default()
        },
    );
    let check = |config: Value, key: &[&str], expected: &str| {
        let problems = destination_factory("mllp", &config, &site).err().unwrap();
        assert!(
            problems
                .iter()
                .any(|p| p.key == key && p.message.contains(expected)),
            "{config}: {problems:?}"
        );
    };
    check(json!({}), &[], "neither a system nor an address");
    check(json!({ "system": "ehrr" }), &["system"], "no such system");
    check(
        json!({ "system": "ehr" }),
        &["system"],
        "has no address for mllp",
    );
    check(
        json!({ "address": "ehr" }),
        &["address"],
        "expected host:port",
    );
    check(
        json!({ "address": "ehr:1", "connections": 0 }),
        &["connections"],
        "from 1 to 1000",
    );
}
