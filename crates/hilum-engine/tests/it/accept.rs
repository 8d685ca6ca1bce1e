//! What a sender is told, and what the journal has then.

use hilum_component::{Acknowledge, Disposition, Flow, Millis, NotTaken, Reply};
use hilum_journal::{DeliveryState, Disposition as Stored};

use crate::kit::{
    Act, Hub, Receiver, Sender, With, channel, destination, filters, line, out, plan, rejects,
    rule, splits, step, until,
};

fn said(reply: &Reply) -> String {
    String::from_utf8(reply.answer.clone().expect("an answer").to_vec()).expect("text")
}

#[tokio::test(flavor = "multi_thread")]
async fn a_positive_answer_means_that_the_journal_has_the_message() {
    let (sender, receiver) = (Sender::new(), Receiver::new("ehr"));
    let hub = Hub::start(plan([channel("lab", &sender).to(out(&receiver))])).await;
    let reply = sender.send("1|ORU|p1|seven").await;
    assert_eq!(reply.disposition, Disposition::Accepted);
    assert!(said(&reply).starts_with("AA|1|"));
    let id = reply.message.expect("an id");
    let (row, payload) = hub
        .engine()
        .journal()
        .received(id)
        .await
        .expect("it is there");
    assert_eq!(row.disposition, Stored::Accepted);
    assert_eq!(&payload.text()[..], b"1|ORU|p1|seven");
    assert_eq!(
        (row.control_id.as_deref(), row.kind.as_deref()),
        (Some("1"), Some("ORU"))
    );
    receiver.takes(&["1"]).await;
    assert_eq!(receiver.texts(), ["1|ORU|p1|seven"]);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_message_that_is_not_there_whole_is_refused_under_its_own_id() {
    let (sender, receiver) = (Sender::new(), Receiver::new("ehr"));
    let hub = Hub::start(plan([channel("lab", &sender).to(out(&receiver))])).await;
    let why = NotTaken::TooLarge {
        setting: "frame-bytes-max",
        bytes_max: 1000,
    };
    let reply = sender.send_part("1|ORU|p1|begins", why).await;
    assert_eq!(reply.disposition, Disposition::Rejected);
    let text = "the message exceeds `frame-bytes-max`, 1000 bytes";
    assert_eq!(said(&reply), format!("AR|1|207|{text}"));
    let id = reply.message.expect("an id");
    let (row, payload) = hub
        .engine()
        .journal()
        .received(id)
        .await
        .expect("it is there");
    assert_eq!(row.disposition, Stored::Rejected);
    assert_eq!(&payload.text()[..], b"1|ORU|p1|begins");
    let why = NotTaken::NotStored {
        cause: "no space".to_owned(),
    };
    let reply = sender.send_part("2|ORU|p1|begins", why).await;
    assert_eq!(reply.disposition, Disposition::Failed);
    assert_eq!(said(&reply), "AE|2|207|not stored; send it again");
    sender.send_all(["3|ORU|p1|whole"]).await;
    receiver.takes(&["3"]).await;
    assert_eq!(receiver.texts(), ["3|ORU|p1|whole"]);
}

#[tokio::test(flavor = "multi_thread")]
async fn each_fate_has_its_answer_and_its_record() {
    let (sender, receiver) = (Sender::new(), Receiver::new("ehr"));
    let mut lab = channel("lab", &sender)
        .step(filters("DULL"))
        .step(rejects("BAD"))
        .to(out(&receiver));
    lab.accept = Some(rule("type != 'ALIEN'"));
    let hub = Hub::start(plan([lab])).await;
    let cases = [
        (
            "1|DULL|p|x",
            Disposition::Filtered,
            "AA|1|",
            Stored::Filtered,
            "filter: of no interest",
        ),
        (
            "2|ALIEN|p|x",
            Disposition::Refused,
            "AR|2|200",
            Stored::Refused,
            "accept: this channel",
        ),
        (
            "3|BAD|p|x",
            Disposition::Rejected,
            "AE|3|103",
            Stored::Rejected,
            "check: this type is at fault at type (103)",
        ),
        (
            "no line",
            Disposition::Rejected,
            "AE||100",
            Stored::Rejected,
            "parse: not readable as lines",
        ),
        (
            "|ORU|p|x",
            Disposition::Rejected,
            "AE||101",
            Stored::Rejected,
            "accept: the message has no control id",
        ),
    ];
    for (text, disposition, answer, stored, reason) in cases {
        let reply = sender.send(text).await;
        assert_eq!(reply.disposition, disposition, "{text}");
        assert!(said(&reply).starts_with(answer), "{text}: {}", said(&reply));
        let trace = hub.trace(reply.message).await;
        assert_eq!(trace.rows[0].disposition, stored, "{text}");
        let recorded = trace.rows[0].reason.clone().expect("a reason");
        assert!(recorded.starts_with(reason), "{text}: {recorded}");
        assert!(trace.deliveries.is_empty(), "{text}");
    }
    sender.send_all(["9|ORU|p|x"]).await;
    receiver.takes(&["9"]).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_required_destination_fails_the_message_and_another_only_its_own_delivery() {
    let sender = Sender::new();
    let (strict, lax, plain) = (
        Receiver::new("strict"),
        Receiver::new("lax"),
        Receiver::new("plain"),
    );
    let mut required = destination("strict", &strict);
    required.steps.push(rejects("WORSE"));
    required.required = true;
    let mut optional = destination("lax", &lax);
    optional.steps.push(rejects("BAD"));
    let lab = channel("lab", &sender)
        .to(required)
        .to(optional)
        .to(destination("plain", &plain));
    let hub = Hub::start(plan([lab])).await;

    let failed = sender.send("1|WORSE|p|x").await;
    assert_eq!(failed.disposition, Disposition::Rejected);
    let partly = sender.send("2|BAD|p|x").await;
    assert_eq!(partly.disposition, Disposition::Accepted);
    plain.takes(&["2"]).await;
    strict.takes(&["2"]).await;
    assert!(lax.seen().is_empty());
    let trace = hub.trace(partly.message).await;
    let dead: Vec<_> = trace
        .deliveries
        .iter()
        .filter(|(stored, _)| stored.state == DeliveryState::DeadLetter)
        .collect();
    assert_eq!(dead.len(), 1);
    assert_eq!(&*dead[0].0.delivery.destination, "lax");
    assert!(
        dead[0]
            .0
            .reason
            .as_deref()
            .is_some_and(|text| text.contains("at fault"))
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn acknowledge_delivered_answers_when_the_receiver_has_it() {
    let (sender, receiver) = (Sender::new(), Receiver::new("ehr"));
    let mut lab = channel("lab", &sender).to(out(&receiver));
    lab.acknowledge = Acknowledge::Delivered {
        after: vec!["out".into()],
        within: Millis(10_000),
    };
    let _hub = Hub::start(plan([lab])).await;
    receiver.always(Act::Hang);
    let waiting = tokio::spawn({
        let sender = sender.clone();
        async move { sender.send("1|ORU|p|x").await }
    });
    receiver.attempts(1).await;
    assert!(!waiting.is_finished(), "the receiver does not have it yet");
    receiver.always(Act::Take);
    let reply = waiting.await.expect("a reply");
    assert!(said(&reply).starts_with("AA|1|"));
    assert_eq!(receiver.taken(), ["1"]);
}

#[tokio::test(flavor = "multi_thread")]
async fn acknowledge_delivered_says_queued_in_time_and_delivery_goes_on() {
    let (sender, receiver) = (Sender::new(), Receiver::new("ehr"));
    let mut lab = channel("lab", &sender).to(out(&receiver));
    lab.acknowledge = Acknowledge::Delivered {
        after: vec!["out".into()],
        within: Millis(20),
    };
    let _hub = Hub::start(plan([lab])).await;
    receiver.always(Act::Hang);
    let reply = sender.send("1|ORU|p|x").await;
    assert!(said(&reply).starts_with("AE|1|"), "{}", said(&reply));
    assert!(said(&reply).contains("queued"));
    receiver.always(Act::Take);
    receiver.takes(&["1"]).await;
}

/// A channel whose answers wait for its receiver at most so long.
fn delivered(sender: &Sender, receiver: &Receiver, within: u64) -> hilum_component::ChannelPlan {
    hilum_component::ChannelPlan {
        acknowledge: Acknowledge::Delivered {
            after: vec!["out".into()],
            within: Millis(within),
        },
        ..channel("lab", sender)
            .step(splits_batches())
            .to(out(receiver))
    }
}

/// Splits messages of the type SPLIT.
fn splits_batches() -> hilum_component::StepPlan {
    let splits = splits();
    step("split", move |message, context| {
        if line(message).get("type") == "SPLIT" {
            return splits.step.apply(message, context);
        }
        Ok(Flow::Next)
    })
}

#[tokio::test(flavor = "multi_thread")]
async fn a_resend_joins_the_wait_for_the_receiver() {
    let (sender, receiver) = (Sender::new(), Receiver::new("ehr"));
    let site = |within| plan([delivered(&sender, &receiver, within)]);
    let mut hub = Hub::start(site(20)).await;
    receiver.always(Act::Hang);
    let first = sender.send("1|ORU|p|x").await;
    assert!(said(&first).contains("queued"), "{}", said(&first));
    let again = sender.send("1|ORU|p|x").await;
    assert!(said(&again).contains("queued"), "{}", said(&again));
    hub.restart(site(10_000)).await;
    receiver.attempts(2).await;
    let both = tokio::spawn({
        let sender = sender.clone();
        async move {
            sender
                .send_together(&["1|ORU|p|x".to_owned(), "1|ORU|p|x".to_owned()])
                .await
        }
    });
    until("the resends", || hub.engine().status().in_flight == 2).await;
    receiver.always(Act::Take);
    for reply in both.await.expect("replies") {
        assert!(said(&reply).starts_with("AA|1|"), "{}", said(&reply));
    }
    let late = sender.send("1|ORU|p|x").await;
    assert!(said(&late).starts_with("AA|1|"), "{}", said(&late));
    assert_eq!(receiver.taken(), ["1"]);
}

#[tokio::test(flavor = "multi_thread")]
async fn acknowledge_delivered_waits_for_every_part_and_tells_of_a_dead_letter() {
    let (sender, receiver) = (Sender::new(), Receiver::new("ehr"));
    let _hub = Hub::start(plan([delivered(&sender, &receiver, 10_000)])).await;
    receiver.script(|text| {
        if text.starts_with("1.2") {
            Act::Reject
        } else {
            Act::Take
        }
    });
    let reply = sender.send("1|SPLIT|p|3").await;
    assert!(said(&reply).starts_with("AE|1|"), "{}", said(&reply));
    assert!(said(&reply).contains("dead letter"));
    assert_eq!(receiver.taken(), ["1.0", "1.1"]);
    let again = sender.send("1|SPLIT|p|3").await;
    assert!(said(&again).contains("dead letter"), "{}", said(&again));
    let reply = sender.send("2|SPLIT|p|2").await;
    assert!(said(&reply).starts_with("AA|2|"), "{}", said(&reply));
    assert_eq!(receiver.taken(), ["1.0", "1.1", "2.0", "2.1"]);
}
