//! What is sent again never brings an old state back over a newer one.
//!
//! A text `as of N` is the state of its patient at that time.

use std::time::Duration;

use hilum_component::{AfterReject, DestinationPlan, Reply};
use hilum_engine::{Held, OldState, OperateError, Outdated, Replay};
use hilum_journal::{DeliveryState, Disposition, Outcome};
use hilum_message::{DeliveryId, MessageId};

use crate::kit::{
    Act, Hub, Receiver, Sender, With, channel, destination, holds, out, plan, until, writes,
};

const DAY: Duration = Duration::from_secs(24 * 3_600);

fn first(message: Option<MessageId>) -> DeliveryId {
    DeliveryId {
        message: message.expect("an id"),
        ordinal: 0,
    }
}

fn after(receiver: &Receiver, after: AfterReject) -> DestinationPlan {
    DestinationPlan {
        after_reject: Some(after),
        ..out(receiver)
    }
}

fn refuses_first(receiver: &Receiver) {
    receiver.script(|text| match text.starts_with("1|") {
        true => Act::Reject,
        false => Act::Take,
    });
}

async fn settled(hub: &Hub) {
    until("an empty queue", || hub.status("lab", "out").waiting == 0).await;
}

/// The newer message that a refusal names.
fn newer(result: Result<(), OperateError>) -> (usize, usize, MessageId, bool) {
    match result {
        Err(OperateError::OldState(Outdated::Newer {
            objects,
            of,
            message,
            delivered,
            ..
        })) => (objects, of, message, delivered),
        other => panic!("not refused as old: {other:?}"),
    }
}

async fn requeue(hub: &Hub, message: &Reply, old: OldState) -> Result<(), OperateError> {
    let id = first(message.message);
    hub.engine().requeue(id, "mended", old).await
}

#[tokio::test(flavor = "multi_thread")]
async fn a_dead_letter_whose_correction_was_delivered_is_refused_until_it_is_forced() {
    let (sender, receiver) = (Sender::new(), Receiver::new("ehr"));
    let site = || plan([channel("lab", &sender).to(after(&receiver, AfterReject::Continue))]);
    let mut hub = Hub::start(site()).await;
    refuses_first(&receiver);
    let old = sender.send("1|ORU|p|as of 1").await;
    let correction = sender.send("2|ORU|p|as of 2").await;
    sender.send_all(["3|ORU|q|as of 3"]).await;
    receiver.takes(&["2", "3"]).await;
    settled(&hub).await;
    receiver.always(Act::Take);
    for restart in [false, true] {
        if restart {
            hub.restart(site()).await;
        }
        let refused = requeue(&hub, &old, OldState::Refuse).await;
        let said = refused.as_ref().expect_err("refused").to_string();
        assert!(said.contains("of 1 of 1 objects"), "{said}");
        assert!(said.contains("--force"), "{said}");
        assert!(!said.contains("|p|"), "no content: {said}");
        let message = correction.message.expect("an id");
        assert_eq!(newer(refused), (1, 1, message, true));
        assert_eq!(
            hub.deliveries(old.message).await,
            [DeliveryState::DeadLetter]
        );
    }
    // Nobody waits for a refused one.
    sender.send_all(["4|ORU|p|as of 4"]).await;
    receiver.takes(&["2", "3", "4"]).await;
    requeue(&hub, &old, OldState::Force).await.expect("forced");
    receiver.takes(&["2", "3", "4", "1"]).await;
    settled(&hub).await;
    let trace = hub.trace(old.message).await;
    let attempts = &trace.deliveries[0].1;
    let forced = attempts
        .iter()
        .find(|attempt| attempt.outcome == Outcome::Retry)
        .and_then(|attempt| attempt.reason.as_deref())
        .expect("it is recorded");
    assert!(forced.starts_with("sent by force, though"), "{forced}");
    assert!(forced.ends_with(": mended"), "{forced}");
}

