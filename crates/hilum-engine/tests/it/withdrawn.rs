//! Results that are taken back: where they went, and who is told of a destination that does not learn of it.
//!
//! A text `result as of N` is the state of an order with the number of the patient, `result withdrawn as
//! of N` takes it back.

use std::time::Duration;

use hilum_component::{DestinationPlan, Plan};
use hilum_engine::{ALERT_TOPIC, OperateError};

use crate::hold::opens;
use crate::kit::{
    Act, Hub, Receiver, Sender, With, channel, destination, holds, out, plan, step, subscriber,
    topic, until,
};

struct Site {
    sender: Sender,
    ehr: Receiver,
    board: Receiver,
    other: Receiver,
    mail: Receiver,
}

impl Site {
    fn new() -> Self {
        Self {
            sender: Sender::new(),
            ehr: Receiver::new("ehr"),
            board: Receiver::new("board"),
            other: Receiver::new("other"),
            mail: Receiver::new("mail"),
        }
    }

    /// Messages of the type `WRONG` are withheld from the board, as a filter on OBX-11 does.
    fn plan(&self) -> Plan {
        let withholds = step("filter", |message, _| {
            match crate::kit::line(message).get("type") {
                "WRONG" => Ok(hilum_component::Flow::Filtered("no final".to_owned())),
                _ => Ok(hilum_component::Flow::Next),
            }
        });
        let board = DestinationPlan {
            steps: vec![withholds],
            ..destination("board", &self.board)
        };
        plan([
            channel("lab", &self.sender)
                .step(opens())
                .step(holds("HOLD", None))
                .to(out(&self.ehr))
                .to(board)
                .to(destination("other", &self.other)),
            subscriber("alerts", ALERT_TOPIC).to(out(&self.mail)),
        ])
    }

    fn told(&self) -> Vec<(String, String)> {
        told(&self.mail)
    }
}

/// Destination and message of each alert about a withdrawal.
fn told(mail: &Receiver) -> Vec<(String, String)> {
    let read = |text: &String| {
        let alert: serde_json::Value = serde_json::from_str(text).expect("an alert is JSON");
        let word = |name: &str| alert[name].as_str().unwrap_or_default().to_owned();
        (word("kind") == "withdrawal-untold").then(|| (word("destination"), word("message")))
    };
    mail.texts().iter().filter_map(read).collect()
}

#[tokio::test(flavor = "multi_thread")]
async fn every_delivery_of_what_is_withdrawn_is_listed_and_who_is_not_told_is_an_alert() {
    let site = Site::new();
    let mut hub = Hub::start(site.plan()).await;
    site.other.script(|text| match text.starts_with("1|") {
        true => Act::Reject,
        false => Act::Take,
    });
    site.sender.send_all(["1|ORU|p|result as of 1"]).await;
    site.sender
        .send_all(["2|ORU|q|result as of 1", "3|ORU|p|as of 1"])
        .await;
    let wrong = site.sender.send("4|WRONG|p|result withdrawn as of 2").await;
    // It is reported anew under the same number: that one is not withdrawn.
    site.sender.send_all(["5|ORU|p|result as of 3"]).await;
    site.ehr.takes(&["1", "2", "3", "4", "5"]).await;
    site.board.takes(&["1", "2", "3", "5"]).await;
    until("empty queues", || {
        ["out", "board", "other"]
            .iter()
            .all(|name| hub.status("lab", name).waiting == 0)
    })
    .await;
    let message = wrong.message.expect("an id");
    hub.advance(Duration::from_secs(3));
    let board = ("board".to_owned(), message.to_string());
    until("the alert", || site.told() == [board.clone()]).await;
    for restart in [false, true] {
        if restart {
            hub.restart(site.plan()).await;
        }
        let found = hub.engine().withdrawn(message).await.expect("a list");
        let mut seen: Vec<_> = found
            .deliveries
            .iter()
            .map(|one| (&*one.destination, one.state, one.withdrawal))
            .collect();
        seen.sort_unstable();
        assert_eq!(
            seen,
            [
                ("board", "delivered", "none"),
                ("other", "dead-letter", "delivered"),
                ("out", "delivered", "delivered"),
            ]
        );
        assert!(found.complete && found.results == 1);
        let first = found
            .deliveries
            .iter()
            .find(|one| &*one.destination == "out");
        let first = first.expect("a delivery");
        assert!(first.delivered_ms.is_some());
        let listed = hub.engine().withdrawals(10).expect("a list");
        assert_eq!(listed.len(), 1);
        assert!(listed[0].looked_ms.is_some());
        assert_eq!(listed[0].untold.len(), 1);
        let trace = hub.trace(wrong.message).await;
        let codes: Vec<_> = trace.rows[0]
            .findings
            .iter()
            .map(|one| &*one.code)
            .collect();
        assert_eq!(codes, ["withdraws-result"]);
    }
    hub.advance(Duration::from_secs(30));
    assert_eq!(site.told(), [board], "told once");
}

