//! `acknowledge: received`: stored and answered first, processed afterwards and in order.

use std::sync::{Arc, Condvar, Mutex};

use hilum_component::{Acknowledge, ChannelPlan, Disposition, Flow, StepPlan};
use hilum_engine::ALERT_TOPIC;
use hilum_journal::{AcceptRequest, Disposition as Stored};
use hilum_message::{MessageId, Payload};

use crate::kit::{
    Hub, Receiver, Sender, With, channel, out, plan, rejects, rule, step, subscriber, until,
};

/// Steps wait in front of it until it is opened.
#[derive(Clone, Default)]
struct Gate(Arc<(Mutex<bool>, Condvar)>);

impl Gate {
    fn step(&self) -> StepPlan {
        let gate = self.clone();
        step("gate", move |_, _| {
            let open = gate.0.0.lock().unwrap();
            drop(gate.0.1.wait_while(open, |open| !*open).unwrap());
            Ok(Flow::Next)
        })
    }

    fn open(&self) {
        *self.0.0.lock().unwrap() = true;
        self.0.1.notify_all();
    }
}

fn lab(sender: &Sender, receiver: &Receiver) -> ChannelPlan {
    ChannelPlan {
        acknowledge: Acknowledge::Received,
        ..channel("lab", sender).to(out(receiver))
    }
}

async fn rows(hub: &Hub, message: Option<MessageId>) -> Vec<Stored> {
    let trace = hub.trace(message).await;
    trace.rows.iter().map(|row| row.disposition).collect()
}

#[tokio::test(flavor = "multi_thread")]
async fn the_answer_comes_before_the_steps_and_the_order_is_that_of_the_commits() {
    let (sender, receiver, gate) = (Sender::new(), Receiver::new("ehr"), Gate::default());
    let hub = Hub::start(plan([lab(&sender, &receiver).step(gate.step())])).await;
    let mut first = None;
    for n in 0..50 {
        let reply = sender.send(&format!("{n}|ORU|p|x")).await;
        assert!(
            reply
                .answer
                .is_some_and(|answer| answer.starts_with(b"AA|"))
        );
        first = first.or(reply.message);
    }
    assert_eq!(rows(&hub, first).await, [Stored::Received]);
    assert!(receiver.seen().is_empty());
    gate.open();
    let all: Vec<_> = (0..50).map(|n| n.to_string()).collect();
    let all: Vec<_> = all.iter().map(String::as_str).collect();
    receiver.takes(&all).await;
    assert_eq!(
        rows(&hub, first).await,
        [Stored::Received, Stored::Accepted]
    );
    let again = sender.send("0|ORU|p|x").await;
    assert_eq!(
        (again.disposition, again.message),
        (Disposition::Accepted, first)
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn what_a_crash_left_unprocessed_is_processed_once_and_in_order() {
    let (sender, receiver) = (Sender::new(), Receiver::new("ehr"));
    let left = (1..=3_u64).map(|n| AcceptRequest {
        disposition: Stored::Received,
        ..AcceptRequest::new(
            MessageId::new(1_700_000_000_000 + n, n.into()),
            "lab".into(),
            Payload::inline(format!("{n}|ORU|p|x").into()),
        )
    });
    let site = || plan([lab(&sender, &receiver)]);
    let mut hub = Hub::start_over(site(), left.collect()).await;
    receiver.takes(&["1", "2", "3"]).await;
    hub.restart(site()).await;
    sender.send_all(["4|ORU|p|x"]).await;
    receiver.takes(&["1", "2", "3", "4"]).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn what_cannot_be_taken_is_refused_at_once_and_what_fails_later_is_told() {
    let (sender, receiver) = (Sender::new(), Receiver::new("ehr"));
    let mail = Receiver::new("mail");
    let mut strict = lab(&sender, &receiver).step(rejects("BAD"));
    strict.accept = Some(rule("type != 'ALIEN'"));
    let alerts = subscriber("alerts", ALERT_TOPIC).to(out(&mail));
    let hub = Hub::start(plan([strict, alerts])).await;
    for (text, answer) in [("no line", "AE||100"), ("1|ALIEN|p|x", "AR|1|200")] {
        let reply = sender.send(text).await;
        let said = reply.answer.expect("an answer");
        assert!(said.starts_with(answer.as_bytes()), "{text}");
    }
    let bad = sender.send("2|BAD|p|x").await;
    assert!(bad.answer.is_some_and(|answer| answer.starts_with(b"AA|2")));
    sender.send_all(["3|ORU|p|x"]).await;
    receiver.takes(&["3"]).await;
    assert_eq!(
        rows(&hub, bad.message).await,
        [Stored::Received, Stored::Rejected]
    );
    until("an alert", || {
        mail.texts()
            .iter()
            .any(|text| text.contains("rejected-later"))
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_batch_is_answered_when_it_is_stored_and_taken_apart_afterwards() {
    let (sender, receiver) = (Sender::new(), Receiver::new("ehr"));
    let _hub = Hub::start(plan([lab(&sender, &receiver)])).await;
    let reply = sender.send("1|ORU|p|x\n2|ORU|p|x\n3|ORU|p|x").await;
    assert!(
        reply
            .answer
            .is_some_and(|answer| answer.starts_with(b"AA|"))
    );
    receiver.takes(&["1", "2", "3"]).await;
}
