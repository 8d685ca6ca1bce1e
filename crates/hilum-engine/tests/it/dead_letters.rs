//! Deliveries that a receiver refuses, and what becomes of those behind them.

use hilum_component::{AfterReject, Reply};
use hilum_engine::{DestinationState, OldState};
use hilum_journal::DeliveryState;
use hilum_message::DeliveryId;

use crate::kit::{Act, Hub, Receiver, Sender, With, channel, out, plan, until};

fn first(reply: &Reply) -> DeliveryId {
    DeliveryId {
        message: reply.message.expect("an id"),
        ordinal: 0,
    }
}

fn refuses_first(receiver: &Receiver) {
    receiver.script(|text| {
        if text.starts_with("1|") {
            Act::Reject
        } else {
            Act::Take
        }
    });
}

fn site(sender: &Sender, receiver: &Receiver, after: Option<AfterReject>) -> hilum_component::Plan {
    let mut to = out(receiver);
    to.after_reject = after;
    plan([channel("lab", sender).to(to)])
}

#[tokio::test(flavor = "multi_thread")]
async fn successors_go_on_where_the_plan_says_continue() {
    let (sender, receiver) = (Sender::new(), Receiver::new("ehr"));
    let after = Some(AfterReject::Continue);
    let mut hub = Hub::start(site(&sender, &receiver, after)).await;
    refuses_first(&receiver);
    let reply = sender.send("1|ADT|p|x").await;
    sender.send_all(["2|ADT|p|x"]).await;
    receiver.takes(&["2"]).await;
    assert_eq!(
        hub.deliveries(reply.message).await,
        [DeliveryState::DeadLetter]
    );
    hub.restart(site(&sender, &receiver, after)).await;
    sender.send_all(["3|ADT|p|x"]).await;
    receiver.takes(&["2", "3"]).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_dead_letter_holds_its_key_over_a_restart_until_it_is_withdrawn() {
    let (sender, receiver) = (Sender::new(), Receiver::new("ehr"));
    let after = Some(AfterReject::HoldKey);
    let mut hub = Hub::start(site(&sender, &receiver, after)).await;
    refuses_first(&receiver);
    let reply = sender.send("1|ORU|p|x").await;
    sender.send_all(["2|ORU|p|x", "3|ORU|q|x"]).await;
    receiver.takes(&["3"]).await;
    let status = hub.status("lab", "out");
    assert_eq!(
        (status.state, status.holding, status.held),
        (DestinationState::Open, 1, 1)
    );
    hub.restart(site(&sender, &receiver, after)).await;
    sender.send_all(["4|ORU|p|x", "5|ORU|q|x"]).await;
    receiver.takes(&["3", "5"]).await;
    until("two held", || hub.status("lab", "out").held == 2).await;
    assert_eq!(hub.status("lab", "out").holding, 1);
    hub.engine()
        .withdraw(first(&reply), "not needed")
        .await
        .expect("a withdrawal");
    receiver.takes(&["3", "5", "2", "4"]).await;
    assert_eq!(
        hub.deliveries(reply.message).await,
        [DeliveryState::Withdrawn]
    );
    hub.engine()
        .withdraw(first(&reply), "again")
        .await
        .expect_err("it is no dead letter any more");
    hub.restart(site(&sender, &receiver, after)).await;
    sender.send_all(["6|ORU|p|x"]).await;
    receiver.takes(&["3", "5", "2", "4", "6"]).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_requeued_dead_letter_goes_before_its_successors() {
    for restart in [false, true] {
        let (sender, receiver) = (Sender::new(), Receiver::new("ehr"));
        let after = Some(AfterReject::HoldKey);
        let mut hub = Hub::start(site(&sender, &receiver, after)).await;
        refuses_first(&receiver);
        let reply = sender.send("1|ORU|p|x").await;
        sender.send_all(["2|ORU|p|x", "3|ORU|q|x"]).await;
        receiver.takes(&["3"]).await;
        if restart {
            hub.restart(site(&sender, &receiver, after)).await;
        }
        receiver.always(Act::Take);
        hub.engine()
            .requeue(first(&reply), "mended", OldState::Refuse)
            .await
            .expect("a requeue");
        receiver.takes(&["3", "1", "2"]).await;
        until("an empty queue", || hub.status("lab", "out").waiting == 0).await;
        assert_eq!(
            hub.deliveries(reply.message).await,
            [DeliveryState::Delivered]
        );
        hub.engine()
            .requeue(first(&reply), "again", OldState::Refuse)
            .await
            .expect_err("it is delivered");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn the_type_of_the_message_decides_where_the_plan_does_not() {
    let (sender, receiver) = (Sender::new(), Receiver::new("ehr"));
    let hub = Hub::start(site(&sender, &receiver, None)).await;
    refuses_first(&receiver);
    sender
        .send_all(["1|ADT|p|x", "2|ADT|p|x", "1|ORU|q|x", "3|ORU|q|x"])
        .await;
    receiver.takes(&["3"]).await;
    let status = hub.status("lab", "out");
    assert_eq!((status.dead, status.holding, status.held), (2, 1, 1));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_refusal_can_hold_the_whole_destination() {
    let (sender, receiver) = (Sender::new(), Receiver::new("ehr"));
    let after = Some(AfterReject::HoldDestination);
    let hub = Hub::start(site(&sender, &receiver, after)).await;
    refuses_first(&receiver);
    sender.send_all(["1|ORU|p|x", "2|ORU|q|x"]).await;
    until("the pause", || {
        hub.status("lab", "out").state == DestinationState::Paused
    })
    .await;
    assert!(receiver.taken().is_empty());
    hub.engine()
        .resume("lab", "out", "looked at")
        .await
        .expect("a resume");
    receiver.takes(&["2"]).await;
}
