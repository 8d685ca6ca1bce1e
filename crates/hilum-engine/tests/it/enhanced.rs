//! Enhanced mode: the commit answer at once, the application answer as a delivery of its own.

use hilum_component::{Acknowledge, ChannelPlan, Plan, Reply};
use hilum_engine::{Held, OldState, PlanChoice, Replay};

use crate::kit::{
    Act, Hub, Receiver, Sender, With, answers, channel, filters, holds, out, plan, rejects, rule,
    until,
};

fn lab(sender: &Sender, ehr: &Receiver, pas: &Receiver) -> ChannelPlan {
    ChannelPlan {
        accept: Some(rule("type != 'OTHER'")),
        ..channel("lab", sender)
    }
    .step(filters("DULL"))
    .step(rejects("BAD"))
    .step(holds("HOLD", None))
    .to(out(ehr))
    .to(answers("back", pas))
}

fn site(sender: &Sender, ehr: &Receiver, pas: &Receiver) -> Plan {
    plan([lab(sender, ehr, pas)])
}

fn peers() -> (Sender, Receiver, Receiver) {
    (Sender::new(), Receiver::new("ehr"), Receiver::new("pas"))
}

/// Code and id of an answer.
fn said(reply: &Reply) -> String {
    let answer = reply.answer.clone().unwrap_or_default();
    short(&String::from_utf8_lossy(&answer))
}

fn short(answer: &str) -> String {
    answer.split('|').take(2).collect::<Vec<_>>().join("|")
}

fn sent_back(pas: &Receiver) -> Vec<String> {
    pas.texts().iter().map(|text| short(text)).collect()
}

#[tokio::test(flavor = "multi_thread")]
async fn each_fate_is_answered_twice_if_the_sender_wants_it() {
    for acknowledge in [Acknowledge::Processed, Acknowledge::Received] {
        let (sender, ehr, pas) = peers();
        let _hub = Hub::start(plan([ChannelPlan {
            acknowledge: acknowledge.clone(),
            ..lab(&sender, &ehr, &pas)
        }]))
        .await;
        let later = acknowledge == Acknowledge::Received;
        let cases = [
            ("1|ORU|p|enhanced-always", "CA|1", Some("AA|1")),
            ("2|ORU|p|enhanced-error", "CA|2", None),
            ("3|ORU|p|enhanced-never", "CA|3", None),
            ("4|DULL|p|enhanced-always", "CA|4", Some("AA|4")),
            ("5|OTHER|p|enhanced-error", "CR|5", Some("AR|5")),
            (
                "6|BAD|p|enhanced-error",
                if later { "CA|6" } else { "CE|6" },
                Some("AE|6"),
            ),
            ("7|ORU|p|x", "AA|7", None),
        ];
        let mut back = Vec::new();
        for (text, commit, application) in cases {
            let reply = sender.send(text).await;
            assert_eq!(said(&reply), commit, "{text} {acknowledge:?}");
            back.extend(application);
            until(text, || pas.taken().len() == back.len()).await;
        }
        assert_eq!(sent_back(&pas), back);
        ehr.takes(&["1", "2", "3", "7"]).await;
        assert_eq!(sent_back(&pas), back);
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn an_application_answer_is_retried_over_a_restart_and_recorded() {
    let (sender, ehr, pas) = peers();
    let mut hub = Hub::start(site(&sender, &ehr, &pas)).await;
    pas.always(Act::Retry);
    let reply = sender.send("1|ORU|p|enhanced-always").await;
    assert_eq!(said(&reply), "CA|1");
    pas.attempts(2).await;
    hub.restart(site(&sender, &ehr, &pas)).await;
    pas.always(Act::Take);
    until("the answer", || sent_back(&pas) == ["AA|1"]).await;
    until("its record", || hub.status("lab", "back").waiting == 0).await;
    let deliveries = hub.trace(reply.message).await.deliveries;
    let back = deliveries
        .iter()
        .find(|(stored, _)| &*stored.delivery.destination == "back");
    let (_, attempts) = back.expect("the delivery of the answer");
    assert!(attempts.len() > 1, "{attempts:?}");
    ehr.takes(&["1"]).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_held_message_is_answered_when_it_has_gone_on_and_a_replay_is_not() {
    let (sender, ehr, pas) = peers();
    let hub = Hub::start(site(&sender, &ehr, &pas)).await;
    let held = sender.send("1|HOLD|p|enhanced-always").await;
    assert_eq!(said(&held), "CA|1");
    sender.send_all(["2|ORU|q|enhanced-always"]).await;
    until("the second", || sent_back(&pas) == ["AA|2"]).await;
    let message = held.message.expect("an id");
    let released = hub
        .engine()
        .held(message, Held::Release, "looked at", OldState::Refuse);
    released.await.expect("a release");
    until("the first", || sent_back(&pas) == ["AA|2", "AA|1"]).await;
    ehr.takes(&["2", "1"]).await;
    let replay = Replay {
        plan: PlanChoice::Current,
        only: Vec::new(),
        ..Replay::default()
    };
    let replayed = hub.engine().replay(message, replay).await;
    let replayed = replayed.expect("a replay").message.expect("an id");
    let state = hub.deliveries(Some(replayed.parse().expect("an id"))).await;
    assert_eq!(state.len(), 0, "the held row is replayed to its hold");
    assert_eq!(sent_back(&pas).len(), 2);
}

#[tokio::test(flavor = "multi_thread")]
async fn an_answer_that_nobody_sends_is_noted() {
    let (sender, ehr) = (Sender::new(), Receiver::new("ehr"));
    let hub = Hub::start(plan([channel("lab", &sender).to(out(&ehr))])).await;
    let reply = sender.send("1|ORU|p|enhanced-always").await;
    let rows = hub.trace(reply.message).await.rows;
    let codes: Vec<_> = rows[0].findings.iter().map(|found| &*found.code).collect();
    assert_eq!(codes, ["no-application-answer"]);
    ehr.takes(&["1"]).await;
}
