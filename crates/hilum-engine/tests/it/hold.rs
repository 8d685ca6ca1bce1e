//! Messages that wait.

use std::time::Duration;

use hilum_component::{Disposition, Flow, Halted, StepPlan};
use hilum_engine::{Held, OldState, PlanChoice};
use hilum_journal::AcceptRequest;
use hilum_message::{MessageId, Payload};

use crate::kit::{
    Act, Hub, Receiver, Sender, With, channel, holds, line, out, plan, splits, step, until, writes,
};

fn site(sender: &Sender, receiver: &Receiver, for_ms: Option<u64>) -> hilum_component::Plan {
    plan([channel("lab", sender)
        .step(opens())
        .step(holds("HOLD", for_ms))
        .to(out(receiver))])
}

/// Messages of the types OPEN and SHUT change the state that held messages of their patient wait
/// for.
pub(crate) fn opens() -> StepPlan {
    step("open", |message, context| {
        let (kind, patient) = (
            line(message).get("type").to_owned(),
            line(message).get("patient").to_owned(),
        );
        if matches!(kind.as_str(), "OPEN" | "SHUT") {
            let gate = kind.to_lowercase();
            context.put("gate", &patient, Some(gate.into()), None);
            return Ok(Flow::Filtered("only opens or shuts".to_owned()));
        }
        Ok(Flow::Next)
    })
}

#[tokio::test(flavor = "multi_thread")]
async fn a_hold_whose_reason_went_just_before_a_crash_goes_on_after_it() {
    let (sender, receiver) = (Sender::new(), Receiver::new("ehr"));
    let site = site(&sender, &receiver, None);
    let digest = site.channels["lab"].digest;
    let left = |n: u64, text: &str| AcceptRequest {
        plan: digest,
        ..AcceptRequest::new(
            MessageId::new(1_700_000_000_000 + n, n.into()),
            "lab".into(),
            Payload::inline(text.to_owned().into()),
        )
    };
    let held = AcceptRequest {
        disposition: hilum_journal::Disposition::Held,
        hold: Some(hilum_journal::Hold {
            step: "1".into(),
            until_ms: None,
            wake: Some(("gate".into(), "p".into())),
            keys: Default::default(),
        }),
        ..left(1, "1|HOLD|p|x")
    };
    let opened = AcceptRequest {
        disposition: hilum_journal::Disposition::Filtered,
        state_writes: vec![hilum_journal::StateWrite {
            scope: "gate".into(),
            key: "p".into(),
            value: Some("open".into()),
            expires_ms: None,
        }],
        ..left(2, "2|OPEN|p|x")
    };
    let hub = Hub::start_over(site, vec![held, opened]).await;
    receiver.takes(&["1"]).await;
    drop(hub);
}

