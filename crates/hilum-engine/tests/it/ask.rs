//! Asking a destination: its reply enters another channel, with the message that asked.

use std::time::Duration;

use hilum_component::{Disposition, Flow, StepPlan};
use hilum_engine::{Held, OldState, Replay};
use hilum_journal::{AcceptRequest, DeliveryRef, DeliveryState, Publication};
use hilum_message::{DeliveryId, Payload};

use crate::kit::{
    Act, Hub, Receiver, Sender, With, asks, channel, holds, line, out, plan, replies, reply_rule,
    step, until,
};

/// The reply to a line: the address of its patient.
fn address(text: &str) -> Option<String> {
    let fields: Vec<&str> = text.split('|').collect();
    Some(format!("r{}|ADR|{}|street", fields[0], fields[2]))
}

/// A step that writes what the message that asked has in a field.
fn takes_from_original(field: &'static str) -> StepPlan {
    let rule = reply_rule(&format!("text & ' of ' & %original.{field}"));
    step("set", move |message, context| {
        let found = rule.first(&*message.document, context.env);
        line(message).put("text", &found.expect("a value").unwrap_or_default());
        assert!(context.original.is_some(), "steps see it as a document");
        Ok(Flow::Next)
    })
}

fn site(sender: &Sender, index: &Receiver, ehr: &Receiver) -> hilum_component::Plan {
    plan([
        channel("adt", sender).to(asks("index", index, "addresses")),
        replies("addresses")
            .step(takes_from_original("text"))
            .to(out(ehr)),
    ])
}

fn peers() -> (Sender, Receiver, Receiver) {
    let index = Receiver::new("index");
    index.replies(address);
    (Sender::new(), index, Receiver::new("ehr"))
}

