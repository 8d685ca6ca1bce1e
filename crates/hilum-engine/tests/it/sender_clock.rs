//! How far the clock of a system that sends is off: the finding, the status, and what is sent again.

use std::sync::Arc;
use std::time::Duration;

use hilum_component::{CLOCK_SKEW_MAX, ChannelPlan, Disposition, Plan, SenderClock, SendsAs};
use hilum_engine::{PlanChoice, Replay};
use hilum_journal::StoredMessage;

use crate::kit::{Hub, Receiver, Sender, With, channel, out, plan, subscriber, topic};

/// So far ahead of the real clock that it runs as the test says, but for a second.
const BEGIN_MS: u64 = 4_000_000_000_000;
const LIMIT_MS: i64 = CLOCK_SKEW_MAX.0 as i64;
const SECOND_MS: i64 = 1_000;
/// What the test may take between two messages.
const SLOW_MS: i64 = 20 * SECOND_MS;

fn clock(system: &str, application: Option<&str>) -> SenderClock {
    SenderClock {
        system: system.into(),
        sends_as: SendsAs {
            application: application.map(str::to_owned),
            facility: None,
        },
        zone: None,
        skew_max: CLOCK_SKEW_MAX,
    }
}

fn lab(sender: &Sender, receiver: &Receiver) -> ChannelPlan {
    ChannelPlan {
        senders: Arc::new([clock("lab-north", None)]),
        ..channel("lab", sender).to(out(receiver))
    }
}

async fn start() -> (Hub, Sender, Plan) {
    let (sender, receiver) = (Sender::new(), Receiver::new("ehr"));
    let plan = plan([lab(&sender, &receiver)]);
    let hub = Hub::start_at(BEGIN_MS, plan.clone()).await;
    (hub, sender, plan)
}

/// A message whose sender is so far behind (ahead, if negative) of the clock of the hub.
fn message(hub: &Hub, id: u32, behind_ms: i64) -> String {
    let now_ms = i64::try_from(hub.now_ms()).expect("a time");
    format!("{id}|ORU|p|sent {}", now_ms - behind_ms)
}

fn is_ahead(row: &StoredMessage) -> bool {
    let mut codes = row.findings.iter().map(|finding| &*finding.code);
    codes.any(|code| code == "sender-clock-ahead")
}

/// The systems that are off, with the seconds, in steps of the time that a test may take.
fn off(hub: &Hub) -> Vec<(String, i64)> {
    let status = hub.engine().status();
    let off = status.clocks_off.iter();
    off.map(|clock| (clock.system.to_string(), clock.skew_s * SECOND_MS / SLOW_MS))
        .collect()
}

