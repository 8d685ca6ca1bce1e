//! What an operator does to a running engine. Each act is recorded in the journal with its reason.

use std::sync::Arc;

use bytes::Bytes;
use hilum_component::{Arrival, Peer};
use hilum_journal::{
    Attempt, DeliveryRef, DeliveryState, JournalError, Outcome, Settlement, StateWrite,
};
use hilum_message::{DeliveryId, MessageId};
use serde::Serialize;

use crate::Engine;
use crate::channel::{Origin, take_in};
use crate::queue::{Queue, Trouble};
use crate::store::{self, AcceptFailure};

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

/// How a message is processed again.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Replay {
    /// Only to these destinations; to all if none is named.
    pub only: Vec<Arc<str>>,
}

/// What became of a replay.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "kebab-case")]
pub struct Replayed {
    /// The new message.
    pub message: Option<String>,
    /// What was decided about it.
    pub disposition: hilum_component::Disposition,
    /// Why.
    pub reason: Option<String>,
}

/// What a person decides about a held message.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Held {
    /// It goes on at the step after the one that held it.
    Release,
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
        let name = format!("{}/{}", queue.channel, queue.destination);
        let write = StateWrite {
            scope: Arc::from(PAUSED_SCOPE),
            key: Arc::from(name.as_str()),
            value: reason.map(|reason| Bytes::copy_from_slice(reason.as_bytes())),
            expires_ms: None,
        };
        let act = if reason.is_some() {
            "paused"
        } else {
            "resumed"
        };
        let text = format!("{act} {name}: {}", reason.unwrap_or("by an operator"));
        Ok(store::write_state(self.core(), text, vec![write]).await?)
    }

    fn queue(&self, channel: &str, destination: &str) -> Result<Arc<Queue>, OperateError> {
        self.core().queue(channel, destination).ok_or_else(|| {
            OperateError::NotFound(format!("destination {destination} of channel {channel}"))
        })
    }

    /// Sends a dead letter again. It keeps its place in the order, and its successors wait for it.
    pub async fn requeue(&self, delivery: DeliveryId, reason: &str) -> Result<(), OperateError> {
        let stored = self
            .core()
            .journal
            .find_delivery(delivery)
            .await
            .map_err(missing("delivery", delivery))?;
        let at = stored.delivery.delivery;
        if !self.core().journal.requeue(at).await? {
            return Err(OperateError::Conflict(format!(
                "delivery {delivery} is not a dead letter"
            )));
        }
        tracing::info!(%delivery, reason, "requeued");
        if let Some(queue) = self
            .core()
            .queue(&stored.delivery.channel, &stored.delivery.destination)
        {
            queue.requeued(&stored.delivery);
        }
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
            queue.scope.lanes().release(at.sequence, delivery.ordinal);
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

    /// Processes a message again with today's plan. The new message is linked to the old one and
    /// is not taken for a resend.
    pub async fn replay(
        &self,
        message: MessageId,
        replay: Replay,
    ) -> Result<Replayed, OperateError> {
        let (row, payload) = self
            .core()
            .journal
            .received(message)
            .await
            .map_err(missing("message", message))?;
        let channel = self.core().channel(&row.channel).ok_or_else(|| {
            OperateError::NotFound(format!("channel {} in the running plan", row.channel))
        })?;
        let peer = Peer {
            label: Arc::from("replay"),
            connection: 0,
        };
        let arrival = Arrival {
            payload,
            peer,
            metadata: row.metadata,
        };
        let origin = Origin::Linked {
            from: message,
            relation: "replay",
            only: replay.only,
            completes: None,
            resume_at: 0,
        };
        let reply = take_in(self.core(), &channel, arrival, origin).await.reply;
        channel.figures.disposed(reply.disposition);
        Ok(Replayed {
            message: reply.message.map(|id| id.to_string()),
            disposition: reply.disposition,
            reason: reply.reason,
        })
    }

    /// Decides about a held message.
    pub async fn held(
        &self,
        message: MessageId,
        decision: Held,
        reason: &str,
    ) -> Result<(), OperateError> {
        let (sequence, held) = self
            .core()
            .held
            .find(message)
            .ok_or_else(|| OperateError::NotFound(format!("held message {message}")))?;
        tracing::info!(message_id = %message, ?decision, reason, "a person decided about a held message");
        match decision {
            Held::Release => store::due(self.core(), sequence, &held)
                .await
                .map_err(OperateError::Record),
            Held::Reject => {
                self.core().journal.abandon(sequence).await?;
                store::finish(self.core(), sequence);
                Ok(())
            }
        }
    }
}

fn missing<'a>(
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
        let name = format!("{}/{}", queue.channel, queue.destination);
        let found = self
            .journal
            .state(PAUSED_SCOPE, &name)
            .ok()
            .and_then(|found| found.value);
        if let Some(reason) = found {
            self.pause(queue, &String::from_utf8_lossy(&reason));
        }
    }
}