#[tokio::test(flavor = "multi_thread")]
async fn a_reply_enters_its_channel_with_the_message_that_asked() {
    let (sender, index, ehr) = peers();
    let hub = Hub::start(site(&sender, &index, &ehr)).await;
    let asked = sender.send("1|ADT|p|x").await;
    sender.send_all(["2|ADT|q|y", "3|ADT|p|z"]).await;
    ehr.takes(&["r1", "r2", "r3"]).await;
    assert_eq!(
        ehr.texts(),
        [
            "r1|ADR|p|street of x",
            "r2|ADR|q|street of y",
            "r3|ADR|p|street of z"
        ]
    );
    until("settled questions", || {
        hub.status("adt", "index").waiting == 0
    })
    .await;
    let reply = hub.recorded("addresses").await.remove(0);
    assert_eq!(reply.replay_of, asked.message, "linked to what asked");
    let own = asked.message.expect("an id").to_string();
    assert_eq!(reply.metadata.get("hilum.original"), Some(own.as_str()));
    let (_, received) = hub
        .engine()
        .journal()
        .received(reply.message)
        .await
        .expect("the reply");
    assert_eq!(received.text(), "r1|ADR|p|street", "exactly as it came");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_question_is_retried_and_dead_lettered_like_any_delivery() {
    let (sender, index, ehr) = peers();
    index.script(|text| {
        if text.starts_with("bad") {
            Act::Reject
        } else {
            Act::Take
        }
    });
    index.replies(|text| address(text).filter(|_| !text.starts_with("mute")));
    let hub = Hub::start(site(&sender, &index, &ehr)).await;
    sender
        .send_all(["bad|ADT|p|x", "mute|ADT|q|x", "1|ADT|r|x"])
        .await;
    ehr.takes(&["r1"]).await;
    until("two dead letters", || hub.status("adt", "index").dead == 2).await;
    index.always(Act::Retry);
    sender.send_all(["2|ADT|p|x"]).await;
    index.attempts(6).await;
    index.always(Act::Take);
    ehr.takes(&["r1", "r2"]).await;
    assert_eq!(hub.recorded("addresses").await.len(), 2);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_reply_that_was_accepted_before_the_end_is_only_settled() {
    let (sender, index, ehr) = peers();
    index.always(Act::Hang);
    let site = || site(&sender, &index, &ehr);
    let mut hub = Hub::start(site()).await;
    let asked = sender.send("1|ADT|p|x").await.message.expect("an id");
    index.attempts(1).await;
    // The reply came and was accepted, the settlement was lost with the power.
    let delivery = DeliveryId {
        message: asked,
        ordinal: 0,
    };
    let accepted = AcceptRequest::new(
        asked.derive("the reply", 0),
        "addresses".into(),
        Payload::inline("r1|ADR|p|street".into()),
    );
    let nowhere = DeliveryRef {
        id: delivery,
        sequence: 0,
    };
    hub.engine()
        .journal()
        .accept_all(vec![accepted], Some(Publication { delivery: nowhere }))
        .await
        .expect("accepted");
    hub.stop().await;
    index.always(Act::Take);
    hub.restart(site()).await;
    sender.send_all(["2|ADT|p|x"]).await;
    ehr.takes(&["r2"]).await;
    assert_eq!(index.taken(), ["1", "2"], "the peer was asked again");
    assert_eq!(hub.recorded("addresses").await.len(), 2);
    assert_eq!(
        hub.deliveries(Some(asked)).await,
        [DeliveryState::Delivered]
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn a_question_without_a_reply_is_asked_again_after_a_restart() {
    let (sender, index, ehr) = peers();
    index.always(Act::Hang);
    let site = || site(&sender, &index, &ehr);
    let mut hub = Hub::start(site()).await;
    sender.send_all(["1|ADT|p|x", "2|ADT|p|y"]).await;
    index.attempts(1).await;
    hub.stop().await;
    index.always(Act::Take);
    // In another partition than the message that asked.
    hub.advance(Duration::from_secs(24 * 3_600));
    hub.restart(site()).await;
    ehr.takes(&["r1", "r2"]).await;
    assert_eq!(
        ehr.texts(),
        ["r1|ADR|p|street of x", "r2|ADR|p|street of y"]
    );
    until("settled questions", || {
        hub.status("adt", "index").waiting == 0
    })
    .await;
    hub.restart(site()).await;
    assert_eq!(hub.status("adt", "index").waiting, 0);
    assert_eq!(hub.recorded("addresses").await.len(), 2);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_reply_that_waits_or_is_replayed_keeps_the_message_that_asked() {
    let (sender, index, ehr) = peers();
    let site = || {
        plan([
            channel("adt", &sender).to(asks("index", &index, "addresses")),
            replies("addresses")
                .step(holds("ADR", None))
                .step(takes_from_original("text"))
                .to(out(&ehr)),
        ])
    };
    let mut hub = Hub::start(site()).await;
    sender.send_all(["1|ADT|p|x"]).await;
    until("the question", || hub.status("adt", "index").waiting == 0).await;
    hub.restart(site()).await;
    let held = hub.recorded("addresses").await.remove(0);
    hub.engine()
        .held(held.message, Held::Release, "looked at", OldState::Refuse)
        .await
        .expect("a release");
    ehr.takes(&["r1"]).await;
    let again = hub
        .engine()
        .replay(held.message, Replay::default())
        .await
        .expect("a replay");
    assert_eq!(again.disposition, Disposition::Held);
    let again = again.message.expect("an id").parse().expect("an id");
    hub.engine()
        .held(again, Held::Release, "looked at", OldState::Refuse)
        .await
        .expect("a release");
    ehr.takes(&["r1", "r1"]).await;
    assert_eq!(
        ehr.texts(),
        ["r1|ADR|p|street of x", "r1|ADR|p|street of x"]
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn channels_that_ask_in_a_circle_end_at_the_hop_limit() {
    let (sender, index, _) = peers();
    let site = plan([
        channel("adt", &sender).to(asks("index", &index, "again")),
        replies("again").to(asks("index", &index, "again")),
    ]);
    let hub = Hub::start(site).await;
    sender.send_all(["1|ADT|p|x"]).await;
    until("the end of the circle", || {
        hub.status("again", "index").dead == 1
    })
    .await;
    assert_eq!(hub.recorded("again").await.len(), 16);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_reply_that_its_channel_cannot_read_is_recorded_there() {
    let (sender, index, ehr) = peers();
    index.replies(|_| Some("no line at all".to_owned()));
    let hub = Hub::start(site(&sender, &index, &ehr)).await;
    let asked = sender.send("1|ADT|p|x").await;
    until("the question", || hub.status("adt", "index").waiting == 0).await;
    assert_eq!(
        hub.dispositions("addresses").await,
        [hilum_journal::Disposition::Rejected]
    );
    assert_eq!(
        hub.deliveries(asked.message).await,
        [DeliveryState::Delivered]
    );
}
