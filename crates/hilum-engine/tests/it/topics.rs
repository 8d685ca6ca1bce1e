//! Publication from channel to channel.

use hilum_journal::DeliveryState;

use crate::kit::{
    Hub, Receiver, Sender, With, channel, out, plan, subscriber, topic, until, writes,
};

#[tokio::test(flavor = "multi_thread")]
async fn a_publication_reaches_every_subscriber_once_and_in_order() {
    let (sender, first, second) = (
        Sender::new(),
        Receiver::new("first"),
        Receiver::new("second"),
    );
    let site = [
        channel("lab", &sender)
            .step(writes("published"))
            .to(topic("results")),
        subscriber("ehr", "results").to(out(&first)),
        subscriber("ward", "results")
            .step(writes("own"))
            .to(out(&second)),
        subscriber("other", "elsewhere").to(out(&first)),
    ];
    let hub = Hub::start(plan(site)).await;
    sender
        .send_all(["1|ORU|p|x", "2|ORU|p|x", "3|ORU|p|x"])
        .await;
    first.takes(&["1", "2", "3"]).await;
    second.takes(&["1", "2", "3"]).await;
    assert_eq!(first.texts()[0], "1|ORU|p|published");
    assert_eq!(second.texts()[0], "1|ORU|p|own");
    until("settled publications", || {
        hub.status("lab", "results").waiting == 0
    })
    .await;
    assert_eq!(hub.recorded("ehr").await.len(), 3);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_cycle_of_topics_ends_at_the_hop_limit() {
    let (sender, receiver) = (Sender::new(), Receiver::new("ehr"));
    let site = [
        channel("lab", &sender).to(topic("loop")),
        subscriber("echo", "loop")
            .to(out(&receiver))
            .to(topic("loop")),
    ];
    let hub = Hub::start(plan(site)).await;
    sender.send_all(["1|ORU|p|x"]).await;
    until("the end of the cycle", || {
        hub.status("echo", "loop").dead == 1
    })
    .await;
    until("the deliveries", || hub.status("echo", "out").waiting == 0).await;
    assert_eq!(receiver.taken().len(), 16);
    let rows = hub.recorded("echo").await;
    assert_eq!(rows.len(), 16);
    let states = hub.deliveries(rows.last().map(|row| row.message)).await;
    assert_eq!(
        states,
        [DeliveryState::Delivered, DeliveryState::DeadLetter]
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn a_publication_without_subscriber_is_settled() {
    let sender = Sender::new();
    let hub = Hub::start(plan([channel("lab", &sender).to(topic("nobody"))])).await;
    let reply = sender.send("1|ORU|p|x").await;
    until("the settlement", || {
        hub.status("lab", "nobody").waiting == 0
    })
    .await;
    assert_eq!(
        hub.deliveries(reply.message).await,
        [DeliveryState::Delivered]
    );
}
