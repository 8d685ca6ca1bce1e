//! Critical results: they pass what waits of others, and somebody is told where one takes too long.

use std::time::Duration;

use hilum_component::{CRITICAL, DestinationPlan, Flow, Halted, Millis, Plan, StepPlan};
use hilum_engine::{ALERT_TOPIC, Held, OldState, OnlyOpen};

use crate::kit::{
    Act, Hub, Receiver, Sender, With, channel, holds, line, out, plan, step, subscriber, topic,
    until,
};

/// Marks a line of the type `PANIC`, as a format does.
fn marks() -> StepPlan {
    step("mark", |message, _| {
        if line(message).get("type") == "PANIC" {
            message.metadata.set(CRITICAL, "HH");
        }
        Ok(Flow::Next)
    })
}

fn in_time(receiver: &Receiver) -> DestinationPlan {
    let mut to = out(receiver);
    to.care.critical_within = Some(Millis(600_000));
    to
}

fn site(sender: &Sender, receiver: &Receiver, mail: &Receiver) -> Plan {
    plan([
        channel("lab", sender).step(marks()).to(in_time(receiver)),
        subscriber("alerts", ALERT_TOPIC).to(out(mail)),
    ])
}

/// State and destination of each alert about a critical result.
fn told(mail: &Receiver) -> Vec<String> {
    let read = |text: &String| {
        let alert: serde_json::Value = serde_json::from_str(text).expect("an alert is JSON");
        let word = |name: &str| alert[name].as_str().unwrap_or_default().to_owned();
        (word("kind") == "critical-result").then(|| word("state"))
    };
    mail.texts().iter().filter_map(read).collect()
}

#[tokio::test(flavor = "multi_thread")]
async fn what_is_not_acknowledged_in_time_is_told_once_and_again_when_it_is_over() {
    let (sender, receiver, mail) = (Sender::new(), Receiver::new("ehr"), Receiver::new("mail"));
    let mut hub = Hub::start(site(&sender, &receiver, &mail)).await;
    receiver.always(Act::Retry);
    sender.send_all(["1|PANIC|p|x", "2|ORU|q|x"]).await;
    receiver.attempts(1).await;
    until("the open row", || {
        hub.engine().critical_figures().open() == 1
    })
    .await;
    assert!(told(&mail).is_empty());
    hub.advance(Duration::from_secs(601));
    until("the alert", || told(&mail) == ["raised"]).await;
    until("the row that is late", || {
        hub.engine().critical_figures().late() == 1
    })
    .await;
    // A restart tells nobody again.
    hub.restart(site(&sender, &receiver, &mail)).await;
    until("the row after the restart", || {
        hub.engine().critical_figures().late() == 1
    })
    .await;
    assert_eq!(told(&mail), ["raised"]);
    receiver.always(Act::Take);
    hub.advance(Duration::from_secs(400));
    until("the end", || told(&mail) == ["raised", "cleared"]).await;
    // Whoever was told hears that it is over before the report has it.
    let over = || hub.engine().critical_figures().acknowledged.get() == 1;
    until("the row that is over", over).await;
    let rows = || hub.engine().critical(OnlyOpen::No, 10).expect("the report");
    until("the report", || {
        rows().iter().all(|row| row.state == "acknowledged")
    })
    .await;
    let rows = rows();
    assert_eq!(rows.len(), 1, "the other result is not critical");
    assert_eq!(
        (rows[0].state.as_str(), rows[0].why.as_str()),
        ("acknowledged", "HH")
    );
    assert!(rows[0].acknowledged_ms > Some(rows[0].due_ms) && rows[0].told_ms.is_some());
    let open = hub
        .engine()
        .critical(OnlyOpen::Yes, 10)
        .expect("the report");
    assert!(open.is_empty());
}

#[tokio::test(flavor = "multi_thread")]
async fn what_is_acknowledged_in_time_is_reported_and_told_to_nobody() {
    let (sender, receiver, mail) = (Sender::new(), Receiver::new("ehr"), Receiver::new("mail"));
    let hub = Hub::start(site(&sender, &receiver, &mail)).await;
    sender.send_all(["1|PANIC|p|x"]).await;
    receiver.takes(&["1"]).await;
    let over = || hub.engine().critical_figures().acknowledged.get() == 1;
    until("the row that is over", over).await;
    hub.advance(Duration::from_secs(3_600));
    let rows = || hub.engine().critical(OnlyOpen::No, 10).expect("the report");
    until("the report", || {
        rows().iter().all(|row| row.state == "acknowledged")
    })
    .await;
    let rows = rows();
    assert_eq!((rows.len(), rows[0].told_ms), (1, None));
    assert!(rows[0].acknowledged_ms <= Some(rows[0].due_ms));
    assert!(told(&mail).is_empty());
}

