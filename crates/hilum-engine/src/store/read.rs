//! What the engine reads back: queues, bodies, answers, and everything at start.

use std::sync::Arc;
use std::sync::atomic::Ordering;

use bytes::Bytes;
use hilum_component::{AfterReject, Class, DestinationPlan, Identity, Outcome};
use hilum_journal::{
    Attempt, DeliveryRef, Disposition, JournalError, Outcome as Stored, Recovered, Settlement,
};
use hilum_message::{DeliveryId, MessageId, Metadata, Payload};

use super::{commit, held};
use crate::lanes::{Entry, WINDOW};
use crate::queue::{Queue, Target};
use crate::resend::{ResendDigest, ResendKey};
use crate::runtime::Core;

/// Deliveries that are read from the journal at once.
const PAGE: usize = WINDOW / 2;

/// The next deliveries of a queue after a commit sequence, and whether there may be more.
pub(crate) async fn pending(
    core: &Core,
    queue: &Queue,
    after: u64,
) -> Result<(Vec<Entry>, bool), JournalError> {
    let place = DeliveryRef {
        id: DeliveryId {
            message: MessageId::default(),
            ordinal: u32::MAX,
        },
        sequence: after,
    };
    let (channel, destination) = (Arc::clone(&queue.channel), Arc::clone(&queue.destination));
    let found = core
        .journal
        .pending(channel, destination, Some(place), PAGE)
        .await?;
    let more = found.len() == PAGE;
    let entries = found.into_iter().map(|delivery| {
        let place = delivery.delivery.sequence;
        commit::entry(delivery, place)
    });
    Ok((
        entries
            .map(|entry| Entry {
                body: None,
                ..entry
            })
            .collect(),
        more,
    ))
}

/// The bytes of a delivery and the values of its message.
pub(crate) async fn body(core: &Core, entry: &Entry) -> Result<(Payload, Metadata), JournalError> {
    let delivery = DeliveryRef {
        id: entry.id,
        sequence: entry.sequence,
    };
    let (row, payload) = core.journal.body(delivery).await?;
    Ok((payload, row.metadata))
}

/// Records how an attempt ended.
pub(crate) async fn record(
    core: &Core,
    entry: &Entry,
    outcome: &Outcome,
    took_us: u64,
) -> Result<(), JournalError> {
    let duration_ms = u32::try_from(took_us / 1_000).unwrap_or(u32::MAX);
    let started_ms = core.now_ms().saturating_sub(u64::from(duration_ms));
    let (stored, reason, reply) = match outcome {
        Ok(delivered) => (
            Stored::Delivered,
            delivered.summary.clone(),
            delivered.reply.clone(),
        ),
        Err(error) => {
            let stored = match error.class {
                Class::Retry => Stored::Retry,
                Class::Reject => Stored::DeadLetter,
                Class::Halt => Stored::Halt,
            };
            (
                stored,
                format!("{} ({})", error.message, error.code),
                error.reply.clone(),
            )
        }
    };
    let last = Attempt {
        started_ms,
        duration_ms,
        outcome: stored,
        reason: Some(Arc::from(reason)).filter(|reason: &Arc<str>| !reason.is_empty()),
        reply: reply.map(Payload::inline),
    };
    let delivery = DeliveryRef {
        id: entry.id,
        sequence: entry.sequence,
    };
    match stored {
        Stored::Delivered | Stored::DeadLetter | Stored::Withdrawn => {
            core.journal.settle(Settlement { delivery, last }).await
        }
        Stored::Retry | Stored::Halt => core.journal.attempt(delivery, last).await,
    }
}

/// What the rejection of a delivery means for its successors: as the destination says, else by
/// the type of the message.
pub(crate) async fn after_reject(
    core: &Core,
    queue: &Queue,
    target: &Target,
    entry: &Entry,
) -> AfterReject {
    if let Some(after) = target.plan.after_reject {
        return after;
    }
    let kind = core
        .journal
        .header_at(entry.sequence)
        .await
        .ok()
        .and_then(|row| row.kind);
    by_kind(core, queue, kind.as_deref())
}

