//! What an operator does to a running engine. Each act is recorded in the journal with its reason.

use std::sync::Arc;

use bytes::Bytes;
use hilum_component::ReleasedBy;
use hilum_journal::{
    Attempt, DeliveryRef, DeliveryState, JournalError, Outcome, Settlement, StateWrite,
    StoredDelivery,
};
use hilum_message::{DeliveryId, MessageId};
use smol_str::{SmolStr, format_smolstr};

use crate::Engine;
use crate::lanes::{Compare, Place};
use crate::queue::{Queue, Trouble};
use crate::stale::{self, OldState, Outdated, WhenOlder};
use crate::store::{self, AcceptFailure, Due};

/// The scope of pauses, which outlive a restart.
const PAUSED_SCOPE: &str = "hilum.paused";

/// Why an act is not done.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum OperateError {
    /// There is no such channel, destination, message or delivery.
    #[error("there is no {0}")]
    NotFound(String),
    /// It is not in a state in which this can be done.
    #[error("{0}")]
    Conflict(String),
    /// It would bring back an old state.
    #[error(
        "{0}; nothing is changed. If it is to be sent all the same: `--force` with `--reason`, which is \
         recorded"
    )]
    OldState(Outdated),
    /// The journal failed.
    #[error("the journal failed")]
    Journal(#[from] JournalError),
    /// The act could not be recorded, so it was not done.
    #[error("the act could not be recorded: {0}")]
    Record(String),
}

impl From<AcceptFailure> for OperateError {
    fn from(failure: AcceptFailure) -> Self {
        Self::Record(failure.text())
    }
}

/// What a person decides about a held message.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Held {
    /// It goes on; no step up to the one that held it can hold it again.
    Release,
    /// The step that held it decides anew, with these named values; if it holds it again, nothing is
    /// changed.
    Retry(Vec<(String, String)>),
    /// It ends.
    Reject,
}

impl Engine {
    /// Holds a destination until it is resumed, over restarts as well.
    pub async fn pause(
        &self,
        channel: &str,
        destination: &str,
        reason: &str,
    ) -> Result<(), OperateError> {
        let queue = self.queue(channel, destination)?;
        self.write_pause(&queue, Some(reason)).await?;
        self.core().pause(&queue, reason);
        Ok(())
    }

    /// Lets a destination go on.
    pub async fn resume(
        &self,
        channel: &str,
        destination: &str,
        reason: &str,
    ) -> Result<(), OperateError> {
        let queue = self.queue(channel, destination)?;
        tracing::info!(channel, destination, reason, "resumed");
        self.write_pause(&queue, None).await?;
        queue.set_trouble(None);
        queue.scope.lanes().resume(queue.id);
        queue.wake.notify_one();
        Ok(())
    }

    async fn write_pause(&self, queue: &Queue, reason: Option<&str>) -> Result<(), OperateError> {
        let write = |name: &Arc<str>| StateWrite {
            scope: SmolStr::new_static(PAUSED_SCOPE),
            key: format_smolstr!("{}/{name}", queue.channel),
            value: reason.map(|reason| Bytes::copy_from_slice(reason.as_bytes())),
            expires_ms: None,
        };
        let act = if reason.is_some() {
            "paused"
        } else {
            "resumed"
        };
        let text = format!(
            "{act} {}/{}: {}",
            queue.channel,
            queue.destination,
            reason.unwrap_or("by an operator")
        );
        let writes = queue.names().map(write).collect();
        Ok(store::write_state(self.core(), text, writes).await?)
    }

    fn queue(&self, channel: &str, destination: &str) -> Result<Arc<Queue>, OperateError> {
        self.core().queue(channel, destination).ok_or_else(|| {
            OperateError::NotFound(format!("destination {destination} of channel {channel}"))
        })
    }

    /// Sends a dead letter again. It keeps its place in the order, and its successors wait for it.
    ///
    /// # Errors
    /// If there is none, or its receiver has a newer state of what it tells of and nobody forces it.
    pub async fn requeue(
        &self,
        delivery: DeliveryId,
        reason: &str,
        old: OldState,
    ) -> Result<(), OperateError> {
        // What ended a moment ago may not be written yet.
        self.core().journal.flush().await?;
        let stored = self
            .core()
            .journal
            .find_delivery(delivery)
            .await
            .map_err(missing("delivery", delivery))?;
        let queue = self.queue(&stored.delivery.channel, &stored.delivery.destination)?;
        if !matches!(
            stored.state,
            DeliveryState::DeadLetter | DeliveryState::Withdrawn
        ) {
            return Err(is_none(delivery));
        }
        // Nothing of its keys begins to be sent while it is looked at.
        let blocks = queue.block(&stored.delivery);
        let again = self.again(&queue, &stored, reason, old).await;
        if again.is_err() && blocks {
            queue.unblock(&stored.delivery);
        }
        again
    }

