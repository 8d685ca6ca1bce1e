//! What came while a message of its patient was held is compared with it when it is its turn.
//!
//! A text `as of N` is the state of its patient at that time, `result as of N` that of an order.

use hilum_component::{Plan, Reply};
use hilum_engine::{Held, OldState};
use hilum_journal::{DeliveryState, Outcome};
use hilum_message::DeliveryId;

use crate::hold::opens;
use crate::kit::{Act, Hub, Receiver, Sender, With, channel, holds, out, plan, until};

fn site(sender: &Sender, receiver: &Receiver) -> Plan {
    plan([channel("lab", sender)
        .step(opens())
        .step(holds("HOLD", None))
        .to(out(receiver))])
}

async fn settled(hub: &Hub) {
    until("an empty queue", || hub.status("lab", "out").waiting == 0).await;
}

/// The outcome and the reason of the last attempt.
async fn last(hub: &Hub, message: &Reply) -> (Outcome, String) {
    let trace = hub.trace(message.message).await;
    let last = trace.deliveries[0].1.last().expect("an attempt");
    let reason = last.reason.as_deref().expect("a reason");
    (last.outcome, reason.to_owned())
}

/// Where the node stops and starts again.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Restart {
    Never,
    WhileHeld,
    BeforeAny,
    AfterTheHeldOne,
}

#[tokio::test(flavor = "multi_thread")]
async fn an_older_result_that_waited_behind_a_held_one_is_not_sent_and_the_trace_says_why() {
    for restart in [
        Restart::Never,
        Restart::WhileHeld,
        Restart::BeforeAny,
        Restart::AfterTheHeldOne,
    ] {
        let (sender, receiver) = (Sender::new(), Receiver::new("ehr"));
        let mut hub = Hub::start(site(&sender, &receiver)).await;
        let held = sender.send("1|HOLD|p|result as of 5").await;
        let old = sender.send("2|ORU|p|result as of 3").await;
        let other = sender.send("3|ORU|q|result as of 3").await;
        sender.send_all(["4|ORU|p|result as of 9"]).await;
        receiver.takes(&["3"]).await;
        until("the queue", || hub.status("lab", "out").waiting == 2).await;
        if restart == Restart::WhileHeld {
            hub.restart(site(&sender, &receiver)).await;
        }
        receiver.script(move |text| match text.split('|').next() {
            _ if restart == Restart::BeforeAny => Act::Retry,
            Some("1") => Act::Take,
            _ if restart == Restart::AfterTheHeldOne => Act::Retry,
            _ => Act::Take,
        });
        // Had it not waited behind the hold it would be sent, so nobody may look at it now.
        sender.send("5|OPEN|p|x").await;
        match restart {
            Restart::Never | Restart::WhileHeld => {}
            Restart::BeforeAny => {
                until("the hold to end", || hub.status("lab", "out").waiting == 3).await;
                hub.restart(site(&sender, &receiver)).await;
            }
            Restart::AfterTheHeldOne => {
                receiver.takes(&["3", "1"]).await;
                hub.restart(site(&sender, &receiver)).await;
            }
        }
        receiver.always(Act::Take);
        receiver.takes(&["3", "1", "4"]).await;
        settled(&hub).await;
        assert_eq!(
            hub.deliveries(old.message).await,
            [DeliveryState::Withdrawn],
            "{restart:?}"
        );
        let (outcome, reason) = last(&hub, &old).await;
        assert_eq!(outcome, Outcome::Withdrawn);
        assert!(reason.ends_with("(old-state)"), "{reason}");
        let trace = hub.trace(held.message).await;
        let newer = trace
            .related
            .last()
            .expect("what went on")
            .message
            .to_string();
        assert!(reason.contains(&newer), "{reason}");
        assert_eq!(
            hub.deliveries(other.message).await,
            [DeliveryState::Delivered]
        );
        assert_eq!(hub.status("lab", "out").dead, 0);
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn an_older_event_is_kept_for_a_person_and_nobody_waits_for_it() {
    let (sender, receiver) = (Sender::new(), Receiver::new("ehr"));
    let hub = Hub::start(site(&sender, &receiver)).await;
    let held = sender.send("1|HOLD|p|as of 5").await;
    let old = sender.send("2|ADT|p|as of 3").await;
    sender.send_all(["3|ADT|p|as of 9"]).await;
    let release = hub.engine().held(
        held.message.expect("an id"),
        Held::Release,
        "it is so",
        OldState::Refuse,
    );
    release.await.expect("a release");
    receiver.takes(&["1", "3"]).await;
    settled(&hub).await;
    let (outcome, reason) = last(&hub, &old).await;
    assert_eq!(outcome, Outcome::DeadLetter);
    assert!(reason.contains("--force"), "{reason}");
    let id = DeliveryId {
        message: old.message.expect("an id"),
        ordinal: 0,
    };
    let forced = hub.engine().requeue(id, "it is so", OldState::Force);
    forced.await.expect("forced");
    receiver.takes(&["1", "3", "2"]).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn whoever_waited_for_nothing_newer_is_sent() {
    let (sender, receiver) = (Sender::new(), Receiver::new("ehr"));
    let hub = Hub::start(site(&sender, &receiver)).await;
    // The receiver has a newer state of before the hold, and the sender knew it.
    sender.send_all(["1|ADT|p|as of 9"]).await;
    receiver.takes(&["1"]).await;
    sender.send("2|HOLD|p|result as of 5").await;
    sender.send_all(["3|ADT|p|as of 3"]).await;
    let rejected = sender.send("4|HOLD|q|result as of 5").await;
    sender.send_all(["5|ORU|q|result as of 3"]).await;
    sender.send("6|OPEN|p|x").await;
    receiver.takes(&["1", "2", "3"]).await;
    let reject = hub.engine().held(
        rejected.message.expect("an id"),
        Held::Reject,
        "not hers",
        OldState::Refuse,
    );
    reject.await.expect("it ends");
    receiver.takes(&["1", "2", "3", "5"]).await;
}
