//! Destinations that take several deliveries in one attempt.

use hilum_component::AfterReject;

use crate::kit::{Act, Hub, Receiver, Sender, With, channel, out, plan, until};

const BATCH: usize = 4;

/// Queues deliveries of as many patients as there are ids while the receiver is busy with `0`.
async fn queued(receiver: &Receiver, ids: &[&str]) -> Hub {
    let sender = Sender::new();
    let mut to = out(receiver);
    to.after_reject = Some(AfterReject::Continue);
    let hub = Hub::start(plan([channel("lab", &sender).to(to)])).await;
    receiver.always(Act::Hang);
    sender.send_all(["0|ORU|first|x"]).await;
    receiver.attempts(1).await;
    sender
        .send_all(ids.iter().map(|id| format!("{id}|ORU|{id}|x")))
        .await;
    hub
}

#[tokio::test(flavor = "multi_thread")]
async fn an_attempt_carries_as_many_as_the_destination_takes_and_no_more() {
    let receiver = Receiver::new("ehr").batch_max(BATCH);
    let hub = queued(&receiver, &["1", "2", "3", "4", "5"]).await;
    receiver.always(Act::Take);
    receiver.takes(&["0", "1", "2", "3", "4", "5"]).await;
    until("an empty queue", || hub.status("lab", "out").waiting == 0).await;
    assert_eq!(receiver.batches(), [1, BATCH, 1]);
}

#[tokio::test(flavor = "multi_thread")]
async fn each_delivery_of_an_attempt_has_its_own_fate() {
    let receiver = Receiver::new("ehr").batch_max(BATCH);
    let hub = queued(&receiver, &["1", "2", "3", "4"]).await;
    receiver.script(|text| match text.split('|').next() {
        Some("2") => Act::Reject,
        _ => Act::Take,
    });
    receiver.takes(&["0", "1", "3", "4"]).await;
    until("an empty queue", || hub.status("lab", "out").waiting == 0).await;
    assert_eq!(hub.status("lab", "out").dead, 1);
}

#[tokio::test(flavor = "multi_thread")]
async fn what_the_peer_did_not_take_is_sent_again_and_the_rest_is_not() {
    let receiver = Receiver::new("ehr").batch_max(BATCH);
    let hub = queued(&receiver, &["1", "2", "3", "4"]).await;
    receiver.script(|text| match text.split('|').next() {
        Some("2" | "3") => Act::Retry,
        _ => Act::Take,
    });
    until("the others", || receiver.taken().len() == 3).await;
    receiver.always(Act::Take);
    until("an empty queue", || hub.status("lab", "out").waiting == 0).await;
    assert_eq!(receiver.taken(), ["0", "1", "4", "2", "3"]);
}

#[tokio::test(flavor = "multi_thread")]
async fn deliveries_of_one_key_are_never_in_one_attempt() {
    let (sender, receiver) = (Sender::new(), Receiver::new("ehr").batch_max(BATCH));
    let hub = Hub::start(plan([channel("lab", &sender).to(out(&receiver))])).await;
    receiver.always(Act::Hang);
    sender.send_all(["0|ORU|p|x"]).await;
    receiver.attempts(1).await;
    sender
        .send_all(["1|ORU|p|x", "2|ORU|q|x", "3|ORU|p|x", "4|ORU|q|x"])
        .await;
    receiver.always(Act::Take);
    until("an empty queue", || hub.status("lab", "out").waiting == 0).await;
    assert_eq!(receiver.taken(), ["0", "1", "2", "3", "4"]);
    assert_eq!(receiver.batches(), [1, 2, 2]);
}