#[tokio::test(flavor = "multi_thread")]
async fn the_clock_lets_nothing_go_on_that_meanwhile_waits_for_a_person() {
    let (sender, receiver) = (Sender::new(), Receiver::new("ehr"));
    let waits = step("wait", |message, context| {
        if line(message).get("type") != "HOLD" {
            return Ok(Flow::Next);
        }
        let patient = line(message).get("patient").to_owned();
        let is_shut = context.get("gate", &patient).is_some();
        Err(Halted::Hold {
            reason: "waits".to_owned(),
            until_ms: (!is_shut).then_some(context.arrived_ms + 3_600_000),
            wake: Some(("gate".into(), patient.into())),
        })
    });
    let site = plan([channel("lab", &sender)
        .step(opens())
        .step(waits)
        .to(out(&receiver))]);
    let hub = Hub::start(site).await;
    let held = sender.send("1|HOLD|p|x").await;
    sender.send("2|SHUT|p|x").await;
    sender.send("3|HOLD|q|x").await;
    hub.advance(Duration::from_secs(2 * 3_600));
    receiver.takes(&["3"]).await;
    until("all is at rest", || hub.engine().under_way().messages == 0).await;
    assert_eq!(receiver.taken(), ["3"]);
    let message = held.message.expect("an id");
    hub.engine()
        .held(message, Held::Release, "looked at", OldState::Refuse)
        .await
        .expect("a release");
    receiver.takes(&["3", "1"]).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_held_message_blocks_its_key_and_goes_on_in_its_place() {
    for restart in [false, true] {
        let (sender, receiver) = (Sender::new(), Receiver::new("ehr"));
        let mut hub = Hub::start(site(&sender, &receiver, None)).await;
        let held = sender.send("1|HOLD|p|x").await;
        assert_eq!(held.disposition, Disposition::Held);
        assert!(
            held.answer
                .as_ref()
                .is_some_and(|answer| answer.starts_with(b"AA|1"))
        );
        sender.send_all(["2|ORU|p|x", "3|ORU|q|x"]).await;
        receiver.takes(&["3"]).await;
        if restart {
            hub.restart(site(&sender, &receiver, None)).await;
            sender.send_all(["4|ORU|p|x", "5|ORU|q|x"]).await;
            receiver.takes(&["3", "5"]).await;
        }
        let message = held.message.expect("an id");
        hub.engine()
            .held(message, Held::Release, "looked at", OldState::Refuse)
            .await
            .expect("a release");
        let order: &[_] = if restart {
            &["3", "5", "1", "2", "4"]
        } else {
            &["3", "1", "2"]
        };
        receiver.takes(order).await;
        hub.engine()
            .held(message, Held::Release, "again", OldState::Refuse)
            .await
            .expect_err("it is not held");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_message_that_is_held_twice_keeps_its_place_over_a_restart() {
    let (sender, receiver) = (Sender::new(), Receiver::new("ehr"));
    let site = || {
        plan([channel("lab", &sender)
            .step(holds("HOLD", None))
            .step(holds("HOLD", None))
            .to(out(&receiver))])
    };
    let mut hub = Hub::start(site()).await;
    sender
        .send_all(["1|HOLD|p|x", "2|ORU|p|x", "3|ORU|q|x"])
        .await;
    release(&hub).await;
    receiver.takes(&["3"]).await;
    hub.restart(site()).await;
    sender.send_all(["4|ORU|p|x", "5|ORU|q|x"]).await;
    receiver.takes(&["3", "5"]).await;
    release(&hub).await;
    receiver.takes(&["3", "5", "1", "2", "4"]).await;
}

/// Releases the held message.
async fn release(hub: &Hub) {
    let holds = hub.engine().journal().holds().await.expect("holds");
    assert_eq!(holds.len(), 1);
    hub.engine()
        .held(
            holds[0].message,
            Held::Release,
            "looked at",
            OldState::Refuse,
        )
        .await
        .expect("a release");
}

#[tokio::test(flavor = "multi_thread")]
async fn what_was_released_and_not_sent_keeps_its_place_over_a_restart() {
    let (sender, receiver) = (Sender::new(), Receiver::new("ehr"));
    let mut hub = Hub::start(site(&sender, &receiver, None)).await;
    receiver.always(Act::Retry);
    sender
        .send_all(["1|HOLD|p|x", "2|ORU|p|x", "3|ORU|p|x"])
        .await;
    release(&hub).await;
    receiver.attempts(1).await;
    hub.restart(site(&sender, &receiver, None)).await;
    receiver.always(Act::Take);
    receiver.takes(&["1", "2", "3"]).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn the_parts_of_a_held_message_all_have_its_place() {
    for parts in [3, 1_500] {
        let (sender, receiver) = (Sender::new(), Receiver::new("ehr"));
        let lab = channel("lab", &sender)
            .step(holds("HOLD", None))
            .step(splits())
            .to(out(&receiver));
        let hub = Hub::start(plan([lab])).await;
        sender
            .send_all([format!("1|HOLD|p|{parts}"), "2|ORU|p|1".to_owned()])
            .await;
        release(&hub).await;
        let ids = (0..parts).map(|part| format!("1.{part}"));
        let ids: Vec<_> = ids.chain(["2.0".to_owned()]).collect();
        let ids: Vec<_> = ids.iter().map(String::as_str).collect();
        receiver.takes(&ids).await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_held_message_that_is_rejected_lets_its_successors_go_on() {
    let (sender, receiver) = (Sender::new(), Receiver::new("ehr"));
    let mut hub = Hub::start(site(&sender, &receiver, None)).await;
    let held = sender.send("1|HOLD|p|x").await;
    sender.send_all(["2|ORU|p|x", "3|ORU|q|x"]).await;
    receiver.takes(&["3"]).await;
    let message = held.message.expect("an id");
    hub.engine()
        .held(message, Held::Reject, "wrong", OldState::Refuse)
        .await
        .expect("a rejection");
    receiver.takes(&["3", "2"]).await;
    hub.restart(site(&sender, &receiver, None)).await;
    sender.send_all(["4|ORU|p|x"]).await;
    receiver.takes(&["3", "2", "4"]).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_held_message_goes_on_when_its_time_is_up() {
    let (sender, receiver) = (Sender::new(), Receiver::new("ehr"));
    let hub = Hub::start(site(&sender, &receiver, Some(60_000))).await;
    sender
        .send_all(["1|HOLD|p|x", "2|ORU|p|x", "3|ORU|q|x"])
        .await;
    receiver.takes(&["3"]).await;
    hub.advance(Duration::from_secs(61));
    receiver.takes(&["3", "1", "2"]).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_held_message_goes_on_when_the_state_it_waits_for_changes() {
    let (sender, receiver) = (Sender::new(), Receiver::new("ehr"));
    let _hub = Hub::start(site(&sender, &receiver, None)).await;
    sender
        .send_all([
            "1|HOLD|p|x",
            "2|ORU|p|x",
            "3|HOLD|q|x",
            "4|ORU|q|x",
            "5|OPEN|q|x",
        ])
        .await;
    receiver.takes(&["3", "4"]).await;
    sender.send_all(["6|OPEN|p|x"]).await;
    receiver.takes(&["3", "4", "1", "2"]).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_change_that_does_not_satisfy_the_step_lets_it_wait_on() {
    let (sender, receiver) = (Sender::new(), Receiver::new("ehr"));
    let mut hub = Hub::start(site(&sender, &receiver, None)).await;
    let held = sender.send("1|HOLD|p|x").await;
    sender.send_all(["2|ORU|p|x", "3|SHUT|p|x"]).await;
    hub.restart(site(&sender, &receiver, None)).await;
    sender.send_all(["4|SHUT|p|y", "5|ORU|q|x"]).await;
    receiver.takes(&["5"]).await;
    let holds = hub.engine().journal().holds().await.expect("holds");
    let waiting: Vec<_> = holds.iter().map(|row| Some(row.message)).collect();
    assert_eq!(waiting, [held.message], "nothing is recorded of a look");
    sender.send_all(["6|OPEN|p|x"]).await;
    receiver.takes(&["5", "1", "2"]).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn what_the_steps_before_a_hold_did_is_not_lost() {
    let (sender, receiver) = (Sender::new(), Receiver::new("ehr"));
    let lab = channel("lab", &sender)
        .step(writes("changed"))
        .step(holds("HOLD", None))
        .step(holds("HOLD", None))
        .to(out(&receiver));
    let hub = Hub::start(plan([lab])).await;
    sender.send_all(["1|HOLD|p|x"]).await;
    release(&hub).await;
    release(&hub).await;
    receiver.takes(&["1"]).await;
    assert_eq!(receiver.texts(), ["1|HOLD|p|changed"]);
    // Looked at afterwards, it goes on where it went on then.
    let rows = hub.recorded("lab").await;
    let last = rows.last().expect("the row that went on");
    let seen = hub
        .engine()
        .recompute(last.message, &PlanChoice::Then)
        .await;
    let seen = seen.expect("a look at the steps");
    assert_eq!(seen.disposition, Disposition::Accepted);
    assert_eq!(seen.destinations.len(), 1);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_message_that_was_split_before_the_hold_goes_on_in_its_parts() {
    let (sender, receiver) = (Sender::new(), Receiver::new("ehr"));
    let lab = channel("lab", &sender)
        .step(splits())
        .step(holds("HOLD", None))
        .to(out(&receiver));
    let hub = Hub::start(plan([lab])).await;
    sender.send_all(["1|HOLD|p|3", "2|ORU|p|1"]).await;
    release(&hub).await;
    receiver.takes(&["1.0", "1.1", "1.2", "2.0"]).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn what_is_held_and_since_when_is_in_the_status() {
    let (sender, receiver) = (Sender::new(), Receiver::new("ehr"));
    let mut hub = Hub::start(site(&sender, &receiver, None)).await;
    let held = || {
        let status = hub.engine().status();
        (status.held_messages, status.held_since_ms)
    };
    assert_eq!(held(), (0, None));
    let first = sender.send("1|HOLD|p|x").await;
    hub.advance(Duration::from_secs(60));
    sender.send("2|HOLD|q|x").await;
    let since = first.message.map(|message| message.arrived_ms());
    assert_eq!(held(), (2, since));
    hub.restart(site(&sender, &receiver, None)).await;
    let status = hub.engine().status();
    assert_eq!((status.held_messages, status.held_since_ms), (2, since));
    sender.send("3|OPEN|p|x").await;
    receiver.takes(&["1"]).await;
    assert_eq!(hub.engine().status().held_messages, 1);
}
