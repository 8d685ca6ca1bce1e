//! What is told to people, and when.

use std::time::Duration;

use hilum_component::{AlertRule, Millis, Size, Window};
use hilum_engine::ALERT_TOPIC;
use hilum_journal::DeliveryState;

use crate::kit::{Act, Hub, Receiver, Sender, With, channel, out, plan, subscriber, until};

fn kinds(mail: &Receiver) -> Vec<(String, String)> {
    let read = |text: &String| {
        let alert: serde_json::Value = serde_json::from_str(text).expect("an alert is JSON");
        let word = |name: &str| alert[name].as_str().unwrap_or_default().to_owned();
        (word("kind"), word("state"))
    };
    mail.texts().iter().map(read).collect()
}

fn pair(kind: &str, state: &str) -> (String, String) {
    (kind.to_owned(), state.to_owned())
}

#[tokio::test(flavor = "multi_thread")]
async fn a_delivery_that_is_given_up_is_a_dead_letter_and_an_alert() {
    let (sender, receiver, mail) = (Sender::new(), Receiver::new("ehr"), Receiver::new("mail"));
    let mut to = out(&receiver);
    to.retry.give_up_after = Some(Millis(3_600_000));
    let site = [
        channel("lab", &sender).to(to),
        subscriber("alerts", ALERT_TOPIC).to(out(&mail)),
    ];
    let hub = Hub::start(plan(site)).await;
    receiver.always(Act::Retry);
    let reply = sender.send("1|ORU|p|x").await;
    receiver.attempts(3).await;
    assert!(
        mail.taken().is_empty(),
        "a destination that is away is no event"
    );
    hub.advance(Duration::from_secs(3_601));
    until("the alert", || !mail.texts().is_empty()).await;
    assert_eq!(kinds(&mail), [pair("given-up", "event")]);
    let id = reply.message.expect("an id").to_string();
    assert!(mail.texts()[0].contains(&id), "the alert names the message");
    assert_eq!(
        hub.deliveries(reply.message).await,
        [DeliveryState::DeadLetter]
    );
    receiver.always(Act::Take);
    sender.send_all(["2|ORU|p|x"]).await;
    receiver.takes(&["2"]).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn refusals_and_faults_of_a_receiver_are_told_at_once() {
    let (sender, receiver, mail) = (Sender::new(), Receiver::new("ehr"), Receiver::new("mail"));
    let site = [
        channel("lab", &sender).to(out(&receiver)),
        subscriber("alerts", ALERT_TOPIC).to(out(&mail)),
    ];
    let _hub = Hub::start(plan(site)).await;
    receiver.script(|text| {
        if text.starts_with('1') {
            Act::Reject
        } else {
            Act::Halt
        }
    });
    sender.send_all(["1|ORU|p|x", "2|ORU|p|x"]).await;
    until("two alerts", || mail.texts().len() == 2).await;
    assert_eq!(
        kinds(&mail),
        [pair("dead-letter", "event"), pair("halted", "event")]
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn a_silent_sender_is_told_once_and_cleared_when_it_speaks() {
    let (sender, receiver, mail) = (Sender::new(), Receiver::new("ehr"), Receiver::new("mail"));
    let mut lab = channel("lab", &sender).to(out(&receiver));
    lab.alerts = vec![AlertRule::Silence {
        longer_than: Millis(60_000),
        during: None,
    }];
    let hub = Hub::start(plan([
        lab,
        subscriber("alerts", ALERT_TOPIC).to(out(&mail)),
    ]))
    .await;
    hub.advance(Duration::from_secs(61));
    until("the alert", || !mail.texts().is_empty()).await;
    sender.send_all(["1|ORU|p|x"]).await;
    until("the end of it", || mail.texts().len() == 2).await;
    assert_eq!(
        kinds(&mail),
        [pair("silence", "raised"), pair("silence", "cleared")]
    );
}

/// Friday, 2030-07-05 16:30 UTC, which is 18:30 in Berlin.
const FRIDAY_EVENING_MS: u64 = 1_909_499_400_000;

fn hours(hours: u64) -> Duration {
    Duration::from_secs(hours * 3_600)
}

fn silence(during: Option<Window>) -> AlertRule {
    AlertRule::Silence {
        longer_than: Millis(3_600_000),
        during,
    }
}

/// The channels that alerts of a kind and state are about, in the order in which they were told.
fn about(mail: &Receiver, kind: &str, state: &str) -> Vec<String> {
    let alerts = mail
        .texts()
        .into_iter()
        .map(|text| serde_json::from_str::<serde_json::Value>(&text).expect("an alert is JSON"));
    alerts
        .filter(|alert| alert["kind"] == kind && alert["state"] == state)
        .map(|alert| alert["channel"].as_str().unwrap_or_default().to_owned())
        .collect()
}

#[tokio::test(flavor = "multi_thread")]
async fn silence_counts_only_in_the_hours_of_the_rule_as_its_time_zone_has_them() {
    let (lab, other) = (Sender::new(), Sender::new());
    let (receiver, mail) = (Receiver::new("ehr"), Receiver::new("mail"));
    let window = Window {
        days: [true, true, true, true, true, false, false],
        from_minute: 7 * 60,
        to_minute: 19 * 60,
        zone: Some("Europe/Berlin".to_owned()),
    };
    let mut working = channel("a-working-hours", &lab).to(out(&receiver));
    working.alerts = vec![silence(Some(window))];
    // Looked at after the other: when it is told, the other was looked at.
    let mut always = channel("b-always", &other).to(out(&receiver));
    always.alerts = vec![silence(None)];
    let site = [
        working,
        always,
        subscriber("mail", ALERT_TOPIC).to(out(&mail)),
    ];
    let hub = Hub::start_at(FRIDAY_EVENING_MS, plan(site)).await;
    let told = |state| about(&mail, "silence", state);

    hub.advance(hours(1) + Duration::from_secs(60));
    until("the one that is always asked", || {
        !told("raised").is_empty()
    })
    .await;
    assert_eq!(
        told("raised"),
        ["b-always"],
        "19:31 in Berlin is after hours"
    );
    hub.advance(hours(60));
    // Monday, 07:31 in Berlin; 05:31 in UTC.
    until("the alert of Monday morning", || told("raised").len() == 2).await;
    assert_eq!(told("raised")[1], "a-working-hours");
    lab.send_all(["1|ORU|p|x"]).await;
    until("the end of it", || told("cleared") == ["a-working-hours"]).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_queue_that_is_too_long_or_too_old_is_told_and_cleared() {
    let (sender, receiver, mail) = (Sender::new(), Receiver::new("ehr"), Receiver::new("mail"));
    let mut lab = channel("lab", &sender).to(out(&receiver));
    lab.alerts = vec![
        AlertRule::Queue {
            destination: Some("out".into()),
            longer_than: Some(2),
            older_than: None,
        },
        AlertRule::Queue {
            destination: None,
            longer_than: None,
            older_than: Some(Millis(600_000)),
        },
    ];
    let site = [lab, subscriber("alerts", ALERT_TOPIC).to(out(&mail))];
    let hub = Hub::start(plan(site)).await;
    receiver.always(Act::Hang);
    sender.send_all(["1|ORU|p|x", "2|ORU|p|x"]).await;
    hub.advance(Duration::from_secs(601));
    until("the age", || !mail.texts().is_empty()).await;
    assert_eq!(kinds(&mail), [pair("queue-age", "raised")]);
    sender.send_all(["3|ORU|p|x"]).await;
    until("the length", || mail.texts().len() == 2).await;
    assert_eq!(
        kinds(&mail)[1],
        pair("queue-length", "raised"),
        "one over the limit"
    );
    receiver.always(Act::Take);
    until("the end of both", || mail.texts().len() == 4).await;
    let mut over = kinds(&mail).split_off(2);
    over.sort();
    assert_eq!(
        over,
        [
            pair("queue-age", "cleared"),
            pair("queue-length", "cleared")
        ]
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn a_disk_with_little_space_left_is_told_and_cleared() {
    const LIMIT: u64 = 5_000_000_000;
    let mail = Receiver::new("mail");
    let mut site = plan([subscriber("alerts", ALERT_TOPIC).to(out(&mail))]);
    site.disk_free_below = Some(Size(LIMIT));
    let hub = Hub::start(site).await;
    hub.free
        .store(LIMIT - 1, std::sync::atomic::Ordering::SeqCst);
    until("the alert", || !mail.texts().is_empty()).await;
    assert_eq!(hub.engine().status().disk_free, Some(LIMIT - 1));
    hub.free
        .store(LIMIT * 2, std::sync::atomic::Ordering::SeqCst);
    until("the end of it", || mail.texts().len() == 2).await;
    assert_eq!(
        kinds(&mail),
        [pair("disk-space", "raised"), pair("disk-space", "cleared")]
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn an_alert_that_nobody_subscribes_to_holds_nothing_up() {
    let (sender, receiver) = (Sender::new(), Receiver::new("ehr"));
    let hub = Hub::start(plan([channel("lab", &sender).to(out(&receiver))])).await;
    receiver.always(Act::Reject);
    sender
        .send_all((0..50).map(|n| format!("{n}|ORU|p|x")))
        .await;
    until("the dead letters", || hub.status("lab", "out").dead == 50).await;
}