#[tokio::test(flavor = "multi_thread")]
async fn one_that_is_held_or_goes_everywhere_tells_nobody() {
    let site = Site::new();
    let hub = Hub::start(site.plan()).await;
    let value = site.sender.send("1|ORU|p|result as of 1").await;
    site.ehr.takes(&["1"]).await;
    site.sender.send("2|HOLD|p|result withdrawn as of 2").await;
    hub.advance(Duration::from_secs(3));
    assert!(hub.engine().withdrawals(10).expect("a list").is_empty());
    site.sender.send("3|OPEN|p|x").await;
    site.board.takes(&["1", "2"]).await;
    hub.advance(Duration::from_secs(3));
    until("the look", || {
        let listed = hub.engine().withdrawals(10).expect("a list");
        listed.iter().any(|row| row.looked_ms.is_some())
    })
    .await;
    assert!(site.told().is_empty());
    let refused = hub.engine().withdrawn(value.message.expect("an id")).await;
    assert!(
        matches!(refused, Err(OperateError::Conflict(_))),
        "{refused:?}"
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn one_on_its_way_through_topics_is_looked_at_when_it_has_arrived() {
    let (lab, board, mail) = (Sender::new(), Receiver::new("board"), Receiver::new("mail"));
    let mut narrow = destination("board", &board);
    narrow.queue_max = 1;
    let hub = Hub::start(plan([
        channel("lab", &lab).to(topic("reports")),
        subscriber("house", "reports").to(topic("results")),
        subscriber("ward", "results").to(narrow),
        subscriber("alerts", ALERT_TOPIC).to(out(&mail)),
    ]))
    .await;
    lab.send_all(["1|ORU|p|result as of 1"]).await;
    board.takes(&["1"]).await;
    board.always(Act::Hang);
    lab.send_all(["2|ORU|q|result as of 1"]).await;
    until("a full ward", || hub.status("ward", "board").full).await;
    let wrong = lab.send("3|ORU|p|result withdrawn as of 2").await;
    let message = wrong.message.expect("an id");
    until("the last topic", || {
        hub.status("house", "results").waiting == 1
    })
    .await;
    hub.advance(Duration::from_secs(60));
    // Longer than it takes to look.
    tokio::time::sleep(Duration::from_millis(1_500)).await;
    let listed = hub.engine().withdrawals(10).expect("a list");
    assert!(listed.iter().all(|row| row.looked_ms.is_none()));
    assert!(
        hub.engine()
            .withdrawn(message)
            .await
            .expect("a list")
            .under_way
    );
    board.always(Act::Take);
    board.takes(&["1", "2", "3"]).await;
    until("the look", || {
        let listed = hub.engine().withdrawals(10).expect("a list");
        listed.iter().any(|row| row.looked_ms.is_some())
    })
    .await;
    let listed = hub.engine().withdrawals(10).expect("a list");
    assert!(listed[0].untold.is_empty());
    assert!(told(&mail).is_empty());
}
