//! Messages that become several.

use hilum_component::{Disposition, Millis, Order, Plan};
use hilum_journal::Disposition as Stored;

use crate::kit::{Hub, Receiver, Sender, With, channel, out, plan, rejects, splits};

#[tokio::test(flavor = "multi_thread")]
async fn the_parts_of_a_message_are_delivered_in_order_and_know_their_parent() {
    let (sender, receiver) = (Sender::new(), Receiver::new("ehr"));
    let hub = Hub::start(plan([channel("lab", &sender)
        .step(splits())
        .to(out(&receiver))]))
    .await;
    let reply = sender.send("1|ORU|p|3").await;
    assert_eq!(reply.disposition, Disposition::Accepted);
    receiver.takes(&["1.0", "1.1", "1.2"]).await;
    let rows = hub.recorded("lab").await;
    let parents: Vec<_> = rows.iter().map(|row| row.parent).collect();
    let parent = reply.message.expect("an id");
    assert_eq!(
        parents,
        [
            None,
            Some((parent, 0)),
            Some((parent, 1)),
            Some((parent, 2))
        ]
    );
    assert_eq!(hub.trace(reply.message).await.related.len(), 3);
}

#[tokio::test(flavor = "multi_thread")]
async fn more_parts_than_one_commit_holds_are_each_delivered_once() {
    const PARTS: usize = 2_500;
    let (sender, receiver) = (Sender::new(), Receiver::new("ehr"));
    let site = || plan([channel("lab", &sender).step(splits()).to(out(&receiver))]);
    let mut hub = Hub::start(site()).await;
    let reply = sender.send(&format!("1|ORU|p|{PARTS}")).await;
    assert_eq!(reply.disposition, Disposition::Accepted);
    let parts: Vec<_> = (0..PARTS).map(|part| format!("1.{part}")).collect();
    receiver
        .takes(&parts.iter().map(String::as_str).collect::<Vec<_>>())
        .await;
    assert_eq!(
        hub.trace(reply.message).await.rows[0].disposition,
        Stored::BatchOpen
    );
    hub.restart(site()).await;
    sender.send_all(["2|ORU|p|1"]).await;
    crate::kit::until("the next", || receiver.taken().len() > PARTS).await;
    assert_eq!(
        receiver.taken()[PARTS],
        "2.0",
        "nothing of the batch comes again"
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn parts_that_a_stop_cut_off_are_completed_at_the_next_start() {
    const PARTS: usize = 3_500;
    let (sender, receiver) = (Sender::new(), Receiver::new("ehr").concurrency(8));
    let site = || {
        let mut lab = channel("lab", &sender).step(splits()).to(out(&receiver));
        lab.order = Order::Rule(crate::kit::rule("id"));
        Plan {
            stop_within: Millis(1),
            ..plan([lab])
        }
    };
    let mut hub = Hub::start(site()).await;
    let sending = tokio::spawn({
        let sender = sender.clone();
        async move { sender.send(&format!("1|ORU|p|{PARTS}")).await }
    });
    receiver.attempts(1).await;
    // The peer hangs up, and the engine is stopped before it has recorded all parts.
    sending.abort();
    hub.restart(site()).await;
    crate::kit::until("all parts", || receiver.taken().len() >= PARTS).await;
    let mut taken = receiver.taken();
    taken.sort_unstable();
    taken.dedup();
    assert_eq!((taken.len(), receiver.taken().len()), (PARTS, PARTS));
    let rows = hub.dispositions("lab").await;
    assert!(rows.contains(&Stored::BatchClosed));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_batch_says_no_if_one_is_wrong_and_delivers_the_others() {
    let (sender, receiver) = (Sender::new(), Receiver::new("ehr"));
    let lab = channel("lab", &sender)
        .step(rejects("BAD"))
        .to(out(&receiver));
    let hub = Hub::start(plan([lab])).await;
    let good = sender.send("1|ORU|p|x\n2|ORU|q|x\n").await;
    assert!(good.answer.is_some_and(|answer| answer.starts_with(b"AA")));
    let mixed = sender.send("3|ORU|p|x\n4|BAD|q|x\n5|ORU|p|x").await;
    assert!(mixed.answer.is_some_and(|answer| answer.starts_with(b"AE")));
    receiver.takes(&["1", "2", "3", "5"]).await;
    let related = hub.trace(mixed.message).await.related;
    let fates: Vec<_> = related.iter().map(|row| row.disposition).collect();
    assert_eq!(
        fates,
        [Stored::Accepted, Stored::Rejected, Stored::Accepted]
    );
}
