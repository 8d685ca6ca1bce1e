//! What is told to people, and when.

use std::time::Duration;

use hilum_component::{AlertRule, Millis};
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
