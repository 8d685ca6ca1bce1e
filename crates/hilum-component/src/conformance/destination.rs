//! The contract of a destination.

use std::sync::Arc;

use bytes::Bytes;

use super::{delivery, within};
use crate::{BoxFuture, Class, Destination};

/// How the peer of a destination behaves.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum PeerMood {
    /// It takes everything.
    Accepts,
    /// It finds the message at fault.
    Refuses,
    /// It takes messages and says nothing.
    Silent,
    /// It is not there.
    Away,
}

/// How a destination is made, and its peer played.
pub trait DestinationRig: Send + Sync {
    /// A new destination to the peer.
    fn destination(&self) -> Arc<dyn Destination>;

    /// A message of this number, as the technology carries it.
    fn message(&self, number: u64) -> Bytes;

    /// Makes the peer behave; returns when it does.
    fn mood(&self, mood: PeerMood) -> BoxFuture<'_, ()>;

    /// The moods that the peer can have (a folder is never silent).
    fn moods(&self) -> Vec<PeerMood> {
        vec![
            PeerMood::Accepts,
            PeerMood::Refuses,
            PeerMood::Silent,
            PeerMood::Away,
        ]
    }

    /// What the peer has taken so far, in order.
    fn received(&self) -> BoxFuture<'_, Vec<Bytes>>;
}

/// Runs a destination through the suite.
pub async fn check_destination(rig: &dyn DestinationRig) {
    keeps_the_order(rig).await;
    can_be_closed_and_used_again(rig).await;
    for mood in rig.moods() {
        match mood {
            PeerMood::Accepts => {}
            PeerMood::Refuses => fails_with(rig, mood, &[Class::Reject]).await,
            PeerMood::Away => fails_with(rig, mood, &[Class::Retry]).await,
            PeerMood::Silent => {
                fails_with(rig, mood, &[Class::Retry]).await;
                starts_clean_after_a_dropped_attempt(rig).await;
            }
        }
    }
}

async fn send(destination: &dyn Destination, number: u64, bytes: Bytes) -> crate::Outcome {
    let deliveries = [delivery(number, bytes)];
    let mut outcomes = within("an outcome", destination.send(&deliveries)).await;
    assert_eq!(outcomes.len(), 1, "one outcome for each delivery");
    outcomes.pop().expect("one outcome")
}

async fn keeps_the_order(rig: &dyn DestinationRig) {
    rig.mood(PeerMood::Accepts).await;
    let before = rig.received().await.len();
    let destination = rig.destination();
    assert!(
        !destination.address().is_empty(),
        "it has an address for people"
    );
    assert!(destination.concurrency() > 0 && destination.batch_max() > 0);
    let messages: Vec<Bytes> = (101..=120).map(|number| rig.message(number)).collect();
    for (number, message) in (101..).zip(&messages) {
        let outcome = send(&*destination, number, message.clone()).await;
        assert!(outcome.is_ok(), "message {number}: {outcome:?}");
    }
    let received = rig.received().await;
    assert!(
        received[before..] == messages,
        "messages arrive unchanged and in order"
    );
    within("close", destination.close()).await;
}

async fn can_be_closed_and_used_again(rig: &dyn DestinationRig) {
    let destination = rig.destination();
    within("close of what was never used", destination.close()).await;
    for number in 131..=132 {
        let outcome = send(&*destination, number, rig.message(number)).await;
        assert!(outcome.is_ok(), "after a close: {outcome:?}");
        within("close", destination.close()).await;
    }
}

/// The class is right, nothing of the message is repeated in the error, and the next attempt
/// after the peer has come to its senses succeeds.
async fn fails_with(rig: &dyn DestinationRig, mood: PeerMood, classes: &[Class]) {
    rig.mood(PeerMood::Accepts).await;
    let destination = rig.destination();
    let before = send(&*destination, 140, rig.message(140)).await;
    assert!(before.is_ok(), "{before:?}");
    rig.mood(mood).await;
    let message = rig.message(141);
    let error = send(&*destination, 141, message.clone())
        .await
        .expect_err("the peer did not take it");
    assert!(classes.contains(&error.class), "{mood:?}: {error:?}");
    assert!(!error.code.is_empty() && !error.message.is_empty());
    let text = format!(
        "{error} {error:?} {}",
        error.hint.as_deref().unwrap_or_default()
    );
    let line = String::from_utf8_lossy(&message).into_owned();
    assert!(
        !line
            .split(['\r', '\n'])
            .any(|line| line.len() > 8 && text.contains(line)),
        "no content"
    );
    rig.mood(PeerMood::Accepts).await;
    let after = send(&*destination, 142, rig.message(142)).await;
    assert!(after.is_ok(), "{mood:?}, then willing again: {after:?}");
    destination.close().await;
}

/// An attempt whose future is dropped leaves nothing that the next one could take for its own.
async fn starts_clean_after_a_dropped_attempt(rig: &dyn DestinationRig) {
    rig.mood(PeerMood::Silent).await;
    let destination = rig.destination();
    let deliveries = [delivery(151, rig.message(151))];
    let before = rig.received().await.len();
    let arrived = async {
        while rig.received().await.len() == before {
            tokio::time::sleep(std::time::Duration::from_millis(2)).await;
        }
    };
    tokio::select! {
        outcome = destination.send(&deliveries) => assert!(outcome[0].is_err(), "a silent peer"),
        () = within("the message at the silent peer", arrived) => {}
    }
    rig.mood(PeerMood::Accepts).await;
    let outcome = send(&*destination, 152, rig.message(152)).await;
    assert!(outcome.is_ok(), "after a dropped attempt: {outcome:?}");
    destination.close().await;
}