    async fn again(
        &self,
        queue: &Queue,
        stored: &StoredDelivery,
        reason: &str,
        old: OldState,
    ) -> Result<(), OperateError> {
        let at = stored.delivery.delivery;
        let outdated = stale::of_delivery(self.core(), queue, stored).await?;
        let forced = match (outdated, old) {
            (Some(outdated), OldState::Refuse) => return Err(OperateError::OldState(outdated)),
            (outdated, _) => outdated,
        };
        let why = forced.as_ref().map(|outdated| Attempt {
            started_ms: self.core().now_ms(),
            duration_ms: 0,
            outcome: Outcome::Retry,
            reason: Some(format!("sent by force, though {outdated}: {reason}").into()),
            reply: None,
        });
        if !self.core().journal.requeue(at, why).await? {
            return Err(is_none(at.id));
        }
        tracing::info!(delivery = %at.id, reason, "requeued");
        let compare = match forced {
            Some(_) => Compare::Never,
            None => Compare::default(),
        };
        queue.requeued(&stored.delivery, compare);
        Ok(())
    }

    /// Gives up a delivery or a dead letter.
    pub async fn withdraw(&self, delivery: DeliveryId, reason: &str) -> Result<(), OperateError> {
        let stored = self
            .core()
            .journal
            .find_delivery(delivery)
            .await
            .map_err(missing("delivery", delivery))?;
        let at = stored.delivery.delivery;
        if stored.state != DeliveryState::DeadLetter {
            let text = format!(
                "delivery {delivery} is no dead letter; pause its destination or let it end first"
            );
            return Err(OperateError::Conflict(text));
        }
        self.settle(at, Outcome::Withdrawn, reason).await?;
        if let Some(queue) = self
            .core()
            .queue(&stored.delivery.channel, &stored.delivery.destination)
        {
            let place = Place {
                of: stored.delivery.place,
                sequence: at.sequence,
            };
            queue.scope.lanes().release(place, delivery.ordinal);
            queue.wake.notify_one();
            queue.scope.wake_others(&queue.wake);
        }
        Ok(())
    }

    async fn settle(
        &self,
        delivery: DeliveryRef,
        outcome: Outcome,
        reason: &str,
    ) -> Result<(), OperateError> {
        let last = Attempt {
            started_ms: self.core().now_ms(),
            duration_ms: 0,
            outcome,
            reason: Some(Arc::from(reason)),
            reply: None,
        };
        self.core()
            .journal
            .settle(Settlement { delivery, last })
            .await?;
        Ok(self.core().journal.flush().await?)
    }

    /// Decides about a held message.
    pub async fn held(
        &self,
        message: MessageId,
        decision: Held,
        reason: &str,
        old: OldState,
    ) -> Result<(), OperateError> {
        let (sequence, held) = self
            .core()
            .held
            .find(message)
            .ok_or_else(|| OperateError::NotFound(format!("held message {message}")))?;
        let act = match &decision {
            Held::Release => "release",
            Held::Retry(_) => "retry",
            Held::Reject => "reject",
        };
        tracing::info!(message_id = %message, act, reason, "a person decided about a held message");
        let older = WhenOlder::decided(old, reason);
        match decision {
            Held::Release => {
                let by = ReleasedBy::Decision;
                let due = store::due(self.core(), sequence, &held, by, &[], older).await;
                match due.map_err(OperateError::Record)? {
                    Due::WentOn | Due::Waits => Ok(()),
                    Due::Refused(outdated) => Err(OperateError::OldState(outdated)),
                }
            }
            Held::Retry(values) => {
                let by = ReleasedBy::Change;
                let due = store::due(self.core(), sequence, &held, by, &values, older).await;
                match due.map_err(OperateError::Record)? {
                    Due::WentOn => Ok(()),
                    Due::Refused(outdated) => Err(OperateError::OldState(outdated)),
                    Due::Waits => {
                        let text =
                            format!("message {message} would be held again; nothing is changed");
                        Err(OperateError::Conflict(text))
                    }
                }
            }
            Held::Reject => {
                self.core().journal.abandon(sequence).await?;
                store::finish(self.core(), sequence, None);
                Ok(())
            }
        }
    }
}

fn is_none(delivery: DeliveryId) -> OperateError {
    OperateError::Conflict(format!("delivery {delivery} is not a dead letter"))
}

pub(crate) fn missing<'a>(
    what: &'static str,
    id: impl std::fmt::Display + 'a,
) -> impl FnOnce(JournalError) -> OperateError + 'a {
    move |error| match error {
        JournalError::NotFound { .. } => OperateError::NotFound(format!("{what} {id}")),
        other => OperateError::Journal(other),
    }
}

impl crate::Core {
    /// Pauses a queue as a person asked.
    pub(crate) fn pause(&self, queue: &Queue, reason: &str) {
        tracing::info!(channel = %queue.channel, destination = %queue.destination, reason, "paused");
        queue.scope.lanes().pause(queue.id);
        queue.set_trouble(Some(Trouble {
            since_ms: self.now_ms(),
            again_ms: None,
            failures: 0,
            code: "paused".to_owned(),
            text: format!("paused: {reason}"),
            hint: Some(format!(
                "resume with `hilum resume {} {}`",
                queue.channel, queue.destination
            )),
        }));
    }

    /// A queue that a person paused before the start stays paused.
    pub(crate) fn restore_pause(&self, queue: &Queue) {
        let found = queue.names().find_map(|name| {
            let key = format!("{}/{name}", queue.channel);
            self.journal.state(PAUSED_SCOPE, &key).ok()?.value
        });
        if let Some(reason) = found {
            self.pause(queue, &String::from_utf8_lossy(&reason));
        }
    }
}
