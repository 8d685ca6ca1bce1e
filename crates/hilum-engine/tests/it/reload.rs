//! New plans while messages run.

use hilum_engine::EngineError;

use crate::kit::{
    Act, Hub, Receiver, Sender, With, channel, destination, digest, out, plan, until, writes,
};

#[tokio::test(flavor = "multi_thread")]
async fn a_changed_step_applies_to_the_next_message_and_leaves_the_source_alone() {
    let (sender, receiver) = (Sender::new(), Receiver::new("ehr"));
    let lab = channel("lab", &sender).to(out(&receiver));
    let hub = Hub::start(plan([lab.clone().step(writes("one"))])).await;
    sender.send_all(["1|ORU|p|x"]).await;
    let changed = plan([lab.version(2).step(writes("two"))]);
    let report = hub.engine().reload(changed).await.expect("a reload");
    assert_eq!(report.changed, ["lab".into()]);
    assert!(report.started.is_empty() && report.stopped.is_empty());
    sender.send_all(["2|ORU|p|x"]).await;
    receiver.takes(&["1", "2"]).await;
    assert_eq!(receiver.texts(), ["1|ORU|p|one", "2|ORU|p|two"]);
    assert_eq!(sender.opened(), 1);
}

#[tokio::test(flavor = "multi_thread")]
async fn channels_come_and_go() {
    let (lab, adt, receiver) = (Sender::new(), Sender::new(), Receiver::new("ehr"));
    let first = channel("lab", &lab).to(out(&receiver));
    let second = channel("adt", &adt).to(out(&receiver));
    let hub = Hub::start(plan([first])).await;
    lab.send_all(["1|ORU|p|x"]).await;
    receiver.takes(&["1"]).await;
    until("an empty queue", || hub.status("lab", "out").waiting == 0).await;
    let report = hub.engine().reload(plan([second])).await.expect("a reload");
    assert_eq!(
        (report.started, report.stopped),
        (vec!["adt".into()], vec!["lab".into()])
    );
    adt.send_all(["2|ADT|p|x"]).await;
    receiver.takes(&["1", "2"]).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_destination_with_a_queue_does_not_vanish() {
    let (sender, gone, kept) = (Sender::new(), Receiver::new("gone"), Receiver::new("kept"));
    let lab = channel("lab", &sender).to(destination("kept", &kept));
    let hub = Hub::start(plan([lab.clone().to(destination("gone", &gone))])).await;
    gone.always(Act::Retry);
    sender.send_all(["1|ORU|p|x"]).await;
    kept.takes(&["1"]).await;
    let without = plan([lab.version(2)]);
    let error = hub
        .engine()
        .reload(without.clone())
        .await
        .expect_err("it has a queue");
    assert!(
        matches!(&error, EngineError::RemovedWithQueue(names) if names[0].to_string().starts_with("lab/gone"))
    );
    sender.send_all(["2|ORU|p|x"]).await;
    gone.always(Act::Take);
    gone.takes(&["1", "2"]).await;
    until("an empty queue", || hub.status("lab", "gone").waiting == 0).await;
    hub.engine().reload(without).await.expect("it is empty now");
    sender.send_all(["3|ORU|p|x"]).await;
    kept.takes(&["1", "2", "3"]).await;
    assert_eq!(gone.taken(), ["1", "2"]);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_source_that_cannot_be_opened_keeps_the_old_one() {
    let (old, bad, receiver) = (Sender::new(), Sender::new(), Receiver::new("ehr"));
    bad.break_it();
    let hub = Hub::start(plan([channel("lab", &old)
        .step(writes("old"))
        .to(out(&receiver))]))
    .await;
    let mut changed = channel("lab", &bad)
        .version(2)
        .step(writes("new"))
        .to(out(&receiver));
    changed.source.digest = digest("source", 2);
    let error = hub
        .engine()
        .reload(plan([changed]))
        .await
        .expect_err("it cannot be opened");
    assert!(matches!(&error, EngineError::Sources(why) if why[0].contains("channel lab")));
    old.send_all(["1|ORU|p|x"]).await;
    receiver.takes(&["1"]).await;
    assert_eq!(receiver.texts(), ["1|ORU|p|old"]);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_source_that_cannot_be_opened_keeps_the_engine_from_starting() {
    let bad = Sender::new();
    bad.break_it();
    let error = Hub::refused(plan([channel("lab", &bad)])).await;
    assert!(matches!(&error, EngineError::Sources(why) if why[0].contains("channel lab")));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_changed_destination_gets_what_waits_in_order() {
    let (sender, old, new) = (Sender::new(), Receiver::new("old"), Receiver::new("new"));
    let lab = channel("lab", &sender);
    let hub = Hub::start(plan([lab.clone().to(out(&old))])).await;
    old.always(Act::Retry);
    sender.send_all(["1|ORU|p|x", "2|ORU|p|x"]).await;
    old.attempts(2).await;
    let mut moved = out(&new);
    moved.digest = digest("out", 2);
    hub.engine()
        .reload(plan([lab.version(2).to(moved)]))
        .await
        .expect("a reload");
    sender.send_all(["3|ORU|p|x"]).await;
    new.takes(&["1", "2", "3"]).await;
    assert!(old.taken().is_empty());
}