#[tokio::test(flavor = "multi_thread")]
async fn a_refused_one_is_told_at_once_and_stays_open() {
    let (sender, receiver, mail) = (Sender::new(), Receiver::new("ehr"), Receiver::new("mail"));
    let hub = Hub::start(site(&sender, &receiver, &mail)).await;
    receiver.always(Act::Reject);
    sender.send_all(["1|PANIC|p|x"]).await;
    until("the alert", || told(&mail) == ["raised"]).await;
    let open = || {
        hub.engine()
            .critical(OnlyOpen::Yes, 10)
            .expect("the report")
    };
    until("the row", || {
        open().iter().any(|row| row.state == "dead-letter")
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn one_that_is_held_is_told_until_somebody_decides() {
    let (sender, receiver, mail) = (Sender::new(), Receiver::new("ehr"), Receiver::new("mail"));
    let waits = step("wait", |_, _| {
        Err(Halted::Hold {
            reason: "waits".to_owned(),
            until_ms: None,
            wake: None,
        })
    });
    let site = plan([
        channel("lab", &sender).step(waits).to(in_time(&receiver)),
        subscriber("alerts", ALERT_TOPIC).to(out(&mail)),
    ]);
    let hub = Hub::start(site).await;
    let message = sender.send_critical("1|PANIC|p|x").await;
    assert!(message.disposition.is_positive(), "held is taken");
    until("the open row", || {
        hub.engine().critical_figures().open() == 1
    })
    .await;
    assert!(told(&mail).is_empty());
    hub.advance(Duration::from_secs(601));
    until("the alert", || told(&mail) == ["raised"]).await;
    let held = hub.engine().journal().holds().await.expect("holds");
    hub.engine()
        .held(held[0].message, Held::Reject, "not his", OldState::Refuse)
        .await
        .expect("a decision");
    until("the end", || told(&mail) == ["raised", "cleared"]).await;
    let rows = || hub.engine().critical(OnlyOpen::No, 10).expect("the report");
    until("the report", || {
        rows().iter().all(|row| row.state == "decided")
    })
    .await;
    assert_eq!(&*rows()[0].destination, "held");
}

#[tokio::test(flavor = "multi_thread")]
async fn it_passes_what_waits_of_other_patients_and_never_its_own() {
    let (sender, receiver, mail) = (Sender::new(), Receiver::new("ehr"), Receiver::new("mail"));
    let hub = Hub::start(site(&sender, &receiver, &mail)).await;
    hub.engine()
        .pause("lab", "out", "a test")
        .await
        .expect("paused");
    let before = ["1|ORU|a|x", "2|ORU|b|x", "3|ORU|c|x"];
    sender.send_all(before).await;
    sender.send_all(["4|PANIC|c|x", "5|PANIC|d|x"]).await;
    hub.engine()
        .resume("lab", "out", "a test")
        .await
        .expect("resumed");
    receiver.attempts(5).await;
    let taken = receiver.taken();
    let at = |id: &str| taken.iter().position(|one| one == id);
    assert_eq!(taken[0], "5", "before all that waits: {taken:?}");
    assert!(
        at("3") < at("4"),
        "never before its own patient's: {taken:?}"
    );
    assert!(at("1") < at("2"), "{taken:?}");
}

#[tokio::test(flavor = "multi_thread")]
async fn the_clock_runs_from_the_first_receipt_over_topics_and_holds() {
    let (sender, receiver) = (Sender::new(), Receiver::new("ehr"));
    let site = plan([
        channel("lab", &sender)
            .step(marks())
            .step(holds("PANIC", None))
            .to(topic("results")),
        subscriber("ward", "results").to(in_time(&receiver)),
    ]);
    let hub = Hub::start(site).await;
    receiver.always(Act::Retry);
    let held = sender.send("1|PANIC|p|x").await;
    let arrived_ms = held.message.expect("an id").arrived_ms();
    hub.engine()
        .pause("lab", "results", "a test")
        .await
        .expect("paused");
    hub.advance(Duration::from_secs(300));
    hub.engine()
        .held(
            held.message.expect("an id"),
            hilum_engine::Held::Release,
            "looked at",
            hilum_engine::OldState::Refuse,
        )
        .await
        .expect("released");
    hub.advance(Duration::from_secs(200));
    hub.engine()
        .resume("lab", "results", "a test")
        .await
        .expect("resumed");
    let rows = || {
        hub.engine()
            .critical(OnlyOpen::Yes, 10)
            .expect("the report")
    };
    until("the row", || rows().len() == 1).await;
    let row = rows().remove(0);
    assert_eq!(row.arrived_ms, arrived_ms);
    assert_eq!(row.due_ms, arrived_ms + 600_000);
}
