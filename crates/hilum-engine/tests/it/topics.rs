//! Publication from channel to channel.

use std::time::Duration;

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

#[tokio::test(flavor = "multi_thread")]
async fn a_publication_is_settled_from_the_next_partition() {
    let (sender, first, second) = (
        Sender::new(),
        Receiver::new("first"),
        Receiver::new("second"),
    );
    let site = || {
        plan([
            channel("lab", &sender).to(topic("results")),
            subscriber("ehr", "results").to(out(&first)),
            subscriber("ward", "results").to(out(&second)),
        ])
    };
    let mut hub = Hub::start(site()).await;
    let engine = hub.engine();
    engine
        .pause("lab", "results", "the day ends")
        .await
        .expect("paused");
    let published = sender.send("1|ORU|p|x").await;
    // The day of the next partition, which takes two looks: opened, then used.
    hub.advance(Duration::from_secs(24 * 3_600));
    for _ in 0..2 {
        engine.journal().maintain().expect("housekeeping");
    }
    engine
        .resume("lab", "results", "a new day")
        .await
        .expect("resumed");
    first.takes(&["1"]).await;
    second.takes(&["1"]).await;
    let (from, to) = (hub.recorded("lab").await, hub.recorded("ward").await);
    assert_ne!(from[0].partition, to[0].partition);
    let settled =
        async { while hub.deliveries(published.message).await != [DeliveryState::Delivered] {} };
    tokio::time::timeout(crate::kit::PATIENCE, settled)
        .await
        .expect("settled in its own partition");
    hub.restart(site()).await;
    sender.send_all(["2|ORU|p|x"]).await;
    first.takes(&["1", "2"]).await;
    second.takes(&["1", "2"]).await;
    assert_eq!(hub.recorded("ehr").await.len(), 2);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_subscriber_that_is_added_starts_at_the_next_message() {
    let (sender, first, second) = (
        Sender::new(),
        Receiver::new("first"),
        Receiver::new("second"),
    );
    let before = || {
        [
            channel("lab", &sender).to(topic("results")),
            subscriber("ehr", "results").to(out(&first)),
        ]
    };
    let hub = Hub::start(plan(before())).await;
    sender.send_all(["1|ORU|p|x"]).await;
    first.takes(&["1"]).await;
    let ward = subscriber("ward", "results").to(out(&second));
    hub.engine()
        .reload(plan(before().into_iter().chain([ward])))
        .await
        .expect("a reload");
    sender.send_all(["2|ORU|p|x"]).await;
    first.takes(&["1", "2"]).await;
    second.takes(&["2"]).await;
    assert_eq!(hub.recorded("ward").await.len(), 1);
}
