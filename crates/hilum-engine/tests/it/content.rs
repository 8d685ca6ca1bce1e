//! Nothing of a message's content gets into logs, errors, states or alerts.

use std::fmt::Write as _;
use std::sync::{Arc, Mutex};

use hilum_engine::ALERT_TOPIC;
use tracing::field::{Field, Visit};
use tracing::span::{Attributes, Id, Record};
use tracing::{Event, Metadata, Subscriber};

use crate::kit::{
    Act, Hub, Receiver, Sender, With, channel, destination, filters, holds, out, plan, rejects,
    rule, subscriber, topic, until,
};

/// A patient's name that no other test has.
const CANARY: &str = "Quixotius-Canarius";

/// Writes down everything that is said.
#[derive(Clone, Default)]
struct Log(Arc<Mutex<String>>);

impl Visit for Log {
    fn record_debug(&mut self, field: &Field, value: &dyn std::fmt::Debug) {
        writeln!(self.0.lock().unwrap(), "{field}={value:?}").unwrap();
    }
}

impl Subscriber for Log {
    fn enabled(&self, _: &Metadata<'_>) -> bool {
        true
    }

    fn new_span(&self, span: &Attributes<'_>) -> Id {
        span.record(&mut self.clone());
        Id::from_u64(1)
    }

    fn record(&self, _: &Id, values: &Record<'_>) {
        values.record(&mut self.clone());
    }

    fn record_follows_from(&self, _: &Id, _: &Id) {}

    fn event(&self, event: &Event<'_>) {
        event.record(&mut self.clone());
    }

    fn enter(&self, _: &Id) {}

    fn exit(&self, _: &Id) {}
}

#[tokio::test(flavor = "multi_thread")]
async fn no_content_in_logs_reasons_states_and_alerts() {
    let log = Log::default();
    tracing::subscriber::set_global_default(log.clone()).expect("the only subscriber");
    let (sender, receiver) = (Sender::new(), Receiver::new("ehr"));
    let (broken, mail) = (Receiver::new("broken"), Receiver::new("mail"));
    let mut own = destination("own", &receiver);
    own.steps.push(rejects("ORU"));
    let mut lab = channel("lab", &sender)
        .step(filters("DULL"))
        .step(rejects("BAD"))
        .step(holds("HOLD", None))
        .to(out(&receiver))
        .to(destination("broken", &broken))
        .to(own)
        .to(topic("loop"));
    lab.accept = Some(rule("type != 'ALIEN'"));
    let site = || {
        let echo = subscriber("echo", "loop").to(topic("loop"));
        plan([
            lab.clone(),
            echo,
            subscriber("alerts", ALERT_TOPIC).to(out(&mail)),
        ])
    };
    let mut hub = Hub::start(site()).await;
    receiver.script(|text| {
        if text.starts_with('6') {
            Act::Reject
        } else {
            Act::Retry
        }
    });
    broken.always(Act::Halt);
    let mut said = send_everything(&sender).await;
    receiver.attempts(2).await;
    until("the end of the cycles", || {
        hub.status("echo", "loop").dead >= 1
    })
    .await;
    hub.restart(site()).await;
    receiver.script(|text| {
        if text.starts_with('6') {
            Act::Reject
        } else {
            Act::Take
        }
    });
    until("the refusal", || hub.status("lab", "out").dead == 1).await;
    until("alerts", || mail.texts().len() >= 2).await;
    said.push_str(&serde_json::to_string(&hub.engine().status()).expect("JSON"));
    said.push_str(&mail.texts().join("\n"));
    for row in hub.recorded("lab").await {
        writeln!(said, "{row:?}").unwrap();
    }
    for seen in receiver.seen() {
        writeln!(said, "{:?}", seen.delivery).unwrap();
    }
    hub.stop().await;
    let log = log.0.lock().unwrap();
    assert!(log.contains("dead letter"), "the log says what happens");
    assert!(!log.contains(CANARY), "content in the log");
    let place = said.lines().find(|line| line.contains(CANARY));
    assert_eq!(place.map(|line| line.replace(CANARY, "<content>")), None);
}

/// Sends a message for each fate; gives what its sender was told.
async fn send_everything(sender: &Sender) -> String {
    let mut said = String::new();
    for text in [
        "unreadable",
        "1|DULL|p",
        "2|BAD|p",
        "3|ALIEN|p",
        "4|HOLD|q",
        "5|ORU|p",
        "5|ORU|p",
        "5|OTHER|p",
        "6|ORU|r",
        "|ORU|p",
    ] {
        let reply = sender.send(&format!("{text}|{CANARY}")).await;
        let answer = reply
            .answer
            .as_ref()
            .map(|answer| String::from_utf8_lossy(answer).into_owned());
        writeln!(said, "{reply:?} {answer:?}").unwrap();
    }
    said
}