#[tokio::test(flavor = "multi_thread")]
async fn what_waits_behind_a_dead_letter_does_not_make_it_old() {
    let (sender, receiver) = (Sender::new(), Receiver::new("ehr"));
    let site = plan([channel("lab", &sender).to(after(&receiver, AfterReject::HoldKey))]);
    let hub = Hub::start(site).await;
    refuses_first(&receiver);
    let old = sender.send("1|ADT|p|as of 1").await;
    sender.send_all(["2|ADT|p|as of 2"]).await;
    until("the held one", || hub.status("lab", "out").held == 1).await;
    receiver.always(Act::Take);
    requeue(&hub, &old, OldState::Refuse).await.expect("sent");
    receiver.takes(&["1", "2"]).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn what_is_newer_counts_in_whatever_order_it_came_and_an_older_one_does_not() {
    let (sender, receiver) = (Sender::new(), Receiver::new("ehr"));
    let site = plan([channel("lab", &sender).to(after(&receiver, AfterReject::Continue))]);
    let hub = Hub::start(site).await;
    refuses_first(&receiver);
    let came_first = sender.send("0|ORU|p|as of 5").await;
    let late = sender.send("1|ORU|p|as of 4").await;
    let fresh = sender.send("1|ORU|q|as of 9").await;
    sender.send_all(["2|ORU|q|as of 8"]).await;
    receiver.takes(&["0", "2"]).await;
    settled(&hub).await;
    receiver.always(Act::Take);
    let refused = requeue(&hub, &late, OldState::Refuse).await;
    assert_eq!(newer(refused).2, came_first.message.expect("an id"));
    requeue(&hub, &fresh, OldState::Refuse).await.expect("sent");
    receiver.takes(&["0", "2", "1"]).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn one_system_behind_two_channels_is_compared_as_one() {
    let (lab, adt) = (Sender::new(), Sender::new());
    let (receiver, other) = (Receiver::new("ehr"), Receiver::new("ris"));
    let of = |system: &str, to: DestinationPlan| DestinationPlan {
        system: Some(system.to_owned()),
        after_reject: Some(AfterReject::Continue),
        ..to
    };
    let hub = Hub::start(plan([
        channel("lab", &lab)
            .to(of("ehr", out(&receiver)))
            .to(of("ris", destination("ris", &other))),
        channel("adt", &adt).to(of("ehr", destination("to-ehr", &receiver))),
    ]))
    .await;
    refuses_first(&receiver);
    refuses_first(&other);
    let old = lab.send("1|ORU|p|as of 1").await;
    let fresh = adt.send("2|ORU|p|as of 2").await;
    receiver.takes(&["2"]).await;
    until("two dead letters", || {
        hub.status("lab", "out").dead + hub.status("lab", "ris").dead == 2
    })
    .await;
    receiver.always(Act::Take);
    other.always(Act::Take);
    let refused = requeue(&hub, &old, OldState::Refuse).await;
    assert_eq!(newer(refused).2, fresh.message.expect("an id"));
    // The other system never got the newer one.
    let second = DeliveryId {
        ordinal: 1,
        ..first(old.message)
    };
    let sent = hub.engine().requeue(second, "mended", OldState::Refuse);
    sent.await.expect("sent");
    other.takes(&["1"]).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_replay_is_behind_all_that_waits() {
    let (sender, receiver) = (Sender::new(), Receiver::new("ehr"));
    let hub = Hub::start(plan([channel("lab", &sender).to(out(&receiver))])).await;
    let old = sender.send("1|ADT|p|as of 1").await;
    receiver.takes(&["1"]).await;
    let again = |old, reason: &str| Replay {
        old,
        reason: reason.to_owned(),
        ..Replay::default()
    };
    let message = old.message.expect("an id");
    let replay = |asked| hub.engine().replay(message, asked);
    replay(again(OldState::Refuse, ""))
        .await
        .expect("nothing is newer");
    receiver.takes(&["1", "1"]).await;
    receiver.always(Act::Retry);
    let fresh = sender.send("2|ADT|p|as of 2").await;
    let refused = replay(again(OldState::Refuse, "")).await.map(drop);
    let waits = fresh.message.expect("an id");
    assert_eq!(newer(refused), (1, 1, waits, false));
    receiver.always(Act::Take);
    receiver.takes(&["1", "1", "2"]).await;
    settled(&hub).await;
    let refused = replay(again(OldState::Refuse, "")).await.map(drop);
    assert_eq!(newer(refused), (1, 1, waits, true));
    let forced = replay(again(OldState::Force, "the EHR lost it")).await;
    let forced = forced.expect("forced");
    receiver.takes(&["1", "1", "2", "1"]).await;
    let new = forced.message.and_then(|id| id.parse().ok());
    let trace = hub.trace(new).await;
    let row = trace.rows.last().expect("a row");
    let reason = row.reason.as_deref().expect("a reason");
    assert!(reason.contains("the EHR lost it"), "{reason}");
    assert_eq!(row.disposition, Disposition::Accepted);
    let codes: Vec<_> = row.findings.iter().map(|found| &*found.code).collect();
    assert_eq!(codes, ["old-state"]);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_hold_that_ends_by_itself_stays_if_it_became_old_and_holds_nobody_up() {
    let (sender, other, receiver) = (Sender::new(), Sender::new(), Receiver::new("ehr"));
    let of_ehr = |name: &str| DestinationPlan {
        system: Some("ehr".to_owned()),
        ..destination(name, &receiver)
    };
    let site = || {
        let adt = channel("adt", &other).to(of_ehr("to-ehr"));
        // Its order is of its own, so that it passes the held one.
        let adt = hilum_component::ChannelPlan {
            order: hilum_component::Order::Channel,
            ..adt
        };
        plan([
            channel("lab", &sender)
                .step(holds("HOLD", Some(60_000)))
                .to(of_ehr("out")),
            adt,
        ])
    };
    let mut hub = Hub::start(site()).await;
    sender.send_all(["1|HOLD|p|as of 1"]).await;
    let fresh = other.send("2|ADT|p|as of 2").await;
    receiver.takes(&["2"]).await;
    until("settled", || hub.status("adt", "to-ehr").waiting == 0).await;
    hub.advance(Duration::from_secs(61));
    let stays = |row: &hilum_journal::StoredMessage| {
        let reason = row.reason.as_deref().unwrap_or_default();
        reason.contains("bring back an old state")
            && reason.contains(&fresh.message.expect("an id").to_string())
    };
    let held = loop {
        let holds = hub.engine().journal().holds().await.expect("holds");
        match holds.into_iter().find(stays) {
            Some(held) => break held,
            None => tokio::time::sleep(Duration::from_millis(5)).await,
        }
    };
    // Nothing waits behind it, and nothing lets it go on but a person.
    sender.send_all(["3|ORU|p|as of 3"]).await;
    receiver.takes(&["2", "3"]).await;
    hub.restart(site()).await;
    hub.advance(DAY);
    sender.send_all(["4|ORU|p|as of 4"]).await;
    receiver.takes(&["2", "3", "4"]).await;
    let release = |old| {
        hub.engine()
            .held(held.message, Held::Release, "looked at", old)
    };
    newer(release(OldState::Refuse).await);
    assert_eq!(
        hub.engine().journal().holds().await.expect("holds").len(),
        1
    );
    release(OldState::Force).await.expect("forced");
    receiver.takes(&["2", "3", "4", "1"]).await;
    assert!(
        hub.engine()
            .journal()
            .holds()
            .await
            .expect("holds")
            .is_empty()
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn a_person_who_releases_an_old_one_is_told() {
    let (sender, receiver) = (Sender::new(), Receiver::new("ehr"));
    let hub = Hub::start(plan([channel("lab", &sender)
        .step(holds("HOLD", None))
        .to(out(&receiver))]))
    .await;
    let fresh = sender.send("0|ADT|p|as of 2").await;
    receiver.takes(&["0"]).await;
    settled(&hub).await;
    let held = sender.send("1|HOLD|p|as of 1").await;
    let message = held.message.expect("an id");
    let refused = hub
        .engine()
        .held(message, Held::Release, "looked at", OldState::Refuse);
    assert_eq!(newer(refused.await).2, fresh.message.expect("an id"));
    let ended = hub
        .engine()
        .held(message, Held::Reject, "old", OldState::Refuse);
    ended.await.expect("it is still held");
}

#[tokio::test(flavor = "multi_thread")]
async fn what_is_older_than_the_journal_is_not_sent_without_force() {
    let (sender, receiver) = (Sender::new(), Receiver::new("ehr"));
    let mut site = plan([channel("lab", &sender).to(after(&receiver, AfterReject::Continue))]);
    site.keep = Some(hilum_component::Millis(2 * 24 * 3_600_000));
    let hub = Hub::start(site).await;
    refuses_first(&receiver);
    let old = sender.send("1|ORU|p|as of 1").await;
    let plain = sender.send("1|ORU|p|no state").await;
    until("two dead letters", || hub.status("lab", "out").dead == 2).await;
    let day = hub.engine().journal().partitions().expect("a list")[0]
        .name
        .clone();
    hub.advance(4 * DAY);
    until("the first day to go", || {
        hub.advance(Duration::from_secs(600));
        let all = hub.engine().journal().partitions().expect("a list");
        all.iter().all(|partition| partition.name != day)
    })
    .await;
    receiver.always(Act::Take);
    let refused = requeue(&hub, &old, OldState::Refuse).await;
    assert!(
        matches!(
            refused,
            Err(OperateError::OldState(Outdated::Removed { .. }))
        ),
        "{refused:?}"
    );
    requeue(&hub, &plain, OldState::Refuse)
        .await
        .expect("it tells no state");
    receiver.takes(&["1"]).await;
    requeue(&hub, &old, OldState::Force).await.expect("forced");
    receiver.takes(&["1", "1"]).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn what_a_step_writes_into_a_message_makes_it_no_newer() {
    let (sender, receiver) = (Sender::new(), Receiver::new("ehr"));
    let hub = Hub::start(plan([channel("lab", &sender)
        .step(writes("as of 9"))
        .to(out(&receiver))]))
    .await;
    let old = sender.send("1|ADT|p|as of 1").await;
    sender.send_all(["2|ADT|p|as of 2"]).await;
    receiver.takes(&["1", "2"]).await;
    settled(&hub).await;
    let replay = hub
        .engine()
        .replay(old.message.expect("an id"), Replay::default());
    newer(replay.await.map(drop));
}