fn by_kind(core: &Core, queue: &Queue, kind: Option<&str>) -> AfterReject {
    let identity = Identity {
        message_type: kind.map(str::to_owned),
        ..Identity::default()
    };
    let depend = core
        .channel(&queue.channel)
        .is_some_and(|channel| channel.plan().format.successors_depend(&identity));
    if depend {
        AfterReject::HoldKey
    } else {
        AfterReject::Continue
    }
}

/// The answer that a message got.
pub(crate) async fn stored_answer(
    core: &Core,
    message: MessageId,
) -> Result<Option<Bytes>, JournalError> {
    let row = core.journal.header(message).await?;
    Ok(row
        .resend
        .map(|resend| resend.answer)
        .filter(|answer| !answer.is_empty()))
}

/// When the message of a queue's first delivery arrived, as far as it is in memory.
pub(crate) fn oldest_ms(queue: &Queue) -> Option<u64> {
    queue.scope.lanes().oldest_ms(queue.id)
}

/// Puts everything back that the journal holds from before the start.
pub(crate) async fn recover(core: &Core, recovered: Recovered) -> Result<(), JournalError> {
    if recovered.unclean {
        tracing::warn!("the last stop was not in order; the journal was recovered");
    }
    for ((channel, destination), backlog) in &recovered.pending {
        match core.queue(channel, destination) {
            Some(queue) => {
                queue
                    .figures
                    .waiting
                    .store(backlog.count, Ordering::Relaxed);
                queue.scope.lanes().unloaded(queue.id);
            }
            None => tracing::error!(%channel, %destination, waiting = backlog.count,
                "deliveries wait for a destination that the plan does not have; they stay in the \
                 journal: name it again, or as `was` of another"),
        }
    }
    for entry in &recovered.resends {
        let accepted = matches!(
            entry.disposition,
            Disposition::Accepted
                | Disposition::Filtered
                | Disposition::Held
                | Disposition::BatchOpen
        );
        if let Some(channel) = core.channel(&entry.channel).filter(|_| accepted) {
            let (key, digest) = (
                ResendKey(entry.resend.key),
                ResendDigest(entry.resend.digest),
            );
            channel
                .memory()
                .restore(key, digest, entry.message, entry.committed_ms);
        }
    }
    for row in &recovered.holds {
        if let Some(hold) = &row.hold {
            held::hold(
                core,
                &row.channel,
                row.message,
                row.sequence,
                row.sequence,
                hold,
            );
        }
    }
    for channel in core.channels() {
        for queue in core.queues_of(&channel.name) {
            holding(core, &queue).await?;
            core.restore_pause(&queue);
        }
    }
    Ok(())
}

/// Dead letters that hold the successors of their keys go on holding them.
async fn holding(core: &Core, queue: &Queue) -> Result<(), JournalError> {
    let plan: Arc<DestinationPlan> = queue.target().plan;
    if matches!(
        plan.after_reject,
        Some(AfterReject::Continue | AfterReject::HoldDestination)
    ) {
        return Ok(());
    }
    let (channel, destination) = (Arc::clone(&queue.channel), Arc::clone(&queue.destination));
    let dead = core
        .journal
        .dead_letters(channel, destination, None, WINDOW)
        .await?;
    for stored in dead {
        let sequence = stored.delivery.delivery.sequence;
        let row = core.journal.header_at(sequence).await?;
        let holds = plan.after_reject == Some(AfterReject::HoldKey)
            || by_kind(core, queue, row.kind.as_deref()) == AfterReject::HoldKey;
        if holds {
            let entry = commit::entry(stored.delivery, sequence);
            queue.scope.lanes().hold(
                queue.id,
                Entry {
                    holds_keys: true,
                    body: None,
                    ..entry
                },
            );
        }
    }
    Ok(())
}
