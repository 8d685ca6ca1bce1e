//! Messages that a sender sends again.

use std::time::Duration;

use hilum_component::{Disposition, Millis, ResendPlan};
use hilum_journal::Disposition as Stored;

use crate::kit::{Hub, Receiver, Sender, With, channel, out, plan, rejects, until};

#[tokio::test(flavor = "multi_thread")]
async fn a_resend_is_answered_as_before_and_not_delivered_again() {
    let (sender, receiver) = (Sender::new(), Receiver::new("ehr"));
    let site = || plan([channel("lab", &sender).to(out(&receiver))]);
    let mut hub = Hub::start(site()).await;
    let first = sender.send("1|ORU|p|x").await;
    let again = sender.send("1|ORU|p|x").await;
    hub.restart(site()).await;
    let later = sender.send("1|ORU|p|x").await;
    for reply in [&again, &later] {
        assert_eq!(reply.disposition, Disposition::Accepted);
        assert_eq!(reply.answer, first.answer, "byte for byte");
        assert_eq!(reply.message, first.message);
    }
    sender.send_all(["2|ORU|p|x"]).await;
    receiver.takes(&["1", "2"]).await;
    let fates = hub.dispositions("lab").await;
    assert_eq!(
        fates,
        [
            Stored::Accepted,
            Stored::Suppressed,
            Stored::Suppressed,
            Stored::Accepted
        ]
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn two_of_the_same_at_once_are_one_message() {
    let (sender, receiver) = (Sender::new(), Receiver::new("ehr"));
    let _hub = Hub::start(plan([channel("lab", &sender).to(out(&receiver))])).await;
    let same = vec!["1|ORU|p|x".to_owned(); 8];
    let replies = sender.send_together(&same).await;
    assert!(
        replies
            .iter()
            .all(|reply| reply.answer == replies[0].answer)
    );
    sender.send_all(["2|ORU|p|x"]).await;
    receiver.takes(&["1", "2"]).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn other_content_under_the_same_id_is_a_message_of_its_own() {
    let (sender, receiver) = (Sender::new(), Receiver::new("ehr"));
    let hub = Hub::start(plan([channel("lab", &sender).to(out(&receiver))])).await;
    let first = sender.send("1|ORU|p|x").await;
    let other = sender.send("1|ORU|p|corrected").await;
    assert_ne!(other.message, first.message);
    receiver.takes(&["1", "1"]).await;
    assert_eq!(receiver.texts()[1], "1|ORU|p|corrected");
    assert_eq!(
        hub.dispositions("lab").await,
        [Stored::Accepted, Stored::Accepted]
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn what_was_rejected_is_processed_anew() {
    let (sender, receiver) = (Sender::new(), Receiver::new("ehr"));
    let lab = channel("lab", &sender).to(out(&receiver));
    let hub = Hub::start(plan([lab.clone().step(rejects("ORU"))])).await;
    let first = sender.send("1|ORU|p|x").await;
    assert_eq!(first.disposition, Disposition::Rejected);
    hub.engine()
        .reload(plan([lab.version(2)]))
        .await
        .expect("a mended plan");
    let again = sender.send("1|ORU|p|x").await;
    assert_eq!(again.disposition, Disposition::Accepted);
    receiver.takes(&["1"]).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_replay_is_not_taken_for_a_resend() {
    let (sender, receiver) = (Sender::new(), Receiver::new("ehr"));
    let hub = Hub::start(plan([channel("lab", &sender).to(out(&receiver))])).await;
    let first = sender.send("1|ORU|p|x").await;
    let message = first.message.expect("an id");
    let replayed = hub
        .engine()
        .replay(message, hilum_engine::Replay::default())
        .await;
    assert_eq!(
        replayed.expect("a replay").disposition,
        Disposition::Accepted
    );
    receiver.takes(&["1", "1"]).await;
    until("the settlements", || hub.status("lab", "out").waiting == 0).await;
    let rows = hub.recorded("lab").await;
    assert_eq!(rows[1].replay_of, Some(message));
}

/// Sends a line and says whether it was taken for one that came before.
async fn is_resend(hub: &Hub, sender: &Sender, line: &str) -> bool {
    let before = hub.recorded("lab").await.len();
    sender.send_all([line]).await;
    let rows = hub.recorded("lab").await;
    assert_eq!(rows.len(), before + 1);
    rows.last().map(|row| row.disposition) == Some(Stored::Suppressed)
}

#[tokio::test(flavor = "multi_thread")]
async fn a_message_is_remembered_ten_minutes_and_not_longer() {
    let (sender, receiver) = (Sender::new(), Receiver::new("ehr"));
    let site = || plan([channel("lab", &sender).to(out(&receiver))]);
    let mut hub = Hub::start(site()).await;
    sender.send_all(["1|ORU|p|x"]).await;
    hub.advance(Duration::from_secs(9 * 60));
    assert!(is_resend(&hub, &sender, "1|ORU|p|x").await);
    hub.restart(site()).await;
    assert!(
        is_resend(&hub, &sender, "1|ORU|p|x").await,
        "after a start too"
    );
    hub.advance(Duration::from_secs(2 * 60));
    assert!(!is_resend(&hub, &sender, "1|ORU|p|x").await);
    receiver.takes(&["1", "1"]).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn how_long_and_how_many_are_remembered_can_be_set() {
    let (sender, receiver) = (Sender::new(), Receiver::new("ehr"));
    let site = || {
        let mut lab = channel("lab", &sender).to(out(&receiver));
        lab.resend = ResendPlan {
            within: Millis(3_600_000),
            max: 2,
        };
        plan([lab])
    };
    let mut hub = Hub::start(site()).await;
    sender.send_all(["1|ORU|p|x", "2|ORU|p|x"]).await;
    hub.advance(Duration::from_secs(59 * 60));
    hub.restart(site()).await;
    assert!(
        is_resend(&hub, &sender, "2|ORU|p|x").await,
        "within the hour"
    );
    sender.send_all(["3|ORU|p|x", "4|ORU|p|x"]).await;
    assert!(
        !is_resend(&hub, &sender, "1|ORU|p|x").await,
        "one over the number"
    );
    assert!(is_resend(&hub, &sender, "4|ORU|p|x").await);
}
