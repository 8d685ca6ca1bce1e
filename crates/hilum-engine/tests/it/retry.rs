//! Destinations that are away, at fault or paused.

use hilum_engine::DestinationState;
use hilum_journal::DeliveryState;

use crate::kit::{Act, Hub, Receiver, Sender, With, channel, destination, out, plan, until};

fn texts(count: usize) -> (Vec<String>, Vec<String>) {
    let ids: Vec<_> = (0..count).map(|n| n.to_string()).collect();
    let texts = ids
        .iter()
        .map(|id| format!("{id}|ORU|p{}|x", id.len()))
        .collect();
    (ids, texts)
}

#[tokio::test(flavor = "multi_thread")]
async fn a_destination_that_was_away_gets_everything_once_and_in_order() {
    let (sender, receiver) = (Sender::new(), Receiver::new("ehr"));
    let hub = Hub::start(plan([channel("lab", &sender).to(out(&receiver))])).await;
    receiver.always(Act::Retry);
    let (ids, texts) = texts(25);
    sender.send_all(&texts).await;
    receiver.attempts(5).await;
    until("the suspension", || {
        hub.status("lab", "out").state == DestinationState::Suspended
    })
    .await;
    assert!(
        hub.status("lab", "out")
            .trouble
            .is_some_and(|text| text.contains("away"))
    );
    let seen = receiver.seen();
    assert!(
        seen.iter().all(|seen| seen.text == texts[0]),
        "one probe, of the first delivery"
    );
    assert!(
        seen.windows(2)
            .all(|two| two[0].delivery.id == two[1].delivery.id),
        "the same id"
    );
    assert!(
        seen.windows(2)
            .all(|two| two[0].delivery.attempt + 1 == two[1].delivery.attempt)
    );
    receiver.always(Act::Take);
    receiver
        .takes(&ids.iter().map(String::as_str).collect::<Vec<_>>())
        .await;
    until("an empty queue", || hub.status("lab", "out").waiting == 0).await;
    let status = hub.status("lab", "out");
    assert_eq!(
        (status.state, status.trouble),
        (DestinationState::Open, None)
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn one_destination_down_holds_up_no_other() {
    let (sender, away, fine) = (Sender::new(), Receiver::new("away"), Receiver::new("fine"));
    let lab = channel("lab", &sender)
        .to(destination("away", &away))
        .to(destination("fine", &fine));
    let _hub = Hub::start(plan([lab])).await;
    away.always(Act::Hang);
    sender.send_all(["1|ORU|p|x", "2|ORU|p|x"]).await;
    fine.takes(&["1", "2"]).await;
    assert!(away.taken().is_empty());
    away.always(Act::Take);
    away.takes(&["1", "2"]).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_halted_destination_waits_for_a_person() {
    let (sender, broken, fine) = (
        Sender::new(),
        Receiver::new("broken"),
        Receiver::new("fine"),
    );
    let lab = channel("lab", &sender)
        .to(out(&broken))
        .to(destination("fine", &fine));
    let hub = Hub::start(plan([lab])).await;
    broken.always(Act::Halt);
    sender.send_all(["1|ORU|p|x"]).await;
    until("the pause", || {
        hub.status("lab", "out").state == DestinationState::Paused
    })
    .await;
    broken.always(Act::Take);
    sender.send_all(["2|ORU|p|x", "3|ORU|q|x"]).await;
    fine.takes(&["1", "2", "3"]).await;
    assert_eq!(
        broken.seen().len(),
        1,
        "nothing is sent to a halted destination"
    );
    hub.engine()
        .resume("lab", "out", "mended")
        .await
        .expect("a resume");
    broken.takes(&["1", "2", "3"]).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_pause_survives_a_restart() {
    let (sender, paused, fine) = (
        Sender::new(),
        Receiver::new("paused"),
        Receiver::new("fine"),
    );
    let site = || {
        plan([channel("lab", &sender)
            .to(out(&paused))
            .to(destination("fine", &fine))])
    };
    let mut hub = Hub::start(site()).await;
    hub.engine()
        .pause("lab", "out", "maintenance")
        .await
        .expect("a pause");
    sender.send_all(["1|ORU|p|x"]).await;
    fine.takes(&["1"]).await;
    hub.restart(site()).await;
    sender.send_all(["2|ORU|p|x"]).await;
    fine.takes(&["1", "2"]).await;
    let status = hub.status("lab", "out");
    assert_eq!(
        (status.state, status.waiting),
        (DestinationState::Paused, 2)
    );
    assert!(
        status
            .trouble
            .is_some_and(|text| text.contains("maintenance"))
    );
    assert!(paused.seen().is_empty());
    hub.engine()
        .resume("lab", "out", "done")
        .await
        .expect("a resume");
    paused.takes(&["1", "2"]).await;
    hub.restart(site()).await;
    assert_eq!(
        hub.status("lab", "out").state,
        DestinationState::Open,
        "a resume survives too"
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn every_attempt_is_on_record() {
    let (sender, receiver) = (Sender::new(), Receiver::new("ehr"));
    let hub = Hub::start(plan([channel("lab", &sender).to(out(&receiver))])).await;
    receiver.always(Act::Retry);
    let reply = sender.send("1|ORU|p|x").await;
    receiver.attempts(2).await;
    receiver.always(Act::Take);
    receiver.takes(&["1"]).await;
    until("the settlement", || hub.status("lab", "out").waiting == 0).await;
    let trace = hub.trace(reply.message).await;
    let (stored, attempts) = &trace.deliveries[0];
    assert_eq!(stored.state, DeliveryState::Delivered);
    assert_eq!(attempts.len(), receiver.seen().len());
}