#[tokio::test(flavor = "multi_thread")]
async fn a_message_from_the_future_is_a_finding_beyond_the_limit() {
    let (hub, sender, _) = start().await;
    sender.send(&message(&hub, 1, -LIMIT_MS)).await;
    assert!(off(&hub).is_empty());
    sender.send(&message(&hub, 2, -LIMIT_MS - SLOW_MS)).await;
    let ahead: Vec<_> = hub.recorded("lab").await.iter().map(is_ahead).collect();
    assert_eq!(ahead, [false, true]);
    let [(system, skew)] = &off(&hub)[..] else {
        panic!("one system is off");
    };
    assert_eq!(system, "lab-north");
    assert!(*skew >= 15, "{skew}");
    let of_lab = hub.engine().sender_clocks();
    assert_eq!(of_lab.len(), 1);
    assert_eq!(of_lab[0].skew_max_ms, CLOCK_SKEW_MAX.0);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_system_is_judged_by_its_freshest_message() {
    let (hub, sender, _) = start().await;
    sender.send(&message(&hub, 1, LIMIT_MS - SLOW_MS)).await;
    assert!(off(&hub).is_empty());
    sender.send(&message(&hub, 2, 3 * LIMIT_MS)).await;
    assert!(off(&hub).is_empty(), "that one has waited");
    hub.advance(Duration::from_secs(31 * 60));
    assert!(hub.engine().sender_clocks().is_empty(), "nobody knows");
    sender.send(&message(&hub, 3, 2 * LIMIT_MS)).await;
    assert_eq!(off(&hub), [("lab-north".to_owned(), -30)]);
    sender.send(&message(&hub, 4, LIMIT_MS + SECOND_MS)).await;
    assert_eq!(off(&hub), [("lab-north".to_owned(), -15)]);
    sender.send(&message(&hub, 5, SECOND_MS)).await;
    assert!(off(&hub).is_empty());
    // What is late says nothing of the clock, so no message is blamed for it.
    assert!(!hub.recorded("lab").await.iter().any(is_ahead));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_replay_is_judged_by_the_first_receipt() {
    let (mut hub, sender, plan) = start().await;
    let ahead = sender.send(&message(&hub, 1, -2 * LIMIT_MS)).await;
    hub.advance(Duration::from_secs(3_600));
    let mut again = ahead.message.expect("an id");
    // A replay of a replay is compared with the same receipt.
    for _ in 0..2 {
        let replayed = hub.engine().replay(again, Replay::default()).await;
        let replayed = replayed.expect("it is replayed");
        assert_eq!(replayed.disposition, Disposition::Accepted);
        again = replayed.message.expect("an id").parse().expect("an id");
    }
    let rows = hub.recorded("lab").await;
    assert_eq!(rows.iter().filter(|row| is_ahead(row)).count(), 3);
    let recomputed = hub.engine().recompute(again, &PlanChoice::Current).await;
    let recomputed = recomputed.expect("it is recomputed").findings;
    assert!(
        recomputed
            .iter()
            .any(|finding| finding.code == "sender-clock-ahead"
                && finding.path.as_deref() == Some("text"))
    );
    assert!(
        hub.engine().sender_clocks().is_empty(),
        "nothing new is known"
    );
    hub.restart(plan).await;
    assert!(hub.engine().sender_clocks().is_empty());
}

#[tokio::test(flavor = "multi_thread")]
async fn systems_of_a_group_are_told_apart() {
    let (sender, receiver) = (Sender::new(), Receiver::new("ehr"));
    let group = ChannelPlan {
        senders: Arc::new([clock("south", Some("S")), clock("north", Some(""))]),
        ..channel("lab", &sender).to(out(&receiver))
    };
    let hub = Hub::start_at(BEGIN_MS, plan([group])).await;
    sender.send(&message(&hub, 1, SECOND_MS)).await;
    let all = hub.engine().sender_clocks();
    let names: Vec<_> = all.iter().map(|clock| &*clock.system).collect();
    assert_eq!(names, ["north"], "the format of the test names no sender");
}

#[tokio::test(flavor = "multi_thread")]
async fn what_is_received_first_and_processed_later_is_judged_by_its_receipt() {
    let (sender, receiver) = (Sender::new(), Receiver::new("ehr"));
    let received = ChannelPlan {
        acknowledge: hilum_component::Acknowledge::Received,
        ..lab(&sender, &receiver)
    };
    let hub = Hub::start_at(BEGIN_MS, plan([received])).await;
    sender.send(&message(&hub, 1, -2 * LIMIT_MS)).await;
    receiver.takes(&["1"]).await;
    let rows = hub.recorded("lab").await;
    assert!(rows.iter().any(is_ahead));
    assert_eq!(off(&hub).len(), 1);
}

#[tokio::test(flavor = "multi_thread")]
async fn systems_that_are_told_apart_behind_a_topic_are_judged_by_the_first_receipt() {
    let (sender, receiver) = (Sender::new(), Receiver::new("ehr"));
    let told_apart = ChannelPlan {
        senders: Arc::new([clock("north", Some(""))]),
        ..subscriber("results", "results").to(out(&receiver))
    };
    let site = plan([channel("lab", &sender).to(topic("results")), told_apart]);
    let hub = Hub::start_at(BEGIN_MS, site).await;
    sender.send(&message(&hub, 1, -2 * LIMIT_MS)).await;
    receiver.takes(&["1"]).await;
    let off = off(&hub);
    assert_eq!(off.len(), 1);
    assert_eq!(off[0].0, "north");
    assert!(off[0].1 >= 29, "{off:?}");
}
