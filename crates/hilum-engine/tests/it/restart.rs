//! What a stop leaves for the next start.

use crate::kit::{Act, Hub, Receiver, Sender, With, channel, out, plan, splits, until};

#[tokio::test(flavor = "multi_thread")]
async fn a_stop_leaves_the_queue_for_the_next_start() {
    let (sender, receiver) = (Sender::new(), Receiver::new("ehr"));
    let site = || plan([channel("lab", &sender).to(out(&receiver))]);
    let mut hub = Hub::start(site()).await;
    receiver.always(Act::Retry);
    sender
        .send_all(["1|ORU|p|x", "2|ORU|q|x", "3|ORU|p|x"])
        .await;
    receiver.attempts(1).await;
    hub.stop().await;
    let attempts = receiver.seen().len();
    receiver.always(Act::Take);
    hub.restart(site()).await;
    receiver.takes(&["1", "2", "3"]).await;
    assert_eq!(
        receiver.seen().len(),
        attempts + 3,
        "nothing was sent while it was stopped"
    );
    until("an empty queue", || hub.status("lab", "out").waiting == 0).await;
    hub.restart(site()).await;
    sender.send_all(["4|ORU|p|x"]).await;
    receiver.takes(&["1", "2", "3", "4"]).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_send_without_answer_does_not_keep_the_engine_from_stopping() {
    let (sender, receiver) = (Sender::new(), Receiver::new("ehr"));
    let site = || plan([channel("lab", &sender).to(out(&receiver))]);
    let mut hub = Hub::start(site()).await;
    receiver.always(Act::Hang);
    sender.send_all(["1|ORU|p|x", "2|ORU|p|x"]).await;
    receiver.attempts(1).await;
    let stopped = tokio::time::timeout(crate::kit::PATIENCE, hub.stop()).await;
    assert!(stopped.is_ok(), "it stops within its time");
    receiver.always(Act::Take);
    hub.restart(site()).await;
    receiver.takes(&["1", "2"]).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_backlog_beyond_the_window_is_delivered_once_and_in_order() {
    const BATCHES: usize = 10;
    const PARTS: usize = 500;
    const { assert!(BATCHES * PARTS > hilum_engine::lanes::WINDOW) };
    let (sender, receiver) = (Sender::new(), Receiver::new("ehr"));
    let site = || plan([channel("lab", &sender).step(splits()).to(out(&receiver))]);
    let mut hub = Hub::start(site()).await;
    receiver.always(Act::Retry);
    sender
        .send_all((0..BATCHES).map(|batch| format!("{batch}|ORU|p{}|{PARTS}", batch % 3)))
        .await;
    hub.restart(site()).await;
    assert_eq!(hub.status("lab", "out").waiting, (BATCHES * PARTS) as u64);
    until("a window", || hub.status("lab", "out").in_memory > 0).await;
    let in_memory = hub.status("lab", "out").in_memory;
    assert!(
        (1..=hilum_engine::lanes::WINDOW).contains(&in_memory),
        "{in_memory}"
    );
    receiver.always(Act::Take);
    sender.send_all(["new|ORU|p0|1"]).await;
    let parts =
        (0..BATCHES).flat_map(|batch| (0..PARTS).map(move |part| format!("{batch}.{part}")));
    let parts: Vec<_> = parts.chain(["new.0".to_owned()]).collect();
    until("the whole backlog", || {
        receiver.taken().len() >= parts.len()
    })
    .await;
    assert!(receiver.taken() == parts, "in commit order");
    until("an empty queue", || hub.status("lab", "out").waiting == 0).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_stop_waits_for_the_answer_to_a_send_and_begins_no_other() {
    let (sender, receiver) = (Sender::new(), Receiver::new("ehr"));
    let site = || {
        let mut site = plan([channel("lab", &sender).to(out(&receiver))]);
        site.stop_within = hilum_component::Millis(10_000);
        site
    };
    let mut hub = Hub::start(site()).await;
    receiver.always(Act::Hang);
    sender.send_all(["1|ORU|p|x", "2|ORU|q|x"]).await;
    receiver.attempts(1).await;
    let answer = async {
        // The stop has been requested when the source is gone.
        sender.gone().await;
        receiver.always(Act::Take);
    };
    tokio::join!(hub.stop(), answer);
    assert_eq!(receiver.taken(), ["1"], "nothing new was begun");
    hub.restart(site()).await;
    receiver.takes(&["1", "2"]).await;
}

/// On one thread, so that nothing runs that was not waited for.
#[tokio::test]
async fn an_engine_that_has_started_takes_messages_at_every_channel() {
    let receiver = Receiver::new("ehr");
    let senders: Vec<Sender> = (0..20).map(|_| Sender::new()).collect();
    let names: Vec<String> = (0..20).map(|number| format!("lab-{number}")).collect();
    let channels = names.iter().zip(&senders);
    let site = channels.map(|(name, sender)| channel(name, sender).to(out(&receiver)));
    let hub = Hub::start(plan(site)).await;
    assert!(senders.iter().all(Sender::runs));
    let status = hub.engine().status();
    assert!(status.channels.iter().all(|one| one.trouble.is_none()));
}

#[tokio::test(start_paused = true)]
async fn an_engine_starts_though_a_source_fails_and_says_why_until_it_runs() {
    let (bad, good) = (Sender::new(), Sender::new());
    let receiver = Receiver::new("ehr");
    bad.fail(true);
    let site = plan(
        [("bad", &bad), ("good", &good)]
            .map(|(name, sender)| channel(name, sender).to(out(&receiver))),
    );
    let hub = Hub::start(site).await;
    assert!(good.runs() && !bad.runs());
    let trouble = || hub.engine().status().channels[0].trouble.clone();
    let told = "the scripted source fails (stop the script)".to_owned();
    assert_eq!(trouble(), Some(told));
    bad.fail(false);
    until("the source runs again", || {
        bad.runs() && trouble().is_none()
    })
    .await;
}
