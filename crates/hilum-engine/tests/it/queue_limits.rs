//! A queue at its limit holds the source, says so, and lets it go by itself.

use hilum_component::{DestinationPlan, Size};
use hilum_engine::ALERT_TOPIC;

use crate::kit::{
    Act, Hub, Receiver, Sender, With, channel, destination, out, plan, subscriber, topic, until,
};

fn limited(name: &str, receiver: &Receiver, messages: u64, bytes: u64) -> DestinationPlan {
    let mut plan = destination(name, receiver);
    plan.queue_max = messages;
    plan.queue_bytes_max = Size(bytes);
    plan
}

fn held_by(hub: &Hub, channel: &str) -> Option<String> {
    let status = hub.engine().status();
    let of = status.channels.iter().find(|c| &*c.name == channel);
    of.and_then(|c| c.held_by.as_deref().map(str::to_owned))
}

/// Sends until the source is held, then lets the receiver go on: everything arrives.
async fn holds_and_goes_on(messages: u64, bytes: u64) {
    let (lab, adt) = (Sender::new(), Sender::new());
    let (slow, fine, mail) = (
        Receiver::new("slow"),
        Receiver::new("fine"),
        Receiver::new("mail"),
    );
    let hub = Hub::start(plan([
        channel("lab", &lab).to(limited("out", &slow, messages, bytes)),
        channel("adt", &adt).to(destination("other", &fine)),
        subscriber("alerts", ALERT_TOPIC).to(out(&mail)),
    ]))
    .await;
    slow.always(Act::Hang);
    lab.send_all(["0|ORU|p|x", "1|ORU|p|x", "2|ORU|p|x"]).await;
    until("a full queue", || hub.status("lab", "out").full).await;
    let held = tokio::spawn({
        let lab = lab.clone();
        async move { lab.send("3|ORU|p|x").await }
    });
    until("the alert", || !mail.texts().is_empty()).await;
    assert!(mail.texts()[0].contains("queue-full") && mail.texts()[0].contains("raised"));
    assert_eq!(held_by(&hub, "lab").as_deref(), Some("out"));
    assert_eq!(held_by(&hub, "adt"), None);
    adt.send_all(["a|ADT|p|x", "b|ADT|p|x"]).await;
    fine.takes(&["a", "b"]).await;
    assert!(!held.is_finished(), "the source is held");
    assert_eq!(hub.recorded("lab").await.len(), 3, "nothing more was taken");

    slow.always(Act::Take);
    let reply = held.await.expect("a reply");
    assert!(reply.disposition.is_positive(), "{reply:?}");
    slow.takes(&["0", "1", "2", "3"]).await;
    until("an empty queue", || hub.status("lab", "out").waiting == 0).await;
    assert_eq!(hub.status("lab", "out").waiting_bytes, 0);
    until("the end of the alert", || mail.texts().len() == 2).await;
    assert!(mail.texts()[1].contains("cleared"));
}

#[tokio::test(flavor = "multi_thread")]
async fn the_source_is_held_one_over_the_number_of_deliveries() {
    holds_and_goes_on(3, 1_000_000).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn the_source_is_held_one_over_the_bytes() {
    holds_and_goes_on(1_000, 3 * "0|ORU|p|x".len() as u64).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_held_source_does_not_keep_the_engine_from_stopping_and_nothing_is_lost() {
    let (lab, receiver) = (Sender::new(), Receiver::new("ehr"));
    let site = || plan([channel("lab", &lab).to(limited("out", &receiver, 2, 1_000_000))]);
    let mut hub = Hub::start(site()).await;
    receiver.always(Act::Retry);
    lab.send_all(["0|ORU|p|x", "1|ORU|p|x"]).await;
    until("a full queue", || hub.status("lab", "out").full).await;
    // The message is on its way before the stop is asked for.
    let (reply, ()) = tokio::join!(biased; lab.send("2|ORU|p|x"), hub.stop());
    assert!(!reply.disposition.is_positive(), "it is told to send again");
    hub.restart(site()).await;
    assert!(hub.status("lab", "out").full, "full from the start");
    receiver.always(Act::Take);
    lab.send_all(["2|ORU|p|x"]).await;
    receiver.takes(&["0", "1", "2"]).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_larger_limit_in_a_new_plan_lets_the_source_go() {
    let (lab, receiver) = (Sender::new(), Receiver::new("ehr"));
    let site = |version, max| {
        let to = limited("out", &receiver, max, 1_000_000);
        plan([channel("lab", &lab).version(version).to(to)])
    };
    let hub = Hub::start(site(1, 1)).await;
    receiver.always(Act::Hang);
    lab.send_all(["0|ORU|p|x"]).await;
    until("a full queue", || hub.status("lab", "out").full).await;
    hub.engine().reload(site(2, 10)).await.expect("a reload");
    lab.send_all(["1|ORU|p|x"]).await;
    receiver.always(Act::Take);
    receiver.takes(&["0", "1"]).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_full_subscriber_holds_the_publisher_and_then_its_source() {
    let (lab, receiver) = (Sender::new(), Receiver::new("ehr"));
    let mut publish = topic("results");
    publish.queue_max = 2;
    let hub = Hub::start(plan([
        channel("lab", &lab).to(publish),
        subscriber("ward", "results").to(limited("out", &receiver, 2, 1_000_000)),
    ]))
    .await;
    receiver.always(Act::Hang);
    lab.send_all(["0|ORU|p|x", "1|ORU|p|x"]).await;
    until("a full subscriber", || hub.status("ward", "out").full).await;
    lab.send_all(["2|ORU|p|x", "3|ORU|p|x"]).await;
    until("a full topic", || hub.status("lab", "results").full).await;
    assert_eq!(hub.status("ward", "out").waiting, 2);
    receiver.always(Act::Take);
    receiver.takes(&["0", "1", "2", "3"]).await;
}
