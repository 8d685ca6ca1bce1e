//! `acknowledge: delivered`: an answer that waits for destinations.
//!
//! A resend joins the wait of the message that it repeats. The commit answer of enhanced mode
//! waits for nobody: it says only that the message is stored.

use std::sync::Arc;

use bytes::Bytes;
use hilum_component::{
    Acknowledge, AnswerMode, ChannelPlan, Disposition, Incoming, Processed, Verdict, answer,
};
use hilum_journal::{DeliveryState, JournalError};
use hilum_message::{DeliveryId, MessageId};
use tokio::sync::oneshot;

use super::Channel;
use super::refuse::mode_of;
use crate::Core;
use crate::queue::Queue;

/// How a wait ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Waited {
    /// The destinations have it.
    Delivered,
    /// Not yet; delivery goes on.
    Queued,
    /// One of them did not take it.
    DeadLetter,
}

/// Deliveries that an answer waits for.
#[derive(Default)]
pub(super) struct Wait {
    watched: Vec<(Arc<Queue>, DeliveryId, oneshot::Receiver<bool>)>,
    dead: bool,
}

impl Wait {
    /// Watches the deliveries of a message before it is committed, so that none is missed.
    pub(super) fn new(
        core: &Core,
        channel: &Channel,
        plan: &ChannelPlan,
        processed: &Processed,
    ) -> Self {
        let mut wait = Self::default();
        let Some(after) = named(plan).filter(|_| processed.answer_mode == AnswerMode::Original)
        else {
            return wait;
        };
        for part in std::iter::once(processed).chain(&processed.children) {
            if part.disposition != Disposition::Accepted {
                continue;
            }
            for (delivery, ordinal) in part.deliveries.iter().zip(0..) {
                if !after.contains(&delivery.destination) {
                    continue;
                }
                let message = part.id;
                match delivery.dead_letter {
                    None => {
                        let id = DeliveryId { message, ordinal };
                        wait.watch(core, channel, &delivery.destination, id);
                    }
                    Some(_) => wait.dead = true,
                }
            }
        }
        wait
    }

    /// Joins the wait for a message that was accepted before.
    pub(super) async fn join(
        core: &Core,
        channel: &Channel,
        plan: &ChannelPlan,
        again: &Incoming,
        first: MessageId,
    ) -> Result<Self, JournalError> {
        let mut wait = Self::default();
        let Some(after) =
            named(plan).filter(|_| mode_of(plan, &again.payload) == AnswerMode::Original)
        else {
            return Ok(wait);
        };
        // What ends between the two looks is told to the watcher; what ended before the first is
        // in the journal when it is flushed.
        for (destination, id, state) in ends(core, first).await? {
            let open = matches!(state, DeliveryState::Pending | DeliveryState::Pinned);
            if open && after.contains(&destination) {
                wait.watch(core, channel, &destination, id);
            }
        }
        core.journal.flush().await?;
        for (destination, id, state) in ends(core, first).await? {
            if !after.contains(&destination) {
                continue;
            }
            match state {
                DeliveryState::Pending | DeliveryState::Pinned => {}
                DeliveryState::Delivered => wait.watched.retain(|(_, known, _)| *known != id),
                DeliveryState::DeadLetter | DeliveryState::Withdrawn => wait.dead = true,
            }
        }
        Ok(wait)
    }

    fn watch(&mut self, core: &Core, channel: &Channel, destination: &Arc<str>, id: DeliveryId) {
        if let Some(queue) = core.queue(&channel.name, destination) {
            let told = queue.watch(id);
            self.watched.push((queue, id, told));
        }
    }

    /// Waits until the destinations have it, or one did not take it, or the time is up.
    pub(super) async fn end(mut self, plan: &ChannelPlan) -> Waited {
        let Acknowledge::Delivered { within, .. } = &plan.acknowledge else {
            return Waited::Delivered;
        };
        if self.dead {
            return Waited::DeadLetter;
        }
        let all = async {
            for (_, _, told) in &mut self.watched {
                match told.await {
                    Ok(true) => {}
                    Ok(false) => return Waited::DeadLetter,
                    // The queue went to another destination, which nobody watches.
                    Err(_) => return Waited::Queued,
                }
            }
            Waited::Delivered
        };
        tokio::time::timeout(within.duration(), all)
            .await
            .unwrap_or(Waited::Queued)
    }
}

impl Drop for Wait {
    fn drop(&mut self) {
        for (queue, id, told) in self.watched.drain(..) {
            drop(told);
            queue.unwatch(id);
        }
    }
}

/// The destinations that an answer waits for.
fn named(plan: &ChannelPlan) -> Option<&[Arc<str>]> {
    match &plan.acknowledge {
        Acknowledge::Delivered { after, .. } => Some(after),
        Acknowledge::Processed | Acknowledge::Received => None,
    }
}

/// The deliveries of a message and its parts, as the journal has them.
async fn ends(
    core: &Core,
    message: MessageId,
) -> Result<Vec<(Arc<str>, DeliveryId, DeliveryState)>, JournalError> {
    let mut ends = Vec::new();
    let mut open = vec![message];
    while let Some(id) = open.pop() {
        let trace = core.journal.trace(id).await?;
        let parts = trace.related.iter();
        let parts = parts.filter(|row| row.parent.is_some_and(|(parent, _)| parent == id));
        open.extend(parts.map(|row| row.message));
        ends.extend(trace.deliveries.into_iter().map(|(stored, _)| {
            let delivery = stored.delivery;
            (delivery.destination, delivery.delivery.id, stored.state)
        }));
    }
    Ok(ends)
}

/// The answer where the destinations do not have it: AE in any case.
pub(super) fn not_delivered(
    plan: &ChannelPlan,
    incoming: &Incoming,
    waited: Waited,
) -> Option<Bytes> {
    let text = match waited {
        Waited::Delivered | Waited::Queued => {
            "queued: accepted, not yet delivered; delivery goes on"
        }
        Waited::DeadLetter => "accepted, but a destination did not take it; it is a dead letter",
    };
    let verdict = Verdict::Error {
        code: "207",
        path: None,
        text,
    };
    answer(plan, incoming, verdict, false).and_then(|answer| answer.open_negative())
}
